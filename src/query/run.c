/* run: a tree on a database, for a role: resolved, printed, run, answered.
 *
 *   query_run ── select ──> rows                              ── call ──> the function's statements, the last one's rows
 *            └── write ───> [rows to be deleted, as selected] -> the statement, guards up -> [rows that were written, as selected]
 *
 * 1. While a statement of ours is prepared and run the wall stands; it is down for whatever else the connection's owner does.
 * 2. What functions raise (conn->raised) is what went wrong, before what SQLite says of it.
 */
#include "query/query_int.h"
#include <stdio.h>

struct run {
    struct query_conn *conn;
    struct query *q;
    struct query_result *result;
    arena *mem; /* of the run */
    uint32_t role;
    uint32_t twice;              /* of an upsert: its first row that is an earlier one again */
    bool ranged;                 /* limit and offset are of rows as they come, not of the statement's */
    struct query_stream *stream; /* its rows are told as they come; NULL: they are collected */
    bool gave;                   /* … and some have been */
};

static struct query_printing printing(struct run *r, struct query_statement *to) {
    return (struct query_printing){
        .conn = r->conn, .to = to, .query = r->q, .out = r->mem, .error = &r->result->error, .role = r->role};
}

static bool too_large(struct run *r) {
    return query_fail(&r->result->error, "54000", "the answer is larger than %llu bytes",
                      (unsigned long long)r->conn->answer_max);
}

/* ---- rows ---- */

enum answer {
    ANSWER_ROWS,
    ANSWER_VALUES /* the first column alone */,
    ANSWER_KEYS /* integers */,
    ANSWER_PLAN /* what EXPLAIN QUERY PLAN gives */,
    ANSWER_NOTHING
};

/* A value as text, of whatever type. */
static bool put_plain(struct run *r, uint32_t type, struct db_value v, struct buf *to, arena *scratch) {
    struct pg_call call = {.mem = scratch, .session = &r->conn->session, .error = &r->conn->raised};
    if (v.kind == DB_NULL) return true;
    struct db_value document; /* an embed, as jsonb says it */
    if (type != PG_NO_TYPE) return pg_value_out(&call, type, v, to);
    return pg_value_in(&call, PG_JSONB, -1, v.s, &document) && pg_value_out(&call, PG_JSONB, document, to);
}

static bool put_line(struct run *r, const struct query_shape *shape, const struct db_value *values, struct buf *to,
                     arena *scratch) {
    struct buf cell = {0};
    bool ok = true;
    if (!to->n && !r->gave) query_put_names(&r->q->select, to);
    buf_putc(to, '\n');
    for (uint32_t i = 0; ok && i < shape->count; i++) {
        if (i) buf_putc(to, ',');
        cell.n = 0;
        ok = put_plain(r, shape->members[i].type, values[i], &cell, scratch);
        if (ok && values[i].kind != DB_NULL) query_put_cell(to, buf_str(&cell));
    }
    buf_free(&cell);
    return ok;
}

/* The one value of a function, as it is: of a bytea its digits alone. */
static bool put_bare(struct run *r, const struct query_shape *shape, const struct db_value *values, struct buf *to,
                     arena *scratch) {
    size_t from = to->n;
    if (!put_plain(r, shape->members[0].type, values[0], to, scratch)) return false;
    if (!r->q->hex || to->n < from + 2) return true;
    memmove(to->p + from, to->p + from + 2, to->n - from - 2);
    to->n -= 2;
    return true;
}

/* A step of a plan, in the manner of SQLite's shell: {"id", "parent", "detail"}, or a line of its words. Views of ours are called by what nobody may know. */
static bool put_step(struct run *r, const struct db_value *values, struct buf *to) {
    str detail = values[3].kind == DB_TEXTUAL ? values[3].s : (str){0}, token = str_c(r->conn->token);
    struct buf b = {0};
    for (size_t i = 0; i < detail.n;) {
        bool here = token.n && i + token.n <= detail.n && !memcmp(detail.p + i, token.p, token.n);
        if (!here) buf_putc(&b, detail.p[i]);
        i += here ? token.n : 1;
    }
    if (r->q->explain == QUERY_EXPLAIN_JSON) {
        struct json_writer w = json_writer_of(to);
        buf_putc(to, to->n ? ',' : '[');
        json_put_object(&w, NULL);
        json_put_i64(&w, "id", values[0].i);
        json_put_i64(&w, "parent", values[1].i);
        json_put_str(&w, "detail", buf_str(&b));
        json_put_end(&w);
    } else {
        if (to->n) buf_putc(to, '\n');
        buf_puts(to, buf_str(&b));
    }
    buf_free(&b);
    return true;
}

static bool take_values(struct run *r, const struct db_value *values, const struct query_shape *shape, enum answer how,
                        struct buf *to, arena *scratch) {
    if (how == ANSWER_NOTHING) return true;
    if (how == ANSWER_ROWS && r->q->form == QUERY_FORM_CSV) return put_line(r, shape, values, to, scratch);
    if (how == ANSWER_VALUES && r->q->form == QUERY_FORM_CSV) return put_line(r, shape, values, to, scratch);
    if (how == ANSWER_VALUES && r->q->form == QUERY_FORM_BARE && shape->count) return put_bare(r, shape, values, to, scratch);
    if (how == ANSWER_PLAN) return put_step(r, values, to);
    if (to->n > 1 || r->gave) buf_putc(to, ',');
    if (how == ANSWER_KEYS) return buf_i64(to, values[0].i);
    size_t from = to->n;
    bool ok = how == ANSWER_VALUES && shape->count ? query_put_json(r->conn, shape->members[0].type, values[0], to, scratch)
                                                   : query_put_row(r->conn, shape, values, to, scratch);
    return ok && (!r->q->stripped || query_strip_nulls(scratch, to, from, &r->result->error));
}

static bool take_row(struct run *r, struct db_rows *rows, const struct query_shape *shape, enum answer how, struct buf *to,
                     arena *scratch) {
    uint32_t n = db_columns(rows);
    struct db_value *values = arena_array(scratch, struct db_value, n + 1);
    for (uint32_t i = 0; i < n; i++) values[i] = db_value(rows, i);
    return take_values(r, values, shape, how, to, scratch);
}

/* ---- rows that are told as they come ---- */

