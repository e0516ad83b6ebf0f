/* ddl_object: what is the same for objects of many kinds: schemas, DROP, RENAME, owners, comments; extensions, publications, settings. */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"

#define DROP_AT(vec, i) memmove(&(vec)->p[i], &(vec)->p[(i) + 1], (--(vec)->n - (i)) * sizeof(vec)->p[0])

/* ---- schemas ---- */

err sql_do_create_schema(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateSchemaStmt *s = node_->create_schema_stmt;
    err e = ERR_OK, one;
    uint32_t owner = s->authrole ? sql_role_by(d, s->authrole, &e) : d->c->owner;
    str name = arena_str(d->mem, s->schemaname && *s->schemaname ? str_c(s->schemaname)
                                 : s->authrole                   ? str_c(s->authrole->rolename)
                                                                 : (str){0});
    TRY(e);
    if (catalog_schema_named(d->c, name))
        return s->if_not_exists ? ERR_OK
                                : sql_refuse_at(d, -1, "42P06", "write create schema if not exists",
                                                "schema \"" STR_FMT "\" already exists", STR_ARG(name));
    if (str_starts(name, STR("pg_")) || str_starts(name, STR("_orlo")))
        return sql_refuse_at(d, -1, "42939", NULL, "unacceptable schema name \"" STR_FMT "\"", STR_ARG(name));
    struct catalog_schema n = {.id = d->c->next_id++, .owner = owner, .name = name, .platform = d->platform};
    sql_grants_new(d, owner, 0, CATALOG_ON_SCHEMAS, &n.grants);
    vec_push(d->mem, &d->c->schemas, n);
    for (size_t i = 0; i < s->n_schema_elts; i++)
        if ((one = sql_statement_run(d, s->schema_elts[i])) != ERR_OK) e = one;
    return e;
}

/* ---- DROP ---- */

void sql_relation_drop(struct sql_ddl *d, uint32_t id) {
    struct catalog_relation *r = (struct catalog_relation *)catalog_relation_of(d->c, id);
    if (!r) return;
    sql_touch(d, r);
    sql_storage_free(d, r->storage);
    for (uint32_t i = 0; i < r->indexes.n; i++) sql_storage_free(d, r->indexes.p[i].storage);
    for (uint32_t i = 0; i < r->constraints.n; i++)
        if (r->constraints.p[i].kind <= CATALOG_UNIQUE) sql_storage_free(d, r->constraints.p[i].storage);
    for (uint32_t i = 0; i < d->c->sequences.n; i++)
        if (d->c->sequences.p[i].relation == id) {
            sql_step(d, arena_fmt(d->mem, "DELETE FROM \"_orlo_sequences\" WHERE id = %u", d->c->sequences.p[i].id));
            DROP_AT(&d->c->sequences, i), i--;
        }
    for (uint32_t i = 0; i < d->c->publications.n; i++)
        for (uint32_t j = 0; j < d->c->publications.p[i].relations.n; j++)
            if (d->c->publications.p[i].relations.p[j] == id) DROP_AT(&d->c->publications.p[i].relations, j), j--;
    for (uint32_t i = 0; i < d->c->types.n; i++)
        if (d->c->types.p[i].id == r->row_type) {
            DROP_AT(&d->c->types, i);
            break;
        }
    DROP_AT(&d->c->relations, (uint32_t)(r - d->c->relations.p));
}

/* The type of its rows goes where it goes, by the name that it has. */
static void row_type_follows(struct sql_ddl *d, const struct catalog_relation *r) {
    struct catalog_type *t = (struct catalog_type *)catalog_type_of(d->c, r->row_type);
    if (t) t->name = r->name, t->schema = r->schema;
}

static err drop_dependents(struct sql_ddl *d, uint32_t id, bool cascade, uint32_t depth) {
    for (uint32_t i = 0; i < d->c->relations.n; i++) {
        const struct catalog_relation *v = &d->c->relations.p[i], *r = catalog_relation_of(d->c, id);
        if (v->id == id || !catalog_ids_have(&v->depends, id)) continue;
        if (!cascade || depth > 64)
            return sql_refuse_at(d, -1, "2BP01", "drop it first, or write cascade",
                                 "cannot drop " STR_FMT " because other objects depend on it: view " STR_FMT, STR_ARG(r->name),
                                 STR_ARG(v->name));
        uint32_t view = v->id;
        TRY(drop_dependents(d, view, true, depth + 1));
        sql_relation_drop(d, view);
        i = UINT32_MAX; /* from the start: the list has changed */
    }
    return ERR_OK;
}

/* Policies of other tables that read it. */
static err drop_policies_reading(struct sql_ddl *d, uint32_t id, bool cascade) {
    for (uint32_t i = 0; i < d->c->relations.n; i++) {
        struct catalog_relation *r = &d->c->relations.p[i];
        for (uint32_t j = 0; r->id != id && j < r->policies.n; j++) {
            const struct catalog_policy *p = &r->policies.p[j];
            if (!catalog_ids_have(&p->using_expr.fragment.reads, id) && !catalog_ids_have(&p->check_expr.fragment.reads, id))
                continue;
            if (!cascade)
                return sql_refuse_at(d, -1, "2BP01", "drop it first, or write cascade",
                                     "cannot drop " STR_FMT " because other objects depend on it: policy \"" STR_FMT
                                     "\" on table " STR_FMT,
                                     STR_ARG(catalog_relation_of(d->c, id)->name), STR_ARG(p->name), STR_ARG(r->name));
            DROP_AT(&r->policies, j), j--;
        }
    }
    return ERR_OK;
}

