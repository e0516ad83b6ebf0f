/* api_keys: what an app's callers are known by (keys.h). */
#include "node/control/api_int.h"
#include "node/control/keys.h"

enum { DAY_S = 24 * 3600, HOUR_S = 3600 };

static void put_time(struct json_writer *w, const char *key, uint64_t unix_s) {
    char text[API_TIME_BYTES];
    if (unix_s) json_put_cstr(w, key, node_api_time(unix_s, text));
}

/* ---- as they are told ---- */

static bool list(struct api_call *call, struct control_key_list *l) {
    struct diag d = DIAG_INIT;
    err e = node_keys_list(call->control, call->mem, call->params[API_PARAM_app], l, &d);
    if (e != ERR_OK) node_api_fail(call, e, &d);
    return e == ERR_OK;
}

static void put_opaque(struct json_writer *w, const struct control_opaque_key *k) {
    json_put_object(w, NULL);
    json_put_u64(w, "id", k->id);
    json_put_str(w, "name", k->name);
    json_put_cstr(w, "type", k->secret ? "secret" : "publishable");
    json_put_str(w, "begin", k->begin);
    put_time(w, "created", k->created_s);
    put_time(w, "last_used", k->last_used_s);
    put_time(w, "expires", k->expires_s);
    json_put_end(w);
}

void node_api_api_keys(struct api_call *call) {
    struct control_key_list l;
    if (!list(call, &l)) return;
    json_put_object(&call->w, NULL);
    json_put_array(&call->w, "keys");
    for (uint32_t i = 0; i < l.opaque.n; i++) put_opaque(&call->w, &l.opaque.p[i]);
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

static void put_signing(struct json_writer *w, const struct control_signing_key *k) {
    json_put_object(w, NULL);
    json_put_u64(w, "id", k->id);
    json_put_str(w, "kid", k->kid);
    json_put_cstr(w, "algorithm", node_key_algorithm_text(k->algorithm));
    json_put_cstr(w, "state", node_key_state_text(k->state));
    put_time(w, "created", k->created_s);
    put_time(w, "changed", k->changed_s);
    json_put_end(w);
}

void node_api_signing_keys(struct api_call *call) {
    struct control_key_list l;
    if (!list(call, &l)) return;
    json_put_object(&call->w, NULL);
    json_put_array(&call->w, "keys");
    for (uint32_t i = 0; i < l.signing.n; i++) put_signing(&call->w, &l.signing.p[i]);
    json_put_end(&call->w);
    json_put_end(&call->w);
    node_api_reply(call);
}

/* ---- changes ---- */

/* The member is what the row's answer calls it. */
static void told(void *arg, const struct control_result *r) {
    struct api_call *call = arg;
    const char *const member = call->state;
    if (r->err != ERR_OK) {
        node_api_fail(call, r->err, r->d);
        return;
    }
    if (!member) {
        node_api_empty(call);
        return;
    }
    json_put_object(&call->w, NULL);
    json_put_str(&call->w, member, r->text);
    json_put_end(&call->w);
    node_api_reply(call);
}

static void change(struct api_call *call, struct control_key_wanted w, const char *member) {
    uint64_t id = 0;
    w.app = call->params[API_PARAM_app];
    if (call->params[API_PARAM_key].n) ENSURE(str_to_u64(call->params[API_PARAM_key], &id));
    w.id = (uint32_t)id;
    call->state = (void *)(uintptr_t)member;
    node_keys_change(call->control, &w, told, call);
}

void node_api_api_key_make(struct api_call *call) {
    change(call,
           (struct control_key_wanted){.does = CONTROL_MAKE_OPAQUE,
                                       .name = json_str(node_api_member(call, "name")),
                                       .secret = str_eqc(json_str(node_api_member(call, "type")), "secret"),
                                       .value = json_str(node_api_member(call, "key")),
                                       .expires_s = (uint64_t)json_i64(node_api_member(call, "expires_s"))},
           "key");
}

void node_api_api_key_rotate(struct api_call *call) {
    const struct json *overlap = node_api_member(call, "overlap_s");
    change(call,
           (struct control_key_wanted){.does = CONTROL_ROTATE_OPAQUE, .overlap_s = overlap ? (uint64_t)json_i64(overlap) : DAY_S},
           "key");
}

void node_api_api_key_revoke(struct api_call *call) {
    change(call, (struct control_key_wanted){.does = CONTROL_REVOKE_OPAQUE}, NULL);
}

static enum node_key_algorithm algorithm(const struct api_call *call) {
    enum node_key_algorithm a;
    return node_key_algorithm_named(json_str(node_api_member(call, "algorithm")), &a) ? a : NODE_KEY_ES256;
}

/* As it is; in base64url, of a pair; or as a JWK, which says more. */
static err wanted_key(struct api_call *call, struct control_key_wanted *w, const char **member, struct diag *d) {
    str jwk = json_str(node_api_member(call, "jwk"));
    bool curve = w->algorithm == NODE_KEY_ES256 || w->algorithm == NODE_KEY_EDDSA;
    *member = jwk.n ? "jwk" : "secret";
    if (!jwk.n) {
        if (!w->value.n || w->algorithm == NODE_KEY_HS256) return ERR_OK;
        if (!curve) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "a key of RS256 that was made elsewhere comes as its JWK");
        if (node_base64url_read(call->mem, w->value, &w->value)) return ERR_OK;
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the secret of ES256, or EdDSA, is `d` of its JWK: 32 bytes in base64url");
    }
    if (w->value.n) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "a JWK has its secret in it");
    struct node_jwk k;
    TRY(node_jwk_read(call->mem, jwk, &k, d));
    if (node_api_member(call, "algorithm") && k.algorithm != w->algorithm)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "the JWK is of %s", node_key_algorithm_text(k.algorithm));
    w->algorithm = k.algorithm, w->value = k.secret;
    if (!k.secret.n) w->public = k.public;
    if (!w->kid.n) w->kid = k.kid;
    return ERR_OK;
}

