/* The recommendation's own cases (w3c/trace-context, test/test.py), told anew: what is taken over, and what begins a new trace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "app/trace.h"
#include "net/exchange.h"

#define TRACE "12345678901234567890123456789012"
#define SPAN "1234567890123456"

static void test_traceparent(void **state) {
    static const struct {
        const char *value;
        bool ok;
    } cases[] = {
        {"00-" TRACE "-" SPAN "-01", true},
        {"00-" TRACE "-" SPAN "-00", true},
        {"\t 00-" TRACE "-" SPAN "-01 \t", true},
        {"00-" TRACE "-" SPAN "-01.", false},
        {"00-" TRACE "-" SPAN "-01-what-the-future-will-be-like", false},
        {"cc-" TRACE "-" SPAN "-01", true},
        {"cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like", true},
        {"cc-" TRACE "-" SPAN "-01.what-the-future-will-be-like", false},
        {"ff-" TRACE "-" SPAN "-01", false},
        {".0-" TRACE "-" SPAN "-01", false},
        {"0.-" TRACE "-" SPAN "-01", false},
        {"000-" TRACE "-" SPAN "-01", false},
        {"0000-" TRACE "-" SPAN "-01", false},
        {"0-" TRACE "-" SPAN "-01", false},
        {"00-00000000000000000000000000000000-" SPAN "-01", false},
        {"00-.2345678901234567890123456789012-" SPAN "-01", false},
        {"00-1234567890123456789012345678901.-" SPAN "-01", false},
        {"00-" TRACE "3-" SPAN "-01", false},
        {"00-1234567890123456789012345678901-" SPAN "-01", false},
        {"00-1234567890ABCDEF1234567890123456-" SPAN "-01", false},
        {"00-" TRACE "-0000000000000000-01", false},
        {"00-" TRACE "-.234567890123456-01", false},
        {"00-" TRACE "-123456789012345.-01", false},
        {"00-" TRACE "-12345678901234567-01", false},
        {"00-" TRACE "-123456789012345-01", false},
        {"00-" TRACE "-" SPAN "-.0", false},
        {"00-" TRACE "-" SPAN "-0.", false},
        {"00-" TRACE "-" SPAN "-001", false},
        {"00-" TRACE "-" SPAN "-1", false},
        {"00-" TRACE "-" SPAN "-", false},
        {"00-" TRACE "-" SPAN, false},
        {"", false},
        {"-", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct app_trace t = {0};
        if (app_traceparent_read(str_c(cases[i].value), &t) != cases[i].ok) fail_msg("%s", cases[i].value);
    }
    struct app_trace t = {0};
    assert_true(app_traceparent_read(STR("00-" TRACE "-" SPAN "-03"), &t) && t.sampled);
    assert_true(app_traceparent_read(STR("00-" TRACE "-" SPAN "-fe"), &t) && !t.sampled);
    char text[APP_TRACEPARENT_BYTES + 1];
    app_traceparent_write(&t, t.parent, text);
    assert_string_equal(text, "00-" TRACE "-" SPAN "-00");
}

/* What comes of a request with these fields. */
static void read(struct app_trace *t, size_t count, const char *const fields[]) {
    struct net_field f[40];
    for (size_t i = 0; i < count; i++) f[i] = (struct net_field){str_c(fields[2 * i]), str_c(fields[2 * i + 1])};
    struct net_request rq = {.fields = f, .fields_count = (uint32_t)count};
    app_trace_of(&rq, t);
}
#define READ(t, ...) read((t), sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *) / 2, (const char *[]){__VA_ARGS__})
#define PARENT "traceparent", "00-" TRACE "-" SPAN "-00"

static void expect_state(const char *want, size_t count, const char *const fields[]) {
    struct app_trace t;
    read(&t, count, fields);
    assert_true(t.on && t.has_parent); /* a bad tracestate says nothing against the traceparent */
    if (!str_eqc(t.state, want)) fail_msg("%s, not " STR_FMT, want, STR_ARG(t.state));
    app_trace_end(&t);
}
#define STATE(want, ...)                                                                                                         \
    expect_state((want), sizeof((const char *[]){PARENT, __VA_ARGS__}) / sizeof(char *) / 2,                                     \
                 (const char *[]){PARENT, __VA_ARGS__})

