/* p3: wasi:http/types 0.3: request, response, request-options. */
#include "wasi/p3/http.h"
#include "wasi/http/outgoing.h"

enum { TOKEN_BYTES_MAX = 64 };

/* ---- request ---- */

static void request_destroy(struct host_instance *in, void *self) {
    struct wasi3_http_types_request *r = self;
    if (!r->net) {
        app_charged_free(in, r->method);
        app_charged_free(in, r->authority);
        app_charged_free(in, r->path);
        app_charged_free(in, r->scheme);
    }
    wasi_p3_body_drop(in, &r->body);
    app_object_unref(in, r->headers);
    app_object_unref(in, r->options);
}

struct wasi3_http_types_request *wasi_p3_request_of(struct host_instance *in, const struct net_request *rq, bool https,
                                                    struct wasi_p3_inlet *inlet) {
    struct wasi3_http_types_request *r = app_object_new(in, sizeof *r, request_destroy);
    if (!r) return NULL;
    r->in = in;
    r->net = rq;
    r->method = rq->method;
    r->authority = rq->authority;
    r->path = rq->path;
    r->scheme = https ? STR("https") : STR("http");
    r->has_authority = rq->authority.n;
    r->has_path = rq->path.n;
    r->has_scheme = true;
    r->came_with_body = rq->has_body;
    r->body = (struct wasi_p3_body){.kind = P3_BODY_HOST, .inlet = inlet};
    return r;
}

void wasi_p3_request_detach(struct wasi3_http_types_request *r) {
    struct host_instance *in = r->in;
    r->body.inlet = NULL;
    if (r->headers && r->headers->f.o.refs > 1) wasi_http_fields_own(&r->headers->f);
    if (r->o.refs > 1 && r->net) {
        str *const parts[] = {&r->method, &r->authority, &r->path, &r->scheme};
        for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
            str borrowed = *parts[i];
            *parts[i] = (str){};
            if (!app_charged_replace(in, parts[i], borrowed))
                *parts[i] = (str){}; /* its host memory is used up: nothing to show */
        }
        if (!r->headers) {
            r->headers = wasi_http_fields_of(in, sizeof *r->headers, r->net->fields, r->net->fields_count, NULL);
            if (r->headers) wasi_http_fields_own(&r->headers->f);
        } else if (r->headers->f.o.refs == 1) {
            wasi_http_fields_own(&r->headers->f);
        }
        r->net = NULL;
    }
    app_object_unref(in, r);
}

/* A reference that goes with a body given by a guest; NULL: no memory, and they are given back. */
static struct host_future *guest_body(struct host_instance *in, struct wasi_p3_body *b,
                                      const struct wasi_p3_option_stream_u8 *contents, struct host_future *trailers) {
    *b = (struct wasi_p3_body){.kind = P3_BODY_GUEST, .contents = contents->some ? contents->value : NULL, .trailers = trailers};
    return wasi_p3_promise_new(in, sizeof(struct wasi_p3_result_void_http_types_error_code), &b->sent);
}

enum abi_trap
wasi3_http_types_request_new(struct host_call *call, struct wasi3_http_types_fields *headers,
                             const struct wasi_p3_option_stream_u8 *contents, struct host_future *trailers,
                             const struct wasi_p3_option_http_types_request_options *options,
                             struct wasi_p3_tuple2_http_types_request_future_result_void_http_types_error_code *result) {
    struct wasi_p3_body body;
    struct host_instance *in = call->instance;
    struct wasi3_http_types_request *r = app_object_new(in, sizeof *r, request_destroy);
    result->f1 = guest_body(in, &body, contents, trailers);
    bool ok = r && result->f1;
    if (r) {
        r->in = in;
        r->body = body;
        r->headers = headers;
        r->options = options->some ? options->value : NULL;
        ok = ok && app_charged_replace(in, &r->method, STR("GET"));
    }
    if (ok) {
        headers->f.immutable = true;
        if (r->options) r->options->immutable = true;
        result->f0 = r;
        return ABI_TRAP_NONE;
    }
    if (r) app_object_unref(in, r);
    else wasi_p3_body_drop(in, &body);
    if (result->f1) host_future_close(result->f1);
    if (!r) app_object_unref(in, headers);
    if (!r && options->some) app_object_unref(in, options->value);
    return wasi_p3_no_memory(call);
}

void wasi3_http_types_request_drop(struct host_instance *in, struct wasi3_http_types_request *self) {
    wasi_p3_body_drop(in, &self->body);
    app_object_unref(in, self);
}

