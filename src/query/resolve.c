/* resolve: a tree's names become the catalogue's columns and relations, each with the right that the role needs for it, and its values get types.
 *
 * What is refused is refused as PostgreSQL would: an unknown column 42703, a missing right 42501, a value that is none of the type's 22P02; and as
 * PostgREST does what PostgreSQL has no word for (PGRST…).
 */
#include "query/query_int.h"
#include <stdio.h>
#include <stdlib.h>

static bool query_resolve_call(struct query_resolving *r);

/* ---- rights ---- */

/* It is said later: PostgreSQL finds all names first, then takes the values, then asks for rights. */
static bool denied(struct query_resolving *r, const struct catalog_relation *of) {
    const char *what = of->kind == CATALOG_VIEW ? "view" : of->kind == CATALOG_MATVIEW ? "materialized view" : "table";
    if (r->values.engine == CATALOG_POSTGRES || (r->denial.set && r->denial_depth <= r->depth)) return true; /* it asks itself */
    r->denial = (struct pg_error){0};
    r->denial_depth = r->depth;
    query_fail(&r->denial, "42501", "permission denied for %s " STR_FMT, what, STR_ARG(of->name));
    return true;
}

static bool need_column(struct query_resolving *r, const struct catalog_relation *of, const struct catalog_column *c,
                        uint32_t privilege) {
    if (!of->id) return true; /* what a function gives */
    return catalog_may_relation(r->catalog, r->role, of, privilege) ||
           catalog_may_column(r->catalog, r->role, of, c, privilege) || denied(r, of);
}

static bool need_relation(struct query_resolving *r, const struct catalog_relation *of, uint32_t privilege) {
    return catalog_may_relation(r->catalog, r->role, of, privilege) || denied(r, of);
}

static bool has_any_column(struct query_resolving *r, const struct catalog_relation *of, uint32_t privilege) {
    for (uint32_t i = 0; i < of->columns.n; i++)
        if (catalog_may_column(r->catalog, r->role, of, &of->columns.p[i], privilege)) return true;
    return false;
}

static bool need_some(struct query_resolving *r, const struct catalog_relation *of, uint32_t privilege) {
    return !of->id || catalog_may_relation(r->catalog, r->role, of, privilege) || has_any_column(r, of, privilege) ||
           denied(r, of);
}

bool query_need_schema(struct query_resolving *r, uint32_t schema) {
    const struct catalog_schema *s = catalog_schema_of(r->catalog, schema);
    if (!s || r->values.engine == CATALOG_POSTGRES || catalog_may_schema(r->catalog, r->role, schema, CATALOG_USAGE)) return true;
    return query_fail(r->error, "42501", "permission denied for schema " STR_FMT, STR_ARG(s->name));
}

/* ---- fields ---- */

static bool no_operator(struct query_resolving *r, uint32_t left, const char *op, const char *right) {
    const struct pg_type *t = query_type_of(r->session->types, left);
    query_fail(r->error, "42883", "operator does not exist: %s %s %s", t ? t->sql : "unknown", op, right);
    query_fail_hint(r->error,
                    "No operator matches the given name and argument types. You might need to add explicit type casts.");
    return false;
}

static bool resolve_steps(struct query_resolving *r, struct query_field *f) {
    uint32_t base = query_type_base(r->session->types, f->type);
    if (!f->steps_count) return true;
    if (base != PG_JSON && base != PG_JSONB) base = PG_JSONB; /* it is made of whatever it is */
    f->type = f->text ? PG_TEXT : base;
    f->typmod = -1;
    return true;
}

/* May it, and can it, call a function of a row? */
bool query_may_compute(struct query_resolving *r, const struct catalog_function *f) {
    if (r->values.engine == CATALOG_POSTGRES) return true;
    if (!query_need_schema(r, f->schema)) return false;
    if (!catalog_may_function(r->catalog, r->role, f))
        query_fail(&r->denial, "42501", "permission denied for function " STR_FMT, STR_ARG(f->name));
    bool can = !f->why_not.n && f->statements.n == 1 && !(f->statements.p[0].flags & CATALOG_WRITES);
    if (can) return true;
    query_fail(r->error, "0A000", "function " STR_FMT " cannot be called on SQLite", STR_ARG(f->name));
    query_fail_detail(r->error, STR_FMT, STR_ARG(f->why_not.n ? str_sub(f->why_not, 0, 400) : STR("It is not one query.")));
    return false;
}

/* What is computed of a row: a function of its schema, or of those that are looked through for all, which takes such a row and gives a value. */
static bool computed_field(struct query_resolving *r, const struct catalog_relation *of, struct query_field *f) {
    const struct catalog_relation *rows = of->id ? of : r->query->gives;
    const struct catalog_schema *own = rows ? catalog_schema_of(r->catalog, rows->schema) : NULL;
    for (uint32_t i = 0; own && i < 2 + r->query->path_count; i++) {
        const struct catalog_function *found = NULL;
        str schema = i == 0 ? own->name : i == 1 ? r->query->select.schema : r->query->path[i - 2];
        while ((found = catalog_function_next(r->catalog, schema, f->column, found))) {
            if (found->set || found->returns == PG_VOID || !query_is_of_row(found, rows)) continue;
            struct catalog_column *c = arena_make(r->out, struct catalog_column);
            *c = (struct catalog_column){.name = found->name, .storage = found->name, .type = found->returns, .typmod = -1};
            f->of = c;
            f->computed = found;
            f->rows = of;
            return true;
        }
    }
    return false;
}

static bool need_row(struct query_resolving *r, const struct catalog_relation *of) {
    for (uint32_t i = 0; i < of->columns.n; i++)
        if (!need_column(r, of, &of->columns.p[i], CATALOG_SELECT)) return false;
    return true;
}

static bool need_computed(struct query_resolving *r, const struct catalog_relation *of, const struct query_field *f) {
    return need_row(r, of) && query_may_compute(r, f->computed);
}

static bool resolve_field(struct query_resolving *r, const struct catalog_relation *of, struct query_field *f) {
    f->of = catalog_column_named(of, f->column);
    if (!f->of && computed_field(r, of, f)) {
        f->type = f->of->type;
        f->typmod = -1;
        return need_computed(r, of, f) && resolve_steps(r, f);
    }
    if (!f->of)
        return query_fail(r->error, "42703", "column " STR_FMT "." STR_FMT " does not exist", STR_ARG(of->name),
                          STR_ARG(f->column));
    if (!need_column(r, of, f->of, CATALOG_SELECT)) return false;
    f->type = f->of->type;
    f->typmod = f->of->typmod;
    return resolve_steps(r, f);
}

/* ---- filters ---- */

static uint32_t value_type(struct query_resolving *r, const struct query_test *t) {
    uint32_t base = query_type_base(r->session->types, t->field.type);
    const struct pg_type *type = query_type_of(r->session->types, t->field.type);
    if (query_ops[t->op].flags & QUERY_IS_SEARCH) return PG_TEXT;
    if (t->op == QUERY_OP_LIKE || t->op == QUERY_OP_ILIKE || t->op == QUERY_OP_MATCH || t->op == QUERY_OP_IMATCH)
        return base == PG_CITEXT ? PG_CITEXT : PG_TEXT;
    return type && type->kind == PG_KIND_DOMAIN ? base : t->field.type;
}

/* * stands for %, which URLs say with three characters */
static void stars(struct query_resolving *r, struct query_bound *b) {
    b->stars = true;
    if (b->null) return;
    b->text = query_slot_text(r->out, b, b->text);
    b->value = DB_TEXT(b->text);
}

