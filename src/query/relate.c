/* relate: what an embed means: the foreign key, or the function, that leads from one relation to another, as PostgREST finds it.
 *
 *   target    the other relation; a key's name; a column of ours that is a key's, or is what one refers to
 *   hint      a key's name, the one column of a key at either end, or the junction's name
 *
 *   from.key -> to       to one: an object or null                       to.key -> from        to many: an array; to one where the key is unique
 *   junction.key -> from, junction.second -> to                          to many, where both keys are of the junction's primary key
 *   function(row of from) gives rows of to                               as the function says; it stands for keys between from and what is called as it is
 *
 * A view has the keys of the tables whose columns it shows, each in every way in which it shows them. A relation that refers to itself is many by its own name,
 * and one by the key's column. None: PGRST200, more than one: PGRST201 with all of them. Guesses name only what the role has a right on.
 */
#include "query/query_int.h"
#include <stdio.h>
#include <stdlib.h>

struct candidate {
    enum query_cardinality cardinality;
    bool one;
    const struct catalog_constraint *key, *second; /* their columns are those of the relations at hand */
    const struct catalog_relation *junction, *to;
    const struct catalog_function *computed;
    bool unique; /* the key's columns are, where they are held */
};
typedef VEC(struct candidate) candidates;
enum { CANDIDATES_MAX = 64, WAYS_MAX = 16 };

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

bool query_is_of_row(const struct catalog_function *f, const struct catalog_relation *of) {
    uint32_t in = 0;
    bool takes = false;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN) continue;
        in++;
        takes = a->type == of->row_type;
    }
    return in == 1 && takes && of->row_type && !f->procedure && !f->aggregate;
}

/* ---- keys ---- */

static bool same_columns(const catalog_ids *a, const catalog_ids *b) {
    if (a->n != b->n) return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!catalog_ids_have(b, a->p[i])) return false;
    return true;
}

/* No two rows have the same of these columns, by a constraint. */
static bool is_unique(const struct catalog_relation *of, const catalog_ids *columns) {
    for (uint32_t i = 0; i < of->constraints.n; i++) {
        const struct catalog_constraint *k = &of->constraints.p[i];
        if ((k->kind == CATALOG_PRIMARY || k->kind == CATALOG_UNIQUE) && same_columns(&k->columns, columns)) return true;
    }
    return false;
}

static bool is_column(const struct catalog_relation *of, const catalog_ids *columns, str name) {
    const struct catalog_column *c = columns->n == 1 ? catalog_column_of(of, columns->p[0]) : NULL;
    return c && str_eq(c->name, name);
}

/* The tables whose columns a relation has: itself, or a view's. */
static void tables_of(arena *out, const struct catalog_relation *of, catalog_ids *to) {
    if (of->kind == CATALOG_TABLE) vec_push(out, to, of->id);
    for (uint32_t i = 0; of->kind != CATALOG_TABLE && i < of->columns.n; i++)
        if (of->columns.p[i].from && !catalog_ids_have(to, of->columns.p[i].from)) vec_push(out, to, of->columns.p[i].from);
}

/* The ways in which a relation has columns of a table: a table has its own, a view those that are they, of which there may be several for each. */
struct ways {
    catalog_ids p[WAYS_MAX];
    uint32_t n;
};

static void ways_of(arena *out, const struct catalog_relation *of, const struct catalog_relation *table,
                    const catalog_ids *columns, struct ways *w) {
    w->n = 0;
    if (of->kind == CATALOG_TABLE) {
        if (of == table) w->p[w->n++] = *columns;
        return;
    }
    w->p[w->n++] = (catalog_ids){0};
    for (uint32_t i = 0; i < columns->n; i++) {
        struct ways longer = {.n = 0};
        for (uint32_t k = 0; k < of->columns.n; k++) {
            const struct catalog_column *c = &of->columns.p[k];
            if (c->from != table->id || c->from_number != columns->p[i]) continue;
            for (uint32_t a = 0; a < w->n && longer.n < WAYS_MAX; a++) {
                catalog_ids *one = &longer.p[longer.n++];
                *one = (catalog_ids){0};
                for (uint32_t b = 0; b < w->p[a].n; b++) vec_push(out, one, w->p[a].p[b]);
                vec_push(out, one, (uint32_t)c->number);
            }
        }
        *w = longer;
    }
}

