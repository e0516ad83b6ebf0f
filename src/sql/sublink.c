/* sublink: subqueries in expressions, and arrays where a subquery might stand.
 *
 * 1. EXISTS whose conditions tie an inner column to an outer value by `=` becomes `outer in (select inner …)` where null is as good as false:
 *    SQLite then looks the outer row up in a set that it made once, or the other way round, instead of running the query for each row. Where
 *    that set could only be made by reading a whole table, and a key of it leads from the outer row to its rows, it stays EXISTS.
 * 2. A scalar subquery that could give several rows is counted while it runs: a second one is 21000. Where a key, LIMIT 1 or an aggregate says
 *    that there is one at most, it stands as it is.
 */
#include "sql/translate_int.h"

/* ---- EXISTS ---- */

/* Is the conjunct an equality of something inner with something outer? */
static bool is_tie(const struct sql_part *p, const struct sql_value *v, struct sql_value *inner, struct sql_value *outer) {
    if (!v->sides) return false;
    uint64_t own = 1ull << p->level;
    for (int i = 0; i < 2; i++) {
        const struct sql_value *a = &v->sides[i], *b = &v->sides[!i];
        bool a_inner = a->levels == own, b_outer = b->levels && !(b->levels & own);
        if (!a_inner || !b_outer || (a->flags | b->flags) & (SQL_VOLATILE | SQL_SUBQUERY)) continue;
        *inner = *a;
        *outer = *b;
        return true;
    }
    return false;
}

/* The outer scopes that it refers to besides its ties: none is wanted. */
static bool split(struct sql_context *cx, const struct sql_part *p, sql_values *inner, sql_values *outer, sql_values *rest) {
    uint64_t own = 1ull << p->level;
    for (uint32_t i = 0; i < p->conjuncts.n; i++) {
        struct sql_value a, b;
        const struct sql_value *v = &p->conjuncts.p[i];
        if (is_tie(p, v, &a, &b)) {
            vec_push(cx->mem, inner, a);
            vec_push(cx->mem, outer, b);
        } else if (v->levels & ~own) {
            return false;
        } else {
            vec_push(cx->mem, rest, *v);
        }
    }
    return outer->n > 0;
}

static str list_of(struct sql_context *cx, const sql_values *values, bool collated) {
    VEC(str) parts = {0};
    for (uint32_t i = 0; i < values->n; i++) {
        vec_push(cx->mem, &parts, values->p[i].text);
        if (collated) vec_push(cx->mem, &parts, sql_collate(cx, values->p[i].type));
        if (i + 1 < values->n) vec_push(cx->mem, &parts, STR(", "));
    }
    return sql_joined(cx, parts.p, parts.n, "");
}

static bool from_is_own(const struct sql_part *p) { return !p->with.n && p->reads_tables; }

/* A column of the one table that p reads; NULL: it is something else. */
static const struct catalog_column *column_of(struct sql_context *cx, const struct catalog_relation *r, str alias, str text) {
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *c = &r->columns.p[i];
        str is = sql_fmt(cx, STR_FMT "." STR_FMT, STR_ARG(alias), STR_ARG(sql_quoted(cx->mem, c->storage)));
        if (str_eq(is, text)) return c;
    }
    return NULL;
}

/* The table, where there is one alone: its mark, " as a2". */
static const struct catalog_relation *only_table(const struct sql_context *cx, const struct sql_part *p, str *alias) {
    struct catalog_mark m;
    if (!catalog_mark_next(p->from, 0, &m) || m.at || (m.kind != 'R' && m.kind != 'B')) return NULL;
    str rest = str_sub(p->from, m.end, p->from.n);
    if (!str_starts(rest, STR(" as "))) return NULL;
    *alias = str_sub(rest, 4, rest.n);
    return str_find(*alias, ' ') == alias->n ? catalog_relation_of(cx->catalog, m.id) : NULL;
}

struct bound { /* columns that have one value: of the outer row, or of what is of no row */
    catalog_ids by_row, by_itself;
};

/* Of an index's columns: does it begin with one that is bound by itself, so that the set is made by it? Does it lead from the outer row to its rows? */
static void look_at_index(const struct bound *b, const catalog_ids *columns, bool *set, bool *row) {
    uint32_t n = 0, rows = 0;
    while (n < columns->n && (catalog_ids_have(&b->by_row, columns->p[n]) || catalog_ids_have(&b->by_itself, columns->p[n])))
        rows += catalog_ids_have(&b->by_row, columns->p[n++]);
    *set |= n && catalog_ids_have(&b->by_itself, columns->p[0]);
    *row |= n && rows == b->by_row.n;
}

