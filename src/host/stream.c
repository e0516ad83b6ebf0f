/* stream: streams and futures between guests (CanonicalABI.md, Stream State, Future State, canon stream.*,
 * future.*). A future is a stream of one element that ends with it.
 *
 * An end, as its guest sees it:
 *
 *            read, write                   event taken
 *     IDLE ──────────────> COPYING ──────────────────────────> IDLE, or OVER: the other end was dropped
 *      ^                      │ cancel                           ^     (a future: or the value has been copied)
 *      └── event taken ── CANCELLING ────────────────────────────┘
 *
 * 1. pipe->pending is the end whose buffer is on offer; the other side copies into or out of it, as often as it
 *    likes until the event that tells its owner has been taken (reclaim).
 * 2. An end whose other side is the host's (pipe.c) is always the pending one: it offers, and the host is woken. */
#include <stdio.h>
#include <stdlib.h>

#include "host/host_int.h"

static void drop_stream_value(struct host_instance *in, void *rep) {
    (void)in;
    struct host_pipe *p = rep;
    host_end_drop(&p->end[0]);
}
const struct host_resource host_is_stream = {.name = "stream", .drop = drop_stream_value};
const struct host_resource host_is_future = {.name = "future", .drop = drop_stream_value};

enum { BLOCKED = 0xffffffff, LENGTH_MAX = (1 << 28) - 1 /* Buffer.MAX_LENGTH */ };

static const char *noun(const struct host_pipe *p) { return p->future ? "future" : "stream"; }

/* ---- pipes ------------------------------------------------------------------------------------ */

struct host_pipe *host_pipe_new(struct host_instance *in, bool future) {
    if (!host_charge(in, sizeof(struct host_pipe))) return NULL;
    struct host_pipe *p = calloc(1, sizeof *p);
    if (!p) {
        host_uncharge(in, sizeof *p);
        return NULL;
    }
    p->in = in;
    p->future = future;
    p->refs = 2;
    p->elem = PLAN_NONE;
    for (int i = 0; i < 2; i++) p->end[i].pipe = p;
    p->end[1].writable = true;
    host_list_push(&in->pipes, &p->of_instance);
    return p;
}

void host_pipe_unref(struct host_pipe *p) {
    if (--p->refs) return;
    if (p->in) {
        host_list_remove(&p->of_instance);
        host_uncharge(p->in, sizeof *p);
    }
    free(p);
}

static struct host_end *other_of(struct host_end *e) { return &e->pipe->end[!e->writable]; }

static void set_event(struct host_end *e, enum host_copy_result result, bool reclaim) {
    e->result = (uint8_t)result;
    e->reclaim = reclaim;
    host_waitable_notify(&e->w);
}

static void reset_and_notify(struct host_pipe *p, enum host_copy_result result) {
    struct host_end *e = p->pending;
    p->pending = NULL;
    set_event(e, result, false);
}

struct host_event_data host_end_event(struct host_end *e) {
    struct host_pipe *p = e->pipe;
    static const uint8_t codes[2][2] = {{HOST_EVENT_STREAM_READ, HOST_EVENT_STREAM_WRITE},
                                        {HOST_EVENT_FUTURE_READ, HOST_EVENT_FUTURE_WRITE}};
    if (e->reclaim && p->pending == e) p->pending = NULL;
    bool over = e->result == HOST_RESULT_DROPPED || (p->future && e->result == HOST_RESULT_COMPLETED);
    e->state = over ? HOST_COPY_OVER : HOST_COPY_IDLE;
    return (struct host_event_data){codes[p->future][e->writable], e->w.index,
                                    p->future ? e->result : e->result | e->progress << 4};
}

static void tell_waker(struct host_note *n) {
    struct host_end *e = container_of(n, struct host_end, note);
    if (e->waker) e->waker(e->waker_arg);
}

void host_end_wake(struct host_end *e) {
    if (e->where == HOST_END_HOST && e->waker && e->pipe->in) host_note(e->pipe->in, &e->note, tell_waker);
}

