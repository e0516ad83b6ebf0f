/* p3: see p3/websocket.h. */
#include "wasi/p3/websocket.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- ends ---- */

static void set_close(struct wasi_p3_socket *s, uint16_t code, str reason) {
    if (s->code) return;
    s->code = code;
    s->reason_n = (uint8_t)MIN(reason.n, sizeof s->reason);
    if (s->reason_n) memcpy(s->reason, reason.p, s->reason_n);
}

static void drop_out(struct wasi_p3_socket *s) {
    if (s->out) host_stream_close(s->out);
    s->out = NULL;
}

/* With the client: as soon as there is one. */
static void close_with(struct wasi_p3_socket *s, uint16_t code, str reason) {
    drop_out(s);
    if (s->ws) net_websocket_close(s->ws, code, reason);
    else if (!s->close_code) s->close_code = code;
}

/* The client has said all, or is to say no more: the guest is told so behind what came before. */
static void end_incoming(struct wasi_p3_socket *s, uint16_t code, str reason) {
    if (s->ended) return;
    s->ended = s->close_due = true;
    set_close(s, code, reason);
    if (s->feed) wasi_p3_feed_wake(s->feed);
}

bool wasi_p3_socket_over(const struct wasi_p3_socket *s) { return !s->ws && !s->upgrading && !s->feed && !s->out && !s->mem; }

static void maybe_over(struct wasi_p3_socket *s) {
    if (s->over || !wasi_p3_socket_over(s)) return;
    s->over = true;
    net_timer_free(s->going);
    s->going = NULL;
    s->on_over(s->arg);
}

/* ---- to the guest ---- */

static bool charge(void *arg, int64_t bytes) {
    struct wasi_p3_socket *s = arg;
    if (!s->in) return true;
    if (bytes > 0) {
        if (!host_charge(s->in, (uint64_t)bytes)) return false;
        s->charged += (uint64_t)bytes;
    } else {
        uint64_t less = MIN((uint64_t)-bytes, s->charged);
        host_uncharge(s->in, less);
        s->charged -= less;
    }
    return true;
}

/* What the guest is being given leaves its socket, which may go. */
static void keep_last(struct wasi_p3_socket *s) {
    if (!s->ws || !net_websocket_take(s->ws, &s->last_text, &s->last)) return;
    s->last_any = true;
    (void)charge(s, (int64_t)s->last.cap); /* it was its until now */
}

static void drop_last(struct wasi_p3_socket *s) {
    if (s->last_any) (void)charge(s, -(int64_t)s->last.cap);
    buf_free(&s->last);
    s->last_any = false;
}

/* The one that the guest has not had yet. */
static bool held(const struct wasi_p3_socket *s, bool *text, str *data) {
    if (!s->last_any) return s->ws && net_websocket_held(s->ws, text, data);
    *text = s->last_text;
    *data = buf_str(&s->last);
    return true;
}

static void drop_held(struct wasi_p3_socket *s) {
    if (s->last_any) drop_last(s);
    else if (s->ws) net_websocket_resume(s->ws);
}

static enum net_flow socket_peek(void *arg, size_t want, const void **p, size_t *n) {
    struct wasi_p3_socket *s = arg;
    bool text;
    str data;
    if (held(s, &text, &data)) {
        s->shown = text ? (struct wasmcloud_websocket_types_frame){.tag = WASMCLOUD_WEBSOCKET_TYPES_FRAME_TEXT, .text = data}
                        : (struct wasmcloud_websocket_types_frame){.tag = WASMCLOUD_WEBSOCKET_TYPES_FRAME_BINARY, .binary = data};
    } else if (s->close_due) {
        s->shown = (struct wasmcloud_websocket_types_frame){.tag = WASMCLOUD_WEBSOCKET_TYPES_FRAME_CLOSE,
                                                            .close = {s->code, {s->reason, s->reason_n}}};
    } else {
        return s->ended ? NET_FLOW_END : NET_FLOW_WAIT;
    }
    *p = &s->shown;
    *n = 1;
    return NET_FLOW_DATA;
}

