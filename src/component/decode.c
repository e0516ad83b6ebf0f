/* decode: the sections of a component; aliases and instances (Binary.md, Component, Instance and Alias
 * Definitions).
 *
 * One pass: each definition is decoded, checked and entered in its index space before the next is looked at.
 */
#include "component/component_int.h"

/* ---- sorts -------------------------------------------------------------------------------------- */

static err core_sort(struct crd *r, enum csort *sort, const char *what) {
    uint64_t at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    switch (b) {
    case 0x00:
    case 0x01:
    case 0x02:
    case 0x03:
    case 0x04: *sort = (enum csort)(CSORT_CORE_FUNC + b); return ERR_OK;
    case 0x10: *sort = CSORT_CORE_TYPE; return ERR_OK;
    case 0x11: *sort = CSORT_CORE_MODULE; return ERR_OK;
    case 0x12: *sort = CSORT_CORE_INSTANCE; return ERR_OK;
    default: (void)diag_set(r->d, ERR_MALFORMED, at, "invalid leading byte (0x%x) for %s", b, what); return ERR_MALFORMED;
    }
}

static err sort_of(struct crd *r, enum csort *sort, const char *what) {
    static const enum csort sorts[] = {
        [1] = CSORT_FUNC, [2] = CSORT_VALUE, [3] = CSORT_TYPE, [4] = CSORT_COMPONENT, [5] = CSORT_INSTANCE};
    uint64_t at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    if (b == 0) return core_sort(r, sort, what);
    if (b >= ARRAY_COUNT(sorts)) {
        (void)diag_set(r->d, ERR_MALFORMED, at, "invalid leading byte (0x%x) for %s", b, what);
        return ERR_MALFORMED;
    }
    *sort = sorts[b];
    return ERR_OK;
}

err cdec_sort(struct crd *r, enum csort *sort) {
    uint64_t at = crd_at(r);
    TRY(sort_of(r, sort, "component external kind"));
    if (*sort < CSORT_FUNC && *sort != CSORT_CORE_MODULE)
        return diag_set(r->d, ERR_MALFORMED, at, "invalid leading byte (0x%x) for component external kind", r->p[-1]);
    return ERR_OK;
}

static const char *sort_text(enum csort s) {
    static const char *const text[] = {"func",     "table", "memory", "global", "tag",       "type",    "module",
                                       "instance", "func",  "value",  "type",   "component", "instance"};
    return text[s];
}

/* ---- aliases ------------------------------------------------------------------------------------ */

static err alias_export(struct cvalidator *v, struct cscope *s, struct crd *r, enum csort sort, uint64_t at) {
    static const enum csort sorts[] = {
        [CE_MODULE] = CSORT_CORE_MODULE, [CE_FUNC] = CSORT_FUNC,           [CE_VALUE] = CSORT_VALUE,
        [CE_TYPE] = CSORT_TYPE,          [CE_COMPONENT] = CSORT_COMPONENT, [CE_INSTANCE] = CSORT_INSTANCE};
    uint32_t instance;
    str name;
    TRY(crd_u32(r, &instance));
    TRY(crd_name(r, &name));
    if (sort < CSORT_FUNC && sort != CSORT_CORE_MODULE)
        CMALFORMED(at, "a component instance exports no core %ss", sort_text(sort));
    if (s->kind != CSCOPE_COMPONENT && sort != CSORT_TYPE && sort != CSORT_INSTANCE)
        CFAIL(at, "aliases in a component or instance type may only refer to types or instances");
    if (instance >= s->instances.n) CFAIL(at, "unknown instance %u: instance index out of bounds", instance);
    const struct cextern *x = ctype_export(s->instances.p[instance], name);
    if (!x) CFAIL(at, "instance %u has no export named `" STR_FMT "`", instance, STR_ARG(name));
    if (sorts[x->e.kind] != sort)
        CFAIL(at, "export `" STR_FMT "` for instance %u is not a %s", STR_ARG(name), instance, sort_text(sort));
    struct cdef *def = cscope_def(v, s, CDEF_ALIAS_EXPORT);
    if (def) {
        def->sort = sort;
        def->index = instance;
        def->name = name;
        def->e = x->e;
    }
    return cscope_push(v, s, x->e, at);
}

