/* thread: who runs in an instance, who waits, and whose turn it is (CanonicalABI.md, Threads; Embedding API).
 *
 * The specification resumes and blocks continuations; here a thread that runs stands on a fiber of the engine,
 * and resuming one is: in->thread becomes it, its fiber is made ready (or spawned), one's own is parked until
 * in->thread comes back.
 *
 * 1. Only the fiber of in->thread runs guest code or waits in a host function; every other fiber of the instance
 *    is parked in sleep_until.
 * 2. in->ready has threads whose condition may have come true: it is checked when their turn comes. Those whose
 *    condition is true but for their instance's exclusive use or backpressure wait in ci->held for host_unhold.
 * 3. A dead instance schedules nobody; those asleep wake up to unwind. */
#include <stdlib.h>

#include "host/host_int.h"

static const struct host_resource host_is_thread = {.name = "thread"};

/* ---- lists of threads ------------------------------------------------------------------------- */

void host_thread_add(struct host_instance *in, struct host_thread *t, struct host_task *task, struct host_ci *ci,
                     enum host_step step) {
    t->in = in;
    t->task = task;
    t->ci = ci;
    t->step = (uint8_t)step;
    t->state = HOST_THREAD_SUSPENDED;
    host_list_push(&in->threads, &t->of_instance);
    if (task) host_list_push(&task->threads, &t->of_task);
    in->threads_count++;
}

static void host_stop_waiting(struct host_thread *t);

void host_thread_remove(struct host_thread *t) {
    host_stop_waiting(t);
    host_list_remove(&t->of_instance);
    host_list_remove(&t->of_task);
    t->in->threads_count--;
    if (t->index) host_table_remove(&t->ci->threads, t->index);
    t->index = 0;
}

/* One that needs its instance for itself. */
static bool host_thread_excluded(const struct host_thread *t) {
    const struct host_task *task = t->task;
    return task && task->lift && task->implicit == t && task->lift->async_type && (!task->lift->is_async || task->lift->callback);
}

/* ---- waiting ---------------------------------------------------------------------------------- */

/* It can be told that its task is asked to cancel, which it could not be at once. */
static bool cancel_due(const struct host_thread *t) {
    return t->cancellable && t->task && t->task->state == HOST_TASK_PENDING_CANCEL;
}

bool host_is_ready(const struct host_thread *t) {
    if (t->state != HOST_THREAD_WAITING) return false;
    switch ((enum host_wait)t->wait) {
    case HOST_WAIT_NOTHING: return true;
    case HOST_WAIT_ENTER: return !host_has_backpressure(t->task);
    case HOST_WAIT_YIELD_CALLBACK: return !t->ci->exclusive;
    case HOST_WAIT_SET_CALLBACK: return !t->ci->exclusive && (host_wset_has_event(t->on) || cancel_due(t));
    case HOST_WAIT_SET: return host_wset_has_event(t->on) || cancel_due(t);
    case HOST_WAIT_WAITABLE: return ((const struct host_waitable *)t->on)->has_event;
    case HOST_WAIT_SUBTASK: return ((const struct host_subtask *)t->on)->state >= HOST_SUBTASK_RETURNED;
    }
    return false;
}

/* Not ready, but will be when its instance lets it. */
static bool is_held(const struct host_thread *t) {
    return t->wait == HOST_WAIT_ENTER || t->wait == HOST_WAIT_YIELD_CALLBACK ||
           (t->wait == HOST_WAIT_SET_CALLBACK && (host_wset_has_event(t->on) || cancel_due(t)));
}

void host_poke(struct host_thread *t) {
    if (t->state == HOST_THREAD_WAITING && !t->nested && !t->queue.next) host_list_push(&t->in->ready, &t->queue);
}

void host_unhold(struct host_ci *ci) {
    HOST_EACH(n, &ci->held) {
        struct host_thread *t = container_of(n, struct host_thread, queue);
        host_list_remove(n);
        host_poke(t);
    }
}

