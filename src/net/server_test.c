/* The server over real sockets. The handler's paths are listed at `routes`. */
#include "net/net_test.h"

/* ---- handlers ---- */

struct call {
    struct net_exchange *x;
    struct test_server *t;
    struct net_timer *timer;
    size_t left; /* of /big */
    bool responded, body_done;
};

static void end(struct call *c) {
    net_timer_free(c->timer);
    net_exchange_end(c->x);
    free(c);
}

static void reply(struct net_exchange *x, uint16_t status, const char *text) {
    err e = net_exchange_reply(x, status, NULL, 0, str_c(text));
    (void)e;
}

static void on_event(void *arg, enum net_event event) {
    struct call *c = arg;
    __atomic_add_fetch(event == NET_EVENT_GONE ? &c->t->gone : &c->t->deadlines, 1, __ATOMIC_RELAXED);
    if (event == NET_EVENT_DEADLINE) reply(c->x, 504, "too slow\n");
    end(c);
}

static void echo(void *arg) {
    struct call *c = arg;
    struct net_source *in = net_exchange_source(c->x);
    struct net_sink *out = net_exchange_sink(c->x);
    str data;
    for (;;) {
        enum net_flow f = net_source_peek(in, &data);
        if (f == NET_FLOW_WAIT) return;
        if (f == NET_FLOW_FAILED) {
            end(c);
            return;
        }
        if (!c->responded) {
            err e = net_exchange_respond(c->x, 200, NULL, 0);
            ENSURE(e == ERR_OK || e == ERR_CLOSED);
            c->responded = true;
        }
        if (f == NET_FLOW_END) {
            uint32_t n;
            const struct net_field *trailers = net_source_trailers(in, &n);
            err e = net_sink_finish(out, trailers, n);
            ENSURE(e == ERR_OK || e == ERR_CLOSED);
            end(c);
            return;
        }
        size_t room = net_sink_room(out);
        if (!room) return;
        data.n = MIN(data.n, room);
        err e = net_sink_write(out, data);
        ENSURE(e == ERR_OK || e == ERR_CLOSED);
        __atomic_add_fetch(&c->t->body_bytes, data.n, __ATOMIC_RELAXED);
        net_source_consume(in, data.n);
    }
}

/* Drops what comes, slower than it comes. */
static size_t dropped_at_once; /* the most of one call */
static void drop(void *arg) {
    struct call *c = arg;
    struct net_source *in = net_exchange_source(c->x);
    enum net_flow f;
    size_t n = 0;
    for (str data; (f = net_source_peek(in, &data)) == NET_FLOW_DATA; n += data.n) {
        net_source_consume(in, data.n);
        usleep(4000);
    }
    dropped_at_once = MAX(dropped_at_once, n);
    if (f == NET_FLOW_WAIT) return;
    reply(c->x, 200, "dropped\n");
    end(c);
}

static void big(void *arg) {
    struct call *c = arg;
    static uint8_t block[20000];
    struct net_sink *out = net_exchange_sink(c->x);
    while (c->left) {
        size_t n = MIN(MIN(c->left, sizeof block), net_sink_room(out));
        if (!n) return;
        err e = net_sink_write(out, (str){block, n});
        ENSURE(e == ERR_OK);
        c->left -= n;
    }
    err e = net_sink_finish(out, NULL, 0);
    ENSURE(e == ERR_OK);
    end(c);
}

static void slow_done(void *arg) {
    struct call *c = arg;
    reply(c->x, 200, "slow\n");
    end(c);
}

static void abort_later(void *arg) { end(arg); }

static struct call *call_new(struct net_exchange *x, struct test_server *t) {
    struct call *c = calloc(1, sizeof *c);
    c->x = x;
    c->t = t;
    net_exchange_listen(x, on_event, c);
    return c;
}

