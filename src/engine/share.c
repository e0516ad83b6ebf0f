/* share: whose turn it is, between shares and within one. What a share pays for is account.c's.
 *
 *                  ┌─────────── a new round, once nobody else has credit ───────────┐
 *                  v                                                                │
 *   RESTS ──> FIRST (has posts, or fibers at level 0) ──credit is used up──> SPENT ─┘
 *               ^ v                                                            ^
 *             COMPUTES (has others) ──────────credit is used up────────────────┘
 *
 * 1. A share that has something to do is in one of three rings; one turn is one fiber's, and the share goes to the end of its ring.
 * 2. In a round a share may compute for a slice times its weight: its credit. What it uses beyond is taken from the next round's, what it
 *    does not use is gone. So whoever wakes comes at once, but has no more of the core in any round than those that never sleep.
 * 3. A round is over when nobody who has something to do has credit: the core is never idle for fairness' sake, and a share that is alone
 *    does not notice.
 * 4. Of a share, fibers that are ready wait by level: 0 for actors that have used less than a slice, up for those that compute on and on.
 *    What was taken off is never in level 0, so what is new or woken goes first. An actor that sleeps is forgiven as long a time as it
 *    slept. So that nobody starves, level 0 alone, or the loop for its news, has turns for two slices at most, and of the turns of
 *    the other levels every fourth begins with the last.
 */
#include "engine/engine_int.h"

enum {
    DEBT_ROUNDS = 16, /* no more is remembered: no step takes so long */
    POSTS_TURN = 64,
};

/* ---- rings ---- */

static struct engine_share *share_of(struct engine_ring *r) { return (struct engine_share *)r; }
static bool ring_empty(const struct engine_ring *head) { return head->next == head; }
static void ring_reset(struct engine_ring *head) { head->next = head->prev = head; }

static void set_orders(struct engine *e, uint32_t orders) {
    __atomic_store_n(&e->orders, orders, __ATOMIC_RELAXED); /* read by the tick's handler */
}

static void ring_leave(struct engine_share *s) {
    struct engine *e = s->engine;
    if (s->order == ENGINE_SHARE_RESTS) return;
    s->ring.next->prev = s->ring.prev;
    s->ring.prev->next = s->ring.next;
    if (ring_empty(&e->rings[s->order])) set_orders(e, e->orders & ~(1u << s->order));
    s->order = ENGINE_SHARE_RESTS;
}

static void ring_join(struct engine_share *s, enum engine_order order) {
    struct engine *e = s->engine;
    struct engine_ring *head = &e->rings[order];
    s->ring.next = head;
    s->ring.prev = head->prev;
    s->ring.prev->next = head->prev = &s->ring;
    s->order = order;
    set_orders(e, e->orders | 1u << order);
}

/* ---- rounds ---- */

static int64_t quantum_ns(const struct engine_share *s) { return (int64_t)(s->engine->config.slice_ns * s->config.weight); }

/* What rounds since then have brought. */
static void look_at_credit(struct engine_share *s) {
    uint64_t rounds = s->engine->round - s->round;
    if (LIKELY(!rounds)) return;
    int64_t quantum = quantum_ns(s);
    s->credit_ns = rounds > DEBT_ROUNDS ? quantum : MIN(s->credit_ns + (int64_t)rounds * quantum, quantum);
    s->round = s->engine->round;
}

static enum engine_order order_of(const struct engine_share *s) {
    if (!s->ready_levels && !engine_share_has_posts(s)) return ENGINE_SHARE_RESTS;
    if (s->credit_ns <= 0) return ENGINE_SHARE_SPENT;
    return s->ready_levels & 1 || engine_share_has_posts(s) ? ENGINE_SHARE_FIRST : ENGINE_SHARE_COMPUTES;
}

/* At the end of the ring where it belongs. */
static void place(struct engine_share *s) {
    look_at_credit(s);
    enum engine_order order = order_of(s);
    ring_leave(s);
    if (order != ENGINE_SHARE_RESTS) ring_join(s, order);
}

static void new_round(struct engine *e) {
    struct engine_ring *spent = &e->rings[ENGINE_SHARE_SPENT], *last = spent->prev, *r;
    e->round++;
    do {
        r = spent->next; /* those that are in debt still go to the end */
        place(share_of(r));
    } while (r != last);
}

