/* http2_conn: HTTP/2 on a connection: its session, its streams' heads and bodies, its deadlines. The picture is in http2_conn.h. */
#include "net/http1_int.h"
#include "net/http2_conn.h"

enum {
    CREDIT_MAX = 4000, /* of the bucket that what costs little is taken from */
    CREDIT_A_SECOND = 400,
    RESET_COSTS = 20,
};

static struct http2_conn *of(struct net_conn *c) { return c->taken; }
static struct http2_stream *of_ring(struct net_ring *r) { return container_of(r, struct http2_stream, ring); }
static uint64_t after_ms(const struct http2_conn *h, uint32_t ms) { return net_server_deadline(h->c->server, ms); }
uint64_t http2_after_ms(const struct http2_stream *st, uint32_t ms) { return after_ms(st->h, ms); }

/* ---- queues ---- */

void http2_queue_put(struct http2_stream *st, struct http2_queue *q, str data) {
    buf_puts(&q->b, data);
    st->h->c->server->held_bytes += data.n;
    if (q == &st->out) st->h->out_queued += data.n;
}

static void free_bytes(struct buf *b) {
    if (!b->p) return;
    base_heap_freed((uint32_t)(b->cap >> 9)); /* of many streams it is much */
    buf_free(b);
}

void http2_queue_take(struct http2_stream *st, struct http2_queue *q, size_t n) {
    q->used += n;
    st->h->c->server->held_bytes -= n;
    if (q == &st->out) st->h->out_queued -= n;
    if (!http2_queued(q)) {
        if (q->b.cap > NET_SMALL_BYTES) free_bytes(&q->b);
        q->b.n = q->used = 0;
    } else if (q->used >= HTTP2_STREAM_WINDOW / 2) {
        buf_drop(&q->b, q->used);
        q->used = 0;
    }
}

static void drop_queue(struct http2_stream *st, struct http2_queue *q) {
    st->h->c->server->held_bytes -= http2_queued(q);
    if (q == &st->out) st->h->out_queued -= http2_queued(q);
    free_bytes(&q->b);
    *q = (struct http2_queue){0};
}

/* ---- streams ---- */

void http2_stream_due(struct http2_stream *st) {
    struct http2_conn *h = st->h;
    if (!h->in_turn) net_conn_later(h->c);
    if (st->due) return;
    st->due = true;
    st->next_due = NULL;
    *h->due_end = st;
    h->due_end = &st->next_due;
}

static struct http2_stream *stream_new(struct http2_conn *h, int32_t id) {
    arena *mem = arena_new(0);
    struct http2_stream *st = arena_array(mem, struct http2_stream, 1);
    st->h = h;
    st->id = id;
    st->mem = mem;
    st->body_bytes_max = h->c->server->limits.body_bytes_max;
    st->priority = NET_PRIORITY_DEFAULT;
    st->ring = (struct net_ring){h->streams.prev, &h->streams};
    st->ring.prev->next = h->streams.prev = &st->ring;
    h->streams_count++;
    return st;
}

static void stream_free(struct http2_stream *st) {
    st->ring.prev->next = st->ring.next;
    st->ring.next->prev = st->ring.prev;
    st->h->streams_count--;
    if (st->h->last == st) st->h->last = NULL;
    drop_queue(st, &st->body);
    drop_queue(st, &st->out);
    buf_free(&st->cookie);
    arena_free(st->mem);
}

void http2_consumed(struct http2_stream *st, size_t n) {
    struct http2_conn *h = st->h;
    if (!h->session || !n) return;
    if (st->closed) nghttp2_session_consume_connection(h->session, n);
    else nghttp2_session_consume(h->session, st->id, n);
}

void http2_reset(struct http2_stream *st, uint32_t code) {
    st->was_reset = true;
    if (st->h->session && !st->closed) nghttp2_submit_rst_stream(st->h->session, NGHTTP2_FLAG_NONE, st->id, code);
    http2_stream_due(st);
}

/* ---- what came, as nghttp2 tells it ---- */

