/* rt_gc: runtime calls that make arrays and structs, and copy or fill arrays. Arguments in rtcall.def's order.
 *
 * 1. Objects do not move and what a[] refers to is kept, so a long copy may let others run between pieces.
 * 2. What an operation reads and writes is checked as a whole first: it traps before it has written anything.
 */
#include "engine/engine_int.h"

static bool outside(uint64_t at, uint64_t n, uint64_t size) { return n > size || at > size - n; }

static const struct abi_type *type_of(const struct rt *rt, uint64_t id) { return &rt->in->heap->abi.types[id]; }
static const struct abi_type *type_of_object(const struct rt *rt, const struct abi_gc_object *o) {
    return type_of(rt, o->header >> ABI_OBJECT_TYPE_SHIFT);
}
static struct abi_gc_object *object(uint64_t ref) { return (struct abi_gc_object *)(uintptr_t)ref; }

static uint8_t *element(const struct abi_gc_object *o, const struct abi_type *t, uint64_t i) {
    return (uint8_t *)(uintptr_t)o->payload + i * t->bytes;
}

enum abi_trap rt_STRUCT_NEW(const struct rt *rt, uint64_t *a) {
    enum abi_trap trap = ABI_TRAP_NONE;
    uint32_t header = abi_object_header((uint32_t)a[0], ABI_OBJECT_STRUCT);
    a[0] = (uintptr_t)engine_heap_new(rt->in, header, 0, type_of(rt, a[0])->bytes, &trap);
    return trap;
}

/* n elements of zero; NULL: *trap says why. */
static struct abi_gc_object *new_array(const struct rt *rt, uint64_t type_id, uint64_t n, enum abi_trap *trap) {
    *trap = ABI_TRAP_OUT_OF_MEMORY;
    if (n > UINT32_MAX) return NULL;
    uint32_t header = abi_object_header((uint32_t)type_id, ABI_OBJECT_ARRAY);
    struct abi_gc_object *o = engine_heap_new(rt->in, header, (uint32_t)n, n * type_of(rt, type_id)->bytes, trap);
    if (o) *trap = ABI_TRAP_NONE;
    return o;
}

/* Elements per piece of work. */
static uint64_t piece(const struct abi_type *t) { return ENGINE_WORK_PIECE / t->bytes; }

static void fill_piece(uint8_t *to, const uint8_t *value, uint32_t bytes, uint64_t n) {
    if (bytes == 1) {
        memset(to, *value, n);
        return;
    }
    for (uint64_t i = 0; i < n; i++) memcpy(to + i * bytes, value, bytes);
}

