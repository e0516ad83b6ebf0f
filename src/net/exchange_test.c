/* What an exchange promises, run by every kind there is: HTTP/1.1 over a stream, and local. One table of requests and what must come of them, one
 * set of handlers, who cannot tell the kinds apart. */
#include "net/filter.h"
#include "net/http1.h"
#include "net/local.h"
#include "net/peer_test.h"

static struct net_loop *loop;

/* ---- who answers: the path says how ---- */

struct call {
    struct net_exchange *x;
    struct net_timer *timer;
    size_t left;
    bool responded;
};
static uint32_t gone, deadlines, live;

static void end(struct call *c) {
    net_timer_free(c->timer);
    net_exchange_listen(c->x, NULL, NULL);
    net_exchange_end(c->x);
    free(c);
    live--;
}

static void reply(struct net_exchange *x, uint16_t status, const char *text) {
    err e = net_exchange_reply(x, status, NULL, 0, str_c(text));
    ENSURE(e == ERR_OK);
}

static void on_event(void *arg, enum net_event event) {
    struct call *c = arg;
    gone += event == NET_EVENT_GONE;
    deadlines += event == NET_EVENT_DEADLINE;
    if (event == NET_EVENT_GONE) {
        ENSURE(net_exchange_respond(c->x, 200, NULL, 0) == ERR_CLOSED || net_exchange_responded(c->x));
        ENSURE(net_sink_write(net_exchange_sink(c->x), STR("x")) == ERR_CLOSED && !net_sink_room(net_exchange_sink(c->x)));
    } else {
        reply(c->x, 504, "too slow\n");
    }
    end(c);
}

static struct call *hold(struct net_exchange *x) {
    struct call *c = calloc(1, sizeof *c);
    c->x = x;
    live++;
    net_exchange_listen(x, on_event, c);
    return c;
}
static void do_hold(struct net_exchange *x) { hold(x); }

static void do_hello(struct net_exchange *x) {
    const struct net_request *rq = net_exchange_request(x);
    struct net_field f[] = {{STR("X-One"), STR("1")}, {STR("x-one"), STR("2")}};
    ENSURE(!net_exchange_responded(x) && str_eqc(rq->authority, "a") && str_eqc(net_exchange_peer(x), "192.0.2.1"));
    err e = net_exchange_reply(x, 200, f, 2, STR("hello\n"));
    ENSURE(e == ERR_OK && net_exchange_stats(x).status == 200 && net_exchange_stats(x).body_bytes_out == 6);
    net_exchange_end(x);
}

static void echo(void *arg) {
    struct call *c = arg;
    struct net_source *in = net_exchange_source(c->x);
    struct net_sink *out = net_exchange_sink(c->x);
    for (str data;;) {
        enum net_flow f = net_source_peek(in, &data);
        if (f == NET_FLOW_WAIT) return;
        if (f == NET_FLOW_FAILED) {
            end(c);
            return;
        }
        if (!c->responded) c->responded = net_exchange_respond(c->x, 200, NULL, 0) == ERR_OK;
        if (f == NET_FLOW_END) {
            uint32_t n;
            const struct net_field *trailers = net_source_trailers(in, &n);
            ENSURE(net_sink_finish(out, trailers, n) == ERR_OK);
            end(c);
            return;
        }
        data.n = MIN(data.n, net_sink_room(out));
        if (!data.n) return;
        ENSURE(net_sink_write(out, data) == ERR_OK);
        net_source_consume(in, data.n);
    }
}
static void do_echo(struct net_exchange *x) {
    struct call *c = hold(x);
    net_source_notify(net_exchange_source(x), echo, c);
    net_sink_notify(net_exchange_sink(x), echo, c);
    echo(c);
}

