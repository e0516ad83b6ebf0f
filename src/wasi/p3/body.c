/* p3: bodies of wasi:http 0.3: inlets and outlets (p3/http.h).
 *
 *   inlet   IDLE ─ consume-body ─> FED ─ the guest has all, or dropped the stream ─> DRAINED to the trailers ─> over
 *             └── passed on ─────> RELAYED ────────────────────────────────────────────────────────────────> over
 *   outlet  contents and trailers come in any order; it is over when both have, or at the first failure.
 */
#include "wasi/p3/http.h"
#include <stdlib.h>

typedef struct wasi_p3_result_option_http_types_fields_http_types_error_code trailers_result;
typedef struct wasi_p3_result_void_http_types_error_code sent_result;

/* ---- errors ---- */

static_assert((int)WASI3_HTTP_TYPES_ERROR_CODE_DNS_TIMEOUT == NET_DNS_TIMEOUT - 1 &&
              (int)WASI3_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR == NET_INTERNAL_ERROR - 1);

void wasi_p3_error_code(enum net_error e, struct wasi3_http_types_error_code *out) {
    if (e == NET_OK) e = NET_INTERNAL_ERROR;
    *out = (struct wasi3_http_types_error_code){.tag = (enum wasi3_http_types_error_code_tag)(e - 1)};
    if (e == NET_INTERNAL_ERROR) out->internal_error = (struct wasi_p3_option_string){true, str_c(net_error_text(e))};
}

enum net_error wasi_p3_error_of(const struct wasi3_http_types_error_code *code) { return (enum net_error)(code->tag + 1); }

enum abi_trap wasi_p3_no_memory(struct host_call *call) {
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "the host memory of this instance is used up");
}

static void keep_sent(struct wasi_p3_promise **p, enum net_error e, const struct wasi3_http_types_error_code *code) {
    if (!*p) return;
    struct wasi_p3_promise *promise = *p;
    sent_result r = {.is_err = e != NET_OK};
    *p = NULL;
    if (code) r.err.tag = code->tag; /* its texts are the guest's memory, and stay there */
    else if (r.is_err) wasi_p3_error_code(e, &r.err);
    wasi_p3_promise_keep(promise, &r, NULL);
}

/* ---- inlet ---- */

void wasi_p3_inlet_init(struct wasi_p3_inlet *i, struct host_instance *in, struct net_source *source, void (*on_over)(void *arg),
                        void *arg) {
    *i = (struct wasi_p3_inlet){.in = in, .source = source, .on_over = on_over, .arg = arg};
}

static void tell_inlet_over(struct host_note *n) {
    struct wasi_p3_inlet *i = container_of(n, struct wasi_p3_inlet, note);
    i->on_over(i->arg);
}

static void inlet_over(struct wasi_p3_inlet *i) {
    if (i->over) return;
    i->over = true;
    if (i->source) net_source_notify(i->source, NULL, NULL);
    if (i->on_over) host_note(i->in, &i->note, tell_inlet_over);
    void *keeper = i->keeper;
    i->keeper = NULL;
    app_object_unref(i->in, keeper);
}

static void drop_trailers(struct host_instance *in, void *value) {
    trailers_result *r = value;
    if (!r->is_err && r->ok.some) app_object_unref(in, r->ok.value);
}

static void keep_trailers(struct wasi_p3_inlet *i, enum net_error e) {
    struct wasi_p3_promise *promise = i->trailers;
    trailers_result r = {.is_err = e != NET_OK};
    uint32_t count = 0;
    const struct net_field *list = r.is_err || host_instance_dead(i->in) ? NULL : net_source_trailers(i->source, &count);
    i->trailers = NULL;
    if (!promise) return;
    if (r.is_err) wasi_p3_error_code(e, &r.err);
    if (list && count) {
        r.ok.value = wasi_http_fields_of(i->in, sizeof *r.ok.value, list, count, NULL);
        r.ok.some = r.ok.value;
        if (r.ok.some) wasi_http_fields_own(&r.ok.value->f);
    }
    wasi_p3_promise_keep(promise, &r, drop_trailers);
}

/* Nobody reads the rest: on to the trailers, if those are wanted. */
static void inlet_drain(struct wasi_p3_inlet *i) {
    str data;
    enum net_flow flow = NET_FLOW_FAILED;
    if (!i->trailers || wasi_p3_promise_unwanted(i->trailers)) {
        keep_trailers(i, NET_CONNECTION_TERMINATED);
        inlet_over(i);
        return;
    }
    while ((flow = net_source_peek(i->source, &data)) == NET_FLOW_DATA) net_source_consume(i->source, data.n);
    if (flow == NET_FLOW_WAIT) return;
    keep_trailers(i, flow == NET_FLOW_END ? NET_OK : net_source_error(i->source));
    inlet_over(i);
}

