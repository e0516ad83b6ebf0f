/* ddl_type: enums, domains, composites, sequences. */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"
#include <inttypes.h>

enum { ENUM_GAP = 1024 };

static struct catalog_type *new_type(struct sql_ddl *d, PgQuery__Node *const *names, size_t n, enum catalog_type_kind kind) {
    str schema, name;
    sql_names(names, n, &schema, &name);
    const struct catalog_schema *s = sql_schema_to_fill(d, arena_cstr(d->mem, schema), -1);
    if (!s) return NULL;
    if (catalog_type_named(d->c, s->name, name)) {
        sql_refuse_at(d, -1, "42710", NULL, "type \"" STR_FMT "\" already exists", STR_ARG(name));
        return NULL;
    }
    struct catalog_type *t = vec_add(d->mem, &d->c->types);
    *t = (struct catalog_type){.id = d->c->next_id++,
                               .array = d->c->next_id++,
                               .schema = s->id,
                               .owner = d->c->owner,
                               .kind = (uint8_t)kind,
                               .name = arena_str(d->mem, name),
                               .typmod = -1,
                               .platform = d->platform};
    t->default_value.fragment.typmod = -1;
    sql_grants_new(d, t->owner, s->id, CATALOG_ON_TYPES, &t->grants);
    return t;
}

/* A domain whose check raises: of text, and nothing of it is ever stored. */
void sql_absent_type(struct sql_ddl *d, const struct catalog_schema *s, str name) {
    if (catalog_type_named(d->c, s->name, name)) return;
    struct catalog_type *t = vec_add(d->mem, &d->c->types);
    *t = (struct catalog_type){.id = d->c->next_id++,
                               .array = d->c->next_id++,
                               .schema = s->id,
                               .owner = d->c->owner,
                               .kind = CATALOG_DOMAIN,
                               .name = name,
                               .base = PG_TEXT,
                               .typmod = -1,
                               .platform = true};
    t->default_value.fragment.typmod = -1;
    sql_grants_new(d, t->owner, s->id, CATALOG_ON_TYPES, &t->grants);
    struct catalog_check check = {.name = arena_fmt(d->mem, STR_FMT "_is_not_there", STR_ARG(name)),
                                  .expr.source = STR("VALUE IS NULL")};
    str why =
        sql_raising(d->mem, arena_fmt(d->mem, "a value of type " STR_FMT, STR_ARG(name)), STR("its extension is not there"));
    check.expr.fragment = (struct catalog_fragment){.text = arena_fmt(d->mem,
                                                                      "\x01"
                                                                      "C0\x02 is null or " STR_FMT,
                                                                      STR_ARG(why)),
                                                    .type = PG_BOOL,
                                                    .typmod = -1};
    vec_push(d->mem, &t->checks, check);
}

err sql_do_create_enum(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateEnumStmt *s = node_->create_enum_stmt;
    struct catalog_type *t = new_type(d, s->type_name, s->n_type_name, CATALOG_ENUM);
    if (!t) return ERR_INVALID;
    for (size_t i = 0; i < s->n_vals; i++) {
        str label = arena_str(d->mem, sql_name_of(s->vals[i]));
        if (catalog_label_named(t, label))
            return sql_refuse_at(d, -1, "23505", NULL, "label \"" STR_FMT "\" is there twice", STR_ARG(label));
        vec_push(d->mem, &t->labels, ((struct catalog_label){label, (int64_t)(i + 1) * ENUM_GAP}));
    }
    return ERR_OK;
}

/* Between two neighbours; ten times over between the same two is what there is room for. */
static err place_label(struct sql_ddl *d, struct catalog_type *t, uint32_t at, str label) {
    int64_t before = at ? t->labels.p[at - 1].sort : 0, sort = before + ENUM_GAP;
    if (at < t->labels.n) {
        int64_t after = t->labels.p[at].sort;
        sort = at ? before + (after - before) / 2 : after - ENUM_GAP;
        if (sort <= before && at)
            return sql_needs_postgres(
                d, -1, "add it at the end",
                "there is no room between the two labels: values between the same two were added too often");
    }
    vec_add(d->mem, &t->labels);
    memmove(&t->labels.p[at + 1], &t->labels.p[at], (t->labels.n - 1 - at) * sizeof t->labels.p[0]);
    t->labels.p[at] = (struct catalog_label){label, sort};
    return ERR_OK;
}