/* What costs the client less than us; where it has had enough of that, the connection ends. */
static void pay(struct http2_conn *h, uint64_t n) {
    uint64_t now = net_loop_now_ns(h->c->server->loop), since = now - h->credit_at_ns;
    uint64_t more = since / (1000000000 / CREDIT_A_SECOND);
    h->credit = MIN((uint64_t)CREDIT_MAX, h->credit + more);
    if (more) h->credit_at_ns = now;
    if (h->credit >= n) {
        h->credit -= n;
        return;
    }
    struct net_server *s = h->c->server;
    if (h->ends) return;
    h->ends = true;
    s->stats.bad_requests++;
    if (s->c.on_refused) s->c.on_refused(net_conn_peer(h->c), 400, "frames of HTTP/2 that move nothing", s->c.arg);
    nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static void earn(struct http2_conn *h) { h->credit = MIN((uint64_t)CREDIT_MAX, h->credit + 2); }

static void keep_closed(struct http2_conn *h, const struct http2_stream *st) {
    h->closed[h->closed_count++ % HTTP2_CLOSED_KEPT] = (uint32_t)st->id - st->was_reset;
}

/* Of a stream that is over, or never was (RFC 9113 §5.1, §5.1.1): nghttp2 forgets those. NO_ERROR: it may come. */
static uint32_t error_of_late(const struct http2_conn *h, uint32_t id) {
    for (uint32_t i = 0; i < MIN(h->closed_count, (uint32_t)HTTP2_CLOSED_KEPT); i++)
        if ((h->closed[i] | 1) == id) return h->closed[i] & 1 ? NGHTTP2_STREAM_CLOSED : NGHTTP2_NO_ERROR;
    return h->closed_count > HTTP2_CLOSED_KEPT ? NGHTTP2_NO_ERROR : NGHTTP2_PROTOCOL_ERROR;
}

/* Of frames that move nothing. */
static uint32_t cost_of(uint8_t type, uint8_t flags, uint32_t length) {
    switch (type) {
    case NGHTTP2_DATA: return !length && !(flags & NGHTTP2_FLAG_END_STREAM);
    case NGHTTP2_HEADERS: return 0;
    case NGHTTP2_RST_STREAM: return RESET_COSTS;
    default: return 1;
    }
}

/* Before nghttp2 sees it. */
static void look_at_frame(struct http2_conn *h) {
    const uint8_t *p = h->frame_head;
    uint32_t id = ((uint32_t)p[5] << 24 | (uint32_t)p[6] << 16 | (uint32_t)p[7] << 8 | p[8]) & INT32_MAX, e = NGHTTP2_NO_ERROR;
    bool opens = p[3] == NGHTTP2_HEADERS, moves = opens || p[3] == NGHTTP2_DATA;
    h->frame_left = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
    uint32_t cost = cost_of(p[3], p[4], h->frame_left);
    if (cost) pay(h, cost);
    h->frame_is_priority = p[3] == NGHTTP2_PRIORITY && h->frame_left == 5;
    if (p[3] == NGHTTP2_PRIORITY && !id) e = NGHTTP2_PROTOCOL_ERROR;
    else if (moves && id & 1 && id <= h->newest && !nghttp2_session_find_stream(h->session, (int32_t)id))
        e = error_of_late(h, id);
    if (opens) h->newest = MAX(h->newest, id);
    if (e != NGHTTP2_NO_ERROR) nghttp2_session_terminate_session(h->session, e);
}

/* Of a stream upon itself (RFC 7540 §5.3.1), which nghttp2 does not look for where RFC 9218 has taken its place. */
static void look_at_priority(struct http2_conn *h, str part) {
    const uint8_t *id = h->frame_head + 5;
    uint32_t at = 5 - h->frame_left;
    for (size_t i = 0; i < part.n && at < 4; i++, at++) {
        uint8_t mask = at ? 0xff : 0x7f;
        if ((part.p[i] & mask) != (id[at] & mask)) h->frame_is_priority = false;
    }
    if (!h->frame_is_priority || at < 4) return;
    h->frame_is_priority = false;
    int32_t stream = (int32_t)((uint32_t)(id[0] & 0x7f) << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3]);
    if (nghttp2_session_find_stream(h->session, stream))
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_PROTOCOL_ERROR);
    else nghttp2_session_terminate_session(h->session, NGHTTP2_PROTOCOL_ERROR);
}

