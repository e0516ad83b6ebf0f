/* out: the queue of bytes a connection has to send.
 *
 * 1. Bytes leave in order; the queue is contiguous, so that one send carries a head and its small body.
 * 2. While a response's framing is undecided nothing of it leaves.
 */
#include "net/server_int.h"
#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

void *net_pool_get(struct net_pool *p) {
    struct net_block *b = p->free;
    *p->held += p->block_bytes;
    if (LIKELY(b)) {
        p->free = b->next;
        p->free_count--;
        return b;
    }
    b = malloc(p->block_bytes);
    ENSURE(b);
    return b;
}

void net_pool_put(struct net_pool *p, void *block) {
    *p->held -= p->block_bytes;
    if (p->free_count >= p->free_max) {
        free(block);
        return;
    }
    struct net_block *b = block;
    b->next = p->free;
    p->free = b;
    p->free_count++;
}

void net_pool_free(struct net_pool *p) {
    for (struct net_block *b = p->free, *next; b; b = next) next = b->next, free(b);
    p->free = NULL;
    p->free_count = 0;
}

void net_bytes_release(struct net_bytes *b) {
    if (b->base) {
        if (b->pool) {
            net_pool_put(b->pool, b->base);
        } else {
            *b->held -= b->size;
            free(b->base);
        }
    }
    *b = (struct net_bytes){0};
}

struct net_bytes net_bytes_new(struct net_server *s, size_t size) {
    struct net_bytes b = {.base = malloc(size), .size = (uint32_t)size, .held = &s->held_bytes};
    ENSURE(b.base && size < UINT32_MAX);
    s->held_bytes += size;
    return b;
}

static void take_block(struct net_bytes *b, struct net_pool *pool) {
    b->base = b->p = net_pool_get(pool);
    b->pool = pool;
    b->cap = (uint32_t)pool->block_bytes;
    b->off = b->end = 0;
}

static void grow(struct net_conn *c, size_t need) {
    struct net_server *s = c->server;
    struct net_bytes old = c->out, *o = &c->out;
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

void net_out_reserve(struct net_conn *c, size_t n) {
    struct net_bytes *o = &c->out;
    if (LIKELY(o->cap - o->end >= n && o->base)) return;
    uint32_t off = o->off, left = net_bytes_left(o);
    if (o->base && o->cap - left >= n) {
        memmove(o->p, o->p + off, left);
        o->off = 0;
        o->end = left;
    } else {
        grow(c, left + n);
    }
    if (c->x.undecided) c->x.gap_at -= off;
    if (c->x.retractable) c->x.head_at -= off;
}

void net_out_put(struct net_conn *c, const void *p, size_t n) {
    net_out_reserve(c, n);
    if (n) memcpy(c->out.p + c->out.end, p, n);
    c->out.end += (uint32_t)n;
}

static uint64_t write_deadline(const struct net_conn *c) {
    uint32_t ms = c->server->c.write_ms_max;
    return ms == NET_NO_LIMIT ? 0 : net_loop_now_ns(c->server->loop) + ms * 1000000ull;
}

/* n bytes went; -1: see errno. False: nothing more will go now. */
static bool sent(struct net_conn *c, ssize_t n, size_t wanted) {
    if (n < 0) {
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
            c->writable = errno == EINTR;
            if (!c->write_deadline_ns) c->write_deadline_ns = write_deadline(c);
        } else {
            net_conn_fail(c);
        }
        return false;
    }
    c->server->stats.bytes_out += (uint64_t)n;
    c->x.retractable = false;
    bool all = (size_t)n == wanted;
    c->write_deadline_ns = all ? 0 : write_deadline(c);
    /* A short write is a full socket buffer: the next edge says when it is not. */
    c->writable = all;
    return all;
}

void net_out_flush(struct net_conn *c) {
    struct net_bytes *o = &c->out;
    if (o->off == o->end || c->failed) return;
    if (c->x.undecided) net_exchange_decide(c, UINT64_MAX);
    if (!c->writable) return;
    size_t wanted = net_bytes_left(o);
    ssize_t n = send(c->fd, o->p + o->off, wanted, MSG_NOSIGNAL);
    bool all = sent(c, n, wanted);
    if (n > 0) o->off += (uint32_t)n;
    if (all) net_bytes_release(o);
}

void net_out_direct(struct net_conn *c, str a, str data, str z) {
    struct net_bytes *o = &c->out;
    size_t queued = net_bytes_left(o), gone = 0;
    if (c->writable && !c->failed) {
        struct iovec iov[4] = {{o->p + o->off, queued},
                               {(void *)(uintptr_t)a.p, a.n},
                               {(void *)(uintptr_t)data.p, data.n},
                               {(void *)(uintptr_t)z.p, z.n}};
        if (!queued) iov[0].iov_base = (void *)(uintptr_t)a.p;
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = 4};
        size_t wanted = queued + a.n + data.n + z.n;
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        sent(c, n, wanted);
        if (n > 0) gone = (size_t)n;
    }
    if (c->failed) return;
    size_t part = MIN(gone, queued);
    o->off += (uint32_t)part;
    gone -= part;
    if (o->base && o->off == o->end) net_bytes_release(o);
    str rest[3] = {a, data, z};
    for (int i = 0; i < 3; i++) {
        part = MIN(gone, rest[i].n);
        gone -= part;
        if (rest[i].n > part) net_out_put(c, rest[i].p + part, rest[i].n - part);
    }
}