static void route_echo(struct net_exchange *x, struct test_server *t) {
    struct call *c = call_new(x, t);
    net_source_notify(net_exchange_source(x), echo, c);
    net_sink_notify(net_exchange_sink(x), echo, c);
    echo(c);
}
static void route_drop(struct net_exchange *x, struct test_server *t) {
    struct call *c = call_new(x, t);
    net_source_notify(net_exchange_source(x), drop, c);
    drop(c);
}
static void route_big(struct net_exchange *x, struct test_server *t) {
    struct call *c = call_new(x, t);
    c->left = 20'000'000;
    net_sink_notify(net_exchange_sink(x), big, c);
    err e = net_exchange_respond(x, 200, NULL, 0);
    ENSURE(e == ERR_OK);
    big(c);
}
static void route_slow(struct net_exchange *x, struct test_server *t) {
    struct call *c = call_new(x, t);
    c->timer = net_timer_new(t->loop, slow_done, c);
    net_timer_start(c->timer, 200, 0);
}
static void route_hold(struct net_exchange *x, struct test_server *t) {
    call_new(x, t);
    __atomic_add_fetch(&t->begun, 1, __ATOMIC_RELAXED);
}
/* Routed to somebody who takes ten bytes, and a tenth of a second. */
static void route_limited(struct net_exchange *x, struct test_server *t) {
    if (net_exchange_limits(x, 0, 10) == ERR_OK) {
        route_echo(x, t);
        return;
    }
    str data;
    ENSURE(net_exchange_body_status(x) == 413 && net_source_peek(net_exchange_source(x), &data) == NET_FLOW_FAILED);
    if (net_exchange_request(x)->content_length > 100) reply(x, 413, "ten at most\n");
    net_exchange_end(x);
}
static void route_brief(struct net_exchange *x, struct test_server *t) {
    ENSURE(net_exchange_limits(x, 100, 0) == ERR_OK);
    route_hold(x, t);
}
static void route_none(struct net_exchange *x, struct test_server *t) { net_exchange_end(x); }
static void route_hello(struct net_exchange *x, struct test_server *t) {
    reply(x, 200, "hello\n");
    net_exchange_end(x);
}
static void route_parts(struct net_exchange *x, struct test_server *t) {
    struct net_field f[] = {{STR("X-One"), STR("1")}, {STR("x-one"), STR("2")}};
    err e = net_exchange_inform(x, 103, f, 1);
    if (e == ERR_OK) e = net_exchange_respond(x, 200, f, 2);
    ENSURE(net_sink_write(net_exchange_sink(x), STR("ab")) == ERR_OK &&
           net_sink_write(net_exchange_sink(x), STR("cd")) == ERR_OK);
    ENSURE(net_sink_finish(net_exchange_sink(x), NULL, 0) == ERR_OK && e == ERR_OK);
    net_exchange_end(x);
}
/* Answers first, then reads. */
static void route_early(struct net_exchange *x, struct test_server *t) {
    err e = net_exchange_respond(x, 200, NULL, 0);
    ENSURE(e == ERR_OK && net_sink_write(net_exchange_sink(x), STR("early:")) == ERR_OK);
    struct call *c = call_new(x, t);
    c->responded = true;
    net_source_notify(net_exchange_source(x), echo, c);
    net_sink_notify(net_exchange_sink(x), echo, c);
    echo(c);
}
/* Dies with half of a response in the queue, or (later) on the wire. */
static void route_dies(struct net_exchange *x, struct test_server *t) {
    err e = net_exchange_respond(x, 200, NULL, 0);
    ENSURE(e == ERR_OK && net_sink_write(net_exchange_sink(x), STR("half")) == ERR_OK);
    net_exchange_end(x);
}
static void route_dies_later(struct net_exchange *x, struct test_server *t) {
    struct call *c = call_new(x, t);
    err e = net_exchange_respond(x, 200, NULL, 0);
    ENSURE(e == ERR_OK && net_sink_write(net_exchange_sink(x), STR("half")) == ERR_OK);
    c->timer = net_timer_new(t->loop, abort_later, c);
    net_timer_start(c->timer, 30, 0);
}
static void route_short(struct net_exchange *x, struct test_server *t) {
    struct net_field f = {STR("Content-Length"), STR("10")};
    err e = net_exchange_respond(x, 200, &f, 1);
    ENSURE(e == ERR_OK && net_sink_write(net_exchange_sink(x), STR("12345678901")) == ERR_INVALID);
    ENSURE(net_sink_write(net_exchange_sink(x), STR("12345")) == ERR_OK &&
           net_sink_finish(net_exchange_sink(x), NULL, 0) == ERR_INVALID);
    net_exchange_end(x);
}
static void finish_short(void *arg) {
    struct call *c = arg;
    ENSURE(net_sink_finish(net_exchange_sink(c->x), NULL, 0) == ERR_INVALID);
    abort_later(c);
}
static void route_short_later(struct net_exchange *x, struct test_server *t) {
    struct net_field f = {STR("Content-Length"), STR("10")};
    struct call *c = call_new(x, t);
    err e = net_exchange_respond(x, 200, &f, 1);
    ENSURE(e == ERR_OK && net_sink_write(net_exchange_sink(x), STR("12345")) == ERR_OK);
    c->timer = net_timer_new(t->loop, finish_short, c);
    net_timer_start(c->timer, 30, 0);
}
static void give_up(void *arg) {
    struct call *c = arg;
    net_sink_abort(net_exchange_sink(c->x), NET_INTERNAL_ERROR);
    ENSURE(net_sink_write(net_exchange_sink(c->x), STR("x")) == ERR_CLOSED);
    net_sink_notify(net_exchange_sink(c->x), abort_later, c); /* once the client has seen it */
}
static void route_aborts(struct net_exchange *x, struct test_server *t) {
    struct call *c = call_new(x, t);
    err e = net_exchange_respond(x, 200, NULL, 0);
    ENSURE(e == ERR_OK && net_sink_write(net_exchange_sink(x), STR("half")) == ERR_OK);
    c->timer = net_timer_new(t->loop, give_up, c);
    net_timer_start(c->timer, 30, 0);
}
static void route_reset(struct net_exchange *x, struct test_server *t) {
    struct net_field f = {STR("Content-Length"), STR("3")};
    err e = net_exchange_respond(x, 205, &f, 1);
    ENSURE(e == ERR_OK && net_sink_write(net_exchange_sink(x), STR("abc")) == ERR_OK);
    ENSURE(net_sink_finish(net_exchange_sink(x), NULL, 0) == ERR_OK);
    net_exchange_end(x);
}
static void route_authority(struct net_exchange *x, struct test_server *t) {
    char text[128];
    snprintf(text, sizeof text, "<" STR_FMT ">", STR_ARG(net_exchange_request(x)->authority));
    reply(x, 200, text);
    net_exchange_end(x);
}
static void route_wrong(struct net_exchange *x, struct test_server *t) {
    struct net_field bad = {STR("X"), STR("a\r\nb: c")};
    ENSURE(net_sink_write(net_exchange_sink(x), STR("x")) == ERR_USAGE);
    ENSURE(net_exchange_respond(x, 100, NULL, 0) == ERR_INVALID && net_exchange_respond(x, 1000, NULL, 0) == ERR_INVALID);
    ENSURE(net_exchange_respond(x, 200, &bad, 1) == ERR_INVALID);
    ENSURE(net_exchange_respond(x, 200, NULL, 0) == ERR_OK && net_exchange_respond(x, 200, NULL, 0) == ERR_USAGE);
    ENSURE(net_exchange_retract(x) && !net_exchange_responded(x));
    reply(x, 502, "sorry\n");
    ENSURE(net_sink_write(net_exchange_sink(x), STR("x")) == ERR_CLOSED);
    net_exchange_end(x);
}
static void route_empty(struct net_exchange *x, struct test_server *t) {
    struct net_field f = {STR("Content-Length"), STR("3")};
    err e = net_exchange_respond(x, 204, &f, 1);
    ENSURE(e == ERR_OK && net_sink_finish(net_exchange_sink(x), NULL, 0) == ERR_OK);
    net_exchange_end(x);
}
static void route_peer(struct net_exchange *x, struct test_server *t) {
    char text[64];
    str p = net_exchange_peer(x);
    snprintf(text, sizeof text, STR_FMT, STR_ARG(p));
    reply(x, 200, text);
    net_exchange_end(x);
}

