/* grouping: GROUP BY with GROUPING SETS, ROLLUP and CUBE. What they come to is a list of sets of what is grouped by; select.c reads the query once for each of
 * them, with what is not in the set as null, and puts them together by UNION ALL.
 *
 *   group by a, rollup (b, c)        {a, b, c} {a, b} {a} */
#include "sql/translate_int.h"

typedef VEC(uint32_t) numbers;
typedef VEC(numbers) lists;

bool sql_has_grouping_sets(const PgQuery__SelectStmt *s) {
    for (size_t i = 0; i < s->n_group_clause; i++)
        if (s->group_clause[i]->node_case == PG_QUERY__NODE__NODE_GROUPING_SET) return true;
    return false;
}

static err too_many(struct sql_context *cx, int32_t location) {
    return sql_refuse(cx, location, "54001", "too many grouping sets present (maximum %d)", SQL_GROUPING_SETS_MAX);
}

/* What a value is numbered by: the same text is the same value. */
static void number_of(struct sql_context *cx, struct sql_grouping *g, const struct sql_value *v, numbers *out) {
    if (v->row) {
        for (uint32_t i = 0; i < v->row->n; i++) number_of(cx, g, &v->row->values[i], out);
        return;
    }
    uint32_t n = 0;
    while (n < g->values.n && !str_eq(g->values.p[n].text, v->text)) n++;
    if (n == g->values.n) vec_push(cx->mem, &g->values, *v);
    vec_push(cx->mem, out, n);
}

static err one(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_grouping *g, const PgQuery__Node *node,
               numbers *out) {
    struct sql_value v;
    if (node->node_case == PG_QUERY__NODE__NODE_ROW_EXPR) { /* (a, b), of which each may be a number */
        for (size_t i = 0; i < node->row_expr->n_args; i++) {
            TRY(sql_group_value(cx, s, node->row_expr->args[i], &v));
            number_of(cx, g, &v, out);
        }
        return ERR_OK;
    }
    TRY(sql_group_value(cx, s, node, &v));
    number_of(cx, g, &v, out);
    return ERR_OK;
}

static err add(struct sql_context *cx, lists *to, const numbers *a, const numbers *b, int32_t location) {
    numbers both = {0};
    for (uint32_t i = 0; a && i < a->n; i++) vec_push(cx->mem, &both, a->p[i]);
    for (uint32_t i = 0; b && i < b->n; i++) vec_push(cx->mem, &both, b->p[i]);
    if (to->n >= SQL_GROUPING_SETS_MAX) return too_many(cx, location);
    vec_push(cx->mem, to, both);
    return ERR_OK;
}

static err sets_of(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_grouping *g, const PgQuery__Node *node,
                   lists *out);

/* ROLLUP: from all to none; CUBE: each subset, from all to none. */
static err rolled(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_grouping *g, const PgQuery__GroupingSet *set,
                  bool cube, lists *out) {
    numbers parts[12];
    if (cube && set->n_content > ARRAY_COUNT(parts))
        return sql_refuse(cx, set->location, "54011", "CUBE is limited to %zu elements", ARRAY_COUNT(parts));
    if (set->n_content > SQL_GROUPING_SETS_MAX) return too_many(cx, set->location);
    lists all = {0};
    for (size_t i = 0; i < set->n_content; i++) {
        numbers n = {0};
        TRY(one(cx, s, g, set->content[i], &n));
        vec_push(cx->mem, &all, n);
    }
    if (!cube) {
        for (uint32_t k = all.n + 1; k--;) {
            numbers have = {0};
            for (uint32_t i = 0; i < k; i++)
                for (uint32_t j = 0; j < all.p[i].n; j++) vec_push(cx->mem, &have, all.p[i].p[j]);
            TRY(add(cx, out, &have, NULL, set->location));
        }
        return ERR_OK;
    }
    for (uint32_t mask = 1u << all.n; mask--;) {
        numbers have = {0};
        for (uint32_t i = 0; i < all.n; i++)
            for (uint32_t j = 0; mask & 1u << i && j < all.p[i].n; j++) vec_push(cx->mem, &have, all.p[i].p[j]);
        TRY(add(cx, out, &have, NULL, set->location));
    }
    return ERR_OK;
}

