/* inline: functions of language sql, taken into the query that calls them, and by themselves.
 *
 *   a body of one SELECT     its tree is read anew at each call, with the arguments' values in the place of its parameters: types, EXISTS and
 *                            constants are seen as if it had been written there
 *   other bodies             statements, run one after the other by who calls the function by itself (query, rpc)
 *
 * 1. An argument that is more than a name or a literal and is named more than once is put into a subquery: it is evaluated once.
 * 2. A function reads tables with its owner's rights if it is SECURITY DEFINER or called by such a one; else with the caller's.
 * 3. A function that calls itself, in however many steps, is refused; nesting is bounded by SQL_INLINE_MAX, text by SQL_TEXT_MAX.
 */
#include <pg_query.h>

#include "sql/parse.h"
#include "sql/translate_int.h"

struct sql_inline {
    const struct sql_inline *outer;
    uint32_t function;
    uint32_t depth;
};

/* ---- a body's tree ---- */

static void tree_free(void *tree) { pg_query__parse_result__free_unpacked(tree, NULL); }

/* Text to trees, which live as long as cx->mem. */
err sql_parse_text(struct sql_context *cx, str source, const PgQuery__ParseResult **out) {
    enum { TREE_BYTES = 32 /* for one of a text's */, TREE_LEAST = 4096 };
    str key = source;
    uint64_t there;
    cx->work += TREE_LEAST + TREE_BYTES * source.n;
    TRY(sql_check_work(cx, -1));
    if (cx->trees && map_get(&cx->trees->by_text, source, &there)) {
        *out = (const PgQuery__ParseResult *)(uintptr_t)there;
        return ERR_OK;
    }
    PgQueryProtobufParseResult r = pg_query_parse_protobuf(arena_cstr(cx->mem, source));
    err e = ERR_OK;
    uint32_t tries = 0;
    while (r.error && sql_newer(cx->mem, &source, r.error->message, r.error->cursorpos, &tries)) {
        pg_query_free_protobuf_parse_result(r);
        cx->work += TREE_LEAST + TREE_BYTES * source.n;
        r = pg_query_parse_protobuf(arena_cstr(cx->mem, source));
    }
    if (r.error) {
        e = sql_refuse(cx, r.error->cursorpos > 0 ? r.error->cursorpos - 1 : -1, "42601", "%s", r.error->message);
    } else {
        PgQuery__ParseResult *tree = pg_query__parse_result__unpack(NULL, r.parse_tree.len, (const uint8_t *)r.parse_tree.data);
        if (!tree) e = sql_refuse(cx, -1, "54001", "stack depth limit exceeded");
        if (tree) arena_cleanup(cx->mem, tree_free, tree);
        if (tree && cx->trees) map_put(cx->mem, &cx->trees->by_text, arena_str(cx->mem, key), (uint64_t)(uintptr_t)tree);
        *out = tree;
    }
    pg_query_free_protobuf_parse_result(r);
    return e;
}

/* ---- another context for the body ---- */

struct outside {
    struct sql_scope *scope;
    const struct catalog_relation *row;
    enum sql_row_kind row_kind;
    const struct catalog_function *function;
    const struct sql_argument_values *arguments;
    const struct sql_inline *inlining;
    const struct sql_variables *variables;
    const str *path;
    uint32_t path_count, level_base;
    bool definer, definer_function, condition, truth;
    catalog_ids schemas;
};

/* SET search_path = …: its schemas. */
void sql_path_of(struct sql_context *cx, const struct catalog_function *f) {
    for (uint32_t i = 0; i < f->settings.n; i++) {
        str name, value, one;
        if (!str_cut(f->settings.p[i], '=', &name, &value) || !str_eqc(name, "search_path")) continue;
        VEC(str) path = {0};
        while (value.n) {
            str_cut(value, ',', &one, &value);
            one = str_trim(one);
            if (one.n > 1 && (one.p[0] == '"' || one.p[0] == '\'')) one = str_sub(one, 1, one.n - 2);
            if (one.n && !str_eqc(one, "$user") && !str_eqc(one, "pg_temp") && !str_eqc(one, "pg_catalog"))
                vec_push(cx->mem, &path, one);
        }
        cx->path = path.p;
        cx->path_count = path.n;
    }
}

