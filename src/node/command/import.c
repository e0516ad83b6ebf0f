/* import: `orlo import supabase`: a whole project, of dumps that `supabase db dump` or pg_dump made, as SQL.
 *
 *   schema ──orlo db pull──> the first migration (then: orlo deploy)
 *   rows   ──COPY, INSERT──> statements of INSERT, parents first, without triggers: a file for some MiB, each a transaction ──> run as seeds
 *   users  are rows of the schema auth, with their hashes, identities, sessions and refresh tokens; the JWT secret verifies what it has signed
 *
 * 1. What a dump says is data, or is passed over: of its text nothing is run but values, as literals, and numbers of sequences.
 * 2. A row that is there already stays: the same again goes on where it broke off.
 */
#include "crypto/crypto.h"
#include "node/command/db.h"
#include "node/command/users.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILES = 2, PIECE_BYTES = 6 << 20, STATEMENT_BYTES = 64 << 10, COLUMNS_MAX = 1600, SECRET_MAX = 256 };

struct rows { /* of one statement of a dump */
    struct rows *next;
    str columns, values; /* "(id, name)"; lines of COPY, or tuples */
    bool copies;
};
struct target { /* a table that is here */
    int64_t relation;
    str schema, name;
    struct rows *first, **last;
    bool waits; /* in the order that keys make */
    uint64_t count;
};
struct import {
    struct users u;
    const struct node_users_config *c;
    arena *mem;
    str texts[FILES];
    struct json catalog;
    const struct json *keys, *columns;
    VEC(struct target) targets;
    VEC(str) sequences; /* statements of setval */
    bool postgres;
    char path[64]; /* of the piece */
    struct buf piece;
    uint64_t rows, passed_over;
    str unknown; /* a table that is not here, of those that were passed over */
};

/* ---- statements of a dump ---- */

/* Behind what begins at i: a string, a name, a comment, a body in dollars. */
static size_t behind(str t, size_t i) {
    uint8_t c = t.p[i];
    if (c == '\'' || c == '"') {
        bool escapes =
            c == '\'' && i && (t.p[i - 1] | 32) == 'e' && (i < 2 || !((t.p[i - 2] | 32) >= 'a' && (t.p[i - 2] | 32) <= 'z'));
        for (i++; i < t.n; i++) {
            if (escapes && t.p[i] == '\\') i++;
            else if (t.p[i] == c) {
                if (i + 1 < t.n && t.p[i + 1] == c) i++;
                else return i + 1;
            }
        }
        return t.n;
    }
    if (c == '-' && i + 1 < t.n && t.p[i + 1] == '-') return MIN(i + str_find(str_sub(t, i, t.n), '\n') + 1, t.n);
    if (c == '/' && i + 1 < t.n && t.p[i + 1] == '*') {
        const uint8_t *end = memmem(t.p + i, t.n - i, "*/", 2);
        return end ? (size_t)(end - t.p) + 2 : t.n;
    }
    if (c == '$') {
        size_t k = i + 1;
        while (k < t.n && ((t.p[k] | 32) >= 'a' || t.p[k] == '_' || (t.p[k] >= '0' && t.p[k] <= '9')) && t.p[k] != '$') k++;
        if (k >= t.n || t.p[k] != '$') return i + 1;
        const uint8_t *end = k + 1 < t.n ? memmem(t.p + k + 1, t.n - k - 1, t.p + i, k + 1 - i) : NULL;
        return end ? (size_t)(end - t.p) + k + 1 - i : t.n;
    }
    return i + 1;
}

/* To its semicolon, from its first word. */
static str statement(str t, size_t *at) {
    size_t i = *at;
    while (i < t.n && (strchr(" \t\r\n;", t.p[i]) || (t.p[i] == '-' && i + 1 < t.n && t.p[i + 1] == '-') ||
                       (t.p[i] == '/' && i + 1 < t.n && t.p[i + 1] == '*') || t.p[i] == '\\'))
        i = t.p[i] == '\\' ? MIN(i + str_find(str_sub(t, i, t.n), '\n') + 1, t.n) : strchr("-/", t.p[i]) ? behind(t, i) : i + 1;
    size_t from = i;
    while (i < t.n && t.p[i] != ';') i = behind(t, i);
    *at = MIN(i + 1, t.n);
    return str_sub(t, from, i - from);
}

