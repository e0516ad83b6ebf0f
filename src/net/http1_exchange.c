/* http1_exchange: an exchange on a connection of HTTP/1.1: how its bodies come and go. The picture of the queue is in http1_conn.h. */
#include "net/http1_conn.h"
#include "net/party_int.h"
#include "net/relay.h"
#include <stdlib.h>

static struct http1_conn *conn_of(const struct net_exchange *x) {
    return container_of((struct net_exchange *)(uintptr_t)x, struct http1_conn, x);
}

static size_t pending(const struct http1_conn *h) { return net_bytes_left(&h->c.out); }

/* ---- the request's body ---- */

static void body_failed(struct http1_conn *h) {
    if (h->x.source.error) return;
    h->x.body_status = h->body_state.status;
    h->x.source.error = h->body_state.status == 413   ? NET_HTTP_REQUEST_BODY_SIZE
                        : h->body_state.status == 431 ? NET_HTTP_REQUEST_TRAILER_SECTION_SIZE
                        : h->body_state.status        ? NET_HTTP_PROTOCOL_ERROR
                                                      : NET_CONNECTION_TERMINATED;
}

static struct net_bytes *body_bytes(struct http1_conn *h) { return net_bytes_left(&h->c.in) ? &h->c.in : &h->body; }

/* What stands in the buffers. WAIT: nothing does. */
static enum net_flow peek_buffered(struct http1_conn *h, str *data) {
    for (;;) {
        struct net_bytes *b = body_bytes(h);
        size_t skip = 0;
        enum http1_result r = http1_body_next(&h->body_state, b->p + b->off, net_bytes_left(b), &skip, data);
        b->off += (uint32_t)skip;
        if (r == HTTP1_ERROR) {
            body_failed(h);
            return NET_FLOW_FAILED;
        }
        if (data->n) return NET_FLOW_DATA;
        if (r == HTTP1_DONE) return NET_FLOW_END;
        if (!net_bytes_left(body_bytes(h))) return NET_FLOW_WAIT;
    }
}

/* The client is told to send its body. A response that was given already, but has not left, waits behind it. */
static void send_continue(struct http1_conn *h) {
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    enum { N = sizeof line - 1 };
    struct net_exchange *x = &h->x;
    h->o.continue_due = false;
    h->o.continued = true;
    if (h->failed || (x->responded && !h->o.retractable)) return;
    http1_out_put(h, line, N);
    if (!x->responded) {
        http1_out_flush(h);
        return;
    }
    uint8_t *head = h->c.out.p + h->o.head_at;
    memmove(head + N, head, h->c.out.end - N - h->o.head_at);
    memcpy(head, line, N);
    h->o.head_at += N;
    h->o.gap_at += N;
}

static void arm_body_deadline(struct http1_conn *h) {
    h->io_deadline_ns = net_server_deadline(h->c.server, h->c.server->c.body_ms_max);
}

static void arm_half_closed(struct http1_conn *h) {
    h->io_deadline_ns = h->half_closed ? net_server_deadline(h->c.server, h->c.server->c.half_closed_ms_max) : 0;
}

static enum net_flow source_peek(struct net_source *s, str *data) {
    struct http1_conn *h = conn_of(container_of(s, struct net_exchange, source));
    for (;;) {
        if (s->error) return NET_FLOW_FAILED;
        enum net_flow f = peek_buffered(h, data);
        if (f != NET_FLOW_WAIT) {
            if (f == NET_FLOW_END && h->io_deadline_ns) arm_half_closed(h);
            return f;
        }
        if (h->eof || h->failed || h->state == HTTP1_DEAD) {
            body_failed(h);
            return NET_FLOW_FAILED;
        }
        if (h->o.continue_due) send_continue(h);
        if (h->turn_bytes >= HTTP1_TURN_BYTES &&
            h->c.stream->readable) { /* a client may send faster than anybody looks at it: others first */
            net_conn_later(&h->c);
            return NET_FLOW_WAIT;
        }
        if (!h->c.stream->readable) {
            net_bytes_release(&h->body);
            if (!h->io_deadline_ns) arm_body_deadline(h);
            return NET_FLOW_WAIT;
        }
        if (!h->body.base) {
            h->body.base = h->body.p = net_pool_get(h->body.pool = &h->c.server->large);
            h->body.cap = NET_LARGE_BYTES;
        }
        h->body.off = h->body.end = 0;
        if (http1_conn_recv(h, &h->body)) h->io_deadline_ns = 0;
        h->turn_bytes += h->body.end;
    }
}