/* Its frames come one after the other, mostly. */
static struct http2_stream *stream_of(struct http2_conn *h, int32_t id) {
    if (!h->last || h->last->id != id) h->last = nghttp2_session_get_stream_user_data(h->session, id);
    return h->last;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
    struct http2_conn *h = arg;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
        struct http2_stream *st = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
        if (st) st->trailing = true;
        return 0;
    }
    if (h->streams_count >= HTTP2_STREAMS_MAX * 2) { /* who resets has not made room: what he asked for goes on */
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_REFUSED_STREAM);
        return 0;
    }
    struct http2_stream *st = stream_new(h, frame->hd.stream_id);
    nghttp2_session_set_stream_user_data(session, st->id, st);
    h->io_deadline_ns = after_ms(h, h->c->server->c.header_ms_max);
    return 0;
}

/* As nghttp2 reads it, too; here it is kept for what the response says of it. */
static void take_priority(struct http2_stream *st, str value) {
    st->prioritized = st->h->knows_priorities = true;
    net_priority_read(value, &st->priority);
}

static void take_pseudo(struct http2_stream *st, str name, str value) {
    if (str_eqc(name, ":method")) st->rq.method = arena_str(st->mem, value);
    else if (str_eqc(name, ":path")) st->rq.path = arena_str(st->mem, value);
    else if (str_eqc(name, ":authority")) st->rq.authority = arena_str(st->mem, value);
    else if (str_eqc(name, ":protocol")) st->rq.protocol = arena_str(st->mem, value); /* RFC 8441 §4 */
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
                     const uint8_t *value, size_t value_n, uint8_t flags, void *arg) {
    struct http2_stream *st = stream_of(arg, frame->hd.stream_id);
    str n = {name, name_n}, v = str_trim((str){value, value_n});
    if (!st) return 0;
    const struct http1_limits *most = &st->h->c->server->limits;
    size_t bytes = name_n + value_n + 32; /* as RFC 9113 §6.5.2 counts */
    if (bytes > most->head_bytes_max - MIN(st->head_bytes, most->head_bytes_max)) {
        st->refused = 431, st->why = "request header fields too large";
        return 0;
    }
    st->head_bytes += (uint32_t)bytes;
    if (name_n && name[0] == ':') {
        take_pseudo(st, n, v);
        return 0;
    }
    uint32_t count = st->trailing ? st->trailers.n : st->fields.n;
    if (count >= most->fields_max) {
        st->refused = 431, st->why = "too many header fields";
    } else if (st->trailing) {
        vec_push(st->mem, &st->trailers, ((struct net_field){arena_str(st->mem, n), arena_str(st->mem, v)}));
    } else if (str_eqc(n, "priority")) {
        take_priority(st, v);
        vec_push(st->mem, &st->fields, ((struct net_field){arena_str(st->mem, n), arena_str(st->mem, v)}));
    } else if (str_eqc(n, "cookie")) { /* RFC 9113 §8.2.3: its crumbs are one field for whoever knows no HTTP/2 */
        if (st->cookie.n) buf_puts(&st->cookie, STR("; "));
        buf_puts(&st->cookie, v);
    } else {
        vec_push(st->mem, &st->fields, ((struct net_field){arena_str(st->mem, n), arena_str(st->mem, v)}));
    }
    return 0;
}

static void head_whole(struct http2_stream *st, bool ended) {
    st->body_ended = ended;
    st->rq.has_body = !ended;
    st->begin_due = true;
    st->h->io_deadline_ns = 0;
    http2_stream_due(st);
}

static void trailers_whole(struct http2_stream *st) {
    if (st->refused) {
        st->x.source.error = NET_HTTP_REQUEST_TRAILER_SECTION_SIZE;
        st->x.body_status = st->refused;
    }
    st->body_ended = true;
    http2_stream_due(st);
}

static void on_settings(struct http2_conn *h, const nghttp2_settings *s) {
    if (s->hd.flags & NGHTTP2_FLAG_ACK) return;
    h->window_news = true;
    for (size_t i = 0; i < s->niv; i++)
        if (s->iv[i].settings_id == NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES && s->iv[i].value) h->knows_priorities = true;
}

