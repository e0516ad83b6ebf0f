/* The codec against recorded bytes, in every split. */
#include "base/base.h"
#include <setjmp.h>
#include <cmocka.h>

#include "net/http1.h"
#include "net/priority.h"

static const struct http1_limits limits = {
    .head_bytes_max = 1024, .target_bytes_max = 64, .fields_max = 8, .body_bytes_max = 1000};

/* What a head came out as, one line: "GET http a /x 1.1 body=none keep fields=2" or "400 why". */
static void describe(struct buf *out, const struct http1_head *h, enum http1_result r) {
    out->n = 0;
    if (r == HTTP1_MORE) {
        buf_puts(out, STR("more"));
    } else if (r == HTTP1_ERROR) {
        buf_printf(out, "%u", h->status);
    } else {
        const struct net_request *q = &h->rq;
        buf_printf(out, STR_FMT " " STR_FMT " " STR_FMT " " STR_FMT " 1.%u ", STR_ARG(q->method), STR_ARG(q->scheme),
                   STR_ARG(q->authority), STR_ARG(q->path), q->version - NET_HTTP_1_0);
        if (!q->has_body) buf_puts(out, STR("none"));
        else if (h->chunked) buf_puts(out, STR("chunked"));
        else buf_printf(out, "%u", (unsigned)q->content_length);
        buf_printf(out, " %s%s", h->keep_alive ? "keep" : "close", h->expect_continue ? " expect" : "");
        for (uint32_t i = 0; i < q->fields_count; i++)
            buf_printf(out, " [" STR_FMT "=" STR_FMT "]", STR_ARG(q->fields[i].name), STR_ARG(q->fields[i].value));
    }
    buf_putc(out, 0);
}

/* The bytes in an allocation of their size, so that a sanitizer sees any read beyond them. */
static enum http1_result feed(struct http1_head *h, const char *bytes, size_t n) {
    static uint8_t *now;
    uint8_t *next = malloc(n + !n); /* elsewhere than the last, so that it has moved */
    memcpy(next, bytes, n);
    free(now);
    now = next;
    enum http1_result r = http1_head_parse(h, now, n);
    if (r == HTTP1_ERROR || !n) {
        free(now);
        now = NULL;
    }
    return r;
}

static void check_head(const char *bytes, size_t n, const char *expected) {
    struct net_field fields[8];
    struct http1_head h;
    struct buf got = {0};
    http1_head_init(&h, &limits, fields);
    describe(&got, &h, feed(&h, bytes, n));
    if (strcmp((char *)got.p, expected) != 0)
        fail_msg("%s\n  got  %s\n  want %s (%s)", bytes, got.p, expected, h.why ? h.why : "");
    for (size_t split = 1; split < n; split++) {
        http1_head_init(&h, &limits, fields);
        enum http1_result r = feed(&h, bytes, split);
        if (r == HTTP1_DONE && h.bytes == split) continue; /* what follows is the next request */
        if (r == HTTP1_MORE) r = feed(&h, bytes, n);
        describe(&got, &h, r);
        if (strcmp((char *)got.p, expected) != 0) fail_msg("%s\n  split at %zu: got %s, want %s", bytes, split, got.p, expected);
    }
    uint8_t *still = malloc(n + !n);
    for (int moving = 0; moving < 2; moving++) {
        http1_head_init(&h, &limits, fields);
        memcpy(still, bytes, n);
        enum http1_result r = HTTP1_MORE;
        for (size_t i = 1; i <= n && r == HTTP1_MORE; i++) r = moving ? feed(&h, bytes, i) : http1_head_parse(&h, still, i);
        describe(&got, &h, r);
        if (strcmp((char *)got.p, expected) != 0) fail_msg("%s\n  byte by byte: got %s, want %s", bytes, got.p, expected);
    }
    free(still);
    feed(&h, "", 0);
    buf_free(&got);
}

