/* api_observe: what the node does and how it does it: metrics, health, `top`, and the logs of apps.
 *
 *   logs:  a reader (logs.c) ──line──> the call's stream; full ──> room comes back ──> the reader goes on
 */
#include "node/control/api_int.h"
#include "node/control/certificates.h"
#include "node/control/logs.h"
#include "node/control/metrics.h"
#include <stdlib.h>
#include <sys/statvfs.h>

/* ---- metrics ---- */

static str field_of(const struct api_call *call, str name) {
    const struct net_request *rq = net_exchange_request(call->x);
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, name)) return rq->fields[i].value;
    return (str){0};
}

void node_api_metrics(struct api_call *call) {
    bool open = node_metrics_wants_open(field_of(call, STR("accept")));
    struct buf text = {0};
    node_metrics_text(call->control, open, &text);
    node_api_text(call, open ? node_metrics_type_open : node_metrics_type, buf_str(&text));
    buf_free(&text);
}

/* ---- health ---- */

static const char plain[] = "text/plain; charset=utf-8";

void node_api_healthz(struct api_call *call) { node_api_text(call, plain, STR("ok\n")); }

void node_api_readyz(struct api_call *call) {
    struct buf why = {0};
    if (node_metrics_ready(call->control, &why)) node_api_text(call, plain, STR("ready\n"));
    else node_api_text_with(call, 503, plain, buf_str(&why));
    buf_free(&why);
}

/* ---- top ---- */

static uint64_t requests_of(const struct node_meter_call *c) {
    return c->requests_gone + c->requests_1xx + c->requests_2xx + c->requests_3xx + c->requests_4xx + c->requests_5xx;
}

static void put_buckets(struct json_writer *w, const struct node_meter_histogram *h) {
    json_put_array(w, "durations");
    for (uint32_t i = 0; i <= NODE_METER_BUCKETS; i++) {
        if (!h->of[i]) continue;
        json_put_object(w, NULL);
        if (i < NODE_METER_BUCKETS) json_put_u64(w, "up_to_us", node_meter_bounds_ns[i] / 1000);
        json_put_u64(w, "requests", h->of[i]);
        json_put_end(w);
    }
    json_put_end(w);
}

static uint64_t limits_of(const struct node_meter_app *a) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < APP_SETTINGS; i++) n += a->limits[i];
    return n;
}

static void put_app(struct json_writer *w, const struct control_counts *a) {
    json_put_object(w, NULL);
    json_put_text(w, "name", a->name, NODE_METERS_NAME + 1);
    json_put_u64(w, "version", a->calls.n ? a->calls.p[0].version : 0);
    json_put_u64(w, "requests", requests_of(&a->all));
    json_put_u64(w, "errors", a->all.requests_5xx);
    json_put_u64(w, "limits", limits_of(&a->counts));
    json_put_u64(w, "cpu_us", a->counts.cpu_ns / 1000);
    json_put_u64(w, "memory_bytes", a->now.memory_bytes);
    json_put_u64(w, "instances", a->now.instances);
    json_put_u64(w, "in_progress", a->now.requests_now);
    put_buckets(w, &a->all.duration);
    json_put_end(w);
}

/* Those that have had a request; a token of an app sees that one. */
static bool may_see(const struct api_call *call, const struct control_counts *a) {
    return a->name.n && (requests_of(&a->all) || a->now.requests_now) && (call->who.node || str_eq(call->who.app, a->name));
}

