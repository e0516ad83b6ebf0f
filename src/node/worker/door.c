/* door: the app's database at its own host, for whoever has a token of the app's (who.c): POST /data/v1/query, a query tree or a batch of them; and
 * /rest/v1/…, PostgREST's way (rest/rest.h), which becomes one tree.
 *
 *   serve ──> READS its body ──> MAKES a tree of it ──> ASKS (query.h) ──> answered
 *                │                  │ a large one: on a thread    └─ the client is gone, or it takes too long: nobody waits for it any more
 *                └─ too large, malformed, more than there is memory for: refused
 *
 * GET /data/v1/changes tells the service_role what changed (query.h, node_data_changes).
 *
 * Rows of a large answer come in parts, and go out as they come (chunked): at its first one status and head are known, so an error behind that breaks the body
 * off, and the connection; it is in the log. One part is here at a time: who reads slowly holds that, and his reader.
 *
 * Answered is {"body", "count", "affected"…} as query_result_write has it, or {"code", "message", "details", "hint"} with the status that
 * PostgREST gives for such an SQLSTATE.
 */
#include "base/json.h"
#include "node/worker/handler_int.h"
#include "net/loop.h"
#include "node/meters.h"
#include "node/worker/computed.h"
#include "node/worker/query.h"
#include "rest/rest.h"
#include <stdlib.h>

enum {
    BODY_BYTES_MAX = 16 << 20,
    BODIES_BYTES_MAX = 96 << 20, /* of a worker, at a time */
    OF_APP_BYTES_MAX = 32 << 20, /* … and of an app */
    LARGE_BYTES = 64 << 10,      /* what is larger is made on a thread, and counts */
    HEADERS_BYTES_MAX = 32 << 10,
    FIELDS_MAX = REST_FIELDS_MAX + 2
};
static const str rest_at = STR_INIT("/rest/v1");
static uint64_t bodies; /* bytes of large ones, in the worker */

/* What a thread makes a tree of, and nobody else looks at meanwhile. */
struct making {
    arena *mem;
    struct rest_options options;
    struct rest_request asked;
    struct rest_plan plan;
    struct buf body, tree;
    struct pg_error error;
    struct node_computed computed;
    bool ok;
};
struct node_visit {
    struct node_request *r; /* NULL: it is gone, and a thread works yet */
    struct node_app *app;
    arena *mem;             /* of its answer; NULL: it is no REST */
    struct rest_plan *plan; /* what is asked for, once that is known */
    struct node_computed computed;
    struct node_computing *computing; /* NULL: nothing is */
    struct rest_response answer;      /* while that is */
    uint64_t told_ns;
    str cookies;
    uint64_t begun_ns, asked_ns; /* of which Server-Timing tells */
    struct buf body;
    uint64_t counted; /* of body, in bodies */
    struct making *making;
    bool works;               /* a thread does */
    struct node_query *query; /* NULL: its body is still to come, or all that was asked for has been told */
    /* an answer in parts: */
    bool streams;                      /* its head is out */
    str piece;                         /* that is being sent; NULL: none is */
    size_t sent;                       /* of it */
    struct buf rest;                   /* the last one */
    uint64_t bytes, since_ns, slow_ns; /* of all of them; since when there has been no room; for how long in all there was none */
};

/* ---- answers ---- */

/* 503 is of something that passes: a server that comes back, a queue that empties. */
static void reply(struct node_request *r, uint16_t status, str body) {
    struct net_field fields[] = {{STR("content-type"), STR("application/json; charset=utf-8")},
                                 {STR("x-request-id"), str_c(r->id)},
                                 {STR("cache-control"), STR("no-store")},
                                 {STR("retry-after"), STR("1")}};
    if (status == 405) fields[ARRAY_COUNT(fields) - 1] = (struct net_field){STR("allow"), STR("POST, OPTIONS")};
    err e =
        net_exchange_reply(r->exchange, status, fields, (uint32_t)ARRAY_COUNT(fields) - (status != 405 && status != 503), body);
    if (e != ERR_OK) log_event(LOG_DEBUG, "answer-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
}

static void put_or_null(struct json_writer *w, const char *key, const char *text) {
    if (text[0]) json_put_cstr(w, key, text);
    else json_put_null(w, key);
}

static void reply_error(struct node_request *r, uint16_t status, const struct pg_error *error) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "code", error->state);
    json_put_cstr(&w, "message", error->message);
    put_or_null(&w, "details", error->detail);
    put_or_null(&w, "hint", error->hint);
    json_put_end(&w);
    reply(r, status, buf_str(&b));
    buf_free(&b);
}

