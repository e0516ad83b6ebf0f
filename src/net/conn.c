/* conn: a connection's life, whatever it speaks: its stream, who is in whose way, its end.
 *
 * 1. A dead connection's memory stays until the batch of events it may be named in is done.
 * 2. Its protocol says when it is closed (nothing is sent or received any more) and when it is buried (nobody holds anything of it).
 */
#include "net/tls_int.h"
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <unistd.h>

/* ---- memory ---- */

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

/* ---- who is in the way ---- */

bool net_conn_unread(const struct net_server *s) {
    const struct net_ring *head = &s->unserved[NET_UNSERVED_SILENT];
    const struct net_conn *c = container_of(head->next, struct net_conn, unserved);
    return head->next != head && !c->in.base && net_stream_has_input(c->stream);
}

bool net_conn_make_room(struct net_server *s) {
    enum { TRIES = 8 };
    for (enum net_unserved how = 0; how < NET_UNSERVED_COUNT; how++) {
        struct net_ring *head = &s->unserved[how];
        for (int i = 0; i < TRIES && head->next != head; i++) {
            struct net_conn *c = container_of(head->next, struct net_conn, unserved);
            bool asks = how == NET_UNSERVED_IDLE && net_stream_has_input(c->stream); /* its next request came a moment ago */
            if (asks || net_bytes_left(&c->out)) {
                net_conn_unserve(c, how);
                continue;
            }
            s->stats.evicted++;
            c->protocol->kill(c);
            return true;
        }
    }
    return false;
}

/* Connections hold too much: of those that nobody is served on, the one that has been sending a head for longest goes. */
bool net_conn_make_memory(struct net_conn *c) {
    struct net_server *s = c->server;
    struct net_ring *head = &s->unserved[NET_UNSERVED_SILENT], *next;
    for (struct net_ring *r = head->next; r != head && s->held_bytes >= s->c.memory_bytes_max; r = next) {
        next = r->next;
        struct net_conn *other = container_of(r, struct net_conn, unserved);
        if (other == c || !other->in.base) continue;
        s->stats.evicted++;
        other->protocol->kill(other);
    }
    return s->held_bytes < s->c.memory_bytes_max;
}

/* ---- life ---- */

static void on_ready(void *arg) {
    struct net_conn *c = arg;
    c->protocol->ready(c);
}

static void on_turn(struct net_lane_entry *e) {
    struct net_conn *c = container_of(e, struct net_conn, lane);
    if (c->stream) net_stream_tell(&c->plain.s); /* from where it goes up to whatever is above */
}

void net_conn_listen(struct net_conn *c) { net_stream_listen(c->stream, on_ready, c); }

struct net_conn *net_conn_new(struct net_server *s, const void *peer, socklen_t peer_n) {
    const struct net_protocol *protocol = &net_http1_protocol; /* which others become, or are taken from it */
    struct net_conn *c = s->spare;
    if (c) {
        s->spare = c->next;
        s->spare_count--;
    } else {
        c = malloc(protocol->bytes);
        ENSURE(c);
    }
    memset(c, 0, protocol->bytes);
    c->server = s;
    c->protocol = protocol;
    c->lane.fn = on_turn;
    memcpy(&c->peer, peer, MIN(peer_n, sizeof c->peer));
    return c;
}

void net_conn_start(struct net_conn *c) {
    struct net_server *s = c->server;
    c->prev = s->conns.prev;
    c->next = &s->conns;
    c->prev->next = s->conns.prev = c;
    s->stats.connections++;
    if (!uv_is_active((uv_handle_t *)&s->sweep)) uv_timer_again(&s->sweep);
    net_conn_listen(c);
    c->protocol->start(c);
}

bool net_conn_watch(struct net_conn *c) {
    struct epoll_event ev = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = &c->plain}};
    return epoll_ctl(c->server->epoll_fd, EPOLL_CTL_ADD, c->plain.fd, &ev) == 0;
}

void net_conn_unwatch(struct net_conn *c) { epoll_ctl(c->server->epoll_fd, EPOLL_CTL_DEL, c->plain.fd, NULL); }

static struct net_conn *begin(struct net_server *s, int fd, const void *peer, socklen_t peer_n, bool relayed) {
    struct net_conn *c = net_conn_new(s, peer, peer_n);
    if (s->c.tls && !relayed) c->protocol = &net_tls_protocol;
    c->secure = s->c.tls || s->c.tls_upstream;
    net_plain_init(&c->plain, fd);
    c->stream = &c->plain.s;
    if (net_conn_watch(c)) {
        net_conn_start(c);
        return c;
    }
    close(fd);
    free(c);
    return NULL;
}

void net_conn_accept(struct net_server *s, int fd, const void *peer, socklen_t peer_n) {
    (void)begin(s, fd, peer, peer_n, false);
}

void net_conn_adopt(struct net_server *s, int fd, const struct net_handover *h) {
    struct net_conn *c = begin(s, fd, h->peer, h->peer_n, h->relayed);
    if (!c) return;
    c->passes = h->passes;
    c->relayed = h->relayed;
    c->secure = h->secure; /* as where it came in: that door's, or what a proxy said there */
    c->protocol->adopt(c, h->bytes);
}

void net_conn_close(struct net_conn *c, bool reset) {
    struct net_server *s = c->server;
    net_stream_listen(c->stream, NULL, NULL); /* events of this batch may still name it */
    net_stream_close(c->stream, reset);
    c->stream = NULL;
    net_bytes_release(&c->out);
    if (!--s->stats.connections && s->draining) net_job_queue(s->loop, &s->drained_job);
}

void net_conn_bury(struct net_conn *c) {
    net_conn_serve(c);
    net_job_cancel(&c->job);
    net_lane_drop(&c->lane);
    net_bytes_release(&c->in);
    net_tls_forget(c);
    c->prev->next = c->next;
    c->next->prev = c->prev;
    c->next = c->server->dead;
    c->server->dead = c;
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

void net_conn_later(struct net_conn *c) { net_job_queue(c->server->loop, &c->job); }

/* ---- where it comes from ---- */

str net_conn_peer(struct net_conn *c) {
    if (!c->peer_text[0]) {
        const void *in4 = &c->peer.in4.sin_addr, *in6 = &c->peer.in6.sin6_addr;
        if (c->peer.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&c->peer.in6.sin6_addr))
            inet_ntop(AF_INET, (const uint8_t *)in6 + 12, c->peer_text, sizeof c->peer_text);
        else if (c->peer.any.sa_family == AF_INET6) inet_ntop(AF_INET6, in6, c->peer_text, sizeof c->peer_text);
        else if (c->peer.any.sa_family == AF_INET) inet_ntop(AF_INET, in4, c->peer_text, sizeof c->peer_text);
    }
    return str_c(c->peer_text);
}

void net_conn_set_peer(struct net_conn *c, const struct net_addr *a) {
    struct sockaddr_storage sa;
    uint32_t n = net_addr_sockaddr(a, &sa);
    memset(&c->peer, 0, sizeof c->peer);
    memcpy(&c->peer, &sa, MIN((size_t)n, sizeof c->peer));
    c->peer_text[0] = 0;
}

uint16_t net_conn_peer_port(const struct net_conn *c) {
    return ntohs(c->peer.any.sa_family == AF_INET6 ? c->peer.in6.sin6_port : c->peer.in4.sin_port);
}

str net_conn_local(struct net_conn *c) {
    struct net_addr a;
    if (!c->local_text[0] && c->stream && c->stream->ops->local(c->stream, &a)) {
        a.scope = 0;
        net_addr_text(&a, true, c->local_text);
    }
    return str_c(c->local_text);
}
