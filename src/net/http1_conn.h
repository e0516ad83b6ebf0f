/* HTTP/1.1 over a connection: its states, and what an exchange is there.
 *
 * A response's framing is decided late: until the end of the turn, or HTTP1_HOLD_BYTES of body, a head without content-length
 * stands in the queue with a gap behind it, the body raw behind the gap:
 *
 *   [earlier responses][head, no empty line][gap .........][body so far ...]
 *
 * If the owner finishes in that time the gap gets a content-length, else chunked framing; what is left of the gap is closed by
 * moving the head up. So most responses have a length and leave in one send, whatever the calls that made them.
 */
#ifndef ORLO_NET_HTTP1_CONN_H
#define ORLO_NET_HTTP1_CONN_H

#include "net/server_int.h"

enum {
    HTTP1_STASH_BYTES_MAX = 2 << 10, /* a partial head no longer than this waits in a buffer of its size */
    HTTP1_HOLD_BYTES = 16 << 10,     /* a response of unknown length is held back up to here, so that most get a length */
    HTTP1_DIRECT_BYTES = 4 << 10,    /* a write from here on goes to the kernel without a copy */
    HTTP1_TURN_BYTES = 128 << 10,    /* of a body received in a turn: in chunks of a byte each they take a millisecond */
    HTTP1_LINGER_MS = 2'000,
};

/* How the response goes out. */
struct http1_out {
    uint32_t gap_at;    /* while undecided: where in out the gap for the framing begins */
    uint32_t head_at;   /* while retractable: where in out the head begins */
    bool retractable;   /* nothing of the response has left */
    bool until_close;   /* the connection's end is the body's */
    bool awaits_socket; /* a file goes on where it is writable, and nothing is copied meanwhile */
    bool undecided;     /* the head waits for its framing */
    bool chunked;       /* the response's body is */
    bool close;         /* the connection ends with this response */
    bool gone_told;
    bool continue_due; /* the client waits for a 100 */
    bool continued;    /* and was sent it */
    bool flush_due;    /* something was written that has not left: tell when it has */
};

/*            +-------------------- next request ---------------------+
 *            v                                                        |
 *  READING -> HANDLING -> (end) -+-> DISCARDING (rest of the body) ---+
 *     |                          +-> UPGRADING (flush) -> HANDED OVER
 *     |                          +-> PASSING (flush) -> DEAD here, and READING at another process's
 *     |                          +-> CLOSING (flush) -> LINGERING -> DEAD
 *     +-- bad head: answer ----------^
 */
enum http1_state {
    HTTP1_READING,
    HTTP1_HANDLING,
    HTTP1_DISCARDING,
    HTTP1_UPGRADING,
    HTTP1_PASSING,
    HTTP1_CLOSING,
    HTTP1_LINGERING,
    HTTP1_HANDED_OVER,
    HTTP1_DEAD
};

struct http1_conn {
    struct net_conn c;     /* in: head and what came with it, fields of the head at in.base */
    uint8_t state;         /* http1_conn_set_state alone writes it */
    bool proxy_due;        /* a PROXY header comes first */
    bool fresh;            /* nothing was asked on it yet: it may be HTTP/2 that it speaks */
    bool eof, half_closed; /* read to the end; the client shut its side down */
    bool failed;           /* reset, or a write failed */
    bool parsing;          /* inside parse_heads: net_exchange_end need not arrange for the next */
    bool abort;            /* reset instead of close: the end must not look like a body's end */
    bool expired;          /* a deadline passed; the job sees to it */
    bool linger;           /* the client may still be sending: a plain close would reset */
    bool quiet;            /* it has not said anything for long */
    bool asked;            /* it has had an exchange before this one */
    uint32_t discarded;
    uint32_t turn_bytes;                        /* of the body received since its job or an event */
    uint64_t io_deadline_ns, write_deadline_ns; /* 0: none */
    uint64_t rested_ns;                         /* when it last had nothing to do */
    struct net_bytes body;                      /* later bytes of the body */
    struct net_field *fields;
    struct http1_head head;
    struct http1_body body_state;
    struct net_exchange x;
    struct http1_out o;
    uint32_t head_at; /* in `in`: where the head of the exchange begins */
    struct net_upgrade upgrade;
    struct net_pass pass;
};

/* http1_conn.c: states and reading */
void http1_conn_set_state(struct http1_conn *h, enum http1_state to);
void http1_conn_kill(struct http1_conn *h);           /* at once; reports gone to a live exchange through a job */
void http1_conn_after_exchange(struct http1_conn *h); /* the exchange ended */
void http1_conn_fail(struct http1_conn *h);           /* the stream did */
/* Receives once into b. False: nothing (not now, the end, an error: see the flags). */
bool http1_conn_recv(struct http1_conn *h, struct net_bytes *b);

/* http1_out.c: what leaves */
void http1_out_make_room(struct http1_conn *h, size_t n);
static inline void http1_out_reserve(struct http1_conn *h, size_t n) {
    const struct net_bytes *o = &h->c.out;
    if (UNLIKELY(o->cap - o->end < n || !o->base)) http1_out_make_room(h, n);
}
static inline void http1_out_put(struct http1_conn *h, const void *p, size_t n) {
    http1_out_reserve(h, n);
    if (n) memcpy(h->c.out.p + h->c.out.end, p, n);
    h->c.out.end += (uint32_t)n;
}
size_t http1_out_file(struct http1_conn *h, int fd, uint64_t at, size_t n); /* net_exchange_ops.file */
void http1_out_flush(struct http1_conn *h);
/* Sends what is queued and then a, data, z; queues what was not taken. */
void http1_out_direct(struct http1_conn *h, str a, str data, str z);

/* http1_exchange.c */
void http1_exchange_begin(struct http1_conn *h);
void http1_exchange_give_up(
    struct http1_conn *h); /* a bare 500, if there is no response that is whole, and nothing of one has left */
void http1_exchange_progress(struct http1_conn *h); /* from the loop: out moved, readable, failed: tell who waits */
/* Fills the gap. length: of the whole body, or UINT64_MAX: not known. */
void http1_exchange_decide(struct http1_conn *h, uint64_t length);
/* A response of the server's own, plain text, with the connection's end. */
void http1_exchange_refuse(struct http1_conn *h, uint16_t status, const char *why);

#endif