static void more(void *arg) {
    static uint8_t block[10'000];
    struct call *c = arg;
    struct net_sink *out = net_exchange_sink(c->x);
    while (c->left) {
        size_t n = MIN(MIN(c->left, sizeof block), net_sink_room(out));
        if (!n) {
            ENSURE(net_sink_write(out, STR("x")) == ERR_AGAIN);
            return;
        }
        memset(block, 'b', n);
        ENSURE(net_sink_write(out, (str){block, n}) == ERR_OK);
        c->left -= n;
    }
    ENSURE(net_sink_finish(out, NULL, 0) == ERR_OK);
    end(c);
}
static void do_big(struct net_exchange *x) {
    struct call *c = hold(x);
    c->left = 300'000;
    net_sink_notify(net_exchange_sink(x), more, c);
    ENSURE(net_exchange_respond(x, 200, NULL, 0) == ERR_OK);
    more(c);
}
static void do_large(struct net_exchange *x) { /* at once, and more than there is room for */
    static uint8_t all[200'000];
    memset(all, 'b', sizeof all);
    ENSURE(net_exchange_reply(x, 200, NULL, 0, (str){all, sizeof all}) == ERR_OK);
    net_exchange_end(x);
}

static void do_parts(struct net_exchange *x) {
    struct net_field f = {STR("X-One"), STR("1")}, t = {STR("X-Late"), STR("2")}, bad = {STR("a b"), STR("3")};
    struct net_sink *out = net_exchange_sink(x);
    ENSURE(net_exchange_inform(x, 103, &f, 1) == ERR_OK && net_exchange_inform(x, 100, NULL, 0) == ERR_INVALID);
    ENSURE(net_exchange_respond(x, 200, &f, 1) == ERR_OK && net_exchange_inform(x, 103, &f, 1) == ERR_USAGE);
    ENSURE(net_sink_write(out, STR("ab")) == ERR_OK && net_sink_write(out, STR("cd")) == ERR_OK);
    ENSURE(net_sink_finish(out, &bad, 1) == ERR_INVALID && net_sink_finish(out, &t, 1) == ERR_OK);
    ENSURE(net_sink_finish(out, NULL, 0) == ERR_CLOSED && net_sink_write(out, STR("x")) == ERR_CLOSED);
    net_exchange_end(x);
}

static void do_none(struct net_exchange *x) { net_exchange_end(x); }
static void do_dies(struct net_exchange *x) { /* with half of a response that nobody has seen */
    ENSURE(net_exchange_respond(x, 200, NULL, 0) == ERR_OK && net_sink_write(net_exchange_sink(x), STR("half")) == ERR_OK);
    net_exchange_end(x);
}
static void later_end(void *arg) { end(arg); }
static void do_dies_later(struct net_exchange *x) {
    struct call *c = hold(x);
    ENSURE(net_exchange_respond(x, 200, NULL, 0) == ERR_OK && net_sink_write(net_exchange_sink(x), STR("half")) == ERR_OK);
    c->timer = net_timer_new(loop, later_end, c);
    net_timer_start(c->timer, 60, 0);
}
static void later_abort(void *arg) {
    struct call *c = arg;
    ENSURE(!net_exchange_retract(c->x));
    net_sink_abort(net_exchange_sink(c->x), NET_INTERNAL_ERROR);
    ENSURE(net_sink_error(net_exchange_sink(c->x)) == NET_INTERNAL_ERROR);
    ENSURE(net_sink_write(net_exchange_sink(c->x), STR("x")) == ERR_CLOSED);
    end(c);
}
static void do_aborts(struct net_exchange *x) {
    struct call *c = hold(x);
    ENSURE(net_exchange_respond(x, 200, NULL, 0) == ERR_OK && net_sink_write(net_exchange_sink(x), STR("half")) == ERR_OK);
    c->timer = net_timer_new(loop, later_abort, c);
    net_timer_start(c->timer, 60, 0);
}
static void do_aborts_at_once(struct net_exchange *x) {
    struct call *c = hold(x); /* until the end of the turn there may be another response; then there is a bare one */
    net_sink_notify(net_exchange_sink(x), later_end, c);
    ENSURE(net_exchange_respond(x, 200, NULL, 0) == ERR_OK && net_sink_write(net_exchange_sink(x), STR("half")) == ERR_OK);
    net_sink_abort(net_exchange_sink(x), NET_INTERNAL_ERROR);
}

static void do_short(struct net_exchange *x) {
    struct net_field f = {STR("Content-Length"), STR("10")};
    struct net_sink *out = net_exchange_sink(x);
    ENSURE(net_exchange_respond(x, 200, &f, 1) == ERR_OK && net_sink_write(out, STR("12345678901")) == ERR_INVALID);
    ENSURE(net_sink_write(out, STR("12345")) == ERR_OK && net_sink_finish(out, NULL, 0) == ERR_INVALID);
    net_exchange_end(x);
}
static void do_sized(struct net_exchange *x) {
    struct net_field f = {STR("Content-Length"), STR("5")}, two[] = {f, f};
    ENSURE(net_exchange_reply(x, 200, two, 2, STR("12345")) == ERR_INVALID);
    ENSURE(net_exchange_reply(x, 200, &f, 1, STR("12345")) == ERR_OK);
    net_exchange_end(x);
}
static void do_wrong(struct net_exchange *x) {
    struct net_field bad = {STR("X"), STR("a\r\nb: c")};
    struct net_sink *out = net_exchange_sink(x);
    ENSURE(net_sink_write(out, STR("x")) == ERR_USAGE && net_sink_finish(out, NULL, 0) == ERR_USAGE);
    ENSURE(net_exchange_respond(x, 100, NULL, 0) == ERR_INVALID && net_exchange_respond(x, 1000, NULL, 0) == ERR_INVALID);
    ENSURE(net_exchange_respond(x, 200, &bad, 1) == ERR_INVALID && net_exchange_retract(x));
    ENSURE(net_exchange_respond(x, 200, NULL, 0) == ERR_OK && net_exchange_respond(x, 200, NULL, 0) == ERR_USAGE);
    ENSURE(net_sink_write(out, STR("never seen")) == ERR_OK && net_exchange_retract(x) && !net_exchange_responded(x));
    reply(x, 502, "sorry\n");
    ENSURE(!net_exchange_retract(x));
    net_exchange_end(x);
}
static void do_empty(struct net_exchange *x) {
    struct net_field f = {STR("Content-Length"), STR("3")};
    ENSURE(net_exchange_respond(x, 204, &f, 1) == ERR_OK && net_sink_finish(net_exchange_sink(x), NULL, 0) == ERR_OK);
    net_exchange_end(x);
}
static void do_reset(struct net_exchange *x) {
    ENSURE(net_exchange_respond(x, 205, NULL, 0) == ERR_OK && net_sink_write(net_exchange_sink(x), STR("abc")) == ERR_OK);
    ENSURE(net_sink_finish(net_exchange_sink(x), NULL, 0) == ERR_OK);
    net_exchange_end(x);
}
static void do_hop(struct net_exchange *x) {
    struct net_field f[] = {{STR("Connection"), STR("x")}, {STR("X-One"), STR("1")}, {STR("Upgrade"), STR("y")}};
    ENSURE(net_exchange_reply(x, 200, f, 3, STR("ok")) == ERR_OK);
    net_exchange_end(x);
}

static void do_limited(struct net_exchange *x) {
    err e = net_exchange_limits(x, 0, 10);
    if (e == ERR_OK) {
        do_echo(x);
        return;
    }
    str data;
    ENSURE(e == ERR_LIMIT && net_exchange_body_status(x) == 413);
    ENSURE(net_source_peek(net_exchange_source(x), &data) == NET_FLOW_FAILED);
    ENSURE(net_source_error(net_exchange_source(x)) == NET_HTTP_REQUEST_BODY_SIZE);
    net_exchange_end(x);
}
static void do_brief(struct net_exchange *x) {
    ENSURE(net_exchange_limits(x, 50, 0) == ERR_OK);
    hold(x);
}
static void do_own(struct net_exchange *x) {
    net_exchange_own_field(x, STR("x-id"), STR("ours"));
    const struct net_request *rq = net_exchange_request(x);
    struct buf b = {0};
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, STR("x-id"))) buf_puts(&b, rq->fields[i].value);
    ENSURE(net_exchange_reply(x, 200, NULL, 0, buf_str(&b)) == ERR_OK);
    buf_free(&b);
    net_exchange_end(x);
}
static void amend(void *arg, struct net_answer *head) {
    static struct net_field f = {STR("X-Two"), STR("2")};
    ENSURE(arg == &live && head->fields_count == 1 && str_eqc(head->fields[0].name, "X-One"));
    if (head->status == 404) head->status = 204;
    head->fields = &f;
}
static void do_amended(struct net_exchange *x) {
    struct net_field f = {STR("X-One"), STR("1")};
    net_exchange_amend(x, amend, &live);
    ENSURE(net_exchange_respond(x, 500, &f, 1) == ERR_OK && net_exchange_stats(x).status == 500 && net_exchange_retract(x));
    ENSURE(net_exchange_reply(x, 404, &f, 1, STR("dropped")) == ERR_OK && net_exchange_stats(x).status == 204);
    net_exchange_end(x);
}
static void do_seen(struct net_exchange *x) {
    static struct net_field f = {STR("X-Id"), STR("theirs")};
    net_exchange_set_path(x, STR("/other"));
    net_exchange_set_fields(x, &f, 1);
    ENSURE(str_eqc(net_exchange_request(x)->path, "/other"));
    do_own(x);
}
static void no_upgrade(void *arg, struct net_stream *s) { ENSURE(false); }
static void do_up(struct net_exchange *x) {
    struct net_upgrade to = {STR("echo"), no_upgrade, NULL};
    ENSURE(net_exchange_upgrade(x, &to, NULL, 0) == ERR_UNSUPPORTED);
    reply(x, 426, "no\n");
    net_exchange_end(x);
}

