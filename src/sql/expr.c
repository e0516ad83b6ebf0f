/* expr: one expression's tree becomes one value. A row of the switch for each kind of node; what is more than a few lines stands in a file of its
 * own (sublink.c, call.c, aggregate.c, inline.c).
 *
 * 1. AND and OR are evaluated from left to right, and no further than needed, where an operand could raise. SQLite does so in conditions
 *    (WHERE, WHEN); where their value is wanted it evaluates both, so it is written as a CASE there.
 * 2. A value's text is an operand: whoever makes one puts it into brackets.
 */
#include <stdlib.h>

#include "sql/translate_int.h"

/* ---- values made of values ---- */

void sql_inherit(struct sql_value *out, const struct sql_value *from) {
    out->flags |= from->flags & SQL_INHERITED;
    out->levels |= from->levels;
    for (uint32_t i = 0; from->row && i < from->row->n; i++) sql_inherit(out, &from->row->values[i]);
}

struct sql_value sql_bool(struct sql_context *cx, str text, const struct sql_value *a, const struct sql_value *b) {
    (void)cx;
    struct sql_value out = {.text = text, .type = PG_BOOL, .typmod = -1, .location = a ? a->location : -1};
    if (a) sql_inherit(&out, a);
    if (b) sql_inherit(&out, b);
    return out;
}

static bool is_bool_constant(const struct sql_value *v, bool value) {
    return v->flags & SQL_CONSTANT && v->text.n == 1 && v->text.p[0] == (value ? '1' : '0');
}

bool sql_chain_goes_on(const struct sql_value *v, uint8_t kind) {
    return v->chain.links && v->chain.links < SQL_CHAIN_MAX && v->chain.kind == kind && v->chain.of == v->text.p;
}
void sql_chain_add(struct sql_value *v, const struct sql_value *before, uint8_t kind) {
    v->chain.of = v->text.p;
    v->chain.kind = kind;
    v->chain.links = sql_chain_goes_on(before, kind) ? before->chain.links + 1 : 2;
}

static struct sql_value both(struct sql_context *cx, bool is_and, struct sql_value a, struct sql_value b) {
    if (is_bool_constant(&a, is_and)) return b; /* true and b, false or b */
    if (is_bool_constant(&b, is_and)) return a;
    str text, first = a.text;
    uint8_t kind = is_and ? SQL_CHAIN_AND : SQL_CHAIN_OR;
    bool plain = cx->truth || !(b.flags & SQL_RAISES);
    if (plain && sql_chain_goes_on(&a, kind)) first = str_sub(a.text, 1, a.text.n - 2);
    if (plain) text = sql_fmt(cx, "(" STR_FMT " %s " STR_FMT ")", STR_ARG(first), is_and ? "and" : "or", STR_ARG(b.text));
    else
        text = sql_fmt(cx, "(case " STR_FMT " when %d then %d when %d then " STR_FMT " else (null %s " STR_FMT ") end)",
                       STR_ARG(a.text), !is_and, !is_and, is_and, STR_ARG(b.text), is_and ? "and" : "or", STR_ARG(b.text));
    struct sql_value out = sql_bool(cx, text, &a, &b);
    if (a.flags & b.flags & SQL_NOT_NULL) out.flags |= SQL_NOT_NULL;
    if (plain) sql_chain_add(&out, &a, kind);
    return out;
}

/* SQLite's trees are no deeper than a thousand: so those of many are made of groups, and these of groups. */
static struct sql_value all_of(struct sql_context *cx, bool is_and, struct sql_value *values, uint32_t n) {
    enum { GROUP = SQL_CHAIN_MAX / 2 };
    while (n > GROUP) {
        uint32_t groups = 0;
        for (uint32_t i = 0; i < n; i += GROUP) {
            struct sql_value all = values[i];
            for (uint32_t j = i + 1; j < n && j < i + GROUP; j++) all = both(cx, is_and, all, values[j]);
            all.chain.links = 0;
            values[groups++] = all;
        }
        n = groups;
    }
    struct sql_value all = values[0];
    for (uint32_t i = 1; i < n; i++) all = both(cx, is_and, all, values[i]);
    return all;
}

static struct sql_value negation(struct sql_context *cx, struct sql_value a) {
    struct sql_value out = sql_bool(cx, sql_fmt(cx, "(not " STR_FMT ")", STR_ARG(a.text)), &a, NULL);
    out.flags |= a.flags & SQL_NOT_NULL;
    return out;
}

err sql_exprs(struct sql_context *cx, PgQuery__Node *const *nodes, size_t n, sql_values *out) {
    for (size_t i = 0; i < n; i++) {
        struct sql_value v;
        TRY(sql_expr(cx, nodes[i], &v));
        vec_push(cx->mem, out, v);
    }
    return ERR_OK;
}

err sql_condition(struct sql_context *cx, const PgQuery__Node *node, const char *clause, struct sql_value *out) {
    bool condition = cx->condition, truth = cx->truth;
    cx->condition = cx->truth = true;
    err e = sql_expr(cx, node, out);
    cx->condition = condition;
    cx->truth = truth;
    TRY(e);
    return sql_coerce_boolean(cx, out, clause);
}

/* ---- literals and names ---- */

static struct sql_value untyped(str literal, uint32_t more) {
    return (struct sql_value){.text = STR("null"),
                              .type = PG_UNKNOWN,
                              .typmod = -1,
                              .flags = SQL_UNTYPED | SQL_CONSTANT | more,
                              .literal = literal,
                              .location = -1};
}

/* What the scanner could not keep in 32 bits: a bigint, or a numeric. */
static err long_number(struct sql_context *cx, const char *digits, int32_t location, struct sql_value *out) {
    struct sql_value v = untyped(str_c(digits), 0);
    v.location = location;
    char *end;
    uint64_t n = strtoull(digits, &end, 10);
    bool fits = !*end && strlen(digits) <= 19 && n <= INT64_MAX;
    TRY(sql_coerce_to(cx, &v, fits ? PG_INT8 : PG_NUMERIC, -1, PG_IMPLICIT));
    *out = v;
    return ERR_OK;
}

static err constant(struct sql_context *cx, const PgQuery__AConst *c, struct sql_value *out) {
    if (c->isnull) {
        *out = untyped((str){0}, SQL_NULL);
    } else {
        switch (c->val_case) {
        case PG_QUERY__A__CONST__VAL_IVAL: *out = sql_constant(cx, PG_INT4, DB_I64(c->ival->ival)); break;
        case PG_QUERY__A__CONST__VAL_FVAL: return long_number(cx, c->fval->fval, c->location, out);
        case PG_QUERY__A__CONST__VAL_BOOLVAL: *out = sql_constant(cx, PG_BOOL, DB_I64(c->boolval->boolval)); break;
        case PG_QUERY__A__CONST__VAL_SVAL: *out = untyped(str_c(c->sval->sval), SQL_NOT_NULL); break;
        case PG_QUERY__A__CONST__VAL_BSVAL: {
            struct sql_value v = untyped(str_c(c->bsval->bsval), SQL_NOT_NULL);
            v.location = c->location;
            TRY(sql_coerce_to(cx, &v, PG_BIT, -1, PG_IMPLICIT));
            *out = v;
            break;
        }
        default: *out = untyped((str){0}, SQL_NULL);
        }
    }
    out->location = c->location;
    return ERR_OK;
}

/* ---- AND, OR, NOT, IS ---- */

/* The constant that decides it, wherever it stands: nothing else of it is evaluated, nor its tables' rights asked for, as PostgreSQL plans it. */
static const struct sql_value *decided(const sql_values *values, bool is_and) {
    for (uint32_t i = 0; i < values->n; i++)
        if (values->p[i].flags & SQL_CONSTANT && str_eq(values->p[i].text, is_and ? STR("0") : STR("1"))) return &values->p[i];
    return NULL;
}