static bool truth_value(struct query_resolving *r, struct query_test *t) {
    const struct query_json *v = t->values[0];
    static const char *const words[] = {"null", "true", "false", "unknown", "not_null"};
    struct query_bound *b = arena_make(r->out, struct query_bound);
    t->bound = b;
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (v->kind == JSON_KIND_STR ? !str_eq_nocase(v->s, str_c(words[i]))
                                     : v->kind == JSON_KIND_F64 || !str_eqc(v->raw, words[i]))
            continue;
        b->text = str_c(words[i]);
        if (i == 0 || i == 4 || query_type_base(r->session->types, t->field.type) == PG_BOOL) return true;
        const struct pg_type *type = query_type_of(r->session->types, t->field.type);
        for (size_t k = 0; k < 1; k++)
            return query_fail(r->error, "42804", "argument of IS %s must be type boolean, not type %s",
                              i == 1   ? "TRUE"
                              : i == 2 ? "FALSE"
                                       : "UNKNOWN",
                              type ? type->sql : "unknown");
    }
    return query_fail(r->error, "PGRST100", "\"is\" takes null, not_null, true, false or unknown");
}

/* Is there such an operator? What compares is there for each type but json. */
static bool operator_there(struct query_resolving *r, const struct query_test *t) {
    const struct query_op_row *op = &query_ops[t->op];
    uint32_t base = query_type_base(r->session->types, t->field.type);
    if (op->flags & QUERY_IS_BARE) return base != PG_JSON || no_operator(r, t->field.type, op->operator, "unknown");
    if (op->flags & QUERY_IS_SEARCH)
        return base == PG_TSVECTOR || (r->values.engine == CATALOG_POSTGRES && (base == PG_JSON || base == PG_JSONB)) ||
               query_fits(r->session->types, base, PG_TEXT) || no_operator(r, t->field.type, "@@", "tsquery");
    if (r->values.engine == CATALOG_POSTGRES) return true;
    return query_operator_of(r->session->types, op->operator, t->field.type, value_type(r, t)) != NULL ||
           no_operator(r, t->field.type, op->operator, "unknown");
}

static bool resolve_test(struct query_resolving *r, const struct catalog_relation *of, struct query_test *t) {
    if (!resolve_field(r, of, &t->field)) return false;
    if (query_ops[t->op].flags & QUERY_IS_TRUTH) return truth_value(r, t);
    if (!operator_there(r, t)) return false;
    uint32_t type = catalog_cast_of(r->catalog, PG_TEXT, t->field.type) ? PG_TEXT : value_type(r, t);
    t->bound = arena_array(r->out, struct query_bound, t->values_count + 1);
    if (t->config.n) {
        struct query_json *config = arena_make(r->out, struct query_json);
        *config = (struct query_json){.kind = JSON_KIND_STR, .s = t->config};
        t->config_bound = arena_make(r->out, struct query_bound);
        vec_push(r->out, &r->wants, ((struct query_want){PG_REGCONFIG, -1, config, false, false, t->config_bound}));
    }
    for (uint32_t i = 0; i < t->values_count; i++) {
        bool is_pattern = query_ops[t->op].flags & QUERY_IS_STARS;
        vec_push(r->out, &r->wants, ((struct query_want){type, -1, t->values[i], false, is_pattern, &t->bound[i]}));
    }
    return true;
}

static bool need_columns(struct query_resolving *r, const struct catalog_relation *of, const catalog_ids *columns) {
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(of, columns->p[i]);
        if (c && !need_column(r, of, c, CATALOG_SELECT)) return false;
    }
    return true;
}

/* What an embed reads to join: the key's columns at each end, and a junction's; of a computed one, the whole row. depth: of what it is embedded in. */
static bool need_join(struct query_resolving *r, const struct query_embed *e, uint32_t depth) {
    const struct catalog_relation *holder = e->junction ? e->junction : e->select.of;
    uint32_t before = r->depth;
    bool to_one = e->cardinality == QUERY_TO_ONE, ok;
    r->depth = depth;
    if (e->computed) ok = need_row(r, e->parent);
    else ok = need_columns(r, e->parent, to_one ? &e->key->columns : &e->key->reference_columns);
    r->depth = depth + 1;
    if (!e->computed) ok = ok && need_columns(r, holder, to_one ? &e->key->reference_columns : &e->key->columns);
    if (e->junction)
        ok = ok && need_columns(r, holder, &e->second->columns) && need_columns(r, e->select.of, &e->second->reference_columns);
    r->depth = before;
    return ok;
}

static struct query_embed *embed_named(const struct query_select *s, str name) {
    for (uint32_t i = 0; i < s->items_count; i++) {
        struct query_embed *e = s->items[i].embed;
        if (e && (str_eq(e->alias.n ? e->alias : e->target, name) || str_eq(e->target, name))) return e;
    }
    return NULL;
}

static bool not_embedded(struct query_resolving *r, str name) {
    query_fail(r->error, "PGRST108", "'" STR_FMT "' is not an embedded resource in this request", STR_ARG(name));
    query_fail_hint(r->error, "Verify that '" STR_FMT "' is included in the 'select' query parameter.", STR_ARG(name));
    return false;
}

static bool resolve_where(struct query_resolving *r, struct query_select *s, struct query_where *w) {
    if (w->kind == QUERY_TEST) return resolve_test(r, s->of, &w->test);
    if (w->kind == QUERY_HAS) {
        w->to = embed_named(s, w->embed);
        return w->to ? need_join(r, w->to, r->depth) : not_embedded(r, w->embed);
    }
    for (uint32_t i = 0; i < w->parts_count; i++)
        if (!resolve_where(r, s, &w->parts[i])) return false;
    return true;
}

static bool resolve_order_field(struct query_resolving *r, const struct catalog_relation *of, struct query_field *f) {
    if (!resolve_field(r, of, f)) return false;
    if (query_type_base(r->session->types, f->type) != PG_JSON) return true;
    query_fail(r->error, "42883", "could not identify an ordering operator for type json");
    query_fail_hint(r->error, "Use an explicit ordering operator or modify the query.");
    return false;
}

static bool resolve_order(struct query_resolving *r, struct query_select *s, struct query_order *o) {
    if (!o->embed.n) return resolve_order_field(r, s->of, &o->field);
    o->to = embed_named(s, o->embed);
    if (!o->to) return not_embedded(r, o->embed);
    if (!o->to->one) {
        query_fail(r->error, "PGRST118", "A related order on '" STR_FMT "' is not possible", STR_ARG(o->embed));
        query_fail_detail(r->error, "'" STR_FMT "' and '" STR_FMT "' do not form a many-to-one or one-to-one relationship",
                          STR_ARG(s->of->name), STR_ARG(o->embed));
        return false;
    }
    if (!need_join(r, o->to, r->depth)) return false;
    for (uint32_t i = 0; i < o->to->select.list_count && !o->field.steps_count; i++) { /* by what the embed calls it, too */
        const struct query_item *it = &o->to->select.list[i];
        if (it->kind != QUERY_FIELD || !it->alias.n || !str_eq(it->alias, o->field.column)) continue;
        if (catalog_column_named(o->to->select.of, o->field.column)) break;
        o->field = it->field;
        return true;
    }
    return resolve_order_field(r, o->to->select.of, &o->field);
}

/* ---- select lists ---- */

static bool type_named(struct query_resolving *r, str name, uint32_t *out) {
    static const char *const words[][2] = {{"int", "int4"},
                                           {"integer", "int4"},
                                           {"bigint", "int8"},
                                           {"smallint", "int2"},
                                           {"decimal", "numeric"},
                                           {"float", "float8"},
                                           {"real", "float4"},
                                           {"boolean", "bool"},
                                           {"character varying", "varchar"},
                                           {"double precision", "float8"},
                                           {"timestamp with time zone", "timestamptz"}};
    const struct pg_type *t = pg_type_by_name(name);
    for (size_t i = 0; !t && i < ARRAY_COUNT(words); i++)
        if (str_eq_nocase(name, str_c(words[i][0]))) t = pg_type_by_name(str_c(words[i][1]));
    if (!t && r->session->types) t = r->session->types->by_name(r->session->types->arg, (str){0}, name);
    if (!t) return query_fail(r->error, "42704", "type \"" STR_FMT "\" does not exist", STR_ARG(name));
    if (t->storage == PG_STORED_NOT && r->values.engine == CATALOG_SQLITE)
        return query_fail(r->error, "0A000", "the type %s is not there on SQLite", t->sql);
    *out = t->id;
    return true;
}

