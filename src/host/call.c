/* call: calls into the guest and out of it (CanonicalABI.md, canon lift, canon lower, canon resource.*).
 *
 *   core code --binding--> host function                    lift arguments, call, lower the result
 *   core code --binding--> lift of another component        lift, lower into it, call, lift, lower back
 *   C --host_call_export--> lift                            lower, call, lift, post-return */
#include <stdio.h>
#include <stdlib.h>

#include "host/host_int.h"

/* ---- memory of a call ------------------------------------------------------------------------- */

static void *alloc_slow(struct host_call *call, size_t n, size_t align) {
    struct host_component *c = call->instance->component;
    size_t bytes = n + align > HOST_CHUNK_BYTES ? n + align : HOST_CHUNK_BYTES;
    if (n > c->limits.call_bytes_max || call->bytes + bytes > c->limits.call_bytes_max) return NULL;
    if (!host_pay(call->instance, bytes)) return NULL;
    struct host_chunk *k = bytes == HOST_CHUNK_BYTES ? host_chunk_new(c) : malloc(sizeof *k + bytes);
    if (!k) {
        host_unpay(call->instance, bytes);
        return NULL;
    }
    k->bytes = bytes;
    call->bytes += bytes;
    k->next = call->chunks;
    call->chunks = k;
    uint8_t *p = (uint8_t *)(uintptr_t)align_up((uintptr_t)(k + 1), align);
    if (bytes == HOST_CHUNK_BYTES) { /* a chunk made for one block leaves the current one in use */
        call->free = p + n;
        call->limit = (uint8_t *)(k + 1) + bytes;
    }
    return p;
}

void *host_alloc(struct host_call *call, size_t n, size_t align) {
    uintptr_t p = (uintptr_t)align_up((uintptr_t)call->free, align);
    if (LIKELY(call->free && n <= (uintptr_t)call->limit - p && p <= (uintptr_t)call->limit)) {
        call->free = (uint8_t *)p + n;
        return (void *)p;
    }
    return alloc_slow(call, n, align);
}

str host_alloc_str(struct host_call *call, str s) {
    uint8_t *p = host_alloc(call, s.n + 1, 1);
    if (!p) return (str){};
    if (s.n) memcpy(p, s.p, s.n);
    return (str){p, s.n};
}

static void begin(struct host_call *call, struct host_instance *in, uint32_t caller) {
    *call = (struct host_call){.instance = in, .caller = caller};
}

void host_call_begin(struct host_call *call, struct host_instance *in) { begin(call, in, UINT32_MAX); }

void host_call_end(struct host_call *call) {
    if (call->lends) host_lends_return(call);
    if (LIKELY(!call->chunks)) return;
    struct host_component *c = call->instance->component;
    host_unpay(call->instance, call->bytes);
    for (struct host_chunk *k = call->chunks, *next; k; k = next) {
        next = k->next;
        if (k->bytes == HOST_CHUNK_BYTES) host_chunk_free(c, k);
        else free(k);
    }
    call->chunks = NULL;
    call->free = call->limit = NULL;
}

/* ---- traps ------------------------------------------------------------------------------------ */

enum abi_trap host_fail(struct host_instance *in, enum abi_trap t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(in->text, sizeof in->text, fmt, ap);
    va_end(ap);
    return in->engine ? engine_trap(in->engine, t, "%s", in->text) : t;
}

enum abi_trap host_trap(struct host_call *call, enum abi_trap t, const char *fmt, ...) {
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return host_fail(call->instance, t, "%s", text);
}

/* ---- core calls ------------------------------------------------------------------------------- */

static enum abi_trap host_binding_call(struct host_instance *in, const struct host_binding *b, uint64_t *slots);

enum abi_trap host_core_call(struct host_instance *in, const struct host_core *f, uint64_t *args) {
    ENSURE(!host_is_telling());
    if (UNLIKELY(in->dead)) return in->trap;
    if (LIKELY(f->func)) return engine_call(in->engine, f->func, args);
    /* A definition may lead to another as often as a component likes: lifts of lowered functions, destructors that drop. */
    if (UNLIKELY(!engine_stack_room(engine_instance_engine(in->engine))))
        return host_fail(in, ABI_TRAP_STACK_OVERFLOW, "call stack exhausted");
    return host_binding_call(in, f->canon, args);
}

