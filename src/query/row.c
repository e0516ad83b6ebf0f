/* row: the row that a statement was refused with, for the error's detail ("Failing row contains (…)"). SQLite tells which constraint it was and not which
 * row, nor what defaults came to: the statement, of which nothing is left, is run once more with a TEMP trigger that sees each row before its constraints do.
 * The last one that it saw is the one. */
#include "query/query_int.h"

enum { COLUMNS_MAX = 100 /* arguments of a call */, VALUE_BYTES_MAX = 64 };

void query_row_seen(struct query_conn *conn, const struct db_value *values, uint32_t n) {
    if (!conn->row_mem) return;
    arena_reset(conn->row_values_mem);
    conn->row = arena_array(conn->row_values_mem, struct db_value, n + 1);
    conn->row_count = n;
    for (uint32_t i = 0; i < n; i++) {
        conn->row[i] = values[i];
        if (values[i].kind >= DB_TEXTUAL) conn->row[i].s = arena_str(conn->row_values_mem, values[i].s);
    }
}

static bool script(struct query_conn *conn, struct buf *sql) {
    arena *scratch = arena_new(0);
    bool ok = db_script(conn->db, arena_cstr(scratch, buf_str(sql)), NULL) == ERR_OK;
    arena_free(scratch);
    buf_free(sql);
    return ok;
}

static bool begin_watching(struct query_conn *conn, const struct catalog_relation *of, bool update) {
    struct buf b = {0};
    buf_printf(&b, "create temp trigger \"v%s_row\" before %s on main.", conn->token, update ? "update" : "insert");
    query_put_name(&b, of->storage);
    buf_puts(&b, STR(" begin select query_seen("));
    for (uint32_t i = 0; i < of->columns.n; i++) {
        buf_puts(&b, i ? STR(",new.") : STR("new."));
        query_put_name(&b, of->columns.p[i].storage);
    }
    buf_puts(&b, STR("); end"));
    return script(conn, &b);
}

static void end_watching(struct query_conn *conn) {
    struct buf b = {0};
    buf_printf(&b, "drop trigger if exists temp.\"v%s_row\"", conn->token);
    (void)script(conn, &b);
}

static void again(struct query_conn *conn, const struct query_statement *s) {
    struct db_rows *rows;
    const struct query_statement *above = conn->statement;
    VEC(int64_t) drawn = {0};
    for (uint32_t i = 0; i < conn->drawn.n; i++) vec_push(conn->row_mem, &drawn, conn->drawn.p[i]);
    conn->statement = s;
    query_wall_up(conn);
    conn->drawn.p = drawn.p, conn->drawn.n = drawn.n, conn->drawn_again = 0;
    if (db_query_values(conn->db, buf_str(&s->sql), s->values.p, s->values.n, &rows, NULL) == ERR_OK) {
        while (db_next(rows)) {}
        (void)db_end(rows, NULL);
    }
    conn->walled = false;
    conn->statement = above;
}

static void put_value(struct query_conn *conn, uint32_t type, struct db_value v, struct buf *to, arena *mem) {
    struct pg_error quiet = {0};
    struct pg_call call = {.mem = mem, .session = &conn->session, .error = &quiet};
    struct buf one = {0};
    if (v.kind == DB_NULL || !pg_value_out(&call, type, v, &one)) buf_puts(&one, STR("null"));
    size_t n = MIN(one.n, (size_t)VALUE_BYTES_MAX);
    while (n < one.n && n && (one.p[n] & 0xc0) == 0x80) n--;
    buf_put(to, one.p, n);
    if (n < one.n) buf_puts(to, STR("..."));
    buf_free(&one);
}

/* Columns that the statement gives, as far as it is a tree's own. */
static bool is_given(const struct query *q, const struct catalog_column *c) {
    for (uint32_t i = 0; i < q->columns_count; i++)
        if (q->targets[i] == c) return true;
    return false;
}

static void put_detail(struct query_conn *conn, const struct query *q, const struct catalog_relation *of, uint16_t null_key,
                       struct pg_error *error) {
    bool all = catalog_may_relation(conn->catalog, q->role, of, CATALOG_SELECT);
    struct buf names = {0}, values = {0};
    for (uint32_t i = 0; i < of->columns.n; i++) {
        const struct catalog_column *c = &of->columns.p[i];
        if (!all && !is_given(q, c) && !catalog_may_column(conn->catalog, q->role, of, c, CATALOG_SELECT)) continue;
        if (names.n) buf_puts(&values, STR(", "));
        buf_printf(&names, "%s" STR_FMT, names.n ? ", " : "", STR_ARG(c->name));
        put_value(conn, c->type, c->number == null_key ? DB_NOTHING : conn->row[i], &values, conn->row_mem);
    }
    if (all) query_fail_detail(error, "Failing row contains (" STR_FMT ").", STR_ARG(buf_str(&values)));
    else if (names.n)
        query_fail_detail(error, "Failing row contains (" STR_FMT ") = (" STR_FMT ").", STR_ARG(buf_str(&names)),
                          STR_ARG(buf_str(&values)));
    buf_free(&names), buf_free(&values);
}

void query_row_tell(struct query_conn *conn, const struct query *q, const struct query_statement *s, uint16_t null_key,
                    struct pg_error *error) {
    const struct catalog_relation *of = q->target;
    struct pg_error raised = conn->raised;
    if (of->columns.n > COLUMNS_MAX || catalog_policies_hold(conn->catalog, q->role, of)) return;
    conn->row_mem = arena_new(0);
    conn->row_values_mem = arena_new(0);
    conn->row = NULL;
    conn->raised = (struct pg_error){0}; /* what was raised would stop what is called again */
    if (begin_watching(conn, of, q->kind == QUERY_UPDATE)) {
        again(conn, s);
        end_watching(conn);
    }
    if (conn->row && conn->row_count == of->columns.n) put_detail(conn, q, of, null_key, error);
    arena_free(conn->row_mem), arena_free(conn->row_values_mem);
    conn->row_mem = NULL;
    conn->raised = raised;
}
