/* cose: see webauthn_int.h. */
#include "webauthn/webauthn_int.h"

enum { KTY = 1, ALG = 3, CRV = -1, X = -2, Y = -3, N = -1, E = -2 };
enum { OKP = 1, EC2 = 2, RSA = 3, P256 = 1, ED25519 = 6 };

static bool number(const struct webauthn_cbor *map, int64_t key, int64_t *n) {
    struct webauthn_cbor v;
    bool ok = webauthn_cbor_int_key(map, key, &v) && (v.kind == WEBAUTHN_CBOR_UINT || v.kind == WEBAUTHN_CBOR_NINT);
    *n = ok ? v.number : 0;
    return ok;
}

static bool bytes(const struct webauthn_cbor *map, int64_t key, str *to) {
    struct webauthn_cbor v;
    bool ok = webauthn_cbor_int_key(map, key, &v) && v.kind == WEBAUTHN_CBOR_BYTES;
    *to = ok ? v.bytes : (str){0};
    return ok;
}

static void drop(void *key) { crypto_public_free(key); }

bool webauthn_key_read(arena *scratch, str cose, struct webauthn_key *key) {
    struct webauthn_cbor map;
    int64_t kind, curve = 0;
    *key = (struct webauthn_key){0};
    if (cose.n > WEBAUTHN_KEY_MAX || !webauthn_cbor_whole(cose, &map) || !number(&map, KTY, &kind) ||
        !number(&map, ALG, &key->algorithm))
        return false;
    if (kind == EC2 && key->algorithm == CRYPTO_COSE_ES256) {
        if (number(&map, CRV, &curve) && curve == P256 && bytes(&map, X, &key->x) && bytes(&map, Y, &key->y))
            key->public = crypto_public_ec(key->x, key->y);
    } else if (kind == OKP && key->algorithm == CRYPTO_COSE_EDDSA) {
        if (number(&map, CRV, &curve) && curve == ED25519 && bytes(&map, X, &key->x)) key->public = crypto_public_ed25519(key->x);
    } else if (kind == RSA && key->algorithm == CRYPTO_COSE_RS256) {
        if (bytes(&map, N, &key->n) && bytes(&map, E, &key->e)) key->public = crypto_public_rsa(key->n, key->e);
    }
    if (key->public) arena_cleanup(scratch, drop, key->public);
    return key->public;
}
