/* http1_conn: HTTP/1.1 on a connection: its states (drawn in http1_conn.h), what it reads, its deadlines.
 *
 * 1. Everything is edge-triggered: the stream's `readable` and `writable` stay true until a call fell short.
 * 2. An exchange that is live keeps its connection's memory, whatever happens to the stream; so does an upgrade nobody was told of.
 * 3. A connection that rests is not closed in the face of a client that has just begun to speak: with FIN, and then what still comes is read.
 */
#include "net/http1_conn.h"
#include "net/http2_conn.h"
#include "net/proxy.h"
#include "net/tls_int.h"

static void conn_job(struct net_job *job);
static void parse_heads(struct http1_conn *h);

static struct http1_conn *of(struct net_conn *c) { return container_of(c, struct http1_conn, c); }

static uint64_t after_ms(const struct http1_conn *h, uint32_t ms) { return net_server_deadline(h->c.server, ms); }

static bool move_ok(enum http1_state from, enum http1_state to) {
    switch (to) {
    case HTTP1_READING: return from == HTTP1_HANDLING || from == HTTP1_DISCARDING;
    case HTTP1_HANDLING: return from == HTTP1_READING;
    case HTTP1_DISCARDING:
    case HTTP1_PASSING:
    case HTTP1_UPGRADING: return from == HTTP1_HANDLING;
    case HTTP1_CLOSING: return from <= HTTP1_CLOSING && from != HTTP1_UPGRADING;
    case HTTP1_LINGERING: return from == HTTP1_CLOSING;
    case HTTP1_HANDED_OVER: return from == HTTP1_UPGRADING || from == HTTP1_READING;
    default: return from < HTTP1_HANDED_OVER;
    }
}

void http1_conn_set_state(struct http1_conn *h, enum http1_state to) {
    ENSURE(move_ok(h->state, to));
    h->state = (uint8_t)to;
    if (to == HTTP1_LINGERING) net_conn_unserve(&h->c, NET_UNSERVED_ENDING);
    else if (to != HTTP1_READING) net_conn_serve(&h->c);
}

static void conn_start(struct net_conn *c) {
    struct http1_conn *h = of(c);
    c->job.fn = conn_job;
    c->server->stats.idle++;
    net_conn_unserve(c, NET_UNSERVED_SILENT);
    h->rested_ns = net_loop_now_ns(c->server->loop);
    h->io_deadline_ns = after_ms(h, c->server->c.header_ms_max);
    h->proxy_due = c->server->c.proxied && !c->tls;
    h->fresh = true;
}

/* The stream is gone; the memory too, unless an exchange still holds it. */
static void bury(struct http1_conn *h) {
    if (UNLIKELY(h->pass.give)) { /* it does not come to that */
        if (h->pass.drop) h->pass.drop(h->pass.arg);
        h->pass.give = NULL;
    }
    if (h->state != HTTP1_DEAD) {
        if (h->state == HTTP1_READING && !h->c.in.base) h->c.server->stats.idle--;
        http1_conn_set_state(h, HTTP1_DEAD);
        h->io_deadline_ns = h->write_deadline_ns = 0;
        net_conn_close(&h->c, h->abort);
    }
    if (h->x.live || h->upgrade.fn) {
        net_conn_later(&h->c); /* to report it */
        return;
    }
    net_bytes_release(&h->body);
    http1_body_free(&h->body_state);
    net_conn_bury(&h->c);
}

void http1_conn_kill(struct http1_conn *h) {
    h->failed = h->x.closed = true;
    bury(h);
}

void http1_conn_fail(struct http1_conn *h) {
    h->failed = h->x.closed = true;
    net_conn_later(&h->c);
}

bool http1_conn_recv(struct http1_conn *h, struct net_bytes *b) {
    struct net_stream *s = h->c.stream;
    if (!s->readable || h->eof || h->failed || b->end == b->cap) return false;
    ssize_t n = s->ops->recv(s, b->p + b->end, b->cap - b->end);
    if (LIKELY(n > 0)) {
        b->end += (uint32_t)n;
        h->c.server->stats.bytes_in += (uint64_t)n;
        return true;
    }
    if (n == 0) h->eof = true;
    else if (n == NET_STREAM_FAILED) http1_conn_fail(h);
    return false;
}

/* ---- reading heads ---- */

