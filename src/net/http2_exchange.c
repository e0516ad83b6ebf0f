/* http2_exchange: an exchange on a stream of HTTP/2: how its bodies come and go. The picture is in http2_conn.h.
 *
 * A response's head is submitted at the end of the turn it was given in: until then it can be taken back, and a body that is whole by then
 * has its length said. */
#include "net/http2_conn.h"
#include "net/party_int.h"
#include "net/relay.h"

static struct http2_stream *of(const struct net_exchange *x) {
    return container_of((struct net_exchange *)(uintptr_t)x, struct http2_stream, x);
}
static struct http2_stream *of_source(const struct net_source *s) {
    return of(container_of((struct net_source *)(uintptr_t)s, struct net_exchange, source));
}
static const struct net_server_config *limits_of(const struct http2_stream *st) { return &st->h->c->server->c; }

/* ---- the request's body ---- */

static void body_failed(struct http2_stream *st, enum net_error e, uint16_t status) {
    if (st->x.source.error) return;
    st->x.source.error = e;
    st->x.body_status = status;
}

/* What is there. WAIT: nothing is. */
static enum net_flow peek(struct http2_stream *st, str *data) {
    if (http2_queued(&st->body)) {
        *data = (str){st->body.b.p + st->body.used, http2_queued(&st->body)};
        return NET_FLOW_DATA;
    }
    if (st->x.source.error) return NET_FLOW_FAILED;
    if (st->body_ended) return NET_FLOW_END;
    if (!st->closed) return NET_FLOW_WAIT;
    body_failed(st, NET_CONNECTION_TERMINATED, 0);
    return NET_FLOW_FAILED;
}

static enum net_flow source_peek(struct net_source *s, str *data) {
    struct http2_stream *st = of_source(s);
    if (s->error) return NET_FLOW_FAILED;
    enum net_flow f = peek(st, data);
    if (f != NET_FLOW_WAIT) return f;
    if (!st->io_deadline_ns && !st->tunnelled) st->io_deadline_ns = http2_after_ms(st, limits_of(st)->body_ms_max);
    if (st->continue_due) {
        nghttp2_nv status = {(uint8_t *)(uintptr_t) ":status", (uint8_t *)(uintptr_t) "100", 7, 3, NGHTTP2_NV_FLAG_NONE};
        st->continue_due = false;
        if (!st->head_sent && st->h->session)
            nghttp2_submit_headers(st->h->session, NGHTTP2_FLAG_NONE, st->id, NULL, &status, 1, NULL);
        http2_stream_due(st);
    }
    return f;
}

static void source_consume(struct net_source *s, size_t n) {
    struct http2_stream *st = of_source(s);
    http2_queue_take(st, &st->body, n);
    st->x.in_bytes += n;
    http2_consumed(st, n);
    http2_stream_due(st);
}

static const struct net_field *source_trailers(const struct net_source *s, uint32_t *count) {
    struct http2_stream *st = of_source(s);
    *count = (uint32_t)st->trailers.n;
    return st->trailers.p;
}

static const struct net_source_ops source_ops = {source_peek, source_consume, source_trailers};

/* ---- the response ---- */

/* Names in small letters (RFC 9113 §8.2.1). They live as long as the stream, so nghttp2 needs no copy of its own. */
static struct net_field *copy_fields(arena *mem, const struct net_field *fields, uint32_t count) {
    struct net_field *copy = arena_array(mem, struct net_field, count ? count : 1);
    for (uint32_t i = 0; i < count; i++) {
        str name = fields[i].name;
        uint8_t *small = arena_array(mem, uint8_t, name.n);
        for (size_t k = 0; k < name.n; k++) small[k] = name.p[k] >= 'A' && name.p[k] <= 'Z' ? name.p[k] | 0x20 : name.p[k];
        copy[i] = (struct net_field){{small, name.n}, arena_str(mem, fields[i].value)};
    }
    return copy;
}

static void exchange_respond(struct net_exchange *x, const struct net_head *h) {
    struct http2_stream *st = of(x);
    st->head = *h;
    st->head.fields = copy_fields(st->mem, h->fields, h->fields_count);
    st->head_due = st->flush_due = true;
    net_exchange_drains(x, st->h->c->server->events_end_ns);
    http2_stream_due(st);
}

