/* calls: see calls.h. */
#include "node/worker/calls.h"
#include "app/hops.h"
#include "engine/engine.h"
#include "net/client.h"
#include "net/loop.h"
#include "net/party.h"
#include "node/worker/apps.h"
#include <stdlib.h>

enum { FIELDS_MAX = 32, IDLE_MAX = 8, HEAD_MAX = 32 << 10, URL_MAX = 8 << 10, KEPT_MAX = 16, KEPT_BYTES_MAX = 64 << 10 };

struct node_calls {
    struct node_app *app;
    struct {
        uint8_t *bytes; /* the URL, then the body; NULL: none */
        size_t url_n, n;
        uint64_t at_ns;
    } kept[KEPT_MAX];
    struct net_client *client;
    struct net_quota quota;
    struct node_call *first;
};
struct node_call {
    struct node_calls *of;
    struct node_call *next, **at;
    arena *mem;
    struct node_call_url url;
    bool private;
    uint32_t bytes_max;
    str send;
    size_t sent;
    struct net_fetch *fetch;
    struct net_timer *timer; /* its deadline; once it has ended, what tells so */
    struct buf body;
    bool ended;
    struct node_called said;
    node_called_fn told;
    void *arg;
};

/* ---- where to ---- */

static bool plain(str s, const char *but) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr(but, s.p[i])) return false;
    return true;
}

bool node_call_url_read(str url, struct node_call_url *to) {
    str port;
    uint16_t number;
    bool https = str_starts(url, STR("https://"));
    if ((!https && !str_starts(url, STR("http://"))) || url.n > URL_MAX) return false;
    size_t begin = https ? 8 : 7, end = begin;
    while (end < url.n && url.p[end] != '/' && url.p[end] != '?') end++;
    *to = (struct node_call_url){.scheme = https ? STR("https") : STR("http"),
                                 .authority = str_sub(url, begin, end - begin),
                                 .path = str_sub(url, end, url.n)};
    if (!to->path.n) to->path = STR("/");
    if (to->path.p[0] != '/' || !plain(to->path, "\"<>\\^`{|}#") || !plain(to->authority, "@#\"<>\\^`{|}")) return false;
    return app_cut_host_port(to->authority, &to->host, &port) && to->host.n && (!port.n || app_parse_port(port, false, &number));
}

bool node_call_may_reach(const struct net_addr *a, bool https, bool private) {
    enum net_addr_class c = net_addr_class(a);
    if (c == NET_ADDR_PUBLIC) return https;
    return private && (c == NET_ADDR_PRIVATE || c == NET_ADDR_LOOPBACK);
}

static bool may_reach(void *arg, str authority, const struct net_addr *a) {
    const struct node_call *c = arg;
    (void)authority; /* a name is believed nothing */
    return node_call_may_reach(a, str_eqc(c->url.scheme, "https"), c->private);
}

/* Neither an address nor a name that is one: who connects might read it as something else. */
static bool is_host(arena *scratch, str host) {
    struct net_addr a;
    str ascii;
    return net_addr_parse(host, &a) || net_name_ascii(scratch, host, &ascii);
}

/* ---- its end ---- */

static void drop(struct node_call *c) {
    if (c->fetch) net_fetch_free(c->fetch);
    *c->at = c->next;
    if (c->next) c->next->at = c->at;
    net_timer_free(c->timer);
    if (c->body.p) explicit_bzero(c->body.p, c->body.n);
    buf_free(&c->body);
    arena_free(c->mem);
    free(c);
}

void node_call_cancel(struct node_call *c) { drop(c); }

static void end(struct node_call *c, err e, const char *why) {
    if (c->ended) return;
    c->ended = true;
    c->said.err = e;
    c->said.why = why;
    if (c->fetch)
        net_source_notify(net_fetch_source(c->fetch), NULL, NULL), net_sink_notify(net_fetch_sink(c->fetch), NULL, NULL);
    net_timer_start(c->timer, 0, 0);
}

static void on_timer(void *arg) {
    struct node_call *c = arg;
    if (!c->ended) c->said.err = ERR_BUSY, c->said.why = "it took too long";
    c->told(c->arg, &c->said);
    drop(c);
}

