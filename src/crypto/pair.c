/* pair: signatures with a secret and a public half, as JWS has them (RFC 7518 §3.3, 3.4; RFC 8037).
 *
 *              secret                              public                      signature
 *   ES256      32 bytes: a number                  65 bytes: 4, x, y           64 bytes: two numbers
 *   RS256      n e d p q dp dq qi, each as         4 bytes: e; n               as many as n has
 *              2 bytes of length, and it
 *   EdDSA      32 bytes: the seed                  32 bytes                    64 bytes
 *
 * Numbers have their highest byte first, a length its lowest. What OpenSSL makes of a key takes as long as a signature, and longer: it is made once, and kept. */
#include "crypto/crypto.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

enum {
    HALF = 32,
    DER_MAX = 80,
    SEED = 32,
    EXPONENT = 4,
    RSA_BITS = 2048,
    RSA_BYTES_MIN = 256,
    RSA_BYTES_MAX = 512,
    RSA_NUMBERS = 8,
    ES256_PUBLIC = 65
};
static_assert((int)CRYPTO_PAIR_SIGNATURE_MAX >= (int)RSA_BYTES_MAX);
static_assert((int)CRYPTO_PAIR_PUBLIC_MAX >= EXPONENT + (int)RSA_BYTES_MAX);
static_assert((int)CRYPTO_PAIR_SECRET_MAX >= RSA_NUMBERS * 2 + 2 * RSA_BYTES_MAX + EXPONENT + 5 * RSA_BYTES_MAX / 2);

struct crypto_pair {
    enum crypto_pair_kind kind;
    EVP_PKEY *key;
    EVP_PKEY_CTX *work; /* that signs, or verifies, a digest; EdDSA has none */
    EVP_MD_CTX *whole;  /* of EdDSA, which takes no digest */
};

/* ---- numbers ---- */

static BIGNUM *number_of(str bytes, bool secret) {
    BIGNUM *n = secret ? BN_secure_new() : BN_new();
    ENSURE(n && BN_bin2bn(bytes.n ? bytes.p : (const uint8_t *)"", (int)bytes.n, n));
    if (secret) BN_set_flags(n, BN_FLG_CONSTTIME);
    return n;
}

/* What a key is made of, and then is. Numbers are freed with it. */
struct making {
    OSSL_PARAM_BLD *b;
    BIGNUM *numbers[RSA_NUMBERS];
    uint32_t count;
};

static struct making begin(void) {
    struct making m = {.b = OSSL_PARAM_BLD_new()};
    ENSURE(m.b);
    return m;
}

static void put_number(struct making *m, const char *name, str bytes, bool secret) {
    BIGNUM *n = m->numbers[m->count++] = number_of(bytes, secret);
    ENSURE(OSSL_PARAM_BLD_push_BN(m->b, name, n) == 1);
}

/* NULL: it is no key. */
static EVP_PKEY *end(struct making *m, const char *type, bool secret) {
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(m->b);
    ENSURE(c && params && EVP_PKEY_fromdata_init(c) == 1);
    if (EVP_PKEY_fromdata(c, &key, secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1) key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(m->b);
    EVP_PKEY_CTX_free(c);
    for (uint32_t i = 0; i < m->count; i++) BN_clear_free(m->numbers[i]);
    return key;
}

/* ---- P-256 ---- */

/* d times the generator, uncompressed. False: d is no key (zero, or not below the order). */
static bool point_of(str secret, uint8_t out[static ES256_PUBLIC]) {
    if (secret.n != HALF) return false;
    BIGNUM *d = number_of(secret, true);
    EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *q = g ? EC_POINT_new(g) : NULL;
    ENSURE(q);
    bool ok = !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(g)) < 0;
    if (ok) {
        ENSURE(EC_POINT_mul(g, q, d, NULL, NULL, NULL) == 1);
        ENSURE(EC_POINT_point2oct(g, q, POINT_CONVERSION_UNCOMPRESSED, out, ES256_PUBLIC, NULL) == ES256_PUBLIC);
    }
    EC_POINT_free(q);
    EC_GROUP_free(g);
    BN_clear_free(d);
    return ok;
}

