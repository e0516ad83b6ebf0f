/* fiber: stacks, running, parking, killing.
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
 * 4. Those that are ready wait in the queues of their share (share.c). A fiber without an instance is taken off only where it says so
 *    itself: it has no frame of a guest.
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
    if (!engine_take_stack_mappings(e, FIBER_MAPPINGS)) return NULL;
    uint8_t *p = mmap(NULL, STACKS_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        e->mappings.used -= FIBER_MAPPINGS;
        engine_refuse(e, ENGINE_REFUSED_SYSTEM, STACKS_BYTES, 0);
        return NULL;
    }
    madvise(p, STACKS_BYTES, MADV_NOHUGEPAGE);
    uint8_t *low = p + ABI_STACK_GUARD_BYTES;
    struct engine_fiber *f = NULL;
    if (mprotect(low, (size_t)ENGINE_STACK_BYTES, PROT_READ | PROT_WRITE) == 0) f = calloc(1, sizeof *f);
    if (!f) {
        munmap(p, STACKS_BYTES);
        e->mappings.used -= FIBER_MAPPINGS;
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
    e->bytes.used += ENGINE_STACK_BYTES; /* the share paid until now */
}

static void rest_no_more(struct engine *e, struct engine_fiber *f) {
    if (!f->dirty) return;
    f->dirty = false;
    e->pool_dirty--;
    e->bytes.used -= ENGINE_STACK_BYTES;
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

/* ---- ready ---- */

/* The collection of a fiber's heap is under way: it is put aside. */
static bool hold(struct engine_fiber *f) {
    struct engine_heap *h = f->in ? f->in->heap : NULL;
    if (LIKELY(!h || !h->collecting) || h->collector == f) return false;
    f->next_ready = h->held;
    h->held = f;
    return true;
}

void engine_fibers_unhold(struct engine_heap *h) {
    while (h->held) {
        struct engine_fiber *f = h->held;
        h->held = f->next_ready;
        engine_ready_push(f, 0);
    }
}

void engine_ready(struct engine_fiber *f) {
    if (f->state == FIBER_FREE || f->state == FIBER_DONE || f->wake) return;
    f->wake = true;
    if (f->state == FIBER_PARKED) engine_actor_wake(f);
}

/* ---- life ---- */

/* Paid for, from the pool or new. NULL: engine_last_refusal. */
static struct engine_fiber *take_fiber(struct engine *e, struct engine_share *s) {
    struct engine_fiber *f = e->pool;
    bool was_dirty = f && f->dirty;
    if (UNLIKELY(!engine_take(s, &s->stacks, ENGINE_REFUSED_FIBERS, 1))) return NULL;
    if (f) rest_no_more(e, f);
    if (UNLIKELY(!engine_pay(s, ENGINE_STACK_BYTES))) {
        if (was_dirty) fiber_trim(e, f);
        pool_part_give(&s->stacks, 1);
        return NULL;
    }
    if (f) {
        e->pool = f->next;
    } else if (!(f = fiber_new(e))) {
        engine_unpay(s, ENGINE_STACK_BYTES);
        pool_part_give(&s->stacks, 1);
    }
    return f;
}

static void begin(struct engine_fiber *f, struct engine_actor *a, void (*fn)(void *arg), void *arg) {
    struct engine_share *s = a->share;
    f->actor = a;
    f->meter = a->meter;
    f->fn = fn;
    f->arg = arg;
    f->wake = f->preempted = false;
    f->frame = NULL;
    f->host = NULL;
    f->frame_top = f->frame_low;
    f->asan_fake = NULL;
    f->sp = engine_first_sp(f->native_top, engine_asm_start, f);
    f->peer_prev = &s->fibers;
    if ((f->peer = s->fibers)) f->peer->peer_prev = &f->peer;
    s->fibers = f;
    engine_actor_wake(f);
}

struct engine_fiber *engine_spawn(struct engine_instance *in, void (*fn)(void *arg), void *arg) {
    struct engine_fiber *f = take_fiber(in->engine, in->actor.share);
    if (UNLIKELY(!f)) return NULL;
    f->in = in;
    f->prev = &in->fibers;
    if ((f->next = in->fibers)) f->next->prev = &f->next;
    in->fibers = f;
    in->fibers_count++;
    begin(f, &in->actor, fn, arg);
    return f;
}

struct engine_fiber *engine_share_spawn(struct engine_share *s, void (*fn)(void *arg), void *arg) {
    struct engine_fiber *f = take_fiber(s->engine, s);
    if (!f) return NULL;
    f->own = (struct engine_actor){.share = s};
    begin(f, &f->own, fn, arg);
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

/* A fiber of the instance has ended. */
static void instance_end(struct engine_instance *in) {
    in->fibers_count--;
    if (in->release_pending && !in->fibers_count) {
        in->release_pending = false;
        engine_release(in);
    }
}

static void fiber_end(struct engine *e, struct engine_fiber *f) {
    struct engine_instance *in = f->in;
    struct engine_share *s = f->actor->share;
    if (in && (*f->prev = f->next)) f->next->prev = f->prev;
    if ((*f->peer_prev = f->peer)) f->peer->peer_prev = f->peer_prev;
    engine_actor_sleep(f->actor);
    f->state = FIBER_FREE;
    f->in = NULL;
    f->actor = NULL;
    f->meter = NULL;
    f->idle_since_ns = 0;
    if (f->overflowed || e->pool_dirty >= DIRTY_MAX) fiber_trim(e, f);
    engine_unpay(s, ENGINE_STACK_BYTES);
    pool_part_give(&s->stacks, 1);
    if (!f->overflowed && e->pool_dirty < DIRTY_MAX) rest(e, f);
    f->overflowed = false;
    engine_room(e);
    f->next = e->pool;
    e->pool = f;
    if (in) instance_end(in);
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
    if (!f->actor->killed) {
        engine_asm_resume(&e->sched_sp, &f->saved);
        return;
    }
    f->frame->in->record_filled = false;
    const struct engine_saved *s = &f->saved;
    struct engine_where at = {engine_saved_pc(s), NULL, engine_saved_link(s), engine_saved_sp(s)};
    engine_record(f, ABI_TRAP_INTERRUPTED, at, UINT64_MAX);
    engine_asm_switch_unwind(&e->sched_sp, f->frame);
}

/* ---- meters ---- */

void engine_instance_meter(struct engine_instance *in, struct engine_meter *m) {
    in->actor.meter = m;
    for (struct engine_fiber *f = in->fibers; f; f = f->next) f->meter = m;
}

void engine_fiber_meter(struct engine_fiber *f, struct engine_meter *m) { f->meter = m; }

/* Of a long turn: no more than the thread has computed since it was last asked, which may be before the turn. */
static uint64_t processor_ns(struct engine *e, uint64_t ns) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1'000'000'000 + (uint64_t)t.tv_nsec, since = now - e->cpu_seen_ns;
    e->cpu_seen_ns = now;
    return MIN(ns, since);
}

/* True: it is spent now. */
static bool meter(struct engine *e, struct engine_meter *m, uint64_t ns) {
    m->used_ns += LIKELY(ns < e->config.slice_ns / 2) ? ns : processor_ns(e, ns);
    if (LIKELY(!m->max_ns || m->used_ns <= m->max_ns)) return false;
    m->max_ns = 0;
    return m->spent;
}

/* The time afterwards. */
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
    if (LIKELY(f->in)) engine_instance_limits(f->in, f);
    if (f->preempted) {
        resume_preempted(e, f);
    } else {
        asan_enter(e, f);
        engine_asm_switch(&e->sched_sp, f->sp);
    }
    asan_back(e);
    __atomic_store_n(&e->current, NULL, __ATOMIC_RELAXED);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    uint64_t end = clock_mono_ns();
    struct engine_meter *m = f->meter;
    bool spent = m && meter(e, m, end - now) && f->state != FIBER_DONE;
    f->actor->used_ns += end - now;
    engine_share_charge(f->actor->share, end - now);
    if (f->state == FIBER_DONE) fiber_end(e, f);
    else if (f->state == FIBER_PARKED) engine_actor_sleep(f->actor);
    else engine_ready_push(f, f->preempted || e->preempt_pending); /* else it yielded */
    if (UNLIKELY(spent)) m->spent(m->arg);
    return end;
}

