/* select: a query is read, its types are settled, it is printed.
 *
 *   SELECT ── with ─→ from ─→ where ─→ group by ─→ select list ─→ having ─→ order by, distinct, limit ──→ struct sql_part
 *   VALUES ── rows ────────────────────────────────────────────────────────────────────────────────────→       │
 *   UNION … ─ both sides, the common types of their columns ───────────────────────────────────────────→       ↓
 *                                                                                        text, columns c1 … cn, or as asked
 *
 * 1. Nulls come last, unless the order is descending: it is always written, but where a column has none.
 * 2. DISTINCT ON is row_number() = 1 over its expressions in the query's order.
 * 3. INTERSECT ALL and EXCEPT ALL count equal rows by row_number().
 * 4. What SQLite could take for an ordinal (a number in ORDER BY or GROUP BY) is not written there.
 * 5. A subquery of volatile functions is materialized: SQLite would put the calls wherever its columns are named.
 */
#include "sql/translate_int.h"

/* ---- names of columns ---- */

static int figure(const PgQuery__Node *node, str *name);

static int figure_type(const PgQuery__TypeCast *c, str *name) {
    int strength = figure(c->arg, name);
    if (strength > 1 || !c->type_name->n_names) return strength;
    *name = sql_name_of(c->type_name->names[c->type_name->n_names - 1]);
    return 1;
}

static int figure_sublink(const PgQuery__SubLink *l, str *name) {
    switch (l->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK: *name = STR("exists"); return 2;
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: *name = STR("array"); return 2;
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK: {
        const PgQuery__SelectStmt *s = l->subselect->select_stmt;
        while (s->larg) s = s->larg;
        if (!s->n_target_list) {
            if (s->n_values_lists) *name = STR("column1");
            return s->n_values_lists ? 2 : 0;
        }
        const PgQuery__ResTarget *t = s->target_list[0]->res_target;
        if (t->name && t->name[0]) {
            *name = str_c(t->name);
            return 2;
        }
        return figure(t->val, name);
    }
    default: return 0;
    }
}

static int figure_indirection(const PgQuery__AIndirection *a, str *name) {
    for (size_t i = a->n_indirection; i > 0; i--)
        if (a->indirection[i - 1]->node_case == PG_QUERY__NODE__NODE_STRING) {
            *name = sql_name_of(a->indirection[i - 1]);
            return 2;
        }
    return figure(a->arg, name);
}

static const char *const value_function_names[] = {
    "",          "current_date", "current_time",    "current_time",   "current_timestamp", "current_timestamp",
    "localtime", "localtime",    "localtimestamp",  "localtimestamp", "current_role",      "current_user",
    "user",      "session_user", "current_catalog", "current_schema"};

/* How sure the name is: 0 none, 1 of a type, 2. */
static int figure(const PgQuery__Node *node, str *name) {
    if (!node) return 0;
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_REF: {
        const PgQuery__ColumnRef *r = node->column_ref;
        *name = r->n_fields ? sql_name_of(r->fields[r->n_fields - 1]) : (str){0};
        return name->n ? 2 : 0;
    }
    case PG_QUERY__NODE__NODE_A_INDIRECTION: return figure_indirection(node->a_indirection, name);
    case PG_QUERY__NODE__NODE_FUNC_CALL:
        *name = sql_name_of(node->func_call->funcname[node->func_call->n_funcname - 1]);
        return 2;
    case PG_QUERY__NODE__NODE_A_EXPR:
        if (node->a_expr->kind != PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF) return 0;
        *name = STR("nullif");
        return 2;
    case PG_QUERY__NODE__NODE_TYPE_CAST: return figure_type(node->type_cast, name);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: return figure(node->collate_clause->arg, name);
    case PG_QUERY__NODE__NODE_SUB_LINK: return figure_sublink(node->sub_link, name);
    case PG_QUERY__NODE__NODE_CASE_EXPR:
        if (figure(node->case_expr->defresult, name) > 1) return 2;
        *name = STR("case");
        return 1;
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: *name = STR("array"); return 2;
    case PG_QUERY__NODE__NODE_ROW_EXPR: *name = STR("row"); return 2;
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: *name = STR("coalesce"); return 2;
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR:
        *name = node->min_max_expr->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST ? STR("greatest") : STR("least");
        return 2;
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION:
        *name = str_c((size_t)node->sqlvalue_function->op < ARRAY_COUNT(value_function_names)
                          ? value_function_names[node->sqlvalue_function->op]
                          : "");
        return 2;
    default: return 0;
    }
}

str sql_figure_name(const PgQuery__Node *node) {
    str name = {0};
    figure(node, &name);
    return name.n ? name : STR("?column?");
}

/* ---- the select list ---- */

/* (row).*: a column for each field. */
static bool is_row_star(const PgQuery__Node *node) {
    if (node->node_case != PG_QUERY__NODE__NODE_A_INDIRECTION) return false;
    const PgQuery__AIndirection *a = node->a_indirection;
    return a->n_indirection && a->indirection[a->n_indirection - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

static err row_star(struct sql_context *cx, const PgQuery__AIndirection *a, sql_column_list *out) {
    if (a->n_indirection > 1) return sql_unsupported(cx, sql_location_of(a->arg), "(row).field.*", NULL);
    struct sql_value row;
    TRY(sql_expr(cx, a->arg, &row));
    sql_unpack(cx, &row);
    if (!row.row)
        return sql_refuse(cx, row.location, "42809",
                          "column notation .* applied to type " STR_FMT ", which is not a composite type",
                          STR_ARG(sql_type_name(cx, row.type)));
    for (uint32_t i = 0; i < row.row->n; i++)
        vec_push(cx->mem, out, ((struct sql_column){row.row->names[i], row.row->values[i]}));
    return ERR_OK;
}

err sql_target_list(struct sql_context *cx, PgQuery__Node *const *nodes, size_t n, sql_column_list *out) {
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ResTarget *t = nodes[i]->res_target;
        if (sql_is_star(t->val)) {
            TRY(sql_expand_star(cx, t->val->column_ref, out));
            continue;
        }
        if (is_row_star(t->val)) {
            TRY(row_star(cx, t->val->a_indirection, out));
            continue;
        }
        struct sql_value v;
        TRY(sql_expr(cx, t->val, &v));
        v.location = v.location < 0 ? t->location : v.location;
        str name = t->name && t->name[0] ? str_c(t->name) : sql_figure_name(t->val);
        vec_push(cx->mem, out, ((struct sql_column){name, v}));
        if (out->n > 1664) return sql_refuse(cx, t->location, "54011", "target lists can have at most 1664 entries");
    }
    return ERR_OK;
}

/* ---- ORDER BY, GROUP BY ---- */

static bool is_integer_constant(const PgQuery__Node *node, int32_t *value) {
    if (node->node_case != PG_QUERY__NODE__NODE_A_CONST) return false;
    const PgQuery__AConst *c = node->a_const;
    if (c->isnull || c->val_case != PG_QUERY__A__CONST__VAL_IVAL) return false;
    *value = c->ival->ival;
    return true;
}

static str plain_name(const PgQuery__Node *node) {
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF || node->column_ref->n_fields != 1) return (str){0};
    return sql_name_of(node->column_ref->fields[0]);
}

/* An output column that `node` names: by its number, or its name. *index: from 0; UINT32_MAX: none. */
static err output_column(struct sql_context *cx, const PgQuery__Node *node, const char *clause, const sql_values *values,
                         const str *names, uint32_t *index) {
    *index = UINT32_MAX;
    int32_t number;
    if (is_integer_constant(node, &number)) {
        if (number < 1 || (uint32_t)number > values->n)
            return sql_refuse(cx, sql_location_of(node), "42P10", "%s position %d is not in select list", clause, number);
        *index = (uint32_t)number - 1;
        return ERR_OK;
    }
    if (node->node_case == PG_QUERY__NODE__NODE_A_CONST)
        return sql_refuse(cx, sql_location_of(node), "42601", "non-integer constant in %s", clause);
    str name = plain_name(node);
    for (uint32_t i = 0; name.n && i < values->n; i++) {
        if (!str_eq(names[i], name)) continue;
        if (*index == UINT32_MAX) *index = i;
        else if (!str_eq(values->p[*index].text, values->p[i].text))
            return sql_refuse(cx, sql_location_of(node), "42702", "%s \"" STR_FMT "\" is ambiguous", clause, STR_ARG(name));
    }
    return ERR_OK;
}

