/* type_dec: decoding and checking of type definitions (Binary.md, Type Definitions). */
#include "component/component_int.h"

#define INDEX_TYPE(v, s, r, t)                                                                                                   \
    uint64_t at = crd_at(r);                                                                                                     \
    uint32_t index;                                                                                                              \
    TRY(crd_u32(r, &index));                                                                                                     \
    TRY(cscope_type(v, s, index, t, at))

static int primitive_of(uint8_t opcode) {
    switch (opcode) {
#define X(name, code, text)                                                                                                      \
    case code:                                                                                                                   \
        return COMPONENT_TYPE_##name < COMPONENT_PRIMITIVES ? COMPONENT_TYPE_##name : -1;
#include "component/type.def"
#undef X
    default: return -1;
    }
}

static err cdec_valtype(struct cvalidator *v, struct cscope *s, struct crd *r, const struct ctype **t) {
    uint64_t at = crd_at(r);
    int64_t index;
    if (!crd_end(r) && *r->p >= 0x40 && *r->p < 0x80) {
        int k = primitive_of(*r->p);
        if (k < 0) CMALFORMED(at, "invalid leading byte (0x%x) for component value type", *r->p);
        r->p++;
        *t = v->ts->primitives[k];
        return ERR_OK;
    }
    TRY(crd_s33(r, &index));
    if (index < 0) CMALFORMED(at, "invalid component value type");
    TRY(cscope_type(v, s, (uint32_t)index, t, at));
    if (!ctype_is_value(*t)) CFAIL(at, "type index %u is not a defined type", (uint32_t)index);
    return ERR_OK;
}

static err optional_valtype(struct cvalidator *v, struct cscope *s, struct crd *r, const struct ctype **t) {
    uint64_t at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    *t = NULL;
    if (b > 1) CMALFORMED(at, "invalid leading byte (0x%x) for optional component value type", b);
    return b ? cdec_valtype(v, s, r, t) : ERR_OK;
}

/* ---- labels ------------------------------------------------------------------------------------- */

struct labels {
    const char *what; /* "record field" */
    const char *prev; /* "field" */
    struct map seen;
};

static err label(struct cvalidator *v, struct crd *r, struct labels *l, str *name) {
    uint64_t at = crd_at(r), prev;
    TRY(crd_name(r, name));
    TRY(cname_label(*name, l->what, v->d, at));
    str key = cname_canonical(v->arena, *name);
    if (map_get(&l->seen, key, &prev)) {
        const str *p = (const str *)(uintptr_t)prev;
        CFAIL(at, "%s name `" STR_FMT "` conflicts with previous %s name `" STR_FMT "`", l->what, STR_ARG(*name), l->prev,
              STR_ARG(*p));
    }
    str *copy = arena_make(v->arena, str);
    *copy = *name;
    map_put(v->arena, &l->seen, key, (uintptr_t)copy);
    return ERR_OK;
}

/* ---- value types -------------------------------------------------------------------------------- */

static err fields(struct cvalidator *v, struct cscope *s, struct crd *r, struct labels *l, uint32_t max, struct ctype *t) {
    uint32_t n;
    TRY(crd_count(r, max, "fields, cases or parameters", &n));
    struct cfield *f = arena_array(v->arena, struct cfield, n);
    for (uint32_t i = 0; i < n; i++) {
        TRY(label(v, r, l, &f[i].name));
        if (t->kind == COMPONENT_TYPE_FLAGS || t->kind == COMPONENT_TYPE_ENUM) continue;
        if (t->kind != COMPONENT_TYPE_VARIANT) {
            TRY(cdec_valtype(v, s, r, &f[i].type));
            continue;
        }
        uint8_t zero;
        TRY(optional_valtype(v, s, r, &f[i].type));
        TRY(crd_u8(r, &zero));
        if (zero) CMALFORMED(crd_at(r) - 1, "invalid leading byte (0x%x) for zero byte required", zero);
    }
    t->fields = f;
    t->fields_count = n;
    return ERR_OK;
}