/* ---- the loop ---- */

/* One share's. True: it is the loop's, which has news, or nobody wants it. */
static bool turn(struct engine *e, uint64_t *now) {
    struct engine_share *s = engine_share_turn(e);
    if (UNLIKELY(!s)) return true;
    engine_share_run_posts(s);
    struct engine_fiber *f = engine_share_next(s, *now);
    if (f && UNLIKELY(hold(f))) return false;
    if (f) {
        *now = run_one(e, f, *now);
        return false;
    }
    uint64_t end = clock_mono_ns();
    engine_share_charge(s, end - *now);
    *now = end;
    return s->ready_levels;
}

bool engine_run(struct engine *e, uint64_t max_ns) {
    ENSURE(!e->current && !e->running);
    engine_clean_piece(e);
    if (!engine_has_work(e)) return e->cleaning;
    e->running = true;
    e->news = false;
    struct engine *outer = engine_of_thread;
    engine_of_thread = e;
    uint64_t start = clock_mono_ns(), now = start;
    while (engine_has_work(e) && !e->news && !turn(e, &now) && now - start < max_ns) {}
    engine_of_thread = outer;
    e->running = false;
    return engine_has_work(e) || e->cleaning;
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
    if (!f->wake && !f->actor->killed) {
        f->state = FIBER_PARKED;
        leave(e, f);
    }
    f->wake = false;
    return !f->actor->killed;
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
    return !e->current->actor->killed;
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
    if (in->actor.killed) return;
    in->actor.killed = true;
    for (struct engine_fiber *f = in->fibers; f; f = f->next) engine_ready(f);
}

void engine_fiber_kill(struct engine_fiber *f) {
    ENSURE(f->actor == &f->own);
    f->own.killed = true;
    engine_ready(f);
}
