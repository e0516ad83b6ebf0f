/* dial: from a host to a connected stream.
 *
 *   lookup ─> attempts, the next address after 250 ms or a failure (RFC 8305) ─> the first that is connected ─> told
 *
 * 1. Each address is asked about (allow) before anything is sent to it, whatever led there.
 * 2. It has no deadline: who dials has one, and frees it.
 */
#ifndef ORLO_NET_DIAL_H
#define ORLO_NET_DIAL_H

#include "net/sock.h"
#include "net/stream.h"

struct net_party;
struct net_dial;
struct net_dial_config {
    struct net_loop *loop;
    struct net_party *party; /* for whom names are looked up */
    bool (*allow)(void *arg, const struct net_addr *a);
    void (*told)(void *arg); /* once, from the loop: it is connected, or failed */
    void *arg;
};
/* NULL: the host is none, neither an address nor a name. Borrows host for the call. */
struct net_dial *net_dial_new(const struct net_dial_config *config, str host, uint16_t port);
void net_dial_free(struct net_dial *d);              /* at any time; NULL is fine */
bool net_dial_looks_up(const struct net_dial *d);    /* its name is not an address yet; of NULL: no */
const char *net_dial_host(const struct net_dial *d); /* as TLS and the DNS have it */
/* Takes the stream; NULL: it failed. */
struct net_stream *net_dial_take(struct net_dial *d, struct net_addr *address);
/* Why. lost: the name was not found. NET_SOCK_OK: no address was let through (denied), or there was none. */
enum net_sock_error net_dial_error(const struct net_dial *d, bool *lost, bool *denied);

/* TLS over a stream, which it takes; trust outlives it. Then net_dial_shake until it is done: 0, or NET_STREAM_WAIT, and again when the stream says so, or
 * NET_STREAM_FAILED. */
struct crypto_tls_trust;
struct net_stream *net_dial_secure(struct net_loop *l, struct net_stream *below, struct crypto_tls_trust *trust,
                                   const char *host);
ssize_t net_dial_shake(struct net_stream *s, const char **why);

#endif
