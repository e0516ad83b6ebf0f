/* fiber: stacks, the ready queue, parking, killing.
 *
 *   [ guard | native stack, grows down | registers when preempted ][ frame stack, grows up | guard ]
 *
 *              spawn            engine_run
 *                └──> READY ─────────────────> RUNNING ──> DONE
 *                       ^ ^── yield, preempted ──┤
 *                       └──── ready ── PARKED <──┘ park
 *
 * 1. Stacks are pooled and never unmapped while the engine lives: a stale engine_ready wakes a stranger, no
 *    worse.
 * 2. e->current is the fiber whose stack we are on, NULL on the loop's. Its limits are in the contexts of its
 *    instance.
 * 3. A killed instance's fibers run once more, to unwind: host code sees park fail, guest code ends where it
 *    is.
 * 4. Those that are ready wait by level: 0 for instances that have used less than a slice, up for those that compute on and on. What was
 *    taken off is never in level 0, so what is new or woken goes first. An instance that sleeps is forgiven
 *    as long a time as it slept. So that nobody starves, level 0 alone has turns for two slices at most, and of the
 *    turns of the other levels every fourth begins with the last.
 */
#include "engine/engine_int.h"
#include <sys/mman.h>

#if ENGINE_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

enum { FIBER_IDLE_S = 5, DIRTY_MAX = 64 /* stacks at rest that keep their memory */ };
#define STACKS_BYTES ((size_t)ENGINE_STACK_BYTES + 2 * ABI_STACK_GUARD_BYTES)

/* ---- what AddressSanitizer must know of switches ---- */

static void asan_leave(struct engine *e, struct engine_fiber *f, bool for_good) {
#if ENGINE_ASAN
    __sanitizer_start_switch_fiber(for_good ? NULL : &f->asan_fake, e->asan_bottom, e->asan_size);
#else
    (void)e, (void)f, (void)for_good;
#endif
}
static void asan_arrived(struct engine *e, struct engine_fiber *f) { /* on a fiber's stack */
#if ENGINE_ASAN
    __sanitizer_finish_switch_fiber(f->asan_fake, &e->asan_bottom, &e->asan_size);
#else
    (void)e, (void)f;
#endif
}
static void asan_enter(struct engine *e, struct engine_fiber *f) {
#if ENGINE_ASAN
    __sanitizer_start_switch_fiber(&e->asan_fake, f->native_low, ABI_NATIVE_STACK_BYTES);
#else
    (void)e, (void)f;
#endif
}
static void asan_back(struct engine *e) { /* on the loop's stack */
#if ENGINE_ASAN
    __sanitizer_finish_switch_fiber(e->asan_fake, NULL, NULL);
#else
    (void)e;
#endif
}

void engine_fiber_leave_by_signal(struct engine *e, struct engine_fiber *f) { asan_leave(e, f, false); }

/* ---- stacks ---- */

enum { FIBER_MAPPINGS = 3 };

static struct engine_fiber *fiber_new(struct engine *e) {
    if (!engine_take_mappings(e, FIBER_MAPPINGS)) return NULL;
    uint8_t *p = mmap(NULL, STACKS_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        e->mappings -= FIBER_MAPPINGS;
        engine_refuse(e, ENGINE_REFUSED_SYSTEM, STACKS_BYTES, 0);
        return NULL;
    }
    madvise(p, STACKS_BYTES, MADV_NOHUGEPAGE);
    uint8_t *low = p + ABI_STACK_GUARD_BYTES;
    struct engine_fiber *f = NULL;
    if (mprotect(low, (size_t)ENGINE_STACK_BYTES, PROT_READ | PROT_WRITE) == 0) f = calloc(1, sizeof *f);
    if (!f) {
        munmap(p, STACKS_BYTES);
        e->mappings -= FIBER_MAPPINGS;
        engine_refuse(e, ENGINE_REFUSED_SYSTEM, STACKS_BYTES, 0);
        return NULL;
    }
    f->engine = e;
    f->native_low = low;
    f->frame_low = low + ABI_NATIVE_STACK_BYTES;
    f->frame_limit = f->frame_low + ABI_FRAME_STACK_BYTES;
    f->native_top = f->frame_low - e->vectors_max;
    f->saved.vectors = f->native_top;
    return f;
}