/* value: its slots, whose first bytes are the element's. */
static enum abi_trap fill(const struct rt *rt, const struct abi_gc_object *o, uint64_t i, const uint64_t *value, uint64_t n) {
    const struct abi_type *t = type_of_object(rt, o);
    uint8_t bytes[16];
    memcpy(bytes, value, sizeof bytes);
    while (n) {
        uint64_t k = MIN(n, piece(t));
        fill_piece(element(o, t, i), bytes, t->bytes, k);
        i += k, n -= k;
        if (!engine_work(rt->e, k * t->bytes)) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

/* The slots of an element's value. */
static uint32_t value_slots(const struct abi_type *t) { return t->element == WASM_V128 ? 2 : 1; }

enum abi_trap rt_ARRAY_NEW(const struct rt *rt, uint64_t *a) {
    const struct abi_type *t = type_of(rt, a[0]);
    uint64_t n = a[1 + value_slots(t)];
    enum abi_trap trap;
    struct abi_gc_object *o = new_array(rt, a[0], n, &trap);
    if (!o) return trap;
    a[0] = (uintptr_t)o;
    static const uint64_t zero[2];
    return memcmp(&a[1], zero, t->bytes) == 0 ? ABI_TRAP_NONE : fill(rt, o, 0, &a[1], n);
}

enum abi_trap rt_ARRAY_NEW_DEFAULT(const struct rt *rt, uint64_t *a) {
    enum abi_trap trap;
    a[0] = (uintptr_t)new_array(rt, a[0], a[1], &trap);
    return trap;
}

enum abi_trap rt_ARRAY_FILL(const struct rt *rt, uint64_t *a) {
    const struct abi_gc_object *o = object(a[0]);
    if (!o) return ABI_TRAP_NULL_ARRAY;
    uint64_t i = a[1], n = a[2 + value_slots(type_of_object(rt, o))];
    if (outside(i, n, o->length)) return ABI_TRAP_ARRAY_OUT_OF_BOUNDS;
    return fill(rt, o, i, &a[2], n);
}

enum abi_trap rt_ARRAY_COPY(const struct rt *rt, uint64_t *a) {
    const struct abi_gc_object *dst = object(a[0]), *src = object(a[2]);
    uint64_t i = a[1], k = a[3], n = a[4];
    if (!dst || !src) return ABI_TRAP_NULL_ARRAY;
    if (outside(i, n, dst->length) || outside(k, n, src->length)) return ABI_TRAP_ARRAY_OUT_OF_BOUNDS;
    const struct abi_type *t = type_of_object(rt, dst);
    bool down = dst == src && i > k; /* pieces from the end, where others would overwrite what is still to be read */
    while (n) {
        uint64_t some = MIN(n, piece(t)), at = down ? n - some : 0;
        memmove(element(dst, t, i + at), element(src, t, k + at), some * t->bytes);
        n -= some;
        if (!down) i += some, k += some;
        if (!engine_work(rt->e, some * t->bytes)) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

/* ---- from segments ---- */

/* n elements at src of the data segment, which must be there. */
static enum abi_trap copy_data(const struct rt *rt, const struct abi_gc_object *o, uint64_t i, str bytes, uint64_t src,
                               uint64_t n) {
    const struct abi_type *t = type_of_object(rt, o);
    while (n) {
        uint64_t k = MIN(n, piece(t));
        memcpy(element(o, t, i), bytes.p + src, k * t->bytes);
        i += k, n -= k, src += k * t->bytes;
        if (!engine_work(rt->e, k * t->bytes)) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

enum abi_trap rt_ARRAY_NEW_DATA(const struct rt *rt, uint64_t *a) {
    str bytes = engine_data_segment(rt->in, a[0], a[2]);
    uint64_t src = a[3], n = a[4];
    enum abi_trap trap;
    if (outside(src, n * type_of(rt, a[1])->bytes, bytes.n)) return ABI_TRAP_MEMORY_OUT_OF_BOUNDS;
    struct abi_gc_object *o = new_array(rt, a[1], n, &trap);
    if (!o) return trap;
    a[0] = (uintptr_t)o;
    return copy_data(rt, o, 0, bytes, src, n);
}

enum abi_trap rt_ARRAY_INIT_DATA(const struct rt *rt, uint64_t *a) {
    const struct abi_gc_object *o = object(a[2]);
    uint64_t i = a[3], src = a[4], n = a[5];
    if (!o) return ABI_TRAP_NULL_ARRAY;
    str bytes = engine_data_segment(rt->in, a[0], a[1]);
    if (outside(i, n, o->length)) return ABI_TRAP_ARRAY_OUT_OF_BOUNDS;
    if (outside(src, n * type_of_object(rt, o)->bytes, bytes.n)) return ABI_TRAP_MEMORY_OUT_OF_BOUNDS;
    return copy_data(rt, o, i, bytes, src, n);
}

static enum abi_trap copy_elems(const struct rt *rt, uint64_t inst, uint64_t segment, uint64_t src, uint64_t n, uint64_t *to) {
    while (n) {
        uint64_t k = MIN(n, (uint64_t)ENGINE_WORK_PIECE / sizeof *to);
        engine_elem_copy(rt->in, inst, segment, src, k, to);
        src += k, to += k, n -= k;
        if (!engine_work(rt->e, k * sizeof *to)) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

enum abi_trap rt_ARRAY_NEW_ELEM(const struct rt *rt, uint64_t *a) {
    uint64_t src = a[3], n = a[4], inst = a[0], segment = a[2];
    enum abi_trap trap;
    if (outside(src, n, engine_elem_count(rt->in, inst, segment))) return ABI_TRAP_TABLE_OUT_OF_BOUNDS;
    struct abi_gc_object *o = new_array(rt, a[1], n, &trap);
    if (!o) return trap;
    a[0] = (uintptr_t)o;
    return copy_elems(rt, inst, segment, src, n, o->payload);
}

enum abi_trap rt_ARRAY_INIT_ELEM(const struct rt *rt, uint64_t *a) {
    struct abi_gc_object *o = object(a[2]);
    uint64_t i = a[3], src = a[4], n = a[5];
    if (!o) return ABI_TRAP_NULL_ARRAY;
    if (outside(i, n, o->length)) return ABI_TRAP_ARRAY_OUT_OF_BOUNDS;
    if (outside(src, n, engine_elem_count(rt->in, a[0], a[1]))) return ABI_TRAP_TABLE_OUT_OF_BOUNDS;
    return copy_elems(rt, a[0], a[1], src, n, o->payload + i);
}

/* ---- casts ---- */

static bool has_type(const struct rt *rt, uint64_t ref, uint32_t super) {
    if (type_of(rt, super)->comp == WASM_COMP_FUNC)
        return engine_type_sub(rt->in, ((const struct abi_func *)(uintptr_t)ref)->type_id, super);
    if (ref & (ABI_REF_I31 | ABI_REF_HOST)) return false;
    return engine_type_sub(rt->in, object(ref)->header >> ABI_OBJECT_TYPE_SHIFT, super);
}

enum abi_trap rt_TYPE_TEST(const struct rt *rt, uint64_t *a) {
    a[0] = a[2] ? has_type(rt, a[2], (uint32_t)a[0] - WASM_HEAP_INDEX) : a[1] != 0;
    return ABI_TRAP_NONE;
}
