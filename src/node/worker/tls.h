/* tls: who this worker is by TLS: the node's certificates, as control has them, each an identity once somebody asks for it; and signatures, which keys makes.
 *
 * 1. Another set takes the place of the one before for connections that begin; those that are there keep what they were shown.
 * 2. A set that cannot be read leaves the one before.
 */
#ifndef ORLO_NODE_WORKER_TLS_H
#define ORLO_NODE_WORKER_TLS_H

#include "node/worker/hashes.h"

struct node_tls;
struct net_tls_config;
struct node_tls *node_tls_new(struct node_hashes *signers);
void node_tls_free(struct node_tls *t);                           /* after the servers; NULL is fine */
void node_tls_take(struct node_tls *t, int fd, bool tls13_alone); /* takes it: entries of node/certificates.h */
const struct net_tls_config *node_tls_config(struct node_tls *t);

#endif
