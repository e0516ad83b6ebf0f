/* tls: OpenSSL between two memory BIOs. */
#include "crypto/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct crypto_tls_trust {
    SSL_CTX *ctx;
};

struct crypto_tls {
    SSL *ssl;
    BIO *in, *out; /* ssl's */
    char why[256];
};

struct crypto_tls_trust *crypto_tls_trust_new(const char *ca_file) {
    static const unsigned char alpn[] = "\x08http/1.1";
    struct crypto_tls_trust *t = calloc(1, sizeof *t);
    ENSURE(t);
    t->ctx = SSL_CTX_new(TLS_client_method());
    ENSURE(t->ctx && SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION) == 1);
    SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(t->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(t->ctx, SSL_OP_NO_RENEGOTIATION);
    /* The peer picks the size of a finite field, and a large one takes a second to compute in. */
    ENSURE(SSL_CTX_set1_groups_list(t->ctx, "X25519:P-256:P-384:P-521") == 1 &&
           SSL_CTX_set_cipher_list(t->ctx, "DEFAULT:!kDHE") == 1);
    SSL_CTX_set_alpn_protos(t->ctx, alpn, sizeof alpn - 1);
    int ok = ca_file ? SSL_CTX_load_verify_file(t->ctx, ca_file) : SSL_CTX_set_default_verify_paths(t->ctx);
    ERR_clear_error();
    if (ok == 1) return t;
    crypto_tls_trust_free(t);
    return NULL;
}

void crypto_tls_trust_free(struct crypto_tls_trust *t) {
    if (!t) return;
    SSL_CTX_free(t->ctx);
    free(t);
}

struct crypto_tls *crypto_tls_new(struct crypto_tls_trust *trust, const char *host) {
    struct crypto_tls *t = calloc(1, sizeof *t);
    ENSURE(t);
    t->ssl = SSL_new(trust->ctx);
    t->in = BIO_new(BIO_s_mem());
    t->out = BIO_new(BIO_s_mem());
    ENSURE(t->ssl && t->in && t->out);
    BIO_set_mem_eof_return(t->in, -1); /* empty means wait, not the end */
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
    X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);
    bool address = X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    ERR_clear_error();
    if (!address) {
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        ENSURE(SSL_set1_host(t->ssl, host) == 1 && SSL_set_tlsext_host_name(t->ssl, host) == 1);
    }
    return t;
}

void crypto_tls_free(struct crypto_tls *t) {
    if (!t) return;
    SSL_free(t->ssl);
    free(t);
}

void crypto_tls_feed(struct crypto_tls *t, str received) {
    ENSURE(received.n <= INT32_MAX && (!received.n || BIO_write(t->in, received.p, (int)received.n) == (int)received.n));
}

bool crypto_tls_holds(const struct crypto_tls *t) { return BIO_pending(t->in) > 0 || SSL_pending(t->ssl) > 0; }

str crypto_tls_pending(struct crypto_tls *t) {
    char *p;
    long n = BIO_get_mem_data(t->out, &p);
    return (str){(uint8_t *)p, n > 0 ? (size_t)n : 0};
}

void crypto_tls_sent(struct crypto_tls *t, size_t n) {
    char skipped[4096];
    while (n) {
        int k = BIO_read(t->out, skipped, (int)MIN(n, sizeof skipped));
        ENSURE(k > 0);
        n -= (size_t)k;
    }
}

static enum crypto_tls_result failure(struct crypto_tls *t) {
    unsigned long e = ERR_peek_error();
    long verified = SSL_get_verify_result(t->ssl);
    const char *reason = verified != X509_V_OK ? X509_verify_cert_error_string(verified) : e ? ERR_reason_error_string(e) : NULL;
    snprintf(t->why, sizeof t->why, "%s", reason ? reason : "the TLS connection broke");
    ERR_clear_error();
    if (verified != X509_V_OK) return CRYPTO_TLS_CERTIFICATE;
    return e && ERR_GET_REASON(e) > SSL_AD_REASON_OFFSET ? CRYPTO_TLS_ALERT : CRYPTO_TLS_PROTOCOL;
}

static enum crypto_tls_result outcome(struct crypto_tls *t, int r) {
    if (r > 0) return CRYPTO_TLS_OK;
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return CRYPTO_TLS_MORE;
    case SSL_ERROR_ZERO_RETURN: return CRYPTO_TLS_END;
    default: return failure(t);
    }
}

enum crypto_tls_result crypto_tls_handshake(struct crypto_tls *t) {
    ERR_clear_error();
    return outcome(t, SSL_do_handshake(t->ssl));
}

enum crypto_tls_result crypto_tls_read(struct crypto_tls *t, void *p, size_t n, size_t *got) {
    ERR_clear_error();
    *got = 0;
    return outcome(t, SSL_read_ex(t->ssl, p, n, got));
}

enum crypto_tls_result crypto_tls_write(struct crypto_tls *t, str data) {
    size_t written;
    if (!data.n) return CRYPTO_TLS_OK;
    ERR_clear_error();
    return outcome(t, SSL_write_ex(t->ssl, data.p, data.n, &written));
}

void crypto_tls_close(struct crypto_tls *t) {
    if (SSL_is_init_finished(t->ssl)) (void)SSL_shutdown(t->ssl);
    ERR_clear_error();
}

const char *crypto_tls_why(const struct crypto_tls *t) { return t->why; }
