/* pool: what several take from, and of which none may take all.
 *
 * A pool has a maximum; whoever takes from it has a part. One that is alone may take everything. Of several none may come to have more
 * than POOL_TIMES what is left afterwards: so whoever comes finds something, those who ask for all they can get come to have the same as
 * they give back and take again, and nobody's part has to be set aside while others could use it.
 */
#ifndef ORLO_POOL_H
#define ORLO_POOL_H

#include "base/base.h"

enum { POOL_TIMES = 3 };

struct pool {
    uint64_t used, max; /* max 0: no cap */
    uint32_t parts;
};
struct pool_part {
    struct pool *pool;
    uint64_t used, max; /* max 0: no cap of its own */
};
enum pool_answer {
    POOL_OK,
    POOL_PART_FULL, /* the part's own cap */
    POOL_FULL,      /* nothing is left, or not so much */
    POOL_LEAVES,    /* the rest is for others */
};

static inline void pool_part_open(struct pool_part *p, struct pool *pool, uint64_t max) {
    *p = (struct pool_part){.pool = pool, .max = max};
    pool->parts++;
}
/* What it has must have been given back. */
static inline void pool_part_close(struct pool_part *p) {
    if (!p->pool) return;
    ENSURE(!p->used && p->pool->parts);
    p->pool->parts--;
    p->pool = NULL;
}

static inline uint64_t pool_left(const struct pool *pool) {
    return !pool->max ? UINT64_MAX : pool->max > pool->used ? pool->max - pool->used : 0;
}
/* Of what is left, how much a part may take beside others that has `used` already. */
static inline uint64_t pool_fair_room(uint64_t left, uint64_t used) {
    uint64_t most = left > UINT64_MAX / POOL_TIMES ? UINT64_MAX : POOL_TIMES * left;
    uint64_t room = most > used ? (most - used) / (POOL_TIMES + 1) : 0;
    return !room && !used ? MIN(left, 1) : room; /* the last one is for whoever has none */
}
static inline enum pool_answer pool_part_ask(const struct pool_part *p, uint64_t n) {
    if (p->max && (p->used > p->max || n > p->max - p->used)) return POOL_PART_FULL;
    uint64_t left = pool_left(p->pool);
    if (n > left) return POOL_FULL;
    return p->pool->parts < 2 || n <= pool_fair_room(left, p->used) ? POOL_OK : POOL_LEAVES;
}
static inline enum pool_answer pool_part_take(struct pool_part *p, uint64_t n) {
    enum pool_answer a = pool_part_ask(p, n);
    if (UNLIKELY(a != POOL_OK)) return a;
    p->used += n;
    p->pool->used += n;
    return POOL_OK;
}
static inline void pool_part_give(struct pool_part *p, uint64_t n) {
    ENSURE(n <= p->used && n <= p->pool->used);
    p->used -= n;
    p->pool->used -= n;
}

#endif