static EVP_PKEY *ec_key(str public, str secret) {
    if (public.n != ES256_PUBLIC || public.p[0] != 4) return NULL;
    struct making m = begin();
    ENSURE(OSSL_PARAM_BLD_push_utf8_string(m.b, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1);
    ENSURE(OSSL_PARAM_BLD_push_octet_string(m.b, OSSL_PKEY_PARAM_PUB_KEY, public.p, public.n) == 1);
    if (secret.n) put_number(&m, OSSL_PKEY_PARAM_PRIV_KEY, secret, true);
    return end(&m, "EC", secret.n);
}

static EVP_PKEY *ec_of_secret(str secret) {
    uint8_t public[ES256_PUBLIC];
    return point_of(secret, public) ? ec_key((str){public, sizeof public}, secret) : NULL;
}

/* ---- RSA ---- */

static const char *const names[RSA_NUMBERS] = {
    OSSL_PKEY_PARAM_RSA_N,       OSSL_PKEY_PARAM_RSA_E,         OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
    OSSL_PKEY_PARAM_RSA_FACTOR2, OSSL_PKEY_PARAM_RSA_EXPONENT1, OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};

static str past_zeroes(str n) {
    while (n.n && !n.p[0]) n.p++, n.n--;
    return n;
}

/* Of a size and an exponent that are let in: who takes a small one takes a forged token. */
static bool rsa_ok(str n, str e) {
    n = past_zeroes(n), e = past_zeroes(e);
    bool large = n.n >= RSA_BYTES_MIN && n.n <= RSA_BYTES_MAX && n.p[0] >= 0x80 && n.p[n.n - 1] & 1;
    return large && e.n && e.n <= EXPONENT && e.p[e.n - 1] & 1 && (e.n > 1 || e.p[0] >= 3);
}

static bool rsa_numbers(str secret, str to[static RSA_NUMBERS]) {
    struct rd from = rd_of(secret);
    for (int i = 0; i < RSA_NUMBERS; i++) {
        uint32_t low = rd_u8(&from);
        to[i] = rd_bytes(&from, low | (uint32_t)rd_u8(&from) << 8);
        if (from.fail || !to[i].n) return false;
    }
    return !rd_left(&from) && rsa_ok(to[0], to[1]);
}

static EVP_PKEY *rsa_key(str public) {
    if (public.n < EXPONENT) return NULL;
    str e = str_sub(public, 0, EXPONENT), n = str_sub(public, EXPONENT, public.n);
    if (!rsa_ok(n, e)) return NULL;
    struct making m = begin();
    put_number(&m, OSSL_PKEY_PARAM_RSA_N, n, false);
    put_number(&m, OSSL_PKEY_PARAM_RSA_E, e, false);
    return end(&m, "RSA", false);
}

static EVP_PKEY *rsa_of_secret(str secret) {
    str numbers[RSA_NUMBERS];
    if (!rsa_numbers(secret, numbers)) return NULL;
    struct making m = begin();
    for (int i = 0; i < RSA_NUMBERS; i++) put_number(&m, names[i], numbers[i], i > 1);
    return end(&m, "RSA", true);
}

static void rsa_make(uint8_t secret[static CRYPTO_PAIR_SECRET_MAX], size_t *n) {
    EVP_PKEY *key = EVP_RSA_gen(RSA_BITS);
    ENSURE(key);
    *n = 0;
    for (int i = 0; i < RSA_NUMBERS; i++) {
        BIGNUM *v = NULL;
        ENSURE(EVP_PKEY_get_bn_param(key, names[i], &v) == 1);
        size_t bytes = (size_t)BN_num_bytes(v);
        secret[(*n)++] = (uint8_t)bytes, secret[(*n)++] = (uint8_t)(bytes >> 8);
        BN_bn2bin(v, secret + *n);
        *n += bytes;
        BN_clear_free(v);
    }
    EVP_PKEY_free(key);
}

/* ---- keys ---- */

static EVP_PKEY *key_of_secret(enum crypto_pair_kind kind, str secret) {
    switch (kind) {
    case CRYPTO_ES256: return ec_of_secret(secret);
    case CRYPTO_RS256: return rsa_of_secret(secret);
    case CRYPTO_EDDSA: return secret.n == SEED ? EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret.p, SEED) : NULL;
    case CRYPTO_PAIR_KINDS: break;
    }
    return NULL;
}

static EVP_PKEY *key_of_public(enum crypto_pair_kind kind, str public) {
    switch (kind) {
    case CRYPTO_ES256: return ec_key(public, (str){0});
    case CRYPTO_RS256: return rsa_key(public);
    case CRYPTO_EDDSA: return public.n == SEED ? EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public.p, SEED) : NULL;
    case CRYPTO_PAIR_KINDS: break;
    }
    return NULL;
}

static struct crypto_pair *pair_of(enum crypto_pair_kind kind, EVP_PKEY *key, bool signs) {
    if (!key) return NULL;
    struct crypto_pair *k = calloc(1, sizeof *k);
    ENSURE(k);
    *k = (struct crypto_pair){.kind = kind, .key = key};
    if (kind == CRYPTO_EDDSA) {
        ENSURE((k->whole = EVP_MD_CTX_new()));
        return k;
    }
    ENSURE((k->work = EVP_PKEY_CTX_new(key, NULL)));
    ENSURE((signs ? EVP_PKEY_sign_init(k->work) : EVP_PKEY_verify_init(k->work)) == 1);
    if (kind == CRYPTO_RS256) ENSURE(EVP_PKEY_CTX_set_rsa_padding(k->work, RSA_PKCS1_PADDING) == 1);
    ENSURE(EVP_PKEY_CTX_set_signature_md(k->work, EVP_sha256()) == 1);
    return k;
}

