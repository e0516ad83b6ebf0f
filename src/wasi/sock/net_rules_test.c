/* net_rules: what a rule covers, and what it never does. */
#include "wasi/sock/net_rules.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { TCP = 1 << APP_NET_TCP, UDP = 1 << APP_NET_UDP, LISTEN = 1 << APP_NET_LISTEN, LOOKUP = 1 << APP_NET_LOOKUP };

static struct net_addr at(const char *text, uint16_t port) {
    struct net_addr a;
    assert_true(net_addr_parse(str_c(text), &a));
    a.port = port;
    return a;
}
static struct app_net_rule any(unsigned uses) { return (struct app_net_rule){.uses = uses, .any = true, .port_to = 65535}; }
static struct app_net_rule named(unsigned uses, const char *name) {
    return (struct app_net_rule){.uses = uses, .name = str_c(name), .port_from = 443, .port_to = 443};
}
static struct app_net_rule prefix(unsigned uses, const char *text, uint8_t bits) {
    return (struct app_net_rule){.uses = uses, .prefix = at(text, 0), .bits = bits, .port_from = 1, .port_to = 1024};
}
static bool allows(struct app_net_rule rule, enum app_net_use use, const char *text, uint16_t port) {
    struct net_addr a = at(text, port);
    return wasi_net_rules_allow((struct wasi_net_rules){&rule, 1}, use, &a, NULL);
}

static void wildcards(void **state) {
    static const char *const open[] = {"1.1.1.1", "10.0.0.1", "127.0.0.1", "::1", "2001:db8::1", "fd00::1"};
    static const char *const shut[] = {
        "169.254.169.254",      "fe80::1",     "fd00:ec2::254",           "100.100.100.200", "224.0.0.1",
        "255.255.255.255",      "ff02::1",     "64:ff9b::a9fe:a9fe",      "0.0.0.0",         "::",
        "64:ff9b:1::a9fe:a9fe", "2001:0:1::1", "::ffff:0:169.254.169.254"};
    for (size_t i = 0; i < ARRAY_COUNT(open); i++) assert_true(allows(any(TCP), APP_NET_TCP, open[i], 1));
    for (size_t i = 0; i < ARRAY_COUNT(shut); i++) {
        assert_false(allows(any(TCP | UDP), APP_NET_TCP, shut[i], 1));
        assert_false(allows(any(TCP | UDP), APP_NET_UDP, shut[i], 1));
        assert_false(allows(prefix(TCP, "0.0.0.0", 0), APP_NET_TCP, shut[i], 1));
        assert_false(allows(prefix(TCP, "::", 0), APP_NET_TCP, shut[i], 1));
    }
    assert_false(allows(any(TCP), APP_NET_UDP, "1.1.1.1", 1));
    assert_false(allows(any(TCP | UDP | LOOKUP), APP_NET_LISTEN, "127.0.0.1", 1));
    assert_true(allows(any(LISTEN), APP_NET_LISTEN, "0.0.0.0", 80));
}

static void prefixes(void **state) {
    assert_true(allows(prefix(TCP, "169.254.169.254", 32), APP_NET_TCP, "169.254.169.254", 80));
    assert_true(allows(prefix(TCP, "169.254.0.0", 16), APP_NET_TCP, "169.254.1.1", 80));
    assert_false(allows(prefix(TCP, "169.0.0.0", 8), APP_NET_TCP, "169.254.1.1", 80));
    assert_true(allows(prefix(UDP, "224.0.0.251", 32), APP_NET_UDP, "224.0.0.251", 80));
    assert_true(allows(prefix(TCP, "10.1.0.0", 16), APP_NET_TCP, "10.1.255.1", 1024));
    assert_false(allows(prefix(TCP, "10.1.0.0", 16), APP_NET_TCP, "10.2.0.1", 80));
    assert_false(allows(prefix(TCP, "10.1.0.0", 16), APP_NET_TCP, "10.1.0.1", 1025));
    assert_false(allows(prefix(TCP, "10.1.0.0", 16), APP_NET_TCP, "10.1.0.1", 0));
    assert_false(allows(prefix(LISTEN, "127.0.0.1", 32), APP_NET_LISTEN, "0.0.0.0", 80));
    assert_true(allows(prefix(LISTEN, "0.0.0.0", 0), APP_NET_LISTEN, "0.0.0.0", 80));
    assert_true(allows(prefix(LISTEN, "0.0.0.0", 0), APP_NET_LISTEN, "127.0.0.1", 80));
    assert_false(allows(prefix(LISTEN, "0.0.0.0", 0), APP_NET_LISTEN, "::1", 80));
    assert_true(allows(named(TCP, "localhost"), APP_NET_TCP, "127.0.0.1", 443));
    assert_true(allows(named(TCP, "localhost"), APP_NET_TCP, "::1", 443));
    assert_false(allows(named(TCP, "localhost"), APP_NET_TCP, "10.0.0.1", 443));
}