/* Within a statement that is run: another one, which gives one number. */
static bool take_number(struct run *r, struct query_statement *s, int64_t *out) {
    struct query_conn *conn = r->conn;
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    const struct query_statement *above = conn->statement;
    conn->statement = s;
    if (conn->options.told) conn->options.told(conn->options.told_arg, buf_str(&s->sql));
    query_wall_up(conn);
    err e = db_query_values(conn->db, buf_str(&s->sql), s->values.p, s->values.n, &rows, &d);
    if (e == ERR_OK) {
        *out = db_next(rows) ? db_i64(rows, 0) : 0;
        e = db_end(rows, &d);
    }
    conn->statement = above;
    if (e != ERR_OK) query_failed(conn, r->q, e, &d, &r->result->error);
    return e == ERR_OK;
}

/* How many there will be, as the transaction sees them; and how many there are without a range, if that was asked for. */
static bool count_ahead(struct run *r, struct query_result *known) {
    const struct query_select *s = &r->q->select;
    struct query_statement st = {0};
    struct query_printing p = printing(r, &st);
    int64_t n = 0;
    bool ok = query_put_count(&p, s, !r->q->count) && take_number(r, &st, &n);
    query_statement_free(&st);
    if (r->q->count) {
        known->total = n;
        n = MAX(n - s->offset, 0);
        if (s->limit >= 0) n = MIN(n, s->limit);
    }
    known->rows = (uint64_t)n;
    return ok;
}

static bool give(struct run *r, struct buf *rows) {
    struct query_stream *s = r->stream;
    if (!r->gave && r->conn->counted) {
        struct query_result known = {.rows = r->result->rows, .total = -1, .has_body = true};
        struct query_said said = query_said_of(&r->conn->session);
        struct buf first = {0};
        if ((s->counts || r->q->count) && !count_ahead(r, &known)) return false;
        r->result->total = known.total;
        query_put_head(r->q, &known, &said, &first);
        buf_puts(&first, buf_str(rows));
        buf_free(rows);
        *rows = first;
    }
    s->begun = r->gave = true;
    bool ok = s->give(s->arg, rows, &r->result->error);
    rows->n = 0;
    return ok || query_fail(&r->result->error, "57014", "nobody takes the rows any more");
}

/* Rows have come: what is to be told of them is. */
static bool tell_rows(struct run *r, struct buf *rows) {
    if (rows->n < (r->gave ? r->stream->part : r->stream->first)) return true;
    bool waits = !r->gave && !r->stream->may(r->stream->arg);
    if (waits && rows->n <= r->conn->answer_max) return true;
    return waits ? query_fail(&r->result->error, "53300", "too many large answers are on their way: ask again in a moment")
                 : give(r, rows);
}

/* How many there are is all that is still of use: their bytes are not kept. */
static bool is_counted_alone(const struct query *q, int64_t seen) {
    return q->kind == QUERY_SELECT && (q->bodiless || (q->single && seen > 1));
}

static bool take_rows(struct run *r, struct db_rows *rows, const struct query_statement *s, enum answer how, struct buf *to,
                      uint64_t *count) {
    arena *scratch = arena_new(0);
    const struct query_select *range = how != ANSWER_NOTHING && r->ranged ? &r->q->select : NULL;
    bool ok = true;
    int64_t seen = 0;
    while (ok && db_next(rows)) {
        seen++;
        if (range && (seen <= range->offset || (range->limit >= 0 && seen - range->offset > range->limit))) continue;
        size_t from = to->n;
        ok = take_row(r, rows, s->shapes.n ? &s->shapes.p[0] : NULL, how, to, scratch);
        if (how == ANSWER_ROWS && is_counted_alone(r->q, seen)) to->n = from = MIN(to->n, (size_t)1);
        uint64_t held = r->stream ? to->n - from : to->n + r->conn->answered; /* of rows that are told as they come each */
        if (ok && held > r->conn->answer_max) ok = too_large(r);
        if (count) ++*count;
        if (ok && r->stream && how == ANSWER_ROWS) ok = tell_rows(r, to);
        arena_reset(scratch);
    }
    arena_free(scratch);
    return ok;
}

static void end_plan(struct run *r) {
    struct buf *b = &r->result->body;
    r->result->has_body = true;
    r->result->rows = r->result->affected = 0;
    if (r->q->explain == QUERY_EXPLAIN_JSON) buf_puts(b, b->n ? STR("]") : STR("[]"));
}

static bool run_to_end(struct run *r, struct query_statement *s, enum answer how, struct buf *to, uint64_t *count);

/* How it would be run, and not that: each of its statements adds its steps. */
static bool explain_statement(struct run *r, const struct query_statement *s) {
    struct query_statement how = {.values = {.p = s->values.p, .n = s->values.n, .cap = s->values.cap}};
    buf_puts(&how.sql, STR("explain query plan "));
    buf_puts(&how.sql, buf_str(&s->sql));
    r->result->has_body = true;
    bool ok = run_to_end(r, &how, ANSWER_PLAN, &r->result->body, NULL);
    buf_free(&how.sql);
    return ok;
}

/* One statement, to its end. */
static bool run_statement(struct run *r, struct query_statement *s, enum answer how, struct buf *to, uint64_t *count) {
    return r->q->explain ? explain_statement(r, s) : run_to_end(r, s, how, to, count);
}

static bool run_to_end(struct run *r, struct query_statement *s, enum answer how, struct buf *to, uint64_t *count) {
    struct query_conn *conn = r->conn;
    struct db_rows *rows;
    struct diag d = DIAG_INIT;
    const struct query_statement *above = conn->statement;
    if (s->values.n > QUERY_PARAMS_MAX)
        return query_fail(&r->result->error, "54023", "a statement has at most %d values", QUERY_PARAMS_MAX);
    conn->statement = s;
    if (conn->options.told) conn->options.told(conn->options.told_arg, buf_str(&s->sql));
    query_routine_warm(conn, buf_str(&s->sql));
    query_wall_up(conn);
    err e = db_query_values(conn->db, buf_str(&s->sql), s->values.p, s->values.n, &rows, &d);
    if (e == ERR_OK) {
        bool ok = take_rows(r, rows, s, how, to, count);
        e = db_end(rows, &d);
        if (e == ERR_OK && !ok) e = ERR_INVALID;
    }
    conn->walled = false;
    conn->statement = above;
    if (e != ERR_OK) query_failed(conn, r->q, e, &d, &r->result->error);
    return e == ERR_OK;
}

