/* What a worker publishes is read back; what it makes up is cut to size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>
#include "node/node_int.h"

static void test_requests(void **state) {
    struct node_pulse *page;
    int fd = node_pulse_new(&page);
    struct diag d = DIAG_INIT;
    assert_true(fd >= 0);
    assert_int_equal(node_pulse_map(fd, &d), ERR_OK);
    assert_int_equal(ftruncate(fd, 0), -1); /* or the supervisor would fault */
    assert_int_equal(errno, EPERM);
    uint32_t at[NODE_PULSE_REQUESTS + 5];
    for (uint32_t i = 0; i < ARRAY_COUNT(at); i++) {
        char id[NODE_ID_BYTES + 1];
        snprintf(id, sizeof id, "%016x", i);
        at[i] = node_pulse_begin(i % 3, id);
    }
    node_pulse_end(at[1]);
    node_pulse_end(at[ARRAY_COUNT(at) - 1]); /* one that was not named */
    snprintf(node_pulse->running, sizeof node_pulse->running, "%016x", 5);
    snprintf(node_pulse->doing, sizeof node_pulse->doing, "guest code");
    node_pulse->told = node_pulse->served = 1;
    struct node_death death;
    struct buf ids = {0};
    char doing[NODE_DOING_BYTES];
    node_pulse_read(page, &death, &ids, doing);
    assert_true(death.served && death.running == 2 && death.apps_count == 3);
    assert_string_equal(doing, "guest code");
    assert_int_equal(ids.n, (NODE_PULSE_REQUESTS - 1) * 17 - 1);
    assert_memory_equal(ids.p, "0000000000000005 0000000000000000 0000000000000002 ", 51);
    buf_free(&ids);
    for (uint32_t i = 0; i < ARRAY_COUNT(at); i++) node_pulse_end(at[i]);
    node_pulse_read(page, &death, &ids, doing);
    assert_int_equal(death.apps_count, 0);
    buf_free(&ids);
    node_pulse_free(page);
    close(fd);
}

static void test_lies(void **state) {
    struct node_pulse *page;
    int fd = node_pulse_new(&page);
    memset(page, 0xff, sizeof *page);
    for (uint32_t i = 0; i < NODE_PULSE_REQUESTS; i++) page->requests[i].app = i;
    struct node_death death;
    struct buf ids = {0};
    char doing[NODE_DOING_BYTES];
    node_pulse_read(page, &death, &ids, doing);
    assert_int_equal(death.apps_count, NODE_APPS_SEEN);
    assert_true(strlen(doing) < NODE_DOING_BYTES && ids.n <= (NODE_PULSE_REQUESTS + 1) * 17);
    buf_free(&ids);
    node_pulse_free(page);
    close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_requests), cmocka_unit_test(test_lies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