static err bool_expr(struct sql_context *cx, const PgQuery__BoolExpr *b, bool condition, bool truth, struct sql_value *out) {
    bool is_not = b->boolop == PG_QUERY__BOOL_EXPR_TYPE__NOT_EXPR, is_and = b->boolop == PG_QUERY__BOOL_EXPR_TYPE__AND_EXPR;
    const char *name = is_not ? "NOT" : is_and ? "AND" : "OR";
    sql_values values = {0};
    for (size_t i = 0; i < b->n_args; i++) {
        struct sql_value v;
        cx->condition = condition && !is_not;
        cx->truth = truth;
        err e = sql_expr(cx, b->args[i], &v);
        cx->condition = cx->truth = false;
        TRY(e);
        TRY(sql_coerce_boolean(cx, &v, name));
        vec_push(cx->mem, &values, v);
    }
    cx->truth = truth;
    const struct sql_value *is = is_not ? NULL : decided(&values, is_and);
    *out = is ? *is : all_of(cx, is_and, values.p, values.n);
    cx->truth = false;
    if (is_not) *out = negation(cx, *out);
    out->location = b->location;
    return ERR_OK;
}

/* SQLite takes a column of RETURNING for the table's first one, where it asks whether that may be null at all. */
static str nullable(struct sql_context *cx, str text) {
    bool returns = cx->scope && cx->scope->clause && !strcmp(cx->scope->clause, "RETURNING");
    return returns ? sql_fmt(cx, "coalesce(" STR_FMT ", null)", STR_ARG(text)) : text;
}

static struct sql_value row_null_test(struct sql_context *cx, const struct sql_value *v, const char *test) {
    VEC(str) parts = {0};
    for (uint32_t i = 0; i < v->row->n; i++) {
        const struct sql_value *f = &v->row->values[i];
        vec_push(cx->mem, &parts,
                 f->row ? row_null_test(cx, f, test).text : sql_fmt(cx, STR_FMT " %s", STR_ARG(nullable(cx, f->text)), test));
    }
    if (!parts.n) return sql_constant(cx, PG_BOOL, DB_I64(!strcmp(test, "is null")));
    struct sql_value out =
        sql_bool(cx, sql_fmt(cx, "(" STR_FMT ")", STR_ARG(sql_joined(cx, parts.p, parts.n, " and "))), v, NULL);
    out.flags |= SQL_NOT_NULL;
    return out;
}

static err null_test(struct sql_context *cx, const PgQuery__NullTest *t, struct sql_value *out) {
    struct sql_value v;
    TRY(sql_expr(cx, t->arg, &v));
    TRY(sql_settle(cx, &v));
    sql_unpack(cx, &v); /* a composite is null if all of its fields are, and is not if none is */
    const char *test = t->nulltesttype == PG_QUERY__NULL_TEST_TYPE__IS_NULL ? "is null" : "is not null";
    *out = v.row ? row_null_test(cx, &v, test)
                 : sql_bool(cx, sql_fmt(cx, "(" STR_FMT " %s)", STR_ARG(nullable(cx, v.text)), test), &v, NULL);
    out->flags |= SQL_NOT_NULL;
    return ERR_OK;
}

static err boolean_test(struct sql_context *cx, const PgQuery__BooleanTest *t, struct sql_value *out) {
    static const struct {
        const char *clause, *text;
    } tests[] = {[PG_QUERY__BOOL_TEST_TYPE__IS_TRUE] = {"IS TRUE", "is 1"},
                 [PG_QUERY__BOOL_TEST_TYPE__IS_NOT_TRUE] = {"IS NOT TRUE", "is not 1"},
                 [PG_QUERY__BOOL_TEST_TYPE__IS_FALSE] = {"IS FALSE", "is 0"},
                 [PG_QUERY__BOOL_TEST_TYPE__IS_NOT_FALSE] = {"IS NOT FALSE", "is not 0"},
                 [PG_QUERY__BOOL_TEST_TYPE__IS_UNKNOWN] = {"IS UNKNOWN", "is null"},
                 [PG_QUERY__BOOL_TEST_TYPE__IS_NOT_UNKNOWN] = {"IS NOT UNKNOWN", "is not null"}};
    if ((size_t)t->booltesttype >= ARRAY_COUNT(tests) || !tests[t->booltesttype].text) return ERR_INVALID;
    struct sql_value v;
    TRY(sql_expr(cx, t->arg, &v));
    TRY(sql_coerce_boolean(cx, &v, tests[t->booltesttype].clause));
    *out = sql_bool(cx, sql_fmt(cx, "(" STR_FMT " %s)", STR_ARG(nullable(cx, v.text)), tests[t->booltesttype].text), &v, NULL);
    out->flags |= SQL_NOT_NULL;
    return ERR_OK;
}

/* ---- comparisons ---- */

static err compare_rows(struct sql_context *cx, str name, const struct sql_value *a, const struct sql_value *b, int32_t location,
                        struct sql_value *out) {
    if (a->row->n != b->row->n) return sql_refuse(cx, location, "42601", "unequal number of entries in row expressions");
    if (!a->row->n) return sql_refuse(cx, location, "0A000", "cannot compare rows of zero length");
    bool equals = str_eqc(name, "="), differs = str_eqc(name, "<>") || str_eqc(name, "!=");
    bool first = true;
    if (equals || differs) {
        for (uint32_t i = 0; i < a->row->n; i++) {
            struct sql_value one;
            TRY(sql_apply_operator(cx, name, &a->row->values[i], &b->row->values[i], location, &one));
            *out = first ? one : both(cx, equals, *out, one);
            first = false;
        }
        return ERR_OK;
    }
    /* a1 < b1 or (a1 = b1 and …): from the last to the first */
    str strict = name.n && name.p[0] == '<' ? STR("<") : STR(">");
    if (!(str_eqc(name, "<") || str_eqc(name, "<=") || str_eqc(name, ">") || str_eqc(name, ">=")))
        return sql_refuse(cx, location, "0A000", "could not determine interpretation of row comparison operator " STR_FMT,
                          STR_ARG(name));
    for (uint32_t i = a->row->n; i > 0; i--) {
        struct sql_value less, same;
        TRY(sql_apply_operator(cx, first ? name : strict, &a->row->values[i - 1], &b->row->values[i - 1], location, &less));
        if (!first) {
            TRY(sql_apply_operator(cx, STR("="), &a->row->values[i - 1], &b->row->values[i - 1], location, &same));
            less = both(cx, false, less, both(cx, true, same, *out));
        }
        *out = less;
        first = false;
    }
    return ERR_OK;
}

/* ---- what is written twice is evaluated once, if that can be told ---- */

static bool is_told(const struct sql_value *v) {
    return v->flags & SQL_VOLATILE && !v->row && v->text.n && !(v->flags & (SQL_AGGREGATE | SQL_WINDOWED | SQL_SET));
}

/* v, for `begin`, becomes a name, until `end`. */
struct once {
    str name, text;
};
static struct once once_begin(struct sql_context *cx, struct sql_value *v) {
    if (!is_told(v)) return (struct once){0};
    struct once o = {sql_alias(cx), v->text};
    v->text = sql_fmt(cx, STR_FMT ".v", STR_ARG(o.name));
    return o;
}
static void once_end(struct sql_context *cx, const struct once *o, struct sql_value *out) {
    if (!o->name.n) return;
    out->text = sql_fmt(cx, "(with " STR_FMT "(v) as materialized (select " STR_FMT ") select " STR_FMT " from " STR_FMT ")",
                        STR_ARG(o->name), STR_ARG(o->text), STR_ARG(out->text), STR_ARG(o->name));
    out->flags |= SQL_VOLATILE | SQL_SUBQUERY;
}