static void free_making(struct node_visit *v) {
    if (!v->making) return;
    buf_free(&v->making->body);
    buf_free(&v->making->tree);
    arena_free(v->making->mem);
    free(v->making);
    v->making = NULL;
}

static void count_body(struct node_visit *v, uint64_t bytes) {
    bodies += bytes - v->counted;
    v->app->bodies += bytes - v->counted;
    v->counted = bytes;
}

static void free_visit(struct node_visit *v) {
    count_body(v, 0);
    v->app->requests--;
    free_making(v);
    buf_free(&v->body);
    buf_free(&v->rest);
    arena_free(v->mem);
    free(v);
}

static void over(struct node_visit *v) {
    struct node_request *r = v->r;
    net_source_notify(net_exchange_source(r->exchange), NULL, NULL);
    net_sink_notify(net_exchange_sink(r->exchange), NULL, NULL);
    if (v->works) v->r = NULL; /* who works frees it */
    else free_visit(v);
    r->visit = NULL;
    r->handler->busy--;
    node_handler_over(r);
}

static struct node_visit *new_visit(struct node_request *r) {
    struct node_visit *v = calloc(1, sizeof *v);
    ENSURE(v);
    v->r = r;
    v->app = r->app;
    v->app->requests++; /* it stays as long as a thread reads what it exposes */
    r->visit = v;
    r->handler->busy++;
    return v;
}

/* ---- who asks ---- */

static bool has_role(const struct node_request *r) {
    str role = r->rq.principal.role;
    return role.n && !str_eqc(role, "anonymous");
}

/* The request's headers, as the setting request.headers has them: an object by their names in lower case. */
static str headers_of(const struct node_request *r, struct buf *b) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct json_writer w = json_writer_of(b);
    char name[128];
    json_put_object(&w, NULL);
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        str n = rq->fields[i].name, value = rq->fields[i].value;
        if (n.n >= sizeof name || b->n + n.n + value.n > HEADERS_BYTES_MAX || !str_is_utf8(value)) continue;
        for (size_t k = 0; k < n.n; k++) name[k] = (char)(n.p[k] | (n.p[k] >= 'A' && n.p[k] <= 'Z' ? 32 : 0));
        name[n.n] = 0;
        json_put_str(&w, name, value);
    }
    json_put_end(&w);
    return buf_str(b);
}

/* ---- REST ---- */

static uint32_t fields_of(struct node_request *r, const struct rest_response *x, struct net_field fields[static FIELDS_MAX]) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < x->fields_count; i++) {
        if (!net_field_value_ok(x->fields[i].value)) continue; /* it echoes what was asked, as a header cannot say it */
        fields[n++] = (struct net_field){x->fields[i].name, x->fields[i].value};
    }
    const struct net_field ours[] = {{STR("x-request-id"), str_c(r->id)}, {STR("cache-control"), STR("no-store")}};
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++) {
        bool said = false; /* by a function */
        for (uint32_t k = 0; k < n; k++) said |= str_eq_nocase(fields[k].name, ours[i].name);
        if (!said) fields[n++] = ours[i];
    }
    return n;
}