/* A body without a path of its own is read by the session's, whatever the migration's file has set: behind that one's. */
static void session_path(struct sql_context *cx) {
    static const str usual[] = {STR_INIT("public"), STR_INIT("extensions")};
    VEC(str) path = {0};
    for (uint32_t i = 0; i < cx->path_count; i++) {
        if (str_eq(cx->path[i], usual[0])) return;
        vec_push(cx->mem, &path, cx->path[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(usual); i++) vec_push(cx->mem, &path, usual[i]);
    cx->path = path.p, cx->path_count = path.n;
}

static err go_in(struct sql_context *cx, const struct catalog_function *f, const struct sql_argument_values *arguments,
                 struct sql_inline *here, int32_t location, struct outside *saved) {
    for (const struct sql_inline *i = cx->inlining; i; i = i->outer)
        if (i->function == f->id)
            return sql_unsupported(cx, location,
                                   (const char *)sql_fmt(cx, "a function that calls itself (" STR_FMT ")", STR_ARG(f->name)).p,
                                   "Use WITH RECURSIVE.");
    *here = (struct sql_inline){cx->inlining, f->id, cx->inlining ? cx->inlining->depth + 1 : 1};
    if (here->depth > SQL_INLINE_MAX)
        return sql_refuse(cx, location, "54001", "functions call functions more than %d deep", SQL_INLINE_MAX);
    *saved = (struct outside){cx->scope,     cx->row,   cx->row_kind,   cx->function,   cx->arguments, cx->inlining,
                              cx->variables, cx->path,  cx->path_count, cx->level_base, cx->definer,   cx->definer_function,
                              cx->condition, cx->truth, cx->schemas};
    cx->level_base = cx->scope ? cx->scope->level + 1 : cx->level_base;
    cx->scope = NULL;
    cx->row = NULL;
    cx->row_kind = SQL_ROW_NONE;
    cx->function = f;
    cx->arguments = arguments;
    cx->variables = NULL;
    cx->inlining = here;
    cx->definer_function |= f->definer;
    cx->definer = cx->definer_function || cx->migrates;
    cx->condition = cx->truth = false;
    session_path(cx);
    sql_path_of(cx, f);
    if (!catalog_ids_have(&cx->calls, f->id)) vec_push(cx->mem, &cx->calls, f->id);
    return ERR_OK;
}

static void go_out(struct sql_context *cx, const struct outside *saved, const struct catalog_function *f) {
    cx->scope = saved->scope;
    cx->row = saved->row;
    cx->row_kind = saved->row_kind;
    cx->function = saved->function;
    cx->arguments = saved->arguments;
    cx->variables = saved->variables;
    cx->inlining = saved->inlining;
    cx->path = saved->path;
    cx->path_count = saved->path_count;
    cx->level_base = saved->level_base;
    cx->definer = saved->definer;
    cx->definer_function = saved->definer_function;
    cx->condition = saved->condition;
    cx->truth = saved->truth;
    if (f->definer) cx->schemas = saved->schemas, cx->schemas.cap = cx->schemas.n; /* its definer needs those */
    if (cx->problem.set && !cx->problem.in[0]) {
        size_t n = MIN(f->name.n, sizeof cx->problem.in - 1);
        memcpy(cx->problem.in, f->name.p, n);
        cx->problem.in[n] = 0;
    }
}

/* ---- what can be taken in ---- */

static err check_callable(struct sql_context *cx, const struct catalog_function *f, int32_t location) {
    if (!str_eqc(f->language, "sql")) {
        err e =
            sql_refuse(cx, location, "0A000", "function " STR_FMT " is written in " STR_FMT ", which is not there on SQLite yet",
                       STR_ARG(f->name), STR_ARG(f->language));
        sql_hint(cx, "Write it in language sql, or use database = \"postgres\".");
        return e;
    }
    return ERR_OK;
}

static err only_select(struct sql_context *cx, const struct catalog_function *f, int32_t location,
                       const PgQuery__SelectStmt **out) {
    const PgQuery__ParseResult *tree;
    TRY(check_callable(cx, f, location));
    TRY(sql_parse_text(cx, f->source, &tree));
    if (tree->n_stmts != 1 || tree->stmts[0]->stmt->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) {
        err e = sql_refuse(cx, location, "0A000",
                           "function " STR_FMT " does more than one SELECT, and cannot be a part of a query on SQLite",
                           STR_ARG(f->name));
        sql_hint(cx, "Call it by itself, or make it one SELECT.");
        return e;
    }
    *out = tree->stmts[0]->stmt->select_stmt;
    return ERR_OK;
}

static bool is_cheap(const struct sql_value *v) {
    return !v->row && !(v->flags & (SQL_VOLATILE | SQL_SUBQUERY)) && v->text.n <= 48;
}

/* Arguments that are to be evaluated once stand in a CTE of one row; *with: its text. */
static struct sql_argument_values arguments_of(struct sql_context *cx, const struct sql_value *args, uint32_t n, str *with) {
    struct sql_argument_values a = {.n = n, .values = arena_array(cx->mem, struct sql_value, n + 1)};
    VEC(str) kept = {0};
    str alias = {0};
    for (uint32_t i = 0; i < n; i++) {
        a.values[i] = args[i];
        a.values[i].sides = NULL;
        if (args[i].row || is_cheap(&args[i])) continue;
        if (!alias.n) alias = sql_fmt(cx, "w%u", ++cx->aliases);
        str column = sql_fmt(cx, STR_FMT " as c%u", STR_ARG(args[i].text), kept.n + 1);
        vec_push(cx->mem, &kept, column);
        a.values[i].text = sql_fmt(cx, "(select c%u from " STR_FMT ")", kept.n, STR_ARG(alias));
        a.values[i].flags &= ~(uint32_t)(SQL_VOLATILE | SQL_CONSTANT);
    }
    *with = kept.n ? sql_fmt(cx, "with " STR_FMT " as materialized (select " STR_FMT ") ", STR_ARG(alias),
                             STR_ARG(sql_joined(cx, kept.p, kept.n, ", ")))
                   : (str){0};
    return a;
}

/* ---- PL/pgSQL: called when the statement runs ---- */

bool sql_is_routine(const struct catalog_function *f) { return str_eq_nocase(f->language, STR("plpgsql")); }

static const struct catalog_relation *row_of(struct sql_context *cx, const struct catalog_function *f);

/* A body of statements, or one that writes, or whose value is none. */
static bool does_more(struct sql_context *cx, const struct catalog_function *f) {
    uint32_t n = f->statements.n;
    return n && (n > 1 || f->statements.p[0].flags & CATALOG_WRITES || f->returns == PG_VOID) && !row_of(cx, f);
}

/* It is not taken in: in a text that is not known before it runs, nothing has rights that are not the function's (query/script.c). */
bool sql_is_called(struct sql_context *cx, const struct catalog_function *f) {
    if (sql_is_routine(f)) return true;
    return str_eq_nocase(f->language, STR("sql")) && ((cx->dynamic && f->definer) || does_more(cx, f));
}

bool sql_gives_row(struct sql_context *cx, const struct catalog_function *f) {
    return f->returns == PG_RECORD || (sql_is_row_type(cx, f->returns) && f->returns != PG_VOID);
}

/* Whose rights it has: 0: those of who runs the statement. Within a function that was taken in and is its definer's, the definer's. */
static uint32_t runs_as(struct sql_context *cx) {
    if (cx->migrates) return cx->catalog->owner;
    for (const struct sql_inline *i = cx->inlining; i; i = i->outer)
        for (uint32_t k = 0; k < cx->catalog->functions.n; k++)
            if (cx->catalog->functions.p[k].id == i->function && cx->catalog->functions.p[k].definer)
                return cx->catalog->functions.p[k].owner;
    return cx->owners ? cx->catalog->owner : 0;
}

/* name(function, as whom, arguments …) */
static err routine_text(struct sql_context *cx, const struct catalog_function *f, const char *name, const struct sql_value *args,
                        uint32_t n, int32_t location, str *out) {
    VEC(str) parts = {0};
    vec_push(cx->mem, &parts, sql_fmt(cx, "%u", f->id));
    vec_push(cx->mem, &parts, sql_fmt(cx, "%u", runs_as(cx)));
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; args[i].row && k < args[i].row->n; k++) { /* its columns, a place each */
            struct sql_value v = args[i].row->values[k];
            TRY(sql_settle(cx, &v));
            if (v.row)
                return sql_unsupported(cx, location, "a row of rows as an argument of a PL/pgSQL function", "Give its columns.");
            vec_push(cx->mem, &parts, v.text);
        }
        if (!args[i].row && sql_is_row_type(cx, args[i].type))
            return sql_unsupported(cx, location, "a row that is no table's as an argument of a PL/pgSQL function",
                                   "Give its columns.");
        if (!args[i].row) vec_push(cx->mem, &parts, args[i].text);
        if (parts.n > SQL_ARGS_MAX) return sql_unsupported(cx, location, "a PL/pgSQL function of more than 98 columns", NULL);
    }
    *out = sql_fmt(cx, "%s(" STR_FMT ")", name, STR_ARG(sql_joined(cx, parts.p, parts.n, ", ")));
    if (!catalog_ids_have(&cx->calls, f->id)) vec_push(cx->mem, &cx->calls, f->id);
    return ERR_OK;
}