static bool bound_by(struct sql_context *cx, const struct catalog_relation *r, str alias, const sql_values *inner,
                     const sql_values *rest, struct bound *b) {
    const struct catalog_column *c;
    for (uint32_t i = 0; i < inner->n; i++) {
        if (!(c = column_of(cx, r, alias, inner->p[i].text))) return false;
        if (!catalog_ids_have(&b->by_row, c->number)) vec_push(cx->mem, &b->by_row, c->number);
    }
    for (uint32_t i = 0; i < rest->n; i++)
        for (int side = 0; rest->p[i].sides && side < 2; side++)
            if (!rest->p[i].sides[!side].levels && (c = column_of(cx, r, alias, rest->p[i].sides[side].text)))
                vec_push(cx->mem, &b->by_itself, c->number);
    return true;
}

static bool better_by_row(struct sql_context *cx, const struct sql_part *p, const sql_values *inner, const sql_values *rest) {
    str alias;
    bool set = false, row = false;
    struct bound b = {0};
    const struct catalog_relation *r = only_table(cx, p, &alias);
    if (!r || r->kind != CATALOG_TABLE || !bound_by(cx, r, alias, inner, rest, &b)) return false;
    for (uint32_t i = 0; i < r->constraints.n; i++)
        if (r->constraints.p[i].kind <= CATALOG_UNIQUE) look_at_index(&b, &r->constraints.p[i].columns, &set, &row);
    for (uint32_t i = 0; i < r->indexes.n; i++) {
        catalog_ids columns = {0};
        const struct catalog_index *x = &r->indexes.p[i];
        for (uint32_t j = 0; j < x->keys.n && x->keys.p[j].column && !x->ignored.n && !x->where.source.n; j++)
            vec_push(cx->mem, &columns, x->keys.p[j].column);
        look_at_index(&b, &columns, &set, &row);
    }
    return row && !set;
}

/* outer in (select inner from … where rest): null where EXISTS is false, so only where that is the same. */
static bool exists_as_in(struct sql_context *cx, const struct sql_part *p, struct sql_value *out) {
    sql_values inner = {0}, outer = {0}, rest = {0};
    if (!from_is_own(p) || p->flags & SQL_VOLATILE || !split(cx, p, &inner, &outer, &rest)) return false;
    if (better_by_row(cx, p, &inner, &rest)) return false;
    VEC(str) texts = {0};
    for (uint32_t i = 0; i < rest.n; i++) vec_push(cx->mem, &texts, rest.p[i].text);
    str where = sql_joined(cx, texts.p, texts.n, " and ");
    str list = list_of(cx, &inner, false), left = list_of(cx, &outer, true);
    str query = sql_part_print_bare(cx, p, (const char *)list.p, where);
    out->text = outer.n > 1 ? sql_fmt(cx, "((" STR_FMT ") in (" STR_FMT "))", STR_ARG(left), STR_ARG(query))
                            : sql_fmt(cx, "(" STR_FMT " in (" STR_FMT "))", STR_ARG(left), STR_ARG(query));
    return true;
}

static err exists(struct sql_context *cx, const PgQuery__SubLink *link, bool condition, struct sql_value *out) {
    struct sql_part p;
    TRY(sql_part_read(cx, link->subselect->select_stmt, &p));
    *out = (struct sql_value){.type = PG_BOOL, .typmod = -1, .location = link->location, .levels = p.levels};
    out->flags = (p.flags & (SQL_RAISES | SQL_VOLATILE | SQL_SESSION)) | SQL_SUBQUERY;
    if (sql_part_is_bare(&p)) {
        if (condition && exists_as_in(cx, &p, out)) return ERR_OK;
        out->text = sql_fmt(cx, "(exists (" STR_FMT "))", STR_ARG(sql_part_print_bare(cx, &p, "1", p.where)));
    } else {
        TRY(sql_part_settle(cx, &p));
        out->text = sql_fmt(cx, "(exists (" STR_FMT "))", STR_ARG(sql_part_print(cx, &p, NULL)));
    }
    out->flags |= SQL_NOT_NULL;
    return ERR_OK;
}

