/* ddl_policy: policies, grants, default privileges, roles. */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"

/* ---- policies ---- */

static err policy_roles(struct sql_ddl *d, PgQuery__Node *const *roles, size_t n, catalog_ids *out) {
    err e = ERR_OK, one;
    *out = (catalog_ids){0};
    for (size_t i = 0; i < n; i++) {
        uint32_t role = sql_role_by(d, roles[i]->role_spec, &one);
        if (one == ERR_OK) vec_push(d->mem, out, role);
        else e = one;
    }
    return e;
}

static err policy_expr(struct sql_ddl *d, const struct catalog_relation *r, str name, const PgQuery__Node *node,
                       struct catalog_expr *out) {
    struct sql_expr_use use = {
        .row = r, .kind = SQL_ROW_AT_HAND, .type = PG_BOOL, .typmod = -1, .context = PG_ASSIGNMENT, .clause = "POLICY"};
    use.what = arena_fmt(d->mem, "policy \"" STR_FMT "\" of \"" STR_FMT "\"", STR_ARG(name), STR_ARG(r->name));
    return node ? sql_expr_into(d, node, &use, out) : ERR_OK;
}

static struct catalog_policy *policy_named(struct catalog_relation *r, str name) {
    for (uint32_t i = 0; i < r->policies.n; i++)
        if (str_eq(r->policies.p[i].name, name)) return &r->policies.p[i];
    return NULL;
}

static const struct {
    const char *name;
    enum catalog_command command;
} commands[] = {{"all", CATALOG_FOR_ALL},
                {"select", CATALOG_FOR_SELECT},
                {"insert", CATALOG_FOR_INSERT},
                {"update", CATALOG_FOR_UPDATE},
                {"delete", CATALOG_FOR_DELETE}};

static err policy_clauses(struct sql_ddl *d, enum catalog_command command, const PgQuery__Node *qual,
                          const PgQuery__Node *check) {
    if (command == CATALOG_FOR_INSERT && qual)
        return sql_refuse_at(d, -1, "42601", "write with check", "only WITH CHECK expression allowed for INSERT");
    if ((command == CATALOG_FOR_SELECT || command == CATALOG_FOR_DELETE) && check)
        return sql_refuse_at(d, -1, "42601", "write using", "WITH CHECK cannot be applied to SELECT or DELETE");
    return ERR_OK;
}

/* Who may have which files and channels is for the app to say. */
static bool is_for_policies(const struct sql_ddl *d, const struct catalog_relation *r) {
    str schema = catalog_schema_of(d->c, r->schema)->name;
    return str_eqc(schema, "storage") || str_eqc(schema, "realtime");
}

err sql_do_create_policy(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreatePolicyStmt *s = node_->create_policy_stmt;
    struct catalog_relation *r = sql_relation_of(d, s->table);
    if (!r) return sql_no_relation(d, s->table);
    if (r->kind != CATALOG_TABLE)
        return sql_refuse_at(d, s->table->location, "42809", NULL, "\"" STR_FMT "\" is not a table", STR_ARG(r->name));
    if (!is_for_policies(d, r)) TRY(sql_must_own(d, r, s->table->location));
    struct catalog_policy p = {
        .id = d->c->next_id++, .name = arena_str(d->mem, str_c(s->policy_name)), .permissive = s->permissive};
    for (size_t i = 0; i < ARRAY_COUNT(commands); i++)
        if (!strcmp(commands[i].name, s->cmd_name)) p.command = (uint8_t)commands[i].command;
    if (policy_named(r, p.name))
        return sql_refuse_at(d, s->table->location, "42710", "write drop policy if exists before it",
                             "policy \"" STR_FMT "\" for table \"" STR_FMT "\" already exists", STR_ARG(p.name),
                             STR_ARG(r->name));
    p.using_expr.fragment.typmod = p.check_expr.fragment.typmod = -1;
    TRY(policy_clauses(d, p.command, s->qual, s->with_check));
    TRY(policy_roles(d, s->roles, s->n_roles, &p.roles));
    TRY(policy_expr(d, r, p.name, s->qual, &p.using_expr));
    TRY(policy_expr(d, r, p.name, s->with_check, &p.check_expr));
    uint32_t at = 0;
    while (at < r->policies.n && str_cmp(r->policies.p[at].name, p.name) < 0) at++;
    vec_add(d->mem, &r->policies);
    memmove(&r->policies.p[at + 1], &r->policies.p[at], (r->policies.n - 1 - at) * sizeof p);
    r->policies.p[at] = p;
    return ERR_OK;
}

