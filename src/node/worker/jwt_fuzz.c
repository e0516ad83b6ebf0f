/* Fuzzing tokens: no bytes are a good one under a key that nobody has; what stands before them is read all the same. */
#include "base/fuzz.h"
#include "crypto/crypto.h"
#include "node/worker/jwt.h"

/* base64url of what is to be read behind a signature that is right. */
static void put_encoded(struct buf *to, str bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = MIN(bytes.n - i, (size_t)3);
        uint32_t v = (uint32_t)bytes.p[i] << 16 | (n > 1 ? (uint32_t)bytes.p[i + 1] << 8 : 0) | (n > 2 ? bytes.p[i + 2] : 0);
        for (size_t k = 0; k <= n; k++) buf_putc(to, (uint8_t)digits[v >> (18 - 6 * k) & 63]);
    }
}

static void with_claims(arena *mem, str claims) {
    uint8_t mac[CRYPTO_SHA256_BYTES];
    struct buf token = {0};
    struct node_jwt jwt;
    put_encoded(&token, STR("{\"alg\":\"HS256\"}"));
    buf_putc(&token, '.');
    put_encoded(&token, claims);
    crypto_hmac_sha256(STR("k"), buf_str(&token), mac);
    buf_putc(&token, '.');
    put_encoded(&token, (str){mac, sizeof mac});
    enum node_jwt_end end = node_jwt_verify(mem, buf_str(&token), STR("k"), 1700000000, &jwt);
    ENSURE(end != NODE_JWT_ALGORITHM && (end != NODE_JWT_SIGNATURE) != canary);
    buf_free(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *mem = arena_new(0);
    struct node_jwt jwt;
    ENSURE(node_jwt_verify(mem, (str){data, size}, STR("nobody's"), 1700000000, &jwt) != NODE_JWT_GOOD && !jwt.role.n);
    with_claims(mem, (str){data, size});
    arena_free(mem);
    return 0;
}
