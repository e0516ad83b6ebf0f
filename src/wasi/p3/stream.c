/* p3: feeds, drains, promises and awaits (p3/p3_int.h).
 *
 * Each is the waker of its end, and does its work there and nowhere else: p3_…_wake only asks for that. So it runs when nothing else of
 * its kind is on the stack, and what it frees nobody is using.
 *
 * A file or a device gives and takes without end, so each moves so much at a time (…_MAX) and goes on in another turn: a guest that
 * reads is given what there is by then. */
#include "wasi/p3/p3_int.h"
#include <stdlib.h>

enum { FEED_PIECES_MAX = 32, DRAIN_PIECES_MAX = 32, DRAIN_BYTES_MAX = 256 << 10, PIECE_BYTES = 64 << 10 };

static void *make(struct host_instance *in, size_t size) {
    if (!host_charge(in, size)) return NULL;
    void *p = calloc(1, size);
    ENSURE(p);
    return p;
}
static void unmake(struct host_instance *in, void *p, size_t size) {
    host_uncharge(in, size);
    free(p);
}

/* ---- feed ------------------------------------------------------------------------------------- */

struct wasi_p3_feed {
    struct host_instance *in;
    struct host_stream_writer *w;
    const struct wasi_p3_feed_ops *ops;
    void *arg;
    bool busy; /* peek or consume is on the stack */
};

static void feed_free(struct wasi_p3_feed *f) {
    ENSURE(!f->busy);
    host_stream_writer_close(f->w);
    unmake(f->in, f, sizeof *f);
}

static void feed_over(struct wasi_p3_feed *f) {
    const struct wasi_p3_feed_ops *ops = f->ops;
    void *arg = f->arg;
    feed_free(f);
    ops->over(arg);
}

static enum net_flow feed_peek(struct wasi_p3_feed *f, const void **p, size_t *n) {
    f->busy = true;
    enum net_flow flow = f->ops->peek(f->arg, host_stream_writer_ready(f->w), p, n);
    f->busy = false;
    return flow;
}

static void feed_consume(struct wasi_p3_feed *f, size_t n) {
    f->busy = true;
    if (n) f->ops->consume(f->arg, n);
    f->busy = false;
}

static void feed_run(void *arg) {
    struct wasi_p3_feed *f = arg;
    if (host_stream_writer_copying(f->w)) return;
    feed_consume(f, host_stream_writer_settle(f->w));
    for (int pieces = 0; pieces < FEED_PIECES_MAX; pieces++) {
        const void *p;
        size_t n = 0, given;
        if (host_stream_writer_over(f->w)) {
            feed_over(f);
            return;
        }
        if (!host_stream_writer_asked(f->w)) return;
        enum net_flow flow = feed_peek(f, &p, &n);
        if (flow == NET_FLOW_WAIT) return;
        if (flow != NET_FLOW_DATA) {
            if (!host_stream_writer_untold(f->w)) feed_over(f); /* else it will ask once more */
            return;
        }
        if (host_stream_write(f->w, p, n, &given) == HOST_COPY_BLOCKED) return;
        feed_consume(f, given);
    }
    host_stream_writer_wake(f->w); /* others first */
}

struct host_stream *wasi_p3_feed_new(struct host_instance *in, const struct wasi_p3_feed_ops *ops, void *arg,
                                     struct wasi_p3_feed **out) {
    struct wasi_p3_feed *f = make(in, sizeof *f);
    struct host_stream *s = f ? host_stream_new(in, &f->w) : NULL;
    if (!s) {
        if (f) unmake(in, f, sizeof *f);
        return NULL;
    }
    f->in = in;
    f->ops = ops;
    f->arg = arg;
    host_stream_writer_set_waker(f->w, feed_run, f);
    *out = f;
    return s;
}

void wasi_p3_feed_wake(struct wasi_p3_feed *f) { host_stream_writer_wake(f->w); }

bool wasi_p3_feed_copying(const struct wasi_p3_feed *f) { return host_stream_writer_copying(f->w); }

void wasi_p3_feed_stop(struct wasi_p3_feed *f) { feed_free(f); }

/* ---- drain ------------------------------------------------------------------------------------ */

struct wasi_p3_drain {
    struct host_instance *in;
    struct host_stream *s;
    const struct wasi_p3_drain_ops *ops;
    void *arg;
    bool busy; /* room or write is on the stack */
};

static void drain_free(struct wasi_p3_drain *d) {
    ENSURE(!d->busy);
    host_stream_close(d->s);
    unmake(d->in, d, sizeof *d);
}

static void drain_over(struct wasi_p3_drain *d) {
    const struct wasi_p3_drain_ops *ops = d->ops;
    void *arg = d->arg;
    bool gone = host_stream_gone(d->s);
    drain_free(d);
    ops->over(arg, gone);
}

static size_t drain_room(struct wasi_p3_drain *d) {
    d->busy = true;
    size_t room = d->ops->room(d->arg);
    d->busy = false;
    return room;
}

static bool drain_write(struct wasi_p3_drain *d, str bytes) {
    d->busy = true;
    bool more = d->ops->write(d->arg, bytes);
    d->busy = false;
    return more;
}

static void drain_run(void *arg) {
    static uint8_t buffer[PIECE_BYTES]; /* a drain is never on the stack twice */
    struct wasi_p3_drain *d = arg;
    size_t bytes = 0, n = 0;
    for (int pieces = 0; pieces < DRAIN_PIECES_MAX && bytes < DRAIN_BYTES_MAX; pieces++, bytes += n) {
        size_t room = host_stream_over(d->s) ? 1 : drain_room(d);
        if (!room) return;
        enum host_copy copied = host_stream_read(d->s, NULL, buffer, MIN(room, sizeof buffer), &n);
        if (copied == HOST_COPY_BLOCKED) return;
        if (copied != HOST_COPY_DONE) {
            drain_over(d);
            return;
        }
        if (drain_write(d, (str){buffer, n})) continue;
        drain_free(d);
        return;
    }
    host_stream_wake(d->s); /* others first */
}

