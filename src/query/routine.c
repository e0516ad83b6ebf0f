/* routine: compiled PL/pgSQL (catalog/routine.def) as it runs: a loop over instructions, each expression a statement of its own on the same connection.
 *
 *   a statement that calls ──> query_call(function, as whom, arguments …) ──> frame ──> its statements ──> query_call … (deeper)
 *
 * 1. A body's statements see what whoever runs it may see; those of a SECURITY DEFINER function what its owner may. current_user is that one meanwhile.
 * 2. What a statement above was about (its wall, guards, target) is put aside, and is as it was when the body is done.
 * 3. Rows are taken whole before a loop over them begins: what the loop writes does not change them.
 * 4. What is caught is undone to where its block began, if the block writes. 57014 is never caught, nor what ran out of stack.
 * 5. Depth, bytes of variables and rows, and time are bounded: 54001, 53200, 57014.
 */
#include "plpgsql/plpgsql.h"
#include "query/routine_int.h"
#include <stdio.h>
#include <stdlib.h>

bool query_frame_raised(struct frame *f, const char *state, const char *message) {
    return query_fail(&f->conn->raised, state, "%s", message);
}

/* ---- memory ---- */

bool query_frame_charge(struct frame *f, uint64_t bytes) {
    f->bytes += bytes;
    f->conn->routine_bytes += bytes;
    return f->conn->routine_bytes <= BYTES_MAX || query_frame_raised(f, "53200", "out of memory");
}

void query_frame_credit(struct frame *f, uint64_t bytes) {
    f->bytes -= bytes;
    f->conn->routine_bytes -= MIN(bytes, f->conn->routine_bytes);
}

bool query_frame_put(struct frame *f, uint32_t at, struct db_value v) {
    struct query_place *p = &f->places[at];
    if (v.kind < DB_TEXTUAL) return p->v = v, true;
    if (v.s.n > p->cap) {
        size_t cap = v.s.n + v.s.n / 4 + 16;
        if (!query_frame_charge(f, cap - p->cap)) return false;
        uint8_t *own = malloc(cap); /* v may be this place's own */
        ENSURE(own);
        memcpy(own, v.s.p, v.s.n);
        free(p->own);
        p->own = own, p->cap = cap;
    } else if (v.s.n) memmove(p->own, v.s.p, v.s.n);
    p->v = (struct db_value){.kind = v.kind, .s = {p->own, v.s.n}};
    return true;
}

void query_frame_cursor_close(struct frame *f, struct cursor *c) {
    if (c->mem) arena_free(c->mem);
    query_frame_credit(f, c->bytes);
    *c = (struct cursor){0};
}

bool query_frame_keep_row(struct frame *f, arena *mem, struct db_rows *rows, uint32_t columns, struct db_value **values,
                          uint32_t *n, uint32_t *cap, uint64_t *bytes) {
    uint64_t more = columns * sizeof(struct db_value) * 2;
    if (*n == *cap) {
        struct db_value *grown = arena_array(mem, struct db_value, (size_t)MAX(*cap * 2, 16u) * MAX(columns, 1u));
        if (*n) memcpy(grown, *values, (size_t)*n * columns * sizeof *grown);
        *values = grown, *cap = MAX(*cap * 2, 16u);
    }
    for (uint32_t i = 0; i < columns; i++) {
        struct db_value v = i < db_columns(rows) ? db_value(rows, i) : DB_NOTHING;
        if (v.kind >= DB_TEXTUAL) more += v.s.n, v.s = arena_str(mem, v.s);
        (*values)[(size_t)*n * columns + i] = v;
    }
    ++*n;
    *bytes += more;
    return query_frame_charge(f, more);
}

/* ---- statements ---- */

static bool made(struct frame *f, uint32_t e, bool query, struct made **out) {
    struct loaded *l = f->loaded;
    struct made *m = *out = &l->made[e];
    if (l->generation != f->conn->made_generation) {
        for (uint32_t i = 0; i < l->code->statements.n; i++) l->made[i].there = false;
        l->generation = f->conn->made_generation;
    }
    if (m->there) {
        if (m->touches) query_wall_touch(f->conn, m->touches);
        return true;
    }
    struct buf b = {.max = 4 << 20};
    m->places = (struct query_places){.mem = f->conn->mem};
    struct query_expanding x = {.conn = f->conn,
                                .at = QUERY_AT_VALUES,
                                .role = f->role,
                                .definer = f->definer,
                                .arguments_count = l->code->places,
                                .places = &m->places,
                                .writes = true};
    if (!query) buf_puts(&b, STR("select "));
    bool ok = query_schemas_hold(&x, &l->code->statements.p[e], &f->conn->raised) &&
              query_expand(&x, l->code->statements.p[e].text, &b, &f->conn->raised);
    if (ok && b.full) ok = query_frame_raised(f, "54001", "statement is too complex");
    if (ok) m->sql = arena_str(f->conn->mem, buf_str(&b)), m->there = true;
    m->touches = query_change_target(&x, l->code->statements.p[e].text);
    buf_free(&b);
    if (!ok) return false;
    query_routine_warm(f->conn, m->sql);
    m->scalar = NULL;
    if (!query) m->scalar = query_scalar_new(f->conn->mem, f->conn->db, str_sub(m->sql, strlen("select "), m->sql.n), &m->places);
    return true;
}

/* ---- before a statement that calls is run ----
 *
 * A TEMP view that is made while a statement runs ends that one (SQLite expires it). So all that bodies may come to is made before: views, checks, and what
 * those call in turn. What cannot be made is not told now: whoever comes to it is. */

static struct loaded *load(struct query_conn *conn, const struct catalog_routine *code, uint32_t role);
static void warm(struct query_conn *conn, str sql, uint32_t depth);
static const struct catalog_routine *code_of(struct query_conn *conn, const struct catalog_function *f);
enum { WARM_MAX = 24 };

