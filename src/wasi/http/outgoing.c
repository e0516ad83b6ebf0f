/* outgoing: grants, loops and texts of a guest's requests (http/outgoing.h). */
#include "wasi/http/outgoing.h"
#include "net/local.h"
#include "app/hops.h"
#include "wasi/sock/net_rules.h"
#include <stdio.h>

enum { URI_BYTES_MAX = 64 << 10 };

/* ---- strings ---- */

bool wasi_uri_part_ok(str s, const char *ends, bool above_ascii) {
    if (s.n > URI_BYTES_MAX) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 0x80 && above_ascii) continue;
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f || strchr("\"<>\\^`{|}", s.p[i]) || strchr(ends, s.p[i])) return false;
    }
    return true;
}

/* ---- what may be reached ---- */

/* "host:port" or "[v6]:port" taken apart; port 0 when it says none. False: the port is no number. */
static bool split_authority(str authority, str *host, uint16_t *port) {
    size_t colon = authority.n;
    while (colon > 0 && authority.p[colon - 1] != ':' && authority.p[colon - 1] != ']') colon--;
    *port = 0;
    *host = authority;
    if (colon == 0 || authority.p[colon - 1] != ':') return authority.n > 0;
    uint64_t v;
    *host = str_sub(authority, 0, colon - 1);
    if (colon == authority.n) return host->n > 0;
    if (!str_to_u64(str_sub(authority, colon, authority.n), &v) || v == 0 || v > UINT16_MAX) return false;
    *port = (uint16_t)v;
    return host->n > 0;
}

static struct wasi_net_rules rules_of(const struct app *app) {
    return (struct wasi_net_rules){app->grants->allow_http.p, app->grants->allow_http.n};
}

/* Of those, the ones for a scheme. */
static struct wasi_net_rules rules_for(arena *scratch, const struct app *app, str scheme) {
    struct app_net_rule *rules = arena_array(scratch, struct app_net_rule, app->grants->allow_http.n);
    uint8_t own = str_eqc(scheme, "https") ? APP_SCHEME_HTTPS : APP_SCHEME_HTTP;
    size_t n = 0;
    for (uint32_t i = 0; i < app->grants->allow_http.n; i++) {
        const struct app_net_rule *rule = &app->grants->allow_http.p[i];
        if (rule->scheme == APP_SCHEME_ANY || rule->scheme == own) rules[n++] = *rule;
    }
    return (struct wasi_net_rules){rules, n};
}

static uint16_t port_or_usual(uint16_t port, str scheme) { return port ? port : str_eqc(scheme, "http") ? 80 : 443; }

/* The authority taken apart, in the arena. False: it is no host and port. */
static bool parse_authority(arena *out, str authority, struct wasi_net_host *host, uint16_t *port) {
    str text;
    return split_authority(authority, &text, port) && wasi_net_host_parse(out, text, host);
}

/* "--allow-http HOST:PORT", ready to be pasted; an address of the host where a name does not suffice. */
static str grant_for(arena *out, const struct wasi_net_host *host, const struct net_addr *a, uint16_t port) {
    char text[NET_ADDR_TEXT_MAX];
    struct net_addr at = a ? *a : host->address;
    if (net_addr_class(&at) == NET_ADDR_UNSPECIFIED) at = (struct net_addr){.ip = {127, 0, 0, 1}};
    at.port = port;
    if (a || host->is_address) return arena_fmt(out, "--allow-http %s", net_addr_text(&at, true, text));
    return arena_fmt(out, "--allow-http " STR_FMT ":%u", STR_ARG(host->name), port);
}

static void log_denied(struct wasi_instance *i, struct app_request *rq, const struct wasi_net_host *host, uint16_t port,
                       const struct net_addr *a) {
    arena *scratch = arena_new(0);
    char text[NET_ADDR_TEXT_MAX];
    str grant = grant_for(scratch, host, a, port);
    str name = host->is_address ? arena_fmt(scratch, "%s", net_addr_text(&host->address, false, text)) : host->name;
    struct log_field fields[7] = {LF_STR("request", rq->id), LF_STR("app", rq->app->name), LF_STR("host", name),
                                  LF_U64("port", port)};
    size_t n = 4;
    if (a) fields[n++] = LF_CSTR("address", net_addr_text(a, false, text));
    bool nowhere = !a && host->is_address && net_addr_class(&host->address) == NET_ADDR_UNSPECIFIED;
    if (a) fields[n++] = LF_CSTR("reason", "a name opens public addresses only");
    if (nowhere) fields[n++] = LF_CSTR("reason", "it is no address to connect to; this machine is 127.0.0.1");
    fields[n++] = LF_STR("grant", grant);
    app_request_lacks(rq, APP_LACK_HTTP, str_sub(grant, sizeof "--allow-http", grant.n));
    if (app_notice_due(&i->base, grant)) log_emit(LOG_WARN, "outgoing-request-denied", fields, n);
    arena_free(scratch);
}

static void met(struct app *app, enum app_setting_id limit) {
    if (app->met) app->met(app, limit);
}

