/* lift: values out of the guest (CanonicalABI.md, Loading, Flat Lifting), into host layout.
 *
 * 1. host_load's caller has checked alignment and bounds of the value itself; what it points to is checked
 *    here.
 * 2. Lists whose elements have the same bytes in both layouts, and UTF-8 strings, are not copied: they point
 *    into linear memory (unless cx->copy). Linear memory is never unmapped or moved under a running call.
 * 3. NaNs keep their bits both ways, which the specification allows (maybe_scramble_nan).
 * 4. Others may have a turn between elements and within strings (host_work): no pointer into a table is held there.
 * 5. An own leaves the handle table when it is lifted; call->moved remembers it until the whole value has
 *    been lifted. */
#include "host/host_int.h"

struct host_lend {
    struct host_lend *next;
    struct host_table *table;
    uint32_t index;
};
struct host_moved {
    struct host_moved *next;
    const struct host_resource *type;
    uint64_t rep;
};

static enum abi_trap too_much(struct host_cx *cx) {
    return host_fail(cx->in, ABI_TRAP_OUT_OF_MEMORY, "a call passes more data than this host takes at once");
}

static uint64_t load_int(const struct host_cx *cx, uint64_t ptr, uint32_t bytes) {
    uint64_t v = 0;
    memcpy(&v, cx->mem.p + ptr, bytes);
    return v;
}

/* ---- handles ---------------------------------------------------------------------------------- */

static const char *resource_text(const struct host_resource *r, char *out, size_t n) {
    if (!r) return "a resource that is not offered";
    if (!r->drop) return "guest-defined resource";
    struct diag d = DIAG_INIT;
    (void)diag_set(&d, ERR_OK, 0, "resource `%s`", r->name);
    memcpy(out, d.text, MIN(n, sizeof d.text));
    out[n - 1] = 0;
    return out;
}

static enum abi_trap find_handle(struct host_cx *cx, const struct host_resource *type, uint32_t i, struct host_handle **out) {
    struct host_handle *h = host_table_get(&cx->ci->table, i);
    if (UNLIKELY(!h)) return host_fail(cx->in, ABI_TRAP_HOST, "unknown handle index %u", i);
    if (UNLIKELY(h->type != type)) {
        char want[64], have[64];
        const char *different =
            h->type->drop || type->drop ? resource_text(h->type, have, sizeof have) : "a different guest-defined resource";
        return host_fail(cx->in, ABI_TRAP_HOST, "handle index %u used with the wrong type, expected %s but found %s", i,
                         resource_text(type, want, sizeof want), different);
    }
    *out = h;
    return ABI_TRAP_NONE;
}

enum abi_trap host_moved_add(struct host_cx *cx, const struct host_resource *type, uint64_t rep) {
    struct host_moved *m = host_alloc(cx->call, sizeof *m, _Alignof(struct host_moved));
    if (!m) return too_much(cx);
    *m = (struct host_moved){cx->call->moved, type, rep};
    cx->call->moved = m;
    return ABI_TRAP_NONE;
}

static enum abi_trap lift_own(struct host_cx *cx, const struct host_type *t, uint32_t i, void *dst) {
    struct host_handle *h;
    enum abi_trap trap = find_handle(cx, t->resource, i, &h);
    if (trap) return trap;
    if (h->lends) return host_fail(cx->in, ABI_TRAP_HOST, "cannot remove owned resource while borrowed");
    if (h->kind != HOST_HANDLE_OWN) return host_fail(cx->in, ABI_TRAP_HOST, "cannot lift own resource from a borrow");
    trap = host_moved_add(cx, t->resource, h->rep);
    if (trap) return trap;
    memcpy(dst, &h->rep, sizeof h->rep);
    host_table_remove(&cx->ci->table, i);
    return ABI_TRAP_NONE;
}

static enum abi_trap lift_borrow(struct host_cx *cx, const struct host_type *t, uint32_t i, void *dst) {
    struct host_handle *h;
    enum abi_trap trap = find_handle(cx, t->resource, i, &h);
    if (trap) return trap;
    struct host_lend *lend = host_alloc(cx->call, sizeof *lend, _Alignof(struct host_lend));
    if (!lend) return too_much(cx);
    *lend = (struct host_lend){cx->call->lends, &cx->ci->table, i};
    cx->call->lends = lend;
    h->lends++;
    memcpy(dst, &h->rep, sizeof h->rep);
    return ABI_TRAP_NONE;
}

void host_moved_drop(struct host_call *call) {
    struct host_moved *m = call->moved;
    call->moved = NULL;
    for (; m; m = m->next)
        if (m->type->drop) m->type->drop(call->instance, (void *)(uintptr_t)m->rep);
}

void host_lends_return(struct host_call *call) {
    for (struct host_lend *l = call->lends; l; l = l->next) l->table->p[l->index].lends--;
    call->lends = NULL;
}

/* ---- scalars ---------------------------------------------------------------------------------- */