static bool is_list(const struct query *q) { return q->form == QUERY_FORM_ROWS; }

/* What stands around an answer's rows. */
static bool open_rows(struct run *r) { return !is_list(r->q) || buf_putc(&r->result->body, '['); }
static bool close_rows(struct run *r) {
    if (is_list(r->q)) return buf_putc(&r->result->body, ']');
    return r->q->form != QUERY_FORM_CSV || r->result->body.n || buf_putc(&r->result->body, '\n');
}

static bool run_answer(struct run *r, struct query_statement *s, enum answer how) {
    r->result->has_body = true;
    return open_rows(r) && run_statement(r, s, how, &r->result->body, &r->result->rows) && close_rows(r);
}

/* ---- select ---- */

static bool count_rows(struct run *r, const struct query_select *s) {
    struct query_statement st = {0};
    struct query_printing p = printing(r, &st);
    struct buf n = {0};
    bool ok = query_put_count(&p, s, false) && run_statement(r, &st, ANSWER_KEYS, &n, NULL);
    if (ok && n.n) {
        buf_putc(&n, 0);
        uint64_t total = 0;
        ok = str_to_u64((str){n.p, n.n - 1}, &total);
        r->result->total = (int64_t)total;
    }
    buf_free(&n);
    query_statement_free(&st);
    return ok;
}

static bool run_select(struct run *r) {
    struct query_select *s = &r->q->select;
    struct query_statement st = {0};
    struct query_printing p = printing(r, &st);
    if (query_streams(r->q) && !r->q->single) r->stream = r->conn->stream;
    bool ok = query_put_select(&p, s) && run_answer(r, &st, ANSWER_ROWS);
    bool whole = s->limit < 0 && !s->offset;
    if (r->q->explain) whole = true;
    if (ok && r->q->count && whole) r->result->total = (int64_t)r->result->rows;
    if (ok && r->q->count && !whole && !r->gave) ok = count_rows(r, s);
    r->stream = NULL, r->gave = false;
    query_statement_free(&st);
    return ok;
}

/* ---- writes ---- */

static bool raise_view_guard(struct run *r, enum query_view_check check) {
    return query_view_check_of(r->conn, r->q->select.of, r->role, check, &r->conn->guards[2 + check], &r->result->error);
}

static bool raise_guards(struct run *r) {
    struct query_conn *conn = r->conn;
    const struct query *q = r->q;
    struct pg_error *error = &r->result->error;
    uint32_t role = q->target_role;
    if (q->kind == QUERY_DELETE || q->instead) return true;
    if (q->kind == QUERY_UPDATE)
        return query_check_of(conn, q->target, role, q->reads ? QUERY_CHECK_UPDATE_READ : QUERY_CHECK_UPDATE, &conn->guards[0],
                              error) &&
               raise_view_guard(r, QUERY_VIEW_UPDATED);
    if (!query_check_of(conn, q->target, role, q->reads ? QUERY_CHECK_INSERT_READ : QUERY_CHECK_INSERT, &conn->guards[0],
                        error) ||
        !raise_view_guard(r, QUERY_VIEW_INSERTED))
        return false;
    return q->conflict != QUERY_CONFLICT_MERGE ||
           (query_check_of(conn, q->target, role, QUERY_CHECK_UPSERT, &conn->guards[1], error) &&
            raise_view_guard(r, QUERY_VIEW_UPDATED) && raise_view_guard(r, QUERY_VIEW_FOUND));
}

static bool print_write(struct query_printing *p, uint32_t from, uint32_t n) {
    switch (p->query->kind) {
    case QUERY_INSERT: return query_put_insert(p, from, n);
    case QUERY_UPDATE: return query_put_update(p);
    default: return query_put_delete(p);
    }
}

/* So many rows of an insert are one statement: as many as its values leave room for. */
static uint32_t rows_at_once(const struct query *q) {
    if (q->kind != QUERY_INSERT || !q->columns_count) return 1;
    return MAX(1u, (uint32_t)QUERY_PARAMS_MAX / q->columns_count);
}

/* ---- a key of one integer column, which SQLite gives a value where PostgreSQL refuses the null ---- */

const struct catalog_column *query_key_of(const struct query *q) {
    const struct catalog_constraint *k = catalog_primary_key(q->target);
    const struct catalog_column *c = k && k->columns.n == 1 ? catalog_column_of(q->target, k->columns.p[0]) : NULL;
    return c && (c->type == PG_INT2 || c->type == PG_INT4 || c->type == PG_INT8) && !c->generated ? c : NULL;
}

/* The first row, from one on, that leaves it null. */
static uint32_t next_keyless(const struct query *q, const struct catalog_column *key, uint32_t from) {
    bool has_default = q->kind != QUERY_INSERT || (key && (key->default_value.fragment.text.n || key->sequence)), given = false;
    for (uint32_t i = 0; key && i < q->columns_count; i++) {
        if (q->targets[i] != key) continue;
        given = true;
        for (uint32_t row = from; row < q->cells_count; row++)
            if (q->cells[row].there[i] ? q->cells[row].cells[i].null : !has_default) return row;
    }
    return key && !given && !has_default ? from : q->cells_count;
}

static uint32_t place_of(const struct catalog_relation *of, str column) {
    uint32_t i = 0;
    while (i < of->columns.n && !str_eq(of->columns.p[i].name, column)) i++;
    return i;
}

/* The statement of such a row was run, so that policies could refuse it first; what constraints said comes behind the null's. */
static bool refuse_keyless(struct run *r, struct query_statement *st, const struct catalog_column *key) {
    struct pg_error *e = &r->result->error;
    const struct catalog_relation *of = r->q->target;
    if (e->set && strncmp(e->state, "23", 2) != 0 && strncmp(e->state, "44", 2) != 0) return false;
    if (e->set && str_eqc(str_c(e->state), "23502") && place_of(of, str_c(e->column)) < place_of(of, key->name)) return false;
    query_failed_null(of, key, e);
    query_row_tell(r->conn, r->q, st, key->number, e);
    return false;
}

/* ---- two rows of one upsert that are the same row ---- */

