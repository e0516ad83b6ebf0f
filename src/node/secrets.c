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

void node_base64url(struct buf *to, str bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = MIN(bytes.n - i, (size_t)3);
        uint32_t three = (uint32_t)bytes.p[i] << 16 | (n > 1 ? (uint32_t)bytes.p[i + 1] << 8 : 0) | (n > 2 ? bytes.p[i + 2] : 0);
        for (size_t k = 0; k <= n; k++) buf_putc(to, (uint8_t)digits[three >> (18 - 6 * k) & 63]);
    }
}

void node_token_unsigned(struct buf *to, str app, str role, uint64_t issued_s) {
    static const uint64_t lives_s = 3650ull * 24 * 3600;
    struct buf claims = {0};
    struct json_writer w = json_writer_of(&claims);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "iss", "supabase");
    json_put_str(&w, "ref", app);
    json_put_str(&w, "role", role);
    json_put_u64(&w, "iat", issued_s);
    json_put_u64(&w, "exp", issued_s + lives_s);
    json_put_end(&w);
    node_base64url(to, STR("{\"alg\":\"HS256\",\"typ\":\"JWT\"}"));
    buf_putc(to, '.');
    node_base64url(to, buf_str(&claims));
    buf_free(&claims);
}