/* What a name says that a value of the item's type is cast to; without a cast between them there is none, since a value's bytes would be taken for others'. */
static bool cast_named(struct query_resolving *r, const struct query_item *it, str name, uint32_t *to) {
    const struct pg_types *types = r->session->types;
    if (!type_named(r, name, to)) return false;
    uint32_t base = query_type_base(types, it->type), cast = query_type_base(types, *to);
    if (base == cast || r->values.engine != CATALOG_SQLITE || pg_cast_find(base, cast)) return true;
    const struct pg_type *a = query_type_of(types, it->type), *b = query_type_of(types, *to);
    return query_fail(r->error, "42846", "cannot cast type %s to %s", a ? a->sql : "unknown", b ? b->sql : "unknown");
}

static bool resolve_cast(struct query_resolving *r, struct query_item *it) {
    if (!cast_named(r, it, it->cast, &it->cast_type)) return false;
    it->type = it->cast_type;
    it->typmod = -1;
    return true;
}

static bool resolve_aggregate(struct query_resolving *r, struct query_item *it) {
    uint32_t count, args[1] = {it->type};
    it->name = it->alias.n ? it->alias : it->aggregate;
    if (str_eqc(it->aggregate, "count")) return it->type = PG_INT8, it->typmod = -1, true;
    const struct pg_function *named = pg_aggregates_named(it->aggregate, &count);
    it->call = query_function_of(r->session->types, named, count, args, 1);
    if (!it->call) {
        const struct pg_type *t = query_type_of(r->session->types, it->type);
        query_fail(r->error, "42883", "function " STR_FMT "(%s) does not exist", STR_ARG(it->aggregate), t ? t->sql : "unknown");
        query_fail_hint(r->error,
                        "No function matches the given name and argument types. You might need to add explicit type casts.");
        return false;
    }
    uint32_t result = it->call->result;
    if (result != PG_ANYELEMENT && result != PG_ANYARRAY && result != PG_ANYENUM) it->type = result;
    it->typmod = -1;
    return true;
}

static str field_name(const struct query_field *f) {
    for (uint32_t i = f->steps_count; i--;)
        if (!f->steps[i].is_index) return f->steps[i].key;
    return f->column;
}

static bool resolve_select(struct query_resolving *r, struct query_select *s);

static bool resolve_embed(struct query_resolving *r, struct query_item *it) {
    struct query_embed *e = it->embed;
    it->name = e->name;
    if (!e->select.has_items) e->select.items_count = 0;
    if (!resolve_select(r, &e->select)) return false;
    bool joins = e->join == QUERY_INNER || !query_is_silent(it); /* else it is asked where a filter or an order names it */
    return !joins || need_join(r, e, r->depth ? r->depth - 1 : 0);
}

/* All embeds, however deep, lead somewhere: that is known before any column is looked for. */
static bool relate_all(struct query_resolving *r, struct query_select *s) {
    for (uint32_t i = 0; s->has_items && i < s->items_count; i++) {
        struct query_embed *e = s->items[i].embed;
        const struct catalog_relation *from = s->of->id ? s->of : r->query->gives;
        if (!e) continue;
        if (!from) {
            struct catalog_relation *none = arena_make(r->out, struct catalog_relation);
            *none = (struct catalog_relation){.name = s->of->name, .schema = s->of->schema};
            from = none;
        }
        if (!query_relate(r, from, e)) return false;
        if (!s->of->id) e->parent = s->of; /* the same numbers name its columns */
        if (!relate_all(r, &e->select)) return false;
    }
    return true;
}

static bool resolve_item(struct query_resolving *r, struct query_select *s, struct query_item *it) {
    if (it->kind == QUERY_EMBED) return resolve_embed(r, it);
    struct query_field *f = &it->field; /* PostgreSQL's t.count is count(t), where t has no such column */
    if (it->kind == QUERY_FIELD && !f->steps_count && str_eqc(f->column, "count") && !catalog_column_named(s->of, f->column) &&
        !computed_field(r, s->of, f)) {
        it->kind = QUERY_AGGREGATE, it->whole = it->bare = true;
        it->aggregate = f->column;
        it->cast_after = it->cast, it->cast = (str){0};
    }
    if (!it->whole) {
        if (!resolve_field(r, s->of, &it->field)) return false;
        it->type = it->field.type;
        it->typmod = it->field.typmod;
        it->name = it->alias.n ? it->alias : field_name(&it->field);
    }
    if (it->cast.n && !resolve_cast(r, it)) return false;
    if (it->kind == QUERY_AGGREGATE && !resolve_aggregate(r, it)) return false;
    if (!it->cast_after.n) return true;
    if (!cast_named(r, it, it->cast_after, &it->cast_after_type)) return false;
    it->type = it->cast_after_type;
    return true;
}

/* All columns, or those of the primary key. */
static bool is_several(const struct query_item *it) { return it->kind == QUERY_STAR || it->kind == QUERY_KEY; }

static bool expand_star(struct query_resolving *r, struct query_select *s, bool key, uint32_t *n) {
    catalog_ids primary = {0};
    if (key) query_primary_key(r->out, r->catalog, s->of, &primary);
    for (uint32_t i = 0; i < s->of->columns.n; i++) {
        const struct catalog_column *c = &s->of->columns.p[i];
        if (key && !catalog_ids_have(&primary, c->number)) continue;
        struct query_item *it = &s->list[(*n)++];
        if (!need_column(r, s->of, c, CATALOG_SELECT)) return false;
        *it = (struct query_item){.kind = QUERY_FIELD, .name = c->name, .type = c->type, .typmod = c->typmod};
        it->field = (struct query_field){.column = c->name, .of = c, .type = c->type, .typmod = c->typmod};
    }
    return true;
}

static bool has_bare_count(const struct query_select *s) {
    bool has = false;
    for (uint32_t i = 0; i < s->list_count; i++) has |= s->list[i].bare;
    return has;
}

/* t.count groups nothing: beside it there are aggregates alone. (What groups is count(), which [rest] aggregates lets through.) */
static bool check_bare_count(struct query_resolving *r, const struct query_select *s) {
    if (!has_bare_count(s)) return true;
    for (uint32_t i = 0; i < s->list_count; i++) {
        const struct query_item *it = &s->list[i];
        if (it->kind == QUERY_AGGREGATE || query_is_silent(it)) continue;
        str of = it->embed ? it->name : s->of->name, dot = it->embed ? (str){0} : STR("."), column = it->field.column;
        return query_fail(r->error, "42803",
                          "column \"" STR_FMT STR_FMT STR_FMT
                          "\" must appear in the GROUP BY clause or be used in an aggregate function",
                          STR_ARG(of), STR_ARG(dot), STR_ARG(column));
    }
    return true;
}

static bool resolve_list(struct query_resolving *r, struct query_select *s) {
    uint32_t most = s->items_count, n = 0;
    for (uint32_t i = 0; i < s->items_count; i++) most += is_several(&s->items[i]) ? s->of->columns.n : 0;
    if (most > QUERY_ITEMS_MAX) return query_fail(r->error, "54011", "target lists can have at most %d entries", QUERY_ITEMS_MAX);
    s->list = arena_array(r->out, struct query_item, most + 1);
    for (uint32_t i = 0; i < s->items_count; i++) {
        struct query_item *it = &s->items[i];
        if (is_several(it) ? !expand_star(r, s, it->kind == QUERY_KEY, &n) : !resolve_item(r, s, it)) return false;
        if (!is_several(it)) s->list[n++] = *it;
        s->grouped |= it->kind == QUERY_AGGREGATE;
    }
    s->list_count = n;
    if (!check_bare_count(r, s)) return false;
    for (uint32_t i = 0; i < n; i++) { /* of a spread of one row, rows are grouped here */
        struct query_embed *e = s->list[i].embed;
        if (!e || !e->spread || !e->select.grouped) continue;
        if (has_bare_count(&e->select)) {
            query_fail(r->error, "PGRST127", "Feature not implemented");
            query_fail_detail(r->error, "In a spread, count is not implemented without its parentheses.");
            return false;
        }
        if (!e->one) {
            query_fail(r->error, "PGRST127", "Feature not implemented");
            query_fail_detail(r->error, "Aggregates are not implemented for one-to-many or many-to-many spreads.");
            return false;
        }
        s->grouped = true;
        e->select.grouped = false;
    }
    return true;
}

