/* tls_server: see tls_server.h. A context of OpenSSL's for each identity; what a client says first is read here, before there is one. */
#include "crypto/tls_server.h"
#include "crypto/crypto.h"
#include "crypto/tls_int.h"
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>

/* ---- what a client says first (RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301 §3.1) ---- */

enum { RECORD_HEAD = 5, HANDSHAKE_HEAD = 4, HANDSHAKE = 22, CLIENT_HELLO = 1, EXT_NAME = 0, EXT_ALPN = 16, NAME_BYTES_MAX = 253 };

bool crypto_hello_begins(uint8_t first) { return first == HANDSHAKE; }

void crypto_alert(enum crypto_alert which, uint8_t out[CRYPTO_ALERT_BYTES]) {
    const uint8_t bytes[CRYPTO_ALERT_BYTES] = {21, 3, 3, 0, 2, 2, (uint8_t)which};
    memcpy(out, bytes, sizeof bytes);
}

static uint32_t u16(struct rd *r) {
    uint32_t high = rd_u8(r);
    return high << 8 | rd_u8(r);
}

/* A vector with two bytes of length before it. */
static struct rd vector16(struct rd *r) { return rd_of(rd_bytes(r, u16(r))); }
static struct rd vector8(struct rd *r) { return rd_of(rd_bytes(r, rd_u8(r))); }

static bool is_name(str name) {
    if (!name.n || name.n > NAME_BYTES_MAX) return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i] | 0x20;
        if (!((c >= 'a' && c <= 'z') || (name.p[i] >= '0' && name.p[i] <= '9') || strchr("-._", name.p[i]))) return false;
    }
    return true;
}

static bool read_name(struct rd ext, struct crypto_hello *out) {
    struct rd list = vector16(&ext);
    uint32_t kind = rd_u8(&list);
    struct rd name = vector16(&list);
    str s = rd_bytes(&name, rd_left(&name));
    if (ext.fail || list.fail || kind || rd_left(&list) || rd_left(&ext) || out->server_name.n || !is_name(s)) return false;
    for (size_t i = 0; i < s.n; i++) out->own[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] | 0x20 : s.p[i]);
    out->server_name = (str){(const uint8_t *)out->own, s.n};
    if (s.n > 1 && out->own[s.n - 1] == '.') out->server_name.n--;
    return true;
}

static bool read_alpn(struct rd ext, struct crypto_hello *out) {
    struct rd list = vector16(&ext);
    if (ext.fail || rd_left(&ext) || out->alpn) return false;
    out->alpn = true;
    while (rd_left(&list) && !list.fail) {
        struct rd one = vector8(&list);
        str name = rd_bytes(&one, rd_left(&one));
        out->h2 |= str_eqc(name, "h2");
        out->http1 |= str_eqc(name, "http/1.1");
        out->challenge |= str_eqc(name, "acme-tls/1");
    }
    return !list.fail;
}

static bool read_hello(str hello, struct crypto_hello *out) {
    struct rd r = rd_of(hello);
    (void)u16(&r), (void)rd_bytes(&r, 32);                    /* version, random */
    (void)vector8(&r), (void)vector16(&r), (void)vector8(&r); /* session, ciphers, compressions */
    if (r.fail) return false;
    if (!rd_left(&r)) return true; /* none has extensions */
    struct rd all = vector16(&r);
    if (r.fail || rd_left(&r)) return false;
    while (rd_left(&all)) {
        uint32_t type = u16(&all);
        struct rd ext = vector16(&all);
        if (all.fail || (type == EXT_NAME && !read_name(ext, out)) || (type == EXT_ALPN && !read_alpn(ext, out))) return false;
    }
    return true;
}