static uint32_t routine_flags(const struct catalog_function *f) {
    return SQL_RAISES | SQL_SUBQUERY |
           (f->volatility == CATALOG_IS_VOLATILE ? SQL_VOLATILE
            : f->volatility == CATALOG_IS_STABLE ? SQL_SESSION
                                                 : 0u);
}

static err routine_scalar(struct sql_context *cx, const struct catalog_function *f, const struct sql_value *args, uint32_t n,
                          int32_t location, struct sql_value *out) {
    bool same = f->volatility != CATALOG_IS_VOLATILE;
    *out = (struct sql_value){.type = f->returns == PG_VOID ? PG_TEXT : f->returns, .typmod = -1, .location = location};
    TRY(routine_text(cx, f, same ? "query_call_same" : "query_call", args, n, location, &out->text));
    for (uint32_t i = 0; i < n; i++) sql_inherit(out, &args[i]);
    out->flags |= routine_flags(f);
    return ERR_OK;
}

enum { ROUTINE_COLUMNS_MAX = 100, ROUTINE_ARGUMENTS_MAX = 30 }; /* of query_table (query/routine.c) */

/* select c1, c2 … from query_table(…) */
static err routine_rows(struct sql_context *cx, const struct catalog_function *f, const struct sql_value *args, uint32_t n,
                        uint32_t columns, int32_t location, str *out) {
    VEC(str) names = {0};
    str call;
    uint32_t given = 0;
    for (uint32_t i = 0; i < n; i++) given += args[i].row ? args[i].row->n : 1;
    if (given > ROUTINE_ARGUMENTS_MAX || columns > ROUTINE_COLUMNS_MAX)
        return sql_unsupported(cx, location, "a PL/pgSQL function of more than 30 arguments or 100 columns", NULL);
    TRY(routine_text(cx, f, "query_table", args, n, location, &call));
    for (uint32_t i = 0; i < columns; i++) vec_push(cx->mem, &names, sql_fmt(cx, "c%u", i + 1));
    str list = columns ? sql_joined(cx, names.p, names.n, ", ") : STR("1");
    *out = sql_fmt(cx, "select " STR_FMT " from " STR_FMT, STR_ARG(list), STR_ARG(call));
    return ERR_OK;
}

