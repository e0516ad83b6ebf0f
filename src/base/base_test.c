/* Tests of base: strings, arenas, vectors, maps, buffers, readers, diagnostics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/base.h"
#include "base/pool.h"

static void test_str(void **state) {
    assert_true(str_eq(STR("ab"), str_c("ab")));
    assert_false(str_eq(STR("ab"), STR("abc")));
    assert_true(str_eq_nocase(STR("Content-Length"), STR("content-LENGTH")));
    assert_true(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("b"), STR("ab")) > 0);
    str before, after;
    assert_true(str_cut(STR("k=v=w"), '=', &before, &after));
    assert_true(str_eqc(before, "k") && str_eqc(after, "v=w"));
    assert_false(str_cut(STR("kv"), '=', &before, &after));
    assert_int_equal(after.n, 0);
    assert_true(str_eqc(str_trim(STR(" \t x y\t")), "x y"));
    assert_int_equal(str_sub(STR("abc"), 5, 2).n, 0);
    uint64_t v;
    assert_true(str_to_u64(STR("18446744073709551615"), &v) && v == UINT64_MAX);
    assert_false(str_to_u64(STR("18446744073709551616"), &v));
    uint8_t bytes[2];
    assert_true(str_to_bytes(STR("0fa9"), bytes, 2) && bytes[0] == 0x0f && bytes[1] == 0xa9);
    assert_false(str_to_bytes(STR("0fa"), bytes, 2) || str_to_bytes(STR("0fag"), bytes, 2) ||
                 str_to_bytes(STR("0FA9"), bytes, 2));
    assert_false(str_to_u64(STR(""), &v) || str_to_u64(STR("-1"), &v) || str_to_u64(STR("1 "), &v));
}

static void test_utf8(void **state) {
    assert_true(str_is_utf8(STR("plain ascii, long enough for the fast path")));
    assert_true(str_is_utf8(STR("\xc3\xa9 \xe2\x98\x83 \xf0\x9f\x98\x80")));
    static const char *const bad[] = {"\x80",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
                                      "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
                                      "\xe2\x98",     "abcdefgh\xff"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) assert_false(str_is_utf8(str_c(bad[i])));
}

static int cleaned[3], cleaned_count;
static void note_cleanup(void *arg) { cleaned[cleaned_count++] = *(int *)arg; }

static void test_arena(void **state) {
    arena *a = arena_new(0);
    uint8_t *first = arena_alloc(a, 3, 1);
    for (int i = 1; i < 3000; i++) {
        uint64_t *p = arena_array(a, uint64_t, (size_t)i % 50 + 1);
        assert_int_equal((uintptr_t)p % 8, 0);
        assert_int_equal(p[i % 50], 0);
        p[0] = UINT64_MAX;
    }
    assert_int_equal(first[2], 0);
    int one = 1, two = 2;
    arena_cleanup(a, note_cleanup, &one);
    arena_cleanup(a, note_cleanup, &two);
    arena_reset(a);
    assert_int_equal(cleaned_count, 2);
    assert_true(cleaned[0] == 2 && cleaned[1] == 1);
    assert_true(str_eqc(arena_fmt(a, "%d-%s", 7, "x"), "7-x"));
    arena_free(a);
    assert_int_equal(cleaned_count, 2);

    arena *small = arena_new(10000);
    assert_non_null(arena_try_alloc(small, 8000, 8));
    assert_null(arena_try_alloc(small, 8000, 8));
    assert_non_null(arena_try_alloc(small, 500, 8));
    arena_free(small);
}

static void test_vec_and_map(void **state) {
    arena *a = arena_new(0);
    VEC(uint32_t) v = {0};
    struct map m = {0};
    for (uint32_t i = 0; i < 5000; i++) {
        vec_push(a, &v, i);
        assert_true(map_put(a, &m, arena_fmt(a, "key%u", i), i));
    }
    assert_int_equal(v.n, 5000);
    assert_false(map_put(a, &m, STR("key7"), 99));
    for (uint32_t i = 0; i < 5000; i++) {
        uint64_t got;
        assert_int_equal(v.p[i], i);
        assert_true(map_get(&m, arena_fmt(a, "key%u", i), &got));
        assert_int_equal(got, i == 7 ? 99 : i);
    }
    uint64_t got;
    assert_false(map_get(&m, STR("nokey"), &got));
    assert_false(map_get(&(struct map){0}, STR("x"), &got));
    arena_free(a);
}

static void test_buf(void **state) {
    struct buf b = {.max = 40};
    assert_true(buf_puts(&b, STR("hello ")) && buf_printf(&b, "%s", "world"));
    assert_true(str_eqc(buf_str(&b), "hello world"));
    buf_drop(&b, 6);
    assert_true(str_eqc(buf_str(&b), "world"));
    assert_false(buf_put(&b, "0123456789012345678901234567890123456789", 40));
    assert_true(b.full && b.n == 5);
    buf_free(&b);
}

static void test_log(void **state) {
    static char text[64 << 10];
    int fd = memfd_create("log", 0);
    log_init(fd, true, LOG_INFO);
    log_event(LOG_DEBUG, "unseen");
    log_event(LOG_INFO, "one", LF_STR("s", STR("a\"b")), LF_U64("u", UINT64_MAX), LF_I64("i", -1), LF_BOOL("b", true),
              LF_F64("f", 1.5));
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n] = 0;
    assert_non_null(strstr(
        text,
        "\"level\":\"info\",\"event\":\"one\",\"s\":\"a\\\"b\",\"u\":18446744073709551615,\"i\":-1,\"b\":true,\"f\":1.500}\n"));
    assert_null(strstr(text, "unseen"));
    log_event(LOG_INFO, "numbers", LF_F64("a", 0), LF_F64("b", 12.0346), LF_F64("c", -1.5), LF_F64("d", 999999.9999),
              LF_F64("e", 1e13));
    text[n = pread(fd, text, sizeof text - 1, 0)] = 0;
    assert_non_null(strstr(text, "\"a\":0.000,\"b\":12.035,\"c\":-1.500,\"d\":1000000.000,\"e\":10000000000000.000}"));
    log_hold(true);
    log_event(LOG_INFO, "two");
    assert_int_equal(pread(fd, text, sizeof text - 1, 0), n);
    log_event(LOG_ERROR, "three");
    assert_true(pread(fd, text, sizeof text - 1, 0) > n);
    log_event(LOG_INFO, "four");
    log_hold(false);
    text[n = pread(fd, text, sizeof text - 1, 0)] = 0;
    assert_non_null(strstr(text, "four"));
    static uint8_t giant[20000];
    for (size_t i = 0; i + 1 < sizeof giant; i += 2) giant[i] = 0xc3, giant[i + 1] = 0xa9;
    log_init(fd, false, LOG_INFO);
    log_event(LOG_INFO, "five", LF_STR("s", ((str){giant + 1, sizeof giant - 2})), LF_CSTR("spaced", "x y"),
              LF_CSTR("plain", "xy"), LF_CSTR("none", ""));
    ssize_t end = pread(fd, text, sizeof text - 1, n);
    text[end] = 0;
    assert_true(end > 14 << 10 && text[end - 1] == '\n');
    assert_non_null(strstr(text, " spaced=\"x y\" plain=xy none=\"\"\n"));
    log_event(LOG_INFO, "six", LF_LINES("trace", STR("a\n\x1b[2Jb")), LF_CSTR("s", "x"));
    text[pread(fd, text, sizeof text - 1, n + end)] = 0;
    assert_non_null(strstr(text, " six s=x\n    trace:\n      a\n      \\u001b[2Jb\n"));
    log_init(STDERR_FILENO, true, LOG_INFO);
    close(fd);
}

static void test_rd(void **state) {
    struct rd r = rd_of(STR("\x01\x02\x00\x00\x00xyz"));
    assert_int_equal(rd_u8(&r), 1);
    assert_int_equal(rd_u32le(&r), 2);
    assert_int_equal(rd_bytes(&r, 4).n, 0);
    assert_non_null(r.fail);
    assert_int_equal(r.fail_at, 5);
    assert_int_equal(rd_u8(&r), 0);
    assert_int_equal(r.fail_at, 5);
}

static void test_diag(void **state) {
    struct diag d = DIAG_INIT;
    assert_int_equal(diag_set(&d, ERR_INVALID, 12, "type %d", 3), ERR_INVALID);
    (void)diag_set(&d, ERR_IO, 13, "later");
    diag_prefix(&d, "func %d", 9);
    assert_string_equal(d.text, "func 9: type 3");
    assert_int_equal(d.offset, 12);
    assert_string_equal(err_name(ERR_MALFORMED), "MALFORMED");
}

/* As much as it will give, one by one. */
static uint64_t take_all(struct pool_part *p, enum pool_answer *why) {
    uint64_t n = 0;
    while ((*why = pool_part_take(p, 1)) == POOL_OK) n++;
    return n;
}

