/* cgi: an HTTP request as a program's environment and standard input, its standard output as the response (RFC 3875).
 *
 * 1. The body goes in and out as a stream; both wait for the other side by parking the fiber.
 * 2. A Location alone with a path on this server is served from here, by another run (§6.2.2); any other goes to the client, as a 302
 *    if it has no Status.
 * 3. A body of unknown length (chunked) is collected up to COLLECT_BYTES_MAX, so that the program gets the CONTENT_LENGTH that
 *    §4.1.2 promises; a longer one is streamed without. One that is malformed is the client's fault, whatever the program made of it.
 * 4. Variables have three owners, and a name is the first's who may have it: the gateway (own[]), whether or not it sets one this time;
 *    the operator (--env); the client (HTTP_…, of its fields). The Proxy header never becomes HTTP_PROXY; names with '_' are
 *    dropped, since they could pass for another's.
 */
#include "wasi/http/cgi.h"
#include "wasi/http/cgi_head.h"
#include <errno.h>

enum { COLLECT_BYTES_MAX = 1 << 20, HEAD_ROOM = 4 << 10 };

struct wasi_cgi {
    struct wasi_run *run;
    VEC(struct app_env) env;
    struct buf collected; /* the start of the body, or all of it */
    size_t collected_read;
    struct wasi_cgi_head head;
    struct buf backlog;        /* of the body: what came with a head that took all the room; at most HEAD_ROOM */
    struct net_source *source; /* NULL: after a redirect there is no body */
    struct net_sink *sink;
    bool responded;
    bool redirects; /* its response is that of another run; what more it writes is dropped */
};

/* ---- meta-variables (§4.1) ---- */

/* What only the gateway says, if anybody does. */
static const str own[] = {
    STR_INIT("CONTENT_LENGTH"),  STR_INIT("CONTENT_TYPE"),      STR_INIT("GATEWAY_INTERFACE"), STR_INIT("HTTPS"),
    STR_INIT("PATH_INFO"),       STR_INIT("QUERY_STRING"),      STR_INIT("REMOTE_ADDR"),       STR_INIT("REMOTE_HOST"),
    STR_INIT("REMOTE_PORT"),     STR_INIT("REQUEST_METHOD"),    STR_INIT("REQUEST_SCHEME"),    STR_INIT("REQUEST_URI"),
    STR_INIT("SCRIPT_NAME"),     STR_INIT("SERVER_NAME"),       STR_INIT("SERVER_PORT"),       STR_INIT("SERVER_PROTOCOL"),
    STR_INIT("SERVER_SOFTWARE"), STR_INIT("HTTP_X_REQUEST_ID"),
};

static bool is_own(str key) {
    for (size_t i = 0; i < ARRAY_COUNT(own); i++)
        if (str_eq(own[i], key)) return true;
    return false;
}

static void put(struct wasi_cgi *c, str key, str value) {
    struct app_env pair = {key, value};
    vec_push(c->run->i->base.mem, &c->env, pair);
}

static str decimal(arena *mem, uint64_t v) {
    uint8_t digits[20];
    size_t at = sizeof digits;
    do digits[--at] = (uint8_t)('0' + v % 10);
    while (v /= 10);
    return arena_str(mem, (str){digits + at, sizeof digits - at});
}

static int hex_digit(uint8_t c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent-decoded; as it was when that would put a NUL into a variable. */
static str decode_path(arena *mem, str s) {
    uint8_t *to = arena_alloc(mem, s.n + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int hi = s.p[i] == '%' && i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
        int lo = hi >= 0 ? hex_digit(s.p[i + 2]) : -1;
        if (lo >= 0) i += 2;
        to[n] = (uint8_t)(lo >= 0 ? hi << 4 | lo : s.p[i]);
        if (!to[n++]) return s;
    }
    return (str){to, n};
}

/* "X-Forwarded-For" → "HTTP_X_FORWARDED_FOR" */
static str variable_of(arena *mem, str name) {
    uint8_t *to = arena_alloc(mem, name.n + 6, 1);
    memcpy(to, "HTTP_", 5);
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        to[5 + i] = c == '-' ? '_' : c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
    }
    return (str){to, name.n + 5};
}

static void put_operators(struct wasi_cgi *c) {
    const struct app_grants *grants = c->run->image->app->grants;
    for (size_t i = 0; i < grants->env.n; i++)
        if (!is_own(grants->env.p[i].key)) put(c, grants->env.p[i].key, grants->env.p[i].value);
}

