/* local: see local.h. One object for both sides; its job tells each what the other did.
 *
 *   (new) ─job─> on_request … ─> end of the exchange ─┐
 *     └───────────────────────> net_fetch_free ───────┴─ both ─> freed by the job
 */
#include "net/exchange_int.h"
#include "net/fetch_int.h"
#include "net/http1.h"
#include "net/local.h"
#include "net/loop_int.h"
#include <stdlib.h>

/* A body on its way. */
struct pipe {
    struct buf bytes;
    size_t used; /* of bytes, were read */
    bool ended;
    struct net_field *trailers; /* in the arena */
    uint32_t trailers_count;
    bool was_full; /* room was refused */
};

struct local {
    struct net_exchange x; /* of who answers */
    struct net_fetch f;    /* of who asks */
    struct net_loop *loop;
    struct net_job job;
    struct net_timer *timer, *patience; /* of who answers, of who asks */
    arena *mem;
    struct net_request rq;
    str peer;
    void (*on_request)(struct net_exchange *x, void *arg);
    void *on_request_arg;
    struct net_quota *quota; /* in which it counts; NULL: in none, or no more */
    struct pipe request, response;
    struct net_response head; /* as it was given; told: f.response */
    uint32_t handler_ms_max;
    uint64_t body_bytes_max, body_bytes; /* UINT64_MAX: any; so many so far */
    uint64_t up_left;                    /* of the declared content-length; UINT64_MAX: none declared */
    uint32_t first_byte_ms_max;
    bool begun, freed, gone_told;
    bool impatient; /* who asks waits no more */
    bool head_told; /* and so cannot be taken back */
    bool emptied;   /* what waited was taken since: the sink's owner is told */
};

static void later(struct local *c) { net_job_queue(c->loop, &c->job); }

/* Who asks gets no response, or no whole one. */
static void fail(struct local *c, enum net_error e) {
    if (!c->f.error) c->f.error = c->f.source.error = e;
    if (!c->f.sink.error && !c->request.ended) c->f.sink.error = e;
}

static void uncount(struct local *c) {
    net_quota_give(c->quota);
    c->quota = NULL;
}

/* ---- bodies ---- */

static size_t left(const struct pipe *p) { return p->bytes.n - p->used; }
static size_t room(const struct pipe *p) { return left(p) < NET_LOCAL_QUEUE_BYTES ? NET_LOCAL_QUEUE_BYTES - left(p) : 0; }

static enum net_flow peek(const struct pipe *p, str *data) {
    *data = str_sub(buf_str(&p->bytes), p->used, p->bytes.n);
    return data->n ? NET_FLOW_DATA : p->ended ? NET_FLOW_END : NET_FLOW_WAIT;
}

static void take(struct pipe *p, size_t n) {
    ENSURE(n <= left(p));
    p->used += n;
    if (!left(p)) {
        p->bytes.n = p->used = 0;
    } else if (p->used > NET_LOCAL_QUEUE_BYTES / 2) {
        buf_drop(&p->bytes, p->used);
        p->used = 0;
    }
}

static struct net_field *copy_fields(arena *mem, const struct net_field *fields, uint32_t count) {
    struct net_field *copy = arena_array(mem, struct net_field, count ? count : 1);
    for (uint32_t i = 0; i < count; i++)
        copy[i] = (struct net_field){arena_str(mem, fields[i].name), arena_str(mem, fields[i].value)};
    return copy;
}

static void end_pipe(struct local *c, struct pipe *p, const struct net_field *trailers, uint32_t count) {
    p->ended = true;
    p->trailers = copy_fields(c->mem, trailers, count);
    p->trailers_count = count;
    later(c);
}

/* ---- the request's body ---- */

static struct local *of(const struct net_exchange *x) {
    return container_of((struct net_exchange *)(uintptr_t)x, struct local, x);
}
static struct local *of_source(const struct net_source *s) {
    return of(container_of((struct net_source *)(uintptr_t)s, struct net_exchange, source));
}
static struct local *of_up(const struct net_sink *s) {
    return container_of((struct net_sink *)(uintptr_t)s, struct local, f.sink);
}

static err body_too_large(struct local *c) {
    c->x.body_status = 413;
    c->x.source.error = NET_HTTP_REQUEST_BODY_SIZE;
    c->f.sink.error = NET_HTTP_REQUEST_BODY_SIZE;
    return ERR_LIMIT;
}

static enum net_flow local_peek(struct net_source *s, str *data) {
    return s->error ? NET_FLOW_FAILED : peek(&of_source(s)->request, data);
}

static void local_consume(struct net_source *s, size_t n) {
    struct local *c = of_source(s);
    take(&c->request, n);
    c->x.in_bytes += n;
    later(c);
}

