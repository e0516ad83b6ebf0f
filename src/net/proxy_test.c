/* The PROXY protocol and Forwarded: what is said is taken, byte by byte too; what is broken is refused; what a stranger wrote is left alone. */
#include "net/forwarded.h"
#include "net/proxy.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static void assert_addr(const struct net_addr *a, const char *text) {
    char got[NET_ADDR_TEXT_MAX];
    assert_string_equal(net_addr_text(a, true, got), text);
}

/* Whole, with more behind it; and every part of it is the beginning of one. */
static void assert_header(const char *bytes, size_t n, const char *peer) {
    uint8_t more[2048];
    struct net_proxy p;
    for (size_t i = 0; i < n; i++) assert_int_equal(net_proxy_parse((const uint8_t *)bytes, i, &p), NET_PROXY_MORE);
    memcpy(more, bytes, n);
    memcpy(more + n, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(net_proxy_parse(more, n + 16, &p), NET_PROXY_DONE);
    assert_int_equal(p.bytes, n);
    assert_int_equal(p.known, peer != NULL);
    if (peer) assert_addr(&p.peer, peer);
}
#define HEADER(text, peer) assert_header(text, sizeof text - 1, peer)

static void assert_broken(const char *bytes, size_t n) {
    struct net_proxy p;
    assert_int_equal(net_proxy_parse((const uint8_t *)bytes, n, &p), NET_PROXY_ERROR);
    assert_true(p.why[0]);
}
#define BROKEN(text) assert_broken(text, sizeof text - 1)

static void test_version_1(void **state) {
    HEADER("PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\r\n", "192.0.2.1:51234");
    HEADER("PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n", "[2001:db8::1]:1");
    HEADER("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535");
    HEADER("PROXY UNKNOWN\r\n", NULL);
    HEADER("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", NULL);
    BROKEN("PROXY TCP4 192.0.2.1 198.51.100.7 51234\r\n");
    BROKEN("PROXY TCP4 192.0.2.1 198.51.100.7 51234 443 1\r\n");
    BROKEN("PROXY TCP4  192.0.2.1 198.51.100.7 51234 443\r\n");
    BROKEN("PROXY TCP4 192.0.2.1 198.51.100.7 51234 443\n");
    BROKEN("PROXY TCP4 192.0.2.1 198.51.100.7 51234 65536\r\n");
    BROKEN("PROXY TCP4 192.0.2.1 198.51.100.7 051 443\r\n");
    BROKEN("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n");
    BROKEN("PROXY TCP6 192.0.2.1 198.51.100.7 1 2\r\n");
    BROKEN("PROXY TCP6 [::1] ::1 1 2\r\n");
    BROKEN("PROXY UDP4 192.0.2.1 198.51.100.7 1 2\r\n");
    BROKEN("proxy TCP4 192.0.2.1 198.51.100.7 1 2\r\n");
    BROKEN("GET / HTTP/1.1\r\n");
    BROKEN("PROXY UNKNOWN \x01\r\n");
    char line[200];
    memset(line, 'x', sizeof line);
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_broken(line, sizeof line);
    assert_broken(line, 107);
}

static void test_version_2(void **state) {
    HEADER(SIGNATURE "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xc8\x22\1\xbb", "192.0.2.1:51234");
    HEADER(SIGNATURE "\x21\x21\0\x24\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2\0\1\0\2",
           "[2001:db8::1]:1");
    HEADER(SIGNATURE "\x21\x21\0\x24\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\2\0\1\0\2",
           "192.0.2.1:1");
    HEADER(SIGNATURE "\x21\x11\0\x10\xc0\0\2\1\xc6\x33\x64\7\xc8\x22\1\xbb\xe0\0\1x", "192.0.2.1:51234"); /* one more thing */
    HEADER(SIGNATURE "\x20\0\0\0", NULL);                                                                 /* LOCAL */
    HEADER(SIGNATURE "\x20\x11\0\3xyz", NULL);
    HEADER(SIGNATURE "\x21\x12\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xc8\x22\1\xbb", NULL); /* UDP */
    HEADER(SIGNATURE "\x21\x31\0\1/", NULL);
    BROKEN(SIGNATURE "\x31\x11\0\0");
    BROKEN(SIGNATURE "\x22\x11\0\0");
    BROKEN(SIGNATURE "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\7\xc8\x22\1");
    BROKEN(SIGNATURE "\x21\x11\xff\xff");
    BROKEN("\r\n\r\nGET / HTTP/1.1");
}

/* What a proxy says besides: that its client came by TLS, whom it named there, what was agreed; and a sum of all that. */
static void test_version_2_tls(void **state) {
    static const char whole[] =
        "\015\012\015\012\000\015\012\121\125\111\124\012\041\021\000\051\300\000\002\001\177\000\000\001\023\210\000\120\040\000"
        "\005\001\000\000\000\000\002\000\006\141\056\164\145\163\164\001\000\002\150\062\003\000\004\012\231\261\173";
    static const char plain[] = "\015\012\015\012\000\015\012\121\125\111\124\012\041\021\000\024\300\000\002\001\177\000\000\001"
                                "\023\210\000\120\040\000\005\000\000\000\000\000",
                      uneven[] = "\015\012\015\012\000\015\012\121\125\111\124\012\041\021\000\023\300\000\002\001\177\000\000"
                                 "\001\023\210\000\120\040\000\005\001\000\000\000",
                      few[] = "\015\012\015\012\000\015\012\121\125\111\124\012\041\021\000\020\300\000\002\001\177\000\000\001"
                              "\023\210\000\120\040\000\001\001",
                      two[] = "\015\012\015\012\000\015\012\121\125\111\124\012\041\021\000\016\300\000\002\001\177\000\000\001"
                              "\023\210\000\120\040\000";
    struct net_proxy p;
    size_t n = sizeof whole - 1;
    assert_int_equal(net_proxy_parse((const uint8_t *)whole, n, &p), NET_PROXY_DONE);
    assert_true(p.known && p.secure && str_eqc(p.host, "a.test") && str_eqc(p.alpn, "h2") && p.bytes == n);
    for (size_t i = 0; i < n; i++) assert_int_equal(net_proxy_parse((const uint8_t *)whole, i, &p), NET_PROXY_MORE);
    for (size_t i = 16; i < n; i++) { /* each bit of it counts */
        uint8_t other[sizeof whole];
        memcpy(other, whole, sizeof whole);
        other[i] ^= 1;
        bool no_sum = i == n - 7; /* its type: there is none then */
        assert_int_equal(net_proxy_parse(other, n, &p), no_sum ? NET_PROXY_DONE : NET_PROXY_ERROR);
    }
    assert_int_equal(net_proxy_parse((const uint8_t *)plain, sizeof plain - 1, &p), NET_PROXY_DONE);
    assert_true(p.known && !p.secure);
    assert_broken(uneven, sizeof uneven - 1);
    assert_broken(few, sizeof few - 1);
    assert_broken(two, sizeof two - 1);
}

static struct net_prefix trusted[3];

static void assert_said(const char *fields, const char *client, const char *scheme, const char *host) {
    struct net_field list[8];
    uint32_t n = 0;
    str rest = str_c(fields), line;
    char text[NET_ADDR_TEXT_MAX] = "";
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        str_cut(line, ':', &list[n].name, &list[n].value);
        n++;
    }
    arena *mem = arena_new(0);
    struct net_forwarded f;
    net_forwarded_read(mem, list, n, trusted, ARRAY_COUNT(trusted), &f);
    if (f.has_client) net_addr_text(&f.client, false, text);
    if (strcmp(text, client) != 0) print_error("%s\n", fields);
    assert_string_equal(text, client);
    assert_true(str_eqc(f.scheme, scheme));
    assert_true(str_eqc(f.host, host));
    arena_free(mem);
}