err sql_do_alter_enum(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterEnumStmt *s = node_->alter_enum_stmt;
    struct catalog_type *t = sql_type_by(d, s->type_name, s->n_type_name);
    str schema, name;
    sql_names(s->type_name, s->n_type_name, &schema, &name);
    uint64_t there;
    if (!t && map_get(&d->poisoned, name, &there)) return ERR_INVALID;
    if (!t || t->kind != CATALOG_ENUM)
        return sql_refuse_at(d, -1, "42704", NULL, "type \"" STR_FMT "\" does not exist, or is no enum", STR_ARG(name));
    struct catalog_label *old =
        s->old_val && *s->old_val ? (struct catalog_label *)catalog_label_named(t, str_c(s->old_val)) : NULL;
    str label = arena_str(d->mem, str_c(s->new_val));
    if (s->old_val && *s->old_val) {
        if (!old) return sql_refuse_at(d, -1, "22023", NULL, "\"%s\" is not an existing enum label", s->old_val);
        return old->name = label, ERR_OK;
    }
    if (catalog_label_named(t, label))
        return s->skip_if_new_val_exists ? ERR_OK
                                         : sql_refuse_at(d, -1, "42710", "write add value if not exists",
                                                         "enum label \"%s\" already exists", s->new_val);
    uint32_t at = t->labels.n;
    if (s->new_val_neighbor && *s->new_val_neighbor) {
        for (at = 0; at < t->labels.n && !str_eqc(t->labels.p[at].name, s->new_val_neighbor);) at++;
        if (at == t->labels.n)
            return sql_refuse_at(d, -1, "22023", NULL, "\"%s\" is not an existing enum label", s->new_val_neighbor);
        at += s->new_val_is_after ? 1 : 0;
    }
    return place_label(d, t, at, label);
}

static err domain_constraint(struct sql_ddl *d, struct catalog_type *t, const PgQuery__Constraint *k) {
    struct catalog_check check = {.name = k->conname && *k->conname
                                              ? arena_str(d->mem, str_c(k->conname))
                                              : arena_fmt(d->mem, STR_FMT "_check%.0u", STR_ARG(t->name), t->checks.n)};
    struct sql_expr_use value = {
        .kind = SQL_ROW_VALUE, .type = t->base, .typmod = t->typmod, .context = PG_ASSIGNMENT, .clause = "CHECK"};
    struct sql_expr_use plain = {
        .type = t->base, .typmod = t->typmod, .context = PG_ASSIGNMENT, .clause = "DEFAULT", .column = t->name};
    switch (k->contype) {
    case PG_QUERY__CONSTR_TYPE__CONSTR_NOTNULL: t->not_null = true; return ERR_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_NULL: return ERR_OK;
    case PG_QUERY__CONSTR_TYPE__CONSTR_DEFAULT: return sql_expr_into(d, k->raw_expr, &plain, &t->default_value);
    case PG_QUERY__CONSTR_TYPE__CONSTR_CHECK:
        TRY(sql_expr_into(d, k->raw_expr, &value, &check.expr));
        vec_push(d->mem, &t->checks, check);
        return ERR_OK;
    default: return sql_needs_postgres(d, k->location, NULL, "a domain's constraint of this kind is not there on SQLite");
    }
}

err sql_do_create_domain(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateDomainStmt *s = node_->create_domain_stmt;
    struct sql_context cx = sql_context_of(d);
    uint32_t base;
    int32_t typmod;
    if (sql_type_named(&cx, s->type_name, &base, &typmod) != ERR_OK) return sql_refuse_problem(d, &cx);
    struct catalog_type *t = new_type(d, s->domainname, s->n_domainname, CATALOG_DOMAIN);
    if (!t) return ERR_INVALID;
    t->base = base, t->typmod = typmod;
    err e = ERR_OK, one;
    for (size_t i = 0; i < s->n_constraints; i++)
        if ((one = domain_constraint(d, t, s->constraints[i]->constraint)) != ERR_OK) e = one;
    return e;
}

