/* pipe: the host's ends of streams and futures, and error contexts.
 *
 * The host never waits: it reads or writes what the other side offers at this moment, and what it finds out about the other side is
 * a note to whom it concerns (note.c). A guest's end offers by being pipe->pending. The host's writable end offers host_p, to host code
 * that reads, or to a fiber of the guest's where its realloc can run; until the writer settles it. */
#include <stdlib.h>

#include "host/host_int.h"

static struct host_end *reader_of(const struct host_stream *s) { return &((struct host_pipe *)(uintptr_t)s)->end[0]; }
static struct host_end *writer_of(const struct host_stream_writer *w) { return &((struct host_pipe *)(uintptr_t)w)->end[1]; }

static bool is_over(const struct host_pipe *p) { return p->dropped || !p->in; }

static struct host_pipe *both(struct host_instance *in, bool future) {
    struct host_pipe *p = in->dead ? NULL : host_pipe_new(in, future);
    if (!p) return NULL;
    p->end[0].where = p->end[1].where = HOST_END_HOST;
    in->host_ends += 2;
    return p;
}

/* The host's side copies: what the guest is told. */
static void tell(struct host_pipe *p, struct host_end *e) {
    if (p->future) p->pending = NULL;
    e->result = HOST_RESULT_COMPLETED;
    e->reclaim = !p->future;
    host_waitable_notify(&e->w);
    host_schedule(p->in);
}

/* A guest's end that offers nothing any more, because all of it is used or it was empty: the event is due. */
static void answer_empty(struct host_pipe *p) {
    struct host_end *e = p->pending;
    p->pending = NULL;
    e->result = HOST_RESULT_COMPLETED;
    e->reclaim = false;
    host_waitable_notify(&e->w);
    host_schedule(p->in);
}

static enum host_copy trapped(struct host_instance *in, struct host_call *temporary, enum abi_trap trap) {
    host_moved_drop(temporary);
    host_die(in, trap);
    host_schedule(in);
    return HOST_COPY_TRAPPED;
}

static const struct host_type *elem_of(const struct host_end *guest) {
    const struct host_pipe *p = guest->pipe;
    return p->elem == PLAN_NONE ? NULL : p->in->component->types[guest->o->memory64][p->elem];
}

/* n elements between a guest's buffer and the host's. */
static enum abi_trap copy(struct host_end *g, struct host_call *call, uint8_t *host, uint32_t n) {
    const struct host_type *t = elem_of(g);
    if (!t) return ABI_TRAP_NONE;
    struct host_cx cx;
    host_cx_init(&cx, call, g->o);
    cx.copy = true;
    uint64_t at = g->ptr + (uint64_t)g->progress * t->size;
    if (t->plain) {
        if (g->writable) memcpy(host, cx.mem.p + at, (size_t)n * t->size);
        else memcpy(cx.mem.p + at, host, (size_t)n * t->size);
        return ABI_TRAP_NONE;
    }
    for (uint32_t i = 0; i < n; i++, at += t->size, host += t->host_size) {
        enum abi_trap trap = g->writable ? host_load(&cx, t, at, host) : host_store(&cx, t, at, host);
        if (trap) return trap;
        call->moved = NULL;
        host_cx_memory(&cx);
    }
    return ABI_TRAP_NONE;
}

static enum host_copy copy_with_guest(struct host_pipe *p, struct host_call *memory, void *host, size_t max, size_t *n) {
    struct host_end *g = p->pending;
    struct host_instance *in = p->in;
    uint32_t take = (uint32_t)MIN(max, (size_t)(g->length - g->progress));
    if (!take) {
        answer_empty(p);
        return HOST_COPY_BLOCKED;
    }
    struct host_call temporary = {.instance = in, .caller = PLAN_NONE};
    enum abi_trap trap = copy(g, memory ? memory : &temporary, host, take);
    if (!memory) host_call_end(&temporary);
    if (trap) return trapped(in, memory ? memory : &temporary, trap);
    g->progress += take;
    *n = take;
    tell(p, g);
    return HOST_COPY_DONE;
}

/* Of what host code offers. */
static enum host_copy copy_from_host(struct host_pipe *p, void *out, size_t max, size_t *n) {
    struct host_end *e = &p->end[0], *w = &p->end[1];
    size_t size = p->host_size, take = w->host_p ? MIN(max, w->host_n - w->host_done) : 0;
    e->host_n = take ? 0 : max;
    if (take) memcpy(out, (const uint8_t *)w->host_p + w->host_done * size, take * size);
    w->host_done += take;
    *n = take;
    host_end_wake(w);
    return take ? HOST_COPY_DONE : HOST_COPY_BLOCKED;
}

