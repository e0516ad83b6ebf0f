/* json: the writer. */
#include "base/json.h"
#include <math.h>

/* ---- strings ---- */

/* Bytes from s[i] that need no escaping. */
static size_t plain_run(str s, size_t i, bool utf8) {
    size_t from = i;
    for (; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f || (c >= 0x80 && (!utf8 || c == 0xc2))) break;
    }
    return i - from;
}

static void put_control(struct buf *b, uint8_t c) {
    static const char hex[] = "0123456789abcdef";
    char text[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
    buf_put(b, text, sizeof text);
}

void json_escape(struct buf *b, str s) {
    bool utf8 = str_is_utf8(s);
    for (size_t i = 0; i < s.n; i++) {
        size_t n = plain_run(s, i, utf8);
        buf_put(b, s.p + i, n);
        if ((i += n) == s.n) break;
        uint8_t c = s.p[i];
        if (c == '"' || c == '\\') buf_put(b, (uint8_t[]){'\\', c}, 2);
        else if (c == '\n') buf_puts(b, STR("\\n"));
        else if (c == '\r') buf_puts(b, STR("\\r"));
        else if (c == '\t') buf_puts(b, STR("\\t"));
        else if (c < 0x80) put_control(b, c);
        else if (!utf8) buf_puts(b, STR("\xef\xbf\xbd"));
        else if (s.p[i + 1] < 0xa0) put_control(b, s.p[++i]); /* C1 controls: some terminals obey them */
        else buf_put(b, s.p + i++, 2);
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
    while (s.n) {
        size_t left = end - MIN(b->n, end), n = MIN(s.n, (size_t)PIECE);
        if (ESCAPED * n + ELLIPSIS > left) n = char_bytes(s, 0);
        else while (n < s.n && n > PIECE - 4 && (s.p[n] & 0xc0) == 0x80) n--;
        if (ESCAPED * n + (n < s.n ? ELLIPSIS : 0) > left) break;
        json_escape(b, str_sub(s, 0, n));
        s = str_sub(s, n, s.n);
    }
    if (s.n) buf_puts(b, STR("\xe2\x80\xa6"));
}

/* ---- what is nested ---- */

static void put_quoted(struct buf *b, str s) {
    buf_putc(b, '"');
    json_escape(b, s);
    buf_putc(b, '"');
}

/* Whatever stands before a value. */
static void lead(struct json_writer *w, const char *key) {
    ENSURE(w->depth ? !(w->objects & 1) == !key : !key && !w->comma);
    if (w->comma) buf_putc(w->b, ',');
    w->comma = true;
    if (!key) return;
    put_quoted(w->b, str_c(key));
    buf_putc(w->b, ':');
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

void json_put_text(struct json_writer *w, const char *key, str v, size_t bytes_max) {
    lead(w, key);
    buf_putc(w->b, '"');
    json_escape_most(w->b, v, bytes_max);
    buf_putc(w->b, '"');
}

void json_put_hex(struct json_writer *w, const char *key, const char *prefix, const uint8_t *p, size_t n) {
    lead(w, key);
    buf_putc(w->b, '"');
    json_escape(w->b, str_c(prefix));
    for (size_t i = 0; i < n; i++) buf_printf(w->b, "%02x", p[i]);
    buf_putc(w->b, '"');
}

void json_put_u64(struct json_writer *w, const char *key, uint64_t v) {
    lead(w, key);
    buf_u64(w->b, v);
}

void json_put_i64(struct json_writer *w, const char *key, int64_t v) {
    lead(w, key);
    if (v < 0) buf_putc(w->b, '-');
    buf_u64(w->b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
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
