/* routine_merge: MERGE, which SQLite has not, as a statement whose WITH writes (routine_with.c): what is to be done with each row of the source is found out first, and kept.
 *
 *   merge into t using s on c when matched and d then update set … when not matched then insert …
 *
 *       with "_orlo_merge" as (select s.*, t.key as "_orlo_k1", case when t.key is not null and d then 1 when t.key is null then 2 else 0 end as "_orlo_does" from s left join t on c),
 *            "_orlo_1" as (update t set … from "_orlo_merge" as s where s."_orlo_does" = 1 and t.key = s."_orlo_k1"),
 *            "_orlo_2" as (insert into t … select … from "_orlo_merge" as s where s."_orlo_does" = 2)
 *       select from "_orlo_merge" where "_orlo_does" > 0
 *
 * 1. Rows of the target are found again by a key of it that is never null.
 * 2. Actions are done clause by clause, not row by row: triggers of a statement fire for each clause. Rows that a policy hides from UPDATE or DELETE are passed over.
 */
#include "sql/parse.h"
#include "sql/routine_int.h"

enum { CLAUSES_MAX = 32 };

struct merging {
    struct sql_context *cx;
    const PgQuery__MergeStmt *m;
    const struct catalog_relation *target;
    const struct catalog_constraint *key;
    str t, s; /* what the two are called in it */
};

static str quoted(struct merging *g, str name) { return sql_quoted(g->cx->mem, name); }

/* A statement of which parts are put in afterwards. */
static PgQuery__Node *tree(struct merging *g, str text) {
    const PgQuery__Node *n = sql_statement_tree(g->cx->mem, text);
    return (PgQuery__Node *)(uintptr_t)n;
}

static bool is_never_null(const struct catalog_relation *r, const struct catalog_constraint *k) {
    for (uint32_t i = 0; i < k->columns.n; i++)
        for (uint32_t c = 0; c < r->columns.n; c++)
            if (r->columns.p[c].number == k->columns.p[i] && !r->columns.p[c].not_null) return false;
    return k->columns.n > 0;
}

static const struct catalog_constraint *key_of(const struct catalog_relation *r) {
    const struct catalog_constraint *unique = NULL;
    for (uint32_t i = 0; i < r->constraints.n; i++) {
        const struct catalog_constraint *k = &r->constraints.p[i];
        if (k->kind == CATALOG_PRIMARY) return k;
        if (k->kind == CATALOG_UNIQUE && is_never_null(r, k)) unique = k;
    }
    return unique;
}

static str key_name(struct merging *g, uint32_t i) {
    const struct catalog_relation *r = g->target;
    for (uint32_t c = 0; c < r->columns.n; c++)
        if (r->columns.p[c].number == g->key->columns.p[i]) return quoted(g, r->columns.p[c].name);
    return STR("\"\"");
}

static str source_name(const PgQuery__Node *n) {
    const PgQuery__Alias *a = n->node_case == PG_QUERY__NODE__NODE_RANGE_VAR         ? n->range_var->alias
                              : n->node_case == PG_QUERY__NODE__NODE_RANGE_SUBSELECT ? n->range_subselect->alias
                              : n->node_case == PG_QUERY__NODE__NODE_RANGE_FUNCTION  ? n->range_function->alias
                              : n->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR       ? n->join_expr->alias
                                                                                     : NULL;
    if (a) return str_c(a->aliasname);
    return n->node_case == PG_QUERY__NODE__NODE_RANGE_VAR ? str_c(n->range_var->relname) : (str){0};
}

