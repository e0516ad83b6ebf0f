/* json_quick: the reader of what is well-formed. The library allocates each value twice and hashes each key, which of an answer of a database took longer than
 * the query; this makes values where they stay. Whatever is not plainly right, it leaves to the library (json_read.c), whose judgement and words hold.
 *
 *   text ──> values of what is open, on one stack ──a level ends──> its items, in out
 *
 * 1. What it takes, the library takes, with the same values: the fuzz target holds one against the other.
 * 2. Depth and number were counted before (check_limits). It does not recurse. */
#include "base/json_int.h"
#include <math.h>
#include <stdlib.h>

enum { KEYS_MAX = 64 /* of an object: more are compared quicker by a table */, NUMBER_MAX = 63, FEW = 64 };

struct quick {
    arena *out;
    str text;
    size_t at;
    struct json_member *stack, few[FEW];
    uint32_t n, cap;
};

static int peek(const struct quick *q) { return q->at < q->text.n ? q->text.p[q->at] : -1; }

static int past_blanks(struct quick *q) {
    int c = peek(q);
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t') q->at++, c = peek(q);
    return c;
}

static struct json_member *push(struct quick *q) {
    if (q->n == q->cap) {
        struct json_member *more = malloc(2 * q->cap * sizeof *more);
        ENSURE(more);
        memcpy(more, q->stack, q->n * sizeof *more);
        if (q->stack != q->few) free(q->stack);
        q->stack = more;
        q->cap *= 2;
    }
    return &q->stack[q->n++];
}

/* ---- strings ---- */

static bool hex4(const uint8_t *p, uint32_t *c) {
    *c = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t d = p[i], small = d | 0x20;
        if (d >= '0' && d <= '9') *c = *c << 4 | (d - '0');
        else if (small >= 'a' && small <= 'f') *c = *c << 4 | (small - 'a' + 10u);
        else return false;
    }
    return true;
}

static uint8_t *put_utf8(uint8_t *to, uint32_t c) {
    if (c < 0x80) return *to++ = (uint8_t)c, to;
    if (c < 0x800) *to++ = (uint8_t)(0xc0 | c >> 6);
    else if (c < 0x10000) *to++ = (uint8_t)(0xe0 | c >> 12), *to++ = (uint8_t)(0x80 | (c >> 6 & 63));
    else *to++ = (uint8_t)(0xf0 | c >> 18), *to++ = (uint8_t)(0x80 | (c >> 12 & 63)), *to++ = (uint8_t)(0x80 | (c >> 6 & 63));
    return *to++ = (uint8_t)(0x80 | (c & 63)), to;
}

/* From the backslash on. NULL: it is none. */
static const uint8_t *escape(const uint8_t *p, const uint8_t *end, uint8_t **to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    uint32_t c, low;
    if (end - p < 2) return NULL;
    const char *at = p[1] ? strchr(from, p[1]) : NULL;
    if (at) return *(*to)++ = (uint8_t)into[at - from], p + 2;
    if (p[1] != 'u' || end - p < 6 || !hex4(p + 2, &c) || (c >= 0xdc00 && c <= 0xdfff)) return NULL;
    p += 6;
    if (c >= 0xd800 && c <= 0xdbff) {
        if (end - p < 6 || p[0] != '\\' || p[1] != 'u' || !hex4(p + 2, &low) || low < 0xdc00 || low > 0xdfff) return NULL;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }
    *to = put_utf8(*to, c);
    return p;
}

static bool take_string(struct quick *q, str *s) {
    const uint8_t *from = q->text.p + q->at + 1, *end = q->text.p + q->text.n, *p = from;
    uint8_t high = 0;
    bool plain = true;
    for (; p < end && *p != '"'; p++) {
        if (*p < 0x20) return false;
        high |= *p;
        if (*p == '\\') plain = false, p++;
    }
    if (p >= end) return false;
    str inside = {from, (size_t)(p - from)};
    q->at = (size_t)(p - q->text.p) + 1;
    if (high >= 0x80 && !str_is_utf8(inside)) return false;
    if (plain) return *s = arena_str(q->out, inside), true;
    uint8_t *made = arena_alloc(q->out, inside.n + 1, 1), *to = made;
    for (const uint8_t *at = from; at < p;) {
        if (*at != '\\') *to++ = *at++;
        else if (!(at = escape(at, p, &to))) return false;
    }
    *to = 0;
    *s = (str){made, (size_t)(to - made)};
    return true;
}

/* ---- numbers and words ---- */

static size_t digits(struct quick *q) {
    size_t from = q->at;
    while (q->at < q->text.n && q->text.p[q->at] >= '0' && q->text.p[q->at] <= '9') q->at++;
    return q->at - from;
}

