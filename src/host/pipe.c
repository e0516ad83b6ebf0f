/* pipe: the host's ends of streams and futures, and error contexts.
 *
 * The host never waits: it reads or writes what the other side offers at this moment. A guest's end offers by
 * being pipe->pending; a host's, by being woken while host_p of the other is set. */
#include <stdlib.h>

#include "host/host_int.h"

static struct host_end *reader_of(const struct host_stream *s) {
    return &((struct host_pipe *)(uintptr_t)s)->end[0];
}
static struct host_end *writer_of(const struct host_stream_writer *w) {
    return &((struct host_pipe *)(uintptr_t)w)->end[1];
}

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

static enum host_copy copy_with_guest(struct host_pipe *p, struct host_call *memory, void *host, size_t max,
                                      size_t *n) {
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

/* Host to host: `e` acts, the other end is asked, once, through its waker. */
static enum host_copy copy_with_host(struct host_end *e, void *mine, size_t max, size_t *n) {
    struct host_pipe *p = e->pipe;
    struct host_end *o = &p->end[!e->writable];
    size_t size = p->host_size;
    if (o->host_p) { /* it waits for this very call */
        size_t take = MIN(max, o->host_n - o->host_done);
        uint8_t *theirs = (uint8_t *)o->host_p + o->host_done * size;
        if (!take) return HOST_COPY_BLOCKED;
        if (e->writable) memcpy(theirs, mine, take * size);
        else memcpy(mine, theirs, take * size);
        o->host_done += take;
        *n = take;
        return HOST_COPY_DONE;
    }
    if (!o->waker) return HOST_COPY_BLOCKED;
    e->host_p = mine;
    e->host_n = max;
    e->host_done = 0;
    p->refs++;
    o->waker(o->waker_arg);
    *n = e->host_done;
    e->host_p = NULL;
    bool dropped = p->dropped;
    host_pipe_unref(p);
    return *n ? HOST_COPY_DONE : dropped ? HOST_COPY_CLOSED : HOST_COPY_BLOCKED;
}

enum host_copy host_stream_read(struct host_stream *s, struct host_call *memory, void *out, size_t max,
                                size_t *n) {
    struct host_end *e = reader_of(s);
    struct host_pipe *p = e->pipe;
    *n = 0;
    if (is_over(p)) return HOST_COPY_CLOSED;
    if (p->end[1].where == HOST_END_HOST) return copy_with_host(e, out, max, n);
    return p->pending ? copy_with_guest(p, memory, out, max, n) : HOST_COPY_BLOCKED;
}

static enum abi_trap wake_writer(struct host_instance *in, void *arg) {
    struct host_pipe *p = arg;
    (void)in;
    struct host_end *w = &p->end[1];
    w->job = false;
    if (w->where == HOST_END_HOST && w->waker) w->waker(w->waker_arg);
    host_pipe_unref(p);
    return ABI_TRAP_NONE;
}

/* Elements that need realloc are written on a fiber of the instance. */
static bool can_write_here(struct host_pipe *p) {
    if (p->elem == PLAN_NONE || !p->in->component->types[0][p->elem]->has_pointer) return true;
    if (host_on_thread(p->in)) return true;
    if (p->end[1].job) return false;
    p->refs++;
    if (host_job(p->in, wake_writer, p)) p->end[1].job = true;
    else p->refs--;
    return false;
}

enum host_copy host_stream_write(struct host_stream_writer *w, const void *src, size_t count, size_t *n) {
    struct host_end *e = writer_of(w);
    struct host_pipe *p = e->pipe;
    void *from = (void *)(uintptr_t)src;
    *n = 0;
    if (is_over(p)) return HOST_COPY_CLOSED;
    if (!count) return HOST_COPY_BLOCKED;
    if (p->end[0].where == HOST_END_HOST) return p->typed ? copy_with_host(e, from, count, n) : HOST_COPY_BLOCKED;
    if (!p->pending || !can_write_here(p)) return HOST_COPY_BLOCKED;
    return copy_with_guest(p, NULL, from, count, n);
}

static size_t offered(const struct host_pipe *p, const struct host_end *other) {
    if (p->pending) return p->pending->length - p->pending->progress;
    return other->host_p ? other->host_n - other->host_done : 0;
}

size_t host_stream_ready(const struct host_stream *s) {
    const struct host_end *e = reader_of(s);
    return offered(e->pipe, &e->pipe->end[1]);
}
size_t host_stream_writer_ready(const struct host_stream_writer *w) {
    const struct host_end *e = writer_of(w);
    return offered(e->pipe, &e->pipe->end[0]);
}

bool host_stream_gone(const struct host_stream *s) { return reader_of(s)->pipe->gone; }
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
void host_stream_close(struct host_stream *s) { close_end(reader_of(s)); }
void host_stream_writer_set_waker(struct host_stream_writer *w, host_waker fn, void *arg) {
    set_waker(writer_of(w), fn, arg);
}
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
void host_future_writer_close(struct host_future_writer *w) {
    close_end(writer_of((struct host_stream_writer *)w));
}

/* ---- error contexts (CanonicalABI.md, canon error-context.*) ---------------------------------- */

static void drop_error_context(struct host_instance *in, void *rep) {
    (void)in;
    host_error_context_drop(rep);
}
const struct host_resource host_is_error_context = {.name = "error-context", .drop = drop_error_context};

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

struct host_error_context *host_error_context_new(struct host_instance *in, str message) {
    uint32_t n = kept(message);
    if (!host_charge(in, sizeof(struct host_error_context) + n)) return NULL;
    struct host_error_context *e = malloc(sizeof *e + n);
    ENSURE(e);
    *e = (struct host_error_context){.in = in, .refs = 1, .n = n};
    if (n) memcpy(e->text, message.p, n);
    return e;
}

str host_error_context_message(const struct host_error_context *e) { return (str){e->text, e->n}; }

void host_error_context_drop(struct host_error_context *e) {
    if (--e->refs) return;
    host_uncharge(e->in, sizeof *e + e->n);
    free(e);
}

static struct host_error_context *find(struct host_ci *ci, uint32_t i) {
    const struct host_handle *h = host_table_get(&ci->table, i);
    return h && h->kind == HOST_HANDLE_ERROR_CONTEXT ? (struct host_error_context *)(uintptr_t)h->rep : NULL;
}

static enum abi_trap add(struct host_instance *in, struct host_ci *ci, struct host_error_context *e,
                         uint64_t *out) {
    *out = host_table_add(&ci->table, (struct host_handle){.type = &host_is_error_context,
                                                           .rep = (uintptr_t)e,
                                                           .kind = HOST_HANDLE_ERROR_CONTEXT});
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

enum abi_trap host_error_context_new_builtin(struct host_instance *in, const struct host_binding *b,
                                             uint64_t *slots) {
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
    return e ? add(in, &in->cis[b->o.ci], e, slots)
             : host_fail(in, ABI_TRAP_OUT_OF_MEMORY, "too many error contexts");
}

enum abi_trap host_error_context_debug_message(struct host_instance *in, const struct host_binding *b,
                                               uint64_t *slots) {
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

enum abi_trap host_error_context_drop_builtin(struct host_instance *in, const struct host_binding *b,
                                              uint64_t *slots) {
    struct host_ci *ci = &in->cis[b->o.ci];
    struct host_error_context *e = find(ci, (uint32_t)slots[0]);
    if (!e) return host_no_such(in, ci, (uint32_t)slots[0], "error-context");
    host_table_remove(&ci->table, (uint32_t)slots[0]);
    host_error_context_drop(e);
    return ABI_TRAP_NONE;
}
