/* Codings: who is given which, that what comes out is what went in and no more was held for it than is said. */
#include "coding/coding.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "coding/decode_test.h"

static const struct {
    const char *said;
    enum coding chosen;
} accepts[] = {
    {"", CODING_IDENTITY},
    {"gzip", CODING_GZIP},
    {"x-gzip", CODING_GZIP},
    {"GZip", CODING_GZIP},
    {"gzip, deflate, br", CODING_BR},
    {"gzip, deflate, br, zstd", CODING_ZSTD},
    {"deflate", CODING_IDENTITY},
    {"compress, gzip;q=0.1", CODING_GZIP},
    {"br;q=0.5, gzip;q=0.8", CODING_GZIP},
    {"br;q=0.8, gzip;q=0.8", CODING_BR},
    {"br;q=0", CODING_IDENTITY},
    {"br;q=0.000, gzip", CODING_GZIP},
    {"br;q=0.001", CODING_BR},
    {"*", CODING_ZSTD},
    {"*;q=0", CODING_IDENTITY},
    {"*;q=0.3, zstd;q=0", CODING_BR},
    {"gzip;q=0.2, *;q=0.1", CODING_GZIP},
    {"identity;q=0", CODING_IDENTITY}, /* nothing at all is taken: as it is */
    {"identity;q=0, gzip;q=0.1", CODING_GZIP},
    {"identity, gzip", CODING_GZIP},
    {"identity, gzip;q=0.9", CODING_IDENTITY},
    {"identity;q=0.5, gzip;q=0.5", CODING_GZIP},
    {"identity;q=0.5, gzip;q=0.4", CODING_IDENTITY},
    {"gzip;q=2", CODING_IDENTITY},
    {"gzip;q=1.001", CODING_IDENTITY},
    {"gzip;q=1.000", CODING_GZIP},
    {"gzip;q=0.1234", CODING_IDENTITY},
    {"gzip;q=", CODING_IDENTITY},
    {"gzip;q", CODING_IDENTITY},
    {"gzip;level=9", CODING_IDENTITY},
    {"gzip ; q=0.5", CODING_GZIP},
    {"gzip;Q=0.5", CODING_GZIP},
    {",,gzip,,", CODING_GZIP},
    {"gzip;q=0, gzip", CODING_IDENTITY},
    {"gzipp, brr", CODING_IDENTITY},
    {"g zip", CODING_IDENTITY},
};

static void what_is_taken(void **state) {
    for (size_t i = 0; i < ARRAY_COUNT(accepts); i++) {
        struct coding_accept a = {0};
        coding_accept_add(&a, str_c(accepts[i].said));
        if (coding_choose(&a) != accepts[i].chosen) fail_msg("%s: %s", accepts[i].said, coding_name(coding_choose(&a)));
    }
    struct coding_accept none = {0};
    assert_int_equal(coding_choose(&none), CODING_IDENTITY);
    assert_false(none.said);
}

static void what_is_worth_it(void **state) {
    static const char *const worth[] = {"text/html",        "text/html; charset=utf-8", "TEXT/CSS",
                                        "application/json", "application/problem+json", "image/svg+xml",
                                        "application/wasm", "text/event-stream",        "application/geo+json ; a=b"};
    static const char *const not [] = {"",
                                       "text",
                                       "text/",
                                       "image/png",
                                       "application/zip",
                                       "video/mp4",
                                       "application/octet-stream",
                                       "font/woff2",
                                       "application/jsonx",
                                       "+json",
                                       "application/pdf"};
    for (size_t i = 0; i < ARRAY_COUNT(worth); i++)
        if (!coding_type_worth(str_c(worth[i]))) fail_msg("%s", worth[i]);
    for (size_t i = 0; i < ARRAY_COUNT(not ); i++)
        if (coding_type_worth(str_c(not [i]))) fail_msg("%s", not [i]);
}

static void run(struct coding_encoder *e, enum coding_op op, str in, struct buf *made, size_t room) {
    uint8_t to[4096];
    size_t n;
    for (bool done = false; !done; buf_put(made, to, n)) done = coding_run(e, op, &in, to, room, &n);
    assert_int_equal(in.n, 0);
}

/* Text that repeats itself, and bytes that do not. */
static void fill(struct buf *b, size_t n, bool text) {
    uint64_t x = 88172645463325252ull + n;
    while (b->n < n) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        if (text) buf_printf(b, "{\"name\":\"row %u\",\"value\":%u}\n", (unsigned)(x % 1000), (unsigned)(x >> 40) % 77);
        else buf_put(b, &x, sizeof x);
    }
}

