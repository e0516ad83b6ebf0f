/* What needs no node: where links may lead, and that who is no user costs as much as who is. The rest is tests/apps/users_test.py's. */
#include "auth/auth_int.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const str site = STR_INIT("https://app.example");
static str globs[] = {
    STR_INIT("myapp://**"),           STR_INIT("https://*.preview.example/*"), STR_INIT("https://exact.example/in"),
    STR_INIT("https://b.example/**"), STR_INIT("https://**.deep.example/**"),  STR_INIT("exp://1?.example/a"),
    STR_INIT("com.shop://callback*")};

static bool may(const char *url) {
    struct app_auth config;
    app_auth_usual(&config);
    config.redirects.p = globs, config.redirects.n = ARRAY_COUNT(globs);
    return auth_may_lead_to(&config, site, str_c(url));
}

static void test_led(void **state) {
    static const char *const yes[] = {"https://app.example",
                                      "https://app.example/a?b=c#d",
                                      "HTTPS://APP.example/x",
                                      "myapp://callback",
                                      "myapp://callback/deep?x=1#y",
                                      "https://x.preview.example/a",
                                      "https://exact.example/in",
                                      "https://exact.example/in#here",
                                      "https://b.example/a/b.c/d",
                                      "http://127.0.0.1:5173/x",
                                      "http://[::1]:3000/",
                                      "exp://12.example/a",
                                      "https://a.b.deep.example/x/y?z",
                                      "https://a.deep.example/",
                                      "com.shop://callback",
                                      "com.shop://callback?from=mail#x"};
    static const char *const no[] = {"",
                                     "/relative",
                                     "//evil.example",
                                     "https://evil.example",
                                     "https://app.example.evil.example",
                                     "https://app.example@evil.example",
                                     "https://app.example:443@evil.example/",
                                     "https://evil.example\\@app.example",
                                     "https://app.example\\.evil.example",
                                     "https:/\\evil.example",
                                     "https:\\\\evil.example",
                                     "http://app.example",
                                     "https://app.example:8443",
                                     "https://app.example\r\nX: y",
                                     "https://app.example\tx",
                                     " https://app.example",
                                     "javascript://app.example/%0aalert(1)",
                                     "data://app.example/x",
                                     "JaVaScRiPt://x",
                                     "https://2130706433/",
                                     "https://0x7f000001/",
                                     "http://8.8.8.8/",
                                     "https://x.y.preview.example/a",
                                     "https://x.preview.example/a/b",
                                     "https://preview.example/a",
                                     "https://evil.example/.preview.example/a",
                                     "https://evil.example?.preview.example/a",
                                     "https://evil.example#.preview.example/a",
                                     "https://evil?.preview.example/a",
                                     "https://0x08080808?.preview.example/a",
                                     "https://0X8080808:80?.preview.example/a",
                                     "https://8.8.0x808?.preview.example/a",
                                     "https://evil:1.preview.example/a",
                                     "https://evil:.preview.example/a",
                                     "myapp://0x08080808/",
                                     "exp://1?.example/a",
                                     "https://evil.example/.deep.example/",
                                     "https://evil.example?.deep.example/",
                                     "https://evil.example/x.deep.example/a",
                                     "https://exact.example/in/x",
                                     "https://exact.example/in?x",
                                     "https://b.example.evil.example/",
                                     "https://аpp.example",
                                     "http://127.0.0.1.evil.example/",
                                     "http://127.0.0.1@evil.example/",
                                     "exp://1/.example/a",
                                     "com.shop://callback/x",
                                     "com.shop://callback?from=a.b"};
    for (size_t i = 0; i < ARRAY_COUNT(yes); i++)
        if (!may(yes[i])) fail_msg("%s is refused", yes[i]);
    for (size_t i = 0; i < ARRAY_COUNT(no); i++)
        if (may(no[i])) fail_msg("%s is let through", no[i]);
}

/* Whatever the glob, and whatever is asked: it comes to an end soon. */
static void test_led_long(void **state) {
    static char glob[2049], url[2049];
    struct app_auth config;
    app_auth_usual(&config);
    for (size_t i = 0; i < 2048; i++) glob[i] = i % 3 ? '*' : 'a', url[i] = 'a';
    memcpy(glob, "x://", 4), memcpy(url, "x://", 4);
    glob[2047] = 'b';
    config.redirects.p = &(str){(uint8_t *)glob, 2048}, config.redirects.n = 1;
    assert_false(auth_may_lead_to(&config, site, (str){(uint8_t *)url, 2048}));
}

/* ---- whether somebody is a user: as much is done for him as for who is none ---- */

struct counts {
    bool there;                                     /* the user whom everybody asks for */
    uint32_t reads, writes, hashes, verifies, kept; /* kept: of the writes, those that are something whatever is there */
};

