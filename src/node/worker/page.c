/* page: what is answered in an app's place: refusals and failures (refusal.def), in the form the client asked for.
 *
 *   node_refuse ─┬─> page: status, x-request-id, retry-after; of an app's own limit x-orlo-limit: KEY=VALUE
 *                ├─> the log: an event; of each kind and app one a second, which says how many there were
 *                └─> the meter of that limit
 *
 * A client of gRPC's gets the same by its own words: 200, grpc-status, grpc-message, and when it may ask again.
 *
 * 1. A page has the request's id, and nothing of the guest's insides.
 * 2. Limits of another scope than APP are the operator's: the log names them, and the page of a node that is developed on (dev).
 */
#include "base/json.h"
#include "node/meters.h"
#include "node/worker/grpc.h"
#include "node/worker/handler_int.h"
#include "node/worker/report.h"

static const struct refusal {
    enum app_setting_id setting;
    enum { NOBODYS, FUNCTIONS, APPS, NODES, ENGINES } whose;
    uint16_t status, retry_s;
    enum { NOTHING, LIMIT, NO_INSTANCE } event;
    const char *sentence;
} refusals[NODE_REFUSALS] = {
#define REFUSAL(name, setting, whose, status, retry_s, event, sentence)                                                          \
    {APP_SETTING_##setting, whose, status, retry_s, event, sentence},
#include "node/worker/refusal.def"
};
static const uint64_t second_ns = 1'000'000'000;

/* ---- the page ---- */

static bool wants(const struct net_request *rq, const char *type) {
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        if (!str_eq_nocase(rq->fields[i].name, STR("accept"))) continue;
        str v = rq->fields[i].value, t = str_c(type);
        for (size_t k = 0; k + t.n <= v.n; k++)
            if (str_eq_nocase(str_sub(v, k, t.n), t)) return true;
    }
    return false;
}

/* Supabase's clients say that they accept anything, and read JSON: of services that are not here, too. */
static bool wants_json(const struct node_request *r) {
    static const char *const services[] = {"/auth/v1/", "/storage/v1/", "/realtime/v1/"};
    for (size_t i = 0; i < ARRAY_COUNT(services); i++)
        if (str_starts(r->path, str_c(services[i]))) return true;
    return wants(net_exchange_request(r->exchange), "json");
}

struct page {
    uint16_t status;
    const char *sentence;
    str limit;  /* "body_kb=128"; empty: none, or not to be told */
    str advice; /* for who develops; empty: none */
};

/* As whoever calls functions of a database reads it. */
static void put_rest_error(const struct node_request *r, struct buf *to, const struct page *p) {
    struct json_writer w = json_writer_of(to);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "code", p->status == 504 ? "57014" : p->status == 503 || p->status == 429 ? "53300" : "XX000");
    json_put_cstr(&w, "message", p->sentence);
    if (p->limit.n) json_put_str(&w, "details", p->limit);
    else json_put_null(&w, "details");
    json_put_null(&w, "hint");
    json_put_cstr(&w, "request_id", r->id);
    json_put_end(&w);
}

static const char *put_page(const struct node_request *r, struct buf *to, const struct page *p) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    const char *reason = net_status_text(p->status);
    if (r->rpc) {
        put_rest_error(r, to, p);
        return "application/json; charset=utf-8";
    }
    if (wants(rq, "text/html")) {
        buf_printf(to,
                   "<!doctype html><meta charset=utf-8><title>%u %s</title>"
                   "<body style=\"font:16px/1.5 system-ui;max-width:36em;margin:4em auto;padding:0 1em\">"
                   "<h1>%u %s</h1><p>%s",
                   p->status, reason, p->status, reason, p->sentence);
        if (p->advice.n) buf_printf(to, "<p>" STR_FMT, STR_ARG(p->advice));
        buf_printf(to, "<p><small>Request <code>%s</code></small>\n", r->id);
        return "text/html; charset=utf-8";
    }
    if (wants_json(r)) {
        struct json_writer w = json_writer_of(to);
        json_put_object(&w, NULL);
        json_put_u64(&w, "status", p->status);
        json_put_cstr(&w, "error", reason);
        json_put_cstr(&w, "message", p->sentence);
        if (p->limit.n) json_put_str(&w, "limit", p->limit);
        if (p->advice.n) json_put_str(&w, "advice", p->advice);
        json_put_cstr(&w, "request_id", r->id);
        json_put_end(&w);
        buf_putc(to, '\n');
        return "application/json";
    }
    buf_printf(to, "%u %s\n%s\n", p->status, reason, p->sentence);
    if (p->advice.n) buf_printf(to, STR_FMT "\n", STR_ARG(p->advice));
    buf_printf(to, "Request %s\n", r->id);
    return "text/plain; charset=utf-8";
}

