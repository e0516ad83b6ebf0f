/* ddl_table: CREATE TABLE: columns and their constraints, as PostgreSQL names and completes them. */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"
#include <stdio.h>

/* ---- new relations ---- */

struct catalog_relation *sql_relation_new(struct sql_ddl *d, const struct catalog_schema *s, str name,
                                          enum catalog_relation_kind kind) {
    struct catalog_relation *r = vec_add(d->mem, &d->c->relations);
    *r = (struct catalog_relation){.id = d->c->next_id++,
                                   .schema = s->id,
                                   .owner = d->c->owner,
                                   .kind = (uint8_t)kind,
                                   .platform = d->platform,
                                   .name = arena_str(d->mem, name)};
    r->row_type = d->c->next_id++, r->row_array = d->c->next_id++;
    struct catalog_type *row = vec_add(d->mem, &d->c->types);
    *row = (struct catalog_type){.id = r->row_type,
                                 .array = r->row_array,
                                 .schema = s->id,
                                 .owner = r->owner,
                                 .kind = CATALOG_ROW,
                                 .name = r->name,
                                 .relation = r->id,
                                 .typmod = -1,
                                 .platform = d->platform};
    row->default_value.fragment.typmod = -1;
    r->query.fragment.typmod = -1;
    if (kind != CATALOG_VIEW) {
        r->storage = sql_storage_name(d, s->id, r->name, r->id);
        vec_push(d->mem, &d->shapes, ((struct sql_shape){.relation = r->id, .storage = r->storage}));
    }
    sql_grants_new(d, r->owner, s->id, CATALOG_ON_TABLES, &r->grants);
    return r;
}

/* ---- columns ---- */

static const struct {
    const char *name, *type;
} serials[] = {{"serial", "int4"},  {"serial4", "int4"},     {"bigserial", "int8"},
               {"serial8", "int8"}, {"smallserial", "int2"}, {"serial2", "int2"}};

static uint32_t serial_type(const PgQuery__TypeName *t) {
    if (t->n_names != 1 || t->n_array_bounds) return 0;
    for (size_t i = 0; i < ARRAY_COUNT(serials); i++)
        if (!strcmp(t->names[0]->string->sval, serials[i].name)) return pg_type_by_name(str_c(serials[i].type))->id;
    return 0;
}

/* What cannot be had is refused, and is text from here on, so that all else is still looked at. */
static err column_type(struct sql_ddl *d, const PgQuery__TypeName *name, uint32_t *type, int32_t *typmod, bool *serial) {
    *typmod = -1;
    *serial = (*type = serial_type(name)) != 0;
    if (*serial) return ERR_OK;
    struct sql_context cx = sql_context_of(d);
    err e = sql_type_named(&cx, name, type, typmod);
    if (e != ERR_OK) return *type = PG_TEXT, *typmod = -1, sql_refuse_problem(d, &cx);
    const struct catalog_type *own = catalog_type_of(d->c, *type);
    if (!own || own->kind != CATALOG_ROW) return ERR_OK;
    *type = PG_TEXT;
    return sql_needs_postgres(d, name->location, "use jsonb, or a type of its own",
                              "a column of a table's row type is not there on SQLite");
}

/* Of what the column owns: dropped with it. */
static err own_sequence(struct sql_ddl *d, struct catalog_relation *r, struct catalog_column *c, PgQuery__Node *const *options,
                        size_t n) {
    const PgQuery__DefElem *named = sql_option(options, n, "sequence_name");
    str schema, name = {0};
    if (named && named->arg->node_case == PG_QUERY__NODE__NODE_LIST)
        sql_names(named->arg->list->items, named->arg->list->n_items, &schema, &name);
    if (!name.n || sql_name_taken(d, r->schema, name)) name = sql_made_name(d, r, c->name, "seq");
    struct catalog_sequence *q = sql_sequence_new(d, catalog_schema_of(d->c, r->schema), name);
    q->type = c->type, q->relation = r->id, q->column = c->number;
    q->max = c->type == PG_INT2 ? INT16_MAX : c->type == PG_INT4 ? INT32_MAX : INT64_MAX;
    c->sequence = q->id;
    return sql_sequence_options(d, q, options, n);
}

