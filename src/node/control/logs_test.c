/* Logs of apps as files: quotas, what workers make up, and readers that are slow, late or choosy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "node/control/control_int.h"
#include "node/control/logs.h"

struct world {
    struct control c;
    char folder[64];
    int peer; /* a worker's end */
    struct control_app apps[2];
};

static void add_app(struct world *w, int i, const char *name) {
    w->apps[i].id = (uint32_t)i + 5;
    w->apps[i].name = str_c(name);
    if (i) w->apps[i - 1].next = &w->apps[i];
    else w->c.apps = &w->apps[0];
}

static void connect_peer(struct world *w) {
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    assert_true(node_logs_peer(&w->c, pair[1]));
    w->peer = pair[0];
}

static int open_world(void **state) {
    struct world *w = calloc(1, sizeof *w);
    snprintf(w->folder, sizeof w->folder, "/tmp/orlo-logs-test-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    node_state_none(&w->c.state);
    w->c.state.logs = open(w->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->c.loop = net_loop_new();
    w->c.limits.log_keep_bytes_max = 128 * KiB;
    w->c.limits.logs_bytes_max = 1 * MiB;
    add_app(w, 0, "shop");
    add_app(w, 1, "blog");
    node_logs_open(&w->c);
    connect_peer(w);
    *state = w;
    return 0;
}

static int close_world(void **state) {
    struct world *w = *state;
    char command[128];
    node_logs_close(&w->c);
    close(w->peer);
    net_loop_free(w->c.loop);
    close(w->c.state.logs);
    snprintf(command, sizeof command, "rm -r %s", w->folder);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static void stop(void *arg) { net_loop_stop(arg); }

/* What was sent has come. */
static void turn(struct world *w) {
    struct net_timer *t = net_timer_new(w->c.loop, stop, w->c.loop);
    net_timer_start(t, 5, 0);
    net_loop_run(w->c.loop);
    net_timer_free(t);
}

static void send_raw(struct world *w, uint32_t app, uint64_t lost, const char *lines) {
    struct node_message m = NODE_MESSAGE(app_lines, .app = app, .lost = lost, .lines = str_c(lines));
    assert_int_equal(node_wire_send(w->peer, &m), ERR_OK);
    turn(w);
}

#define LINE(time, level, n) "{\"time\":\"2026-01-02T03:04:" time "Z\",\"level\":\"" level "\",\"event\":\"x\",\"n\":" n "}\n"

struct heard {
    struct buf text;
    uint32_t lines, room; /* that it takes; then none */
    bool ended;
    char why[128];
};
static bool on_line(void *arg, str line) {
    struct heard *h = arg;
    if (h->lines >= h->room) return false;
    h->lines++;
    buf_puts(&h->text, line);
    return true;
}
static void on_end(void *arg, const char *why) {
    struct heard *h = arg;
    h->ended = true;
    snprintf(h->why, sizeof h->why, "%s", why ? why : "");
}

static struct node_reader *begin(struct world *w, struct heard *h, struct node_logs_query q) {
    *h = (struct heard){.room = UINT32_MAX};
    struct node_reader_config config = {on_line, on_end, h};
    return node_reader_new(&w->c, &q, &config);
}

static char *text_of(struct heard *h) {
    buf_putc(&h->text, 0);
    h->text.n--;
    return (char *)h->text.p;
}

/* What is there, of app 5. */
static void expect(struct world *w, struct node_logs_query q, const char *text) {
    struct heard h;
    struct node_reader *r = begin(w, &h, q);
    assert_non_null(r);
    node_reader_more(r);
    assert_true(h.ended && !h.why[0]);
    assert_string_equal(text_of(&h), text);
    buf_free(&h.text);
}

static void test_read(void **state) {
    struct world *w = *state;
    const char *a = LINE("05.000", "info", "1"), *b = LINE("06.000", "warn", "2"), *c = LINE("07.000", "error", "3");
    char all[512];
    snprintf(all, sizeof all, "%s%s%s", a, b, c);
    expect(w, (struct node_logs_query){.app = 5, .lines = 10}, "");
    send_raw(w, 5, 0, all);
    send_raw(w, 6, 0, LINE("05.500", "info", "99"));
    expect(w, (struct node_logs_query){.app = 5, .lines = 10}, all);
    expect(w, (struct node_logs_query){.app = 5, .lines = UINT64_MAX}, all);
    expect(w, (struct node_logs_query){.app = 5, .lines = 1}, c);
    expect(w, (struct node_logs_query){.app = 5, .lines = 0}, "");
    expect(w, (struct node_logs_query){.app = 5, .lines = 9, .level = LOG_ERROR}, c);
    expect(w, (struct node_logs_query){.app = 5, .lines = 1, .level = LOG_INFO}, c);
    snprintf(all, sizeof all, "%s%s", b, c);
    expect(w, (struct node_logs_query){.app = 5, .lines = 9, .level = LOG_WARN}, all);
    expect(w, (struct node_logs_query){.app = 5, .lines = 9, .since_ms = 1767323046000}, all);
    expect(w, (struct node_logs_query){.app = 5, .lines = 9, .since_ms = 1767323046001}, c);
    expect(w, (struct node_logs_query){.app = 6, .lines = 9}, LINE("05.500", "info", "99"));
    struct heard h;
    assert_null(begin(w, &h, (struct node_logs_query){.app = 7}));
}

static void test_hearsay(void **state) {
    struct world *w = *state;
    send_raw(w, 7, 0, LINE("05.000", "info", "1")); /* nobody's */
    send_raw(w, 5, 3,
             "nonsense\n\n{}\n{\"time\":\"2026-01-02T03:04:05.000Z\",\"level\":\"info\",\"x\":\"\x1b[2J\"}\n{\"time\":\"x");
    struct heard h;
    struct node_reader *r = begin(w, &h, (struct node_logs_query){.app = 5, .lines = 10});
    node_reader_more(r);
    assert_int_equal(h.lines, 2);
    assert_non_null(strstr(text_of(&h), "\"event\":\"log-lost\",\"lines\":3}\n"));
    assert_non_null(strstr(text_of(&h), "\"x\":\"?[2J\"}\n"));
    buf_free(&h.text);
    struct node_message m = NODE_MESSAGE(app_lines, .app = 5);
    uint8_t junk[] = {(uint8_t)m.type, 1, 2, 3};
    assert_int_equal(send(w->peer, junk, sizeof junk, 0), sizeof junk);
    turn(w);
    assert_int_equal(recv(w->peer, junk, sizeof junk, 0), 0); /* it was cut off */
    close(w->peer);
    connect_peer(w);
    send_raw(w, 5, 0, LINE("05.000", "info", "1"));
    expect(w, (struct node_logs_query){.app = 5, .lines = 1}, LINE("05.000", "info", "1"));
}

/* 100 lines of so many bytes each, numbered. */
static void flood(struct world *w, uint32_t app, uint32_t from, uint32_t lines, size_t bytes) {
    char *line = malloc(bytes + 200);
    for (uint32_t i = 0; i < lines; i++) {
        int n = snprintf(line, 200, "{\"time\":\"2026-01-02T03:04:05.000Z\",\"level\":\"info\",\"n\":%u,\"pad\":\"", from + i);
        memset(line + n, 'x', bytes);
        memcpy(line + n + bytes, "\"}\n", 4);
        struct node_message m = NODE_MESSAGE(app_lines, .app = app, .lines = str_c(line));
        while (node_wire_send(w->peer, &m) == ERR_AGAIN) turn(w);
        if (i % 64 == 63) turn(w);
    }
    turn(w);
    free(line);
}

static uint64_t folder_bytes(const struct world *w) {
    uint64_t n = 0;
    DIR *d = opendir(w->folder);
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        assert_int_equal(fstatat(dirfd(d), e->d_name, &st, 0), 0);
        if (S_ISREG(st.st_mode)) n += (uint64_t)st.st_size;
    }
    closedir(d);
    return n;
}

static void test_quota(void **state) {
    struct world *w = *state;
    flood(w, 5, 0, 1000, 1000);
    assert_in_range(folder_bytes(w), 64 * KiB, 128 * KiB);
    assert_int_equal(node_logs_bytes(&w->c), folder_bytes(w));
    struct heard h;
    node_reader_more(begin(w, &h, (struct node_logs_query){.app = 5, .lines = 80})); /* over both files */
    assert_int_equal(h.lines, 80);
    assert_non_null(strstr(text_of(&h), "\"n\":920,"));
    assert_non_null(strstr(text_of(&h), "\"n\":999,"));
    assert_null(strstr(text_of(&h), "\"n\":919,"));
    buf_free(&h.text);
    w->c.limits.logs_bytes_max = 150 * KiB;
    flood(w, 6, 0, 200, 1000);
    assert_in_range(folder_bytes(w), 60 * KiB, 150 * KiB);
    assert_int_equal(node_logs_bytes(&w->c), folder_bytes(w));
}

static void test_follow(void **state) {
    struct world *w = *state;
    struct heard h;
    struct node_reader *r = begin(w, &h, (struct node_logs_query){.app = 5, .lines = 10, .follow = true});
    node_reader_more(r);
    assert_int_equal(h.lines, 0);
    send_raw(w, 5, 0, LINE("05.000", "info", "1"));
    send_raw(w, 6, 0, LINE("05.000", "info", "2"));
    assert_string_equal(text_of(&h), LINE("05.000", "info", "1"));
    flood(w, 5, 0, 300, 1000); /* over several files */
    assert_int_equal(h.lines, 301);
    h.room = h.lines; /* slow from here on */
    flood(w, 5, 300, 20, 1000);
    assert_false(h.ended);
    h.room += 5;
    node_reader_more(r);
    assert_int_equal(h.lines, 306);
    assert_non_null(strstr(text_of(&h), "\"n\":304,"));
    assert_null(strstr(text_of(&h), "\"n\":305,"));
    flood(w, 5, 320, 300, 1000); /* what he was to read is gone */
    node_reader_more(r);
    assert_true(h.ended);
    assert_non_null(strstr(h.why, "missing"));
    buf_free(&h.text);
}

static void test_deleted(void **state) {
    struct world *w = *state;
    struct heard h;
    send_raw(w, 5, 0, LINE("05.000", "info", "1"));
    node_reader_more(begin(w, &h, (struct node_logs_query){.app = 5, .lines = 10, .follow = true}));
    assert_int_equal(h.lines, 1);
    node_logs_forget(&w->c, 5);
    assert_true(h.ended);
    assert_int_equal(folder_bytes(w), 0);
    assert_int_equal(node_logs_bytes(&w->c), 0);
    buf_free(&h.text);
}

/* Control is started anew: it goes on, and what is of no app goes. */
static void test_again(void **state) {
    struct world *w = *state;
    send_raw(w, 5, 0, LINE("05.000", "info", "1"));
    int fd = openat(w->c.state.logs, "gone.77.log", O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, "x\n", 2), 2);
    close(fd);
    node_logs_close(&w->c);
    close(w->peer);
    node_logs_open(&w->c);
    connect_peer(w);
    send_raw(w, 5, 0, LINE("06.000", "info", "2"));
    expect(w, (struct node_logs_query){.app = 5, .lines = 9}, LINE("05.000", "info", "1") LINE("06.000", "info", "2"));
    assert_int_equal(faccessat(w->c.state.logs, "gone.77.log", F_OK, 0), -1);
    assert_int_equal(node_logs_bytes(&w->c), folder_bytes(w));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_read, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_hearsay, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_quota, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_follow, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_deleted, open_world, close_world),
        cmocka_unit_test_setup_teardown(test_again, open_world, close_world),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
