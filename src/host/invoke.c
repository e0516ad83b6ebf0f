/* invoke: calls of exports that do not wait for their end on the caller's stack. */
#include <stdlib.h>

#include "host/host_int.h"

static void unlink_invocation(struct host_instance *in, struct host_invocation *inv) {
    if ((*inv->prev = inv->next)) inv->next->prev = inv->prev;
    in->calls--;
    inv->task = NULL;
}

static void tell_end(struct host_note *n) {
    struct host_invocation *inv = container_of(n, struct host_invocation, end_note);
    inv->on_end(inv, inv->arg);
}

static void tell_done(struct host_note *n) {
    struct host_invocation *inv = container_of(n, struct host_invocation, note);
    inv->done = true;
    if (inv->stillborn && inv->on_end) host_note(inv->call.instance, &inv->end_note, tell_end);
    inv->on_done(inv, inv->arg);
}

static void resolve(struct host_invocation *inv) {
    inv->resolved = true;
    host_note(inv->call.instance, &inv->note, tell_done);
}

static const struct host_type *params_of(const struct host_invocation *inv) { return host_export_params(inv->ex); }

void host_invocation_resolved(struct host_invocation *inv, bool cancelled) {
    struct host_instance *in = inv->call.instance;
    const struct host_type *t = host_export_result(inv->ex);
    unlink_invocation(in, inv);
    inv->cancelled = cancelled;
    if (t && inv->discard && !cancelled) host_value_drop(in, t, inv->result);
    resolve(inv);
}

void host_invocations_fail(struct host_instance *in, enum abi_trap t) {
    while (in->invocations) {
        struct host_invocation *inv = in->invocations;
        if (inv->task) {
            if (inv->task->args && params_of(inv)) host_value_drop(in, params_of(inv), inv->task->args);
            inv->task->args = NULL;
            inv->task->inv = NULL;
        }
        unlink_invocation(in, inv);
        inv->trap = t;
        resolve(inv);
    }
}

static void fail_now(struct host_invocation *inv, enum abi_trap t, const char *text) {
    struct host_instance *in = inv->call.instance;
    if (params_of(inv)) host_value_drop(in, params_of(inv), inv->args);
    inv->trap = host_fail(in, t, "%s", text);
    inv->stillborn = true;
    resolve(inv);
}

void host_invoke_with(struct host_invocation *inv, struct host_call *memory) {
    struct host_instance *in = inv->call.instance;
    const struct host_type *t = host_export_result(inv->ex);
    if (in->dead) {
        fail_now(inv, ABI_TRAP_CANNOT_ENTER, "cannot enter component instance");
        return;
    }
    inv->discard = t && !inv->result;
    if (inv->discard) inv->result = host_alloc(memory, t->host_size, 16);
    struct host_task *task = !t || inv->result ? host_task_new(in, inv->ex->lift) : NULL;
    if (!task) {
        fail_now(inv, ABI_TRAP_OUT_OF_MEMORY, "too many tasks are alive in this instance");
        return;
    }
    if (t) memset(inv->result, 0, t->host_size);
    inv->task = task;
    task->inv = inv;
    task->call = memory;
    task->args = inv->args;
    task->result = inv->result;
    inv->prev = &in->invocations;
    if ((inv->next = in->invocations)) inv->next->prev = &inv->next;
    in->invocations = inv;
    in->calls++;
    host_wait_without_fiber(&task->thread, HOST_WAIT_ENTER, NULL, true);
    host_schedule(in);
    if (!inv->task) inv->stillborn = true; /* no stack could be had, of which the instance has died */
}

void host_invoke(struct host_invocation *inv, struct host_instance *in, const struct host_export *ex, const void *args,
                 void *result, host_done_fn on_done, void *arg) {
    *inv = (struct host_invocation){.ex = ex, .args = args, .result = result, .on_done = on_done, .arg = arg};
    host_call_begin(&inv->call, in);
    host_invoke_with(inv, &inv->call);
}

void host_invoke_on_end(struct host_invocation *inv, void (*fn)(struct host_invocation *inv, void *arg)) {
    ENSURE((inv->task || inv->stillborn) && !inv->on_end && !inv->done);
    inv->on_end = fn;
    if (inv->task) host_task_set_root(inv->task, inv);
}

void host_invoke_meter(struct host_invocation *inv, struct engine_meter *m) {
    inv->meter = m;
    if (inv->task && inv->task->thread.fiber) engine_fiber_meter(inv->task->thread.fiber, m); /* it has been given one already */
}

void host_task_set_root(struct host_task *task, struct host_invocation *root) {
    task->root = root;
    if (root) root->tasks++;
}

void host_task_leave_root(struct host_task *task) {
    struct host_invocation *root = task->root;
    task->root = NULL;
    if (root && !--root->tasks && !root->call.instance->dead) host_note(root->call.instance, &root->end_note, tell_end);
}

struct host_invocation *host_instance_current(const struct host_instance *in) {
    return in->thread && in->thread->task ? in->thread->task->root : NULL;
}

struct host_invocation *host_instance_culprit(const struct host_instance *in) {
    return in->culprit;
}

bool host_export_busy(const struct host_instance *in, const struct host_export *ex) {
    const struct host_ci *ci = &in->cis[ex->lift->o.ci];
    return in->thread || ci->exclusive || ci->backpressure || ci->entering;
}

static enum abi_trap cancel_wanted(struct host_instance *in, void *arg) {
    (void)arg;
    for (struct host_invocation *inv = in->invocations, *next; inv; inv = next) {
        next = inv->next;
        if (!inv->cancel_wanted) continue;
        inv->cancel_wanted = false;
        return host_task_request_cancel(in, inv->task, PLAN_NONE);
    }
    return ABI_TRAP_NONE;
}

void host_invoke_cancel(struct host_invocation *inv) {
    if (inv->resolved || inv->cancel_asked) return;
    inv->cancel_wanted = inv->cancel_asked = true;
    if (!host_job(inv->call.instance, cancel_wanted, NULL)) inv->cancel_wanted = inv->cancel_asked = false;
}

void host_invoke_end(struct host_invocation *inv) {
    ENSURE(inv->done);
    host_call_end(&inv->call);
}