void host_end_drop(struct host_end *e) {
    struct host_pipe *p = e->pipe;
    struct host_instance *in = p->in;
    if (e->where == HOST_END_HOST && in) in->host_ends--;
    e->where = HOST_END_DROPPED;
    e->host_p = NULL;
    host_note_cancel(&e->note);
    host_waitable_leave(&e->w);
    if (!p->dropped) {
        p->dropped = true;
        if (p->pending) reset_and_notify(p, HOST_RESULT_DROPPED);
        host_end_wake(other_of(e));
    }
    host_pipe_unref(p);
    if (in) host_schedule(in);
}

void host_pipes_gone(struct host_instance *in) {
    HOST_EACH(n, &in->pipes) {
        struct host_pipe *p = container_of(n, struct host_pipe, of_instance);
        p->pending = NULL;
        p->dropped = p->gone = true;
        for (int i = 0; i < 2; i++) host_end_wake(&p->end[i]);
    }
}

static void pipe_detach(struct host_pipe *p) {
    struct host_instance *in = p->in;
    for (int i = 0; i < 2; i++) {
        struct host_end *e = &p->end[i];
        host_note_cancel(&e->note);
        if (e->job) p->refs--; /* no fiber is left to do it */
        e->job = false;
        if (e->where == HOST_END_HOST) in->host_ends--;
        if (e->where != HOST_END_GUEST && e->where != HOST_END_MOVING) continue;
        e->where = HOST_END_DROPPED;
        p->refs--;
    }
    host_list_remove(&p->of_instance);
    host_uncharge(in, sizeof *p);
    p->in = NULL;
    if (!p->refs) free(p);
}

void host_pipes_detach(struct host_instance *in) {
    while (!host_list_empty(&in->pipes)) pipe_detach(container_of(in->pipes.next, struct host_pipe, of_instance));
}

/* ---- copying ---------------------------------------------------------------------------------- */

static const struct host_type *elem_of(const struct host_end *e) {
    const struct host_pipe *p = e->pipe;
    return p->elem == PLAN_NONE ? NULL : p->in->component->types[e->o->memory64][p->elem];
}

static uint32_t remain(const struct host_end *e) { return e->length - e->progress; }

