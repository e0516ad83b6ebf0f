/* jwt: tokens that say who asks (RFC 7519), signed with HMAC-SHA-256 (HS256, RFC 7518 §3.2) by a key that the app alone has.
 *
 * 1. Nothing of a token is read as JSON, but for the name of its algorithm, before its signature is known to be right.
 * 2. It is HS256 or it is none: no other algorithm, and no key that the token brings or names.
 */
#ifndef ORLO_NODE_JWT_H
#define ORLO_NODE_JWT_H

#include "base/base.h"

enum { NODE_JWT_BYTES_MAX = 8 << 10 };
enum node_jwt_end {
    NODE_JWT_GOOD,
    NODE_JWT_MALFORMED, /* no token, or one that is too long */
    NODE_JWT_ALGORITHM, /* another than HS256 */
    NODE_JWT_SIGNATURE, /* not of this key */
    NODE_JWT_EXPIRED,
    NODE_JWT_EARLY, /* not valid yet */
};
struct node_jwt {
    str role, subject; /* "anon"; empty: it says none */
    str claims;        /* all of them, JSON text */
};
/* now: seconds since 1970. jwt: strings in out; of a good one alone. */
enum node_jwt_end node_jwt_verify(arena *out, str token, str key, int64_t now, struct node_jwt *jwt);

#endif