static err check_sortable(struct sql_context *cx, const struct sql_value *v) {
    if (v->row) return sql_unsupported(cx, v->location, "ordering or grouping by a row", "Name its columns.");
    if (v->type != PG_JSON) return ERR_OK;
    err e = sql_refuse(cx, v->location, "42883", "could not identify an ordering operator for type json");
    sql_hint(cx, "Use an explicit ordering operator or modify the query.");
    return e;
}

static err sort_of(struct sql_context *cx, const PgQuery__SortBy *s, const sql_values *values, const str *names, bool plain,
                   struct sql_sort *out) {
    uint32_t index = UINT32_MAX;
    struct sql_value v;
    if (!plain) TRY(output_column(cx, s->node, "ORDER BY", values, names, &index));
    if (index == UINT32_MAX) {
        TRY(sql_expr(cx, s->node, &v));
        TRY(sql_settle(cx, &v));
        for (uint32_t i = 0; !plain && i < values->n && index == UINT32_MAX; i++)
            if (str_eq(values->p[i].text, v.text) && values->p[i].type == v.type) index = i;
    } else {
        v = values->p[index];
    }
    TRY(check_sortable(cx, &v));
    if (s->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_USING)
        return sql_unsupported(cx, s->location, "ORDER BY … USING", "Write ASC or DESC.");
    *out = (struct sql_sort){
        .ordinal = index == UINT32_MAX ? 0 : index + 1, .text = v.text, .type = v.type, .not_null = v.flags & SQL_NOT_NULL};
    out->descending = s->sortby_dir == PG_QUERY__SORT_BY_DIR__SORTBY_DESC;
    out->nulls_first = s->sortby_nulls == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                       (out->descending && s->sortby_nulls != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    if (v.flags & SQL_CONSTANT && !out->ordinal) out->text = (str){0}; /* a constant orders nothing */
    return ERR_OK;
}

err sql_order_by(struct sql_context *cx, PgQuery__Node *const *nodes, size_t n, const sql_values *values, const str *names,
                 bool plain, sql_sorts *out) {
    for (size_t i = 0; i < n; i++) {
        struct sql_sort s;
        TRY(sort_of(cx, nodes[i]->sort_by, values, names, plain, &s));
        if (s.text.n || s.ordinal) vec_push(cx->mem, out, s);
    }
    return ERR_OK;
}

static str sort_text(struct sql_context *cx, const struct sql_sort *s, str key) {
    const char *nulls = s->not_null      ? ""
                        : s->nulls_first ? (s->descending ? " nulls first" : "")
                                         : (s->descending ? "" : " nulls last");
    return sql_fmt(cx, STR_FMT STR_FMT "%s%s", STR_ARG(key), STR_ARG(sql_collate(cx, s->type)), s->descending ? " desc" : "",
                   nulls);
}

/* Of expressions, never ordinals: OVER, aggregates. */
str sql_sorts_text(struct sql_context *cx, const sql_sorts *sorts) {
    VEC(str) parts = {0};
    for (uint32_t i = 0; i < sorts->n; i++) vec_push(cx->mem, &parts, sort_text(cx, &sorts->p[i], sorts->p[i].text));
    return sql_joined(cx, parts.p, parts.n, ", ");
}

/* The n-th expression of the select list, stars counted. */
static err target_at(struct sql_context *cx, const PgQuery__SelectStmt *s, uint32_t index, struct sql_value *out) {
    uint32_t at = 0;
    for (size_t i = 0; i < s->n_target_list; i++) {
        const PgQuery__Node *val = s->target_list[i]->res_target->val;
        sql_column_list columns = {0};
        if (sql_is_star(val)) TRY(sql_expand_star(cx, val->column_ref, &columns));
        uint32_t count = sql_is_star(val) ? columns.n : 1;
        if (index < at + count) {
            if (columns.n) {
                *out = columns.p[index - at].value;
                return ERR_OK;
            }
            return sql_expr(cx, val, out);
        }
        at += count;
    }
    return sql_refuse(cx, -1, "42P10", "GROUP BY position %u is not in select list", index + 1);
}

/* A name in GROUP BY: a column of FROM, else an output column. */
static err group_name(struct sql_context *cx, const PgQuery__SelectStmt *s, const PgQuery__Node *node, str name,
                      struct sql_value *out) {
    const struct sql_column *c;
    TRY(sql_find_in_scope(cx, cx->scope, name, sql_location_of(node), &c));
    for (size_t i = 0; !c && i < s->n_target_list; i++) {
        const PgQuery__ResTarget *t = s->target_list[i]->res_target;
        if (sql_is_star(t->val)) continue;
        str named = t->name && t->name[0] ? str_c(t->name) : sql_figure_name(t->val);
        if (str_eq(named, name)) return sql_expr(cx, t->val, out);
    }
    return sql_expr(cx, node, out);
}

static err group_value(struct sql_context *cx, const PgQuery__SelectStmt *s, const PgQuery__Node *node, struct sql_value *out) {
    int32_t number;
    str name = plain_name(node);
    if (is_integer_constant(node, &number)) {
        if (number < 1)
            return sql_refuse(cx, sql_location_of(node), "42P10", "GROUP BY position %d is not in select list", number);
        TRY(target_at(cx, s, (uint32_t)number - 1, out));
    } else if (node->node_case == PG_QUERY__NODE__NODE_A_CONST) {
        return sql_refuse(cx, sql_location_of(node), "42601", "non-integer constant in GROUP BY");
    } else if (name.n) {
        TRY(group_name(cx, s, node, name, out));
    } else {
        TRY(sql_expr(cx, node, out));
    }
    TRY(sql_settle(cx, out));
    if (out->flags & SQL_AGGREGATE)
        return sql_refuse(cx, sql_location_of(node), "42803", "aggregate functions are not allowed in GROUP BY");
    return check_sortable(cx, out);
}

err sql_group_value(struct sql_context *cx, const PgQuery__SelectStmt *s, const PgQuery__Node *node, struct sql_value *out) {
    struct sql_scope *scope = cx->scope;
    scope->no_aggregates = true;
    scope->clause = "GROUP BY";
    err e = node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR ? sql_expr(cx, node, out) : group_value(cx, s, node, out);
    scope->no_aggregates = false;
    return e;
}

static void push_group(struct sql_context *cx, struct sql_scope *scope, struct sql_value v) {
    if (!v.row) {
        vec_push(cx->mem, &scope->groups, v);
        return;
    }
    for (uint32_t i = 0; i < v.row->n; i++) push_group(cx, scope, v.row->values[i]);
}

static err groups_text(struct sql_context *cx, const struct sql_scope *scope, const bool *has, struct sql_part *p);

static err group_by(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_scope *scope, struct sql_part *p) {
    for (size_t i = 0; i < s->n_group_clause; i++) {
        struct sql_value v;
        TRY(sql_group_value(cx, s, s->group_clause[i], &v));
        push_group(cx, scope, v);
    }
    scope->is_grouped |= s->n_group_clause > 0;
    scope->mentions.n = 0;
    return groups_text(cx, scope, NULL, p);
}

/* has: which of them; NULL: all. */
static err groups_text(struct sql_context *cx, const struct sql_scope *scope, const bool *has, struct sql_part *p) {
    VEC(str) texts = {0};
    for (uint32_t i = 0; i < scope->groups.n; i++) {
        const struct sql_value *g = &scope->groups.p[i];
        if (has && !has[i]) continue;
        if (!(g->flags & SQL_CONSTANT))
            vec_push(cx->mem, &texts, sql_fmt(cx, STR_FMT STR_FMT, STR_ARG(g->text), STR_ARG(sql_collate(cx, g->type))));
        p->flags |= g->flags & SQL_INHERITED;
        p->levels |= g->levels;
    }
    /* by constants alone: one group, if there is any row */
    if (scope->groups.n && !texts.n && !has) vec_push(cx->mem, &texts, STR("''"));
    p->group = sql_joined(cx, texts.p, texts.n, ", ");
    return ERR_OK;
}

/* ---- grouped, or not? ---- */

/* The primary key of its table is grouped by: then all of its columns are. */
static bool key_is_grouped(const struct sql_scope *scope, const struct sql_item *item) {
    const struct catalog_constraint *key = item->relation ? catalog_primary_key(item->relation) : NULL;
    if (!key) return false;
    for (uint32_t k = 0; k < key->columns.n; k++) {
        const struct catalog_column *c = catalog_column_of(item->relation, key->columns.p[k]);
        bool found = false;
        for (uint32_t i = 0; c && i < item->n && i < item->relation->columns.n; i++) {
            if (item->relation->columns.p[i].number != c->number) continue;
            for (uint32_t g = 0; g < scope->groups.n; g++) found |= str_eq(scope->groups.p[g].text, item->columns[i].value.text);
        }
        if (!found) return false;
    }
    return true;
}

static err check_mentions(struct sql_context *cx, const struct sql_scope *scope) {
    if (!scope->is_grouped && !scope->has_aggregate) return ERR_OK;
    for (uint32_t i = 0; i < scope->mentions.n; i++) {
        const struct sql_mention *m = &scope->mentions.p[i];
        if (key_is_grouped(scope, m->item)) continue;
        if (m->from_subquery)
            return sql_refuse(cx, m->location, "42803", "subquery uses ungrouped column \"" STR_FMT "\" from outer query",
                              STR_ARG(m->name));
        return sql_refuse(cx, m->location, "42803",
                          "column \"" STR_FMT "\" must appear in the GROUP BY clause or be used in an aggregate function",
                          STR_ARG(m->name));
    }
    return ERR_OK;
}

/* ---- LIMIT ---- */

static err limit_value(struct sql_context *cx, const PgQuery__Node *node, const char *clause, str *text, struct sql_part *p) {
    *text = (str){0};
    if (!node) return ERR_OK;
    struct sql_value v;
    TRY(sql_expr(cx, node, &v));
    bool can;
    TRY(sql_coerce(cx, &v, PG_INT8, -1, PG_ASSIGNMENT, &can));
    if (!can)
        return sql_refuse(cx, v.location, "42804", "argument of %s must be type bigint, not type " STR_FMT, clause,
                          STR_ARG(sql_type_name(cx, v.type)));
    if (v.levels & (1ull << p->level))
        return sql_refuse(cx, v.location, "42P10", "argument of %s must not contain variables", clause);
    if (v.flags & SQL_NULL) return ERR_OK;
    p->flags |= v.flags & SQL_INHERITED;
    p->levels |= v.levels;
    bool is_limit = !strcmp(clause, "LIMIT");
    if (v.flags & SQL_CONSTANT) {
        if (v.text.p[0] == '(')
            return sql_refuse(cx, v.location, is_limit ? "2201W" : "2201X", "%s must not be negative", clause);
        *text = v.text;
        return ERR_OK;
    }
    *text =
        sql_fmt(cx,
                "(select case when c1 is null then %d when c1 < 0 then pg_refuse('%s', '%s must not be negative') else c1 end "
                "from (select " STR_FMT " as c1))",
                is_limit ? -1 : 0, is_limit ? "2201W" : "2201X", clause, STR_ARG(v.text));
    return ERR_OK;
}

static err limits(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *p) {
    p->ties = s->limit_option == PG_QUERY__LIMIT_OPTION__LIMIT_OPTION_WITH_TIES;
    if (p->ties && !p->sorts.n)
        return sql_refuse(cx, sql_location_of(s->limit_count), "42601", "WITH TIES cannot be specified without ORDER BY clause");
    if (p->ties && s->n_locking_clause)
        return sql_refuse(cx, -1, "42601", "SKIP LOCKED and WITH TIES options cannot be used together");
    if (p->ties && p->distinct_on.n)
        return sql_unsupported(cx, -1, "DISTINCT ON with FETCH … WITH TIES", "Put one of them into a subquery.");
    TRY(limit_value(cx, s->limit_count, "LIMIT", &p->limit, p));
    TRY(limit_value(cx, s->limit_offset, "OFFSET", &p->offset, p));
    if (!p->ties && (str_eqc(p->limit, "1") || str_eqc(p->limit, "0"))) p->single = true;
    return ERR_OK;
}

/* ---- SELECT ---- */

/* Is a column compared with something that does not change from row to row? */
static bool is_fixed(const struct sql_part *p, str column) {
    for (uint32_t i = 0; i < p->conjuncts.n; i++) {
        const struct sql_value *s = p->conjuncts.p[i].sides;
        if (!s) continue;
        for (int k = 0; k < 2; k++)
            if (str_eq(s[k].text, column) && !(s[!k].levels & (1ull << p->level)) && !(s[!k].flags & SQL_VOLATILE)) return true;
    }
    return false;
}

static bool key_is_fixed(const struct sql_part *p, const struct sql_item *item, const struct catalog_constraint *key) {
    for (uint32_t c = 0; c < key->columns.n; c++) {
        bool found = false;
        for (uint32_t i = 0; i < item->relation->columns.n && i < item->n; i++)
            if (item->relation->columns.p[i].number == key->columns.p[c]) found = is_fixed(p, item->columns[i].value.text);
        if (!found) return false;
    }
    return key->columns.n > 0;
}

/* At most one row: the conditions name a whole unique key of the only table. */
static bool finds_one_row(const struct sql_scope *scope, const struct sql_part *p) {
    if (scope->items.n != 1 || !scope->items.p[0]->relation) return false;
    const struct sql_item *item = scope->items.p[0];
    for (uint32_t k = 0; k < item->relation->constraints.n; k++) {
        const struct catalog_constraint *key = &item->relation->constraints.p[k];
        if ((key->kind == CATALOG_PRIMARY || key->kind == CATALOG_UNIQUE) && key_is_fixed(p, item, key)) return true;
    }
    return false;
}

/* WHERE in its parts. */
static err where_parts(struct sql_context *cx, const PgQuery__Node *node, sql_values *out) {
    if (node->node_case == PG_QUERY__NODE__NODE_BOOL_EXPR && node->bool_expr->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR) {
        TRY(sql_enter(cx, node->bool_expr->location));
        err e = ERR_OK;
        for (size_t i = 0; i < node->bool_expr->n_args && e == ERR_OK; i++) e = where_parts(cx, node->bool_expr->args[i], out);
        sql_leave(cx);
        return e;
    }
    struct sql_value v;
    TRY(sql_condition(cx, node, "WHERE", &v));
    vec_push(cx->mem, out, v);
    return ERR_OK;
}

static str conjunction(struct sql_context *cx, const sql_values *parts) {
    VEC(str) texts = {0};
    for (uint32_t i = 0; i < parts->n; i++) vec_push(cx->mem, &texts, parts->p[i].text);
    return sql_joined(cx, texts.p, texts.n, " and ");
}

err sql_where(struct sql_context *cx, const PgQuery__Node *node, sql_values *conjuncts, str *text) {
    struct sql_scope *scope = cx->scope;
    if (!node) return ERR_OK;
    scope->no_aggregates = scope->no_windows = true;
    scope->clause = "WHERE";
    err e = where_parts(cx, node, conjuncts);
    scope->no_aggregates = scope->no_windows = false;
    TRY(e);
    scope->mentions.n = 0;
    *text = conjunction(cx, conjuncts);
    return ERR_OK;
}

static void gather(struct sql_part *p, const sql_values *values) {
    for (uint32_t i = 0; i < values->n; i++) {
        struct sql_value sum = {0};
        sql_inherit(&sum, &values->p[i]);
        p->flags |= sum.flags;
        p->levels |= sum.levels;
    }
}

static err select_targets(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_scope *scope, struct sql_part *p) {
    sql_column_list columns = {0};
    uint32_t mentions = scope->mentions.n;
    scope->allows_set = true;
    err e = sql_target_list(cx, s->target_list, s->n_target_list, &columns);
    if (e == ERR_OK && scope->sets.n > 1) { /* they go side by side: once more, as that is known now */
        scope->zips = true, scope->sets.n = 0, scope->mentions.n = mentions, columns.n = 0;
        scope->zip_alias = sql_alias(cx);
        e = sql_target_list(cx, s->target_list, s->n_target_list, &columns);
    }
    scope->allows_set = false;
    TRY(e);
    for (uint32_t i = 0; i < columns.n; i++) {
        sql_pack(cx, &columns.p[i].value); /* a composite goes on as one value */
        vec_push(cx->mem, &p->targets, columns.p[i].value);
        vec_push(cx->mem, &p->names, columns.p[i].name);
    }
    p->sets = scope->sets.n;
    return ERR_OK;
}

static err having(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_scope *scope, struct sql_part *p) {
    if (!s->having_clause) return ERR_OK;
    struct sql_value v;
    scope->is_grouped = true;
    scope->no_windows = true;
    scope->clause = "HAVING";
    err e = sql_condition(cx, s->having_clause, "HAVING", &v);
    scope->no_windows = false;
    TRY(e);
    p->having = v.text;
    p->flags |= v.flags & SQL_INHERITED;
    p->levels |= v.levels;
    return ERR_OK;
}

static err distinct_on(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *p) {
    for (size_t i = 0; i < s->n_distinct_clause; i++) {
        uint32_t index;
        struct sql_value v;
        TRY(output_column(cx, s->distinct_clause[i], "DISTINCT ON", &p->targets, p->names.p, &index));
        if (index == UINT32_MAX) TRY(sql_expr(cx, s->distinct_clause[i], &v));
        else v = p->targets.p[index];
        TRY(sql_settle(cx, &v));
        TRY(check_sortable(cx, &v));
        if (i < p->sorts.n) {
            bool found = false;
            for (uint32_t k = 0; k < s->n_distinct_clause && k < p->sorts.n; k++) found |= str_eq(p->sorts.p[k].text, v.text);
            if (!found)
                return sql_refuse(cx, v.location, "42P10",
                                  "SELECT DISTINCT ON expressions must match initial ORDER BY expressions");
        }
        vec_push(cx->mem, &p->distinct_on, sql_fmt(cx, STR_FMT STR_FMT, STR_ARG(v.text), STR_ARG(sql_collate(cx, v.type))));
    }
    return ERR_OK;
}

static err distinct(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *p) {
    if (!s->n_distinct_clause) return ERR_OK;
    /* DISTINCT alone is a list of one empty node */
    if (s->n_distinct_clause > 1 || s->distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET)
        return distinct_on(cx, s, p);
    p->distinct = true;
    for (uint32_t i = 0; i < p->targets.n; i++) TRY(check_sortable(cx, &p->targets.p[i]));
    for (uint32_t i = 0; i < p->sorts.n; i++)
        if (!p->sorts.p[i].ordinal)
            return sql_refuse(cx, sql_location_of(s->sort_clause[i]->sort_by->node), "42P10",
                              "for SELECT DISTINCT, ORDER BY expressions must appear in select list");
    return ERR_OK;
}

static void add_sets(struct sql_context *cx, struct sql_scope *scope, struct sql_part *p) {
    if (scope->zips) {
        str all = sql_zipped(cx, scope->sets.p, scope->sets.n, scope->zip_alias);
        p->from = p->from.n ? sql_fmt(cx, STR_FMT ", " STR_FMT, STR_ARG(p->from), STR_ARG(all)) : all;
        return;
    }
    for (uint32_t i = 0; i < scope->sets.n; i++)
        p->from = p->from.n ? sql_fmt(cx, STR_FMT ", " STR_FMT, STR_ARG(p->from), STR_ARG(scope->sets.p[i])) : scope->sets.p[i];
}

static err windows_of(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_scope *scope) {
    for (size_t i = 0; i < s->n_window_clause; i++) {
        const PgQuery__WindowDef *def = s->window_clause[i]->window_def;
        for (uint32_t w = 0; w < scope->windows.n; w++)
            if (str_eqc(scope->windows.p[w].name, def->name))
                return sql_refuse(cx, def->location, "42P20", "window \"%s\" is already defined", def->name);
        vec_push(cx->mem, &scope->windows, ((struct sql_window){.name = str_c(def->name), .def = def}));
    }
    return ERR_OK;
}

static err by_grouping_sets(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_scope *scope, struct sql_part *p);

static err select_body(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_scope *scope, struct sql_part *p) {
    if (s->into_clause) return sql_unsupported(cx, -1, "SELECT INTO", "Use CREATE TABLE AS.");
    if (s->with_clause) TRY(sql_with(cx, s->with_clause, &p->with));
    TRY(sql_from(cx, s->from_clause, s->n_from_clause, &p->from));
    p->reads_tables = p->from.n > 0;
    TRY(sql_where(cx, s->where_clause, &p->conjuncts, &p->where));
    gather(p, &p->conjuncts);
    TRY(windows_of(cx, s, scope));
    if (sql_has_grouping_sets(s)) return by_grouping_sets(cx, s, scope, p);
    TRY(group_by(cx, s, scope, p));
    TRY(select_targets(cx, s, scope, p));
    gather(p, &p->targets);
    TRY(having(cx, s, scope, p));
    TRY(sql_order_by(cx, s->sort_clause, s->n_sort_clause, &p->targets, p->names.p, false, &p->sorts));
    TRY(distinct(cx, s, p));
    TRY(check_mentions(cx, scope));
    add_sets(cx, scope, p);
    p->grouped = scope->is_grouped || scope->has_aggregate;
    if (p->grouped && p->sets)
        return sql_unsupported(cx, -1, "a set-returning function in the select list of a grouped query",
                               "Put the groups into a subquery.");
    p->single = !p->sets && ((p->grouped && !scope->groups.n) || !p->reads_tables || (!p->grouped && finds_one_row(scope, p)));
    p->flags |= scope->has_window ? SQL_WINDOWED : 0;
    return limits(cx, s, p);
}

/* ---- VALUES ---- */

static err values_columns(struct sql_context *cx, struct sql_part *p) {
    uint32_t n = p->rows.p[0].n;
    for (uint32_t c = 0; c < n; c++) {
        struct sql_value *column = arena_array(cx->mem, struct sql_value, p->rows.n);
        for (uint32_t r = 0; r < p->rows.n; r++) column[r] = p->rows.p[r].p[c];
        uint32_t type = column[0].type;
        if (p->rows.n > 1) TRY(sql_common_type(cx, column, p->rows.n, "VALUES", &type));
        bool all_untyped = true;
        for (uint32_t r = 0; r < p->rows.n; r++) all_untyped &= column[r].type == PG_UNKNOWN;
        if (all_untyped) type = PG_UNKNOWN;
        struct sql_value about = {
            .type = type, .typmod = column[0].typmod, .location = column[0].location, .flags = SQL_NOT_NULL};
        for (uint32_t r = 0; r < p->rows.n; r++) {
            sql_inherit(&about, &column[r]);
            if (!(column[r].flags & SQL_NOT_NULL)) about.flags &= ~(uint32_t)SQL_NOT_NULL;
            if (column[r].typmod != about.typmod) about.typmod = -1;
        }
        vec_push(cx->mem, &p->targets, about);
        vec_push(cx->mem, &p->names, sql_fmt(cx, "column%u", c + 1));
        if (type == PG_UNKNOWN) continue;
        bool can;
        TRY(sql_part_column_to(cx, p, c, type, -1, PG_IMPLICIT, &can));
    }
    return ERR_OK;
}

/* VALUES (a, row.*, (row).*) */
static err values_of(struct sql_context *cx, const PgQuery__List *list, sql_values *out) {
    for (size_t i = 0; i < list->n_items; i++) {
        sql_column_list fields = {0};
        const PgQuery__Node *node = list->items[i];
        bool star = sql_is_star(node);
        if (star) TRY(sql_expand_star(cx, node->column_ref, &fields));
        else if (is_row_star(node)) TRY(row_star(cx, node->a_indirection, &fields));
        else {
            TRY(sql_exprs(cx, &list->items[i], 1, out));
            continue;
        }
        for (uint32_t k = 0; k < fields.n; k++) vec_push(cx->mem, out, fields.p[k].value);
    }
    return ERR_OK;
}

bool sql_has_star(const PgQuery__List *list) {
    for (size_t i = 0; i < list->n_items; i++)
        if (sql_is_star(list->items[i]) || is_row_star(list->items[i])) return true;
    return false;
}

static err values_body(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *p) {
    p->kind = SQL_PART_VALUES;
    if (s->with_clause) TRY(sql_with(cx, s->with_clause, &p->with));
    for (size_t i = 0; i < s->n_values_lists; i++) {
        const PgQuery__List *list = s->values_lists[i]->list;
        sql_values row = {0};
        TRY(values_of(cx, list, &row));
        if (i && row.n != p->rows.p[0].n)
            return sql_refuse(cx, row.n ? row.p[0].location : -1, "42601", "VALUES lists must all be the same length");
        for (uint32_t k = 0; k < row.n; k++)
            if (row.p[k].row) return sql_unsupported(cx, row.p[k].location, "a row as a value", "Name its columns.");
        vec_push(cx->mem, &p->rows, row);
    }
    TRY(values_columns(cx, p));
    gather(p, &p->targets);
    p->single = p->rows.n == 1;
    TRY(sql_order_by(cx, s->sort_clause, s->n_sort_clause, &p->targets, p->names.p, false, &p->sorts));
    return limits(cx, s, p);
}

/* ---- set operations ---- */

static const char *const op_names[] = {[PG_QUERY__SET_OPERATION__SETOP_UNION] = "UNION",
                                       [PG_QUERY__SET_OPERATION__SETOP_INTERSECT] = "INTERSECT",
                                       [PG_QUERY__SET_OPERATION__SETOP_EXCEPT] = "EXCEPT"};

static err common_columns(struct sql_context *cx, struct sql_part *p) {
    const char *name = op_names[p->op];
    if (p->left->targets.n != p->right->targets.n)
        return sql_refuse(cx, p->right->targets.n ? p->right->targets.p[0].location : -1, "42601",
                          "each %s query must have the same number of columns", name);
    for (uint32_t i = 0; i < p->left->targets.n; i++) {
        struct sql_value both[2] = {p->left->targets.p[i], p->right->targets.p[i]};
        if (both[0].row || both[1].row)
            return sql_unsupported(cx, both[0].location, "a row as a column of a set operation", "Name its columns.");
        uint32_t type;
        bool can;
        TRY(sql_common_type(cx, both, 2, name, &type));
        int32_t typmod = both[0].type == type && both[1].type == type && both[0].typmod == both[1].typmod ? both[0].typmod : -1;
        TRY(sql_part_column_to(cx, p->left, i, type, -1, PG_IMPLICIT, &can));
        if (can) TRY(sql_part_column_to(cx, p->right, i, type, -1, PG_IMPLICIT, &can));
        if (!can)
            return sql_refuse(cx, both[1].location, "42846", "%s could not convert type " STR_FMT " to " STR_FMT, name,
                              STR_ARG(sql_type_name(cx, both[1].type)), STR_ARG(sql_type_name(cx, type)));
        struct sql_value about = {
            .type = type, .typmod = typmod, .location = both[0].location, .flags = both[0].flags & both[1].flags & SQL_NOT_NULL};
        about.text = sql_fmt(cx, "c%u", i + 1);
        vec_push(cx->mem, &p->targets, about);
        vec_push(cx->mem, &p->names, p->left->names.p[i]);
        if (type == PG_JSON && (!p->all || p->op != PG_QUERY__SET_OPERATION__SETOP_UNION))
            return sql_refuse(cx, both[0].location, "42883", "could not identify an equality operator for type json");
    }
    return ERR_OK;
}

static err sets_order(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *p) {
    for (size_t i = 0; i < s->n_sort_clause; i++) {
        uint32_t index;
        const PgQuery__SortBy *by = s->sort_clause[i]->sort_by;
        TRY(output_column(cx, by->node, "ORDER BY", &p->targets, p->names.p, &index));
        if (index == UINT32_MAX) {
            str name = plain_name(by->node);
            if (name.n) return sql_refuse(cx, by->location, "42703", "column \"" STR_FMT "\" does not exist", STR_ARG(name));
            err e = sql_refuse(cx, by->location, "0A000", "invalid UNION/INTERSECT/EXCEPT ORDER BY clause");
            sql_detail(cx, "Only result column names can be used, not expressions or functions.");
            return e;
        }
    }
    return sql_order_by(cx, s->sort_clause, s->n_sort_clause, &p->targets, p->names.p, false, &p->sorts);
}

static err sets_body(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *p) {
    p->kind = SQL_PART_SETS;
    p->op = (int)s->op;
    p->all = s->all;
    p->left = arena_make(cx->mem, struct sql_part);
    p->right = arena_make(cx->mem, struct sql_part);
    if (s->with_clause) TRY(sql_with(cx, s->with_clause, &p->with));
    TRY(sql_part_read(cx, s->larg, p->left));
    TRY(sql_part_read(cx, s->rarg, p->right));
    TRY(common_columns(cx, p));
    p->flags = p->left->flags | p->right->flags;
    p->levels = p->left->levels | p->right->levels;
    TRY(sets_order(cx, s, p));
    return limits(cx, s, p);
}

err sql_part_read(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *out) {
    TRY(sql_enter(cx, -1));
    struct sql_scope scope = {0};
    bool condition = cx->condition, truth = cx->truth;
    cx->condition = cx->truth = false;
    sql_scope_open(cx, &scope);
    *out = (struct sql_part){.level = scope.level};
    err e = s->op > PG_QUERY__SET_OPERATION__SETOP_NONE ? sets_body(cx, s, out)
            : s->n_values_lists                         ? values_body(cx, s, out)
                                                        : select_body(cx, s, &scope, out);
    out->levels &= ~(1ull << scope.level);
    sql_scope_close(cx, &scope);
    cx->condition = condition;
    cx->truth = truth;
    sql_leave(cx);
    return e;
}

/* ---- types of columns ---- */

err sql_part_column_to(struct sql_context *cx, struct sql_part *p, uint32_t i, uint32_t type, int32_t typmod,
                       enum pg_context context, bool *can) {
    *can = true;
    if (p->kind == SQL_PART_SELECT) return sql_coerce(cx, &p->targets.p[i], type, typmod, context, can);
    if (p->kind == SQL_PART_VALUES) {
        for (uint32_t r = 0; r < p->rows.n && *can; r++) TRY(sql_coerce(cx, &p->rows.p[r].p[i], type, typmod, context, can));
    } else {
        TRY(sql_part_column_to(cx, p->left, i, type, typmod, context, can));
        if (*can) TRY(sql_part_column_to(cx, p->right, i, type, typmod, context, can));
    }
    p->targets.p[i].type = type;
    p->targets.p[i].typmod = typmod;
    return ERR_OK;
}

err sql_part_settle(struct sql_context *cx, struct sql_part *p) {
    bool can;
    for (uint32_t i = 0; i < p->targets.n; i++)
        if (p->targets.p[i].type == PG_UNKNOWN) TRY(sql_part_column_to(cx, p, i, PG_TEXT, -1, PG_IMPLICIT, &can));
    return ERR_OK;
}

/* ---- printing ---- */

static str column_name(struct sql_context *cx, const str *names, uint32_t i) {
    return names ? sql_quoted(cx->mem, names[i]) : sql_fmt(cx, "c%u", i + 1);
}

static str limit_text(struct sql_context *cx, const struct sql_part *p) {
    if (!p->limit.n && !p->offset.n) return (str){0};
    str limit = p->limit.n ? p->limit : STR("-1");
    if (!p->offset.n) return sql_fmt(cx, " limit " STR_FMT, STR_ARG(limit));
    return sql_fmt(cx, " limit " STR_FMT " offset " STR_FMT, STR_ARG(limit), STR_ARG(p->offset));
}

static str order_text(struct sql_context *cx, const struct sql_part *p) {
    VEC(str) parts = {0};
    for (uint32_t i = 0; i < p->sorts.n; i++) {
        const struct sql_sort *s = &p->sorts.p[i];
        vec_push(cx->mem, &parts, sort_text(cx, s, s->ordinal ? sql_fmt(cx, "%u", s->ordinal) : s->text));
    }
    return parts.n ? sql_fmt(cx, " order by " STR_FMT, STR_ARG(sql_joined(cx, parts.p, parts.n, ", "))) : (str){0};
}

static str list_text(struct sql_context *cx, const struct sql_part *p, const str *names, bool collated) {
    VEC(str) parts = {0};
    for (uint32_t i = 0; i < p->targets.n; i++) {
        str collate = collated ? sql_collate(cx, p->targets.p[i].type) : (str){0}, name = column_name(cx, names, i);
        vec_push(cx->mem, &parts,
                 sql_fmt(cx, STR_FMT STR_FMT " as " STR_FMT, STR_ARG(p->targets.p[i].text), STR_ARG(collate), STR_ARG(name)));
    }
    return parts.n ? sql_joined(cx, parts.p, parts.n, ", ") : STR("null");
}

static str tail_text(struct sql_context *cx, const struct sql_part *p, str where) {
    VEC(str) parts = {0};
    const struct {
        const char *word;
        str text;
    } rows[] = {{" from ", p->from}, {" where ", where}, {" group by ", p->group}, {" having ", p->having}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!rows[i].text.n) continue;
        vec_push(cx->mem, &parts, str_c(rows[i].word));
        vec_push(cx->mem, &parts, rows[i].text);
    }
    return sql_joined(cx, parts.p, parts.n, "");
}