static enum abi_trap copy_elements(struct host_cx *from, struct host_cx *to, const struct host_type *t, const struct host_type *u,
                                   uint64_t src, uint64_t dst, uint32_t n) {
    void *value = host_alloc(from->call, t->host_size, 16);
    if (!value) return host_too_much(from->in);
    for (uint32_t i = 0; i < n; i++) {
        host_cx_memory(from);
        enum abi_trap trap = host_load(from, t, src + (uint64_t)i * t->size, value);
        if (trap) return trap;
        from->call->moved = NULL;
        host_cx_memory(to);
        trap = host_store(to, u, dst + (uint64_t)i * u->size, value);
        if (trap) return trap;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap copy(struct host_instance *in, struct host_end *src, struct host_end *dst, uint32_t n) {
    const struct host_type *t = elem_of(src), *u = elem_of(dst);
    enum abi_trap trap = ABI_TRAP_NONE;
    if (t) {
        struct host_call call = {.instance = in, .caller = host_ci_number(in, src->w.ci)};
        struct host_cx from, to;
        host_cx_init(&from, &call, src->o);
        host_cx_init(&to, &call, dst->o);
        from.fused = to.fused = true;
        uint64_t at = src->ptr + (uint64_t)src->progress * t->size, put = dst->ptr + (uint64_t)dst->progress * u->size;
        if (t->plain) memmove(to.mem.p + put, from.mem.p + at, (uint64_t)n * t->size);
        else trap = copy_elements(&from, &to, t, u, at, put, n);
        if (trap) host_moved_drop(&call);
        host_call_end(&call);
    }
    src->progress += n;
    dst->progress += n;
    return trap;
}

static bool number_or_none(const struct host_end *e) {
    const struct host_type *t = elem_of(e);
    return !t || (t->kind >= HOST_S8 && t->kind <= HOST_F64);
}

/* What is copied at one meeting: bounded, as nobody else runs meanwhile. The rest is a later one's, which partial
 * copies allow. */
enum { MEETING_BYTES_MAX = 1 << 20, MEETING_VALUES_MAX = 1024 };

static uint32_t most(const struct host_end *e) {
    const struct host_type *t = elem_of(e);
    if (!t) return UINT32_MAX;
    return t->plain ? MAX(MEETING_BYTES_MAX / t->size, 1u) : MEETING_VALUES_MAX;
}

/* Both are there; e has come last. */
static enum abi_trap meet(struct host_instance *in, struct host_end *e, struct host_end *o) {
    struct host_pipe *p = e->pipe;
    if (e->w.ci == o->w.ci && !number_or_none(e))
        return host_fail(in, ABI_TRAP_HOST, "cannot read from and write to intra-component %s", noun(p));
    if (remain(o)) {
        uint32_t n = MIN(MIN(remain(e), remain(o)), most(e));
        if (n) {
            enum abi_trap trap = e->writable ? copy(in, e, o, n) : copy(in, o, e, n);
            if (trap) return trap;
            if (p->future) reset_and_notify(p, HOST_RESULT_COMPLETED);
            else set_event(o, HOST_RESULT_COMPLETED, true);
        }
        set_event(e, HOST_RESULT_COMPLETED, false);
    } else if (e->writable && !e->length && !o->length) {
        set_event(e, HOST_RESULT_COMPLETED, false);
    } else {
        reset_and_notify(p, HOST_RESULT_COMPLETED);
        p->pending = e;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap host_pipe_copy(struct host_instance *in, struct host_end *e) {
    struct host_pipe *p = e->pipe;
    if (p->dropped) {
        set_event(e, HOST_RESULT_DROPPED, false);
    } else if (p->pending) {
        return meet(in, e, p->pending);
    } else {
        p->pending = e;
        host_end_wake(other_of(e));
        in->asks = e; /* what needs a fiber of the guest's to be copied has one here */
        host_tell(in);
        in->asks = NULL;
        if (in->dead) return in->trap;
        return e->writable ? ABI_TRAP_NONE : host_pipe_take_offer(in, p);
    }
    return ABI_TRAP_NONE;
}

static void host_pipe_cancel(struct host_end *e) {
    ENSURE(e->pipe->pending == e);
    reset_and_notify(e->pipe, HOST_RESULT_CANCELLED);
}

/* ---- built-ins -------------------------------------------------------------------------------- */

static uint32_t add(struct host_ci *ci, struct host_end *e) {
    e->where = HOST_END_GUEST;
    e->state = HOST_COPY_IDLE;
    e->w.ci = ci;
    e->w.index = host_table_add(&ci->table, (struct host_handle){.type = e->pipe->future ? &host_is_future : &host_is_stream,
                                                                 .rep = (uintptr_t)e,
                                                                 .kind = HOST_HANDLE_END});
    return e->w.index;
}

static void set_elem(struct host_pipe *p, uint32_t elem) {
    p->elem = elem;
    p->typed = true;
    p->host_size = elem == PLAN_NONE ? 0 : p->in->component->types[0][elem]->host_size;
}

enum abi_trap host_pipe_new_builtin(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    struct host_pipe *p = host_pipe_new(in, b->end_type == &host_is_future);
    if (!p) return host_fail(in, ABI_TRAP_OUT_OF_MEMORY, "too many streams and futures");
    set_elem(p, b->elem);
    uint64_t r = add(ci, &p->end[0]), w = r ? add(ci, &p->end[1]) : 0;
    slots[0] = r | w << 32;
    return w ? ABI_TRAP_NONE : host_full(in, ci);
}

static struct host_end *end_at(struct host_ci *ci, uint32_t i) {
    const struct host_handle *h = host_table_get(&ci->table, i);
    return h && h->kind == HOST_HANDLE_END ? (struct host_end *)(uintptr_t)h->rep : NULL;
}

static enum abi_trap wrong_end(struct host_instance *in, struct host_ci *ci, uint32_t i, const char *end, const char *what) {
    char text[64];
    snprintf(text, sizeof text, "%s end of a %s of this type", end, what);
    const struct host_end *e = end_at(ci, i);
    if (!e) return host_no_such(in, ci, i, text);
    return host_fail(in, ABI_TRAP_HOST, "handle index %u used with the wrong type, expected a %s", i, text);
}

static bool fits(const struct host_end *e, bool writable, const struct host_resource *type, uint32_t elem) {
    return e && e->writable == writable && e->pipe->future == (type == &host_is_future) && e->pipe->elem == elem;
}

/* The end that a built-in is called with; sync: it would block. */
static enum abi_trap find(struct host_instance *in, const struct host_binding *b, uint64_t slot, bool writable, bool sync,
                          struct host_end **out) {
    struct host_ci *ci = &in->cis[b->o.ci];
    uint32_t i = (uint32_t)slot;
    *out = end_at(ci, i);
    if (fits(*out, writable, b->end_type, b->elem)) return ABI_TRAP_NONE;
    enum abi_trap trap = wrong_end(in, ci, i, writable ? "writable" : "readable", b->end_type->name);
    return sync && in->thread->nested ? host_cannot_block(in, "unknown handle") : trap;
}

static enum abi_trap not_idle(struct host_instance *in, const struct host_end *e, const char *verb) {
    const struct host_pipe *p = e->pipe;
    if (e->state != HOST_COPY_OVER)
        return host_fail(in, ABI_TRAP_HOST, "cannot have concurrent operations active on a future/stream");
    if (p->future && e->writable)
        return host_fail(in, ABI_TRAP_HOST, "cannot write to future after previous write succeeded or readable end dropped");
    if (p->future) return host_fail(in, ABI_TRAP_HOST, "cannot %s future after previous read succeeded", verb);
    return host_fail(in, ABI_TRAP_HOST, "cannot %s stream after being notified that the %s end dropped", verb,
                     e->writable ? "readable" : "writable");
}

static enum abi_trap set_buffer(struct host_instance *in, const struct host_binding *b, struct host_end *e, uint64_t ptr,
                                uint64_t n) {
    e->o = &b->o;
    e->ptr = b->o.memory64 ? ptr : (uint32_t)ptr;
    e->progress = 0;
    const struct host_type *t = elem_of(e);
    if (n > LENGTH_MAX)
        return host_fail(in, ABI_TRAP_HOST, "%s %s buffer length is too big", noun(e->pipe), e->writable ? "write" : "read");
    e->length = (uint32_t)n;
    if (!t || !n) return ABI_TRAP_NONE;
    struct host_call call = {.instance = in};
    struct host_cx cx;
    host_cx_init(&cx, &call, e->o);
    if (e->ptr & (t->align - 1)) return host_fail(in, ABI_TRAP_HOST, "%s pointer not aligned", e->writable ? "write" : "read");
    if (n * t->size > cx.mem.n || e->ptr > cx.mem.n - n * t->size)
        return host_fail(in, ABI_TRAP_HOST, "%s pointer out of bounds of memory", e->writable ? "write" : "read");
    return ABI_TRAP_NONE;
}

static enum abi_trap start_copy(struct host_instance *in, const struct host_binding *b, uint64_t *slots, bool writable) {
    struct host_end *e;
    bool sync = !b->is_async;
    enum abi_trap trap = find(in, b, slots[0], writable, sync, &e);
    if (trap) return trap;
    if (e->state != HOST_COPY_IDLE) return not_idle(in, e, writable ? "write to" : "read from");
    if (e->w.set && sync) return host_in_set(in);
    uint64_t n = e->pipe->future ? 1 : b->o.memory64 ? slots[2] : (uint32_t)slots[2];
    trap = set_buffer(in, b, e, slots[1], n);
    if (trap) return trap;
    e->state = HOST_COPY_COPYING;
    trap = host_pipe_copy(in, e);
    if (!trap && !e->w.has_event) {
        if (!sync) {
            slots[0] = BLOCKED;
            return ABI_TRAP_NONE;
        }
        trap = host_wait(in, HOST_WAIT_WAITABLE, &e->w, false, NULL);
    }
    if (!trap) slots[0] = host_waitable_take(&e->w).p2;
    return trap;
}

enum abi_trap host_end_read(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return start_copy(in, b, slots, false);
}
enum abi_trap host_end_write(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return start_copy(in, b, slots, true);
}

/* What was copied before the event was taken is said with CANCELLED too (async/cancel-stream of the suite). */
static enum abi_trap cancel(struct host_instance *in, const struct host_binding *b, uint64_t *slots, bool writable) {
    struct host_end *e;
    enum abi_trap trap = find(in, b, slots[0], writable, !b->async_op, &e);
    if (trap) return trap;
    if (e->state != HOST_COPY_COPYING || e->w.waiter)
        return host_fail(in, ABI_TRAP_HOST, "%s has no %s to cancel", noun(e->pipe), writable ? "write" : "read");
    if (e->w.set && !b->async_op) return host_in_set(in);
    e->state = HOST_COPY_CANCELLING;
    if (!e->w.has_event) host_pipe_cancel(e);
    else if (!e->pipe->future && e->result == HOST_RESULT_COMPLETED) e->result = HOST_RESULT_CANCELLED;
    slots[0] = host_waitable_take(&e->w).p2;
    return ABI_TRAP_NONE;
}

enum abi_trap host_end_cancel_read(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return cancel(in, b, slots, false);
}
enum abi_trap host_end_cancel_write(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return cancel(in, b, slots, true);
}

static enum abi_trap drop(struct host_instance *in, const struct host_binding *b, uint64_t *slots, bool writable) {
    struct host_end *e;
    enum abi_trap trap = find(in, b, slots[0], writable, false, &e);
    if (trap) return trap;
    if (e->state == HOST_COPY_COPYING || e->state == HOST_COPY_CANCELLING)
        return host_fail(in, ABI_TRAP_HOST, "cannot %s busy %s", writable ? "drop" : "remove", noun(e->pipe));
    if (e->pipe->future && writable && e->state != HOST_COPY_OVER)
        return host_fail(in, ABI_TRAP_HOST, "cannot drop future write end without first writing a value");
    host_table_remove(&in->cis[b->o.ci].table, e->w.index);
    host_end_drop(e);
    return in->dead ? in->trap : ABI_TRAP_NONE;
}

enum abi_trap host_end_drop_readable(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return drop(in, b, slots, false);
}
enum abi_trap host_end_drop_writable(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    return drop(in, b, slots, true);
}

/* ---- lifting and lowering --------------------------------------------------------------------- */

static uint32_t elem_number(const struct host_type *t) { return t->elem ? t->elem->plan_type : PLAN_NONE; }

enum abi_trap host_lift_end(struct host_cx *cx, const struct host_type *t, uint32_t i, void **out) {
    const struct host_resource *type = t->kind == HOST_FUTURE ? &host_is_future : &host_is_stream;
    struct host_end *e = end_at(cx->ci, i);
    struct host_instance *in = cx->in;
    if (!fits(e, false, type, elem_number(t))) return wrong_end(in, cx->ci, i, "readable", type->name);
    if (e->state == HOST_COPY_COPYING || e->state == HOST_COPY_CANCELLING)
        return host_fail(in, ABI_TRAP_HOST, "cannot remove busy %s", type->name);
    if (e->state != HOST_COPY_IDLE) return not_idle(in, e, "lift");
    if (e->w.set) return host_fail(in, ABI_TRAP_HOST, "cannot lift %s while it's in a waitable set", type->name);
    enum abi_trap trap = host_moved_add(cx, type, (uintptr_t)e->pipe);
    if (trap) return trap;
    host_table_remove(&cx->ci->table, i);
    e->where = cx->fused ? HOST_END_MOVING : HOST_END_HOST;
    if (!cx->fused) in->host_ends++;
    *out = e->pipe;
    return ABI_TRAP_NONE;
}

enum abi_trap host_lower_end(struct host_cx *cx, const struct host_type *t, void *value, uint64_t *out) {
    struct host_pipe *p = value;
    if (!p || p->in != cx->in || p->end[0].where == HOST_END_GUEST || p->end[0].where == HOST_END_DROPPED)
        return host_fail(cx->in, ABI_TRAP_HOST, "the host gave a %s of another instance",
                         t->kind == HOST_FUTURE ? "future" : "stream");
    if (p->end[0].where == HOST_END_HOST) cx->in->host_ends--;
    if (!p->typed) set_elem(p, elem_number(t));
    p->end[0].waker = NULL;
    p->end[0].host_n = 0;
    host_note_cancel(&p->end[0].note);
    *out = add(cx->ci, &p->end[0]);
    if (!*out) return host_full(cx->in, cx->ci);
    cx->owns++;
    return ABI_TRAP_NONE;
}
