/* str: bytes by pointer and length. */
#include "base/base.h"

bool str_eq(str a, str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }

static uint8_t lower(uint8_t c) { return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c; }

bool str_eq_nocase(str a, str b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
}

int str_cmp(str a, str b) {
    size_t n = MIN(a.n, b.n);
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool str_starts(str s, str prefix) { return s.n >= prefix.n && str_eq((str){s.p, prefix.n}, prefix); }

bool str_ends(str s, str suffix) { return s.n >= suffix.n && str_eq((str){s.p + (s.n - suffix.n), suffix.n}, suffix); }

void text_tame(char *p, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)p[i];
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f) p[i] = '?';
        else if (c == 0xc2 && i + 1 < n && ((uint8_t)p[i + 1] & 0xe0) == 0x80) p[i] = p[i + 1] = '?'; /* U+0080 to U+009F */
    }
}

str str_sub(str s, size_t from, size_t n) {
    from = MIN(from, s.n);
    return (str){from ? s.p + from : s.p, MIN(n, s.n - from)}; /* s may be {NULL, 0} */
}

size_t str_find(str s, uint8_t c) {
    const uint8_t *at = s.n ? memchr(s.p, c, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

bool str_cut(str s, uint8_t sep, str *before, str *after) {
    size_t at = str_find(s, sep);
    *before = str_sub(s, 0, at);
    *after = str_sub(s, at + 1, s.n);
    return at < s.n;
}

str str_trim(str s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s = str_sub(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

bool str_to_bytes(str hex, uint8_t *to, size_t n) {
    bool ok = hex.n == 2 * n;
    for (size_t i = 0; ok && i < hex.n; i++) {
        uint8_t c = hex.p[i], v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        ok = v < 16;
        to[i / 2] = (uint8_t)(i % 2 ? to[i / 2] | v : v << 4);
    }
    return ok;
}

bool str_to_u64(str s, uint64_t *out) {
    uint64_t v = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v)) return false;
    }
    *out = v;
    return s.n > 0;
}

/* Unicode 15, table 3-7: the second byte's range depends on the first. */
static size_t utf8_sequence_length(const uint8_t *p, size_t left) {
    uint8_t c = p[0], lo = 0x80, hi = 0xbf;
    size_t n;
    if (c < 0x80) return 1;
    if (c < 0xc2) return 0;
    if (c < 0xe0) n = 2;
    else if (c < 0xf0) n = 3, lo = c == 0xe0 ? 0xa0 : lo, hi = c == 0xed ? 0x9f : hi;
    else if (c < 0xf5) n = 4, lo = c == 0xf0 ? 0x90 : lo, hi = c == 0xf4 ? 0x8f : hi;
    else return 0;
    if (left < n || p[1] < lo || p[1] > hi) return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return n;
}

size_t str_utf8_prefix(str s) {
    size_t i = 0;
    while (i < s.n) {
        uint64_t eight;
        if (s.n - i >= 8 && (memcpy(&eight, s.p + i, 8), (eight & 0x8080808080808080u) == 0)) {
            i += 8;
            continue;
        }
        size_t n = utf8_sequence_length(s.p + i, s.n - i);
        if (n == 0) break;
        i += n;
    }
    return i;
}
bool str_is_utf8(str s) { return str_utf8_prefix(s) == s.n; }

/* FNV-1a with a final mix: keys are short, and none comes from a client without a cap on their number. */
uint64_t str_hash(str s) {
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < s.n; i++) h = (h ^ s.p[i]) * 0x100000001b3u;
    return h ^ (h >> 29);
}

/* ---- the nearest word ---- */

/* Edit distance with transpositions, of short words. */
static unsigned distance(const char *a, const char *b) {
    enum { MOST = 32 };
    size_t n = strlen(a), m = strlen(b);
    if (n >= MOST || m >= MOST) return MOST;
    unsigned d[MOST][MOST];
    for (size_t i = 0; i <= n; i++) d[i][0] = (unsigned)i;
    for (size_t k = 0; k <= m; k++) d[0][k] = (unsigned)k;
    for (size_t i = 1; i <= n; i++)
        for (size_t k = 1; k <= m; k++) {
            unsigned best = d[i - 1][k - 1] + (a[i - 1] != b[k - 1]);
            best = MIN(best, MIN(d[i - 1][k], d[i][k - 1]) + 1);
            if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1]) best = MIN(best, d[i - 2][k - 2] + 1);
            d[i][k] = best;
        }
    return d[n][m];
}

const char *text_nearest(const char *word, const char *const *words, size_t count) {
    const char *best = NULL;
    unsigned least = (unsigned)MIN(strlen(word) / 3 + 1, (size_t)4);
    for (size_t i = 0; i < count; i++) {
        unsigned v = distance(word, words[i]);
        if (strlen(word) >= 3 && v > 1 && strstr(words[i], word)) v = 1;
        if (v <= least && (!best || v < least)) {
            best = words[i];
            least = v;
        }
    }
    return best;
}
