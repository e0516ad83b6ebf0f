/* What stands behind an exchange: who brings requests embeds one in what a request is to him, and gives the operations.
 *
 *   net_exchange_*, net_sink_*  (exchange.c: may that be called now? does the length fit? what is the account?)
 *        └─> ops                (http1_exchange.c, local.c: how it travels)
 */
#ifndef ORLO_NET_EXCHANGE_INT_H
#define ORLO_NET_EXCHANGE_INT_H

#include "net/exchange.h"
#include "net/flow_int.h"

/* A response's head. */
struct net_head {
    uint16_t status;
    const struct net_field *fields;
    uint32_t fields_count;
    /* found by net_head_check: */
    uint64_t content_length; /* UINT64_MAX: no such field */
    bool has_date, close, has_server, events;
    size_t bytes; /* of names and values */
};
/* ERR_INVALID: a field is bad, or there are two content-lengths. */
[[nodiscard]] err net_head_check(struct net_head *h);

/* Of one that is to be sent: whether it can be at all, and its content_length (UINT64_MAX: none is declared). The errors: net_fetch_new. */
[[nodiscard]] enum net_error net_request_check(struct net_request *rq);

/* None is called before the front has seen that it may be; none calls back. */
struct net_exchange_ops {
    void (*respond)(struct net_exchange *x, const struct net_head *h);
    err (*inform)(struct net_exchange *x, const struct net_head *h); /* ERR_AGAIN */
    size_t (*room)(struct net_exchange *x);                          /* for how much of the body there is some */
    void (*put)(struct net_exchange *x, str data); /* no more of it than there is room for, but for what a filter held back */
    /* So many of those bytes of a file went without a copy, before anything was queued behind them. NULL: that is nothing to this kind. */
    size_t (*file)(struct net_exchange *x, int fd, uint64_t at, size_t n);
    /* The end of it: the last of the body, which may be more than there is room for, and trailers. */
    void (*finish)(struct net_exchange *x, str last, const struct net_field *trailers, uint32_t count);
    void (*abort)(struct net_exchange *x);
    void (*later)(struct net_exchange *x);   /* from the loop, net_exchange_tell */
    bool (*retract)(struct net_exchange *x); /* false: something of the response has left */
    err (*limits)(struct net_exchange *x, uint32_t handler_ms_max, uint64_t body_bytes_max);
    /* h: its status may become another. ERR_UNSUPPORTED, ERR_USAGE: see net_exchange_upgrade. */
    err (*upgrade)(struct net_exchange *x, struct net_head *h, const struct net_upgrade *to);
    void (*serve_for)(struct net_exchange *x, struct net_party *party); /* NULL: it is nothing to this kind */
    err (*pass)(struct net_exchange *x, const struct net_pass *to);     /* ERR_USAGE; NULL: not of this kind */
    str (*peer)(const struct net_exchange *x, uint16_t *port);
    void (*end)(struct net_exchange *x);
};

enum { NET_DISCARD_BYTES_MAX = 256 << 10 }; /* of an unread body, to keep a connection */
enum { NET_REPLACED_ROOM = 64 << 10 };      /* for a body that is nobody's */
struct net_exchange {
    const struct net_exchange_ops *ops;
    struct net_source source; /* whose ops are the kind's own */
    struct net_sink sink;
    struct net_request *rq;
    void (*event)(void *arg, enum net_event event);
    void *event_arg;
    void (*amend)(void *arg, struct net_answer *head); /* NULL: nobody does */
    void *amend_arg;
    uint64_t started_ns, deadline_ns, in_bytes, out_bytes;
    str peer;         /* who asks, where that is known better than from the connection */
    uint64_t out_max; /* of the response's body; UINT64_MAX: any */
    uint64_t left;    /* of the declared content-length; UINT64_MAX: none declared */
    uint16_t status;
    uint16_t body_status; /* what the client's body deserves that failed; 0: 400 */
    uint16_t port;
    const struct net_tls_conn *tls; /* of its connection; NULL: it has none */
    bool live;                      /* between on_request and net_exchange_end */
    bool closed;                    /* the client is gone, though the owner may not have been told */
    bool responded, finished;
    bool no_body;                    /* by rule; what is written is dropped */
    bool aborted;                    /* its owner gave the response up, so that it need not be told of its end */
    bool was_full;                   /* room was refused: tell when there is some */
    bool events, ending;             /* its response is server-sent events; they are to end with their server */
    bool over, over_told;            /* the response is larger than out_max */
    bool leaves_body;                /* of the request so much is left that the connection will not be kept for it */
    struct net_filtering *filtering; /* NULL: what is written leaves as it is */
};
void net_exchange_tell_over(struct net_exchange *x);
/* The server drains until then: events that would go on are to end before, so that their client sees an end. 0: it does not. */
static inline void net_exchange_drains(struct net_exchange *x, uint64_t ends_ns) {
    if (LIKELY(!ends_ns || !x->live || !x->events || x->ending)) return;
    x->ending = true;
    x->deadline_ns = x->deadline_ns ? MIN(x->deadline_ns, ends_ns) : ends_ns;
}

/* filter.c, of an exchange that has one: */
[[nodiscard]] err net_filtering_respond(struct net_exchange *x, struct net_answer *a, uint64_t bytes, bool at_once);
size_t net_filtering_room(struct net_exchange *x, size_t room); /* of that */
[[nodiscard]] err net_filtering_write(struct net_exchange *x, str data);
void net_filtering_finish(struct net_exchange *x, str last, const struct net_field *trailers, uint32_t count);
void net_filtering_turn(struct net_exchange *x);
void net_filtering_told(struct net_exchange *x);
bool net_filtering_held(const struct net_exchange *x);    /* nothing of the response is out, not even to ops */
bool net_filtering_touches(const struct net_exchange *x); /* what is written is seen, or becomes something else */
void net_filtering_settle(struct net_exchange *x);        /* if so, it is now */
void net_filtering_forget(struct net_exchange *x);        /* its response was taken back */
void net_filtering_over(struct net_exchange *x);
/* From the loop: what the owner has to be told that is no event of the client's. */
static inline void net_exchange_tell(struct net_exchange *x) {
    if (UNLIKELY(x->over && !x->over_told && x->live)) net_exchange_tell_over(x);
    if (UNLIKELY(x->filtering != NULL)) net_filtering_turn(x);
}
/* Its owner is told that there is room, or that all has left. */
static inline void net_exchange_tell_sink(struct net_exchange *x) {
    net_sink_tell(&x->sink);
    if (UNLIKELY(x->filtering != NULL)) net_filtering_told(x);
}
extern const struct net_sink_ops net_exchange_sink_ops; /* of every exchange */

#endif
