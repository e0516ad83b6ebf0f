/* exchange: a request and its response, as the owner sees them: what may be called when, and the account of it. How a response travels is
 * the business of ops.
 *
 *   (request) ─> respond ─> write … ─> finish ─> end
 *       ├─ inform …  └── retract: back, while nothing has left
 *       └─ pass: another process answers
 */
#include "net/exchange_int.h"
#include "net/filter.h"

static struct net_exchange *of(const struct net_sink *s) {
    return container_of((struct net_sink *)(uintptr_t)s, struct net_exchange, sink);
}

/* ---- a response that is larger than it may be ---- */

static err too_large(struct net_exchange *x) {
    x->over = true;
    x->sink.error = NET_HTTP_RESPONSE_BODY_SIZE;
    x->ops->later(x);
    return ERR_LIMIT;
}

void net_exchange_tell_over(struct net_exchange *x) {
    x->over_told = true;
    if (x->event) x->event(x->event_arg, NET_EVENT_TOO_LARGE);
}

void net_exchange_response_limit(struct net_exchange *x, uint64_t bytes_max) { x->out_max = bytes_max; }
bool net_exchange_too_large(const struct net_exchange *x) { return x->over; }

/* ---- the response's body ---- */

static size_t room(struct net_exchange *x) {
    size_t n = x->ops->room(x);
    return LIKELY(x->filtering == NULL) ? n : net_filtering_room(x, n);
}

/* What is written is nobody's. */
static bool replaced(const struct net_exchange *x) { return UNLIKELY(x->filtering != NULL) && net_exchange_replaced(x); }

static size_t sink_room(const struct net_sink *s) {
    struct net_exchange *x = of(s);
    if (replaced(x)) return NET_REPLACED_ROOM;
    if (s->error || x->closed || x->finished) return 0;
    size_t n = room(x);
    if (!n) x->was_full = true;
    return n;
}

static err sink_write(struct net_sink *s, str data) {
    struct net_exchange *x = of(s);
    if (replaced(x)) return ERR_OK;
    if (s->error || x->closed || x->finished) return ERR_CLOSED;
    if (!x->responded) return ERR_USAGE;
    if (!data.n) return ERR_OK;
    if (data.n > room(x)) {
        x->was_full = true;
        return ERR_AGAIN;
    }
    if (x->left != UINT64_MAX) {
        if (data.n > x->left) return ERR_INVALID;
        x->left -= data.n;
    }
    if (UNLIKELY(x->filtering != NULL)) return net_filtering_write(x, data) == ERR_OK ? ERR_OK : too_large(x);
    if (UNLIKELY(x->out_bytes + data.n > x->out_max) && !x->no_body) return too_large(x);
    x->out_bytes += data.n;
    if (!x->no_body) x->ops->put(x, data);
    return ERR_OK;
}

size_t net_exchange_send_file(struct net_exchange *x, int fd, uint64_t at, size_t n) {
    bool may = x->ops->file && (LIKELY(x->filtering == NULL) || !net_filtering_touches(x)) && x->responded && !x->finished &&
               !x->closed && !x->sink.error && !x->no_body;
    if (!may || x->left == UINT64_MAX || x->out_max != UINT64_MAX || n > x->left) return 0;
    n = x->ops->file(x, fd, at, n);
    x->left -= n;
    x->out_bytes += n;
    return n;
}

static err sink_finish(struct net_sink *s, const struct net_field *trailers, uint32_t count) {
    struct net_exchange *x = of(s);
    if (replaced(x)) return ERR_OK;
    if (s->error || x->closed || x->finished) return ERR_CLOSED;
    if (!x->responded) return ERR_USAGE;
    if (x->left != UINT64_MAX && x->left && !x->no_body) return ERR_INVALID;
    if (UNLIKELY(!net_fields_ok(trailers, count))) return ERR_INVALID;
    if (UNLIKELY(x->filtering != NULL)) {
        net_filtering_finish(x, (str){0}, trailers, count);
        return ERR_OK;
    }
    x->finished = true;
    x->ops->finish(x, (str){0}, trailers, count);
    return ERR_OK;
}

static void sink_abort(struct net_sink *s, enum net_error e) {
    struct net_exchange *x = of(s);
    if (s->error || x->closed || x->finished || !x->responded) return;
    if (UNLIKELY(x->filtering != NULL) && net_filtering_held(x)) net_filtering_settle(x);
    s->error = e;
    x->aborted = true;
    x->ops->abort(x);
}

const struct net_sink_ops net_exchange_sink_ops = {sink_room, sink_write, sink_finish, sink_abort};

/* ---- its head ---- */

