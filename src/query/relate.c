/* relate: what an embed means: the foreign key that leads from one relation to another, as PostgREST finds it.
 *
 *   target    the other relation, or a key's name, or a key's only column (then it is the parent)
 *   hint      a key's name, a column at either end, or the junction's name
 *
 *   from.key -> to       to one: an object or null                       to.key -> from        to many: an array; to one where the key is unique
 *   junction.key -> from, junction.second -> to                          to many, where both keys are of the junction's primary key
 *
 * None: PGRST200, more than one: PGRST201 with all of them. Guesses name only what the role has a right on.
 */
#include "query/query_int.h"
#include <stdio.h>

struct candidate {
    enum query_cardinality cardinality;
    bool one;
    const struct catalog_constraint *key, *second;
    const struct catalog_relation *junction, *to;
    bool unique; /* the key's columns are, where they are held */
};
typedef VEC(struct candidate) candidates;

/* ---- relations ---- */

static bool query_may_see(const struct query_resolving *r, const struct catalog_relation *of) {
    static const uint32_t any[] = {CATALOG_SELECT, CATALOG_INSERT, CATALOG_UPDATE, CATALOG_DELETE};
    for (size_t i = 0; i < ARRAY_COUNT(any); i++)
        if (catalog_may_relation(r->catalog, r->role, of, any[i])) return true;
    for (uint32_t i = 0; i < of->columns.n; i++)
        if (catalog_may_column(r->catalog, r->role, of, &of->columns.p[i], CATALOG_SELECT)) return true;
    return false;
}

static str schema_name(const struct query_resolving *r, const struct catalog_relation *of) {
    const struct catalog_schema *s = catalog_schema_of(r->catalog, of->schema);
    return s ? s->name : (str){0};
}

/* The relation of the schema that is called most alike, of those that the role knows. */
static str nearest_relation(struct query_resolving *r, str schema, str name) {
    str best = {0};
    uint32_t most = 74;
    for (uint32_t i = 0; i < r->catalog->relations.n; i++) {
        const struct catalog_relation *of = &r->catalog->relations.p[i];
        if (!str_eq(schema_name(r, of), schema) || !query_may_see(r, of)) continue;
        uint32_t l = query_likeness(of->name, name);
        if (l > most) most = l, best = of->name;
    }
    return best;
}

const struct catalog_relation *query_relation_find(struct query_resolving *r, str schema, str name) {
    const struct catalog_relation *of = catalog_relation_named(r->catalog, schema, name);
    if (of) return of;
    query_fail(r->error, "PGRST205", "Could not find the table '" STR_FMT "." STR_FMT "' in the schema cache", STR_ARG(schema),
               STR_ARG(name));
    str near = nearest_relation(r, schema, name);
    if (near.n)
        query_fail_hint(r->error, "Perhaps you meant the table '" STR_FMT "." STR_FMT "'", STR_ARG(schema), STR_ARG(near));
    return NULL;
}

/* ---- keys ---- */

static bool same_columns(const catalog_ids *a, const catalog_ids *b) {
    if (a->n != b->n) return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!catalog_ids_have(b, a->p[i])) return false;
    return true;
}

/* No two rows have the same of these columns. */
static bool is_unique(const struct catalog_relation *of, const catalog_ids *columns) {
    for (uint32_t i = 0; i < of->constraints.n; i++) {
        const struct catalog_constraint *k = &of->constraints.p[i];
        if ((k->kind == CATALOG_PRIMARY || k->kind == CATALOG_UNIQUE) && same_columns(&k->columns, columns)) return true;
    }
    for (uint32_t i = 0; i < of->indexes.n; i++) {
        const struct catalog_index *x = &of->indexes.p[i];
        if (!x->unique || x->where.source.n || x->keys.n != columns->n) continue;
        bool all = true;
        for (uint32_t k = 0; k < x->keys.n; k++) all &= x->keys.p[k].column && catalog_ids_have(columns, x->keys.p[k].column);
        if (all) return true;
    }
    return false;
}

static bool has_column(const struct catalog_relation *of, const catalog_ids *columns, str name) {
    const struct catalog_column *c = columns->n == 1 ? catalog_column_named(of, name) : NULL;
    return c && c->number == columns->p[0];
}