static void source_consume(struct net_source *s, size_t n) {
    struct http1_conn *h = conn_of(container_of(s, struct net_exchange, source));
    http1_body_took(&h->body_state, n);
    body_bytes(h)->off += (uint32_t)n;
    h->x.in_bytes += n;
}

static const struct net_field *source_trailers(const struct net_source *s, uint32_t *count) {
    struct http1_conn *h = conn_of(container_of((struct net_source *)(uintptr_t)s, struct net_exchange, source));
    *count = h->body_state.trailers_count;
    return h->body_state.trailers;
}

static const struct net_source_ops source_ops = {source_peek, source_consume, source_trailers};

/* ---- the response's body ---- */

static size_t exchange_room(struct net_exchange *x) {
    const struct http1_conn *h = conn_of(x);
    size_t max = h->c.server->c.queue_bytes_max, used = pending(h);
    if (UNLIKELY(h->o.awaits_socket)) return 0;
    return used < max ? max - used : 0;
}

void http1_exchange_decide(struct http1_conn *h, uint64_t length) {
    uint8_t gap[HTTP1_GAP_BYTES];
    size_t n = 0, body = h->c.out.end - h->o.gap_at - HTTP1_GAP_BYTES;
    bool old = h->head.rq.version == NET_HTTP_1_0, known = length != UINT64_MAX;
    h->o.undecided = false;
    if (old) {
        h->o.close |= !known;
        str line = h->o.close ? STR("Connection: close\r\n") : STR("Connection: keep-alive\r\n");
        memcpy(gap, line.p, n = line.n);
    }
    if (known) {
        n += http1_end_length(gap + n, length);
    } else if (old) {
        h->o.until_close = true;
        n += http1_end_plain(gap + n);
    } else {
        h->o.chunked = true;
        n += http1_end_chunked(gap + n);
        if (body) n += http1_chunk_head(gap + n, body);
    }
    size_t slack = HTTP1_GAP_BYTES - n;
    memmove(h->c.out.p + h->c.out.off + slack, h->c.out.p + h->c.out.off, h->o.gap_at - h->c.out.off);
    h->c.out.off += (uint32_t)slack;
    h->o.head_at += (uint32_t)slack;
    memcpy(h->c.out.p + h->o.gap_at + slack, gap, n);
    if (h->o.chunked && body) http1_out_put(h, "\r\n", 2);
}

/* With its framing, or without a copy. */
static void write_framed(struct http1_conn *h, str data) {
    uint8_t head[20];
    str a = {0}, z = {0};
    if (h->o.chunked) {
        a = (str){head, http1_chunk_head(head, data.n)};
        z = STR("\r\n");
    }
    if (data.n >= HTTP1_DIRECT_BYTES) {
        http1_out_direct(h, a, data, z);
    } else {
        http1_out_reserve(h, a.n + data.n + z.n);
        http1_out_put(h, a.p, a.n);
        http1_out_put(h, data.p, data.n);
        http1_out_put(h, z.p, z.n);
    }
}

static void write_now(struct http1_conn *h, str data) {
    if (LIKELY(!h->o.chunked && data.n < HTTP1_DIRECT_BYTES)) http1_out_put(h, data.p, data.n);
    else write_framed(h, data);
}

static void exchange_put(struct net_exchange *x, str data) {
    struct http1_conn *h = conn_of(x);
    if (h->o.undecided && h->c.out.end - h->o.gap_at + data.n > HTTP1_HOLD_BYTES) http1_exchange_decide(h, UINT64_MAX);
    if (h->o.undecided) http1_out_put(h, data.p, data.n);
    else write_now(h, data);
    h->o.flush_due = true;
    net_conn_later(&h->c);
}

static size_t exchange_file(struct net_exchange *x, int fd, uint64_t at, size_t n) {
    struct http1_conn *h = conn_of(x);
    size_t went = http1_out_file(h, fd, at, n);
    net_conn_later(&h->c); /* where it failed, and to be told of room */
    return went;
}

static void finish_chunks(struct http1_conn *h, const struct net_field *trailers, uint32_t count) {
    if (LIKELY(!count)) {
        http1_out_put(h, "0\r\n\r\n", 5);
        return;
    }
    struct buf b = {0};
    err e = http1_chunk_last(&b, trailers, count);
    ENSURE(e == ERR_OK);
    http1_out_put(h, b.p, b.n);
    buf_free(&b);
}

