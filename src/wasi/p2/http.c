/* p2: wasi:http/types: messages and their bodies. */
#include "wasi/http/fields.h"
#include "wasi/p2/p2_int.h"
#include <stdlib.h>

/* ---- methods and errors ---- */

static const char *const methods[] = {
    [WASI_HTTP_TYPES_METHOD_GET] = "GET",         [WASI_HTTP_TYPES_METHOD_HEAD] = "HEAD",
    [WASI_HTTP_TYPES_METHOD_POST] = "POST",       [WASI_HTTP_TYPES_METHOD_PUT] = "PUT",
    [WASI_HTTP_TYPES_METHOD_DELETE] = "DELETE",   [WASI_HTTP_TYPES_METHOD_CONNECT] = "CONNECT",
    [WASI_HTTP_TYPES_METHOD_OPTIONS] = "OPTIONS", [WASI_HTTP_TYPES_METHOD_TRACE] = "TRACE",
    [WASI_HTTP_TYPES_METHOD_PATCH] = "PATCH",
};

str wasi_p2_method_text(const struct wasi_http_types_method *m) {
    return m->tag == WASI_HTTP_TYPES_METHOD_OTHER ? m->other : str_c(methods[m->tag]);
}

void wasi_p2_method_of(str text, struct wasi_http_types_method *out) {
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
        if (str_eqc(text, methods[i])) {
            out->tag = (enum wasi_http_types_method_tag)i;
            return;
        }
    out->tag = WASI_HTTP_TYPES_METHOD_OTHER;
    out->other = text;
}

/* net_error lists the cases in the order of the WIT variant. */
static_assert((int)WASI_HTTP_TYPES_ERROR_CODE_DNS_TIMEOUT == NET_DNS_TIMEOUT - 1 &&
              (int)WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR == NET_INTERNAL_ERROR - 1);

void wasi_p2_error_code(enum net_error e, struct wasi_http_types_error_code *out) {
    *out = (struct wasi_http_types_error_code){
        .tag = (enum wasi_http_types_error_code_tag)(e == NET_OK ? NET_INTERNAL_ERROR - 1 : e - 1)};
    if (e == NET_INTERNAL_ERROR) {
        out->internal_error.some = true;
        out->internal_error.value = str_c(net_error_text(e));
    }
}

enum abi_trap wasi_http_types_http_error_code(struct host_call *call, struct wasi_io_error_error *err_,
                                              struct wasi_p2_option_http_types_error_code *result) {
    if ((result->some = err_->net != NET_OK)) wasi_p2_error_code(err_->net, &result->value);
    return ABI_TRAP_NONE;
}

/* ---- incoming request ---- */