static nghttp2_nv nv(str name, str value) {
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.p, (uint8_t *)(uintptr_t)value.p, name.n, value.n,
                        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static nghttp2_nv nv_status(struct http2_stream *st, uint16_t status) {
    uint8_t *digits = arena_array(st->mem, uint8_t, 3);
    for (int i = 2; i >= 0; i--, status /= 10) digits[i] = (uint8_t)('0' + status % 10);
    return nv(STR(":status"), (str){digits, 3});
}

static err exchange_inform(struct net_exchange *x, const struct net_head *h) {
    struct http2_stream *st = of(x);
    if (!st->h->session || st->closed) return ERR_CLOSED;
    if (net_bytes_left(&st->h->c->out) >= limits_of(st)->queue_bytes_max) return ERR_AGAIN;
    nghttp2_nv *all = arena_array(st->mem, nghttp2_nv, h->fields_count + 1);
    size_t n = 0;
    const struct net_field *fields = copy_fields(st->mem, h->fields, h->fields_count);
    all[n++] = nv_status(st, h->status);
    for (uint32_t i = 0; i < h->fields_count; i++)
        if (!http1_field_hop(fields[i].name)) all[n++] = nv(fields[i].name, fields[i].value);
    nghttp2_submit_headers(st->h->session, NGHTTP2_FLAG_NONE, st->id, NULL, all, n, NULL);
    http2_stream_due(st);
    return ERR_OK;
}

/* How much of the response may wait: the client's windows have room for it. */
static size_t most_queued(const struct http2_stream *st) {
    const struct http2_conn *h = st->h;
    size_t most = limits_of(st)->queue_bytes_max, others = h->out_queued - http2_queued(&st->out);
    if (!h->session || st->closed) return most;
    int32_t of_stream = nghttp2_session_get_stream_remote_window_size(h->session, st->id),
            of_all = nghttp2_session_get_remote_window_size(h->session);
    size_t window = (size_t)MAX(of_stream, 0), all = MIN((size_t)MAX(of_all, 0), (size_t)HTTP2_QUEUED_BYTES);
    return MAX(MIN(most, MIN(window, all - MIN(all, others))), MIN(most, (size_t)HTTP2_LEAST_ROOM));
}

static size_t exchange_room(struct net_exchange *x) {
    struct http2_stream *st = of(x);
    size_t most = most_queued(st), used = http2_queued(&st->out);
    return used < most ? most - used : 0;
}

static void exchange_put(struct net_exchange *x, str data) {
    struct http2_stream *st = of(x);
    http2_queue_put(st, &st->out, data);
    st->flush_due = true;
    http2_stream_due(st);
}

static void exchange_finish(struct net_exchange *x, str last, const struct net_field *trailers, uint32_t count) {
    struct http2_stream *st = of(x);
    if (last.n) exchange_put(x, last);
    st->out_ended = st->flush_due = true;
    st->out_trailers = copy_fields(st->mem, trailers, count);
    st->out_trailers_count = count;
    http2_stream_due(st);
}

static void submit_trailers(struct http2_stream *st) {
    nghttp2_nv *all = arena_array(st->mem, nghttp2_nv, st->out_trailers_count);
    size_t n = 0;
    for (uint32_t i = 0; i < st->out_trailers_count; i++)
        if (!http1_field_hop(st->out_trailers[i].name)) all[n++] = nv(st->out_trailers[i].name, st->out_trailers[i].value);
    nghttp2_submit_trailer(st->h->session, st->id, all, n);
}

/* nghttp2 has room for so much. */
static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t room, uint32_t *flags,
                       nghttp2_data_source *source, void *arg) {
    struct http2_stream *st = source->ptr;
    size_t n = MIN(room, http2_queued(&st->out));
    if (n) memcpy(to, st->out.b.p + st->out.used, n);
    http2_queue_take(st, &st->out, n);
    st->write_deadline_ns = 0;
    if (st->out_ended && !http2_queued(&st->out)) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (st->out_trailers_count) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(st);
        }
    } else if (!n) {
        st->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    st->h->credit += 2; /* whoever takes much may say so often */
    http2_stream_due(st);
    return (ssize_t)n;
}

/* What the response says of its priority counts more than what the client said (RFC 9218 §8); later the client may say other. */
static void prioritize(struct http2_stream *st) {
    struct net_priority p = st->priority;
    const struct net_head *h = &st->head;
    bool said = false;
    if (!st->prioritized && !st->h->knows_priorities) p.incremental = said = true;
    for (uint32_t i = 0; i < h->fields_count; i++)
        if (str_eqc(h->fields[i].name, "priority")) said |= net_priority_read(h->fields[i].value, &p);
    st->priority = p;
    nghttp2_extpri to = {.urgency = p.urgency, .inc = p.incremental};
    if (said) nghttp2_session_change_extpri_stream_priority(st->h->session, st->id, &to, 0);
}

