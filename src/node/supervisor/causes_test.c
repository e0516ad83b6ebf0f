/* Who kills a worker cannot keep it down; a worker that cannot start does not burn the core; an app that does it twice is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "node/node_int.h"

static const uint64_t s = 1'000'000'000u;

static void test_pauses(void **state) {
    struct node_causes c = {0};
    struct node_death early = {.running = NODE_NO_APP}, served = {.served = true, .running = NODE_NO_APP};
    uint64_t pause = 0, last = 0;
    for (unsigned i = 0; i < 20; i++) {
        pause = node_causes_death(&c, &early, pause, i * s).pause_ns;
        assert_true(pause > last || pause == 10 * s);
        last = pause;
    }
    assert_int_equal(pause, 10 * s);
    for (unsigned i = 0; i < 100; i++) assert_int_equal(node_causes_death(&c, &served, pause, 20 * s).pause_ns, 0);
}

static void test_blame(void **state) {
    struct node_causes c = {0};
    struct node_death a = {.served = true, .running = 1, .apps = {1, 2}, .apps_count = 2};
    struct node_death either = {.served = true, .running = NODE_NO_APP, .apps = {2, 3}, .apps_count = 2};
    struct node_death nobody = {.served = true, .running = NODE_NO_APP};
    assert_int_equal(node_causes_death(&c, &a, 0, 1 * s).isolate, NODE_NO_APP);
    assert_int_equal(node_causes_death(&c, &nobody, 0, 2 * s).isolate, NODE_NO_APP);
    assert_int_equal(node_causes_death(&c, &either, 0, 3 * s).isolate,
                     NODE_NO_APP); /* 2 was there twice, but 1 ran the first time */
    assert_int_equal(node_causes_death(&c, &a, 0, 60 * s).isolate, 1);
    assert_int_equal(node_causes_death(&c, &a, 0, 200 * s).isolate, NODE_NO_APP); /* long ago */
    assert_int_equal(node_causes_death(&c, &either, 0, 201 * s).isolate, NODE_NO_APP);
    assert_int_equal(node_causes_death(&c, &either, 0, 202 * s).isolate, 2);
}

/* However many apps there are, those that died last are known. */
static void test_many_apps(void **state) {
    struct node_causes c = {0};
    for (uint32_t app = 0; app < 1000; app++) {
        struct node_death d = {.served = true, .running = app};
        assert_int_equal(node_causes_death(&c, &d, 0, (1000 + app) * s / 100).isolate, NODE_NO_APP);
    }
    struct node_death d = {.served = true, .running = 999};
    assert_int_equal(node_causes_death(&c, &d, 0, 21 * s).isolate, 999);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pauses), cmocka_unit_test(test_blame),
                                       cmocka_unit_test(test_many_apps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
