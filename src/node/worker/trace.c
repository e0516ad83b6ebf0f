/* trace: which requests are traced, and what the courier is told of them.
 *
 *   request ── has a parent? its word on sampling holds │ else so many of a million ──> sampled ──ends──> its span, its function's span
 *                                                                                └── outgoing requests: a span each
 *   spans of a fifth of a second ── a message of the channel `courier` ──> courier        no room, no courier for long, too many in a second: counted
 *
 * 1. Nothing waits. A request that is not sampled costs a look for one field, and a random number.
 * 2. Where nothing is exported, a trace that comes in goes out as it is.
 * 3. Clients choose what they send: the spans of a second are bounded, texts are cut, queries are left out.
 */
#include "net/loop.h"
#include "node/meters.h"
#include "node/span.h"
#include "node/wire.h"
#include "node/worker/handler_int.h"
#include <stdlib.h>
#include <unistd.h>

enum { BATCH_BYTES = 48 << 10, BATCH_MS = 200, SPANS_SECOND_MAX = 5000, PATH_MAX_SHOWN = 256, MILLION = 1'000'000 };

struct node_tracer {
    struct node_guest *guest;
    uint32_t sample_ppm;
    int fd;           /* -1: there is no courier */
    uint64_t want_at; /* not before then is one asked for again */
    struct net_timer *timer;
    void (*want)(void *arg);
    void *arg;
    struct buf batch;
    uint32_t count;
    uint64_t second;
    uint32_t in_second;
};

/* ---- on their way ---- */

static void send_batch(struct node_tracer *t) {
    struct node_message m = NODE_MESSAGE(spans, .count = t->count, .spans = buf_str(&t->batch));
    err e = t->fd >= 0 ? node_wire_send(t->fd, &m) : ERR_CLOSED;
    if (e == ERR_OK) node_meter_add(&node_meters->worker.spans, t->count);
    else node_meter_add(&node_meters->worker.spans_dropped, t->count);
    if (e != ERR_OK && e != ERR_AGAIN && t->fd >= 0) close(t->fd), t->fd = -1;
    t->batch.n = 0;
    t->count = 0;
}

static void add(struct node_tracer *t, const struct node_span *s) {
    uint64_t second = net_loop_now_ns(t->guest->loop) / 1'000'000'000;
    if (t->second != second) t->second = second, t->in_second = 0;
    if (++t->in_second > SPANS_SECOND_MAX) {
        node_meter_inc(&node_meters->worker.spans_dropped);
        return;
    }
    if (t->batch.n > BATCH_BYTES - NODE_SPAN_BYTES_MAX) send_batch(t);
    if (!t->count) net_timer_start(t->timer, BATCH_MS, 0); /* each message wakes the courier, which may share this core */
    node_span_write(&t->batch, s);
    t->count++;
}

/* Without a courier they are kept, as many as a message holds, until there is one again. */
void node_tracer_flush(struct node_tracer *t) {
    uint64_t now = net_loop_now_ns(t->guest->loop);
    if (t->count && t->fd >= 0) send_batch(t);
    if (t->fd >= 0) return;
    if (t->count) net_timer_start(t->timer, BATCH_MS, 0);
    if (now < t->want_at) return;
    t->want_at = now + 1'000'000'000;
    t->want(t->arg);
}

static void on_timer(void *arg) { node_tracer_flush(arg); }

/* ---- requests ---- */

void node_trace_begin(struct node_request *r) {
    struct node_tracer *t = r->handler->guest->tracer;
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct app_trace *trace = &r->rq.trace;
    app_trace_of(rq, trace);
    if (!t) { /* nobody would ever hear of a span of ours */
        if (trace->on) memcpy(trace->span, trace->parent, sizeof trace->span);
        return;
    }
    if (!trace->on) app_trace_begin(trace, app_trace_random() % MILLION < t->sample_ppm);
    if (!trace->sampled) return;
    trace->recorded = true;
    app_trace_id(r->span, sizeof r->span);
    if (!trace->has_parent) return;
    app_traceparent_write(trace, trace->span, r->traceparent); /* what its function sees, and may pass on itself */
    net_exchange_own_field(r->exchange, STR("traceparent"), (str){(uint8_t *)r->traceparent, APP_TRACEPARENT_BYTES});
}

static struct node_span span_of(const struct node_request *r, enum node_span_kind kind, const uint8_t id[8],
                                const uint8_t parent[8]) {
    struct node_span s = {
        .kind = (uint8_t)kind, .app = str_c(r->app->name), .version = r->app->record.version, .state = r->rq.trace.state};
    memcpy(s.trace, r->rq.trace.trace, sizeof s.trace);
    memcpy(s.span, id, sizeof s.span);
    memcpy(s.parent, parent, sizeof s.parent);
    return s;
}

