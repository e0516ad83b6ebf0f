/* ddl_function: functions and triggers. Those of language sql are translated, those in PL/pgSQL compiled (routine.c). */
#include "plpgsql/plpgsql.h"
#include "sql/ddl_int.h"
#include "sql/translate_int.h"

/* ---- the head ---- */

static enum catalog_argument_mode mode_of(PgQuery__FunctionParameterMode m) {
    switch (m) {
    case PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_OUT: return CATALOG_OUT;
    case PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_INOUT: return CATALOG_INOUT;
    case PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_VARIADIC: return CATALOG_VARIADIC;
    case PG_QUERY__FUNCTION_PARAMETER_MODE__FUNC_PARAM_TABLE: return CATALOG_TABLE_COLUMN;
    default: return CATALOG_IN;
    }
}

static err read_arguments(struct sql_ddl *d, const PgQuery__CreateFunctionStmt *s, struct catalog_function *f) {
    for (size_t i = 0; i < s->n_parameters; i++) {
        const PgQuery__FunctionParameter *p = s->parameters[i]->function_parameter;
        struct catalog_argument a = {.name = arena_str(d->mem, str_c(p->name)), .mode = (uint8_t)mode_of(p->mode)};
        struct sql_context cx = sql_context_of(d);
        a.default_value.fragment.typmod = -1;
        if (sql_type_named(&cx, p->arg_type, &a.type, &a.typmod) != ERR_OK) return sql_refuse_problem(d, &cx);
        a.typmod = -1; /* PostgreSQL forgets those of arguments */
        struct sql_expr_use use = {.type = a.type, .typmod = -1, .context = PG_ASSIGNMENT, .clause = "DEFAULT", .column = a.name};
        if (p->defexpr) TRY(sql_expr_into(d, p->defexpr, &use, &a.default_value));
        vec_push(d->mem, &f->arguments, a);
    }
    return ERR_OK;
}

/* Of OUT arguments: the one's type, or a record. */
static void returns_of_outs(struct catalog_function *f) {
    uint32_t outs = 0, type = PG_VOID;
    for (uint32_t i = 0; i < f->arguments.n; i++)
        if (f->arguments.p[i].mode != CATALOG_IN && f->arguments.p[i].mode != CATALOG_VARIADIC)
            outs++, type = f->arguments.p[i].type;
    f->returns = outs > 1 ? PG_RECORD : type;
}

static err read_returns(struct sql_ddl *d, const PgQuery__CreateFunctionStmt *s, struct catalog_function *f) {
    returns_of_outs(f);
    if (!s->return_type) return ERR_OK;
    struct sql_context cx = sql_context_of(d);
    uint32_t type;
    int32_t typmod;
    if (sql_type_named(&cx, s->return_type, &type, &typmod) != ERR_OK) return sql_refuse_problem(d, &cx);
    f->set = s->return_type->setof;
    f->returns = type;
    for (uint32_t i = 0; i < f->arguments.n; i++)
        if (f->arguments.p[i].mode == CATALOG_TABLE_COLUMN) return returns_of_outs(f), ERR_OK;
    return ERR_OK;
}

static void setting(struct sql_ddl *d, const PgQuery__VariableSetStmt *v, struct catalog_function *f) {
    str text = arena_fmt(d->mem, "%s=", v->name);
    for (uint32_t i = 0; i < f->settings.n; i++)
        if (str_starts(f->settings.p[i], text))
            memmove(&f->settings.p[i], &f->settings.p[i + 1], (--f->settings.n - i) * sizeof(str)), i--;
    if (v->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE) return;
    for (size_t i = 0; i < v->n_args; i++) {
        const PgQuery__AConst *c = v->args[i]->node_case == PG_QUERY__NODE__NODE_A_CONST ? v->args[i]->a_const : NULL;
        str value = c && c->val_case == PG_QUERY__A__CONST__VAL_SVAL ? str_c(c->sval->sval) : sql_expr_text(d->mem, v->args[i]);
        text = arena_fmt(d->mem, STR_FMT "%s" STR_FMT, STR_ARG(text), i ? ", " : "", STR_ARG(value));
    }
    vec_push(d->mem, &f->settings, text);
}

