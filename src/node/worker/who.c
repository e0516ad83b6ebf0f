/* who: who asks an app, for all that only those may ask who bring a key or a token of the app's: the door to its tables, functions that verify
 * (verify_jwt), and what there will be. He becomes the request's principal; nothing else reads a token or a key.
 *
 *   apikey: KEY                   a field, or in the query: sb_publishable_…, sb_secret_…, or the app's anon or service_role key, which are tokens
 *   Authorization: Bearer TOKEN   a user's token; or the key once more, as Supabase's clients send it
 *
 * 1. A key that is shown has to be good, whatever token comes with it: who revokes it keeps everybody out who has it.
 * 2. What Authorization has is the key again where it begins with sb_ or is the same; else it is a token, and says who it is.
 * 3. One of both is enough.
 * 4. A secret key does not work in a browser: it would be everybody's.
 * 5. A preflight has neither: it is let through (amend.c), as is what another function of the app asks.
 */
#include "base/json.h"
#include "node/worker/gate.h"
#include "node/worker/handler_int.h"
#include "node/worker/keys.h"
#include <stdlib.h>
#include <time.h>

struct refusal {
    const char *state, *code, *message, *details, *hint; /* state: PostgREST's; NULL: the key is at fault */
    uint32_t parts;
};
static const struct refusal nothing = {NULL,
                                       "UNAUTHORIZED_NO_AUTH_HEADER",
                                       "No API key found in request",
                                       "",
                                       "No `apikey` request header or url param was found.",
                                       0},
                            unknown_key = {NULL,
                                           "UNAUTHORIZED_INVALID_API_KEY",
                                           "Invalid API key",
                                           "",
                                           "It was revoked, or is another app's: orlo keys list APP shows those that there are.",
                                           0},
                            cut_key = {NULL,
                                       "UNAUTHORIZED_INVALID_API_KEY",
                                       "Invalid API key",
                                       "",
                                       "It is mistyped, or a part of it is missing: its checksum does not hold.",
                                       0},
                            expired_key = {NULL,
                                           "UNAUTHORIZED_INVALID_API_KEY",
                                           "Invalid API key",
                                           "",
                                           "It has expired, or another one took its place.",
                                           0},
                            wrong_key = {NULL,
                                         "UNAUTHORIZED_INVALID_API_KEY",
                                         "Invalid API key",
                                         "",
                                         "Double check your Supabase `anon` or `service_role` API key.",
                                         0},
                            in_browser = {NULL,
                                          "UNAUTHORIZED_SECRET_API_KEY",
                                          "Forbidden use of secret API key in browser",
                                          "",
                                          "Secret API keys can only be used in a protected environment and should never be used "
                                          "in a browser. Revoke this one now if it "
                                          "has been exposed: orlo keys revoke APP NAME.",
                                          0};
static const struct refusal no_role = {"22023", "UNAUTHORIZED_INVALID_JWT_FORMAT", "role \"\" does not exist", "", "",
                                       0}; /* which is not nobody's */
static const struct refusal refusals[NODE_JWT_ENDS] = {
#define X(name, state, code, message, details) [NODE_JWT_##name] = {state, code, message, details, "", 0},
#include "node/worker/jwt.def"
#undef X
};

/* ---- what came ---- */

static const str *field(const struct net_request *rq, const char *name) {
    for (uint32_t i = 0; i < rq->fields_count; i++)
        if (str_eq_nocase(rq->fields[i].name, str_c(name))) return &rq->fields[i].value;
    return NULL;
}

/* False: there is none. An empty one is one. */
static bool bearer(const struct net_request *rq, str *token) {
    const str *v = field(rq, "authorization");
    str text = v ? str_trim(*v) : (str){0};
    *token = (str){0};
    if (text.n < 6 || !str_eq_nocase(str_sub(text, 0, 6), STR("bearer")) || (text.n > 6 && text.p[6] != ' ')) return false;
    *token = str_trim(str_sub(text, 6, text.n));
    return true;
}

static str key(const struct net_request *rq, str path) {
    const str *f = field(rq, "apikey");
    str v = f ? str_trim(*f) : (str){0}, rest = str_sub(path, str_find(path, '?') + 1, path.n), one;
    while (!v.n && rest.n) {
        str_cut(rest, '&', &one, &rest);
        if (str_starts(one, STR("apikey="))) v = str_sub(one, 7, one.n);
    }
    return v;
}

str node_who_query(arena *out, const struct net_request *rq, str query) {
    if (field(rq, "apikey")) return arena_str(out, query);
    struct buf b = {0};
    for (str one; query.n;) {
        str_cut(query, '&', &one, &query);
        if (str_starts(one, STR("apikey="))) continue;
        if (b.n) buf_putc(&b, '&');
        buf_puts(&b, one);
    }
    query = arena_str(out, buf_str(&b));
    buf_free(&b);
    return query;
}

static bool is_browser(const struct net_request *rq) {
    const str *agent = field(rq, "user-agent");
    return agent && str_starts(str_trim(*agent), STR("Mozilla/"));
}

