/* Lines reach standard error whole or are counted, whatever reads there; what workers send cannot steer a terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "node/node_int.h"

static int saved, out[2], worker[2];
static char seen[4 * MiB];
static size_t seen_n;

static int set_up(void **state) {
    log_init(STDERR_FILENO, true, LOG_INFO);
    if (pipe(out) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, worker)) return 1;
    saved = dup(STDERR_FILENO);
    dup2(out[1], STDERR_FILENO);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    seen_n = 0;
    return 0;
}
static int tear_down(void **state) {
    dup2(saved, STDERR_FILENO);
    close(saved), close(out[0]), close(out[1]), close(worker[0]), close(worker[1]);
    return 0;
}

static void look(void) {
    for (ssize_t n; (n = read(out[0], seen + seen_n, sizeof seen - 1 - seen_n)) > 0;) seen_n += (size_t)n;
    seen[seen_n] = 0;
}

static void send_as_worker(str lines) {
    int mine = dup(STDERR_FILENO);
    dup2(worker[1], STDERR_FILENO);
    assert_true(node_log_send(NULL, lines));
    dup2(mine, STDERR_FILENO);
    close(mine);
}

static void test_passes_on(void **state) {
    struct node_relay r;
    node_relay_open(&r);
    send_as_worker(STR("{\"a\":1}\n{\"b\":2}\n"));
    send_as_worker(STR("no end"));
    send_as_worker(STR("\x1b[2J\x07\x7f\r\n"));
    assert_int_equal(send(worker[1], "assertion\nfailed\n", 17, 0), 17);
    assert_true(node_relay_take(&r, worker[0], NULL, &(uint32_t){3}, 2));
    node_relay_flush(&r);
    look();
    assert_non_null(strstr(seen, "{\"a\":1}\n{\"b\":2}\nno end\n?[2J???\n"));
    assert_non_null(strstr(seen, "\"event\":\"worker-said\",\"worker\":3,\"text\":\"assertion\"}\n"));
    assert_non_null(strstr(seen, "\"text\":\"failed\"}\n"));
    close(worker[1]);
    worker[1] = -1;
    assert_false(node_relay_take(&r, worker[0], NULL, &(uint32_t){3}, 2));
    node_relay_close(&r);
}

/* Nobody reads: lines are kept up to a bound, then counted; what is read at last is whole lines and the count. */
static void test_nobody_reads(void **state) {
    enum { LINES = 3000 };
    struct node_relay r;
    char line[1001];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    node_relay_open(&r);
    for (unsigned i = 0; i < LINES; i++) {
        node_relay_put(&r, (str){(uint8_t *)line, sizeof line});
        node_relay_flush(&r);
    }
    assert_true(node_relay_wants(&r));
    while (node_relay_wants(&r)) {
        look();
        node_relay_flush(&r);
    }
    look();
    unsigned long lost = 0;
    unsigned whole = 0, others = 0;
    for (char *p = seen, *next; *p; p = next) {
        next = strchr(p, '\n');
        assert_non_null(next);
        next++;
        const char *count = strstr(p, "\"lines\":");
        if (*p == 'x') whole += (size_t)(next - p) == sizeof line;
        else others++, lost += count ? strtoul(count + 8, NULL, 10) : 0;
    }
    assert_int_equal(whole + lost, LINES);
    assert_true(lost > 0 && others >= 1);
    node_relay_close(&r);
}

/* One that floods gets its part of the room, and leaves that of others. */
static void test_flood(void **state) {
    struct node_relay r;
    int other[2];
    static char line[10000];
    memset(line, 'x', sizeof line);
    line[0] = NODE_LOG_MARK, line[sizeof line - 1] = '\n';
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, other), 0);
    node_relay_open(&r);
    for (unsigned turn = 0; turn < 200 && node_relay_has_room(&r); turn++) {
        while (send(worker[1], line, sizeof line, 0) > 0) {}
        size_t before = r.lines.n;
        assert_true(node_relay_take(&r, worker[0], NULL, &(uint32_t){0}, 8));
        assert_in_range(r.lines.n - before, 1, 64 * KiB + sizeof line);
    }
    assert_false(node_relay_has_room(&r));
    assert_true(send(other[1], "\1another\n", 9, 0) == 9);
    assert_true(node_relay_take(&r, other[0], NULL, &(uint32_t){1}, 8));
    node_relay_put(&r, STR("own\n"));
    assert_int_equal(r.lost, 0);
    assert_memory_equal(r.lines.p + r.lines.n - 12, "another\nown\n", 12);
    node_relay_close(&r);
    close(other[0]), close(other[1]);
}

/* The reader is gone: lines go nowhere, and nothing waits. */
static void test_reader_is_gone(void **state) {
    struct node_relay r;
    signal(SIGPIPE, SIG_IGN);
    node_relay_open(&r);
    close(out[0]);
    out[0] = -1;
    for (unsigned i = 0; i < 3000; i++) {
        node_relay_put(&r, STR("a line\n"));
        node_relay_flush(&r);
    }
    assert_false(node_relay_wants(&r));
    node_relay_close(&r);
}

/* A line of many long values has an end, and is still a line of JSON. */
static void test_long_lines(void **state) {
    struct buf b = {0};
    uint8_t controls[20000];
    memset(controls, 1, sizeof controls);
    str s = {controls, sizeof controls};
    struct log_field fields[] = {LF_STR("a", s), LF_STR("b", s), LF_STR("c", s), LF_U64("end", 1)};
    log_format(&b, LOG_INFO, "long", fields, ARRAY_COUNT(fields));
    assert_true(b.n < 32 * KiB);
    assert_int_equal(b.p[b.n - 1], '\n');
    buf_putc(&b, 0);
    assert_non_null(strstr((char *)b.p, ",\"end\":1}\n"));
    buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_passes_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_reads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_flood, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reader_is_gone, set_up, tear_down),
        cmocka_unit_test(test_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
