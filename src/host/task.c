/* task: calls of lifted functions (CanonicalABI.md, Tasks, canon lift).
 *
 *   INITIAL ──start──> STARTED ──task.return, or the function's end──> RESOLVED
 *      │                  │ subtask.cancel, nobody to tell                  ^
 *      │                  v                                                 │
 *      │            PENDING_CANCEL ──────────┐ task.return                  │
 *      │                  │ told             ├──────────────────────────────┤
 *      │                  v                  │                              │
 *      └── cancelled ─> CANCEL_DELIVERED ────┘── task.cancel ───────────────┘
 *
 * A task begins on the fiber that host_resume gives its thread; one whose function is not async runs on its
 * caller's (host_task_run_here). Between its calls a callback's task has no fiber: host_thread_run returns, and is
 * called again with an event to deliver. */
#include <stdlib.h>

#include "host/host_int.h"

static bool needs_exclusive(const struct host_lift *l) { return l->async_type && (!l->is_async || l->callback); }

bool host_has_backpressure(const struct host_task *task) {
    const struct host_ci *ci = &task->thread.in->cis[task->lift->o.ci];
    if (!task->lift->async_type) return false;
    return ci->backpressure || (needs_exclusive(task->lift) && ci->exclusive);
}

bool host_deliver_cancel(struct host_task *task, bool cancellable) {
    if (!cancellable || !task || task->state != HOST_TASK_PENDING_CANCEL) return false;
    task->state = HOST_TASK_CANCEL_DELIVERED;
    return true;
}

enum abi_trap host_too_much(struct host_instance *in) {
    return host_fail(in, ABI_TRAP_OUT_OF_MEMORY, "a call passes more data than this host takes at once");
}

void *host_room(struct host_call *call, const struct host_type *t, void *small) {
    if (!t) return NULL;
    return LIKELY(t->host_size <= HOST_VALUE_STACK_BYTES) ? small : host_alloc(call, t->host_size, 16);
}

/* ---- starting --------------------------------------------------------------------------------- */

static enum abi_trap lower_params(struct host_cx *cx, const struct host_lift *l, const struct host_type *t, const void *args,
                                  uint64_t *flat) {
    if (!t) return ABI_TRAP_NONE;
    if (!l->params_spilled) return host_lower_flat(cx, t, &flat, args);
    enum abi_trap trap = host_allocate(cx, t->align, t->size, "parameter", flat);
    return trap ? trap : host_store(cx, t, *flat, args);
}

/* Task.start: the arguments, from whom called, as core values. */
static enum abi_trap start(struct host_cx *cx, struct host_task *task, uint64_t *flat) {
    const struct host_lift *l = task->lift;
    const struct host_type *t = l->params[l->o.memory64];
    _Alignas(16) uint8_t small[HOST_VALUE_STACK_BYTES];
    const void *args = task->args;
    enum abi_trap trap = ABI_TRAP_NONE;
    task->state = HOST_TASK_STARTED;
    if (task->subtask) {
        void *lifted = host_room(task->call, task->subtask->b->params, small);
        if (task->subtask->b->params && !lifted) return host_too_much(cx->in);
        trap = host_subtask_start(task->subtask, lifted);
        args = lifted;
        if (trap) return trap;
    }
    host_cx_memory(cx);
    trap = lower_params(cx, l, t, args, flat);
    if (trap && t && t->has_own) host_value_drop_from(cx->in, t, args, cx->owns);
    task->args = NULL;
    return trap;
}

static void task_cx(struct host_cx *cx, struct host_task *task, const struct host_options *o) {
    host_cx_init(cx, task->call, o);
    cx->task = task;
    cx->fused = task->subtask;
    cx->copy = !task->subtask;
}

/* ---- resolving -------------------------------------------------------------------------------- */

static enum abi_trap check_borrows(struct host_instance *in, const struct host_task *task) {
    return task->borrows ? host_fail(in, ABI_TRAP_HOST, "borrow handles still remain at the end of the call") : ABI_TRAP_NONE;
}

