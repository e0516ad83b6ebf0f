/* name: labels, extern names, versions and how imports match what is offered. */
#include "component/component_int.h"

#include <setjmp.h>

#include <cmocka.h>

static void test_labels(void **state) {
    (void)state;
    static const char *const good[] = {"a",     "a1",     "a-b-c",     "a1-2-3",       "A",
                                       "A-B-C", "A1-2-3", "a11-w0rds", "A11-4CR0NYMS", "m1x3d-4CR0NYMS"};
    static const char *const bad[] = {"1", "1-a", "a-", "-a", "a--b", "aBc", "Ab", "a_b", "a.b", "\xc3\xa9"};
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) assert_int_equal(cname_label(str_c(good[i]), "flag", NULL, 0), ERR_OK);
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct diag d = DIAG_INIT;
        assert_int_equal(cname_label(str_c(bad[i]), "flag", &d, 7), ERR_INVALID);
        assert_non_null(strstr(d.text, "is not in kebab case"));
        assert_int_equal(d.offset, 7);
    }
    struct diag d = DIAG_INIT;
    assert_int_equal(cname_label(STR(""), "flag", &d, 0), ERR_INVALID);
    assert_string_equal(d.text, "flag name cannot be empty");
}

static void test_extern_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        bool ok, interface;
    } cases[] = {
        {"run", true, false},
        {"wasi:http/types", true, true},
        {"wasi:http/types@0.2.10", true, true},
        {"wasi:http/types@0.3.0-rc-2026-03-15", true, true},
        {"a:b/C-d@1.2.3+build.5", true, true},
        {"a:b/c@0.2", true, true},
        {"a:b/c@1", true, true},
        {"[constructor]fields", true, false},
        {"[method]fields.append", true, false},
        {"[static]fields.from-list", true, false},
        {"[method]fields", false, false},
        {"[method]a.b.c", false, false},
        {"[other]a", false, false},
        {"wasi:http", false, false},
        {"wasi:http/types/more", false, false},
        {"a:b:c/d", false, false},
        {"A:b/c", false, false},
        {"a:b/c@", false, false},
        {"a:b/c@1.2", false, false},
        {"a:b/c@01.2.3", false, false},
        {"a:b/c@1.2.3-", false, false},
        {"a:b/c@1.2.3-01", false, false},
        {"a:b/c@1.2.3+", false, false},
        {"url=<https://x>", false, false},
        {"", false, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        bool interface = false;
        struct diag d = DIAG_INIT;
        err e = cname_extern(str_c(cases[i].name), &interface, &d, 0);
        if ((e == ERR_OK) != cases[i].ok) fail_msg("%s: %s", cases[i].name, d.text);
        if (cases[i].ok) assert_int_equal(interface, cases[i].interface);
    }
}

static void test_uniqueness(void **state) {
    (void)state;
    static const char *const same[][2] = {{"foo", "FOO"},
                                          {"foo-bar", "foo-BAR"},
                                          {"[method]foo.foo", "foo"},
                                          {"[static]foo-BAR.FOO-bar", "foo-bar"},
                                          {"[method]foo.bar", "[static]FOO.BAR"},
                                          {"[constructor]foo", "[constructor]FOO"},
                                          {"foo:bar/baz", "foo:bar/BAZ"}};
    static const char *const different[] = {"foo",        "foo-bar", "[constructor]foo", "[method]foo.bar", "[static]foo.baz",
                                            "foo:bar/baz"};
    arena *a = arena_new(0);
    for (size_t i = 0; i < ARRAY_COUNT(same); i++)
        assert_true(str_eq(cname_canonical(a, str_c(same[i][0])), cname_canonical(a, str_c(same[i][1]))));
    for (size_t i = 0; i < ARRAY_COUNT(different); i++)
        for (size_t k = 0; k < i; k++)
            assert_false(str_eq(cname_canonical(a, str_c(different[i])), cname_canonical(a, str_c(different[k]))));
    arena_free(a);
}