/* RFC 9218 §7.1: it names a stream that is there, or one that is to come, which has what it says from nghttp2. */
static void on_priority_update(nghttp2_session *session, struct http2_conn *h, const nghttp2_ext_priority_update *u) {
    struct http2_stream *st = nghttp2_session_get_stream_user_data(session, u->stream_id);
    h->knows_priorities = true;
    if (!st) return;
    st->prioritized = true;
    st->priority = NET_PRIORITY_DEFAULT;
    net_priority_read((str){u->field_value, u->field_value_len}, &st->priority);
}

static void on_window(nghttp2_session *session, struct http2_conn *h, int32_t id) {
    struct http2_stream *st = id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
    if (st) http2_stream_due(st);
    else if (!id) h->window_news = true;
}

/* What is of no stream's message. */
static void on_control(nghttp2_session *session, struct http2_conn *h, const nghttp2_frame *frame) {
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS: on_settings(h, &frame->settings); break;
    case NGHTTP2_WINDOW_UPDATE: on_window(session, h, frame->hd.stream_id); break;
    case NGHTTP2_PRIORITY_UPDATE: on_priority_update(session, h, frame->ext.payload); break;
    case NGHTTP2_PING: h->seen_draining |= h->drains && frame->hd.flags & NGHTTP2_FLAG_ACK; break;
    default: break;
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
    struct http2_conn *h = arg;
    if (frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) {
        on_control(session, h, frame);
        return 0;
    }
    if (frame->hd.type == NGHTTP2_DATA && frame->hd.length && frame->hd.length <= frame->data.padlen) pay(h, 1);
    struct http2_stream *st = stream_of(h, frame->hd.stream_id);
    if (!st) return 0;
    bool ended = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_HEADERS && !st->trailing) {
        head_whole(st, ended);
    } else if (frame->hd.type == NGHTTP2_HEADERS) {
        trailers_whole(st);
    } else if (ended) {
        st->body_ended = true;
        http2_stream_due(st);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *arg) {
    struct http2_conn *h = arg;
    struct http2_stream *st = stream_of(h, id);
    if (n >= 1024) earn(h);
    bool wanted = st && !st->x.source.error && (st->x.live || !st->begun) && !st->refused;
    if (wanted && n > st->body_bytes_max - MIN(st->body_bytes, st->body_bytes_max)) {
        st->x.source.error = NET_HTTP_REQUEST_BODY_SIZE;
        st->x.body_status = 413;
        wanted = false;
    }
    if (!wanted) {
        if (st && (st->discarded += (uint32_t)n) <= HTTP2_DISCARD_BYTES) nghttp2_session_consume(session, id, n);
        else nghttp2_session_consume_connection(session, n); /* the stream's window closes */
        if (st) http2_stream_due(st);
        return 0;
    }
    st->body_bytes += n;
    st->io_deadline_ns = 0;
    http2_queue_put(st, &st->body, (str){data, n});
    http2_stream_due(st);
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
    bool ends =
        (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) && frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct http2_stream *st = ends ? nghttp2_session_get_stream_user_data(session, frame->hd.stream_id) : NULL;
    if (!st) return 0;
    st->all_sent = true;
    http2_stream_due(st);
    return 0;
}

static int on_closed(nghttp2_session *session, int32_t id, uint32_t code, void *arg) {
    struct http2_stream *st = nghttp2_session_get_stream_user_data(session, id);
    if (!st) return 0;
    st->closed = true;
    st->h->last = NULL;
    keep_closed(arg, st);
    if (!st->all_sent) st->x.closed = true;
    http2_stream_due(st);
    return 0;
}

/* A frame that nghttp2 refuses: a head that is malformed is answered by its RST_STREAM alone. */
static int on_invalid(nghttp2_session *session, const nghttp2_frame *frame, int code, void *arg) {
    struct http2_conn *h = arg;
    struct net_server *s = h->c->server;
    s->stats.bad_requests++;
    if (s->c.on_refused) s->c.on_refused(net_conn_peer(h->c), 400, nghttp2_strerror(code), s->c.arg);
    pay(h, RESET_COSTS);
    return 0;
}

