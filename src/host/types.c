/* types: a plan's types with both layouts, and comparing types.
 *
 * The canonical layout is the plan's. The host layout is what the C compiler gives the struct that orlo-wit-
 * bindgen prints: natural alignment, variants with a 4-byte tag, options and results with a 1-byte one. */
#include <stdio.h>

#include "host/host_int.h"

#define PRIMITIVE(kind_, c, n) [kind_] = {.kind = kind_, .host_size = sizeof(c), .host_align = _Alignof(c), .size = n, .align = n}
const struct host_type host_type_primitives[HOST_STRING + 1] = {
    PRIMITIVE(HOST_BOOL, bool, 1),    PRIMITIVE(HOST_S8, int8_t, 1),    PRIMITIVE(HOST_U8, uint8_t, 1),
    PRIMITIVE(HOST_S16, int16_t, 2),  PRIMITIVE(HOST_U16, uint16_t, 2), PRIMITIVE(HOST_S32, int32_t, 4),
    PRIMITIVE(HOST_U32, uint32_t, 4), PRIMITIVE(HOST_S64, int64_t, 8),  PRIMITIVE(HOST_U64, uint64_t, 8),
    PRIMITIVE(HOST_F32, float, 4),    PRIMITIVE(HOST_F64, double, 8),   PRIMITIVE(HOST_CHAR, uint32_t, 4),
    PRIMITIVE(HOST_STRING, str, 4),
};

struct builder {
    arena *out;
    const struct plan *plan;
    const struct host_resource *const *resources;
    const struct host_type **types;
    unsigned ptr64;
};

static const uint8_t kinds[COMPONENT_TYPE_COUNT] = {
    [COMPONENT_TYPE_BOOL] = HOST_BOOL,     [COMPONENT_TYPE_S8] = HOST_S8,
    [COMPONENT_TYPE_U8] = HOST_U8,         [COMPONENT_TYPE_S16] = HOST_S16,
    [COMPONENT_TYPE_U16] = HOST_U16,       [COMPONENT_TYPE_S32] = HOST_S32,
    [COMPONENT_TYPE_U32] = HOST_U32,       [COMPONENT_TYPE_S64] = HOST_S64,
    [COMPONENT_TYPE_U64] = HOST_U64,       [COMPONENT_TYPE_F32] = HOST_F32,
    [COMPONENT_TYPE_F64] = HOST_F64,       [COMPONENT_TYPE_CHAR] = HOST_CHAR,
    [COMPONENT_TYPE_STRING] = HOST_STRING, [COMPONENT_TYPE_ERROR_CONTEXT] = HOST_ERROR_CONTEXT,
    [COMPONENT_TYPE_RECORD] = HOST_RECORD, [COMPONENT_TYPE_VARIANT] = HOST_VARIANT,
    [COMPONENT_TYPE_LIST] = HOST_LIST,     [COMPONENT_TYPE_FIXED_LIST] = HOST_ARRAY,
    [COMPONENT_TYPE_TUPLE] = HOST_RECORD,  [COMPONENT_TYPE_FLAGS] = HOST_FLAGS,
    [COMPONENT_TYPE_ENUM] = HOST_ENUM,     [COMPONENT_TYPE_OPTION] = HOST_OPTION,
    [COMPONENT_TYPE_RESULT] = HOST_RESULT, [COMPONENT_TYPE_OWN] = HOST_OWN,
    [COMPONENT_TYPE_BORROW] = HOST_BORROW, [COMPONENT_TYPE_STREAM] = HOST_STREAM,
    [COMPONENT_TYPE_FUTURE] = HOST_FUTURE, [COMPONENT_TYPE_MAP] = HOST_LIST,
};

static const struct host_type *type_of(struct builder *b, uint32_t index);

static void note_inner(struct host_type *t, const struct host_type *inner) {
    if (!inner) return;
    t->has_own |= inner->has_own;
    t->has_borrow |= inner->has_borrow;
    t->has_pointer |= inner->has_pointer;
}

/* Fills in the host part of a record from its fields' types. */
static void host_layout_record(struct host_type *t, struct host_field *fields) {
    uint32_t size = 0, align = 1;
    bool plain = true;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct host_type *f = fields[i].type;
        size = (uint32_t)align_up(size, f->host_align);
        fields[i].host_offset = size;
        size += f->host_size;
        align = MAX(align, f->host_align);
        plain &= f->plain && fields[i].host_offset == fields[i].offset;
        note_inner(t, f);
    }
    t->fields = fields;
    t->host_align = align;
    t->host_size = (uint32_t)align_up(size, align);
    t->plain = plain && t->host_size == t->size;
}

static void layout_cases(struct host_type *t, uint32_t tag_bytes) {
    uint32_t size = 0, align = 1;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct host_type *c = t->fields[i].type;
        if (!c) continue;
        size = MAX(size, c->host_size);
        align = MAX(align, c->host_align);
        note_inner(t, c);
    }
    t->host_payload = (uint32_t)align_up(tag_bytes, align);
    t->host_align = MAX(align, tag_bytes);
    t->host_size = size ? (uint32_t)align_up(t->host_payload + size, t->host_align) : tag_bytes;
    if (!size) t->host_payload = 0;
}

