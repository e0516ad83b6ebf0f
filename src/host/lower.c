/* lower: values into the guest (CanonicalABI.md, Storing, Flat Lowering), from host layout.
 *
 * realloc runs guest code: it may grow memory, and it may write to it. So what is being lowered is never read
 * back from there, and every block it returns is checked before it is written. */
#include "host/host_int.h"

static void store_int(const struct host_cx *cx, uint64_t ptr, uint64_t v, uint32_t bytes) { memcpy(cx->mem.p + ptr, &v, bytes); }

enum abi_trap host_allocate(struct host_cx *cx, uint32_t align, uint64_t n, const char *what, uint64_t *ptr) {
    if (UNLIKELY(n > UINT32_MAX))
        return host_fail(cx->in, ABI_TRAP_HOST, "a %s of %llu bytes is too long to pass", what, (unsigned long long)n);
    const uint64_t args[4] = {0, 0, align, n};
    enum abi_trap trap = cx->reallocate(cx, args, ptr);
    if (trap) return trap;
    if (UNLIKELY(*ptr & (align - 1)))
        return host_fail(cx->in, ABI_TRAP_HOST, cx->fused ? "unaligned pointer" : "realloc return: result not aligned");
    if (UNLIKELY(n > cx->mem.n || *ptr > cx->mem.n - n)) {
        if (!cx->fused) return host_fail(cx->in, ABI_TRAP_HOST, "realloc return: beyond end of memory");
        return host_fail(cx->in, ABI_TRAP_HOST, "%s content out-of-bounds", what);
    }
    return ABI_TRAP_NONE;
}

/* ---- handles ---------------------------------------------------------------------------------- */

static enum abi_trap add_handle(struct host_cx *cx, struct host_handle h, uint64_t *out) {
    *out = host_table_add(&cx->ci->table, h);
    if (LIKELY(*out)) return ABI_TRAP_NONE;
    return host_fail(cx->in, ABI_TRAP_HOST, "the handle table is full: %u handles are alive", cx->ci->table.alive);
}

static enum abi_trap lower_own(struct host_cx *cx, const struct host_type *t, uint64_t rep, uint64_t *out) {
    enum abi_trap trap = add_handle(cx, (struct host_handle){.type = t->resource, .rep = rep, .kind = HOST_HANDLE_OWN}, out);
    if (!trap) cx->owns++;
    return trap;
}

/* A guest that defines the resource gets its rep itself. */
static enum abi_trap lower_borrow(struct host_cx *cx, const struct host_type *t, uint64_t rep, uint64_t *out) {
    uint32_t guest = t->resource->guest;
    const struct plan *plan = guest ? &cx->in->component->plan : NULL;
    if (guest && &cx->in->cis[plan->resources[guest - 1].instance] == cx->ci) {
        *out = rep;
        return ABI_TRAP_NONE;
    }
    if (!cx->task) return host_fail(cx->in, ABI_TRAP_HOST, "a borrow cannot be a result");
    enum abi_trap trap =
        add_handle(cx, (struct host_handle){.type = t->resource, .rep = rep, .kind = HOST_HANDLE_BORROW, .scope = cx->task}, out);
    if (!trap) cx->task->borrows++;
    return trap;
}

/* ---- scalars ---------------------------------------------------------------------------------- */