void host_cx_memory(struct host_cx *cx) {
    if (!cx->o->has_memory) return;
    struct host_instance *in = cx->in;
    struct abi_memory *m = in->memories[cx->o->memory];
    if (UNLIKELY(!m)) {
        const struct host_memory *of = &in->component->memories.p[cx->o->memory];
        m = in->memories[cx->o->memory] = engine_memory_record(in->engine, of->instance, of->index);
    }
    cx->mem = (struct engine_bytes){m->base, m->bytes};
}

enum abi_trap host_copy(struct host_cx *cx, void *to, const void *from, uint64_t n) {
    if (cx->in->engine && !host_is_telling()) /* who is told must be back before anything else runs (note.c, 2) */
        return engine_copy(engine_instance_engine(cx->in->engine), to, from, n) ? ABI_TRAP_NONE : ABI_TRAP_INTERRUPTED;
    if (n) memmove(to, from, n);
    return ABI_TRAP_NONE;
}

/* A thread for code that cannot leave its instance: realloc has a context of its own. */
static void helper_thread(struct host_thread *t, const struct host_thread *outer) {
    t->in = outer ? outer->in : NULL;
    t->task = NULL;
    t->ci = NULL;
    t->state = HOST_THREAD_RUNNING;
    t->nested = true;
    t->index = 0;
    t->storage[0] = t->storage[1] = 0;
    t->fiber = outer ? outer->fiber : NULL;
    t->resumer = NULL;
}

/* The guest's. */
static enum abi_trap host_cx_realloc(struct host_cx *cx, const uint64_t args[4], uint64_t *ptr) {
    if (UNLIKELY(!host_core_given(&cx->o->realloc)))
        return host_fail(cx->in, ABI_TRAP_HOST, "no realloc function is given for this call");
    uint64_t slots[4] = {args[0], args[1], args[2], args[3]};
    bool before = cx->ci->no_leave;
    struct host_thread th, *outer = cx->in->thread;
    helper_thread(&th, outer);
    cx->in->thread = &th;
    cx->ci->no_leave = true;
    enum abi_trap trap = host_core_call(cx->in, &cx->o->realloc, slots);
    cx->ci->no_leave = before;
    cx->in->thread = outer;
    *ptr = cx->o->memory64 ? slots[0] : (uint32_t)slots[0];
    if (!trap) host_cx_memory(cx);
    return trap;
}

void host_cx_init(struct host_cx *cx, struct host_call *call, const struct host_options *o) {
    struct host_instance *in = call->instance;
    *cx = (struct host_cx){.call = call, .in = in, .o = o, .ci = &in->cis[o->ci], .reallocate = host_cx_realloc};
    host_cx_memory(cx);
}

/* ---- entering and leaving (CanonicalABI.md, Component Instances) ------------------------------ */

static bool holds(const struct host_instance *in, uint32_t outer, uint32_t inner) {
    for (; inner != PLAN_NONE; inner = in->cis[inner].parent)
        if (inner == outer) return true;
    return false;
}

enum abi_trap host_enter(struct host_instance *in, uint32_t callee, uint32_t caller) {
    for (uint32_t i = callee; i != PLAN_NONE && !holds(in, i, caller); i = in->cis[i].parent)
        if (UNLIKELY(in->cis[i].entered)) return host_fail(in, ABI_TRAP_CANNOT_ENTER, "cannot enter component instance");
    for (uint32_t i = callee; i != PLAN_NONE && !holds(in, i, caller); i = in->cis[i].parent) in->cis[i].entered = true;
    return ABI_TRAP_NONE;
}

bool host_may_enter(const struct host_instance *in, uint32_t callee, uint32_t caller) {
    for (uint32_t i = callee; i != PLAN_NONE && !holds(in, i, caller); i = in->cis[i].parent)
        if (in->cis[i].entered) return false;
    return true;
}

void host_leave(struct host_instance *in, uint32_t callee, uint32_t caller) {
    for (uint32_t i = callee; i != PLAN_NONE && !holds(in, i, caller); i = in->cis[i].parent) in->cis[i].entered = false;
}

static enum abi_trap cannot_leave(struct host_instance *in) {
    return host_fail(in, ABI_TRAP_CANNOT_LEAVE, "cannot leave component instance");
}

/* ---- calls of exports ------------------------------------------------------------------------- */

static void wake_caller(struct host_invocation *inv, void *arg) {
    (void)inv;
    engine_ready(arg);
}

