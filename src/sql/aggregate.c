/* aggregate: aggregates and window functions.
 *
 *   name(distinct args) filter (where …) over (partition by … order by … frame)
 *
 * 1. SQLite 3.40 has no ORDER BY in an aggregate's arguments, and DISTINCT of one argument alone: where the order tells (array_agg, string_agg,
 *    json…), or there are more arguments, the aggregate NAME_ordered('asc last binary, …', keys…, arguments…) sorts for itself.
 * 2. A window's name never reaches SQLite: what it says is written out at each OVER.
 */
#include "sql/translate_int.h"
#include <stdlib.h>

enum { /* nodes/parsenodes.h: FRAMEOPTION_… */
       FRAME_NONDEFAULT = 0x1,
       FRAME_RANGE = 0x2,
       FRAME_ROWS = 0x4,
       FRAME_GROUPS = 0x8,
       FRAME_BETWEEN = 0x10,
       FRAME_START_UNBOUNDED_PRECEDING = 0x20,
       FRAME_END_UNBOUNDED_PRECEDING = 0x40,
       FRAME_START_UNBOUNDED_FOLLOWING = 0x80,
       FRAME_END_UNBOUNDED_FOLLOWING = 0x100,
       FRAME_START_CURRENT_ROW = 0x200,
       FRAME_END_CURRENT_ROW = 0x400,
       FRAME_START_OFFSET_PRECEDING = 0x800,
       FRAME_END_OFFSET_PRECEDING = 0x1000,
       FRAME_START_OFFSET_FOLLOWING = 0x2000,
       FRAME_END_OFFSET_FOLLOWING = 0x4000,
       FRAME_EXCLUDE_CURRENT_ROW = 0x8000,
       FRAME_EXCLUDE_GROUP = 0x10000,
       FRAME_EXCLUDE_TIES = 0x20000,
};

static uint32_t names_of(const PgQuery__FuncCall *call, str *names) {
    uint32_t n = 0;
    for (size_t i = 0; i < call->n_funcname && n < 3; i++) names[n++] = sql_name_of(call->funcname[i]);
    return n;
}

/* By its name alone: no function has the name of an aggregate. */
bool sql_is_aggregate_call(struct sql_context *cx, const PgQuery__FuncCall *call) {
    (void)cx;
    str names[3];
    uint32_t n = names_of(call, names), count = 0, others = 0;
    if (!n || (n > 1 && !str_eqc(names[n - 2], "pg_catalog"))) return false;
    pg_aggregates_named(names[n - 1], &count);
    pg_functions_named(names[n - 1], &others);
    return count > 0 && !others;
}

/* ---- what stands in the brackets ---- */

struct parts {
    struct sql_callee callee;
    sql_values args, fitted;
    sql_sorts sorts;
    str filter, condition; /* filter: with its words */
    struct sql_value sum;  /* flags and levels of all */
};

static err read_arguments(struct sql_context *cx, const PgQuery__FuncCall *call, struct parts *p) {
    str names[3], arg_names[SQL_ARGS_MAX] = {0};
    uint32_t n = names_of(call, names);
    TRY(sql_call_arguments(cx, call, &p->args, arg_names));
    if (call->agg_within_group) { /* the order is the last argument */
        TRY(sql_order_by(cx, call->agg_order, call->n_agg_order, NULL, NULL, true, &p->sorts));
        if (call->n_agg_order != 1) return sql_unsupported(cx, call->location, "WITHIN GROUP with other than one column", NULL);
        struct sql_value v;
        TRY(sql_expr(cx, call->agg_order[0]->sort_by->node, &v));
        TRY(sql_settle(cx, &v));
        if (!p->sorts.n) vec_push(cx->mem, &p->sorts, ((struct sql_sort){.text = v.text, .type = v.type})); /* a constant */
        vec_push(cx->mem, &p->args, v);
    } else {
        TRY(sql_order_by(cx, call->agg_order, call->n_agg_order, NULL, NULL, true, &p->sorts));
    }
    TRY(sql_find_function(cx, names, n, p->args.p, arg_names, p->args.n, call->func_variadic, call->location, &p->callee));
    TRY(sql_fit_arguments(cx, &p->callee, p->args.p, p->args.n, call->location, &p->fitted));
    for (uint32_t i = 0; i < p->fitted.n; i++) sql_inherit(&p->sum, &p->fitted.p[i]);
    return ERR_OK;
}

