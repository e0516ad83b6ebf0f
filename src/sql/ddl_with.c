/* ddl_with: statements of migrations that write within WITH, which SQLite has not: their parts are steps of their own, one after the other.
 *
 *   with gone as (delete from a where … returning id, x) insert into b select * from gone
 *
 *       create temp table "_orlo_rows_1" (a's columns); create temp trigger … after delete on a: the rows go there
 *       delete from a where …
 *       drop trigger …
 *       insert into b select … from (select "id" as c1, "x" as c2 from "_orlo_rows_1") as a1
 *       drop table …
 *
 * 1. In PostgreSQL all parts see the rows as they were before the statement. So one that reads or writes a table which one before it wrote is
 *    refused (0A000): it would see what has become of them.
 */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"

struct parts {
    struct sql_ddl *d;
    VEC(const struct sql_cte *) given; /* what parts that wrote give back */
    VEC(PgQuery__Node *) queries;      /* WITH's queries that only read, so far */
    catalog_ids written;               /* relations */
    VEC(str) dropped;                  /* steps at the end */
};

static PgQuery__WithClause **with_of(PgQuery__Node *n) {
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_SELECT_STMT: return &n->select_stmt->with_clause;
    case PG_QUERY__NODE__NODE_INSERT_STMT: return &n->insert_stmt->with_clause;
    case PG_QUERY__NODE__NODE_UPDATE_STMT: return &n->update_stmt->with_clause;
    case PG_QUERY__NODE__NODE_DELETE_STMT: return &n->delete_stmt->with_clause;
    default: return NULL;
    }
}

bool sql_writes_in_with(const PgQuery__Node *node) {
    PgQuery__WithClause **with = with_of((PgQuery__Node *)(uintptr_t)node);
    for (size_t i = 0; with && *with && i < (*with)->n_ctes; i++)
        if ((*with)->ctes[i]->common_table_expr->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return true;
    return false;
}

/* ---- a statement with what it uses of WITH ---- */

static bool is_of_name(uint8_t c) {
    return c == '_' || c == '$' || c >= 0x80 || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c >= '0' && c <= '9');
}

static bool names(str text, const char *name) {
    size_t n = strlen(name);
    const uint8_t *from = text.p, *end = text.p + text.n, *at;
    for (; n && (at = memmem(from, (size_t)(end - from), name, n)); from = at + 1)
        if ((at == text.p || !is_of_name(at[-1])) && (at + n == end || !is_of_name(at[n]))) return true;
    return false;
}

/* Those queries that the statement names, or that those name. What it does not use is not read either. */
static PgQuery__WithClause *used_by(struct parts *p, PgQuery__Node *node, bool recursive) {
    PgQuery__WithClause *with = arena_make(p->d->mem, PgQuery__WithClause);
    PgQuery__Node **queries = arena_array(p->d->mem, PgQuery__Node *, p->queries.n + 1);
    struct buf text = {0};
    size_t n = 0;
    buf_puts(&text, sql_statement_text(p->d->mem, node));
    for (uint32_t i = p->queries.n; i-- > 0;) {
        const PgQuery__CommonTableExpr *c = p->queries.p[i]->common_table_expr;
        if (!names(buf_str(&text), c->ctename)) continue;
        queries[n++] = p->queries.p[i];
        buf_putc(&text, ' ');
        buf_puts(&text, sql_statement_text(p->d->mem, c->ctequery));
    }
    buf_free(&text);
    for (size_t i = 0; i < n / 2; i++) {
        PgQuery__Node *other = queries[i];
        queries[i] = queries[n - 1 - i], queries[n - 1 - i] = other;
    }
    pg_query__with_clause__init(with);
    with->ctes = queries, with->n_ctes = n, with->recursive = recursive;
    return n ? with : NULL;
}

static struct sql_context context_of(struct parts *p) {
    struct sql_context cx = sql_context_of(p->d);
    cx.migrates = true;
    cx.given = p->given.p, cx.given_n = p->given.n;
    return cx;
}