enum host_copy host_stream_read(struct host_stream *s, struct host_call *memory, void *out, size_t max, size_t *n) {
    struct host_end *e = reader_of(s);
    struct host_pipe *p = e->pipe;
    *n = 0;
    if (is_over(p)) return HOST_COPY_CLOSED;
    if (p->end[1].where == HOST_END_HOST) return copy_from_host(p, out, max, n);
    return p->pending ? copy_with_guest(p, memory, out, max, n) : HOST_COPY_BLOCKED;
}

/* On a fiber of in, which may run the guest's realloc. Should the instance die in there, what is on offer is not looked at again. */
enum abi_trap host_pipe_take_offer(struct host_instance *in, struct host_pipe *p) {
    struct host_end *g = p->pending, *w = &p->end[1];
    if (!g || g->writable || w->where != HOST_END_HOST || !w->host_p) return ABI_TRAP_NONE;
    uint32_t take = (uint32_t)MIN(w->host_n - w->host_done, (size_t)(g->length - g->progress));
    if (take) {
        struct host_call call = {.instance = in, .caller = PLAN_NONE};
        w->copying = true;
        enum abi_trap trap = copy(g, &call, (uint8_t *)(uintptr_t)w->host_p + w->host_done * p->host_size, take);
        w->copying = false;
        if (trap) host_moved_drop(&call);
        host_call_end(&call);
        if (trap || in->dead) return trap ? trap : in->trap;
        g->progress += take;
        w->host_done += take;
        tell(p, g);
    } else {
        answer_empty(p);
    }
    host_end_wake(w);
    return ABI_TRAP_NONE;
}

static enum abi_trap take_offer(struct host_instance *in, void *arg) {
    struct host_pipe *p = arg;
    p->end[1].job = false;
    enum abi_trap trap = host_pipe_take_offer(in, p);
    host_pipe_unref(p);
    return trap;
}

static bool needs_realloc(const struct host_pipe *p) {
    return p->elem != PLAN_NONE && p->in->component->types[0][p->elem]->has_pointer;
}

static void offer(struct host_end *w, const void *src, size_t count) {
    w->host_p = src;
    w->host_n = count;
    w->host_done = 0;
}

/* To a guest that reads: its fiber that has just begun to will take it, or one of its own. */
static void offer_to_fiber(struct host_pipe *p) {
    struct host_end *w = &p->end[1];
    if (p->in->asks == p->pending || w->job) return;
    p->refs++;
    w->job = true;
    ENSURE(host_job(p->in, take_offer, p));
}

enum host_copy host_stream_write(struct host_stream_writer *w, const void *src, size_t count, size_t *n) {
    struct host_end *e = writer_of(w);
    struct host_pipe *p = e->pipe;
    *n = 0;
    ENSURE(!e->host_p);
    if (is_over(p)) return HOST_COPY_CLOSED;
    if (!count) return HOST_COPY_BLOCKED;
    if (p->end[0].where == HOST_END_HOST) {
        if (!p->typed) return HOST_COPY_BLOCKED; /* no guest has had it yet, so how large is an element? */
        offer(e, src, count);
        host_end_wake(&p->end[0]);
        return HOST_COPY_BLOCKED;
    }
    if (!p->pending) return HOST_COPY_BLOCKED;
    if (!needs_realloc(p)) return copy_with_guest(p, NULL, (void *)(uintptr_t)src, count, n);
    offer(e, src, count);
    offer_to_fiber(p);
    return HOST_COPY_BLOCKED;
}

bool host_stream_writer_copying(const struct host_stream_writer *w) { return writer_of(w)->copying; }

size_t host_stream_writer_settle(struct host_stream_writer *w) {
    struct host_end *e = writer_of(w);
    size_t taken = e->host_p ? e->host_done : 0;
    e->host_p = NULL;
    return taken;
}

bool host_stream_writer_asked(const struct host_stream_writer *w) {
    const struct host_end *reader = &writer_of(w)->pipe->end[0], *g = reader->pipe->pending;
    if (reader->where == HOST_END_HOST) return reader->host_n;
    return g && (!g->length || g->progress < g->length);
}

