/* The codec by itself, and what the whole cannot show: what a message costs, when an error is found, what is held. */
#include "net/websocket_codec.h"
#include <setjmp.h>
#include <stdlib.h>
#include <cmocka.h>

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* A client's frame. */
static void put_frame(struct buf *b, uint8_t first, const void *p, size_t n) {
    uint8_t head[WEBSOCKET_HEAD_BYTES_MAX];
    size_t k = websocket_head(head, WEBSOCKET_OP_TEXT, true, false, n);
    head[0] = first;
    head[1] |= 0x80;
    buf_put(b, head, k);
    buf_put(b, mask, sizeof mask);
    size_t at = b->n;
    if (n) buf_put(b, p, n), websocket_unmask(b->p + at, n, mask, 0);
}

static void test_mask(void **state) {
    uint8_t a[67], b[67];
    for (size_t from = 0; from < 9; from++)
        for (size_t n = 0; n <= sizeof a - from; n++)
            for (uint8_t at = 0; at < 4; at++) {
                for (size_t i = 0; i < sizeof a; i++) a[i] = b[i] = (uint8_t)(i * 7);
                websocket_unmask(a + from, n, mask, at);
                for (size_t i = 0; i < n; i++) b[from + i] ^= mask[(at + i) & 3];
                assert_memory_equal(a, b, sizeof a);
            }
}

/* As the house's own eyes have it, whole and cut in two anywhere: of all sequences of up to 3 bytes that begin in interesting ways, and many of 4. */
static void test_utf8(void **state) {
    static const uint8_t some[] = {0,    0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
                                   0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    enum { K = ARRAY_COUNT(some) };
    for (unsigned i = 0; i < K * K * K * K; i++) {
        uint8_t s[12] = {
            some[i % K], some[i / K % K], some[i / K / K % K], some[i / K / K / K], 'x', 'y', 'z', 'a', 'b', 'c', 'd', 'e'};
        size_t n = i % 3 ? sizeof s : 4;
        bool is = str_is_utf8((str){s, n});
        for (size_t cut = 0; cut <= 4; cut++) {
            struct websocket_utf8 u = {0};
            bool ok = websocket_utf8_put(&u, s, cut) && websocket_utf8_put(&u, s + cut, n - cut) && !u.need;
            if (ok != is) fail_msg("%02x %02x %02x %02x cut at %zu: %d", s[0], s[1], s[2], s[3], cut, ok);
        }
    }
}

static void test_accept(void **state) {
    char to[WEBSOCKET_ACCEPT_BYTES + 1];
    websocket_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), to); /* RFC 6455 §1.3 */
    assert_string_equal(to, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_true(websocket_key_ok(STR("dGhlIHNhbXBsZSBub25jZQ==")));
    static const str bad[] = {STR_INIT(""),
                              STR_INIT("dGhlIHNhbXBsZSBub25jZQ="),
                              STR_INIT("dGhlIHNhbXBsZSBub25jZR=="),
                              STR_INIT("dGhlIHNhbXBsZSBub25jZ==="),
                              STR_INIT("dGhlIHNhbXBs!SBub25jZQ=="),
                              STR_INIT("dGhlIHNhbXBsZSBub25jZQ==dGhl")};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) assert_false(websocket_key_ok(bad[i]));
}

