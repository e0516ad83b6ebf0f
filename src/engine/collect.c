/* collect: marking from roots, and what is left of blocks afterwards. See heap.h.
 *
 *   roots: contexts and grown tables of all instances that share the heap; of each of their fibers the frame stack, the native stack,
 *   saved registers and struct engine_fiber itself. All of it word by word: a word that is the address of a live cell is a reference.
 *   What is behind: by type, and only references of this heap are followed; functions' and hosts' lie outside of it.
 */
#include "engine/engine_int.h"
#include <stdlib.h>

enum { QUEUE = 8 /* a power of two */, OBJECT_NS = 20 /* to mark one, about */ };

struct collection {
    struct engine *e;
    struct engine_heap *h;
    uint32_t work;
    bool killed;
};

/* After so much work: others get their turn when the slice is over. */
static inline void worked(struct collection *c, uint32_t n) {
    c->work += n;
    if (LIKELY(c->work < HEAP_STEP)) return;
    c->work = 0;
    c->killed |= !engine_work(c->e, HEAP_STEP * OBJECT_NS);
}

/* ---- marking ---- */

static bool has_references(const struct engine_heap *h, uint32_t header) {
    return header & ABI_OBJECT_WORDS || (header && h->abi.types[header >> ABI_OBJECT_TYPE_SHIFT].scan != ABI_SCAN_NONE);
}

/* o is an object of this heap. */
static void mark(struct collection *c, struct abi_gc_object *o) {
    struct engine_heap *h = c->h;
    uint64_t at = (uintptr_t)o - (uintptr_t)h->base;
    struct heap_block *b = &h->blocks[at / HEAP_BLOCK];
    uint32_t cell = heap_cell_of(b, at % HEAP_BLOCK);
    ENSURE(cell != UINT32_MAX && (!c->e->config.verify || b->live[cell / 64] >> cell % 64 & 1));
    uint64_t *word = &b->marked[cell / 64], bit = 1ull << cell % 64;
    if (*word & bit) return;
    *word |= bit;
    __builtin_prefetch(o);
    if (LIKELY(h->stack_n < HEAP_MARKS_MAX)) {
        h->stack[h->stack_n++] = o;
    } else {
        b->rescan = true;
        h->overflowed = true;
    }
}

/* Words that may be anything. Aligned. */
NO_ASAN static void mark_words(struct collection *c, const void *from, const void *to) {
    for (const uint64_t *p = from; p < (const uint64_t *)to && !c->killed;) {
        const uint64_t *end = p + MIN((size_t)((const uint64_t *)to - p), (size_t)HEAP_STEP);
        uint32_t n = (uint32_t)(end - p);
        for (; p < end; p++) {
            if (*p - (uintptr_t)c->h->base >= c->h->bytes) continue;
            struct abi_gc_object *o = engine_heap_object(c->h, *p);
            if (o) mark(c, o);
        }
        worked(c, n / 16);
    }
}

static inline void mark_reference(struct collection *c, uint64_t ref) {
    if (ref - (uintptr_t)c->h->base < c->h->bytes && !(ref & (ABI_REF_I31 | ABI_REF_HOST)))
        mark(c, (struct abi_gc_object *)(uintptr_t)ref);
}

static void mark_elements(struct collection *c, const struct abi_gc_object *o) {
    for (uint32_t i = 0; i < o->length && !c->killed;) {
        uint32_t end = i + MIN(o->length - i, (uint32_t)HEAP_STEP);
        worked(c, (end - i) / 4);
        for (; i < end; i++) mark_reference(c, o->payload[i]);
    }
}