static void socket_consume(void *arg, size_t n) {
    struct wasi_p3_socket *s = arg;
    if (s->shown.tag == WASMCLOUD_WEBSOCKET_TYPES_FRAME_CLOSE) {
        s->close_due = false;
        return;
    }
    s->on_message(s->arg);
    drop_held(s);
}

/* The websocket is freed once the guest has its last message, or wants none. */
static void free_ws(struct wasi_p3_socket *s) {
    struct net_websocket *ws = s->ws;
    s->ws = NULL;
    net_websocket_free(ws);
}

static void incoming_over(void *arg) {
    struct wasi_p3_socket *s = arg;
    s->feed = NULL;
    s->ended = true; /* the guest reads no more: its client may go on, and is not listened to */
    s->close_due = false;
    drop_held(s);
    maybe_over(s);
}

static const struct wasi_p3_feed_ops feed_ops = {socket_peek, socket_consume, incoming_over};

/* ---- from the guest ---- */

/* Its frame. False: nothing more of it is wanted. */
static bool send_frame(struct wasi_p3_socket *s, const struct wasmcloud_websocket_types_frame *f, size_t *bytes) {
    if (f->tag == WASMCLOUD_WEBSOCKET_TYPES_FRAME_CLOSE) {
        uint16_t code = f->close.code;
        close_with(s, code == WEBSOCKET_NO_CODE || websocket_code_ok(code) ? code : WEBSOCKET_INTERNAL_ERROR, f->close.reason);
        return false;
    }
    bool text = f->tag == WASMCLOUD_WEBSOCKET_TYPES_FRAME_TEXT;
    str data = text ? f->text : f->binary;
    *bytes += data.n;
    s->on_message(s->arg);
    err e = net_websocket_send(s->ws, text, data);
    if (e == ERR_OK) return true;
    if (e == ERR_LIMIT) close_with(s, WEBSOCKET_TOO_BIG, STR("a message of the service is larger than it may be"));
    else drop_out(s);
    return false;
}

static void out_run(void *arg) {
    enum { MESSAGES_MAX = 32, BYTES_MAX = 128 << 10 }; /* at a time; others first */
    struct wasi_p3_socket *s = arg;
    size_t bytes = 0;
    for (int i = 0; i < MESSAGES_MAX && bytes < BYTES_MAX; i++) {
        struct host_call call;
        struct wasmcloud_websocket_types_frame f;
        size_t n = 0;
        if (!s->out) return;
        if (!host_stream_over(s->out) && (!s->ws || !net_websocket_room(s->ws))) return;
        host_call_begin(&call, s->in);
        enum host_copy copied = host_stream_read(s->out, &call, &f, 1, &n);
        bool more = copied == HOST_COPY_DONE && s->ws && send_frame(s, &f, &bytes);
        host_call_end(&call);
        if (copied == HOST_COPY_BLOCKED) return;
        if (copied != HOST_COPY_DONE) {
            bool gone = copied == HOST_COPY_TRAPPED || host_stream_gone(s->out);
            close_with(s, gone ? WEBSOCKET_INTERNAL_ERROR : s->going ? WEBSOCKET_GOING_AWAY : WEBSOCKET_NORMAL, (str){0});
        }
        if (!more) {
            drop_out(s);
            maybe_over(s);
            return;
        }
    }
    host_stream_wake(s->out);
}

/* ---- what the client's side tells ---- */

static bool on_message(void *arg, bool text, str data) {
    struct wasi_p3_socket *s = arg;
    if (!s->feed || s->ended) return true; /* nobody listens */
    wasi_p3_feed_wake(s->feed);
    return false;
}

static void on_room(void *arg) {
    struct wasi_p3_socket *s = arg;
    if (s->out) host_stream_wake(s->out);
}

