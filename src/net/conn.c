/* conn: a connection's socket, its states (drawn in server_int.h) and its deadlines.
 *
 * 1. Everything is edge-triggered: `readable` and `writable` stay true until a call answered EAGAIN or fell short.
 * 2. A dead connection's memory stays until the batch of events it may be named in is done.
 * 3. An exchange that is live keeps its connection's memory, whatever happens to the socket.
 */
#include "net/server_int.h"
#include <arpa/inet.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void conn_job(struct net_job *job);
static void parse_heads(struct net_conn *c);

static uint64_t after_ms(const struct net_conn *c, uint32_t ms) {
    return ms == NET_NO_LIMIT ? 0 : net_loop_now_ns(c->server->loop) + ms * 1000000ull;
}

static bool move_ok(enum net_conn_state from, enum net_conn_state to) {
    switch (to) {
    case NET_CONN_READING: return from == NET_CONN_HANDLING || from == NET_CONN_DISCARDING;
    case NET_CONN_HANDLING: return from == NET_CONN_READING;
    case NET_CONN_DISCARDING: return from == NET_CONN_HANDLING;
    case NET_CONN_CLOSING: return from <= NET_CONN_CLOSING;
    case NET_CONN_LINGERING: return from == NET_CONN_CLOSING;
    default: return from != NET_CONN_DEAD;
    }
}

static void serve(struct net_conn *c) {
    struct net_ring *r = &c->unserved;
    if (!r->next) return;
    r->prev->next = r->next;
    r->next->prev = r->prev;
    r->prev = r->next = NULL;
}

static void unserve(struct net_conn *c, enum net_unserved how) {
    struct net_ring *r = &c->unserved, *head = &c->server->unserved[how];
    serve(c);
    *r = (struct net_ring){head->prev, head};
    r->prev->next = head->prev = r;
}

void net_conn_set_state(struct net_conn *c, enum net_conn_state to) {
    ENSURE(move_ok(c->state, to));
    c->state = (uint8_t)to;
    if (to == NET_CONN_LINGERING) unserve(c, NET_UNSERVED_ENDING);
    else if (to != NET_CONN_READING) serve(c);
}

bool net_conn_unread(const struct net_server *s) {
    const struct net_ring *head = &s->unserved[NET_UNSERVED_SILENT];
    const struct net_conn *c = container_of(head->next, struct net_conn, unserved);
    return head->next != head && !c->in.base && net_conn_has_input(c);
}

bool net_conn_make_room(struct net_server *s) {
    enum { TRIES = 8 };
    for (int how = 0; how < NET_UNSERVED_COUNT; how++) {
        struct net_ring *head = &s->unserved[how];
        for (int i = 0; i < TRIES && head->next != head; i++) {
            struct net_conn *c = container_of(head->next, struct net_conn, unserved);
            bool asks = how == NET_UNSERVED_IDLE && net_conn_has_input(c); /* its next request came a moment ago */
            if (asks || net_bytes_left(&c->out)) {
                unserve(c, how);
                continue;
            }
            s->stats.evicted++;
            net_conn_kill(c);
            return true;
        }
    }
    return false;
}

void net_conn_start(struct net_server *s, int fd, const void *peer, socklen_t peer_n) {
    struct net_conn *c = s->spare;
    if (c) {
        s->spare = c->next;
        s->spare_count--;
    } else {
        c = malloc(sizeof *c);
        ENSURE(c);
    }
    memset(c, 0, sizeof *c);
    c->server = s;
    c->fd = fd;
    c->job.fn = conn_job;
    c->writable = true;
    memcpy(&c->peer, peer, MIN(peer_n, sizeof c->peer));
    struct epoll_event ev = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
    if (epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &ev) != 0) {
        close(fd);
        free(c);
        return;
    }
    c->prev = s->conns.prev;
    c->next = &s->conns;
    c->prev->next = s->conns.prev = c;
    s->stats.connections++;
    s->stats.idle++;
    unserve(c, NET_UNSERVED_SILENT);
    c->io_deadline_ns = after_ms(c, s->c.header_ms_max);
}

static void unlink_conn(struct net_conn *c) {
    c->prev->next = c->next;
    c->next->prev = c->prev;
    c->next = c->server->dead;
    c->server->dead = c;
}

