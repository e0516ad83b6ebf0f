/* flow: bytes that arrive and bytes that leave, whoever sends or takes them.
 *
 *   source    a request's body, a fetched response's body: pulled, so a slow reader slows the sender
 *   sink      a response's body, a fetch's request body: pushed while there is room, told when room returns
 */
#ifndef ORLO_NET_FLOW_H
#define ORLO_NET_FLOW_H

#include "net/http.h"

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
/* Ends the body. Trailers are sent if the framing can carry them (chunked), else dropped. ERR_INVALID: fewer bytes than the
 * declared content-length, or a bad trailer: it has not ended, and never will (an exchange's owner may still retract; its end closes
 * the connection; a fetch fails). */
[[nodiscard]] err net_sink_finish(struct net_sink *s, const struct net_field *trailers, uint32_t count);
/* The body will never be whole. A fetch fails with e, and its connection is closed; of an exchange whose head has left the connection is
 * closed too, else its owner has until the end of the turn to retract it and give another response; then it is a bare 500. */
void net_sink_abort(struct net_sink *s, enum net_error e);
enum net_error net_sink_error(const struct net_sink *s); /* NET_OK while it works */
void net_sink_notify(struct net_sink *s, void (*fn)(void *arg), void *arg);

#endif