static const char *const methods[] = {
    [WASI3_HTTP_TYPES_METHOD_GET] = "GET",         [WASI3_HTTP_TYPES_METHOD_HEAD] = "HEAD",
    [WASI3_HTTP_TYPES_METHOD_POST] = "POST",       [WASI3_HTTP_TYPES_METHOD_PUT] = "PUT",
    [WASI3_HTTP_TYPES_METHOD_DELETE] = "DELETE",   [WASI3_HTTP_TYPES_METHOD_CONNECT] = "CONNECT",
    [WASI3_HTTP_TYPES_METHOD_OPTIONS] = "OPTIONS", [WASI3_HTTP_TYPES_METHOD_TRACE] = "TRACE",
    [WASI3_HTTP_TYPES_METHOD_PATCH] = "PATCH",
};

enum abi_trap wasi3_http_types_request_get_method(struct host_call *call, struct wasi3_http_types_request *self,
                                                  struct wasi3_http_types_method *result) {
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
        if (str_eqc(self->method, methods[i])) {
            result->tag = (enum wasi3_http_types_method_tag)i;
            return ABI_TRAP_NONE;
        }
    result->tag = WASI3_HTTP_TYPES_METHOD_OTHER;
    result->other = self->method;
    return ABI_TRAP_NONE;
}

/* A served request can be changed too, before it is passed on: then its parts become its own. */
static bool own_parts(struct wasi3_http_types_request *r) {
    if (!r->net) return true;
    struct wasi3_http_types_request copy = *r;
    str *const from[] = {&copy.method, &copy.authority, &copy.path, &copy.scheme};
    str *const to[] = {&r->method, &r->authority, &r->path, &r->scheme};
    if (!r->headers) r->headers = wasi_http_fields_of(r->in, sizeof *r->headers, r->net->fields, r->net->fields_count, NULL);
    if (!r->headers || !wasi_http_fields_own(&r->headers->f)) return false;
    r->net = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(to); i++) *to[i] = (str){};
    for (size_t i = 0; i < ARRAY_COUNT(to); i++)
        if (!app_charged_replace(r->in, to[i], *from[i])) return false;
    return true;
}

static enum abi_trap set_text(struct host_call *call, struct wasi3_http_types_request *r, str *to, str text) {
    return own_parts(r) && app_charged_replace(call->instance, to, text) ? ABI_TRAP_NONE : wasi_p3_no_memory(call);
}

enum abi_trap wasi3_http_types_request_set_method(struct host_call *call, struct wasi3_http_types_request *self,
                                                  const struct wasi3_http_types_method *method,
                                                  struct wasi_p3_result_void_void *result) {
    str text = method->tag == WASI3_HTTP_TYPES_METHOD_OTHER ? method->other : str_c(methods[method->tag]);
    if ((result->is_err = text.n > TOKEN_BYTES_MAX || !net_token_ok(text))) return ABI_TRAP_NONE;
    return set_text(call, self, &self->method, text);
}

enum abi_trap wasi3_http_types_request_get_path_with_query(struct host_call *call, struct wasi3_http_types_request *self,
                                                           struct wasi_p3_option_string *result) {
    result->some = self->has_path;
    result->value = self->path;
    return ABI_TRAP_NONE;
}

/* An empty one is "/", which it would be sent as. */
enum abi_trap wasi3_http_types_request_set_path_with_query(struct host_call *call, struct wasi3_http_types_request *self,
                                                           const struct wasi_p3_option_string *path_with_query,
                                                           struct wasi_p3_result_void_void *result) {
    str path = !path_with_query->some ? (str){} : path_with_query->value.n ? path_with_query->value : STR("/");
    if ((result->is_err = !wasi_uri_part_ok(path, "#", true))) return ABI_TRAP_NONE;
    enum abi_trap t = set_text(call, self, &self->path, path);
    self->has_path = path_with_query->some;
    return t;
}

enum abi_trap wasi3_http_types_request_get_scheme(struct host_call *call, struct wasi3_http_types_request *self,
                                                  struct wasi_p3_option_http_types_scheme *result) {
    result->some = self->has_scheme;
    result->value.tag = str_eqc(self->scheme, "http")    ? WASI3_HTTP_TYPES_SCHEME_HTTP
                        : str_eqc(self->scheme, "https") ? WASI3_HTTP_TYPES_SCHEME_HTTPS
                                                         : WASI3_HTTP_TYPES_SCHEME_OTHER;
    if (result->value.tag == WASI3_HTTP_TYPES_SCHEME_OTHER) result->value.other = self->scheme;
    return ABI_TRAP_NONE;
}

