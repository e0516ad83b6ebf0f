/* sql: a statement of SQL's, as an app's owner has it asked (`orlo db query "…"`), as the app's owner or as a role with claims.
 *
 *   to read    a transaction that may write nothing, and of which nothing stays. What is asked is one statement, and stands where nothing but a query can: `select … from (it)`
 *   to write   a transaction of its own: insert, update, delete, merge, truncate, call, or a select whose functions write. What makes or changes tables is a migration's,
 *              and refused by its first word; `with … select … into` by what it answers, before it is committed
 */
#include "node/postgres/broker.h"
#include "pg/pg.h"
#include <stdio.h>

enum { ANSWER_BYTES_MAX = 64 << 20, WRITTEN_BYTES_MAX = 16 << 20, LATE_MS = 2000 };
#define BEFORE "select pg_catalog.row_to_json(_orlo_query)::pg_catalog.text from (\n"
#define SIZE "pg_catalog.pg_database_size(pg_catalog.current_database())"

enum { SETS, ASKS, SIZES }; /* statements */

/* ---- where it is wrong ---- */

struct place {
    uint32_t line, column;
};
/* Of a character, from 1. line 0: it is in none of it. */
static struct place place_of(str sql, uint64_t position) {
    struct place at = {1, 1};
    uint64_t seen = 0;
    if (!position) return (struct place){0};
    for (size_t i = 0; i < sql.n && ++seen < position; i++) {
        if (sql.p[i] == '\n') at.line++, at.column = 1;
        else at.column++;
        while (i + 1 < sql.n && (sql.p[i + 1] & 0xc0) == 0x80) i++; /* it counts characters */
    }
    return seen < position ? (struct place){0} : at;
}

static err failed(struct broker_errand *w, const struct postgres_answer *a) {
    const struct postgres_error *e = postgres_error(a);
    uint32_t before = w->sql_wrapped ? sizeof BEFORE - 1 : 0;
    char where[64] = "";
    struct place at = {0};
    if (postgres_outcome(a) == POSTGRES_LOST)
        return diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "08007: the database system ended meanwhile: it may be done, or not");
    if (postgres_outcome(a) != POSTGRES_ERROR)
        return diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the database system is not there at the moment: %s", e->message);
    if (e->statement == ASKS && e->position > before) at = place_of(w->sql, e->position - before);
    if (at.line) snprintf(where, sizeof where, "line %u, column %u: ", at.line, at.column);
    return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "%s%s: %s%s%s%s%s", where, e->state, e->message, e->detail[0] ? "; " : "",
                    e->detail, e->hint[0] ? "; " : "", e->hint);
}

/* ---- what it is ---- */

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Behind spaces, comments and opening parentheses. Comments of PostgreSQL's nest. */
static size_t begin_of(str sql) {
    size_t i = 0;
    while (i < sql.n) {
        str rest = str_sub(sql, i, sql.n);
        if (is_space(sql.p[i]) || sql.p[i] == '(') {
            i++;
        } else if (str_starts(rest, STR("--"))) {
            while (i < sql.n && sql.p[i] != '\n') i++;
        } else if (str_starts(rest, STR("/*"))) {
            uint32_t depth = 0;
            do {
                bool opens = i + 1 < sql.n && sql.p[i] == '/' && sql.p[i + 1] == '*',
                     closes = i + 1 < sql.n && sql.p[i] == '*' && sql.p[i + 1] == '/';
                depth += opens, depth -= closes;
                i += opens || closes ? 2 : 1;
            } while (depth && i < sql.n);
        } else {
            break;
        }
    }
    return i;
}

static bool is_letter(uint8_t c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

enum kind { SQL_SELECTS, SQL_WRITES /* or may: with … */, SQL_NONE };
static enum kind kind_of(str word) {
    static const struct {
        const char *word;
        enum kind kind;
    } words[] = {{"select", SQL_SELECTS}, {"values", SQL_SELECTS}, {"table", SQL_SELECTS}, {"with", SQL_WRITES},
                 {"insert", SQL_WRITES},  {"update", SQL_WRITES},  {"delete", SQL_WRITES}, {"truncate", SQL_WRITES},
                 {"merge", SQL_WRITES},   {"call", SQL_WRITES}};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_eq_nocase(word, str_c(words[i].word))) return words[i].kind;
    return SQL_NONE;
}

