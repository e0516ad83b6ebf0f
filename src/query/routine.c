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
#include "query/query_int.h"
#include "plpgsql/plpgsql.h"
#include <stdio.h>
#include <stdlib.h>

enum { DEPTH_MAX = 100, TRIES_MAX = 64, STEPS = 256 };
#define BYTES_MAX ((uint64_t)64 << 20)

/* ---- what is kept of a routine, for a role ---- */

struct made { /* a statement's text */
    str sql;
    struct query_places places;
    const struct catalog_relation *touches; /* what it writes: the wall is told each time */
    const struct query_scalar *scalar;      /* NULL: it takes a statement */
    bool there;
};
struct loaded {
    const struct catalog_routine *code;
    struct made *made;
    uint32_t generation, warm_generation;
    bool warm;
};

struct cursor {
    arena *mem;
    struct db_value *values;
    uint32_t columns, n, at, cap;
    uint64_t bytes;
    catalog_fields shape; /* of an executed text's */
};
struct try {
    uint32_t handler;
    pg_settings settings; /* that held where it began */
    bool writes, handling;
    struct pg_error *error;
};
/* Of whatever columns an executed text has. */
struct record {
    uint32_t place;
    arena *mem; /* NULL: it is not assigned yet */
    catalog_fields shape;
    struct db_value *values;
    uint64_t bytes;
};
struct frame {
    struct query_conn *conn;
    const struct catalog_function *f;
    struct loaded *loaded;
    uint32_t role, definer, rows_of;
    const struct catalog_trigger *trigger; /* it is one's, of that relation */
    arena *mem;                            /* of errors that are being handled */
    arena *scratch;                        /* of what an expression makes on its way */
    struct diag said;
    struct query_place *places;
    struct cursor *cursors; /* CATALOG_CURSORS_MAX of them, once there is one */
    uint8_t states[CATALOG_CURSORS_MAX];
    struct try tries[TRIES_MAX];
    uint32_t tries_n;
    uint64_t rows; /* of the statement before */
    uint64_t bytes;
    struct query_routine_rows *result;
    uint32_t steps;
    catalog_ids argument_types, argument_places; /* what is told of a text before it is run */
    catalog_fields want;
    VEC(struct db_value) values; /* $1 … of the text that runs */
    VEC(struct record) records;
    catalog_ids types; /* of places, where those are known when they are set: place, type */
};

/* What it gave. */
struct query_routine_rows {
    arena *mem;
    struct db_value *values; /* n rows of so many columns */
    uint32_t columns, n, cap;
    bool null; /* not even a row */
};

static bool raised(struct frame *f, const char *state, const char *message) {
    return query_fail(&f->conn->raised, state, "%s", message);
}

/* ---- memory ---- */

static bool charge(struct frame *f, uint64_t bytes) {
    f->bytes += bytes;
    f->conn->routine_bytes += bytes;
    return f->conn->routine_bytes <= BYTES_MAX || raised(f, "53200", "out of memory");
}

static void credit(struct frame *f, uint64_t bytes) {
    f->bytes -= bytes;
    f->conn->routine_bytes -= MIN(bytes, f->conn->routine_bytes);
}

static bool put(struct frame *f, uint32_t at, struct db_value v) {
    struct query_place *p = &f->places[at];
    if (v.kind < DB_TEXTUAL) return p->v = v, true;
    if (v.s.n > p->cap) {
        size_t cap = v.s.n + v.s.n / 4 + 16;
        if (!charge(f, cap - p->cap)) return false;
        uint8_t *own = malloc(cap); /* v may be this place's own */
        ENSURE(own);
        memcpy(own, v.s.p, v.s.n);
        free(p->own);
        p->own = own, p->cap = cap;
    } else if (v.s.n) memmove(p->own, v.s.p, v.s.n);
    p->v = (struct db_value){.kind = v.kind, .s = {p->own, v.s.n}};
    return true;
}

static void cursor_close(struct frame *f, struct cursor *c) {
    if (c->mem) arena_free(c->mem);
    credit(f, c->bytes);
    *c = (struct cursor){0};
}