/* RFC 3986 §3.1 */
static bool scheme_ok(str s) {
    for (size_t i = 0; i < s.n && s.n <= TOKEN_BYTES_MAX; i++) {
        uint8_t c = s.p[i], lower = c | 0x20;
        bool letter = lower >= 'a' && lower <= 'z';
        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'))) return false;
    }
    return s.n && s.n <= TOKEN_BYTES_MAX;
}

enum abi_trap wasi3_http_types_request_set_scheme(struct host_call *call, struct wasi3_http_types_request *self,
                                                  const struct wasi_p3_option_http_types_scheme *scheme,
                                                  struct wasi_p3_result_void_void *result) {
    str text = !scheme->some                                        ? (str){}
               : scheme->value.tag == WASI3_HTTP_TYPES_SCHEME_OTHER ? scheme->value.other
               : scheme->value.tag == WASI3_HTTP_TYPES_SCHEME_HTTP  ? STR("http")
                                                                    : STR("https");
    if ((result->is_err = scheme->some && !scheme_ok(text))) return ABI_TRAP_NONE;
    if (str_eq_nocase(text, STR("http"))) text = STR("http");
    if (str_eq_nocase(text, STR("https"))) text = STR("https");
    enum abi_trap t = set_text(call, self, &self->scheme, text);
    self->has_scheme = scheme->some;
    return t;
}

enum abi_trap wasi3_http_types_request_get_authority(struct host_call *call, struct wasi3_http_types_request *self,
                                                     struct wasi_p3_option_string *result) {
    result->some = self->has_authority;
    result->value = self->authority;
    return ABI_TRAP_NONE;
}

/* [ userinfo "@" ] host [ ":" port ] (RFC 3986 §3.2), without an empty host. */
static bool authority_ok(str s) {
    if (!wasi_uri_part_ok(s, "/?#", false)) return false;
    size_t at = str_find(s, '@');
    if (at < s.n) {
        str user = str_sub(s, 0, at);
        if (!user.n || str_eqc(user, ":") || str_find(user, '[') < user.n) return false;
        s = str_sub(s, at + 1, s.n);
    }
    size_t end = str_find(s, ']');
    bool literal = s.n && s.p[0] == '[';
    if (literal != (end < s.n) || str_find(s, '@') < s.n) return false;
    str host = literal ? str_sub(s, 1, end - 1) : str_sub(s, 0, str_find(s, ':'));
    str rest = literal ? str_sub(s, end + 1, s.n) : str_sub(s, host.n, s.n);
    uint64_t port;
    if (!host.n || str_find(host, '[') < host.n) return false;
    for (size_t i = 0; literal && i < host.n; i++)
        if (!strchr("0123456789abcdefABCDEF:.", host.p[i])) return false;
    return !rest.n || (rest.p[0] == ':' && (rest.n == 1 || (str_to_u64(str_sub(rest, 1, rest.n), &port) && port <= UINT16_MAX)));
}

enum abi_trap wasi3_http_types_request_set_authority(struct host_call *call, struct wasi3_http_types_request *self,
                                                     const struct wasi_p3_option_string *authority,
                                                     struct wasi_p3_result_void_void *result) {
    if ((result->is_err = authority->some && !authority_ok(authority->value))) return ABI_TRAP_NONE;
    enum abi_trap t = set_text(call, self, &self->authority, authority->some ? authority->value : (str){});
    self->has_authority = authority->some;
    return t;
}

