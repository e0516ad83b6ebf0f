/* conn: a database, a catalogue, and what statements call.
 *
 *   query_row(shape, …)   a row of what is embedded, as JSON text     query_rows(x)     rows of them, as a JSON array; of none []
 *   query_value(type, v)  a value as JSON text                        query_guard(n)    does trigger n hold in this statement?
 *   query_seen(a, …)      a row that is about to be written (row.c)
 *   query_refuse(n)       ends the statement with refusal n           pg_nextval(id) …  sequences, in the table _orlo_sequences
 */
#include "query/query_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

/* ---- JSON ---- */

/* A row or a value of a statement is made in what the connection keeps for that: there are as many as the statement has rows. */
static struct buf *begin_json(struct query_conn *conn, struct db_call *call) {
    conn->said.n = 0;
    conn->said.full = false;
    conn->said.max = db_call_value_bytes_max(call);
    return &conn->said;
}

static void answer_json(struct query_conn *conn, struct db_call *call, bool ok) {
    enum { KEPT_BYTES = 64 << 10 };
    if (!ok || conn->said.full) db_refuse(call, STR("a value cannot be said"));
    else db_answer(call, DB_TEXT(buf_str(&conn->said)));
    if (conn->said.cap > KEPT_BYTES) buf_free(&conn->said);
    arena_reset(conn->said_mem);
    if (arena_bytes(conn->said_mem) > KEPT_BYTES) arena_free(conn->said_mem), conn->said_mem = arena_new(0);
}

static void fn_row(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    uint64_t at = n && args[0].kind == DB_INTEGER ? (uint64_t)args[0].i : UINT64_MAX;
    struct buf *b = begin_json(conn, call);
    const struct query_statement *s = conn->statement;
    bool ok = s && at < s->shapes.n && s->shapes.p[at].count <= n - 1;
    answer_json(conn, call, ok && query_put_row(conn, &s->shapes.p[at], args + 1, b, conn->said_mem));
}

static void fn_value(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    struct buf *b = begin_json(conn, call);
    answer_json(conn, call, query_put_json(conn, (uint32_t)args[0].i, args[1], b, conn->said_mem));
    (void)n;
}

struct rows {
    char *p;
    size_t n, cap;
};

static bool rows_add(struct rows *r, str s) {
    if (r->n + s.n > r->cap) {
        size_t cap = MAX(r->cap * 2, r->n + s.n + 256);
        char *p = db_take(r->p, cap);
        if (!p) return false;
        r->p = p, r->cap = cap;
    }
    if (s.n) memcpy(r->p + r->n, s.p, s.n);
    r->n += s.n;
    return true;
}

static void rows_step(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct rows *r = state;
    str s = args[0].kind == DB_TEXTUAL ? args[0].s : STR("null");
    (void)arg, (void)n;
    if (r->n + s.n + 2 > db_call_value_bytes_max(call) || !rows_add(r, r->n ? STR(",") : STR("[")) || !rows_add(r, s))
        db_refuse(call, STR("an embedded answer is too large"));
}

static void rows_value(struct db_call *call, void *arg, void *state) {
    struct rows *r = state;
    (void)arg;
    if (!r->n) db_answer(call, DB_TEXT(STR("[]")));
    else if (rows_add(r, STR("]"))) db_answer(call, DB_TEXT(((str){(const uint8_t *)r->p, r->n--})));
    else db_refuse(call, STR("an embedded answer is too large"));
}

static void rows_end(void *arg, void *state) {
    (void)arg;
    db_give_back(((struct rows *)state)->p);
}

/* ---- checks ---- */

static void fn_guard(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    const struct query_conn *conn = arg;
    bool up = false;
    (void)n;
    for (uint32_t i = 0; i < QUERY_GUARDS; i++)
        up |= conn->guards[i] && args[0].kind == DB_INTEGER && args[0].i == conn->guards[i];
    db_answer(call, DB_I64(up));
}

