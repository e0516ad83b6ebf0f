/* core: core types, core modules and core instances inside a component (Binary.md, Instance and Type
 * Definitions). */
#include "component/component_int.h"

/* ---- value types -------------------------------------------------------------------------------- */

static bool abstract_heap(int64_t code, uint32_t *heap) {
    switch (code) {
    case -0x10: *heap = WASM_HEAP_FUNC; return true;     /* 0x70 */
    case -0x11: *heap = WASM_HEAP_EXTERN; return true;   /* 0x6f */
    case -0x12: *heap = WASM_HEAP_ANY; return true;      /* 0x6e */
    case -0x13: *heap = WASM_HEAP_EQ; return true;       /* 0x6d */
    case -0x14: *heap = WASM_HEAP_I31; return true;      /* 0x6c */
    case -0x15: *heap = WASM_HEAP_STRUCT; return true;   /* 0x6b */
    case -0x16: *heap = WASM_HEAP_ARRAY; return true;    /* 0x6a */
    case -0x17: *heap = WASM_HEAP_EXN; return true;      /* 0x69 */
    case -0x0f: *heap = WASM_HEAP_NONE; return true;     /* 0x71 */
    case -0x0e: *heap = WASM_HEAP_NOEXTERN; return true; /* 0x72 */
    case -0x0d: *heap = WASM_HEAP_NOFUNC; return true;   /* 0x73 */
    case -0x0c: *heap = WASM_HEAP_NOEXN; return true;    /* 0x74 */
    default: return false;
    }
}

/* A heap type with canonical ids. */
static err heap_type(struct cvalidator *v, struct cscope *s, struct crd *r, uint32_t *heap) {
    uint64_t at = crd_at(r);
    int64_t code;
    TRY(crd_s33(r, &code));
    if (code < 0) {
        if (!abstract_heap(code, heap)) CMALFORMED(at, "invalid heap type");
        return ERR_OK;
    }
    if (code >= s->core_types.n) CFAIL(at, "unknown type %lld: type index out of bounds", (long long)code);
    const struct ccore_type_def *t = &s->core_types.p[code];
    if (t->module) CFAIL(at, "type index %lld is a module type, not a sub type", (long long)code);
    *heap = WASM_HEAP_INDEX + t->type_id;
    return ERR_OK;
}

err cdec_core_valtype(struct cvalidator *v, struct cscope *s, struct crd *r, wasm_type *t) {
    uint64_t at = crd_at(r);
    uint32_t heap;
    if (crd_end(r)) CMALFORMED(at, "unexpected end-of-file");
    uint8_t b = *r->p;
    static const wasm_type numbers[] = {WASM_V128, WASM_F64, WASM_F32, WASM_I64, WASM_I32}; /* 0x7b … 0x7f */
    if (b >= 0x7b && b <= 0x7f) {
        r->p++;
        *t = numbers[b - 0x7b];
        return ERR_OK;
    }
    if (b == 0x63 || b == 0x64) {
        r->p++;
        TRY(heap_type(v, s, r, &heap));
        *t = wasm_ref(heap, b == 0x63);
        return ERR_OK;
    }
    if (b >= 0x40 && b < 0x80 && abstract_heap((int64_t)b - 0x80, &heap)) {
        r->p++;
        *t = wasm_ref(heap, true);
        return ERR_OK;
    }
    CMALFORMED(at, "invalid leading byte (0x%x) for core value type", b);
}

static err valtypes(struct cvalidator *v, struct cscope *s, struct crd *r, wasm_type **types, uint32_t *n) {
    TRY(crd_count(r, CMAX_PARAMS, "core parameters or results", n));
    *types = arena_array(v->arena, wasm_type, *n);
    for (uint32_t i = 0; i < *n; i++) TRY(cdec_core_valtype(v, s, r, &(*types)[i]));
    return ERR_OK;
}

static err func_type(struct cvalidator *v, struct cscope *s, struct crd *r, uint32_t *id) {
    wasm_type *params, *results;
    uint32_t params_count, results_count;
    TRY(valtypes(v, s, r, &params, &params_count));
    TRY(valtypes(v, s, r, &results, &results_count));
    *id = wasm_types_func(v->ts->core, params, params_count, results, results_count);
    return ERR_OK;
}