static void submit(struct http2_stream *st) {
    const struct net_head *h = &st->head;
    struct net_server *s = st->h->c->server;
    nghttp2_nv *all = arena_array(st->mem, nghttp2_nv, h->fields_count + 4);
    size_t n = 0;
    bool unframed = h->status == 204 || h->status == 205,
         bare = !st->tunnelled && (st->x.no_body || (st->out_ended && !http2_queued(&st->out) && !st->out_trailers_count));
    all[n++] = nv_status(st, h->status);
    for (uint32_t i = 0; i < h->fields_count; i++) {
        str name = h->fields[i].name;
        if (!http1_field_hop(name) && !(unframed && str_eq_nocase(name, STR("content-length"))))
            all[n++] = nv(name, h->fields[i].value);
    }
    if (st->out_ended && !st->x.no_body && h->content_length == UINT64_MAX && !st->tunnelled)
        all[n++] = nv(STR("content-length"), arena_fmt(st->mem, "%zu", http2_queued(&st->out)));
    if (!h->has_date) all[n++] = nv(STR("date"), arena_str(st->mem, str_c(http1_date_text(&s->date, net_loop_wall_s(s->loop)))));
    if (!h->has_server && s->c.server_name.n) all[n++] = nv(STR("server"), s->c.server_name);
    nghttp2_data_provider body = {.source.ptr = st, .read_callback = on_read};
    st->head_due = false;
    st->head_sent = true;
    if (bare) st->out_ended = true;
    else prioritize(st);
    if (nghttp2_submit_response(st->h->session, st->id, all, n, bare ? NULL : &body) != 0)
        http2_reset(st, NGHTTP2_INTERNAL_ERROR);
}

static void exchange_abort(struct net_exchange *x) {
    struct http2_stream *st = of(x);
    if (st->head_sent) http2_reset(st, NGHTTP2_INTERNAL_ERROR);
    http2_stream_due(st); /* until the end of the turn its owner may give another response */
}

static void exchange_later(struct net_exchange *x) { http2_stream_due(of(x)); }

static bool exchange_retract(struct net_exchange *x) {
    struct http2_stream *st = of(x);
    if (st->head_sent) return false;
    st->head_due = false;
    http2_queue_take(st, &st->out, http2_queued(&st->out));
    return true;
}

static err exchange_limits(struct net_exchange *x, uint32_t handler_ms_max, uint64_t body_bytes_max) {
    struct http2_stream *st = of(x);
    if (handler_ms_max && handler_ms_max < limits_of(st)->handler_ms_max) {
        x->deadline_ns = x->started_ns + handler_ms_max * 1000000ull;
        net_server_sweep_for(st->h->c->server, handler_ms_max);
    }
    if (body_bytes_max) st->body_bytes_max = MIN(st->body_bytes_max, body_bytes_max);
    bool declared = st->rq.content_length != UINT64_MAX && st->rq.content_length > st->body_bytes_max;
    if (!declared && st->body_bytes <= st->body_bytes_max && x->source.error != NET_HTTP_REQUEST_BODY_SIZE) return ERR_OK;
    body_failed(st, NET_HTTP_REQUEST_BODY_SIZE, 413);
    st->continue_due = false;
    return ERR_LIMIT;
}

/* RFC 8441 §5: the answer is a 200, and both bodies are the other protocol's. */
static err exchange_upgrade(struct net_exchange *x, struct net_head *h, const struct net_upgrade *to) {
    struct http2_stream *st = of(x);
    if (!str_eq_nocase(st->rq.protocol, to->protocol) || !to->protocol.n || st->relayed) return ERR_UNSUPPORTED;
    if (x->source.error || h->content_length != UINT64_MAX) return ERR_USAGE;
    h->status = 200;
    st->upgrade = *to;
    st->tunnelled = true;
    st->body_bytes_max = UINT64_MAX;
    x->deadline_ns = st->io_deadline_ns = 0;
    exchange_respond(x, h);
    return ERR_OK;
}

static void exchange_serve_for(struct net_exchange *x, struct net_party *party) {
    net_lane_choose(&of(x)->h->c->lane, net_party_lane(party));
}