static err sets_within(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_grouping *g,
                       const PgQuery__GroupingSet *set, lists *out) {
    switch (set->kind) {
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_EMPTY: return add(cx, out, NULL, NULL, set->location);
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_ROLLUP: return rolled(cx, s, g, set, false, out);
    case PG_QUERY__GROUPING_SET_KIND__GROUPING_SET_CUBE: return rolled(cx, s, g, set, true, out);
    default: break;
    }
    for (size_t i = 0; i < set->n_content; i++) TRY(sets_of(cx, s, g, set->content[i], out));
    return ERR_OK;
}

static err sets_of(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_grouping *g, const PgQuery__Node *node,
                   lists *out) {
    TRY(sql_enter(cx, -1));
    err e;
    numbers n = {0};
    if (node->node_case == PG_QUERY__NODE__NODE_GROUPING_SET) e = sets_within(cx, s, g, node->grouping_set, out);
    else if ((e = one(cx, s, g, node, &n)) == ERR_OK) e = add(cx, out, &n, NULL, -1);
    sql_leave(cx);
    return e;
}

static bool same(const bool *a, const bool *b, uint32_t n) { return !n || !memcmp(a, b, n * sizeof *a); }

err sql_grouping_read(struct sql_context *cx, const PgQuery__SelectStmt *s, struct sql_grouping *g) {
    lists all = {0};
    TRY(add(cx, &all, NULL, NULL, -1));
    for (size_t i = 0; i < s->n_group_clause; i++) { /* of each one of its sets, with one of all the others */
        lists more = {0}, both = {0};
        TRY(sets_of(cx, s, g, s->group_clause[i], &more));
        for (uint32_t a = 0; a < all.n; a++)
            for (uint32_t b = 0; b < more.n; b++) TRY(add(cx, &both, &all.p[a], &more.p[b], -1));
        all = both;
    }
    for (uint32_t i = 0; i < all.n; i++) {
        bool *has = arena_array(cx->mem, bool, g->values.n + 1), seen = false;
        for (uint32_t k = 0; k < all.p[i].n; k++) has[all.p[i].p[k]] = true;
        for (uint32_t k = 0; s->group_distinct && k < g->sets.n; k++) seen |= same(g->sets.p[k], has, g->values.n);
        if (!seen) vec_push(cx->mem, &g->sets, has);
    }
    return ERR_OK;
}

/* GROUPING(a, b): a bit for each, set where it is not grouped by. */
err sql_grouping_of(struct sql_context *cx, const PgQuery__GroupingFunc *f, struct sql_value *out) {
    struct sql_scope *scope = cx->scope;
    struct sql_grouping *g = scope ? scope->grouping : NULL;
    uint64_t bits = 0, which = 0;
    if (f->n_args > 31) return sql_refuse(cx, f->location, "54023", "GROUPING must have fewer than 32 arguments");
    for (size_t i = 0; i < f->n_args; i++) {
        struct sql_value v;
        const bool *now = g ? g->now : NULL;
        uint32_t n = 0, count = g ? g->values.n : scope ? scope->groups.n : 0;
        if (g) g->now = NULL;
        err e = sql_expr(cx, f->args[i], &v);
        if (g) g->now = now;
        TRY(e);
        const struct sql_value *values = g ? g->values.p : scope ? scope->groups.p : NULL;
        while (n < count && !str_eq(values[n].text, v.text)) n++;
        if (n == count)
            return sql_refuse(cx, f->location, "42803",
                              "arguments to GROUPING must be grouping expressions of the associated query level");
        bits = bits << 1 | (now && !now[n]);
        which = which * 100 + n + 1;
    }
    /* the second number keeps those of other arguments apart, whatever they come to */
    *out = (struct sql_value){.type = PG_INT4, .typmod = -1, .flags = SQL_NOT_NULL, .location = f->location};
    out->text = sql_fmt(cx, "(%llu + 0 * %llu)", (unsigned long long)bits, (unsigned long long)(which % 1'000'000'007));
    return ERR_OK;
}

/* What the set that is read now has not is null. */
void sql_grouping_nulls(const struct sql_context *cx, struct sql_value *v) {
    for (const struct sql_scope *s = cx->scope; s; s = s->parent) {
        const struct sql_grouping *g = s->grouping;
        if (!g || !g->now || s->reads_aggregate || !v->text.n) continue;
        for (uint32_t i = 0; i < g->values.n; i++)
            if (!g->now[i] && str_eq(g->values.p[i].text, v->text)) {
                v->text = STR("null");
                v->flags &= ~(uint32_t)SQL_NOT_NULL;
                v->origin = (struct sql_origin){0};
                return;
            }
    }
}