/* How it is called by itself: its one statement, of its arguments; of a row, of the row at hand. */
static err routine_by_itself(struct sql_context *cx, struct catalog_function *f) {
    const struct catalog_relation *row = row_of(cx, f);
    sql_values args = {0};
    struct catalog_fragment own = {.typmod = -1, .flags = CATALOG_SUBQUERY | CATALOG_SET};
    f->columns = (catalog_fields){0};
    TRY(sql_declared(cx, f, &f->columns));
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN) continue;
        if (row) {
            vec_push(cx->mem, &args, sql_row_of(cx, row));
            continue;
        }
        struct sql_value v = {.type = a->type, .typmod = -1, .location = -1};
        v.text = sql_fmt(cx,
                         "\x01"
                         "A%u\x02",
                         args.n + 1);
        if (sql_is_row_type(cx, a->type)) v.type = PG_TEXT; /* nobody calls it by itself (query/resolve.c) */
        vec_push(cx->mem, &args, v);
    }
    cx->calls = cx->reads = (catalog_ids){0};
    if (f->set || sql_gives_row(cx, f)) {
        TRY(routine_rows(cx, f, args.p, args.n, f->columns.n, -1, &own.text));
    } else {
        struct sql_value v;
        TRY(routine_scalar(cx, f, args.p, args.n, -1, &v));
        own.text = sql_fmt(cx, "select " STR_FMT " as c1", STR_ARG(v.text));
        own.type = v.type;
        sql_fragment_flags(cx, v.flags, &own);
    }
    own.calls = cx->calls;
    f->statements = (catalog_fragments){0};
    vec_push(cx->mem, &f->statements, own);
    return ERR_OK;
}

/* ---- a value ---- */

bool sql_is_bare_value(const PgQuery__SelectStmt *s) {
    return s->n_target_list == 1 && !s->n_from_clause && !s->where_clause && !s->n_group_clause && !s->having_clause &&
           !s->n_distinct_clause && !s->n_sort_clause && !s->limit_count && !s->limit_offset && !s->with_clause &&
           !s->n_values_lists && s->op <= PG_QUERY__SET_OPERATION__SETOP_NONE && !sql_is_star(s->target_list[0]->res_target->val);
}

static err returns(struct sql_context *cx, const struct catalog_function *f, struct sql_value *v) {
    bool can;
    uint32_t from = v->type;
    TRY(sql_coerce(cx, v, f->returns, -1, PG_ASSIGNMENT, &can));
    if (can) return ERR_OK;
    err e = sql_refuse(cx, v->location, "42P13", "return type mismatch in function declared to return " STR_FMT,
                       STR_ARG(sql_type_name(cx, f->returns)));
    sql_detail(cx, "Actual return type is " STR_FMT ".", STR_ARG(sql_type_name(cx, from)));
    return e;
}

static err bare_value(struct sql_context *cx, const struct catalog_function *f, const PgQuery__SelectStmt *s, bool condition,
                      struct sql_value *out) {
    cx->condition = condition;
    TRY(sql_expr(cx, s->target_list[0]->res_target->val, out));
    cx->condition = false;
    return returns(cx, f, out);
}

/* The first row of the query is the value. */
static err query_value(struct sql_context *cx, const struct catalog_function *f, const PgQuery__SelectStmt *s,
                       struct sql_value *out) {
    struct sql_part p;
    TRY(sql_part_read(cx, s, &p));
    if (f->returns == PG_VOID) {
        *out = sql_null_of(PG_TEXT);
        return sql_unsupported(cx, -1, "a call of a function that returns void in a query", "Call it by itself.");
    }
    if (p.targets.n != 1) {
        err e = sql_refuse(cx, -1, "42P13", "return type mismatch in function declared to return " STR_FMT,
                           STR_ARG(sql_type_name(cx, f->returns)));
        sql_detail(cx, "Final statement must return exactly one column.");
        return e;
    }
    bool can;
    uint32_t from = p.targets.p[0].type;
    TRY(sql_part_column_to(cx, &p, 0, f->returns, -1, PG_ASSIGNMENT, &can));
    if (!can) {
        err e = sql_refuse(cx, -1, "42P13", "return type mismatch in function declared to return " STR_FMT,
                           STR_ARG(sql_type_name(cx, f->returns)));
        sql_detail(cx, "Actual return type is " STR_FMT ".", STR_ARG(sql_type_name(cx, from)));
        return e;
    }
    *out = (struct sql_value){.type = f->returns, .typmod = -1, .levels = p.levels, .location = -1};
    out->text = sql_fmt(cx, "(" STR_FMT ")", STR_ARG(sql_part_print(cx, &p, NULL)));
    out->flags = (p.flags & (SQL_RAISES | SQL_VOLATILE | SQL_SESSION)) | SQL_SUBQUERY;
    return ERR_OK;
}

