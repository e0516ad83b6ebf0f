/* addr: internet addresses, as sockets, grants and guests need them. No I/O.
 *
 * 1. An IPv4 address is never held as an IPv4-mapped IPv6 one: net_addr_parse and net_addr_of turn those into IPv4.
 * 2. A class says where packets to the address end up (addr.def); addresses that carry an IPv4 one (NAT64, 6to4) have its class.
 */
#ifndef ORLO_NET_ADDR_H
#define ORLO_NET_ADDR_H

#include "base/base.h"

struct net_addr {
    bool v6;
    uint16_t port;
    uint8_t ip[16];       /* in network order; IPv4: the first four */
    uint32_t flow, scope; /* IPv6 only */
};

enum net_addr_class {
    NET_ADDR_PUBLIC,
    NET_ADDR_PRIVATE,  /* private networks, and whatever else is not globally reachable */
    NET_ADDR_LOOPBACK, /* 127/8, ::1 */
    NET_ADDR_LINK_LOCAL, /* 169.254/16, fe80::/10, where else clouds answer with credentials, and what may stand for such an address */
    NET_ADDR_MULTICAST,
    NET_ADDR_BROADCAST,
    NET_ADDR_UNSPECIFIED, /* 0/8, :: */
    NET_ADDR_MAPPED,      /* ::ffff:a.b.c.d, or the deprecated ::a.b.c.d: in no socket of ours */
};
enum net_addr_class net_addr_class(const struct net_addr *a);
bool net_addr_unicast(const struct net_addr *a); /* neither multicast nor broadcast */

/* An address without port: "192.0.2.1", "2001:db8::1", "[::1]"; no zone. False: it is none. */
bool net_addr_parse(str text, struct net_addr *out);
enum { NET_ADDR_TEXT_MAX = 56 }; /* "[ffff:…:255.255.255.255]:65535" and a NUL */
/* "192.0.2.1:80", "[::1]:80"; without port "192.0.2.1", "::1". Gives to. */
const char *net_addr_text(const struct net_addr *a, bool with_port, char to[static NET_ADDR_TEXT_MAX]);

bool net_addr_same_ip(const struct net_addr *a, const struct net_addr *b);
bool net_addr_same(const struct net_addr *a, const struct net_addr *b); /* with port; flow and scope do not count */
/* Whether the first bits of a are those of prefix, in the same family. */
bool net_addr_in(const struct net_addr *a, const struct net_addr *prefix, uint8_t bits);
/* All addresses of the prefix are of one class: *out. */
bool net_addr_prefix_class(const struct net_addr *prefix, uint8_t bits, enum net_addr_class *out);

/* From and to the system's (a struct sockaddr_storage, behind a pointer so that only who has sockets includes it). */
struct sockaddr;
void net_addr_of(const struct sockaddr *from, struct net_addr *out); /* of another family: 0.0.0.0 */
struct sockaddr_storage;
uint32_t net_addr_sockaddr(const struct net_addr *a, struct sockaddr_storage *out); /* gives its length */

/* A host name in the form that the DNS has: labels of letters, digits, '-' and '_' in lower case, others as "xn--…" (RFC 3492; no
 * mapping of other scripts' capitals), no dot at the end, in the arena with a NUL byte. False: it is no name, or ends in a
 * number, as only addresses do ("127.1", "0x7f000001", which some would read as one, too). */
bool net_name_ascii(arena *out, str name, str *ascii);
/* Whether no stranger can decide what the name means: a single label, or below a name for local use (RFC 6761, RFC 6762, RFC 8375,
 * .internal, .lan). */
bool net_name_local(str ascii);

#endif