static err drop_relation(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o) {
    str schema, name;
    bool cascade = s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    sql_names(o->list->items, o->list->n_items, &schema, &name);
    struct catalog_relation *r = sql_relation_by(d, schema, name);
    enum catalog_relation_kind kind = s->remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_VIEW      ? CATALOG_VIEW
                                      : s->remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW ? CATALOG_MATVIEW
                                                                                                : CATALOG_TABLE;
    if (!r)
        return s->missing_ok ? ERR_OK
                             : sql_refuse_at(d, -1, "42P01", "write if exists where it may not be there",
                                             "\"" STR_FMT "\" does not exist", STR_ARG(sql_dotted(d, schema, name)));
    if (r->kind != kind)
        return sql_refuse_at(d, -1, "42809", "write what it is: table, view or materialized view",
                             "\"" STR_FMT "\" is another kind of relation", STR_ARG(r->name));
    if (r->platform && !d->platform)
        return sql_refuse_at(d, -1, "42501", NULL, "must be owner of table " STR_FMT ": it is the platform's", STR_ARG(r->name));
    uint32_t id = r->id;
    TRY(drop_dependents(d, id, cascade, 0));
    TRY(sql_drop_referring(d, catalog_relation_of(d->c, id), cascade));
    TRY(drop_policies_reading(d, id, cascade));
    sql_relation_drop(d, id);
    return ERR_OK;
}

static err drop_index(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o) {
    str schema, name;
    sql_names(o->list->items, o->list->n_items, &schema, &name);
    const struct catalog_schema *in = schema.n ? catalog_schema_named(d->c, schema) : NULL;
    for (uint32_t i = 0; i < d->c->relations.n; i++) {
        struct catalog_relation *r = &d->c->relations.p[i];
        for (uint32_t j = 0; j < r->indexes.n && (!schema.n || (in && r->schema == in->id)); j++) {
            if (!str_eq(r->indexes.p[j].name, name)) continue;
            sql_touch(d, r);
            sql_storage_free(d, r->indexes.p[j].storage);
            DROP_AT(&r->indexes, j);
            return ERR_OK;
        }
        const struct catalog_constraint *k = catalog_constraint_named(r, name);
        if (k && k->kind <= CATALOG_UNIQUE)
            return sql_refuse_at(d, -1, "2BP01", "write alter table … drop constraint",
                                 "cannot drop index " STR_FMT " because constraint " STR_FMT " on table " STR_FMT " requires it",
                                 STR_ARG(name), STR_ARG(name), STR_ARG(r->name));
    }
    return s->missing_ok ? ERR_OK
                         : sql_refuse_at(d, -1, "42704", "write if exists where it may not be there",
                                         "index \"" STR_FMT "\" does not exist", STR_ARG(name));
}

/* A policy or a trigger: the last of the names is its own, the others are its table's. */
static err drop_of_table(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o) {
    str schema, table, name = sql_name_of(o->list->items[o->list->n_items - 1]);
    sql_names(o->list->items, o->list->n_items - 1, &schema, &table);
    struct catalog_relation *r = sql_relation_by(d, schema, table);
    uint64_t there;
    if (!r && (s->missing_ok || map_get(&d->poisoned, table, &there))) return ERR_OK;
    if (!r)
        return sql_refuse_at(d, -1, "42P01", "no migration creates it", "relation \"" STR_FMT "\" does not exist",
                             STR_ARG(sql_dotted(d, schema, table)));
    bool policy = s->remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_POLICY;
    for (uint32_t i = 0; policy && i < r->policies.n; i++)
        if (str_eq(r->policies.p[i].name, name)) return DROP_AT(&r->policies, i), ERR_OK;
    for (uint32_t i = 0; !policy && i < r->triggers.n; i++)
        if (str_eq(r->triggers.p[i].name, name)) return DROP_AT(&r->triggers, i), ERR_OK;
    return s->missing_ok ? ERR_OK
                         : sql_refuse_at(d, -1, "42704", "write if exists where it may not be there",
                                         "%s \"" STR_FMT "\" for table \"" STR_FMT "\" does not exist",
                                         policy ? "policy" : "trigger", STR_ARG(name), STR_ARG(r->name));
}

static err function_users(struct sql_ddl *d, const struct catalog_function *f, bool cascade) {
    for (uint32_t i = 0; i < d->c->relations.n; i++) {
        struct catalog_relation *r = &d->c->relations.p[i];
        for (uint32_t j = 0; j < r->triggers.n; j++) {
            if (r->triggers.p[j].function != f->id) continue;
            if (!cascade)
                return sql_refuse_at(d, -1, "2BP01", "write cascade",
                                     "cannot drop function " STR_FMT " because other objects depend on it: trigger " STR_FMT,
                                     STR_ARG(f->name), STR_ARG(r->triggers.p[j].name));
            DROP_AT(&r->triggers, j), j--;
        }
        for (uint32_t j = 0; j < r->policies.n; j++) {
            const struct catalog_policy *p = &r->policies.p[j];
            if (!catalog_ids_have(&p->using_expr.fragment.calls, f->id) &&
                !catalog_ids_have(&p->check_expr.fragment.calls, f->id))
                continue;
            if (!cascade)
                return sql_refuse_at(d, -1, "2BP01", "write cascade",
                                     "cannot drop function " STR_FMT " because other objects depend on it: policy \"" STR_FMT
                                     "\"",
                                     STR_ARG(f->name), STR_ARG(p->name));
            DROP_AT(&r->policies, j), j--;
        }
    }
    return ERR_OK;
}

