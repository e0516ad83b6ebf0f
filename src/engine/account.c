/* account: who pays for memory, and what is given back when somebody cannot. See engine.h.
 *
 *   instance ── memory_bytes_max        engine ──┬─ shares' parts: alive and still being cleaned
 *      └──> share's part ──> engine's            └─ kept: written pages of free slots, stacks at rest; given up when room is asked for
 *
 * 1. Bytes are charged before they exist, and uncharged after they are gone.
 * 2. What an instance is charged is what it could touch (its memories' sizes, tables, a whole stack a fiber), not what it has touched:
 *    so that nobody is refused half way, a page at a time.
 */
#include "engine/engine_int.h"

static void refused(struct engine *e, struct engine_refusal r) {
    e->starved = true;
    e->refusals++;
    e->refusal = r;
}

static void refused_part(struct engine_share *s, const struct pool_part *part, enum pool_answer a, enum engine_refused what,
                         uint64_t n) {
    bool own = a == POOL_PART_FULL;
    refused(s->engine, (struct engine_refusal){.what = what,
                                               .share = own ? s : NULL,
                                               .leaves = a == POOL_LEAVES,
                                               .bytes = n,
                                               .max = own ? part->max : part->pool->max});
}

bool engine_take(struct engine_share *s, struct pool_part *part, enum engine_refused what, uint64_t n) {
    enum pool_answer a = pool_part_take(part, n);
    if (UNLIKELY(a != POOL_OK)) refused_part(s, part, a, what, n);
    return a == POOL_OK;
}

bool engine_pay(struct engine_share *s, uint64_t bytes) {
    enum pool_answer a;
    while (UNLIKELY((a = pool_part_take(&s->bytes, bytes)) != POOL_OK)) {
        if (a != POOL_PART_FULL && engine_give_up(s->engine)) continue;
        refused_part(s, &s->bytes, a, ENGINE_REFUSED_ACCOUNT, bytes);
        return false;
    }
    return true;
}

void engine_unpay(struct engine_share *s, uint64_t bytes) { pool_part_give(&s->bytes, bytes); }

uint64_t engine_memory_max(const struct engine_image *image) {
    return image->memory_bytes_max ? image->memory_bytes_max : image->share->config.memory_bytes_max;
}

bool engine_charge(struct engine_instance *in, uint64_t bytes) {
    struct engine_share *s = in->actor.share;
    uint64_t max = engine_memory_max(in->image);
    if (max && (bytes > max || in->memory_used > max - bytes)) return false;
    if (!engine_pay(s, bytes)) return false;
    in->memory_used += bytes;
    return true;
}

void engine_uncharge(struct engine_instance *in, uint64_t bytes) {
    ENSURE(bytes <= in->memory_used);
    in->memory_used -= bytes;
    engine_unpay(in->actor.share, bytes);
}

void engine_refuse(struct engine *e, enum engine_refused what, uint64_t bytes, uint64_t max) {
    refused(e, (struct engine_refusal){.what = what, .bytes = bytes, .max = max});
}

const struct engine_refusal *engine_last_refusal(const struct engine *e) { return &e->refusal; }
uint64_t engine_bytes(const struct engine *e) { return e->bytes.used; }

bool engine_give_up(struct engine *e) { return engine_slots_give_up(e) || engine_fibers_give_up(e); }

bool engine_take_mappings(struct engine_share *s, uint64_t n) {
    enum pool_answer a;
    while ((a = pool_part_take(&s->mappings, n)) != POOL_OK)
        if (!engine_slots_free_one(s->engine)) {
            refused_part(s, &s->mappings, a, ENGINE_REFUSED_SYSTEM, n);
            return false;
        }
    return true;
}

bool engine_take_stack_mappings(struct engine *e, uint64_t n) {
    while (n > pool_left(&e->mappings))
        if (!engine_slots_free_one(e)) {
            engine_refuse(e, ENGINE_REFUSED_SYSTEM, n, e->mappings.max);
            return false;
        }
    e->mappings.used += n;
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

bool engine_holds(const struct engine *e) { return e->slots.used || e->cleaning || e->released; }