static void warm_code(struct query_conn *conn, const struct catalog_function *fn, const struct catalog_routine *code,
                      uint32_t role, uint32_t depth) {
    uint32_t runs = fn->definer ? fn->owner : role, current = conn->current;
    const struct catalog_role *who = catalog_role_of(conn->catalog, runs);
    struct loaded *l = load(conn, code, runs);
    str name = conn->session.role;
    if (!code->code.n || depth > WARM_MAX || (l->warm && l->warm_generation == conn->made_generation)) return;
    l->warm = true, l->warm_generation = conn->made_generation;
    conn->current = runs;
    if (who) conn->session.role = who->name;
    for (uint32_t i = 0; i < code->statements.n; i++) {
        struct query_expanding x = {.conn = conn,
                                    .at = QUERY_AT_VALUES,
                                    .role = runs,
                                    .definer = fn->definer ? fn->owner : 0,
                                    .arguments_count = code->places,
                                    .writes = true};
        struct pg_error ignored = {0};
        struct buf b = {.max = 4 << 20};
        const struct catalog_relation *of = NULL;
        if (code->statements.p[i].flags & CATALOG_WRITES) of = query_change_warm(&x, code->statements.p[i].text);
        for (uint32_t k = 0; of && k < of->triggers.n; k++) {
            const struct catalog_function *t = query_routine_function(conn, of->triggers.p[k].function);
            if (t) warm_code(conn, t, &of->triggers.p[k].routine, runs, depth + 1);
        }
        if (query_expand(&x, code->statements.p[i].text, &b, &ignored)) warm(conn, buf_str(&b), depth + 1);
        buf_free(&b);
    }
    conn->current = current;
    conn->session.role = name;
}

/* Calls in a text: name(function, as whom … */
static void warm(struct query_conn *conn, str sql, uint32_t depth) {
    static const char *const names[] = {"query_call(", "query_call_same(", "query_table("};
    for (size_t k = 0; k < ARRAY_COUNT(names); k++) {
        str rest = sql;
        for (const uint8_t *at; rest.n && (at = memmem(rest.p, rest.n, names[k], strlen(names[k])));) {
            uint64_t id = 0, as = 0;
            size_t i = (size_t)(at - rest.p) + strlen(names[k]);
            for (; i < rest.n && rest.p[i] >= '0' && rest.p[i] <= '9' && id <= UINT32_MAX; i++)
                id = id * 10 + (uint64_t)(rest.p[i] - '0');
            for (; i < rest.n && (rest.p[i] == ',' || rest.p[i] == ' '); i++) {}
            for (; i < rest.n && rest.p[i] >= '0' && rest.p[i] <= '9' && as <= UINT32_MAX; i++)
                as = as * 10 + (uint64_t)(rest.p[i] - '0');
            const struct catalog_function *f = query_routine_function(conn, (uint32_t)id);
            if (f) warm_code(conn, f, code_of(conn, f), as ? (uint32_t)as : conn->current, depth);
            rest = str_sub(rest, i, rest.n);
        }
    }
}

void query_routine_warm(struct query_conn *conn, str sql) {
    struct pg_error raised = conn->raised;
    bool walled = conn->walled;
    if (!sql.n || !memmem(sql.p, sql.n, "query_", 6)) return;
    warm(conn, sql, 0);
    conn->raised = raised;
    conn->walled = walled;
}

static const char *verb_of(str text) {
    static const char *const verbs[] = {"insert into", "update ", "delete from"}, *const names[] = {"INSERT", "UPDATE", "DELETE"};
    size_t best = SIZE_MAX, which = 0;
    for (size_t i = 0; i < ARRAY_COUNT(verbs); i++) {
        const uint8_t *at = text.n ? memmem(text.p, text.n, verbs[i], strlen(verbs[i])) : NULL;
        if (at && (size_t)(at - text.p) < best) best = (size_t)(at - text.p), which = i;
    }
    return names[which];
}

bool query_frame_may_write(struct frame *f, const struct catalog_fragment *s) {
    if (!(s->flags & CATALOG_WRITES)) return true;
    if (f->f->volatility != CATALOG_IS_VOLATILE)
        return query_fail(&f->conn->raised, "0A000", "%s is not allowed in a non-volatile function", verb_of(s->text));
    if (f->conn->reads_only)
        return query_fail(&f->conn->raised, "25006", "cannot execute %s in a read-only transaction", verb_of(s->text));
    return true;
}

static const struct query called = {.kind = QUERY_CALL};

bool query_frame_failed(struct frame *f, err e, const struct diag *d) {
    query_failed(f->conn, &called, e, d, &f->conn->raised);
    f->said = (struct diag)DIAG_INIT;
    return false;
}

static bool begin(struct frame *f, uint32_t e, bool query, struct db_rows **rows) {
    struct db_value few[32], *values = few;
    struct made *m;
    struct diag d = DIAG_INIT;
    if (!query_frame_may_write(f, &f->loaded->code->statements.p[e]) || !made(f, e, query, &m)) return false;
    uint32_t n = m->places.list.n;
    if (n > ARRAY_COUNT(few)) {
        values = calloc(n, sizeof *values);
        ENSURE(values);
    }
    for (uint32_t i = 0; i < n; i++) values[i] = f->places[m->places.list.p[i]].v;
    query_wall_up(f->conn);
    err got = db_query_values(f->conn->db, m->sql, values, n, rows, &d);
    f->conn->walled = false;
    if (values != few) free(values);
    return got == ERR_OK || query_frame_failed(f, got, &d);
}

bool query_frame_finish(struct frame *f, struct db_rows *rows, bool ok) {
    struct diag d = DIAG_INIT;
    err e = db_end(rows, &d);
    if (e != ERR_OK) return query_frame_failed(f, e, &d);
    return ok;
}

