/* What one Orlo says to another: packets over a pair of sockets, with descriptors; and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "node/handover.h"

static void test_read(void **state) {
    static const char *const none[] = {"",
                                       "orlo 1 x",
                                       "orlo 2 x\n",
                                       "orlo 1 \n",
                                       "hello\n",
                                       "orlo 1 x\nkey\n",
                                       "orlo 1 x\n value\n",
                                       "orlo 1 x\nkey value",
                                       "orlo 1 x\nkey value\nmore"};
    struct node_handover m;
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) assert_false(node_handover_parse(str_c(none[i]), &m));
    assert_true(node_handover_parse(STR("orlo 1 hello\nversion 1.2 x\nformat 7\nempty \n\nbody\n\nof it"), &m));
    assert_true(node_handover_is(&m, "hello") && !node_handover_is(&m, "hell"));
    assert_true(str_eqc(node_handover_str(&m, "version"), "1.2 x") && node_handover_u64(&m, "format") == 7);
    assert_true(!node_handover_str(&m, "empty").n && !node_handover_str(&m, "nothing").n && !node_handover_u64(&m, "version"));
    assert_true(str_eqc(m.body, "body\n\nof it"));
    struct buf b = {0};
    node_handover_begin(&b, "many");
    for (int i = 0; i <= NODE_HANDOVER_FIELDS_MAX; i++) {
        assert_true(node_handover_parse(buf_str(&b), &m));
        node_handover_put_u64(&b, "n", 1);
    }
    assert_false(node_handover_parse(buf_str(&b), &m)); /* more than there is room for */
    buf_free(&b);
}

static void say(int fd, const char *value, str body, const int *fds, int n, err want) {
    struct buf b = {0};
    node_handover_begin(&b, "say");
    node_handover_put(&b, "value", str_c(value));
    assert_int_equal(node_handover_send(fd, &b, body, fds, n), want);
}

static void test_packets(void **state) {
    int pair[2], fds[NODE_HANDOVER_FDS_MAX], many = 0;
    struct node_handover m;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(node_handover_receive(pair[1], &m), NODE_HANDOVER_AGAIN);
    for (; many < NODE_HANDOVER_FDS_MAX; many++) fds[many] = STDIN_FILENO;
    say(pair[0], "a\nverb", STR("body"), fds, many, ERR_OK);
    assert_int_equal(node_handover_receive(pair[1], &m), NODE_HANDOVER_GOT);
    assert_true(str_eqc(node_handover_str(&m, "value"), "a") && str_eqc(m.body, "body")); /* a value ends where its line does */
    assert_int_equal(m.fds_count, many);
    int taken = node_handover_take(&m, 0), again = node_handover_take(&m, 0), beyond = node_handover_take(&m, many),
        last = m.fds[many - 1];
    assert_true(taken >= 0 && again == -1 && beyond == -1);
    node_handover_drop(&m);
    assert_true(fcntl(taken, F_GETFD) >= 0 && fcntl(last, F_GETFD) < 0);
    close(taken);
    assert_int_equal(write(pair[0], "nonsense", 8), 8);
    assert_int_equal(node_handover_receive(pair[1], &m), NODE_HANDOVER_CLOSED);
    close(pair[1]);
    say(pair[0], "x", (str){0}, NULL, 0, ERR_CLOSED);
    close(pair[0]);
}

static void test_layouts(void **state) {
    char of[3][33], other[3][33];
    node_handover_layouts(of[0], of[1], of[2]);
    node_handover_layouts(other[0], other[1], other[2]);
    assert_memory_equal(of, other, sizeof of);
    assert_true(strlen(of[0]) == 32 && strcmp(of[0], of[1]) != 0 && strcmp(of[1], of[2]) != 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_packets),
                                       cmocka_unit_test(test_layouts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
