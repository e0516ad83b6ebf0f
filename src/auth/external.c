/* external: a sign-in at another provider, from where it begins to where it comes back, and by a token of such a one (native apps).
 *
 *   /authorize ──flow_state (its id is the state), oauth_client_states (verifier)──> the provider ──code, state──> /callback
 *     /callback: the verifier is taken, once ──> tokens for the code ──> who it is ──> link.c ──> to where it began: a session in the fragment, or a code of PKCE
 *
 * 1. A flow comes back once: whoever takes its verifier goes on, and the second one finds none, whatever became of the first.
 * 2. It comes back to the browser in which it began: where there is no PKCE of the client's to say so, a cookie does (of a browser that says that it is one).
 * 3. The nonce in an id_token is made of the verifier, which nobody but this app has seen. */
#include "auth/provider_int.h"
#include <stdio.h>

enum { FLOW_S = 600, MORE_MAX = 2048, CODE_MAX = 4096, VERIFIER_BYTES = 32, USER_MAX = 4096 };

/* ---- where it begins ---- */

static str nonce_of(struct auth_call *c, str verifier, const char *what) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(arena_fmt(c->mem, "%s " STR_FMT, what, STR_ARG(verifier)), digest);
    return auth_base64url(c->mem, (str){digest, sizeof digest});
}

static str challenge_of(struct auth_call *c, str verifier) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    crypto_sha256(verifier, digest);
    return auth_base64url(c->mem, (str){digest, sizeof digest});
}

/* Ours, and those by which a client would say what this app alone says. */
static bool is_ours(str key, bool nonce) {
    static const char *const names[] = {"provider",       "scopes",
                                        "scope",          "redirect_to",
                                        "code_challenge", "code_challenge_method",
                                        "invite_token",   "skip_http_redirect",
                                        "apikey",         "client_id",
                                        "client_secret",  "redirect_uri",
                                        "response_type",  "state",
                                        "code_verifier",  "response_mode",
                                        "request",        "request_uri"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eq_nocase(key, str_c(names[i]))) return true;
    return nonce && str_eq_nocase(key, STR("nonce"));
}

/* What else the client says to the provider: "prompt", "login_hint" … */
static str more_of(struct auth_call *c, bool nonce) {
    struct buf b = {0};
    str query = c->rq->query, one, key, value;
    while (query.n && b.n < MORE_MAX) {
        str_cut(query, '&', &one, &query);
        str_cut(one, '=', &key, &value);
        bool plain = key.n && key.n <= 64;
        for (size_t i = 0; i < key.n && plain; i++) {
            uint8_t ch = key.p[i] | 32;
            plain = (ch >= 'a' && ch <= 'z') || (key.p[i] >= '0' && key.p[i] <= '9') || key.p[i] == '_' || key.p[i] == '-' ||
                    key.p[i] == '.';
        }
        if (!plain || is_ours(key, nonce)) continue;
        char *name = arena_cstr(c->mem, key);
        buf_printf(&b, "%s%s=", b.n ? "&" : "", name);
        auth_put_escaped(&b, auth_param(c, name));
    }
    str s = b.n <= 2 * MORE_MAX ? arena_str(c->mem, buf_str(&b)) : (str){0};
    buf_free(&b);
    return s;
}

static str spaced(struct auth_call *c, str scopes) {
    uint8_t *p = arena_alloc(c->mem, scopes.n + 1, 1);
    for (size_t i = 0; i < scopes.n; i++) p[i] = scopes.p[i] == ',' ? ' ' : scopes.p[i];
    return str_trim((str){p, scopes.n});
}

/* PKCE's as in a body. */
static bool take_challenge(struct auth_call *c) {
    struct json_member *m = arena_array(c->mem, struct json_member, 2);
    m[0] = (struct json_member){STR("code_challenge"), {.kind = JSON_KIND_STR, .s = auth_param(c, "code_challenge")}};
    m[1] =
        (struct json_member){STR("code_challenge_method"), {.kind = JSON_KIND_STR, .s = auth_param(c, "code_challenge_method")}};
    c->body = (struct json){.kind = JSON_KIND_OBJECT, .n = 2, .members = m};
    return auth_challenge_ok(c);
}