void query_primary_key(arena *out, const struct catalog *c, const struct catalog_relation *of, catalog_ids *columns) {
    const struct catalog_constraint *p = catalog_primary_key(of);
    catalog_ids tables = {0};
    *columns = p ? p->columns : (catalog_ids){0};
    if (p || of->kind == CATALOG_TABLE) return;
    tables_of(out, of, &tables);
    for (uint32_t i = 0; i < tables.n; i++) { /* of each table whose key it shows as a whole */
        const struct catalog_relation *table = catalog_relation_of(c, tables.p[i]);
        p = table ? catalog_primary_key(table) : NULL;
        if (!p) continue;
        struct ways w;
        ways_of(out, of, table, &p->columns, &w);
        for (uint32_t k = 0; w.n && k < w.p[0].n; k++) vec_push(out, columns, w.p[0].p[k]);
    }
}

/* ---- finding ---- */

struct shown { /* by a view */
    uint32_t table;
    const struct catalog_relation *view;
};

struct searching {
    struct query_resolving *r;
    const struct catalog_relation *from, *named; /* named: what is called like the target, in from's schema; may be NULL */
    const struct query_embed *e;
    candidates *all;
    const struct catalog_relation *overridden; /* what is called like a function that stands for keys to it */
    VEC(struct shown) shown;                   /* which views might be junctions, by the tables that they show */
    bool looked;                               /* … is made */
};

static bool same_schema(const struct searching *s, const struct catalog_relation *of) { return of->schema == s->from->schema; }

static void add_candidate(struct searching *s, struct candidate c) {
    if (s->all->n < CANDIDATES_MAX) vec_push(s->r->out, s->all, c);
}

static const struct catalog_constraint *key_with(struct searching *s, const struct catalog_constraint *key, catalog_ids columns,
                                                 catalog_ids reference) {
    struct catalog_constraint *k = arena_make(s->r->out, struct catalog_constraint);
    *k = *key;
    k->columns = columns;
    k->reference_columns = reference;
    return k;
}

/* ours, theirs: the key's columns at either end, whichever of them holds it. */
static bool is_meant(const struct searching *s, const struct catalog_relation *to, const struct catalog_constraint *key,
                     const catalog_ids *ours, const catalog_ids *theirs, bool to_one, bool unique) {
    const struct query_embed *e = s->e;
    bool named = to == s->named;
    if (to == s->from) {
        if (unique) return false;
        if (e->hint.n) return named && !to_one && is_column(to, theirs, e->hint);
        return to_one ? is_column(to, ours, e->target) : named;
    }
    if (e->hint.n)
        return named && (str_eq(e->hint, key->name) || is_column(s->from, ours, e->hint) || is_column(to, theirs, e->hint));
    return named || (to->kind == CATALOG_TABLE && (str_eq(e->target, key->name) || is_column(s->from, ours, e->target)));
}

/* Each way from one to the other by a key. */
static void try_pair(struct searching *s, const struct catalog_edge *g, const struct catalog_relation *to, bool to_one) {
    struct ways ours, theirs;
    bool unique = is_unique(g->from, &g->key->columns);
    ways_of(s->r->out, s->from, to_one ? g->from : g->to, to_one ? &g->key->columns : &g->key->reference_columns, &ours);
    ways_of(s->r->out, to, to_one ? g->to : g->from, to_one ? &g->key->reference_columns : &g->key->columns, &theirs);
    for (uint32_t i = 0; i < ours.n; i++)
        for (uint32_t k = 0; k < theirs.n; k++) {
            if (!is_meant(s, to, g->key, &ours.p[i], &theirs.p[k], to_one, unique)) continue;
            struct candidate c = {.cardinality = to_one ? QUERY_TO_ONE : QUERY_TO_MANY, .to = to, .unique = unique};
            c.one = to_one || unique;
            c.key = to_one ? key_with(s, g->key, ours.p[i], theirs.p[k]) : key_with(s, g->key, theirs.p[k], ours.p[i]);
            add_candidate(s, c);
        }
}

static void try_key(struct searching *s, const struct catalog_edge *g, bool to_one) {
    const struct catalog_relation *other = to_one ? g->to : g->from;
    if (s->named) try_pair(s, g, s->named, to_one);
    if (to_one && !s->e->hint.n && s->from->kind != CATALOG_TABLE && s->from != s->named) try_pair(s, g, s->from, true);
    if (!s->e->hint.n && other != s->named && other != s->overridden && same_schema(s, other)) try_pair(s, g, other, to_one);
}