static err fielded(struct cvalidator *v, struct cscope *s, struct crd *r, struct ctype *t, uint64_t at) {
    static const struct {
        const char *what, *prev, *empty;
    } texts[] = {
        [COMPONENT_TYPE_RECORD] = {"record field", "field", "record type must have at least one field"},
        [COMPONENT_TYPE_VARIANT] = {"variant case", "case", "variant type must have at least one case"},
        [COMPONENT_TYPE_FLAGS] = {"flag", "flag", "flags must have at least one entry"},
        [COMPONENT_TYPE_ENUM] = {"enum tag", "tag", "enum type must have at least one variant"},
    };
    struct labels l = {.what = texts[t->kind].what, .prev = texts[t->kind].prev};
    TRY(fields(v, s, r, &l, 10 * CMAX_PARAMS, t));
    if (t->fields_count == 0) CFAIL(at, "%s", texts[t->kind].empty);
    if (t->kind == COMPONENT_TYPE_FLAGS && t->fields_count > 32) CFAIL(at, "cannot have more than 32 flags");
    return ERR_OK;
}

static err tuple(struct cvalidator *v, struct cscope *s, struct crd *r, struct ctype *t, uint64_t at) {
    uint32_t n;
    TRY(crd_count(r, 10 * CMAX_PARAMS, "members of a tuple", &n));
    struct cfield *f = arena_array(v->arena, struct cfield, n);
    for (uint32_t i = 0; i < n; i++) TRY(cdec_valtype(v, s, r, &f[i].type));
    t->fields = f;
    t->fields_count = n;
    if (n == 0) CFAIL(at, "tuple type must have at least one type");
    return ERR_OK;
}

static err handle(struct cvalidator *v, struct cscope *s, struct crd *r, struct ctype *t) {
    INDEX_TYPE(v, s, r, &t->elem);
    if (t->elem->kind != CT_RESOURCE) CFAIL(at, "type index %u is not a resource type", index);
    return ERR_OK;
}

static err stream(struct cvalidator *v, struct cscope *s, struct crd *r, struct ctype *t, uint64_t at) {
    const char *text = component_type_text((enum component_type_kind)t->kind);
    TRY(optional_valtype(v, s, r, &t->elem));
    if (!t->elem) return ERR_OK;
    if (t->elem->has_borrow) CFAIL(at, "`%s` type cannot contain a `borrow` type", text);
    if (t->kind == COMPONENT_TYPE_STREAM && t->elem->kind == COMPONENT_TYPE_CHAR)
        CFAIL(at, "`stream<char>` is not valid at this time");
    return ERR_OK;
}

static err map_type(struct cvalidator *v, struct cscope *s, struct crd *r, struct ctype *t, uint64_t at) {
    TRY(cdec_valtype(v, s, r, &t->elem));
    TRY(cdec_valtype(v, s, r, &t->err));
    uint8_t k = t->elem->kind;
    bool key =
        k < COMPONENT_PRIMITIVES && k != COMPONENT_TYPE_F32 && k != COMPONENT_TYPE_F64 && k != COMPONENT_TYPE_ERROR_CONTEXT;
    if (!key)
        CFAIL(at, "invalid map key type: %s", component_type_text((enum component_type_kind)MIN(k, COMPONENT_TYPE_COUNT - 1)));
    return ERR_OK;
}

static err value_type(struct cvalidator *v, struct cscope *s, struct crd *r, enum component_type_kind kind, uint64_t at,
                      const struct ctype **out) {
    struct ctype t = {.kind = (uint8_t)kind};
    switch (kind) {
    case COMPONENT_TYPE_RECORD:
    case COMPONENT_TYPE_VARIANT:
    case COMPONENT_TYPE_FLAGS:
    case COMPONENT_TYPE_ENUM: TRY(fielded(v, s, r, &t, at)); break;
    case COMPONENT_TYPE_TUPLE: TRY(tuple(v, s, r, &t, at)); break;
    case COMPONENT_TYPE_LIST:
    case COMPONENT_TYPE_OPTION: TRY(cdec_valtype(v, s, r, &t.elem)); break;
    case COMPONENT_TYPE_FIXED_LIST:
        TRY(cdec_valtype(v, s, r, &t.elem));
        TRY(crd_u32(r, &t.length));
        if (t.length == 0) CFAIL(at, "Fixed-length lists must have more than zero elements");
        break;
    case COMPONENT_TYPE_RESULT:
        TRY(optional_valtype(v, s, r, &t.elem));
        TRY(optional_valtype(v, s, r, &t.err));
        break;
    case COMPONENT_TYPE_OWN:
    case COMPONENT_TYPE_BORROW: TRY(handle(v, s, r, &t)); break;
    case COMPONENT_TYPE_STREAM:
    case COMPONENT_TYPE_FUTURE: TRY(stream(v, s, r, &t, at)); break;
    case COMPONENT_TYPE_MAP: TRY(map_type(v, s, r, &t, at)); break;
    default: *out = v->ts->primitives[kind]; return ERR_OK;
    }
    return ctypes_make(v->ts, &t, out, v->d, at);
}