static const struct net_field *local_trailers(const struct net_source *s, uint32_t *count) {
    *count = of_source(s)->request.trailers_count;
    return of_source(s)->request.trailers;
}

static const struct net_source_ops source_ops = {local_peek, local_consume, local_trailers};

/* Nobody reads it any more, or nothing of it may come. */
static bool up_closed(const struct local *c) {
    return c->f.sink.error || c->request.ended || c->x.closed || (c->begun && !c->x.live);
}

static size_t up_room(const struct net_sink *s) {
    struct local *c = of_up(s);
    size_t n = up_closed(c) ? 0 : room(&c->request);
    if (!n) c->request.was_full = true;
    return n;
}

static err up_write(struct net_sink *s, str data) {
    struct local *c = of_up(s);
    if (up_closed(c)) return ERR_CLOSED;
    if (!data.n) return ERR_OK;
    if (data.n > room(&c->request)) {
        c->request.was_full = true;
        return ERR_AGAIN;
    }
    if (c->up_left != UINT64_MAX) {
        if (data.n > c->up_left) return ERR_INVALID;
        c->up_left -= data.n;
    }
    c->body_bytes += data.n;
    if (c->body_bytes > c->body_bytes_max) {
        body_too_large(c);
        later(c);
        return ERR_CLOSED;
    }
    buf_puts(&c->request.bytes, data);
    later(c);
    return ERR_OK;
}

static void up_abort(struct net_sink *s, enum net_error e) {
    struct local *c = of_up(s);
    if (up_closed(c)) return;
    s->error = e;
    c->x.source.error = NET_CONNECTION_TERMINATED;
    later(c);
}

static err up_finish(struct net_sink *s, const struct net_field *trailers, uint32_t count) {
    struct local *c = of_up(s);
    if (up_closed(c)) return ERR_CLOSED;
    if (c->up_left != UINT64_MAX && c->up_left) {
        up_abort(s, NET_HTTP_REQUEST_BODY_SIZE);
        return ERR_INVALID;
    }
    if (!net_fields_ok(trailers, count)) return ERR_INVALID;
    end_pipe(c, &c->request, trailers, count);
    return ERR_OK;
}

static const struct net_sink_ops up_ops = {up_room, up_write, up_finish, up_abort};

/* ---- the response ---- */

static struct local *of_down(const struct net_source *s) {
    return container_of((struct net_source *)(uintptr_t)s, struct local, f.source);
}

static void local_respond(struct net_exchange *x, const struct net_head *h) {
    struct local *c = of(x);
    struct net_field *copy = copy_fields(c->mem, h->fields, h->fields_count);
    bool unframed = h->status == 204 || h->status == 205;
    uint32_t n = 0;
    for (uint32_t i = 0; i < h->fields_count; i++)
        if (!http1_field_hop(copy[i].name) && !(unframed && str_eq_nocase(copy[i].name, STR("content-length"))))
            copy[n++] = copy[i];
    c->head = (struct net_response){h->status, copy, n};
    later(c);
}

static err local_inform(struct net_exchange *x, const struct net_head *h) {
    return ERR_OK; /* who asks hears of the final one alone */
}

static size_t local_room(struct net_exchange *x) { return room(&of(x)->response); }

static void local_put(struct net_exchange *x, str data) {
    struct local *c = of(x);
    buf_puts(&c->response.bytes, data);
    c->emptied = false;
    later(c);
}

static void local_finish(struct net_exchange *x, str last, const struct net_field *trailers, uint32_t count) {
    if (last.n) local_put(x, last);
    end_pipe(of(x), &of(x)->response, trailers, count);
}

/* The response will not be whole. What was told of it stands; else its owner has until the job to take it back. */
static void local_abort(struct net_exchange *x) { later(of(x)); }

static bool local_retract(struct net_exchange *x) {
    struct local *c = of(x);
    if (c->head_told) return false;
    c->head = (struct net_response){0};
    c->response.bytes.n = 0;
    return true;
}

static enum net_flow down_peek(struct net_source *s, str *data) {
    struct local *c = of_down(s);
    if (!c->f.response.status) return s->error ? NET_FLOW_FAILED : NET_FLOW_WAIT;
    enum net_flow f = peek(&c->response, data);
    return f == NET_FLOW_WAIT && s->error ? NET_FLOW_FAILED : f;
}

static void down_consume(struct net_source *s, size_t n) {
    struct local *c = of_down(s);
    take(&c->response, n);
    c->emptied = !left(&c->response);
    later(c);
}

static const struct net_field *down_trailers(const struct net_source *s, uint32_t *count) {
    *count = of_down(s)->response.trailers_count;
    return of_down(s)->response.trailers;
}

