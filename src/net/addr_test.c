/* addr and name: text, classes, prefixes; names as the DNS has them. */
#include "net/addr.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static struct net_addr addr(const char *text) {
    struct net_addr a;
    assert_true(net_addr_parse(str_c(text), &a));
    return a;
}

static void text_round_trips(void **state) {
    static const char *const good[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::1", "::1"},
        {"[2001:DB8::1]", "2001:db8::1"},
        {"::ffff:10.0.0.1", "10.0.0.1"},
    };
    static const char *const bad[] = {"",    "1.2.3", "1.2.3.4.5", "256.0.0.1",   "[1.2.3.4]",
                                      "::g", "[::1",  "1.2.3.4 ",  "fe80::1%eth0"};
    char to[NET_ADDR_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        struct net_addr a = addr(good[i][0]);
        assert_string_equal(net_addr_text(&a, false, to), good[i][1]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct net_addr a;
        assert_false(net_addr_parse(str_c(bad[i]), &a));
    }
    struct net_addr a = addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    a.port = 65535;
    assert_string_equal(net_addr_text(&a, true, to), "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    a = addr("10.0.0.1");
    a.port = 80;
    assert_string_equal(net_addr_text(&a, true, to), "10.0.0.1:80");
}

static void classes(void **state) {
    static const struct {
        const char *text;
        enum net_addr_class want;
    } rows[] = {
        {"1.1.1.1", NET_ADDR_PUBLIC},
        {"10.255.0.1", NET_ADDR_PRIVATE},
        {"172.15.0.1", NET_ADDR_PUBLIC},
        {"172.31.255.255", NET_ADDR_PRIVATE},
        {"100.64.0.1", NET_ADDR_PRIVATE},
        {"127.1.2.3", NET_ADDR_LOOPBACK},
        {"169.254.169.254", NET_ADDR_LINK_LOCAL},
        {"100.100.100.200", NET_ADDR_LINK_LOCAL},
        {"0.0.0.0", NET_ADDR_UNSPECIFIED},
        {"0.1.2.3", NET_ADDR_UNSPECIFIED},
        {"224.0.0.1", NET_ADDR_MULTICAST},
        {"239.255.255.250", NET_ADDR_MULTICAST},
        {"255.255.255.255", NET_ADDR_BROADCAST},
        {"::", NET_ADDR_UNSPECIFIED},
        {"::1", NET_ADDR_LOOPBACK},
        {"::2", NET_ADDR_MAPPED},
        {"fe80::1", NET_ADDR_LINK_LOCAL},
        {"febf::1", NET_ADDR_LINK_LOCAL},
        {"fd00:ec2::254", NET_ADDR_LINK_LOCAL},
        {"fd00:ec2::255", NET_ADDR_PRIVATE},
        {"ff02::1", NET_ADDR_MULTICAST},
        {"2001:4860:4860::8888", NET_ADDR_PUBLIC},
        /* what carries an IPv4 address is judged by it */
        {"::ffff:169.254.169.254", NET_ADDR_LINK_LOCAL},
        {"64:ff9b::a9fe:a9fe", NET_ADDR_LINK_LOCAL},
        {"64:ff9b::7f00:1", NET_ADDR_LOOPBACK},
        {"64:ff9b::101:101", NET_ADDR_PUBLIC},
        {"2002:a00:1::1", NET_ADDR_PRIVATE},
        {"2002:808:808::1", NET_ADDR_PUBLIC},
        {"::ffff:0:10.0.0.1", NET_ADDR_PRIVATE},
        {"::ffff:0:127.0.0.1", NET_ADDR_LOOPBACK},
        /* what may carry one where nobody knows */
        {"64:ff9b:1::", NET_ADDR_LINK_LOCAL},
        {"64:ff9b:1:ffff:ffff:ffff:101:101", NET_ADDR_LINK_LOCAL},
        {"64:ff9b:2::1", NET_ADDR_PUBLIC},
        {"2001:0:4136:e378:8000:63bf:3fff:fdd2", NET_ADDR_LINK_LOCAL},
        /* the registries */
        {"192.0.0.1", NET_ADDR_PRIVATE},
        {"192.0.0.8", NET_ADDR_PRIVATE},
        {"192.0.0.9", NET_ADDR_PUBLIC},
        {"192.0.0.171", NET_ADDR_PRIVATE},
        {"192.0.0.192", NET_ADDR_LINK_LOCAL},
        {"192.0.1.1", NET_ADDR_PUBLIC},
        {"192.0.2.1", NET_ADDR_PRIVATE},
        {"192.31.196.1", NET_ADDR_PUBLIC},
        {"192.88.99.1", NET_ADDR_PRIVATE},
        {"198.17.255.255", NET_ADDR_PUBLIC},
        {"198.19.255.255", NET_ADDR_PRIVATE},
        {"198.51.100.7", NET_ADDR_PRIVATE},
        {"203.0.113.255", NET_ADDR_PRIVATE},
        {"240.0.0.1", NET_ADDR_PRIVATE},
        {"100::1", NET_ADDR_PRIVATE},
        {"100:0:0:1::1", NET_ADDR_PRIVATE},
        {"100:0:0:2::1", NET_ADDR_PUBLIC},
        {"2001:1::1", NET_ADDR_PUBLIC},
        {"2001:1::4", NET_ADDR_PRIVATE},
        {"2001:2::1", NET_ADDR_PRIVATE},
        {"2001:3::1", NET_ADDR_PUBLIC},
        {"2001:4:112::1", NET_ADDR_PUBLIC},
        {"2001:1f::1", NET_ADDR_PRIVATE},
        {"2001:2f::1", NET_ADDR_PUBLIC},
        {"2001:1ff:ffff::1", NET_ADDR_PRIVATE},
        {"2001:200::1", NET_ADDR_PUBLIC},
        {"2001:db8::1", NET_ADDR_PRIVATE},
        {"2620:4f:8000::1", NET_ADDR_PUBLIC},
        {"3fff:fff::1", NET_ADDR_PRIVATE},
        {"3fff:1000::1", NET_ADDR_PUBLIC},
        {"5f00::1", NET_ADDR_PRIVATE},
        {"fec0::1", NET_ADDR_PRIVATE},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct net_addr a = addr(rows[i].text);
        assert_int_equal(net_addr_class(&a), rows[i].want);
    }
    struct net_addr raw = {.v6 = true, .ip = {[10] = 0xff, [11] = 0xff, [12] = 127, [15] = 1}};
    assert_int_equal(net_addr_class(&raw), NET_ADDR_MAPPED);
}

static void prefixes(void **state) {
    struct net_addr a = addr("10.1.2.3"), p = addr("10.1.0.0"), v6 = addr("2001:db8::1"), p6 = addr("2001:db8::");
    assert_true(net_addr_in(&a, &p, 16));
    assert_true(net_addr_in(&a, &p, 22));
    assert_false(net_addr_in(&a, &p, 23));
    assert_true(net_addr_in(&a, &p, 0));
    assert_true(net_addr_in(&v6, &p6, 32));
    assert_false(net_addr_in(&v6, &p6, 128));
    assert_false(net_addr_in(&a, &p6, 0));
    enum net_addr_class c;
    p = addr("169.254.0.0");
    assert_true(net_addr_prefix_class(&p, 16, &c) && c == NET_ADDR_LINK_LOCAL);
    assert_false(net_addr_prefix_class(&p, 15, &c));
    p = addr("0.0.0.0");
    assert_false(net_addr_prefix_class(&p, 0, &c));
    p = addr("168.0.0.0"); /* both ends are public, an address in between is not */
    assert_false(net_addr_prefix_class(&p, 8, &c));
    p = addr("2002::"); /* any IPv4 address may be in it */
    assert_false(net_addr_prefix_class(&p, 8, &c));
    p = addr("2002:a9fe::");
    assert_true(net_addr_prefix_class(&p, 32, &c) && c == NET_ADDR_LINK_LOCAL);
    p = addr("64:ff9b:1::");
    assert_true(net_addr_prefix_class(&p, 48, &c) && c == NET_ADDR_LINK_LOCAL);
    assert_false(net_addr_prefix_class(&p, 47, &c));
    p = addr("64:ff9b::a800:0");
    assert_false(net_addr_prefix_class(&p, 104, &c));
    p = addr("10.0.0.0");
    assert_true(net_addr_prefix_class(&p, 8, &c) && c == NET_ADDR_PRIVATE);
}

static void names(void **state) {
    static const char *const good[][2] = {
        {"Example.ORG", "example.org"},
        {"example.org.", "example.org"},
        {"localhost", "localhost"},
        {"_dmarc.a-b.example", "_dmarc.a-b.example"},
        {"m\xc3\xbcnchen.de", "xn--mnchen-3ya.de"},
        {"b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {"\xe4\xbe\x8b\xe3\x81\x88.jp", "xn--r8jz45g.jp"},
        {"\xd0\xbf\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.\xd1\x80\xd1\x84", "xn--e1afmkfd.xn--p1ai"},
    };
    static const char *const bad[] = {
        "",         ".",          "a..b",
        ".a",       "a b",        "a/b",
        "-a.b",     "256.1.1.1",  "127.1",
        "7",        "0x7f.1",     "0x7f000001",
        "a.0x",     "a-.b",       "a@b",
        "\xff\xfe", "\xc2\x80.b", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg.org"};
    arena *mem = arena_new(0);
    str got;
    for (size_t i = 0; i < ARRAY_COUNT(good); i++) {
        assert_true(net_name_ascii(mem, str_c(good[i][0]), &got));
        assert_true(str_eqc(got, good[i][1]));
    }
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) assert_false(net_name_ascii(mem, str_c(bad[i]), &got));
    uint8_t hostile[1024];
    for (size_t n = 0; n < sizeof hostile; n++) { /* four-byte scalars: the largest deltas there are */
        static const uint8_t one[4] = {0xf4, 0x8f, 0xbf, 0xbf};
        hostile[n] = one[n % 4];
        (void)net_name_ascii(mem, (str){hostile, n + 1}, &got);
    }
    arena_free(mem);
    assert_true(net_name_local(STR("postgres")));
    assert_true(net_name_local(STR("db.internal")));
    assert_false(net_name_local(STR("internal.example.org")));
    assert_false(net_name_local(STR("example.org")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_round_trips),
        cmocka_unit_test(classes),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
