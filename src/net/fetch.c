/* fetch: one outgoing request. What the owner sees is source, sink and response; curl's callbacks fill them.
 *
 *   NEW -> CONNECTING -> SENT (connected, the request goes out) -> HEAD (the response's head is there) -> DONE
 *
 * 1. The owner is told only from the job.
 * 2. Both bodies are buffered up to a fixed size; beyond, curl is paused.
 */
#include "net/client_int.h"
#include "net/http1_int.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void later(struct net_fetch *f) { net_job_queue(f->client->loop, &f->job); }

static struct net_fetch *fetch_of_source(const struct net_source *s) {
    return container_of((struct net_source *)(uintptr_t)s, struct net_fetch, source);
}
static struct net_fetch *fetch_of_sink(const struct net_sink *s) {
    return container_of((struct net_sink *)(uintptr_t)s, struct net_fetch, sink);
}

/* ---- the end ---- */

static void finish(struct net_fetch *f, enum net_error e, const char *text) {
    if (f->phase == NET_FETCH_DONE) return;
    f->phase = NET_FETCH_DONE;
    f->deadline_ns = 0;
    f->error = e;
    f->send_closed = true;
    if (e != NET_OK) {
        if (text) snprintf(f->error_text, sizeof f->error_text, "%s", text);
        f->source.error = e;
        if (!f->send_finished || net_queue_left(&f->send)) f->sink.error = e;
    }
    f->changed = true;
    if (f->counted) f->rq.quota->used--;
    f->counted = false;
    later(f);
}

void net_fetch_fail(struct net_fetch *f, enum net_error e, const char *text) {
    if (f->phase == NET_FETCH_DONE) return;
    net_client_detach(f);
    finish(f, e, text);
}

static enum net_error connect_error(struct net_fetch *f) {
    long why = 0;
    if (f->prohibited && !f->tried) return NET_DESTINATION_IP_PROHIBITED;
    curl_easy_getinfo(f->easy, CURLINFO_OS_ERRNO, &why);
    switch (why) {
    case ECONNREFUSED: return NET_CONNECTION_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH: return NET_DESTINATION_IP_UNROUTABLE;
    case ETIMEDOUT: return NET_CONNECTION_TIMEOUT;
    default: return NET_DESTINATION_UNAVAILABLE;
    }
}

static enum net_error map_error(struct net_fetch *f, CURLcode result) {
    bool connected = f->phase >= NET_FETCH_SENT;
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST: return NET_DNS_ERROR;
    case CURLE_COULDNT_CONNECT: return connect_error(f);
    case CURLE_OPERATION_TIMEDOUT: return connected ? NET_CONNECTION_READ_TIMEOUT : NET_CONNECTION_TIMEOUT;
    case CURLE_SSL_CONNECT_ERROR: return strstr(f->error_text, "alert") ? NET_TLS_ALERT_RECEIVED : NET_TLS_PROTOCOL_ERROR;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CERTPROBLEM: return NET_TLS_CERTIFICATE_ERROR;
    case CURLE_SSL_CACERT_BADFILE: return NET_CONFIGURATION_ERROR;
    case CURLE_SSL_CIPHER: return NET_TLS_PROTOCOL_ERROR;
    case CURLE_URL_MALFORMAT: return NET_HTTP_REQUEST_URI_INVALID;
    case CURLE_PARTIAL_FILE: return NET_HTTP_RESPONSE_INCOMPLETE;
    case CURLE_RECV_ERROR: return strstr(f->error_text, "chunk") ? NET_HTTP_RESPONSE_TRANSFER_CODING : NET_CONNECTION_TERMINATED;
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_GOT_NOTHING: return NET_CONNECTION_TERMINATED;
    case CURLE_BAD_CONTENT_ENCODING: return strstr(f->error_text, "ransfer") ? NET_HTTP_RESPONSE_TRANSFER_CODING : NET_HTTP_RESPONSE_CONTENT_CODING;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_UNSUPPORTED_PROTOCOL: return NET_HTTP_PROTOCOL_ERROR;
    default: return NET_INTERNAL_ERROR;
    }
}

