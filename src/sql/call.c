/* call: functions, once it is known which one is meant: arguments are fitted, then a row of pg's tables is printed, or a function of the
 * catalogue is taken in (inline.c). Aggregates and windows are aggregate.c's.
 */
#include "sql/translate_int.h"

/* ---- rows of pg's tables ---- */

static bool takes_any(const struct pg_how *how) { return how->kind == PG_HOW_CTS; }

/* A template stands in brackets, unless it is a call from its first letter to its end. */
static bool is_one_call(const char *t) {
    size_t i = 0;
    while ((t[i] >= 'a' && t[i] <= 'z') || (t[i] >= '0' && t[i] <= '9') || t[i] == '_') i++;
    if (!i || t[i] != '(') return false;
    int depth = 0;
    for (; t[i]; i++) {
        depth += t[i] == '(' ? 1 : t[i] == ')' ? -1 : 0;
        if (!depth) return !t[i + 1];
    }
    return false;
}

err sql_apply_how(struct sql_context *cx, const struct pg_how *how, uint32_t flags, const struct sql_value *args, uint32_t n,
                  uint32_t result, int32_t typmod, bool is_explicit, struct sql_value *out) {
    struct pg_print_arg print_args[SQL_ARGS_MAX + 1];
    bool calls = how->kind != PG_HOW_AGGREGATE && how->kind != PG_HOW_SET;
    for (uint32_t i = 0; calls && flags & PG_STRICT && i < n; i++)
        if (args[i].flags & SQL_NULL) { /* as PostgreSQL's planner: nothing else of it is evaluated */
            *out = sql_null_of(result);
            return ERR_OK;
        }
    *out = (struct sql_value){.type = result, .typmod = -1, .location = n ? args[0].location : -1};
    for (uint32_t i = 0; i < n; i++) {
        if (args[i].row)
            return sql_unsupported(cx, args[i].location, "a row as an argument of this function",
                                   "Name its columns, or cast it to a type.");
        print_args[i] = (struct pg_print_arg){args[i].text, args[i].type, sql_type_collation(cx, args[i].type)};
        sql_inherit(out, &args[i]);
    }
    if (takes_any(how) && 2 * n > SQL_ARGS_MAX)
        return sql_unsupported(cx, n ? args[0].location : -1, "a call with more than 50 arguments", "Join two of them.");
    struct buf b = {0};
    struct pg_print with = {print_args, n, result, typmod, is_explicit};
    bool brackets = how->kind == PG_HOW_SQL && !is_one_call(how->text);
    if (brackets) buf_putc(&b, '(');
    pg_how_print(&b, how, &with);
    if (brackets) buf_putc(&b, ')');
    out->text = arena_str(cx->mem, buf_str(&b));
    cx->work += b.n;
    buf_free(&b);
    if (!(flags & PG_SAFE)) out->flags |= SQL_RAISES;
    if (flags & PG_VOLATILE) out->flags |= SQL_VOLATILE;
    if (flags & PG_STABLE) out->flags |= SQL_SESSION;
    if (calls) sql_shield(cx, out);
    return sql_check_size(cx, out->text, out->location);
}

/* ---- rows as arguments ---- */

static err row_json(struct sql_context *cx, const struct sql_value *row, bool jsonb, struct sql_value *out);

static err json_pairs(struct sql_context *cx, const struct sql_value *row, sql_values *pairs, bool jsonb) {
    for (uint32_t i = 0; i < row->row->n; i++) {
        struct sql_value name = sql_constant(cx, PG_TEXT, DB_TEXT(row->row->names[i])), v = row->row->values[i];
        TRY(sql_settle(cx, &v));
        if (v.row) {
            struct sql_value inner;
            TRY(row_json(cx, &v, jsonb, &inner));
            v = inner;
        }
        vec_push(cx->mem, pairs, name);
        vec_push(cx->mem, pairs, v);
    }
    return ERR_OK;
}

