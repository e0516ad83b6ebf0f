/* Streams of another kind than sockets under the protocol: a peer in memory, whose bytes come in pieces of any size and are taken in pieces of any
 * size; and connections that were handed over. All on this thread: what a peer sees depends on nothing but the pieces. */
#include "net/peer_test.h"

/* ---- the server ---- */

static struct net_loop *loop;
static struct net_server *server;
static struct net_stream *taken; /* handed over */
static uint32_t refused_upgrades, gone_upgrades;
static bool closes_at_once;

static void echo(void *arg) {
    struct net_stream *s = arg;
    char bytes[5];
    ssize_t n;
    while ((n = net_stream_recv(s, bytes, sizeof bytes)) > 0) {
        ssize_t sent = net_stream_send(s, bytes, (size_t)n);
        if (sent != n) break;
    }
    if (n == 0 || n == NET_STREAM_FAILED || net_stream_ending(s)) {
        if (net_stream_ending(s)) net_stream_sendv(s, (struct iovec[]){{"by", 2}, {"e", 1}}, 2);
        net_stream_close(s, false);
        taken = NULL;
    }
}

static void on_upgraded(void *arg, struct net_stream *s) {
    assert_ptr_equal(arg, &taken);
    gone_upgrades += !s;
    taken = s;
    if (!s) return;
    if (closes_at_once) {
        net_stream_close(s, false);
        taken = NULL;
        return;
    }
    net_stream_listen(s, echo, s);
}

/* Upgrades once the request's body was read. */
static void read_and_upgrade(void *arg) {
    struct net_exchange *x = arg;
    struct net_source *s = net_exchange_source(x);
    char bytes[3];
    size_t got;
    enum net_flow f;
    while ((f = net_source_read(s, bytes, sizeof bytes, &got)) == NET_FLOW_DATA) {}
    if (f == NET_FLOW_WAIT) return;
    assert_int_equal(f, NET_FLOW_END);
    assert_int_equal(net_exchange_upgrade(x, &(struct net_upgrade){STR("echo/1"), on_upgraded, &taken}, NULL, 0), ERR_OK);
    net_exchange_end(x);
}

static void on_request(struct net_exchange *x, void *arg) {
    const struct net_request *rq = net_exchange_request(x);
    if (str_eqc(rq->path, "/read-and-up")) {
        net_source_notify(net_exchange_source(x), read_and_upgrade, x);
        read_and_upgrade(x);
        return;
    }
    if (str_eqc(rq->path, "/up") || str_eqc(rq->path, "/up-and-body")) {
        struct net_upgrade to = {STR("echo/1"), on_upgraded, &taken};
        struct net_field f = {STR("X-Up"), STR("1")}, bad = {STR("a b"), STR("1")};
        assert_int_equal(net_exchange_upgrade(x, &to, &bad, 1), ERR_INVALID);
        err e = net_exchange_upgrade(x, &to, &f, 1);
        if (e == ERR_OK) {
            assert_int_equal(net_exchange_stats(x).status, 101);
            assert_int_equal(net_exchange_upgrade(x, &to, &f, 1), ERR_USAGE);
            assert_int_equal(net_exchange_respond(x, 200, NULL, 0), ERR_USAGE);
            assert_false(net_exchange_retract(x));
        } else {
            refused_upgrades++;
            e = net_exchange_reply(x, 426, NULL, 0, e == ERR_UNSUPPORTED ? STR("unsupported\n") : STR("usage\n"));
        }
        ENSURE(e == ERR_OK);
    } else {
        err e = net_exchange_reply(x, 200, NULL, 0, STR("hello\n"));
        ENSURE(e == ERR_OK || e == ERR_CLOSED);
    }
    net_exchange_end(x);
}

static void start(struct net_server_config c) {
    struct diag d = DIAG_INIT;
    taken = NULL;
    refused_upgrades = gone_upgrades = 0;
    closes_at_once = false;
    loop = net_loop_new();
    c.loop = loop;
    uint16_t port;
    c.fd = test_listen(&port);
    c.on_request = on_request;
    if (net_server_new(&c, &server, &d) != ERR_OK) fail_msg("%s", d.text);
}

static void stop_loop(void *arg) { net_loop_stop(arg); }

static void run_for(uint32_t ms) {
    struct net_timer *t = net_timer_new(loop, stop_loop, loop);
    net_timer_start(t, ms, 0);
    net_loop_run(loop);
    net_timer_free(t);
}

/* Until the server has no connection any more. */
static void run_out(void) {
    for (int i = 0; i < 1000 && net_server_stats(server).connections; i++) run_for(5);
    assert_int_equal(net_server_stats(server).connections, 0);
    assert_int_equal(net_server_stats(server).idle, 0);
}