void net_fetch_ended(struct net_fetch *f, CURLcode result) {
    enum net_error e = f->error;
    if (!e && result != CURLE_OK) {
        e = map_error(f, result);
        if (!f->error_text[0]) snprintf(f->error_text, sizeof f->error_text, "%s", curl_easy_strerror(result));
    }
    if (f->stop_text) snprintf(f->error_text, sizeof f->error_text, "%s", f->stop_text);
    if (!e && f->phase != NET_FETCH_HEAD) e = NET_CONNECTION_TERMINATED;
    net_client_detach(f);
    finish(f, e, NULL);
}

/* ---- what arrives ---- */

static size_t stop(struct net_fetch *f, enum net_error e, const char *text) {
    f->error = e;
    f->stop_text = text; /* curl will write its own into error_text */
    return 0;            /* curl ends the transfer */
}

static void status_line(struct net_fetch *f, str line) {
    str rest;
    uint64_t status = 0;
    str_cut(line, ' ', &line, &rest);
    str_to_u64(str_sub(rest, 0, 3), &status);
    f->response = (struct net_response){.status = (uint16_t)status};
    f->fields.n = 0;
    f->head_open = true;
}

static void head_complete(struct net_fetch *f) {
    f->head_open = false;
    if (f->response.status < 200) return; /* another head follows */
    f->response.fields = f->fields.p;
    f->response.fields_count = f->fields.n;
    f->phase = NET_FETCH_HEAD;
    f->has_head = true;
    f->deadline_ns = 0;
    f->changed = true;
    later(f);
}