static void scan_object(struct collection *c, const struct abi_gc_object *o) {
    if (o->header & ABI_OBJECT_WORDS) {
        mark_words(c, o->payload, o->payload + o->length);
        return;
    }
    const struct abi_type *t = &c->h->abi.types[o->header >> ABI_OBJECT_TYPE_SHIFT];
    switch ((enum abi_scan)t->scan) {
    case ABI_SCAN_NONE: break;
    case ABI_SCAN_MAP:
        for (uint64_t m = t->refs; m; m &= m - 1) mark_reference(c, o->payload[__builtin_ctzll(m)]);
        break;
    case ABI_SCAN_ALL: mark_elements(c, o); break;
    case ABI_SCAN_ANY: mark_words(c, o->payload, o->payload + t->bytes / 8); break;
    }
}

/* Objects wait in a short queue between the stack and their scan, until what was prefetched is there. */
static void drain(struct collection *c) {
    struct engine_heap *h = c->h;
    const struct abi_gc_object *queue[QUEUE] = {0};
    uint32_t at = 0, waiting = 0;
    while ((h->stack_n || waiting) && !c->killed) {
        const struct abi_gc_object *o = queue[at];
        queue[at] = NULL;
        if (h->stack_n) queue[at] = h->stack[--h->stack_n], waiting++;
        at = (at + 1) % QUEUE;
        if (!o) continue;
        waiting--;
        if (has_references(h, o->header)) scan_object(c, o);
        worked(c, 1);
    }
}

static void rescan_block(struct collection *c, uint64_t index) {
    struct heap_block *b = &c->h->blocks[index];
    uint8_t *base = c->h->base + index * HEAP_BLOCK;
    b->rescan = false;
    for (uint32_t w = 0; w < HEAP_CELLS_MAX / 64 && !c->killed; w++)
        for (uint64_t m = b->marked[w]; m; m &= m - 1) {
            uint32_t cell = w * 64 + (uint32_t)__builtin_ctzll(m);
            const struct abi_gc_object *o = (const void *)(base + (size_t)cell * b->cell_bytes);
            if (has_references(c->h, o->header)) scan_object(c, o);
            worked(c, 1);
        }
    drain(c);
}

static void mark_all(struct collection *c) {
    drain(c);
    while (c->h->overflowed && !c->killed) {
        c->h->overflowed = false;
        uint64_t n = c->h->bytes / HEAP_BLOCK;
        for (uint64_t i = 0; i < n && !c->killed; i++)
            if (c->h->blocks[i].rescan) rescan_block(c, i);
    }
}

/* ---- roots ---- */

/* Where a fiber's frames end. If it was taken off in compiled code, the innermost one's size is not known, but a bound of it. */
static const uint8_t *frames_end(const struct engine_heap *h, const struct engine_fiber *f) {
    if (!f->preempted) return f->frame_top;
    const uint8_t *frame = engine_saved_frame(&f->saved);
    bool sane = frame >= f->frame_low && frame <= f->frame_limit;
    return sane && (size_t)(f->frame_limit - frame) > h->frame_bytes_max ? frame + h->frame_bytes_max : f->frame_limit;
}

static void mark_fiber(struct collection *c, const struct engine_fiber *f, const void *native_sp) {
    mark_words(c, f, &f->saved);
    mark_words(c, f->preempted ? &f->saved : &f->saved + 1, f + 1); /* what an earlier one left there is nobody's */
    mark_words(c, f->frame_low, frames_end(c->h, f));
    mark_words(c, native_sp, f->native_top);
}

static const void *native_sp(const struct engine_fiber *f) {
    return f->preempted ? (const void *)((uintptr_t)engine_saved_sp(&f->saved) & ~(uintptr_t)7) : f->sp;
}

static void mark_instance(struct collection *c, struct engine_instance *in, const struct engine_fiber *current, const void *sp) {
    for (uint32_t i = 0; i < in->image->groups_count; i++) {
        const struct engine_group *g = &in->groups[i];
        mark_words(c, g->gs - g->of->context_bytes, g->gs - sizeof(struct abi_ctx));
    }
    for (const struct engine_grown *g = in->grown; g; g = g->next) mark_words(c, g->elements, g->elements + g->cap);
    for (const struct engine_fiber *f = in->fibers; f; f = f->next) mark_fiber(c, f, f == current ? sp : native_sp(f));
}

