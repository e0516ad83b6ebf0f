/* rs256: RSA with PKCS #1 v1.5 and SHA-256, as JWS has it (RFC 7518 §3.3): signatures of others, by a public key of theirs. */
#include "crypto/crypto.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

/* From 2048 bits on, as that RFC wants it; what is above takes its time. */
enum { BYTES_MIN = 256, BYTES_MAX = 1024, EXPONENT_BYTES_MAX = 8 };

struct crypto_rs256 *crypto_rs256_public(str n, str e) {
    while (n.n && !n.p[0]) n = str_sub(n, 1, n.n);
    while (e.n && !e.p[0]) e = str_sub(e, 1, e.n);
    if (n.n < BYTES_MIN || n.n > BYTES_MAX || !e.n || e.n > EXPONENT_BYTES_MAX || !(e.p[e.n - 1] & 1) || !(n.p[n.n - 1] & 1) ||
        (e.n == 1 && e.p[0] < 3))
        return NULL;
    OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    BIGNUM *modulus = BN_bin2bn(n.p, (int)n.n, NULL), *exponent = BN_bin2bn(e.p, (int)e.n, NULL);
    EVP_PKEY *k = NULL;
    ENSURE(b && c && modulus && exponent && EVP_PKEY_fromdata_init(c) == 1);
    ENSURE(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, modulus) == 1);
    ENSURE(OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, exponent) == 1);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
    ENSURE(params);
    if (EVP_PKEY_fromdata(c, &k, EVP_PKEY_PUBLIC_KEY, params) != 1) k = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(b);
    EVP_PKEY_CTX_free(c);
    BN_free(modulus);
    BN_free(exponent);
    return (struct crypto_rs256 *)k;
}

void crypto_rs256_free(struct crypto_rs256 *key) { EVP_PKEY_free((EVP_PKEY *)key); }

bool crypto_rs256_verify(const struct crypto_rs256 *key, str message, str signature) {
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY_CTX *of = NULL; /* the other's */
    ENSURE(c);
    bool ok = signature.n && EVP_DigestVerifyInit(c, &of, EVP_sha256(), NULL, (EVP_PKEY *)(uintptr_t)key) == 1 &&
              EVP_PKEY_CTX_set_rsa_padding(of, RSA_PKCS1_PADDING) == 1 &&
              EVP_DigestVerify(c, signature.p, signature.n, message.n ? message.p : (const uint8_t *)"", message.n) == 1;
    EVP_MD_CTX_free(c);
    return ok;
}
