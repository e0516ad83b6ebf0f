/* http2_fuzz: any bytes as what a client of HTTP/2 sends, in pieces, through a whole connection: its server answers by path, or does not.
 *
 * What must hold: what becomes a request is one that HTTP/1.1 could say too; a body has the length that it was announced with; whoever has a
 * request is told when its client is gone; and when the connection is over, nothing is held of it. The canary breaks the first of these. */
#include "base/fuzz.h"
#include "net/http1_int.h"
#include "net/loop_int.h"
#include "net/server_int.h"

/* ---- the client ---- */

struct wire {
    struct net_stream s;
    str bytes;
    size_t at, piece, room; /* room: of what it takes in a turn */
    bool closed;
};

static ssize_t wire_recv(struct net_stream *s, void *p, size_t n) {
    struct wire *w = container_of(s, struct wire, s);
    size_t k = MIN(MIN(n, w->piece), w->bytes.n - w->at);
    if (w->closed) return NET_STREAM_FAILED;
    if (k) memcpy(p, w->bytes.p + w->at, k);
    w->at += k;
    s->readable = false;
    return (ssize_t)k;
}
static ssize_t wire_send(struct net_stream *s, const void *p, size_t n) {
    struct wire *w = container_of(s, struct wire, s);
    size_t k = MIN(n, w->room);
    (void)p;
    w->room -= k;
    s->writable = w->room > 0;
    return k ? (ssize_t)k : NET_STREAM_WAIT;
}
static ssize_t wire_sendv(struct net_stream *s, const struct iovec *parts, int count) {
    return net_stream_sendv_each(s, parts, count);
}
static bool wire_has_input(struct net_stream *s) {
    return container_of(s, struct wire, s)->at < container_of(s, struct wire, s)->bytes.n;
}
static bool wire_local(struct net_stream *s, struct net_addr *out) { return false; }
static void wire_shutdown(struct net_stream *s) {}
static void wire_close(struct net_stream *s, bool reset) { container_of(s, struct wire, s)->closed = true; }
static const struct net_stream_ops wire_ops = {.recv = wire_recv,
                                               .send = wire_send,
                                               .sendv = wire_sendv,
                                               .has_input = wire_has_input,
                                               .local = wire_local,
                                               .shutdown = wire_shutdown,
                                               .close = wire_close};

/* ---- who answers ---- */

enum { ASKED_MAX = 512 };
struct asked {
    struct net_exchange *x; /* NULL: free */
    uint64_t announced, came;
    bool gone, echoes, ended;
} asked[ASKED_MAX];

static void check_request(const struct net_request *rq) {
    ENSURE(net_token_ok(rq->method) && http1_authority_ok(rq->authority, false));
    ENSURE(rq->path.n && (rq->path.p[0] == '/' || str_eqc(rq->path, "*")));
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        const struct net_field *f = &rq->fields[i];
        ENSURE(net_field_name_ok(f->name) && net_field_value_ok(f->value) && f->name.p[0] != ':' && !http1_field_hop(f->name));
        for (size_t k = 0; k < f->name.n; k++) ENSURE(f->name.p[k] < 'A' || f->name.p[k] > 'Z');
    }
    ENSURE(!canary);
}

static void on_event(void *arg, enum net_event event) {
    struct asked *a = arg;
    if (event == NET_EVENT_GONE) a->gone = true;
}

static void end(struct asked *a) {
    if (a->ended) ENSURE(a->announced == UINT64_MAX || a->came == a->announced);
    net_exchange_end(a->x);
    *a = (struct asked){0};
}