void node_api_signing_key_make(struct api_call *call) {
    struct diag d = DIAG_INIT;
    const char *member;
    struct control_key_wanted w = {.does = CONTROL_MAKE_SIGNING,
                                   .algorithm = algorithm(call),
                                   .value = json_str(node_api_member(call, "secret")),
                                   .kid = json_str(node_api_member(call, "kid")),
                                   .verifies = json_bool(node_api_member(call, "verifies"))};
    err e = wanted_key(call, &w, &member, &d);
    if (e == ERR_OK) change(call, w, "kid");
    else node_api_fail_at(call, e, &d, str_c(member), 0);
}

void node_api_signing_key_rotate(struct api_call *call) {
    change(call, (struct control_key_wanted){.does = CONTROL_ROTATE_SIGNING, .algorithm = algorithm(call)}, "kid");
}

void node_api_signing_key_revoke(struct api_call *call) {
    change(call, (struct control_key_wanted){.does = CONTROL_REVOKE_SIGNING}, NULL);
}

/* ---- tokens ---- */

/* What says who it is and for how long is ours; the rest is as it was asked for. */
static bool is_ours(str key) {
    static const char *const ours[] = {"role", "sub", "iat", "exp"};
    for (size_t i = 0; i < ARRAY_COUNT(ours); i++)
        if (str_eqc(key, ours[i])) return true;
    return false;
}

static err put_claims(struct api_call *call, struct buf *to, struct diag *d) {
    static const struct json_limits limits = {CONTROL_CLAIMS_MAX, 8, 512};
    const struct json *role = node_api_member(call, "role"), *text = node_api_member(call, "claims");
    const struct json *expires = node_api_member(call, "expires_s"), *subject = node_api_member(call, "subject");
    uint64_t now = clock_wall_ns() / 1'000'000'000u;
    struct json more = {.kind = JSON_KIND_OBJECT};
    if (text) TRY(json_read(call->mem, json_str(text), &limits, &more, d));
    if (more.kind != JSON_KIND_OBJECT) return diag_set(d, ERR_INVALID, DIAG_NOWHERE, "claims are a JSON object");
    struct json_writer w = json_writer_of(to);
    json_put_object(&w, NULL);
    if (subject) json_put_str(&w, "sub", json_str(subject));
    json_put_str(&w, "role", role ? json_str(role) : STR("authenticated"));
    json_put_u64(&w, "iat", now);
    json_put_u64(&w, "exp", now + (expires ? (uint64_t)json_i64(expires) : HOUR_S));
    for (uint32_t i = 0; i < more.n; i++)
        if (!is_ours(more.members[i].key)) json_put(&w, arena_cstr(call->mem, more.members[i].key), &more.members[i].v);
    json_put_end(&w);
    return ERR_OK;
}

void node_api_sign(struct api_call *call) {
    struct diag d = DIAG_INIT;
    struct buf claims = {0};
    err e = put_claims(call, &claims, &d);
    call->state = (void *)(uintptr_t) "token";
    if (e == ERR_OK) node_keys_sign(call->control, call->params[API_PARAM_app], buf_str(&claims), told, call);
    else node_api_fail_at(call, e, &d, STR("claims"), 0);
    buf_free(&claims);
}