static void attribute(struct sql_ddl *d, const PgQuery__DefElem *o, struct catalog_function *f) {
    str text = sql_option_text(o);
    if (!strcmp(o->defname, "language")) f->language = arena_str(d->mem, text);
    else if (!strcmp(o->defname, "as")) f->source = arena_str(d->mem, text);
    else if (!strcmp(o->defname, "volatility"))
        f->volatility = str_eqc(text, "immutable") ? CATALOG_IS_IMMUTABLE
                        : str_eqc(text, "stable")  ? CATALOG_IS_STABLE
                                                   : CATALOG_IS_VOLATILE;
    else if (!strcmp(o->defname, "strict")) f->strict = sql_option_true(o);
    else if (!strcmp(o->defname, "security")) f->definer = sql_option_true(o);
    else if (!strcmp(o->defname, "rows"))
        f->one_row = o->arg && o->arg->node_case == PG_QUERY__NODE__NODE_INTEGER && o->arg->integer->ival == 1;
    else if (!strcmp(o->defname, "leakproof")) f->leakproof = sql_option_true(o);
    else if (!strcmp(o->defname, "window")) f->window = sql_option_true(o);
    else if (!strcmp(o->defname, "set") && o->arg->node_case == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT)
        setting(d, o->arg->variable_set_stmt, f);
}

/* BEGIN ATOMIC … END, or RETURN x: as statements' text. */
static void atomic_body(struct sql_ddl *d, const PgQuery__Node *body, struct catalog_function *f) {
    if (!f->language.n) f->language = STR("sql");
    if (body->node_case == PG_QUERY__NODE__NODE_RETURN_STMT) {
        f->source = arena_fmt(d->mem, "SELECT " STR_FMT, STR_ARG(sql_expr_text(d->mem, body->return_stmt->returnval)));
        return;
    }
    for (size_t i = 0; body->node_case == PG_QUERY__NODE__NODE_LIST && i < body->list->n_items; i++) {
        const PgQuery__Node *one = body->list->items[i];
        for (size_t j = 0; one->node_case == PG_QUERY__NODE__NODE_LIST && j < one->list->n_items; j++)
            f->source = arena_fmt(d->mem, STR_FMT STR_FMT ";\n", STR_ARG(f->source),
                                  STR_ARG(sql_statement_text(d->mem, one->list->items[j])));
    }
}

/* ---- the statement ---- */

static struct catalog_function *same_signature(struct sql_ddl *d, const struct catalog_function *f) {
    for (uint32_t i = 0; i < d->c->functions.n; i++) {
        struct catalog_function *g = &d->c->functions.p[i];
        if (g->schema != f->schema || !str_eq(g->name, f->name)) continue;
        uint32_t a = 0, b = 0;
        for (;; a++, b++) {
            while (a < f->arguments.n &&
                   (f->arguments.p[a].mode == CATALOG_OUT || f->arguments.p[a].mode == CATALOG_TABLE_COLUMN))
                a++;
            while (b < g->arguments.n &&
                   (g->arguments.p[b].mode == CATALOG_OUT || g->arguments.p[b].mode == CATALOG_TABLE_COLUMN))
                b++;
            if (a == f->arguments.n || b == g->arguments.n || f->arguments.p[a].type != g->arguments.p[b].type) break;
        }
        if (a == f->arguments.n && b == g->arguments.n) return g;
    }
    return NULL;
}

/* The search path that it says for itself holds in its body. */
static void own_path(struct sql_ddl *d, const struct catalog_function *f, struct sql_context *cx) {
    for (uint32_t i = 0; i < f->settings.n; i++) {
        if (!str_starts(f->settings.p[i], STR("search_path="))) continue;
        str *path = arena_array(d->mem, str, 16), rest = str_sub(f->settings.p[i], 12, f->settings.p[i].n), one;
        cx->path = path, cx->path_count = 0;
        while (rest.n && cx->path_count < 16) {
            str_cut(rest, ',', &one, &rest);
            while (one.n && one.p[0] == ' ') one = str_sub(one, 1, one.n);
            if (one.n && !str_eqc(one, "pg_catalog") && !str_eqc(one, "\"\"") && !str_eqc(one, "$user"))
                path[cx->path_count++] = one;
        }
    }
}

/* ---- PL/pgSQL ---- */

/* Where the body begins, as a location in the statement's tree. */
static int32_t body_at(struct sql_ddl *d, const struct catalog_function *f) {
    const struct sql_statement *s = d->statement;
    str text = s ? str_sub(d->file->text, s->offset, s->bytes) : (str){0};
    const uint8_t *at = text.n && f->source.n ? memmem(text.p, text.n, f->source.p, f->source.n) : NULL;
    return at ? (int32_t)((size_t)(at - text.p) + s->offset - s->base) : -1;
}

