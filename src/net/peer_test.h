/* For net's tests: a connection's peer in memory, whose bytes come in pieces of any size and are taken in pieces of any size. */
#ifndef ORLO_NET_PEER_TEST_H
#define ORLO_NET_PEER_TEST_H

#include "net/net_test.h"
#include "net/server_int.h"

struct peer {
    struct net_stream s;
    struct net_loop *loop;
    struct net_job job; /* makes what fell short possible again, a turn later */
    const char *in;     /* what the peer says */
    size_t in_n, in_at, piece;
    bool ends;      /* and then no more */
    bool stalls;    /* takes nothing */
    bool refuses;   /* the stream fails when it is written to */
    struct buf out; /* what it hears */
    bool shut, closed, reset;
    uint32_t waits;
};

static struct peer *peer_of(struct net_stream *s) { return container_of(s, struct peer, s); }

static ssize_t peer_fell_short(struct peer *p) {
    p->waits++;
    net_job_queue(p->loop, &p->job);
    return NET_STREAM_WAIT;
}

static ssize_t peer_recv(struct net_stream *s, void *to, size_t n) {
    struct peer *p = peer_of(s);
    if (!s->readable) return peer_fell_short(p);
    n = MIN(MIN(n, p->piece), p->in_n - p->in_at);
    s->readable = false;
    if (!n) return p->ends ? 0 : NET_STREAM_WAIT;
    memcpy(to, p->in + p->in_at, n);
    p->in_at += n;
    net_job_queue(p->loop, &p->job);
    return (ssize_t)n;
}

static ssize_t peer_send(struct net_stream *s, const void *from, size_t n) {
    struct peer *p = peer_of(s);
    s->failed |= p->refuses;
    if (s->failed) return NET_STREAM_FAILED;
    if (!s->writable || p->stalls) {
        s->writable = false;
        return p->stalls ? NET_STREAM_WAIT : peer_fell_short(p);
    }
    s->writable = n <= p->piece;
    n = MIN(n, p->piece);
    buf_put(&p->out, from, n);
    if (!s->writable) net_job_queue(p->loop, &p->job);
    return (ssize_t)n;
}

static bool peer_has_input(struct net_stream *s) { return peer_of(s)->in_at < peer_of(s)->in_n; }
static bool peer_local(struct net_stream *s, struct net_addr *out) { return false; }
static void peer_shutdown(struct net_stream *s) {
    struct peer *p = peer_of(s);
    p->shut = p->ends = true; /* as a client that hangs up when it hears no more */
    net_job_queue(p->loop, &p->job);
}
static void peer_close(struct net_stream *s, bool reset) {
    peer_of(s)->closed = true;
    peer_of(s)->reset = reset;
    net_job_cancel(&peer_of(s)->job);
}

static const struct net_stream_ops peer_ops = {.recv = peer_recv,
                                               .send = peer_send,
                                               .sendv = net_stream_sendv_each,
                                               .has_input = peer_has_input,
                                               .local = peer_local,
                                               .shutdown = peer_shutdown,
                                               .close = peer_close};

static void peer_job(struct net_job *job) {
    struct peer *p = container_of(job, struct peer, job);
    p->s.writable |= !p->stalls;
    p->s.readable = true;
    p->s.half_closed = p->ends;
    net_stream_tell(&p->s);
}

/* A connection of s, whose peer says that. */
static inline void peer_join(struct peer *p, struct net_server *server, struct net_loop *loop, str says, size_t piece) {
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(4711), .sin_addr.s_addr = htonl(0xc0000201)};
    *p = (struct peer){
        .s = {.ops = &peer_ops, .writable = true}, .loop = loop, .in = (const char *)says.p, .in_n = says.n, .piece = piece};
    p->job.fn = peer_job;
    struct net_conn *c = net_conn_new(server, &from, sizeof from);
    c->stream = &p->s;
    net_conn_start(c);
    net_job_queue(loop, &p->job);
}

static inline const char *peer_heard(struct peer *p) {
    buf_putc(&p->out, 0);
    p->out.n--;
    return (const char *)p->out.p;
}

#endif
