/* errand: what an app's owner has done with the app's database (data_want): not as a role that policies hold for, but as whose it is.
 *
 *   MIGRATE  a plan: for each part its statements, its row in _orlo_migrations; then the catalogue ──one transaction──> all of it is there, or none
 *   RESET    the same, and before it all tables go, in the same transaction
 *   DUMP     all rows as INSERT statements, tables that others refer to first
 *   QUERY    a query tree, as a role and with claims
 *   SQL      a query tree of what a plan makes, in a transaction of which nothing stays: a select of SQL's is a view for so long; or, where it may write, a call of the
 *            function that a statement is for so long: what it writes stays
 *   EXPLAIN  which grants and policies hold for a role, as text
 *   STATE    the catalogue, and what was applied
 *   DROP     what was moved away from is emptied: tables, migrations, changes; it is still read alone
 *   FREEZE   it is read alone from now on, and THAW: no more. SUMS: what its rows come to (sums.c)
 *
 * 1. Each is done alone, by the database's own thread: what apps ask of it meanwhile waits.
 * 2. A plan is of one catalogue, by its digest. Where another one is there by now, nothing is done (ERR_AGAIN).
 * 3. A migration's statement has its time each, as those that apps ask have; of all else what is asked has it whole.
 * 4. It is told what became of it when that is on the disk; who dies before leaves what was. */
#include "crypto/crypto.h"
#include "node/disk.h"
#include "node/migration.h"
#include "node/store/own.h"
#include "node/tree.h"
#include "query/query.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DUMP_BYTES_MAX = 64 << 20, DUMP_ROWS = 100 /* in a statement */, ASKED_BYTES_MAX = 9 << 20 };

struct work {
    struct store_base *base;
    struct store_ask *ask;
    struct store_errand *errand;
    arena *mem;
    struct pg_error raised; /* by a function, in the step that failed */
};

static err fail(struct work *w, err e, const char *fmt, ...) PRINTF_LIKE(3, 4);
static err fail(struct work *w, err e, const char *fmt, ...) {
    va_list ap;
    ENSURE(fmt);
    va_start(ap, fmt);
    str text = arena_vfmt(w->mem, fmt, ap);
    va_end(ap);
    return diag_set(&w->errand->d, e, DIAG_NOWHERE, STR_FMT, STR_ARG(text));
}