static void serial_default(struct sql_ddl *d, struct catalog_column *c) {
    const struct catalog_sequence *q = catalog_sequence_of(d->c, c->sequence);
    str schema = catalog_schema_of(d->c, q->schema)->name;
    c->default_value = (struct catalog_expr){
        .source = arena_fmt(d->mem, "nextval('" STR_FMT "." STR_FMT "'::regclass)", STR_ARG(schema), STR_ARG(q->name)),
        .fragment = {
            .text = arena_fmt(d->mem, "pg_nextval(%u)", q->id), .type = c->type, .typmod = -1, .flags = CATALOG_VOLATILE}};
}

static err set_default(struct sql_ddl *d, struct catalog_relation *r, struct catalog_column *c, const PgQuery__Node *node,
                       bool generated) {
    struct sql_expr_use use = {.row = generated ? r : NULL,
                               .kind = generated ? SQL_ROW_AT_HAND : SQL_ROW_NONE,
                               .type = c->type,
                               .typmod = c->typmod,
                               .context = PG_ASSIGNMENT,
                               .clause = generated ? "GENERATED" : "DEFAULT",
                               .column = c->name,
                               .no_subquery = true,
                               .no_volatile = generated};
    c->generated = generated;
    return sql_expr_into(d, node, &use, &c->default_value);
}

static err column_constraint(struct sql_ddl *d, uint32_t relation, str column, const PgQuery__Constraint *k) {
    struct catalog_relation *r = (struct catalog_relation *)catalog_relation_of(d->c, relation);
    struct catalog_column *c = sql_column_by(r, column);
    switch (k->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_NULL: return ERR_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL: c->not_null = true; return ERR_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT: return set_default(d, r, c, k->raw_expr, false);
    case PG_QUERY__CONSTR_TYPE__CONSTR_GENERATED: return set_default(d, r, c, k->raw_expr, true);
    case PG_QUERY__CONSTR_TYPE__CONSTR_IDENTITY:
        c->identity = k->generated_when && k->generated_when[0] == 'a' ? CATALOG_IDENTITY_ALWAYS : CATALOG_IDENTITY_BY_DEFAULT;
        c->not_null = true;
        return own_sequence(d, r, c, k->options, k->n_options);
    default: return sql_constraint_add(d, r, k, column);
    }
}

static bool is_stored(const struct catalog_relation *r, str name) {
    for (uint32_t i = 0; i < r->columns.n; i++)
        if (str_eq_nocase(r->columns.p[i].storage, name)) return true;
    return false;
}

/* SQLite knows no case, and has names of its own for a row's key, as we have for what stands beside a row (query/policy.c): no column is called so there. */
str sql_column_storage(struct sql_ddl *d, const struct catalog_relation *r, str name, uint32_t number) {
    static const char *const keys[] = {"rowid", "_rowid_", "oid"};
    bool taken = is_stored(r, name) || str_eq_nocase(str_sub(name, 0, 6), STR("_orlo_"));
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) taken |= str_eq_nocase(name, str_c(keys[i]));
    while (taken) {
        name = arena_fmt(d->mem, STR_FMT "#%u", STR_ARG(name), number);
        taken = is_stored(r, name) || str_eq_nocase(str_sub(name, 0, 6), STR("_orlo_"));
        if (taken) name = arena_fmt(d->mem, "c" STR_FMT, STR_ARG(name));
    }
    return name;
}

/* Attributes before constraints, as the latter may be of the former's making: a deferrable one says so in the next of the list. */
err sql_column_constraints(struct sql_ddl *d, uint32_t relation, const PgQuery__ColumnDef *def) {
    err e = ERR_OK;
    str column = str_c(def->colname);
    if (!catalog_column_named(catalog_relation_of(d->c, relation), column)) return ERR_OK; /* was refused */
    for (size_t i = 0; i < def->n_constraints; i++) {
        PgQuery__Constraint k = *def->constraints[i]->constraint;
        for (size_t j = i + 1; j < def->n_constraints; j++) {
            PgQuery__ConstrType t = def->constraints[j]->constraint->contype;
            if (t == PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRABLE) k.deferrable = true;
            else if (t == PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRED) k.deferrable = k.initdeferred = true;
            else if (t != PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_IMMEDIATE && t != PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_NOT_DEFERRABLE)
                break;
        }
        if (k.contype >= PG_QUERY__CONSTR_TYPE__CONSTR_ATTR_DEFERRABLE) continue;
        err one = column_constraint(d, relation, column, &k);
        if (one != ERR_OK) e = one;
    }
    return e;
}

