/* names: what a statement names, in the catalogue that is being made; and names of SQLite's for what it makes. */
#include "sql/ddl_int.h"
#include <stdio.h>

struct sql_context sql_context_of(struct sql_ddl *d) {
    return (struct sql_context){.mem = d->mem,
                                .catalog = d->c,
                                .path = d->path,
                                .path_count = d->path_n,
                                .definer = true,
                                .variables = d->variables,
                                .trees = &d->trees,
                                .reader = d->engine == CATALOG_SQLITE ? d->reader : NULL};
}

str sql_dotted(struct sql_ddl *d, str schema, str name) {
    return schema.n ? arena_fmt(d->mem, STR_FMT "." STR_FMT, STR_ARG(schema), STR_ARG(name)) : name;
}

void sql_names(PgQuery__Node *const *nodes, size_t n, str *schema, str *name) {
    *schema = *name = (str){0};
    for (size_t i = 0; i < n; i++)
        if (nodes[i]->node_case == PG_QUERY__NODE__NODE_STRING) *schema = *name, *name = str_c(nodes[i]->string->sval);
}

const struct catalog_schema *sql_schema_for(struct sql_ddl *d, const char *name, int32_t location) {
    bool temporary = d->path_n && str_eqc(d->path[0], "pg_temp"); /* nothing is made there unless it says so */
    str wanted = name && *name ? str_c(name) : d->path_n > temporary ? d->path[temporary] : STR("public");
    if (name && !strcmp(name, "pg_temp")) return sql_temporary_schema(d);
    const struct catalog_schema *s = catalog_schema_named(d->c, wanted);
    if (!s)
        sql_refuse_at(d, location, "3F000", "write create schema before it", "schema \"" STR_FMT "\" does not exist",
                      STR_ARG(wanted));
    return s;
}

const struct catalog_schema *sql_schema_to_fill(struct sql_ddl *d, const char *name, int32_t location) {
    const struct catalog_schema *s = sql_schema_for(d, name, location);
    bool open = s && (d->platform || !s->platform || str_eqc(s->name, "public") || str_eqc(s->name, "extensions"));
    if (!s || open) return s;
    sql_refuse_at(d, location, "42501", "it is the platform's: make it in a schema of yours",
                  "permission denied for schema " STR_FMT, STR_ARG(s->name));
    return NULL;
}

err sql_must_own(struct sql_ddl *d, const struct catalog_relation *r, int32_t location) {
    if (!r->platform || d->platform) return ERR_OK;
    return sql_refuse_at(d, location, "42501", "it is the platform's: keep what is yours in a table of your own",
                         "must be owner of table " STR_FMT, STR_ARG(r->name));
}

struct catalog_relation *sql_relation_by(struct sql_ddl *d, str schema, str name) {
    if (schema.n) return (struct catalog_relation *)catalog_relation_named(d->c, schema, name);
    for (uint32_t i = 0; i < d->path_n; i++) {
        const struct catalog_relation *r = catalog_relation_named(d->c, d->path[i], name);
        if (r) return (struct catalog_relation *)r;
    }
    return NULL;
}

struct catalog_relation *sql_relation_of(struct sql_ddl *d, const PgQuery__RangeVar *var) {
    return sql_relation_by(d, str_c(var->schemaname), str_c(var->relname));
}

struct catalog_relation *sql_table_of(struct sql_ddl *d, const PgQuery__RangeVar *var, bool missing_ok, err *e) {
    struct catalog_relation *r = sql_relation_of(d, var);
    *e = ERR_OK;
    if (!r && !missing_ok) *e = sql_no_relation(d, var);
    return r;
}

struct catalog_type *sql_type_by(struct sql_ddl *d, PgQuery__Node *const *nodes, size_t n) {
    str schema, name;
    sql_names(nodes, n, &schema, &name);
    if (n == 1 && nodes[0]->node_case == PG_QUERY__NODE__NODE_TYPE_NAME)
        sql_names(nodes[0]->type_name->names, nodes[0]->type_name->n_names, &schema, &name);
    if (schema.n) return (struct catalog_type *)catalog_type_named(d->c, schema, name);
    for (uint32_t i = 0; i < d->path_n; i++) {
        const struct catalog_type *t = catalog_type_named(d->c, d->path[i], name);
        if (t) return (struct catalog_type *)t;
    }
    return NULL;
}

