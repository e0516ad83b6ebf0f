/* CRC-32 by table, and Adler-32. */
#include <stdint.h>
#include <stdio.h>

static uint32_t table[256];
static uint8_t data[1 << 16];

int main(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    for (unsigned i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i ^ i >> 5);
    uint32_t crc = ~0u, a = 1, b = 0;
    for (int round = 0; round < 1500; round++) {
        for (unsigned i = 0; i < sizeof data; i++) crc = table[(crc ^ data[i]) & 255] ^ crc >> 8;
        if (round % 4 == 0)
            for (unsigned i = 0; i < sizeof data; i++) a = (a + data[i]) % 65521, b = (b + a) % 65521;
    }
    printf("%08x %08x\n", ~crc, b << 16 | a);
}