static bool keep_row(struct frame *f, arena *mem, struct db_rows *rows, uint32_t columns, struct db_value **values, uint32_t *n,
                     uint32_t *cap, uint64_t *bytes) {
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
    return charge(f, more);
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
    if (ok && b.full) ok = raised(f, "54001", "statement is too complex");
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

static const struct catalog_function *function_of(struct query_conn *conn, uint32_t id);
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
            const struct catalog_function *t = function_of(conn, of->triggers.p[k].function);
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
            const struct catalog_function *f = function_of(conn, (uint32_t)id);
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

static bool may_write(struct frame *f, const struct catalog_fragment *s) {
    if (!(s->flags & CATALOG_WRITES)) return true;
    if (f->f->volatility != CATALOG_IS_VOLATILE)
        return query_fail(&f->conn->raised, "0A000", "%s is not allowed in a non-volatile function", verb_of(s->text));
    if (f->conn->reads_only)
        return query_fail(&f->conn->raised, "25006", "cannot execute %s in a read-only transaction", verb_of(s->text));
    return true;
}

static const struct query called = {.kind = QUERY_CALL};

static bool failed(struct frame *f, err e, const struct diag *d) {
    query_failed(f->conn, &called, e, d, &f->conn->raised);
    f->said = (struct diag)DIAG_INIT;
    return false;
}

static bool begin(struct frame *f, uint32_t e, bool query, struct db_rows **rows) {
    struct db_value few[32], *values = few;
    struct made *m;
    struct diag d = DIAG_INIT;
    if (!may_write(f, &f->loaded->code->statements.p[e]) || !made(f, e, query, &m)) return false;
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
    return got == ERR_OK || failed(f, got, &d);
}

static bool finish(struct frame *f, struct db_rows *rows, bool ok) {
    struct diag d = DIAG_INIT;
    err e = db_end(rows, &d);
    if (e != ERR_OK) return failed(f, e, &d);
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
    return got == ERR_OK || failed(f, got, &f->said);
}

static bool evaluate(struct frame *f, uint32_t e, uint32_t to) {
    struct db_rows *rows;
    struct db_value v;
    bool done;
    if (!evaluate_here(f, e, &v, &done)) return false;
    if (done) return put(f, to, v);
    if (!begin(f, e, false, &rows)) return false;
    bool ok = true;
    if (db_next(rows)) ok = put(f, to, db_value(rows, 0));
    return finish(f, rows, ok);
}

static bool is_true(struct frame *f, uint32_t e, bool *out) {
    struct db_rows *rows;
    struct db_value v;
    bool done;
    if (!evaluate_here(f, e, &v, &done)) return false;
    if (done) return *out = v.kind == DB_INTEGER && v.i, true;
    if (!begin(f, e, false, &rows)) return false;
    *out = db_next(rows) && db_i64(rows, 0) != 0;
    return finish(f, rows, true);
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
    return may_write(f, s) && query_schemas_hold(&x, s, &f->conn->raised) && query_change_statement(c, &x, s->text, value_at, f);
}

static void set_found(struct frame *f, bool found) { f->places[0].v = DB_I64(found); }

static bool one_row(struct frame *f, struct db_rows *rows, const uint32_t *op) {
    for (uint32_t i = 0; i < op[3]; i++)
        if (!put(f, op[2] + i, i < db_columns(rows) ? db_value(rows, i) : DB_NOTHING)) return false;
    return true;
}

static bool too_many(struct frame *f) {
    raised(f, "P0003", "query returned more than one row");
    query_fail_hint(&f->conn->raised, "Make sure the query returns a single row, or use LIMIT 1.");
    return false;
}

static bool run_change(struct frame *f, const uint32_t *op) {
    struct query_change c;
    bool ok = change(f, op[1], &c);
    bool into = op[4] & CATALOG_RUN_INTO;
    if (ok && into && c.rows.list.n > 1) ok = too_many(f);
    if (ok && into && !c.rows.list.n && op[4] & CATALOG_RUN_STRICT) ok = raised(f, "P0002", "query returned no rows");
    for (uint32_t i = 0; ok && into && i < op[3]; i++)
        ok = put(f, op[2] + i, c.rows.list.n && i < c.rows.columns ? c.rows.list.p[0][i] : DB_NOTHING);
    f->rows = c.affected;
    set_found(f, f->rows);
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
        if (n > 1 && op[4] & CATALOG_RUN_INTO && op[4] & (CATALOG_RUN_STRICT | CATALOG_RUN_ONE)) ok = too_many(f);
        if (op[4] & CATALOG_RUN_INTO && op[4] & CATALOG_RUN_QUERY && !(op[4] & CATALOG_RUN_STRICT)) break;
    }
    if (!finish(f, rows, ok)) return named_key(f, op[1]);
    if (op[4] & CATALOG_RUN_INTO && !n)
        for (uint32_t i = 0; i < op[3]; i++) f->places[op[2] + i].v = DB_NOTHING;
    if (!n && op[4] & CATALOG_RUN_STRICT) return raised(f, "P0002", "query returned no rows");
    f->rows = writes ? db_changed(f->conn->db) : n;
    set_found(f, f->rows);
    return true;
}

enum { CURSOR_NEVER, CURSOR_OPEN, CURSOR_CLOSED };
static struct cursor *cursor_of(struct frame *f, uint32_t i) {
    if (!f->cursors) {
        f->cursors = calloc(CATALOG_CURSORS_MAX, sizeof *f->cursors);
        ENSURE(f->cursors);
    }
    return &f->cursors[i];
}

static bool open_cursor(struct frame *f, const uint32_t *op) {
    struct cursor *c = cursor_of(f, op[1]);
    struct db_rows *rows;
    cursor_close(f, c);
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
    while (ok && db_next(rows)) ok = keep_row(f, c->mem, rows, c->columns, &c->values, &c->n, &c->cap, &c->bytes);
    return finish(f, rows, ok);
}

/* False: it failed; *more: there was one. */
static bool next_row(struct frame *f, const uint32_t *op, bool *more) {
    struct cursor *c = cursor_of(f, op[1]);
    *more = c->at < c->n;
    for (uint32_t i = 0; *more && i < op[3]; i++)
        if (!put(f, op[2] + i, i < c->columns ? c->values[(size_t)c->at * c->columns + i] : DB_NOTHING)) return false;
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
    return charge(f, bytes);
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
        ok = charge(f, bytes);
    }
    f->rows = c.rows.list.n;
    set_found(f, f->rows);
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
    while (ok && db_next(rows)) ok = keep_row(f, to->mem, rows, to->columns, &to->values, &to->n, &to->cap, &bytes);
    if (!finish(f, rows, ok)) return named_key(f, op[1]);
    f->rows = to->n - before;
    set_found(f, f->rows);
    return true;
}

/* ---- texts (EXECUTE) ---- */

static struct db_value argument_at(void *arg, uint32_t i) {
    const struct frame *f = arg;
    return i < f->values.n ? f->values.p[i] : DB_NOTHING;
}

static struct query_expanding as_mine(const struct frame *f) {
    return (struct query_expanding){.conn = f->conn, .at = QUERY_AT_VALUES, .role = f->role, .definer = f->definer};
}

static void text_over(struct frame *f) { f->argument_types.n = f->argument_places.n = f->want.n = 0; }

/* A text sees the transition tables of the trigger that runs it. */
static void tell_transition(const struct frame *f, struct catalog_text *text) {
    if (!f->trigger || !(f->trigger->old_table.n || f->trigger->new_table.n)) return;
    text->rows_of = f->rows_of;
    text->old_table = f->trigger->old_table, text->new_table = f->trigger->new_table;
}

static struct query_script *text_of(struct frame *f, uint32_t place, enum catalog_text_use use) {
    const struct query_expanding as = as_mine(f);
    struct db_value v = f->places[place].v;
    struct catalog_text text = {
        .function = f->f->id, .use = (uint8_t)use, .text = v.s, .arguments = f->argument_types, .want = f->want};
    tell_transition(f, &text);
    f->values.n = 0;
    for (uint32_t i = 0; i < f->argument_places.n; i++) vec_push(f->mem, &f->values, f->places[f->argument_places.p[i]].v);
    if (v.kind == DB_TEXTUAL) return query_script_of(f->conn, &as, &text);
    raised(f, "22004", "query string argument of EXECUTE is null");
    return NULL;
}