struct catalog_sequence *sql_sequence_by(struct sql_ddl *d, str schema, str name) {
    for (uint32_t i = 0; i < (schema.n ? 1 : d->path_n); i++) {
        const struct catalog_sequence *q = catalog_sequence_named(d->c, schema.n ? schema : d->path[i], name);
        if (q) return (struct catalog_sequence *)q;
    }
    return NULL;
}

static bool takes(struct sql_ddl *d, const struct catalog_function *f, const PgQuery__ObjectWithArgs *o) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN) continue;
        if (at >= o->n_objargs || o->objargs[at]->node_case != PG_QUERY__NODE__NODE_TYPE_NAME) return false;
        struct sql_context cx = sql_context_of(d);
        uint32_t type;
        int32_t typmod;
        if (sql_type_named(&cx, o->objargs[at++]->type_name, &type, &typmod) != ERR_OK || type != a->type) return false;
    }
    return at == o->n_objargs;
}

struct catalog_function *sql_function_by(struct sql_ddl *d, const PgQuery__ObjectWithArgs *o, bool *several) {
    str schema, name;
    struct catalog_function *found = NULL;
    sql_names(o->objname, o->n_objname, &schema, &name);
    *several = false;
    for (uint32_t i = 0; !found && i < (schema.n ? 1 : d->path_n); i++)
        for (const struct catalog_function *f = NULL; (f = catalog_function_next(d->c, schema.n ? schema : d->path[i], name, f));)
            if (o->args_unspecified || takes(d, f, o)) {
                *several |= found != NULL;
                found = (struct catalog_function *)f;
            }
    return found;
}

uint32_t sql_role_by(struct sql_ddl *d, const PgQuery__RoleSpec *role, err *e) {
    *e = ERR_OK;
    if (role->roletype == PG_QUERY__ROLE_SPEC_TYPE__ROLESPEC_PUBLIC) return CATALOG_PUBLIC;
    if (role->roletype != PG_QUERY__ROLE_SPEC_TYPE__ROLESPEC_CSTRING) return d->c->owner;
    const struct catalog_role *r = catalog_role_named(d->c, str_c(role->rolename));
    if (!r && !strcmp(role->rolename, "pg_database_owner")) return d->c->owner; /* PostgreSQL's own name for him */
    if (!r)
        *e = sql_refuse_at(d, role->location, "42704", "write create role before it", "role \"%s\" does not exist",
                           role->rolename);
    return r ? r->id : 0;
}

struct catalog_column *sql_column_by(struct catalog_relation *r, str name) {
    return (struct catalog_column *)catalog_column_named(r, name);
}

/* ---- options ---- */

const PgQuery__DefElem *sql_option(PgQuery__Node *const *options, size_t n, const char *name) {
    for (size_t i = 0; i < n; i++)
        if (options[i]->node_case == PG_QUERY__NODE__NODE_DEF_ELEM && !strcmp(options[i]->def_elem->defname, name))
            return options[i]->def_elem;
    return NULL;
}

str sql_option_text(const PgQuery__DefElem *o) {
    if (!o || !o->arg) return (str){0};
    const PgQuery__Node *n = o->arg;
    if (n->node_case == PG_QUERY__NODE__NODE_LIST && n->list->n_items) n = n->list->items[0];
    if (n->node_case == PG_QUERY__NODE__NODE_STRING) return str_c(n->string->sval);
    if (n->node_case == PG_QUERY__NODE__NODE_FLOAT) return str_c(n->float_->fval);
    if (n->node_case == PG_QUERY__NODE__NODE_TYPE_NAME && n->type_name->n_names)
        return str_c(n->type_name->names[n->type_name->n_names - 1]->string->sval);
    return (str){0};
}