/* ---- GROUPING SETS ---- */

/* What is selected, had and ordered by, as the set that is read now sees it. */
static err set_part(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_scope *scope, const struct sql_part *of,
                    struct sql_part *p) {
    *p = (struct sql_part){.level = of->level, .from = of->from, .where = of->where};
    TRY(select_targets(cx, s, scope, p));
    TRY(sql_part_settle(cx, p));
    gather(p, &p->targets);
    TRY(having(cx, s, scope, p));
    TRY(sql_order_by(cx, s->sort_clause, s->n_sort_clause, &p->targets, p->names.p, false, &p->sorts));
    TRY(check_mentions(cx, scope));
    scope->mentions.n = 0;
    for (uint32_t i = 0; i < p->targets.n; i++)
        if (p->targets.p[i].row) return sql_unsupported(cx, p->targets.p[i].location, "a row in a query of grouping sets", NULL);
    if (scope->has_window || scope->sets.n)
        return sql_unsupported(cx, -1, "a window or a set-returning function in a query of grouping sets",
                               "Put the groups into a subquery.");
    return groups_text(cx, scope, scope->grouping->now, p);
}

/* select … as c1, … as s1 from … where … group by this set: what is not in it is null. Of the empty set there is always a row. */
static str set_text(struct sql_context *cx, struct sql_part *p) {
    VEC(str) list = {0};
    for (uint32_t i = 0; i < p->targets.n; i++)
        vec_push(cx->mem, &list, sql_fmt(cx, STR_FMT " as c%u", STR_ARG(p->targets.p[i].text), i + 1));
    for (uint32_t i = 0; i < p->sorts.n; i++)
        vec_push(cx->mem, &list, sql_fmt(cx, STR_FMT " as s%u", STR_ARG(p->sorts.p[i].text), i + 1));
    vec_push(cx->mem, &list, STR("count(*) as n0"));
    return sql_fmt(cx, "select " STR_FMT STR_FMT, STR_ARG(sql_joined(cx, list.p, list.n, ", ")),
                   STR_ARG(tail_text(cx, p, p->where)));
}