static void add_strictness(struct sql_context *cx, const struct sql_value *args, uint32_t n, struct sql_value *out) {
    VEC(str) nulls = {0};
    for (uint32_t i = 0; i < n; i++)
        if (!args[i].row && !(args[i].flags & SQL_NOT_NULL))
            vec_push(cx->mem, &nulls, sql_fmt(cx, STR_FMT " is not null", STR_ARG(args[i].text)));
    if (nulls.n)
        out->text = sql_fmt(cx, "(case when " STR_FMT " then " STR_FMT " end)",
                            STR_ARG(sql_joined(cx, nulls.p, nulls.n, " and ")), STR_ARG(out->text));
}

/* A function that gives rows of several columns, called for a value: a row of its first one is wanted. */
static err row_function(struct sql_context *cx, const struct catalog_function *f, int32_t location) {
    return sql_unsupported(cx, location,
                           (const char *)sql_fmt(cx, "the row that function " STR_FMT " gives, as a value", STR_ARG(f->name)).p,
                           "Call it in FROM.");
}

/* Of a function that was deployed although it cannot be run here: raised where it would be. */
static str raising(struct sql_context *cx, const struct sql_context *before, const struct catalog_function *f) {
    uint32_t aliases = cx->aliases;
    uint64_t work = cx->work;
    catalog_ids reads = cx->reads, calls = cx->calls;
    *cx = *before;
    cx->aliases = aliases, cx->work = work, cx->reads = reads, cx->calls = calls;
    if (!catalog_ids_have(&cx->calls, f->id)) vec_push(cx->mem, &cx->calls, f->id);
    return sql_raising(cx->mem, sql_fmt(cx, "function " STR_FMT, STR_ARG(f->name)), f->why_not);
}

static err scalar_in(struct sql_context *cx, const struct catalog_function *f, const struct sql_value *args, uint32_t n,
                     bool condition, int32_t location, struct sql_value *out) {
    const PgQuery__SelectStmt *s;
    struct sql_inline here;
    struct outside saved;
    str with;
    if (sql_is_row_type(cx, f->returns)) return row_function(cx, f, location);
    if (sql_is_called(cx, f)) return routine_scalar(cx, f, args, n, location, out);
    for (uint32_t i = 0; f->strict && i < n; i++)
        if (args[i].flags & SQL_NULL) {
            *out = sql_null_of(f->returns);
            return ERR_OK;
        }
    struct sql_argument_values arguments = arguments_of(cx, args, n, &with);
    TRY(go_in(cx, f, &arguments, &here, location, &saved));
    err e = only_select(cx, f, location, &s);
    if (e == ERR_OK) e = sql_enter(cx, location);
    if (e == ERR_OK) {
        e = sql_is_bare_value(s) ? bare_value(cx, f, s, condition && !f->strict, out) : query_value(cx, f, s, out);
        sql_leave(cx);
    }
    go_out(cx, &saved, f);
    TRY(e);
    out->sides = NULL;
    for (uint32_t i = 0; i < n; i++) sql_inherit(out, &args[i]);
    if (f->strict) add_strictness(cx, arguments.values, n, out);
    if (with.n) {
        out->text = sql_fmt(cx, "(" STR_FMT "select " STR_FMT ")", STR_ARG(with), STR_ARG(out->text));
        out->flags |= SQL_SUBQUERY;
    }
    out->location = location;
    out->flags &= ~(uint32_t)(SQL_NOT_NULL | SQL_CONSTANT);
    return sql_check_size(cx, out->text, location);
}

err sql_inline_scalar(struct sql_context *cx, const struct catalog_function *f, const struct sql_value *args, uint32_t n,
                      bool condition, int32_t location, struct sql_value *out) {
    struct sql_context before = *cx;
    bool tried = !f->why_not.n || f->pending || cx->migrates || sql_is_routine(f);
    err e = tried ? scalar_in(cx, f, args, n, condition, location, out) : ERR_UNSUPPORTED;
    if (!tried && sql_is_row_type(cx, f->returns)) return row_function(cx, f, location);
    if (e == ERR_OK || !f->why_not.n || sql_is_routine(f) || before.problem.set || cx->migrates ||
        sql_is_row_type(cx, f->returns))
        return e;
    *out = (struct sql_value){.text = raising(cx, &before, f),
                              .type = f->returns == PG_VOID ? PG_TEXT : f->returns,
                              .typmod = -1,
                              .flags = SQL_RAISES | SQL_VOLATILE,
                              .location = location};
    return ERR_OK;
}

/* ---- rows ---- */

/* The columns that it says it gives. */
err sql_declared(struct sql_context *cx, const struct catalog_function *f, catalog_fields *out) {
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_INOUT || a->mode == CATALOG_TABLE_COLUMN)
            vec_push(cx->mem, out, ((struct catalog_field){a->name, a->type, a->typmod}));
    }
    if (out->n) return ERR_OK;
    const struct catalog_type *t = f->returns >= PG_OWN_MIN ? catalog_type_of(cx->catalog, f->returns) : NULL;
    const struct catalog_relation *r =
        t && t->kind == CATALOG_ROW && t->id == f->returns ? catalog_relation_of(cx->catalog, t->relation) : NULL;
    if (r) {
        for (uint32_t i = 0; i < r->columns.n; i++)
            vec_push(cx->mem, out, ((struct catalog_field){r->columns.p[i].name, r->columns.p[i].type, r->columns.p[i].typmod}));
    } else if (t && t->kind == CATALOG_COMPOSITE && t->id == f->returns) {
        for (uint32_t i = 0; i < t->fields.n; i++) vec_push(cx->mem, out, t->fields.p[i]);
    } else if (f->returns != PG_VOID) {
        vec_push(cx->mem, out, ((struct catalog_field){{0}, f->returns, -1}));
    }
    return ERR_OK;
}

