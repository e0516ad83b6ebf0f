/* The HTTP server's own shapes.
 *
 *   loop (libuv) ── watches ── server's epoll ── edge-triggered ── sockets
 *
 *   server ─ listens, accepts, counts, sweeps, drains
 *     └─ connection (conn.c) ─ a stream, and the memory of what came and what is to leave; how much it is in the way of others
 *          └─ protocol ─ what the bytes mean: HTTP/1.1 (http1_conn.c), HTTP/2 (http2_conn.c), or whatever the client was let have instead (upgrade.c)
 *               └─ exchange ─ a request and its response
 *
 * Sockets sit in an epoll set of the server's own, edge-triggered for everything, which libuv's loop watches: a
 * connection costs one epoll_ctl in its life, reading is paused by not reading, and a reset is noticed even then.
 */
#ifndef ORLO_NET_SERVER_INT_H
#define ORLO_NET_SERVER_INT_H

#include <netinet/in.h>

#include "net/exchange_int.h"
#include "net/http1.h"
#include "net/lane.h"
#include "net/server.h"
#include "net/stream_int.h"

/* Memory of connections: small blocks hold heads and responses, large ones bodies. Idle connections hold none. */
struct net_block {
    struct net_block *next;
};
struct net_pool {
    struct net_block *free;
    uint32_t free_count, free_max;
    size_t block_bytes;
    uint64_t *held; /* bytes that connections hold: the server's */
};
enum {
    NET_SMALL_BYTES = 16 << 10,
    NET_LARGE_BYTES = 64 << 10,
    NET_QUIET_MS =
        500, /* without a word, and a server that drains ends who rests; what who has ended waits for the client to hang up, too */
};
void *net_pool_get(struct net_pool *p);
void net_pool_put(struct net_pool *p, void *block);
void net_pool_free(struct net_pool *p);

struct net_bytes {
    uint8_t *p; /* NULL: none */
    uint32_t cap, off, end;
    void *base;            /* what to give back */
    struct net_pool *pool; /* NULL: base is from malloc, */
    uint32_t size;         /* so many bytes, */
    uint64_t *held;        /* counted here */
};
static inline uint32_t net_bytes_left(const struct net_bytes *b) { return b->end - b->off; }
void net_bytes_release(struct net_bytes *b);
struct net_server;
/* From malloc; cap and p are the caller's to set. */
struct net_bytes net_bytes_new(struct net_server *s, size_t size);

/* A connection that does nothing for anybody is in one of these, the longest there first: when there are too many connections, a new one
 * takes the place of the first of the first ring that has any. Who is being served is in none. */
enum net_unserved {
    NET_UNSERVED_IDLE,   /* answered, and silent since */
    NET_UNSERVED_ENDING, /* answered for the last time; what the client still sends is thrown away */
    NET_UNSERVED_SILENT, /* connected, and has not said a whole head yet */
    NET_UNSERVED_COUNT
};
struct net_ring {
    struct net_ring *prev, *next; /* NULL: in none */
};

struct net_conn;
/* What a connection speaks. Each function but start may end the connection. */
struct net_protocol {
    size_t bytes; /* of its connection, which begins with a struct net_conn, zeroed behind it */
    void (*start)(struct net_conn *c);
    void (*adopt)(struct net_conn *c, str bytes); /* after start: what another process received of it. Borrows */
    void (*ready)(struct net_conn *c);            /* the stream has news */
    void (*sweep)(struct net_conn *c, uint64_t now_ns);
    void (*drain)(struct net_conn *c);   /* from now on; who rests may do so for idle_ms_max, which may be short now */
    void (*kill)(struct net_conn *c);    /* at once; whoever is served is told by the loop */
    void (*abandon)(struct net_conn *c); /* at once, and the loop will do no more for it: the server goes */
};
extern const struct net_protocol net_http1_protocol, net_upgraded_protocol;

struct net_conn {
    struct net_conn *prev, *next; /* ring of the server's connections, or its list of dead ones */
    struct net_ring unserved;
    struct net_server *server;
    const struct net_protocol *protocol;
    struct net_stream *stream;  /* NULL: it is closed */
    struct net_plain plain;     /* what stream is, of a socket that was accepted */
    struct net_job job;         /* the protocol's */
    struct net_lane_entry lane; /* whose turn its news wait for */
    struct net_bytes in;        /* what came, and is not used up */
    struct net_bytes out;       /* what is to leave */
    struct net_tls_conn *tls;   /* tls_conn.c; NULL: it is plain, or came by another process */
    bool relayed;               /* it was made for a request of another connection */
    bool secure;                /* what is asked on it is https */
    void *taken;                /* by another protocol than its first: upgrade.c's, http2_conn.c's */
    uint32_t passes;            /* from process to process, since a response was given */
    union {
        struct sockaddr any;
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
    } peer;
    char peer_text[INET6_ADDRSTRLEN];
    char local_text[NET_ADDR_TEXT_MAX]; /* empty until asked for */
};