static err open_merge(struct merging *g) {
    struct sql_context *cx = g->cx;
    const PgQuery__RangeVar *var = g->m->relation;
    g->target = sql_relation_named(cx, str_c(var->schemaname), str_c(var->relname));
    if (!g->target)
        return sql_refuse(cx, var->location, "42P01", "relation \"%s%s%s\" does not exist", var->schemaname,
                          *var->schemaname ? "." : "", var->relname);
    if (g->target->kind != CATALOG_TABLE) {
        err e = sql_refuse(cx, var->location, "0A000", "cannot execute MERGE on relation \"%s\"", var->relname);
        sql_detail(cx, "This operation is not supported for views.");
        return e;
    }
    g->t = str_c(var->alias ? var->alias->aliasname : var->relname);
    g->s = source_name(g->m->source_relation);
    if (!g->s.n) return sql_unsupported(cx, -1, "MERGE whose source is a join", "Write the join as a subquery with a name.");
    if (str_eq(g->s, g->t)) return sql_refuse(cx, -1, "42712", "name \"" STR_FMT "\" specified more than once", STR_ARG(g->s));
    g->key = key_of(g->target);
    if (!g->key)
        return sql_unsupported(cx, var->location, "MERGE into a table without a key that is never null",
                               "Give it a primary key.");
    if (g->m->n_merge_when_clauses > CLAUSES_MAX)
        return sql_refuse(cx, -1, "54001", "MERGE has more than %d WHEN clauses", CLAUSES_MAX);
    return ERR_OK;
}

/* Behind a WHEN without a condition, of its kind, nothing is reached. */
static err check_clauses(struct merging *g) {
    bool ends[2] = {0};
    for (size_t i = 0; i < g->m->n_merge_when_clauses; i++) {
        const PgQuery__MergeWhenClause *w = g->m->merge_when_clauses[i]->merge_when_clause;
        bool *end = &ends[w->matched ? 1 : 0];
        if (*end) return sql_refuse(g->cx, -1, "42601", "unreachable WHEN clause specified after unconditional WHEN clause");
        *end = !w->condition;
    }
    return ERR_OK;
}

static bool acts(const PgQuery__MergeWhenClause *w) { return w->command_type != PG_QUERY__CMD_TYPE__CMD_NOTHING; }

/* case when … then 1 … else 0 end */
static PgQuery__Node *does(struct merging *g) {
    struct buf b = {0};
    buf_puts(&b, STR("SELECT CASE"));
    for (size_t i = 0; i < g->m->n_merge_when_clauses; i++) {
        const PgQuery__MergeWhenClause *w = g->m->merge_when_clauses[i]->merge_when_clause;
        buf_printf(&b, " WHEN " STR_FMT "." STR_FMT " IS %sNULL%s THEN %zu", STR_ARG(quoted(g, g->t)), STR_ARG(key_name(g, 0)),
                   w->matched ? "NOT " : "", w->condition ? " AND true" : "", acts(w) ? i + 1 : 0);
    }
    buf_puts(&b, STR(" ELSE 0 END"));
    PgQuery__Node *n = tree(g, arena_str(g->cx->mem, buf_str(&b)));
    buf_free(&b);
    if (!n) return NULL;
    PgQuery__CaseExpr *c = n->select_stmt->target_list[0]->res_target->val->case_expr;
    for (size_t i = 0; i < g->m->n_merge_when_clauses; i++) {
        PgQuery__Node *condition = g->m->merge_when_clauses[i]->merge_when_clause->condition;
        if (condition) c->args[i]->case_when->expr->bool_expr->args[1] = condition;
    }
    return n->select_stmt->target_list[0]->res_target->val;
}

static PgQuery__Node *rows_of(struct merging *g) {
    struct buf b = {0};
    buf_printf(&b, "SELECT " STR_FMT ".*", STR_ARG(quoted(g, g->s)));
    for (uint32_t i = 0; i < g->key->columns.n; i++)
        buf_printf(&b, ", " STR_FMT "." STR_FMT " AS \"_orlo_k%u\"", STR_ARG(quoted(g, g->t)), STR_ARG(key_name(g, i)), i + 1);
    buf_puts(&b, STR(", 0 AS \"_orlo_does\" FROM a LEFT JOIN b ON true"));
    PgQuery__Node *n = tree(g, arena_str(g->cx->mem, buf_str(&b))), *which = does(g);
    PgQuery__Node *target = arena_make(g->cx->mem, PgQuery__Node);
    buf_free(&b);
    if (!n || !which) return NULL;
    PgQuery__SelectStmt *s = n->select_stmt;
    PgQuery__JoinExpr *j = s->from_clause[0]->join_expr;
    *target = (PgQuery__Node)PG_QUERY__NODE__INIT;
    target->node_case = PG_QUERY__NODE__NODE_RANGE_VAR, target->range_var = g->m->relation;
    j->larg = g->m->source_relation, j->rarg = target, j->quals = g->m->join_condition;
    s->target_list[s->n_target_list - 1]->res_target->val = which;
    return n;
}