/* Without a statement. *done: it needed none. False: it failed. */
static bool evaluate_here(struct frame *f, uint32_t e, struct db_value *v, bool *done) {
    struct made *m;
    *done = false;
    if (!made(f, e, false, &m)) return false;
    if (!m->scalar) return true;
    if (!f->scratch) f->scratch = arena_new(BYTES_MAX);
    arena_reset(f->scratch);
    err got = query_scalar_run(f->conn, m->scalar, f->places, f->scratch, v, &f->said);
    if (got == ERR_UNSUPPORTED) return m->scalar = NULL, true;
    *done = true;
    return got == ERR_OK || query_frame_failed(f, got, &f->said);
}

static bool evaluate(struct frame *f, uint32_t e, uint32_t to) {
    struct db_rows *rows;
    struct db_value v;
    bool done;
    if (!evaluate_here(f, e, &v, &done)) return false;
    if (done) return query_frame_put(f, to, v);
    if (!begin(f, e, false, &rows)) return false;
    bool ok = true;
    if (db_next(rows)) ok = query_frame_put(f, to, db_value(rows, 0));
    return query_frame_finish(f, rows, ok);
}

static bool is_true(struct frame *f, uint32_t e, bool *out) {
    struct db_rows *rows;
    struct db_value v;
    bool done;
    if (!evaluate_here(f, e, &v, &done)) return false;
    if (done) return *out = v.kind == DB_INTEGER && v.i, true;
    if (!begin(f, e, false, &rows)) return false;
    *out = db_next(rows) && db_i64(rows, 0) != 0;
    return query_frame_finish(f, rows, true);
}

static struct db_value value_at(void *arg, uint32_t place) {
    struct frame *f = arg;
    return f->places[place].v;
}

/* Is it a statement that is to be run row by row? */
static bool is_change(struct frame *f, uint32_t e) {
    const struct catalog_fragment *s = &f->loaded->code->statements.p[e];
    struct query_expanding x = {.conn = f->conn, .role = f->role, .definer = f->definer};
    return s->flags & CATALOG_WRITES && query_change_needed(&x, s->text);
}

static bool change(struct frame *f, uint32_t e, struct query_change *c) {
    struct query_expanding x = {.conn = f->conn,
                                .at = QUERY_AT_VALUES,
                                .role = f->role,
                                .definer = f->definer,
                                .arguments_count = f->loaded->code->places};
    const struct catalog_fragment *s = &f->loaded->code->statements.p[e];
    *c = (struct query_change){.conn = f->conn, .mem = arena_new(0)};
    return query_frame_may_write(f, s) && query_schemas_hold(&x, s, &f->conn->raised) &&
           query_change_statement(c, &x, s->text, value_at, f);
}

void query_frame_set_found(struct frame *f, bool found) { f->places[0].v = DB_I64(found); }

static bool one_row(struct frame *f, struct db_rows *rows, const uint32_t *op) {
    for (uint32_t i = 0; i < op[3]; i++)
        if (!query_frame_put(f, op[2] + i, i < db_columns(rows) ? db_value(rows, i) : DB_NOTHING)) return false;
    return true;
}

bool query_frame_too_many(struct frame *f) {
    query_frame_raised(f, "P0003", "query returned more than one row");
    query_fail_hint(&f->conn->raised, "Make sure the query returns a single row, or use LIMIT 1.");
    return false;
}

static bool run_change(struct frame *f, const uint32_t *op) {
    struct query_change c;
    bool ok = change(f, op[1], &c);
    bool into = op[4] & CATALOG_RUN_INTO;
    if (ok && into && c.rows.list.n > 1) ok = query_frame_too_many(f);
    if (ok && into && !c.rows.list.n && op[4] & CATALOG_RUN_STRICT) ok = query_frame_raised(f, "P0002", "query returned no rows");
    for (uint32_t i = 0; ok && into && i < op[3]; i++)
        ok = query_frame_put(f, op[2] + i, c.rows.list.n && i < c.rows.columns ? c.rows.list.p[0][i] : DB_NOTHING);
    f->rows = c.affected;
    query_frame_set_found(f, f->rows);
    arena_free(c.mem);
    return ok;
}

/* A key said no to a statement that was run whole, and SQLite does not say which. */
static bool named_key(struct frame *f, uint32_t e) {
    struct query_expanding x = {.conn = f->conn,
                                .at = QUERY_AT_VALUES,
                                .role = f->role,
                                .definer = f->definer,
                                .arguments_count = f->loaded->code->places};
    query_change_name_key(&x, &f->loaded->code->statements.p[e], value_at, f, &f->conn->raised);
    return false;
}

static bool run_statement(struct frame *f, const uint32_t *op) {
    if (is_change(f, op[1])) return run_change(f, op);
    struct db_rows *rows;
    uint64_t n = 0;
    bool ok = true, writes = f->loaded->code->statements.p[op[1]].flags & CATALOG_WRITES;
    if (!begin(f, op[1], true, &rows)) return named_key(f, op[1]);
    while (ok && db_next(rows)) {
        if (!n++ && op[4] & CATALOG_RUN_INTO) ok = one_row(f, rows, op);
        if (n > 1 && op[4] & CATALOG_RUN_INTO && op[4] & (CATALOG_RUN_STRICT | CATALOG_RUN_ONE)) ok = query_frame_too_many(f);
        if (op[4] & CATALOG_RUN_INTO && op[4] & CATALOG_RUN_QUERY && !(op[4] & CATALOG_RUN_STRICT)) break;
    }
    if (!query_frame_finish(f, rows, ok)) return named_key(f, op[1]);
    if (op[4] & CATALOG_RUN_INTO && !n)
        for (uint32_t i = 0; i < op[3]; i++) f->places[op[2] + i].v = DB_NOTHING;
    if (!n && op[4] & CATALOG_RUN_STRICT) return query_frame_raised(f, "P0002", "query returned no rows");
    f->rows = writes ? db_changed(f->conn->db) : n;
    query_frame_set_found(f, f->rows);
    return true;
}