struct net_server {
    struct net_server_config c;
    struct net_loop *loop;
    struct http1_limits limits;
    int listen_fd, epoll_fd, spare_fd;
    uv_poll_t poll;
    uv_timer_t sweep;
    uint32_t sweep_ms;
    uint8_t closing; /* handles of libuv still to be closed */
    bool draining;
    uint64_t drain_deadline_ns;
    uint64_t events_end_ns; /* of a server that drains: when those that still go on end; 0: it does not */
    void (*on_drained)(void *arg);
    void *on_drained_arg;
    struct net_job drained_job;
    struct net_conn conns; /* ring */
    struct net_ring unserved[NET_UNSERVED_COUNT];
    struct net_conn *dead; /* to be freed when no event of this batch can name them */
    struct net_conn *spare;
    uint32_t spare_count;
    struct net_pool small, large;
    uint64_t held_bytes; /* of connections: heads, bodies, responses */
    struct http1_date date;
    struct net_server_stats stats;
    char name[64];
    uint16_t port;
};

/* server.c */
void net_server_sweep_for(struct net_server *s,
                          uint32_t deadline_ms); /* deadlines as short as this are there, and are to be met */
/* When something that begins now and may take ms is over; 0: never. */
static inline uint64_t net_after(uint64_t now_ns, uint32_t ms) { return ms == NET_NO_LIMIT ? 0 : now_ns + ms * 1000000ull; }
static inline uint64_t net_server_deadline(const struct net_server *s, uint32_t ms) {
    return ms == NET_NO_LIMIT ? 0 : net_after(net_loop_now_ns(s->loop), ms);
}
static inline bool net_passed(uint64_t deadline_ns, uint64_t now_ns) { return deadline_ns && now_ns >= deadline_ns; }

/* conn.c: a connection's life, whatever it speaks */
void net_conn_accept(struct net_server *s, int fd, const void *peer, socklen_t peer_n);
void net_conn_adopt(struct net_server *s, int fd, const struct net_handover *h);
/* Whether its socket's events come to this server. False: the kernel cannot watch one more. */
[[nodiscard]] bool net_conn_watch(struct net_conn *c);
void net_conn_unwatch(struct net_conn *c); /* before another process has the socket: closing it here would not end that */
struct net_conn *net_conn_new(struct net_server *s, const void *peer, socklen_t peer_n); /* to be given its stream, and started */
void net_conn_start(struct net_conn *c);
void net_conn_listen(struct net_conn *c); /* to its stream */
/* Closes the stream; the memory stays until net_conn_bury. */
void net_conn_close(struct net_conn *c, bool reset);
void net_conn_bury(struct net_conn *c); /* after close, and only when nobody holds anything of it */
void net_conn_free_dead(struct net_server *s);
static inline void net_conn_serve(struct net_conn *c) { /* it is in nobody's way */
    struct net_ring *r = &c->unserved;
    if (!r->next) return;
    r->prev->next = r->next;
    r->next->prev = r->prev;
    r->prev = r->next = NULL;
}
static inline void net_conn_unserve(struct net_conn *c, enum net_unserved how) {
    struct net_ring *r = &c->unserved, *head = &c->server->unserved[how];
    net_conn_serve(c);
    *r = (struct net_ring){head->prev, head};
    r->prev->next = head->prev = r;
}
bool net_conn_unread(
    const struct net_server *s); /* of those that have said no head, even the first is so new that nobody has looked */
bool net_conn_make_room(struct net_server *s); /* ends a connection that nobody is served on; false: there is none */
bool net_conn_make_memory(
    struct net_conn *c);                 /* ends others that have been sending a head for longer; false: that was not enough */
void net_conn_later(struct net_conn *c); /* its job, at the end of the turn */
str net_conn_peer(struct net_conn *c);   /* "203.0.113.7" */
void net_conn_set_peer(struct net_conn *c, const struct net_addr *a); /* another than the socket's */
uint16_t net_conn_peer_port(const struct net_conn *c);
str net_conn_local(struct net_conn *c); /* "203.0.113.7:80": where it came in */

/* http1_conn.c: a response in plain HTTP/1.1 to what is no request, and the end. */
void net_http1_refuse(struct net_conn *c, uint16_t status, const char *why);

/* upgrade.c: the connection is its stream's owner's from here on. early: taken; what came behind the request. */
void net_upgrade_begin(struct net_conn *c, const struct net_upgrade *to);

#endif
