/* websocket: see websocket.h. */
#include "net/websocket.h"
#include "net/loop_int.h"
#include "net/stream_int.h"
#include <stdlib.h>

/* ---- the opening handshake ---- */

const struct net_field net_websocket_version = {STR_INIT("sec-websocket-version"), STR_INIT("13")};

static const struct net_field *field(const struct net_request *rq, const char *name, uint32_t *from) {
    for (uint32_t i = *from; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, str_c(name))) {
            *from = i + 1;
            return &rq->fields[i];
        }
    return NULL;
}

/* Whether a word stands in a list of any of the fields of that name. */
static bool has_token(const struct net_request *rq, const char *name, str word) {
    const struct net_field *f;
    for (uint32_t at = 0; (f = field(rq, name, &at));) {
        str list = f->value, item;
        while (list.n) {
            str_cut(list, ',', &item, &list);
            if (str_eq_nocase(str_trim(item), word)) return true;
        }
    }
    return false;
}

bool net_websocket_asked(const struct net_request *rq) {
    if (rq->version == NET_HTTP_2) return str_eq_nocase(rq->protocol, STR("websocket"));
    return has_token(rq, "upgrade", STR("websocket"));
}

static bool refuse(struct net_websocket_offer *o, uint16_t status, const char *why) {
    o->status = status;
    o->why = why;
    return false;
}

/* The value of the one field of that name. False: there are several. */
static bool one_field(const struct net_request *rq, const char *name, str *value) {
    uint32_t at = 0;
    const struct net_field *f = field(rq, name, &at);
    *value = f ? str_trim(f->value) : (str){0};
    return !field(rq, name, &at);
}

static bool check_key(const struct net_request *rq, struct net_websocket_offer *o) {
    if (rq->version < NET_HTTP_1_1 || !str_eqc(rq->method, "GET"))
        return refuse(o, 400, "a WebSocket is asked for with GET and HTTP/1.1");
    if (!has_token(rq, "connection", STR("upgrade"))) return refuse(o, 400, "Upgrade, and Connection does not say so");
    if (rq->has_body && rq->content_length) return refuse(o, 400, "a WebSocket is asked for without a body");
    if (!one_field(rq, "sec-websocket-key", &o->key) || !websocket_key_ok(o->key))
        return refuse(o, 400, "Sec-WebSocket-Key is not 16 bytes in base64");
    return true;
}

static bool protocols_ok(const struct net_request *rq) {
    enum { MOST = 64 };
    str one;
    uint32_t n = 0;
    for (struct net_websocket_names at = {0}; net_websocket_protocol(rq, &at, &one);)
        if (++n > MOST || !net_token_ok(one)) return false;
    return true;
}

bool net_websocket_check(const struct net_request *rq, bool deflate, struct net_websocket_offer *o) {
    str version;
    const struct net_field *f;
    *o = (struct net_websocket_offer){0};
    if (!one_field(rq, "sec-websocket-version", &version)) return refuse(o, 400, "Sec-WebSocket-Version twice");
    if (!str_eqc(version, "13")) return refuse(o, version.n ? 426 : 400, "version 13 of WebSocket is spoken here");
    if (rq->version != NET_HTTP_2 && !check_key(rq, o)) return false;
    if (!protocols_ok(rq)) return refuse(o, 400, "Sec-WebSocket-Protocol is no list of up to 64 names");
    for (uint32_t at = 0; (f = field(rq, "sec-websocket-extensions", &at));) {
        struct websocket_deflate d = {0};
        if (!websocket_deflate_choose(f->value, &d)) return refuse(o, 400, "Sec-WebSocket-Extensions is no list of extensions");
        if (d.on && deflate && !o->deflate.on) o->deflate = d;
    }
    return true;
}

bool net_websocket_protocol(const struct net_request *rq, struct net_websocket_names *at, str *out) {
    for (const struct net_field *f;; at->rest = f->value) {
        while (at->rest.n) {
            str item;
            str_cut(at->rest, ',', &item, &at->rest);
            *out = str_trim(item);
            if (out->n) return true;
        }
        if (!(f = field(rq, "sec-websocket-protocol", &at->at))) return false;
    }
}

