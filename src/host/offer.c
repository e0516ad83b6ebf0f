/* offer: matching what a component imports with what the host offers, and saying well what does not match. */
#include <stdio.h>

#include "host/host_int.h"

/* ---- matching --------------------------------------------------------------------------------- */

bool host_name_matches(str imported, const struct host_interface *offered) {
    struct component_name n;
    component_name_split(imported, &n);
    if (!str_eqc(n.bare, offered->name)) return false;
    struct host_version v = offered->version;
    struct component_version o = {
        .present = v.major || v.minor || v.patch, .major = v.major, .minor = v.minor, .patch = v.patch, .pre = str_c(v.pre)};
    return component_version_same_track(&n.version, &o);
}

static const struct host_interface *find_interface(const struct host_offer *offer, str name) {
    for (uint32_t i = 0; i < offer->interfaces_count; i++)
        if (host_name_matches(name, offer->interfaces[i])) return offer->interfaces[i];
    return NULL;
}

static const struct host_func *find_func(const struct host_interface *in, str name) {
    for (uint32_t i = 0; i < in->funcs_count; i++)
        if (str_eqc(name, in->funcs[i].name)) return &in->funcs[i];
    return NULL;
}

const struct host_func *host_offer_find(const struct host_offer *offer, const struct plan_import *import) {
    for (uint32_t i = 0; i < offer->interfaces_count; i++) {
        if (!host_name_matches(import->interface, offer->interfaces[i])) continue;
        const struct host_func *f = find_func(offer->interfaces[i], import->name);
        if (f) return f;
    }
    return NULL;
}

struct host_offer host_offer_join(arena *out, const struct host_offer *const *parts, size_t n) {
    struct host_offer all = {0};
    for (size_t i = 0; i < n; i++) {
        all.interfaces_count += parts[i]->interfaces_count;
        all.core_count += parts[i]->core_count;
    }
    const struct host_interface **interfaces = arena_array(out, const struct host_interface *, all.interfaces_count);
    struct host_core_func *core = arena_array(out, struct host_core_func, all.core_count);
    all.interfaces = interfaces;
    all.core = core;
    for (size_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < parts[i]->interfaces_count; k++) *interfaces++ = parts[i]->interfaces[k];
        for (uint32_t k = 0; k < parts[i]->core_count; k++) *core++ = parts[i]->core[k];
    }
    return all;
}

struct host_offer host_offer_as(arena *out, const struct host_offer *offer, struct host_version version) {
    const struct host_interface **list = arena_array(out, const struct host_interface *, offer->interfaces_count);
    for (uint32_t i = 0; i < offer->interfaces_count; i++) {
        struct host_interface *as = arena_make(out, struct host_interface);
        *as = *offer->interfaces[i];
        as->version = version;
        list[i] = as;
    }
    return (struct host_offer){.interfaces = list, .interfaces_count = offer->interfaces_count};
}

const struct host_core_func *host_offer_core(const struct host_offer *offer, str module, str name) {
    for (uint32_t i = 0; i < offer->core_count; i++)
        if (str_eqc(module, offer->core[i].module) && str_eqc(name, offer->core[i].name)) return &offer->core[i];
    return NULL;
}

static const struct host_resource *find_resource(const struct host_offer *offer, str interface, str name) {
    for (uint32_t i = 0; i < offer->interfaces_count; i++) {
        const struct host_interface *in = offer->interfaces[i];
        if (!host_name_matches(interface, in)) continue;
        for (uint32_t k = 0; k < in->resources_count; k++)
            if (str_eqc(name, in->resources[k].name)) return in->resources[k].resource;
    }
    return NULL;
}

const struct host_resource *const *host_resources_of_plan(arena *out, const struct plan *plan, const struct host_offer *offer) {
    const struct host_resource **all = arena_array(out, const struct host_resource *, plan->resources_count);
    for (uint32_t i = 0; i < plan->resources_count; i++) {
        const struct plan_resource *r = &plan->resources[i];
        if (r->imported) {
            all[i] = find_resource(offer, r->interface, r->name);
        } else {
            struct host_resource *own = arena_make(out, struct host_resource);
            *own = (struct host_resource){arena_cstr(out, r->label), NULL, i + 1};
            all[i] = own;
        }
    }
    return all;
}

