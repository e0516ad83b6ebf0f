/* heap: blocks, runs of cells, large objects. See heap.h; collecting is in collect.c. */
#include "engine/engine_int.h"
#include <stdlib.h>
#include <sys/mman.h>

enum {
    ACCESS_STEP = 1 << 20, /* bytes given access at once */
};
#define NO_BLOCK UINT64_MAX

/* ---- the mapping ---- */

/* A heap about three times as large as what lives in it; a small one stays within the caches, and is quick to clear after the request. */
uint64_t heap_trigger(const struct engine *e, const struct engine_heap *h) {
    enum { MIN_BYTES = 4 << 20, ALWAYS_COUNT = 5000, ALWAYS_BYTES = 16 << 10 };
    if (e->config.collect_always) return h->collections < ALWAYS_COUNT ? 0 : ALWAYS_BYTES;
    return MAX(2 * h->live_bytes, (uint64_t)MIN_BYTES);
}

static bool map_heap(struct engine_instance *in, struct engine_heap *h) {
    uint64_t limit = in->engine->config.memory_bytes_max, most = MIN(in->engine->config.reserve_bytes_max, HEAP_RESERVE);
    uint64_t reserve = align_up(limit ? MIN(limit, most) : most, HEAP_BLOCK) / HEAP_BLOCK;
    uint64_t bits = align_up(align_up(reserve, 64) / 8, ABI_PAGE);
    uint64_t blocks = align_up(reserve * sizeof(struct heap_block), ABI_PAGE);
    uint64_t guard = ABI_PAGE, bytes = bits + blocks + guard + reserve * HEAP_BLOCK + guard;
    uint8_t *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return false;
    if (mprotect(p, bits + blocks, PROT_READ | PROT_WRITE) != 0) {
        munmap(p, bytes);
        return false;
    }
    madvise(p, bytes, MADV_NOHUGEPAGE); /* as for memories: resets copy small pages */
    h->mapping = p;
    h->mapping_bytes = bytes;
    h->used = (uint64_t *)(void *)p;
    h->blocks = (struct heap_block *)(void *)(p + bits);
    h->base = p + bits + blocks + guard;
    h->reserve = reserve;
    h->trigger = heap_trigger(in->engine, h);
    return true;
}

void engine_heap_free(struct engine_heap *h) {
    if (h->mapping) munmap(h->mapping, h->mapping_bytes);
    free(h->stack);
    *h = (struct engine_heap){0};
}

void engine_heap_init(struct engine_heap *h) {
    h->abi.allocate = (void *)(uintptr_t)engine_asm_new;
    for (uint32_t i = 0; i < ABI_CELL_CLASSES; i++) h->abi.runs[i] = (struct abi_run){.cell_bytes = abi_cell_bytes(i)};
}

void engine_heap_image(struct engine_heap *h, const struct abi_image *im) {
    h->frame_bytes_max = MAX(h->frame_bytes_max, im->head->frame_bytes_max);
    if (im->head->types.count <= h->types_count && h->abi.types) return;
    h->types_count = im->head->types.count;
    h->abi.types = abi_image_at(im, im->head->types, struct abi_type);
}

void engine_heap_empty(struct engine *e, struct engine_heap *h) {
    ENSURE(!h->collecting && !h->held);
    if (!h->bytes) return;
    heap_runs_drop(h);
    memset(h->used, 0, align_up(h->bytes / HEAP_BLOCK, 64) / 8);
    memset(h->partial, 0, sizeof h->partial);
    memset(h->current, 0, sizeof h->current);
    memset(h->cursor, 0, sizeof h->cursor);
    h->peak_bytes = MAX(h->peak_bytes, h->bytes);
    h->bytes = h->allocated = h->live_bytes = h->collections = 0;
    h->hint = 0;
    h->trigger = heap_trigger(e, h);
}

void engine_heap_trim(struct engine_heap *h) {
    if (!h->peak_bytes) return;
    ENSURE(!h->bytes);
    madvise(h->base, h->peak_bytes, MADV_DONTNEED);
    madvise(h->blocks, h->peak_bytes / HEAP_BLOCK * sizeof *h->blocks, MADV_DONTNEED);
    h->peak_bytes = 0;
    free(h->stack);
    h->stack = NULL;
}

/* ---- blocks ---- */

static bool block_is_used(const struct engine_heap *h, uint64_t i) { return h->used[i / 64] >> (i % 64) & 1; }

/* The first of n free blocks in a row, or NO_BLOCK. */
static uint64_t find_blocks(struct engine_heap *h, uint64_t n) {
    uint64_t i = h->hint, start = i;
    bool first = true;
    while (i < h->reserve) {
        if (i % 64 == 0 && h->used[i / 64] == UINT64_MAX) {
            i += 64;
            start = i;
            continue;
        }
        if (block_is_used(h, i)) {
            start = ++i;
            continue;
        }
        if (first) h->hint = (uint32_t)i, first = false;
        if (++i - start == n) return start;
    }
    return NO_BLOCK;
}