static enum abi_trap lower_scalar(struct host_cx *cx, const struct host_type *t, const void *src, uint64_t *out) {
    switch ((enum host_kind)t->kind) {
    case HOST_BOOL: *out = *(const uint8_t *)src != 0; break;
    case HOST_S8: *out = (uint64_t)(uint32_t) * (const int8_t *)src; break;
    case HOST_U8: *out = *(const uint8_t *)src; break;
    case HOST_S16: *out = (uint64_t)(uint32_t) * (const int16_t *)src; break;
    case HOST_U16: *out = *(const uint16_t *)src; break;
    case HOST_S32:
    case HOST_U32:
    case HOST_F32: *out = *(const uint32_t *)src; break;
    case HOST_S64:
    case HOST_U64:
    case HOST_F64: *out = *(const uint64_t *)src; break;
    case HOST_CHAR: {
        uint32_t c = *(const uint32_t *)src;
        if (c >= 0x110000 || (c >= 0xd800 && c < 0xe000)) return host_fail(cx->in, ABI_TRAP_HOST, "invalid `char` bit pattern");
        *out = c;
        break;
    }
    case HOST_ENUM:
        *out = *(const uint32_t *)src;
        if (*out >= t->count) return host_fail(cx->in, ABI_TRAP_HOST, "invalid variant discriminant");
        break;
    case HOST_FLAGS: *out = t->count >= 32 ? *(const uint32_t *)src : *(const uint32_t *)src & ((1u << t->count) - 1); break;
    case HOST_OWN: return lower_own(cx, t, *(const uint64_t *)src, out);
    case HOST_BORROW: return lower_borrow(cx, t, *(const uint64_t *)src, out);
    case HOST_STREAM:
    case HOST_FUTURE: return host_lower_end(cx, t, *(void *const *)src, out);
    case HOST_ERROR_CONTEXT: return host_lower_error_context(cx, *(void *const *)src, out);
    default: ENSURE(false);
    }
    return ABI_TRAP_NONE;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static enum abi_trap store_elements(struct host_cx *cx, const struct host_type *e, uint64_t ptr, uint64_t n, const uint8_t *src) {
    for (uint64_t i = 0; i < n;) {
        uint64_t some = MIN(n - i, (uint64_t)HOST_ELEMENTS);
        for (uint64_t end = i + some; i < end; i++) {
            enum abi_trap trap = host_store(cx, e, ptr + i * e->size, src + i * e->host_size);
            if (trap) return trap;
        }
        if (!host_work(cx->in, some * HOST_ELEMENT_NS)) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap lower_list(struct host_cx *cx, const struct host_type *t, const void *src, uint64_t *ptr, uint64_t *n) {
    const struct host_type *e = t->elem;
    const struct {
        const uint8_t *p;
        size_t n;
    } *list = src;
    *n = list->n;
    if (list->n > HOST_LIST_BYTES_MAX)
        return host_fail(cx->in, ABI_TRAP_HOST, "a list of %zu elements is too long to pass", list->n);
    enum abi_trap trap = host_allocate(cx, e->align, *n * e->size, "list", ptr);
    if (trap || !*n) return trap;
    if (!e->plain) return store_elements(cx, e, *ptr, *n, list->p);
    return host_copy(cx, cx->mem.p + *ptr, list->p, *n * e->size);
}

static enum abi_trap get_case(struct host_cx *cx, const struct host_type *t, const void *src, uint32_t *i) {
    *i = t->kind == HOST_VARIANT ? *(const uint32_t *)src : *(const uint8_t *)src;
    return *i < t->count ? ABI_TRAP_NONE : host_fail(cx->in, ABI_TRAP_HOST, "invalid variant discriminant");
}

static enum abi_trap store_variant(struct host_cx *cx, const struct host_type *t, uint64_t ptr, const uint8_t *src) {
    uint32_t i;
    enum abi_trap trap = get_case(cx, t, src, &i);
    if (trap) return trap;
    store_int(cx, ptr, i, t->tag_bytes);
    return t->fields[i].type ? host_store(cx, t->fields[i].type, ptr + t->payload, src + t->host_payload) : ABI_TRAP_NONE;
}

static enum abi_trap store_record(struct host_cx *cx, const struct host_type *t, uint64_t ptr, const uint8_t *src) {
    for (uint32_t i = 0; i < t->count; i++) {
        const struct host_field *f = &t->fields[i];
        enum abi_trap trap = host_store(cx, f->type, ptr + f->offset, src + f->host_offset);
        if (trap) return trap;
    }
    return ABI_TRAP_NONE;
}

enum abi_trap host_store(struct host_cx *cx, const struct host_type *t, uint64_t ptr, const void *src) {
    if (t->plain) {
        memcpy(cx->mem.p + ptr, src, t->size);
        return ABI_TRAP_NONE;
    }
    uint32_t word = cx->o->memory64 ? 8 : 4;
    uint64_t a, b;
    enum abi_trap trap;
    switch ((enum host_kind)t->kind) {
    case HOST_STRING: trap = host_lower_string(cx, *(const str *)src, &a, &b); break;
    case HOST_LIST: trap = lower_list(cx, t, src, &a, &b); break;
    case HOST_ARRAY: return store_elements(cx, t->elem, ptr, t->count, src);
    case HOST_RECORD: return store_record(cx, t, ptr, src);
    case HOST_VARIANT:
    case HOST_OPTION:
    case HOST_RESULT: return store_variant(cx, t, ptr, src);
    default:
        trap = lower_scalar(cx, t, src, &a);
        if (!trap) store_int(cx, ptr, a, t->tag_bytes ? t->tag_bytes : t->size);
        return trap;
    }
    if (trap) return trap;
    store_int(cx, ptr, a, word);
    store_int(cx, ptr + word, b, word);
    return ABI_TRAP_NONE;
}

enum abi_trap host_store_at(struct host_cx *cx, const struct host_type *t, uint64_t ptr, const void *src) {
    if (UNLIKELY(ptr & (t->align - 1))) return host_fail(cx->in, ABI_TRAP_HOST, "unaligned pointer");
    if (UNLIKELY(t->size > cx->mem.n || ptr > cx->mem.n - t->size))
        return host_fail(cx->in, ABI_TRAP_HOST, "pointer out of bounds of memory");
    return host_store(cx, t, ptr, src);
}

/* ---- flat ------------------------------------------------------------------------------------- */

/* Unused slots of a joined payload are zero; an i32 or f32 in a wider slot is zero-extended, as every core value here. */
static enum abi_trap lower_flat_variant(struct host_cx *cx, const struct host_type *t, uint64_t **v, const uint8_t *src) {
    uint32_t i;
    enum abi_trap trap = get_case(cx, t, src, &i);
    if (trap) return trap;
    uint64_t *payload = *v + 1, *end = *v + t->flat_count;
    **v = i;
    *v = end;
    if (t->fields[i].type) trap = host_lower_flat(cx, t->fields[i].type, &payload, src + t->host_payload);
    while (payload < end) *payload++ = 0;
    return trap;
}

enum abi_trap host_lower_flat(struct host_cx *cx, const struct host_type *t, uint64_t **v, const void *src) {
    uint64_t *at = *v;
    enum abi_trap trap = ABI_TRAP_NONE;
    switch ((enum host_kind)t->kind) {
    case HOST_STRING: *v += 2; return host_lower_string(cx, *(const str *)src, &at[0], &at[1]);
    case HOST_LIST: *v += 2; return lower_list(cx, t, src, &at[0], &at[1]);
    case HOST_RECORD:
        for (uint32_t i = 0; !trap && i < t->count; i++)
            trap = host_lower_flat(cx, t->fields[i].type, v, (const uint8_t *)src + t->fields[i].host_offset);
        return trap;
    case HOST_ARRAY:
        for (uint32_t i = 0; !trap && i < t->count; i++)
            trap = host_lower_flat(cx, t->elem, v, (const uint8_t *)src + i * t->elem->host_size);
        return trap;
    case HOST_VARIANT:
    case HOST_OPTION:
    case HOST_RESULT: return lower_flat_variant(cx, t, v, src);
    default: *v += 1; return lower_scalar(cx, t, src, at);
    }
}