static void on_request(struct net_exchange *x, void *arg) {
    const struct net_request *rq = net_exchange_request(x);
    struct asked *a = asked;
    check_request(rq);
    while (a < asked + ASKED_MAX && a->x) a++;
    ENSURE(a < asked + ASKED_MAX); /* those that wait are bounded, whatever a client resets */
    *a = (struct asked){.x = x, .announced = rq->content_length};
    net_exchange_listen(x, on_event, a);
    uint8_t how = rq->path.n > 1 ? rq->path.p[1] : 0;
    struct net_field field = {STR("X-Mixed"), STR("v")};
    err e = ERR_OK;
    switch (how % 8) {
    case 0: e = net_exchange_reply(x, 200, &field, 1, STR("all of it")); break;
    case 1: e = net_exchange_reply(x, 204, NULL, 0, (str){0}); break;
    case 2: break; /* later */
    case 3: e = net_exchange_inform(x, 103, &field, 1); break;
    case 4:
        e = net_exchange_respond(x, 200, &field, 1);
        ENSURE(e != ERR_OK || net_exchange_retract(x));
        break;
    case 5: (void)net_exchange_limits(x, 0, 10); break;
    default:
        a->echoes = true;
        e = net_exchange_respond(x, 200, &field, 1);
        break;
    }
    ENSURE(e == ERR_OK || e == ERR_CLOSED || e == ERR_AGAIN);
    if (how % 8 < 2 || how % 8 == 4) end(a);
}

static void echo(struct asked *a) {
    struct net_sink *to = net_exchange_sink(a->x);
    for (;;) {
        str data;
        enum net_flow f = net_source_peek(net_exchange_source(a->x), &data);
        if (f == NET_FLOW_DATA) {
            size_t n = MIN(data.n, net_sink_room(to));
            if (!n || net_sink_write(to, str_sub(data, 0, n)) != ERR_OK) return;
            net_source_consume(net_exchange_source(a->x), n);
            a->came += n;
            continue;
        }
        a->ended = f == NET_FLOW_END;
        if (f == NET_FLOW_FAILED) net_sink_abort(to, NET_HTTP_PROTOCOL_ERROR);
        if (f == NET_FLOW_END) {
            struct net_field trailer = {STR("x-last"), STR("1")};
            err e = net_sink_finish(to, &trailer, 1);
            ENSURE(e == ERR_OK || e == ERR_CLOSED);
        }
        if (f != NET_FLOW_WAIT) end(a);
        return;
    }
}

static void answer_some(bool all) {
    for (struct asked *a = asked; a < asked + ASKED_MAX; a++) {
        if (a->x && a->echoes) echo(a);
        if (a->x && (a->gone || all)) end(a);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct net_loop *loop;
    static struct net_server *server;
    struct diag d = DIAG_INIT;
    if (!loop) {
        loop = net_loop_new();
        struct net_server_config c = {.loop = loop,
                                      .fd = -1,
                                      .on_request = on_request,
                                      .body_bytes_max = 1 << 16,
                                      .head_bytes_max = 4096,
                                      .fields_max = 32};
        ENSURE(net_server_new(&c, &server, &d) == ERR_OK);
    }
    static const size_t pieces[] = {1, 7, 50, SIZE_MAX}, rooms[] = {1, 40, 1000, SIZE_MAX / 2};
    uint8_t how = size ? data[0] : 0;
    struct buf b = {0};
    buf_puts(&b, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    if (size) buf_put(&b, data + 1, size - 1);
    struct wire w = {.s = {.ops = &wire_ops, .readable = true, .writable = true}, .bytes = buf_str(&b), .piece = pieces[how & 3]};
    struct sockaddr_in peer = {.sin_family = AF_INET};
    struct net_conn *c = net_conn_new(server, &peer, sizeof peer);
    c->stream = &w.s;
    net_conn_start(c);
    for (int quiet = 0; quiet < 8;) {
        w.room = rooms[how >> 2 & 3];
        w.s.writable = true;
        w.s.readable = w.at < b.n || quiet > 4; /* the end comes last */
        quiet = w.at < b.n && !w.closed ? 0 : quiet + 1;
        if (!w.closed) net_stream_tell(&w.s);
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        answer_some(quiet > 2 && how & 16);
    }
    if (!w.closed) c->protocol->kill(c);
    for (int i = 0; i < 4; i++) {
        uv_run(&loop->uv, UV_RUN_NOWAIT);
        answer_some(false);
    }
    for (struct asked *a = asked; a < asked + ASKED_MAX; a++) ENSURE(!a->x);
    net_conn_free_dead(server);
    ENSURE(w.closed && !net_server_stats(server).connections && !server->held_bytes && server->conns.next == &server->conns);
    buf_free(&b);
    return 0;
}
