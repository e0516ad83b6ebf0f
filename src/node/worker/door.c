/* door: POST /data/v1/query at the app's own host: a query tree, or a batch of them, for whoever has a token of the app's (who.c).
 *
 *   serve ──> READS its body ──> ASKS (query.h) ──> answered
 *                │                  └─ the client is gone, or it takes too long: nobody waits for it any more
 *                └─ too large, malformed: refused
 *
 * Answered is {"body", "count", "affected"…} as query_result_write has it, or {"code", "message", "details", "hint"} with the status that
 * PostgREST gives for such an SQLSTATE.
 */
#include "base/json.h"
#include "node/worker/handler_int.h"
#include "node/worker/query.h"
#include <stdlib.h>

enum { BODY_BYTES_MAX = 16 << 20, HEADERS_BYTES_MAX = 32 << 10 };

struct node_visit {
    struct node_request *r;
    struct buf body;
    struct node_query *query; /* NULL: its body is still to come */
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

static uint16_t status_of(const struct pg_error *error, bool nobody) {
    static const struct {
        const char *state;
        uint16_t status;
    } rows[] = {
#define X(state, status) {state, status},
#include "node/worker/sqlstate.def"
#undef X
    };
    size_t i = 0;
    while (!str_starts(str_c(error->state), str_c(rows[i].state))) i++;
    return nobody && !strcmp(error->state, "42501") ? 401 : rows[i].status;
}

static void over(struct node_visit *v) {
    struct node_request *r = v->r;
    net_source_notify(net_exchange_source(r->exchange), NULL, NULL);
    buf_free(&v->body);
    free(v);
    r->visit = NULL;
    r->handler->busy--;
    node_handler_over(r);
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

/* ---- asking ---- */

static void on_told(void *arg, const struct node_query_answer *a) {
    struct node_visit *v = arg;
    struct node_request *r = v->r;
    if (a->ok) reply(r, 200, a->body);
    else reply_error(r, status_of(a->error, !has_role(r) || str_eqc(r->rq.principal.role, "anon")), a->error);
    over(v);
}

static void ask(struct node_visit *v) {
    struct node_request *r = v->r;
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct buf headers = {0};
    const struct node_tree_ask to = {.role = has_role(r) ? r->rq.principal.role : STR("anon"),
                                     .claims = r->rq.principal.claims,
                                     .headers = headers_of(r, &headers),
                                     .method = rq->method,
                                     .path = str_sub(r->path, 0, str_find(r->path, '?')),
                                     .body = buf_str(&v->body)};
    net_source_notify(net_exchange_source(r->exchange), NULL, NULL);
    v->query = node_data_query(r->app, &to, on_told, v);
    buf_free(&headers);
    buf_free(&v->body);
}

static void refuse_body(struct node_visit *v, uint16_t status) {
    node_refuse(v->r, node_refusal_of_body(status ? status : 400));
    over(v);
}

static void read_body(void *arg) {
    struct node_visit *v = arg;
    struct net_source *source = net_exchange_source(v->r->exchange);
    str data;
    for (;;) switch (net_source_peek(source, &data)) {
        case NET_FLOW_WAIT: return;
        case NET_FLOW_END: ask(v); return;
        case NET_FLOW_FAILED: refuse_body(v, net_exchange_body_status(v->r->exchange)); return;
        case NET_FLOW_DATA:
            if (v->body.n + data.n > BODY_BYTES_MAX) {
                refuse_body(v, 413);
                return;
            }
            buf_puts(&v->body, data);
            net_source_consume(source, data.n);
        }
}

static void begin(struct node_request *r) {
    struct node_visit *v = calloc(1, sizeof *v);
    ENSURE(v);
    v->r = r;
    r->visit = v;
    r->handler->busy++;
    net_source_notify(net_exchange_source(r->exchange), read_body, v);
    read_body(v);
}

/* ---- who comes ---- */

void node_door_serve(struct node_request *r) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    str path = str_sub(r->path, 0, str_find(r->path, '?'));
    static const struct pg_error nothing = {.state = "PGRST125", .message = "Invalid path specified in request URL"},
                                 method = {.state = "PGRST117", .message = "Unsupported HTTP method: a query is a POST"};
    bool here = str_eqc(path, "/data/v1/query"), post = str_eqc(rq->method, "POST");
    if (here && post) {
        begin(r);
        return;
    }
    reply_error(r, here ? 405 : 404, here ? &method : &nothing);
    node_handler_over(r);
}

void node_door_event(struct node_request *r) {
    struct node_visit *v = r->visit;
    if (v->query) node_data_query_cancel(v->query);
    if (r->killed != BY_CLIENT) node_refuse(r, r->limit);
    over(v);
}