static void fn_refuse(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    (void)n;
    if (args[0].i >= 0 && args[0].i < conn->refusals.n) {
        const struct query_refusal *r = &conn->refusals.p[args[0].i];
        str table = r->of->name;
        if (r->view) {
            if (r->existing)
                query_fail(&conn->raised, "55000", "conflicting row is not visible through view \"" STR_FMT "\"",
                           STR_ARG(r->view->name));
            else
                query_fail(&conn->raised, "44000", "new row violates check option for view \"" STR_FMT "\"",
                           STR_ARG(r->view->name));
        } else if (r->check) {
            query_fail(&conn->raised, "23514", "new row for relation \"" STR_FMT "\" violates check constraint \"" STR_FMT "\"",
                       STR_ARG(table), STR_ARG(r->check->name));
        } else if (r->policy) {
            query_fail(&conn->raised, "42501",
                       "new row violates row-level security policy \"" STR_FMT "\"%s for table \"" STR_FMT "\"",
                       STR_ARG(r->policy->name), r->existing ? " (USING expression)" : "", STR_ARG(table));
        } else {
            query_fail(&conn->raised, "42501", "new row violates row-level security policy%s for table \"" STR_FMT "\"",
                       r->existing ? " (USING expression)" : "", STR_ARG(table));
        }
    }
    db_refuse(call, STR("refused"));
}

static void fn_seen(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    query_row_seen(arg, args, n);
    db_answer(call, DB_NOTHING);
}

/* ---- sequences ---- */

static bool sequence_row(struct query_conn *conn, int64_t id, int64_t *last, bool *called) {
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    bool found = false;
    if (db_query(conn->db, &rows, &d, "select last, called from main._orlo_sequences where id = ?", DB_I64(id)) != ERR_OK)
        return false;
    if (db_next(rows)) found = true, *last = db_i64(rows, 0), *called = db_i64(rows, 1) != 0;
    return db_end(rows, &d) == ERR_OK && found;
}

static bool sequence_set(struct query_conn *conn, int64_t id, int64_t last, bool called, bool there) {
    struct diag d = DIAG_INIT;
    err e =
        there
            ? db_run(conn->db, &d, "update main._orlo_sequences set last = ?2, called = ?3 where id = ?1", DB_I64(id),
                     DB_I64(last), DB_I64(called))
            : db_run(conn->db, &d,
                     "insert into main._orlo_sequences (id, last, called) values (?, ?, ?) on conflict (id) do update set last = "
                     "excluded.last, called = excluded.called",
                     DB_I64(id), DB_I64(last), DB_I64(called));
    return e == ERR_OK || query_fail(&conn->raised, "55000", "a sequence cannot be written: %s", d.text);
}

/* What comes behind `last`. False: raised. */
static bool sequence_next(struct query_conn *conn, const struct catalog_sequence *s, int64_t last, int64_t *out) {
    bool up = s->increment > 0;
    if (!__builtin_add_overflow(last, s->increment, out) && *out <= s->max && *out >= s->min) return true;
    if (s->cycle) return *out = up ? s->min : s->max, true;
    return query_fail(&conn->raised, "2200H", "nextval: reached %s value of sequence \"" STR_FMT "\" (%lld)",
                      up ? "maximum" : "minimum", STR_ARG(s->name), (long long)(up ? s->max : s->min));
}

static const struct catalog_sequence *sequence_of(struct query_conn *conn, struct db_value v) {
    const struct catalog_sequence *s = v.kind == DB_INTEGER ? catalog_sequence_of(conn->catalog, (uint32_t)v.i) : NULL;
    if (!s) query_fail(&conn->raised, "42P01", "relation does not exist");
    return s;
}

