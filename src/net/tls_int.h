/* Inside src/net: what a server's connection has of TLS. */
#ifndef ORLO_NET_TLS_INT_H
#define ORLO_NET_TLS_INT_H

#include "net/server_int.h"
#include "net/tls.h"

extern const struct net_protocol net_tls_protocol;
void net_tls_forget(struct net_conn *c); /* with the connection; one that has none is fine */
enum crypto_tls_protocol net_tls_agreed(const struct net_conn *c);

#endif