static void take_in(struct http1_conn *h, size_t bytes) {
    struct net_server *s = h->c.server;
    size_t fields = sizeof(struct net_field) * s->c.fields_max;
    struct net_bytes b = {0};
    if (fields + bytes <= s->small.block_bytes) {
        b.base = net_pool_get(b.pool = &s->small);
        b.cap = (uint32_t)(s->small.block_bytes - fields);
    } else {
        b = net_bytes_new(s, fields + bytes);
        b.cap = (uint32_t)bytes;
    }
    b.p = (uint8_t *)b.base + fields;
    h->c.in = b;
}

/* Room to receive: a block if there is none, a larger one if a head outgrew it. A stash goes into a block again. */
static void make_room(struct http1_conn *h) {
    struct net_bytes old = h->c.in;
    if (!old.base) {
        h->c.server->stats.idle--;
        net_conn_unserve(&h->c, NET_UNSERVED_SILENT);
        take_in(h, 1);
        http1_head_init(&h->head, &h->c.server->limits, h->c.in.base);
        h->io_deadline_ns = after_ms(h, h->c.server->c.header_ms_max);
        return;
    }
    uint32_t left = net_bytes_left(&old);
    bool stash = !h->fields;
    if (!stash && old.end < old.cap) return;
    if (!stash && old.off && left < old.cap / 2) {
        memmove(old.p, old.p + old.off, left);
        h->c.in.off = 0;
        h->c.in.end = left;
        return;
    }
    take_in(h, MAX(left + 1024u, stash ? 1u : h->c.server->limits.head_bytes_max + 1024u));
    memcpy(h->c.in.p, old.p + old.off, left);
    h->c.in.end = left;
    net_bytes_release(&old);
    h->fields = h->c.in.base;
    http1_head_init(&h->head, &h->c.server->limits, h->fields);
}

/* An incomplete head that is short waits in memory of its size, so that slow clients hold little. */
static void stash(struct http1_conn *h) {
    struct net_bytes old = h->c.in;
    uint32_t left = net_bytes_left(&old);
    if (left > HTTP1_STASH_BYTES_MAX) return;
    h->c.in = net_bytes_new(h->c.server, MAX(left, 1u));
    h->c.in.cap = h->c.in.end = left;
    h->c.in.p = h->c.in.base;
    memcpy(h->c.in.p, old.p + old.off, left);
    net_bytes_release(&old);
    h->fields = NULL;
}

static void rest(struct http1_conn *h) {
    net_bytes_release(&h->c.in);
    h->fields = NULL;
    h->c.server->stats.idle++;
    net_conn_unserve(&h->c, NET_UNSERVED_IDLE);
    const struct net_server *s = h->c.server;
    h->rested_ns = net_loop_now_ns(s->loop);
    h->io_deadline_ns = net_after(h->rested_ns, s->c.idle_ms_max);
}

/* READING and the client's side ended. */
static void read_ended(struct http1_conn *h) {
    if (net_bytes_left(&h->c.out) && !h->failed) {
        http1_conn_set_state(h, HTTP1_CLOSING);
        net_conn_later(&h->c);
        return;
    }
    http1_conn_kill(h);
}

/* A head may be received. */
static bool has_memory(struct http1_conn *h) {
    const struct net_server *s = h->c.server;
    if (LIKELY(!s->c.memory_bytes_max || s->held_bytes < s->c.memory_bytes_max) || net_conn_make_memory(&h->c)) return true;
    if (!h->c.in.base) h->c.server->stats.idle--;
    http1_exchange_refuse(h, 503, "all memory of connections is in use");
    return false;
}

static void read_heads(struct http1_conn *h) {
    while (h->state == HTTP1_READING) {
        if (net_bytes_left(&h->c.out) > HTTP1_HOLD_BYTES && !h->failed) return; /* answers before more questions */
        if (h->c.in.base && net_bytes_left(&h->c.in) && h->fields) {
            parse_heads(h);
            if (h->state != HTTP1_READING) return;
        }
        if (!h->c.stream->readable || h->eof || h->failed) break;
        if (!has_memory(h)) return;
        make_room(h);
        h->fields = h->c.in.base;
        if (!http1_conn_recv(h, &h->c.in)) break;
    }
    if (h->state != HTTP1_READING) return;
    if (h->eof || h->failed) {
        read_ended(h);
        return;
    }
    if (h->c.in.base && !net_bytes_left(&h->c.in)) rest(h);
    else if (h->c.in.base && h->fields) stash(h);
}