static const struct {
    const char *path;
    void (*fn)(struct net_exchange *x, struct test_server *t);
} routes[] = {
    {"/hello", route_hello},
    {"/echo", route_echo},
    {"/big", route_big},
    {"/slow", route_slow},
    {"/hold", route_hold},
    {"/limited", route_limited},
    {"/brief", route_brief},
    {"/none", route_none},
    {"/parts", route_parts},
    {"/dies", route_dies},
    {"/short", route_short},
    {"/dies-later", route_dies_later},
    {"/wrong", route_wrong},
    {"/empty", route_empty},
    {"/peer", route_peer},
    {"/short-later", route_short_later},
    {"/aborts", route_aborts},
    {"/reset", route_reset},
    {"/authority", route_authority},
    {"/early", route_early},
    {"/drop", route_drop},
};

static void on_request(struct net_exchange *x, void *arg) {
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++)
        if (str_eqc(net_exchange_request(x)->path, routes[i].path)) {
            routes[i].fn(x, arg);
            return;
        }
    reply(x, 404, "no such path\n");
    net_exchange_end(x);
}

/* ---- the tests ---- */

static struct test_server server;

static void start(struct net_server_config c) {
    c.on_request = on_request;
    test_server_start(&server, c);
}

static const char *talk_for(int quiet_ms, const char *bytes, struct buf *out) {
    return test_talk(server.port, bytes, strlen(bytes), out, quiet_ms);
}
static const char *talk(const char *bytes, struct buf *out) { return talk_for(300, bytes, out); }

#define assert_has(text, part)                                                                                                   \
    do {                                                                                                                         \
        if (!strstr((text), (part))) fail_msg("no \"%s\" in:\n%s", (part), (text));                                              \
    } while (0)
#define assert_has_not(text, part)                                                                                               \
    do {                                                                                                                         \
        if (strstr((text), (part))) fail_msg("\"%s\" in:\n%s", (part), (text));                                                  \
    } while (0)

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) n++;
    return n;
}