static err same(struct sql_context *cx, const struct sql_value *a, const struct sql_value *b, int32_t location,
                struct sql_value *out) {
    if (a->row && b->row) {
        if (a->row->n != b->row->n) return sql_refuse(cx, location, "42601", "unequal number of entries in row expressions");
        *out = sql_constant(cx, PG_BOOL, DB_I64(1));
        for (uint32_t i = 0; i < a->row->n; i++) {
            struct sql_value one;
            TRY(same(cx, &a->row->values[i], &b->row->values[i], location, &one));
            *out = both(cx, true, *out, one);
        }
        return ERR_OK;
    }
    const struct pg_operator *op;
    uint32_t types[2], result;
    TRY(sql_find_operator(cx, STR("="), a, b, location, &op, &types[0], &types[1], &result));
    struct sql_value x = *a, y = *b;
    TRY(sql_coerce_to(cx, &x, types[0], -1, PG_IMPLICIT));
    TRY(sql_coerce_to(cx, &y, types[1], -1, PG_IMPLICIT));
    const struct pg_type *t = sql_type_of(cx, types[0]), *u = sql_type_of(cx, types[1]);
    bool alike = types[0] == types[1] ||
                 (t && u && t->category == 'N' && u->category == 'N' && t->storage == u->storage && t->storage != PG_STORED_TEXT);
    if (alike) {
        *out = sql_bool(cx,
                        sql_fmt(cx, "(" STR_FMT STR_FMT " is " STR_FMT ")", STR_ARG(x.text), STR_ARG(sql_collate(cx, types[0])),
                                STR_ARG(y.text)),
                        &x, &y);
    } else {
        struct sql_value equal, p = *a, q = *b;
        struct once one = once_begin(cx, &p), other = once_begin(cx, &q);
        if (one.name.n) x = p;
        if (other.name.n) y = q;
        TRY(sql_apply_operator(cx, STR("="), &p, &q, location, &equal));
        *out = sql_bool(cx,
                        sql_fmt(cx,
                                "(case when " STR_FMT " is null then " STR_FMT " is null when " STR_FMT
                                " is null then 0 else " STR_FMT " end)",
                                STR_ARG(nullable(cx, x.text)), STR_ARG(nullable(cx, y.text)), STR_ARG(nullable(cx, y.text)),
                                STR_ARG(equal.text)),
                        &x, &y);
        sql_inherit(out, &equal);
        once_end(cx, &other, out), once_end(cx, &one, out);
    }
    out->flags |= SQL_NOT_NULL;
    return ERR_OK;
}

static err nullif_(struct sql_context *cx, const struct sql_value *a, const struct sql_value *b, int32_t location,
                   struct sql_value *out) {
    const struct pg_operator *op;
    uint32_t types[2], result;
    TRY(sql_find_operator(cx, STR("="), a, b, location, &op, &types[0], &types[1], &result));
    struct sql_value x = *a, y = *b, equal;
    TRY(sql_coerce_to(cx, &x, types[0], -1, PG_IMPLICIT));
    TRY(sql_coerce_to(cx, &y, types[1], -1, PG_IMPLICIT));
    struct once one = types[0] == types[1] ? (struct once){0} : once_begin(cx, &x);
    TRY(sql_apply_operator(cx, STR("="), &x, &y, location, &equal));
    str text = types[0] == types[1]
                   ? sql_fmt(cx, "nullif(" STR_FMT STR_FMT ", " STR_FMT ")", STR_ARG(x.text), STR_ARG(sql_collate(cx, types[0])),
                             STR_ARG(y.text))
                   : sql_fmt(cx, "(case when " STR_FMT " then null else " STR_FMT " end)", STR_ARG(equal.text), STR_ARG(x.text));
    *out = (struct sql_value){.text = text, .type = x.type, .typmod = x.typmod, .location = location};
    sql_inherit(out, &x);
    sql_inherit(out, &equal);
    once_end(cx, &one, out);
    return ERR_OK;
}

/* ---- IN (list) ---- */

static bool try_common(struct sql_context *cx, const struct sql_value *x, const sql_values *list, uint32_t *type) {
    struct sql_value all[2] = {*x};
    struct sql_value *values = arena_array(cx->mem, struct sql_value, list->n + 1);
    values[0] = all[0];
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->p[i].row) return false;
        values[i + 1] = list->p[i];
    }
    struct sql_problem before = cx->problem;
    bool good = !x->row && sql_common_type(cx, values, list->n + 1, "IN", type) == ERR_OK;
    cx->problem = before;
    return good;
}

static err in_one_by_one(struct sql_context *cx, str op, const struct sql_value *left, const sql_values *list, int32_t location,
                         struct sql_value *out) {
    bool negated = !str_eqc(op, "=");
    struct sql_value v = *left, *x = &v;
    struct once o = once_begin(cx, x);
    for (uint32_t i = 0; i < list->n; i++) {
        struct sql_value one;
        if (x->row && list->p[i].row) TRY(compare_rows(cx, op, x, &list->p[i], location, &one));
        else TRY(sql_apply_operator(cx, op, x, &list->p[i], location, &one));
        *out = i ? both(cx, negated, *out, one) : one;
    }
    once_end(cx, &o, out);
    return ERR_OK;
}

static err in_list(struct sql_context *cx, str op, const struct sql_value *x, sql_values *list, int32_t location,
                   struct sql_value *out) {
    uint32_t type, types[2], result;
    const struct pg_operator *found;
    if (!list->n || !try_common(cx, x, list, &type)) return in_one_by_one(cx, op, x, list, location, out);
    struct sql_value element = {.type = type, .typmod = -1, .location = location}, left = *x;
    for (uint32_t i = 0; i < list->n; i++) TRY(sql_coerce_to(cx, &list->p[i], type, -1, PG_IMPLICIT));
    TRY(sql_find_operator(cx, op, x, &element, location, &found, &types[0], &types[1], &result));
    if (types[0] != types[1]) return in_one_by_one(cx, op, x, list, location, out);
    TRY(sql_coerce_to(cx, &left, types[0], -1, PG_IMPLICIT));
    VEC(str) texts = {0};
    *out = sql_bool(cx, (str){0}, &left, NULL);
    for (uint32_t i = 0; i < list->n; i++) {
        TRY(sql_coerce_to(cx, &list->p[i], types[1], -1, PG_IMPLICIT));
        vec_push(cx->mem, &texts, list->p[i].text);
        sql_inherit(out, &list->p[i]);
    }
    out->text = sql_fmt(cx, "(" STR_FMT STR_FMT "%s (" STR_FMT "))", STR_ARG(left.text), STR_ARG(sql_collate(cx, types[0])),
                        str_eqc(op, "=") ? " in" : " not in", STR_ARG(sql_joined(cx, texts.p, texts.n, ", ")));
    out->location = location;
    return ERR_OK;
}

/* ---- BETWEEN ---- */

static err between(struct sql_context *cx, const struct sql_value *x, const struct sql_value *low, const struct sql_value *high,
                   bool negated, int32_t location, struct sql_value *out) {
    struct sql_value a, b;
    TRY(sql_apply_operator(cx, negated ? STR("<") : STR(">="), x, low, location, &a));
    TRY(sql_apply_operator(cx, negated ? STR(">") : STR("<="), x, high, location, &b));
    *out = both(cx, !negated, a, b);
    return ERR_OK;
}

static err between_expr(struct sql_context *cx, const PgQuery__AExpr *e, bool truth, bool negated, bool symmetric,
                        struct sql_value *out) {
    sql_values ends = {0};
    struct sql_value x;
    TRY(sql_expr(cx, e->lexpr, &x));
    const PgQuery__List *list = e->rexpr->list;
    TRY(sql_exprs(cx, list->items, list->n_items, &ends));
    cx->truth = truth;
    TRY(between(cx, &x, &ends.p[0], &ends.p[1], negated, e->location, out));
    if (!symmetric) return ERR_OK;
    struct sql_value other;
    TRY(between(cx, &x, &ends.p[1], &ends.p[0], negated, e->location, &other));
    *out = both(cx, negated, *out, other);
    return ERR_OK;
}

/* ---- operators as they are written ---- */

static str operator_name(const PgQuery__AExpr *e) { return e->n_name ? sql_name_of(e->name[e->n_name - 1]) : (str){0}; }