/* {"column": value, …}; null where there is no row. More columns than SQLite has arguments: in parts. */
static err row_json(struct sql_context *cx, const struct sql_value *row, bool jsonb, struct sql_value *out) {
    enum { PART = 48 };
    sql_values pairs = {0};
    TRY(json_pairs(cx, row, &pairs, jsonb));
    for (uint32_t at = 0; at < pairs.n || !at; at += PART) {
        struct sql_value part;
        uint32_t n = MIN(PART, pairs.n - at);
        struct pg_how how = {.kind = PG_HOW_CTS, .text = "pg_row_to_json"};
        if (jsonb) TRY(sql_call_builtin(cx, "jsonb_build_object", pairs.p + at, n, row->location, &part));
        else TRY(sql_apply_how(cx, &how, PG_STABLE, pairs.p + at, n, PG_JSON, -1, false, &part));
        if (at && !jsonb) {
            str joined = sql_fmt(cx, "pg_json_joined(" STR_FMT ", " STR_FMT ")", STR_ARG(out->text), STR_ARG(part.text));
            sql_inherit(&part, out);
            part.text = joined;
        } else if (at) {
            struct sql_value sum;
            TRY(sql_apply_operator(cx, STR("||"), out, &part, row->location, &sum));
            part = sum;
        }
        *out = part;
        if (!pairs.n) break;
    }
    if (row->row->present.n)
        out->text = sql_fmt(cx, "(case when " STR_FMT " then " STR_FMT " end)", STR_ARG(row->row->present), STR_ARG(out->text));
    out->location = row->location;
    return ERR_OK;
}

/* A row as a query's column is what a client is told of it: JSON. */
err sql_row_shown(struct sql_context *cx, struct sql_value *v) {
    sql_pack(cx, v);
    if (!v->row) return ERR_OK;
    struct sql_value row = *v;
    return row_json(cx, &row, row.row->n > 24, v);
}

/* (1,"a b"): as PostgreSQL prints a row; null where there is none. */
err sql_row_text(struct sql_context *cx, struct sql_value *v) {
    enum { PART = 48 };
    sql_values fields = {0};
    sql_texts parts = {0};
    struct pg_how how = {.kind = PG_HOW_CTS, .text = "pg_row_fields"};
    struct sql_value row = *v;
    for (uint32_t i = 0; i < row.row->n; i++) {
        struct sql_value f = row.row->values[i];
        TRY(sql_settle(cx, &f));
        if (f.row) TRY(sql_row_text(cx, &f));
        vec_push(cx->mem, &fields, f);
    }
    *v = (struct sql_value){.type = PG_TEXT, .typmod = -1, .location = row.location};
    for (uint32_t at = 0; at < fields.n; at += PART) {
        struct sql_value part;
        TRY(sql_apply_how(cx, &how, PG_STABLE, fields.p + at, MIN(PART, fields.n - at), PG_TEXT, -1, false, &part));
        vec_push(cx->mem, &parts, part.text);
        sql_inherit(v, &part);
        v->flags |= part.flags & SQL_RAISES;
    }
    v->text = sql_fmt(cx, "('(' || " STR_FMT " || ')')",
                      STR_ARG(parts.n ? sql_joined(cx, parts.p, parts.n, " || ',' || ") : STR("''")));
    if (row.row->present.n)
        v->text = sql_fmt(cx, "(case when " STR_FMT " then " STR_FMT " end)", STR_ARG(row.row->present), STR_ARG(v->text));
    return ERR_OK;
}

static bool wants_text(const char *name) {
    static const char *const names[] = {"format", "concat", "concat_ws", "||", "quote_literal", "quote_nullable"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (!strcmp(name, names[i])) return true;
    return false;
}

static bool wants_json(const char *name) { return strstr(name, "json") && !strstr(name, "jsonb"); }

static err fit_row(struct sql_context *cx, const struct sql_callee *callee, struct sql_value *v) {
    if (callee->own) sql_unpack(cx, v);
    if (!v->row || callee->own) return ERR_OK;
    if (sql_is_composite(cx, v->type)) return sql_pack(cx, v), ERR_OK;
    struct sql_value json;
    if (!strcmp(callee->builtin->name, "count")) { /* of rows that are there */
        v->text = v->row->present.n ? sql_fmt(cx, "(case when " STR_FMT " then 1 end)", STR_ARG(v->row->present)) : STR("1");
        v->row = NULL;
        v->type = PG_INT4;
        return ERR_OK;
    }
    if (wants_text(callee->builtin->name)) return sql_row_text(cx, v);
    if (!strstr(callee->builtin->name, "json")) return ERR_OK;
    TRY(row_json(cx, v, !wants_json(callee->builtin->name), &json));
    *v = json;
    return ERR_OK;
}

/* ---- arguments ---- */

err sql_call_arguments(struct sql_context *cx, const PgQuery__FuncCall *call, sql_values *args, str *names) {
    if (call->n_args > SQL_ARGS_MAX)
        return sql_refuse(cx, call->location, "54023", "cannot pass more than %d arguments to a function", SQL_ARGS_MAX);
    bool named = false;
    for (size_t i = 0; i < call->n_args; i++) {
        const PgQuery__Node *node = call->args[i];
        struct sql_value v;
        if (node->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR) {
            names[i] = str_c(node->named_arg_expr->name);
            node = node->named_arg_expr->arg;
            named = true;
        } else if (named) {
            return sql_refuse(cx, call->location, "42601", "positional argument cannot follow named argument");
        }
        TRY(sql_expr(cx, node, &v));
        vec_push(cx->mem, args, v);
    }
    return ERR_OK;
}

static err default_of(struct sql_context *cx, const struct sql_callee *callee, uint32_t i, int32_t location,
                      struct sql_value *out) {
    uint32_t slot = callee->slots[i];
    if (callee->builtin) {
        *out = (struct sql_value){
            .text = callee->builtin->params[slot].dflt, .type = callee->params[i], .typmod = -1, .location = location};
        return ERR_OK;
    }
    uint32_t input = 0;
    for (uint32_t k = 0; k < callee->own->arguments.n; k++) {
        const struct catalog_argument *a = &callee->own->arguments.p[k];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN || input++ != slot) continue;
        if (!a->default_value.fragment.text.n)
            return sql_unsupported(cx, location, "this default of an argument",
                                   (const char *)arena_cstr(cx->mem, a->default_value.why_not));
        const struct catalog_fragment *f = &a->default_value.fragment;
        *out = (struct sql_value){.text = sql_fmt(cx, "(" STR_FMT ")", STR_ARG(f->text)),
                                  .type = f->type ? f->type : a->type,
                                  .typmod = -1,
                                  .location = location};
        out->flags = (f->flags & CATALOG_SAFE ? 0 : SQL_RAISES) | (f->flags & CATALOG_VOLATILE ? SQL_VOLATILE : 0) |
                     (f->flags & CATALOG_SESSION ? SQL_SESSION : 0) | (f->flags & CATALOG_SUBQUERY ? SQL_SUBQUERY : 0);
        return ERR_OK;
    }
    return ERR_INVALID;
}

