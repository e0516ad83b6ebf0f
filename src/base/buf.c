/* buf: growing bytes on the heap. */
#include "base/base.h"
#include <stdlib.h>

void buf_free(struct buf *b) {
    free(b->p);
    *b = (struct buf){.max = b->max};
}

bool buf_reserve(struct buf *b, size_t more) {
    size_t need;
    if (__builtin_add_overflow(b->n, more, &need) || (b->max && need > b->max)) {
        b->full = true;
        return false;
    }
    if (need > b->cap) {
        size_t cap = MAX(MAX(b->cap * (b->cap < 1024 ? 4 : 2), need), (size_t)64); /* most are small, or soon large */
        if (b->max) cap = MIN(cap, b->max);
        b->p = realloc(b->p, cap);
        if (!b->p) base_no_memory(cap);
        b->cap = cap;
    }
    return true;
}

bool buf_put(struct buf *b, const void *p, size_t n) {
    if (!buf_reserve(b, n)) return false;
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
    return true;
}

bool buf_printf(struct buf *b, const char *fmt, ...) {
    va_list ap, again;
    size_t room = b->cap - b->n;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n =
        vsnprintf(room ? (char *)b->p + b->n : NULL, room, fmt, ap); /* which wants room for a NUL, that is not counted into n */
    va_end(ap);
    bool ok = n >= 0 && buf_reserve(b, (size_t)n + 1);
    if (ok && (size_t)n >= room) vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, again);
    if (ok) b->n += (size_t)n;
    va_end(again);
    return ok;
}

void buf_drop(struct buf *b, size_t n) {
    n = MIN(n, b->n);
    b->n -= n;
    if (b->n && n) memmove(b->p, b->p + n, b->n);
}

static char *digits(char *end, uint64_t v) {
    do *--end = (char)('0' + v % 10);
    while (v /= 10);
    return end;
}

bool buf_u64(struct buf *b, uint64_t v) {
    char text[20], *end = text + sizeof text, *p = digits(end, v);
    return buf_put(b, p, (size_t)(end - p));
}

bool buf_i64(struct buf *b, int64_t v) {
    char text[21], *end = text + sizeof text, *p = digits(end, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    if (v < 0) *--p = '-';
    return buf_put(b, p, (size_t)(end - p));
}

bool buf_thousandths(struct buf *b, double v) {
    if (!(v >= 0 && v < 1e12)) return buf_printf(b, "%.3f", v);
    uint64_t thousandths = (uint64_t)(v * 1000 + 0.5);
    unsigned rest = (unsigned)(thousandths % 1000);
    char tail[4] = {'.', (char)('0' + rest / 100), (char)('0' + rest / 10 % 10), (char)('0' + rest % 10)};
    return buf_u64(b, thousandths / 1000) && buf_put(b, tail, sizeof tail);
}
