/* CORS: what a page of another origin hears. */
#include "node/worker/cors.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static arena *mem;

static struct app_cors rules(const char *origins, const char *methods, const char *headers, const char *expose,
                             bool credentials) {
    struct app_cors c = {.credentials = credentials, .max_age_s = 600};
    const char *const texts[] = {origins, methods, headers, expose};
    for (int i = 0; i < 4; i++)
        for (str rest = str_c(texts[i]), one; rest.n;) {
            str_cut(rest, ' ', &one, &rest);
            if (i == 0) vec_push(mem, &c.origins, one);
            if (i == 1) vec_push(mem, &c.methods, one);
            if (i == 2) vec_push(mem, &c.headers, one);
            if (i == 3) vec_push(mem, &c.expose, one);
        }
    return c;
}

static str said(const struct node_cors_fields *f) {
    struct buf b = {0};
    for (uint32_t i = 0; i < f->n; i++)
        buf_printf(&b, STR_FMT ": " STR_FMT "\n", STR_ARG(f->of[i].name), STR_ARG(f->of[i].value));
    str text = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return text;
}

static void hears(const struct app_cors *c, const char *method, const char *origin, const char *asked_method,
                  const char *asked_headers, bool ok, const char *text) {
    struct net_field fields[3];
    uint32_t n = 0;
    if (origin) fields[n++] = (struct net_field){STR("Origin"), str_c(origin)};
    if (asked_method) fields[n++] = (struct net_field){STR("Access-Control-Request-Method"), str_c(asked_method)};
    if (asked_headers) fields[n++] = (struct net_field){STR("access-control-request-headers"), str_c(asked_headers)};
    struct node_cors_asked asked = node_cors_asked(str_c(method), fields, n);
    struct node_cors_fields f;
    bool got = node_cors_answer(c, &asked, &f);
    if (got != ok || !str_eqc(said(&f), text))
        fail_msg("%s %s: %d\n" STR_FMT, method, origin ? origin : "-", got, STR_ARG(said(&f)));
    node_cors_free(&f);
}

#define VARY "vary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\n"
static void test_named(void **state) {
    struct app_cors c = rules("https://shop.example https://*.shop.example", "", "", "x-total x-page", true);
    hears(&c, "GET", "https://shop.example", NULL, NULL, true,
          "vary: Origin\naccess-control-allow-origin: https://shop.example\naccess-control-allow-credentials: true\n"
          "access-control-expose-headers: x-total, x-page\n");
    hears(&c, "GET", "https://a.shop.example", NULL, NULL, true,
          "vary: Origin\naccess-control-allow-origin: https://a.shop.example\naccess-control-allow-credentials: true\n"
          "access-control-expose-headers: x-total, x-page\n");
    static const char *const others[] = {
        "https://evil.example",     "http://shop.example",        "https://shop.example.evil", "https://.shop.example", "null",
        "https://a/b.shop.example", "https://evil:1.shop.example"};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        hears(&c, "GET", others[i], NULL, NULL, true, "vary: Origin\n");
        hears(&c, "OPTIONS", others[i], "GET", NULL, false, VARY);
    }
    hears(&c, "GET", NULL, NULL, NULL, true, "vary: Origin\n");
    hears(&c, "OPTIONS", "https://shop.example", "DELETE", "X-One, content-type", true,
          VARY "access-control-allow-origin: https://shop.example\naccess-control-allow-credentials: "
               "true\naccess-control-allow-methods: DELETE\n"
               "access-control-allow-headers: X-One, content-type\naccess-control-max-age: 600\n");
    hears(&c, "OPTIONS", "https://shop.example", "TRACE", NULL, false, VARY);
    hears(&c, "OPTIONS", "https://shop.example", NULL, NULL, true,
          "vary: Origin\naccess-control-allow-origin: https://shop.example\naccess-control-allow-credentials: true\n"
          "access-control-expose-headers: x-total, x-page\n"); /* asks nothing: the app's to answer */
}

static void test_lists(void **state) {
    struct app_cors c = rules("https://a.example", "PURGE", "x-one x-two", "", false),
                    any = rules("https://a.example", "*", "*", "", false);
    hears(&c, "OPTIONS", "https://a.example", "PURGE", "X-TWO", true,
          VARY "access-control-allow-origin: https://a.example\naccess-control-allow-methods: "
               "PURGE\naccess-control-allow-headers: X-TWO\n"
               "access-control-max-age: 600\n");
    hears(&c, "OPTIONS", "https://a.example", "POST", NULL, true,
          VARY
          "access-control-allow-origin: https://a.example\naccess-control-allow-methods: POST\naccess-control-max-age: 600\n");
    hears(&c, "OPTIONS", "https://a.example", "DELETE", NULL, false, VARY);
    hears(&c, "OPTIONS", "https://a.example", "GET", "x-one, x-three", false, VARY);
    hears(&any, "OPTIONS", "https://a.example", "ANY", "x", true,
          VARY
          "access-control-allow-origin: https://a.example\naccess-control-allow-methods: ANY\naccess-control-allow-headers: x\n"
          "access-control-max-age: 600\n");
}

static void test_any(void **state) {
    struct app_cors c = rules("*", "", "", "", true); /* cookies are nobody's business then */
    hears(&c, "GET", "https://x.example", NULL, NULL, true, "access-control-allow-origin: *\n");
    hears(&c, "GET", NULL, NULL, NULL, true, "access-control-allow-origin: *\n");
    struct node_cors_asked asked = {
        .origin = STR("https://x"), .preflight = true, .method = STR("POST"), .headers = STR("apikey")};
    struct node_cors_fields f;
    node_cors_answer_any(&asked, &f);
    assert_true(str_eqc(
        said(&f), "access-control-allow-origin: *\naccess-control-allow-methods: POST\naccess-control-allow-headers: apikey\n"
                  "access-control-max-age: 86400\n"));
    node_cors_free(&f);
    assert_true(node_cors_field(STR("Access-Control-Allow-Origin")) && !node_cors_field(STR("access-control-")) &&
                !node_cors_field(STR("vary")));
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_named), cmocka_unit_test(test_lists), cmocka_unit_test(test_any)};
    return cmocka_run_group_tests(tests, begin, end);
}