err sql_fit_arguments(struct sql_context *cx, const struct sql_callee *callee, const struct sql_value *args, uint32_t n,
                      int32_t location, sql_values *out) {
    sql_values spread = {0};
    (void)n;
    /* by parameter: names may have come in another order */
    struct sql_value by_slot[SQL_ARGS_MAX];
    uint32_t slots = 0;
    for (uint32_t i = 0; i < callee->n; i++) {
        struct sql_value v;
        if (callee->filled[i] < 0) TRY(default_of(cx, callee, i, location, &v));
        else v = args[callee->filled[i]];
        bool was_row = v.row;
        TRY(fit_row(cx, callee, &v));
        if (was_row && !v.row) {
            /* it has become JSON */
        } else if (callee->params[i] == PG_ANY) {
            TRY(sql_settle(cx, &v));
        } else {
            bool can;
            uint32_t from = v.type;
            TRY(sql_coerce(cx, &v, callee->params[i], -1, PG_IMPLICIT, &can));
            if (!can)
                return sql_refuse(cx, v.location, "42846", "cannot cast type " STR_FMT " to " STR_FMT,
                                  STR_ARG(sql_type_name(cx, from)), STR_ARG(sql_type_name(cx, callee->params[i])));
        }
        if (i >= callee->variadic_from) {
            vec_push(cx->mem, &spread, v);
        } else {
            uint32_t slot = callee->variadic_from == UINT32_MAX ? callee->slots[i] : i;
            by_slot[slot] = v;
            slots = MAX(slots, slot + 1);
        }
    }
    for (uint32_t i = 0; i < slots; i++) vec_push(cx->mem, out, by_slot[i]);
    if (callee->variadic_from >= callee->n) return ERR_OK;
    struct sql_value array;
    TRY(sql_array_of(cx, spread.p, spread.n, sql_array_type(cx, callee->variadic_element), location, &array));
    vec_push(cx->mem, out, array);
    return ERR_OK;
}

/* ---- sequences ---- */