/* Of a node that is developed on: all that is known. */
static const char *put_report(const struct node_request *r, struct buf *to, const struct page *p) {
    arena *scratch = arena_new(0);
    struct node_dev_report report = {.status = p->status,
                                     .reason = net_status_text(p->status),
                                     .sentence = p->sentence,
                                     .limit = p->limit,
                                     .advice = p->advice};
    node_dev_report_of(scratch, r, &report);
    bool html = wants(report.request, "text/html");
    if (html) node_dev_page(to, &report);
    else node_dev_report_text(&report, to);
    arena_free(scratch);
    return html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8";
}

static const char *put_body(const struct node_request *r, struct buf *to, const struct page *p) {
    bool report = r->handler->dev && !r->rpc && !wants_json(r);
    return report ? put_report(r, to, p) : put_page(r, to, p);
}

const struct net_field node_page_safety[NODE_PAGE_SAFETY] = {
    {STR_INIT("x-content-type-options"), STR_INIT("nosniff")},
    {STR_INIT("referrer-policy"), STR_INIT("strict-origin-when-cross-origin")},
    {STR_INIT("x-frame-options"), STR_INIT("SAMEORIGIN")},
};

/* grpc-status and grpc-message; the log has the status that everybody else would get. */
static void say_grpc(struct node_request *r, arena *out, uint16_t status, const char *sentence, struct net_field to[2]) {
    to[0] = (struct net_field){STR("grpc-status"), arena_fmt(out, "%u", node_grpc_status(status))};
    to[1] = (struct net_field){STR("grpc-message"), node_grpc_message(out, str_c(sentence))};
    r->refused = status;
}

/* "Trailers-Only": all of it is in the head. */
static err reply_grpc(struct node_request *r, const struct page *p, uint64_t retry_s) {
    arena *scratch = arena_new(0);
    struct net_field fields[6] = {{STR("content-type"), STR("application/grpc")}, {STR("x-request-id"), str_c(r->id)}};
    str wait = arena_fmt(scratch, "%llu", (unsigned long long)(retry_s * 1000));
    say_grpc(r, scratch, p->status, p->sentence, fields + 2);
    uint32_t n = 4;
    if (retry_s) fields[n++] = (struct net_field){STR("grpc-retry-pushback-ms"), wait};
    if (p->limit.n) fields[n++] = (struct net_field){STR("x-orlo-limit"), p->limit};
    r->refused = p->status;
    err e = net_exchange_reply(r->exchange, 200, fields, n, (str){0});
    arena_free(scratch);
    return e;
}