/* A column as it is wanted: its value, made so by a statement of its own. */
static bool cast(struct frame *f, const struct catalog_fragment *how, struct db_value *v, arena *mem) {
    struct query_places places = {.mem = mem};
    struct query_expanding x = as_mine(f);
    struct buf b = {.max = 1 << 20};
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    x.arguments_count = 1, x.places = &places;
    buf_puts(&b, STR("select "));
    bool ok = query_expand(&x, how->text, &b, &f->conn->raised);
    query_wall_up(f->conn);
    err e = ok ? db_query_values(f->conn->db, buf_str(&b), v, places.list.n, &rows, &d) : ERR_OK;
    f->conn->walled = false;
    buf_free(&b);
    if (!ok || e != ERR_OK) return ok && failed(f, e, &d);
    struct db_value out = db_next(rows) ? db_value(rows, 0) : DB_NOTHING;
    if (out.kind >= DB_TEXTUAL) out.s = arena_str(mem, out.s);
    *v = out;
    return finish(f, rows, true);
}

static bool cast_rows(struct frame *f, const struct catalog_text_part *p, struct cursor *c) {
    for (uint32_t i = 0; i < c->n; i++)
        for (uint32_t k = 0; k < c->columns && k < p->casts.n; k++)
            if (p->casts.p[k].text.n && !cast(f, &p->casts.p[k], &c->values[(size_t)i * c->columns + k], c->mem)) return false;
    return true;
}

static bool change_text(struct frame *f, const struct catalog_fragment *s, struct cursor *to) {
    struct query_expanding x = as_mine(f);
    struct query_change c = {.conn = f->conn, .mem = to->mem};
    x.arguments_count = f->values.n;
    if (!query_change_statement(&c, &x, s->text, argument_at, f)) return false;
    f->rows = c.affected;
    to->columns = c.rows.columns, to->n = c.rows.list.n;
    to->values = arena_array(to->mem, struct db_value, (size_t)to->n * to->columns + 1);
    for (uint32_t i = 0; i < to->n && to->columns; i++)
        memcpy(to->values + (size_t)i * to->columns, c.rows.list.p[i], to->columns * sizeof *to->values);
    return true;
}

static bool query_rows_of(struct frame *f, const struct query_script_part *made, bool writes, struct cursor *to, uint64_t most,
                          bool ends) {
    struct db_value few[16], *values = few;
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    uint32_t n = made->places.list.n;
    uint64_t count = 0;
    bool ok = true;
    if (n > ARRAY_COUNT(few)) values = arena_array(to->mem, struct db_value, n);
    for (uint32_t i = 0; i < n; i++) values[i] = argument_at(f, made->places.list.p[i]);
    query_wall_up(f->conn);
    err e = db_query_values(f->conn->db, made->sql, values, n, &rows, &d);
    f->conn->walled = false;
    if (e != ERR_OK) return failed(f, e, &d);
    to->columns = db_columns(rows);
    while (ok && !(ends && count == most) && db_next(rows))
        if (count++ < most) ok = keep_row(f, to->mem, rows, to->columns, &to->values, &to->n, &to->cap, &to->bytes);
    if (!finish(f, rows, ok)) return false;
    f->rows = writes ? db_changed(f->conn->db) : count;
    return true;
}

static bool named_key_of(struct frame *f, const struct catalog_fragment *s) {
    struct query_expanding x = as_mine(f);
    x.arguments_count = f->values.n;
    query_change_name_key(&x, s, argument_at, f, &f->conn->raised);
    return false;
}

/* Statements of the text; of the last one so many rows. */
static bool run_text(struct frame *f, struct query_script *t, uint32_t from, uint32_t to_part, struct cursor *to, uint64_t most) {
    const struct query_expanding as = as_mine(f);
    f->rows = 0;
    for (uint32_t i = from; i < to_part; i++) {
        const struct catalog_text_part *p = &t->answer.parts.p[i];
        struct query_script_part *made;
        bool last = i + 1 == to_part, writes = p->fragment.flags & CATALOG_WRITES;
        cursor_close(f, to);
        to->mem = arena_new(0);
        if (!may_write(f, &p->fragment) || !query_script_made(f->conn, t, i, &as, f->values.n, &made)) return false;
        if (made->change ? !change_text(f, &p->fragment, to)
                         : !query_rows_of(f, made, writes, to, last ? most : 0, last && most < UINT64_MAX && most && !writes))
            return named_key_of(f, &p->fragment);
        if (last && !cast_rows(f, p, to)) return false;
    }
    return true;
}

static struct record *record_of(struct frame *f, uint32_t place) {
    for (uint32_t i = 0; i < f->records.n; i++)
        if (f->records.p[i].place == place) return &f->records.p[i];
    struct record *r = vec_add(f->mem, &f->records);
    *r = (struct record){.place = place};
    return r;
}

/* values NULL: a row of nulls. */
static bool set_record(struct frame *f, uint32_t place, const catalog_fields *shape, const struct db_value *values) {
    struct record *r = record_of(f, place);
    arena *mem = arena_new(0);
    struct db_value *to = arena_array(mem, struct db_value, shape->n + 1);
    catalog_fields fields = {0};
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < shape->n; i++) {
        vec_push(mem, &fields, ((struct catalog_field){arena_str(mem, shape->p[i].name), shape->p[i].type, shape->p[i].typmod}));
        to[i] = values ? values[i] : DB_NOTHING;
        if (to[i].kind >= DB_TEXTUAL) to[i].s = arena_str(mem, to[i].s);
    }
    bytes = arena_bytes(mem);
    if (r->mem) arena_free(r->mem);
    credit(f, r->bytes);
    *r = (struct record){.place = place, .mem = mem, .shape = fields, .values = to, .bytes = bytes};
    return charge(f, bytes);
}

/* The first row of what a text gave, where it is wanted. */
static bool take_row(struct frame *f, const uint32_t *op, const struct query_script *t, const struct cursor *rows) {
    const struct catalog_text_part *p = t->answer.parts.n ? &t->answer.parts.p[t->answer.parts.n - 1] : NULL;
    if (op[4] & CATALOG_RUN_RECORD) return p && set_record(f, op[2], &p->columns, rows->n ? rows->values : NULL);
    for (uint32_t i = 0; i < op[3]; i++)
        if (!put(f, op[2] + i, rows->n && i < rows->columns ? rows->values[i] : DB_NOTHING)) return false;
    return true;
}

