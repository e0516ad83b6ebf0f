/* slot: address space of instances, and how it becomes as new.
 *
 *   [ guard | context ][ memory: initial | grown | reserved, no access ...... ][ guard | next group … ]
 *             template   image file, then zero
 *
 * 1. A slot on the free list is pristine: contexts as their template, memories as the image has them, all
 *    else without access. Reset (reset.c) begins at release, so that acquiring is a pop.
 * 2. Pages that were written stay with a free slot, up to kept_max over all of them; beyond that the slot that was used longest ago
 *    gives up its own.
 * 3. What this file believes about sizes is in struct engine_group, never in memory that compiled code may
 *    write.
 */
#include "engine/engine_int.h"
#include <stdlib.h>
#include <sys/mman.h>

enum { TRIM_IDLE_S = 5, FREE_IDLE_S = 60 };

/* ---- contexts ---- */

void engine_memory_changed(struct engine_group *g) {
    struct abi_ctx *c = abi_ctx_of(g->gs);
    c->base = g->memory.base;
    c->memory_bytes = g->memory.bytes;
    c->memory_bytes_max = g->memory.bytes_max;
}

/* What differs from slot to slot in a context that is otherwise as its template: addresses, and the engine's
 * own fields. */
static void finish_context(struct engine_instance *in, struct engine_group *g) {
    const struct engine_image_group *of = g->of;
    *abi_ctx_of(g->gs) = (struct abi_ctx){
        .groups = in->group_gs,
        .instance = in,
        .rt_call = (void *)(uintptr_t)engine_asm_call,
        .rt_host = (void *)(uintptr_t)engine_asm_host,
        .rt_trap = (void *)(uintptr_t)engine_asm_trap,
        .rt_far = (void *)(uintptr_t)engine_asm_far,
        .rt_throw = (void *)(uintptr_t)engine_asm_throw,
        .rt_far_tail = (void *)(uintptr_t)engine_asm_far_tail,
        .heap = &in->heap->abi,
    };
    for (uint32_t i = 0; i < of->relocs_count; i++) {
        const struct abi_context_reloc *r = &of->relocs[i];
        uint64_t address = (uintptr_t)in->groups[r->target].gs + (uint64_t)(int64_t)r->addend;
        memcpy(g->gs + r->at, &address, 8);
    }
    uint64_t tail = of->content_bytes - of->content_mapped; /* of the file's last page, which is not mapped */
    if (tail) memcpy(g->gs + of->content_mapped, of->content + of->content_mapped, tail);
    engine_memory_changed(g);
}

static void finish_contexts(struct engine_instance *in) {
    const struct engine_image *image = in->image;
    for (uint32_t i = 0; i < image->groups_count; i++) finish_context(in, &in->groups[i]);
    for (uint32_t i = 0; i < image->memories_count; i++)
        *in->memories[i] = (struct abi_memory){in->memory_base[i], image->memories[i].bytes, image->memories[i].bytes_max};
    in->limits_of = NULL;
}

void engine_instance_limits(struct engine_instance *in, const struct engine_fiber *f) {
    if (in->limits_of == f && !in->store) return;
    uint64_t native = (uintptr_t)f->native_low + ENGINE_HEADROOM, frame = (uintptr_t)f->frame_limit;
    uint32_t n = in->store ? in->store->groups_count : in->image->groups_count;
    for (uint32_t i = 0; i < n; i++) {
        struct abi_ctx *c = abi_ctx_of(in->group_gs[i]);
        c->native_limit = native;
        c->frame_limit = frame;
    }
    in->limits_of = f;
}

/* ---- the free list ---- */

static void verify(struct engine_instance *in);

static void push_free(struct engine_instance *in) {
    struct engine_image *image = in->image;
    if (image->free_count == image->free_cap) {
        image->free_cap = MAX(2 * image->free_cap, 16u);
        image->free = realloc(image->free, image->free_cap * sizeof *image->free);
        ENSURE(image->free);
    }
    image->free[image->free_count++] = in;
}

static void keep(struct engine_instance *in, uint64_t bytes) {
    in->kept_bytes = bytes;
    in->engine->kept_bytes += bytes;
    in->engine->bytes.used += bytes; /* it was charged to an instance until now */
}

static void keep_nothing(struct engine_instance *in) {
    in->engine->bytes.used -= in->kept_bytes;
    in->engine->kept_bytes -= in->kept_bytes;
    in->kept_bytes = 0;
}

