/* ask: see ask.h. */
#include "node/command/ask.h"
#include "net/client.h"
#include "node/state.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ANSWER_BYTES_MAX = 64 << 20, PIECE_BYTES = 64 << 10, WAIT_MS = 120'000 };
static const struct json_limits limits = {.bytes_max = ANSWER_BYTES_MAX, .depth_max = 32, .values_max = 4 << 20};

struct ask {
    arena *mem;
    struct net_loop *loop;
    struct net_client *client;
    str scheme, authority, shown; /* shown: as a person has named it */
    const char *token;
    str folder; /* of the socket; empty: by URL */
    struct diag open_d;
    err open_e;
};

/* ---- opening ---- */

static int open_socket(void *arg) {
    struct ask *a = arg;
    int fd = -1;
    a->open_d = (struct diag)DIAG_INIT;
    a->open_e = node_state_connect(a->folder, &fd, &a->open_d);
    errno = ECONNREFUSED;
    return fd;
}

static err parse_url(struct ask *a, const char *url, struct diag *d) {
    str rest = str_c(url);
    a->shown = rest;
    a->scheme = STR("http");
    if (str_starts(rest, STR("https://"))) a->scheme = STR("https");
    else if (!str_starts(rest, STR("http://"))) {
        if (memmem(rest.p, rest.n, "://", 3))
            return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--to %s: that is to be http://… or https://…", url);
        a->authority = str_sub(rest, 0, str_find(rest, '/'));
        return ERR_OK;
    }
    rest = str_sub(rest, a->scheme.n + 3, rest.n);
    a->authority = str_sub(rest, 0, str_find(rest, '/'));
    if (a->authority.n) return ERR_OK;
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--to %s: there is no host in it; for instance --to http://127.0.0.1:8089", url);
}

/* A token in plain text is for this machine alone. */
static err check_secrecy(const struct ask *a, struct diag *d) {
    size_t end = a->authority.p[0] == '[' ? str_find(a->authority, ']') + 1 : str_find(a->authority, ':');
    str host = str_sub(a->authority, 0, end);
    struct net_addr address;
    bool here = str_eq_nocase(host, STR("localhost")) ||
                (net_addr_parse(host, &address) && net_addr_class(&address) == NET_ADDR_LOOPBACK);
    if (here || str_eqc(a->scheme, "https")) return ERR_OK;
    return diag_set(d, ERR_DENIED, DIAG_NOWHERE,
                    "--to " STR_FMT
                    ": the token would go over the network in plain text; use https://, or an SSH tunnel to the node's 127.0.0.1",
                    STR_ARG(a->shown));
}

err node_ask_open(const struct node_where *where, struct ask **out, struct diag *d) {
    arena *mem = arena_new(0);
    struct ask *a = arena_make(mem, struct ask);
    const char *token = where->token ? where->token : getenv("ORLO_TOKEN");
    *a = (struct ask){.mem = mem, .token = token && token[0] ? token : NULL, .scheme = STR("http"), .authority = STR("node")};
    err e = ERR_OK;
    if (where->url) e = parse_url(a, where->url, d);
    else a->folder = a->shown = arena_str(mem, node_state_folder(mem, where->state_dir));
    if (e == ERR_OK && where->url && !a->token)
        e = diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                     "--to needs a token: --token TOKEN, or $ORLO_TOKEN; orlo tokens create makes one, where the node runs");
    if (e == ERR_OK && where->url) e = check_secrecy(a, d);
    a->loop = net_loop_new();
    struct net_client_config config = {.loop = a->loop, .open = where->url ? NULL : open_socket, .open_arg = a};
    const char *cert = getenv("ORLO_CLIENT_CERT"), *key = getenv("ORLO_CLIENT_KEY"), *ca = getenv("ORLO_CA");
    if (cert && *cert) config.cert_file = cert, config.key_file = key && *key ? key : cert;
    if (ca) config.ca_file = str_c(ca);
    if (e == ERR_OK) e = net_client_new(&config, &a->client, d);
    *out = a;
    if (e == ERR_OK) return e;
    node_ask_close(a);
    *out = NULL;
    return e;
}

void node_ask_close(struct ask *a) {
    if (!a) return;
    net_client_free(a->client);
    net_loop_free(a->loop);
    arena_free(a->mem);
}

bool node_ask_is_here(const struct ask *a) { return a->folder.n; }

/* ---- paths ---- */

static bool is_plain(uint8_t c) {
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '_' || c == '.' || c == '~';
}