err sql_column_add(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__ColumnDef *def) {
    str name = arena_str(d->mem, str_c(def->colname));
    if (catalog_column_named(r, name))
        return sql_refuse_at(d, def->location, "42701", NULL, "column \"" STR_FMT "\" of relation \"" STR_FMT "\" already exists",
                             STR_ARG(name), STR_ARG(r->name));
    if (r->columns.n >= 1600) return sql_refuse_at(d, def->location, "54011", NULL, "tables can have at most 1600 columns");
    uint32_t type;
    int32_t typmod;
    bool serial;
    err e = column_type(d, def->type_name, &type, &typmod, &serial), f;
    str storage = sql_column_storage(d, r, name, r->last_number + 1u);
    struct catalog_column *c = vec_add(d->mem, &r->columns);
    *c = (struct catalog_column){.number = ++r->last_number, .name = name, .storage = storage, .type = type, .typmod = typmod};
    c->default_value.fragment.typmod = -1;
    if (def->coll_clause)
        sql_remark(d, def->location, NULL, "column \"" STR_FMT "\": its COLLATE is left out; text is ordered by code points",
                   STR_ARG(name));
    if (serial) {
        c->not_null = true;
        own_sequence(d, r, c, NULL, 0);
        serial_default(d, c);
    }
    return def->raw_default && (f = set_default(d, r, c, def->raw_default, false)) != ERR_OK ? f : e;
}

/* ---- constraints ---- */

static err numbers_of(struct sql_ddl *d, const struct catalog_relation *r, PgQuery__Node *const *names, size_t n,
                      int32_t location, catalog_ids *out) {
    for (size_t i = 0; i < n; i++) {
        const struct catalog_column *c = catalog_column_named(r, sql_name_of(names[i]));
        if (!c)
            return sql_refuse_at(d, location, "42703", NULL, "column \"" STR_FMT "\" of relation \"" STR_FMT "\" does not exist",
                                 STR_ARG(sql_name_of(names[i])), STR_ARG(r->name));
        vec_push(d->mem, out, c->number);
    }
    return ERR_OK;
}

static enum catalog_action action_of(const char *letter) {
    switch (letter && *letter ? *letter : 'a') {
    case 'r': return CATALOG_RESTRICT;
    case 'c': return CATALOG_CASCADE;
    case 'n': return CATALOG_SET_NULL;
    case 'd': return CATALOG_SET_DEFAULT;
    default: return CATALOG_NO_ACTION;
    }
}

static bool same_ids(const catalog_ids *a, const catalog_ids *b) {
    for (uint32_t i = 0; a->n == b->n && i < a->n; i++)
        if (!catalog_ids_have(b, a->p[i])) return false;
    return a->n == b->n;
}

/* Is there a key, or a unique index that is not partial, on exactly these columns? */
static bool is_key(const struct catalog_relation *r, const catalog_ids *columns) {
    for (uint32_t i = 0; i < r->constraints.n; i++)
        if (r->constraints.p[i].kind <= CATALOG_UNIQUE && same_ids(&r->constraints.p[i].columns, columns)) return true;
    for (uint32_t i = 0; i < r->indexes.n; i++) {
        const struct catalog_index *x = &r->indexes.p[i];
        uint32_t hits = 0;
        for (uint32_t j = 0; j < x->keys.n; j++) hits += x->keys.p[j].column && catalog_ids_have(columns, x->keys.p[j].column);
        if (x->unique && !x->where.source.n && hits == columns->n && x->keys.n == columns->n) return true;
    }
    return false;
}