static bool in_primary(const struct catalog_relation *of, const catalog_ids *columns) {
    const struct catalog_constraint *p = catalog_primary_key(of);
    for (uint32_t i = 0; p && i < columns->n; i++)
        if (!catalog_ids_have(&p->columns, columns->p[i])) return false;
    return p != NULL;
}

/* ---- finding ---- */

static bool hinted(const struct query_embed *e, const struct catalog_relation *holder, const struct catalog_constraint *key,
                   const struct catalog_relation *held) {
    return !e->hint.n || str_eq(e->hint, key->name) || has_column(holder, &key->columns, e->hint) ||
           has_column(held, &key->reference_columns, e->hint);
}

/* The numbers that a relation has for columns of a table: its own, or those of a view's columns that are they. False: it lacks one. */
static bool mapped(struct query_resolving *r, const struct catalog_relation *of, const struct catalog_relation *table,
                   const catalog_ids *columns, catalog_ids *to) {
    if (of == table) return *to = *columns, true;
    *to = (catalog_ids){0};
    if (of->kind == CATALOG_TABLE) return false;
    for (uint32_t i = 0; i < columns->n; i++) {
        uint32_t found = 0;
        for (uint32_t k = 0; k < of->columns.n && !found; k++)
            if (of->columns.p[k].from == table->id && of->columns.p[k].from_number == columns->p[i])
                found = of->columns.p[k].number;
        if (!found) return false;
        vec_push(r->out, to, found);
    }
    return columns->n > 0;
}

/* A key between two relations, each of which may be a view of its table: with their own columns. NULL: there is none. */
static const struct catalog_constraint *key_between(struct query_resolving *r, const struct catalog_edge *g,
                                                    const struct catalog_relation *holder, const struct catalog_relation *held) {
    catalog_ids columns, reference;
    if (!mapped(r, holder, g->from, &g->key->columns, &columns) ||
        !mapped(r, held, g->to, &g->key->reference_columns, &reference))
        return NULL;
    if (holder == g->from && held == g->to) return g->key;
    struct catalog_constraint *k = arena_make(r->out, struct catalog_constraint);
    *k = *g->key;
    k->columns = columns;
    k->reference_columns = reference;
    return k;
}

struct searching {
    struct query_resolving *r;
    const struct catalog_relation *from, *named; /* named: what is called like the target, in from's schema; may be NULL */
    const struct query_embed *e;
    candidates *all;
};

static bool same_schema(const struct searching *s, const struct catalog_relation *of) { return of->schema == s->from->schema; }

static void add_candidate(struct searching *s, struct candidate c) { vec_push(s->r->out, s->all, c); }

/* from holds the key. */
static void try_parent(struct searching *s, const struct catalog_edge *g) {
    const struct query_embed *e = s->e;
    const struct catalog_constraint *key = s->named ? key_between(s->r, g, s->from, s->named) : NULL;
    bool self = s->named == s->from, one = is_unique(g->from, &g->key->columns);
    if (key && !self && hinted(e, s->from, key, s->named))
        add_candidate(s, (struct candidate){QUERY_TO_ONE, true, key, NULL, NULL, s->named, one});
    if (e->hint.n || !same_schema(s, g->to)) return;
    key = key_between(s->r, g, s->from, g->to);
    if (key && (str_eq(key->name, e->target) || has_column(s->from, &key->columns, e->target)) && g->to != s->named)
        add_candidate(s, (struct candidate){QUERY_TO_ONE, true, key, NULL, NULL, g->to, one});
}

/* to holds the key. */
static void try_children(struct searching *s, const struct catalog_edge *g) {
    const struct query_embed *e = s->e;
    const struct catalog_constraint *key = s->named ? key_between(s->r, g, s->named, s->from) : NULL;
    bool self = s->named == s->from, one = is_unique(g->from, &g->key->columns);
    if (key && (self ? !e->hint.n || has_column(s->named, &key->columns, e->hint) : hinted(e, s->named, key, s->from)))
        add_candidate(s, (struct candidate){QUERY_TO_MANY, one, key, NULL, NULL, s->named, one});
    if (e->hint.n || !same_schema(s, g->from) || g->from == s->named) return;
    key = key_between(s->r, g, g->from, s->from);
    if (key && g->from != s->from && str_eq(key->name, e->target))
        add_candidate(s, (struct candidate){QUERY_TO_MANY, one, key, NULL, NULL, g->from, one});
}

