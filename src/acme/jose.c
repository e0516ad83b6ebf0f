/* jose: how requests are signed (RFC 7515, RFC 8555 §6.2): flattened JSON, ES256. */
#include "acme/acme_int.h"
#include "base/json.h"
#include "crypto/crypto.h"

void acme_base64url(struct buf *to, str s) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < s.n; i += 3) {
        size_t n = MIN(s.n - i, (size_t)3);
        uint32_t v = (uint32_t)s.p[i] << 16 | (n > 1 ? (uint32_t)s.p[i + 1] << 8 : 0) | (n > 2 ? s.p[i + 2] : 0);
        for (size_t k = 0; k < n + 1; k++) buf_putc(to, (uint8_t)digits[v >> (18 - 6 * k) & 63]);
    }
}

void acme_jwk(struct buf *to, const uint8_t public[ACME_PUBLIC_BYTES]) {
    buf_puts(to, STR("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\""));
    acme_base64url(to, (str){public + 1, 32});
    buf_puts(to, STR("\",\"y\":\""));
    acme_base64url(to, (str){public + 33, 32});
    buf_puts(to, STR("\"}"));
}

void acme_thumbprint(const uint8_t public[ACME_PUBLIC_BYTES], char out[ACME_THUMBPRINT + 1]) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    struct buf jwk = {0}, text = {.p = (uint8_t *)out, .cap = ACME_THUMBPRINT, .max = ACME_THUMBPRINT};
    acme_jwk(&jwk, public);
    crypto_sha256(buf_str(&jwk), digest);
    acme_base64url(&text, (str){digest, sizeof digest});
    ENSURE(text.n == ACME_THUMBPRINT && !text.full);
    out[ACME_THUMBPRINT] = 0;
    buf_free(&jwk);
}

void acme_jws_begin(struct buf *to, const struct acme_jws *j) {
    struct buf head = {0};
    struct json_writer w = json_writer_of(&head);
    json_put_object(&w, NULL);
    json_put_str(&w, "alg", j->algorithm);
    if (j->jwk.n) json_put_raw(&w, "jwk", j->jwk);
    else json_put_str(&w, "kid", j->kid);
    if (j->nonce.n) json_put_str(&w, "nonce", j->nonce);
    json_put_str(&w, "url", j->url);
    json_put_end(&w);
    to->n = 0;
    acme_base64url(to, buf_str(&head));
    buf_putc(to, '.');
    acme_base64url(to, j->payload);
    buf_free(&head);
}

void acme_jws_end(struct buf *to, str begun, str signature) {
    str head, payload;
    str_cut(begun, '.', &head, &payload);
    buf_puts(to, STR("{\"protected\":\"")), buf_puts(to, head);
    buf_puts(to, STR("\",\"payload\":\"")), buf_puts(to, payload);
    buf_puts(to, STR("\",\"signature\":\"")), acme_base64url(to, signature);
    buf_puts(to, STR("\"}"));
}
