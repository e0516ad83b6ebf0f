/* tls_server: see tls_server.h. A context of OpenSSL's for each identity; what a client says first is read here, before there is one. */
#include "crypto/tls_server.h"
#include "crypto/crypto.h"
#include "crypto/tls_int.h"
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
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

static struct rd rest_of(str s) { return rd_of(s.p ? s : STR("")); }
/* A vector with two bytes of length before it. */
static struct rd vector16(struct rd *r) { return rest_of(rd_bytes(r, u16(r))); }
static struct rd vector8(struct rd *r) { return rest_of(rd_bytes(r, rd_u8(r))); }

static bool is_name(str name) {
    if (!name.n || name.n > NAME_BYTES_MAX) return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i], small = c | 0x20;
        if (!((small >= 'a' && small <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_')) return false;
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
    struct rd r = rest_of(bytes);
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
        if (piece.n) memcpy(whole + n, piece.p, piece.n);
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
    int64_t ocsp_until_s;
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
    unsigned char *copy =
        i->ocsp_n && (int64_t)(clock_wall_ns() / 1'000'000'000u) <= i->ocsp_until_s ? OPENSSL_memdup(i->ocsp, i->ocsp_n) : NULL;
    if (!copy) return SSL_TLSEXT_ERR_NOACK;
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)i->ocsp_n);
    return SSL_TLSEXT_ERR_OK;
}

/* ---- tickets ---- */

static const struct crypto_tickets *tickets;

void crypto_tickets_use(const struct crypto_tickets *t) { __atomic_store_n(&tickets, t, __ATOMIC_RELAXED); }

void crypto_tickets_turn(struct crypto_tickets *t, uint64_t now_s) {
    struct crypto_ticket_key k = {.made_s = now_s};
    uint32_t next = (t->now + 1) % CRYPTO_TICKET_KEYS, turn = t->turn | 1;
    crypto_random(k.name, sizeof k.name);
    crypto_random(k.cipher, sizeof k.cipher);
    crypto_random(k.mac, sizeof k.mac);
    __atomic_store_n(&t->turn, turn, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* before what is written: with the reader's second look */
    t->of[next] = k;
    t->now = next;
    __atomic_store_n(&t->turn, turn + 1, __ATOMIC_RELEASE);
    explicit_bzero(&k, sizeof k);
}

/* As it was at one moment. False: there is none, or it is being written. */
static bool look(struct crypto_tickets *out) {
    const struct crypto_tickets *t = __atomic_load_n(&tickets, __ATOMIC_RELAXED);
    uint32_t before = t ? __atomic_load_n(&t->turn, __ATOMIC_ACQUIRE) : 1;
    if (before & 1) return false;
    memcpy(out, t, sizeof *out);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&t->turn, __ATOMIC_RELAXED) == before && out->now < CRYPTO_TICKET_KEYS;
}

static bool holds(const struct crypto_ticket_key *k, uint64_t now_s) {
    return k->made_s && now_s < k->made_s + (uint64_t)CRYPTO_TICKET_KEYS * CRYPTO_TICKET_TURN_S;
}

static int use_ticket_key(const struct crypto_ticket_key *k, const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                          int seals) {
    OSSL_PARAM params[] = {OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)(uintptr_t)k->mac, sizeof k->mac),
                           OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t) "SHA256", 0),
                           OSSL_PARAM_END};
    return EVP_CipherInit_ex2(cipher, EVP_aes_256_cbc(), k->cipher, iv, seals, NULL) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1: with that key; 2: and the client is to have a new one, as each is used once; 0: without a ticket. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seals) {
    struct crypto_tickets t;
    uint64_t now_s = clock_wall_ns() / 1'000'000'000u;
    int r = 0;
    if (!look(&t)) return 0;
    if (seals) {
        const struct crypto_ticket_key *k = &t.of[t.now];
        if (holds(k, now_s)) {
            memcpy(name, k->name, sizeof k->name);
            crypto_random(iv, 16);
            r = use_ticket_key(k, iv, cipher, mac, 1);
        }
    }
    for (uint32_t i = 0; i < CRYPTO_TICKET_KEYS && !seals && !r; i++)
        if (holds(&t.of[i], now_s) && crypto_equal(t.of[i].name, name, sizeof t.of[i].name))
            r = use_ticket_key(&t.of[i], iv, cipher, mac, 0) ? (i == t.now && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2) : 0;
    explicit_bzero(&t, sizeof t);
    return r;
}

/* What one certificate's client was given is nothing to another's. */
static void set_context(SSL_CTX *ctx, const struct crypto_tls_identity_config *c) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (!c->chain_count) return;
    crypto_sha256(c->chain[0], digest);
    ENSURE(SSL_CTX_set_session_id_context(ctx, digest, sizeof digest) == 1);
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
                                 SSL_OP_PRIORITIZE_CHACHA | (c->challenge ? SSL_OP_NO_TICKET : 0));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(ctx, CRYPTO_TICKET_TURN_S);
    SSL_CTX_set_num_tickets(ctx, c->challenge ? 0 : 1);
    SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, on_ticket);
    set_context(ctx, c);
    return ctx;
}

/* Without tickets: who has none any more is not to go on by one. */
static bool ask_clients(SSL_CTX *ctx, str pem) {
    uint32_t n = 0;
    BIO *from = BIO_new_mem_buf(pem.n ? (const void *)pem.p : "", (int)pem.n);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    ENSURE(from);
    for (X509 *x; (x = PEM_read_bio_X509(from, NULL, NULL, (void *)(uintptr_t) "")); n++) {
        ENSURE(X509_STORE_add_cert(store, x) == 1 && SSL_CTX_add_client_CA(ctx, x) == 1);
        X509_free(x);
    }
    bool whole = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    ERR_clear_error();
    BIO_free(from);
    X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    SSL_CTX_set_verify_depth(ctx, 4);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    return n && whole;
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
        i->ocsp_until_s = c->ocsp_until_s;
        SSL_CTX_set_tlsext_status_cb(i->ctx, give_ocsp);
        SSL_CTX_set_tlsext_status_arg(i->ctx, i);
    }
    bool clients = !c->client_ca.n || ask_clients(i->ctx, c->client_ca);
    if (clients && use_chain(i->ctx, c)) {
        i->arg = c->arg;
        i->drop = c->drop;
        return i;
    }
    unsigned long e = ERR_peek_last_error();
    const char *reason = e ? ERR_reason_error_string(e) : NULL;
    if (!clients) reason = "the authorities of clients are not certificates as PEM";
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

bool crypto_tls_resumed(const struct crypto_tls *t) { return SSL_session_reused(t->ssl); }
const char *crypto_tls_version(const struct crypto_tls *t) { return SSL_get_version(t->ssl); }