err net_websocket_upgrade(struct net_exchange *x, const struct net_websocket_offer *o, str protocol,
                          void (*fn)(void *arg, struct net_stream *stream), void *arg) {
    struct net_field fields[3];
    char accept[WEBSOCKET_ACCEPT_BYTES + 1];
    uint32_t n = 0;
    if (o->key.n) {
        websocket_accept(o->key, accept);
        fields[n++] = (struct net_field){STR("sec-websocket-accept"), str_c(accept)};
    }
    if (protocol.n) fields[n++] = (struct net_field){STR("sec-websocket-protocol"), protocol};
    if (o->deflate.on) fields[n++] = (struct net_field){STR("sec-websocket-extensions"), o->deflate.answer};
    return net_exchange_upgrade(x, &(struct net_upgrade){STR("websocket"), fn, arg}, fields, n);
}

/* ---- the connection ---- */

enum {
    MESSAGE_BYTES_MAX = 1 << 20,
    QUEUE_BYTES_MAX = 64 << 10,
    PING_MS = 30'000,
    PONG_MS = 20'000,
    CLOSE_MS = 5'000,
    LINGER_MS = 2'000,                /* for who was told that it is over to hang up */
    RECEIVE_BYTES = 64 << 10,         /* at once */
    TURN_BYTES = 128 << 10,           /* in a turn; others first */
    TOGETHER_BYTES_MAX = 4096,        /* a message no longer than that waits for others that are sent in the same turn */
    COMPRESSED_BYTES_MAX = 256 << 10, /* of a longer message others would wait for it */
    KEPT_BYTES_MAX = 4 << 10,         /* of a queue that is empty */
};

enum state { OPEN, CLOSING /* ours was said */, ENDING /* nothing more is read, but to its end */, OVER };
struct net_websocket {
    struct net_websocket_config c;
    struct net_stream *stream;
    struct net_timer *timer;
    struct net_job job;
    struct websocket_in in;
    struct buf out;        /* what is to leave, of which */
    size_t sent;           /* so much has */
    struct buf held, rest; /* the message that waits to be taken, and what came behind it */
    bool held_any, held_text;
    uint8_t state;
    bool reading, was_full, pinged, shut, end_told, ending_told, over_told, deflate, stalled;
    int64_t charged;
    uint64_t heard_ns, message_ns, since_ns; /* the peer's last byte; the last message; the state's begin */
};

static void on_job(struct net_job *job);

static uint64_t now_of(const struct net_websocket *w) { return net_loop_now_ns(w->c.loop); }
static size_t queued(const struct net_websocket *w) { return w->out.n - w->sent; }
static void later(struct net_websocket *w) { net_job_queue(w->c.loop, &w->job); }

/* ---- deadlines ---- */

static uint64_t after(uint64_t from, uint32_t ms) { return from + ms * 1'000'000ull; }

/* When there is something to be looked at next; UINT64_MAX: never. */
static uint64_t next_deadline(const struct net_websocket *w) {
    const struct net_websocket_config *c = &w->c;
    if (w->state == CLOSING) return after(w->since_ns, c->close_ms);
    if (w->state == ENDING) return after(w->since_ns, LINGER_MS);
    if (w->state != OPEN) return UINT64_MAX;
    uint64_t idle = c->idle_ms ? after(w->message_ns, c->idle_ms) : UINT64_MAX;
    uint64_t ping = after(w->heard_ns, c->ping_ms) + (w->pinged ? c->pong_ms * 1'000'000ull : 0);
    return MIN(ping, idle);
}

static void arm(struct net_websocket *w) {
    uint64_t at = next_deadline(w), now = now_of(w);
    if (at == UINT64_MAX) net_timer_stop(w->timer);
    else net_timer_start(w->timer, at > now ? (at - now) / 1'000'000 + 1 : 1, 0);
}

static void set_state(struct net_websocket *w, enum state to) {
    ENSURE(to > w->state);
    w->state = (uint8_t)to;
    w->since_ns = now_of(w);
    arm(w);
}

/* ---- what goes ---- */

/* What is held is what is charged. False: it may not be. */
static bool account(struct net_websocket *w) {
    int64_t holds = (int64_t)(websocket_held(&w->in) + w->held.cap + w->rest.cap + w->out.cap), more = holds - w->charged;
    if (!w->c.charge || !more) return true;
    if (!w->c.charge(w->c.arg, more)) return false;
    w->charged = holds;
    return true;
}