static void stop(void) {
    net_server_free(server);
    net_loop_free(loop);
}

static void join(struct peer *p, const char *says, size_t piece) { peer_join(p, server, loop, str_c(says), piece); }
static const char *heard(struct peer *p) { return peer_heard(p); }

static size_t count(const char *text, const char *part) {
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, part)); p += strlen(part)) n++;
    return n;
}

static const size_t pieces[] = {1, 2, 7, 100, 1 << 20};

/* ---- the tests ---- */

static void requests_over_memory(void **state) {
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        struct peer p;
        start((struct net_server_config){0});
        join(&p,
             "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nPOST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345"
             "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
             pieces[i]);
        run_out();
        assert_int_equal(count(heard(&p), "HTTP/1.1 200 OK\r\n"), 3);
        assert_int_equal(count(heard(&p), "\r\n\r\nhello\n"), 3);
        assert_int_equal(count(heard(&p), "Connection: close\r\n"), 1);
        assert_true(p.closed && !p.reset);
        assert_int_equal(net_server_stats(server).bytes_out, p.out.n);
        assert_int_equal(net_server_stats(server).bytes_in, p.in_n);
        buf_free(&p.out);
        /* rubbish, and an end in the middle */
        join(&p, "rubbish\r\n\r\n", pieces[i]);
        run_out();
        assert_int_equal(count(heard(&p), "HTTP/1.1 400 "), 1);
        assert_true(p.shut && p.closed); /* lingered, for what the client may still be sending */
        buf_free(&p.out);
        join(&p, "GET /hello HTTP/1.1\r\nHo", pieces[i]);
        p.ends = true;
        run_out();
        assert_int_equal(p.out.n, 0);
        join(&p, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", pieces[i]);
        p.refuses = true;
        run_out();
        assert_int_equal(p.out.n, 0);
        stop();
    }
}

static const char upgrade[] =
    "GET /up HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: x, ECHO/1\r\n\r\nearly and ";