static void on_end(void *arg, uint16_t code, str reason) {
    struct wasi_p3_socket *s = arg;
    end_incoming(s, code, reason);
    drop_out(s); /* the guest's next write finds nobody */
}

static void on_ending(void *arg) { wasi_p3_socket_go_away(arg, 0); }

static void on_over(void *arg) {
    struct wasi_p3_socket *s = arg;
    end_incoming(s, WEBSOCKET_ABNORMAL, (str){0});
    drop_out(s);
    if (s->feed && wasi_p3_feed_copying(s->feed)) {
        keep_last(s);
    } else if (s->feed && held(s, &(bool){0}, &(str){0})) {
        wasi_p3_feed_stop(s->feed); /* what it did not read in all that time, it is not given any more */
        s->feed = NULL;
    }
    free_ws(s);
    maybe_over(s);
}

static void on_stream(void *arg, struct net_stream *stream) {
    struct wasi_p3_socket *s = arg;
    const struct app_limits *l = s->limits;
    s->upgrading = false;
    if (!stream) {
        end_incoming(s, WEBSOCKET_ABNORMAL, (str){0});
        drop_out(s);
        maybe_over(s);
        return;
    }
    struct net_websocket_config c = {.loop = s->loop,
                                     .message_bytes_max = l->websocket_message_bytes_max,
                                     .idle_ms = (uint32_t)MIN(l->websocket_idle_ms, (uint64_t)UINT32_MAX - 1),
                                     .ping_ms = (uint32_t)MIN(l->websocket_ping_ms, (uint64_t)UINT32_MAX - 1),
                                     .deflate = s->deflate,
                                     .charge = charge,
                                     .on_message = on_message,
                                     .on_room = on_room,
                                     .on_end = on_end,
                                     .on_ending = on_ending,
                                     .on_over = on_over,
                                     .arg = s};
    s->ws = net_websocket_new(stream, &c);
    if (s->close_code) net_websocket_close(s->ws, s->close_code, (str){0});
    else if (s->out) host_stream_wake(s->out);
}

/* ---- its life ---- */

/* False: it was answered with that. */
static bool refuse(struct net_exchange *x, uint16_t status, const char *why) {
    struct net_field fields[] = {{STR("content-type"), STR("text/plain; charset=utf-8")}, net_websocket_version};
    char text[160];
    int n = snprintf(text, sizeof text, "%u: %s\n", status, why);
    err e = net_exchange_reply(x, status, fields, status == 426 || status == 400 ? 2 : 1, (str){(uint8_t *)text, (size_t)n});
    (void)e; /* the client is gone: it hears nothing */
    return false;
}

static str lower(arena *mem, str name) {
    uint8_t *p = arena_array(mem, uint8_t, name.n + 1);
    for (size_t i = 0; i < name.n; i++) p[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i];
    return (str){p, name.n};
}

static void describe(arena *mem, const struct net_request *rq, struct wasmcloud_websocket_types_upgrade_request *to) {
    size_t query = str_find(rq->path, '?');
    VEC(str) protocols = {0};
    str one;
    to->path = arena_str(mem, str_sub(rq->path, 0, query));
    to->query = query < rq->path.n ? arena_str(mem, str_sub(rq->path, query + 1, rq->path.n)) : (str){0};
    to->headers.p = arena_array(mem, struct wasi_websocket_tuple2_string_list_u8, rq->fields_count + 1);
    for (uint32_t i = 0; i < rq->fields_count; i++)
        to->headers.p[to->headers.n++] =
            (struct wasi_websocket_tuple2_string_list_u8){lower(mem, rq->fields[i].name), arena_str(mem, rq->fields[i].value)};
    for (struct net_websocket_names at = {0}; net_websocket_protocol(rq, &at, &one);)
        vec_push(mem, &protocols, arena_str(mem, one));
    to->subprotocols = (struct wasi_websocket_list_string){protocols.p, protocols.n};
}

