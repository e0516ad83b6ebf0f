/* Validation and decoding of UTF-8. */
#include <stdint.h>
#include <stdio.h>

static uint8_t text[1 << 19];

static long decode(const uint8_t *p, const uint8_t *end, uint64_t *sum) {
    long n = 0;
    while (p < end) {
        uint32_t c = *p++, more = 0, min = 0;
        if (c >= 0x80) {
            if (c < 0xc2) return -1;
            if (c < 0xe0) more = 1, c &= 31, min = 0x80;
            else if (c < 0xf0) more = 2, c &= 15, min = 0x800;
            else if (c < 0xf5) more = 3, c &= 7, min = 0x10000;
            else return -1;
            if ((uint32_t)(end - p) < more) return -1;
            for (; more; more--) {
                if ((*p & 0xc0) != 0x80) return -1;
                c = c << 6 | (*p++ & 63);
            }
            if (c < min || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return -1;
        }
        *sum = *sum * 31 + c;
        n++;
    }
    return n;
}

int main(void) {
    uint8_t *q = text;
    uint32_t seed = 3;
    while (q < text + sizeof text - 8) {
        seed = seed * 1664525 + 1013904223;
        uint32_t r = seed >> 16;
        uint32_t c = r % 8 < 5 ? 32 + r % 90 : r % 8 == 5 ? 0x80 + r % 0x700 : r % 8 == 6 ? 0x3000 + r % 0x5000 : 0x10000 + r;
        if (c < 0x80) *q++ = c;
        else if (c < 0x800) *q++ = 0xc0 | c >> 6, *q++ = 0x80 | (c & 63);
        else if (c < 0x10000) *q++ = 0xe0 | c >> 12, *q++ = 0x80 | (c >> 6 & 63), *q++ = 0x80 | (c & 63);
        else *q++ = 0xf0 | c >> 18, *q++ = 0x80 | (c >> 12 & 63), *q++ = 0x80 | (c >> 6 & 63), *q++ = 0x80 | (c & 63);
    }
    uint64_t sum = 0;
    long n = 0;
    for (int round = 0; round < 150; round++) n += decode(text, q, &sum);
    printf("%ld %llu\n", n, (unsigned long long)sum);
}
