/* A byte-oriented LZ77: greedy matches by hash of four bytes, and the way back. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { SIZE = 1 << 20 };
static uint8_t in[SIZE], packed[SIZE * 2], out[SIZE];
static uint32_t heads[1 << 14];

static uint32_t four(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static size_t compress(const uint8_t *src, size_t n, uint8_t *q) {
    uint8_t *start = q;
    size_t i = 0, literals = 0;
    memset(heads, 0, sizeof heads);
    while (i < n) {
        size_t len = 0, at = 0;
        if (i + 8 < n) {
            uint32_t h = four(src + i) * 2654435761u >> 18;
            at = heads[h];
            heads[h] = (uint32_t)i;
            if (at < i && i - at < 65536 && four(src + at) == four(src + i))
                for (len = 4; i + len < n && len < 255 && src[at + len] == src[i + len]; len++) {}
        }
        if (len >= 4 || literals == 127) {
            *q++ = (uint8_t)literals;
            memcpy(q, src + i - literals, literals);
            q += literals;
            literals = 0;
            *q++ = (uint8_t)len;
            if (len) *q++ = (uint8_t)(i - at), *q++ = (uint8_t)((i - at) >> 8), i += len;
        } else {
            i++, literals++;
        }
    }
    *q++ = (uint8_t)literals;
    memcpy(q, src + i - literals, literals);
    return q + literals - start;
}
static size_t expand(const uint8_t *p, size_t n, uint8_t *q) {
    const uint8_t *end = p + n;
    uint8_t *start = q;
    while (p < end) {
        size_t literals = *p++;
        memcpy(q, p, literals);
        p += literals, q += literals;
        if (p >= end) break;
        size_t len = *p++;
        if (!len) continue;
        size_t back = p[0] | p[1] << 8;
        p += 2;
        for (const uint8_t *from = q - back; len; len--) *q++ = *from++;
    }
    return q - start;
}

int main(void) {
    uint32_t seed = 5;
    static const char *words[] = {"the ",  "quick ", "brown ", "fox ",   "jumps ",
                                  "over ", "lazy ",  "dog ",   "while ", "compressing "};
    for (size_t i = 0; i < SIZE - 16;) {
        seed = seed * 1664525 + 1013904223;
        const char *w = words[(seed >> 20) % 10];
        memcpy(in + i, w, strlen(w));
        i += strlen(w);
        if ((seed >> 10) % 7 == 0) in[i++] = (uint8_t)(seed >> 3);
    }
    size_t n = 0, k = 0;
    for (int round = 0; round < 30; round++) {
        n = compress(in, SIZE, packed);
        k = expand(packed, n, out);
        in[round * 77] ^= 1;
        out[round * 77] ^= 1;
    }
    printf("%zu %zu %d\n", n, k, memcmp(in, out, SIZE) == 0);
}
