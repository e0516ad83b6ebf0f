/* http2_tunnel: a stream of HTTP/2 that was asked for by an extended CONNECT (RFC 8441), handed over as a net_stream.
 *
 *   owner ── net_stream ──> tunnel ── source, sink ──> the exchange, which stays live until the owner closes
 *
 * 1. What the exchange's owner ends after net_exchange_upgrade goes on as the tunnel's: the stream is counted, has its windows and deadlines, and is reset
 *    as any.
 * 2. The tunnel lives until its owner closes it, the stream perhaps less long: then it has failed. */
#include "net/http2_conn.h"

struct http2_tunnel {
    struct net_stream s;
    struct http2_stream *st; /* NULL: it is gone */
    struct net_job job;      /* tells the owner what no event does */
    struct net_loop *loop;
};

static struct http2_tunnel *of(struct net_stream *s) { return container_of(s, struct http2_tunnel, s); }

static ssize_t fail(struct net_stream *s) {
    s->failed = true;
    return NET_STREAM_FAILED;
}

static ssize_t tunnel_recv(struct net_stream *s, void *p, size_t n) {
    struct http2_tunnel *t = of(s);
    size_t got;
    if (s->failed || !t->st) return NET_STREAM_FAILED;
    switch (net_source_read(&t->st->x.source, p, n, &got)) {
    case NET_FLOW_DATA: return (ssize_t)got;
    case NET_FLOW_WAIT: s->readable = false; return NET_STREAM_WAIT;
    case NET_FLOW_END: s->half_closed = true; return 0;
    default: return fail(s);
    }
}

static ssize_t tunnel_send(struct net_stream *s, const void *p, size_t n) {
    struct http2_tunnel *t = of(s);
    if (s->failed || !t->st) return NET_STREAM_FAILED;
    struct net_sink *sink = &t->st->x.sink;
    size_t room = net_sink_room(sink), k = MIN(room, n);
    s->writable = room > k || (room && k == n);
    if (!k) {
        s->writable = false;
        return net_sink_error(sink) ? fail(s) : NET_STREAM_WAIT;
    }
    if (net_sink_write(sink, (str){p, k}) != ERR_OK) return fail(s);
    if (k < n) s->writable = false, (void)net_sink_room(sink); /* which is to say when there is some */
    return (ssize_t)k;
}

static bool tunnel_has_input(struct net_stream *s) {
    str data;
    struct http2_tunnel *t = of(s);
    return t->st && net_source_peek(&t->st->x.source, &data) == NET_FLOW_DATA;
}

static bool tunnel_local(struct net_stream *s, struct net_addr *out) {
    struct net_stream *below = of(s)->st ? of(s)->st->h->c->stream : NULL;
    return below && below->ops->local(below, out);
}

static void tunnel_listen(struct net_stream *s) {
    if (s->ready && (s->readable || s->failed || s->ending)) net_job_queue(of(s)->loop, &of(s)->job);
}

static void tunnel_shutdown(struct net_stream *s) {
    struct http2_tunnel *t = of(s);
    if (t->st && net_sink_finish(&t->st->x.sink, NULL, 0) != ERR_OK) s->failed = true;
}

static void detach(struct http2_tunnel *t) {
    t->st->tunnel = NULL;
    t->st = NULL;
}

static void tunnel_close(struct net_stream *s, bool reset) {
    struct http2_tunnel *t = of(s);
    struct http2_stream *st = t->st;
    if (st) {
        detach(t);
        struct net_exchange *x = &st->x;
        net_exchange_listen(x, NULL, NULL);
        net_source_notify(&x->source, NULL, NULL);
        net_sink_notify(&x->sink, NULL, NULL);
        if (!reset && !x->finished && !x->closed) (void)!net_sink_finish(&x->sink, NULL, 0);
        if (!x->finished && !x->closed) http2_reset(st, NGHTTP2_CANCEL); /* RFC 8441 §5: as TCP's reset */
        x->finished = true;
        net_exchange_end(x);
    }
    net_job_cancel(&t->job);
    free(t);
}

static const struct net_stream_ops tunnel_ops = {.recv = tunnel_recv,
                                                 .send = tunnel_send,
                                                 .sendv = net_stream_sendv_each,
                                                 .has_input = tunnel_has_input,
                                                 .local = tunnel_local,
                                                 .listen = tunnel_listen,
                                                 .shutdown = tunnel_shutdown,
                                                 .close = tunnel_close};

/* ---- what the stream tells ---- */

static void tell(struct net_job *job) { net_stream_tell(&container_of(job, struct http2_tunnel, job)->s); }

static void on_source(void *arg) {
    struct http2_tunnel *t = arg;
    t->s.readable = true;
    net_stream_tell(&t->s);
}

static void on_sink(void *arg) {
    struct http2_tunnel *t = arg;
    if (net_sink_error(&t->st->x.sink) != NET_OK) t->s.failed = true;
    t->s.writable = true;
    net_stream_tell(&t->s);
}

static void on_event(void *arg, enum net_event event) {
    struct http2_tunnel *t = arg;
    if (event != NET_EVENT_GONE) return;
    t->s.failed = t->s.readable = true;
    net_stream_tell(&t->s);
}

void http2_tunnel_ending(struct http2_stream *st) {
    struct http2_tunnel *t = st->tunnel;
    t->s.ending = true;
    net_job_queue(t->loop, &t->job);
}

void http2_tunnel_abandon(struct http2_stream *st) {
    struct http2_tunnel *t = st->tunnel;
    struct net_upgrade to = st->upgrade;
    st->upgrade.fn = NULL;
    if (t) {
        t->s.failed = true;
        detach(t);
    }
    st->x.live = false;
    if (to.fn) to.fn(to.arg, NULL);
}

void http2_tunnel_begin(struct http2_stream *st) {
    struct net_exchange *x = &st->x;
    struct net_upgrade to = st->upgrade;
    st->upgrade.fn = NULL;
    if (x->closed) {
        net_exchange_end(x);
        to.fn(to.arg, NULL);
        return;
    }
    struct http2_tunnel *t = calloc(1, sizeof *t);
    ENSURE(t);
    *t = (struct http2_tunnel){
        .s = {.ops = &tunnel_ops, .readable = true, .writable = true}, .st = st, .job.fn = tell, .loop = st->h->c->server->loop};
    t->s.ending = st->h->drains;
    st->tunnel = t;
    x->finished = x->no_body = false;
    x->left = x->out_max = UINT64_MAX;
    net_exchange_listen(x, on_event, t);
    net_source_notify(&x->source, on_source, t);
    net_sink_notify(&x->sink, on_sink, t);
    to.fn(to.arg, &t->s);
}
