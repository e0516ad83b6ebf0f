/* p2: wasi:http/outgoing-handler and the requests it sends.
 *
 * A request with a body is not sent before the body's first bytes or its end are known, or somebody waits for the answer: so a
 * body that is whole (often an empty one) goes with its length rather than chunked.
 */
#include "wasi/http/fields.h"
#include "wasi/http/outgoing.h"
#include "wasi/p2/p2_int.h"
#include <stdlib.h>

/* ---- outgoing request ---- */

static enum abi_trap no_memory(struct host_call *call) {
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "the host memory of this instance is used up");
}

static void outgoing_request_destroy(struct host_instance *in, void *self) {
    struct wasi_http_types_outgoing_request *r = self;
    app_charged_free(in, r->method);
    app_charged_free(in, r->authority);
    app_charged_free(in, r->path);
    app_charged_free(in, r->scheme_other);
    app_object_unref(in, r->headers);
    app_object_unref(in, r->body);
}

enum abi_trap wasi_http_types_outgoing_request_new(struct host_call *call, struct wasi_http_types_fields *headers,
                                                   struct wasi_http_types_outgoing_request **result) {
    struct wasi_http_types_outgoing_request *r = app_object_new(call->instance, sizeof *r, outgoing_request_destroy);
    if (!r) {
        app_object_unref(call->instance, headers);
        return no_memory(call);
    }
    headers->f.immutable = true;
    r->headers = headers;
    if (!app_charged_replace(call->instance, &r->method, STR("GET"))) {
        app_object_unref(call->instance, r);
        return no_memory(call);
    }
    *result = r;
    return ABI_TRAP_NONE;
}

