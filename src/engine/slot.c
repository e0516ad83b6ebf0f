/* slot: address space of instances, and how it becomes as new.
 *
 *   [ guard | context ][ memory: initial | grown | reserved, no access ...... ][ guard | next group … ]
 *             template   image file, then zero
 *
 * 1. A slot on the free list is pristine: contexts as their template, memories as the image has them, all
 *    else without access. Reset happens at release, so that acquiring is a pop.
 * 2. Contexts and initial memory are private mappings (of a memfd and of the image), or anonymous; so a page
 *    that was written is an anonymous page, and a written page is put back by copying: it stays there for the
 *    next request, without a fault.
 * 3. What this file believes about sizes is in struct engine_group, never in memory that compiled code may
 *    write.
 */
#include "engine/engine_int.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

/* linux/fs.h of Linux 6.7; Debian 12's is older. */
#ifndef PAGEMAP_SCAN
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
enum { PAGE_IS_FILE = 1 << 2, PAGE_IS_PRESENT = 1 << 3, PAGE_IS_SWAPPED = 1 << 4, PAGE_IS_PFNZERO = 1 << 5 };
struct page_region {
    uint64_t start, end, categories;
};
struct pm_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#endif

enum { KEEP_BYTES = 64 << 10, REGIONS = 256, TRIM_IDLE_S = 5, FREE_IDLE_S = 60 };

static uint8_t *page_down(uint8_t *p) { return (uint8_t *)((uintptr_t)p & ~(uintptr_t)(ABI_PAGE - 1)); }
static uint8_t *page_up(uint8_t *p) { return page_down(p + ABI_PAGE - 1); }

/* ---- how written pages are found ---- */

/* Pages of [from, to) that this process wrote: anonymous, not the shared page of zeroes; swapped-out ones
 * too. */
static long pagemap_scan(const struct engine *e, uint8_t *from, uint8_t *to, struct page_region *out, size_t n, uint8_t **end) {
    struct pm_scan_arg a = {.size = sizeof a,
                            .start = (uintptr_t)from,
                            .end = (uintptr_t)to,
                            .vec = (uintptr_t)out,
                            .vec_len = n,
                            .category_inverted = PAGE_IS_FILE | PAGE_IS_PFNZERO,
                            .category_mask = PAGE_IS_FILE | PAGE_IS_PFNZERO,
                            .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED};
    long r = ioctl(e->pagemap, PAGEMAP_SCAN, &a);
    if (r >= 0) *end = (uint8_t *)(uintptr_t)a.walk_end;
    return r;
}