/* value NULL and cancelled: task.cancel. */
static enum abi_trap resolve(struct host_instance *in, struct host_task *task, const void *value, bool cancelled) {
    enum abi_trap trap = check_borrows(in, task);
    if (trap) return trap;
    struct host_subtask *s = task->subtask;
    struct host_invocation *inv = task->inv;
    task->state = HOST_TASK_RESOLVED;
    if (s) {
        enum host_subtask_state to = !cancelled                          ? HOST_SUBTASK_RETURNED
                                     : s->state == HOST_SUBTASK_STARTING ? HOST_SUBTASK_CANCELLED_BEFORE_STARTED
                                                                         : HOST_SUBTASK_CANCELLED_BEFORE_RETURNED;
        trap = host_subtask_resolve(s, to, value);
    }
    task->subtask = NULL;
    task->inv = NULL;
    task->call = NULL;
    if (inv) host_invocation_resolved(inv, cancelled);
    return trap;
}

/* The result, flat or in memory: to whom called. */
static enum abi_trap return_flat(struct host_cx *cx, struct host_task *task, const struct host_type *t, bool spilled,
                                 const uint64_t *flat) {
    _Alignas(16) uint8_t small[HOST_VALUE_STACK_BYTES];
    void *value = task->subtask ? host_room(task->call, t, small) : task->result;
    if (t && !value) return host_too_much(cx->in);
    enum abi_trap trap = ABI_TRAP_NONE;
    const uint64_t *v = flat;
    if (t)
        trap = spilled ? host_load_at(cx, t, cx->o->memory64 ? *flat : (uint32_t)*flat, value) : host_lift_flat(cx, t, &v, value);
    if (trap) host_moved_drop(cx->call);
    cx->call->moved = NULL;
    return trap ? trap : resolve(cx->in, task, value, false);
}

enum abi_trap host_task_return(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_task *task = in->thread->task;
    if (!task || !task->lift || !task->lift->is_async || task->lift->o.ci != b->o.ci)
        return host_fail(in, ABI_TRAP_HOST, "task.return outside of an asynchronous function");
    if (task->state == HOST_TASK_RESOLVED) return host_fail(in, ABI_TRAP_HOST, "task.return or task.cancel was called already");
    const struct host_type *t = task->lift->result[b->o.memory64];
    /* LiftOptions.equal, but that a result without pointers needs no memory, even where the parameters did (async/cross-abi-calls). */
    if (t != b->result || task->lift->o.encoding != b->o.encoding ||
        (b->o.has_memory && (!task->lift->o.has_memory || task->lift->o.memory != b->o.memory)))
        return host_fail(in, ABI_TRAP_HOST, "task.return's type or options are not those of the function");
    struct host_cx cx;
    task_cx(&cx, task, &b->o);
    return return_flat(&cx, task, t, b->params_spilled, slots);
}

enum abi_trap host_task_cancel(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_task *task = in->thread->task;
    (void)slots;
    if (!task || !task->lift || !task->lift->is_async || task->lift->o.ci != b->o.ci)
        return host_fail(in, ABI_TRAP_HOST, "task.cancel outside of an asynchronous function");
    if (task->state != HOST_TASK_CANCEL_DELIVERED)
        return host_fail(in, ABI_TRAP_HOST, "task.cancel without a request to cancel that was delivered");
    return resolve(in, task, NULL, true);
}

/* ---- running ---------------------------------------------------------------------------------- */

static enum abi_trap run_post_return(struct host_cx *cx, const struct host_lift *l, uint64_t result) {
    uint64_t slots[1] = {result};
    cx->ci->no_leave = true;
    enum abi_trap trap = host_core_call(cx->in, &l->o.post_return, slots);
    cx->ci->no_leave = false;
    return trap;
}

static enum abi_trap run_sync(struct host_cx *cx, struct host_task *task, uint64_t *flat) {
    const struct host_lift *l = task->lift;
    enum abi_trap trap = host_core_call(cx->in, &l->func, flat);
    if (trap) return trap;
    uint64_t returned = flat[0];
    host_cx_memory(cx);
    trap = return_flat(cx, task, l->result[l->o.memory64], l->result_spilled, flat);
    if (!trap && host_core_given(&l->o.post_return)) trap = run_post_return(cx, l, returned);
    return trap;
}

static void release_exclusive(struct host_thread *t) {
    if (t->ci->exclusive != t) return;
    t->ci->exclusive = NULL;
    host_unhold(t->ci);
}

