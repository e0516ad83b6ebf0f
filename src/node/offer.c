/* offer: what WASI and the services offer, as one: who loads an image, and who asks whether a file's imports are offered, take this. */
#include "node/node_int.h"
#include "wasi/wasi.h"

const struct host_offer *node_offer(void) {
    static const struct host_offer *const parts[] = {
#define OFFER(name) &name,
#include "node/offer.def"
#undef OFFER
    };
    static struct host_offer all; /* as long as the process */
    if (!all.interfaces) all = host_offer_join(arena_new(0), parts, ARRAY_COUNT(parts));
    return &all;
}
