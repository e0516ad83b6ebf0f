/* json: the writer. */
#include "base/json.h"
#include <math.h>

/* ---- bytes: what an access log's line is made of is short, so room is looked for here first ---- */

static inline void put1(struct buf *b, uint8_t c) {
    if (LIKELY(b->n < b->cap)) b->p[b->n++] = c;
    else buf_putc(b, c);
}

static inline void put(struct buf *b, str s) {
    if (UNLIKELY(!s.n)) return; /* an empty string may have no bytes at all, and memcpy wants some */
    if (LIKELY(s.n <= b->cap - b->n)) memcpy(b->p + b->n, s.p, s.n), b->n += s.n;
    else buf_puts(b, s);
}

/* ---- strings ---- */

/* In which of its eight bytes v has one that does not stand for itself: a control, a quote, a backslash, or none of ASCII's. */
static inline uint64_t odd_bytes(uint64_t v) {
    const uint64_t ones = UINT64_MAX / 255;
    uint64_t quote = v ^ ones * '"', slash = v ^ ones * '\\', del = v ^ ones * 0x7f;
    return ((((v - ones * 0x20) | (quote - ones) | (slash - ones) | (del - ones)) & ~v) | v) & ones << 7;
}

static size_t plain_run(str s) {
    size_t i = 0;
    for (uint64_t v; i + 8 <= s.n; i += 8) {
        memcpy(&v, s.p + i, 8);
        if (odd_bytes(v)) break;
    }
    while (i < s.n && s.p[i] - 0x20u < 0x5f && s.p[i] != '"' && s.p[i] != '\\') i++;
    return i;
}

static void put_control(struct buf *b, uint8_t c) {
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    buf_put(b, text, sizeof text);
}

/* One character that does not stand for itself, or one byte that is none; gives its length. */
static size_t put_odd(struct buf *b, str s, bool utf8) {
    uint8_t c = s.p[0];
    if (c == '"' || c == '\\') buf_put(b, (uint8_t[]){'\\', c}, 2);
    else if (c == '\n') buf_puts(b, STR("\\n"));
    else if (c == '\r') buf_puts(b, STR("\\r"));
    else if (c == '\t') buf_puts(b, STR("\\t"));
    else if (c < 0x80) put_control(b, c);
    else if (!utf8) buf_puts(b, STR("\xef\xbf\xbd"));
    else if (c == 0xc2 && s.p[1] < 0xa0) return put_control(b, s.p[1]), 2; /* C1: some terminals obey them */
    else return buf_put(b, s.p, c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2), c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    return 1;
}

void json_escape(struct buf *b, str s) {
    size_t n = plain_run(s);
    put(b, str_sub(s, 0, n));
    bool utf8 = n == s.n || str_is_utf8(s);
    while (n < s.n) {
        n += put_odd(b, str_sub(s, n, s.n), utf8);
        size_t run = plain_run(str_sub(s, n, s.n));
        put(b, (str){s.p + n, run});
        n += run;
    }
}

/* Bytes from s[i] that make one character, at most. */
static size_t char_bytes(str s, size_t i) {
    size_t n = 1;
    while (i + n < s.n && n < 4 && (s.p[i + n] & 0xc0) == 0x80) n++;
    return n;
}

/* By pieces that fit however they are escaped, and the last characters one by one. */
void json_escape_most(struct buf *b, str s, size_t bytes_max) {
    enum { PIECE = 256, ESCAPED = 6, ELLIPSIS = 3 };
    size_t end = b->n + bytes_max;
    if (ESCAPED * s.n <= bytes_max) {
        json_escape(b, s);
        return;
    }
    while (s.n) {
        size_t left = end - MIN(b->n, end), n = MIN(s.n, (size_t)PIECE);
        if (ESCAPED * n + ELLIPSIS > left) n = char_bytes(s, 0);
        else
            while (n < s.n && n > PIECE - 4 && (s.p[n] & 0xc0) == 0x80) n--;
        if (ESCAPED * n + (n < s.n ? ELLIPSIS : 0) > left) break;
        json_escape(b, str_sub(s, 0, n));
        s = str_sub(s, n, s.n);
    }
    if (s.n) buf_puts(b, STR("\xe2\x80\xa6"));
}