/* Task.unregister_thread, but for the list. */
static enum abi_trap thread_ends(struct host_thread *t) {
    struct host_task *task = t->task;
    bool last = task->threads.next == &t->of_task && task->threads.prev == &t->of_task;
    if (last && task->state != HOST_TASK_RESOLVED)
        return host_fail(t->in, ABI_TRAP_HOST, "the task ended without returning a result");
    if (t == task->implicit) {
        release_exclusive(t);
        task->implicit = NULL;
    }
    return ABI_TRAP_NONE;
}

enum { CODE_EXIT, CODE_YIELD, CODE_WAIT };

/* What the core function or the callback returned: *again with *event if the callback is to be called at once. */
static enum abi_trap after_call(struct host_thread *t, uint32_t packed, bool *again, struct host_event_data *event) {
    struct host_instance *in = t->in;
    uint32_t code = packed & 15;
    *again = false;
    if (code == CODE_EXIT) return thread_ends(t);
    if (code > CODE_WAIT) return host_fail(in, ABI_TRAP_HOST, "unsupported callback code: %u", code);
    struct host_wset *set = NULL;
    if (code == CODE_WAIT && !(set = host_wset_get(in, t->ci, packed >> 4)))
        return host_no_such(in, t->ci, packed >> 4, "waitable set");
    if (host_deliver_cancel(t->task, true)) {
        *again = true;
        *event = (struct host_event_data){HOST_EVENT_TASK_CANCELLED, 0, 0};
        return ABI_TRAP_NONE;
    }
    t->step = HOST_STEP_CALLBACK;
    release_exclusive(t);
    host_wait_without_fiber(t, set ? HOST_WAIT_SET_CALLBACK : HOST_WAIT_YIELD_CALLBACK, set, true);
    return ABI_TRAP_NONE;
}