static err drop_function(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o) {
    bool several;
    str schema, name;
    struct catalog_function *f = sql_function_by(d, o->object_with_args, &several);
    sql_names(o->object_with_args->objname, o->object_with_args->n_objname, &schema, &name);
    if (several)
        return sql_refuse_at(d, -1, "42725", "write its arguments' types", "function name \"" STR_FMT "\" is not unique",
                             STR_ARG(name));
    uint64_t there;
    if (!f)
        return s->missing_ok || map_get(&d->poisoned, name, &there)
                   ? ERR_OK
                   : sql_refuse_at(d, -1, "42883", "write if exists where it may not be there",
                                   "function " STR_FMT " does not exist", STR_ARG(name));
    if (f->platform && !d->platform)
        return sql_refuse_at(d, -1, "42501", NULL, "must be owner of function " STR_FMT ": it is the platform's", STR_ARG(name));
    TRY(function_users(d, f, s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE));
    DROP_AT(&d->c->functions, (uint32_t)(f - d->c->functions.p));
    return ERR_OK;
}

static err drop_type(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o) {
    struct catalog_type *t = sql_type_by(d, &(PgQuery__Node *){(PgQuery__Node *)o}, 1);
    if (!t)
        return s->missing_ok
                   ? ERR_OK
                   : sql_refuse_at(d, -1, "42704", "write if exists where it may not be there", "the type does not exist");
    for (uint32_t i = 0; i < d->c->relations.n; i++)
        for (uint32_t j = 0; j < d->c->relations.p[i].columns.n; j++) {
            uint32_t type = d->c->relations.p[i].columns.p[j].type;
            if (type == t->id || type == t->array)
                return sql_refuse_at(
                    d, -1, "2BP01", "change or drop the column first",
                    "cannot drop type " STR_FMT " because other objects depend on it: column " STR_FMT " of table " STR_FMT,
                    STR_ARG(t->name), STR_ARG(d->c->relations.p[i].columns.p[j].name), STR_ARG(d->c->relations.p[i].name));
        }
    for (uint32_t i = 0; i < d->c->functions.n; i++) {
        bool uses = d->c->functions.p[i].returns == t->id || d->c->functions.p[i].returns == t->array;
        for (uint32_t j = 0; j < d->c->functions.p[i].arguments.n; j++)
            uses |= d->c->functions.p[i].arguments.p[j].type == t->id || d->c->functions.p[i].arguments.p[j].type == t->array;
        if (uses && s->behavior != PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE)
            return sql_refuse_at(d, -1, "2BP01", "write cascade",
                                 "cannot drop type " STR_FMT " because other objects depend on it: function " STR_FMT,
                                 STR_ARG(t->name), STR_ARG(d->c->functions.p[i].name));
        if (uses) DROP_AT(&d->c->functions, i), i--;
    }
    DROP_AT(&d->c->types, (uint32_t)(t - d->c->types.p));
    return ERR_OK;
}

static err drop_sequence(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o) {
    str schema, name;
    sql_names(o->list->items, o->list->n_items, &schema, &name);
    struct catalog_sequence *q = sql_sequence_by(d, schema, name);
    if (!q)
        return s->missing_ok ? ERR_OK
                             : sql_refuse_at(d, -1, "42P01", "write if exists where it may not be there",
                                             "sequence \"" STR_FMT "\" does not exist", STR_ARG(name));
    for (uint32_t i = 0; i < d->c->relations.n; i++)
        for (uint32_t j = 0; j < d->c->relations.p[i].columns.n; j++) {
            struct catalog_column *c = &d->c->relations.p[i].columns.p[j];
            if (c->sequence != q->id) continue;
            if (s->behavior != PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE)
                return sql_refuse_at(d, -1, "2BP01", "write cascade",
                                     "cannot drop sequence " STR_FMT
                                     " because other objects depend on it: default value for column " STR_FMT,
                                     STR_ARG(name), STR_ARG(c->name));
            c->sequence = 0, c->default_value = (struct catalog_expr){.fragment.typmod = -1};
        }
    sql_step(d, arena_fmt(d->mem, "DELETE FROM \"_orlo_sequences\" WHERE id = %u", q->id));
    DROP_AT(&d->c->sequences, (uint32_t)(q - d->c->sequences.p));
    return ERR_OK;
}