static void start_waiting(struct host_thread *t, enum host_wait wait, void *on, bool cancellable) {
    ENSURE(t->state != HOST_THREAD_WAITING);
    t->state = HOST_THREAD_WAITING;
    t->wait = (uint8_t)wait;
    t->on = on;
    t->cancellable = cancellable;
    if (wait == HOST_WAIT_ENTER) t->ci->entering++;
    if (wait == HOST_WAIT_WAITABLE) ((struct host_waitable *)on)->waiter = t;
    if (wait == HOST_WAIT_SUBTASK) ((struct host_subtask *)on)->waiter = t;
    if (wait == HOST_WAIT_SET || wait == HOST_WAIT_SET_CALLBACK) {
        struct host_wset *s = on;
        s->waiting++;
        host_list_push(&s->waiters, &t->of_set);
    }
    if (t->nested) return;
    if (t->ci) host_list_push(&t->ci->waiting, &t->of_ci);
    if (host_is_ready(t)) host_poke(t);
    else if (is_held(t)) host_list_push(&t->ci->held, &t->queue);
}

static void host_stop_waiting(struct host_thread *t) {
    host_list_remove(&t->queue);
    host_list_remove(&t->of_ci);
    host_list_remove(&t->of_set);
    if (t->state != HOST_THREAD_WAITING) return;
    t->state = HOST_THREAD_SUSPENDED;
    if (t->wait == HOST_WAIT_ENTER) t->ci->entering--;
    if (t->wait == HOST_WAIT_WAITABLE) ((struct host_waitable *)t->on)->waiter = NULL;
    if (t->wait == HOST_WAIT_SUBTASK) ((struct host_subtask *)t->on)->waiter = NULL;
    if (t->wait == HOST_WAIT_SET || t->wait == HOST_WAIT_SET_CALLBACK) ((struct host_wset *)t->on)->waiting--;
}

/* It was ready, and is to run. */
static void end_waiting(struct host_thread *t) {
    host_stop_waiting(t);
    t->cancelled = host_deliver_cancel(t->task, t->cancellable);
}

/* ---- changing places -------------------------------------------------------------------------- */

static struct engine *engine_of(const struct host_instance *in) { return engine_instance_engine(in->engine); }

bool host_on_thread(const struct host_instance *in) {
    return in->thread && in->thread->fiber && in->thread->fiber == engine_fiber_current(engine_of(in));
}

static void wake(struct host_thread *t) {
    if (t->asleep) engine_ready(t->fiber);
}

static enum abi_trap no_stack(struct host_instance *in) {
    return host_fail(in, ABI_TRAP_OUT_OF_MEMORY, "no stack is free for another task");
}

static void fiber_main(void *arg);

static enum abi_trap give(struct host_instance *in, struct host_thread *t) {
    t->state = HOST_THREAD_RUNNING;
    in->thread = t;
    if (t->fiber) {
        wake(t);
        return ABI_TRAP_NONE;
    }
    t->fiber = engine_spawn(in->engine, fiber_main, t);
    if (!t->fiber) return no_stack(in);
    if (t->task && t->task->root) engine_fiber_meter(t->fiber, t->task->root->meter);
    in->fibers++;
    return ABI_TRAP_NONE;
}

/* t has blocked or ended: on with whom resumed it. */
static void give_back(struct host_instance *in, struct host_ci *ci, struct host_thread *resumer) {
    if (resumer) {
        in->thread = resumer;
        wake(resumer);
        return;
    }
    host_leave(in, host_ci_number(in, ci), PLAN_NONE);
    in->thread = NULL;
    host_schedule(in);
}

/* Parks t's fiber until it runs again (running), or control is back at it. */
static enum abi_trap sleep_until(struct host_instance *in, struct host_thread *t, bool running) {
    while (!in->dead && (running ? t->state != HOST_THREAD_RUNNING : in->thread != t)) {
        t->asleep = true;
        bool alive = engine_park(engine_of(in));
        t->asleep = false;
        if (!alive) host_die(in, ABI_TRAP_INTERRUPTED);
    }
    if (in->given == t) in->given = NULL;
    return in->dead ? in->trap : ABI_TRAP_NONE;
}

enum abi_trap host_resume(struct host_instance *in, struct host_thread *t, bool cancelled) {
    struct host_thread *me = in->thread;
    host_stop_waiting(t);
    t->cancelled = cancelled;
    t->resumer = me;
    enum abi_trap trap = give(in, t);
    return trap ? trap : sleep_until(in, me, false);
}

enum abi_trap host_cannot_block(struct host_instance *in, const char *also) {
    return host_fail(in, ABI_TRAP_HOST,
                     "cannot block a synchronous task before returning%s%s (deadlock detected: event loop cannot "
                     "make further progress)",
                     also[0] ? ": " : "", also);
}

