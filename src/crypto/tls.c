/* tls: OpenSSL between two queues of bytes; the client's side. */
#include "crypto/tls.h"
#include "crypto/tls_int.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct crypto_tls_trust {
    SSL_CTX *ctx;
};

/* ---- bytes ---- */

static void put(struct crypto_tls_bytes *b, const void *p, size_t n) {
    if (b->off && b->n + n > b->cap) {
        memmove(b->p, b->p + b->off, b->n - b->off);
        b->n -= b->off;
        b->off = 0;
    }
    if (b->n + n > b->cap) {
        b->cap = MAX(b->n + n, 2 * b->cap);
        b->p = realloc(b->p, b->cap);
        ENSURE(b->p);
    }
    memcpy(b->p + b->n, p, n);
    b->n += n;
}

static size_t left(const struct crypto_tls_bytes *b) { return b->n - b->off; }

/* Who rests holds nothing. */
static void skip(struct crypto_tls_bytes *b, size_t n) {
    b->off += n;
    if (b->off < b->n) return;
    free(b->p);
    *b = (struct crypto_tls_bytes){0};
}

static int bio_read(BIO *bio, char *to, size_t n, size_t *got) {
    struct crypto_tls *t = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *got = MIN(n, left(&t->in));
    if (!*got) {
        BIO_set_retry_read(bio); /* empty means wait, not the end */
        return -1;
    }
    memcpy(to, t->in.p + t->in.off, *got);
    skip(&t->in, *got);
    return 1;
}

static int bio_write(BIO *bio, const char *p, size_t n, size_t *put_n) {
    struct crypto_tls *t = BIO_get_data(bio);
    put(&t->out, p, n);
    *put_n = n;
    return 1;
}

static long bio_ctrl(BIO *bio, int what, long number, void *p) {
    const struct crypto_tls *t = BIO_get_data(bio);
    if (what == BIO_CTRL_PENDING) return (long)left(&t->in);
    return what == BIO_CTRL_FLUSH;
}

static BIO_METHOD *method;
static void make_method(void) {
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "orlo");
    ENSURE(method && BIO_meth_set_read_ex(method, bio_read) && BIO_meth_set_write_ex(method, bio_write) &&
           BIO_meth_set_ctrl(method, bio_ctrl));
}

struct crypto_tls *crypto_tls_of(SSL_CTX *ctx) {
    struct crypto_tls *t = calloc(1, sizeof *t);
    ENSURE(t);
    t->ssl = SSL_new(ctx);
    static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
    ENSURE(CRYPTO_THREAD_run_once(&once, make_method) == 1);
    BIO *bio = BIO_new(method);
    ENSURE(t->ssl && bio);
    BIO_set_data(bio, t);
    BIO_set_init(bio, 1);
    SSL_set_bio(t->ssl, bio, bio);
    return t;
}

/* ---- a client ---- */

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

bool crypto_tls_trust_show(struct crypto_tls_trust *t, const char *cert_file, const char *key_file) {
    bool ok = SSL_CTX_use_certificate_chain_file(t->ctx, cert_file) == 1 &&
              SSL_CTX_use_PrivateKey_file(t->ctx, key_file, SSL_FILETYPE_PEM) == 1 && SSL_CTX_check_private_key(t->ctx) == 1;
    ERR_clear_error();
    return ok;
}

void crypto_tls_trust_free(struct crypto_tls_trust *t) {
    if (!t) return;
    SSL_CTX_free(t->ctx);
    free(t);
}

struct crypto_tls *crypto_tls_new(struct crypto_tls_trust *trust, const char *host) {
    struct crypto_tls *t = crypto_tls_of(trust->ctx);
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

/* ---- either ---- */

void crypto_tls_free(struct crypto_tls *t) {
    if (!t) return;
    if (t->sign == CRYPTO_SIGN_WANTED)
        (void)crypto_tls_signed(t, (str){0}); /* what waits for it has a stack of its own, which ends so */
    SSL_free(t->ssl);
    crypto_tls_identity_drop(t->identity);
    free(t->in.p), free(t->out.p), free(t->why);
    free(t);
}

void crypto_tls_feed(struct crypto_tls *t, str received) {
    if (received.n) put(&t->in, received.p, received.n);
}

bool crypto_tls_holds(const struct crypto_tls *t) { return left(&t->in) || SSL_pending(t->ssl) > 0; }

str crypto_tls_pending(struct crypto_tls *t) { return (str){t->out.p ? t->out.p + t->out.off : NULL, left(&t->out)}; }

void crypto_tls_sent(struct crypto_tls *t, size_t n) {
    ENSURE(n <= left(&t->out));
    if (n) skip(&t->out, n);
}

static enum crypto_tls_result failure(struct crypto_tls *t) {
    unsigned long e = ERR_peek_error();
    long verified = SSL_get_verify_result(t->ssl);
    const char *reason = verified != X509_V_OK ? X509_verify_cert_error_string(verified) : e ? ERR_reason_error_string(e) : NULL;
    free(t->why);
    t->why = strdup(reason ? reason : "the TLS connection broke");
    ERR_clear_error();
    if (verified != X509_V_OK) return CRYPTO_TLS_CERTIFICATE;
    return e && ERR_GET_REASON(e) > SSL_AD_REASON_OFFSET ? CRYPTO_TLS_ALERT : CRYPTO_TLS_PROTOCOL;
}

static enum crypto_tls_result outcome(struct crypto_tls *t, int r) {
    if (r > 0) return CRYPTO_TLS_OK;
    switch (SSL_get_error(t->ssl, r)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return CRYPTO_TLS_MORE;
    case SSL_ERROR_WANT_ASYNC: return CRYPTO_TLS_SIGN;
    case SSL_ERROR_ZERO_RETURN: return CRYPTO_TLS_END;
    default: return failure(t);
    }
}

enum crypto_tls_result crypto_tls_handshake(struct crypto_tls *t) {
    if (t->sign == CRYPTO_SIGN_WANTED) return CRYPTO_TLS_SIGN;
    ERR_clear_error();
    struct crypto_tls *outer = crypto_tls_shaking;
    crypto_tls_shaking = t;
    int r = SSL_do_handshake(t->ssl);
    crypto_tls_shaking = outer;
    if (r == 1) SSL_clear_mode(t->ssl, SSL_MODE_ASYNC); /* nothing behind it is signed */
    return outcome(t, r);
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

const char *crypto_tls_why(const struct crypto_tls *t) { return t->why ? t->why : ""; }
