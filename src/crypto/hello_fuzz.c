/* hello_fuzz: any bytes as what a client says first.
 *
 * What must hold: what is found does not depend on what comes behind it, nor is anything taken back once it was bad; a name is small letters of the DNS; and
 * where OpenSSL, which goes on with the connection, reads a name, it is the same. The canary breaks the last of these. */
#include "base/fuzz.h"
#include "crypto/tls_server.h"
#include <openssl/err.h>
#include <openssl/ssl.h>

struct seen {
    bool called;
    uint8_t name[256];
    size_t n;
};

/* RFC 6066 §3, of the first name alone. */
static int on_hello(SSL *ssl, int *alert, void *arg) {
    struct seen *seen = SSL_get_app_data(ssl);
    const unsigned char *p;
    size_t n;
    seen->called = true;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &n) != 1 || n < 5) return SSL_CLIENT_HELLO_ERROR;
    seen->n = MIN((size_t)(p[3] << 8 | p[4]), MIN(n - 5, sizeof seen->name));
    memcpy(seen->name, p + 5, seen->n);
    return SSL_CLIENT_HELLO_ERROR;
}

static void ask_openssl(str bytes, struct seen *seen) {
    static SSL_CTX *ctx;
    if (!ctx) {
        ctx = SSL_CTX_new(TLS_server_method());
        ENSURE(ctx);
        SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
    }
    SSL *ssl = SSL_new(ctx);
    BIO *in = BIO_new_mem_buf(bytes.n ? bytes.p : (const uint8_t *)"", (int)bytes.n), *out = BIO_new(BIO_s_mem());
    ENSURE(ssl && in && out);
    SSL_set_bio(ssl, in, out);
    SSL_set_app_data(ssl, seen);
    SSL_set_accept_state(ssl);
    (void)SSL_do_handshake(ssl);
    SSL_free(ssl);
    ERR_clear_error();
}

static void check_name(const struct crypto_hello *h) {
    ENSURE(h->server_name.n < sizeof h->own);
    for (size_t i = 0; i < h->server_name.n; i++) {
        uint8_t c = h->server_name.p[i];
        ENSURE((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_');
    }
}

static void check_same(const struct crypto_hello *h, const struct seen *seen) {
    size_t n = seen->n && seen->name[seen->n - 1] == '.' ? seen->n - 1 : seen->n;
    if (canary && n) n--;
    ENSURE(str_eq_nocase(h->server_name, (str){seen->name, n}));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    str all = {data, size};
    struct crypto_hello h, part;
    struct seen seen = {0};
    enum crypto_hello_result r = crypto_hello_parse(all, &h);
    if (r == CRYPTO_HELLO_OK) check_name(&h);
    for (size_t n = 0; n < size; n += 1 + size / 16) {
        enum crypto_hello_result before = crypto_hello_parse(str_sub(all, 0, n), &part);
        if (before == CRYPTO_HELLO_BAD) ENSURE(r == CRYPTO_HELLO_BAD);
        if (before == CRYPTO_HELLO_OK) ENSURE(r == CRYPTO_HELLO_OK && str_eq(part.server_name, h.server_name) && part.h2 == h.h2);
    }
    if (r != CRYPTO_HELLO_OK) return 0;
    ask_openssl(all, &seen);
    if (seen.called && (seen.n || h.server_name.n)) check_same(&h, &seen);
    return 0;
}
