/* What a guest prints, in whatever pieces, becomes one event a line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>
#include "node/node_int.h"

static char text[4 << 20];
static int fd;

static void begin(struct node_lines *l) {
    *l = (struct node_lines){.stream = "stderr", .request_id = "r1", .bytes_max = 256 << 10};
    ftruncate(fd, 0) == 0 ? (void)0 : abort();
    lseek(fd, 0, SEEK_SET);
}
static size_t logged(void) { /* the number of lines; all of it in text */
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n] = 0;
    size_t count = 0;
    for (ssize_t i = 0; i < n; i++) count += text[i] == '\n';
    return count;
}

static void test_pieces(void **state) {
    struct node_lines l;
    for (size_t step = 1; step < 20; step++) {
        str all = STR("one\ntwo\r\n\nfour, unfinished");
        begin(&l);
        while (all.n) {
            node_lines_put(&l, str_sub(all, 0, step));
            all = str_sub(all, step, all.n);
        }
        assert_int_equal(logged(), 3);
        node_lines_end(&l);
        assert_int_equal(logged(), 4);
        assert_non_null(strstr(text, "\"text\":\"one\""));
        assert_non_null(strstr(text, "\"text\":\"two\""));
        assert_non_null(strstr(text, "\"text\":\"\""));
        assert_non_null(strstr(text, "\"text\":\"four, unfinished\""));
        assert_non_null(strstr(text, "\"request\":\"r1\""));
    }
}

static void test_long_line(void **state) {
    struct node_lines l;
    static uint8_t x[5000];
    memset(x, 'z', sizeof x);
    begin(&l);
    for (int i = 0; i < 3; i++) node_lines_put(&l, (str){x, sizeof x});
    node_lines_put(&l, STR("\n"));
    node_lines_end(&l);
    logged();
    size_t n = 0;
    for (char *p = text; *p; p++) n += *p == 'z';
    assert_int_equal(n, 3 * sizeof x);
}

static void test_last_lines(void **state) {
    struct node_lines l;
    begin(&l);
    node_lines_put(&l, STR("one\n\ntwo\r\nthree"));
    node_lines_end(&l);
    assert_memory_equal(l.last, "one\ntwo\nthree\n", l.last_n);
    for (size_t step = 1; step < 3 * sizeof l.last;
         step += 7) { /* lines of any length: what is kept is whole lines and the last */
        static uint8_t x[4 * sizeof l.last];
        memset(x, 'x', sizeof x);
        begin(&l);
        for (int i = 0; i < 40; i++) {
            node_lines_put(&l, (str){x, (size_t)i * step % sizeof l.last});
            node_lines_put(&l, STR("\nend\n"));
            assert_true(l.last_n <= sizeof l.last && l.last_n >= 4);
            assert_memory_equal(l.last + l.last_n - 4, "end\n", 4);
        }
        assert_true(l.last_n > sizeof l.last / 4 || step * 40 < sizeof l.last);
        assert_true(l.last[0] != '\n');
    }
}

static void test_flood(void **state) {
    struct node_lines l;
    begin(&l);
    for (int i = 0; i < 5000; i++) node_lines_put(&l, STR("again\n"));
    node_lines_end(&l);
    assert_int_equal(logged(), 1001);
    assert_non_null(strstr(text, "\"lines\":4000"));
}

/* What is of no request has as much in each minute, and what was dropped is said then. */
static void test_minute(void **state) {
    struct node_lines l;
    begin(&l);
    l.request_id = "";
    for (int i = 0; i < 1500; i++) node_lines_put(&l, STR("again\n"));
    assert_int_equal(logged(), 1000);
    l.since_ns -= 61'000'000'000;
    for (int i = 0; i < 1500; i++) node_lines_put(&l, STR("again\n"));
    assert_int_equal(logged(), 2001);
    assert_non_null(strstr(text, "\"lines\":500"));
}

/* One app, by as many requests as it likes, leaves another its lines; in the next second it has some again. */
static void test_apps(void **state) {
    struct node_log_pool pool = {};
    struct node_log_part flood, quiet;
    struct node_lines l;
    static uint8_t line[8000];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    node_log_part_open(&flood, &pool, 0);
    node_log_part_open(&quiet, &pool, 0);
    uint64_t lines = 0, dropped = 0;
    for (int request = 0; request < 100; request++) {
        begin(&l);
        l.part = &flood;
        for (int i = 0; i < 20; i++) node_lines_put(&l, (str){line, sizeof line});
        lines += l.logged, dropped += l.dropped;
    }
    assert_true(dropped && lines * sizeof line <= 2 * NODE_LOG_BYTES_MAX); /* two, where a second ends meanwhile */
    begin(&l);
    l.part = &quiet;
    for (int i = 0; i < 50; i++) node_lines_put(&l, STR("one of few\n"));
    assert_int_equal(l.logged, 50);
    pool.second--; /* a second passes */
    begin(&l);
    l.part = &flood;
    node_lines_put(&l, STR("again\n"));
    assert_int_equal(l.logged, 1);
    node_log_part_close(&flood);
    node_log_part_close(&quiet);
    assert_int_equal(pool.pool.parts, 0);
}

/* Bytes are limited as they are logged: here six for each that is printed. */
static void test_flood_of_bytes(void **state) {
    struct node_lines l;
    static uint8_t line[8192];
    memset(line, 1, sizeof line);
    line[sizeof line - 1] = '\n';
    begin(&l);
    for (int i = 0; i < 1000; i++) node_lines_put(&l, (str){line, sizeof line});
    node_lines_put(&l, STR("the end\n"));
    node_lines_end(&l);
    assert_true(lseek(fd, 0, SEEK_END) < 400 << 10);
    size_t lines = logged() - 1;
    char count[40];
    snprintf(count, sizeof count, "\"lines\":%zu", 1001 - lines);
    assert_non_null(strstr(text, count));
    assert_memory_equal(l.last + l.last_n - 8, "the end\n", 8);
}

/* What is dropped is counted, in pieces of any size, and its end is kept. */
static void test_dropped_pieces(void **state) {
    static uint8_t x[40000];
    for (size_t i = 0; i < sizeof x; i++) x[i] = (uint8_t)(i % 100 == 99 ? '\n' : 'a' + i / 100 % 26);
    for (size_t step = 1; step < sizeof x; step = step * 5 + 3) {
        struct node_lines l;
        begin(&l);
        for (int i = 0; i < 1001; i++) node_lines_put(&l, STR("before\n"));
        for (size_t i = 0; i < sizeof x; i += step) node_lines_put(&l, (str){x + i, MIN(step, sizeof x - i)});
        assert_int_equal(l.dropped, 1 + sizeof x / 100);
        node_lines_end(&l); /* which has told it */
        assert_int_equal(l.dropped, 0);
        assert_memory_equal(l.last + l.last_n - 100, x + sizeof x - 100, 100);
    }
}

int main(void) {
    fd = memfd_create("log", 0);
    log_init(fd, true, LOG_INFO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),         cmocka_unit_test(test_long_line),      cmocka_unit_test(test_last_lines),
        cmocka_unit_test(test_flood),          cmocka_unit_test(test_minute),         cmocka_unit_test(test_apps),
        cmocka_unit_test(test_flood_of_bytes), cmocka_unit_test(test_dropped_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
