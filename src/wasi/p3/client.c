/* p3: wasi:http/client.send, and handler.handle, which a middleware imports: requests of a guest.
 *
 *   send ─> WAITING ── the head of a response ──> ANSWERED ── nobody holds the response or its body ──> freed
 *              └── refused, failed, cancelled, the request's trailers are an error ──> freed
 *
 * The request's body goes on after the answer has begun, until nobody wants the answer's body any more. */
#include "wasi/http/outgoing.h"
#include "wasi/p3/http.h"

typedef struct wasi_p3_result_http_types_response_http_types_error_code send_result;

struct wasi_p3_fetch {
    struct app_object o;  /* held by the pending call, then by the response and its body */
    struct app_late late; /* while there is a fetch */
    struct host_instance *in;
    struct app_request *served; /* for which it is sent, referenced */
    struct wasi_outgoing seen;
    struct net_fetch *fetch;      /* NULL: gone */
    struct host_pending *pending; /* NULL: answered */
    send_result *result;          /* while it pends */
    struct wasi_p3_inlet inlet;
    struct wasi_p3_outlet outlet;
};

/* Everything between it and the network ends. */
static void cut(struct wasi_p3_fetch *f) {
    struct net_fetch *fetch = f->fetch;
    if (!fetch) return;
    f->fetch = NULL;
    app_late_remove(&f->late);
    wasi_p3_outlet_stop(&f->outlet, NET_CONNECTION_TERMINATED);
    wasi_p3_outlet_sent(&f->outlet, NET_CONNECTION_TERMINATED, NULL);
    wasi_p3_inlet_detach(&f->inlet);
    wasi_outgoing_end(&f->seen, f->served, fetch);
    net_fetch_free(fetch);
}

/* The same where references are left, which may go with its parts. */
static void stop(struct wasi_p3_fetch *f) {
    app_object_ref(f);
    cut(f);
    app_object_unref(f->in, f);
}

static void fetch_destroy(struct host_instance *in, void *self) {
    struct wasi_p3_fetch *f = self;
    cut(f);
    app_request_unref(f->served);
}

static void on_instance_gone(struct app_late *l) { stop(container_of(l, struct wasi_p3_fetch, late)); }

/* ---- the answer ---- */

static void fail(struct wasi_p3_fetch *f, enum net_error e, const struct wasi3_http_types_error_code *code) {
    struct host_pending *p = f->pending;
    if (!p) return;
    f->pending = NULL;
    f->result->is_err = true;
    wasi_p3_error_code(e, &f->result->err);
    if (code) f->result->err = (struct wasi3_http_types_error_code){.tag = code->tag};
    wasi_p3_outlet_sent(&f->outlet, e, code);
    stop(f);
    host_pending_done(p);
    app_object_unref(f->in, f);
}

static void on_change(void *arg) {
    struct wasi_p3_fetch *f = arg;
    struct host_pending *p = f->pending;
    if (f->fetch) wasi_outgoing_failed(wasi_instance_of(f->in), f->served, f->fetch);
    if (f->fetch) wasi_outgoing_tell(&f->seen, f->served, f->fetch);
    if (!p) return;
    const struct net_response *response = net_fetch_response(f->fetch);
    if (!response) {
        if (net_fetch_error(f->fetch) != NET_OK) fail(f, net_fetch_error(f->fetch), NULL);
        return;
    }
    wasi_p3_inlet_init(&f->inlet, f->in, net_fetch_source(f->fetch), NULL, NULL);
    f->result->ok = wasi_p3_response_of(f->in, response, &f->inlet, f);
    if (!f->result->ok) {
        fail(f, NET_INTERNAL_ERROR, NULL);
        return;
    }
    f->pending = NULL;
    wasi_p3_outlet_sent(&f->outlet, NET_OK, NULL);
    host_pending_done(p);
    app_object_unref(f->in, f);
}

static void on_cancel(struct host_pending *p, void *arg) {
    struct wasi_p3_fetch *f = arg;
    f->pending = NULL;
    stop(f);
    host_pending_cancelled(p);
    app_object_unref(f->in, f);
}

static void on_gone(struct host_pending *p, void *arg) {
    struct wasi_p3_fetch *f = arg;
    f->pending = NULL;
    stop(f);
    app_object_unref(f->in, f);
}

static const struct host_pending_ops pending_ops = {on_cancel, on_gone};

static void body_over(void *arg, enum net_error e, const struct wasi3_http_types_error_code *code) {
    struct wasi_p3_fetch *f = arg;
    if (e != NET_OK && f->fetch) fail(f, net_fetch_error(f->fetch) != NET_OK ? net_fetch_error(f->fetch) : e, code);
}

/* ---- the request ---- */

struct target {
    str scheme, authority;
    str host;      /* the Host to send; empty: the authority */
    bool forwards; /* to where --forward says */
};

/* The fields to send: the guest's, and what all have. */
static uint32_t fields_to_send(arena *scratch, const struct wasi3_http_types_request *r, const struct target *target,
                               const struct wasi_p3_fetch *f, struct net_field *to) {
    uint32_t n = 0;
    const struct wasi_http_fields *own = r->headers ? &r->headers->f : NULL;
    for (; own && n < own->count; n++) to[n] = own->list[n].f;
    if (target->host.n) to[n++] = (struct net_field){STR("host"), target->host};
    return wasi_outgoing_fields(scratch, &f->seen, f->served, to, n);
}