static void upgrades(void **state) {
    static char says[sizeof upgrade + 10];
    snprintf(says, sizeof says, "%slate", upgrade);
    for (size_t i = 0; i < ARRAY_COUNT(pieces); i++) {
        struct peer p;
        start((struct net_server_config){.handler_ms_max = 20, .idle_ms_max = 20, .header_ms_max = 20'000});
        join(&p, says, pieces[i]);
        for (int turn = 0; turn < 500 && !strstr(heard(&p), "late"); turn++) run_for(5);
        assert_non_null(strstr(heard(&p), "HTTP/1.1 101 Switching Protocols\r\nX-Up: 1\r\n"));
        assert_non_null(strstr(heard(&p), "Connection: upgrade\r\nUpgrade: echo/1\r\n\r\nearly and late"));
        run_for(100); /* no deadline of requests is there any more */
        assert_true(taken && !p.closed);
        assert_int_equal(net_server_stats(server).connections, 1);
        assert_int_equal(net_server_stats(server).idle, 0);
        assert_int_equal(net_server_stats(server).bytes_in, strlen(says));
        assert_int_equal(net_server_stats(server).bytes_out, p.out.n);
        p.ends = true;
        net_job_queue(loop, &p.job);
        run_out();
        assert_true(!taken && p.closed && !p.reset);
        buf_free(&p.out);
        stop();
    }
}

/* What comes behind a request's body is in the buffer that this was received into, or in the one before. */
static void upgrades_behind_a_body(void **state) {
    static const char *const says[] = {
        "POST /read-and-up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\nContent-Length: 5\r\n\r\n12345early",
        "POST /read-and-up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\n123\r\n2\r\n45\r\n0\r\n\r\nearly",
    };
    for (size_t i = 0; i < 2 * ARRAY_COUNT(says); i++) {
        const char *text = says[i / 2];
        struct peer p;
        start((struct net_server_config){0});
        join(&p, text, i % 2 ? (size_t)(strstr(text, "\r\n\r\n") + 4 - text) : 1 << 20);
        for (int turn = 0; turn < 100 && !strstr(heard(&p), "early"); turn++) run_for(5);
        assert_non_null(strstr(heard(&p), "Upgrade: echo/1\r\n\r\nearly"));
        p.ends = true;
        net_job_queue(loop, &p.job);
        run_out();
        buf_free(&p.out);
        stop();
    }
}

static void upgrades_that_are_none(void **state) {
    static const char *const none[] = {
        "GET /up HTTP/1.1\r\nHost: a\r\nUpgrade: echo/1\r\n\r\n",
        "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
        "GET /up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo/2\r\n\r\n",
        "GET /up HTTP/1.0\r\nHost: a\r\nConnection: upgrade, keep-alive\r\nUpgrade: echo/1\r\n\r\n",
    };
    struct peer p;
    start((struct net_server_config){0});
    for (size_t i = 0; i < ARRAY_COUNT(none); i++) {
        join(&p, none[i], 1 << 20);
        run_for(20);
        assert_non_null(strstr(heard(&p), "HTTP/1.1 426 "));
        assert_non_null(strstr(heard(&p), "\r\n\r\nunsupported\n"));
        assert_false(p.closed); /* and there may be another request */
        p.ends = true;
        net_job_queue(loop, &p.job);
        run_out();
        buf_free(&p.out);
    }
    join(&p, "POST /up-and-body HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo/1\r\nContent-Length: 3\r\n\r\nabc",
         1 << 20);
    run_for(20);
    assert_non_null(strstr(heard(&p), "\r\n\r\nusage\n"));
    p.ends = true;
    net_job_queue(loop, &p.job);
    run_out();
    buf_free(&p.out);
    assert_int_equal(refused_upgrades, ARRAY_COUNT(none) + 1);
    /* the client is gone before it could hear of it */
    join(&p, upgrade, 1 << 20);
    p.refuses = true;
    run_out();
    assert_int_equal(gone_upgrades, 1);
    closes_at_once = true;
    join(&p, upgrade, 1 << 20);
    run_out();
    assert_true(p.closed);
    buf_free(&p.out);
    stop();
}

static bool drained;
static void on_drained(void *arg) { drained = true; }

/* A drain waits for what was handed over, whose owner is told, and cuts it off when it does not end. */
static void upgrades_and_drains(void **state) {
    for (int stubborn = 0; stubborn < 2; stubborn++) {
        struct peer p;
        start((struct net_server_config){0});
        join(&p, upgrade, 1 << 20);
        run_for(20);
        assert_non_null(taken);
        struct net_stream *s = taken;
        if (stubborn) net_stream_listen(s, NULL, NULL);
        drained = false;
        net_server_drain(server, 200, false, on_drained, NULL);
        run_for(50);
        assert_int_equal(drained, !stubborn);
        if (stubborn) {
            assert_true(net_stream_ending(s));
            run_out();
            assert_true(p.closed && p.reset);
            char byte;
            assert_int_equal(net_stream_recv(s, &byte, 1), NET_STREAM_FAILED);
            assert_int_equal(net_stream_send(s, "x", 1), NET_STREAM_FAILED);
            net_stream_close(s, false);
        } else {
            assert_non_null(strstr(heard(&p), "early and bye"));
        }
        run_for(20);
        assert_true(drained);
        buf_free(&p.out);
        stop();
    }
}

/* The server drains while the 101 is on its way: who listens afterwards is told. */
static void upgrades_in_a_drain(void **state) {
    struct peer p;
    start((struct net_server_config){0});
    join(&p, "GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n", 1 << 20);
    p.stalls = true;
    run_for(20);
    assert_null(taken);
    drained = false;
    net_server_drain(server, 5'000, false, on_drained, NULL);
    run_for(20);
    p.stalls = false;
    p.s.writable = true;
    p.s.readable = false; /* and nothing else happens */
    net_stream_tell(&p.s);
    for (int turn = 0; turn < 200 && !drained; turn++) run_for(5);
    assert_true(drained);
    assert_non_null(strstr(heard(&p), "Upgrade: echo/1\r\n\r\nbye"));
    buf_free(&p.out);
    stop();
}

/* Who takes nothing for write_ms_max has failed, also when the stream is another's. */
static void upgrades_and_deadlines(void **state) {
    struct peer p;
    start((struct net_server_config){.write_ms_max = 60});
    join(&p, upgrade, 1 << 20);
    run_for(20);
    assert_non_null(taken);
    p.stalls = true;
    assert_int_equal(net_stream_send(taken, "more", 4), NET_STREAM_WAIT);
    run_out();
    assert_true(p.closed && !taken);
    buf_free(&p.out);
    /* a server that is freed: its streams have failed, and are still their owners' to close */
    join(&p, upgrade, 1 << 20);
    run_for(20);
    struct net_stream *s = taken;
    assert_non_null(s);
    net_server_free(server);
    char byte;
    assert_int_equal(net_stream_recv(s, &byte, 1), NET_STREAM_FAILED);
    net_stream_close(s, true);
    buf_free(&p.out);
    net_loop_free(loop);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_over_memory),   cmocka_unit_test(upgrades),
        cmocka_unit_test(upgrades_behind_a_body), cmocka_unit_test(upgrades_that_are_none),
        cmocka_unit_test(upgrades_and_drains),    cmocka_unit_test(upgrades_in_a_drain),
        cmocka_unit_test(upgrades_and_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