/* ---- a value, an array ---- */

static err one_column(struct sql_context *cx, const struct sql_part *p, int32_t location) {
    if (p->targets.n == 1) return ERR_OK;
    return sql_refuse(cx, location, "42601", "subquery must return only one column");
}

static void of_part(const struct sql_part *p, struct sql_value *out, int32_t location) {
    out->levels = p->levels;
    out->flags = (p->flags & (SQL_RAISES | SQL_VOLATILE | SQL_SESSION)) | SQL_SUBQUERY;
    out->location = location;
}

static err scalar(struct sql_context *cx, const PgQuery__SubLink *link, struct sql_value *out) {
    struct sql_part p;
    str text;
    TRY(sql_subquery(cx, link->subselect->select_stmt, &p, &text));
    TRY(one_column(cx, &p, link->location));
    const struct sql_value *v = &p.targets.p[0];
    if (v->row) { /* the row as a whole */
        if (!p.single) return sql_unsupported(cx, link->location, "a subquery that gives a row as a value", "Name its columns.");
        return sql_unsupported(cx, link->location, "a subquery that gives a row as a value", "Name its columns.");
    }
    *out = (struct sql_value){.type = v->type, .typmod = v->typmod};
    of_part(&p, out, link->location);
    if (p.single) {
        out->text = sql_fmt(cx, "(" STR_FMT ")", STR_ARG(text));
    } else {
        out->text = sql_fmt(cx, "(select pg_single(c1) from (" STR_FMT "))", STR_ARG(text));
        out->flags |= SQL_RAISES;
    }
    return ERR_OK;
}

static err array(struct sql_context *cx, const PgQuery__SubLink *link, struct sql_value *out) {
    struct sql_part p;
    str text;
    TRY(sql_subquery(cx, link->subselect->select_stmt, &p, &text));
    TRY(one_column(cx, &p, link->location));
    uint32_t element = p.targets.p[0].type, type = sql_array_type(cx, element);
    if (p.targets.p[0].row || !type)
        return sql_unsupported(cx, link->location, "an array of rows or of arrays by a subquery", "Use jsonb_agg.");
    struct sql_value column = {.text = STR("c1"), .type = element, .typmod = -1, .location = link->location}, agg;
    struct sql_callee callee;
    str name = STR("array_agg");
    TRY(sql_find_function(cx, &name, 1, &column, &(str){0}, 1, false, link->location, &callee));
    if (!callee.builtin) return ERR_INVALID;
    TRY(sql_apply_how(cx, &callee.builtin->how, callee.builtin->flags, &column, 1, type, -1, false, &agg));
    *out = (struct sql_value){.type = type, .typmod = -1};
    of_part(&p, out, link->location);
    out->text = sql_fmt(cx, "(select coalesce(" STR_FMT ", '[]') from (" STR_FMT "))", STR_ARG(agg.text), STR_ARG(text));
    out->flags |= SQL_NOT_NULL;
    return ERR_OK;
}

/* ---- x op ANY (…) ---- */

/* query gives one column c1; any: true, or null where one is, or false. */
static str quantified(struct sql_context *cx, str condition, str query, bool all) {
    return sql_fmt(cx,
                   "(select case when %s(c1) = %d then %d when count(*) > count(c1) then null else %d end from (select " STR_FMT
                   " as c1 from (" STR_FMT ")))",
                   all ? "min" : "max", !all, !all, all, STR_ARG(condition), STR_ARG(query));
}

static bool is_comparison(str op) {
    return str_eqc(op, "=") || str_eqc(op, "<>") || str_eqc(op, "!=") || str_eqc(op, "<") || str_eqc(op, "<=") ||
           str_eqc(op, ">") || str_eqc(op, ">=");
}

static err must_be_boolean(struct sql_context *cx, const struct sql_value *v, int32_t location) {
    return v->type == PG_BOOL ? ERR_OK
                              : sql_refuse(cx, location, "42809", "op ANY/ALL (array) requires operator to yield boolean");
}

/* Is x in what query gives? Both sides are of one type. */
static str membership(struct sql_context *cx, const struct sql_value *x, str query, bool negated) {
    return sql_fmt(cx, "(" STR_FMT STR_FMT "%s (" STR_FMT "))", STR_ARG(x->text), STR_ARG(sql_collate(cx, x->type)),
                   negated ? " not in" : " in", STR_ARG(query));
}