/* From a core value, or as many bytes of memory as the type has. */
static enum abi_trap lift_scalar(struct host_cx *cx, const struct host_type *t, uint64_t v, void *dst) {
    switch ((enum host_kind)t->kind) {
    case HOST_BOOL: *(bool *)dst = (uint32_t)v != 0; break;
    case HOST_S8:
    case HOST_U8: *(uint8_t *)dst = (uint8_t)v; break;
    case HOST_S16:
    case HOST_U16: *(uint16_t *)dst = (uint16_t)v; break;
    case HOST_S32:
    case HOST_U32:
    case HOST_F32: *(uint32_t *)dst = (uint32_t)v; break;
    case HOST_S64:
    case HOST_U64:
    case HOST_F64: *(uint64_t *)dst = v; break;
    case HOST_CHAR: {
        uint32_t c = (uint32_t)v;
        if (UNLIKELY(c >= 0x110000 || (c >= 0xd800 && c < 0xe000)))
            return host_fail(cx->in, ABI_TRAP_HOST, "invalid `char` bit pattern");
        *(uint32_t *)dst = c;
        break;
    }
    case HOST_ENUM:
        if (UNLIKELY((uint32_t)v >= t->count)) return host_fail(cx->in, ABI_TRAP_HOST, "invalid variant discriminant");
        *(uint32_t *)dst = (uint32_t)v;
        break;
    case HOST_FLAGS: *(uint32_t *)dst = t->count >= 32 ? (uint32_t)v : (uint32_t)v & ((1u << t->count) - 1); break;
    case HOST_OWN: return lift_own(cx, t, (uint32_t)v, dst);
    case HOST_BORROW: return lift_borrow(cx, t, (uint32_t)v, dst);
    case HOST_STREAM:
    case HOST_FUTURE: return host_lift_end(cx, t, (uint32_t)v, dst);
    case HOST_ERROR_CONTEXT: return host_lift_error_context(cx, (uint32_t)v, dst);
    default: ENSURE(false);
    }
    return ABI_TRAP_NONE;
}

/* ---- memory ----------------------------------------------------------------------------------- */

