/* hashes: a worker's side of the roles `hash` and `keys`: passwords made and compared, tokens signed, bytes sealed, by a channel to each. All of it may be asked twice.
 *
 *   ask ──> WAITS ──there is room──> SENT ──> told            the channel's other end is gone: asked again, of the next one
 *             └──────────── not answered in time ───────────> told ERR_BUSY */
#ifndef ORLO_NODE_WORKER_HASHES_H
#define ORLO_NODE_WORKER_HASHES_H

#include "node/keyset.h"

struct net_loop;
struct node_hashes;
struct node_hashing;
struct node_hashed {
    err err; /* ERR_BUSY: later, perhaps */
    bool right, old;
    str hash; /* made; or the signature, or what was sealed or opened. As long as the call */
};
typedef void (*node_hashed_fn)(void *arg, const struct node_hashed *said);
struct node_hashes *node_hashes_new(struct net_loop *loop, bool signs, void (*want)(void *arg), void *arg);
void node_hashes_free(struct node_hashes *h);  /* NULL is fine */
void node_hashes_alone(struct node_hashes *h); /* the supervisor is gone: what no channel has taken is answered soon, as busy */
void node_hashes_channel(struct node_hashes *h, int fd); /* takes it */
/* hash empty: one is made; "-": there is none to compare with, and it takes as long. Copied. told is called later, never from within. */
struct node_hashing *node_hashes_ask(struct node_hashes *h, uint32_t app, str password, str hash, node_hashed_fn told, void *arg);
/* Of one that signs: by an app's key that is a pair, sealed under its name. */
struct node_hashing *node_hashes_sign(struct node_hashes *h, uint32_t app, enum node_key_algorithm algorithm, str key, str sealed,
                                      str message, node_hashed_fn told, void *arg);
/* The same: bytes of an app's, sealed or opened; pass: 32 bytes (keys.h). */
struct node_hashing *node_hashes_vault(struct node_hashes *h, uint32_t app, str pass, bool opens, str about, str bytes,
                                       node_hashed_fn told, void *arg);
/* The same: a message of a TLS handshake, by a certificate's key (node/certificates.h). */
struct node_hashing *node_hashes_tls(struct node_hashes *h, uint16_t scheme, str sealed, str message, node_hashed_fn told,
                                     void *arg);
void node_hashes_cancel(struct node_hashing *ask); /* told is not called */

#endif
