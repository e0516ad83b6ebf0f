/* wall: the second one. Statements of this room read views of their role's, and no table but through them; should a mistake in printing one ever name a
 * table, or text slip in from outside, SQLite's authorizer refuses it here.
 *
 * 1. A read is by one of our views and triggers, whose names nobody can know; or of such a view; or of a table function; or of what a statement that writes
 *    touches: its target, and the tables whose keys lead to it (SQLite reads and changes those for it).
 * 2. A write is of those tables. No statement of ours changes the schema, attaches, or sets anything.
 * It holds while statements of this room are prepared (walled): what else runs on the connection is its owner's.
 */
#include "query/query_int.h"

static bool is_ours(const struct query_conn *conn, str name) {
    return name.n > QUERY_TOKEN && name.p[0] == 'v' && str_starts(str_sub(name, 1, name.n), str_c(conn->token));
}

static bool is_touched(const struct query_conn *conn, str table) {
    for (uint32_t i = 0; i < conn->touched.n; i++)
        if (str_eq(conn->touched.p[i], table)) return true;
    return false;
}

/* Tables that are functions, of SQLite's and of the pg room's. */
static bool is_function(const struct query_conn *conn, str table) {
    if (str_eqc(table, "json_each") || str_eqc(table, "json_tree")) return true;
    return str_starts(table, STR("pg_")) && !catalog_relation_named(conn->catalog, STR("public"), table);
}

static bool may_read(const struct query_conn *conn, str table, str inner) {
    if (!table.n || is_ours(conn, table) || is_ours(conn, inner)) return true;
    if (str_starts(table, STR("sqlite_")) || str_starts(table, STR("_orlo"))) return false;
    return is_function(conn, table) || is_touched(conn, table);
}

bool query_wall(void *arg, enum db_act act, str a, str b, str inner) {
    const struct query_conn *conn = arg;
    (void)b;
    if (!conn->walled) return true;
    switch (act) {
    case DB_ACT_READ: return may_read(conn, a, inner);
    case DB_ACT_WRITE: return is_touched(conn, a);
    case DB_ACT_FUNCTION:
    case DB_ACT_OTHER: return true;
    default: return false;
    }
}

static void touch(struct query_conn *conn, const struct catalog_relation *of, arena *mem) {
    if (is_touched(conn, of->storage)) return;
    vec_push(mem, &conn->touched, of->storage);
    struct catalog_edge g = {0};
    while (catalog_edge_next(conn->catalog, of->id, &g))
        if (g.to == of && g.from->storage.n) touch(conn, g.from, mem);
}

void query_wall_touch(struct query_conn *conn, const struct catalog_relation *of) { touch(conn, of, conn->mem); }

void query_wall_target(struct query_conn *conn, const struct catalog_relation *of) {
    conn->touched.n = 0;
    conn->target = of;
    if (of) query_wall_touch(conn, of);
}