/* A database of one user, or of none: what is written is taken, and what was made is found. */
static bool query(void *arg, arena *out, str batch, str *answer, struct pg_error *error) {
    struct counts *c = arg;
    static const char user[] =
        "{\"id\":\"7f5a1c1e-9d4b-4c7e-8f00-0123456789ab\",\"aud\":\"authenticated\",\"role\":\"authenticated\",\"email\":\"ann@"
        "example."
        "com\",\"encrypted_password\":\"$argon2id$x\",\"email_confirmed_at\":\"2024-05-01T10:00:00+00:00\",\"identities\":[]}";
    struct json v;
    struct diag d = DIAG_INIT;
    static const struct json_limits limits = {1 << 20, 64, 10'000};
    assert_int_equal(json_read(out, batch, &limits, &v, &d), ERR_OK);
    const struct json *trees = json_get(&v, "batch");
    bool writes = false, keeps = false;
    for (uint32_t i = 0; i < json_count(trees); i++)
        writes |= !str_eqc(json_str(json_get(json_item(trees, i), "kind")), "select");
    for (uint32_t i = 0; i < json_count(trees); i++) keeps |= str_eqc(json_str(json_get(json_item(trees, i), "kind")), "insert");
    c->kept += keeps;
    *(writes ? &c->writes : &c->reads) += 1;
    struct buf b = {0};
    buf_putc(&b, '[');
    for (uint32_t i = 0; i < json_count(trees); i++) {
        bool gives = (c->there || writes) && str_eqc(json_str(json_get(json_item(trees, i), "kind")), "select");
        buf_printf(&b, "%s{\"rows\":[%s],\"affected\":1}", i ? "," : "", gives ? user : "");
    }
    buf_putc(&b, ']');
    *answer = arena_str(out, buf_str(&b));
    buf_free(&b);
    return true;
}

static enum auth_done hash(void *arg, arena *out, str password, str *made) {
    ((struct counts *)arg)->hashes++;
    *made = STR("$argon2id$y");
    return AUTH_DONE;
}

static enum auth_done verify(void *arg, str password, str hash, bool *right, bool *old) {
    ((struct counts *)arg)->verifies++;
    *right = *old = false;
    return AUTH_DONE;
}

static enum auth_done sign(void *arg, arena *out, str claims, str *token) {
    *token = STR("a.b.c");
    return AUTH_DONE;
}

static uint64_t limit(void *arg, str key, uint64_t each_ns, uint64_t burst, bool take) { return 0; }
static void failed(void *arg, const char *what, const struct pg_error *error) { fail_msg("%s: %s", what, error->message); }
static void mailed(void *arg, bool sms, const char *kind, str to, str link, str code) {}

static struct counts ask(bool there, const char *path, const char *query_text, const char *body, uint16_t *status, str *said,
                         arena *mem) {
    struct counts c = {.there = there};
    const struct auth_host host = {.arg = &c,
                                   .now_us = 1'700'000'000'000'000,
                                   .query = query,
                                   .hash = hash,
                                   .verify = verify,
                                   .sign = sign,
                                   .limit = limit,
                                   .failed = failed,
                                   .mailed = mailed};
    struct app_auth config;
    struct auth_response answer;
    app_auth_usual(&config);
    config.on = config.confirm_email = true;
    const struct auth_request rq = {.method = STR("POST"),
                                    .path = str_c(path),
                                    .query = str_c(query_text),
                                    .body = str_c(body),
                                    .address = STR("203.0.113.7"),
                                    .url = STR("https://shop.example"),
                                    .role = STR("anon")};
    auth_serve(&host, &config, &rq, mem, &answer);
    *status = answer.status, *said = answer.body;
    return c;
}

static void test_nobody_is_told(void **state) {
    static const struct {
        const char *path, *query, *body;
    } cases[] = {{"/token", "grant_type=password", "{\"email\":\"ann@example.com\",\"password\":\"wrong horse\"}"},
                 {"/signup", "", "{\"email\":\"ann@example.com\",\"password\":\"any horse\"}"},
                 {"/recover", "", "{\"email\":\"ann@example.com\"}"},
                 {"/resend", "", "{\"email\":\"ann@example.com\",\"type\":\"signup\"}"},
                 {"/otp", "", "{\"email\":\"ann@example.com\"}"},
                 {"/magiclink", "", "{\"email\":\"ann@example.com\"}"}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        arena *mem = arena_new(0);
        uint16_t known_status, other_status;
        str known_said, other_said;
        struct counts known = ask(true, cases[i].path, cases[i].query, cases[i].body, &known_status, &known_said, mem);
        struct counts other = ask(false, cases[i].path, cases[i].query, cases[i].body, &other_status, &other_said, mem);
        bool same = known.reads == other.reads && known.writes == other.writes && known.hashes == other.hashes &&
                    known.verifies == other.verifies && known.kept == other.kept && known_status == other_status;
        if (!same)
            fail_msg("%s: %u reads, %u writes, %u hashes, %u comparisons, %u of a user; %u, %u, %u, %u, %u of nobody",
                     cases[i].path, known.reads, known.writes, known.hashes, known.verifies, known_status, other.reads,
                     other.writes, other.hashes, other.verifies, other_status);
        if (i != 1) assert_true(str_eq(known_said, other_said)); /* a sign-up's has an id of its own */
        assert_true(known.reads + known.writes > 0);
        arena_free(mem);
    }
}

/* RFC 6238, appendix B (the last six of its eight digits); around each the half minutes next to it hold, and no other. */
static void test_totp(void **state) {
    static const struct {
        int64_t now_s;
        const char *code;
    } cases[] = {{59, "287082"},
                 {1'111'111'109, "081804"},
                 {1'111'111'111, "050471"},
                 {1'234'567'890, "005924"},
                 {2'000'000'000, "279037"},
                 {20'000'000'000, "353130"}};
    static const char *const bad[] = {"",
                                      "28708",
                                      "2870822",
                                      "28708a",
                                      "-87082",
                                      "287083",
                                      "\xef\xbc\x92"
                                      "82"};
    arena *mem = arena_new(0);
    str secret = auth_base32(mem, STR("12345678901234567890"));
    uint64_t step;
    assert_true(str_eqc(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"));
    assert_true(str_eqc(auth_base32(mem, STR("f")), "MY") && str_eqc(auth_base32(mem, STR("foob")), "MZXW6YQ"));
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        str code = str_c(cases[i].code);
        for (int near = -1; near <= 1; near++) {
            if (cases[i].now_s + near * 30 <= 30) continue;
            assert_true(auth_totp_is(secret, code, cases[i].now_s + near * 30, &step));
            assert_int_equal(step, cases[i].now_s / 30);
        }
        assert_false(auth_totp_is(secret, code, cases[i].now_s + 60, &step));
        assert_false(auth_totp_is(secret, code, MAX(cases[i].now_s - 60, (int64_t)0), &step));
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) assert_false(auth_totp_is(secret, str_c(bad[i]), 59, &step));
    assert_true(auth_totp_is(STR("gezdgnbvgy3tqojqgezdgnbvgy3tqojq===="), STR("287082"), 59, &step)); /* as others write it */
    static const char *const no[] = {"", "1", "GEZDGNBV0",
                                     "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3"
                                     "TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"};
    for (size_t i = 0; i < ARRAY_COUNT(no); i++) assert_false(auth_totp_is(str_c(no[i]), STR("287082"), 59, &step));
    arena_free(mem);
}

static uint32_t count_of(str text, const char *what) {
    uint32_t n = 0;
    for (size_t i = 0; i + strlen(what) <= text.n; i++) n += !memcmp(text.p + i, what, strlen(what));
    return n;
}

/* The picture: three corners that say where it is, and nothing that a data URI would have to escape. */
static void test_picture(void **state) {
    arena *mem = arena_new(0);
    str svg, uri = auth_totp_uri(mem, STR("A & B: shop/?#"), STR("ann+x@example.com"), STR("GEZDGNBVGY3TQOJQ"));
    assert_true(str_eqc(uri, "otpauth://totp/A%20%26%20B%3A%20shop%2F%3F%23:ann%2Bx@example.com?algorithm=SHA1&digits=6&issuer="
                             "A%20%26%20B%3A%20shop%2F%3F%23&period=30&secret=GEZDGNBVGY3TQOJQ"));
    assert_true(auth_qr_svg(mem, uri, &svg));
    assert_false(memchr(svg.p, '#', svg.n) || memchr(svg.p, '%', svg.n) || memchr(svg.p, '&', svg.n) ||
                 memchr(svg.p, '\'', svg.n));
    assert_true(count_of(svg, "M4 4h7v1h-7z") == 1 && count_of(svg, "M4 10h7v1h-7z") == 1 && count_of(svg, "h7v1h-7z") >= 6);
    uint8_t *much = arena_alloc(mem, 4000, 1);
    memset(much, 'a', 4000);
    assert_false(auth_qr_svg(mem, (str){much, 4000}, &svg));
    assert_true(auth_qr_svg(mem, (str){much, 1200}, &svg));
    arena_free(mem);
}

/* What manifests know by name is what there is. */
static void test_presets(void **state) {
    static const char *const names[] = {
#define PROVIDER(name, ...) #name,
#include "auth/providers.def"
#undef PROVIDER
    };
#define X(name) +1
    assert_int_equal(ARRAY_COUNT(names), 0 APP_PROVIDERS_LIST(X));
#undef X
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) assert_true(app_provider_known(str_c(names[i])));
    assert_false(app_provider_known(STR("acme")) || app_provider_known(STR("")));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_presets),  cmocka_unit_test(test_led),
                                       cmocka_unit_test(test_led_long), cmocka_unit_test(test_nobody_is_told),
                                       cmocka_unit_test(test_totp),     cmocka_unit_test(test_picture)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
