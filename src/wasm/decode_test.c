/* decode: sections, their order and bounds, LEB128, names, and where errors are found. */
#include "wasm/test_util.h"

static void test_header(void **state) {
    (void)state;
    expect_ok(BYTES(HEADER));
    expect_error((str){0}, ERR_MALFORMED, 0, "unexpected end");
    expect_error(BYTES(0, 'a', 's', 'n', 1, 0, 0, 0), ERR_MALFORMED, 0, "magic header not detected");
    expect_error(BYTES(0, 'a', 's', 'm', 2, 0, 0, 0), ERR_MALFORMED, 4, "unknown binary version");
    expect_error(BYTES(0, 'a', 's', 'm', 0x0d, 0, 1, 0), ERR_MALFORMED, 4, "a component");
    assert_true(wasm_is_module(BYTES(HEADER)));
    assert_false(wasm_is_module(BYTES(0, 'a', 's', 'm', 0x0d, 0, 1, 0)));
}

static void test_sections(void **state) {
    (void)state;
    expect_ok(BYTES(HEADER, 1, 1, 0, 2, 1, 0, 3, 1, 0, 4, 1, 0, 5, 1, 0, 13, 1, 0, 6, 1, 0, 7, 1, 0, 9, 1, 0, 12, 1, 0, 10, 1, 0,
                    11, 1, 0));
    expect_error(BYTES(HEADER, 14, 1, 0), ERR_MALFORMED, 8, "malformed section id");
    expect_error(BYTES(HEADER, 1, 5, 0), ERR_MALFORMED, 10, "length out of bounds");
    expect_error(BYTES(HEADER, 1, 2, 0, 0), ERR_MALFORMED, 11, "section size mismatch");
    expect_error(BYTES(HEADER, 3, 1, 0, 1, 1, 0), ERR_MALFORMED, 11, "unexpected content after last section");
    expect_error(BYTES(HEADER, 1, 1, 0, 1, 1, 0), ERR_MALFORMED, 11, "unexpected content after last section");
    expect_error(BYTES(HEADER, 10, 1, 0, 12, 1, 0), ERR_MALFORMED, 11, "unexpected content after last section");
    expect_error(BYTES(HEADER, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0), ERR_MALFORMED, 18,
                 "function and code section have inconsistent lengths");
    expect_error(BYTES(HEADER, 12, 1, 1), ERR_MALFORMED, 11, "data count and data section have inconsistent lengths");
    expect_error(BYTES(HEADER, 1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f), ERR_MALFORMED, 15, "unexpected end of section");
}

static void test_leb(void **state) {
    (void)state;
    expect_ok(BYTES(HEADER, 1, 2, 0x80, 0));
    expect_ok(BYTES(HEADER, 1, 5, 0x80, 0x80, 0x80, 0x80, 0));
    expect_error(BYTES(HEADER, 1, 6, 0x80, 0x80, 0x80, 0x80, 0x80, 0), ERR_MALFORMED, 14, "integer representation too long");
    expect_error(BYTES(HEADER, 1, 5, 0x80, 0x80, 0x80, 0x80, 0x10), ERR_MALFORMED, 14, "integer too large");
}

static void test_leb_signed(void **state) {
    (void)state;
#define NOTHING SECTION(1, 1, 0x60, 0, 0)
    expect_ok(MODULE(NOTHING, 0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x78, 0x1a, 0x0b)); /* INT32_MIN */
    expect_error(MODULE(NOTHING, 0, 0x41, 0x80, 0x80, 0x80, 0x80, 0x70, 0x1a, 0x0b), ERR_MALFORMED, BODY_AT(NOTHING) + 6,
                 "integer too large");
    expect_error(MODULE(NOTHING, 0, 0x41, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1a, 0x0b), ERR_MALFORMED, BODY_AT(NOTHING) + 6,
                 "integer too large");
    expect_ok(MODULE(NOTHING, 0, 0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0x1a, 0x0b));
    expect_error(MODULE(NOTHING, 0, 0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7e, 0x1a, 0x0b), ERR_MALFORMED,
                 BODY_AT(NOTHING) + 11, "integer too large");
    expect_error(MODULE(NOTHING, 0, 0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0, 0x1a, 0x0b),
                 ERR_MALFORMED, BODY_AT(NOTHING) + 11, "integer representation too long");
}

