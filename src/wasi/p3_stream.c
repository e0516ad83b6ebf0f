/* p3: feeds, drains, promises and awaits (p3_int.h).
 *
 * The other side of each may be host code too (a guest that passes a body on as it is), and then its callbacks come from inside of
 * ours. So each has a turn: who comes while it is taken only says "again", and what is freed in its own turn is freed at its end.
 *
 * A file or a device gives and takes without end, so each moves so much at a time (…_MAX): a guest that reads is given what there is
 * by then, and a drain goes on in another turn of the loop. */
#include "wasi/p3_int.h"
#include <stdlib.h>

enum { PIECES_MAX = 32, DRAIN_PIECES_MAX = 512, DRAIN_BYTES_MAX = 2 << 20 };

struct turn {
    bool taken, again, freed;
};

/* False: the one who has the turn will come again. */
static bool take_turn(struct turn *t) {
    t->again = true;
    return !t->taken;
}

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

struct p3_feed {
    struct turn turn;
    bool asked; /* somebody reads, and was given nothing yet */
    struct host_instance *in;
    struct host_stream_writer *w; /* NULL: closed */
    const struct p3_feed_ops *ops;
    void *arg;
    struct net_timer *later; /* goes on with it */
};

static void feed_close(struct p3_feed *f) {
    if (!f->w) return;
    struct host_stream_writer *w = f->w;
    f->w = NULL;
    f->turn.freed = true;
    host_stream_writer_close(w);
}

static void feed_free(struct p3_feed *f) {
    net_timer_free(f->later);
    unmake(f->in, f, sizeof *f);
}

static void feed_asked(void *arg);

/* Others first. A guest that reads was told of what it has, and will ask again by itself; a drain may not, as each of the pieces was
 * given to it by a call of ours. */
static void feed_pause(struct p3_feed *f) {
    struct wasi_run *run = host_instance_user(f->in);
    f->asked = false;
    if (!run) return;
    if (!f->later) f->later = net_timer_new(run->app->loop, feed_asked, f);
    net_timer_start(f->later, 1, 0); /* at 0 it would ring in the same turn */
}

static void feed_over(struct p3_feed *f) {
    feed_close(f);
    f->ops->over(f->arg);
}

static void feed_some(struct p3_feed *f) {
    for (int pieces = 0; f->w && f->asked; pieces++) {
        const void *p;
        size_t n = 0, given;
        if (host_stream_writer_over(f->w)) {
            feed_over(f);
            return;
        }
        enum net_flow flow = f->ops->peek(f->arg, host_stream_writer_ready(f->w), &p, &n);
        if (!f->w || flow == NET_FLOW_WAIT) return;
        if (flow != NET_FLOW_DATA) {
            if (host_stream_writer_untold(f->w)) f->asked = false; /* it will ask once more */
            else feed_over(f);
            return;
        }
        enum host_copy copied = host_stream_write(f->w, p, n, &given);
        if (copied == HOST_COPY_DONE) {
            f->ops->consume(f->arg, given);
            if (pieces == PIECES_MAX) feed_pause(f);
        } else if (copied == HOST_COPY_BLOCKED) f->asked = f->turn.again;
    }
}

static void feed_run(struct p3_feed *f) {
    if (!take_turn(&f->turn)) return;
    f->turn.taken = true;
    while (f->turn.again && !f->turn.freed) {
        f->turn.again = false;
        if (f->w && !f->asked && host_stream_writer_over(f->w)) feed_over(f);
        else feed_some(f);
    }
    f->turn.taken = false;
    if (f->turn.freed) feed_free(f);
}

static void feed_asked(void *arg) {
    struct p3_feed *f = arg;
    f->asked = true;
    feed_run(f);
}

struct host_stream *p3_feed_new(struct host_instance *in, const struct p3_feed_ops *ops, void *arg, struct p3_feed **out) {
    struct p3_feed *f = make(in, sizeof *f);
    struct host_stream *s = f ? host_stream_new(in, &f->w) : NULL;
    if (!s) {
        if (f) unmake(in, f, sizeof *f);
        return NULL;
    }
    f->in = in;
    f->ops = ops;
    f->arg = arg;
    host_stream_writer_set_waker(f->w, feed_asked, f);
    *out = f;
    return s;
}

