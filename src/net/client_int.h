/* The HTTP client's own shapes.
 *
 *   client   an app's: its connections, those that rest and can be used again, and the fetches that wait for one
 *   wire     a connection: name, address, TCP, TLS; bytes in and out. One fetch has it, or it rests
 *   fetch    HTTP/1.1 over a wire
 *
 * Calls of a fetch's owner, who may be on a small fiber stack, note what they want and queue the fetch's job; the job does the I/O.
 */
#ifndef ORLO_NET_CLIENT_INT_H
#define ORLO_NET_CLIENT_INT_H

#include "net/client.h"
#include "net/dial.h"
#include "net/fetch_int.h"
#include "net/http1.h"
#include "net/loop_int.h"
#include "net/sock.h"
#include "net/stream_int.h"

enum {
    NET_FETCH_BODY_BYTES = 64 << 10, /* of the response buffered before reading stops; one read of 16 KiB may come on top */
    NET_FETCH_SEND_BYTES = 64 << 10, /* of the request's body buffered */
    NET_FETCH_FIELDS_MAX = 256,      /* of a response's head */
    NET_FETCH_INFORM_MAX = 16,       /* 1xx heads before the response's */
    NET_FETCH_TURN_READS = 64,       /* of a wire in a turn: a TLS record may have one byte */
    NET_WIRE_REST_MS = 60'000,
};

struct net_wire {
    struct net_wire *prev, *next; /* ring of the client's that rest; NULL: it does not */
    struct net_client *client;
    struct http1_fetch *fetch;    /* NULL: it rests */
    char *key;                    /* "https://host:port" */
    char *host;                   /* as TLS and lookups have it */
    bool https, reused, eof, cut; /* eof: no more comes; cut: nothing more can be sent */
    bool secure_end;              /* eof, and the peer said so */
    uint64_t rested_ns;
    /* until it is connected: */
    struct net_dial *dial;
    struct net_timer *timer; /* where connections are not of the network */
    /* then: */
    struct net_stream *stream;
    struct net_addr address;
};

struct net_client {
    struct net_loop *loop;
    struct net_client_config c;
    char ca_file[512];
    const char *cert_file, *key_file; /* NULL: none */
    struct crypto_tls_trust *trust;   /* NULL: not needed so far */
    uv_timer_t sweep;
    struct http1_fetch *fetches;
    struct net_wire resting; /* ring, the latest first */
    uint32_t resting_count, wires_count;
    bool busy;
};

enum net_fetch_phase { NET_FETCH_NEW, NET_FETCH_WAITING, NET_FETCH_CONNECTING, NET_FETCH_SENT, NET_FETCH_HEAD, NET_FETCH_DONE };

struct http1_fetch {
    struct net_fetch base;
    struct http1_fetch *next, **prev;
    struct net_client *client;
    struct net_job job;
    arena *mem; /* copies of the request; the response's head */
    struct net_fetch_request rq;
    struct net_wire *wire;
    uint8_t phase;
    bool freed, changed, told_sink;
    bool connected;              /* the wire is up, since the last job */
    bool chunked, send_finished; /* the request's body is, has */
    bool send_closed;            /* nothing more is taken */
    bool over;                   /* the response has ended */
    bool counted;                /* in rq.quota */
    bool retried;
    uint8_t informed;     /* 1xx heads so far */
    enum net_error abort; /* its owner gave the request's body up */
    uint64_t deadline_ns, write_deadline_ns;
    uint64_t send_left;    /* of the declared content-length; UINT64_MAX: none */
    struct buf out;        /* head and framed body of the request */
    size_t sent;           /* of out; what was sent is kept while it may have to be sent again */
    size_t head_bytes_out; /* out begins with so many bytes of head; 0: they are gone */
    struct http1_answer answer;
    struct http1_body body;
    struct buf in;
    size_t in_used, head_seen, head_bytes;
};
static inline size_t http1_fetch_unsent(const struct http1_fetch *f) { return f->out.n - f->sent; }

/* wire.c */
/* Begins to connect; NULL: the host is none (*e, *why). */
struct net_wire *net_wire_new(struct net_client *c, struct http1_fetch *f, const char *key, str host, uint16_t port, bool https,
                              enum net_error *e);
void net_wire_free(struct net_wire *w);
/* How much of data was taken; less than all: not now, or w->cut. */
size_t net_wire_send(struct net_wire *w, str data);
/* Appends what came to in, at most about 16 KiB. WAIT: the fetch's job comes when there is more; END: see eof, secure_end. */
enum net_flow net_wire_receive(struct net_wire *w, struct buf *in);
void net_wire_rest(struct net_wire *w);                        /* it is no fetch's any more */
void net_wire_give(struct net_wire *w, struct http1_fetch *f); /* one that rested */
bool net_wire_fit(struct net_wire *w);                         /* one that rested: it is still there, and has sent nothing */
/* http1_fetch.c */
bool http1_fetch_may_connect(struct http1_fetch *f, const struct net_addr *a);
void http1_fetch_connected(struct http1_fetch *f); /* its wire is */
void http1_fetch_fail(struct http1_fetch *f, enum net_error e, const char *text);
void http1_fetch_job(struct net_job *job);
/* client.c */
uint64_t net_client_deadline(const struct net_client *c, uint32_t ms, uint32_t ms_default);
struct crypto_tls_trust *net_client_trust(struct net_client *c); /* NULL: it cannot be read */
/* A wire that rests and is fit; NULL: none, *may: whether there may be another. */
struct net_wire *net_client_take(struct net_client *c, const char *key, bool *may);
void net_client_give(struct net_client *c, struct net_wire *w); /* to be used again */
void net_client_busy(struct net_client *c);                     /* a fetch is under way: its deadlines are looked after */
void net_client_wires(struct net_client *c, int change);        /* there is one more, or one less */

#endif