/* The socket is gone; the memory too, unless an exchange still holds it. */
static void bury(struct net_conn *c) {
    if (c->state != NET_CONN_DEAD) {
        if (c->state == NET_CONN_READING && !c->in.base) c->server->stats.idle--;
        net_conn_set_state(c, NET_CONN_DEAD);
        if (c->abort) setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(c->fd);
        c->fd = -1;
        c->io_deadline_ns = c->write_deadline_ns = 0;
        net_bytes_release(&c->out);
        if (!--c->server->stats.connections && c->server->draining) net_job_queue(c->server->loop, &c->server->drained_job);
    }
    if (c->x.live) {
        net_conn_later(c); /* to report it */
        return;
    }
    net_job_cancel(&c->job);
    net_bytes_release(&c->in);
    net_bytes_release(&c->body);
    http1_body_free(&c->body_state);
    unlink_conn(c);
}

void net_conn_kill(struct net_conn *c) {
    c->failed = true;
    bury(c);
}

void net_conn_fail(struct net_conn *c) {
    c->failed = true;
    net_conn_later(c);
}

void net_conn_later(struct net_conn *c) { net_job_queue(c->server->loop, &c->job); }

bool net_conn_recv(struct net_conn *c, struct net_bytes *b) {
    if (!c->readable || c->eof || c->failed || b->end == b->cap) return false;
    ssize_t n = recv(c->fd, b->p + b->end, b->cap - b->end, 0);
    if (n > 0) {
        /* Fewer than asked for: the kernel had no more (epoll(7)); the end of the stream would raise another edge, unless it
         * was seen already. */
        c->readable = (size_t)n == b->cap - b->end || c->half_closed;
        b->end += (uint32_t)n;
        c->server->stats.bytes_in += (uint64_t)n;
        return true;
    }
    if (n == 0) c->eof = true;
    else if (errno == EAGAIN || errno == EWOULDBLOCK) c->readable = false;
    else if (errno != EINTR) net_conn_fail(c);
    return false;
}