/* Which of the columns written are the arbiter's; 0: not all of its are given. */
static uint32_t arbiter_places(const struct query *q, uint32_t *at, uint32_t max) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->columns_count; i++)
        for (uint32_t k = 0; k < q->conflict_count && n < max; k++)
            if (q->targets[i] == q->arbiter[k]) at[n++] = i;
    return n == q->conflict_count ? n : 0;
}

/* False: a part of it is null, or a default. */
static bool put_key(struct run *r, uint32_t row, const uint32_t *at, uint32_t n, struct buf *key) {
    for (uint32_t k = 0; k < n; k++) {
        const struct query_bound *b = &r->q->cells[row].cells[at[k]];
        struct pg_call call = {.mem = r->mem, .session = &r->conn->session, .error = &r->conn->raised};
        if (b->null || !r->q->cells[row].there[at[k]] || !pg_value_out(&call, b->type, b->value, key)) return false;
        buf_putc(key, 0);
    }
    return true;
}

/* The first one that is a row before it; cells_count: none. */
static uint32_t find_twice(struct run *r) {
    const struct query *q = r->q;
    uint32_t at[32], row = 0;
    if (q->kind != QUERY_INSERT || q->conflict != QUERY_CONFLICT_MERGE || q->cells_count < 2) return q->cells_count;
    uint32_t n = arbiter_places(q, at, ARRAY_COUNT(at));
    struct map seen = {0};
    for (bool again = false; n && row < q->cells_count; row++) {
        struct buf key = {0};
        again = put_key(r, row, at, n, &key) && !map_put(r->mem, &seen, arena_str(r->mem, buf_str(&key)), row);
        buf_free(&key);
        if (again) return row;
    }
    return q->cells_count;
}

/* The row was run as one to be inserted alone, so that what is wrong with it by itself is said first. */
static bool refuse_twice(struct run *r) {
    struct pg_error *e = &r->result->error;
    if (e->set && !str_eqc(str_c(e->state), "23505") && !str_eqc(str_c(e->state), "23503")) return false;
    *e = (struct pg_error){0};
    query_fail(e, "21000", "ON CONFLICT DO UPDATE command cannot affect row a second time");
    query_fail_hint(e, "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.");
    return false;
}

static bool wants_row(const struct pg_error *e) {
    if (str_eqc(str_c(e->state), "44000")) return !e->detail[0];
    return !e->detail[0] && e->table[0] && (str_eqc(str_c(e->state), "23502") || str_eqc(str_c(e->state), "23514"));
}

static bool write_some(struct run *r, uint32_t from, uint32_t n, enum answer how, struct buf *to) {
    struct query_statement st = {0};
    struct query_printing p = printing(r, &st);
    const struct catalog_column *key = query_key_of(r->q);
    bool ok = print_write(&p, from, n), ran = ok;
    bool twice = r->q->kind == QUERY_INSERT && from == r->twice;
    if (twice) r->conn->guards[1] = r->conn->guards[3] = r->conn->guards[4] = 0; /* its update arm is not come to */
    ok = ok && run_statement(r, &st, how, to, &r->result->rows);
    if (ok) r->result->affected += db_changed(r->conn->db);
    bool keyless = ran && key && next_keyless(r->q, key, from) == from && r->q->kind != QUERY_DELETE;
    if (keyless && (!ok || r->q->kind == QUERY_INSERT || db_changed(r->conn->db))) ok = refuse_keyless(r, &st, key);
    else if (ran && twice) ok = refuse_twice(r);
    if (ran && !ok && !keyless && wants_row(&r->result->error)) query_row_tell(r->conn, r->q, &st, 0, &r->result->error);
    query_statement_free(&st);
    return ok;
}

static bool write_all(struct run *r, enum answer how, struct buf *to) {
    const struct query *q = r->q;
    uint32_t step = rows_at_once(q), count = q->kind == QUERY_INSERT ? q->cells_count : 1, n;
    const struct catalog_column *key = query_key_of(q);
    for (uint32_t from = 0; from < count; from += n) {
        uint32_t keyless = key ? next_keyless(q, key, from) : count,
                 alone = MIN(keyless, q->kind == QUERY_INSERT ? r->twice : count);
        n = MIN(step, alone > from ? alone - from : 1);
        if (write_some(r, from, n, how, to)) continue;
        if (from + n == alone && alone < count && str_eqc(str_c(r->result->error.state), "23503")) {
            r->result->error = r->conn->raised =
                (struct pg_error){0}; /* keys are looked at last: the row that is refused comes first */
            return write_some(r, alone, 1, how, to);
        }
        return false;
    }
    return true;
}

static bool select_written(struct run *r, str keys) {
    struct query_statement st = {0};
    struct query_printing p = printing(r, &st);
    uint32_t touched = r->conn->touched.n;
    r->result->rows = 0;
    r->conn->touched.n = 0; /* it writes nothing */
    bool ok = query_put_select_rows(&p, keys) && run_answer(r, &st, ANSWER_ROWS);
    r->conn->touched.n = touched;
    query_statement_free(&st);
    return ok;
}

static bool check_values(struct run *r) {
    const struct query *q = r->q;
    for (uint32_t i = 0; q->kind != QUERY_DELETE && i < q->columns_count; i++)
        for (uint32_t row = 0; row < q->cells_count; row++)
            if (q->cells[row].there[i] &&
                !query_domain_check(r->conn, q->targets[i]->type, r->role, &q->cells[row].cells[i], &r->result->error))
                return false;
    return true;
}

/* How many of the rows that an upsert is given are there: those it will update. Whatever policies say, as it is said by what the writer may change. */
static bool count_there(struct run *r) {
    const struct query *q = r->q;
    uint32_t at[32], n = 0;
    for (uint32_t k = 0; k < q->conflict_count && n < ARRAY_COUNT(at); k++)
        for (uint32_t i = 0; i < q->columns_count; i++)
            if (q->targets[i] == q->arbiter[k]) at[n++] = i;
    if (q->conflict != QUERY_CONFLICT_MERGE || !n || n != q->conflict_count) return true;
    uint32_t step = MAX(1u, (uint32_t)QUERY_PARAMS_MAX / n);
    for (uint32_t from = 0; from < q->cells_count; from += step) {
        struct query_statement st = {0};
        struct query_printing p = printing(r, &st);
        struct buf found = {0};
        uint64_t there = 0;
        bool ok = query_put_there(&p, at, n, from, MIN(step, q->cells_count - from)) &&
                  run_statement(r, &st, ANSWER_KEYS, &found, NULL);
        if (ok && str_to_u64(buf_str(&found), &there)) r->result->updated += there;
        buf_free(&found);
        query_statement_free(&st);
        if (!ok) return false;
    }
    return true;
}

