/* upgrade: a connection whose stream was handed over to whoever the client wanted to speak with.
 *
 *   owner ── net_stream ──> taken ──> connection ──> its stream
 *
 * 1. The connection stays the server's: it is counted, it is swept, a drain tells its owner and then cuts it off.
 * 2. The owner's stream lives until he closes it, the connection perhaps less long: then the stream has failed.
 */
#include "net/server_int.h"

struct taken {
    struct net_stream s; /* the owner's */
    struct net_conn *c;  /* NULL: it is gone */
    struct net_job job;  /* tells the owner what no event does */
    struct net_loop *loop;
    struct buf early; /* what came behind the request, of which */
    size_t used;      /* so much was received */
    uint64_t write_deadline_ns;
};

static struct taken *of(struct net_stream *s) { return container_of(s, struct taken, s); }
static bool has_early(const struct taken *t) { return t->used < t->early.n; }

/* What is worth trying is so below, too. */
static void look(struct taken *t) {
    const struct net_stream *below = t->c->stream;
    t->s.readable = below->readable || has_early(t);
    t->s.writable = below->writable;
    t->s.half_closed = below->half_closed;
    t->s.failed = below->failed;
}

static ssize_t taken_recv(struct net_stream *s, void *p, size_t n) {
    struct taken *t = of(s);
    if (s->failed) return NET_STREAM_FAILED;
    ssize_t got;
    if (has_early(t)) {
        got = (ssize_t)MIN(n, t->early.n - t->used);
        memcpy(p, t->early.p + t->used, (size_t)got);
        t->used += (size_t)got;
        if (!has_early(t)) buf_free(&t->early), t->used = 0;
    } else {
        got = net_stream_recv(t->c->stream, p, n);
        if (got > 0) t->c->server->stats.bytes_in += (uint64_t)got;
    }
    look(t);
    return got;
}

static ssize_t taken_sendv(struct net_stream *s, const struct iovec *parts, int count) {
    struct taken *t = of(s);
    if (s->failed) return NET_STREAM_FAILED;
    struct net_server *server = t->c->server;
    ssize_t n = net_stream_sendv(t->c->stream, parts, count);
    look(t);
    if (n > 0) server->stats.bytes_out += (uint64_t)n;
    if (n > 0 || !t->write_deadline_ns)
        t->write_deadline_ns = s->writable ? 0 : net_server_deadline(server, server->c.write_ms_max);
    return n;
}

static ssize_t taken_send(struct net_stream *s, const void *p, size_t n) {
    return taken_sendv(s, &(struct iovec){(void *)(uintptr_t)p, n}, 1);
}

static bool taken_has_input(struct net_stream *s) {
    return of(s)->c && (has_early(of(s)) || net_stream_has_input(of(s)->c->stream));
}

static bool taken_local(struct net_stream *s, struct net_addr *out) {
    return of(s)->c && of(s)->c->stream->ops->local(of(s)->c->stream, out);
}

static void taken_listen(struct net_stream *s) {
    if (s->ready && (s->readable || s->failed || s->ending)) net_job_queue(of(s)->loop, &of(s)->job);
}

static void taken_shutdown(struct net_stream *s) {
    if (of(s)->c) net_stream_shutdown(of(s)->c->stream);
}

static void taken_close(struct net_stream *s, bool reset) {
    struct taken *t = of(s);
    struct net_conn *c = t->c;
    if (c) {
        net_conn_close(c, reset);
        net_conn_bury(c);
    }
    net_job_cancel(&t->job);
    buf_free(&t->early);
    free(t);
}

static const struct net_stream_ops taken_ops = {.recv = taken_recv,
                                                .send = taken_send,
                                                .sendv = taken_sendv,
                                                .has_input = taken_has_input,
                                                .local = taken_local,
                                                .listen = taken_listen,
                                                .shutdown = taken_shutdown,
                                                .close = taken_close};

static void tell(struct net_job *job) { net_stream_tell(&container_of(job, struct taken, job)->s); }

/* ---- the protocol of a connection that has none any more ---- */

static void upgraded_ready(struct net_conn *c) {
    struct taken *t = c->taken;
    look(t);
    net_stream_tell(&t->s);
}

static void upgraded_abandon(struct net_conn *c) {
    struct taken *t = c->taken;
    t->c = NULL;
    t->s.failed = true;
    net_conn_close(c, true);
    net_conn_bury(c);
}

static void upgraded_kill(struct net_conn *c) {
    struct taken *t = c->taken;
    upgraded_abandon(c);
    net_job_queue(t->loop, &t->job);
}

static void upgraded_sweep(struct net_conn *c, uint64_t now) {
    struct taken *t = c->taken;
    if (!net_passed(t->write_deadline_ns, now)) return;
    t->write_deadline_ns = 0;
    c->stream->failed = t->s.failed = true;
    net_job_queue(t->loop, &t->job);
}

static void upgraded_drain(struct net_conn *c) {
    struct taken *t = c->taken;
    t->s.ending = true;
    net_job_queue(t->loop, &t->job);
}

const struct net_protocol net_upgraded_protocol = {.ready = upgraded_ready,
                                                   .sweep = upgraded_sweep,
                                                   .drain = upgraded_drain,
                                                   .kill = upgraded_kill,
                                                   .abandon = upgraded_abandon};

void net_upgrade_begin(struct net_conn *c, const struct net_upgrade *to) {
    struct taken *t = calloc(1, sizeof *t);
    ENSURE(t);
    t->s.ops = &taken_ops;
    t->c = c;
    t->loop = c->server->loop;
    t->job.fn = tell;
    if (net_bytes_left(&c->in)) buf_puts(&t->early, (str){c->in.p + c->in.off, net_bytes_left(&c->in)});
    net_bytes_release(&c->in);
    c->protocol = &net_upgraded_protocol;
    c->taken = t;
    look(t);
    t->s.ending = c->server->draining;
    to->fn(to->arg, &t->s);
}
