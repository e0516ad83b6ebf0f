/* ddl_alter: ALTER TABLE, by a table of its sub-commands. Only the catalogue changes here; physical.c sees what that is for SQLite. */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"

typedef err (*alter_fn)(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c);

static err no_column(struct sql_ddl *d, const struct catalog_relation *r, const char *name) {
    return sql_refuse_at(d, -1, "42703", NULL, "column \"%s\" of relation \"" STR_FMT "\" does not exist", name,
                         STR_ARG(r->name));
}

static struct catalog_column *column_of(struct sql_ddl *d, struct catalog_relation *r, const char *name, err *e) {
    struct catalog_column *c = sql_column_by(r, str_c(name));
    *e = c ? ERR_OK : no_column(d, r, name);
    return c;
}

/* ---- columns ---- */

/* What the rows that are there get: the default's value, each its own where it is volatile. */
static err alter_add_column(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    const PgQuery__ColumnDef *def = c->def->column_def;
    uint32_t id = r->id;
    if (c->missing_ok && catalog_column_named(r, str_c(def->colname))) return ERR_OK;
    err e = sql_column_add(d, r, def), f = sql_column_constraints(d, id, def);
    r = (struct catalog_relation *)catalog_relation_of(d->c, id);
    const struct catalog_column *k = catalog_column_named(r, str_c(def->colname));
    if (k && !k->generated && k->identity) {
        struct catalog_fragment next = {.text = arena_fmt(d->mem, "pg_nextval(%u)", k->sequence)};
        sql_fill_add(d, r, k->number, &next);
    } else if (k && !k->generated && catalog_default_of(d->c, k)->fragment.text.n)
        sql_fill_add(d, r, k->number, &catalog_default_of(d->c, k)->fragment);
    return e != ERR_OK ? e : f;
}

static bool constraint_has(const struct catalog_constraint *k, uint32_t number) {
    return catalog_ids_have(&k->columns, number) ||
           (k->kind == CATALOG_CHECK && catalog_mentions(&k->check.fragment, "C", number));
}

static bool index_has(const struct catalog_index *x, uint32_t number) {
    for (uint32_t i = 0; i < x->keys.n; i++)
        if (x->keys.p[i].column == number || catalog_mentions(&x->keys.p[i].expr.fragment, "C", number)) return true;
    return catalog_ids_have(&x->include, number) || catalog_mentions(&x->where.fragment, "C", number);
}

/* Views name columns by their storage, in the text of the relation's rows: a name that stands there counts. */
static const struct catalog_relation *view_that_reads(struct sql_ddl *d, const struct catalog_relation *r,
                                                      const struct catalog_column *c) {
    str quoted = sql_quoted(d->mem, c->storage);
    for (uint32_t i = 0; i < d->c->relations.n; i++) {
        const struct catalog_relation *v = &d->c->relations.p[i];
        if (v->kind == CATALOG_TABLE || !catalog_ids_have(&v->depends, r->id)) continue;
        if (v->query.fragment.text.n && memmem(v->query.fragment.text.p, v->query.fragment.text.n, quoted.p, quoted.n)) return v;
    }
    return NULL;
}

/* Foreign keys of others that refer to this key go, or are in the way. */
static err drop_referring(struct sql_ddl *d, const struct catalog_relation *r, const catalog_ids *columns, bool cascade,
                          str what) {
    struct catalog_edge e = {0};
    while (catalog_edge_next(d->c, r->id, &e)) {
        if (e.key->reference != r->id) continue;
        bool uses = columns == NULL;
        for (uint32_t i = 0; columns && i < columns->n; i++) uses |= catalog_ids_have(&e.key->reference_columns, columns->p[i]);
        if (!uses || (e.from == r && !columns)) continue;
        if (!cascade)
            return sql_refuse_at(d, -1, "2BP01", "write cascade behind it to drop what depends on it too",
                                 "cannot drop " STR_FMT " because other objects depend on it: constraint \"" STR_FMT
                                 "\" on table \"" STR_FMT "\"",
                                 STR_ARG(what), STR_ARG(e.key->name), STR_ARG(e.from->name));
        struct catalog_relation *from = (struct catalog_relation *)e.from;
        sql_touch(d, from);
        sql_constraint_drop(d, from, e.key->id);
        e = (struct catalog_edge){0};
    }
    return ERR_OK;
}