size_t host_stream_writer_ready(const struct host_stream_writer *w) {
    const struct host_pipe *p = writer_of(w)->pipe;
    return p->pending ? p->pending->length - p->pending->progress : p->end[0].host_n;
}

bool host_stream_gone(const struct host_stream *s) { return reader_of(s)->pipe->gone; }
bool host_stream_forsaken(const struct host_stream *s) {
    const struct host_pipe *p = reader_of(s)->pipe;
    return p->end[1].where == HOST_END_GUEST && p->in && !p->pending && !p->in->threads_count && host_list_empty(&p->in->notes);
}
bool host_future_forsaken(const struct host_future *f) { return host_stream_forsaken((const struct host_stream *)f); }
bool host_stream_writer_gone(const struct host_stream_writer *w) { return writer_of(w)->pipe->gone; }
bool host_stream_writer_untold(const struct host_stream_writer *w) {
    const struct host_end *reader = &writer_of(w)->pipe->end[0];
    return reader->where == HOST_END_GUEST && reader->w.has_event;
}
bool host_stream_over(const struct host_stream *s) { return is_over(reader_of(s)->pipe); }
bool host_stream_writer_over(const struct host_stream_writer *w) { return is_over(writer_of(w)->pipe); }

static void set_waker(struct host_end *e, host_waker fn, void *arg) {
    e->waker = fn;
    e->waker_arg = arg;
}

static void close_end(struct host_end *e) {
    e->waker = NULL;
    host_end_drop(e);
}

struct host_stream *host_stream_new(struct host_instance *in, struct host_stream_writer **writer) {
    struct host_pipe *p = both(in, false);
    *writer = (struct host_stream_writer *)p;
    return (struct host_stream *)p;
}
void host_stream_set_waker(struct host_stream *s, host_waker fn, void *arg) { set_waker(reader_of(s), fn, arg); }
void host_stream_wake(struct host_stream *s) { host_end_wake(reader_of(s)); }
void host_stream_writer_wake(struct host_stream_writer *w) { host_end_wake(writer_of(w)); }
void host_stream_close(struct host_stream *s) { close_end(reader_of(s)); }
void host_stream_writer_set_waker(struct host_stream_writer *w, host_waker fn, void *arg) { set_waker(writer_of(w), fn, arg); }
void host_stream_writer_close(struct host_stream_writer *w) { close_end(writer_of(w)); }

/* ---- futures ---------------------------------------------------------------------------------- */

struct host_future *host_future_new(struct host_instance *in, struct host_future_writer **writer) {
    struct host_pipe *p = both(in, true);
    *writer = (struct host_future_writer *)p;
    return (struct host_future *)p;
}
void host_future_set_waker(struct host_future *f, host_waker fn, void *arg) {
    set_waker(reader_of((struct host_stream *)f), fn, arg);
}
void host_future_wake(struct host_future *f) { host_stream_wake((struct host_stream *)f); }
enum host_copy host_future_read(struct host_future *f, struct host_call *memory, void *out) {
    size_t n;
    return host_stream_read((struct host_stream *)f, memory, out, 1, &n);
}
void host_future_close(struct host_future *f) { close_end(reader_of((struct host_stream *)f)); }
void host_future_writer_set_waker(struct host_future_writer *w, host_waker fn, void *arg) {
    set_waker(writer_of((struct host_stream_writer *)w), fn, arg);
}
enum host_copy host_future_write(struct host_future_writer *w, const void *p) {
    size_t n;
    return host_stream_write((struct host_stream_writer *)w, p, 1, &n);
}
size_t host_future_writer_settle(struct host_future_writer *w) {
    return host_stream_writer_settle((struct host_stream_writer *)w);
}
bool host_future_writer_copying(const struct host_future_writer *w) {
    return host_stream_writer_copying((const struct host_stream_writer *)w);
}
void host_future_writer_close(struct host_future_writer *w) { close_end(writer_of((struct host_stream_writer *)w)); }

/* ---- error contexts (CanonicalABI.md, canon error-context.*) ---------------------------------- */

static void drop_error_context(struct host_instance *in, void *rep) {
    (void)in;
    host_error_context_drop(rep);
}
static const struct host_resource host_is_error_context = {.name = "error-context", .drop = drop_error_context};

enum { MESSAGE_MAX = 1024 };
struct host_error_context {
    struct host_instance *in;
    uint32_t refs;
    uint32_t n;
    uint8_t text[];
};

