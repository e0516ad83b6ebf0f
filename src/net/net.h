/* net: the event loop, the HTTP server, the outgoing HTTP client. The one room that sees libuv.
 *
 *   loop      one per process; everything here runs on its thread, but for what says otherwise
 *   source    bytes that arrive (a request's body, a fetched response's body): pulled, so a slow reader slows the sender
 *   sink      bytes that leave (a response's body, a fetch's request body): pushed while there is room, told when room returns
 *   exchange  one request to the server and its response
 *   fetch     one request of ours and its response
 *
 * 1. Callbacks come from the loop, never from inside a call made here, so a caller needs no guard against re-entrance.
 *    (A reply to a wrong use comes as an err at once.)
 * 2. A `str` handed out borrows: each function says until when.
 * 3. A slow peer costs its own connection and bounded memory; nothing here blocks.
 */
#ifndef ORLO_NET_H
#define ORLO_NET_H

#include "base/base.h"
#include "net/addr.h"

/* ---- loop ---------------------------------------------------------------------------------------------- */

struct net_loop;
struct net_loop *net_loop_new(void);    /* after fork, in the process that runs it */
void net_loop_free(struct net_loop *l); /* what was made on it must be freed before */
void net_loop_run(struct net_loop *l);  /* until net_loop_stop; also returns when nothing can happen any more */
void net_loop_stop(struct net_loop *l);
/* Monotonic, as of this turn of the loop: free to call, up to a turn old, 1 ms grain. */
uint64_t net_loop_now_ns(const struct net_loop *l);

/* Where the loop counts, for who watches it from outside: odd while it does something, even while it waits for events. Atomic. */
void net_loop_beat(struct net_loop *l, uint64_t *beats);

/* The turn hook: fn runs once a turn, after the turn's I/O events were handled, when net_loop_wake was called since, or fn
 * returned true ("more to do") the last time. While it returns true the loop polls I/O without sleeping between calls. */
void net_loop_on_turn(struct net_loop *l, bool (*fn)(void *arg), void *arg);
void net_loop_wake(struct net_loop *l); /* the hook runs before the loop sleeps; from the loop's thread (any callback) */
/* Whether the loop has something to do: it was woken, or a descriptor that it watches is ready. For the turn hook, also from a signal
 * handler on its thread. */
bool net_loop_news(const struct net_loop *l);
void net_loop_wake_async(struct net_loop *l); /* the same from a signal handler or another thread */
/* fn(arg) on the loop's thread, soon; from any thread. */
void net_loop_post(struct net_loop *l, void (*fn)(void *arg), void *arg);
/* fn(arg, signum) on the loop when the signal came. fn NULL: forget it. */
void net_loop_on_signal(struct net_loop *l, int signum, void (*fn)(void *arg, int signum), void *arg);

struct net_timer;
struct net_timer *net_timer_new(struct net_loop *l, void (*fn)(void *arg), void *arg);
void net_timer_start(struct net_timer *t, uint64_t after_ms, uint64_t repeat_ms); /* restarts; repeat_ms 0: once */
void net_timer_stop(struct net_timer *t);
void net_timer_free(struct net_timer *t); /* NULL is fine; also from its own fn */

/* Watches a descriptor (pipe, socketpair, socket), level-triggered. The descriptor stays the caller's. */
enum { NET_READABLE = 1, NET_WRITABLE = 2 };
struct net_watch;
struct net_watch *net_watch_new(struct net_loop *l, int fd, unsigned events, void (*fn)(void *arg, unsigned events), void *arg);
void net_watch_events(struct net_watch *w, unsigned events); /* 0: pause */
void net_watch_free(struct net_watch *w);                    /* before fd is closed; also from its own fn */

/* Work that the kernel may hold up, on another thread: fn(arg) there, then done(arg, ran) on the loop's thread. The threads are
 * four, for the whole process, made at the first work (so after a sandbox was put on), and take no signals. */
struct net_work;
struct net_work *net_work_new(struct net_loop *l, void (*fn)(void *arg), void (*done)(void *arg, bool ran), void *arg);
void net_work_cancel(struct net_work *w); /* before done: if fn has not begun it never will, and done is told so */

/* ---- fields ---------------------------------------------------------------------------------------------- */

struct net_field {
    str name, value; /* as on the wire: case kept, value without surrounding whitespace */
};
bool net_field_name_ok(str name);   /* a token (RFC 9110 §5.1) */
bool net_field_value_ok(str value); /* no CR, LF, NUL or other control but HTAB (RFC 9110 §5.5) */
bool net_token_ok(str s);           /* as a method is spelled */