static bool is_dropped(str name) {
    static const str names[] = {STR_INIT("proxy"), STR_INIT("content-type"), STR_INIT("content-length"),
                                STR_INIT("transfer-encoding")};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eq_nocase(name, names[i])) return true;
    return str_find(name, '_') < name.n;
}

/* The values of field i and of all later ones of its name, copied once: a client could else have a copy made for each of them. */
static str joined(arena *mem, const struct net_request *r, uint32_t i) {
    str name = r->fields[i].name, sep = str_eq_nocase(name, STR("cookie")) ? STR("; ") : STR(", ");
    size_t n = 0, count = 0;
    for (uint32_t k = i; k < r->fields_count; k++)
        if (str_eq_nocase(r->fields[k].name, name)) n += r->fields[k].value.n + sep.n, count++;
    if (count == 1) return r->fields[i].value;
    uint8_t *p = arena_alloc(mem, n, 1);
    size_t at = 0;
    for (uint32_t k = i; k < r->fields_count; k++) {
        str v = r->fields[k].value;
        if (!str_eq_nocase(r->fields[k].name, name)) continue;
        if (k > i) memcpy(p + at, sep.p, sep.n), at += sep.n;
        if (v.n) memcpy(p + at, v.p, v.n), at += v.n;
    }
    return (str){p, at};
}

/* The client's, where nobody else has the name; several of a name are one (§4.1.18). */
static void put_clients(struct wasi_cgi *c, const struct net_request *r) {
    arena *mem = c->run->i->base.mem;
    for (uint32_t i = 0; i < r->fields_count; i++) {
        str name = r->fields[i].name;
        if (is_dropped(name)) continue;
        str key = variable_of(mem, name);
        uint32_t k = 0;
        while (k < c->env.n && !str_eq(c->env.p[k].key, key)) k++;
        if (k == c->env.n && !is_own(key)) put(c, key, joined(mem, r, i));
    }
}

static const struct net_field *field_of(const struct net_request *r, str name) {
    for (uint32_t i = 0; i < r->fields_count; i++)
        if (str_eq_nocase(r->fields[i].name, name)) return &r->fields[i];
    return NULL;
}

/* The name is what the client calls this server, the port where it came in. */
static void put_server(struct wasi_cgi *c, const struct net_request *r) {
    str host = r->authority;
    size_t colon = host.n;
    while (colon > 0 && host.p[colon - 1] >= '0' && host.p[colon - 1] <= '9') colon--;
    if (colon > 0 && host.p[colon - 1] == ':') host.n = colon - 1;
    put(c, STR("SERVER_NAME"), host.n ? host : STR("localhost"));
    put(c, STR("SERVER_PORT"), decimal(c->run->i->base.mem, net_exchange_port(c->run->request->exchange)));
}

static void wake_fiber(void *arg) { engine_ready(arg); }

/* Waits until the source has something to say. False: the run was killed. */
static bool wait_for_body(struct wasi_cgi *c) {
    struct engine *engine = c->run->image->app->engine;
    wasi_cgi_listen_input(c, wake_fiber, engine_fiber_current(engine));
    bool alive = engine_park(engine);
    wasi_cgi_listen_input(c, NULL, NULL);
    return alive;
}

/* The length of a chunked body that is short enough; UINT64_MAX: it is longer, or it failed. */
static uint64_t collect(struct wasi_cgi *c) {
    while (c->collected.n < COLLECT_BYTES_MAX) {
        str data;
        enum net_flow flow = net_source_peek(c->source, &data);
        if (flow == NET_FLOW_END) return c->collected.n;
        if (flow == NET_FLOW_FAILED || (flow == NET_FLOW_WAIT && !wait_for_body(c))) break;
        if (flow != NET_FLOW_DATA) continue;
        size_t take = MIN(data.n, COLLECT_BYTES_MAX - c->collected.n);
        buf_put(&c->collected, data.p, take);
        net_source_consume(c->source, take);
    }
    return UINT64_MAX;
}

static void free_bytes(void *arg) {
    struct wasi_cgi *c = arg;
    buf_free(&c->head.bytes);
    buf_free(&c->backlog);
    buf_free(&c->collected);
}

