/* cgi: an HTTP request as a program's environment and standard input, its standard output as the response (RFC 3875).
 *
 * 1. The body goes in and out as a stream; both wait for the other side by parking the fiber.
 * 2. A Location without Status is a 302; a path in it goes to the client as it is (§6.2.2 would have it served from here).
 * 3. A body of unknown length (chunked) is collected up to COLLECT_BYTES_MAX, so that the program gets the CONTENT_LENGTH that
 *    §4.1.2 promises; a longer one is streamed without.
 * 4. The Proxy header never becomes HTTP_PROXY; names with '_' are dropped, since they could pass for another's.
 */
#include "wasi/cgi_head.h"
#include "wasi/p1_int.h"
#include <errno.h>

enum { COLLECT_BYTES_MAX = 1 << 20 };

struct cgi {
    struct buf collected;             /* the start of the body, or all of it */
    size_t collected_read;
    struct cgi_head head;
    struct net_source *source;
    struct net_sink *sink;
    bool responded;
};

/* ---- meta-variables (§4.1) ---- */

static void put(struct p1 *p, uint32_t *cap, str key, str value) {
    if (p->env_count == *cap) { /* an array that grows, kept in the run's memory */
        struct wasi_env *more = arena_array(p->run->mem, struct wasi_env, *cap * 2 + 32);
        if (p->env_count) memcpy(more, p->env, p->env_count * sizeof *more);
        p->env = more;
        *cap = *cap * 2 + 32;
    }
    p->env[p->env_count++] = (struct wasi_env){key, value};
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
        to[n] = lo >= 0 ? (uint8_t)(hi << 4 | lo) : s.p[i];
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

static void put_fields(struct p1 *p, uint32_t *cap, const struct net_request *r) {
    arena *mem = p->run->mem;
    for (uint32_t i = 0; i < r->fields_count; i++) {
        str name = r->fields[i].name, value = r->fields[i].value;
        if (str_eq_nocase(name, STR("content-type"))) {
            put(p, cap, STR("CONTENT_TYPE"), value);
            continue;
        }
        if (str_eq_nocase(name, STR("proxy")) || str_eq_nocase(name, STR("content-length")) ||
            str_eq_nocase(name, STR("transfer-encoding")) || str_find(name, '_') < name.n)
            continue;
        str key = variable_of(mem, name);
        uint32_t k = 0;
        while (k < p->env_count && !str_eq(p->env[k].key, key)) k++;
        if (k == p->env_count) put(p, cap, key, value);
        else p->env[k].value = arena_fmt(mem, STR_FMT "%s" STR_FMT, STR_ARG(p->env[k].value),
                                         str_eq(key, STR("HTTP_COOKIE")) ? "; " : ", ", STR_ARG(value));
    }
}

static void put_server(struct p1 *p, uint32_t *cap, const struct net_request *r) {
    str host = r->authority, port = STR("");
    size_t colon = host.n;
    while (colon > 0 && host.p[colon - 1] >= '0' && host.p[colon - 1] <= '9') colon--;
    if (colon > 0 && colon < host.n && host.p[colon - 1] == ':') {
        port = str_sub(host, colon, host.n);
        host.n = colon - 1;
    }
    put(p, cap, STR("SERVER_NAME"), host.n ? host : STR("localhost"));
    put(p, cap, STR("SERVER_PORT"), port.n ? port : p->run->config.https ? STR("443") : STR("80"));
}

static void wake_fiber(void *arg) { engine_ready(arg); }

/* Waits until the source has something to say. False: the run was killed. */
static bool wait_for_body(struct wasi_run *run, struct net_source *source) {
    net_source_notify(source, wake_fiber, engine_fiber_current(run->app->engine));
    bool alive = engine_park(run->app->engine);
    net_source_notify(source, NULL, NULL);
    return alive;
}

/* The length of a chunked body that is short enough; UINT64_MAX: it is longer, or it failed. */
static uint64_t collect(struct wasi_run *run, struct cgi *cgi) {
    while (cgi->collected.n < COLLECT_BYTES_MAX) {
        str data;
        enum net_flow flow = net_source_peek(cgi->source, &data);
        if (flow == NET_FLOW_END) return cgi->collected.n;
        if (flow == NET_FLOW_FAILED || (flow == NET_FLOW_WAIT && !wait_for_body(run, cgi->source))) break;
        if (flow != NET_FLOW_DATA) continue;
        size_t take = MIN(data.n, COLLECT_BYTES_MAX - cgi->collected.n);
        buf_put(&cgi->collected, data.p, take);
        net_source_consume(cgi->source, take);
    }
    return UINT64_MAX;
}

static void free_bytes(void *arg) {
    struct cgi *cgi = arg;
    buf_free(&cgi->head.bytes);
    buf_free(&cgi->collected);
}

void cgi_begin(struct p1 *p) {
    struct wasi_run *run = p->run;
    const struct net_request *r = net_exchange_request(run->config.exchange);
    p->cgi = arena_make(run->mem, struct cgi);
    p->cgi->source = net_exchange_source(run->config.exchange);
    p->cgi->sink = net_exchange_sink(run->config.exchange);
    p->cgi->head.bytes.max = run->app->config.limits.head_bytes_max;
    arena_cleanup(run->mem, free_bytes, p->cgi);
    uint64_t length = r->content_length != UINT64_MAX || !r->has_body ? r->content_length : collect(run, p->cgi);
    str path, query;
    uint32_t cap = p->env_count;
    str_cut(r->path, '?', &path, &query);
    put(p, &cap, STR("GATEWAY_INTERFACE"), STR("CGI/1.1"));
    put(p, &cap, STR("SERVER_SOFTWARE"), run->app->config.server_name);
    put(p, &cap, STR("SERVER_PROTOCOL"), r->version_minor ? STR("HTTP/1.1") : STR("HTTP/1.0"));
    put_server(p, &cap, r);
    put(p, &cap, STR("REQUEST_METHOD"), r->method);
    put(p, &cap, STR("REQUEST_URI"), r->path);
    put(p, &cap, STR("REQUEST_SCHEME"), run->config.https ? STR("https") : STR("http"));
    if (run->config.https) put(p, &cap, STR("HTTPS"), STR("on"));
    put(p, &cap, STR("SCRIPT_NAME"), STR(""));
    put(p, &cap, STR("PATH_INFO"), decode_path(run->mem, path));
    put(p, &cap, STR("QUERY_STRING"), query);
    put(p, &cap, STR("REMOTE_ADDR"), run->config.remote);
    put(p, &cap, STR("REMOTE_HOST"), run->config.remote);
    if (r->has_body && length != UINT64_MAX)
        put(p, &cap, STR("CONTENT_LENGTH"), arena_fmt(run->mem, "%llu", (unsigned long long)length));
    put_fields(p, &cap, r);
    if (run->config.request_id.n) put(p, &cap, STR("HTTP_X_REQUEST_ID"), run->config.request_id);
}

/* ---- standard input: the request's body ---- */

static bool body_readable(struct wasi_run *run) {
    struct cgi *cgi = ((struct p1 *)run->state)->cgi;
    str data;
    return cgi->collected_read < cgi->collected.n || net_source_peek(cgi->source, &data) != NET_FLOW_WAIT;
}

static void body_notify(struct wasi_run *run, struct engine_fiber *fiber) {
    net_source_notify(((struct p1 *)run->state)->cgi->source, fiber ? wake_fiber : NULL, fiber);
}

static enum abi_trap body_read(struct wasi_run *run, void *to, size_t n, size_t *got, int *error) {
    struct cgi *cgi = ((struct p1 *)run->state)->cgi;
    *got = MIN(n, cgi->collected.n - cgi->collected_read);
    if (*got) {
        memcpy(to, cgi->collected.p + cgi->collected_read, *got);
        cgi->collected_read += *got;
        return ABI_TRAP_NONE;
    }
    enum net_flow flow;
    while ((flow = net_source_read(cgi->source, to, n, got)) == NET_FLOW_WAIT)
        if (!wait_for_body(run, cgi->source)) return ABI_TRAP_INTERRUPTED;
    if (flow == NET_FLOW_FAILED) *error = EIO;
    return ABI_TRAP_NONE;
}

/* ---- standard output: the response ---- */

/* Sends all of bytes, waiting for the client as needed. */
static enum abi_trap send_body(struct wasi_run *run, struct cgi *cgi, str bytes, int *error) {
    while (bytes.n) {
        size_t room = net_sink_room(cgi->sink);
        if (!room && net_sink_error(cgi->sink) == NET_OK) {
            net_sink_notify(cgi->sink, wake_fiber, engine_fiber_current(run->app->engine));
            bool alive = engine_park(run->app->engine);
            net_sink_notify(cgi->sink, NULL, NULL);
            if (!alive) return ABI_TRAP_INTERRUPTED;
            continue;
        }
        str piece = str_sub(bytes, 0, MAX(room, (size_t)1));
        err e = net_sink_write(cgi->sink, piece);
        if (e == ERR_INVALID) wasi_run_end(run, WASI_END_BAD_RESPONSE, "%s", "it wrote more than its Content-Length");
        if (e == ERR_CLOSED) wasi_run_end(run, WASI_END_CLIENT_GONE, "%s", "");
        if (e != ERR_OK && e != ERR_AGAIN) {
            *error = EPIPE;
            return ABI_TRAP_NONE;
        }
        if (e == ERR_OK) bytes = str_sub(bytes, piece.n, bytes.n);
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap response_write(struct wasi_run *run, str bytes, int *error) {
    struct cgi *cgi = ((struct p1 *)run->state)->cgi;
    if (run->ended) {
        *error = EPIPE;
        return ABI_TRAP_NONE;
    }
    if (!cgi->responded) {
        size_t used = bytes.n;
        const char *why = NULL;
        enum cgi_result r = cgi_head_feed(&cgi->head, run->mem, bytes, &used, &why);
        if (r == CGI_MORE) return ABI_TRAP_NONE;
        err e = r == CGI_DONE ? net_exchange_respond(run->config.exchange, cgi->head.status, cgi->head.fields.p, cgi->head.fields.n) : ERR_INVALID;
        if (r == CGI_DONE && e != ERR_OK) why = e == ERR_CLOSED ? NULL : "its header cannot be sent";
        if (e != ERR_OK) {
            wasi_run_end(run, why ? WASI_END_BAD_RESPONSE : WASI_END_CLIENT_GONE, "%s", why ? why : "");
            *error = EPIPE;
            return ABI_TRAP_NONE;
        }
        cgi->responded = true;
        bytes = str_sub(bytes, used, bytes.n);
    }
    return send_body(run, cgi, bytes, error);
}

const struct p1_stdio p1_stdio_cgi = {body_read, response_write, body_readable, body_notify};

void cgi_end(struct p1 *p, int status) {
    struct wasi_run *run = p->run;
    run->outcome.exit_status = status;
    if (!p->cgi->responded) {
        if (status) wasi_run_end(run, WASI_END_EXIT, "%s", "it exited before its header was whole");
        else if (p->cgi->head.bytes.n) wasi_run_end(run, WASI_END_BAD_RESPONSE, "%s", "it ended inside its header");
        else wasi_run_end(run, WASI_END_NO_RESPONSE, "%s", "");
        return;
    }
    err e = net_sink_finish(p->cgi->sink, NULL, 0);
    if (e == ERR_INVALID) wasi_run_end(run, WASI_END_BAD_RESPONSE, "%s", "it wrote less than its Content-Length");
    else wasi_run_end(run, e == ERR_OK ? WASI_END_OK : WASI_END_CLIENT_GONE, "%s", "");
}