static bool execute_text(struct frame *f, const uint32_t *op) {
    bool into = op[4] & CATALOG_RUN_INTO, strict = op[4] & CATALOG_RUN_STRICT;
    struct cursor rows = {0};
    struct query_script *t = text_of(f, op[1], into ? CATALOG_TEXT_INTO : CATALOG_TEXT_RUN);
    bool ok = t && run_text(f, t, 0, t->answer.parts.n, &rows, into ? strict ? 2 : 1 : 0);
    if (ok && into && strict && rows.n > 1) ok = raised(f, "P0003", "query returned more than one row");
    if (ok && into && strict && !rows.n) ok = raised(f, "P0002", "query returned no rows");
    if (ok && into) ok = take_row(f, op, t, &rows);
    cursor_close(f, &rows);
    if (t) query_script_done(f->conn, t);
    text_over(f);
    return ok;
}

/* ---- what names a record that a text filled (CATALOG_LATE): a text itself, by now ---- */

static const struct catalog_fragment *late_of(const struct frame *f, uint32_t e) {
    const struct catalog_fragment *s = &f->loaded->code->statements.p[e];
    return s->flags & CATALOG_LATE ? s : NULL;
}

static void add_value(struct frame *f, struct catalog_text *text, arena *mem, const str *names, str field, uint32_t type,
                      struct db_value v) {
    vec_push(mem, &text->names,
             arena_fmt(mem, STR_FMT "\x1f" STR_FMT "\x1f" STR_FMT, STR_ARG(names[0]), STR_ARG(names[1]), STR_ARG(field)));
    vec_push(mem, &text->arguments, type);
    vec_push(f->mem, &f->values, v);
}

static struct query_script *late_script(struct frame *f, const struct catalog_fragment *s, enum catalog_text_use use) {
    const struct query_expanding as = as_mine(f);
    arena *mem = arena_new(0);
    struct catalog_text text = {.function = f->f->id, .use = (uint8_t)use, .text = s->text, .want = s->want};
    tell_transition(f, &text);
    f->values.n = 0;
    for (uint32_t i = 0; i * 2 < s->scope.n; i++) {
        uint32_t place = s->scope.p[i * 2], type = s->scope.p[i * 2 + 1];
        const str *names = &s->names.p[i * 3];
        const struct record *r = type == PG_RECORD && !names[2].n ? record_of(f, place) : NULL;
        for (uint32_t k = 0; r && r->mem && k < r->shape.n; k++)
            add_value(f, &text, mem, names, r->shape.p[k].name, r->shape.p[k].type, r->values[k]);
        if (!r) add_value(f, &text, mem, names, names[2], type, f->places[place].v);
        else if (!r->mem) add_value(f, &text, mem, names, (str){0}, PG_RECORD, DB_NOTHING);
    }
    struct query_script *t = query_script_of(f->conn, &as, &text);
    arena_free(mem);
    return t;
}

/* Of which type a place is that took a value whose own type was not known before. */
static void note_type(struct frame *f, uint32_t place, const struct query_script *t) {
    const struct catalog_text_part *p = &t->answer.parts.p[t->answer.parts.n - 1];
    uint32_t type = p->columns.n ? p->columns.p[0].type : (uint32_t)PG_TEXT;
    for (uint32_t i = 0; i + 1 < f->types.n; i += 2)
        if (f->types.p[i] == place) {
            f->types.p[i + 1] = type;
            return;
        }
    vec_push(f->mem, &f->types, place);
    vec_push(f->mem, &f->types, type);
}

static uint32_t type_noted(const struct frame *f, uint32_t place) {
    for (uint32_t i = 0; i + 1 < f->types.n; i += 2)
        if (f->types.p[i] == place) return f->types.p[i + 1];
    return PG_TEXT;
}

static bool late_value(struct frame *f, const struct catalog_fragment *s, uint32_t to, bool *is) {
    struct cursor rows = {0};
    struct query_script *t = late_script(f, s, CATALOG_TEXT_INTO);
    bool ok = t && run_text(f, t, 0, t->answer.parts.n, &rows, 1);
    struct db_value v = rows.n && rows.columns ? rows.values[0] : DB_NOTHING;
    if (is) *is = ok && v.kind == DB_INTEGER && v.i;
    else if (ok) ok = put(f, to, v);
    if (ok && !is && !s->want.n && t->answer.parts.n) note_type(f, to, t);
    cursor_close(f, &rows);
    if (t) query_script_done(f->conn, t);
    return ok;
}

static bool late_statement(struct frame *f, const struct catalog_fragment *s, const uint32_t *op) {
    bool into = op[4] & CATALOG_RUN_INTO, strict = op[4] & (CATALOG_RUN_STRICT | CATALOG_RUN_ONE);
    struct cursor rows = {0};
    struct query_script *t = late_script(f, s, into ? CATALOG_TEXT_INTO : CATALOG_TEXT_RUN);
    bool ok = t && run_text(f, t, 0, t->answer.parts.n, &rows, into ? strict ? 2 : 1 : 0);
    if (ok && into && strict && rows.n > 1) ok = too_many(f);
    if (ok && into && op[4] & CATALOG_RUN_STRICT && !rows.n) ok = raised(f, "P0002", "query returned no rows");
    if (ok && into) ok = take_row(f, op, t, &rows);
    if (ok) set_found(f, f->rows);
    cursor_close(f, &rows);
    if (t) query_script_done(f->conn, t);
    return ok;
}

static bool open_script(struct frame *f, uint32_t slot, struct query_script *t) {
    struct cursor *c = cursor_of(f, slot);
    cursor_close(f, c);
    bool ok = t && run_text(f, t, 0, t->answer.parts.n, c, UINT64_MAX);
    const struct catalog_text_part *last = ok && t->answer.parts.n ? &t->answer.parts.p[t->answer.parts.n - 1] : NULL;
    for (uint32_t i = 0; last && i < last->columns.n; i++)
        vec_push(c->mem, &c->shape,
                 ((struct catalog_field){arena_str(c->mem, last->columns.p[i].name), last->columns.p[i].type,
                                         last->columns.p[i].typmod}));
    if (t) query_script_done(f->conn, t);
    text_over(f);
    return ok;
}

static bool open_text(struct frame *f, const uint32_t *op) { return open_script(f, op[1], text_of(f, op[2], CATALOG_TEXT_ROWS)); }

