/* Two servers, one behind the other's port: what is for the other goes there, connection and all. A path's second byte says whose it is. */
#include "net/net_test.h"
#include <fcntl.h>
#include <signal.h>

struct side {
    struct test_server t;
    struct side *other;
    char name;
    uint32_t served, passes;
    bool refuses;
};
static struct side a, b;

/* ---- between the two ---- */

struct parcel {
    struct side *to;
    int fd;
    struct buf bytes;
    uint8_t peer[128];
    uint32_t peer_n, passes;
};

static void arrive(void *arg) {
    struct parcel *p = arg;
    net_server_adopt(p->to->t.server,
                     &(struct net_handover){p->fd, buf_str(&p->bytes), p->peer, p->peer_n, p->passes, false, false});
    buf_free(&p->bytes);
    free(p);
}

static bool give(void *arg, const struct net_handover *h) {
    struct side *s = arg;
    if (s->other->refuses) return false;
    struct parcel *p = calloc(1, sizeof *p);
    *p = (struct parcel){.to = s->other, .fd = dup(h->fd), .peer_n = h->peer_n, .passes = h->passes};
    assert_true(p->fd >= 0 && h->peer_n <= sizeof p->peer);
    memcpy(p->peer, h->peer, h->peer_n);
    buf_puts(&p->bytes, h->bytes);
    net_loop_post(s->other->t.loop, arrive, p);
    return true;
}

/* ---- a handler: answers with its name, the peer, and the body ---- */

struct call {
    struct net_exchange *x;
    struct side *side;
    struct buf body;
};

static void finish(struct call *c) {
    c->side->served++;
    net_exchange_end(c->x);
    buf_free(&c->body);
    free(c);
}

static void on_event(void *arg, enum net_event event) { finish(arg); }

static void read_on(void *arg) {
    struct call *c = arg;
    str data;
    enum net_flow f;
    while ((f = net_source_peek(net_exchange_source(c->x), &data)) == NET_FLOW_DATA) {
        buf_puts(&c->body, data);
        net_source_consume(net_exchange_source(c->x), data.n);
    }
    if (f == NET_FLOW_WAIT) return;
    struct buf out = {0};
    buf_printf(&out, "<%c " STR_FMT " %zu ", c->side->name, STR_ARG(net_exchange_peer(c->x)), c->body.n);
    buf_puts(&out, str_sub(buf_str(&c->body), 0, 8));
    buf_puts(&out, STR(">"));
    err e = net_exchange_reply(c->x, 200, NULL, 0, buf_str(&out));
    (void)e;
    buf_free(&out);
    finish(c);
}

static void on_request(struct net_exchange *x, void *arg) {
    struct side *s = container_of((struct test_server *)arg, struct side, t);
    str path = net_exchange_request(x)->path;
    if (path.n > 1 && path.p[1] == s->other->name) {
        s->passes++;
        assert_int_equal(net_exchange_pass(x, &(struct net_pass){.give = give, .arg = s}), ERR_OK);
        return;
    }
    struct call *c = calloc(1, sizeof *c);
    *c = (struct call){.x = x, .side = s};
    net_exchange_listen(x, on_event, c);
    net_source_notify(net_exchange_source(x), read_on, c);
    if (path.n > 2 && path.p[2] == '!') { /* it reads first, and passes then: too late */
        str data;
        if (net_source_peek(net_exchange_source(x), &data) == NET_FLOW_DATA) net_source_consume(net_exchange_source(x), 1);
        assert_int_equal(net_exchange_pass(x, &(struct net_pass){.give = give, .arg = s}), ERR_USAGE);
    }
    read_on(c);
}

static void start(struct net_server_config of_b) {
    struct net_server_config of_a = {.on_request = on_request};
    a = (struct side){.other = &b, .name = 'a'};
    b = (struct side){.other = &a, .name = 'b'};
    of_b.on_request = on_request;
    of_b.fd = -1;
    test_server_start(&a.t, of_a);
    of_b.port = a.t.port;
    test_server_start(&b.t, of_b);
    assert_int_equal(net_server_port(b.t.server), a.t.port);
}