static err policies_that_read(struct sql_ddl *d, struct catalog_relation *r, const struct catalog_column *c, bool cascade) {
    for (uint32_t i = 0; i < r->policies.n; i++) {
        struct catalog_policy *p = &r->policies.p[i];
        if (!catalog_mentions(&p->using_expr.fragment, "CNO", c->number) &&
            !catalog_mentions(&p->check_expr.fragment, "CNO", c->number))
            continue;
        if (!cascade)
            return sql_refuse_at(d, -1, "2BP01", "drop or change the policy first, or write cascade behind it",
                                 "cannot drop column " STR_FMT " of table " STR_FMT
                                 " because other objects depend on it: policy \"" STR_FMT "\"",
                                 STR_ARG(c->name), STR_ARG(r->name), STR_ARG(p->name));
        memmove(p, p + 1, (--r->policies.n - i) * sizeof *p), i--;
    }
    return ERR_OK;
}

static err alter_drop_column(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    struct catalog_column *k = sql_column_by(r, str_c(c->name));
    bool cascade = c->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE;
    if (!k) return c->missing_ok ? ERR_OK : no_column(d, r, c->name);
    const struct catalog_relation *view = view_that_reads(d, r, k);
    if (view && !cascade)
        return sql_refuse_at(d, -1, "2BP01", "drop the view first, or write cascade behind it",
                             "cannot drop column %s of table " STR_FMT " because other objects depend on it: view " STR_FMT,
                             c->name, STR_ARG(r->name), STR_ARG(view->name));
    for (; view; view = view_that_reads(d, r, k)) sql_relation_drop(d, view->id);
    r = (struct catalog_relation *)catalog_relation_of(d->c, r->id), k = sql_column_by(r, str_c(c->name));
    catalog_ids one = {&(uint32_t){k->number}, 1, 1};
    TRY(drop_referring(d, r, &one, cascade, arena_fmt(d->mem, "column %s of table " STR_FMT, c->name, STR_ARG(r->name))));
    TRY(policies_that_read(d, r, k, cascade));
    for (uint32_t i = 0; i < r->constraints.n; i++)
        if (constraint_has(&r->constraints.p[i], k->number)) sql_constraint_drop(d, r, r->constraints.p[i--].id);
    for (uint32_t i = 0; i < r->indexes.n; i++) {
        struct catalog_index *x = &r->indexes.p[i];
        if (!index_has(x, k->number)) continue;
        sql_storage_free(d, x->storage);
        memmove(x, x + 1, (--r->indexes.n - i) * sizeof *x), i--;
    }
    for (uint32_t i = 0; i < d->c->sequences.n; i++)
        if (d->c->sequences.p[i].relation == r->id && d->c->sequences.p[i].column == k->number)
            memmove(&d->c->sequences.p[i], &d->c->sequences.p[i + 1], (--d->c->sequences.n - i) * sizeof d->c->sequences.p[0]),
                i--;
    uint32_t at = (uint32_t)(k - r->columns.p);
    memmove(k, k + 1, (--r->columns.n - at) * sizeof *k);
    return r->columns.n ? ERR_OK : sql_needs_postgres(d, -1, "drop the table", "a table without columns is not there on SQLite");
}

static err alter_default(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    err e;
    struct catalog_column *k = column_of(d, r, c->name, &e);
    if (!k) return e;
    k->default_value = (struct catalog_expr){.fragment.typmod = -1};
    if (!c->def) return ERR_OK;
    struct sql_expr_use use = {.type = k->type,
                               .typmod = k->typmod,
                               .context = PG_ASSIGNMENT,
                               .clause = "DEFAULT",
                               .column = k->name,
                               .no_subquery = true};
    return sql_expr_into(d, c->def, &use, &k->default_value);
}

static err alter_set_not_null(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    err e;
    struct catalog_column *k = column_of(d, r, c->name, &e);
    if (k) k->not_null = true;
    return e;
}

static err alter_drop_not_null(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    err e;
    struct catalog_column *k = column_of(d, r, c->name, &e);
    const struct catalog_constraint *primary = catalog_primary_key(r);
    if (k && primary && catalog_ids_have(&primary->columns, k->number))
        return sql_refuse_at(d, -1, "42P16", NULL, "column \"%s\" is in a primary key", c->name);
    if (k) k->not_null = false;
    return e;
}