enum { CURSOR_NEVER, CURSOR_OPEN, CURSOR_CLOSED };
struct cursor *query_frame_cursor(struct frame *f, uint32_t i) {
    if (!f->cursors) {
        f->cursors = calloc(CATALOG_CURSORS_MAX, sizeof *f->cursors);
        ENSURE(f->cursors);
    }
    return &f->cursors[i];
}

static bool open_cursor(struct frame *f, const uint32_t *op) {
    struct cursor *c = query_frame_cursor(f, op[1]);
    struct db_rows *rows;
    query_frame_cursor_close(f, c);
    if (is_change(f, op[2])) {
        struct query_change done;
        bool went = change(f, op[2], &done);
        *c = (struct cursor){.mem = done.mem, .columns = done.rows.columns, .n = done.rows.list.n};
        c->values = arena_array(c->mem, struct db_value, (size_t)c->n * c->columns + 1);
        for (uint32_t i = 0; i < c->n; i++)
            memcpy(c->values + (size_t)i * c->columns, done.rows.list.p[i], c->columns * sizeof *c->values);
        return went;
    }
    if (!begin(f, op[2], true, &rows)) return false;
    *c = (struct cursor){.mem = arena_new(0), .columns = db_columns(rows)};
    bool ok = true;
    while (ok && db_next(rows)) ok = query_frame_keep_row(f, c->mem, rows, c->columns, &c->values, &c->n, &c->cap, &c->bytes);
    return query_frame_finish(f, rows, ok);
}

/* False: it failed; *more: there was one. */
static bool next_row(struct frame *f, const uint32_t *op, bool *more) {
    struct cursor *c = query_frame_cursor(f, op[1]);
    *more = c->at < c->n;
    for (uint32_t i = 0; *more && i < op[3]; i++)
        if (!query_frame_put(f, op[2] + i, i < c->columns ? c->values[(size_t)c->at * c->columns + i] : DB_NOTHING)) return false;
    c->at += *more;
    return true;
}

/* One more row of what it gives. */
static struct db_value *room_for(struct query_routine_rows *to, uint64_t *bytes) {
    *bytes += to->columns * sizeof(struct db_value) * 2;
    if (to->n == to->cap) {
        struct db_value *grown = arena_array(to->mem, struct db_value, (size_t)MAX(to->cap * 2, 4u) * MAX(to->columns, 1u));
        if (to->n) memcpy(grown, to->values, (size_t)to->n * to->columns * sizeof *grown);
        to->values = grown, to->cap = MAX(to->cap * 2, 4u);
    }
    return to->values + (size_t)to->n++ * to->columns;
}

static bool give(struct frame *f, uint32_t place, uint32_t n) {
    struct query_routine_rows *to = f->result;
    uint64_t bytes = 0;
    struct db_value *row = room_for(to, &bytes);
    for (uint32_t i = 0; i < to->columns; i++) {
        struct db_value v = i < n ? f->places[place + i].v : DB_NOTHING;
        if (v.kind >= DB_TEXTUAL) bytes += v.s.n, v.s = arena_str(to->mem, v.s);
        row[i] = v;
    }
    return query_frame_charge(f, bytes);
}

/* RETURN QUERY of a statement that is run row by row. */
static bool give_changed(struct frame *f, const uint32_t *op) {
    struct query_change c;
    struct query_routine_rows *to = f->result;
    bool ok = change(f, op[1], &c);
    for (uint32_t i = 0; ok && i < c.rows.list.n; i++) {
        uint64_t bytes = 0;
        struct db_value *row = room_for(to, &bytes);
        for (uint32_t k = 0; k < to->columns; k++) {
            struct db_value v = k < c.rows.columns ? c.rows.list.p[i][k] : DB_NOTHING;
            if (v.kind >= DB_TEXTUAL) bytes += v.s.n, v.s = arena_str(to->mem, v.s);
            row[k] = v;
        }
        ok = query_frame_charge(f, bytes);
    }
    f->rows = c.rows.list.n;
    query_frame_set_found(f, f->rows);
    arena_free(c.mem);
    return ok;
}

static bool give_query(struct frame *f, const uint32_t *op) {
    struct db_rows *rows;
    struct query_routine_rows *to = f->result;
    uint64_t bytes = 0, before = to->n;
    bool ok = true;
    if (is_change(f, op[1])) return give_changed(f, op);
    if (!begin(f, op[1], true, &rows)) return false;
    while (ok && db_next(rows)) ok = query_frame_keep_row(f, to->mem, rows, to->columns, &to->values, &to->n, &to->cap, &bytes);
    if (!query_frame_finish(f, rows, ok)) return named_key(f, op[1]);
    f->rows = to->n - before;
    query_frame_set_found(f, f->rows);
    return true;
}

/* ---- cursors of variables ---- */

/* Is it open, as it is to be? 0: it is to be closed; 1: it is to be; 2, 3 (a bound one): its block begins. */
static bool must_cursor(struct frame *f, const uint32_t *op) {
    uint8_t *state = &f->states[op[1]];
    struct db_rows *rows;
    char name[128] = "";
    if (op[2] >= 2)
        return query_frame_cursor_close(f, query_frame_cursor(f, op[1])), *state = op[2] == 2 ? CURSOR_NEVER : CURSOR_CLOSED,
                                                                          true;
    if (op[2] == (*state == CURSOR_OPEN)) return true;
    if (!begin(f, op[3], false, &rows)) return false;
    if (db_next(rows)) snprintf(name, sizeof name, STR_FMT, (int)MIN(db_str(rows, 0).n, 63u), (const char *)db_str(rows, 0).p);
    if (!query_frame_finish(f, rows, true)) return false;
    if (op[2] == 0) return query_fail(&f->conn->raised, "42P03", "cursor \"%s\" already in use", name);
    if (*state == CURSOR_NEVER) return query_fail(&f->conn->raised, "22004", "cursor variable \"%s\" is null", name);
    return query_fail(&f->conn->raised, "34000", "cursor \"%s\" does not exist", name);
}

