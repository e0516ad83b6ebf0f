/* Tokens: good ones say who asks; any other is none. */
#include "node/worker/jwt.h"
#include "crypto/crypto.h"
#include "node/secrets.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

enum { NOW = 1700000000 };
static arena *mem;
static const str key = STR("super-secret-jwt-token-with-at-least-32-characters-long");

static struct node_jwt_key keys[7];
static struct own { /* pairs that sign here */
    struct crypto_pair *signer, *verifier;
} own[CRYPTO_PAIR_KINDS];
static uint8_t es_public[CRYPTO_PAIR_PUBLIC_MAX];
static size_t es_public_n;

static str encode(str bytes) {
    struct buf b = {0};
    node_base64url(&b, bytes);
    str text = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return text;
}

static str unsigned_of(const char *header, const char *claims) {
    return arena_fmt(mem, STR_FMT "." STR_FMT, STR_ARG(encode(str_c(header))), STR_ARG(encode(str_c(claims))));
}

static str sign(const char *header, const char *claims, str with) {
    uint8_t mac[CRYPTO_SHA256_BYTES];
    str what = unsigned_of(header, claims);
    crypto_hmac_sha256(with, what, mac);
    return arena_fmt(mem, STR_FMT "." STR_FMT, STR_ARG(what), STR_ARG(encode((str){mac, sizeof mac})));
}

static str sign_pair(enum crypto_pair_kind kind, const char *header, const char *claims) {
    uint8_t sig[CRYPTO_PAIR_SIGNATURE_MAX];
    str what = unsigned_of(header, claims);
    size_t n = crypto_pair_sign(own[kind].signer, what, sig);
    assert_true(n);
    return arena_fmt(mem, STR_FMT "." STR_FMT, STR_ARG(what), STR_ARG(encode((str){sig, n})));
}
static str sign_es(const char *header, const char *claims) { return sign_pair(CRYPTO_ES256, header, claims); }

static const char *const names[] = {
    "GOOD",
#define X(name, ...) #name,
#include "node/worker/jwt.def"
#undef X
};

static void is(str token, enum node_jwt_end end, const char *role, const char *subject) {
    struct node_jwt jwt;
    enum node_jwt_end got = node_jwt_verify(mem, token, keys, ARRAY_COUNT(keys), NOW, &jwt);
    if (got != end || !str_eqc(jwt.role, role) || !str_eqc(jwt.subject, subject))
        fail_msg(STR_FMT ": %s, not %s; " STR_FMT " " STR_FMT, STR_ARG(token), names[got], names[end], STR_ARG(jwt.role),
                 STR_ARG(jwt.subject));
}

#define HS "{\"alg\":\"HS256\",\"typ\":\"JWT\"}"
#define ES "{\"alg\":\"ES256\",\"kid\":\"es\"}"
static void claims(const char *text, enum node_jwt_end end, const char *role, const char *subject) {
    is(sign(HS, text, key), end, role, subject);
    is(sign_es(ES, text), end, role, subject);
    is(sign_pair(CRYPTO_EDDSA, "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", text), end, role, subject);
}

