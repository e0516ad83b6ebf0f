/* map: str -> u64, linear probing, at most 3/4 full; keys are borrowed. */
#include "base/base.h"

struct map_slot {
    str key; /* p NULL: free */
    uint64_t value;
};

static struct map_slot *probe(const struct map *m, str key) {
    for (uint64_t i = str_hash(key);; i++) {
        struct map_slot *s = &m->slots[i & (m->cap - 1)];
        if (!s->key.p || str_eq(s->key, key)) return s;
    }
}

bool map_get(const struct map *m, str key, uint64_t *value) {
    if (!m->n) return false;
    if (!key.p) key = STR("");
    struct map_slot *s = probe(m, key);
    if (!s->key.p) return false;
    *value = s->value;
    return true;
}

static void grow(arena *a, struct map *m) {
    struct map old = *m;
    m->cap = old.cap ? old.cap * 2 : 16;
    m->slots = arena_array(a, struct map_slot, m->cap);
    for (uint32_t i = 0; i < old.cap; i++)
        if (old.slots[i].key.p) *probe(m, old.slots[i].key) = old.slots[i];
}

bool map_put(arena *a, struct map *m, str key, uint64_t value) {
    if (!key.p) key = STR("");
    if (m->n + 1 > m->cap / 4 * 3) grow(a, m);
    struct map_slot *s = probe(m, key);
    bool fresh = !s->key.p;
    if (fresh) s->key = key, m->n++;
    s->value = value;
    return fresh;
}
