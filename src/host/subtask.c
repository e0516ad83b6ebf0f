/* subtask: calls that may not be done when they return (CanonicalABI.md, Subtask State, canon lower).
 *
 * 1. A subtask is its lowering's: it holds the caller's arguments until the callee starts, and lowers the result
 *    into the caller's memory the moment the callee returns.
 * 2. A listed one belongs to the handle table it is in; another to the fiber that runs host_lower_async, which a
 *    synchronous caller sleeps in.
 * 3. A host's pends while ops is not NULL; it is in in->pendings exactly then. */
#include <stdio.h>
#include <stdlib.h>

#include "host/host_int.h"

static const struct host_resource host_is_subtask = {.name = "subtask"};

static bool resolved(const struct host_subtask *s) { return s->state >= HOST_SUBTASK_RETURNED; }

static struct host_subtask *subtask_new(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    if (!host_charge(in, sizeof(struct host_subtask))) return NULL;
    struct host_subtask *s = calloc(1, sizeof *s);
    if (!s) {
        host_uncharge(in, sizeof *s);
        return NULL;
    }
    s->in = in;
    s->b = b;
    s->call = (struct host_call){.instance = in, .caller = b->o.ci, .subtask = s};
    s->slots = slots;
    s->w.is_subtask = true;
    s->w.ci = &in->cis[b->o.ci];
    uint64_t ptr = b->result_spilled ? slots[b->params_flat] : 0;
    s->result_ptr = b->o.memory64 ? ptr : (uint32_t)ptr;
    if (!b->is_async) return s;
    memcpy(s->flat, slots, b->params_flat * sizeof *slots);
    s->slots = s->flat;
    return s;
}

static void unpend(struct host_subtask *s) {
    host_list_remove(&s->of_instance);
    s->ops = NULL;
}

static void tell_gone(struct host_note *n) {
    struct host_subtask *s = container_of(n, struct host_subtask, note);
    const struct host_pending_ops *ops = s->ops;
    if (!ops) return; /* it was done meanwhile */
    unpend(s);
    if (ops->gone) ops->gone((struct host_pending *)s, s->ops_arg);
}

/* One whose caller unwinds is told on the caller's fiber, as there is no later. */
void host_subtask_free(struct host_subtask *s) {
    host_note_cancel(&s->note);
    tell_gone(&s->note);
    if (!s->delivered) host_call_end(&s->call);
    host_uncharge(s->in, sizeof *s);
    free(s);
}

static void deliver_resolve(struct host_subtask *s) {
    s->delivered = true;
    host_call_end(&s->call);
}

struct host_event_data host_subtask_event(struct host_subtask *s) {
    if (resolved(s)) deliver_resolve(s);
    return (struct host_event_data){HOST_EVENT_SUBTASK, s->w.index, s->state};
}

static void subtask_cx(struct host_cx *cx, struct host_subtask *s) {
    host_cx_init(cx, &s->call, &s->b->o);
    cx->fused = s->b->lift;
    cx->copy = !s->b->lift;
}

static void progress(struct host_subtask *s) {
    if (s->listed) host_waitable_notify(&s->w);
    else if (s->waiter) host_poke(s->waiter);
}

enum abi_trap host_subtask_start(struct host_subtask *s, void *args) {
    struct host_cx cx;
    s->state = HOST_SUBTASK_STARTED;
    progress(s);
    subtask_cx(&cx, s);
    return host_lift_params(&cx, s->b, s->slots, args);
}

enum abi_trap host_subtask_resolve(struct host_subtask *s, enum host_subtask_state state, const void *result) {
    enum abi_trap trap = ABI_TRAP_NONE;
    if (state == HOST_SUBTASK_RETURNED && s->b->result) {
        struct host_cx cx;
        subtask_cx(&cx, s);
        trap = host_lower_result(&cx, s->b, result, s->slots, s->result_ptr);
    }
    s->state = (uint8_t)state;
    s->callee = NULL;
    progress(s);
    return trap;
}

/* ---- calling ---------------------------------------------------------------------------------- */

static enum abi_trap too_many(struct host_instance *in) {
    return host_fail(in, ABI_TRAP_OUT_OF_MEMORY, "too many asynchronous calls are under way: %u threads alive",
                     in->threads_count);
}

static enum abi_trap call_guest(struct host_subtask *s) {
    struct host_instance *in = s->in;
    uint32_t callee = s->b->lift->o.ci, caller = s->b->o.ci;
    enum abi_trap trap = host_enter(in, callee, caller);
    if (trap) return trap;
    struct host_task *task = host_task_new(in, s->b->lift);
    if (!task) return too_many(in);
    host_task_set_root(task, host_instance_current(in));
    task->subtask = s;
    task->call = &s->call;
    s->callee = task;
    trap = host_task_begin(in, task);
    if (!trap) host_leave(in, callee, caller);
    return trap;
}

static enum abi_trap call_host(struct host_subtask *s) {
    const struct host_binding *b = s->b;
    if (b->params) s->args = host_alloc(&s->call, b->params->host_size, 16);
    if (b->result) s->result = host_alloc(&s->call, b->result->host_size, 16);
    if ((b->params && !s->args) || (b->result && !s->result)) return host_too_much(s->in);
    enum abi_trap trap = host_subtask_start(s, s->args);
    if (trap) return trap;
    if (b->result) memset(s->result, 0, b->result->host_size);
    s->in_fn = true;
    trap = b->fn(&s->call, s->args, s->result);
    s->in_fn = false;
    if (trap) unpend(s);
    if (trap || s->ops) return trap;
    return host_subtask_resolve(s, s->early ? s->outcome : HOST_SUBTASK_RETURNED, s->result);
}

