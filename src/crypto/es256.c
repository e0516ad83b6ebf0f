/* es256: ECDSA over P-256 with SHA-256, as JWS has it (RFC 7518 §3.4): a signature is two numbers of 32 bytes. */
#include "crypto/crypto.h"
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>

enum { HALF = 32, DER_MAX = 80 };
static_assert((int)CRYPTO_ES256_SIGNATURE_BYTES == 2 * HALF && (int)CRYPTO_ES256_SECRET_BYTES == HALF, "as the header says");

/* The struct is OpenSSL's key under a name of ours. secret NULL: it verifies alone. NULL: they are none of this curve. */
static EVP_PKEY *key_of(const uint8_t public[CRYPTO_ES256_PUBLIC_BYTES], const BIGNUM *secret) {
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *k = NULL;
    ENSURE(b && c && EVP_PKEY_fromdata_init(c) == 1);
    ENSURE(OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) == 1);
    ENSURE(OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, public, CRYPTO_ES256_PUBLIC_BYTES) == 1);
    if (secret) ENSURE(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, secret) == 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    ENSURE(params);
    if (EVP_PKEY_fromdata(c, &k, secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) != 1) k = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_CTX_free(c);
    return k;
}

/* d times the generator, uncompressed. False: d is no key (zero, or not below the order). */
static bool public_of(const BIGNUM *d, uint8_t out[CRYPTO_ES256_PUBLIC_BYTES]) {
    EC_GROUP *g = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
    EC_POINT *q = g ? EC_POINT_new(g) : NULL;
    ENSURE(q);
    bool ok = !BN_is_zero(d) && BN_cmp(d, EC_GROUP_get0_order(g)) < 0;
    if (ok) {
        ENSURE(EC_POINT_mul(g, q, d, NULL, NULL, NULL) == 1);
        ENSURE(EC_POINT_point2oct(g, q, POINT_CONVERSION_UNCOMPRESSED, out, CRYPTO_ES256_PUBLIC_BYTES, NULL) ==
               CRYPTO_ES256_PUBLIC_BYTES);
    }
    EC_POINT_free(q);
    EC_GROUP_free(g);
    return ok;
}

static BIGNUM *number_of(const uint8_t secret[CRYPTO_ES256_SECRET_BYTES]) {
    BIGNUM *d = BN_secure_new();
    ENSURE(d && BN_bin2bn(secret, HALF, d));
    BN_set_flags(d, BN_FLG_CONSTTIME);
    return d;
}

bool crypto_es256_of_secret(const uint8_t secret[CRYPTO_ES256_SECRET_BYTES], uint8_t public[CRYPTO_ES256_PUBLIC_BYTES]) {
    BIGNUM *d = number_of(secret);
    bool ok = public_of(d, public);
    BN_clear_free(d);
    return ok;
}

void crypto_es256_new(uint8_t secret[CRYPTO_ES256_SECRET_BYTES], uint8_t public[CRYPTO_ES256_PUBLIC_BYTES]) {
    do crypto_random(secret, CRYPTO_ES256_SECRET_BYTES);
    while (!crypto_es256_of_secret(secret, public)); /* one of 2^32 is none */
}

struct crypto_es256 *crypto_es256_public(const uint8_t public[CRYPTO_ES256_PUBLIC_BYTES]) {
    return (struct crypto_es256 *)(public[0] == 4 ? key_of(public, NULL) : NULL);
}

void crypto_es256_free(struct crypto_es256 *key) { EVP_PKEY_free((EVP_PKEY *)key); }

bool crypto_es256_verify(const struct crypto_es256 *key, str message, const uint8_t signature[CRYPTO_ES256_SIGNATURE_BYTES]) {
    ECDSA_SIG *sig = ECDSA_SIG_new();
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    uint8_t der[DER_MAX], *to = der;
    BIGNUM *r = BN_bin2bn(signature, HALF, NULL), *s = BN_bin2bn(signature + HALF, HALF, NULL);
    ENSURE(sig && c && r && s && ECDSA_SIG_set0(sig, r, s) == 1);
    int n = i2d_ECDSA_SIG(sig, &to);
    ENSURE(n > 0 && n <= DER_MAX);
    bool ok = EVP_DigestVerifyInit(c, NULL, EVP_sha256(), NULL, (EVP_PKEY *)(uintptr_t)key) == 1 &&
              EVP_DigestVerify(c, der, (size_t)n, message.n ? message.p : (const uint8_t *)"", message.n) == 1;
    EVP_MD_CTX_free(c);
    ECDSA_SIG_free(sig);
    return ok;
}

bool crypto_es256_sign(const uint8_t secret[CRYPTO_ES256_SECRET_BYTES], str message, uint8_t out[CRYPTO_ES256_SIGNATURE_BYTES]) {
    uint8_t public[CRYPTO_ES256_PUBLIC_BYTES], der[DER_MAX];
    BIGNUM *d = number_of(secret);
    EVP_PKEY *k = public_of(d, public) ? key_of(public, d) : NULL;
    BN_clear_free(d);
    if (!k) return false;
    size_t n = sizeof der;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    ENSURE(c && EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, k) == 1);
    ENSURE(EVP_DigestSign(c, der, &n, message.n ? message.p : (const uint8_t *)"", message.n) == 1);
    const uint8_t *from = der;
    ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &from, (long)n);
    ENSURE(sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, HALF) == HALF &&
           BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + HALF, HALF) == HALF);
    ECDSA_SIG_free(sig);
    EVP_MD_CTX_free(c);
    EVP_PKEY_free(k);
    return true;
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