err sql_do_alter_policy(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterPolicyStmt *s = node_->alter_policy_stmt;
    struct catalog_relation *r = sql_relation_of(d, s->table);
    if (!r) return sql_no_relation(d, s->table);
    struct catalog_policy *p = policy_named(r, str_c(s->policy_name));
    if (!p)
        return sql_refuse_at(d, s->table->location, "42704", NULL, "policy \"%s\" for table \"" STR_FMT "\" does not exist",
                             s->policy_name, STR_ARG(r->name));
    TRY(policy_clauses(d, p->command, s->qual, s->with_check));
    if (s->n_roles) TRY(policy_roles(d, s->roles, s->n_roles, &p->roles));
    TRY(policy_expr(d, r, p->name, s->qual, &p->using_expr));
    return policy_expr(d, r, p->name, s->with_check, &p->check_expr);
}

/* ---- privileges ---- */

static const struct {
    const char *name;
    uint32_t bit;
} privileges[] = {{"select", CATALOG_SELECT},   {"insert", CATALOG_INSERT},       {"update", CATALOG_UPDATE},
                  {"delete", CATALOG_DELETE},   {"truncate", CATALOG_TRUNCATE},   {"references", CATALOG_REFERENCES},
                  {"trigger", CATALOG_TRIGGER}, {"execute", CATALOG_EXECUTE},     {"usage", CATALOG_USAGE},
                  {"create", CATALOG_CREATE},   {"temporary", CATALOG_TEMPORARY}, {"temp", CATALOG_TEMPORARY},
                  {"connect", CATALOG_CONNECT}};
static const uint32_t all_of[] = {[CATALOG_ON_TABLES] = CATALOG_ALL_TABLE,
                                  [CATALOG_ON_SEQUENCES] = CATALOG_ALL_SEQUENCE,
                                  [CATALOG_ON_FUNCTIONS] = CATALOG_EXECUTE,
                                  [CATALOG_ON_TYPES] = CATALOG_USAGE,
                                  [CATALOG_ON_SCHEMAS] = CATALOG_ALL_SCHEMA};

static err privilege_bits(struct sql_ddl *d, const PgQuery__GrantStmt *s, uint32_t all, uint32_t *bits) {
    *bits = s->n_privileges ? 0 : all;
    for (size_t i = 0; i < s->n_privileges; i++) {
        const PgQuery__AccessPriv *p = s->privileges[i]->access_priv;
        uint32_t bit = p->priv_name && *p->priv_name ? 0 : all;
        for (size_t j = 0; !bit && j < ARRAY_COUNT(privileges); j++)
            if (!strcmp(privileges[j].name, p->priv_name)) bit = privileges[j].bit;
        if (!bit) return sql_refuse_at(d, -1, "42601", NULL, "unrecognized privilege type \"%s\"", p->priv_name);
        *bits |= p->n_cols ? 0 : bit;
    }
    return ERR_OK;
}

static void give(struct sql_ddl *d, catalog_grants *to, uint32_t role, uint32_t bits, bool option) {
    for (uint32_t i = 0; i < to->n; i++)
        if (to->p[i].role == role) {
            to->p[i].privileges |= bits, to->p[i].options |= option ? bits : 0;
            return;
        }
    if (bits) vec_push(d->mem, to, ((struct catalog_grant){role, bits, option ? bits : 0}));
}