static struct host_thread *another_of(struct host_ci *ci) {
    if (ci) HOST_EACH(n, &ci->waiting) {
            struct host_thread *t = container_of(n, struct host_thread, of_ci);
            if (host_is_ready(t) && t->wait != HOST_WAIT_ENTER && !host_thread_excluded(t) && t != ci->exclusive) return t;
        }
    return NULL;
}

/* canon lift, `if not ft.async_`: the thread b of a synchronous call lets others of its instance run until it can go
 * on; x, if given, first. */
static enum abi_trap block_nested(struct host_instance *in, struct host_thread *b, struct host_thread *x) {
    for (;; x = NULL) {
        if (!x) {
            if (host_is_ready(b)) {
                end_waiting(b);
                b->state = HOST_THREAD_RUNNING;
                return ABI_TRAP_NONE;
            }
            x = another_of(b->ci);
            if (!x) return host_cannot_block(in, "");
            end_waiting(x);
        }
        x->resumer = b;
        enum abi_trap trap = give(in, x);
        if (!trap) trap = sleep_until(in, b, false);
        if (trap || b->state == HOST_THREAD_RUNNING) return trap;
    }
}

/* The current thread, which has begun to wait or is suspended, lets go; to `other`, if given. */
static enum abi_trap block(struct host_instance *in, struct host_thread *other, bool *cancelled) {
    struct host_thread *t = in->thread;
    enum abi_trap trap = ABI_TRAP_NONE;
    t->cancelled = false;
    if (t->nested) {
        trap = block_nested(in, t, other);
    } else {
        struct host_thread *resumer = t->resumer;
        t->resumer = NULL;
        if (other) {
            other->resumer = resumer;
            trap = give(in, other);
        } else {
            give_back(in, t->ci, resumer);
        }
        if (!trap) trap = sleep_until(in, t, true);
    }
    if (cancelled) *cancelled = t->cancelled;
    return trap;
}

enum abi_trap host_wait(struct host_instance *in, enum host_wait wait, void *on, bool cancellable, bool *cancelled) {
    struct host_thread *t = in->thread;
    if (cancelled) *cancelled = host_deliver_cancel(t->task, cancellable);
    if (cancelled && *cancelled) return ABI_TRAP_NONE;
    if (wait == HOST_WAIT_SET && host_wset_has_event(on)) return ABI_TRAP_NONE;
    start_waiting(t, wait, on, cancellable);
    return block(in, NULL, cancelled);
}

void host_wait_without_fiber(struct host_thread *t, enum host_wait wait, void *on, bool cancellable) {
    t->fiber = NULL;
    if (t->state == HOST_THREAD_RUNNING) t->state = HOST_THREAD_SUSPENDED;
    start_waiting(t, wait, on, cancellable);
}

/* ---- the event loop --------------------------------------------------------------------------- */

/* Who is yet to be told may set something going. */
static void check_deadlock(struct host_instance *in) {
    if (!in->calls || in->host_ends || !host_list_empty(&in->pendings) || !host_list_empty(&in->notes)) return;
    host_die(in, host_fail(in, ABI_TRAP_HOST, "deadlock detected: event loop cannot make further progress"));
}

void host_schedule(struct host_instance *in) {
    if (in->thread || in->dead) return;
    while (!host_list_empty(&in->ready)) {
        struct host_thread *t = container_of(in->ready.next, struct host_thread, queue);
        host_list_remove(&t->queue);
        if (!host_is_ready(t)) {
            if (is_held(t)) host_list_push(&t->ci->held, &t->queue);
            continue;
        }
        end_waiting(t);
        t->resumer = NULL;
        enum abi_trap trap = host_enter(in, host_ci_number(in, t->ci), PLAN_NONE);
        if (!trap) trap = give(in, t);
        in->given = t;
        if (trap) host_die(in, trap);
        return;
    }
    check_deadlock(in);
}

/* A call of the host's goes before what the event loop chose and that has not begun: back it goes. */
static void take_back(struct host_instance *in) {
    struct host_thread *t = in->given;
    in->given = NULL;
    in->thread = NULL;
    host_leave(in, host_ci_number(in, t->ci), PLAN_NONE);
    if (!t->asleep) {
        engine_fiber_meter(t->fiber, NULL);
        t->fiber = NULL; /* the one that was spawned ends at once */
    }
    t->state = HOST_THREAD_SUSPENDED;
    start_waiting(t, t->wait, t->on, t->cancellable);
}

static void tell_idle(struct host_note *n) {
    struct host_instance *in = container_of(n, struct host_instance, idle_note);
    if (!in->tasks && !in->thread && in->on_idle) in->on_idle(in, in->on_idle_arg);
}