/* It may be in pieces: one record after the other. */
enum crypto_hello_result crypto_hello_parse(str bytes, struct crypto_hello *out) {
    uint8_t whole[CRYPTO_HELLO_BYTES_MAX];
    size_t n = 0, want = HANDSHAKE_HEAD;
    struct rd r = rd_of(bytes);
    *out = (struct crypto_hello){0};
    while (n < want) {
        if (rd_left(&r) && bytes.p[bytes.n - rd_left(&r)] != HANDSHAKE) return CRYPTO_HELLO_BAD;
        if (rd_left(&r) < RECORD_HEAD) return CRYPTO_HELLO_MORE;
        (void)rd_u8(&r);
        uint32_t major = rd_u8(&r);
        (void)rd_u8(&r);
        uint32_t length = u16(&r);
        if (major != 3 || !length || length > CRYPTO_HELLO_BYTES_MAX) return CRYPTO_HELLO_BAD;
        str piece = rd_bytes(&r, MIN(length, rd_left(&r)));
        if (piece.n > sizeof whole - n) return CRYPTO_HELLO_BAD;
        memcpy(whole + n, piece.p, piece.n);
        n += piece.n;
        if (n && whole[0] != CLIENT_HELLO) return CRYPTO_HELLO_BAD;
        if (n >= HANDSHAKE_HEAD) want = HANDSHAKE_HEAD + (size_t)(whole[1] << 16 | whole[2] << 8 | whole[3]);
        if (want > sizeof whole) return CRYPTO_HELLO_BAD;
        if (piece.n < length && n < want) return CRYPTO_HELLO_MORE;
    }
    return read_hello((str){whole + HANDSHAKE_HEAD, want - HANDSHAKE_HEAD}, out) ? CRYPTO_HELLO_OK : CRYPTO_HELLO_BAD;
}

/* ---- who the server is ---- */

struct crypto_tls_identity {
    uint32_t holds; /* of one process' one thread; tests that have more give each its own */
    SSL_CTX *ctx;
    bool challenge;
    uint8_t *ocsp;
    size_t ocsp_n;
    void *arg;
    void (*drop)(void *arg);
};

void *crypto_tls_identity_arg(const struct crypto_tls_identity *i) { return i->arg; }
void crypto_tls_identity_hold(struct crypto_tls_identity *i) { i->holds++; }

void crypto_tls_identity_drop(struct crypto_tls_identity *i) {
    if (!i || --i->holds) return;
    SSL_CTX_free(i->ctx);
    if (i->drop) i->drop(i->arg);
    free(i->ocsp);
    free(i);
}

static int choose_protocol(SSL *ssl, const unsigned char **to, unsigned char *n, const unsigned char *in, unsigned in_n,
                           void *arg) {
    static const unsigned char usual[] = "\x02h2\x08http/1.1", challenge[] = "\x0a"
                                                                             "acme-tls/1";
    const struct crypto_tls_identity *i = arg;
    const unsigned char *ours = i->challenge ? challenge : usual;
    unsigned ours_n = i->challenge ? sizeof challenge - 1 : sizeof usual - 1;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, n, ours, ours_n, in, in_n) != OPENSSL_NPN_NEGOTIATED) return SSL_TLSEXT_ERR_ALERT_FATAL;
    *to = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static int give_ocsp(SSL *ssl, void *arg) {
    const struct crypto_tls_identity *i = arg;
    unsigned char *copy = i->ocsp_n ? OPENSSL_memdup(i->ocsp, i->ocsp_n) : NULL;
    if (!copy) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)i->ocsp_n);
    return SSL_TLSEXT_ERR_OK;
}

static X509 *certificate_of(str der) {
    const unsigned char *p = der.p;
    X509 *x = X509_new_ex(crypto_keyless_library(), "?provider=default");
    ENSURE(x);
    return d2i_X509(&x, &p, (long)der.n) ? x : NULL; /* which frees it where it fails */
}