/* What the request is, in the gateway's words. length: of the body; UINT64_MAX: none, or unknown. */
static void put_gateways(struct wasi_cgi *c, const struct net_request *r, uint64_t length) {
    const struct app_request *rq = c->run->request;
    arena *mem = c->run->i->base.mem;
    str target = c->source ? r->path : c->run->config.redirect, path, query, client = net_exchange_peer(rq->exchange);
    str_cut(target, '?', &path, &query);
    put(c, STR("GATEWAY_INTERFACE"), STR("CGI/1.1"));
    put(c, STR("SERVER_SOFTWARE"), c->run->image->config.server_name);
    put(c, STR("SERVER_PROTOCOL"),
        r->version == NET_HTTP_2     ? STR("HTTP/2.0")
        : r->version == NET_HTTP_1_1 ? STR("HTTP/1.1")
                                     : STR("HTTP/1.0"));
    put_server(c, r);
    put(c, STR("REQUEST_METHOD"), c->source || str_eqc(r->method, "HEAD") ? r->method : STR("GET"));
    put(c, STR("REQUEST_URI"), target);
    put(c, STR("REQUEST_SCHEME"), r->scheme);
    if (str_eqc(r->scheme, "https")) put(c, STR("HTTPS"), STR("on"));
    put(c, STR("SCRIPT_NAME"), STR(""));
    put(c, STR("PATH_INFO"), decode_path(mem, path));
    put(c, STR("QUERY_STRING"), query);
    put(c, STR("REMOTE_ADDR"), client);
    put(c, STR("REMOTE_HOST"), client);
    if (rq->id.n) put(c, STR("HTTP_X_REQUEST_ID"), rq->id);
    const struct net_field *type = c->source ? field_of(r, STR("content-type")) : NULL;
    if (type) put(c, STR("CONTENT_TYPE"), type->value);
    if (length != UINT64_MAX) put(c, STR("CONTENT_LENGTH"), decimal(mem, length));
}

/* False: the client's body is none, and so the run is over. */
static bool body_holds(struct wasi_cgi *c) {
    if (!net_exchange_body_status(c->run->request->exchange)) return true;
    wasi_run_end(c->run, WASI_END_BAD_REQUEST, "%s", "the request's body is malformed, too large or too slow");
    return false;
}

struct wasi_cgi *wasi_cgi_begin(struct wasi_run *run) {
    const struct net_request *r = net_exchange_request(run->request->exchange);
    struct wasi_cgi *c = arena_make(run->i->base.mem, struct wasi_cgi);
    c->run = run;
    c->source = run->config.redirect.n ? NULL : net_exchange_source(run->request->exchange);
    c->sink = net_exchange_sink(run->request->exchange);
    c->head.bytes.max = run->image->app->limits->head_bytes_max;
    arena_cleanup(run->i->base.mem, free_bytes, c);
    uint64_t length = UINT64_MAX;
    if (c->source && r->has_body) length = r->content_length != UINT64_MAX ? r->content_length : collect(c);
    (void)!body_holds(c);
    put_gateways(c, r, length);
    put_operators(c);
    put_clients(c, r);
    return c;
}

const struct app_env *wasi_cgi_env(const struct wasi_cgi *c, uint32_t *count) {
    *count = c->env.n;
    return c->env.p;
}

/* ---- standard input: the request's body ---- */

bool wasi_cgi_readable(struct wasi_cgi *c) {
    str data;
    return c->collected_read < c->collected.n || !c->source || net_source_peek(c->source, &data) != NET_FLOW_WAIT;
}

void wasi_cgi_listen_input(struct wasi_cgi *c, void (*fn)(void *arg), void *arg) {
    if (c->source) net_source_notify(c->source, fn, arg);
}

enum net_flow wasi_cgi_read(struct wasi_cgi *c, void *p, size_t n, size_t *got) {
    *got = MIN(n, c->collected.n - c->collected_read);
    if (!*got) return c->source ? net_source_read(c->source, p, n, got) : NET_FLOW_END;
    memcpy(p, c->collected.p + c->collected_read, *got);
    c->collected_read += *got;
    return NET_FLOW_DATA;
}

/* ---- standard output: the response ---- */

/* Sends what there is room for; *bytes is the rest. 0 or EPIPE. */
static int send_some(struct wasi_cgi *c, str *bytes) {
    struct wasi_run *run = c->run;
    while (bytes->n) {
        size_t room = net_sink_room(c->sink);
        if (!room && net_sink_error(c->sink) == NET_OK) return 0;
        str piece = str_sub(*bytes, 0, MAX(room, (size_t)1));
        err e = net_sink_write(c->sink, piece);
        if (e == ERR_INVALID) wasi_run_end(run, WASI_END_BAD_RESPONSE, "%s", "it wrote more than its Content-Length");
        if (e == ERR_CLOSED) wasi_run_end(run, WASI_END_CLIENT_GONE, "%s", "");
        if (e != ERR_OK && e != ERR_AGAIN) return EPIPE;
        if (e == ERR_OK) *bytes = str_sub(*bytes, piece.n, bytes->n);
    }
    return 0;
}