static void relay(struct wasi_p3_outlet *o);
static void outlet_end(struct wasi_p3_outlet *o, enum net_error e, const struct wasi3_http_types_error_code *code);

static void source_changed(void *arg) {
    struct wasi_p3_inlet *i = arg;
    if (i->relay) relay(i->relay);
    else if (i->feed) wasi_p3_feed_wake(i->feed);
    else inlet_drain(i);
}

static enum net_flow inlet_peek(void *arg, size_t want, const void **p, size_t *n) {
    str data;
    enum net_flow flow = net_source_peek(((struct wasi_p3_inlet *)arg)->source, &data);
    *p = data.p;
    *n = data.n;
    return flow;
}
static void inlet_consume(void *arg, size_t n) { net_source_consume(((struct wasi_p3_inlet *)arg)->source, n); }
static void inlet_fed(void *arg) {
    struct wasi_p3_inlet *i = arg;
    i->feed = NULL;
    if (!host_instance_dead(i->in)) {
        inlet_drain(i);
        return;
    }
    keep_trailers(i, NET_CONNECTION_TERMINATED);
    inlet_over(i);
}
static const struct wasi_p3_feed_ops inlet_feed = {inlet_peek, inlet_consume, inlet_fed};

void wasi_p3_inlet_detach(struct wasi_p3_inlet *i) {
    i->on_over = NULL;
    host_note_cancel(&i->note);
    if (!i->source) return;
    net_source_notify(i->source, NULL, NULL);
    if (i->feed) wasi_p3_feed_stop(i->feed);
    i->feed = NULL;
    if (i->trailers) keep_trailers(i, NET_CONNECTION_TERMINATED);
    if (i->relay) {
        struct wasi_p3_outlet *o = i->relay;
        i->relay = NULL;
        o->inlet = NULL;
        outlet_end(o, NET_CONNECTION_TERMINATED, NULL);
    }
    i->source = NULL;
    inlet_over(i);
}

/* ---- a message's body, for the guest that got it ---- */

static void verdict_of_reader(void *arg, void *value) {} /* it could handle the body, or not: nobody to tell */

/* A body whose owner is gone. */
static struct host_stream *ended_stream(struct host_instance *in) {
    struct host_stream_writer *w;
    struct host_stream *s = host_stream_new(in, &w);
    if (s) host_stream_writer_close(w);
    return s;
}

static bool consume_host(struct host_instance *in, struct wasi_p3_body *b, struct host_stream **contents,
                         struct host_future **trailers) {
    struct wasi_p3_inlet *i = b->inlet;
    struct wasi_p3_promise *promise;
    *contents = NULL;
    *trailers = wasi_p3_promise_new(in, sizeof(trailers_result), &promise);
    if (!*trailers) return false;
    if (i && i->source) *contents = wasi_p3_feed_new(in, &inlet_feed, i, &i->feed);
    else *contents = ended_stream(in);
    if (!*contents) {
        host_future_close(*trailers);
        wasi_p3_promise_abandon(promise);
        return false;
    }
    if (i && i->source) {
        i->trailers = promise;
        i->keeper = b->keeper;
        net_source_notify(i->source, source_changed, i);
    } else {
        trailers_result gone = {.is_err = true};
        wasi_p3_error_code(NET_CONNECTION_TERMINATED, &gone.err);
        wasi_p3_promise_keep(promise, &gone, NULL);
    }
    return true;
}

static void forward_verdict(void *arg, void *value) {
    struct wasi_p3_promise *sent = arg;
    sent_result *r = value;
    keep_sent(&sent, r && !r->is_err ? NET_OK : NET_INTERNAL_ERROR, r && r->is_err ? &r->err : NULL);
}

/* One guest made the message, and one of this component reads it: nothing goes through here but the result. */
static bool consume_guest(struct host_instance *in, struct wasi_p3_body *b, struct host_future *res,
                          struct host_stream **contents, struct host_future **trailers) {
    *contents = b->contents ? b->contents : ended_stream(in);
    *trailers = b->trailers;
    if (!*contents) return false;
    struct wasi_p3_await *a = wasi_p3_await_new(in, res, sizeof(sent_result), forward_verdict, b->sent);
    if (!a) keep_sent(&b->sent, NET_INTERNAL_ERROR, NULL);
    return true;
}

/* False: no memory, and the body is as it was; res is taken all the same. */
static bool consume(struct host_instance *in, struct wasi_p3_body *b, struct host_future *res, struct host_stream **contents,
                    struct host_future **trailers) {
    bool ok;
    if (b->kind == P3_BODY_GUEST) {
        ok = consume_guest(in, b, res, contents, trailers);
        if (!ok) host_future_close(res);
    } else {
        ok = consume_host(in, b, contents, trailers);
        (void)wasi_p3_await_new(in, res, sizeof(sent_result), verdict_of_reader, NULL);
    }
    if (ok) b->kind = P3_BODY_TAKEN;
    return ok;
}