static void body_note(struct sql_ddl *d, const struct catalog_function *f) {
    struct sql_body b = {f->id, d->file, d->statement, body_at(d, f)};
    for (uint32_t i = 0; i < d->bodies.n; i++)
        if (d->bodies.p[i].function == f->id) return (void)(d->bodies.p[i] = b);
    vec_push(d->mem, &d->bodies, b);
}

/* Its text is looked at now, and made into what is run once everything is there. */
static err routine_body(struct sql_ddl *d, struct catalog_function *f) {
    struct plpgsql_tree tree;
    struct plpgsql_problem problem;
    struct sql_context cx = sql_context_of(d);
    if (d->engine == CATALOG_POSTGRES) return ERR_OK; /* which judges itself */
    if (!plpgsql_parse(d->mem, f->source, &tree, &problem)) {
        int32_t at = body_at(d, f);
        return sql_refuse_at(d, at < 0 ? at : at + (int32_t)problem.at, problem.state, NULL, "%s", problem.message);
    }
    body_note(d, f);
    if (f->returns == PG_TRIGGER || f->returns == PG_EVENT_TRIGGER) return ERR_OK;
    if (sql_translate_function(&cx, f) != ERR_OK)
        return sql_put_off(d, &cx, &f->why_not, "function " STR_FMT " raises 0A000 when it is called", STR_ARG(f->name));
    return ERR_OK;
}

static const struct sql_body *body_of(const struct sql_ddl *d, uint32_t function) {
    for (uint32_t i = 0; i < d->bodies.n; i++)
        if (d->bodies.p[i].function == function) return &d->bodies.p[i];
    return NULL;
}

/* What the compiler says, where the body stands; of a function that stays as it was nothing is said again. */
void sql_tell_body(struct sql_ddl *d, const struct catalog_function *f, struct sql_context *cx, err e, str *why_not) {
    const struct sql_body *b = body_of(d, f->id);
    struct sql_problem *p = &cx->problem;
    bool runs = e == ERR_OK, lacks = sql_is_lack(d, p);
    if (!p->set) return;
    if (!runs) *why_not = arena_str(d->mem, str_c(p->message));
    if (!b) return;
    d->file = b->file, d->statement = b->statement;
    p->location = b->at < 0 || p->location < 0 ? -1 : b->at + p->location;
    if (!runs && !lacks) (void)sql_refuse_problem(d, cx);
    else if (lacks)
        sql_raises(d, p->location, "0A000", p->hint[0] ? p->hint : NULL, "function " STR_FMT " raises %s when it %s: %s",
                   STR_ARG(f->name), p->state, runs ? "comes here" : "is called", p->message);
    else
        sql_remark(d, p->location, p->hint[0] ? p->hint : NULL, "function " STR_FMT " raises %s when it %s: %s", STR_ARG(f->name),
                   p->state, runs ? "comes here" : "is called", p->message);
    d->file = NULL, d->statement = NULL;
}

void sql_compile_here(struct sql_ddl *d, struct catalog_function *f) {
    struct sql_context cx = sql_context_of(d);
    if (!sql_is_routine(f) || f->returns == PG_TRIGGER || f->returns == PG_EVENT_TRIGGER) return;
    cx.variables = NULL;
    f->why_not = (str){0};
    if (sql_compile_routine(&cx, f, NULL, NULL, &f->routine) == ERR_OK) return;
    f->routine = (struct catalog_routine){0};
    f->why_not = arena_str(d->mem, str_c(cx.problem.message));
}

void sql_compile_routines(struct sql_ddl *d) {
    if (d->engine != CATALOG_SQLITE) return;
    sql_path_reset(d);
    catalog_ready(d->c); /* it is whole, and stays as it is meanwhile */
    for (uint32_t i = 0; i < d->c->functions.n; i++) {
        struct catalog_function *f = &d->c->functions.p[i];
        struct sql_context cx = sql_context_of(d);
        if (!sql_is_routine(f) || f->returns == PG_TRIGGER || f->returns == PG_EVENT_TRIGGER) continue;
        cx.migrates = false;
        f->why_not = (str){0};
        err e = sql_compile_routine(&cx, f, NULL, NULL, &f->routine);
        if (e != ERR_OK) f->routine = (struct catalog_routine){0};
        sql_tell_body(d, f, &cx, e, &f->why_not);
    }
    sql_compile_triggers(d);
    d->c->names = NULL;
}

