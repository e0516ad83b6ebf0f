/* What is counted is found by who reads, stays when its writer is followed by another, and goes up a level where rows are short. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "node/meters.h"

static struct node_meters_region *map(int fd) {
    struct diag d = DIAG_INIT;
    assert_true(fd >= 0);
    assert_int_equal(node_meters_map(fd, &d), ERR_OK);
    return (struct node_meters_region *)(void *)node_meters;
}

static void test_without_region(void **state) {
    struct node_meters_app *app = node_meters_app(7, STR("shop"));
    struct node_meters_call *call = node_meters_call(app, 1, STR("api"));
    node_meter_status(&call->counts, 200);
    node_meter_limit(app, 0);
    assert_int_equal(call->counts.requests_2xx, 1);
    assert_ptr_equal(app, node_meters_app(8, STR("other")));
    node_meters_call_drop(call);
    node_meters_app_drop(app);
}

static void test_buckets(void **state) {
    struct node_meter_histogram h = {0};
    for (uint32_t i = 0; i < NODE_METER_BUCKETS; i++) {
        assert_true(!i || node_meter_bounds_ns[i] > node_meter_bounds_ns[i - 1]);
        node_meter_time(&h, node_meter_bounds_ns[i]); /* the bound is within */
        assert_int_equal(h.of[i], 1);
        node_meter_time(&h, node_meter_bounds_ns[i] + 1);
        assert_int_equal(h.of[i + 1], 1);
        h.of[i + 1] = 0;
    }
    node_meter_time(&h, 0);
    assert_int_equal(h.of[0], 2);
    node_meter_time(&h, UINT64_MAX / 2);
    assert_int_equal(h.of[NODE_METER_BUCKETS], 1);
}

static void test_statuses(void **state) {
    struct node_meter_call c = {0};
    static const uint16_t gone[] = {0, 99, 499, 600, 999};
    for (size_t i = 0; i < ARRAY_COUNT(gone); i++) node_meter_status(&c, gone[i]);
    for (uint16_t s = 100; s < 600; s = (uint16_t)(s + 100)) node_meter_status(&c, (uint16_t)(s + 3));
    assert_int_equal(c.requests_gone, 5);
    assert_true(c.requests_1xx == 1 && c.requests_2xx == 1 && c.requests_3xx == 1 && c.requests_4xx == 1 && c.requests_5xx == 1);
    struct node_meter_app a = {0};
    node_meter_outgoing(&a, 0), node_meter_outgoing(&a, 499), node_meter_outgoing(&a, 503);
    assert_true(a.outgoing_none == 1 && a.outgoing_4xx == 1 && a.outgoing_5xx == 1);
}

static void test_size_is_sealed(void **state) {
    int fd = node_meters_new();
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(errno, EPERM);
    node_meters_unmap();
    close(fd);
}

static void test_successor_counts_on(void **state) {
    int fd = node_meters_new();
    struct node_meters_region *r = map(fd), *seen = node_meters_open(fd, false);
    assert_non_null(seen);
    struct node_meters_app *app = node_meters_app(7, STR("shop"));
    struct node_meters_call *call = node_meters_call(app, 3, STR("api"));
    assert_ptr_equal(node_meters_call(app, 3, STR("api")), call);
    assert_ptr_not_equal(node_meters_call(app, 4, STR("api")), call);
    node_meter_status(&call->counts, 200);
    node_meter_set(&app->now.instances, 9);
    node_meter_add(&node_meters->worker.accepted, 5);
    assert_int_equal(seen->calls[call - r->calls].counts.requests_2xx, 1);
    r->head.moves = 7; /* it died half way */
    r = map(fd);       /* another process does the same */
    app = node_meters_app(7, STR("shop"));
    assert_int_equal(app->now.instances, 0);
    call = node_meters_call(app, 3, STR("api"));
    node_meter_status(&call->counts, 201);
    assert_int_equal(seen->calls[call - r->calls].counts.requests_2xx, 2);
    assert_int_equal(seen->head.worker.accepted, 5);
    assert_false(r->head.moves & 1);
    assert_int_equal(seen->head.apps, 2);
    assert_int_equal(seen->head.calls, 3);
    node_meters_close(seen);
    node_meters_unmap();
    close(fd);
}

