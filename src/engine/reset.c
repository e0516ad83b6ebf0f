/* reset: how what guests have written becomes as new, a piece at a time.
 *
 *   released ── first piece ──┬──> pristine: slot.c's free list
 *                             └──> queue ── a piece in each engine_run and engine_idle ──> pristine
 *
 * 1. An instance is a row of parts: tables that grew, the heap, the heap's records, memories with an address space of their own, groups.
 *    Each is gone through from its start; a step is over after ENGINE_CLEAN_PIECE pages, so that no release holds up the others' turn.
 * 2. Contexts and initial memory are private mappings (of a memfd and of the image), or anonymous; so a page
 *    that was written is an anonymous page, and a written page is put back by copying: it stays there for the
 *    next request, without a fault. After ENGINE_DIRTY_MAX pages of an instance the rest goes back to the kernel.
 * 3. What is being cleaned is still charged: its account has room again when the memory is there. The time it takes is its share's.
 * 4. A page is written for the first time by way of a page fault, whoever of this process writes: a guest, host code, a system call on their
 *    behalf. So where the process has had no fault since a slot was looked through, the pages found then are all there are, and nothing is
 *    looked for (engine_written). The faults are counted after the instance has ended, and before a look; no page is forgotten: what was
 *    found stays a written page until it is given back to the kernel, and then it takes a fault to write it.
 */
#include "engine/engine_int.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

enum {
    KEEP_BYTES = 64 << 10, /* of a range that is put back unseen, where the kernel does not say what was written */
    REGIONS = 256,
    GIVE_BYTES = 2 << 20,     /* given back in a step, where the kernel does not say what was written */
    WINDOW_BYTES = 64 << 20,  /* of address space looked at in one go */
    SPANS_MAX = 1024,         /* of what is remembered; a written one is a page at least, which is charged */
    GROWN_MAPPED = 256 << 10, /* tables from this size on have a mapping of their own, which grows without a copy */
};

static uint8_t *page_down(uint8_t *p) { return (uint8_t *)((uintptr_t)p & ~(uintptr_t)(ABI_PAGE - 1)); }
static uint8_t *page_up(uint8_t *p) { return page_down(p + ABI_PAGE - 1); }

/* ---- how written pages are found ---- */

/* Pages of [from, to) that this process wrote: anonymous, not the shared page of zeroes; swapped-out ones
 * too. No more than pages_max; *end is where it came to. */