/* As much of s as is kept: whole characters. */
static uint32_t kept(str s) {
    if (s.n <= MESSAGE_MAX) return (uint32_t)s.n;
    uint32_t n = MESSAGE_MAX;
    while (n && (s.p[n] & 0xc0) == 0x80) n--;
    return n;
}

/* An error context is its message, for people: at most 1 KiB of it is kept. NULL: too many. */
static struct host_error_context *host_error_context_new(struct host_instance *in, str message) {
    uint32_t n = kept(message);
    if (!host_charge(in, sizeof(struct host_error_context) + n)) return NULL;
    struct host_error_context *e = malloc(sizeof *e + n);
    ENSURE(e);
    *e = (struct host_error_context){.in = in, .refs = 1, .n = n};
    if (n) memcpy(e->text, message.p, n);
    return e;
}

static str host_error_context_message(const struct host_error_context *e) { return (str){e->text, e->n}; }

void host_error_context_drop(struct host_error_context *e) {
    if (--e->refs) return;
    host_uncharge(e->in, sizeof *e + e->n);
    free(e);
}

static struct host_error_context *find(struct host_ci *ci, uint32_t i) {
    const struct host_handle *h = host_table_get(&ci->table, i);
    return h && h->kind == HOST_HANDLE_ERROR_CONTEXT ? (struct host_error_context *)(uintptr_t)h->rep : NULL;
}

static enum abi_trap add(struct host_instance *in, struct host_ci *ci, struct host_error_context *e, uint64_t *out) {
    *out = host_table_add(
        &ci->table, (struct host_handle){.type = &host_is_error_context, .rep = (uintptr_t)e, .kind = HOST_HANDLE_ERROR_CONTEXT});
    if (*out) return ABI_TRAP_NONE;
    host_error_context_drop(e);
    return host_full(in, ci);
}

enum abi_trap host_lift_error_context(struct host_cx *cx, uint32_t i, void **out) {
    struct host_error_context *e = find(cx->ci, i);
    if (!e) return host_no_such(cx->in, cx->ci, i, "error-context");
    enum abi_trap trap = host_moved_add(cx, &host_is_error_context, (uintptr_t)e);
    if (trap) return trap;
    e->refs++;
    *out = e;
    return ABI_TRAP_NONE;
}

enum abi_trap host_lower_error_context(struct host_cx *cx, void *value, uint64_t *out) {
    cx->owns++;
    return add(cx->in, cx->ci, value, out);
}

enum abi_trap host_error_context_new_builtin(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_call call = {.instance = in, .caller = b->o.ci};
    struct host_cx cx;
    str message;
    host_cx_init(&cx, &call, &b->o);
    uint64_t ptr = b->o.memory64 ? slots[0] : (uint32_t)slots[0];
    uint64_t n = b->o.memory64 ? slots[1] : (uint32_t)slots[1];
    enum abi_trap trap = host_lift_string(&cx, ptr, n, &message);
    struct host_error_context *e = trap ? NULL : host_error_context_new(in, message);
    host_call_end(&call);
    if (trap) return trap;
    return e ? add(in, &in->cis[b->o.ci], e, slots) : host_fail(in, ABI_TRAP_OUT_OF_MEMORY, "too many error contexts");
}

enum abi_trap host_error_context_debug_message(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    struct host_error_context *e = find(ci, (uint32_t)slots[0]);
    if (!e) return host_no_such(in, ci, (uint32_t)slots[0], "error-context");
    struct host_call call = {.instance = in, .caller = b->o.ci};
    struct host_cx cx;
    host_cx_init(&cx, &call, &b->o);
    str message = host_error_context_message(e);
    uint64_t ptr = b->o.memory64 ? slots[1] : (uint32_t)slots[1];
    struct host_type t = host_type_primitives[HOST_STRING];
    t.align = b->o.memory64 ? 8 : 4;
    t.size = 2 * t.align;
    enum abi_trap trap = host_store_at(&cx, &t, ptr, &message);
    host_call_end(&call);
    return trap;
}

enum abi_trap host_error_context_drop_builtin(struct host_instance *in, const struct host_binding *b, uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    struct host_error_context *e = find(ci, (uint32_t)slots[0]);
    if (!e) return host_no_such(in, ci, (uint32_t)slots[0], "error-context");
    host_table_remove(&ci->table, (uint32_t)slots[0]);
    host_error_context_drop(e);
    return ABI_TRAP_NONE;
}
