/* Spans as bytes and as OTLP: what goes in comes out, what is too long is cut, and what a collector says is read within bounds.
 * With --write FOLDER it writes the corpus of the fuzz target. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "node/span.h"

static struct node_span example(const char *app, uint32_t version) {
    struct node_span s = {.kind = NODE_SPAN_SERVER,
                          .error = true,
                          .version = version,
                          .start_ns = 1796003429305091364,
                          .end_ns = 1796003429305271121,
                          .app = str_c(app),
                          .name = STR("GET api"),
                          .message = STR("the guest trapped"),
                          .state = STR("a=b")};
    for (uint8_t i = 0; i < 16; i++) s.trace[i] = i;
    memset(s.span, 0xab, 8), memset(s.parent, 0xcd, 8);
    node_span_attr(&s, "url.path", STR("/\"x\""));
    node_span_attr(&s, "empty", STR(""));
    node_span_attr_number(&s, "http.response.status_code", -500);
    return s;
}

static void test_bytes(void **state) {
    struct node_span s = example("shop", 7), back;
    struct buf b = {0}, again = {0};
    node_span_write(&b, &s);
    struct rd r = rd_of(buf_str(&b));
    node_span_read(&r, &back);
    assert_true(!r.fail && !rd_left(&r));
    assert_int_equal(back.attrs_count, 2); /* what is empty says nothing */
    node_span_write(&again, &back);
    assert_true(str_eq(buf_str(&b), buf_str(&again)));
    for (size_t n = 0; n < b.n; n++) { /* whatever is missing at its end */
        r = rd_of(str_sub(buf_str(&b), 0, n));
        node_span_read(&r, &back);
        assert_non_null(r.fail);
    }
    buf_free(&b), buf_free(&again);
}

static void test_bounds(void **state) {
    char text[5000];
    memset(text, 'x', sizeof text);
    struct node_span s = example("shop", 1), back;
    s.name = s.message = s.app = s.state = (str){(uint8_t *)text, sizeof text};
    for (int i = 0; i < 50; i++) node_span_attr(&s, "key", s.name);
    assert_int_equal(s.attrs_count, NODE_SPAN_ATTRS_MAX);
    struct buf b = {0};
    node_span_write(&b, &s);
    assert_true(b.n <= NODE_SPAN_BYTES_MAX);
    struct rd r = rd_of(buf_str(&b));
    node_span_read(&r, &back);
    assert_true(!r.fail && back.name.n == NODE_SPAN_TEXT_MAX && !back.state.n);
    b.p[32] = 9; /* no kind of a span */
    r = rd_of(buf_str(&b));
    node_span_read(&r, &back);
    assert_true(r.fail && !back.attrs_count && !back.name.p);
    buf_free(&b);
}

static void test_json(void **state) {
    struct node_span spans[] = {example("shop", 7), example("blog", 1), example("shop", 7), example("shop", 8)};
    struct buf b = {0};
    struct diag d = DIAG_INIT;
    struct json v;
    arena *mem = arena_new(0);
    node_otlp_json(&b, spans, ARRAY_COUNT(spans));
    const struct json_limits limits = {1 << 20, 32, 10000};
    assert_int_equal(json_read(mem, buf_str(&b), &limits, &v, &d), ERR_OK);
    const struct json *resources = json_get(&v, "resourceSpans");
    assert_int_equal(json_count(resources), 3); /* an app in a version each */
    const struct json *shop = json_item(resources, 1);
    const struct json *of = json_get(json_item(json_get(shop, "scopeSpans"), 0), "spans");
    assert_int_equal(json_count(of), 2);
    const struct json *span = json_item(of, 0);
    assert_string_equal(json_cstr(json_get(span, "traceId")), "000102030405060708090a0b0c0d0e0f");
    assert_string_equal(json_cstr(json_get(span, "startTimeUnixNano")), "1796003429305091364");
    assert_string_equal(json_cstr(json_get(span, "parentSpanId")), "cdcdcdcdcdcdcdcd");
    assert_int_equal(json_i64(json_get(json_get(span, "status"), "code")), 2);
    const struct json *attr = json_item(json_get(span, "attributes"), 1);
    assert_string_equal(json_cstr(json_get(json_get(attr, "value"), "intValue")), "-500");
    buf_free(&b);
    arena_free(mem);
}

/* Bytes for bytes: a span of one app in protobuf, as protoc would write it. */
static void test_protobuf(void **state) {
    struct node_span s = {
        .kind = NODE_SPAN_CLIENT, .app = STR("a"), .name = STR("n"), .start_ns = 1, .end_ns = 0x0102030405060708};
    memset(s.trace, 1, 16), memset(s.span, 2, 8);
    node_span_attr_number(&s, "k", 300);
    struct buf b = {0};
    node_otlp_protobuf(&b, &s, 1);
    static const uint8_t want[] = "\x0a\x10\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"
                                  "\x12\x08\2\2\2\2\2\2\2\2"
                                  "\x2a\1n"
                                  "\x30\3"
                                  "\x39\1\0\0\0\0\0\0\0"
                                  "\x41\x08\7\6\5\4\3\2\1"
                                  "\x4a\x08\x0a\1k\x12\3\x18\xac\2";
    bool found = false;
    for (size_t i = 0; i + sizeof want - 1 <= b.n; i++) found |= !memcmp(b.p + i, want, sizeof want - 1);
    assert_true(found);
    assert_int_equal(b.p[0], 0x0a);
    assert_int_equal((size_t)(b.p[1] & 0x7f) + (size_t)b.p[2] * 128 + 3, b.n);
    buf_free(&b);
}

static void test_rejected(void **state) {
    assert_int_equal(node_otlp_rejected(STR("")), 0);
    assert_int_equal(node_otlp_rejected(STR("\x0a\x03\x08\xac\x02")), 300);
    assert_int_equal(node_otlp_rejected(STR("\x0a\x0a\x08\x05\x12\x06why not")), 0); /* it ends too early */
    assert_int_equal(node_otlp_rejected(STR("\x0a\x0b\x08\x05\x12\x07why not")), 5);
    assert_int_equal(node_otlp_rejected(STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")), 0);
    assert_int_equal(node_otlp_rejected(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")), 0);
}

static void test_bad_texts(void **state) {
    struct node_span s = example("sh\xffop", 1);
    struct buf b = {0};
    node_otlp_protobuf(&b, &s, 1);
    bool found = false;
    for (size_t i = 0; i + 5 <= b.n; i++) found |= !memcmp(b.p + i, "sh?op", 5);
    assert_true(found);
    buf_free(&b);
}

static void write_corpus(const char *folder) {
    struct node_span spans[] = {example("shop", 7), {.kind = NODE_SPAN_INTERNAL}};
    for (size_t i = 0; i < ARRAY_COUNT(spans); i++) {
        char path[512];
        struct buf b = {0};
        node_span_write(&b, &spans[i]);
        snprintf(path, sizeof path, "%s/%s", folder, i ? "empty" : "full");
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fwrite(b.p, 1, b.n, f);
        fclose(f);
        buf_free(&b);
    }
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--write")) {
        write_corpus(argv[2]);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),    cmocka_unit_test(test_bounds),   cmocka_unit_test(test_json),
        cmocka_unit_test(test_protobuf), cmocka_unit_test(test_rejected), cmocka_unit_test(test_bad_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