static void respond(struct node_request *r, const struct rest_response *x) {
    struct net_field fields[FIELDS_MAX];
    uint32_t n = fields_of(r, x, fields);
    err e = net_exchange_reply(r->exchange, x->status, fields, n, x->body);
    if (e != ERR_OK) log_event(LOG_DEBUG, "answer-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
}

static bool is_nobody(const struct node_request *r) { return !has_role(r) || str_eqc(r->rq.principal.role, "anon"); }

/* The request's own fields and path, as the REST room takes them: copies, as the request may go before the thread is done. */
static void begin_making(struct node_visit *v) {
    struct node_request *r = v->r;
    const struct net_request *rq = net_exchange_request(r->exchange);
    static const str usual[] = {STR_INIT("public"), STR_INIT("graphql_public")};
    const struct app_rest *rest = &v->app->record.rest;
    struct making *m = v->making = calloc(1, sizeof *m);
    ENSURE(m);
    m->mem = arena_new(0);
    m->body = v->body;
    v->body = (struct buf){0};
    m->options = (struct rest_options){.schemas = rest->schemas.n ? rest->schemas.p : usual,
                                       .schemas_count = rest->schemas.n ? rest->schemas.n : ARRAY_COUNT(usual),
                                       .aggregates = rest->aggregates,
                                       .explains = rest->plans || str_eqc(r->rq.principal.role, "service_role"),
                                       .no_openapi = rest->no_openapi,
                                       .root = rest->root,
                                       .terse = rest->terse,
                                       .undo = true,
                                       .target_names = true,
                                       .rows_max = (uint32_t)v->app->record.limits.rest_rows_max};
    size_t end = str_find(r->path, '?');
    struct rest_field *fields = arena_array(m->mem, struct rest_field, rq->fields_count + 1);
    for (uint32_t i = 0; i < rq->fields_count; i++)
        fields[i] = (struct rest_field){arena_str(m->mem, rq->fields[i].name), arena_str(m->mem, rq->fields[i].value)};
    m->asked = (struct rest_request){.method = arena_str(m->mem, rq->method),
                                     .path = arena_str(m->mem, str_sub(r->path, rest_at.n, end - rest_at.n)),
                                     .query = node_who_query(m->mem, rq, str_sub(r->path, end + 1, r->path.n)),
                                     .body = buf_str(&m->body),
                                     .fields = fields,
                                     .fields_count = rq->fields_count};
    v->cookies = rest_cookies(v->mem, &m->asked);
}

/* On a thread, perhaps: there a tree becomes the text by which it goes on, too. */
static void make(void *arg) {
    struct making *m = ((struct node_visit *)arg)->making;
    const struct app_record *record = &((struct node_visit *)arg)->app->record;
    m->ok = rest_plan_of(m->mem, &m->options, &m->asked, &m->plan, &m->error) &&
            node_computed_plan(m->mem, record, &m->plan, &m->computed, &m->error);
    if (m->ok && (m->body.n > LARGE_BYTES || m->computed.count)) query_put_batch(&m->tree, &m->plan.batch);
}

/* Functions of the app that are called as its database's, and columns that they compute. */
static void add_functions(struct node_visit *v) {
    const struct app_record *record = &v->app->record;
    str *names = arena_array(v->mem, str, record->functions.n + 1);
    bool *read = arena_array(v->mem, bool, record->functions.n + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < record->functions.n; i++)
        if (record->functions.p[i].rpc) read[n] = record->functions.p[i].rpc_reads, names[n++] = record->functions.p[i].name;
    v->plan->functions = names;
    v->plan->functions_read = read;
    v->plan->functions_count = n;
    struct rest_computed *computed = arena_array(v->mem, struct rest_computed, record->functions.n * APP_COMPUTED_MAX + 1);
    for (uint32_t i = 0; i < record->functions.n; i++)
        for (uint32_t k = 0; k < record->functions.p[i].computes.n; k++) {
            const struct app_computed *c = &record->functions.p[i].computes.p[k];
            if (!str_eq(c->schema, v->plan->schema)) continue;
            computed[v->plan->computed_count++] = (struct rest_computed){c->table, c->name, c->type};
        }
    v->plan->computed = computed;
}

static uint32_t how(const struct node_visit *v) {
    return (is_nobody(v->r) ? REST_NOBODY : 0) | (v->app->record.rest.terse ? REST_TERSE : 0);
}

/* Milliseconds: of the body and its tree, of the database with all that is before it, of the answer. */
static void add_timing(const struct node_visit *v, uint64_t told_ns, struct rest_response *x) {
    if (!v->app->record.rest.timed || x->fields_count == REST_FIELDS_MAX) return;
    double parse = (double)(v->asked_ns - v->begun_ns) / 1e6, took = (double)(told_ns - v->asked_ns) / 1e6;
    str said = arena_fmt(v->mem, "parse;dur=%.3f, transaction;dur=%.3f, response;dur=%.3f", parse, took,
                         (double)(clock_mono_ns() - told_ns) / 1e6);
    x->fields[x->fields_count++] = (struct rest_field){STR("Server-Timing"), said};
}

static void on_computed(void *arg, str body, const struct pg_error *error) {
    struct node_visit *v = arg;
    v->computing = NULL;
    if (error) rest_refuse(v->mem, error, how(v), &v->answer);
    else v->answer.body = body;
    add_timing(v, v->told_ns, &v->answer);
    respond(v->r, &v->answer);
    over(v);
}

/* False: it is answered later. */
static bool rest_told(struct node_visit *v, const struct node_query_answer *a) {
    struct rest_response *x = &v->answer;
    v->told_ns = clock_mono_ns();
    if (v->plan->action == REST_DESCRIBE) add_functions(v);
    if (a->ok) rest_answer_all(v->mem, v->plan, a->body, x);
    else rest_refuse(v->mem, a->error, how(v), x);
    if (UNLIKELY(v->computed.count) && a->ok && x->status < 300 && x->body.n) {
        v->query = NULL;
        v->computing = node_computed_ask(v->r, &v->computed, x->body, on_computed, v);
        for (uint32_t i = 0; i < x->fields_count; i++) /* what was told goes when this returns */
            x->fields[i] = (struct rest_field){arena_str(v->mem, x->fields[i].name), arena_str(v->mem, x->fields[i].value)};
        x->body = (str){0};
        return false;
    }
    add_timing(v, v->told_ns, x);
    respond(v->r, x);
    return true;
}

/* ---- an answer in parts ---- */

/* What is out of it is no answer: the client sees that by the end that is missing, and the log says why. */
static void broken(struct node_visit *v, const char *code, const char *why) {
    struct node_request *r = v->r;
    node_meter_inc(&node_part_meters(r->part)->counts.failures_response);
    log_event(LOG_WARN, "answer-broken", LF_CSTR("request", r->id), LF_CSTR("app", r->app->name), LF_CSTR("code", code),
              LF_CSTR("reason", why), LF_U64("bytes", v->bytes), LF_U64("client_ms", v->slow_ns / 1'000'000u));
    net_sink_abort(net_exchange_sink(r->exchange), NET_INTERNAL_ERROR);
    over(v);
}

static void count_slow(struct node_visit *v, bool room) {
    uint64_t now = clock_mono_ns();
    if (v->since_ns) v->slow_ns += now - v->since_ns;
    v->since_ns = room ? 0 : now;
}

/* As much as there is room for; then the next part. */
static void pump(void *arg) {
    struct node_visit *v = arg;
    struct net_sink *sink = net_exchange_sink(v->r->exchange);
    while (v->sent < v->piece.n) {
        size_t n = MIN(net_sink_room(sink), v->piece.n - v->sent);
        count_slow(v, n);
        if (!n || net_sink_write(sink, str_sub(v->piece, v->sent, n)) != ERR_OK) return; /* it is gone: that is said soon */
        v->sent += n, v->bytes += n;
    }
    v->piece = (str){0};
    v->sent = 0;
    if (v->query) {
        node_query_more(v->query);
        return;
    }
    err e = net_sink_finish(sink, NULL, 0);
    if (e != ERR_OK) log_event(LOG_DEBUG, "answer-not-sent", LF_CSTR("request", v->r->id), LF_CSTR("reason", err_text(e)));
    over(v);
}

/* The head, as the first part has it. False: it was answered otherwise, or nobody is there. */
static bool begin_parts(struct node_visit *v, str *bytes) {
    struct node_request *r = v->r;
    struct net_field fields[FIELDS_MAX] = {{STR("content-type"), STR("application/json; charset=utf-8")},
                                           {STR("x-request-id"), str_c(r->id)},
                                           {STR("cache-control"), STR("no-store")}};
    struct rest_response x = {.status = 200, .body = *bytes};
    uint32_t n = 3;
    struct query_head head;
    if (v->mem) {
        if (query_head_of(v->mem, *bytes, &head, bytes)) rest_answer(v->mem, v->plan, &head, *bytes, &x);
        add_timing(v, clock_mono_ns(), &x);
        n = fields_of(r, &x, fields);
    }
    v->streams = x.body.p == bytes->p && x.body.n == bytes->n;
    if (v->streams && net_exchange_respond(r->exchange, x.status, fields, n) == ERR_OK) {
        net_sink_notify(net_exchange_sink(r->exchange), pump, v);
        return true;
    }
    node_data_query_cancel(v->query);
    if (!v->streams) respond(r, &x); /* what a function said of its fields is none */
    over(v);
    return false;
}

static void on_part(void *arg, str bytes) {
    struct node_visit *v = arg;
    if (!v->streams && !begin_parts(v, &bytes)) return;
    v->piece = bytes;
    pump(v);
}

static void end_parts(struct node_visit *v, const struct node_query_answer *a) {
    v->query = NULL;
    if (!a->ok) {
        broken(v, a->error->state, a->error->message);
        return;
    }
    buf_puts(&v->rest, a->body);
    v->piece = buf_str(&v->rest);
    pump(v);
}

/* ---- asking ---- */

static void on_told(void *arg, const struct node_query_answer *a) {
    struct node_visit *v = arg;
    struct node_request *r = v->r;
    if (v->streams) {
        end_parts(v, a);
        return;
    }
    if (v->mem && !rest_told(v, a)) return;
    if (v->mem) {
    } else if (a->ok) reply(r, 200, a->body);
    else reply_error(r, rest_status_of(a->error, is_nobody(r)), a->error);
    over(v);
}

static void refuse_error(struct node_visit *v, const struct pg_error *error) {
    struct rest_response x;
    if (v->mem) rest_refuse(v->mem, error, how(v), &x), respond(v->r, &x);
    else reply_error(v->r, rest_status_of(error, is_nobody(v->r)), error);
    over(v);
}

/* "public", "extensions" */
static str search_of(const struct app_rest *rest, struct buf *b) {
    static const str usual[] = {STR_INIT("public"), STR_INIT("extensions")};
    const str *names = rest->search.n ? rest->search.p : usual;
    for (uint32_t i = 0; i < (rest->search.n ? rest->search.n : ARRAY_COUNT(usual)); i++) {
        buf_puts(b, i ? STR(", \"") : STR("\""));
        for (size_t k = 0; k < names[i].n; k++) {
            if (names[i].p[k] == '"') buf_putc(b, '"');
            buf_putc(b, names[i].p[k]);
        }
        buf_putc(b, '"');
    }
    return buf_str(b);
}

static void ask(struct node_visit *v) {
    struct node_request *r = v->r;
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct buf headers = {0}, search = {0};
    const struct app_rest *rest = &v->app->record.rest;
    char rows[24];
    snprintf(rows, sizeof rows, "%llu", (unsigned long long)v->app->record.limits.data_rows_max);
    const struct node_tree_ask to = {.role = has_role(r) ? r->rq.principal.role : STR("anon"),
                                     .claims = r->rq.principal.claims,
                                     .headers = headers_of(r, &headers),
                                     .cookies = v->cookies,
                                     .method = rq->method,
                                     .path = str_sub(r->path, 0, str_find(r->path, '?')),
                                     .before = rest->before,
                                     .search = search_of(rest, &search),
                                     .explains = rest->plans ? STR("1") : (str){0},
                                     .rows = v->making ? (str){0} : str_c(rows), /* what is made here is bounded already */
                                     .body = v->making ? buf_str(&v->making->tree) : buf_str(&v->body),
                                     .hops = app_request_change(r->exchange, v->app->record.id)};
    net_source_notify(net_exchange_source(r->exchange), NULL, NULL);
    v->asked_ns = clock_mono_ns();
    struct making *m = v->making;
    bool trees = m && !m->tree.n; /* that were not made text, on a thread or as functions compute of their rows */
    if (UNLIKELY(v->computed.count)) v->query = node_data_query(r->app, &to, on_told, v);
    else
        v->query =
            node_data_stream(r->app, &to, trees ? &m->plan.batch : NULL, trees ? m->mem : NULL, v->mem, 0, on_part, on_told, v);
    if (trees) m->mem = NULL;
    buf_free(&headers);
    buf_free(&search);
    buf_free(&v->body);
    free_making(v);
    count_body(v, 0); /* whoever asks has its own */
}

static void made(void *arg, bool ran) {
    static const struct pg_error busy = {.set = true, .state = "53300", .message = "too many bodies wait to be read"};
    struct node_visit *v = arg;
    struct making *m = v->making;
    v->works = false;
    if (!v->r) {
        free_visit(v);
        return;
    }
    if (!ran || !m->ok) {
        const struct pg_error error = ran ? m->error : busy;
        refuse_error(v, &error);
        return;
    }
    v->plan = arena_make(v->mem, struct rest_plan);
    *v->plan = m->plan;
    rest_plan_keep(v->mem, v->plan);
    v->computed = m->computed;
    for (uint32_t i = 0; i < v->computed.count; i++) v->computed.of[i].name = arena_str(v->mem, v->computed.of[i].name);
    ask(v);
}

/* Its body is there. */
static void whole(struct node_visit *v) {
    net_source_notify(net_exchange_source(v->r->exchange), NULL, NULL);
    if (!v->mem) {
        ask(v);
        return;
    }
    begin_making(v);
    if (v->making->body.n <= LARGE_BYTES) {
        make(v);
        made(v, true);
        return;
    }
    v->works = true;
    net_work_new(v->app->guest->loop, v->app->party, make, made, v);
}

static void refuse_body(struct node_visit *v, uint16_t status) {
    node_refuse(v->r, node_refusal_of_body(status ? status : 400));
    over(v);
}

/* False: there are so many large ones that there is no memory for it. */
static bool take_body(struct node_visit *v, str data) {
    buf_puts(&v->body, data);
    if (v->body.n > LARGE_BYTES) count_body(v, v->body.n);
    return !v->counted || (bodies <= BODIES_BYTES_MAX && v->app->bodies <= OF_APP_BYTES_MAX);
}

static void read_body(void *arg) {
    static const struct pg_error full = {
        .set = true, .state = "53200", .message = "too many large bodies at a time: ask again in a moment"};
    struct node_visit *v = arg;
    struct net_source *source = net_exchange_source(v->r->exchange);
    str data;
    for (;;) switch (net_source_peek(source, &data)) {
        case NET_FLOW_WAIT: return;
        case NET_FLOW_END: whole(v); return;
        case NET_FLOW_FAILED: refuse_body(v, net_exchange_body_status(v->r->exchange)); return;
        case NET_FLOW_DATA:
            if (v->body.n + data.n > BODY_BYTES_MAX) {
                refuse_body(v, 413);
                return;
            }
            if (!take_body(v, data)) {
                refuse_error(v, &full);
                return;
            }
            net_source_consume(source, data.n);
        }
}

static void begin(struct node_request *r, bool rest) {
    struct node_visit *v = new_visit(r);
    if (rest) v->mem = arena_new(0), v->begun_ns = clock_mono_ns();
    net_source_notify(net_exchange_source(r->exchange), read_body, v);
    read_body(v);
}

/* ---- changes ---- */

/* A value of the query, as it is written: names and numbers need no escapes. */
static str value_of(str query, str name) {
    while (query.n) {
        str one = str_sub(query, 0, str_find(query, '&'));
        query = str_sub(query, MIN(one.n + 1, query.n), query.n);
        size_t at = str_find(one, '=');
        if (at < one.n && str_eq(str_sub(one, 0, at), name)) return str_sub(one, at + 1, one.n);
    }
    return (str){0};
}

static bool number_of(str s, int64_t other, int64_t *out) {
    uint64_t n = 0;
    bool minus = s.n && s.p[0] == '-', ok = !s.n || (str_to_u64(str_sub(s, minus, s.n), &n) && n <= INT64_MAX);
    *out = !s.n ? other : minus ? -(int64_t)n : (int64_t)n;
    return ok;
}

/* GET /data/v1/changes?after=N&limit=M&consumer=NAME: for whoever has a key that no policy holds for. */
static void ask_changes(struct node_request *r) {
    static const struct pg_error denied = {.state = "42501",
                                           .message = "permission denied for changes of the database",
                                           .hint = "They tell of all rows: they are for the service_role alone."},
                                 wrong = {.state = "22023", .message = "after and limit are numbers"},
                                 ours = {.state = "22023", .message = "names that begin with trigger: are of functions"};
    str query = str_sub(r->path, MIN(str_find(r->path, '?') + 1, r->path.n), r->path.n);
    struct node_changes_ask ask = {.consumer = value_of(query, STR("consumer"))};
    bool may = str_eqc(r->rq.principal.role, "service_role");
    if (!may || !number_of(value_of(query, STR("after")), -1, &ask.after) ||
        !number_of(value_of(query, STR("limit")), 100, &ask.most)) {
        reply_error(r, may ? 400 : has_role(r) && !str_eqc(r->rq.principal.role, "anon") ? 403 : 401, may ? &wrong : &denied);
        node_handler_over(r);
        return;
    }
    if (str_starts(ask.consumer, STR("trigger:"))) {
        reply_error(r, 400, &ours);
        node_handler_over(r);
        return;
    }
    struct node_visit *v = new_visit(r);
    v->query = node_data_changes(r->app, &ask, on_told, v);
}

/* ---- who comes ---- */

void node_door_serve(struct node_request *r) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    str path = str_sub(r->path, 0, str_find(r->path, '?'));
    static const struct pg_error nothing = {.state = "PGRST125", .message = "Invalid path specified in request URL"},
                                 method = {.state = "PGRST117", .message = "Unsupported HTTP method: a query is a POST"};
    bool here = str_eqc(path, "/data/v1/query"), post = str_eqc(rq->method, "POST");
    bool rest = str_starts(path, rest_at) && (path.n == rest_at.n || path.p[rest_at.n] == '/');
    if (node_jwks_asked(r)) {
        node_jwks_serve(r);
        return;
    }
    if ((rest && !r->app->record.rest.off) || (here && post)) {
        begin(r, rest);
        return;
    }
    if (str_eqc(path, "/data/v1/changes") && str_eqc(rq->method, "GET")) {
        ask_changes(r);
        return;
    }
    reply_error(r, here ? 405 : 404, here ? &method : &nothing);
    node_handler_over(r);
}