static void take(catalog_grants *from, uint32_t role, uint32_t bits, bool option_only) {
    for (uint32_t i = 0; i < from->n; i++) {
        if (from->p[i].role != role) continue;
        from->p[i].options &= ~bits;
        if (!option_only) from->p[i].privileges &= ~bits;
        if (!from->p[i].privileges) memmove(&from->p[i], &from->p[i + 1], (--from->n - i) * sizeof from->p[0]), i--;
    }
}

/* What the old owner had, the new one has. */
void sql_grants_follow(struct sql_ddl *d, catalog_grants *g, uint32_t from, uint32_t to) {
    struct catalog_grant had = {0};
    for (uint32_t i = 0; i < g->n; i++)
        if (g->p[i].role == from) had = g->p[i];
    if (from == to || !had.privileges) return;
    take(g, from, had.privileges, false);
    give(d, g, to, had.privileges, false);
    give(d, g, to, had.options, true);
}

static err change(struct sql_ddl *d, const PgQuery__GrantStmt *s, catalog_grants *g, uint32_t bits) {
    err e;
    for (size_t i = 0; i < s->n_grantees; i++) {
        uint32_t role = sql_role_by(d, s->grantees[i]->role_spec, &e);
        TRY(e);
        if (s->is_grant) give(d, g, role, bits, s->grant_option);
        else take(g, role, bits, s->grant_option);
    }
    return ERR_OK;
}

/* ---- what something new is granted ---- */

static const catalog_grants *defaults_of(const struct sql_ddl *d, uint32_t owner, uint32_t schema, enum catalog_object object) {
    for (uint32_t i = 0; i < d->c->default_grants.n; i++) {
        const struct catalog_default_grants *g = &d->c->default_grants.p[i];
        if (g->owner == owner && g->schema == schema && g->object == object) return &g->grants;
    }
    return NULL;
}

static void hard_defaults(struct sql_ddl *d, uint32_t owner, enum catalog_object object, catalog_grants *out) {
    give(d, out, owner, all_of[object], false);
    if (object == CATALOG_ON_FUNCTIONS || object == CATALOG_ON_TYPES) give(d, out, CATALOG_PUBLIC, all_of[object], false);
}

void sql_grants_new(struct sql_ddl *d, uint32_t owner, uint32_t schema, enum catalog_object object, catalog_grants *out) {
    const catalog_grants *everywhere = defaults_of(d, owner, 0, object), *here = defaults_of(d, owner, schema, object);
    *out = (catalog_grants){0};
    if (!everywhere) hard_defaults(d, owner, object, out);
    for (uint32_t i = 0; everywhere && i < everywhere->n; i++)
        give(d, out, everywhere->p[i].role, everywhere->p[i].privileges, false);
    for (uint32_t i = 0; schema && here && i < here->n; i++) give(d, out, here->p[i].role, here->p[i].privileges, false);
}

static enum catalog_object object_of(PgQuery__ObjectType t) {
    switch (t) {
    case PG_QUERY__OBJECT_TYPE__OBJECT_SEQUENCE: return CATALOG_ON_SEQUENCES;
    case PG_QUERY__OBJECT_TYPE__OBJECT_FUNCTION:
    case PG_QUERY__OBJECT_TYPE__OBJECT_PROCEDURE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_ROUTINE: return CATALOG_ON_FUNCTIONS;
    case PG_QUERY__OBJECT_TYPE__OBJECT_TYPE:
    case PG_QUERY__OBJECT_TYPE__OBJECT_DOMAIN: return CATALOG_ON_TYPES;
    case PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA: return CATALOG_ON_SCHEMAS;
    default: return CATALOG_ON_TABLES;
    }
}

static struct catalog_default_grants *default_entry(struct sql_ddl *d, uint32_t owner, uint32_t schema,
                                                    enum catalog_object object) {
    for (uint32_t i = 0; i < d->c->default_grants.n; i++) {
        struct catalog_default_grants *g = &d->c->default_grants.p[i];
        if (g->owner == owner && g->schema == schema && g->object == object) return g;
    }
    struct catalog_default_grants *g = vec_add(d->mem, &d->c->default_grants);
    *g = (struct catalog_default_grants){.owner = owner, .schema = schema, .object = (uint8_t)object};
    if (!schema) hard_defaults(d, owner, object, &g->grants);
    return g;
}