/* The old value as the new type: by USING, or by the cast that an assignment makes. */
static err converted(struct sql_ddl *d, const struct catalog_relation *r, const struct catalog_column *k,
                     const PgQuery__ColumnDef *def, uint32_t type, int32_t typmod, struct catalog_fragment *out) {
    PgQuery__String name = PG_QUERY__STRING__INIT;
    PgQuery__Node field = PG_QUERY__NODE__INIT, node = PG_QUERY__NODE__INIT, *fields = &field;
    PgQuery__ColumnRef ref = PG_QUERY__COLUMN_REF__INIT;
    name.sval = arena_cstr(d->mem, k->name);
    field.node_case = PG_QUERY__NODE__NODE_STRING, field.string = &name;
    ref.n_fields = 1, ref.fields = &fields, ref.location = -1;
    node.node_case = PG_QUERY__NODE__NODE_COLUMN_REF, node.column_ref = &ref;
    struct catalog_expr expr;
    struct sql_expr_use use = {.row = r,
                               .kind = SQL_ROW_AT_HAND,
                               .type = type,
                               .typmod = typmod,
                               .context = PG_ASSIGNMENT,
                               .clause = "USING",
                               .column = k->name};
    TRY(sql_expr_into(d, def->raw_default ? def->raw_default : &node, &use, &expr));
    *out = expr.fragment;
    return ERR_OK;
}

static err alter_type(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    err e;
    struct catalog_column *k = column_of(d, r, c->name, &e);
    const PgQuery__ColumnDef *def = c->def->column_def;
    uint32_t type;
    int32_t typmod;
    struct sql_context cx = sql_context_of(d);
    if (!k) return e;
    if (sql_type_named(&cx, def->type_name, &type, &typmod) != ERR_OK) return sql_refuse_problem(d, &cx);
    if (type == k->type && typmod == k->typmod && !def->raw_default) return ERR_OK;
    struct catalog_fragment fill;
    TRY(converted(d, r, k, def, type, typmod, &fill));
    sql_fill_add(d, r, k->number, &fill);
    k->type = type, k->typmod = typmod;
    if (!k->default_value.source.n || k->sequence) return ERR_OK;
    const PgQuery__Node *tree = sql_expr_tree(d->mem, k->default_value.source);
    struct sql_expr_use use = {
        .type = type, .typmod = typmod, .context = PG_ASSIGNMENT, .clause = "DEFAULT", .column = k->name, .no_subquery = true};
    return tree ? sql_expr_into(d, tree, &use, &k->default_value) : ERR_OK;
}

static err alter_add_identity(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    PgQuery__ColumnDef def = PG_QUERY__COLUMN_DEF__INIT;
    err e;
    if (!column_of(d, r, c->name, &e)) return e;
    def.colname = c->name, def.n_constraints = 1, def.constraints = (PgQuery__Node **)&c->def;
    return sql_column_constraints(d, r->id, &def);
}

static err alter_drop_identity(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    err e;
    struct catalog_column *k = column_of(d, r, c->name, &e);
    if (k) k->identity = CATALOG_NO_IDENTITY, k->sequence = 0;
    return e;
}

static err alter_set_identity(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    err e;
    struct catalog_column *k = column_of(d, r, c->name, &e);
    if (!k) return e;
    if (!k->identity)
        return sql_refuse_at(d, -1, "55000", NULL, "column \"%s\" of relation \"" STR_FMT "\" is not an identity column", c->name,
                             STR_ARG(r->name));
    for (size_t i = 0; i < c->def->list->n_items; i++) {
        const PgQuery__DefElem *o = c->def->list->items[i]->def_elem;
        if (!strcmp(o->defname, "generated") && o->arg->node_case == PG_QUERY__NODE__NODE_INTEGER)
            k->identity = o->arg->integer->ival == 'a' ? CATALOG_IDENTITY_ALWAYS : CATALOG_IDENTITY_BY_DEFAULT;
    }
    return sql_sequence_options(d, (struct catalog_sequence *)catalog_sequence_of(d->c, k->sequence), c->def->list->items,
                                c->def->list->n_items);
}

static err alter_drop_expression(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    err e;
    struct catalog_column *k = column_of(d, r, c->name, &e);
    if (k) k->generated = false, k->default_value = (struct catalog_expr){.fragment.typmod = -1};
    return e;
}

/* ---- constraints ---- */

static err alter_add_constraint(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    return sql_constraint_add(d, r, c->def->constraint, (str){0});
}