static bool run_guarded(struct run *r) {
    const struct query_select *s = &r->q->select;
    struct buf keys = {0}, *to = &r->result->body;
    bool plain = query_list_is_plain(r->q), ok;
    if (!s->has_items) return write_all(r, ANSWER_NOTHING, &keys);
    r->result->has_body = plain;
    if (plain) return open_rows(r) && write_all(r, ANSWER_ROWS, to) && close_rows(r);
    if (r->q->kind == QUERY_DELETE) return select_written(r, (str){0}) && write_all(r, ANSWER_NOTHING, &keys);
    if (!select_written(r, STR("[]"))) return false; /* of no rows: what may not be read is said before anything is written */
    to->n = 0;
    buf_putc(&keys, '[');
    ok = write_all(r, ANSWER_KEYS, &keys) && buf_putc(&keys, ']') && select_written(r, buf_str(&keys));
    buf_free(&keys);
    return ok;
}

/* ---- row by row, where the table has triggers ---- */

static bool gather(struct run *r, struct query_change *c, struct query_statement *st, struct query_rows *out) {
    struct query_rows some;
    if (st->values.n > QUERY_PARAMS_MAX)
        return query_fail(&r->conn->raised, "54023", "a statement has at most %d values", QUERY_PARAMS_MAX);
    r->conn->statement = st;
    bool ok = query_change_gather(c, buf_str(&st->sql), st->values.p, st->values.n, &some);
    r->conn->statement = NULL;
    for (uint32_t i = 0; ok && i < some.list.n; i++) vec_push(c->mem, &out->list, some.list.p[i]);
    return ok;
}

static bool source_rows(struct run *r, struct query_change *c, struct query_rows *out) {
    uint32_t n = r->q->kind == QUERY_INSERT ? r->q->cells_count : 1;
    for (uint32_t i = 0; i < n; i++) {
        struct query_statement st = {0};
        struct query_printing p = printing(r, &st);
        bool ok = r->q->kind == QUERY_INSERT ? query_put_insert_row(&p, i, c->columns, &c->count) : query_put_found(&p);
        ok = ok && gather(r, c, &st, out);
        query_statement_free(&st);
        if (!ok) return false;
    }
    return true;
}

static void conflict_of(struct run *r, struct query_change *c) {
    const struct query *q = r->q;
    struct buf b = {0};
    if (!(c->conflicts = q->kind == QUERY_INSERT && q->conflict)) return;
    for (uint32_t i = 0; i < q->conflict_count; i++) {
        buf_puts(&b, i ? STR(",") : STR(" ("));
        query_put_name(&b, q->arbiter[i]->storage);
        vec_push(c->mem, &c->arbiter, q->arbiter[i]->number);
    }
    if (b.n) buf_putc(&b, ')');
    c->arbiter_text = arena_str(c->mem, buf_str(&b));
    c->merges = q->conflict == QUERY_CONFLICT_MERGE && q->columns_count && q->conflict_count;
    c->set = q->targets, c->set_count = c->merges ? q->columns_count : 0;
    c->set_texts = arena_array(c->mem, str, c->set_count + 1);
    for (uint32_t i = 0; i < c->set_count; i++) {
        b.n = 0;
        buf_puts(&b, STR("excluded."));
        query_put_name(&b, q->targets[i]->storage);
        c->set_texts[i] = arena_str(c->mem, buf_str(&b));
    }
    buf_free(&b);
}

static bool run_changes(struct run *r, struct query_change *c) {
    struct query_rows rows = {0};
    const struct query *q = r->q;
    c->columns = arena_array(c->mem, const struct catalog_column *, q->target->columns.n + q->columns_count + 1);
    for (uint32_t i = 0; q->kind == QUERY_UPDATE && i < q->columns_count; i++) c->columns[c->count++] = q->targets[i];
    conflict_of(r, c);
    bool ok = query_change_before(c) && source_rows(r, c, &rows) && query_change_run(c, &rows);
    r->result->affected = c->affected;
    if (!ok && r->conn->raised.set) r->result->error = r->conn->raised;
    return ok;
}

static bool tell_deleted(void *arg, struct query_change *c) {
    struct buf keys = {0};
    buf_putc(&keys, '[');
    for (uint32_t i = 0; i < c->keys.n; i++) buf_printf(&keys, "%s%lld", i ? "," : "", (long long)c->keys.p[i]);
    buf_putc(&keys, ']');
    bool ok = select_written(arg, buf_str(&keys));
    buf_free(&keys);
    return ok;
}

static bool run_instead(struct run *r, struct query_change *c) {
    struct query_transition rows = {.columns = r->q->target->columns.n};
    if (r->q->target->columns.n > DB_TABLE_COLUMNS_MAX)
        return query_fail(&r->result->error, "0A000", "a view of more than %d columns cannot be written by triggers, on SQLite",
                          DB_TABLE_COLUMNS_MAX);
    if (r->q->select.has_items && !select_written(r, STR("[]")))
        return false; /* of no rows: what may not be read is said first */
    r->result->body.n = 0;
    if (!run_changes(r, c)) return false;
    if (!r->q->select.has_items) return true;
    rows.rows[1] = c->instead.p, rows.n[1] = c->instead.n;
    r->conn->transition = &rows;
    bool ok = select_written(r, (str){0});
    r->conn->transition = NULL;
    return ok;
}

static bool run_by_rows(struct run *r) {
    static const uint32_t events[] = {[QUERY_INSERT] = CATALOG_TRIGGER_INSERT,
                                      [QUERY_UPDATE] = CATALOG_TRIGGER_UPDATE,
                                      [QUERY_DELETE] = CATALOG_TRIGGER_DELETE};
    const struct query *q = r->q;
    struct query_change c = {
        .conn = r->conn, .q = q, .mem = r->mem, .event = events[q->kind], .of = q->target, .role = q->target_role};
    struct buf keys = {0};
    if (q->instead) return run_instead(r, &c);
    c.wants_keys = q->select.has_items && q->kind != QUERY_DELETE;
    if (!q->select.has_items) return run_changes(r, &c);
    if (q->kind == QUERY_DELETE) c.tell = tell_deleted, c.tell_arg = r;
    if (q->kind == QUERY_DELETE) return run_changes(r, &c);
    if (!select_written(r, STR("[]"))) return false;
    r->result->body.n = 0;
    query_wall_target(r->conn, q->target);
    if (!run_changes(r, &c)) return false;
    buf_putc(&keys, '[');
    for (uint32_t i = 0; i < c.keys.n; i++) buf_printf(&keys, "%s%lld", i ? "," : "", (long long)c.keys.p[i]);
    buf_putc(&keys, ']');
    bool ok = select_written(r, buf_str(&keys));
    buf_free(&keys);
    return ok;
}

