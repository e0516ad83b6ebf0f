/* forwarded: what proxies before us say of a request in its fields: Forwarded (RFC 7239), or X-Forwarded-For, -Proto, -Host and -Port. No I/O.
 *
 * Each proxy adds at the right whom it was asked by. So the list is read from there, and from those that are trusted alone: the client is the
 * first that is not. What stands to the left of it anybody may have written.
 */
#ifndef ORLO_NET_FORWARDED_H
#define ORLO_NET_FORWARDED_H

#include "net/addr.h"
#include "net/http.h"

struct net_prefix { /* an address and how many of its first bits count */
    struct net_addr prefix;
    uint8_t bits;
};
/* "10.0.0.0/8", "192.0.2.1", "::1". False: it is none. */
bool net_prefix_parse(str text, struct net_prefix *out);
bool net_prefix_has(const struct net_prefix *of, size_t count, const struct net_addr *a);

struct net_forwarded {
    bool said; /* there were such fields */
    bool by_x; /* X-Forwarded-…; where those are there, Forwarded is not looked at: who sets the ones passes on the other */
    bool has_client;
    struct net_addr client; /* without a port */
    str scheme, host;       /* "http" or "https"; as in a Host field. Empty: not said, or nonsense. Borrow, or are in out */
};
/* Of a request that came from one of those that are trusted. */
void net_forwarded_read(arena *out, const struct net_field *fields, uint32_t count, const struct net_prefix *trusted,
                        size_t trusted_count, struct net_forwarded *to);
/* Whether a field is one of those: from nobody else they mean anything. */
enum net_forwarded_field { NET_FORWARDED_NONE, NET_FORWARDED_ITSELF, NET_FORWARDED_X };
enum net_forwarded_field net_forwarded_field(str name);

#endif