static bool step_sequence(struct query_conn *conn, struct db_value id, int64_t *value) {
    if (conn->row_mem) { /* once more, and no sequence counts again */
        *value = conn->drawn_again < conn->drawn.n ? conn->drawn.p[conn->drawn_again++] : 0;
        return true;
    }
    const struct catalog_sequence *s = sequence_of(conn, id);
    bool called = true, walled = conn->walled;
    if (!s) return false;
    conn->walled = false;
    bool there = sequence_row(conn, id.i, value, &called), ok = true;
    if (!there) *value = s->start;
    else if (called) ok = sequence_next(conn, s, *value, value);
    ok = ok && sequence_set(conn, id.i, *value, true, there);
    conn->walled = walled;
    if (ok) vec_push(conn->seen_mem, &conn->drawn, *value);
    uint32_t at = 0; /* a block that is undone takes no number back (routine.c) */
    while (at < conn->reached_n && conn->reached[at].sequence != s->id) at++;
    if (ok && at < ARRAY_COUNT(conn->reached)) {
        conn->reached[at] = (struct query_reached){s->id, *value};
        conn->reached_n = MAX(conn->reached_n, at + 1);
    }
    conn->last_sequence = *value;
    conn->last_sequence_id = s->id;
    return ok;
}

void query_sequences_again(struct query_conn *conn) {
    for (uint32_t i = 0; i < conn->reached_n; i++) {
        bool walled = conn->walled;
        conn->walled = false;
        (void)!sequence_set(conn, conn->reached[i].sequence, conn->reached[i].last, true, false);
        conn->walled = walled;
    }
}

static void fn_nextval(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    int64_t value;
    (void)n;
    if (args[0].kind == DB_NULL) db_answer(call, DB_NOTHING);
    else if (step_sequence(arg, args[0], &value)) db_answer(call, DB_I64(value));
    else db_refuse(call, STR("nextval"));
}

static void fn_lastval(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    if (!conn->last_sequence_id || (n && args[0].i != conn->last_sequence_id)) {
        query_fail(&conn->raised, "55000", "%s is not yet defined in this session", n ? "currval" : "lastval");
        db_refuse(call, STR("currval"));
        return;
    }
    db_answer(call, DB_I64(conn->last_sequence));
}

static void fn_setval(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    for (uint32_t i = 0; i < n; i++)
        if (args[i].kind == DB_NULL) return db_answer(call, DB_NOTHING);
    bool walled = conn->walled, called = n < 3 || args[2].i;
    const struct catalog_sequence *s = sequence_of(conn, args[0]);
    conn->walled = false;
    bool ok = s && args[1].kind == DB_INTEGER && sequence_set(conn, s->id, args[1].i, called, false);
    conn->walled = walled;
    if (ok) db_answer(call, args[1]);
    else db_refuse(call, STR("setval"));
}

static void fn_trigger_depth(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    const struct query_conn *conn = arg;
    (void)args, (void)n;
    db_answer(call, DB_I64(conn->trigger_depth));
}

static err query_functions_add(struct query_conn *conn, struct diag *d) {
    const struct db_function functions[] = {
        {"query_row", -1, DB_FN_DETERMINISTIC, fn_row, conn},
        {"query_value", 2, DB_FN_DETERMINISTIC, fn_value, conn},
        {"query_guard", 1, DB_FN_DETERMINISTIC, fn_guard, conn},
        {"query_refuse", 1, 0, fn_refuse, conn},
        {"query_seen", -1, 0, fn_seen, conn},
        {"pg_nextval", 1, 0, fn_nextval, conn},
        {"pg_currval", 1, 0, fn_lastval, conn},
        {"pg_lastval", 0, 0, fn_lastval, conn},
        {"pg_setval", 2, 0, fn_setval, conn},
        {"pg_setval", 3, 0, fn_setval, conn},
        {"query_trigger_depth", 0, 0, fn_trigger_depth, conn},
        {"query_call", -1, 0, query_routine_call, conn},
        {"query_call_same", -1, DB_FN_DETERMINISTIC, query_routine_call, conn},
    };
    static_assert(sizeof functions == sizeof conn->functions);
    memcpy(conn->functions, functions, sizeof functions);
    conn->aggregates[0] =
        (struct db_aggregate){"query_rows", 1, 0, sizeof(struct rows), rows_step, NULL, rows_value, rows_end, NULL};
    conn->tables[0] = query_routine_table;
    conn->tables[1] = query_transition_table;
    conn->tables[2] = query_kept_table;
    conn->tables[0].arg = conn->tables[1].arg = conn->tables[2].arg = conn;
    TRY(db_add_table_functions(conn->db, conn->tables, ARRAY_COUNT(conn->tables), d));
    TRY(db_add_functions(conn->db, conn->functions, ARRAY_COUNT(conn->functions), d));
    return db_add_aggregates(conn->db, conn->aggregates, ARRAY_COUNT(conn->aggregates), d);
}