static nghttp2_session *session_new(struct http2_conn *h) {
    const struct net_server *s = h->c->server;
    nghttp2_session_callbacks *cb;
    nghttp2_option *o;
    nghttp2_session *session;
    ENSURE(nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&o) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_closed);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(cb, on_invalid);
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_builtin_recv_extension_type(o, NGHTTP2_PRIORITY_UPDATE);
    ENSURE(nghttp2_session_server_new2(&session, cb, h, o) == 0);
    nghttp2_session_callbacks_del(cb);
    nghttp2_option_del(o);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, HTTP2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, s->limits.head_bytes_max},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    ENSURE(nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, ARRAY_COUNT(settings)) == 0);
    ENSURE(nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, HTTP2_WINDOW) == 0);
    return session;
}

/* ---- the end ---- */

static void set_idle(struct http2_conn *h, bool idle) {
    struct net_server *s = h->c->server;
    if (h->idle == idle) return;
    h->idle = idle;
    if (!idle) {
        s->stats.idle--;
        net_conn_serve(h->c);
        return;
    }
    s->stats.idle++;
    net_conn_unserve(h->c, NET_UNSERVED_IDLE);
    h->io_deadline_ns = after_ms(h, s->c.idle_ms_max);
}

/* Nothing comes or goes any more; what is live is told by the turn, and the last to go takes the memory along. */
static void shut(struct http2_conn *h) {
    struct net_conn *c = h->c;
    if (!c->stream) return;
    set_idle(h, false);
    h->failed = true;
    h->io_deadline_ns = h->write_deadline_ns = 0;
    nghttp2_session_del(h->session);
    h->session = NULL;
    for (struct net_ring *r = h->streams.next; r != &h->streams; r = r->next) {
        struct http2_stream *st = of_ring(r);
        st->closed = st->x.closed = true;
        http2_stream_due(st);
    }
    net_conn_close(c, false);
    net_conn_later(c);
}

static void bury(struct http2_conn *h) {
    struct net_conn *c = h->c;
    net_conn_bury(c);
    free(h);
}

/* ---- what goes ---- */

static void queue_frame(struct http2_conn *h, const uint8_t *p, size_t n) {
    struct net_server *s = h->c->server;
    struct net_bytes *o = &h->c->out, old = *o;
    if (!o->base || o->cap - o->end < n) {
        uint32_t left = net_bytes_left(&old);
        if (left + n <= s->large.block_bytes) {
            *o = (struct net_bytes){.base = net_pool_get(&s->large), .pool = &s->large, .cap = (uint32_t)s->large.block_bytes};
        } else {
            *o = net_bytes_new(s, left + n);
            o->cap = (uint32_t)(left + n);
        }
        o->p = o->base;
        if (old.base) {
            o->end = left;
            memcpy(o->p, old.p + old.off, left);
            net_bytes_release(&old);
        }
    }
    memcpy(o->p + o->end, p, n);
    o->end += (uint32_t)n;
}

/* Sends what is queued. False: nothing more will go now. */
static bool send_out(struct http2_conn *h) {
    struct net_conn *c = h->c;
    struct net_server *s = c->server;
    uint32_t wanted = net_bytes_left(&c->out);
    if (!wanted) return true;
    ssize_t n = c->stream->writable ? net_stream_send(c->stream, c->out.p + c->out.off, wanted) : NET_STREAM_WAIT;
    if (n == NET_STREAM_FAILED) {
        shut(h);
        return false;
    }
    if (n > 0) {
        s->stats.bytes_out += (uint64_t)n;
        c->out.off += (uint32_t)n;
    }
    bool all = n == (ssize_t)wanted;
    if (all) h->write_deadline_ns = 0;
    else if (n > 0 || !h->write_deadline_ns) h->write_deadline_ns = after_ms(h, s->c.write_ms_max);
    if (all) net_bytes_release(&c->out);
    return all;
}

static void flush(struct http2_conn *h) {
    while (!h->failed) {
        while (!h->failed && net_bytes_left(&h->c->out) < NET_LARGE_BYTES / 2) {
            const uint8_t *p;
            ssize_t n = nghttp2_session_mem_send(h->session, &p);
            if (n < 0) shut(h);
            if (n <= 0) break;
            queue_frame(h, p, (size_t)n);
        }
        if (h->failed || !net_bytes_left(&h->c->out) || !send_out(h)) return;
    }
}

/* ---- what comes ---- */

