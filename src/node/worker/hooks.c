/* hooks: see hooks.h. */
#include "node/worker/hooks.h"
#include "app/hops.h"
#include "net/client.h"
#include "net/local.h"
#include "net/loop.h"
#include "node/worker/handler_int.h"
#include <stdlib.h>

enum { FIELDS_MAX = 12 };

struct node_hooking {
    struct node_app *app;
    uint32_t function;
    node_hook_told told;
    void *arg;
    struct net_fetch *fetch;
    struct net_timer *timer;
    struct buf body, answer;
    size_t sent, bytes_max;
    bool ended, late;
};

void node_hook_cancel(struct node_hooking *h) {
    if (h->fetch) net_fetch_free(h->fetch);
    net_timer_free(h->timer);
    explicit_bzero(h->body.p ? h->body.p : (uint8_t[1]){0}, h->body.n); /* codes may be in it */
    buf_free(&h->body);
    buf_free(&h->answer);
    h->app->requests--;
    free(h);
}

static str field(const struct net_response *r, const char *name) {
    for (uint32_t i = 0; r && i < r->fields_count; i++)
        if (str_eq_nocase(r->fields[i].name, str_c(name))) return str_trim(r->fields[i].value);
    return (str){0};
}

static void tell(struct node_hooking *h) {
    const struct net_response *r = h->late || !h->fetch ? NULL : net_fetch_response(h->fetch);
    bool whole = r && h->ended;
    const struct node_hook_said said = {.status = whole ? r->status : 0,
                                        .late = h->late,
                                        .type = field(r, "content-type"),
                                        .retry = field(r, "retry-after"),
                                        .body = buf_str(&h->answer)};
    h->told(h->arg, &said);
    node_hook_cancel(h);
}

/* The time is over; or it could not be asked at all. */
static void on_timer(void *arg) {
    struct node_hooking *h = arg;
    h->late = h->fetch;
    tell(h);
}

static void read_answer(void *arg) {
    struct node_hooking *h = arg;
    struct net_source *source = net_fetch_source(h->fetch);
    str data;
    enum net_flow flow = NET_FLOW_WAIT;
    while (h->answer.n <= h->bytes_max && (flow = net_source_peek(source, &data)) == NET_FLOW_DATA) {
        buf_puts(&h->answer, data);
        net_source_consume(source, data.n);
    }
    bool large = h->answer.n > h->bytes_max;
    if (!large && flow == NET_FLOW_WAIT) return;
    net_source_notify(source, NULL, NULL);
    h->ended = large || flow == NET_FLOW_END;
    tell(h);
}

static void on_answer(void *arg) {
    struct node_hooking *h = arg;
    if (!net_fetch_response(h->fetch)) {
        tell(h);
        return;
    }
    net_source_notify(net_fetch_source(h->fetch), read_answer, h);
    read_answer(h);
}

static void send_body(void *arg) {
    struct node_hooking *h = arg;
    struct net_sink *sink = net_fetch_sink(h->fetch);
    while (h->sent < h->body.n) {
        size_t n = MIN(net_sink_room(sink), h->body.n - h->sent);
        if (!n || net_sink_write(sink, str_sub(buf_str(&h->body), h->sent, n)) != ERR_OK) return;
        h->sent += n;
    }
    net_sink_notify(sink, NULL, NULL);
    err e = net_sink_finish(sink, NULL, 0);
    (void)e; /* nobody reads it: the answer says what came of it */
}

static void on_request(struct net_exchange *x, void *arg) {
    struct node_hooking *h = arg;
    node_handler_internal(h->app->guest->handler, x, &h->app->parts[h->function], NULL, true);
}

static void send(struct node_hooking *h, const struct node_hook_ask *ask) {
    arena *scratch = arena_new(0);
    struct net_field fields[FIELDS_MAX] = {{STR("content-type"), STR("application/json")},
                                           {STR("content-length"), arena_fmt(scratch, "%zu", h->body.n)},
                                           {STR("user-agent"), STR("orlo")},
                                           {STR("cdn-loop"), app_hops_next(scratch, ask->loop, h->app->record.id)}};
    uint32_t n = 4;
    for (uint32_t i = 0; i < ask->fields_count && n < FIELDS_MAX; i++) fields[n++] = ask->fields[i];
    const struct net_fetch_request rq = {.method = STR("POST"),
                                         .scheme = STR("http"),
                                         .authority = arena_fmt(scratch, STR_FMT ".internal", STR_ARG(ask->function)),
                                         .path = STR("/hook"),
                                         .fields = fields,
                                         .fields_count = n,
                                         .has_body = true,
                                         .first_byte_ms_max = NET_NO_LIMIT};
    const struct net_local to = {.on_request = on_request, .arg = h, .peer = STR("127.0.0.1"), .handler_ms_max = ask->ms + 1000};
    enum net_error e = net_fetch_local(h->app->guest->loop, &rq, &to, on_answer, h, &h->fetch);
    arena_free(scratch);
    net_timer_start(h->timer, e == NET_OK ? ask->ms : 0, 0);
    if (e != NET_OK) return;
    net_sink_notify(net_fetch_sink(h->fetch), send_body, h);
    send_body(h);
}

struct node_hooking *node_hook_ask(struct node_app *app, const struct node_hook_ask *ask, node_hook_told told, void *arg) {
    uint32_t i = app_record_function(&app->record, ask->function);
    if (i == UINT32_MAX || !app->guest->handler) return NULL;
    struct node_hooking *h = calloc(1, sizeof *h);
    ENSURE(h);
    *h = (struct node_hooking){.app = app, .function = i, .told = told, .arg = arg, .bytes_max = ask->bytes_max};
    buf_puts(&h->body, ask->body);
    h->timer = net_timer_new(app->guest->loop, on_timer, h);
    app->requests++;
    send(h, ask);
    return h;
}