static err by_grouping_sets(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_scope *scope, struct sql_part *p) {
    struct sql_grouping g = {0};
    struct sql_part all;
    VEC(str) parts = {0};
    TRY(sql_grouping_read(cx, s, &g));
    scope->grouping = &g;
    scope->is_grouped = true;
    scope->mentions.n = 0;
    for (uint32_t i = 0; i < g.values.n; i++) vec_push(cx->mem, &scope->groups, g.values.p[i]);
    err e = set_part(cx, s, scope, p, &all);
    for (uint32_t i = 0; i < g.sets.n && e == ERR_OK; i++) {
        struct sql_part one;
        g.now = g.sets.p[i];
        e = set_part(cx, s, scope, p, &one);
        if (e == ERR_OK && (one.targets.n != all.targets.n || one.sorts.n != all.sorts.n))
            e = sql_unsupported(cx, -1, "this query of grouping sets", NULL);
        if (e == ERR_OK) vec_push(cx->mem, &parts, set_text(cx, &one));
        if (e == ERR_OK) e = sql_check_size(cx, parts.p[parts.n - 1], -1);
    }
    g.now = NULL;
    scope->grouping = NULL;
    TRY(e);
    p->flags |= all.flags, p->levels |= all.levels;
    p->targets = all.targets, p->names = all.names, p->sorts = all.sorts;
    for (uint32_t i = 0; i < p->targets.n; i++) {
        struct sql_value *v = &p->targets.p[i];
        *v = (struct sql_value){.type = v->type,
                                .typmod = v->typmod,
                                .location = v->location,
                                .flags = v->flags & SQL_INHERITED & ~(uint32_t)SQL_AGGREGATE};
        v->text = sql_fmt(cx, "c%u", i + 1);
    }
    for (uint32_t i = 0; i < p->sorts.n; i++) {
        p->sorts.p[i].not_null = false;
        p->sorts.p[i].text = sql_fmt(cx, "s%u", i + 1);
    }
    p->from = sql_fmt(cx, "(" STR_FMT ")", STR_ARG(sql_joined(cx, parts.p, parts.n, " union all ")));
    p->where = (str){0}, p->conjuncts.n = 0;
    if (s->n_distinct_clause > 1 || (s->n_distinct_clause && s->distinct_clause[0]->node_case != PG_QUERY__NODE__NODE__NOT_SET))
        return sql_unsupported(cx, -1, "DISTINCT ON in a query of grouping sets", "Put the groups into a subquery.");
    TRY(distinct(cx, s, p));
    return limits(cx, s, p);
}