/* False: the stream has failed. */
static bool flush(struct net_websocket *w) {
    while (queued(w)) {
        ssize_t n = w->stream->writable ? net_stream_send(w->stream, w->out.p + w->sent, queued(w)) : NET_STREAM_WAIT;
        if (n == NET_STREAM_FAILED) return false;
        if (n <= 0) return true;
        w->sent += (size_t)n;
    }
    if (w->out.cap > KEPT_BYTES_MAX || !w->reading) buf_free(&w->out);
    w->out.n = w->sent = 0;
    (void)account(w); /* it is less */
    return true;
}

static void put(struct net_websocket *w, const void *p, size_t n) {
    if (w->sent && w->sent >= w->out.n / 2) {
        buf_drop(&w->out, w->sent);
        w->sent = 0;
    }
    if (n) ENSURE(buf_put(&w->out, p, n));
}

static void put_frame(struct net_websocket *w, enum websocket_op op, bool compressed, str data) {
    uint8_t head[WEBSOCKET_HEAD_BYTES_MAX];
    size_t n = websocket_head(head, op, true, compressed, data.n), done = 0;
    if (!queued(w) && w->stream->writable && !(w->reading && data.n <= TOGETHER_BYTES_MAX)) {
        ssize_t sent =
            net_stream_sendv(w->stream, (struct iovec[]){{head, n}, {(void *)(uintptr_t)data.p, data.n}}, data.n ? 2 : 1);
        if (sent == NET_STREAM_FAILED) later(w);
        if (sent > 0) done = (size_t)sent;
    }
    if (done < n) put(w, head + done, n - done);
    size_t of = done > n ? done - n : 0;
    if (of < data.n) put(w, data.p + of, data.n - of);
    if (queued(w)) later(w);
}

static void put_close(struct net_websocket *w, uint16_t code, str reason) {
    uint8_t payload[WEBSOCKET_CONTROL_BYTES_MAX];
    size_t n = websocket_close_payload(payload, code, reason);
    put_frame(w, WEBSOCKET_OP_CLOSE, false, (str){payload, n});
}

bool net_websocket_room(struct net_websocket *w) {
    bool room = w->state == OPEN && queued(w) < w->c.queue_bytes_max;
    w->was_full |= !room;
    return room;
}

/* ---- ends ---- */

static void say_end(struct net_websocket *w, uint16_t code, str reason) {
    if (w->end_told) return;
    w->end_told = true;
    if (w->c.on_end) w->c.on_end(w->c.arg, code, reason);
}

/* Nothing comes or goes any more. */
static void be_over(struct net_websocket *w) {
    if (w->state == OVER) return;
    set_state(w, OVER);
    w->stream->failed = true;
    websocket_in_free(&w->in);
    buf_free(&w->rest);
    later(w);
}

void net_websocket_close(struct net_websocket *w, uint16_t code, str reason) {
    if (w->state != OPEN) return;
    if (code != WEBSOCKET_NO_CODE && !websocket_code_ok(code)) code = WEBSOCKET_INTERNAL_ERROR;
    put_close(w, code, reason);
    set_state(w, CLOSING);
    later(w);
}

/* The peer is at fault, or there is no room for it: it is told, and not waited for (§7.1.7). */
static void fail(struct net_websocket *w, uint16_t code, const char *why) {
    if (w->state == OPEN) put_close(w, code, str_c(why));
    if (w->state < ENDING) set_state(w, ENDING);
    say_end(w, code, str_c(why));
}

err net_websocket_send(struct net_websocket *w, bool text, str data) {
    if (w->state != OPEN) return ERR_CLOSED;
    if (data.n > w->c.message_bytes_max) return ERR_LIMIT;
    if (!net_websocket_room(w)) return ERR_AGAIN;
    str small;
    bool compressed = w->deflate && data.n <= COMPRESSED_BYTES_MAX && websocket_deflate(data, w->c.deflate.bits, &small);
    w->message_ns = now_of(w);
    put_frame(w, text ? WEBSOCKET_OP_TEXT : WEBSOCKET_OP_BINARY, compressed, compressed ? small : data);
    if (account(w)) return ERR_OK;
    fail(w, WEBSOCKET_TRY_AGAIN, "no memory is left for what is to be sent");
    return ERR_CLOSED;
}

/* ---- what comes ---- */