static err read_filter(struct sql_context *cx, const PgQuery__FuncCall *call, struct parts *p) {
    if (!call->agg_filter) return ERR_OK;
    struct sql_value v;
    TRY(sql_condition(cx, call->agg_filter, "FILTER", &v));
    sql_inherit(&p->sum, &v);
    p->condition = v.text;
    p->filter = sql_fmt(cx, " filter (where " STR_FMT ")", STR_ARG(v.text));
    return ERR_OK;
}

static err read_parts(struct sql_context *cx, const PgQuery__FuncCall *call, struct parts *p) {
    TRY(read_arguments(cx, call, p));
    return read_filter(cx, call, p);
}

/* ---- its text ---- */

static bool order_tells(const struct pg_function *f) {
    static const char *const names[] = {"array_agg", "string_agg",      "json_agg",
                                        "jsonb_agg", "json_object_agg", "jsonb_object_agg"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (!strcmp(f->name, names[i])) return true;
    return false;
}

static str key_spec(struct sql_context *cx, const struct sql_sort *s) {
    const char *collation = sql_type_collation(cx, s->type);
    return sql_fmt(cx, "%s %s %s", s->descending ? "desc" : "asc", s->nulls_first ? "first" : "last",
                   collation[0] ? collation : "binary");
}

/* N_ordered('distinct; asc last binary, …', keys, arguments) */
static err ordered(struct sql_context *cx, const PgQuery__FuncCall *call, struct parts *p, str *text) {
    const struct pg_function *f = p->callee.builtin;
    bool typed = f->how.typed;
    if (f->how.kind != PG_HOW_AGGREGATE)
        return sql_unsupported(cx, call->location, "ORDER BY or DISTINCT in this aggregate", NULL);
    VEC(str) specs = {0}, values = {0};
    for (uint32_t i = 0; i < p->sorts.n; i++) {
        vec_push(cx->mem, &specs, key_spec(cx, &p->sorts.p[i]));
        vec_push(cx->mem, &values, p->sorts.p[i].text);
    }
    if (call->agg_distinct) { /* the arguments are keys too: rows that are equal in all of them count once */
        for (uint32_t i = 0; i < p->fitted.n; i++) {
            bool there = false;
            for (uint32_t k = 0; k < values.n; k++) there |= str_eq(values.p[k], p->fitted.p[i].text);
            if (there) continue;
            struct sql_sort s = {.type = p->fitted.p[i].type};
            vec_push(cx->mem, &specs, key_spec(cx, &s));
            vec_push(cx->mem, &values, p->fitted.p[i].text);
        }
    }
    for (uint32_t i = 0; i < p->fitted.n; i++) {
        if (typed) vec_push(cx->mem, &values, sql_fmt(cx, "%u", p->fitted.p[i].type));
        vec_push(cx->mem, &values, p->fitted.p[i].text);
    }
    struct pg_how how = f->how;
    how.text = (const char *)sql_fmt(cx, "%s_ordered", f->how.text).p;
    str spec = sql_fmt(cx, "%s" STR_FMT, call->agg_distinct ? "distinct;" : "", STR_ARG(sql_joined(cx, specs.p, specs.n, ",")));
    *text = sql_fmt(cx, "%s(" STR_FMT "%s" STR_FMT ")", how.text, STR_ARG(sql_literal_text(cx->mem, spec)), values.n ? ", " : "",
                    STR_ARG(sql_joined(cx, values.p, values.n, ", ")));
    return ERR_OK;
}

/* framed: over a frame whose start moves: one that cannot take a row back begins anew for each. */
static err plain(struct sql_context *cx, const PgQuery__FuncCall *call, struct parts *p, bool framed, str *text) {
    struct sql_value args[SQL_ARGS_MAX], v;
    const struct pg_function *f = p->callee.builtin;
    struct pg_how how = f->how;
    if (framed && how.kind == PG_HOW_AGGREGATE) how.text = (const char *)sql_fmt(cx, "%s_framed", how.text).p;
    for (uint32_t i = 0; i < p->fitted.n; i++) args[i] = p->fitted.p[i];
    if (call->agg_distinct) {
        if (args[0].type == PG_JSON)
            return sql_refuse(cx, call->location, "42883", "could not identify an equality operator for type json");
        args[0].text = sql_fmt(cx, "distinct " STR_FMT STR_FMT, STR_ARG(args[0].text), STR_ARG(sql_collate(cx, args[0].type)));
    }
    TRY(sql_apply_how(cx, &how, f->flags & ~(uint32_t)PG_STRICT, args, p->fitted.n, p->callee.result, -1, false, &v));
    *text = v.text;
    if (text->n > 1 && text->p[0] == '(') *text = str_sub(*text, 1, text->n - 2); /* FILTER and OVER follow */
    return ERR_OK;
}

/* The last argument is what is sorted: an array of it, without nulls. */
static err within_group(struct sql_context *cx, const PgQuery__FuncCall *call, struct parts *p, str *text) {
    const struct pg_function *f = p->callee.builtin;
    if (!(f->flags & PG_ORDERED))
        return sql_refuse(cx, call->location, "42809", "%s is not an ordered-set aggregate, so it cannot have WITHIN GROUP",
                          f->name);
    if (call->agg_distinct) return sql_refuse(cx, call->location, "0A000", "cannot use DISTINCT with WITHIN GROUP");
    struct sql_value *last = &p->fitted.p[p->fitted.n - 1], v;
    struct sql_sort key = p->sorts.p[0];
    key.type = last->type;
    str spec = sql_literal_text(cx->mem, key_spec(cx, &key));
    str there = p->condition.n ? sql_fmt(cx, STR_FMT " and ", STR_ARG(p->condition)) : (str){0};
    last->text =
        sql_fmt(cx, "pg_array_agg_ordered(" STR_FMT ", " STR_FMT ", " STR_FMT ") filter (where " STR_FMT STR_FMT " is not null)",
                STR_ARG(spec), STR_ARG(last->text), STR_ARG(last->text), STR_ARG(there), STR_ARG(last->text));
    TRY(sql_apply_how(cx, &f->how, f->flags & ~(uint32_t)PG_STRICT, p->fitted.p, p->fitted.n, p->callee.result, -1, false, &v));
    *text = v.text;
    p->filter = (str){0};
    return ERR_OK;
}

static err aggregate_text(struct sql_context *cx, const PgQuery__FuncCall *call, struct parts *p, str *text) {
    const struct pg_function *f = p->callee.builtin;
    if (!p->callee.aggregate || !f) return sql_refuse(cx, call->location, "42809", "it is not an aggregate function");
    if (call->agg_within_group) return within_group(cx, call, p, text);
    if (f->flags & PG_ORDERED)
        return sql_refuse(cx, call->location, "42809", "WITHIN GROUP is required for ordered-set aggregate %s", f->name);
    if (call->agg_distinct) {
        for (uint32_t i = 0; i < p->sorts.n; i++) {
            bool found = false;
            for (uint32_t k = 0; k < p->fitted.n; k++) found |= str_eq(p->fitted.p[k].text, p->sorts.p[i].text);
            if (!found)
                return sql_refuse(cx, call->location, "42P10",
                                  "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list");
        }
    }
    bool sorted = order_tells(f) && (p->sorts.n || call->agg_distinct);
    return sorted || (call->agg_distinct && p->fitted.n > 1) ? ordered(cx, call, p, text) : plain(cx, call, p, false, text);
}

/* ---- aggregates ---- */

err sql_aggregate(struct sql_context *cx, const PgQuery__FuncCall *call, struct sql_value *out) {
    struct sql_scope *s = cx->scope;
    if (!s || s->no_aggregates)
        return sql_refuse(cx, call->location, "42803", "aggregate functions are not allowed in %s",
                          s && s->clause ? s->clause : "this expression");
    if (s->reads_aggregate) return sql_refuse(cx, call->location, "42803", "aggregate function calls cannot be nested");
    bool allows_set = s->allows_set, no_windows = s->no_windows;
    const char *clause = s->clause;
    s->reads_aggregate = s->no_windows = true;
    s->allows_set = false;
    s->clause = "aggregate functions";
    struct parts p = {0};
    err e = read_parts(cx, call, &p);
    s->reads_aggregate = false;
    s->no_windows = no_windows;
    s->allows_set = allows_set;
    s->clause = clause;
    TRY(e);
    s->has_aggregate = true;
    str text;
    TRY(aggregate_text(cx, call, &p, &text));
    *out = (struct sql_value){.type = p.callee.result, .typmod = -1, .location = call->location};
    sql_inherit(out, &p.sum);
    out->flags |= SQL_AGGREGATE;
    if (!(p.callee.builtin->flags & PG_SAFE)) out->flags |= SQL_RAISES;
    if (!strcmp(p.callee.builtin->name, "count")) out->flags |= SQL_NOT_NULL;
    out->text = p.filter.n ? sql_fmt(cx, STR_FMT STR_FMT, STR_ARG(text), STR_ARG(p.filter)) : text;
    return ERR_OK;
}

/* ---- windows ---- */

struct over {
    str partition, order, frame;
    sql_sorts sorts;
    bool ordered, framed, moves; /* moves: its start does, or rows within it are left out */
    struct sql_value sum;
};

/* Of a constant's text. False: it is none. */
static bool constant_of(struct sql_context *cx, const struct sql_value *v, struct db_value *out) {
    struct buf b = {0};
    str s = v->text;
    *out = DB_NOTHING;
    if (v->flags & SQL_NULL) return true;
    if (!(v->flags & SQL_CONSTANT) || !s.n) return false;
    if (s.p[0] == '\'') {
        for (size_t i = 1; i + 1 < s.n; i++) {
            buf_putc(&b, s.p[i]);
            if (s.p[i] == '\'') i++;
        }
        *out = DB_TEXT(arena_str(cx->mem, buf_str(&b)));
        buf_free(&b);
        return true;
    }
    if (s.p[0] == '(' && s.n > 2) s = str_sub(s, 1, s.n - 2);
    const char *number = arena_cstr(cx->mem, s);
    char *end;
    *out = v->type == PG_FLOAT8 ? DB_F64(strtod(number, &end)) : DB_I64(strtoll(number, &end, 10));
    return end != number && !*end;
}

/* An argument, or a variable, alone. */
static bool is_argument(const struct sql_value *v) {
    struct catalog_mark m = {0};
    return catalog_mark_next(v->text, 0, &m) && m.kind == 'A' && !m.at && m.end == v->text.n;
}

/* SQLite takes a number there, or an argument, and calls no function. */
static err frame_distance(struct sql_context *cx, const struct sql_value *v, bool clock, str *text) {
    struct db_value args[2] = {DB_NOTHING, DB_I64(clock)}, out;
    const char *how = v->type == PG_INTERVAL  ? "pg_frame_interval"
                      : v->type == PG_NUMERIC ? "pg_frame_numeric"
                                              : "pg_frame_offset";
    if (!constant_of(cx, v, &args[0])) {
        bool argument = is_argument(v) && (v->type == PG_INT8 || v->type == PG_FLOAT8);
        *text = v->text;
        return argument ? ERR_OK
                        : sql_unsupported(cx, v->location, "a window frame in RANGE with an offset that is no constant",
                                          "Use ROWS, or a join.");
    }
    TRY(sql_constant_call(cx, how, args, 2, v->location, &out));
    *text = out.kind == DB_REAL ? sql_fmt(cx, "%.17g", out.f) : sql_fmt(cx, "%lld", (long long)out.i);
    return ERR_OK;
}

/* How far a frame goes in RANGE: in what the rows are ordered by, which is a number for that. */
static err range_offset(struct sql_context *cx, struct sql_value *v, struct over *o, str *text) {
    if (o->sorts.n != 1)
        return sql_refuse(cx, v->location, "42P20", "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column");
    struct sql_sort key = o->sorts.p[0];
    bool can = true, days = key.type == PG_DATE, clock = key.type == PG_TIME;
    switch (key.type) {
    case PG_INT2:
    case PG_INT4:
    case PG_INT8: TRY(sql_coerce(cx, v, PG_INT8, -1, PG_IMPLICIT, &can)); break;
    case PG_FLOAT4:
    case PG_FLOAT8:
        if (v->flags & SQL_CONSTANT && (v->type == PG_NUMERIC || v->type == PG_INT4)) { /* its digits are its text */
            struct db_value digits;
            if (constant_of(cx, v, &digits) && digits.kind == DB_TEXTUAL) v->text = digits.s, v->type = PG_FLOAT8;
            else if (digits.kind == DB_INTEGER) v->type = PG_FLOAT8;
        }
        TRY(sql_coerce(cx, v, PG_FLOAT8, -1, PG_IMPLICIT, &can));
        break;
    case PG_NUMERIC:
        TRY(sql_coerce(cx, v, PG_NUMERIC, -1, PG_IMPLICIT, &can));
        key.text = sql_fmt(cx, "pg_frame_key(" STR_FMT ")", STR_ARG(key.text));
        break;
    case PG_DATE:
    case PG_TIME:
    case PG_TIMESTAMP:
    case PG_TIMESTAMPTZ:
        TRY(sql_coerce(cx, v, PG_INTERVAL, -1, PG_IMPLICIT, &can));
        if (days) key.text = sql_fmt(cx, "(" STR_FMT " * 86400000000)", STR_ARG(key.text));
        break;
    case PG_INTERVAL:
    case PG_TIMETZ: return sql_unsupported(cx, v->location, "a window frame in RANGE with an offset, of this type", "Use ROWS.");
    default: {
        err e = sql_refuse(cx, v->location, "0A000",
                           "RANGE with offset PRECEDING/FOLLOWING is not supported for column type " STR_FMT,
                           STR_ARG(sql_type_name(cx, key.type)));
        return e;
    }
    }
    if (!can) {
        err e = sql_refuse(cx, v->location, "0A000",
                           "RANGE with offset PRECEDING/FOLLOWING is not supported for column type " STR_FMT
                           " and offset type " STR_FMT,
                           STR_ARG(sql_type_name(cx, key.type)), STR_ARG(sql_type_name(cx, v->type)));
        sql_hint(cx, "Cast the offset value to an appropriate type.");
        return e;
    }
    TRY(frame_distance(cx, v, clock, text));
    if (key.type == PG_NUMERIC) key.type = PG_INT8;
    sql_sorts one = {0};
    vec_push(cx->mem, &one, key);
    o->order = sql_sorts_text(cx, &one);
    o->sum.flags |= SQL_RAISES;
    return ERR_OK;
}

static err window_offset(struct sql_context *cx, const PgQuery__Node *node, int options, struct over *o, str *text) {
    struct sql_value v;
    TRY(sql_expr(cx, node, &v));
    if (options & FRAME_RANGE) {
        TRY(range_offset(cx, &v, o, text));
        sql_inherit(&o->sum, &v);
        return ERR_OK;
    }
    TRY(sql_coerce_to(cx, &v, PG_INT8, -1, PG_ASSIGNMENT));
    if (v.flags & SQL_CONSTANT && v.text.n && v.text.p[0] == '(')
        return sql_refuse(cx, v.location, "22013", "frame starting offset must not be negative");
    if (v.flags & SQL_NULL) return sql_refuse(cx, v.location, "22004", "frame starting offset must not be null");
    if (!(v.flags & SQL_CONSTANT) && !is_argument(&v))
        return sql_unsupported(cx, v.location, "a window frame with an offset that is no constant",
                               "Put the number into a variable.");
    sql_inherit(&o->sum, &v);
    *text = v.text;
    return ERR_OK;
}

static err frame_bound(struct sql_context *cx, int options, bool is_end, const PgQuery__Node *offset, struct over *o, str *text) {
    static const struct {
        int start, end;
        const char *text;
        bool offset;
    } rows[] = {{FRAME_START_UNBOUNDED_PRECEDING, FRAME_END_UNBOUNDED_PRECEDING, "unbounded preceding", false},
                {FRAME_START_UNBOUNDED_FOLLOWING, FRAME_END_UNBOUNDED_FOLLOWING, "unbounded following", false},
                {FRAME_START_CURRENT_ROW, FRAME_END_CURRENT_ROW, "current row", false},
                {FRAME_START_OFFSET_PRECEDING, FRAME_END_OFFSET_PRECEDING, "preceding", true},
                {FRAME_START_OFFSET_FOLLOWING, FRAME_END_OFFSET_FOLLOWING, "following", true}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!(options & (is_end ? rows[i].end : rows[i].start))) continue;
        if (!rows[i].offset) {
            *text = str_c(rows[i].text);
            return ERR_OK;
        }
        str value = {0};
        TRY(window_offset(cx, offset, options, o, &value));
        *text = sql_fmt(cx, STR_FMT " %s", STR_ARG(value), rows[i].text);
        return ERR_OK;
    }
    *text = STR("current row");
    return ERR_OK;
}

