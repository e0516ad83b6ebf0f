/* types: the catalogue's own types as the pg room asks for them (struct pg_types), made once for a catalogue. */
#include "query/query_int.h"
#include <stdio.h>

struct types {
    const struct catalog *catalog;
    struct pg_type *own; /* each type, and the array of it behind it */
    uint32_t count;
    struct map ids;
};

static str key_of(const uint32_t *id) { return (str){(const uint8_t *)id, sizeof *id}; }

static const struct pg_type *by_id(void *arg, uint32_t id) {
    struct types *t = arg;
    uint64_t at;
    return map_get(&t->ids, key_of(&id), &at) ? &t->own[at] : NULL;
}

static const struct pg_type *by_name(void *arg, str schema, str name) {
    struct types *t = arg;
    bool array = name.n > 1 && name.p[0] == '_';
    const struct catalog_type *found = catalog_type_named(t->catalog, schema.n ? schema : STR("public"), name);
    if (found) return by_id(arg, found->id);
    found = array ? catalog_type_named(t->catalog, schema.n ? schema : STR("public"), str_sub(name, 1, name.n)) : NULL;
    return found ? by_id(arg, found->array) : NULL;
}

static bool enum_sort(void *arg, uint32_t type, str label, int64_t *sort) {
    const struct catalog_type *t = catalog_type_of(((struct types *)arg)->catalog, type);
    const struct catalog_label *l = t ? catalog_label_named(t, label) : NULL;
    if (l) *sort = l->sort;
    return l != NULL;
}

static bool enum_label(void *arg, uint32_t type, int64_t sort, str *label) {
    const struct catalog_type *t = catalog_type_of(((struct types *)arg)->catalog, type);
    const struct catalog_label *l = t ? catalog_label_stored(t, sort) : NULL;
    if (l) *label = l->name;
    return l != NULL;
}

static bool enum_nth(void *arg, uint32_t type, uint32_t index, int64_t *sort, str *label) {
    const struct catalog_type *t = catalog_type_of(((struct types *)arg)->catalog, type);
    if (!t || index >= t->labels.n) return false;
    *sort = t->labels.p[index].sort;
    *label = t->labels.p[index].name;
    return true;
}

static bool field(void *arg, uint32_t type, uint32_t index, struct pg_field *out) {
    const struct catalog_type *t = catalog_type_of(((struct types *)arg)->catalog, type);
    if (!t || t->kind != CATALOG_COMPOSITE || index >= t->fields.n) return false;
    *out = (struct pg_field){t->fields.p[index].name, t->fields.p[index].type, t->fields.p[index].typmod};
    return true;
}

static void array_class(struct pg_type *of, const struct pg_type *element) {
    const char *c = element->collation;
    if (!strcmp(c, "RTRIM")) c = "char";
    if (!*c) c = element->storage == PG_STORED_INTEGER || element->storage == PG_STORED_REAL ? "num" : "text";
    snprintf(of->collation, sizeof of->collation, "array_%.16s", c);
}

static struct pg_type make_type(const struct catalog_type *t, const struct pg_type *base) {
    struct pg_type p = {.id = t->id, .array = t->array, .category = 'U', .typmod = PG_TYPMOD_NONE, .storage = PG_STORED_NOT};
    snprintf(p.name, sizeof p.name, STR_FMT, STR_ARG(t->name));
    snprintf(p.sql, sizeof p.sql, STR_FMT, STR_ARG(t->name));
    switch (t->kind) {
    case CATALOG_ENUM: p.kind = PG_KIND_ENUM, p.storage = PG_STORED_INTEGER, p.category = 'E'; break;
    case CATALOG_DOMAIN:
        p.kind = PG_KIND_DOMAIN, p.base = t->base;
        if (base) {
            p.storage = base->storage, p.category = base->category, p.typmod = base->typmod;
            memcpy(p.collation, base->collation, sizeof p.collation);
        }
        break;
    case CATALOG_COMPOSITE: p.kind = PG_KIND_COMPOSITE, p.category = 'C', p.storage = PG_STORED_TEXT; break;
    default: p.kind = PG_KIND_COMPOSITE, p.category = 'C'; break;
    }
    return p;
}

static struct pg_type make_array(const struct catalog_type *t, const struct pg_type *element) {
    struct pg_type p = {.id = t->array, .element = t->id, .kind = PG_KIND_ARRAY, .storage = PG_STORED_TEXT, .category = 'A'};
    snprintf(p.name, sizeof p.name, "_%.30s", element->name);
    snprintf(p.sql, sizeof p.sql, "%.29s[]", element->sql);
    array_class(&p, element);
    return p;
}

const struct pg_types *query_types_new(arena *out, const struct catalog *c) {
    struct types *t = arena_make(out, struct types);
    struct pg_types *types = arena_make(out, struct pg_types);
    *types = (struct pg_types){t, by_id, by_name, enum_sort, enum_label, enum_nth, field};
    t->catalog = c;
    t->own = arena_array(out, struct pg_type, c->types.n * 2 + 1);
    for (uint32_t i = 0; i < c->types.n; i++) { /* a domain's base has a lower id, or is built in */
        const struct catalog_type *from = &c->types.p[i];
        const struct pg_type *base = from->base ? query_type_of(types, from->base) : NULL;
        t->own[t->count] = make_type(from, base);
        map_put(out, &t->ids, key_of(&t->own[t->count].id), t->count);
        t->count++;
        if (!from->array) continue;
        t->own[t->count] = make_array(from, &t->own[t->count - 1]);
        map_put(out, &t->ids, key_of(&t->own[t->count].id), t->count);
        t->count++;
    }
    return types;
}

const struct pg_type *query_type_of(const struct pg_types *types, uint32_t id) {
    const struct pg_type *t = pg_type_by_id(id);
    return t || !types ? t : types->by_id(types->arg, id);
}

int32_t query_type_typmod(const struct pg_types *types, uint32_t id, int32_t typmod) {
    const struct pg_type *t = query_type_of(types, id);
    for (int depth = 0; typmod < 0 && t && t->kind == PG_KIND_DOMAIN && depth < 16; depth++) {
        const struct catalog_type *own = catalog_type_of(((struct types *)types->arg)->catalog, id);
        if (own) typmod = own->typmod;
        id = t->base, t = query_type_of(types, id);
    }
    return typmod;
}

uint32_t query_type_base(const struct pg_types *types, uint32_t id) {
    const struct pg_type *t = query_type_of(types, id);
    for (int depth = 0; t && t->kind == PG_KIND_DOMAIN && depth < 16; depth++) id = t->base, t = query_type_of(types, id);
    return id;
}
