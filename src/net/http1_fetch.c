/* http1_fetch: one outgoing request: HTTP/1.1 over a wire.
 *
 *   NEW -> WAITING (no connection may be made) -> CONNECTING -> SENT (the request goes out) -> HEAD (the response's is there) -> DONE
 *     \___________________________________________/\____ a wire that rested ____/
 *
 * 1. The owner is told only from the job; the job does all I/O.
 * 2. Neither direction waits for the other: the response ends when its last byte is there, whatever the upload does, and the upload
 *    goes on after it as long as the peer takes it.
 * 3. A wire rests (to be used again) only when request and response are whole; in every other case it is closed.
 * 4. What the request's head announces is what is sent, for every method: its length or its chunks up to the last one.
 */
#include "net/client_int.h"
#include "net/http1_int.h"
#include <stdlib.h>

static void later(struct http1_fetch *f) { net_job_queue(f->client->loop, &f->job); }

static struct http1_fetch *fetch_of_source(const struct net_source *s) {
    return container_of((struct net_source *)(uintptr_t)s, struct http1_fetch, base.source);
}
static struct http1_fetch *fetch_of_sink(const struct net_sink *s) {
    return container_of((struct net_sink *)(uintptr_t)s, struct http1_fetch, base.sink);
}

static bool request_whole(const struct http1_fetch *f) { return f->send_finished && !http1_fetch_unsent(f); }

/* ---- the end ---- */

static void drop_wire(struct http1_fetch *f) {
    net_wire_free(f->wire);
    f->wire = NULL;
}

static void uncount(struct http1_fetch *f) {
    if (f->counted) net_quota_give(f->rq.quota);
    f->counted = false;
}

static void finish(struct http1_fetch *f, enum net_error e, const char *text) {
    if (f->phase == NET_FETCH_DONE) return;
    f->phase = NET_FETCH_DONE;
    f->deadline_ns = f->write_deadline_ns = 0;
    f->base.error = e;
    if (e != NET_OK) {
        snprintf(f->base.error_text, sizeof f->base.error_text, "%s", text);
        f->base.source.error = e;
        if (!f->base.sink.error && !request_whole(f)) f->base.sink.error = e;
    }
    f->send_closed = f->changed = true;
    f->told_sink = false;
    uncount(f);
    later(f);
}

void http1_fetch_fail(struct http1_fetch *f, enum net_error e, const char *text) {
    if (f->phase == NET_FETCH_DONE) return;
    finish(f, e, text); /* text may be the wire's */
    drop_wire(f);
}

/* Request and response have both come to an end. */
static void conclude(struct http1_fetch *f) {
    bool again = f->answer.keep_alive && !f->answer.until_close && request_whole(f) && f->in_used == f->in.n && !f->wire->eof &&
                 !f->wire->cut;
    if (again) net_client_give(f->client, f->wire);
    else net_wire_free(f->wire);
    f->wire = NULL;
    finish(f, NET_OK, "");
}

/* ---- what arrives ---- */

/* An end that came too early. */
static void broken(struct http1_fetch *f) {
    if (f->phase == NET_FETCH_SENT)
        http1_fetch_fail(f, NET_CONNECTION_TERMINATED, "the connection ended before the response came");
    else http1_fetch_fail(f, NET_HTTP_RESPONSE_INCOMPLETE, "the connection ended before the response did");
}

/* The body's next bytes, as far as they are in. END: f->over is set. */
static enum net_flow peek(struct http1_fetch *f, str *data) {
    size_t skip = 0;
    if (f->over) return NET_FLOW_END;
    if (!f->base.response.status) return NET_FLOW_WAIT;
    if (f->answer.until_close) {
        *data = str_sub(buf_str(&f->in), f->in_used, f->in.n);
        if (data->n) return NET_FLOW_DATA;
        f->over = f->wire && f->wire->eof && f->wire->secure_end;
        return f->over ? NET_FLOW_END : NET_FLOW_WAIT;
    }
    enum http1_result r = http1_body_next(&f->body, f->in.p + f->in_used, f->in.n - f->in_used, &skip, data);
    f->in_used += skip;
    if (data->n) return NET_FLOW_DATA;
    f->over = r == HTTP1_DONE;
    return r == HTTP1_DONE ? NET_FLOW_END : r == HTTP1_ERROR ? NET_FLOW_FAILED : NET_FLOW_WAIT;
}