/* An asynchronous lift: it may go on after it has returned, so it gets its own fiber. */
static enum abi_trap call_apart(struct host_call *call, const struct host_export *ex, const void *args, void *result) {
    struct host_instance *in = call->instance;
    struct engine *e = engine_instance_engine(in->engine);
    struct host_invocation inv = {.call = {.instance = in},
                                  .ex = ex,
                                  .args = args,
                                  .result = result,
                                  .on_done = wake_caller,
                                  .arg = engine_fiber_current(e)};
    host_invoke_with(&inv, call);
    while (!inv.resolved)
        if (!engine_park(e)) host_die(in, ABI_TRAP_INTERRUPTED);
    host_note_cancel(&inv.note);
    return inv.trap;
}

/* On the caller's own fiber. */
static enum abi_trap call_here(struct host_call *call, const struct host_lift *l, const void *args, void *result) {
    struct host_instance *in = call->instance;
    struct host_thread th = {};
    struct host_task task = {.lift = l, .call = call, .args = args, .result = result, .implicit = &th};
    task.thread.in = in;
    in->calls++;
    enum abi_trap trap = host_base_begin(in, &th, &task);
    th.nested = !l->async_type;
    if (!trap && l->async_type) {
        struct host_ci *ci = th.ci;
        if (host_has_backpressure(&task) || ci->entering) trap = host_wait(in, HOST_WAIT_ENTER, NULL, false, NULL);
        if (!trap) ci->exclusive = &th;
    }
    if (!trap) trap = host_task_run_here(in, &task, &th);
    const struct host_type *params = l->params[l->o.memory64];
    if (trap && task.args && params) host_value_drop(in, params, task.args);
    in->calls--;
    if (trap && th.in) host_die(in, trap);
    if (th.in) host_base_end(in, &th);
    return trap;
}

enum abi_trap host_call_export(struct host_call *call, const struct host_export *ex, const void *args, void *result) {
    struct host_instance *in = call->instance;
    const struct host_lift *l = ex->lift;
    const struct host_type *params = l->params[l->o.memory64], *t = l->result[l->o.memory64];
    _Alignas(16) uint8_t unwanted[HOST_VALUE_STACK_BYTES];
    bool discard = t && !result;
    if (discard) result = host_room(call, t, unwanted);
    enum abi_trap trap = ABI_TRAP_NONE;
    if (in->dead || (in->engine && host_on_thread(in)))
        trap = host_fail(in, ABI_TRAP_CANNOT_ENTER, "cannot enter component instance");
    else if (t && !result) trap = host_too_much(in);
    if (trap) {
        if (params) host_value_drop(in, params, args);
        return trap;
    }
    trap = l->is_async ? call_apart(call, ex, args, result) : call_here(call, l, args, result);
    if (!trap && discard) host_value_drop(in, t, result);
    return trap;
}

/* ---- lowered functions ------------------------------------------------------------------------ */

enum abi_trap host_lift_params(struct host_cx *cx, const struct host_binding *b, const uint64_t *slots, void *args) {
    if (!b->params) return ABI_TRAP_NONE;
    const uint64_t *v = slots;
    enum abi_trap trap = b->params_spilled ? host_load_at(cx, b->params, cx->o->memory64 ? *slots : (uint32_t)*slots, args)
                                           : host_lift_flat(cx, b->params, &v, args);
    if (trap && cx->call->moved) host_moved_drop(cx->call);
    cx->call->moved = NULL;
    return trap;
}

enum abi_trap host_lower_result(struct host_cx *cx, const struct host_binding *b, const void *result, uint64_t *slots,
                                uint64_t ptr) {
    cx->owns = 0;
    host_cx_memory(cx);
    enum abi_trap trap =
        b->result_spilled ? host_store_at(cx, b->result, ptr, result) : host_lower_flat(cx, b->result, &slots, result);
    if (trap && b->result->has_own) host_value_drop_from(cx->in, b->result, result, cx->owns);
    return trap;
}