static int64_t clamp(int64_t v, int64_t most) { return v < 0 ? 0 : v > most ? most : v; }

/* Rows are counted from 1: 0 is before the first, n + 1 behind the last. */
static void seek_cursor(struct frame *f, const uint32_t *op) {
    struct cursor *c = query_frame_cursor(f, op[1]);
    bool moves = op[2] >= 100;
    int64_t by = op[3] == UINT32_MAX ? 1 : f->places[op[3]].v.i, n = c->n, at = MIN((int64_t)c->at, n + 1), to = at;
    switch ((enum plpgsql_seek)(op[2] % 100)) {
    case PLPGSQL_SEEK_NEXT: to = clamp(at + 1, n + 1); break;
    case PLPGSQL_SEEK_PRIOR: to = clamp(at - 1, n + 1); break;
    case PLPGSQL_SEEK_FIRST: to = n ? 1 : n + 1; break;
    case PLPGSQL_SEEK_LAST: to = n; break;
    case PLPGSQL_SEEK_ABSOLUTE: to = clamp(by < 0 ? n + 1 + by : by, n + 1); break;
    case PLPGSQL_SEEK_RELATIVE:
    case PLPGSQL_SEEK_FORWARD: to = clamp(at + by, n + 1); break;
    case PLPGSQL_SEEK_BACKWARD: to = clamp(at - by, n + 1); break;
    case PLPGSQL_SEEK_FORWARD_ALL: to = n + 1; break;
    case PLPGSQL_SEEK_BACKWARD_ALL: to = 0; break;
    case PLPGSQL_SEEKS: break;
    }
    bool there = to >= 1 && to <= n, many = moves && op[2] % 100 >= PLPGSQL_SEEK_FORWARD;
    int64_t passed = 0;
    if (many) { /* rows that it came to on its way */
        passed = to > at ? MIN(to, n) - at : to < at ? at - MAX(to, 1) : 0;
        passed = MAX(passed, 0);
    }
    c->at = (uint32_t)to;
    f->rows = many ? (uint64_t)passed : there;
    query_frame_set_found(f, f->rows);
}

/* ---- instructions ---- */

static bool step_counter(struct frame *f, const uint32_t *op) {
    int64_t v = f->places[op[1]].v.i, by = f->places[op[2]].v.i, next = op[3] ? v - by : v + by;
    f->places[op[1]].v = DB_I64(next);
    return next >= INT32_MIN && next <= INT32_MAX;
}

enum went { WENT_ON, WENT_WRONG, WENT_OUT };

static enum went step(struct frame *f, const uint32_t *op, uint32_t *at) {
    bool ok = true, is = false;
    uint32_t to = *at + 1;
    switch ((enum catalog_op)op[0]) {
    case CATALOG_OP_SET:
        ok = query_text_late(f, op[2]) ? query_text_late_value(f, query_text_late(f, op[2]), op[1], NULL)
                                       : evaluate(f, op[2], op[1]);
        break;
    case CATALOG_OP_COPY:
        for (uint32_t i = 0; ok && i < op[3]; i++) ok = query_frame_put(f, op[1] + i, f->places[op[2] + i].v);
        break;
    case CATALOG_OP_CLEAR:
        for (uint32_t i = 0; i < op[2]; i++) f->places[op[1] + i].v = DB_NOTHING;
        break;
    case CATALOG_OP_NOT_NULL:
        if (f->places[op[1]].v.kind != DB_NULL) break;
        ok = evaluate(f, op[2], op[1]) && query_fail(&f->conn->raised, "22004", STR_FMT, STR_ARG(query_frame_text(f, op[1])));
        break;
    case CATALOG_OP_JUMP: to = op[1]; break;
    case CATALOG_OP_UNLESS:
        ok = query_text_late(f, op[1]) ? query_text_late_value(f, query_text_late(f, op[1]), 0, &is) : is_true(f, op[1], &is);
        if (!is) to = op[2];
        break;
    case CATALOG_OP_RUN:
        ok = query_text_late(f, op[1]) ? query_text_late_statement(f, query_text_late(f, op[1]), op) : run_statement(f, op);
        break;
    case CATALOG_OP_OPEN:
        ok = query_text_late(f, op[2])
                 ? query_text_open_script(f, op[1], query_text_late_script(f, query_text_late(f, op[2]), CATALOG_TEXT_ROWS))
                 : open_cursor(f, op);
        f->states[op[1]] = ok ? CURSOR_OPEN : f->states[op[1]];
        break;
    case CATALOG_OP_NEXT:
        ok = next_row(f, op, &is);
        if (!is) to = op[4];
        break;
    case CATALOG_OP_CLOSE:
        query_frame_cursor_close(f, query_frame_cursor(f, op[1]));
        f->states[op[1]] = CURSOR_CLOSED;
        break;
    case CATALOG_OP_PAST:
        is = op[3] ? f->places[op[1]].v.i < f->places[op[2]].v.i : f->places[op[1]].v.i > f->places[op[2]].v.i;
        if (is) to = op[4];
        break;
    case CATALOG_OP_STEP:
        if (!step_counter(f, op)) to = op[4];
        break;
    case CATALOG_OP_RAISE: ok = query_frame_raise(f, op); break;
    case CATALOG_OP_RERAISE:
    case CATALOG_OP_THROW: ok = query_frame_throw(f); break;
    case CATALOG_OP_TRY: ok = query_frame_try(f, op); break;
    case CATALOG_OP_LEAVE: ok = query_frame_leave(f, op[1]); break;
    case CATALOG_OP_CATCH:
        ok = query_frame_catch(f, op, &is);
        if (!is) to = op[3];
        break;
    case CATALOG_OP_STACKED: ok = query_frame_stacked(f, op); break;
    case CATALOG_OP_ROW_COUNT: f->places[op[1]].v = DB_I64(f->rows); break;
    case CATALOG_OP_RETURN: return query_frame_leave(f, f->tries_n) && give(f, op[1], op[2]) ? WENT_OUT : WENT_WRONG;
    case CATALOG_OP_RETURN_NULL: return f->result->null = true, query_frame_leave(f, f->tries_n) ? WENT_OUT : WENT_WRONG;
    case CATALOG_OP_GIVE: ok = give(f, op[1], op[2]); break;
    case CATALOG_OP_GIVE_QUERY:
        ok = query_text_late(f, op[1])
                 ? query_text_give_script(f, query_text_late_script(f, query_text_late(f, op[1]), CATALOG_TEXT_RESULT))
                 : give_query(f, op);
        break;
    case CATALOG_OP_ARGUMENT:
        vec_push(f->mem, &f->argument_places, op[1]);
        if (op[2] != CATALOG_GOES_ON) vec_push(f->mem, &f->argument_types, op[2] ? op[2] : query_text_type(f, op[1]));
        break;
    case CATALOG_OP_WANT: vec_push(f->mem, &f->want, ((struct catalog_field){{0}, op[1], (int32_t)op[2] - 1})); break;
    case CATALOG_OP_EXECUTE: ok = query_text_execute(f, op); break;
    case CATALOG_OP_NEXT_RECORD:
        ok = query_text_next(f, op, &is);
        if (!is) to = op[4];
        break;
    case CATALOG_OP_OPEN_TEXT:
        ok = query_text_open(f, op);
        f->states[op[1]] = ok ? CURSOR_OPEN : f->states[op[1]];
        break;
    case CATALOG_OP_GIVE_TEXT: ok = query_text_give(f, op); break;
    case CATALOG_OP_MUST: ok = must_cursor(f, op); break;
    case CATALOG_OP_SEEK: seek_cursor(f, op); break;
    case CATALOG_OP_ROW: ok = query_text_cursor_row(f, op); break;
    case CATALOG_OP_COUNT: break;
    case CATALOG_OP_NO_RETURN:
        ok = query_frame_raised(f, "2F005",
                                op[1] ? "control reached end of trigger procedure without RETURN"
                                      : "control reached end of function without RETURN");
        break;
    }
    *at = to;
    return ok ? WENT_ON : WENT_WRONG;
}