/* One line with its end: of a head, or of the trailers once a head is complete. */
static size_t on_header(char *p, size_t size, size_t count, void *arg) {
    struct net_fetch *f = arg;
    size_t n = size * count;
    str line = {(uint8_t *)p, n};
    uint32_t max = f->rq.head_bytes_max ? f->rq.head_bytes_max : 64 << 10;
    bool trailer = f->phase == NET_FETCH_HEAD;
    f->head_bytes += (uint32_t)MIN(n, (size_t)UINT32_MAX / 2);
    if (f->head_bytes > max)
        return stop(f, trailer ? NET_HTTP_RESPONSE_TRAILER_SECTION_SIZE : NET_HTTP_RESPONSE_HEADER_SECTION_SIZE, "the response's header section is too large");
    while (line.n && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r')) line.n--;
    if (!trailer && !f->head_open) {
        status_line(f, line);
        return n;
    }
    if (!line.n) {
        if (!trailer) head_complete(f);
        return n;
    }
    struct net_field field;
    bool fold = line.p[0] == ' ' || line.p[0] == '\t';
    if (fold || !str_cut(line, ':', &field.name, &field.value) || !net_field_name_ok(field.name))
        return stop(f, NET_HTTP_PROTOCOL_ERROR, fold ? "the response folds a header field" : "the response has a malformed header field");
    field.value = str_trim(field.value);
    if (!net_field_value_ok(field.value)) return stop(f, NET_HTTP_PROTOCOL_ERROR, "the response has a control character in a header field");
    field.name = arena_str(f->mem, field.name);
    field.value = arena_str(f->mem, field.value);
    if (trailer) vec_push(f->mem, &f->trailers, field);
    else vec_push(f->mem, &f->fields, field);
    return n;
}

static size_t on_body(char *p, size_t size, size_t count, void *arg) {
    struct net_fetch *f = arg;
    size_t n = size * count;
    if (net_queue_left(&f->body) >= NET_FETCH_BODY_BYTES) {
        f->recv_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    if (f->body.off) {
        buf_drop(&f->body.b, f->body.off);
        f->body.off = 0;
    }
    buf_put(&f->body.b, p, n);
    f->deadline_ns = 0;
    later(f);
    return n;
}

static enum net_flow source_peek(struct net_source *s, str *data) {
    struct net_fetch *f = fetch_of_source(s);
    size_t n = net_queue_left(&f->body);
    if (n) {
        *data = (str){f->body.b.p + f->body.off, n};
        return NET_FLOW_DATA;
    }
    if (f->phase == NET_FETCH_DONE) return f->error ? NET_FLOW_FAILED : NET_FLOW_END;
    if (f->body.b.p) buf_free(&f->body.b);
    f->body.off = 0;
    if (f->phase == NET_FETCH_HEAD && !f->deadline_ns)
        f->deadline_ns = net_client_deadline(f->client, f->rq.between_bytes_ms_max, 60'000);
    return NET_FLOW_WAIT;
}

static void source_consume(struct net_source *s, size_t n) {
    struct net_fetch *f = fetch_of_source(s);
    ENSURE(n <= net_queue_left(&f->body));
    f->body.off += n;
    if (f->recv_paused && net_queue_left(&f->body) <= NET_FETCH_BODY_BYTES / 2) later(f);
}

static const struct net_field *source_trailers(const struct net_source *s, uint32_t *count) {
    struct net_fetch *f = fetch_of_source(s);
    *count = f->trailers.n;
    return f->trailers.p;
}

static const struct net_source_ops source_ops = {source_peek, source_consume, source_trailers};

/* ---- what leaves ---- */

static size_t on_read(char *p, size_t size, size_t count, void *arg) {
    struct net_fetch *f = arg;
    size_t n = MIN(size * count, net_queue_left(&f->send));
    if (!n) {
        if (f->send_finished) return 0;
        f->send_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    memcpy(p, f->send.b.p + f->send.off, n);
    f->send.off += n;
    if (!net_queue_left(&f->send)) f->send.b.n = f->send.off = 0;
    if (f->phase == NET_FETCH_SENT) f->deadline_ns = net_client_deadline(f->client, f->rq.first_byte_ms_max, 60'000);
    f->told_sink = false;
    later(f);
    return n;
}

static int on_trailers(struct curl_slist **list, void *arg) {
    struct net_fetch *f = arg;
    for (uint32_t i = 0; i < f->send_trailers_count; i++) {
        const struct net_field *t = &f->send_trailers[i];
        str line = arena_fmt(f->mem, STR_FMT ": " STR_FMT, STR_ARG(t->name), STR_ARG(t->value));
        struct curl_slist *more = curl_slist_append(*list, (const char *)line.p);
        ENSURE(more);
        *list = more;
    }
    return CURL_TRAILERFUNC_OK;
}

static size_t sink_room(const struct net_sink *s) {
    struct net_fetch *f = fetch_of_sink(s);
    size_t n = net_queue_left(&f->send);
    if (!f->rq.has_body || f->send_finished || f->send_closed) return 0;
    return n < NET_FETCH_SEND_BYTES ? NET_FETCH_SEND_BYTES - n : 0;
}

static err sink_write(struct net_sink *s, str data) {
    struct net_fetch *f = fetch_of_sink(s);
    if (!f->rq.has_body || f->send_finished || f->send_closed) return ERR_CLOSED;
    if (!data.n) return ERR_OK;
    if (data.n > sink_room(s)) return ERR_AGAIN;
    if (f->send_left != UINT64_MAX) {
        if (data.n > f->send_left) return ERR_INVALID;
        f->send_left -= data.n;
    }
    if (f->send.off) {
        buf_drop(&f->send.b, f->send.off);
        f->send.off = 0;
    }
    buf_put(&f->send.b, data.p, data.n);
    later(f);
    return ERR_OK;
}

static bool sink_flushed(const struct net_sink *s) {
    struct net_fetch *f = fetch_of_sink(s);
    return !net_queue_left(&f->send) || f->send_closed;
}

static struct net_field *copy_fields(arena *out, const struct net_field *fields, uint32_t count) {
    struct net_field *copy = arena_array(out, struct net_field, MAX(count, 1u));
    for (uint32_t i = 0; i < count; i++) copy[i] = (struct net_field){arena_str(out, fields[i].name), arena_str(out, fields[i].value)};
    return copy;
}

static bool fields_ok(const struct net_field *fields, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!net_field_name_ok(fields[i].name) || !net_field_value_ok(fields[i].value)) return false;
    return true;
}

static void sink_abort(struct net_sink *s, enum net_error e) {
    struct net_fetch *f = fetch_of_sink(s);
    if (s->error || f->send_finished || f->send_closed) return;
    s->error = f->abort = e;
    f->send_closed = true;
    later(f);
}

static err sink_finish(struct net_sink *s, const struct net_field *trailers, uint32_t count) {
    struct net_fetch *f = fetch_of_sink(s);
    if (!f->rq.has_body || f->send_finished || f->send_closed) return ERR_CLOSED;
    if (!fields_ok(trailers, count)) return ERR_INVALID;
    if (f->send_left != UINT64_MAX && f->send_left) {
        sink_abort(s, NET_HTTP_REQUEST_BODY_SIZE);
        return ERR_INVALID;
    }
    f->send_finished = true;
    f->send_trailers = copy_fields(f->mem, trailers, count);
    f->send_trailers_count = count;
    later(f);
    return ERR_OK;
}

static const struct net_sink_ops sink_ops = {sink_room, sink_write, sink_flushed, sink_finish, sink_abort};

/* ---- connecting ---- */

static bool may_connect(struct net_fetch *f, const struct net_addr *a) {
    if (!f->rq.allow_address) return true;
    if (!f->freed && f->rq.allow_address(f->rq.allow_address_arg, f->rq.authority, a)) return true;
    f->prohibited = true;
    f->prohibited_address = *a;
    return false;
}

static curl_socket_t on_open(void *arg, curlsocktype purpose, struct curl_sockaddr *a) {
    struct net_fetch *f = arg;
    if (purpose != CURLSOCKTYPE_IPCXN) return CURL_SOCKET_BAD;
    struct net_addr to;
    net_addr_of(&a->addr, &to);
    if (!may_connect(f, &to)) return CURL_SOCKET_BAD;
    f->tried = true;
    return socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
}

/* Connected: a connection that is used again passes here only, so its address is asked about here too. */
static int on_connected(void *arg, char *ip, char *local_ip, int port, int local_port) {
    struct net_fetch *f = arg;
    struct net_addr to;
    (void)local_ip, (void)local_port;
    if (!net_addr_parse(str_c(ip), &to)) to = (struct net_addr){0}; /* which nothing grants */
    to.port = (uint16_t)port;
    if (!may_connect(f, &to)) {
        stop(f, NET_DESTINATION_IP_PROHIBITED, "the destination's address is not granted");
        return CURL_PREREQFUNC_ABORT;
    }
    f->phase = NET_FETCH_SENT;
    f->deadline_ns = net_client_deadline(f->client, f->rq.first_byte_ms_max, 60'000);
    return CURL_PREREQFUNC_OK;
}

/* ---- setting up ---- */

static bool has_field(const struct net_fetch_request *rq, str name) {
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, name)) return true;
    return false;
}

static void add_header(struct net_fetch *f, str line) {
    struct curl_slist *more = curl_slist_append(f->headers, (const char *)line.p);
    ENSURE(more);
    f->headers = more;
}

static void add_headers(struct net_fetch *f) {
    const struct net_fetch_request *rq = &f->rq;
    static const str own[] = {STR_INIT("Accept"), STR_INIT("User-Agent"), STR_INIT("Expect"), STR_INIT("Content-Type")};
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        const struct net_field *h = &rq->fields[i];
        if (http1_field_hop(h->name)) continue;
        /* curl writes "Name:" for "Name;", and drops "Name:". */
        if (str_trim(h->value).n) add_header(f, arena_fmt(f->mem, STR_FMT ": " STR_FMT, STR_ARG(h->name), STR_ARG(h->value)));
        else add_header(f, arena_fmt(f->mem, STR_FMT ";", STR_ARG(h->name)));
    }
    for (size_t i = 0; i < ARRAY_COUNT(own); i++)
        if (!has_field(rq, own[i])) add_header(f, arena_fmt(f->mem, STR_FMT ":", STR_ARG(own[i])));
    bool expects = str_eqc(rq->method, "POST") || str_eqc(rq->method, "PUT") || str_eqc(rq->method, "PATCH");
    if (!rq->has_body && expects && !has_field(rq, STR("Content-Length"))) add_header(f, STR("Content-Length: 0"));
}

static void set_method(struct net_fetch *f) {
    const char *method = (const char *)f->rq.method.p;
    CURL *e = f->easy;
    if (str_eqc(f->rq.method, "HEAD")) {
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        return;
    }
    curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    if (f->rq.has_body) {
        curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
        uint64_t whole = f->send_left + net_queue_left(&f->send); /* some may have been written by now */
        curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, f->send_left == UINT64_MAX ? (curl_off_t)-1 : (curl_off_t)whole);
        curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(e, CURLOPT_READDATA, f);
        curl_easy_setopt(e, CURLOPT_TRAILERFUNCTION, on_trailers);
        curl_easy_setopt(e, CURLOPT_TRAILERDATA, f);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, method);
}

static void set_options(struct net_fetch *f) {
    CURL *e = f->easy;
    const struct net_client *c = f->client;
    uint32_t connect_ms = f->rq.connect_ms_max ? f->rq.connect_ms_max : 30'000;
    curl_easy_setopt(e, CURLOPT_PRIVATE, f);
    curl_easy_setopt(e, CURLOPT_URL, (const char *)arena_fmt(f->mem, STR_FMT "://" STR_FMT "/", STR_ARG(f->rq.scheme), STR_ARG(f->rq.authority)).p);
    curl_easy_setopt(e, CURLOPT_REQUEST_TARGET, f->rq.path.n ? (const char *)f->rq.path.p : "/");
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(e, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    curl_easy_setopt(e, CURLOPT_EXPECT_100_TIMEOUT_MS, 1000L);
    /* Ours ends earlier and knows why; this one is the net below it. */
    if (connect_ms < 86'400'000) curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms + 1000);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, f->error_text);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, f);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, f);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, f);
    if (c->ca_file[0]) curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
}