err sql_do_default_privileges(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterDefaultPrivilegesStmt *s = node_->alter_default_privileges_stmt;
    const PgQuery__DefElem *roles = sql_option(s->options, s->n_options, "roles"),
                           *schemas = sql_option(s->options, s->n_options, "schemas");
    enum catalog_object object = object_of(s->action->objtype);
    uint32_t bits;
    err e;
    TRY(privilege_bits(d, s->action, all_of[object], &bits));
    for (size_t i = 0; i < (roles ? roles->arg->list->n_items : 1); i++) {
        uint32_t owner = roles ? sql_role_by(d, roles->arg->list->items[i]->role_spec, &e) : d->c->owner;
        if (roles) TRY(e);
        for (size_t j = 0; j < (schemas ? schemas->arg->list->n_items : 1); j++) {
            const struct catalog_schema *in =
                schemas ? sql_schema_for(d, arena_cstr(d->mem, sql_name_of(schemas->arg->list->items[j])), -1) : NULL;
            if (schemas && !in) return ERR_INVALID;
            TRY(change(d, s->action, &default_entry(d, owner, in ? in->id : 0, object)->grants, bits));
        }
    }
    return ERR_OK;
}

/* ---- GRANT and REVOKE ---- */

static err grant_columns(struct sql_ddl *d, const PgQuery__GrantStmt *s, struct catalog_relation *r) {
    for (size_t i = 0; i < s->n_privileges; i++) {
        const PgQuery__AccessPriv *p = s->privileges[i]->access_priv;
        uint32_t bit = p->priv_name && *p->priv_name ? 0 : CATALOG_ALL_COLUMN;
        for (size_t j = 0; !bit && j < ARRAY_COUNT(privileges); j++)
            if (!strcmp(privileges[j].name, p->priv_name)) bit = privileges[j].bit;
        for (size_t j = 0; j < p->n_cols; j++) {
            struct catalog_column *c = sql_column_by(r, sql_name_of(p->cols[j]));
            if (!c)
                return sql_refuse_at(d, -1, "42703", NULL, "column \"" STR_FMT "\" of relation \"" STR_FMT "\" does not exist",
                                     STR_ARG(sql_name_of(p->cols[j])), STR_ARG(r->name));
            TRY(change(d, s, &c->grants, bit));
        }
    }
    return ERR_OK;
}

/* Revoked of the table, it is revoked of its columns too. */
static err grant_relation(struct sql_ddl *d, const PgQuery__GrantStmt *s, struct catalog_relation *r) {
    uint32_t bits;
    TRY(privilege_bits(d, s, CATALOG_ALL_TABLE, &bits));
    TRY(grant_columns(d, s, r));
    if (bits) TRY(change(d, s, &r->grants, bits));
    for (uint32_t i = 0; !s->is_grant && bits && i < r->columns.n; i++) TRY(change(d, s, &r->columns.p[i].grants, bits));
    return ERR_OK;
}

static err grant_one(struct sql_ddl *d, const PgQuery__GrantStmt *s, catalog_grants *g, enum catalog_object object) {
    uint32_t bits;
    TRY(privilege_bits(d, s, all_of[object], &bits));
    return change(d, s, g, bits);
}

static err grant_function(struct sql_ddl *d, const PgQuery__GrantStmt *s, const PgQuery__ObjectWithArgs *o) {
    bool several;
    struct catalog_function *f = sql_function_by(d, o, &several);
    str schema, name;
    uint64_t there;
    sql_names(o->objname, o->n_objname, &schema, &name);
    if (f) return grant_one(d, s, &f->grants, CATALOG_ON_FUNCTIONS);
    if (map_get(&d->poisoned, name, &there)) return ERR_INVALID;
    return sql_refuse_at(d, -1, "42883", "no migration creates it with these arguments", "function " STR_FMT " does not exist",
                         STR_ARG(sql_dotted(d, schema, name)));
}