static str exchange_peer(const struct net_exchange *x, uint16_t *port) {
    struct net_conn *c = of(x)->h->c;
    *port = net_conn_peer_port(c);
    return net_conn_peer(c);
}

/* ---- life ---- */

static void give_up(struct http2_stream *st) {
    struct net_exchange *x = &st->x;
    if (x->finished || x->closed || !net_exchange_retract(x)) return;
    uint16_t status = x->body_status ? x->body_status : 500;
    struct net_field type = {STR("content-type"), STR("text/plain; charset=utf-8")};
    err e = net_exchange_reply(x, status, &type, 1, arena_fmt(st->mem, "%u %s\n", status, net_status_text(status)));
    ENSURE(e == ERR_OK || e == ERR_CLOSED);
}

static void exchange_end(struct net_exchange *x) {
    struct http2_stream *st = of(x);
    if (UNLIKELY(st->upgrade.fn)) { /* it goes on as a tunnel */
        st->handing = true;
        http2_stream_due(st);
        return;
    }
    if (!x->finished) give_up(st);
    if (!x->finished) http2_reset(st, NGHTTP2_INTERNAL_ERROR);
    x->live = x->source.waiting = false;
    size_t left = http2_queued(&st->body);
    http2_queue_take(st, &st->body, left);
    http2_consumed(st, left);
    st->io_deadline_ns = 0;
    http2_stream_due(st);
}

/* What its owner makes of the fields, he makes of a copy. */
static void as_it_came(struct http2_stream *st) {
    st->rq = st->came;
    struct net_field *fields = arena_array(st->mem, struct net_field, st->fields.n + 1);
    if (st->fields.n) memcpy(fields, st->fields.p, st->fields.n * sizeof *fields);
    st->rq.fields = fields;
}

/* The connection is others', too: what is asked on it goes on by one of its own. */
static err exchange_pass(struct net_exchange *x, const struct net_pass *to) {
    struct http2_stream *st = of(x);
    struct net_conn *c = st->h->c;
    if (st->rq.protocol.n) return ERR_LIMIT; /* a pair of sockets is of HTTP/1.1 */
    as_it_came(st);
    x->peer = (str){0};
    err e = net_relay(c->server->loop, x, to,
                      &(struct net_handover){
                          .fd = -1, .peer = &c->peer, .peer_n = sizeof c->peer, .passes = c->passes + 1, .secure = c->secure});
    if (e != ERR_OK) return ERR_LIMIT;
    st->relayed = true;
    c->server->stats.passed++;
    return ERR_OK;
}

static const struct net_exchange_ops ops = {.respond = exchange_respond,
                                            .inform = exchange_inform,
                                            .room = exchange_room,
                                            .put = exchange_put,
                                            .finish = exchange_finish,
                                            .abort = exchange_abort,
                                            .later = exchange_later,
                                            .retract = exchange_retract,
                                            .limits = exchange_limits,
                                            .upgrade = exchange_upgrade,
                                            .serve_for = exchange_serve_for,
                                            .pass = exchange_pass,
                                            .peer = exchange_peer,
                                            .end = exchange_end};

static void make_exchange(struct http2_stream *st) {
    struct net_server *s = st->h->c->server;
    struct net_exchange was = st->x; /* what its body has come to meanwhile */
    uint64_t now = net_loop_now_ns(s->loop);
    st->begun = true;
    st->x = (struct net_exchange){.ops = &ops,
                                  .source = {.ops = &source_ops, .error = was.source.error},
                                  .sink.ops = &net_exchange_sink_ops,
                                  .rq = &st->rq,
                                  .started_ns = now,
                                  .deadline_ns = net_after(now, s->c.handler_ms_max),
                                  .left = UINT64_MAX,
                                  .out_max = UINT64_MAX,
                                  .body_status = was.body_status,
                                  .tls = st->h->c->tls,
                                  .port = s->port,
                                  .live = true};
}

void http2_exchange_begin(struct http2_stream *st) {
    struct net_server *s = st->h->c->server;
    st->rq.scheme = st->h->c->secure ? STR("https") : STR("http"); /* how it came, whatever :scheme says */
    if (!st->rq.authority.n) st->rq.authority = net_conn_local(st->h->c);
    st->came = st->rq;
    as_it_came(st);
    make_exchange(st);
    s->stats.requests++;
    s->c.on_request(&st->x, s->c.arg);
}