/* The callee's function is not async: it runs on this stack, and has returned when it is back. */
static enum abi_trap call_lift(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_subtask s;
    struct host_thread th = {.nested = true}, *outer = in->thread;
    struct host_task task = {.lift = b->lift, .subtask = &s, .implicit = &th, .root = outer->task ? outer->task->root : NULL};
    uint64_t flat[HOST_FLAT_ASYNC_MAX + 1];
    s.in = in;
    s.b = b;
    s.state = HOST_SUBTASK_STARTING;
    s.listed = s.cancel_requested = false;
    s.callee = &task;
    s.waiter = NULL;
    s.slots = slots;
    if (b->is_async) s.slots = memcpy(flat, slots, MIN(b->params_flat, HOST_FLAT_ASYNC_MAX) * sizeof *slots);
    uint64_t ptr = b->result_spilled ? slots[b->params_flat] : 0;
    s.result_ptr = b->o.memory64 ? ptr : (uint32_t)ptr;
    begin(&s.call, in, b->o.ci);
    task.call = &s.call;
    enum abi_trap trap = host_enter(in, b->lift->o.ci, b->o.ci);
    if (trap) return trap;
    host_thread_add(in, &th, &task, &in->cis[b->lift->o.ci], HOST_STEP_OWN);
    th.fiber = outer->fiber;
    th.state = HOST_THREAD_RUNNING;
    in->thread = &th;
    trap = host_task_run_here(in, &task, &th);
    host_thread_remove(&th);
    if (in->thread == &th) in->thread = outer;
    if (!trap) host_leave(in, b->lift->o.ci, b->o.ci);
    host_call_end(&s.call);
    return trap;
}

/* p has room for 16 bytes and is aligned to them. */
static void clear(void *p, size_t n) {
    if (LIKELY(n <= 16)) memset(p, 0, 16);
    else memset(p, 0, n);
}

static enum abi_trap call_host(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_call call;
    struct host_cx cx;
    _Alignas(16) uint8_t args_small[HOST_VALUE_STACK_BYTES], result_small[HOST_VALUE_STACK_BYTES];
    begin(&call, in, b->o.ci);
    host_cx_init(&cx, &call, &b->o);
    uint64_t result_ptr = b->result_spilled ? slots[b->params_flat] : 0;
    if (!b->o.memory64) result_ptr = (uint32_t)result_ptr;
    void *args = host_room(&call, b->params, args_small), *result = host_room(&call, b->result, result_small);
    enum abi_trap trap;
    if ((b->params && !args) || (b->result && !result)) trap = host_too_much(in);
    else trap = host_lift_params(&cx, b, slots, args);
    if (!trap && b->result) clear(result, b->result->host_size);
    if (!trap) trap = b->fn(&call, args, result);
    if (!trap && b->result) trap = host_lower_result(&cx, b, result, slots, result_ptr);
    host_call_end(&call);
    return trap;
}

static enum abi_trap call_lowered(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    if (UNLIKELY(b->related)) /* parent and child instances may not call each other (the suite's async/trap-on-reenter) */
        return host_fail(in, ABI_TRAP_CANNOT_ENTER, "cannot enter component instance");
    if (b->async_type) return host_lower_async(in, b, slots);
    enum abi_trap trap = b->lift ? call_lift(in, b, slots) : call_host(in, b, slots);
    if (b->is_async) slots[0] = HOST_SUBTASK_RETURNED;
    return trap;
}

/* ---- resources -------------------------------------------------------------------------------- */

static enum abi_trap wrong_handle(struct host_instance *in, const struct host_binding *b, const struct host_handle *h,
                                  uint32_t i) {
    if (!h) return host_fail(in, ABI_TRAP_HOST, "unknown handle index %u", i);
    const char *want = b->resource->drop ? b->resource->name : "guest-defined resource";
    const char *have = h->type->drop ? h->type->name : "guest-defined resource";
    return host_fail(in, ABI_TRAP_HOST, "handle index %u used with the wrong type, expected %s but found %s%s", i, want,
                     h->type->drop ? "" : "a different ", have);
}

/* The destructor is a function of the instance that defines the resource, called as one (canon resource.drop). */
static enum abi_trap run_destructor(struct host_instance *in, const struct host_binding *b, uint64_t rep) {
    enum abi_trap trap = host_enter(in, b->dtor_ci, b->o.ci);
    if (trap) return trap;
    if (host_core_given(&b->dtor)) {
        struct host_thread th = {.nested = true}, *outer = in->thread;
        struct host_task task = {.state = HOST_TASK_RESOLVED, .implicit = &th};
        uint64_t slots[1] = {rep};
        host_thread_add(in, &th, &task, &in->cis[b->dtor_ci], HOST_STEP_OWN);
        th.fiber = outer->fiber;
        th.state = HOST_THREAD_RUNNING;
        in->thread = &th;
        trap = host_core_call(in, &b->dtor, slots);
        host_task_leave_stack(in, &task, &th);
        host_thread_remove(&th);
        if (in->thread == &th) in->thread = outer;
    }
    if (!trap) host_leave(in, b->dtor_ci, b->o.ci);
    return trap;
}