/* RETURNS record, which says nothing of its columns: who calls it does. */
static bool is_open(const catalog_fields *fields) {
    return fields->n == 1 && fields->p[0].type == PG_RECORD && !fields->p[0].name.n;
}

/* `select t from t`: the row's columns are the columns. */
void sql_spread_row(struct sql_context *cx, struct sql_part *p, const catalog_fields *fields) {
    bool whole = fields && fields->n == 1 && p->targets.n == 1 && fields->p[0].type == p->targets.p[0].type;
    if (whole && sql_is_composite(cx, fields->p[0].type)) return;
    if (fields && p->kind == SQL_PART_SELECT && p->targets.n == 1) sql_unpack(cx, &p->targets.p[0]);
    if (p->kind != SQL_PART_SELECT || p->targets.n != 1 || !p->targets.p[0].row || p->distinct || p->sorts.n) return;
    const struct sql_row *row = p->targets.p[0].row;
    p->targets.n = p->names.n = 0;
    for (uint32_t i = 0; i < row->n; i++) {
        vec_push(cx->mem, &p->targets, row->values[i]);
        vec_push(cx->mem, &p->names, row->names[i]);
    }
}

static err give_rows(struct sql_context *cx, const struct catalog_function *f, struct sql_part *p, const catalog_fields *fields) {
    sql_spread_row(cx, p, fields);
    if (p->targets.n != fields->n) {
        err e = sql_refuse(cx, -1, "42P13", "return type mismatch in function declared to return " STR_FMT,
                           STR_ARG(sql_type_name(cx, f->returns)));
        sql_detail(cx, p->targets.n < fields->n ? "Final statement returns too few columns."
                                                : "Final statement returns too many columns.");
        return e;
    }
    for (uint32_t i = 0; i < fields->n; i++) {
        bool can;
        uint32_t from = p->targets.p[i].type;
        TRY(sql_part_column_to(cx, p, i, fields->p[i].type, -1, PG_ASSIGNMENT, &can));
        if (can) continue;
        err e = sql_refuse(cx, -1, "42P13", "return type mismatch in function declared to return " STR_FMT,
                           STR_ARG(sql_type_name(cx, f->returns)));
        sql_detail(cx, "Final statement returns " STR_FMT " instead of " STR_FMT " at column %u.",
                   STR_ARG(sql_type_name(cx, from)), STR_ARG(sql_type_name(cx, fields->p[i].type)), i + 1);
        return e;
    }
    return ERR_OK;
}

static void item_columns(struct sql_context *cx, struct sql_item *item, const catalog_fields *fields) {
    item->columns = arena_array(cx->mem, struct sql_column, fields->n + 1);
    item->n = 0;
    item->is_scalar = fields->n == 1 && !fields->p[0].name.n;
    for (uint32_t i = 0; i < fields->n; i++) {
        struct sql_value v = {.type = fields->p[i].type, .typmod = fields->p[i].typmod, .location = -1};
        v.text = sql_fmt(cx, STR_FMT ".c%u", STR_ARG(item->alias), i + 1);
        v.levels = cx->scope ? 1ull << cx->scope->level : 0;
        item->columns[item->n++] = (struct sql_column){fields->p[i].name.n ? fields->p[i].name : item->name, v};
    }
}

static err routine_set(struct sql_context *cx, const struct catalog_function *f, const struct sql_value *args, uint32_t n,
                       int32_t location, struct sql_item *item, str *text) {
    catalog_fields fields = {0};
    struct sql_part p = {.kind = SQL_PART_SELECT, .flags = routine_flags(f)};
    str body;
    uint64_t levels = 0;
    TRY(sql_declared(cx, f, &fields));
    TRY(routine_rows(cx, f, args, n, fields.n, location, &body));
    item_columns(cx, item, &fields);
    for (uint32_t i = 0; i < n; i++) levels |= args[i].levels;
    for (uint32_t i = 0; i < fields.n; i++)
        vec_push(cx->mem, &p.targets, ((struct sql_value){.type = fields.p[i].type, .typmod = -1}));
    if (f->volatility == CATALOG_IS_VOLATILE)
        body = sql_fmt(cx, "with v as materialized (" STR_FMT ") select * from v", STR_ARG(body));
    if (cx->scope && levels & (1ull << cx->scope->level)) return sql_lateral_text(cx, &p, body, item, text);
    *text = sql_fmt(cx, "(" STR_FMT ") as " STR_FMT, STR_ARG(body), STR_ARG(item->alias));
    return ERR_OK;
}

