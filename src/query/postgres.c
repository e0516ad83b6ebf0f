/* postgres: a resolved tree as PostgreSQL's text. Policies and rights are PostgreSQL's own there.
 *
 *   select $1::text||coalesce(to_json(r.c1)::text,'null')||$2::text||coalesce(r.c2,'null')||'}' from
 *     (select a0."id" as c1, (select …) as c2 from "public"."todos" as a0 where a0."done" = $3 order by … limit $4) as r
 *
 * 1. Each row is made JSON by PostgreSQL itself, without blanks, as the SQLite side writes it. What members are called is bound, too, where that is not what the
 *    catalogue calls its columns.
 * 2. Values are sent as text of no type, so that each takes the type of what it stands beside, as a literal would.
 */
#include "query/query_int.h"

struct print {
    arena *out;
    const struct catalog *catalog;
    const struct pg_types *types;
    const struct query *q;
    struct pg_error *error;
    struct buf sql;
    VEC(struct query_bound) values;
    uint32_t aliases;
    uint32_t written; /* what the rows of a write are called, as they come back: their column _orlo_r is the whole row */
};
#define PUT(p, text) buf_puts(&(p)->sql, STR(text))

static bool put_value(struct print *p, const struct query_bound *b) {
    vec_push(p->out, &p->values, *b);
    return buf_printf(&p->sql, "$%u", p->values.n);
}

/* What is embedded is printed for each place that names it, and what that embeds for each of its own: a small tree may be a statement without end. */
static bool is_room(struct print *p) {
    if (p->values.n > QUERY_PARAMS_MAX * 2)
        return query_fail(p->error, "54023", "a statement has at most %d values", QUERY_PARAMS_MAX * 2);
    if (p->aliases <= QUERY_ALIASES_MAX && p->sql.n <= QUERY_TEXT_MAX) return true;
    return query_fail(p->error, "54001", "the query names what it embeds too often");
}

static bool put_text(struct print *p, str s) {
    struct query_bound b = {.text = s};
    return put_value(p, &b) && PUT(p, "::text");
}

static bool put_number(struct print *p, int64_t v) {
    struct query_bound b = {.text = arena_fmt(p->out, "%lld", (long long)v)};
    return put_value(p, &b) && PUT(p, "::bigint");
}

static void put_relation(struct print *p, const struct catalog_relation *of) {
    const struct catalog_schema *s = catalog_schema_of(p->catalog, of->schema);
    query_put_name(&p->sql, s ? s->name : STR("public"));
    PUT(p, ".");
    query_put_name(&p->sql, of->name);
}

static bool put_column(struct print *p, uint32_t alias, const struct catalog_column *c) {
    buf_printf(&p->sql, "a%u.", alias);
    query_put_name(&p->sql, c->name);
    return true;
}

static void put_called_name(struct print *p, const struct catalog_function *f) {
    const struct catalog_schema *schema = catalog_schema_of(p->catalog, f->schema);
    query_put_name(&p->sql, schema ? schema->name : STR("public"));
    PUT(p, ".");
    query_put_name(&p->sql, f->name);
}

/* What a function gives of a row. */
static bool put_computed(struct print *p, const struct catalog_function *f, uint32_t alias) {
    put_called_name(p, f);
    return buf_printf(&p->sql, p->written && alias == p->written ? "(a%u.\"_orlo_r\")" : "(a%u)", alias);
}

static bool put_field(struct print *p, uint32_t alias, const struct query_field *f) {
    uint32_t base = query_type_base(p->types, f->of->type);
    bool made = f->steps_count && base != PG_JSON && base != PG_JSONB;
    if (f->steps_count) buf_puts(&p->sql, made ? STR("(to_jsonb(") : STR("("));
    if (f->computed) put_computed(p, f->computed, alias);
    else put_column(p, alias, f->of);
    if (made) PUT(p, ")");
    for (uint32_t i = 0; i < f->steps_count; i++) {
        const struct query_step *s = &f->steps[i];
        buf_puts(&p->sql, f->text && i + 1 == f->steps_count ? STR("->>") : STR("->"));
        struct query_bound b = {.text = s->is_index ? arena_fmt(p->out, "%lld", (long long)s->index) : s->key};
        put_value(p, &b);
        buf_puts(&p->sql, s->is_index ? STR("::int") : STR("::text"));
    }
    return !f->steps_count || PUT(p, ")");
}

/* A type's name as the catalogue has it. */
static void put_type(struct print *p, uint32_t id) {
    const struct catalog_type *own = id >= PG_OWN_MIN ? catalog_type_of(p->catalog, id) : NULL;
    const struct catalog_schema *s = own ? catalog_schema_of(p->catalog, own->schema) : NULL;
    const struct pg_type *t = query_type_of(p->types, id);
    if (s) {
        query_put_name(&p->sql, s->name);
        PUT(p, ".");
        query_put_name(&p->sql, own->name);
        if (own->id != id) PUT(p, "[]");
    } else buf_puts(&p->sql, str_c(t ? t->sql : "text"));
}

static void put_function(struct print *p, uint32_t schema, str name) {
    const struct catalog_schema *s = catalog_schema_of(p->catalog, schema);
    query_put_name(&p->sql, s ? s->name : STR("public"));
    PUT(p, ".");
    query_put_name(&p->sql, name);
}

/* f( of a cast that is a function of theirs; false: there is none between those types. */
static bool begin_cast(struct print *p, uint32_t from, uint32_t to) {
    const struct catalog_cast *k = catalog_cast_of(p->catalog, from, to);
    if (!k) return false;
    query_put_name(&p->sql, k->schema);
    PUT(p, ".");
    query_put_name(&p->sql, k->function);
    return PUT(p, "(");
}

/* A value that a filter compares with, or that is written: as the column's type reads text, or JSON. */
static bool put_read(struct print *p, uint32_t from, uint32_t to, const struct query_bound *b) {
    bool cast = begin_cast(p, from, to), written = cast && from == PG_JSON;
    if (written) PUT(p, "(select "); /* what no row takes is not read: it is no constant to the planner */
    put_value(p, b);
    return !cast || buf_puts(&p->sql, written ? STR("::json))") : STR("::text)"));
}

/* ---- filters ---- */

