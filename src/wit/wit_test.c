/* The WIT parser and resolver on good and bad text, and the generator against golden files.
 * ORLO_GOLDEN=write wit_test GOLDEN_FOLDER writes the golden files anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wit/gen_int.h"

static const char *golden_folder;

static err parse(struct wit_set *set, const char *text, struct diag *d) {
    struct wit_package *package = NULL;
    *set = (struct wit_set){.arena = arena_new(0)};
    err e = wit_parse(set, STR("t.wit"), str_c(text), &package, d);
    return e ? e : wit_resolve(set, d);
}

static void check_good(const char *text) {
    struct wit_set set;
    struct diag d = DIAG_INIT;
    if (parse(&set, text, &d)) fail_msg("%s\nrefused: %s", text, d.text);
    arena_free(set.arena);
}
static void check_bad(const char *text, const char *want) {
    struct wit_set set;
    struct diag d = DIAG_INIT;
    err e = parse(&set, text, &d);
    if (!e) fail_msg("accepted: %s", text);
    if (!strstr(d.text, want)) fail_msg("%s\nsays: %s\nnot: %s", text, d.text, want);
    arena_free(set.arena);
}
#define IN(body) "package a:b;\n" body

static void test_good(void **state) {
    check_good(IN(""));
    check_good(IN("interface i { type a = b; type b = u32; }"));
    check_good(IN("interface i { record %record { %type: u8, x-Y: list<%record2>, } record %record2 { a: f32 } }"));
    check_good(IN("interface i { f: func(); g: func(a: result, b: result<_, u8>, c: result<u8>, d: "
                  "result<u8, u8>,) -> tuple<u8,>; }"));
    check_good(IN("interface i { resource r; f: func(a: r, b: own<r>, c: borrow<r>); type x = r; g: func() -> x; }"));
    check_good(IN("interface i { resource r { constructor(a: u8) -> result<r, u8>; m: async func(); s: "
                  "static async func(); } }"));
    check_good(IN("interface i { type t = u8; } interface j { use i.{t as x}; f: func(a: x) -> option<x>; }"));
    check_good(IN("/* a /* nested */ comment */ world w { import i; export run: func(); import n: interface "
                  "{ f: func(); } include v; }"
                  " interface i { a: func(); } world v { import x: func(a: stream, b: future<u8>, c: "
                  "error-context); }"));
    check_good("package a:b@1.0.0; interface i { @since(version = 1.0.0) @deprecated(version = 1.0.0-rc.1+x) "
               "f: func(); }");
    check_good("package a:b@1.0.0; package c:d@0.2.0 { interface x { type t = u8; } } use c:d/x@0.2.0 as y;"
               "interface i { use y.{t}; use c:d/x@0.2.0.{t as t2}; }");
    check_good(IN("world w { include v with { a as b } import a: func(); } world v { import a: func(); }"));
    check_good(IN("world w { @external-id(\"x\\\"y\") import f: func(); import named: i; } interface i {}"));
}

static void test_bad_syntax(void **state) {
    check_bad("package a:b", "t.wit:1: expected");
    check_bad(IN("interface i { f: func() }"), "t.wit:2: expected \";\", found \"}\"");
    check_bad(IN("interface i {"), "end of the file");
    check_bad(IN("interface i { record list { a: u8 } }"), "\"list\" is a keyword; as a name it is written %list");
    check_bad(IN("interface I-j {} interface aB {}"), "\"aB\" is no identifier");
    check_bad(IN("interface a--b {}"), "\"a--b\" is no identifier");
    check_bad(IN("interface i { record r {} }"), "at least one item");
    check_bad(IN("/* never closed"), "t.wit:2: this comment is never closed");
    check_bad(IN("interface i { type t = list<u8, 0>; }"), "a length");
    check_bad(IN("interface i { @soon() f: func(); }"), "there is no gate @soon");
    check_bad(IN("interface i { type t = u8 ; # }"), "unexpected character");
    check_bad(IN("interface i { \xff }"), "not UTF-8");
    check_bad("package a:b@1; ", "\"1\" is no version");
    check_bad("interface i {} package a:b;", "comes before everything else");
    check_bad(IN("world w { foo }"), "an import, export, include, use or type");
    char deep[2000] = IN("interface i { type t = ");
    for (int i = 0; i < 200; i++) snprintf(deep + strlen(deep), sizeof deep - strlen(deep), "list<");
    check_bad(deep, "nested deeper");
}