void wasi_http_types_incoming_request_drop(struct host_instance *in, struct wasi_http_types_incoming_request *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_http_types_incoming_request_method(struct host_call *call, struct wasi_http_types_incoming_request *self,
                                                      struct wasi_http_types_method *result) {
    wasi_p2_method_of(self->request->method, result);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_incoming_request_path_with_query(struct host_call *call,
                                                               struct wasi_http_types_incoming_request *self,
                                                               struct wasi_p2_option_string *result) {
    result->some = self->request->path.n > 0;
    result->value = self->request->path;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_incoming_request_scheme(struct host_call *call, struct wasi_http_types_incoming_request *self,
                                                      struct wasi_p2_option_http_types_scheme *result) {
    result->some = true;
    result->value.tag = self->https ? WASI_HTTP_TYPES_SCHEME_HTTPS : WASI_HTTP_TYPES_SCHEME_HTTP;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_incoming_request_authority(struct host_call *call, struct wasi_http_types_incoming_request *self,
                                                         struct wasi_p2_option_string *result) {
    result->some = self->request->authority.n > 0;
    result->value = self->request->authority;
    return ABI_TRAP_NONE;
}

static enum abi_trap no_memory(struct host_call *call) {
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "the host memory of this instance is used up");
}

enum abi_trap wasi_http_types_incoming_request_headers(struct host_call *call, struct wasi_http_types_incoming_request *self,
                                                       struct wasi_http_types_fields **result) {
    *result = wasi_http_fields_of(call->instance, sizeof(struct wasi_http_types_fields), self->request->fields,
                                  self->request->fields_count, self);
    return *result ? ABI_TRAP_NONE : no_memory(call);
}

/* ---- incoming body ---- */

static void incoming_body_destroy(struct host_instance *in, void *self) {
    app_object_unref(in, ((struct wasi_http_types_incoming_body *)self)->origin);
}

static enum abi_trap new_incoming_body(struct host_call *call, struct net_source *source, void *origin,
                                       struct wasi_p2_result_http_types_incoming_body_void *result) {
    APP_OBJECT_NEW(call, b, wasi_http_types_incoming_body, incoming_body_destroy);
    b->in = call->instance;
    b->source = source;
    b->origin = app_object_ref(origin);
    result->ok = b;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_incoming_request_consume(struct host_call *call, struct wasi_http_types_incoming_request *self,
                                                       struct wasi_p2_result_http_types_incoming_body_void *result) {
    if ((result->is_err = self->consumed)) return ABI_TRAP_NONE;
    self->consumed = true;
    return new_incoming_body(call, net_exchange_source(self->exchange), NULL, result);
}

void wasi_http_types_incoming_body_drop(struct host_instance *in, struct wasi_http_types_incoming_body *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_http_types_incoming_body_stream(struct host_call *call, struct wasi_http_types_incoming_body *self,
                                                   struct wasi_p2_result_io_streams_input_stream_void *result) {
    if ((result->is_err = self->stream_taken)) return ABI_TRAP_NONE;
    enum abi_trap t = wasi_p2_input_stream(call, &wasi_p2_source_body, self, &result->ok);
    if (t) return t;
    self->stream_taken = true;
    result->ok->body = self->source;
    return ABI_TRAP_NONE;
}

/* Trailers: what is left of the body is read and dropped first. */
struct wasi_http_types_future_trailers {
    struct app_object o;
    struct wasi_http_types_incoming_body *body; /* referenced */
    bool taken;
};

static void future_trailers_destroy(struct host_instance *in, void *self) {
    app_object_unref(in, ((struct wasi_http_types_future_trailers *)self)->body);
}

enum abi_trap wasi_http_types_incoming_body_finish(struct host_call *call, struct wasi_http_types_incoming_body *this,
                                                   struct wasi_http_types_future_trailers **result) {
    struct wasi_http_types_future_trailers *f = app_object_new(call->instance, sizeof *f, future_trailers_destroy);
    if (!f) {
        app_object_unref(call->instance, this);
        return no_memory(call);
    }
    f->body = this; /* its reference comes along */
    *result = f;
    return ABI_TRAP_NONE;
}

void wasi_http_types_future_trailers_drop(struct host_instance *in, struct wasi_http_types_future_trailers *self) {
    app_object_unref(in, self);
}

static enum net_flow drain(struct net_source *source) {
    str data;
    enum net_flow flow;
    while ((flow = net_source_peek(source, &data)) == NET_FLOW_DATA) net_source_consume(source, data.n);
    return flow;
}
static bool trailers_ready(void *object) {
    return drain(((struct wasi_http_types_future_trailers *)object)->body->source) != NET_FLOW_WAIT;
}
static void trailers_listen(void *object, struct engine_fiber *f) {
    net_source_notify(((struct wasi_http_types_future_trailers *)object)->body->source, f ? wasi_p2_wake : NULL, f);
}
static const struct wasi_p2_event trailers_event = {trailers_ready, trailers_listen};

enum abi_trap wasi_http_types_future_trailers_subscribe(struct host_call *call, struct wasi_http_types_future_trailers *self,
                                                        struct wasi_io_poll_pollable **result) {
    return wasi_p2_pollable(call, &trailers_event, self, result);
}

enum abi_trap wasi_http_types_future_trailers_get(
    struct host_call *call, struct wasi_http_types_future_trailers *self,
    struct wasi_p2_option_result_result_option_http_types_fields_http_types_error_code_void *result) {
    struct net_source *source = self->body->source;
    enum net_flow flow = drain(source);
    if (flow == NET_FLOW_WAIT) return ABI_TRAP_NONE;
    result->some = true;
    if ((result->value.is_err = self->taken)) return ABI_TRAP_NONE;
    self->taken = true;
    if (flow == NET_FLOW_FAILED) {
        result->value.ok.is_err = true;
        wasi_p2_error_code(net_source_error(source), &result->value.ok.err);
        return ABI_TRAP_NONE;
    }
    uint32_t count;
    const struct net_field *list = net_source_trailers(source, &count);
    if (!count) return ABI_TRAP_NONE;
    result->value.ok.ok.some = true;
    result->value.ok.ok.value =
        wasi_http_fields_of(call->instance, sizeof(struct wasi_http_types_fields), list, count, self->body);
    return result->value.ok.ok.value ? ABI_TRAP_NONE : no_memory(call);
}

/* ---- outgoing body ---- */

static void free_pending(struct wasi_http_types_outgoing_body *b) {
    host_uncharge(b->in, b->pending.n);
    buf_free(&b->pending);
    b->pending_sent = 0;
}

static void outgoing_body_destroy(struct host_instance *in, void *self) {
    struct wasi_http_types_outgoing_body *b = self;
    if (b->origin) net_sink_notify(b->sink, NULL, NULL);
    free_pending(b);
    app_object_unref(in, b->trailer_fields);
    app_object_unref(in, b->origin);
}

struct wasi_http_types_outgoing_body *wasi_p2_body_new(struct host_instance *in, const struct wasi_http_types_fields *headers,
                                                       bool response) {
    struct wasi_http_types_outgoing_body *b = app_object_new(in, sizeof *b, outgoing_body_destroy);
    if (!b) return NULL;
    b->in = in;
    b->response = response;
    b->has_length = wasi_http_fields_content_length(&headers->f, &b->length);
    return b;
}

static enum net_error wrong_size(const struct wasi_http_types_outgoing_body *b) {
    return b->response ? NET_HTTP_RESPONSE_BODY_SIZE : NET_HTTP_REQUEST_BODY_SIZE;
}

/* What the sink said to a write or a finish. */
static enum net_error error_of(const struct wasi_http_types_outgoing_body *b, err e) {
    if (e == ERR_OK) return NET_OK;
    if (e == ERR_INVALID) return wrong_size(b);
    enum net_error why = net_sink_error(b->sink);
    return why ? why : NET_CONNECTION_TERMINATED;
}

static void send_end(struct wasi_http_types_outgoing_body *b) {
    uint32_t n = b->trailer_fields ? b->trailer_fields->f.count : 0;
    struct net_field *trailers = calloc(n + 1, sizeof *trailers);
    ENSURE(trailers);
    for (uint32_t i = 0; i < n; i++) trailers[i] = b->trailer_fields->f.list[i].f;
    b->error = error_of(b, net_sink_finish(b->sink, trailers, n));
    b->ended = true;
    free(trailers);
}

/* What waits goes out as far as it can, and the end behind it. */
static void pump(struct wasi_http_types_outgoing_body *b) {
    while (b->pending_sent < b->pending.n && b->error == NET_OK) {
        size_t room = net_sink_room(b->sink);
        if (!room && net_sink_error(b->sink) == NET_OK) return;
        str piece = str_sub(buf_str(&b->pending), b->pending_sent, MAX(room, (size_t)1));
        b->error = error_of(b, net_sink_write(b->sink, piece));
        b->pending_sent += piece.n;
    }
    if (b->pending.n) free_pending(b);
    if (b->finished && !b->ended && b->error == NET_OK) send_end(b);
}

/* What the guest has given goes out though it lets go of the body, until the run ends. */
static void on_run_gone(struct app_late *l) {
    struct wasi_http_types_outgoing_body *b = container_of(l, struct wasi_http_types_outgoing_body, late);
    b->kept = false;
    app_object_unref(b->in, b);
}

static void keep_while_it_waits(struct wasi_http_types_outgoing_body *b) {
    bool waits = b->origin && b->error == NET_OK && (b->pending.n || (b->finished && !b->ended));
    if (waits == b->kept) return;
    b->kept = waits;
    if (waits) {
        app_object_ref(b);
        app_late_add(app_instance_of(b->in), &b->late, on_run_gone);
    } else {
        app_late_remove(&b->late);
        app_object_unref(b->in, b);
    }
}

static void on_request_sink(void *arg) {
    struct wasi_http_types_outgoing_body *b = arg;
    if (!wasi_p2_going(b->in)) return;
    pump(b);
    if (b->waiter) engine_ready(b->waiter);
    keep_while_it_waits(b); /* b may be gone */
}

void wasi_p2_body_attach(struct wasi_http_types_outgoing_body *b, struct net_sink *sink, void *origin) {
    b->sink = sink;
    b->origin = app_object_ref(origin);
    if (origin)
        net_sink_notify(sink, on_request_sink, b); /* an exchange's may end before the body: its sink is told only who waits */
    pump(b);
    keep_while_it_waits(b); /* its caller holds it */
    if (b->waiter) engine_ready(b->waiter);
}

static size_t pending_max(const struct wasi_http_types_outgoing_body *b) {
    return app_instance_of(b->in)->app->limits->host_bytes_max / 2;
}

static size_t body_room(struct wasi_io_streams_output_stream *s) {
    struct wasi_http_types_outgoing_body *b = s->origin;
    if (!wasi_p2_going(b->in)) return 0;
    if (!b->sink) return b->pending.n < pending_max(b) ? pending_max(b) - b->pending.n : 0;
    pump(b);
    return b->pending.n ? 0 : net_sink_room(b->sink);
}

static enum wasi_p2_state body_state(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error **e) {
    struct wasi_http_types_outgoing_body *b = s->origin;
    if (b->finished || b->abandoned || !wasi_p2_going(s->in)) return P2_CLOSED;
    if (!b->sink && b->error == NET_OK && b->pending.n >= pending_max(b)) b->error = wrong_size(b);
    enum net_error error = b->error != NET_OK ? b->error : b->sink ? net_sink_error(b->sink) : NET_OK;
    if (error == NET_OK) return P2_OPEN;
    *e = wasi_p2_error(s->in, error, 0);
    return P2_FAILED;
}

static bool body_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **e) {
    struct wasi_http_types_outgoing_body *b = s->origin;
    if (body_state(s, e) != P2_OPEN) return false;
    if (b->sink) {
        b->error = error_of(b, net_sink_write(b->sink, bytes));
    } else if ((b->has_length && bytes.n > b->length - b->written) || !host_charge(b->in, bytes.n)) {
        b->error = wrong_size(b);
    } else {
        buf_puts(&b->pending, bytes);
    }
    if (b->error != NET_OK) {
        *e = wasi_p2_error(s->in, b->error, 0);
        return false;
    }
    b->written += bytes.n;
    if (!b->sink && b->wants_out) b->wants_out(b->wants_out_arg);
    return true;
}

static void body_listen(void *object, struct engine_fiber *f) {
    struct wasi_http_types_outgoing_body *b = ((struct wasi_io_streams_output_stream *)object)->origin;
    b->waiter = f;
    if (b->sink && !b->origin && wasi_p2_going(b->in)) net_sink_notify(b->sink, f ? wasi_p2_wake : NULL, f);
}

static const struct wasi_p2_sink body_sink = {body_room, body_write, body_state, {NULL, body_listen}};

static bool body_flushed(void *object) {
    struct wasi_http_types_outgoing_body *b = object;
    if (!b->finished || !b->sink) return true;
    pump(b);
    return b->ended || b->error != NET_OK;
}
static void body_flush_listen(void *object, struct engine_fiber *f) {
    struct wasi_http_types_outgoing_body *b = object;
    net_sink_notify(b->sink, f ? wasi_p2_wake : NULL, f);
}
static const struct wasi_p2_event flush_event = {body_flushed, body_flush_listen};

bool wasi_p2_body_flush(struct wasi_run *run, struct wasi_http_types_outgoing_body *b) {
    return run->ended || wasi_p2_wait(run->i, &flush_event, b);
}

enum abi_trap wasi_http_types_outgoing_body_write(struct host_call *call, struct wasi_http_types_outgoing_body *self,
                                                  struct wasi_p2_result_io_streams_output_stream_void *result) {
    if ((result->is_err = self->stream_taken)) return ABI_TRAP_NONE;
    self->stream_taken = true;
    return wasi_p2_output_stream(call, &body_sink, self, &result->ok);
}

/* It stays incomplete: whoever sends or receives it is told at once. */
static void abandon(struct wasi_http_types_outgoing_body *b, enum net_error e) {
    if (b->finished || b->abandoned) return;
    b->abandoned = true;
    if (b->error == NET_OK) b->error = e;
    if (!wasi_p2_going(b->in)) return;
    if (b->sink) net_sink_abort(b->sink, b->error);
    else if (b->wants_out) b->wants_out(b->wants_out_arg);
}

void wasi_http_types_outgoing_body_drop(struct host_instance *in, struct wasi_http_types_outgoing_body *self) {
    abandon(self, NET_HTTP_PROTOCOL_ERROR);
    app_object_unref(in, self);
}

enum abi_trap wasi_http_types_outgoing_body_finish(struct host_call *call, struct wasi_http_types_outgoing_body *this,
                                                   const struct wasi_p2_option_http_types_fields *trailers,
                                                   struct wasi_p2_result_void_http_types_error_code *result) {
    if (trailers->some) this->trailer_fields = trailers->value;
    enum net_error e = this->error;
    /* What has a sink, the sink judges. */
    if (!this->sink && e == NET_OK && this->has_length && !this->bodiless && this->written != this->length) e = wrong_size(this);
    if (e == NET_OK && wasi_p2_going(this->in)) {
        this->finished = true;
        if (this->sink) pump(this);
        else if (this->wants_out) this->wants_out(this->wants_out_arg);
        e = this->error;
        this->finished = e == NET_OK;
        keep_while_it_waits(this);
    }
    if (e != NET_OK) {
        abandon(this, e);
        result->is_err = true;
        wasi_p2_error_code(e, &result->err);
        /* The two have the same payload. */
        result->err.http_request_body_size.some = e == NET_HTTP_REQUEST_BODY_SIZE || e == NET_HTTP_RESPONSE_BODY_SIZE;
        if (result->err.http_request_body_size.some) result->err.http_request_body_size.value = this->written;
    }
    app_object_unref(call->instance, this);
    return ABI_TRAP_NONE;
}

/* ---- outgoing response ---- */

static void outgoing_response_destroy(struct host_instance *in, void *self) {
    struct wasi_http_types_outgoing_response *r = self;
    app_object_unref(in, r->headers);
    app_object_unref(in, r->body);
}

enum abi_trap wasi_http_types_outgoing_response_new(struct host_call *call, struct wasi_http_types_fields *headers,
                                                    struct wasi_http_types_outgoing_response **result) {
    struct wasi_http_types_outgoing_response *r = app_object_new(call->instance, sizeof *r, outgoing_response_destroy);
    if (!r) {
        app_object_unref(call->instance, headers);
        return no_memory(call);
    }
    headers->f.immutable = true;
    r->headers = headers;
    r->status = 200;
    *result = r;
    return ABI_TRAP_NONE;
}

void wasi_http_types_outgoing_response_drop(struct host_instance *in, struct wasi_http_types_outgoing_response *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_http_types_outgoing_response_status_code(struct host_call *call,
                                                            struct wasi_http_types_outgoing_response *self,
                                                            wasi_http_types_status_code *result) {
    *result = self->status;
    return ABI_TRAP_NONE;
}

/* Whether it may be shorter than its content-length says. */
static void judge_body(struct host_call *call, struct wasi_http_types_outgoing_response *r) {
    const struct wasi_run *run = wasi_caller(call)->run;
    struct net_exchange *x = !run || run->ended ? NULL : run->request->exchange;
    if (r->body) r->body->bodiless = net_response_bodiless(x ? net_exchange_request(x)->method : STR(""), r->status);
}

enum abi_trap wasi_http_types_outgoing_response_set_status_code(struct host_call *call,
                                                                struct wasi_http_types_outgoing_response *self,
                                                                wasi_http_types_status_code status_code,
                                                                struct wasi_p2_result_void_void *result) {
    result->is_err = status_code < 200 || status_code > 999;
    if (result->is_err) return ABI_TRAP_NONE;
    self->status = status_code;
    judge_body(call, self);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_outgoing_response_headers(struct host_call *call, struct wasi_http_types_outgoing_response *self,
                                                        struct wasi_http_types_fields **result) {
    *result = app_object_ref(self->headers);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_outgoing_response_body(struct host_call *call, struct wasi_http_types_outgoing_response *self,
                                                     struct wasi_p2_result_http_types_outgoing_body_void *result) {
    if ((result->is_err = self->body)) return ABI_TRAP_NONE;
    self->body = wasi_p2_body_new(call->instance, self->headers, true);
    if (!self->body) return no_memory(call);
    judge_body(call, self);
    result->ok = app_object_ref(self->body);
    return ABI_TRAP_NONE;
}

/* ---- response outparam ---- */

void wasi_http_types_response_outparam_drop(struct host_instance *in, struct wasi_http_types_response_outparam *self) {
    app_object_unref(in, self);
}

/* The head leaves; the body is connected to the client. */
static void send_response(struct host_call *call, struct net_exchange *x, struct wasi_http_types_outgoing_response *r) {
    struct wasi_run *run = wasi_caller(call)->run;
    struct wasi_p2_served *served = run->state;
    err e = net_exchange_respond(x, r->status, wasi_http_fields_array(call, &r->headers->f), r->headers->f.count);
    if (e != ERR_OK) {
        wasi_run_end(run, e == ERR_CLOSED ? WASI_END_CLIENT_GONE : WASI_END_BAD_RESPONSE, "%s",
                     e == ERR_CLOSED ? "" : "its status or headers cannot be sent");
        return;
    }
    if (r->body) {
        served->body = app_object_ref(r->body);
        wasi_p2_body_attach(r->body, net_exchange_sink(x), NULL);
    } else if (net_sink_finish(net_exchange_sink(x), NULL, 0) == ERR_INVALID)
        wasi_run_end(run, WASI_END_BAD_RESPONSE, "%s", "it promised a body by content-length and has none");
}

enum abi_trap
wasi_http_types_response_outparam_set(struct host_call *call, struct wasi_http_types_response_outparam *param,
                                      const struct wasi_p2_result_http_types_outgoing_response_http_types_error_code *response) {
    struct wasi_p2_served *served = wasi_caller(call)->run->state;
    served->answered = true;
    if (response->is_err) {
        enum net_error e = (enum net_error)(response->err.tag + 1);
        str why = response->err.tag == WASI_HTTP_TYPES_ERROR_CODE_INTERNAL_ERROR && response->err.internal_error.some
                      ? response->err.internal_error.value
                      : str_c(net_error_wit(e));
        wasi_run_end(wasi_caller(call)->run, WASI_END_ERROR, STR_FMT, STR_ARG(why));
    } else {
        send_response(call, param->exchange, response->ok);
        app_object_unref(call->instance, response->ok);
    }
    app_object_unref(call->instance, param);
    return ABI_TRAP_NONE;
}

/* ---- request options ---- */

void wasi_http_types_request_options_drop(struct host_instance *in, struct wasi_http_types_request_options *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_http_types_request_options_new(struct host_call *call, struct wasi_http_types_request_options **result) {
    APP_OBJECT_NEW(call, o, wasi_http_types_request_options, NULL);
    *result = o;
    return ABI_TRAP_NONE;
}

#define OPTION(wit, field)                                                                                                       \
    enum abi_trap wasi_http_types_request_options_##wit(struct host_call *call, struct wasi_http_types_request_options *self,    \
                                                        struct wasi_p2_option_u64 *result) {                                     \
        *result = self->field;                                                                                                   \
        return ABI_TRAP_NONE;                                                                                                    \
    }                                                                                                                            \
    enum abi_trap wasi_http_types_request_options_set_##wit(                                                                     \
        struct host_call *call, struct wasi_http_types_request_options *self, const struct wasi_p2_option_u64 *duration,         \
        struct wasi_p2_result_void_void *result) {                                                                               \
        self->field = *duration;                                                                                                 \
        return ABI_TRAP_NONE;                                                                                                    \
    }
OPTION(connect_timeout, connect)
OPTION(first_byte_timeout, first_byte)
OPTION(between_bytes_timeout, between_bytes)
#undef OPTION

/* ---- incoming response ---- */

void wasi_http_types_incoming_response_drop(struct host_instance *in, struct wasi_http_types_incoming_response *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_http_types_incoming_response_status(struct host_call *call, struct wasi_http_types_incoming_response *self,
                                                       wasi_http_types_status_code *result) {
    *result = self->response->status;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_http_types_incoming_response_headers(struct host_call *call, struct wasi_http_types_incoming_response *self,
                                                        struct wasi_http_types_fields **result) {
    *result = wasi_http_fields_of(call->instance, sizeof(struct wasi_http_types_fields), self->response->fields,
                                  self->response->fields_count, self->fetch);
    return *result ? ABI_TRAP_NONE : no_memory(call);
}

enum abi_trap wasi_http_types_incoming_response_consume(struct host_call *call, struct wasi_http_types_incoming_response *self,
                                                        struct wasi_p2_result_http_types_incoming_body_void *result) {
    if ((result->is_err = self->consumed)) return ABI_TRAP_NONE;
    self->consumed = true;
    return new_incoming_body(call, wasi_p2_fetch_source(self->fetch), self->fetch, result);
}
