/* api_certificates: who the node is by TLS, and what becomes of that. */
#include "node/control/acme.h"
#include "node/control/api_int.h"

enum { NOTES_MAX = 20 };

static int64_t now_s(void) { return (int64_t)(clock_wall_ns() / 1'000'000'000u); }

static void put_time(struct json_writer *w, const char *key, int64_t unix_s) {
    char text[API_TIME_BYTES];
    if (unix_s > 0 && unix_s < 253'402'300'800) json_put_cstr(w, key, node_api_time((uint64_t)unix_s, text));
}

static void put_certificate(void *arg, const struct control_acme_cert *cert) {
    struct json_writer *w = &((struct api_call *)arg)->w;
    json_put_object(w, NULL);
    json_put_str(w, "host", cert->host);
    json_put_cstr(w, "state", node_acme_state_text(cert->state));
    if (cert->app.n) json_put_str(w, "app", cert->app);
    if (cert->from.n) json_put_str(w, "from", cert->from);
    put_time(w, "not_after", cert->not_after_s);
    if (cert->not_after_s) json_put_u64(w, "days_left", (uint64_t)(MAX(cert->not_after_s - now_s(), (int64_t)0) / 86'400));
    put_time(w, "renew_at", cert->renew_s);
    put_time(w, "next_try", cert->next_s);
    json_put_u64(w, "failures", cert->failures);
    if (cert->why.n) json_put_str(w, "error", cert->why);
    if (cert->why.n) put_time(w, "error_at", cert->why_s);
    json_put_end(w);
}

void node_api_certificates(struct api_call *call) {
    json_put_object(&call->w, NULL);
    json_put_array(&call->w, "certificates");
    node_acme_each(call->control, put_certificate, call);
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

void node_api_certificate_renew(struct api_call *call) {
    struct diag d = DIAG_INIT;
    err e = node_acme_renew(call->control, call->params[API_PARAM_host], &d);
    if (e == ERR_OK) node_api_empty(call);
    else node_api_fail(call, e, &d);
}

/* ---- what an operator should know ---- */

struct noting {
    struct api_call *call;
    uint32_t n;
};

static void note(struct noting *k, const struct control_acme_cert *cert, const char *what) {
    if (k->n++ >= NOTES_MAX) return;
    struct json_writer *w = &k->call->w;
    json_put_object(w, NULL);
    if (cert->app.n) json_put_str(w, "app", cert->app);
    json_put_str(w, "text", arena_fmt(k->call->mem, STR_FMT ": %s" STR_FMT, STR_ARG(cert->host), what, STR_ARG(cert->why)));
    json_put_end(w);
}

static void note_one(void *arg, const struct control_acme_cert *cert) {
    struct noting *k = arg;
    char text[200], when[API_TIME_BYTES];
    int64_t left = cert->not_after_s - now_s();
    bool mine = k->call->who.node || (cert->app.n && str_eq(k->call->who.app, cert->app));
    if (!mine || cert->state != CONTROL_ACME_FAILED) return;
    snprintf(text, sizeof text, "%s; next try %s: ",
             !cert->not_after_s ? "there is no certificate yet"
             : left > 0         ? "the certificate was not renewed, and the old one is served"
                                : "the certificate has expired, and was not renewed",
             cert->next_s > 0 ? node_api_time((uint64_t)cert->next_s, when) : "soon");
    note(k, cert, text);
}

void node_api_put_certificates(struct api_call *call) {
    struct noting k = {.call = call};
    node_acme_each(call->control, note_one, &k);
}