static err drop_schema(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o) {
    str name = sql_name_of(o);
    const struct catalog_schema *in = catalog_schema_named(d->c, name);
    bool cascade = s->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    if (!in)
        return s->missing_ok ? ERR_OK
                             : sql_refuse_at(d, -1, "3F000", "write if exists where it may not be there",
                                             "schema \"" STR_FMT "\" does not exist", STR_ARG(name));
    if (in->platform && !d->platform)
        return sql_refuse_at(d, -1, "42501", NULL, "must be owner of schema " STR_FMT ": it is the platform's", STR_ARG(name));
    uint32_t id = in->id;
    for (uint32_t i = 0; i < d->c->relations.n; i++) {
        uint32_t relation = d->c->relations.p[i].id;
        if (d->c->relations.p[i].schema != id) continue;
        if (!cascade)
            return sql_refuse_at(d, -1, "2BP01", "write cascade",
                                 "cannot drop schema " STR_FMT " because other objects depend on it: " STR_FMT, STR_ARG(name),
                                 STR_ARG(d->c->relations.p[i].name));
        TRY(drop_dependents(d, relation, true, 0));
        TRY(sql_drop_referring(d, catalog_relation_of(d->c, relation), true));
        TRY(drop_policies_reading(d, relation, true));
        sql_relation_drop(d, relation);
        i = UINT32_MAX;
    }
    for (uint32_t i = 0; i < d->c->types.n; i++)
        if (d->c->types.p[i].schema == id) {
            if (!cascade)
                return sql_refuse_at(d, -1, "2BP01", "write cascade",
                                     "cannot drop schema " STR_FMT " because other objects depend on it", STR_ARG(name));
            DROP_AT(&d->c->types, i), i--;
        }
    for (uint32_t i = 0; i < d->c->functions.n; i++)
        if (d->c->functions.p[i].schema == id) {
            if (!cascade)
                return sql_refuse_at(d, -1, "2BP01", "write cascade",
                                     "cannot drop schema " STR_FMT " because other objects depend on it", STR_ARG(name));
            TRY(function_users(d, &d->c->functions.p[i], true));
            DROP_AT(&d->c->functions, i), i--;
        }
    for (uint32_t i = 0; i < d->c->sequences.n; i++)
        if (d->c->sequences.p[i].schema == id) DROP_AT(&d->c->sequences, i), i--;
    for (uint32_t i = 0; i < d->c->schemas.n; i++)
        if (d->c->schemas.p[i].id == id) DROP_AT(&d->c->schemas, i), i--;
    return ERR_OK;
}

static err drop_publication(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o) {
    for (uint32_t i = 0; i < d->c->publications.n; i++)
        if (str_eq(d->c->publications.p[i].name, sql_name_of(o))) return DROP_AT(&d->c->publications, i), ERR_OK;
    return s->missing_ok ? ERR_OK
                         : sql_refuse_at(d, -1, "42704", "write if exists where it may not be there",
                                         "publication \"" STR_FMT "\" does not exist", STR_ARG(sql_name_of(o)));
}

static const struct {
    PgQuery__ObjectType type;
    err (*fn)(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o);
} drops[] = {
    {PG_QUERY__OBJECT_TYPE__OBJECT_TABLE, drop_relation},
    {PG_QUERY__OBJECT_TYPE__OBJECT_VIEW, drop_relation},
    {PG_QUERY__OBJECT_TYPE__OBJECT_MATVIEW, drop_relation},
    {PG_QUERY__OBJECT_TYPE__OBJECT_INDEX, drop_index},
    {PG_QUERY__OBJECT_TYPE__OBJECT_POLICY, drop_of_table},
    {PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER, drop_of_table},
    {PG_QUERY__OBJECT_TYPE__OBJECT_FUNCTION, drop_function},
    {PG_QUERY__OBJECT_TYPE__OBJECT_PROCEDURE, drop_function},
    {PG_QUERY__OBJECT_TYPE__OBJECT_ROUTINE, drop_function},
    {PG_QUERY__OBJECT_TYPE__OBJECT_TYPE, drop_type},
    {PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN, drop_type},
    {PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE, drop_sequence},
    {PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA, drop_schema},
    {PG_QUERY__OBJECT_TYPE__OBJECT_PUBLICATION, drop_publication},
    {PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION, sql_extension_drop},
};

err sql_do_drop(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__DropStmt *s = node_->drop_stmt;
    err e = ERR_OK, one;
    for (size_t i = 0; i < ARRAY_COUNT(drops); i++) {
        if (drops[i].type != s->remove_type) continue;
        for (size_t j = 0; j < s->n_objects; j++)
            if ((one = drops[i].fn(d, s, s->objects[j])) != ERR_OK) e = one;
        return e;
    }
    if (s->remove_type == PG_QUERY__OBJECT_TYPE__OBJECT_EVENT_TRIGGER && s->missing_ok) return ERR_OK;
    return sql_needs_postgres(d, -1, NULL, "DROP of such an object is not there on SQLite");
}

/* ---- RENAME ---- */

/* Expressions' text is for people and for the other engine: names in it are changed with the names. Fragments go by numbers. */
static bool rename_in(ProtobufCMessage *m, const char *old, const char *new, uint32_t depth);

static bool rename_field(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, const char *old, const char *new,
                         uint32_t depth) {
    void *at = (char *)m + f->offset;
    bool any = false;
    if (f->type != PROTOBUF_C_TYPE_MESSAGE) return false;
    if (f->label == PROTOBUF_C_LABEL_REPEATED) {
        size_t n = *(size_t *)(void *)((char *)m + f->quantifier_offset);
        for (size_t i = 0; i < n; i++) any |= rename_in((*(ProtobufCMessage ***)at)[i], old, new, depth + 1);
        return any;
    }
    if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) && *(uint32_t *)(void *)((char *)m + f->quantifier_offset) != f->id)
        return false;
    return *(ProtobufCMessage **)at && rename_in(*(ProtobufCMessage **)at, old, new, depth + 1);
}