/* Without a port: to cookies all are one. */
static str host_of(str authority) {
    size_t end = authority.n && authority.p[0] == '[' ? str_find(authority, ']') : str_find(authority, ':');
    return str_sub(authority, 0, end);
}

static bool is_same_host(struct auth_call *c, str url) {
    size_t at = str_find(url, ':') + 3;
    if (at > url.n) return false;
    str rest = str_sub(url, at, url.n);
    return str_eq_nocase(host_of(str_sub(rest, 0, str_find(rest, '/'))), host_of(auth_header(c, "host")));
}

static str cookie_of(struct auth_call *c, str flow) {
    return arena_fmt(c->mem, "orlo-flow-" STR_FMT, STR_ARG(str_sub(flow, 0, 8)));
}

static void set_cookie(struct auth_call *c, const struct auth_provider *p, str flow, str verifier) {
    bool https = str_starts(p->redirect, STR("https://")), post = p->preset && p->preset->form_post && https;
    auth_add_field(c, "set-cookie",
                   arena_fmt(c->mem, STR_FMT "=" STR_FMT "; Path=/auth/v1/callback; Max-Age=%d; HttpOnly; SameSite=%s%s",
                             STR_ARG(cookie_of(c, flow)), STR_ARG(nonce_of(c, verifier, "cookie")), FLOW_S, post ? "None" : "Lax",
                             https ? "; Secure" : ""));
}