static const char *exclude_of(int options) {
    return options & FRAME_EXCLUDE_CURRENT_ROW ? " exclude current row"
           : options & FRAME_EXCLUDE_GROUP     ? " exclude group"
           : options & FRAME_EXCLUDE_TIES      ? " exclude ties"
                                               : "";
}

static err frame(struct sql_context *cx, const PgQuery__WindowDef *w, struct over *o) {
    int options = w->frame_options;
    if (!(options & FRAME_NONDEFAULT)) return ERR_OK;
    str start, end;
    o->framed = true;
    if (options & FRAME_GROUPS && !o->ordered)
        return sql_refuse(cx, w->location, "42P20", "GROUPS mode requires an ORDER BY clause");
    TRY(frame_bound(cx, options, false, w->start_offset, o, &start));
    TRY(frame_bound(cx, options, true, w->end_offset, o, &end));
    o->moves = !(options & FRAME_START_UNBOUNDED_PRECEDING) || exclude_of(options)[0];
    const char *mode = options & FRAME_ROWS ? "rows" : options & FRAME_GROUPS ? "groups" : "range";
    o->frame = sql_fmt(cx, " %s between " STR_FMT " and " STR_FMT "%s", mode, STR_ARG(start), STR_ARG(end), exclude_of(options));
    return ERR_OK;
}