/* ---- other type definitions: through a module made up of them ----------------------------------- */

/* A reference to a type that is not defined in this scope could not be repeated in the made-up module. */
static err concrete(struct cvalidator *v, struct cscope *s, int64_t index, uint64_t at) {
    if (index < 0 || index >= s->core_types.n) return ERR_OK;
    const struct ccore_type_def *t = &s->core_types.p[index];
    if (t->module) CFAIL(at, "type index %lld is a module type, not a sub type", (long long)index);
    if (t->origin == CCORE_TYPE_ELSEWHERE)
        CUNSUPPORTED(at, "a recursion group that refers to a core type of an outer component is not supported");
    return ERR_OK;
}

static err skip_valtype(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    uint8_t b;
    int64_t code;
    TRY(crd_u8(r, &b));
    if (b != 0x63 && b != 0x64) return ERR_OK;
    TRY(crd_s33(r, &code));
    return concrete(v, s, code, at);
}

static err skip_comptype(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint8_t b;
    uint32_t n;
    uint64_t at = crd_at(r);
    TRY(crd_u8(r, &b));
    if (b == 0x60) {
        for (int k = 0; k < 2; k++) {
            TRY(crd_count(r, CMAX_PARAMS, "core parameters or results", &n));
            while (n--) TRY(skip_valtype(v, s, r));
        }
        return ERR_OK;
    }
    if (b != 0x5e && b != 0x5f) CMALFORMED(at, "invalid leading byte (0x%x) for core type", b);
    n = 1;
    if (b == 0x5f) TRY(crd_count(r, CMAX_PARAMS * 10, "fields", &n));
    while (n--) {
        TRY(skip_valtype(v, s, r));
        TRY(crd_u8(r, &b));
    }
    return ERR_OK;
}

static err skip_subtype(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint32_t n, super;
    if (!crd_end(r) && (*r->p == 0x50 || *r->p == 0x4f)) {
        r->p++;
        TRY(crd_count(r, CMAX_PARAMS, "supertypes", &n));
        while (n--) {
            uint64_t at = crd_at(r);
            TRY(crd_u32(r, &super));
            TRY(concrete(v, s, super, at));
        }
    }
    return skip_comptype(v, s, r);
}

static void put_u32(struct buf *b, uint32_t value) {
    for (; value > 0x7f; value >>= 7) buf_putc(b, (uint8_t)(value | 0x80));
    buf_putc(b, (uint8_t)value);
}

/* A module of the scope's types so far, then the group: an index means in it what it means here. */
static str module_of_types(struct cvalidator *v, const struct cscope *s, str group) {
    struct buf types = {0}, module = {0}, count = {0};
    uint32_t groups = 1;
    for (uint32_t i = 0; i < s->core_types.n; i++) {
        const struct ccore_type_def *t = &s->core_types.p[i];
        groups += t->origin != CCORE_TYPE_MEMBER;
        buf_puts(&types, t->origin == CCORE_TYPE_ELSEWHERE ? STR("\x60\0\0") : t->group);
    }
    buf_puts(&types, group);
    put_u32(&count, groups);
    buf_put(&module, "\0asm\x01\0\0\0\x01", 9);
    put_u32(&module, (uint32_t)(count.n + types.n));
    buf_puts(&module, buf_str(&count));
    buf_puts(&module, buf_str(&types));
    str bytes = arena_str(v->arena, buf_str(&module));
    buf_free(&types);
    buf_free(&module);
    buf_free(&count);
    return bytes;
}

static void push_group(struct cvalidator *v, struct cscope *s, str group, const uint32_t *ids, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        struct ccore_type_def def = {.type_id = ids[i], .origin = i ? CCORE_TYPE_MEMBER : CCORE_TYPE_FIRST};
        if (i == 0) def.group = group;
        vec_push(v->arena, &s->core_types, def);
    }
}