bool net_conn_has_input(const struct net_conn *c) {
    uint8_t byte;
    return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* ---- reading heads ---- */

static void take_in(struct net_conn *c, size_t bytes) {
    struct net_server *s = c->server;
    size_t fields = sizeof(struct net_field) * s->c.fields_max;
    struct net_bytes b = {0};
    if (fields + bytes <= s->small.block_bytes) {
        b.base = net_pool_get(b.pool = &s->small);
        b.cap = (uint32_t)(s->small.block_bytes - fields);
    } else {
        b = net_bytes_new(s, fields + bytes);
        b.cap = (uint32_t)bytes;
    }
    b.p = (uint8_t *)b.base + fields;
    c->in = b;
}

/* Room to receive: a block if there is none, a larger one if a head outgrew it. A stash goes into a block again. */
static void make_room(struct net_conn *c) {
    struct net_bytes old = c->in;
    if (!old.base) {
        c->server->stats.idle--;
        unserve(c, NET_UNSERVED_SILENT);
        take_in(c, 1);
        http1_head_init(&c->head, &c->server->limits, c->in.base);
        c->io_deadline_ns = after_ms(c, c->server->c.header_ms_max);
        return;
    }
    uint32_t left = net_bytes_left(&old);
    bool stash = !c->fields;
    if (!stash && old.end < old.cap) return;
    if (!stash && old.off && left < old.cap / 2) {
        memmove(old.p, old.p + old.off, left);
        c->in.off = 0;
        c->in.end = left;
        return;
    }
    take_in(c, MAX(left + 1024u, stash ? 1u : c->server->limits.head_bytes_max + 1024u));
    memcpy(c->in.p, old.p + old.off, left);
    c->in.end = left;
    net_bytes_release(&old);
    c->fields = c->in.base;
    http1_head_init(&c->head, &c->server->limits, c->fields);
}

/* An incomplete head that is short waits in memory of its size, so that slow clients hold little. */
static void stash(struct net_conn *c) {
    struct net_bytes old = c->in;
    uint32_t left = net_bytes_left(&old);
    if (left > NET_STASH_BYTES_MAX) return;
    c->in = net_bytes_new(c->server, MAX(left, 1u));
    c->in.cap = c->in.end = left;
    c->in.p = c->in.base;
    memcpy(c->in.p, old.p + old.off, left);
    net_bytes_release(&old);
    c->fields = NULL;
}

static void rest(struct net_conn *c) {
    net_bytes_release(&c->in);
    c->fields = NULL;
    c->server->stats.idle++;
    unserve(c, NET_UNSERVED_IDLE);
    c->io_deadline_ns = after_ms(c, c->server->c.idle_ms_max);
}

/* READING and the client's side ended. */
static void read_ended(struct net_conn *c) {
    if (net_bytes_left(&c->out) && !c->failed) {
        net_conn_set_state(c, NET_CONN_CLOSING);
        net_conn_later(c);
        return;
    }
    net_conn_kill(c);
}

/* Connections hold too much: of those that nobody is served on, the one that has been sending a head for longest goes. */
static bool make_memory(struct net_conn *c) {
    struct net_server *s = c->server;
    struct net_ring *head = &s->unserved[NET_UNSERVED_SILENT], *next;
    for (struct net_ring *r = head->next; r != head && s->held_bytes >= s->c.memory_bytes_max; r = next) {
        next = r->next;
        struct net_conn *other = container_of(r, struct net_conn, unserved);
        if (other == c || !other->in.base) continue;
        s->stats.evicted++;
        net_conn_kill(other);
    }
    return s->held_bytes < s->c.memory_bytes_max;
}

/* A head may be received. */
static bool has_memory(struct net_conn *c) {
    const struct net_server *s = c->server;
    if (LIKELY(!s->c.memory_bytes_max || s->held_bytes < s->c.memory_bytes_max) || make_memory(c)) return true;
    if (!c->in.base) c->server->stats.idle--;
    net_exchange_refuse(c, 503, "all memory of connections is in use");
    return false;
}

static void read_heads(struct net_conn *c) {
    while (c->state == NET_CONN_READING) {
        if (net_bytes_left(&c->out) > NET_HOLD_BYTES && !c->failed) return; /* answers before more questions */
        if (c->in.base && net_bytes_left(&c->in) && c->fields) {
            parse_heads(c);
            if (c->state != NET_CONN_READING) return;
        }
        if (!c->readable || c->eof || c->failed) break;
        if (!has_memory(c)) return;
        make_room(c);
        c->fields = c->in.base;
        if (!net_conn_recv(c, &c->in)) break;
    }
    if (c->state != NET_CONN_READING) return;
    if (c->eof || c->failed) {
        read_ended(c);
        return;
    }
    if (c->in.base && !net_bytes_left(&c->in)) rest(c);
    else if (c->in.base && c->fields) stash(c);
}

/* All the heads that are complete in c->in, as long as each exchange ends within its on_request. */
static void parse_heads(struct net_conn *c) {
    c->parsing = true;
    while (c->state == NET_CONN_READING && net_bytes_left(&c->in) && net_bytes_left(&c->out) <= NET_HOLD_BYTES) {
        if (UNLIKELY(c->in.p[c->in.off] == 0x16)) { /* RFC 8446 §5.1: a handshake record, so a client that was told https:// */
            net_exchange_refuse(c, 400, "this port speaks plain HTTP, not TLS; use http://");
            break;
        }
        enum http1_result r = http1_head_parse(&c->head, c->in.p + c->in.off, net_bytes_left(&c->in));
        if (r == HTTP1_MORE) break;
        if (r == HTTP1_ERROR) {
            net_exchange_refuse(c, c->head.status, c->head.why);
            break;
        }
        c->in.off += c->head.bytes;
        c->io_deadline_ns = 0;
        if (UNLIKELY(str_eq(c->head.rq.method, STR("CONNECT")))) {
            net_exchange_refuse(c, 501, "CONNECT is not offered");
            break;
        }
        net_exchange_begin(c);
    }
    c->parsing = false;
}

/* ---- after an exchange ---- */

static void close_now_or_linger(struct net_conn *c) {
    bool unread = net_bytes_left(&c->in) || net_bytes_left(&c->body) || !http1_body_done(&c->body_state);
    if (!c->linger && !unread) {
        bury(c);
        return;
    }
    net_conn_set_state(c, NET_CONN_LINGERING);
    net_bytes_release(&c->in);
    net_bytes_release(&c->body);
    shutdown(c->fd, SHUT_WR);
    c->io_deadline_ns = after_ms(c, NET_LINGER_MS);
    c->readable = true;
    net_conn_later(c);
}

static void go_on_closing(struct net_conn *c) {
    net_out_flush(c);
    if (c->failed) bury(c);
    else if (!net_bytes_left(&c->out)) close_now_or_linger(c);
}

/* Reads and forgets. False: the socket has no more now. */
static bool drop_input(struct net_conn *c) {
    struct net_bytes b = {.p = net_pool_get(&c->server->large), .cap = NET_LARGE_BYTES};
    bool got = net_conn_recv(c, &b);
    c->discarded += b.end;
    net_pool_put(&c->server->large, b.p);
    return got;
}

static void go_on_lingering(struct net_conn *c) {
    enum { ROUNDS = 16, BYTES_MAX = 16 << 20 };
    int rounds = 0;
    while (rounds < ROUNDS && drop_input(c)) rounds++;
    if (c->eof || c->failed || c->discarded >= BYTES_MAX) bury(c);
    else if (rounds == ROUNDS) net_conn_later(c); /* others first */
}

/* The body's bytes end: the rest of them belongs to the next request. */
static void next_request(struct net_conn *c) {
    http1_body_free(&c->body_state);
    uint32_t left = net_bytes_left(&c->body);
    if (left) {
        /* in is used up, or the body would have been read from it. */
        net_bytes_release(&c->in);
        take_in(c, left + 1024u);
        memcpy(c->in.p, c->body.p + c->body.off, left);
        c->in.end = left;
    }
    net_bytes_release(&c->body);
    net_conn_set_state(c, NET_CONN_READING);
    c->fields = c->in.base;
    http1_head_init(&c->head, &c->server->limits, c->fields);
    if (c->server->draining && !c->server->keeps_idle &&
        !net_bytes_left(&c->in)) { /* a client that was not told may ask once more */
        net_conn_set_state(c, NET_CONN_CLOSING);
        net_conn_later(c);
        return;
    }
    if (!net_bytes_left(&c->in)) {
        rest(c);
        if (!c->readable && !c->half_closed) {
            if (net_bytes_left(&c->out)) net_conn_later(c);
            return;
        }
    } else {
        unserve(c, NET_UNSERVED_SILENT);
        c->io_deadline_ns = after_ms(c, c->server->c.header_ms_max);
    }
    if (!c->parsing) net_conn_later(c);
}

static void go_on_discarding(struct net_conn *c) {
    str data;
    size_t skip;
    for (;;) {
        struct net_bytes *b = net_bytes_left(&c->in) ? &c->in : &c->body;
        enum http1_result r = http1_body_next(&c->body_state, b->p + b->off, net_bytes_left(b), &skip, &data);
        b->off += (uint32_t)(skip + data.n);
        c->discarded += (uint32_t)(skip + data.n);
        if (data.n) http1_body_took(&c->body_state, data.n);
        if (r == HTTP1_DONE || http1_body_done(&c->body_state)) {
            next_request(c);
            return;
        }
        if (r == HTTP1_ERROR || c->discarded > NET_DISCARD_BYTES_MAX) break;
        if (net_bytes_left(b)) continue;
        if (!c->body.base) {
            c->body.base = c->body.p = net_pool_get(c->body.pool = &c->server->large);
            c->body.cap = NET_LARGE_BYTES;
        }
        c->body.off = c->body.end = 0;
        if (!net_conn_recv(c, &c->body)) {
            if (!c->eof && !c->failed) return;
            break;
        }
    }
    c->linger = true;
    net_conn_set_state(c, NET_CONN_CLOSING);
    go_on_closing(c);
}

void net_conn_after_exchange(struct net_conn *c) {
    struct net_exchange *x = &c->x;
    if (c->state == NET_CONN_DEAD) {
        bury(c);
        return;
    }
    bool whole = http1_body_done(&c->body_state);
    if (c->failed || x->close || !x->finished || c->body_state.status) {
        c->linger |= !whole && !c->eof;
        c->abort = !x->finished && x->until_close;
        net_conn_set_state(c, NET_CONN_CLOSING);
        net_conn_later(c);
        return;
    }
    if (LIKELY(whole)) {
        next_request(c);
        return;
    }
    net_conn_set_state(c, NET_CONN_DISCARDING);
    c->discarded = 0;
    c->io_deadline_ns = after_ms(c, c->server->c.body_ms_max);
    net_conn_later(c);
}

/* ---- what drives a connection ---- */

static void go_on(struct net_conn *c) {
    c->turn_bytes = 0;
    switch (c->state) {
    case NET_CONN_READING:
        if (c->failed) net_conn_kill(c);
        else read_heads(c);
        break;
    case NET_CONN_HANDLING: net_exchange_progress(c); break;
    case NET_CONN_DISCARDING: go_on_discarding(c); break;
    case NET_CONN_CLOSING: go_on_closing(c); break;
    case NET_CONN_LINGERING: go_on_lingering(c); break;
    default:
        if (c->x.live) net_exchange_progress(c);
        break;
    }
}

void net_conn_on_events(struct net_conn *c, uint32_t events) {
    if (c->state == NET_CONN_DEAD) return;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) c->readable = true;
    if (events & EPOLLOUT) c->writable = true;
    if (events & EPOLLERR || (events & EPOLLHUP && c->state != NET_CONN_LINGERING)) c->failed = true;
    if (events & EPOLLRDHUP && !c->half_closed) {
        c->half_closed = true;
        if (c->state == NET_CONN_HANDLING && !c->io_deadline_ns) c->io_deadline_ns = after_ms(c, c->server->c.half_closed_ms_max);
    }
    go_on(c);
    if (c->state != NET_CONN_DEAD && net_bytes_left(&c->out) && c->writable && !c->x.undecided) net_conn_later(c);
}