static err alter_drop_constraint(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    const struct catalog_constraint *k = catalog_constraint_named(r, str_c(c->name));
    if (!k && sql_exclusion_drop(d, r, str_c(c->name))) return ERR_OK;
    if (!k && c->missing_ok) return ERR_OK;
    if (!k)
        return sql_refuse_at(d, -1, "42704", "write if exists where it may not be there",
                             "constraint \"%s\" of relation \"" STR_FMT "\" does not exist", c->name, STR_ARG(r->name));
    uint32_t id = k->id;
    if (k->kind <= CATALOG_UNIQUE)
        TRY(drop_referring(d, r, &k->columns, c->behavior == PG_QUERY__DROP_BEHAVIOR__DROP_CASCADE,
                           arena_fmt(d->mem, "constraint %s on table " STR_FMT, c->name, STR_ARG(r->name))));
    sql_constraint_drop(d, r, id);
    return ERR_OK;
}

static err alter_validate(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    struct catalog_constraint *k = (struct catalog_constraint *)catalog_constraint_named(r, str_c(c->name));
    if (!k)
        return sql_refuse_at(d, -1, "42704", NULL, "constraint \"%s\" of relation \"" STR_FMT "\" does not exist", c->name,
                             STR_ARG(r->name));
    k->not_valid = false;
    return ERR_OK;
}

static err alter_constraint(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    const PgQuery__Constraint *k = c->def->constraint;
    struct catalog_constraint *is = (struct catalog_constraint *)catalog_constraint_named(r, str_c(k->conname));
    if (!is)
        return sql_refuse_at(d, -1, "42704", NULL, "constraint \"%s\" of relation \"" STR_FMT "\" does not exist", k->conname,
                             STR_ARG(r->name));
    is->deferrable = k->deferrable || k->initdeferred, is->deferred = k->initdeferred;
    return ERR_OK;
}

/* ---- the table itself ---- */

static err alter_rls_on(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    return r->rls = true, ERR_OK;
}
static err alter_rls_off(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    return r->rls = false, ERR_OK;
}
static err alter_rls_forced(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    return r->force_rls = true, ERR_OK;
}
static err alter_rls_free(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    return r->force_rls = false, ERR_OK;
}
static err alter_nothing(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) { return ERR_OK; }

static err alter_replica(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    r->replica_full = c->def->replica_identity_stmt->identity_type[0] == 'f';
    return ERR_OK;
}

static err alter_owner(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    err e;
    uint32_t role = sql_role_by(d, c->newowner, &e);
    if (e != ERR_OK) return e;
    sql_grants_follow(d, &r->grants, r->owner, role);
    for (uint32_t i = 0; i < r->columns.n; i++) sql_grants_follow(d, &r->columns.p[i].grants, r->owner, role);
    for (uint32_t i = 0; i < d->c->sequences.n; i++)
        if (d->c->sequences.p[i].relation == r->id) {
            sql_grants_follow(d, &d->c->sequences.p[i].grants, r->owner, role);
            d->c->sequences.p[i].owner = role;
        }
    r->owner = role;
    return ERR_OK;
}

static err alter_options(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    const PgQuery__DefElem *o = sql_option(c->def->list->items, c->def->list->n_items, "security_invoker");
    bool set = c->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_SetRelOptions, was = r->security_invoker;
    if (o) r->security_invoker = set && sql_option_true(o);
    if (r->kind == CATALOG_VIEW && r->security_invoker != was) { /* whose rights hold is in its query's text */
        const PgQuery__Node *tree = sql_statement_tree(d->mem, r->query.source);
        if (tree && tree->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) TRY(sql_view_query(d, r, tree->select_stmt));
    }
    if ((o = sql_option(c->def->list->items, c->def->list->n_items, "check_option")))
        TRY(sql_view_check_option(d, r, set ? sql_check_option_of(o) : CATALOG_NO_CHECK));
    if ((o = sql_option(c->def->list->items, c->def->list->n_items, "security_barrier")))
        r->security_barrier = sql_option_true(o);
    return ERR_OK;
}

static err alter_triggers(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__AlterTableCmd *c) {
    bool off = c->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_DisableTrig ||
               c->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_DisableTrigAll ||
               c->subtype == PG_QUERY__ALTER_TABLE_TYPE__AT_DisableTrigUser;
    for (uint32_t i = 0; i < r->triggers.n; i++)
        if (!c->name || !*c->name || str_eqc(r->triggers.p[i].name, c->name)) r->triggers.p[i].disabled = off;
    return ERR_OK;
}