static uint64_t all_requests(const struct node_meters_region *r) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < r->head.calls; i++) n += r->calls[i].used ? r->calls[i].counts.requests_2xx : 0;
    for (uint32_t i = 0; i < r->head.apps; i++) n += r->apps[i].used ? r->apps[i].earlier.requests_2xx : 0;
    return n;
}

/* Version after version of one app, then app after app: whoever is not needed makes room, and nothing is lost. */
static void test_rows_run_out(void **state) {
    int fd = node_meters_new();
    struct node_meters_region *r = map(fd);
    struct node_meters_app *shop = node_meters_app(1, STR("shop"));
    struct node_meters_call *held = node_meters_call(shop, 0, STR("api"));
    uint64_t n = 0;
    for (uint32_t v = 1; v < NODE_METERS_CALLS + 5000; v++, n++) {
        struct node_meters_call *c = node_meters_call(shop, v, STR("api"));
        assert_true(c != r->calls && c != held);
        node_meter_status(&c->counts, 200);
        node_meters_call_drop(c);
    }
    assert_int_equal(all_requests(r), n);
    assert_true(shop->earlier.requests_2xx >= 5000);
    for (uint32_t id = 2; id < NODE_METERS_APPS + 3000; id++, n++) {
        char name[16];
        snprintf(name, sizeof name, "a%u", id);
        struct node_meters_app *a = node_meters_app(id, str_c(name));
        assert_true(a != r->apps && a != shop);
        struct node_meters_call *c = node_meters_call(a, 1, STR("f"));
        node_meter_status(&c->counts, 200);
        node_meter_limit(a, 3);
        node_meters_call_drop(c);
        node_meters_app_drop(a);
    }
    assert_int_equal(all_requests(r), n);
    assert_true(r->apps[0].earlier.requests_2xx && r->apps[0].counts.limits[3]);
    assert_ptr_equal(node_meters_call(shop, 0, STR("api")), held);
    assert_false(r->head.moves & 1);
    node_meters_unmap();
    close(fd);
}

/* All are held: the rest is counted together. */
static void test_all_are_held(void **state) {
    int fd = node_meters_new();
    struct node_meters_region *r = map(fd);
    for (uint32_t id = 1; id < NODE_METERS_APPS; id++) assert_ptr_not_equal(node_meters_app(id, STR("x")), r->apps);
    struct node_meters_app *rest = node_meters_app(NODE_METERS_APPS, STR("x"));
    assert_ptr_equal(rest, r->apps);
    assert_ptr_equal(node_meters_call(rest, 1, STR("f")), r->calls);
    node_meters_app_drop(rest);
    node_meters_call_drop(r->calls);
    node_meters_unmap();
    close(fd);
}

/* What another process left is nonsense: it is read within bounds. */
static void test_region_is_hearsay(void **state) {
    int fd = node_meters_new();
    struct node_meters_region *r = node_meters_open(fd, true);
    unsigned seed = 1;
    for (uint8_t *p = (uint8_t *)&r->head; p < (uint8_t *)&r->apps[20]; p++) *p = (uint8_t)rand_r(&seed);
    for (uint8_t *p = (uint8_t *)r->calls; p < (uint8_t *)&r->calls[20]; p++) *p = (uint8_t)rand_r(&seed);
    r->head.apps = r->head.calls = UINT32_MAX;
    map(fd);
    for (uint32_t i = 0; i < 100; i++) {
        struct node_meters_app *a = node_meters_app(i, STR("x"));
        struct node_meters_call *c = node_meters_call(a, i, STR("f"));
        node_meter_status(&c->counts, 200);
        node_meters_call_drop(c);
        node_meters_app_drop(a);
    }
    node_meters_close(r);
    node_meters_unmap();
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_region),
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_statuses),
        cmocka_unit_test(test_size_is_sealed),
        cmocka_unit_test(test_successor_counts_on),
        cmocka_unit_test(test_rows_run_out),
        cmocka_unit_test(test_all_are_held),
        cmocka_unit_test(test_region_is_hearsay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