bool sql_option_true(const PgQuery__DefElem *o) {
    if (!o) return false;
    if (!o->arg) return true;
    if (o->arg->node_case == PG_QUERY__NODE__NODE_BOOLEAN) return o->arg->boolean->boolval;
    if (o->arg->node_case == PG_QUERY__NODE__NODE_INTEGER) return o->arg->integer->ival != 0;
    str s = sql_option_text(o);
    return str_eq_nocase(s, STR("true")) || str_eq_nocase(s, STR("on")) || str_eqc(s, "1");
}

int64_t sql_option_i64(const PgQuery__DefElem *o, int64_t otherwise) {
    if (!o || !o->arg) return otherwise;
    if (o->arg->node_case == PG_QUERY__NODE__NODE_INTEGER) return o->arg->integer->ival;
    int64_t v = otherwise;
    if (o->arg->node_case == PG_QUERY__NODE__NODE_FLOAT) sscanf(o->arg->float_->fval, "%ld", &v);
    return v;
}

/* ---- names of SQLite's ---- */

static str lower(arena *mem, str s) {
    str copy = arena_str(mem, s);
    for (size_t i = 0; i < copy.n; i++)
        if (copy.p[i] >= 'A' && copy.p[i] <= 'Z') ((uint8_t *)(uintptr_t)copy.p)[i] |= 32;
    return copy;
}

static bool reserved(str name) { return str_starts(name, STR("sqlite_")) || str_starts(name, STR("_orlo")); }

str sql_storage_name(struct sql_ddl *d, uint32_t schema, str name, uint32_t id) {
    const struct catalog_schema *s = catalog_schema_of(d->c, schema);
    str wanted = str_eqc(s->name, "public") ? name : arena_fmt(d->mem, STR_FMT "." STR_FMT, STR_ARG(s->name), STR_ARG(name));
    uint64_t there = 0;
    str key = lower(d->mem, wanted);
    if (reserved(key)) wanted = arena_fmt(d->mem, "r%u." STR_FMT, id, STR_ARG(wanted));
    else if (map_get(&d->storage, key, &there) && there) wanted = arena_fmt(d->mem, STR_FMT "#%u", STR_ARG(wanted), id);
    map_put(d->mem, &d->storage, lower(d->mem, wanted), 1);
    return arena_str(d->mem, wanted);
}

void sql_storage_note(struct sql_ddl *d, str storage) {
    if (storage.n) map_put(d->mem, &d->storage, lower(d->mem, storage), 1);
}

void sql_storage_free(struct sql_ddl *d, str storage) {
    if (storage.n) map_put(d->mem, &d->storage, lower(d->mem, storage), 0);
}

bool sql_name_taken(struct sql_ddl *d, uint32_t schema, str name) {
    str s = catalog_schema_of(d->c, schema)->name;
    if (catalog_relation_named(d->c, s, name) || catalog_sequence_named(d->c, s, name)) return true;
    for (uint32_t i = 0; i < d->c->relations.n; i++) {
        const struct catalog_relation *r = &d->c->relations.p[i];
        if (r->schema != schema) continue;
        for (uint32_t j = 0; j < r->indexes.n; j++)
            if (str_eq(r->indexes.p[j].name, name)) return true;
        for (uint32_t j = 0; j < r->constraints.n; j++)
            if (r->constraints.p[j].kind <= CATALOG_UNIQUE && str_eq(r->constraints.p[j].name, name)) return true;
    }
    return false;
}

static str shorter(str s) {
    for (s.n--; s.n && (s.p[s.n] & 0xc0) == 0x80;) s.n--; /* no part of a character */
    return s;
}

/* PostgreSQL's makeObjectName: 63 bytes in all, the longer part is cut first. */
static str joined_name(arena *mem, str a, str b, const char *suffix, uint32_t pass) {
    char end[32];
    snprintf(end, sizeof end, pass ? "%s%u" : "%s", suffix, pass);
    size_t over = 1 + strlen(end) + (b.n ? 1 : 0);
    while (a.n + b.n + over > 63) {
        if (a.n > b.n) a = shorter(a);
        else b = shorter(b);
    }
    return b.n ? arena_fmt(mem, STR_FMT "_" STR_FMT "_%s", STR_ARG(a), STR_ARG(b), end)
               : arena_fmt(mem, STR_FMT "_%s", STR_ARG(a), end);
}

