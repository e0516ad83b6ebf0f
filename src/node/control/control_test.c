/* Control, with a supervisor that this test plays: what it asks for, what it keeps, and what of that the next one finds. steps_test.c: what is
 * there after it was killed at any system call, or the disk was full at any. */
#include "node/control/control_test.h"

static void test_kept(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(deploy("b"), ERR_OK);
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(sup.deployed.version, 2);
    assert_true(served("a") == 2 && served("b") == 1);
    stop(), start();
    assert_true(served("a") == 2 && served("b") == 1);
    has_images();
    assert_int_equal(files_in("images", ""), 3); /* that of the version before too, to go back to */
    assert_int_equal(drop("c"), ERR_NOT_FOUND);
    assert_int_equal(drop("a"), ERR_OK);
    assert_int_equal(served("a"), 0);
    stop(), start();
    assert_true(!served("a") && served("b") == 1);
    assert_int_equal(deploy("a"), ERR_OK); /* another one, that only has its name */
    assert_int_equal(sup.deployed.version, 1);
}

/* Another control with the very descriptors that the one before had: it finds all that is there. */
static void test_comes_back(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    node_process_end(&sup.control);
    close(sup.client), sup.client = -1;
    assert_int_equal(govern(), ERR_OK);
    assert_int_equal(served("a"), 1);
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(sup.deployed.version, 2);
}

/* What all workers serve cannot be kept: who deployed is told so, and the version before is served again. */
static void test_not_kept(void **state) {
    static const bool never;
    assert_int_equal(deploy("a"), ERR_OK);
    sup.full = true;
    trace();
    assert_int_equal(deploy("a"), ERR_LIMIT);
    assert_int_equal(served("a"), 2);
    assert_false(until(&never)); /* it ends */
    sup.full = false, sup.full_at = 0;
    end_control();
    if (sup.client >= 0) close(sup.client), sup.client = -1;
    assert_int_equal(govern(), ERR_OK);
    assert_int_equal(served("a"), 1);
    has_images();
}

/* What workers refuse leaves all as it was. */
static void test_refused(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    sup.publish_says = ERR_DENIED;
    assert_int_equal(deploy("a"), ERR_DENIED);
    assert_int_equal(deploy("b"), ERR_DENIED);
    assert_int_equal(drop("a"), ERR_DENIED);
    sup.publish_says = ERR_OK;
    stop(), start();
    assert_true(served("a") == 1 && !served("b"));
    assert_int_equal(rows("versions"), 1);
    assert_int_equal(rows("apps"), 1);
    assert_int_equal(files_in("images", ""), 1);
    has_images();
    send_deploy("a", "/tmp::/data");
    assert_true(until(&sup.answered));
    assert_int_equal(sup.rights, 1);
}

/* Who goes away takes his job with him; who talks nonsense is hung up on, and nobody else. */
static void test_clients(void **state) {
    sup.holds_compile = true;
    sup.compiles = sup.cancels = 0;
    send_deploy("a", NULL);
    wait_for(&sup.compiles, 1);
    close(sup.client), sup.client = -1;
    wait_for(&sup.cancels, 1);
    sup.holds_compile = false;
    connect_client();
    assert_int_equal(send(sup.client, "nonsense", 8, 0), 8);
    for (sup.answered = false; sup.client >= 0;) {
        poll(&(struct pollfd){.fd = sup.client, .events = POLLIN}, 1, 1000);
        hear_answer();
    }
    assert_int_equal(deploy("a"), ERR_OK);
}

static void test_two_nodes(void **state) {
    struct node_state other;
    struct diag d = DIAG_INIT;
    assert_int_equal(node_state_open(str_c(folder), &other, &d), ERR_BUSY);
    assert_non_null(strstr(d.text, "another node runs"));
    assert_int_equal(deploy("a"), ERR_OK); /* and its socket is still there */
}

/* A record that was changed is said, and the others are served; one of a newer version is not touched. */
static void test_broken(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(deploy("b"), ERR_OK);
    stop();
    change_store("create table kept as select record from versions where app = 1;"
                 "update versions set record = cast(substr(record, 1, 30) || x'ff' || substr(record, 32) as blob) where app = 1");
    start();
    assert_true(!served("a") && served("b") == 1);
    stop();
    change_store("update versions set record = (select record from kept) where app = 1");
    start(); /* mended, it has all that it had: its images were not swept */
    assert_int_equal(served("a"), 1);
    has_images();
    stop();
    change_store("update versions set record = cast(x'ffff0000' || substr(record, 5) as blob) where app = 1");
    assert_int_equal(begin(), ERR_UNSUPPORTED);
    stop();
    char back[64];
    snprintf(back, sizeof back, "pragma user_version = %d", (int)ask_store("pragma user_version"));
    change_store("update versions set record = (select record from kept) where app = 1; pragma user_version = 99");
    assert_int_equal(begin(), ERR_UNSUPPORTED);
    stop();
    assert_int_equal(ask_store("pragma user_version"), 99);
    change_store(back);
    start();
    assert_true(served("a") == 1 && served("b") == 1);
}

