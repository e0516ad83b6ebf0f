/* offer: what WASI and the services offer, as one: who loads an image, and who asks whether a file's imports are offered, take this. */
#include "node/node_int.h"
#include "spin/spin.h"
#include "tables/tables.h"
#include "wasi/wasi.h"

enum {
    PARTS = 0
#define OFFER(name) +1
#define DRAFT(name, ...) +1
#include "node/offer.def"
#undef OFFER
};

const struct host_offer *node_offer(void) {
    static arena *mem; /* as long as the process */
    static struct host_offer all;
    if (mem) return &all;
    mem = arena_new(0);
    const struct host_offer *parts[PARTS];
    size_t n = 0;
#define OFFER(name) parts[n++] = &name;
#define DRAFT(name, ...)                                                                                                         \
    struct host_offer *draft_##name = arena_make(mem, struct host_offer);                                                        \
    *draft_##name = host_offer_as(mem, &name, (struct host_version){__VA_ARGS__});                                               \
    parts[n++] = draft_##name;
#include "node/offer.def"
#undef OFFER
    all = host_offer_join(mem, parts, n);
    return &all;
}