static bool put_search(struct print *p, const struct query_test *t, uint32_t alias) {
    struct query_bound config = {.text = t->config};
    bool vector = query_type_base(p->types, t->field.type) == PG_TSVECTOR;
    if (!vector) { /* what is no vector becomes one, by the same configuration */
        PUT(p, "to_tsvector(");
        if (t->config.n && put_value(p, &config)) PUT(p, "::regconfig,");
    }
    if (!put_field(p, alias, &t->field)) return false;
    if (!vector) PUT(p, ")");
    buf_printf(&p->sql, " @@ %s(", query_ops[t->op].operator);
    if (t->config.n && put_value(p, &config)) PUT(p, "::regconfig,");
    return put_value(p, t->bound) && PUT(p, "::text)");
}

/* What no value decides. The field is in it all the same: who asks is to have the right to read it, and sees what policies let him. */
static bool put_decided(struct print *p, const struct query_test *t, uint32_t alias, bool is) {
    PUT(p, "(");
    put_field(p, alias, &t->field);
    return is ? PUT(p, " is null or true)") : PUT(p, " is null and false)");
}

static bool put_in(struct print *p, const struct query_test *t, uint32_t alias) {
    if (!t->values_count) return put_decided(p, t, alias, false);
    put_field(p, alias, &t->field);
    PUT(p, " in (");
    for (uint32_t i = 0; i < t->values_count; i++) {
        if (i) PUT(p, ",");
        put_read(p, PG_TEXT, t->field.type, &t->bound[i]);
    }
    return PUT(p, ")");
}

static bool put_is(struct print *p, const struct query_test *t, uint32_t alias) {
    put_field(p, alias, &t->field);
    str v = t->bound->text;
    if (str_eqc(v, "not_null")) return PUT(p, " is not null");
    if (str_eqc(v, "true")) return PUT(p, " is true");
    if (str_eqc(v, "false")) return PUT(p, " is false");
    return str_eqc(v, "unknown") ? PUT(p, " is unknown") : PUT(p, " is null");
}

static bool put_test(struct print *p, const struct query_test *t, uint32_t alias) {
    uint32_t flags = query_ops[t->op].flags;
    if (flags & QUERY_IS_TRUTH) return put_is(p, t, alias);
    if (flags & QUERY_IS_MANY) return put_in(p, t, alias);
    if (flags & QUERY_IS_SEARCH) return put_search(p, t, alias);
    if (!t->values_count) return put_decided(p, t, alias, t->quantifier == QUERY_ALL);
    bool bare =
        (flags & QUERY_IS_STARS) || t->op == QUERY_OP_DISTINCT; /* as what they are, and not as the column's type is read */
    for (uint32_t i = 0; i < t->values_count; i++) {
        if (i) buf_puts(&p->sql, t->quantifier == QUERY_ALL ? STR(" and ") : STR(" or "));
        put_field(p, alias, &t->field);
        buf_printf(&p->sql, " %s ", query_ops[t->op].operator);
        if (bare) put_value(p, &t->bound[i]);
        else put_read(p, PG_TEXT, t->field.type, &t->bound[i]);
    }
    return true;
}

static bool put_exists(struct print *p, const struct query_embed *e, uint32_t above, bool has);

static bool put_where(struct print *p, const struct query_where *w, uint32_t alias) {
    if (!w) return PUT(p, "true");
    if (w->kind == QUERY_TEST) return put_test(p, &w->test, alias);
    if (w->kind == QUERY_HAS) return put_exists(p, w->to, alias, w->has);
    if (w->kind == QUERY_NOT) return PUT(p, "not (") && put_where(p, w->parts, alias) && PUT(p, ")");
    if (!w->parts_count) return w->kind == QUERY_AND ? PUT(p, "true") : PUT(p, "false");
    for (uint32_t i = 0; i < w->parts_count; i++) {
        if (i) buf_puts(&p->sql, w->kind == QUERY_AND ? STR(" and ") : STR(" or "));
        if (!PUT(p, "(") || !put_where(p, &w->parts[i], alias) || !PUT(p, ")")) return false;
    }
    return true;
}

/* ---- embeds ---- */

static bool put_key(struct print *p, const struct catalog_relation *holder, const catalog_ids *a, uint32_t one,
                    const struct catalog_relation *held, const catalog_ids *b, uint32_t other) {
    for (uint32_t i = 0; i < a->n; i++) {
        if (i) PUT(p, " and ");
        put_column(p, one, catalog_column_of(holder, a->p[i]));
        PUT(p, " = ");
        put_column(p, other, catalog_column_of(held, b->p[i]));
    }
    return true;
}

static bool put_related(struct print *p, const struct query_embed *e, uint32_t above, uint32_t alias) {
    if (!is_room(p)) return false;
    const struct query_select *s = &e->select;
    PUT(p, " from ");
    if (e->computed) put_computed(p, e->computed, above);
    else put_relation(p, s->of);
    buf_printf(&p->sql, " as a%u", alias);
    if (e->computed) PUT(p, " where true");
    else if (e->cardinality == QUERY_THROUGH) {
        uint32_t j = p->aliases++;
        PUT(p, " join ");
        put_relation(p, e->junction);
        buf_printf(&p->sql, " as a%u on ", j);
        put_key(p, s->of, &e->second->reference_columns, alias, e->junction, &e->second->columns, j);
        PUT(p, " where ");
        put_key(p, e->junction, &e->key->columns, j, e->parent, &e->key->reference_columns, above);
    } else {
        PUT(p, " where ");
        if (e->cardinality == QUERY_TO_ONE)
            put_key(p, s->of, &e->key->reference_columns, alias, e->parent, &e->key->columns, above);
        else put_key(p, s->of, &e->key->columns, alias, e->parent, &e->key->reference_columns, above);
    }
    return PUT(p, " and (") && put_where(p, s->where, alias) && PUT(p, ")");
}

static bool put_inner(struct print *p, const struct query_select *s, uint32_t alias) {
    for (uint32_t i = 0; i < s->list_count; i++) {
        const struct query_embed *e = s->list[i].embed;
        if (e && e->join == QUERY_INNER && (!PUT(p, " and ") || !put_exists(p, e, alias, true))) return false;
    }
    return true;
}

/* What a tree's own rows are: its `where`, which may be an `or`, and what embeds demand besides. */
static bool put_filter(struct print *p, const struct query_select *s, uint32_t alias) {
    return PUT(p, " where (") && put_where(p, s->where, alias) && PUT(p, ")") && put_inner(p, s, alias);
}

static bool put_exists(struct print *p, const struct query_embed *e, uint32_t above, bool has) {
    uint32_t alias = p->aliases++;
    if (!has) PUT(p, "not ");
    return PUT(p, "exists (select 1") && put_related(p, e, above, alias) && put_inner(p, &e->select, alias) && PUT(p, ")");
}