/* nextval('s') and its kin, of a sequence that is known now. */
static err sequence_call(struct sql_context *cx, str name, const struct sql_value *args, uint32_t n, int32_t location,
                         struct sql_value *out, bool *done) {
    if ((*done = !n && str_eqc(name, "pg_trigger_depth"))) {
        *out = (struct sql_value){.text = STR("query_trigger_depth()"),
                                  .type = PG_INT4,
                                  .typmod = -1,
                                  .flags = SQL_SESSION | SQL_NOT_NULL,
                                  .location = location};
        return ERR_OK;
    }
    static const char *const names[] = {"nextval", "currval", "setval", "lastval"};
    *done = false;
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) *done |= str_eqc(name, names[i]);
    if (!*done) return ERR_OK;
    VEC(str) parts = {0};
    static const uint32_t types[] = {PG_REGCLASS, PG_INT8, PG_BOOL};
    uint32_t wanted = str_eqc(name, "lastval") ? 0 : str_eqc(name, "setval") ? 2 : 1;
    if (n < wanted || n > (wanted == 2 ? 3 : wanted)) {
        *done = false;
        return ERR_OK;
    }
    *out = (struct sql_value){.type = PG_INT8, .typmod = -1, .flags = SQL_VOLATILE | SQL_RAISES, .location = location};
    for (uint32_t i = 0; i < n; i++) {
        struct sql_value v = args[i];
        if (!i && v.type == PG_TEXT && v.flags & SQL_CONSTANT)
            return sql_unsupported(cx, location, "a sequence's name as an expression", "Write it as a literal.");
        TRY(sql_coerce_to(cx, &v, types[i], -1, PG_IMPLICIT));
        vec_push(cx->mem, &parts, v.text);
        sql_inherit(out, &v);
    }
    out->text = sql_fmt(cx, "pg_" STR_FMT "(" STR_FMT ")", STR_ARG(name), STR_ARG(sql_joined(cx, parts.p, parts.n, ", ")));
    return ERR_OK;
}

/* ---- calls ---- */

static err set_in_list(struct sql_context *cx, const struct sql_callee *callee, const sql_values *args, int32_t location,
                       struct sql_value *out) {
    struct sql_scope *s = cx->scope;
    if (!s || !s->allows_set)
        return sql_refuse(cx, location, "0A000", "set-returning functions are not allowed in %s",
                          s && s->clause ? s->clause : "this expression");
    for (uint32_t i = 0; i < args->n; i++)
        if (args->p[i].flags & (SQL_AGGREGATE | SQL_WINDOWED | SQL_SET))
            return sql_unsupported(cx, location, "a set-returning function of an aggregate or another set",
                                   "Put the argument into a subquery.");
    struct sql_item item = {.alias = sql_alias(cx), .name = callee->own ? callee->own->name : str_c(callee->builtin->name)};
    str text;
    if (callee->own) TRY(sql_inline_set(cx, callee->own, args->p, args->n, location, &item, &text));
    else TRY(sql_builtin_set(cx, callee->builtin, args->p, args->n, callee->result, false, &item, &text));
    if (s->zips) {
        text = sql_rows_json(cx, item.columns, item.n, text);
        for (uint32_t i = 0; i < item.n; i++) {
            item.columns[i].value.text = sql_cell(cx, s->zip_alias, s->zip_columns++, item.columns[i].value.type);
            item.columns[i].value.flags &= ~(uint32_t)SQL_NOT_NULL;
        }
    }
    vec_push(cx->mem, &s->sets, text);
    *out = item.n == 1 ? item.columns[0].value : sql_row_of_item(cx, &item);
    out->flags |= SQL_SET;
    out->location = location;
    return ERR_OK;
}

static err call_callee(struct sql_context *cx, const struct sql_callee *callee, const struct sql_value *args, uint32_t n,
                       bool condition, int32_t location, struct sql_value *out) {
    if (callee->is_cast) {
        *out = args[0];
        return sql_coerce_to(cx, out, callee->result, -1, PG_EXPLICIT);
    }
    if (callee->aggregate) return sql_refuse(cx, location, "42803", "aggregate functions are not allowed here");
    sql_values fitted = {0};
    TRY(sql_fit_arguments(cx, callee, args, n, location, &fitted));
    if ((callee->own && callee->own->set) || (callee->builtin && callee->builtin->how.kind == PG_HOW_SET))
        return set_in_list(cx, callee, &fitted, location, out);
    if (callee->own) return sql_inline_scalar(cx, callee->own, fitted.p, fitted.n, condition, location, out);
    TRY(sql_apply_how(cx, &callee->builtin->how, callee->builtin->flags, fitted.p, fitted.n, callee->result, -1, false, out));
    out->location = location;
    return ERR_OK;
}

err sql_call_named(struct sql_context *cx, const str *names, uint32_t names_n, const struct sql_value *args, uint32_t n,
                   int32_t location, struct sql_value *out) {
    struct sql_callee callee;
    str none[SQL_ARGS_MAX] = {0};
    TRY(sql_find_function(cx, names, names_n, args, none, n, false, location, &callee));
    return call_callee(cx, &callee, args, n, false, location, out);
}

err sql_call_builtin(struct sql_context *cx, const char *name, const struct sql_value *args, uint32_t n, int32_t location,
                     struct sql_value *out) {
    str names[2] = {STR("pg_catalog"), str_c(name)};
    return sql_call_named(cx, names, 2, args, n, location, out);
}