static err grant_object(struct sql_ddl *d, const PgQuery__GrantStmt *s, const PgQuery__Node *o) {
    str schema, name;
    switch (o->node_case) {
    case PG_QUERY__NODE__NODE_OBJECT_WITH_ARGS: return grant_function(d, s, o->object_with_args);
    case PG_QUERY__NODE__NODE_STRING: /* a schema; or a database, or a language */
        if (s->objtype != PG_QUERY__OBJECT_TYPE__OBJECT_SCHEMA) return ERR_OK;
        if (!sql_schema_for(d, o->string->sval, -1)) return ERR_INVALID;
        return grant_one(d, s, &((struct catalog_schema *)catalog_schema_named(d->c, str_c(o->string->sval)))->grants,
                         CATALOG_ON_SCHEMAS);
    case PG_QUERY__NODE__NODE_LIST: {
        struct catalog_type *t = sql_type_by(d, o->list->items, o->list->n_items);
        sql_names(o->list->items, o->list->n_items, &schema, &name);
        return t ? grant_one(d, s, &t->grants, CATALOG_ON_TYPES)
                 : sql_refuse_at(d, -1, "42704", NULL, "type \"" STR_FMT "\" does not exist", STR_ARG(name));
    }
    case PG_QUERY__NODE__NODE_RANGE_VAR: break;
    default: return ERR_OK;
    }
    struct catalog_sequence *q = sql_sequence_by(d, str_c(o->range_var->schemaname), str_c(o->range_var->relname));
    if (q) return grant_one(d, s, &q->grants, CATALOG_ON_SEQUENCES);
    struct catalog_relation *r = sql_relation_of(d, o->range_var);
    return r ? grant_relation(d, s, r) : sql_no_relation(d, o->range_var);
}

static err grant_all_in(struct sql_ddl *d, const PgQuery__GrantStmt *s, str name) {
    const struct catalog_schema *in = sql_schema_for(d, arena_cstr(d->mem, name), -1);
    enum catalog_object object = object_of(s->objtype);
    if (!in) return ERR_INVALID;
    for (uint32_t i = 0; object == CATALOG_ON_TABLES && i < d->c->relations.n; i++)
        if (d->c->relations.p[i].schema == in->id) TRY(grant_relation(d, s, &d->c->relations.p[i]));
    for (uint32_t i = 0; object == CATALOG_ON_SEQUENCES && i < d->c->sequences.n; i++)
        if (d->c->sequences.p[i].schema == in->id) TRY(grant_one(d, s, &d->c->sequences.p[i].grants, object));
    for (uint32_t i = 0; object == CATALOG_ON_FUNCTIONS && i < d->c->functions.n; i++)
        if (d->c->functions.p[i].schema == in->id) TRY(grant_one(d, s, &d->c->functions.p[i].grants, object));
    return ERR_OK;
}

err sql_do_grant(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__GrantStmt *s = node_->grant_stmt;
    err e = ERR_OK, one;
    for (size_t i = 0; i < s->n_objects; i++) {
        bool all = s->targtype == PG_QUERY__GRANT_TARGET_TYPE__ACL_TARGET_ALL_IN_SCHEMA;
        if ((one = all ? grant_all_in(d, s, sql_name_of(s->objects[i])) : grant_object(d, s, s->objects[i])) != ERR_OK) e = one;
    }
    return e;
}

/* ---- roles ---- */

static void role_options(struct catalog_role *r, PgQuery__Node *const *options, size_t n) {
    const struct {
        const char *name;
        bool *flag, negative;
    } all[] = {{"superuser", &r->superuser, false},      {"bypassrls", &r->bypass_rls, false},
               {"canlogin", &r->login, false},           {"inherit", &r->no_inherit, true},
               {"createrole", &r->create_role, false},   {"createdb", &r->create_db, false},
               {"isreplication", &r->replication, false}};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        const PgQuery__DefElem *o = sql_option(options, n, all[i].name);
        if (o) *all[i].flag = sql_option_true(o) != all[i].negative;
    }
}