/* ---- functions, resources ----------------------------------------------------------------------- */

err cdec_resultlist(struct cvalidator *v, struct cscope *s, struct crd *r, const struct ctype **t) {
    uint64_t at = crd_at(r);
    uint8_t b, zero;
    TRY(crd_u8(r, &b));
    *t = NULL;
    if (b == 0) return cdec_valtype(v, s, r, t);
    if (b != 1) CMALFORMED(at, "invalid leading byte (0x%x) for component function results", b);
    TRY(crd_u8(r, &zero));
    if (zero) CMALFORMED(at + 1, "invalid leading byte (0x%x) for number of results", zero);
    return ERR_OK;
}

static err func_type(struct cvalidator *v, struct cscope *s, struct crd *r, bool is_async, uint64_t at,
                     const struct ctype **out) {
    struct ctype t = {.kind = CT_FUNC, .is_async = is_async};
    struct labels l = {.what = "function parameter", .prev = "parameter"};
    TRY(fields(v, s, r, &l, CMAX_PARAMS, &t));
    TRY(cdec_resultlist(v, s, r, &t.elem));
    if (t.elem && t.elem->has_borrow) CFAIL(at, "function result cannot contain a `borrow` type");
    return ctypes_make(v->ts, &t, out, v->d, at);
}

static err resource_type(struct cvalidator *v, struct cscope *s, struct crd *r, uint64_t at, const struct ctype **out) {
    wasm_type rep;
    uint8_t has_dtor;
    if (s->kind != CSCOPE_COMPONENT) CFAIL(at, "resources can only be defined within a concrete component");
    TRY(cdec_core_valtype(v, s, r, &rep));
    if (rep != WASM_I32 && rep != WASM_I64) CFAIL(at, "resources can only be represented by `i32` or `i64`");
    TRY(crd_u8(r, &has_dtor));
    if (has_dtor > 1) CMALFORMED(crd_at(r) - 1, "invalid leading byte (0x%x) for resource destructor", has_dtor);
    struct cres *res = ctypes_new_res(v->ts, s);
    res->rep64 = rep == WASM_I64;
    if (has_dtor) {
        TRY(crd_u32(r, &res->dtor));
        if (res->dtor >= s->core_funcs.n) CFAIL(at, "unknown core function %u: function index out of bounds", res->dtor);
        const struct wasm_deftype *f = &v->ts->core->defs.p[s->core_funcs.p[res->dtor]];
        if (f->params_count != 1 || f->results_count != 0 || f->params[0] != rep)
            CFAIL(at, "core function %u has wrong signature for a destructor", res->dtor);
    }
    *out = ctypes_res_node(v->ts, res);
    return ERR_OK;
}

/* ---- component and instance types --------------------------------------------------------------- */

static err declaration(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    switch (b) {
    case 0: return cdec_core_type(v, s, r);
    case 1: return cdec_type(v, s, r);
    case 2: return cdec_alias(v, s, r);
    case 3:
        if (s->kind == CSCOPE_COMPONENT_TYPE) return cdec_import(v, s, r);
        break;
    case 4: return cdec_exportdecl(v, s, r);
    default: break;
    }
    CMALFORMED(at, "invalid leading byte (0x%x) for component or instance type declaration", b);
}