static void test_pool(void **state) {
    struct pool pool = {.max = 1000};
    struct pool_part a, b, c;
    enum pool_answer why;
    pool_part_open(&a, &pool, 0);
    assert_int_equal(take_all(&a, &why), 1000); /* alone */
    assert_int_equal(why, POOL_FULL);
    pool_part_open(&b, &pool, 100);
    assert_int_equal(take_all(&b, &why), 0);
    pool_part_give(&a, 1);
    assert_int_equal(pool_part_take(&a, 1), POOL_LEAVES); /* what is given back is for the other, */
    assert_int_equal(pool_part_take(&b, 1), POOL_OK);     /* the last one, too */
    pool_part_give(&a, 999);
    assert_int_equal(take_all(&a, &why), 749);
    assert_int_equal(why, POOL_LEAVES);
    assert_int_equal(pool_part_take(&b, 100), POOL_PART_FULL);
    assert_int_equal(take_all(&b, &why), 99);
    assert_int_equal(why, POOL_PART_FULL);
    pool_part_open(&c, &pool, 0);
    assert_int_equal(pool_part_take(&c, UINT64_MAX), POOL_FULL);
    assert_true(take_all(&c, &why) > 100 && pool.used < pool.max);
    for (int i = 0; i < 2000; i++) { /* they come to have the same as they give back and take again */
        struct pool_part *p = i % 2 ? &a : &c;
        pool_part_give(p, 1);
        take_all(p, &why);
    }
    assert_in_range(a.used, c.used - 8, c.used + 8);
    pool_part_give(&a, a.used), pool_part_give(&b, b.used), pool_part_give(&c, c.used);
    pool_part_close(&a), pool_part_close(&b), pool_part_close(&c);
    assert_true(!pool.used && !pool.parts);
    pool.max = 0; /* no cap: nothing to be fair about */
    pool_part_open(&a, &pool, 10), pool_part_open(&b, &pool, 0);
    assert_int_equal(take_all(&a, &why), 10);
    assert_int_equal(pool_part_take(&b, 1ull << 60), POOL_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_str),         cmocka_unit_test(test_utf8), cmocka_unit_test(test_arena),
        cmocka_unit_test(test_vec_and_map), cmocka_unit_test(test_buf),  cmocka_unit_test(test_rd),
        cmocka_unit_test(test_diag),        cmocka_unit_test(test_log),  cmocka_unit_test(test_pool)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