/* Only the platform's own roles are above the rules. */
static err role_allowed(struct sql_ddl *d, struct catalog_role *r) {
    if (d->platform || (!r->superuser && !r->bypass_rls && !r->replication)) return ERR_OK;
    r->superuser = r->bypass_rls = r->replication = false;
    return sql_refuse_at(d, -1, "42501", "leave superuser, bypassrls and replication out",
                         "must be superuser to make a role that is above the rules");
}

err sql_do_create_role(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateRoleStmt *s = node_->create_role_stmt;
    if (catalog_role_named(d->c, str_c(s->role)) || !strcmp(s->role, "public"))
        return sql_refuse_at(d, -1, "42710", "the platform has it already: leave the statement out", "role \"%s\" already exists",
                             s->role);
    struct catalog_role *r = vec_add(d->mem, &d->c->roles);
    *r = (struct catalog_role){.id = d->c->next_id++,
                               .name = arena_str(d->mem, str_c(s->role)),
                               .platform = d->platform,
                               .login = s->stmt_type == PG_QUERY__ROLE_STMT_TYPE__ROLESTMT_USER};
    role_options(r, s->options, s->n_options);
    return role_allowed(d, r);
}

static struct catalog_role *own_role(struct sql_ddl *d, const PgQuery__RoleSpec *spec, err *e) {
    uint32_t id = sql_role_by(d, spec, e);
    struct catalog_role *r = *e == ERR_OK ? (struct catalog_role *)catalog_role_of(d->c, id) : NULL;
    if (r && r->platform && !d->platform)
        *e = sql_refuse_at(d, spec->location, "42501", "make a role of your own", "the role \"" STR_FMT "\" is the platform's",
                           STR_ARG(r->name)),
        r = NULL;
    return r;
}

err sql_do_alter_role(struct sql_ddl *d, const PgQuery__Node *node_) {
    err e;
    struct catalog_role *r = own_role(d, node_->alter_role_stmt->role, &e);
    if (!r) return e;
    role_options(r, node_->alter_role_stmt->options, node_->alter_role_stmt->n_options);
    return role_allowed(d, r);
}

err sql_do_alter_role_set(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterRoleSetStmt *s = node_->alter_role_set_stmt;
    err e;
    uint32_t id = s->role ? sql_role_by(d, s->role, &e) : 0;
    struct catalog_role *r = (struct catalog_role *)catalog_role_of(d->c, id);
    if (!r) return ERR_OK;
    sql_remark(d, -1, NULL, "ALTER ROLE … SET is kept, and has no effect on SQLite: time limits are the app's settings");
    vec_push(d->mem, &r->settings, sql_statement_text(d->mem, node_));
    return ERR_OK;
}

err sql_do_grant_role(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__GrantRoleStmt *s = node_->grant_role_stmt;
    err e;
    for (size_t i = 0; i < s->n_granted_roles; i++) {
        const struct catalog_role *of = catalog_role_named(d->c, str_c(s->granted_roles[i]->access_priv->priv_name));
        if (!of)
            return sql_refuse_at(d, -1, "42704", NULL, "role \"%s\" does not exist", s->granted_roles[i]->access_priv->priv_name);
        if (!d->platform && s->is_grant && of->platform && (of->superuser || of->bypass_rls))
            return sql_refuse_at(d, -1, "42501", NULL, "the role \"" STR_FMT "\" is above the rules, and is given to nobody",
                                 STR_ARG(of->name));
        for (size_t j = 0; j < s->n_grantee_roles; j++) {
            struct catalog_role *r =
                (struct catalog_role *)catalog_role_of(d->c, sql_role_by(d, s->grantee_roles[j]->role_spec, &e));
            TRY(e);
            for (uint32_t k = 0; k < r->member_of.n; k++)
                if (r->member_of.p[k] == of->id)
                    memmove(&r->member_of.p[k], &r->member_of.p[k + 1], (--r->member_of.n - k) * sizeof(uint32_t)), k--;
            if (s->is_grant) vec_push(d->mem, &r->member_of, of->id);
        }
    }
    return ERR_OK;
}