#define RAISES_WHEN_CALLED "function " STR_FMT " raises 0A000 when it is called"

/* With check_function_bodies = off what it names may come behind it, and what it named may have gone since: PostgreSQL, too, says that when it is called. */
static err body_fails(struct sql_ddl *d, struct catalog_function *f, const struct sql_context *cx) {
    bool syntax = !strcmp(cx->problem.state, "42601");
    f->statements = (catalog_fragments){0};
    f->why_not = arena_str(d->mem, str_c(cx->problem.message));
    if (((d->bodies_unchecked && !syntax) || d->refreshing) && d->engine == CATALOG_SQLITE) {
        if (!catalog_ids_have(&d->unchecked, f->id)) vec_push(d->mem, &d->unchecked, f->id);
        if (d->statement) body_note(d, f);
        f->pending = true;
        return ERR_OK;
    }
    return sql_put_off(d, cx, &f->why_not, RAISES_WHEN_CALLED, STR_ARG(f->name));
}

static err translate_body(struct sql_ddl *d, struct catalog_function *f) {
    struct sql_context cx = sql_context_of(d);
    f->why_not = (str){0};
    if (sql_is_routine(f)) return routine_body(d, f);
    if (!str_eq_nocase(f->language, STR("sql"))) {
        f->why_not = arena_fmt(d->mem, "language " STR_FMT " is not there on SQLite", STR_ARG(f->language));
        if (d->platform) return ERR_OK;
        bool waits =
            d->engine == CATALOG_SQLITE && !d->report->strict && !str_eqc(f->language, "c") && !str_eqc(f->language, "internal");
        if (waits)
            return sql_raises(d, -1, "0A000", "write it in sql or plpgsql", RAISES_WHEN_CALLED ": " STR_FMT, STR_ARG(f->name),
                              STR_ARG(f->why_not)),
                   ERR_OK;
        return sql_needs_postgres(d, -1, "write it in sql", STR_FMT, STR_ARG(f->why_not));
    }
    own_path(d, f, &cx);
    if (sql_translate_function(&cx, f) != ERR_OK) return body_fails(d, f, &cx);
    if (f->why_not.n && !d->platform && d->engine == CATALOG_SQLITE)
        sql_raises(d, -1, "0A000", NULL, RAISES_WHEN_CALLED ": " STR_FMT, STR_ARG(f->name), STR_ARG(f->why_not));
    return ERR_OK;
}

/* Once more, with what has come since. last: nothing comes any more. */
void sql_function_settle(struct sql_ddl *d, bool last) {
    uint32_t left = 0;
    const struct sql_file *file = d->file;
    for (uint32_t i = 0; i < d->unchecked.n; i++) {
        for (uint32_t k = 0; k < d->c->functions.n; k++) {
            struct catalog_function *f = &d->c->functions.p[k];
            struct sql_context cx = sql_context_of(d);
            if (f->id != d->unchecked.p[i]) continue;
            const struct sql_body *b = body_of(d, f->id);
            d->file = b ? b->file : NULL, d->statement = b ? b->statement : NULL;
            own_path(d, f, &cx);
            f->pending = false;
            if (sql_translate_function(&cx, f) == ERR_OK) {
                vec_push(d->mem, &d->changed_functions, f->id);
                if (!f->why_not.n) break;
                sql_raises(d, -1, "0A000", NULL, RAISES_WHEN_CALLED ": " STR_FMT, STR_ARG(f->name), STR_ARG(f->why_not));
                break;
            }
            f->why_not = arena_str(d->mem, str_c(cx.problem.message)), f->statements = (catalog_fragments){0};
            f->pending = !last;
            if (!last) d->unchecked.p[left++] = f->id;
            else if (sql_is_lack(d, &cx.problem))
                sql_raises(d, -1, "0A000", NULL, RAISES_WHEN_CALLED ": " STR_FMT, STR_ARG(f->name), STR_ARG(f->why_not));
            else sql_remark(d, -1, NULL, RAISES_WHEN_CALLED ": " STR_FMT, STR_ARG(f->name), STR_ARG(f->why_not));
            break;
        }
    }
    d->unchecked.n = left, d->file = file, d->statement = NULL;
}