static bool fires(struct query_conn *conn, const struct query *q) {
    if (q->instead) return true;
    if (q->kind != QUERY_DELETE && (q->kind == QUERY_UPDATE || q->conflict == QUERY_CONFLICT_MERGE) &&
        query_keys_fire(conn, q->target, q->targets, q->columns_count))
        return true;
    return query_has_triggers(conn, q->target,
                              q->kind == QUERY_UPDATE               ? CATALOG_TRIGGER_UPDATE
                              : q->kind == QUERY_DELETE             ? CATALOG_TRIGGER_DELETE
                              : q->conflict == QUERY_CONFLICT_MERGE ? CATALOG_TRIGGER_INSERT | CATALOG_TRIGGER_UPDATE
                                                                    : CATALOG_TRIGGER_INSERT);
}

static bool run_write(struct run *r) {
    struct query_conn *conn = r->conn;
    const struct query *q = r->q;
    if (!check_values(r) || !raise_guards(r)) return false;
    r->twice = find_twice(r);
    if (!q->instead) query_wall_target(conn, q->target);
    bool nothing = (q->kind == QUERY_UPDATE && !q->columns_count) || (q->kind == QUERY_INSERT && !q->cells_count);
    bool ok = true;
    if (nothing && q->select.has_items) r->result->has_body = open_rows(r) && close_rows(r);
    if (!nothing) ok = count_there(r) && (fires(conn, q) && !q->explain ? run_by_rows(r) : run_guarded(r));
    query_wall_target(conn, NULL);
    if (ok && q->count) r->result->total = (int64_t)r->result->affected;
    return ok;
}

/* ---- calls ---- */

/* A default's value, before the call: what it says may be said once for all places that name it. */
static bool argument_of(struct run *r, uint32_t i, struct query_bound *out) {
    const struct catalog_argument *a = &r->q->function->arguments.p[i];
    struct query_expanding x = {.conn = r->conn, .at = QUERY_AT_VALUES, .role = r->role};
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    struct db_rows *rows;
    *out = (struct query_bound){.null = true, .type = a->type, .value = DB_NOTHING};
    if (!a->default_value.fragment.text.n) return true;
    buf_puts(&b, STR("select "));
    bool ok = query_expand(&x, a->default_value.fragment.text, &b, &r->result->error);
    query_wall_up(r->conn);
    err e = ok ? db_query_values(r->conn->db, buf_str(&b), NULL, 0, &rows, &d) : ERR_INVALID;
    if (e == ERR_OK) {
        if (db_next(rows)) {
            out->value = db_value(rows, 0);
            out->null = out->value.kind == DB_NULL;
            if (out->value.kind >= DB_TEXTUAL) out->value.s = arena_str(r->mem, out->value.s);
        }
        e = db_end(rows, &d);
    }
    r->conn->walled = false;
    buf_free(&b);
    if (ok && e != ERR_OK) query_failed(r->conn, r->q, e, &d, &r->result->error);
    return e == ERR_OK;
}

static bool bind_arguments(struct run *r, struct query_statement *st) {
    const struct catalog_function *f = r->q->function;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        struct query_bound *b = &r->q->arguments[i];
        if (f->arguments.p[i].mode == CATALOG_OUT || f->arguments.p[i].mode == CATALOG_TABLE_COLUMN)
            continue; /* takes no place */
        if (!r->q->arguments_there[i] && !argument_of(r, i, b)) return false;
        r->q->arguments_there[i] = true;
        struct db_value v = b->null ? DB_NOTHING : b->value;
        vec_push(r->mem, &st->values, v);
    }
    return true;
}

static struct query_expanding body_of(struct run *r, const struct catalog_fragment *of) {
    const struct catalog_function *f = r->q->function;
    uint32_t role = f->definer ? f->owner : r->role;
    return (struct query_expanding){.conn = r->conn,
                                    .at = QUERY_AT_VALUES,
                                    .role = role,
                                    .definer = f->definer ? f->owner : 0,
                                    .arguments_count = f->arguments.n,
                                    .writes = true,
                                    .returns = of->flags & CATALOG_RETURNS};
}

/* A statement takes as many values as the highest place that it names: a body need not name all arguments. */
static bool trim_values(struct query_statement *st) {
    uint32_t most = 0;
    uint8_t quote = 0;
    for (size_t i = 0; i < st->sql.n; i++) {
        uint8_t c = st->sql.p[i];
        if (quote ? c == quote : c == '\'' || c == '"') quote = quote ? 0 : c;
        if (quote || c != '?') continue;
        uint32_t at = 0; /* without a number: the place behind all before it */
        if (i + 1 == st->sql.n || st->sql.p[i + 1] < '0' || st->sql.p[i + 1] > '9') at = most + 1;
        while (i + 1 < st->sql.n && st->sql.p[i + 1] >= '0' && st->sql.p[i + 1] <= '9')
            at = at * 10 + (uint32_t)(st->sql.p[++i] - '0');
        most = MAX(most, at);
    }
    st->values.n = MIN(st->values.n, most);
    return true;
}

static struct db_value value_at(void *arg, uint32_t place) {
    const struct query_statement *st = arg;
    return place < st->values.n ? st->values.p[place] : DB_NOTHING;
}

static bool is_change(struct run *r, const struct catalog_fragment *f) {
    struct query_expanding x = body_of(r, f);
    return f->flags & CATALOG_WRITES && !r->q->explain && query_change_needed(&x, f->text);
}