/* ---- a filter: it makes what it is given, but holds the last of it back ---- */

static struct keeper {
    struct net_filter filter;
    uint8_t kept[100];
    size_t n, taken;
    bool on, free_;
} * keepers;
static bool filtered;
static uint32_t keepers_on;

static enum net_filter_says keeper_begin(struct net_filter *f, struct net_answer *head, uint64_t bytes, bool at_once,
                                         bool no_body) {
    struct keeper *k = container_of(f, struct keeper, filter);
    bool sized = false;
    ENSURE(!k->on);
    for (uint32_t i = 0; i < head->fields_count; i++) sized |= str_eq_nocase(head->fields[i].name, STR("content-length"));
    if (no_body || sized || (bytes < NET_FILTER_LONG && bytes < 3)) return NET_FILTER_NOT;
    if (bytes == NET_FILTER_UNKNOWN) return NET_FILTER_PERHAPS;
    k->on = true, k->n = k->taken = 0;
    keepers_on++;
    return NET_FILTER_IS;
}
static size_t keeper_room(struct net_filter *f) {
    struct keeper *k = container_of(f, struct keeper, filter);
    return k->taken < 20'000 ? 20'000 - k->taken : 0;
}
static bool keeper_run(struct net_filter *f, enum net_filter_op op, str *in, uint8_t *to, size_t room, size_t *made) {
    struct keeper *k = container_of(f, struct keeper, filter);
    ENSURE(k->on);
    *made = 0;
    room = MIN(room, (size_t)70);
    while (in->n || (op != NET_FILTER_MORE && k->n)) {
        if (op != NET_FILTER_MORE || k->n == sizeof k->kept) {
            size_t n = MIN(k->n, room - *made);
            if (n) memcpy(to + *made, k->kept, n), memmove(k->kept, k->kept + n, k->n - n);
            *made += n, k->n -= n;
        }
        size_t n = MIN(in->n, sizeof k->kept - k->n);
        if (n) memcpy(k->kept + k->n, in->p, n);
        k->n += n, k->taken += n;
        *in = str_sub(*in, n, in->n);
        if (*made == room) break;
    }
    return !in->n && (op == NET_FILTER_MORE || !k->n);
}
static void keeper_turn(struct net_filter *f) { container_of(f, struct keeper, filter)->taken = 0; }
static void keeper_stop(struct net_filter *f) {
    struct keeper *k = container_of(f, struct keeper, filter);
    ENSURE(k->on);
    k->on = false;
    keepers_on--;
}
static struct net_filter *keeper(void) { /* they live on: their exchanges end when they like */
    struct keeper *k = keepers;
    while (k->on || !k->free_) k++;
    *k = (struct keeper){.filter = {keeper_begin, keeper_room, keeper_run, keeper_turn, keeper_stop, .hold = 3}};
    return &k->filter;
}