static err take_kind(struct broker_errand *w, enum kind *kind) {
    size_t from = begin_of(w->sql), to = from;
    while (to < w->sql.n && is_letter(w->sql.p[to])) to++;
    str word = str_sub(w->sql, from, to - from);
    *kind = kind_of(word);
    if (from == w->sql.n) return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "42601: there is no statement");
    if (*kind != SQL_NONE || !word.n) return ERR_OK; /* what is no word is PostgreSQL's to refuse */
    uint64_t characters = 1;
    for (size_t i = 0; i < from; i++) characters += (w->sql.p[i] & 0xc0) != 0x80;
    struct place at = place_of(w->sql, characters);
    return diag_set(
        &w->d, ERR_INVALID, DIAG_NOWHERE,
        "line %u, column %u: 0A000: " STR_FMT
        " is not run by a query, which reads and writes rows: write it into a migration, and orlo db migrate applies it",
        at.line, at.column, STR_ARG(str_sub(word, 0, 40)));
}

/* ---- what came of it ---- */

/* A value as to_json says it; of a type that is not PostgreSQL's own, its text. */
static void put_value(struct pg_session *session, uint32_t type, str text, arena *scratch, struct buf *to) {
    struct pg_error error = {0};
    struct pg_call call = {.mem = scratch, .session = session, .error = &error};
    struct db_value v;
    size_t at = to->n;
    bool known = pg_type_by_id(type) && pg_value_in(&call, type, -1, text, &v) && pg_value_json(&call, type, v, to);
    if (known) return;
    to->n = at;
    struct json_writer j = json_writer_of(to);
    json_put_str(&j, NULL, text);
}

static void put_row(const struct postgres_answer *a, struct pg_session *session, uint32_t row, arena *scratch, struct buf *to) {
    buf_putc(to, '{');
    for (uint32_t i = 0; i < postgres_columns(a, ASKS); i++) {
        bool null;
        uint32_t type;
        str name = postgres_column(a, ASKS, i, &type), text = postgres_value(a, ASKS, row, i, &null);
        struct json_writer j = json_writer_of(to);
        if (i) buf_putc(to, ',');
        json_put_str(&j, NULL, name);
        buf_putc(to, ':');
        if (null) buf_puts(to, STR("null"));
        else put_value(session, type, text, scratch, to);
    }
    buf_putc(to, '}');
}

static void put_rows(struct broker_errand *w, const struct postgres_answer *a, struct buf *to) {
    arena *scratch = arena_new(0);
    buf_putc(to, '[');
    for (uint32_t i = 0; i < postgres_rows(a, ASKS); i++) {
        struct pg_error unused = {0};
        struct pg_session session = {.mem = scratch, .error = &unused};
        if (i) buf_puts(to, STR(",\n "));
        if (w->sql_wrapped) buf_puts(to, postgres_value(a, ASKS, i, 0, NULL));
        else put_row(a, &session, i, scratch, to);
        arena_reset(scratch);
    }
    buf_putc(to, ']');
    arena_free(scratch);
}

static void on_rows(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    struct buf b = {0};
    err how = postgres_outcome(a) == POSTGRES_DONE ? ERR_OK : failed(w, a);
    if (how == ERR_OK) {
        put_rows(w, a, &b);
        how = node_errand_say(w, buf_str(&b));
    }
    buf_free(&b);
    node_errand_over(w, how);
}

/* {"rows": […] or null, "affected": n} */
static void on_written(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    struct buf b = {0};
    err how = postgres_outcome(a) == POSTGRES_DONE ? ERR_OK : failed(w, a);
    if (how == ERR_OK) {
        w->base->fed = true;
        buf_puts(&b, STR("{\"rows\":"));
        if (postgres_columns(a, ASKS)) put_rows(w, a, &b);
        else buf_puts(&b, STR("null"));
        buf_printf(&b, ",\"affected\":%llu}", (unsigned long long)postgres_affected(a, ASKS));
        how = node_errand_say(w, buf_str(&b));
    }
    buf_free(&b);
    node_errand_over(w, how);
}

static uint64_t number(str s) {
    uint64_t v = 0;
    return str_to_u64(s, &v) ? v : 0;
}