static void test_request(void **state) {
    struct app_trace t;
    READ(&t, "host", "a");
    assert_false(t.on);
    READ(&t, "TraceParent", "00-" TRACE "-" SPAN "-01");
    assert_true(t.on && t.sampled && memcmp(t.span, t.parent, 8) != 0);
    READ(&t, "trace-parent", "00-" TRACE "-" SPAN "-01", "trace.parent", "00-" TRACE "-" SPAN "-01");
    assert_false(t.on);
    READ(&t, PARENT, "traceparent", "00-12345678901234567890123456789011-" SPAN "-01");
    assert_false(t.on || t.has_parent);
    READ(&t, "tracestate", "foo=1");
    assert_false(t.on || t.state.n);
}

static void test_tracestate(void **state) {
    STATE("foo=1,bar=2", "tracestate", "foo=1,bar=2");
    STATE("", "trace-state", "foo=1");
    STATE("foo=1", "TRACESTATE", "foo=1");
    STATE("", "tracestate", "");
    STATE("foo=1", "tracestate", "foo=1", "tracestate", "");
    STATE("foo=1", "tracestate", "", "tracestate", "foo=1");
    STATE("foo=1,bar=2,rojo=1,congo=2,baz=3", "tracestate", "foo=1,bar=2", "tracestate", "rojo=1,congo=2", "tracestate", "baz=3");
    STATE("", "tracestate", "foo=1,foo=1");
    STATE("", "tracestate", "foo=1", "tracestate", "foo=2");
    STATE("foo=1,fo=1,foob=2", "tracestate", "foo=1,fo=1,foob=2");
    STATE("abcdefghijklmnopqrstuvwxyz0123456789_-*/= !\"#$%&'()*+-./:;<>?@[\\]^_`{|}~", "tracestate",
          "abcdefghijklmnopqrstuvwxyz0123456789_-*/= !\"#$%&'()*+-./:;<>?@[\\]^_`{|}~");
    STATE("0a@a-z0-9_-*/=1", "tracestate", "0a@a-z0-9_-*/=1");
    STATE("foo=1,bar=2,baz=3", "tracestate", "foo=1 \t , \t bar=2, \t baz=3");
    STATE("", "tracestate", "foo =1");
    STATE("", "tracestate", "FOO=1");
    STATE("", "tracestate", "foo.bar=1");
    STATE("", "tracestate", "foo@=1,bar=2");
    STATE("", "tracestate", "@foo=1,bar=2");
    STATE("", "tracestate", "foo@@bar=1,bar=2");
    STATE("", "tracestate", "foo@bar@baz=1,bar=2");
    STATE("", "tracestate", "foo=bar=baz");
    STATE("", "tracestate", "foo=,bar=3");
    STATE("", "tracestate", "foo");
}

static void test_tracestate_limits(void **state) {
    char text[40 * 300], *at = text;
    for (int i = 0; i < 32; i++) at += snprintf(at, 20, "%sbar%02d=%02d", i ? "," : "", i, i);
    STATE(text, "tracestate", text);
    snprintf(at, 20, ",bar99=99");
    STATE("", "tracestate", text);
    for (size_t n = 256; n <= 257; n++) { /* a key, a value, a tenant, a system */
        memset(text, 'z', n);
        memcpy(text + n, "=1", 3);
        STATE(n == 256 ? text : "", "tracestate", text);
        memcpy(text, "k=", 2);
        memset(text + 2, 'v', n);
        text[2 + n] = 0;
        STATE(n == 256 ? text : "", "tracestate", text);
        memset(text, 't', n - 15);
        memcpy(text + n - 15, "@v=1", 5);
        STATE(n == 256 ? text : "", "tracestate", text);
    }
    STATE("t@vvvvvvvvvvvvvv=1", "tracestate", "t@vvvvvvvvvvvvvv=1");
    STATE("", "tracestate", "t@vvvvvvvvvvvvvvv=1");
}

static void test_ids(void **state) {
    uint8_t a[16] = {0}, b[16] = {0}, zero[16] = {0};
    app_trace_id(a, 16), app_trace_id(b, 16);
    assert_memory_not_equal(a, b, 16);
    assert_memory_not_equal(a, zero, 16);
    struct app_trace t;
    app_trace_begin(&t, true);
    assert_true(t.on && t.sampled && !t.has_parent);
    char text[APP_TRACEPARENT_BYTES + 1];
    app_traceparent_write(&t, t.span, text);
    struct app_trace back = {0};
    assert_true(app_traceparent_read(str_c(text), &back) && back.sampled);
    assert_memory_equal(back.trace, t.trace, 16);
    assert_memory_equal(back.parent, t.span, 8);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traceparent), cmocka_unit_test(test_request),           cmocka_unit_test(test_tracestate),
        cmocka_unit_test(test_ids),         cmocka_unit_test(test_tracestate_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