static const char *field_name(struct builder *b, str name, bool tuple, uint32_t i) {
    return tuple ? arena_cstr(b->out, arena_fmt(b->out, "f%u", i)) : arena_cstr(b->out, name);
}

static struct host_field *plan_fields(struct builder *b, uint32_t first, uint32_t n, bool tuple) {
    struct host_field *fields = arena_array(b->out, struct host_field, n);
    for (uint32_t i = 0; i < n; i++) {
        const struct plan_field *f = &b->plan->fields[first + i];
        fields[i] = (struct host_field){.name = field_name(b, f->name, tuple, i), .offset = f->offset[b->ptr64]};
        if (f->type != PLAN_NONE) fields[i].type = type_of(b, f->type);
    }
    return fields;
}

static const struct host_field *two_cases(struct builder *b, const char *first, uint32_t t0, const char *second, uint32_t t1) {
    struct host_field *f = arena_array(b->out, struct host_field, 2);
    f[0] = (struct host_field){.name = first, .type = t0 == PLAN_NONE ? NULL : type_of(b, t0)};
    f[1] = (struct host_field){.name = second, .type = t1 == PLAN_NONE ? NULL : type_of(b, t1)};
    return f;
}

/* map<k, v> is list<tuple<k, v>>. */
static const struct host_type *map_entry(struct builder *b, const struct plan_type *p) {
    struct host_type *t = arena_make(b->out, struct host_type);
    struct host_field *f = arena_array(b->out, struct host_field, 2);
    const struct host_type *k = type_of(b, p->element), *v = type_of(b, p->error);
    f[0] = (struct host_field){.name = "f0", .type = k};
    f[1] = (struct host_field){.name = "f1", .type = v, .offset = (uint32_t)align_up(k->size, v->align)};
    *t = (struct host_type){
        .kind = HOST_RECORD, .is_tuple = 1, .plan_type = PLAN_NONE, .count = 2, .align = MAX(k->align, v->align)};
    t->size = (uint32_t)align_up(f[1].offset + v->size, t->align);
    host_layout_record(t, f);
    return t;
}

static void set_host(struct host_type *t, uint32_t size, uint32_t align) {
    t->host_size = size;
    t->host_align = align;
}

static void build_host_part(struct builder *b, struct host_type *t, const struct plan_type *p) {
    switch ((enum host_kind)t->kind) {
    case HOST_RECORD:
        t->is_tuple = p->kind == COMPONENT_TYPE_TUPLE;
        t->count = p->fields_count;
        host_layout_record(t, plan_fields(b, p->fields_first, p->fields_count, t->is_tuple));
        break;
    case HOST_VARIANT:
        t->count = p->fields_count;
        t->fields = plan_fields(b, p->fields_first, p->fields_count, false);
        layout_cases(t, 4);
        break;
    case HOST_OPTION:
        t->count = 2;
        t->fields = two_cases(b, "none", PLAN_NONE, "some", p->element);
        layout_cases(t, 1);
        break;
    case HOST_RESULT:
        t->count = 2;
        t->fields = two_cases(b, "ok", p->element, "error", p->error);
        layout_cases(t, 1);
        break;
    case HOST_ENUM:
    case HOST_FLAGS:
        t->count = p->fields_count;
        t->fields = plan_fields(b, p->fields_first, p->fields_count, false);
        set_host(t, 4, 4);
        break;
    case HOST_LIST:
        t->elem = p->kind == COMPONENT_TYPE_MAP ? map_entry(b, p) : type_of(b, p->element);
        note_inner(t, t->elem);
        t->has_pointer = 1;
        set_host(t, sizeof(str), _Alignof(str));
        break;
    case HOST_ARRAY:
        t->elem = type_of(b, p->element);
        t->count = p->length;
        note_inner(t, t->elem);
        t->plain = t->elem->plain;
        set_host(t, t->elem->host_size * p->length, t->elem->host_align);
        break;
    case HOST_OWN:
    case HOST_BORROW:
        t->resource = b->resources[p->resource];
        t->has_own = t->kind == HOST_OWN;
        t->has_borrow = t->kind == HOST_BORROW;
        set_host(t, 8, 8);
        break;
    case HOST_STREAM:
    case HOST_FUTURE:
        if (p->element != PLAN_NONE) t->elem = type_of(b, p->element);
        t->has_own = 1;
        set_host(t, 8, 8);
        break;
    case HOST_ERROR_CONTEXT:
        t->has_own = 1;
        set_host(t, 8, 8);
        break;
    default: {
        const struct host_type *prim = &host_type_primitives[t->kind];
        set_host(t, prim->host_size, prim->host_align);
        t->has_pointer = t->kind == HOST_STRING;
        t->plain = t->kind != HOST_BOOL && t->kind != HOST_CHAR && t->kind != HOST_STRING;
    }
    }
}