/* Only its %s are encoded. */
str node_ask_path(arena *out, const char *form, ...) {
    struct buf b = {0};
    va_list ap;
    va_start(ap, form);
    for (const char *p = form; *p; p++) {
        if (p[0] == '%' && p[1] == 's') {
            for (const char *s = va_arg(ap, const char *); *s; s++)
                if (is_plain((uint8_t)*s)) buf_putc(&b, (uint8_t)*s);
                else buf_printf(&b, "%%%02X", (uint8_t)*s);
            p++;
        } else if (p[0] == '%' && p[1] == 'u') {
            buf_printf(&b, "%u", va_arg(ap, unsigned));
            p++;
        } else {
            buf_putc(&b, (uint8_t)*p);
        }
    }
    va_end(ap);
    str path = arena_str(out, buf_str(&b));
    buf_free(&b);
    return path;
}

/* ---- one exchange ---- */

struct talk {
    struct ask *a;
    struct net_fetch *f;
    struct buf body;
    bool ended;
    enum net_error error;
    /* an upload: */
    int fd;
    uint64_t at, to;
    bool sending, cut; /* cut: the file became shorter */
    void (*moved)(void *arg, uint64_t offset);
    /* lines: */
    bool (*line)(void *arg, str text);
    void *arg;
    size_t line_from;
    bool enough;
};

static void end(struct talk *t, enum net_error e) {
    if (t->ended) return;
    t->ended = true;
    t->error = e;
    net_loop_stop(t->a->loop);
}

static void take_lines(struct talk *t) {
    const struct net_response *r = net_fetch_response(t->f);
    const uint8_t *newline;
    if (!t->line || !r || r->status / 100 != 2) return;
    while (!t->enough && (newline = memchr(t->body.p + t->line_from, '\n', t->body.n - t->line_from))) {
        size_t n = (size_t)(newline - t->body.p) - t->line_from;
        t->enough = !t->line(t->arg, str_sub(buf_str(&t->body), t->line_from, n));
        t->line_from += n + 1;
    }
    buf_drop(&t->body, t->line_from);
    t->line_from = 0;
    if (t->enough) end(t, NET_OK);
}

static void on_read(void *arg) {
    struct talk *t = arg;
    str data;
    enum net_flow flow;
    while (!t->ended && (flow = net_source_peek(net_fetch_source(t->f), &data)) != NET_FLOW_WAIT) {
        if (flow != NET_FLOW_DATA) {
            end(t, flow == NET_FLOW_END ? NET_OK : net_fetch_error(t->f) ? net_fetch_error(t->f) : NET_CONNECTION_TERMINATED);
            return;
        }
        if (t->body.n + data.n > ANSWER_BYTES_MAX) {
            end(t, NET_HTTP_RESPONSE_BODY_SIZE);
            return;
        }
        buf_puts(&t->body, data);
        net_source_consume(net_fetch_source(t->f), data.n);
        take_lines(t);
    }
}

static void on_change(void *arg) {
    struct talk *t = arg;
    if (net_fetch_response(t->f)) on_read(t);
    else if (net_fetch_error(t->f)) end(t, net_fetch_error(t->f));
}

static void on_write(void *arg) {
    struct talk *t = arg;
    struct net_sink *sink = net_fetch_sink(t->f);
    static uint8_t piece[PIECE_BYTES];
    while (t->sending && t->at < t->to) {
        size_t room = MIN(MIN(net_sink_room(sink), sizeof piece), t->to - t->at);
        if (!room) return;
        ssize_t n = pread(t->fd, piece, room, (off_t)t->at);
        t->cut = n <= 0;
        if (t->cut || net_sink_write(sink, (str){piece, (size_t)n}) != ERR_OK) {
            t->sending = false;
            if (t->cut) net_sink_abort(sink, NET_HTTP_REQUEST_BODY_SIZE);
            return;
        }
        t->at += (uint64_t)n;
        if (t->moved) t->moved(t->arg, t->at);
    }
    if (!t->sending) return;
    t->sending = false;
    if (net_sink_finish(sink, NULL, 0) != ERR_OK) {} /* the answer says why */
}

/* Until it has ended. The answer is as far as it came. */
static void run(struct talk *t, const struct net_fetch_request *rq) {
    enum net_error e = net_fetch_new(t->a->client, rq, on_change, t, &t->f);
    if (e != NET_OK) {
        t->error = e;
        return;
    }
    net_source_notify(net_fetch_source(t->f), on_read, t);
    if (t->sending) {
        net_sink_notify(net_fetch_sink(t->f), on_write, t);
        on_write(t);
    }

    while (!t->ended) net_loop_run(t->a->loop);
}

/* ---- what it means ---- */