static enum abi_trap call_back(struct host_thread *t, struct host_event_data event) {
    for (bool again = true; again;) {
        uint64_t slots[3] = {event.code, event.p1, event.p2};
        enum abi_trap trap = host_core_call(t->in, &t->task->lift->callback_func, slots);
        if (!trap) trap = after_call(t, (uint32_t)slots[0], &again, &event);
        if (trap) return trap;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap run_callback(struct host_thread *t) {
    struct host_event_data event = {HOST_EVENT_NONE, 0, 0};
    if (t->cancelled) event.code = HOST_EVENT_TASK_CANCELLED;
    else if (t->wait == HOST_WAIT_SET_CALLBACK) event = host_wset_take(t->on);
    ENSURE(!t->ci->exclusive);
    t->ci->exclusive = t;
    return call_back(t, event);
}

static enum abi_trap run_start(struct host_thread *t) {
    struct host_task *task = t->task;
    const struct host_lift *l = task->lift;
    struct host_cx cx;
    uint64_t flat[PLAN_FLAT_MAX + 1] = {0};
    t->nested = !l->async_type;
    if (needs_exclusive(l)) {
        ENSURE(!t->ci->exclusive || t->ci->exclusive == t);
        t->ci->exclusive = t;
    }
    task_cx(&cx, task, &l->o);
    enum abi_trap trap = start(&cx, task, flat);
    if (trap) return trap;
    if (!l->is_async) {
        trap = run_sync(&cx, task, flat);
        return trap ? trap : thread_ends(t);
    }
    trap = host_core_call(t->in, &l->func, flat);
    if (trap || !l->callback) return trap ? trap : thread_ends(t);
    bool again;
    struct host_event_data event;
    trap = after_call(t, (uint32_t)flat[0], &again, &event);
    return trap || !again ? trap : call_back(t, event);
}

static enum abi_trap run_func(struct host_thread *t) {
    uint64_t slots[1] = {t->arg};
    enum abi_trap trap = engine_call(t->in->engine, t->func, slots);
    return trap ? trap : thread_ends(t);
}

enum abi_trap host_thread_run(struct host_thread *t) {
    switch ((enum host_step)t->step) {
    case HOST_STEP_START: return run_start(t);
    case HOST_STEP_CALLBACK: return run_callback(t);
    case HOST_STEP_FUNC: return run_func(t);
    case HOST_STEP_JOB: return t->job(t->in, t->job_arg);
    default: ENSURE(false);
    }
}

/* ---- making tasks ----------------------------------------------------------------------------- */

struct host_task *host_task_new(struct host_instance *in, const struct host_lift *l) {
    if (in->threads_count >= in->component->limits.threads_max) return NULL;
    struct host_task *task = calloc(1, sizeof *task);
    if (!task) return NULL;
    task->lift = l;
    task->implicit = &task->thread;
    task->counted = true;
    in->tasks++;
    host_thread_add(in, &task->thread, task, &in->cis[l->o.ci], HOST_STEP_START);
    return task;
}

void host_task_free(struct host_task *task) {
    if (task->counted) task->thread.in->tasks--;
    host_task_leave_root(task);
    free(task);
}

enum abi_trap host_task_begin(struct host_instance *in, struct host_task *task) {
    struct host_thread *t = &task->thread, *holder = t->ci->exclusive;
    if (needs_exclusive(task->lift) && holder && host_is_ready(holder) && !t->ci->entering) {
        /* It could go on by now: so it does, first (async/sync-streams of the suite counts on it). */
        enum abi_trap trap = host_resume(in, holder, host_deliver_cancel(holder->task, holder->cancellable));
        if (trap) return trap;
    }
    if (!host_has_backpressure(task) && !t->ci->entering) return host_resume(in, t, false);
    host_wait_without_fiber(t, HOST_WAIT_ENTER, NULL, true);
    return ABI_TRAP_NONE;
}

void host_task_leave_stack(struct host_instance *in, struct host_task *task, struct host_thread *implicit) {
    host_list_remove(&implicit->of_task);
    if (LIKELY(host_list_empty(&task->threads))) return;
    struct host_task *heap = malloc(sizeof *heap);
    ENSURE(heap);
    *heap = *task;
    heap->implicit = NULL;
    heap->threads = (struct host_node){};
    heap->counted = true;
    heap->thread.in = in;
    host_task_set_root(heap, task->root);
    in->tasks++;
    HOST_EACH(n, &task->threads) {
        struct host_thread *t = container_of(n, struct host_thread, of_task);
        host_list_remove(n);
        host_list_push(&heap->threads, n);
        t->task = heap;
    }
}

enum abi_trap host_task_run_here(struct host_instance *in, struct host_task *task, struct host_thread *t) {
    struct host_cx cx;
    uint64_t flat[PLAN_FLAT_MAX + 1] = {0};
    task_cx(&cx, task, &task->lift->o);
    enum abi_trap trap = start(&cx, task, flat);
    if (!trap) trap = run_sync(&cx, task, flat);
    if (!trap) trap = thread_ends(t);
    host_task_leave_stack(in, task, t);
    return trap;
}

/* ---- cancelling ------------------------------------------------------------------------------- */

static struct host_thread *cancellable(struct host_task *task) {
    bool held = needs_exclusive(task->lift) && task->implicit && task->implicit->ci->exclusive &&
                task->implicit->ci->exclusive != task->implicit;
    HOST_EACH(n, &task->threads) {
        struct host_thread *t = container_of(n, struct host_thread, of_task);
        if (t->state != HOST_THREAD_RUNNING && t->cancellable && !(held && t == task->implicit)) return t;
    }
    return NULL;
}

enum abi_trap host_task_request_cancel(struct host_instance *in, struct host_task *task, uint32_t caller) {
    if (task->state == HOST_TASK_INITIAL) {
        task->state = HOST_TASK_CANCEL_DELIVERED;
        enum abi_trap trap = resolve(in, task, NULL, true);
        struct host_ci *ci = task->thread.ci;
        host_thread_free(&task->thread);
        host_unhold(ci);
        return trap;
    }
    uint32_t ci = task->lift->o.ci;
    struct host_thread *t = cancellable(task);
    if (!t || !host_may_enter(in, ci, caller)) {
        task->state = HOST_TASK_PENDING_CANCEL;
        HOST_EACH(n, &task->threads) host_poke(container_of(n, struct host_thread, of_task)); /* once it may enter */
        return ABI_TRAP_NONE;
    }
    task->state = HOST_TASK_CANCEL_DELIVERED;
    enum abi_trap trap = host_enter(in, ci, caller);
    if (!trap) trap = host_resume(in, t, true);
    if (!trap) host_leave(in, ci, caller);
    return trap;
}
