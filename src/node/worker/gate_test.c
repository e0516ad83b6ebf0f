/* Rates: as many as are allowed, no more at once than the burst, each app by itself, on one page for all. */
#include "node/worker/gate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const uint64_t second = 1'000'000'000, start = 1'000'000'000'000;

static uint64_t let_in(uint32_t app, uint64_t rate, uint64_t burst, uint64_t now, uint64_t of) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < of; i++) n += !node_rates_take(app, rate, burst, now);
    return n;
}

static void test_rate(void **state) {
    assert_int_equal(let_in(1, 10, 5, start, 100), 5);               /* at once */
    assert_int_equal(node_rates_take(1, 10, 5, start), second / 10); /* when there is room again */
    assert_int_equal(let_in(1, 10, 5, start + second / 10, 100), 1);
    uint64_t n = 0;
    for (uint64_t t = second; t < 11 * second; t += second / 100) n += let_in(1, 10, 5, start + t, 3);
    assert_in_range(n, 100, 105);
    assert_int_equal(let_in(2, 10, 10, start, 100), 10); /* another app's */
    assert_int_equal(let_in(3, 1'000'000'000, 1'000'000'000, start, 1000), 1000);
}

/* Buckets that are full are anybody's; more apps at their rate than there are buckets share some, and none is let in for nothing. */
static void test_many_apps(void **state) {
    memset(node_rates, 0, sizeof *node_rates);
    for (uint32_t app = 0; app < 3 * NODE_RATES; app++)
        assert_int_equal(node_rates_take(app, 100, 1, start + (uint64_t)app * second), 0);
    uint64_t n = 0;
    for (uint32_t app = 0; app < 3 * NODE_RATES; app++) n += let_in(app, 1, 1, start * 1000, 2);
    assert_in_range(n, NODE_RATES, 3 * NODE_RATES);
}

/* Who makes up more keys than there are buckets keeps nobody else out; and what was counted longest stays. */
static void test_many_keys(void **state) {
    char key[32];
    memset(node_rates, 0, sizeof *node_rates);
    for (int i = 0; i < 90; i++) assert_int_equal(node_rates_take_key(1, STR("strangers ann"), 40 * second, 90, start, true), 0);
    for (uint32_t i = 0; i < 4 * NODE_RATES; i++) {
        snprintf(key, sizeof key, "guess %u", i);
        assert_int_equal(node_rates_take_key(2, str_c(key), 360 * second, 10, start, true), 0);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "refresh %u", i);
        assert_int_equal(node_rates_take_key(3, str_c(key), second, 300, start, true), 0);
    }
    assert_true(node_rates_take_key(1, STR("strangers ann"), 40 * second, 90, start, true) > 0);
    memset(node_rates, 0, sizeof *node_rates);
}

static void test_nonsense(void **state) {
    memset(node_rates, 0xff, sizeof *node_rates);
    for (uint32_t app = 7; app < 100; app++) assert_true(node_rates_take(app, 10, 5, start) < second);
    memset(node_rates, 0, sizeof *node_rates);
}

static void test_shared(void **state) {
    struct node_rates *before = node_rates;
    struct diag d = DIAG_INIT;
    int fd = node_rates_new();
    assert_true(fd >= 0);
    assert_int_equal(node_rates_map(fd, &d), ERR_OK);
    assert_int_equal(let_in(9, 10, 5, start, 100), 5);
    assert_int_equal(node_rates_map(fd, &d), ERR_OK); /* as another process sees it */
    assert_int_equal(let_in(9, 10, 5, start, 100), 0);
    close(fd);
    node_rates = before;
}

/* A user who is banned: of his app alone, for so long, and more of them than there is room for leave those whose tokens hold longest. */
static void test_ended(void **state) {
    const uint64_t s = 1'000'000'000, now = 1000 * s;
    char name[32];
    uint32_t kept = 0;
    assert_false(node_rates_ended(1, STR("ann"), now));
    node_rates_end(1, STR("ann"), 60 * s, now);
    assert_true(node_rates_ended(1, STR("ann"), now) && node_rates_ended(1, STR("ann"), now + 59 * s));
    assert_false(node_rates_ended(1, STR("ann"), now + 60 * s) || node_rates_ended(2, STR("ann"), now) ||
                 node_rates_ended(1, STR("bob"), now) || node_rates_ended(1, (str){0}, now));
    node_rates_end(1, STR("bob"), 0, now);
    node_rates_end(1, STR("ann"), 0, now);
    assert_false(node_rates_ended(1, STR("ann"), now));
    node_rates_end(1, STR("last"), 3600 * s, now);
    for (uint32_t i = 0; i < 3 * NODE_ENDED; i++) {
        snprintf(name, sizeof name, "user%u", i);
        node_rates_end(1, str_c(name), 60 * s, now);
        kept += node_rates_ended(1, str_c(name), now);
    }
    assert_int_equal(kept, 3 * NODE_ENDED); /* the newest is there, whoever goes for it */
    assert_true(node_rates_ended(1, STR("last"), now));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ended),     cmocka_unit_test(test_rate),
                                       cmocka_unit_test(test_many_apps), cmocka_unit_test(test_many_keys),
                                       cmocka_unit_test(test_nonsense),  cmocka_unit_test(test_shared)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