/* A module that was compiled before is not compiled again, whosever it is; and so many versions are kept. */
static void test_compiled_once(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    sup.same = true;
    sup.compiles = 0;
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(deploy("b"), ERR_OK);
    assert_int_equal(sup.compiles, 0);
    assert_true(served("a") == 2 && served("b") == 1);
    has_images();
    assert_int_equal(files_in("images", ""), 1);
    assert_int_equal(drop("a"), ERR_OK);
    stop(), start();
    has_images();
    assert_int_equal(drop("b"), ERR_OK);
    stop(), start();
    assert_int_equal(files_in("images", ""), 0);
    assert_int_equal(deploy("b"), ERR_OK); /* its image is gone */
    assert_int_equal(sup.compiles, 1);
    sup.same = false;
    for (int i = 0; i < 12; i++) assert_int_equal(deploy("b"), ERR_OK);
    stop(), start();
    assert_int_equal(files_in("images", ""), 10);
    assert_int_equal(rows("versions"), 10);
    assert_int_equal(served("b"), 13);
}

/* A database of another node, or none where there was one: nothing is touched. */
static void test_whose(void **state) {
    char command[512];
    assert_int_equal(deploy("a"), ERR_OK);
    stop();
    snprintf(command, sizeof command, "mv %s/db %s/db-own", folder, folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(begin(), ERR_NOT_FOUND);
    stop();
    assert_int_equal(files_in("db", ""), 0);
    assert_int_equal(files_in("images", ""), 1);
    snprintf(command, sizeof command, "rmdir %s/db; cp -a %s/db-own %s/db", folder, folder, folder);
    assert_int_equal(system(command), 0);
    change_store("update meta set value = x'00112233445566778899aabbccddeeff' where key = 'node'");
    assert_int_equal(begin(), ERR_DENIED);
    stop();
    assert_int_equal(files_in("images", ""), 1);
    snprintf(command, sizeof command, "rm -r %s/db; mv %s/db-own %s/db", folder, folder, folder);
    assert_int_equal(system(command), 0);
    start();
    assert_int_equal(served("a"), 1);
}

static void write_blob(const char *app, const char *end, int64_t modified_s) {
    char path[300];
    snprintf(path, sizeof path, "%s/blobs/%s.%064d%s", folder, app, 7, end);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    struct timespec times[2] = {{.tv_sec = modified_s}, {.tv_sec = modified_s}};
    assert_true(fd >= 0 && write(fd, "some", 4) == 4 && futimens(fd, times) == 0);
    close(fd);
}

/* The clock was set forth and back meanwhile: what is of a wrong time is as old as what is of long ago, and tokens and versions are as they were. */
static void test_clock_jumps(void **state) {
    int64_t now = (int64_t)(clock_wall_ns() / 1'000'000'000u), day = 86'400;
    assert_int_equal(deploy("a"), ERR_OK);
    stop();
    unsigned before = files_in("blobs", "");
    write_blob("lately", ".part", now - day / 2);
    write_blob("ahead", ".part", now + day / 2); /* by what a clock may be set back */
    write_blob("old", ".part", now - 2 * day);
    write_blob("future", ".part", now + 400 * day);
    write_blob("ancient", ".part", -day);
    change_store("update versions set created = created + 1000000000; update tokens set created = created + 1000000000, "
                 "last_used = last_used + 1000000000");
    start();
    assert_int_equal(files_in("blobs", "") - before, 2);
    assert_int_equal(served("a"), 1);
    assert_int_equal(deploy("a"), ERR_OK); /* which one is the newer, numbers say */
    stop(), start();
    assert_int_equal(served("a"), 2);
}

int main(int argc, char **argv) {
    node_be(argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_kept),      TEST(test_comes_back), TEST(test_not_kept),      TEST(test_refused), TEST(test_clients),
        TEST(test_two_nodes), TEST(test_broken),     TEST(test_compiled_once), TEST(test_whose),   TEST(test_clock_jumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