static bool word(str *s, const char *w) {
    size_t n = strlen(w);
    while (s->n && strchr(" \t\r\n", s->p[0])) *s = str_sub(*s, 1, s->n);
    if (s->n < n || !str_eq_nocase(str_sub(*s, 0, n), str_c(w))) return false;
    *s = str_sub(*s, n, s->n);
    return true;
}

/* "auth"."users", public.notes */
static bool name(arena *out, str *s, str *to) {
    struct buf b = {0};
    while (s->n && strchr(" \t\r\n", s->p[0])) *s = str_sub(*s, 1, s->n);
    if (s->n && s->p[0] == '"') {
        size_t end = behind(*s, 0);
        for (size_t i = 1; i + 1 < end; i++) {
            buf_putc(&b, s->p[i]);
            if (s->p[i] == '"') i++;
        }
        *s = str_sub(*s, end, s->n);
    } else {
        while (s->n && ((s->p[0] | 32) >= 'a' || s->p[0] == '_' || (s->p[0] >= '0' && s->p[0] <= '9')))
            buf_putc(&b, s->p[0]), *s = str_sub(*s, 1, s->n);
    }
    *to = arena_str(out, buf_str(&b));
    buf_free(&b);
    return to->n;
}

static bool table_name(arena *out, str *s, str *schema, str *table) {
    return name(out, s, schema) && s->n && s->p[0] == '.' && (*s = str_sub(*s, 1, s->n), name(out, s, table));
}

/* "(…)" as it stands. */
static bool brackets(str *s, str *inside) {
    size_t i = 0, depth = 0;
    while (s->n && strchr(" \t\r\n,", s->p[0])) *s = str_sub(*s, 1, s->n);
    if (!s->n || s->p[0] != '(') return false;
    do {
        depth += s->p[i] == '(', depth -= s->p[i] == ')';
        i = behind(*s, i);
    } while (i < s->n && depth);
    *inside = str_sub(*s, 1, i - 2);
    *s = str_sub(*s, i, s->n);
    return !depth;
}

/* ---- what is taken ---- */

