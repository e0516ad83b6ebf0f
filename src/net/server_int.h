/* The HTTP server's own shapes.
 *
 *   loop (libuv) ── watches ── server's epoll ── edge-triggered ── connections
 *
 * Connections sit in an epoll set of the server's own, edge-triggered for everything, which libuv's loop watches: a
 * connection costs one epoll_ctl in its life, reading is paused by not reading, and a reset is noticed even then.
 */
#ifndef ORLO_NET_SERVER_INT_H
#define ORLO_NET_SERVER_INT_H

#include <netinet/in.h>

#include "net/addr.h"
#include "net/flow_int.h"
#include "net/http1.h"
#include "net/loop_int.h"
#include "net/server.h"

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
    NET_STASH_BYTES_MAX = 2 << 10,     /* a partial head no longer than this waits in a buffer of its size */
    NET_HOLD_BYTES = 16 << 10,         /* a response of unknown length is held back up to here, so that most get a length */
    NET_DIRECT_BYTES = 4 << 10,        /* a write from here on goes to the kernel without a copy */
    NET_DISCARD_BYTES_MAX = 256 << 10, /* of an unread body, to keep a connection */
    NET_TURN_BYTES = 128 << 10,        /* of a body received in a turn: in chunks of a byte each they take a millisecond */
    NET_LINGER_MS = 2'000,
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

struct net_exchange {
    struct net_source source;
    struct net_sink sink;
    void (*event)(void *arg, enum net_event event);
    void *event_arg;
    uint64_t started_ns, deadline_ns, in_bytes, out_bytes;
    uint64_t left;    /* of the declared content-length; UINT64_MAX: none declared */
    uint32_t gap_at;  /* while undecided: where in out the gap for the framing begins */
    uint32_t head_at; /* while retractable: where in out the head begins */
    uint16_t status;
    bool live; /* between on_request and net_exchange_end */
    bool responded, finished;
    bool retractable; /* nothing of the response has left */
    bool until_close; /* the connection's end is the body's */
    bool undecided;   /* the head waits for its framing */
    bool chunked;     /* the response's body is */
    bool no_body;     /* by rule; what is written is dropped */
    bool close;       /* the connection ends with this response */
    bool aborted;     /* its owner cut the connection, so that it need not be told */
    bool gone_told;
    bool continue_due; /* the client waits for a 100 */
    bool was_full;     /* room was refused: tell when there is some */
    bool flush_due;    /* something was written that has not left: tell when it has */
};

/*            +-------------------- next request ---------------------+
 *            v                                                        |
 *  READING -> HANDLING -> (end) -+-> DISCARDING (rest of the body) ---+
 *     |                          +-> CLOSING (flush) -> LINGERING -> DEAD
 *     +-- bad head: answer ----------^
 */
enum net_conn_state {
    NET_CONN_READING,
    NET_CONN_HANDLING,
    NET_CONN_DISCARDING,
    NET_CONN_CLOSING,
    NET_CONN_LINGERING,
    NET_CONN_DEAD
};

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

struct net_conn {
    struct net_conn *prev, *next; /* ring of the server's connections, or its list of dead ones */
    struct net_ring unserved;
    struct net_server *server;
    struct net_job job;
    int fd;
    uint8_t state;           /* net_conn_set_state alone writes it */
    bool readable, writable; /* as far as known: false after EAGAIN until the next edge */
    bool eof, half_closed;   /* read to the end; the client shut its side down */
    bool failed;             /* reset, or a write failed */
    bool parsing;            /* inside net_conn_parse: net_exchange_end need not arrange for the next */
    bool abort;              /* reset instead of close: the end must not look like a body's end */
    bool expired;            /* a deadline passed; the job sees to it */
    bool linger;             /* the client may still be sending: a plain close would reset */
    uint32_t discarded;
    uint32_t turn_bytes;                        /* of the body received since its job or an event */
    uint64_t io_deadline_ns, write_deadline_ns; /* 0: none */
    struct net_bytes in;                        /* head and what came with it; fields of the head are at in.base */
    struct net_bytes body;                      /* later bytes of the body */
    struct net_bytes out;
    struct net_field *fields;
    struct http1_head head;
    struct http1_body body_state;
    struct net_exchange x;
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
    bool draining, keeps_idle;
    uint64_t drain_deadline_ns;
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
    char address[64];
    char name[64];
    uint16_t port;
};

/* server.c */
void net_server_sweep_for(struct net_server *s,
                          uint32_t deadline_ms); /* deadlines as short as this are there, and are to be met */

/* conn.c: socket and states */
void net_conn_set_state(struct net_conn *c, enum net_conn_state to);
void net_conn_start(struct net_server *s, int fd, const void *peer, socklen_t peer_n);
void net_conn_on_events(struct net_conn *c, uint32_t events);
void net_conn_sweep(struct net_conn *c, uint64_t now_ns); /* queues the job if a deadline passed */
void net_conn_free_dead(struct net_server *s);
bool net_conn_unread(
    const struct net_server
        *s); /* of those that have said no head, even the first is so new that nobody has looked at what it said */
bool net_conn_make_room(struct net_server *s);     /* ends a connection that nobody is served on; false: there is none */
void net_conn_kill(struct net_conn *c);            /* at once; reports gone to a live exchange through a job */
void net_conn_after_exchange(struct net_conn *c);  /* the exchange ended */
void net_conn_later(struct net_conn *c);           /* go on with it at the end of the turn */
void net_conn_fail(struct net_conn *c);            /* a write failed */
bool net_conn_has_input(const struct net_conn *c); /* bytes wait in the socket */
/* Receives once into b. False: nothing (EAGAIN, end, error: see the flags). */
bool net_conn_recv(struct net_conn *c, struct net_bytes *b);

/* out.c: what leaves */
void net_out_reserve(struct net_conn *c, size_t n);
void net_out_put(struct net_conn *c, const void *p, size_t n);
void net_out_flush(struct net_conn *c);
/* Sends what is queued and then a, data, z; queues what the kernel did not take. */
void net_out_direct(struct net_conn *c, str a, str data, str z);

/* exchange.c */
void net_exchange_begin(struct net_conn *c);
void net_exchange_give_up(
    struct net_conn *c); /* a bare 500, if there is no response that is whole, and nothing of one has left */
void net_exchange_progress(struct net_conn *c); /* from the loop: out moved, readable, failed: tell who waits */
/* Fills the gap. length: of the whole body, or UINT64_MAX: not known. */
void net_exchange_decide(struct net_conn *c, uint64_t length);
/* A response of the server's own, plain text, with the connection's end. */
void net_exchange_refuse(struct net_conn *c, uint16_t status, const char *why);

#endif
