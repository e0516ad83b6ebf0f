/* Rates: as many as are allowed, no more at once than the burst, each app by itself, on one page for all. */
#include "node/worker/gate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
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

/* ---- rules ---- */

static void test_siphash(void **state) { /* the vectors of its authors: key 0..15, text 0..n-1 */
    static const uint64_t want[] = {0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a,
                                    0x85676696d7fb7e2d, 0xcf2794e0277187b7, 0x18765564cd99a68d,
                                    0xcbc9466e58fee3ce, 0xab0200f58b01d137, 0x93f5f5799a932462};
    uint8_t key[16], text[16];
    for (uint8_t i = 0; i < 16; i++) key[i] = text[i] = i;
    for (size_t n = 0; n < ARRAY_COUNT(want); n++) assert_true(node_rates_siphash(key, (str){text, n}) == want[n]);
}

static bool takes(uint32_t app, uint32_t rule, const char *who, struct node_ruled *of, uint64_t now) {
    return !node_rates_take_ruled(app, rule, str_c(who), of, now, true);
}

static void test_ruled(void **state) {
    struct node_ruled of = {.each_ns = second, .burst = 3};
    memset(node_rates, 0, sizeof *node_rates);
    for (uint64_t i = 0; i < 3; i++) {
        assert_true(takes(1, 0, "ann", &of, start));
        assert_true(of.left == 2 - i && of.full_ns == (i + 1) * second);
    }
    assert_true(node_rates_take_ruled(1, 0, STR("ann"), &of, start, true) == second);
    assert_true(takes(1, 1, "ann", &of, start) && takes(2, 0, "ann", &of, start) && takes(1, 0, "bob", &of, start));
    assert_true(takes(1, 0, "ann", &of, start + second) && !takes(1, 0, "ann", &of, start + second));
    assert_true(takes(3, 0, "ann", &of, start) && !node_rates_take_ruled(3, 0, STR("ann"), &of, start, false) && of.left == 2);
}

/* Whoever makes up names, be they more than there are places: who is over his rate stays there, others of the app still come by the one that they
 * share, and another app's do not notice. */
static void test_ruled_flood(void **state) {
    char name[32];
    struct node_ruled of = {.each_ns = 100 * second, .burst = 1};
    memset(node_rates, 0, sizeof *node_rates);
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "limited %u", i);
        assert_true(takes(1, 0, name, &of, start) && !takes(1, 0, name, &of, start));
    }
    uint32_t let = 0;
    for (uint32_t i = 0; i < 4 * NODE_RULED; i++) {
        snprintf(name, sizeof name, "made up %u", i);
        let += takes(1, 0, name, &of, start);
    }
    assert_in_range(let, NODE_RULED / 2, NODE_RULED + NODE_RULED_WIDE);
    for (uint32_t i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "limited %u", i);
        assert_false(takes(1, 0, name, &of, start + second));
    }
    for (uint32_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "other %u", i);
        assert_true(takes(2, 0, name, &of, start) && !takes(2, 0, name, &of, start));
    }
    assert_true(takes(1, 0, "later", &of, start + 200 * second)); /* and once it is over, there is room again */
}

/* Two to four workers at once, by a clock that they share: as many as there may be, within 5 %. */
static void workers_take(uint32_t workers, uint64_t each_ns, uint64_t burst, uint64_t for_ns, uint32_t names) {
    struct shared {
        uint64_t now, let[64];
    } *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t of[4];
    assert_true(s != MAP_FAILED);
    s->now = start;
    for (uint32_t w = 0; w < workers; w++) {
        if ((of[w] = fork())) continue;
        for (uint64_t now, i = w;
             (now = __atomic_add_fetch(&s->now, each_ns / 20 / names + 1, __ATOMIC_RELAXED)) < start + for_ns;
             i = i * 6364136223846793005 + 1442695040888963407) {
            char name[16];
            uint32_t which = (uint32_t)((i >> 33) % names);
            struct node_ruled r = {.each_ns = each_ns, .burst = burst};
            snprintf(name, sizeof name, "%u", which);
            if (!node_rates_take_ruled(5, names, str_c(name), &r, now, true))
                __atomic_add_fetch(&s->let[which], 1, __ATOMIC_RELAXED);
        }
        _exit(0);
    }
    for (uint32_t w = 0; w < workers; w++) {
        int status;
        assert_true(waitpid(of[w], &status, 0) == of[w] && !status);
    }
    uint64_t want = for_ns / each_ns + burst;
    for (uint32_t i = 0; i < names; i++)
        if (s->let[i] > want + want / 20 || s->let[i] < want - want / 20 - 1)
            fail_msg("%u workers, %u names: %llu of %llu", workers, names, (unsigned long long)s->let[i],
                     (unsigned long long)want);
    munmap(s, sizeof *s);
}

static void test_ruled_by_workers(void **state) {
    struct node_rates *before = node_rates;
    struct diag d = DIAG_INIT;
    for (uint32_t workers = 2; workers <= 4; workers++) {
        int fd = node_rates_new();
        assert_int_equal(node_rates_map(fd, &d), ERR_OK);
        workers_take(workers, 1'000'000, 100, second, 1);
        workers_take(workers, 100'000, 10, second / 10, 7);
        workers_take(workers, second / 3, 50, 30 * second, 3);
        munmap(node_rates, sizeof *node_rates);
        close(fd);
    }
    node_rates = before;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ended),       cmocka_unit_test(test_rate),
                                       cmocka_unit_test(test_many_apps),   cmocka_unit_test(test_many_keys),
                                       cmocka_unit_test(test_nonsense),    cmocka_unit_test(test_shared),
                                       cmocka_unit_test(test_siphash),     cmocka_unit_test(test_ruled),
                                       cmocka_unit_test(test_ruled_flood), cmocka_unit_test(test_ruled_by_workers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