/* ---- what is nested ---- */

static void put_quoted(struct buf *b, str s) {
    put1(b, '"');
    json_escape(b, s);
    put1(b, '"');
}

/* Whatever stands before a value. */
static void lead(struct json_writer *w, const char *key) {
    ENSURE(w->depth ? !(w->objects & 1) == !key : !key && !w->comma);
    if (w->comma) put1(w->b, ',');
    w->comma = true;
    if (!key) return;
    put_quoted(w->b, str_c(key));
    put1(w->b, ':');
}

static void open_level(struct json_writer *w, const char *key, bool object) {
    lead(w, key);
    ENSURE(w->depth < JSON_DEPTH_MAX);
    w->objects = w->objects << 1 | object;
    w->depth++;
    w->comma = false;
    buf_putc(w->b, object ? '{' : '[');
}

void json_put_object(struct json_writer *w, const char *key) { open_level(w, key, true); }
void json_put_array(struct json_writer *w, const char *key) { open_level(w, key, false); }

void json_put_end(struct json_writer *w) {
    ENSURE(w->depth);
    buf_putc(w->b, w->objects & 1 ? '}' : ']');
    w->objects >>= 1;
    w->depth--;
    w->comma = true;
}

bool json_done(const struct json_writer *w) { return !w->depth && w->comma && !w->b->full; }

/* ---- values ---- */

void json_put_str(struct json_writer *w, const char *key, str v) {
    lead(w, key);
    put_quoted(w->b, v);
}

void json_put_cstr(struct json_writer *w, const char *key, const char *v) {
    if (v) json_put_str(w, key, str_c(v));
    else json_put_null(w, key);
}

void json_put_raw(struct json_writer *w, const char *key, str json) {
    lead(w, key);
    put(w->b, json);
}

void json_put_text(struct json_writer *w, const char *key, str v, size_t bytes_max) {
    lead(w, key);
    put1(w->b, '"');
    json_escape_most(w->b, v, bytes_max);
    put1(w->b, '"');
}

void json_put_hex(struct json_writer *w, const char *key, const char *prefix, const uint8_t *p, size_t n) {
    lead(w, key);
    put1(w->b, '"');
    json_escape(w->b, str_c(prefix));
    for (size_t i = 0; i < n; i++) buf_printf(w->b, "%02x", p[i]);
    put1(w->b, '"');
}

void json_put_u64(struct json_writer *w, const char *key, uint64_t v) {
    lead(w, key);
    buf_u64(w->b, v);
}

void json_put_i64(struct json_writer *w, const char *key, int64_t v) {
    lead(w, key);
    buf_i64(w->b, v);
}

/* A number in few digits where those are enough, with a point or an exponent, so that it stays no integer. */
void json_put_f64(struct json_writer *w, const char *key, double v) {
    char text[32];
    if (!isfinite(v)) {
        json_put_null(w, key);
        return;
    }
    snprintf(text, sizeof text, "%.15g", v);
    if (strtod(text, NULL) != v) snprintf(text, sizeof text, "%.17g", v);
    lead(w, key);
    buf_puts(w->b, str_c(text));
    if (!strpbrk(text, ".e")) buf_puts(w->b, STR(".0"));
}

/* printf takes as long for one as all else of an access log's line. */
void json_put_ms(struct json_writer *w, const char *key, double v) {
    if (!isfinite(v)) json_put_null(w, key);
    else lead(w, key), buf_thousandths(w->b, v);
}

void json_put_bool(struct json_writer *w, const char *key, bool v) {
    lead(w, key);
    buf_puts(w->b, v ? STR("true") : STR("false"));
}

void json_put_null(struct json_writer *w, const char *key) {
    lead(w, key);
    buf_puts(w->b, STR("null"));
}