/* A fiber in the pool whose memory stays is paid by the engine. */
static void rest(struct engine *e, struct engine_fiber *f) {
    f->dirty = true;
    e->pool_dirty++;
    e->account.used += ENGINE_STACK_BYTES; /* the instance paid until now */
}

static void rest_no_more(struct engine *e, struct engine_fiber *f) {
    if (!f->dirty) return;
    f->dirty = false;
    e->pool_dirty--;
    engine_account_uncharge(&e->account, ENGINE_STACK_BYTES);
}

static void fiber_trim(struct engine *e, struct engine_fiber *f) {
    madvise(f->native_low, (size_t)ENGINE_STACK_BYTES, MADV_DONTNEED);
    rest_no_more(e, f);
}

bool engine_fibers_give_up(struct engine *e) {
    if (!e->pool_dirty) return false;
    struct engine_fiber *f = e->pool;
    while (!f->dirty) f = f->next;
    fiber_trim(e, f);
    return true;
}

void engine_fibers_free(struct engine *e) {
    while (e->pool) {
        struct engine_fiber *f = e->pool;
        e->pool = f->next;
        munmap(f->native_low - ABI_STACK_GUARD_BYTES, STACKS_BYTES);
        free(f);
    }
}

bool engine_fibers_idle(struct engine *e, uint64_t now) {
    for (struct engine_fiber *f = e->pool; f; f = f->next) {
        if (!f->dirty) continue;
        if (!f->idle_since_ns) f->idle_since_ns = now;
        if ((now - f->idle_since_ns) / 1'000'000'000 < FIBER_IDLE_S) continue;
        fiber_trim(e, f);
        return true;
    }
    return false;
}

bool engine_fibers_waiting(const struct engine *e) { return e->pool_dirty; }

/* ---- the ready queues ---- */

void engine_queues_init(struct engine *e) {
    for (uint32_t i = 0; i < ENGINE_LEVELS; i++) e->ready[i].last = &e->ready[i].first;
}

static uint32_t level_of(const struct engine *e, const struct engine_instance *in) {
    uint64_t slice = e->config.slice_ns, used = in->used_ns;
    return used < slice ? 0 : used < 4 * slice ? 1 : used < 32 * slice ? 2 : 3;
}

static void push_ready(struct engine *e, struct engine_fiber *f, uint32_t least) {
    bool was_empty = !e->ready_levels;
    uint32_t level = MAX(level_of(e, f->in), least);
    struct engine_queue *q = &e->ready[level];
    f->state = FIBER_READY;
    f->next_ready = NULL;
    *q->last = f;
    q->last = &f->next_ready;
    __atomic_store_n(&e->ready_levels, e->ready_levels | 1u << level, __ATOMIC_RELAXED); /* read by the tick's handler */
    if (was_empty && !e->running && e->config.on_ready) e->config.on_ready(e->config.on_ready_arg);
}

/* One of an instance's fibers is to run where none was: what it used is forgiven by the time it slept. */
static void wake_up(struct engine *e, struct engine_fiber *f) {
    struct engine_instance *in = f->in;
    if (!in->awake++ && in->asleep_since_ns) {
        uint64_t slept = clock_mono_ns() - in->asleep_since_ns;
        in->used_ns -= MIN(slept, in->used_ns);
        in->asleep_since_ns = 0;
    }
    push_ready(e, f, 0);
}

static void fall_asleep(struct engine_instance *in) {
    if (--in->awake || LIKELY(in->used_ns < in->engine->config.slice_ns / 8)) return;
    in->asleep_since_ns = clock_mono_ns();
}

/* The collection of a fiber's heap is under way: it is put aside. */
static bool hold(struct engine_fiber *f) {
    struct engine_heap *h = f->in->heap;
    if (LIKELY(!h->collecting) || h->collector == f) return false;
    f->next_ready = h->held;
    h->held = f;
    return true;
}

void engine_fibers_unhold(struct engine *e, struct engine_heap *h) {
    while (h->held) {
        struct engine_fiber *f = h->held;
        h->held = f->next_ready;
        push_ready(e, f, 0);
    }
}

static struct engine_fiber *pop_ready(struct engine *e, uint32_t level) {
    struct engine_queue *q = &e->ready[level];
    struct engine_fiber *f = q->first;
    q->first = f->next_ready;
    if (!q->first) {
        q->last = &q->first;
        __atomic_store_n(&e->ready_levels, e->ready_levels & ~(1u << level), __ATOMIC_RELAXED);
    }
    e->level = level;
    return f;
}

/* Some are ready: the one whose turn it is. NULL: the loop's, which has news. */
static struct engine_fiber *next_ready(struct engine *e, uint64_t now) {
    const struct engine_config *c = &e->config;
    uint32_t others = e->ready_levels & ~1u;
    e->whole_slice = false;
    if (LIKELY(!others)) return pop_ready(e, 0);
    bool first = e->ready_levels & 1, news = !first && c->news && c->news(c->news_arg);
    if (first || news) {
        e->news_ns = now;
        if (!e->passed_over_ns) e->passed_over_ns = now;
        e->whole_slice = now - e->passed_over_ns >= 2 * c->slice_ns;
        if (!e->whole_slice) return first ? pop_ready(e, 0) : NULL;
    }
    e->passed_over_ns = 0;
    bool last = e->run_seq % 4 == 0;
    return pop_ready(e, last ? 31 - (uint32_t)__builtin_clz(others) : (uint32_t)__builtin_ctz(others));
}

void engine_ready(struct engine_fiber *f) {
    if (f->state == FIBER_FREE || f->state == FIBER_DONE || f->wake) return;
    f->wake = true;
    if (f->state == FIBER_PARKED) wake_up(f->engine, f);
}

/* ---- life ---- */

/* Paid for, from the pool or new. NULL: engine_last_refusal. */
static struct engine_fiber *take_fiber(struct engine *e, struct engine_account *account) {
    struct engine_fiber *f = e->pool;
    bool was_dirty = f && f->dirty;
    if (e->fibers_alive >= e->config.fibers_max) {
        engine_refuse(e, ENGINE_REFUSED_FIBERS, 1, e->config.fibers_max);
        return NULL;
    }
    if (f) rest_no_more(e, f);
    if (UNLIKELY(!engine_pay(e, account, ENGINE_STACK_BYTES))) {
        if (was_dirty) fiber_trim(e, f);
        return NULL;
    }
    if (f) {
        e->pool = f->next;
    } else if (!(f = fiber_new(e))) {
        engine_account_uncharge(account, ENGINE_STACK_BYTES);
    }
    return f;
}

struct engine_fiber *engine_spawn(struct engine_instance *in, void (*fn)(void *arg), void *arg) {
    struct engine *e = in->engine;
    struct engine_fiber *f = take_fiber(e, in->image->account);
    if (UNLIKELY(!f)) return NULL;
    e->fibers_alive++;
    f->in = in;
    f->fn = fn;
    f->arg = arg;
    f->wake = f->preempted = false;
    f->frame = NULL;
    f->host = NULL;
    f->frame_top = f->frame_low;
    f->asan_fake = NULL;
    f->sp = engine_first_sp(f->native_top, engine_asm_start, f);
    f->prev = &in->fibers;
    if ((f->next = in->fibers)) f->next->prev = &f->next;
    in->fibers = f;
    in->fibers_count++;
    wake_up(e, f);
    return f;
}

void engine_fiber_main(struct engine_fiber *f) {
    struct engine *e = f->engine;
    asan_arrived(e, f);
    f->fn(f->arg);
    f->state = FIBER_DONE;
    asan_leave(e, f, true);
    engine_asm_switch(&f->sp, e->sched_sp);
    __builtin_unreachable();
}

static void fiber_end(struct engine *e, struct engine_fiber *f) {
    struct engine_instance *in = f->in;
    if ((*f->prev = f->next)) f->next->prev = f->prev;
    in->fibers_count--;
    fall_asleep(in);
    e->fibers_alive--;
    f->state = FIBER_FREE;
    f->in = NULL;
    f->idle_since_ns = 0;
    if (f->overflowed || e->pool_dirty >= DIRTY_MAX) fiber_trim(e, f);
    engine_account_uncharge(in->image->account, ENGINE_STACK_BYTES);
    if (!f->overflowed && e->pool_dirty < DIRTY_MAX) rest(e, f);
    f->overflowed = false;
    engine_room(e);
    f->next = e->pool;
    e->pool = f;
    if (in->release_pending && !in->fibers_count) {
        in->release_pending = false;
        engine_release(in);
    }
}

/* ---- switching ---- */

/* From a fiber's C code to the loop. The base is the fiber's own again afterwards. */
static void leave(struct engine *e, struct engine_fiber *f) {
    uint8_t *base = engine_base_get();
    asan_leave(e, f, false);
    engine_asm_switch(&f->sp, e->sched_sp);
    asan_arrived(e, f);
    engine_base_set(base);
}

static void resume_preempted(struct engine *e, struct engine_fiber *f) {
    f->preempted = false;
    asan_enter(e, f);
    asan_arrived(e, f); /* compiled code cannot say so itself */
    if (!f->in->killed) {
        engine_asm_resume(&e->sched_sp, &f->saved);
        return;
    }
    f->frame->in->record_filled = false;
    const struct engine_saved *s = &f->saved;
    struct engine_where at = {engine_saved_pc(s), NULL, engine_saved_link(s), engine_saved_sp(s)};
    engine_record(f, ABI_TRAP_INTERRUPTED, at, UINT64_MAX);
    engine_asm_switch_unwind(&e->sched_sp, f->frame);
}

/* The time afterwards, as far as it matters. */
static uint64_t run_one(struct engine *e, struct engine_fiber *f, uint64_t now) {
    f->state = FIBER_RUNNING;
    e->run_seq++;
    e->work = 0;
    e->started_ns = now;
    e->preempt_pending = false;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    __atomic_store_n(&e->current, f, __ATOMIC_RELAXED); /* read by the tick's handler; set before the tick is looked at */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    engine_tick_turn(e);
    engine_instance_limits(f->in, f);
    if (f->preempted) {
        resume_preempted(e, f);
    } else {
        asan_enter(e, f);
        engine_asm_switch(&e->sched_sp, f->sp);
    }
    asan_back(e);
    __atomic_store_n(&e->current, NULL, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    bool last =
        f->state == FIBER_DONE && !e->ready_levels; /* nobody waited: what it used is no matter, and the clock is not cheap */
    uint64_t end = last ? now : clock_mono_ns();
    f->in->used_ns += end - now;
    if (f->state == FIBER_DONE) fiber_end(e, f);
    else if (f->state == FIBER_PARKED) fall_asleep(f->in);
    else push_ready(e, f, f->preempted || e->preempt_pending); /* else it yielded */
    return end;
}

/* ---- posts ---- */

static bool has_posts(const struct engine *e) { return e->posts.next != &e->posts; }

void engine_post(struct engine *e, struct engine_post *p) {
    if (p->next) return;
    bool was_empty = !has_posts(e);
    p->next = &e->posts;
    p->prev = e->posts.prev;
    p->prev->next = e->posts.prev = p;
    if (was_empty && !e->running && e->config.on_ready) e->config.on_ready(e->config.on_ready_arg);
}

void engine_post_cancel(struct engine_post *p) {
    if (!p->next) return;
    p->prev->next = p->next;
    p->next->prev = p->prev;
    p->next = p->prev = NULL;
}

static bool has_work(const struct engine *e) { return e->ready_levels || has_posts(e); }

/* Those queued by now: what they queue comes after a fiber's turn. */
static void run_posts(struct engine *e) {
    struct engine_post round = e->posts;
    round.next->prev = round.prev->next = &round;
    e->posts.next = e->posts.prev = &e->posts;
    while (round.next != &round) {
        struct engine_post *p = round.next;
        engine_post_cancel(p);
        p->fn(p->arg);
    }
}

bool engine_run(struct engine *e, uint64_t max_ns) {
    ENSURE(!e->current && !e->running);
    engine_clean_piece(e);
    if (!has_work(e)) return e->cleaning;
    e->running = true;
    e->news = false;
    struct engine *outer = engine_of_thread;
    engine_of_thread = e;
    uint64_t start = clock_mono_ns(), now = start;
    while (has_work(e) && !e->news) {
        if (has_posts(e)) run_posts(e);
        struct engine_fiber *f = e->ready_levels ? next_ready(e, now) : NULL;
        if (f && UNLIKELY(hold(f))) continue;
        if (f) now = run_one(e, f, now);
        else if (e->ready_levels) break; /* the loop's news goes first */
        else now = clock_mono_ns();
        if (now - start >= max_ns) break;
    }
    engine_of_thread = outer;
    e->running = false;
    return has_work(e) || e->cleaning;
}

struct engine_fiber *engine_fiber_current(struct engine *e) {
    return e->current;
}

struct engine_instance *engine_doing(str *module, str *name) {
    const struct engine *e = engine_of_thread;
    const struct engine_fiber *f = e ? e->current : NULL;
    *module = *name = (str){0};
    if (!f) return NULL;
    if (f->host) {
        const struct abi_image *im = &f->host->in->image->im;
        const struct abi_image_host *h = &abi_image_at(im, im->head->hosts, struct abi_image_host)[f->host->import];
        *module = abi_image_str(im, h->module);
        *name = abi_image_str(im, h->name);
    }
    return f->in;
}

bool engine_park(struct engine *e) {
    struct engine_fiber *f = e->current;
    ENSURE(f);
    if (!f->wake && !f->in->killed) {
        f->state = FIBER_PARKED;
        leave(e, f);
    }
    f->wake = false;
    return !f->in->killed;
}

bool engine_stack_room(struct engine *e) {
    const struct engine_fiber *f = e->current;
    return !f || (uint8_t *)__builtin_frame_address(0) - f->native_low >= ENGINE_HEADROOM / 2;
}

void engine_yield(struct engine *e) {
    ENSURE(e->current);
    leave(e, e->current);
}

bool engine_slice_check(struct engine *e) {
    if (UNLIKELY(__atomic_load_n(&e->preempt_pending, __ATOMIC_RELAXED))) engine_yield(e);
    return !e->current->in->killed;
}

bool engine_work(struct engine *e, uint64_t units) {
    if (UNLIKELY(!e->current)) return true;
    e->work_most = MAX(e->work_most, units);
    e->work += units;
    if (UNLIKELY(e->work >= ENGINE_WORK_SLICE)) __atomic_store_n(&e->preempt_pending, true, __ATOMIC_RELAXED);
    return engine_slice_check(e);
}

bool engine_copy(struct engine *e, void *to, const void *from, uint64_t n) {
    uint8_t *dst = to;
    const uint8_t *src = from;
    bool down = dst > src && dst < src + n; /* from the end, where a piece would overwrite what is still to be read */
    while (n > ENGINE_WORK_PIECE) {
        n -= ENGINE_WORK_PIECE;
        if (down) {
            memmove(dst + n, src + n, ENGINE_WORK_PIECE);
        } else {
            memmove(dst, src, ENGINE_WORK_PIECE);
            dst += ENGINE_WORK_PIECE;
            src += ENGINE_WORK_PIECE;
        }
        if (!engine_work(e, ENGINE_WORK_PIECE)) return false;
    }
    if (n) memmove(dst, src, n);
    return engine_work(e, n);
}

void engine_kill(struct engine_instance *in) {
    if (in->killed) return;
    in->killed = true;
    for (struct engine_fiber *f = in->fibers; f; f = f->next) engine_ready(f);
}