static long pagemap_scan(const struct engine *e, uint8_t *from, uint8_t *to, struct page_region *out, size_t n,
                         uint64_t pages_max, uint8_t **end) {
    struct pm_scan_arg a = {.size = sizeof a,
                            .start = (uintptr_t)from,
                            .end = (uintptr_t)to,
                            .vec = (uintptr_t)out,
                            .vec_len = n,
                            .max_pages = pages_max,
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
    bool ok = pagemap_scan(e, p, p + 3 * ABI_PAGE, r, 4, 4, &end) == 1 && r[0].start == (uintptr_t)p + ABI_PAGE &&
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

/* Page faults of the process, all of its threads. */
static uint64_t count_faults(void) {
    struct rusage u;
    ENSURE(getrusage(RUSAGE_SELF, &u) == 0);
    return (uint64_t)u.ru_minflt + (uint64_t)u.ru_majflt;
}

/* Whether a first write is counted, ours and one that the kernel makes for us; emulated kernels may not. */
static bool can_count(struct engine *e) {
    uint8_t *p = mmap(NULL, 2 * ABI_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ENSURE(p != MAP_FAILED);
    madvise(p, 2 * ABI_PAGE, MADV_NOHUGEPAGE);
    uint64_t first = count_faults();
    *(volatile uint8_t *)p = 1;
    uint64_t second = count_faults();
    bool read = pread(e->pagemap, p + ABI_PAGE, 8, 0) == 8;
    uint64_t third = count_faults();
    munmap(p, 2 * ABI_PAGE);
    return read && second > first && third > second;
}

void engine_reset_init(struct engine *e) {
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
    e->counts_faults = e->reset != ENGINE_RESET_MADVISE && can_count(e);
    e->released_last = &e->released;
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

void engine_give_back(uint8_t *from, uint8_t *to) {
    if (from < to) ENSURE(madvise(from, (size_t)(to - from), MADV_DONTNEED) == 0);
}

/* ---- what is known of written pages ---- */

/* A range that is being cleaned: the context and memory of g, or what is zero at first (g NULL). */
struct range {
    const struct engine_group *g;
    uint8_t *from, *to;
};

void engine_written_forget(struct engine_instance *in) {
    free(in->written.spans);
    in->written = (struct engine_written){0};
}

/* At the first range: whether the slot need not be looked through. */
static void recall(struct engine_instance *in) {
    struct engine *e = in->engine;
    struct engine_written *w = &in->written;
    in->cleaning.asked = true;
    if (!e->counts_faults) return;
    if (!e->faults_fresh) e->faults = count_faults();
    e->faults_fresh = true;
    in->cleaning.recalls = w->known && w->faults == e->faults;
    e->recalled += in->cleaning.recalls;
    if (in->cleaning.recalls) return;
    w->known = false;
    w->count = 0;
    w->faults = e->faults;
}

static bool add_span(struct engine_written *w, uint8_t *from, uint8_t *to) {
    if (w->count == SPANS_MAX) return false;
    if (w->count == w->cap) {
        w->cap = MAX(2 * w->cap, 8u);
        w->spans = realloc(w->spans, w->cap * sizeof *w->spans);
        ENSURE(w->spans);
    }
    w->spans[w->count++] = (struct engine_span){from, to, 0};
    return true;
}

/* A look begins. While the slot's record is in use, one through a range that it does not have, or not as far, is not recorded: the next reset
 * looks through all of the slot. */
static void record_range(struct engine_instance *in, const struct range *r) {
    struct engine_cleaning *c = &in->cleaning;
    struct engine_written *w = &in->written;
    w->last = w->count;
    c->records = in->engine->counts_faults && !c->recalls && add_span(w, r->from, r->to);
    c->forgets |= !c->records;
}

static void record_part(struct engine_instance *in, uint8_t *from, uint8_t *to) {
    struct engine_written *w = &in->written;
    struct engine_span *before = &w->spans[w->count - 1];
    if (before->to == from && w->count - 1 > w->last) {
        before->to = to;
    } else if (add_span(w, from, to)) {
        w->spans[w->last].parts++;
    } else {
        in->cleaning.records = false;
        in->cleaning.forgets = true;
    }
}

/* NULL: the range was not looked through, or not so far. */
static const struct engine_span *recorded(const struct engine_instance *in, const struct range *r) {
    const struct engine_written *w = &in->written;
    for (uint32_t i = 0; i < w->count; i += 1 + w->spans[i].parts)
        if (w->spans[i].from == r->from) return r->to <= w->spans[i].to ? &w->spans[i] : NULL;
    return NULL;
}

/* ---- ranges ---- */

static void clean_region(struct engine_instance *in, const struct range *r, uint8_t *from, uint8_t *to) {
    struct engine_cleaning *c = &in->cleaning;
    uint64_t pages = (uint64_t)(to - from) / ABI_PAGE;
    c->bytes += (uint64_t)(to - from);
    if (c->kept + pages > ENGINE_DIRTY_MAX) {
        engine_give_back(from, to);
        c->kept = MAX(c->kept, (uint64_t)ENGINE_DIRTY_MAX); /* so that the rest goes as well */
        c->forgets = true;
        return;
    }
    put_back(r->g, from, to);
    c->kept += pages;
    if (c->records) record_part(in, from, to);
}

static bool clean_by_scan(struct engine_instance *in, const struct range *r, int64_t *budget) {
    struct engine *e = in->engine;
    struct engine_cleaning *c = &in->cleaning;
    struct page_region found[REGIONS];
    while (c->at<r->to && * budget> 0) {
        uint8_t *end, *window = c->at + MIN((uint64_t)(r->to - c->at), (uint64_t)WINDOW_BYTES);
        long n = pagemap_scan(e, c->at, window, found, REGIONS, (uint64_t)*budget, &end);
        ENSURE(n >= 0);
        for (long i = 0; i < n; i++) {
            clean_region(in, r, (uint8_t *)(uintptr_t)found[i].start, (uint8_t *)(uintptr_t)found[i].end);
            *budget -= (int64_t)((found[i].end - found[i].start) / ABI_PAGE);
        }
        if (window - c->at == WINDOW_BYTES) *budget -= ENGINE_CLEAN_PIECE / 4;
        c->at = end;
    }
    return c->at >= r->to;
}

static void clean_by_pagemap(struct engine_instance *in, const struct range *r) {
    struct engine_cleaning *c = &in->cleaning;
    enum { ENTRIES = ENGINE_PAGEMAP_MAX / ABI_PAGE };
    uint64_t entry[ENTRIES];
    size_t n = (size_t)(r->to - c->at) / ABI_PAGE;
    ENSURE(n <= ENTRIES &&
           pread(in->engine->pagemap, entry, n * 8, (off_t)((uintptr_t)c->at / ABI_PAGE * 8)) == (ssize_t)(n * 8));
    for (size_t i = 0; i < n; i++, c->at += ABI_PAGE) {
        bool there = entry[i] >> 62 & 3, file = entry[i] >> 61 & 1; /* present or swapped; not anonymous */
        if (there && !file) clean_region(in, r, c->at, c->at + ABI_PAGE);
    }
}

/* Unseen: what is short is copied; of what is long, all but the start of the memory goes back to the kernel. */
static bool clean_by_madvise(struct engine_cleaning *c, const struct range *r, int64_t *budget) {
    uint8_t *memory = r->g && r->from < r->g->gs ? MIN(r->g->gs, r->to) : r->from; /* where the context ends */
    if (c->at < memory && memory - r->from <= KEEP_BYTES) {
        put_back(r->g, c->at, memory);
        c->at = memory;
    }
    uint8_t *keep = memory + MIN((size_t)(r->to - memory), (size_t)KEEP_BYTES);
    while (c->at<r->to && * budget> 0) {
        uint8_t *end = c->at + MIN((uint64_t)((c->at < memory ? memory : r->to) - c->at), (uint64_t)GIVE_BYTES);
        if (c->at == memory && memory < keep) {
            put_back(r->g, memory, end = keep);
            c->kept += (uint64_t)(keep - memory) / ABI_PAGE;
        } else {
            engine_give_back(c->at, end);
        }
        *budget -= (end - c->at) / ABI_PAGE;
        c->bytes += (uint64_t)(end - c->at);
        c->at = end;
    }
    return c->at >= r->to;
}

/* Of what was found the last time. */
static bool clean_by_record(struct engine_instance *in, const struct range *r, const struct engine_span *looked,
                            int64_t *budget) {
    struct engine_cleaning *c = &in->cleaning;
    const struct engine_span *part = looked + 1, *end = part + looked->parts;
    for (; part < end && part->from < r->to; part++) {
        uint8_t *from = MAX(part->from, c->at), *to = MIN(part->to, r->to);
        if (from >= to) continue;
        if (*budget <= 0) return false;
        to = MIN(to, from + (uint64_t)*budget * ABI_PAGE);
        clean_region(in, r, from, to);
        *budget -= (to - from) / ABI_PAGE;
        c->at = to;
    }
    c->at = r->to;
    return true;
}

/* Makes the written pages of the range, page-aligned, as they were, from c->at on. False: the budget was used up before its end. */
static bool clean_range(struct engine_instance *in, const struct range *r, int64_t *budget) {
    struct engine_cleaning *c = &in->cleaning;
    const struct engine *e = in->engine;
    if (!c->asked) recall(in);
    const struct engine_span *looked = c->recalls ? recorded(in, r) : NULL;
    if (!c->at) c->at = r->from;
    if (c->at >= r->to) return true;
    if (looked) return clean_by_record(in, r, looked, budget);
    bool short_enough = r->to - r->from <= ENGINE_PAGEMAP_MAX;
    if (e->reset != ENGINE_RESET_SCAN && !(e->reset == ENGINE_RESET_PAGEMAP && short_enough))
        return clean_by_madvise(c, r, budget);
    if (c->at == r->from) record_range(in, r);
    if (e->reset == ENGINE_RESET_SCAN) return clean_by_scan(in, r, budget);
    clean_by_pagemap(in, r);
    return true;
}

/* ---- the parts ---- */

/* Takes access to [from, to) away again. */
static void shrink(struct engine_cleaning *c, uint8_t *from, uint8_t *to) {
    if (from < to && mprotect(from, (size_t)(to - from), PROT_NONE) != 0)
        c->broken = true; /* the kernel has no room for the mapping */
}

static uint64_t grown_bytes(uint64_t cap) { return sizeof(struct engine_grown) + cap * sizeof(uint64_t); }

struct engine_grown *engine_grown_resize(struct engine_grown *old, uint64_t cap) {
    uint64_t bytes = grown_bytes(cap), mapped = bytes >= GROWN_MAPPED ? align_up(bytes, ABI_PAGE) : 0;
    struct engine_grown *g;
    if (old && old->mapped) {
        g = mremap(old, old->mapped, mapped, MREMAP_MAYMOVE);
        if (g == MAP_FAILED) return NULL;
    } else {
        g = mapped ? mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : malloc(bytes);
        if (!g || g == MAP_FAILED) return NULL;
        if (old) memcpy(g, old, grown_bytes(old->cap));
        else g->next = NULL;
        free(old);
    }
    g->cap = cap;
    g->mapped = mapped;
    return g;
}

void engine_grown_free(struct engine_grown *g) {
    if (g->mapped) munmap(g, g->mapped);
    else free(g);
}

/* From the end of each, so that what is left of it stays a list. */
static bool clean_grown(struct engine_instance *in, int64_t *budget) {
    while (in->grown && *budget > 0) {
        struct engine_grown *g = in->grown;
        uint64_t some = MIN(g->mapped, (uint64_t)ENGINE_CLEAN_PIECE * ABI_PAGE);
        if (g->mapped > some) {
            g->mapped -= some;
            munmap((uint8_t *)g + g->mapped, some);
        } else {
            in->grown = g->next;
            engine_grown_free(g);
        }
        *budget -= (int64_t)(some / ABI_PAGE) + 1;
    }
    return !in->grown;
}

static bool clean_heap(struct engine_instance *in, int64_t *budget) {
    struct engine_heap *h = &in->own_heap;
    if (h->bytes > KEEP_BYTES) return clean_range(in, &(struct range){NULL, h->base, h->base + h->bytes}, budget);
    memset(h->base, 0, h->bytes);
    return true;
}

static bool clean_heap_records(struct engine_instance *in, int64_t *budget) {
    struct engine_heap *h = &in->own_heap;
    uint8_t *from = (uint8_t *)h->blocks, *to = from + h->bytes / HEAP_BLOCK * sizeof *h->blocks;
    if (h->bytes > KEEP_BYTES) {
        if (!clean_range(in, &(struct range){NULL, from, page_up(to)}, budget)) return false;
    } else {
        memset(from, 0, (size_t)(to - from));
    }
    engine_heap_empty(in->engine, h);
    return true;
}

/* Before its record is put back with the context it lies in. */
static bool clean_memory(struct engine_instance *in, uint32_t i, int64_t *budget) {
    uint8_t *base = in->memory_base[i], *end = page_up(base + in->memories[i]->bytes);
    if (!clean_range(in, &(struct range){NULL, base, end}, budget)) return false;
    shrink(&in->cleaning, page_up(base + in->image->memories[i].bytes), end);
    in->memory_kept[i] = MAX(in->memory_kept[i], (uint64_t)(end - base));
    return true;
}

static bool clean_group(struct engine_instance *in, struct engine_group *g, int64_t *budget) {
    const struct engine_image_group *of = g->of;
    struct engine_cleaning *c = &in->cleaning;
    uint8_t *low = g->gs - of->context_bytes, *cold_end = page_up(g->gs - of->hot_bytes), *used_end = g->gs + g->memory.bytes;
    if (of->whole) memcpy(low, of->template, of->context_bytes);
    uint8_t *from = of->whole ? g->gs : low;
    if (g->memory.bytes > ENGINE_WHOLE_MEMORY) {
        if (!clean_range(in, &(struct range){g, from, used_end}, budget)) return false;
    } else {
        if (!of->whole && !clean_range(in, &(struct range){g, low, cold_end}, budget)) return false;
        put_back(g, g->gs, used_end);
        c->kept += g->memory.bytes / ABI_PAGE;
        c->bytes += g->memory.bytes;
    }
    if (!of->whole) memcpy(g->gs - of->hot_bytes, of->template + of->context_bytes - of->hot_bytes, of->hot_bytes);
    shrink(c, g->gs + of->memory_bytes, used_end);
    g->kept_bytes = MAX(g->kept_bytes, g->memory.bytes);
    g->memory.bytes = of->memory_bytes;
    return true;
}

enum { PART_GROWN, PART_HEAP, PART_HEAP_RECORDS, PART_MEMORIES };

static bool clean_part(struct engine_instance *in, uint32_t part, int64_t *budget) {
    if (part == PART_GROWN) return clean_grown(in, budget);
    if (part < PART_MEMORIES && !in->own_heap.bytes) return true;
    if (part == PART_HEAP) return clean_heap(in, budget);
    if (part == PART_HEAP_RECORDS) return clean_heap_records(in, budget);
    uint32_t i = part - PART_MEMORIES, memories = in->image->memories_count;
    return i < memories ? clean_memory(in, i, budget) : clean_group(in, &in->groups[i - memories], budget);
}

/* One step. False: there is more to do. */
static bool clean(struct engine_instance *in) {
    struct engine_cleaning *c = &in->cleaning;
    int64_t budget = ENGINE_CLEAN_PIECE;
    uint32_t parts = PART_MEMORIES + in->image->memories_count + in->image->groups_count;
    for (; c->part < parts; c->part++, c->at = NULL, budget--)
        if (budget <= 0 || !clean_part(in, c->part, &budget)) return false;
    if (c->asked) in->written.known = in->engine->counts_faults && !c->forgets;
    return true;
}

/* ---- instances ---- */

static void reset(struct engine_instance *in) {
    in->group_gs = in->own_gs;
    in->store = NULL;
    in->heap = &in->own_heap;
    in->cleaning = (struct engine_cleaning){.part = 0};
    if (LIKELY(clean(in))) {
        engine_slot_pristine(in);
        return;
    }
    *in->engine->cleaning_last = in;
    in->engine->cleaning_last = &in->cleaning.next;
}

void engine_slot_reset(struct engine_instance *in) {
    in->engine->faults_fresh = false;
    reset(in);
}

void engine_slot_reset_later(struct engine_instance *in) {
    in->cleaning.next = NULL;
    *in->engine->released_last = in;
    in->engine->released_last = &in->cleaning.next;
}

void engine_release_many(struct engine *e) {
    ENSURE(!e->releasing);
    e->releasing = true;
}

void engine_release_end(struct engine *e) {
    ENSURE(e->releasing);
    e->releasing = false;
    struct engine_instance *in = e->released, *next;
    e->released = NULL;
    e->released_last = &e->released;
    e->faults_fresh = false; /* once for all of them, which have ended */
    for (; in; in = next) {
        next = in->cleaning.next;
        reset(in);
    }
}

uint64_t engine_resets_recalled(const struct engine *e) { return e->recalled; }

void engine_clean_piece(struct engine *e) {
    struct engine_instance *in = e->cleaning;
    if (LIKELY(!in)) return;
    uint64_t from = clock_mono_ns();
    bool whole = clean(in);
    if (!e->current) engine_share_charge(in->image->share, clock_mono_ns() - from); /* else it is in that fiber's turn */
    if (!whole) return;
    e->cleaning = in->cleaning.next;
    if (!e->cleaning) e->cleaning_last = &e->cleaning;
    engine_slot_pristine(in);
}

void engine_clean_forget(struct engine_image *image) {
    struct engine *e = image->engine;
    struct engine_instance **at = &e->cleaning;
    while (*at) {
        struct engine_instance *in = *at;
        if (in->image != image) {
            at = &in->cleaning.next;
            continue;
        }
        *at = in->cleaning.next;
        engine_unpay(image->share, in->memory_used);
        engine_slot_free(in);
    }
    e->cleaning_last = at;
}