err node_ask_code(str code, uint16_t status) {
    for (err e = 1; e < ERR_COUNT; e++) {
        if (str_eq_nocase(code, str_c(err_name(e)))) return e;
    }
    return status == 401 || status == 403   ? ERR_DENIED
           : status == 404                  ? ERR_NOT_FOUND
           : status == 409                  ? ERR_BUSY
           : status == 413                  ? ERR_LIMIT
           : status == 429 || status >= 500 ? ERR_AGAIN
                                            : ERR_USAGE;
}

static err explain(const struct ask *a, const struct answer *to, struct diag *d) {
    const struct json *problem = json_get(&to->body, "error");
    str message = json_str(json_get(problem, "message")), key = json_str(json_get(problem, "key"));
    int64_t line = json_i64(json_get(problem, "line"));
    char where[160] = "";
    if (!problem && to->status == 404)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                        "what answers at " STR_FMT " is no node of Orlo's, or an older one that cannot do this",
                        STR_ARG(a->shown));
    if (!problem)
        return diag_set(d, ERR_NETWORK, DIAG_NOWHERE, "what answers at " STR_FMT " is no node of Orlo's: its status is %u",
                        STR_ARG(a->shown), to->status);
    bool said = key.n && memmem(message.p, message.n, key.p, key.n);
    if (line) snprintf(where, sizeof where, "line %lld: ", (long long)line);
    if (key.n && !said)
        snprintf(where + strlen(where), sizeof where - strlen(where), STR_FMT ": ", STR_ARG(str_sub(key, 0, 100)));
    char tamed[600];
    snprintf(tamed, sizeof tamed, STR_FMT, STR_ARG(message));
    text_tame(tamed, strlen(tamed));
    return diag_set(d, node_ask_code(json_str(json_get(problem, "code")), to->status), DIAG_NOWHERE, "%s%s", where, tamed);
}

static err unreachable(const struct ask *a, const struct talk *t, struct diag *d) {
    str text = t->f ? net_fetch_error_text(t->f) : str_c(net_error_text(t->error));
    if (node_ask_is_here(a) && a->open_e != ERR_OK) return diag_set(d, a->open_e, DIAG_NOWHERE, "%s", a->open_d.text);
    if (t->error == NET_CONNECTION_REFUSED)
        return diag_set(d, ERR_NETWORK, DIAG_NOWHERE,
                        "nobody answers at " STR_FMT ": does the node run, and does it listen there (orlo node --admin)?",
                        STR_ARG(a->shown));
    if (t->error == NET_CONNECTION_TERMINATED || t->error == NET_HTTP_RESPONSE_INCOMPLETE)
        return diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "the node ended before it had answered");
    return diag_set(d, ERR_NETWORK, DIAG_NOWHERE, STR_FMT " cannot be asked: " STR_FMT, STR_ARG(a->shown), STR_ARG(text));
}

static void read_fields(const struct net_response *r, struct answer *to, bool *json) {
    for (uint32_t i = 0; i < r->fields_count; i++) {
        str name = r->fields[i].name, value = r->fields[i].value;
        if (str_eq_nocase(name, STR("content-type"))) *json = str_starts(value, STR("application/json"));
        if (str_eq_nocase(name, STR("upload-complete"))) to->upload_complete = str_eqc(value, "?1");
        if (str_eq_nocase(name, STR("upload-offset")) && !str_to_u64(value, &to->upload_offset)) to->upload_offset = 0;
    }
}

static err conclude(struct talk *t, arena *out, struct answer *to, struct diag *d) {
    const struct net_response *r = t->f ? net_fetch_response(t->f) : NULL;
    struct diag own = DIAG_INIT;
    bool json = false;
    *to = (struct answer){.status = r ? r->status : 0};
    if (t->cut) return diag_set(d, ERR_IO, DIAG_NOWHERE, "a file became shorter while it was uploaded");
    if (!r || (t->error != NET_OK && !t->line)) return unreachable(t->a, t, d);
    read_fields(r, to, &json);
    if (!t->line || r->status / 100 != 2) to->text = arena_str(out, buf_str(&t->body));
    if (json && to->text.n && json_read(out, to->text, &limits, &to->body, &own) != ERR_OK)
        return diag_set(d, ERR_NETWORK, DIAG_NOWHERE, "what answers at " STR_FMT " is no node of Orlo's: %s",
                        STR_ARG(t->a->shown), own.text);
    if (r->status / 100 != 2) return explain(t->a, to, d);
    if (t->line && t->error != NET_OK) return unreachable(t->a, t, d);
    return ERR_OK;
}