static int send_backlog(struct wasi_cgi *c) {
    str rest = {c->backlog.p, c->backlog.n};
    int error = rest.n ? send_some(c, &rest) : 0;
    if (rest.n) memmove(c->backlog.p, rest.p, rest.n);
    c->backlog.n = rest.n;
    return error;
}

/* What of bytes belongs to the body; the head is answered with when it is whole. 0 or EPIPE. */
static int take_head(struct wasi_cgi *c, str *bytes) {
    struct wasi_run *run = c->run;
    if (run->ended) return EPIPE;
    if (c->redirects) *bytes = (str){};
    if (c->responded || c->redirects) return 0;
    size_t used = bytes->n;
    const char *why = NULL;
    enum wasi_cgi_result r = wasi_cgi_head_feed(&c->head, run->i->base.mem, *bytes, &used, &why);
    *bytes = r == CGI_MORE ? (str){} : str_sub(*bytes, used, bytes->n);
    if (r == CGI_MORE) return 0;
    if (r == CGI_DONE && c->head.local.n) {
        c->redirects = true;
        *bytes = (str){};
        return 0;
    }
    err e = r == CGI_DONE ? net_exchange_respond(run->request->exchange, c->head.status, c->head.fields.p, c->head.fields.n)
                          : ERR_INVALID;
    if (r == CGI_DONE && e != ERR_OK) why = e == ERR_CLOSED ? NULL : "its header cannot be sent";
    if (e != ERR_OK) {
        wasi_run_end(run, why ? WASI_END_BAD_RESPONSE : WASI_END_CLIENT_GONE, "%s", why ? why : "");
        return EPIPE;
    }
    c->responded = true;
    return 0;
}

int wasi_cgi_put(struct wasi_cgi *c, str bytes) {
    int error = take_head(c, &bytes);
    if (!error) error = send_backlog(c);
    if (!error && !c->backlog.n) error = send_some(c, &bytes);
    if (!error && bytes.n) buf_puts(&c->backlog, bytes);
    return error;
}

enum abi_trap wasi_cgi_write(struct wasi_cgi *c, str bytes, int *error) {
    struct engine *engine = c->run->image->app->engine;
    *error = take_head(c, &bytes);
    while (!*error) {
        *error = send_backlog(c);
        if (!*error && !c->backlog.n) *error = send_some(c, &bytes);
        if (*error || (!c->backlog.n && !bytes.n)) break;
        wasi_cgi_listen_output(c, wake_fiber, engine_fiber_current(engine));
        bool alive = engine_park(engine);
        wasi_cgi_listen_output(c, NULL, NULL);
        if (!alive) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

size_t wasi_cgi_room(struct wasi_cgi *c) {
    if (!c->responded) return HEAD_ROOM;
    if (send_backlog(c)) return 1; /* whoever writes is told */
    return c->backlog.n ? 0 : net_sink_room(c->sink);
}
bool wasi_cgi_broken(const struct wasi_cgi *c) { return c->run->ended || net_sink_error(c->sink) != NET_OK; }
void wasi_cgi_listen_output(struct wasi_cgi *c, void (*fn)(void *arg), void *arg) { net_sink_notify(c->sink, fn, arg); }

void wasi_cgi_end(struct wasi_cgi *c, int status) {
    struct wasi_run *run = c->run;
    run->outcome.exit_status = status;
    if (!body_holds(c)) return;
    if (c->redirects) {
        run->outcome.redirect = c->head.local;
        wasi_run_end(run, WASI_END_REDIRECT, "%s", "");
        return;
    }
    if (!c->responded) {
        if (status) wasi_run_end(run, WASI_END_EXIT, "%s", "it exited before its header was whole");
        else if (c->head.bytes.n)
            wasi_run_end(run, WASI_END_BAD_RESPONSE, "%s", "it ended before its header did: " CGI_HEAD_HINT);
        else wasi_run_end(run, WASI_END_NO_RESPONSE, "%s", "it printed nothing: " CGI_HEAD_HINT);
        return;
    }
    int error = 0;
    if (wasi_cgi_write(c, (str){}, &error) != ABI_TRAP_NONE || error) { /* the backlog */
        wasi_run_end(run, run->killed ? WASI_END_KILLED : WASI_END_CLIENT_GONE, "%s", "");
        return;
    }
    err e = net_sink_finish(c->sink, NULL, 0);
    if (e == ERR_INVALID) wasi_run_end(run, WASI_END_BAD_RESPONSE, "%s", "it wrote less than its Content-Length");
    else wasi_run_end(run, e == ERR_OK ? WASI_END_OK : WASI_END_CLIENT_GONE, "%s", "");
}
