/* arena: a list of chunks, newest first; each allocation is zeroed when it is made.
 *
 * 1. Memory handed out stays where it is until reset or free.
 * 2. Chunks double up to 1 MiB; a larger request gets a chunk of its own.
 * 3. A thread that serves (arena_keep) keeps some first chunks for the next arenas: a request makes half a dozen, which are gone soon.
 */
#include "base/base.h"
#include <stdlib.h>

struct chunk {
    struct chunk *older;
    size_t cap, used;
    max_align_t bytes[];
};

struct cleanup {
    struct cleanup *older;
    void (*fn)(void *);
    void *arg;
};

struct arena {
    struct chunk *chunk;
    struct cleanup *cleanups;
    size_t total, max;
};

enum { CHUNK_FIRST = 4096, CHUNK_LARGEST = 1 << 20, KEPT_MAX = 16 };

static _Thread_local struct {
    bool keeps;
    uint32_t n;
    struct chunk *of[KEPT_MAX];
} kept;

void arena_keep(void) {
#ifndef __SANITIZE_ADDRESS__ /* which is to see what is used after it was freed */
    kept.keeps = true;
#endif
}

static struct chunk *new_chunk(size_t cap) {
    if (cap == CHUNK_FIRST && kept.n) return kept.of[--kept.n];
    return malloc(sizeof(struct chunk) + cap);
}

static void free_chunk(struct chunk *c) {
    if (kept.keeps && c->cap == CHUNK_FIRST && kept.n < KEPT_MAX) kept.of[kept.n++] = c;
    else free(c);
}

arena *arena_new(size_t bytes_max) {
    arena *a = calloc(1, sizeof *a);
    if (!a) base_no_memory(sizeof *a);
    a->max = bytes_max;
    return a;
}

static void run_cleanups(arena *a) {
    struct cleanup *c = a->cleanups;
    a->cleanups = NULL;
    for (; c; c = c->older) c->fn(c->arg);
}

void arena_free(arena *a) {
    if (!a) return;
    run_cleanups(a);
    for (struct chunk *c = a->chunk, *older; c; c = older) older = c->older, free_chunk(c);
    free(a);
}

void arena_reset(arena *a) {
    run_cleanups(a);
    struct chunk *c = a->chunk;
    while (c && c->older) {
        struct chunk *older = c->older;
        free_chunk(c);
        c = older;
    }
    a->chunk = c;
    a->total = c ? c->cap : 0;
    if (c) c->used = 0;
}

static bool add_chunk(arena *a, size_t n) {
    size_t cap = a->chunk ? MIN(a->chunk->cap * 2, (size_t)CHUNK_LARGEST) : CHUNK_FIRST;
    cap = MAX(cap, n);
    if (a->max && a->total + cap > a->max) {
        cap = n;
        if (n > a->max || a->total > a->max - n) return false;
    }
    struct chunk *c = new_chunk(cap);
    if (!c) base_no_memory(sizeof *c + cap);
    *c = (struct chunk){.older = a->chunk, .cap = cap};
    a->chunk = c;
    a->total += cap;
    return true;
}

void *arena_try_alloc(arena *a, size_t n, size_t align) {
    ENSURE(align && (align & (align - 1)) == 0 && n < SIZE_MAX / 4);
    for (int round = 0; round < 2; round++) {
        struct chunk *c = a->chunk;
        if (c) {
            uintptr_t base = (uintptr_t)c->bytes;
            size_t at = align_up(base + c->used, align) - base;
            if (at <= c->cap && n <= c->cap - at) {
                c->used = at + n;
                return memset((uint8_t *)c->bytes + at, 0, n);
            }
        }
        if (round == 0 && !add_chunk(a, n + align)) return NULL;
    }
    return NULL;
}

void *arena_alloc(arena *a, size_t n, size_t align) {
    void *p = arena_try_alloc(a, n, align);
    ENSURE(p);
    return p;
}

void *arena_array_bytes(arena *a, size_t size, size_t n, size_t align) {
    size_t bytes;
    ENSURE(!__builtin_mul_overflow(size, n, &bytes));
    return arena_alloc(a, bytes, align);
}

void arena_cleanup(arena *a, void (*fn)(void *), void *arg) {
    struct cleanup *c = arena_make(a, struct cleanup);
    *c = (struct cleanup){a->cleanups, fn, arg};
    a->cleanups = c;
}

size_t arena_bytes(const arena *a) { return a->total; }

str arena_str(arena *a, str s) {
    uint8_t *p = arena_alloc(a, s.n + 1, 1);
    if (s.n) memcpy(p, s.p, s.n);
    return (str){p, s.n};
}

char *arena_cstr(arena *a, str s) { return (char *)(uintptr_t)arena_str(a, s).p; }

str arena_vfmt(arena *a, const char *fmt, va_list ap) {
    va_list again;
    va_copy(again, ap);
    char text[256];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    ENSURE(n >= 0);
    char *p = arena_alloc(a, (size_t)n + 1, 1);
    if ((size_t)n < sizeof text) memcpy(p, text, (size_t)n);
    else vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return (str){(uint8_t *)p, (size_t)n};
}

str arena_fmt(arena *a, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vfmt(a, fmt, ap);
    va_end(ap);
    return s;
}

void *base_vec_grow(arena *a, void *p, uint32_t *cap, size_t size) {
    uint32_t old = *cap;
    ENSURE(old < UINT32_MAX / 2);
    uint32_t new = old ? old * 2 : 8;
    void *q = arena_array_bytes(a, size, new, _Alignof(max_align_t));
    if (old) memcpy(q, p, size * old);
    *cap = new;
    return q;
}
