/* api_who: whose call it is, and whether he may.
 *
 * A token that is none costs: who brings such ones again and again, from one address, is told to wait. It holds nobody else up, and no token that
 * works is ever refused for it: 32 random bytes are not found by trying, and this is for the processor's and the log's sake.
 */
#include "node/control/api_int.h"
#include <stdlib.h>

enum { PLACES = 64, FAILURES_MAX = 10, SECOND_MS = 1000 };

struct api_failures {
    struct {
        char peer[48];
        uint32_t count; /* each second takes one away */
        uint64_t at_ms;
    } of[PLACES];
};

struct api_failures *node_api_failures_new(void) {
    struct api_failures *f = calloc(1, sizeof *f);
    ENSURE(f);
    return f;
}

/* Another one of that place. False: there were too many. */
static bool note_failure(struct api_failures *f, str peer, uint64_t now_ms) {
    size_t at = 0;
    for (size_t i = 0; i < PLACES; i++) {
        if (str_eqc(peer, f->of[i].peer)) {
            at = i;
            break;
        }
        if (f->of[i].at_ms < f->of[at].at_ms) at = i;
    }
    if (!str_eqc(peer, f->of[at].peer)) {
        snprintf(f->of[at].peer, sizeof f->of[at].peer, STR_FMT, STR_ARG(peer));
        f->of[at].count = 0;
        f->of[at].at_ms = now_ms;
    }
    uint64_t gone = (now_ms - f->of[at].at_ms) / SECOND_MS;
    f->of[at].count -= (uint32_t)MIN(gone, (uint64_t)f->of[at].count);
    f->of[at].at_ms += gone * SECOND_MS;
    if (!f->of[at].count) f->of[at].at_ms = now_ms;
    if (f->of[at].count >= FAILURES_MAX) return false;
    f->of[at].count++;
    return true;
}

static bool refuse(struct api_call *call, uint16_t status, const char *code, const char *message) {
    node_api_refuse(call,
                    &(struct api_problem){.status = status, .code = code, .message = str_c(message), .retry_s = status == 429});
    return false;
}

static bool is_nobody(struct api_call *call, struct api_failures *failures, bool expired) {
    if (!note_failure(failures, net_exchange_peer(call->x), net_loop_now_ns(call->control->loop) / 1000000u))
        return refuse(call, 429, "rate", "too many tokens that are none came from there; try again later");
    log_event(LOG_WARN, "token-refused", LF_STR("peer", net_exchange_peer(call->x)), LF_CSTR("call", call->row->name),
              LF_CSTR("reason", expired ? "expired" : "unknown"));
    if (expired) return refuse(call, 401, "token_expired", "this token has expired; ask for another");
    return refuse(call, 401, "token", "this token is none, or was revoked; orlo tokens create makes one, where the node runs");
}

/* False: none was brought. */
static bool bearer(const struct net_request *rq, str *token) {
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        str kind, text;
        if (!str_eq_nocase(rq->fields[i].name, STR("authorization"))) continue;
        str_cut(rq->fields[i].value, ' ', &kind, &text);
        *token = str_trim(text);
        return str_eq_nocase(kind, STR("bearer"));
    }
    return false;
}

static bool may(struct api_call *call) {
    const struct token_scope *who = &call->who;
    enum api_access access = call->row->access;
    bool of_app = access == API_READ_APP || access == API_WRITE_APP,
         of_node = access == API_READ_NODE || access == API_WRITE_NODE;
    bool writes = access == API_WRITE_APP || access == API_WRITE_NODE;
    if (of_node && !who->node) return refuse(call, 403, "denied", "this token is for one app, and that is the node's affair");
    if (of_app && !who->node && !str_eq(who->app, call->params[API_PARAM_app]))
        return refuse(call, 403, "denied", "this token is another app's");
    if (writes && who->read_only) return refuse(call, 403, "read_only", "this token is for reading only");
    return true;
}

bool node_api_admit(struct api_call *call, struct api_failures *failures) {
    str text;
    bool expired;
    if (call->row->access == API_OPEN) return true;
    if (!bearer(net_exchange_request(call->x), &text)) return refuse(call, 401, "token", "who asks? authorization: Bearer TOKEN");
    const struct control_token *t = node_tokens_find(call->control, text, &expired);
    if (!t) return is_nobody(call, failures, expired);
    call->who = (struct token_scope){.token = t->who.token, .node = t->who.node, .read_only = t->who.read_only};
    call->who.app = arena_str(call->mem, t->who.app); /* it may be revoked while the call lasts */
    for (uint32_t i = 0; i < t->who.hosts.n; i++) vec_push(call->mem, &call->who.hosts, arena_str(call->mem, t->who.hosts.p[i]));
    return may(call);
}
