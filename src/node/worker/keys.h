/* keys: what an app's callers are known by, in a worker: opaque keys (their hashes), keys that verify tokens, and tokens that were verified not long ago.
 *
 * 1. They come with the app's secrets, and are the app's for its life: where one is made, revoked or another, all workers get the app anew, and with it
 *    no token that was verified before.
 * 2. Tokens that are remembered are so many, take so many bytes, are the app's to pay, and are compared whole. One that has expired is verified again.
 */
#ifndef ORLO_NODE_WORKER_KEYS_H
#define ORLO_NODE_WORKER_KEYS_H

#include "node/worker/jwt.h"

struct node_app;
struct node_keys;
/* secrets: as secrets.c has them. In the app's memory. */
struct node_keys *node_keys_new(struct node_app *app, str secrets);
void node_keys_forget(struct node_keys *keys); /* the tokens: before the app's share ends; NULL is fine */

enum node_opaque_end { NODE_OPAQUE_GOOD, NODE_OPAQUE_CUT /* mistyped */, NODE_OPAQUE_UNKNOWN, NODE_OPAQUE_EXPIRED };
/* keys NULL: there are none. *secret: of a good one. */
enum node_opaque_end node_keys_opaque(struct node_keys *keys, str key, int64_t now, bool *secret);
/* As node_jwt_verify; jwt: strings in out, or until the next call. */
enum node_jwt_end node_keys_verify(struct node_keys *keys, arena *out, str token, int64_t now, struct node_jwt *jwt);
/* A token of these claims, by the key that is in use. False: none is, or it is not to be had. */
struct node_keys_signer {
    str message;     /* what is to be signed */
    str signature;   /* of HS256, whose secret is here; empty: the role keys has it */
    str key, sealed; /* for that: the key's name, and what it is sealed */
    enum node_key_algorithm algorithm;
};
bool node_keys_signer(const struct node_keys *keys, arena *out, str claims, struct node_keys_signer *to);
str node_keys_pass(
    const struct node_keys *keys); /* 32 bytes, for bytes of the app's that keys seals and opens; empty: it has none */
str node_keys_url(const struct node_keys *keys);  /* how the world sees the app; empty: nobody said */
str node_keys_jwks(const struct node_keys *keys); /* {"keys":[…]} */

#endif
