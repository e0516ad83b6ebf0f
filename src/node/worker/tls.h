/* tls: who this worker is by TLS: the node's certificates, as control has them, each an identity once somebody asks for it; and signatures, which keys makes.
 *
 * 1. Another set takes the place of the one before for connections that begin; those that are there keep what they were shown.
 * 2. A connection that is made for an app of another cordon goes there before a byte of TLS is answered.
 * 3. A set that cannot be read leaves the one before.
 */
#ifndef ORLO_NODE_WORKER_TLS_H
#define ORLO_NODE_WORKER_TLS_H

#include "node/worker/hashes.h"

struct node_tls;
struct net_tls_config;
struct node_apps;
struct node_inbox;
struct node_tls_options {
    struct node_hashes *signers;
    struct node_apps *apps;
    struct node_inbox *inbox; /* NULL: no connection is another's */
    uint32_t cordon;          /* whose worker this is */
};
struct node_tls *node_tls_new(const struct node_tls_options *o);
void node_tls_free(struct node_tls *t); /* after the servers; NULL is fine */
void node_tls_take(struct node_tls *t, int fd, int tickets,
                   bool tls13_alone); /* takes both: entries of node/certificates.h, a page of keys */
struct net_tls_facts;
/* Whether a host that is asked for on a connection may be answered there: it is the one that the connection was made for, or the certificate's that was
 * shown (RFC 9110 §15.5.20). */
bool node_tls_covers(const struct net_tls_facts *facts, str authority);
const struct net_tls_config *node_tls_config(struct node_tls *t);

#endif