static str print_distinct_on(struct sql_context *cx, const struct sql_part *p, const str *names) {
    VEC(str) keys = {0}, order = {0}, columns = {0};
    for (uint32_t i = 0; i < p->sorts.n; i++) {
        const struct sql_sort *s = &p->sorts.p[i];
        vec_push(cx->mem, &keys, sort_text(cx, s, s->text));
        str key = s->ordinal ? sql_fmt(cx, "c%u", s->ordinal) : sql_fmt(cx, "s%u", i + 1);
        vec_push(cx->mem, &order, sort_text(cx, s, key));
        if (!s->ordinal) vec_push(cx->mem, &columns, sql_fmt(cx, ", " STR_FMT " as s%u", STR_ARG(s->text), i + 1));
    }
    str list = list_text(cx, p, NULL, false), more = sql_joined(cx, columns.p, columns.n, "");
    str by = keys.n ? sql_fmt(cx, " order by " STR_FMT, STR_ARG(sql_joined(cx, keys.p, keys.n, ", "))) : (str){0};
    str inner = sql_fmt(cx, "select " STR_FMT STR_FMT ", row_number() over (partition by " STR_FMT STR_FMT ") as rn" STR_FMT,
                        STR_ARG(list), STR_ARG(more), STR_ARG(sql_joined(cx, p->distinct_on.p, p->distinct_on.n, ", ")),
                        STR_ARG(by), STR_ARG(tail_text(cx, p, p->where)));
    columns.n = 0;
    for (uint32_t i = 0; i < p->targets.n; i++)
        vec_push(cx->mem, &columns, sql_fmt(cx, "c%u as " STR_FMT, i + 1, STR_ARG(column_name(cx, names, i))));
    str outer = sql_joined(cx, columns.p, columns.n, ", ");
    str sorted = order.n ? sql_fmt(cx, " order by " STR_FMT, STR_ARG(sql_joined(cx, order.p, order.n, ", "))) : (str){0};
    return sql_fmt(cx, STR_FMT "select " STR_FMT " from (" STR_FMT ") where rn = 1" STR_FMT STR_FMT, STR_ARG(p->with),
                   STR_ARG(outer), STR_ARG(inner), STR_ARG(sorted), STR_ARG(limit_text(cx, p)));
}