err net_exchange_inform(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count) {
    struct net_head h = {.status = status, .fields = fields, .fields_count = count};
    if (x->closed) return ERR_CLOSED;
    if (x->responded) return ERR_USAGE;
    if (status < 102 || status > 199) return ERR_INVALID;
    TRY(net_head_check(&h));
    return x->rq->version > NET_HTTP_1_0 ? x->ops->inform(x, &h) : ERR_OK;
}

/* Of one that goes through a filter. bytes: all of the body, where it is given at once; else UINT64_MAX. */
static err respond_filtered(struct net_exchange *x, struct net_answer *a, uint64_t bytes) {
    struct net_head h = {.status = a->status, .fields = a->fields, .fields_count = a->fields_count};
    TRY(net_head_check(&h));
    x->no_body = a->status == 205 || net_response_bodiless(x->rq->method, a->status);
    if (h.content_length != UINT64_MAX && h.content_length > x->out_max && !x->no_body) return too_large(x);
    x->left = h.content_length;
    if (x->no_body && !str_eq(x->rq->method, STR("HEAD"))) x->left = UINT64_MAX;
    return net_filtering_respond(x, a, h.content_length == UINT64_MAX ? bytes : h.content_length,
                                 bytes != UINT64_MAX && !x->no_body);
}

err net_exchange_respond(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count) {
    struct net_answer a = {status, fields, count};
    if (x->closed) return ERR_CLOSED;
    if (x->responded) return ERR_USAGE;
    if (status < 200) return ERR_INVALID;
    if (UNLIKELY(x->filtering != NULL)) return respond_filtered(x, &a, UINT64_MAX);
    if (UNLIKELY(x->amend)) x->amend(x->amend_arg, &a);
    struct net_head h = {.status = a.status, .fields = a.fields, .fields_count = a.fields_count};
    TRY(net_head_check(&h));
    x->no_body = a.status == 205 || net_response_bodiless(x->rq->method, a.status);
    if (UNLIKELY(h.content_length != UINT64_MAX && h.content_length > x->out_max && !x->no_body)) return too_large(x);
    x->left = h.content_length;
    if (x->no_body && !str_eq(x->rq->method, STR("HEAD"))) x->left = UINT64_MAX;
    x->responded = true;
    x->status = a.status;
    x->events = h.events && h.content_length == UINT64_MAX;
    x->ops->respond(x, &h);
    return ERR_OK;
}

bool net_exchange_events(const struct net_exchange *x) { return x->events; }

bool net_exchange_go_on(struct net_exchange *x, uint64_t deadline_ns) {
    if (x->ending || x->closed) return false;
    x->deadline_ns = deadline_ns;
    return true;
}

/* Who is answered all at once is read no further. */
static bool leaves_body(const struct net_exchange *x) {
    const struct net_request *rq = x->rq;
    return rq->has_body && rq->content_length != UINT64_MAX && rq->content_length - x->in_bytes > NET_DISCARD_BYTES_MAX;
}

static err reply_filtered(struct net_exchange *x, struct net_answer *a, str body) {
    if (x->closed) return ERR_CLOSED;
    if (x->responded) return ERR_USAGE;
    if (a->status < 200) return ERR_INVALID;
    TRY(respond_filtered(x, a, body.n));
    if (net_exchange_replaced(x)) return ERR_OK;
    if (x->left != UINT64_MAX && !x->no_body) {
        if (body.n != x->left) return ERR_INVALID;
        x->left = 0;
    }
    if (body.n > x->out_max && !x->no_body) return too_large(x);
    net_filtering_finish(x, body, NULL, 0);
    return ERR_OK;
}

err net_exchange_reply(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count, str body) {
    x->leaves_body = leaves_body(x);
    if (UNLIKELY(x->filtering != NULL)) return reply_filtered(x, &(struct net_answer){status, fields, count}, body);
    TRY(net_exchange_respond(x, status, fields, count));
    if (x->left != UINT64_MAX && !x->no_body) {
        if (body.n != x->left) return ERR_INVALID;
        x->left = 0;
    }
    if (UNLIKELY(body.n > x->out_max) && !x->no_body) return too_large(x);
    x->out_bytes += body.n;
    x->finished = true;
    x->ops->finish(x, x->no_body ? (str){0} : body, NULL, 0);
    return ERR_OK;
}

bool net_exchange_retract(struct net_exchange *x) {
    if (!x->responded) {
        if (x->over) x->out_max = UINT64_MAX, x->sink.error = NET_OK;
        return true;
    }
    if (x->finished || x->closed) return false;
    if (!(UNLIKELY(x->filtering != NULL) && net_filtering_held(x)) && !x->ops->retract(x)) return false;
    if (UNLIKELY(x->filtering != NULL)) net_filtering_forget(x);
    x->responded = x->no_body = x->aborted = false;
    x->sink.error = NET_OK;
    if (x->over) x->out_max = UINT64_MAX; /* what is said instead is short */
    x->left = UINT64_MAX;
    x->status = 0;
    x->out_bytes = 0;
    return true;
}