/* A group of types that is not one plain function type: `wasm` makes it canonical, as part of a module. */
static err rec_group(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    const uint8_t *start = r->p;
    uint32_t n = 1, before = s->core_types.n;
    if (!crd_end(r) && *r->p == 0x4e) {
        r->p++;
        TRY(crd_count(r, CMAX_COUNT, "types of a recursion group", &n));
    }
    for (uint32_t i = 0; i < n; i++) TRY(skip_subtype(v, s, r));
    if (before > 10'000) CLIMIT(at, "more than 10000 core types in a component");
    if (n == 0) return ERR_OK;
    str group = {start, (size_t)(r->p - start)};
    struct wasm_module *m = arena_make(v->arena, struct wasm_module);
    struct diag d = DIAG_INIT;
    err e = wasm_decode(v->arena, module_of_types(v, s, group), m, &d);
    if (e == ERR_OK) e = wasm_validate(v->arena, m, v->ts->core, &d);
    if (e != ERR_OK) return diag_set(v->d, e, at, "%s", d.text);
    push_group(v, s, group, m->type_ids + before, n);
    return ERR_OK;
}

/* A function type is taken as it stands, which allows references to any type; one that refers to itself is a
 * recursion group. */
static err func_or_group(struct cvalidator *v, struct cscope *s, struct crd *r) {
    struct cvalidator quiet = *v;
    struct crd ahead = *r;
    uint32_t id = 0;
    quiet.d = ahead.d = NULL;
    ahead.p++;
    if (func_type(&quiet, s, &ahead, &id) != ERR_OK) return rec_group(v, s, r);
    push_group(v, s, (str){r->p, (size_t)(ahead.p - r->p)}, &id, 1);
    r->p = ahead.p;
    return ERR_OK;
}

/* ---- external types ----------------------------------------------------------------------------- */

static err limits(struct cvalidator *v, struct crd *r, struct wasm_limits *l, bool memory) {
    uint8_t flags;
    uint64_t at = crd_at(r);
    TRY(crd_u8(r, &flags));
    if (flags > 7) CMALFORMED(at, "malformed limits flags 0x%x", flags);
    *l = (struct wasm_limits){.max = UINT64_MAX, .has_max = flags & 1, .shared = flags & 2, .is64 = flags & 4};
    TRY(crd_u64(r, &l->min));
    if (l->has_max) TRY(crd_u64(r, &l->max));
    if (!l->is64 && (l->min > UINT32_MAX || (l->has_max && l->max > UINT32_MAX))) CMALFORMED(at, "integer too large");
    if (l->min > l->max) CFAIL(at, "size minimum must not be greater than maximum");
    uint64_t pages_max = l->is64 ? 1ull << 48 : 1ull << 16;
    if (memory && (l->min > pages_max || (l->has_max && l->max > pages_max)))
        CFAIL(at, "memory size must be at most 2**%u 64-KiB pages", l->is64 ? 48 : 16);
    if (l->shared && !l->has_max) CFAIL(at, "shared memory must have maximum size");
    return ERR_OK;
}

static err core_func_index(struct cvalidator *v, struct cscope *s, struct crd *r, uint32_t *id) {
    uint64_t at = crd_at(r);
    uint32_t index;
    TRY(crd_u32(r, &index));
    if (index >= s->core_types.n) CFAIL(at, "unknown type %u: type index out of bounds", index);
    const struct ccore_type_def *t = &s->core_types.p[index];
    if (t->module) CFAIL(at, "type index %u is a module type, not a sub type", index);
    if (v->ts->core->defs.p[t->type_id].comp != WASM_COMP_FUNC) CFAIL(at, "type index %u is not a function type", index);
    *id = t->type_id;
    return ERR_OK;
}

static err core_externtype(struct cvalidator *v, struct cscope *s, struct crd *r, struct ccore *out) {
    uint64_t at = crd_at(r);
    uint8_t kind, b;
    TRY(crd_u8(r, &kind));
    *out = (struct ccore){.kind = (enum wasm_extern)kind};
    switch (kind) {
    case 0: return core_func_index(v, s, r, &out->type_id);
    case 1:
        TRY(cdec_core_valtype(v, s, r, &out->type));
        if (!wasm_is_ref(out->type)) CMALFORMED(at, "malformed reference type");
        return limits(v, r, &out->limits, false);
    case 2: return limits(v, r, &out->limits, true);
    case 3:
        TRY(cdec_core_valtype(v, s, r, &out->type));
        TRY(crd_u8(r, &b));
        if (b > 1) CMALFORMED(at, "malformed mutability");
        out->mutable = b;
        return ERR_OK;
    case 4:
        TRY(crd_u8(r, &b));
        if (b) CMALFORMED(at, "invalid leading byte (0x%x) for tag attribute", b);
        return core_func_index(v, s, r, &out->type_id);
    default: CMALFORMED(at, "invalid leading byte (0x%x) for core external kind", kind);
    }
}

/* ---- module types ------------------------------------------------------------------------------- */

struct module_decls {
    struct cscope scope; /* only its core types */
    VEC(struct ccore_named) imports, exports;
    struct map import_names, export_names;
};

static err module_import(struct cvalidator *v, struct module_decls *m, struct crd *r) {
    uint64_t at = crd_at(r);
    struct ccore_named x = {0};
    TRY(crd_name(r, &x.module));
    TRY(crd_name(r, &x.name));
    TRY(core_externtype(v, &m->scope, r, &x.type));
    str key = arena_fmt(v->arena, "%zu:" STR_FMT ":" STR_FMT, x.module.n, STR_ARG(x.module), STR_ARG(x.name));
    if (!map_put(v->arena, &m->import_names, key, 1))
        CFAIL(at, "duplicate import name `" STR_FMT ":" STR_FMT "`", STR_ARG(x.module), STR_ARG(x.name));
    vec_push(v->arena, &m->imports, x);
    return ERR_OK;
}

static err module_export(struct cvalidator *v, struct module_decls *m, struct crd *r) {
    uint64_t at = crd_at(r);
    struct ccore_named x = {0};
    TRY(crd_name(r, &x.name));
    TRY(core_externtype(v, &m->scope, r, &x.type));
    if (!map_put(v->arena, &m->export_names, x.name, 1)) CFAIL(at, "export name `" STR_FMT "` already defined", STR_ARG(x.name));
    vec_push(v->arena, &m->exports, x);
    return ERR_OK;
}

static err module_alias(struct cvalidator *v, struct cscope *outer, struct module_decls *m, struct crd *r) {
    uint64_t at = crd_at(r);
    uint8_t kind, target;
    uint32_t count, index;
    TRY(crd_u8(r, &kind));
    if (kind != 0x10) CMALFORMED(at, "invalid leading byte (0x%x) for outer alias kind", kind);
    TRY(crd_u8(r, &target));
    if (target != 0x01) CMALFORMED(at, "invalid leading byte (0x%x) for outer alias target", target);
    TRY(crd_u32(r, &count));
    TRY(crd_u32(r, &index));
    struct cscope *s = count == 0 ? &m->scope : outer;
    for (uint32_t i = 1; i < count && s; i++) s = s->parent;
    if (!s) CFAIL(at, "invalid outer alias count of %u", count);
    if (index >= s->core_types.n) CFAIL(at, "unknown type %u: type index out of bounds", index);
    struct ccore_type_def def = {s->core_types.p[index].module, s->core_types.p[index].type_id, CCORE_TYPE_ELSEWHERE, {0}};
    if (def.module) CFAIL(at, "type index %u is a module type, not a sub type", index);
    vec_push(v->arena, &m->scope.core_types, def);
    return ERR_OK;
}

static err module_decl(struct cvalidator *v, struct cscope *outer, struct module_decls *m, struct crd *r) {
    uint64_t at = crd_at(r);
    uint8_t kind;
    TRY(crd_u8(r, &kind));
    switch (kind) {
    case 0: return module_import(v, m, r);
    case 1:
        /* 0x50 is a subtype here: a module type may not hold module types. */
        if (!crd_end(r) && *r->p == 0x50) return rec_group(v, &m->scope, r);
        return cdec_core_type(v, &m->scope, r);
    case 2: return module_alias(v, outer, m, r);
    case 3: return module_export(v, m, r);
    default: CMALFORMED(at, "invalid leading byte (0x%x) for type definition", kind);
    }
}

static err module_type(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint32_t n;
    struct module_decls *m = arena_make(v->arena, struct module_decls);
    TRY(crd_count(r, CMAX_COUNT, "declarations of a module type", &n));
    for (uint32_t i = 0; i < n; i++) TRY(module_decl(v, s, m, r));
    struct cmodule_type *t = arena_make(v->arena, struct cmodule_type);
    *t = (struct cmodule_type){m->imports.p, m->exports.p, m->imports.n, m->exports.n, 1 + m->imports.n + m->exports.n};
    struct ccore_type_def def = {.module = t};
    vec_push(v->arena, &s->core_types, def);
    return ERR_OK;
}

err cdec_core_type(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    if (crd_end(r)) CMALFORMED(at, "unexpected end-of-file");
    uint8_t b = *r->p;
    if (s->core_types.n >= CMAX_COUNT) CLIMIT(at, "core types count exceeds the limit of %u", CMAX_COUNT);
    switch (b) {
    case 0x50: r->p++; return module_type(v, s, r);
    case 0x60: return func_or_group(v, s, r);
    case 0x00: /* a non-final subtype is prefixed here */
        r->p++;
        if (crd_end(r) || *r->p != 0x50) CMALFORMED(crd_at(r), "invalid leading byte for non-final core type, 0x50 expected");
        return rec_group(v, s, r);
    case 0x4e:
    case 0x4f:
    case 0x5e:
    case 0x5f: return rec_group(v, s, r);
    default: CMALFORMED(at, "invalid leading byte (0x%x) for core type", b);
    }
}

/* ---- modules ------------------------------------------------------------------------------------ */

static struct ccore item_type(const struct wasm_module *m, enum wasm_extern kind, uint32_t index) {
    struct ccore t = {.kind = kind};
    switch (kind) {
    case WASM_EXTERN_FUNC: t.type_id = m->type_ids[m->funcs[index].type]; break;
    case WASM_EXTERN_TABLE:
        t.type = wasm_type_canon(m, m->tables[index].type);
        t.limits = m->tables[index].limits;
        break;
    case WASM_EXTERN_MEMORY: t.limits = m->memories[index].limits; break;
    case WASM_EXTERN_GLOBAL:
        t.type = wasm_type_canon(m, m->globals[index].type);
        t.mutable = m->globals[index].mutable;
        break;
    case WASM_EXTERN_TAG: t.type_id = m->type_ids[m->tags[index].type]; break;
    }
    return t;
}

static struct cmodule_type *type_of_module(struct cvalidator *v, const struct wasm_module *m) {
    struct cmodule_type *t = arena_make(v->arena, struct cmodule_type);
    t->imports_count = m->imports_count;
    t->exports_count = m->exports_count;
    t->size = 1 + t->imports_count + t->exports_count;
    t->imports = arena_array(v->arena, struct ccore_named, t->imports_count);
    t->exports = arena_array(v->arena, struct ccore_named, t->exports_count);
    for (uint32_t i = 0; i < t->imports_count; i++) {
        const struct wasm_import *x = &m->imports[i];
        t->imports[i] = (struct ccore_named){x->module, x->name, item_type(m, x->kind, x->index)};
    }
    for (uint32_t i = 0; i < t->exports_count; i++) {
        const struct wasm_export *x = &m->exports[i];
        t->exports[i] = (struct ccore_named){STR(""), x->name, item_type(m, x->kind, x->index)};
    }
    return t;
}

/* A core module inside a component may not import one name twice: arguments are given by name. */
static err unique_imports(struct cvalidator *v, const struct cmodule_type *t, uint64_t at) {
    struct map seen = {0};
    for (uint32_t i = 0; i < t->imports_count; i++) {
        const struct ccore_named *x = &t->imports[i];
        str key = arena_fmt(v->arena, "%zu:" STR_FMT ":" STR_FMT, x->module.n, STR_ARG(x->module), STR_ARG(x->name));
        if (!map_put(v->arena, &seen, key, 1))
            CFAIL(at, "duplicate import name `" STR_FMT ":" STR_FMT "`", STR_ARG(x->module), STR_ARG(x->name));
    }
    return ERR_OK;
}

err cdec_core_module(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    str bytes = {r->p, (size_t)(r->end - r->p)};
    struct wasm_module *m = arena_make(v->arena, struct wasm_module);
    struct diag d = DIAG_INIT;
    r->p = r->end;
    if (!wasm_is_module(bytes) && bytes.n >= 8 && component_kind(bytes, NULL) == COMPONENT_KIND_COMPONENT)
        CMALFORMED(at, "expected a version header for a module");
    err e = wasm_decode(v->arena, bytes, m, &d);
    if (e == ERR_OK) e = wasm_validate(v->arena, m, v->ts->core, &d);
    if (e != ERR_OK)
        return diag_set(v->d, e, d.offset == DIAG_NOWHERE ? at : at + d.offset, "core module %u: %s", s->core_modules.n, d.text);
    const struct cmodule_type *t = type_of_module(v, m);
    TRY(unique_imports(v, t, at));
    struct cmodule entry = {at, m, t};
    struct cdef *def = cscope_def(v, s, CDEF_MODULE);
    def->index = s->component->modules.n;
    vec_push(v->arena, &s->component->modules, entry);
    return cscope_push(v, s, (struct centity){.kind = CE_MODULE, .module = t}, at);
}

/* ---- core instances ----------------------------------------------------------------------------- */

static struct ccore_instance_type *instance_type(struct cvalidator *v, struct ccore_named *exports, uint32_t n) {
    struct ccore_instance_type *t = arena_make(v->arena, struct ccore_instance_type);
    t->exports = exports;
    t->exports_count = n;
    for (uint32_t i = 0; i < n; i++) map_put(v->arena, &t->by_name, exports[i].name, i);
    return t;
}

static err check_args(struct cvalidator *v, struct cscope *s, const struct cmodule_type *m, const struct cref *args, uint32_t n,
                      uint64_t at) {
    struct map by_name = {0};
    for (uint32_t i = 0; i < n; i++)
        if (!map_put(v->arena, &by_name, args[i].name, args[i].index))
            CFAIL(at, "duplicate module instantiation argument named `" STR_FMT "`", STR_ARG(args[i].name));
    for (uint32_t i = 0; i < m->imports_count; i++) {
        const struct ccore_named *x = &m->imports[i];
        uint64_t instance, item;
        if (!map_get(&by_name, x->module, &instance))
            CFAIL(at, "missing module instantiation argument named `" STR_FMT "`", STR_ARG(x->module));
        const struct ccore_instance_type *t = s->core_instances.p[instance];
        if (!map_get(&t->by_name, x->name, &item))
            CFAIL(at, "module instantiation argument `" STR_FMT "` does not export an item named `" STR_FMT "`",
                  STR_ARG(x->module), STR_ARG(x->name));
        err e = csub_core(v->ts, &t->exports[item].type, &x->type, v->d, at);
        if (e != ERR_OK) {
            diag_prefix(v->d, "type mismatch for export `" STR_FMT "` of module instantiation argument `" STR_FMT "`",
                        STR_ARG(x->name), STR_ARG(x->module));
            return e;
        }
    }
    return ERR_OK;
}

static err instantiate(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    uint32_t module, n;
    TRY(crd_u32(r, &module));
    TRY(crd_count(r, CMAX_COUNT, "instantiation arguments", &n));
    struct cref *args = arena_array(v->arena, struct cref, n);
    for (uint32_t i = 0; i < n; i++) {
        uint8_t kind;
        TRY(crd_name(r, &args[i].name));
        TRY(crd_u8(r, &kind));
        if (kind != 0x12) CMALFORMED(crd_at(r) - 1, "invalid leading byte (0x%x) for instantiation arg kind", kind);
        TRY(crd_u32(r, &args[i].index));
        args[i].sort = CSORT_CORE_INSTANCE;
        if (args[i].index >= s->core_instances.n)
            CFAIL(at, "unknown core instance %u: instance index out of bounds", args[i].index);
    }
    if (module >= s->core_modules.n) CFAIL(at, "unknown module %u: module index out of bounds", module);
    const struct cmodule_type *m = s->core_modules.p[module];
    TRY(check_args(v, s, m, args, n, at));
    vec_push(v->arena, &s->core_instances, instance_type(v, m->exports, m->exports_count));
    struct cdef *def = cscope_def(v, s, CDEF_CORE_INSTANCE);
    def->index = module;
    def->refs = args;
    def->refs_count = n;
    return ERR_OK;
}

static err core_item(struct cvalidator *v, struct cscope *s, uint8_t kind, uint32_t index, struct ccore *out, uint64_t at) {
    uint32_t counts[] = {s->core_funcs.n, s->core_tables.n, s->core_memories.n, s->core_globals.n, s->core_tags.n};
    static const char *const text[] = {"core function", "table", "memory", "global", "tag"};
    static const char *const index_text[] = {"function", "table", "memory", "global", "tag"};
    if (kind >= ARRAY_COUNT(counts)) CMALFORMED(at, "invalid leading byte (0x%x) for core external kind", kind);
    if (index >= counts[kind]) CFAIL(at, "unknown %s %u: %s index out of bounds", text[kind], index, index_text[kind]);
    switch (kind) {
    case 0: *out = (struct ccore){.kind = WASM_EXTERN_FUNC, .type_id = s->core_funcs.p[index]}; break;
    case 1: *out = s->core_tables.p[index]; break;
    case 2: *out = s->core_memories.p[index]; break;
    case 3: *out = s->core_globals.p[index]; break;
    default: *out = s->core_tags.p[index]; break;
    }
    return ERR_OK;
}

static err inline_exports(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint32_t n;
    struct map seen = {0};
    TRY(crd_count(r, CMAX_COUNT, "inline exports", &n));
    struct cref *refs = arena_array(v->arena, struct cref, n);
    struct ccore_named *exports = arena_array(v->arena, struct ccore_named, n);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = crd_at(r);
        uint8_t kind;
        TRY(crd_name(r, &refs[i].name));
        TRY(crd_u8(r, &kind));
        TRY(crd_u32(r, &refs[i].index));
        TRY(core_item(v, s, kind, refs[i].index, &exports[i].type, at));
        refs[i].sort = (enum csort)(CSORT_CORE_FUNC + kind);
        exports[i].name = refs[i].name;
        if (!map_put(v->arena, &seen, refs[i].name, 1))
            CFAIL(at, "duplicate instantiation export name `" STR_FMT "` already defined", STR_ARG(refs[i].name));
    }
    vec_push(v->arena, &s->core_instances, instance_type(v, exports, n));
    struct cdef *def = cscope_def(v, s, CDEF_CORE_EXPORTS);
    def->refs = refs;
    def->refs_count = n;
    return ERR_OK;
}

err cdec_core_instance(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    uint8_t kind;
    TRY(crd_u8(r, &kind));
    if (s->core_instances.n >= CMAX_COUNT) CLIMIT(at, "instances count exceeds the limit of %u", CMAX_COUNT);
    if (kind == 0) return instantiate(v, s, r);
    if (kind == 1) return inline_exports(v, s, r);
    CMALFORMED(at, "invalid leading byte (0x%x) for core instance", kind);
}

err ccore_export(struct cvalidator *v, const struct cscope *s, uint32_t instance, str name, enum wasm_extern kind,
                 struct ccore *out, uint64_t at) {
    uint64_t i;
    if (instance >= s->core_instances.n) CFAIL(at, "unknown core instance %u: instance index out of bounds", instance);
    const struct ccore_instance_type *t = s->core_instances.p[instance];
    if (!map_get(&t->by_name, name, &i)) CFAIL(at, "core instance %u has no export named `" STR_FMT "`", instance, STR_ARG(name));
    if (t->exports[i].type.kind != kind)
        CFAIL(at, "export `" STR_FMT "` for core instance %u is not a %s", STR_ARG(name), instance, wasm_extern_text(kind));
    *out = t->exports[i].type;
    return ERR_OK;
}