/* A third relation holds a key to each. */
static void try_junction(struct searching *s, const struct catalog_edge *g) {
    struct catalog_edge other = {0};
    const struct catalog_relation *j = g->from;
    const struct query_embed *e = s->e;
    const struct catalog_constraint *key = key_between(s->r, g, j, s->from);
    if (!key || !s->named || !same_schema(s, j) || !in_primary(j, &g->key->columns)) return;
    while (catalog_edge_next(s->r->catalog, j->id, &other)) {
        const struct catalog_constraint *second = other.from == j && other.key != g->key && in_primary(j, &other.key->columns)
                                                      ? key_between(s->r, &other, j, s->named)
                                                      : NULL;
        if (!second || (e->hint.n && !str_eq(e->hint, j->name) && !str_eq(e->hint, key->name) && !str_eq(e->hint, second->name)))
            continue;
        add_candidate(s, (struct candidate){QUERY_THROUGH, false, key, second, j, s->named, false});
    }
}

/* Each key of each table that from is, or that its columns are of. */
static void find(struct query_resolving *r, const struct catalog_relation *from, const struct query_embed *e, candidates *all) {
    struct searching s = {r, from, catalog_relation_named(r->catalog, schema_name(r, from), e->target), e, all};
    catalog_ids tables = {0};
    if (from->kind == CATALOG_TABLE) vec_push(r->out, &tables, from->id);
    for (uint32_t i = 0; from->kind != CATALOG_TABLE && i < from->columns.n; i++)
        if (from->columns.p[i].from && !catalog_ids_have(&tables, from->columns.p[i].from))
            vec_push(r->out, &tables, from->columns.p[i].from);
    for (uint32_t i = 0; i < tables.n; i++) {
        struct catalog_edge g = {0};
        while (catalog_edge_next(r->catalog, tables.p[i], &g)) {
            if (g.from->id == tables.p[i]) try_parent(&s, &g);
            if (g.to->id == tables.p[i]) try_children(&s, &g), try_junction(&s, &g);
        }
    }
}

/* ---- failing ---- */

static bool none_found(struct query_resolving *r, const struct catalog_relation *from, const struct query_embed *e) {
    VEC(const char *) names = {0};
    struct catalog_edge g = {0};
    str schema = schema_name(r, from);
    query_fail(r->error, "PGRST200", "Could not find a relationship between '" STR_FMT "' and '" STR_FMT "' in the schema cache",
               STR_ARG(from->name), STR_ARG(e->target));
    if (e->hint.n)
        query_fail_detail(r->error,
                          "Searched for a foreign key relationship between '" STR_FMT "' and '" STR_FMT
                          "' using the hint '" STR_FMT "' in the schema '" STR_FMT "', but no matches were found.",
                          STR_ARG(from->name), STR_ARG(e->target), STR_ARG(e->hint), STR_ARG(schema));
    else
        query_fail_detail(r->error,
                          "Searched for a foreign key relationship between '" STR_FMT "' and '" STR_FMT
                          "' in the schema '" STR_FMT "', but no matches were found.",
                          STR_ARG(from->name), STR_ARG(e->target), STR_ARG(schema));
    while (catalog_edge_next(r->catalog, from->id, &g)) {
        const struct catalog_relation *other = g.from == from ? g.to : g.from;
        if (query_may_see(r, other)) vec_push(r->out, &names, arena_cstr(r->out, other->name));
    }
    const char *near = text_nearest(arena_cstr(r->out, e->target), names.p, names.n);
    if (near && !str_eqc(e->target, near))
        query_fail_hint(r->error, "Perhaps you meant '%s' instead of '" STR_FMT "'.", near, STR_ARG(e->target));
    return false;
}

static void column_list(struct buf *b, const struct catalog_relation *of, const catalog_ids *columns) {
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(of, columns->p[i]);
        buf_printf(b, "%s" STR_FMT, i ? ", " : "", STR_ARG(c ? c->name : (str){0}));
    }
}

static const struct catalog_relation *holder_of(const struct candidate *c, const struct catalog_relation *from) {
    return c->cardinality == QUERY_TO_ONE ? from : c->to;
}