static bool feed_some(struct http2_conn *h, str bytes) {
    if (nghttp2_session_mem_recv(h->session, bytes.p, bytes.n) >= 0) return true;
    flush(h); /* a GOAWAY that says why */
    shut(h);
    return false;
}

static void feed(struct http2_conn *h, str bytes) {
    while (bytes.n) {
        uint32_t *left = &h->frame_left, want = (uint32_t)sizeof h->frame_head - h->frame_have;
        size_t n = MIN(bytes.n, *left ? *left : want);
        if (*left) {
            if (UNLIKELY(h->frame_is_priority)) look_at_priority(h, (str){bytes.p, n});
            *left -= (uint32_t)n;
        } else {
            memcpy(h->frame_head + h->frame_have, bytes.p, n);
            h->frame_have += (uint32_t)n;
            if (n == want) {
                h->frame_have = 0;
                look_at_frame(h);
            }
        }
        if (!feed_some(h, (str){bytes.p, n})) return;
        bytes = str_sub(bytes, n, bytes.n);
    }
}

static void receive(struct http2_conn *h) {
    struct net_server *s = h->c->server;
    if (h->failed || !h->c->stream->readable || h->eof) return;
    uint8_t *p = net_pool_get(&s->large);
    size_t got = 0;
    while (!h->failed && !h->eof && h->c->stream->readable && net_bytes_left(&h->c->out) < NET_LARGE_BYTES &&
           got < HTTP2_TURN_BYTES) {
        ssize_t n = net_stream_recv(h->c->stream, p, NET_LARGE_BYTES);
        if (n == NET_STREAM_FAILED) shut(h);
        else if (n == 0) h->eof = true;
        if (n <= 0) break;
        s->stats.bytes_in += (uint64_t)n;
        got += (size_t)n;
        feed(h, (str){p, (size_t)n});
    }
    net_pool_put(&s->large, p);
    if (!h->failed && got >= HTTP2_TURN_BYTES && h->c->stream->readable) net_conn_later(h->c);
}

/* ---- heads ---- */

static const struct net_field *field_of(const struct http2_stream *st, const char *name) {
    for (size_t i = 0; i < st->fields.n; i++)
        if (str_eqc(st->fields.p[i].name, name)) return &st->fields.p[i];
    return NULL;
}

static bool refuse(struct http2_stream *st, uint16_t status, const char *why) {
    st->refused = status;
    st->why = why;
    return false;
}

static bool path_ok(const struct net_request *rq) {
    for (size_t i = 0; i < rq->path.n; i++)
        if (!(http1_class[rq->path.p[i]] & CLASS_TARGET)) return false;
    return rq->path.n && (rq->path.p[0] == '/' || (str_eqc(rq->path, "*") && str_eqc(rq->method, "OPTIONS")));
}

/* What nghttp2 has not looked at: it is held to what a request of HTTP/1.1 is. */
static bool resolve(struct http2_stream *st) {
    const struct http1_limits *most = &st->h->c->server->limits;
    struct net_request *rq = &st->rq;
    if (st->refused) return false;
    if (str_eqc(rq->method, "CONNECT") && !rq->protocol.n) return refuse(st, 501, "CONNECT is not offered");
    if (rq->path.n > most->target_bytes_max) return refuse(st, 414, "request target too long");
    if (!net_token_ok(rq->method) || !path_ok(rq)) return refuse(st, 400, "malformed request target");
    const struct net_field *host = field_of(st, "host"), *length = field_of(st, "content-length");
    if (host && rq->authority.n && !str_eq_nocase(host->value, rq->authority))
        return refuse(st, 400, "host is another than :authority"); /* RFC 9113 §8.3.1 */
    if (!rq->authority.n && host) rq->authority = host->value;
    if (!http1_authority_ok(rq->authority, false)) return refuse(st, 400, "malformed authority");
    if (!host && rq->authority.n) vec_push(st->mem, &st->fields, ((struct net_field){STR("host"), rq->authority}));
    if (st->cookie.n) vec_push(st->mem, &st->fields, ((struct net_field){STR("cookie"), buf_str(&st->cookie)}));
    if (!net_fields_ok(st->fields.p, (uint32_t)st->fields.n)) return refuse(st, 400, "malformed header field");
    rq->has_body |= length != NULL;
    uint64_t n = 0;
    if (length && !str_to_u64(length->value, &n)) return refuse(st, 400, "malformed content-length");
    rq->content_length = length || !rq->has_body ? n : UINT64_MAX;
    rq->fields = st->fields.p;
    rq->fields_count = (uint32_t)st->fields.n;
    rq->version = NET_HTTP_2;
    if (rq->content_length != UINT64_MAX && rq->content_length > st->body_bytes_max)
        return refuse(st, 413, "request body too large");
    const struct net_field *expect = field_of(st, "expect");
    st->continue_due = expect && str_eq_nocase(expect->value, STR("100-continue")) && !st->body_ended && !http2_queued(&st->body);
    return true;
}