/* A statement that is run row by row. shape: what it gives back is answered; NULL: it is not. */
static bool run_change(struct run *r, const struct catalog_fragment *f, const struct query_shape *shape, enum answer how) {
    struct query_change c = {.conn = r->conn, .mem = r->mem};
    struct query_statement st = {0};
    struct query_expanding x = body_of(r, f);
    arena *scratch = arena_new(0);
    bool ok = bind_arguments(r, &st) && query_schemas_hold(&x, f, &r->result->error) &&
              query_change_statement(&c, &x, f->text, value_at, &st);
    if (!ok && r->conn->raised.set) r->result->error = r->conn->raised;
    r->result->has_body |= shape != NULL;
    if (ok && shape) ok = open_rows(r);
    for (uint32_t i = 0; ok && shape && i < c.rows.list.n; i++, r->result->rows++, arena_reset(scratch)) {
        ok = take_values(r, c.rows.list.p[i], shape, how, &r->result->body, scratch);
        if (ok && r->result->body.n + r->conn->answered > r->conn->answer_max) ok = too_large(r);
    }
    if (ok && shape) ok = close_rows(r);
    r->conn->changed = ok ? c.affected : 0;
    arena_free(scratch);
    query_statement_free(&st);
    return ok;
}

static void name_key(struct run *r, const struct catalog_fragment *f, const struct query_expanding *x,
                     struct query_statement *st) {
    query_change_name_key(x, f, value_at, st, &r->result->error);
}

static bool run_body_statement(struct run *r, const struct catalog_fragment *f) {
    if (is_change(r, f)) return run_change(r, f, NULL, ANSWER_NOTHING);
    struct query_statement st = {0};
    struct query_expanding x = body_of(r, f);
    bool ok = bind_arguments(r, &st) && query_schemas_hold(&x, f, &r->result->error) &&
              query_expand(&x, f->text, &st.sql, &r->result->error);
    ok = ok && trim_values(&st) && run_statement(r, &st, ANSWER_NOTHING, &r->result->body, NULL);
    if (!ok) name_key(r, f, &x, &st);
    r->conn->changed = ok && f->flags & CATALOG_WRITES ? db_changed(r->conn->db) : 0;
    query_statement_free(&st);
    return ok;
}

/* Its last statement writes, and gives rows: they are answered as they come. */
static bool run_returning(struct run *r, const struct catalog_fragment *f) {
    const struct catalog_function *fn = r->q->function;
    struct query_statement st = {0};
    struct query_expanding x = body_of(r, f);
    struct query_shape shape = {0};
    for (uint32_t i = 0; i < fn->columns.n; i++)
        query_shape_add(r->mem, &shape, r->q->select.of->columns.p[i].name, fn->columns.p[i].type);
    vec_push(r->mem, &st.shapes, shape);
    bool scalar = fn->columns.n == 1 && !fn->columns.p[0].name.n;
    r->ranged = true;
    if (is_change(r, f)) return run_change(r, f, &shape, scalar ? ANSWER_VALUES : ANSWER_ROWS);
    bool ok = bind_arguments(r, &st) && query_schemas_hold(&x, f, &r->result->error) &&
              query_expand(&x, f->text, &st.sql, &r->result->error) && trim_values(&st) &&
              run_answer(r, &st, scalar ? ANSWER_VALUES : ANSWER_ROWS);
    if (!ok) name_key(r, f, &x, &st);
    r->conn->changed = ok ? db_changed(r->conn->db) : 0;
    query_statement_free(&st);
    return ok;
}

static bool take_total(struct run *r, struct query_statement *st) {
    struct buf n = {0};
    uint64_t total = 0;
    bool ok = run_statement(r, st, ANSWER_KEYS, &n, NULL) && str_to_u64(buf_str(&n), &total);
    if (ok) r->result->total = (int64_t)total;
    buf_free(&n);
    return ok;
}

/* with "f" ("c1", …) as not materialized (its last statement) select … from "f" as q0; or how many rows there are without a range */
static bool run_last(struct run *r, const struct catalog_fragment *f, bool count) {
    const struct query_select *s = &r->q->select;
    struct query_statement st = {0};
    struct query_printing p = printing(r, &st);
    struct query_expanding x = body_of(r, f);
    bool scalar = s->of->columns.n == 1 && !r->q->function->columns.p[0].name.n;
    bool ok = bind_arguments(r, &st) && query_schemas_hold(&x, f, &r->result->error);
    buf_puts(&st.sql, STR("with \"_orlo_f\" ("));
    for (uint32_t i = 0; i < s->of->columns.n; i++) buf_printf(&st.sql, "%sc%u", i ? "," : "", i + 1);
    buf_puts(&st.sql, STR(") as materialized ("));
    ok = ok && query_expand(&x, f->text, &st.sql, &r->result->error) && buf_puts(&st.sql, STR(") select "));
    ok = ok && query_put_from(&p, s, STR("_orlo_f"), count) && trim_values(&st);
    ok = ok && (count ? take_total(r, &st) : run_answer(r, &st, scalar ? ANSWER_VALUES : ANSWER_ROWS));
    query_statement_free(&st);
    return ok;
}

/* Of one row the row, of a plain value the value. */
static void unwrap(struct run *r) {
    struct buf *b = &r->result->body;
    if (r->q->function->set || !is_list(r->q)) return;
    if (!r->result->rows) b->n = 0, buf_puts(b, STR("null"));
    else buf_drop(b, 1), b->n--;
}

static bool run_call(struct run *r) {
    const struct catalog_function *f = r->q->function;
    bool ok = true, nothing = f->returns == PG_VOID || !f->columns.n;
    bool counts = r->q->count && !r->q->explain && f->set && (r->q->select.limit >= 0 || r->q->select.offset);
    query_wall_target(r->conn, NULL);
    for (uint32_t i = 0; i < f->arguments.n; i++)
        if (r->q->arguments_there[i] &&
            !query_domain_check(r->conn, f->arguments.p[i].type, r->role, &r->q->arguments[i], &r->result->error))
            return false;
    if (f->strict)
        for (uint32_t i = 0; i < f->arguments.n; i++)
            if (r->q->arguments_there[i] && r->q->arguments[i].null)
                return r->result->has_body = !nothing,
                       f->set ? open_rows(r) && close_rows(r) : !is_list(r->q) || buf_puts(&r->result->body, STR("null"));
    for (uint32_t i = 0; ok && i + 1 < f->statements.n; i++) ok = run_body_statement(r, &f->statements.p[i]);
    if (ok && f->statements.n) {
        const struct catalog_fragment *last = &f->statements.p[f->statements.n - 1];
        if (nothing) ok = run_body_statement(r, last);
        else if (!(last->flags & CATALOG_WRITES)) ok = run_last(r, last, false) && (!counts || run_last(r, last, true));
        else if (r->q->select.where || r->q->select.order_count)
            ok = query_fail(&r->result->error, "0A000",
                            "what a function returns of rows that it writes can be neither filtered nor ordered on SQLite");
        else ok = run_returning(r, last);
    }
    query_wall_target(r->conn, NULL);
    if (ok && !nothing) unwrap(r);
    if (ok && r->q->count && r->result->total < 0) r->result->total = (int64_t)r->result->rows;
    return ok;
}