static bool are_in(const catalog_ids *some, const catalog_ids *all) {
    for (uint32_t i = 0; i < some->n; i++)
        if (!catalog_ids_have(all, some->p[i])) return false;
    return true;
}

/* The junction's second key, to the relation that is named. */
static void try_second(struct searching *s, const struct catalog_edge *g, const struct catalog_relation *j,
                       const struct catalog_constraint *key, const catalog_ids *primary) {
    catalog_ids tables = {0};
    tables_of(s->r->out, j, &tables);
    for (uint32_t i = 0; i < tables.n; i++) {
        struct catalog_edge other = {0};
        while (catalog_edge_next(s->r->catalog, tables.p[i], &other)) {
            struct ways holds, held;
            if (other.from->id != tables.p[i] || str_eq(other.key->name, g->key->name) ||
                is_unique(other.from, &other.key->columns))
                continue;
            ways_of(s->r->out, j, other.from, &other.key->columns, &holds);
            ways_of(s->r->out, s->named, other.to, &other.key->reference_columns, &held);
            for (uint32_t a = 0; a < holds.n; a++)
                for (uint32_t b = 0; b < held.n; b++)
                    if (are_in(&holds.p[a], primary))
                        add_candidate(s, (struct candidate){.cardinality = QUERY_THROUGH,
                                                            .key = key,
                                                            .second = key_with(s, other.key, holds.p[a], held.p[b]),
                                                            .junction = j,
                                                            .to = s->named});
        }
    }
}

/* A third relation holds a key to each: j, which is the key's own table or a view of it. */
static void try_through(struct searching *s, const struct catalog_edge *g, const struct catalog_relation *j) {
    struct ways holds, held;
    catalog_ids primary;
    if (!same_schema(s, j) || (s->e->hint.n && !str_eq(s->e->hint, j->name))) return;
    ways_of(s->r->out, j, g->from, &g->key->columns, &holds);
    if (!holds.n) return;
    query_primary_key(s->r->out, s->r->catalog, j, &primary);
    ways_of(s->r->out, s->from, g->to, &g->key->reference_columns, &held);
    for (uint32_t a = 0; a < holds.n; a++)
        for (uint32_t b = 0; b < held.n; b++)
            if (are_in(&holds.p[a], &primary)) try_second(s, g, j, key_with(s, g->key, holds.p[a], held.p[b]), &primary);
}

static int by_table(const void *a, const void *b) {
    const struct shown *x = a, *y = b;
    if (x->table != y->table) return x->table < y->table ? -1 : 1;
    return x->view < y->view ? -1 : x->view > y->view; /* as they are in the catalogue */
}

/* Once for all keys: there may be many of both. */
static void look_at_views(struct searching *s) {
    const struct catalog *c = s->r->catalog;
    s->looked = true;
    for (uint32_t i = 0; i < c->relations.n; i++) {
        const struct catalog_relation *view = &c->relations.p[i];
        catalog_ids tables = {0};
        if (view->kind == CATALOG_TABLE || !same_schema(s, view)) continue;
        tables_of(s->r->out, view, &tables);
        for (uint32_t k = 0; k < tables.n; k++) vec_push(s->r->out, &s->shown, ((struct shown){tables.p[k], view}));
    }
    if (s->shown.n) qsort(s->shown.p, s->shown.n, sizeof *s->shown.p, by_table);
}

static void try_junctions(struct searching *s, const struct catalog_edge *g) {
    if (!s->named || s->named == s->from || is_unique(g->from, &g->key->columns)) return;
    try_through(s, g, g->from);
    if (!s->looked) look_at_views(s);
    uint32_t low = 0, high = s->shown.n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (s->shown.p[middle].table < g->from->id) low = middle + 1;
        else high = middle;
    }
    for (; low < s->shown.n && s->shown.p[low].table == g->from->id; low++) try_through(s, g, s->shown.p[low].view);
}