/* ---- a connection ---- */

static void make_token(char *to) {
    uint8_t bytes[(QUERY_TOKEN - 1) / 2];
    ENSURE(getrandom(bytes, sizeof bytes, 0) == (ssize_t)sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(to + 2 * i, 3, "%02x", bytes[i]);
}

static err drop_made(struct query_conn *conn, struct diag *d) {
    err e = ERR_OK;
    for (uint32_t i = conn->made.n; i--;) {
        if (!conn->made.p[i].drop.n) continue;
        err one = db_script(conn->db, arena_cstr(conn->mem, conn->made.p[i].drop), d);
        if (e == ERR_OK) e = one;
    }
    return e;
}

/* SQLite's own tables that are functions are made at their first use, and that would ask the wall about a schema that nobody sees: so they are used now. */
static err begin_tables(struct db *db, struct diag *d) {
    int64_t none;
    return db_one_i64(db, &none, d, "select (select count(*) from json_each('[]')) + (select count(*) from json_tree('[]'))");
}

static void begin_catalog(struct query_conn *conn, const struct catalog *c) {
    conn->mem = arena_new(0);
    conn->catalog = conn->system.catalog = c;
    conn->types = query_types_new(conn->mem, c);
    conn->views = conn->checks = conn->routines = conn->functions_by_id = (struct map){0};
    conn->deleting_fires = NULL;
    conn->made.p = NULL, conn->made.n = conn->made.cap = 0;
    conn->refusals.p = NULL, conn->refusals.n = conn->refusals.cap = 0;
    conn->touched.p = NULL, conn->touched.n = conn->touched.cap = 0;
    conn->guards_made = conn->remade = 0;
}

void query_conn_answer_max(struct query_conn *conn, uint64_t bytes) { conn->answer_max = bytes; }
void query_conn_stream(struct query_conn *conn, struct query_stream *s) { conn->stream = s; }
void query_conn_notices(struct query_conn *conn, void (*notice)(void *arg, bool warns, str text), void *arg) {
    conn->notice = notice, conn->notice_arg = arg;
}

err query_conn_new(struct db *db, const struct catalog *c, const struct query_options *options, struct query_conn **out,
                   struct diag *d) {
    struct query_conn *conn = calloc(1, sizeof *conn);
    ENSURE(conn);
    conn->db = db;
    conn->options = *options;
    if (!conn->options.bytes_max) conn->options.bytes_max = 64 * MiB;
    conn->answer_max = conn->options.bytes_max;
    conn->session.error = &conn->raised;
    make_token(conn->token);
    conn->seen_mem = arena_new(0);
    conn->said_mem = arena_new(0);
    begin_catalog(conn, c);
    err e = pg_register(db, &conn->session, d);
    if (e == ERR_OK) e = query_functions_add(conn, d);
    conn->system.session = &conn->session;
    if (e == ERR_OK) e = system_register(db, &conn->system, d);
    if (e == ERR_OK) e = begin_tables(db, d);
    if (e == ERR_OK) db_guard(db, query_wall, conn);
    if (e == ERR_OK) *out = conn;
    else query_conn_free(conn);
    return e;
}

err query_conn_catalog(struct query_conn *conn, const struct catalog *c, struct diag *d) {
    err e = drop_made(conn, d);
    query_scripts_free(conn);
    arena_free(conn->mem);
    make_token(conn->token); /* what could not be dropped is known no more */
    begin_catalog(conn, c);
    return e;
}

bool query_conn_worn(const struct query_conn *conn) {
    enum { REMADE_MAX = 1000 };
    return conn->remade > REMADE_MAX;
}

void query_conn_free(struct query_conn *conn) {
    if (!conn) return;
    db_guard(conn->db, NULL, NULL);
    query_scripts_free(conn);
    arena_free(conn->mem);
    arena_free(conn->seen_mem);
    arena_free(conn->said_mem);
    buf_free(&conn->said);
    free(conn);
}
