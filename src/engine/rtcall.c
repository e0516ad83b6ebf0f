/* rtcall: the runtime calls of compiled code, one function each, in rtcall.def's order of arguments.
 *
 * 1. Sizes and indices arrive as u64 and are checked here: compiled code checks nothing before a runtime
 *    call.
 * 2. A long operation is work in pieces (engine_work), so others of the same instance may run in the middle: it
 *    holds no pointer that they could move. Memories never move; tables do, so their elements are found again for each piece.
 */
#include "engine/engine_int.h"
#include <sys/mman.h>

/* ---- finding things ---- */

static const struct abi_image_instance *core(const struct engine_instance *in, uint64_t instance) {
    return &in->image->instances[instance];
}

static uint8_t *gs_of(const struct engine_instance *in, uint64_t instance) { return in->groups[core(in, instance)->group].gs; }

struct abi_memory *engine_find_memory(struct engine_instance *in, uint32_t instance, uint32_t index) {
    const struct abi_image_instance *ai = core(in, instance);
    const struct abi_image_memory *m = abi_image_at(&in->image->im, ai->memories, struct abi_image_memory) + index;
    const struct engine_group *g = &in->groups[ai->group];
    uint8_t *at = g->gs + m->layout.offset;
    if (m->layout.where == ABI_MEMORY_GS) return (struct abi_memory *)(void *)abi_ctx_of(g->gs);
    if (m->layout.where == ABI_MEMORY_NEAR) return (struct abi_memory *)(void *)at;
    return *(struct abi_memory **)(void *)at;
}

struct abi_table *engine_find_table(struct engine_instance *in, uint32_t instance, uint32_t index, struct abi_table *fixed) {
    const struct abi_image_instance *ai = core(in, instance);
    const struct abi_image_table *t = abi_image_at(&in->image->im, ai->tables, struct abi_image_table) + index;
    uint8_t *at = in->groups[ai->group].gs + t->layout.offset;
    if (t->layout.where == ABI_TABLE_NEAR) return (struct abi_table *)(void *)at;
    if (t->layout.where == ABI_TABLE_FAR) return *(struct abi_table **)(void *)at;
    *fixed = (struct abi_table){(uint64_t *)(void *)at, t->layout.count, t->layout.count};
    return fixed;
}

static struct abi_memory *memory(const struct rt *rt, uint64_t instance, uint64_t index) {
    return engine_find_memory(rt->in, (uint32_t)instance, (uint32_t)index);
}

static struct abi_table *table(const struct rt *rt, uint64_t instance, uint64_t index, struct abi_table *fixed) {
    return engine_find_table(rt->in, (uint32_t)instance, (uint32_t)index, fixed);
}

static bool outside(uint64_t at, uint64_t n, uint64_t size) { return n > size || at > size - n; }

/* Instances that can reach each other's memories and tables: in's own, or its store's. */
static struct engine_instance *first_linked(struct engine_instance *in) { return in->store ? in->store->instances : in; }
static struct engine_instance *next_linked(struct engine_instance *in) { return in->store ? in->store_next : NULL; }

/* ---- memories ---- */

/* The owner of the memory at base, its group if it is memory 0 there, and the most bytes its reservation can
 * hold. */
struct owner {
    struct engine_instance *in;
    struct engine_group *group;
    uint64_t room;
};
static struct owner owner_of_memory(struct engine_instance *from, const uint8_t *base) {
    for (struct engine_instance *in = first_linked(from); in; in = next_linked(in)) {
        const struct engine_image *image = in->image;
        for (uint32_t i = 0; i < image->groups_count; i++)
            if (in->groups[i].gs == base) return (struct owner){in, &in->groups[i], in->groups[i].memory.bytes_max};
        for (uint32_t i = 0; i < image->memories_count; i++)
            if (in->memory_base[i] == base) return (struct owner){in, NULL, image->memories[i].reserve};
    }
    ENSURE(!"a memory of a linked instance");
    return (struct owner){0};
}

