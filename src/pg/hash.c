/* hash: hashtext and its kin as PostgreSQL has them (Bob Jenkins' lookup3), and pg_trgm's similarity of two texts. */
#include "pg/chars.h"
#include "pg/pg_int.h"
#include <stdlib.h>

/* ---- hashes ---- */

struct state {
    uint32_t a, b, c;
};
static uint32_t turn(uint32_t v, int by) { return v << by | v >> (32 - by); }
static void mix(struct state *s) {
    static const uint8_t by[] = {4, 6, 8, 16, 19, 4};
    for (size_t i = 0; i < sizeof by; i += 3) {
        s->a -= s->c, s->a ^= turn(s->c, by[i]), s->c += s->b;
        s->b -= s->a, s->b ^= turn(s->a, by[i + 1]), s->a += s->c;
        s->c -= s->b, s->c ^= turn(s->b, by[i + 2]), s->b += s->a;
    }
}
static void finish(struct state *s) {
    s->c ^= s->b, s->c -= turn(s->b, 14);
    s->a ^= s->c, s->a -= turn(s->c, 11);
    s->b ^= s->a, s->b -= turn(s->a, 25);
    s->c ^= s->b, s->c -= turn(s->b, 16);
    s->a ^= s->c, s->a -= turn(s->c, 4);
    s->b ^= s->a, s->b -= turn(s->a, 14);
    s->c ^= s->b, s->c -= turn(s->b, 24);
}

static struct state hash(str k, uint64_t seed) {
    uint32_t begin = 0x9e3779b9u + (uint32_t)k.n + 3923095u;
    struct state s = {begin, begin, begin};
    if (seed) s.a += (uint32_t)(seed >> 32), s.b += (uint32_t)seed, mix(&s);
    for (; k.n >= 12; k = str_sub(k, 12, k.n)) {
        uint32_t word[3];
        memcpy(word, k.p, 12);
        s.a += word[0], s.b += word[1], s.c += word[2];
        mix(&s);
    }
    for (size_t i = 0; i < k.n; i++) { /* of c the lowest byte is left for the length */
        uint32_t *to = i < 4 ? &s.a : i < 8 ? &s.b : &s.c;
        *to += (uint32_t)k.p[i] << (i < 8 ? 8 * (i % 4) : 8 * (i - 7));
    }
    finish(&s);
    return s;
}
PG_FN(pg_hashtext) { *out = DB_I64((int32_t)hash(args[0].s, 0).c); }
PG_FN(pg_hashtextextended) {
    struct state s = hash(args[0].s, (uint64_t)args[1].i);
    *out = DB_I64((int64_t)((uint64_t)s.b << 32 | s.c));
}

/* ---- similarity: of three characters in turn, of each word with two blanks before it and one behind ---- */

struct trigrams {
    uint64_t *p; /* sorted, each once */
    size_t n;
};
static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}
static struct trigrams trigrams_of(struct pg_call *call, str s) {
    struct trigrams t = {.p = arena_array(call->mem, uint64_t, 2 * s.n + 2)};
    uint64_t word = 0; /* the last three characters; 0: between words */
    size_t kept = 0;
    for (size_t i = 0, k = 0; i <= s.n; i += k) {
        uint32_t c = i < s.n ? pg_char_lower(pg_char_at(s, i, &k)) : 0;
        if (i == s.n) k = 1;
        if (c && pg_char_is_word(c)) {
            if (!word) word = (uint64_t)' ' << 21 | ' ';
            word = (word << 21 | c) & ((1ull << 63) - 1);
            t.p[t.n++] = word;
        } else if (word) {
            t.p[t.n++] = (word << 21 | ' ') & ((1ull << 63) - 1);
            word = 0;
        }
    }
    if (t.n) qsort(t.p, t.n, sizeof *t.p, by_value);
    for (size_t i = 0; i < t.n; i++)
        if (!kept || t.p[kept - 1] != t.p[i]) t.p[kept++] = t.p[i];
    t.n = kept;
    (void)pg_call_works(call, 50 * s.n);
    return t;
}
static float similarity(struct pg_call *call, str a, str b) {
    struct trigrams x = trigrams_of(call, a), y = {0};
    if (!pg_raised(call)) y = trigrams_of(call, b);
    size_t i = 0, j = 0, both = 0;
    while (i < x.n && j < y.n) {
        both += x.p[i] == y.p[j];
        if (x.p[i] < y.p[j]) i++;
        else if (x.p[i] > y.p[j]) j++;
        else i++, j++;
    }
    size_t all = x.n + y.n - both;
    return all ? (float)both / (float)all : 0;
}
PG_FN(pg_similarity) { *out = DB_F64((double)similarity(call, args[0].s, args[1].s)); }
PG_FN(pg_similarity_op) { *out = pg_bool(similarity(call, args[0].s, args[1].s) >= 0.3f); }
PG_FN(pg_similarity_distance) { *out = DB_F64((double)(1 - similarity(call, args[0].s, args[1].s))); }
