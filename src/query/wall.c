/* wall: the second one. Statements of this room read views of their role's, and no table but through them; should a mistake in printing one ever name a
 * table, or text slip in from outside, SQLite's authorizer refuses it here.
 *
 * 1. A read is by one of our views and triggers, whose names nobody can know; or of such a view; or of a table function; or of a statement's own target.
 * 2. A write is of the target, and of the tables whose keys lead to it and whose rows go, or are set, with its rows: SQLite changes those for it.
 * 3. Where SQLite sees to a key, it reads the key's own columns on both of its sides, and no others: those that the catalogue names, while something is
 *    written that has the key or that the key refers to.
 * 4. SQLite takes our views apart where it can, and then asks once more for each table of which it needs no column, or none but the key that is its
 *    rowid (count(*), exists): column "", of nobody. That is let through if this statement reads the table by one of our views, for that is what was taken apart.
 * 5. Columns of a relation are read with the role's rights to them, whoever names them: a policy, an invoker's view, a function's body, a key.
 * 6. No statement of ours changes the schema, attaches, or sets anything.
 * It holds while statements of this room are prepared (walled): what else runs on the connection is its owner's.
 */
#include "query/query_int.h"

static bool is_ours(const struct query_conn *conn, str name) {
    return name.n > QUERY_TOKEN && name.p[0] == 'v' && str_starts(str_sub(name, 1, name.n), str_c(conn->token));
}

/* ---- what is seen by views ---- */

static void see(struct query_conn *conn, str table) {
    uint64_t one;
    if (!map_get(&conn->seen, table, &one)) map_put(conn->seen_mem, &conn->seen, arena_str(conn->seen_mem, table), 1);
}

static bool is_seen(const struct query_conn *conn, str table) {
    uint64_t one;
    return map_get(&conn->seen, table, &one);
}

void query_wall_up(struct query_conn *conn) {
    arena_reset(conn->seen_mem);
    conn->seen = (struct map){0};
    conn->drawn.p = NULL, conn->drawn.n = conn->drawn.cap = 0;
    conn->walled = true;
}

/* ---- what a write touches ---- */

static const struct query_touch *touched(const struct query_conn *conn, str table) {
    for (uint32_t i = 0; i < conn->touched.n; i++)
        if (str_eq(conn->touched.p[i].of->storage, table)) return &conn->touched.p[i];
    return NULL;
}

static bool has_column(const struct catalog_relation *of, const catalog_ids *columns, str storage) {
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(of, columns->p[i]);
        if (c && str_eq(c->storage, storage)) return true;
    }
    return false;
}

static bool is_key(const struct query_conn *conn, str table, str column) {
    for (uint32_t i = 0; i < conn->touched.n; i++) {
        struct catalog_edge g = {0};
        while (catalog_edge_next(conn->catalog, conn->touched.p[i].of->id, &g)) {
            if (!g.to) continue;
            if (str_eq(g.to->storage, table) && has_column(g.to, &g.key->reference_columns, column)) return true;
            if (str_eq(g.from->storage, table) && has_column(g.from, &g.key->columns, column)) return true;
        }
    }
    return false;
}

static bool follows(const struct catalog_constraint *k) {
    return (k->on_delete != CATALOG_NO_ACTION && k->on_delete != CATALOG_RESTRICT) ||
           (k->on_update != CATALOG_NO_ACTION && k->on_update != CATALOG_RESTRICT);
}

static void touch(struct query_conn *conn, const struct catalog_relation *of, bool whole) {
    vec_push(conn->mem, &conn->touched, ((struct query_touch){of, whole}));
}

void query_wall_touch(struct query_conn *conn, const struct catalog_relation *of) {
    struct query_touch *there = (struct query_touch *)(uintptr_t)touched(conn, of->storage);
    if (there) there->whole = true;
    else touch(conn, of, true);
    for (uint32_t i = 0; i < conn->touched.n; i++) {
        const struct catalog_relation *to = conn->touched.p[i].of;
        struct catalog_edge g = {0};
        while (catalog_edge_next(conn->catalog, to->id, &g))
            if (g.to == to && g.from->storage.n && follows(g.key) && !touched(conn, g.from->storage)) touch(conn, g.from, false);
    }
}

void query_wall_target(struct query_conn *conn, const struct catalog_relation *of) {
    conn->touched.n = 0;
    conn->target = of;
    if (of) query_wall_touch(conn, of);
}

/* ---- rights ---- */

static const struct query_made *made_named(const struct query_conn *conn, str name) {
    uint64_t at;
    bool ok = str_to_u64(str_sub(name, MIN(name.n, (size_t)QUERY_TOKEN + 1), name.n), &at) && at < conn->made.n;
    return ok ? &conn->made.p[at] : NULL;
}

static bool has_right(struct query_conn *conn, str view, str column) {
    const struct query_made *m = made_named(conn, view);
    const struct catalog_relation *of = m ? m->of : NULL;
    if (!of || catalog_may_relation(conn->catalog, m->role, of, CATALOG_SELECT)) return true;
    for (uint32_t i = 0; i < of->columns.n; i++)
        if (str_eq(of->columns.p[i].storage, column) &&
            !catalog_may_column(conn->catalog, m->role, of, &of->columns.p[i], CATALOG_SELECT))
            return query_fail(&conn->raised, "42501", "permission denied for %s " STR_FMT,
                              of->kind == CATALOG_VIEW ? "view" : "table", STR_ARG(of->name));
    return true;
}

/* ---- the wall ---- */

/* Tables that are functions, of SQLite's and of the pg room's. */
static bool is_function(const struct query_conn *conn, str table) {
    if (str_eqc(table, "json_each") || str_eqc(table, "json_tree") || str_eqc(table, "query_table") ||
        str_eqc(table, "query_transition") || str_eqc(table, "query_kept"))
        return true;
    return str_starts(table, STR("pg_")) && !catalog_relation_named(conn->catalog, STR("public"), table);
}

/* A part of the statement itself (with "r" as …), of which it needs no column either: no table is called so. */
static bool is_part(const struct query_conn *conn, str name) {
    for (uint32_t i = 0; i < conn->catalog->relations.n; i++)
        if (str_eq_nocase(conn->catalog->relations.p[i].storage, name)) return false;
    return true;
}

static bool may_read(struct query_conn *conn, str table, str column, str inner) {
    if (is_ours(conn, table)) return has_right(conn, table, column);
    if (!table.n) return true;
    if (is_ours(conn, inner)) return see(conn, table), true;
    if (str_eqc(table, "_orlo_f") && !column.n) return true; /* what a function gives (run.c), counted */
    if (str_starts(table, STR("sqlite_")) || str_starts(table, STR("_orlo"))) return false;
    if (is_function(conn, table) || (!column.n && (is_seen(conn, table) || is_part(conn, table)))) return true;
    const struct query_touch *t = touched(conn, table);
    return (t && t->whole) || is_key(conn, table, column);
}

bool query_wall(void *arg, enum db_act act, str a, str b, str inner) {
    struct query_conn *conn = arg;
    if (!conn->walled) return true;
    switch (act) {
    case DB_ACT_READ: return may_read(conn, a, b, inner);
    case DB_ACT_WRITE: return touched(conn, a) != NULL;
    case DB_ACT_FUNCTION:
    case DB_ACT_OTHER: return true;
    default: return false;
    }
}