/* Failures of HTTP, ours or a peer's, as wasi:http's error-code names them. */
enum net_error {
    NET_OK,
#define X(name, wit, text) NET_##name,
#include "net/http_error.def"
#undef X
    NET_ERROR_COUNT
};
const char *net_error_text(enum net_error e);
const char *net_error_wit(enum net_error e);

/* ---- source: bytes that arrive ----------------------------------------------------------------------------- */

struct net_source;
enum net_flow {
    NET_FLOW_DATA,   /* *data is at least one byte */
    NET_FLOW_WAIT,   /* nothing now; the notify function is called when that changes */
    NET_FLOW_END,    /* all of it was consumed; trailers are there */
    NET_FLOW_FAILED, /* it will not complete: net_source_error */
};
/* The first peek of a request body with `Expect: 100-continue` sends the 100. *data borrows until the next consume or peek. */
enum net_flow net_source_peek(struct net_source *s, str *data);
void net_source_consume(struct net_source *s, size_t n); /* of what peek showed */
/* Copies up to n bytes: peek and consume in one. *got > 0 iff DATA. */
enum net_flow net_source_read(struct net_source *s, void *p, size_t n, size_t *got);
enum net_error net_source_error(const struct net_source *s);
/* After END; borrows for the life of the source. */
const struct net_field *net_source_trailers(const struct net_source *s, uint32_t *count);
/* fn(arg) when, after a peek that answered WAIT, there is something else to say. fn NULL: nobody listens. */
void net_source_notify(struct net_source *s, void (*fn)(void *arg), void *arg);

/* ---- sink: bytes that leave ---------------------------------------------------------------------------------- */

struct net_sink;
/* What a write takes now. 0: full (or failed); the notify function is called when there is room, when all is flushed,
 * and when the sink failed. */
size_t net_sink_room(const struct net_sink *s);
/* Takes all of data (copied, or sent at once) or nothing. ERR_AGAIN: more than net_sink_room. ERR_CLOSED: the peer is gone
 * or the sink was finished. ERR_INVALID: more than the declared content-length, nothing taken. */
[[nodiscard]] err net_sink_write(struct net_sink *s, str data);
bool net_sink_flushed(const struct net_sink *s); /* all that was written has left for the kernel */
/* Ends the body. Trailers are sent if the framing can carry them (chunked), else dropped. ERR_INVALID: fewer bytes than the
 * declared content-length, or a bad trailer: it has not ended, and never will (an exchange's owner may still retract; its end closes
 * the connection; a fetch fails). */
[[nodiscard]] err net_sink_finish(struct net_sink *s, const struct net_field *trailers, uint32_t count);
/* The body will never be whole. A fetch fails with e, and its connection is closed; of an exchange whose head has left the connection is
 * closed too, else its owner has until the end of the turn to retract it and give another response; then it is a bare 500. */
void net_sink_abort(struct net_sink *s, enum net_error e);
enum net_error net_sink_error(const struct net_sink *s); /* NET_OK while it works */
void net_sink_notify(struct net_sink *s, void (*fn)(void *arg), void *arg);

/* ---- HTTP server ------------------------------------------------------------------------------------------------ */

struct net_server;
struct net_exchange;