static void hold(struct net_websocket *w, bool text, str data) {
    if (w->in.shown) {
        w->held = w->in.message;
        w->in.message = (struct buf){0};
        w->in.shown = false;
    } else if (data.n) {
        ENSURE(buf_put(&w->held, data.p, data.n));
    }
    w->held_any = true;
    w->held_text = text;
}

static void take_message(struct net_websocket *w) {
    bool text = w->in.text;
    str data = w->in.data;
    if (w->state != OPEN) return; /* what crossed our close is too late */
    w->message_ns = now_of(w);
    if (!w->c.on_message(w->c.arg, text, data)) hold(w, text, data);
}

static void take_close(struct net_websocket *w) {
    uint16_t code = w->in.code;
    str reason = w->in.data;
    if (w->state == OPEN) put_close(w, code, (str){0});
    set_state(w, ENDING);
    say_end(w, code, reason);
}

/* One thing of what came. False: nothing more of it is wanted now. */
static bool take(struct net_websocket *w, enum websocket_result r) {
    switch (r) {
    case WEBSOCKET_MESSAGE: take_message(w); break;
    case WEBSOCKET_PING:
        if (w->state != OPEN) break;
        put_frame(w, WEBSOCKET_OP_PONG, false, w->in.data);
        w->stalled = queued(w) > w->c.queue_bytes_max; /* who pings and does not read is not read either */
        break;
    case WEBSOCKET_CLOSE: take_close(w); break;
    case WEBSOCKET_ERROR: fail(w, w->in.code, w->in.why); break;
    default: break;
    }
    return w->state < ENDING && !w->held_any && !w->stalled;
}

/* p is written over. What is not wanted yet is kept. */
static void feed(struct net_websocket *w, uint8_t *p, size_t n) {
    while (n && w->state < ENDING) {
        size_t used;
        enum websocket_result r = websocket_read(&w->in, p, n, &used);
        bool more = take(w, r);
        p += used, n -= used;
        if (w->state == OVER) return;
        if (!more) break;
    }
    if (n && w->state < ENDING) ENSURE(buf_put(&w->rest, p, n));
    if (w->state < ENDING && !account(w)) fail(w, WEBSOCKET_TRY_AGAIN, "no memory is left for what was sent");
}

/* What came before, and was not wanted then. */
static void feed_rest(struct net_websocket *w) {
    struct buf rest = w->rest;
    w->rest = (struct buf){0};
    feed(w, rest.p, rest.n);
    buf_free(&rest);
    if (w->state < ENDING) (void)account(w);
}

static void receive(struct net_websocket *w) {
    static _Thread_local uint8_t buffer[RECEIVE_BYTES]; /* one is received from at a time: what is kept of it is copied */
    size_t got = 0;
    while (w->state != OVER && w->stream->readable && got < TURN_BYTES) {
        if (w->state < ENDING && (w->held_any || w->stalled || w->rest.n)) return;
        ssize_t n = net_stream_recv(w->stream, buffer, sizeof buffer);
        if (n == NET_STREAM_WAIT) return;
        if (n <= 0) {
            say_end(w, WEBSOCKET_ABNORMAL, (str){0});
            be_over(w);
            return;
        }
        got += (size_t)n;
        w->heard_ns = now_of(w);
        w->pinged = false;
        if (w->state < ENDING) feed(w, buffer, (size_t)n);
    }
    if (got >= TURN_BYTES) later(w);
}

bool net_websocket_held(const struct net_websocket *w, bool *text, str *data) {
    if (!w->held_any) return false;
    *text = w->held_text;
    *data = buf_str(&w->held);
    return true;
}

void net_websocket_resume(struct net_websocket *w) {
    if (!w->held_any) return;
    w->held_any = false;
    buf_free(&w->held);
    w->message_ns = w->heard_ns = now_of(w); /* it was not listened to */
    if (w->state < ENDING) (void)account(w);
    later(w);
}

bool net_websocket_take(struct net_websocket *w, bool *text, struct buf *to) {
    if (!w->held_any) return false;
    *text = w->held_text;
    *to = w->held;
    w->held = (struct buf){0};
    net_websocket_resume(w);
    return true;
}

/* ---- turns ---- */