static bool run_describe(struct run *r) {
    r->result->has_body = true;
    query_describe(r->conn->catalog, r->conn->types, r->q, &r->result->body);
    return true;
}

/* ---- the whole ---- */

const struct pg_error *query_conn_raised(const struct query_conn *conn) { return &conn->raised; }
uint64_t query_conn_changed(const struct query_conn *conn) { return conn->changed; }

void query_conn_begin(struct query_conn *conn, const struct pg_session *session) {
    struct pg_error *raised = &conn->raised;
    conn->session = *session;
    conn->session.error = raised;
    conn->session.types = conn->types;
    conn->session.names = &conn->system.names;
    *raised = (struct pg_error){0};
    memset(conn->guards, 0, sizeof conn->guards);
    conn->depth = 0;
    conn->routine_depth = conn->trigger_depth = conn->reached_n = 0;
    conn->routine_bytes = 0;
    const struct catalog_role *role = catalog_role_named(conn->catalog, session->role);
    conn->current = role ? role->id : 0;
    conn->reads_only = !conn->options.writer;
    query_made_look(conn);
}

/* Of a function: what it was made of says so, whatever it is said to be. */
static bool will_write(const struct query *q) {
    if (q->kind != QUERY_CALL) return query_writes(q);
    for (uint32_t i = 0; i < q->function->statements.n; i++)
        if (q->function->statements.p[i].flags & CATALOG_WRITES) return true;
    return false;
}

bool query_run(struct query_conn *conn, const struct pg_session *session, struct query *q, struct query_result *result) {
    struct run r = {.conn = conn, .q = q, .result = result, .mem = arena_new(0)};
    *result = (struct query_result){.total = -1};
    query_conn_begin(conn, session);
    bool ok = query_resolve(r.mem, conn->catalog, &conn->session, q, &result->error);
    r.role = q->role;
    if (ok) conn->current = q->role, conn->reads_only |= q->reads_only;
    if (ok && (!conn->options.writer || q->reads_only) && will_write(q))
        ok = query_fail(&result->error, "25006", "cannot execute %s in a read-only transaction",
                        q->kind == QUERY_INSERT   ? "INSERT"
                        : q->kind == QUERY_UPDATE ? "UPDATE"
                        : q->kind == QUERY_DELETE ? "DELETE"
                                                  : "CALL");
    if (ok)
        ok = q->kind == QUERY_SELECT     ? run_select(&r)
             : q->kind == QUERY_CALL     ? run_call(&r)
             : q->kind == QUERY_DESCRIBE ? run_describe(&r)
                                         : run_write(&r);
    if (ok) ok = query_check_result(q, result);
    if (ok && result->body.full) ok = too_large(&r);
    if (ok && q->explain) end_plan(&r);
    memset(conn->guards, 0, sizeof conn->guards);
    conn->walled = false;
    if (!ok) buf_free(&result->body), result->body = (struct buf){0}, result->has_body = false;
    if (!ok && !result->error.set) query_fail(&result->error, "XX000", "internal error");
    arena_free(r.mem);
    return ok;
}

/* Settings that a function made hold for what comes behind it in the batch. */
static bool run_one(struct query_conn *conn, struct pg_session *session, struct query *q, struct query_result *result) {
    bool ok = query_run(conn, session, q, result);
    session->settings = conn->session.settings;
    session->settings_bytes = conn->session.settings_bytes;
    return ok;
}

/* What is called before: as who asks, and what it gives is nobody's. */
static bool run_before(struct query_conn *conn, struct pg_session *session, const struct query_batch *b, struct pg_error *error) {
    static const struct query_json nothing = {.kind = JSON_KIND_OBJECT, .raw = STR_INIT("{}")};
    struct query q = {.kind = QUERY_CALL, .rows = &nothing, .max_affected = -1, .reads_only = true};
    struct query_result result;
    q.select = (struct query_select){.schema = STR("public"), .relation = b->before, .limit = -1};
    (void)str_cut(b->before, '.', &q.select.schema, &q.select.relation);
    for (uint32_t i = 0; i < b->count; i++) q.reads_only &= !query_writes(&b->queries[i]);
    bool ok = run_one(conn, session, &q, &result);
    if (!ok) *error = result.error;
    query_result_free(&result);
    return ok;
}

bool query_run_batch(struct query_conn *conn, const struct pg_session *asks, struct query_batch *b, struct query_result *results,
                     struct query_said *said) {
    struct pg_session session = *asks;
    *said = (struct query_said){0};
    if (b->time_zone.n && !pg_zone_there(b->time_zone))
        return query_fail(&results[0].error, "22023", "invalid value for parameter \"TimeZone\": \"" STR_FMT "\"",
                          STR_ARG(b->time_zone));
    session.time_zone = b->time_zone;
    session.zone = NULL;
    if (b->before.n && !run_before(conn, &session, b, &results[0].error)) return false;
    bool ok = true;
    conn->answered = 0;
    conn->counted = b->counted;
    if (b->many) conn->stream = NULL;
    for (uint32_t i = 0; i < b->count && ok; i++) {
        ok = run_one(conn, &session, &b->queries[i], &results[i]);
        conn->answered += results[i].body.n;
    }
    conn->answered = 0;
    if (ok && b->count && conn->deferred.n) {
        struct pg_error *error = &results[b->count - 1].error;
        conn->raised = (struct pg_error){0};
        ok = query_deferred_run(conn);
        if (!ok) *error = conn->raised;
        conn->walled = false;
    }
    query_deferred_forget(conn);
    if (!ok) return false;
    *said = query_said_of(&session);
    return !b->counted || query_said_ok(said, &results[0].error);
}