static err read_over(struct sql_context *cx, const PgQuery__WindowDef *w, struct over *o);

static err named_window(struct sql_context *cx, str name, int32_t location, struct over *o) {
    for (uint32_t i = 0; i < cx->scope->windows.n; i++)
        if (str_eq(cx->scope->windows.p[i].name, name)) {
            TRY(sql_enter(cx, location));
            err e = read_over(cx, cx->scope->windows.p[i].def, o);
            sql_leave(cx);
            return e;
        }
    return sql_refuse(cx, location, "42704", "window \"" STR_FMT "\" does not exist", STR_ARG(name));
}

static err partition(struct sql_context *cx, const PgQuery__WindowDef *w, struct over *o) {
    VEC(str) parts = {0};
    for (size_t i = 0; i < w->n_partition_clause; i++) {
        struct sql_value v;
        TRY(sql_expr(cx, w->partition_clause[i], &v));
        TRY(sql_settle(cx, &v));
        if (v.row) return sql_unsupported(cx, w->location, "PARTITION BY a row", "Name its columns.");
        sql_inherit(&o->sum, &v);
        vec_push(cx->mem, &parts, sql_fmt(cx, STR_FMT STR_FMT, STR_ARG(v.text), STR_ARG(sql_collate(cx, v.type))));
    }
    o->partition = sql_joined(cx, parts.p, parts.n, ", ");
    return ERR_OK;
}