static err alias_core_export(struct cvalidator *v, struct cscope *s, struct crd *r, enum csort sort, uint64_t at) {
    uint32_t instance;
    str name;
    struct ccore item;
    if (sort > CSORT_CORE_TAG) CMALFORMED(at, "invalid leading byte for core instance export kind");
    TRY(crd_u32(r, &instance));
    TRY(crd_name(r, &name));
    if (s->kind != CSCOPE_COMPONENT) CFAIL(at, "aliases in a component or instance type may only refer to types or instances");
    TRY(ccore_export(v, s, instance, name, (enum wasm_extern)sort, &item, at));
    uint32_t n = 0;
    switch (item.kind) {
    case WASM_EXTERN_FUNC:
        vec_push(v->arena, &s->core_funcs, item.type_id);
        n = s->core_funcs.n;
        break;
    case WASM_EXTERN_TABLE:
        vec_push(v->arena, &s->core_tables, item);
        n = s->core_tables.n;
        break;
    case WASM_EXTERN_MEMORY:
        vec_push(v->arena, &s->core_memories, item);
        n = s->core_memories.n;
        break;
    case WASM_EXTERN_GLOBAL:
        vec_push(v->arena, &s->core_globals, item);
        n = s->core_globals.n;
        break;
    case WASM_EXTERN_TAG:
        vec_push(v->arena, &s->core_tags, item);
        n = s->core_tags.n;
        break;
    }
    if (n > CMAX_COUNT) CLIMIT(at, "core %ss count exceeds the limit of %u", wasm_extern_text(item.kind), CMAX_COUNT);
    struct cdef *def = cscope_def(v, s, CDEF_ALIAS_CORE_EXPORT);
    def->sort = sort;
    def->index = instance;
    def->name = name;
    return ERR_OK;
}

static err outer_type(struct cvalidator *v, struct cscope *s, struct cscope *outer, bool crosses, uint32_t index, uint64_t at) {
    const struct ctype *t;
    TRY(cscope_type(v, outer, index, &t, at));
    if (crosses && ctypes_has_free(v->ts, t))
        CFAIL(at, "cannot alias outer type which transitively refers to resources not defined in the current "
                  "component");
    return cscope_push(v, s, (struct centity){.kind = CE_TYPE, .type = t, .referenced = t}, at);
}

static err alias_outer(struct cvalidator *v, struct cscope *s, struct crd *r, enum csort sort, uint64_t at) {
    uint32_t count, index;
    struct centity e;
    bool crosses = false;
    TRY(crd_u32(r, &count));
    TRY(crd_u32(r, &index));
    if (s->kind != CSCOPE_COMPONENT && sort != CSORT_TYPE && sort != CSORT_CORE_TYPE)
        CFAIL(at, "aliases in a component or instance type may only refer to types or instances");
    struct cscope *outer = s;
    for (uint32_t i = 0; i < count && outer; i++) {
        crosses |= outer->kind == CSCOPE_COMPONENT;
        outer = outer->parent;
    }
    if (!outer) CFAIL(at, "invalid outer alias count of %u", count);
    struct cdef *def = cscope_def(v, s, CDEF_ALIAS_OUTER);
    if (def) {
        def->sort = sort;
        def->index = count;
        def->outer_index = index;
    }
    if (sort == CSORT_TYPE) return outer_type(v, s, outer, crosses, index, at);
    if (sort == CSORT_CORE_TYPE) {
        if (index >= outer->core_types.n) CFAIL(at, "unknown type %u: type index out of bounds", index);
        const struct ccore_type_def *t = &outer->core_types.p[index];
        struct ccore_type_def copy = {t->module, t->type_id, CCORE_TYPE_ELSEWHERE, {0}};
        vec_push(v->arena, &s->core_types, copy);
        return ERR_OK;
    }
    TRY(cscope_entity(v, outer, sort, index, &e, at));
    return cscope_push(v, s, e, at);
}

err cdec_alias(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    enum csort sort = CSORT_CORE_FUNC;
    uint8_t b, target;
    struct crd ahead = *r; /* what a sort byte means is told by the target after it */
    TRY(crd_u8(&ahead, &b));
    if (b == 0) TRY(crd_u8(&ahead, &b));
    TRY(crd_u8(&ahead, &target));
    if (target > 2) CMALFORMED(crd_at(&ahead) - 1, "invalid leading byte (0x%x) for alias", target);
    static const char *const whats[] = {"component external kind", "core instance export kind", "component outer alias kind"};
    TRY(sort_of(r, &sort, whats[target]));
    TRY(crd_u8(r, &target));
    if (target == 0) return alias_export(v, s, r, sort, at);
    if (target == 1) return alias_core_export(v, s, r, sort, at);
    if (sort != CSORT_CORE_MODULE && sort != CSORT_CORE_TYPE && sort != CSORT_TYPE && sort != CSORT_COMPONENT)
        CMALFORMED(at, "invalid leading byte (0x%x) for component outer alias kind", b);
    return alias_outer(v, s, r, sort, at);
}

/* ---- instances ---------------------------------------------------------------------------------- */

