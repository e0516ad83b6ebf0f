/* public: public keys of others, and certificates that have them, as WebAuthn's authenticators do (RFC 9053, RFC 5280). */
#include "crypto/crypto.h"
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

enum { BITS_MAX = 8192, P256 = 32, ED25519 = 32 };

static const struct {
    int64_t number;
    const char *digest;
    int key;
} algorithms[] = {
    {CRYPTO_COSE_ES256, "SHA256", EVP_PKEY_EC},  {CRYPTO_COSE_ES384, "SHA384", EVP_PKEY_EC},
    {CRYPTO_COSE_ES512, "SHA512", EVP_PKEY_EC},  {CRYPTO_COSE_EDDSA, NULL, EVP_PKEY_ED25519},
    {CRYPTO_COSE_RS256, "SHA256", EVP_PKEY_RSA}, {CRYPTO_COSE_RS384, "SHA384", EVP_PKEY_RSA},
    {CRYPTO_COSE_RS512, "SHA512", EVP_PKEY_RSA}, {CRYPTO_COSE_RS1, "SHA1", EVP_PKEY_RSA},
};

/* ---- keys: OpenSSL's, under a name of ours ---- */

struct crypto_public *crypto_public_ec(str x, str y) {
    uint8_t point[1 + 2 * P256] = {4};
    OSSL_PARAM params[3];
    EVP_PKEY *k = NULL;
    if (x.n != P256 || y.n != P256) return NULL;
    memcpy(point + 1, x.p, P256), memcpy(point + 1 + P256, y.p, P256);
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    ENSURE(c && EVP_PKEY_fromdata_init(c) == 1);
    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){"P-256"}, 0);
    params[1] = OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point);
    params[2] = OSSL_PARAM_construct_end();
    if (EVP_PKEY_fromdata(c, &k, EVP_PKEY_PUBLIC_KEY, params) != 1) k = NULL; /* no point of the curve */
    EVP_PKEY_CTX_free(c);
    return (struct crypto_public *)k;
}

struct crypto_public *crypto_public_rsa(str n, str e) {
    return (struct crypto_public *)crypto_rs256_public(n, e);
}

struct crypto_public *crypto_public_ed25519(str key) {
    if (key.n != ED25519) return NULL;
    return (struct crypto_public *)EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key.p, key.n);
}

void crypto_public_free(struct crypto_public *key) { EVP_PKEY_free((EVP_PKEY *)key); }

bool crypto_public_equal(const struct crypto_public *a, const struct crypto_public *b) {
    return EVP_PKEY_eq((const EVP_PKEY *)a, (const EVP_PKEY *)b) == 1;
}

bool crypto_public_verify(const struct crypto_public *key, int64_t algorithm, str message, str signature) {
    EVP_PKEY *k = (EVP_PKEY *)(uintptr_t)key;
    EVP_PKEY_CTX *of = NULL; /* the other's */
    size_t i = 0;
    while (i < ARRAY_COUNT(algorithms) && algorithms[i].number != algorithm) i++;
    if (i == ARRAY_COUNT(algorithms) || EVP_PKEY_get_base_id(k) != algorithms[i].key || EVP_PKEY_get_bits(k) > BITS_MAX ||
        !signature.n)
        return false;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    ENSURE(c);
    bool ok = EVP_DigestVerifyInit_ex(c, &of, algorithms[i].digest, NULL, NULL, k, NULL) == 1 &&
              (algorithms[i].key != EVP_PKEY_RSA || EVP_PKEY_CTX_set_rsa_padding(of, RSA_PKCS1_PADDING) == 1) &&
              EVP_DigestVerify(c, signature.p, signature.n, message.n ? message.p : (const uint8_t *)"", message.n) == 1;
    EVP_MD_CTX_free(c);
    return ok;
}

/* ---- certificates ---- */

struct crypto_cert *crypto_cert_read(str der) {
    const uint8_t *p = der.p;
    X509 *x = der.n && der.n <= CRYPTO_CERT_BYTES_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;
    if (x && (p != der.p + der.n || !X509_get0_pubkey(x))) {
        X509_free(x);
        x = NULL;
    }
    return (struct crypto_cert *)x;
}
void crypto_cert_free(struct crypto_cert *cert) { X509_free((X509 *)cert); }

const struct crypto_public *crypto_cert_public(const struct crypto_cert *cert) {
    return (const struct crypto_public *)X509_get0_pubkey((const X509 *)cert);
}