/* A function of from's rows that gives rows: it is called as the target is. */
static bool try_computed(struct searching *s) {
    const struct catalog_function *f = NULL;
    while ((f = catalog_function_next(s->r->catalog, schema_name(s->r, s->from), s->e->target, f))) {
        const struct catalog_type *t = catalog_type_of(s->r->catalog, f->returns);
        if (!query_is_of_row(f, s->from) || !t || t->id != f->returns || t->kind != CATALOG_ROW) continue;
        struct candidate c = {.cardinality = f->set && !f->one_row ? QUERY_TO_MANY : QUERY_TO_ONE, .computed = f};
        c.one = c.cardinality == QUERY_TO_ONE;
        c.to = catalog_relation_of(s->r->catalog, t->relation);
        if (c.to) add_candidate(s, c);
        return c.to;
    }
    return false;
}

static void find(struct query_resolving *r, const struct catalog_relation *from, const struct query_embed *e, candidates *all) {
    struct searching s = {r, from, catalog_relation_named(r->catalog, schema_name(r, from), e->target), e, all, NULL, {0}, false};
    catalog_ids tables = {0};
    if (try_computed(&s)) s.overridden = s.named, s.named = NULL;
    tables_of(r->out, from, &tables);
    for (uint32_t i = 0; i < tables.n; i++) {
        struct catalog_edge g = {0};
        while (catalog_edge_next(r->catalog, tables.p[i], &g)) {
            if (g.from->id == tables.p[i]) try_key(&s, &g, true);
            if (g.to->id == tables.p[i]) try_key(&s, &g, false), try_junctions(&s, &g);
        }
    }
}

/* ---- failing ---- */

/* What from leads to, and is called most alike, of what the role knows. Nothing is guessed where what was asked for is one of those, and only its hint is wrong. */
enum { GUESSES_MAX = 8 };
static str nearest_related(struct query_resolving *r, const struct catalog_relation *from, str target) {
    const struct catalog_relation *tried[GUESSES_MAX];
    for (uint32_t n = 0; n < GUESSES_MAX; n++) {
        const struct catalog_relation *best = NULL;
        uint32_t most = 32;
        for (uint32_t i = 0; i < r->catalog->relations.n; i++) {
            const struct catalog_relation *of = &r->catalog->relations.p[i];
            bool again = of->schema != from->schema;
            for (uint32_t k = 0; k < n; k++) again |= tried[k] == of;
            uint32_t l = again || !query_may_see(r, of) ? 0 : query_likeness(of->name, target);
            if (l > most) most = l, best = of;
        }
        if (!best) break;
        candidates all = {0};
        tried[n] = best;
        find(r, from, &(struct query_embed){.target = best->name}, &all);
        if (all.n) return str_eq(best->name, target) ? (str){0} : best->name;
    }
    return (str){0};
}

static bool none_found(struct query_resolving *r, const struct catalog_relation *from, const struct query_embed *e) {
    str schema = schema_name(r, from), near;
    query_fail(r->error, "PGRST200", "Could not find a relationship between '" STR_FMT "' and '" STR_FMT "' in the schema cache",
               STR_ARG(from->name), STR_ARG(e->target));
    str by = e->hint.n ? arena_fmt(r->out, "' using the hint '" STR_FMT, STR_ARG(e->hint)) : (str){0};
    query_fail_detail(r->error,
                      "Searched for a foreign key relationship between '" STR_FMT "' and '" STR_FMT STR_FMT
                      "' in the schema '" STR_FMT "', but no matches were found.",
                      STR_ARG(from->name), STR_ARG(e->target), STR_ARG(by), STR_ARG(schema));
    near = nearest_related(r, from, e->target);
    if (near.n)
        query_fail_hint(r->error, "Perhaps you meant '" STR_FMT "' instead of '" STR_FMT "'.", STR_ARG(near), STR_ARG(e->target));
    return false;
}

static void column_list(struct buf *b, const struct catalog_relation *of, const catalog_ids *columns) {
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(of, columns->p[i]);
        buf_printf(b, "%s" STR_FMT, i ? ", " : "", STR_ARG(c ? c->name : (str){0}));
    }
}

/* key using a(b) and c(d), as PostgREST says it */
static void relationship_text(struct buf *b, const struct candidate *c, const struct catalog_relation *from) {
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
}

static const char *cardinality_name(const struct candidate *c) {
    if (c->cardinality == QUERY_THROUGH) return "many-to-many";
    if (c->cardinality == QUERY_TO_ONE) return c->unique ? "one-to-one" : "many-to-one";
    return c->one ? "one-to-one" : "one-to-many";
}