static void on_deadline(struct net_conn *c);

static void conn_job(struct net_job *job) {
    struct net_conn *c = container_of(job, struct net_conn, job);
    if (UNLIKELY(c->expired)) {
        c->expired = false;
        on_deadline(c);
        if (c->state == NET_CONN_DEAD && !c->x.live) return;
    }
    if (UNLIKELY(c->x.aborted) && c->x.live) net_exchange_give_up(c);
    if (c->state < NET_CONN_CLOSING && !c->failed) net_out_flush(c);
    go_on(c);
}

/* ---- deadlines ---- */

static void read_timeout(struct net_conn *c) {
    switch (c->state) {
    case NET_CONN_READING:
        if (net_bytes_left(&c->in)) net_exchange_refuse(c, 408, "the request took too long");
        else net_conn_kill(c);
        break;
    case NET_CONN_HANDLING:
        if (c->half_closed && !c->x.source.waiting) {
            net_conn_kill(c);
            break;
        }
        c->io_deadline_ns = 0;
        if (!c->body_state.status) {
            c->body_state.status = 408;
            c->body_state.why = "the request body took too long";
        }
        c->x.source.error = NET_CONNECTION_READ_TIMEOUT;
        net_source_tell(&c->x.source);
        break;
    default: net_conn_kill(c); break;
    }
}

