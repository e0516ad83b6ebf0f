/* The server's side of TLS against OpenSSL's client, in memory: what is agreed on, and what is refused. */
#include "crypto/tls_test.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/err.h>

/* ---- the other side ---- */

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
};

static void client_open(struct client *c, X509 *trusted, int version, const char *host, const char *alpn) {
    c->ctx = SSL_CTX_new(TLS_client_method());
    assert_non_null(c->ctx);
    if (version) SSL_CTX_set_min_proto_version(c->ctx, version), SSL_CTX_set_max_proto_version(c->ctx, version);
    SSL_CTX_set_security_level(c->ctx, 0);
    if (trusted) X509_STORE_add_cert(SSL_CTX_get_cert_store(c->ctx), trusted), SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER, NULL);
    if (alpn) SSL_CTX_set_alpn_protos(c->ctx, (const unsigned char *)alpn, (unsigned)strlen(alpn));
    c->ssl = SSL_new(c->ctx);
    c->in = BIO_new(BIO_s_mem()), c->out = BIO_new(BIO_s_mem());
    BIO_set_mem_eof_return(c->in, -1);
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_connect_state(c->ssl);
    if (host) SSL_set_tlsext_host_name(c->ssl, host);
}

static void client_close(struct client *c) {
    if (SSL_is_init_finished(c->ssl))
        SSL_set_shutdown(c->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* or its session is good for nothing */
    SSL_free(c->ssl);
    SSL_CTX_free(c->ctx);
    ERR_clear_error();
}

static str client_said(struct client *c) {
    char *p;
    long n = BIO_get_mem_data(c->out, &p);
    return (str){(const uint8_t *)p, (size_t)n};
}

enum answer { SIGNS, REFUSES, LIES, LATE };

/* Both until neither has more to say. What the server came to. */
static enum crypto_tls_result shake(struct client *c, struct crypto_tls *t, struct test_identity *who, enum answer how) {
    enum crypto_tls_result r = CRYPTO_TLS_MORE;
    for (int i = 0; i < 20 && (r == CRYPTO_TLS_MORE || crypto_tls_pending(t).n); i++) {
        (void)SSL_do_handshake(c->ssl);
        str said = client_said(c);
        crypto_tls_feed(t, said);
        (void)BIO_reset(c->out);
        r = crypto_tls_handshake(t);
        if (r == CRYPTO_TLS_SIGN) {
            uint16_t scheme;
            uint8_t signature[CRYPTO_TLS_SIGNATURE_MAX];
            str message = crypto_tls_wants(t, &scheme);
            assert_int_equal(crypto_tls_handshake(t), CRYPTO_TLS_SIGN);
            if (how == LATE) return r;
            size_t n = crypto_tls_key_sign(who->key, scheme, message, signature);
            assert_true(n);
            if (how == LIES) signature[n - 1] ^= 1;
            r = crypto_tls_signed(t, how == REFUSES ? (str){0} : (str){signature, n});
        }
        str pending = crypto_tls_pending(t);
        if (pending.n) BIO_write(c->in, pending.p, (int)pending.n);
        crypto_tls_sent(t, pending.n);
    }
    if (r == CRYPTO_TLS_OK) (void)SSL_do_handshake(c->ssl);
    return r;
}

/* ---- what is agreed on ---- */

static void each_kind_of_key_serves_both_versions(void **state) {
    static const char *const kinds[] = {"RSA", "P-256", "P-384", "ED25519"};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
            struct test_identity who;
            struct client c;
            test_identity_open(&who, kinds[i], "DNS:example.org");
            client_open(&c, who.x, version, "example.org", "\x02h2");
            struct crypto_tls *t = crypto_tls_accept(who.identity);
            assert_int_equal(shake(&c, t, &who, SIGNS), CRYPTO_TLS_OK);
            assert_true(SSL_is_init_finished(c.ssl));
            assert_int_equal(crypto_tls_protocol(t), CRYPTO_TLS_HTTP2);
            assert_string_equal(crypto_tls_version(t), version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3");
            assert_true(SSL_write(c.ssl, "hello", 5) == 5);
            crypto_tls_feed(t, client_said(&c));
            char got[16];
            size_t n;
            assert_int_equal(crypto_tls_read(t, got, sizeof got, &n), CRYPTO_TLS_OK);
            assert_memory_equal(got, "hello", 5);
            assert_int_equal(crypto_tls_read(t, got, sizeof got, &n), CRYPTO_TLS_MORE);
            crypto_tls_free(t);
            client_close(&c);
            test_identity_close(&who);
        }
}

static void what_it_does_not_speak_it_refuses(void **state) {
    struct test_identity who;
    test_identity_open(&who, "RSA", "DNS:example.org");
    static const struct {
        int version;
        const char *alpn, *ciphers;
    } cases[] = {{TLS1_1_VERSION, NULL, NULL},
                 {TLS1_VERSION, NULL, NULL},
                 {0, "\x08spdy/3.1", NULL},
                 {TLS1_2_VERSION, NULL, "AES128-GCM-SHA256"},
                 {TLS1_2_VERSION, NULL, "ECDHE-RSA-AES128-SHA"},
                 {TLS1_2_VERSION, NULL, "DHE-RSA-AES128-GCM-SHA256"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct client c;
        client_open(&c, NULL, cases[i].version, "example.org", cases[i].alpn);
        if (cases[i].ciphers) assert_int_equal(SSL_set_cipher_list(c.ssl, cases[i].ciphers), 1);
        struct crypto_tls *t = crypto_tls_accept(who.identity);
        assert_int_equal(shake(&c, t, &who, SIGNS), CRYPTO_TLS_PROTOCOL);
        assert_true(crypto_tls_why(t)[0]);
        crypto_tls_free(t);
        client_close(&c);
    }
    test_identity_close(&who);
}

/* ---- tickets ---- */

static SSL_SESSION *session;
static int on_session(SSL *ssl, SSL_SESSION *s) {
    SSL_SESSION_free(session);
    session = s;
    return 1;
}

/* A connection with the ticket of the one before, if there is one. Whether it was resumed. */
static bool resumes(struct test_identity *who, int version, const char *host) {
    struct client c;
    char got[8];
    size_t n;
    client_open(&c, NULL, version, host, NULL);
    SSL_CTX_set_session_cache_mode(c.ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c.ctx, on_session);
    if (session) assert_int_equal(SSL_set_session(c.ssl, session), 1);
    struct crypto_tls *t = crypto_tls_accept(who->identity);
    assert_int_equal(shake(&c, t, who, SIGNS), CRYPTO_TLS_OK);
    assert_int_equal(crypto_tls_write(t, STR("x")), CRYPTO_TLS_OK);
    str pending = crypto_tls_pending(t);
    BIO_write(c.in, pending.p, (int)pending.n);
    assert_int_equal(SSL_read_ex(c.ssl, got, sizeof got, &n), 1); /* tickets of TLS 1.3 came before it */
    bool resumed = crypto_tls_resumed(t);
    assert_int_equal(resumed, SSL_session_reused(c.ssl));
    crypto_tls_free(t);
    client_close(&c);
    return resumed;
}

static void forget_session(void) {
    SSL_SESSION_free(session);
    session = NULL;
}

static void a_ticket_holds_for_as_long_as_its_key(void **state) {
    struct crypto_tickets page = {0};
    uint64_t now = clock_wall_ns() / 1'000'000'000u;
    struct test_identity who, other;
    test_identity_open(&who, "P-256", "DNS:example.org"), test_identity_open(&other, "P-256", "DNS:example.org");
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        page = (struct crypto_tickets){0};
        crypto_tickets_use(&page);
        assert_false(resumes(&who, version, "example.org")); /* there is no key yet, and no ticket */
        assert_false(resumes(&who, version, "example.org"));
        forget_session();
        crypto_tickets_turn(&page, now);
        assert_false(resumes(&who, version, "example.org"));
        assert_true(resumes(&who, version, "example.org"));
        assert_false(resumes(&other, version, "example.org")); /* of another certificate */
        forget_session();
        assert_false(resumes(&who, version, "example.org"));
        assert_true(resumes(&who, version, "example.org")); /* what that one was given */
        const unsigned char *ticket;
        size_t ticket_n;
        SSL_SESSION_get0_ticket(session, &ticket, &ticket_n);
        for (size_t at = 0; at < ticket_n; at += 13) { /* forged, anywhere: it is none */
            ((unsigned char *)(uintptr_t)ticket)[at] ^= 1;
            SSL_SESSION *was = session;
            SSL_SESSION_up_ref(was);
            assert_false(resumes(&who, version, "example.org"));
            SSL_SESSION_free(session);
            session = was;
            ((unsigned char *)(uintptr_t)ticket)[at] ^= 1;
        }
        forget_session();
        for (int i = 0; i < CRYPTO_TICKET_KEYS; i++) { /* old keys open what they sealed until the last turn */
            forget_session();
            assert_false(resumes(&who, version, "example.org"));
            for (int k = 0; k < i; k++) crypto_tickets_turn(&page, now);
            assert_true(resumes(&who, version, "example.org"));
        }
        forget_session();
        assert_false(resumes(&who, version, "example.org"));
        for (int k = 0; k < CRYPTO_TICKET_KEYS; k++) crypto_tickets_turn(&page, now);
        assert_false(resumes(&who, version, "example.org"));
        for (int i = 0; i < CRYPTO_TICKET_KEYS; i++)
            page.of[i].made_s = now - 3 * CRYPTO_TICKET_TURN_S; /* nobody has turned them for long */
        assert_false(resumes(&who, version, "example.org"));
        forget_session();
        assert_false(resumes(&who, version, "example.org"));
        assert_false(resumes(&who, version, "example.org"));
        page.turn = 1; /* it is being written */
        assert_false(resumes(&who, version, "example.org"));
        crypto_tickets_use(NULL);
        assert_false(resumes(&who, version, "example.org"));
        forget_session();
    }
    test_identity_close(&who), test_identity_close(&other);
}

/* Who holds the key may be gone, or not answer before the connection goes. */
static void a_signature_that_does_not_come_ends_the_handshake(void **state) {
    static const char *const kinds[] = {"RSA", "P-256"};
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        for (int how = REFUSES; how <= LATE; how++) {
            struct test_identity who;
            struct client c;
            test_identity_open(&who, kinds[i], "DNS:example.org");
            client_open(&c, who.x, 0, "example.org", NULL);
            struct crypto_tls *t = crypto_tls_accept(who.identity);
            enum crypto_tls_result r = shake(&c, t, &who, (enum answer)how);
            if (how == LATE) assert_int_equal(r, CRYPTO_TLS_SIGN);
            else assert_true(r != CRYPTO_TLS_OK && r != CRYPTO_TLS_MORE && r != CRYPTO_TLS_SIGN);
            assert_false(SSL_is_init_finished(c.ssl));
            crypto_tls_free(t);
            client_close(&c);
            test_identity_close(&who);
        }
}

/* ---- what the key signs ---- */

static void nothing_but_a_handshake_is_signed(void **state) {
    struct test_identity who;
    uint8_t m[200], out[CRYPTO_TLS_SIGNATURE_MAX];
    test_identity_open(&who, "P-256", "DNS:example.org");
    memset(m, ' ', 64);
    memcpy(m + 64, "TLS 1.3, server CertificateVerify", 34);
    assert_true(crypto_tls_key_sign(who.key, 0x0403, (str){m, 98 + 32}, out));
    assert_true(crypto_tls_key_sign(who.key, 0x0403, (str){m, 98 + 48}, out));
    assert_false(crypto_tls_key_sign(who.key, 0x0403, (str){m, 98 + 33}, out));
    assert_false(crypto_tls_key_sign(who.key, 0x0403, (str){m, 98}, out));
    assert_false(crypto_tls_key_sign(who.key, 0x0804, (str){m, 98 + 32}, out)); /* another's scheme */
    assert_false(crypto_tls_key_sign(who.key, 0x0401, (str){m, 98 + 32}, out));
    m[70] ^= 1;
    assert_false(crypto_tls_key_sign(who.key, 0x0403, (str){m, 98 + 32}, out));
    m[70] ^= 1, m[0] = 'x';
    assert_false(crypto_tls_key_sign(who.key, 0x0403, (str){m, 98 + 32}, out));
    memcpy(m + 64, "\x03\x00\x1d\x20", 4);
    assert_true(crypto_tls_key_sign(who.key, 0x0403, (str){m, 68 + 32}, out));
    assert_false(crypto_tls_key_sign(who.key, 0x0403, (str){m, 68 + 31}, out));
    memcpy(m + 64, "\x03\x00\x17\x20", 4);
    assert_false(crypto_tls_key_sign(who.key, 0x0403, (str){m, 68 + 32}, out));
    memcpy(m + 64, "\x01\x00\x1d\x20", 4);
    assert_false(crypto_tls_key_sign(who.key, 0x0403, (str){m, 68 + 32}, out));
    static const char token[] = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiIxIn0";
    assert_false(crypto_tls_key_sign(who.key, 0x0403, str_c(token), out));
    assert_false(crypto_tls_key_sign(who.key, 0x0403, (str){0}, out));
    test_identity_close(&who);
}

/* ---- what a client says first ---- */

static void a_hello_is_read_in_pieces(void **state) {
    struct client c;
    struct crypto_hello h;
    client_open(&c, NULL, 0, "WWW.Example.org", "\x02h2\x08http/1.1");
    (void)SSL_do_handshake(c.ssl);
    str said = client_said(&c);
    for (size_t n = 0; n < said.n; n++) assert_int_equal(crypto_hello_parse((str){said.p, n}, &h), CRYPTO_HELLO_MORE);
    assert_int_equal(crypto_hello_parse(said, &h), CRYPTO_HELLO_OK);
    assert_true(str_eqc(h.server_name, "www.example.org") && h.h2 && h.http1 && !h.challenge);
    /* the same in records of 7 bytes */
    struct buf b = {0};
    for (size_t at = 5; at < said.n; at += 7) {
        size_t n = MIN((size_t)7, said.n - at);
        uint8_t head[] = {22, 3, 1, 0, (uint8_t)n};
        buf_put(&b, head, 5), buf_put(&b, said.p + at, n);
    }
    assert_int_equal(crypto_hello_parse(buf_str(&b), &h), CRYPTO_HELLO_OK);
    assert_true(str_eqc(h.server_name, "www.example.org"));
    buf_free(&b);
    client_close(&c);
    client_open(&c, NULL, 0, NULL, NULL);
    (void)SSL_do_handshake(c.ssl);
    assert_int_equal(crypto_hello_parse(client_said(&c), &h), CRYPTO_HELLO_OK);
    assert_true(!h.server_name.n && !h.alpn);
    client_close(&c);
}

static void nonsense_is_no_hello(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {{"GET / HTTP/1.1\r\n", 16},
                 {"\x16\x02\x00\x00\x05\x01\x00\x00\x01\x00", 10},
                 {"\x16\x03\x01\x00\x00", 5},
                 {"\x16\x03\x01\xff\xff", 5},
                 {"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9},
                 {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9},
                 {"\x16\x03\x01\x00\x04\x01\x00\x00\x00", 9},
                 {"\x16\x03\x01\x00\x01\x01\x17\x03\x03\x00\x01\x00", 12}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct crypto_hello h;
        assert_int_equal(crypto_hello_parse((str){(const uint8_t *)cases[i].bytes, cases[i].n}, &h), CRYPTO_HELLO_BAD);
    }
}

/* ---- files ---- */

static void chains_that_do_not_hang_together_are_refused(void **state) {
    struct diag d = DIAG_INIT;
    struct crypto_chain chain;
    arena *mem = arena_new(0);
    EVP_PKEY *root_key = test_key("P-256"), *key = test_key("P-256"), *small = EVP_RSA_gen(1024);
    X509 *root = test_cert_new(root_key, &(struct test_cert){.authority = true}),
         *own = test_cert_new(key, &(struct test_cert){.names = "DNS:a.example, DNS:*.B.example, IP:192.0.2.7",
                                                       .by = root,
                                                       .by_key = root_key,
                                                       .more = NID_tlsfeature,
                                                       .more_value = "status_request"}),
         *stranger = test_cert_new(root_key, &(struct test_cert){.names = "DNS:a"}),
         *nameless = test_cert_new(key, &(struct test_cert){0}),
         *weak = test_cert_new(small, &(struct test_cert){.names = "DNS:a"}),
         *persons =
             test_cert_new(key, &(struct test_cert){.names = "DNS:a", .more = NID_ext_key_usage, .more_value = "clientAuth"});
    struct buf pem = {0};
    test_pem(&pem, own, NULL), test_pem(&pem, root, NULL);
    assert_int_equal(crypto_chain_read(mem, buf_str(&pem), &chain, &d), ERR_OK);
    assert_true(chain.count == 2 && chain.names.n == 3 && chain.must_staple);
    assert_true(str_eqc(chain.names.p[1], "*.b.example") && str_eqc(chain.names.p[2], "192.0.2.7"));
    buf_puts(&pem, STR("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    assert_int_equal(crypto_chain_read(mem, buf_str(&pem), &chain, &d), ERR_MALFORMED);
    X509 *const wrong[][2] = {{root, own}, {own, stranger}, {nameless, NULL}, {weak, NULL}, {persons, NULL}};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        pem.n = 0;
        for (int k = 0; k < 2 && wrong[i][k]; k++) test_pem(&pem, wrong[i][k], NULL);
        assert_true(crypto_chain_read(mem, buf_str(&pem), &chain, &d) != ERR_OK);
        assert_true(d.text[0]);
    }
    assert_int_equal(crypto_chain_read(mem, STR("no pem"), &chain, &d), ERR_MALFORMED);
    assert_int_equal(crypto_chain_read(mem, (str){0}, &chain, &d), ERR_MALFORMED);
    str pkcs8, public;
    assert_int_equal(crypto_tls_key_read(mem, buf_str(&pem), &pkcs8, &public, &d), ERR_MALFORMED);
    buf_free(&pem);
    X509 *const all[] = {root, own, stranger, nameless, weak, persons};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) X509_free(all[i]);
    EVP_PKEY_free(root_key), EVP_PKEY_free(key), EVP_PKEY_free(small);
    arena_free(mem);
}

static void a_star_is_one_label(void **state) {
    static const struct {
        const char *name, *host;
        bool covers;
    } cases[] = {{"a.example", "a.example", true},    {"*.example", "a.example", true}, {"*.example", "b.a.example", false},
                 {"*.example", "example", false},     {"*.example", ".example", false}, {"a.example", "b.example", false},
                 {"*.a.example", "x.a.example", true}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        assert_int_equal(crypto_name_covers(str_c(cases[i].name), str_c(cases[i].host)), cases[i].covers);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_key_serves_both_versions),
        cmocka_unit_test(what_it_does_not_speak_it_refuses),
        cmocka_unit_test(a_ticket_holds_for_as_long_as_its_key),
        cmocka_unit_test(a_signature_that_does_not_come_ends_the_handshake),
        cmocka_unit_test(nothing_but_a_handshake_is_signed),
        cmocka_unit_test(a_hello_is_read_in_pieces),
        cmocka_unit_test(nonsense_is_no_hello),
        cmocka_unit_test(chains_that_do_not_hang_together_are_refused),
        cmocka_unit_test(a_star_is_one_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