#define H "Host: a\r\n"
static const struct {
    const char *bytes, *expected;
} heads[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET http a / 1.1 none keep [Host=a]"},
    {"GET /p?q=1&r=%20 HTTP/1.1\r\nhOsT: example.com:8080\r\nX-Y:  v w \t\r\nEmpty:\r\n\r\n",
     "GET http example.com:8080 /p?q=1&r=%20 1.1 none keep [hOsT=example.com:8080] [X-Y=v w] [Empty=]"},
    {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET http a / 1.1 none keep [Host=a]"}, /* RFC 9112 §2.2 */
    {"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\n", "more"},
    {"GET", "more"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", "POST http a / 1.1 5 keep [Host=a] [Content-Length=5]"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "POST http a / 1.1 0 keep [Host=a] [Content-Length=0]"},
    {"POST / HTTP/1.1\r\n" H "transfer-encoding: ChunKed\r\n\r\n",
     "POST http a / 1.1 chunked keep [Host=a] [transfer-encoding=ChunKed]"},
    {"G-E_T!#$%&'*+^`|~1 / HTTP/1.1\r\n" H "\r\n", "G-E_T!#$%&'*+^`|~1 http a / 1.1 none keep [Host=a]"},
    /* versions */
    {"GET / HTTP/1.0\r\n\r\n", "GET http  / 1.0 none close"},
    {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET http  / 1.0 none keep [Connection=Keep-Alive]"},
    {"GET / HTTP/1.2\r\n" H "\r\n", "GET http a / 1.1 none keep [Host=a]"},
    {"GET / HTTP/2.0\r\n" H "\r\n", "505"},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
    {"GET / HTTP/0.9\r\n\r\n", "505"},
    {"GET / HTTP/11\r\n" H "\r\n", "400"},
    {"GET / http/1.1\r\n" H "\r\n", "400"},
    {"GET / HTTP/1.1 \r\n" H "\r\n", "400"},
    {"GET /\r\n\r\n", "400"},
    {"GET / HTTP/1.x\r\n" H "\r\n", "400"},
    /* request line */
    {"GET  / HTTP/1.1\r\n" H "\r\n", "400"},
    {" GET / HTTP/1.1\r\n" H "\r\n", "400"},
    {"GET\t/ HTTP/1.1\r\n" H "\r\n", "400"},
    {"GET /a b HTTP/1.1\r\n" H "\r\n", "400"},
    {"GET /a#b HTTP/1.1\r\n" H "\r\n", "400"},
    {"GET /\x80 HTTP/1.1\r\n" H "\r\n", "400"},
    {"GET a HTTP/1.1\r\n" H "\r\n", "400"},
    {"G(T / HTTP/1.1\r\n" H "\r\n", "400"},
    {"GET / HTTP/1.1\n" H "\r\n", "400"},
    {"GET / HTTP/1.1\r" H "\r\n", "400"},
    {"\x16\x03\x01\x02", "400"}, /* a TLS client */
    {"GET /0123456789012345678901234567890123456789012345678901234567890123456789 HTTP/1.1\r\n" H "\r\n", "414"},
    {"GETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGETGET / HTTP/1.1\r\n" H "\r\n", "501"},
    /* target forms */
    {"GET http://B:8/x?y HTTP/1.1\r\n" H "\r\n", "GET http B:8 /x?y 1.1 none keep [Host=B:8]"},
    {"GET HTTPS://b HTTP/1.1\r\n" H "\r\n", "GET https b / 1.1 none keep [Host=b]"},
    {"GET http://b.c?y=/z HTTP/1.1\r\n" H "\r\n", "GET http b.c /?y=/z 1.1 none keep [Host=b.c]"},
    {"GET http://[::1]:80/ HTTP/1.1\r\n" H "\r\n", "GET http [::1]:80 / 1.1 none keep [Host=[::1]:80]"},
    {"GET http://u@b/ HTTP/1.1\r\n" H "\r\n", "400"},
    {"GET http:///x HTTP/1.1\r\n" H "\r\n", "400"},
    {"GET ftp://b/ HTTP/1.1\r\n" H "\r\n", "400"},
    {"GET http://b/ HTTP/1.1\r\n\r\n", "400"},
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS http a * 1.1 none keep [Host=a]"},
    {"GET * HTTP/1.1\r\n" H "\r\n", "400"},
    {"CONNECT b:443 HTTP/1.1\r\n" H "\r\n", "CONNECT http b:443  1.1 none keep [Host=a]"},
    {"CONNECT b HTTP/1.1\r\n" H "\r\n", "400"},
    {"CONNECT / HTTP/1.1\r\n" H "\r\n", "400"},
    /* host */
    {"GET / HTTP/1.1\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
    {"GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET http  / 1.1 none keep [Host=]"},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: a:x\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", "GET http [::1] / 1.1 none keep [Host=[::1]]"},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", "400"},
    /* fields */
    {"GET / HTTP/1.1\r\n" H "X : y\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X\t: y\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H " X: y\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n X: y\r\n" H "\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X: y\r\n z\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H ": y\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X y\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X: a\nY: b\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X(: a\r\n\r\n", "400"},
    {"GET / HTTP/1.1\r\n" H "X: a\tb\xc3\xa4 0123456789 0123456789\r\n\r\n",
     "GET http a / 1.1 none keep [Host=a] [X=a\tb\xc3\xa4 0123456789 0123456789]"},
    {"GET / HTTP/1.1\n"
     "Host: a\n\n",
     "400"},
    {"GET / HTTP/1.1\r\n" H "\n", "400"},
    {"GET / HTTP/1.1\r\n" H "\rX", "400"},
    {"GET / HTTP/1.1\r\n" H "a:\r\nb:\r\nc:\r\nd:\r\ne:\r\nf:\r\ng:\r\nh:\r\n\r\n", "431"},
    /* framing: RFC 9112 §6.1, §6.3 */
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 1001\r\n\r\n", "413"},
    {"POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", "501"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", "501"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: cow\r\n\r\n", "501"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: ,chunked\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;x=y\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     "400"},
    {"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n", "400"},
    {"POST / HTTP/1.1\r\n" H "X: y\r\n\tTransfer-Encoding: chunked\r\n\r\n", "400"},
    /* connection, expect */
    {"GET / HTTP/1.1\r\n" H "Connection: foo, Close\r\n\r\n", "GET http a / 1.1 none close [Host=a] [Connection=foo, Close]"},
    {"GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", "GET http a / 1.1 none keep [Host=a] [Connection=closed]"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nExpect: 100-Continue\r\n\r\n",
     "POST http a / 1.1 5 keep expect [Host=a] [Content-Length=5] [Expect=100-Continue]"},
    {"GET / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n", "GET http a / 1.1 none keep [Host=a] [Expect=100-continue]"},
    {"POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
     "POST http  / 1.0 5 close [Content-Length=5] [Expect=100-continue]"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nExpect: cake\r\n\r\n", "417"},
};

static void heads_in_every_split(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_COUNT(heads); i++) check_head(heads[i].bytes, strlen(heads[i].bytes), heads[i].expected);
    static const char nul[] = "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
                      nul_name[] = "GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n",
                      nul_path[] = "GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n";
    check_head(nul, sizeof nul - 1, "400");
    check_head(nul_name, sizeof nul_name - 1, "400");
    check_head(nul_path, sizeof nul_path - 1, "400");
}

static void heads_over_the_limit(void **state) {
    (void)state;
    struct buf b = {0};
    buf_puts(&b, STR("GET / HTTP/1.1\r\nHost: a\r\nX: "));
    for (int i = 0; i < 1000; i++) buf_putc(&b, 'x');
    buf_puts(&b, STR("\r\n\r\n"));
    check_head((char *)b.p, b.n, "431");
    check_head((char *)b.p, limits.head_bytes_max + 1, "431");
    check_head((char *)b.p, limits.head_bytes_max, "more");
    buf_free(&b);
}

/* ---- bodies ---- */

/* "data|trailers" or "400". */
static uint64_t body_bytes_max = 1000;
static void read_body(struct buf *out, const char *bytes, size_t n, uint64_t length, size_t split, size_t take) {
    struct http1_body b;
    enum http1_result r = HTTP1_MORE;
    size_t at = 0, used = 0;
    http1_body_init(&b, length, body_bytes_max);
    out->n = 0;
    for (size_t end = split; r == HTTP1_MORE && !http1_body_done(&b); end = n) {
        while (at < end || (end == n && at == n)) {
            uint8_t *copy = malloc(end - at + 1);
            memcpy(copy, bytes + at, end - at);
            str data;
            size_t skip;
            r = http1_body_next(&b, copy, end - at, &skip, &data);
            at += skip;
            if (data.n) {
                data.n = MIN(data.n, take);
                buf_puts(out, data);
                http1_body_took(&b, data.n);
                at += data.n;
            }
            free(copy);
            if (r != HTTP1_MORE || http1_body_done(&b) || at == end) break;
        }
        used = at;
        if (end == n) break;
    }
    if (r == HTTP1_ERROR) {
        out->n = 0;
        buf_printf(out, "%u", b.status);
    } else if (!http1_body_done(&b)) {
        buf_puts(out, STR("..."));
    } else {
        for (uint32_t i = 0; i < b.trailers_count; i++)
            buf_printf(out, "|" STR_FMT "=" STR_FMT, STR_ARG(b.trailers[i].name), STR_ARG(b.trailers[i].value));
        if (used < n) buf_printf(out, "+%zu", n - used);
    }
    buf_putc(out, 0);
    http1_body_free(&b);
}

static void check_body(const char *bytes, uint64_t length, const char *expected) {
    struct buf got = {0};
    size_t n = strlen(bytes);
    for (size_t take = 1; take <= 100; take += 99)
        for (size_t split = 0; split <= n; split++) {
            read_body(&got, bytes, n, length, split, take);
            if (strcmp((char *)got.p, expected) != 0)
                fail_msg("%s\n  split at %zu: got %s, want %s", bytes, split, got.p, expected);
        }
    buf_free(&got);
}

static void bodies_in_every_split(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *expected;
    } bodies[] = {
        {"5\r\nhello\r\n0\r\n\r\n", "hello"},
        {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\nGET", "hello world+3"},
        {"0\r\n\r\n", ""},
        {"000\r\n\r\n", ""},
        {"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
        {"5;x=y;z=\"q;r\"\r\nhello\r\n0;last\r\n\r\n", "hello"},
        {"5 ;x\r\nhello\r\n0\r\n\r\n", "hello"},
        {"5\r\nhello\r\n0\r\nX: y\r\nZ:  w \r\n\r\nrest", "hello|X=y|Z=w+4"},
        {"0\r\nContent-Length: 5\r\nHost: b\r\nOk: 1\r\n\r\n", "|Ok=1"},
        {"5\r\nhel", "hel..."},
        {"5\r\nhello\r\n0\r\n", "hello..."},
        {"", "..."},
        {"5\r\nhello!\r\n0\r\n\r\n", "400"},
        {"5\r\nhello\n0\r\n\r\n", "400"},
        {"5\r\nhello\r0\r\n\r\n", "400"},
        {"5\nhello\r\n0\r\n\r\n", "400"},
        {"5\rhello\r\n0\r\n\r\n", "400"},
        {"5 \r\nhello\r\n0\r\n\r\n", "400"},
        {" 5\r\nhello\r\n0\r\n\r\n", "400"},
        {"0x5\r\nhello\r\n0\r\n\r\n", "400"},
        {"+5\r\nhello\r\n0\r\n\r\n", "400"},
        {"-5\r\nhello\r\n0\r\n\r\n", "400"},
        {"\r\nhello\r\n0\r\n\r\n", "400"},
        {"g\r\nhello\r\n0\r\n\r\n", "400"},
        {";x\r\nhello\r\n0\r\n\r\n", "400"},
        {"5;a\nb\r\nhello\r\n0\r\n\r\n", "400"},
        {"5;a\x01\r\nhello\r\n0\r\n\r\n", "400"},
        {"5;a\r\rhello\r\n0\r\n\r\n", "400"},
        {"fffffffffffffffff\r\n", "400"},
        {"00000000000000005\r\n", "400"},
        {"8000000000000000\r\n", "400"},
        {"7fffffffffffffff\r\n", "413"},
        {"3e9\r\n", "413"},
        {"0\r\nX : y\r\n\r\n", "400"},
        {"0\r\n X: y\r\n\r\n", "400"},
        {"0\r\nX: y\n\r\n", "400"},
        {"0\r\nX\r\n\r\n", "400"},
        {"0\r\n\rX", "400"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(bodies); i++) check_body(bodies[i].bytes, UINT64_MAX, bodies[i].expected);
    check_body("hello", 5, "hello");
    check_body("helloGET", 5, "hello+3");
    check_body("hel", 5, "hel...");
    check_body("GET", 0, "+3");
}

static void floods_of_extensions_and_trailers(void **state) {
    (void)state;
    struct buf b = {0}, got = {0};
    buf_puts(&b, STR("1;"));
    for (int i = 0; i < 300; i++) buf_putc(&b, 'x');
    read_body(&got, (char *)b.p, b.n, UINT64_MAX, 0, 100);
    assert_string_equal(got.p, "400");
    b.n = 0;
    for (int i = 0; i < 900; i++) buf_puts(&b, STR("1;eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\r\nx\r\n"));
    read_body(&got, (char *)b.p, b.n, UINT64_MAX, 0, 100);
    assert_string_equal(got.p, "400");
    /* But chunks without number are fine, and so are extensions on chunks of some size. */
    b.n = 0;
    body_bytes_max = UINT64_MAX;
    for (int i = 0; i < 20000; i++) buf_puts(&b, STR("1\r\nx\r\n"));
    for (int i = 0; i < 5000; i++) buf_puts(&b, STR("A;chunk-signature\r\n0123456789\r\n"));
    buf_puts(&b, STR("0\r\n\r\n"));
    read_body(&got, (char *)b.p, b.n, UINT64_MAX, 0, 100);
    assert_int_equal(got.n, 20000 + 50000 + 1);
    body_bytes_max = 1000;
    b.n = 0;
    buf_puts(&b, STR("0\r\n"));
    for (int i = 0; i < 65; i++) buf_puts(&b, STR("a:b\r\n"));
    buf_puts(&b, STR("\r\n"));
    read_body(&got, (char *)b.p, b.n, UINT64_MAX, 0, 100);
    assert_string_equal(got.p, "431");
    b.n = 0;
    buf_puts(&b, STR("0\r\na:"));
    for (int i = 0; i < 17000; i++) buf_putc(&b, 'x');
    read_body(&got, (char *)b.p, b.n, UINT64_MAX, 0, 100);
    assert_string_equal(got.p, "431");
    buf_free(&b);
    buf_free(&got);
}

/* ---- responses ---- */

static void responses(void **state) {
    (void)state;
    struct net_field f[] = {{STR_INIT("X-Case"), STR_INIT("v")},
                            {STR_INIT("Transfer-Encoding"), STR_INIT("gzip")},
                            {STR_INIT("CONNECTION"), STR_INIT("x, close")},
                            {STR_INIT("content-length"), STR_INIT("5")}};
    struct net_head r = {.status = 299, .fields = f, .fields_count = 4};
    struct http1_frame frame = {.close = true, .date = "Sun, 06 Nov 1994 08:49:37 GMT", .server = STR("orlo")};
    uint8_t out[512];
    assert_int_equal(net_head_check(&r), ERR_OK);
    assert_true(r.close && r.content_length == 5 && !r.has_date);
    uint8_t *end = http1_response_write(&r, &frame, out);
    assert_true((size_t)(end - out) <= http1_response_bytes(&r, &frame));
    static const char want[] = "HTTP/1.1 299 \r\nX-Case: v\r\ncontent-length: 5\r\nDate: Sun, 06 Nov 1994 08:49:37 "
                               "GMT\r\nServer: orlo\r\nConnection: close\r\n";
    assert_int_equal(end - out, sizeof want - 1);
    assert_memory_equal(out, want, sizeof want - 1);
    struct net_head switching = {.status = 101, .fields = f, .fields_count = 1};
    struct http1_frame to = {.no_length = true, .upgrade = STR("echo/1")};
    assert_int_equal(net_head_check(&switching), ERR_OK);
    end = http1_response_write(&switching, &to, out);
    assert_true((size_t)(end - out) <= http1_response_bytes(&switching, &to));
    static const char up[] = "HTTP/1.1 101 Switching Protocols\r\nX-Case: v\r\nConnection: upgrade\r\nUpgrade: echo/1\r\n";
    assert_int_equal(end - out, sizeof up - 1);
    assert_memory_equal(out, up, sizeof up - 1);

    static const struct net_field bad[] = {{STR_INIT("a b"), STR_INIT("v")},
                                           {STR_INIT(""), STR_INIT("v")},
                                           {STR_INIT("a"), STR_INIT("v\r\nx: y")},
                                           {STR_INIT("a"), STR_INIT("\0")},
                                           {STR_INIT("content-length"), STR_INIT("x")}};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct net_head b = {.status = 200, .fields = &bad[i], .fields_count = 1};
        assert_int_equal(net_head_check(&b), ERR_INVALID);
    }
    f[0] = f[3];
    assert_int_equal(net_head_check(&r), ERR_INVALID);
    struct http1_date d = {0};
    assert_string_equal(http1_date_text(&d, 784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_string_equal(http1_date_text(&d, 951827696), "Tue, 29 Feb 2000 12:34:56 GMT");
}

static void numbers(void **state) {
    (void)state;
    static const uint64_t values[] = {0, 1, 9, 10, 15, 16, 255, 256, 4095, 65536, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
        uint8_t out[64];
        char want[64];
        size_t n = http1_chunk_head(out, values[i]);
        snprintf(want, sizeof want, "%llx\r\n", (unsigned long long)values[i]);
        assert_int_equal(n, strlen(want));
        assert_memory_equal(out, want, n);
        n = http1_end_length(out, values[i]);
        snprintf(want, sizeof want, "Content-Length: %llu\r\n\r\n", (unsigned long long)values[i]);
        assert_int_equal(n, strlen(want));
        assert_memory_equal(out, want, n);
    }
}

/* RFC 9218 §4, RFC 8941 §4.2: what is no dictionary changes nothing. */
static void priorities(void **state) {
    (void)state;
    static const struct {
        const char *value, *want; /* NULL: refused */
    } cases[] = {
        {"", "3 0"},
        {"u=5", "5 0"},
        {"u=0, i", "0 1"},
        {"i=?0", "3 0"},
        {" u=1 ,\ti=?1 ", "1 1"},
        {"i;x=1;y, u=2;z=\"a\\\"b\"", "2 1"},
        {"u=8", "3 0"},
        {"u=-1", "3 0"},
        {"u=1.5", "3 0"},
        {"u=\"1\"", "3 0"},
        {"u", "3 0"},
        {"i=1", "3 0"},
        {"i=(?1)", "3 0"},
        {"u=(1 2);a, i", "3 1"},
        {"u=1, u=4", "4 0"},
        {"u=1, u=x", "3 0"},
        {"x=:aGk=:, y=tok/en:1, *a.b-c_d=?0, u=6", "6 0"},
        {"u=123456789012345", "3 0"},
        {"u=007", "7 0"},
        {"U=1", NULL},
        {"u=1,", NULL},
        {"u=1 i", NULL},
        {"u=", NULL},
        {"u=1234567890123456", NULL},
        {"i=?2", NULL},
        {"x=\"a", NULL},
        {"x=\"a\x01\"", NULL},
        {"x=\"\\a\"", NULL},
        {"x=(1", NULL},
        {"x=(1\"a\")", NULL},
        {"x=:a", NULL},
        {"u=1.", NULL},
        {"u=1.2345", NULL},
        {",", NULL},
        {"u=1;", NULL},
        {"\xff", NULL},
        {"u=-", NULL},
        {"x=(1 (2))", NULL},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct net_priority p = NET_PRIORITY_DEFAULT;
        char got[16];
        bool ok = net_priority_read(str_c(cases[i].value), &p);
        snprintf(got, sizeof got, "%u %u", p.urgency, p.incremental);
        if (ok != !!cases[i].want) print_error("%s\n", cases[i].value);
        assert_int_equal(ok, !!cases[i].want);
        assert_string_equal(got, ok ? cases[i].want : "3 0");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_in_every_split),
        cmocka_unit_test(heads_over_the_limit),
        cmocka_unit_test(bodies_in_every_split),
        cmocka_unit_test(floods_of_extensions_and_trailers),
        cmocka_unit_test(responses),
        cmocka_unit_test(numbers),
        cmocka_unit_test(priorities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