static bool was_written(const struct parts *p, uint32_t id, uint32_t depth) {
    const struct catalog_relation *r = catalog_relation_of(p->d->c, id);
    if (catalog_ids_have(&p->written, id)) return true;
    for (uint32_t i = 0; r && depth < 32 && i < r->depends.n; i++)
        if (was_written(p, r->depends.p[i], depth + 1)) return true;
    return false;
}

static err run(struct parts *p, PgQuery__Node *node, const struct catalog_relation *target) {
    struct sql_context cx = context_of(p);
    struct catalog_fragment f;
    if (sql_translate_statement(&cx, node, &f, NULL) != ERR_OK) return sql_refuse_problem(p->d, &cx);
    bool late = target && catalog_ids_have(&p->written, target->id);
    for (uint32_t i = 0; i < f.reads.n && !late; i++) late = was_written(p, f.reads.p[i], 0);
    if (late)
        return sql_needs_postgres(
            p->d, -1, "write the parts as statements of their own, in the order in which they are to be done",
            "a part of a statement that reads or writes what another part in WITH writes is not there on SQLite");
    f.reads = cx.reads, f.calls = cx.calls;
    return sql_row_step(p->d, &f);
}

/* ---- a part that writes ---- */

struct writing {
    const PgQuery__RangeVar *table;
    PgQuery__Node **returning;
    size_t returning_n;
    const char *events[2], *row; /* of SQLite's triggers */
};

/* A copy without RETURNING and with the queries that it uses. */
static PgQuery__Node *part_of(struct parts *p, const PgQuery__Node *node, bool recursive, struct writing *w) {
    PgQuery__Node *copy = arena_make(p->d->mem, PgQuery__Node);
    *copy = *node;
#define PART(case_, member, type, ...)                                                                                           \
    if (node->node_case == case_) {                                                                                              \
        copy->member = arena_make(p->d->mem, type);                                                                              \
        *copy->member = *node->member;                                                                                           \
        *w =                                                                                                                     \
            (struct writing){copy->member->relation, copy->member->returning_list, copy->member->n_returning_list, __VA_ARGS__}; \
        copy->member->n_returning_list = 0;                                                                                      \
    }
    bool upserts = node->node_case == PG_QUERY__NODE__NODE_INSERT_STMT && node->insert_stmt->on_conflict_clause;
    PART(PG_QUERY__NODE__NODE_INSERT_STMT, insert_stmt, PgQuery__InsertStmt, {"INSERT", upserts ? "UPDATE" : NULL}, "new")
    PART(PG_QUERY__NODE__NODE_UPDATE_STMT, update_stmt, PgQuery__UpdateStmt, {"UPDATE"}, "new")
    PART(PG_QUERY__NODE__NODE_DELETE_STMT, delete_stmt, PgQuery__DeleteStmt, {"DELETE"}, "old")
#undef PART
    PgQuery__WithClause **with = with_of(copy);
    if (with && !*with) *with = used_by(p, copy, recursive);
    return copy;
}

static void keep_rows(struct parts *p, const struct catalog_relation *r, const struct writing *w, str rows) {
    struct sql_ddl *d = p->d;
    struct sql_context cx = context_of(p);
    struct buf columns = {0}, values = {0};
    for (uint32_t i = 0; i < r->columns.n; i++) {
        str name = sql_quoted(d->mem, r->columns.p[i].storage);
        buf_printf(&columns, "%s" STR_FMT STR_FMT, i ? ", " : "", STR_ARG(name), STR_ARG(sql_collate(&cx, r->columns.p[i].type)));
        buf_printf(&values, "%s%s." STR_FMT, i ? ", " : "", w->row, STR_ARG(name));
    }
    sql_step(d, arena_fmt(d->mem, "CREATE TEMP TABLE " STR_FMT " (" STR_FMT ")", STR_ARG(rows), STR_ARG(buf_str(&columns))));
    for (size_t i = 0; i < ARRAY_COUNT(w->events) && w->events[i]; i++)
        sql_step(d, arena_fmt(d->mem,
                              "CREATE TEMP TRIGGER \"%s_" STR_FMT " AFTER %s ON main." STR_FMT " BEGIN INSERT INTO " STR_FMT
                              " VALUES (" STR_FMT "); END",
                              w->events[i], STR_ARG(str_sub(rows, 1, rows.n)), w->events[i],
                              STR_ARG(sql_quoted(d->mem, r->storage)), STR_ARG(rows), STR_ARG(buf_str(&values))));
    buf_free(&columns), buf_free(&values);
}

