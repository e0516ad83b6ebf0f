/* request: what a certificate is asked for with (PKCS #10, RFC 2986), and the certificate that answers a challenge (RFC 8737), each with a new key. */
#include "crypto/crypto.h"
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { HOST_MAX = 253, CHALLENGE_S = 7 * 86'400 };

static EVP_PKEY *new_key(uint8_t secret[static CRYPTO_REQUEST_SECRET_MAX], size_t *n) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    ENSURE(key);
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    int size = info ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : 0;
    ENSURE(size > 0 && size <= CRYPTO_REQUEST_SECRET_MAX);
    uint8_t *at = secret;
    *n = (size_t)i2d_PKCS8_PRIV_KEY_INFO(info, &at);
    PKCS8_PRIV_KEY_INFO_free(info);
    return key;
}

/* Letters, digits, hyphens and dots: nothing that the notation of extensions would read. */
static bool is_host(str host) {
    if (!host.n || host.n > HOST_MAX || host.p[0] == '.' || host.p[0] == '-') return false;
    for (size_t i = 0; i < host.n; i++) {
        uint8_t c = host.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) return false;
    }
    return true;
}

static X509_EXTENSION *host_extension(str host) {
    char text[HOST_MAX + 8];
    snprintf(text, sizeof text, "DNS:" STR_FMT, STR_ARG(host));
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    ENSURE(e);
    return e;
}

bool crypto_request_make(str host, struct crypto_request *out) {
    if (!is_host(host)) return false;
    EVP_PKEY *key = new_key(out->secret, &out->secret_n);
    X509_REQ *r = X509_REQ_new();
    STACK_OF(X509_EXTENSION) *all = sk_X509_EXTENSION_new_null();
    ENSURE(r && all && sk_X509_EXTENSION_push(all, host_extension(host)));
    ENSURE(X509_REQ_set_version(r, 0) == 1 && X509_REQ_set_pubkey(r, key) == 1 && X509_REQ_add_extensions(r, all) == 1);
    ENSURE(X509_REQ_sign(r, key, EVP_sha256()) > 0);
    int size = i2d_X509_REQ(r, NULL);
    ENSURE(size > 0 && size <= CRYPTO_REQUEST_MAX);
    uint8_t *at = out->made;
    out->made_n = (size_t)i2d_X509_REQ(r, &at);
    sk_X509_EXTENSION_pop_free(all, X509_EXTENSION_free);
    X509_REQ_free(r);
    EVP_PKEY_free(key);
    return true;
}

static X509_EXTENSION *proof_extension(const uint8_t digest[CRYPTO_SHA256_BYTES]) {
    uint8_t value[2 + CRYPTO_SHA256_BYTES] = {4, CRYPTO_SHA256_BYTES}; /* an octet string in the octet string */
    memcpy(value + 2, digest, CRYPTO_SHA256_BYTES);
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1);
    ASN1_OCTET_STRING *bytes = ASN1_OCTET_STRING_new();
    ENSURE(oid && bytes && ASN1_OCTET_STRING_set(bytes, value, sizeof value) == 1);
    X509_EXTENSION *e = X509_EXTENSION_create_by_OBJ(NULL, oid, 1, bytes);
    ENSURE(e);
    ASN1_OBJECT_free(oid);
    ASN1_OCTET_STRING_free(bytes);
    return e;
}

bool crypto_challenge_make(str host, const uint8_t digest[CRYPTO_SHA256_BYTES], struct crypto_request *out) {
    uint8_t serial[8];
    if (!is_host(host)) return false;
    EVP_PKEY *key = new_key(out->secret, &out->secret_n);
    X509 *c = X509_new();
    X509_EXTENSION *names = host_extension(host), *proof = proof_extension(digest);
    crypto_random(serial, sizeof serial);
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    ENSURE(c && number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(c)));
    X509_NAME *name = X509_get_subject_name(c);
    ENSURE(X509_set_version(c, X509_VERSION_3) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)"ACME challenge", -1, -1, 0) == 1 &&
           X509_set_issuer_name(c, name) == 1 && X509_set_pubkey(c, key) == 1);
    ENSURE(X509_gmtime_adj(X509_getm_notBefore(c), -3600) && X509_gmtime_adj(X509_getm_notAfter(c), CHALLENGE_S));
    ENSURE(X509_add_ext(c, names, -1) == 1 && X509_add_ext(c, proof, -1) == 1 && X509_sign(c, key, EVP_sha256()) > 0);
    int size = i2d_X509(c, NULL);
    ENSURE(size > 0 && size <= CRYPTO_REQUEST_MAX);
    uint8_t *at = out->made;
    out->made_n = (size_t)i2d_X509(c, &at);
    X509_EXTENSION_free(names), X509_EXTENSION_free(proof);
    BN_free(number);
    X509_free(c);
    EVP_PKEY_free(key);
    return true;
}

bool crypto_request_public(str der, uint8_t out[CRYPTO_REQUEST_PUBLIC_MAX], size_t *n) {
    const uint8_t *at = der.p;
    if (!der.n || der.n > CRYPTO_REQUEST_MAX) return false;
    X509_REQ *r = d2i_X509_REQ(NULL, &at, (long)der.n);
    X509_PUBKEY *key = r ? X509_REQ_get_X509_PUBKEY(r) : NULL;
    int size = key ? i2d_X509_PUBKEY(key, NULL) : 0;
    bool ok = size > 0 && size <= CRYPTO_REQUEST_PUBLIC_MAX;
    if (ok) *n = (size_t)i2d_X509_PUBKEY(key, &out);
    X509_REQ_free(r);
    return ok;
}