/* ---- a tap: another answer in the place of what is given ---- */

static enum net_tap_says tap_head(struct net_tap *t, struct net_answer *head, str *body) {
    if (head->status < 500) return NET_TAP_WATCH;
    static struct net_field f = {STR("X-One"), STR("instead")};
    *head = (struct net_answer){200, &f, 1};
    *body = STR("it is stale, and better than nothing\n");
    return NET_TAP_REPLACE;
}
static struct buf tapped;
static int tapped_whole;
static void tap_data(struct net_tap *t, str data) { buf_puts(&tapped, data); }
static void tap_end(struct net_tap *t, bool whole) { tapped_whole += whole ? 1 : 100; }
static struct net_tap tap = {tap_head, tap_data, tap_end};

static void do_replaced(struct net_exchange *x) {
    struct net_sink *out = net_exchange_sink(x);
    net_exchange_tap(x, &tap);
    ENSURE(net_exchange_respond(x, 503, NULL, 0) == ERR_OK);
    ENSURE(net_sink_write(out, STR("sorry, ")) == ERR_OK && net_sink_write(out, STR("sorry")) == ERR_OK);
    ENSURE(net_sink_finish(out, NULL, 0) == ERR_OK);
    net_exchange_end(x);
}
static void do_replaced_at_once(struct net_exchange *x) {
    net_exchange_tap(x, &tap);
    reply(x, 500, "sorry\n");
    ENSURE(net_exchange_replaced(x) && !net_exchange_retract(x));
    net_exchange_end(x);
}
static void do_tapped(struct net_exchange *x) {
    tapped.n = 0, tapped_whole = 0;
    net_exchange_tap(x, &tap);
    do_big(x);
}