static const struct host_type *type_of(struct builder *b, uint32_t index) {
    if (b->types[index]) return b->types[index];
    const struct plan_type *p = &b->plan->types[index];
    const struct plan_layout *l = &p->layout[b->ptr64];
    struct host_type *t = arena_make(b->out, struct host_type);
    t->kind = kinds[p->kind];
    t->plan_type = index;
    t->size = l->size;
    t->align = l->align;
    t->payload = p->payload_offset[b->ptr64];
    t->flat_count = l->flat_count;
    t->flat = l->flat;
    t->tag_bytes = (uint8_t)(t->kind == HOST_FLAGS ? l->size : p->discriminant_size);
    build_host_part(b, t, p);
    b->types[index] = t;
    return t;
}

const struct host_type *const *host_types_of_plan(arena *out, const struct plan *plan,
                                                  const struct host_resource *const *resources, bool ptr64) {
    struct builder b = {out, plan, resources, arena_array(out, const struct host_type *, plan->types_count), ptr64};
    for (uint32_t i = 0; i < plan->types_count; i++) type_of(&b, i);
    return b.types;
}

const struct host_type *host_params_of_plan(arena *out, const struct plan *plan, uint32_t func_type,
                                            const struct host_type *const *types, bool ptr64) {
    const struct plan_func_type *f = &plan->func_types[func_type];
    if (!f->params_count) return NULL;
    struct host_type *t = arena_make(out, struct host_type);
    struct host_field *fields = arena_array(out, struct host_field, f->params_count);
    for (uint32_t i = 0; i < f->params_count; i++) {
        const struct plan_field *p = &plan->fields[f->params_first + i];
        fields[i] = (struct host_field){.name = arena_cstr(out, p->name), .type = types[p->type], .offset = p->offset[ptr64]};
    }
    const struct plan_layout *l = &f->params[ptr64];
    *t = (struct host_type){.kind = HOST_RECORD,
                            .is_tuple = 1,
                            .plan_type = PLAN_NONE,
                            .count = f->params_count,
                            .size = l->size,
                            .align = l->align,
                            .flat_count = l->flat_count,
                            .flat = l->flat};
    host_layout_record(t, fields);
    return t;
}

/* ---- comparing -------------------------------------------------------------------------------- */

static bool differ(char *where, size_t size, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool differ(char *where, size_t size, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (size) vsnprintf(where, size, fmt, ap);
    va_end(ap);
    return false;
}

static const char *const kind_names[] = {"bool",         "s8",      "u8",     "s16",    "u16",
                                         "s32",          "u32",     "s64",    "u64",    "f32",
                                         "f64",          "char",    "string", "list",   "list of fixed length",
                                         "record",       "variant", "enum",   "flags",  "option",
                                         "result",       "own",     "borrow", "stream", "future",
                                         "error-context"};

static bool equal_fields(const struct host_type *a, const struct host_type *b, char *where, size_t size) {
    if (a->count != b->count) return differ(where, size, "%s of %u and of %u items", kind_names[a->kind], a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++) {
        const struct host_field *f = &a->fields[i], *g = &b->fields[i];
        if (!a->is_tuple && strcmp(f->name, g->name) != 0) return differ(where, size, "\"%s\" and \"%s\"", f->name, g->name);
        if (!f->type != !g->type) return differ(where, size, "\"%s\" with and without a payload", f->name);
        if (f->type && !host_type_equal(f->type, g->type, where, size)) return false;
    }
    return true;
}

static bool equal(const struct host_type *a, const struct host_type *b, char *where, size_t size) {
    if (a->kind != b->kind) return differ(where, size, "%s and %s", kind_names[a->kind], kind_names[b->kind]);
    switch ((enum host_kind)a->kind) {
    case HOST_RECORD:
    case HOST_VARIANT:
    case HOST_OPTION:
    case HOST_RESULT:
    case HOST_ENUM:
    case HOST_FLAGS: return equal_fields(a, b, where, size);
    case HOST_ARRAY:
        if (a->count != b->count) return differ(where, size, "lists of %u and of %u elements", a->count, b->count);
        return host_type_equal(a->elem, b->elem, where, size);
    case HOST_LIST: return host_type_equal(a->elem, b->elem, where, size);
    case HOST_STREAM:
    case HOST_FUTURE:
        if (!a->elem != !b->elem) return differ(where, size, "%s with and without a payload", kind_names[a->kind]);
        return !a->elem || host_type_equal(a->elem, b->elem, where, size);
    case HOST_OWN:
    case HOST_BORROW:
        if (a->resource != b->resource)
            return differ(where, size, "resources \"%s\" and \"%s\"", a->resource ? a->resource->name : "?",
                          b->resource ? b->resource->name : "?");
        return true;
    default: return true;
    }
}

/* What is equal has one host layout; a generated table that says otherwise is our bug. */
bool host_type_equal(const struct host_type *a, const struct host_type *b, char *where, size_t size) {
    if (a == b) return true;
    if (!equal(a, b, where, size)) return false;
    ENSURE(a->host_size == b->host_size && a->host_align == b->host_align && a->host_payload == b->host_payload);
    for (uint32_t i = 0; a->kind == HOST_RECORD && i < a->count; i++)
        ENSURE(a->fields[i].host_offset == b->fields[i].host_offset);
    return true;
}