static err set_in(struct sql_context *cx, const struct catalog_function *f, const struct sql_value *args, uint32_t n,
                  int32_t location, struct sql_item *item, str *text) {
    const PgQuery__SelectStmt *s;
    struct sql_inline here;
    struct outside saved;
    struct sql_part p = {0};
    catalog_fields fields = {0};
    str with, body = {0};
    struct sql_argument_values arguments = arguments_of(cx, args, n, &with);
    if (!item->name.n) item->name = f->name;
    if (sql_is_called(cx, f)) return routine_set(cx, f, args, n, location, item, text);
    TRY(go_in(cx, f, &arguments, &here, location, &saved));
    err e = only_select(cx, f, location, &s);
    if (e == ERR_OK && item->wanted && !f->set &&
        (s->n_from_clause || s->where_clause || s->n_values_lists || s->op > PG_QUERY__SET_OPERATION__SETOP_NONE ||
         s->limit_count || s->limit_offset || s->having_clause))
        e = sql_unsupported(cx, location, "a column definition list of a function of one row that asks a table",
                            "Say RETURNS SETOF record.");
    if (e == ERR_OK) e = sql_declared(cx, f, &fields);
    if (e == ERR_OK && is_open(&fields) && item->wanted) fields = *item->wanted;
    else if (e == ERR_OK && is_open(&fields))
        e = sql_refuse(cx, location, "42601", "a column definition list is required for functions returning \"record\"");
    if (e == ERR_OK) e = sql_part_read(cx, s, &p);
    if (e == ERR_OK) e = give_rows(cx, f, &p, &fields);
    if (e == ERR_OK) body = sql_part_print(cx, &p, NULL);
    go_out(cx, &saved, f);
    TRY(e);
    item_columns(cx, item, &fields);
    uint64_t levels = p.levels;
    for (uint32_t i = 0; i < n; i++) levels |= args[i].levels;
    if (with.n) body = sql_fmt(cx, STR_FMT "select * from (" STR_FMT ")", STR_ARG(with), STR_ARG(body));
    if (p.flags & SQL_VOLATILE) body = sql_fmt(cx, "with v as materialized (" STR_FMT ") select * from v", STR_ARG(body));
    if (cx->scope && levels & (1ull << cx->scope->level)) return sql_lateral_text(cx, &p, body, item, text);
    *text = sql_fmt(cx, "(" STR_FMT ") as " STR_FMT, STR_ARG(body), STR_ARG(item->alias));
    return ERR_OK;
}

err sql_inline_set(struct sql_context *cx, const struct catalog_function *f, const struct sql_value *args, uint32_t n,
                   int32_t location, struct sql_item *item, str *text) {
    struct sql_context before = *cx;
    catalog_fields fields = {0};
    VEC(str) nulls = {0};
    bool tried = !f->why_not.n || f->pending || cx->migrates || sql_is_routine(f);
    if (!item->name.n) item->name = f->name;
    err e = tried ? set_in(cx, f, args, n, location, item, text) : ERR_UNSUPPORTED;
    if (e == ERR_OK || !f->why_not.n || sql_is_routine(f) || before.problem.set || cx->migrates) return e;
    str why = raising(cx, &before, f);
    TRY(sql_declared(cx, f, &fields));
    item_columns(cx, item, &fields);
    for (uint32_t i = 0; i < fields.n; i++) vec_push(cx->mem, &nulls, sql_fmt(cx, "null as c%u", i + 1));
    if (!nulls.n) vec_push(cx->mem, &nulls, STR("null as c1"));
    *text = sql_fmt(cx, "(select " STR_FMT " where " STR_FMT ") as " STR_FMT, STR_ARG(sql_joined(cx, nulls.p, nulls.n, ", ")),
                    STR_ARG(why), STR_ARG(item->alias));
    return ERR_OK;
}

/* ---- by itself ---- */

/* SET LOCAL a.b = 'text' is what set_config does: such settings are all that a session on SQLite has. Else the node itself. */
err sql_set_local(struct sql_context *cx, const PgQuery__Node *node, const PgQuery__Node **out) {
    const PgQuery__VariableSetStmt *s =
        node->node_case == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT ? node->variable_set_stmt : NULL;
    const PgQuery__AConst *c =
        s && s->n_args == 1 && s->args[0]->node_case == PG_QUERY__NODE__NODE_A_CONST ? s->args[0]->a_const : NULL;
    const PgQuery__ParseResult *tree;
    *out = node;
    if (!c || s->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE || !strchr(s->name, '.') ||
        c->val_case != PG_QUERY__A__CONST__VAL_SVAL)
        return ERR_OK;
    struct buf b = {0};
    const char *const parts[] = {"select set_config('", s->name, "', '", c->sval->sval, s->is_local ? "', true)" : "', false)"};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++)
        for (const char *p = parts[i]; *p; p++) {
            if (*p == '\'' && i % 2) buf_putc(&b, '\''); /* within a literal: twice */
            buf_putc(&b, (uint8_t)*p);
        }
    err e = sql_parse_text(cx, arena_str(cx->mem, buf_str(&b)), &tree);
    buf_free(&b);
    if (e == ERR_OK) *out = tree->stmts[0]->stmt;
    return e;
}

