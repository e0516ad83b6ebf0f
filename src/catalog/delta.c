/* delta: a catalogue's text by what it differs in from another one's. Those of a deployment's places in between differ in a statement or two each.
 *
 *   pieces: copied from (u32) · bytes copied (u32) · bytes of its own (u32) · those bytes
 *
 * The text before is known by blocks of BLOCK bytes; the other one is looked for in it at each byte, by a hash that rolls along. What is made is exact whatever
 * the hashes say: bytes are compared. */
#include "catalog/catalog.h"
#include <stdlib.h>

enum { BLOCK = 64, NOWHERE = UINT32_MAX };
static const uint32_t base = 16777619u;

struct blocks {
    uint32_t *at; /* by hash: where one begins, NOWHERE */
    uint32_t mask;
};

static uint32_t hash_of(const uint8_t *p) {
    uint32_t h = 0;
    for (size_t i = 0; i < BLOCK; i++) h = h * base + p[i];
    return h;
}
static uint32_t slot_of(const struct blocks *b, uint32_t hash) { return (hash ^ hash >> 15) & b->mask; }

static struct blocks blocks_of(str text) {
    struct blocks b = {.mask = 1023};
    while (b.mask < text.n / BLOCK * 2) b.mask = b.mask * 2 + 1;
    b.at = malloc(((size_t)b.mask + 1) * sizeof *b.at);
    ENSURE(b.at);
    memset(b.at, 0xff, ((size_t)b.mask + 1) * sizeof *b.at);
    for (size_t i = 0; i + BLOCK <= text.n; i += BLOCK) {
        uint32_t slot = slot_of(&b, hash_of(text.p + i));
        if (b.at[slot] == NOWHERE) b.at[slot] = (uint32_t)i;
    }
    return b;
}

static void put_u32(struct buf *to, uint32_t v) { buf_put(to, &v, sizeof v); }

static void put_piece(struct buf *to, size_t at, size_t n, str own) {
    put_u32(to, (uint32_t)at), put_u32(to, (uint32_t)n), put_u32(to, (uint32_t)own.n);
    buf_puts(to, own);
}

void catalog_delta(struct buf *to, str from, str text) {
    struct blocks b = blocks_of(from);
    uint32_t hash = 0, top = 1;
    size_t own = 0, at = 0;          /* own: where what is not there before begins */
    size_t copied = 0, copied_n = 0; /* of the piece that is not written yet */
    bool rolls = false;
    for (size_t i = 1; i < BLOCK; i++) top *= base;
    while (at + BLOCK <= text.n) {
        hash = rolls ? (hash - text.p[at - 1] * top) * base + text.p[at + BLOCK - 1] : hash_of(text.p + at);
        rolls = true;
        uint32_t was = b.at[slot_of(&b, hash)];
        if (was == NOWHERE || memcmp(from.p + was, text.p + at, BLOCK) != 0) {
            at++;
            continue;
        }
        size_t begin = was, n = BLOCK;
        while (at > own && begin && from.p[begin - 1] == text.p[at - 1]) at--, begin--, n++;
        while (begin + n < from.n && at + n < text.n && from.p[begin + n] == text.p[at + n]) n++;
        put_piece(to, copied, copied_n, str_sub(text, own, at - own));
        copied = begin, copied_n = n;
        own = at += n;
        rolls = false;
    }
    put_piece(to, copied, copied_n, str_sub(text, own, text.n));
    free(b.at);
}

bool catalog_delta_apply(struct buf *to, str from, str delta) {
    struct rd r = rd_of(delta);
    while (rd_left(&r) && !r.fail) {
        uint32_t at = rd_u32le(&r), n = rd_u32le(&r), own = rd_u32le(&r);
        if (r.fail || at > from.n || n > from.n - at || own > rd_left(&r) || to->n + n + own > CATALOG_BYTES_MAX) return false;
        buf_puts(to, str_sub(from, at, n));
        buf_puts(to, rd_bytes(&r, own));
    }
    return !r.fail;
}