static bool next_record(struct frame *f, const uint32_t *op, bool *more) {
    struct cursor *c = cursor_of(f, op[1]);
    *more = c->at < c->n;
    if (!*more) return !c->at ? set_record(f, op[2], &c->shape, NULL) : true; /* after its loop it is the last one */
    return set_record(f, op[2], &c->shape, c->values + (size_t)c->at++ * c->columns);
}

static bool give_rows(struct frame *f, const struct cursor *rows) {
    struct query_routine_rows *to = f->result;
    for (uint32_t i = 0; i < rows->n; i++) {
        uint64_t bytes = to->columns * sizeof(struct db_value) * 2;
        if (to->n == to->cap) {
            struct db_value *grown = arena_array(to->mem, struct db_value, (size_t)MAX(to->cap * 2, 16u) * MAX(to->columns, 1u));
            if (to->n) memcpy(grown, to->values, (size_t)to->n * to->columns * sizeof *grown);
            to->values = grown, to->cap = MAX(to->cap * 2, 16u);
        }
        for (uint32_t k = 0; k < to->columns; k++) {
            struct db_value v = k < rows->columns ? rows->values[(size_t)i * rows->columns + k] : DB_NOTHING;
            if (v.kind >= DB_TEXTUAL) bytes += v.s.n, v.s = arena_str(to->mem, v.s);
            to->values[(size_t)to->n * to->columns + k] = v;
        }
        to->n++;
        if (!charge(f, bytes)) return false;
    }
    return true;
}

static bool give_script(struct frame *f, struct query_script *t) {
    struct cursor rows = {0};
    uint64_t given = 0;
    bool ok = t;
    for (uint32_t i = 0; ok && i < t->answer.parts.n; i++) {
        ok = run_text(f, t, i, i + 1, &rows, UINT64_MAX) && give_rows(f, &rows);
        given += rows.n;
    }
    f->rows = given;
    if (ok) set_found(f, given);
    cursor_close(f, &rows);
    if (t) query_script_done(f->conn, t);
    text_over(f);
    return ok;
}

static bool give_text(struct frame *f, const uint32_t *op) { return give_script(f, text_of(f, op[1], CATALOG_TEXT_RESULT)); }

/* ---- cursors of variables ---- */

/* Is it open, as it is to be? 0: it is to be closed; 1: it is to be; 2, 3 (a bound one): its block begins. */
static bool must_cursor(struct frame *f, const uint32_t *op) {
    uint8_t *state = &f->states[op[1]];
    struct db_rows *rows;
    char name[128] = "";
    if (op[2] >= 2) return cursor_close(f, cursor_of(f, op[1])), *state = op[2] == 2 ? CURSOR_NEVER : CURSOR_CLOSED, true;
    if (op[2] == (*state == CURSOR_OPEN)) return true;
    if (!begin(f, op[3], false, &rows)) return false;
    if (db_next(rows)) snprintf(name, sizeof name, STR_FMT, (int)MIN(db_str(rows, 0).n, 63u), (const char *)db_str(rows, 0).p);
    if (!finish(f, rows, true)) return false;
    if (op[2] == 0) return query_fail(&f->conn->raised, "42P03", "cursor \"%s\" already in use", name);
    if (*state == CURSOR_NEVER) return query_fail(&f->conn->raised, "22004", "cursor variable \"%s\" is null", name);
    return query_fail(&f->conn->raised, "34000", "cursor \"%s\" does not exist", name);
}

static int64_t clamp(int64_t v, int64_t most) { return v < 0 ? 0 : v > most ? most : v; }

/* Rows are counted from 1: 0 is before the first, n + 1 behind the last. */
static void seek_cursor(struct frame *f, const uint32_t *op) {
    struct cursor *c = cursor_of(f, op[1]);
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
    set_found(f, f->rows);
}

/* A column of an executed text, as what is wanted: by a text of its own, which is kept as any. */
static bool cast_as(struct frame *f, struct db_value *v, const struct catalog_field *from, const struct catalog_field *to,
                    arena *mem) {
    if (from->type == to->type && (from->typmod == to->typmod || to->typmod == -1)) return true;
    const struct query_expanding as = as_mine(f);
    struct catalog_text text = {.function = f->f->id, .use = CATALOG_TEXT_INTO, .text = STR("select $1")};
    vec_push(mem, &text.arguments, from->type);
    vec_push(mem, &text.want, *to);
    struct query_script *t = query_script_of(f->conn, &as, &text);
    struct query_script_part *made;
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    bool ok = t && t->answer.parts.n == 1 && query_script_made(f->conn, t, 0, &as, 1, &made);
    query_wall_up(f->conn);
    err e = ok ? db_query_values(f->conn->db, made->sql, v, made->places.list.n, &rows, &d) : ERR_OK;
    f->conn->walled = false;
    if (ok && e != ERR_OK) ok = failed(f, e, &d);
    else if (ok) {
        struct db_value out = db_next(rows) ? db_value(rows, 0) : DB_NOTHING;
        if (out.kind >= DB_TEXTUAL) out.s = arena_str(mem, out.s);
        *v = out;
        ok = finish(f, rows, true);
    }
    if (t) query_script_done(f->conn, t);
    return ok;
}

static bool cursor_row(struct frame *f, const uint32_t *op) {
    const struct cursor *c = cursor_of(f, op[1]);
    bool there = c->at >= 1 && c->at <= c->n, ok = true;
    if (op[4] == 2) return set_record(f, op[2], &c->shape, there ? c->values + (size_t)(c->at - 1) * c->columns : NULL);
    arena *scratch = arena_new(0);
    for (uint32_t i = 0; ok && i < op[3]; i++) {
        struct db_value v = there && i < c->columns ? c->values[(size_t)(c->at - 1) * c->columns + i] : DB_NOTHING;
        if (op[4] && v.kind != DB_NULL && i < c->shape.n && i < f->want.n)
            ok = cast_as(f, &v, &c->shape.p[i], &f->want.p[i], scratch);
        ok = ok && put(f, op[2] + i, v);
    }
    text_over(f);
    arena_free(scratch);
    return ok;
}

/* ---- errors ---- */

static str text_at(struct frame *f, uint32_t place) {
    struct db_value v = f->places[place].v;
    return v.kind == DB_TEXTUAL ? v.s : (str){0};
}