/* What the REST room would do with the rows of an answer; the answer of a function of the app's is what it is. */
static bool is_of_rows(str name) {
    static const char *const words[] = {"select", "order", "limit", "offset", "columns"};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (str_eqc(name, words[i])) return true;
    return false;
}

bool node_door_is_call(struct node_request *r) {
    static const struct pg_error
        method = {.state = "PGRST117",
                  .message = "Unsupported HTTP method: a function of the app's is called by POST",
                  .hint = "One that changes nothing is called by GET, too, where its manifest says rpc = \"read\"."},
        rows = {.state = "PGRST127",
                .message = "Feature not implemented",
                .detail = "select, order, limit, offset and columns are not done with what a function of the app's answers",
                .hint = "Give it an argument of another name, and let the function see to it."};
    const struct net_request *rq = net_exchange_request(r->exchange);
    bool reads = str_eqc(rq->method, "GET") || str_eqc(rq->method, "HEAD"), wants_rows = false;
    bool call = str_eqc(rq->method, "POST") || (reads && r->part->function->rpc_reads);
    str query = str_sub(r->path, MIN(str_find(r->path, '?') + 1, r->path.n), r->path.n);
    for (str one, name, value; query.n;) {
        str_cut(query, '&', &one, &query);
        str_cut(one, '=', &name, &value);
        wants_rows |= is_of_rows(name);
    }
    if (call && !wants_rows) return true;
    reply_error(r, call ? 400 : 405, call ? &rows : &method);
    return false;
}

void node_door_event(struct node_request *r) {
    struct node_visit *v = r->visit;
    if (v->query) node_data_query_cancel(v->query);
    if (v->computing) node_computing_cancel(v->computing);
    if (v->streams && r->killed != BY_CLIENT) {
        count_slow(v, false);
        node_refusal_count(r, r->limit);
        broken(v, "57014",
               r->limit == NODE_REFUSE_LARGE_RESPONSE ? "it is larger than response_kb"
               : v->slow_ns / 1'000'000u > r->part->of.limits->handler_ms_max / 2
                   ? "timeout_ms is over: the client takes it too slowly"
                   : "timeout_ms is over");
        return;
    }
    if (r->killed != BY_CLIENT) node_refuse(r, r->limit);
    over(v);
}