static bool resolve_select(struct query_resolving *r, struct query_select *s) {
    bool ok = r->depth || relate_all(r, s);
    ok = ok && need_some(r, s->of, CATALOG_SELECT);
    r->depth++;
    ok = ok && resolve_list(r, s);
    r->depth--;
    ok = ok && (!s->where || resolve_where(r, s, s->where));
    for (uint32_t i = 0; ok && i < s->order_count; i++) ok = resolve_order(r, s, &s->order[i]);
    return ok;
}

/* ---- writes ---- */

static bool no_column(struct query_resolving *r, str name) {
    return query_fail(r->error, "PGRST204", "Could not find the '" STR_FMT "' column of '" STR_FMT "' in the schema cache",
                      STR_ARG(name), STR_ARG(r->query->select.of->name));
}

/* Each of the rows behind the first has as many members as that, and each of its names. */
static bool rows_are_alike(struct query_resolving *r, const struct query_json *rows, const struct map *places, uint32_t names) {
    uint32_t *seen = arena_array(r->out, uint32_t, names + 1); /* in which row a name was seen last */
    for (uint32_t i = 1; i < rows->n; i++) {
        const struct query_json *row = &rows->items[i];
        uint32_t found = 0;
        uint64_t at;
        if (row->n != rows->items[0].n || (row->n && row->kind != JSON_KIND_OBJECT)) return false;
        for (uint32_t k = 0; k < row->n; k++)
            if (map_get(places, row->members[k].key, &at) && seen[at] != i) seen[at] = i, found++;
        if (found != names) return false;
    }
    return true;
}

/* Which columns are written: those that were named, or what all rows have. */
static bool find_columns(struct query_resolving *r) {
    struct query *q = r->query;
    if (q->put && q->rows->n > 1) { /* PostgREST takes the first */
        struct query_json *one = arena_make(r->out, struct query_json);
        *one = *q->rows;
        one->n = 1;
        q->rows = one;
    }
    const struct query_json *first = q->kind == QUERY_UPDATE ? q->rows : q->rows->n ? &q->rows->items[0] : NULL;
    if (first && first->kind != JSON_KIND_OBJECT) return query_fail(r->error, "PGRST102", "All object keys must match");
    if (q->has_columns || !first) return true;
    if (first->n > QUERY_ITEMS_MAX)
        return query_fail(r->error, "54011", "target lists can have at most %d entries", QUERY_ITEMS_MAX);
    VEC(str) names = {0};
    struct map places = {0};
    uint64_t at;
    for (uint32_t i = 0; i < first->n; i++) {
        str key = arena_str(r->out, first->members[i].key);
        if (map_get(&places, key, &at)) continue;
        map_put(r->out, &places, key, names.n);
        vec_push(r->out, &names, key);
    }
    q->columns = names.p;
    q->columns_count = names.n;
    return q->kind != QUERY_INSERT || rows_are_alike(r, q->rows, &places, names.n) ||
           query_fail(r->error, "PGRST102", "All object keys must match");
}

static bool need_target(struct query_resolving *r, const struct catalog_column *c) {
    bool update = r->query->kind == QUERY_UPDATE;
    if (!need_column(r, r->query->select.of, c, update ? CATALOG_UPDATE : CATALOG_INSERT)) return false;
    if (r->query->conflict == QUERY_CONFLICT_MERGE &&
        !(need_column(r, r->query->select.of, c, CATALOG_UPDATE) && need_column(r, r->query->select.of, c, CATALOG_SELECT)))
        return false; /* excluded.c is read */
    return true;
}

/* May it be given a value that is not its default? */
static bool is_given(struct query_resolving *r, const struct catalog_column *c) {
    bool update = r->query->kind == QUERY_UPDATE, always = c->identity == CATALOG_IDENTITY_ALWAYS;
    if (!c->generated && !always) return true;
    query_fail(r->error, "428C9",
               update ? "column \"" STR_FMT "\" can only be updated to DEFAULT"
                      : "cannot insert a non-DEFAULT value into column \"" STR_FMT "\"",
               STR_ARG(c->name));
    query_fail_detail(r->error,
                      c->generated ? "Column \"" STR_FMT "\" is a generated column."
                                   : "Column \"" STR_FMT "\" is an identity column defined as GENERATED ALWAYS.",
                      STR_ARG(c->name));
    if (!c->generated && !update) query_fail_hint(r->error, "Use OVERRIDING SYSTEM VALUE to override.");
    return false;
}

static bool resolve_targets(struct query_resolving *r) {
    struct query *q = r->query;
    q->targets = arena_array(r->out, const struct catalog_column *, q->columns_count + 1);
    for (uint32_t i = 0; i < q->columns_count; i++) {
        q->targets[i] = catalog_column_named(q->select.of, q->columns[i]);
        if (!q->targets[i]) return no_column(r, q->columns[i]);
        for (uint32_t k = 0; k < i; k++)
            if (q->targets[k] == q->targets[i])
                return query_fail(r->error, "42701", "column \"" STR_FMT "\" specified more than once", STR_ARG(q->columns[i]));
        if (!need_target(r, q->targets[i])) return false;
    }
    return true;
}

/* The columns' members of a row: of two with a name the later one. places: of the columns' names, where there are many of them. */
static const struct query_json **members_of(struct query_resolving *r, const struct query_json *from, const struct map *places) {
    const struct query *q = r->query;
    const struct query_json **to = arena_array(r->out, const struct query_json *, q->columns_count + 1);
    for (uint32_t k = 0; k < from->n; k++) {
        uint64_t at = 0;
        str key = from->members[k].key;
        if (places->n && !map_get(places, key, &at)) continue;
        while (!places->n && at < q->columns_count && !str_eq(q->columns[at], key)) at++;
        if (at < q->columns_count) to[at] = &from->members[k].v;
    }
    return to;
}

static bool resolve_row(struct query_resolving *r, const struct query_json *from, const struct map *places,
                        struct query_row *row) {
    struct query *q = r->query;
    if (from->kind != JSON_KIND_OBJECT) return query_fail(r->error, "PGRST102", "All object keys must match");
    row->cells = arena_array(r->out, struct query_bound, q->columns_count + 1);
    row->there = arena_array(r->out, bool, q->columns_count + 1);
    const struct query_json **members = members_of(r, from, places);
    for (uint32_t i = 0; i < q->columns_count; i++) {
        const struct catalog_column *c = q->targets[i];
        const struct query_json *v = members[i];
        row->there[i] = v || !q->missing_default;
        if (catalog_cast_of(r->catalog, PG_JSON, c->type)) { /* a function of theirs reads it, as it came */
            bool null = !v || v->kind == JSON_KIND_NULL;
            row->cells[i] = (struct query_bound){.null = null, .text = null ? (str){0} : v->raw, .type = PG_JSON};
            continue;
        }
        vec_push(r->out, &r->wants, ((struct query_want){c->type, c->typmod, v, true, false, &row->cells[i]}));
    }
    return true;
}

static bool resolve_rows(struct query_resolving *r) {
    struct query *q = r->query;
    q->cells_count = q->kind == QUERY_UPDATE ? 1 : q->rows->n;
    q->cells = arena_array(r->out, struct query_row, q->cells_count + 1);
    enum { MANY = 16 };
    struct map places = {0};
    for (uint32_t i = 0; q->columns_count > MANY && i < q->columns_count; i++) map_put(r->out, &places, q->columns[i], i);
    for (uint32_t i = 0; i < q->cells_count; i++)
        if (!resolve_row(r, q->kind == QUERY_UPDATE ? q->rows : &q->rows->items[i], &places, &q->cells[i])) return false;
    return true;
}