/* ---- lists: what rows are made of, as c1, c2 …; members says what each is called ---- */

struct member {
    str name;
    bool json; /* it is JSON text already */
    bool own;  /* it is called as the catalogue calls it */
};
typedef VEC(struct member) members;

/* What an item, or the aggregate that it is, is of. */
static bool put_bare(struct print *p, const struct query_item *it, uint32_t alias) {
    bool told = it->kind == QUERY_FIELD && begin_cast(p, it->field.type, PG_JSON);
    put_field(p, alias, &it->field);
    if (told) PUT(p, ")");
    if (!it->cast.n) return true;
    PUT(p, "::");
    put_type(p, it->cast_type);
    return true;
}

static void begin_aggregate(struct print *p, const struct query_item *it) {
    buf_puts(&p->sql, it->aggregate);
    buf_puts(&p->sql, it->whole ? STR("(*") : STR("("));
}

static bool end_aggregate(struct print *p, const struct query_item *it) {
    PUT(p, ")");
    if (!it->cast_after.n) return true;
    PUT(p, "::");
    put_type(p, it->cast_after_type);
    return true;
}

static bool put_item(struct print *p, const struct query_item *it, uint32_t alias) {
    if (it->kind != QUERY_AGGREGATE) return put_bare(p, it, alias);
    begin_aggregate(p, it);
    return (it->whole || put_bare(p, it, alias)) && end_aggregate(p, it);
}

static bool put_row_select(struct print *p, const struct query_select *s, const struct query_embed *e, uint32_t above);

static bool put_embed(struct print *p, const struct query_embed *e, uint32_t above) {
    if (!e->one) PUT(p, "(select coalesce('['||string_agg(q.x,',')||']','[]') from (");
    else PUT(p, "(");
    if (!put_row_select(p, &e->select, e, above)) return false;
    return e->one ? PUT(p, " limit 1)") : PUT(p, ") as q(x))");
}

static bool put_order(struct print *p, const struct query_select *s, uint32_t alias);
static bool put_range(struct print *p, const struct query_select *s);

/* As sqlite.c has it. */
struct way {
    const struct query_embed *steps[QUERY_EMBEDS_MAX];
    uint32_t count;
    const struct query_item *item;
};

static bool way_is_json(const struct way *w, uint32_t i) {
    if (w->item->kind == QUERY_EMBED) return true;
    for (; i < w->count; i++)
        if (!w->steps[i]->one) return true;
    return false;
}

static bool put_way(struct print *p, const struct way *w, uint32_t i, uint32_t above) {
    const struct query_embed *e = w->steps[i];
    uint32_t alias = p->aliases++;
    bool last = i + 1 == w->count, json = last ? w->item->kind == QUERY_EMBED : way_is_json(w, i + 1), ok;
    buf_puts(&p->sql,
             e->one ? STR("(select ") : STR("(select coalesce('['||string_agg(q.x,',')||']','[]') from (select coalesce("));
    if (!e->one && !json) PUT(p, "to_json(");
    if (!last) ok = put_way(p, w, i + 1, alias);
    else ok = w->item->kind == QUERY_EMBED ? put_embed(p, w->item->embed, alias) : put_bare(p, w->item, alias);
    if (!e->one) buf_puts(&p->sql, json ? STR(",'null') as x") : STR(")::text,'null') as x"));
    if (!ok || !put_related(p, e, above, alias) || !put_inner(p, &e->select, alias) || !put_order(p, &e->select, alias) ||
        !put_range(p, &e->select))
        return false;
    return buf_puts(&p->sql, e->one ? e->select.limit < 0 ? STR(" limit 1)") : STR(")") : STR(") as q)"));
}

static bool put_spread(struct print *p, struct way *w, uint32_t above, members *m) {
    const struct query_embed *e = w->steps[w->count - 1];
    for (uint32_t i = 0; i < e->select.list_count; i++) {
        const struct query_item *it = &e->select.list[i];
        if (it->kind == QUERY_EMBED && it->embed->spread) {
            if (w->count == QUERY_EMBEDS_MAX)
                return query_fail(p->error, "54001", "embeds of more than %d levels", QUERY_EMBEDS_MAX);
            w->steps[w->count++] = it->embed;
            if (!put_spread(p, w, above, m)) return false;
            w->count--;
            continue;
        }
        w->item = it;
        if (m->n) PUT(p, ",");
        bool aggregates = it->kind == QUERY_AGGREGATE; /* of what its rows here have each */
        if (aggregates) begin_aggregate(p, it);
        if (!it->whole && !put_way(p, w, 0, above)) return false;
        if (aggregates && !end_aggregate(p, it)) return false;
        struct member mine = {it->name, way_is_json(w, 0), false};
        vec_push(p->out, m, mine);
        buf_printf(&p->sql, " as c%u", m->n);
    }
    return true;
}

#define OWN_ROW "_orlo_q" /* no column is called like it: it would be meant */