/* Tables whose columns are of it hold its checks. */
static void touch_users(struct sql_ddl *d, uint32_t type) {
    for (uint32_t i = 0; i < d->c->types.n; i++) /* domains over it */
        if (d->c->types.p[i].kind == CATALOG_DOMAIN && d->c->types.p[i].base == type) touch_users(d, d->c->types.p[i].id);
    for (uint32_t i = 0; i < d->c->relations.n; i++)
        for (uint32_t j = 0; j < d->c->relations.p[i].columns.n; j++)
            if (d->c->relations.p[i].columns.p[j].type == type) sql_touch(d, &d->c->relations.p[i]);
}

err sql_do_alter_domain(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterDomainStmt *s = node_->alter_domain_stmt;
    struct catalog_type *t = sql_type_by(d, s->type_name, s->n_type_name);
    if (!t || t->kind != CATALOG_DOMAIN) return sql_refuse_at(d, -1, "42704", NULL, "there is no such domain");
    struct sql_expr_use plain = {
        .type = t->base, .typmod = t->typmod, .context = PG_ASSIGNMENT, .clause = "DEFAULT", .column = t->name};
    touch_users(d, t->id);
    switch (s->subtype[0]) {
    case 'T':
        t->default_value = (struct catalog_expr){.fragment.typmod = -1};
        return s->def ? sql_expr_into(d, s->def, &plain, &t->default_value) : ERR_OK;
    case 'N': return t->not_null = false, ERR_OK;
    case 'O': return t->not_null = true, ERR_OK;
    case 'C': return domain_constraint(d, t, s->def->constraint);
    case 'V': return ERR_OK;
    default: break;
    }
    for (uint32_t i = 0; i < t->checks.n; i++)
        if (str_eqc(t->checks.p[i].name, s->name))
            return memmove(&t->checks.p[i], &t->checks.p[i + 1], (--t->checks.n - i) * sizeof t->checks.p[0]), ERR_OK;
    return s->missing_ok ? ERR_OK
                         : sql_refuse_at(d, -1, "42704", NULL, "constraint \"%s\" of the domain does not exist", s->name);
}

err sql_do_create_composite(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CompositeTypeStmt *s = node_->composite_type_stmt;
    PgQuery__String schema = PG_QUERY__STRING__INIT, name = PG_QUERY__STRING__INIT;
    PgQuery__Node nodes[2] = {PG_QUERY__NODE__INIT, PG_QUERY__NODE__INIT}, *list[2] = {&nodes[0], &nodes[1]};
    schema.sval = s->typevar->schemaname, name.sval = s->typevar->relname;
    nodes[0].node_case = nodes[1].node_case = PG_QUERY__NODE__NODE_STRING;
    nodes[0].string = &schema, nodes[1].string = &name;
    bool in = schema.sval && *schema.sval;
    struct catalog_type *t = new_type(d, in ? list : list + 1, in ? 2 : 1, CATALOG_COMPOSITE);
    if (!t) return ERR_INVALID;
    err e = ERR_OK;
    for (size_t i = 0; i < s->n_coldeflist; i++) {
        const PgQuery__ColumnDef *def = s->coldeflist[i]->column_def;
        struct catalog_field f = {.name = arena_str(d->mem, str_c(def->colname)), .type = PG_TEXT, .typmod = -1};
        struct sql_context cx = sql_context_of(d);
        if (sql_type_named(&cx, def->type_name, &f.type, &f.typmod) != ERR_OK) e = sql_refuse_problem(d, &cx), f.type = PG_TEXT;
        vec_push(d->mem, &t->fields, f);
    }
    return e;
}

/* ---- sequences ---- */

struct catalog_sequence *sql_sequence_new(struct sql_ddl *d, const struct catalog_schema *s, str name) {
    struct catalog_sequence *q = vec_add(d->mem, &d->c->sequences);
    *q = (struct catalog_sequence){.id = d->c->next_id++,
                                   .schema = s->id,
                                   .owner = d->c->owner,
                                   .name = arena_str(d->mem, name),
                                   .type = PG_INT8,
                                   .start = 1,
                                   .increment = 1,
                                   .min = 1,
                                   .max = INT64_MAX,
                                   .platform = d->platform};
    sql_grants_new(d, q->owner, s->id, CATALOG_ON_SEQUENCES, &q->grants);
    return q;
}

