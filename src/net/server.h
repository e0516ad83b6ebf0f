/* server: listens, and hands each request to its owner as an exchange (exchange.h). */
#ifndef ORLO_NET_SERVER_H
#define ORLO_NET_SERVER_H

#include "net/exchange.h"
#include "net/forwarded.h"
#include "net/loop.h"
#include "net/tls.h"

struct net_server;

/* 0 means the default that stands behind each; NET_NO_LIMIT switches a deadline off. */
struct net_server_config {
    struct net_loop *loop;
    int fd;        /* that listens; taken: closed with the server, or when it drains. -1: none, it only adopts */
    uint16_t port; /* where connections came in that are adopted; with fd known by it */
    /* Each connection begins with a PROXY header (proxy.h), which says where it comes from, within header_ms_max; who is not of `trusted`, or says
     * none, is closed. */
    bool proxied;
    const struct net_prefix *trusted; /* borrowed */
    size_t trusted_count;
    const struct net_tls_config *tls; /* NULL: connections are plain. Borrowed (tls.h) */
    bool tls_upstream;                /* requests came by TLS to somebody before us: scheme is https */
    uint32_t connections_max;         /* 10,000; above, one on which nobody is served makes room; is there none: 503 and closed */
    uint32_t header_ms_max;           /* 10,000: from the first byte of a request to the end of its head */
    uint32_t body_ms_max;             /* 30,000: between two reads of the body's bytes while the handler waits for them */
    uint32_t idle_ms_max;             /* 60,000: between requests */
    uint32_t handler_ms_max;          /* 60,000: from head to end of the response; then NET_EVENT_DEADLINE */
    uint32_t write_ms_max;            /* 30,000: no byte of the response accepted by the client */
    uint32_t half_closed_ms_max;      /* 5,000: the client shut down its sending side before it had the answer; then it is gone */
    uint32_t head_bytes_max;          /* 64 KiB: request line and header section; above: 431 */
    uint32_t target_bytes_max;        /* 16 KiB: above: 414 */
    uint32_t fields_max;              /* 128: above: 431 */
    uint64_t body_bytes_max;          /* 0: no limit; above: 413 (before the handler if content-length says so) */
    uint32_t queue_bytes_max;         /* 64 KiB: response bytes queued per connection */
    uint64_t
        memory_bytes_max; /* of all connections; above, whoever sends a head for longest makes room for the next head; is there none: 503.
                                   0: no limit */
    str server_name; /* value of a Server header; empty: none */
    /* A request's head is complete. The owner holds x until it calls net_exchange_end. */
    void (*on_accept)(void *arg); /* before a byte of the connection is read; may be NULL */
    void (*on_request)(struct net_exchange *x, void *arg);
    /* The server itself answered what a client sent, with this status, because it is malformed, too large or too slow; before
     * on_request, or with its exchange still to end. NULL: nobody wants to know. Borrows. */
    void (*on_refused)(str peer, uint16_t status, const char *why, void *arg);
    void *arg;
};
/* ERR_IO: fd is nothing that listens, and still the caller's. */
[[nodiscard]] err net_server_new(const struct net_server_config *config, struct net_server **out, struct diag *d);
uint16_t net_server_port(const struct net_server *s);
/* Stops accepting, answers what is in flight and what is asked yet with Connection: close, ends connections on which nothing was asked for half a
 * second (keep_idle: leaves them for one more request), tells the owners of streams that were handed over. on_drained when no connection is left, or
 * after ms_max, when the rest is cut off. */
void net_server_drain(struct net_server *s, uint32_t ms_max, bool keep_idle, void (*on_drained)(void *arg), void *arg);
/* Cuts off what is left. Its exchanges must have been ended; streams that were handed over have failed, and are still to be closed. */
void net_server_free(struct net_server *s);
/* Goes on with a connection of another process's (net_exchange_pass): as with one that was accepted, by this server's limits. h->fd is taken, the
 * rest borrowed. What is no connected socket, or came with too much, is closed. */
void net_server_adopt(struct net_server *s, const struct net_handover *h);
struct net_server_stats {
    uint64_t accepted, refused, evicted, requests, bad_requests, bytes_in, bytes_out, passed, adopted;
    uint32_t connections, idle;
};
struct net_server_stats net_server_stats(const struct net_server *s);

#endif