/* jsonb_populate_record(base, value) as a value: a row */
static err populate_call(struct sql_context *cx, str name, const sql_values *args, struct sql_value *out, bool *done) {
    bool set;
    uint32_t type = sql_populates(name, &set);
    *done = type != UINT32_MAX && !set && args->n >= 2 && sql_is_row_type(cx, args->p[0].type);
    if (!*done) return ERR_OK;
    struct sql_value j = args->p[1];
    TRY(sql_coerce_to(cx, &j, type, -1, PG_IMPLICIT));
    TRY(sql_populated(cx, &args->p[0], j.text, out));
    for (uint32_t i = 0; i < out->row->n; i++) sql_inherit((struct sql_value *)&out->row->values[i], &j);
    sql_inherit(out, &j);
    return ERR_OK;
}

/* to_json(row), row_to_json(row), to_jsonb(row) */
static err row_call(struct sql_context *cx, str name, const struct sql_value *v, struct sql_value *out, bool *done) {
    bool json = str_eqc(name, "row_to_json") || str_eqc(name, "to_json"), jsonb = str_eqc(name, "to_jsonb");
    *done = v->row && (json || jsonb);
    return *done ? row_json(cx, v, jsonb, out) : ERR_OK;
}

static err plain_arguments_only(struct sql_context *cx, const PgQuery__FuncCall *call, str name) {
    if (call->agg_star)
        return sql_refuse(cx, call->location, "42809", STR_FMT "(*) specified, but " STR_FMT " is not an aggregate function",
                          STR_ARG(name), STR_ARG(name));
    if (call->agg_distinct)
        return sql_refuse(cx, call->location, "42809", "DISTINCT specified, but " STR_FMT " is not an aggregate function",
                          STR_ARG(name));
    if (call->n_agg_order)
        return sql_refuse(cx, call->location, "42809", "ORDER BY specified, but " STR_FMT " is not an aggregate function",
                          STR_ARG(name));
    if (call->agg_filter)
        return sql_refuse(cx, call->location, "42809", "FILTER specified, but " STR_FMT " is not an aggregate function",
                          STR_ARG(name));
    return ERR_OK;
}

err sql_func_call(struct sql_context *cx, const PgQuery__FuncCall *call, bool condition, struct sql_value *out) {
    if (call->over) return sql_window_call(cx, call, out);
    if (sql_is_aggregate_call(cx, call)) return sql_aggregate(cx, call, out);
    str names[3], arg_names[SQL_ARGS_MAX] = {0};
    uint32_t n = 0;
    for (size_t i = 0; i < call->n_funcname && n < 3; i++) names[n++] = sql_name_of(call->funcname[i]);
    TRY(plain_arguments_only(cx, call, names[n - 1]));
    sql_values args = {0};
    TRY(sql_call_arguments(cx, call, &args, arg_names));
    bool done;
    TRY(sequence_call(cx, names[n - 1], args.p, args.n, call->location, out, &done));
    if (!done && args.n >= 1) TRY(row_call(cx, names[n - 1], &args.p[0], out, &done));
    if (!done) TRY(populate_call(cx, names[n - 1], &args, out, &done));
    if (done) return ERR_OK;
    struct sql_callee callee;
    TRY(sql_find_function(cx, names, n, args.p, arg_names, args.n, call->func_variadic, call->location, &callee));
    if (call->func_variadic && callee.builtin && takes_any(&callee.builtin->how))
        return sql_unsupported(cx, call->location, "VARIADIC of an array for this function", "Write the arguments one by one.");
    return call_callee(cx, &callee, args.p, args.n, condition, call->location, out);
}

err sql_field_of(struct sql_context *cx, const struct sql_value *row, str name, int32_t location, struct sql_value *out) {
    struct sql_value taken = *row;
    sql_unpack(cx, &taken);
    row = &taken;
    if (!row->row)
        return sql_refuse(cx, location, "42809",
                          "column notation ." STR_FMT " applied to type " STR_FMT ", which is not a composite type",
                          STR_ARG(name), STR_ARG(sql_type_name(cx, row->type)));
    for (uint32_t i = 0; i < row->row->n; i++) {
        if (!str_eq(row->row->names[i], name)) continue;
        *out = row->row->values[i];
        out->location = location;
        return ERR_OK;
    }
    if (row->type == PG_RECORD)
        return sql_refuse(cx, location, "42703", "could not identify column \"" STR_FMT "\" in record data type", STR_ARG(name));
    return sql_refuse(cx, location, "42703", "column \"" STR_FMT "\" not found in data type " STR_FMT, STR_ARG(name),
                      STR_ARG(sql_type_name(cx, row->type)));
}
