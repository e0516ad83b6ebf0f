/* exchange: a request and its response, as the owner sees them.
 *
 * A response's framing is decided late: until the end of the turn, or NET_HOLD_BYTES of body, a head without content-length
 * stands in the queue with a gap behind it, the body raw behind the gap:
 *
 *   [earlier responses][head, no empty line][gap .........][body so far ...]
 *
 * If the owner finishes in that time the gap gets a content-length, else chunked framing; what is left of the gap is closed by
 * moving the head up. So most responses have a length and leave in one send, whatever the calls that made them.
 */
#include "net/server_int.h"
#include "net/addr.h"
#include <arpa/inet.h>
#include <sys/socket.h>

static struct net_conn *conn_of(const struct net_exchange *x) {
    return container_of((struct net_exchange *)(uintptr_t)x, struct net_conn, x);
}

static size_t pending(const struct net_conn *c) { return net_bytes_left(&c->out); }

/* ---- the request's body ---- */

static void body_failed(struct net_conn *c) {
    if (c->x.source.error) return;
    c->x.source.error = c->body_state.status == 413   ? NET_HTTP_REQUEST_BODY_SIZE
                        : c->body_state.status == 431 ? NET_HTTP_REQUEST_TRAILER_SECTION_SIZE
                        : c->body_state.status        ? NET_HTTP_PROTOCOL_ERROR
                                                      : NET_CONNECTION_TERMINATED;
}

static struct net_bytes *body_bytes(struct net_conn *c) { return net_bytes_left(&c->in) ? &c->in : &c->body; }

/* What stands in the buffers. WAIT: nothing does. */
static enum net_flow peek_buffered(struct net_conn *c, str *data) {
    for (;;) {
        struct net_bytes *b = body_bytes(c);
        size_t skip = 0;
        enum http1_result r = http1_body_next(&c->body_state, b->p + b->off, net_bytes_left(b), &skip, data);
        b->off += (uint32_t)skip;
        if (r == HTTP1_ERROR) {
            body_failed(c);
            return NET_FLOW_FAILED;
        }
        if (data->n) return NET_FLOW_DATA;
        if (r == HTTP1_DONE) return NET_FLOW_END;
        if (!net_bytes_left(body_bytes(c))) return NET_FLOW_WAIT;
    }
}

/* The client is told to send its body. A response that was given already, but has not left, waits behind it. */
static void send_continue(struct net_conn *c) {
    static const char line[] = "HTTP/1.1 100 Continue\r\n\r\n";
    enum { N = sizeof line - 1 };
    struct net_exchange *x = &c->x;
    x->continue_due = false;
    if (c->failed || (x->responded && !x->retractable)) return;
    net_out_put(c, line, N);
    if (!x->responded) {
        net_out_flush(c);
        return;
    }
    uint8_t *head = c->out.p + x->head_at;
    memmove(head + N, head, c->out.end - N - x->head_at);
    memcpy(head, line, N);
    x->head_at += N;
    x->gap_at += N;
}

static void arm_body_deadline(struct net_conn *c) {
    uint32_t ms = c->server->c.body_ms_max;
    c->io_deadline_ns = ms == NET_NO_LIMIT ? 0 : net_loop_now_ns(c->server->loop) + ms * 1000000ull;
}

static void arm_half_closed(struct net_conn *c) {
    uint32_t ms = c->server->c.half_closed_ms_max;
    c->io_deadline_ns = !c->half_closed || ms == NET_NO_LIMIT ? 0 : net_loop_now_ns(c->server->loop) + ms * 1000000ull;
}