/* What a proxy says first, of where the connection comes from. False: it is not all there, or is none: then it is closed, as the protocol has it. */
static bool take_proxy(struct http1_conn *h) {
    struct net_proxy said;
    struct net_bytes *in = &h->c.in;
    enum net_proxy_result r = net_proxy_parse(in->p + in->off, net_bytes_left(in), &said);
    if (r == NET_PROXY_MORE) return false;
    if (r == NET_PROXY_ERROR) {
        struct net_server *s = h->c.server;
        s->stats.bad_requests++;
        if (s->c.on_refused) s->c.on_refused(net_conn_peer(&h->c), 400, said.why, s->c.arg);
        http1_conn_kill(h);
        return false;
    }
    in->off += (uint32_t)said.bytes;
    h->proxy_due = false;
    if (said.known) net_conn_set_peer(&h->c, &said.peer);
    h->c.secure |= said.secure;
    return net_bytes_left(in);
}

/* What comes first may be HTTP/2's preface (RFC 9113 §3.4). False: it is, or its beginning, and the connection has what it speaks from now on. */
static bool is_http1(struct http1_conn *h) {
    static const str preface = STR_INIT(NGHTTP2_CLIENT_MAGIC);
    struct net_bytes *in = &h->c.in;
    enum crypto_tls_protocol agreed = net_tls_agreed(&h->c);
    str come = {in->p + in->off, MIN(net_bytes_left(in), (uint32_t)preface.n)};
    if (LIKELY(!str_starts(preface, come) || agreed == CRYPTO_TLS_HTTP1) && agreed != CRYPTO_TLS_HTTP2) {
        h->fresh = false;
        return true;
    }
    if (come.n < preface.n && str_starts(preface, come)) return false;
    h->io_deadline_ns = 0;
    http1_conn_set_state(h, HTTP1_HANDED_OVER);
    http2_conn_begin(&h->c);
    return false;
}

/* All the heads that are complete in h->c.in, as long as each exchange ends within its on_request. */
static void parse_heads(struct http1_conn *h) {
    h->parsing = true;
    while (h->state == HTTP1_READING && net_bytes_left(&h->c.in) && net_bytes_left(&h->c.out) <= HTTP1_HOLD_BYTES) {
        if (UNLIKELY(h->proxy_due) && !take_proxy(h)) break;
        if (UNLIKELY(h->c.in.p[h->c.in.off] ==
                     0x16)) { /* RFC 8446 §5.1: a handshake record, so a client that was told https:// */
            http1_exchange_refuse(h, 400, "this port speaks plain HTTP, not TLS; use http://");
            break;
        }
        if (UNLIKELY(h->fresh) && !is_http1(h)) break;
        enum http1_result r = http1_head_parse(&h->head, h->c.in.p + h->c.in.off, net_bytes_left(&h->c.in));
        if (r == HTTP1_MORE) break;
        if (r == HTTP1_ERROR) {
            http1_exchange_refuse(h, h->head.status, h->head.why);
            break;
        }
        h->c.in.off += h->head.bytes;
        h->io_deadline_ns = 0;
        if (UNLIKELY(str_eq(h->head.rq.method, STR("CONNECT")))) {
            http1_exchange_refuse(h, 501, "CONNECT is not offered");
            break;
        }
        http1_exchange_begin(h);
    }
    h->parsing = false;
}

/* ---- after an exchange ---- */

/* Nobody has asked for anything for long enough. A request that has been sent all the same is not answered; but its client sees an end, and not a
 * reset, and so may send it again (RFC 9112 §9.3.1). */
static void take_leave(struct http1_conn *h) {
    if (net_stream_has_input(h->c.stream)) {
        h->c.stream->readable = true;
        net_conn_later(&h->c);
        return;
    }
    h->c.server->stats.idle--;
    h->linger = h->quiet = true;
    http1_conn_set_state(h, HTTP1_CLOSING);
    net_conn_later(&h->c);
}