static bool rename_in(ProtobufCMessage *m, const char *old, const char *new, uint32_t depth) {
    bool any = false;
    if (depth > 2000) return false;
    if (m->descriptor == &pg_query__column_ref__descriptor) {
        PgQuery__ColumnRef *ref = (PgQuery__ColumnRef *)m;
        for (size_t i = 0; i < ref->n_fields; i++)
            if (ref->fields[i]->node_case == PG_QUERY__NODE__NODE_STRING && !strcmp(ref->fields[i]->string->sval, old))
                ref->fields[i]->string->sval = (char *)(uintptr_t) new, any = true;
        return any;
    }
    if (m->descriptor == &pg_query__range_var__descriptor) {
        PgQuery__RangeVar *var = (PgQuery__RangeVar *)m;
        if (!strcmp(var->relname, old)) var->relname = (char *)(uintptr_t) new, any = true;
    }
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) any |= rename_field(m, &m->descriptor->fields[i], old, new, depth);
    return any;
}

static void rename_expr(struct sql_ddl *d, struct catalog_expr *e, const char *old, const char *new, bool statement) {
    if (!e->source.n || !memmem(e->source.p, e->source.n, old, strlen(old))) return;
    const PgQuery__Node *tree = statement ? sql_statement_tree(d->mem, e->source) : sql_expr_tree(d->mem, e->source);
    if (tree && rename_in((ProtobufCMessage *)(uintptr_t)tree, old, new, 0))
        e->source = statement ? sql_statement_text(d->mem, tree) : sql_expr_text(d->mem, tree);
}

/* In the expressions of the relation, and of all others that read it. */
static void rename_texts(struct sql_ddl *d, uint32_t id, const char *old, const char *new) {
    for (uint32_t i = 0; i < d->c->relations.n; i++) {
        struct catalog_relation *r = &d->c->relations.p[i];
        bool own = r->id == id;
        for (uint32_t j = 0; j < r->policies.n; j++) {
            struct catalog_policy *p = &r->policies.p[j];
            if (own || catalog_ids_have(&p->using_expr.fragment.reads, id)) rename_expr(d, &p->using_expr, old, new, false);
            if (own || catalog_ids_have(&p->check_expr.fragment.reads, id)) rename_expr(d, &p->check_expr, old, new, false);
        }
        if (catalog_ids_have(&r->depends, id)) rename_expr(d, &r->query, old, new, true);
        for (uint32_t j = 0; own && j < r->constraints.n; j++) rename_expr(d, &r->constraints.p[j].check, old, new, false);
        for (uint32_t j = 0; own && j < r->columns.n; j++) rename_expr(d, &r->columns.p[j].default_value, old, new, false);
        for (uint32_t j = 0; own && j < r->indexes.n; j++) {
            rename_expr(d, &r->indexes.p[j].where, old, new, false);
            for (uint32_t k = 0; k < r->indexes.p[j].keys.n; k++)
                rename_expr(d, &r->indexes.p[j].keys.p[k].expr, old, new, false);
        }
    }
}

static err rename_column(struct sql_ddl *d, const PgQuery__RenameStmt *s, struct catalog_relation *r, str name) {
    struct catalog_column *c = sql_column_by(r, str_c(s->subname));
    if (!c) return sql_refuse_at(d, s->relation->location, "42703", NULL, "column \"%s\" does not exist", s->subname);
    if (sql_column_by(r, name))
        return sql_refuse_at(d, s->relation->location, "42701", NULL,
                             "column \"" STR_FMT "\" of relation \"" STR_FMT "\" already exists", STR_ARG(name),
                             STR_ARG(r->name));
    c->name = name;
    rename_texts(d, r->id, s->subname, (const char *)name.p);
    return ERR_OK;
}

static void sort_constraints(struct catalog_relation *r) {
    for (uint32_t i = 1; i < r->constraints.n; i++)
        for (uint32_t j = i; j && str_cmp(r->constraints.p[j].name, r->constraints.p[j - 1].name) < 0; j--) {
            struct catalog_constraint k = r->constraints.p[j];
            r->constraints.p[j] = r->constraints.p[j - 1], r->constraints.p[j - 1] = k;
        }
}

static void sort_policies(struct catalog_relation *r) {
    for (uint32_t i = 1; i < r->policies.n; i++)
        for (uint32_t j = i; j && str_cmp(r->policies.p[j].name, r->policies.p[j - 1].name) < 0; j--) {
            struct catalog_policy p = r->policies.p[j];
            r->policies.p[j] = r->policies.p[j - 1], r->policies.p[j - 1] = p;
        }
}