/* key using a(b) and c(d), as PostgREST says it */
static void relationship_text(struct buf *b, const struct candidate *c, const struct catalog_relation *from) {
    const struct catalog_relation *h = holder_of(c, from), *other = h == from ? c->to : from;
    if (c->cardinality == QUERY_THROUGH) {
        buf_printf(b, STR_FMT " using " STR_FMT "(", STR_ARG(c->junction->name), STR_ARG(c->key->name));
        column_list(b, c->junction, &c->key->columns);
        buf_printf(b, ") and " STR_FMT "(", STR_ARG(c->second->name));
        column_list(b, c->junction, &c->second->columns);
    } else {
        bool parent = c->cardinality == QUERY_TO_ONE;
        buf_printf(b, STR_FMT " using " STR_FMT "(", STR_ARG(c->key->name), STR_ARG(from->name));
        column_list(b, from, parent ? &c->key->columns : &c->key->reference_columns);
        buf_printf(b, ") and " STR_FMT "(", STR_ARG(c->to->name));
        column_list(b, c->to, parent ? &c->key->reference_columns : &c->key->columns);
    }
    buf_putc(b, ')');
    (void)other;
}

static const char *cardinality_name(const struct candidate *c) {
    if (c->cardinality == QUERY_THROUGH) return "many-to-many";
    if (c->cardinality == QUERY_TO_ONE) return c->unique ? "one-to-one" : "many-to-one";
    return c->one ? "one-to-one" : "one-to-many";
}

static bool several_found(struct query_resolving *r, const struct catalog_relation *from, const struct query_embed *e,
                          const candidates *all) {
    struct buf details = {0}, hint = {0}, one = {0};
    query_fail(r->error, "PGRST201",
               "Could not embed because more than one relationship was found for '" STR_FMT "' and '" STR_FMT "'",
               STR_ARG(from->name), STR_ARG(e->target));
    struct json_writer w = json_writer_of(&details);
    json_put_array(&w, NULL);
    for (uint32_t i = 0; i < all->n; i++) {
        const struct candidate *c = &all->p[i];
        one.n = 0;
        relationship_text(&one, c, from);
        if (details.n + one.n + from->name.n + c->to->name.n + 100 > sizeof r->error->detail) break;
        json_put_object(&w, NULL);
        json_put_cstr(&w, "cardinality", cardinality_name(c));
        json_put_str(&w, "embedding", arena_fmt(r->out, STR_FMT " with " STR_FMT, STR_ARG(from->name), STR_ARG(c->to->name)));
        json_put_str(&w, "relationship", buf_str(&one));
        json_put_end(&w);
        str by = c->cardinality == QUERY_THROUGH ? c->junction->name : c->key->name;
        buf_printf(&hint, "%s'" STR_FMT "!" STR_FMT "'", i ? ", " : "", STR_ARG(c->to->name), STR_ARG(by));
    }
    json_put_end(&w);
    query_fail_detail(r->error, STR_FMT, STR_ARG(buf_str(&details)));
    query_fail_hint(r->error,
                    "Try changing '" STR_FMT "' to one of the following: " STR_FMT
                    ". Find the desired relationship in the 'details' key.",
                    STR_ARG(e->target), STR_ARG(buf_str(&hint)));
    buf_free(&details), buf_free(&hint), buf_free(&one);
    return false;
}

bool query_relate(struct query_resolving *r, const struct catalog_relation *from, struct query_embed *e) {
    candidates all = {0};
    find(r, from, e, &all);
    if (!all.n) return none_found(r, from, e);
    if (all.n > 1) return several_found(r, from, e, &all);
    const struct candidate *c = &all.p[0];
    e->parent = from;
    e->cardinality = c->cardinality;
    e->one = c->one;
    e->key = c->key;
    e->second = c->second;
    e->junction = c->junction;
    e->key_is_theirs = c->cardinality == QUERY_TO_MANY;
    e->select.of = c->to;
    e->name = e->alias.n ? e->alias : e->target;
    if (!query_may_see(r, c->to))
        return query_fail(r->error, "42501", "permission denied for table " STR_FMT, STR_ARG(c->to->name));
    if (c->junction && !query_may_see(r, c->junction))
        return query_fail(r->error, "42501", "permission denied for table " STR_FMT, STR_ARG(c->junction->name));
    return true;
}
