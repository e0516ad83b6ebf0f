/* account: who pays for memory, and what is given back when somebody cannot. See engine.h.
 *
 *   instance ── memory_bytes_max        worker ──┬─ apps: alive and still being cleaned
 *      └──> app's account ──> worker's           └─ kept: written pages of free slots, stacks at rest; given up when room is asked for
 *
 * 1. Bytes are charged before they exist, and uncharged after they are gone.
 * 2. What an instance is charged is what it could touch (its memories' sizes, tables, a whole stack a fiber), not what it has touched:
 *    so that nobody is refused half way, a page at a time.
 */
#include "engine/engine_int.h"

/* Whose cap stands in the way of so many bytes more. */
static const struct engine_account *full(const struct engine_account *a, uint64_t bytes) {
    while (a && engine_account_has_room(a, bytes)) a = a->up;
    return a;
}

static void refused(struct engine *e, enum engine_refused what, const struct engine_account *a, uint64_t bytes, uint64_t max) {
    e->starved = true;
    e->refusals++;
    e->refusal = (struct engine_refusal){.what = what, .account = a, .bytes = bytes, .max = max};
}

bool engine_pay(struct engine *e, struct engine_account *a, uint64_t bytes) {
    if (LIKELY(engine_account_charge(a, bytes))) return true;
    while (full(a, bytes) == &e->account && engine_give_up(e))
        if (engine_account_charge(a, bytes)) return true;
    const struct engine_account *who = full(a, bytes);
    refused(e, ENGINE_REFUSED_ACCOUNT, who, bytes, who ? who->max : 0);
    return false;
}

bool engine_charge(struct engine_instance *in, uint64_t bytes) {
    uint64_t max = in->engine->config.memory_bytes_max;
    if (max && (bytes > max || in->memory_used > max - bytes)) return false;
    if (!engine_pay(in->engine, in->image->account, bytes)) return false;
    in->memory_used += bytes;
    return true;
}

void engine_uncharge(struct engine_instance *in, uint64_t bytes) {
    ENSURE(bytes <= in->memory_used);
    in->memory_used -= bytes;
    engine_account_uncharge(in->image->account, bytes);
}

void engine_refuse(struct engine *e, enum engine_refused what, uint64_t bytes, uint64_t max) {
    refused(e, what, NULL, bytes, max);
}

const struct engine_refusal *engine_last_refusal(const struct engine *e) { return &e->refusal; }
struct engine_account *engine_account(struct engine *e) {
    return &e->account;
}
struct engine *engine_image_engine(const struct engine_image *image) {
    return image->engine;
}
struct engine_account *engine_image_account(const struct engine_image *image) {
    return image->account;
}

bool engine_image_pays(struct engine_image *image, struct engine_account *a) {
    ENSURE(!image->alive && !image->paid_bytes && a);
    uint64_t bytes = engine_image_bytes(image);
    if (!engine_pay(image->engine, a, bytes)) return false;
    image->account = a;
    image->paid_bytes = bytes;
    return true;
}

bool engine_give_up(struct engine *e) { return engine_slots_give_up(e) || engine_fibers_give_up(e); }

bool engine_take_mappings(struct engine *e, uint64_t n) {
    while (n > e->mappings_max - MIN(e->mappings, e->mappings_max))
        if (!engine_slots_free_one(e)) {
            engine_refuse(e, ENGINE_REFUSED_SYSTEM, n, e->mappings_max);
            return false;
        }
    e->mappings += n;
    return true;
}

bool engine_wait_room(struct engine *e, uint64_t before) {
    if (e->refusals == before || !e->cleaning) return false;
    engine_clean_piece(e);
    return engine_slice_check(e);
}

void engine_room(struct engine *e) {
    if (LIKELY(!e->starved)) return;
    e->starved = false;
    if (e->config.on_ready) e->config.on_ready(e->config.on_ready_arg);
}

bool engine_holds(const struct engine *e) { return e->alive || e->cleaning || e->released; }