static bool is_state(str s) {
    if (s.n != 5) return false;
    for (size_t i = 0; i < 5; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'A' && s.p[i] <= 'Z'))) return false;
    return true;
}

static void copy_text(char *to, size_t cap, str s) {
    size_t n = MIN(s.n, cap - 1);
    while (n && n < s.n && (s.p[n] & 0xc0) == 0x80) n--;
    if (n) memcpy(to, s.p, n);
    to[n] = 0;
}

static bool raise(struct frame *f, const uint32_t *op) {
    struct pg_error *e = &f->conn->raised;
    str state = text_at(f, op[2] + CATALOG_RAISE_STATE), message = text_at(f, op[2] + CATALOG_RAISE_MESSAGE);
    bool said = f->places[op[2] + CATALOG_RAISE_MESSAGE].v.kind == DB_TEXTUAL; /* if but the empty text */
    size_t at = 0;
    if (op[1] != PLPGSQL_EXCEPTION) {
        if (f->conn->notice && op[1] >= PLPGSQL_INFO) f->conn->notice(f->conn->notice_arg, op[1] == PLPGSQL_WARNING, message);
        return true;
    }
    if (!state.n) state = STR("P0001");
    if (!is_state(state)) {
        const char *known = plpgsql_condition(state, &at);
        if (!known)
            return query_fail(e, "42704", "unrecognized exception condition \"" STR_FMT "\"", STR_ARG(str_sub(state, 0, 100)));
        if (!said) message = state, said = true;
        state = str_c(known);
    }
    if (!said) message = state;
    *e = (struct pg_error){.set = true};
    copy_text(e->state, sizeof e->state, state);
    copy_text(e->message, sizeof e->message, message);
    copy_text(e->detail, sizeof e->detail, text_at(f, op[2] + CATALOG_RAISE_DETAIL));
    copy_text(e->hint, sizeof e->hint, text_at(f, op[2] + CATALOG_RAISE_HINT));
    copy_text(e->column, sizeof e->column, text_at(f, op[2] + CATALOG_RAISE_COLUMN));
    copy_text(e->constraint, sizeof e->constraint, text_at(f, op[2] + CATALOG_RAISE_CONSTRAINT));
    copy_text(e->table, sizeof e->table, text_at(f, op[2] + CATALOG_RAISE_TABLE));
    copy_text(e->schema, sizeof e->schema, text_at(f, op[2] + CATALOG_RAISE_SCHEMA));
    return false;
}

/* "orlo_r1" …: within the transaction that is open, each inside of the one before. */
static bool point(struct frame *f, const char *what, uint32_t depth) {
    char sql[64];
    struct diag d = DIAG_INIT;
    bool walled = f->conn->walled;
    snprintf(sql, sizeof sql, "%s orlo_r%u_%u", what, f->conn->routine_depth, depth);
    f->conn->walled = false;
    err e = db_script(f->conn->db, sql, &d);
    f->conn->walled = walled;
    if (e == ERR_OK) return true;
    if (strstr(d.text, "statements in progress"))
        return raised(f, "0A000", "an exception block that writes cannot run within a statement that writes, on SQLite");
    return failed(f, e, &d);
}

static bool begin_try(struct frame *f, const uint32_t *op) {
    if (f->tries_n == TRIES_MAX) return raised(f, "54001", "exception blocks nest too deep");
    bool writes = op[2] && !f->conn->reads_only;
    if (writes && !point(f, "savepoint", f->tries_n)) return false;
    f->tries[f->tries_n++] = (struct try){.handler = op[1], .writes = writes, .settings = f->conn->session.settings};
    return true;
}

static bool leave(struct frame *f, uint32_t n) {
    bool ok = true;
    for (; ok && n && f->tries_n; n--) {
        struct try *t = &f->tries[--f->tries_n];
        if (t->writes && !t->handling) ok = point(f, "release", f->tries_n);
    }
    return ok;
}

static bool may_catch(const struct pg_error *e) {
    return strcmp(e->state, "57014") != 0 && strcmp(e->state, "54001") != 0 && strcmp(e->state, "53200") != 0 &&
           strcmp(e->state, "58030") != 0 && strcmp(e->state, "53100") != 0;
}

/* To the innermost block that has handlers and was not in one: what it did is undone. False: there is none. */
static bool unwind(struct frame *f, uint32_t *at) {
    struct query_conn *conn = f->conn;
    text_over(f);
    while (f->tries_n) {
        struct try *t = &f->tries[f->tries_n - 1];
        if (t->handling || !may_catch(&conn->raised)) {
            f->tries_n--;
            if (t->writes && !t->handling && !db_in_transaction(conn->db)) t->writes = false;
            continue; /* whoever is above undoes all of it */
        }
        struct pg_error *e = arena_make(f->mem, struct pg_error);
        *e = conn->raised;
        conn->raised = (struct pg_error){0};
        if (t->writes) {
            if (!point(f, "rollback to", f->tries_n - 1) || !point(f, "release", f->tries_n - 1)) return false;
            query_made_look(conn);
            query_sequences_again(conn);
        }
        conn->session.settings = t->settings;
        t->handling = true;
        t->error = e;
        *at = t->handler;
        return true;
    }
    return false;
}

static uint32_t packed(const char *state) {
    uint32_t v = 0;
    for (size_t i = 0; i < 5 && state[i]; i++) v = v << 6 | (uint32_t)(state[i] <= '9' ? state[i] - '0' : state[i] - 'A' + 10);
    return v;
}

static const struct pg_error *handled(const struct frame *f) {
    for (uint32_t i = f->tries_n; i-- > 0;)
        if (f->tries[i].handling) return f->tries[i].error;
    return NULL;
}

/* A state of three zeroes stands for its class. */
static bool catches(uint32_t wanted, const struct pg_error *e) {
    uint32_t is = packed(e->state);
    if (wanted == UINT32_MAX) return strcmp(e->state, "P0004") != 0; /* others: but not ASSERT */
    return wanted == is || (!(wanted & 0x3ffff) && wanted >> 18 == is >> 18);
}

static bool catch (struct frame *f, const uint32_t *op, bool *hit) {
    const struct pg_error *e = handled(f);
    *hit = e && catches(op[1], e);
    return !*hit || (put(f, op[2], DB_TEXT(str_c(e->state))) && put(f, op[2] + 1, DB_TEXT(str_c(e->message))));
}