static void what_comes_out_is_what_went_in(void **state) {
    static const size_t sizes[] = {0, 1, 100, 5000, 70000, 1500000}, pieces[] = {1 << 22, 16384, 777}, rooms[] = {4096, 1, 50};
    for (uint32_t c = CODING_IDENTITY + 1; c < CODINGS; c++)
        for (size_t i = 0; i < ARRAY_COUNT(sizes) * 2; i++) {
            struct buf in = {0}, made = {0}, back = {0};
            fill(&in, sizes[i / 2], i % 2);
            struct coding_encoder *e = coding_new((enum coding)c);
            size_t piece = pieces[i % 3];
            for (size_t at = 0; at < in.n; at += piece)
                run(e, at % 5 == 4 ? CODING_FLUSH : CODING_MORE, str_sub(buf_str(&in), at, piece), &made,
                    in.n > 5000 ? 4096 : rooms[i % 3]);
            run(e, CODING_END, (str){0}, &made, 4096);
            coding_free(e);
            assert_true(decode((enum coding)c, buf_str(&made), &back));
            assert_true(str_eq(buf_str(&in), buf_str(&back)));
            if (i % 2 && in.n > 1000) assert_true(made.n * 3 < in.n);
            buf_free(&in), buf_free(&made), buf_free(&back);
        }
}

/* A stream of events: each is there once it was flushed, before the next is thought of. */
static void what_is_flushed_is_there(void **state) {
    for (uint32_t c = CODING_IDENTITY + 1; c < CODINGS; c++) {
        struct buf in = {0}, made = {0};
        struct coding_encoder *e = coding_new((enum coding)c);
        for (int i = 0; i < 50; i++) {
            struct buf back = {0};
            size_t at = in.n;
            buf_printf(&in, "data: event %d\n\n", i);
            run(e, CODING_FLUSH, str_sub(buf_str(&in), at, in.n), &made, 4096);
            assert_false(decode((enum coding)c, buf_str(&made), &back));
            assert_true(str_eq(buf_str(&in), buf_str(&back)));
            buf_free(&back);
        }
        coding_free(e); /* in the middle of it */
        buf_free(&in), buf_free(&made);
    }
}

/* Messages with and without the context of those before them, whatever room there is at a time. */
static void raw_both_ways(void **state) {
    for (unsigned window = 9; window <= 15; window++) {
        struct coding_raw *d = coding_raw_new(false, window, 6), *i = coding_raw_new(true, window, 0);
        size_t first = 0, last = 0;
        for (int message = 0; message < 6; message++) {
            struct buf in = {0}, made = {0}, back = {0};
            uint8_t to[64];
            size_t n;
            buf_printf(&in, "{\"channel\":\"room:lobby\",\"event\":\"message\",\"text\":\"and so on and on\"}");
            if (message == 3) fill(&in, 100000, true);
            if (message == 5) coding_raw_reset(d), coding_raw_reset(i);
            enum coding_raw_said said;
            str from = buf_str(&in);
            do said = coding_raw_run(d, true, &from, to, sizeof to, &n), buf_put(&made, to, n);
            while (said == CODING_RAW_MORE);
            assert_int_equal(said, CODING_RAW_DONE);
            assert_true(made.n > 4 && !memcmp(made.p + made.n - 4, "\0\0\xff\xff", 4));
            from = buf_str(&made);
            do said = coding_raw_run(i, false, &from, to, 1 + (size_t)message, &n), buf_put(&back, to, n);
            while (said == CODING_RAW_MORE);
            assert_int_equal(said, CODING_RAW_DONE);
            assert_true(str_eq(buf_str(&in), buf_str(&back)));
            if (message == 0) first = made.n;
            if (message == 1) assert_true(made.n < first / 2);
            if (message == 5) last = made.n;
            buf_free(&in), buf_free(&made), buf_free(&back);
        }
        assert_int_equal(first, last);
        uint8_t to[64];
        size_t n;
        str bad = STR("\xff\xff\xff\xff\xff");
        assert_int_equal(coding_raw_run(i, false, &bad, to, sizeof to, &n), CODING_RAW_BAD);
        coding_raw_reset(i);
        str end = STR("\x03\0behind");
        assert_int_equal(coding_raw_run(i, false, &end, to, sizeof to, &n), CODING_RAW_END);
        assert_true(str_eqc(end, "behind"));
        coding_raw_free(d), coding_raw_free(i);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_is_taken), cmocka_unit_test(what_is_worth_it),
                                       cmocka_unit_test(what_comes_out_is_what_went_in),
                                       cmocka_unit_test(what_is_flushed_is_there), cmocka_unit_test(raw_both_ways)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
