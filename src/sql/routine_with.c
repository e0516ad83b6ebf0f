/* routine_with: statements whose WITH writes, which SQLite has not: their parts are statements of their own, one after the other, and what they give back is kept
 * in cursors, where the others read it.
 *
 *   with gone as (delete from a where … returning id, x) insert into b select * from gone
 *
 *       OPEN 3, delete from a where … returning id, x
 *       RUN insert into b select … from (select c1, c2 from query_kept(3)) as a1
 *
 * 1. In PostgreSQL all parts see the rows as they were before the statement. So a table that one part wrote and another one reads is kept as it was before all of
 *    them, and read from there; where that does not do (a view, two parts that change a table) it is refused: 0A000.
 */
#include "sql/parse.h"
#include "sql/routine_int.h"

enum { KEPT_COLUMNS_MAX = 100 };

struct parts {
    struct routine *r;
    const PgQuery__WithClause *with;
    VEC(const struct sql_cte *) given; /* what parts that wrote give back, and tables as they were */
    VEC(PgQuery__Node *) queries;      /* WITH's queries that only read, so far */
    catalog_ids written;               /* relations */
    catalog_ids kept;                  /* tables that are to be kept as they were */
    uint32_t again;                    /* one more of them: from the beginning; 0: none */
    const struct sql_merge *merge;     /* NULL: it is none */
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
    if (node->node_case == PG_QUERY__NODE__NODE_MERGE_STMT) return true;
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
static PgQuery__WithClause *used_by(struct parts *p, PgQuery__Node *node) {
    arena *mem = p->r->cx->mem;
    PgQuery__WithClause *with = arena_make(mem, PgQuery__WithClause);
    PgQuery__Node **queries = arena_array(mem, PgQuery__Node *, p->queries.n + 1);
    struct buf text = {0};
    size_t n = 0;
    buf_puts(&text, sql_statement_text(mem, node));
    for (uint32_t i = p->queries.n; i-- > 0;) {
        const PgQuery__CommonTableExpr *c = p->queries.p[i]->common_table_expr;
        if (!names(buf_str(&text), c->ctename)) continue;
        queries[n++] = p->queries.p[i];
        buf_putc(&text, ' ');
        buf_puts(&text, sql_statement_text(mem, c->ctequery));
    }
    buf_free(&text);
    for (size_t i = 0; i < n / 2; i++) {
        PgQuery__Node *other = queries[i];
        queries[i] = queries[n - 1 - i], queries[n - 1 - i] = other;
    }
    pg_query__with_clause__init(with);
    with->ctes = queries, with->n_ctes = n, with->recursive = p->with->recursive;
    return n ? with : NULL;
}

/* Another one, with the queries that it uses. */
static PgQuery__Node *with_queries(struct parts *p, const PgQuery__Node *node, bool main) {
    arena *mem = p->r->cx->mem;
    PgQuery__Node *copy = arena_make(mem, PgQuery__Node);
    *copy = *node;
#define COPY(case_, member, type)                                                                                                \
    if (node->node_case == case_) {                                                                                              \
        copy->member = arena_make(mem, type);                                                                                    \
        *copy->member = *node->member;                                                                                           \
    }
    COPY(PG_QUERY__NODE__NODE_SELECT_STMT, select_stmt, PgQuery__SelectStmt)
    COPY(PG_QUERY__NODE__NODE_INSERT_STMT, insert_stmt, PgQuery__InsertStmt)
    COPY(PG_QUERY__NODE__NODE_UPDATE_STMT, update_stmt, PgQuery__UpdateStmt)
    COPY(PG_QUERY__NODE__NODE_DELETE_STMT, delete_stmt, PgQuery__DeleteStmt)
#undef COPY
    PgQuery__WithClause **with = with_of(copy);
    if (with && main) *with = NULL;
    if (with && !*with) *with = used_by(p, copy);
    return copy;
}

/* ---- what the parts write and read ---- */

static const struct catalog_relation *target_of(struct routine *r, const PgQuery__Node *n) {
    const PgQuery__RangeVar *var = n->node_case == PG_QUERY__NODE__NODE_INSERT_STMT   ? n->insert_stmt->relation
                                   : n->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT ? n->update_stmt->relation
                                   : n->node_case == PG_QUERY__NODE__NODE_DELETE_STMT ? n->delete_stmt->relation
                                                                                      : NULL;
    return var ? sql_relation_named(r->cx, str_c(var->schemaname), str_c(var->relname)) : NULL;
}

static bool was_written(const struct parts *p, uint32_t id, uint32_t depth) {
    const struct catalog_relation *r = catalog_relation_of(p->r->cx->catalog, id);
    if (catalog_ids_have(&p->written, id)) return true;
    for (uint32_t i = 0; r && depth < 32 && i < r->depends.n; i++)
        if (was_written(p, r->depends.p[i], depth + 1)) return true;
    return false;
}

static err refuse(struct parts *p) {
    return sql_unsupported(p->r->cx, -1, "a part of a statement that reads or writes what another part in WITH writes",
                           "Write the parts as statements of their own, in the order in which they are to be done.");
}

static uint32_t times(str text, uint32_t relation) {
    struct catalog_mark m = {0};
    uint32_t n = 0;
    while (catalog_mark_next(text, m.end, &m)) n += (m.kind == 'R' || m.kind == 'B') && m.id == relation;
    return n;
}

/* Does it come to what an earlier part wrote? Rows that are put in beside are as well put in behind. */
static err look(struct parts *p, const PgQuery__Node *node, const struct catalog_relation *target,
                const struct catalog_fragment *f) {
    struct routine *r = p->r;
    bool inserts = node->node_case == PG_QUERY__NODE__NODE_INSERT_STMT && !node->insert_stmt->on_conflict_clause;
    inserts |= p->merge != NULL; /* each row is one clause's */
    if (target && was_written(p, target->id, 0) && !inserts) return refuse(p);
    for (uint32_t i = 0; i < f->reads.n; i++) {
        uint32_t id = f->reads.p[i];
        const struct catalog_relation *of = catalog_relation_of(r->cx->catalog, id);
        if (!was_written(p, id, 0) || (target && id == target->id && times(f->text, id) < 2)) continue;
        if (!of || of->kind != CATALOG_TABLE || catalog_ids_have(&p->kept, id)) return refuse(p);
        return p->again = id, ERR_OK;
    }
    return ERR_OK;
}

/* ---- what is kept ---- */

static err give(struct parts *p, str name, uint32_t relation, const catalog_fields *fields, uint32_t cursor) {
    struct sql_context *cx = p->r->cx;
    struct sql_cte *c = arena_make(cx->mem, struct sql_cte);
    VEC(str) list = {0};
    if (fields->n > KEPT_COLUMNS_MAX)
        return sql_unsupported(cx, -1, "a part of WITH that writes and gives back more than 100 columns",
                               "Name those that are needed.");
    *c = (struct sql_cte){.name = name, .relation = relation, .n = fields->n};
    c->columns = arena_array(cx->mem, struct sql_column_out, c->n + 1);
    for (uint32_t i = 0; i < c->n; i++) {
        c->columns[i] =
            (struct sql_column_out){.name = fields->p[i].name, .type = fields->p[i].type, .typmod = fields->p[i].typmod};
        vec_push(cx->mem, &list, sql_fmt(cx, "c%u" STR_FMT " as c%u", i + 1, STR_ARG(sql_collate(cx, fields->p[i].type)), i + 1));
    }
    c->alias = sql_fmt(cx, "(select " STR_FMT " from query_kept(%u))", STR_ARG(sql_joined(cx, list.p, list.n, ", ")), cursor);
    vec_push(cx->mem, &p->given, (const struct sql_cte *)c);
    cx->given = p->given.p, cx->given_n = p->given.n;
    return ERR_OK;
}

static err cursor_for(struct routine *r, uint32_t *cursor) {
    *cursor = r->cursors++;
    if (*cursor < CATALOG_CURSORS_MAX) return ERR_OK;
    return sql_refuse(r->cx, -1, "54001", "a body has more than %d loops over queries", CATALOG_CURSORS_MAX);
}

/* A table as it is before all parts. */
static err keep_table(struct parts *p, uint32_t id) {
    struct routine *r = p->r;
    const struct catalog_relation *of = catalog_relation_of(r->cx->catalog, id);
    const struct catalog_schema *s = catalog_schema_of(r->cx->catalog, of->schema);
    const PgQuery__Node *node =
        sql_statement_tree(r->cx->mem, arena_fmt(r->cx->mem, "SELECT * FROM " STR_FMT "." STR_FMT,
                                                 STR_ARG(sql_quoted(r->cx->mem, s ? s->name : STR("public"))),
                                                 STR_ARG(sql_quoted(r->cx->mem, of->name))));
    struct catalog_fragment f;
    catalog_fields columns = {0};
    uint32_t cursor;
    if (!node) return refuse(p);
    TRY(sql_routine_fragment(r, node, NULL, &f, &columns));
    TRY(cursor_for(r, &cursor));
    sql_routine_emit(r, CATALOG_OP_OPEN, cursor, sql_routine_add(r, f), 0, 0);
    return give(p, STR(" "), id, &columns, cursor); /* nothing else is called so */
}

/* ---- the parts ---- */

static err writing_part(struct parts *p, const PgQuery__CommonTableExpr *c) {
    struct routine *r = p->r;
    const PgQuery__Node *node = with_queries(p, c->ctequery, false);
    const struct catalog_relation *target = target_of(r, node);
    struct catalog_fragment f;
    catalog_fields columns = {0};
    TRY(sql_routine_fragment(r, node, NULL, &f, &columns));
    TRY(look(p, node, target, &f));
    if (p->again) return ERR_OK;
    if (target) vec_push(r->cx->mem, &p->written, target->id);
    if (!columns.n) {
        sql_routine_emit(r, CATALOG_OP_RUN, sql_routine_add(r, f), ROUTINE_NONE, 0, 0);
        return ERR_OK;
    }
    uint32_t cursor;
    for (size_t i = 0; i < c->n_aliascolnames && i < columns.n; i++) columns.p[i].name = sql_name_of(c->aliascolnames[i]);
    TRY(cursor_for(r, &cursor));
    sql_routine_emit(r, CATALOG_OP_OPEN, cursor, sql_routine_add(r, f), 0, 0);
    return give(p, str_c(c->ctename), 0, &columns, cursor);
}

static bool is_merges(const struct parts *p, const PgQuery__CommonTableExpr *c) {
    return p->merge && !strcmp(c->ctename, SQL_MERGE);
}

/* Two rows of the source that would change one of the target. */
static err no_second_time(struct parts *p) {
    struct sql_context *cx = p->r->cx;
    const struct sql_cte *c = p->given.p[p->given.n - 1];
    VEC(str) clauses = {0}, keys = {0};
    for (uint32_t i = 0; i < 32; i++)
        if (p->merge->changes & 1u << i) vec_push(cx->mem, &clauses, sql_fmt(cx, "%u", i + 1));
    for (uint32_t i = 0; i < p->merge->keys; i++) vec_push(cx->mem, &keys, sql_fmt(cx, "c%u", c->n - p->merge->keys + i));
    if (!clauses.n) return ERR_OK;
    struct catalog_fragment f = {
        .text = sql_fmt(cx,
                        "select pg_refuse('21000', 'MERGE command cannot affect row a second time') as c1 from " STR_FMT
                        " where c%u in (" STR_FMT ") group by " STR_FMT " having count(*) > 1",
                        STR_ARG(c->alias), c->n, STR_ARG(sql_joined(cx, clauses.p, clauses.n, ", ")),
                        STR_ARG(sql_joined(cx, keys.p, keys.n, ", "))),
        .typmod = -1};
    sql_routine_emit(p->r, CATALOG_OP_RUN, sql_routine_add(p->r, f), ROUTINE_NONE, 0, CATALOG_RUN_QUERY);
    return ERR_OK;
}

static err run(struct parts *p, const PgQuery__Node *node, const catalog_fields *want, struct catalog_fragment *out,
               catalog_fields *columns) {
    for (uint32_t i = 0; i < p->kept.n; i++) TRY(keep_table(p, p->kept.p[i]));
    for (size_t i = 0; i < p->with->n_ctes && !p->again; i++) {
        const PgQuery__CommonTableExpr *c = p->with->ctes[i]->common_table_expr;
        bool reads = c->ctequery->node_case == PG_QUERY__NODE__NODE_SELECT_STMT, merges = is_merges(p, c);
        for (uint32_t k = 0; merges && k < p->merge->checks.n; k++) {
            struct catalog_fragment unused;
            catalog_fields none = {0};
            TRY(sql_routine_fragment(p->r, with_queries(p, p->merge->checks.p[k], false), NULL, &unused, &none));
        }
        if (reads && !merges) vec_push(p->r->cx->mem, &p->queries, p->with->ctes[i]);
        else TRY(writing_part(p, c));
        if (merges) TRY(no_second_time(p));
    }
    if (p->again) return ERR_OK;
    const PgQuery__Node *main = with_queries(p, node, true);
    *columns = (catalog_fields){0};
    TRY(sql_routine_fragment(p->r, main, want, out, columns));
    return look(p, main, target_of(p->r, main), out);
}

err sql_routine_with(struct routine *r, const PgQuery__Node *node, const catalog_fields *want, struct catalog_fragment *out,
                     catalog_fields *columns) {
    struct sql_merge merge;
    bool merges = node->node_case == PG_QUERY__NODE__NODE_MERGE_STMT;
    if (merges) {
        TRY(sql_routine_merge(r->cx, node->merge_stmt, &merge));
        node = merge.node;
    }
    struct parts p = {.r = r, .with = *with_of((PgQuery__Node *)(uintptr_t)node), .merge = merges ? &merge : NULL};
    const struct sql_cte *const *given = r->cx->given;
    uint32_t given_n = r->cx->given_n, code = r->out->code.n, statements = r->out->statements.n, cursors = r->cursors;
    err e;
    for (;;) {
        for (uint32_t i = 0; i < given_n; i++) vec_push(r->cx->mem, &p.given, given[i]);
        e = run(&p, node, want, out, columns);
        r->cx->given = given, r->cx->given_n = given_n;
        if (e != ERR_OK || !p.again) return e;
        vec_push(r->cx->mem, &p.kept, p.again);
        p.again = 0, p.given.n = p.queries.n = p.written.n = 0;
        r->out->code.n = code, r->out->statements.n = statements, r->cursors = cursors;
    }
}

err sql_compile_statement(struct sql_context *cx, const struct catalog_function *f, const PgQuery__Node *node,
                          struct catalog_routine *out) {
    struct routine r = {.cx = cx, .f = f, .out = out};
    struct catalog_fragment main;
    catalog_fields columns = {0};
    bool reads = node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT || node->node_case == PG_QUERY__NODE__NODE_MERGE_STMT;
    *out = (struct catalog_routine){.places = 1};
    cx->definer = cx->definer_function = true;
    TRY(sql_routine_with(&r, node, NULL, &main, &columns));
    sql_routine_emit(&r, CATALOG_OP_RUN, sql_routine_add(&r, main), ROUTINE_NONE, 0, reads ? CATALOG_RUN_QUERY : 0);
    sql_routine_emit(&r, CATALOG_OP_RETURN_NULL, 0, 0, 0, 0);
    return ERR_OK;
}