void p3_feed_wake(struct p3_feed *f) { feed_run(f); }

void p3_feed_stop(struct p3_feed *f) {
    bool taken = f->turn.taken;
    f->turn.taken = true; /* who is woken by the closing does not come back here */
    feed_close(f);
    f->turn.taken = taken;
    if (!taken) feed_free(f);
}

/* ---- drain ------------------------------------------------------------------------------------ */

struct p3_drain {
    struct turn turn;
    struct host_instance *in;
    struct host_stream *s; /* NULL: closed */
    const struct p3_drain_ops *ops;
    void *arg;
    struct net_timer *later; /* goes on with it */
};

static void drain_free(struct p3_drain *d) {
    net_timer_free(d->later);
    unmake(d->in, d, sizeof *d);
}

static void drain_close(struct p3_drain *d) {
    if (!d->s) return;
    struct host_stream *s = d->s;
    d->s = NULL;
    d->turn.freed = true;
    host_stream_close(s);
}

static void drain_over(struct p3_drain *d, bool gone) {
    drain_close(d);
    d->ops->over(d->arg, gone);
}

/* One read and write of *n bytes through p. False: nothing more for now. */
static bool drain_piece(struct p3_drain *d, uint8_t *p, size_t max, size_t *n) {
    size_t room = d->s ? d->ops->room(d->arg) : 0;
    *n = 0;
    if (!d->s) return false;
    if (host_stream_over(d->s)) {
        drain_over(d, host_stream_gone(d->s));
        return false;
    }
    if (!room) return false;
    switch (host_stream_read(d->s, NULL, p, MIN(room, max), n)) {
    case HOST_COPY_DONE: d->ops->write(d->arg, (str){p, *n}); return true;
    case HOST_COPY_BLOCKED: return d->turn.again;
    case HOST_COPY_CLOSED:
    case HOST_COPY_TRAPPED:
        if (d->s) drain_over(d, host_stream_gone(d->s));
    }
    return false;
}

static void drain_resume(void *arg) { p3_drain_wake(arg); }

/* Others first. False: there is no loop to come back from. */
static bool drain_pause(struct p3_drain *d) {
    struct wasi_run *run = host_instance_user(d->in);
    if (!d->s || !run) return false;
    if (!d->later) d->later = net_timer_new(run->app->loop, drain_resume, d);
    net_timer_start(d->later, 1, 0); /* at 0 it would ring in the same turn */
    return true;
}

/* Through a large buffer, unless a drain that woke this one has it. */
static void drain_some(struct p3_drain *d) {
    static uint8_t large[64 << 10];
    static bool large_taken;
    uint8_t small[1 << 10];
    bool mine = !large_taken;
    large_taken = true;
    size_t n, bytes = 0, pieces = 0;
    while (drain_piece(d, mine ? large : small, mine ? sizeof large : sizeof small, &n)) {
        d->turn.again = false;
        bytes += n;
        if (++pieces < DRAIN_PIECES_MAX && bytes < DRAIN_BYTES_MAX) continue;
        if (drain_pause(d)) break;
        bytes = pieces = 0;
    }
    if (mine) large_taken = false;
}

void p3_drain_wake(struct p3_drain *d) {
    if (!take_turn(&d->turn)) return;
    d->turn.taken = true;
    while (d->turn.again && !d->turn.freed) {
        d->turn.again = false;
        drain_some(d);
    }
    d->turn.taken = false;
    if (d->turn.freed) drain_free(d);
}

static void drain_offered(void *arg) { p3_drain_wake(arg); }

struct p3_drain *p3_drain_new(struct host_instance *in, struct host_stream *s, const struct p3_drain_ops *ops, void *arg) {
    struct p3_drain *d = make(in, sizeof *d);
    if (!d) {
        host_stream_close(s);
        return NULL;
    }
    *d = (struct p3_drain){.in = in, .s = s, .ops = ops, .arg = arg};
    host_stream_set_waker(s, drain_offered, d);
    return d;
}

void p3_drain_stop(struct p3_drain *d) {
    bool taken = d->turn.taken;
    d->turn.taken = true;
    drain_close(d);
    d->turn.taken = taken;
    if (!taken) drain_free(d);
}

/* ---- promise ---------------------------------------------------------------------------------- */