err net_exchange_upgrade(struct net_exchange *x, const struct net_upgrade *to, const struct net_field *fields, uint32_t count) {
    struct net_head h = {.status = 101, .fields = fields, .fields_count = count};
    if (x->closed) return ERR_CLOSED;
    if (x->responded) return ERR_USAGE;
    TRY(net_head_check(&h));
    TRY(x->ops->upgrade(x, &h, to));
    x->responded = x->finished = x->no_body = true;
    x->status = h.status;
    return ERR_OK;
}

void net_exchange_serve_for(struct net_exchange *x, struct net_party *party) {
    if (x->ops->serve_for) x->ops->serve_for(x, party);
}

err net_exchange_pass(struct net_exchange *x, const struct net_pass *to) {
    ENSURE(x->live);
    if (!x->ops->pass) return ERR_UNSUPPORTED;
    if (x->closed) return ERR_CLOSED;
    if (x->responded || x->in_bytes) return ERR_USAGE;
    if (UNLIKELY(x->filtering != NULL)) net_filtering_over(x);
    return x->ops->pass(x, to);
}

void net_exchange_end(struct net_exchange *x) {
    ENSURE(x->live);
    if (UNLIKELY(x->filtering != NULL)) {
        if (net_filtering_held(x)) (void)net_exchange_retract(x);
        net_filtering_over(x);
    }
    x->ops->end(x);
}

/* ---- the request ---- */

err net_exchange_limits(struct net_exchange *x, uint32_t handler_ms_max, uint64_t body_bytes_max) {
    return x->ops->limits(x, handler_ms_max, body_bytes_max);
}

void net_exchange_set_origin(struct net_exchange *x, str peer, str scheme, str authority) {
    if (peer.n) x->peer = peer;
    if (scheme.n) x->rq->scheme = scheme;
    if (authority.n) x->rq->authority = authority;
}

void net_exchange_drop_fields(struct net_exchange *x, bool (*drop)(void *arg, str name), void *arg) {
    struct net_request *rq = x->rq;
    struct net_field *fields = (struct net_field *)(uintptr_t)rq->fields;
    uint32_t n = 0;
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (!drop(arg, fields[i].name)) fields[n++] = fields[i];
    rq->fields_count = n;
}

void net_exchange_own_field(struct net_exchange *x, str name, str value) {
    struct net_request *rq = x->rq;
    struct net_field *fields = (struct net_field *)(uintptr_t)rq->fields;
    uint32_t n = 0;
    bool said = false;
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        bool same = str_eq_nocase(fields[i].name, name);
        if (same && said) continue;
        fields[n] = fields[i];
        if (same) fields[n].value = value;
        said |= same;
        n++;
    }
    rq->fields_count = n;
}

void net_exchange_set_path(struct net_exchange *x, str path) { x->rq->path = path; }

void net_exchange_set_fields(struct net_exchange *x, struct net_field *fields, uint32_t count) {
    x->rq->fields = fields;
    x->rq->fields_count = count;
}

void net_exchange_amend(struct net_exchange *x, void (*fn)(void *arg, struct net_answer *head), void *arg) {
    x->amend = fn;
    x->amend_arg = arg;
}

uint16_t net_exchange_body_status(const struct net_exchange *x) {
    switch (x->source.error) {
    case NET_OK:
    case NET_CONNECTION_TERMINATED: return 0;
    default: return x->body_status ? x->body_status : 400;
    }
}

/* ---- looking at it ---- */

const struct net_request *net_exchange_request(const struct net_exchange *x) { return x->rq; }
struct net_source *net_exchange_source(struct net_exchange *x) {
    return &x->source;
}
struct net_sink *net_exchange_sink(struct net_exchange *x) {
    return &x->sink;
}
bool net_exchange_responded(const struct net_exchange *x) { return x->responded; }
str net_exchange_peer(const struct net_exchange *x) {
    uint16_t port;
    return x->peer.n ? x->peer : x->ops->peer(x, &port);
}
uint16_t net_exchange_peer_port(const struct net_exchange *x) {
    uint16_t port;
    x->ops->peer(x, &port);
    return port;
}
uint16_t net_exchange_port(const struct net_exchange *x) { return x->port; }

void net_exchange_listen(struct net_exchange *x, void (*fn)(void *arg, enum net_event event), void *arg) {
    x->event = fn;
    x->event_arg = arg;
}

struct net_exchange_stats net_exchange_stats(const struct net_exchange *x) {
    return (struct net_exchange_stats){x->started_ns, x->in_bytes, x->out_bytes, x->status};
}