static err operands(struct sql_context *cx, const PgQuery__AExpr *e, struct sql_value *left, struct sql_value *right) {
    if (e->lexpr) TRY(sql_expr(cx, e->lexpr, left));
    return sql_expr(cx, e->rexpr, right);
}

static err plain_operator(struct sql_context *cx, const PgQuery__AExpr *e, bool truth, struct sql_value *out) {
    struct sql_value left, right;
    TRY(operands(cx, e, &left, &right));
    str name = operator_name(e);
    if (!e->lexpr && str_eqc(name, "-") && right.flags & SQL_CONSTANT && right.type == PG_NUMERIC && right.text.n > 2 &&
        right.text.p[0] == '\'' && right.text.p[1] != '-') {
        right.literal = sql_fmt(cx, "-" STR_FMT, STR_ARG(str_sub(right.text, 1, right.text.n - 2)));
        right.flags = SQL_UNTYPED | SQL_CONSTANT | SQL_NOT_NULL; /* -1.5 is a literal too */
        right.type = PG_UNKNOWN;
        *out = right;
        return sql_coerce_to(cx, out, PG_NUMERIC, -1, PG_IMPLICIT);
    }
    cx->truth = truth;
    if (e->lexpr && left.row && right.row) return compare_rows(cx, name, &left, &right, e->location, out);
    return sql_apply_operator(cx, name, e->lexpr ? &left : NULL, &right, e->location, out);
}

static err in_expr(struct sql_context *cx, const PgQuery__AExpr *e, struct sql_value *out) {
    struct sql_value x;
    sql_values list = {0};
    TRY(sql_expr(cx, e->lexpr, &x));
    TRY(sql_exprs(cx, e->rexpr->list->items, e->rexpr->list->n_items, &list));
    return in_list(cx, operator_name(e), &x, &list, e->location, out);
}

static err any_expr(struct sql_context *cx, const PgQuery__AExpr *e, bool all, struct sql_value *out) {
    struct sql_value x, array;
    TRY(sql_expr(cx, e->lexpr, &x));
    /* = any(array['a', 'b']) is a list, whose literals x gives a type to */
    if (e->rexpr->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR && e->rexpr->a_array_expr->n_elements) {
        str op = operator_name(e);
        if ((!all && str_eqc(op, "=")) || (all && str_eqc(op, "<>"))) {
            sql_values list = {0};
            TRY(sql_exprs(cx, e->rexpr->a_array_expr->elements, e->rexpr->a_array_expr->n_elements, &list));
            return in_list(cx, op, &x, &list, e->location, out);
        }
    }
    TRY(sql_expr(cx, e->rexpr, &array));
    return sql_any_array(cx, operator_name(e), all, &x, &array, e->location, out);
}

static err distinct_expr(struct sql_context *cx, const PgQuery__AExpr *e, bool negated, struct sql_value *out) {
    struct sql_value left, right;
    TRY(operands(cx, e, &left, &right));
    if ((left.flags | right.flags) & SQL_NULL) { /* IS [NOT] DISTINCT FROM NULL */
        struct sql_value *x = left.flags & SQL_NULL ? &right : &left;
        TRY(sql_settle(cx, x));
        *out = x->row ? row_null_test(cx, x, "is null")
                      : sql_bool(cx, sql_fmt(cx, "(" STR_FMT " is null)", STR_ARG(nullable(cx, x->text))), x, NULL);
    } else {
        TRY(same(cx, &left, &right, e->location, out));
    }
    if (!negated) *out = negation(cx, *out);
    out->flags |= SQL_NOT_NULL;
    return ERR_OK;
}

