/* explain: which policies let a role have which rows of a table, and which do not, for the owner's eyes: each policy's expression is evaluated for each row
 * by itself, as the role, whatever the others say. A key is a filter as in a tree, of the rows that are asked about.
 *
 *   select count(*), sum(coalesce((policy 1), 0)), …, sum(all of them together) from main."t" as _orlo_t where _orlo_t.rowid in (the key's)
 */
#include "query/query_int.h"

struct explaining {
    struct query_conn *conn;
    const struct catalog_relation *of;
    uint32_t role;
    enum catalog_command command;
    struct pg_error *error;
    struct query_statement st;
    VEC(const struct catalog_policy *) policies;
    arena *mem;
};

static bool applies(const struct explaining *x, const struct catalog_policy *wanted) {
    const struct catalog_policy *p = NULL;
    while ((p = catalog_policy_next(x->conn->catalog, x->of, x->role, x->command, wanted->permissive, p)))
        if (p == wanted) return true;
    return false;
}

static bool finds_rows(enum catalog_command command) { return command != CATALOG_FOR_INSERT; }
static bool makes_rows(enum catalog_command command) { return command == CATALOG_FOR_INSERT || command == CATALOG_FOR_UPDATE; }

/* ,sum(coalesce((expression), 0)): of a policy that has none, all. */
static bool put_sum(struct explaining *x, const struct catalog_policy *p, bool check) {
    const struct catalog_expr *e = check && p->check_expr.source.n ? &p->check_expr : &p->using_expr;
    struct query_expanding expanding = {.conn = x->conn, .of = x->of, .at = QUERY_AT_TABLE, .role = x->role};
    if (!e->source.n) return buf_puts(&x->st.sql, STR(",count(*)"));
    if (!e->fragment.text.n)
        return query_fail(x->error, "0A000", "policy \"" STR_FMT "\" cannot run on SQLite: " STR_FMT, STR_ARG(p->name),
                          STR_ARG(str_sub(e->why_not, 0, 300)));
    buf_puts(&x->st.sql, STR(",coalesce(sum(coalesce(("));
    return query_expand(&expanding, e->fragment.text, &x->st.sql, x->error) && buf_puts(&x->st.sql, STR("),0)),0)"));
}

static bool put_key(struct explaining *x, const struct query_json *key, struct query *q) {
    const struct catalog_role *owner = catalog_role_of(x->conn->catalog, x->conn->catalog->owner);
    struct pg_session session = x->conn->session;
    struct query_printing p = {.conn = x->conn, .to = &x->st, .query = q, .out = x->mem, .error = x->error, .role = x->role};
    uint32_t alias = p.aliases++;
    if (!key) return true;
    if (owner) session.role = owner->name; /* names are the owner's to use */
    if (!query_resolve(x->mem, x->conn->catalog, &session, q, x->error)) return false;
    buf_printf(&x->st.sql,
               " where _orlo_t.%s in (select q%u.\"_orlo_k\" from (select *, %s as \"_orlo_k\", 1 as \"_orlo_p\" from main.",
               query_rowid_of(x->of), alias, query_rowid_of(x->of));
    query_put_name(&x->st.sql, x->of->storage);
    buf_printf(&x->st.sql, ") as q%u where ", alias);
    return query_put_where(&p, &q->select, alias) && buf_puts(&x->st.sql, STR(")"));
}

static bool put_visible(struct explaining *x, bool check) {
    struct query_expanding expanding = {.conn = x->conn, .of = x->of, .at = QUERY_AT_TABLE, .role = x->role};
    if (!catalog_policies_hold(x->conn->catalog, x->role, x->of)) return buf_puts(&x->st.sql, STR(",count(*)"));
    buf_puts(&x->st.sql, STR(",coalesce(sum(coalesce(("));
    return query_put_policies(&expanding, x->command, check, &x->st.sql, x->error) && buf_puts(&x->st.sql, STR("),0)),0)"));
}

static bool put_all(struct explaining *x, const struct query_json *key, struct query *q) {
    buf_puts(&x->st.sql, STR("select count(*)"));
    if (finds_rows(x->command) && !put_visible(x, false)) return false;
    if (makes_rows(x->command) && !put_visible(x, true)) return false;
    for (uint32_t i = 0; i < x->policies.n; i++) {
        if (finds_rows(x->command) && !put_sum(x, x->policies.p[i], false)) return false;
        if (makes_rows(x->command) && !put_sum(x, x->policies.p[i], true)) return false;
    }
    buf_puts(&x->st.sql, STR(" from main."));
    query_put_name(&x->st.sql, x->of->storage);
    buf_puts(&x->st.sql, STR(" as _orlo_t"));
    return put_key(x, key, q);
}

