/* local: a request that is made and answered in this process, without a socket: a fetch for who asks, an exchange for who answers.
 *
 *   who asks ── net_fetch_sink ───> [request's body] ──> net_exchange_source ── who answers
 *            <── net_fetch_source ─ [response's body] <─ net_exchange_sink
 *
 * Each obeys the rules of its kind, and cannot tell that the other is near. Neither is called from inside of a call that the other made.
 */
#ifndef ORLO_NET_LOCAL_H
#define ORLO_NET_LOCAL_H

#include "net/client.h"
#include "net/exchange.h"

/* Who answers, and within which limits. */
struct net_local {
    void (*on_request)(struct net_exchange *x, void *arg); /* from the loop */
    void *arg;
    str peer;                /* who asks, for net_exchange_peer; copied */
    uint32_t handler_ms_max; /* from now to the end of the response, then NET_EVENT_DEADLINE; 0, NET_NO_LIMIT: none */
    uint64_t body_bytes_max; /* of the request's body, above: 413; 0: no limit */
};
/* What one holds at most: so much of each body (of a response that is given all at once: its body), the heads, trailers. */
enum { NET_LOCAL_QUEUE_BYTES = 64 << 10 };
/* As net_fetch_new, with which what rq may say is shared; of its times first_byte_ms_max alone is one here, and no address is asked about. */
[[nodiscard]] enum net_error net_fetch_local(struct net_loop *l, const struct net_fetch_request *rq, const struct net_local *to,
                                             void (*on_change)(void *arg), void *arg, struct net_fetch **out);

#endif
