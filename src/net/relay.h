/* relay: an exchange that has no connection of its own to be passed on goes to another process by one that is made for it.
 *
 *   exchange ── request ──> fetch ── HTTP/1.1 over a pair of sockets ──> whoever is given the other end (net_server_adopt)
 *            <── response ──
 *
 * A body that is not taken at one end is not taken at the other. */
#ifndef ORLO_NET_RELAY_H
#define ORLO_NET_RELAY_H

#include "net/exchange.h"

struct net_loop;
/* In net_exchange_pass's place: x is the relay's from here on, and its owner's no more; its fields, path and peer are to be as they came. h: of the
 * connection that it came on; its descriptor and bytes are not looked at. ERR_IO: there are no descriptors; then nothing has happened. */
[[nodiscard]] err net_relay(struct net_loop *l, struct net_exchange *x, const struct net_pass *to, const struct net_handover *h);

#endif