#define AT(name) PG_QUERY__ALTER_TABLE_TYPE__AT_##name
static const struct {
    PgQuery__AlterTableType type;
    alter_fn fn;
    bool rows; /* SQLite's table may change */
} alters[] = {
    {AT(AddColumn), alter_add_column, true},
    {AT(DropColumn), alter_drop_column, true},
    {AT(ColumnDefault), alter_default, true},
    {AT(SetNotNull), alter_set_not_null, true},
    {AT(DropNotNull), alter_drop_not_null, true},
    {AT(AlterColumnType), alter_type, true},
    {AT(DropExpression), alter_drop_expression, true},
    {AT(AddIdentity), alter_add_identity, true},
    {AT(SetIdentity), alter_set_identity, false},
    {AT(DropIdentity), alter_drop_identity, false},
    {AT(AddConstraint), alter_add_constraint, true},
    {AT(DropConstraint), alter_drop_constraint, true},
    {AT(ValidateConstraint), alter_validate, false},
    {AT(AlterConstraint), alter_constraint, true},
    {AT(EnableRowSecurity), alter_rls_on, false},
    {AT(DisableRowSecurity), alter_rls_off, false},
    {AT(ForceRowSecurity), alter_rls_forced, false},
    {AT(NoForceRowSecurity), alter_rls_free, false},
    {AT(ChangeOwner), alter_owner, false},
    {AT(ReplicaIdentity), alter_replica, false},
    {AT(SetRelOptions), alter_options, false},
    {AT(ResetRelOptions), alter_options, false},
    {AT(EnableTrig), alter_triggers, false},
    {AT(EnableTrigAll), alter_triggers, false},
    {AT(EnableTrigUser), alter_triggers, false},
    {AT(EnableAlwaysTrig), alter_triggers, false},
    {AT(DisableTrig), alter_triggers, false},
    {AT(DisableTrigAll), alter_triggers, false},
    {AT(DisableTrigUser), alter_triggers, false},
    {AT(SetStatistics), alter_nothing, false},
    {AT(SetStorage), alter_nothing, false},
    {AT(SetCompression), alter_nothing, false},
    {AT(ClusterOn), alter_nothing, false},
    {AT(SetLogged), alter_nothing, false},
};

static err alter_one(struct sql_ddl *d, uint32_t id, const PgQuery__AlterTableCmd *c) {
    struct catalog_relation *r = (struct catalog_relation *)catalog_relation_of(d->c, id);
    for (size_t i = 0; i < ARRAY_COUNT(alters); i++) {
        if (alters[i].type != c->subtype) continue;
        if (alters[i].rows) sql_touch(d, r);
        return alters[i].fn(d, r, c);
    }
    return sql_needs_postgres(d, -1, NULL, "this form of ALTER TABLE is not there on SQLite");
}

static bool has_pending(struct sql_ddl *d, const struct catalog_relation *r, const PgQuery__AlterTableStmt *s) {
    for (size_t i = 0; i < s->n_cmds; i++) {
        const PgQuery__AlterTableCmd *c = s->cmds[i]->alter_table_cmd;
        const struct catalog_column *k = c->subtype == AT(AlterColumnType) ? catalog_column_named(r, str_c(c->name)) : NULL;
        if (k) return !sql_unmade(d, r->id);
    }
    return false;
}

/* Projects say so of storage.objects. */
static bool changes_nothing(const PgQuery__AlterTableStmt *s, const struct catalog_relation *r) {
    for (size_t i = 0; i < s->n_cmds; i++)
        if (s->cmds[i]->alter_table_cmd->subtype != AT(EnableRowSecurity) || !r->rls) return false;
    return true;
}

err sql_do_alter_table(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterTableStmt *s = node_->alter_table_stmt;
    err e = ERR_OK, one;
    if (s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_TYPE)
        return sql_needs_postgres(d, -1, "drop the type and make it anew",
                                  "ALTER TYPE of a composite's fields is not there on SQLite");
    if (s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_INDEX || s->objtype == PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE)
        return ERR_OK; /* owners, storage */
    struct catalog_relation *r = sql_table_of(d, s->relation, s->missing_ok, &e);
    if (!r) return e;
    uint32_t id = r->id;
    if (!changes_nothing(s, r)) TRY(sql_must_own(d, r, s->relation->location));
    if (has_pending(d, r, s)) sql_flush(d); /* a new type is computed from rows as they are in SQLite */
    for (size_t i = 0; i < s->n_cmds; i++)
        if ((one = alter_one(d, id, s->cmds[i]->alter_table_cmd)) != ERR_OK) e = one;
    return e;
}

err sql_drop_referring(struct sql_ddl *d, const struct catalog_relation *r, bool cascade) {
    return drop_referring(d, r, NULL, cascade, arena_fmt(d->mem, "table " STR_FMT, STR_ARG(r->name)));
}
