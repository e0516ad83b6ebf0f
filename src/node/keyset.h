/* keyset: what an app's callers are known by, as control writes it and a worker reads it; and what an opaque key looks like.
 *
 *   sb_publishable_CCCCCCCCCCCCCCCCCCCCCC_SSSSSSSS     C: 22 characters by chance (132 bits); S: of SHA-256 of "orlo|" and all before _S, the first 8
 *   sb_secret_…                                        characters in base64url: who mistypes a key is told so, and nobody else's key is looked for
 *
 * 1. Nobody keeps what such a key is: its SHA-256 alone.
 * 2. What signs is not in it; of a pair the public half, of HS256 the name of the entry beside it that has the secret (secrets.h).
 */
#ifndef ORLO_NODE_KEYSET_H
#define ORLO_NODE_KEYSET_H

#include "crypto/crypto.h"

/* Of which those behind the first are pairs, in crypto's order. Numbers are kept: they stay. */
enum node_key_algorithm { NODE_KEY_HS256, NODE_KEY_ES256, NODE_KEY_RS256, NODE_KEY_EDDSA, NODE_KEY_ALGORITHMS };
const char *node_key_algorithm_text(enum node_key_algorithm a); /* "HS256" */
bool node_key_algorithm_named(str name, enum node_key_algorithm *a);
static inline bool node_key_is_pair(enum node_key_algorithm a) { return a != NODE_KEY_HS256; }
static inline enum crypto_pair_kind node_key_pair(enum node_key_algorithm a) {
    return (enum crypto_pair_kind)(a - NODE_KEY_ES256);
}
static_assert((int)NODE_KEY_ALGORITHMS == (int)NODE_KEY_ES256 + (int)CRYPTO_PAIR_KINDS, "each kind of pair is one");

enum {
    NODE_KEYS_MAX = 64 /* of an app, opaque */,
    NODE_SIGNING_KEYS_MAX = 16 /* of an app, revoked ones not counted */,
    NODE_KID_BYTES_MAX = 128,
    NODE_OPAQUE_BYTES_MAX = 64
};
/* The entry of secrets' file, NODE_SECRET_PLAIN. */
#define NODE_KEYSET_ENTRY "_keys"
/* Beside it, where the key in use is a pair: that, as keys sealed it. A worker cannot open it; it sends it along with what is to be signed. */
#define NODE_SIGNER_ENTRY "_signer"
/* By keys, where there is a set: what a worker shows when bytes of the app's are to be sealed or opened. */
#define NODE_PASS_ENTRY "_pass"

/* A key of the set, one after the other. */
struct node_keyset_key {
    bool opaque;
    /* opaque: */
    uint32_t id;
    bool secret;        /* else it is publishable */
    uint64_t expires_s; /* 0: never */
    uint8_t hash[CRYPTO_SHA256_BYTES];
    /* one that signs: */
    enum node_key_algorithm algorithm;
    bool any_kid; /* it verifies what names another key, too */
    bool
        foreign; /* somebody else has its secret half: it verifies, is not among the app's own, and nobody is the service_role by it */
    str kid, entry;
    str public; /* of a pair */
};
void node_keyset_put(struct buf *to, const struct node_keyset_key *key);
/* False: there is no more, or (from->fail) nonsense. Borrows. */
[[nodiscard]] bool node_keyset_next(struct rd *from, struct node_keyset_key *key);

/* {"keys":[…]}: the public halves (RFC 7517). */
void node_keyset_jwks(struct buf *to, str set);
/* One that was made elsewhere: a JWK of a pair (RFC 7517, 7518 §6, 8037), secret or public. Strings in out. ERR_MALFORMED, ERR_UNSUPPORTED. */
struct node_jwk {
    enum node_key_algorithm algorithm;
    str kid, secret, public; /* as crypto has them; secret empty: it has none; public: where it has none */
};
[[nodiscard]] err node_jwk_read(arena *out, str text, struct node_jwk *to, struct diag *d);

/* A new one, NUL behind it. */
void node_opaque_make(bool secret, char to[static NODE_OPAQUE_BYTES_MAX]);
/* Whether it is whole: what says so is not that anybody has it. */
bool node_opaque_whole(str key);
bool node_opaque_is(str key); /* sb_…: no token */
bool node_opaque_is_secret(str key);
void node_opaque_hash(str key, uint8_t hash[CRYPTO_SHA256_BYTES]);

#endif
