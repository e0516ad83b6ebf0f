/* What needs no database: where links may lead. The rest is tests/apps/users_test.py's. */
#include "auth/auth.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const str site = STR_INIT("https://app.example");
static str globs[] = {STR_INIT("myapp://**"), STR_INIT("https://*.preview.example/*"), STR_INIT("https://exact.example/in"),
                      STR_INIT("https://b.example/**"), STR_INIT("exp://1?.example/a")};

static bool may(const char *url) {
    struct app_auth config;
    app_auth_usual(&config);
    config.redirects.p = globs, config.redirects.n = ARRAY_COUNT(globs);
    return auth_may_lead_to(&config, site, str_c(url));
}

static void test_led(void **state) {
    static const char *const yes[] = {
        "https://app.example",         "https://app.example/a?b=c#d", "HTTPS://APP.example/x",    "myapp://callback",
        "myapp://callback/deep?x=1#y", "https://x.preview.example/a", "https://exact.example/in", "https://exact.example/in#here",
        "https://b.example/a/b.c/d",   "http://127.0.0.1:5173/x",     "http://[::1]:3000/",       "exp://12.example/a"};
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
                                     "https://exact.example/in/x",
                                     "https://exact.example/in?x",
                                     "https://b.example.evil.example/",
                                     "https://аpp.example",
                                     "http://127.0.0.1.evil.example/",
                                     "http://127.0.0.1@evil.example/",
                                     "exp://1/.example/a"};
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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_led), cmocka_unit_test(test_led_long)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
