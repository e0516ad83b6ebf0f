/* chars: see chars.h. The tables are chars.py's; a character's row is found by halving, ASCII without looking. */
#include "pg/chars.h"

struct cases {
    uint32_t first, last;
    int32_t upper, lower;
};
static const struct cases even[] = {
#define EVEN(first, last, upper, lower) {first, last, upper, lower},
#define ODD(first, last, upper, lower)
#define WORD(first, last)
#include "pg/chars.def"
};
static const struct cases odd[] = {
#define EVEN(first, last, upper, lower)
#define ODD(first, last, upper, lower) {first, last, upper, lower},
#define WORD(first, last)
#include "pg/chars.def"
};
static const struct {
    uint32_t first, last;
} words[] = {
#define EVEN(first, last, upper, lower)
#define ODD(first, last, upper, lower)
#define WORD(first, last) {first, last},
#include "pg/chars.def"
};

static const struct cases *cases_of(uint32_t c) {
    const struct cases *rows = c & 1 ? odd : even;
    size_t low = 0, high = c & 1 ? ARRAY_COUNT(odd) : ARRAY_COUNT(even);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rows[middle].last < c) low = middle + 1;
        else if (rows[middle].first > c) high = middle;
        else return &rows[middle];
    }
    return NULL;
}

uint32_t pg_char_upper(uint32_t c) {
    if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
    const struct cases *row = cases_of(c);
    return row ? (uint32_t)((int32_t)c + row->upper) : c;
}

uint32_t pg_char_lower(uint32_t c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    const struct cases *row = cases_of(c);
    return row ? (uint32_t)((int32_t)c + row->lower) : c;
}

bool pg_char_is_word(uint32_t c) {
    size_t low = 0, high = ARRAY_COUNT(words);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (words[middle].last < c) low = middle + 1;
        else if (words[middle].first > c) high = middle;
        else return true;
    }
    return false;
}

uint32_t pg_char_at(str s, size_t at, size_t *bytes) {
    const uint8_t *p = s.p + at;
    size_t n = *bytes = pg_char_bytes(s, at);
    if (n == 1) return p[0];
    if (n == 2) return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    if (n == 3) return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

size_t pg_char_before(str s, size_t at) {
    size_t from = at - 1;
    while (from > 0 && at - from < 4 && pg_char_continues(s.p[from])) from--;
    return from + pg_char_bytes(s, from) == at ? from : at - 1;
}

size_t pg_chars_count(str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += !pg_char_continues(s.p[i]);
    return n;
}

size_t pg_chars_skip(str s, uint64_t n) {
    size_t at = 0;
    for (; n && at < s.n; n--) at += pg_char_bytes(s, at);
    return at;
}

size_t pg_char_encode(uint32_t c, uint8_t out[4]) {
    if (c < 0x80) return out[0] = (uint8_t)c, 1;
    if (c < 0x800) return out[0] = (uint8_t)(0xc0 | c >> 6), out[1] = (uint8_t)(0x80 | (c & 0x3f)), 2;
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12), out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f)), out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | (c >> 18 & 7)), out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f)), out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static void change(struct buf *b, str s, uint32_t (*to)(uint32_t)) {
    buf_reserve(b, s.n);
    for (size_t i = 0, n; i < s.n; i += n) {
        uint8_t bytes[4];
        uint32_t c = pg_char_at(s, i, &n), d = to(c);
        if (c == d) buf_put(b, s.p + i, n);
        else buf_put(b, bytes, pg_char_encode(d, bytes));
    }
}

void pg_chars_lower(struct buf *b, str s) { change(b, s, pg_char_lower); }
void pg_chars_upper(struct buf *b, str s) { change(b, s, pg_char_upper); }