static err owned_by(struct sql_ddl *d, struct catalog_sequence *q, const PgQuery__DefElem *o) {
    str parts[3] = {0};
    size_t n = o->arg->list->n_items;
    for (size_t i = 0; i < n && i < 3; i++) parts[i] = sql_name_of(o->arg->list->items[i]);
    if (n == 1) return q->relation = 0, q->column = 0, ERR_OK;
    struct catalog_relation *r = n == 3 ? sql_relation_by(d, parts[0], parts[1]) : sql_relation_by(d, (str){0}, parts[0]);
    const struct catalog_column *c = r ? catalog_column_named(r, parts[n == 3 ? 2 : 1]) : NULL;
    if (!c) return sql_refuse_at(d, o->location, "42703", NULL, "the column that the sequence is to be owned by does not exist");
    q->relation = r->id, q->column = c->number;
    return ERR_OK;
}

static void restart(struct sql_ddl *d, const struct catalog_sequence *q, int64_t value) {
    sql_step(d, arena_fmt(d->mem, "INSERT OR REPLACE INTO \"_orlo_sequences\" (id, last, called) VALUES (%u, %" PRId64 ", 0)",
                          q->id, value));
}

err sql_sequence_options(struct sql_ddl *d, struct catalog_sequence *q, PgQuery__Node *const *options, size_t n) {
    bool was_down = q->increment < 0;
    const PgQuery__DefElem *o;
    if ((o = sql_option(options, n, "as")) && o->arg->node_case == PG_QUERY__NODE__NODE_TYPE_NAME) {
        struct sql_context cx = sql_context_of(d);
        int32_t typmod;
        if (sql_type_named(&cx, o->arg->type_name, &q->type, &typmod) != ERR_OK) return sql_refuse_problem(d, &cx);
        q->max = q->type == PG_INT2 ? INT16_MAX : q->type == PG_INT4 ? INT32_MAX : INT64_MAX;
    }
    q->increment = sql_option_i64(sql_option(options, n, "increment"), q->increment);
    if (!q->increment) return sql_refuse_at(d, -1, "22023", NULL, "INCREMENT must not be zero");
    if (q->increment < 0 && !was_down)
        q->max = -1, q->min = q->type == PG_INT2 ? INT16_MIN : q->type == PG_INT4 ? INT32_MIN : INT64_MIN, q->start = -1;
    q->min = sql_option_i64(sql_option(options, n, "minvalue"), q->min);
    q->max = sql_option_i64(sql_option(options, n, "maxvalue"), q->max);
    if (sql_option(options, n, "minvalue") && !sql_option(options, n, "start") && q->start < q->min) q->start = q->min;
    q->start = sql_option_i64(sql_option(options, n, "start"), q->start);
    if ((o = sql_option(options, n, "cycle"))) q->cycle = sql_option_true(o);
    if (q->min >= q->max || q->start < q->min || q->start > q->max)
        return sql_refuse_at(d, -1, "22023", NULL, "the sequence's START, MINVALUE and MAXVALUE do not fit together");
    if ((o = sql_option(options, n, "owned_by"))) TRY(owned_by(d, q, o));
    if ((o = sql_option(options, n, "restart"))) restart(d, q, sql_option_i64(o, q->start));
    return ERR_OK;
}

err sql_do_create_sequence(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateSeqStmt *s = node_->create_seq_stmt;
    const struct catalog_schema *schema = sql_schema_to_fill(d, s->sequence->schemaname, s->sequence->location);
    if (!schema) return ERR_INVALID;
    if (sql_name_taken(d, schema->id, str_c(s->sequence->relname)))
        return s->if_not_exists ? ERR_OK
                                : sql_refuse_at(d, s->sequence->location, "42P07", NULL, "relation \"%s\" already exists",
                                                s->sequence->relname);
    return sql_sequence_options(d, sql_sequence_new(d, schema, str_c(s->sequence->relname)), s->options, s->n_options);
}

err sql_do_alter_sequence(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__AlterSeqStmt *s = node_->alter_seq_stmt;
    struct catalog_sequence *q = sql_sequence_by(d, str_c(s->sequence->schemaname), str_c(s->sequence->relname));
    if (!q) return s->missing_ok ? ERR_OK : sql_no_relation(d, s->sequence);
    return sql_sequence_options(d, q, s->options, s->n_options);
}