static void exchange_finish(struct net_exchange *x, str last, const struct net_field *trailers, uint32_t count) {
    struct http1_conn *h = conn_of(x);
    if (h->o.undecided) {
        bool chunks = UNLIKELY(count) && x->rq->version >= NET_HTTP_1_1; /* which trailers need */
        http1_exchange_decide(h, chunks ? UINT64_MAX : h->c.out.end - h->o.gap_at - HTTP1_GAP_BYTES + last.n);
    }
    if (last.n) write_now(h, last);
    if (h->o.chunked) finish_chunks(h, trailers, count);
    h->o.flush_due = true;
    /* With another request waiting its response may go in the same send. */
    if (LIKELY(!net_bytes_left(&h->c.in))) http1_out_flush(h);
    if (pending(h)) net_conn_later(&h->c);
}

static void exchange_abort(struct net_exchange *x) {
    struct http1_conn *h = conn_of(x);
    if (h->o.retractable) { /* until the end of the turn its owner may give another response */
        net_conn_later(&h->c);
        return;
    }
    http1_out_flush(h);
    h->abort = h->o.until_close;
    http1_conn_kill(h);
}

/* ---- life ---- */

static const struct net_exchange_ops ops;

void http1_exchange_begin(struct http1_conn *h) {
    struct net_server *s = h->c.server;
    struct net_request *rq = &h->head.rq;
    uint64_t now = net_loop_now_ns(s->loop);
    /* How it came is ours to know; what an absolute-form target claims is the client's word (RFC 9110 §7.4). */
    rq->scheme = h->c.secure ? STR("https") : STR("http");
    if (UNLIKELY(!rq->authority.n)) rq->authority = net_conn_local(&h->c);
    http1_conn_set_state(h, HTTP1_HANDLING);
    h->head_at = h->c.in.off - (uint32_t)h->head.bytes;
    http1_body_init(&h->body_state, rq->content_length, s->limits.body_bytes_max);
    h->x = (struct net_exchange){.ops = &ops,
                                 .source.ops = &source_ops,
                                 .sink.ops = &net_exchange_sink_ops,
                                 .rq = rq,
                                 .started_ns = now,
                                 .deadline_ns = net_after(now, s->c.handler_ms_max),
                                 .left = UINT64_MAX,
                                 .out_max = UINT64_MAX,
                                 .tls = h->c.tls,
                                 .port = s->port,
                                 .live = true};
    h->o = (struct http1_out){.continue_due = h->head.expect_continue && !net_bytes_left(&h->c.in)};
    if (UNLIKELY(h->half_closed)) arm_half_closed(h);
    s->stats.requests++;
    s->c.on_request(&h->x, s->c.arg);
}

static err exchange_limits(struct net_exchange *x, uint32_t handler_ms_max, uint64_t body_bytes_max) {
    struct http1_conn *h = conn_of(x);
    struct net_server *s = h->c.server;
    if (handler_ms_max && handler_ms_max < s->c.handler_ms_max) {
        x->deadline_ns = x->started_ns + handler_ms_max * 1000000ull;
        net_server_sweep_for(s, handler_ms_max);
    }
    if (!body_bytes_max || http1_body_limit(&h->body_state, body_bytes_max) == HTTP1_DONE) return ERR_OK;
    body_failed(h);
    return ERR_LIMIT;
}

static void report_gone(struct http1_conn *h) {
    struct net_exchange *x = &h->x;
    h->o.gone_told = true;
    if (!http1_body_done(&h->body_state)) body_failed(h);
    if (!x->sink.error) x->sink.error = NET_CONNECTION_TERMINATED;
    http1_conn_kill(h);
    if (x->event && !x->aborted) x->event(x->event_arg, NET_EVENT_GONE);
    if (x->live) net_source_tell(&x->source);
    if (x->live) net_sink_tell(&x->sink);
}

void http1_exchange_progress(struct http1_conn *h) {
    struct net_exchange *x = &h->x;
    if (!h->failed && pending(h) && h->c.stream->writable && !h->o.undecided) http1_out_flush(h);
    if (h->failed) {
        if (x->live && !h->o.gone_told) report_gone(h);
        return;
    }
    if (x->source.waiting && (h->c.stream->readable || h->eof)) net_source_tell(&x->source);
    if (!x->live || h->failed) return;
    if (UNLIKELY(h->o.awaits_socket)) {
        if (!h->c.stream->writable || pending(h)) return;
        h->o.awaits_socket = h->o.flush_due = x->was_full = false;
        net_sink_tell(&x->sink);
        return;
    }
    if (h->o.flush_due && !pending(h)) {
        h->o.flush_due = x->was_full = false;
        net_exchange_tell_sink(x);
    } else if (x->was_full && pending(h) <= h->c.server->c.queue_bytes_max / 2) {
        x->was_full = false;
        net_exchange_tell_sink(x);
    }
}

