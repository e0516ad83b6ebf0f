/* Control, stopped at every step: what is there afterwards is what was, or what was to be, whole; and the latter, if anybody was told so. */
#include "node/control/control_test.h"

/* Killed at each of its system calls in turn, from a deployment's beginning to its answer: what is there afterwards is the old version or
 * the new one, whole; and the new one, if anybody was told so. */
static void test_killed_anywhere(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    uint32_t version = 1;
    unsigned news = 0, olds = 0, at = 1;
    for (bool whole = false; !whole; at++) {
        assert_true(at < 2000);
        sup.stop_at = at;
        trace();
        send_deploy("a", NULL);
        whole = until(&sup.answered) && sup.control.pid > 0;
        bool told = sup.answered && sup.deployed.err == ERR_OK;
        stop(), start();
        uint32_t now = served("a");
        assert_true(now == version + 1 || (now == version && !told));
        assert_int_equal(files_in("db", ".part") + files_in("images", ".part"), 0);
        assert_int_equal(files_in("images", ""), MIN(now, 10u));
        has_images();
        *(now == version ? &olds : &news) += 1;
        version = now;
    }
    print_message("             %u system calls: %u times the old one, %u the new one\n", at, olds, news);
    assert_true(olds > 10 && news);
}

/* The same of an app's end: it is there with all it had, or not at all. */
static void test_killed_dropping(void **state) {
    unsigned at = 1;
    for (bool whole = false; !whole; at++) {
        assert_true(at < 2000);
        if (!served("a")) assert_int_equal(deploy("a"), ERR_OK);
        sup.stop_at = at;
        trace();
        send_drop("a");
        whole = until(&sup.answered) && sup.control.pid > 0;
        bool told = sup.answered && sup.deployed.err == ERR_OK;
        sup.stop_at = 0;
        stop(), start();
        assert_true(!served("a") || !told);
        assert_int_equal(rows("apps"), served("a") ? 1 : 0);
        assert_int_equal(rows("files"), served("a") ? 1 : 0);
        assert_int_equal(files_in("images", ""), served("a") ? 1 : 0);
        has_images();
    }
}

/* There is no room from each of the calls that write on, in turn, until the answer. */
static void test_full_anywhere(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    uint32_t version = 1, at = 1;
    unsigned refused = 0;
    for (bool whole = false; !whole; at++) {
        assert_true(at < 500);
        sup.full_at = at;
        trace();
        send_deploy("a", NULL);
        bool alive = until(&sup.answered);
        whole = alive && sup.writes < at;
        if (sup.answered && sup.deployed.err != ERR_OK) {
            assert_true(sup.deployed.err == ERR_LIMIT || sup.deployed.err == ERR_IO);
            assert_non_null(strstr(sup.text, "full"));
            refused++;
        }
        bool told = sup.answered && sup.deployed.err == ERR_OK;
        sup.full_at = 0;
        stop(), start();
        uint32_t now = served("a");
        assert_true(now == version + 1 || (now == version && !told));
        assert_int_equal(files_in("db", ".part") + files_in("images", ".part"), 0);
        assert_int_equal(files_in("images", ""), MIN(now, 10u));
        has_images();
        version = now;
    }
    print_message("             %u calls that write, %u times refused\n", at, refused);
    assert_true(refused > 5);
}

int main(int argc, char **argv) {
    node_be(argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_killed_anywhere), TEST(test_killed_dropping), TEST(test_full_anywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