static void log_denied_more(const struct app_request *rq) {
    arena *scratch = arena_new(0);
    log_event(LOG_WARN, "limit", LF_STR("request", rq->id), LF_STR("app", rq->app->name),
              LF_STR("limit", app_setting_said(scratch, APP_SETTING_fetches_max, rq->app->limits->fetches_max)),
              LF_CSTR("reason", "its guest has made as many outgoing requests as it may"));
    arena_free(scratch);
}

/* It is one of those that it may make. */
static enum net_error count(struct wasi_instance *i, struct app_request *rq) {
    if (rq->fetches_left) {
        rq->fetches_left -= rq != &rq->app->nobody;
        return NET_OK;
    }
    if (app_notice_due(&i->base, STR("outgoing requests"))) log_denied_more(rq);
    met(rq->app, APP_SETTING_fetches_max);
    return NET_CONNECTION_LIMIT_REACHED;
}

static void tell_denied(struct app_request *rq, str scheme, str authority) {
    struct app_outgoing o = {.started_ns = clock_mono_ns(), .scheme = scheme, .authority = authority, .denied = true};
    o.error = net_error_wit(NET_HTTP_REQUEST_DENIED);
    app_trace_id(o.span, sizeof o.span);
    if (rq->app->outgoing) rq->app->outgoing(rq, &o);
}

static enum app_local local(struct app_request *rq, str scheme, str authority, struct net_local *to) {
    return rq->app->local && str_eqc(scheme, "http") ? rq->app->local(rq, authority, to) : APP_LOCAL_NO;
}

/* A function of the same app that was not granted. */
static void log_denied_function(struct wasi_instance *i, struct app_request *rq, str authority) {
    arena *scratch = arena_new(0);
    app_request_lacks(rq, APP_LACK_FUNCTION, str_sub(authority, 0, str_find(authority, '.')));
    str name = str_sub(authority, 0, str_find(authority, '.'));
    str grant = arena_fmt(scratch, "functions = [\"" STR_FMT "\"]", STR_ARG(name));
    app_request_lacks(rq, APP_LACK_FUNCTION, name);
    if (app_notice_due(&i->base, grant))
        log_event(LOG_WARN, "outgoing-request-denied", LF_STR("request", rq->id), LF_STR("app", rq->app->name),
                  LF_STR("host", authority), LF_CSTR("reason", "a function of the same app, which this one may not call"),
                  LF_STR("grant", grant));
    arena_free(scratch);
}

static enum net_error refuse_host(struct wasi_instance *i, struct app_request *rq, str scheme, str authority, arena *scratch) {
    struct wasi_net_host host;
    uint16_t port;
    if (!parse_authority(scratch, authority, &host, &port)) return NET_HTTP_REQUEST_URI_INVALID;
    if (!wasi_net_rules_allow_host(rules_for(scratch, i->base.app, scheme), &host, port_or_usual(port, scheme))) {
        log_denied(i, rq, &host, port_or_usual(port, scheme), NULL);
        return NET_HTTP_REQUEST_DENIED;
    }
    return wasi_image_client(i->image) ? count(i, rq) : NET_CONFIGURATION_ERROR;
}

enum net_error wasi_outgoing_refuse(struct wasi_instance *i, struct app_request *rq, str scheme, str authority) {
    if (!str_eqc(scheme, "http") && !str_eqc(scheme, "https")) return NET_HTTP_PROTOCOL_ERROR;
    enum net_error e = NET_HTTP_REQUEST_DENIED;
    enum app_local own = local(rq, scheme, authority, NULL);
    arena *scratch = arena_new(0);
    if (own == APP_LOCAL_DENIED) log_denied_function(i, rq, authority);
    else e = own == APP_LOCAL_YES ? count(i, rq) : refuse_host(i, rq, scheme, authority, scratch);
    arena_free(scratch);
    if (e == NET_HTTP_REQUEST_DENIED) tell_denied(rq, scheme, authority);
    return e;
}

enum net_error wasi_outgoing_send(struct wasi_instance *i, struct app_request *rq, const struct net_fetch_request *what,
                                  void (*on_change)(void *arg), void *arg, struct net_fetch **out) {
    struct net_local to;
    if (local(rq, what->scheme, what->authority, &to) == APP_LOCAL_YES)
        return net_fetch_local(i->base.app->loop, what, &to, on_change, arg, out);
    return net_fetch_new(wasi_image_client(i->image), what, on_change, arg, out);
}

enum net_error wasi_outgoing_forward(struct wasi_instance *i, struct app_request *rq) {
    return wasi_image_client(i->image) ? count(i, rq) : NET_CONFIGURATION_ERROR;
}

bool wasi_outgoing_may_reach(void *app, str authority, const struct net_addr *a) {
    struct wasi_net_host host;
    uint16_t port;
    arena *scratch = arena_new(0);
    bool may = parse_authority(scratch, authority, &host, &port) && wasi_net_rules_allow_found(rules_of(app), &host, a);
    arena_free(scratch);
    return may;
}