/* ---- actions ---- */

static void put_found(struct merging *g, size_t clause, struct buf *b) {
    str s = quoted(g, g->s), t = quoted(g, g->t);
    buf_printf(b, " WHERE " STR_FMT ".\"_orlo_does\" = %zu", STR_ARG(s), clause + 1);
    for (uint32_t i = 0; i < g->key->columns.n; i++)
        buf_printf(b, " AND " STR_FMT "." STR_FMT " = " STR_FMT ".\"_orlo_k%u\"", STR_ARG(t), STR_ARG(key_name(g, i)), STR_ARG(s),
                   i + 1);
}

static PgQuery__Node *written(struct merging *g, struct buf *b) {
    PgQuery__Node *n = tree(g, arena_str(g->cx->mem, buf_str(b)));
    buf_free(b);
    return n;
}

static PgQuery__Node *update_of(struct merging *g, const PgQuery__MergeWhenClause *w, size_t clause) {
    struct buf b = {0};
    buf_printf(&b, "UPDATE a SET b = 1 FROM \"" SQL_MERGE "\" AS " STR_FMT, STR_ARG(quoted(g, g->s)));
    put_found(g, clause, &b);
    PgQuery__Node *n = written(g, &b);
    if (!n) return NULL;
    n->update_stmt->relation = g->m->relation;
    n->update_stmt->target_list = w->target_list, n->update_stmt->n_target_list = w->n_target_list;
    return n;
}

static PgQuery__Node *delete_of(struct merging *g, size_t clause) {
    struct buf b = {0};
    buf_printf(&b, "DELETE FROM a USING \"" SQL_MERGE "\" AS " STR_FMT, STR_ARG(quoted(g, g->s)));
    put_found(g, clause, &b);
    PgQuery__Node *n = written(g, &b);
    if (n) n->delete_stmt->relation = g->m->relation;
    return n;
}

/* Without names the columns are the table's, as many as there are values; DEFAULT is a column that is not named. */
static err insert_of(struct merging *g, const PgQuery__MergeWhenClause *w, size_t clause, PgQuery__Node **out) {
    struct sql_context *cx = g->cx;
    struct buf b = {0};
    VEC(PgQuery__Node *) values = {0};
    VEC(str) list = {0};
    for (size_t i = 0; i < w->n_values; i++) {
        if (i >= (w->n_target_list ? w->n_target_list : g->target->columns.n))
            return sql_refuse(cx, -1, "42601", "INSERT has more expressions than target columns");
        if (w->values[i]->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT) continue;
        str name = w->n_target_list ? str_c(w->target_list[i]->res_target->name) : g->target->columns.p[i].name;
        if (w->n_target_list && w->target_list[i]->res_target->n_indirection)
            return sql_unsupported(cx, -1, "a part of a column in MERGE's INSERT", NULL);
        vec_push(cx->mem, &list, quoted(g, name));
        vec_push(cx->mem, &values, w->values[i]);
    }
    if (w->n_target_list > w->n_values) return sql_refuse(cx, -1, "42601", "INSERT has more target columns than expressions");
    if (!values.n) return sql_unsupported(cx, -1, "INSERT DEFAULT VALUES in MERGE", "Name a column and its value.");
    buf_printf(&b, "INSERT INTO a (" STR_FMT ")%s SELECT 1", STR_ARG(sql_joined(cx, list.p, list.n, ", ")),
               w->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE ? " OVERRIDING SYSTEM VALUE"
               : w->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE ? " OVERRIDING USER VALUE"
                                                                                 : "");
    for (uint32_t i = 1; i < values.n; i++) buf_puts(&b, STR(", 1"));
    buf_printf(&b, " FROM \"" SQL_MERGE "\" AS " STR_FMT " WHERE " STR_FMT ".\"_orlo_does\" = %zu", STR_ARG(quoted(g, g->s)),
               STR_ARG(quoted(g, g->s)), clause + 1);
    PgQuery__Node *n = written(g, &b);
    if (!n) return sql_unsupported(cx, -1, "this MERGE", NULL);
    PgQuery__RangeVar *into = arena_make(cx->mem, PgQuery__RangeVar);
    *into = *g->m->relation;
    into->alias = NULL;
    n->insert_stmt->relation = into;
    PgQuery__SelectStmt *s = n->insert_stmt->select_stmt->select_stmt;
    for (uint32_t i = 0; i < values.n; i++) s->target_list[i]->res_target->val = values.p[i];
    *out = n;
    return ERR_OK;
}