static bool throw(struct frame * f) {
    const struct pg_error *e = handled(f);
    if (e) f->conn->raised = *e;
    else raised(f, "XX000", "there is no error to raise again");
    return false;
}

static bool stacked(struct frame *f, const uint32_t *op) {
    const struct pg_error *e = handled(f);
    if (!e) return raised(f, "0Z002", "GET STACKED DIAGNOSTICS cannot be used outside an exception handler");
    const char *const parts[] = {e->message, e->state, e->detail, e->hint, e->column, e->constraint, "", e->table, e->schema, ""};
    return put(f, op[2], DB_TEXT(str_c(op[1] < ARRAY_COUNT(parts) ? parts[op[1]] : "")));
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
        ok = late_of(f, op[2]) ? late_value(f, late_of(f, op[2]), op[1], NULL) : evaluate(f, op[2], op[1]);
        break;
    case CATALOG_OP_COPY:
        for (uint32_t i = 0; ok && i < op[3]; i++) ok = put(f, op[1] + i, f->places[op[2] + i].v);
        break;
    case CATALOG_OP_CLEAR:
        for (uint32_t i = 0; i < op[2]; i++) f->places[op[1] + i].v = DB_NOTHING;
        break;
    case CATALOG_OP_NOT_NULL:
        if (f->places[op[1]].v.kind != DB_NULL) break;
        ok = evaluate(f, op[2], op[1]) && query_fail(&f->conn->raised, "22004", STR_FMT, STR_ARG(text_at(f, op[1])));
        break;
    case CATALOG_OP_JUMP: to = op[1]; break;
    case CATALOG_OP_UNLESS:
        ok = late_of(f, op[1]) ? late_value(f, late_of(f, op[1]), 0, &is) : is_true(f, op[1], &is);
        if (!is) to = op[2];
        break;
    case CATALOG_OP_RUN: ok = late_of(f, op[1]) ? late_statement(f, late_of(f, op[1]), op) : run_statement(f, op); break;
    case CATALOG_OP_OPEN:
        ok = late_of(f, op[2]) ? open_script(f, op[1], late_script(f, late_of(f, op[2]), CATALOG_TEXT_ROWS)) : open_cursor(f, op);
        f->states[op[1]] = ok ? CURSOR_OPEN : f->states[op[1]];
        break;
    case CATALOG_OP_NEXT:
        ok = next_row(f, op, &is);
        if (!is) to = op[4];
        break;
    case CATALOG_OP_CLOSE:
        cursor_close(f, cursor_of(f, op[1]));
        f->states[op[1]] = CURSOR_CLOSED;
        break;
    case CATALOG_OP_PAST:
        is = op[3] ? f->places[op[1]].v.i < f->places[op[2]].v.i : f->places[op[1]].v.i > f->places[op[2]].v.i;
        if (is) to = op[4];
        break;
    case CATALOG_OP_STEP:
        if (!step_counter(f, op)) to = op[4];
        break;
    case CATALOG_OP_RAISE: ok = raise(f, op); break;
    case CATALOG_OP_RERAISE:
    case CATALOG_OP_THROW: ok = throw(f); break;
    case CATALOG_OP_TRY: ok = begin_try(f, op); break;
    case CATALOG_OP_LEAVE: ok = leave(f, op[1]); break;
    case CATALOG_OP_CATCH:
        ok = catch (f, op, &is);
        if (!is) to = op[3];
        break;
    case CATALOG_OP_STACKED: ok = stacked(f, op); break;
    case CATALOG_OP_ROW_COUNT: f->places[op[1]].v = DB_I64(f->rows); break;
    case CATALOG_OP_RETURN: return leave(f, f->tries_n) && give(f, op[1], op[2]) ? WENT_OUT : WENT_WRONG;
    case CATALOG_OP_RETURN_NULL: return f->result->null = true, leave(f, f->tries_n) ? WENT_OUT : WENT_WRONG;
    case CATALOG_OP_GIVE: ok = give(f, op[1], op[2]); break;
    case CATALOG_OP_GIVE_QUERY:
        ok = late_of(f, op[1]) ? give_script(f, late_script(f, late_of(f, op[1]), CATALOG_TEXT_RESULT)) : give_query(f, op);
        break;
    case CATALOG_OP_ARGUMENT:
        vec_push(f->mem, &f->argument_places, op[1]);
        if (op[2] != CATALOG_GOES_ON) vec_push(f->mem, &f->argument_types, op[2] ? op[2] : type_noted(f, op[1]));
        break;
    case CATALOG_OP_WANT: vec_push(f->mem, &f->want, ((struct catalog_field){{0}, op[1], (int32_t)op[2] - 1})); break;
    case CATALOG_OP_EXECUTE: ok = execute_text(f, op); break;
    case CATALOG_OP_NEXT_RECORD:
        ok = next_record(f, op, &is);
        if (!is) to = op[4];
        break;
    case CATALOG_OP_OPEN_TEXT:
        ok = open_text(f, op);
        f->states[op[1]] = ok ? CURSOR_OPEN : f->states[op[1]];
        break;
    case CATALOG_OP_GIVE_TEXT: ok = give_text(f, op); break;
    case CATALOG_OP_MUST: ok = must_cursor(f, op); break;
    case CATALOG_OP_SEEK: seek_cursor(f, op); break;
    case CATALOG_OP_ROW: ok = cursor_row(f, op); break;
    case CATALOG_OP_COUNT: break;
    case CATALOG_OP_NO_RETURN:
        ok = raised(f, "2F005",
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
        if (at >= n) return raised(f, "XX000", "a function runs past its end");
        enum went went = WENT_WRONG;
        if (++f->steps % STEPS || db_goes_on(f->conn->db)) went = step(f, code + (size_t)at * CATALOG_OP_WIDTH, &at);
        else raised(f, "57014", "canceling statement due to statement timeout");
        if (went == WENT_OUT) return true;
        if (went == WENT_WRONG && !unwind(f, &at)) return false;
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
    bool ok = charge(f, code->places * sizeof *f->places);
    for (uint32_t i = 0; ok && i < n && i + 1 < code->places; i++) ok = put(f, i + 1, args[i]);
    return ok;
}

static void end_frame(struct frame *f) {
    for (uint32_t i = 0; f->cursors && i < CATALOG_CURSORS_MAX; i++) cursor_close(f, &f->cursors[i]);
    for (uint32_t i = 0; i < f->loaded->code->places; i++) free(f->places[i].own);
    for (uint32_t i = 0; i < f->records.n; i++)
        if (f->records.p[i].mem) arena_free(f->records.p[i].mem);
    free(f->cursors);
    free(f->places);
    credit(f, f->bytes);
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

static const struct catalog_function *function_of(struct query_conn *conn, uint32_t id) {
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

static bool call_function(struct query_conn *conn, const struct db_value *args, uint32_t n, struct query_routine_rows *out) {
    const struct catalog_function *f = n >= 2 && args[0].kind == DB_INTEGER ? function_of(conn, (uint32_t)args[0].i) : NULL;
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
    const struct catalog_function *f = function_of(conn, t->function);
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
    if (!call_function(conn, args, n, &rows)) db_refuse(call, str_c(conn->raised.message));
    else if (rows.n && !rows.null) db_answer(call, rows.values[0]);
    else db_answer(call, DB_NOTHING);
    arena_free(rows.mem);
}

bool query_step_call(struct query_conn *conn, uint32_t function) {
    const struct catalog_function *f = function_of(conn, function);
    struct query_routine_rows rows = {.mem = arena_new(0), .columns = 1};
    conn->raised = (struct pg_error){0};
    bool ok = f && f->routine.code.n;
    if (!ok) query_fail(&conn->raised, "XX000", "there is no such step");
    if (ok) {
        warm_code(conn, f, &f->routine, f->owner, 0);
        conn->raised = (struct pg_error){0};
        ok = call_code(conn, f, &f->routine, f->owner, NULL, 0, &rows);
    }
    arena_free(rows.mem);
    return ok;
}

struct rows_state {
    struct query_routine_rows rows;
    uint32_t at;
};

static void table_begin(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    struct rows_state *s = state;
    *s = (struct rows_state){.rows.mem = arena_new(0)};
    if (conn->row_mem) return;
    const struct catalog_function *f = n >= 2 && args[0].kind == DB_INTEGER ? function_of(conn, (uint32_t)args[0].i) : NULL;
    if (!call_function(conn, args, n, &s->rows)) return db_refuse(call, str_c(conn->raised.message));
    if (f && !f->set && !s->rows.n && !f->strict) { /* no row is one of nulls */
        s->rows.values = arena_array(s->rows.mem, struct db_value, s->rows.columns);
        for (uint32_t i = 0; i < s->rows.columns; i++) s->rows.values[i] = DB_NOTHING;
        s->rows.n = 1;
    }
}

static bool table_next(struct db_call *call, void *arg, void *state, struct db_value *row) {
    struct rows_state *s = state;
    (void)call, (void)arg;
    if (s->at >= s->rows.n) return false;
    for (uint32_t i = 0; i < s->rows.columns && i < DB_TABLE_COLUMNS_MAX; i++)
        row[i] = s->rows.values[(size_t)s->at * s->rows.columns + i];
    s->at++;
    return true;
}

static void table_end(void *arg, void *state) {
    (void)arg;
    arena_free(((struct rows_state *)state)->rows.mem);
}

#define TEN(p) "c" p "1", "c" p "2", "c" p "3", "c" p "4", "c" p "5", "c" p "6", "c" p "7", "c" p "8", "c" p "9"
#define COLUMNS                                                                                                                  \
    {                                                                                                                            \
        TEN(""), "c10", TEN("1"), "c20", TEN("2"), "c30", TEN("3"), "c40", TEN("4"), "c50", TEN("5"), "c60", TEN("6"), "c70",    \
            TEN("7"), "c80", TEN("8"), "c90", TEN("9"), "c100"                                                                   \
    }
const struct db_table_function query_routine_table = {
    .name = "query_table",
    .columns = COLUMNS,
    .arguments = DB_TABLE_ARGUMENTS_MAX,
    .arguments_min = 2,
    .state_bytes = sizeof(struct rows_state),
    .begin = table_begin,
    .next = table_next,
    .end = table_end,
};

/* ---- transition tables ---- */

struct transition_state {
    const struct query_transition *of;
    uint32_t which, at;
};

static void transition_begin(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    struct query_conn *conn = arg;
    struct transition_state *s = state;
    (void)call;
    *s = (struct transition_state){.of = conn->transition, .which = n && args[0].kind == DB_INTEGER && args[0].i == 1};
}

static bool transition_next(struct db_call *call, void *arg, void *state, struct db_value *row) {
    struct transition_state *s = state;
    (void)call, (void)arg;
    if (!s->of || s->at >= s->of->n[s->which]) return false;
    const struct db_value *from = s->of->rows[s->which][s->at++];
    for (uint32_t i = 0; i < s->of->columns && i < DB_TABLE_COLUMNS_MAX; i++) row[i] = from[i];
    return true;
}

const struct db_table_function query_transition_table = {
    .name = "query_transition",
    .columns = COLUMNS,
    .arguments = 1,
    .arguments_min = 1,
    .state_bytes = sizeof(struct transition_state),
    .begin = transition_begin,
    .next = transition_next,
};

/* ---- what parts of a statement gave back (sql/routine_with.c) ---- */

struct kept_state {
    const struct cursor *of;
    uint32_t at;
};

static void kept_begin(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n) {
    const struct query_conn *conn = arg;
    const struct frame *f = conn->frame;
    bool there = f && f->cursors && n && args[0].kind == DB_INTEGER && args[0].i >= 0 && args[0].i < CATALOG_CURSORS_MAX;
    (void)call;
    *(struct kept_state *)state = (struct kept_state){.of = there ? &f->cursors[args[0].i] : NULL};
}

static bool kept_next(struct db_call *call, void *arg, void *state, struct db_value *row) {
    struct kept_state *s = state;
    (void)call, (void)arg;
    if (!s->of || s->at >= s->of->n) return false;
    const struct db_value *from = s->of->values + (size_t)s->at++ * s->of->columns;
    for (uint32_t i = 0; i < s->of->columns && i < DB_TABLE_COLUMNS_MAX; i++) row[i] = from[i];
    return true;
}

const struct db_table_function query_kept_table = {
    .name = "query_kept",
    .columns = COLUMNS,
    .arguments = 1,
    .arguments_min = 1,
    .state_bytes = sizeof(struct kept_state),
    .begin = kept_begin,
    .next = kept_next,
};