static void tell_ending(struct net_websocket *w) {
    w->ending_told = true;
    if (w->state != OPEN) return;
    if (w->c.on_ending) w->c.on_ending(w->c.arg);
    else net_websocket_close(w, WEBSOCKET_GOING_AWAY, STR("the server is going away"));
}

static void go_on(struct net_websocket *w) {
    if (w->state == OVER) return;
    if (w->stream->failed) {
        say_end(w, WEBSOCKET_ABNORMAL, (str){0});
        be_over(w);
        return;
    }
    if (UNLIKELY(net_stream_ending(w->stream) && !w->ending_told)) tell_ending(w);
    if (w->stalled && queued(w) <= w->c.queue_bytes_max / 2) w->stalled = false;
    w->reading = true;
    if (w->rest.n && !w->held_any && !w->stalled) feed_rest(w);
    receive(w);
    w->reading = false;
    if (w->state == OVER) return;
    if (!flush(w)) {
        say_end(w, WEBSOCKET_ABNORMAL, (str){0});
        be_over(w);
        return;
    }
    if (w->state == ENDING && !queued(w) && !w->shut) {
        w->shut = true;
        net_stream_shutdown(w->stream);
        w->stream->readable = true; /* to see its end */
        later(w);
    }
    if (w->was_full && w->state == OPEN && queued(w) <= w->c.queue_bytes_max / 2) {
        w->was_full = false;
        if (w->c.on_room) w->c.on_room(w->c.arg);
    }
}

static void on_ready(void *arg) { go_on(arg); }

static void on_job(struct net_job *job) {
    struct net_websocket *w = container_of(job, struct net_websocket, job);
    if (w->state != OVER) {
        go_on(w);
        return;
    }
    if (w->over_told) return;
    w->over_told = true;
    w->c.on_over(w->c.arg);
}

static void on_timer(void *arg) {
    struct net_websocket *w = arg;
    uint64_t now = now_of(w);
    if (now >= next_deadline(w)) {
        if (w->state != OPEN) {
            say_end(w, WEBSOCKET_ABNORMAL, (str){0});
            be_over(w);
            return;
        }
        if (w->c.idle_ms && now >= after(w->message_ns, w->c.idle_ms)) {
            net_websocket_close(w, WEBSOCKET_GOING_AWAY, STR("nothing was said for long"));
            return;
        }
        if (w->held_any) { /* its owner does not listen: whether it is there cannot be known */
            w->heard_ns = now;
        } else if (!w->pinged) {
            w->pinged = true;
            put_frame(w, WEBSOCKET_OP_PING, false, (str){0});
        } else {
            say_end(w, WEBSOCKET_ABNORMAL, (str){0});
            be_over(w);
            return;
        }
    }
    arm(w);
}

struct net_websocket *net_websocket_new(struct net_stream *s, const struct net_websocket_config *c) {
    struct net_websocket *w = calloc(1, sizeof *w);
    ENSURE(w);
    w->c = *c;
    struct net_websocket_config *of = &w->c;
    if (!of->message_bytes_max) of->message_bytes_max = MESSAGE_BYTES_MAX;
    if (!of->queue_bytes_max) of->queue_bytes_max = QUEUE_BYTES_MAX;
    if (!of->ping_ms) of->ping_ms = PING_MS;
    if (!of->pong_ms) of->pong_ms = PONG_MS;
    if (!of->close_ms) of->close_ms = CLOSE_MS;
    w->stream = s;
    w->deflate = c->deflate.on;
    w->in = (struct websocket_in){.message_bytes_max = of->message_bytes_max, .deflate = w->deflate};
    w->job.fn = on_job;
    w->heard_ns = w->message_ns = w->since_ns = now_of(w);
    w->timer = net_timer_new(of->loop, on_timer, w);
    arm(w);
    net_stream_listen(s, on_ready, w);
    later(w);
    return w;
}

void net_websocket_free(struct net_websocket *w) {
    if (!w) return;
    bool clean = w->over_told || w->state == OVER;
    net_stream_listen(w->stream, NULL, NULL);
    net_stream_close(w->stream, !clean);
    net_job_cancel(&w->job);
    net_timer_free(w->timer);
    websocket_in_free(&w->in);
    buf_free(&w->out);
    buf_free(&w->held);
    buf_free(&w->rest);
    if (w->c.charge && w->charged) (void)w->c.charge(w->c.arg, -w->charged);
    free(w);
}