static void mark_roots(struct collection *c, struct engine_instance *in, const void *sp) {
    struct engine_instance *first = in->store ? in->store->instances : in;
    for (struct engine_instance *each = first; each && !c->killed; each = in->store ? each->store_next : NULL) {
        mark_instance(c, each, c->e->current, sp);
        drain(c);
    }
}

/* ---- sweeping ---- */

static void free_blocks(struct engine_heap *h, uint64_t first, uint64_t n) {
    for (uint64_t i = first; i < first + n; i++) {
        h->used[i / 64] &= ~(1ull << i % 64);
        h->blocks[i].state = HEAP_FREE;
    }
    h->hint = MIN(h->hint, (uint32_t)first);
}

static void sweep_cells(struct engine_heap *h, uint64_t i) {
    struct heap_block *b = &h->blocks[i];
    uint32_t live = 0;
    for (uint32_t w = 0; w < HEAP_CELLS_MAX / 64; w++) live += (uint32_t)__builtin_popcountll(b->marked[w]);
    if (!live) {
        free_blocks(h, i, 1);
        return;
    }
    memcpy(b->live, b->marked, sizeof b->live);
    b->fresh = false;
    h->live_bytes += (uint64_t)live * b->cell_bytes;
    if (live == b->count) return;
    b->next = h->partial[b->class];
    h->partial[b->class] = (uint32_t)i + 1;
}

/* From the end, so that blocks with free cells are listed by address. Once begun it is finished, also for a killed instance. */
static void sweep(struct collection *c) {
    struct engine_heap *h = c->h;
    memset(h->partial, 0, sizeof h->partial);
    memset(h->current, 0, sizeof h->current);
    heap_runs_drop(h);
    h->live_bytes = 0;
    for (uint64_t i = h->bytes / HEAP_BLOCK; i-- > 0;) {
        struct heap_block *b = &h->blocks[i];
        worked(c, 4);
        if (b->state == HEAP_CELLS) sweep_cells(h, i);
        if (b->state != HEAP_LARGE) continue;
        if (b->marked[0]) h->live_bytes += (uint64_t)b->count * HEAP_BLOCK;
        else free_blocks(h, i, b->count);
    }
}

/* ---- all of it ---- */

static void begin(struct collection *c) {
    struct engine_heap *h = c->h;
    h->collecting = true;
    h->collector = c->e->current;
    if (!h->stack) h->stack = malloc(HEAP_MARKS_MAX * sizeof(struct abi_gc_object *));
    ENSURE(h->stack);
    h->stack_n = 0;
    h->overflowed = false;
    for (uint64_t i = 0; i < h->bytes / HEAP_BLOCK; i++) {
        struct heap_block *b = &h->blocks[i];
        b->rescan = false;
        memset(b->marked, 0, sizeof b->marked);
        worked(c, 4);
    }
}

static void end(struct engine_heap *h) {
    h->collecting = false;
    h->collector = NULL;
    engine_fibers_unhold(h);
}

/* The caller's frame holds the callee-saved registers. */
static __attribute__((noinline)) bool collect(struct engine_instance *in) {
    struct engine_heap *h = in->heap;
    struct collection c = {.e = in->engine, .h = h};
    begin(&c);
    mark_roots(&c, in, __builtin_frame_address(0));
    mark_all(&c);
    if (!c.killed) {
        sweep(&c);
        h->collections++;
        h->allocated = 0;
        h->trigger = heap_trigger(c.e, h);
    }
    end(h);
    return !c.killed;
}

bool engine_heap_collect(struct engine_instance *in) {
    ENSURE(!in->heap->collecting && in->engine->current->in->heap == in->heap); /* else our stack would not be looked at */
    if (!in->heap->mapping) return true;
    __builtin_unwind_init(); /* stores all callee-saved registers in this frame */
    bool done = collect(in);
    __asm__ volatile("" : : "r"(done) : "memory"); /* no tail call: the frame stays */
    return done;
}