/* ---- who it is ---- */

/* claims: of an object; what has no role there has it from us, as PostgREST adds it. */
static void is_role(struct node_request *r, str role, str subject, str claims, bool adds) {
    struct buf b = {0};
    buf_puts(&b, role);
    buf_puts(&b, subject);
    size_t at = b.n, open = str_find(claims, '{');
    if (adds) {
        str rest = str_trim(str_sub(claims, MIN(open + 1, claims.n), claims.n));
        while (rest.n && rest.p[0] <= ' ') rest = str_sub(rest, 1, rest.n);
        buf_puts(&b, STR("{\"role\":\""));
        buf_puts(&b, role);
        buf_putc(&b, '"');
        if (rest.n && rest.p[0] != '}') buf_putc(&b, ',');
        buf_puts(&b, rest.n ? rest : STR("}"));
    } else {
        buf_puts(&b, claims);
    }
    free(r->who);
    r->who = b.p; /* heap */
    r->rq.principal =
        (struct app_principal){.role = {b.p, role.n}, .subject = {b.p + role.n, subject.n}, .claims = {b.p + at, b.n - at}};
}

static const struct refusal *check_opaque(struct node_request *r, const struct net_request *rq, str given, int64_t now) {
    static const struct refusal *const ends[] = {NULL, &cut_key, &unknown_key, &expired_key};
    bool secret = false;
    enum node_opaque_end end = node_keys_opaque(r->app->keys, given, now, &secret);
    if (node_opaque_is_secret(given) && is_browser(rq))
        return &in_browser; /* whether it is good or not: nobody tries keys there */
    if (end == NODE_OPAQUE_GOOD) is_role(r, secret ? STR("service_role") : STR("anon"), STR(""), STR("{}"), true);
    return ends[end];
}

/* looks: at whether its user was banned meanwhile; /auth/v1 asks its tables that. */
static const struct refusal *check_token(struct node_request *r, str token, int64_t now, bool looks, struct refusal *parts) {
    arena *scratch = arena_new(0);
    struct node_jwt jwt;
    enum node_jwt_end end = node_keys_verify(r->app->keys, scratch, token, now, &jwt);
    str audience = r->app->record.rest.audience;
    if (end == NODE_JWT_GOOD && audience.n && !node_jwt_is_for(&jwt, audience)) end = NODE_JWT_AUDIENCE;
    if (end == NODE_JWT_GOOD && looks && node_rates_ended(r->app->record.id, jwt.subject, clock_mono_ns())) end = NODE_JWT_ENDED;
    bool none = end == NODE_JWT_GOOD && jwt.has_role && !jwt.role.n;
    if (end == NODE_JWT_GOOD) is_role(r, jwt.has_role ? jwt.role : STR("anon"), jwt.subject, jwt.claims, !jwt.has_role);
    arena_free(scratch);
    if (none) return &no_role;
    if (end != NODE_JWT_PARTS) return end == NODE_JWT_GOOD ? NULL : &refusals[end];
    *parts = refusals[end];
    parts->parts = jwt.parts;
    return parts;
}

static const struct refusal *check(struct node_request *r, struct refusal *own) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    str token, given = key(rq, r->path);
    int64_t now = (int64_t)time(NULL);
    bool brings = bearer(rq, &token);
    if (brings && (node_opaque_is(token) || (given.n && str_eq(token, given)))) { /* the key, once more */
        brings = false;
        if (!given.n) given = token;
    }
    if (!brings && !given.n) return &nothing;
    const struct refusal *why = NULL;
    if (node_opaque_is(given)) why = check_opaque(r, rq, given, now);
    else if (given.n) {
        why = check_token(r, given, now, true, own);
        if (why && brings) why = &wrong_key; /* the token may be good */
    }
    return why || !brings ? why : check_token(r, token, now, true, own);
}

bool node_who_counts(const struct node_request *r, bool by_key, struct buf *to) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    int64_t now = (int64_t)time(NULL);
    str token, given = key(rq, r->path);
    bool secret, brings = bearer(rq, &token), opaque = brings && node_opaque_is(token);
    if (!r->app->keys) return false;
    if (by_key && !given.n && opaque) given = token;
    if (by_key && node_opaque_is(given)) {
        if (node_keys_opaque(r->app->keys, given, now, &secret) != NODE_OPAQUE_GOOD) return false;
        buf_puts(to, given);
        return true;
    }
    str text = by_key ? given : opaque ? (str){0} : token;
    if (!text.n) return false;
    arena *scratch = arena_new(0);
    struct node_jwt jwt;
    bool good = node_keys_verify(r->app->keys, scratch, text, now, &jwt) == NODE_JWT_GOOD && (by_key || jwt.subject.n);
    if (good) buf_puts(to, by_key ? text : jwt.subject);
    arena_free(scratch);
    return good;
}

/* ---- refusals ---- */

static void put_or_null(struct json_writer *w, const char *name, const char *text) {
    if (text[0]) json_put_cstr(w, name, text);
    else json_put_null(w, name);
}

