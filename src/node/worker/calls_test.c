/* Calls of an app's identity: where they may go, by URL and by address. */
#include "node/worker/calls.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static void test_urls(void **state) {
    static const struct {
        const char *url, *scheme, *authority, *path, *host; /* scheme NULL: it is none */
    } cases[] = {
        {"https://id.example/token", "https", "id.example", "/token", "id.example"},
        {"https://id.example", "https", "id.example", "/", "id.example"},
        {"http://127.0.0.1:9/a?b=c", "http", "127.0.0.1:9", "/a?b=c", "127.0.0.1"},
        {"https://[2001:db8::1]:443/", "https", "[2001:db8::1]:443", "/", "2001:db8::1"},
        {"https://id.example?b=c", NULL, "", "", ""},
        {"https://id.example/#b", NULL, "", "", ""},
        {"https://me@id.example/", NULL, "", "", ""},
        {"https://id.example:/", NULL, "", "", ""},
        {"https://id.example:0/", NULL, "", "", ""},
        {"https://id.example:65536/", NULL, "", "", ""},
        {"https://id.example\\@other/", NULL, "", "", ""},
        {"https://id.example/a b", NULL, "", "", ""},
        {"https://id.example/a\r\nx: y", NULL, "", "", ""},
        {"https:///token", NULL, "", "", ""},
        {"https://", NULL, "", "", ""},
        {"//id.example/", NULL, "", "", ""},
        {"file:///etc/passwd", NULL, "", "", ""},
        {"HTTPS://id.example/", NULL, "", "", ""},
        {"", NULL, "", "", ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct node_call_url u;
        bool ok = node_call_url_read(str_c(cases[i].url), &u);
        if (ok != (cases[i].scheme != NULL)) fail_msg("%s", cases[i].url);
        if (ok && !(str_eqc(u.scheme, cases[i].scheme) && str_eqc(u.authority, cases[i].authority) &&
                    str_eqc(u.path, cases[i].path) && str_eqc(u.host, cases[i].host)))
            fail_msg("%s: " STR_FMT " " STR_FMT " " STR_FMT, cases[i].url, STR_ARG(u.authority), STR_ARG(u.path),
                     STR_ARG(u.host));
    }
}

static void test_addresses(void **state) {
    static const struct {
        const char *address;
        bool https, http, private_https, private_http;
    } cases[] = {
        {"203.0.114.1", true, false, true, false},       {"2600::1", true, false, true, false},
        {"10.0.0.1", false, false, true, true},          {"192.168.1.1", false, false, true, true},
        {"127.0.0.1", false, false, true, true},         {"::1", false, false, true, true},
        {"169.254.169.254", false, false, false, false}, {"fe80::1", false, false, false, false},
        {"0.0.0.0", false, false, false, false},         {"::", false, false, false, false},
        {"224.0.0.1", false, false, false, false},       {"255.255.255.255", false, false, false, false},
        {"::ffff:10.0.0.1", false, false, true, true},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct net_addr a;
        assert_true(net_addr_parse(str_c(cases[i].address), &a));
        bool ok = node_call_may_reach(&a, true, false) == cases[i].https &&
                  node_call_may_reach(&a, false, false) == cases[i].http &&
                  node_call_may_reach(&a, true, true) == cases[i].private_https &&
                  node_call_may_reach(&a, false, true) == cases[i].private_http;
        if (!ok) fail_msg("%s", cases[i].address);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_urls), cmocka_unit_test(test_addresses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