static err arguments(struct cvalidator *v, struct cscope *s, struct crd *r, struct cref **out, uint32_t *n) {
    struct map seen = {0};
    TRY(crd_count(r, CMAX_COUNT, "instantiation arguments", n));
    struct cref *refs = arena_array(v->arena, struct cref, *n);
    for (uint32_t i = 0; i < *n; i++) {
        uint64_t at = crd_at(r);
        TRY(crd_name(r, &refs[i].name));
        TRY(cdec_sort(r, &refs[i].sort));
        TRY(crd_u32(r, &refs[i].index));
        TRY(cscope_entity(v, s, refs[i].sort, refs[i].index, &refs[i].e, at));
        if (!map_put(v->arena, &seen, refs[i].name, 1))
            CFAIL(at, "instantiation argument `" STR_FMT "` conflicts with previous argument `" STR_FMT "`",
                  STR_ARG(refs[i].name), STR_ARG(refs[i].name));
    }
    *out = refs;
    return ERR_OK;
}

/* The type of an instance of component type c given arguments. */
static err instance_of(struct cvalidator *v, const struct ctype *c, const struct cref *args, uint32_t n, const struct ctype **out,
                       uint64_t at) {
    struct csubst s;
    struct cextern *have = arena_array(v->arena, struct cextern, n);
    for (uint32_t i = 0; i < n; i++) have[i] = (struct cextern){args[i].name, args[i].e};
    csubst_init(&s, v->ts);
    TRY(csub_open(&s, have, n, c->imports, c->imports_count, c->imported, c->imported_count, "import", v->d, at));
    for (uint32_t i = 0; i < c->fresh_count; i++)
        csubst_bind(&s, c->fresh[i], ctypes_res_node(v->ts, ctypes_new_res(v->ts, NULL)));
    struct cextern *exports = arena_array(v->arena, struct cextern, c->exports_count);
    for (uint32_t i = 0; i < c->exports_count; i++)
        exports[i] = (struct cextern){c->exports[i].name, csubst_entity(&s, c->exports[i].e)};
    struct ctype *t = ctypes_new_node(v->ts, CT_INSTANCE);
    t->exports = exports;
    t->exports_count = c->exports_count;
    *out = t;
    return ctypes_seal(v->ts, t, v->d, at);
}

static err instantiate(struct cvalidator *v, struct cscope *s, struct crd *r, uint64_t at) {
    uint32_t component, n;
    struct cref *args = NULL;
    const struct ctype *t;
    TRY(crd_u32(r, &component));
    TRY(arguments(v, s, r, &args, &n));
    if (component >= s->components.n) CFAIL(at, "unknown component %u: component index out of bounds", component);
    TRY(instance_of(v, s->components.p[component], args, n, &t, at));
    struct cdef *def = cscope_def(v, s, CDEF_INSTANCE);
    def->index = component;
    def->refs = args;
    def->refs_count = n;
    def->e = (struct centity){.kind = CE_INSTANCE, .type = t};
    return cscope_push(v, s, def->e, at);
}

static err inline_exports(struct cvalidator *v, struct cscope *s, struct crd *r, uint64_t at) {
    uint32_t n;
    struct cnames names = {0};
    TRY(crd_count(r, CMAX_COUNT, "inline exports", &n));
    struct cref *refs = arena_array(v->arena, struct cref, n);
    struct cextern *exports = arena_array(v->arena, struct cextern, n);
    for (uint32_t i = 0; i < n; i++) {
        struct cextern_name name;
        uint64_t item_at = crd_at(r);
        TRY(cdec_extern_name(v, r, &name));
        TRY(cdec_sort(r, &refs[i].sort));
        TRY(crd_u32(r, &refs[i].index));
        TRY(cscope_entity(v, s, refs[i].sort, refs[i].index, &refs[i].e, item_at));
        TRY(cnames_add(v, &names, "export", &name, refs[i].e, item_at));
        refs[i].name = name.name;
        exports[i] = (struct cextern){name.name, refs[i].e};
    }
    struct ctype *t = ctypes_new_node(v->ts, CT_INSTANCE);
    t->exports = exports;
    t->exports_count = n;
    TRY(ctypes_seal(v->ts, t, v->d, at));
    struct cdef *def = cscope_def(v, s, CDEF_EXPORTS);
    def->refs = refs;
    def->refs_count = n;
    def->e = (struct centity){.kind = CE_INSTANCE, .type = t};
    return cscope_push(v, s, def->e, at);
}

static err cdec_instance(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    if (b == 0) return instantiate(v, s, r, at);
    if (b == 1) return inline_exports(v, s, r, at);
    CMALFORMED(at, "invalid leading byte (0x%x) for instance", b);
}

/* ---- sections ----------------------------------------------------------------------------------- */

static err decode_component(struct cvalidator *v, struct component *c, struct cscope *parent, struct crd r);