static bool same_columns(const struct query *q, const catalog_ids *ids) {
    bool same = ids->n == q->conflict_count;
    for (uint32_t i = 0; same && i < q->conflict_count; i++) same = catalog_ids_have(ids, q->arbiter[i]->number);
    return same;
}

/* Is there something unique of these columns? */
static bool has_arbiter(struct query_resolving *r) {
    const struct query *q = r->query;
    const struct catalog_relation *of = q->target;
    for (uint32_t i = 0; i < q->conflict_count; i++)
        if (!q->arbiter[i]) return false; /* a view's column that is made of more */
    for (uint32_t i = 0; i < of->constraints.n; i++) {
        const struct catalog_constraint *k = &of->constraints.p[i];
        if ((k->kind == CATALOG_PRIMARY || k->kind == CATALOG_UNIQUE) && same_columns(q, &k->columns)) return true;
    }
    for (uint32_t i = 0; i < of->indexes.n; i++) {
        const struct catalog_index *x = &of->indexes.p[i];
        catalog_ids columns = {0};
        for (uint32_t k = 0; k < x->keys.n; k++) vec_push(r->out, &columns, x->keys.p[k].column);
        if (x->unique && !x->exclusion && !x->where.source.n && same_columns(q, &columns)) return true;
    }
    return false;
}

static bool resolve_conflict(struct query_resolving *r) {
    struct query *q = r->query;
    const struct catalog_relation *of = q->select.of;
    catalog_ids primary;
    query_primary_key(r->out, r->catalog, of, &primary);
    if (q->conflict && !q->has_conflict_columns && !primary.n) q->conflict = QUERY_CONFLICT_NONE;
    if (!q->conflict) return true;
    if (!q->has_conflict_columns) q->conflict_count = primary.n;
    q->arbiter = arena_array(r->out, const struct catalog_column *, q->conflict_count + 1);
    for (uint32_t i = 0; i < q->conflict_count; i++) {
        q->arbiter[i] =
            q->has_conflict_columns ? catalog_column_named(of, q->conflict_columns[i]) : catalog_column_of(of, primary.p[i]);
        if (!q->arbiter[i])
            return query_fail(r->error, "42703", "column \"" STR_FMT "\" does not exist", STR_ARG(q->conflict_columns[i]));
        if (!need_column(r, of, q->arbiter[i], CATALOG_SELECT)) return false;
    }
    return true;
}

/* ---- views that are written through ---- */

static bool not_through(struct query_resolving *r, const struct catalog_relation *view, str why) {
    static const char *const verbs[] = {
        [QUERY_INSERT] = "insert into", [QUERY_UPDATE] = "update", [QUERY_DELETE] = "delete from"};
    static const char *const doing[][2] = {[QUERY_INSERT] = {"inserting into", "INSERT"},
                                           [QUERY_UPDATE] = {"updating", "UPDATE"},
                                           [QUERY_DELETE] = {"deleting from", "DELETE"}};
    enum query_kind k = r->query->kind;
    query_fail(r->error, "55000", "cannot %s view \"" STR_FMT "\"", verbs[k], STR_ARG(view->name));
    query_fail_detail(r->error, STR_FMT, STR_ARG(why.n ? why : STR("It was made before views were written through.")));
    query_fail_hint(r->error,
                    "To enable %s the view, provide an INSTEAD OF %s trigger or an unconditional ON %s DO INSTEAD rule.",
                    doing[k][0], doing[k][1], doing[k][1]);
    return false;
}

static bool is_written(const struct query_resolving *r, const struct catalog_column **columns, const struct catalog_column *c) {
    for (uint32_t i = 0; i < r->query->columns_count; i++)
        if (columns[i] == c) return true;
    return false;
}

/* The columns that are written are the base's: the first that is not, in the view's order. */
static bool columns_through(struct query_resolving *r, const struct catalog_relation *view,
                            const struct catalog_column **columns) {
    bool update = r->query->kind == QUERY_UPDATE;
    for (uint32_t i = 0; i < view->columns.n; i++) {
        const struct catalog_column *c = &view->columns.p[i];
        if (c->base_number || !is_written(r, columns, c)) continue;
        query_fail(r->error, "0A000",
                   update ? "cannot update column \"" STR_FMT "\" of view \"" STR_FMT "\""
                          : "cannot insert into column \"" STR_FMT "\" of view \"" STR_FMT "\"",
                   STR_ARG(c->name), STR_ARG(view->name));
        query_fail_detail(r->error, "View columns that are not columns of their base relation are not updatable.");
        return false;
    }
    return true;
}

/* Is it named in the view, as a1."storage"? */
static bool is_used(const struct catalog_relation *view, const struct catalog_column *c) {
    str mark, as, alias = {0};
    struct buf b = {0};
    if (str_cut(view->base_from, ' ', &mark, &as)) (void)str_cut(as, ' ', &as, &alias); /* \x01T1\x02 as a1 */
    buf_puts(&b, alias);
    buf_putc(&b, '.');
    query_put_name(&b, c->storage);
    bool used = memmem(view->base_list.p, view->base_list.n, b.p, b.n) ||
                (view->base_where.n && memmem(view->base_where.p, view->base_where.n, b.p, b.n));
    buf_free(&b);
    return used;
}

/* What the one who reads the view needs of what it is of: where anything is read, all that the view names. */
static bool need_base(struct query_resolving *r, const struct catalog_relation *view, const struct catalog_relation *base,
                      const struct catalog_column **columns) {
    struct query *q = r->query;
    static const uint32_t privileges[] = {
        [QUERY_INSERT] = CATALOG_INSERT, [QUERY_UPDATE] = CATALOG_UPDATE, [QUERY_DELETE] = CATALOG_DELETE};
    if (q->kind == QUERY_DELETE && !need_relation(r, base, CATALOG_DELETE)) return false;
    for (uint32_t i = 0; i < q->columns_count; i++)
        if (!need_column(r, base, columns[i], privileges[q->kind]) ||
            (q->conflict == QUERY_CONFLICT_MERGE && !need_column(r, base, columns[i], CATALOG_UPDATE)))
            return false;
    for (uint32_t i = 0; q->reads && i < base->columns.n; i++)
        if (is_used(view, &base->columns.p[i]) && !need_column(r, base, &base->columns.p[i], CATALOG_SELECT)) return false;
    return !q->reads || need_some(r, base, CATALOG_SELECT);
}

static const struct catalog_column *below(const struct catalog_relation *base, const struct catalog_column *c) {
    return c && c->base_number ? catalog_column_of(base, c->base_number) : NULL;
}

/* One view down: what is written, and what is answered, are the base's columns. */
static bool go_through(struct query_resolving *r, const struct catalog_relation *view, const struct catalog_column **targets) {
    struct query *q = r->query;
    const struct catalog_relation *base = catalog_relation_of(r->catalog, view->base);
    if (!base || (view->not_writable.n && q->kind != QUERY_DELETE)) return not_through(r, view, view->not_writable);
    if (!columns_through(r, view, targets)) return false;
    for (uint32_t i = 0; i < q->columns_count; i++) targets[i] = below(base, targets[i]);
    for (uint32_t i = 0; i < q->conflict_count; i++) q->arbiter[i] = below(base, q->arbiter[i]);
    for (uint32_t i = 0; i < q->select.of->columns.n; i++) q->through[i] = below(base, q->through[i]);
    if (!view->security_invoker) q->target_role = r->role = view->owner;
    else q->target_role = r->role = q->role;
    q->target = base;
    return need_base(r, view, base, targets);
}