static void start(struct net_fetch *f) {
    struct net_quota *q = f->rq.quota;
    if (q && q->max && q->used >= q->max) {
        finish(f, NET_CONNECTION_LIMIT_REACHED, "too many requests under way");
        return;
    }
    if (q) q->used++;
    f->counted = q != NULL;
    f->easy = net_client_easy(f->client);
    f->phase = NET_FETCH_CONNECTING;
    f->deadline_ns = net_client_deadline(f->client, f->rq.connect_ms_max, 30'000);
    set_options(f);
    set_method(f);
    add_headers(f);
    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers);
    if (curl_multi_add_handle(f->client->multi, f->easy) != CURLM_OK) net_fetch_fail(f, NET_INTERNAL_ERROR, "libcurl refused the request");
}

/* ---- the job ---- */

static void destroy(struct net_fetch *f) {
    net_client_detach(f);
    if (f->counted) f->rq.quota->used--;
    *f->prev = f->next;
    if (f->next) f->next->prev = f->prev;
    buf_free(&f->body.b);
    buf_free(&f->send.b);
    arena_free(f->mem);
    free(f);
}

static void unpause(struct net_fetch *f) {
    bool recv = f->recv_paused && net_queue_left(&f->body) <= NET_FETCH_BODY_BYTES / 2;
    bool send = f->send_paused && (net_queue_left(&f->send) || f->send_finished);
    if (!f->easy || (!recv && !send)) return;
    if (recv) f->recv_paused = false;
    if (send) f->send_paused = false;
    int mask = (f->recv_paused ? CURLPAUSE_RECV : 0) | (f->send_paused ? CURLPAUSE_SEND : 0);
    curl_easy_pause(f->easy, mask);
    net_job_queue(f->client->loop, &f->client->done_job);
}