static bool run(struct frame *f) {
    const uint32_t *code = f->loaded->code->code.p;
    uint32_t at = 0, n = f->loaded->code->code.n / CATALOG_OP_WIDTH;
    for (;;) {
        if (at >= n) return query_frame_raised(f, "XX000", "a function runs past its end");
        enum went went = WENT_WRONG;
        if (++f->steps % STEPS || db_goes_on(f->conn->db)) went = step(f, code + (size_t)at * CATALOG_OP_WIDTH, &at);
        else query_frame_raised(f, "57014", "canceling statement due to statement timeout");
        if (went == WENT_OUT) return true;
        if (went == WENT_WRONG && !query_frame_unwind(f, &at)) return false;
    }
}

/* ---- a call ---- */

static struct loaded *load(struct query_conn *conn, const struct catalog_routine *code, uint32_t role) {
    struct {
        uint64_t code, role;
    } whose = {(uint64_t)(uintptr_t)code, role};
    str key = {(const uint8_t *)&whose, sizeof whose};
    uint64_t there;
    if (map_get(&conn->routines, key, &there)) return (struct loaded *)(uintptr_t)there;
    struct loaded *l = arena_make(conn->mem, struct loaded);
    *l = (struct loaded){.code = code, .generation = conn->made_generation};
    l->made = arena_array(conn->mem, struct made, code->statements.n + 1);
    memset(l->made, 0, (code->statements.n + 1) * sizeof *l->made);
    map_put(conn->mem, &conn->routines, arena_str(conn->mem, key), (uint64_t)(uintptr_t)l);
    return l;
}

/* What the statement above is about, while another one runs within it. */
struct above {
    bool walled;
    uint32_t guards[QUERY_GUARDS], current;
    const struct query_statement *statement;
    const struct catalog_relation *target;
    struct query_touch *touched;
    uint32_t touched_n;
    str role;
};

static void put_aside(struct query_conn *conn, struct above *a) {
    *a = (struct above){.walled = conn->walled,
                        .current = conn->current,
                        .statement = conn->statement,
                        .target = conn->target,
                        .touched_n = conn->touched.n,
                        .role = conn->session.role};
    memcpy(a->guards, conn->guards, sizeof a->guards);
    memset(conn->guards, 0, sizeof conn->guards);
    if (a->touched_n) {
        a->touched = malloc(a->touched_n * sizeof *a->touched);
        ENSURE(a->touched);
        memcpy(a->touched, conn->touched.p, a->touched_n * sizeof *a->touched);
    }
    conn->touched.n = 0;
    conn->target = NULL;
    conn->statement = NULL;
}

static void take_back(struct query_conn *conn, struct above *a) {
    conn->walled = a->walled;
    conn->current = a->current;
    conn->statement = a->statement;
    conn->target = a->target;
    conn->session.role = a->role;
    memcpy(conn->guards, a->guards, sizeof a->guards);
    conn->touched.n = 0;
    for (uint32_t i = 0; i < a->touched_n; i++) vec_push(conn->mem, &conn->touched, a->touched[i]);
    free(a->touched);
}