static str print_select(struct sql_context *cx, const struct sql_part *p, const str *names, bool collated) {
    if (p->distinct_on.n) return print_distinct_on(cx, p, names);
    return sql_fmt(cx, STR_FMT "select %s" STR_FMT STR_FMT STR_FMT STR_FMT, STR_ARG(p->with), p->distinct ? "distinct " : "",
                   STR_ARG(list_text(cx, p, names, collated || p->distinct)), STR_ARG(tail_text(cx, p, p->where)),
                   STR_ARG(order_text(cx, p)), STR_ARG(limit_text(cx, p)));
}

static str values_rows(struct sql_context *cx, const struct sql_part *p) {
    VEC(str) rows = {0};
    for (uint32_t r = 0; r < p->rows.n; r++) {
        VEC(str) cells = {0};
        for (uint32_t c = 0; c < p->rows.p[r].n; c++) vec_push(cx->mem, &cells, p->rows.p[r].p[c].text);
        vec_push(cx->mem, &rows, sql_fmt(cx, "(" STR_FMT ")", STR_ARG(sql_joined(cx, cells.p, cells.n, ", "))));
    }
    return sql_fmt(cx, "values " STR_FMT, STR_ARG(sql_joined(cx, rows.p, rows.n, ", ")));
}

/* SQLite loses the columns' names of VALUES that refer to what is around them. */
static str selected_rows(struct sql_context *cx, const struct sql_part *p) {
    VEC(str) rows = {0};
    for (uint32_t r = 0; r < p->rows.n; r++) {
        VEC(str) cells = {0};
        for (uint32_t c = 0; c < p->rows.p[r].n; c++)
            vec_push(cx->mem, &cells, sql_fmt(cx, STR_FMT " as column%u", STR_ARG(p->rows.p[r].p[c].text), c + 1));
        vec_push(cx->mem, &rows, sql_fmt(cx, "select " STR_FMT, STR_ARG(sql_joined(cx, cells.p, cells.n, ", "))));
    }
    return sql_joined(cx, rows.p, rows.n, " union all ");
}