void net_fetch_job(struct net_job *job) {
    struct net_fetch *f = container_of(job, struct net_fetch, job);
    if (f->freed) {
        destroy(f);
        return;
    }
    if (f->phase == NET_FETCH_NEW) start(f);
    if (f->abort) net_fetch_fail(f, f->abort, "the request's body is not whole");
    unpause(f);
    /* Each callback may free f, which then lives until its next job. */
    if (f->changed) {
        f->changed = false;
        if (f->on_change) f->on_change(f->arg);
    }
    if (!f->freed && (net_queue_left(&f->body) || f->phase == NET_FETCH_DONE)) net_source_tell(&f->source);
    if (!f->freed && !f->told_sink && (f->send_closed || net_queue_left(&f->send) <= NET_FETCH_SEND_BYTES / 2)) {
        f->told_sink = true;
        net_sink_tell(&f->sink);
    }
}

/* ---- for the owner ---- */

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

static err check(const struct net_fetch_request *rq, uint64_t *length) {
    *length = UINT64_MAX;
    bool http = str_eqc(rq->scheme, "http") || str_eqc(rq->scheme, "https");
    if (!http || !authority_ok(rq->authority) || !target_ok(rq->path) || !net_token_ok(rq->method) || str_eqc(rq->method, "CONNECT"))
        return ERR_INVALID;
    if (!fields_ok(rq->fields, rq->fields_count)) return ERR_INVALID;
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        if (!str_eq_nocase(rq->fields[i].name, STR("content-length"))) continue;
        uint64_t n;
        if (*length != UINT64_MAX || !str_to_u64(rq->fields[i].value, &n) || n > INT64_MAX) return ERR_INVALID;
        *length = n;
    }
    return !rq->has_body && *length != UINT64_MAX && *length ? ERR_INVALID : ERR_OK;
}