static void begin(struct http2_stream *st) {
    st->begin_due = false;
    if (st->closed) return; /* it was taken back before anybody saw it */
    if (resolve(st)) http2_exchange_begin(st);
    else http2_exchange_refuse(st, st->refused, st->why);
}

/* ---- turns ---- */

static void progress(struct http2_stream *st) {
    if (st->begin_due) begin(st);
    http2_exchange_progress(st);
    if (st->closed && !st->x.live && !st->due) {
        http2_consumed(st, http2_queued(&st->body)); /* of the connection's window */
        stream_free(st);
    }
}

static void behind_others(struct http2_conn *h, struct http2_stream *st) {
    struct net_ring *r = &st->ring;
    r->prev->next = r->next;
    r->next->prev = r->prev;
    *r = (struct net_ring){h->streams.prev, &h->streams};
    r->prev->next = h->streams.prev = r;
}

/* The most urgent first, who takes of the connection's window what he can; whoever can use parts does so by turns with his like. */
static void tell_of_windows(struct http2_conn *h) {
    struct http2_stream *turn = NULL;
    h->window_news = false;
    for (unsigned urgency = 0, left = 1; urgency < 8 && left; urgency++) {
        left = 0;
        for (struct net_ring *r = h->streams.next; r != &h->streams; r = r->next) {
            struct http2_stream *st = of_ring(r);
            left += st->priority.urgency > urgency;
            if (!st->x.was_full || st->priority.urgency != urgency) continue;
            http2_stream_due(st);
            if (!turn && st->priority.incremental) turn = st;
        }
    }
    if (turn) behind_others(h, turn);
}

enum { ROUNDS = 64 };

/* Sees to the streams that are due, and to those that are because of that. */
static void see_to_streams(struct http2_conn *h) {
    h->in_turn = true;
    if (h->window_news) tell_of_windows(h);
    for (int round = 0; round < ROUNDS && h->due; round++) {
        struct http2_stream *st = h->due;
        h->due = NULL;
        h->due_end = &h->due;
        for (struct http2_stream *next; st; st = next) {
            next = st->next_due;
            st->due = false;
            progress(st);
        }
    }
    h->in_turn = false;
    if (h->due) net_conn_later(h->c);
}

static void turn(struct http2_conn *h) {
    for (int round = 0; round < ROUNDS; round++) {
        see_to_streams(h);
        h->in_turn = true; /* who is due now is seen to at once */
        flush(h);
        h->in_turn = false;
        if (!h->due) return;
    }
    net_conn_later(h->c);
}

