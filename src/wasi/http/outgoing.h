/* outgoing: what requests of a guest have in common in WASI 0.2 and 0.3: what may be reached, and what is sent besides the guest's fields.
 *
 * 1. A host that was not granted is HTTP-request-denied, before anything is looked up or connected. An address that was not, whatever
 *    led there, is destination-IP-prohibited: it is asked about at every connect, and again when a connection is used once more.
 *    Both are in the log, with the flag that would grant it; so is a request that failed.
 * 2. CDN-Loop (RFC 8586) counts how often a request came through us; past a limit it is loop-detected, so an app that fetches itself
 *    ends. */
#ifndef ORLO_WASI_OUTGOING_H
#define ORLO_WASI_OUTGOING_H

#include "wasi/wasi_int.h"

/* NET_OK, or why no request may go there. seen: the CDN-Loop of the request that is being served, empty: none. */
enum net_error wasi_outgoing_refuse(struct wasi_run *run, str scheme, str authority, str seen);
/* net_fetch_request's allow_address; the arg is the app. For requests of a guest, and for those that --forward sends on: the operator
 * named that host, so its name may mean any address but a link-local one. */
bool wasi_outgoing_may_reach(void *app, str authority, const struct net_addr *a);
bool wasi_outgoing_may_forward(void *app, str authority, const struct net_addr *a);
/* Whom a request is sent for, for the log. */
struct wasi_outgoing_origin {
    char id[33];
};
struct wasi_outgoing_origin wasi_outgoing_origin(const struct wasi_run *run);
/* Logs why the fetch failed, if it did. */
void wasi_outgoing_failed(struct wasi_run *run, const struct wasi_outgoing_origin *origin, const struct net_fetch *f);
/* The CDN-Loop that the request on x came with; it borrows x's. x may be NULL. */
str wasi_outgoing_seen(const struct net_exchange *x);
str wasi_outgoing_seen_by(const struct wasi_run *run); /* of the request that the run serves, or serves at the moment */
bool wasi_outgoing_loops(str seen);                    /* it has come through here too often */
/* The CDN-Loop to send. */
struct net_field wasi_outgoing_loop(arena *out, str seen);
/* Nanoseconds of an option, else `otherwise` milliseconds, as net takes them. */
uint32_t wasi_outgoing_ms(bool some, uint64_t ns, uint64_t otherwise);

/* Charged copies of strings. */
void wasi_charged_free(struct host_instance *in, str s);
/* *to becomes a copy of s. False: over the instance's limit. */
[[nodiscard]] bool wasi_charged_replace(struct host_instance *in, str *to, str s);

/* Printable ASCII but space, '"', '<', '>', '\\', '^', '`', '{', '|', '}' and what ends the part (RFC 3986); bytes above ASCII where asked. */
bool wasi_uri_part_ok(str s, const char *ends, bool above_ascii);

#endif