/* Down to the table. Names, values and rights of the view itself were seen to. */
static bool resolve_through(struct query_resolving *r) {
    struct query *q = r->query;
    const struct catalog_relation *of = q->select.of;
    q->target = of, q->target_role = r->role;
    if (r->values.engine == CATALOG_POSTGRES || of->kind == CATALOG_TABLE) return true;
    q->instead = catalog_is_instead(of, q->kind == QUERY_INSERT   ? CATALOG_TRIGGER_INSERT
                                        : q->kind == QUERY_UPDATE ? CATALOG_TRIGGER_UPDATE
                                                                  : CATALOG_TRIGGER_DELETE);
    if (q->instead) return true;
    if (of->kind == CATALOG_MATVIEW)
        return query_fail(r->error, "42809", "cannot change materialized view \"" STR_FMT "\"", STR_ARG(of->name));
    q->through = arena_array(r->out, const struct catalog_column *, of->columns.n + 1);
    for (uint32_t i = 0; i < of->columns.n; i++) q->through[i] = &of->columns.p[i];
    uint32_t role = r->role;
    bool ok = true;
    r->view_denied = r->denial.set;
    for (uint32_t depth = 0; ok && q->target->kind == CATALOG_VIEW; depth++)
        ok = depth < QUERY_NESTING_MAX
                 ? go_through(r, q->target, q->targets)
                 : query_fail(r->error, "42P17", "infinite recursion detected in rules for relation \"" STR_FMT "\"",
                              STR_ARG(of->name));
    r->role = role;
    return ok;
}

/* Of each column that is written, and of the arbiter, something in the table says whether it may be. */
static bool check_targets(struct query_resolving *r) {
    struct query *q = r->query;
    for (uint32_t i = 0; i < q->columns_count; i++) {
        for (uint32_t k = 0; k < i; k++)
            if (q->targets[k] == q->targets[i])
                return query_fail(r->error, "42601", "multiple assignments to same column \"" STR_FMT "\"",
                                  STR_ARG(q->targets[i]->name));
        if (!is_given(r, q->targets[i])) return false;
    }
    if (q->conflict && q->has_conflict_columns && r->values.engine == CATALOG_SQLITE && !has_arbiter(r))
        query_fail(&r->no_plan, "42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification");
    return true;
}

static bool same_value(const struct db_value *a, const struct db_value *b) {
    if (a->kind != b->kind) return false;
    if (a->kind == DB_INTEGER) return a->i == b->i;
    if (a->kind == DB_REAL) return a->f == b->f;
    return str_eq(a->s, b->s);
}

/* PUT: the key's columns are asked for by eq, and nothing else, and say what the row says. */
static bool check_put(struct query_resolving *r) {
    struct query *q = r->query;
    const struct query_where *w = q->put_where;
    catalog_ids key;
    query_primary_key(r->out, r->catalog, q->select.of, &key);
    bool ok = key.n && w && w->kind == QUERY_AND && w->parts_count == key.n, same = q->cells_count == 1;
    for (uint32_t i = 0; ok && i < w->parts_count; i++) {
        const struct query_where *part = &w->parts[i];
        ok = part->kind == QUERY_TEST && part->test.op == QUERY_OP_EQ && !part->test.quantifier && !part->test.field.steps_count;
        const struct catalog_column *c = ok ? catalog_column_named(q->select.of, part->test.field.column) : NULL;
        ok = ok && c && catalog_ids_have(&key, c->number);
        for (uint32_t k = 0; ok && k < i; k++) ok = !str_eq(w->parts[k].test.field.column, part->test.field.column);
        bool found = false;
        for (uint32_t k = 0; ok && same && k < q->columns_count; k++) {
            if (q->targets[k] != query_column_through(q, c)) continue;
            struct query_bound asked;
            if (!query_value_of(&r->values, c->type, c->typmod, part->test.values[0], false, &asked)) return false;
            const struct query_bound *given = &q->cells[0].cells[k];
            found = !given->null && (r->values.engine == CATALOG_POSTGRES ? str_eq(asked.text, given->text)
                                                                          : same_value(&asked.value, &given->value));
        }
        same &= found;
    }
    if (!ok) return query_fail(r->error, "PGRST105", "Filters must include all and only primary key columns with 'eq' operators");
    return same || query_fail(r->error, "PGRST115", "Payload values do not match URL in primary key column(s)");
}

/* {"not": {"or": []}} does not. */
static bool names_column(const struct query_where *w) {
    bool names = w->kind == QUERY_TEST || w->kind == QUERY_HAS;
    for (uint32_t i = 0; !names && i < w->parts_count; i++) names = names_column(&w->parts[i]);
    return names;
}

static bool resolve_write(struct query_resolving *r) {
    struct query *q = r->query;
    static const uint32_t privileges[] = {
        [QUERY_INSERT] = CATALOG_INSERT, [QUERY_UPDATE] = CATALOG_UPDATE, [QUERY_DELETE] = CATALOG_DELETE};
    const struct catalog_relation *of = q->select.of;
    bool nothing = q->kind == QUERY_UPDATE && q->rows->kind == JSON_KIND_OBJECT && !q->rows->n;
    if (q->kind == QUERY_DELETE ? !need_relation(r, of, CATALOG_DELETE) : !nothing && !need_some(r, of, privileges[q->kind]))
        return false;
    if (q->kind != QUERY_DELETE && (!find_columns(r) || !resolve_targets(r) || !resolve_rows(r))) return false;
    if (!resolve_conflict(r)) return false;
    if (q->put) q->put_where = q->select.where, q->select.where = NULL;
    if (!relate_all(r, &q->select)) return false;
    if (q->select.where && !resolve_where(r, &q->select, q->select.where)) return false;
    if (q->select.has_items && !(need_some(r, of, CATALOG_SELECT) && resolve_list(r, &q->select))) return false;
    for (uint32_t i = 0; q->select.has_items && i < q->select.order_count; i++)
        if (!resolve_order(r, &q->select, &q->select.order[i])) return false;
    q->reads = q->select.has_items || q->conflict || (q->select.where && names_column(q->select.where));
    return resolve_through(r) && check_targets(r);
}

/* ---- the whole ---- */

/* What is described, where it is one relation, is there. */
static bool resolve_describe(struct query_resolving *r) {
    struct query *q = r->query;
    return !q->select.relation.n || catalog_function_next(r->catalog, q->select.schema, q->select.relation, NULL) ||
           query_relation_find(r, q->select.schema, q->select.relation);
}

static bool resolve_names(struct query_resolving *r) {
    struct query *q = r->query;
    if (q->kind == QUERY_CALL) {
        if (!query_resolve_call(r)) return false;
        return q->max_affected < 0 || q->function->set ||
               query_fail(r->error, "PGRST128",
                          "Function must return SETOF or TABLE when max-affected preference is used with handling=strict");
    }
    if (q->kind == QUERY_DESCRIBE) return resolve_describe(r);
    q->select.of = query_relation_find(r, q->select.schema, q->select.relation);
    if (!q->select.of || !query_need_schema(r, q->select.of->schema)) return false;
    if (q->kind != QUERY_SELECT) return resolve_write(r);
    static struct query_item star = {.kind = QUERY_STAR};
    if (!q->select.has_items) q->select.items = &star, q->select.items_count = 1, q->select.has_items = true;
    return resolve_select(r, &q->select);
}

static bool take_values(struct query_resolving *r) {
    for (uint32_t i = 0; i < r->wants.n; i++) {
        const struct query_want *w = &r->wants.p[i];
        if (!query_value_of(&r->values, w->type, w->typmod, w->v, w->written, w->to)) return false;
        if (w->v && w->v->kind == JSON_KIND_STR && !w->written) w->to->said = w->v->raw;
        if (w->stars) stars(r, w->to);
    }
    return true;
}

bool query_resolve(arena *out, const struct catalog *c, struct pg_session *session, struct query *q, struct pg_error *error) {
    struct query_resolving r = {.out = out, .catalog = c, .session = session, .error = error, .query = q};
    r.values = (struct query_values){out, session, error, (enum catalog_engine)c->engine};
    const struct catalog_role *role = catalog_role_named(c, session->role);
    if (!role) return query_fail(error, "22023", "role \"" STR_FMT "\" does not exist", STR_ARG(session->role));
    r.role = q->role = role->id;
    if (!resolve_names(&r) || !query_resolve_media(&r) || !take_values(&r) || (q->put && !check_put(&r))) return false;
    q->hex = query_media_is_bytes(session->types, q);
    if (q->explain) q->form = QUERY_FORM_PLAN, q->hex = q->single = q->stripped = false, q->max_affected = -1;
    if (r.no_plan.set && !r.view_denied) *error = r.no_plan;
    else if (r.denial.set) *error = r.denial;
    return !error->set;
}