static void put_response(struct http1_conn *h, const struct net_head *r, struct http1_frame *f) {
    struct net_server *s = h->c.server;
    if (!r->has_date) f->date = http1_date_text(&s->date, net_loop_wall_s(s->loop));
    if (!r->has_server) f->server = s->c.server_name;
    http1_out_reserve(h, http1_response_bytes(r, f));
    h->o.head_at = h->c.out.end;
    h->c.out.end = (uint32_t)(http1_response_write(r, f, h->c.out.p + h->c.out.end) - h->c.out.p);
}

static void put_length(struct http1_conn *h, uint64_t n) {
    uint8_t end[HTTP1_GAP_BYTES];
    http1_out_put(h, end, http1_end_length(end, n));
}

static void put_end(struct http1_conn *h) {
    uint8_t end[HTTP1_GAP_BYTES];
    http1_out_put(h, end, http1_end_plain(end));
}

void http1_exchange_refuse(struct http1_conn *h, uint16_t status, const char *why) {
    char body[256];
    int n = snprintf(body, sizeof body, "%u %s: %s\n", status, net_status_text(status), why);
    struct net_field type = {STR("Content-Type"), STR("text/plain; charset=utf-8")};
    struct net_head r = {.status = status, .fields = &type, .fields_count = 1};
    struct http1_frame f = {.close = true};
    err e = net_head_check(&r);
    ENSURE(e == ERR_OK && n > 0 && (size_t)n < sizeof body);
    h->c.server->stats.bad_requests++;
    if (h->c.server->c.on_refused) h->c.server->c.on_refused(net_conn_peer(&h->c), status, why, h->c.server->c.arg);
    h->o.undecided = false;
    put_response(h, &r, &f);
    put_length(h, (uint64_t)n);
    http1_out_put(h, body, (size_t)n);
    h->linger = true;
    h->io_deadline_ns = 0;
    http1_conn_set_state(h, HTTP1_CLOSING);
    net_conn_later(&h->c);
}

static err exchange_inform(struct net_exchange *x, const struct net_head *r) {
    struct http1_conn *h = conn_of(x);
    struct http1_frame f = {.no_length = true};
    if (pending(h) >= h->c.server->c.queue_bytes_max) return ERR_AGAIN;
    http1_out_reserve(h, http1_response_bytes(r, &f));
    h->c.out.end = (uint32_t)(http1_response_write(r, &f, h->c.out.p + h->c.out.end) - h->c.out.p);
    put_end(h);
    net_conn_later(&h->c);
    return ERR_OK;
}

static void exchange_respond(struct net_exchange *x, const struct net_head *r) {
    struct http1_conn *h = conn_of(x);
    bool reset = r->status == 205 && !str_eq(x->rq->method, STR("HEAD")); /* no content, and yet framed (RFC 9110 §15.3.6) */
    bool old = x->rq->version == NET_HTTP_1_0;
    /* A client that was not asked for its body may send it or not (RFC 9110 §10.1.1): only a close is clear. */
    h->o.close = h->o.close || r->close || !h->head.keep_alive || h->c.server->draining || h->o.continue_due || h->eof ||
                 x->source.error || x->leaves_body;
    h->o.undecided = !x->no_body && r->content_length == UINT64_MAX;
    h->o.retractable = true;
    h->c.passes = 0;
    struct http1_frame f = {.no_length = r->status == 204 || reset,
                            .close = h->o.close && !(old && h->o.undecided),
                            .keep_alive = old && !h->o.close && !h->o.undecided};
    put_response(h, r, &f);
    if (h->o.undecided) {
        h->o.gap_at = h->c.out.end;
        h->c.out.end += HTTP1_GAP_BYTES;
    } else if (reset) {
        put_length(h, 0);
    } else {
        put_end(h);
    }
    h->o.flush_due = true;
    net_exchange_drains(x, h->c.server->events_end_ns);
    net_conn_later(&h->c);
}

static void exchange_later(struct net_exchange *x) { net_conn_later(&conn_of(x)->c); }

static bool exchange_retract(struct net_exchange *x) {
    struct http1_conn *h = conn_of(x);
    if (!h->o.retractable) return false;
    h->c.out.end = h->o.head_at;
    h->o.retractable = h->o.undecided = h->o.chunked = false;
    return true;
}