static void test_imports_and_exports(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct wasm_module m;
    struct diag d;
    str good = BYTES(HEADER, SECTION(1, 1, 0x60, 1, 0x7f, 0),
                     SECTION(2, 3, 1, 'm', 1, 'f', 0, 0, 1, 'm', 1, 'g', 3, 0x7e, 1, 1, 'm', 1, 't', 1, 0x70, 1, 2, 3),
                     SECTION(7, 2, 1, 'a', 0, 0, 1, 'b', 3, 0));
    assert_int_equal(check_all(a, good, &m, &d), ERR_OK);
    assert_int_equal(m.imports_count, 3);
    assert_int_equal(m.funcs_imported, 1);
    assert_int_equal(m.globals_imported, 1);
    assert_true(m.globals[0].mutable && m.globals[0].type == WASM_I64);
    assert_int_equal(m.tables[0].limits.min, 2);
    assert_int_equal(m.tables[0].limits.max, 3);
    assert_int_equal(m.tables[0].type, WASM_FUNCREF);
    assert_true(str_eq(m.imports[1].name, STR("g")) && m.imports[1].kind == WASM_EXTERN_GLOBAL && m.imports[1].index == 0);
    assert_int_equal(wasm_export_find(&m, STR("b"))->kind, WASM_EXTERN_GLOBAL);
    assert_null(wasm_export_find(&m, STR("c")));
    assert_true(str_eq(wasm_func_name(&m, 0), STR("a")));
    expect_error(BYTES(HEADER, 2, 5, 1, 0, 0, 9, 0), ERR_MALFORMED, 13, "malformed import kind");
    expect_error(BYTES(HEADER, 2, 6, 1, 1, 0xff, 0, 2, 0), ERR_MALFORMED, 12, "malformed UTF-8 encoding");
    expect_error(BYTES(HEADER, 2, 6, 1, 0, 0, 3, 0x7f, 2), ERR_MALFORMED, 15, "malformed mutability");
    arena_free(a);
}

static void test_types(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct wasm_module m;
    struct diag d;
    /* (rec (type 0 (sub (struct (field (ref null 1))))) (type 1 (array (mut i8)))) (type 2 (sub final 0
     * (struct (field (ref null 1)) (field i16)))) */
    str good = BYTES(
        HEADER, SECTION(1, 2, 0x4e, 2, 0x50, 0, 0x5f, 1, 0x63, 1, 0, 0x5e, 0x78, 1, 0x4f, 1, 0, 0x5f, 2, 0x63, 1, 0, 0x77, 0));
    if (check_all(a, good, &m, &d)) fail_msg("%s at %llu", d.text, (unsigned long long)d.offset);
    assert_int_equal(m.types_count, 3);
    assert_int_equal(m.types[1].group_start, 0);
    assert_int_equal(m.types[1].group_count, 2);
    assert_true(!m.types[0].final && m.types[1].final && m.types[2].final);
    assert_int_equal(m.types[2].super, 0);
    assert_int_equal(m.types[2].fields[1].type, WASM_I16);
    assert_true(wasm_type_sub(&m, wasm_ref_index(2, false), wasm_ref_index(0, true)));
    assert_false(wasm_type_sub(&m, wasm_ref_index(0, false), wasm_ref_index(2, true)));
    assert_true(wasm_type_sub(&m, wasm_ref_index(1, false), wasm_ref(WASM_HEAP_EQ, false)));
    expect_error(BYTES(HEADER, 1, 2, 1, 0x40), ERR_MALFORMED, 11, "malformed type");
    expect_error(BYTES(HEADER, 1, 5, 1, 0x60, 1, 0x20, 0), ERR_MALFORMED, 13, "malformed value type");
    expect_error(BYTES(HEADER, 1, 6, 1, 0x60, 1, 0x63, 1, 0), ERR_INVALID, DIAG_NOWHERE, "unknown type");
    expect_error(BYTES(HEADER, 1, 6, 1, 0x50, 1, 0, 0x5f, 0), ERR_INVALID, DIAG_NOWHERE, "unknown type");
    arena_free(a);
}