static err give_back(struct parts *p, const PgQuery__CommonTableExpr *c, const struct writing *w, str rows, struct sql_cte *cte) {
    struct sql_context cx = context_of(p);
    struct sql_columns columns = {0};
    str list;
    if (sql_translate_returning(&cx, w->table, w->returning, w->returning_n, &list, &columns) != ERR_OK)
        return sql_refuse_problem(p->d, &cx);
    *cte = (struct sql_cte){.name = str_c(c->ctename), .columns = columns.p, .n = columns.n};
    cte->alias = arena_fmt(p->d->mem, "(select " STR_FMT " from " STR_FMT ")", STR_ARG(list), STR_ARG(rows));
    for (size_t i = 0; i < c->n_aliascolnames && i < columns.n; i++) columns.p[i].name = sql_name_of(c->aliascolnames[i]);
    return ERR_OK;
}

static err writing_part(struct parts *p, const PgQuery__CommonTableExpr *c, bool recursive) {
    struct sql_ddl *d = p->d;
    struct writing w = {0};
    PgQuery__Node *node = part_of(p, c->ctequery, recursive, &w);
    struct catalog_relation *r = w.table ? sql_relation_of(d, w.table) : NULL;
    if (!w.table) return sql_needs_postgres(d, c->location, NULL, "this statement in WITH is not there on SQLite");
    if (!r) return sql_no_relation(d, w.table);
    str rows = arena_fmt(d->mem, "\"_orlo_rows_%u\"", ++d->rows_kept);
    struct sql_cte *cte = arena_make(d->mem, struct sql_cte);
    if (w.returning_n) TRY(give_back(p, c, &w, rows, cte));
    if (w.returning_n) keep_rows(p, r, &w, rows);
    TRY(run(p, node, r));
    vec_push(d->mem, &p->written, r->id);
    if (!w.returning_n) return ERR_OK;
    for (size_t i = 0; i < ARRAY_COUNT(w.events) && w.events[i]; i++)
        sql_step(d, arena_fmt(d->mem, "DROP TRIGGER \"%s_" STR_FMT, w.events[i], STR_ARG(str_sub(rows, 1, rows.n))));
    vec_push(d->mem, &p->dropped, arena_fmt(d->mem, "DROP TABLE " STR_FMT, STR_ARG(rows)));
    vec_push(d->mem, &p->given, (const struct sql_cte *)cte);
    return ERR_OK;
}

err sql_run_writing_with(struct sql_ddl *d, const PgQuery__Node *node) {
    struct parts p = {.d = d};
    struct writing w = {0};
    const PgQuery__WithClause *with = *with_of((PgQuery__Node *)(uintptr_t)node);
    sql_flush(d);
    for (size_t i = 0; i < with->n_ctes; i++) {
        const PgQuery__CommonTableExpr *c = with->ctes[i]->common_table_expr;
        if (c->ctequery->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) vec_push(d->mem, &p.queries, with->ctes[i]);
        else TRY(writing_part(&p, c, with->recursive));
    }
    PgQuery__Node main = *node;
    PgQuery__SelectStmt select;
    if (node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) select = *node->select_stmt, main.select_stmt = &select;
    PgQuery__Node *last = node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT ? &main : part_of(&p, node, with->recursive, &w);
    *with_of(last) = NULL;
    *with_of(last) = used_by(&p, last, with->recursive);
    const struct catalog_relation *target = w.table ? sql_relation_of(d, w.table) : NULL;
    TRY(run(&p, last, target));
    for (uint32_t i = 0; i < p.dropped.n; i++) sql_step(d, p.dropped.p[i]);
    return ERR_OK;
}
