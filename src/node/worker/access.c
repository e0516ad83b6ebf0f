/* access: what the log has of requests: a line of each, if that is asked for, and one more of each that a guest failed. */
#include "net/loop.h"
#include "node/meters.h"
#include "node/worker/handler_int.h"

static void count(struct node_request *r, const struct net_exchange_stats *stats, uint16_t status, uint64_t ns) {
    if (!r->app) {
        node_meter_inc(&node_meters->worker.no_app);
        return;
    }
    struct node_meter_call *m = &(r->part ? node_part_meters(r->part) : node_app_meters(r->app))->counts;
    node_meter_status(m, status);
    node_meter_time(&m->duration, ns);
    node_meter_add(&m->bytes_in, stats->body_bytes_in);
    node_meter_add(&m->bytes_out, stats->body_bytes_out);
}

/* What opens doors: a key may come in the query, mails' links have a token that is good until the button is pressed, and a provider of identities sends a user back
 * with a code (auth: only there is that word one). 0: none begins here. */
static size_t secret_at(str text, bool auth) {
    static const str words[] = {STR_INIT("apikey="), STR_INIT("token="), STR_INIT("token_hash="), STR_INIT("code="),
                                STR_INIT("state=")};
    for (size_t i = 0; i < ARRAY_COUNT(words) - (auth ? 0u : 2u); i++)
        if (str_starts(text, words[i])) return words[i].n;
    return 0;
}

/* Without that. Text in b. */
static str shown(str path, struct buf *b) {
    size_t at = str_find(path, '?'), n;
    bool auth = str_starts(path, STR("/auth/v1/"));
    while (at < path.n && !secret_at(str_sub(path, at + 1, path.n), auth)) at += 1 + str_find(str_sub(path, at + 1, path.n), '&');
    if (LIKELY(at >= path.n)) return path;
    for (str rest = path; rest.n;) {
        bool begins = rest.p[0] == '?' || rest.p[0] == '&';
        buf_putc(b, rest.p[0]);
        rest = str_sub(rest, 1, rest.n);
        if (!begins || !(n = secret_at(rest, auth))) continue;
        buf_puts(b, str_sub(rest, 0, n));
        buf_puts(b, STR("***"));
        rest = str_sub(rest, str_find(rest, '&'), rest.n);
    }
    return buf_str(b);
}

void node_access_end(struct node_request *r) {
    struct net_exchange_stats stats = net_exchange_stats(r->exchange);
    uint64_t ns = clock_mono_ns() - r->started_ns, us = ns / 1000;
    uint16_t status = r->killed == BY_CLIENT && !r->concluded ? 499 : r->refused ? r->refused : stats.status;
    count(r, &stats, status, ns);
    node_trace_end(r, status, ns);
    if (!r->handler->access_log) return;
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct buf path = {0};
    log_event(LOG_INFO, "request", LF_CSTR("request", r->id), LF_CSTR("app", r->app ? r->app->name : ""),
              LF_STR("function", r->part ? r->part->name : STR("")), LF_STR("method", rq->method),
              LF_STR("path", shown(r->path, &path)), LF_U64("status", status), LF_U64("bytes_in", stats.body_bytes_in),
              LF_U64("bytes_out", stats.body_bytes_out), LF_F64("ms", (double)us / 1000.0),
              LF_STR("client", net_exchange_peer(r->exchange)));
    buf_free(&path);
}

void node_handler_refused(str peer, uint16_t status, const char *why, void *handler) {
    const struct node_handler *h = handler;
    if (!h->access_log) return;
    log_event(LOG_INFO, "request-refused", LF_U64("status", status), LF_CSTR("reason", why), LF_STR("client", peer));
    net_loop_wake(h->guest->loop); /* whose turn writes the line */
}

static const char *const end_text[] = {
    [WASI_END_OK] = "ok",
    [WASI_END_TRAP] = "the guest trapped",
    [WASI_END_EXIT] = "the guest exited before its response was whole",
    [WASI_END_NO_RESPONSE] = "the guest returned without a whole response",
    [WASI_END_BAD_RESPONSE] = "the guest's response is malformed",
    [WASI_END_ERROR] = "the guest reported an error",
    [WASI_END_CLIENT_GONE] = "the client went away",
    [WASI_END_KILLED] = "the guest was stopped",
    [WASI_END_LIMIT] = "the guest passed a limit",
    [WASI_END_REDIRECT] = "the guest redirects in a circle",
    [WASI_END_BAD_REQUEST] = "the client's request is malformed",
};

static uint64_t *failures_of(struct node_meter_call *m, const struct node_request *r, enum wasi_end end) {
    if (r->killed == BY_LIMIT)
        return r->limit == NODE_REFUSE_DEADLINE || r->limit == NODE_REFUSE_STREAM ? &m->failures_deadline : &m->failures_limit;
    switch (end) {
    case WASI_END_TRAP: return &m->failures_trap;
    case WASI_END_EXIT: return &m->failures_exit;
    case WASI_END_NO_RESPONSE:
    case WASI_END_BAD_RESPONSE: return &m->failures_response;
    case WASI_END_LIMIT: return &m->failures_limit;
    default: return &m->failures_other;
    }
}

static const char *limit_text(enum node_refusal limit) {
    return limit == NODE_REFUSE_DEADLINE || limit == NODE_REFUSE_STREAM ? "the guest passed its deadline"
           : limit == NODE_REFUSE_CPU                                   ? "the guest computed for longer than it may"
                                                                        : "the guest's response is larger than it may be";
}

const char *node_access_why(const struct node_request *r, const struct wasi_outcome *o) {
    return r->killed == BY_LIMIT ? limit_text(r->limit) : end_text[o->end];
}

const char *node_access_detail(const struct wasi_outcome *o) {
    return o->text[0] ? o->text : o->trap ? (o->trap->text[0] ? o->trap->text : abi_trap_text(o->trap->trap)) : "";
}

void node_access_failure(struct node_request *r, const struct wasi_outcome *o, bool head_sent) {
    r->failure = r->killed == BY_LIMIT ? "the guest passed a limit" : end_text[o->end];
    node_meter_inc(failures_of(&node_part_meters(r->part)->counts, r, o->end));
    const char *why = node_access_why(r, o), *detail = node_access_detail(o);
    struct buf trace = {.max = 16 * KiB};
    struct node_limit limit = node_limit_of(r, node_refusal_of(r, o));
    arena *scratch = arena_new(0);
    struct log_field fields[10] = {LF_CSTR("request", r->id), LF_CSTR("app", r->app->name), LF_STR("function", r->part->name),
                                   LF_CSTR("reason", why), LF_BOOL("head_sent", head_sent)};
    size_t n = 5;
    if (limit.id != APP_SETTING_NONE) fields[n++] = LF_STR("limit", app_setting_said(scratch, limit.id, limit.value));
    if (detail[0]) fields[n++] = LF_CSTR("detail", detail);
    if (o->end == WASI_END_EXIT) fields[n++] = LF_I64("exit_status", o->exit_status);
    if (r->err.last_n) fields[n++] = LF_LINES("stderr", ((str){(uint8_t *)r->err.last, r->err.last_n - 1}));
    if (o->trap) {
        node_backtrace_lines(o->trap, &trace);
        fields[n++] = LF_LINES("backtrace", buf_str(&trace));
    }
    log_emit(LOG_ERROR, "guest-failed", fields, n);
    arena_free(scratch);
    buf_free(&trace);
}