/* select condition from source */
static const PgQuery__Node *asked_of_source(struct merging *g, PgQuery__Node *condition) {
    PgQuery__Node *n = tree(g, STR("SELECT true FROM a"));
    if (!n) return NULL;
    n->select_stmt->from_clause[0] = g->m->source_relation;
    n->select_stmt->target_list[0]->res_target->val = condition;
    return n;
}

/* ---- the whole ---- */

err sql_routine_merge(struct sql_context *cx, const PgQuery__MergeStmt *m, struct sql_merge *out) {
    struct merging g = {.cx = cx, .m = m};
    struct buf b = {0};
    VEC(PgQuery__Node *) parts = {0};
    TRY(open_merge(&g));
    TRY(check_clauses(&g));
    *out = (struct sql_merge){.keys = g.key->columns.n};
    vec_push(cx->mem, &parts, rows_of(&g));
    for (size_t i = 0; i < m->n_merge_when_clauses; i++) {
        const PgQuery__MergeWhenClause *w = m->merge_when_clauses[i]->merge_when_clause;
        PgQuery__Node *n = NULL;
        if (w->condition && !w->matched) {
            const PgQuery__Node *check = asked_of_source(&g, w->condition);
            if (check) vec_push(cx->mem, &out->checks, check);
        }
        if (!acts(w)) continue;
        if (w->command_type == PG_QUERY__CMD_TYPE__CMD_INSERT) TRY(insert_of(&g, w, i, &n));
        else n = w->command_type == PG_QUERY__CMD_TYPE__CMD_UPDATE ? update_of(&g, w, i) : delete_of(&g, i);
        if (w->matched) out->changes |= 1u << i;
        vec_push(cx->mem, &parts, n);
    }
    buf_puts(&b, STR("WITH "));
    for (uint32_t i = 0; i < parts.n; i++) {
        if (!parts.p[i]) return buf_free(&b), sql_unsupported(cx, -1, "this MERGE", NULL);
        if (i) buf_printf(&b, ", \"_orlo_%u\" AS (SELECT 1)", i);
        else buf_puts(&b, STR("\"" SQL_MERGE "\" AS (SELECT 1)"));
    }
    buf_puts(&b, STR(" SELECT 1 FROM \"" SQL_MERGE "\" WHERE \"_orlo_does\" > 0"));
    PgQuery__Node *n = written(&g, &b);
    if (!n) return sql_unsupported(cx, -1, "this MERGE", NULL);
    PgQuery__WithClause *with = n->select_stmt->with_clause;
    for (uint32_t i = 0; i < parts.n; i++) with->ctes[i]->common_table_expr->ctequery = parts.p[i];
    if (m->with_clause) { /* its own come first */
        size_t own = m->with_clause->n_ctes;
        PgQuery__Node **all = arena_array(cx->mem, PgQuery__Node *, own + with->n_ctes);
        for (size_t i = 0; i < own; i++) {
            all[i] = m->with_clause->ctes[i];
            if (all[i]->common_table_expr->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
                return sql_unsupported(cx, -1, "a part that writes in the WITH of MERGE", "Write it as a statement of its own.");
        }
        for (size_t i = 0; i < with->n_ctes; i++) all[own + i] = with->ctes[i];
        with->ctes = all, with->n_ctes += own, with->recursive = m->with_clause->recursive;
    }
    out->node = n;
    return ERR_OK;
}
