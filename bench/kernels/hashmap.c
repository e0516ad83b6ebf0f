/* An open-addressing hash map of strings. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    char key[24];
    uint32_t hash, value;
};
static struct slot *slots;
static uint32_t cap, used;

static uint32_t hash(const char *s) {
    uint32_t h = 2166136261u;
    for (; *s; s++) h = (h ^ (uint8_t)*s) * 16777619u;
    return h | 1;
}
static struct slot *find(const char *key, uint32_t h) {
    uint32_t i = h & (cap - 1);
    while (slots[i].hash && (slots[i].hash != h || strcmp(slots[i].key, key))) i = (i + 1) & (cap - 1);
    return &slots[i];
}
static void grow(void) {
    struct slot *old = slots;
    uint32_t n = cap;
    cap = cap ? cap * 2 : 64;
    slots = calloc(cap, sizeof *slots);
    for (uint32_t i = 0; i < n; i++)
        if (old[i].hash) *find(old[i].key, old[i].hash) = old[i];
    free(old);
}
static void add(const char *key, uint32_t v) {
    if (used * 4 >= cap * 3) grow();
    struct slot *s = find(key, hash(key));
    if (!s->hash) s->hash = hash(key), strcpy(s->key, key), used++;
    s->value += v;
}

static void name(char *out, uint32_t v) {
    *out++ = 'k';
    do *out++ = (char)('a' + v % 26);
    while (v /= 26);
    *out = 0;
}

int main(void) {
    uint32_t seed = 7, sum = 0;
    char key[24];
    for (int i = 0; i < 4000000; i++) {
        seed = seed * 1103515245 + 12345;
        name(key, (seed >> 8) % 50000);
        add(key, (uint32_t)i);
    }
    for (uint32_t i = 0; i < cap; i++) sum += slots[i].value ^ slots[i].hash;
    printf("%u %u\n", used, sum);
}