static const struct {
    const char *path;
    void (*fn)(struct net_exchange *x);
} routes[] = {
    {"/replaced", do_replaced}, {"/replaced-at-once", do_replaced_at_once},
    {"/tapped", do_tapped},     {"/hello", do_hello},
    {"/echo", do_echo},         {"/hold", do_hold},
    {"/big", do_big},           {"/large", do_large},
    {"/parts", do_parts},       {"/none", do_none},
    {"/dies", do_dies},         {"/dies-later", do_dies_later},
    {"/aborts", do_aborts},     {"/aborts-at-once", do_aborts_at_once},
    {"/short", do_short},       {"/sized", do_sized},
    {"/wrong", do_wrong},       {"/empty", do_empty},
    {"/reset", do_reset},       {"/hop", do_hop},
    {"/limited", do_limited},   {"/brief", do_brief},
    {"/own", do_own},           {"/amended", do_amended},
    {"/seen", do_seen},         {"/up", do_up},
};

static void on_request(struct net_exchange *x, void *arg) {
    if (filtered) net_exchange_filter(x, keeper());
    for (size_t i = 0; i < ARRAY_COUNT(routes); i++)
        if (str_eqc(net_exchange_request(x)->path, routes[i].path)) {
            routes[i].fn(x);
            return;
        }
    fail_msg("no such path");
}

/* ---- the table ---- */