static void head_complete(struct http1_fetch *f) {
    f->base.response = (struct net_response){f->answer.status, f->answer.fields, f->answer.fields_count};
    http1_body_init(&f->body, f->answer.length, UINT64_MAX);
    f->phase = NET_FETCH_HEAD;
    f->deadline_ns = 0;
    f->changed = true;
}

/* One head; of 1xx another one follows. False: it is not all there, or that was the end. */
static bool take_head(struct http1_fetch *f) {
    const uint8_t *p = f->in.p + f->in_used;
    size_t n = f->in.n - f->in_used, max = f->rq.head_bytes_max ? f->rq.head_bytes_max : 64 << 10;
    const char *why = NULL;
    if (!n) return false;
    enum http1_result r = http1_answer_end(p, n, &f->head_seen, &why);
    if (f->head_bytes + f->head_seen > max - (r == HTTP1_MORE)) {
        http1_fetch_fail(f, NET_HTTP_RESPONSE_HEADER_SECTION_SIZE, "the response's header section is too large");
        return false;
    }
    if (r == HTTP1_ERROR) http1_fetch_fail(f, NET_HTTP_PROTOCOL_ERROR, why);
    if (r != HTTP1_DONE) return false;
    str head = arena_str(f->mem, (str){p, f->head_seen});
    f->in_used += head.n;
    f->head_bytes += head.n;
    f->head_seen = 0;
    f->answer = (struct http1_answer){.fields = arena_array(f->mem, struct net_field, NET_FETCH_FIELDS_MAX)};
    if (http1_answer_parse(&f->answer, head, f->rq.method, NET_FETCH_FIELDS_MAX) != HTTP1_DONE) {
        http1_fetch_fail(f, f->answer.error, f->answer.why);
        return false;
    }
    if (f->answer.status >= 200) {
        head_complete(f);
        return false;
    }
    if (f->answer.status == 101 || ++f->informed > NET_FETCH_INFORM_MAX) {
        http1_fetch_fail(f, NET_HTTP_PROTOCOL_ERROR,
                         f->answer.status == 101 ? "the peer switched protocols without being asked"
                                                 : "the peer sends no end of 1xx responses");
        return false;
    }
    return true;
}

/* Reads on while somebody wants it and there is room. */
static bool wants_bytes(const struct http1_fetch *f) {
    return f->wire && !f->wire->eof && !f->over && (f->phase == NET_FETCH_SENT || f->in.n - f->in_used < NET_FETCH_BODY_BYTES);
}

static void drop_used(struct http1_fetch *f) {
    if (f->in_used == f->in.n) f->in.n = f->in_used = 0;
    else if (f->in_used > NET_FETCH_BODY_BYTES / 2) {
        buf_drop(&f->in, f->in_used);
        f->in_used = 0;
    }
}

static bool try_again(struct http1_fetch *f);

static void receive(struct http1_fetch *f) {
    str data;
    for (int reads = 0; wants_bytes(f); reads++) {
        if (reads == NET_FETCH_TURN_READS) { /* others first */
            later(f);
            break;
        }
        drop_used(f);
        if (net_wire_receive(f->wire, &f->in) != NET_FLOW_DATA) break;
        if (f->phase == NET_FETCH_HEAD) f->deadline_ns = 0;
        while (f->phase == NET_FETCH_SENT && take_head(f)) {}
        if (f->phase == NET_FETCH_DONE) return;
    }
    if (f->phase == NET_FETCH_DONE || !f->wire) return;
    if (f->phase == NET_FETCH_SENT) {
        if (f->wire->eof && !try_again(f)) broken(f);
        return;
    }
    enum net_flow flow = peek(f, &data);
    if (flow == NET_FLOW_FAILED) {
        bool large = f->body.status == 431;
        http1_fetch_fail(f, large ? NET_HTTP_RESPONSE_TRAILER_SECTION_SIZE : NET_HTTP_RESPONSE_TRANSFER_CODING,
                         f->body.why ? f->body.why : "the response's chunks are malformed");
    } else if (flow == NET_FLOW_WAIT && f->wire->eof) {
        broken(f);
    }
}