/* A column of the relation's by its own name, which is said as JSON as PostgreSQL says it. */
static bool is_own(const struct print *p, const struct query_item *it) {
    const struct query_field *f = &it->field;
    if (it->kind != QUERY_FIELD || f->steps_count || f->computed || !f->of || it->cast.n || !str_eq(it->name, f->of->name))
        return false;
    for (size_t i = 0; i < it->name.n; i++) { /* a name that JSON says as it is */
        uint8_t c = it->name.p[i];
        if (!(c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'))) return false;
    }
    return !catalog_cast_of(p->catalog, f->type, PG_JSON) && !str_eqc(it->name, OWN_ROW);
}

static bool put_list(struct print *p, const struct query_select *s, uint32_t alias, members *m) {
    for (uint32_t i = 0; i < s->list_count; i++) {
        const struct query_item *it = &s->list[i];
        if (query_is_silent(it)) continue;
        if (it->kind == QUERY_EMBED && it->embed->spread) {
            struct way w = {{it->embed}, 1, NULL};
            if (!put_spread(p, &w, alias, m)) return false;
            continue;
        }
        if (m->n) PUT(p, ",");
        if (it->kind == QUERY_EMBED ? !put_embed(p, it->embed, alias) : !put_item(p, it, alias)) return false;
        struct member mine = {it->name, it->kind == QUERY_EMBED, is_own(p, it)};
        vec_push(p->out, m, mine);
        buf_printf(&p->sql, " as c%u", m->n);
    }
    return m->n || PUT(p, "null as c0");
}

/* The text of a row of r.c1, r.c2 … */
static bool put_row(struct print *p, const members *m) {
    for (uint32_t i = 0; i < m->n; i++) {
        struct buf key = {0};
        if (i) PUT(p, "||");
        struct json_writer w = json_writer_of(&key);
        json_put_str(&w, NULL, m->p[i].name);
        put_text(p, arena_fmt(p->out, "%s" STR_FMT ":", i ? "," : "{", STR_ARG(buf_str(&key))));
        buf_free(&key);
        buf_printf(&p->sql, m->p[i].json ? "||coalesce(r.c%u,'null')" : "||coalesce(to_json(r.c%u)::text,'null')", i + 1);
    }
    return m->n ? PUT(p, "||'}'") : PUT(p, "'{}'");
}

/* ---- order, range ---- */

static bool put_order(struct print *p, const struct query_select *s, uint32_t alias) {
    for (uint32_t i = 0; i < s->order_count; i++) {
        const struct query_order *o = &s->order[i];
        buf_puts(&p->sql, i ? STR(", ") : STR(" order by "));
        uint32_t leaf = s->grouped ? query_leaf_of_order(s, o) : 0;
        if (leaf) buf_printf(&p->sql, "%u", leaf);
        else if (!o->to) put_field(p, alias, &o->field);
        else {
            uint32_t other = p->aliases++;
            PUT(p, "(select ");
            if (!put_field(p, other, &o->field) || !put_related(p, o->to, alias, other) || !PUT(p, " limit 1)")) return false;
        }
        if (o->descending) PUT(p, " desc");
        if (o->nulls) buf_puts(&p->sql, o->nulls == QUERY_NULLS_FIRST ? STR(" nulls first") : STR(" nulls last"));
    }
    return true;
}

enum { LIMITS_SAID = 100 };

/* Small limits stand in the text: without knowing them the planner takes a tenth of all rows to be wanted, so that no plan it might keep seems good enough, and
 * each list was planned anew. */
static bool put_range(struct print *p, const struct query_select *s) {
    if (s->limit >= 0 && s->limit <= LIMITS_SAID) PUT(p, " limit "), buf_u64(&p->sql, (uint64_t)s->limit);
    else if (s->limit >= 0) PUT(p, " limit "), put_number(p, s->limit);
    if (s->offset) PUT(p, " offset "), put_number(p, s->offset);
    return true;
}

static bool put_groups(struct print *p, const struct query_select *s) {
    struct query_leaves l = query_leaves_of(s);
    bool first = true;
    uint32_t n = 0;
    if (!s->grouped) return true;
    for (const struct query_item *it; (it = query_leaf_next(&l));) {
        n++;
        if (it->kind == QUERY_AGGREGATE) continue;
        buf_printf(&p->sql, "%s%u", first ? " group by " : ",", n);
        first = false;
    }
    return true;
}

static bool are_own(const members *m) {
    for (uint32_t i = 0; i < m->n; i++)
        if (!m->p[i].own) return false;
    return m->n > 0;
}

/* Rows whose members are all called as the catalogue calls them are made JSON at once: that costs PostgreSQL a fraction. */
static bool put_own(struct print *p, struct buf inner, const members *m) {
    p->sql = (struct buf){0};
    PUT(p, "select row_to_json(" OWN_ROW ")::text from (");
    buf_puts(&p->sql, buf_str(&inner));
    PUT(p, ") as " OWN_ROW "(");
    for (uint32_t i = 0; i < m->n; i++) {
        if (i) PUT(p, ",");
        query_put_name(&p->sql, m->p[i].name);
    }
    buf_free(&inner);
    return PUT(p, ")");
}

/* The row's text comes first in the statement, and what it is made of is known last. */
static bool put_around_and(struct print *p, struct buf inner, const members *m, const char *more) {
    if (!*more && are_own(m)) return put_own(p, inner, m);
    p->sql = (struct buf){0};
    bool ok = PUT(p, "select ") && put_row(p, m) && buf_puts(&p->sql, str_c(more)) && PUT(p, " from (") &&
              buf_puts(&p->sql, buf_str(&inner)) && PUT(p, ") as r");
    buf_free(&inner);
    return ok;
}

static bool put_around(struct print *p, struct buf inner, const members *m) { return put_around_and(p, inner, m, ""); }

/* ---- the form in which rows are told (media.c) ---- */

static void put_names(struct print *p, const members *m) {
    for (uint32_t i = 0; i < m->n; i++) {
        buf_printf(&p->sql, m->p[i].json ? "%sr.c%u::jsonb as " : "%sr.c%u as ", i ? "," : "", i + 1);
        query_put_name(&p->sql, m->p[i].name);
    }
}

/* (select r.c1 as "id", r.c2::json as "tasks" from (…) as r) as x: rows with the names that they are told by. */
static void put_named_rows(struct print *p, str inner, const members *m) {
    PUT(p, " from (select ");
    put_names(p, m);
    PUT(p, " from (");
    buf_puts(&p->sql, inner);
    PUT(p, ") as r) as x");
}

static void put_folded(struct print *p, str inner, const members *m, bool scalar) {
    const struct catalog_function *f = p->q->fold;
    const struct catalog_type *row = catalog_type_of(p->catalog, f->arguments.p[0].type);
    const struct catalog_relation *of = row && row->kind == CATALOG_ROW ? catalog_relation_of(p->catalog, row->relation) : NULL;
    buf_puts(&p->sql, p->q->hex ? STR("select encode((") : STR("select "));
    put_function(p, f->schema, f->name);
    PUT(p, "(x");
    if (scalar && m->n) PUT(p, "."), query_put_name(&p->sql, m->p[0].name);
    else if (of) PUT(p, "::"), put_relation(p, of);
    buf_puts(&p->sql, p->q->hex ? STR("))::bytea,'hex')") : STR(")::text"));
    PUT(p, ",count(*)");
    put_named_rows(p, inner, m);
}

/* tells: each row says whether it had been there, and its feature does not. */
static void put_geojson(struct print *p, str inner, const members *m, bool tells) {
    for (uint32_t i = 0; i < p->catalog->extensions.n; i++) {
        if (!str_eqc(p->catalog->extensions.p[i].name, "postgis")) continue;
        PUT(p, "select ");
        put_function(p, p->catalog->extensions.p[i].schema, STR("st_asgeojson"));
        buf_puts(&p->sql, tells ? STR("(x),r.u from (") : STR("(x)"));
    }
    if (!tells) {
        put_named_rows(p, inner, m);
        return;
    }
    buf_puts(&p->sql, inner);
    PUT(p, ") as r cross join lateral (select ");
    put_names(p, m);
    PUT(p, ") as x");
}

static void put_csv(struct print *p, str inner, const members *m, bool tells) {
    buf_puts(&p->sql, tells ? STR("select substr(t.x,2,length(t.x)-2),t.u from (select row(")
                            : STR("select substr(t.x,2,length(t.x)-2) from (select row("));
    for (uint32_t i = 0; i < m->n; i++) buf_printf(&p->sql, m->p[i].json ? "%sr.c%u::jsonb" : "%sr.c%u", i ? "," : "", i + 1);
    buf_puts(&p->sql, tells ? STR(")::text as x,r.u from (") : STR(")::text as x from ("));
    buf_puts(&p->sql, inner);
    PUT(p, ") as r) as t");
}

/* scalar: each row is one value. tells: it has a column u. */
static bool put_formed(struct print *p, struct buf inner, const members *m, bool scalar, bool tells) {
    str text = buf_str(&inner);
    bool bare = p->q->form == QUERY_FORM_BARE;
    bool rows = p->q->form == QUERY_FORM_ROWS || p->q->form == QUERY_FORM_PLAN;
    p->sql = (struct buf){0};
    if (rows && !scalar && !p->q->stripped) return put_around_and(p, inner, m, tells ? ",r.u" : "");
    if (rows && !scalar) {
        PUT(p, "select json_strip_nulls((");
        put_row(p, m);
        buf_puts(&p->sql, tells ? STR(")::json)::text,r.u from (") : STR(")::json)::text from ("));
    } else if (rows) PUT(p, "select coalesce(to_json(r.c1)::text,'null') from (");
    else if (bare)
        buf_puts(&p->sql, p->q->hex ? STR("select encode(r.c1::bytea,'hex') from (") : STR("select r.c1::text from ("));
    else if (p->q->form == QUERY_FORM_CSV) put_csv(p, text, m, tells);
    else if (p->q->form == QUERY_FORM_GEOJSON) put_geojson(p, text, m, tells);
    else put_folded(p, text, m, scalar);
    if (rows || bare) {
        buf_puts(&p->sql, text);
        PUT(p, ") as r");
    }
    buf_free(&inner);
    return true;
}

static bool put_row_select(struct print *p, const struct query_select *s, const struct query_embed *e, uint32_t above) {
    struct buf before = p->sql;
    members m = {0};
    uint32_t alias = p->aliases++;
    p->sql = (struct buf){0};
    bool ok = PUT(p, "select ") && put_list(p, s, alias, &m);
    if (ok && e) ok = put_related(p, e, above, alias);
    if (ok && !e) {
        PUT(p, " from ");
        put_relation(p, s->of);
        buf_printf(&p->sql, " as a%u", alias);
        ok = put_filter(p, s, alias);
    }
    ok = ok && (!e || put_inner(p, s, alias)) && put_groups(p, s) && put_order(p, s, alias) && put_range(p, s);
    ok = (e ? put_around(p, p->sql, &m) : put_formed(p, p->sql, &m, false, false)) && ok;
    buf_puts(&before, buf_str(&p->sql));
    buf_free(&p->sql);
    p->sql = before;
    return ok;
}

static bool put_count(struct print *p, const struct query_select *s) {
    uint32_t alias = p->aliases++;
    buf_puts(&p->sql, s->grouped ? STR("select count(*) from (select ") : STR("select count(*) from "));
    members m = {0};
    if (s->grouped && (!put_list(p, s, alias, &m) || !PUT(p, " from "))) return false;
    put_relation(p, s->of);
    buf_printf(&p->sql, " as a%u", alias);
    return put_filter(p, s, alias) && put_groups(p, s) && (!s->grouped || PUT(p, ") as q"));
}

/* Within its range. */
static bool put_rows_count(struct print *p, const struct query_select *s) {
    uint32_t alias = p->aliases++;
    members m = {0};
    PUT(p, "select count(*) from (select ");
    if (s->grouped ? !put_list(p, s, alias, &m) : !PUT(p, "1")) return false;
    PUT(p, " from ");
    put_relation(p, s->of);
    buf_printf(&p->sql, " as a%u", alias);
    return put_filter(p, s, alias) && put_groups(p, s) && put_range(p, s) && PUT(p, ") as q");
}

/* ---- writes ---- */

static bool put_values(struct print *p) {
    const struct query *q = p->q;
    PUT(p, " (");
    for (uint32_t i = 0; i < q->columns_count; i++) {
        if (i) PUT(p, ",");
        query_put_name(&p->sql, q->targets[i]->name);
    }
    PUT(p, ") values ");
    for (uint32_t row = 0; row < q->cells_count; row++) {
        buf_puts(&p->sql, row ? STR(",(") : STR("("));
        for (uint32_t i = 0; i < q->columns_count; i++) {
            if (i) PUT(p, ",");
            if (!q->cells[row].there[i]) PUT(p, "default");
            else put_read(p, PG_JSON, q->targets[i]->type, &q->cells[row].cells[i]);
        }
        PUT(p, ")");
    }
    return true;
}

static bool tells_updates(const struct print *p);

static bool put_conflict(struct print *p) {
    const struct query *q = p->q;
    if (!q->conflict) return true;
    PUT(p, " on conflict");
    for (uint32_t i = 0; i < q->conflict_count; i++) {
        buf_puts(&p->sql, i ? STR(",") : STR(" ("));
        query_put_name(&p->sql, q->arbiter[i]->name);
    }
    if (q->conflict_count) PUT(p, ")");
    if (q->conflict == QUERY_CONFLICT_IGNORE || !q->columns_count) return PUT(p, " do nothing");
    for (uint32_t i = 0; i < q->columns_count; i++) {
        buf_puts(&p->sql, i ? STR(",") : STR(" do update set "));
        query_put_name(&p->sql, q->targets[i]->name);
        PUT(p, "=excluded.");
        query_put_name(&p->sql, q->targets[i]->name);
    }
    if (q->select.of->partitioned && tells_updates(p))
        PUT(p, " where set_config('orlo.updated', (coalesce(nullif(current_setting('orlo.updated', true), ''), '0')::int + "
               "1)::text, true) <> ''");
    return true;
}

/* Of an upsert: is it told of each row whether it had been there? Who may not read the table may not read that of it. */
static bool tells_updates(const struct print *p) {
    const struct query *q = p->q;
    return q->kind == QUERY_INSERT && q->conflict == QUERY_CONFLICT_MERGE && q->cells_count && q->columns_count &&
           q->select.of->kind == CATALOG_TABLE && catalog_may_relation(p->catalog, q->role, q->select.of, CATALOG_SELECT);
}

/* Do the list, an embed's key or the order name it? */
static bool is_named(const struct query_select *s, const struct catalog_column *c) {
    for (uint32_t i = 0; i < s->list_count; i++) {
        const struct query_item *it = &s->list[i];
        const struct query_embed *e = it->embed;
        if (e && e->key &&
            catalog_ids_have(e->cardinality == QUERY_TO_ONE ? &e->key->columns : &e->key->reference_columns, c->number))
            return true;
        if (!e && !it->whole && it->field.of == c) return true; /* of what is computed it is no column of the relation */
    }
    for (uint32_t i = 0; i < s->order_count; i++)
        if (!s->order[i].to && s->order[i].field.of == c) return true;
    return false;
}

/* Does what comes back need whole rows, for functions of them? */
static bool computes(const struct query_select *s) {
    for (uint32_t i = 0; i < s->list_count; i++) {
        const struct query_item *it = &s->list[i];
        if (it->embed ? it->embed->computed != NULL : !it->whole && it->field.computed) return true;
    }
    for (uint32_t i = 0; i < s->order_count; i++)
        if (s->order[i].to ? s->order[i].to->computed : s->order[i].field.computed) return true;
    return false;
}

/* The columns that the list, the embeds and the order need, and those that the role may read: of one that it may not, PostgreSQL is to say so. */
static bool put_returning(struct print *p, uint32_t alias) {
    const struct query_select *s = &p->q->select;
    uint32_t n = 0;
    bool tells = tells_updates(p);
    if (!s->has_items && !tells) return true;
    PUT(p, " returning ");
    if (tells) {
        if (p->q->select.of->partitioned) PUT(p, "null::bool as \"_orlo_u\"");
        else buf_printf(&p->sql, "a%u.xmax <> 0 as \"_orlo_u\"", alias);
        n++;
    }
    if (!s->has_items) return true;
    if (computes(s)) buf_printf(&p->sql, "%sa%u as \"_orlo_r\"", n++ ? "," : "", alias);
    for (uint32_t i = 0; i < s->of->columns.n; i++) {
        const struct catalog_column *c = &s->of->columns.p[i];
        if (!is_named(s, c) && !catalog_may_relation(p->catalog, p->q->role, s->of, CATALOG_SELECT) &&
            !catalog_may_column(p->catalog, p->q->role, s->of, c, CATALOG_SELECT))
            continue;
        if (n++) PUT(p, ",");
        put_column(p, alias, c);
    }
    return n || PUT(p, "1");
}

static bool put_write_alone(struct print *p);

/* Had a row been there? Of a partitioned table rows do not say so: how many were is counted on the way (put_conflict), and said of as many, once all are there. */
static void put_updated(struct print *p, uint32_t alias) {
    if (!p->q->select.of->partitioned) buf_printf(&p->sql, "a%u.\"_orlo_u\"", alias);
    else /* the last one takes the count back: the next statement begins from none */
        PUT(p, "case when row_number() over () < count(*) over () then row_number() over () <= "
               "coalesce(nullif(current_setting('orlo.updated', true), ''), '0')::int "
               "when row_number() over () <= coalesce(nullif(current_setting('orlo.updated', true), ''), '0')::int "
               "then set_config('orlo.updated', '', true) = '' else set_config('orlo.updated', '', true) <> '' end");
}

/* with w as (insert … returning …) select the rows' text from w */
static bool put_write(struct print *p) {
    const struct query *q = p->q;
    const struct query_select *s = &q->select;
    bool nothing = q->kind == QUERY_UPDATE ? !q->columns_count : q->kind == QUERY_INSERT && !q->cells_count;
    if (nothing) return PUT(p, "select null::text where false");
    if (!s->has_items && !tells_updates(p)) return put_write_alone(p);
    if (!s->has_items) {
        if (!PUT(p, "with w as (") || !put_write_alone(p) || !PUT(p, ") select null::text, ")) return false;
        uint32_t all = p->aliases++;
        put_updated(p, all);
        return buf_printf(&p->sql, " from w as a%u", all);
    }
    members m = {0};
    PUT(p, "with w as (");
    if (!put_write_alone(p)) return false;
    PUT(p, ") ");
    struct buf before = p->sql;
    uint32_t alias = p->written = p->aliases++;
    p->sql = (struct buf){0};
    bool ok = PUT(p, "select ") && put_list(p, s, alias, &m), tells = tells_updates(p) && !s->grouped;
    if (tells) PUT(p, ","), put_updated(p, alias), PUT(p, " as u");
    buf_printf(&p->sql, " from w as a%u where true", alias);
    ok = ok && put_inner(p, s, alias) && put_groups(p, s) && put_order(p, s, alias);
    ok = put_formed(p, p->sql, &m, false, tells) && ok;
    buf_puts(&before, buf_str(&p->sql));
    buf_free(&p->sql);
    p->sql = before;
    return ok;
}

static bool put_write_alone(struct print *p) {
    const struct query *q = p->q;
    static const char *const verbs[] = {
        [QUERY_INSERT] = "insert into ", [QUERY_UPDATE] = "update ", [QUERY_DELETE] = "delete from "};
    uint32_t alias = p->aliases++;
    if (q->kind == QUERY_UPDATE && !q->columns_count)
        return PUT(p, "select null::text where false"); /* nothing is set of no row */
    buf_puts(&p->sql, str_c(verbs[q->kind]));
    put_relation(p, q->select.of);
    buf_printf(&p->sql, " as a%u", alias);
    if (q->kind == QUERY_INSERT) {
        if (q->columns_count) put_values(p);
        else PUT(p, " default values");
        return put_conflict(p) && put_returning(p, alias);
    }
    for (uint32_t i = 0; q->kind == QUERY_UPDATE && i < q->columns_count; i++) {
        buf_puts(&p->sql, i ? STR(",") : STR(" set "));
        query_put_name(&p->sql, q->targets[i]->name);
        PUT(p, "=");
        if (q->cells[0].there[i]) put_read(p, PG_JSON, q->targets[i]->type, &q->cells[0].cells[i]);
        else PUT(p, "default");
    }
    if (q->select.where) {
        PUT(p, " where ");
        if (!put_where(p, q->select.where, alias)) return false;
    }
    return put_returning(p, alias);
}

/* ---- calls ---- */

/* A row that came as JSON is made one of its type; PostgreSQL's own text for rows is another. */
static bool put_argument(struct print *p, uint32_t type, const struct query_bound *b) {
    const struct catalog_type *t = type >= PG_OWN_MIN ? catalog_type_of(p->catalog, type) : NULL;
    bool row = t && (t->kind == CATALOG_COMPOSITE || t->kind == CATALOG_ROW) && !b->null && b->text.n;
    if (!row || b->text.p[0] != (t->id == type ? '{' : '[')) return put_value(p, b);
    buf_puts(&p->sql, t->id == type ? STR("jsonb_populate_record(null::") : STR("array(select jsonb_populate_recordset(null::"));
    put_type(p, t->id);
    PUT(p, ", ");
    put_value(p, b);
    return buf_puts(&p->sql, t->id == type ? STR("::jsonb)") : STR("::jsonb))"));
}

static bool put_called(struct print *p) {
    const struct query *q = p->q;
    const struct catalog_function *f = q->function;
    uint32_t given = 0;
    put_called_name(p, f);
    PUT(p, "(");
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (!q->arguments_there[i] || a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN) continue;
        if (given++) PUT(p, ",");
        if (a->mode == CATALOG_VARIADIC) PUT(p, "variadic ");
        if (a->name.n) {
            query_put_name(&p->sql, a->name);
            PUT(p, " => ");
        }
        put_argument(p, a->type, &q->arguments[i]);
        const struct pg_type *t = a->name.n ? NULL : pg_type_by_id(a->type);
        if (!t) continue;
        PUT(p, "::pg_catalog."); /* which of several of that name is known by nothing else */
        query_put_name(&p->sql, str_c(t->name));
    }
    return PUT(p, ")");
}

static bool put_from_call(struct print *p, uint32_t alias) {
    const struct query_select *s = &p->q->select;
    PUT(p, " from ");
    put_called(p);
    buf_printf(&p->sql, " as a%u", alias);
    for (uint32_t i = 0; !p->q->gives && i < s->of->columns.n; i++) {
        buf_puts(&p->sql, i ? STR(",") : STR("("));
        query_put_name(&p->sql, s->of->columns.p[i].name);
    }
    if (s->of->columns.n && !p->q->gives) PUT(p, ")");
    return put_filter(p, s, alias);
}

static bool put_call(struct print *p) {
    const struct query *q = p->q;
    const struct catalog_function *f = q->function;
    const struct query_select *s = &q->select;
    uint32_t alias = p->aliases++;
    bool scalar = s->of->columns.n == 1 && !f->columns.p[0].name.n;
    members m = {0};
    if (!f->columns.n) { /* what it gives is not known here */
        PUT(p, "select coalesce(to_json(r.x)::text,'null') from (select ");
        return put_called(p) && PUT(p, " as x) as r");
    }
    PUT(p, "select ");
    if (!put_list(p, s, alias, &m)) return false;
    bool ok = put_from_call(p, alias) && put_groups(p, s) && put_order(p, s, alias) && put_range(p, s);
    return put_formed(p, p->sql, &m, scalar, false) && ok;
}

/* How many rows there are without a range. What writes is not called twice. */
static bool put_call_count(struct print *p) {
    uint32_t alias = p->aliases++;
    PUT(p, "select count(*)");
    return put_from_call(p, alias);
}

/* How many rows there are, as the planner guesses. */
static bool put_planned(struct print *p, const struct query_select *s) {
    uint32_t alias = p->aliases++;
    PUT(p, "explain (format json) select 1 from ");
    put_relation(p, s->of);
    buf_printf(&p->sql, " as a%u", alias);
    return put_filter(p, s, alias);
}

/* Of an estimated count: so many, and one more, are counted. */
static bool put_estimated(struct print *p, const struct query_select *s, int64_t most) {
    uint32_t alias = p->aliases++;
    PUT(p, "select count(*) from (select 1 from ");
    put_relation(p, s->of);
    buf_printf(&p->sql, " as a%u", alias);
    return put_filter(p, s, alias) && PUT(p, " limit ") && put_number(p, most + 1) && PUT(p, ") as q");
}

/* ---- who may be told what the planner expects: it knows of rows that a policy hides, and that a view leaves out ---- */

enum { VIEWS_DEEP = 8 };

/* A view does, where each table that it is of could be read as well, and shows all. */
static bool reads_all(const struct print *p, const struct catalog_relation *of, uint32_t depth) {
    if (of->rls) return false;
    for (uint32_t i = 0; of->kind == CATALOG_VIEW && i < of->depends.n; i++) {
        const struct catalog_relation *r = catalog_relation_of(p->catalog, of->depends.p[i]);
        if (!r || depth == VIEWS_DEEP || !catalog_may_relation(p->catalog, p->q->role, r, CATALOG_SELECT) ||
            !reads_all(p, r, depth + 1))
            return false;
    }
    return of->kind != CATALOG_VIEW || of->depends.n;
}

static bool shows_all(const struct print *p, const struct catalog_relation *of) {
    const struct catalog_role *role = catalog_role_of(p->catalog, p->q->role);
    return (role && (role->superuser || role->bypass_rls)) || reads_all(p, of, 0);
}

static bool shows_all_below(const struct print *p, const struct query_select *s);

static bool embeds_all(const struct print *p, const struct query_embed *e) {
    return (!e->junction || shows_all(p, e->junction)) && shows_all(p, e->select.of) && shows_all_below(p, &e->select);
}

static bool tests_all(const struct print *p, const struct query_where *w) {
    if (w->kind == QUERY_HAS) return embeds_all(p, w->to);
    for (uint32_t i = 0; w->kind != QUERY_TEST && i < w->parts_count; i++)
        if (!tests_all(p, &w->parts[i])) return false;
    return true;
}

/* Of what is asked for, and of all that decides which rows those are. */
static bool shows_all_below(const struct print *p, const struct query_select *s) {
    for (uint32_t i = 0; i < s->list_count; i++) {
        const struct query_embed *e = s->list[i].embed;
        if (e && e->join == QUERY_INNER && !embeds_all(p, e)) return false;
    }
    return !s->where || tests_all(p, s->where);
}

static bool is_counted(const struct query *q) {
    if (!q->count || q->explain) return false;
    if (q->kind == QUERY_SELECT) return q->count != QUERY_COUNT_EXACT || q->select.limit >= 0 || q->select.offset;
    if (q->count == QUERY_COUNT_PLANNED) return false;
    return q->kind == QUERY_CALL && q->function->set && q->function->columns.n && (q->select.limit >= 0 || q->select.offset) &&
           (q->reads_only || q->function->volatility != CATALOG_IS_VOLATILE);
}

/* ---- around the trees of a batch ---- */

const str query_ask_said =
    STR_INIT("select pg_catalog.current_setting('response.headers', true), pg_catalog.current_setting('response.status', true)");

const str query_ask_constraints = STR_INIT("set constraints all immediate");

static bool put_setting(struct print *p, const char *name, str value) {
    struct query_bound b = {.text = value};
    buf_printf(&p->sql, "%spg_catalog.set_config('%s', ", p->sql.n ? ", " : "", name);
    return put_value(p, &b) && PUT(p, ", true)");
}

static str end_text(struct print *p);

void query_print_settings(arena *out, const struct pg_session *s, const struct query_batch *b, struct query_text *text) {
    struct print p = {.out = out};
    put_setting(&p, "request.jwt.claims", s->claims);
    put_setting(&p, "request.headers", s->headers);
    put_setting(&p, "request.cookies", s->cookies);
    put_setting(&p, "request.method", s->method);
    put_setting(&p, "request.path", s->path);
    if (b->counted && !b->silent) { /* what a function said for all that the connection asks is no answer to this */
        put_setting(&p, "response.headers", (str){0});
        put_setting(&p, "response.status", (str){0});
    }
    if (b->time_zone.n) put_setting(&p, "timezone", b->time_zone);
    if (b->search.n && b->count && b->queries[0].select.schema.n) {
        struct buf path = {0};
        query_put_name(&path, b->queries[0].select.schema);
        buf_puts(&path, STR(", "));
        buf_puts(&path, b->search);
        put_setting(&p, "search_path", arena_str(out, buf_str(&path)));
        buf_free(&path);
    }
    put_setting(&p, "role", s->role);
    *text = (struct query_text){.text = end_text(&p), .values = p.values.p, .values_count = p.values.n};
}

bool query_print_before(arena *out, const struct query_batch *b, struct query_text *text) {
    struct print p = {.out = out};
    str schema, name;
    *text = (struct query_text){0};
    if (!b->before.n) return false;
    PUT(&p, "select ");
    if (str_cut(b->before, '.', &schema, &name)) {
        query_put_name(&p.sql, schema);
        PUT(&p, ".");
    } else name = b->before;
    query_put_name(&p.sql, name);
    PUT(&p, "()");
    text->text = end_text(&p);
    return true;
}

/* ---- the whole ---- */

static str end_text(struct print *p) {
    str s = arena_str(p->out, buf_str(&p->sql));
    buf_free(&p->sql);
    p->sql = (struct buf){0};
    return s;
}

/* It is known here; that the server says it again keeps all that is asked one thing. */
static bool put_description(struct print *p, struct query_text *text) {
    struct buf b = {0};
    query_describe(p->catalog, p->types, p->q, &b);
    put_text(p, arena_str(p->out, (PUT(p, "select "), buf_str(&b))));
    buf_free(&b);
    *text = (struct query_text){.text = end_text(p), .values = p->values.p, .values_count = p->values.n, .answers = true};
    return true;
}

static str explained(arena *out, const struct query *q, str text) {
    static const char *const options[] = {
#define X(id, name) name,
        QUERY_EXPLAIN_OPTIONS(X)
#undef X
    };
    struct buf b = {0};
    buf_printf(&b, "explain (format %s", q->explain == QUERY_EXPLAIN_JSON ? "json" : "text");
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        if (q->explain_options & 1u << i) buf_printf(&b, ", %s", options[i]);
    buf_puts(&b, STR(") "));
    buf_puts(&b, text);
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}

bool query_print_rows(arena *out, const struct catalog *c, const struct pg_session *session, const struct query *q,
                      struct query_text *text, struct pg_error *error) {
    struct print p = {.out = out, .catalog = c, .types = session->types, .q = q, .error = error};
    bool ok = put_rows_count(&p, &q->select);
    *text = (struct query_text){.text = end_text(&p), .values = p.values.p, .values_count = p.values.n};
    return ok;
}

bool query_print_postgres(arena *out, const struct catalog *c, const struct pg_session *session, const struct query *q,
                          struct query_text *text, struct pg_error *error) {
    struct print p = {.out = out, .catalog = c, .types = session->types, .q = q, .error = error};
    *text = (struct query_text){0};
    if (q->kind == QUERY_DESCRIBE) return put_description(&p, text);
    bool ok = q->kind == QUERY_SELECT ? put_row_select(&p, &q->select, NULL, 0)
              : q->kind == QUERY_CALL ? put_call(&p)
                                      : put_write(&p);
    bool told = q->form != QUERY_FORM_FOLDED && q->form != QUERY_FORM_PLAN;
    text->updates = tells_updates(&p) && !q->select.grouped && told;
    text->text = end_text(&p);
    if (q->explain) text->text = explained(out, q, text->text);
    text->values = p.values.p;
    text->values_count = p.values.n;
    text->answers = q->explain || q->kind == QUERY_SELECT || q->select.has_items ||
                    (q->kind == QUERY_CALL && q->function->returns != PG_VOID);
    if (ok && p.values.n > QUERY_PARAMS_MAX * 2)
        return query_fail(error, "54023", "a statement has at most %d values", QUERY_PARAMS_MAX * 2);
    if (!ok || !is_counted(q)) return ok;
    p.values.p = NULL, p.values.n = p.values.cap = 0;
    bool planned = q->kind == QUERY_SELECT && q->count != QUERY_COUNT_EXACT && !q->select.grouped &&
                   shows_all(&p, q->select.of) && shows_all_below(&p, &q->select); /* else they are counted */
    bool some = planned && q->count == QUERY_COUNT_ESTIMATED && q->count_most;
    if (!planned || q->count == QUERY_COUNT_ESTIMATED) {
        ok = q->kind == QUERY_CALL ? put_call_count(&p)
             : some                ? put_estimated(&p, &q->select, q->count_most)
                                   : put_count(&p, &q->select);
        text->count = end_text(&p);
        text->count_values = p.values.p;
        text->count_values_count = p.values.n;
    }
    if (!ok || !planned) return ok;
    p.values.p = NULL, p.values.n = p.values.cap = 0;
    ok = put_planned(&p, &q->select);
    text->planned = end_text(&p);
    text->planned_values = p.values.p;
    text->planned_values_count = p.values.n;
    return ok;
}