static str cut(str s, size_t most) { return str_sub(s, 0, most); }
static str without_query(str path) { return cut(str_sub(path, 0, str_find(path, '?')), PATH_MAX_SHOWN); }

static void add_request(struct node_tracer *t, const struct node_request *r, uint16_t status, uint64_t start, uint64_t end) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct node_span s = span_of(r, NODE_SPAN_SERVER, r->span, r->rq.trace.parent);
    uint8_t name[96];
    struct buf b = BUF_FIXED(name);
    buf_puts(&b, cut(rq->method, 16)), buf_putc(&b, ' '), buf_puts(&b, cut(r->part->name, 64));
    s.name = buf_str(&b);
    s.start_ns = start, s.end_ns = end;
    s.error = status >= 500;
    node_span_attr(&s, "http.request.method", cut(rq->method, 16));
    node_span_attr(&s, "url.scheme", rq->scheme);
    node_span_attr(&s, "url.path", without_query(r->path));
    node_span_attr(&s, "server.address", cut(rq->authority, 253));
    node_span_attr(&s, "client.address", net_exchange_peer(r->exchange));
    node_span_attr_number(&s, "http.response.status_code", status);
    node_span_attr(&s, "orlo.request", r->rq.id);
    add(t, &s);
}

static void add_function(struct node_tracer *t, const struct node_request *r, uint64_t start, uint64_t end) {
    struct node_span s = span_of(r, NODE_SPAN_INTERNAL, r->rq.trace.span, r->span);
    s.name = cut(r->part->name, 255);
    s.start_ns = start, s.end_ns = end;
    s.error = r->failure;
    s.message = str_c(r->failure);
    node_span_attr(&s, "faas.name", s.name);
    node_span_attr_number(&s, "orlo.cpu_us", (int64_t)(r->rq.meter.used_ns / 1000));
    add(t, &s);
}

void node_trace_end(struct node_request *r, uint16_t status, uint64_t took_ns) {
    struct node_tracer *t = r->handler->guest->tracer;
    if (!t || !r->part || !r->rq.trace.recorded) return;
    uint64_t now = clock_wall_ns(), start = now - took_ns;
    add_request(t, r, status, start, now);
    if (r->ran_ns) add_function(t, r, start + (r->ran_ns - r->started_ns), now);
}

/* ---- outgoing requests ---- */

static void count(struct node_app *app, const struct app_outgoing *o, uint64_t ns) {
    struct node_meter_app *m = &app->meters->counts;
    if (o->denied) {
        node_meter_inc(&m->outgoing_denied);
        return;
    }
    node_meter_outgoing(m, o->status);
    node_meter_time(&m->outgoing_duration, ns);
}

void node_trace_outgoing(struct app_request *rq, const struct app_outgoing *o) {
    struct node_part *part = container_of(rq->app, struct node_part, of);
    struct node_tracer *t = part->app->guest->tracer;
    uint64_t ns = clock_mono_ns() - o->started_ns, now;
    count(part->app, o, ns);
    if (!t || !rq->trace.recorded) return;
    struct node_span s = {.kind = NODE_SPAN_CLIENT,
                          .app = str_c(part->app->name),
                          .version = part->app->record.version,
                          .name = o->method.n ? o->method : STR("HTTP"),
                          .state = rq->trace.state,
                          .error = o->error || o->status >= 400};
    memcpy(s.trace, rq->trace.trace, sizeof s.trace);
    memcpy(s.span, o->span, sizeof s.span);
    memcpy(s.parent, rq->trace.span, sizeof s.parent);
    now = clock_wall_ns();
    s.start_ns = now - ns, s.end_ns = now;
    s.message = str_c(o->error);
    node_span_attr(&s, "http.request.method", o->method);
    node_span_attr(&s, "url.scheme", o->scheme);
    node_span_attr(&s, "server.address", cut(o->authority, 253));
    if (o->status) node_span_attr_number(&s, "http.response.status_code", o->status);
    node_span_attr(&s, "error.type", str_c(o->error));
    add(t, &s);
}

/* ---- its life ---- */

struct node_tracer *node_tracer_new(struct node_guest *g, uint32_t sample_ppm, void (*want)(void *arg), void *arg) {
    struct node_tracer *t = calloc(1, sizeof *t);
    ENSURE(t);
    *t = (struct node_tracer){.guest = g, .sample_ppm = sample_ppm, .fd = -1, .want = want, .arg = arg};
    t->timer = net_timer_new(g->loop, on_timer, t);
    g->tracer = t;
    return t;
}

void node_tracer_channel(struct node_tracer *t, int fd) {
    if (t->fd >= 0) close(t->fd);
    t->fd = fd;
}

void node_tracer_free(struct node_tracer *t) {
    if (!t) return;
    if (t->count) send_batch(t);
    t->guest->tracer = NULL;
    net_timer_free(t->timer);
    if (t->fd >= 0) close(t->fd);
    buf_free(&t->batch);
    free(t);
}