static enum net_flow source_peek(struct net_source *s, str *data) {
    struct net_conn *c = conn_of(container_of(s, struct net_exchange, source));
    for (;;) {
        if (s->error) return NET_FLOW_FAILED;
        enum net_flow f = peek_buffered(c, data);
        if (f != NET_FLOW_WAIT) {
            if (f == NET_FLOW_END && c->io_deadline_ns) arm_half_closed(c);
            return f;
        }
        if (c->eof || c->failed || c->state == NET_CONN_DEAD) {
            body_failed(c);
            return NET_FLOW_FAILED;
        }
        if (c->x.continue_due) send_continue(c);
        if (c->turn_bytes >= NET_TURN_BYTES &&
            c->readable) { /* a client may send faster than anybody looks at it: others first */
            net_conn_later(c);
            return NET_FLOW_WAIT;
        }
        if (!c->readable) {
            net_bytes_release(&c->body);
            if (!c->io_deadline_ns) arm_body_deadline(c);
            return NET_FLOW_WAIT;
        }
        if (!c->body.base) {
            c->body.base = c->body.p = net_pool_get(c->body.pool = &c->server->large);
            c->body.cap = NET_LARGE_BYTES;
        }
        c->body.off = c->body.end = 0;
        if (net_conn_recv(c, &c->body)) c->io_deadline_ns = 0;
        c->turn_bytes += c->body.end;
    }
}

static void source_consume(struct net_source *s, size_t n) {
    struct net_conn *c = conn_of(container_of(s, struct net_exchange, source));
    http1_body_took(&c->body_state, n);
    body_bytes(c)->off += (uint32_t)n;
    c->x.in_bytes += n;
}

static const struct net_field *source_trailers(const struct net_source *s, uint32_t *count) {
    struct net_conn *c = conn_of(container_of((struct net_source *)(uintptr_t)s, struct net_exchange, source));
    *count = c->body_state.trailers_count;
    return c->body_state.trailers;
}

static const struct net_source_ops source_ops = {source_peek, source_consume, source_trailers};

/* ---- the response's body ---- */

static size_t sink_room(const struct net_sink *s) {
    struct net_exchange *x = container_of((struct net_sink *)(uintptr_t)s, struct net_exchange, sink);
    struct net_conn *c = conn_of(x);
    size_t max = c->server->c.queue_bytes_max, used = pending(c);
    if (s->error || c->failed || x->finished) return 0;
    if (used < max) return max - used;
    x->was_full = true;
    return 0;
}

void net_exchange_decide(struct net_conn *c, uint64_t length) {
    struct net_exchange *x = &c->x;
    uint8_t gap[HTTP1_GAP_BYTES];
    size_t n = 0, body = c->out.end - x->gap_at - HTTP1_GAP_BYTES;
    bool old = c->head.rq.version_minor == 0, known = length != UINT64_MAX;
    x->undecided = false;
    if (old) {
        x->close |= !known;
        str line = x->close ? STR("Connection: close\r\n") : STR("Connection: keep-alive\r\n");
        memcpy(gap, line.p, n = line.n);
    }
    if (known) {
        n += http1_end_length(gap + n, length);
    } else if (old) {
        x->until_close = true;
        n += http1_end_plain(gap + n);
    } else {
        x->chunked = true;
        n += http1_end_chunked(gap + n);
        if (body) n += http1_chunk_head(gap + n, body);
    }
    size_t slack = HTTP1_GAP_BYTES - n;
    memmove(c->out.p + c->out.off + slack, c->out.p + c->out.off, x->gap_at - c->out.off);
    c->out.off += (uint32_t)slack;
    x->head_at += (uint32_t)slack;
    memcpy(c->out.p + x->gap_at + slack, gap, n);
    if (x->chunked && body) net_out_put(c, "\r\n", 2);
}

static void write_now(struct net_conn *c, str data) {
    struct net_exchange *x = &c->x;
    uint8_t head[20];
    str a = {0}, z = {0};
    if (x->chunked) {
        a = (str){head, http1_chunk_head(head, data.n)};
        z = STR("\r\n");
    }
    if (data.n >= NET_DIRECT_BYTES) {
        net_out_direct(c, a, data, z);
    } else {
        net_out_reserve(c, a.n + data.n + z.n);
        net_out_put(c, a.p, a.n);
        net_out_put(c, data.p, data.n);
        net_out_put(c, z.p, z.n);
    }
}

