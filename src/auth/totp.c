/* totp: codes of a clock that an app and we share (RFC 6238: HMAC-SHA-1, 30 seconds, six digits), and how the secret is handed over: as a URI, and that as a picture. */
#include "auth/auth_int.h"
#include <qrencode.h>

enum { STEP_S = 30, DIGITS = 1'000'000, EDGE = 4 /* modules of white around it */, SCALE = 3 };
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* RFC 4648 §6, without padding. */
str auth_base32(arena *out, str bytes) {
    uint8_t *p = arena_alloc(out, bytes.n * 8 / 5 + 2, 1);
    uint32_t bits = 0, have = 0;
    size_t n = 0;
    for (size_t i = 0; i < bytes.n; i++) {
        bits = bits << 8 | bytes.p[i];
        for (have += 8; have >= 5; have -= 5) p[n++] = (uint8_t)alphabet[bits >> (have - 5) & 31];
        bits &= (1u << have) - 1;
    }
    if (have) p[n++] = (uint8_t)alphabet[bits << (5 - have) & 31];
    return (str){p, n};
}

static bool read_base32(str text, uint8_t to[static AUTH_TOTP_BYTES_MAX], size_t *n) {
    uint32_t bits = 0, have = 0;
    *n = 0;
    while (text.n && text.p[text.n - 1] == '=') text.n--;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(alphabet, text.p[i] >= 'a' && text.p[i] <= 'z' ? text.p[i] - 32 : text.p[i]) : NULL;
        if (!at) return false;
        bits = (bits << 5 | (uint32_t)(at - alphabet)) & 0xffff;
        if ((have += 5) < 8) continue;
        if (*n == AUTH_TOTP_BYTES_MAX) return false;
        to[(*n)++] = (uint8_t)(bits >> (have -= 8));
    }
    return *n > 0;
}

static uint32_t code_at(str key, uint64_t step) {
    uint8_t counter[8], mac[CRYPTO_DIGEST_BYTES_MAX];
    for (int i = 0; i < 8; i++) counter[i] = (uint8_t)(step >> (56 - 8 * i));
    size_t n = crypto_hmac(STR("sha1"), key, (str){counter, sizeof counter}, mac);
    ENSURE(n == 20);
    const uint8_t *p = mac + (mac[19] & 15);
    return (((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]) & 0x7fffffff) % DIGITS;
}

bool auth_totp_is(str secret, str code, int64_t now_s, uint64_t *step) {
    uint8_t key[AUTH_TOTP_BYTES_MAX];
    size_t n = 0;
    bool found = false, sane = code.n == 6 && now_s > STEP_S && read_base32(secret, key, &n);
    uint32_t said = 0;
    for (size_t i = 0; i < code.n && sane; i++)
        if (code.p[i] < '0' || code.p[i] > '9') sane = false;
        else said = said * 10 + (code.p[i] - '0');
    static const int near[] = {0, -1, 1};
    for (size_t i = 0; sane && i < ARRAY_COUNT(near); i++) {
        uint64_t at = (uint64_t)(now_s / STEP_S + near[i]);
        if (code_at((str){key, n}, at) != said || found) continue;
        *step = at;
        found = true;
    }
    explicit_bzero(key, sizeof key);
    return found;
}

static void put_escaped(struct buf *to, str text) {
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-_.~@", c));
        if (plain) buf_putc(to, c);
        else buf_printf(to, "%%%02X", c);
    }
}

str auth_totp_uri(arena *out, str issuer, str account, str secret) {
    struct buf b = {0};
    buf_puts(&b, STR("otpauth://totp/"));
    put_escaped(&b, issuer);
    buf_putc(&b, ':');
    put_escaped(&b, account);
    buf_puts(&b, STR("?algorithm=SHA1&digits=6&issuer="));
    put_escaped(&b, issuer);
    buf_puts(&b, STR("&period=30&secret="));
    buf_puts(&b, secret);
    str uri = arena_str(out, buf_str(&b));
    explicit_bzero(b.p, b.n);
    buf_free(&b);
    return uri;
}

/* Fit for "data:image/svg+xml;utf-8,": neither # nor % nor &. Black modules of a line that are neighbours are one rectangle. */
bool auth_qr_svg(arena *out, str text, str *svg) {
    QRcode *qr = QRcode_encodeData((int)text.n, text.p, 0, text.n < 600 ? QR_ECLEVEL_H : QR_ECLEVEL_M);
    struct buf b = {0};
    if (!qr) return false;
    int side = qr->width + 2 * EDGE;
    buf_printf(&b,
               "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
               "shape-rendering=\"crispEdges\"><rect width=\"%d\" height=\"%d\" fill=\"white\"/><path fill=\"black\" d=\"",
               side * SCALE, side * SCALE, side, side, side, side);
    for (int y = 0; y < qr->width; y++)
        for (int x = 0, n; x < qr->width; x += n) {
            const unsigned char *row = qr->data + y * qr->width;
            for (n = 1; x + n < qr->width && (row[x + n] & 1) == (row[x] & 1);) n++;
            if (row[x] & 1) buf_printf(&b, "M%d %dh%dv1h-%dz", x + EDGE, y + EDGE, n, n);
        }
    buf_puts(&b, STR("\"/></svg>"));
    QRcode_free(qr);
    *svg = arena_str(out, buf_str(&b));
    buf_free(&b);
    return true;
}