static void test_bad_names(void **state) {
    check_bad(IN("interface i {\n  f: func(a: nothing);\n}"), "t.wit:3: name \"nothing\" is not defined");
    check_bad(IN("interface i { type a = u8; type a = u8; }"), "already defined");
    check_bad(IN("interface i { f: func(); F: func(); }"), "already defined");
    check_bad(IN("interface i { type a = list<b>; type b = option<a>; }"), "depends on itself");
    check_bad(IN("interface i { record r { a: r } }"), "depends on itself");
    check_bad(IN("interface i { record r { a: u8, a: u8 } }"), "here twice");
    check_bad(IN("interface i { f: func(a: u8, a: u8); }"), "here twice");
    check_bad(IN("interface i { type t = u8; f: func(a: borrow<t>); }"), "not a resource");
    check_bad(IN("interface i { use j.{t}; }"), "interface \"j\" is not defined");
    check_bad(IN("interface i { use j.{t}; } interface j {}"), "defines no type \"t\"");
    check_bad(IN("interface i { use x:y/j@1.0.0.{t}; }"), "package \"x:y@1.0.0\" is not here");
    check_bad(IN("interface i {} interface i {}"), "already defined");
    check_bad(IN("world w { include w; }"), "includes itself");
    check_bad(IN("world w { import i; import i; } interface i {}"), "twice");
    check_bad(IN("world w { include v; import a: func(); } world v { import a: func(); }"), "twice");
    check_bad("package a:b@1.0.0; interface i { @unstable(feature = x) type t = u8; f: func(a: t); }", "\"t\" is not defined");
    char many[1000] = IN("interface i { flags f { a0");
    for (int i = 1; i < 33; i++) snprintf(many + strlen(many), sizeof many - strlen(many), ", a%d", i);
    snprintf(many + strlen(many), sizeof many - strlen(many), " } }");
    check_bad(many, "at most 32");
}

/* Every prefix of a good text is either good or refused with a place; none crashes. */
static void test_prefixes(void **state) {
    char path[600];
    snprintf(path, sizeof path, "%s/sample.wit", golden_folder);
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    char text[4096];
    size_t n = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    for (size_t i = 0; i <= n; i++) {
        char copy[4096];
        memcpy(copy, text, i);
        copy[i] = 0;
        struct wit_set set;
        struct diag d = DIAG_INIT;
        if (parse(&set, copy, &d)) assert_true(str_starts(str_c(d.text), STR("t.wit:")));
        arena_free(set.arena);
    }
}

static void test_features(void **state) {
    struct wit_set set;
    struct diag d = DIAG_INIT;
    const char *text = "package a:b@1.0.0; interface i { @unstable(feature = x) f: func(); @unstable(feature "
                       "= y) resource r { m: func(); } g: func(); }";
    assert_int_equal(parse(&set, text, &d), ERR_OK);
    assert_int_equal(set.packages.p[0]->interfaces.p[0]->funcs.n, 1);
    arena_free(set.arena);
    struct wit_package *package = NULL;
    set = (struct wit_set){.arena = arena_new(0)};
    vec_push(set.arena, &set.features, STR("x"));
    assert_int_equal(wit_parse(&set, STR("t.wit"), str_c(text), &package, &d), ERR_OK);
    assert_int_equal(wit_resolve(&set, &d), ERR_OK);
    assert_int_equal(package->interfaces.p[0]->funcs.n, 2);
    arena_free(set.arena);
}

/* ---- the generator ---------------------------------------------------------------------------- */

static void hold_against(const char *name, const struct buf *made) {
    char path[600];
    snprintf(path, sizeof path, "%s/%s.golden", golden_folder, name);
    const char *mode = getenv("ORLO_GOLDEN");
    if (mode && !strcmp(mode, "write")) {
        FILE *out = fopen(path, "wb");
        assert_non_null(out);
        assert_int_equal(fwrite(made->p, 1, made->n, out), made->n);
        fclose(out);
        return;
    }
    FILE *in = fopen(path, "rb");
    if (!in) fail_msg("%s is missing", path);
    char *have = calloc(1, made->n + 4096);
    size_t n = fread(have, 1, made->n + 4095, in);
    fclose(in);
    size_t at = 0, line = 1;
    while (at < n && at < made->n && have[at] == (char)made->p[at]) line += have[at++] == '\n';
    if (at < n || at < made->n)
        fail_msg("%s differs at line %zu; if that is meant, run: ORLO_GOLDEN=write <this test> %s", path, line, golden_folder);
    free(have);
}

static void test_golden(void **state) {
    struct wit_set set = {.arena = arena_new(0)};
    struct diag d = DIAG_INIT;
    char path[600];
    snprintf(path, sizeof path, "%s/sample.wit", golden_folder);
    if (wit_load(&set, path, &d)) fail_msg("%s", d.text);
    struct wit_world *w = wit_find_world(&set, STR("shop"));
    assert_non_null(w);
    const struct wit_gen_options o = {.name = STR("shop")};
    struct buf b = {};
    if (wit_gen_header(&set, w, &o, &b, &d)) fail_msg("%s", d.text);
    hold_against("shop.h", &b);
    b.n = 0;
    wit_gen_source(&set, w, &o, &b);
    hold_against("shop.c", &b);
    buf_free(&b);
    arena_free(set.arena);
}

static void test_clash(void **state) {
    struct wit_set set;
    struct diag d = DIAG_INIT;
    assert_int_equal(parse(&set, IN("interface i { resource r { x: func(); } r-x: func(); } world w { import i; }"), &d), ERR_OK);
    struct buf b = {};
    const struct wit_gen_options o = {.name = STR("x")};
    assert_int_equal(wit_gen_header(&set, wit_find_world(&set, STR("w")), &o, &b, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "C name a_b_i_r_x is taken"));
    buf_free(&b);
    arena_free(set.arena);
}

int main(int argc, char **argv) {
    golden_folder = argc > 1 ? argv[1] : ".";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),     cmocka_unit_test(test_bad_syntax), cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_prefixes), cmocka_unit_test(test_features),   cmocka_unit_test(test_golden),
        cmocka_unit_test(test_clash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