/* Gives the memory of a free slot back to the kernel. */
static void trim(struct engine_instance *in) {
    const struct engine_image *image = in->image;
    for (uint32_t i = 0; i < image->groups_count; i++) {
        struct engine_group *g = &in->groups[i];
        engine_give_back(g->of->whole ? g->gs : g->gs - g->of->context_bytes, g->gs + MAX(g->of->memory_bytes, g->kept_bytes));
        g->kept_bytes = 0;
    }
    for (uint32_t i = 0; i < image->memories_count; i++) {
        uint64_t bytes = align_up(MAX(image->memories[i].bytes, in->memory_kept[i]), ABI_PAGE);
        engine_give_back(in->memory_base[i], in->memory_base[i] + bytes);
        in->memory_kept[i] = 0;
    }
    engine_heap_trim(&in->own_heap);
    engine_written_forget(in);
    finish_contexts(in);
    keep_nothing(in);
    in->image->wants_trim -= in->wants_trim;
    in->wants_trim = false;
    in->trimmed = true;
    if (in->engine->config.verify) verify(in);
}

/* The slots at the low end of the list were used longest ago. */
bool engine_slots_give_up(struct engine *e) {
    if (!e->kept_bytes) return false;
    for (struct engine_image *image = e->images; image; image = image->next)
        for (uint32_t i = 0; i < image->free_count; i++)
            if (image->free[i]->kept_bytes) {
                trim(image->free[i]);
                return true;
            }
    return false;
}

bool engine_slots_free_one(struct engine *e) {
    for (struct engine_image *image = e->images; image; image = image->next) {
        if (!image->free_count) continue;
        struct engine_instance *in = image->free[0];
        memmove(&image->free[0], &image->free[1], --image->free_count * sizeof *image->free);
        engine_slot_free(in);
        return true;
    }
    return false;
}

void engine_slot_pristine(struct engine_instance *in) {
    engine_unpay(in->image->share, in->memory_used);
    in->memory_used = 0;
    engine_room(in->engine);
    if (UNLIKELY(in->cleaning.broken)) {
        engine_slot_free(in);
        return;
    }
    struct engine *e = in->engine;
    uint32_t pages = (uint32_t)in->cleaning.kept;
    finish_contexts(in);
    in->dirty_last = pages;
    in->image->share->resets++;
    in->image->share->reset_bytes += in->cleaning.bytes;
    if (in->trimmed || !in->dirty_first) in->dirty_first = MAX(pages, 1u);
    in->trimmed = false;
    /* Pages once written stay: when that has become much more than one request writes, start anew. */
    in->wants_trim = pages > 256 + 2 * in->dirty_first || pages >= ENGINE_DIRTY_MAX;
    in->image->wants_trim += in->wants_trim;
    if (e->config.verify) verify(in);
    push_free(in);
    keep(in, pages * (uint64_t)ABI_PAGE);
    while (UNLIKELY(e->kept_bytes > e->kept_max) && engine_slots_give_up(e)) {}
}

/* ---- verification, for tests ---- */

static void verify_zero(const uint8_t *p, uint64_t n) {
    for (uint64_t i = 0; i < n; i++) ENSURE(p[i] == 0);
}

/* Records of memories differ from slot to slot. */
static void forget_record(const struct engine_group *g, uint8_t *context, int32_t at) {
    uint64_t from = g->of->context_bytes - (uint64_t) - (int64_t)at;
    memcpy(context + from, g->of->template + from, sizeof(struct abi_memory));
}

static void verify_group(struct engine_instance *in, struct engine_group *g) {
    const struct engine_image_group *of = g->of;
    ENSURE(g->memory.bytes == of->memory_bytes && abi_ctx_of(g->gs)->memory_bytes == of->memory_bytes);
    uint8_t *now = malloc(of->context_bytes), *low = g->gs - of->context_bytes;
    ENSURE(now);
    memcpy(now, low, of->context_bytes);
    memcpy(now + of->context_bytes - sizeof(struct abi_ctx), of->template + of->context_bytes - sizeof(struct abi_ctx),
           sizeof(struct abi_ctx));
    for (uint32_t i = 0; i < of->relocs_count; i++) {
        const struct abi_context_reloc *r = &of->relocs[i];
        memcpy(now + of->context_bytes + r->at, of->template + of->context_bytes + r->at, 8);
    }
    const struct engine_image *image = in->image;
    for (uint32_t i = 0; i < image->memories_count; i++)
        if (&in->groups[image->memories[i].group] == g) forget_record(g, now, image->memories[i].offset);
    ENSURE(memcmp(now, of->template, of->context_bytes) == 0);
    free(now);
    if (of->content_bytes) ENSURE(memcmp(g->gs, of->content, of->content_bytes) == 0);
    verify_zero(g->gs + of->content_bytes, of->memory_bytes - of->content_bytes);
}