static void put_old(struct auth_call *c, struct auth_batch *b) {
    static const char *const tables[] = {"flow_state", "oauth_client_states"};
    for (size_t i = 0; i < ARRAY_COUNT(tables); i++) {
        auth_tree(b, "delete", tables[i]);
        auth_where(b), auth_op(b, "created_at", "lt", auth_time_text(c->mem, c->host->now_us - 86'400'000'000)), auth_end(b),
            auth_end(b);
    }
}

static bool insert_flow(struct auth_call *c, const struct auth_provider *p, str flow, str verifier, bool bound, str target) {
    struct auth_batch b;
    struct json answers;
    struct json_writer *w = &b.w;
    str client = auth_new_id(c), challenge = auth_text(c, "code_challenge"), invite = auth_param(c, "invite_token");
    auth_batch_begin(&b);
    put_old(c, &b);
    auth_tree(&b, "insert", "oauth_client_states");
    auth_row(&b);
    json_put_str(w, "id", client), json_put_str(w, "provider_type", p->name);
    json_put_str(w, "code_verifier", arena_fmt(c->mem, "%s" STR_FMT, bound ? "b." : "", STR_ARG(verifier)));
    json_put_str(w, "created_at", c->now);
    auth_row_end(&b), auth_end(&b);
    auth_tree(&b, "insert", "flow_state");
    auth_row(&b);
    json_put_str(w, "id", flow);
    json_put_str(w, "oauth_client_state_id", client);
    json_put_str(w, "provider_type", p->name);
    json_put_cstr(w, "authentication_method", "oauth");
    json_put_str(w, "referrer", auth_redirect(c));
    json_put_bool(w, "email_optional", p->email_optional);
    if (challenge.n) {
        json_put_str(w, "auth_code", auth_new_id(c));
        json_put_str(w, "code_challenge", challenge);
        json_put_cstr(w, "code_challenge_method",
                      str_eq_nocase(auth_text(c, "code_challenge_method"), STR("plain")) ? "plain" : "s256");
    }
    if (invite.n) json_put_str(w, "invite_token", invite);
    if (target.n) json_put_str(w, "linking_target_id", target);
    json_put_str(w, "created_at", c->now), json_put_str(w, "updated_at", c->now);
    auth_row_end(&b), auth_end(&b);
    return auth_run(c, &b, "Error creating flow state", &answers) == AUTH_RAN || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static bool begin(struct auth_call *c, str target) {
    struct auth_provider p;
    const char *why = "";
    uint8_t random[VERIFIER_BYTES];
    str invite = auth_param(c, "invite_token"), scopes = spaced(c, auth_param(c, "scopes")), flow = auth_new_id(c);
    if (!auth_limited(c, "authorize", auth_network(c), c->config->refreshes, 300)) return false;
    bool found = auth_provider_find(c, auth_param(c, "provider"), false, &p, &why);
    if (found && p.preset && !p.secret.n) found = false, why = "missing OAuth secret";
    if (found && p.kind == DISCOVERED) found = auth_provider_discover(c, &p, &why);
    if (!found) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Unsupported provider: %s", why);
    if (invite.n && !auth_is_invited(c, invite)) return false;
    if (!take_challenge(c)) return false;
    crypto_random(random, sizeof random);
    str verifier = auth_base64url(c->mem, (str){random, sizeof random});
    bool opens = str_eqc(auth_param(c, "skip_http_redirect"), "true"), oidc = p.kind != USERINFO;
    bool bound = !opens && !auth_has_challenge(c) && is_same_host(c, p.redirect);
    if (!p.preset && scopes.n) p.scopes = oidc ? STR("openid") : scopes, scopes = oidc ? scopes : (str){0};
    if (!insert_flow(c, &p, flow, verifier, bound, target)) return false;
    str url = auth_provider_url(c, &p, scopes, flow, oidc ? nonce_of(c, verifier, "nonce") : (str){0},
                                p.pkce ? challenge_of(c, verifier) : (str){0}, more_of(c, oidc));
    if (opens) {
        struct json_writer w = json_writer_of(&c->out);
        json_put_object(&w, NULL), json_put_str(&w, "url", url), json_put_end(&w);
        return auth_answer(c, 200);
    }
    if (bound) set_cookie(c, &p, flow, verifier);
    struct buf b = {0};
    buf_puts(&b, url);
    return auth_lead_to(c, &b, 302);
}

bool auth_do_authorize(struct auth_call *c) { return begin(c, (str){0}); }

bool auth_do_identity_authorize(struct auth_call *c) {
    if (!c->config->manual_linking) return auth_fail(c, AUTH_ERROR_manual_linking_disabled);
    return begin(c, json_str(json_get(c->user, "id")));
}

/* ---- where it comes back ---- */

struct returned {
    str state, code, error, description, iss, user;
    const struct json *flow;
    str id, verifier, redirect;
    bool pkce;
    str access, refresh; /* of the provider, sealed, for who comes with the code of PKCE */
};

static void read_returned(struct auth_call *c, struct returned *r) {
    struct auth_request form = *c->rq;
    const struct auth_request *asked = c->rq;
    if (str_eqc(c->rq->method, "POST"))
        form.query =
            str_starts(auth_header(c, "content-type"), STR("application/x-www-form-urlencoded")) ? c->rq->body : (str){0};
    c->rq = &form;
    *r = (struct returned){.state = auth_param(c, "state"),
                           .code = auth_param(c, "code"),
                           .error = str_sub(auth_param(c, "error"), 0, 128),
                           .description = str_sub(auth_param(c, "error_description"), 0, 512),
                           .iss = auth_param(c, "iss"),
                           .user = auth_param(c, "user")};
    c->rq = asked;
}

static bool bad_state(struct auth_call *c, const char *why) { return auth_fail_text(c, AUTH_ERROR_bad_oauth_state, "%s", why); }

static bool load_flow(struct auth_call *c, struct returned *r) {
    struct auth_batch b;
    struct json answers;
    if (!r->state.n) return auth_fail_text(c, AUTH_ERROR_bad_oauth_callback, "OAuth state parameter missing");
    if (!auth_is_id(r->state)) return bad_state(c, "OAuth state parameter is invalid");
    auth_batch_begin(&b);
    auth_tree(&b, "select", "flow_state");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_where(&b), auth_eq(&b, "id", r->state), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Error loading flow state", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    r->flow = auth_first(&answers, 0);
    r->id = json_str(json_get(r->flow, "id"));
    if (!r->flow || !str_eqc(json_str(json_get(r->flow, "authentication_method")), "oauth") ||
        !json_str(json_get(r->flow, "oauth_client_state_id")).n)
        return bad_state(c, "OAuth state not found or expired");
    if (c->host->now_us - auth_time_of(json_get(r->flow, "created_at")) > (int64_t)FLOW_S * 1'000'000)
        return bad_state(c, "OAuth state has expired");
    r->pkce = json_str(json_get(r->flow, "code_challenge")).n;
    if (r->pkce && json_str(json_get(r->flow, "user_id")).n) return auth_fail(c, AUTH_ERROR_flow_state_already_used);
    r->redirect = json_str(json_get(r->flow, "referrer"));
    if (!r->redirect.n) r->redirect = auth_site(c);
    return true;
}

/* Nobody does so twice. */
static bool take_verifier(struct auth_call *c, struct returned *r) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "oauth_client_states");
    auth_where(&b), auth_eq(&b, "id", json_str(json_get(r->flow, "oauth_client_state_id"))), auth_end(&b);
    b.guarded = true;
    json_put_bool(&b.w, "single", true);
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_end(&b);
    enum auth_ran ran = auth_run(c, &b, "Failed to find OAuth state", &answers);
    if (ran == AUTH_MOVED) return auth_fail(c, AUTH_ERROR_oauth_client_state_not_found);
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *row = auth_first(&answers, 0);
    r->verifier = json_str(json_get(row, "code_verifier"));
    if (!row || !str_eq(json_str(json_get(row, "provider_type")), json_str(json_get(r->flow, "provider_type"))))
        return auth_fail_text(c, AUTH_ERROR_oauth_invalid_state, "OAuth provider mismatch");
    return true;
}

static str cookie(struct auth_call *c, str name) {
    for (uint32_t i = 0; i < c->rq->fields_count; i++) {
        str left = c->rq->fields[i].value, one, key, value;
        if (!str_eq_nocase(c->rq->fields[i].name, STR("cookie"))) continue;
        while (left.n) {
            str_cut(left, ';', &one, &left);
            str_cut(str_trim(one), '=', &key, &value);
            if (str_eq(key, name)) return value;
        }
    }
    return (str){0};
}

/* Another browser than the one in which it began has been led here by somebody else: to be signed in as him. */
static bool is_same_browser(struct auth_call *c, struct returned *r) {
    bool bound = str_starts(r->verifier, STR("b."));
    if (!bound) return true;
    r->verifier = str_sub(r->verifier, 2, r->verifier.n);
    str want = nonce_of(c, r->verifier, "cookie"), has = cookie(c, cookie_of(c, r->id));
    bool browser = auth_header(c, "sec-fetch-mode").n || auth_header(c, "sec-fetch-site").n;
    bool same = has.n == want.n && crypto_equal(has.p, want.p, want.n);
    return same || (!browser && !has.n) || bad_state(c, "OAuth state is of another browser");
}

/* Apple's: told once, when a user comes for the first time, by the browser. */
static str name_of(struct auth_call *c, const struct auth_provider *p, str user) {
    static const struct json_limits limits = {USER_MAX, 8, 100};
    struct json v;
    if (!auth_provider_is(p, "apple") || !user.n || json_read(c->mem, user, &limits, &v, NULL) != ERR_OK) return (str){0};
    const struct json *name = json_get(&v, "name");
    return str_trim(arena_fmt(c->mem, STR_FMT " " STR_FMT, STR_ARG(str_sub(json_str(json_get(name, "firstName")), 0, 128)),
                              STR_ARG(str_sub(json_str(json_get(name, "lastName")), 0, 128))));
}

/* For the app's owner. */
static bool tell(struct auth_call *c, const struct auth_provider *p, const char *what, const char *why) {
    struct pg_error e = {.set = true};
    if (c->failed) return false;
    snprintf(e.state, sizeof e.state, "08000");
    snprintf(e.message, sizeof e.message, STR_FMT ": %.400s", STR_ARG(p->name), why);
    c->host->failed(c->host->arg, what, &e);
    return auth_fail_text(c, AUTH_ERROR_unexpected_failure, "%s", what);
}

static bool ask(struct auth_call *c, struct returned *r, struct auth_provider *p, struct auth_tokens *t,
                struct auth_known *known) {
    const char *why = "";
    if (!auth_provider_find(c, json_str(json_get(r->flow, "provider_type")), true, p, &why))
        return auth_fail_text(c, AUTH_ERROR_oauth_provider_not_supported, "Unsupported provider: %s", why);
    p->email_optional = json_bool(json_get(r->flow, "email_optional"));
    if (r->iss.n && p->issuer.n && !str_eq(r->iss, p->issuer))
        return auth_fail_text(c, AUTH_ERROR_bad_oauth_callback, "OAuth callback of another provider");
    if (!auth_provider_exchange(c, p, r->code, p->pkce ? r->verifier : (str){0}, t, &why))
        return tell(
            c, p,
            (const char *)arena_fmt(c->mem, "Unable to exchange external code: " STR_FMT, STR_ARG(str_sub(r->code, 0, 4))).p,
            why);
    str nonce = p->kind == USERINFO ? (str){0} : nonce_of(c, r->verifier, "nonce");
    if (!auth_provider_who(c, p, t, nonce, name_of(c, p, r->user), known, &why))
        return tell(c, p, "Error getting user profile from external provider", why);
    if (!known->email.n && !p->email_optional)
        return auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Error getting user email from external provider");
    return true;
}

/* With what it brings: of PKCE it waits for who has the verifier, else it is over. */
static void spend(struct auth_call *c, struct auth_batch *b, void *arg, str user) {
    struct returned *r = arg;
    auth_tree(b, r->pkce ? "update" : "delete", "flow_state");
    if (r->pkce) {
        auth_set(b);
        json_put_str(&b->w, "user_id", user);
        json_put_str(&b->w, "provider_access_token", r->access);
        json_put_str(&b->w, "provider_refresh_token", r->refresh);
        json_put_str(&b->w, "auth_code_issued_at", c->now);
        json_put_str(&b->w, "updated_at", c->now);
        auth_end(b);
    }
    auth_where(b), auth_eq(b, "id", r->id);
    if (r->pkce) auth_is_null(b, "user_id");
    auth_end(b);
    auth_one(b);
    auth_end(b);
}

static bool seal_tokens(struct auth_call *c, struct returned *r, const struct auth_tokens *t) {
    return (!t->access.n || auth_seal(c, "flow_state.provider_access_token", r->id, t->access, &r->access)) &&
           (!t->refresh.n || auth_seal(c, "flow_state.provider_refresh_token", r->id, t->refresh, &r->refresh));
}

static bool come_back(struct auth_call *c, struct returned *r, struct buf *url) {
    struct auth_provider p;
    struct auth_tokens t;
    struct auth_known known;
    if (!take_verifier(c, r) || !is_same_browser(c, r)) return false;
    if (r->error.n) {
        c->oauth_error = r->error;
        return auth_fail_text(c, AUTH_ERROR_bad_oauth_callback, STR_FMT, STR_ARG(r->description));
    }
    if (!r->code.n || r->code.n > CODE_MAX)
        return auth_fail_text(c, AUTH_ERROR_bad_oauth_callback, "OAuth callback with missing authorization code missing");
    if (!ask(c, r, &p, &t, &known)) return false;
    if (r->pkce && !seal_tokens(c, r, &t)) return false;
    struct auth_arrival a = {.provider = &p,
                             .known = &known,
                             .invite = json_str(json_get(r->flow, "invite_token")),
                             .target = json_str(json_get(r->flow, "linking_target_id")),
                             .spend = spend,
                             .arg = r,
                             .begins = !r->pkce};
    if (!auth_arrive(c, &a)) return false;
    if (r->pkce) {
        buf_putc(url, str_find(buf_str(url), '?') < url->n ? '&' : '?');
        buf_puts(url, STR("code=")), auth_put_escaped(url, json_str(json_get(r->flow, "auth_code")));
        return true;
    }
    c->provider_token = t.access, c->provider_refresh_token = t.refresh;
    buf_putc(url, '#');
    return auth_session_fragment(c, a.user, &a.session, url, NULL);
}

bool auth_do_callback(struct auth_call *c) {
    struct returned r;
    struct buf url = {0};
    if (!auth_limited(c, "callback", auth_network(c), c->config->refreshes, 300)) return false;
    read_returned(c, &r);
    if (!load_flow(c, &r)) {
        auth_begin_url(&url, auth_site(c));
        auth_put_query_error(c, &url);
        return auth_lead_to(c, &url, 303);
    }
    c->redirect = r.redirect;
    auth_begin_url(&url, r.redirect);
    if (come_back(c, &r, &url)) return auth_lead_to(c, &url, 302);
    buf_free(&url);
    url = (struct buf){0};
    auth_begin_url(&url, r.redirect);
    auth_put_query_error(c, &url);
    buf_putc(&url, '#');
    auth_put_error(c, &url);
    buf_puts(&url, STR("&sb="));
    return auth_lead_to(c, &url, 302);
}

/* ---- by a token ---- */

static bool oauth_error(struct auth_call *c, const char *error, const char *text) {
    if (!c->failed) c->oauth_error = str_c(error);
    return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s", text);
}

/* Whose token it is: by name, or by who issued it. */
static str provider_of(struct auth_call *c, str issuer) {
    static const struct {
        const char *issuer, *name;
    } known[] = {{"https://accounts.google.com", "google"},
                 {"https://appleid.apple.com", "apple"},
                 {"https://account.apple.com", "apple"},
                 {"https://www.facebook.com", "facebook"}};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (str_eqc(issuer, known[i].issuer)) return str_c(known[i].name);
    if (auth_is_azure(issuer)) return STR("azure");
    for (uint32_t i = 0; i < c->config->providers.n; i++) {
        const struct app_provider *p = &c->config->providers.p[i];
        if (str_eqc(p->name, "keycloak") && str_eq(p->url, issuer)) return p->name;
    }
    return (str){0};
}

static bool find_issuer(struct auth_call *c, struct auth_provider *p) {
    static const char *const oidc[] = {"apple", "azure", "facebook", "google", "keycloak"};
    const char *why = "";
    str said = auth_text(c, "provider"), issuer = auth_text(c, "issuer"), name = said.n ? said : provider_of(c, issuer);
    bool custom = str_starts(name, STR("custom:")), ok = custom;
    for (size_t i = 0; i < ARRAY_COUNT(oidc); i++) ok |= str_eqc(name, oidc[i]);
    if (!ok)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Custom OIDC provider \"" STR_FMT "\" not allowed",
                              STR_ARG(str_sub(said, 0, 64)));
    if (str_eqc(name, "google")) issuer = STR("https://accounts.google.com");
    if (str_eqc(name, "facebook")) issuer = STR("https://www.facebook.com");
    if (!auth_provider_find(c, name, false, p, &why)) {
        if (!custom)
            return auth_fail_text(c, AUTH_ERROR_provider_disabled, "Provider (issuer \"" STR_FMT "\") is not enabled",
                                  STR_ARG(str_sub(issuer, 0, 200)));
        bool off = str_ends(str_c(why), STR("is disabled"));
        return auth_fail_text(c, off ? AUTH_ERROR_provider_disabled : AUTH_ERROR_validation_failed,
                              "Custom provider \"" STR_FMT "\" %s", STR_ARG(str_sub(name, 0, 64)),
                              off ? "is disabled" : "not found");
    }
    if (!p->issuer.n && !auth_provider_is(p, "azure"))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Provider \"" STR_FMT "\" is not an OIDC provider", STR_ARG(name));
    if (auth_provider_is(p, "facebook")) p->skip_nonce = true; /* it has none */
    str token = auth_text(c, "id_token"), parts[3], left = token;
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) str_cut(left, '.', &parts[i], &left);
    if (!parts[0].n || !parts[1].n || !parts[2].n || left.n) /* nobody is called for what cannot be one */
        return oauth_error(c, "invalid request", "Bad ID token");
    bool found = auth_provider_is(p, "azure") ? auth_provider_tenant(c, p, token, &why) : auth_provider_discover(c, p, &why);
    if (!found) return tell(c, p, "Error finding the provider's keys", why);
    issuer = auth_text(c, "issuer");
    if (issuer.n && !str_eq(issuer, p->issuer) && !auth_provider_is(p, "apple") && !custom)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Provided issuer does not match ID token issuer");
    return true;
}