static void test_claims(void **state) {
    claims("{\"role\":\"anon\",\"iss\":\"supabase\",\"exp\":1983812996}", NODE_JWT_GOOD, "anon", "");
    claims("{\"role\":\"authenticated\",\"sub\":\"u-1\"}", NODE_JWT_GOOD, "authenticated", "u-1");
    claims("{}", NODE_JWT_GOOD, "", "");
    claims("{\"role\":7,\"sub\":null}", NODE_JWT_GOOD, "7", ""); /* no role that anybody has: not nobody's */
    claims("{\"role\":null}", NODE_JWT_GOOD, "null", "");
    claims("{\"exp\":1699999969}", NODE_JWT_EXPIRED, "", "");
    claims("{\"exp\":1699999970}", NODE_JWT_GOOD, "", "");
    claims("{\"exp\":1700000000.5}", NODE_JWT_GOOD, "", "");
    claims("{\"exp\":-1e300}", NODE_JWT_EXPIRED, "", "");
    claims("{\"exp\":1e300}", NODE_JWT_GOOD, "", "");
    claims("{\"exp\":9223372036854775807}", NODE_JWT_GOOD, "", "");
    claims("{\"exp\":-9223372036854775808}", NODE_JWT_EXPIRED, "", "");
    claims("{\"exp\":\"1983812996\"}", NODE_JWT_EXP_TYPE, "", "");
    claims("{\"exp\":true}", NODE_JWT_EXP_TYPE, "", "");
    claims("{\"exp\":null}", NODE_JWT_GOOD, "", "");
    claims("{\"nbf\":1700000031}", NODE_JWT_EARLY, "", "");
    claims("{\"nbf\":1700000030}", NODE_JWT_GOOD, "", "");
    claims("{\"nbf\":{}}", NODE_JWT_NBF_TYPE, "", "");
    claims("{\"iat\":1700000031}", NODE_JWT_ISSUED, "", "");
    claims("{\"iat\":\"\"}", NODE_JWT_IAT_TYPE, "", "");
    claims("{\"aud\":[]}", NODE_JWT_GOOD, "", "");
    claims("{\"aud\":[\"a\",\"b\"]}", NODE_JWT_GOOD, "", "");
    claims("{\"aud\":[\"a\",null]}", NODE_JWT_AUD_TYPE, "", "");
    claims("{\"aud\":7}", NODE_JWT_AUD_TYPE, "", "");
    claims("{\"aud\":7,\"exp\":1}", NODE_JWT_EXPIRED, "", ""); /* what comes first */
    claims("{\"role\":\"a\\u0000b\"}", NODE_JWT_CLAIMS, "", "");
    claims("{\"sub\":\"\\u0000\"}", NODE_JWT_CLAIMS, "", "");
    claims("[]", NODE_JWT_CLAIMS, "", "");
    claims("", NODE_JWT_CLAIMS, "", "");
    claims("{\"exp\":1,\"exp\":1983812996}", NODE_JWT_CLAIMS, "", "");
    claims("{\"exp\":1e999}", NODE_JWT_CLAIMS, "", "");
    claims("nonsense", NODE_JWT_CLAIMS, "", "");
    claims("[[[[[[[[[[[[]]]]]]]]]]]]", NODE_JWT_CLAIMS, "", "");
    claims("{\"a\":\"\xff\"}", NODE_JWT_CLAIMS, "", "");
}

/* Whom one is for: who is named must be among them, where it names any. */
static void test_audience(void **state) {
    static const struct {
        const char *claims;
        bool is;
    } rows[] = {{"{}", true},
                {"{\"aud\":null}", true},
                {"{\"aud\":[]}", true},
                {"{\"aud\":\"shop\"}", true},
                {"{\"aud\":[\"other\",\"shop\"]}", true},
                {"{\"aud\":\"\"}", false},
                {"{\"aud\":\"shops\"}", false},
                {"{\"aud\":[\"other\"]}", false}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct node_jwt jwt;
        assert_int_equal(node_jwt_verify(mem, sign(HS, rows[i].claims, key), keys, ARRAY_COUNT(keys), NOW, &jwt), NODE_JWT_GOOD);
        if (node_jwt_is_for(&jwt, STR("shop")) != rows[i].is) fail_msg("%s", rows[i].claims);
    }
}

/* How long a good one may be remembered. */
static void test_until(void **state) {
    struct node_jwt jwt;
    assert_int_equal(node_jwt_verify(mem, sign(HS, "{\"exp\":1700000005}", key), keys, 1, NOW, &jwt), NODE_JWT_GOOD);
    assert_int_equal(jwt.until_s, 1700000035);
    assert_int_equal(node_jwt_verify(mem, sign(HS, "{}", key), keys, 1, NOW, &jwt), NODE_JWT_GOOD);
    assert_true(jwt.until_s == INT64_MAX && !jwt.has_role && str_eqc(jwt.claims, "{}"));
}

/* The token of supabase's own documentation, made by others; and RFC 7515's of ES256 (A.3), long expired. */
static void test_others(void **state) {
    is(STR("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJzdXBhYmFzZS1kZW1vIiwicm9sZSI6ImFub24iLCJleHAiOjE5ODM4MTI5OTZ9."
           "CRXP1A7WOeoJeXxjNni43kdQwgnWNR"
           "eilDMblYTn_I0"),
       NODE_JWT_GOOD, "anon", "");
    is(STR("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
           "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"),
       NODE_JWT_EXPIRED, "", "");
}