static void close_now_or_linger(struct http1_conn *h) {
    bool unread = net_bytes_left(&h->c.in) || net_bytes_left(&h->body) || !http1_body_done(&h->body_state);
    if (!h->linger && !unread) {
        bury(h);
        return;
    }
    http1_conn_set_state(h, HTTP1_LINGERING);
    net_bytes_release(&h->c.in);
    net_bytes_release(&h->body);
    net_stream_shutdown(h->c.stream);
    h->io_deadline_ns = after_ms(h, h->quiet ? NET_QUIET_MS : HTTP1_LINGER_MS);
    h->c.stream->readable = true;
    net_conn_later(&h->c);
}

static void go_on_closing(struct http1_conn *h) {
    http1_out_flush(h);
    if (h->failed) bury(h);
    else if (!net_bytes_left(&h->c.out)) close_now_or_linger(h);
}

/* Reads and forgets. False: the socket has no more now. */
static bool drop_input(struct http1_conn *h) {
    struct net_bytes b = {.p = net_pool_get(&h->c.server->large), .cap = NET_LARGE_BYTES};
    bool got = http1_conn_recv(h, &b);
    h->discarded += b.end;
    net_pool_put(&h->c.server->large, b.p);
    return got;
}

static void go_on_lingering(struct http1_conn *h) {
    enum { ROUNDS = 16, BYTES_MAX = 16 << 20 };
    int rounds = 0;
    while (rounds < ROUNDS && drop_input(h)) rounds++;
    if (h->eof || h->failed || h->discarded >= BYTES_MAX) bury(h);
    else if (rounds == ROUNDS) net_conn_later(&h->c); /* others first */
}

/* The body ends: what was received behind it is of the next request, or of the protocol that the client changes to. */
static void leave_body(struct http1_conn *h) {
    http1_body_free(&h->body_state);
    uint32_t left = net_bytes_left(&h->body);
    if (left) {
        /* in is used up, or the body would have been read from it. */
        net_bytes_release(&h->c.in);
        take_in(h, left + 1024u);
        memcpy(h->c.in.p, h->body.p + h->body.off, left);
        h->c.in.end = left;
    }
    net_bytes_release(&h->body);
}

static void next_request(struct http1_conn *h) {
    leave_body(h);
    http1_conn_set_state(h, HTTP1_READING);
    h->fields = h->c.in.base;
    http1_head_init(&h->head, &h->c.server->limits, h->fields);
    if (!net_bytes_left(&h->c.in)) {
        rest(h);
        if (!h->c.stream->readable && !h->half_closed) {
            if (net_bytes_left(&h->c.out)) net_conn_later(&h->c);
            return;
        }
    } else {
        net_conn_unserve(&h->c, NET_UNSERVED_SILENT);
        h->io_deadline_ns = after_ms(h, h->c.server->c.header_ms_max);
    }
    if (!h->parsing) net_conn_later(&h->c);
}

static void go_on_discarding(struct http1_conn *h) {
    str data;
    size_t skip;
    for (;;) {
        struct net_bytes *b = net_bytes_left(&h->c.in) ? &h->c.in : &h->body;
        enum http1_result r = http1_body_next(&h->body_state, b->p + b->off, net_bytes_left(b), &skip, &data);
        b->off += (uint32_t)(skip + data.n);
        h->discarded += (uint32_t)(skip + data.n);
        if (data.n) http1_body_took(&h->body_state, data.n);
        if (r == HTTP1_DONE || http1_body_done(&h->body_state)) {
            next_request(h);
            return;
        }
        if (r == HTTP1_ERROR || h->discarded > NET_DISCARD_BYTES_MAX) break;
        if (net_bytes_left(b)) continue;
        if (!h->body.base) {
            h->body.base = h->body.p = net_pool_get(h->body.pool = &h->c.server->large);
            h->body.cap = NET_LARGE_BYTES;
        }
        h->body.off = h->body.end = 0;
        if (!http1_conn_recv(h, &h->body)) {
            if (!h->eof && !h->failed) return;
            break;
        }
    }
    h->linger = true;
    http1_conn_set_state(h, HTTP1_CLOSING);
    go_on_closing(h);
}

