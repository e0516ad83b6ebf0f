/* Tokens: good ones say who asks; any other is none. */
#include "node/worker/jwt.h"
#include "crypto/crypto.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { NOW = 1700000000 };
static arena *mem;
static const str key = STR("super-secret-jwt-token-with-at-least-32-characters-long");

static str encode(str bytes) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    struct buf b = {0};
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = MIN(bytes.n - i, (size_t)3);
        uint32_t v = (uint32_t)bytes.p[i] << 16 | (n > 1 ? (uint32_t)bytes.p[i + 1] << 8 : 0) | (n > 2 ? bytes.p[i + 2] : 0);
        for (size_t k = 0; k <= n; k++) buf_putc(&b, (uint8_t)digits[v >> (18 - 6 * k) & 63]);
    }
    str text = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return text;
}

static str sign(const char *header, const char *claims, str with) {
    uint8_t mac[CRYPTO_SHA256_BYTES];
    str what = arena_fmt(mem, STR_FMT "." STR_FMT, STR_ARG(encode(str_c(header))), STR_ARG(encode(str_c(claims))));
    crypto_hmac_sha256(with, what, mac);
    return arena_fmt(mem, STR_FMT "." STR_FMT, STR_ARG(what), STR_ARG(encode((str){mac, sizeof mac})));
}

static void is(str token, enum node_jwt_end end, const char *role, const char *subject) {
    struct node_jwt jwt;
    enum node_jwt_end got = node_jwt_verify(mem, token, key, NOW, &jwt);
    if (got != end || !str_eqc(jwt.role, role) || !str_eqc(jwt.subject, subject))
        fail_msg(STR_FMT ": %d " STR_FMT " " STR_FMT, STR_ARG(token), got, STR_ARG(jwt.role), STR_ARG(jwt.subject));
}

#define HS "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
static void claims(const char *text, enum node_jwt_end end, const char *role, const char *subject) {
    is(sign(HS, text, key), end, role, subject);
}

static void test_claims(void **state) {
    claims("{\"role\":\"anon\",\"iss\":\"supabase\",\"exp\":1983812996}", NODE_JWT_GOOD, "anon", "");
    claims("{\"role\":\"authenticated\",\"sub\":\"u-1\"}", NODE_JWT_GOOD, "authenticated", "u-1");
    claims("{}", NODE_JWT_GOOD, "", "");
    claims("{\"role\":7,\"sub\":null}", NODE_JWT_GOOD, "", "");
    claims("{\"exp\":1700000000}", NODE_JWT_EXPIRED, "", "");
    claims("{\"exp\":1700000001}", NODE_JWT_GOOD, "", "");
    claims("{\"exp\":1700000000.5}", NODE_JWT_GOOD, "", "");
    claims("{\"exp\":-1e300}", NODE_JWT_EXPIRED, "", "");
    claims("{\"exp\":\"1983812996\"}", NODE_JWT_MALFORMED, "", "");
    claims("{\"exp\":null}", NODE_JWT_MALFORMED, "", "");
    claims("{\"nbf\":1700000001}", NODE_JWT_EARLY, "", "");
    claims("{\"nbf\":1700000000}", NODE_JWT_GOOD, "", "");
    claims("[]", NODE_JWT_MALFORMED, "", "");
    claims("{\"exp\":1,\"exp\":1983812996}", NODE_JWT_MALFORMED, "", "");
    claims("nonsense", NODE_JWT_MALFORMED, "", "");
    claims("[[[[[[[[[[[[]]]]]]]]]]]]", NODE_JWT_MALFORMED, "", "");
}

/* The token of supabase's own documentation, made by others. */
static void test_others(void **state) {
    is(STR("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9."
           "CRXP1A7WOeoJeXxjNni43kdQwgnWNR"
           "eilDMblYTn_I0"),
       NODE_JWT_GOOD, "anon", "");
}

static void test_algorithms(void **state) {
    static const char *const none[] = {
        "{\"alg\":\"none\"}",  "{\"alg\":\"None\"}",         "{\"alg\":\"hs256\"}",   "{\"alg\":\"RS256\"}",
        "{\"alg\":\"HS512\"}", "{\"alg\":\"HS256\\u0000\"}", "{\"alg\":[\"HS256\"]}", "{}",
        "{\"alg\":null}"};
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) is(sign(none[i], "{}", key), NODE_JWT_ALGORITHM, "", "");
    is(sign("{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "{}", key), NODE_JWT_MALFORMED, "", "");
    is(sign("{\"alg\":\"HS256\",\"alg\":\"none\"}", "{}", key), NODE_JWT_MALFORMED, "", "");
    is(sign("{\"alg\":\"HS256\",\"kid\":\"../../x\",\"jwk\":{\"k\":\"\"}}", "{}", key), NODE_JWT_GOOD, "", "");
    is(arena_fmt(mem, STR_FMT "." STR_FMT ".", STR_ARG(encode(STR("{\"alg\":\"none\"}"))), STR_ARG(encode(STR("{}")))),
       NODE_JWT_ALGORITHM, "", "");
    is(arena_fmt(mem, STR_FMT "." STR_FMT ".", STR_ARG(encode(STR(HS))), STR_ARG(encode(STR("{}")))), NODE_JWT_SIGNATURE, "", "");
}

static void test_signatures(void **state) {
    struct node_jwt jwt;
    str good = sign(HS, "{\"role\":\"anon\"}", key);
    is(good, NODE_JWT_GOOD, "anon", "");
    is(sign(HS, "{}", STR("another")), NODE_JWT_SIGNATURE, "", "");
    is(sign(HS, "{}", STR("")), NODE_JWT_SIGNATURE, "", "");
    assert_int_equal(node_jwt_verify(mem, sign(HS, "{}", STR("")), STR(""), NOW, &jwt),
                     NODE_JWT_SIGNATURE); /* an app without a key */
    for (size_t i = 0; i < good.n; i++) { /* no character can be another */
        uint8_t *bent = (uint8_t *)arena_cstr(mem, good);
        bent[i] = bent[i] == 'A' ? 'B' : 'A';
        if (node_jwt_verify(mem, (str){bent, good.n}, key, NOW, &jwt) == NODE_JWT_GOOD) fail_msg("byte %zu", i);
        if (node_jwt_verify(mem, str_sub(good, 0, i), key, NOW, &jwt) == NODE_JWT_GOOD) fail_msg("cut at %zu", i);
    }
}

static void test_nonsense(void **state) {
    static const char *const none[] = {
        "", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "eyJhbGciOiJIUzI1NiJ9=.e30.x", "eyJhbGciOiJIUzI1NiJ9 .e30.x"};
    struct node_jwt jwt;
    for (size_t i = 0; i < ARRAY_COUNT(none); i++)
        if (node_jwt_verify(mem, str_c(none[i]), key, NOW, &jwt) == NODE_JWT_GOOD) fail_msg("%s", none[i]);
    char *claims_text = arena_array(mem, char, 10'001);
    memset(claims_text, ' ', 10'000);
    claims_text[10'000] = 0;
    is(sign(HS, claims_text, key), NODE_JWT_MALFORMED, "", "");
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_claims), cmocka_unit_test(test_others),
                                       cmocka_unit_test(test_algorithms), cmocka_unit_test(test_signatures),
                                       cmocka_unit_test(test_nonsense)};
    return cmocka_run_group_tests(tests, begin, end);
}