static bool take_number(struct quick *q, struct json *v) {
    char text[NUMBER_MAX + 1];
    size_t from = q->at, n;
    bool whole = true, minus = peek(q) == '-';
    q->at += minus;
    bool zero = peek(q) == '0';
    n = digits(q);
    if (!n || (zero && n > 1)) return false;
    if (peek(q) == '.') {
        whole = false, q->at++;
        if (!digits(q)) return false;
    }
    if (peek(q) == 'e' || peek(q) == 'E') {
        whole = false, q->at++;
        if (peek(q) == '+' || peek(q) == '-') q->at++;
        if (!digits(q)) return false;
    }
    if (whole && n > 18) return false; /* it may be too large */
    if (whole) {
        int64_t i = 0;
        for (size_t k = from + minus; k < q->at; k++) i = 10 * i + (q->text.p[k] - '0');
        *v = (struct json){JSON_KIND_I64, 0, {.i = minus ? -i : i}};
        return true;
    }
    if (q->at - from > NUMBER_MAX) return false;
    memcpy(text, q->text.p + from, q->at - from);
    text[q->at - from] = 0;
    *v = (struct json){JSON_KIND_F64, 0, {.f = strtod(text, NULL)}};
    return isfinite(v->f);
}

static bool take_word(struct quick *q, const char *word, struct json *v, struct json is) {
    size_t n = strlen(word);
    if (q->text.n - q->at < n || memcmp(q->text.p + q->at, word, n)) return false;
    q->at += n;
    *v = is;
    return true;
}

static bool take_scalar(struct quick *q, struct json *v) {
    switch (peek(q)) {
    case '"': *v = (struct json){JSON_KIND_STR, 0, {0}}; return take_string(q, &v->s);
    case 't': return take_word(q, "true", v, (struct json){JSON_KIND_BOOL, 0, {.b = true}});
    case 'f': return take_word(q, "false", v, (struct json){JSON_KIND_BOOL, 0, {0}});
    case 'n': return take_word(q, "null", v, (struct json){JSON_KIND_NULL, 0, {0}});
    default: return take_number(q, v);
    }
}

/* ---- what nests ---- */

struct level {
    uint32_t at; /* of the stack, where it stands itself: its items are behind */
    bool object;
};

/* Keys that differ, of which none has a NUL. */
static bool keys_ok(const struct json_member *m, uint32_t n) {
    if (n > KEYS_MAX) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (m[i].key.n && memchr(m[i].key.p, 0, m[i].key.n)) return false;
        for (uint32_t k = 0; k < i; k++)
            if (m[i].key.n == m[k].key.n && str_eq(m[i].key, m[k].key)) return false;
    }
    return true;
}

static bool close_level(struct quick *q, struct level l) {
    const struct json_member *from = q->stack + l.at + 1;
    uint32_t n = q->n - l.at - 1;
    struct json v = {l.object ? JSON_KIND_OBJECT : JSON_KIND_ARRAY, n, {0}};
    if (l.object) {
        if (!keys_ok(from, n)) return false;
        v.members = arena_array(q->out, struct json_member, n);
        if (n) memcpy(v.members, from, n * sizeof *from);
    } else {
        v.items = arena_array(q->out, struct json, n);
        for (uint32_t i = 0; i < n; i++) v.items[i] = from[i].v;
    }
    q->stack[l.at].v = v;
    q->n = l.at + 1;
    return true;
}

/* "key": */
static bool take_key(struct quick *q, struct json_member *m) {
    if (past_blanks(q) != '"' || !take_string(q, &m->key) || past_blanks(q) != ':') return false;
    q->at++;
    return true;
}

static bool read_all(struct quick *q) {
    struct level levels[JSON_DEPTH_MAX];
    uint32_t depth = 0;
    for (;;) {
        struct json_member *m = push(q);
        *m = (struct json_member){0};
        if (depth && levels[depth - 1].object && !take_key(q, m)) return false;
        int c = past_blanks(q);
        if (c == '{' || c == '[') {
            if (depth == JSON_DEPTH_MAX) return false;
            levels[depth++] = (struct level){q->n - 1, c == '{'};
            q->at++;
            c = past_blanks(q);
            if (c != '}' && c != ']') continue; /* its first item */
        } else if (!take_scalar(q, &m->v)) return false;
        for (;;) { /* a value has ended, or is empty */
            c = past_blanks(q);
            if (!depth) return c < 0;
            if (c == ',') break;
            if (c != (levels[depth - 1].object ? '}' : ']') || !close_level(q, levels[depth - 1])) return false;
            depth--;
            q->at++;
        }
        q->at++;
    }
}

bool json_read_quick(arena *out, str text, struct json *v) {
    struct quick q = {.out = out, .text = text, .cap = FEW};
    q.stack = q.few;
    bool ok = read_all(&q);
    if (ok) *v = q.stack[0].v;
    if (q.stack != q.few) free(q.stack);
    return ok;
}
