/* exchange: one request and its response, as who answers sees them, however the request came. */
#ifndef ORLO_NET_EXCHANGE_H
#define ORLO_NET_EXCHANGE_H

#include "net/flow.h"

struct net_exchange;
struct net_party; /* party.h */

enum { NET_HTTP_1_0 = 10, NET_HTTP_1_1 = 11, NET_HTTP_2 = 20 };
/* A request's head. Borrows until net_exchange_end. */
struct net_request {
    str method;    /* as sent: "GET" */
    str scheme;    /* "http" or "https": how it came, whatever the target claims */
    str authority; /* from an absolute-form target, else Host, else the address and port that the client connected to */
    str protocol;  /* of HTTP/2's extended CONNECT (RFC 8441): "websocket"; empty: it is none */
    str path;      /* with query; "/" for an empty path in absolute-form, "*" for OPTIONS *, empty for CONNECT */
    const struct net_field *fields; /* in order, Host and framing fields included */
    uint32_t fields_count;
    uint8_t version;         /* NET_HTTP_1_0 … */
    bool has_body;           /* a content-length or transfer-encoding was sent */
    uint64_t content_length; /* UINT64_MAX: chunked, unknown */
};
const struct net_request *net_exchange_request(const struct net_exchange *x);
str net_exchange_peer(const struct net_exchange *x); /* "203.0.113.7"; borrows until net_exchange_end */
uint16_t net_exchange_peer_port(const struct net_exchange *x);
uint16_t net_exchange_port(const struct net_exchange *x); /* where it came in */
/* How a proxy before us was asked; each may be empty, and is as it was. They must outlive x. */
void net_exchange_set_origin(struct net_exchange *x, str peer, str scheme, str authority);
/* Fields go for which drop says true. */
void net_exchange_drop_fields(struct net_exchange *x, bool (*drop)(void *arg, str name), void *arg);
/* A field that is the gateway's: where the client sent one of that name, there is one, with this value, which must outlive x. */
void net_exchange_own_field(struct net_exchange *x, str name, str value);
/* The path as its owner, and who answers for it, see it from now on. It must outlive x. */
void net_exchange_set_path(struct net_exchange *x, str path);
/* The same of its fields, all of them. They are changed by net_exchange_own_field, and must outlive x. */
void net_exchange_set_fields(struct net_exchange *x, struct net_field *fields, uint32_t count);
/* What to answer to a body that failed by the client's fault: 400 malformed, 408, 413, 431. 0: it did not, as far as it was read. */
uint16_t net_exchange_body_status(const struct net_exchange *x);
/* What this request may take, where that is known only once it was routed: within the server's own limits, which stay the outer bound (0: they
 * alone). The deadline counts from the head. A body that grows above its limit fails with 413 as soon as it announces that. To be called
 * before anything is read, so in on_request. ERR_LIMIT: the head declares more already: the body has failed, no 100 will be sent; the owner
 * answers with net_exchange_body_status (413), or leaves that to net_exchange_end. */
[[nodiscard]] err net_exchange_limits(struct net_exchange *x, uint32_t handler_ms_max, uint64_t body_bytes_max);
/* Of the response's body: one that announces more is refused, one that grows beyond fails: ERR_LIMIT for who writes, and
 * NET_EVENT_TOO_LARGE. By then the owner retracts it, or ends it as it is, and the client sees that it is not whole. */
void net_exchange_response_limit(struct net_exchange *x, uint64_t bytes_max);
bool net_exchange_too_large(const struct net_exchange *x);      /* that has happened */
struct net_source *net_exchange_source(struct net_exchange *x); /* the request's body */
struct net_sink *net_exchange_sink(struct net_exchange *x);     /* the response's body; writes before respond: ERR_USAGE */

enum net_event {
    NET_EVENT_GONE,      /* the client is gone: nothing written will arrive. Source and sink have failed */
    NET_EVENT_DEADLINE,  /* handler_ms_max passed; the owner decides (once) */
    NET_EVENT_TOO_LARGE, /* the response: net_exchange_response_limit */
};
void net_exchange_listen(struct net_exchange *x, void (*fn)(void *arg, enum net_event event), void *arg);

/* 1xx but 100 and 101. ERR_CLOSED, ERR_USAGE (after the head), ERR_INVALID, ERR_AGAIN (queue full). Silently nothing for HTTP/1.0. */
[[nodiscard]] err net_exchange_inform(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count);
/* The response's head, fields in their order and case. A content-length field is checked and kept; without one the body is
 * chunked, or its length is written if it is all there before anything was sent (or the connection's end delimits it for HTTP/1.0).
 * Fields of the connection (connection, keep-alive, transfer-encoding, upgrade, proxy-connection) are left out, but that
 * `connection: close` is honoured. Date is added when absent. Head and
 * body leave together if they come in one turn of the loop.
 * ERR_INVALID: status not 200..999, a bad field, two content-lengths. ERR_USAGE: twice. ERR_CLOSED: client gone. */