enum abi_trap wasi3_http_types_request_consume_body(
    struct host_call *call, struct wasi3_http_types_request *this, struct host_future *res,
    struct wasi_p3_tuple2_stream_u8_future_result_option_http_types_fields_http_types_error_code *result) {
    bool ok = consume(call->instance, &this->body, res, &result->f0, &result->f1);
    app_object_unref(call->instance, this); /* an exchange's outlives its request, which its server refers to */
    return ok ? ABI_TRAP_NONE : wasi_p3_no_memory(call);
}

enum abi_trap wasi3_http_types_response_consume_body(
    struct host_call *call, struct wasi3_http_types_response *this, struct host_future *res,
    struct wasi_p3_tuple2_stream_u8_future_result_option_http_types_fields_http_types_error_code *result) {
    bool ok = consume(call->instance, &this->body, res, &result->f0, &result->f1);
    app_object_unref(call->instance, this);
    return ok ? ABI_TRAP_NONE : wasi_p3_no_memory(call);
}

void wasi_p3_body_drop(struct host_instance *in, struct wasi_p3_body *b) { wasi_p3_body_fail(in, b, NET_CONNECTION_TERMINATED); }

void wasi_p3_body_fail(struct host_instance *in, struct wasi_p3_body *b, enum net_error e) {
    if (b->kind == P3_BODY_GUEST) {
        if (b->contents) host_stream_close(b->contents);
        host_future_close(b->trailers);
        keep_sent(&b->sent, e, NULL);
    }
    if (b->kind == P3_BODY_HOST) {
        if (b->inlet) inlet_over(b->inlet);
        app_object_unref(in, b->keeper);
    }
    b->kind = P3_BODY_TAKEN;
}

/* ---- outlet ---- */

static void tell_outlet_over(struct host_note *n) {
    struct wasi_p3_outlet *o = container_of(n, struct wasi_p3_outlet, note);
    o->on_over(o->arg, o->error, o->has_code ? &o->code : NULL);
}

static void outlet_end(struct wasi_p3_outlet *o, enum net_error e, const struct wasi3_http_types_error_code *code) {
    if (o->over) return;
    o->over = true;
    o->error = e;
    o->has_code = code;
    if (code) o->code = (struct wasi3_http_types_error_code){.tag = code->tag};
    if (o->on_over) host_note(o->in, &o->note, tell_outlet_over);
    if (o->sink) net_sink_notify(o->sink, NULL, NULL);
    if (o->drain) wasi_p3_drain_stop(o->drain);
    if (o->trailers) wasi_p3_await_stop(o->trailers);
    o->drain = NULL;
    o->trailers = NULL;
    if (e != NET_OK || !o->hold_sent) keep_sent(&o->sent, e, code);
    app_object_unref(o->in, o->trailer_fields);
    o->trailer_fields = NULL;
    struct wasi_p3_inlet *i = o->inlet;
    struct host_instance *in = o->in;
    void *keeper = o->keeper;
    o->inlet = NULL;
    o->keeper = NULL;
    o->sink = NULL;
    if (i) {
        i->relay = NULL;
        inlet_over(i);
    }
    app_object_unref(in, keeper); /* which o may be part of */
}

void wasi_p3_outlet_stop(struct wasi_p3_outlet *o, enum net_error e) {
    if (!o->started) return;
    o->on_over = NULL;
    host_note_cancel(&o->note);
    outlet_end(o, e, NULL);
}

bool wasi_p3_outlet_forsaken(const struct wasi_p3_outlet *o) {
    return o->started && !o->over &&
           ((o->drain && wasi_p3_drain_forsaken(o->drain)) || (o->trailers && wasi_p3_await_forsaken(o->trailers)));
}

void wasi_p3_outlet_sent(struct wasi_p3_outlet *o, enum net_error e, const struct wasi3_http_types_error_code *code) {
    o->hold_sent = false;
    if (o->over || e != NET_OK) keep_sent(&o->sent, e, code);
}

static void finish(struct wasi_p3_outlet *o, const struct net_field *trailers, uint32_t n) {
    if (!o->sink) {
        outlet_end(o, NET_OK, NULL);
        return;
    }
    err e = net_sink_finish(o->sink, trailers, n);
    enum net_error failed = net_sink_error(o->sink);
    outlet_end(o, e == ERR_OK ? NET_OK : e == ERR_INVALID ? o->wrong_size : failed ? failed : NET_CONNECTION_TERMINATED, NULL);
}

