/* ddl_view: views, which are queries of the catalogue's, and materialized ones, which are tables filled by them; rows that migrations change. */
#include "sql/ddl_int.h"
#include "sql/routine_int.h"

/* ---- columns of a query ---- */

static err translate(struct sql_ddl *d, const PgQuery__Node *query, bool definer, struct catalog_fragment *f,
                     struct sql_columns *columns) {
    struct sql_context cx = sql_context_of(d);
    cx.definer = definer;
    if (query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return sql_needs_postgres(d, -1, NULL, "a view of anything but a SELECT is not there on SQLite");
    if (sql_translate_query(&cx, query->select_stmt, NULL, 0, f, columns) == ERR_OK) return ERR_OK;
    return sql_refuse_problem(d, &cx);
}

static err name_columns(struct sql_ddl *d, struct catalog_relation *r, const struct sql_columns *columns,
                        PgQuery__Node *const *aliases, size_t n) {
    if (n > columns->n) return sql_refuse_at(d, -1, "42601", NULL, "CREATE VIEW specifies more column names than columns");
    for (uint32_t i = 0; i < columns->n; i++) {
        str name = i < n ? arena_str(d->mem, sql_name_of(aliases[i])) : columns->p[i].name;
        if (catalog_column_named(r, name))
            return sql_refuse_at(d, -1, "42701", "give it another name with as",
                                 "column \"" STR_FMT "\" specified more than once", STR_ARG(name));
        str storage = sql_column_storage(d, r, name, r->last_number + 1u);
        struct catalog_column *c = vec_add(d->mem, &r->columns);
        *c = (struct catalog_column){.number = ++r->last_number,
                                     .name = name,
                                     .storage = storage,
                                     .type = columns->p[i].type,
                                     .typmod = columns->p[i].typmod,
                                     .from = columns->p[i].origin.relation,
                                     .from_number = columns->p[i].origin.number};
        c->default_value.fragment.typmod = -1;
    }
    return ERR_OK;
}

static err through(struct sql_context *cx, struct catalog_relation *r, const PgQuery__SelectStmt *query, const str *names) {
    struct sql_through t = {0};
    TRY(sql_translate_through(cx, query, names, r->columns.n, &t));
    r->base = t.base, r->base_list = t.list, r->base_from = t.from, r->base_where = t.where;
    r->not_writable = str_c(t.why_not);
    for (uint32_t i = 0; i < r->columns.n; i++) r->columns.p[i].base_number = t.base && i < t.count ? t.numbers[i] : 0;
    if (t.base && !t.columns) r->not_writable = STR("Views that have no updatable columns are not automatically updatable.");
    return ERR_OK;
}

/* ---- a view that cannot be run ---- */

/* What SQLite lacks for it raises when it is read; what its columns are called is known from its text. */
static err view_raises(struct sql_ddl *d, struct catalog_relation *r, const struct sql_context *cx) {
    str what = arena_fmt(d->mem, "view \"" STR_FMT "\"", STR_ARG(r->name)), why;
    struct buf b = {0};
    TRY(sql_put_off(d, cx, &why, STR_FMT " raises 0A000 when it is read", STR_ARG(what)));
    for (uint32_t i = 0; i < r->columns.n; i++)
        buf_printf(&b, "%s null as " STR_FMT, i ? "," : "select", STR_ARG(sql_quoted(d->mem, r->columns.p[i].storage)));
    if (!r->columns.n) buf_puts(&b, STR("select null"));
    buf_printf(&b, " where " STR_FMT, STR_ARG(sql_raising(d->mem, what, why)));
    r->query.fragment = (struct catalog_fragment){.text = arena_str(d->mem, buf_str(&b)),
                                                  .typmod = -1,
                                                  .flags = CATALOG_SUBQUERY | CATALOG_SET,
                                                  .calls = cx->calls,
                                                  .reads = cx->reads};
    buf_free(&b);
    r->query.why_not = why, r->depends = r->query.fragment.reads;
    r->base = 0, r->not_writable = arena_fmt(d->mem, STR_FMT " cannot be run on SQLite.", STR_ARG(what));
    for (uint32_t i = 0; i < r->columns.n; i++) r->columns.p[i].base_number = 0;
    return ERR_OK;
}

typedef VEC(struct sql_column_out) guesses;

static void guess(struct sql_ddl *d, guesses *to, str name, uint32_t type, int32_t typmod) {
    for (uint32_t i = 0; i < to->n; i++)
        if (str_eq(to->p[i].name, name)) return;
    if (name.n && to->n < 1'600)
        vec_push(d->mem, to, ((struct sql_column_out){.name = arena_str(d->mem, name), .type = type, .typmod = typmod}));
}

/* The columns of what stands in FROM under that name (empty: of all of it), or one of them: the first that is called so. */
static bool guess_from(struct sql_ddl *d, const PgQuery__Node *item, str of, str column, guesses *to) {
    if (item->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) {
        bool left = item->join_expr->larg && guess_from(d, item->join_expr->larg, of, column, to);
        if (left && column.n) return true;
        return (item->join_expr->rarg && guess_from(d, item->join_expr->rarg, of, column, to)) || left;
    }
    if (item->node_case != PG_QUERY__NODE__NODE_RANGE_VAR) return false;
    const PgQuery__RangeVar *var = item->range_var;
    const struct catalog_relation *r = sql_relation_of(d, var);
    str name = str_c(var->alias ? var->alias->aliasname : var->relname);
    if (!r || (of.n && !str_eq(of, name))) return false;
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *c = &r->columns.p[i];
        if (column.n && !str_eq(column, c->name)) continue;
        guess(d, to, c->name, c->type, c->typmod);
        if (column.n) return true;
    }
    return !column.n;
}

static void guess_target(struct sql_ddl *d, const PgQuery__SelectStmt *s, const PgQuery__ResTarget *t, guesses *to) {
    const PgQuery__ColumnRef *ref = t->val && t->val->node_case == PG_QUERY__NODE__NODE_COLUMN_REF ? t->val->column_ref : NULL;
    str of = ref && ref->n_fields > 1 ? sql_name_of(ref->fields[ref->n_fields - 2]) : (str){0};
    str column = ref && ref->n_fields ? sql_name_of(ref->fields[ref->n_fields - 1]) : (str){0};
    str name = t->name && *t->name ? str_c(t->name) : t->val ? sql_figure_name(t->val) : (str){0};
    struct sql_context cx = sql_context_of(d);
    uint32_t type = PG_TEXT;
    int32_t typmod = -1;
    if (ref && sql_is_star(t->val)) {
        for (size_t i = 0; i < s->n_from_clause; i++) guess_from(d, s->from_clause[i], of, (str){0}, to);
        return;
    }
    guesses found = {0};
    for (size_t i = 0; ref && i < s->n_from_clause && !found.n; i++) guess_from(d, s->from_clause[i], of, column, &found);
    if (found.n) type = found.p[0].type, typmod = found.p[0].typmod;
    if (t->val && t->val->node_case == PG_QUERY__NODE__NODE_TYPE_CAST &&
        sql_type_named(&cx, t->val->type_cast->type_name, &type, &typmod) != ERR_OK)
        type = PG_TEXT, typmod = -1;
    guess(d, to, name, type, typmod);
}

static void guess_columns(struct sql_ddl *d, const PgQuery__Node *query, struct sql_columns *columns) {
    const PgQuery__SelectStmt *s = query->select_stmt;
    guesses all = {0};
    while (s->larg) s = s->larg;
    for (size_t i = 0; i < s->n_target_list; i++)
        if (s->target_list[i]->node_case == PG_QUERY__NODE__NODE_RES_TARGET)
            guess_target(d, s, s->target_list[i]->res_target, &all);
    columns->p = all.p, columns->n = all.n;
}

/* Again with the columns called by their storage names, as whoever reads the view calls them. */
err sql_view_query(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__SelectStmt *query) {
    struct sql_context cx = sql_context_of(d);
    str *names = arena_array(d->mem, str, r->columns.n + 1);
    cx.definer = r->kind != CATALOG_VIEW || !r->security_invoker;
    for (uint32_t i = 0; i < r->columns.n; i++) names[i] = r->columns.p[i].storage;
    r->query.why_not = (str){0};
    if (sql_translate_query(&cx, query, names, r->columns.n, &r->query.fragment, NULL) != ERR_OK)
        return r->kind == CATALOG_VIEW ? view_raises(d, r, &cx) : sql_refuse_problem(d, &cx);
    r->depends = r->query.fragment.reads;
    return r->kind != CATALOG_VIEW || through(&cx, r, query, names) == ERR_OK ? ERR_OK : sql_refuse_problem(d, &cx);
}

static err query_into(struct sql_ddl *d, uint32_t id, const PgQuery__Node *query) {
    struct catalog_relation *r = (struct catalog_relation *)catalog_relation_of(d->c, id);
    r->query.source = sql_statement_text(d->mem, query);
    return sql_view_query(d, r, query->select_stmt);
}

/* ---- views ---- */

static bool keeps_columns(const struct catalog_relation *old, const struct catalog_relation *now) {
    for (uint32_t i = 0; i < old->columns.n; i++)
        if (i >= now->columns.n || !str_eq(old->columns.p[i].name, now->columns.p[i].name) ||
            old->columns.p[i].type != now->columns.p[i].type)
            return false;
    return true;
}

static err replace_view(struct sql_ddl *d, struct catalog_relation *old, uint32_t id) {
    struct catalog_relation *now = (struct catalog_relation *)catalog_relation_of(d->c, id);
    bool keeps = keeps_columns(old, now);
    old->columns = now->columns, old->query = now->query, old->depends = now->depends, old->last_number = now->last_number;
    old->security_invoker = now->security_invoker, old->security_barrier = now->security_barrier;
    old->base = now->base, old->base_list = now->base_list, old->base_from = now->base_from, old->base_where = now->base_where;
    old->not_writable = now->not_writable, old->check_option = now->check_option;
    d->c->relations.n--, d->c->types.n--; /* it and the type of its rows are the last ones */
    return keeps ? ERR_OK
                 : sql_refuse_at(d, -1, "42P16", "drop view first, then create it",
                                 "CREATE OR REPLACE VIEW cannot drop, rename or change the type of columns of \"" STR_FMT "\"",
                                 STR_ARG(old->name));
}

/* WITH CHECK OPTION, or the option of that name. */
err sql_view_check_option(struct sql_ddl *d, struct catalog_relation *r, uint8_t option) {
    r->check_option = option;
    if (!option || !r->not_writable.n) return ERR_OK;
    return sql_refuse_at(d, -1, "0A000", arena_cstr(d->mem, r->not_writable),
                         "WITH CHECK OPTION is supported only on automatically updatable views");
}

uint8_t sql_check_option_of(const PgQuery__DefElem *o) {
    str text = o ? sql_option_text(o) : (str){0};
    return str_eqc(text, "local") ? CATALOG_CHECK_LOCAL : str_eqc(text, "cascaded") ? CATALOG_CHECK_CASCADED : CATALOG_NO_CHECK;
}

static uint8_t check_option_of(const PgQuery__ViewStmt *s) {
    if (s->with_check_option == PG_QUERY__VIEW_CHECK_OPTION__LOCAL_CHECK_OPTION) return CATALOG_CHECK_LOCAL;
    if (s->with_check_option == PG_QUERY__VIEW_CHECK_OPTION__CASCADED_CHECK_OPTION) return CATALOG_CHECK_CASCADED;
    return sql_check_option_of(sql_option(s->options, s->n_options, "check_option"));
}

/* Where it cannot be translated, what can be told of them: sql_view_query says the rest. */
static err view_columns(struct sql_ddl *d, const PgQuery__Node *query, bool definer, struct sql_columns *columns) {
    struct sql_context cx = sql_context_of(d);
    struct catalog_fragment f;
    cx.definer = definer;
    if (query->node_case != PG_QUERY__NODE__NODE_SELECT_STMT)
        return sql_needs_postgres(d, -1, NULL, "a view of anything but a SELECT is not there on SQLite");
    if (sql_translate_query(&cx, query->select_stmt, NULL, 0, &f, columns) == ERR_OK) return ERR_OK;
    if (!sql_is_lack(d, &cx.problem) || d->report->strict || !strcmp(cx.problem.state, "54001"))
        return sql_refuse_problem(d, &cx);
    guess_columns(d, query, columns);
    return ERR_OK;
}

err sql_do_create_view(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__ViewStmt *s = node_->view_stmt;
    const struct catalog_schema *schema = sql_schema_to_fill(d, s->view->schemaname, s->view->location);
    if (!schema) return ERR_INVALID;
    str name = arena_str(d->mem, str_c(s->view->relname));
    const struct catalog_relation *old = catalog_relation_named(d->c, schema->name, name);
    uint32_t old_id = old ? old->id : 0;
    if (old ? old->kind != CATALOG_VIEW || !s->replace : sql_name_taken(d, schema->id, name))
        return sql_refuse_at(d, s->view->location, "42P07", NULL, "relation \"" STR_FMT "\" already exists", STR_ARG(name));
    bool invoker = sql_option_true(sql_option(s->options, s->n_options, "security_invoker"));
    struct sql_columns columns = {0};
    if (view_columns(d, s->query, !invoker, &columns) != ERR_OK) return map_put(d->mem, &d->poisoned, name, 1), ERR_INVALID;
    uint32_t id = sql_relation_new(d, schema, name, CATALOG_VIEW)->id;
    struct catalog_relation *r = (struct catalog_relation *)catalog_relation_of(d->c, id);
    r->security_invoker = invoker;
    r->security_barrier = sql_option_true(sql_option(s->options, s->n_options, "security_barrier"));
    TRY(name_columns(d, r, &columns, s->aliases, s->n_aliases));
    TRY(query_into(d, id, s->query));
    TRY(sql_view_check_option(d, (struct catalog_relation *)catalog_relation_of(d->c, id), check_option_of(s)));
    return old_id ? replace_view(d, (struct catalog_relation *)catalog_relation_of(d->c, old_id), id) : ERR_OK;
}

/* ---- tables that a query fills ---- */

err sql_too_complex(struct sql_ddl *d) {
    return sql_refuse_at(d, -1, "54001", "fill a table with a part of it first",
                         "statement is too complex, with the views that it reads");
}

static err fill(struct sql_ddl *d, uint32_t id) {
    vec_push(d->mem, &d->filled, id);
    sql_flush(d);
    const struct catalog_relation *r = catalog_relation_of(d->c, id);
    struct buf names = {0};
    for (uint32_t i = 0; i < r->columns.n; i++) {
        if (i) buf_puts(&names, STR(", "));
        buf_puts(&names, sql_quoted(d->mem, r->columns.p[i].storage));
    }
    str query = sql_expanded(d, r->query.fragment.text, NULL), table = sql_quoted(d->mem, r->storage);
    bool fits = query.n && (d->engine == CATALOG_POSTGRES || sql_reads(d->reader, d->mem, query));
    if (fits)
        sql_step(d, arena_fmt(d->mem, "INSERT INTO " STR_FMT " (" STR_FMT ") " STR_FMT, STR_ARG(table), STR_ARG(buf_str(&names)),
                              STR_ARG(query)));
    buf_free(&names);
    return fits ? ERR_OK : sql_too_complex(d);
}

err sql_do_create_table_as(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateTableAsStmt *s = node_->create_table_as_stmt;
    const PgQuery__RangeVar *var = s->into->rel;
    bool matview = s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW;
    const struct catalog_schema *schema =
        var->relpersistence[0] == 't' ? sql_temporary_schema(d) : sql_schema_to_fill(d, var->schemaname, var->location);
    if (!schema) return ERR_INVALID;
    TRY(sql_temporary_may(d, var, s->into->on_commit));
    str name = arena_str(d->mem, str_c(var->relname));
    if (sql_name_taken(d, schema->id, name))
        return s->if_not_exists
                   ? ERR_OK
                   : sql_refuse_at(d, var->location, "42P07", NULL, "relation \"" STR_FMT "\" already exists", STR_ARG(name));
    struct catalog_fragment f;
    struct sql_columns columns = {0};
    if (translate(d, s->query, true, &f, &columns) != ERR_OK) return map_put(d->mem, &d->poisoned, name, 1), ERR_INVALID;
    uint32_t id = sql_relation_new(d, schema, name, matview ? CATALOG_MATVIEW : CATALOG_TABLE)->id;
    sql_temporary_is(d, id, var, s->into->on_commit);
    TRY(name_columns(d, (struct catalog_relation *)catalog_relation_of(d->c, id), &columns, s->into->col_names,
                     s->into->n_col_names));
    TRY(query_into(d, id, s->query));
    err e = s->into->skip_data ? ERR_OK : fill(d, id);
    struct catalog_relation *r = (struct catalog_relation *)catalog_relation_of(d->c, id);
    r->unfilled = matview && s->into->skip_data;
    for (uint32_t i = 0; !matview && i < r->columns.n; i++) r->columns.p[i].from = r->columns.p[i].from_number = 0;
    if (!matview) r->query = (struct catalog_expr){.fragment.typmod = -1}, r->depends = (catalog_ids){0};
    return e;
}

err sql_do_refresh(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__RefreshMatViewStmt *s = node_->refresh_mat_view_stmt;
    struct catalog_relation *r = sql_relation_of(d, s->relation);
    if (!r) return sql_no_relation(d, s->relation);
    if (r->kind != CATALOG_MATVIEW)
        return sql_refuse_at(d, s->relation->location, "42809", NULL, "\"" STR_FMT "\" is not a materialized view",
                             STR_ARG(r->name));
    sql_flush(d);
    sql_step(d, arena_fmt(d->mem, "DELETE FROM " STR_FMT, STR_ARG(sql_quoted(d->mem, r->storage))));
    r->unfilled = s->skip_data;
    return s->skip_data ? ERR_OK : fill(d, r->id);
}

/* ---- rows ---- */

static err row_step(struct sql_ddl *d, const struct catalog_fragment *f) {
    str text = sql_expanded(d, f->text, NULL);
    if (d->engine == CATALOG_SQLITE && (!text.n || !sql_reads(d->reader, d->mem, text))) return sql_too_complex(d);
    if (sql_is_call(d, f, text)) sql_step_statement(d, f);
    else sql_step(d, text);
    return ERR_OK;
}

/* select f(…), of what gives rows, or is more than one statement, is select * from f(…): its rows go nowhere. NULL: it is no such */
static const PgQuery__Node *call_in_from(struct sql_ddl *d, const PgQuery__Node *node) {
    const PgQuery__SelectStmt *s = node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT ? node->select_stmt : NULL;
    if (!s || !sql_is_bare_value(s)) return NULL;
    const PgQuery__Node *call = s->target_list[0]->res_target->val;
    if (!call || call->node_case != PG_QUERY__NODE__NODE_FUNC_CALL) return NULL;
    return sql_statement_tree(d->mem, arena_fmt(d->mem, "SELECT * FROM " STR_FMT, STR_ARG(sql_expr_text(d->mem, call))));
}

static err translate_rows(struct sql_ddl *d, struct sql_context *cx, const PgQuery__Node *node, struct catalog_fragment *f) {
    const struct sql_context before = *cx;
    err e = sql_translate_statement(cx, node, f, NULL);
    const PgQuery__Node *other = e != ERR_OK && !strcmp(cx->problem.state, "0A000") ? call_in_from(d, node) : NULL;
    if (!other) return e;
    struct sql_context again = before;
    if (sql_translate_statement(&again, other, f, NULL) != ERR_OK) return e;
    *cx = again;
    return ERR_OK;
}

static err run_tree(struct sql_ddl *d, const PgQuery__Node *node) {
    struct sql_context cx = sql_context_of(d);
    struct catalog_fragment f;
    if (sql_writes_in_with(node)) return d->all_filled = true, sql_step_with(d, node);
    cx.migrates = true, cx.copied = d->file->copied;
    sql_flush(d);
    cx.looks = node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT;
    if (translate_rows(d, &cx, node, &f) != ERR_OK) return sql_refuse_problem(d, &cx);
    f.reads = cx.reads, f.calls = cx.calls;
    if (cx.looked && !f.calls.n && !(f.flags & (CATALOG_VOLATILE | CATALOG_WRITES))) return ERR_OK; /* its rows go nowhere */
    if (cx.looked) return d->all_filled = true, sql_note_recorded(d, &f), sql_step_statement(d, &f), ERR_OK;
    TRY(row_step(d, &f));
    sql_note_recorded(d, &f);
    sql_note_rows(d, node, f.text);
    return ERR_OK;
}

static const char *const_text(const PgQuery__Node *n) {
    bool is = n->node_case == PG_QUERY__NODE__NODE_A_CONST && n->a_const->val_case == PG_QUERY__A__CONST__VAL_SVAL;
    return is ? n->a_const->sval->sval : NULL;
}

/* select pg_catalog.set_config('search_path', '', false): how dumps begin, and what is otherwise a SET. */
static bool is_setting(struct sql_ddl *d, const PgQuery__Node *node) {
    const PgQuery__SelectStmt *s = node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT ? node->select_stmt : NULL;
    const PgQuery__Node *value = s && s->n_target_list == 1 && !s->n_from_clause ? s->target_list[0]->res_target->val : NULL;
    const PgQuery__FuncCall *call = value && value->node_case == PG_QUERY__NODE__NODE_FUNC_CALL ? value->func_call : NULL;
    if (!call || call->n_args != 3 || !str_eqc(sql_name_of(call->funcname[call->n_funcname - 1]), "set_config")) return false;
    const char *name = const_text(call->args[0]), *to = const_text(call->args[1]);
    if (!name || !to || !strcmp(name, "role") || !strcmp(name, "session_authorization")) return false;
    if (!strcmp(name, "check_function_bodies")) d->bodies_unchecked = to[0] && strchr("fFnN0", to[0]);
    if (!strcmp(name, "check_function_bodies") && !strcmp(to, "off")) d->bodies_unchecked = true;
    str rest = str_c(to), one;
    if (!strcmp(name, "search_path"))
        for (sql_path_begin(d); rest.n && d->path_n < ARRAY_COUNT(d->path);) {
            str_cut(rest, ',', &one, &rest);
            while (one.n && (one.p[0] == ' ' || one.p[0] == '"')) one = str_sub(one, 1, one.n);
            while (one.n && (one.p[one.n - 1] == ' ' || one.p[one.n - 1] == '"')) one.n--;
            if (one.n && !str_eqc(one, "pg_catalog")) d->path[d->path_n++] = arena_str(d->mem, one);
        }
    return true;
}

err sql_do_rows(struct sql_ddl *d, const PgQuery__Node *node_) {
    if (is_setting(d, node_)) return ERR_OK;
    if (node_->node_case == PG_QUERY__NODE__NODE_SELECT_STMT && node_->select_stmt->into_clause)
        return sql_needs_postgres(d, -1, "write create table … as", "SELECT INTO is not there on SQLite");
    return run_tree(d, node_);
}

static void truncate_also(struct sql_ddl *d, catalog_ids *all, uint32_t id) {
    if (!catalog_ids_have(all, id)) vec_push(d->mem, all, id);
}

static err truncate_all(struct sql_ddl *d, catalog_ids *all, bool cascade) {
    for (uint32_t i = 0; i < all->n; i++) {
        struct catalog_edge e = {0};
        while (catalog_edge_next(d->c, all->p[i], &e)) {
            if (e.key->reference != all->p[i] || catalog_ids_have(all, e.from->id)) continue;
            if (!cascade)
                return sql_refuse_at(d, -1, "0A000", "truncate both at once, or write cascade",
                                     "cannot truncate a table referenced in a foreign key constraint: table \"" STR_FMT
                                     "\" references \"" STR_FMT "\"",
                                     STR_ARG(e.from->name), STR_ARG(e.to->name));
            truncate_also(d, all, e.from->id);
        }
    }
    return ERR_OK;
}

err sql_do_truncate(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__TruncateStmt *s = node_->truncate_stmt;
    catalog_ids all = {0};
    for (size_t i = 0; i < s->n_relations; i++) {
        const struct catalog_relation *r = sql_relation_of(d, s->relations[i]->range_var);
        if (!r) return sql_no_relation(d, s->relations[i]->range_var);
        truncate_also(d, &all, r->id);
    }
    TRY(truncate_all(d, &all, s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE));
    sql_flush(d);
    d->flushing = true; /* all that refer to them are among them */
    d->plan->foreign_keys_off |= all.n > 1;
    for (uint32_t i = all.n; i-- > 0;) { /* those that refer first */
        sql_step(d, arena_fmt(d->mem, "DELETE FROM " STR_FMT,
                              STR_ARG(sql_quoted(d->mem, catalog_relation_of(d->c, all.p[i])->storage))));
        for (uint32_t j = 0; s->restart_seqs && j < d->c->sequences.n; j++)
            if (d->c->sequences.p[j].relation == all.p[i])
                sql_step(d, arena_fmt(d->mem, "DELETE FROM \"_orlo_sequences\" WHERE id = %u", d->c->sequences.p[j].id));
    }
    d->flushing = false;
    return ERR_OK;
}