static void tell_counts(struct json_writer *w, const struct explaining *x, const struct db_rows *rows, uint32_t *at,
                        const char *found, const char *made) {
    if (finds_rows(x->command)) json_put_i64(w, found, db_i64(rows, (*at)++));
    if (makes_rows(x->command)) json_put_i64(w, made, db_i64(rows, (*at)++));
}

static void tell(const struct explaining *x, const struct db_rows *rows, struct buf *json) {
    static const char *const words[] = {"all", "select", "insert", "update", "delete"};
    const struct catalog_role *role = catalog_role_of(x->conn->catalog, x->role);
    struct json_writer w = json_writer_of(json);
    uint32_t at = 0;
    json_put_object(&w, NULL);
    json_put_str(&w, "table", x->of->name);
    json_put_str(&w, "role", role ? role->name : (str){0});
    json_put_cstr(&w, "command", words[x->command]);
    json_put_bool(&w, "rls", x->of->rls);
    json_put_bool(&w, "holds", catalog_policies_hold(x->conn->catalog, x->role, x->of));
    json_put_i64(&w, "rows", db_i64(rows, at++));
    tell_counts(&w, x, rows, &at, "visible", "accepted");
    json_put_array(&w, "policies");
    for (uint32_t i = 0; i < x->policies.n; i++) {
        const struct catalog_policy *p = x->policies.p[i];
        json_put_object(&w, NULL);
        json_put_str(&w, "name", p->name);
        json_put_bool(&w, "permissive", p->permissive);
        json_put_cstr(&w, "for", words[p->command]);
        if (p->using_expr.source.n) json_put_str(&w, "using", p->using_expr.source);
        if (p->check_expr.source.n) json_put_str(&w, "check", p->check_expr.source);
        tell_counts(&w, x, rows, &at, "passes", "passesCheck");
        json_put_end(&w);
    }
    json_put_end(&w);
    json_put_end(&w);
}

static bool run(struct explaining *x, struct buf *json) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    x->conn->statement = &x->st;
    err e = db_query_values(x->conn->db, buf_str(&x->st.sql), x->st.values.p, x->st.values.n, &rows, &d);
    if (e == ERR_OK) {
        if (db_next(rows)) tell(x, rows, json);
        e = db_end(rows, &d);
    }
    x->conn->statement = NULL;
    if (e != ERR_OK) query_failed(x->conn, NULL, e, &d, x->error);
    return e == ERR_OK;
}

bool query_explain_policy(struct query_conn *conn, const struct pg_session *session, str schema, str relation,
                          enum catalog_command command, const struct query_json *key, struct buf *json, struct pg_error *error) {
    struct explaining x = {.conn = conn, .command = command, .error = error, .mem = arena_new(0)};
    const struct catalog_role *role = catalog_role_named(conn->catalog, session->role);
    struct query q;
    bool ok = true;
    query_conn_begin(conn, session);
    x.of = catalog_relation_named(conn->catalog, schema, relation);
    if (!role) ok = query_fail(error, "22023", "role \"" STR_FMT "\" does not exist", STR_ARG(session->role));
    else if (!x.of || x.of->kind != CATALOG_TABLE)
        ok = query_fail(error, "42P01", "there is no table " STR_FMT "." STR_FMT, STR_ARG(schema), STR_ARG(relation));
    if (ok && key) {
        struct query_json_member members[] = {{STR("schema"), {.kind = JSON_KIND_STR, .s = schema}},
                                              {STR("from"), {.kind = JSON_KIND_STR, .s = relation}},
                                              {STR("where"), *key}};
        const struct query_json tree = {.kind = JSON_KIND_OBJECT, .n = ARRAY_COUNT(members), .members = members};
        ok = query_of_json(x.mem, &tree, &q, error);
    }
    if (ok) x.role = role->id;
    for (uint32_t i = 0; ok && i < x.of->policies.n; i++)
        if (applies(&x, &x.of->policies.p[i])) vec_push(x.mem, &x.policies, &x.of->policies.p[i]);
    ok = ok && put_all(&x, key, &q) && run(&x, json);
    query_statement_free(&x.st);
    arena_free(x.mem);
    return ok;
}
