/* proxy: the PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt): what a proxy says before a connection's first byte, of where it
 * comes from. No I/O: bytes go in, an address comes out.
 *
 *   v1   PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\n        at most 107 bytes
 *   v2   signature (12), version and command, family, length (2), addresses, TLVs     at most NET_PROXY_BYTES_MAX
 *
 * Of the TLVs: SSL says whether the client spoke TLS to the proxy, AUTHORITY whom it named there, ALPN what they agreed on; CRC32C is held to. Others are passed
 * over. A list that does not come out even is a broken header.
 */
#ifndef ORLO_NET_PROXY_H
#define ORLO_NET_PROXY_H

#include "net/addr.h"

enum { NET_PROXY_BYTES_MAX = 16 + 1024 };
enum net_proxy_result {
    NET_PROXY_MORE,  /* as far as it goes it may become a header */
    NET_PROXY_DONE,  /* bytes is its length */
    NET_PROXY_ERROR, /* it is none, or a broken one: why */
};
struct net_proxy {
    size_t bytes;
    bool known;     /* peer is where it comes from; else (LOCAL, UNKNOWN, no internet address) it is from the proxy itself */
    bool secure;    /* the client came by TLS: to the proxy, which has ended it */
    str host, alpn; /* borrow; empty: it does not say */
    struct net_addr peer, local;
    const char *why;
};
enum net_proxy_result net_proxy_parse(const uint8_t *p, size_t n, struct net_proxy *out);

#endif