struct crypto_pair *crypto_pair_verifier(enum crypto_pair_kind kind, str public) {
    return pair_of(kind, key_of_public(kind, public), false);
}

/* Whose numbers do not belong together signs what nobody verifies, or gives itself away by that. */
static bool fits(enum crypto_pair_kind kind, struct crypto_pair *k, str secret) {
    uint8_t public[CRYPTO_PAIR_PUBLIC_MAX], signature[CRYPTO_PAIR_SIGNATURE_MAX];
    size_t n = 0, signed_n = crypto_pair_sign(k, STR("does it fit?"), signature);
    struct crypto_pair *other =
        crypto_pair_public(kind, secret, public, &n) ? crypto_pair_verifier(kind, (str){public, n}) : NULL;
    bool ok = other && signed_n && crypto_pair_verify(other, STR("does it fit?"), (str){signature, signed_n});
    crypto_pair_free(other);
    return ok;
}

struct crypto_pair *crypto_pair_signer(enum crypto_pair_kind kind, str secret) {
    struct crypto_pair *k = pair_of(kind, key_of_secret(kind, secret), true);
    if (!k || fits(kind, k, secret)) return k;
    crypto_pair_free(k);
    return NULL;
}

void crypto_pair_free(struct crypto_pair *k) {
    if (!k) return;
    EVP_PKEY_CTX_free(k->work);
    EVP_MD_CTX_free(k->whole);
    EVP_PKEY_free(k->key);
    free(k);
}

bool crypto_pair_public(enum crypto_pair_kind kind, str secret, uint8_t public[CRYPTO_PAIR_PUBLIC_MAX], size_t *n) {
    str numbers[RSA_NUMBERS];
    EVP_PKEY *key = NULL;
    bool ok = false;
    *n = 0;
    if (kind == CRYPTO_ES256) {
        *n = ES256_PUBLIC;
        ok = point_of(secret, public);
    } else if (kind == CRYPTO_EDDSA) {
        *n = SEED;
        key = key_of_secret(kind, secret);
        ok = key && EVP_PKEY_get_raw_public_key(key, public, n) == 1;
        EVP_PKEY_free(key);
    } else if (rsa_numbers(secret, numbers)) {
        str modulus = past_zeroes(numbers[0]), e = past_zeroes(numbers[1]);
        memset(public, 0, EXPONENT);
        memcpy(public + EXPONENT - e.n, e.p, e.n);
        memcpy(public + EXPONENT, modulus.p, modulus.n);
        *n = EXPONENT + modulus.n;
        ok = true;
    }
    return ok;
}

void crypto_pair_make(enum crypto_pair_kind kind, uint8_t secret[CRYPTO_PAIR_SECRET_MAX], size_t *n) {
    uint8_t public[ES256_PUBLIC];
    if (kind == CRYPTO_RS256) {
        rsa_make(secret, n);
        return;
    }
    *n = HALF;
    do crypto_random(secret, HALF);
    while (kind == CRYPTO_ES256 && !point_of((str){secret, HALF}, public)); /* one of 2^32 is none */
}

/* ---- signatures ---- */

static str some(str s) { return s.n ? s : STR(""); }

/* SEQUENCE { INTEGER r, INTEGER s }, as OpenSSL has them. */
static size_t to_der(const uint8_t signature[2 * HALF], uint8_t der[static DER_MAX]) {
    size_t at = 2;
    for (int i = 0; i < 2; i++) {
        const uint8_t *p = signature + (ptrdiff_t)i * HALF;
        size_t n = HALF;
        while (n > 1 && !p[0]) p++, n--;
        der[at++] = 2;
        der[at++] = (uint8_t)(n + (p[0] >> 7));
        if (p[0] >> 7) der[at++] = 0;
        memcpy(der + at, p, n);
        at += n;
    }
    der[0] = 0x30, der[1] = (uint8_t)(at - 2);
    return at;
}

static void of_der(const uint8_t *der, size_t n, uint8_t signature[2 * HALF]) {
    struct rd from = rd_of((str){der, n});
    (void)rd_bytes(&from, 2);
    for (int i = 0; i < 2; i++) {
        (void)rd_u8(&from);
        str v = past_zeroes(rd_bytes(&from, rd_u8(&from)));
        ENSURE(!from.fail && v.n <= HALF);
        memset(signature + (ptrdiff_t)i * HALF, 0, HALF - v.n);
        if (v.n) memcpy(signature + (ptrdiff_t)(i + 1) * HALF - v.n, v.p, v.n);
    }
}