/* What OVER says, with the window that it builds upon. */
static err read_over(struct sql_context *cx, const PgQuery__WindowDef *w, struct over *o) {
    if (w->refname && w->refname[0]) {
        TRY(named_window(cx, str_c(w->refname), w->location, o));
        if (w->n_partition_clause)
            return sql_refuse(cx, w->location, "42P20", "cannot override PARTITION BY clause of window \"%s\"", w->refname);
        if (w->n_order_clause && o->ordered)
            return sql_refuse(cx, w->location, "42P20", "cannot override ORDER BY clause of window \"%s\"", w->refname);
        if (o->framed)
            return sql_refuse(cx, w->location, "42P20", "cannot copy window \"%s\" because it has a frame clause", w->refname);
    } else {
        TRY(partition(cx, w, o));
    }
    if (w->n_order_clause) {
        sql_sorts sorts = {0};
        TRY(sql_order_by(cx, w->order_clause, w->n_order_clause, NULL, NULL, true, &sorts));
        o->order = sql_sorts_text(cx, &sorts);
        o->sorts = sorts;
        o->ordered = true;
    }
    return frame(cx, w, o);
}

static err over_text(struct sql_context *cx, const PgQuery__WindowDef *w, struct over *o, str *text) {
    if (w->name && w->name[0]) TRY(named_window(cx, str_c(w->name), w->location, o));
    else TRY(read_over(cx, w, o));
    *text = sql_fmt(cx, " over (%s" STR_FMT "%s" STR_FMT STR_FMT ")", o->partition.n ? "partition by " : "",
                    STR_ARG(o->partition), o->order.n ? " order by " : "", STR_ARG(o->order), STR_ARG(o->frame));
    return ERR_OK;
}

