/* Settings: the table keeps its own rules, values are read and printed, what is written is read again. */
#include "app/settings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static bool ends(const char *s, const char *with) { return str_ends(str_c(s), str_c(with)); }

/* A bare number in a manifest has the unit that its name ends with; no two are called the same. */
static void test_table(void **state) {
    for (int i = 0; i < APP_SETTINGS; i++) {
        const struct app_setting *s = &app_settings[i];
        bool sized = ends(s->key, "_mb") || ends(s->key, "_kb"), timed = ends(s->key, "_ms");
        assert_true(sized == (s->type == APP_BYTES) && timed == (s->type == APP_MS));
        assert_true(s->least > 0 && s->least <= s->most);
        assert_true(s->value == 0 || (s->value >= s->least && s->value <= s->most));
        if (s->value == 0) assert_true(s->otherwise[0]);
        for (int k = 0; k < i; k++) {
            assert_string_not_equal(s->key, app_settings[k].key);
            if (s->flag[0]) assert_string_not_equal(s->flag, app_settings[k].flag);
        }
    }
}

static void test_units(void **state) {
    uint64_t v;
    assert_true(app_parse_bytes("65536", &v) && v == 65536);
    assert_true(app_parse_bytes("2KiB", &v) && v == 2048);
    assert_true(app_parse_bytes("1g", &v) && v == GiB);
    assert_false(app_parse_bytes("1.5g", &v));
    assert_false(app_parse_bytes("", &v));
    assert_false(app_parse_bytes("18446744073709551615g", &v));
    assert_true(app_parse_ms("2m", &v) && v == 120000);
    assert_true(app_parse_ms("3", &v) && v == 3000);
    assert_true(app_parse_ms("5ms", &v) && v == 5);
    assert_false(app_parse_ms("-5ms", &v));
}

static void assert_text(enum app_type type, uint64_t value, const char *text) {
    arena *mem = arena_new(0);
    assert_true(str_eqc(app_value_text(mem, type, value), text));
    arena_free(mem);
}

static void test_text(void **state) {
    assert_text(APP_BYTES, 512 * MiB, "512M");
    assert_text(APP_BYTES, GiB, "1G");
    assert_text(APP_BYTES, 1025, "1025");
    assert_text(APP_BYTES, 0, "0");
    assert_text(APP_MS, 1500, "1500ms");
    assert_text(APP_MS, 90000, "90s");
    assert_text(APP_COUNT, 1024, "1024");
}

static void assert_said(enum app_setting_id id, uint64_t value, const char *text) {
    arena *mem = arena_new(0);
    assert_true(str_eqc(app_setting_said(mem, id, value), text));
    arena_free(mem);
}

static void test_said(void **state) {
    assert_said(APP_SETTING_handler_ms_max, 1500, "timeout_ms=1500");
    assert_said(APP_SETTING_memory_bytes_max, 64 * MiB, "memory_mb=64");
    assert_said(APP_SETTING_memory_bytes_max, 65 * MiB / 2, "memory_mb=33280K");
    assert_said(APP_SETTING_body_bytes_max, 3 * MiB, "body_kb=3072");
    assert_said(APP_SETTING_body_bytes_max, 1025, "body_kb=1025B");
    assert_said(APP_SETTING_instances_max, 7, "instances=7");
}

static void assert_refused(enum app_setting_id id, const char *text, const char *word) {
    struct diag d = DIAG_INIT;
    uint64_t v;
    assert_int_equal(app_setting_parse(id, "--it", text, &v, &d), ERR_USAGE);
    assert_string_equal(d.text, word);
}

static void test_ranges(void **state) {
    assert_refused(APP_SETTING_workers, "257", "--it takes a number up to 256, not 257");
    assert_refused(APP_SETTING_workers, "0", "--it takes a number above 0, not '0'");
    assert_refused(APP_SETTING_head_bytes_max, "100", "--it takes a size from 256, not 100");
    assert_refused(APP_SETTING_handler_ms_max, "soon", "--it takes a time such as 500ms, 30s or 2m, not 'soon'");
}

static void test_bytes(void **state) {
    struct app_limits limits = {.handler_ms_max = 7, .memory_bytes_max = 3 * MiB}, again;
    app_limits_fill(&limits);
    assert_int_equal(limits.handler_ms_max, 7);
    assert_int_equal(limits.files_max, app_settings[APP_SETTING_files_max].value);
    struct buf b = {0};
    app_limits_write(&b, &limits);
    struct rd rd = rd_of(buf_str(&b));
    app_limits_read(&rd, &again);
    assert_true(!rd.fail && !rd_left(&rd));
    assert_memory_equal(&limits, &again, sizeof limits);
    limits.lookups_max = 1u << 30;
    b.n = 0;
    app_limits_write(&b, &limits);
    rd = rd_of(buf_str(&b));
    app_limits_read(&rd, &again);
    assert_non_null(rd.fail);
    buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_units),  cmocka_unit_test(test_text),
        cmocka_unit_test(test_said),  cmocka_unit_test(test_ranges), cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