/* What a memory had grown by is without access, and zero for whoever grows it again. Pages that are not there are left so; where the kernel
 * does not say which these are, all are read. */
static void verify_grown(uint8_t *from, uint8_t *to) {
    unsigned char there[256];
    from = (uint8_t *)align_up((uintptr_t)from, ABI_PAGE);
    if (from >= to) return;
    ENSURE(mprotect(from, (size_t)(to - from), PROT_READ) == 0);
    for (uint8_t *p = from; p < to; p += sizeof there * ABI_PAGE) {
        size_t pages = MIN((size_t)(to - p) / ABI_PAGE, sizeof there);
        if (mincore(p, pages * ABI_PAGE, there) != 0) memset(there, 1, sizeof there);
        for (size_t i = 0; i < pages; i++)
            if (there[i] & 1) verify_zero(p + i * ABI_PAGE, ABI_PAGE);
    }
    ENSURE(mprotect(from, (size_t)(to - from), PROT_NONE) == 0);
}

static void verify(struct engine_instance *in) {
    for (uint32_t i = 0; i < in->image->groups_count; i++) {
        struct engine_group *g = &in->groups[i];
        verify_group(in, g);
        verify_grown(g->gs + g->of->memory_bytes, g->gs + g->kept_bytes);
    }
    for (uint32_t i = 0; i < in->image->memories_count; i++) {
        uint8_t *base = in->memory_base[i];
        verify_zero(base, in->image->memories[i].bytes);
        verify_grown(base + in->image->memories[i].bytes, base + in->memory_kept[i]);
    }
    verify_zero(in->own_heap.base, in->own_heap.peak_bytes);
}

/* ---- making and freeing slots ---- */

static bool map_group(const struct engine_image *image, struct engine_group *g, uint8_t *low) {
    const struct engine_image_group *of = g->of;
    int rw = PROT_READ | PROT_WRITE, fixed = MAP_PRIVATE | MAP_FIXED;
    if (of->whole) {
        if (mprotect(low, of->context_bytes, rw) != 0) return false;
        engine_copy_sparse(low, of->template, of->context_bytes);
    } else if (mmap(low, of->context_bytes, rw, fixed, of->fd, 0) == MAP_FAILED) {
        return false;
    }
    if (of->content_mapped && mmap(g->gs, of->content_mapped, rw, fixed, image->im.fd, (off_t)of->content_offset) == MAP_FAILED)
        return false;
    uint64_t rest = of->memory_bytes - of->content_mapped;
    return !rest || mprotect(g->gs + of->content_mapped, rest, rw) == 0;
}

static uint8_t *reserve(uint64_t bytes) {
    uint8_t *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return NULL;
    madvise(p, bytes, MADV_NOHUGEPAGE); /* resets copy 4 KiB, not 2 MiB; an error only means there are no huge pages */
    return p;
}

static bool map_slot(struct engine_instance *in) {
    const struct engine_image *image = in->image;
    if (!(in->slot = reserve(image->slot_bytes))) return false;
    for (uint32_t i = 0; i < image->groups_count; i++) {
        struct engine_group *g = &in->groups[i];
        g->of = &image->groups[i];
        g->gs = in->own_gs[i] = in->slot + g->of->gs;
        g->memory = (struct abi_memory){g->gs, g->of->memory_bytes, g->of->memory_bytes_max};
        if (!map_group(image, g, in->slot + g->of->low)) return false;
    }
    for (uint32_t i = 0; i < image->memories_count; i++) {
        const struct engine_image_memory *m = &image->memories[i];
        in->memories[i] = (struct abi_memory *)(void *)(in->groups[m->group].gs + m->offset);
        if (!(in->memory_base[i] = reserve(m->reserve))) return false;
        if (m->bytes && mprotect(in->memory_base[i], align_up(m->bytes, ABI_PAGE), PROT_READ | PROT_WRITE) != 0) return false;
    }
    return true;
}