/* Before it is committed. A select answers columns, unless it made a table. */
static bool judge(void *arg, const struct postgres_answer *a, struct postgres_error *error) {
    struct broker_errand *w = arg;
    uint64_t before = number(postgres_value(a, SETS, 0, 0, NULL)), behind = number(postgres_value(a, SIZES, 0, 1, NULL));
    if (!postgres_columns(a, ASKS) && str_starts(postgres_tag(a, ASKS), STR("SELECT"))) {
        snprintf(error->state, sizeof error->state, "0A000");
        snprintf(error->message, sizeof error->message,
                 "a query makes no table: write create table … as into a migration, and orlo db migrate applies it");
        error->statement = ASKS;
        return false;
    }
    if (w->base->secret[0] || behind <= w->bytes_max || behind <= before) return true;
    snprintf(error->state, sizeof error->state, "53100");
    snprintf(error->message, sizeof error->message,
             "could not extend file: the database is full: it has %llu bytes, and may have %llu (database_mb)",
             (unsigned long long)behind, (unsigned long long)w->bytes_max);
    return false;
}

/* ---- asking ---- */

struct who {
    str role, claims;
    bool owner; /* who may not be whom a caller may be, and has no claims, is the owner */
    bool writes;
};

static void ask(struct broker_errand *w, const struct who *who) {
    struct broker_base *b = w->base;
    char limit[16];
    str role = who->owner ? STR("none") : who->role; /* the owner is whom the connection is of */
    snprintf(limit, sizeof limit, "%u", w->ms_max);
    struct postgres_value *v = arena_array(w->mem, struct postgres_value, 4),
                          *back = arena_array(w->mem, struct postgres_value, 1);
    v[0].text = arena_str(w->mem, str_c(limit)), v[1].text = who->claims, v[2].text = role;
    v[3].text = who->writes ? STR("off") : STR("on");
    *back = (struct postgres_value){.text = role};
    const struct postgres_statement s[] = {
        [SETS] = {.text = STR("select " SIZE
                              ", set_config('statement_timeout', $1, true), set_config('transaction_read_only', $4, true), "
                              "set_config('request.jwt.claims', $2, true), set_config('role', $3, true)"),
                  .values = v,
                  .count = 4},
        [ASKS] = {.text = w->sql_wrapped ? arena_fmt(w->mem, BEFORE STR_FMT "\n) as _orlo_query", STR_ARG(w->sql)) : w->sql},
        [SIZES] = {.text = STR("select set_config('role', 'none', true), " SIZE ", set_config('role', $1, true)"),
                   .values = back,
                   .count = 1}};
    if (who->owner) b->owner = node_base_connect(b, "postgres", "postgres", 1);
    (void)postgres_ask(who->owner ? b->owner : b->asks,
                       &(struct postgres_question){.statements = s,
                                                   .count = who->writes ? SIZES + 1 : ASKS + 1,
                                                   .ms_max = w->ms_max + LATE_MS,
                                                   .bytes_max = who->writes ? WRITTEN_BYTES_MAX : ANSWER_BYTES_MAX,
                                                   .judge = who->writes ? judge : NULL,
                                                   .undone = !who->writes},
                       who->writes ? on_written : on_rows, w);
}

static bool has_nul(str s) { return s.n && memchr(s.p, 0, s.n); }

static err take(struct broker_errand *w, const struct json *v, struct who *who) {
    struct pg_error error = {0};
    enum kind kind = SQL_SELECTS;
    *who = (struct who){.role = json_str(json_get(v, "role")),
                        .claims = json_str(json_get(v, "claims")),
                        .owner = json_bool(json_get(v, "owner")),
                        .writes = json_bool(json_get(v, "write"))};
    w->sql = json_str(json_get(v, "sql"));
    if (!who->claims.n) who->claims = STR("{}");
    if (!w->base->made) return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "42P01: nothing was migrated to this database yet");
    if (!who->owner && !node_tree_may_be(w->base->made->catalog, who->role, false, &error))
        return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "%s: %s", error.state, error.message);
    if (has_nul(w->sql) || has_nul(who->claims) || has_nul(who->role))
        return diag_set(&w->d, ERR_INVALID, DIAG_NOWHERE, "22021: invalid byte sequence for encoding \"UTF8\": 0x00");
    if (who->writes) TRY(take_kind(w, &kind));
    if (who->writes && w->base->frozen) return diag_set(&w->d, ERR_BUSY, DIAG_NOWHERE, "57P03: " NODE_TREE_MOVES);
    w->sql_wrapped = kind == SQL_SELECTS;
    return ERR_OK;
}

void node_sql_ask(struct broker_errand *w, const struct json *v) {
    struct who who;
    err e = take(w, v, &who);
    if (e == ERR_OK) ask(w, &who);
    else node_errand_over(w, e);
}