static err sink_write(struct net_sink *s, str data) {
    struct net_exchange *x = container_of(s, struct net_exchange, sink);
    struct net_conn *c = conn_of(x);
    if (s->error || c->failed || x->finished) return ERR_CLOSED;
    if (!x->responded) return ERR_USAGE;
    if (!data.n) return ERR_OK;
    if (data.n > sink_room(s)) {
        x->was_full = true;
        return ERR_AGAIN;
    }
    if (x->left != UINT64_MAX) {
        if (data.n > x->left) return ERR_INVALID;
        x->left -= data.n;
    }
    x->out_bytes += data.n;
    if (x->no_body) return ERR_OK;
    if (x->undecided && c->out.end - x->gap_at + data.n > NET_HOLD_BYTES) net_exchange_decide(c, UINT64_MAX);
    if (x->undecided) net_out_put(c, data.p, data.n);
    else write_now(c, data);
    x->flush_due = true;
    net_conn_later(c);
    return ERR_OK;
}

static err finish_chunks(struct net_conn *c, const struct net_field *trailers, uint32_t count) {
    if (LIKELY(!count)) {
        net_out_put(c, "0\r\n\r\n", 5);
        return ERR_OK;
    }
    struct buf b = {0};
    err e = http1_chunk_last(&b, trailers, count);
    if (e == ERR_OK) net_out_put(c, b.p, b.n);
    buf_free(&b);
    return e;
}

static err sink_finish(struct net_sink *s, const struct net_field *trailers, uint32_t count) {
    struct net_exchange *x = container_of(s, struct net_exchange, sink);
    struct net_conn *c = conn_of(x);
    if (s->error || c->failed || x->finished) return ERR_CLOSED;
    if (!x->responded) return ERR_USAGE;
    if (x->left != UINT64_MAX && x->left && !x->no_body) return ERR_INVALID;
    if (x->undecided && count && c->head.rq.version_minor >= 1) net_exchange_decide(c, UINT64_MAX); /* trailers need chunks */
    if (x->chunked) TRY(finish_chunks(c, trailers, count));
    x->finished = true;
    if (x->undecided) net_exchange_decide(c, c->out.end - x->gap_at - HTTP1_GAP_BYTES);
    x->flush_due = true;
    /* With another request waiting its response may go in the same send. */
    if (LIKELY(!net_bytes_left(&c->in))) net_out_flush(c);
    if (pending(c)) net_conn_later(c);
    return ERR_OK;
}

static void sink_abort(struct net_sink *s, enum net_error e) {
    struct net_exchange *x = container_of(s, struct net_exchange, sink);
    struct net_conn *c = conn_of(x);
    if (s->error || c->failed || x->finished || !x->responded) return;
    s->error = e;
    x->aborted = true;
    if (x->retractable) { /* until the end of the turn its owner may give another response */
        net_conn_later(c);
        return;
    }
    net_out_flush(c);
    c->abort = x->until_close;
    net_conn_kill(c);
}

static const struct net_sink_ops sink_ops = {sink_room, sink_write, sink_finish, sink_abort};

/* ---- life ---- */

/* What HTTP/1.0 may leave out: the address and port that the client connected to. */
static str own_authority(struct net_conn *c) {
    struct sockaddr_storage local = {0};
    struct sockaddr *any = (struct sockaddr *)(void *)&local;
    socklen_t n = sizeof local;
    struct net_addr a;
    if (!c->local_text[0] && getsockname(c->fd, any, &n) == 0) {
        net_addr_of(any, &a);
        a.scope = 0;
        net_addr_text(&a, true, c->local_text);
    }
    return str_c(c->local_text);
}