void engine_slot_free(struct engine_instance *in) {
    const struct engine_image *image = in->image;
    pool_part_give(&image->share->mappings, image->slot_mappings);
    while (in->grown) {
        struct engine_grown *next = in->grown->next;
        engine_grown_free(in->grown);
        in->grown = next;
    }
    engine_written_forget(in);
    keep_nothing(in);
    for (uint32_t i = 0; i < image->memories_count; i++)
        if (in->memory_base[i]) munmap(in->memory_base[i], image->memories[i].reserve);
    if (in->slot) munmap(in->slot, image->slot_bytes);
    engine_heap_free(&in->own_heap);
    in->image->wants_trim -= in->wants_trim;
    free(in);
}

static struct engine_instance *slot_new(struct engine_image *image) {
    size_t groups = image->groups_count, memories = image->memories_count;
    size_t bytes = sizeof(struct engine_instance) + groups * (sizeof(struct engine_group) + sizeof(uint8_t *)) +
                   memories * (sizeof(struct abi_memory *) + sizeof(uint8_t *) + sizeof(uint64_t));
    if (!engine_take_mappings(image->share, image->slot_mappings)) return NULL;
    struct engine_instance *in = calloc(1, bytes);
    ENSURE(in);
    in->engine = image->engine;
    in->image = image;
    in->trap_stack = image->engine->trap_stack;
    in->groups = (struct engine_group *)(in + 1);
    in->own_gs = (uint8_t **)(in->groups + groups);
    in->memories = (struct abi_memory **)(in->own_gs + groups);
    in->memory_base = (uint8_t **)(in->memories + memories);
    in->memory_kept = (uint64_t *)(in->memory_base + memories);
    in->group_gs = in->own_gs;
    in->heap = &in->own_heap;
    engine_heap_init(in->heap);
    engine_heap_image(in->heap, &image->im);
    if (!map_slot(in)) {
        engine_slot_free(in);
        engine_refuse(image->engine, ENGINE_REFUSED_SYSTEM, image->slot_bytes, 0);
        return NULL;
    }
    finish_contexts(in);
    in->trimmed = true;
    return in;
}

/* ---- acquire and release ---- */

/* From what a free slot keeps to what an instance may use. */
static bool pay(struct engine_image *image, struct engine_instance *free_one) {
    struct engine *e = image->engine;
    uint64_t kept = free_one ? free_one->kept_bytes : 0;
    e->bytes.used -= kept;
    bool ok = pool_part_take(&image->share->bytes, image->initial_bytes) == POOL_OK;
    if (LIKELY(ok)) {
        e->kept_bytes -= kept;
        if (free_one) free_one->kept_bytes = 0;
        return true;
    }
    e->bytes.used += kept;
    return engine_pay(image->share, image->initial_bytes); /* which gives up what is kept, if that helps */
}

static bool may_acquire(struct engine_image *image) {
    struct engine_share *s = image->share;
    uint64_t max = engine_memory_max(image);
    if (max && image->initial_bytes > max) engine_refuse(image->engine, ENGINE_REFUSED_INSTANCE, image->initial_bytes, max);
    else return engine_take(s, &s->slots, ENGINE_REFUSED_SLOTS, 1);
    return false;
}

struct engine_instance *engine_acquire(struct engine_image *image, void *user) {
    struct engine_share *s = image->share;
    if (UNLIKELY(!may_acquire(image))) return NULL;
    struct engine_instance *in = image->free_count ? image->free[image->free_count - 1] : NULL;
    if (UNLIKELY(!pay(image, in))) {
        pool_part_give(&s->slots, 1);
        return NULL;
    }
    if (in) {
        keep_nothing(in);
        image->free_count--;
        image->wants_trim -= in->wants_trim;
        in->wants_trim = false;
    } else if (!(in = slot_new(image))) {
        engine_unpay(s, image->initial_bytes);
        pool_part_give(&s->slots, 1);
        return NULL;
    }
    in->memory_used = image->initial_bytes;
    image->wants_slot = !image->free_count;
    image->alive++;
    in->alive = true;
    in->user = user;
    in->actor = (struct engine_actor){.share = s};
    in->release_pending = false;
    in->record.trap = ABI_TRAP_NONE;
    in->record_filled = false;
    return in;
}

