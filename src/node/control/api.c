/* api: see api_int.h.
 *
 *            ┌ no such row, method, parameter ─> 404, 405, 400
 *   head ────┤ nobody, or not allowed to ──────> 401, 403, 429
 *            └ JSON: read ── as many bytes as may ── parsed, checked (on a thread, where it is much) ──> handler
 *              else ────────────────────────────────────────────────────────────────────────────────────> handler
 */
#include "node/control/api_int.h"
#include "node/disk.h"
#include <stdlib.h>
#include <time.h>

enum {
    CALLS_MAX = 256, /* at a time */
    CALLS_OF_TOKEN_MAX = 32,
    CONNECTIONS_MAX = 192, /* of a listener */
    JSON_BYTES_MAX = 256 << 10,
    QUERY_BYTES_MAX = 9 << 20,       /* a tree of 4 MiB, in JSON's quotes */
    DEPLOYMENT_BYTES_MAX = 16 << 20, /* 65,536 files have about 14 MiB of names and digests */
    BODIES_BYTES_MAX = 48 << 20,     /* of all calls */
    PARSED_HERE_BYTES = 64 << 10,    /* above, by a thread */
    VALUES_MAX = 1 << 19,
    CALL_MS_MAX = 90'000,
    WRITE_MS_MAX = 30'000,
    HEAD_BYTES_MAX = 16 << 10,
};

struct api_listener {
    struct api *api;
    struct net_server *server;
    bool operator;
};
struct api {
    struct control *control;
    struct api_failures *failures;
    struct api_listener listeners[2];
    uint32_t listeners_count, calls_count, drained;
    void (*on_drained)(void *arg);
    void *on_drained_arg;
    uint64_t bodies_bytes;
    struct api_call calls; /* ring */
};

/* ---- the tables ---- */

