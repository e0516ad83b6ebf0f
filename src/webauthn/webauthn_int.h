/* Inside src/webauthn. */
#ifndef ORLO_WEBAUTHN_INT_H
#define ORLO_WEBAUTHN_INT_H

#include "webauthn/webauthn.h"

/* ---- cbor.c: RFC 8949, as CTAP2 writes it: lengths are said before, no tags, no floats ---- */

enum webauthn_cbor_kind {
    WEBAUTHN_CBOR_UINT,
    WEBAUTHN_CBOR_NINT,
    WEBAUTHN_CBOR_BYTES,
    WEBAUTHN_CBOR_TEXT,
    WEBAUTHN_CBOR_ARRAY,
    WEBAUTHN_CBOR_MAP,
    WEBAUTHN_CBOR_SIMPLE
};
struct webauthn_cbor {
    enum webauthn_cbor_kind kind;
    int64_t number; /* of a number; entries of an array or map */
    str bytes;      /* of bytes or text; the items of an array or map */
};
/* The next item, whole and well-formed with all that is in it; else from fails. */
void webauthn_cbor_next(struct rd *from, struct webauthn_cbor *item);
bool webauthn_cbor_whole(str bytes, struct webauthn_cbor *item); /* one, and nothing behind it */
/* Of a map. False: it lacks it. */
bool webauthn_cbor_text_key(const struct webauthn_cbor *map, const char *key, struct webauthn_cbor *value);
bool webauthn_cbor_int_key(const struct webauthn_cbor *map, int64_t key, struct webauthn_cbor *value);
bool webauthn_cbor_bytes_of(const struct webauthn_cbor *map, const char *key, str *bytes);

/* ---- cose.c: a credential's public key (RFC 9053), of those kinds that we offer ---- */

struct webauthn_key {
    struct crypto_public *public;
    int64_t algorithm;
    str x, y; /* of P-256 */
    str n, e; /* of RSA */
};
/* NULL public: it is none. Freed with scratch. */
bool webauthn_key_read(arena *scratch, str cose, struct webauthn_key *key);

/* ---- attestation.c, tpm.c ---- */

struct webauthn_statement {
    arena *scratch;
    int64_t now_s;
    str data;        /* authenticator data */
    str data_hashed; /* that, and the SHA-256 of the client data behind it: what is signed */
    const uint8_t *aaguid;
    const struct webauthn_key *key;
    struct webauthn_cbor map;
    struct webauthn_credential *to;
    const char *why;
};
bool webauthn_attest(struct webauthn_statement *s, str format);
enum { WEBAUTHN_CHAIN_MAX = 6 };
/* x5c: each signed by the next one, all of them now; the first one signed nobody else. NULL: it is not so, and s says why. Freed with scratch. */
struct crypto_cert *webauthn_chain(struct webauthn_statement *s);
bool webauthn_aaguid_ok(struct webauthn_statement *s, const struct crypto_cert *cert);
bool webauthn_attest_tpm(struct webauthn_statement *s);

#endif