[[nodiscard]] err net_exchange_respond(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count);
/* fn(arg, head) sees the head of each response of x before it is checked, whoever gives it, and may make another of it: its fields then are to live
 * until the call that gives the response is over. One that was retracted may be followed by another. */
struct net_answer {
    uint16_t status;
    const struct net_field *fields;
    uint32_t fields_count;
};
void net_exchange_amend(struct net_exchange *x, void (*fn)(void *arg, struct net_answer *head), void *arg);
/* Of the response's body, whose length its head says: up to n bytes of a file, where they can go to the system without a copy. How many went; 0: none,
 * and what is written takes its usual way. Waits for a disk where the file's pages are not in memory. */
size_t net_exchange_send_file(struct net_exchange *x, int fd, uint64_t at, size_t n);
/* All of it at once: head, body, finish. ERR_INVALID also for a content-length that is not the body's. */
[[nodiscard]] err net_exchange_reply(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count,
                                     str body);
bool net_exchange_responded(const struct net_exchange *x);
/* After NET_EVENT_DEADLINE: there is another, of clock_mono_ns. False: it is to end now. */
[[nodiscard]] bool net_exchange_go_on(struct net_exchange *x, uint64_t deadline_ns);
/* The response is server-sent events, whose client takes an end for an end, and comes back. */
bool net_exchange_events(const struct net_exchange *x);
/* Takes back a response that is not finished and of which nothing has left yet, so that another can be given instead (a guest that
 * trapped). True also when there was none; false: too late. */
bool net_exchange_retract(struct net_exchange *x);
/* The client asked for another protocol on its connection (RFC 9110 §7.8), and gets it: 101 with those fields, and those that say so. Once x was
 * ended and the 101 has left, fn(arg, stream) is called, from the loop: the stream is arg's, and gives first what came behind the request.
 * NULL: the client is gone. None of the request's deadlines holds for a stream; one that takes nothing for write_ms_max fails, and a server that
 * drains says so (net_stream_ending). ERR_UNSUPPORTED: not asked for; ERR_USAGE: the request's body is not read, or there is a response;
 * ERR_INVALID: a bad field; ERR_CLOSED. */
struct net_stream;
struct net_upgrade {
    str protocol; /* "websocket" */
    void (*fn)(void *arg, struct net_stream *stream);
    void *arg;
};
[[nodiscard]] err net_exchange_upgrade(struct net_exchange *x, const struct net_upgrade *to, const struct net_field *fields,
                                       uint32_t count);
/* On whose behalf it is answered: what comes on its connection waits from now on with that party's, in turn with others'. */
void net_exchange_serve_for(struct net_exchange *x, struct net_party *party);
/* Another process is to answer this request: its connection goes there, with all that came on it and was not read. In place of an answer, and
 * before anything of the body is read; x is over with the call, as with net_exchange_end. give is called from the loop, when all that was
 * answered before has left: h is borrowed, and its descriptor closed after it. False: nobody takes it; the client gets 503, and the connection
 * ends. ERR_USAGE: there is a response, or something of the body was read; ERR_CLOSED: the client is gone; ERR_UNSUPPORTED: it has no
 * connection of its own; ERR_LIMIT: it has been passed on NET_PASSES_MAX times and never answered. Then nothing has happened. give is not called
 * where the connection ends before, so what arg points to is the connection's until then: `drop` is. */
struct net_handover {
    int fd;
    str bytes;        /* received and not used up: the request's head, and what came behind it */
    const void *peer; /* a sockaddr: where it comes from, which may be another than the socket's */
    uint32_t peer_n;
    uint32_t passes; /* how often it has been passed on since it was last answered, this time included */
    bool secure;     /* it came by TLS: to us, or to a proxy that said so at its beginning */
    bool relayed;    /* it is no client's connection, but one that was made for a request (relay.h) */
};
enum {
    NET_HANDOVER_BYTES_MAX = 256 << 10
}; /* with the usual limits; what a server with larger ones holds is refused by who adopts */
enum { NET_PASSES_MAX = 8 };
struct net_pass {
    bool (*give)(void *arg, const struct net_handover *h);
    void (*drop)(void *arg); /* in give's place; may be NULL */
    void *arg;
};
[[nodiscard]] err net_exchange_pass(struct net_exchange *x, const struct net_pass *to);
/* The owner is done with x and everything of it. Without a finished response the connection is closed (a bare 500 is sent when
 * there was no head). Otherwise what is queued goes out and the next request may come. */
void net_exchange_end(struct net_exchange *x);
struct net_exchange_stats {
    uint64_t started_ns; /* net_loop_now_ns when the head was complete */
    uint64_t body_bytes_in, body_bytes_out;
    uint16_t status; /* 0: none yet */
};
struct net_exchange_stats net_exchange_stats(const struct net_exchange *x);

#endif