/* 0 means the default that stands behind each; NET_NO_LIMIT switches a deadline off. */
#define NET_NO_LIMIT UINT32_MAX
struct net_server_config {
    struct net_loop *loop;
    str listen;               /* "127.0.0.1:8080", "[::1]:8080", "localhost:0", ":8080" (all addresses, both families) */
    int fd;                   /* > 0: a listening socket to take over (it is closed with the server); `listen` is only its name */
    bool reuse_port;          /* SO_REUSEPORT: one socket per worker on the same port */
    bool tls_upstream;        /* requests came by TLS to somebody before us: scheme is https */
    uint32_t connections_max; /* 10,000; above, one on which nobody is served makes room; is there none: 503 and closed */
    uint32_t header_ms_max;   /* 10,000: from the first byte of a request to the end of its head */
    uint32_t body_ms_max;     /* 30,000: between two reads of the body's bytes while the handler waits for them */
    uint32_t idle_ms_max;     /* 60,000: between requests */
    uint32_t handler_ms_max;  /* 60,000: from head to end of the response; then NET_EVENT_DEADLINE */
    uint32_t write_ms_max;    /* 30,000: no byte of the response accepted by the client */
    uint32_t half_closed_ms_max; /* 5,000: the client shut down its sending side before it had the answer; then it is gone */
    uint32_t head_bytes_max;     /* 64 KiB: request line and header section; above: 431 */
    uint32_t target_bytes_max;   /* 16 KiB: above: 414 */
    uint32_t fields_max;         /* 128: above: 431 */
    uint64_t body_bytes_max;     /* 0: no limit; above: 413 (before the handler if content-length says so) */
    uint32_t queue_bytes_max;    /* 64 KiB: response bytes queued per connection */
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
/* ERR_BUSY: the port is in use; ERR_DENIED: not permitted; ERR_INVALID: bad address; ERR_NOT_FOUND: no such host; ERR_IO. */
[[nodiscard]] err net_server_new(const struct net_server_config *config, struct net_server **out, struct diag *d);
/* A listening socket without a server, for a supervisor to pass on (close-on-exec set). *port: as chosen, if not NULL. */
[[nodiscard]] err net_listen(str address, bool reuse_port, int *fd, uint16_t *port, struct diag *d);
uint16_t net_server_port(const struct net_server *s);
str net_server_address(const struct net_server *s); /* "127.0.0.1:8080"; lives as long as the server */
/* Stops accepting, closes idle connections (keep_idle: leaves them for one more request), answers what is in flight with
 * Connection: close. on_drained when no connection is left, or after ms_max, when the rest is cut off. */
void net_server_drain(struct net_server *s, uint32_t ms_max, bool keep_idle, void (*on_drained)(void *arg), void *arg);
void net_server_free(struct net_server *s); /* cuts off what is left; its exchanges must have been ended */
struct net_server_stats {
    uint64_t accepted, refused, evicted, requests, bad_requests, bytes_in, bytes_out;
    uint32_t connections, idle;
};
struct net_server_stats net_server_stats(const struct net_server *s);

/* A request's head. Borrows until net_exchange_end. */
struct net_request {
    str method;    /* as sent: "GET" */
    str scheme;    /* "http" or "https": how it came, whatever the target claims */
    str authority; /* from an absolute-form target, else Host, else the address and port that the client connected to */
    str path;      /* with query; "/" for an empty path in absolute-form, "*" for OPTIONS *, empty for CONNECT */
    const struct net_field *fields; /* in order, Host and framing fields included */
    uint32_t fields_count;
    uint8_t version_minor;   /* 1: HTTP/1.1, 0: HTTP/1.0 */
    bool has_body;           /* a content-length or transfer-encoding was sent */
    uint64_t content_length; /* UINT64_MAX: chunked, unknown */
};
const struct net_request *net_exchange_request(const struct net_exchange *x);
str net_exchange_peer(const struct net_exchange *x); /* "203.0.113.7"; borrows until net_exchange_end */
uint16_t net_exchange_peer_port(const struct net_exchange *x);
uint16_t net_exchange_port(const struct net_exchange *x); /* where it came in */
/* A field that is the gateway's: where the client sent one of that name, there is one, with this value, which must outlive x. */
void net_exchange_own_field(struct net_exchange *x, str name, str value);
/* What to answer to a body that failed by the client's fault: 400 malformed, 408, 413, 431. 0: it did not, as far as it was read. */
uint16_t net_exchange_body_status(const struct net_exchange *x);
/* What this request may take, where that is known only once it was routed: within the server's own limits, which stay the outer bound (0: they
 * alone). The deadline counts from the head. A body that grows above its limit fails with 413 as soon as it announces that. To be called
 * before anything is read, so in on_request. ERR_LIMIT: the head declares more already: the body has failed, no 100 will be sent; the owner
 * answers with net_exchange_body_status (413), or leaves that to net_exchange_end. */
[[nodiscard]] err net_exchange_limits(struct net_exchange *x, uint32_t handler_ms_max, uint64_t body_bytes_max);
struct net_source *net_exchange_source(struct net_exchange *x); /* the request's body */
struct net_sink *net_exchange_sink(struct net_exchange *x);     /* the response's body; writes before respond: ERR_USAGE */
void net_exchange_set_user(struct net_exchange *x, void *user);
void *net_exchange_user(const struct net_exchange *x);

enum net_event {
    NET_EVENT_GONE,     /* the client is gone: nothing written will arrive. Source and sink have failed */
    NET_EVENT_DEADLINE, /* handler_ms_max passed; the owner decides (once) */
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
/* All of it at once: head, body, finish. ERR_INVALID also for a content-length that is not the body's. */
[[nodiscard]] err net_exchange_reply(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count,
                                     str body);
bool net_exchange_responded(const struct net_exchange *x);
/* Takes back a response that is not finished and of which nothing has left yet, so that another can be given instead (a guest that
 * trapped). True also when there was none; false: too late. */
bool net_exchange_retract(struct net_exchange *x);
/* The owner is done with x and everything of it. Without a finished response the connection is closed (a bare 500 is sent when
 * there was no head). Otherwise what is queued goes out and the next request may come. */
void net_exchange_end(struct net_exchange *x);
struct net_exchange_stats {
    uint64_t started_ns; /* net_loop_now_ns when the head was complete */
    uint64_t body_bytes_in, body_bytes_out;
    uint16_t status; /* 0: none yet */
};
struct net_exchange_stats net_exchange_stats(const struct net_exchange *x);

/* Whether a response to that method with that status ends with its head, whatever its fields say (RFC 9112 §6.3). */
bool net_response_bodiless(str method, uint16_t status);

/* Standard reason phrase; "" if unknown. */
const char *net_status_text(uint16_t status);

/* ---- HTTP client: HTTP/1.1, plain and over TLS ----------------------------------------------------------------------- */

struct net_client;
struct net_fetch;

struct net_client_config {
    struct net_loop *loop;
    uint32_t connections_max; /* open at once, over all hosts; 256; who comes then waits */
    uint32_t idle_max;        /* kept for reuse; 64 */
    str ca_file;              /* PEM; empty: the system's */
};
[[nodiscard]] err net_client_new(const struct net_client_config *config, struct net_client **out, struct diag *d);
void net_client_free(struct net_client *c); /* its fetches must have been freed */

/* Requests in flight on behalf of one owner (an app, an instance): a counter with a cap, kept by the caller. */
struct net_quota {
    uint32_t used, max; /* max 0: no cap */
};

struct net_fetch_request {
    str method, scheme, authority, path; /* scheme http or https; path with query, empty is "/" */
    const struct net_field
        *fields; /* sent in this order and case; Host comes from authority unless given; none is added but framing */
    uint32_t fields_count;
    bool has_body; /* the body will be written to net_fetch_sink; its content-length is read from fields, else chunked */
    uint32_t connect_ms_max;       /* 0: 30,000 */
    uint32_t first_byte_ms_max;    /* 0: 60,000; from the end of connecting */
    uint32_t between_bytes_ms_max; /* 0: 60,000; while the reader wants bytes; of the upload after the response has begun */
    uint32_t head_bytes_max;       /* 0: 64 KiB, of the response */
    struct net_quota *quota;       /* NULL: none; not looked at after net_fetch_free */
    /* False: the address may not be connected to for this authority (DESTINATION_IP_PROHIBITED). Asked of every address before it is
     * connected to, and of a connection that is used again. NULL: all may. */
    bool (*allow_address)(void *arg, str authority, const struct net_addr *address);
    void *allow_address_arg;
};
/* What a fetch holds at most: 80 KiB of its response, 64 KiB of its body, heads of 64 KiB each, TLS. For who counts. */
enum { NET_FETCH_BYTES_MAX = 320 << 10 };
/* Everything of rq is copied. Failures (even a full quota) come as the fetch's error; only what cannot be sent at all is returned, *out NULL:
 * HTTP_REQUEST_METHOD_INVALID, HTTP_REQUEST_URI_INVALID, HTTP_PROTOCOL_ERROR (a field), HTTP_REQUEST_BODY_SIZE (a content-length that is
 * none, or announces what has_body denies). on_change(arg): the head arrived, or the fetch came to its end. */
[[nodiscard]] enum net_error net_fetch_new(struct net_client *c, const struct net_fetch_request *rq, void (*on_change)(void *arg),
                                           void *arg, struct net_fetch **out);
void net_fetch_free(struct net_fetch *f); /* cancels what is under way; from any callback too */

struct net_response {
    uint16_t status;
    const struct net_field *fields; /* in order; for HTTP/1.1 case kept */
    uint32_t fields_count;
};
/* NULL while it has not come, or never will (net_fetch_error). Borrows until net_fetch_free. */
const struct net_response *net_fetch_response(const struct net_fetch *f);
enum net_error net_fetch_error(const struct net_fetch *f); /* NET_OK: none so far */
str net_fetch_error_text(const struct net_fetch *f);       /* for a log, e.g. "Could not resolve host: x" */
str net_fetch_scheme(const struct net_fetch *f);           /* of the request */
str net_fetch_authority(const struct net_fetch *f);
/* The last address that allow_address turned down; NULL: none. */
const struct net_addr *net_fetch_prohibited(const struct net_fetch *f);
struct net_source *net_fetch_source(struct net_fetch *f); /* the response's body */
struct net_sink *net_fetch_sink(struct net_fetch *f);     /* the request's body; may outlast the response */

#endif
