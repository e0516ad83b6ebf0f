/* Tests of json: what is written, held against the reader; limits, and where it is said that something is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include "base/json_int.h"

static const struct json_limits limits = {.bytes_max = 1 << 20, .depth_max = 16, .values_max = 1000};

static struct json read_all(arena *a, str text) {
    struct json v;
    struct diag d = DIAG_INIT;
    err e = json_read(a, text, &limits, &v, &d);
    if (e) print_error("%s: " STR_FMT "\n", d.text, STR_ARG(text));
    assert_int_equal(e, ERR_OK);
    return v;
}

static void assert_escapes(str s, const char *want) {
    struct buf b = {0};
    json_escape(&b, s);
    assert_true(str_eqc(buf_str(&b), want));
    buf_free(&b);
}

static void test_escapes(void **state) {
    assert_escapes(STR("a\"\\\n\r\t\x01z\xc3\xa9"), "a\\\"\\\\\\n\\r\\t\\u0001z\xc3\xa9");
    assert_escapes(STR("\xff"), "\xef\xbf\xbd");
    assert_escapes(STR("\x7f\xc2\x9b\xc2\xa0\xe2\x82\xac"), "\\u007f\\u009b\xc2\xa0\xe2\x82\xac");
    assert_escapes(STR("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); /* a surrogate */
}

static void test_document(void **state) {
    uint8_t storage[512];
    struct buf b = BUF_FIXED(storage);
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_str(&w, "s", STR("a\"b"));
    json_put_cstr(&w, "none", NULL);
    json_put_u64(&w, "u", UINT64_MAX);
    json_put_i64(&w, "i", INT64_MIN);
    json_put_array(&w, "list");
    json_put_bool(&w, NULL, true);
    json_put_object(&w, NULL);
    json_put_end(&w);
    json_put_array(&w, NULL);
    json_put_end(&w);
    assert_false(json_done(&w));
    json_put_end(&w);
    json_put_f64(&w, "f", 0.1);
    json_put_f64(&w, "whole", 3);
    json_put_ms(&w, "ms", 1.0625);
    json_put_f64(&w, "nan", NAN);
    json_put_ms(&w, "inf", INFINITY);
    json_put_hex(&w, "digest", "x:", (const uint8_t *)"\x01\xab", 2);
    json_put_end(&w);
    assert_true(json_done(&w));
    assert_true(str_eqc(buf_str(&b), "{\"s\":\"a\\\"b\",\"none\":null,\"u\":18446744073709551615,\"i\":-9223372036854775808,"
                                     "\"list\":[true,{},[]],\"f\":0.1,\"whole\":3.0,\"ms\":1.063,\"nan\":null,\"inf\":null,"
                                     "\"digest\":\"x:01ab\"}"));
    assert_ptr_equal(b.p, storage);
}

static void test_no_room(void **state) {
    uint8_t storage[8];
    struct buf b = BUF_FIXED(storage);
    struct json_writer w = json_writer_of(&b);
    json_put_str(&w, NULL, STR("12345678"));
    assert_false(json_done(&w));
}

/* Whatever is cut, and wherever: a string of no more bytes, of whole characters, which begins as the whole does. */
static void test_cut(void **state) {
    static const str texts[] = {STR_INIT("plain text that goes on and on"),
                                STR_INIT("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9x"),
                                STR_INIT("\x01\x02\n\"\\\x1f\x7f\xc2\x85 end"), STR_INIT("\xff\xfe\x80 no utf-8 \xc3")};
    for (size_t t = 0; t < ARRAY_COUNT(texts); t++)
        for (size_t most = 16; most < 80; most++) {
            struct buf b = {0}, whole = {0};
            json_escape_most(&b, texts[t], most);
            json_escape(&whole, texts[t]);
            assert_true(b.n <= most);
            assert_true(str_is_utf8(buf_str(&b)));
            bool cut = str_ends(buf_str(&b), STR("\xe2\x80\xa6"));
            assert_true(cut || str_eq(buf_str(&b), buf_str(&whole)));
            if (t != 3) assert_memory_equal(b.p, whole.p, b.n - (cut ? 3 : 0));
            buf_free(&b), buf_free(&whole);
        }
}

static void test_cut_of_much(void **state) {
    static uint8_t bytes[20000];
    for (int fill = 1; fill < 256; fill += 60) {
        struct buf b = {0};
        memset(bytes, fill, sizeof bytes);
        json_escape_most(&b, (str){bytes, sizeof bytes}, 5000);
        assert_in_range(b.n, 4900, 5000);
        buf_free(&b);
    }
}

static void test_reads(void **state) {
    arena *a = arena_new(0);
    struct json v = read_all(a, STR(" {\"a\": [1, -2.5, \"x\\u0000y\", true, null], \"\": {\"k\": \"\\ud83d\\ude00\"}} "));
    const struct json *list = json_get(&v, "a");
    assert_int_equal(json_count(list), 5);
    assert_int_equal(json_i64(json_item(list, 0)), 1);
    assert_true(json_item(list, 1)->f == -2.5);
    assert_true(str_eq(json_str(json_item(list, 2)), STR("x\0y")));
    assert_true(json_bool(json_item(list, 3)));
    assert_true(json_is(json_item(list, 4), JSON_KIND_NULL));
    assert_null(json_item(list, 5));
    assert_string_equal(json_cstr(json_get(json_get(&v, ""), "k")), "\xf0\x9f\x98\x80");
    assert_null(json_get(list, "a"));
    assert_null(json_cstr(json_get(&v, "b")));
    uint32_t n = 0;
    JSON_EACH(item, list) n += item->kind != JSON_KIND_NULL;
    JSON_EACH(item, json_get(&v, "b")) n += item->n + 100;
    assert_int_equal(n, 4);
    struct json scalar = read_all(a, STR("7"));
    assert_int_equal(json_i64(&scalar), 7);
    arena_free(a);
}