#define NONE API_SCHEMA_NONE
const struct api_row node_api_rows[API_IDS] = {
#define API(id, method, path, access, body, status, answer, summary)                                                             \
    {#id, path, API_##method, API_##access, API_SCHEMA_##body, API_SCHEMA_##answer, status, node_api_##id, summary},
#include "node/control/api.def"
};
#undef NONE
const struct api_query node_api_queries[] = {
#define QUERY(id, name, kind, least, most, summary) {API_ID_##id, #name, API_##kind, least, most, summary},
#include "node/control/api.def"
};
const uint32_t node_api_queries_count = ARRAY_COUNT(node_api_queries);
const struct api_param_row node_api_params[API_PARAMS] = {
#define PARAM(id, pattern, summary) {#id, pattern, summary},
#include "node/control/api.def"
};

static const char *method_text(enum api_method m) {
    static const char *const text[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};
    return text[m];
}

/* ---- answers ---- */

static void forget(struct api_call *call) {
    struct api *api = call->api;
    call->prev->next = call->next;
    call->next->prev = call->prev;
    api->calls_count--;
    api->bodies_bytes -= call->counted;
    buf_free(&call->in);
    buf_free(&call->out);
    arena_free(call->mem);
}

void node_api_end(struct api_call *call) {
    net_exchange_end(call->x);
    forget(call);
}

static void answer(struct api_call *call, uint16_t status, const char *type, const struct net_field *more, uint32_t count,
                   str body) {
    struct net_field fields[8] = {{STR("cache-control"), STR("no-store")}, {STR("x-content-type-options"), STR("nosniff")}};
    uint32_t n = 2;
    if (type) fields[n++] = (struct net_field){STR("content-type"), str_c(type)};
    for (uint32_t i = 0; i < count && n < ARRAY_COUNT(fields); i++) fields[n++] = more[i];
    if (net_exchange_reply(call->x, status, fields, n, body) == ERR_OK) {}
    node_api_end(call);
}

/* Who has changed what; of files on their way what becomes of them is told. */
static void note_change(const struct api_call *call, uint16_t status) {
    enum api_access access = call->row->access;
    bool brings = call->row->body == API_SCHEMA_BYTES || call->row->body == API_SCHEMA_Digests;
    if ((access != API_WRITE_APP && access != API_WRITE_NODE) || call->row->method == API_HEAD || brings || status / 100 != 2)
        return;
    log_event(LOG_INFO, "admin-call", LF_CSTR("call", call->row->name), LF_STR("app", call->params[API_PARAM_app]),
              LF_U64("token", call->who.token), LF_U64("status", status));
}

void node_api_reply_with(struct api_call *call, uint16_t status, const struct net_field *fields, uint32_t count) {
    note_change(call, status);
    bool has = call->out.n;
    ENSURE(!has || json_done(&call->w));
    if (has) buf_putc(&call->out, '\n');
    answer(call, status, has ? "application/json" : NULL, fields, count, buf_str(&call->out));
}
void node_api_reply(struct api_call *call) { node_api_reply_with(call, call->row->status, NULL, 0); }
void node_api_empty(struct api_call *call) { node_api_reply_with(call, call->row->status, NULL, 0); }
void node_api_text_with(struct api_call *call, uint16_t status, const char *type, str text) {
    answer(call, status, type, NULL, 0, text);
}
void node_api_text(struct api_call *call, const char *type, str text) { node_api_text_with(call, call->row->status, type, text); }

void node_api_put_problem(struct json_writer *w, const char *member, const struct api_problem *p) {
    json_put_object(w, member);
    json_put_cstr(w, "code", p->code);
    json_put_text(w, "message", p->message.n ? p->message : STR("?"), 4000);
    if (p->key.n) json_put_text(w, "key", p->key, 4000);
    if (p->line) json_put_u64(w, "line", p->line);
    if (p->offset) json_put_u64(w, "offset", p->offset - 1);
    if (p->limit.n) json_put_str(w, "limit", p->limit);
    json_put_end(w);
}

void node_api_refuse(struct api_call *call, const struct api_problem *p) {
    char retry[16];
    struct net_field fields[4];
    uint32_t n = 0;
    snprintf(retry, sizeof retry, "%u", p->retry_s);
    if (p->retry_s) fields[n++] = (struct net_field){STR("retry-after"), str_c(retry)};
    if (p->status == 401) fields[n++] = (struct net_field){STR("www-authenticate"), STR("Bearer realm=\"orlo\"")};
    buf_free(&call->out);
    call->out = (struct buf){0};
    call->w = json_writer_of(&call->out);
    json_put_object(&call->w, NULL);
    node_api_put_problem(&call->w, "error", p);
    json_put_end(&call->w);
    node_api_reply_with(call, p->status, fields, n);
}

struct api_problem node_api_problem(err e, const struct diag *d) {
    static const struct {
        uint16_t status;
        const char *code;
        uint32_t retry_s;
    } rows[ERR_COUNT] = {
        [ERR_MALFORMED] = {422, "malformed", 0},
        [ERR_INVALID] = {422, "invalid", 0},
        [ERR_UNSUPPORTED] = {422, "unsupported", 0},
        [ERR_LIMIT] = {422, "limit", 0},
        [ERR_NOT_FOUND] = {404, "not_found", 0},
        [ERR_DENIED] = {403, "denied", 0},
        [ERR_IO] = {500, "io", 0},
        [ERR_NETWORK] = {502, "network", 0},
        [ERR_CLOSED] = {503, "closed", 1},
        [ERR_BUSY] = {409, "busy", 0},
        [ERR_AGAIN] = {503, "again", 1},
        [ERR_LINK] = {422, "link", 0},
        [ERR_TRAP] = {422, "trap", 0},
        [ERR_SIGNATURE] = {422, "signature", 0},
        [ERR_USAGE] = {422, "usage", 0},
    };
    struct api_problem p = {.status = 500, .code = "failed", .message = str_c(d && d->text[0] ? d->text : err_text(e))};
    if (d && d->offset != DIAG_NOWHERE) p.offset = d->offset + 1;
    if (e < ERR_COUNT && rows[e].status) p.status = rows[e].status, p.code = rows[e].code, p.retry_s = rows[e].retry_s;
    return p;
}

void node_api_fail_at(struct api_call *call, err e, const struct diag *d, str key, uint32_t line) {
    struct api_problem p = node_api_problem(e, d);
    p.key = key, p.line = line;
    node_api_refuse(call, &p);
}
void node_api_fail(struct api_call *call, err e, const struct diag *d) { node_api_fail_at(call, e, d, (str){0}, 0); }

static void refuse(struct api_call *call, uint16_t status, const char *code, const char *message) {
    node_api_refuse(call, &(struct api_problem){.status = status, .code = code, .message = str_c(message)});
}

/* ---- lines ---- */

void node_api_stream(struct api_call *call) {
    static const struct net_field fields[] = {{STR_INIT("content-type"), STR_INIT("application/x-ndjson")},
                                              {STR_INIT("cache-control"), STR_INIT("no-store")},
                                              {STR_INIT("x-content-type-options"), STR_INIT("nosniff")}};
    if (net_exchange_respond(call->x, call->row->status, fields, ARRAY_COUNT(fields)) == ERR_OK) call->streams = true;
}

bool node_api_line(struct api_call *call, str line) {
    struct net_sink *sink = net_exchange_sink(call->x);
    if (net_sink_room(sink) < line.n + 1) return false;
    return net_sink_write(sink, line) == ERR_OK && net_sink_write(sink, STR("\n")) == ERR_OK;
}

/* ---- queries ---- */

static int hex(uint8_t c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* False: what follows a % is no byte. */
static bool decode(arena *out, str s, str *to) {
    uint8_t *p = arena_alloc(out, s.n + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '%') {
            p[n++] = s.p[i];
            continue;
        }
        if (i + 2 >= s.n || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0) return false;
        p[n++] = (uint8_t)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
        i += 2;
    }
    *to = (str){p, n};
    return true;
}

static const struct api_query *query_named(const struct api_row *row, str name) {
    for (uint32_t i = 0; i < node_api_queries_count; i++)
        if (&node_api_rows[node_api_queries[i].row] == row && str_eqc(name, node_api_queries[i].name))
            return &node_api_queries[i];
    return NULL;
}

static bool query_value(const struct api_query *q, str text, uint64_t *number) {
    *number = 0;
    switch (q->type) {
    case API_FLAG: *number = str_eqc(text, "true"); return *number || str_eqc(text, "false");
    case API_WHOLE: return str_to_u64(text, number) && *number >= q->least && *number <= q->most;
    default: return text.n >= q->least && text.n <= q->most && str_is_utf8(text);
    }
}

/* NULL: all is well. */
static const char *read_query(struct api_call *call, str query) {
    for (str one; query.n;) {
        str name, value;
        str_cut(query, '&', &one, &query);
        str_cut(one, '=', &name, &value);
        if (!decode(call->mem, name, &name) || !decode(call->mem, value, &value))
            return "a % in the query is followed by no byte";
        const struct api_query *q = query_named(call->row, name);
        if (!q)
            return (const char *)arena_fmt(call->mem, "there is no parameter " STR_FMT " here", STR_ARG(str_sub(name, 0, 64))).p;
        for (uint32_t i = 0; i < call->queries_count; i++)
            if (call->queries[i].query == q)
                return (const char *)arena_fmt(call->mem, "the parameter %s stands there twice", q->name).p;
        uint64_t number;
        if (!query_value(q, value, &number))
            return q->type == API_FLAG ? (const char *)arena_fmt(call->mem, "the parameter %s is true or false", q->name).p
                                       : (const char *)arena_fmt(call->mem, "the parameter %s is %s %llu to %llu%s", q->name,
                                                                 q->type == API_WHOLE ? "a number from" : "a text of",
                                                                 (unsigned long long)q->least, (unsigned long long)q->most,
                                                                 q->type == API_WHOLE ? "" : " bytes")
                                             .p;
        call->queries[call->queries_count].query = q;
        call->queries[call->queries_count].number = number;
        call->queries[call->queries_count++].word = value;
    }
    return NULL;
}

uint64_t node_api_number(const struct api_call *call, const char *query, uint64_t otherwise) {
    for (uint32_t i = 0; i < call->queries_count; i++)
        if (!strcmp(call->queries[i].query->name, query)) return call->queries[i].number;
    return otherwise;
}
str node_api_word(const struct api_call *call, const char *query) {
    for (uint32_t i = 0; i < call->queries_count; i++)
        if (!strcmp(call->queries[i].query->name, query)) return call->queries[i].word;
    return (str){0};
}

/* ---- rows ---- */

static enum api_param param_named(str name) {
    enum api_param p = 0;
    while (p < API_PARAMS && !str_eqc(name, node_api_params[p].name)) p++;
    ENSURE(p < API_PARAMS);
    return p;
}

/* Whether a path has that form; params are as they are written there. */
static bool path_fits(const char *form, str path, str params[static API_PARAMS]) {
    for (str left = str_c(form), want, part; left.n || path.n;) {
        str_cut(left, '/', &want, &left);
        str_cut(path, '/', &part, &path);
        if (want.n && want.p[0] == '{') {
            if (!part.n) return false;
            params[param_named(str_sub(want, 1, want.n - 2))] = part;
        } else if (!str_eq(want, part)) {
            return false;
        }
        if (!left.n != !path.n) return false;
    }
    return true;
}

static bool method_fits(const struct api_row *row, str method) {
    return str_eqc(method, method_text(row->method)) || (row->method == API_GET && str_eqc(method, "HEAD"));
}

/* Which methods a path has; to is a text like "GET, HEAD, PUT". */
static void find_row(struct api_call *call, str path, str method, struct buf *allow) {
    for (enum api_id i = 0; i < API_IDS && !call->row; i++) {
        str params[API_PARAMS] = {0};
        const struct api_row *row = &node_api_rows[i];
        if (!path_fits(row->path, path, params)) continue;
        buf_printf(allow, "%s%s%s", allow->n ? ", " : "", method_text(row->method), row->method == API_GET ? ", HEAD" : "");
        if (!method_fits(row, method)) continue;
        call->row = row;
        memcpy(call->params, params, sizeof params);
    }
}

/* ---- names in paths ---- */

static bool is_number(str s) {
    uint64_t v;
    return s.n && s.p[0] != '0' && str_to_u64(s, &v) && v <= UINT32_MAX;
}

static bool is_secret(str s) {
    bool ok = s.n && s.n <= 128 && !(s.p[0] >= '0' && s.p[0] <= '9');
    for (size_t i = 0; ok && i < s.n; i++) {
        uint8_t c = s.p[i];
        ok = (c | 32) >= 'a' ? (c | 32) <= 'z' && c < 128 && c != '_' + 32 : (c >= '0' && c <= '9');
        ok |= c == '_';
    }
    return ok;
}

static bool is_digest(str s) {
    bool ok = s.n == 64;
    for (size_t i = 0; ok && i < s.n; i++) ok = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f');
    return ok;
}

static bool is_host(str s) {
    bool ok = s.n && s.n <= 253 && s.p[0] != '.' && s.p[0] != '-';
    for (size_t i = 0; ok && i < s.n; i++)
        ok = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'z') || s.p[i] == '.' || s.p[i] == '-';
    return ok;
}