void wasi_http_types_outgoing_request_drop(struct host_instance *in, struct wasi_http_types_outgoing_request *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_http_types_outgoing_request_body(struct host_call *call, struct wasi_http_types_outgoing_request *self,
                                                    struct wasi_p2_result_http_types_outgoing_body_void *result) {
    if ((result->is_err = self->body)) return ABI_TRAP_NONE;
    self->body = wasi_p2_body_new(call->instance, self->headers, false);
    if (!self->body) return no_memory(call);
    result->ok = app_object_ref(self->body);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_outgoing_request_method(struct host_call *call, struct wasi_http_types_outgoing_request *self,
                                                      struct wasi_http_types_method *result) {
    wasi_p2_method_of(self->method, result);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_outgoing_request_set_method(struct host_call *call, struct wasi_http_types_outgoing_request *self,
                                                          const struct wasi_http_types_method *method,
                                                          struct wasi_p2_result_void_void *result) {
    str text = wasi_p2_method_text(method);
    if ((result->is_err = text.n > 64 || !net_token_ok(text))) return ABI_TRAP_NONE;
    return app_charged_replace(call->instance, &self->method, text) ? ABI_TRAP_NONE : no_memory(call);
}

static enum abi_trap set_part(struct host_call *call, const struct wasi_p2_option_string *from, bool ok, str *to, bool *has,
                              struct wasi_p2_result_void_void *result) {
    if ((result->is_err = from->some && !ok)) return ABI_TRAP_NONE;
    *has = from->some;
    return app_charged_replace(call->instance, to, from->some ? from->value : (str){0}) ? ABI_TRAP_NONE : no_memory(call);
}

enum abi_trap wasi_http_types_outgoing_request_path_with_query(struct host_call *call,
                                                               struct wasi_http_types_outgoing_request *self,
                                                               struct wasi_p2_option_string *result) {
    result->some = self->has_path;
    result->value = self->path;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_outgoing_request_set_path_with_query(struct host_call *call,
                                                                   struct wasi_http_types_outgoing_request *self,
                                                                   const struct wasi_p2_option_string *path_with_query,
                                                                   struct wasi_p2_result_void_void *result) {
    return set_part(call, path_with_query, wasi_uri_part_ok(path_with_query->value, "#", false), &self->path, &self->has_path,
                    result);
}

enum abi_trap wasi_http_types_outgoing_request_scheme(struct host_call *call, struct wasi_http_types_outgoing_request *self,
                                                      struct wasi_p2_option_http_types_scheme *result) {
    result->some = self->has_scheme;
    result->value = self->scheme;
    result->value.other = self->scheme_other;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_outgoing_request_set_scheme(struct host_call *call, struct wasi_http_types_outgoing_request *self,
                                                          const struct wasi_p2_option_http_types_scheme *scheme,
                                                          struct wasi_p2_result_void_void *result) {
    bool other = scheme->some && scheme->value.tag == WASI_HTTP_TYPES_SCHEME_OTHER;
    if ((result->is_err = other && (scheme->value.other.n > 64 || !net_token_ok(scheme->value.other)))) return ABI_TRAP_NONE;
    self->has_scheme = scheme->some;
    if (!scheme->some) return ABI_TRAP_NONE;
    self->scheme.tag = scheme->value.tag;
    return app_charged_replace(call->instance, &self->scheme_other, other ? scheme->value.other : (str){0}) ? ABI_TRAP_NONE
                                                                                                            : no_memory(call);
}

enum abi_trap wasi_http_types_outgoing_request_authority(struct host_call *call, struct wasi_http_types_outgoing_request *self,
                                                         struct wasi_p2_option_string *result) {
    result->some = self->has_authority;
    result->value = self->authority;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_outgoing_request_set_authority(struct host_call *call,
                                                             struct wasi_http_types_outgoing_request *self,
                                                             const struct wasi_p2_option_string *authority,
                                                             struct wasi_p2_result_void_void *result) {
    return set_part(call, authority, wasi_uri_part_ok(authority->value, "/?#@", false), &self->authority, &self->has_authority,
                    result);
}

enum abi_trap wasi_http_types_outgoing_request_headers(struct host_call *call, struct wasi_http_types_outgoing_request *self,
                                                       struct wasi_http_types_fields **result) {
    *result = app_object_ref(self->headers);
    return ABI_TRAP_NONE;
}

/* ---- sending ---- */

static void on_change(void *arg) {
    struct wasi_p2_fetch *f = arg;
    if (f->fetch) wasi_outgoing_failed(wasi_instance_of(f->in), f->served, f->fetch);
    if (f->fetch) wasi_outgoing_tell(&f->seen, f->served, f->fetch);
    if (f->waiter) engine_ready(f->waiter);
}

static void fetch_destroy(struct host_instance *in, void *self) {
    struct wasi_p2_fetch *f = self;
    if (f->body) f->body->wants_out = NULL;
    if (f->fetch) wasi_outgoing_end(&f->seen, f->served, f->fetch);
    if (f->fetch) net_fetch_free(f->fetch);
    app_object_unref(in, f->request);
    app_object_unref(in, f->body);
    app_object_unref(in, f->options);
    app_request_unref(f->served);
}

static str scheme_of(const struct wasi_http_types_outgoing_request *r) {
    if (r->has_scheme && r->scheme.tag == WASI_HTTP_TYPES_SCHEME_OTHER) return r->scheme_other;
    return r->has_scheme && r->scheme.tag == WASI_HTTP_TYPES_SCHEME_HTTP ? STR("http") : STR("https");
}

/* The fields to send: the guest's, the length of a body that is whole, and what all have. */
static uint32_t fields_to_send(struct wasi_p2_fetch *f, arena *scratch, bool whole, struct net_field *to) {
    const struct wasi_http_types_fields *headers = f->request->headers;
    uint32_t n = 0;
    for (; n < headers->f.count; n++) to[n] = headers->f.list[n].f;
    if (whole && !f->body->has_length)
        to[n++] = (struct net_field){STR("content-length"), arena_fmt(scratch, "%zu", f->body->pending.n)};
    return wasi_outgoing_fields(scratch, &f->seen, f->served, to, n);
}

static void send_fetch(struct wasi_p2_fetch *f) {
    if (f->fetch || f->error != NET_OK || !wasi_p2_going(f->in)) return;
    if (f->body && f->body->abandoned) {
        f->error = f->body->error;
        on_change(f);
        return;
    }
    struct wasi_instance *i = wasi_instance_of(f->in);
    struct wasi_http_types_outgoing_request *r = f->request;
    uint64_t otherwise = i->base.app->limits->outgoing_timeout_ms;
    struct wasi_http_types_request_options none = {.o.refs = 1}, *o = f->options ? f->options : &none;
    arena *scratch = arena_new(0);
    struct net_field *fields = arena_array(scratch, struct net_field, r->headers->f.count + 1 + WASI_OUTGOING_FIELDS);
    wasi_outgoing_begin(&f->seen, f->served, r->method);
    bool empty = f->body && f->body->finished && !f->body->pending.n && !f->body->trailer_fields;
    bool needs_length = !(str_eqc(r->method, "GET") || str_eqc(r->method, "HEAD") || str_eqc(r->method, "DELETE"));
    bool has_body = f->body && !(empty && !needs_length && !f->body->has_length);
    struct net_fetch_request rq = {
        .method = r->method,
        .scheme = scheme_of(r),
        .authority = r->authority,
        .path = r->path,
        .fields = fields,
        .fields_count = fields_to_send(f, scratch, has_body && f->body->finished && !f->body->trailer_fields, fields),
        .has_body = has_body,
        .connect_ms_max = wasi_outgoing_ms(o->connect.some, o->connect.value, otherwise),
        .first_byte_ms_max = wasi_outgoing_ms(o->first_byte.some, o->first_byte.value, otherwise),
        .between_bytes_ms_max = wasi_outgoing_ms(o->between_bytes.some, o->between_bytes.value, otherwise),
        .head_bytes_max = (uint32_t)MIN(i->base.app->limits->head_bytes_max, (uint64_t)UINT32_MAX),
        .quota = &i->outgoing,
        .allow_address = wasi_outgoing_may_reach,
        .allow_address_arg = i->base.app,
    };
    f->error = wasi_outgoing_send(i, f->served, &rq, on_change, f, &f->fetch);
    arena_free(scratch);
    if (f->error == NET_OK && has_body) wasi_p2_body_attach(f->body, net_fetch_sink(f->fetch), f);
    if (f->body) f->body->wants_out = NULL;
    /* The body holds a reference to the fetch now; the fetch lets go of body and request, so that none keeps the others. */
    app_object_unref(f->in, f->body);
    app_object_unref(f->in, f->request);
    f->body = NULL;
    f->request = NULL;
    on_change(f);
}

static void body_wants_out(void *arg) { send_fetch(arg); }

struct net_source *wasi_p2_fetch_source(struct wasi_p2_fetch *f) {
    return net_fetch_source(f->fetch);
}

/* ---- the future response ---- */

struct wasi_http_types_future_incoming_response {
    struct app_object o;
    struct wasi_p2_fetch *fetch; /* referenced */
};

static void future_destroy(struct host_instance *in, void *self) {
    app_object_unref(in, ((struct wasi_http_types_future_incoming_response *)self)->fetch);
}

void wasi_http_types_future_incoming_response_drop(struct host_instance *in,
                                                   struct wasi_http_types_future_incoming_response *self) {
    app_object_unref(in, self);
}

enum abi_trap
wasi_http_outgoing_handler_handle(struct host_call *call, struct wasi_http_types_outgoing_request *request,
                                  const struct wasi_p2_option_http_types_request_options *options,
                                  struct wasi_p2_result_http_types_future_incoming_response_http_types_error_code *result) {
    struct host_instance *in = call->instance;
    struct wasi_http_types_request_options *o = options->some ? options->value : NULL;
    struct app_request *served = app_request_of(call);
    enum net_error refused = wasi_outgoing_refuse(wasi_caller(call), served, scheme_of(request),
                                                  request->has_authority ? request->authority : (str){});
    if (refused != NET_OK) {
        app_object_unref(in, request);
        app_object_unref(in, o);
        result->is_err = true;
        wasi_p2_error_code(refused, &result->err);
        return ABI_TRAP_NONE;
    }
    struct wasi_p2_fetch *f = app_object_new(in, sizeof *f, fetch_destroy);
    bool paid = f && app_object_holds(in, f, NET_FETCH_BYTES_MAX);
    struct wasi_http_types_future_incoming_response *future = paid ? app_object_new(in, sizeof *future, future_destroy) : NULL;
    if (!future) {
        app_object_unref(in, f);
        app_object_unref(in, request);
        app_object_unref(in, o);
        return no_memory(call);
    }
    f->in = in;
    f->served = app_request_ref(served);
    f->request = request;
    f->options = o;
    f->body = app_object_ref(request->body);
    future->fetch = f;
    if (f->body && !f->body->finished && !f->body->abandoned && !f->body->pending.n) {
        f->body->wants_out = body_wants_out;
        f->body->wants_out_arg = f;
    } else send_fetch(f);
    result->ok = future;
    return ABI_TRAP_NONE;
}

static void incoming_response_destroy(struct host_instance *in, void *self) {
    app_object_unref(in, ((struct wasi_http_types_incoming_response *)self)->fetch);
}

static bool fetch_done(const struct wasi_p2_fetch *f) {
    return f->error != NET_OK || (f->fetch && (net_fetch_response(f->fetch) || net_fetch_error(f->fetch) != NET_OK));
}
static bool future_ready(void *object) {
    struct wasi_p2_fetch *f = ((struct wasi_http_types_future_incoming_response *)object)->fetch;
    return f->taken || fetch_done(f);
}
static void future_listen(void *object, struct engine_fiber *fiber) {
    struct wasi_p2_fetch *f = ((struct wasi_http_types_future_incoming_response *)object)->fetch;
    f->waiter = fiber;
    if (fiber) send_fetch(f);
}
static const struct wasi_p2_event future_event = {future_ready, future_listen};

enum abi_trap wasi_http_types_future_incoming_response_subscribe(struct host_call *call,
                                                                 struct wasi_http_types_future_incoming_response *self,
                                                                 struct wasi_io_poll_pollable **result) {
    return wasi_p2_pollable(call, &future_event, self, result);
}

enum abi_trap wasi_http_types_future_incoming_response_get(
    struct host_call *call, struct wasi_http_types_future_incoming_response *self,
    struct wasi_p2_option_result_result_http_types_incoming_response_http_types_error_code_void *result) {
    struct wasi_p2_fetch *f = self->fetch;
    result->some = future_ready(self);
    if (!result->some || (result->value.is_err = f->taken)) return ABI_TRAP_NONE;
    f->taken = true;
    const struct net_response *response = f->fetch ? net_fetch_response(f->fetch) : NULL;
    if (!response) {
        result->value.ok.is_err = true;
        wasi_p2_error_code(f->error != NET_OK ? f->error : net_fetch_error(f->fetch), &result->value.ok.err);
        return ABI_TRAP_NONE;
    }
    APP_OBJECT_NEW(call, r, wasi_http_types_incoming_response, incoming_response_destroy);
    r->fetch = app_object_ref(f);
    r->response = response;
    result->value.ok.ok = r;
    return ABI_TRAP_NONE;
}