void http2_exchange_refuse(struct http2_stream *st, uint16_t status, const char *why) {
    struct net_server *s = st->h->c->server;
    s->stats.bad_requests++;
    if (s->c.on_refused) s->c.on_refused(net_conn_peer(st->h->c), status, why, s->c.arg);
    make_exchange(st);
    struct net_field type = {STR("content-type"), STR("text/plain; charset=utf-8")};
    err e = net_exchange_reply(&st->x, status, &type, 1, arena_fmt(st->mem, "%u %s: %s\n", status, net_status_text(status), why));
    ENSURE(e == ERR_OK);
    net_exchange_end(&st->x);
}

static void report_gone(struct http2_stream *st) {
    struct net_exchange *x = &st->x;
    st->gone_told = true;
    if (!st->body_ended) body_failed(st, NET_CONNECTION_TERMINATED, 0);
    if (!x->sink.error) x->sink.error = NET_CONNECTION_TERMINATED;
    if (x->event && !x->aborted) x->event(x->event_arg, NET_EVENT_GONE);
    if (x->live) net_source_tell(&x->source);
    if (x->live) net_sink_tell(&x->sink);
}

static void tell_sink(struct http2_stream *st) {
    struct net_exchange *x = &st->x;
    size_t queued = http2_queued(&st->out);
    if (!st->head_sent || x->finished) return;
    bool flushed = st->flush_due && !queued, room = x->was_full && queued <= most_queued(st) / 2;
    if (!flushed && !room) return;
    st->flush_due = x->was_full = false;
    net_exchange_tell_sink(x);
}

static void send_more(struct http2_stream *st) {
    if (st->head_due) submit(st);
    if (st->deferred && (http2_queued(&st->out) || st->out_ended)) {
        st->deferred = false;
        nghttp2_session_resume_data(st->h->session, st->id);
    }
    if (http2_queued(&st->out) && st->head_sent && !st->write_deadline_ns)
        st->write_deadline_ns = http2_after_ms(st, limits_of(st)->write_ms_max);
    if (st->all_sent && !st->x.live && !st->body_ended && !st->reset_due_ns) {
        st->reset_due_ns = http2_after_ms(st, HTTP2_LINGER_MS);
        net_server_sweep_for(st->h->c->server, HTTP2_LINGER_MS);
    }
}

void http2_exchange_abandon(struct http2_stream *st) {
    if (st->tunnelled && st->x.live) http2_tunnel_abandon(st);
    if (st->relayed && st->x.live && st->x.event) st->x.event(st->x.event_arg, NET_EVENT_GONE);
}

void http2_exchange_progress(struct http2_stream *st) {
    struct net_exchange *x = &st->x;
    str data;
    if (UNLIKELY(st->handing)) {
        st->handing = false;
        http2_tunnel_begin(st);
    }
    if (x->live && x->closed) {
        if (!st->gone_told) report_gone(st);
        return;
    }
    if (x->live) net_exchange_tell(x);
    if (x->live && x->aborted) give_up(st);
    if (!st->closed && st->h->session) send_more(st);
    if (x->live && x->source.waiting && peek(st, &data) != NET_FLOW_WAIT) net_source_tell(&x->source);
    if (x->live && !x->closed) tell_sink(st);
}

bool http2_exchange_next_deadline(const struct http2_stream *st, uint64_t now) {
    return net_passed(st->io_deadline_ns, now) || net_passed(st->write_deadline_ns, now) || net_passed(st->reset_due_ns, now) ||
           (st->x.live && net_passed(st->x.deadline_ns, now));
}

void http2_exchange_expired(struct http2_stream *st, uint64_t now) {
    struct net_exchange *x = &st->x;
    if (net_passed(st->write_deadline_ns, now)) { /* it takes nothing of what it asked for */
        st->write_deadline_ns = 0;
        http2_reset(st, NGHTTP2_CANCEL);
    }
    if (net_passed(st->reset_due_ns, now)) { /* it was answered whole, and no more is wanted of it (RFC 9113 §8.1) */
        st->reset_due_ns = 0;
        st->body_ended = true;
        if (!st->closed) http2_reset(st, NGHTTP2_NO_ERROR);
    }
    if (x->live && net_passed(x->deadline_ns, now)) {
        x->deadline_ns = 0;
        if (x->event) x->event(x->event_arg, NET_EVENT_DEADLINE);
    } else if (x->live && net_passed(st->io_deadline_ns, now)) {
        st->io_deadline_ns = 0;
        body_failed(st, NET_CONNECTION_READ_TIMEOUT, 408);
        http2_stream_due(st);
        net_source_tell(&x->source);
    }
}