err net_fetch_new(struct net_client *c, const struct net_fetch_request *rq, void (*on_change)(void *arg), void *arg, struct net_fetch **out) {
    uint64_t length;
    *out = NULL;
    TRY(check(rq, &length));
    struct net_fetch *f = calloc(1, sizeof *f);
    ENSURE(f);
    f->client = c;
    f->job.fn = net_fetch_job;
    f->source.ops = &source_ops;
    f->sink.ops = &sink_ops;
    f->on_change = on_change;
    f->arg = arg;
    f->mem = arena_new(0);
    f->rq = *rq;
    f->rq.method = arena_str(f->mem, rq->method);
    f->rq.scheme = arena_str(f->mem, rq->scheme);
    f->rq.authority = arena_str(f->mem, rq->authority);
    f->rq.path = arena_str(f->mem, rq->path);
    f->rq.fields = copy_fields(f->mem, rq->fields, rq->fields_count);
    f->send_left = rq->has_body ? length : UINT64_MAX;
    f->next = c->fetches;
    f->prev = &c->fetches;
    if (f->next) f->next->prev = &f->next;
    c->fetches = f;
    later(f);
    *out = f;
    return ERR_OK;
}

void net_fetch_free(struct net_fetch *f) {
    if (!f) return;
    f->freed = true;
    f->source.notify = f->sink.notify = NULL;
    f->deadline_ns = 0;
    later(f);
}

const struct net_response *net_fetch_response(const struct net_fetch *f) { return f->has_head ? &f->response : NULL; }
enum net_error net_fetch_error(const struct net_fetch *f) { return f->error; }
str net_fetch_error_text(const struct net_fetch *f) { return str_c(f->error_text[0] ? f->error_text : f->error ? net_error_text(f->error) : ""); }
str net_fetch_scheme(const struct net_fetch *f) { return f->rq.scheme; }
str net_fetch_authority(const struct net_fetch *f) { return f->rq.authority; }
const struct net_addr *net_fetch_prohibited(const struct net_fetch *f) { return f->prohibited ? &f->prohibited_address : NULL; }
struct net_source *net_fetch_source(struct net_fetch *f) { return &f->source; }
struct net_sink *net_fetch_sink(struct net_fetch *f) { return &f->sink; }
