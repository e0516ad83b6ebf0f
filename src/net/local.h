/* local: a request that is made and answered in this process, without a socket.
 *
 *   who asks ── net_local_sink ──> [request's body] ──> net_exchange_source ── who answers
 *            <── net_local_source [response's body] <── net_exchange_sink
 *
 * Who answers sees an exchange like any other, under the same rules; who asks has what a fetch gives. Neither is called from inside of a call that
 * the other made.
 */
#ifndef ORLO_NET_LOCAL_H
#define ORLO_NET_LOCAL_H

#include "net/client.h"
#include "net/exchange.h"

struct net_local;
struct net_local_request {
    str method, scheme, authority, path; /* path with query, empty is "/" */
    const struct net_field *fields;      /* in order; a content-length is held to */
    uint32_t fields_count;
    bool has_body;           /* it will be written to net_local_sink */
    str peer;                /* who asks, for net_exchange_peer */
    uint32_t handler_ms_max; /* from now to the end of the response, then NET_EVENT_DEADLINE; 0, NET_NO_LIMIT: none */
    uint64_t body_bytes_max; /* of the request's body, above: 413; 0: no limit */
    void (*on_request)(struct net_exchange *x, void *arg); /* who answers; from the loop */
    void *on_request_arg;
};
/* What one holds at most: 64 KiB of each body (of a response that is given all at once: its body), the heads, trailers. */
enum { NET_LOCAL_QUEUE_BYTES = 64 << 10 };
/* Everything of rq is copied. Only what cannot be sent at all is an error, *out NULL: see net_fetch_new. on_change(arg): the response's head is
 * there, or none will be. */
[[nodiscard]] enum net_error net_local_new(struct net_loop *l, const struct net_local_request *rq, void (*on_change)(void *arg),
                                           void *arg, struct net_local **out);
void net_local_free(struct net_local *c); /* who answers hears NET_EVENT_GONE, if he has not ended; NULL is fine */
/* NULL while it has not come, or never will (net_local_error). Borrows until net_local_free. */
const struct net_response *net_local_response(const struct net_local *c);
enum net_error net_local_error(const struct net_local *c); /* NET_OK: none so far */
struct net_source *net_local_source(struct net_local *c);  /* the response's body */
struct net_sink *net_local_sink(struct net_local *c);      /* the request's body */

#endif