/* Nothing is left open anywhere. */
static void stop(void) {
    test_server_stop(&a.t);
    test_server_stop(&b.t);
    assert_int_equal(a.t.stats.connections + b.t.stats.connections, 0);
    assert_int_equal(a.t.stats.idle + b.t.stats.idle, 0);
    assert_int_equal(a.t.stats.passed, b.t.stats.adopted);
    assert_int_equal(b.t.stats.passed, a.t.stats.adopted);
}

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) n++;
    return n;
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define POST(path, length, body) "POST " path " HTTP/1.1\r\nHost: h\r\nContent-Length: " length "\r\n\r\n" body
#define CHUNKS(path)                                                                                                             \
    "POST " path " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\n"
#define LAST(path) "GET " path " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"

/* ---- the tests ---- */

static void one_after_the_other(void **state) {
    struct buf got = {0};
    start((struct net_server_config){0});
    int fd = test_connect(a.t.port);
    for (int i = 0; i < 200; i++) {
        got.n = 0;
        bool to_b = i % 3 != 0;
        assert_true(test_sends(fd, to_b ? GET("/b") : GET("/a")));
        test_recv(fd, &got, 5000, ">");
        if (!strstr((char *)got.p, to_b ? "<b 127.0.0.1 0 >" : "<a 127.0.0.1 0 >")) fail_msg("%d: %s", i, (char *)got.p);
    }
    close(fd);
    buf_free(&got);
    stop();
    assert_int_equal(a.served + b.served, 200);
    assert_int_equal(a.passes, b.passes + 1);
}

/* Requests and bodies behind one another, cut at every place, go where they are for, in order. */
static void cut_everywhere(void **state) {
    static const char in[] =
        GET("/a") POST("/b", "5", "12345") GET("/b") CHUNKS("/a") CHUNKS("/b") GET("/a") POST("/a", "3", "xyz") LAST("/b");
    static const char *const order[] = {"<a 127.0.0.1 0 >",      "<b 127.0.0.1 5 12345>", "<b 127.0.0.1 0 >",
                                        "<a 127.0.0.1 5 abcde>", "<b 127.0.0.1 5 abcde>", "<a 127.0.0.1 0 >",
                                        "<a 127.0.0.1 3 xyz>",   "<b 127.0.0.1 0 >"};
    struct buf got = {0};
    start((struct net_server_config){0});
    for (size_t cut = 1; cut < sizeof in - 1; cut++) {
        int fd = test_connect(a.t.port);
        got.n = 0;
        assert_true(test_send(fd, in, cut));
        test_sleep_ms(1);
        assert_true(test_send(fd, in + cut, sizeof in - 1 - cut));
        test_recv(fd, &got, 5000, NULL);
        close(fd);
        const char *at = (const char *)got.p;
        for (size_t i = 0; i < ARRAY_COUNT(order); i++) {
            at = strstr(at, order[i]);
            if (!at) fail_msg("cut at %zu: no %s in %s", cut, order[i], (char *)got.p);
        }
        if (count((char *)got.p, "<") != ARRAY_COUNT(order) + 1) fail_msg("cut at %zu: %s", cut, (char *)got.p); /* and <end> */
    }
    buf_free(&got);
    stop();
}