enum abi_trap wasi3_http_types_request_get_options(struct host_call *call, struct wasi3_http_types_request *self,
                                                   struct wasi_p3_option_http_types_request_options *result) {
    result->some = self->options;
    result->value = app_object_ref(self->options);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_http_types_request_get_headers(struct host_call *call, struct wasi3_http_types_request *self,
                                                   struct wasi3_http_types_fields **result) {
    if (!self->headers && self->net) {
        self->headers = wasi_http_fields_of(call->instance, sizeof **result, self->net->fields, self->net->fields_count, NULL);
    }
    if (!self->headers) return wasi_p3_no_memory(call); /* or there was none when its exchange ended */
    *result = app_object_ref(self->headers);
    return ABI_TRAP_NONE;
}

/* ---- request options ---- */

void wasi3_http_types_request_options_drop(struct host_instance *in, struct wasi3_http_types_request_options *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi3_http_types_request_options_new(struct host_call *call, struct wasi3_http_types_request_options **result) {
    APP_OBJECT_NEW(call, o, wasi3_http_types_request_options, NULL);
    *result = o;
    return ABI_TRAP_NONE;
}

#define OPTION(wit, field)                                                                                                       \
    enum abi_trap wasi3_http_types_request_options_get_##wit(                                                                    \
        struct host_call *call, struct wasi3_http_types_request_options *self, struct wasi_p3_option_u64 *result) {              \
        *result = self->field;                                                                                                   \
        return ABI_TRAP_NONE;                                                                                                    \
    }                                                                                                                            \
    enum abi_trap wasi3_http_types_request_options_set_##wit(                                                                    \
        struct host_call *call, struct wasi3_http_types_request_options *self, const struct wasi_p3_option_u64 *duration,        \
        struct wasi_p3_result_void_http_types_request_options_error *result) {                                                   \
        result->is_err = self->immutable;                                                                                        \
        if (result->is_err) result->err.tag = WASI3_HTTP_TYPES_REQUEST_OPTIONS_ERROR_IMMUTABLE;                                  \
        else self->field = *duration;                                                                                            \
        return ABI_TRAP_NONE;                                                                                                    \
    }
OPTION(connect_timeout, connect)
OPTION(first_byte_timeout, first_byte)
OPTION(between_bytes_timeout, between_bytes)
#undef OPTION

enum abi_trap wasi3_http_types_request_options_clone(struct host_call *call, struct wasi3_http_types_request_options *self,
                                                     struct wasi3_http_types_request_options **result) {
    APP_OBJECT_NEW(call, o, wasi3_http_types_request_options, NULL);
    o->connect = self->connect;
    o->first_byte = self->first_byte;
    o->between_bytes = self->between_bytes;
    *result = o;
    return ABI_TRAP_NONE;
}

/* ---- response ---- */

static void response_destroy(struct host_instance *in, void *self) {
    struct wasi3_http_types_response *r = self;
    wasi_p3_body_drop(in, &r->body);
    app_object_unref(in, r->headers);
}

struct wasi3_http_types_response *wasi_p3_response_of(struct host_instance *in, const struct net_response *response,
                                                      struct wasi_p3_inlet *inlet, void *keeper) {
    struct wasi3_http_types_response *r = app_object_new(in, sizeof *r, response_destroy);
    if (!r) return NULL;
    r->status = response->status;
    r->headers = wasi_http_fields_of(in, sizeof *r->headers, response->fields, response->fields_count, NULL);
    if (!r->headers || !wasi_http_fields_own(&r->headers->f)) {
        app_object_unref(in, r);
        return NULL;
    }
    r->body = (struct wasi_p3_body){.kind = P3_BODY_HOST, .inlet = inlet, .keeper = app_object_ref(keeper)};
    return r;
}

enum abi_trap
wasi3_http_types_response_new(struct host_call *call, struct wasi3_http_types_fields *headers,
                              const struct wasi_p3_option_stream_u8 *contents, struct host_future *trailers,
                              struct wasi_p3_tuple2_http_types_response_future_result_void_http_types_error_code *result) {
    struct wasi_p3_body body;
    struct host_instance *in = call->instance;
    struct wasi3_http_types_response *r = app_object_new(in, sizeof *r, response_destroy);
    result->f1 = guest_body(in, &body, contents, trailers);
    if (r && result->f1) {
        headers->f.immutable = true;
        r->headers = headers;
        r->body = body;
        r->status = 200;
        result->f0 = r;
        return ABI_TRAP_NONE;
    }
    if (result->f1) host_future_close(result->f1);
    wasi_p3_body_drop(in, &body);
    app_object_unref(in, r);
    app_object_unref(in, headers);
    return wasi_p3_no_memory(call);
}

void wasi3_http_types_response_drop(struct host_instance *in, struct wasi3_http_types_response *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi3_http_types_response_get_status_code(struct host_call *call, struct wasi3_http_types_response *self,
                                                        wasi3_http_types_status_code *result) {
    *result = self->status;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_http_types_response_set_status_code(struct host_call *call, struct wasi3_http_types_response *self,
                                                        wasi3_http_types_status_code status_code,
                                                        struct wasi_p3_result_void_void *result) {
    result->is_err = status_code < 100 || status_code > 599;
    if (!result->is_err) self->status = status_code;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_http_types_response_get_headers(struct host_call *call, struct wasi3_http_types_response *self,
                                                    struct wasi3_http_types_fields **result) {
    *result = app_object_ref(self->headers);
    return ABI_TRAP_NONE;
}