static bool over(const struct http2_conn *h) {
    if (h->failed) return true;
    if (h->eof && !h->streams_count) return true;
    return !net_bytes_left(&h->c->out) && !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

/* The client has seen that it is asked to stop. */
static void name_last(struct http2_conn *h) {
    h->last_due_ns = 0;
    h->ends = true;
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
}

static void go_on(struct http2_conn *h) {
    receive(h);
    if (h->seen_draining && !h->failed && !h->ends) name_last(h);
    turn(h);
    if (h->eof && !h->failed && h->streams_count)
        shut(h); /* it will take no answer either: a client of HTTP/2 does not end its side alone */
    if (over(h)) shut(h);
    if (h->failed && h->due) turn(h);
    if (h->failed && !h->streams_count) {
        bury(h);
        return;
    }
    if (!h->failed) set_idle(h, !h->streams_count);
}

/* What is asked begins. What it is answered leaves at the end of the loop's turn, in one piece with what guests say in it. */
static void conn_ready(struct net_conn *c) {
    struct http2_conn *h = of(c);
    receive(h);
    see_to_streams(h);
    net_conn_later(c);
}

static void on_deadline(struct http2_conn *h, uint64_t now) {
    if (h->failed) return;
    if (net_passed(h->last_due_ns, now) && !h->ends) name_last(h);
    if (net_passed(h->write_deadline_ns, now)) {
        shut(h);
    } else if (net_passed(h->io_deadline_ns, now)) {
        h->io_deadline_ns = after_ms(h, NET_QUIET_MS);
        if (h->ends) {
            shut(h);
            return;
        }
        h->ends = true; /* nobody asked for anything, or a head does not end */
        nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
    }
}

static void conn_job(struct net_job *job) {
    struct net_conn *c = container_of(job, struct net_conn, job);
    struct http2_conn *h = of(c);
    if (UNLIKELY(h->expired)) {
        uint64_t now = net_loop_now_ns(c->server->loop);
        h->expired = false;
        for (struct net_ring *r = h->streams.next, *next; r != &h->streams; r = next) {
            next = r->next;
            http2_exchange_expired(of_ring(r), now);
        }
        on_deadline(h, now);
    }
    go_on(h);
}

static void conn_sweep(struct net_conn *c, uint64_t now) {
    struct http2_conn *h = of(c);
    bool passed = net_passed(h->write_deadline_ns, now) || net_passed(h->io_deadline_ns, now) || net_passed(h->last_due_ns, now);
    for (struct net_ring *r = h->streams.next; r != &h->streams && !passed; r = r->next)
        passed = http2_exchange_next_deadline(of_ring(r), now);
    if (!passed) return;
    h->expired = true;
    net_conn_later(c);
}

/* What was asked is answered; what is asked until the client can have heard of this, too (RFC 9113 §6.8). */
static void conn_drain(struct net_conn *c) {
    struct http2_conn *h = of(c);
    if (h->failed || h->ends || h->drains) return;
    h->drains = true;
    h->last_due_ns = after_ms(h, NET_QUIET_MS);
    net_server_sweep_for(c->server, NET_QUIET_MS);
    nghttp2_submit_shutdown_notice(h->session);
    nghttp2_submit_ping(h->session, NGHTTP2_FLAG_NONE, NULL);
    for (struct net_ring *r = h->streams.next; r != &h->streams; r = r->next) {
        if (of_ring(r)->tunnel) http2_tunnel_ending(of_ring(r));
        net_exchange_drains(&of_ring(r)->x, c->server->events_end_ns);
    }
    net_conn_later(c);
}

static void conn_kill(struct net_conn *c) { shut(of(c)); }

static void conn_abandon(struct net_conn *c) {
    struct http2_conn *h = of(c);
    shut(h);
    for (struct net_ring *r = h->streams.next, *next; r != &h->streams; r = next) {
        next = r->next;
        http2_exchange_abandon(of_ring(r));
        ENSURE(!of_ring(r)->x.live);
        stream_free(of_ring(r));
    }
    bury(h);
}

static const struct net_protocol http2_protocol = {
    .ready = conn_ready, .sweep = conn_sweep, .drain = conn_drain, .kill = conn_kill, .abandon = conn_abandon};

void http2_conn_begin(struct net_conn *c) {
    struct http2_conn *h = calloc(1, sizeof *h);
    ENSURE(h);
    h->c = c;
    h->streams = (struct net_ring){&h->streams, &h->streams};
    h->due_end = &h->due;
    h->credit = CREDIT_MAX;
    h->credit_at_ns = net_loop_now_ns(c->server->loop);
    h->session = session_new(h);
    h->io_deadline_ns = after_ms(h, c->server->c.idle_ms_max);
    c->protocol = &http2_protocol;
    c->taken = h;
    c->job.fn = conn_job;
    enum { PREFACE = NGHTTP2_CLIENT_MAGIC_LEN };
    if (feed_some(h, (str){c->in.p + c->in.off, PREFACE}))
        feed(h, (str){c->in.p + c->in.off + PREFACE, net_bytes_left(&c->in) - PREFACE});
    net_bytes_release(&c->in);
    net_conn_serve(c);
    net_conn_later(c);
    if (c->server->draining) conn_drain(c);
}