static void fail(struct node_call *c, enum net_error e) {
    str text = net_fetch_error_text(c->fetch);
    const char *why = text.n ? arena_cstr(c->mem, text) : net_error_text(e);
    switch (e) {
    case NET_DESTINATION_IP_PROHIBITED:
        end(c, ERR_DENIED,
            "its address is not public, or it is asked without TLS: auth_private = 1 in the operator's file allows that");
        return;
    case NET_HTTP_REQUEST_URI_INVALID: end(c, ERR_DENIED, why); return;
    case NET_DNS_TIMEOUT:
    case NET_DNS_ERROR:
    case NET_DESTINATION_UNAVAILABLE:
    case NET_DESTINATION_IP_UNROUTABLE:
    case NET_CONNECTION_REFUSED:
    case NET_CONNECTION_TERMINATED:
    case NET_CONNECTION_TIMEOUT:
    case NET_CONNECTION_READ_TIMEOUT:
    case NET_CONNECTION_WRITE_TIMEOUT:
    case NET_CONNECTION_LIMIT_REACHED:
    case NET_HTTP_RESPONSE_INCOMPLETE:
    case NET_HTTP_RESPONSE_TIMEOUT: end(c, ERR_BUSY, why); return;
    default: end(c, ERR_CLOSED, why); return;
    }
}

/* ---- what is sent, and what comes ---- */

static void read_answer(void *arg) {
    struct node_call *c = arg;
    struct net_source *source = net_fetch_source(c->fetch);
    enum net_flow flow;
    str data;
    while ((flow = net_source_peek(source, &data)) == NET_FLOW_DATA && c->body.n + data.n <= c->bytes_max) {
        buf_puts(&c->body, data);
        net_source_consume(source, data.n);
    }
    if (flow == NET_FLOW_WAIT) return;
    const struct net_response *r = net_fetch_response(c->fetch);
    c->said.status = r->status;
    c->said.fields = r->fields, c->said.fields_count = r->fields_count;
    c->said.body = buf_str(&c->body);
    if (flow == NET_FLOW_DATA) end(c, ERR_CLOSED, "it answers more than is read");
    else if (flow == NET_FLOW_END) end(c, ERR_OK, "");
    else fail(c, net_source_error(source));
}

static void on_change(void *arg) {
    struct node_call *c = arg;
    if (c->ended) return;
    if (!net_fetch_response(c->fetch)) {
        fail(c, net_fetch_error(c->fetch));
        return;
    }
    net_source_notify(net_fetch_source(c->fetch), read_answer, c);
    read_answer(c);
}

static void send_body(void *arg) {
    struct node_call *c = arg;
    struct net_sink *sink = net_fetch_sink(c->fetch);
    while (c->sent < c->send.n) {
        size_t n = MIN(net_sink_room(sink), c->send.n - c->sent);
        if (!n || net_sink_write(sink, str_sub(c->send, c->sent, n)) != ERR_OK) return;
        c->sent += n;
    }
    net_sink_notify(sink, NULL, NULL);
    err e = net_sink_finish(sink, NULL, 0);
    (void)e; /* the answer says what came of it */
}

static bool begin(struct node_call *c, struct node_app *app, const struct node_call_what *what) {
    struct net_field fields[FIELDS_MAX + 3];
    uint32_t n = 0;
    bool has_body = what->body.n || str_eqc(what->method, "POST") || str_eqc(what->method, "PUT");
    for (uint32_t i = 0; i < what->fields_count && i < FIELDS_MAX; i++) fields[n++] = what->fields[i];
    fields[n++] = (struct net_field){STR("user-agent"), STR("orlo/" ORLO_VERSION)};
    fields[n++] = (struct net_field){STR("cdn-loop"), app_hops_next(c->mem, what->loop, app->record.id)};
    if (has_body) fields[n++] = (struct net_field){STR("content-length"), arena_fmt(c->mem, "%zu", what->body.n)};
    uint32_t ms = MIN(what->deadline_ms, (uint32_t)NODE_CALL_MS_MAX);
    const struct net_fetch_request rq = {.method = what->method,
                                         .scheme = c->url.scheme,
                                         .authority = c->url.authority,
                                         .path = c->url.path,
                                         .fields = fields,
                                         .fields_count = n,
                                         .has_body = has_body,
                                         .connect_ms_max = ms,
                                         .first_byte_ms_max = ms,
                                         .between_bytes_ms_max = ms,
                                         .head_bytes_max = HEAD_MAX,
                                         .quota = &c->of->quota,
                                         .allow_address = may_reach,
                                         .allow_address_arg = c};
    enum net_error e = net_fetch_new(c->of->client, &rq, on_change, c, &c->fetch);
    if (e != NET_OK) {
        end(c, ERR_DENIED, net_error_text(e));
        return false;
    }
    net_timer_start(c->timer, ms, 0);
    if (!has_body) return true;
    net_sink_notify(net_fetch_sink(c->fetch), send_body, c);
    send_body(c);
    return true;
}

/* ---- an app's ---- */