static const struct net_source_ops down_ops = {down_peek, down_consume, down_trailers};

/* ---- the exchange's life ---- */

static void on_deadline(void *arg) {
    struct local *c = arg;
    if (c->x.live && c->x.event) c->x.event(c->x.event_arg, NET_EVENT_DEADLINE);
}

static void arm(struct local *c, uint32_t ms) {
    uint64_t since_ms = (net_loop_now_ns(c->loop) - c->x.started_ns) / 1000000u;
    if (ms == NET_NO_LIMIT) return;
    if (!c->timer) c->timer = net_timer_new(c->loop, on_deadline, c);
    net_timer_start(c->timer, ms > since_ms ? ms - since_ms : 0, 0);
}

static err local_limits(struct net_exchange *x, uint32_t handler_ms_max, uint64_t body_bytes_max) {
    struct local *c = of(x);
    if (handler_ms_max && handler_ms_max < c->handler_ms_max) arm(c, handler_ms_max);
    if (body_bytes_max) c->body_bytes_max = MIN(c->body_bytes_max, body_bytes_max);
    bool declared = c->rq.has_body && c->rq.content_length != UINT64_MAX && c->rq.content_length > c->body_bytes_max;
    if (!declared && c->body_bytes <= c->body_bytes_max)
        return x->source.error == NET_HTTP_REQUEST_BODY_SIZE ? ERR_LIMIT : ERR_OK;
    later(c);
    return body_too_large(c);
}

static err local_upgrade(struct net_exchange *x, struct net_head *h, const struct net_upgrade *to) { return ERR_UNSUPPORTED; }

static str local_peer(const struct net_exchange *x, uint16_t *port) {
    *port = 0;
    return of(x)->peer;
}

/* There is no response, and nobody will give one. */
static void give_up(struct local *c) {
    struct net_exchange *x = &c->x;
    struct net_field type = {STR("content-type"), STR("text/plain; charset=utf-8")};
    if (x->finished || x->closed || !net_exchange_retract(x)) return;
    uint16_t status = x->body_status ? x->body_status : 500;
    str text = str_c(net_status_text(status));
    err e = net_exchange_reply(x, status, &type, 1, text);
    ENSURE(e == ERR_OK);
}

static void local_end(struct net_exchange *x) {
    struct local *c = of(x);
    give_up(c);
    if (!x->finished) fail(c, NET_HTTP_RESPONSE_INCOMPLETE);
    x->live = x->source.waiting = false;
    if (c->timer) net_timer_stop(c->timer);
    uncount(c);
    later(c);
}

static const struct net_exchange_ops ops = {.respond = local_respond,
                                            .inform = local_inform,
                                            .room = local_room,
                                            .put = local_put,
                                            .finish = local_finish,
                                            .abort = local_abort,
                                            .later = local_abort,
                                            .retract = local_retract,
                                            .limits = local_limits,
                                            .upgrade = local_upgrade,
                                            .peer = local_peer,
                                            .end = local_end};

/* ---- the job ---- */

static void on_patience(void *arg) {
    struct local *c = arg;
    if (c->head_told || c->freed) return;
    fail(c, NET_HTTP_RESPONSE_TIMEOUT);
    c->impatient = c->x.closed = true;
    later(c);
}

static void begin(struct local *c) {
    c->begun = true;
    if (c->f.error) return;
    c->x.live = true;
    if (c->rq.has_body && c->rq.content_length != UINT64_MAX && c->rq.content_length > c->body_bytes_max) body_too_large(c);
    arm(c, c->handler_ms_max);
    if (c->first_byte_ms_max != NET_NO_LIMIT) {
        c->patience = net_timer_new(c->loop, on_patience, c);
        net_timer_start(c->patience, c->first_byte_ms_max, 0);
    }
    c->on_request(&c->x, c->on_request_arg);
}

static void report_gone(struct local *c) {
    struct net_exchange *x = &c->x;
    c->gone_told = true;
    if (!c->request.ended && !x->source.error) x->source.error = NET_CONNECTION_TERMINATED;
    if (!x->sink.error) x->sink.error = NET_CONNECTION_TERMINATED;
    if (x->event && !x->aborted) x->event(x->event_arg, NET_EVENT_GONE);
    if (x->live) net_source_tell(&x->source);
    if (x->live) net_sink_tell(&x->sink);
}

static void tell_answerer(struct local *c) {
    struct net_exchange *x = &c->x;
    if (x->aborted) {
        give_up(c);
        if (!x->finished) fail(c, NET_HTTP_RESPONSE_INCOMPLETE);
    }
    str data;
    if (x->source.error || peek(&c->request, &data) != NET_FLOW_WAIT) net_source_tell(&x->source);
    if (x->live && (c->emptied || (x->was_full && left(&c->response) <= NET_LOCAL_QUEUE_BYTES / 2))) {
        c->emptied = x->was_full = false;
        net_exchange_tell_sink(x);
    }
}