static bool begin_frame(struct frame *f, const struct db_value *args, uint32_t n) {
    const struct catalog_routine *code = f->loaded->code;
    f->places = calloc(code->places, sizeof *f->places);
    ENSURE(f->places);
    for (uint32_t i = 0; i < code->places; i++) f->places[i].v = DB_NOTHING;
    bool ok = query_frame_charge(f, code->places * sizeof *f->places);
    for (uint32_t i = 0; ok && i < n && i + 1 < code->places; i++) ok = query_frame_put(f, i + 1, args[i]);
    return ok;
}

static void end_frame(struct frame *f) {
    for (uint32_t i = 0; f->cursors && i < CATALOG_CURSORS_MAX; i++) query_frame_cursor_close(f, &f->cursors[i]);
    for (uint32_t i = 0; i < f->loaded->code->places; i++) free(f->places[i].own);
    for (uint32_t i = 0; i < f->records.n; i++)
        if (f->records.p[i].mem) arena_free(f->records.p[i].mem);
    free(f->cursors);
    free(f->places);
    query_frame_credit(f, f->bytes);
    arena_free(f->mem);
    arena_free(f->scratch);
}

/* SET a.b = … of the function holds within it. values: what was before, where it was set. */
static bool set_own(struct query_conn *conn, const struct catalog_function *fn, str *values) {
    for (uint32_t i = 0; i < fn->settings.n; i++) {
        str name, value;
        if (!str_cut(fn->settings.p[i], '=', &name, &value) || !memchr(name.p, '.', name.n)) continue;
        const struct pg_setting *was = pg_setting_of(&conn->session, name);
        values[i] = was ? was->value : (str){0};
        if (!pg_setting_put(&conn->session, name, value.p ? value : STR(""), true))
            return query_fail(&conn->raised, "54000", "more settings than a session may have");
    }
    return true;
}

static void set_back(struct query_conn *conn, const struct catalog_function *fn, const str *values) {
    for (uint32_t i = 0; i < fn->settings.n; i++) {
        str name, value;
        if (str_cut(fn->settings.p[i], '=', &name, &value) && memchr(name.p, '.', name.n))
            (void)pg_setting_put(&conn->session, name, values[i], true);
    }
}

/* args go to the places behind FOUND. */
static bool call_code(struct query_conn *conn, const struct catalog_function *fn, const struct catalog_routine *code,
                      uint32_t role, const struct db_value *args, uint32_t n, struct query_routine_rows *out) {
    struct above above;
    if (conn->routine_depth >= DEPTH_MAX || !db_goes_deeper()) {
        query_fail(&conn->raised, "54001", "stack depth limit exceeded");
        return false;
    }
    uint32_t runs = fn->definer ? fn->owner : role;
    const struct catalog_role *who = catalog_role_of(conn->catalog, runs);
    struct frame *f = calloc(1, sizeof *f);
    ENSURE(f);
    *f = (struct frame){.conn = conn,
                        .f = fn,
                        .loaded = load(conn, code, runs),
                        .role = runs,
                        .definer = fn->definer ? fn->owner : 0,
                        .mem = arena_new(0),
                        .said = DIAG_INIT,
                        .result = out};
    if (conn->firing && code == &conn->firing->routine) f->trigger = conn->firing, f->rows_of = conn->firing_of;
    conn->firing = NULL;
    put_aside(conn, &above);
    conn->routine_depth++;
    conn->current = runs;
    if (who) conn->session.role = who->name; /* what is made for a role is made for who asks, too (policy.c) */
    const struct frame *outer = conn->frame;
    conn->frame = f;
    str *values = fn->settings.n ? arena_array(f->mem, str, fn->settings.n) : NULL;
    if (values) memset(values, 0, fn->settings.n * sizeof *values);
    bool ok = begin_frame(f, args, n) && (!values || set_own(conn, fn, values)) && run(f);
    if (values) set_back(conn, fn, values);
    conn->frame = outer;
    conn->routine_depth--;
    end_frame(f);
    free(f);
    take_back(conn, &above);
    return ok;
}

/* ---- as SQLite's functions ---- */

const struct catalog_function *query_routine_function(struct query_conn *conn, uint32_t id) {
    uint64_t there;
    str key = {(const uint8_t *)&id, sizeof id};
    if (map_get(&conn->functions_by_id, key, &there)) return (const struct catalog_function *)(uintptr_t)there;
    for (uint32_t i = 0; i < conn->catalog->functions.n; i++) {
        const struct catalog_function *f = &conn->catalog->functions.p[i];
        if (f->id != id) continue;
        map_put(conn->mem, &conn->functions_by_id, arena_str(conn->mem, key), (uint64_t)(uintptr_t)f);
        return f;
    }
    return NULL;
}

/* One in SQL, of its definer's, that a text calls: its statements, one after the other. */
static void put_op(struct query_conn *conn, struct catalog_routine *r, enum catalog_op op, uint32_t a, uint32_t b, uint32_t c,
                   uint32_t d) {
    const uint32_t all[CATALOG_OP_WIDTH] = {op, a, b, c, d, 1};
    for (uint32_t i = 0; i < CATALOG_OP_WIDTH; i++) vec_push(conn->mem, &r->code, all[i]);
}

/* Its arguments stand behind FOUND. */
static str behind_found(struct query_conn *conn, str text) {
    struct buf b = {0};
    struct catalog_mark m = {0};
    size_t from = 0;
    for (; catalog_mark_next(text, from, &m); from = m.end) {
        buf_puts(&b, str_sub(text, from, m.at - from));
        if (m.kind == 'A')
            buf_printf(&b,
                       "\x01"
                       "A%u\x02",
                       m.id + 1);
        else buf_puts(&b, str_sub(text, m.at, m.end - m.at));
    }
    buf_puts(&b, str_sub(text, from, text.n));
    str out = arena_str(conn->mem, buf_str(&b));
    buf_free(&b);
    return out;
}