/* A key is of one algorithm, and chosen by its id where a token says one. */
static void test_algorithms(void **state) {
    static const struct {
        const char *head;
        enum node_jwt_end end;
    } rows[] = {{"{\"alg\":\"none\"}", NODE_JWT_ALGORITHM},
                {"{\"alg\":\"None\"}", NODE_JWT_ALGORITHM},
                {"{\"alg\":\"hs256\"}", NODE_JWT_KEY},
                {"{\"alg\":\"RS256\"}", NODE_JWT_SIGNATURE}, /* by an HMAC */
                {"{\"alg\":\"RS384\"}", NODE_JWT_KEY},
                {"{\"alg\":\"PS256\"}", NODE_JWT_KEY},
                {"{\"alg\":\"EdDSA\"}", NODE_JWT_SIGNATURE},
                {"{\"alg\":\"HS512\"}", NODE_JWT_KEY},
                {"{\"alg\":\"HS256\\u0000\"}", NODE_JWT_KEY},
                {"{\"alg\":[\"HS256\"]}", NODE_JWT_MALFORMED},
                {"{}", NODE_JWT_MALFORMED},
                {"{\"alg\":null}", NODE_JWT_MALFORMED},
                {"[]", NODE_JWT_MALFORMED},
                {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", NODE_JWT_MALFORMED},
                {"{\"alg\":\"HS256\",\"alg\":\"none\"}", NODE_JWT_MALFORMED},
                {"{\"alg\":\"ES256\"}", NODE_JWT_SIGNATURE}, /* by an HMAC */
                {"{\"alg\":\"ES256\",\"kid\":\"hs\"}", NODE_JWT_KEY},
                {"{\"alg\":\"HS256\",\"kid\":\"hs\"}", NODE_JWT_GOOD}, /* the first takes any */
                {"{\"alg\":\"HS256\",\"kid\":\"../../x\",\"jwk\":{\"k\":\"\"}}", NODE_JWT_GOOD}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) is(sign(rows[i].head, "{}", key), rows[i].end, "", "");
    is(sign("{\"alg\":\"HS256\",\"kid\":\"hs\"}", "{}", STR("the second")), NODE_JWT_GOOD, "", "");
    is(sign("{\"alg\":\"HS256\"}", "{}", STR("the second")), NODE_JWT_GOOD, "", "");
    is(sign("{\"alg\":\"HS256\",\"kid\":\"es\"}", "{}", STR("the second")), NODE_JWT_SIGNATURE, "", "");
    is(sign_es("{\"alg\":\"ES256\"}", "{}"), NODE_JWT_GOOD, "", "");
    is(sign_es("{\"alg\":\"ES256\",\"kid\":\"other\"}", "{}"), NODE_JWT_KEY, "", "");
    is(sign_es("{\"alg\":\"HS256\"}", "{}"), NODE_JWT_SIGNATURE, "", "");
    /* What everybody knows of a key is no secret of another algorithm's. */
    is(sign("{\"alg\":\"HS256\",\"kid\":\"es\"}", "{}", (str){es_public, es_public_n}), NODE_JWT_SIGNATURE, "", "");
    is(sign("{\"alg\":\"HS256\",\"kid\":\"es\"}", "{}", STR("")), NODE_JWT_SIGNATURE, "", "");
    is(arena_fmt(mem, STR_FMT ".", STR_ARG(unsigned_of("{\"alg\":\"none\"}", "{}"))), NODE_JWT_ALGORITHM, "", "");
    is(arena_fmt(mem, STR_FMT ".", STR_ARG(unsigned_of(HS, "{}"))), NODE_JWT_SIGNATURE, "", "");
    is(arena_fmt(mem, STR_FMT ".", STR_ARG(unsigned_of(ES, "{}"))), NODE_JWT_SIGNATURE, "", "");
}

/* Each kind of pair, by its own algorithm alone; what somebody else signs makes nobody the service_role. */
static void test_pairs(void **state) {
    static const char *const heads[] = {"{\"alg\":\"ES256\",\"kid\":\"%s\"}", "{\"alg\":\"RS256\",\"kid\":\"%s\"}",
                                        "{\"alg\":\"EdDSA\",\"kid\":\"%s\"}"};
    static const char *const kids[] = {"es", "rs", "ed"};
    for (int by = 0; by < CRYPTO_PAIR_KINDS; by++)
        for (int says = 0; says < CRYPTO_PAIR_KINDS; says++)
            for (int kid = 0; kid < CRYPTO_PAIR_KINDS; kid++) {
                char head[64];
                snprintf(head, sizeof head, heads[says], kids[kid]);
                bool good = by == says && says == kid;
                is(sign_pair((enum crypto_pair_kind)by, head, "{\"role\":\"service_role\",\"sub\":\"u\"}"),
                   good          ? NODE_JWT_GOOD
                   : says != kid ? NODE_JWT_KEY
                                 : NODE_JWT_SIGNATURE,
                   good ? "service_role" : "", good ? "u" : "");
            }
    const char *theirs = "{\"alg\":\"EdDSA\",\"kid\":\"theirs\"}";
    is(sign_pair(CRYPTO_EDDSA, theirs, "{\"role\":\"authenticated\",\"sub\":\"u\"}"), NODE_JWT_GOOD, "authenticated", "u");
    is(sign_pair(CRYPTO_EDDSA, theirs, "{}"), NODE_JWT_GOOD, "", "");
    is(sign_pair(CRYPTO_EDDSA, theirs, "{\"role\":\"service_role\"}"), NODE_JWT_KEY, "", "");
    is(sign_pair(CRYPTO_EDDSA, theirs, "{\"role\":\"supabase_admin\"}"), NODE_JWT_KEY, "", "");
}

/* A token that names no key is tried by so many pairs and no more. */
static void test_without_kid(void **state) {
    struct node_jwt_key many[16];
    struct node_jwt jwt;
    str token = sign_es("{\"alg\":\"ES256\"}", "{}");
    for (size_t place = 0; place < ARRAY_COUNT(many); place++) {
        for (size_t i = 0; i < ARRAY_COUNT(many); i++) many[i] = keys[3];
        many[place] = keys[2];
        enum node_jwt_end end = node_jwt_verify(mem, token, many, ARRAY_COUNT(many), NOW, &jwt);
        assert_int_equal(end, place < 4 ? NODE_JWT_GOOD : NODE_JWT_SIGNATURE);
    }
}

static void no_other(str good) {
    struct node_jwt jwt;
    for (size_t i = 0; i < good.n; i++) { /* no character can be another */
        uint8_t *bent = (uint8_t *)arena_cstr(mem, good);
        bent[i] = bent[i] == 'A' ? 'B' : 'A';
        if (node_jwt_verify(mem, (str){bent, good.n}, keys, ARRAY_COUNT(keys), NOW, &jwt) == NODE_JWT_GOOD)
            fail_msg("byte %zu", i);
        if (node_jwt_verify(mem, str_sub(good, 0, i), keys, ARRAY_COUNT(keys), NOW, &jwt) == NODE_JWT_GOOD)
            fail_msg("cut at %zu", i);
    }
}

static void test_signatures(void **state) {
    struct node_jwt jwt;
    str good = sign(HS, "{\"role\":\"anon\"}", key);
    is(good, NODE_JWT_GOOD, "anon", "");
    is(sign(HS, "{}", STR("another")), NODE_JWT_SIGNATURE, "", "");
    is(sign(HS, "{}", STR("")), NODE_JWT_SIGNATURE, "", "");
    const struct node_jwt_key without = {.algorithm = NODE_KEY_HS256};
    assert_int_equal(node_jwt_verify(mem, sign(HS, "{}", STR("")), &without, 1, NOW, &jwt),
                     NODE_JWT_SIGNATURE);                                             /* a key without a secret */
    assert_int_equal(node_jwt_verify(mem, good, NULL, 0, NOW, &jwt), NODE_JWT_LACKS); /* an app without keys */
    no_other(good);
    no_other(sign_es(ES, "{}"));
    no_other(sign_pair(CRYPTO_RS256, "{\"alg\":\"RS256\",\"kid\":\"rs\"}", "{}"));
    no_other(sign_pair(CRYPTO_EDDSA, "{\"alg\":\"EdDSA\",\"kid\":\"ed\"}", "{}"));
}

static void test_nonsense(void **state) {
    static const char *const none[] = {
        "", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d", "eyJhbGciOiJIUzI1NiJ9=.e30.x", "eyJhbGciOiJIUzI1NiJ9 .e30.x"};
    struct node_jwt jwt;
    for (size_t i = 0; i < ARRAY_COUNT(none); i++)
        if (node_jwt_verify(mem, str_c(none[i]), keys, ARRAY_COUNT(keys), NOW, &jwt) == NODE_JWT_GOOD) fail_msg("%s", none[i]);
    is(STR(""), NODE_JWT_EMPTY, "", "");
    assert_int_equal(node_jwt_verify(mem, STR("a.b.c.d."), keys, ARRAY_COUNT(keys), NOW, &jwt), NODE_JWT_PARTS);
    assert_int_equal(jwt.parts, 5);
    char *claims_text = arena_array(mem, char, 10'001);
    memset(claims_text, ' ', 10'000);
    claims_text[10'000] = 0;
    is(sign(HS, claims_text, key), NODE_JWT_MALFORMED, "", "");
}

static int begin(void **state) {
    mem = arena_new(0);
    static uint8_t rfc[65];
    for (int kind = 0; kind < CRYPTO_PAIR_KINDS; kind++) {
        uint8_t secret[CRYPTO_PAIR_SECRET_MAX], public[CRYPTO_PAIR_PUBLIC_MAX];
        size_t n, public_n;
        crypto_pair_make((enum crypto_pair_kind)kind, secret, &n);
        assert_true(crypto_pair_public((enum crypto_pair_kind)kind, (str){secret, n}, public, &public_n));
        own[kind] = (struct own){crypto_pair_signer((enum crypto_pair_kind)kind, (str){secret, n}),
                                 crypto_pair_verifier((enum crypto_pair_kind)kind, (str){public, public_n})};
        if (kind == CRYPTO_ES256) memcpy(es_public, public, public_n), es_public_n = public_n;
    }
    assert_true(str_to_bytes(
        STR("047fcdce2770f6c45d4183cbee6fdb4b7b580733357be9ef13bacf6e3c7bd15445c7f144cd1bbd9b7e872cdfedb9eeb9f4b3695d6ea9"
            "0b24ad8a4623288588e5ad"),
        rfc, sizeof rfc));
    keys[0] = (struct node_jwt_key){NODE_KEY_HS256, STR("old"), .any_kid = true, .secret = key};
    keys[1] = (struct node_jwt_key){NODE_KEY_HS256, STR("hs"), .secret = STR("the second")};
    keys[2] = (struct node_jwt_key){NODE_KEY_ES256, STR("es"), .public = own[CRYPTO_ES256].verifier};
    keys[3] =
        (struct node_jwt_key){NODE_KEY_ES256, STR("rfc"), .public = crypto_pair_verifier(CRYPTO_ES256, (str){rfc, sizeof rfc})};
    keys[4] = (struct node_jwt_key){NODE_KEY_RS256, STR("rs"), .public = own[CRYPTO_RS256].verifier};
    keys[5] = (struct node_jwt_key){NODE_KEY_EDDSA, STR("ed"), .public = own[CRYPTO_EDDSA].verifier};
    keys[6] = (struct node_jwt_key){NODE_KEY_EDDSA, STR("theirs"), .foreign = true, .public = own[CRYPTO_EDDSA].verifier};
    return 0;
}
static int end(void **state) {
    for (int kind = 0; kind < CRYPTO_PAIR_KINDS; kind++) crypto_pair_free(own[kind].signer), crypto_pair_free(own[kind].verifier);
    crypto_pair_free(keys[3].public);
    return arena_free(mem), 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),   cmocka_unit_test(test_audience),   cmocka_unit_test(test_until),
        cmocka_unit_test(test_others),   cmocka_unit_test(test_algorithms), cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_nonsense), cmocka_unit_test(test_pairs),      cmocka_unit_test(test_without_kid)};
    return cmocka_run_group_tests(tests, begin, end);
}
