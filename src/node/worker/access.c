/* access: what the log has of requests: a line of each, if that is asked for, and one more of each that a guest failed. */
#include "net/loop.h"
#include "node/worker/handler_int.h"

void node_access_log(struct node_request *r) {
    if (!r->handler->access_log) return;
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct net_exchange_stats stats = net_exchange_stats(r->exchange);
    uint64_t us = (clock_mono_ns() - r->started_ns) / 1000;
    log_event(LOG_INFO, "request", LF_CSTR("request", r->id), LF_CSTR("app", r->part ? r->part->app->name : ""),
              LF_STR("method", rq->method), LF_STR("path", rq->path),
              LF_U64("status", r->killed == BY_CLIENT ? 499 : stats.status), LF_U64("bytes_in", stats.body_bytes_in),
              LF_U64("bytes_out", stats.body_bytes_out), LF_F64("ms", (double)us / 1000.0),
              LF_STR("client", net_exchange_peer(r->exchange)));
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

void node_access_failure(struct node_request *r, const struct wasi_outcome *o, bool head_sent) {
    const char *why = r->killed == BY_DEADLINE ? "the guest passed its deadline" : end_text[o->end];
    const char *detail = o->text[0] ? o->text : o->trap ? (o->trap->text[0] ? o->trap->text : abi_trap_text(o->trap->trap)) : "";
    struct buf trace = {.max = 16 * KiB};
    struct log_field fields[8] = {LF_CSTR("request", r->id), LF_CSTR("app", r->part->app->name), LF_CSTR("reason", why),
                                  LF_BOOL("head_sent", head_sent)};
    size_t n = 4;
    if (detail[0]) fields[n++] = LF_CSTR("detail", detail);
    if (o->end == WASI_END_EXIT) fields[n++] = LF_I64("exit_status", o->exit_status);
    if (r->err.last_n) fields[n++] = LF_LINES("stderr", ((str){(uint8_t *)r->err.last, r->err.last_n - 1}));
    if (o->trap) {
        node_backtrace_lines(o->trap, &trace);
        fields[n++] = LF_LINES("backtrace", buf_str(&trace));
    }
    log_emit(LOG_ERROR, "guest-failed", fields, n);
    buf_free(&trace);
}
