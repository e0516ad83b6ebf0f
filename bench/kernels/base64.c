/* Base64, there and back. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static uint8_t in[98304], out[98304 / 3 * 4 + 4], back[98304 + 4], value[256];

static size_t encode(const uint8_t *p, size_t n, uint8_t *q) {
    uint8_t *start = q;
    for (; n >= 3; n -= 3, p += 3) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        *q++ = set[v >> 18], *q++ = set[v >> 12 & 63], *q++ = set[v >> 6 & 63], *q++ = set[v & 63];
    }
    return q - start;
}
static size_t decode(const uint8_t *p, size_t n, uint8_t *q) {
    uint8_t *start = q;
    for (; n >= 4; n -= 4, p += 4) {
        uint32_t v = (uint32_t)value[p[0]] << 18 | (uint32_t)value[p[1]] << 12 | (uint32_t)value[p[2]] << 6 | value[p[3]];
        *q++ = v >> 16, *q++ = v >> 8, *q++ = v;
    }
    return q - start;
}

int main(void) {
    uint32_t sum = 0;
    for (int i = 0; i < 64; i++) value[(uint8_t)set[i]] = (uint8_t)i;
    for (size_t i = 0; i < sizeof in; i++) in[i] = (uint8_t)(i * 31 ^ i >> 7);
    for (int round = 0; round < 4000; round++) {
        size_t n = encode(in, sizeof in, out), k = decode(out, n, back);
        sum = sum * 33 + back[k - 1] + out[round & 65535] + (memcmp(in, back, sizeof in) != 0);
        in[round & 65535] ^= (uint8_t)sum;
    }
    printf("%u\n", sum);
}
