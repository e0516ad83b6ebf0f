/* proofs: what an authority asks for, to see that a host is here (http-01, RFC 8555 §8.3), while that is under way; before any route, and before any other worker.
 * Whatever else is asked for below that path is the app's own. */
#include "node/worker/handler_int.h"

void node_handler_proofs(struct node_handler *h, str table) {
    h->proofs.n = 0;
    buf_puts(&h->proofs, table);
    if (!table.n) buf_free(&h->proofs);
}

static str without_port(str authority) {
    size_t n = authority.n;
    while (n && authority.p[n - 1] >= '0' && authority.p[n - 1] <= '9') n--;
    return n && authority.p[n - 1] == ':' ? str_sub(authority, 0, n - 1) : authority;
}

bool node_proofs_answer(struct node_request *r) {
    static const str at = STR_INIT("/.well-known/acme-challenge/");
    const struct net_request *rq = net_exchange_request(r->exchange);
    str rest = buf_str(&r->handler->proofs), host, token, proof;
    if (!str_starts(rq->path, at) || !(str_eqc(rq->method, "GET") || str_eqc(rq->method, "HEAD"))) return false;
    str asked = str_sub(rq->path, at.n, rq->path.n), at_host = without_port(rq->authority);
    while (rest.n) {
        str_cut(rest, '\n', &host, &rest), str_cut(rest, '\n', &token, &rest), str_cut(rest, '\n', &proof, &rest);
        if (!str_eq(token, asked) || !str_eq_nocase(host, at_host)) continue;
        struct net_field fields[] = {{STR("content-type"), STR("application/octet-stream")},
                                     {STR("cache-control"), STR("no-store")},
                                     {STR("x-request-id"), str_c(r->id)}};
        err e = net_exchange_reply(r->exchange, 200, fields, ARRAY_COUNT(fields), proof);
        if (e != ERR_OK) log_event(LOG_DEBUG, "proof-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
        node_handler_answered(r);
        return true;
    }
    return false;
}