static bool grow_memory(struct engine_instance *from, struct abi_memory *m, uint64_t pages) {
    struct owner o = owner_of_memory(from, m->base);
    struct abi_memory *truth = o.group ? &o.group->memory : m;
    uint64_t max = MIN(truth->bytes_max, o.room), old = truth->bytes;
    if (old > max || pages > (max - old) / ABI_WASM_PAGE) return false;
    if (!pages) return true;
    uint64_t more = pages * ABI_WASM_PAGE;
    if (!engine_charge(o.in, more)) return false;
    if (mprotect(truth->base + old, more, PROT_READ | PROT_WRITE) != 0) {
        engine_uncharge(o.in, more);
        return false;
    }
    truth->bytes = old + more;
    if (o.group) engine_memory_changed(o.group);
    return true;
}

static enum abi_trap rt_MEMORY_GROW(const struct rt *rt, uint64_t *a) {
    struct abi_memory *m = memory(rt, a[0], a[1]);
    uint64_t old, refusals;
    bool ok;
    do {
        old = m->bytes / ABI_WASM_PAGE;
        refusals = rt->e->refusals;
        ok = grow_memory(rt->in, m, a[2]);
    } while (!ok && engine_wait_room(rt->e, refusals));
    a[0] = ok ? old : UINT64_MAX;
    return ABI_TRAP_NONE;
}

static enum abi_trap rt_MEMORY_SIZE(const struct rt *rt, uint64_t *a) {
    a[0] = memory(rt, a[0], a[1])->bytes / ABI_WASM_PAGE;
    return ABI_TRAP_NONE;
}

static enum abi_trap copy(struct engine *e, uint8_t *dst, const uint8_t *src, uint64_t n) {
    return engine_copy(e, dst, src, n) ? ABI_TRAP_NONE : ABI_TRAP_INTERRUPTED;
}

static enum abi_trap rt_MEMORY_COPY(const struct rt *rt, uint64_t *a) {
    struct abi_memory *to = memory(rt, a[0], a[1]), *from = memory(rt, a[0], a[2]);
    uint64_t dst = a[3], src = a[4], n = a[5];
    if (outside(dst, n, to->bytes) || outside(src, n, from->bytes)) return ABI_TRAP_MEMORY_OUT_OF_BOUNDS;
    return copy(rt->e, to->base + dst, from->base + src, n);
}