static bool param_fits(enum api_param p, str s) {
    struct diag d = DIAG_INIT;
    switch (p) {
    case API_PARAM_app: return app_name_check(s, &d) == ERR_OK;
    case API_PARAM_secret: return is_secret(s);
    case API_PARAM_digest: return is_digest(s);
    case API_PARAM_host: return is_host(s);
    default: return is_number(s);
    }
}

/* NULL: all are what they have to be. */
static const char *check_params(struct api_call *call) {
    for (enum api_param p = 0; p < API_PARAMS; p++) {
        if (!call->params[p].n) continue;
        str s;
        if (!decode(call->mem, call->params[p], &s) || !param_fits(p, s))
            return (const char *)arena_fmt(call->mem, "what stands for {%s} in the path cannot be one: %s, %s",
                                           node_api_params[p].name, node_api_params[p].summary, node_api_params[p].pattern)
                .p;
        call->params[p] = s;
    }
    return NULL;
}

/* ---- bodies ---- */

static void run(struct api_call *call) { call->row->handler(call); }

static void parsed(struct api_call *call) {
    call->api->bodies_bytes -= call->counted;
    call->counted = 0;
    buf_free(&call->in);
    if (call->gone) {
        node_api_end(call);
    } else if (call->e != ERR_OK) {
        struct api_problem p = node_api_problem(call->e, &call->d);
        p.status = 400, p.key = call->wrong_key; /* not as the table has it: what is wrong with what it says is the handler's */
        node_api_refuse(call, &p);
    } else {
        call->body = &call->json;
        run(call);
    }
}