static err nested_component(struct cvalidator *v, struct cscope *s, struct crd *r) {
    struct component *c = arena_make(v->arena, struct component);
    uint64_t at = crd_at(r);
    c->bytes = (str){r->p, (size_t)(r->end - r->p)};
    c->offset = at;
    c->types = v->ts;
    r->p = r->end;
    struct crd inner = {c->bytes.p, c->bytes.p + c->bytes.n, c->bytes.p, at, v->d};
    TRY(decode_component(v, c, s, inner));
    struct cdef *def = cscope_def(v, s, CDEF_COMPONENT);
    def->component = c;
    return cscope_push(v, s, (struct centity){.kind = CE_COMPONENT, .type = c->type}, at);
}

static err items(struct cvalidator *v, struct cscope *s, struct crd *r,
                 err (*item)(struct cvalidator *, struct cscope *, struct crd *)) {
    uint32_t n;
    TRY(crd_count(r, CMAX_COUNT, "definitions", &n));
    for (uint32_t i = 0; i < n; i++) TRY(item(v, s, r));
    return ERR_OK;
}

static err section(struct cvalidator *v, struct cscope *s, uint8_t id, uint64_t id_at, struct crd *r) {
    static err (*const vectors[])(struct cvalidator *, struct cscope *, struct crd *) = {
        [2] = cdec_core_instance, [3] = cdec_core_type, [5] = cdec_instance, [6] = cdec_alias,
        [7] = cdec_type,          [8] = cdec_canon,     [10] = cdec_import,  [11] = cdec_export};
    str name;
    switch (id) {
    case 0:
        TRY(crd_name(r, &name));
        r->p = r->end;
        return ERR_OK;
    case 1: return cdec_core_module(v, s, r);
    case 4: return nested_component(v, s, r);
    case 9: CUNSUPPORTED(id_at, "component start functions are not supported");
    case 12: CUNSUPPORTED(id_at, "component values are not supported");
    default: return items(v, s, r, vectors[id]);
    }
}

static err preamble(struct cvalidator *v, struct crd *r) {
    str bytes = {r->p, (size_t)(r->end - r->p)};
    struct diag d = DIAG_INIT;
    enum component_kind kind = component_kind(bytes, &d);
    if (kind == COMPONENT_KIND_MODULE) CMALFORMED(crd_at(r), "expected a version header for a component");
    if (kind != COMPONENT_KIND_COMPONENT) CMALFORMED(crd_at(r) + d.offset, "%s", d.text);
    r->p += 8;
    return ERR_OK;
}

static err decode_component(struct cvalidator *v, struct component *c, struct cscope *parent, struct crd r) {
    struct cscope *s = cscope_new(v, parent, CSCOPE_COMPONENT);
    c->scope = s;
    s->component = c;
    if (s->depth > CMAX_SCOPE_DEPTH) CLIMIT(crd_at(&r), "components nested deeper than %u", CMAX_SCOPE_DEPTH);
    TRY(preamble(v, &r));
    while (!crd_end(&r)) {
        uint64_t at = crd_at(&r);
        uint8_t id;
        uint32_t size;
        str body;
        TRY(crd_u8(&r, &id));
        if (id > 12) CMALFORMED(at, "malformed section id: %u", id);
        TRY(crd_u32(&r, &size));
        uint64_t body_at = crd_at(&r);
        if ((size_t)(r.end - r.p) < size)
            CMALFORMED(at, "unexpected end-of-file: section %u is %u bytes long, %zu are left: the file is cut short", id, size,
                       (size_t)(r.end - r.p));
        TRY(crd_bytes(&r, size, &body));
        struct crd in = {body.p, body.p + body.n, body.p, body_at, v->d};
        TRY(section(v, s, id, at, &in));
        if (!crd_end(&in)) CMALFORMED(crd_at(&in), "section size mismatch: unexpected data at the end of the section");
    }
    return cscope_close(v, s, &c->type, crd_at(&r));
}

err component_decode(arena *out, str bytes, struct component **component, struct diag *d) {
    struct component *c = arena_make(out, struct component);
    c->bytes = bytes;
    c->types = ctypes_new(out);
    struct cvalidator v = {out, d, c->types, c};
    TRY(decode_component(&v, c, NULL, (struct crd){bytes.p, bytes.p + bytes.n, bytes.p, 0, d}));
    *component = c;
    return ERR_OK;
}

err component_validate_code(const struct component *c, struct diag *d) {
    for (uint32_t i = 0; i < c->modules.n; i++) {
        const struct cmodule *m = &c->modules.p[i];
        struct diag inner = DIAG_INIT;
        err e = wasm_validate_bodies(m->module, &inner);
        if (e != ERR_OK)
            return diag_set(d, e, inner.offset == DIAG_NOWHERE ? m->offset : m->offset + inner.offset, "core module %u: %s", i,
                            inner.text);
    }
    for (uint32_t i = 0; i < c->defs.n; i++)
        if (c->defs.p[i].kind == CDEF_COMPONENT) TRY(component_validate_code(c->defs.p[i].component, d));
    return ERR_OK;
}