static bool give_access(struct engine_heap *h, uint64_t end) {
    if (end <= h->accessible) return true;
    uint64_t to = MIN(align_up(end, ACCESS_STEP), h->reserve * HEAP_BLOCK);
    if (mprotect(h->base + h->accessible, to - h->accessible, PROT_READ | PROT_WRITE) != 0) return false;
    h->accessible = to;
    return true;
}

static uint64_t take_blocks(struct engine_instance *in, struct engine_heap *h, uint64_t n) {
    uint64_t first = n <= h->reserve ? find_blocks(h, n) : NO_BLOCK;
    if (first == NO_BLOCK) return NO_BLOCK;
    uint64_t end = (first + n) * HEAP_BLOCK, blocks = end > h->bytes ? (end - h->bytes) / HEAP_BLOCK : 0;
    uint64_t more =
        blocks * (HEAP_BLOCK + sizeof(struct heap_block)) + (h->bytes ? 0 : HEAP_MARKS_MAX * sizeof(struct abi_gc_object *));
    if (more && !engine_charge(in, more)) return NO_BLOCK;
    if (!give_access(h, end)) {
        engine_uncharge(in, more);
        return NO_BLOCK;
    }
    for (uint64_t i = first; i < first + n; i++) h->used[i / 64] |= 1ull << i % 64;
    uint64_t written = h->bytes / HEAP_BLOCK; /* those from here up are fresh */
    h->bytes = MAX(h->bytes, end);
    for (uint64_t i = first; i < first + n;) { /* used and of no kind: who collects in the middle leaves them alone */
        uint64_t stop = MIN(first + n, i + ENGINE_WORK_PIECE / sizeof *h->blocks);
        for (; i < stop; i++) h->blocks[i] = (struct heap_block){.state = HEAP_REST, .fresh = i >= written};
        if (n > 1 && !engine_work(in->engine, ENGINE_WORK_PIECE)) return NO_BLOCK;
    }
    return first;
}

uint32_t heap_cells(uint32_t class) { return HEAP_BLOCK / abi_cell_bytes(class); }

uint32_t heap_cell_of(const struct heap_block *b, uint32_t offset) {
    if (b->state == HEAP_LARGE) return offset ? UINT32_MAX : 0;
    if (b->state != HEAP_CELLS) return UINT32_MAX;
    uint32_t cell = (uint32_t)((uint64_t)offset * b->inverse >> 32);
    return cell < b->count && cell * b->cell_bytes == offset ? cell : UINT32_MAX;
}

struct abi_gc_object *engine_heap_object(const struct engine_heap *h, uint64_t w) {
    uint64_t at = w - (uintptr_t)h->base;
    if (at >= h->bytes) return NULL;
    const struct heap_block *b = &h->blocks[at / HEAP_BLOCK];
    uint32_t cell = heap_cell_of(b, at % HEAP_BLOCK);
    if (cell == UINT32_MAX || !(b->live[cell / 64] >> (cell % 64) & 1)) return NULL;
    return (struct abi_gc_object *)(uintptr_t)w;
}

/* ---- runs of cells ---- */

void heap_runs_drop(struct engine_heap *h) {
    for (uint32_t i = 0; i < ABI_CELL_CLASSES; i++) h->abi.runs[i].next = h->abi.runs[i].end = NULL;
}

/* The first cell from `from` up whose bit is as asked; b->count if there is none. */
static uint32_t next_cell(const struct heap_block *b, uint32_t from, bool live) {
    while (from < b->count) {
        uint64_t word = live ? b->live[from / 64] : ~b->live[from / 64];
        word &= ~0ull << from % 64;
        if (word) return MIN(from / 64 * 64 + (uint32_t)__builtin_ctzll(word), b->count);
        from = (from / 64 + 1) * 64;
    }
    return b->count;
}

/* Makes [from, to) the class's run. */
static void take_run(struct engine_heap *h, uint32_t class, uint64_t block, uint32_t from, uint32_t to) {
    struct heap_block *b = &h->blocks[block];
    uint8_t *p = h->base + block * HEAP_BLOCK + from * b->cell_bytes;
    uint64_t bytes = (uint64_t)(to - from) * b->cell_bytes;
    for (uint32_t i = from; i < to;) { /* a word of bits at once */
        uint32_t end = MIN(to, (i / 64 + 1) * 64);
        uint64_t bits = end - i == 64 ? UINT64_MAX : ((1ull << (end - i)) - 1) << i % 64;
        b->live[i / 64] |= bits;
        i = end;
    }
    if (!b->fresh) memset(p, 0, bytes);
    h->abi.runs[class].next = p;
    h->abi.runs[class].end = p + bytes;
    h->allocated += bytes;
}