void net_exchange_begin(struct net_conn *c) {
    struct net_server *s = c->server;
    uint64_t now = net_loop_now_ns(s->loop);
    uint32_t handler_ms = s->c.handler_ms_max;
    /* How it came is ours to know; what an absolute-form target claims is the client's word (RFC 9110 §7.4). */
    c->head.rq.scheme = s->c.tls_upstream ? STR("https") : STR("http");
    if (UNLIKELY(!c->head.rq.authority.n)) c->head.rq.authority = own_authority(c);
    net_conn_set_state(c, NET_CONN_HANDLING);
    http1_body_init(&c->body_state, c->head.rq.content_length, s->limits.body_bytes_max);
    c->x = (struct net_exchange){.source.ops = &source_ops,
                                 .sink.ops = &sink_ops,
                                 .started_ns = now,
                                 .deadline_ns = handler_ms == NET_NO_LIMIT ? 0 : now + handler_ms * 1000000ull,
                                 .left = UINT64_MAX,
                                 .live = true,
                                 .continue_due = c->head.expect_continue && !net_bytes_left(&c->in)};
    if (UNLIKELY(c->half_closed)) arm_half_closed(c);
    s->stats.requests++;
    s->c.on_request(&c->x, s->c.arg);
}

err net_exchange_limits(struct net_exchange *x, uint32_t handler_ms_max, uint64_t body_bytes_max) {
    struct net_conn *c = conn_of(x);
    if (handler_ms_max && handler_ms_max < c->server->c.handler_ms_max) {
        x->deadline_ns = x->started_ns + handler_ms_max * 1000000ull;
        net_server_sweep_for(c->server, handler_ms_max);
    }
    if (!body_bytes_max || http1_body_limit(&c->body_state, body_bytes_max) == HTTP1_DONE) return ERR_OK;
    body_failed(c);
    return ERR_LIMIT;
}

static void report_gone(struct net_conn *c) {
    struct net_exchange *x = &c->x;
    x->gone_told = true;
    if (!http1_body_done(&c->body_state)) body_failed(c);
    if (!x->sink.error) x->sink.error = NET_CONNECTION_TERMINATED;
    net_conn_kill(c);
    if (x->event && !x->aborted) x->event(x->event_arg, NET_EVENT_GONE);
    if (x->live) net_source_tell(&x->source);
    if (x->live) net_sink_tell(&x->sink);
}

void net_exchange_progress(struct net_conn *c) {
    struct net_exchange *x = &c->x;
    if (!c->failed && c->writable && pending(c) && !x->undecided) net_out_flush(c);
    if (c->failed) {
        if (x->live && !x->gone_told) report_gone(c);
        return;
    }
    if (x->source.waiting && (c->readable || c->eof)) net_source_tell(&x->source);
    if (!x->live || c->failed) return;
    if (x->flush_due && !pending(c)) {
        x->flush_due = x->was_full = false;
        net_sink_tell(&x->sink);
    } else if (x->was_full && pending(c) <= c->server->c.queue_bytes_max / 2) {
        x->was_full = false;
        net_sink_tell(&x->sink);
    }
}

static void put_response(struct net_conn *c, struct http1_response *r, struct http1_frame *f) {
    struct net_server *s = c->server;
    if (!r->has_date) f->date = http1_date_text(&s->date, net_loop_wall_s(s->loop));
    if (!r->has_server) f->server = s->c.server_name;
    net_out_reserve(c, r->bytes + f->server.n + 10);
    c->x.head_at = c->out.end;
    c->out.end = (uint32_t)(http1_response_write(r, f, c->out.p + c->out.end) - c->out.p);
}

static void put_end(struct net_conn *c) {
    uint8_t end[HTTP1_GAP_BYTES];
    net_out_put(c, end, http1_end_plain(end));
}