static void tell_asker(struct local *c) {
    if (!c->head_told && (c->head.status || c->f.error)) {
        c->head_told = true;
        if (!c->impatient) c->f.response = c->head;
        if (c->patience) net_timer_stop(c->patience);
        if (c->f.on_change) c->f.on_change(c->f.arg);
    }
    str data;
    if (!c->freed && c->f.source.waiting && down_peek(&c->f.source, &data) != NET_FLOW_WAIT) net_source_tell(&c->f.source);
    if (!c->freed && c->request.was_full && (up_closed(c) || left(&c->request) <= NET_LOCAL_QUEUE_BYTES / 2)) {
        c->request.was_full = false;
        net_sink_tell(&c->f.sink);
    }
}

static void destroy(struct local *c) {
    net_job_cancel(&c->job);
    net_timer_free(c->timer);
    net_timer_free(c->patience);
    buf_free(&c->request.bytes);
    buf_free(&c->response.bytes);
    arena_free(c->mem);
    free(c);
}

static void local_job(struct net_job *job) {
    struct local *c = container_of(job, struct local, job);
    if (!c->begun && !c->freed) begin(c);
    if (c->x.live && c->x.closed && !c->gone_told) report_gone(c);
    net_exchange_tell(&c->x);
    if (c->x.live && !c->x.closed) tell_answerer(c);
    if (!c->freed) tell_asker(c);
    if (c->freed && !c->x.live) destroy(c);
}

/* ---- for who asks ---- */

static void local_free(struct net_fetch *f) {
    struct local *c = container_of(f, struct local, f);
    c->freed = c->x.closed = true;
    f->source.notify = f->sink.notify = NULL;
    uncount(c); /* now: whose quota it is may be gone by the next job */
    later(c);
}

static void count(struct local *c, struct net_quota *q) {
    if (net_quota_take(q)) c->quota = q;
    else fail(c, NET_CONNECTION_LIMIT_REACHED);
}

static void set_exchange(struct local *c, const struct net_request *rq, const struct net_local *to) {
    c->rq = *rq;
    str *const texts[] = {&c->rq.method, &c->rq.scheme, &c->rq.authority, &c->rq.path};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) *texts[i] = arena_str(c->mem, *texts[i]);
    c->rq.fields = copy_fields(c->mem, rq->fields, rq->fields_count);
    c->up_left = rq->has_body ? rq->content_length : UINT64_MAX;
    c->request.ended = !rq->has_body;
    if (!rq->has_body) c->rq.content_length = 0;
    c->peer = arena_str(c->mem, to->peer);
    c->on_request = to->on_request;
    c->on_request_arg = to->arg;
    c->handler_ms_max = to->handler_ms_max ? to->handler_ms_max : NET_NO_LIMIT;
    c->body_bytes_max = to->body_bytes_max ? to->body_bytes_max : UINT64_MAX;
    c->x = (struct net_exchange){.ops = &ops,
                                 .source.ops = &source_ops,
                                 .sink.ops = &net_exchange_sink_ops,
                                 .rq = &c->rq,
                                 .started_ns = net_loop_now_ns(c->loop),
                                 .left = UINT64_MAX,
                                 .out_max = UINT64_MAX};
}

enum net_error net_fetch_local(struct net_loop *l, const struct net_fetch_request *rq, const struct net_local *to,
                               void (*on_change)(void *arg), void *arg, struct net_fetch **out) {
    struct net_request r = {.method = rq->method,
                            .scheme = rq->scheme,
                            .authority = rq->authority,
                            .path = rq->path.n ? rq->path : STR("/"),
                            .fields = rq->fields,
                            .fields_count = rq->fields_count,
                            .version = NET_HTTP_1_1,
                            .has_body = rq->has_body};
    *out = NULL;
    enum net_error e = net_request_check(&r);
    if (e != NET_OK) return e;
    struct local *c = calloc(1, sizeof *c);
    ENSURE(c);
    c->mem = arena_new(0);
    c->loop = l;
    c->job.fn = local_job;
    set_exchange(c, &r, to);
    c->first_byte_ms_max = rq->first_byte_ms_max ? rq->first_byte_ms_max : 60'000;
    c->f = (struct net_fetch){.free = local_free,
                              .source.ops = &down_ops,
                              .sink.ops = &up_ops,
                              .on_change = on_change,
                              .arg = arg,
                              .scheme = c->rq.scheme,
                              .authority = c->rq.authority};
    count(c, rq->quota);
    later(c);
    *out = &c->f;
    return NET_OK;
}