static bool has_body(const struct wasi3_http_types_request *r) {
    if (r->body.kind == P3_BODY_GUEST) return r->body.contents;
    return r->body.kind == P3_BODY_HOST && r->came_with_body;
}

static enum net_error start(struct wasi_p3_fetch *f, struct wasi3_http_types_request *r, const struct target *to) {
    struct wasi_instance *i = wasi_instance_of(f->in);
    uint64_t otherwise = i->base.app->limits->outgoing_timeout_ms;
    struct wasi3_http_types_request_options none = {}, *o = r->options ? r->options : &none;
    arena *scratch = arena_new(0);
    if (!r->headers && r->net)
        r->headers = wasi_http_fields_of(f->in, sizeof *r->headers, r->net->fields, r->net->fields_count, NULL);
    struct net_field *fields =
        arena_array(scratch, struct net_field, (r->headers ? r->headers->f.count : 0) + 1 + WASI_OUTGOING_FIELDS);
    bool body = has_body(r);
    wasi_outgoing_begin(&f->seen, f->served, r->method);
    struct net_fetch_request rq = {
        .method = r->method,
        .scheme = to->scheme,
        .authority = to->authority,
        .path = r->has_path ? r->path : (str){},
        .fields = fields,
        .fields_count = fields_to_send(scratch, r, to, f, fields),
        .has_body = body,
        .connect_ms_max = wasi_outgoing_ms(o->connect.some, o->connect.value, otherwise),
        .first_byte_ms_max = wasi_outgoing_ms(o->first_byte.some, o->first_byte.value, otherwise),
        .between_bytes_ms_max = wasi_outgoing_ms(o->between_bytes.some, o->between_bytes.value, otherwise),
        .head_bytes_max = (uint32_t)MIN(i->base.app->limits->head_bytes_max, (uint64_t)UINT32_MAX),
        .quota = &i->outgoing,
        .allow_address = to->forwards ? wasi_outgoing_may_forward : wasi_outgoing_may_reach,
        .allow_address_arg = i->base.app,
    };
    enum net_error e = to->forwards ? net_fetch_new(wasi_image_client(i->image), &rq, on_change, f, &f->fetch)
                                    : wasi_outgoing_send(i, f->served, &rq, on_change, f, &f->fetch);
    arena_free(scratch);
    if (e != NET_OK) return e;
    app_late_add(&i->base, &f->late, on_instance_gone);
    return NET_OK;
}

/* Fails at once: the request is taken, its body's writer learns why. */
static enum abi_trap refuse(struct host_call *call, struct wasi3_http_types_request *r, enum net_error e, send_result *result) {
    wasi_p3_body_fail(call->instance, &r->body, e);
    app_object_unref(call->instance, r);
    result->is_err = true;
    wasi_p3_error_code(e, &result->err);
    return ABI_TRAP_NONE;
}

static enum abi_trap send(struct host_call *call, struct wasi3_http_types_request *r, const struct target *to,
                          send_result *result) {
    struct host_instance *in = call->instance;
    struct wasi_p3_fetch *f = app_object_new(in, sizeof *f, fetch_destroy);
    if (!f) return refuse(call, r, NET_INTERNAL_ERROR, result);
    if (!app_object_holds(in, f, NET_FETCH_BYTES_MAX)) {
        app_object_unref(in, f);
        return refuse(call, r, NET_CONNECTION_LIMIT_REACHED, result);
    }
    f->in = in;
    f->served = app_request_ref(app_request_of(call));
    f->result = result;
    enum net_error e = start(f, r, to);
    if (e == NET_OK && !(f->pending = host_pend(call, &pending_ops, f))) e = NET_INTERNAL_ERROR;
    if (e != NET_OK) {
        app_object_unref(in, f);
        return refuse(call, r, e, result);
    }
    f->outlet = (struct wasi_p3_outlet){
        .in = in, .wrong_size = NET_HTTP_REQUEST_BODY_SIZE, .on_over = body_over, .arg = f, .hold_sent = true};
    if (has_body(r)) f->outlet.sink = net_fetch_sink(f->fetch);
    wasi_p3_outlet_start(&f->outlet, &r->body);
    app_object_unref(in, r);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_http_client_send(struct host_call *call, struct wasi3_http_types_request *request, send_result *result) {
    struct target to = {.scheme = request->has_scheme ? request->scheme : STR("https"),
                        .authority = request->has_authority ? request->authority : (str){}};
    enum net_error refused = wasi_outgoing_refuse(wasi_caller(call), app_request_of(call), to.scheme, to.authority);
    return refused != NET_OK ? refuse(call, request, refused, result) : send(call, request, &to, result);
}

/* The next handler of a middleware: the server that it was put before. */
enum abi_trap wasi3_http_handler_handle(struct host_call *call, struct wasi3_http_types_request *request, send_result *result) {
    struct wasi_instance *i = wasi_caller(call);
    const struct app_grants *g = i->base.app->grants;
    struct target to = {g->forward_scheme, g->forward_authority, request->has_authority ? request->authority : (str){}, true};
    enum net_error refused = NET_CONFIGURATION_ERROR;
    if (to.authority.n) refused = wasi_outgoing_forward(i, app_request_of(call));
    else
        log_event(LOG_WARN, "no-next-handler", LF_STR("request", app_request_of(call)->id), LF_STR("app", i->base.app->name),
                  LF_CSTR("reason", "it imports wasi:http/handler"), LF_CSTR("configure", "--forward URL"));
    return refused != NET_OK ? refuse(call, request, refused, result) : send(call, request, &to, result);
}