void node_api_top(struct api_call *call) {
    struct control_sums sums;
    node_metrics_sum(call->control, call->mem, &sums);
    json_put_object(&call->w, NULL);
    json_put_u64(&call->w, "at_us", clock_mono_ns() / 1000);
    json_put_u64(&call->w, "workers", sums.node_now.workers);
    json_put_array(&call->w, "apps");
    for (uint32_t i = 0; i < sums.apps.n; i++)
        if (may_see(call, &sums.apps.p[i])) put_app(&call->w, &sums.apps.p[i]);
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

/* ---- status ---- */

/* By the clock that nobody sets: when a node began is not changed by what the time is now. */
uint64_t node_api_uptime_ms(const struct control *c) {
    uint64_t began = node_metrics_began_ns(c);
    return (clock_mono_ns() - (began ? began : c->started_ns)) / 1000000u;
}

static uint64_t deaths_of(const struct control_sums *s) { return s->node.worker_deaths + s->node.worker_hangs; }

static void put_disk(struct json_writer *w, const struct control *c) {
    struct statvfs st;
    if (c->state.db < 0 || fstatvfs(c->state.db, &st)) return;
    json_put_u64(w, "disk_bytes", (uint64_t)st.f_blocks * st.f_frsize);
    json_put_u64(w, "disk_free_bytes", (uint64_t)st.f_bavail * st.f_frsize);
}

static void put_certificate(void *arg, const struct node_certificate *c) {
    struct json_writer *w = arg;
    if (c->source == NODE_CERT_CHALLENGE) return;
    json_put_object(w, NULL);
    json_put_array(w, "names");
    for (uint32_t i = 0; i < c->chain.names.n; i++) json_put_str(w, NULL, c->chain.names.p[i]);
    json_put_end(w);
    json_put_cstr(w, "source", c->source == NODE_CERT_OPERATOR ? "operator" : "acme");
    json_put_str(w, "from", c->from);
    json_put_str(w, "issuer", c->chain.issuer);
    json_put_u64(w, "not_before_s", (uint64_t)MAX(c->chain.not_before_s, (int64_t)0));
    json_put_u64(w, "not_after_s", (uint64_t)MAX(c->chain.not_after_s, (int64_t)0));
    json_put_bool(w, "stapled", c->ocsp.n);
    json_put_end(w);
}

void node_api_put_node(struct api_call *call) {
    struct control_sums sums;
    struct json_writer *w = &call->w;
    uint64_t requests = 0, connections = 0, memory = 0;
    node_metrics_sum(call->control, call->mem, &sums);
    for (uint32_t i = 0; i < sums.apps.n; i++) requests += requests_of(&sums.apps.p[i].all);
    for (uint32_t i = 0; i < sums.workers.n; i++)
        connections += sums.workers.p[i].now.connections, memory += sums.workers.p[i].now.memory_bytes;
    bool sent = sums.node.spans_exported || sums.node.spans_lost;
    json_put_object(w, "node");
    json_put_u64(w, "workers", sums.node_now.workers);
    json_put_u64(w, "worker_deaths", deaths_of(&sums));
    json_put_u64(w, "requests", requests);
    json_put_u64(w, "connections", connections);
    json_put_u64(w, "memory_bytes", memory);
    json_put_u64(w, "jobs_running", sums.node_now.compiles_running);
    json_put_u64(w, "jobs_waiting", sums.node_now.compiles_waiting);
    json_put_u64(w, "logs_bytes", node_logs_bytes(call->control));
    put_disk(w, call->control);
    json_put_cstr(w, "collector", sums.node_now.collector_up ? "up" : sent || sums.node_now.collector_asked ? "down" : "none");
    json_put_u64(w, "spans_exported", sums.node.spans_exported);
    json_put_u64(w, "spans_lost", sums.node.spans_lost);
    json_put_array(w, "certificates");
    node_certificates_each(call->control, put_certificate, w);
    json_put_end(w);
    json_put_end(w);
}

static void put_note(struct api_call *call, str text) {
    json_put_object(&call->w, NULL);
    json_put_str(&call->w, "text", text);
    json_put_end(&call->w);
}

/* What will be a fault soon, or is one. */
static void note_certificate(void *arg, const struct node_certificate *c) {
    enum { DAY_S = 24 * 3600, SOON_DAYS = 14 };
    struct api_call *call = arg;
    int64_t now = (int64_t)(clock_wall_ns() / 1'000'000'000u), left = (c->chain.not_after_s - now) / DAY_S;
    str name = c->chain.names.n ? c->chain.names.p[0] : (str){0};
    if (c->source == NODE_CERT_CHALLENGE) return;
    if (now > c->chain.not_after_s)
        put_note(call, arena_fmt(call->mem, "the certificate of " STR_FMT " (" STR_FMT ") has expired: clients refuse it",
                                 STR_ARG(name), STR_ARG(c->from)));
    else if (left < SOON_DAYS && c->source == NODE_CERT_OPERATOR)
        put_note(call, arena_fmt(call->mem,
                                 "the certificate of " STR_FMT " (" STR_FMT
                                 ") expires in %lld days: put another there, then orlo reload",
                                 STR_ARG(name), STR_ARG(c->from), (long long)left));
    if (c->ocsp.n && now > c->ocsp_until_s)
        put_note(call, arena_fmt(call->mem, "the OCSP answer of " STR_FMT " (" STR_FMT ") has expired, and is not sent any more",
                                 STR_ARG(name), STR_ARG(c->from)));
}

void node_api_put_notes(struct api_call *call) {
    struct control_sums sums;
    node_metrics_sum(call->control, call->mem, &sums);
    node_certificates_each(call->control, note_certificate, call);
    if (!sums.node_now.workers) put_note(call, STR("no worker serves; the node's log says why"));
    if (deaths_of(&sums))
        put_note(call,
                 arena_fmt(call->mem,
                           "%llu workers have ended by themselves since the node began: `worker-died` in its log says of what",
                           (unsigned long long)deaths_of(&sums)));
    if (sums.node_now.collector_asked && !sums.node_now.collector_up)
        put_note(call, arena_fmt(call->mem,
                                 "the collector of traces does not take them: %llu spans were lost so far; `collector-` in the "
                                 "node's log says why",
                                 (unsigned long long)sums.node.spans_lost));
    uint64_t mappings = 0;
    for (uint32_t i = 0; i < sums.workers.n; i++) mappings += sums.workers.p[i].counts.mappings_refused;
    if (mappings)
        put_note(call,
                 arena_fmt(call->mem,
                           "%llu requests found no instance because a worker has as many mappings as the kernel lets it have: "
                           "raise the sysctl vm.max_map_count, then restart (docs/operations.md, \"Kernel limits\")",
                           (unsigned long long)mappings));
    if (sums.node.app_lines_lost)
        put_note(call, arena_fmt(call->mem, "%llu lines of apps' logs could not be written: is the disk full?",
                                 (unsigned long long)sums.node.app_lines_lost));
}

/* ---- logs ---- */

struct logs_call {
    struct api_call *call;
    struct node_reader *reader;
};

static bool on_line(void *arg, str line) {
    struct logs_call *l = arg;
    return node_api_line(l->call, str_sub(line, 0, line.n - 1));
}

static void on_end(void *arg, const char *why) {
    struct logs_call *l = arg;
    struct net_sink *sink = net_exchange_sink(l->call->x);
    l->reader = NULL;
    if (why) {
        struct buf b = {0};
        log_format_json(&b, LOG_WARN, "log-ends", &LF_CSTR("reason", why), 1);
        (void)on_line(l, buf_str(&b));
        buf_free(&b);
    }
    net_sink_notify(sink, NULL, NULL);
    if (net_sink_finish(sink, NULL, 0) != ERR_OK) {}
    node_api_end(l->call);
}

static void on_room(void *arg) {
    struct logs_call *l = arg;
    if (net_sink_error(net_exchange_sink(l->call->x)) != NET_OK) return; /* on_gone comes */
    node_reader_more(l->reader);
}

static void on_logs_gone(struct api_call *call) {
    struct logs_call *l = call->state;
    if (l->reader) node_reader_free(l->reader);
    net_sink_notify(net_exchange_sink(call->x), NULL, NULL);
    node_api_end(call);
}

static bool read_level(struct api_call *call, enum log_level *level) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    str word = node_api_word(call, "level");
    *level = LOG_DEBUG;
    for (unsigned i = 0; i < ARRAY_COUNT(levels); i++)
        if (str_eqc(word, levels[i])) *level = (enum log_level)i, word.n = 0;
    return !word.n;
}

void node_api_logs(struct api_call *call) {
    struct diag d = DIAG_INIT;
    uint64_t since = node_api_number(call, "since_ms", 0);
    struct node_logs_query q = {.follow = node_api_number(call, "follow", 0), .since_ms = since};
    q.lines = node_api_number(call, "lines", since ? UINT64_MAX : 100);
    const struct control_app *app = node_control_app_named(call->control, call->params[API_PARAM_app]);
    err e = ERR_OK;
    if (!read_level(call, &q.level)) e = diag_set(&d, ERR_INVALID, DIAG_NOWHERE, "a level is debug, info, warn or error");
    else if (!app)
        e = diag_set(&d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no app " STR_FMT "; orlo apps lists those that there are",
                     STR_ARG(call->params[API_PARAM_app]));
    struct logs_call *l = arena_make(call->mem, struct logs_call);
    *l = (struct logs_call){.call = call};
    if (e == ERR_OK) {
        q.app = app->id;
        l->reader = node_reader_new(call->control, &q, &(struct node_reader_config){on_line, on_end, l});
        if (!l->reader) e = diag_set(&d, ERR_UNSUPPORTED, DIAG_NOWHERE, "this node keeps no logs: it has no state folder");
    }
    if (e != ERR_OK) {
        node_api_fail(call, e, &d);
        return;
    }
    call->state = l;
    call->on_gone = on_logs_gone;
    node_api_stream(call);
    net_sink_notify(net_exchange_sink(call->x), on_room, l);
    node_reader_more(l->reader);
}