struct wasi_p3_drain *wasi_p3_drain_new(struct host_instance *in, struct host_stream *s, const struct wasi_p3_drain_ops *ops,
                                        void *arg) {
    struct wasi_p3_drain *d = make(in, sizeof *d);
    if (!d) {
        host_stream_close(s);
        return NULL;
    }
    *d = (struct wasi_p3_drain){.in = in, .s = s, .ops = ops, .arg = arg};
    host_stream_set_waker(s, drain_run, d);
    return d;
}

void wasi_p3_drain_wake(struct wasi_p3_drain *d) { host_stream_wake(d->s); }

bool wasi_p3_drain_forsaken(const struct wasi_p3_drain *d) { return host_stream_forsaken(d->s); }

void wasi_p3_drain_stop(struct wasi_p3_drain *d) { drain_free(d); }

/* ---- promise ---------------------------------------------------------------------------------- */

struct wasi_p3_promise {
    bool kept;
    struct host_instance *in;     /* NULL: gone */
    struct host_future_writer *w; /* NULL: gone */
    void (*drop)(struct host_instance *in, void *value);
    size_t bytes;
    _Alignas(16) uint8_t value[];
};

static struct host_stream_writer *as_stream(struct host_future_writer *w) { return (struct host_stream_writer *)(void *)w; }

static void promise_free(struct wasi_p3_promise *p) {
    if (p->w) host_future_writer_close(p->w);
    if (p->in) host_uncharge(p->in, sizeof *p + p->bytes);
    free(p);
}

static void promise_gone(struct wasi_p3_promise *p) {
    host_future_writer_close(p->w);
    host_uncharge(p->in, sizeof *p + p->bytes);
    p->w = NULL;
    p->in = NULL;
}

/* The value goes to who reads. */
static void promise_run(void *arg) {
    struct wasi_p3_promise *p = arg;
    if (!p->kept) {
        if (host_stream_writer_gone(as_stream(p->w))) promise_gone(p);
        return;
    }
    if (host_future_writer_copying(p->w)) return;
    enum host_copy copied = host_future_writer_settle(p->w) ? HOST_COPY_DONE : host_future_write(p->w, p->value);
    if (copied == HOST_COPY_BLOCKED) return;
    if (copied != HOST_COPY_DONE && p->drop) p->drop(p->in, p->value); /* nobody else knows of p any more */
    promise_free(p);
}

struct host_future *wasi_p3_promise_new(struct host_instance *in, size_t bytes, struct wasi_p3_promise **out) {
    struct wasi_p3_promise *p = make(in, sizeof *p + bytes);
    struct host_future *f = p ? host_future_new(in, &p->w) : NULL;
    if (!f) {
        if (p) unmake(in, p, sizeof *p + bytes);
        return NULL;
    }
    p->in = in;
    p->bytes = bytes;
    host_future_writer_set_waker(p->w, promise_run, p);
    *out = p;
    return f;
}

void wasi_p3_promise_keep(struct wasi_p3_promise *p, const void *value, void (*drop)(struct host_instance *in, void *value)) {
    memcpy(p->value, value, p->bytes);
    p->drop = drop;
    p->kept = true;
    if (p->w) {
        promise_run(p);
        return;
    }
    if (drop) drop(NULL, p->value);
    promise_free(p);
}

bool wasi_p3_promise_unwanted(const struct wasi_p3_promise *p) { return !p->w || host_stream_writer_over(as_stream(p->w)); }

void wasi_p3_promise_abandon(struct wasi_p3_promise *p) { promise_free(p); }

/* ---- await ------------------------------------------------------------------------------------ */

struct wasi_p3_await {
    struct host_instance *in;
    struct host_future *f; /* NULL: closed, fn is on the stack */
    void (*fn)(void *arg, void *value);
    void *arg;
    size_t bytes;
    _Alignas(16) uint8_t value[];
};

static void await_run(void *arg) {
    struct wasi_p3_await *a = arg;
    struct host_call call;
    host_call_begin(&call, a->in);
    enum host_copy copied = host_future_read(a->f, &call, a->value);
    if (copied != HOST_COPY_BLOCKED) {
        host_future_close(a->f);
        a->f = NULL;
        a->fn(a->arg, copied == HOST_COPY_DONE ? a->value : NULL);
    }
    host_call_end(&call);
    if (!a->f) unmake(a->in, a, sizeof *a + a->bytes);
}

struct wasi_p3_await *wasi_p3_await_new(struct host_instance *in, struct host_future *f, size_t bytes,
                                        void (*fn)(void *arg, void *value), void *arg) {
    struct wasi_p3_await *a = make(in, sizeof *a + bytes);
    if (!a) {
        host_future_close(f);
        return NULL;
    }
    a->in = in;
    a->f = f;
    a->fn = fn;
    a->arg = arg;
    a->bytes = bytes;
    host_future_set_waker(f, await_run, a);
    host_future_wake(f);
    return a;
}

bool wasi_p3_await_forsaken(const struct wasi_p3_await *a) { return a->f && host_future_forsaken(a->f); }

void wasi_p3_await_stop(struct wasi_p3_await *a) {
    ENSURE(a->f);
    host_future_close(a->f);
    unmake(a->in, a, sizeof *a + a->bytes);
}