static enum net_flow source_peek(struct net_source *s, str *data) {
    struct http1_fetch *f = fetch_of_source(s);
    enum net_flow flow = peek(f, data);
    if (flow == NET_FLOW_DATA) return flow;
    if (flow == NET_FLOW_END) {
        if (f->phase != NET_FETCH_DONE) later(f);
        return flow;
    }
    if (f->phase == NET_FETCH_DONE) return NET_FLOW_FAILED;
    if (f->phase == NET_FETCH_HEAD && !f->deadline_ns)
        f->deadline_ns = net_client_deadline(f->client, f->rq.between_bytes_ms_max, 60'000);
    later(f);
    return NET_FLOW_WAIT;
}

static void source_consume(struct net_source *s, size_t n) {
    struct http1_fetch *f = fetch_of_source(s);
    if (!f->answer.until_close) http1_body_took(&f->body, n);
    f->in_used += n;
    ENSURE(f->in_used <= f->in.n);
    later(f);
}

static const struct net_field *source_trailers(const struct net_source *s, uint32_t *count) {
    struct http1_fetch *f = fetch_of_source(s);
    *count = f->body.trailers_count;
    return f->body.trailers;
}

static const struct net_source_ops source_ops = {source_peek, source_consume, source_trailers};

/* ---- what leaves ---- */

/* Whether what was sent may have to be sent again: on a wire that rested, which the peer may have closed at the same time. */
static bool keeps_sent(const struct http1_fetch *f) {
    return f->head_bytes_out && (!f->wire || f->wire->reused) && f->phase <= NET_FETCH_SENT && !f->in.n &&
           f->out.n <= NET_FETCH_SEND_BYTES;
}

static void drop_sent(struct http1_fetch *f) {
    if (!f->sent || keeps_sent(f)) return;
    f->head_bytes_out = 0;
    if (f->sent < f->out.n && f->sent < NET_FETCH_SEND_BYTES / 2) return;
    buf_drop(&f->out, f->sent);
    f->sent = 0;
}

static void transmit(struct http1_fetch *f) {
    size_t taken = f->wire->cut ? 0 : net_wire_send(f->wire, str_sub(buf_str(&f->out), f->sent, f->out.n));
    f->sent += taken;
    if (taken) {
        if (f->phase == NET_FETCH_SENT) f->deadline_ns = net_client_deadline(f->client, f->rq.first_byte_ms_max, 60'000);
        f->told_sink = false;
        f->write_deadline_ns = 0;
        drop_sent(f);
    }
    if (f->wire->cut && !f->base.sink.error && !request_whole(f)) { /* a response may still be there to be read */
        f->base.sink.error = NET_CONNECTION_TERMINATED;
        f->send_closed = true;
        f->told_sink = false;
    }
    bool waits = http1_fetch_unsent(f) && !f->send_closed && f->phase == NET_FETCH_HEAD;
    if (!waits) f->write_deadline_ns = 0;
    else if (!f->write_deadline_ns) f->write_deadline_ns = net_client_deadline(f->client, f->rq.between_bytes_ms_max, 60'000);
}

static size_t sink_room(const struct net_sink *s) {
    struct http1_fetch *f = fetch_of_sink(s);
    enum { FRAME_BYTES = 24 };
    size_t n = http1_fetch_unsent(f);
    if (!f->rq.has_body || f->send_finished || f->send_closed) return 0;
    return n + FRAME_BYTES < NET_FETCH_SEND_BYTES ? NET_FETCH_SEND_BYTES - FRAME_BYTES - n : 0;
}

static err sink_write(struct net_sink *s, str data) {
    struct http1_fetch *f = fetch_of_sink(s);
    if (!f->rq.has_body || f->send_finished || f->send_closed) return ERR_CLOSED;
    if (!data.n) return ERR_OK;
    if (data.n > sink_room(s)) return ERR_AGAIN;
    if (f->send_left != UINT64_MAX) {
        if (data.n > f->send_left) return ERR_INVALID;
        f->send_left -= data.n;
    }
    uint8_t head[20];
    if (f->chunked) buf_put(&f->out, head, http1_chunk_head(head, data.n));
    buf_puts(&f->out, data);
    if (f->chunked) buf_puts(&f->out, STR("\r\n"));
    later(f);
    return ERR_OK;
}

static void sink_abort(struct net_sink *s, enum net_error e) {
    struct http1_fetch *f = fetch_of_sink(s);
    if (f->phase == NET_FETCH_DONE || f->send_finished || f->abort) return;
    s->error = f->abort = e;
    f->send_closed = true;
    later(f);
}

static err sink_finish(struct net_sink *s, const struct net_field *trailers, uint32_t count) {
    struct http1_fetch *f = fetch_of_sink(s);
    if (!f->rq.has_body || f->send_finished || f->send_closed) return ERR_CLOSED;
    if (f->send_left != UINT64_MAX && f->send_left) {
        sink_abort(s, NET_HTTP_REQUEST_BODY_SIZE);
        return ERR_INVALID;
    }
    if (f->chunked) TRY(http1_chunk_last(&f->out, trailers, count));
    f->send_finished = true;
    later(f);
    return ERR_OK;
}

static const struct net_sink_ops sink_ops = {sink_room, sink_write, sink_finish, sink_abort};

/* ---- getting a wire ---- */

void http1_fetch_connected(struct http1_fetch *f) {
    f->phase = NET_FETCH_SENT;
    f->deadline_ns = net_client_deadline(f->client, f->rq.first_byte_ms_max, 60'000);
    later(f);
}

/* "host:port" or "[v6]:port" apart; the port is the scheme's when it says none. False: it is no port. */
static bool split(str authority, bool https, str *host, uint16_t *port) {
    size_t end = authority.n && authority.p[0] == '[' ? str_find(authority, ']') + 1 : str_find(authority, ':');
    uint64_t n = https ? 443 : 80;
    *host = str_sub(authority, 0, end);
    str rest = str_sub(authority, end, authority.n);
    if (rest.n && rest.p[0] != ':') return false;
    if (rest.n > 1 && (!str_to_u64(str_sub(rest, 1, rest.n), &n) || !n || n > UINT16_MAX)) return false;
    *port = (uint16_t)n;
    return host->n > 0;
}

bool http1_fetch_may_connect(struct http1_fetch *f, const struct net_addr *a) {
    if (!f->rq.allow_address) return true;
    if (!f->freed && f->rq.allow_address(f->rq.allow_address_arg, f->rq.authority, a)) return true;
    f->base.prohibited = true;
    f->base.prohibited_address = *a;
    return false;
}

static void get_wire(struct http1_fetch *f) {
    bool https = f->rq.scheme.n == 5, may = false;
    str host;
    uint16_t port;
    if (!split(f->rq.authority, https, &host, &port)) {
        http1_fetch_fail(f, NET_HTTP_REQUEST_URI_INVALID, "the authority has no host, or a port that is none");
        return;
    }
    str key = arena_fmt(f->mem, "%s://" STR_FMT ":%u", https ? "https" : "http", STR_ARG(host), port);
    struct net_wire *w = f->retried ? NULL : net_client_take(f->client, (const char *)key.p, &may);
    may |= f->retried;
    if (w && !http1_fetch_may_connect(f, &w->address)) { /* it was for another request */
        net_wire_free(w);
        http1_fetch_fail(f, NET_DESTINATION_IP_PROHIBITED, "the destination's address is not granted");
        return;
    }
    if (w) {
        net_wire_give(w, f);
        f->wire = w;
        http1_fetch_connected(f);
        return;
    }
    f->phase = may ? NET_FETCH_CONNECTING : NET_FETCH_WAITING;
    if (!f->deadline_ns) f->deadline_ns = net_client_deadline(f->client, f->rq.connect_ms_max, 30'000);
    enum net_error e = NET_OK;
    if (!may) return;
    f->wire = net_wire_new(f->client, f, (const char *)key.p, host, port, https, &e);
    if (!f->wire) http1_fetch_fail(f, e, "the host is neither a name nor an address");
}

/* The peer closed a wire that rested before it said anything: it may not have seen the request (RFC 9110 §9.2.2). */
static bool try_again(struct http1_fetch *f) {
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"};
    bool may = f->wire->reused && !f->retried && keeps_sent(f), safe = !f->sent;
    for (size_t i = 0; i < ARRAY_COUNT(idempotent); i++) safe |= str_eqc(f->rq.method, idempotent[i]);
    if (!may || !safe) return false;
    drop_wire(f);
    f->retried = true;
    f->sent = 0;
    f->deadline_ns = 0;
    if (f->base.sink.error && !f->abort) {
        f->base.sink.error = NET_OK;
        f->send_closed = false;
    }
    get_wire(f);
    return true;
}

static void start(struct http1_fetch *f) {
    struct net_quota *q = f->rq.quota;
    if (!net_quota_take(q)) {
        finish(f, NET_CONNECTION_LIMIT_REACHED, "too many requests under way");
        return;
    }
    f->counted = q != NULL;
    get_wire(f);
}

/* ---- the job ---- */

/* What is left of the response is here already, as of one that nobody wanted to read: then its wire can be used again. */
static void skip_rest(struct http1_fetch *f) {
    str data;
    enum net_flow flow;
    if (f->phase != NET_FETCH_HEAD || !request_whole(f) || f->answer.until_close) return;
    while ((flow = peek(f, &data)) == NET_FLOW_DATA) {
        http1_body_took(&f->body, data.n);
        f->in_used += data.n;
    }
    if (flow == NET_FLOW_END) conclude(f);
}

static void destroy(struct http1_fetch *f) {
    skip_rest(f);
    drop_wire(f);
    net_job_cancel(&f->job);
    *f->prev = f->next;
    if (f->next) f->next->prev = f->prev;
    http1_body_free(&f->body);
    buf_free(&f->in);
    buf_free(&f->out);
    arena_free(f->mem);
    free(f);
}

static void exchange_bytes(struct http1_fetch *f) {
    transmit(f);
    receive(f);
    if (f->phase == NET_FETCH_HEAD && f->over && (f->send_closed || request_whole(f))) conclude(f);
}

void http1_fetch_job(struct net_job *job) {
    struct http1_fetch *f = container_of(job, struct http1_fetch, job);
    if (f->freed) {
        destroy(f);
        return;
    }
    if (f->phase == NET_FETCH_NEW) start(f);
    else if (f->phase == NET_FETCH_WAITING) get_wire(f);
    if (f->abort) http1_fetch_fail(f, f->abort, "the request's body is not whole");
    if (f->wire && (f->phase == NET_FETCH_SENT || f->phase == NET_FETCH_HEAD)) exchange_bytes(f);
    /* Each callback may free f, which then lives until its next job. */
    if (f->changed) {
        f->changed = false;
        if (f->base.on_change) f->base.on_change(f->base.arg);
    }
    str data;
    if (!f->freed && (f->phase == NET_FETCH_DONE || peek(f, &data) != NET_FLOW_WAIT)) net_source_tell(&f->base.source);
    if (!f->freed && !f->told_sink && (f->send_closed || http1_fetch_unsent(f) <= NET_FETCH_SEND_BYTES / 2)) {
        f->told_sink = true;
        net_sink_tell(&f->base.sink);
    }
}

/* ---- for the owner ---- */

/* *length: of the body, as a content-length declares; UINT64_MAX: none does. */
static enum net_error check(const struct net_fetch_request *rq, uint64_t *length) {
    struct net_request r = {.method = rq->method,
                            .scheme = rq->scheme,
                            .authority = rq->authority,
                            .path = rq->path,
                            .fields = rq->fields,
                            .fields_count = rq->fields_count,
                            .has_body = rq->has_body};
    enum net_error e = net_request_check(&r);
    *length = r.content_length;
    return e;
}

static bool has_field(const struct net_fetch_request *rq, str name) {
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, name)) return true;
    return false;
}

static void put_field(struct buf *b, str name, str value) {
    const str parts[] = {name, value.n ? STR(": ") : STR(":"), value, STR("\r\n")};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) buf_puts(b, parts[i]);
}

static void put_head(struct http1_fetch *f, const struct net_fetch_request *rq) {
    struct buf *b = &f->out;
    const str line[] = {rq->method, STR(" "), rq->path.n ? rq->path : STR("/"), STR(" HTTP/1.1\r\n")};
    for (size_t i = 0; i < ARRAY_COUNT(line); i++) buf_puts(b, line[i]);
    if (!has_field(rq, STR("Host"))) put_field(b, STR("Host"), rq->authority);
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (!http1_field_hop(rq->fields[i].name)) put_field(b, rq->fields[i].name, rq->fields[i].value);
    bool expects = str_eqc(rq->method, "POST") || str_eqc(rq->method, "PUT") || str_eqc(rq->method, "PATCH");
    if (f->chunked) put_field(b, STR("Transfer-Encoding"), STR("chunked"));
    else if (!rq->has_body && expects && !has_field(rq, STR("Content-Length"))) put_field(b, STR("Content-Length"), STR("0"));
    buf_puts(b, STR("\r\n"));
    f->head_bytes_out = b->n;
}

static void fetch_free(struct net_fetch *base) {
    struct http1_fetch *f = container_of(base, struct http1_fetch, base);
    f->freed = true;
    f->base.source.notify = f->base.sink.notify = NULL;
    uncount(f); /* now: whose quota it is may be gone by the next job, or be another's */
    f->deadline_ns = f->write_deadline_ns = 0;
    later(f);
}

enum net_error net_fetch_new(struct net_client *c, const struct net_fetch_request *rq, void (*on_change)(void *arg), void *arg,
                             struct net_fetch **out) {
    uint64_t length;
    *out = NULL;
    enum net_error e = check(rq, &length);
    if (e != NET_OK) return e;
    struct http1_fetch *f = calloc(1, sizeof *f);
    ENSURE(f);
    f->client = c;
    f->job.fn = http1_fetch_job;
    f->base.source.ops = &source_ops;
    f->base.sink.ops = &sink_ops;
    f->base.on_change = on_change;
    f->base.arg = arg;
    f->mem = arena_new(0);
    f->rq = *rq;
    f->rq.method = arena_str(f->mem, rq->method);
    f->rq.scheme = arena_str(f->mem, rq->scheme);
    f->rq.authority = arena_str(f->mem, rq->authority);
    for (size_t i = 0; i < f->rq.authority.n; i++) /* a host's case means nothing */
        ((uint8_t *)(uintptr_t)f->rq.authority.p)[i] = http1_lower(f->rq.authority.p[i]);
    f->base.free = fetch_free;
    f->base.scheme = f->rq.scheme;
    f->base.authority = f->rq.authority;
    f->rq.path = (str){0};
    f->rq.fields = NULL;
    f->send_left = rq->has_body ? length : UINT64_MAX;
    f->chunked = rq->has_body && length == UINT64_MAX;
    f->send_finished = !rq->has_body;
    put_head(f, rq);
    f->next = c->fetches;
    f->prev = &c->fetches;
    if (f->next) f->next->prev = &f->next;
    c->fetches = f;
    net_client_busy(c);
    later(f);
    *out = &f->base;
    return NET_OK;
}