static enum abi_trap load_elements(struct host_cx *cx, const struct host_type *e, uint64_t ptr, uint64_t n, uint8_t *dst) {
    for (uint64_t i = 0; i < n;) {
        uint64_t some = MIN(n - i, (uint64_t)HOST_ELEMENTS);
        for (uint64_t end = i + some; i < end; i++) {
            enum abi_trap trap = host_load(cx, e, ptr + i * e->size, dst + i * e->host_size);
            if (trap) return trap;
        }
        if (!host_work(cx->in, some * HOST_ELEMENT_NS)) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap lift_list(struct host_cx *cx, const struct host_type *t, uint64_t ptr, uint64_t n, void *dst) {
    const struct host_type *e = t->elem;
    struct {
        uint8_t *p;
        size_t n;
    } *list = dst;
    if (UNLIKELY(n > HOST_LIST_BYTES_MAX)) return host_fail(cx->in, ABI_TRAP_HOST, "list content out-of-bounds");
    uint64_t bytes = n * e->size;
    if (UNLIKELY(ptr & (e->align - 1))) return host_fail(cx->in, ABI_TRAP_HOST, "unaligned pointer");
    if (UNLIKELY(bytes > HOST_LIST_BYTES_MAX || bytes > cx->mem.n || ptr > cx->mem.n - bytes))
        return host_fail(cx->in, ABI_TRAP_HOST, "list content out-of-bounds");
    list->n = n;
    list->p = cx->mem.p + ptr;
    if (LIKELY(e->plain && !cx->copy)) return ABI_TRAP_NONE;
    list->p = host_alloc(cx->call, n * e->host_size, e->host_align);
    if (!list->p) return too_much(cx);
    if (!e->plain) return load_elements(cx, e, ptr, n, list->p);
    return host_copy(cx, list->p, cx->mem.p + ptr, bytes);
}

/* What the case leaves of the payload is empty, so that whoever reads it without a look at the case finds no pointer of somebody else's. */
static enum abi_trap set_case(struct host_cx *cx, const struct host_type *t, uint64_t i, void *dst) {
    if (UNLIKELY(i >= t->count)) return host_fail(cx->in, ABI_TRAP_HOST, "invalid variant discriminant");
    memset((uint8_t *)dst + t->host_payload, 0, t->host_size - t->host_payload);
    if (t->kind == HOST_VARIANT) *(uint32_t *)dst = (uint32_t)i;
    else *(uint8_t *)dst = (uint8_t)i;
    return ABI_TRAP_NONE;
}

static enum abi_trap load_variant(struct host_cx *cx, const struct host_type *t, uint64_t ptr, uint8_t *dst) {
    uint64_t i = load_int(cx, ptr, t->tag_bytes);
    enum abi_trap trap = set_case(cx, t, i, dst);
    if (trap || !t->fields[i].type) return trap;
    return host_load(cx, t->fields[i].type, ptr + t->payload, dst + t->host_payload);
}

static enum abi_trap load_record(struct host_cx *cx, const struct host_type *t, uint64_t ptr, uint8_t *dst) {
    for (uint32_t i = 0; i < t->count; i++) {
        const struct host_field *f = &t->fields[i];
        enum abi_trap trap = host_load(cx, f->type, ptr + f->offset, dst + f->host_offset);
        if (trap) return trap;
    }
    return ABI_TRAP_NONE;
}

enum abi_trap host_load(struct host_cx *cx, const struct host_type *t, uint64_t ptr, void *dst) {
    if (t->plain) {
        memcpy(dst, cx->mem.p + ptr, t->size);
        return ABI_TRAP_NONE;
    }
    uint32_t word = cx->o->memory64 ? 8 : 4;
    switch ((enum host_kind)t->kind) {
    case HOST_STRING: return host_lift_string(cx, load_int(cx, ptr, word), load_int(cx, ptr + word, word), dst);
    case HOST_LIST: return lift_list(cx, t, load_int(cx, ptr, word), load_int(cx, ptr + word, word), dst);
    case HOST_ARRAY: return load_elements(cx, t->elem, ptr, t->count, dst);
    case HOST_RECORD: return load_record(cx, t, ptr, dst);
    case HOST_VARIANT:
    case HOST_OPTION:
    case HOST_RESULT: return load_variant(cx, t, ptr, dst);
    default: return lift_scalar(cx, t, load_int(cx, ptr, t->tag_bytes ? t->tag_bytes : t->size), dst);
    }
}

enum abi_trap host_load_at(struct host_cx *cx, const struct host_type *t, uint64_t ptr, void *dst) {
    if (UNLIKELY(ptr & (t->align - 1))) return host_fail(cx->in, ABI_TRAP_HOST, "unaligned pointer");
    if (UNLIKELY(t->size > cx->mem.n || ptr > cx->mem.n - t->size))
        return host_fail(cx->in, ABI_TRAP_HOST, "pointer out of bounds of memory");
    return host_load(cx, t, ptr, dst);
}

/* ---- flat ------------------------------------------------------------------------------------- */

/* Payload values are joined slots: an i32 or f32 in a wider slot is its low half (wrap_i64_to_i32, reinterpret), which is
 * what taking a core value's low bits does. */
static enum abi_trap lift_flat_variant(struct host_cx *cx, const struct host_type *t, const uint64_t **v, uint8_t *dst) {
    const uint64_t *payload = *v + 1;
    uint32_t i = (uint32_t) * *v;
    *v += t->flat_count;
    enum abi_trap trap = set_case(cx, t, i, dst);
    if (trap || !t->fields[i].type) return trap;
    return host_lift_flat(cx, t->fields[i].type, &payload, dst + t->host_payload);
}

static uint64_t pointer(const struct host_cx *cx, uint64_t v) { return cx->o->memory64 ? v : (uint32_t)v; }

/* Numbers, which most parameters are, without a call each. */
static inline bool lift_number(const struct host_type *t, uint64_t v, void *dst) {
    if (t->kind < HOST_S8 || t->kind > HOST_F64) return false;
    switch (t->host_size) {
    case 1: *(uint8_t *)dst = (uint8_t)v; break;
    case 2: *(uint16_t *)dst = (uint16_t)v; break;
    case 4: *(uint32_t *)dst = (uint32_t)v; break;
    default: *(uint64_t *)dst = v; break;
    }
    return true;
}

static enum abi_trap lift_flat_record(struct host_cx *cx, const struct host_type *t, const uint64_t **v, uint8_t *dst) {
    for (const struct host_field *f = t->fields, *end = f + t->count; f < end; f++) {
        if (lift_number(f->type, **v, dst + f->host_offset)) {
            ++*v;
            continue;
        }
        enum abi_trap trap = host_lift_flat(cx, f->type, v, dst + f->host_offset);
        if (UNLIKELY(trap)) return trap;
    }
    return ABI_TRAP_NONE;
}

enum abi_trap host_lift_flat(struct host_cx *cx, const struct host_type *t, const uint64_t **v, void *dst) {
    const uint64_t *at = *v;
    enum abi_trap trap = ABI_TRAP_NONE;
    switch ((enum host_kind)t->kind) {
    case HOST_STRING: *v += 2; return host_lift_string(cx, pointer(cx, at[0]), pointer(cx, at[1]), dst);
    case HOST_LIST: *v += 2; return lift_list(cx, t, pointer(cx, at[0]), pointer(cx, at[1]), dst);
    case HOST_RECORD: return lift_flat_record(cx, t, v, dst);
    case HOST_ARRAY:
        for (uint32_t i = 0; !trap && i < t->count; i++)
            trap = host_lift_flat(cx, t->elem, v, (uint8_t *)dst + i * t->elem->host_size);
        return trap;
    case HOST_VARIANT:
    case HOST_OPTION:
    case HOST_RESULT: return lift_flat_variant(cx, t, v, dst);
    default: *v += 1; return lift_scalar(cx, t, at[0], dst);
    }
}
