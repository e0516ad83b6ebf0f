/* show: what a line of the log looks like for who writes an app. */
#include "node/dev/show.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(const char *in, const char *out) {
    struct node_dev_show s = {0};
    node_dev_show_put(&s, str_c(in));
    if (!str_eqc(buf_str(&s.out), out)) fail_msg("%.*s is not %s", (int)s.out.n, (const char *)s.out.p, out);
    node_dev_show_free(&s);
}

static void test_events(void **state) {
    expect(
        "{\"time\":\"2026-01-02T03:04:05.678Z\",\"level\":\"info\",\"event\":\"request\",\"app\":\"shop\",\"function\":\"api\","
        "\"method\":\"GET\",\"path\":\"/a\",\"status\":200,\"ms\":1.25}\n",
        "03:04:05 200 GET /a  1.2 ms  api\n");
    expect("{\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"guest\",\"level\":\"info\",\"app\":\"shop\",\"stream\":\"stdout\","
           "\"text\":\"hi\"}\n",
           "03:04:05         shop │ hi\n");
    expect("{\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"guest-failed\",\"level\":\"error\",\"app\":\"shop\",\"reason\":"
           "\"the guest "
           "trapped\",\"detail\":\"unreachable\",\"backtrace\":[\"a\",\"b\"]}\n",
           "03:04:05         shop │ the guest trapped: unreachable\n             a\n             b\n");
    expect("{\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"x-denied\",\"level\":\"warn\",\"app\":\"shop\",\"n\":3,\"host\":"
           "\"a.b\"}\n",
           "03:04:05         shop │ x-denied  n=3  host=a.b\n");
    expect("{\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"mail-caught\",\"level\":\"info\",\"app\":\"shop\",\"kind\":"
           "\"signup\",\"to\":"
           "\"a@b.example\",\"link\":\"http://x/y\",\"code\":\"123456\"}\n",
           "03:04:05         shop │ mail (signup) to a@b.example\n             link: http://x/y\n             code: 123456\n");
    expect("{\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"app-deployed\",\"level\":\"info\"}\n", "");
}

/* What is no event is shown, and nothing is obeyed by a terminal. */
static void test_others(void **state) {
    expect("orlo: no\n", "orlo: no\n");
    expect("{\"broken\n", "{\"broken\n");
    expect("a\x1b[2Jb\n", "a?[2Jb\n");
    expect("\n\n", "");
    expect("{\"time\":\"x\",\"event\":\"guest\",\"text\":\"\\u001b[1m\"}\n", "                      │ ?[1m\n");
    expect("no end yet", "");
}

static void test_pieces(void **state) {
    struct node_dev_show s = {0};
    const char *line = "{\"time\":\"2026-01-02T03:04:05.678Z\",\"event\":\"guest\",\"app\":\"a\",\"text\":\"hi\"}\n";
    for (size_t i = 0; line[i]; i++) node_dev_show_put(&s, (str){(const uint8_t *)line + i, 1});
    assert_true(str_eqc(buf_str(&s.out), "03:04:05            a │ hi\n"));
    node_dev_show_free(&s);
}

/* A line without an end is cut, whatever it is. */
static void test_endless(void **state) {
    struct node_dev_show s = {0};
    static uint8_t piece[4096];
    memset(piece, 'x', sizeof piece);
    for (int i = 0; i < 1000; i++) node_dev_show_put(&s, (str){piece, sizeof piece}), s.out.n = 0;
    assert_true(s.pending.n <= 64 << 10);
    node_dev_show_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_events), cmocka_unit_test(test_others),
                                       cmocka_unit_test(test_pieces), cmocka_unit_test(test_endless)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