static err say(struct work *w, str bytes) {
    for (size_t at = 0; at < bytes.n;) {
        ssize_t n = pwrite(w->errand->out, bytes.p + at, bytes.n - at, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(w, ERR_IO, "there is no memory for the answer: %s", strerror(errno));
        at += (size_t)n;
    }
    return ERR_OK;
}

/* ---- what there is ---- */

static err read_text(struct work *w, str *catalog) {
    struct db_rows *rows;
    struct diag *d = &w->errand->d;
    *catalog = (str){0};
    TRY(db_query(w->base->db, &rows, d, "select value from _orlo_meta where key = 'catalog'"));
    if (db_next(rows)) *catalog = arena_str(w->mem, db_str(rows, 0));
    return db_end(rows, d);
}

static err read_applied(struct work *w, struct migration_state *state) {
    struct db_rows *rows;
    struct diag *d = &w->errand->d;
    TRY(db_query(w->base->db, &rows, d, "select name, sha256, applied_at from _orlo_migrations order by position"));
    while (db_next(rows)) {
        struct migration_applied a = {.name = arena_str(w->mem, db_str(rows, 0)), .at_s = (uint64_t)db_i64(rows, 2) / 1000};
        if (str_to_bytes(db_str(rows, 1), a.digest, sizeof a.digest)) vec_push(w->mem, &state->applied, a);
    }
    return db_end(rows, d);
}

static err tell_state(struct work *w) {
    struct migration_state state = {0};
    struct buf b = {0};
    int64_t bytes = 0;
    struct diag *d = &w->errand->d;
    TRY(read_text(w, &state.catalog));
    TRY(read_applied(w, &state));
    TRY(db_one_i64(w->base->db, &bytes, d, "select page_count * page_size from pragma_page_count(), pragma_page_size()"));
    state.bytes = (uint64_t)bytes;
    node_migration_state_write(&b, &state);
    err e = say(w, buf_str(&b));
    buf_free(&b);
    return e;
}

/* ---- a plan ---- */

static err read_plan(struct work *w, struct migration_plan *plan) {
    str bytes;
    struct diag *d = &w->errand->d;
    TRY(node_fd_bytes(w->mem, w->errand->in, MIGRATION_PLAN_BYTES_MAX, &bytes, d));
    TRY(node_migration_plan_read(w->mem, bytes, plan, d));
    return plan->errors ? fail(w, ERR_INVALID, "a plan that has mistakes") : ERR_OK;
}

/* Of a reset it is made of nothing. */
static err is_for_this(struct work *w, const struct migration_plan *plan) {
    str catalog = {0};
    uint8_t digest[APP_DIGEST_BYTES];
    if (w->errand->does != NODE_DATA_RESET) TRY(read_text(w, &catalog));
    crypto_sha256(catalog, digest);
    if (!memcmp(digest, plan->from, sizeof digest)) return ERR_OK;
    return fail(w, ERR_AGAIN, "the database was migrated meanwhile: try again");
}

/* What made it goes, but for the store's own tables. Foreign keys are off. */
static err drop_all(struct work *w) {
    struct db_rows *rows;
    struct diag *d = &w->errand->d;
    VEC(str) drops = {0};
    TRY(db_query(
        w->base->db, &rows, d,
        "select type, name from sqlite_master where type in ('view', 'table') and name not like 'sqlite\\_%' escape '\\' and "
        "name not in ('_orlo_meta', '_orlo_migrations', '_orlo_changes', '_orlo_consumers', '_orlo_sequences')"
        "order by type desc, rowid desc"));
    while (db_next(rows)) {
        struct buf b = {0};
        buf_printf(&b, "drop " STR_FMT " if exists \"", STR_ARG(db_str(rows, 0)));
        str name = db_str(rows, 1);
        for (size_t i = 0; i < name.n; i++) buf_printf(&b, "%s%c", name.p[i] == '"' ? "\"" : "", name.p[i]);
        buf_putc(&b, '"');
        vec_push(w->mem, &drops, arena_str(w->mem, buf_str(&b)));
        buf_free(&b);
    }
    TRY(db_end(rows, d));
    for (uint32_t i = 0; i < drops.n; i++) TRY(db_run_values(w->base->db, drops.p[i], NULL, 0, d));
    TRY(db_run(w->base->db, d, "delete from _orlo_migrations"));
    TRY(db_run(w->base->db, d, "delete from _orlo_sequences"));
    return db_run(w->base->db, d, "delete from _orlo_meta where key = 'catalog'");
}

static uint64_t now_ms(void) { return clock_wall_ns() / 1'000'000u; }

static err write_down(struct work *w, const struct migration_part *p) {
    char hex[2 * APP_DIGEST_BYTES + 1];
    if (p->seed) return ERR_OK;
    for (size_t i = 0; i < APP_DIGEST_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", p->digest[i]);
    return db_run(w->base->db, &w->errand->d,
                  "insert into _orlo_migrations (position, name, sha256, applied_at, statements) "
                  "values ((select coalesce(max(position), 0) + 1 from _orlo_migrations), ?, ?, ?, ?)",
                  DB_TEXT(p->name), DB_TEXT(str_c(hex)), DB_I64(now_ms()), DB_I64(p->steps.n));
}

/* What is to be there afterwards: statements of files use its sequences. A plan has it once, behind its last part. */
static err use_catalog(struct work *w, const struct migration_plan *plan, struct catalog **out) {
    *out = NULL;
    for (uint32_t i = 0; i < plan->parts.n; i++)
        if (plan->parts.p[i].catalog.n) TRY(catalog_read(w->mem, plan->parts.p[i].catalog, out, &w->errand->d));
    return *out ? query_conn_catalog(node_store_own_conn(w->base), *out, &w->errand->d) : ERR_OK;
}

static err check_keys(struct work *w) {
    struct db_rows *rows;
    struct diag *d = &w->errand->d;
    char text[300] = "";
    TRY(db_query(w->base->db, &rows, d, "select \"table\", parent from pragma_foreign_key_check limit 1"));
    if (db_next(rows))
        snprintf(text, sizeof text, "rows of " STR_FMT " refer to rows of " STR_FMT " that are not there",
                 STR_ARG(str_sub(db_str(rows, 0), 0, 100)), STR_ARG(str_sub(db_str(rows, 1), 0, 100)));
    TRY(db_end(rows, d));
    return text[0] ? fail(w, ERR_BUSY, "%s", text) : ERR_OK;
}

/* ---- its steps ---- */

struct steps {
    struct work *w;
    const struct migration_plan *plan;
    const struct catalog *last; /* after all of them */
    struct migration_done *done;
    uint32_t part, step; /* at hand */
    uint32_t at;         /* which catalogue in between was read last; 0: none */
    struct buf text;
    arena *mem; /* that catalogue's */
    const struct catalog *between;
    bool is_between; /* the connection has it, and not the last one */
    bool keys;       /* foreign keys are on */
};

static void on_notice(void *arg, bool warns, str text) {
    struct steps *s = arg;
    if (s->done->raised.n < MIGRATION_RAISED_MAX)
        vec_push(s->w->mem, &s->done->raised,
                 ((struct migration_raised){s->part, s->step + 1, warns, arena_str(s->w->mem, str_sub(text, 0, 1000))}));
}

static err use(struct steps *s, const struct catalog *c, struct diag *d) {
    s->w->base->texts.sent = NULL; /* one in between may stand where another stood, and says the same version */
    TRY(query_conn_catalog(node_store_own_conn(s->w->base), c, d));
    s->is_between = c != s->last;
    node_store_own_as_owner(s->w->base);
    return ERR_OK;
}

/* Where a call stands, its catalogue is the one before's, or the next. */
static err go_to(struct steps *s, uint32_t catalog) {
    struct diag *d = &s->w->errand->d;
    struct buf text = {0};
    struct catalog *c;
    if (catalog == s->at) return s->is_between ? ERR_OK : use(s, s->between, d);
    if (!catalog_delta_apply(&text, buf_str(&s->text), s->plan->catalogs.p[catalog - 1])) {
        buf_free(&text);
        return fail(s->w, ERR_MALFORMED, "a catalogue in between is damaged");
    }
    buf_free(&s->text);
    s->text = text, s->at = catalog;
    arena *mem = arena_new(0);
    err e = catalog_read(mem, buf_str(&text), &c, d);
    if (e == ERR_OK) e = use(s, c, d);
    if (e != ERR_OK) return arena_free(mem), e;
    arena_free(s->mem);
    s->mem = mem, s->between = c;
    return ERR_OK;
}

static err call(struct steps *s, const struct migration_step *step) {
    uint64_t id = 0;
    struct work *w = s->w;
    struct query_conn *conn = node_store_own_conn(w->base);
    node_store_statement_begins(w->base, w->ask); /* reading a catalogue has time of its own */
    TRY(go_to(s, step->catalog));
    for (size_t i = 0; i < step->text.n && id <= UINT32_MAX; i++) id = id * 10 + (uint64_t)(step->text.p[i] - '0');
    node_store_statement_begins(w->base, w->ask);
    if (query_step_call(conn, (uint32_t)id)) return ERR_OK;
    const struct pg_error *raised = query_conn_raised(conn);
    err e = !strcmp(raised->state, "58030") ? ERR_IO : !strcmp(raised->state, "53100") ? ERR_LIMIT : ERR_INVALID;
    return fail(w, e, "%s", e == ERR_LIMIT ? "the database is full" : raised->message);
}

/* Views that calls have made would be in the way of tables that change; what is called by name is the last catalogue's. */
static err run_step(struct steps *s, const struct migration_step *step) {
    static const char named[] = "pg_";
    struct work *w = s->w;
    bool keys = !s->plan->foreign_keys_off || step->kind != MIGRATION_STRUCTURE;
    if (s->keys != keys && w->errand->does != NODE_DATA_FILL) db_foreign_keys(w->base->db, s->keys = keys);
    if (step->kind == MIGRATION_CALL) return call(s, step);
    bool names = step->text.n && memmem(step->text.p, step->text.n, named, sizeof named - 1);
    if (s->is_between && (step->kind == MIGRATION_STRUCTURE || names)) TRY(use(s, s->last, &w->errand->d));
    node_store_statement_begins(w->base, w->ask);
    return db_run_values(w->base->db, step->text, NULL, 0, &w->errand->d);
}

static err run_part(struct steps *s, const struct migration_part *p) {
    for (s->step = 0; s->step < p->steps.n; s->step++) {
        err e = run_step(s, &p->steps.p[s->step]);
        if (e != ERR_OK) {
            s->done->failed = s->part, s->done->step = s->step + 1;
            s->w->raised = *query_conn_raised(node_store_own_conn(s->w->base));
            return e;
        }
    }
    return write_down(s->w, p);
}

/* A statement that fails is the file's fault, and told as that; done says where. */
static err run_parts(struct work *w, const struct migration_plan *plan, const struct catalog *made, struct migration_done *done) {
    struct steps s = {.w = w,
                      .plan = plan,
                      .last = made ? made : node_store_own_catalog(w->base),
                      .done = done,
                      .keys = w->errand->does != NODE_DATA_RESET,
                      .mem = arena_new(0)};
    struct diag unused = DIAG_INIT;
    err e = ERR_OK;
    query_conn_notices(node_store_own_conn(w->base), on_notice, &s);
    for (; e == ERR_OK && s.part < plan->parts.n; s.part++) e = run_part(&s, &plan->parts.p[s.part]);
    query_conn_notices(node_store_own_conn(w->base), NULL, NULL);
    if (s.is_between && use(&s, s.last, &unused) != ERR_OK) w->base->close = true;
    if (!s.keys && w->errand->does != NODE_DATA_FILL) db_foreign_keys(w->base->db, true);
    arena_free(s.mem), buf_free(&s.text);
    return e;
}

static err would_be_full(struct work *w) {
    w->errand->d = (struct diag)DIAG_INIT; /* whatever SQLite said */
    return fail(w, ERR_LIMIT, "the database would be full: it may have %llu KiB (database_mb)",
                (unsigned long long)(w->base->bytes_max / KiB));
}

static err in_transaction(struct work *w, const struct migration_plan *plan, struct migration_done *done) {
    struct catalog *made;
    uint64_t before = 0, after = 0;
    TRY(is_for_this(w, plan));
    TRY(node_store_room_used(w->base, &before, &w->errand->d));
    node_store_feed_stop(node_store_own_feed(w->base));
    if (w->errand->does == NODE_DATA_RESET) TRY(drop_all(w));
    TRY(use_catalog(w, plan, &made));
    node_store_own_as_owner(w->base);
    err e = run_parts(w, plan, made, done);
    if (e == ERR_LIMIT && !w->base->late && strstr(w->errand->d.text, "is full")) return would_be_full(w);
    TRY(e);
    if (made) TRY(node_store_own_put_catalog(w->base, made, &w->errand->d));
    if (plan->foreign_keys_off) TRY(check_keys(w));
    TRY(node_store_feed_anew(node_store_own_feed(w->base), &w->errand->d));
    TRY(node_store_room_used(w->base, &after, &w->errand->d));
    return node_store_room_exceeded(w->base, before, after) ? would_be_full(w) : ERR_OK;
}

/* Whose fault it is: what a statement of the files did wrong is an answer; what else went wrong is none. */
static bool is_answer(err e) { return e == ERR_USAGE || e == ERR_BUSY || e == ERR_DENIED || e == ERR_INVALID || e == ERR_LIMIT; }

static err tell_done(struct work *w, const struct migration_done *done) {
    struct buf b = {0};
    node_migration_done_write(&b, done);
    err e = say(w, buf_str(&b));
    buf_free(&b);
    return e;
}

/* What its file is called is nobody's business. */
static str without_name(const struct work *w, str text) {
    str name = str_c(w->base->name);
    if (!str_starts(text, name)) return text;
    str rest = str_sub(text, name.n, text.n);
    return str_starts(rest, STR(": ")) ? str_sub(rest, 2, rest.n) : arena_fmt(w->mem, "the database" STR_FMT, STR_ARG(rest));
}

static const char *state_of(err e, str said) {
    static const struct {
        const char *said, *state;
    } rows[] = {{"UNIQUE constraint failed", "23505"},
                {"NOT NULL constraint failed", "23502"},
                {"CHECK constraint failed", "23514"},
                {"FOREIGN KEY constraint failed", "23503"},
                {"refer to rows of", "23503"},
                {"integer overflow", "22003"},
                {"too much memory", "53200"},
                {"more memory than there is", "53200"},
                {"nests too deep", "54001"},
                {"Expression tree is too large", "54001"},
                {"parser stack overflow", "54001"},
                {"would be full", "53100"},
                {"disk is full", "53100"},
                {"too big", "54000"},
                {"too many terms in compound", "54001"}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (said.n && memmem(said.p, said.n, rows[i].said, strlen(rows[i].said))) return rows[i].state;
    return e == ERR_LIMIT ? "53000" : "XX000";
}

/* What a function raised says more than SQLite, which says that one did. */
static void say_why(struct work *w, err e, struct migration_done *done) {
    const struct pg_error *raised = &w->raised;
    done->text = arena_str(w->mem, without_name(w, str_c(w->errand->d.text)));
    if (w->base->late) {
        done->state = STR("57014"), done->text = STR("canceling statement due to statement timeout (migration_timeout_ms)");
        return;
    }
    done->state = arena_str(w->mem, str_c(state_of(e, done->text)));
    if (!raised->set || e == ERR_LIMIT) return;
    done->text = arena_fmt(w->mem, "%s%s%s%s%s", raised->message, raised->detail[0] ? "; " : "", raised->detail,
                           raised->hint[0] ? "; " : "", raised->hint);
    done->state = arena_str(w->mem, str_c(raised->state));
}

static err migrate(struct work *w) {
    struct migration_plan plan;
    struct migration_done done = {0};
    struct diag unused = DIAG_INIT, *d = &w->errand->d;
    char full[NODE_DISK_TEXT];
    struct db *db = w->base->db;
    if (node_disk_full(full)) return fail(w, ERR_LIMIT, "%s", full);
    if (node_store_own_frozen(w->base)) return fail(w, ERR_BUSY, NODE_TREE_MOVES ": try again later");
    TRY(read_plan(w, &plan));
    bool off = w->errand->does == NODE_DATA_RESET || w->errand->does == NODE_DATA_FILL;
    if (off) TRY(db_run(db, d, "pragma foreign_keys = off"));
    err e = node_store_own_forget(w->base, d); /* here: what is dropped in a transaction that is undone is there again */
    if (e == ERR_OK) e = db_begin(db, d);
    if (e == ERR_OK) e = in_transaction(w, &plan, &done);
    if (e == ERR_OK) e = node_store_commit(db, d);
    if (e != ERR_OK) node_store_undo(w->base), say_why(w, e, &done);
    node_store_statement_begins(w->base, w->ask);
    if (off && db_run(db, &unused, "pragma foreign_keys = on") != ERR_OK) w->base->close = true;
    if (node_store_own_reload(w->base, &unused) != ERR_OK) w->base->close = true;
    if (e != ERR_OK && (e == ERR_AGAIN || !is_answer(e))) return e;
    if (e == ERR_OK) done.parts = plan.parts.n;
    else done.step = MAX(done.step, 1u);
    *d = (struct diag)DIAG_INIT;
    return tell_done(w, &done);
}

/* ---- rows as SQL ---- */

struct dump {
    struct work *w;
    const struct catalog *c;
    struct buf out;
    struct pg_session session;
    struct pg_error error;
    arena *scratch;
    size_t statement; /* where the last one begins */
    /* Of a piece: */
    bool pieces, postgres, begun,
        full;           /* begun: its first table was begun before, and goes on behind `after`; full: this piece is */
    uint32_t first, at; /* tables, in the order in which they are written */
    int64_t after;      /* the last row that was written */
};

static void put_quoted(struct buf *to, str s, uint8_t with) {
    buf_putc(to, with);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == with) buf_putc(to, with);
        buf_putc(to, s.p[i]);
    }
    buf_putc(to, with);
}
static void put_relation(struct dump *u, const struct catalog_relation *r) {
    const struct catalog_schema *s = catalog_schema_of(u->c, r->schema);
    put_quoted(&u->out, s ? s->name : STR("public"), '"');
    buf_putc(&u->out, '.');
    put_quoted(&u->out, r->name, '"');
}

/* Backslashes stand for themselves: standard_conforming_strings. */
static err put_value(struct dump *u, uint32_t type, struct db_value v) {
    struct buf text = {0};
    struct pg_call call = {.mem = u->scratch, .session = &u->session, .error = &u->error};
    if (v.kind == DB_NULL) {
        buf_puts(&u->out, STR("null"));
        return ERR_OK;
    }
    bool ok = pg_value_out(&call, type, v, &text);
    if (ok) put_quoted(&u->out, buf_str(&text), '\'');
    buf_free(&text);
    arena_reset(u->scratch);
    return ok ? ERR_OK : fail(u->w, ERR_INVALID, "a value cannot be written as text: %s", u->error.message);
}

static bool is_written(const struct catalog_column *k) { return !k->generated; }

static void put_head(struct dump *u, const struct catalog_relation *r) {
    bool any = false, always = false;
    buf_puts(&u->out, STR("insert into "));
    put_relation(u, r);
    for (uint32_t i = 0; i < r->columns.n; i++) {
        if (!is_written(&r->columns.p[i])) continue;
        buf_puts(&u->out, any ? STR(", ") : STR(" ("));
        put_quoted(&u->out, r->columns.p[i].name, '"');
        any = true;
        always |= r->columns.p[i].identity == CATALOG_IDENTITY_ALWAYS;
    }
    buf_printf(&u->out, "%s%s values\n", any ? ")" : "", always ? " overriding system value" : "");
}

static err put_rows(struct dump *u, const struct catalog_relation *r, struct db_rows *rows) {
    uint32_t n = 0;
    uint32_t in_statement = 0;
    while (!u->full && db_next(rows)) {
        uint32_t at = 0;
        if (in_statement == DUMP_ROWS || u->out.n - u->statement > MIGRATION_STATEMENT_BYTES) in_statement = 0;
        if (!in_statement) buf_puts(&u->out, n ? STR(";\n") : STR("")), u->statement = u->out.n, put_head(u, r);
        buf_puts(&u->out, in_statement++ ? STR(",\n(") : STR("("));
        n++;
        for (uint32_t i = 0; i < r->columns.n; i++) {
            if (!is_written(&r->columns.p[i])) continue;
            if (at) buf_puts(&u->out, STR(", "));
            TRY(put_value(u, r->columns.p[i].type, db_value(rows, at++)));
        }
        buf_putc(&u->out, ')');
        u->after = db_i64(rows, at);
        u->full = u->pieces && u->out.n > MIGRATION_PIECE_BYTES;
        if (!u->pieces && u->out.n > DUMP_BYTES_MAX)
            return fail(u->w, ERR_LIMIT, "the rows are more than %d MiB as SQL: orlo backup keeps databases of any size",
                        DUMP_BYTES_MAX >> 20);
    }
    if (n) buf_puts(&u->out, STR(";\n\n"));
    return ERR_OK;
}

/* Of SQLite's three names for a row's own number one that no column has. */
static const char *rowid_of(const struct catalog_relation *r) {
    static const char *const names[] = {"rowid", "_rowid_", "oid"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        bool taken = false;
        for (uint32_t k = 0; k < r->columns.n; k++) taken |= str_eq_nocase(r->columns.p[k].storage, str_c(names[i]));
        if (!taken) return names[i];
    }
    return names[0];
}

static err dump_table(struct dump *u, const struct catalog_relation *r) {
    struct buf q = {0};
    struct db_rows *rows;
    struct diag *d = &u->w->errand->d;
    bool any = false;
    for (uint32_t i = 0; i < r->columns.n; i++) {
        if (!is_written(&r->columns.p[i])) continue;
        buf_puts(&q, any ? STR(", ") : STR("select ")), put_quoted(&q, r->columns.p[i].storage, '"'), any = true;
    }
    buf_printf(&q, "%s%s from ", any ? ", " : "select ", rowid_of(r));
    put_quoted(&q, r->storage, '"');
    if (u->begun) buf_printf(&q, " where %s > %lld", rowid_of(r), (long long)u->after);
    if (u->pieces) buf_printf(&q, " order by %s", rowid_of(r));
    u->begun = false;
    err e = db_query_values(u->w->base->db, buf_str(&q), NULL, 0, &rows, d);
    buf_free(&q);
    TRY(e);
    e = put_rows(u, r, rows);
    struct diag unused = DIAG_INIT;
    err ended = db_end(rows, e == ERR_OK ? d : &unused);
    return e == ERR_OK ? ended : e;
}

/* For who copies it into a database that the same migrations have been run on: what they put there goes first. */
static void dump_emptying(struct dump *u) {
    for (uint32_t i = u->c->relations.n; i-- > 0;) {
        if (u->c->relations.p[i].kind != CATALOG_TABLE) continue;
        buf_puts(&u->out, STR("delete from "));
        put_relation(u, &u->c->relations.p[i]);
        buf_puts(&u->out, STR(";\n"));
    }
}

/* Tables that others refer to come first, as far as they do not refer to each other. depth: of a chain of keys. */
static err dump_after(struct dump *u, const struct catalog_relation *r, uint8_t *seen, uint32_t depth) {
    size_t at = (size_t)(r - u->c->relations.p);
    if (seen[at]) return ERR_OK;
    seen[at] = 1;
    for (uint32_t i = 0; i < r->constraints.n && depth < 200; i++) {
        const struct catalog_relation *to =
            r->constraints.p[i].kind == CATALOG_FOREIGN ? catalog_relation_of(u->c, r->constraints.p[i].reference) : NULL;
        if (to) TRY(dump_after(u, to, seen, depth + 1));
    }
    uint32_t number = u->at++;
    if (number < u->first || u->full) return ERR_OK;
    TRY(dump_table(u, r));
    if (u->full) u->first = number;
    return ERR_OK;
}

/* "postgres 3 17": the fourth table goes on behind row 17; "- ": at its first. */
static err read_piece(struct dump *u, str in) {
    str engine, table, place, rest;
    uint64_t n = 0;
    if (!in.n) return ERR_OK;
    str_cut(in, ' ', &engine, &rest), str_cut(rest, ' ', &table, &place);
    bool minus = place.n > 1 && place.p[0] == '-';
    uint64_t row = 0;
    u->pieces = true;
    u->postgres = str_eqc(engine, "postgres");
    u->begun = !str_eqc(place, "-");
    bool ok = str_to_u64(table, &n) && n <= UINT32_MAX && (!u->begun || str_to_u64(str_sub(place, minus, place.n), &row));
    u->first = (uint32_t)n;
    u->after = minus ? (int64_t)-row : (int64_t)row;
    return ok ? ERR_OK : fail(u->w, ERR_MALFORMED, "no piece");
}

static err dump_sequences(struct dump *u) {
    struct db_rows *rows;
    struct diag *d = &u->w->errand->d;
    TRY(db_query(u->w->base->db, &rows, d, "select id, last, called from _orlo_sequences order by id"));
    while (db_next(rows)) {
        const struct catalog_sequence *s = catalog_sequence_of(u->c, (uint32_t)db_i64(rows, 0));
        const struct catalog_schema *schema = s ? catalog_schema_of(u->c, s->schema) : NULL;
        if (!s || !schema) continue;
        struct buf name = {0};
        put_quoted(&name, schema->name, '"'), buf_putc(&name, '.'), put_quoted(&name, s->name, '"');
        buf_puts(&u->out, STR("select pg_catalog.setval("));
        put_quoted(&u->out, buf_str(&name), '\'');
        buf_printf(&u->out, ", %lld, %s);\n", (long long)db_i64(rows, 1), db_i64(rows, 2) ? "true" : "false");
        buf_free(&name);
    }
    return db_end(rows, d);
}

static err dump(struct work *w) {
    struct dump u = {.w = w, .c = node_store_own_catalog(w->base), .scratch = arena_new(0)};
    if (!u.c) return ERR_OK;
    uint8_t *seen = arena_alloc(w->mem, u.c->relations.n + 1, 1);
    memset(seen, 0, u.c->relations.n + 1);
    u.session =
        (struct pg_session){.role = STR("postgres"), .mem = u.scratch, .error = &u.error, .types = query_types_new(w->mem, u.c)};
    str in;
    err e = node_fd_bytes(w->mem, w->errand->in, 64, &in, &w->errand->d);
    if (e == ERR_OK) e = read_piece(&u, in);
    if (e == ERR_OK && u.postgres) buf_puts(&u.out, STR("set local session_replication_role = replica;\n"));
    if (e == ERR_OK && u.pieces && !u.first && !u.begun) dump_emptying(&u);
    if (e == ERR_OK) e = db_begin(w->base->db, &w->errand->d);
    for (uint32_t i = 0; i < u.c->relations.n && e == ERR_OK; i++)
        if (u.c->relations.p[i].kind == CATALOG_TABLE) e = dump_after(&u, &u.c->relations.p[i], seen, 0);
    if (e == ERR_OK && !u.full) e = dump_sequences(&u);
    node_store_undo(w->base);
    struct buf all = {0};
    if (u.full) buf_printf(&all, "-- next %u %lld\n", u.first, (long long)u.after);
    else if (u.pieces) buf_puts(&all, STR("-- last\n"));
    buf_puts(&all, buf_str(&u.out));
    if (e == ERR_OK) e = say(w, buf_str(&all));
    buf_free(&all);
    buf_free(&u.out);
    arena_free(u.scratch);
    return e;
}

/* ---- as somebody ---- */

static err say_answer(struct work *w) {
    struct rd r = rd_of(buf_str(&w->ask->answer));
    uint32_t count;
    const struct app_value *values = app_values_read(w->mem, &r, &count);
    if (w->ask->outcome == APP_DATA_OK) return count ? say(w, values[0].s) : ERR_OK;
    struct pg_error error;
    node_tree_error_of_values(values, count, &error);
    if (w->ask->outcome != APP_DATA_ERROR) return fail(w, ERR_INVALID, "%s", w->ask->text);
    return fail(w, ERR_INVALID, "%s: %s%s%s%s%s", error.state, error.message, error.detail[0] ? "; " : "", error.detail,
                error.hint[0] ? "; " : "", error.hint);
}

/* In the transaction that is open; what came of it is in w->ask. */
static err do_query(struct work *w, str text) {
    static const struct json_limits limits = {.bytes_max = ASKED_BYTES_MAX, .depth_max = 8, .values_max = 64};
    struct json v;
    struct app_value *values = arena_array(w->mem, struct app_value, NODE_TREE_ASK_VALUES);
    TRY(json_read(w->mem, text, &limits, &v, &w->errand->d));
    struct node_tree_ask who = {.role = json_str(json_get(&v, "role")),
                                .claims = json_str(json_get(&v, "claims")),
                                .body = json_str(json_get(&v, "query"))};
    node_tree_ask_values(&who, values);
    w->ask->values = values, w->ask->count = NODE_TREE_ASK_VALUES;
    node_store_own_do(w->base, w->ask);
    return ERR_OK;
}

static err end_query(struct work *w, err e, bool says) {
    if (e == ERR_OK && says) e = say_answer(w);
    w->ask->outcome = APP_DATA_OK, w->ask->values = NULL, w->ask->count = 0;
    return e;
}

/* As a client's, in a transaction of its own. */
static err query(struct work *w) {
    str text;
    struct diag *d = &w->errand->d;
    TRY(node_fd_bytes(w->mem, w->errand->in, ASKED_BYTES_MAX, &text, d));
    TRY(db_begin(w->base->db, d));
    err e = do_query(w, text);
    if (e == ERR_OK && node_store_ask_stays(w->ask)) e = node_store_commit(w->base->db, d);
    if (e != ERR_OK || !node_store_ask_stays(w->ask)) node_store_undo(w->base);
    return end_query(w, e, true);
}

/* {"rows": … or null, "affected": …} */
static err say_written(struct work *w, uint64_t changed) {
    struct rd r = rd_of(buf_str(&w->ask->answer));
    uint32_t count;
    if (w->ask->outcome != APP_DATA_OK) return say_answer(w);
    const struct app_value *values = app_values_read(w->mem, &r, &count);
    str rows = count && values[0].s.n ? values[0].s : STR("null");
    return say(w, arena_fmt(w->mem, "{\"rows\":" STR_FMT ",\"affected\":%llu}", STR_ARG(rows), (unsigned long long)changed));
}

/* A plan makes nothing but the function that the statement is. Its catalogue is nobody else's, and nowhere kept. */
static err write_sql(struct work *w, const struct migration_plan *plan, str asked) {
    struct catalog *made = NULL;
    struct diag unused = DIAG_INIT, *d = &w->errand->d;
    bool alone = plan->parts.n == 1 && !plan->parts.p[0].steps.n && plan->parts.p[0].catalog.n;
    if (!node_store_own_catalog(w->base)) return fail(w, ERR_INVALID, "42P01: nothing was migrated to this database yet");
    if (!alone) return fail(w, ERR_INVALID, "the database is an older version's: orlo db migrate brings it to this one");
    TRY(catalog_read(w->mem, plan->parts.p[0].catalog, &made, d));
    TRY(node_store_own_forget(w->base, d));
    TRY(db_begin(w->base->db, d));
    err e = is_for_this(w, plan);
    if (e == ERR_OK) e = node_store_own_lend(w->base, made, d);
    if (e == ERR_OK) e = do_query(w, asked);
    uint64_t changed = query_conn_changed(node_store_own_conn(w->base));
    bool stays = e == ERR_OK && node_store_ask_stays(w->ask);
    if (stays) e = node_store_commit(w->base->db, d);
    if (!stays || e != ERR_OK) node_store_undo(w->base);
    if (node_store_own_reload(w->base, &unused) != ERR_OK) w->base->close = true;
    if (e == ERR_OK) e = say_written(w, changed);
    return end_query(w, e, false);
}

/* A plan, and what is asked of what it makes: in one transaction, of which nothing stays. */
static err sql(struct work *w) {
    static const struct json_limits limits = {.bytes_max = ASKED_BYTES_MAX, .depth_max = 8, .values_max = 64};
    struct migration_plan plan;
    struct migration_done done = {0};
    struct diag unused = DIAG_INIT, *d = &w->errand->d;
    struct json v;
    str bytes;
    TRY(node_fd_bytes(w->mem, w->errand->in, MIGRATION_PLAN_BYTES_MAX, &bytes, d));
    struct rd from = rd_of(bytes);
    uint64_t n = rd_u64le(&from);
    if (n > rd_left(&from)) return fail(w, ERR_MALFORMED, "no query");
    str asked = rd_bytes(&from, (size_t)n);
    TRY(json_read(w->mem, asked, &limits, &v, d));
    TRY(node_migration_plan_read(w->mem, rd_bytes(&from, rd_left(&from)), &plan, d));
    if (plan.errors) return fail(w, ERR_INVALID, "a plan that has mistakes");
    if (json_bool(json_get(&v, "write"))) return write_sql(w, &plan, asked);
    TRY(node_store_own_forget(w->base, d));
    TRY(db_begin(w->base->db, d));
    err e = in_transaction(w, &plan, &done);
    if (e == ERR_OK) e = node_store_own_reload(w->base, d);
    if (e == ERR_OK) e = do_query(w, asked);
    node_store_undo(w->base);
    if (node_store_own_reload(w->base, &unused) != ERR_OK) w->base->close = true;
    return end_query(w, e, true);
}

/* What the policies come to for the rows that there are, by each command that was asked about. */
static void explain_rows(struct work *w, const struct json *ask, struct buf *b) {
    static const char *const words[] = {"", "select", "insert", "update", "delete"};
    struct node_tree_ask who = {.role = json_str(json_get(ask, "role")), .claims = json_str(json_get(ask, "claims"))};
    str table = json_str(json_get(ask, "table")), schema = STR("public"), command = json_str(json_get(ask, "command"));
    size_t dot = str_find(table, '.');
    if (dot < table.n) schema = str_sub(table, 0, dot), table = str_sub(table, dot + 1, table.n);
    for (uint32_t i = CATALOG_FOR_SELECT; i <= CATALOG_FOR_DELETE; i++) {
        struct pg_session session = node_tree_session(&who, w->mem);
        struct pg_error error = {0};
        struct buf json = {0};
        if (command.n && !str_eqc(command, words[i])) continue;
        bool ok = query_explain_policy(node_store_own_conn(w->base), &session, schema, table, (enum catalog_command)i, NULL,
                                       &json, &error);
        buf_printf(b, "%s, by the rows that there are:\n", words[i]);
        if (ok) node_explain_rows(w->mem, buf_str(&json), b);
        else buf_printf(b, "  %s: %s\n", error.state, error.message);
        buf_free(&json);
    }
}

static err explain(struct work *w) {
    static const struct json_limits limits = {.bytes_max = 512 << 10, .depth_max = 8, .values_max = 64};
    struct json v;
    str text;
    struct diag *d = &w->errand->d;
    struct buf b = {0};
    TRY(node_fd_bytes(w->mem, w->errand->in, MiB, &text, d));
    TRY(json_read(w->mem, text, &limits, &v, d));
    err e = node_explain(w->mem, node_store_own_catalog(w->base), text, &b, d);
    if (e == ERR_OK) explain_rows(w, &v, &b);
    if (e == ERR_OK) e = say(w, buf_str(&b));
    buf_free(&b);
    return e;
}

/* ---- while it is moved ---- */

static err set_frozen(struct work *w, const char *sql) {
    struct diag unused = DIAG_INIT, *d = &w->errand->d;
    TRY(db_begin(w->base->db, d));
    err e = db_run(w->base->db, d, sql);
    if (e == ERR_OK) e = node_store_commit(w->base->db, d);
    if (e != ERR_OK) node_store_undo(w->base);
    if (node_store_own_reload(w->base, &unused) != ERR_OK) w->base->close = true;
    return e;
}
static err freeze(struct work *w) { return set_frozen(w, "insert or ignore into _orlo_meta (key, value) values ('frozen', 1)"); }
/* Who followed the changes of the other one has had numbers that are not here: they go on behind those, and all is other. */
static err thaw(struct work *w) {
    TRY(set_frozen(
        w, "insert into _orlo_changes (seq, at, relation, op, upto) select unixepoch() * 1000000, unixepoch() * 1000, 0, '*', "
           "coalesce(max(upto), 0) + 64 from _orlo_changes having coalesce(max(seq), 0) < unixepoch() * 1000000"));
    return set_frozen(w, "delete from _orlo_meta where key = 'frozen'");
}

/* Of the one that the app is on nothing goes: that one is not read alone. */
static err drop(struct work *w) {
    struct diag unused = DIAG_INIT, *d = &w->errand->d;
    struct db *db = w->base->db;
    if (!node_store_own_frozen(w->base)) return fail(w, ERR_INVALID, "it was not moved away from: the app is on it");
    TRY(node_store_own_forget(w->base, d));
    TRY(db_run(db, d, "pragma foreign_keys = off"));
    err e = db_begin(db, d);
    node_store_feed_stop(node_store_own_feed(w->base));
    if (e == ERR_OK) e = drop_all(w);
    if (e == ERR_OK) e = db_run(db, d, "delete from _orlo_changes");
    if (e == ERR_OK) e = db_run(db, d, "delete from _orlo_consumers");
    if (e == ERR_OK) e = node_store_commit(db, d);
    if (e != ERR_OK) node_store_undo(w->base);
    if (db_run(db, &unused, "pragma foreign_keys = on") != ERR_OK) w->base->close = true;
    if (node_store_own_reload(w->base, &unused) != ERR_OK) w->base->close = true;
    if (e == ERR_OK && db_run(db, &unused, "vacuum") != ERR_OK) /* it is empty all the same */
        log_event(LOG_ERROR, "data-log-not-merged", LF_CSTR("database", w->base->name), LF_CSTR("reason", unused.text));
    w->base->close = true; /* its log goes into its file, which becomes small by that */
    return e;
}

static err sums(struct work *w) {
    struct buf b = {0};
    err e = node_store_sums(w->base, w->mem, &b, &w->errand->d);
    if (e == ERR_OK) e = say(w, buf_str(&b));
    buf_free(&b);
    return e;
}

/* ---- which ---- */

void node_store_errand_do(struct store_base *base, struct store_ask *ask) {
    static err (*const does[NODE_DATA_DOES])(struct work * w) = {
        [NODE_DATA_STATE] = tell_state, [NODE_DATA_MIGRATE] = migrate, [NODE_DATA_RESET] = migrate, [NODE_DATA_DUMP] = dump,
        [NODE_DATA_QUERY] = query,      [NODE_DATA_EXPLAIN] = explain, [NODE_DATA_SQL] = sql,       [NODE_DATA_FREEZE] = freeze,
        [NODE_DATA_THAW] = thaw,        [NODE_DATA_FILL] = migrate,    [NODE_DATA_DROP] = drop,     [NODE_DATA_SUMS] = sums,
    };
    struct work w = {.base = base, .ask = ask, .errand = ask->errand, .mem = ask->mem};
    w.errand->e = does[w.errand->does] ? does[w.errand->does](&w) : fail(&w, ERR_UNSUPPORTED, "the store cannot do that");
    if (w.errand->e == ERR_LIMIT && base->late)
        w.errand->e = fail(&w, ERR_LIMIT, "it took longer than %u ms, and was undone", ask->ms_max);
}