struct engine_share *engine_share_turn(struct engine *e) {
    for (;;) {
        uint32_t orders = e->orders & (1u << ENGINE_SHARE_FIRST | 1u << ENGINE_SHARE_COMPUTES);
        if (LIKELY(orders)) return share_of(e->rings[__builtin_ctz(orders)].next);
        if (!e->orders) return NULL; /* the posts that there were have been taken back */
        new_round(e);
    }
}

void engine_share_charge(struct engine_share *s, uint64_t ns) {
    s->cpu_ns += ns;
    s->credit_ns -= (int64_t)MIN(ns, (uint64_t)INT64_MAX / 2);
    if (LIKELY(s->credit_ns > 0)) return;
    s->credit_ns = MAX(s->credit_ns, -DEBT_ROUNDS * quantum_ns(s));
    if (s->order < ENGINE_SHARE_SPENT) place(s);
}

/* The loop may be asleep. */
static void tell_loop(struct engine *e, bool had_work) {
    if (!had_work && !e->running && e->config.on_ready) e->config.on_ready(e->config.on_ready_arg);
}

/* ---- posts ---- */

void engine_post(struct engine_share *s, struct engine_post *p) {
    if (p->next) return;
    bool had_work = engine_has_work(s->engine);
    p->next = &s->posts;
    p->prev = s->posts.prev;
    p->prev->next = s->posts.prev = p;
    if (s->order == ENGINE_SHARE_RESTS || s->order == ENGINE_SHARE_COMPUTES) place(s);
    tell_loop(s->engine, had_work);
}

/* The share stays in its ring; at its turn it finds that there is nothing to do. */
void engine_post_cancel(struct engine_post *p) {
    if (!p->next) return;
    p->prev->next = p->next;
    p->next->prev = p->prev;
    p->next = p->prev = NULL;
}

/* Those queued by now, what they queue comes after a fiber's turn; and no more than POSTS_TURN: each is short, but every instance of a share may have
 * one. */
void engine_share_run_posts(struct engine_share *s) {
    if (!engine_share_has_posts(s)) return;
    struct engine_post end = {.next = &s->posts, .prev = s->posts.prev};
    end.prev->next = s->posts.prev = &end;
    for (uint32_t n = 0; n < POSTS_TURN && s->posts.next != &end; n++) {
        struct engine_post *p = s->posts.next;
        engine_post_cancel(p);
        p->fn(p->arg);
    }
    engine_post_cancel(&end);
}

/* ---- the ready queues ---- */

static uint32_t level_of(const struct engine *e, const struct engine_actor *a) {
    uint64_t slice = e->config.slice_ns, used = a->used_ns;
    return used < slice ? 0 : used < 4 * slice ? 1 : used < 32 * slice ? 2 : 3;
}

void engine_ready_push(struct engine_fiber *f, uint32_t least) {
    struct engine_share *s = f->actor->share;
    struct engine *e = s->engine;
    bool had_work = engine_has_work(e);
    uint32_t level = MAX(level_of(e, f->actor), least);
    struct engine_queue *q = &s->ready[level];
    f->state = FIBER_READY;
    f->next_ready = NULL;
    *q->last = f;
    q->last = &f->next_ready;
    s->ready_levels |= 1u << level;
    if (s->order == ENGINE_SHARE_RESTS || (s->order == ENGINE_SHARE_COMPUTES && !level)) place(s);
    tell_loop(e, had_work);
}

void engine_actor_wake(struct engine_fiber *f) {
    struct engine_actor *a = f->actor;
    if (!a->awake++ && a->asleep_since_ns) {
        uint64_t slept = clock_mono_ns() - a->asleep_since_ns;
        a->used_ns -= MIN(slept, a->used_ns);
        a->asleep_since_ns = 0;
    }
    engine_ready_push(f, 0);
}

void engine_actor_sleep(struct engine_actor *a) {
    if (--a->awake || LIKELY(a->used_ns < a->share->engine->config.slice_ns / 8)) return;
    a->asleep_since_ns = clock_mono_ns();
}

static struct engine_fiber *pop(struct engine_share *s, uint32_t level) {
    struct engine_queue *q = &s->ready[level];
    struct engine_fiber *f = q->first;
    q->first = f->next_ready;
    if (!q->first) {
        q->last = &q->first;
        s->ready_levels &= ~(1u << level);
    }
    s->engine->level = level;
    return f;
}