/* ---- calls ---- */

static bool goes_in(const struct catalog_argument *a) { return a->mode != CATALOG_OUT && a->mode != CATALOG_TABLE_COLUMN; }

/* Arguments without a name cannot be given, but for the one that takes a whole body: a function that has others is not there. */
static bool is_callable(const struct catalog_function *f) {
    enum { XML = 142 };
    uint32_t nameless = 0, type = 0;
    if (f->procedure || f->aggregate) return false;
    for (uint32_t i = 0; i < f->arguments.n; i++)
        if (goes_in(&f->arguments.p[i]) && !f->arguments.p[i].name.n) nameless++, type = f->arguments.p[i].type;
    return !nameless ||
           (nameless == 1 && (type == PG_JSON || type == PG_JSONB || type == PG_TEXT || type == PG_BYTEA || type == XML));
}

static bool is_nameless(const struct catalog_function *f) { return f->arguments.n == 1 && !f->arguments.p[0].name.n; }

/* Has it each argument that came, and a value for each that did not? */
static bool takes(const struct catalog_function *f, const struct query_json *args) {
    if (!is_callable(f)) return false;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        bool given = !goes_in(a) || a->default_value.source.n;
        for (uint32_t k = 0; !given && args && k < args->n; k++) given = str_eq(args->members[k].key, a->name);
        if (!given) return false;
    }
    for (uint32_t k = 0; args && k < args->n; k++) {
        bool taken = false;
        for (uint32_t i = 0; !taken && i < f->arguments.n; i++)
            taken = goes_in(&f->arguments.p[i]) && str_eq(args->members[k].key, f->arguments.p[i].name);
        if (!taken) return false;
    }
    return true;
}

/* How alike two words are, from 0 to 100: what is left when those letters are counted that one would have to change. */
uint32_t query_likeness(str a, str b) {
    enum { MOST = 64 };
    uint32_t row[MOST + 1];
    if (a.n > MOST || b.n > MOST || !a.n || !b.n) return 0;
    for (uint32_t k = 0; k <= b.n; k++) row[k] = k;
    for (uint32_t i = 1; i <= a.n; i++) {
        uint32_t before = row[0];
        row[0] = i;
        for (uint32_t k = 1; k <= b.n; k++) {
            uint32_t change = before + (a.p[i - 1] != b.p[k - 1]);
            before = row[k];
            row[k] = MIN(change, MIN(row[k], row[k - 1]) + 1);
        }
    }
    return (uint32_t)(100 - 100 * row[b.n] / MAX(a.n, b.n));
}

static int by_text(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

/* a, b, c: sorted, as PostgREST says them. */
static str argument_list(struct query_resolving *r, str *names, uint32_t n) {
    struct buf b = {0};
    if (n) qsort(names, n, sizeof *names, by_text);
    for (uint32_t i = 0; i < n; i++) buf_printf(&b, "%s" STR_FMT, i ? ", " : "", STR_ARG(names[i]));
    str s = arena_str(r->out, buf_str(&b));
    buf_free(&b);
    return s;
}

static str given_list(struct query_resolving *r, uint32_t *n) {
    const struct query_json *args = r->query->rows;
    str *names = arena_array(r->out, str, args ? args->n + 1 : 1);
    *n = args ? args->n : 0;
    for (uint32_t i = 0; i < *n; i++) names[i] = args->members[i].key;
    return argument_list(r, names, *n);
}

/* The function, or the arguments of one that is called so, that was meant, perhaps. */
static void hint_function(struct query_resolving *r, str given) {
    const struct query *q = r->query;
    const struct catalog *c = r->catalog;
    const struct catalog_schema *schema = catalog_schema_named(c, q->select.schema);
    const struct catalog_function *f = catalog_function_next(c, q->select.schema, q->select.relation, NULL);
    while (f && !is_callable(f)) f = catalog_function_next(c, q->select.schema, q->select.relation, f);
    str best = {0};
    uint32_t most = f ? 32 : 74;
    for (uint32_t i = 0; !f && schema && i < c->functions.n; i++) {
        const struct catalog_function *other = &c->functions.p[i];
        uint32_t l = other->schema == schema->id && is_callable(other) && catalog_may_function(c, r->role, other)
                         ? query_likeness(other->name, q->select.relation)
                         : 0;
        if (l > most) most = l, best = other->name;
    }
    for (; f; f = catalog_function_next(c, q->select.schema, q->select.relation, f)) {
        str *names = arena_array(r->out, str, f->arguments.n + 1);
        uint32_t n = 0;
        if (!is_callable(f)) continue;
        for (uint32_t i = 0; i < f->arguments.n; i++)
            if (f->arguments.p[i].mode != CATALOG_OUT && f->arguments.p[i].mode != CATALOG_TABLE_COLUMN)
                names[n++] = f->arguments.p[i].name;
        str list = arena_fmt(r->out, "(" STR_FMT ")", STR_ARG(argument_list(r, names, n)));
        uint32_t l = query_likeness(list, arena_fmt(r->out, "(" STR_FMT ")", STR_ARG(given)));
        if (n && l > most) most = l, best = arena_fmt(r->out, STR_FMT STR_FMT, STR_ARG(q->select.relation), STR_ARG(list));
    }
    if (best.n)
        query_fail_hint(r->error, "Perhaps you meant to call the function " STR_FMT "." STR_FMT, STR_ARG(q->select.schema),
                        STR_ARG(best));
}

static bool no_function(struct query_resolving *r) {
    const struct query *q = r->query;
    static const char *const raws[] = {[QUERY_RAW_TEXT] = "a single unnamed text",
                                       [QUERY_RAW_XML] = "a single unnamed xml",
                                       [QUERY_RAW_BYTES] = "a single unnamed bytea"};
    uint32_t n;
    str given = given_list(r, &n),
        name = arena_fmt(r->out, STR_FMT "." STR_FMT, STR_ARG(q->select.schema), STR_ARG(q->select.relation));
    str with = n ? arena_fmt(r->out, "(" STR_FMT ")", STR_ARG(given)) : STR(" without parameters");
    if (q->raw > QUERY_RAW_JSON) {
        query_fail(r->error, "PGRST202", "Could not find the function " STR_FMT " in the schema cache", STR_ARG(name));
        query_fail_detail(
            r->error, "Searched for the function " STR_FMT " with %s parameter, but no matches were found in the schema cache.",
            STR_ARG(name), raws[q->raw]);
        return false;
    }
    query_fail(r->error, "PGRST202", "Could not find the function " STR_FMT STR_FMT " in the schema cache", STR_ARG(name),
               STR_ARG(with));
    if (n) with = arena_fmt(r->out, " with parameter%s " STR_FMT, n > 1 ? "s" : "", STR_ARG(given));
    query_fail_detail(r->error, "Searched for the function " STR_FMT STR_FMT "%s, but no matches were found in the schema cache.",
                      STR_ARG(name), STR_ARG(with),
                      q->raw == QUERY_RAW_JSON ? " or with a single unnamed json/jsonb parameter" : "");
    hint_function(r, given);
    return false;
}

/* Is its only parameter one without a name, for a body such as this? */
static bool takes_raw(const struct query_resolving *r, const struct catalog_function *f) {
    enum { XML = 142 };
    if (f->arguments.n != 1 || (f->arguments.p[0].name.n && !r->query->raw_named)) return false;
    uint32_t type = f->arguments.p[0].type;
    switch (r->query->raw) {
    case QUERY_RAW_JSON: return type == PG_JSON || type == PG_JSONB;
    case QUERY_RAW_TEXT: return type == PG_TEXT;
    case QUERY_RAW_XML: return type == XML;
    case QUERY_RAW_BYTES: return type == PG_BYTEA;
    default: return false;
    }
}

struct named_function {
    uint32_t arguments;
    str text;
};

static int by_arguments(const void *a, const void *b) {
    const struct named_function *x = a, *y = b;
    return x->arguments != y->arguments ? (x->arguments < y->arguments ? -1 : 1) : str_cmp(x->text, y->text);
}

/* PGRST203 names all of them: those that take less first, then by what they take. */
static bool several_functions(struct query_resolving *r, bool raw) {
    const struct query *q = r->query;
    const struct catalog_function *f = NULL;
    struct buf b = {0};
    VEC(struct named_function) all = {0};
    while ((f = catalog_function_next(r->catalog, q->select.schema, q->select.relation, f))) {
        if (raw ? !takes_raw(r, f) : !takes(f, q->rows)) continue;
        b.n = 0;
        buf_printf(&b, STR_FMT "." STR_FMT "(", STR_ARG(q->select.schema), STR_ARG(f->name));
        for (uint32_t i = 0; i < f->arguments.n; i++) {
            const struct pg_type *t = query_type_of(r->session->types, f->arguments.p[i].type);
            buf_printf(&b, "%s" STR_FMT " => %s", i ? ", " : "", STR_ARG(f->arguments.p[i].name), t ? t->sql : "unknown");
        }
        buf_putc(&b, ')');
        vec_push(r->out, &all, ((struct named_function){f->arguments.n, arena_str(r->out, buf_str(&b))}));
    }
    if (all.n) qsort(all.p, all.n, sizeof *all.p, by_arguments);
    b.n = 0;
    for (uint32_t i = 0; i < all.n; i++) buf_printf(&b, "%s" STR_FMT, i ? ", " : "", STR_ARG(all.p[i].text));
    query_fail(r->error, "PGRST203", "Could not choose the best candidate function between: " STR_FMT, STR_ARG(buf_str(&b)));
    query_fail_hint(r->error,
                    "Try renaming the parameters or the function itself in the database so function overloading can be resolved");
    buf_free(&b);
    return false;
}

/* What it gives, as a relation's columns. */
static void result_relation(struct query_resolving *r, const struct catalog_function *f) {
    struct catalog_relation *of = arena_make(r->out, struct catalog_relation);
    of->name = f->name;
    of->kind = CATALOG_VIEW;
    of->schema = f->schema;
    const struct catalog_type *row = catalog_type_of(r->catalog, query_type_base(r->session->types, f->returns));
    const struct catalog_relation *table =
        row && row->kind == CATALOG_ROW ? catalog_relation_of(r->catalog, row->relation) : NULL;
    bool whole = table && table->columns.n == f->columns.n; /* its rows are that table's: numbers of columns are the same */
    r->query->gives = whole ? table : NULL;
    for (uint32_t i = 0; i < f->columns.n; i++) {
        uint16_t number = whole ? table->columns.p[i].number : (uint16_t)(i + 1);
        struct catalog_column c = {.number = number, .type = f->columns.p[i].type, .typmod = f->columns.p[i].typmod};
        c.name = f->columns.p[i].name.n ? f->columns.p[i].name : f->name;
        c.storage = arena_fmt(r->out, "c%u", i + 1);
        vec_push(r->out, &of->columns, c);
    }
    r->query->select.of = of;
}

/* What came as text for an argument that takes any number: all of it, as an array. */
static const struct query_json *all_named(struct query_resolving *r, str name) {
    const struct query_json *args = r->query->rows;
    struct query_json *v = arena_make(r->out, struct query_json);
    struct buf raw = {0};
    *v = (struct query_json){.kind = JSON_KIND_ARRAY, .items = arena_array(r->out, struct query_json, args->n + 1)};
    for (uint32_t i = 0; i < args->n; i++) {
        if (!str_eq(args->members[i].key, name)) continue;
        buf_puts(&raw, v->n ? STR(",") : STR("["));
        buf_puts(&raw, args->members[i].v.raw);
        v->items[v->n++] = args->members[i].v;
    }
    buf_putc(&raw, ']');
    v->raw = arena_str(r->out, buf_str(&raw));
    buf_free(&raw);
    return v;
}

static bool resolve_arguments(struct query_resolving *r, const struct catalog_function *f) {
    struct query *q = r->query;
    q->arguments = arena_array(r->out, struct query_bound, f->arguments.n + 1);
    q->arguments_there = arena_array(r->out, bool, f->arguments.n + 1);
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        const struct query_json *v =
            q->rows && a->name.n && goes_in(a) ? query_json_get(q->rows, arena_cstr(r->out, a->name)) : NULL;
        bool written = !q->args_text || a->mode == CATALOG_VARIADIC;
        q->arguments_there[i] = v != NULL;
        if (v && q->args_text && a->mode == CATALOG_VARIADIC) v = all_named(r, a->name);
        if (v) vec_push(r->out, &r->wants, ((struct query_want){a->type, a->typmod, v, written, false, &q->arguments[i]}));
    }
    return true;
}

