/* outgoing: what requests of a guest have in common in WASI 0.2 and 0.3: what may be reached, and what is sent besides the guest's fields.
 *
 * 1. A host that was not granted is HTTP-request-denied, before anything is looked up or connected. An address that was not, whatever
 *    led there, is destination-IP-prohibited: it is asked about at every connect, and again when a connection is used once more.
 *    Both are in the log, with the flag that would grant it; so is a request that failed.
 * 2. Each carries how often the request that it is sent for has come through this node (app/hops.h), whatever the guest's fields say: one that
 *    goes in a circle ends, where it comes in once more. */
#ifndef ORLO_WASI_OUTGOING_H
#define ORLO_WASI_OUTGOING_H

#include "wasi/wasi_int.h"

/* NET_OK, and it counts; or why no request may go there for rq. */
enum net_error wasi_outgoing_refuse(struct wasi_instance *i, struct app_request *rq, str scheme, str authority);
/* Sends one that was not refused, for rq: over the network, or to another function of the app. As net_fetch_new. */
enum net_error wasi_outgoing_send(struct wasi_instance *i, struct app_request *rq, const struct net_fetch_request *what,
                                  void (*on_change)(void *arg), void *arg, struct net_fetch **out);
/* net_fetch_request's allow_address; the arg is the struct app. For requests of a guest, and for those that --forward sends on: the
 * operator named that host, so its name may mean any address but a link-local one. */
bool wasi_outgoing_may_reach(void *app, str authority, const struct net_addr *a);
bool wasi_outgoing_may_forward(void *app, str authority, const struct net_addr *a);
/* Logs why the fetch that was sent for rq failed, if it did. */
void wasi_outgoing_failed(struct wasi_instance *i, struct app_request *rq, const struct net_fetch *f);
/* The same of one that --forward sends on. */
enum net_error wasi_outgoing_forward(struct wasi_instance *i, struct app_request *rq);
/* One of them on its way, for who watches. */
struct wasi_outgoing {
    uint64_t started_ns; /* 0: it was not sent */
    bool told;
    uint8_t span[8];
    char method[16]; /* cut */
};
void wasi_outgoing_begin(struct wasi_outgoing *o, const struct app_request *rq, str method);
/* Its head has come, or never will: once. */
void wasi_outgoing_tell(struct wasi_outgoing *o, struct app_request *rq, const struct net_fetch *f);
/* Nobody waits for it any more. */
void wasi_outgoing_end(struct wasi_outgoing *o, struct app_request *rq, const struct net_fetch *f);
enum { WASI_OUTGOING_FIELDS = 3 };
/* What is sent of these fields and besides: there is room for WASI_OUTGOING_FIELDS more. A trace that the guest names itself stays. How many
 * there are then. */
uint32_t wasi_outgoing_fields(arena *out, const struct wasi_outgoing *o, const struct app_request *rq, struct net_field *fields,
                              uint32_t count);
/* Nanoseconds of an option, else `otherwise` milliseconds, as net takes them. */
uint32_t wasi_outgoing_ms(bool some, uint64_t ns, uint64_t otherwise);

/* Printable ASCII but space, '"', '<', '>', '\\', '^', '`', '{', '|', '}' and what ends the part (RFC 3986); bytes above ASCII where asked. */
bool wasi_uri_part_ok(str s, const char *ends, bool above_ascii);

#endif