bool wasi_p3_socket_open(struct wasi_p3_socket *s, struct net_exchange *x, struct wasi_p3_socket_args *args) {
    const struct net_request *rq = net_exchange_request(x);
    struct net_websocket_offer offer;
    struct app *app = app_instance_of(s->in)->app;
    str first = {0};
    s->loop = app->loop;
    s->limits = app->limits;
    if (!net_websocket_check(rq, true, &offer)) return refuse(x, offer.status, offer.why);
    struct host_stream *incoming = wasi_p3_feed_new(s->in, &feed_ops, s, &s->feed);
    if (!incoming) return refuse(x, 503, "the host memory of its instance is used up");
    s->mem = arena_new(0);
    describe(s->mem, rq, &args->req);
    args->incoming = incoming;
    s->deflate = offer.deflate;
    (void)net_websocket_protocol(rq, &(struct net_websocket_names){0},
                                 &first); /* a page that names some wants one of them; the first is what it would like best */
    err e = net_websocket_upgrade(x, &offer, first, on_stream, s);
    if (e == ERR_OK) {
        s->upgrading = true;
        return true;
    }
    wasi_p3_feed_stop(s->feed);
    s->feed = NULL;
    host_stream_close(incoming);
    arena_free(s->mem);
    s->mem = NULL;
    return refuse(x, e == ERR_UNSUPPORTED ? 501 : 400, "no WebSocket can be had this way");
}

void wasi_p3_socket_returned(struct wasi_p3_socket *s, struct host_stream *out) {
    arena_free(s->mem);
    s->mem = NULL;
    s->out = out;
    if (!out) {
        close_with(s, WEBSOCKET_INTERNAL_ERROR, (str){0});
    } else if (!s->ws && !s->upgrading) {
        drop_out(s); /* its client did not wait */
    } else {
        host_stream_set_waker(out, out_run, s);
        host_stream_wake(out);
    }
    maybe_over(s);
}

bool wasi_p3_socket_forsaken(const struct wasi_p3_socket *s) { return s->out && host_stream_forsaken(s->out); }

static void on_going(void *arg) {
    struct wasi_p3_socket *s = arg;
    close_with(s, WEBSOCKET_GOING_AWAY, STR("the service is going away"));
    maybe_over(s);
}

void wasi_p3_socket_go_away(struct wasi_p3_socket *s, uint32_t after_ms) {
    enum { GUEST_MS = 2'000 }; /* to say what it has to */
    if (s->going || s->ended) return;
    s->going = net_timer_new(s->loop, on_going, s);
    net_timer_start(s->going, after_ms + GUEST_MS, 0);
    end_incoming(s, WEBSOCKET_GOING_AWAY, STR("the service is going away"));
}

static void stop_feed(struct wasi_p3_socket *s) {
    if (s->feed) wasi_p3_feed_stop(s->feed);
    s->feed = NULL;
}

void wasi_p3_socket_fail(struct wasi_p3_socket *s, uint16_t code, const char *why) {
    close_with(s, code, str_c(why));
    s->ended = true;
    s->close_due = false;
    if (s->feed && wasi_p3_feed_copying(s->feed)) {
        keep_last(s); /* it ends when that is done */
        return;
    }
    stop_feed(s);
    drop_held(s);
}

void wasi_p3_socket_gone(struct wasi_p3_socket *s) {
    wasi_p3_socket_fail(s, WEBSOCKET_INTERNAL_ERROR, "");
    stop_feed(s); /* nothing of its instance runs any more */
    drop_last(s);
    if (s->charged) host_uncharge(s->in, s->charged);
    s->charged = 0;
    s->in = NULL;
    if (s->mem) arena_free(s->mem);
    s->mem = NULL;
}

void wasi_p3_socket_end(struct wasi_p3_socket *s) {
    drop_out(s);
    stop_feed(s);
    drop_last(s);
    net_timer_free(s->going);
    s->going = NULL;
    if (s->ws) free_ws(s);
    if (s->mem) arena_free(s->mem);
    s->mem = NULL;
}