static err place(struct sql_ddl *d, const PgQuery__CreateFunctionStmt *s, struct catalog_function f) {
    struct catalog_function *old = same_signature(d, &f);
    if (!old) {
        f.id = d->c->next_id++;
        sql_grants_new(d, f.owner, f.schema, CATALOG_ON_FUNCTIONS, &f.grants);
        vec_push(d->mem, &d->c->functions, f);
        return translate_body(d, &d->c->functions.p[d->c->functions.n - 1]);
    }
    if (!s->replace)
        return sql_refuse_at(d, -1, "42723", "write create or replace function",
                             "function \"" STR_FMT "\" already exists with same argument types", STR_ARG(f.name));
    if (old->platform && !d->platform)
        return sql_refuse_at(d, -1, "42501", "give it another name, or put it into a schema of yours",
                             "function \"" STR_FMT "\" is the platform's", STR_ARG(f.name));
    if (old->returns != f.returns || old->set != f.set)
        return sql_refuse_at(d, -1, "42P13", "drop function first",
                             "cannot change return type of existing function \"" STR_FMT "\"", STR_ARG(f.name));
    f.id = old->id, f.grants = old->grants, f.comment = old->comment, f.owner = old->owner;
    *old = f;
    vec_push(d->mem, &d->changed_functions, f.id);
    return translate_body(d, old);
}

err sql_do_create_function(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateFunctionStmt *s = node_->create_function_stmt;
    str schema, name;
    sql_names(s->funcname, s->n_funcname, &schema, &name);
    const struct catalog_schema *in = sql_schema_to_fill(d, arena_cstr(d->mem, schema), -1);
    if (!in) return ERR_INVALID;
    struct catalog_function f = {.schema = in->id,
                                 .owner = d->c->owner,
                                 .name = arena_str(d->mem, name),
                                 .procedure = s->is_procedure,
                                 .platform = d->platform};
    err e = read_arguments(d, s, &f);
    if (e == ERR_OK) e = read_returns(d, s, &f);
    for (size_t i = 0; i < s->n_options; i++) attribute(d, s->options[i]->def_elem, &f);
    if (s->sql_body) atomic_body(d, s->sql_body, &f);
    if (e == ERR_OK && !f.language.n) e = sql_refuse_at(d, -1, "42P13", NULL, "no language specified");
    if (e != ERR_OK) return map_put(d->mem, &d->poisoned, f.name, 1), e;
    return place(d, s, f);
}

err sql_do_alter_function(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterFunctionStmt *s = node_->alter_function_stmt;
    bool several;
    struct catalog_function *f = sql_function_by(d, s->func, &several);
    str schema, name;
    uint64_t there;
    sql_names(s->func->objname, s->func->n_objname, &schema, &name);
    if (!f && map_get(&d->poisoned, name, &there)) return ERR_INVALID;
    if (!f)
        return sql_refuse_at(d, -1, "42883", "no migration creates it with these arguments",
                             "function " STR_FMT " does not exist", STR_ARG(sql_dotted(d, schema, name)));
    for (size_t i = 0; i < s->n_actions; i++) attribute(d, s->actions[i]->def_elem, f);
    vec_push(d->mem, &d->changed_functions, f->id);
    return translate_body(d, f);
}

/* ---- what functions that changed are a part of ---- */

static bool calls_changed(const struct sql_ddl *d, const struct catalog_fragment *f) {
    for (uint32_t i = 0; i < f->calls.n; i++)
        if (catalog_ids_have(&d->changed_functions, f->calls.p[i])) return true;
    for (uint32_t i = 0; i < f->reads.n; i++) /* how a subquery is put goes by the keys that there are */
        if (catalog_ids_have(&d->changed_keys, f->reads.p[i])) return true;
    return false;
}

static void refresh_expr(struct sql_ddl *d, const struct catalog_relation *r, struct catalog_expr *e, const char *clause,
                         enum sql_row_kind kind, uint32_t type, int32_t typmod) {
    if (!calls_changed(d, &e->fragment)) return;
    const PgQuery__Node *tree = sql_expr_tree(d->mem, e->source);
    struct sql_expr_use use = {
        .row = r, .kind = kind, .type = type, .typmod = typmod, .context = PG_ASSIGNMENT, .clause = clause, .source = e->source};
    if (tree) sql_expr_into(d, tree, &use, e);
}

