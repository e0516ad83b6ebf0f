/* Patterns: what they match, paths as guests read them, and where redirects lead. */
#include "app/pattern.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_patterns(void **state) {
    static const char *const wrong[] = {"",
                                        "a",
                                        "/a b",
                                        "/a?b",
                                        "/a#b",
                                        "/*/*",
                                        "**",
                                        "/*/:x",
                                        "/:",
                                        "/:a.b",
                                        "/x:y/:a:b",
                                        "/a\\b",
                                        "/:1/:2/:3/:4/:5/:6/:7/:8/:9"};
    static const char *const fine[] = {"/", "*", "/*", "*.html", "/:a", "/a/:b/*", "/x:y", "/a*b", "/a/*.js"};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++)
        if (!app_pattern_wrong(str_c(wrong[i]))) fail_msg("%s", wrong[i]);
    for (size_t i = 0; i < ARRAY_COUNT(fine); i++)
        if (app_pattern_wrong(str_c(fine[i]))) fail_msg("%s", fine[i]);
}

static void test_match(void **state) {
    static const struct {
        const char *pattern, *path, *names; /* NULL: it does not match */
    } table[] = {
        {"/", "/", ""},
        {"/", "/a", NULL},
        {"/about", "/about", ""},
        {"/about", "/about/", ""},
        {"/about/", "/about", ""},
        {"/about", "/abouts", NULL},
        {"/about", "/about/x", NULL},
        {"/docs/*", "/docs", "splat="},
        {"/docs/*", "/docs/", "splat="},
        {"/docs/*", "/docs/a/b", "splat=a/b"},
        {"/docs/*", "/docsx", NULL},
        {"/*", "/", "splat="},
        {"*", "/a", "splat=/a"},
        {"*.html", "/a/b.html", "splat=/a/b"},
        {"*.html", "/a/b.htm", NULL},
        {"/a*a", "/a", NULL}, /* no byte counts twice */
        {"/a*a", "/aa", "splat="},
        {"/users/:id", "/users/7", "id=7"},
        {"/users/:id", "/users/7/", "id=7"},
        {"/users/:id", "/users/", NULL},
        {"/users/:id/x", "/users/7/x", "id=7"},
        {"/:a/:b/*", "/1/2/3/4", "a=1 b=2 splat=3/4"},
        {"/:a/:b", "/1", NULL},
        {"/x:y", "/x:y", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        struct app_matched names;
        struct buf b = {0};
        bool matches = app_pattern_match(str_c(table[i].pattern), str_c(table[i].path), &names);
        for (uint32_t k = 0; matches && k < names.n; k++)
            buf_printf(&b, "%s" STR_FMT "=" STR_FMT, k ? " " : "", STR_ARG(names.of[k].name), STR_ARG(names.of[k].value));
        if (matches != (table[i].names != NULL) || (matches && !str_eqc(buf_str(&b), table[i].names)))
            fail_msg("%s of %s: %d " STR_FMT, table[i].pattern, table[i].path, matches, STR_ARG(buf_str(&b)));
        assert_int_equal(app_pattern_match(str_c(table[i].pattern), str_c(table[i].path), NULL), matches);
        buf_free(&b);
    }
}

static void test_normal(void **state) {
    static const char *const table[][2] = {
        {"/a/b", "/a/b"},
        {"/a?b=/../c", "/a"},
        {"/%61dmin", "/admin"},
        {"//admin", "/admin"},
        {"/x/../admin", "/admin"},
        {"/x/%2e%2E/admin", "/admin"},
        {"/./admin", "/admin"},
        {"/admin/.", "/admin/"},
        {"/admin/x/..", "/admin/"},
        {"/..", "/"},
        {"/../../x", "/x"},
        {"\\admin", "/admin"},
        {"/a%2Fb", "/a%2Fb"},
        {"/a%2fb/%41", "/a%2fb/A"},
        {"/%", "/%"},
        {"/%zz%4", "/%zz%4"},
        {"/a//b///c", "/a/b/c"},
        {"/%5c%5cx", "/x"},
        {"/.well", "/.well"},
        {"/...", "/..."},
        {"*", "*"},
        {"", ""},
        {"/%2561", "/%61"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        struct buf b = {0};
        str is = app_path_normal(str_c(table[i][0]), &b);
        if (!str_eqc(is, table[i][1])) fail_msg("%s: " STR_FMT, table[i][0], STR_ARG(is));
        buf_free(&b);
    }
}

/* Whatever reading of it is the guest's: what forbids is not got round, what allows is not borrowed. */
static void test_readings(void **state) {
    static const struct {
        const char *path;
        bool any, all; /* of "/a/admin/" and below */
    } table[] = {{"/a/admin/x", true, true},           {"/a/admin", true, true},
                 {"/a/%61dmin/x", true, false},        {"/a/admin/%2e%2e/x", true, false},
                 {"/a/%61dmin/%2e%2e/x", true, false}, {"/a/x/../admin/y", true, false},
                 {"/a//admin", true, false},           {"/a/x", false, false}};
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        struct app_paths p;
        app_paths_of(&p, str_c(table[i].path));
        if (app_paths_any(&p, STR("/a/admin/*")) != table[i].any || app_paths_all(&p, STR("/a/admin/*")) != table[i].all)
            fail_msg("%s", table[i].path);
        app_paths_free(&p);
    }
}

static void test_targets(void **state) {
    static const struct {
        const char *pattern, *path, *target, *leads;
    } table[] = {
        {"/blog/:slug", "/blog/x-1", "/posts/:slug", "/posts/x-1"},
        {"/old/*", "/old/a/b", "/new/:splat", "/new/a/b"},
        {"/old/*", "/old", "/new/:splat", "/new/"},
        {"/*", "//evil.example", "/:splat", "/evil.example"},
        {"/*", "/\\\\evil.example", "/:splat", "/evil.example"},
        {"/*", "///evil", "/:splat", "/evil"},
        {"/:a/*", "/x//evil", "/:splat", "/evil"},
        {"/*", "/x", "https://other.example/:splat?from=:splat", "https://other.example/x?from=x"},
        {"/:q", "/a&b", "/s?q=:q", "/s?q=a%26b"},
        {"/:q", "/a\r\nx", "/s?q=:q", "/s?q=a%0D%0Ax"},
        {"/:q", "/\xc3\xa4", "/:q", "/%C3%A4"},
        {"/x", "/x", "/at/10:30", "/at/10:30"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++) {
        struct app_matched names;
        struct buf b = {0};
        assert_true(app_pattern_match(str_c(table[i].pattern), str_c(table[i].path), &names));
        assert_null(app_target_wrong(str_c(table[i].target), str_c(table[i].pattern), NULL, 0));
        app_target_fill(&b, str_c(table[i].target), &names);
        if (!str_eqc(buf_str(&b), table[i].leads)) fail_msg("%s: " STR_FMT, table[i].path, STR_ARG(buf_str(&b)));
        buf_free(&b);
    }
    assert_non_null(app_target_wrong(STR("/:no"), STR("/:yes"), NULL, 0));
    assert_non_null(app_target_wrong(STR("/:splat"), STR("/x"), NULL, 0));
    assert_null(app_target_wrong(STR("https://h:8080/x"), STR("/x"), NULL, 0));
    assert_null(app_target_wrong(STR("/:id"), STR("/x"), &STR("id"), 1));
    assert_false(app_target_has_names(STR("https://:x")));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_patterns), cmocka_unit_test(test_match),
                                       cmocka_unit_test(test_normal), cmocka_unit_test(test_targets),
                                       cmocka_unit_test(test_readings)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
