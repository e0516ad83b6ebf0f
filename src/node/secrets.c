/* secrets: see secrets.h. */
#include "node/secrets.h"
#include "base/json.h"

void node_secret_put(struct buf *to, enum node_secret_kind kind, str key, str bytes) {
    const uint32_t numbers[] = {kind, (uint32_t)key.n, (uint32_t)bytes.n};
    buf_put(to, &numbers[0], 4);
    buf_put(to, &numbers[1], 4);
    buf_puts(to, key);
    buf_put(to, &numbers[2], 4);
    buf_puts(to, bytes);
}

bool node_secret_find(str secrets, str key, str *value) {
    for (struct rd from = rd_of(secrets); rd_left(&from);) {
        str k = rd_bytes(&from, rd_u32le(&from)), v = rd_bytes(&from, rd_u32le(&from));
        if (from.fail) return false;
        if (!str_eq(k, key)) continue;
        *value = v;
        return true;
    }
    return false;
}

void node_base64url(struct buf *to, str bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = MIN(bytes.n - i, (size_t)3);
        uint32_t three = (uint32_t)bytes.p[i] << 16 | (n > 1 ? (uint32_t)bytes.p[i + 1] << 8 : 0) | (n > 2 ? bytes.p[i + 2] : 0);
        for (size_t k = 0; k <= n; k++) buf_putc(to, (uint8_t)digits[three >> (18 - 6 * k) & 63]);
    }
}

static int digit(uint8_t c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool node_base64url_read(arena *out, str text, str *bytes) {
    uint8_t *p = arena_array(out, uint8_t, text.n / 4 * 3 + 3);
    uint32_t bits = 0, have = 0;
    size_t n = 0;
    if (text.n % 4 == 1) return false;
    for (size_t i = 0; i < text.n; i++) {
        int d = digit(text.p[i]);
        if (d < 0) return false;
        bits = bits << 6 | (uint32_t)d;
        have += 6;
        if (have < 8) continue;
        have -= 8;
        p[n++] = (uint8_t)(bits >> have);
    }
    if (bits & ((1u << have) - 1)) return false;
    *bytes = (str){p, n};
    return true;
}

void node_token_begin(struct buf *to, str algorithm, str kid, str claims) {
    struct buf head = {0};
    struct json_writer w = json_writer_of(&head);
    json_put_object(&w, NULL);
    json_put_str(&w, "alg", algorithm);
    if (kid.n) json_put_str(&w, "kid", kid);
    json_put_cstr(&w, "typ", "JWT");
    json_put_end(&w);
    node_base64url(to, buf_str(&head));
    buf_putc(to, '.');
    node_base64url(to, claims);
    buf_free(&head);
}

void node_token_claims(struct buf *to, str app, str role, uint64_t issued_s) {
    static const uint64_t lives_s = 3650ull * 24 * 3600;
    struct json_writer w = json_writer_of(to);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "iss", "supabase");
    json_put_str(&w, "ref", app);
    json_put_str(&w, "role", role);
    json_put_u64(&w, "iat", issued_s);
    json_put_u64(&w, "exp", issued_s + lives_s);
    json_put_end(&w);
}
