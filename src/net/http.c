/* http: see http.h. */
#include "net/http1_int.h"

bool net_token_ok(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!(http1_class[s.p[i]] & CLASS_TOKEN)) return false;
    return s.n > 0;
}

bool net_field_name_ok(str name) { return net_token_ok(name); }
bool net_field_value_ok(str value) { return http1_scan_text(value.p, 0, value.n) == value.n; }

bool net_fields_ok(const struct net_field *fields, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!net_field_name_ok(fields[i].name) || !net_field_value_ok(fields[i].value)) return false;
    return true;
}

const char *net_status_text(uint16_t status) {
    switch (status) {
#define X(code, text)                                                                                                            \
    case code:                                                                                                                   \
        return text;
#include "net/status.def"
#undef X
    default: return "";
    }
}

bool net_response_bodiless(str method, uint16_t status) {
    return status < 200 || status == 204 || status == 304 || str_eq(method, STR("HEAD")) ||
           (status < 300 && str_eq(method, STR("CONNECT")));
}

const char *net_error_text(enum net_error e) {
    static const char *const text[] = {
        "ok",
#define X(name, wit, text) text,
#include "net/http_error.def"
#undef X
    };
    return e < NET_ERROR_COUNT ? text[e] : "?";
}

const char *net_error_wit(enum net_error e) {
    static const char *const wit[] = {
        "",
#define X(name, wit, text) wit,
#include "net/http_error.def"
#undef X
    };
    return e < NET_ERROR_COUNT ? wit[e] : "?";
}

static bool has_token(str list, const char *token, size_t n) {
    while (list.n) {
        str item;
        str_cut(list, ',', &item, &list);
        item = str_trim(item);
        if (item.n == n && http1_is(item.p, token, n)) return true;
    }
    return false;
}

static bool is_events(str type) {
    str_cut(type, ';', &type, &(str){0});
    return str_eq_nocase(str_trim(type), STR("text/event-stream"));
}

err net_head_check(struct net_head *r) {
    if (r->status < 100 || r->status > 999) return ERR_INVALID;
    r->content_length = UINT64_MAX;
    r->has_date = r->close = r->has_server = r->events = false;
    size_t bytes = 0;
    for (uint32_t i = 0; i < r->fields_count; i++) {
        const struct net_field *f = &r->fields[i];
        if (!net_token_ok(f->name) || !net_field_value_ok(f->value)) return ERR_INVALID;
        bytes += f->name.n + f->value.n;
        if (HTTP1_IS(f->name, "date")) r->has_date = true;
        else if (HTTP1_IS(f->name, "server")) r->has_server = true;
        else if (HTTP1_IS(f->name, "content-type")) r->events = is_events(f->value);
        else if (HTTP1_IS(f->name, "content-length")) {
            uint64_t n;
            if (r->content_length != UINT64_MAX || !str_to_u64(f->value, &n) || n > INT64_MAX) return ERR_INVALID;
            r->content_length = n;
        } else if (HTTP1_IS(f->name, "connection") && has_token(f->value, "close", 5)) r->close = true;
    }
    r->bytes = bytes;
    return ERR_OK;
}

/* ---- requests that are to be sent ---- */

static bool authority_ok(str a) {
    if (!a.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (!(http1_class[a.p[i]] & CLASS_HOST)) return false;
    return true;
}

static bool target_ok(str path) {
    if (path.n && path.p[0] != '/' && !str_eqc(path, "*")) return false;
    for (size_t i = 0; i < path.n; i++)
        if (!(http1_class[path.p[i]] & CLASS_TARGET)) return false;
    return true;
}

enum net_error net_request_check(struct net_request *rq) {
    bool http = str_eqc(rq->scheme, "http") || str_eqc(rq->scheme, "https");
    rq->content_length = UINT64_MAX;
    if (!net_token_ok(rq->method) || str_eqc(rq->method, "CONNECT")) return NET_HTTP_REQUEST_METHOD_INVALID;
    if (!http || !authority_ok(rq->authority) || !target_ok(rq->path)) return NET_HTTP_REQUEST_URI_INVALID;
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        const struct net_field *h = &rq->fields[i];
        if (!net_field_name_ok(h->name) || !net_field_value_ok(h->value)) return NET_HTTP_PROTOCOL_ERROR;
        if (!str_eq_nocase(h->name, STR("content-length"))) continue;
        uint64_t n;
        if (rq->content_length != UINT64_MAX || !str_to_u64(h->value, &n) || n > INT64_MAX) return NET_HTTP_REQUEST_BODY_SIZE;
        rq->content_length = n;
    }
    return !rq->has_body && rq->content_length != UINT64_MAX && rq->content_length ? NET_HTTP_REQUEST_BODY_SIZE : NET_OK;
}