void http1_conn_after_exchange(struct http1_conn *h) {
    struct net_exchange *x = &h->x;
    h->asked = true;
    if (h->state == HTTP1_DEAD) {
        bury(h);
        return;
    }
    if (UNLIKELY(h->pass.give)) {
        http1_conn_set_state(h, HTTP1_PASSING);
        net_conn_later(&h->c);
        return;
    }
    if (UNLIKELY(h->upgrade.fn)) {
        http1_conn_set_state(h, HTTP1_UPGRADING);
        net_conn_later(&h->c);
        return;
    }
    bool whole = http1_body_done(&h->body_state);
    if (h->failed || h->o.close || !x->finished || h->body_state.status) {
        h->linger |= !whole && !h->eof;
        h->abort = !x->finished && h->o.until_close;
        http1_conn_set_state(h, HTTP1_CLOSING);
        net_conn_later(&h->c);
        return;
    }
    if (LIKELY(whole)) {
        next_request(h);
        return;
    }
    http1_conn_set_state(h, HTTP1_DISCARDING);
    h->discarded = 0;
    h->io_deadline_ns = after_ms(h, h->c.server->c.body_ms_max);
    net_conn_later(&h->c);
}

/* ---- upgrade ---- */

static void report_no_upgrade(struct http1_conn *h) {
    struct net_upgrade to = h->upgrade;
    h->upgrade.fn = NULL;
    to.fn(to.arg, NULL);
}

static void go_on_upgrading(struct http1_conn *h) {
    struct net_upgrade to = h->upgrade;
    http1_out_flush(h);
    if (h->failed) {
        http1_conn_kill(h);
    } else if (!net_bytes_left(&h->c.out)) {
        h->upgrade.fn = NULL;
        h->io_deadline_ns = h->write_deadline_ns = 0;
        leave_body(h);
        http1_conn_set_state(h, HTTP1_HANDED_OVER);
        net_upgrade_begin(&h->c, &to);
    }
}

/* ---- to another process, and from one ---- */

static void go_on_passing(struct http1_conn *h) {
    struct net_conn *c = &h->c;
    http1_out_flush(h);
    if (h->failed) {
        http1_conn_kill(h);
        return;
    }
    if (net_bytes_left(&c->out)) return;
    str bytes = {c->in.p + h->head_at, c->in.end - h->head_at};
    struct net_pass to = h->pass;
    h->pass.give = NULL;
    h->write_deadline_ns = 0;
    net_conn_unwatch(c); /* from here on its events are another's */
    if (to.give(to.arg, &(struct net_handover){.fd = c->plain.fd,
                                               .bytes = bytes,
                                               .peer = &c->peer,
                                               .peer_n = sizeof c->peer,
                                               .passes = c->passes + 1,
                                               .secure = c->secure,
                                               .relayed = c->relayed})) {
        c->server->stats.passed++;
        bury(h);
        return;
    }
    c->in.off = c->in.end; /* what is refused is not read again */
    if (net_conn_watch(c)) http1_exchange_refuse(h, 503, "whoever is to answer takes no more connections now; try again");
    else http1_conn_kill(h);
}

static void conn_adopt(struct net_conn *c, str bytes) {
    struct http1_conn *h = of(c);
    h->proxy_due = false; /* it was said where it came in */
    if (!bytes.n || !has_memory(h)) return;
    c->server->stats.idle--;
    take_in(h, bytes.n);
    memcpy(c->in.p, bytes.p, bytes.n);
    c->in.end = (uint32_t)bytes.n;
    h->fields = c->in.base;
    http1_head_init(&h->head, &c->server->limits, h->fields);
    net_conn_later(c);
}

void net_http1_refuse(struct net_conn *c, uint16_t status, const char *why) {
    conn_start(c);
    c->server->stats.idle--;
    http1_exchange_refuse(of(c), status, why);
}

/* ---- what drives a connection ---- */

static void go_on(struct http1_conn *h) {
    h->turn_bytes = 0;
    switch (h->state) {
    case HTTP1_READING:
        if (h->failed) http1_conn_kill(h);
        else read_heads(h);
        break;
    case HTTP1_HANDLING: http1_exchange_progress(h); break;
    case HTTP1_DISCARDING: go_on_discarding(h); break;
    case HTTP1_UPGRADING: go_on_upgrading(h); break;
    case HTTP1_PASSING: go_on_passing(h); break;
    case HTTP1_CLOSING: go_on_closing(h); break;
    case HTTP1_LINGERING: go_on_lingering(h); break;
    default:
        if (h->x.live) {
            http1_exchange_progress(h);
        } else if (h->upgrade.fn) {
            report_no_upgrade(h);
            bury(h);
        }
        break;
    }
}