static void forget(struct talk *t) {
    net_fetch_free(t->f);
    buf_free(&t->body);
}

/* ---- calls ---- */

struct fields {
    struct net_field of[5];
    uint32_t n;
};

static void add_token(const struct ask *a, arena *scratch, struct fields *f) {
    f->of[f->n++] = (struct net_field){STR("user-agent"), STR("orlo/" ORLO_VERSION)};
    if (a->token && !node_ask_is_here(a))
        f->of[f->n++] = (struct net_field){STR("authorization"), arena_fmt(scratch, "Bearer %s", a->token)};
}

static struct net_fetch_request request(const struct ask *a, arena *scratch, const char *method, str path,
                                        const struct fields *f) {
    return (struct net_fetch_request){.method = str_c(method),
                                      .scheme = a->scheme,
                                      .authority = a->authority,
                                      .path = arena_fmt(scratch, "/_orlo/v1" STR_FMT, STR_ARG(path)),
                                      .fields = f->of,
                                      .fields_count = f->n,
                                      .connect_ms_max = 10'000,
                                      .first_byte_ms_max = WAIT_MS,
                                      .between_bytes_ms_max = WAIT_MS};
}

/* A body of what was written: as a file, so that there is one way of sending. */
static int file_of(str bytes) {
    int fd = memfd_create("orlo-body", MFD_CLOEXEC);
    ENSURE(fd >= 0);
    for (size_t at = 0; at < bytes.n;) {
        ssize_t n = write(fd, bytes.p + at, bytes.n - at);
        ENSURE(n > 0);
        at += (size_t)n;
    }
    return fd;
}

err node_ask(struct ask *a, arena *out, const struct ask_call *call, struct answer *to, struct diag *d) {
    struct talk t = {.a = a, .fd = -1};
    struct fields f = {0};
    add_token(a, out, &f);
    if (call->w) {
        ENSURE(json_done(call->w));
        str body = buf_str(call->w->b);
        t.fd = file_of(body), t.to = body.n, t.sending = true;
        f.of[f.n++] = (struct net_field){STR("content-type"), STR("application/json")};
        f.of[f.n++] = (struct net_field){STR("content-length"), arena_fmt(out, "%zu", body.n)};
    }
    struct net_fetch_request rq = request(a, out, call->method, call->path, &f);
    rq.has_body = call->w;
    run(&t, &rq);
    err e = conclude(&t, out, to, d);
    forget(&t);
    if (t.fd >= 0) close(t.fd);
    return e;
}

err node_ask_upload(struct ask *a, arena *out, str path, int fd, uint64_t from, uint64_t total,
                    void (*moved)(void *arg, uint64_t offset), void *arg, struct answer *to, struct diag *d) {
    struct talk t = {.a = a, .fd = fd, .at = from, .to = total, .sending = true, .moved = moved, .arg = arg};
    struct fields f = {0};
    add_token(a, out, &f);
    f.of[f.n++] = (struct net_field){STR("content-type"), STR("application/octet-stream")};
    f.of[f.n++] = (struct net_field){STR("content-length"), arena_fmt(out, "%llu", (unsigned long long)(total - from))};
    if (from)
        f.of[f.n++] =
            (struct net_field){STR("content-range"), arena_fmt(out, "bytes %llu-%llu/%llu", (unsigned long long)from,
                                                               (unsigned long long)total - 1, (unsigned long long)total)};
    struct net_fetch_request rq = request(a, out, "PUT", path, &f);
    rq.has_body = true;
    run(&t, &rq);
    err e = conclude(&t, out, to, d);
    forget(&t);
    return e;
}

err node_ask_lines(struct ask *a, arena *out, str path, bool (*line)(void *arg, str text), void *arg, struct diag *d) {
    struct talk t = {.a = a, .fd = -1, .line = line, .arg = arg};
    struct fields f = {0};
    struct answer to;
    add_token(a, out, &f);
    struct net_fetch_request rq = request(a, out, "GET", path, &f);
    rq.between_bytes_ms_max = NET_NO_LIMIT;
    run(&t, &rq);
    err e = t.enough ? ERR_OK : conclude(&t, out, &to, d);
    forget(&t);
    return e;
}

err node_ask_once(const struct node_where *where, arena *mem, const char *method, str path, const struct json_writer *w,
                  struct answer *to, struct diag *d) {
    struct ask *a;
    TRY(node_ask_open(where, &a, d));
    err e = node_ask(a, mem, &(struct ask_call){.method = method, .path = path, .w = w}, to, d);
    node_ask_close(a);
    return e;
}