static void refresh_relation(struct sql_ddl *d, struct catalog_relation *r) {
    for (uint32_t i = 0; i < r->policies.n; i++) {
        refresh_expr(d, r, &r->policies.p[i].using_expr, "POLICY", SQL_ROW_AT_HAND, PG_BOOL, -1);
        refresh_expr(d, r, &r->policies.p[i].check_expr, "POLICY", SQL_ROW_AT_HAND, PG_BOOL, -1);
    }
    for (uint32_t i = 0; i < r->columns.n; i++)
        if (!r->columns.p[i].generated)
            refresh_expr(d, NULL, &r->columns.p[i].default_value, "DEFAULT", SQL_ROW_NONE, r->columns.p[i].type,
                         r->columns.p[i].typmod);
    for (uint32_t i = 0; i < r->constraints.n; i++) {
        if (!calls_changed(d, &r->constraints.p[i].check.fragment)) continue;
        sql_touch(d, r);
        refresh_expr(d, r, &r->constraints.p[i].check, "CHECK", SQL_ROW_AT_HAND, PG_BOOL, -1);
    }
}

static void refresh_view(struct sql_ddl *d, struct catalog_relation *r) {
    const PgQuery__Node *tree = calls_changed(d, &r->query.fragment) ? sql_statement_tree(d->mem, r->query.source) : NULL;
    if (!tree || tree->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return;
    (void)sql_view_query(d, r, tree->select_stmt); /* said */
}

void sql_refresh(struct sql_ddl *d) {
    d->refreshing = true;
    for (uint32_t round = 0; (d->changed_functions.n || d->changed_keys.n) && round < 16;
         round++) { /* functions that call functions */
        uint32_t before = d->changed_functions.n;
        for (uint32_t i = 0; i < d->c->functions.n; i++) {
            struct catalog_function *f = &d->c->functions.p[i];
            bool uses = false;
            for (uint32_t j = 0; j < f->statements.n; j++) uses |= calls_changed(d, &f->statements.p[j]);
            if (!uses || catalog_ids_have(&d->changed_functions, f->id)) continue;
            translate_body(d, f);
            vec_push(d->mem, &d->changed_functions, f->id);
        }
        if (before == d->changed_functions.n) break;
    }
    for (uint32_t i = 0; (d->changed_functions.n || d->changed_keys.n) && i < d->c->relations.n; i++)
        refresh_relation(d, &d->c->relations.p[i]), refresh_view(d, &d->c->relations.p[i]);
    d->changed_functions.n = d->changed_keys.n = 0;
    d->refreshing = false;
}

/* What the block would have made: what names it is not refused again. */
static void poison_made(struct sql_ddl *d, str body) {
    static const char *const words[] = {"create type",     "create table",  "create or replace function",
                                        "create function", "create domain", "create or replace view",
                                        "create view"};
    for (size_t i = 0; i < body.n; i++)
        for (size_t w = 0; w < ARRAY_COUNT(words); w++) {
            size_t n = strlen(words[w]);
            if (i + n >= body.n || !str_eq_nocase(str_sub(body, i, n), str_c(words[w]))) continue;
            for (i += n; i < body.n && (body.p[i] == ' ' || body.p[i] == '\n'); i++) {}
            if (str_eq_nocase(str_sub(body, i, 14), STR("if not exists "))) i += 14;
            size_t end = i, from = i;
            for (; end < body.n && !strchr(" \n\t(;", body.p[end]); end++)
                if (body.p[end] == '.') from = end + 1;
            str name = str_sub(body, from, end - from);
            if (name.n > 1 && name.p[0] == '"') name = str_sub(name, 1, name.n - 2);
            map_put(d->mem, &d->poisoned, arena_str(d->mem, name), 1);
        }
}

err sql_do_do_block(struct sql_ddl *d, const PgQuery__Node *node_) {
    PgQuery__Node *const *args = node_->do_stmt->args;
    size_t n = node_->do_stmt->n_args;
    str body = arena_str(d->mem, sql_option_text(sql_option(args, n, "as"))),
        language = sql_option_text(sql_option(args, n, "language"));
    if (d->engine == CATALOG_POSTGRES && !d->platform)
        return sql_needs_postgres(d, -1, NULL, "a DO block is run by PostgreSQL: what it makes is not seen here");
    if (language.n && !str_eq_nocase(language, STR("plpgsql")))
        return sql_needs_postgres(d, -1, "write it in plpgsql", "a DO block in " STR_FMT " is not there on SQLite",
                                  STR_ARG(language));
    err e = sql_do_block_run(d, body);
    if (e != ERR_OK) poison_made(d, body);
    return e;
}
