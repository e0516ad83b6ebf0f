/* routine_call: CALL in PL/pgSQL. A procedure is a function whose OUT and INOUT arguments are columns: what stands in their places are variables, and take
 * what they are when it is done.
 *
 *   call p(1, v, b => w)  ──>  SELECT * FROM p(1, a => v, b => w)   into v, w
 */
#include "sql/parse.h"
#include "sql/routine_int.h"

bool sql_routine_is_procedure_call(const struct plpgsql_expr *x) {
    return x->text.n > 5 && str_eq_nocase(str_sub(x->text, 0, 4), STR("call")) &&
           (x->text.p[4] == ' ' || x->text.p[4] == '\n' || x->text.p[4] == '\t' || x->text.p[4] == '\r');
}

static bool gives(const struct catalog_argument *a) { return a->mode == CATALOG_OUT || a->mode == CATALOG_INOUT; }

/* Which of a procedure's arguments each of the call's is; NULL: it has others. OUT arguments are given, too. */
static const PgQuery__Node **given_of(struct routine *r, const struct catalog_function *f, const PgQuery__FuncCall *call) {
    const PgQuery__Node **given = arena_array(r->cx->mem, const PgQuery__Node *, f->arguments.n + 1);
    for (uint32_t i = 0; i < f->arguments.n; i++) given[i] = NULL;
    for (size_t i = 0; i < call->n_args; i++) {
        const PgQuery__Node *node = call->args[i];
        uint32_t at = (uint32_t)i;
        if (node->node_case == PG_QUERY__NODE__NODE_NAMED_ARG_EXPR) {
            for (at = 0; at < f->arguments.n && !str_eqc(f->arguments.p[at].name, node->named_arg_expr->name); at++) {}
            node = node->named_arg_expr->arg;
        }
        if (at >= f->arguments.n || given[at]) return NULL;
        given[at] = node;
    }
    for (uint32_t i = 0; i < f->arguments.n; i++)
        if (!given[i] && !f->arguments.p[i].default_value.source.n) return NULL;
    return given;
}

static const struct catalog_function *procedure_of(struct routine *r, const PgQuery__FuncCall *call,
                                                   const PgQuery__Node ***given) {
    str name = sql_name_of(call->funcname[call->n_funcname - 1]),
        schema = call->n_funcname > 1 ? sql_name_of(call->funcname[call->n_funcname - 2]) : (str){0};
    for (uint32_t k = 0; k < (schema.n ? 1 : r->cx->path_count); k++) {
        const struct catalog_function *f = NULL;
        while ((f = catalog_function_next(r->cx->catalog, schema.n ? schema : r->cx->path[k], name, f)))
            if (f->procedure && (*given = given_of(r, f, call))) return f;
    }
    return NULL;
}

/* v, v.f, $1 */
static bool target_of(struct routine *r, const PgQuery__Node *node, uint32_t at, struct plpgsql_target *t) {
    *t = (struct plpgsql_target){.at = at};
    if (node->node_case == PG_QUERY__NODE__NODE_PARAM_REF)
        t->names[t->n++] = arena_fmt(r->cx->mem, "$%d", node->param_ref->number);
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) return t->n;
    const PgQuery__ColumnRef *c = node->column_ref;
    for (size_t i = 0; i < c->n_fields && c->n_fields <= ARRAY_COUNT(t->names); i++) {
        if (c->fields[i]->node_case != PG_QUERY__NODE__NODE_STRING) return false;
        t->names[t->n++] = arena_str(r->cx->mem, sql_name_of(c->fields[i]));
    }
    if (!t->n) return false;
    return sql_variable_named(r->cx, (str){0}, t->names[0]) || (t->n > 1 && sql_variable_named(r->cx, t->names[0], t->names[1]));
}

static err refuse_later(struct routine *r, str message, bool *refused) {
    *refused = true;
    sql_routine_emit(r, CATALOG_OP_SET, sql_routine_places(r, 1),
                     sql_routine_refusal(r, "42601", (const char *)arena_cstr(r->cx->mem, message)), 0, 0);
    return ERR_OK;
}

static err no_procedure(struct routine *r, const PgQuery__FuncCall *call, bool *refused) {
    str name = sql_name_of(call->funcname[call->n_funcname - 1]), message;
    *refused = true;
    message = arena_fmt(r->cx->mem, "procedure " STR_FMT "(…) does not exist", STR_ARG(name));
    sql_routine_emit(r, CATALOG_OP_SET, sql_routine_places(r, 1),
                     sql_routine_refusal(r, "42883", (const char *)arena_cstr(r->cx->mem, message)), 0, 0);
    return ERR_OK;
}

static void put_argument(struct routine *r, struct buf *b, const struct catalog_argument *a, const PgQuery__Node *node,
                         bool named, bool first) {
    if (!first) buf_puts(b, STR(", "));
    if (a->mode == CATALOG_VARIADIC) buf_puts(b, STR("VARIADIC "));
    if (named) buf_printf(b, STR_FMT " => ", STR_ARG(sql_quoted(r->cx->mem, a->name)));
    buf_puts(b, sql_expr_text(r->cx->mem, node));
}

err sql_routine_call(struct routine *r, const struct plpgsql_expr *x, struct plpgsql_expr *query, plpgsql_targets *targets,
                     bool *refused) {
    const PgQuery__Node *node, **given;
    struct buf b = {0};
    *refused = false;
    TRY(sql_routine_parse(r, "", x, &node));
    if (node->node_case != PG_QUERY__NODE__NODE_CALL_STMT) return sql_routine_say(r, x->at, "42601", "syntax error");
    const PgQuery__FuncCall *call = node->call_stmt->funccall;
    const struct catalog_function *f = procedure_of(r, call, &given);
    if (!f) return no_procedure(r, call, refused);
    const struct catalog_schema *s = catalog_schema_of(r->cx->catalog, f->schema);
    bool named = false, first = true;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        struct plpgsql_target t;
        if (gives(a) && (!given[i] || !target_of(r, given[i], x->at, &t))) {
            buf_free(&b);
            return refuse_later(r,
                                arena_fmt(r->cx->mem,
                                          "procedure parameter \"" STR_FMT
                                          "\" is an output parameter but corresponding argument is not writable",
                                          STR_ARG(a->name)),
                                refused);
        }
        if (gives(a)) vec_push(r->cx->mem, targets, t);
        if (a->mode == CATALOG_OUT) continue;
        if (given[i]) put_argument(r, &b, a, given[i], named, first), first = false;
        else named = true; /* it is left to its default */
    }
    str name = arena_fmt(r->cx->mem, STR_FMT "." STR_FMT, STR_ARG(sql_quoted(r->cx->mem, s ? s->name : STR("public"))),
                         STR_ARG(sql_quoted(r->cx->mem, f->name)));
    *query = (struct plpgsql_expr){arena_fmt(r->cx->mem, "SELECT %s" STR_FMT "(" STR_FMT ")", targets->n ? "* FROM " : "",
                                             STR_ARG(name), STR_ARG(buf_str(&b))),
                                   x->at};
    buf_free(&b);
    r->cx->procedure = f->id;
    return ERR_OK;
}
