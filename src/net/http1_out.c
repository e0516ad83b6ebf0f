/* http1_out: the queue of bytes a connection has to send.
 *
 * 1. Bytes leave in order; the queue is contiguous, so that one send carries a head and its small body.
 * 2. While a response's framing is undecided nothing of it leaves.
 */
#include "net/http1_conn.h"

static void take_block(struct net_bytes *b, struct net_pool *pool) {
    b->base = b->p = net_pool_get(pool);
    b->pool = pool;
    b->cap = (uint32_t)pool->block_bytes;
    b->off = b->end = 0;
}

static void grow(struct http1_conn *h, size_t need) {
    struct net_server *s = h->c.server;
    struct net_bytes old = h->c.out, *o = &h->c.out;
    if (need <= s->small.block_bytes) {
        take_block(o, &s->small);
    } else if (need <= s->large.block_bytes) {
        take_block(o, &s->large);
    } else {
        need = align_up(need + need / 2, 4096);
        *o = net_bytes_new(s, need);
        o->cap = (uint32_t)need;
        o->p = o->base;
    }
    if (old.base) {
        o->end = net_bytes_left(&old);
        memcpy(o->p, old.p + old.off, o->end);
        net_bytes_release(&old);
    }
}

void http1_out_make_room(struct http1_conn *h, size_t n) {
    struct net_bytes *o = &h->c.out;
    uint32_t off = o->off, left = net_bytes_left(o);
    if (o->base && o->cap - left >= n) {
        memmove(o->p, o->p + off, left);
        o->off = 0;
        o->end = left;
    } else {
        grow(h, left + n);
    }
    if (h->o.undecided) h->o.gap_at -= off;
    if (h->o.retractable) h->o.head_at -= off;
}

/* n: of the stream. False: nothing more will go now. */
static bool sent(struct http1_conn *h, ssize_t n, size_t wanted) {
    struct net_server *s = h->c.server;
    if (n < 0) {
        if (n == NET_STREAM_FAILED) http1_conn_fail(h);
        else if (!h->write_deadline_ns) h->write_deadline_ns = net_server_deadline(s, s->c.write_ms_max);
        return false;
    }
    s->stats.bytes_out += (uint64_t)n;
    h->o.retractable = false;
    bool all = (size_t)n == wanted;
    h->write_deadline_ns = all ? 0 : net_server_deadline(s, s->c.write_ms_max);
    return all;
}

void http1_out_flush(struct http1_conn *h) {
    struct net_bytes *o = &h->c.out;
    if (o->off == o->end || h->failed) return;
    if (h->o.undecided) http1_exchange_decide(h, UINT64_MAX);
    if (!h->c.stream->writable) return;
    size_t wanted = net_bytes_left(o);
    ssize_t n = h->c.stream->ops->send(h->c.stream, o->p + o->off, wanted);
    bool all = sent(h, n, wanted);
    if (n > 0) o->off += (uint32_t)n;
    if (all) net_bytes_release(o);
}

/* On a connection that has sent much already, the system's buffers are there, and filling them costs less (./dev bench edge-files: 26 to 33 µs of 100 KB;
 * on a new one 45 to 33). */
size_t http1_out_file(struct http1_conn *h, int fd, uint64_t at, size_t n) {
    struct net_bytes *o = &h->c.out;
    struct net_stream *stream = h->c.stream;
    if (h->asked || !stream->ops->file || !stream->writable || h->failed || h->o.chunked || h->o.undecided) return 0;
    size_t queued = net_bytes_left(o);
    ssize_t all = stream->ops->file(stream, o->p + o->off, queued, fd, at, n);
    sent(h, all, queued + n);
    h->o.awaits_socket = !h->failed && !stream->writable;
    if (all <= 0) return 0;
    o->off += (uint32_t)MIN((size_t)all, queued);
    if (o->base && o->off == o->end) net_bytes_release(o);
    return (size_t)all - MIN((size_t)all, queued);
}

void http1_out_direct(struct http1_conn *h, str a, str data, str z) {
    struct net_bytes *o = &h->c.out;
    size_t queued = net_bytes_left(o), gone = 0;
    if (h->c.stream->writable && !h->failed) {
        struct iovec iov[4] = {{o->p + o->off, queued},
                               {(void *)(uintptr_t)a.p, a.n},
                               {(void *)(uintptr_t)data.p, data.n},
                               {(void *)(uintptr_t)z.p, z.n}};
        if (!queued) iov[0].iov_base = (void *)(uintptr_t)a.p;
        size_t wanted = queued + a.n + data.n + z.n;
        ssize_t n = net_stream_sendv(h->c.stream, iov, 4);
        sent(h, n, wanted);
        if (n > 0) gone = (size_t)n;
    }
    if (h->failed) return;
    size_t part = MIN(gone, queued);
    o->off += (uint32_t)part;
    gone -= part;
    if (o->base && o->off == o->end) net_bytes_release(o);
    str rest[3] = {a, data, z};
    for (int i = 0; i < 3; i++) {
        part = MIN(gone, rest[i].n);
        gone -= part;
        if (rest[i].n > part) http1_out_put(h, rest[i].p + part, rest[i].n - part);
    }
}