static void conn_ready(struct net_conn *c) {
    struct http1_conn *h = of(c);
    const struct net_stream *s = c->stream;
    if (UNLIKELY(s->failed)) h->failed = h->x.closed = true;
    if (UNLIKELY(s->half_closed && !h->half_closed)) {
        h->half_closed = true;
        if (h->state == HTTP1_HANDLING && !h->io_deadline_ns) h->io_deadline_ns = after_ms(h, c->server->c.half_closed_ms_max);
    }
    go_on(h);
    if (h->state < HTTP1_HANDED_OVER && net_bytes_left(&c->out) && c->stream->writable && !h->o.undecided) net_conn_later(c);
}

static void on_deadline(struct http1_conn *h);

static void conn_job(struct net_job *job) {
    struct http1_conn *h = of(container_of(job, struct net_conn, job));
    if (UNLIKELY(h->expired)) {
        h->expired = false;
        on_deadline(h);
        if (h->state == HTTP1_DEAD && !h->x.live && !h->upgrade.fn) return;
    }
    net_exchange_tell(&h->x);
    if (UNLIKELY(h->x.aborted) && h->x.live) http1_exchange_give_up(h);
    if (h->state < HTTP1_CLOSING && !h->failed) http1_out_flush(h);
    go_on(h);
}

/* ---- deadlines ---- */

static void read_timeout(struct http1_conn *h) {
    switch (h->state) {
    case HTTP1_READING:
        if (h->c.in.base) http1_exchange_refuse(h, 408, "the request took too long");
        else take_leave(h);
        break;
    case HTTP1_HANDLING:
        if (h->half_closed && !h->x.source.waiting) {
            http1_conn_kill(h);
            break;
        }
        h->io_deadline_ns = 0;
        if (!h->body_state.status) {
            h->body_state.status = 408;
            h->body_state.why = "the request body took too long";
        }
        h->x.source.error = NET_CONNECTION_READ_TIMEOUT;
        net_source_tell(&h->x.source);
        break;
    default: http1_conn_kill(h); break;
    }
}

static void on_deadline(struct http1_conn *h) {
    struct net_exchange *x = &h->x;
    uint64_t now = net_loop_now_ns(h->c.server->loop);
    if (net_passed(h->write_deadline_ns, now)) {
        http1_conn_kill(h);
    } else if (x->live && net_passed(x->deadline_ns, now)) {
        x->deadline_ns = 0;
        if (x->event) x->event(x->event_arg, NET_EVENT_DEADLINE);
    } else if (net_passed(h->io_deadline_ns, now)) {
        read_timeout(h);
    }
}

static void conn_sweep(struct net_conn *c, uint64_t now) {
    struct http1_conn *h = of(c);
    if (LIKELY(!net_passed(h->write_deadline_ns, now) && !net_passed(h->io_deadline_ns, now) &&
               !(h->x.live && net_passed(h->x.deadline_ns, now))))
        return;
    h->expired = true;
    net_conn_later(c);
}

static void conn_drain(struct net_conn *c) {
    struct http1_conn *h = of(c);
    net_exchange_drains(&h->x, c->server->events_end_ns);
    if (h->state != HTTP1_READING || c->in.base || net_bytes_left(&c->out)) return;
    uint64_t deadline = net_after(h->rested_ns, c->server->c.idle_ms_max);
    if (deadline && (!h->io_deadline_ns || deadline < h->io_deadline_ns)) h->io_deadline_ns = deadline;
    conn_sweep(c, net_loop_now_ns(c->server->loop));
}

static void conn_kill(struct net_conn *c) { http1_conn_kill(of(c)); }

static void conn_abandon(struct net_conn *c) {
    struct http1_conn *h = of(c);
    ENSURE(!h->x.live);
    if (h->upgrade.fn) report_no_upgrade(h);
    http1_conn_kill(h);
}

const struct net_protocol net_http1_protocol = {.bytes = sizeof(struct http1_conn),
                                                .start = conn_start,
                                                .adopt = conn_adopt,
                                                .ready = conn_ready,
                                                .sweep = conn_sweep,
                                                .drain = conn_drain,
                                                .kill = conn_kill,
                                                .abandon = conn_abandon};