bool wasi_outgoing_may_forward(void *app, str authority, const struct net_addr *a) {
    struct net_addr named;
    str host;
    uint16_t port;
    enum net_addr_class c = net_addr_class(a);
    (void)app;
    if (c == NET_ADDR_PUBLIC || c == NET_ADDR_PRIVATE || c == NET_ADDR_LOOPBACK) return true;
    return split_authority(authority, &host, &port) && net_addr_parse(host, &named) && net_addr_same_ip(&named, a);
}

void wasi_outgoing_failed(struct wasi_instance *i, struct app_request *rq, const struct net_fetch *f) {
    enum net_error e = net_fetch_error(f);
    str scheme = net_fetch_scheme(f), authority = net_fetch_authority(f), name;
    struct wasi_net_host host;
    uint16_t port;
    if (e == NET_OK || !split_authority(authority, &name, &port)) return;
    if (e == NET_CONNECTION_LIMIT_REACHED)
        met(rq->app, i->outgoing.used >= i->outgoing.max ? APP_SETTING_outgoing_max : APP_SETTING_app_outgoing_max);
    port = port_or_usual(port, scheme);
    arena *scratch = arena_new(0);
    const struct net_addr *prohibited = e == NET_DESTINATION_IP_PROHIBITED ? net_fetch_prohibited(f) : NULL;
    if (prohibited && wasi_net_host_parse(scratch, name, &host)) log_denied(i, rq, &host, port, prohibited);
    else if (app_notice_due(&i->base, arena_fmt(scratch, STR_FMT " %d", STR_ARG(authority), (int)e)))
        log_event(LOG_WARN, "outgoing-request-failed", LF_STR("request", rq->id), LF_STR("app", rq->app->name),
                  LF_STR("host", name), LF_U64("port", port), LF_CSTR("error", net_error_wit(e)),
                  LF_STR("reason", net_fetch_error_text(f)));
    arena_free(scratch);
}

/* ---- who watches ---- */

void wasi_outgoing_begin(struct wasi_outgoing *o, const struct app_request *rq, str method) {
    *o = (struct wasi_outgoing){.started_ns = clock_mono_ns()};
    snprintf(o->method, sizeof o->method, STR_FMT, STR_ARG(method));
    if (rq->trace.recorded) app_trace_id(o->span, sizeof o->span);
    else memcpy(o->span, rq->trace.span, sizeof o->span);
}

static void tell(struct wasi_outgoing *o, struct app_request *rq, const struct net_fetch *f, const char *error) {
    const struct net_response *response = net_fetch_response(f);
    struct app_outgoing seen = {.started_ns = o->started_ns,
                                .method = str_c(o->method),
                                .scheme = net_fetch_scheme(f),
                                .authority = net_fetch_authority(f),
                                .status = response ? response->status : 0,
                                .error = error};
    memcpy(seen.span, o->span, sizeof seen.span);
    o->told = true;
    if (rq->app->outgoing) rq->app->outgoing(rq, &seen);
}

void wasi_outgoing_tell(struct wasi_outgoing *o, struct app_request *rq, const struct net_fetch *f) {
    if (o->told || !o->started_ns) return;
    if (net_fetch_response(f)) tell(o, rq, f, NULL);
    else if (net_fetch_error(f) != NET_OK) tell(o, rq, f, net_error_wit(net_fetch_error(f)));
}

void wasi_outgoing_end(struct wasi_outgoing *o, struct app_request *rq, const struct net_fetch *f) {
    if (!o->told && o->started_ns) tell(o, rq, f, "cancelled");
}

/* ---- what is sent besides ---- */

static bool has_field(const struct net_field *fields, uint32_t n, str name) {
    for (uint32_t i = 0; i < n; i++)
        if (str_eq_nocase(fields[i].name, name)) return true;
    return false;
}

uint32_t wasi_outgoing_fields(arena *out, const struct wasi_outgoing *o, const struct app_request *rq, struct net_field *fields,
                              uint32_t count) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!app_hops_field(fields[i].name)) fields[n++] = fields[i];
    bool own = has_field(fields, n, STR("traceparent"));
    fields[n++] = (struct net_field){STR("cdn-loop"), app_hops_next(out, app_request_loop(out, rq), rq->app->id)};
    if (!rq->trace.on || own) return n;
    char *parent = arena_alloc(out, APP_TRACEPARENT_BYTES + 1, 1);
    app_traceparent_write(&rq->trace, o->span, parent);
    fields[n++] = (struct net_field){STR("traceparent"), str_c(parent)};
    if (rq->trace.state.n && !has_field(fields, n, STR("tracestate")))
        fields[n++] = (struct net_field){STR("tracestate"), arena_str(out, rq->trace.state)};
    return n;
}

uint32_t wasi_outgoing_ms(bool some, uint64_t ns, uint64_t otherwise) {
    uint64_t ms = some ? ns / 1000000 + (ns % 1000000 != 0) : otherwise;
    return (uint32_t)MIN(MAX(ms, (uint64_t)1), (uint64_t)UINT32_MAX - 1);
}