static bool passed(uint64_t deadline, uint64_t now) { return deadline && now >= deadline; }

static void on_deadline(struct net_conn *c) {
    struct net_exchange *x = &c->x;
    uint64_t now = net_loop_now_ns(c->server->loop);
    if (passed(c->write_deadline_ns, now)) {
        net_conn_kill(c);
    } else if (x->live && passed(x->deadline_ns, now)) {
        x->deadline_ns = 0;
        if (x->event) x->event(x->event_arg, NET_EVENT_DEADLINE);
    } else if (passed(c->io_deadline_ns, now)) {
        read_timeout(c);
    }
}

void net_conn_sweep(struct net_conn *c, uint64_t now) {
    if (LIKELY(!passed(c->write_deadline_ns, now) && !passed(c->io_deadline_ns, now) &&
               !(c->x.live && passed(c->x.deadline_ns, now))))
        return;
    c->expired = true;
    net_conn_later(c);
}

void net_conn_free_dead(struct net_server *s) {
    enum { SPARE_MAX = 64 };
    while (s->dead) {
        struct net_conn *c = s->dead;
        s->dead = c->next;
        if (s->spare_count < SPARE_MAX) {
            c->next = s->spare;
            s->spare = c;
            s->spare_count++;
        } else {
            free(c);
        }
    }
}