void net_exchange_refuse(struct net_conn *c, uint16_t status, const char *why) {
    char body[256];
    int n = snprintf(body, sizeof body, "%u %s: %s\n", status, net_status_text(status), why);
    struct net_field type = {STR("Content-Type"), STR("text/plain; charset=utf-8")};
    struct http1_response r = {.status = status, .fields = &type, .fields_count = 1};
    struct http1_frame f = {.close = true};
    uint8_t end[HTTP1_GAP_BYTES];
    err e = http1_response_check(&r);
    ENSURE(e == ERR_OK && n > 0 && (size_t)n < sizeof body);
    c->server->stats.bad_requests++;
    if (c->server->c.on_refused) c->server->c.on_refused(net_exchange_peer(&c->x), status, why, c->server->c.arg);
    c->x.undecided = false;
    put_response(c, &r, &f);
    net_out_put(c, end, http1_end_length(end, (uint64_t)n));
    net_out_put(c, body, (size_t)n);
    c->linger = true;
    c->io_deadline_ns = 0;
    net_conn_set_state(c, NET_CONN_CLOSING);
    net_conn_later(c);
}

err net_exchange_inform(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count) {
    struct net_conn *c = conn_of(x);
    struct http1_response r = {.status = status, .fields = fields, .fields_count = count};
    struct http1_frame f = {.no_length = true};
    if (c->failed) return ERR_CLOSED;
    if (x->responded) return ERR_USAGE;
    if (status < 102 || status > 199) return ERR_INVALID;
    TRY(http1_response_check(&r));
    if (c->head.rq.version_minor == 0) return ERR_OK;
    if (pending(c) >= c->server->c.queue_bytes_max) return ERR_AGAIN;
    net_out_reserve(c, r.bytes);
    c->out.end = (uint32_t)(http1_response_write(&r, &f, c->out.p + c->out.end) - c->out.p);
    put_end(c);
    net_conn_later(c);
    return ERR_OK;
}

err net_exchange_respond(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count) {
    struct net_conn *c = conn_of(x);
    const struct net_request *rq = &c->head.rq;
    struct http1_response r = {.status = status, .fields = fields, .fields_count = count};
    if (c->failed || c->state == NET_CONN_DEAD) return ERR_CLOSED;
    if (x->responded) return ERR_USAGE;
    if (status < 200) return ERR_INVALID;
    TRY(http1_response_check(&r));
    bool head = str_eq(rq->method, STR("HEAD")),
         reset = status == 205 && !head; /* no content, and yet framed (RFC 9110 §15.3.6) */
    x->no_body = reset || net_response_bodiless(rq->method, status);
    /* A client that was not asked for its body may send it or not (RFC 9110 §10.1.1): only a close is clear. */
    x->close = x->close || r.close || !c->head.keep_alive || c->server->draining || x->continue_due || c->eof || x->source.error;
    x->left = r.content_length;
    if (x->no_body && !head) x->left = UINT64_MAX;
    x->undecided = !x->no_body && r.content_length == UINT64_MAX;
    x->responded = x->retractable = true;
    x->status = status;
    bool old = rq->version_minor == 0;
    struct http1_frame f = {.no_length = status == 204 || reset,
                            .close = x->close && !(old && x->undecided),
                            .keep_alive = old && !x->close && !x->undecided};
    put_response(c, &r, &f);
    if (x->undecided) {
        x->gap_at = c->out.end;
        c->out.end += HTTP1_GAP_BYTES;
    } else if (reset) {
        uint8_t end[HTTP1_GAP_BYTES];
        net_out_put(c, end, http1_end_length(end, 0));
    } else {
        put_end(c);
    }
    x->flush_due = true;
    net_conn_later(c);
    return ERR_OK;
}

bool net_exchange_retract(struct net_exchange *x) {
    struct net_conn *c = conn_of(x);
    if (!x->responded) return true;
    if (!x->retractable || x->finished || c->failed) return false;
    c->out.end = x->head_at;
    x->responded = x->retractable = x->undecided = x->finished = x->chunked = x->no_body = false;
    x->sink.error = NET_OK;
    x->aborted = false;
    x->left = UINT64_MAX;
    x->status = 0;
    x->out_bytes = 0;
    return true;
}