static err rename_of_relation(struct sql_ddl *d, const PgQuery__RenameStmt *s, struct catalog_relation *r, str name) {
    switch (s->rename_type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN: return rename_column(d, s, r, name);
    case PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT: {
        struct catalog_constraint *k = (struct catalog_constraint *)catalog_constraint_named(r, str_c(s->subname));
        if (!k)
            return sql_refuse_at(d, s->relation->location, "42704", NULL,
                                 "constraint \"%s\" for table \"" STR_FMT "\" does not exist", s->subname, STR_ARG(r->name));
        if (catalog_constraint_named(r, name))
            return sql_refuse_at(d, s->relation->location, "42710", NULL,
                                 "constraint \"" STR_FMT "\" for relation \"" STR_FMT "\" already exists", STR_ARG(name),
                                 STR_ARG(r->name));
        sql_touch(d, r);
        k->name = name;
        sort_constraints(r);
        return ERR_OK;
    }
    case PG_QUERY__OBJECT_TYPE__OBJECT_POLICY:
        for (uint32_t i = 0; i < r->policies.n; i++)
            if (str_eqc(r->policies.p[i].name, s->subname)) return r->policies.p[i].name = name, sort_policies(r), ERR_OK;
        break;
    case PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER:
        for (uint32_t i = 0; i < r->triggers.n; i++)
            if (str_eqc(r->triggers.p[i].name, s->subname)) return r->triggers.p[i].name = name, ERR_OK;
        break;
    default:
        if (sql_name_taken(d, r->schema, name))
            return sql_refuse_at(d, s->relation->location, "42P07", NULL, "relation \"" STR_FMT "\" already exists",
                                 STR_ARG(name));
        {
            const char *old = arena_cstr(d->mem, r->name);
            r->name = name;
            row_type_follows(d, r);
            rename_texts(d, r->id, old, (const char *)name.p);
        }
        return ERR_OK;
    }
    return sql_refuse_at(d, s->relation->location, "42704", NULL, "\"%s\" for table \"" STR_FMT "\" does not exist", s->subname,
                         STR_ARG(r->name));
}

static err rename_index(struct sql_ddl *d, const PgQuery__RenameStmt *s, str name) {
    for (uint32_t i = 0; i < d->c->relations.n; i++) {
        struct catalog_relation *r = &d->c->relations.p[i];
        for (uint32_t j = 0; j < r->indexes.n; j++)
            if (str_eqc(r->indexes.p[j].name, s->relation->relname)) return r->indexes.p[j].name = name, ERR_OK;
        struct catalog_constraint *k = (struct catalog_constraint *)catalog_constraint_named(r, str_c(s->relation->relname));
        if (k && k->kind <= CATALOG_UNIQUE) return sql_touch(d, r), k->name = name, sort_constraints(r), ERR_OK;
    }
    return s->missing_ok
               ? ERR_OK
               : sql_refuse_at(d, s->relation->location, "42P01", NULL, "index \"%s\" does not exist", s->relation->relname);
}

static err rename_object(struct sql_ddl *d, const PgQuery__RenameStmt *s, str name) {
    bool several;
    struct catalog_function *f;
    struct catalog_type *t;
    struct catalog_schema *schema;
    switch (s->rename_type) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_FUNCTION:
    case PG_QUERY__OBJECT_TYPE__OBJECT_PROCEDURE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_ROUTINE:
        f = sql_function_by(d, s->object->object_with_args, &several);
        if (!f) return sql_refuse_at(d, -1, "42883", NULL, "the function does not exist");
        f->name = name;
        return ERR_OK;
    case PG_QUERY__OBJECT_TYPE__OBJECT_TYPE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN:
        t = s->object->node_case == PG_QUERY__NODE__NODE_LIST ? sql_type_by(d, s->object->list->items, s->object->list->n_items)
                                                              : sql_type_by(d, &(PgQuery__Node *){s->object}, 1);
        if (!t) return sql_refuse_at(d, -1, "42704", NULL, "the type does not exist");
        t->name = name;
        return ERR_OK;
    case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA:
        schema = (struct catalog_schema *)catalog_schema_named(d->c, str_c(s->subname));
        if (!schema || (schema->platform && !d->platform))
            return sql_refuse_at(d, -1, "3F000", NULL, "schema \"%s\" does not exist, or is the platform's", s->subname);
        return schema->name = name, ERR_OK;
    default: return sql_needs_postgres(d, -1, NULL, "RENAME of such an object is not there on SQLite");
    }
}

err sql_do_rename(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__RenameStmt *s = node_->rename_stmt;
    str name = arena_str(d->mem, str_c(s->newname));
    if (s->rename_type == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX) return rename_index(d, s, name);
    if (!s->relation) return rename_object(d, s, name);
    struct catalog_sequence *q = sql_sequence_by(d, str_c(s->relation->schemaname), str_c(s->relation->relname));
    if (q) return q->name = name, ERR_OK;
    struct catalog_relation *r = sql_relation_of(d, s->relation);
    if (!r) return s->missing_ok ? ERR_OK : sql_no_relation(d, s->relation);
    if (r->platform && !d->platform)
        return sql_refuse_at(d, s->relation->location, "42501", NULL, "must be owner of table " STR_FMT ": it is the platform's",
                             STR_ARG(r->name));
    return rename_of_relation(d, s, r, name);
}

/* ---- owners, schemas of objects ---- */