/* In PostgREST's order: to many, to one, one to one, through a junction; then by name. */
static int by_kind(const void *a_, const void *b_) {
    const struct candidate *a = a_, *b = b_;
    int order = str_cmp(a->to->name, b->to->name);
    const struct candidate *both[] = {a, b};
    int kinds[2];
    for (int i = 0; i < 2; i++)
        kinds[i] = both[i]->cardinality == QUERY_THROUGH ? 3 : both[i]->unique ? 2 : both[i]->cardinality == QUERY_TO_ONE;
    if (!order) order = kinds[0] - kinds[1];
    if (!order && a->junction && b->junction) order = str_cmp(a->junction->name, b->junction->name);
    if (!order && a->key && b->key) order = str_cmp(a->key->name, b->key->name);
    if (!order && a->second && b->second) order = str_cmp(a->second->name, b->second->name);
    for (uint32_t i = 0; !order && a->key && b->key && i < a->key->columns.n && i < b->key->columns.n; i++)
        order = (int)a->key->columns.p[i] - (int)b->key->columns.p[i];
    for (uint32_t i = 0; !order && a->key && b->key && i < a->key->reference_columns.n && i < b->key->reference_columns.n; i++)
        order = (int)a->key->reference_columns.p[i] - (int)b->key->reference_columns.p[i];
    return order;
}

static bool several_found(struct query_resolving *r, const struct catalog_relation *from, const struct query_embed *e,
                          const candidates *all) {
    struct buf details = {0}, hint = {0}, one = {0};
    query_fail(r->error, "PGRST201",
               "Could not embed because more than one relationship was found for '" STR_FMT "' and '" STR_FMT "'",
               STR_ARG(from->name), STR_ARG(e->target));
    struct json_writer w = json_writer_of(&details);
    json_put_array(&w, NULL);
    qsort(all->p, all->n, sizeof *all->p, by_kind);
    for (uint32_t i = 0; i < all->n; i++) {
        const struct candidate *c = &all->p[i];
        if (c->computed) continue;
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
    e->computed = c->computed;
    e->key_is_theirs = c->cardinality == QUERY_TO_MANY;
    e->select.of = c->to;
    e->name = e->alias.n ? e->alias : e->target;
    if (c->computed) return query_may_compute(r, c->computed);
    if (!query_need_schema(r, c->to->schema) || (c->junction && !query_need_schema(r, c->junction->schema))) return false;
    if (!query_may_see(r, c->to))
        return query_fail(r->error, "42501", "permission denied for table " STR_FMT, STR_ARG(c->to->name));
    if (c->junction && !query_may_see(r, c->junction))
        return query_fail(r->error, "42501", "permission denied for table " STR_FMT, STR_ARG(c->junction->name));
    return true;
}

/* ---- what a row is made of ---- */

struct query_leaves query_leaves_of(const struct query_select *s) {
    return (struct query_leaves){.levels = {s}};
}

const struct query_item *query_leaf_next(struct query_leaves *l) {
    for (;;) {
        const struct query_select *here = l->levels[l->depth];
        if (l->at[l->depth] == here->list_count) {
            if (!l->depth) return NULL;
            l->depth--;
            continue;
        }
        const struct query_item *it = &here->list[l->at[l->depth]++];
        bool spread = it->kind == QUERY_EMBED && it->embed->spread;
        if (query_is_silent(it)) continue;
        if (!spread) return it;
        if (l->depth == QUERY_EMBEDS_MAX) continue; /* which is refused where it is printed */
        l->steps[l->depth++] = it->embed;
        l->levels[l->depth] = &it->embed->select;
        l->at[l->depth] = 0;
    }
}

uint32_t query_leaf_of_order(const struct query_select *s, const struct query_order *o) {
    struct query_leaves l = query_leaves_of(s);
    uint32_t n = 0;
    for (const struct query_item *it; (it = query_leaf_next(&l));) {
        n++;
        bool here = o->to ? l.depth == 1 && l.steps[0] == o->to : !l.depth;
        if (here && it->kind == QUERY_FIELD && !it->cast.n && it->field.of == o->field.of && !it->field.steps_count &&
            !o->field.steps_count)
            return n;
    }
    return 0;
}