static enum abi_trap rt_MEMORY_FILL(const struct rt *rt, uint64_t *a) {
    struct abi_memory *m = memory(rt, a[0], a[1]);
    uint64_t dst = a[2], n = a[4];
    if (outside(dst, n, m->bytes)) return ABI_TRAP_MEMORY_OUT_OF_BOUNDS;
    uint8_t *at = m->base + dst;
    for (uint64_t some; n; n -= some, at += some) {
        some = MIN(n, (uint64_t)ENGINE_WORK_PIECE);
        memset(at, (uint8_t)a[3], some);
        if (!engine_work(rt->e, some)) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

/* One byte a data segment, then one an element segment; 1: dropped. */
static uint8_t *dropped(const struct rt *rt, uint64_t instance) {
    return gs_of(rt->in, instance) + core(rt->in, instance)->dropped_offset;
}

static str segment_bytes(const struct rt *rt, uint64_t instance, uint64_t segment) {
    const struct abi_image *im = &rt->in->image->im;
    return abi_image_str(im, abi_image_at(im, core(rt->in, instance)->data, struct abi_image_segment)[segment].bytes);
}

str engine_data_segment(struct engine_instance *in, uint64_t instance, uint64_t segment) {
    const struct rt rt = {in->engine, in};
    return dropped(&rt, instance)[segment] ? (str){0} : segment_bytes(&rt, instance, segment);
}

static enum abi_trap rt_MEMORY_INIT(const struct rt *rt, uint64_t *a) {
    struct abi_memory *m = memory(rt, a[0], a[1]);
    uint64_t dst = a[3], src = a[4], n = a[5];
    str bytes = engine_data_segment(rt->in, a[0], a[2]);
    if (outside(dst, n, m->bytes) || outside(src, n, bytes.n)) return ABI_TRAP_MEMORY_OUT_OF_BOUNDS;
    return n ? copy(rt->e, m->base + dst, bytes.p + src, n) : ABI_TRAP_NONE;
}

enum { SEGMENT_NS = 50 /* to find one and look at it, about */ };
static enum abi_trap rt_DATA_RUN(const struct rt *rt, uint64_t *a) {
    const struct abi_image_instance *ai = core(rt->in, a[0]);
    const struct abi_image_active *active = abi_image_at(&rt->in->image->im, ai->active, struct abi_image_active);
    for (uint64_t d = a[1], end = d + a[2]; d < end; d++) {
        uint64_t init[] = {a[0], active[d].memory, d, active[d].offset, 0, segment_bytes(rt, a[0], d).n};
        enum abi_trap trap = rt_MEMORY_INIT(rt, init);
        if (trap != ABI_TRAP_NONE) return trap;
        dropped(rt, a[0])[d] = 1;
        if (!engine_work(rt->e, SEGMENT_NS)) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap rt_DATA_DROP(const struct rt *rt, uint64_t *a) {
    dropped(rt, a[0])[a[1]] = 1;
    return ABI_TRAP_NONE;
}

/* ---- tables ---- */

static enum abi_trap rt_TABLE_GET(const struct rt *rt, uint64_t *a) {
    struct abi_table fixed, *t = table(rt, a[0], a[1], &fixed);
    if (a[2] >= t->count) return ABI_TRAP_TABLE_OUT_OF_BOUNDS;
    a[0] = t->elements[a[2]];
    return ABI_TRAP_NONE;
}

static enum abi_trap rt_TABLE_SET(const struct rt *rt, uint64_t *a) {
    struct abi_table fixed, *t = table(rt, a[0], a[1], &fixed);
    if (a[2] >= t->count) return ABI_TRAP_TABLE_OUT_OF_BOUNDS;
    t->elements[a[2]] = a[3];
    return ABI_TRAP_NONE;
}

/* Whose context the record of a table lies in. */
static struct engine_instance *owner_of_table(struct engine_instance *from, const struct abi_table *t) {
    const uint8_t *p = (const uint8_t *)t;
    for (struct engine_instance *in = first_linked(from); in; in = next_linked(in))
        if (p >= in->slot && p < in->slot + in->image->slot_bytes) return in;
    ENSURE(!"a table of a linked instance");
    return NULL;
}

enum { TABLE_PIECE = ENGINE_WORK_PIECE / sizeof(uint64_t) };

/* The elements as they are now, so that one who was not alone can see whether others have grown the table. */
static bool same_table(const struct abi_table *t, const struct abi_table *before) {
    return t->elements == before->elements && t->count == before->count;
}

/* Where t's elements lie after they left the context; points to NULL if they have not. */
static struct engine_grown **grown_of(struct engine_instance *owner, const struct abi_table *t) {
    struct engine_grown **at = &owner->grown;
    while (*at && (*at)->elements != t->elements) at = &(*at)->next;
    return at;
}

/* Moves the elements to where cap of them have room. *moved false: no room, or others have grown it meanwhile. */
static enum abi_trap move_table(const struct rt *rt, struct engine_instance *owner, struct abi_table *t, uint64_t cap,
                                bool *moved) {
    struct engine_grown **at = grown_of(owner, t), *old = *at, *grown;
    const struct abi_table before = *t;
    uint64_t more = (cap - (old ? old->cap : 0)) * sizeof(uint64_t);
    *moved = false;
    if (!engine_charge(owner, more)) return ABI_TRAP_NONE;
    if (!(grown = engine_grown_resize(old, cap))) {
        engine_uncharge(owner, more);
        return ABI_TRAP_NONE;
    }
    if (old) {
        *at = grown;
    } else {
        bool alive = engine_copy(rt->e, grown->elements, t->elements, t->count * sizeof(uint64_t));
        if (!alive || !same_table(t, &before)) {
            engine_grown_free(grown);
            engine_uncharge(owner, more);
            return alive ? ABI_TRAP_NONE : ABI_TRAP_INTERRUPTED;
        }
        grown->next = owner->grown;
        owner->grown = grown;
    }
    t->elements = grown->elements;
    *moved = true;
    return ABI_TRAP_NONE;
}

/* Writes n elements at `at`, which may lie behind the count. *same false: others have grown the table meanwhile. */
static enum abi_trap fill_table(const struct rt *rt, struct abi_table *t, uint64_t at, uint64_t n, uint64_t ref, bool *same) {
    const struct abi_table before = *t;
    for (uint64_t end = at + n; at < end;) {
        uint64_t stop = MIN(end, at + TABLE_PIECE), some = stop - at;
        for (uint64_t *p = t->elements; at < stop; at++) p[at] = ref;
        if (!engine_work(rt->e, some * sizeof(uint64_t))) return ABI_TRAP_INTERRUPTED;
        *same = same_table(t, &before);
        if (!*same) return ABI_TRAP_NONE;
    }
    return ABI_TRAP_NONE;
}

/* *old: the count before; UINT64_MAX where it cannot grow so far. */
static enum abi_trap grow_table(const struct rt *rt, struct abi_table *t, uint64_t n, uint64_t ref, uint64_t *old) {
    struct engine_instance *owner = owner_of_table(rt->in, t);
    uint64_t max = MIN(t->max, (uint64_t)ENGINE_TABLE_COUNT_MAX);
    for (;;) { /* again, where others have grown it in the middle */
        *old = UINT64_MAX;
        if (t->count > max || n > max - t->count) return ABI_TRAP_NONE;
        const struct abi_table before = *t;
        const struct engine_grown *g = *grown_of(owner, t);
        uint64_t need = t->count + n, refusals = rt->e->refusals;
        bool same = true;
        enum abi_trap trap = ABI_TRAP_NONE;
        if (need > (g ? g->cap : 0)) {
            trap = move_table(rt, owner, t, MAX(need, MIN(2 * t->count, max)), &same);
            if (!trap && !same && same_table(t, &before) && !engine_wait_room(rt->e, refusals)) return ABI_TRAP_NONE;
        }
        if (!trap && same) trap = fill_table(rt, t, t->count, n, ref, &same);
        if (trap || !same) {
            if (trap) return trap;
            continue;
        }
        *old = t->count;
        t->count = need;
        return ABI_TRAP_NONE;
    }
}

static enum abi_trap rt_TABLE_GROW(const struct rt *rt, uint64_t *a) {
    struct abi_table fixed, *t = table(rt, a[0], a[1], &fixed);
    uint64_t n = a[3], ref = a[2];
    a[0] = n ? UINT64_MAX : t->count;
    return n && t != &fixed ? grow_table(rt, t, n, ref, &a[0]) : ABI_TRAP_NONE;
}

static enum abi_trap rt_TABLE_SIZE(const struct rt *rt, uint64_t *a) {
    struct abi_table fixed;
    a[0] = table(rt, a[0], a[1], &fixed)->count;
    return ABI_TRAP_NONE;
}

static enum abi_trap rt_TABLE_FILL(const struct rt *rt, uint64_t *a) {
    struct abi_table fixed, *t = table(rt, a[0], a[1], &fixed);
    uint64_t at = a[2], n = a[4];
    if (outside(at, n, t->count)) return ABI_TRAP_TABLE_OUT_OF_BOUNDS;
    for (uint64_t some; n; n -= some, at += some) {
        some = MIN(n, (uint64_t)TABLE_PIECE);
        for (uint64_t *p = t->elements + at, *end = p + some; p < end; p++) *p = a[3];
        if (!engine_work(rt->e, some * sizeof(uint64_t))) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap rt_TABLE_COPY(const struct rt *rt, uint64_t *a) {
    struct abi_table fixed_to, fixed_from, *to = table(rt, a[0], a[1], &fixed_to), *from = table(rt, a[0], a[2], &fixed_from);
    uint64_t dst = a[3], src = a[4], n = a[5];
    if (outside(dst, n, to->count) || outside(src, n, from->count)) return ABI_TRAP_TABLE_OUT_OF_BOUNDS;
    bool down = dst > src; /* from the end, where it is the same table: no piece is overwritten before it is read */
    for (uint64_t done = 0, some; done < n; done += some) {
        some = MIN(n - done, (uint64_t)TABLE_PIECE);
        uint64_t at = down ? n - done - some : done;
        memmove(to->elements + dst + at, from->elements + src + at, some * sizeof(uint64_t));
        if (!engine_work(rt->e, some * sizeof(uint64_t))) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

static uint64_t *dynamic_elements(const struct rt *rt, uint64_t instance, const struct abi_image_elem *elem) {
    return (uint64_t *)(void *)(gs_of(rt->in, instance) + elem->dynamic_offset);
}

static const struct abi_image_elem *elem_of(const struct rt *rt, uint64_t instance, uint64_t segment) {
    return abi_image_at(&rt->in->image->im, core(rt->in, instance)->elems, struct abi_image_elem) + segment;
}

static uint8_t *elem_dropped(const struct rt *rt, uint64_t instance, uint64_t segment) {
    return dropped(rt, instance) + core(rt->in, instance)->data.count + segment;
}

uint64_t engine_elem_count(struct engine_instance *in, uint64_t instance, uint64_t segment) {
    const struct rt rt = {in->engine, in};
    return *elem_dropped(&rt, instance, segment) ? 0 : elem_of(&rt, instance, segment)->count;
}

void engine_elem_copy(struct engine_instance *in, uint64_t instance, uint64_t segment, uint64_t src, uint64_t n, uint64_t *to) {
    const struct rt rt = {in->engine, in};
    const struct abi_image *im = &in->image->im;
    const struct abi_image_elem *elem = elem_of(&rt, instance, segment);
    if (!n) return;
    if (elem->dynamic_offset) {
        memcpy(to, dynamic_elements(&rt, instance, elem) + src, n * sizeof(uint64_t));
        return;
    }
    const uint32_t *refs = abi_image_at(im, elem->refs, uint32_t) + src;
    for (uint64_t i = 0; i < n; i++) to[i] = refs[i] ? (uintptr_t)&im->funcs[refs[i] - 1] : 0;
}

static enum abi_trap rt_TABLE_INIT(const struct rt *rt, uint64_t *a) {
    struct abi_table fixed, *t = table(rt, a[0], a[1], &fixed);
    uint64_t dst = a[3], src = a[4], n = a[5], count = engine_elem_count(rt->in, a[0], a[2]);
    if (outside(dst, n, t->count) || outside(src, n, count)) return ABI_TRAP_TABLE_OUT_OF_BOUNDS;
    for (uint64_t some; n; n -= some, src += some, dst += some) {
        some = MIN(n, (uint64_t)TABLE_PIECE);
        engine_elem_copy(rt->in, a[0], a[2], src, some, t->elements + dst);
        if (!engine_work(rt->e, some * sizeof(uint64_t))) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap rt_ELEM_DROP(const struct rt *rt, uint64_t *a) {
    *elem_dropped(rt, a[0], a[1]) = 1;
    return ABI_TRAP_NONE;
}

static enum abi_trap rt_ELEM_SET(const struct rt *rt, uint64_t *a) {
    const struct abi_image_elem *elem = elem_of(rt, a[0], a[1]);
    ENSURE(elem->dynamic_offset && a[2] < elem->count);
    dynamic_elements(rt, a[0], elem)[a[2]] = a[3];
    return ABI_TRAP_NONE;
}

/* ---- types ---- */

bool engine_type_sub(const struct engine_instance *in, uint32_t sub, uint32_t super) {
    const struct engine_heap *h = in->heap;
    while (sub != super) {
        if (sub >= h->types_count || !h->abi.types[sub].super) return false;
        sub = h->abi.types[sub].super - 1;
    }
    return true;
}

/* ---- dispatch ---- */

typedef enum abi_trap (*rt_fn)(const struct rt *rt, uint64_t *args);
static const rt_fn rt_fns[] = {
#define X(name, args, results) [ABI_RT_##name] = rt_##name,
#include "abi/rtcall.def"
#undef X
};
enum { RT_SLOTS_MAX = 6 };

void engine_rt_dispatch(struct engine_instance *in, uint32_t op, uint64_t *args, void **sp) {
    struct engine *e = in->engine;
    struct engine_fiber *f = e->current;
    uint8_t *top = f->frame_top;
    if (UNLIKELY(f->actor->killed)) engine_raise(e, ABI_TRAP_INTERRUPTED, sp);
    if (UNLIKELY((uint8_t *)(args + RT_SLOTS_MAX) > f->frame_limit)) engine_raise(e, ABI_TRAP_STACK_OVERFLOW, sp);
    ENSURE(op < ABI_RT_COUNT);
    const struct rt rt = {e, in};
    f->frame_top = (uint8_t *)(args + RT_SLOTS_MAX); /* what a collection looks at, by this fiber or, while it waits, another */
    enum abi_trap t = rt_fns[op](&rt, args);
    if (UNLIKELY(!engine_slice_check(e))) t = ABI_TRAP_INTERRUPTED;
    f->frame_top = top;
    if (UNLIKELY(t != ABI_TRAP_NONE)) engine_trap_raise(in, t, sp, NULL, NULL);
}