static err foreign_reference(struct sql_ddl *d, const struct catalog_relation *r, const PgQuery__Constraint *k,
                             struct catalog_constraint *c) {
    const struct catalog_relation *to = sql_relation_of(d, k->pktable);
    if (!to) return sql_no_relation(d, k->pktable);
    if (to->kind != CATALOG_TABLE)
        return sql_refuse_at(d, k->location, "42809", NULL, "referenced relation \"" STR_FMT "\" is not a table",
                             STR_ARG(to->name));
    c->reference = to->id;
    TRY(numbers_of(d, to, k->pk_attrs, k->n_pk_attrs, k->location, &c->reference_columns));
    const struct catalog_constraint *primary = catalog_primary_key(to);
    if (!k->n_pk_attrs && !primary)
        return sql_refuse_at(d, k->location, "42704", "name the columns that it refers to",
                             "there is no primary key for referenced table \"" STR_FMT "\"", STR_ARG(to->name));
    for (uint32_t i = 0; !k->n_pk_attrs && i < primary->columns.n; i++)
        vec_push(d->mem, &c->reference_columns, primary->columns.p[i]);
    if (c->columns.n != c->reference_columns.n)
        return sql_refuse_at(d, k->location, "42830", NULL,
                             "number of referencing and referenced columns for foreign key disagree");
    if (!is_key(to, &c->reference_columns))
        return sql_refuse_at(d, k->location, "42830", "give those columns a primary key or a unique constraint",
                             "there is no unique constraint matching given keys for referenced table \"" STR_FMT "\"",
                             STR_ARG(to->name));
    return ERR_OK;
}

static err foreign_key(struct sql_ddl *d, const struct catalog_relation *r, const PgQuery__Constraint *k,
                       struct catalog_constraint *c) {
    c->on_delete = (uint8_t)action_of(k->fk_del_action), c->on_update = (uint8_t)action_of(k->fk_upd_action);
    c->match_full = k->fk_matchtype && k->fk_matchtype[0] == 'f';
    TRY(foreign_reference(d, r, k, c));
    TRY(numbers_of(d, r, k->fk_del_set_cols, k->n_fk_del_set_cols, k->location, &c->set_columns));
    if (c->set_columns.n && !same_ids(&c->set_columns, &c->columns))
        return sql_needs_postgres(d, k->location, "leave the list of columns out, or set them by an update of your own",
                                  "ON DELETE SET of some columns of a key is not there on SQLite");
    if (c->match_full && c->columns.n > 1)
        return sql_needs_postgres(d, k->location, "use MATCH SIMPLE and a check that all or none of the columns are null",
                                  "MATCH FULL of several columns is not there on SQLite");
    return ERR_OK;
}

static str made_from(struct sql_ddl *d, const struct catalog_relation *r, const struct catalog_constraint *c, str column) {
    static const char *const suffixes[] = {
        [CATALOG_PRIMARY] = "pkey", [CATALOG_UNIQUE] = "key", [CATALOG_CHECK] = "check", [CATALOG_FOREIGN] = "fkey"};
    struct buf b = {0};
    for (uint32_t i = 0; c->kind != CATALOG_PRIMARY && c->kind != CATALOG_CHECK && i < c->columns.n; i++) {
        if (i) buf_putc(&b, '_');
        buf_puts(&b, catalog_column_of(r, c->columns.p[i])->name);
    }
    str columns = c->kind == CATALOG_CHECK ? column : arena_str(d->mem, buf_str(&b));
    buf_free(&b);
    return sql_made_name(d, r, columns, suffixes[c->kind]);
}

/* A check that is a table's and speaks of one column alone is named after that one. */
static str only_column(const struct catalog_relation *r, const struct catalog_fragment *f) {
    uint32_t number = 0;
    struct catalog_mark m = {0};
    while (catalog_mark_next(f->text, m.end, &m)) {
        if (m.kind != 'C') continue;
        if (number && number != m.id) return (str){0};
        number = m.id;
    }
    const struct catalog_column *c = number ? catalog_column_of(r, number) : NULL;
    return c ? c->name : (str){0};
}

static err check_constraint(struct sql_ddl *d, const struct catalog_relation *r, const PgQuery__Constraint *k,
                            struct catalog_constraint *c) {
    struct sql_expr_use use = {
        .row = r, .kind = SQL_ROW_AT_HAND, .type = PG_BOOL, .typmod = -1, .context = PG_ASSIGNMENT, .clause = "CHECK"};
    TRY(sql_expr_into(d, k->raw_expr, &use, &c->check));
    c->late = c->check.fragment.flags & CATALOG_SUBQUERY;
    return ERR_OK;
}

/* PRIMARY KEY USING INDEX takes the index's columns, and the index goes into the constraint. */
static err using_index(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__Constraint *k,
                       struct catalog_constraint *c) {
    for (uint32_t i = 0; i < r->indexes.n; i++) {
        struct catalog_index *x = &r->indexes.p[i];
        if (!str_eqc(x->name, k->indexname)) continue;
        for (uint32_t j = 0; j < x->keys.n; j++) vec_push(d->mem, &c->columns, x->keys.p[j].column);
        if (!c->name.n) c->name = x->name;
        sql_storage_free(d, x->storage);
        memmove(x, x + 1, (--r->indexes.n - i) * sizeof *x);
        return ERR_OK;
    }
    return sql_refuse_at(d, k->location, "42704", NULL, "index \"%s\" does not exist", k->indexname);
}

