/* Unions of rights: what is within what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "node/rights.h"

static arena *mem;

/* dirs, http and net: one grant each, or NULL. */
static struct node_rights rights(const char *dir, const char *http, const char *net, const char *forward) {
    struct app_grants g = {0};
    struct diag d = DIAG_INIT;
    struct node_rights r;
    if (dir) assert_int_equal(app_grant_dir(mem, &g, str_c(dir), &d), ERR_OK);
    if (http) assert_int_equal(app_grant_http(mem, &g, str_c(http), &d), ERR_OK);
    if (net) assert_int_equal(app_grant_net(mem, &g, str_c(net), &d), ERR_OK);
    if (forward) assert_int_equal(app_grant_forward(mem, &g, str_c(forward), &d), ERR_OK);
    node_rights_of(mem, &r, &g);
    return r;
}

static void test_of(void **state) {
    struct node_rights r = rights(NULL, NULL, NULL, NULL);
    assert_true(!r.network && !r.ports_count && !r.any_port_out && !r.dirs.n);
    r = rights("/a::/x:ro", "10.0.0.1:8443", NULL, NULL);
    assert_true(r.network == NODE_RIGHTS_CONNECT && r.ports_count == 2 && r.ports[0] == 53 && r.ports[1] == 8443);
    assert_true(r.dirs.n == 1 && !r.dirs.p[0].write && str_eqc(r.dirs.p[0].path, "/a"));
    r = rights(NULL, "*", "listen:8080", NULL);
    assert_true(r.any_port_out && !r.ports_count && r.network == (NODE_RIGHTS_CONNECT | NODE_RIGHTS_LISTEN));
    r = rights(NULL, NULL, NULL, "http://x:99");
    assert_true(r.ports_count == 4 && r.ports[1] == 80 && r.ports[2] == 99 && r.ports[3] == 443);
    r = rights(NULL, NULL, "tcp:x:1000-2000", NULL); /* more than can be named */
    assert_true(r.any_port_out && !r.ports_count);
}

static void test_within(void **state) {
    const struct node_rights none = rights(NULL, NULL, NULL, NULL), read = rights("/a::/x:ro", NULL, NULL, NULL),
                             write = rights("/a::/y", NULL, NULL, NULL), http = rights(NULL, "x:8080", NULL, NULL),
                             all = rights(NULL, "*", NULL, NULL), listen = rights(NULL, NULL, "listen:80", NULL);
    const struct node_rights *const each[] = {&none, &read, &write, &http, &all, &listen};
    static const bool within[6][6] = {
        {1, 1, 1, 1, 1, 1}, {0, 1, 1, 0, 0, 0}, {0, 0, 1, 0, 0, 0}, {0, 0, 0, 1, 1, 0}, {0, 0, 0, 0, 1, 0}, {0, 0, 0, 0, 0, 1},
    };
    for (size_t i = 0; i < 6; i++)
        for (size_t k = 0; k < 6; k++) {
            assert_int_equal(node_rights_within(each[i], each[k]), within[i][k]);
            struct node_rights both = {0};
            node_rights_join(mem, &both, each[i]);
            node_rights_join(mem, &both, each[k]);
            assert_true(node_rights_within(each[i], &both) && node_rights_within(each[k], &both));
        }
}

static void test_ports(void **state) {
    struct node_rights r = rights(NULL, "x:8080", NULL, NULL), got = {0};
    assert_true(node_rights_set_ports(&got, node_rights_ports(&r)));
    assert_true(node_rights_within(&got, &r) && got.ports_count == 2);
    assert_false(node_rights_set_ports(&got, STR("\1")));
    assert_false(node_rights_set_ports(&got, STR("\2\0\1\0")));
    assert_false(node_rights_set_ports(&got, STR("\1\0\1\0")));
    static const uint8_t many[2 * NODE_RIGHTS_PORTS_MAX + 2];
    assert_false(node_rights_set_ports(&got, (str){many, sizeof many}));
}

int main(void) {
    mem = arena_new(0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_of), cmocka_unit_test(test_within), cmocka_unit_test(test_ports)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_free(mem);
    return failed;
}