/* ---- what is nearest -------------------------------------------------------------------------- */

enum { DISTANCE_MAX = 96 }; /* bytes of a name that are compared */

/* Levenshtein's distance. */
static uint32_t distance(str a, str b) {
    uint32_t row[DISTANCE_MAX + 1];
    a.n = MIN(a.n, (size_t)DISTANCE_MAX);
    b.n = MIN(b.n, (size_t)DISTANCE_MAX);
    for (uint32_t k = 0; k <= b.n; k++) row[k] = k;
    for (uint32_t i = 0; i < a.n; i++) {
        uint32_t diagonal = row[0];
        row[0] = i + 1;
        for (uint32_t k = 0; k < b.n; k++) {
            uint32_t up = row[k + 1], change = diagonal + (a.p[i] != b.p[k]);
            row[k + 1] = MIN(change, MIN(up, row[k]) + 1);
            diagonal = up;
        }
    }
    return row[b.n];
}

/* The nearest of a list of names, if it is near at all. */
struct nearest {
    str want;
    const char *name;
    uint32_t distance;
    struct host_version version;
};
static void consider(struct nearest *n, const char *name, struct host_version v) {
    uint32_t d = distance(n->want, str_c(name));
    if (d > n->want.n / 2 || (n->name && d >= n->distance)) return;
    *n = (struct nearest){n->want, name, d, v};
}

/* ---- reporting -------------------------------------------------------------------------------- */

struct report {
    arena *scratch;
    struct buf text;
    struct map seen; /* interfaces reported whole */
    uint32_t lines, more;
};
enum { LINES_MAX = 6 };