/* The body is its one argument. */
static void take_raw(struct query_resolving *r, const struct catalog_function *f) {
    struct query *q = r->query;
    struct query_json *v = arena_make(r->out, struct query_json);
    const struct catalog_argument *a = &f->arguments.p[0];
    str body = q->raw ? q->raw_body : q->rows && q->rows->n ? q->rows->members[0].v.s : (str){0};
    *v = (struct query_json){.kind = JSON_KIND_STR, .raw = body, .s = body};
    q->arguments = arena_array(r->out, struct query_bound, 1);
    q->arguments_there = arena_array(r->out, bool, 1);
    q->arguments_there[0] = true;
    vec_push(r->out, &r->wants, ((struct query_want){a->type, a->typmod, v, false, false, &q->arguments[0]}));
}

static bool query_resolve_call(struct query_resolving *r) {
    struct query *q = r->query;
    const struct catalog_function *f = NULL, *found = NULL;
    while ((f = catalog_function_next(r->catalog, q->select.schema, q->select.relation, f))) {
        if (!takes(f, q->rows) || (q->raw > QUERY_RAW_JSON)) continue;
        if (found) return several_functions(r, false);
        found = f;
    }
    bool raw = !found;
    while (raw && (f = catalog_function_next(r->catalog, q->select.schema, q->select.relation, f))) {
        if (f->aggregate || !takes_raw(r, f)) continue;
        if (found) return several_functions(r, true);
        found = f;
    }
    if (!found) return no_function(r);
    if (!query_need_schema(r, found->schema)) return false;
    if (r->values.engine == CATALOG_SQLITE && !catalog_may_function(r->catalog, r->role, found))
        query_fail(&r->denial, "42501", "permission denied for function " STR_FMT, STR_ARG(found->name));
    if (found->why_not.n && r->values.engine == CATALOG_SQLITE) {
        query_fail(r->error, "0A000", "function " STR_FMT " cannot be called on SQLite", STR_ARG(found->name));
        query_fail_detail(r->error, STR_FMT, STR_ARG(str_sub(found->why_not, 0, 400)));
        return false;
    }
    for (uint32_t i = 0; i < found->arguments.n && r->values.engine == CATALOG_SQLITE; i++) {
        const struct catalog_type *t = catalog_type_of(r->catalog, found->arguments.p[i].type);
        if (t && t->id == found->arguments.p[i].type && (t->kind == CATALOG_ROW || t->kind == CATALOG_COMPOSITE))
            return query_fail(r->error, "0A000", "function " STR_FMT ", which takes a row, cannot be called by itself on SQLite",
                              STR_ARG(found->name));
    }
    q->function = found;
    result_relation(r, found);
    static struct query_item star = {.kind = QUERY_STAR};
    if (!q->select.has_items) q->select.items = &star, q->select.items_count = 1;
    if (!raw && q->rows && q->rows->n && is_nameless(found)) raw = true; /* {"": …}: it is given all that came */
    if (raw) take_raw(r, found);
    return (raw || resolve_arguments(r, found)) && resolve_select(r, &q->select);
}