static str print_values(struct sql_context *cx, const struct sql_part *p, const str *names, bool collated) {
    VEC(str) list = {0};
    for (uint32_t i = 0; i < p->targets.n; i++) {
        str collate = collated ? sql_collate(cx, p->targets.p[i].type) : (str){0};
        vec_push(cx->mem, &list,
                 sql_fmt(cx, "column%u" STR_FMT " as " STR_FMT, i + 1, STR_ARG(collate), STR_ARG(column_name(cx, names, i))));
    }
    return sql_fmt(cx, STR_FMT "select " STR_FMT " from (" STR_FMT ")" STR_FMT STR_FMT, STR_ARG(p->with),
                   STR_ARG(sql_joined(cx, list.p, list.n, ", ")), STR_ARG(p->levels ? selected_rows(cx, p) : values_rows(cx, p)),
                   STR_ARG(order_text(cx, p)), STR_ARG(limit_text(cx, p)));
}

static bool must_be_wrapped(const struct sql_part *p, bool on_the_left) {
    if (p->sorts.n || p->limit.n || p->offset.n || p->with.n || p->distinct_on.n) return true;
    if (p->kind == SQL_PART_SETS && p->all && p->op != PG_QUERY__SET_OPERATION__SETOP_UNION) return true;
    return p->kind == SQL_PART_SETS && !on_the_left;
}

static str print_side(struct sql_context *cx, const struct sql_part *p, bool on_the_left, bool counted);

/* The rows of a side, each with its number among its equals: then a set of them is a bag. */
static str print_counted(struct sql_context *cx, const struct sql_part *p) {
    VEC(str) columns = {0}, named = {0};
    for (uint32_t i = 0; i < p->targets.n; i++) {
        str column = sql_fmt(cx, "c%u" STR_FMT, i + 1, STR_ARG(sql_collate(cx, p->targets.p[i].type)));
        vec_push(cx->mem, &columns, column);
        vec_push(cx->mem, &named, sql_fmt(cx, STR_FMT " as c%u", STR_ARG(column), i + 1));
    }
    str list = sql_joined(cx, columns.p, columns.n, ", ");
    return sql_fmt(cx, "select " STR_FMT ", row_number() over (partition by " STR_FMT ") as rn from (" STR_FMT ")",
                   STR_ARG(sql_joined(cx, named.p, named.n, ", ")), STR_ARG(list), STR_ARG(sql_part_print(cx, p, NULL)));
}

static str print_kind(struct sql_context *cx, const struct sql_part *p, const str *names, bool collated);

static str print_side(struct sql_context *cx, const struct sql_part *p, bool on_the_left, bool counted) {
    if (counted) return print_counted(cx, p);
    if (!must_be_wrapped(p, on_the_left)) return print_kind(cx, p, NULL, true);
    VEC(str) columns = {0};
    for (uint32_t i = 0; i < p->targets.n; i++)
        vec_push(cx->mem, &columns,
                 sql_fmt(cx, "c%u" STR_FMT " as c%u", i + 1, STR_ARG(sql_collate(cx, p->targets.p[i].type)), i + 1));
    return sql_fmt(cx, "select " STR_FMT " from (" STR_FMT ")",
                   STR_ARG(columns.n ? sql_joined(cx, columns.p, columns.n, ", ") : STR("*")),
                   STR_ARG(print_kind(cx, p, NULL, false)));
}

/* The last of its columns may have other names: those of the first side hold. */
static str print_sets(struct sql_context *cx, const struct sql_part *p, const str *names) {
    bool counted = p->all && p->op != PG_QUERY__SET_OPERATION__SETOP_UNION;
    static const char *const words[] = {[PG_QUERY__SET_OPERATION__SETOP_UNION] = "union",
                                        [PG_QUERY__SET_OPERATION__SETOP_INTERSECT] = "intersect",
                                        [PG_QUERY__SET_OPERATION__SETOP_EXCEPT] = "except"};
    str left = print_side(cx, p->left, true, counted), right = print_side(cx, p->right, false, counted);
    str both =
        sql_fmt(cx, STR_FMT " %s%s " STR_FMT, STR_ARG(left), words[p->op], p->all && !counted ? " all" : "", STR_ARG(right));
    if (!counted && !names && !p->with.n)
        return sql_fmt(cx, STR_FMT STR_FMT STR_FMT, STR_ARG(both), STR_ARG(order_text(cx, p)), STR_ARG(limit_text(cx, p)));
    VEC(str) list = {0};
    for (uint32_t i = 0; i < p->targets.n; i++)
        vec_push(cx->mem, &list, sql_fmt(cx, "c%u as " STR_FMT, i + 1, STR_ARG(column_name(cx, names, i))));
    return sql_fmt(cx, STR_FMT "select " STR_FMT " from (" STR_FMT ")" STR_FMT STR_FMT, STR_ARG(p->with),
                   STR_ARG(sql_joined(cx, list.p, list.n, ", ")), STR_ARG(both), STR_ARG(order_text(cx, p)),
                   STR_ARG(limit_text(cx, p)));
}

/* All rows, numbered and ranked: those whose rank is not behind the last one. */
static str print_ties(struct sql_context *cx, const struct sql_part *p, const str *names) {
    struct sql_part all = *p;
    VEC(str) keys = {0}, columns = {0};
    all.ties = false, all.limit = all.offset = all.with = (str){0}, all.sorts.n = 0;
    all.targets = (sql_values){0};
    for (uint32_t i = 0; i < p->targets.n; i++) {
        vec_push(cx->mem, &all.targets, p->targets.p[i]);
        vec_push(cx->mem, &columns, sql_fmt(cx, "c%u as " STR_FMT, i + 1, STR_ARG(column_name(cx, names, i))));
    }
    for (uint32_t i = 0; i < p->sorts.n; i++) {
        const struct sql_sort *s = &p->sorts.p[i];
        uint32_t at = s->ordinal;
        if (!at && p->kind == SQL_PART_SELECT) {
            vec_push(cx->mem, &all.targets, ((struct sql_value){.text = s->text, .type = s->type, .typmod = -1}));
            at = all.targets.n;
        }
        vec_push(cx->mem, &keys, sort_text(cx, s, at ? sql_fmt(cx, "c%u", at) : s->text));
    }
    str by = sql_joined(cx, keys.p, keys.n, ", "), limit = p->limit.n ? p->limit : STR("-1"),
        offset = p->offset.n ? p->offset : STR("0");
    return sql_fmt(cx,
                   STR_FMT "select " STR_FMT " from (select *, row_number() over (order by " STR_FMT
                           ") as rn, rank() over (order by " STR_FMT ") as rk from (" STR_FMT ")) where " STR_FMT
                           " > 0 and rn > " STR_FMT " and rk <= " STR_FMT " + " STR_FMT " order by rn",
                   STR_ARG(p->with), STR_ARG(columns.n ? sql_joined(cx, columns.p, columns.n, ", ") : STR("null")), STR_ARG(by),
                   STR_ARG(by), STR_ARG(print_kind(cx, &all, NULL, false)), STR_ARG(limit), STR_ARG(offset), STR_ARG(limit),
                   STR_ARG(offset));
}

