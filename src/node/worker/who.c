/* who: who may ask a function that is for those alone who bring a token of the app's, as Supabase's clients do (verify_jwt).
 *
 *   Authorization: Bearer TOKEN   a token of somebody's, or the app's anon or service_role key, which are tokens, too
 *   apikey: KEY                   the same; or an opaque key (sb_publishable_…, sb_secret_…), which says a role
 *
 * 1. What Authorization has counts; but what begins with sb_ is no token there: then, and without it, the key does.
 * 2. A preflight has neither: it is let through (amend.c), as is what another function of the app asks.
 */
#include "crypto/crypto.h"
#include "node/worker/handler_int.h"
#include "node/worker/jwt.h"
#include <stdlib.h>
#include <time.h>

struct refusal {
    const char *code, *message;
};
static const struct refusal nothing = {"UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header"},
                            wrong_key = {"UNAUTHORIZED_INVALID_API_KEY", "Invalid API key"};
static const struct refusal refusals[] = {
    [NODE_JWT_MALFORMED] = {"UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT"},
    [NODE_JWT_ALGORITHM] = {"UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM", "Invalid JWT: it is not signed with HS256"},
    [NODE_JWT_SIGNATURE] = {"UNAUTHORIZED_INVALID_JWT_SIGNATURE", "Invalid JWT: its signature is not this app's"},
    [NODE_JWT_EXPIRED] = {"UNAUTHORIZED_EXPIRED_JWT", "JWT expired"},
    [NODE_JWT_EARLY] = {"UNAUTHORIZED_EARLY_JWT", "JWT not yet valid"},
};

static str field(const struct net_request *rq, const char *name) {
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, str_c(name))) return str_trim(rq->fields[i].value);
    return (str){0};
}

static str bearer(const struct net_request *rq) {
    str v = field(rq, "authorization");
    return v.n > 7 && str_eq_nocase(str_sub(v, 0, 7), STR("bearer ")) ? str_trim(str_sub(v, 7, v.n)) : (str){0};
}

static str key(const struct net_request *rq, str path) {
    str v = field(rq, "apikey"), rest = str_sub(path, str_find(path, '?') + 1, path.n), one;
    while (!v.n && rest.n) {
        str_cut(rest, '&', &one, &rest);
        if (str_starts(one, STR("apikey="))) v = str_sub(one, 7, one.n);
    }
    return v;
}

/* Both are known to who calls: the length is no secret. */
static bool same(str given, str own) { return own.n && given.n == own.n && crypto_equal(given.p, own.p, own.n); }

static void is_role(struct node_request *r, str role, str subject, str claims) {
    uint8_t *who = malloc(role.n + subject.n + claims.n + 1);
    ENSURE(who);
    if (role.n) memcpy(who, role.p, role.n);
    if (subject.n) memcpy(who + role.n, subject.p, subject.n);
    if (claims.n) memcpy(who + role.n + subject.n, claims.p, claims.n);
    free(r->who);
    r->who = who;
    if (role.n) r->rq.principal.role = (str){who, role.n};
    r->rq.principal.subject = (str){who + role.n, subject.n};
    r->rq.principal.claims = (str){who + role.n + subject.n, claims.n};
}

static const struct refusal *check_opaque(struct node_request *r, str given) {
    const struct node_part *p = r->part;
    bool publishable = same(given, p->publishable), secret = same(given, p->secret);
    if (!publishable && !secret) return &wrong_key;
    is_role(r, secret ? STR("service_role") : STR("anon"), STR(""), STR(""));
    return NULL;
}

static const struct refusal *check(struct node_request *r) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    str token = bearer(rq);
    if (!token.n || str_starts(token, STR("sb_"))) {
        str k = key(rq, r->path);
        if (k.n || !token.n) token = k;
    }
    if (!token.n) return &nothing;
    if (str_starts(token, STR("sb_"))) return check_opaque(r, token);
    arena *scratch = arena_new(0);
    struct node_jwt jwt;
    enum node_jwt_end end = node_jwt_verify(scratch, token, r->part->jwt_key, (int64_t)time(NULL), &jwt);
    if (end == NODE_JWT_GOOD) is_role(r, jwt.role, jwt.subject, jwt.claims);
    arena_free(scratch);
    return end == NODE_JWT_GOOD ? NULL : &refusals[end];
}

void node_who_is(struct node_request *r) {
    const struct refusal *why = check(r);
    if (why && why != &nothing) r->rq.principal = (struct app_principal){0};
}

void node_who_as(struct node_request *r, const struct app_principal *principal) {
    if (principal->role.n) is_role(r, principal->role, principal->subject, principal->claims);
    else r->rq.principal = (struct app_principal){0};
}

bool node_who_asks(struct node_request *r) {
    const struct refusal *why = check(r);
    if (!why) return true;
    char body[200];
    int n = snprintf(body, sizeof body, "{\"code\":\"%s\",\"message\":\"%s\"}\n", why->code, why->message);
    struct net_field fields[] = {{STR("content-type"), STR("application/json")},
                                 {STR("x-request-id"), str_c(r->id)},
                                 {STR("sb-error-code"), str_c(why->code)},
                                 {STR("www-authenticate"), STR("Bearer")},
                                 {STR("cache-control"), STR("no-store")}};
    err e = net_exchange_reply(r->exchange, 401, fields, ARRAY_COUNT(fields), (str){(uint8_t *)body, (size_t)n});
    if (e != ERR_OK) log_event(LOG_DEBUG, "error-page-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    return false;
}