err sql_do_owner(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterOwnerStmt *s = node_->alter_owner_stmt;
    err e;
    bool several;
    uint32_t role = sql_role_by(d, s->newowner, &e);
    if (e != ERR_OK) return e;
    struct catalog_relation *r = s->relation ? sql_relation_of(d, s->relation) : NULL;
    struct catalog_function *f = s->object && s->object->node_case == PG_QUERY__NODE__NODE_OBJECT_WITH_ARGS
                                     ? sql_function_by(d, s->object->object_with_args, &several)
                                     : NULL;
    if (r) sql_grants_follow(d, &r->grants, r->owner, role), r->owner = role;
    if (f) sql_grants_follow(d, &f->grants, f->owner, role), f->owner = role;
    return ERR_OK;
}

err sql_do_set_schema(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterObjectSchemaStmt *s = node_->alter_object_schema_stmt;
    const struct catalog_schema *to = sql_schema_to_fill(d, s->newschema, -1);
    bool several;
    if (!to) return ERR_INVALID;
    struct catalog_relation *r = s->relation ? sql_relation_of(d, s->relation) : NULL;
    struct catalog_function *f = s->object && s->object->node_case == PG_QUERY__NODE__NODE_OBJECT_WITH_ARGS
                                     ? sql_function_by(d, s->object->object_with_args, &several)
                                     : NULL;
    struct catalog_type *t = s->object && s->object->node_case == PG_QUERY__NODE__NODE_LIST
                                 ? sql_type_by(d, s->object->list->items, s->object->list->n_items)
                                 : NULL;
    if (r) TRY(sql_must_own(d, r, s->relation->location));
    if (r && sql_name_taken(d, to->id, r->name))
        return sql_refuse_at(d, -1, "42P07", NULL, "relation \"" STR_FMT "\" already exists in schema \"%s\"", STR_ARG(r->name),
                             s->newschema);
    if (r) r->schema = to->id, row_type_follows(d, r);
    else if (f) f->schema = to->id;
    else if (t) t->schema = to->id;
    else if (s->object_type != PG_QUERY__OBJECT_TYPE__OBJECT_EXTENSION && !s->missing_ok)
        return sql_refuse_at(d, -1, "42704", NULL, "what is to be moved does not exist");
    return ERR_OK;
}

/* ---- COMMENT ---- */

static str *comment_of_list(struct sql_ddl *d, const PgQuery__CommentStmt *s) {
    PgQuery__Node *const *items = s->object->list->items;
    size_t n = s->object->list->n_items;
    str schema, name, last = sql_name_of(items[n - 1]);
    bool inner = s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN || s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_POLICY ||
                 s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT || s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TRIGGER;
    sql_names(items, inner ? n - 1 : n, &schema, &name);
    struct catalog_relation *r = sql_relation_by(d, schema, name);
    struct catalog_sequence *q = r ? NULL : sql_sequence_by(d, schema, name);
    if (!inner && r) return &r->comment;
    if (!inner && q) return &q->comment;
    for (uint32_t i = 0; !inner && i < d->c->relations.n; i++)
        for (uint32_t j = 0; j < d->c->relations.p[i].indexes.n; j++)
            if (str_eq(d->c->relations.p[i].indexes.p[j].name, name)) return &d->c->relations.p[i].indexes.p[j].comment;
    if (!inner || !r) return NULL;
    struct catalog_column *c = sql_column_by(r, last);
    struct catalog_constraint *k = (struct catalog_constraint *)catalog_constraint_named(r, last);
    if (s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_COLUMN) return c ? &c->comment : NULL;
    if (s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TABCONSTRAINT) return k ? &k->comment : NULL;
    for (uint32_t i = 0; i < r->policies.n; i++)
        if (str_eq(r->policies.p[i].name, last)) return &r->policies.p[i].comment;
    for (uint32_t i = 0; i < r->triggers.n; i++)
        if (str_eq(r->triggers.p[i].name, last)) return &r->triggers.p[i].comment;
    return NULL;
}

static str *comment_of(struct sql_ddl *d, const PgQuery__CommentStmt *s) {
    bool several;
    struct catalog_function *f;
    struct catalog_type *t;
    switch (s->object->node_case) {
    case PG_QUERY__NODE__NODE_LIST: return comment_of_list(d, s);
    case PG_QUERY__NODE__NODE_OBJECT_WITH_ARGS:
        return (f = sql_function_by(d, s->object->object_with_args, &several)) ? &f->comment : NULL;
    case PG_QUERY__NODE__NODE_TYPE_NAME: return (t = sql_type_by(d, &(PgQuery__Node *){s->object}, 1)) ? &t->comment : NULL;
    case PG_QUERY__NODE__NODE_STRING: {
        struct catalog_schema *in = (struct catalog_schema *)catalog_schema_named(d->c, str_c(s->object->string->sval));
        struct catalog_role *role = (struct catalog_role *)catalog_role_named(d->c, str_c(s->object->string->sval));
        if (s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA) return in ? &in->comment : NULL;
        return s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_ROLE && role ? &role->comment : NULL;
    }
    default: return NULL;
    }
}

/* What it is about may be an extension, a database …: that is no reason to refuse a comment. */
err sql_do_comment(struct sql_ddl *d, const PgQuery__Node *node_) {
    str *to = comment_of(d, node_->comment_stmt);
    if (to) *to = arena_str(d->mem, str_c(node_->comment_stmt->comment));
    else if (node_->comment_stmt->object->node_case != PG_QUERY__NODE__NODE_STRING)
        sql_remark(d, -1, NULL, "the comment is about something that no migration creates, and is left out");
    return ERR_OK;
}