static void simple_requests(void **state) {
    struct buf b = {0};
    start((struct net_server_config){.server_name = STR("test")});
    const char *r = talk("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 200 OK\r\nDate: ");
    assert_has(r, " GMT\r\nServer: test\r\nConnection: close\r\nContent-Length: 6\r\n\r\nhello\n<end>");
    r = talk("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "hello\n<quiet>");
    r = talk("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 200 OK\r\n");
    assert_has(r, "\r\n\r\n<quiet>");
    r = talk("GET /hello HTTP/1.0\r\n\r\n", &b);
    assert_has(r, "Connection: close\r\nContent-Length: 6\r\n\r\nhello\n<end>");
    r = talk("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &b);
    assert_has(r, "Connection: keep-alive\r\nContent-Length: 6\r\n\r\nhello\n<quiet>");
    r = talk("GET /parts HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 103 Early Hints\r\nX-One: 1\r\n\r\nHTTP/1.1 200 OK\r\nX-One: 1\r\nx-one: 2\r\n");
    assert_has(r, "Content-Length: 4\r\n\r\nabcd<quiet>");
    r = talk("GET /empty HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 204 No Content\r\n");
    assert_has_not(r, "ontent-");
    r = talk("GET /reset HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 205 Reset Content\r\n");
    assert_has(r, "Content-Length: 0\r\n\r\n<quiet>");
    char own[64];
    snprintf(own, sizeof own, "\r\n\r\n<127.0.0.1:%u>", server.port);
    assert_has(talk("GET /authority HTTP/1.0\r\n\r\n", &b), own);
    assert_has(talk("GET /authority HTTP/1.1\r\nHost:\r\n\r\n", &b), own);
    assert_has(talk("GET /authority HTTP/1.0\r\nHost: a:1\r\n\r\n", &b), "<a:1>");
    r = talk("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "\r\n\r\n127.0.0.1<quiet>");
    r = talk("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 501 Not Implemented\r\n");
    assert_has(r, "<end>");
    buf_free(&b);
    test_server_stop(&server);
    assert_int_equal(server.stats.connections, 0);
    assert_int_equal(server.stats.idle, 0);
}

static void pipelined(void **state) {
    struct buf b = {0}, in = {0};
    start((struct net_server_config){0});
    for (int i = 0; i < 3000; i++)
        buf_puts(&in, STR("GET /hello HTTP/1.1\r\nHost: a\r\nX-Padding: 0123456789012345678901234567890123456789\r\n\r\n"));
    buf_puts(&in, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"));
    buf_puts(&in, STR("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                      "chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
    buf_puts(&in, STR("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
    const char *r = test_talk(server.port, (char *)in.p, in.n, &b, 3000);
    assert_int_equal(count(r, "HTTP/1.1 200 OK"), 3004);
    assert_int_equal(count(r, "\r\n\r\nhello\n"), 3001);
    assert_has(r, "\r\n\r\n12345HTTP/1.1");
    assert_has(r, "\r\n\r\nslow\nHTTP/1.1");
    assert_has(r, "\r\n\r\nabcHTTP/1.1");
    assert_has(r, "hello\n<end>");
    buf_free(&b);
    buf_free(&in);
    test_server_stop(&server);
}

/* A conversation cut at every place gets the same answers. */
static void split_everywhere(void **state) {
    static const char in[] =
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: u\r\n\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: "
        "close\r\n\r\nxyz";
    struct buf b = {0};
    start((struct net_server_config){0});
    for (size_t split = 1; split < sizeof in - 1; split++) {
        int fd = test_connect(server.port);
        assert_true(fd >= 0 && test_send(fd, in, split));
        test_sleep_ms(1);
        assert_true(test_send(fd, in + split, sizeof in - 1 - split));
        b.n = 0;
        test_recv(fd, &b, 1000, NULL);
        close(fd);
        const char *r = (const char *)b.p;
        assert_int_equal(count(r, "HTTP/1.1 200 OK"), 3);
        assert_has(r, "hello\n");
        assert_has(r, "T: u\r\n\r\n");
        assert_has(r, "<end>");
    }
    buf_free(&b);
    test_server_stop(&server);
}

static void bad_requests(void **state) {
    static const struct {
        const char *bytes, *status;
    } bad[] = {
        {"GET  / HTTP/1.1\r\n\r\n", "400 "},
        {"GET / HTTP/1.1\r\n\r\n", "400 "},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /hello "
         "HTTP/1.1\r\nHost: a\r\n\r\n",
         "400 "},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", "413 "},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", "413 "},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
         "400 "},
        {"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: cow\r\n\r\n", "501 "},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505 "},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: x\r\n\r\n", "417 "},
        {"\x16\x03\x01", "400 "},
    };
    struct buf b = {0};
    start((struct net_server_config){.body_bytes_max = 1000});
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        const char *r = talk(bad[i].bytes, &b);
        if (strncmp(r, "HTTP/1.1 ", 9) != 0 || strncmp(r + 9, bad[i].status, 4) != 0) fail_msg("%s\n got %s", bad[i].bytes, r);
        assert_int_equal(count(r, "HTTP/1.1 "), 1);
        assert_has(r, "Connection: close\r\n");
        assert_has(r, "<end>");
    }
    buf_free(&b);
    test_server_stop(&server);
}

static void bodies(void **state) {
    struct buf b = {0};
    start((struct net_server_config){0});
    /* The 100 comes when the handler first reads, and not before. */
    int fd = test_connect(server.port);
    test_sends(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    test_recv(fd, &b, 1000, "\r\n\r\n");
    assert_string_equal(b.p, "HTTP/1.1 100 Continue\r\n\r\n");
    b.n = 0;
    test_sends(fd, "12345");
    test_recv(fd, &b, 1000, "12345");
    assert_has((char *)b.p, "Content-Length: 5\r\n\r\n12345");
    close(fd);
    /* A handler that answers before it reads: the 100 still comes before the answer. */
    fd = test_connect(server.port);
    test_sends(fd, "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    b.n = 0;
    test_recv(fd, &b, 1000, "early:");
    assert_int_equal(strncmp((char *)b.p, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 42), 0);
    test_sends(fd, "12345");
    test_recv(fd, &b, 1000, NULL);
    assert_has((char *)b.p, "\r\n\r\n6\r\nearly:\r\n5\r\n12345\r\n0\r\n\r\n<end>");
    close(fd);
    /* A handler that does not read answers at once, and closes. */
    const char *r = talk("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 200 OK\r\n");
    assert_has(r, "Connection: close\r\n");
    assert_has(r, "hello\n<end>");
    /* An unread body that is short is skipped, and the connection goes on. */
    r = talk("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_int_equal(count(r, "hello\n"), 2);
    assert_has(r, "hello\n<quiet>");
    /* One that is too long for that is not waited for, which is said. */
    r = talk("POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n12345", &b);
    assert_has(r, "Connection: close\r\n");
    assert_has(r, "hello\n<end>");
    /* Cut off in the middle: no answer is due. */
    fd = test_connect(server.port);
    test_sends(fd, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12");
    test_sleep_ms(20);
    shutdown(fd, SHUT_WR);
    b.n = 0;
    test_recv(fd, &b, 1000, NULL);
    close(fd);
    assert_has_not((char *)b.p, "<quiet>");
    buf_free(&b);
    test_server_stop(&server);
}

/* Limits that are there only once a request was routed hold as the server's own do. */
static void limits_of_exchanges(void **state) {
    struct buf b = {0};
    start((struct net_server_config){0});
    const char *r = talk("POST /limited HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789", &b);
    assert_has(r, "Content-Length: 10\r\n\r\n0123456789<quiet>");
    r = talk("POST /limited HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n", &b);
    assert_int_equal(strncmp(r, "HTTP/1.1 413 ", 13), 0); /* nobody answered, and yet with the right one */
    assert_has(r, "Connection: close\r\n");
    assert_has(r, "<end>");
    r = talk("POST /limited HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n01234567890", &b);
    assert_int_equal(strncmp(r, "HTTP/1.1 413 ", 13), 0);
    assert_has(r, "Connection: close\r\n");
    assert_has(r, "ten at most\n<end>");
    r = talk("POST /limited HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n56789a\r\n0\r\n\r\n", &b);
    assert_has_not(r, "56789");
    assert_has(r, "<end>");
    r = talk("POST /limited HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n", &b);
    assert_int_equal(strncmp(r, "HTTP/1.1 413 ", 13), 0);
    r = talk_for(10'000, "GET /brief HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 504 Gateway Timeout\r\n");
    assert_int_equal(server.deadlines, 1);
    buf_free(&b);
    test_server_stop(&server);
    /* The server's own are the outer bound. */
    start((struct net_server_config){.handler_ms_max = 50, .body_bytes_max = 5});
    r = talk("POST /limited HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n", &b);
    assert_int_equal(strncmp(r, "HTTP/1.1 413 ", 13), 0);
    r = talk_for(10'000, "GET /brief HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 504 Gateway Timeout\r\n");
    buf_free(&b);
    test_server_stop(&server);
}

static const char *much_to = "/echo";
static int much_blocks = 512;
static void *send_much(void *arg) {
    int fd = *(int *)arg;
    static char block[1 << 16], head[128];
    memset(block, 'x', sizeof block);
    snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", much_to,
             (size_t)much_blocks * sizeof block);
    test_sends(fd, head);
    for (int i = 0; i < much_blocks; i++) test_send(fd, block, sizeof block);
    return NULL;
}

/* 32 MiB through an echo while the reader sleeps first: the server must stop reading, not store. */
static void streams_with_backpressure(void **state) {
    struct buf b = {0};
    pthread_t sender;
    start((struct net_server_config){0});
    int fd = test_connect(server.port);
    pthread_create(&sender, NULL, send_much, &fd);
    test_sleep_ms(300);
    uint64_t stored = __atomic_load_n(&server.body_bytes, __ATOMIC_RELAXED);
    assert_true(stored < 16 * MiB); /* what sockets hold, and 64 KiB of ours */
    test_recv(fd, &b, 3000, NULL);
    pthread_join(sender, NULL);
    close(fd);
    assert_int_equal(server.body_bytes, 32 * MiB);
    assert_true(b.n > 32 * MiB && b.n < 33 * MiB);
    assert_has((char *)b.p + b.n - 20, "\r\n0\r\n\r\n<end>");
    buf_free(&b);
    test_server_stop(&server);
}

/* Who drops a body at once, as long as there is any, is given so much of it in a turn, though the client always has more. */
static void a_body_comes_in_turns(void **state) {
    enum { TURN = 128 << 10, PIECE = 64 << 10 };
    struct buf b = {0};
    pthread_t sender;
    uint16_t port;
    int listening = test_listen(&port), room = 1 << 20;
    setsockopt(listening, SOL_SOCKET, SO_RCVBUF, &room, sizeof room); /* so that the kernel always has more, too */
    start((struct net_server_config){.fd = listening});
    int fd = test_connect(server.port);
    much_to = "/drop";
    much_blocks = 64;
    pthread_create(&sender, NULL, send_much, &fd);
    test_recv(fd, &b, 3000, NULL);
    pthread_join(sender, NULL);
    close(fd);
    assert_has((char *)b.p, "\r\n\r\ndropped\n<end>");
    assert_in_range(dropped_at_once, 1, TURN + PIECE);
    buf_free(&b);
    test_server_stop(&server);
}

static void responses_that_fail(void **state) {
    struct buf b = {0};
    start((struct net_server_config){0});
    const char *r = talk("GET /none HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 500 Internal Server Error\r\n");
    assert_has(r, "<end>");
    r = talk("GET /dies HTTP/1.1\r\nHost: a\r\n\r\n", &b); /* nothing had left yet */
    assert_has(r, "HTTP/1.1 500 Internal Server Error\r\n");
    assert_has_not(r, "half");
    r = talk("GET /dies-later HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 200 OK\r\n");
    assert_has(r, "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n<end>");
    r = talk("GET /dies-later HTTP/1.0\r\n\r\n", &b);
    assert_has(r, "Connection: close\r\n\r\nhalf");
    assert_has(r, "<reset>");                               /* an orderly end would look like the body's */
    r = talk("GET /short HTTP/1.1\r\nHost: a\r\n\r\n", &b); /* nothing had left yet */
    assert_has(r, "HTTP/1.1 500 Internal Server Error\r\n");
    assert_has_not(r, "12345");
    r = talk("GET /short-later HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "Content-Length: 10\r\n");
    assert_has(r, "\r\n\r\n12345<end>");
    r = talk_for(5000, "GET /aborts HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "\r\n\r\n4\r\nhalf\r\n<end>");
    r = talk("GET /wrong HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 502 Bad Gateway\r\n");
    assert_has(r, "sorry\n<quiet>");
    buf_free(&b);
    test_server_stop(&server);
}

static void wait_for(uint32_t *counter, uint32_t value) {
    for (int i = 0; i < 300 && __atomic_load_n(counter, __ATOMIC_RELAXED) < value; i++) test_sleep_ms(10);
    assert_int_equal(__atomic_load_n(counter, __ATOMIC_RELAXED), value);
}

static void clients_that_leave(void **state) {
    start((struct net_server_config){.half_closed_ms_max = 100});
    struct buf b = {0};
    int fd = test_connect(server.port);
    test_sends(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    test_sleep_ms(20);
    close(fd); /* a FIN: gone after half_closed_ms_max */
    wait_for(&server.gone, 1);
    fd = test_connect(server.port);
    test_sends(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\nmore that nobody reads");
    test_sleep_ms(20);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(fd); /* a reset, noticed though nobody reads */
    wait_for(&server.gone, 2);
    fd = test_connect(server.port);
    test_sends(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    test_recv(fd, &b, 1000, "\r\n\r\n");
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(fd);
    wait_for(&server.gone, 3);
    /* Half closed, but still listening: it is answered. */
    b.n = 0;
    fd = test_connect(server.port);
    test_sends(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    test_recv(fd, &b, 1000, NULL);
    close(fd);
    assert_has((char *)b.p, "hello\n<end>");
    buf_free(&b);
    test_server_stop(&server);
}

static void deadlines(void **state) {
    struct buf b = {0};
    start((struct net_server_config){
        .header_ms_max = 100, .body_ms_max = 100, .idle_ms_max = 100, .handler_ms_max = 200, .write_ms_max = 100});
    int fd = test_connect(server.port); /* slowloris: a byte now and then does not help */
    for (const char *p = "GET /hello HTT"; *p; p++) {
        test_send(fd, p, 1);
        test_sleep_ms(20);
    }
    test_recv(fd, &b, 1000, NULL);
    assert_has((char *)b.p, "HTTP/1.1 408 Request Timeout\r\n");
    assert_has((char *)b.p, "<end>");
    close(fd);
    const char *r = talk("", &b); /* nothing at all */
    assert_string_equal(r, "<end>");
    r = talk("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", &b); /* idle */
    assert_has(r, "hello\n<end>");
    r = talk("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12", &b);
    assert_has(r, "HTTP/1.1 200 OK\r\n"); /* the echo had begun */
    assert_has(r, "<end>");
    r = talk_for(1000, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 504 Gateway Timeout\r\n");
    assert_int_equal(server.deadlines, 1);
    fd = test_connect(server.port); /* does not read its answer */
    test_sends(fd, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&server.gone, 1);
    close(fd);
    buf_free(&b);
    test_server_stop(&server);
}

static void tls_is_told_what_this_is(void **state) {
    struct buf b = {0};
    start((struct net_server_config){0});
    int fd = test_connect(server.port);
    test_send(fd, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    test_recv(fd, &b, 10'000, NULL);
    assert_has((char *)b.p, "HTTP/1.1 400 Bad Request\r\n");
    assert_has((char *)b.p, "this port speaks plain HTTP, not TLS; use http://");
    close(fd);
    buf_free(&b);
    test_server_stop(&server);
}

static void limits_of_connections(void **state) {
    struct buf b = {0};
    start((struct net_server_config){.connections_max = 2, .half_closed_ms_max = 100});
    int one = test_connect(server.port), two = test_connect(server.port);
    test_sends(one, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    test_sends(two, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&server.begun, 2);
    const char *r = talk("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "HTTP/1.1 503 Service Unavailable\r\n");
    close(one);
    wait_for(&server.gone, 1);
    r = talk("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", &b);
    assert_has(r, "hello\n");
    close(two);
    buf_free(&b);
    test_server_stop(&server);
}

/* The answer on fd up to and with "hello\n", or "<end>". */
static bool says_hello(int fd, struct buf *b) {
    b->n = 0;
    test_sends(fd, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    test_recv(fd, b, 10'000, "hello\n");
    return strstr((char *)b->p, "hello\n");
}
static bool is_ended(int fd, struct buf *b) {
    b->n = 0;
    test_recv(fd, b, 10'000, NULL);
    return !strcmp((char *)b->p, "<end>");
}

/* Who does nothing makes room for who comes: the longest idle first, then who has said the least for the longest. */
static void those_who_do_nothing_make_room(void **state) {
    enum { MAX = 4 };
    struct buf b = {0};
    int idle[MAX], fd[MAX];
    start((struct net_server_config){.connections_max = MAX, .idle_ms_max = NET_NO_LIMIT, .header_ms_max = NET_NO_LIMIT});
    for (int i = 0; i < MAX; i++) {
        idle[i] = test_connect(server.port);
        assert_true(says_hello(idle[i], &b));
    }
    assert_true(says_hello(idle[0], &b)); /* now idle[1] is the longest idle */
    fd[0] = test_connect(server.port);
    assert_true(says_hello(fd[0], &b));
    assert_true(is_ended(idle[1], &b));
    assert_true(says_hello(idle[0], &b) && says_hello(idle[2], &b) && says_hello(idle[3], &b));
    close(idle[0]), close(idle[1]), close(idle[2]), close(idle[3]), close(fd[0]);
    /* one is served, the others never finish a head */
    int busy = test_connect(server.port);
    test_sends(busy, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_for(&server.begun, 1);
    for (int i = 0; i < 3 * MAX; i++) {
        int slow = test_connect(server.port);
        test_sends(slow, i % 2 ? "GET /hello HT" : "");
        int one = test_connect(server.port);
        assert_true(says_hello(one, &b));
        close(one);
        idle[i % MAX] = slow;
    }
    assert_int_equal(server.gone, 0); /* who is served is not among them */
    for (int i = 0; i < MAX; i++) close(idle[i]);
    close(busy);
    buf_free(&b);
    test_server_stop(&server);
}

static void drain(void **state) {
    struct buf b = {0};
    start((struct net_server_config){0});
    int idle = test_connect(server.port), busy = test_connect(server.port);
    test_sends(idle, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    test_recv(idle, &b, 1000, "hello\n");
    test_sends(busy, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    test_sleep_ms(50);
    test_server_stop(&server); /* returns when drained */
    assert_int_equal(test_connect(server.port), -1);
    b.n = 0;
    test_recv(idle, &b, 1000, NULL);
    assert_string_equal(b.p, "<end>");
    b.n = 0;
    test_recv(busy, &b, 1000, NULL);
    assert_has((char *)b.p, "Connection: close\r\n");
    assert_has((char *)b.p, "slow\n<end>");
    close(idle);
    close(busy);
    buf_free(&b);
}

/* A drain ends who rests so that nobody is hung up on in mid-sentence: who has just been answered may ask once more, and hears that it was the
 * last; who asks when the end is on its way is not reset. */
static void drain_and_who_rests(void **state) {
    struct buf b = {0};
    start((struct net_server_config){0});
    int asks = test_connect(server.port), rests = test_connect(server.port), late = test_connect(server.port);
    assert_true(says_hello(asks, &b) && says_hello(rests, &b) && says_hello(late, &b));
    assert_has_not((char *)b.p, "Connection: close");
    net_loop_post(server.loop, test_server_drain_now, &server);
    for (int fd; (fd = test_connect(server.port)) >= 0; close(fd)) test_sleep_ms(1); /* until it drains */
    assert_true(says_hello(asks, &b));
    assert_has((char *)b.p, "Connection: close\r\n");
    assert_true(is_ended(asks, &b));
    struct pollfd end = {late, POLLIN, 0};
    assert_int_equal(poll(&end, 1, 10'000), 1);
    test_sends(late, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"); /* its end is here, and not read yet */
    assert_true(is_ended(late, &b) && is_ended(rests, &b));
    assert_true(test_sends(late, "again")); /* a reset would have answered the first */
    close(asks), close(rests), close(late);
    test_server_join(&server);
    buf_free(&b);
}

static void many_connections(void **state) {
    enum { WANTED = 5000 };
    struct rlimit rl;
    struct buf b = {0};
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    int n = (int)MIN((uint64_t)WANTED, (rl.rlim_cur - 100) / 2);
    int *fds = calloc((size_t)n, sizeof *fds);
    start((struct net_server_config){0});
    for (int i = 0; i < n; i++) {
        fds[i] = test_connect(server.port);
        assert_true(fds[i] >= 0);
        if (i % 2) test_sends(fds[i], "GET /hello HTTP/1.1\r\nHost: a\r\nX-Slow: ");
    }
    for (int i = 0; i < 200; i++) {
        const char *r = talk_for(2000, "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &b);
        assert_has(r, "hello\n<end>");
    }
    for (int i = 1; i < n; i += 500) {
        test_sends(fds[i], "y\r\n\r\n");
        b.n = 0;
        test_recv(fds[i], &b, 2000, "hello\n");
        assert_has((char *)b.p, "hello\n");
    }
    for (int i = 0; i < n; i++) close(fds[i]);
    free(fds);
    buf_free(&b);
    test_server_stop(&server);
    assert_int_equal(server.stats.connections, 0);
}

/* Clients that do anything: pieces, pauses, half closes, resets, rubbish, at every moment. What must hold: nobody crashes, a sane
 * client is served after all that, and nothing is left over. NET_TEST_SEED replays a run. */
static uint64_t rng;
static uint32_t random_below(uint32_t n) {
    rng = rng * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((rng >> 33) % n);
}

static void chaotic_client(struct buf *b) {
    static const char *const parts[] = {
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "0\r\nA: b\r\n\r\n",
        "GET /dies HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /dies-later HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /big HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
        "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "GET /short HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /parts HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n",
        "rubbish",
        "GET /big HTTP/1.0\r\n\r\n",
        "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /wrong HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    };
    int fd = test_connect(server.port);
    if (fd < 0) return;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &(struct timeval){0, 2000}, sizeof(struct timeval));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){0, 2000}, sizeof(struct timeval));
    for (uint32_t i = 0, n = 1 + random_below(12); i < n; i++) {
        const char *p = parts[random_below(ARRAY_COUNT(parts))];
        size_t whole = strlen(p), k = random_below(4) ? whole : random_below((uint32_t)whole + 1);
        uint8_t sink[4096];
        switch (random_below(12)) {
        case 0: shutdown(fd, SHUT_WR); break;
        case 1: test_sleep_ms(random_below(3)); break;
        case 2:
            if (recv(fd, sink, sizeof sink, 0) == 0) i = n;
            break;
        default:
            if (!test_send(fd, p, k)) i = n;
            if (k < whole && random_below(2) && !test_send(fd, p + k, whole - k)) i = n;
            break;
        }
    }
    if (random_below(3) == 0) setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(fd);
}

static void chaos(void **state) {
    struct buf b = {0};
    const char *seed = getenv("NET_TEST_SEED");
    rng = seed ? strtoull(seed, NULL, 10) : clock_wall_ns();
    print_message("NET_TEST_SEED=%llu\n", (unsigned long long)rng);
    start((struct net_server_config){.half_closed_ms_max = 50,
                                     .handler_ms_max = 300,
                                     .idle_ms_max = 300,
                                     .body_ms_max = 100,
                                     .header_ms_max = 100,
                                     .write_ms_max = 100});
    for (int i = 0; i < 1000; i++) chaotic_client(&b);
    const char *r = talk("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &b);
    assert_has(r, "hello\n<end>");
    test_sleep_ms(700);
    buf_free(&b);
    test_server_stop(&server);
    assert_int_equal(server.stats.connections, 0);
    assert_int_equal(server.stats.idle, 0);
}

static void no_listener(void **state) {
    struct net_loop *l = net_loop_new();
    struct net_server *s;
    struct diag d = DIAG_INIT;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]), close(fds[1]);
    struct net_server_config c = {.loop = l, .fd = fds[0], .on_request = on_request};
    assert_int_equal(net_server_new(&c, &s, &d), ERR_IO);
    assert_has(d.text, "no listening socket");
    assert_null(s);
    net_loop_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_requests),
        cmocka_unit_test(pipelined),
        cmocka_unit_test(split_everywhere),
        cmocka_unit_test(bad_requests),
        cmocka_unit_test(bodies),
        cmocka_unit_test(limits_of_exchanges),
        cmocka_unit_test(streams_with_backpressure),
        cmocka_unit_test(a_body_comes_in_turns),
        cmocka_unit_test(responses_that_fail),
        cmocka_unit_test(clients_that_leave),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(limits_of_connections),
        cmocka_unit_test(those_who_do_nothing_make_room),
        cmocka_unit_test(tls_is_told_what_this_is),
        cmocka_unit_test(drain),
        cmocka_unit_test(drain_and_who_rests),
        cmocka_unit_test(many_connections),
        cmocka_unit_test(chaos),
        cmocka_unit_test(no_listener),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