static err scoped_type(struct cvalidator *v, struct cscope *outer, struct crd *r, enum cscope_kind kind, uint64_t at,
                       const struct ctype **out) {
    uint32_t n;
    struct cscope *s = cscope_new(v, outer, kind);
    if (s->depth > CMAX_SCOPE_DEPTH) CLIMIT(at, "types nested deeper than %u", CMAX_SCOPE_DEPTH);
    TRY(crd_count(r, CMAX_COUNT, "declarations", &n));
    for (uint32_t i = 0; i < n; i++) TRY(declaration(v, s, r));
    return cscope_close(v, s, out, at);
}

static err definition(struct cvalidator *v, struct cscope *s, struct crd *r, const struct ctype **out) {
    uint64_t at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    switch (b) {
#define X(name, code, text)                                                                                                      \
    case code:                                                                                                                   \
        return value_type(v, s, r, COMPONENT_TYPE_##name, at, out);
#include "component/type.def"
#undef X
    case 0x40:
    case 0x43: return func_type(v, s, r, b == 0x43, at, out);
    case 0x41: return scoped_type(v, s, r, CSCOPE_COMPONENT_TYPE, at, out);
    case 0x42: return scoped_type(v, s, r, CSCOPE_INSTANCE_TYPE, at, out);
    case 0x3f: return resource_type(v, s, r, at, out);
    default: CMALFORMED(at, "invalid leading byte (0x%x) for component defined type", b);
    }
}

err cdec_type(struct cvalidator *v, struct cscope *s, struct crd *r) {
    const struct ctype *t;
    if (s->types.n >= CMAX_COUNT) CLIMIT(crd_at(r), "types count exceeds the limit of %u", CMAX_COUNT);
    TRY(definition(v, s, r, &t));
    /* Each definition is a name of its own, also of a primitive. */
    if (t->kind < COMPONENT_PRIMITIVES) t = ctypes_alias(v->ts, t);
    vec_push(v->arena, &s->types, t);
    return ERR_OK;
}

/* ---- extern types ------------------------------------------------------------------------------- */

static err type_bound(struct cvalidator *v, struct cscope *s, struct crd *r, struct centity *e) {
    uint64_t bound_at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    e->kind = CE_TYPE;
    if (b == 1) {
        e->type = e->referenced = ctypes_res_node(v->ts, ctypes_new_res(v->ts, NULL));
        return ERR_OK;
    }
    if (b != 0) CMALFORMED(bound_at, "invalid leading byte (0x%x) for type bound", b);
    INDEX_TYPE(v, s, r, &e->referenced);
    e->type = ctypes_alias(v->ts, e->referenced);
    return ERR_OK;
}

err cdec_externtype(struct cvalidator *v, struct cscope *s, struct crd *r, struct centity *e) {
    static const struct {
        enum centity_kind kind;
        uint8_t type_kind;
        const char *text;
    } by_index[] = {
        [1] = {CE_FUNC, CT_FUNC, "a function type"},
        [4] = {CE_COMPONENT, CT_COMPONENT, "a component type"},
        [5] = {CE_INSTANCE, CT_INSTANCE, "an instance type"},
    };
    uint64_t kind_at = crd_at(r);
    uint8_t b, second;
    uint32_t core;
    TRY(crd_u8(r, &b));
    *e = (struct centity){0};
    switch (b) {
    case 0:
        TRY(crd_u8(r, &second));
        if (second != 0x11) CMALFORMED(kind_at + 1, "invalid leading byte (0x%x) for component external kind", second);
        TRY(crd_u32(r, &core));
        if (core >= s->core_types.n) CFAIL(kind_at, "unknown type %u: type index out of bounds", core);
        if (!s->core_types.p[core].module) CFAIL(kind_at, "core type index %u is not a module type", core);
        *e = (struct centity){.kind = CE_MODULE, .module = s->core_types.p[core].module};
        return ERR_OK;
    case 1:
    case 4:
    case 5: {
        INDEX_TYPE(v, s, r, &e->type);
        e->kind = by_index[b].kind;
        if (e->type->kind != by_index[b].type_kind) CFAIL(at, "type index %u is not %s", index, by_index[b].text);
        return ERR_OK;
    }
    case 2: CUNSUPPORTED(kind_at, "component values are not supported");
    case 3: return type_bound(v, s, r, e);
    default: CMALFORMED(kind_at, "invalid leading byte (0x%x) for component external kind", b);
    }
}