static bool can_scan(struct engine *e) {
    struct page_region r[4];
    uint8_t *p = mmap(NULL, 3 * ABI_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *end;
    ENSURE(p != MAP_FAILED);
    *(volatile uint8_t *)&p[ABI_PAGE] = 1;
    bool ok = pagemap_scan(e, p, p + 3 * ABI_PAGE, r, 4, &end) == 1 && r[0].start == (uintptr_t)p + ABI_PAGE &&
              r[0].end == (uintptr_t)p + 2 * ABI_PAGE;
    munmap(p, 3 * ABI_PAGE);
    return ok;
}

static bool can_read_pagemap(struct engine *e) {
    uint64_t entry;
    uint8_t probe = 1;
    uintptr_t page = (uintptr_t)page_down(&probe) / ABI_PAGE;
    return pread(e->pagemap, &entry, 8, (off_t)(page * 8)) == 8 && entry >> 63 == 1;
}

void engine_slots_init(struct engine *e) {
    enum engine_reset best = ENGINE_RESET_MADVISE, want = e->config.reset;
    e->pagemap = want == ENGINE_RESET_MADVISE ? -1 : open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    if (e->pagemap >= 0 && can_read_pagemap(e)) best = ENGINE_RESET_PAGEMAP;
    if (e->pagemap >= 0 && can_scan(e)) best = ENGINE_RESET_SCAN;
    const char *env = getenv("ORLO_ENGINE_RESET");
    if (want == ENGINE_RESET_AUTO && env) {
        if (!strcmp(env, "scan")) want = ENGINE_RESET_SCAN;
        if (!strcmp(env, "pagemap")) want = ENGINE_RESET_PAGEMAP;
        if (!strcmp(env, "madvise")) want = ENGINE_RESET_MADVISE;
    }
    e->reset = MAX(want, best); /* the enum is ordered: later ones ask less of the kernel */
}

/* ---- putting pages back ---- */

/* Copies back what the image has at [from, to) of the cold context and the memory of g; g NULL: zeroes. */
static void put_back(const struct engine_group *g, uint8_t *from, uint8_t *to) {
    if (!g) {
        memset(from, 0, (size_t)(to - from));
        return;
    }
    const struct engine_image_group *of = g->of;
    if (from < g->gs) {
        uint8_t *low = g->gs - of->context_bytes, *end = MIN(to, g->gs - of->hot_bytes);
        if (from < end) memcpy(from, of->template + (from - low), (size_t)(end - from));
        if (to <= g->gs) return;
        from = g->gs;
    }
    uint8_t *content_end = g->gs + of->content_bytes;
    if (from < content_end) {
        uint8_t *end = MIN(to, content_end);
        memcpy(from, of->content + (from - g->gs), (size_t)(end - from));
        from = end;
    }
    if (from < to) memset(from, 0, (size_t)(to - from));
}

static void give_back(uint8_t *from, uint8_t *to) {
    if (from < to) ENSURE(madvise(from, (size_t)(to - from), MADV_DONTNEED) == 0);
}

static uint32_t reset_by_scan(struct engine *e, const struct engine_group *g, uint8_t *from, uint8_t *to) {
    struct page_region r[REGIONS];
    uint64_t pages = 0;
    while (from < to) {
        uint8_t *end;
        long n = pagemap_scan(e, from, to, r, REGIONS, &end);
        ENSURE(n >= 0);
        for (long i = 0; i < n; i++) {
            put_back(g, (uint8_t *)(uintptr_t)r[i].start, (uint8_t *)(uintptr_t)r[i].end);
            pages += (r[i].end - r[i].start) / ABI_PAGE;
        }
        from = end;
        if (pages <= ENGINE_DIRTY_MAX || from >= to) continue;
        give_back(from, to);
        break;
    }
    return (uint32_t)MIN(pages, UINT32_MAX);
}

static uint32_t reset_by_pagemap(struct engine *e, const struct engine_group *g, uint8_t *from, uint8_t *to) {
    enum { ENTRIES = 512 };
    uint64_t entry[ENTRIES];
    uint32_t pages = 0;
    for (uint8_t *at = from; at < to;) {
        size_t n = MIN((size_t)(to - at) / ABI_PAGE, (size_t)ENTRIES);
        ENSURE(pread(e->pagemap, entry, n * 8, (off_t)((uintptr_t)at / ABI_PAGE * 8)) == (ssize_t)(n * 8));
        for (size_t i = 0; i < n; i++, at += ABI_PAGE) {
            bool there = entry[i] >> 62 & 3, file = entry[i] >> 61 & 1; /* present or swapped; not anonymous */
            if (!there || file) continue;
            put_back(g, at, at + ABI_PAGE);
            pages++;
        }
    }
    return pages;
}

static uint32_t reset_by_madvise(const struct engine_group *g, uint8_t *from, uint8_t *to) {
    uint32_t pages = 0;
    if (g && from < g->gs) { /* the cold context */
        uint8_t *end = MIN(to, g->gs);
        if (end - from <= KEEP_BYTES) put_back(g, from, end);
        else give_back(from, end);
        from = end;
    }
    uint8_t *keep = from + MIN((size_t)(to - from), (size_t)KEEP_BYTES);
    put_back(g, from, keep);
    give_back(keep, to);
    return pages;
}

/* Makes the written pages of [from, to), page-aligned, as they were. Gives their number, as far as it is
 * known. */
static uint32_t reset_range(struct engine *e, const struct engine_group *g, uint8_t *from, uint8_t *to) {
    if (from >= to) return 0;
    if (e->reset == ENGINE_RESET_SCAN) return reset_by_scan(e, g, from, to);
    if (e->reset == ENGINE_RESET_PAGEMAP && to - from <= ENGINE_PAGEMAP_MAX) return reset_by_pagemap(e, g, from, to);
    return reset_by_madvise(g, from, to);
}

void engine_reset_zero(struct engine *e, uint8_t *from, uint8_t *to) { reset_range(e, NULL, from, to); }

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

/* ---- reset ---- */

static uint32_t reset_group(struct engine *e, struct engine_group *g) {
    const struct engine_image_group *of = g->of;
    uint8_t *low = g->gs - of->context_bytes, *cold_end = page_up(g->gs - of->hot_bytes), *used_end = g->gs + g->memory.bytes;
    uint32_t pages = 0;
    if (of->whole) memcpy(low, of->template, of->context_bytes);
    uint8_t *from = of->whole ? g->gs : low;
    if (g->memory.bytes > ENGINE_WHOLE_MEMORY) {
        pages = reset_range(e, g, from, used_end);
    } else {
        if (!of->whole) pages = reset_range(e, g, low, cold_end);
        put_back(g, g->gs, used_end);
    }
    if (!of->whole) memcpy(g->gs - of->hot_bytes, of->template + of->context_bytes - of->hot_bytes, of->hot_bytes);
    return pages;
}

/* Takes access to [from, to) away again. False: the kernel has no room for the mapping. */
static bool shrink(uint8_t *from, uint8_t *to) { return from >= to || mprotect(from, (size_t)(to - from), PROT_NONE) == 0; }

static void free_grown(struct engine_instance *in) {
    while (in->grown) {
        struct engine_grown *next = in->grown->next;
        free(in->grown);
        in->grown = next;
    }
}

static bool reset_memories(struct engine_instance *in, uint32_t *pages) {
    const struct engine_image *image = in->image;
    bool ok = true;
    for (uint32_t i = 0; i < image->memories_count; i++) { /* before their records are put back */
        uint8_t *base = in->memory_base[i], *end = page_up(base + in->memories[i]->bytes);
        *pages += reset_range(in->engine, NULL, base, end);
        ok &= shrink(page_up(base + image->memories[i].bytes), end);
    }
    for (uint32_t i = 0; i < image->groups_count; i++) {
        struct engine_group *g = &in->groups[i];
        *pages += reset_group(in->engine, g);
        ok &= shrink(g->gs + g->of->memory_bytes, g->gs + g->memory.bytes);
        g->memory.bytes = g->of->memory_bytes;
    }
    return ok;
}

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

void engine_slot_reset(struct engine_instance *in) {
    uint32_t pages = 0;
    free_grown(in);
    in->group_gs = in->own_gs;
    in->store = NULL;
    in->heap = &in->own_heap;
    engine_heap_reset(in->engine, in->heap);
    if (!reset_memories(in, &pages)) {
        engine_slot_free(in);
        return;
    }
    finish_contexts(in);
    in->dirty_last = pages;
    if (in->trimmed || !in->dirty_first) in->dirty_first = MAX(pages, 1u);
    in->trimmed = false;
    /* Pages once written stay: when that has become much more than one request writes, start anew. */
    in->wants_trim = pages > 256 + 2 * in->dirty_first || pages > ENGINE_DIRTY_MAX;
    in->image->wants_trim += in->wants_trim;
    in->memory_used = in->image->initial_bytes;
    if (in->engine->config.verify) verify(in);
    push_free(in);
}

/* Gives the memory of a free slot back to the kernel. */
static void trim(struct engine_instance *in) {
    const struct engine_image *image = in->image;
    for (uint32_t i = 0; i < image->groups_count; i++) {
        struct engine_group *g = &in->groups[i];
        give_back(g->of->whole ? g->gs : g->gs - g->of->context_bytes, g->gs + g->of->memory_bytes);
    }
    for (uint32_t i = 0; i < image->memories_count; i++)
        give_back(in->memory_base[i], page_up(in->memory_base[i] + image->memories[i].bytes));
    engine_heap_trim(&in->own_heap);
    finish_contexts(in);
    in->image->wants_trim -= in->wants_trim;
    in->wants_trim = false;
    in->trimmed = true;
    if (in->engine->config.verify) verify(in);
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

static void verify(struct engine_instance *in) {
    for (uint32_t i = 0; i < in->image->groups_count; i++) verify_group(in, &in->groups[i]);
    for (uint32_t i = 0; i < in->image->memories_count; i++) verify_zero(in->memory_base[i], in->image->memories[i].bytes);
    verify_zero(in->own_heap.base, in->own_heap.peak_bytes);
}

/* ---- making and freeing slots ---- */

static bool map_group(const struct engine_image *image, struct engine_group *g, uint8_t *low) {
    const struct engine_image_group *of = g->of;
    int rw = PROT_READ | PROT_WRITE, fixed = MAP_PRIVATE | MAP_FIXED;
    if (of->whole) {
        if (mprotect(low, of->context_bytes, rw) != 0) return false;
        memcpy(low, of->template, of->context_bytes);
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
    free_grown(in);
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
                   memories * (sizeof(struct abi_memory *) + sizeof(uint8_t *));
    struct engine_instance *in = calloc(1, bytes);
    ENSURE(in);
    in->engine = image->engine;
    in->image = image;
    in->trap_stack = image->engine->trap_stack;
    in->groups = (struct engine_group *)(in + 1);
    in->own_gs = (uint8_t **)(in->groups + groups);
    in->memories = (struct abi_memory **)(in->own_gs + groups);
    in->memory_base = (uint8_t **)(in->memories + memories);
    in->group_gs = in->own_gs;
    in->heap = &in->own_heap;
    engine_heap_init(in->heap);
    engine_heap_image(in->heap, &image->im);
    if (!map_slot(in)) {
        engine_slot_free(in);
        return NULL;
    }
    finish_contexts(in);
    in->memory_used = image->initial_bytes;
    in->trimmed = true;
    return in;
}

/* ---- acquire and release ---- */

struct engine_instance *engine_acquire(struct engine_image *image, void *user) {
    struct engine *e = image->engine;
    if (e->alive >= e->config.slots_max) return NULL;
    if (e->config.memory_bytes_max && image->initial_bytes > e->config.memory_bytes_max) return NULL;
    struct engine_instance *in;
    if (image->free_count) {
        in = image->free[--image->free_count];
        image->wants_trim -= in->wants_trim;
        in->wants_trim = false;
    } else if (!(in = slot_new(image))) {
        return NULL;
    }
    image->wants_slot = !image->free_count;
    e->alive++;
    image->alive++;
    in->alive = true;
    in->user = user;
    in->killed = in->release_pending = false;
    in->record.trap = ABI_TRAP_NONE;
    in->record_filled = false;
    return in;
}

void engine_release(struct engine_instance *in) {
    ENSURE(in->alive);
    if (in->fibers_count) {
        in->release_pending = true;
        return;
    }
    in->alive = false;
    in->engine->alive--;
    in->image->alive--;
    in->idle_since_ns = 0;
    engine_slot_reset(in);
}

bool engine_charge(struct engine_instance *in, uint64_t bytes) {
    uint64_t max = in->engine->config.memory_bytes_max;
    if (max && (bytes > max || in->memory_used > max - bytes)) return false;
    in->memory_used += bytes;
    return true;
}

/* ---- work put off ---- */

static bool idle_image(struct engine_image *image, uint64_t now) {
    struct engine *e = image->engine;
    if (image->wants_slot && !image->free_count && e->alive < e->config.slots_max) {
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