static void parse(void *arg) {
    struct api_call *call = arg;
    static const struct json_limits limits = {.bytes_max = DEPLOYMENT_BYTES_MAX, .depth_max = 16, .values_max = VALUES_MAX};
    call->e = json_read(call->mem, buf_str(&call->in), &limits, &call->json, &call->d);
    if (call->e == ERR_OK) call->e = node_api_schema_check(call->mem, call->row->body, &call->json, &call->wrong_key, &call->d);
}

static void parse_done(void *arg, bool ran) {
    struct api_call *call = arg;
    call->working = false;
    parsed(call);
}

static void body_whole(struct api_call *call) {
    net_source_notify(net_exchange_source(call->x), NULL, NULL);
    if (!call->in.n) buf_puts(&call->in, STR("{}"));
    if (call->in.n <= PARSED_HERE_BYTES) {
        parse(call);
        parsed(call);
        return;
    }
    call->working = true;
    net_work_new(call->control->loop, NULL, parse, parse_done, call);
}

static void on_body(void *arg) {
    struct api_call *call = arg;
    struct net_source *source = net_exchange_source(call->x);
    enum net_flow flow;
    str data;
    while ((flow = net_source_peek(source, &data)) == NET_FLOW_DATA) {
        if (call->api->bodies_bytes + data.n > BODIES_BYTES_MAX) {
            node_api_refuse(call, &(struct api_problem){.status = 503,
                                                        .code = "again",
                                                        .retry_s = 1,
                                                        .message = STR("others are sending too much at the moment; try again")});
            return;
        }
        buf_put(&call->in, data.p, data.n);
        call->counted += data.n;
        call->api->bodies_bytes += data.n;
        net_source_consume(source, data.n);
    }
    if (flow == NET_FLOW_END) {
        body_whole(call);
    } else if (flow == NET_FLOW_FAILED) {
        uint16_t status = net_exchange_body_status(call->x);
        if (call->gone || !status) node_api_end(call);
        else if (status == 413) refuse(call, 413, "limit", "the body is larger than this call takes");
        else refuse(call, status, "malformed", "the body did not arrive as HTTP has it, or not in time");
    }
}