/* From blocks that have free cells. */
static bool next_run(struct engine_heap *h, uint32_t class, bool single) {
    for (;;) {
        uint32_t current = h->current[class];
        if (current) {
            const struct heap_block *b = &h->blocks[current - 1];
            uint32_t from = next_cell(b, h->cursor[class], false);
            if (from < b->count) {
                uint32_t to = single ? from + 1 : next_cell(b, from, true);
                h->cursor[class] = to;
                take_run(h, class, current - 1, from, to);
                return true;
            }
        }
        h->current[class] = h->partial[class];
        h->cursor[class] = 0;
        if (!h->current[class]) return false;
        h->partial[class] = h->blocks[h->current[class] - 1].next;
    }
}

static bool new_block(struct engine_instance *in, struct engine_heap *h, uint32_t class) {
    uint64_t i = take_blocks(in, h, 1);
    if (i == NO_BLOCK) return false;
    struct heap_block *b = &h->blocks[i];
    b->state = HEAP_CELLS;
    b->class = (uint8_t) class;
    b->count = heap_cells(class);
    b->cell_bytes = abi_cell_bytes(class);
    b->inverse = (uint32_t)((1ull << 32) / b->cell_bytes + 1);
    h->current[class] = (uint32_t)i + 1;
    h->cursor[class] = 0;
    return next_run(h, class, in->engine->config.collect_always);
}

static bool refill(struct engine_instance *in, struct engine_heap *h, uint32_t class) {
    return next_run(h, class, in->engine->config.collect_always) || new_block(in, h, class);
}

/* ---- objects ---- */

/* Collects if enough was allocated since the last time. False: killed. */
static bool collect_if_due(struct engine_instance *in, struct engine_heap *h, bool *collected) {
    *collected = h->allocated >= h->trigger && h->bytes;
    return !*collected || engine_heap_collect(in);
}

static struct abi_gc_object *no_room(struct engine_instance *in, enum abi_trap *trap) {
    *trap = in->engine->current->actor->killed ? ABI_TRAP_INTERRUPTED : ABI_TRAP_OUT_OF_MEMORY;
    return NULL;
}

static struct abi_gc_object *new_small(struct engine_instance *in, struct engine_heap *h, uint32_t class) {
    struct abi_run *run = &h->abi.runs[class];
    if (run->next == run->end) {
        bool collected;
        if (!collect_if_due(in, h, &collected)) return NULL;
        if (!refill(in, h, class) && (collected || !engine_heap_collect(in) || !refill(in, h, class))) return NULL;
    }
    struct abi_gc_object *o = (struct abi_gc_object *)(void *)run->next;
    run->next += abi_cell_bytes(class);
    return o;
}

/* False: killed. The blocks are those of a large object that has no header yet; o is on our stack, so it stays. */
static bool clear_large(struct engine *e, struct abi_gc_object *volatile *o, uint64_t bytes) {
    for (uint64_t at = 0; at < bytes; at += ENGINE_WORK_PIECE) {
        memset((uint8_t *)*o + at, 0, MIN(bytes - at, (uint64_t)ENGINE_WORK_PIECE));
        if (!engine_work(e, ENGINE_WORK_PIECE)) return false;
    }
    return true;
}

static struct abi_gc_object *new_large(struct engine_instance *in, struct engine_heap *h, uint64_t bytes) {
    uint64_t n = (bytes + HEAP_BLOCK - 1) / HEAP_BLOCK;
    bool collected;
    if (!collect_if_due(in, h, &collected)) return NULL;
    uint64_t i = take_blocks(in, h, n);
    if (i == NO_BLOCK && !collected && engine_heap_collect(in)) i = take_blocks(in, h, n);
    if (i == NO_BLOCK) return NULL;
    bool fresh = true;
    for (uint64_t k = i; k < i + n; k++) fresh &= h->blocks[k].fresh;
    struct heap_block *b = &h->blocks[i];
    b->state = HEAP_LARGE;
    b->count = (uint32_t)n;
    b->live[0] = 1;
    h->allocated += n * HEAP_BLOCK;
    struct abi_gc_object *volatile o = (struct abi_gc_object *)(void *)(h->base + i * HEAP_BLOCK);
    return fresh || clear_large(in->engine, &o, bytes) ? o : NULL;
}

struct abi_gc_object *engine_heap_new(struct engine_instance *in, uint32_t header, uint32_t length, uint64_t bytes,
                                      enum abi_trap *trap) {
    struct engine_heap *h = in->heap;
    if (UNLIKELY(!h->mapping) && !map_heap(in, h)) return no_room(in, trap);
    if (bytes > HEAP_RESERVE) return no_room(in, trap);
    bytes += ABI_OBJECT_PAYLOAD;
    struct engine *e = in->engine;
    struct abi_gc_object *o;
    uint64_t refusals;
    do {
        refusals = e->refusals;
        o = bytes <= ABI_CELL_MAX ? new_small(in, h, abi_cell_class((uint32_t)bytes)) : new_large(in, h, bytes);
    } while (UNLIKELY(!o) && engine_wait_room(e, refusals));
    if (UNLIKELY(!o)) return no_room(in, trap);
    o->length = length;
    o->header = header;
    return o;
}
