/* domain: what values of domains are held against before a statement is run, as PostgreSQL does when it takes a statement's values: whatever the row's
 * policies and constraints say, a value that is none of the domain's is refused before them. (What comes of defaults is held against the same by the table.) */
#include "query/query_int.h"

enum { DEPTH_MAX = 32 };

static const struct catalog_type *domain_of(const struct query_conn *conn, uint32_t id) {
    const struct catalog_type *t = catalog_type_of(conn->catalog, id);
    return t && t->id == id && t->kind == CATALOG_DOMAIN ? t : NULL;
}

/* One expression over the value; what is null is true. */
static bool holds(struct query_conn *conn, const struct catalog_expr *e, uint32_t role, struct db_value v, bool *out,
                  struct pg_error *error) {
    struct query_expanding x = {.conn = conn, .at = QUERY_AT_ALONE, .role = role};
    struct buf sql = {0};
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    buf_puts(&sql, STR("select coalesce(("));
    bool ok = query_expand(&x, e->fragment.text, &sql, error) && buf_puts(&sql, STR("), 1)"));
    uint32_t values = ok && memmem(sql.p ? sql.p : (uint8_t *)"", sql.n, "?1", 2);
    query_wall_up(conn);
    err failed = ok ? db_query_values(conn->db, buf_str(&sql), &v, values, &rows, &d) : ERR_INVALID;
    if (failed == ERR_OK) {
        if (db_next(rows)) *out = db_i64(rows, 0) != 0;
        failed = db_end(rows, &d);
    }
    conn->walled = false;
    buf_free(&sql);
    if (ok && failed != ERR_OK) query_failed(conn, NULL, failed, &d, error);
    return failed == ERR_OK;
}

static bool check_type(struct query_conn *conn, const struct catalog_type *t, const struct catalog_type *outer, uint32_t role,
                       const struct query_bound *b, struct pg_error *error) {
    for (uint32_t i = 0; i < t->checks.n; i++) {
        bool ok = false;
        if (!t->checks.p[i].expr.fragment.text.n) continue; /* the deployment said so */
        if (!holds(conn, &t->checks.p[i].expr, role, b->null ? DB_NOTHING : b->value, &ok, error)) return false;
        if (!ok) return query_domain_refuse(outer, &t->checks.p[i], error);
    }
    return true;
}

bool query_domain_refuse(const struct catalog_type *t, const struct catalog_check *check, struct pg_error *error) {
    if (!check) return query_fail(error, "23502", "domain " STR_FMT " does not allow null values", STR_ARG(t->name));
    return query_fail(error, "23514", "value for domain " STR_FMT " violates check constraint \"" STR_FMT "\"", STR_ARG(t->name),
                      STR_ARG(check->name));
}

const struct catalog_check *query_domain_check_named(const struct query_conn *conn, uint32_t type, str name,
                                                     const struct catalog_type **of) {
    uint32_t depth = 0;
    for (const struct catalog_type *t = domain_of(conn, type); t && depth < DEPTH_MAX; t = domain_of(conn, t->base), depth++)
        for (uint32_t i = 0; i < t->checks.n; i++)
            if (str_eq(t->checks.p[i].name, name)) return *of = domain_of(conn, type), &t->checks.p[i];
    return NULL;
}

/* A domain of a domain: what is beneath comes first, and before all, whether it may be null. */
bool query_domain_check(struct query_conn *conn, uint32_t type, uint32_t role, const struct query_bound *b,
                        struct pg_error *error) {
    const struct catalog_type *chain[DEPTH_MAX], *outer = domain_of(conn, type);
    uint32_t n = 0;
    for (const struct catalog_type *t = outer; t && n < DEPTH_MAX; t = domain_of(conn, t->base)) chain[n++] = t;
    for (uint32_t i = 0; i < n; i++)
        if (chain[i]->not_null && b->null) return query_domain_refuse(outer, NULL, error);
    while (n--)
        if (!check_type(conn, chain[n], outer, role, b, error)) return false;
    return true;
}