/* By itself it gives what there is. */
static err open_fields(struct sql_context *cx, struct sql_part *p, catalog_fields *fields) {
    catalog_fields own = {0};
    sql_spread_row(cx, p, NULL);
    TRY(sql_part_settle(cx, p));
    for (uint32_t i = 0; i < p->targets.n; i++) {
        if (p->targets.p[i].row) return sql_unsupported(cx, p->targets.p[i].location, "a row as a column of a record", NULL);
        vec_push(cx->mem, &own, ((struct catalog_field){p->names.p[i], p->targets.p[i].type, p->targets.p[i].typmod}));
    }
    *fields = own;
    return ERR_OK;
}

static err push_statement(struct sql_context *cx, struct catalog_function *f, const PgQuery__Node *node, catalog_fields *fields,
                          bool is_last) {
    struct catalog_fragment fragment;
    TRY(sql_set_local(cx, node, &node));
    if (is_last && fields->n && node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) {
        struct sql_part p;
        TRY(sql_part_read(cx, node->select_stmt, &p));
        if (is_open(fields)) TRY(open_fields(cx, &p, fields));
        TRY(give_rows(cx, f, &p, fields));
        fragment = (struct catalog_fragment){.text = sql_part_print(cx, &p, NULL), .typmod = -1};
        sql_fragment_flags(cx, p.flags, &fragment);
        TRY(sql_fragment_done(cx, fragment.text));
    } else {
        struct sql_columns columns = {0};
        err e = sql_translate_statement(cx, node, &fragment, &columns);
        if (e == ERR_USAGE)
            return sql_unsupported(cx, -1, "this statement in a function", "Only SELECT, INSERT, UPDATE and DELETE run there.");
        TRY(e);
        bool alike = columns.n == fields->n;
        for (uint32_t i = 0; alike && i < columns.n; i++)
            alike = sql_base_type(cx, columns.p[i].type) == sql_base_type(cx, fields->p[i].type);
        if (is_last && fields->n && !alike)
            return sql_refuse(cx, -1, "42P13", "return type mismatch in function declared to return " STR_FMT,
                              STR_ARG(sql_type_name(cx, f->returns)));
    }
    vec_push(cx->mem, &f->statements, fragment);
    return ERR_OK;
}

static err statements_of(struct sql_context *cx, struct catalog_function *f) {
    const PgQuery__ParseResult *tree;
    TRY(sql_parse_text(cx, f->source, &tree));
    catalog_fields fields = {0};
    TRY(sql_declared(cx, f, &fields));
    for (size_t i = 0; i < tree->n_stmts; i++) {
        cx->reads = cx->calls = cx->schemas = (catalog_ids){0};
        TRY(push_statement(cx, f, tree->stmts[i]->stmt, &fields, i + 1 == tree->n_stmts));
    }
    if (!tree->n_stmts && fields.n)
        return sql_refuse(cx, -1, "42P13", "return type mismatch in function declared to return " STR_FMT,
                          STR_ARG(sql_type_name(cx, f->returns)));
    f->columns = fields;
    return ERR_OK;
}

static str why_not(struct sql_context *cx) {
    const struct sql_problem *p = &cx->problem;
    return p->hint[0] ? arena_fmt(cx->mem, "%s (%s)", p->message, p->hint) : arena_fmt(cx->mem, "%s", p->message);
}

/* Of a function of one row: the relation whose row it is. */
static const struct catalog_relation *row_of(struct sql_context *cx, const struct catalog_function *f) {
    const struct catalog_relation *r = NULL;
    uint32_t in = 0;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN) continue;
        const struct catalog_type *t = a->type >= PG_OWN_MIN ? catalog_type_of(cx->catalog, a->type) : NULL;
        r = t && t->id == a->type && t->kind == CATALOG_ROW ? catalog_relation_of(cx->catalog, t->relation) : NULL;
        in++;
    }
    return in == 1 ? r : NULL;
}

/* A function of a row is a column of it, or what it leads to: its argument is the row at hand (\x01C). */
err sql_translate_function(struct sql_context *cx, struct catalog_function *f) {
    struct sql_inline here;
    struct outside saved;
    const struct catalog_relation *row = row_of(cx, f);
    struct sql_value at_hand;
    struct sql_argument_values arguments = {.n = 1, .values = &at_hand};
    f->statements = (catalog_fragments){0};
    f->columns = (catalog_fields){0};
    f->why_not = (str){0};
    if (sql_is_routine(f)) return routine_by_itself(cx, f);
    if (!str_eqc(f->language, "sql")) {
        f->why_not = arena_fmt(cx->mem, "language " STR_FMT " is not there on SQLite yet", STR_ARG(f->language));
        return ERR_OK;
    }
    if (row) at_hand = sql_row_of(cx, row);
    TRY(go_in(cx, f, row ? &arguments : NULL, &here, -1, &saved));
    err e = statements_of(cx, f);
    go_out(cx, &saved, f);
    if (e != ERR_UNSUPPORTED && e != ERR_LIMIT) return e;
    f->why_not = why_not(cx);
    f->statements = (catalog_fragments){0};
    cx->problem = (struct sql_problem){0};
    return ERR_OK;
}