static bool is_json(const struct net_request *rq) {
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        str type, rest;
        if (!str_eq_nocase(rq->fields[i].name, STR("content-type"))) continue;
        str_cut(rq->fields[i].value, ';', &type, &rest);
        if (!str_eq_nocase(str_trim(type), STR("application/json"))) return false;
    }
    return true;
}

static void take_body(struct api_call *call) {
    const struct net_request *rq = net_exchange_request(call->x);
    bool json = call->row->body > API_SCHEMA_LINES;
    if (call->row->body == API_SCHEMA_BYTES) {
        run(call); /* its own affair, limits included */
        return;
    }
    bool asks = call->row->body == API_SCHEMA_QueryWanted;
    bool files = call->row->body == API_SCHEMA_DeploymentWanted || call->row->body == API_SCHEMA_Digests ||
                 call->row->body == API_SCHEMA_MigrationsWanted;
    uint64_t most = files ? DEPLOYMENT_BYTES_MAX : asks ? QUERY_BYTES_MAX : JSON_BYTES_MAX;
    bool fits = net_exchange_limits(call->x, call->row->answer == API_SCHEMA_LINES ? NET_NO_LIMIT : CALL_MS_MAX, most) == ERR_OK;
    if (!fits) {
        refuse(call, 413, "limit", "the body is larger than this call takes");
    } else if (!json) {
        run(call);
    } else if (rq->has_body && !is_json(rq)) {
        refuse(call, 415, "unsupported", "the body is to be JSON: content-type: application/json");
    } else if (!rq->has_body) {
        body_whole(call);
    } else {
        net_source_notify(net_exchange_source(call->x), on_body, call);
        on_body(call);
    }
}

/* ---- a request ---- */

static void on_event(void *arg, enum net_event event) {
    struct api_call *call = arg;
    if (event == NET_EVENT_GONE) call->gone = true;
    if (call->working) return; /* it goes on when the thread is done */
    if (call->on_gone) call->on_gone(call);
    else if (event == NET_EVENT_DEADLINE && call->in.n) refuse(call, 408, "timeout", "the body took too long");
}

static struct api_call *new_call(struct api_listener *l, struct net_exchange *x) {
    struct api *api = l->api;
    arena *mem = arena_new(0);
    struct api_call *call = arena_make(mem, struct api_call);
    *call = (struct api_call){.prev = api->calls.prev,
                              .next = &api->calls,
                              .api = api,
                              .control = api->control,
                              .x = x,
                              .mem = mem,
                              .d = DIAG_INIT,
                              .who.node = l->operator};
    call->prev->next = api->calls.prev = call;
    call->w = json_writer_of(&call->out);
    api->calls_count++;
    net_exchange_listen(x, on_event, call);
    return call;
}

static void no_row(struct api_call *call, str allow) {
    static const struct api_row none = {.status = 404};
    call->row = &none;
    if (!allow.n) {
        refuse(call, 404, "not_found", "there is no such call; GET /_orlo/v1/openapi.json lists those that there are");
        return;
    }
    struct net_field field = {STR("allow"), arena_str(call->mem, allow)};
    json_put_object(&call->w, NULL);
    node_api_put_problem(&call->w, "error",
                         &(struct api_problem){.code = "method", .message = STR("this path has no such method")});
    json_put_end(&call->w);
    node_api_reply_with(call, 405, &field, 1);
}