static void insert_by_name(struct sql_ddl *d, struct catalog_relation *r, struct catalog_constraint c) {
    uint32_t at = 0;
    while (at < r->constraints.n && str_cmp(r->constraints.p[at].name, c.name) < 0) at++;
    vec_add(d->mem, &r->constraints);
    memmove(&r->constraints.p[at + 1], &r->constraints.p[at], (r->constraints.n - 1 - at) * sizeof c);
    r->constraints.p[at] = c;
}

static err constraint_parts(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__Constraint *k, str column,
                            struct catalog_constraint *c) {
    PgQuery__Node *const *names = k->contype == PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN ? k->fk_attrs : k->keys;
    size_t n = k->contype == PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN ? k->n_fk_attrs : k->n_keys;
    TRY(numbers_of(d, r, names, n, k->location, &c->columns));
    if (k->indexname && *k->indexname) TRY(using_index(d, r, k, c));
    if (!c->columns.n && column.n && c->kind != CATALOG_CHECK)
        vec_push(d->mem, &c->columns, catalog_column_named(r, column)->number);
    if (c->kind == CATALOG_CHECK) return check_constraint(d, r, k, c);
    if (c->kind == CATALOG_FOREIGN) return foreign_key(d, r, k, c);
    if (c->kind == CATALOG_PRIMARY && catalog_primary_key(r))
        return sql_refuse_at(d, k->location, "42P16", NULL, "multiple primary keys for table \"" STR_FMT "\" are not allowed",
                             STR_ARG(r->name));
    for (uint32_t i = 0; c->kind == CATALOG_PRIMARY && i < c->columns.n; i++)
        ((struct catalog_column *)catalog_column_of(r, c->columns.p[i]))->not_null = true;
    if (c->deferrable) sql_remark(d, k->location, NULL, "a deferrable unique constraint is checked row by row on SQLite");
    return ERR_OK;
}

err sql_constraint_add(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__Constraint *k, str column) {
    struct catalog_constraint c = {.id = d->c->next_id++,
                                   .deferrable = k->deferrable || k->initdeferred,
                                   .deferred = k->initdeferred,
                                   .nulls_not_distinct = k->nulls_not_distinct,
                                   .not_valid = k->skip_validation,
                                   .check.fragment.typmod = -1};
    if (k->conname && *k->conname) c.name = arena_str(d->mem, str_c(k->conname));
    switch (k->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_PRIMARY: c.kind = CATALOG_PRIMARY; break;
    case PG_QUERY__CONSTR_TYPE__CONSTR_UNIQUE: c.kind = CATALOG_UNIQUE; break;
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK: c.kind = CATALOG_CHECK; break;
    case PG_QUERY__CONSTR_TYPE__CONSTR_FOREIGN: c.kind = CATALOG_FOREIGN; break;
    case PG_QUERY__CONSTR_TYPE__CONSTR_EXCLUSION: return sql_exclusion_add(d, r, k);
    default: return sql_needs_postgres(d, k->location, NULL, "a constraint of this kind is not there on SQLite");
    }
    err e = constraint_parts(d, r, k, column, &c);
    if (!c.name.n) c.name = made_from(d, r, &c, column.n || c.kind != CATALOG_CHECK ? column : only_column(r, &c.check.fragment));
    if (e != ERR_OK) return e;
    if (catalog_constraint_named(r, c.name))
        return sql_refuse_at(d, k->location, "42710", NULL,
                             "constraint \"" STR_FMT "\" for relation \"" STR_FMT "\" already exists", STR_ARG(c.name),
                             STR_ARG(r->name));
    c.storage = c.kind <= CATALOG_UNIQUE ? sql_storage_name(d, r->schema, c.name, c.id) : c.name;
    insert_by_name(d, r, c);
    return ERR_OK;
}