struct p3_promise {
    struct turn turn;
    bool kept;
    struct host_instance *in;     /* NULL: gone */
    struct host_future_writer *w; /* NULL: closed */
    void (*drop)(struct host_instance *in, void *value);
    size_t bytes;
    _Alignas(16) uint8_t value[];
};

static struct host_stream_writer *as_stream(struct host_future_writer *w) { return (struct host_stream_writer *)(void *)w; }

static void promise_close(struct p3_promise *p) {
    struct host_future_writer *w = p->w;
    p->w = NULL;
    host_future_writer_close(w);
}

static void promise_free(struct p3_promise *p) {
    if (p->in) host_uncharge(p->in, sizeof *p + p->bytes);
    free(p);
}

/* The value goes to who reads. */
static void promise_try(struct p3_promise *p) {
    enum host_copy copied = host_future_write(p->w, p->value);
    if (copied == HOST_COPY_BLOCKED) return;
    promise_close(p);
    p->turn.freed = true;
    if (copied != HOST_COPY_DONE && p->drop) p->drop(p->in, p->value);
}

static void promise_run(void *arg) {
    struct p3_promise *p = arg;
    if (!take_turn(&p->turn)) return;
    p->turn.taken = true;
    while (p->turn.again && p->w) {
        p->turn.again = false;
        if (p->kept) {
            promise_try(p);
        } else if (host_stream_writer_gone(as_stream(p->w))) {
            promise_close(p);
            host_uncharge(p->in, sizeof *p + p->bytes);
            p->in = NULL;
        }
    }
    p->turn.taken = false;
    if (p->turn.freed) promise_free(p);
}

struct host_future *p3_promise_new(struct host_instance *in, size_t bytes, struct p3_promise **out) {
    struct p3_promise *p = make(in, sizeof *p + bytes);
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

void p3_promise_keep(struct p3_promise *p, const void *value, void (*drop)(struct host_instance *in, void *value)) {
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

bool p3_promise_unwanted(const struct p3_promise *p) { return !p->w || host_stream_writer_over(as_stream(p->w)); }

void p3_promise_abandon(struct p3_promise *p) {
    p->turn.taken = true;
    if (p->w) promise_close(p);
    promise_free(p);
}

/* ---- await ------------------------------------------------------------------------------------ */

struct p3_await {
    struct turn turn;
    struct host_instance *in;
    struct host_future *f; /* NULL: closed */
    void (*fn)(void *arg, void *value);
    void *arg;
    size_t bytes;
    _Alignas(16) uint8_t value[];
};

static void await_close(struct p3_await *a) {
    struct host_future *f = a->f;
    a->f = NULL;
    a->turn.freed = true;
    host_future_close(f);
}

static void await_try(struct p3_await *a) {
    struct host_call call;
    host_call_begin(&call, a->in);
    enum host_copy copied = host_future_read(a->f, &call, a->value);
    if (copied != HOST_COPY_BLOCKED) {
        if (a->f) await_close(a);
        if (a->fn) a->fn(a->arg, copied == HOST_COPY_DONE ? a->value : NULL);
    }
    host_call_end(&call);
}

void p3_await_wake(struct p3_await *a) {
    if (!take_turn(&a->turn)) return;
    a->turn.taken = true;
    while (a->turn.again && a->f) {
        a->turn.again = false;
        await_try(a);
    }
    a->turn.taken = false;
    if (a->turn.freed) unmake(a->in, a, sizeof *a + a->bytes);
}

static void await_written(void *arg) { p3_await_wake(arg); }

struct p3_await *p3_await_new(struct host_instance *in, struct host_future *f, size_t bytes, void (*fn)(void *arg, void *value),
                              void *arg) {
    struct p3_await *a = make(in, sizeof *a + bytes);
    if (!a) {
        host_future_close(f);
        return NULL;
    }
    a->in = in;
    a->f = f;
    a->fn = fn;
    a->arg = arg;
    a->bytes = bytes;
    host_future_set_waker(f, await_written, a);
    return a;
}

void p3_await_stop(struct p3_await *a) {
    bool taken = a->turn.taken;
    a->turn.taken = true;
    a->fn = NULL;
    if (a->f) await_close(a);
    a->turn.taken = taken;
    if (!taken) unmake(a->in, a, sizeof *a + a->bytes);
}
