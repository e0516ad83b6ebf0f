/* What tests of TLS are served with: a certificate of their own, signed by itself. */
#ifndef ORLO_CRYPTO_TLS_TEST_H
#define ORLO_CRYPTO_TLS_TEST_H

#include "crypto/tls_server.h"
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static inline EVP_PKEY *test_key(const char *kind) {
    EVP_PKEY *k = !strcmp(kind, "RSA") ? EVP_RSA_gen(2048)
                  : kind[0] == 'P'     ? EVP_EC_gen(kind)
                                       : EVP_PKEY_Q_keygen(NULL, NULL, kind);
    ENSURE(k);
    return k;
}

static inline void test_extension(X509 *x, int nid, const char *value) {
    X509V3_CTX v;
    X509V3_set_ctx_nodb(&v);
    X509V3_set_ctx(&v, x, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &v, nid, value);
    ENSURE(e && X509_add_ext(x, e, -1) == 1);
    X509_EXTENSION_free(e);
}

struct test_cert {
    const char *names;      /* "DNS:example.org" */
    long from_s, to_s;      /* of now */
    const char *more_value; /* of an extension; NULL: none */
    int more;
    X509 *by; /* who signs; NULL: itself */
    EVP_PKEY *by_key;
    bool authority;
};
static inline X509 *test_cert_new(EVP_PKEY *key, const struct test_cert *c) {
    static long serial = 1;
    X509 *x = X509_new();
    char name[32];
    ENSURE(x && X509_set_version(x, 2) && ASN1_INTEGER_set(X509_get_serialNumber(x), serial++));
    snprintf(name, sizeof name, "test %ld", serial);
    X509_gmtime_adj(X509_getm_notBefore(x), c->from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), c->to_s ? c->to_s : 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(c->by ? c->by : x));
    if (c->names) test_extension(x, NID_subject_alt_name, c->names);
    if (c->authority) test_extension(x, NID_basic_constraints, "critical,CA:TRUE");
    if (c->more_value) test_extension(x, c->more, c->more_value);
    ENSURE(
        X509_sign(x, c->by_key ? c->by_key : key, EVP_PKEY_is_a(c->by_key ? c->by_key : key, "ED25519") ? NULL : EVP_sha256()));
    return x;
}

static inline void test_pem(struct buf *to, X509 *x, EVP_PKEY *key) {
    BIO *b = BIO_new(BIO_s_mem());
    char *p;
    ENSURE(b && (x ? PEM_write_bio_X509(b, x) : PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL)) == 1);
    long n = BIO_get_mem_data(b, &p);
    buf_put(to, p, (size_t)n);
    BIO_free(b);
}

/* A server, whole: who it is, and its key. */
struct test_identity {
    arena *mem;
    struct crypto_chain chain;
    struct crypto_tls_identity *identity;
    struct crypto_tls_key *key;
    X509 *x;
};
static inline void test_identity_open(struct test_identity *t, const char *kind, const char *names) {
    struct diag d = DIAG_INIT;
    struct buf pem = {0}, key_pem = {0};
    str pkcs8, public;
    EVP_PKEY *key = test_key(kind);
    t->mem = arena_new(0);
    t->x = test_cert_new(key, &(struct test_cert){.names = names});
    test_pem(&pem, t->x, NULL), test_pem(&key_pem, NULL, key);
    ENSURE(crypto_chain_read(t->mem, buf_str(&pem), &t->chain, &d) == ERR_OK);
    ENSURE(crypto_tls_key_read(t->mem, buf_str(&key_pem), &pkcs8, &public, &d) == ERR_OK);
    t->key = crypto_tls_key_new(pkcs8);
    ENSURE(t->key && crypto_tls_key_is(t->key, t->chain.public));
    t->identity = crypto_tls_identity_new(
        &(struct crypto_tls_identity_config){.chain = t->chain.der, .chain_count = t->chain.count, .arg = t}, &d);
    ENSURE(t->identity);
    EVP_PKEY_free(key);
    buf_free(&pem), buf_free(&key_pem);
}
static inline void test_identity_close(struct test_identity *t) {
    crypto_tls_identity_drop(t->identity);
    crypto_tls_key_free(t->key);
    X509_free(t->x);
    arena_free(t->mem);
}

#endif