static void idle(struct host_instance *in) {
    if (!in->tasks && !in->thread && in->on_idle) host_note(in, &in->idle_note, tell_idle);
}

/* t runs until it waits without a fiber, or has ended. */
static void run_on_fiber(struct host_instance *in, struct host_thread *t) {
    struct host_ci *ci = t->ci;
    in->given = NULL;
    enum abi_trap trap = in->dead ? in->trap : host_thread_run(t);
    if (trap) host_die(in, trap);
    if (in->dead) {
        if (in->thread == t) in->thread = NULL;
        return;
    }
    struct host_thread *resumer = t->resumer;
    t->resumer = NULL;
    if (t->state == HOST_THREAD_RUNNING) host_thread_free(t); /* it has ended */
    give_back(in, ci, resumer);
}

static void fiber_main(void *arg) {
    struct host_thread *t = arg;
    struct host_instance *in = t->in;
    if (in->given == t) engine_yield(engine_of(in)); /* calls of the host's that are ready go first */
    if (in->thread == t && t->fiber == engine_fiber_current(engine_of(in))) run_on_fiber(in, t);
    idle(in);
    if (!--in->fibers && in->releasing) host_instance_finish(in);
}

void host_thread_free(struct host_thread *t) {
    struct host_task *task = t->task;
    host_thread_remove(t);
    if (!task || t != &task->thread) free(t);
    if (task && host_list_empty(&task->threads)) host_task_free(task);
}

bool host_job(struct host_instance *in, enum abi_trap (*fn)(struct host_instance *in, void *arg), void *arg) {
    struct host_thread *t = calloc(1, sizeof *t);
    if (!t) return false;
    t->job = fn;
    t->job_arg = arg;
    host_thread_add(in, t, NULL, NULL, HOST_STEP_JOB);
    host_wait_without_fiber(t, HOST_WAIT_NOTHING, NULL, false);
    host_schedule(in);
    return true;
}

enum abi_trap host_base_begin(struct host_instance *in, struct host_thread *t, struct host_task *task) {
    uint32_t ci = task->lift ? task->lift->o.ci : PLAN_NONE;
    if (in->dead || host_on_thread(in)) /* a host function that calls back: what runs has been entered */
        return host_fail(in, ABI_TRAP_CANNOT_ENTER, "cannot enter component instance");
    host_thread_add(in, t, task, ci == PLAN_NONE ? NULL : &in->cis[ci], HOST_STEP_OWN);
    t->fiber = engine_fiber_current(engine_of(in));
    if (UNLIKELY(in->thread && in->thread == in->given)) take_back(in);
    if (LIKELY(!in->thread)) {
        t->state = HOST_THREAD_RUNNING;
        in->thread = t;
        return host_enter(in, ci, PLAN_NONE);
    }
    start_waiting(t, HOST_WAIT_NOTHING, NULL, false);
    host_schedule(in);
    return sleep_until(in, t, true);
}

void host_base_end(struct host_instance *in, struct host_thread *t) {
    struct host_ci *ci = t->ci;
    struct host_thread *resumer = t->resumer;
    host_thread_remove(t);
    if (in->thread != t) return;
    if (in->dead) in->thread = NULL;
    else give_back(in, ci, resumer);
}

static void tell_death(struct host_note *n) {
    struct host_instance *in = container_of(n, struct host_instance, death_note);
    if (in->on_death) in->on_death(in, in->on_death_arg);
}

void host_die(struct host_instance *in, enum abi_trap t) {
    if (in->dead) return;
    in->dead = true;
    in->trap = t;
    in->culprit = host_instance_current(in);
    host_note(in, &in->death_note, tell_death);
    if (in->thread && !host_on_thread(in)) engine_kill(in->engine);
    HOST_EACH(n, &in->threads) wake(container_of(n, struct host_thread, of_instance));
    host_invocations_fail(in, t);
    host_pipes_gone(in);
}

/* ---- built-ins -------------------------------------------------------------------------------- */

enum abi_trap host_thread_index(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_thread *t = in->thread;
    (void)b;
    if (!t->index && t->ci)
        t->index = host_table_add(&t->ci->threads,
                                  (struct host_handle){.type = &host_is_thread, .rep = (uintptr_t)t, .kind = HOST_HANDLE_THREAD});
    slots[0] = t->index;
    return t->index ? ABI_TRAP_NONE : host_fail(in, ABI_TRAP_HOST, "too many threads are alive");
}

