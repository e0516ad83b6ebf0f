/* scope: the index spaces of a component, component type or instance type, and its type once it is complete.
 */
#include "component/component_int.h"

struct cscope *cscope_new(struct cvalidator *v, struct cscope *parent, enum cscope_kind kind) {
    struct cscope *s = arena_make(v->arena, struct cscope);
    s->kind = kind;
    s->parent = parent;
    s->depth = parent ? parent->depth + 1 : 0;
    s->named_imports = cptrs_new(v->arena);
    s->named_exports = cptrs_new(v->arena);
    return s;
}

struct cdef *cscope_def(struct cvalidator *v, struct cscope *s, enum cdef_kind kind) {
    if (s->kind != CSCOPE_COMPONENT) return NULL;
    struct cdef *d = vec_add(v->arena, &s->component->defs);
    d->kind = kind;
    return d;
}

err cscope_push(struct cvalidator *v, struct cscope *s, struct centity e, uint64_t at) {
    uint32_t n = 0;
    switch (e.kind) {
    case CE_MODULE:
        vec_push(v->arena, &s->core_modules, e.module);
        n = s->core_modules.n;
        break;
    case CE_FUNC:
        vec_push(v->arena, &s->funcs, e.type);
        n = s->funcs.n;
        break;
    case CE_VALUE:
        vec_push(v->arena, &s->values, e.type);
        n = s->values.n;
        break;
    case CE_TYPE:
        vec_push(v->arena, &s->types, e.type);
        n = s->types.n;
        break;
    case CE_COMPONENT:
        vec_push(v->arena, &s->components, e.type);
        n = s->components.n;
        break;
    case CE_INSTANCE:
        vec_push(v->arena, &s->instances, e.type);
        n = s->instances.n;
        break;
    }
    if (n > CMAX_COUNT) CLIMIT(at, "%ss count exceeds the limit of %u", centity_text(e.kind), CMAX_COUNT);
    return ERR_OK;
}

err cscope_type(struct cvalidator *v, struct cscope *s, uint32_t index, const struct ctype **t, uint64_t at) {
    if (index >= s->types.n) CFAIL(at, "unknown type %u: type index out of bounds", index);
    *t = s->types.p[index];
    return ERR_OK;
}

err cscope_entity(struct cvalidator *v, struct cscope *s, enum csort sort, uint32_t index, struct centity *e, uint64_t at) {
    *e = (struct centity){0};
    switch (sort) {
    case CSORT_CORE_MODULE:
        if (index >= s->core_modules.n) CFAIL(at, "unknown module %u: module index out of bounds", index);
        *e = (struct centity){.kind = CE_MODULE, .module = s->core_modules.p[index]};
        return ERR_OK;
    case CSORT_FUNC:
        if (index >= s->funcs.n) CFAIL(at, "unknown function %u: function index out of bounds", index);
        *e = (struct centity){.kind = CE_FUNC, .type = s->funcs.p[index]};
        return ERR_OK;
    case CSORT_TYPE:
        e->kind = CE_TYPE;
        TRY(cscope_type(v, s, index, &e->type, at));
        e->referenced = e->type;
        return ERR_OK;
    case CSORT_COMPONENT:
        if (index >= s->components.n) CFAIL(at, "unknown component %u: component index out of bounds", index);
        *e = (struct centity){.kind = CE_COMPONENT, .type = s->components.p[index]};
        return ERR_OK;
    case CSORT_INSTANCE:
        if (index >= s->instances.n) CFAIL(at, "unknown instance %u: instance index out of bounds", index);
        *e = (struct centity){.kind = CE_INSTANCE, .type = s->instances.p[index]};
        return ERR_OK;
    case CSORT_VALUE: CUNSUPPORTED(at, "component values are not supported");
    default: CMALFORMED(at, "core items other than modules cannot be imported, exported or given as arguments");
    }
}

/* ---- closing ------------------------------------------------------------------------------------ */

/* The resources that a component's exports name, and that it does not import: each instance has its own. */
static void explicit_resources(struct cvalidator *v, struct cscope *s, struct cptrs *imported, struct cptrs *done,
                               const struct cextern *x, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (x[i].e.kind == CE_INSTANCE)
            explicit_resources(v, s, imported, done, x[i].e.type->exports, x[i].e.type->exports_count);
        if (x[i].e.kind != CE_TYPE || x[i].e.type->kind != CT_RESOURCE) continue;
        struct cres *r = x[i].e.type->res;
        if (cptrs_get(imported, r->id) || cptrs_get(done, r->id)) continue;
        cptrs_put(v->arena, done, r->id, r);
        vec_push(v->arena, &s->fresh, r);
    }
}

static err check_resources(struct cvalidator *v, struct cscope *s, uint64_t at) {
    struct cptrs *imports = ctypes_free(v->ts, s->imports.p, s->imports.n);
    if (s->kind == CSCOPE_COMPONENT_TYPE) {
        for (uint32_t i = 0; i < s->fresh.n; i++)
            if (cptrs_get(imports, s->fresh.p[i]->id)) CFAIL(at, "local resource type found in imports");
        return ERR_OK;
    }
    struct cptrs *imported = csub_vars(v->ts, s->imported.p, s->imported.n);
    struct cptrs *done = cptrs_new(v->arena);
    s->fresh.n = 0;
    explicit_resources(v, s, imported, done, s->exports.p, s->exports.n);
    if (cptrs_other(imports, imported, NULL)) CFAIL(at, "local resource type found in imports");
    struct cptrs *exports = ctypes_free(v->ts, s->exports.p, s->exports.n);
    if (cptrs_other(exports, imported, done)) CFAIL(at, "local resource type found in export but not exported itself");
    return ERR_OK;
}

err cscope_close(struct cvalidator *v, struct cscope *s, const struct ctype **out, uint64_t at) {
    if (s->kind != CSCOPE_INSTANCE_TYPE) TRY(check_resources(v, s, at));
    struct ctype *t = ctypes_new_node(v->ts, s->kind == CSCOPE_INSTANCE_TYPE ? CT_INSTANCE : CT_COMPONENT);
    t->imports = s->imports.p;
    t->imports_count = s->imports.n;
    t->exports = s->exports.p;
    t->exports_count = s->exports.n;
    t->imported = s->imported.p;
    t->imported_count = s->imported.n;
    t->fresh = s->fresh.p;
    t->fresh_count = s->fresh.n;
    *out = t;
    return ctypes_seal(v->ts, t, v->d, at);
}