static str print_kind(struct sql_context *cx, const struct sql_part *p, const str *names, bool collated) {
    if (p->ties) return print_ties(cx, p, names);
    if (p->kind == SQL_PART_SETS) return print_sets(cx, p, names);
    if (p->kind == SQL_PART_VALUES) return print_values(cx, p, names, collated);
    return print_select(cx, p, names, collated);
}

str sql_part_print(struct sql_context *cx, const struct sql_part *p, const str *names) { return print_kind(cx, p, names, false); }

bool sql_part_is_bare(const struct sql_part *p) {
    return p->kind == SQL_PART_SELECT && !p->grouped && !p->limit.n && !p->offset.n && !p->distinct_on.n && !p->sets &&
           p->from.n && !(p->flags & SQL_WINDOWED);
}

str sql_part_print_bare(struct sql_context *cx, const struct sql_part *p, const char *list, str where) {
    return sql_fmt(cx, STR_FMT "select %s" STR_FMT, STR_ARG(p->with), list, STR_ARG(tail_text(cx, p, where)));
}

err sql_subquery(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_part *part, str *text) {
    TRY(sql_part_read(cx, s, part));
    TRY(sql_part_settle(cx, part));
    *text = sql_part_print(cx, part, NULL);
    return sql_check_size(cx, *text, -1);
}

/* ---- WITH ---- */

static err cte_columns(struct sql_context *cx, const PgQuery__CommonTableExpr *c, const struct sql_part *p, struct sql_cte *cte) {
    cte->n = p->targets.n;
    cte->columns = arena_array(cx->mem, struct sql_column_out, cte->n + 1);
    if (c->n_aliascolnames > cte->n)
        return sql_refuse(cx, c->location, "42P10", "WITH query \"%s\" has %u columns available but %zu columns specified",
                          c->ctename, cte->n, c->n_aliascolnames);
    for (uint32_t i = 0; i < cte->n; i++) {
        str name = i < c->n_aliascolnames ? sql_name_of(c->aliascolnames[i]) : p->names.p[i];
        if (p->targets.p[i].row) return sql_unsupported(cx, c->location, "a row as a column of a subquery", "Name its columns.");
        cte->columns[i] = (struct sql_column_out){name, p->targets.p[i].type, p->targets.p[i].typmod,
                                                  p->targets.p[i].flags & SQL_NOT_NULL, sql_value_origin(&p->targets.p[i])};
    }
    return ERR_OK;
}

/* The recursive side may name the query: its columns are the other side's. */
static err recursive(struct sql_context *cx, const PgQuery__CommonTableExpr *c, const PgQuery__SelectStmt *s, struct sql_cte *cte,
                     str *body) {
    struct sql_part left, right;
    struct sql_scope scope = {0};
    sql_scope_open(cx, &scope);
    err e = sql_part_read(cx, s->larg, &left);
    if (e == ERR_OK) e = sql_part_settle(cx, &left);
    if (e == ERR_OK) e = cte_columns(cx, c, &left, cte);
    for (uint32_t i = 0; i < cte->n; i++) cte->columns[i].not_null = false;
    sql_scope_close(cx, &scope);
    TRY(e);
    cte->recursive_open = true;
    vec_push(cx->mem, &cx->scope->ctes, cte);
    e = sql_part_read(cx, s->rarg, &right);
    cx->scope->ctes.n--;
    cte->recursive_open = false;
    TRY(e);
    if (right.targets.n != cte->n)
        return sql_refuse(cx, c->location, "42601", "each UNION query must have the same number of columns");
    for (uint32_t i = 0; i < cte->n; i++) {
        struct sql_value both[2] = {left.targets.p[i], right.targets.p[i]};
        uint32_t type;
        TRY(sql_common_type(cx, both, 2, "UNION", &type));
        if (type != both[0].type) {
            err bad = sql_refuse(cx, both[0].location, "42804",
                                 "recursive query \"%s\" column %u has type " STR_FMT " in non-recursive term but type " STR_FMT
                                 " overall",
                                 c->ctename, i + 1, STR_ARG(sql_type_name(cx, both[0].type)), STR_ARG(sql_type_name(cx, type)));
            sql_hint(cx, "Cast the output of the non-recursive term to the correct type.");
            return bad;
        }
        bool can;
        TRY(sql_part_column_to(cx, &right, i, type, -1, PG_IMPLICIT, &can));
    }
    cte->flags = left.flags | right.flags;
    str a = print_side(cx, &left, true, false);
    if (right.limit.n || right.offset.n || right.sorts.n || right.distinct_on.n || right.kind == SQL_PART_SETS || right.grouped)
        return sql_unsupported(cx, c->location,
                               "ORDER BY, LIMIT, DISTINCT ON, a set operation or an aggregate in the recursive part of a query",
                               NULL);
    *body =
        sql_fmt(cx, STR_FMT " union%s " STR_FMT, STR_ARG(a), s->all ? " all" : "", STR_ARG(print_kind(cx, &right, NULL, true)));
    return ERR_OK;
}

static err one_cte(struct sql_context *cx, const PgQuery__CommonTableExpr *c, bool may_recurse, struct sql_cte *cte, str *text) {
    if (c->ctequery->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        err e = sql_unsupported(cx, c->location, "a statement that writes, in WITH", "Write it as a statement of its own.");
        return e;
    }
    if (c->search_clause || c->cycle_clause)
        return sql_unsupported(cx, c->location, "SEARCH or CYCLE", "Carry the path in a column of your own.");
    const PgQuery__SelectStmt *s = c->ctequery->select_stmt;
    cte->name = str_c(c->ctename);
    cte->alias = sql_fmt(cx, "w%u", ++cx->aliases);
    str body;
    if (may_recurse && s->op == PG_QUERY__SET_OPERATION__SETOP_UNION) {
        TRY(recursive(cx, c, s, cte, &body));
    } else {
        struct sql_part p;
        TRY(sql_subquery(cx, s, &p, &body));
        TRY(cte_columns(cx, c, &p, cte));
        cte->flags = p.flags;
    }
    VEC(str) names = {0};
    for (uint32_t i = 0; i < cte->n; i++) vec_push(cx->mem, &names, sql_fmt(cx, "c%u", i + 1));
    const char *how = c->ctematerialized == PG_QUERY__CTEMATERIALIZE__CTEMaterializeAlways || cte->flags & SQL_VOLATILE
                          ? "materialized "
                      : c->ctematerialized == PG_QUERY__CTEMATERIALIZE__CTEMaterializeNever ? "not materialized "
                                                                                            : "";
    *text = sql_fmt(cx, STR_FMT "(" STR_FMT ") as %s(" STR_FMT ")", STR_ARG(cte->alias),
                    STR_ARG(sql_joined(cx, names.p, names.n, ", ")), how, STR_ARG(body));
    return ERR_OK;
}

err sql_with(struct sql_context *cx, const PgQuery__WithClause *with, str *text) {
    VEC(str) parts = {0};
    for (size_t i = 0; i < with->n_ctes; i++) {
        const PgQuery__CommonTableExpr *c = with->ctes[i]->common_table_expr;
        for (size_t k = 0; k < i; k++)
            if (!strcmp(with->ctes[k]->common_table_expr->ctename, c->ctename))
                return sql_refuse(cx, c->location, "42712", "WITH query name \"%s\" specified more than once", c->ctename);
        struct sql_cte *cte = arena_make(cx->mem, struct sql_cte);
        str one;
        TRY(one_cte(cx, c, with->recursive, cte, &one));
        vec_push(cx->mem, &cx->scope->ctes, cte);
        vec_push(cx->mem, &parts, one);
    }
    *text =
        sql_fmt(cx, "with%s " STR_FMT " ", with->recursive ? " recursive" : "", STR_ARG(sql_joined(cx, parts.p, parts.n, ", ")));
    return ERR_OK;
}