static void maybe_finish(struct wasi_p3_outlet *o) {
    if (!o->contents_over || !o->trailers_known || o->over) return;
    uint32_t n = o->trailer_fields ? o->trailer_fields->f.count : 0;
    struct net_field *list = n ? calloc(n, sizeof *list) : NULL;
    ENSURE(list || !n);
    for (uint32_t i = 0; i < n; i++) list[i] = o->trailer_fields->f.list[i].f;
    finish(o, list, n);
    free(list);
}

static size_t outlet_room(void *arg) { return net_sink_room(((struct wasi_p3_outlet *)arg)->sink); }
/* False: that was its end; o may be gone. */
static bool put(struct wasi_p3_outlet *o, str bytes) {
    err e = net_sink_write(o->sink, bytes);
    if (e == ERR_OK) return true;
    enum net_error failed = net_sink_error(o->sink);
    o->drain = NULL; /* who asks stops by itself */
    outlet_end(o, e == ERR_INVALID ? o->wrong_size : failed ? failed : NET_CONNECTION_TERMINATED, NULL);
    return false;
}
static bool outlet_write(void *arg, str bytes) { return put(arg, bytes); }
static void outlet_contents_over(void *arg, bool gone) {
    struct wasi_p3_outlet *o = arg;
    o->drain = NULL;
    o->contents_over = true;
    if (gone) outlet_end(o, NET_INTERNAL_ERROR, NULL);
    else maybe_finish(o);
}
static const struct wasi_p3_drain_ops outlet_drain = {outlet_room, outlet_write, outlet_contents_over};

static void outlet_trailers(void *arg, void *value) {
    struct wasi_p3_outlet *o = arg;
    trailers_result *r = value;
    o->trailers = NULL;
    o->trailers_known = true;
    if (!r) {
        outlet_end(o, NET_INTERNAL_ERROR, NULL);
    } else if (r->is_err) {
        outlet_end(o, wasi_p3_error_of(&r->err), &r->err);
    } else {
        o->trailer_fields = r->ok.some ? r->ok.value : NULL;
        maybe_finish(o);
    }
}

/* From the source to the sink, while there is something and room. */
static void relay(struct wasi_p3_outlet *o) {
    for (;;) {
        str data;
        size_t room = net_sink_room(o->sink);
        struct net_source *source = o->inlet->source;
        enum net_flow flow = net_source_peek(source, &data);
        uint32_t n;
        switch (flow) {
        case NET_FLOW_WAIT: return;
        case NET_FLOW_FAILED: outlet_end(o, net_source_error(source), NULL); return;
        case NET_FLOW_END: {
            const struct net_field *trailers = net_source_trailers(source, &n);
            finish(o, trailers, n);
            return;
        }
        case NET_FLOW_DATA:
            if (!room) return;
            data = str_sub(data, 0, room);
            if (!put(o, data)) return;
            net_source_consume(source, data.n);
        }
    }
}

static void sink_changed(void *arg) {
    struct wasi_p3_outlet *o = arg;
    enum net_error e = net_sink_error(o->sink);
    if (e != NET_OK) outlet_end(o, e, NULL);
    else if (o->inlet) relay(o);
    else if (o->drain) wasi_p3_drain_wake(o->drain);
}

static void start_relay(struct wasi_p3_outlet *o, struct wasi_p3_body *from) {
    o->inlet = from->inlet;
    o->keeper = from->keeper;
    if (!o->inlet || !o->inlet->source) {
        outlet_end(o, NET_CONNECTION_TERMINATED, NULL);
        return;
    }
    o->inlet->relay = o;
    net_source_notify(o->inlet->source, source_changed, o->inlet);
    relay(o);
}

static void start_drain(struct wasi_p3_outlet *o, struct wasi_p3_body *from) {
    o->sent = from->sent;
    o->contents_over = !from->contents;
    o->trailers = wasi_p3_await_new(o->in, from->trailers, sizeof(trailers_result), outlet_trailers, o);
    if (from->contents) o->drain = wasi_p3_drain_new(o->in, from->contents, &outlet_drain, o);
    if (!o->trailers || (from->contents && !o->drain)) {
        outlet_end(o, NET_INTERNAL_ERROR, NULL);
        return;
    }
    if (o->drain) wasi_p3_drain_wake(o->drain);
}

void wasi_p3_outlet_start(struct wasi_p3_outlet *o, struct wasi_p3_body *from) {
    struct wasi_p3_body body = *from;
    from->kind = P3_BODY_TAKEN;
    o->started = true;
    if (o->sink) net_sink_notify(o->sink, sink_changed, o);
    if (body.kind == P3_BODY_GUEST) {
        start_drain(o, &body);
    } else if (body.kind == P3_BODY_TAKEN) {
        outlet_end(o, NET_INTERNAL_ERROR, NULL);
    } else if (o->sink) {
        start_relay(o, &body);
    } else {
        wasi_p3_body_drop(o->in, &body);
        outlet_end(o, NET_OK, NULL);
    }
}
