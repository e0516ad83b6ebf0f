/* secrets: what control keeps sealed of an app, and what a worker gets of it.
 *
 *   set:    command ──value──> control ──secret_want──> keys: AES-256-GCM, about the app's number and the secret's key ──> STATE/db
 *   used:   STATE/db ──> control: a file of entries ──image_give──> supervisor ──unseal──> keys ──a sealed memory file──> worker
 *
 * 1. A value is in control for as long as it takes to be sealed, and nowhere in it afterwards: nobody gets it back from there.
 * 2. What the supervisor hands on it does not read.
 * 3. It is in no snapshot, no answer and no line of the log. */
#ifndef ORLO_NODE_SECRETS_H
#define ORLO_NODE_SECRETS_H

#include "base/base.h"

/* What keys does with a value. Of pairs there are as many of each as kinds (crypto.h), in their order; a new one is answered as the length of its public half
 * (2 bytes, little-endian), that, and the secret half, sealed. A request for a certificate and a challenge's certificate (crypto.h) likewise, with their key. */
enum {
    NODE_SECRET_PAIRS = 3,
    NODE_SECRET_SEALS = 0,
    NODE_SECRET_MAKES, /* 32 random bytes, sealed */
    NODE_SECRET_SIGNS, /* HMAC-SHA-256 of a message, with the value that was sealed */
    NODE_SECRET_MAKES_PAIR,
    NODE_SECRET_TAKES_PAIR = NODE_SECRET_MAKES_PAIR + NODE_SECRET_PAIRS, /* the secret half is the value */
    NODE_SECRET_SIGNS_PAIR = NODE_SECRET_TAKES_PAIR + NODE_SECRET_PAIRS,
    NODE_SECRET_MAKES_REQUEST = NODE_SECRET_SIGNS_PAIR + NODE_SECRET_PAIRS, /* the message is a host */
    NODE_SECRET_MAKES_CHALLENGE,                                            /* the message is a digest, and a host */
    NODE_SECRET_SIGNS_TLS, /* a scheme (2 bytes, low first) and a handshake message, by a certificate's key */
    NODE_SECRET_DOES
};
enum { NODE_VAULT_BYTES_MAX = 8192 }; /* what an app seals at once; as vault_ask has it */
enum { NODE_SECRETS_FILE_MAX = 2 << 20, NODE_SECRET_SEALED_MAX = 40960 };

/* An entry of control's file: kind, key's length, key, length, bytes; numbers of 4 bytes, little-endian. Of the worker's the same without
 * the kind. */
enum node_secret_kind {
    NODE_SECRET_PLAIN,       /* as it is: a URL */
    NODE_SECRET_SEALED,      /* as keys sealed it */
    NODE_SECRET_SIGNER,      /* as keys sealed it; it signs the tokens behind it with HS256, and is not handed on */
    NODE_SECRET_SIGNER_PAIR, /* the same with a pair's algorithm, one kind for each */
    NODE_SECRET_TOKEN = NODE_SECRET_SIGNER_PAIR + NODE_SECRET_PAIRS, /* a JWT without its signature */
    NODE_SECRET_KINDS,
};
void node_secret_put(struct buf *to, enum node_secret_kind kind, str key, str bytes);
/* Of the worker's: the value of a key. False: there is none. */
bool node_secret_find(str secrets, str key, str *value);

/* RFC 4648 §5, without padding. */
void node_base64url(struct buf *to, str bytes);
/* In out; one way to say each, and no other. False: it is none. */
[[nodiscard]] bool node_base64url_read(arena *out, str text, str *bytes);
/* "HEADER.CLAIMS", to be signed. kid empty: it names no key. */
void node_token_begin(struct buf *to, str algorithm, str kid, str claims);
/* The claims of an app's key for a role ("anon", "service_role"). */
void node_token_claims(struct buf *to, str app, str role, uint64_t issued_s);

#endif