/* What is read without the library, and as what; what it is left to judge. */
static void test_quick(void **state) {
    static const struct {
        const char *text;
        bool quick;
    } cases[] = {
        {"null", true},
        {" [ ] ", true},
        {"{}", true},
        {"{\"a\":[{},[],[[]],\"\"],\"b\":{\"c\":-0}}", true},
        {"[0,-1,999999999999999999,1e3,-0.5E-7,1.25]", true},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00\xc3\xa9\x7f\"", true},
        {"\"\\u0000\"", true},
        {"[1000000000000000000]", false}, /* is one all the same */
        {"{\"a\":1,\"a\":2}", false},
        {"{\"\\u0000\":1}", false},
        {"[1,]", false},
        {"[,1]", false},
        {"[1 2]", false},
        {"{\"a\"}", false},
        {"{\"a\":}", false},
        {"{\"a\":1,}", false},
        {"{]", false},
        {"[}", false},
        {"[", false},
        {"\"a", false},
        {"\"\\", false},
        {"\"\\x\"", false},
        {"\"\\u12g4\"", false},
        {"\"\\udc00\"", false},
        {"\"\\ud800\\u0041\"", false},
        {"\"\xed\xa0\x80\"", false},
        {"\"\n\"", false},
        {"tru", false},
        {"nullx", false},
        {"01", false},
        {"1.", false},
        {".5", false},
        {"+1", false},
        {"1e", false},
        {"1e999", false},
        {"-", false},
        {"", false},
        {"1 2", false},
    };
    arena *a = arena_new(0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct json v, by_library;
        struct diag d = DIAG_INIT;
        bool quick = json_read_quick(a, str_c(cases[i].text), &v);
        if (quick != cases[i].quick) fail_msg("%s", cases[i].text);
        if (!quick) continue;
        assert_int_equal(json_read_library(a, str_c(cases[i].text), &by_library, &d), ERR_OK);
        if (!json_equals(&v, &by_library)) fail_msg("%s: not as the library reads it", cases[i].text);
    }
    arena_free(a);
}

static void test_says_where(void **state) {
    static const struct {
        const char *text, *says;
        err want;
    } cases[] = {
        {"", "line 1, column 0: ", ERR_MALFORMED},
        {"{\"a\": 1,\n  \"b\": x}", "line 2, column 8: ", ERR_MALFORMED},
        {"{\"a\": 1, \"a\": 2}", "line 1, column ", ERR_MALFORMED},
        {"[1] 2", "line 1, column 5: ", ERR_MALFORMED},
        {"[99999999999999999999]", "line 1, column ", ERR_MALFORMED},
        {"[1e999]", "line 1, column ", ERR_MALFORMED},
        {"[\"\xff\"]", "line 1, column ", ERR_MALFORMED},
        {"[\"\\ud800\"]", "line 1, column ", ERR_MALFORMED},
        {"{\"a\\u0000\": 1}", "line 1, column ", ERR_MALFORMED},
        {"[01]", "line 1, column ", ERR_MALFORMED},
        {"[[[[[[[[[[[[[[[[\n[", "line 2, column 1: more than 16 levels", ERR_LIMIT},
    };
    arena *a = arena_new(0);
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct json v;
        struct diag d = DIAG_INIT;
        err e = json_read(a, str_c(cases[i].text), &limits, &v, &d);
        if (e != cases[i].want || !strstr(d.text, cases[i].says))
            print_error("%s: %s \"%s\"\n", cases[i].text, err_name(e), d.text);
        assert_int_equal(e, cases[i].want);
        assert_non_null(strstr(d.text, cases[i].says));
        assert_true(d.offset <= strlen(cases[i].text));
    }
    struct json v;
    struct diag d = DIAG_INIT;
    assert_int_equal(json_read(a, (str){0}, &limits, &v, &d), ERR_MALFORMED); /* a file of no bytes */
    assert_non_null(strstr(d.text, "line 1, column 0: "));
    arena_free(a);
}

static void test_limits(void **state) {
    arena *a = arena_new(0);
    struct json v;
    struct buf b = {0};
    buf_puts(&b, STR("[\"[[[[,,,\\\"[[,\""));
    for (uint32_t i = 2; i < limits.values_max; i++) buf_puts(&b, STR(",[]"));
    buf_puts(&b, STR("]"));
    struct diag d = DIAG_INIT;
    assert_int_equal(json_read(a, buf_str(&b), &(struct json_limits){1 << 20, 16, 2 * limits.values_max}, &v, &d), ERR_OK);
    assert_int_equal(json_read(a, buf_str(&b), &limits, &v, &d), ERR_LIMIT);
    assert_non_null(strstr(d.text, "more than 1000 values"));
    d = (struct diag)DIAG_INIT;
    assert_int_equal(json_read(a, buf_str(&b), &(struct json_limits){100, 16, 10000}, &v, &d), ERR_LIMIT);
    assert_non_null(strstr(d.text, "more than 100 bytes"));
    buf_free(&b);
    arena_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes), cmocka_unit_test(test_document),    cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_cut),     cmocka_unit_test(test_cut_of_much), cmocka_unit_test(test_reads),
        cmocka_unit_test(test_quick),   cmocka_unit_test(test_limits),      cmocka_unit_test(test_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
