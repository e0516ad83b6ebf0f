/* jwks: an app's public keys, told to anybody: what others verify its tokens with (RFC 7517). */
#include "node/worker/handler_int.h"
#include "node/worker/keys.h"

bool node_jwks_asked(const struct node_request *r) { return str_starts(r->path, STR(NODE_JWKS_PATH)); }

void node_jwks_serve(struct node_request *r) {
    str method = net_exchange_request(r->exchange)->method;
    bool reads = str_eqc(method, "GET") || str_eqc(method, "HEAD");
    str body = r->app->keys ? node_keys_jwks(r->app->keys) : STR("{\"keys\":[]}");
    struct net_field fields[4] = {{STR("content-type"), STR("application/json")},
                                  {STR("x-request-id"), str_c(r->id)},
                                  {STR("cache-control"), STR("public, max-age=60")}};
    if (!reads) {
        body = STR("{\"code\":\"PGRST117\",\"message\":\"Unsupported HTTP method: keys are read\"}");
        fields[2] = (struct net_field){STR("allow"), STR("GET, HEAD, OPTIONS")};
    }
    err e = net_exchange_reply(r->exchange, reads ? 200 : 405, fields, 3, body);
    if (e != ERR_OK) log_event(LOG_DEBUG, "answer-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    node_handler_over(r);
}