str sql_made_name(struct sql_ddl *d, const struct catalog_relation *r, str column, const char *suffix) {
    bool shares = strcmp(suffix, "check") && strcmp(suffix, "fkey"); /* the name of an index or a sequence too */
    for (uint32_t pass = 0;; pass++) {
        str name = joined_name(d->mem, r->name, column, suffix, pass);
        if (!catalog_constraint_named(r, name) && !(shares && sql_name_taken(d, r->schema, name))) return name;
    }
}

/* ---- expressions ---- */

static str what_of(struct sql_ddl *d, const struct sql_expr_use *use) {
    const char *clause = use->clause ? use->clause : "expression";
    char lower[24];
    snprintf(lower, sizeof lower, "%s", clause);
    for (char *p = lower; *p; p++) *p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
    const char *noun = !strcmp(lower, "generated") ? "generated value" : lower;
    if (use->row && use->column.n)
        return arena_fmt(d->mem, "the %s of column \"" STR_FMT "\" of \"" STR_FMT "\"", noun, STR_ARG(use->column),
                         STR_ARG(use->row->name));
    if (use->column.n) return arena_fmt(d->mem, "the %s of \"" STR_FMT "\"", noun, STR_ARG(use->column));
    if (use->row) return arena_fmt(d->mem, "a %s of \"" STR_FMT "\"", noun, STR_ARG(use->row->name));
    return arena_fmt(d->mem, "a %s", noun);
}

static bool can_raise(const struct sql_expr_use *use) {
    static const char *const clauses[] = {"POLICY", "CHECK", "DEFAULT", "GENERATED"};
    for (size_t i = 0; i < ARRAY_COUNT(clauses); i++)
        if (use->clause && !strcmp(use->clause, clauses[i])) return true;
    return false;
}

/* What SQLite lacks for a policy, a check or a default raises where it would be evaluated: a policy that cannot be read opens nothing. */
err sql_expr_into(struct sql_ddl *d, const PgQuery__Node *node, const struct sql_expr_use *use, struct catalog_expr *out) {
    struct sql_context cx = sql_context_of(d);
    cx.row = use->row, cx.row_kind = use->kind, cx.value_type = use->type, cx.value_typmod = use->typmod;
    cx.definer = false; /* of a policy: as who runs it may see; elsewhere there are no subqueries */
    struct sql_want want = {.type = use->kind == SQL_ROW_VALUE ? PG_BOOL : use->type,
                            .typmod = use->kind == SQL_ROW_VALUE ? -1 : use->typmod,
                            .context = use->context,
                            .clause = use->clause,
                            .column = use->column,
                            .no_subquery = use->no_subquery,
                            .no_set = true,
                            .no_volatile = use->no_volatile};
    *out = (struct catalog_expr){.source = use->source.n ? use->source : sql_expr_text(d->mem, node), .fragment.typmod = -1};
    if (sql_translate_expr(&cx, node, &want, &out->fragment) == ERR_OK) return ERR_OK;
    str what = use->what.n ? use->what : what_of(d, use);
    out->fragment = (struct catalog_fragment){.typmod = -1};
    out->why_not = arena_str(d->mem, str_c(cx.problem.message));
    if (use->optional && sql_is_lack(d, &cx.problem) && strcmp(cx.problem.state, "54001") != 0) return ERR_OK;
    if (!can_raise(use)) return sql_refuse_problem(d, &cx);
    TRY(sql_put_off(d, &cx, &out->why_not, STR_FMT " raises 0A000 when it is evaluated", STR_ARG(what)));
    out->fragment = (struct catalog_fragment){.text = sql_raising(d->mem, what, out->why_not),
                                              .type = use->type,
                                              .typmod = use->typmod,
                                              .reads = cx.reads,
                                              .calls = cx.calls};
    return ERR_OK;
}