static void not_sent(const struct node_request *r, err e) {
    if (e != ERR_OK) log_event(LOG_DEBUG, "error-page-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
}

static void reply(struct node_request *r, const struct page *p, uint64_t retry_s) {
    if (UNLIKELY(node_grpc_asks(net_exchange_request(r->exchange)))) {
        not_sent(r, reply_grpc(r, p, retry_s));
        return;
    }
    char seconds[24];
    struct buf body = {.max = 256 * KiB};
    const char *type = put_body(r, &body, p);
    struct net_field fields[5 + NODE_PAGE_SAFETY] = {
        {STR("content-type"), str_c(type)}, {STR("x-request-id"), str_c(r->id)}, {STR("cache-control"), STR("no-store")}};
    uint32_t n = 3;
    for (uint32_t i = 0; i < NODE_PAGE_SAFETY; i++) fields[n++] = node_page_safety[i];
    snprintf(seconds, sizeof seconds, "%llu", (unsigned long long)retry_s);
    if (retry_s) fields[n++] = (struct net_field){STR("retry-after"), str_c(seconds)};
    if (p->limit.n) fields[n++] = (struct net_field){STR("x-orlo-limit"), p->limit};
    err e = net_exchange_reply(r->exchange, p->status, fields, n, buf_str(&body));
    buf_free(&body);
    not_sent(r, e);
}

/* ---- which limit ---- */

static uint64_t value_of(const struct node_request *r, const struct refusal *f) {
    const struct node_limits *node = r->handler->limits;
    struct app_limits *l = NULL;
    if (f->whose == FUNCTIONS && r->part) l = (struct app_limits *)(uintptr_t)r->part->of.limits;
    if (f->whose == APPS && r->app) l = &r->app->record.limits;
    bool ruled = f->setting == APP_SETTING_body_bytes_max && r->body_max;
    if (l) return ruled ? MIN(r->body_max, l->body_bytes_max) : *app_limits_at(l, f->setting);
    if (f->whose == ENGINES) return engine_last_refusal(r->handler->guest->engine)->max;
    return f->setting == APP_SETTING_connections_max    ? node->connections_max
           : f->setting == APP_SETTING_body_idle_ms_max ? node->body_idle_ms_max
                                                        : node->node_memory_bytes_max;
}

struct node_limit node_limit_of(const struct node_request *r, enum node_refusal what) {
    const struct refusal *f = &refusals[what];
    return f->setting == APP_SETTING_NONE ? (struct node_limit){.id = APP_SETTING_NONE}
                                          : (struct node_limit){f->setting, value_of(r, f)};
}

/* A project that is developed answers every host, once it is built. */
static str advice_for(arena *out, const struct node_request *r, enum node_refusal what, const struct node_limit *l) {
    const struct app_setting *s = &app_settings[l->id];
    if (r->handler->dev && what == NODE_REFUSE_NO_HOST)
        return STR("Nothing is built yet: the terminal of orlo dev says how far it is, or what failed.");
    if (!r->handler->dev || l->id == APP_SETTING_NONE) return (str){0};
    str now = app_setting_said(out, l->id, l->value);
    return s->scope == APP_SCOPE_APP
               ? arena_fmt(out, "The limit is " STR_FMT ": `%s` in [limits] of orlo.toml raises it.", STR_ARG(now), s->key)
               : arena_fmt(out, "The limit is the node's, " STR_FMT ": `%s` of its configuration raises it.", STR_ARG(now),
                           s->key);
}

/* ---- the log ---- */

/* How often it happened since it was last said; 0: it was said within this second. */
static uint64_t times_to_say(struct node_app *app, enum node_refusal what) {
    uint64_t now = clock_mono_ns();
    app->refused[what].times++;
    if (now < app->refused[what].next_ns) return 0;
    uint64_t times = app->refused[what].times;
    app->refused[what].times = 0;
    app->refused[what].next_ns = now + second_ns;
    return times;
}

static void say(struct node_request *r, enum node_refusal what, const struct node_limit *l, str why) {
    const struct refusal *f = &refusals[what];
    uint64_t times = f->event ? times_to_say(r->app, what) : 0;
    if (!times) return;
    arena *scratch = arena_new(0);
    struct log_field fields[7] = {LF_CSTR("request", r->id), LF_CSTR("app", r->app->name), LF_U64("status", f->status)};
    size_t n = 3;
    if (l->id != APP_SETTING_NONE) fields[n++] = LF_STR("limit", app_setting_said(scratch, l->id, l->value));
    fields[n++] = why.n ? LF_STR("reason", why) : LF_CSTR("reason", f->sentence);
    if (times > 1) fields[n++] = LF_U64("times", times);
    if (f->event == NO_INSTANCE) log_emit(LOG_WARN, "no-instance", fields, n);
    else log_emit(LOG_WARN, "limit", fields, n);
    arena_free(scratch);
}

/* ---- refusing ---- */

static void refuse(struct node_request *r, enum node_refusal what, uint64_t retry_ns, str why) {
    const struct refusal *f = &refusals[what];
    struct node_limit l = node_limit_of(r, what);
    arena *scratch = arena_new(0);
    struct page p = {.status = f->status, .sentence = f->sentence, .advice = advice_for(scratch, r, what, &l)};
    bool tell = l.id != APP_SETTING_NONE && (r->handler->dev || app_settings[l.id].scope == APP_SCOPE_APP);
    if (tell) p.limit = app_setting_said(scratch, l.id, l.value);
    if (r->app) say(r, what, &l, why);
    if (r->app) node_refusal_count(r, what);
    reply(r, &p, MAX((uint64_t)f->retry_s, (retry_ns + second_ns - 1) / second_ns));
    arena_free(scratch);
}

void node_refusal_count(struct node_request *r, enum node_refusal what) {
    if (refusals[what].setting != APP_SETTING_NONE) node_meter_limit(r->app->meters, refusals[what].setting);
}

void node_refuse(struct node_request *r, enum node_refusal what) { refuse(r, what, 0, (str){0}); }
void node_refuse_for(struct node_request *r, enum node_refusal what, uint64_t retry_ns) { refuse(r, what, retry_ns, (str){0}); }

/* A response has begun. Of HTTP's it is cut off; a call of gRPC's still has its trailers, which say why. */
void node_refuse_late(struct node_request *r, enum node_refusal what) {
    const struct refusal *f = &refusals[what];
    struct net_field fields[2];
    node_refusal_count(r, what);
    if (!node_grpc_asks(net_exchange_request(r->exchange))) return;
    arena *scratch = arena_new(0);
    say_grpc(r, scratch, f->status, f->sentence, fields);
    if (net_sink_finish(net_exchange_sink(r->exchange), fields, 2) != ERR_OK) r->refused = 0; /* it is cut off all the same */
    arena_free(scratch);
}

const char *node_refusal_text(enum node_refusal what) { return refusals[what].sentence; }

enum node_refusal node_refusal_of_body(uint16_t status) {
    return status == 413   ? NODE_REFUSE_LARGE_BODY
           : status == 408 ? NODE_REFUSE_SLOW_BODY
           : status == 431 ? NODE_REFUSE_LARGE_TRAILERS
                           : NODE_REFUSE_BAD_BODY;
}

enum node_refusal node_refusal_of(const struct node_request *r, const struct wasi_outcome *o) {
    if (r->killed == BY_LIMIT) return r->limit;
    return o->end == WASI_END_LIMIT ? NODE_REFUSE_NEEDS : NODE_REFUSE_FAILED;
}

/* Which of the engine's limits left it without an instance. */
static enum node_refusal refusal_of_engine(const struct engine_refusal *why) {
    switch (why->what) {
    case ENGINE_REFUSED_SLOTS:
    case ENGINE_REFUSED_FIBERS: return why->leaves ? NODE_REFUSE_SYSTEM_FULL : NODE_REFUSE_NO_INSTANCE;
    case ENGINE_REFUSED_INSTANCE: return NODE_REFUSE_TOO_BIG;
    case ENGINE_REFUSED_ACCOUNT: return why->share ? NODE_REFUSE_APP_FULL : NODE_REFUSE_NODE_FULL;
    default: return NODE_REFUSE_SYSTEM_FULL;
    }
}

void node_refuse_instance(struct node_request *r) {
    if (r->part->state != NODE_PART_READY) { /* why, stands in the log */
        node_refuse(r, NODE_REFUSE_NOT_THERE);
        return;
    }
    struct buf why = {.max = 300};
    node_guest_refusal(r->handler->guest, &why);
    const struct engine_refusal *of = engine_last_refusal(r->handler->guest->engine);
    if (of->what == ENGINE_REFUSED_SYSTEM && of->max) node_meter_inc(&node_meters->worker.mappings_refused);
    refuse(r, refusal_of_engine(of), 0, buf_str(&why));
    buf_free(&why);
}