static enum abi_trap resource_drop(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_table *table = &in->cis[b->o.ci].table;
    uint32_t i = (uint32_t)slots[0];
    struct host_handle *h = host_table_get(table, i);
    if (!h || h->type != b->resource) return wrong_handle(in, b, h, i);
    if (h->lends) return host_fail(in, ABI_TRAP_HOST, "cannot remove owned resource while borrowed");
    struct host_handle dropped = *h;
    host_table_remove(table, i);
    if (dropped.kind == HOST_HANDLE_BORROW) {
        dropped.scope->borrows--;
        return ABI_TRAP_NONE;
    }
    if (!dropped.type->drop) return run_destructor(in, b, dropped.rep);
    dropped.type->drop(in, (void *)(uintptr_t)dropped.rep);
    return ABI_TRAP_NONE;
}

static enum abi_trap resource_new(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_table *table = &in->cis[b->o.ci].table;
    uint64_t rep = b->wide ? slots[0] : (uint32_t)slots[0];
    slots[0] = host_table_add(table, (struct host_handle){.type = b->resource, .rep = rep, .kind = HOST_HANDLE_OWN});
    return slots[0] ? ABI_TRAP_NONE
                    : host_fail(in, ABI_TRAP_HOST, "the handle table is full: %u handles are alive", table->alive);
}

static enum abi_trap resource_rep(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    uint32_t i = (uint32_t)slots[0];
    const struct host_handle *h = host_table_get(&in->cis[b->o.ci].table, i);
    if (!h || h->type != b->resource) return wrong_handle(in, b, h, i);
    slots[0] = h->rep;
    return ABI_TRAP_NONE;
}

/* ---- all of them ------------------------------------------------------------------------------ */

static enum abi_trap context(struct host_thread *t, const struct host_binding *b, uint64_t *slots) {
    uint64_t none = 0, *storage = t ? &t->storage[b->slot] : &none;
    if (b->kind == HOST_BIND_CONTEXT_GET) slots[0] = b->wide ? *storage : (uint32_t)*storage;
    else *storage = b->wide ? slots[0] : (uint32_t)slots[0];
    return ABI_TRAP_NONE;
}

static enum abi_trap backpressure(struct host_instance *in, const struct host_binding *b) {
    struct host_ci *ci = &in->cis[b->o.ci];
    bool inc = b->kind == HOST_BIND_BACKPRESSURE_INC;
    if (ci->backpressure == (inc ? UINT16_MAX : 0)) return host_fail(in, ABI_TRAP_HOST, "backpressure counter out of range");
    ci->backpressure = (uint16_t)(inc ? ci->backpressure + 1 : ci->backpressure - 1);
    if (!ci->backpressure) host_unhold(ci);
    return ABI_TRAP_NONE;
}

/* A canonical definition, called by core code (or by C in its stead). */
static enum abi_trap host_binding_call(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    if (LIKELY(b->kind <= HOST_BIND_LIFT)) return in->cis[b->o.ci].no_leave ? cannot_leave(in) : call_lowered(in, b, slots);
    switch (b->kind) { /* those that may be called where the instance may not be left */
    case HOST_BIND_CONTEXT_GET:
    case HOST_BIND_CONTEXT_SET: return context(in->thread, b, slots);
    case HOST_BIND_RESOURCE_REP: return resource_rep(in, b, slots);
    case HOST_BIND_BACKPRESSURE_INC:
    case HOST_BIND_BACKPRESSURE_DEC: return backpressure(in, b);
    default: break;
    }
    if (UNLIKELY(in->cis[b->o.ci].no_leave)) return cannot_leave(in);
    switch (b->kind) {
    case HOST_BIND_RESOURCE_NEW: return resource_new(in, b, slots);
    case HOST_BIND_RESOURCE_DROP: return resource_drop(in, b, slots);
    case HOST_BIND_TASK: return b->builtin(in, b, slots);
    case HOST_BIND_UNSUPPORTED: return host_fail(in, ABI_TRAP_HOST, "%s is not supported", b->name);
    default: ENSURE(false);
    }
}

enum abi_trap host_bound(struct engine_call *call, uint64_t *args) {
    struct host_instance *in = engine_instance_user(engine_call_instance(call));
    const struct host_binding *b = engine_call_data(call);
    enum abi_trap t = host_binding_call(in, b, args);
    /* What a guest dropped is gone when it goes on (a socket's port is free). But a realloc has a value of ours below it. */
    if (LIKELY(!in->cis[b->o.ci].no_leave)) host_tell(in);
    return UNLIKELY(in->dead) && !t ? in->trap : t; /* who was told may have found out that it must trap */
}