void sql_constraint_drop(struct sql_ddl *d, struct catalog_relation *r, uint32_t id) {
    for (uint32_t i = 0; i < r->constraints.n; i++) {
        struct catalog_constraint *c = &r->constraints.p[i];
        if (c->id != id) continue;
        if (c->kind <= CATALOG_UNIQUE) sql_storage_free(d, c->storage);
        memmove(c, c + 1, (--r->constraints.n - i) * sizeof *c);
        return;
    }
}

/* ---- the statement ---- */

static err like_clause(struct sql_ddl *d, uint32_t id, const PgQuery__TableLikeClause *like) {
    const struct catalog_relation *from = sql_relation_of(d, like->relation);
    if (!from) return sql_no_relation(d, like->relation);
    struct catalog_relation *r = (struct catalog_relation *)catalog_relation_of(d->c, id);
    enum { WITH_DEFAULTS = 8, WITH_CONSTRAINTS = 4, ALL_OTHERS = 0x7fffffff & ~(WITH_DEFAULTS | WITH_CONSTRAINTS) };
    if (like->options & 0x10)
        sql_remark(d, -1, NULL, "LIKE: columns, not null and defaults are taken over; identity, indexes and the rest are not");
    for (uint32_t i = 0; i < from->columns.n; i++) {
        struct catalog_column c = from->columns.p[i];
        c.number = ++r->last_number, c.storage = sql_column_storage(d, r, c.name, c.number), c.sequence = 0, c.identity = 0,
        c.generated = false;
        c.grants = (catalog_grants){0};
        if (!(like->options & WITH_DEFAULTS) || from->columns.p[i].generated)
            c.default_value = (struct catalog_expr){.fragment.typmod = -1};
        vec_push(d->mem, &r->columns, c);
    }
    return ERR_OK;
}

/* Columns, then what they say of themselves and of each other, then what the table says of them. */
static err table_element(struct sql_ddl *d, uint32_t id, const PgQuery__Node *n, int pass) {
    struct catalog_relation *r = (struct catalog_relation *)catalog_relation_of(d->c, id);
    switch (n->node_case) {
    case PG_QUERY__NODE__NODE_COLUMN_DEF:
        return !pass ? sql_column_add(d, r, n->column_def) : pass == 1 ? sql_column_constraints(d, id, n->column_def) : ERR_OK;
    case PG_QUERY__NODE__NODE_TABLE_LIKE_CLAUSE: return pass ? ERR_OK : like_clause(d, id, n->table_like_clause);
    case PG_QUERY__NODE__NODE_CONSTRAINT: return pass == 2 ? sql_constraint_add(d, r, n->constraint, (str){0}) : ERR_OK;
    default:
        return pass ? ERR_OK : sql_needs_postgres(d, -1, NULL, "what stands between the table's brackets is not there on SQLite");
    }
}

err sql_do_create_table(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateStmt *s = node_->create_stmt;
    bool temporary = s->relation->relpersistence[0] == 't';
    const struct catalog_schema *schema =
        temporary ? sql_temporary_schema(d) : sql_schema_to_fill(d, s->relation->schemaname, s->relation->location);
    if (!schema) return ERR_INVALID;
    TRY(sql_temporary_may(d, s->relation, s->oncommit));
    str name = arena_str(d->mem, str_c(s->relation->relname));
    if (sql_name_taken(d, schema->id, name)) {
        if (s->if_not_exists) return ERR_OK;
        return sql_refuse_at(d, s->relation->location, "42P07", NULL, "relation \"" STR_FMT "\" already exists", STR_ARG(name));
    }
    if (s->partspec || s->partbound || s->n_inh_relations || s->of_typename) {
        map_put(d->mem, &d->poisoned, name, 1);
        return sql_needs_postgres(d, s->relation->location, "use one table, with an index on what it was divided by",
                                  "partitions, inheritance and tables of a type are not there on SQLite");
    }
    uint32_t id = sql_relation_new(d, schema, name, CATALOG_TABLE)->id;
    sql_temporary_is(d, id, s->relation, s->oncommit);
    err e = ERR_OK, one;
    for (int pass = 0; pass < 3; pass++)
        for (size_t i = 0; i < s->n_table_elts; i++)
            if ((one = table_element(d, id, s->table_elts[i], pass)) != ERR_OK) e = one;
    if (!catalog_relation_of(d->c, id)->columns.n)
        return sql_needs_postgres(d, s->relation->location, "give it a column", "a table without columns is not there on SQLite");
    return e;
}