/* A body that comes long after its head, larger than any buffer, arrives at whom it is for; an expectation is met there. */
static void bodies_on_their_way(void **state) {
    enum { BYTES = 3 << 20 };
    struct buf got = {0};
    uint8_t *body = calloc(1, BYTES);
    start((struct net_server_config){0});
    int fd = test_connect(a.t.port);
    memset(body, 'x', BYTES);
    assert_true(test_sends(fd, "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 3145728\r\n\r\n"));
    test_sleep_ms(50);
    assert_true(test_send(fd, body, BYTES));
    test_recv(fd, &got, 5000, ">");
    assert_non_null(strstr((char *)got.p, "<b 127.0.0.1 3145728 xxxxxxxx>"));
    got.n = 0;
    assert_true(test_sends(fd, "POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
    test_recv(fd, &got, 5000, "Continue\r\n\r\n");
    assert_true(test_sends(fd, "abc"));
    test_recv(fd, &got, 5000, ">");
    assert_int_equal(count((char *)got.p, "100 Continue"), 1);
    assert_non_null(strstr((char *)got.p, "<a 127.0.0.1 3 abc>"));
    close(fd);
    free(body);
    buf_free(&got);
    stop();
}

/* Who has said all that he has to say is answered; who is gone costs nothing. */
static void clients_that_leave(void **state) {
    struct buf got = {0};
    start((struct net_server_config){0});
    for (int i = 0; i < 50; i++) {
        int fd = test_connect(a.t.port);
        assert_true(test_sends(fd, GET("/a") GET("/b")));
        shutdown(fd, SHUT_WR);
        got.n = 0;
        test_recv(fd, &got, 5000, NULL);
        close(fd);
        if (!strstr((char *)got.p, "<b 127.0.0.1 0 >") || !strstr((char *)got.p, "<end>")) fail_msg("%s", (char *)got.p);
    }
    for (int i = 0; i < 50; i++) {
        int fd = test_connect(a.t.port);
        assert_true(
            test_sends(fd, i % 2 ? GET("/b") GET("/a") : "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc"));
        if (i % 3) setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(fd);
    }
    buf_free(&got);
    test_sleep_ms(300); /* so that nothing is between the two when the first is stopped */
    stop();
}

static void nobody_takes_it(void **state) {
    struct buf got = {0};
    start((struct net_server_config){0});
    b.refuses = true;
    const char *r = test_talk(a.t.port, GET("/a") GET("/b") GET("/a"), strlen(GET("/a") GET("/b") GET("/a")), &got, 3000);
    assert_non_null(strstr(r, "<a 127.0.0.1 0 >"));
    assert_non_null(strstr(r, "HTTP/1.1 503 Service Unavailable"));
    assert_non_null(strstr(r, "<end>"));
    assert_int_equal(count(r, "HTTP/1.1 "), 2);
    buf_free(&got);
    stop();
}

/* What was begun to be read stays. */
static void too_late(void **state) {
    struct buf got = {0};
    start((struct net_server_config){0});
    const char *in = "POST /a! HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 4\r\n\r\nabcd";
    assert_non_null(strstr(test_talk(a.t.port, in, strlen(in), &got, 3000), "<a 127.0.0.1 3 bcd>"));
    buf_free(&got);
    stop();
}

/* Connections that come that way are counted, and make room as others do; each is answered once. */
static void limits_hold(void **state) {
    enum { MANY = 40, MOST = 8 };
    struct buf got = {0};
    start((struct net_server_config){.connections_max = MOST});
    int fds[MANY], answered = 0;
    for (int i = 0; i < MANY; i++) {
        fds[i] = test_connect(a.t.port);
        assert_true(test_sends(fds[i], GET("/b")));
        got.n = 0;
        test_recv(fds[i], &got, 5000, ">");
        answered += strstr((char *)got.p, "<b 127.0.0.1 0 >") != NULL;
    }
    assert_int_equal(answered, MANY);
    int open = 0;
    for (int i = 0; i < MANY; i++) {
        uint8_t byte;
        open += recv(fds[i], &byte, 1, MSG_DONTWAIT) < 0;
        close(fds[i]);
    }
    assert_true(open <= MOST);
    buf_free(&got);
    stop();
    assert_int_equal(b.t.stats.evicted, MANY - MOST);
}

/* What another process says is hearsay. */
static void nonsense_is_closed(void **state) {
    static uint8_t zeros[NET_HANDOVER_BYTES_MAX + 1];
    start((struct net_server_config){0});
    stop();
    struct net_loop *loop = net_loop_new();
    struct net_server *s;
    struct diag d = DIAG_INIT;
    int pair[2];
    assert_int_equal(net_server_new(&(struct net_server_config){.loop = loop, .fd = -1, .on_request = on_request}, &s, &d),
                     ERR_OK);
    net_server_adopt(s, &(struct net_handover){.fd = open("/dev/null", O_RDONLY)});
    net_server_adopt(s, &(struct net_handover){.fd = -1});
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    net_server_adopt(s, &(struct net_handover){.fd = pair[0], .bytes = {zeros, sizeof zeros}});
    uint8_t byte;
    assert_int_equal(recv(pair[1], &byte, 1, 0), 0);
    close(pair[1]);
    assert_int_equal(net_server_stats(s).connections, 0);
    net_server_free(s);
    net_loop_free(loop);
}

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_after_the_other), cmocka_unit_test(cut_everywhere),     cmocka_unit_test(bodies_on_their_way),
        cmocka_unit_test(clients_that_leave),  cmocka_unit_test(nobody_takes_it),    cmocka_unit_test(too_late),
        cmocka_unit_test(limits_hold),         cmocka_unit_test(nonsense_is_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