bool crypto_cert_signed_by(const struct crypto_cert *cert, const struct crypto_cert *issuer) {
    EVP_PKEY *k = X509_get0_pubkey((const X509 *)issuer);
    return EVP_PKEY_get_bits(k) <= BITS_MAX && X509_verify((X509 *)(uintptr_t)cert, k) == 1 &&
           X509_NAME_cmp(X509_get_issuer_name((const X509 *)cert), X509_get_subject_name((const X509 *)issuer)) == 0;
}

bool crypto_cert_holds_at(const struct crypto_cert *cert, int64_t now_s) {
    time_t now = (time_t)now_s;
    return X509_cmp_time(X509_get0_notBefore((const X509 *)cert), &now) < 0 &&
           X509_cmp_time(X509_get0_notAfter((const X509 *)cert), &now) > 0;
}

bool crypto_cert_is_leaf(const struct crypto_cert *cert) {
    return X509_get_version((const X509 *)cert) == X509_VERSION_3 && X509_check_ca((X509 *)(uintptr_t)cert) == 0;
}

/* field: "C". */
size_t crypto_cert_subject(const struct crypto_cert *cert, const char *field, char *to, size_t size) {
    X509_NAME *name = X509_get_subject_name((const X509 *)cert);
    int n = X509_NAME_get_text_by_NID(name, OBJ_sn2nid(field), to, (int)size);
    return n > 0 ? (size_t)n : 0;
}
bool crypto_cert_has_subject(const struct crypto_cert *cert) {
    return X509_NAME_entry_count(X509_get_subject_name((const X509 *)cert)) > 0;
}

bool crypto_cert_extension(const struct crypto_cert *cert, const char *oid, bool *critical, str *value) {
    ASN1_OBJECT *what = OBJ_txt2obj(oid, 1);
    ENSURE(what);
    int at = X509_get_ext_by_OBJ((const X509 *)cert, what, -1);
    ASN1_OBJECT_free(what);
    if (at < 0) return false;
    X509_EXTENSION *ext = X509_get_ext((const X509 *)cert, at);
    const ASN1_OCTET_STRING *s = X509_EXTENSION_get_data(ext);
    *critical = X509_EXTENSION_get_critical(ext);
    *value = (str){ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
    return true;
}

bool crypto_cert_has_usage(const struct crypto_cert *cert, const char *oid) {
    EXTENDED_KEY_USAGE *all = X509_get_ext_d2i((const X509 *)cert, NID_ext_key_usage, NULL, NULL);
    ASN1_OBJECT *what = OBJ_txt2obj(oid, 1);
    bool found = false;
    ENSURE(what);
    for (int i = 0; all && i < sk_ASN1_OBJECT_num(all); i++) found |= OBJ_cmp(sk_ASN1_OBJECT_value(all, i), what) == 0;
    ASN1_OBJECT_free(what);
    EXTENDED_KEY_USAGE_free(all);
    return found;
}

/* Of a directory name among its other names: whether there is an attribute of this kind. */
bool crypto_cert_names_have(const struct crypto_cert *cert, const char *oid) {
    GENERAL_NAMES *all = X509_get_ext_d2i((const X509 *)cert, NID_subject_alt_name, NULL, NULL);
    ASN1_OBJECT *what = OBJ_txt2obj(oid, 1);
    bool found = false;
    ENSURE(what);
    for (int i = 0; all && i < sk_GENERAL_NAME_num(all); i++) {
        GENERAL_NAME *one = sk_GENERAL_NAME_value(all, i);
        if (one->type == GEN_DIRNAME) found |= X509_NAME_get_index_by_OBJ(one->d.directoryName, what, -1) >= 0;
    }
    ASN1_OBJECT_free(what);
    GENERAL_NAMES_free(all);
    return found;
}

bool crypto_cert_authority(const struct crypto_cert *cert, str *key_identifier, str *serial) {
    const ASN1_OCTET_STRING *id = X509_get0_authority_key_id((X509 *)(uintptr_t)cert);
    const ASN1_INTEGER *number = X509_get0_serialNumber((const X509 *)cert);
    static _Thread_local uint8_t own[64];
    uint8_t *at = own;
    int n = number && ASN1_STRING_length(number) < 40 ? i2d_ASN1_INTEGER((ASN1_INTEGER *)(uintptr_t)number, &at) : 0;
    if (!id || n <= 2) return false;
    *key_identifier = (str){ASN1_STRING_get0_data(id), (size_t)ASN1_STRING_length(id)};
    *serial = (str){own + 2, (size_t)n - 2}; /* behind its tag and a length of one byte */
    return key_identifier->n > 0;
}