static void test_offers(void **state) {
    static const struct {
        const char *offer;
        int bits;   /* 0: none is taken; -1: malformed */
        bool named; /* ours are said */
    } t[] = {
        {"permessage-deflate", 15, false},
        {" Permessage-Deflate ; client_max_window_bits", 15, false},
        {"permessage-deflate; client_max_window_bits=10; server_no_context_takeover; client_no_context_takeover", 15, false},
        {"permessage-deflate; server_max_window_bits=9", 9, true},
        {"permessage-deflate; server_max_window_bits=\"12\"", 12, true},
        {"permessage-deflate; server_max_window_bits=8, permessage-deflate", 15, false},
        {"permessage-deflate; server_max_window_bits=8", 0, false},
        {"permessage-deflate; server_max_window_bits", 0, false},
        {"permessage-deflate; server_max_window_bits=16", 0, false},
        {"permessage-deflate; server_max_window_bits=09", 0, false},
        {"permessage-deflate; server_no_context_takeover=1", 0, false},
        {"permessage-deflate; client_max_window_bits=99", 0, false},
        {"permessage-deflate; server_no_context_takeover; server_no_context_takeover", 0, false},
        {"permessage-deflate; unknown", 0, false},
        {"x-webkit-deflate-frame, bbf-usp-protocol; a=\"b\"", 0, false},
        {"x-other, , permessage-deflate; server_max_window_bits=10", 10, true},
        {"permessage-deflate; =1", -1, false},
        {"permessage deflate", -1, false},
        {"permessage-deflate; a=b c", -1, false},
        {"; permessage-deflate", -1, false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(t); i++) {
        struct websocket_deflate d = {0};
        bool ok = websocket_deflate_choose(str_c(t[i].offer), &d);
        if (ok != (t[i].bits >= 0) || d.on != (t[i].bits > 0) || (d.on && d.bits != t[i].bits))
            fail_msg("%s: %d %d %u", t[i].offer, ok, d.on, d.bits);
        if (d.on) assert_int_equal(memmem(d.answer.p, d.answer.n, "server_max_window_bits", 22) != NULL, t[i].named);
    }
}

static enum websocket_result read_all(struct websocket_in *in, struct buf *b) {
    size_t used, at = 0;
    enum websocket_result r = WEBSOCKET_MORE;
    while (at < b->n && r == WEBSOCKET_MORE) {
        r = websocket_read(in, b->p + at, b->n - at, &used);
        at += used;
    }
    return r;
}

/* What is announced costs nothing before it comes, and what is too much is told at once. */
static void test_announced(void **state) {
    struct websocket_in in = {.message_bytes_max = 1 << 20};
    struct buf b = {0};
    uint8_t head[14] = {0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4};
    buf_put(&b, head, sizeof head);
    buf_put(&b, "abcd", 4);
    assert_int_equal(read_all(&in, &b), WEBSOCKET_MORE);
    assert_true(websocket_held(&in) <= 4096);
    websocket_in_free(&in);
    in = (struct websocket_in){.message_bytes_max = (1 << 20) - 1};
    b.n = 0;
    buf_put(&b, head, sizeof head);
    assert_int_equal(read_all(&in, &b), WEBSOCKET_ERROR);
    assert_int_equal(in.code, WEBSOCKET_TOO_BIG);
    websocket_in_free(&in);
    buf_free(&b);
}

/* A message of a million pieces is one message, and holds no more than that. */
static void test_pieces(void **state) {
    enum { N = 1'000'000 };
    struct websocket_in in = {.message_bytes_max = N};
    struct buf b = {0};
    put_frame(&b, 0x01, "x", 1);
    for (int i = 0; i < N - 2; i++) put_frame(&b, 0x00, "x", 1);
    put_frame(&b, 0x80, "x", 1);
    assert_int_equal(read_all(&in, &b), WEBSOCKET_MESSAGE);
    assert_int_equal(in.data.n, N);
    assert_true(websocket_held(&in) <= 2 * N);
    websocket_in_free(&in);
    in = (struct websocket_in){.message_bytes_max = N};
    b.n = 0;
    put_frame(&b, 0x01, "", 0);
    for (int i = 0; i < N; i++) put_frame(&b, 0x00, "", 0); /* pieces of nothing, without end */
    assert_int_equal(read_all(&in, &b), WEBSOCKET_MORE);
    assert_int_equal(websocket_held(&in), 0);
    websocket_in_free(&in);
    buf_free(&b);
}

/* Where it stood is where it is shown, and nothing is held. */
static void test_in_place(void **state) {
    struct websocket_in in = {.message_bytes_max = 1 << 20};
    struct buf b = {0};
    size_t used;
    put_frame(&b, 0x81, "hello", 5);
    put_frame(&b, 0x82, "there", 5);
    assert_int_equal(websocket_read(&in, b.p, b.n, &used), WEBSOCKET_MESSAGE);
    assert_true(in.data.p == b.p + 6 && in.text && used == 11);
    assert_int_equal(websocket_read(&in, b.p + used, b.n - used, &used), WEBSOCKET_MESSAGE);
    assert_true(in.data.p == b.p + 17 && !in.text && !websocket_held(&in));
    websocket_in_free(&in);
    buf_free(&b);
}

/* Of zeros, a thousandth of their bytes: bounded by what a message may be, and by what it may be more than what came. */
static void test_bombs(void **state) {
    enum { N = 8 << 20 };
    uint8_t *zeros = calloc(1, N);
    str small;
    struct buf b = {0};
    assert_true(zeros && websocket_deflate((str){zeros, N}, 15, &small));
    assert_true(small.n < N / 150);
    put_frame(&b, 0xC2, small.p, small.n);
    struct websocket_in in = {.message_bytes_max = 1 << 20, .deflate = true};
    assert_int_equal(read_all(&in, &b), WEBSOCKET_ERROR);
    assert_true(in.code == WEBSOCKET_TOO_BIG && websocket_held(&in) <= 4 << 20);
    websocket_in_free(&in);
    b.n = 0;
    put_frame(&b, 0xC2, small.p, small.n);
    in = (struct websocket_in){.message_bytes_max = 16 << 20, .deflate = true};
    assert_int_equal(read_all(&in, &b), WEBSOCKET_ERROR); /* it would be let in by its size */
    assert_int_equal(in.code, WEBSOCKET_TOO_BIG);
    websocket_in_free(&in);
    /* 256 KiB may be had of anything. */
    assert_true(websocket_deflate((str){zeros, 200 << 10}, 9, &small));
    b.n = 0;
    put_frame(&b, 0xC2, small.p, small.n);
    in = (struct websocket_in){.message_bytes_max = 16 << 20, .deflate = true};
    assert_int_equal(read_all(&in, &b), WEBSOCKET_MESSAGE);
    assert_int_equal(in.data.n, 200 << 10);
    websocket_in_free(&in);
    buf_free(&b);
    free(zeros);
}

/* RFC 7692 §7.2.3: its own examples. */
static void test_deflated(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
    } t[] = {{"\xf2\x48\xcd\xc9\xc9\x07\x00", 7},
             {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11},
             {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8},
             {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13}};
    for (size_t i = 0; i < ARRAY_COUNT(t); i++)
        for (size_t cut = 0; cut < t[i].n; cut++) {
            struct websocket_in in = {.message_bytes_max = 100, .deflate = true};
            struct buf b = {0};
            if (cut) put_frame(&b, 0x41, t[i].bytes, cut), put_frame(&b, 0x80, t[i].bytes + cut, t[i].n - cut);
            else put_frame(&b, 0xC1, t[i].bytes, t[i].n);
            assert_int_equal(read_all(&in, &b), WEBSOCKET_MESSAGE);
            assert_true(in.text && str_eqc(in.data, "Hello"));
            websocket_in_free(&in);
            buf_free(&b);
        }
    static const str bad[] = {STR_INIT("\xff\xff\xff\xff"), STR_INIT("\x07"), STR_INIT("\x00\x05\x00\xfb\xff\x48")};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct websocket_in in = {.message_bytes_max = 100, .deflate = true};
        struct buf b = {0};
        put_frame(&b, 0xC1, bad[i].p, bad[i].n);
        assert_int_equal(read_all(&in, &b), WEBSOCKET_ERROR);
        assert_int_equal(in.code, WEBSOCKET_INVALID_DATA);
        websocket_in_free(&in);
        buf_free(&b);
    }
}

static void test_reasons(void **state) {
    uint8_t to[WEBSOCKET_CONTROL_BYTES_MAX], reason[200];
    for (size_t i = 0; i < sizeof reason; i += 2) reason[i] = 0xC3, reason[i + 1] = 0xA9; /* é */
    size_t n = websocket_close_payload(to, 4000, (str){reason, sizeof reason});
    assert_int_equal(n, 2 + 122); /* not half a character */
    assert_true(to[0] == 0x0F && to[1] == 0xA0 && str_is_utf8((str){to + 2, n - 2}));
    assert_int_equal(websocket_close_payload(to, WEBSOCKET_NO_CODE, STR("x")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mask),     cmocka_unit_test(test_utf8),      cmocka_unit_test(test_accept),
        cmocka_unit_test(test_offers),   cmocka_unit_test(test_announced), cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_in_place), cmocka_unit_test(test_bombs),     cmocka_unit_test(test_deflated),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
