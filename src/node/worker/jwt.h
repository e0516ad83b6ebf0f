/* jwt: tokens that say who asks (RFC 7519), signed by a key of the app's: HMAC-SHA-256 (HS256, RFC 7518 §3.2), or by a pair's secret half
 * (ES256, RS256, EdDSA: crypto.h).
 *
 * 1. Nothing of a token is read as JSON, but for its head, before its signature is known to be right.
 * 2. A key has one algorithm, and verifies tokens of that one alone: a public key is never taken for a secret, nor the other way round. No key is one
 *    that the token brings or points at; `kid` chooses among those that there are.
 *    Where it says none, at most PAIRS_MAX public keys are tried: each takes as long as a request.
 * 3. What is wrong is told as PostgREST tells it (jwt.def), in its order: expiry, begin, issue, audience; with 30 seconds for clocks that differ.
 */
#ifndef ORLO_NODE_JWT_H
#define ORLO_NODE_JWT_H

#include "crypto/crypto.h"
#include "node/keyset.h"
#include "pg/pg.h"

enum { NODE_JWT_BYTES_MAX = 8 << 10, NODE_JWT_SKEW_S = 30 };
enum node_jwt_end {
    NODE_JWT_GOOD,
#define X(name, state, code, message, details) NODE_JWT_##name,
#include "node/worker/jwt.def"
#undef X
    NODE_JWT_ENDS
};
struct node_jwt_key {
    enum node_key_algorithm algorithm;
    str kid;
    bool any_kid; /* tokens may name another: it is older than such names */
    bool foreign; /* of somebody else: nobody is the service_role by it */
    str secret;   /* HS256 */
    struct crypto_pair *public;
};
struct node_jwt {
    str role, subject; /* "anon"; empty: it says none. A role that is no text is its JSON */
    str claims;        /* all of them, JSON text */
    bool has_role;
    int64_t until_s; /* of a good one: it is refused after that second; INT64_MAX: it lasts */
    uint32_t parts;  /* that it has, where it has not three */
};
/* now: seconds since 1970. jwt: strings in out; of a good one alone. */
enum node_jwt_end node_jwt_verify(arena *out, str token, const struct node_jwt_key *keys, uint32_t count, int64_t now,
                                  struct node_jwt *jwt);
/* Does a good one say nothing of whom it is for, or this one among others? */
bool node_jwt_is_for(const struct node_jwt *jwt, str audience);
/* What is wrong with one, as REST tells it. */
void node_jwt_error(enum node_jwt_end end, const struct node_jwt *jwt, struct pg_error *error);

#endif
