/* cgi_head: headers as programs write them, at every split of their bytes. */
#include "wasi/http/cgi_head.h"
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *text;   /* the header, and what follows it */
    const char *body;   /* that */
    uint16_t status;    /* 0: it is none */
    const char *fields; /* "name=value;" of each, and where a redirect to here goes; or why it is none */
    size_t max;         /* of the header; 0: no limit */
} cases[] = {
    {"Content-Type: text/plain\n\nhello", "hello", 200, "Content-Type=text/plain;", 0},
    {"Content-Type: text/plain\r\n\r\nhello", "hello", 200, "Content-Type=text/plain;", 0},
    {"Content-Type: text/plain\r\n\nhello", "hello", 200, "Content-Type=text/plain;", 0},
    {"Content-Type: text/plain\n\r\nhello", "hello", 200, "Content-Type=text/plain;", 0},
    {"Status: 404 Not Found\nContent-Type: text/plain\n\n", "", 404, "Content-Type=text/plain;", 0},
    {"content-type:a\nstatus:204\n\n", "", 204, "content-type=a;", 0},
    {"Status: 201\n\n\n\n", "\n\n", 201, "", 0},
    {"Location: https://example.org/\n\n", "", 302, "Location=https://example.org/;", 0},
    {"Location: /there\nStatus: 303 See Other\n\n", "", 303, "Location=/there;", 0},
    {"Location: /there?a=b\n\nx", "x", 302, "Location=/there?a=b;here: /there?a=b", 0},
    {"Location: /there\nA: b\n\n", "", 302, "Location=/there;A=b;", 0},
    {"Location: //there\n\n", "", 302, "Location=//there;", 0},
    {"Location: /the re\n\n", "", 302, "Location=/the re;", 0},
    {"Location: /there#a\n\n", "", 302, "Location=/there#a;", 0},
    {"Location: there\n\n", "", 302, "Location=there;", 0},
    {"Location:\n\n", "", 302, "Location=;", 0},
    {"Set-Cookie: a=1\nSet-Cookie: b=2\nX-Empty:\nX-Space:\t spaced  out \t\n\nb", "b", 200,
     "Set-Cookie=a=1;Set-Cookie=b=2;X-Empty=;X-Space=spaced  out;", 0},
    {"A: \xc3\xa9\n\n", "", 200, "A=\xc3\xa9;", 0},
    {"A: b\n\nStatus: 500\n\n", "Status: 500\n\n", 200, "A=b;", 0},
    {"A: b\n\nx", "x", 200, "A=b;", 6}, /* of just that length */

    {"\n", "", 0, "its header is empty: " CGI_HEAD_HINT, 0},
    {"\r\n\r\n", "", 0, "its header is empty: " CGI_HEAD_HINT, 0},
    {"<html>\n\n", "", 0, "its first line is no header: " CGI_HEAD_HINT, 0},
    {"A: b\nnonsense\n\n", "", 0, "a line of its header has no colon", 0},
    {"A: b\n folded\n\n", "", 0, "a line of its header has no colon", 0},
    {"HTTP/1.1 200 OK\nA: b\n\n", "", 0, "its first line is no header: " CGI_HEAD_HINT, 0},
    {": b\n\n", "", 0, "a header name is not a token", 0},
    {"A b: c\n\n", "", 0, "a header name is not a token", 0},
    {"A : c\n\n", "", 0, "a header name is not a token", 0},
    {"A: b\rC: d\n\n", "", 0, "a header value has a control character", 0},
    {"A: \x01\n\n", "", 0, "a header value has a control character", 0},
    {"Status: 200\nStatus: 200\n\n", "", 0, "it has two Status fields", 0},
    {"Status: OK\n\n", "", 0, "its Status is not a number from 200 to 599", 0},
    {"Status: 100 Continue\n\n", "", 0, "its Status is not a number from 200 to 599", 0},
    {"Status: 600\n\n", "", 0, "its Status is not a number from 200 to 599", 0},
    {"Status: 99999999999999999999\n\n", "", 0, "its Status is not a number from 200 to 599", 0},
    {"Status: -200\n\n", "", 0, "its Status is not a number from 200 to 599", 0},
    {"A: b\n\n", "", 0, "its header is larger than the limit", 5},
    {"A: bbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "", 0, "its header is larger than the limit", 16},
};

/* Feeds text in pieces of the sizes given, then the rest, and checks the outcome of case i. */
static void feed(size_t i, size_t first, size_t piece) {
    str text = str_c(cases[i].text);
    arena *mem = arena_new(0);
    struct wasi_cgi_head h = {.bytes.max = cases[i].max};
    const char *why = NULL;
    enum wasi_cgi_result r = CGI_MORE;
    size_t at = 0, used = 0;
    while (r == CGI_MORE && at < text.n) {
        str in = str_sub(text, at, at || !first ? piece : first);
        used = 0;
        r = wasi_cgi_head_feed(&h, mem, in, &used, &why);
        at += r == CGI_DONE ? used : in.n;
    }
    if (cases[i].status) {
        struct buf fields = {};
        if (r != CGI_DONE) fail_msg("%s: %s", cases[i].text, why);
        for (uint32_t k = 0; k < h.fields.n; k++)
            buf_printf(&fields, STR_FMT "=" STR_FMT ";", STR_ARG(h.fields.p[k].name), STR_ARG(h.fields.p[k].value));
        assert_int_equal(h.status, cases[i].status);
        if (h.local.n) buf_printf(&fields, "here: " STR_FMT, STR_ARG(h.local));
        assert_true(str_eqc(buf_str(&fields), cases[i].fields));
        assert_true(str_eqc(str_sub(text, at, text.n), cases[i].body));
        buf_free(&fields);
    } else {
        assert_int_equal(r, CGI_BAD);
        assert_string_equal(why, cases[i].fields);
    }
    buf_free(&h.bytes);
    arena_free(mem);
}

static void test_splits(void **state) {
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        size_t n = strlen(cases[i].text);
        for (size_t first = 0; first <= n; first++) feed(i, first, n); /* in two */
        for (size_t piece = 1; piece <= 3; piece++) feed(i, 0, piece);
    }
}

/* The header's bytes stay where fields point, however much came before its end. */
static void test_never_ending(void **state) {
    arena *mem = arena_new(0);
    struct wasi_cgi_head h = {.bytes.max = 1000};
    const char *why = NULL;
    size_t used, fed = 0;
    while (wasi_cgi_head_feed(&h, mem, STR("X: yyyy\n"), &used, &why) == CGI_MORE) fed += 8;
    assert_int_equal(fed, 1000);
    assert_string_equal(why, "its header is larger than the limit");
    buf_free(&h.bytes);
    arena_free(mem);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_splits), cmocka_unit_test(test_never_ending)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