static void names(void **state) {
    struct app_net_rule list[] = {named(TCP, "api.example.org"), named(TCP, "*.cdn.example.org"), named(UDP, "db"),
                                  named(LOOKUP, "only.example.org")};
    struct wasi_net_rules r = {list, ARRAY_COUNT(list)};
    struct wasi_net_names n = {0};
    assert_true(wasi_net_rules_allow_lookup(r, STR("api.example.org")));
    assert_true(wasi_net_rules_allow_lookup(r, STR("a.b.cdn.example.org")));
    assert_true(wasi_net_rules_allow_lookup(r, STR("only.example.org")));
    assert_false(wasi_net_rules_allow_lookup(r, STR("cdn.example.org")));
    assert_false(wasi_net_rules_allow_lookup(r, STR("evilcdn.example.org")));
    assert_false(wasi_net_rules_allow_lookup(r, STR("example.org")));
    struct net_addr a = at("93.184.215.14", 443);
    assert_false(wasi_net_rules_allow(r, APP_NET_TCP, &a, &n));
    wasi_net_names_learn(&n, r, STR("only.example.org"), &a, 1); /* looking up is not reaching */
    assert_false(wasi_net_rules_allow(r, APP_NET_TCP, &a, &n));
    wasi_net_names_learn(&n, r, STR("api.example.org"), &a, 1);
    assert_true(wasi_net_rules_allow(r, APP_NET_TCP, &a, &n));
    assert_false(wasi_net_rules_allow(r, APP_NET_UDP, &a, &n));
    a.port = 444;
    assert_false(wasi_net_rules_allow(r, APP_NET_TCP, &a, &n));
    /* a public name opens no address that is not public; a local one opens private ones, and still not the loopback or the link */
    static const char *const inside[] = {"10.0.0.1", "127.0.0.1", "169.254.169.254", "::1", "fd00::1", "0.0.0.0"};
    for (size_t i = 0; i < ARRAY_COUNT(inside); i++) {
        a = at(inside[i], 443);
        wasi_net_names_learn(&n, r, STR("api.example.org"), &a, 1);
        wasi_net_names_learn(&n, r, STR("x.cdn.example.org"), &a, 1);
        wasi_net_names_learn(&n, r, STR("db"), &a, 1);
        assert_false(wasi_net_rules_allow(r, APP_NET_TCP, &a, &n));
        bool private = net_addr_class(&a) == NET_ADDR_PRIVATE;
        assert_int_equal(wasi_net_rules_allow(r, APP_NET_UDP, &a, &n), private);
    }
    for (int i = 0; i < 1000; i++) { /* it is a ring */
        a = (struct net_addr){.port = 443, .ip = {8, 8, (uint8_t)(i >> 8), (uint8_t)i}};
        wasi_net_names_learn(&n, r, STR("api.example.org"), &a, 1);
        assert_true(wasi_net_rules_allow(r, APP_NET_TCP, &a, &n));
    }
    a = at("93.184.215.14", 443);
    assert_false(wasi_net_rules_allow(r, APP_NET_TCP, &a, &n));
}

static bool requests(const struct app_net_rule *list, size_t n, const char *host, const char *found) {
    struct wasi_net_host h;
    arena *mem = arena_new(0);
    struct net_addr a = at(found, 443);
    struct wasi_net_rules r = {list, n};
    bool yes = wasi_net_host_parse(mem, str_c(host), &h) && wasi_net_rules_allow_host(r, &h, 443) &&
               wasi_net_rules_allow_found(r, &h, &a);
    arena_free(mem);
    return yes;
}

static void requests_by_name(void **state) {
    static const char *const inside[] = {"10.0.0.1", "127.0.0.1",      "169.254.169.254", "::1",    "fd00::1",
                                         "0.0.0.0",  "64:ff9b::a00:1", "64:ff9b:1::1",    "2001::1"};
    struct app_net_rule list[] = {named(TCP, "api.example.org"), named(TCP, "*.cdn.example.org"), named(TCP, "db"), any(TCP)};
    for (size_t i = 0; i < ARRAY_COUNT(list); i++)
        assert_true(requests(&list[i], 1, (const char *[]){"Api.example.org.", "a.cdn.example.org", "db", "x.example"}[i],
                             "93.184.215.14"));
    for (size_t i = 0; i < ARRAY_COUNT(inside); i++) {
        assert_false(requests(list, 4, "api.example.org", inside[i]));
        assert_false(requests(list, 4, "db", inside[i]));
        assert_false(requests(list, 4, "localhost", inside[i]));
    }
    struct app_net_rule private[] = {named(TCP, "db"), prefix(TCP, "10.0.0.0", 8), named(TCP, "localhost")};
    private[1].port_to = 65535;
    assert_true(requests(private, 2, "db", "10.1.2.3"));
    assert_false(requests(private, 2, "other", "10.1.2.3")); /* it may not even be looked up */
    assert_true(requests(private, 2, "10.1.2.3", "10.1.2.3"));
    assert_true(requests(private, 3, "localhost", "127.0.0.1"));
    assert_true(requests(private, 3, "::1", "::1"));
    assert_false(requests(private, 3, "localhost", "10.1.2.4") && requests(private, 3, "localhost", "192.168.0.1"));
    assert_false(requests(private, 3, "db", "127.0.0.1"));
    static const char *const bad[] = {"127.1", "2130706433", "0x7f000001", "%31.0.0.1", "", "a b", "[::1", "::1]"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) assert_false(requests(&list[3], 1, bad[i], "93.184.215.14"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(wildcards), cmocka_unit_test(prefixes), cmocka_unit_test(names),
                                       cmocka_unit_test(requests_by_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