static err quantify(struct sql_context *cx, str op, bool all, const struct sql_value *x, uint32_t element, str query,
                    int32_t location, struct sql_value *out) {
    struct sql_value column = {.text = STR("c1"), .type = element, .typmod = -1, .location = location}, left = *x, one;
    const struct pg_operator *found;
    uint32_t types[2], result;
    TRY(sql_find_operator(cx, op, x, &column, location, &found, &types[0], &types[1], &result));
    bool in = str_eqc(op, "=") && !all, not_in = (str_eqc(op, "<>") || str_eqc(op, "!=")) && all;
    TRY(sql_coerce_to(cx, &left, types[0], -1, PG_IMPLICIT));
    uint32_t flags = out->flags;
    uint64_t levels = out->levels;
    if ((in || not_in) && types[0] == types[1] && sql_base_type(cx, element) == types[1]) {
        *out = sql_bool(cx, membership(cx, &left, query, not_in), &left, NULL);
    } else {
        TRY(sql_apply_operator(cx, op, &left, &column, location, &one));
        TRY(must_be_boolean(cx, &one, location));
        *out = sql_bool(cx, quantified(cx, one.text, query, all), &left, &one);
    }
    out->flags |= flags | SQL_SUBQUERY;
    out->levels |= levels;
    out->location = location;
    return ERR_OK;
}

static err row_in(struct sql_context *cx, const struct sql_value *x, struct sql_part *p, bool negated, int32_t location,
                  struct sql_value *out) {
    if (x->row->n != p->targets.n)
        return sql_refuse(cx, location, "42601",
                          x->row->n < p->targets.n ? "subquery has too many columns" : "subquery has too few columns");
    VEC(str) left = {0};
    for (uint32_t i = 0; i < p->targets.n; i++) {
        const struct pg_operator *found;
        uint32_t types[2], result;
        bool can;
        struct sql_value v = x->row->values[i];
        TRY(sql_find_operator(cx, STR("="), &v, &p->targets.p[i], location, &found, &types[0], &types[1], &result));
        TRY(sql_coerce_to(cx, &v, types[0], -1, PG_IMPLICIT));
        TRY(sql_part_column_to(cx, p, i, types[1], -1, PG_IMPLICIT, &can));
        vec_push(cx->mem, &left, sql_fmt(cx, STR_FMT STR_FMT, STR_ARG(v.text), STR_ARG(sql_collate(cx, types[0]))));
    }
    out->text = sql_fmt(cx, "((" STR_FMT ")%s (" STR_FMT "))", STR_ARG(sql_joined(cx, left.p, left.n, ", ")),
                        negated ? " not in" : " in", STR_ARG(sql_part_print(cx, p, NULL)));
    sql_inherit(out, x);
    return ERR_OK;
}

static err any_subquery(struct sql_context *cx, const PgQuery__SubLink *link, bool all, struct sql_value *out) {
    struct sql_value x;
    str op = link->n_oper_name ? sql_name_of(link->oper_name[link->n_oper_name - 1]) : STR("="), text;
    TRY(sql_expr(cx, link->testexpr, &x));
    struct sql_part p;
    TRY(sql_subquery(cx, link->subselect->select_stmt, &p, &text));
    *out = (struct sql_value){.type = PG_BOOL, .typmod = -1};
    of_part(&p, out, link->location);
    if (x.row) {
        if ((str_eqc(op, "=") && !all) || (str_eqc(op, "<>") && all)) return row_in(cx, &x, &p, all, link->location, out);
        return sql_unsupported(cx, link->location, "a comparison of a row with ANY or ALL of a subquery", "Use IN or EXISTS.");
    }
    if (p.targets.n != 1) return sql_refuse(cx, link->location, "42601", "subquery has too many columns");
    if (x.type == PG_UNKNOWN) TRY(sql_coerce_to(cx, &x, p.targets.p[0].type, -1, PG_IMPLICIT));
    /* x in (select y …): y becomes what it is compared as */
    const struct pg_operator *found;
    uint32_t types[2], result;
    bool can = true;
    TRY(sql_find_operator(cx, op, &x, &p.targets.p[0], link->location, &found, &types[0], &types[1], &result));
    if (is_comparison(op)) TRY(sql_part_column_to(cx, &p, 0, types[1], -1, PG_IMPLICIT, &can));
    return quantify(cx, op, all, &x, is_comparison(op) ? types[1] : p.targets.p[0].type, sql_part_print(cx, &p, NULL),
                    link->location, out);
}