static void test_segments(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct wasm_module m;
    struct diag d;
    str good = BYTES(HEADER, SECTION(4, 1, 0x70, 0, 4), SECTION(5, 1, 0, 1),
                     SECTION(9, 2, 5, 0x70, 1, 0xd0, 0x70, 0x0b, 6, 0, 0x41, 1, 0x0b, 0x70, 0),
                     SECTION(11, 2, 0, 0x41, 3, 0x0b, SIZED('h', 'i'), 1, SIZED('x')));
    if (check_all(a, good, &m, &d)) fail_msg("%s at %llu", d.text, (unsigned long long)d.offset);
    assert_int_equal(m.elems_count, 2);
    assert_int_equal(m.elems[0].mode, WASM_SEGMENT_PASSIVE);
    assert_int_equal(m.elems[0].count, 1);
    assert_non_null(m.elems[0].exprs);
    assert_int_equal(m.elems[1].mode, WASM_SEGMENT_ACTIVE);
    assert_true(str_eq(m.datas[0].bytes, STR("hi")) && m.datas[0].mode == WASM_SEGMENT_ACTIVE);
    assert_true(str_eq(m.datas[1].bytes, STR("x")) && m.datas[1].mode == WASM_SEGMENT_PASSIVE);
    expect_error(BYTES(HEADER, SECTION(9, 1, 8, 0, 0)), ERR_MALFORMED, 12, "malformed elements segment kind");
    expect_error(BYTES(HEADER, 11, 8, 1, 0, 0x41, 0, 0x0b, 9, 1, 2), ERR_MALFORMED, 16, "length out of bounds");
    arena_free(a);
}

static void test_names(void **state) {
    (void)state;
    arena *a = arena_new(0);
    struct wasm_module m;
    struct diag d;
    str bytes = BYTES(HEADER, SECTION(1, 1, 0x60, 0, 0), SECTION(3, 1, 0), SECTION(10, 1, SIZED(0, 0x0b)),
                      SECTION(0, SIZED('n', 'a', 'm', 'e'), 0, SIZED(SIZED('M')), 1, SIZED(1, 0, SIZED('f', 'n'))));
    if (check_all(a, bytes, &m, &d)) fail_msg("%s at %llu", d.text, (unsigned long long)d.offset);
    assert_true(str_eq(m.name, STR("M")));
    assert_true(str_eq(wasm_func_name(&m, 0), STR("fn")));
    str custom;
    assert_true(wasm_custom_find(&m, STR("name"), &custom));
    assert_int_equal(m.customs[0].after, 10);
    expect_error(BYTES(HEADER, 0, 2, 5, 'x'), ERR_MALFORMED, 11, "length out of bounds");
    arena_free(a);
}

/* Every prefix of a good module is refused or accepted without reading past it (the sanitizers watch). */
static void test_prefixes(void **state) {
    (void)state;
    str whole = BYTES(HEADER, SECTION(1, 1, 0x60, 1, 0x7f, 0), SECTION(3, 1, 0), SECTION(5, 1, 0, 1),
                      SECTION(7, 1, SIZED('f'), 0, 0), SECTION(10, 1, SIZED(1, 1, 0x7e, 0x20, 0, 0x28, 2, 0x80, 1, 0x1a, 0x0b)));
    expect_error((str){whole.p, whole.n - 1}, ERR_MALFORMED, 33, "length out of bounds");
    for (size_t n = 0; n < whole.n; n++) {
        arena *a = arena_new(0);
        uint8_t *copy = malloc(n + 1);
        memcpy(copy, whole.p, n);
        copy = realloc(copy, n ? n : 1);
        struct wasm_module m;
        struct diag d;
        if (check_all(a, (str){copy, n}, &m, &d)) assert_true(d.text[0] && d.offset <= n);
        free(copy);
        arena_free(a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_leb),
        cmocka_unit_test(test_leb_signed),
        cmocka_unit_test(test_imports_and_exports),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_segments),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