static str audience_of(struct auth_call *c, const struct json *claims) {
    const struct json *aud = json_get(claims, "aud");
    struct buf b = {0};
    if (json_is(aud, JSON_KIND_STR)) buf_puts(&b, str_sub(json_str(aud), 0, 256));
    JSON_EACH(one, aud) if (b.n < 512) buf_printf(&b, "%s" STR_FMT, b.n ? " " : "", STR_ARG(str_sub(json_str(one), 0, 256)));
    str s = arena_fmt(c->mem, "[" STR_FMT "]", STR_ARG(buf_str(&b)));
    buf_free(&b);
    return s;
}

/* What the app has told the provider is the digest: so who has the token has not the nonce. */
static bool nonce_ok(struct auth_call *c, const struct auth_provider *p, const struct json *claims) {
    str has = json_str(json_get(claims, "nonce")), said = auth_text(c, "nonce");
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (p->skip_nonce) return true;
    if (!has.n != !said.n)
        return oauth_error(c, "invalid request", "Passed nonce and nonce in id_token should either both exist or not.");
    if (!has.n) return true;
    crypto_sha256(said, digest);
    return str_eq(has, auth_hex(c->mem, digest, sizeof digest)) || oauth_error(c, "invalid nonce", "Nonces mismatch");
}

