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
enum { WORD_BEGINS = 1, WORD_ENDS = 2 };
/* In the order of the text; bounds, unless it is NULL: which begin or end a word. */
static struct trigrams in_order(struct pg_call *call, str s, uint8_t *bounds) {
    struct trigrams t = {.p = arena_array(call->mem, uint64_t, 2 * s.n + 2)};
    uint64_t word = 0; /* the last three characters; 0: between words */
    for (size_t i = 0, k = 0; i <= s.n; i += k) {
        uint32_t c = i < s.n ? pg_char_lower(pg_char_at(s, i, &k)) : 0;
        if (i == s.n) k = 1;
        if (c && pg_char_is_word(c)) {
            if (bounds && !word) bounds[t.n] = WORD_BEGINS;
            if (!word) word = (uint64_t)' ' << 21 | ' ';
            word = (word << 21 | c) & ((1ull << 63) - 1);
            t.p[t.n++] = word;
        } else if (word) {
            if (bounds) bounds[t.n] |= WORD_ENDS;
            t.p[t.n++] = (word << 21 | ' ') & ((1ull << 63) - 1);
            word = 0;
        }
    }
    return t;
}
static struct trigrams trigrams_of(struct pg_call *call, str s) {
    struct trigrams t = in_order(call, s, NULL);
    size_t kept = 0;
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

/* ---- similarity to a part of a text: the best of all runs of its trigrams, as pg_trgm finds it ---- */

static size_t place_in(const struct trigrams *t, uint64_t v) {
    const uint64_t *at = t->n ? bsearch(&v, t->p, t->n, sizeof v, by_value) : NULL;
    return at ? (size_t)(at - t->p) : t->n;
}

/* A run that is looked at: lower … upper of `text`, with how many of its trigrams are different, and how many of those the words have. */
struct run {
    int64_t lower;
    size_t all, both;
};

static float word_similarity(struct pg_call *call, str words, str in, bool strict) {
    uint8_t *bounds = arena_array(call->mem, uint8_t, 2 * in.n + 2);
    struct trigrams x = trigrams_of(call, words), all = {0}, text = {0};
    if (!pg_raised(call)) all = trigrams_of(call, in);
    if (!pg_raised(call)) text = in_order(call, in, bounds);
    if (pg_raised(call) || !x.n) return 0;
    int64_t *last = arena_array(call->mem, int64_t, all.n + 1);
    size_t *which = arena_array(call->mem, size_t, text.n + 1);
    bool *found = arena_array(call->mem, bool, all.n + 1);
    for (size_t i = 0; i < all.n; i++) last[i] = -1, found[i] = place_in(&x, all.p[i]) < x.n;
    for (size_t i = 0; i < text.n; i++) which[i] = place_in(&all, text.p[i]);
    struct run r = {.lower = strict ? 0 : -1};
    float best = 0;
    for (size_t i = 0; i < text.n; i++) {
        size_t t = which[i];
        if (r.lower >= 0 || found[t]) {
            if (last[t] < 0) r.all++, r.both += found[t];
            last[t] = (int64_t)i;
        }
        if (strict ? !(bounds[i] & WORD_ENDS) : !found[t]) continue;
        if (r.lower < 0) r.lower = (int64_t)i, r.all = 1;
        float now = (float)r.both / (float)(x.n + r.all - r.both);
        struct run tried = r;
        int64_t before = r.lower;
        if (!pg_call_works(call, 4 * (i - (size_t)r.lower) + 1)) return 0;
        for (int64_t lower = before; lower <= (int64_t)i; lower++) {
            if (!strict || bounds[lower] & WORD_BEGINS) {
                float other = (float)tried.both / (float)(x.n + tried.all - tried.both);
                if (other > now) now = other, r = tried, r.lower = lower;
            }
            size_t first = which[lower];
            if (last[first] == lower) tried.all--, tried.both -= found[first];
        }
        if (now > best) best = now;
        for (int64_t k = before; k < r.lower; k++)
            if (last[which[k]] == k) last[which[k]] = -1;
    }
    return best;
}
PG_FN(pg_word_similarity) { *out = DB_F64((double)word_similarity(call, args[0].s, args[1].s, false)); }
PG_FN(pg_strict_word_similarity) { *out = DB_F64((double)word_similarity(call, args[0].s, args[1].s, true)); }
PG_FN(pg_word_similar) { *out = pg_bool(word_similarity(call, args[0].s, args[1].s, false) >= 0.6f); }
PG_FN(pg_word_similar_in) { *out = pg_bool(word_similarity(call, args[1].s, args[0].s, false) >= 0.6f); }
PG_FN(pg_strict_word_similar) { *out = pg_bool(word_similarity(call, args[0].s, args[1].s, true) >= 0.5f); }
PG_FN(pg_strict_word_similar_in) { *out = pg_bool(word_similarity(call, args[1].s, args[0].s, true) >= 0.5f); }
PG_FN(pg_word_distance) { *out = DB_F64((double)(1 - word_similarity(call, args[0].s, args[1].s, false))); }
PG_FN(pg_word_distance_in) { *out = DB_F64((double)(1 - word_similarity(call, args[1].s, args[0].s, false))); }
PG_FN(pg_strict_word_distance) { *out = DB_F64((double)(1 - word_similarity(call, args[0].s, args[1].s, true))); }
PG_FN(pg_strict_word_distance_in) { *out = DB_F64((double)(1 - word_similarity(call, args[1].s, args[0].s, true))); }

/* ---- unaccent ---- */

static const struct {
    uint32_t from;
    char to[16];
} accents[] = {
#define U(from, to) {from, to},
#include "pg/unaccent.def"
};

PG_FN(pg_unaccent) {
    str s = args[n - 1].s;
    struct buf *b = pg_call_buf(call);
    for (size_t i = 0, k; i < s.n; i += k) {
        uint32_t c = pg_char_at(s, i, &k);
        size_t low = 0, high = ARRAY_COUNT(accents);
        while (low < high) {
            size_t middle = (low + high) / 2;
            if (accents[middle].from < c) low = middle + 1;
            else high = middle;
        }
        if (c >= 0x80 && low < ARRAY_COUNT(accents) && accents[low].from == c) buf_puts(b, str_c(accents[low].to));
        else buf_puts(b, str_sub(s, i, k));
    }
    *out = pg_call_built(call, b);
}

/* ---- fuzzystrmatch ---- */

/* What it costs to make one of the other, by characters; as PostgreSQL, of 255 bytes at most. */
PG_FN(pg_levenshtein) {
    enum { LONGEST = 255 };
    uint32_t a[LONGEST + 1], b[LONGEST + 1], x = 0, y = 0;
    int64_t row[LONGEST + 2], insert = n > 2 ? args[2].i : 1, drop = n > 2 ? args[3].i : 1, change = n > 2 ? args[4].i : 1;
    if (args[0].s.n > LONGEST || args[1].s.n > LONGEST)
        return pg_raise_as(call, "22023", "levenshtein argument exceeds maximum length of %d characters", LONGEST);
    if (!pg_call_works(call, args[0].s.n * args[1].s.n + 1)) return;
    for (size_t i = 0, k; i < args[0].s.n; i += k) a[x++] = pg_char_at(args[0].s, i, &k);
    for (size_t i = 0, k; i < args[1].s.n; i += k) b[y++] = pg_char_at(args[1].s, i, &k);
    for (uint32_t j = 0; j <= x; j++) row[j] = (int64_t)j * drop;
    for (uint32_t i = 0; i < y; i++) {
        int64_t diagonal = row[0];
        row[0] += insert;
        for (uint32_t j = 0; j < x; j++) {
            int64_t best = diagonal + (a[j] == b[i] ? 0 : change);
            diagonal = row[j + 1];
            best = MIN(best, row[j + 1] + insert);
            row[j + 1] = MIN(best, row[j] + drop);
        }
    }
    if (!x) row[0] = (int64_t)y * insert;
    *out = DB_I64(row[x]);
}