enum abi_trap host_thread_new_indirect(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_task *task = in->thread->task;
    uint64_t i = b->table64 ? slots[0] : (uint32_t)slots[0];
    const struct abi_func *f = (const struct abi_func *)(uintptr_t)engine_table_get(in->engine, b->table_instance, b->table, i);
    if (!f) return host_fail(in, ABI_TRAP_HOST, "thread.new-indirect: table element %llu is no function", (unsigned long long)i);
    if (f->type_id != b->start_type)
        return host_fail(in, ABI_TRAP_HOST, "thread.new-indirect: start function has the wrong type");
    if (in->threads_count >= in->component->limits.threads_max)
        return host_fail(in, ABI_TRAP_HOST, "too many threads are alive: %u", in->threads_count);
    struct host_thread *t = calloc(1, sizeof *t), *before = in->thread;
    if (!t) return no_stack(in);
    t->func = f;
    t->arg = b->wide ? slots[1] : (uint32_t)slots[1];
    host_thread_add(in, t, task, &in->cis[b->o.ci], HOST_STEP_FUNC);
    in->thread = t;
    enum abi_trap trap = host_thread_index(in, b, slots);
    in->thread = before;
    return trap;
}

static enum abi_trap find(struct host_instance *in, const struct host_binding *b, uint64_t i, bool suspended,
                          struct host_thread **out) {
    struct host_handle *h = host_table_get(&in->cis[b->o.ci].threads, (uint32_t)i);
    if (!h) return host_fail(in, ABI_TRAP_HOST, "unknown thread index %u", (uint32_t)i);
    *out = (struct host_thread *)(uintptr_t)h->rep;
    if (suspended && (*out)->state != HOST_THREAD_SUSPENDED)
        return host_fail(in, ABI_TRAP_HOST, "cannot resume thread which is not suspended");
    return ABI_TRAP_NONE;
}

enum abi_trap host_thread_resume_later(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_thread *t = NULL;
    enum abi_trap trap = find(in, b, slots[0], true, &t);
    if (!trap) start_waiting(t, HOST_WAIT_NOTHING, NULL, t->cancellable);
    return trap;
}

/* The five ways to let go: how the thread waits (or is suspended), and for whom. */
static enum abi_trap let_go(struct host_instance *in, const struct host_binding *b, bool yield, struct host_thread *other,
                            uint64_t *slots) {
    struct host_thread *t = in->thread;
    bool cancelled = host_deliver_cancel(t->task, b->cancellable);
    enum abi_trap trap = ABI_TRAP_NONE;
    if (!cancelled) {
        if (other) other->cancelled = false;
        if (other && other->state == HOST_THREAD_WAITING) end_waiting(other);
        t->cancellable = b->cancellable;
        if (yield) start_waiting(t, HOST_WAIT_NOTHING, NULL, b->cancellable);
        else t->state = HOST_THREAD_SUSPENDED;
        trap = block(in, other, &cancelled);
    }
    slots[0] = cancelled;
    return trap;
}

enum abi_trap host_thread_suspend(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return let_go(in, b, false, NULL, slots);
}

enum abi_trap host_thread_yield(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return let_go(in, b, true, NULL, slots);
}

static enum abi_trap then_resume(struct host_instance *in, const struct host_binding *b, bool yield, uint64_t *slots) {
    struct host_thread *other = NULL;
    enum abi_trap trap = find(in, b, slots[0], true, &other);
    return trap ? trap : let_go(in, b, yield, other, slots);
}

enum abi_trap host_thread_suspend_then_resume(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return then_resume(in, b, false, slots);
}

enum abi_trap host_thread_yield_then_resume(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return then_resume(in, b, true, slots);
}

static enum abi_trap then_promote(struct host_instance *in, const struct host_binding *b, bool yield, uint64_t *slots) {
    struct host_thread *other = NULL;
    enum abi_trap trap = find(in, b, slots[0], false, &other);
    if (!trap && other == in->thread) trap = host_fail(in, ABI_TRAP_HOST, "cannot promote the current thread");
    return trap ? trap : let_go(in, b, yield, host_is_ready(other) ? other : NULL, slots);
}

enum abi_trap host_thread_suspend_then_promote(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return then_promote(in, b, false, slots);
}

enum abi_trap host_thread_yield_then_promote(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return then_promote(in, b, true, slots);
}