/* The chain, and what signs for it. */
static bool use_chain(SSL_CTX *ctx, const struct crypto_tls_identity_config *c) {
    bool ok = c->chain_count > 0;
    for (uint32_t i = 0; i < c->chain_count && ok; i++) {
        X509 *x = certificate_of(c->chain[i]);
        ok = x && (i ? SSL_CTX_add1_chain_cert(ctx, x) == 1 : SSL_CTX_use_certificate(ctx, x) == 1);
        X509_free(x);
    }
    if (!ok) return false;
    EVP_PKEY *public = X509_get0_pubkey(SSL_CTX_get0_certificate(ctx)), *key = public ? crypto_keyless_key(public) : NULL;
    ok = key && SSL_CTX_use_PrivateKey(ctx, key) == 1;
    EVP_PKEY_free(key);
    return ok;
}

static SSL_CTX *context(const struct crypto_tls_identity_config *c) {
    static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
                                  "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
    SSL_CTX *ctx = SSL_CTX_new_ex(crypto_keyless_library(), "?provider=default", TLS_server_method());
    ENSURE(ctx && SSL_CTX_set_min_proto_version(ctx, c->tls13_alone ? TLS1_3_VERSION : TLS1_2_VERSION) == 1);
    ENSURE(SSL_CTX_set_cipher_list(ctx, ciphers) == 1 && SSL_CTX_set1_groups_list(ctx, "X25519:P-256:P-384") == 1);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY | SSL_MODE_ASYNC);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                 SSL_OP_PRIORITIZE_CHACHA | SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    return ctx;
}

struct crypto_tls_identity *crypto_tls_identity_new(const struct crypto_tls_identity_config *c, struct diag *d) {
    struct crypto_tls_identity *i = calloc(1, sizeof *i);
    ENSURE(i);
    *i = (struct crypto_tls_identity){.holds = 1, .challenge = c->challenge, .ctx = context(c)};
    SSL_CTX_set_alpn_select_cb(i->ctx, choose_protocol, i);
    if (c->ocsp.n) {
        i->ocsp = malloc(i->ocsp_n = c->ocsp.n);
        ENSURE(i->ocsp);
        memcpy(i->ocsp, c->ocsp.p, c->ocsp.n);
        SSL_CTX_set_tlsext_status_cb(i->ctx, give_ocsp);
        SSL_CTX_set_tlsext_status_arg(i->ctx, i);
    }
    if (use_chain(i->ctx, c)) {
        i->arg = c->arg;
        i->drop = c->drop;
        return i;
    }
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    (void)diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "TLS does not take the certificate: %s",
                   reason ? reason : "its key is of no kind that is spoken here");
    ERR_clear_error();
    crypto_tls_identity_drop(i);
    return NULL;
}

/* ---- connections ---- */

struct crypto_tls *crypto_tls_accept(struct crypto_tls_identity *i) {
    struct crypto_tls *t = crypto_tls_of(i->ctx);
    SSL_set_accept_state(t->ssl);
    t->identity = i;
    crypto_tls_identity_hold(i);
    return t;
}

struct crypto_tls_identity *crypto_tls_identity(const struct crypto_tls *t) {
    return t->identity;
}

str crypto_tls_wants(const struct crypto_tls *t, uint16_t *scheme) {
    *scheme = t->scheme;
    return t->message;
}

enum crypto_tls_result crypto_tls_signed(struct crypto_tls *t, str signature) {
    ENSURE(t->sign == CRYPTO_SIGN_WANTED);
    t->sign = CRYPTO_SIGN_TOLD;
    t->signature = signature;
    return crypto_tls_handshake(t);
}

enum crypto_tls_protocol crypto_tls_protocol(const struct crypto_tls *t) {
    const unsigned char *p;
    unsigned n;
    SSL_get0_alpn_selected(t->ssl, &p, &n);
    str name = {p, n};
    return str_eqc(name, "h2")           ? CRYPTO_TLS_HTTP2
           : str_eqc(name, "http/1.1")   ? CRYPTO_TLS_HTTP1
           : str_eqc(name, "acme-tls/1") ? CRYPTO_TLS_CHALLENGE
                                         : CRYPTO_TLS_NO_PROTOCOL;
}

const char *crypto_tls_version(const struct crypto_tls *t) { return SSL_get_version(t->ssl); }
