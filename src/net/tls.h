/* tls: a server's connections by TLS: who it is to whom, by whose key it signs, and what others may know of a connection afterwards.
 *
 *   accepted ─[PROXY header]─ ClientHello ─┬─ another's: passed on as it came ───────────> (server_int.h: adopted by who has it)
 *                                          ├─ choose() says who the server is ─ handshake ⇄ sign() ─ HTTP/1.1 or HTTP/2, by ALPN
 *                                          └─ nobody ─ an alert
 *
 * 1. What a client says first has to be there, and the handshake done, within header_ms_max from when it connected.
 * 2. A handshake that waits for a signature holds nothing up but itself. There is one signature to wait for in a connection's life.
 */
#ifndef ORLO_NET_TLS_H
#define ORLO_NET_TLS_H

#include "crypto/tls_server.h"
#include "net/exchange.h"

struct net_server;
struct net_tls_ask; /* a handshake that waits for a signature */
struct net_tls_config {
    /* Who the server is to such a client; borrowed. NULL: nobody, and the client is told so. */
    struct crypto_tls_identity *(*choose)(void *arg, const struct crypto_hello *hello);
    /* Whether the connection is another process's: to is filled in. NULL: none is. */
    bool (*elsewhere)(void *arg, const struct net_server *server, str server_name, struct net_pass *to);
    /* Asks for a signature (crypto_tls_wants has what); net_tls_told is called later, once, not from within. What comes out is for cancel; NULL: too many wait. */
    void *(*sign)(void *arg, struct net_tls_ask *ask, const struct crypto_tls_identity *who, uint16_t scheme, str message);
    void (*cancel)(void *arg, void *asked); /* nobody waits any more */
    void *arg;
};
/* signature empty: it is not to be had. Borrows. */
void net_tls_told(struct net_tls_ask *ask, str signature);

/* Of an exchange's connection. */
struct net_tls_facts {
    str server_name;                            /* that the client asked for; empty: none */
    const struct crypto_tls_identity *identity; /* that it was shown */
};
/* False: it did not come by TLS to this process. Borrowed from the connection. */
bool net_exchange_tls(const struct net_exchange *x, struct net_tls_facts *out);

#endif