err net_exchange_reply(struct net_exchange *x, uint16_t status, const struct net_field *fields, uint32_t count, str body) {
    TRY(net_exchange_respond(x, status, fields, count));
    struct net_conn *c = conn_of(x);
    if (x->left != UINT64_MAX && !x->no_body) {
        if (body.n != x->left) return ERR_INVALID;
        x->left = 0;
    }
    x->out_bytes += body.n;
    if (x->no_body) return net_sink_finish(&x->sink, NULL, 0);
    if (x->undecided && body.n > NET_HOLD_BYTES) net_exchange_decide(c, body.n);
    if (x->undecided || body.n < NET_DIRECT_BYTES) net_out_put(c, body.p, body.n);
    else net_out_direct(c, (str){0}, body, (str){0});
    return net_sink_finish(&x->sink, NULL, 0);
}

/* There is no response, and nobody will give one. */
void net_exchange_give_up(struct net_conn *c) {
    struct net_exchange *x = &c->x;
    if (x->finished || c->failed || !net_exchange_retract(x)) return;
    uint16_t status = c->body_state.status ? c->body_state.status : 500;
    const char *text = net_status_text(status);
    struct net_field type = {STR("Content-Type"), STR("text/plain; charset=utf-8")};
    char body[64];
    int n = snprintf(body, sizeof body, "%u %s\n", status, text);
    x->close = true;
    err e = net_exchange_reply(x, status, &type, 1, (str){(uint8_t *)body, (size_t)n});
    ENSURE(e == ERR_OK || e == ERR_CLOSED);
}

void net_exchange_end(struct net_exchange *x) {
    struct net_conn *c = conn_of(x);
    ENSURE(x->live);
    net_exchange_give_up(c);
    x->undecided = false;
    x->live = false;
    x->source.waiting = false;
    net_conn_after_exchange(c);
}

/* ---- looking at it ---- */

const struct net_request *net_exchange_request(const struct net_exchange *x) { return &conn_of(x)->head.rq; }
struct net_source *net_exchange_source(struct net_exchange *x) {
    return &x->source;
}
struct net_sink *net_exchange_sink(struct net_exchange *x) {
    return &x->sink;
}
bool net_exchange_responded(const struct net_exchange *x) { return x->responded; }

void net_exchange_listen(struct net_exchange *x, void (*fn)(void *arg, enum net_event event), void *arg) {
    x->event = fn;
    x->event_arg = arg;
}

str net_exchange_peer(const struct net_exchange *x) {
    struct net_conn *c = conn_of(x);
    if (!c->peer_text[0]) {
        const void *in4 = &c->peer.in4.sin_addr, *in6 = &c->peer.in6.sin6_addr;
        if (c->peer.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&c->peer.in6.sin6_addr))
            inet_ntop(AF_INET, (const uint8_t *)in6 + 12, c->peer_text, sizeof c->peer_text);
        else if (c->peer.any.sa_family == AF_INET6) inet_ntop(AF_INET6, in6, c->peer_text, sizeof c->peer_text);
        else if (c->peer.any.sa_family == AF_INET) inet_ntop(AF_INET, in4, c->peer_text, sizeof c->peer_text);
    }
    return str_c(c->peer_text);
}

uint16_t net_exchange_port(const struct net_exchange *x) { return conn_of(x)->server->port; }

void net_exchange_own_field(struct net_exchange *x, str name, str value) {
    struct net_request *rq = &conn_of(x)->head.rq;
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

/* What the client's body deserves; 0: it is fine so far. */
uint16_t net_exchange_body_status(const struct net_exchange *x) {
    switch (x->source.error) {
    case NET_OK:
    case NET_CONNECTION_TERMINATED: return 0;
    default: return conn_of(x)->body_state.status ? conn_of(x)->body_state.status : 400;
    }
}

uint16_t net_exchange_peer_port(const struct net_exchange *x) {
    struct net_conn *c = conn_of(x);
    return ntohs(c->peer.any.sa_family == AF_INET6 ? c->peer.in6.sin6_port : c->peer.in4.sin_port);
}

struct net_exchange_stats net_exchange_stats(const struct net_exchange *x) {
    return (struct net_exchange_stats){x->started_ns, x->in_bytes, x->out_bytes, x->status};
}