size_t crypto_pair_sign(struct crypto_pair *k, str message, uint8_t out[CRYPTO_PAIR_SIGNATURE_MAX]) {
    uint8_t digest[CRYPTO_SHA256_BYTES], der[DER_MAX];
    size_t n = CRYPTO_PAIR_SIGNATURE_MAX;
    message = some(message);
    if (k->kind == CRYPTO_EDDSA) {
        bool ok = EVP_DigestSignInit(k->whole, NULL, NULL, NULL, k->key) == 1 &&
                  EVP_DigestSign(k->whole, out, &n, message.p, message.n) == 1;
        EVP_MD_CTX_reset(k->whole);
        return ok ? n : 0;
    }
    crypto_sha256(message, digest);
    if (k->kind == CRYPTO_RS256) return EVP_PKEY_sign(k->work, out, &n, digest, sizeof digest) == 1 ? n : 0;
    n = sizeof der;
    if (EVP_PKEY_sign(k->work, der, &n, digest, sizeof digest) != 1) return 0;
    of_der(der, n, out);
    return CRYPTO_ES256_SIGNATURE_BYTES;
}

bool crypto_pair_verify(struct crypto_pair *k, str message, str signature) {
    uint8_t digest[CRYPTO_SHA256_BYTES], der[DER_MAX];
    message = some(message);
    if (!signature.n) return false;
    if (k->kind == CRYPTO_EDDSA) {
        bool ok = EVP_DigestVerifyInit(k->whole, NULL, NULL, NULL, k->key) == 1 &&
                  EVP_DigestVerify(k->whole, signature.p, signature.n, message.p, message.n) == 1;
        EVP_MD_CTX_reset(k->whole);
        return ok;
    }
    crypto_sha256(message, digest);
    if (k->kind == CRYPTO_RS256) return EVP_PKEY_verify(k->work, signature.p, signature.n, digest, sizeof digest) == 1;
    return signature.n == CRYPTO_ES256_SIGNATURE_BYTES &&
           EVP_PKEY_verify(k->work, der, to_der(signature.p, der), digest, sizeof digest) == 1;
}

/* ---- ES256, once ---- */

bool crypto_es256_sign(const uint8_t secret[CRYPTO_ES256_SECRET_BYTES], str message, uint8_t out[CRYPTO_ES256_SIGNATURE_BYTES]) {
    uint8_t signature[CRYPTO_PAIR_SIGNATURE_MAX];
    struct crypto_pair *k = crypto_pair_signer(CRYPTO_ES256, (str){secret, HALF});
    bool ok = k && crypto_pair_sign(k, message, signature) == CRYPTO_ES256_SIGNATURE_BYTES;
    if (ok) memcpy(out, signature, CRYPTO_ES256_SIGNATURE_BYTES);
    crypto_pair_free(k);
    return ok;
}

/* A pair under a name of its own. */
struct crypto_es256 *crypto_es256_public(const uint8_t public[CRYPTO_ES256_PUBLIC_BYTES]) {
    return (struct crypto_es256 *)crypto_pair_verifier(CRYPTO_ES256, (str){public, CRYPTO_ES256_PUBLIC_BYTES});
}

void crypto_es256_free(struct crypto_es256 *key) { crypto_pair_free((struct crypto_pair *)key); }

bool crypto_es256_verify(struct crypto_es256 *key, str message, const uint8_t signature[CRYPTO_ES256_SIGNATURE_BYTES]) {
    return crypto_pair_verify((struct crypto_pair *)key, message, (str){signature, CRYPTO_ES256_SIGNATURE_BYTES});
}

/* No password is asked for: a key that has one is none. */
static int no_password(char *to, int size, int writes, void *arg) { return -1; }

bool crypto_es256_of_pem(str pem, uint8_t secret[CRYPTO_ES256_SECRET_BYTES]) {
    char group[32] = {0};
    size_t n = 0;
    BIGNUM *d = NULL;
    if (!pem.n || pem.n > 4096) return false;
    BIO *from = BIO_new_mem_buf(pem.p, (int)pem.n);
    ENSURE(from);
    EVP_PKEY *k = PEM_read_bio_PrivateKey(from, NULL, no_password, NULL);
    bool ok = k && EVP_PKEY_is_a(k, "EC") == 1 &&
              EVP_PKEY_get_utf8_string_param(k, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof group, &n) == 1 &&
              OBJ_txt2nid(group) == NID_X9_62_prime256v1 && EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_PRIV_KEY, &d) == 1 &&
              BN_bn2binpad(d, secret, HALF) == HALF;
    BN_clear_free(d);
    EVP_PKEY_free(k);
    BIO_free(from);
    return ok;
}