void engine_release(struct engine_instance *in) {
    ENSURE(in->alive);
    if (in->fibers_count) {
        engine_instance_meter(in, NULL);
        in->release_pending = true;
        return;
    }
    in->alive = false;
    pool_part_give(&in->actor.share->slots, 1);
    in->image->alive--;
    in->idle_since_ns = 0;
    if (in->engine->releasing) engine_slot_reset_later(in);
    else engine_slot_reset(in);
}

/* ---- work put off ---- */

static bool idle_image(struct engine_image *image, uint64_t now) {
    struct engine *e = image->engine;
    if (image->wants_slot && !image->free_count && pool_left(&e->slots)) {
        image->wants_slot = false;
        struct engine_instance *in = slot_new(image);
        if (in) push_free(in);
        return in;
    }
    for (uint32_t i = 0; i < image->free_count; i++) { /* the coldest first */
        struct engine_instance *in = image->free[i];
        if (!in->idle_since_ns) in->idle_since_ns = now; /* the clock is not read at release */
        uint64_t idle_s = (now - in->idle_since_ns) / 1'000'000'000;
        if (idle_s >= FREE_IDLE_S && image->free_count > 1) {
            memmove(&image->free[i], &image->free[i + 1], (--image->free_count - i) * sizeof *image->free);
            engine_slot_free(in);
            return true;
        }
        uint64_t trim_s = i + 1 < image->free_count ? TRIM_IDLE_S : FREE_IDLE_S; /* the next one to be used stays warm longer */
        if (in->wants_trim || (idle_s >= trim_s && !in->trimmed)) {
            trim(in);
            return true;
        }
    }
    return false;
}

bool engine_slots_idle(struct engine *e, uint64_t now) {
    bool more = false;
    for (struct engine_image *image = e->images; image; image = image->next) more |= idle_image(image, now);
    return more;
}

bool engine_slots_waiting(const struct engine *e) {
    for (const struct engine_image *image = e->images; image; image = image->next)
        if (image->free_count > 1 || (image->free_count && !image->free[0]->trimmed)) return true;
    return false;
}

/* ---- small things asked of instances ---- */

void *engine_instance_user(struct engine_instance *in) { return in->user; }
struct engine_image *engine_instance_image(struct engine_instance *in) {
    return in->image;
}
struct engine *engine_instance_engine(struct engine_instance *in) {
    return in->engine;
}
struct engine_share *engine_instance_share(struct engine_instance *in) {
    return in->actor.share;
}
uint32_t engine_instance_fibers(struct engine_instance *in) { return in->fibers_count; }
uint8_t *engine_instance_gs(struct engine_instance *in, uint32_t group) { return in->groups[group].gs; }

void engine_instance_bind_far(struct engine_instance *in, uint32_t instance, int32_t offset, const void *address) {
    memcpy(in->groups[in->image->instances[instance].group].gs + offset, &address, sizeof address);
}

/* ---- stores ---- */

struct engine_store *engine_store_new(struct engine *e) {
    struct engine_store *s = calloc(1, sizeof *s);
    ENSURE(s && (s->group_gs = calloc(ENGINE_STORE_GROUPS_MAX, sizeof *s->group_gs)));
    s->engine = e;
    engine_heap_init(&s->heap);
    return s;
}

void engine_store_free(struct engine_store *s) {
    if (!s) return;
    while (s->instances) {
        struct engine_instance *in = s->instances;
        s->instances = in->store_next;
        engine_release(in);
    }
    engine_heap_free(&s->heap);
    free(s->group_gs);
    free(s);
}

uint32_t engine_store_groups(const struct engine_store *s) { return s->groups_count; }

struct engine_instance *engine_store_acquire(struct engine_store *s, struct engine_image *image, void *user) {
    uint32_t n = image->groups_count;
    ENSURE(image->im.head->group_base == s->groups_count && s->engine == image->engine);
    if (s->groups_count + n > ENGINE_STORE_GROUPS_MAX) return NULL;
    struct engine_instance *in = engine_acquire(image, user);
    if (!in) return NULL;
    for (uint32_t i = 0; i < n; i++) {
        s->group_gs[s->groups_count++] = in->groups[i].gs;
        abi_ctx_of(in->groups[i].gs)->groups = s->group_gs;
        abi_ctx_of(in->groups[i].gs)->heap = &s->heap.abi;
    }
    in->heap = &s->heap;
    engine_heap_image(in->heap, &image->im);
    in->group_gs = s->group_gs;
    in->store = s;
    in->store_next = s->instances;
    s->instances = in;
    return in;
}
