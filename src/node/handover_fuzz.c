/* Fuzz: what one Orlo says to another, out of any bytes: all that is read lies within them, in order, and what is written again is read the same. */
#include "base/fuzz.h"
#include "node/handover.h"

static void within(str all, str part) {
    ENSURE(!part.n || (part.p >= all.p && part.n <= all.n && (size_t)(part.p - all.p) <= all.n - part.n));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str all = {data, size};
    struct node_handover m, again;
    struct buf b = {0};
    if (!node_handover_parse(all, &m)) return 0;
    if (canary) m.count = NODE_HANDOVER_FIELDS_MAX + 1;
    ENSURE(m.count <= NODE_HANDOVER_FIELDS_MAX && m.verb.n);
    within(all, m.verb), within(all, m.body);
    arena *mem = arena_new(0);
    node_handover_begin(&b, arena_cstr(mem, m.verb));
    for (uint32_t i = 0; i < m.count; i++) {
        within(all, m.fields[i].key), within(all, m.fields[i].value);
        node_handover_put(&b, arena_cstr(mem, m.fields[i].key), m.fields[i].value);
    }
    bool plain = !memchr(data, 0, size); /* a NUL ends what is written */
    if (plain) ENSURE(node_handover_parse(buf_str(&b), &again) && again.count == m.count && str_eq(again.verb, m.verb));
    for (uint32_t i = 0; i < m.count && plain; i++) ENSURE(str_eq(again.fields[i].value, m.fields[i].value));
    arena_free(mem);
    buf_free(&b);
    return 0;
}