/* Whoever has a token may not use up what there is for all. */
static bool has_enough(const struct api_call *call) {
    uint32_t n = 0;
    for (const struct api_call *other = call->api->calls.next; other != &call->api->calls; other = other->next)
        n += call->who.token && other->who.token == call->who.token;
    return n > CALLS_OF_TOKEN_MAX;
}

/* What needs room: not what goes back, lets go or removes. */
static bool adds(const struct api_row *row) {
    return row->handler == node_api_upload || row->handler == node_api_deploy || row->handler == node_api_secret_set ||
           row->handler == node_api_token_make || row->handler == node_api_api_key_make ||
           row->handler == node_api_signing_key_make;
}

static void on_request(struct net_exchange *x, void *arg) {
    struct api_listener *l = arg;
    const struct net_request *rq = net_exchange_request(x);
    struct api_call *call = new_call(l, x);
    struct buf allow = {0};
    str path, query;
    str_cut(rq->path, '?', &path, &query);
    bool ours = str_starts(path, STR("/_orlo/"));
    if (ours) find_row(call, str_sub(path, 6, path.n), rq->method, &allow);
    if (!call->row) {
        no_row(call, buf_str(&allow));
        buf_free(&allow);
        return;
    }
    buf_free(&allow);
    if (call->api->calls_count > CALLS_MAX) {
        node_api_refuse(
            call, &(struct api_problem){
                      .status = 503, .code = "again", .retry_s = 1, .message = STR("too many calls at the moment; try again")});
        return;
    }
    if (!l->operator&& !node_api_admit(call, l->api->failures)) return;
    if (has_enough(call)) {
        node_api_refuse(call, &(struct api_problem){.status = 429,
                                                    .code = "rate",
                                                    .retry_s = 1,
                                                    .message = STR("too many calls with this token at the moment; try again")});
        return;
    }
    char full[NODE_DISK_TEXT];
    if (adds(call->row) && node_disk_full(full)) {
        node_api_refuse(call, &(struct api_problem){
                                  .status = 507, .code = "disk_full", .message = str_c(full), .limit = STR("disk_percent")});
        return;
    }
    const char *wrong = check_params(call);
    if (!wrong) wrong = read_query(call, query);
    if (wrong) refuse(call, 400, "invalid", wrong);
    else take_body(call);
}

/* ---- life ---- */

struct api *node_api_new(struct control *c) {
    struct api *api = calloc(1, sizeof *api);
    ENSURE(api);
    *api = (struct api){.control = c, .failures = node_api_failures_new()};
    api->calls.prev = api->calls.next = &api->calls;
    return api;
}

err node_api_listen(struct api *api, int fd, bool operator, const struct net_tls_config * tls, struct diag *d) {
    ENSURE(api->listeners_count < ARRAY_COUNT(api->listeners));
    struct api_listener *l = &api->listeners[api->listeners_count];
    *l = (struct api_listener){.api = api, .operator= operator};
    struct net_server_config config = {.loop = api->control->loop,
                                       .fd = fd,
                                       .tls = tls,
                                       .connections_max = CONNECTIONS_MAX,
                                       .handler_ms_max = NET_NO_LIMIT, /* the row's */
                                       .write_ms_max = WRITE_MS_MAX,
                                       .head_bytes_max = HEAD_BYTES_MAX,
                                       .target_bytes_max = HEAD_BYTES_MAX / 2,
                                       .fields_max = 64,
                                       .memory_bytes_max = 32 * MiB,
                                       .on_request = on_request,
                                       .arg = l};
    TRY(net_server_new(&config, &l->server, d));
    api->listeners_count++;
    return ERR_OK;
}

static void listener_drained(void *arg) {
    struct api *api = arg;
    if (++api->drained == api->listeners_count) api->on_drained(api->on_drained_arg);
}

void node_api_drain(struct api *api, void (*done)(void *arg), void *arg) {
    enum { DRAIN_MS = 3000 }; /* who follows a log begins anew */
    if (api->on_drained) return;
    api->on_drained = done;
    api->on_drained_arg = arg;
    for (uint32_t i = 0; i < api->listeners_count; i++)
        net_server_drain(api->listeners[i].server, DRAIN_MS, false, listener_drained, api);
    if (!api->listeners_count) done(arg);
}

const char *node_api_time(uint64_t unix_s, char to[static API_TIME_BYTES]) {
    struct tm tm = {0};
    time_t t = (time_t)MIN(unix_s, 253402300799u); /* the year 9999 */
    gmtime_r(&t, &tm);
    strftime(to, API_TIME_BYTES, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return to;
}
