/* offer: what WASI and the services offer, as one: who loads an image, and who asks whether a file's imports are offered, take this. */
#include "node/node_int.h"
#include "spin/spin.h"
#include "wasi/wasi.h"

const struct host_offer *node_offer(void) {
    static const struct host_offer *const parts[] = {
#define OFFER(name) &name,
#include "node/offer.def"
#undef OFFER
    };
    static arena *mem; /* as long as the process */
    static struct host_offer all;
    if (mem) return &all;
    mem = arena_new(0);
    all = host_offer_join(mem, parts, ARRAY_COUNT(parts));
    return &all;
}
