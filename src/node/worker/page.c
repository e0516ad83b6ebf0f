/* page: what is answered in an app's place: error pages and refusals, in the form the client asked for.
 *
 * 1. A page has the request's id, and nothing of the guest's insides.
 */
#include "base/json.h"
#include "node/worker/handler_int.h"

static bool wants(const struct net_request *rq, const char *type) {
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        if (!str_eq_nocase(rq->fields[i].name, STR("accept"))) continue;
        str v = rq->fields[i].value, t = str_c(type);
        for (size_t k = 0; k + t.n <= v.n; k++)
            if (str_eq_nocase(str_sub(v, k, t.n), t)) return true;
    }
    return false;
}

static const char *put_page(const struct node_request *r, struct buf *page, uint16_t status, const char *what) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    const char *reason = net_status_text(status);
    if (wants(rq, "text/html")) {
        buf_printf(page,
                   "<!doctype html><meta charset=utf-8><title>%u %s</title>"
                   "<body style=\"font:16px/1.5 system-ui;max-width:36em;margin:4em auto;padding:0 1em\">"
                   "<h1>%u %s</h1><p>%s<p><small>Request <code>%s</code></small>\n",
                   status, reason, status, reason, what, r->id);
        return "text/html; charset=utf-8";
    }
    if (wants(rq, "json")) {
        struct json_writer w = json_writer_of(page);
        json_put_object(&w, NULL);
        json_put_u64(&w, "status", status);
        json_put_cstr(&w, "error", reason);
        json_put_cstr(&w, "message", what);
        json_put_cstr(&w, "request_id", r->id);
        json_put_end(&w);
        buf_putc(page, '\n');
        return "application/json";
    }
    buf_printf(page, "%u %s\n%s\nRequest %s\n", status, reason, what, r->id);
    return "text/plain; charset=utf-8";
}

void node_page_reply(struct node_request *r, uint16_t status, const char *what) {
    uint8_t storage[1024];
    struct buf page = BUF_FIXED(storage);
    const char *type = put_page(r, &page, status, what);
    ENSURE(!page.full);
    struct net_field fields[] = {
        {STR("content-type"), str_c(type)},
        {STR("x-request-id"), str_c(r->id)},
        {STR("cache-control"), STR("no-store")},
        {STR("retry-after"), STR("1")},
    };
    uint32_t count = (uint32_t)ARRAY_COUNT(fields) - (status != 503);
    err e = net_exchange_reply(r->exchange, status, fields, count, buf_str(&page));
    if (e != ERR_OK) log_event(LOG_DEBUG, "error-page-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
}

const char *node_page_body_text(uint16_t status) {
    return status == 413   ? "The request's body is too large."
           : status == 408 ? "The request's body took too long."
                           : "The request's body is malformed.";
}

void node_page_failure(struct node_request *r, const struct wasi_outcome *o, uint16_t bad_body) {
    if (bad_body) node_page_reply(r, bad_body, node_page_body_text(bad_body));
    else if (r->killed == BY_DEADLINE) node_page_reply(r, 504, "The app took too long to answer.");
    else if (o->end == WASI_END_LIMIT) node_page_reply(r, 500, "The app needed more than it may use.");
    else node_page_reply(r, 500, "The app failed to answer.");
}

void node_page_no_instance(struct node_request *r) {
    struct node_app *app = r->app;
    if (r->part->state != NODE_PART_READY) { /* why, stands in the log */
        node_page_reply(r, 503, "The app is not there yet. Try again.");
        return;
    }
    struct buf why = {.max = 300};
    node_guest_refusal(r->handler->guest, &why);
    log_event(LOG_WARN, "no-instance", LF_CSTR("request", r->id), LF_CSTR("app", app->name), LF_STR("reason", buf_str(&why)));
    char page[400];
    snprintf(page, sizeof page, "No instance is free: " STR_FMT ". Try again.", STR_ARG(buf_str(&why)));
    node_page_reply(r, 503, page);
    buf_free(&why);
}