static err a_expr(struct sql_context *cx, const PgQuery__AExpr *e, bool truth, struct sql_value *out) {
    struct sql_value left, right;
    switch (e->kind) {
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP:
    case PG_QUERY__A__EXPR__KIND__AEXPR_LIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_ILIKE:
    case PG_QUERY__A__EXPR__KIND__AEXPR_SIMILAR: return plain_operator(cx, e, truth, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ANY: return any_expr(cx, e, false, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_OP_ALL: return any_expr(cx, e, true, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_DISTINCT: return distinct_expr(cx, e, false, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_DISTINCT: return distinct_expr(cx, e, true, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NULLIF:
        TRY(operands(cx, e, &left, &right));
        return nullif_(cx, &left, &right, e->location, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_IN: return in_expr(cx, e, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN: return between_expr(cx, e, truth, false, false, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN: return between_expr(cx, e, truth, true, false, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_BETWEEN_SYM: return between_expr(cx, e, truth, false, true, out);
    case PG_QUERY__A__EXPR__KIND__AEXPR_NOT_BETWEEN_SYM: return between_expr(cx, e, truth, true, true, out);
    default: return sql_unsupported(cx, e->location, "this expression", NULL);
    }
}

/* ---- CASE, COALESCE, GREATEST ---- */

/* CASE x WHEN v: what x is compared as, if all of v agree; 0: they do not. */
static err case_type(struct sql_context *cx, const struct sql_value *x, const sql_values *whens, int32_t location,
                     uint32_t *type) {
    *type = 0;
    for (uint32_t i = 0; i < whens->n; i++) {
        const struct pg_operator *op;
        uint32_t types[2], result;
        if (whens->p[i].row) return ERR_OK;
        TRY(sql_find_operator(cx, STR("="), x, &whens->p[i], location, &op, &types[0], &types[1], &result));
        if (types[0] != types[1] || (i && types[0] != *type)) {
            *type = 0;
            return ERR_OK;
        }
        *type = types[0];
    }
    return ERR_OK;
}

struct case_parts {
    struct sql_value x;
    bool has_x;
    struct once once;
    sql_values whens, results; /* results: the default first, as PostgreSQL asks for their types */
};

static err case_read(struct sql_context *cx, const PgQuery__CaseExpr *c, struct case_parts *p) {
    if (c->arg) {
        p->has_x = true;
        TRY(sql_expr(cx, c->arg, &p->x));
        TRY(sql_settle(cx, &p->x));
    }
    struct sql_value v = {.text = STR("null"),
                          .type = PG_UNKNOWN,
                          .typmod = -1,
                          .flags = SQL_UNTYPED | SQL_CONSTANT | SQL_NULL,
                          .location = c->location};
    if (c->defresult) TRY(sql_expr(cx, c->defresult, &v));
    vec_push(cx->mem, &p->results, v);
    for (size_t i = 0; i < c->n_args; i++) {
        const PgQuery__CaseWhen *w = c->args[i]->case_when;
        if (p->has_x) TRY(sql_expr(cx, w->expr, &v));
        else TRY(sql_condition(cx, w->expr, "CASE/WHEN", &v));
        vec_push(cx->mem, &p->whens, v);
        TRY(sql_expr(cx, w->result, &v));
        vec_push(cx->mem, &p->results, v);
    }
    return ERR_OK;
}

/* The conditions, as they are written behind WHEN; *head: what stands between CASE and the first WHEN. */
static err case_conditions(struct sql_context *cx, const PgQuery__CaseExpr *c, struct case_parts *p, str *head) {
    *head = (str){0};
    if (!p->has_x) return ERR_OK;
    uint32_t type;
    TRY(case_type(cx, &p->x, &p->whens, c->location, &type));
    if (type) TRY(sql_coerce_to(cx, &p->x, type, -1, PG_IMPLICIT));
    else p->once = once_begin(cx, &p->x);
    for (uint32_t i = 0; i < p->whens.n; i++) {
        struct sql_value *w = &p->whens.p[i], equal;
        if (type) TRY(sql_coerce_to(cx, w, type, -1, PG_IMPLICIT));
        else {
            TRY(sql_apply_operator(cx, STR("="), &p->x, w, c->location, &equal));
            *w = equal;
        }
    }
    if (type) *head = sql_fmt(cx, " " STR_FMT STR_FMT, STR_ARG(p->x.text), STR_ARG(sql_collate(cx, type)));
    return ERR_OK;
}

static err case_expr(struct sql_context *cx, const PgQuery__CaseExpr *c, struct sql_value *out) {
    struct case_parts p = {0};
    TRY(case_read(cx, c, &p));
    uint32_t type;
    TRY(sql_to_common_type(cx, p.results.p, p.results.n, "CASE", &type));
    str head;
    TRY(case_conditions(cx, c, &p, &head));
    VEC(str) parts = {0};
    vec_push(cx->mem, &parts, sql_fmt(cx, "(case" STR_FMT, STR_ARG(head)));
    *out = (struct sql_value){.type = type, .typmod = p.results.p[0].typmod, .location = c->location};
    if (p.has_x) sql_inherit(out, &p.x);
    for (uint32_t i = 0; i < p.whens.n; i++) {
        const struct sql_value *w = &p.whens.p[i], *r = &p.results.p[i + 1];
        if (r->row) return sql_unsupported(cx, c->location, "a CASE of rows", NULL);
        vec_push(cx->mem, &parts, sql_fmt(cx, " when " STR_FMT " then " STR_FMT, STR_ARG(w->text), STR_ARG(r->text)));
        sql_inherit(out, w);
        sql_inherit(out, r);
    }
    sql_inherit(out, &p.results.p[0]);
    if (!(p.results.p[0].flags & SQL_NULL))
        vec_push(cx->mem, &parts, sql_fmt(cx, " else " STR_FMT, STR_ARG(p.results.p[0].text)));
    vec_push(cx->mem, &parts, STR(" end)"));
    out->text = sql_joined(cx, parts.p, parts.n, "");
    once_end(cx, &p.once, out);
    sql_shield(cx, out);
    return ERR_OK;
}

static void texts_of(struct sql_context *cx, const sql_values *values, struct sql_value *out, str *joined) {
    VEC(str) texts = {0};
    for (uint32_t i = 0; i < values->n; i++) {
        vec_push(cx->mem, &texts, values->p[i].text);
        sql_inherit(out, &values->p[i]);
    }
    *joined = sql_joined(cx, texts.p, texts.n, ", ");
}

/* coalesce(new, old): a row of nulls is none. */
static err coalesce_rows(struct sql_context *cx, const struct sql_value *a, const struct sql_value *b, struct sql_value *out) {
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    VEC(str) there = {0};
    if (a->row->n != b->row->n) return sql_unsupported(cx, a->location, "COALESCE of rows that differ", NULL);
    *row = (struct sql_row){.n = a->row->n, .names = a->row->names};
    row->values = arena_array(cx->mem, struct sql_value, row->n + 1);
    for (uint32_t i = 0; i < row->n; i++) {
        if (a->row->values[i].row || b->row->values[i].row || a->row->values[i].type != b->row->values[i].type)
            return sql_unsupported(cx, a->location, "COALESCE of rows that differ", NULL);
        vec_push(cx->mem, &there, sql_fmt(cx, STR_FMT " is not null", STR_ARG(a->row->values[i].text)));
    }
    str any = a->row->present.n ? a->row->present : there.n ? sql_joined(cx, there.p, there.n, " or ") : STR("0");
    for (uint32_t i = 0; i < row->n; i++) {
        row->values[i] = a->row->values[i];
        row->values[i].flags &= ~(uint32_t)SQL_NOT_NULL;
        row->values[i].text = sql_fmt(cx, "(case when " STR_FMT " then " STR_FMT " else " STR_FMT " end)", STR_ARG(any),
                                      STR_ARG(a->row->values[i].text), STR_ARG(b->row->values[i].text));
        sql_inherit(&row->values[i], &b->row->values[i]);
    }
    if (a->row->present.n && b->row->present.n)
        row->present = sql_fmt(cx, "(" STR_FMT " or " STR_FMT ")", STR_ARG(a->row->present), STR_ARG(b->row->present));
    *out = (struct sql_value){.type = a->type, .typmod = -1, .row = row, .location = a->location};
    sql_inherit(out, a), sql_inherit(out, b);
    return ERR_OK;
}

static err coalesce_expr(struct sql_context *cx, const PgQuery__CoalesceExpr *c, struct sql_value *out) {
    sql_values values = {0};
    uint32_t type;
    TRY(sql_exprs(cx, c->args, c->n_args, &values));
    if (values.n == 2 && values.p[0].row && values.p[1].row) return coalesce_rows(cx, &values.p[0], &values.p[1], out);
    TRY(sql_to_common_type(cx, values.p, values.n, "COALESCE", &type));
    *out = (struct sql_value){.type = type, .typmod = values.p[0].typmod, .location = c->location};
    for (uint32_t i = 0; i < values.n; i++)
        if (values.p[i].row) return sql_unsupported(cx, c->location, "COALESCE of rows", NULL);
    str list;
    texts_of(cx, &values, out, &list);
    out->text = values.n == 1 ? values.p[0].text : sql_fmt(cx, "coalesce(" STR_FMT ")", STR_ARG(list));
    for (uint32_t i = 0; i < values.n; i++) out->flags |= values.p[i].flags & SQL_NOT_NULL;
    return ERR_OK;
}

/* Each is evaluated once: as rows, of which the aggregate takes no nulls. */
static void extreme_of_rows(struct sql_context *cx, const char *fn, const sql_values *values, str collate,
                            struct sql_value *out) {
    VEC(str) rows = {0};
    for (uint32_t i = 0; i < values->n; i++)
        vec_push(cx->mem, &rows, sql_fmt(cx, i ? "select " STR_FMT : "select " STR_FMT " as v", STR_ARG(values->p[i].text)));
    out->text = sql_fmt(cx, "(select %s(v" STR_FMT ") from (" STR_FMT "))", fn, STR_ARG(collate),
                        STR_ARG(sql_joined(cx, rows.p, rows.n, " union all ")));
    out->flags |= SQL_SUBQUERY;
}

/* SQLite's max is null where an argument is. */
static str extreme(struct sql_context *cx, const char *fn, str a, str b, str collate, bool both_there) {
    str both = sql_fmt(cx, "%s(" STR_FMT STR_FMT ", " STR_FMT ")", fn, STR_ARG(a), STR_ARG(collate), STR_ARG(b));
    return both_there ? both
                      : sql_fmt(cx, "coalesce(" STR_FMT ", " STR_FMT ", " STR_FMT ")", STR_ARG(both), STR_ARG(a), STR_ARG(b));
}

static err min_max_expr(struct sql_context *cx, const PgQuery__MinMaxExpr *m, struct sql_value *out) {
    sql_values values = {0};
    uint32_t type;
    bool greatest = m->op == PG_QUERY__MIN_MAX_OP__IS_GREATEST;
    TRY(sql_exprs(cx, m->args, m->n_args, &values));
    TRY(sql_to_common_type(cx, values.p, values.n, greatest ? "GREATEST" : "LEAST", &type));
    *out = (struct sql_value){.text = values.p[0].text, .type = type, .typmod = values.p[0].typmod, .location = m->location};
    uint32_t not_null = values.p[0].flags & SQL_NOT_NULL, many = 0;
    str collate = sql_collate(cx, type);
    for (uint32_t i = 0; i < values.n; i++) many += is_told(&values.p[i]);
    for (uint32_t i = 0; i < values.n; i++) {
        sql_inherit(out, &values.p[i]);
        if (!i) continue;
        out->text = extreme(cx, greatest ? "max" : "min", out->text, values.p[i].text, collate,
                            not_null & values.p[i].flags & SQL_NOT_NULL);
        not_null |= values.p[i].flags & SQL_NOT_NULL;
        TRY(sql_check_size(cx, out->text, m->location));
    }
    out->flags |= not_null;
    if (many && values.n > 1 && !(out->flags & (SQL_AGGREGATE | SQL_WINDOWED | SQL_SET)))
        extreme_of_rows(cx, greatest ? "max" : "min", &values, collate, out);
    return ERR_OK;
}

/* ---- arrays ---- */

/* All of literals: an array is one too. */
static err constant_array(struct sql_context *cx, const struct sql_value *elements, uint32_t n, uint32_t array_type,
                          struct sql_value *out, bool *done) {
    *done = false;
    struct buf b = {0};
    buf_putc(&b, '[');
    for (uint32_t i = 0; i < n; i++) {
        const struct sql_value *v = &elements[i];
        const struct pg_type *t = sql_type_of(cx, v->type);
        if (!(v->flags & SQL_CONSTANT) || !t || t->storage != PG_STORED_INTEGER) goto end;
        buf_puts(&b, i ? STR(",") : STR(""));
        bool bracket = v->text.n > 2 && v->text.p[0] == '(';
        buf_puts(&b, bracket ? str_sub(v->text, 1, v->text.n - 2) : v->text);
    }
    buf_putc(&b, ']');
    *out = sql_constant(cx, array_type, DB_TEXT(buf_str(&b)));
    *done = true;
end:
    buf_free(&b);
    return ERR_OK;
}

err sql_array_of(struct sql_context *cx, struct sql_value *elements, uint32_t n, uint32_t array_type, int32_t location,
                 struct sql_value *out) {
    uint32_t element = sql_element_type(cx, array_type);
    bool done = false, nested = n && sql_element_type(cx, elements[0].type);
    if (!nested) TRY(constant_array(cx, elements, n, array_type, out, &done));
    if (done) return ERR_OK;
    if (n + 1 > SQL_ARGS_MAX)
        return sql_unsupported(cx, location, "an array constructor of more than 99 expressions", "Write it as a literal: '{…}'.");
    *out = (struct sql_value){.type = array_type, .typmod = -1, .flags = SQL_NOT_NULL, .location = location};
    VEC(str) parts = {0};
    vec_push(cx->mem, &parts, sql_fmt(cx, "%u", element));
    for (uint32_t i = 0; i < n; i++) {
        sql_pack(cx, &elements[i]);
        vec_push(cx->mem, &parts, elements[i].text);
        sql_inherit(out, &elements[i]);
    }
    if (nested) out->flags |= SQL_RAISES;
    out->text =
        sql_fmt(cx, "%s(" STR_FMT ")", nested ? "pg_array2" : "pg_array", STR_ARG(sql_joined(cx, parts.p, parts.n, ", ")));
    return ERR_OK;
}

/* type: the array's, where a cast says it; 0: of the elements. */
static err array_expr(struct sql_context *cx, const PgQuery__AArrayExpr *a, uint32_t type, int32_t typmod,
                      struct sql_value *out) {
    sql_values elements = {0};
    bool nested = false;
    for (size_t i = 0; i < a->n_elements; i++) {
        struct sql_value v;
        const PgQuery__Node *node = a->elements[i];
        if (node->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR) {
            nested = true;
            TRY(sql_enter(cx, a->location));
            err e = array_expr(cx, node->a_array_expr, type, typmod, &v);
            sql_leave(cx);
            TRY(e);
        } else {
            TRY(sql_expr(cx, node, &v));
            if (sql_element_type(cx, v.type)) nested = true;
        }
        vec_push(cx->mem, &elements, v);
    }
    if (!elements.n && !type) return sql_refuse(cx, a->location, "42P18", "cannot determine type of empty array");
    if (type && !nested) {
        for (uint32_t i = 0; i < elements.n; i++)
            TRY(sql_coerce_to(cx, &elements.p[i], sql_element_type(cx, type), typmod, PG_EXPLICIT));
    } else if (!type) {
        uint32_t common;
        TRY(sql_to_common_type(cx, elements.p, elements.n, "ARRAY", &common));
        type = nested ? common : sql_array_type(cx, common);
        if (!type)
            return sql_refuse(cx, a->location, "42704", "could not find array type for data type " STR_FMT,
                              STR_ARG(sql_type_name(cx, common)));
    }
    return sql_array_of(cx, elements.p, elements.n, type, a->location, out);
}

/* ---- subscripts and fields ---- */

static err jsonb_subscript(struct sql_context *cx, const PgQuery__AIndices *i, struct sql_value *v) {
    if (i->is_slice) return sql_refuse(cx, v->location, "42804", "jsonb subscript does not support slices");
    struct sql_value key, out;
    TRY(sql_expr(cx, i->uidx, &key));
    TRY(sql_apply_operator(cx, STR("->"), v, &key, v->location, &out));
    *v = out;
    return ERR_OK;
}

static err subscript_bound(struct sql_context *cx, const PgQuery__Node *node, struct sql_value *v, str *text) {
    *text = STR("null");
    if (!node) return ERR_OK;
    struct sql_value i;
    TRY(sql_expr(cx, node, &i));
    bool can;
    TRY(sql_coerce(cx, &i, PG_INT4, -1, PG_ASSIGNMENT, &can));
    if (!can) return sql_refuse(cx, i.location, "42804", "array subscript must have type integer");
    *text = i.text;
    sql_inherit(v, &i);
    return ERR_OK;
}

/* As many A_Indices as stand together, from *at on. */
/* A trigger's arguments alone are counted from 0. */
static bool counts_from_zero(const struct sql_context *cx, const PgQuery__Node *arg) {
    return cx->variables && arg && arg->node_case == PG_QUERY__NODE__NODE_COLUMN_REF && arg->column_ref->n_fields == 1 &&
           str_eqc(sql_name_of(arg->column_ref->fields[0]), "tg_argv");
}

static err array_subscripts(struct sql_context *cx, const PgQuery__AIndirection *ind, size_t *at, struct sql_value *v) {
    uint32_t array = sql_base_type(cx, v->type), element = sql_element_type(cx, array);
    if (!element)
        return sql_refuse(cx, v->location, "42804", "cannot subscript type " STR_FMT " because it does not support subscripting",
                          STR_ARG(sql_type_name(cx, v->type)));
    size_t end = *at;
    bool slice = false;
    for (; end < ind->n_indirection && ind->indirection[end]->node_case == PG_QUERY__NODE__NODE_A_INDICES; end++)
        slice |= ind->indirection[end]->a_indices->is_slice;
    VEC(str) parts = {0};
    vec_push(cx->mem, &parts, sql_fmt(cx, "%u", element));
    vec_push(cx->mem, &parts, v->text);
    for (; *at < end; ++*at) {
        const PgQuery__AIndices *i = ind->indirection[*at]->a_indices;
        str low = STR("null"), high;
        if (slice) TRY(i->is_slice ? subscript_bound(cx, i->lidx, v, &low) : ERR_OK);
        if (slice && !i->is_slice) low = STR("1");
        TRY(subscript_bound(cx, i->uidx, v, &high));
        if (counts_from_zero(cx, ind->arg)) high = sql_fmt(cx, "(" STR_FMT " + 1)", STR_ARG(high));
        if (slice) vec_push(cx->mem, &parts, low);
        vec_push(cx->mem, &parts, high);
    }
    v->text =
        sql_fmt(cx, "%s(" STR_FMT ")", slice ? "pg_slice" : "pg_subscript", STR_ARG(sql_joined(cx, parts.p, parts.n, ", ")));
    v->type = slice ? array : element;
    if (v->flags & SQL_NULL) { /* of no array, and its subscripts are not looked at */
        *v = sql_null_of(v->type);
        return ERR_OK;
    }
    v->flags &= ~(uint32_t)(SQL_NOT_NULL | SQL_CONSTANT | SQL_NULL);
    return ERR_OK;
}

/* What `v[i]`, `v[a:b]`, `v.f` of a type is given: elements, an array, a field's type, of jsonb itself. 0: it has no such part. */
uint32_t sql_part_type(struct sql_context *cx, uint32_t type, PgQuery__Node *const *steps, size_t n) {
    for (size_t i = 0; i < n;) {
        uint32_t base = sql_base_type(cx, type);
        bool slice = false;
        type = 0;
        if (base == PG_JSONB) return PG_JSONB;
        if (steps[i]->node_case == PG_QUERY__NODE__NODE_STRING) {
            const struct catalog_type *t = sql_is_composite(cx, base) ? catalog_type_of(cx->catalog, base) : NULL;
            for (uint32_t k = 0; t && k < t->fields.n; k++)
                if (str_eq(t->fields.p[k].name, sql_name_of(steps[i]))) type = t->fields.p[k].type;
            i++;
        } else {
            for (; i < n && steps[i]->node_case == PG_QUERY__NODE__NODE_A_INDICES; i++) slice |= steps[i]->a_indices->is_slice;
            type = slice ? base : sql_element_type(cx, base);
            if (i < n && steps[i]->node_case != PG_QUERY__NODE__NODE_STRING) return 0;
        }
        if (!type) return 0;
    }
    return type;
}

static err jsonb_keys(struct sql_context *cx, struct sql_value *v, PgQuery__Node *const *steps, size_t n, sql_texts *parts) {
    for (size_t i = 0; i < n; i++) {
        struct sql_value key;
        bool can;
        if (steps[i]->a_indices->is_slice) return sql_refuse(cx, v->location, "42804", "jsonb subscript does not support slices");
        TRY(sql_expr(cx, steps[i]->a_indices->uidx, &key));
        TRY(sql_coerce(cx, &key, key.type == PG_INT2 || key.type == PG_INT4 ? PG_INT4 : PG_TEXT, -1, PG_IMPLICIT, &can));
        if (!can)
            return sql_refuse(cx, key.location, "42804", "subscript type " STR_FMT " is not supported",
                              STR_ARG(sql_type_name(cx, key.type)));
        sql_inherit(v, &key);
        vec_push(cx->mem, parts, key.text);
    }
    return ERR_OK;
}

static err set_elements(struct sql_context *cx, struct sql_value *v, PgQuery__Node *const *steps, size_t n,
                        const struct sql_value *part) {
    uint32_t array = sql_base_type(cx, v->type), element = sql_element_type(cx, array);
    bool slice = false, json = array == PG_JSONB;
    sql_texts parts = {0};
    for (size_t i = 0; i < n; i++) slice |= steps[i]->a_indices->is_slice;
    if (!json) vec_push(cx->mem, &parts, sql_fmt(cx, "%u", element));
    vec_push(cx->mem, &parts, v->text);
    vec_push(cx->mem, &parts, part->text);
    if (json) TRY(jsonb_keys(cx, v, steps, n, &parts));
    for (size_t i = 0; !json && i < n; i++) {
        const PgQuery__AIndices *a = steps[i]->a_indices;
        str low = STR("1"), high;
        if (slice && a->is_slice) TRY(subscript_bound(cx, a->lidx, v, &low));
        if (slice) vec_push(cx->mem, &parts, low);
        TRY(subscript_bound(cx, a->uidx, v, &high));
        vec_push(cx->mem, &parts, high);
    }
    sql_inherit(v, part);
    v->text = sql_fmt(cx, "%s(" STR_FMT ")",
                      json    ? "pg_jsonb_set_subscript"
                      : slice ? "pg_array_set_slice"
                              : "pg_array_set",
                      STR_ARG(sql_joined(cx, parts.p, parts.n, ", ")));
    v->flags = (v->flags & ~(uint32_t)(SQL_CONSTANT | SQL_NULL | SQL_NOT_NULL)) | SQL_RAISES;
    return ERR_OK;
}

/* v.f is `part` then. */
static err set_field(struct sql_context *cx, str column, struct sql_value *v, str name, PgQuery__Node *const *steps, size_t n,
                     const struct sql_value *part) {
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    sql_unpack(cx, v);
    *row = *v->row;
    row->present = (str){0};
    row->values = arena_array(cx->mem, struct sql_value, row->n + 1);
    bool there = false;
    for (uint32_t i = 0; i < row->n; i++) {
        row->values[i] = v->row->values[i];
        if (!str_eq(row->names[i], name)) continue;
        there = true;
        if (n) TRY(sql_set_part(cx, column, &row->values[i], steps, n, part));
        else row->values[i] = *part;
    }
    if (!there)
        return sql_refuse(cx, v->location, "42703",
                          "cannot assign to field \"" STR_FMT "\" of column \"" STR_FMT
                          "\" because there is no such column in data type " STR_FMT,
                          STR_ARG(name), STR_ARG(column), STR_ARG(sql_type_name(cx, v->type)));
    v->row = row;
    sql_pack(cx, v);
    v->flags &= ~(uint32_t)(SQL_CONSTANT | SQL_NULL);
    return ERR_OK;
}

/* v, as it is, becomes what it is once its part that the steps name is `part`, which is of sql_part_type. */
err sql_set_part(struct sql_context *cx, str column, struct sql_value *v, PgQuery__Node *const *steps, size_t n,
                 const struct sql_value *part) {
    uint32_t base = sql_base_type(cx, v->type), element = sql_element_type(cx, base);
    size_t own = 0;
    if (sql_is_composite(cx, base) && steps[0]->node_case == PG_QUERY__NODE__NODE_STRING) {
        v->type = base;
        return set_field(cx, column, v, sql_name_of(steps[0]), steps + 1, n - 1, part);
    }
    if (base != PG_JSONB && steps[0]->node_case == PG_QUERY__NODE__NODE_STRING)
        return sql_refuse(cx, v->location, "42804",
                          "cannot assign to field \"" STR_FMT "\" of column \"" STR_FMT "\" because its type " STR_FMT
                          " is not a composite type",
                          STR_ARG(sql_name_of(steps[0])), STR_ARG(column), STR_ARG(sql_type_name(cx, v->type)));
    if (base != PG_JSONB && !element)
        return sql_refuse(cx, v->location, "42804", "cannot subscript type " STR_FMT " because it does not support subscripting",
                          STR_ARG(sql_type_name(cx, v->type)));
    while (own < n && steps[own]->node_case == PG_QUERY__NODE__NODE_A_INDICES) own++;
    if (!own || (own < n && !sql_is_composite(cx, sql_base_type(cx, element))))
        return sql_unsupported(cx, v->location, "assigning to such a part", "Assign the whole of it.");
    if (own == n) return set_elements(cx, v, steps, n, part);
    PgQuery__AIndirection to = PG_QUERY__A__INDIRECTION__INIT;
    struct sql_value child = *v;
    to.indirection = (PgQuery__Node **)(uintptr_t)steps, to.n_indirection = own;
    size_t at = 0;
    TRY(array_subscripts(cx, &to, &at, &child));
    TRY(sql_set_part(cx, column, &child, steps + own, n - own, part));
    return set_elements(cx, v, steps, own, &child);
}

static err indirection(struct sql_context *cx, const PgQuery__AIndirection *ind, struct sql_value *out) {
    TRY(sql_expr(cx, ind->arg, out));
    TRY(sql_settle(cx, out));
    for (size_t i = 0; i < ind->n_indirection;) {
        const PgQuery__Node *step = ind->indirection[i];
        if (step->node_case == PG_QUERY__NODE__NODE_STRING) {
            struct sql_value field;
            TRY(sql_field_of(cx, out, sql_name_of(step), out->location, &field));
            *out = field;
            i++;
        } else if (step->node_case != PG_QUERY__NODE__NODE_A_INDICES) {
            return sql_refuse(cx, out->location, "0A000", "row expansion via \"*\" is not supported here");
        } else if (out->type == PG_JSONB) {
            TRY(jsonb_subscript(cx, step->a_indices, out));
            i++;
        } else {
            TRY(array_subscripts(cx, ind, &i, out));
        }
    }
    return ERR_OK;
}

static err row_expr(struct sql_context *cx, const PgQuery__RowExpr *r, struct sql_value *out) {
    sql_column_list fields = {0};
    for (size_t i = 0; i < r->n_args; i++) {
        if (sql_is_star(r->args[i])) {
            TRY(sql_expand_star(cx, r->args[i]->column_ref, &fields));
            continue;
        }
        struct sql_column *f = vec_add(cx->mem, &fields);
        TRY(sql_expr(cx, r->args[i], &f->value));
    }
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    row->n = fields.n;
    row->names = arena_array(cx->mem, str, fields.n + 1);
    row->values = arena_array(cx->mem, struct sql_value, fields.n + 1);
    *out = (struct sql_value){.type = PG_RECORD, .typmod = -1, .row = row, .location = r->location};
    for (uint32_t i = 0; i < fields.n; i++) {
        row->names[i] = sql_fmt(cx, "f%u", i + 1);
        row->values[i] = fields.p[i].value;
        sql_inherit(out, &fields.p[i].value);
    }
    return ERR_OK;
}

/* ---- casts, collations, values of the session ---- */

static err type_cast(struct sql_context *cx, const PgQuery__TypeCast *c, struct sql_value *out) {
    uint32_t type;
    int32_t typmod;
    TRY(sql_type_named(cx, c->type_name, &type, &typmod));
    if (c->arg->node_case == PG_QUERY__NODE__NODE_A_ARRAY_EXPR && sql_element_type(cx, type)) {
        TRY(array_expr(cx, c->arg->a_array_expr, sql_base_type(cx, type), typmod, out));
    } else {
        TRY(sql_expr(cx, c->arg, out));
    }
    out->location = out->location < 0 ? c->location : out->location;
    if (out->row && !sql_is_row_type(cx, type)) {
        if (sql_type_category(cx, type, NULL) != 'S')
            return sql_unsupported(cx, c->location, "a cast of a row", "Name its columns.");
        TRY(sql_row_text(cx, out));
    }
    return sql_coerce_to(cx, out, type, typmod, PG_EXPLICIT);
}

static err collate_clause(struct sql_context *cx, const PgQuery__CollateClause *c, struct sql_value *out) {
    static const char *const known[] = {"C", "POSIX", "default", "C.UTF-8", "C.utf8", "ucs_basic"};
    TRY(sql_expr(cx, c->arg, out));
    TRY(sql_settle(cx, out));
    str name = c->n_collname ? sql_name_of(c->collname[c->n_collname - 1]) : (str){0};
    bool found = false;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) found |= str_eqc(name, known[i]);
    if (sql_type_category(cx, out->type, NULL) != 'S')
        return sql_refuse(cx, c->location, "42804", "collations are not supported by type " STR_FMT,
                          STR_ARG(sql_type_name(cx, out->type)));
    if (found) return ERR_OK;
    return sql_unsupported(cx, c->location, (const char *)sql_fmt(cx, "collation \"" STR_FMT "\"", STR_ARG(name)).p,
                           "Text compares by code point, as with COLLATE \"C\".");
}

static err value_function(struct sql_context *cx, const PgQuery__SQLValueFunction *f, struct sql_value *out) {
    static const struct {
        const char *call;
        uint32_t type;
        bool sized;
    } rows[] = {[PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_DATE] = {"now", PG_DATE, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME] = {"now", PG_TIMETZ, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIME_N] = {"now", PG_TIMETZ, true},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP] = {"now", PG_TIMESTAMPTZ, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_TIMESTAMP_N] = {"now", PG_TIMESTAMPTZ, true},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME] = {"now", PG_TIME, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIME_N] = {"now", PG_TIME, true},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP] = {"now", PG_TIMESTAMP, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_LOCALTIMESTAMP_N] = {"now", PG_TIMESTAMP, true},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_ROLE] = {"current_user", PG_NAME, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_USER] = {"current_user", PG_NAME, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_USER] = {"current_user", PG_NAME, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_SESSION_USER] = {"session_user", PG_NAME, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_CATALOG] = {"current_database", PG_NAME, false},
                [PG_QUERY__SQLVALUE_FUNCTION_OP__SVFOP_CURRENT_SCHEMA] = {"current_schema", PG_NAME, false}};
    if ((size_t)f->op >= ARRAY_COUNT(rows) || !rows[f->op].call) return sql_unsupported(cx, f->location, "this value", NULL);
    TRY(sql_call_builtin(cx, rows[f->op].call, NULL, 0, f->location, out));
    return sql_coerce_to(cx, out, rows[f->op].type, rows[f->op].sized ? f->typmod : -1, PG_EXPLICIT);
}

/* ---- the switch ---- */

static err dispatch(struct sql_context *cx, const PgQuery__Node *node, bool condition, bool truth, struct sql_value *out) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_A_CONST: return constant(cx, node->a_const, out);
    case PG_QUERY__NODE__NODE_COLUMN_REF: return sql_find_column(cx, node->column_ref, out);
    case PG_QUERY__NODE__NODE_PARAM_REF:
        return sql_find_argument(cx, (uint32_t)node->param_ref->number, node->param_ref->location, out);
    case PG_QUERY__NODE__NODE_A_EXPR: return a_expr(cx, node->a_expr, truth, out);
    case PG_QUERY__NODE__NODE_BOOL_EXPR: return bool_expr(cx, node->bool_expr, condition, truth, out);
    case PG_QUERY__NODE__NODE_NULL_TEST: return null_test(cx, node->null_test, out);
    case PG_QUERY__NODE__NODE_BOOLEAN_TEST: return boolean_test(cx, node->boolean_test, out);
    case PG_QUERY__NODE__NODE_TYPE_CAST: return type_cast(cx, node->type_cast, out);
    case PG_QUERY__NODE__NODE_FUNC_CALL: return sql_func_call(cx, node->func_call, condition, out);
    case PG_QUERY__NODE__NODE_SUB_LINK: return sql_sublink(cx, node->sub_link, condition, out);
    case PG_QUERY__NODE__NODE_CASE_EXPR: return case_expr(cx, node->case_expr, out);
    case PG_QUERY__NODE__NODE_COALESCE_EXPR: return coalesce_expr(cx, node->coalesce_expr, out);
    case PG_QUERY__NODE__NODE_MIN_MAX_EXPR: return min_max_expr(cx, node->min_max_expr, out);
    case PG_QUERY__NODE__NODE_A_ARRAY_EXPR: return array_expr(cx, node->a_array_expr, 0, -1, out);
    case PG_QUERY__NODE__NODE_ROW_EXPR: return row_expr(cx, node->row_expr, out);
    case PG_QUERY__NODE__NODE_A_INDIRECTION: return indirection(cx, node->a_indirection, out);
    case PG_QUERY__NODE__NODE_SQLVALUE_FUNCTION: return value_function(cx, node->sqlvalue_function, out);
    case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: return collate_clause(cx, node->collate_clause, out);
    case PG_QUERY__NODE__NODE_GROUPING_FUNC: return sql_grouping_of(cx, node->grouping_func, out);
    case PG_QUERY__NODE__NODE_XML_EXPR: return sql_unsupported(cx, -1, "XML", NULL);
    case PG_QUERY__NODE__NODE_SET_TO_DEFAULT: return sql_refuse(cx, -1, "42601", "DEFAULT is not allowed in this context");
    default: return sql_unsupported(cx, sql_location_of(node), "this expression", NULL);
    }
}

enum { MARKS = 8 };

err sql_expr(struct sql_context *cx, const PgQuery__Node *node, struct sql_value *out) {
    if (!node) return sql_refuse(cx, -1, "42601", "syntax error");
    TRY(sql_enter(cx, sql_location_of(node)));
    bool condition = cx->condition, truth = cx->truth;
    uint32_t marks[MARKS] = {0}, i = 0;
    for (struct sql_scope *s = cx->scope; s && i < MARKS; s = s->parent) marks[i++] = s->mentions.n;
    cx->condition = cx->truth = false;
    *out = (struct sql_value){.typmod = -1, .location = -1};
    err e = dispatch(cx, node, condition, truth, out);
    cx->condition = condition;
    cx->truth = truth;
    sql_leave(cx);
    TRY(e);
    sql_forget_mentions(cx, out->text, marks);
    sql_grouping_nulls(cx, out);
    return sql_check_size(cx, out->text, sql_location_of(node));
}
