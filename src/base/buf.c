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
        size_t cap = MAX(MAX(b->cap * 2, need), (size_t)64);
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

bool buf_puts(struct buf *b, str s) { return buf_put(b, s.p, s.n); }
bool buf_putc(struct buf *b, uint8_t c) { return buf_put(b, &c, 1); }

bool buf_printf(struct buf *b, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    /* vsnprintf wants room for a NUL, which is not counted into n. */
    bool ok = n >= 0 && buf_reserve(b, (size_t)n + 1);
    if (ok) {
        vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
    return ok;
}

void buf_drop(struct buf *b, size_t n) {
    n = MIN(n, b->n);
    b->n -= n;
    if (b->n && n) memmove(b->p, b->p + n, b->n);
}

/* Bytes from s[i] that need no escaping. */
static size_t plain_run(str s, size_t i, bool utf8) {
    size_t from = i;
    for (; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f || (c >= 0x80 && (!utf8 || c == 0xc2))) break;
    }
    return i - from;
}

bool buf_json_escape(struct buf *b, str s) {
    bool utf8 = str_is_utf8(s);
    for (size_t i = 0; i < s.n; i++) {
        size_t n = plain_run(s, i, utf8);
        buf_put(b, s.p + i, n);
        if ((i += n) == s.n) break;
        uint8_t c = s.p[i];
        if (c == '"' || c == '\\') buf_putc(b, '\\'), buf_putc(b, c);
        else if (c == '\n') buf_puts(b, STR("\\n"));
        else if (c == '\r') buf_puts(b, STR("\\r"));
        else if (c == '\t') buf_puts(b, STR("\\t"));
        else if (c < 0x80) buf_printf(b, "\\u%04x", c);
        else if (!utf8) buf_puts(b, STR("\xef\xbf\xbd"));
        else if (s.p[i + 1] < 0xa0) buf_printf(b, "\\u%04x", s.p[++i]); /* C1 controls: some terminals obey them */
        else buf_putc(b, c);
    }
    return !b->full;
}