static bool is_taken(str schema, str table) {
    static const char *const auths[] = {"users",          "identities",     "sessions",        "refresh_tokens",   "mfa_factors",
                                        "mfa_amr_claims", "mfa_challenges", "one_time_tokens", "audit_log_entries"};
    static const char *const others[] = {
        "supabase_migrations", "realtime", "_realtime",      "vault",      "net",        "cron",     "pgsodium",
        "supabase_functions",  "graphql",  "graphql_public", "extensions", "_analytics", "pgbouncer"};
    bool is = true;
    if (str_eqc(schema, "storage")) return str_eqc(table, "buckets");
    if (str_eqc(schema, "auth")) {
        is = false;
        for (size_t i = 0; i < ARRAY_COUNT(auths); i++) is |= str_eqc(table, auths[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) is &= !str_eqc(schema, others[i]);
    return is;
}

static struct target *target_of(struct import *m, str schema, str table) {
    for (uint32_t i = 0; i < m->targets.n; i++)
        if (str_eq(m->targets.p[i].schema, schema) && str_eq(m->targets.p[i].name, table)) return &m->targets.p[i];
    return NULL;
}

static void keep(struct import *m, str schema, str table, struct rows rows) {
    struct target *t = is_taken(schema, table) ? target_of(m, schema, table) : NULL;
    if (!t) {
        m->passed_over++;
        if (is_taken(schema, table) && !m->unknown.n)
            m->unknown = arena_fmt(m->mem, STR_FMT "." STR_FMT, STR_ARG(schema), STR_ARG(table));
        return;
    }
    struct rows *r = arena_make(m->mem, struct rows);
    *r = rows;
    *t->last = r, t->last = &r->next;
}

/* Lines of COPY end with one that is "\.". */
static str copied(str t, size_t *at) {
    size_t from = MIN(*at + str_find(str_sub(t, *at, t.n), '\n') + 1, t.n), i = from;
    while (i < t.n) {
        size_t end = i + str_find(str_sub(t, i, t.n), '\n');
        if (str_eqc(str_sub(t, i, 2), "\\.") && (end - i == 2 || (end - i == 3 && t.p[i + 2] == '\r'))) {
            *at = MIN(end + 1, t.n);
            return str_sub(t, from, i - from);
        }
        i = end + 1;
    }
    *at = t.n;
    return str_sub(t, from, t.n);
}

/* The next value of a tuple, as it stands there: of a dump that is a literal. False: it is something else. */
static bool literal(str *s, str *value) {
    size_t i = 0;
    while (i < s->n && s->p[i] != ',') {
        if (s->p[i] == '(' || s->p[i] == ';') return false;
        i = behind(*s, i);
    }
    *value = str_sub(*s, 0, i);
    *s = str_sub(*s, i + 1, s->n);
    while (value->n && strchr(" \t\r\n", value->p[0])) *value = str_sub(*value, 1, value->n);
    while (value->n && strchr(" \t\r\n", value->p[value->n - 1])) value->n--;
    if (!value->n) return false;
    uint8_t c = value->p[0];
    if (c == '\'' || ((c | 32) == 'e' && value->n > 1 && value->p[1] == '\'') ||
        ((c | 32) == 'b' && value->n > 1 && value->p[1] == '\'')) {
        size_t end = behind(*value, c == '\'' ? 0 : 1);
        str cast = str_sub(*value, end, value->n);
        bool ok = !cast.n || str_starts(cast, STR("::"));
        for (size_t k = 2; k < cast.n && ok; k++)
            ok = (cast.p[k] | 32) >= 'a' || strchr("_\". []", cast.p[k]) || (cast.p[k] >= '0' && cast.p[k] <= '9');
        return ok;
    }
    bool number = true;
    for (size_t k = 0; k < value->n; k++) number &= strchr("+-.0123456789eE", value->p[k]) != NULL;
    return number || str_eq_nocase(*value, STR("null")) || str_eq_nocase(*value, STR("true")) ||
           str_eq_nocase(*value, STR("false"));
}

/* ('public.notes_id_seq', 42, true): three literals, and nothing else. */
static void keep_sequence(struct import *m, str rest) {
    str inside, of, n, called;
    if (!brackets(&rest, &inside) || !literal(&inside, &of) || !literal(&inside, &n) || !literal(&inside, &called) || inside.n)
        return;
    if (of.p[0] != '\'' || str_starts(of, STR("'auth.")) || str_starts(of, STR("'\"auth\""))) return;
    vec_push(m->mem, &m->sequences,
             arena_fmt(m->mem, "select pg_catalog.setval(" STR_FMT ", " STR_FMT ", " STR_FMT ")", STR_ARG(of), STR_ARG(n),
                       STR_ARG(called)));
}

static void read_dump(struct import *m, str t) {
    for (size_t at = 0; at < t.n;) {
        str s = statement(t, &at), rest = s, schema, table;
        struct rows rows = {0};
        if (word(&rest, "COPY ") && table_name(m->mem, &rest, &schema, &table) && brackets(&rest, &rows.columns) &&
            word(&rest, "FROM stdin")) {
            rows.copies = true, rows.values = copied(t, &at);
            if (rows.values.n) keep(m, schema, table, rows);
            continue;
        }
        rest = s;
        if (word(&rest, "INSERT INTO ") && table_name(m->mem, &rest, &schema, &table) && brackets(&rest, &rows.columns)) {
            (void)(word(&rest, "OVERRIDING SYSTEM VALUE") || word(&rest, "OVERRIDING USER VALUE"));
            if (!word(&rest, "VALUES")) continue;
            rows.values = rest;
            keep(m, schema, table, rows);
            continue;
        }
        rest = s;
        if (word(&rest, "SELECT pg_catalog.setval")) keep_sequence(m, rest);
    }
}

/* ---- what is here ---- */

static err read_catalog(struct import *m, struct diag *d) {
    static const struct json_limits limits = {64 << 20, 16, 4 << 20};
    struct pg_error error = {0};
    struct answer status;
    str answer;
    TRY(node_ask(
        m->u.a, m->mem,
        &(struct ask_call){.method = "GET", .path = node_ask_path(m->mem, "/apps/%s/database", arena_cstr(m->mem, m->u.app))},
        &status, d));
    m->postgres = !str_eqc(json_str(json_get(&status.body, "engine")), "sqlite");
    err e = node_users_ask(&m->u, m->mem,
                           STR("{\"batch\":[{\"kind\":\"call\",\"schema\":\"auth\",\"function\":\"orlo_keys\"},{\"kind\":"
                               "\"call\",\"schema\":\"auth\",\"function\":\"orlo_tables\"},"
                               "{\"kind\":\"call\",\"schema\":\"auth\",\"function\":\"orlo_schemas\"},{\"kind\":\"call\","
                               "\"schema\":\"auth\",\"function\":\"orlo_columns\"}]}"),
                           &answer, &error, d);
    if (e == ERR_OK) e = json_read(m->mem, answer, &limits, &m->catalog, d);
    TRY(e);
    const struct json *schemas = json_get(json_item(&m->catalog, 2), "rows");
    m->keys = json_get(json_item(&m->catalog, 0), "rows"), m->columns = json_get(json_item(&m->catalog, 3), "rows");
    JSON_EACH(t, json_get(json_item(&m->catalog, 1), "rows")) {
        struct target one = {.relation = json_i64(json_get(t, "relation")), .name = json_str(json_get(t, "name")), .waits = true};
        JSON_EACH(s, schemas)
        if (json_i64(json_get(s, "space")) == json_i64(json_get(t, "space"))) one.schema = json_str(json_get(s, "name"));
        vec_push(m->mem, &m->targets, one);
    }
    for (uint32_t i = 0; i < m->targets.n; i++) m->targets.p[i].last = &m->targets.p[i].first;
    return ERR_OK;
}

/* ---- as statements ---- */

static void put_name(struct buf *b, str s) {
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') buf_putc(b, '"');
        buf_putc(b, s.p[i]);
    }
    buf_putc(b, '"');
}

static bool has_column(const struct import *m, const struct target *t, str column) {
    JSON_EACH(k, m->columns)
    if (json_i64(json_get(k, "relation")) == t->relation && str_eq(json_str(json_get(k, "name")), column))
        return !json_bool(json_get(k, "made"));
    return false;
}

static void put_head(const struct target *t, const str *columns, const bool *takes, uint32_t n, struct buf *b) {
    bool first = true;
    buf_puts(b, STR("insert into ")), put_name(b, t->schema), buf_putc(b, '.'), put_name(b, t->name), buf_puts(b, STR(" ("));
    for (uint32_t i = 0; i < n; i++) {
        if (!takes[i]) continue;
        if (!first) buf_puts(b, STR(", "));
        put_name(b, columns[i]);
        first = false;
    }
    buf_puts(b, STR(") overriding system value values\n"));
}

/* A field of COPY: its escapes, as a literal. */
static void put_field(struct buf *b, str f) {
    if (str_eqc(f, "\\N")) {
        buf_puts(b, STR("null"));
        return;
    }
    buf_putc(b, '\'');
    for (size_t i = 0; i < f.n; i++) {
        uint8_t c = f.p[i];
        if (c == '\\' && i + 1 < f.n) {
            static const char from[] = "bfnrtv", to[] = "\b\f\n\r\t\v";
            const char *at = strchr(from, f.p[++i]);
            c = at && f.p[i] ? (uint8_t)to[at - from] : f.p[i];
        }
        if (c == '\'') buf_putc(b, '\'');
        buf_putc(b, c);
    }
    buf_putc(b, '\'');
}

static err run_piece(struct import *m, struct diag *d) {
    struct node_db_config c = {
        .mem = arena_new(0), .where = m->c->where, .app = arena_cstr(m->mem, m->u.app), .to = fopen("/dev/null", "we")};
    int fd = open(m->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    err e = c.to && fd >= 0 ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", m->path, strerror(errno));
    for (str rest = buf_str(&m->piece); rest.n && e == ERR_OK;) {
        ssize_t n = write(fd, rest.p, rest.n);
        if (n <= 0) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", m->path, strerror(errno));
        else rest = str_sub(rest, (size_t)n, rest.n);
    }
    if (fd >= 0) close(fd);
    if (e == ERR_OK) e = node_db_fill(&c, m->path, d);
    if (c.to) fclose(c.to);
    arena_free(c.mem);
    m->piece.n = 0;
    return e;
}

static err end_piece(struct import *m, struct diag *d) { return m->piece.n ? run_piece(m, d) : ERR_OK; }

struct tuples { /* what is written of a table */
    struct import *m;
    struct target *t;
    str columns[COLUMNS_MAX];
    bool takes[COLUMNS_MAX];
    uint32_t n;
    size_t begun; /* where the statement begins; 0: none is open */
};

static void end_statement(struct tuples *w) {
    if (w->begun) buf_puts(&w->m->piece, STR("\non conflict do nothing;\n"));
    w->begun = 0;
}

static err begin_tuple(struct tuples *w, struct diag *d) {
    struct buf *b = &w->m->piece;
    if (w->begun && b->n - w->begun > STATEMENT_BYTES) end_statement(w);
    if (!w->begun && b->n > PIECE_BYTES) TRY(end_piece(w->m, d));
    if (!w->begun) {
        if (!b->n && w->m->postgres) buf_puts(b, STR("set local session_replication_role = replica;\n"));
        w->begun = b->n + 1;
        put_head(w->t, w->columns, w->takes, w->n, b);
        buf_putc(b, '(');
    } else buf_puts(b, STR(",\n("));
    w->t->count++, w->m->rows++;
    return ERR_OK;
}

static err put_copied(struct tuples *w, str lines, struct diag *d) {
    str line, field;
    while (lines.n) {
        uint32_t i = 0, put = 0;
        str_cut(lines, '\n', &line, &lines);
        if (line.n && line.p[line.n - 1] == '\r') line.n--;
        TRY(begin_tuple(w, d));
        for (bool more = true; more; i++) {
            more = str_cut(line, '\t', &field, &line);
            if (i >= w->n || !w->takes[i]) continue;
            if (put++) buf_putc(&w->m->piece, ',');
            put_field(&w->m->piece, field);
        }
        if (i != w->n)
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE, STR_FMT "." STR_FMT ": a line of COPY has %u fields, and not %u",
                            STR_ARG(w->t->schema), STR_ARG(w->t->name), i, w->n);
        buf_putc(&w->m->piece, ')');
    }
    return ERR_OK;
}

static err put_inserted(struct tuples *w, str values, struct diag *d) {
    str tuple, value;
    while (brackets(&values, &tuple)) {
        uint32_t i = 0, put = 0;
        TRY(begin_tuple(w, d));
        for (; tuple.n; i++) {
            if (!literal(&tuple, &value))
                return diag_set(d, ERR_INVALID, DIAG_NOWHERE, STR_FMT "." STR_FMT ": a value is no literal",
                                STR_ARG(w->t->schema), STR_ARG(w->t->name));
            if (i >= w->n || !w->takes[i]) continue;
            if (put++) buf_putc(&w->m->piece, ',');
            buf_puts(&w->m->piece, value);
        }
        if (i != w->n)
            return diag_set(d, ERR_INVALID, DIAG_NOWHERE, STR_FMT "." STR_FMT ": a row has %u values, and not %u",
                            STR_ARG(w->t->schema), STR_ARG(w->t->name), i, w->n);
        buf_putc(&w->m->piece, ')');
    }
    return ERR_OK;
}

static err put_table(struct import *m, struct target *t, struct diag *d) {
    struct tuples *w = arena_make(m->mem, struct tuples);
    err e = ERR_OK;
    for (const struct rows *r = t->first; r && e == ERR_OK; r = r->next) {
        str columns = r->columns;
        bool any = false;
        *w = (struct tuples){.m = m, .t = t};
        while (w->n < COLUMNS_MAX && name(m->mem, &columns, &w->columns[w->n])) {
            w->takes[w->n] = has_column(m, t, w->columns[w->n]);
            any |= w->takes[w->n++];
            if (!word(&columns, ",")) break;
        }
        if (!any) continue;
        e = r->copies ? put_copied(w, r->values, d) : put_inserted(w, r->values, d);
        end_statement(w);
    }
    if (e == ERR_OK) e = end_piece(m, d);
    if (e != ERR_OK) diag_prefix(d, STR_FMT "." STR_FMT, STR_ARG(t->schema), STR_ARG(t->name));
    else if (!m->c->json)
        fprintf(m->c->to, STR_FMT "." STR_FMT ": %llu row%s\n", STR_ARG(t->schema), STR_ARG(t->name),
                (unsigned long long)t->count, t->count == 1 ? "" : "s");
    return e;
}

/* Whom a key of it leads to, and who still waits. */
static bool waits_for_another(const struct import *m, const struct target *t) {
    JSON_EACH(k, m->keys) {
        if (json_i64(json_get(k, "relation")) != t->relation) continue;
        for (uint32_t i = 0; i < m->targets.n; i++) {
            const struct target *of = &m->targets.p[i];
            if (of != t && of->waits && of->first && of->relation == json_i64(json_get(k, "of_relation"))) return true;
        }
    }
    return false;
}

/* Those in a circle go as they come, at last. */
static err put_all(struct import *m, struct diag *d) {
    for (bool all = false, did = true; did || !all;) {
        if (!did) all = true;
        did = false;
        for (uint32_t i = 0; i < m->targets.n; i++) {
            struct target *t = &m->targets.p[i];
            if (!t->waits || !t->first || (!all && waits_for_another(m, t))) continue;
            t->waits = false, did = true;
            TRY(put_table(m, t, d));
            if (all) break;
        }
        if (all && !did) break;
    }
    for (uint32_t i = 0; i < m->sequences.n; i++) buf_puts(&m->piece, m->sequences.p[i]), buf_puts(&m->piece, STR(";\n"));
    return end_piece(m, d);
}

/* ---- the JWT secret ---- */

static err take_secret(struct import *m, struct diag *d) {
    str text;
    struct answer answer;
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    TRY(node_users_map(m->c->jwt_secret, &text, d));
    str secret = str_sub(text, 0, MIN(str_find(text, '\n'), (size_t)SECRET_MAX));
    while (secret.n && strchr(" \t\r", secret.p[secret.n - 1])) secret.n--;
    json_put_object(&w, NULL);
    json_put_cstr(&w, "algorithm", "HS256"), json_put_str(&w, "secret", secret), json_put_bool(&w, "verifies", true);
    json_put_end(&w);
    munmap((void *)(uintptr_t)text.p, text.n);
    err e = node_ask(m->u.a, m->mem,
                     &(struct ask_call){.method = "POST",
                                        .path = node_ask_path(m->mem, "/apps/%s/signing-keys", arena_cstr(m->mem, m->u.app)),
                                        .w = &w},
                     &answer, d);
    explicit_bzero(b.p, b.n);
    buf_free(&b);
    if (e == ERR_BUSY) e = ERR_OK; /* it is there */
    if (e == ERR_OK && !m->c->json)
        fputs("the JWT secret verifies what it has signed: keys and tokens that are out there hold\n", m->c->to);
    return e;
}

/* ---- all of it ---- */

/* The statements that make something, without the rows: those may be larger than a migration is. */
static err pull(struct import *m, struct diag *d) {
    struct node_db_config c = {.mem = m->c->mem, .operand = m->path, .to = m->c->to};
    int fd = open(m->path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    str t = m->texts[0];
    bool fine = fd >= 0;
    for (size_t at = 0; at < t.n && fine;) {
        str s = statement(t, &at), rest = s, schema, table, columns;
        if (word(&rest, "COPY ") && table_name(m->mem, &rest, &schema, &table) && brackets(&rest, &columns)) {
            (void)copied(t, &at);
            continue;
        }
        rest = s;
        if (word(&rest, "INSERT INTO ") || !s.n) continue;
        fine = write(fd, s.p, s.n) == (ssize_t)s.n && write(fd, ";\n", 2) == 2;
    }
    if (fd >= 0) close(fd);
    return fine ? node_db_pull_from(&c, d) : diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", m->path, strerror(errno));
}

static err bring(struct import *m, struct diag *d) {
    struct diag pulled = DIAG_INIT;
    err e = pull(m, &pulled);
    if (e == ERR_OK) {
        fputs("now: orlo deploy, and then this again, which brings rows and users\n", m->c->to);
        return ERR_OK;
    }
    if (e != ERR_BUSY && e != ERR_INVALID) { /* migrations are there; or it has rows alone */
        *d = pulled;
        return e;
    }
    TRY(node_users_open(m->c, NULL, &m->u, d));
    e = read_catalog(m, d);
    for (size_t i = 0; i < FILES && e == ERR_OK; i++)
        if (m->texts[i].n) read_dump(m, m->texts[i]);
    if (e == ERR_OK && m->c->jwt_secret) e = take_secret(m, d);
    if (e == ERR_OK) e = put_all(m, d);
    if (e == ERR_OK && m->unknown.n)
        fprintf(stderr, STR_FMT ": it is in the dump, and no migration makes it here: its rows were passed over\n",
                STR_ARG(m->unknown));
    if (e == ERR_OK && m->c->json) fprintf(m->c->to, "{\"rows\":%llu}\n", (unsigned long long)m->rows);
    else if (e == ERR_OK) fprintf(m->c->to, "%llu rows; who was signed in stays signed in\n", (unsigned long long)m->rows);
    node_ask_close(m->u.a);
    return e;
}

err node_import_supabase(const struct node_users_config *c, struct diag *d) {
    struct import *m = arena_make(c->mem, struct import);
    const char *files[FILES] = {c->operand, c->second};
    *m = (struct import){.c = c, .mem = c->mem, .path = "/tmp/orlo-import-XXXXXX"};
    err e = ERR_OK;
    for (size_t i = 0; i < FILES && files[i] && e == ERR_OK; i++) {
        e = node_users_map(files[i], &m->texts[i], d);
        if (e == ERR_OK && str_starts(m->texts[i], STR("PGDMP")))
            e = diag_set(d, ERR_INVALID, DIAG_NOWHERE, "%s is an archive: pg_restore -f dump.sql makes SQL of it", files[i]);
    }
    int fd = e == ERR_OK ? mkostemp(m->path, O_CLOEXEC) : -1;
    if (e == ERR_OK && fd < 0) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", m->path, strerror(errno));
    if (fd >= 0) close(fd);
    if (e == ERR_OK) e = bring(m, d);
    if (fd >= 0) unlink(m->path);
    for (size_t i = 0; i < FILES; i++)
        if (m->texts[i].n) munmap((void *)(uintptr_t)m->texts[i].p, m->texts[i].n);
    buf_free(&m->piece);
    return e;
}
