/* wasi: a WebSocket of a guest's: wasmcloud:websocket/handler (wit/websocket).
 *
 *   net_websocket ── message, held until the guest has it ── feed ──> stream<frame> `incoming`
 *                 <── one message at a time, while there is room ──── stream<frame> that the guest returned
 *
 * 1. Nothing is buffered for either side but one message each way, and what the client's queue holds: a guest that does not read stops its client, a
 *    client that does not read stops the guest's write. Messages that are held are the instance's (host_charge).
 * 2. The end comes as a frame `close`, then the stream ends. What the guest closes with, or 1000 when it drops its end, its client is told.
 * 3. A socket outlives its instance by its closing handshake, and is its service's in any case.
 */
#ifndef ORLO_WASI_P3_WEBSOCKET_H
#define ORLO_WASI_P3_WEBSOCKET_H

#include "net/websocket.h"
#include "wasi/p3/p3_int.h"
#include "wasi_websocket.h"

struct wasi_p3_socket {
    /* the owner's to fill in: */
    struct host_instance *in;
    void (*on_message)(void *arg); /* one came, or goes */
    void (*on_over)(void *arg);    /* nothing of it is left: its memory may go. Once */
    void *arg;
    /* private: */
    struct net_loop *loop;
    const struct app_limits *limits;
    struct net_websocket *ws;  /* NULL: not yet, or not any more */
    struct net_timer *going;   /* it goes away: when the client is told */
    struct wasi_p3_feed *feed; /* NULL: over */
    struct host_stream *out;   /* NULL: not yet, or over */
    struct wasmcloud_websocket_types_frame shown;
    struct buf last; /* a message whose socket is gone, or is to be, while the guest is being given it */
    bool last_any, last_text;
    struct websocket_deflate deflate;
    arena *mem; /* what the guest is called with; until it has returned */
    uint64_t charged;
    uint16_t code; /* how it ended, */
    uint8_t reason[WEBSOCKET_CONTROL_BYTES_MAX], reason_n;
    bool upgrading, ended, close_due, over; /* ended: the client says no more; close_due: the guest is still to be told */
    uint16_t close_code;                    /* what the client is to be told once there is one; 0: nothing yet */
};
struct wasi_p3_socket_args {
    struct wasmcloud_websocket_types_upgrade_request req;
    struct host_stream *incoming;
};
/* Answers x, which asks for a WebSocket: true: with one, *args is what the guest is to be called with. False: with what is wrong with it; on_over is not
 * called. Either way x has its response. */
[[nodiscard]] bool wasi_p3_socket_open(struct wasi_p3_socket *s, struct net_exchange *x, struct wasi_p3_socket_args *args);
/* The guest has returned: args are over, its stream is taken (NULL: none; then closed with 1011). */
void wasi_p3_socket_returned(struct wasi_p3_socket *s, struct host_stream *out);
bool wasi_p3_socket_forsaken(const struct wasi_p3_socket *s);             /* nothing that the guest would say will come */
void wasi_p3_socket_go_away(struct wasi_p3_socket *s, uint32_t after_ms); /* guest and client are told, 1001 */
/* The guest is to do no more: its ends are dropped, the client is told. */
void wasi_p3_socket_fail(struct wasi_p3_socket *s, uint16_t code, const char *why);
void wasi_p3_socket_gone(struct wasi_p3_socket *s); /* its instance is about to be: the same, and `in` is not used any more */
bool wasi_p3_socket_over(const struct wasi_p3_socket *s); /* nothing is left of it */
void wasi_p3_socket_end(struct wasi_p3_socket *s);        /* at once; on_over is not called */

#endif