/* (a, b) = (select x, y …) */
static err compare_row(struct sql_context *cx, const PgQuery__SubLink *link, struct sql_value *out) {
    struct sql_value x;
    str op = link->n_oper_name ? sql_name_of(link->oper_name[link->n_oper_name - 1]) : STR("=");
    TRY(sql_expr(cx, link->testexpr, &x));
    struct sql_part p;
    str text;
    TRY(sql_subquery(cx, link->subselect->select_stmt, &p, &text));
    if (!x.row || !p.single || !str_eqc(op, "="))
        return sql_unsupported(cx, link->location, "a comparison of a row with a subquery",
                               "Use IN, or compare the columns one by one.");
    *out = (struct sql_value){.type = PG_BOOL, .typmod = -1};
    of_part(&p, out, link->location);
    return row_in(cx, &x, &p, false, link->location, out);
}

err sql_any_array(struct sql_context *cx, str op, bool all, const struct sql_value *x, const struct sql_value *array_value,
                  int32_t location, struct sql_value *out) {
    struct sql_value a = *array_value;
    if (a.type == PG_UNKNOWN) { /* x = any('{…}'): an array of x's type */
        uint32_t type = sql_array_type(cx, x->type == PG_UNKNOWN ? PG_TEXT : sql_base_type(cx, x->type));
        TRY(sql_coerce_to(cx, &a, type ? type : PG_TEXT_ARRAY, -1, PG_IMPLICIT));
    }
    uint32_t element = sql_element_type(cx, a.type);
    if (!element) return sql_refuse(cx, location, "42809", "op ANY/ALL (array) requires array on right side");
    str name = STR("unnest"), text;
    struct sql_callee callee;
    TRY(sql_find_function(cx, &name, 1, &a, &(str){0}, 1, false, location, &callee));
    struct sql_item item = {.name = STR("unnest"), .alias = sql_alias(cx)};
    struct sql_value array_base = a;
    TRY(sql_coerce_to(cx, &array_base, callee.params[0], -1, PG_IMPLICIT));
    TRY(sql_builtin_set(cx, callee.builtin, &array_base, 1, element, false, &item, &text));
    str query = sql_fmt(cx, "select " STR_FMT " as c1 from " STR_FMT, STR_ARG(item.columns[0].value.text), STR_ARG(text));
    struct sql_value inner = {0};
    sql_inherit(&inner, &a);
    out->flags = inner.flags;
    out->levels = inner.levels;
    struct sql_value left = *x;
    if (left.type == PG_UNKNOWN) TRY(sql_coerce_to(cx, &left, element, -1, PG_IMPLICIT));
    TRY(quantify(cx, op, all, &left, element, query, location, out));
    if (a.flags & SQL_NOT_NULL) return ERR_OK;
    out->text = sql_fmt(cx, "(case when " STR_FMT " is not null then " STR_FMT " end)", STR_ARG(a.text), STR_ARG(out->text));
    return ERR_OK;
}

err sql_sublink(struct sql_context *cx, const PgQuery__SubLink *link, bool condition, struct sql_value *out) {
    if (!link->subselect || link->subselect->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return sql_unsupported(cx, link->location, "this subquery", NULL);
    switch (link->sub_link_type) {
    case PG_QUERY__SUB_LINK_TYPE__EXISTS_SUBLINK: return exists(cx, link, condition, out);
    case PG_QUERY__SUB_LINK_TYPE__EXPR_SUBLINK: return scalar(cx, link, out);
    case PG_QUERY__SUB_LINK_TYPE__ARRAY_SUBLINK: return array(cx, link, out);
    case PG_QUERY__SUB_LINK_TYPE__ANY_SUBLINK: return any_subquery(cx, link, false, out);
    case PG_QUERY__SUB_LINK_TYPE__ALL_SUBLINK: return any_subquery(cx, link, true, out);
    case PG_QUERY__SUB_LINK_TYPE__ROWCOMPARE_SUBLINK: return compare_row(cx, link, out);
    default: return sql_unsupported(cx, link->location, "this subquery", NULL);
    }
}
