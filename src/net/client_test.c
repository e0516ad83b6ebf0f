/* The client against scripted servers on loopback, and against our own. */
#include "net/client.h"
#include "net/net_test.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/un.h>

/* ---- a scripted server: one connection after the other, each answered from the script ---- */

struct scripted {
    pthread_t thread;
    int fd;
    uint16_t port;
    const char *const *
        steps; /* "<" reads up to an empty line; "~" sleeps 300 ms; "=…" is sent byte by byte; "!" resets; else is sent; ends with NULL */
    int connections;
    struct buf got;
};

static void *scripted_main(void *arg) {
    struct scripted *s = arg;
    for (int i = 0; i < s->connections; i++) {
        int fd = accept(s->fd, NULL, NULL);
        bool reset = false;
        for (const char *const *step = s->steps; *step && fd >= 0; step++) {
            if (strcmp(*step, "<") == 0) {
                size_t before = s->got.n;
                uint8_t c;
                while (recv(fd, &c, 1, 0) == 1) {
                    buf_putc(&s->got, c);
                    if (s->got.n >= before + 4 && memcmp(s->got.p + s->got.n - 4, "\r\n\r\n", 4) == 0) break;
                }
            } else if (strcmp(*step, "~") == 0) test_sleep_ms(300);
            else if (strcmp(*step, "!") == 0) reset = true;
            else if (**step == '=') {
                for (const char *p = *step + 1; *p; p++) {
                    test_send(fd, p, 1);
                    test_sleep_ms(1);
                }
            } else test_sends(fd, *step);
        }
        if (reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
        close(fd);
    }
    return NULL;
}

static void scripted_start(struct scripted *s, int connections, const char *const *steps) {
    *s = (struct scripted){.steps = steps, .connections = connections};
    s->fd = test_listen(&s->port);
    fcntl(s->fd, F_SETFL, 0); /* blocking */
    pthread_create(&s->thread, NULL, scripted_main, s);
}

static void scripted_stop(struct scripted *s) {
    pthread_join(s->thread, NULL);
    close(s->fd);
    buf_putc(&s->got, 0);
}

/* ---- one fetch, run to its end ---- */

struct result {
    struct net_loop *loop;
    struct net_fetch *f;
    struct net_timer *limit;
    struct buf body, fields, trailers;
    enum net_error error;
    uint16_t status;
    uint64_t to_send, sent;
    bool finish_sent, slow, ended, cancel;
    bool hold;         /* the request's body is not finished before the response is */
    uint64_t read_max; /* stop reading here */
    const struct net_field *send_trailers;
    uint32_t send_trailers_count;
};

static void stop(struct result *r) {
    r->ended = true;
    net_loop_stop(r->loop);
}

static void on_read(void *arg) {
    struct result *r = arg;
    str data;
    if (r->ended) return;
    for (;;) {
        enum net_flow f = net_source_peek(net_fetch_source(r->f), &data);
        if (f == NET_FLOW_WAIT) return;
        if (f == NET_FLOW_END || f == NET_FLOW_FAILED) {
            uint32_t n;
            const struct net_field *t = net_source_trailers(net_fetch_source(r->f), &n);
            for (uint32_t i = 0; i < n; i++)
                buf_printf(&r->trailers, STR_FMT "=" STR_FMT ";", STR_ARG(t[i].name), STR_ARG(t[i].value));
            r->error = net_source_error(net_fetch_source(r->f));
            stop(r);
            return;
        }
        if (r->read_max && r->body.n >= r->read_max) return;
        buf_puts(&r->body, data);
        net_source_consume(net_fetch_source(r->f), data.n);
    }
}

static void on_write(void *arg) {
    struct result *r = arg;
    static uint8_t block[1 << 16];
    struct net_sink *s = net_fetch_sink(r->f);
    while (r->sent < r->to_send) {
        size_t n = MIN(MIN(net_sink_room(s), r->to_send - r->sent), sizeof block);
        if (!n) return;
        memset(block, 'x', n);
        if (net_sink_write(s, (str){block, n}) != ERR_OK) return;
        r->sent += n;
    }
    if (!r->finish_sent && !r->hold) {
        err e = net_sink_finish(s, r->send_trailers, r->send_trailers_count);
        (void)e;
        r->finish_sent = true;
    }
}

static void on_change(void *arg) {
    struct result *r = arg;
    const struct net_response *p = net_fetch_response(r->f);
    if (p && !r->status) {
        r->status = p->status;
        for (uint32_t i = 0; i < p->fields_count; i++)
            buf_printf(&r->fields, STR_FMT "=" STR_FMT ";", STR_ARG(p->fields[i].name), STR_ARG(p->fields[i].value));
    }
    if (r->cancel && p) {
        stop(r);
        return;
    }
    on_read(r);
}

static void on_limit(void *arg) { stop(arg); }

static struct net_loop *loop;
static struct net_client *client;
static char authority[64];

static struct net_fetch_request request(uint16_t port, const char *method, const char *path) {
    snprintf(authority, sizeof authority, "127.0.0.1:%u", port);
    return (struct net_fetch_request){
        .method = str_c(method), .scheme = STR("http"), .authority = str_c(authority), .path = str_c(path)};
}

static void run(struct result *r, const struct net_fetch_request *rq) {
    r->loop = loop;
    assert_int_equal(net_fetch_new(client, rq, on_change, r, &r->f), NET_OK);
    net_source_notify(net_fetch_source(r->f), on_read, r);
    if (rq->has_body) {
        net_sink_notify(net_fetch_sink(r->f), on_write, r);
        on_write(r);
    }
    r->limit = net_timer_new(loop, on_limit, r);
    net_timer_start(r->limit, 5000, 0);
    net_loop_run(loop);
    if (!r->error) r->error = net_fetch_error(r->f);
    if (getenv("NET_TEST_VERBOSE"))
        print_message("%u %s: " STR_FMT "\n", r->status, net_error_wit(r->error), STR_ARG(net_fetch_error_text(r->f)));
    net_timer_free(r->limit);
    net_fetch_free(r->f);
    buf_putc(&r->body, 0);
    r->body.n--;
    buf_putc(&r->fields, 0);
    buf_putc(&r->trailers, 0);
}

static void result_free(struct result *r) {
    buf_free(&r->body);
    buf_free(&r->fields);
    buf_free(&r->trailers);
    *r = (struct result){0};
}

static int setup(void **state) {
    loop = net_loop_new();
    return net_client_new(&(struct net_client_config){.loop = loop}, &client, NULL) != ERR_OK;
}

static int teardown(void **state) {
    net_client_free(client);
    net_loop_free(loop);
    return 0;
}

/* ---- the tests ---- */

static void head_and_body(void **state) {
    static const char *const steps[] = {
        "<",
        "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 203 Fine\r\nX-Case: One\r\nx-case:two \r\nEmpty:\r\n",
        "Content-Length: 5\r\n\r\nhe",
        "~",
        "llo",
        NULL};
    struct scripted s;
    struct result r = {0};
    scripted_start(&s, 1, steps);
    struct net_fetch_request rq = request(s.port, "PATCH", "/a/../b?c={d}&e=%zz");
    struct net_field fields[] = {{STR("X-Zed"), STR("1")},
                                 {STR("x-Alpha"), STR("2")},
                                 {STR("X-Zed"), STR("")},
                                 {STR("Connection"), STR("upgrade")},
                                 {STR("accept"), STR("a/b")}};
    rq.fields = fields;
    rq.fields_count = ARRAY_COUNT(fields);
    run(&r, &rq);
    scripted_stop(&s);
    assert_int_equal(r.error, NET_OK);
    assert_int_equal(r.status, 203);
    assert_string_equal(r.fields.p, "X-Case=One;x-case=two;Empty=;Content-Length=5;");
    assert_string_equal(r.body.p, "hello");
    char want[256];
    snprintf(want, sizeof want,
             "PATCH /a/../b?c={d}&e=%%zz HTTP/1.1\r\nHost: %s\r\nX-Zed: 1\r\nx-Alpha: 2\r\nX-Zed:\r\naccept: "
             "a/b\r\nContent-Length: 0\r\n\r\n",
             authority);
    assert_string_equal(s.got.p, want);
    buf_free(&s.got);
    result_free(&r);
}

static void chunks_and_trailers(void **state) {
    static const char *const steps[] = {"<", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: T\r\n\r\n3\r\nabc\r\n",
                                        "2;x\r\nde\r\n0\r\nT: u\r\n\r\n", NULL};
    struct scripted s;
    struct result r = {0};
    scripted_start(&s, 1, steps);
    struct net_fetch_request rq = request(s.port, "GET", "");
    run(&r, &rq);
    scripted_stop(&s);
    assert_int_equal(r.error, NET_OK);
    assert_string_equal(r.body.p, "abcde");
    assert_string_equal(r.trailers.p, "T=u;");
    assert_non_null(strstr((char *)s.got.p, "GET / HTTP/1.1\r\n"));
    buf_free(&s.got);
    result_free(&r);
}

/* What a server does wrong, and what we call it. */
static void failures(void **state) {
    static const struct {
        const char *steps[4];
        enum net_error error;
    } cases[] = {
        {{"<", NULL}, NET_CONNECTION_TERMINATED},
        {{"<", "!", NULL}, NET_CONNECTION_TERMINATED},
        {{"<", "HTTP/1.1 200 OK\r\nX", NULL}, NET_CONNECTION_TERMINATED},
        {{"<", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", NULL}, NET_HTTP_RESPONSE_INCOMPLETE},
        {{"<", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", NULL}, NET_HTTP_RESPONSE_INCOMPLETE},
        {{"<", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n", NULL}, NET_HTTP_RESPONSE_TRANSFER_CODING},
        {{"<", "SSH-2.0-OpenSSH\r\n", NULL}, NET_HTTP_PROTOCOL_ERROR},
        {{"<", "HTTP/1.1 200 OK\r\nA B: c\r\n\r\n", NULL}, NET_HTTP_PROTOCOL_ERROR},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct scripted s;
        struct result r = {0};
        scripted_start(&s, 1, cases[i].steps);
        struct net_fetch_request rq = request(s.port, "GET", "/");
        run(&r, &rq);
        scripted_stop(&s);
        if (r.error != cases[i].error)
            fail_msg("%s: got %s, want %s", cases[i].steps[1], net_error_wit(r.error), net_error_wit(cases[i].error));
        buf_free(&s.got);
        result_free(&r);
    }
}

static char *many(const char *first, const char *each, int times, const char *last) {
    struct buf b = {0};
    buf_puts(&b, str_c(first));
    while (times--) buf_puts(&b, str_c(each));
    buf_puts(&b, str_c(last));
    buf_putc(&b, 0);
    return (char *)b.p;
}

/* What two parsers could read in two ways, and what has no end: each alone is an error. */
static void responses_that_are_refused(void **state) {
    char *fields = many("HTTP/1.1 200 OK\r\n", "X: 1\r\n", 300, "Content-Length: 0\r\n\r\n");
    char *informs = many("", "HTTP/1.1 103 Early\r\n\r\n", 100, "");
    char *extension = many("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1", ";a=bcdefgh", 1000, "\r\nx\r\n0\r\n\r\n");
    char *trailers = many("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "X: 123456\r\n", 3000, "\r\n");
    enum { NUL = 1, CHUNKS, SIZE, TRAILERS };
    static const enum net_error errors[] = {NET_HTTP_PROTOCOL_ERROR, NET_HTTP_PROTOCOL_ERROR, NET_HTTP_RESPONSE_TRANSFER_CODING,
                                            NET_HTTP_RESPONSE_HEADER_SECTION_SIZE, NET_HTTP_RESPONSE_TRAILER_SECTION_SIZE};
#define HEAD(fields) "HTTP/1.1 200 OK\r\n" fields "\r\n"
    const struct {
        const char *bytes;
        int kind;
    } cases[] = {
        {HEAD("Content-Length: 3\r\nContent-Length: 5\r\n") "abcde", 0},
        {HEAD("Content-Length: 3\r\nContent-Length: 3\r\n") "abc", 0},
        {HEAD("Content-Length: 3, 3\r\n") "abc", 0},
        {HEAD("Content-Length: -1\r\n"), 0},
        {HEAD("Content-Length: +3\r\n") "abc", 0},
        {HEAD("Content-Length: 0x3\r\n") "abc", 0},
        {HEAD("Content-Length:\r\n"), 0},
        {HEAD("Content-Length: 9223372036854775808\r\n"), 0},
        {HEAD("Content-Length: 18446744073709551617\r\n"), 0},
        {HEAD("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") "3\r\nabc\r\n0\r\n\r\n", 0},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0},
        {HEAD("Transfer-Encoding: gzip, chunked\r\n") "0\r\n\r\n", CHUNKS},
        {HEAD("Transfer-Encoding: chunked, gzip\r\n") "0\r\n\r\n", CHUNKS},
        {HEAD("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n", CHUNKS},
        {HEAD("Transfer-Encoding: xchunked\r\n") "0\r\n\r\n", CHUNKS},
        {HEAD("Transfer-Encoding : chunked\r\n") "0\r\n\r\n", 0},
        {HEAD("Transfer-Encoding: chunked\r\n") "0x1\r\na\r\n0\r\n\r\n", CHUNKS},
        {HEAD("Transfer-Encoding: chunked\r\n") "-1\r\na\r\n0\r\n\r\n", CHUNKS},
        {HEAD("Transfer-Encoding: chunked\r\n") "fffffffffffffffff\r\na", CHUNKS},
        {HEAD("Transfer-Encoding: chunked\r\n") "8000000000000000\r\na", CHUNKS},
        {HEAD("Transfer-Encoding: chunked\r\n") "1\na\n0\n\n", CHUNKS},
        {HEAD("Transfer-Encoding: chunked\r\n") "1\r\nab\r\n0\r\n\r\n", CHUNKS},
        {HEAD("Transfer-Encoding: chunked\r\n") "1;a\nb\r\na\r\n0\r\n\r\n", CHUNKS},
        {"HTTP/1.1 200 OK\nContent-Length: 0\n\n", 0},
        {"HTTP/1.1 200 OK\r\nX: 1\nContent-Length: 0\r\n\r\n", 0},
        {HEAD("X: 1\r\n folded\r\n"), 0},
        {HEAD(" X: 1\r\n"), 0},
        {HEAD("X: a\rb\r\n"), 0},
        {HEAD("X: a\x01\r\n"), 0},
        {HEAD("X\r\n"), 0},
        {HEAD(": 1\r\n"), 0},
        {HEAD("X\xc3\xa9: 1\r\n"), 0},
        {"HTTP/1.1 20 OK\r\n\r\n", 0},
        {"HTTP/1.1 2000 OK\r\n\r\n", 0},
        {"HTTP/1.1 099 OK\r\n\r\n", 0},
        {"HTTP/1.1  200 OK\r\n\r\n", 0},
        {"HTTP/2 200 OK\r\n\r\n", 0},
        {"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nraw", 0},
        {"\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0},
        {"old hello\n", 0},
        {fields, SIZE},
        {informs, 0},
        {extension, CHUNKS},
        {trailers, TRAILERS},
    };
#undef HEAD
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        const char *const steps[] = {"<", cases[i].bytes, NULL};
        struct scripted s;
        struct result r = {0};
        scripted_start(&s, 1, steps);
        struct net_fetch_request rq = request(s.port, "GET", "/");
        run(&r, &rq);
        scripted_stop(&s);
        if (r.error != errors[cases[i].kind])
            fail_msg("%.200s: got %s, want %s", cases[i].bytes, net_error_wit(r.error), net_error_wit(errors[cases[i].kind]));
        buf_free(&s.got);
        result_free(&r);
    }
    free(fields);
    free(informs);
    free(extension);
    free(trailers);
}

/* Heads come in any pieces. */
static void byte_by_byte(void **state) {
    static const char *const steps[] = {
        "<",
        "=HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nTransfer-Encoding: CHUNKED\r\nX:\r\n\r\n2\r\nab\r\n00;x=y\r\nT: u\r\n\r\n",
        NULL};
    struct scripted s;
    struct result r = {0};
    scripted_start(&s, 1, steps);
    struct net_fetch_request rq = request(s.port, "GET", "/");
    run(&r, &rq);
    scripted_stop(&s);
    assert_int_equal(r.error, NET_OK);
    assert_string_equal(r.body.p, "ab");
    assert_string_equal(r.fields.p, "Transfer-Encoding=CHUNKED;X=;");
    assert_string_equal(r.trailers.p, "T=u;");
    buf_free(&s.got);
    result_free(&r);
}

/* ---- both directions at once ---- */

/* The response ends when its last byte is there, though the request's body never does. */
static void a_response_before_the_request_ends(void **state) {
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 413 Large\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 413 Large\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello", /* until the connection's end */
    };
    struct net_field length = {STR("Content-Length"), STR("100")};
    for (size_t i = 0; i < 2 * ARRAY_COUNT(answers); i++) {
        const char *const steps[] = {"<", answers[i / 2], NULL};
        struct scripted s;
        bool last = i / 2 == ARRAY_COUNT(answers) - 1; /* with bytes that it did not read its end would be a reset */
        struct result r = {.to_send = last ? 0 : 10, .hold = true};
        scripted_start(&s, 1, steps);
        struct net_fetch_request rq = request(s.port, "POST", "/");
        rq.has_body = true;
        rq.fields = &length;
        rq.fields_count = i % 2;
        run(&r, &rq);
        scripted_stop(&s);
        if (r.error != NET_OK || !r.ended || r.body.n != 5) fail_msg("%s: %s", answers[i / 2], net_error_wit(r.error));
        buf_free(&s.got);
        result_free(&r);
    }
}

/* ---- a connection is used again only after what is whole ---- */

static const char ok_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/* Of any method: what was announced and not sent ends the connection, and the next request goes over another one. */
static void a_body_that_stays_short(void **state) {
    static const char *const methods[] = {"GET", "HEAD", "POST", "DELETE", "BREW"};
    static const char *const steps[] = {"<", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "<", NULL};
    struct net_field length = {STR("Content-Length"), STR("100")};
    for (size_t i = 0; i < 2 * ARRAY_COUNT(methods); i++) {
        struct scripted s;
        struct result r = {.to_send = 10, .hold = true};
        scripted_start(&s, 1, steps);
        struct net_fetch_request rq = request(s.port, methods[i / 2], "/first");
        rq.has_body = true;
        rq.fields = &length;
        rq.fields_count = i % 2;
        run(&r, &rq); /* its body is given up with it */
        assert_int_equal(r.error, NET_OK);
        net_loop_run(loop);
        scripted_stop(&s); /* the second "<" has seen the end */
        str got = str_c((const char *)s.got.p);
        assert_non_null(strstr((char *)s.got.p, i % 2 ? "Content-Length: 100\r\n" : "Transfer-Encoding: chunked\r\n"));
        assert_true(got.n > 10 && strstr((char *)s.got.p, i % 2 ? "\r\n\r\nxxxxxxxxxx" : "\r\n\r\na\r\nxxxxxxxxxx\r\n"));
        buf_free(&s.got);
        result_free(&r);
    }
}

/* More than the response's bytes on its connection are nobody's. */
static void bytes_after_a_response(void **state) {
    static const char *const steps[] = {
        "<", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "<", NULL};
    struct scripted s;
    scripted_start(&s, 2, steps);
    for (int i = 0; i < 2; i++) {
        struct result r = {0};
        struct net_fetch_request rq = request(s.port, i ? "HEAD" : "GET", "/");
        run(&r, &rq);
        assert_int_equal(r.error, NET_OK);
        assert_string_equal(r.body.p, i ? "" : "ok");
        result_free(&r);
        net_loop_run(loop);
    }
    scripted_stop(&s);
    buf_free(&s.got);
}

/* A peer that closes what rested: who may be asked twice is asked over another connection, who may not fails. */
static void a_connection_that_died(void **state) {
    static const char *const steps[] = {"<", ok_answer, "<", NULL};
    static const struct {
        const char *method;
        enum net_error error;
    } rows[] = {{"GET", NET_OK}, {"GET", NET_OK}, {"POST", NET_CONNECTION_TERMINATED}};
    struct scripted s;
    scripted_start(&s, 2, steps);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct result r = {0};
        struct net_fetch_request rq = request(s.port, rows[i].method, "/");
        run(&r, &rq);
        assert_int_equal(r.error, rows[i].error);
        result_free(&r);
    }
    scripted_stop(&s);
    buf_free(&s.got);
}

static void nobody_there(void **state) {
    int fd;
    uint16_t port;
    struct result r = {0};
    fd = test_listen(&port);
    close(fd);
    struct net_fetch_request rq = request(port, "GET", "/");
    run(&r, &rq);
    assert_int_equal(r.error, NET_CONNECTION_REFUSED);
    result_free(&r);
    rq.authority = STR("no-such-name.invalid");
    run(&r, &rq);
    assert_int_equal(r.error, NET_DNS_ERROR);
    result_free(&r);
}

static void timeouts(void **state) {
    static const char *const silent[] = {"<", "~", "~", NULL};
    static const char *const stalls[] = {"<", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "~", "~", NULL};
    struct scripted s;
    struct result r = {0};
    scripted_start(&s, 1, silent);
    struct net_fetch_request rq = request(s.port, "GET", "/");
    rq.first_byte_ms_max = 100;
    run(&r, &rq);
    scripted_stop(&s);
    assert_int_equal(r.error, NET_HTTP_RESPONSE_TIMEOUT);
    buf_free(&s.got);
    result_free(&r);
    scripted_start(&s, 1, stalls);
    rq = request(s.port, "GET", "/");
    rq.between_bytes_ms_max = 100;
    run(&r, &rq);
    scripted_stop(&s);
    assert_int_equal(r.error, NET_CONNECTION_READ_TIMEOUT);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body.p, "abc");
    buf_free(&s.got);
    result_free(&r);
}

static void large_head(void **state) {
    static char head[8000];
    memcpy(head, "HTTP/1.1 200 OK\r\nX: ", 20);
    memset(head + 20, 'x', sizeof head - 30);
    memcpy(head + sizeof head - 10, "\r\n\r\n", 5);
    const char *const steps[] = {"<", head, NULL};
    struct scripted s;
    struct result r = {0};
    scripted_start(&s, 1, steps);
    struct net_fetch_request rq = request(s.port, "GET", "/");
    rq.head_bytes_max = 1000;
    run(&r, &rq);
    scripted_stop(&s);
    assert_int_equal(r.error, NET_HTTP_RESPONSE_HEADER_SECTION_SIZE);
    buf_free(&s.got);
    result_free(&r);
}

static bool deny(void *arg, str authority, const struct net_addr *address) {
    ++*(int *)arg;
    return false;
}
static bool allow_first(void *arg, str authority, const struct net_addr *address) { return ++*(int *)arg <= 1; }

static void addresses_may_be_denied(void **state) {
    static const char *const steps[] = {"<", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "<", NULL};
    struct scripted s;
    struct result r = {0};
    int asked = 0;
    scripted_start(&s, 1, steps);
    struct net_fetch_request rq = request(s.port, "GET", "/");
    rq.allow_address_arg = &asked;
    rq.allow_address = deny;
    run(&r, &rq);
    assert_int_equal(r.error, NET_DESTINATION_IP_PROHIBITED);
    assert_true(asked > 0);
    result_free(&r);
    asked = 0;
    rq.allow_address = allow_first;
    run(&r, &rq);
    assert_int_equal(r.error, NET_OK);
    assert_int_equal(asked, 1); /* before connecting */
    result_free(&r);
    run(&r, &rq); /* a connection that is kept is asked about as well */
    assert_int_equal(r.error, NET_DESTINATION_IP_PROHIBITED);
    result_free(&r);
    scripted_stop(&s);
    buf_free(&s.got);
}

static void quota(void **state) {
    struct net_quota q = {.used = 1, .max = 1};
    struct result r = {0};
    struct net_fetch_request rq = request(1, "GET", "/");
    rq.quota = &q;
    run(&r, &rq);
    assert_int_equal(r.error, NET_CONNECTION_LIMIT_REACHED);
    assert_int_equal(q.used, 1);
    result_free(&r);
    q.used = 0;
    run(&r, &rq);
    assert_int_equal(r.error, NET_CONNECTION_REFUSED);
    assert_int_equal(q.used, 0);
    result_free(&r);
}

static void misuse(void **state) {
    struct net_fetch *f;
    struct net_field bad = {STR("X"), STR("a\nb")}, length = {STR("Content-Length"), STR("5")};
    struct net_fetch_request rq = request(1, "GET", "/");
    static const char *const authorities[] = {"", "a b", "u@h", "h/x", "h?x", "h#x"},
                             *const paths[] = {"x", "/a b", "/#", "/\r\nX: y"}, *const methods[] = {"", "GET /", "CONNECT"},
                             *const schemes[] = {"", "ftp", "file", "HTTP "};
#define EACH(list, member, error)                                                                                                \
    for (size_t i = 0; i < ARRAY_COUNT(list); i++) {                                                                             \
        struct net_fetch_request b = rq;                                                                                         \
        b.member = str_c(list[i]);                                                                                               \
        assert_int_equal(net_fetch_new(client, &b, NULL, NULL, &f), error);                                                      \
        assert_null(f);                                                                                                          \
    }
    EACH(authorities, authority, NET_HTTP_REQUEST_URI_INVALID)
    EACH(paths, path, NET_HTTP_REQUEST_URI_INVALID)
    EACH(methods, method, NET_HTTP_REQUEST_METHOD_INVALID)
    EACH(schemes, scheme, NET_HTTP_REQUEST_URI_INVALID)
#undef EACH
    rq.fields_count = 1;
    rq.fields = &bad;
    assert_int_equal(net_fetch_new(client, &rq, NULL, NULL, &f), NET_HTTP_PROTOCOL_ERROR);
    rq.fields = &length; /* but no body */
    assert_int_equal(net_fetch_new(client, &rq, NULL, NULL, &f), NET_HTTP_REQUEST_BODY_SIZE);
}

/* ---- against our own server ---- */

struct echo {
    struct net_exchange *x;
    bool responded;
};

static void echo_event(void *arg, enum net_event event) {
    struct echo *c = arg;
    net_exchange_end(c->x);
    free(c);
}

static void echo(void *arg) {
    struct echo *c = arg;
    str data;
    for (;;) {
        enum net_flow f = net_source_peek(net_exchange_source(c->x), &data);
        if (f == NET_FLOW_WAIT) return;
        if (!c->responded) {
            err e = net_exchange_respond(c->x, 200, NULL, 0);
            (void)e;
            c->responded = true;
        }
        if (f != NET_FLOW_DATA) {
            uint32_t n;
            const struct net_field *t = net_source_trailers(net_exchange_source(c->x), &n);
            if (f == NET_FLOW_END && net_sink_finish(net_exchange_sink(c->x), t, n) != ERR_OK) {}
            echo_event(c, NET_EVENT_GONE);
            return;
        }
        data.n = MIN(data.n, net_sink_room(net_exchange_sink(c->x)));
        if (!data.n || net_sink_write(net_exchange_sink(c->x), data) != ERR_OK) return;
        net_source_consume(net_exchange_source(c->x), data.n);
    }
}

static void on_request(struct net_exchange *x, void *arg) {
    struct echo *c = calloc(1, sizeof *c);
    c->x = x;
    net_exchange_listen(x, echo_event, c);
    net_source_notify(net_exchange_source(x), echo, c);
    net_sink_notify(net_exchange_sink(x), echo, c);
    echo(c);
}

static void uploads(void **state) {
    struct test_server t;
    struct result r;
    test_server_start(&t, (struct net_server_config){.on_request = on_request});
    struct net_fetch_request rq = request(t.port, "POST", "/");
    struct net_field trailer = {STR("X-Sum"), STR("7")}, length = {STR("Content-Length"), STR("100000")};
    rq.has_body = true;
    for (int i = 0; i < 2; i++) { /* chunked; the second on the same connection */
        r = (struct result){.to_send = 8 << 20, .send_trailers = &trailer, .send_trailers_count = 1};
        run(&r, &rq);
        assert_int_equal(r.error, NET_OK);
        assert_int_equal(r.body.n, 8 << 20);
        assert_string_equal(r.trailers.p, "X-Sum=7;");
        result_free(&r);
    }
    r.to_send = 100000;
    rq.fields = &length;
    rq.fields_count = 1;
    run(&r, &rq);
    assert_int_equal(r.error, NET_OK);
    assert_int_equal(r.body.n, 100000);
    result_free(&r);
    r.to_send = 99999; /* too short */
    run(&r, &rq);
    assert_int_equal(r.error, NET_HTTP_REQUEST_BODY_SIZE);
    result_free(&r);
    r.to_send = 4; /* written before it has begun */
    length.value = STR("4");
    run(&r, &rq);
    assert_int_equal(r.error, NET_OK);
    assert_int_equal(r.body.n, 4);
    result_free(&r);
    r.to_send = 0;
    length.value = STR("0");
    run(&r, &rq);
    assert_int_equal(r.error, NET_OK);
    assert_int_equal(r.body.n, 0);
    result_free(&r);
    test_server_stop(&t);
    assert_true(t.stats.accepted <= 3); /* connections are used again, but for the one cut off */
}

/* A reader that stops holds the sender back; then it cancels. */
static void a_slow_reader_and_cancel(void **state) {
    struct test_server t;
    struct result r = {.to_send = 1 << 30, .read_max = 100000};
    test_server_start(&t, (struct net_server_config){.on_request = on_request});
    struct net_fetch_request rq = request(t.port, "POST", "/");
    rq.has_body = true;
    r.loop = loop;
    assert_int_equal(net_fetch_new(client, &rq, on_change, &r, &r.f), NET_OK);
    net_source_notify(net_fetch_source(r.f), on_read, &r);
    net_sink_notify(net_fetch_sink(r.f), on_write, &r);
    r.limit = net_timer_new(loop, on_limit, &r);
    net_timer_start(r.limit, 500, 0);
    net_loop_run(loop);
    assert_true(r.body.n >= 100000 && r.body.n < 400000);
    assert_true(r.sent < 32 << 20); /* sockets and buffers, not a GiB */
    net_timer_free(r.limit);
    net_fetch_free(r.f);
    result_free(&r);
    /* The loop goes on working. */
    r.to_send = 10;
    run(&r, &rq);
    assert_int_equal(r.error, NET_OK);
    assert_int_equal(r.body.n, 10);
    result_free(&r);
    test_server_stop(&t);
}

/* ---- TLS, with OpenSSL's own server where its program is ---- */

static bool shell(const char *command) { return system(command) == 0; }

static void tls(void **state) {
    char dir[] = "/tmp/net-tls-XXXXXX", command[1024], ca[64];
    assert_non_null(mkdtemp(dir));
    snprintf(ca, sizeof ca, "%s/cert", dir);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
             "-addext subjectAltName=DNS:localhost -keyout %s/key -out %s/cert >%s/log 2>&1",
             dir, dir, dir);
    if (!shell("command -v openssl >/dev/null 2>&1") || !shell(command)) {
        rmdir(dir);
        skip();
    }
    int fd;
    uint16_t port;
    fd = test_listen(&port);
    close(fd);
    snprintf(command, sizeof command,
             "openssl s_server -accept 127.0.0.1:%u -key %s/key -cert %s/cert -www >%s/log 2>&1 & echo $! >%s/pid; sleep 0.5",
             port, dir, dir, dir, dir);
    assert_true(shell(command));
    snprintf(authority, sizeof authority, "localhost:%u", port);
    struct net_fetch_request rq = {.method = STR("GET"), .scheme = STR("https"), .authority = str_c(authority), .path = STR("/")};
    struct result r = {0};
    run(&r, &rq); /* nobody we know signed it */
    assert_int_equal(r.error, NET_TLS_CERTIFICATE_ERROR);
    result_free(&r);
    net_client_free(client);
    assert_int_equal(net_client_new(&(struct net_client_config){.loop = loop, .ca_file = str_c(ca)}, &client, NULL), ERR_OK);
    run(&r, &rq);
    assert_int_equal(r.error, NET_OK);
    assert_int_equal(r.status, 200);
    assert_non_null(strstr((char *)r.body.p, "TLS"));
    result_free(&r);
    snprintf(authority, sizeof authority, "127.0.0.1:%u", port); /* another name than the certificate's */
    rq.authority = str_c(authority);
    run(&r, &rq);
    assert_int_equal(r.error, NET_TLS_CERTIFICATE_ERROR);
    result_free(&r);
    rq.scheme = STR("http");
    run(&r, &rq);
    assert_int_not_equal(r.error, NET_OK);
    result_free(&r);
    /* Speaking TLS to somebody who does not. */
    static const char *const steps[] = {"HTTP/1.1 400 Bad\r\n\r\n", "~", NULL};
    struct scripted s;
    scripted_start(&s, 1, steps);
    rq = request(s.port, "GET", "/");
    rq.scheme = STR("https");
    run(&r, &rq);
    assert_int_equal(r.error, NET_TLS_PROTOCOL_ERROR);
    result_free(&r);
    scripted_stop(&s);
    buf_free(&s.got);
    snprintf(command, sizeof command, "kill $(cat %s/pid); rm -r %s", dir, dir);
    assert_true(shell(command));
}

/* ---- by a socket that is no network's ---- */

static struct {
    struct sockaddr_un address;
    int opened;
} local;

static int open_local(void *arg) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    local.opened++;
    if (connect(fd, (struct sockaddr *)&local.address, sizeof local.address) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static void echo_path(struct net_exchange *x, void *arg) {
    const struct net_request *rq = net_exchange_request(x);
    struct net_field type = {STR("peer"), net_exchange_peer(x)};
    assert_int_equal(net_exchange_reply(x, 200, &type, 1, rq->path), ERR_OK);
    net_exchange_end(x);
}

static void local_sockets(void **state) {
    struct result r = {0};
    struct test_server t;
    struct net_client_config config = {.loop = loop, .open = open_local};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    local.address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(local.address.sun_path, sizeof local.address.sun_path, "/tmp/orlo-client-test-%d", (int)getpid());
    unlink(local.address.sun_path);
    net_client_free(client);
    assert_int_equal(net_client_new(&config, &client, NULL), ERR_OK);
    struct net_fetch_request rq = request(1, "GET", "/a?b=c");
    rq.authority = STR("whoever"); /* nobody looks it up */
    run(&r, &rq);
    assert_int_equal(r.error, NET_CONNECTION_REFUSED);
    result_free(&r);
    assert_int_equal(bind(fd, (struct sockaddr *)&local.address, sizeof local.address), 0);
    assert_int_equal(listen(fd, 8), 0);
    test_server_start(&t, (struct net_server_config){.fd = fd, .on_request = echo_path});
    for (int i = 0; i < 3; i++) { /* one connection for all of them */
        run(&r, &rq);
        assert_int_equal(r.error, NET_OK);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.body.n, 6);
        result_free(&r);
    }
    assert_int_equal(local.opened, 2);
    test_server_stop(&t);
    unlink(local.address.sun_path);
}

int main(void) {
    setenv("http_proxy", "http://127.0.0.1:9", 1); /* must not matter */
    setenv("ALL_PROXY", "http://127.0.0.1:9", 1);
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(head_and_body),
        T(chunks_and_trailers),
        T(failures),
        T(responses_that_are_refused),
        T(byte_by_byte),
        T(a_response_before_the_request_ends),
        T(a_body_that_stays_short),
        T(bytes_after_a_response),
        T(a_connection_that_died),
        T(nobody_there),
        T(timeouts),
        T(large_head),
        T(addresses_may_be_denied),
        T(quota),
        T(misuse),
        T(uploads),
        T(a_slow_reader_and_cancel),
        T(tls),
        T(local_sockets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