bool auth_grant_id_token(struct auth_call *c) {
    struct auth_provider p;
    struct auth_known known;
    struct json claims = {0};
    const char *why = "";
    str token = auth_text(c, "id_token");
    bool links = json_bool(json_get(&c->body, "link_identity"));
    if (!auth_limited(c, "id_token", auth_network(c), c->config->sign_ins, 300)) return false;
    if (!token.n) return oauth_error(c, "invalid request", "id_token required");
    if (!auth_text(c, "provider").n && (!auth_text(c, "client_id").n || !auth_text(c, "issuer").n))
        return oauth_error(c, "invalid request", "provider or client_id and issuer required");
    if (links && !auth_header(c, "authorization").n)
        return oauth_error(c, "invalid request", "Linking requires a valid user access token in Authorization");
    if (links && !auth_need_user(c)) return false;
    if (!find_issuer(c, &p)) return false;
    if (!auth_id_token_verify(c, &p, token, auth_text(c, "access_token"), &claims, &why)) {
        if (!c->failed) (void)tell(c, &p, "Bad ID token", why), c->failed = false;
        return oauth_error(c, "invalid request", "Bad ID token");
    }
    if (!json_str(json_get(&claims, "sub")).n) return oauth_error(c, "invalid request", "Missing sub claim in id_token");
    if (!auth_id_token_is_for(&claims, p.clients.p, p.clients.n))
        return oauth_error(
            c, "invalid request",
            (const char *)arena_fmt(c->mem, "Unacceptable audience in id_token: " STR_FMT, STR_ARG(audience_of(c, &claims))).p);
    if (!nonce_ok(c, &p, &claims) || !auth_claims_read(c, &p, &claims, NULL, true, (str){0}, &known)) return false;
    struct auth_arrival a = {
        .provider = &p, .known = &known, .target = links ? json_str(json_get(c->user, "id")) : (str){0}, .begins = true};
    return auth_arrive(c, &a) && auth_answer_session(c, a.user, &a.session, NULL);
}
