/* chunk: the memory of calls, in pieces of one size, so that what many calls held at once goes back to the system when they have ended.
 *
 *   slab, SLAB_BYTES at a multiple of that:  | header | chunk | chunk | … | chunk |      one mapping; only those that have free chunks are listed
 *
 * 1. Chunks of a general heap would lie between what lives longer: thousands of calls that waited at once would leave the worker as large
 *    as it was then. Here an empty slab is one mapping less; one is kept.
 * 2. A chunk that was never used has not been touched.
 */
#include <sanitizer/asan_interface.h> /* does nothing without a sanitizer */
#include <sys/mman.h>

#include "host/host_int.h"

enum { SLAB_BYTES = 1 << 20, CHUNK_BYTES = sizeof(struct host_chunk) + HOST_CHUNK_BYTES };
struct host_slab {
    struct host_slab *prev, *next; /* while it has free chunks */
    struct host_chunk *free;       /* that were used before */
    uint8_t *fresh;                /* from here on none was used */
    uint32_t used;
};
enum { SLAB_CHUNKS = (SLAB_BYTES - sizeof(struct host_slab)) / CHUNK_BYTES };

static void list(struct host_component *c, struct host_slab *s) {
    s->prev = NULL;
    s->next = c->slabs;
    if (s->next) s->next->prev = s;
    c->slabs = s;
}
static void unlist(struct host_component *c, struct host_slab *s) {
    *(s->prev ? &s->prev->next : &c->slabs) = s->next;
    if (s->next) s->next->prev = s->prev;
}

static struct host_slab *slab_new(struct host_component *c) {
    uint8_t *p = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    struct host_slab *s = (struct host_slab *)(uintptr_t)align_up((uintptr_t)p, SLAB_BYTES);
    size_t before = (size_t)((uint8_t *)s - p);
    if (before) munmap(p, before);
    munmap((uint8_t *)s + SLAB_BYTES, SLAB_BYTES - before);
    *s = (struct host_slab){.fresh = (uint8_t *)(s + 1)};
    ASAN_POISON_MEMORY_REGION(s + 1, SLAB_BYTES - sizeof *s);
    list(c, s);
    return s;
}
static void slab_free(struct host_slab *s) {
    ASAN_UNPOISON_MEMORY_REGION(s, SLAB_BYTES);
    munmap(s, SLAB_BYTES);
}

struct host_chunk *host_chunk_new(struct host_component *c) {
    struct host_slab *s = c->slabs ? c->slabs : slab_new(c);
    if (!s) return NULL;
    struct host_chunk *k = s->free;
    if (k) {
        ASAN_UNPOISON_MEMORY_REGION(k, CHUNK_BYTES);
        s->free = k->next;
    } else {
        k = (struct host_chunk *)(void *)s->fresh;
        s->fresh += CHUNK_BYTES;
        ASAN_UNPOISON_MEMORY_REGION(k, CHUNK_BYTES);
    }
    if (++s->used == SLAB_CHUNKS) unlist(c, s);
    return k;
}

void host_chunk_free(struct host_component *c, struct host_chunk *k) {
    struct host_slab *s = (struct host_slab *)((uintptr_t)k & ~(uintptr_t)(SLAB_BYTES - 1));
    k->next = s->free;
    s->free = k;
    ASAN_POISON_MEMORY_REGION(k, CHUNK_BYTES);
    if (s->used-- == SLAB_CHUNKS) list(c, s);
    if (s->used || (!s->next && !s->prev)) return;
    unlist(c, s);
    slab_free(s);
}

void host_chunks_free(struct host_component *c) {
    for (struct host_slab *s = c->slabs, *next; s; s = next) {
        next = s->next;
        slab_free(s);
    }
    c->slabs = NULL;
}