static void put_body(struct buf *b, const struct refusal *why, const char *message, bool rest) {
    struct json_writer w = json_writer_of(b);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "code", rest && why->state ? why->state : why->code);
    json_put_cstr(&w, "message", message);
    if (rest) put_or_null(&w, "details", why->details);
    if (rest) put_or_null(&w, "hint", why->hint);
    else if (why->hint[0]) json_put_cstr(&w, "hint", why->hint);
    json_put_end(&w);
}

/* As who was asked would say it: PostgREST, or the gateway before functions. */
static void refuse(struct node_request *r, const struct refusal *why) {
    char message[96], challenge[160] = "Bearer", proxy[64];
    bool rest = r->part->door || r->rpc;
    struct buf body = {0};
    snprintf(message, sizeof message, "%s", why->message);
    if (!rest && !strcmp(why->code, "UNAUTHORIZED_INVALID_JWT_FORMAT")) snprintf(message, sizeof message, "Invalid JWT");
    else if (why->parts) snprintf(message, sizeof message, "%s%u", why->message, why->parts);
    if (why->state && why != &no_role)
        snprintf(challenge, sizeof challenge, "Bearer error=\"invalid_token\", error_description=\"%s\"", message);
    snprintf(proxy, sizeof proxy, "PostgREST; error=%s", why->state ? why->state : "");
    put_body(&body, why, message, rest);
    struct net_field fields[6] = {{STR("content-type"), STR("application/json; charset=utf-8")},
                                  {STR("x-request-id"), str_c(r->id)},
                                  {STR("www-authenticate"), str_c(challenge)},
                                  {STR("cache-control"), STR("no-store")}};
    uint32_t n = 4;
    if (rest && why->state) fields[n++] = (struct net_field){STR("proxy-status"), str_c(proxy)};
    if (!rest) fields[n++] = (struct net_field){STR("sb-error-code"), str_c(why->code)};
    bool lacks = rest && why == &refusals[NODE_JWT_LACKS];
    err e = net_exchange_reply(r->exchange, lacks ? 500 : 401, fields, n, buf_str(&body));
    if (e != ERR_OK) log_event(LOG_DEBUG, "error-page-not-sent", LF_CSTR("request", r->id), LF_CSTR("reason", err_text(e)));
    buf_free(&body);
}

/* As GoTrue's library for tokens says it. */
static const char *token_words(const struct refusal *why) {
    if (why == &refusals[NODE_JWT_EXPIRED]) return "token has invalid claims: token is expired";
    if (why == &refusals[NODE_JWT_EARLY] || why == &refusals[NODE_JWT_ISSUED])
        return "token has invalid claims: token is not valid yet";
    if (why == &refusals[NODE_JWT_SIGNATURE] || why == &refusals[NODE_JWT_KEY])
        return "token signature is invalid: signature is invalid";
    if (why == &refusals[NODE_JWT_ALGORITHM]) return "token is unverifiable: signing method is not allowed";
    return "token is malformed: token contains an invalid number of segments";
}

bool node_who_key(struct node_request *r, bool open, struct node_who_said *said) {
    const struct net_request *rq = net_exchange_request(r->exchange);
    struct refusal own;
    str token, given = key(rq, r->path);
    int64_t now = (int64_t)time(NULL);
    const struct refusal *why = NULL;
    bool brings = bearer(rq, &token) && token.n, same = brings && (node_opaque_is(token) || (given.n && str_eq(token, given)));
    *said = (struct node_who_said){.brings = brings};
    if (same && !given.n) given = token;
    if (node_opaque_is(given)) why = check_opaque(r, rq, given, now);
    else if (given.n) why = check_token(r, given, now, false, &own) ? &wrong_key : NULL;
    else if (!brings) why = &nothing;
    bool good = given.n && !why;
    if (good && same) said->claims = STR("{}");
    if (good && same && !node_opaque_is(given)) said->claims = r->rq.principal.claims;
    if (good) said->role = r->rq.principal.role;
    if (!why && brings && !same) {
        const struct refusal *bad = check_token(r, token, now, false, &own);
        if (bad) said->why = token_words(bad), said->role = (str){0};
        else said->role = r->rq.principal.role, said->claims = r->rq.principal.claims;
        if (bad && !given.n) why = bad;
    }
    if (open && !brings && !given.n) why = NULL;
    if (why) refuse(r, why);
    return !why;
}

void node_who_is(struct node_request *r) {
    struct refusal own;
    const struct refusal *why = check(r, &own);
    if (why && why != &nothing) r->rq.principal = (struct app_principal){0};
}

void node_who_as(struct node_request *r, const struct app_principal *principal) {
    if (principal->role.n) is_role(r, principal->role, principal->subject, principal->claims, false);
    else r->rq.principal = (struct app_principal){0};
}

bool node_who_asks(struct node_request *r) {
    struct refusal own;
    const struct refusal *why = check(r, &own);
    if (why) refuse(r, why);
    return !why;
}