#define TEN "0123456789"
static const struct ask {
    const char *method, *path, *field; /* NULL: none besides framing */
    const char *body;                  /* NULL: none */
    bool unsized;                      /* of unknown length, with a trailer */
    uint16_t status;
    const char *answer; /* the body; NULL: any */
    size_t answer_n;    /* of a long one */
    bool broken;        /* the head came, the body is not whole */
    const char *has;    /* a response's field or trailer */
    const char *has_not;
} asks[] = {
    {"GET", "/hello", .status = 200, .answer = "hello\n", .has = "x-one: 2"},
    {"HEAD", "/hello", .status = 200, .answer = "", .has = "X-One: 1"},
    {"POST", "/hello", .body = TEN, .status = 200, .answer = "hello\n"}, /* nobody reads it */
    {"POST", "/echo", .body = TEN, .status = 200, .answer = TEN},
    {"POST", "/echo", .body = "", .status = 200, .answer = ""},
    {"POST", "/echo", .body = TEN TEN, .unsized = true, .status = 200, .answer = TEN TEN, .has = "X-Trailer: t"},
    {"GET", "/echo", .status = 200, .answer = ""},
    {"GET", "/big", .status = 200, .answer_n = 300'000},
    {"GET", "/large", .status = 200, .answer_n = 200'000},
    {"GET", "/parts", .status = 200, .answer = "abcd", .has = "X-Late: 2"},
    {"HEAD", "/parts", .status = 200, .answer = ""},
    {"GET", "/none", .status = 500},
    {"GET", "/dies", .status = 500},
    {"GET", "/dies-later", .status = 200, .answer = "half", .broken = true},
    {"GET", "/aborts", .status = 200, .answer = "half", .broken = true},
    {"GET", "/aborts-at-once", .status = 500},
    {"GET", "/short", .status = 500},
    {"GET", "/sized", .status = 200, .answer = "12345", .has = "Content-Length: 5"},
    {"HEAD", "/sized", .status = 200, .answer = "", .has = "Content-Length: 5"},
    {"GET", "/wrong", .status = 502, .answer = "sorry\n"},
    {"GET", "/empty", .status = 204, .answer = "", .has_not = "Content-Length"},
    {"GET", "/reset", .status = 205, .answer = ""},
    {"GET", "/hop", .status = 200, .answer = "ok", .has = "X-One: 1", .has_not = "Upgrade"},
    {"POST", "/limited", .body = TEN, .status = 200, .answer = TEN},
    {"POST", "/limited", .body = TEN "a", .status = 413},
    {"GET", "/brief", .status = 504, .answer = "too slow\n"},
    {"GET", "/own", .field = "x-id: theirs", .status = 200, .answer = "ours"},
    {"GET", "/amended", .status = 204, .answer = "", .has = "X-Two: 2", .has_not = "X-One"},
    {"GET", "/seen", .status = 200, .answer = "ours"},
    {"GET", "/up", .status = 426, .answer = "no\n"},
    {"GET", "/replaced", .status = 200, .answer = "it is stale, and better than nothing\n", .has = "X-One: instead"},
    {"HEAD", "/replaced", .status = 200, .answer = "", .has = "X-One: instead"},
    {"GET", "/replaced-at-once", .status = 200, .answer = "it is stale, and better than nothing\n"},
    {"GET", "/tapped", .status = 200, .answer_n = 300'000},
};

struct result {
    uint16_t status;
    struct buf fields, body; /* "name: value\n" of head and trailers */
    bool whole;
};

static void put_fields(struct buf *b, const struct net_field *f, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) buf_printf(b, STR_FMT ": " STR_FMT "\n", STR_ARG(f[i].name), STR_ARG(f[i].value));
}

static void check(const struct ask *a, struct result *r, const char *kind, size_t piece) {
    buf_putc(&r->fields, 0);
    buf_putc(&r->body, 0);
    size_t n = r->body.n - 1;
    const char *fields = (char *)r->fields.p, *body = (char *)r->body.p;
    if (r->status != a->status || r->whole == a->broken || (a->answer && strcmp(body, a->answer) != 0) ||
        (a->answer_n && n != a->answer_n) || (a->has && !strstr(fields, a->has)) || (a->has_not && strstr(fields, a->has_not)))
        fail_msg("%s, pieces of %zu: %s %s: got %u, %zu bytes \"%.40s\", %s, fields:\n%s", kind, piece, a->method, a->path,
                 r->status, n, body, r->whole ? "whole" : "not whole", fields);
    assert_int_equal(live, 0);
    assert_int_equal(keepers_on, 0);
    if (!strcmp(a->path, "/tapped")) assert_true(tapped_whole == 1 && tapped.n == 300'000 && tapped.p[299'999] == 'b');
    buf_free(&r->fields);
    buf_free(&r->body);
    *r = (struct result){0};
}

static void stop_loop(void *arg) { net_loop_stop(arg); }
static void run_for(uint32_t ms) {
    struct net_timer *t = net_timer_new(loop, stop_loop, loop);
    net_timer_start(t, ms, 0);
    net_loop_run(loop);
    net_timer_free(t);
}

/* ---- HTTP/1.1 over a stream ---- */

static void write_request(const struct ask *a, struct buf *b) {
    buf_printf(b, "%s %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n", a->method, a->path);
    if (a->field) buf_printf(b, "%s\r\n", a->field);
    if (a->unsized)
        buf_printf(b, "Transfer-Encoding: chunked\r\n\r\n%zx\r\n%s\r\n0\r\nX-Trailer: t\r\n\r\n", strlen(a->body), a->body);
    else if (a->body) buf_printf(b, "Content-Length: %zu\r\n\r\n%s", strlen(a->body), a->body);
    else buf_puts(b, STR("\r\n"));
}

static void read_response(const struct ask *a, const struct buf *b, struct result *r) {
    struct net_field fields[32];
    struct http1_answer head = {0};
    size_t at = 0;
    do {
        size_t seen = 0;
        const char *why;
        if (http1_answer_end(b->p + at, b->n - at, &seen, &why) != HTTP1_DONE) return;
        head = (struct http1_answer){.fields = fields};
        assert_int_equal(http1_answer_parse(&head, (str){b->p + at, seen}, str_c(a->method), 32), HTTP1_DONE);
        at += seen;
    } while (head.status < 200);
    r->status = head.status;
    put_fields(&r->fields, head.fields, head.fields_count);
    struct http1_body body;
    http1_body_init(&body, head.length, UINT64_MAX);
    for (str data = {0}; at < b->n || http1_body_done(&body);) {
        size_t skip;
        enum http1_result e = http1_body_next(&body, b->p + at, b->n - at, &skip, &data);
        at += skip;
        r->whole = e == HTTP1_DONE;
        if (!data.n) break;
        buf_puts(&r->body, data);
        http1_body_took(&body, data.n);
        at += data.n;
    }
    put_fields(&r->fields, body.trailers, body.trailers_count);
    http1_body_free(&body);
}

static void over_a_stream(void **state) {
    static const size_t pieces[] = {1, 7, 1 << 20};
    loop = net_loop_new();
    struct net_server *server;
    struct diag d = DIAG_INIT;
    uint16_t port;
    struct net_server_config config = {.loop = loop, .fd = test_listen(&port), .on_request = on_request};
    if (net_server_new(&config, &server, &d) != ERR_OK) fail_msg("%s", d.text);
    for (size_t i = 0; i < ARRAY_COUNT(asks); i++)
        for (size_t k = 0; k < ARRAY_COUNT(pieces); k++) {
            struct buf in = {0};
            struct peer p;
            struct result r = {0};
            if (asks[i].answer_n && pieces[k] == 1) continue; /* a turn for each byte of them takes minutes */
            write_request(&asks[i], &in);
            peer_join(&p, server, loop, buf_str(&in), pieces[k]);
            for (int turn = 0; turn < 500 && !p.closed; turn++) run_for(5);
            assert_true(p.closed);
            read_response(&asks[i], &p.out, &r);
            check(&asks[i], &r, "HTTP/1.1", pieces[k]);
            buf_free(&p.out);
            buf_free(&in);
        }
    net_server_free(server);
    net_loop_free(loop);
}

/* ---- local ---- */

struct asking {
    const struct ask *a;
    struct net_fetch *f;
    struct result r;
    size_t piece, sent;
    bool finished, over;
    uint32_t changes;
};

static void send_body(void *arg) {
    struct asking *k = arg;
    struct net_sink *up = net_fetch_sink(k->f);
    size_t all = k->a->body ? strlen(k->a->body) : 0;
    while (k->sent < all) {
        size_t n = MIN(MIN(all - k->sent, k->piece), net_sink_room(up));
        if (!n) return;
        if (net_sink_write(up, (str){(const uint8_t *)k->a->body + k->sent, n}) != ERR_OK) return;
        k->sent += n;
    }
    struct net_field t = {STR("X-Trailer"), STR("t")};
    if (k->a->body && !k->finished) k->finished = net_sink_finish(up, &t, k->a->unsized) == ERR_OK;
}

static void read_body(void *arg) {
    struct asking *k = arg;
    struct net_source *down = net_fetch_source(k->f);
    enum net_flow f;
    for (str data; (f = net_source_peek(down, &data)) == NET_FLOW_DATA;) {
        data.n = MIN(data.n, k->piece);
        buf_puts(&k->r.body, data);
        net_source_consume(down, data.n);
    }
    if (f == NET_FLOW_WAIT) return;
    k->over = true;
    k->r.whole = f == NET_FLOW_END;
    assert_int_equal(net_fetch_error(k->f), k->r.whole ? NET_OK : NET_HTTP_RESPONSE_INCOMPLETE);
    uint32_t n;
    const struct net_field *t = net_source_trailers(down, &n);
    put_fields(&k->r.fields, t, n);
}

static void on_change(void *arg) {
    struct asking *k = arg;
    const struct net_response *head = net_fetch_response(k->f);
    k->changes++;
    assert_non_null(head);
    k->r.status = head->status;
    put_fields(&k->r.fields, head->fields, head->fields_count);
    read_body(k);
}

static const struct net_local here = {.on_request = on_request, .peer = STR_INIT("192.0.2.1")};

static void begin(struct asking *k, const struct ask *a, size_t piece) {
    *k = (struct asking){.a = a, .piece = piece};
    char length[24];
    struct net_field f[2];
    uint32_t n = 0;
    snprintf(length, sizeof length, "%zu", a->body ? strlen(a->body) : 0);
    if (a->field) f[n++] = (struct net_field){STR("x-id"), STR("theirs")};
    if (a->body && !a->unsized) f[n++] = (struct net_field){STR("Content-Length"), str_c(length)};
    struct net_fetch_request rq = {.method = str_c(a->method),
                                   .scheme = STR("http"),
                                   .authority = STR("a"),
                                   .path = str_c(a->path),
                                   .fields = f,
                                   .fields_count = n,
                                   .has_body = a->body};
    assert_int_equal(net_fetch_local(loop, &rq, &here, on_change, k, &k->f), NET_OK);
    net_source_notify(net_fetch_source(k->f), read_body, k);
    net_sink_notify(net_fetch_sink(k->f), send_body, k);
    send_body(k);
}

static void locally(void **state) {
    static const size_t pieces[] = {1, 7, 1 << 20};
    loop = net_loop_new();
    for (size_t i = 0; i < ARRAY_COUNT(asks); i++)
        for (size_t j = 0; j < ARRAY_COUNT(pieces); j++) {
            struct asking k;
            begin(&k, &asks[i], pieces[j]);
            for (int turn = 0; turn < 500 && !k.over; turn++) run_for(5);
            assert_true(k.over);
            assert_int_equal(k.changes, 1);
            net_fetch_free(k.f);
            run_for(1);
            check(&asks[i], &k.r, "local", pieces[j]);
        }
    net_loop_free(loop);
}

/* Who asks goes away, at every moment; who answers hears of it, once, or has ended. */
static void who_asks_goes(void **state) {
    loop = net_loop_new();
    for (size_t i = 0; i < ARRAY_COUNT(asks); i++)
        for (int turns = 0; turns < 4; turns++) {
            struct asking k;
            begin(&k, &asks[i], 3);
            for (int n = 0; n < turns; n++) run_for(0);
            net_fetch_free(k.f);
            for (int n = 0; n < 50 && (live || !n); n++) run_for(3);
            assert_int_equal(live, 0);
            buf_free(&k.r.fields);
            buf_free(&k.r.body);
        }
    gone = 0;
    struct asking k;
    static const struct ask held = {.method = "GET", .path = "/hold"};
    begin(&k, &held, 1);
    run_for(5);
    assert_int_equal(live, 1);
    net_fetch_free(k.f);
    run_for(5);
    assert_int_equal(live, 0);
    assert_int_equal(gone, 1);
    net_loop_free(loop);
}

/* What cannot be sent, what is too large, what breaks off, what takes too long, what are too many. */
static void bad_asks(void **state) {
    loop = net_loop_new();
    struct net_fetch *f, *g;
    struct net_fetch_request rq = {.method = STR("GE T"), .scheme = STR("http"), .authority = STR("a"), .path = STR("/hello")};
    assert_int_equal(net_fetch_local(loop, &rq, &here, NULL, NULL, &f), NET_HTTP_REQUEST_METHOD_INVALID);
    rq.method = STR("POST");
    rq.path = STR("/a b");
    assert_int_equal(net_fetch_local(loop, &rq, &here, NULL, NULL, &f), NET_HTTP_REQUEST_URI_INVALID);
    rq.path = STR("/echo");
    struct net_field length = {STR("content-length"), STR("5")};
    rq.fields = &length;
    rq.fields_count = 1;
    assert_int_equal(net_fetch_local(loop, &rq, &here, NULL, NULL, &f), NET_HTTP_REQUEST_BODY_SIZE);
    assert_null(f);
    rq.has_body = true;
    assert_int_equal(net_fetch_local(loop, &rq, &here, NULL, NULL, &f), NET_OK);
    assert_int_equal(net_sink_write(net_fetch_sink(f), STR("123456")), ERR_INVALID);
    assert_int_equal(net_sink_write(net_fetch_sink(f), STR("123")), ERR_OK);
    assert_int_equal(net_sink_finish(net_fetch_sink(f), NULL, 0), ERR_INVALID); /* broken off: who answers hears that */
    run_for(5);
    assert_int_equal(live, 0);
    net_fetch_free(f);
    rq.fields_count = 0; /* it grows above its limit */
    struct net_local small = here;
    small.body_bytes_max = 4;
    assert_int_equal(net_fetch_local(loop, &rq, &small, NULL, NULL, &f), NET_OK);
    run_for(5);
    assert_int_equal(net_sink_write(net_fetch_sink(f), STR("1234")), ERR_OK);
    assert_int_equal(net_sink_write(net_fetch_sink(f), STR("5")), ERR_CLOSED);
    assert_int_equal(net_sink_error(net_fetch_sink(f)), NET_HTTP_REQUEST_BODY_SIZE);
    run_for(5);
    assert_int_equal(live, 0);
    assert_int_equal(net_fetch_response(f)->status, 413);
    net_fetch_free(f);
    /* nobody answers in time: who asks is told, and who answers that nobody waits any more */
    struct net_quota quota = {.max = 1};
    rq = (struct net_fetch_request){.method = STR("GET"),
                                    .scheme = STR("http"),
                                    .authority = STR("a"),
                                    .path = STR("/hold"),
                                    .first_byte_ms_max = 30,
                                    .quota = &quota};
    gone = 0;
    assert_int_equal(net_fetch_local(loop, &rq, &here, NULL, NULL, &f), NET_OK);
    assert_int_equal(net_fetch_local(loop, &rq, &here, NULL, NULL, &g), NET_OK);
    run_for(5);
    assert_int_equal(net_fetch_error(g), NET_CONNECTION_LIMIT_REACHED);
    assert_int_equal(live, 1);
    net_fetch_free(g);
    for (int turn = 0; turn < 500 && live; turn++) run_for(5);
    assert_int_equal(net_fetch_error(f), NET_HTTP_RESPONSE_TIMEOUT);
    assert_null(net_fetch_response(f));
    assert_int_equal(gone, 1);
    assert_int_equal(quota.used, 0);
    net_fetch_free(f);
    run_for(5);
    net_loop_free(loop);
}

/* All of it again through a filter: nobody can tell. */
static void filtered_too(void **state) {
    enum { MANY = 10'000 };
    keepers = calloc(MANY, sizeof *keepers);
    for (int i = 0; i < MANY; i++) keepers[i].free_ = true;
    filtered = true;
    over_a_stream(state);
    locally(state);
    who_asks_goes(state);
    filtered = false;
    assert_int_equal(keepers_on, 0);
    free(keepers);
    buf_free(&tapped);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_a_stream), cmocka_unit_test(locally),      cmocka_unit_test(who_asks_goes),
        cmocka_unit_test(bad_asks),      cmocka_unit_test(filtered_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