/* ---- publications ---- */

static err publish(struct sql_ddl *d, struct catalog_publication *p, PgQuery__Node *const *objects, size_t n, bool drop) {
    err e = ERR_OK;
    for (size_t i = 0; i < n; i++) {
        const PgQuery__PublicationObjSpec *o = objects[i]->publication_obj_spec;
        const PgQuery__RangeVar *var = o->pubtable ? o->pubtable->relation : NULL;
        if (!var)
            return sql_needs_postgres(d, o->location, "name the tables",
                                      "a publication of all tables of a schema is not there on SQLite");
        const struct catalog_relation *r = sql_relation_of(d, var);
        if (!r) e = sql_no_relation(d, var);
        for (uint32_t j = 0; r && j < p->relations.n; j++)
            if (p->relations.p[j] == r->id) DROP_AT(&p->relations, j), j--;
        if (r && !drop) vec_push(d->mem, &p->relations, r->id);
    }
    return e;
}

err sql_do_create_publication(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreatePublicationStmt *s = node_->create_publication_stmt;
    for (uint32_t i = 0; i < d->c->publications.n; i++)
        if (str_eqc(d->c->publications.p[i].name, s->pubname))
            return sql_refuse_at(d, -1, "42710", "the platform makes supabase_realtime: write alter publication … add table",
                                 "publication \"%s\" already exists", s->pubname);
    struct catalog_publication *p = vec_add(d->mem, &d->c->publications);
    *p = (struct catalog_publication){.name = arena_str(d->mem, str_c(s->pubname)),
                                      .all_tables = s->for_all_tables,
                                      .publishes = CATALOG_INSERT | CATALOG_UPDATE | CATALOG_DELETE};
    return publish(d, p, s->pubobjects, s->n_pubobjects, false);
}

err sql_do_alter_publication(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterPublicationStmt *s = node_->alter_publication_stmt;
    for (uint32_t i = 0; i < d->c->publications.n; i++) {
        struct catalog_publication *p = &d->c->publications.p[i];
        if (!str_eqc(p->name, s->pubname)) continue;
        if (s->action == PG_QUERY__ALTER_PUBLICATION_ACTION__AP_SetObjects) p->relations.n = 0;
        return publish(d, p, s->pubobjects, s->n_pubobjects, s->action == PG_QUERY__ALTER_PUBLICATION_ACTION__AP_DropObjects);
    }
    return sql_refuse_at(d, -1, "42704", NULL, "publication \"%s\" does not exist", s->pubname);
}

/* ---- settings, transactions ---- */

static bool is_off(const PgQuery__VariableSetStmt *s) {
    static const char *const words[] = {"off", "false", "no", "0"};
    const PgQuery__AConst *c =
        s->n_args == 1 && s->args[0]->node_case == PG_QUERY__NODE__NODE_A_CONST ? s->args[0]->a_const : NULL;
    if (!c || s->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE) return false;
    if (c->val_case == PG_QUERY__A__CONST__VAL_IVAL) return !c->ival->ival;
    str value = c->val_case == PG_QUERY__A__CONST__VAL_SVAL ? str_c(c->sval->sval) : (str){0};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_eq_nocase(value, str_c(words[i]))) return true;
    return false;
}

err sql_do_set(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__VariableSetStmt *s = node_->variable_set_stmt;
    if (s->name && !strcmp(s->name, "check_function_bodies")) d->bodies_unchecked = is_off(s);
    if (!s->name || strcmp(s->name, "search_path")) {
        bool role = s->name && (!strcmp(s->name, "role") || !strcmp(s->name, "session_authorization"));
        return role ? sql_needs_postgres(d, -1, "leave it out",
                                         "SET ROLE in a migration is not there on SQLite: migrations run as the owner")
                    : ERR_OK;
    }
    sql_path_begin(d);
    for (size_t i = 0; i < s->n_args && d->path_n < ARRAY_COUNT(d->path); i++) {
        const PgQuery__AConst *c = s->args[i]->node_case == PG_QUERY__NODE__NODE_A_CONST ? s->args[i]->a_const : NULL;
        str name = c && c->val_case == PG_QUERY__A__CONST__VAL_SVAL ? str_c(c->sval->sval) : (str){0};
        if (str_eqc(name, "pg_temp")) continue;
        if (name.n && !str_eqc(name, "$user") && !str_eqc(name, "pg_catalog")) d->path[d->path_n++] = arena_str(d->mem, name);
    }
    if (s->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE) sql_path_reset(d);
    return ERR_OK;
}

err sql_do_transaction(struct sql_ddl *d, const PgQuery__Node *node_) {
    PgQuery__TransactionStmtKind k = node_->transaction_stmt->kind;
    if (k == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT) sql_temporary_committed(d);
    if (k == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_BEGIN || k == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_START ||
        k == PG_QUERY__TRANSACTION_STMT_KIND__TRANS_STMT_COMMIT)
        return ERR_OK;
    return sql_refuse_at(d, -1, "2D000", "leave it out: a migration is a transaction",
                         "ROLLBACK, savepoints and prepared transactions have no place in a migration");
}

err sql_do_nothing(struct sql_ddl *d, const PgQuery__Node *node_) { return ERR_OK; }