static void test_forwarded(void **state) {
    const char *nets[] = {"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"};
    for (size_t i = 0; i < ARRAY_COUNT(nets); i++) assert_true(net_prefix_parse(str_c(nets[i]), &trusted[i]));
    assert_said("x-forwarded-for:203.0.113.9\nx-forwarded-proto:https\nX-Forwarded-Host:shop.example.org", "203.0.113.9", "https",
                "shop.example.org");
    assert_said("x-forwarded-for:1.1.1.1, 203.0.113.9, 10.0.0.5", "203.0.113.9", "",
                ""); /* what a client wrote stands to the left */
    assert_said("x-forwarded-for:1.1.1.1\nx-forwarded-for:203.0.113.9,10.0.0.5", "203.0.113.9", "", "");
    assert_said("x-forwarded-for:10.0.0.1, 192.0.2.7", "10.0.0.1", "", ""); /* nobody but them */
    assert_said("x-forwarded-for:203.0.113.9, nonsense", "", "", "");
    assert_said("x-forwarded-for:203.0.113.9, nonsense, 10.0.0.5", "10.0.0.5", "", "");
    assert_said("x-forwarded-for:203.0.113.9:5123", "203.0.113.9", "", "");
    assert_said("x-forwarded-for:[2001:db9::1]:5123", "2001:db9::1", "", "");
    assert_said("x-forwarded-for:2001:db9::1", "2001:db9::1", "", "");
    assert_said("x-forwarded-proto:http, HTTPS\nx-forwarded-port:8443\nx-forwarded-host:a.example", "", "https",
                "a.example:8443");
    assert_said("x-forwarded-proto:https\nx-forwarded-port:443\nx-forwarded-host:a.example", "", "https", "a.example");
    assert_said("x-forwarded-port:99\nx-forwarded-host:a.example:1", "", "", "a.example:1");
    assert_said("x-forwarded-port:99\nx-forwarded-host:[::1]", "", "", "[::1]:99");
    assert_said("x-forwarded-proto:gopher\nx-forwarded-host:a/b", "", "", "");
    assert_said("forwarded:for=203.0.113.9;proto=https;host=a.example", "203.0.113.9", "https", "a.example");
    assert_said("forwarded:for=1.1.1.1, for=\"[2001:db9::17]:4711\";Proto=HTTPS;host=\"a.example:8080\" , For=10.1.1.1;by=_x",
                "2001:db9::17", "https", "a.example:8080");
    assert_said("forwarded:for=1.1.1.1;host=evil, for=203.0.113.9", "203.0.113.9", "", "");
    assert_said("forwarded:for=_hidden;proto=https", "", "https", "");
    assert_said("forwarded:for=\"203.0.113.9\\\"\"", "", "", "");
    assert_said("forwarded:for=203.0.113.9, for=\"unfinished", "", "", "");
    assert_said("forwarded:for=203.0.113.9 for=10.0.0.1", "", "", "");
    assert_said("forwarded:for=1.1.1.1\nx-forwarded-for:203.0.113.9", "203.0.113.9", "",
                ""); /* who sets the one passes on the other */
    assert_said("cookie:a=b", "", "", "");
}

static void test_prefixes(void **state) {
    struct net_prefix p;
    assert_true(net_prefix_parse(STR("::/0"), &p) && p.bits == 0);
    assert_true(net_prefix_parse(STR("127.0.0.1"), &p) && p.bits == 32);
    assert_false(net_prefix_parse(STR("127.0.0.1/33"), &p));
    assert_false(net_prefix_parse(STR("127.0.0.1/"), &p));
    assert_false(net_prefix_parse(STR("localhost"), &p));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_version_1), cmocka_unit_test(test_version_2),
                                       cmocka_unit_test(test_version_2_tls), cmocka_unit_test(test_forwarded),
                                       cmocka_unit_test(test_prefixes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