/* Some are ready. NULL: the loop's news goes first. */
static struct engine_fiber *choose(struct engine_share *s, uint64_t now) {
    struct engine *e = s->engine;
    const struct engine_config *c = &e->config;
    uint32_t others = s->ready_levels & ~1u;
    if (LIKELY(!others)) return pop(s, 0);
    bool first = s->ready_levels & 1, news = !first && c->news && c->news(c->news_arg);
    if (first || news) {
        uint64_t *since = first ? &s->passed_over_ns : &e->passed_over_ns;
        e->news_ns = now;
        if (!*since) *since = now;
        if (now - *since < 2 * c->slice_ns) return first ? pop(s, 0) : NULL;
        e->whole_slice = now - e->whole_ns >= 3 * c->slice_ns; /* two after the last was over, whosever it was */
        if (e->whole_slice) e->whole_ns = now;
    }
    s->passed_over_ns = e->passed_over_ns = 0;
    bool last = e->run_seq % 4 == 0;
    return pop(s, last ? 31 - (uint32_t)__builtin_clz(others) : (uint32_t)__builtin_ctz(others));
}

struct engine_fiber *engine_share_next(struct engine_share *s, uint64_t now) {
    s->engine->whole_slice = false;
    struct engine_fiber *f = s->ready_levels ? choose(s, now) : NULL;
    place(s); /* its others have their turn after those of other shares */
    return f;
}

/* ---- shares ---- */

void engine_shares_init(struct engine *e) {
    for (uint32_t i = 0; i < ENGINE_ORDERS; i++) ring_reset(&e->rings[i]);
}

void engine_share_limit(struct engine_share *s, const struct engine_share_config *config) {
    s->config = *config;
    s->config.weight = MIN(MAX(config->weight, 1u), (uint32_t)ENGINE_WEIGHT_MAX);
    s->bytes.max = config->account_bytes_max;
    s->slots.max = config->slots_max;
    s->stacks.max = config->fibers_max;
}

struct engine_share *engine_share_new(struct engine *e, const struct engine_share_config *config) {
    struct engine_share *s = calloc(1, sizeof *s);
    ENSURE(s);
    s->engine = e;
    s->order = ENGINE_SHARE_RESTS;
    s->posts.next = s->posts.prev = &s->posts;
    for (uint32_t i = 0; i < ENGINE_LEVELS; i++) s->ready[i].last = &s->ready[i].first;
    pool_part_open(&s->bytes, &e->bytes, 0);
    pool_part_open(&s->slots, &e->slots, 0);
    pool_part_open(&s->stacks, &e->stacks, 0);
    pool_part_open(&s->mappings, &e->mappings, 0);
    engine_share_limit(s, config ? config : &(struct engine_share_config){0});
    s->round = e->round;
    s->credit_ns = quantum_ns(s);
    return s;
}

void engine_share_free(struct engine_share *s) {
    if (!s) return;
    ENSURE(!s->fibers && !s->images && !engine_share_has_posts(s));
    ring_leave(s); /* a post of it was taken back */
    pool_part_close(&s->bytes);
    pool_part_close(&s->slots);
    pool_part_close(&s->stacks);
    pool_part_close(&s->mappings);
    free(s);
}

struct engine_share *engine_share_own(struct engine *e) {
    if (!e->own) e->own = engine_share_new(e, &(struct engine_share_config){.memory_bytes_max = e->config.memory_bytes_max});
    return e->own;
}

void engine_share_kill(struct engine_share *s) {
    for (struct engine_fiber *f = s->fibers; f; f = f->peer) {
        f->actor->killed = true;
        engine_ready(f);
    }
}

struct engine *engine_share_engine(const struct engine_share *s) {
    return s->engine;
}
void *engine_share_user(const struct engine_share *s) { return s->config.user; }

struct engine_share_use engine_share_use(const struct engine_share *s) {
    return (struct engine_share_use){.cpu_ns = s->cpu_ns,
                                     .resets = s->resets,
                                     .reset_bytes = s->reset_bytes,
                                     .bytes = s->bytes.used,
                                     .slots = (uint32_t)s->slots.used,
                                     .fibers = (uint32_t)s->stacks.used};
}