static struct node_calls *calls_of(struct node_app *app) {
    if (app->calls) return app->calls;
    app->calls = calloc(1, sizeof *app->calls);
    ENSURE(app->calls);
    app->calls->app = app;
    return app->calls;
}

static bool open_calls(struct node_app *app) {
    if (calls_of(app)->client) return true;
    app->calls->quota = (struct net_quota){.max = NODE_CALLS_MAX, .of = net_party_quota(app->party)};
    const struct net_client_config config = {
        .loop = app->guest->loop, .party = app->party, .connections_max = NODE_CALLS_MAX, .idle_max = IDLE_MAX};
    struct diag d = DIAG_INIT;
    if (net_client_new(&config, &app->calls->client, &d) == ERR_OK) return true;
    log_event(LOG_ERROR, "no-outgoing-client", LF_CSTR("reason", d.text));
    app->calls->client = NULL;
    return false;
}

static uint32_t at_host(const struct node_calls *calls, str authority) {
    uint32_t n = 0;
    for (const struct node_call *c = calls->first; c; c = c->next) n += str_eq(c->url.authority, authority);
    return n;
}

struct node_call *node_call_ask(struct node_app *app, const struct node_call_what *what, node_called_fn told, void *arg) {
    struct node_call *c = calloc(1, sizeof *c);
    ENSURE(c);
    bool open = open_calls(app);
    *c = (struct node_call){.of = app->calls,
                            .mem = arena_new(0),
                            .private = what->private,
                            .bytes_max = MIN(what->bytes_max, (uint32_t)NODE_CALL_BYTES_MAX),
                            .told = told,
                            .arg = arg};
    c->timer = net_timer_new(app->guest->loop, on_timer, c);
    c->send = arena_str(c->mem, what->body);
    bool url = node_call_url_read(arena_str(c->mem, what->url), &c->url) && is_host(c->mem, c->url.host);
    uint32_t others = at_host(c->of, c->url.authority);
    c->at = &c->of->first;
    c->next = c->of->first;
    if (c->next) c->next->at = &c->next;
    c->of->first = c;
    if (!open) end(c, ERR_CLOSED, "there is no client");
    else if (!url) end(c, ERR_DENIED, "it is no URL of http or https");
    else if (others >= NODE_CALLS_HOST_MAX) end(c, ERR_BUSY, "as many as may be are under way there");
    else begin(c, app, what);
    return c;
}

/* ---- what holds for a while ---- */

static void drop_kept(struct node_calls *c, size_t i) {
    if (!c->kept[i].bytes) return;
    engine_unpay(c->app->share, c->kept[i].n);
    free(c->kept[i].bytes);
    c->kept[i].bytes = NULL;
}

static size_t find_kept(const struct node_calls *c, str url) {
    size_t i = 0;
    while (i < KEPT_MAX && !(c->kept[i].bytes && str_eq((str){c->kept[i].bytes, c->kept[i].url_n}, url))) i++;
    return i;
}

bool node_calls_kept(const struct node_app *app, str url, uint64_t age_ns_max, str *body) {
    const struct node_calls *c = app->calls;
    size_t i = c ? find_kept(c, url) : KEPT_MAX;
    if (i == KEPT_MAX || clock_mono_ns() - c->kept[i].at_ns > age_ns_max) return false;
    *body = (str){c->kept[i].bytes + c->kept[i].url_n, c->kept[i].n - c->kept[i].url_n};
    return true;
}

void node_calls_keep(struct node_app *app, str url, str body) {
    struct node_calls *c = calls_of(app);
    size_t at = find_kept(c, url), n = url.n + body.n;
    for (size_t i = 0; at == KEPT_MAX && i < KEPT_MAX; i++)
        if (!c->kept[i].bytes) at = i;
    if (at == KEPT_MAX) {
        at = 0;
        for (size_t i = 1; i < KEPT_MAX; i++)
            if (c->kept[i].at_ns < c->kept[at].at_ns) at = i;
    }
    drop_kept(c, at);
    if (n > KEPT_BYTES_MAX || !engine_pay(app->share, n)) return;
    c->kept[at].bytes = malloc(n);
    ENSURE(c->kept[at].bytes);
    memcpy(c->kept[at].bytes, url.p, url.n);
    if (body.n) memcpy(c->kept[at].bytes + url.n, body.p, body.n);
    c->kept[at].url_n = url.n, c->kept[at].n = n, c->kept[at].at_ns = clock_mono_ns();
}

void node_calls_free(struct node_calls *c) {
    if (!c) return;
    ENSURE(!c->first);
    for (size_t i = 0; i < KEPT_MAX; i++) drop_kept(c, i);
    if (c->client) net_client_free(c->client);
    free(c);
}