/* semver.org §11: the examples, ascending. */
static void test_precedence(void **state) {
    (void)state;
    static const char *const order[] = {"1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
                                        "1.0.0-beta",  "1.0.0-beta.2",  "1.0.0-beta.11",
                                        "1.0.0-rc.1",  "1.0.0",         "2.0.0",
                                        "2.1.0",       "2.1.1",         "10.0.0"};
    struct component_version v[ARRAY_COUNT(order)], build;
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) assert_true(component_version_parse(str_c(order[i]), &v[i]));
    for (size_t i = 0; i < ARRAY_COUNT(order); i++)
        for (size_t k = 0; k < ARRAY_COUNT(order); k++) {
            int c = component_version_cmp(&v[i], &v[k]);
            assert_int_equal((c > 0) - (c < 0), (i > k) - (i < k));
        }
    assert_true(component_version_parse(STR("1.0.0+x.y"), &build));
    assert_int_equal(component_version_cmp(&build, &v[7]), 0);
}

static void test_matching(void **state) {
    (void)state;
    static const struct {
        const char *wanted, *offered;
        bool match;
    } cases[] = {
        {"wasi:http/types@0.2.0", "wasi:http/types@0.2.12", true},
        {"wasi:http/types@0.2.12", "wasi:http/types@0.2.3", true},
        {"wasi:http/types@0.2", "wasi:http/types@0.2.3", true},
        {"wasi:http/types@0.2.0", "wasi:http/types@0.3.0", false},
        {"wasi:http/types@0.2.0", "wasi:http/handler@0.2.0", false},
        {"wasi:http/types@1.0.0", "wasi:http/types@1.9.3", true},
        {"wasi:http/types@1", "wasi:http/types@1.9.3", true},
        {"wasi:http/types@1.0.0", "wasi:http/types@2.0.0", false},
        {"a:b/c@0.0.1", "a:b/c@0.0.2", false},
        {"a:b/c@0.0.1", "a:b/c@0.0.1", true},
        {"a:b/c@0.3.0-rc-1", "a:b/c@0.3.0", false},
        {"a:b/c@0.3.0-rc-1", "a:b/c@0.3.0-rc-1", true},
        {"a:b/c@0.3.0-rc-1", "a:b/c@0.3.0-rc-2", false},
        {"a:b/c", "a:b/c", true},
        {"a:b/c", "a:b/c@1.0.0", false},
        {"run", "run", true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++)
        if (component_name_matches(str_c(cases[i].wanted), str_c(cases[i].offered)) != cases[i].match)
            fail_msg("%s against %s", cases[i].wanted, cases[i].offered);
}

static void test_splitting(void **state) {
    (void)state;
    struct component_name n;
    struct component_func_name f;
    component_name_split(STR("wasi:http/types@0.2.10"), &n);
    assert_true(str_eqc(n.ns, "wasi") && str_eqc(n.package, "http") && str_eqc(n.item, "types"));
    assert_true(str_eqc(n.bare, "wasi:http/types") && n.version.present && n.version.patch == 10);
    component_name_split(STR("run"), &n);
    assert_true(n.ns.n == 0 && str_eqc(n.item, "run") && !n.version.present);
    component_func_name_split(STR("[method]fields.append"), &f);
    assert_true(f.kind == COMPONENT_FUNC_METHOD && str_eqc(f.resource, "fields") && str_eqc(f.name, "append"));
    component_func_name_split(STR("[constructor]fields"), &f);
    assert_true(f.kind == COMPONENT_FUNC_CONSTRUCTOR && str_eqc(f.resource, "fields") && f.name.n == 0);
    component_func_name_split(STR("now"), &f);
    assert_true(f.kind == COMPONENT_FUNC_PLAIN && str_eqc(f.name, "now"));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),     cmocka_unit_test(test_extern_names), cmocka_unit_test(test_uniqueness),
        cmocka_unit_test(test_precedence), cmocka_unit_test(test_matching),     cmocka_unit_test(test_splitting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