err sql_window_call(struct sql_context *cx, const PgQuery__FuncCall *call, struct sql_value *out) {
    struct sql_scope *s = cx->scope;
    if (!s || s->no_windows || s->no_aggregates)
        return sql_refuse(cx, call->location, "42P20", "window functions are not allowed in %s",
                          s && s->clause ? s->clause : "this expression");
    bool allows_set = s->allows_set;
    const char *clause = s->clause;
    s->no_windows = true;
    s->allows_set = false;
    s->clause = "window functions";
    struct parts p = {0};
    struct over o = {0};
    str over = {0};
    err e = read_parts(cx, call, &p);
    if (e == ERR_OK) e = over_text(cx, call->over, &o, &over);
    s->no_windows = false;
    s->allows_set = allows_set;
    s->clause = clause;
    TRY(e);
    s->has_window = true;
    const struct pg_function *f = p.callee.builtin;
    if (!f || !p.callee.aggregate)
        return sql_refuse(cx, call->location, "42809",
                          "OVER specified, but it is not a window function nor an aggregate function");
    if (call->agg_distinct) return sql_refuse(cx, call->location, "0A000", "DISTINCT is not implemented for window functions");
    if (call->n_agg_order)
        return sql_refuse(cx, call->location, "0A000", "aggregate ORDER BY is not implemented for window functions");
    bool of_null = !strcmp(f->name, "ntile") && p.fitted.p[0].flags & SQL_NULL; /* which SQLite refuses: null for each row */
    str text;
    if (of_null) p.fitted.p[0].text = STR("1");
    TRY(plain(cx, call, &p, o.moves, &text));
    *out = (struct sql_value){.type = p.callee.result, .typmod = -1, .location = call->location, .flags = SQL_WINDOWED};
    sql_inherit(out, &p.sum);
    sql_inherit(out, &o.sum);
    if (!(f->flags & PG_SAFE)) out->flags |= SQL_RAISES;
    out->text = sql_fmt(cx, STR_FMT STR_FMT STR_FMT, STR_ARG(text), STR_ARG(p.filter), STR_ARG(over));
    if (of_null) out->text = sql_fmt(cx, "case when 0 then " STR_FMT " end", STR_ARG(out->text));
    return ERR_OK;
}