static enum abi_trap list(struct host_subtask *s, uint64_t *slots) {
    s->w.index = host_table_add(&s->w.ci->table,
                                (struct host_handle){.type = &host_is_subtask, .rep = (uintptr_t)s, .kind = HOST_HANDLE_SUBTASK});
    if (!s->w.index) return host_full(s->in, s->w.ci);
    s->listed = true;
    slots[0] = s->state | s->w.index << 4;
    return ABI_TRAP_NONE;
}

enum abi_trap host_lower_async(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_subtask *s = subtask_new(in, b, slots);
    if (!s) return too_many(in);
    enum abi_trap trap = b->lift ? call_guest(s) : call_host(s);
    if (!trap && b->is_async && !resolved(s)) trap = list(s, slots);
    else if (!trap && b->is_async) slots[0] = s->state;
    else if (!trap && !resolved(s)) trap = host_wait(in, HOST_WAIT_SUBTASK, s, false, NULL);
    if (!s->listed) host_subtask_free(s);
    return trap;
}

/* ---- built-ins -------------------------------------------------------------------------------- */

static struct host_subtask *find(struct host_ci *ci, uint32_t i) {
    struct host_handle *h = host_table_get(&ci->table, i);
    return h && h->kind == HOST_HANDLE_SUBTASK ? (struct host_subtask *)(uintptr_t)h->rep : NULL;
}

enum { BLOCKED = 0xffffffff };

static void tell_cancel(struct host_note *n) {
    struct host_subtask *s = container_of(n, struct host_subtask, note);
    if (s->ops && s->ops->cancel) s->ops->cancel((struct host_pending *)s, s->ops_arg);
}

static enum abi_trap request_cancel(struct host_subtask *s) {
    s->cancel_requested = true;
    if (s->callee) return host_task_request_cancel(s->in, s->callee, s->b->o.ci);
    if (s->ops) host_note(s->in, &s->note, tell_cancel);
    host_tell(s->in); /* most answer at once; s is its guest's to drop */
    return s->in->dead ? s->in->trap : ABI_TRAP_NONE;
}

enum abi_trap host_subtask_cancel(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    uint32_t i = (uint32_t)slots[0];
    struct host_subtask *s = find(ci, i);
    if (!s && !b->async_op && in->thread->nested) return host_cannot_block(in, "unknown subtask");
    if (!s) return host_no_such(in, ci, i, "subtask");
    if (s->delivered) return host_fail(in, ABI_TRAP_HOST, "subtask.cancel: the subtask's terminal status was delivered already");
    if (s->cancel_requested) return host_fail(in, ABI_TRAP_HOST, "subtask.cancel was called already for this subtask");
    if (s->w.set) return host_in_set(in); /* asynchronously, too */
    enum abi_trap trap = resolved(s) ? ABI_TRAP_NONE : request_cancel(s);
    if (!trap && !resolved(s)) {
        if (b->async_op) {
            slots[0] = BLOCKED;
            return ABI_TRAP_NONE;
        }
        trap = host_wait(in, HOST_WAIT_WAITABLE, &s->w, false, NULL);
    }
    if (trap) return trap;
    slots[0] = host_waitable_take(&s->w).p2;
    return ABI_TRAP_NONE;
}

enum abi_trap host_subtask_drop(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    uint32_t i = (uint32_t)slots[0];
    struct host_subtask *s = find(ci, i);
    if (!s) return host_no_such(in, ci, i, "subtask");
    if (!s->delivered) return host_fail(in, ABI_TRAP_HOST, "cannot drop a subtask which has not yet resolved");
    host_waitable_leave(&s->w);
    host_table_remove(&ci->table, i);
    host_subtask_free(s);
    return ABI_TRAP_NONE;
}

/* ---- what the host implements ----------------------------------------------------------------- */

struct host_pending *host_pend(struct host_call *call, const struct host_pending_ops *ops, void *arg) {
    struct host_subtask *s = call->subtask;
    ENSURE(s && s->in_fn && !s->ops && !s->early);
    s->ops = ops;
    s->ops_arg = arg;
    host_list_push(&s->in->pendings, &s->of_instance);
    return (struct host_pending *)s;
}

static enum abi_trap finish(struct host_instance *in, void *arg) {
    struct host_subtask *s = arg;
    (void)in;
    return host_subtask_resolve(s, s->outcome, s->result);
}

static void end(struct host_pending *p, enum host_subtask_state outcome) {
    struct host_subtask *s = (struct host_subtask *)(void *)p;
    struct host_instance *in = s->in;
    ENSURE(s->ops);
    unpend(s);
    s->outcome = outcome;
    if (s->in_fn) {
        s->early = true;
        return;
    }
    bool realloc = outcome == HOST_SUBTASK_RETURNED && s->b->result && s->b->result->has_pointer;
    enum abi_trap trap = ABI_TRAP_NONE;
    if (!realloc) trap = finish(in, s);
    else if (!host_job(in, finish, s)) trap = too_many(in);
    if (trap) host_die(in, trap);
    host_schedule(in);
}

void host_pending_done(struct host_pending *p) { end(p, HOST_SUBTASK_RETURNED); }

void host_pending_cancelled(struct host_pending *p) {
    ENSURE(((struct host_subtask *)(void *)p)->cancel_requested);
    end(p, HOST_SUBTASK_CANCELLED_BEFORE_RETURNED);
}

void host_pendings_gone(struct host_instance *in) {
    HOST_EACH(n, &in->pendings) {
        struct host_subtask *s = container_of(n, struct host_subtask, of_instance);
        host_note_cancel(&s->note);
        host_note(in, &s->note, tell_gone);
    }
}