/* Whether one of the protocols that the client would change to (RFC 9110 §7.8) is this one. */
static bool offered(const struct net_request *rq, str protocol) {
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        str list = rq->fields[i].value, item;
        if (!str_eq_nocase(rq->fields[i].name, STR("upgrade"))) continue;
        while (list.n) {
            str_cut(list, ',', &item, &list);
            if (str_eq_nocase(str_trim(item), protocol)) return true;
        }
    }
    return false;
}

static err exchange_upgrade(struct net_exchange *x, struct net_head *r, const struct net_upgrade *to) {
    struct http1_conn *h = conn_of(x);
    struct http1_frame f = {.no_length = true, .upgrade = to->protocol};
    if (!h->head.seen.upgrade || x->rq->version == NET_HTTP_1_0 || !offered(x->rq, to->protocol)) return ERR_UNSUPPORTED;
    if (!http1_body_done(&h->body_state) || x->source.error) return ERR_USAGE;
    r->status = 101;
    http1_out_reserve(h, http1_response_bytes(r, &f));
    h->c.out.end = (uint32_t)(http1_response_write(r, &f, h->c.out.p + h->c.out.end) - h->c.out.p);
    put_end(h);
    h->upgrade = *to;
    x->deadline_ns = 0;
    net_conn_later(&h->c);
    return ERR_OK;
}

/* There is no response, and nobody will give one. */
void http1_exchange_give_up(struct http1_conn *h) {
    struct net_exchange *x = &h->x;
    if (x->finished || h->failed || !net_exchange_retract(x)) return;
    uint16_t status = h->body_state.status ? h->body_state.status : 500;
    const char *text = net_status_text(status);
    struct net_field type = {STR("Content-Type"), STR("text/plain; charset=utf-8")};
    char body[64];
    int n = snprintf(body, sizeof body, "%u %s\n", status, text);
    h->o.close = true;
    err e = net_exchange_reply(x, status, &type, 1, (str){(uint8_t *)body, (size_t)n});
    ENSURE(e == ERR_OK || e == ERR_CLOSED);
}

static void exchange_end(struct net_exchange *x) {
    struct http1_conn *h = conn_of(x);
    if (UNLIKELY(!x->finished)) http1_exchange_give_up(h);
    h->o.undecided = false;
    x->live = false;
    x->source.waiting = false;
    http1_conn_after_exchange(h);
}

static void exchange_serve_for(struct net_exchange *x, struct net_party *party) {
    net_lane_choose(&conn_of(x)->c.lane, net_party_lane(party));
}

/* What is encrypted stays with who has its keys: the request goes on by a connection of its own, as it came. */
static err relay(struct http1_conn *h, const struct net_pass *to) {
    struct net_conn *c = &h->c;
    struct net_field *fields = calloc(c->server->c.fields_max + 1, sizeof *fields);
    struct http1_head head;
    ENSURE(fields);
    http1_head_init(&head, &c->server->limits, fields);
    ENSURE(http1_head_parse(&head, c->in.p + h->head_at, h->head.bytes) == HTTP1_DONE);
    if (!head.rq.authority.n) head.rq.authority = net_conn_local(c);
    h->x.rq = &head.rq;
    h->x.peer = (str){0};
    err e = net_relay(c->server->loop, &h->x, to,
                      &(struct net_handover){
                          .fd = -1, .peer = &c->peer, .peer_n = sizeof c->peer, .passes = c->passes + 1, .secure = c->secure});
    h->x.rq = &h->head.rq;
    free(fields);
    if (e == ERR_OK) c->server->stats.passed++;
    return e == ERR_OK ? ERR_OK : ERR_LIMIT;
}

static err exchange_pass(struct net_exchange *x, const struct net_pass *to) {
    struct http1_conn *h = conn_of(x);
    bool untouched = h->c.in.off == h->head_at + h->head.bytes && !h->body.base && !h->o.continued;
    if (!untouched) return ERR_USAGE;
    if (h->c.passes >= NET_PASSES_MAX) return ERR_LIMIT;
    if (h->c.stream != &h->c.plain.s) return relay(h, to);
    h->pass = *to;
    h->o.continue_due = false;
    x->live = false;
    x->source.waiting = false;
    http1_conn_after_exchange(h);
    return ERR_OK;
}

static str exchange_peer(const struct net_exchange *x, uint16_t *port) {
    struct http1_conn *h = conn_of(x);
    *port = net_conn_peer_port(&h->c);
    return net_conn_peer(&h->c);
}

static const struct net_exchange_ops ops = {.respond = exchange_respond,
                                            .inform = exchange_inform,
                                            .room = exchange_room,
                                            .put = exchange_put,
                                            .file = exchange_file,
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
