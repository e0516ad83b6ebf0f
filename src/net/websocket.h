/* websocket: WebSocket (RFC 6455) over a stream that an exchange was upgraded to, or any other; what comes are messages, what goes are messages.
 *
 *   exchange ── net_websocket_check ── net_websocket_upgrade ──> stream ── net_websocket_new ──> on_message, net_websocket_send …
 *
 *   OPEN ── theirs came, or net_websocket_close ──> CLOSING ── both were said, or close_ms ──> ENDING ── all has left, they hung up ──> on_over
 *
 * 1. A slow reader costs what queue_bytes_max says, and a message at most; who sends to it is told (net_websocket_room, on_room). An owner who does not
 *    take a message stops what comes: the kernel's buffers fill, and the peer waits.
 * 2. What rests holds no buffer: a few hundred bytes and a timer.
 * 3. Pings are answered here, and sent where nothing came for ping_ms; who says nothing then for pong_ms is gone.
 * 4. Callbacks come from the loop. Within each everything may be called but net_websocket_free, which on_over alone may.
 */
#ifndef ORLO_NET_WEBSOCKET_H
#define ORLO_NET_WEBSOCKET_H

#include "net/exchange.h"
#include "net/loop.h"
#include "net/websocket_codec.h"

struct net_stream;
struct net_websocket;

/* ---- the opening handshake ---- */

/* Whether a request asks for one at all, rightly or not: by HTTP/1.1's Upgrade, or by RFC 8441's CONNECT. */
bool net_websocket_asked(const struct net_request *rq);
struct net_websocket_offer {
    str key; /* empty: by HTTP/2 */
    struct websocket_deflate deflate;
    uint16_t status; /* of net_websocket_check: what to answer, 400 or 426; 0: it can be had */
    const char *why;
};
/* §4.2.1. Whose page it is (Origin) is for who answers to look at. The offer borrows from rq. */
[[nodiscard]] bool net_websocket_check(const struct net_request *rq, bool deflate, struct net_websocket_offer *o);
/* With a 426 goes what we speak. */
extern const struct net_field net_websocket_version;
/* The next of Sec-WebSocket-Protocol, which may stand in several fields; at: {0} before the first. False: there are no more. */
struct net_websocket_names {
    uint32_t at;
    str rest;
};
bool net_websocket_protocol(const struct net_request *rq, struct net_websocket_names *at, str *out);
/* As net_exchange_upgrade, whose errors it has. protocol: which was chosen; empty: none. */
[[nodiscard]] err net_websocket_upgrade(struct net_exchange *x, const struct net_websocket_offer *o, str protocol,
                                        void (*fn)(void *arg, struct net_stream *stream), void *arg);

/* ---- the connection ---- */

struct net_websocket_config {
    struct net_loop *loop;
    uint64_t message_bytes_max; /* 1 MiB; more: closed with 1009 */
    size_t queue_bytes_max;     /* 64 KiB: with so much that is to leave, nothing more is taken */
    uint32_t ping_ms;           /* 30,000 */
    uint32_t pong_ms;           /* 20,000 */
    uint32_t idle_ms;           /* no message either way: closed with 1001. 0: never */
    uint32_t close_ms;          /* 5,000: for the peer to answer our close */
    struct websocket_deflate deflate;
    /* So many bytes more, or less, are held of messages. False: no more may be; then it is closed with 1013. NULL: nobody counts. */
    bool (*charge)(void *arg, int64_t bytes);
    /* True: it is done with, and data is gone. False: it stays (net_websocket_held) until net_websocket_resume, and nothing comes meanwhile. */
    bool (*on_message)(void *arg, bool text, str data);
    void (*on_room)(void *arg); /* there is room again; NULL: nobody waits for it */
    /* The peer will say no more: its close frame (code, which may be WEBSOCKET_NO_CODE, and reason), or WEBSOCKET_ABNORMAL: it is gone; or it was at
     * fault, and that is what it was told. Once. A message that is held stays. */
    void (*on_end)(void *arg, uint16_t code, str reason);
    /* Whoever lent the stream wants it back soon: close it. NULL: that is done, with 1001. */
    void (*on_ending)(void *arg);
    void (*on_over)(void *arg); /* nothing is left of it: free it. Once, and after on_end */
    void *arg;
};
struct net_websocket *net_websocket_new(struct net_stream *s, const struct net_websocket_config *c); /* takes s */
bool net_websocket_room(struct net_websocket *w); /* send takes a message; else on_room says when, unless it has ended */
/* The whole of it is copied, or has left. ERR_AGAIN: no room. ERR_LIMIT: larger than message_bytes_max. ERR_CLOSED. Text is to be UTF-8. */
[[nodiscard]] err net_websocket_send(struct net_websocket *w, bool text, str data);
bool net_websocket_held(const struct net_websocket *w, bool *text, str *data); /* the one that on_message did not take */
void net_websocket_resume(struct net_websocket *w);
/* As resume, but the message is the caller's from now on, and lies where it lay. False: none is held. */
bool net_websocket_take(struct net_websocket *w, bool *text, struct buf *to);
/* Says so to the peer, who may answer; nothing can be sent any more, and what comes is not shown. code: one that may be sent (websocket_code_ok), or
 * WEBSOCKET_NO_CODE. Once it is closing it is nothing. */
void net_websocket_close(struct net_websocket *w, uint16_t code, str reason);
void net_websocket_free(struct net_websocket *w); /* at once; before on_over the peer sees a reset */

#endif
