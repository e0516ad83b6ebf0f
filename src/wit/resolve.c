/* resolve: binds the names of a parsed set (WIT.md, Name resolution, Feature gates), flattens includes.
 *
 * Order: drop what is gated off; name interfaces; bind uses; bind types, refusing cycles; check names are
 * unique; worlds. */
#include <stdio.h>

#include "wit/wit_int.h"

struct resolver {
    struct wit_set *set;
    struct diag *d;
};

err wit_fail_at(struct diag *d, const struct wit_pos *pos, const char *fmt, ...) {
    char what[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    return diag_set(d, ERR_INVALID, DIAG_NOWHERE, STR_FMT ":%u: %s", STR_ARG(pos->file), pos->line, what);
}

/* ---- gates ------------------------------------------------------------------------------------ */

static bool gated_off(const struct wit_set *set, const struct wit_gate *g) {
    if (!g->unstable.n || set->all_features) return false;
    for (uint32_t i = 0; i < set->features.n; i++)
        if (str_eq(set->features.p[i], g->unstable)) return false;
    return true;
}

/* Keeps of vec v (pointers or structs reached by `access`) what is not gated off. */
#define KEEP(set, v, access)                                                                                                     \
    do {                                                                                                                         \
        uint32_t kept_ = 0;                                                                                                      \
        for (uint32_t i_ = 0; i_ < (v)->n; i_++)                                                                                 \
            if (!gated_off(set, &(v)->p[i_] access gate)) (v)->p[kept_++] = (v)->p[i_];                                          \
        (v)->n = kept_;                                                                                                          \
    } while (0)

static void apply_gates_interface(const struct wit_set *set, struct wit_interface *i) {
    for (uint32_t k = 0; k < i->funcs.n; k++) { /* a resource's gate is its methods' too */
        struct wit_func *f = i->funcs.p[k];
        if (f->resource && !f->gate.unstable.n) f->gate.unstable = f->resource->gate.unstable;
    }
    KEEP(set, &i->defs, ->);
    KEEP(set, &i->funcs, ->);
}

static void apply_gates(const struct wit_set *set, struct wit_package *k) {
    KEEP(set, &k->interfaces, ->);
    KEEP(set, &k->worlds, ->);
    for (uint32_t i = 0; i < k->interfaces.n; i++) apply_gates_interface(set, k->interfaces.p[i]);
    for (uint32_t i = 0; i < k->worlds.n; i++) {
        struct wit_world *w = k->worlds.p[i];
        apply_gates_interface(set, w->types);
        KEEP(set, &w->items, .);
        KEEP(set, &w->includes, .);
        for (uint32_t n = 0; n < w->items.n; n++)
            if (!w->items.p[n].path && w->items.p[n].interface) apply_gates_interface(set, w->items.p[n].interface);
    }
}

/* ---- finding ---------------------------------------------------------------------------------- */

/* NULL: none. version empty: any, if there is one only. */
static struct wit_package *wit_find_package(const struct wit_set *set, str ns, str name, str version) {
    struct wit_package *found = NULL;
    for (uint32_t i = 0; i < set->packages.n; i++) {
        struct wit_package *k = set->packages.p[i];
        if (!str_eq(k->ns, ns) || !str_eq(k->name, name)) continue;
        if (str_eq(k->version, version)) return k;
        if (version.n) continue;
        if (found) return NULL;
        found = k;
    }
    return found;
}

static struct wit_interface *interface_in(const struct wit_package *k, str name) {
    for (uint32_t i = 0; i < k->interfaces.n; i++)
        if (str_eq(k->interfaces.p[i]->name, name)) return k->interfaces.p[i];
    return NULL;
}
static struct wit_world *world_in(const struct wit_package *k, str name) {
    for (uint32_t i = 0; i < k->worlds.n; i++)
        if (str_eq(k->worlds.p[i]->name, name)) return k->worlds.p[i];
    return NULL;
}

/* The package a path leads into, and the name there: through the file's toplevel uses. NULL: reported. */
static struct wit_package *path_package(struct resolver *r, struct wit_package *from, const struct wit_path *path, str *name) {
    for (uint32_t i = 0; !path->ns.n && i < from->uses.n; i++) {
        const struct wit_use *u = &from->uses.p[i];
        if (str_eq(u->file, path->pos.file) && str_eq(u->name, path->name)) {
            path = u->path;
            break;
        }
    }
    *name = path->name;
    if (!path->ns.n) return from;
    struct wit_package *k = wit_find_package(r->set, path->ns, path->package, path->version);
    if (!k)
        (void)wit_fail_at(r->d, &path->pos, "package \"" STR_FMT ":" STR_FMT "%s" STR_FMT "\" is not here; it belongs into deps/",
                          STR_ARG(path->ns), STR_ARG(path->package), path->version.n ? "@" : "", STR_ARG(path->version));
    return k;
}

static err find_interface(struct resolver *r, struct wit_package *from, const struct wit_path *path, struct wit_interface **out) {
    str name;
    struct wit_package *k = path_package(r, from, path, &name);
    if (!k) return ERR_INVALID;
    *out = interface_in(k, name);
    if (!*out)
        return wit_fail_at(r->d, &path->pos, "interface \"" STR_FMT "\" is not defined in package " STR_FMT ":" STR_FMT,
                           STR_ARG(name), STR_ARG(k->ns), STR_ARG(k->name));
    return ERR_OK;
}

static struct wit_def *def_in(const struct wit_interface *i, str name) {
    for (uint32_t k = 0; k < i->defs.n; k++)
        if (str_eq(i->defs.p[k]->name, name)) return i->defs.p[k];
    return NULL;
}

struct wit_world *wit_find_world(const struct wit_set *set, str name) {
    struct component_name n;
    component_name_split(name, &n);
    if (!n.ns.n) return set->packages.n ? world_in(set->packages.p[0], name) : NULL;
    str version = {};
    if (n.bare.n < name.n) version = str_sub(name, n.bare.n + 1, name.n);
    struct wit_package *k = wit_find_package(set, n.ns, n.package, version);
    return k ? world_in(k, n.item) : NULL;
}

struct wit_def *wit_def_target(struct wit_def *def) {
    while (def && def->kind == WIT_DEF_USE) def = def->target;
    return def;
}

const struct wit_type *wit_type_target(const struct wit_type *t) {
    while (t && t->kind == WIT_NAME) {
        struct wit_def *def = wit_def_target(t->def);
        t = def->type;
    }
    return t;
}

/* ---- types ------------------------------------------------------------------------------------ */

static err resolve_def(struct resolver *r, struct wit_def *def);

static err resolve_name(struct resolver *r, struct wit_interface *i, struct wit_type *t) {
    t->def = def_in(i, t->name);
    if (!t->def) return wit_fail_at(r->d, &t->pos, "name \"" STR_FMT "\" is not defined", STR_ARG(t->name));
    TRY(resolve_def(r, t->def));
    struct wit_def *def = wit_def_target(t->def);
    while (def->kind == WIT_DEF_TYPE && def->type->kind == WIT_NAME) def = wit_def_target(def->type->def);
    bool resource = def->kind == WIT_DEF_RESOURCE || (def->kind == WIT_DEF_TYPE && def->type->kind == WIT_OWN);
    if (resource && def->kind == WIT_DEF_TYPE) def = wit_def_target(def->type->def);
    if (t->kind == WIT_NAME && !resource) return ERR_OK;
    if (!resource) return wit_fail_at(r->d, &t->pos, "\"" STR_FMT "\" is not a resource", STR_ARG(t->name));
    if (t->kind == WIT_NAME) t->kind = WIT_OWN;
    t->def = def;
    return ERR_OK;
}

static err check_unique(struct resolver *r, const struct wit_type *t) {
    for (uint32_t i = 0; t->kind != WIT_TUPLE && i < t->fields.n; i++)
        for (uint32_t k = 0; k < i; k++)
            if (str_eq_nocase(t->fields.p[i].name, t->fields.p[k].name))
                return wit_fail_at(r->d, &t->fields.p[i].pos, "\"" STR_FMT "\" is here twice", STR_ARG(t->fields.p[i].name));
    return ERR_OK;
}

static err resolve_type(struct resolver *r, struct wit_interface *i, struct wit_type *t) {
    if (!t) return ERR_OK;
    if (t->kind == WIT_NAME || ((t->kind == WIT_OWN || t->kind == WIT_BORROW) && !t->def)) return resolve_name(r, i, t);
    TRY(resolve_type(r, i, t->elem));
    TRY(resolve_type(r, i, t->error));
    TRY(check_unique(r, t));
    if (t->kind == WIT_FLAGS && t->fields.n > 32) return wit_fail_at(r->d, &t->pos, "flags hold at most 32 labels");
    for (uint32_t k = 0; k < t->fields.n; k++) TRY(resolve_type(r, i, t->fields.p[k].type));
    return ERR_OK;
}

static err resolve_use(struct resolver *r, struct wit_def *def) {
    struct wit_interface *from;
    TRY(find_interface(r, def->owner->package, def->use_path, &from));
    def->target = def_in(from, def->use_name);
    if (!def->target)
        return wit_fail_at(r->d, &def->pos, "interface \"" STR_FMT "\" defines no type \"" STR_FMT "\"", STR_ARG(from->name),
                           STR_ARG(def->use_name));
    return resolve_def(r, def->target);
}

static err resolve_def(struct resolver *r, struct wit_def *def) {
    if (def->mark == 2) return ERR_OK;
    if (def->mark == 1) return wit_fail_at(r->d, &def->pos, "type \"" STR_FMT "\" depends on itself", STR_ARG(def->name));
    def->mark = 1;
    if (def->kind == WIT_DEF_USE) TRY(resolve_use(r, def));
    if (def->kind == WIT_DEF_TYPE) TRY(resolve_type(r, def->owner, def->type));
    def->mark = 2;
    return ERR_OK;
}

static err resolve_func(struct resolver *r, struct wit_interface *i, struct wit_func *f) {
    for (uint32_t k = 0; k < f->params.n; k++) {
        TRY(resolve_type(r, i, f->params.p[k].type));
        for (uint32_t n = 0; n < k; n++)
            if (str_eq_nocase(f->params.p[k].name, f->params.p[n].name))
                return wit_fail_at(r->d, &f->params.p[k].pos, "parameter \"" STR_FMT "\" is here twice",
                                   STR_ARG(f->params.p[k].name));
    }
    return resolve_type(r, i, f->result);
}

static err resolve_interface(struct resolver *r, struct wit_interface *i) {
    for (uint32_t k = 0; k < i->defs.n; k++) {
        for (uint32_t n = 0; n < k; n++)
            if (str_eq_nocase(i->defs.p[k]->name, i->defs.p[n]->name))
                return wit_fail_at(r->d, &i->defs.p[k]->pos, "name \"" STR_FMT "\" is already defined",
                                   STR_ARG(i->defs.p[k]->name));
        TRY(resolve_def(r, i->defs.p[k]));
    }
    for (uint32_t k = 0; k < i->funcs.n; k++) {
        struct wit_func *f = i->funcs.p[k];
        for (uint32_t n = 0; n < k; n++)
            if (str_eq_nocase(f->full_name, i->funcs.p[n]->full_name))
                return wit_fail_at(r->d, &f->pos, "function \"" STR_FMT "\" is already defined", STR_ARG(f->name));
        if (!f->resource && def_in(i, f->name))
            return wit_fail_at(r->d, &f->pos, "name \"" STR_FMT "\" is already defined", STR_ARG(f->name));
        TRY(resolve_func(r, i, f));
    }
    return ERR_OK;
}

/* ---- worlds ----------------------------------------------------------------------------------- */

static bool same_item(const struct wit_item *a, const struct wit_item *b) {
    if (a->is_export != b->is_export) return false;
    if (a->name.n || b->name.n) return str_eq_nocase(a->name, b->name);
    return a->interface == b->interface;
}

static err add_item(struct resolver *r, struct wit_world *w, struct wit_item item, bool included) {
    for (uint32_t i = 0; i < w->items.n; i++) {
        if (!same_item(&w->items.p[i], &item)) continue;
        if (included && !item.name.n) return ERR_OK;
        return wit_fail_at(r->d, &item.pos, "world \"" STR_FMT "\" has \"" STR_FMT "\" twice", STR_ARG(w->name),
                           STR_ARG(item.name.n ? item.name : item.interface->name));
    }
    vec_push(r->set->arena, &w->items, item);
    return ERR_OK;
}

static err resolve_world(struct resolver *r, struct wit_world *w);

static void rename_item(struct resolver *r, struct wit_item *item, str to) {
    item->name = to;
    if (item->func) {
        struct wit_func *f = arena_make(r->set->arena, struct wit_func);
        *f = *item->func;
        f->name = f->full_name = to;
        item->func = f;
    } else if (!item->path) {
        struct wit_interface *i = arena_make(r->set->arena, struct wit_interface);
        *i = *item->interface;
        i->name = to;
        item->interface = i;
    }
}

static err resolve_include(struct resolver *r, struct wit_world *w, const struct wit_include *inc) {
    str name;
    struct wit_package *k = path_package(r, w->package, inc->path, &name);
    if (!k) return ERR_INVALID;
    struct wit_world *other = world_in(k, name);
    if (!other) return wit_fail_at(r->d, &inc->path->pos, "world \"" STR_FMT "\" is not defined", STR_ARG(name));
    TRY(resolve_world(r, other));
    for (uint32_t i = 0; i < other->items.n; i++) {
        struct wit_item item = other->items.p[i];
        for (uint32_t n = 0; n < inc->with.n; n++)
            if (item.name.n && str_eq(item.name, inc->with.p[n].from)) rename_item(r, &item, inc->with.p[n].to);
        TRY(add_item(r, w, item, true));
    }
    for (uint32_t i = 0; i < other->types->defs.n; i++)
        if (!def_in(w->types, other->types->defs.p[i]->name)) vec_push(r->set->arena, &w->types->defs, other->types->defs.p[i]);
    return ERR_OK;
}

static err resolve_world(struct resolver *r, struct wit_world *w) {
    if (w->mark == 2) return ERR_OK;
    if (w->mark == 1) return wit_fail_at(r->d, &w->pos, "world \"" STR_FMT "\" includes itself", STR_ARG(w->name));
    w->mark = 1;
    TRY(resolve_interface(r, w->types));
    typeof(w->items) own = w->items;
    w->items = (typeof(w->items)){};
    for (uint32_t i = 0; i < own.n; i++) {
        struct wit_item *item = &own.p[i];
        if (item->path) TRY(find_interface(r, w->package, item->path, &item->interface));
        else if (item->interface) TRY(resolve_interface(r, item->interface));
        if (item->func) TRY(resolve_func(r, w->types, item->func));
        TRY(add_item(r, w, *item, false));
    }
    for (uint32_t i = 0; i < w->includes.n; i++) TRY(resolve_include(r, w, &w->includes.p[i]));
    w->mark = 2;
    return ERR_OK;
}

/* ---- all of it -------------------------------------------------------------------------------- */

static err name_interfaces(struct resolver *r, struct wit_package *k) {
    for (uint32_t i = 0; i < k->interfaces.n; i++) {
        struct wit_interface *it = k->interfaces.p[i];
        it->full_name = arena_fmt(r->set->arena, STR_FMT ":" STR_FMT "/" STR_FMT "%s" STR_FMT, STR_ARG(k->ns), STR_ARG(k->name),
                                  STR_ARG(it->name), k->version.n ? "@" : "", STR_ARG(k->version));
        if (interface_in(k, it->name) != it || world_in(k, it->name))
            return wit_fail_at(r->d, &it->pos, "name \"" STR_FMT "\" is already defined", STR_ARG(it->name));
    }
    for (uint32_t i = 0; i < k->worlds.n; i++)
        if (world_in(k, k->worlds.p[i]->name) != k->worlds.p[i])
            return wit_fail_at(r->d, &k->worlds.p[i]->pos, "name \"" STR_FMT "\" is already defined",
                               STR_ARG(k->worlds.p[i]->name));
    return ERR_OK;
}

err wit_resolve(struct wit_set *set, struct diag *d) {
    struct resolver r = {set, d};
    for (uint32_t i = 0; i < set->packages.n; i++) {
        apply_gates(set, set->packages.p[i]);
        TRY(name_interfaces(&r, set->packages.p[i]));
    }
    for (uint32_t i = 0; i < set->packages.n; i++) {
        struct wit_package *k = set->packages.p[i];
        for (uint32_t n = 0; n < k->interfaces.n; n++) TRY(resolve_interface(&r, k->interfaces.p[n]));
    }
    for (uint32_t i = 0; i < set->packages.n; i++) {
        struct wit_package *k = set->packages.p[i];
        for (uint32_t n = 0; n < k->worlds.n; n++) TRY(resolve_world(&r, k->worlds.p[n]));
    }
    return ERR_OK;
}
