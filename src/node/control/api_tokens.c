/* api_tokens: the tokens that there are. */
#include "node/control/api_int.h"

static void put_time(struct json_writer *w, const char *key, uint64_t unix_s) {
    char text[API_TIME_BYTES];
    if (unix_s) json_put_cstr(w, key, node_api_time(unix_s, text));
}

static void put_token(struct json_writer *w, const struct control_token *t) {
    json_put_object(w, NULL);
    json_put_u64(w, "id", t->who.token);
    json_put_cstr(w, "scope", t->who.node ? "node" : "app");
    if (!t->who.node) json_put_str(w, "app", t->who.app);
    json_put_array(w, "hosts");
    for (uint32_t i = 0; i < t->who.hosts.n; i++) json_put_str(w, NULL, t->who.hosts.p[i]);
    json_put_end(w);
    json_put_bool(w, "read_only", t->who.read_only);
    put_time(w, "created", t->created_s);
    put_time(w, "last_used", t->last_used_s);
    put_time(w, "expires", t->expires_s);
    json_put_end(w);
}

void node_api_tokens(struct api_call *call) {
    json_put_object(&call->w, NULL);
    json_put_array(&call->w, "tokens");
    for (const struct control_token *t = node_tokens_all(call->control); t; t = t->next) put_token(&call->w, t);
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

/* *, HOST, *.HOST, in the form in which apps have them. */
static err read_hosts(struct api_call *call, struct token_scope *of, struct diag *d) {
    JSON_EACH(item, node_api_member(call, "hosts")) {
        str host = json_str(item);
        if (!str_eqc(host, "*")) TRY(app_host_parse(call->mem, host, &host, d));
        vec_push(call->mem, &of->hosts, host);
    }
    if (of->hosts.n && of->node)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "hosts are for a token of one app: a token of the node may give any");
    return ERR_OK;
}

void node_api_token_make(struct api_call *call) {
    struct diag d = DIAG_INIT;
    char text[TOKEN_TEXT_BYTES];
    uint32_t id;
    struct token_scope of = {.app = json_str(node_api_member(call, "app")),
                             .read_only = json_bool(node_api_member(call, "read_only"))};
    of.node = !of.app.n;
    err e = read_hosts(call, &of, &d);
    if (e == ERR_OK)
        e = node_tokens_make(call->control, &of, (uint64_t)json_i64(node_api_member(call, "expires_s")), &id, text, &d);
    if (e != ERR_OK) {
        node_api_fail(call, e, &d);
        return;
    }
    log_event(LOG_INFO, "token-made", LF_U64("token", id), LF_U64("by", call->who.token));
    json_put_object(&call->w, NULL);
    json_put_u64(&call->w, "id", id);
    json_put_cstr(&call->w, "token", text);
    json_put_end(&call->w);
    node_api_reply(call);
}

void node_api_token_revoke(struct api_call *call) {
    struct diag d = DIAG_INIT;
    uint64_t id = 0;
    ENSURE(str_to_u64(call->params[API_PARAM_token], &id));
    err e = id <= UINT32_MAX ? node_tokens_revoke(call->control, (uint32_t)id, &d) : ERR_NOT_FOUND;
    if (e == ERR_OK) log_event(LOG_INFO, "token-revoked", LF_U64("token", id), LF_U64("by", call->who.token));
    if (e == ERR_OK) node_api_empty(call);
    else node_api_fail(call, e, &d);
}