static void line(struct report *r, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void line(struct report *r, const char *fmt, ...) {
    if (r->lines++ >= LINES_MAX) {
        r->more++;
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vfmt(r->scratch, fmt, ap);
    va_end(ap);
    buf_puts(&r->text, STR("\n  "));
    buf_puts(&r->text, s);
}

static str show_version(struct report *r, struct host_version v) {
    if (!v.major && !v.minor && !v.patch) return STR("");
    return arena_fmt(r->scratch, "@%u.%u.%u%s%s", v.major, v.minor, v.patch, v.pre ? "-" : "", v.pre ? v.pre : "");
}

static void no_interface(struct report *r, const struct host_offer *offer, str name) {
    if (!map_put(r->scratch, &r->seen, name, 1)) return;
    struct component_name n;
    component_name_split(name, &n);
    struct nearest near = {.want = n.bare};
    for (uint32_t i = 0; i < offer->interfaces_count; i++)
        consider(&near, offer->interfaces[i]->name, offer->interfaces[i]->version);
    if (near.name && near.distance == 0)
        line(r, STR_FMT ": not this version; %s" STR_FMT " is offered", STR_ARG(name), near.name,
             STR_ARG(show_version(r, near.version)));
    else if (near.name)
        line(r, STR_FMT ": no such interface; the nearest is %s" STR_FMT, STR_ARG(name), near.name,
             STR_ARG(show_version(r, near.version)));
    else line(r, STR_FMT ": no such interface", STR_ARG(name));
}

static void no_func(struct report *r, const struct host_interface *in, const struct plan_import *import) {
    struct nearest near = {.want = import->name};
    for (uint32_t i = 0; i < in->funcs_count; i++) consider(&near, in->funcs[i].name, in->version);
    line(r, STR_FMT ": no function \"" STR_FMT "\"%s%s%s", STR_ARG(import->interface), STR_ARG(import->name),
         near.name ? "; the nearest is \"" : "", near.name ? near.name : "", near.name ? "\"" : "");
}

static void check_import(struct report *r, const struct host_offer *offer, const struct plan *plan,
                         const struct plan_import *import, const struct host_type *const *types) {
    const struct host_interface *in = find_interface(offer, import->interface);
    const struct host_func *f = host_offer_find(offer, import);
    if (!in && import->interface.n) {
        no_interface(r, offer, import->interface);
        return;
    }
    if (!in) {
        line(r, "function \"" STR_FMT "\" of the component's own world: only interfaces are offered", STR_ARG(import->name));
        return;
    }
    if (!f) {
        no_func(r, in, import);
        return;
    }
    const struct plan_func_type *ft = &plan->func_types[import->type];
    const struct host_type *params = host_params_of_plan(r->scratch, plan, import->type, types, false);
    const struct host_type *result = ft->result == PLAN_NONE ? NULL : types[ft->result];
    char where[200] = "";
    bool same = !params == !f->params && !result == !f->result;
    if (!same) (void)snprintf(where, sizeof where, "with and without %s", !params != !f->params ? "parameters" : "a result");
    if (same && params) {
        struct host_type offered = *f->params;
        offered.is_tuple = 1; /* parameters are matched by position */
        same = host_type_equal(params, &offered, where, sizeof where);
    }
    if (same && result) same = host_type_equal(result, f->result, where, sizeof where);
    if (same && f->async != ft->is_async) {
        same = false;
        (void)snprintf(where, sizeof where, "async and not async");
    }
    if (!same)
        line(r, STR_FMT ": \"" STR_FMT "\" has another type than the one offered (%s)", STR_ARG(import->interface),
             STR_ARG(import->name), where);
}

static void check_core(struct report *r, const struct host_offer *offer, const struct plan_host_import *import) {
    if (import->extern_kind == 0 && host_offer_core(offer, import->module, import->name)) return;
    if (import->extern_kind != 0) {
        line(r, STR_FMT "." STR_FMT ": a memory, table, global or tag; only functions are offered", STR_ARG(import->module),
             STR_ARG(import->name));
        return;
    }
    struct nearest near = {.want = import->name};
    const char *module = "";
    for (uint32_t i = 0; i < offer->core_count; i++) {
        const char *before = near.name;
        consider(&near, offer->core[i].name, (struct host_version){});
        if (near.name != before) module = offer->core[i].module;
    }
    line(r, "function " STR_FMT "." STR_FMT "%s%s%s%s", STR_ARG(import->module), STR_ARG(import->name),
         near.name ? "; the nearest is " : "", module, near.name ? "." : "", near.name ? near.name : "");
}

err host_offer_check_types(const struct host_offer *offer, const struct plan *plan, const struct host_resource *const *resources,
                           const struct host_type *const *types, struct diag *d) {
    struct report r = {.scratch = arena_new(0), .text = {.max = 700}};
    for (uint32_t i = 0; i < plan->imports_count; i++) check_import(&r, offer, plan, &plan->imports[i], types);
    for (uint32_t i = 0; i < plan->resources_count; i++) {
        const struct plan_resource *p = &plan->resources[i];
        if (!p->imported || resources[i]) continue;
        if (!find_interface(offer, p->interface)) no_interface(&r, offer, p->interface);
        else line(&r, STR_FMT ": no resource \"" STR_FMT "\"", STR_ARG(p->interface), STR_ARG(p->name));
    }
    for (uint32_t i = 0; i < plan->host_imports_count; i++) check_core(&r, offer, &plan->host_imports[i]);
    err e = ERR_OK;
    if (r.lines) {
        const char *what = plan->is_core ? "module" : "component";
        e = diag_set(d, ERR_LINK, DIAG_NOWHERE, "this %s imports what is not offered here:" STR_FMT, what,
                     STR_ARG(buf_str(&r.text)));
        if (r.more && d) {
            size_t n = strlen(d->text);
            snprintf(d->text + n, sizeof d->text - n, "\n  and %u more", r.more);
        }
    }
    buf_free(&r.text);
    arena_free(r.scratch);
    return e;
}

err host_offer_check(const struct host_offer *offer, const struct plan *plan, struct diag *d) {
    arena *scratch = arena_new(0);
    const struct host_resource *const *resources = host_resources_of_plan(scratch, plan, offer);
    const struct host_type *const *types = host_types_of_plan(scratch, plan, resources, false);
    err e = host_offer_check_types(offer, plan, resources, types, d);
    arena_free(scratch);
    return e;
}
