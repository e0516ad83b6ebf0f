/* What needs no node: where links may lead, and that who is no user costs as much as who is. The rest is tests/apps/users_test.py's. */
#include "auth/auth.h"
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
static void mailed(void *arg, const char *kind, str to, str link, str code) {}

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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_led), cmocka_unit_test(test_led_long),
                                       cmocka_unit_test(test_nobody_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