static const struct catalog_routine *sql_routine_of(struct query_conn *conn, const struct catalog_function *f) {
    char room[32];
    uint64_t there;
    snprintf(room, sizeof room, "sql/%u", f->id);
    if (map_get(&conn->routines, str_c(room), &there)) return (const struct catalog_routine *)(uintptr_t)there;
    struct catalog_routine *r = arena_make(conn->mem, struct catalog_routine);
    uint32_t n = f->columns.n, arguments = 0;
    *r = (struct catalog_routine){0};
    for (uint32_t i = 0; i < f->arguments.n; i++)
        arguments += f->arguments.p[i].mode != CATALOG_OUT && f->arguments.p[i].mode != CATALOG_TABLE_COLUMN;
    for (uint32_t i = 0; i < f->statements.n; i++) {
        struct catalog_fragment s = f->statements.p[i];
        bool query = !(s.flags & CATALOG_WRITES), last = i + 1 == f->statements.n && n;
        s.text = behind_found(conn, s.text);
        vec_push(conn->mem, &r->statements, s);
        if (last && f->set) put_op(conn, r, CATALOG_OP_GIVE_QUERY, i, n, 0, 0);
        else
            put_op(conn, r, CATALOG_OP_RUN, i, last ? arguments + 1 : UINT32_MAX, last ? n : 0,
                   (query ? CATALOG_RUN_QUERY : 0u) | (last ? CATALOG_RUN_INTO : 0u));
    }
    r->places = 1 + arguments + n;
    if (n && !f->set) put_op(conn, r, CATALOG_OP_RETURN, arguments + 1, n, 0, 0);
    else put_op(conn, r, CATALOG_OP_RETURN_NULL, 0, 0, 0, 0);
    map_put(conn->mem, &conn->routines, arena_str(conn->mem, str_c(room)), (uint64_t)(uintptr_t)r);
    return r;
}

/* Without any it cannot be called. */
static const struct catalog_routine *code_of(struct query_conn *conn, const struct catalog_function *f) {
    return str_eqc(f->language, "sql") && f->statements.n ? sql_routine_of(conn, f) : &f->routine;
}

bool query_routine_rows_of(struct query_conn *conn, const struct db_value *args, uint32_t n, struct query_routine_rows *out) {
    const struct catalog_function *f =
        n >= 2 && args[0].kind == DB_INTEGER ? query_routine_function(conn, (uint32_t)args[0].i) : NULL;
    uint32_t role = n >= 2 && args[1].kind == DB_INTEGER && args[1].i ? (uint32_t)args[1].i : conn->current;
    if (!f) return query_fail(&conn->raised, "42883", "function does not exist");
    if (!catalog_may_function(conn->catalog, role, f))
        return query_fail(&conn->raised, "42501", "permission denied for function " STR_FMT, STR_ARG(f->name));
    const struct catalog_routine *code = code_of(conn, f);
    if (!code->code.n) {
        query_fail(&conn->raised, "0A000", "function " STR_FMT " cannot be called on SQLite", STR_ARG(f->name));
        query_fail_detail(&conn->raised, STR_FMT, STR_ARG(str_sub(f->why_not, 0, 400)));
        return false;
    }
    out->columns = f->columns.n ? f->columns.n : 1;
    for (uint32_t i = 2; f->strict && i < n; i++)
        if (args[i].kind == DB_NULL) return out->null = true, true;
    return call_code(conn, f, code, role, args + 2, n - 2, out);
}

bool query_trigger_call(struct query_conn *conn, const struct catalog_trigger *t, const struct db_value *args, uint32_t n,
                        uint32_t columns, arena *mem, struct db_value **out) {
    const struct catalog_function *f = query_routine_function(conn, t->function);
    struct query_routine_rows rows = {.mem = mem, .columns = columns};
    *out = NULL;
    if (!f || !t->routine.code.n) {
        query_fail(&conn->raised, "0A000", "trigger \"" STR_FMT "\" cannot run on SQLite", STR_ARG(t->name));
        query_fail_detail(&conn->raised, STR_FMT, STR_ARG(f ? str_sub(f->why_not, 0, 400) : (str){0}));
        return false;
    }
    conn->trigger_depth++;
    conn->firing = t, conn->firing_of = (uint32_t)args[2 * columns + 4].i; /* tg_relid */
    bool ok = call_code(conn, f, &t->routine, conn->current, args, n, &rows);
    conn->trigger_depth--;
    if (!ok) return false;
    *out = rows.n && !rows.null ? rows.values : NULL;
    return true;
}

void query_routine_call(struct db_call *call, void *arg, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    if (conn->row_mem) return; /* a statement is looked at once more, for the row that it failed with: nothing is done again */
    struct query_routine_rows rows = {.mem = arena_new(0)};
    if (!query_routine_rows_of(conn, args, n, &rows)) db_refuse(call, str_c(conn->raised.message));
    else if (rows.n && !rows.null) db_answer(call, rows.values[0]);
    else db_answer(call, DB_NOTHING);
    arena_free(rows.mem);
}

bool query_step_call(struct query_conn *conn, uint32_t function) {
    const struct catalog_function *f = query_routine_function(conn, function);
    struct query_routine_rows rows = {.mem = arena_new(0), .columns = 1};
    conn->raised = (struct pg_error){0};
    bool ok = f && f->routine.code.n;
    if (!ok) query_fail(&conn->raised, "XX000", "there is no such step");
    if (ok) {
        warm_code(conn, f, &f->routine, f->owner, 0);
        conn->raised = (struct pg_error){0};
        ok = call_code(conn, f, &f->routine, f->owner, NULL, 0, &rows) && query_deferred_run(conn);
        query_deferred_forget(conn);
    }
    arena_free(rows.mem);
    return ok;
}
