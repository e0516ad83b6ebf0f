/* openid: an app's users sign in at third parties by it (OAuth 2.1 and OpenID Connect, as GoTrue's /oauth routes have it).
 *
 *   third party ── GET /oauth/authorize ──> a row, pending ──302──> a page of the app's, or /pages/consent, with authorization_id
 *   the page, as a user ── GET /oauth/authorizations/ID ──> what it is about; his, from then on; or, where he agreed to as much before, where to go
 *                       └─ POST …/consent ──> approved, with a code, or denied: where to go
 *   third party ── POST /oauth/token: code and verifier ──> the row is gone, a session is there: its tokens, an id_token
 *
 * 1. Where a user is led back to is an address that was registered, letter by letter. PKCE is always wanted.
 * 2. What becomes of a row is written where it is still so: one code, for one user, spent once.
 * 3. A session that a third party has is renewed by it alone, and does not change the account (serve.c). */
#include "auth/auth_int.h"

enum { PENDING_S = 600, CHALLENGE_MIN = 43, CHALLENGE_MAX = 128, ID_LETTERS = 32, TRIES = 3, STATE_MAX = 4096, NONCE_MAX = 255 };
static const char *const scopes[] = {"openid", "profile", "email", "phone", "offline_access"};

static bool scope_has(str list, str scope) {
    str one;
    while (list.n) {
        str_cut(list, ' ', &one, &list);
        if (str_eq(one, scope)) return true;
    }
    return false;
}

static str issuer(struct auth_call *c) { return arena_fmt(c->mem, STR_FMT "/auth/v1", STR_ARG(c->rq->url)); }

/* ---- what there is ---- */

static void put_words(struct json_writer *w, const char *key, const char *const *words, size_t n) {
    json_put_array(w, key);
    for (size_t i = 0; i < n; i++) json_put_cstr(w, NULL, words[i]);
    json_put_end(w);
}
#define PUT_WORDS(w, key, ...)                                                                                                   \
    put_words(w, key, (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static bool discovery(struct auth_call *c) {
    struct json_writer w = json_writer_of(&c->out);
    str own = issuer(c);
    static const struct {
        const char *key, *path;
    } at[] = {{"authorization_endpoint", "/oauth/authorize"},
              {"token_endpoint", "/oauth/token"},
              {"jwks_uri", "/.well-known/jwks.json"},
              {"userinfo_endpoint", "/oauth/userinfo"}};
    json_put_object(&w, NULL);
    json_put_str(&w, "issuer", own);
    for (size_t i = 0; i < ARRAY_COUNT(at); i++)
        json_put_str(&w, at[i].key, arena_fmt(c->mem, STR_FMT "%s", STR_ARG(own), at[i].path));
    if (c->config->oauth.on && c->config->oauth.registers)
        json_put_str(&w, "registration_endpoint", arena_fmt(c->mem, STR_FMT "/oauth/clients/register", STR_ARG(own)));
    put_words(&w, "scopes_supported", scopes, ARRAY_COUNT(scopes));
    PUT_WORDS(&w, "response_types_supported", "code");
    PUT_WORDS(&w, "response_modes_supported", "query");
    PUT_WORDS(&w, "grant_types_supported", "authorization_code", "refresh_token");
    PUT_WORDS(&w, "subject_types_supported", "public");
    PUT_WORDS(&w, "id_token_signing_alg_values_supported", "RS256", "HS256", "ES256");
    PUT_WORDS(&w, "token_endpoint_auth_methods_supported", "client_secret_basic", "client_secret_post", "none");
    PUT_WORDS(&w, "claims_supported", "sub", "aud", "iss", "exp", "iat", "auth_time", "nonce", "email", "email_verified",
              "phone_number", "phone_number_verified", "name", "picture", "preferred_username", "updated_at");
    PUT_WORDS(&w, "code_challenge_methods_supported", "S256", "plain");
    json_put_end(&w);
    auth_add_field(c, "cache-control", STR("public, max-age=600"));
    return auth_answer(c, 200);
}

bool auth_do_openid_discovery(struct auth_call *c) { return discovery(c); }
bool auth_do_openid_metadata(struct auth_call *c) { return auth_openid_on(c) && discovery(c); }

/* ---- /oauth/authorize ---- */

struct asked {
    str client, redirect, type, scope, state, resource, challenge, method, nonce;
};

static str with_query(struct auth_call *c, str uri, const char *a, str a_value, const char *b, str b_value, str state) {
    struct buf url = {0};
    buf_puts(&url, uri);
    buf_printf(&url, "%c%s=", str_find(uri, '?') < uri.n ? '&' : '?', a);
    auth_put_escaped(&url, a_value);
    if (b) buf_printf(&url, "&%s=", b), auth_put_escaped(&url, b_value);
    if (state.n) buf_puts(&url, STR("&state=")), auth_put_escaped(&url, state);
    str out = arena_str(c->mem, buf_str(&url));
    buf_free(&url);
    return out;
}

static bool lead_to(struct auth_call *c, str url) {
    auth_add_field(c, "location", url);
    auth_add_field(c, "cache-control", STR("no-store"));
    auth_add_field(c, "referrer-policy", STR("no-referrer"));
    return auth_answer(c, 302);
}

static bool lead_to_error(struct auth_call *c, const struct asked *a, const char *code, str why) {
    return lead_to(c, with_query(c, a->redirect, "error", str_c(code), "error_description", why, a->state));
}

static bool is_registered(const struct json *client, str uri) {
    str list = json_str(json_get(client, "redirect_uris")), one;
    while (list.n) {
        str_cut(list, ',', &one, &list);
        if (str_eq(one, uri)) return true;
    }
    return false;
}

/* NULL: it is as it should be. */
static const char *scope_fault(struct auth_call *c, str list) {
    str one;
    if (list.n > 1024) return "scope parameter is too long";
    while (list.n) {
        bool known = false;
        str_cut(list, ' ', &one, &list);
        for (size_t i = 0; i < ARRAY_COUNT(scopes) && one.n; i++) known |= str_eqc(one, scopes[i]);
        if (one.n && !known)
            return (const char *)arena_fmt(c->mem, "unsupported scope: " STR_FMT, STR_ARG(str_sub(one, 0, 64))).p;
    }
    return NULL;
}

static const char *resource_fault(str r) {
    if (!r.n) return NULL;
    if (r.n > 2048 || str_find(r, ':') == r.n || !str_find(r, ':')) return "resource must be an absolute URI";
    if (str_find(r, '#') < r.n) return "resource must not include a fragment component";
    return str_find(r, '?') < r.n ? "resource must not include a query component" : NULL;
}

static const char *fault(struct auth_call *c, struct asked *a) {
    const char *why;
    bool s256 = str_eq_nocase(a->method, STR("s256"));
    if (!a->scope.n) a->scope = STR("email");
    if (a->type.n && !str_eqc(a->type, "code")) return "only response_type=code is supported";
    if ((why = scope_fault(c, a->scope)) || (why = resource_fault(a->resource))) return why;
    if (!a->challenge.n || !a->method.n) return "PKCE flow requires both code_challenge and code_challenge_method";
    if (!s256 && !str_eq_nocase(a->method, STR("plain"))) return "code_challenge_method must be 'S256' or 'plain'";
    if (a->challenge.n < CHALLENGE_MIN || a->challenge.n > CHALLENGE_MAX)
        return "code_challenge must be between 43 and 128 characters";
    if (a->state.n > STATE_MAX || a->nonce.n > NONCE_MAX) return "state or nonce is too long";
    a->method = s256 ? STR("s256") : STR("plain");
    return NULL;
}

static str new_letters(struct auth_call *c) {
    static const char of[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint8_t letters[ID_LETTERS], byte;
    for (size_t i = 0; i < ID_LETTERS;) {
        crypto_random(&byte, 1);
        if (byte < 248) letters[i++] = (uint8_t)of[byte % 62];
    }
    return arena_str(c->mem, (str){letters, ID_LETTERS});
}

static bool insert_pending(struct auth_call *c, const struct asked *a, str id) {
    struct auth_batch b;
    struct json answers;
    struct json_writer *w = &b.w;
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "oauth_authorizations"); /* nobody comes back for what is so old */
    auth_where(&b), auth_op(&b, "expires_at", "lt", auth_time_text(c->mem, c->host->now_us - 86'400'000'000)), auth_end(&b);
    auth_end(&b);
    auth_tree(&b, "insert", "oauth_authorizations");
    auth_row(&b);
    json_put_str(w, "id", auth_new_id(c));
    json_put_str(w, "authorization_id", id);
    json_put_str(w, "client_id", a->client);
    json_put_str(w, "redirect_uri", a->redirect);
    json_put_str(w, "scope", a->scope);
    if (a->state.n) json_put_str(w, "state", a->state);
    if (a->resource.n) json_put_str(w, "resource", a->resource);
    json_put_str(w, "code_challenge", a->challenge);
    json_put_str(w, "code_challenge_method", a->method);
    if (a->nonce.n) json_put_str(w, "nonce", a->nonce);
    json_put_cstr(w, "status", "pending");
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "expires_at", auth_time_text(c->mem, c->host->now_us + PENDING_S * 1'000'000ll));
    auth_row_end(&b);
    auth_end(&b);
    return auth_run(c, &b, "error creating authorization", &answers) == AUTH_RAN;
}

/* The app's page, or the node's own. */
static str page_of(struct auth_call *c, str id) {
    str base = auth_site(c), path = c->config->oauth.path;
    if (!path.n)
        return arena_fmt(c->mem, STR_FMT "/auth/v1/pages/consent?authorization_id=" STR_FMT, STR_ARG(c->rq->url), STR_ARG(id));
    while (base.n && base.p[base.n - 1] == '/') base.n--;
    return arena_fmt(c->mem, STR_FMT "%s" STR_FMT "?authorization_id=" STR_FMT, STR_ARG(base), path.p[0] == '/' ? "" : "/",
                     STR_ARG(path), STR_ARG(id));
}

bool auth_do_openid_authorize(struct auth_call *c) {
    struct asked a = {.client = auth_param(c, "client_id"),
                      .redirect = auth_param(c, "redirect_uri"),
                      .type = auth_param(c, "response_type"),
                      .scope = auth_param(c, "scope"),
                      .state = auth_param(c, "state"),
                      .resource = auth_param(c, "resource"),
                      .challenge = auth_param(c, "code_challenge"),
                      .method = auth_param(c, "code_challenge_method"),
                      .nonce = auth_param(c, "nonce")};
    const struct json *client;
    str id = new_letters(c);
    if (!auth_openid_on(c)) return false;
    if (!auth_limited(c, "oauth_authorize", auth_network(c), 100, 300)) return false;
    if (!a.client.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "client_id is required");
    if (!a.redirect.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "redirect_uri is required");
    if (!auth_is_id(a.client)) return auth_fail_text(c, AUTH_ERROR_oauth_client_not_found, "invalid client_id format");
    if (!auth_openid_client(c, a.client, &client)) return false;
    if (!client) return auth_fail_text(c, AUTH_ERROR_oauth_client_not_found, "invalid client_id");
    if (!is_registered(client, a.redirect)) return auth_fail_text(c, AUTH_ERROR_validation_failed, "invalid redirect_uri");
    const char *why = fault(c, &a);
    if (why) return lead_to_error(c, &a, "invalid_request", str_c(why));
    if (!insert_pending(c, &a, id)) {
        c->failed = false;
        return lead_to_error(c, &a, "server_error", STR("error creating authorization"));
    }
    return lead_to(c, page_of(c, id));
}

/* ---- a user decides ---- */

struct pending {
    const struct json *row, *client, *consent;
    str user;
};

static bool origin_ok(struct auth_call *c) {
    str origin = auth_header(c, "origin");
    return !origin.n || auth_may_lead_to(c->config, auth_site(c), origin) || auth_may_lead_to(c->config, c->rq->url, origin) ||
           auth_fail_text(c, AUTH_ERROR_validation_failed, "unauthorized request origin");
}

static bool expire(struct auth_call *c, str id) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "update", "oauth_authorizations");
    auth_set(&b), json_put_cstr(&b.w, "status", "expired"), auth_end(&b);
    auth_where(&b), auth_eq(&b, "authorization_id", id), auth_eq(&b, "status", STR("pending")), auth_end(&b), auth_end(&b);
    (void)auth_run(c, &b, "error finding authorization", &answers);
    return auth_fail(c, AUTH_ERROR_oauth_authorization_not_found);
}

static bool load(struct auth_call *c, const char *no_longer, struct pending *p) {
    struct auth_batch b;
    struct json answers;
    *p = (struct pending){.user = json_str(json_get(c->user, "id"))};
    auth_batch_begin(&b);
    auth_tree(&b, "select", "oauth_authorizations");
    json_put_raw(&b.w, "select", STR("[\"*\",{\"embed\":\"oauth_clients\",\"select\":[\"*\"]}]"));
    auth_where(&b), auth_eq(&b, "authorization_id", str_sub(c->id, 0, 255)), auth_end(&b), auth_end(&b);
    auth_tree(&b, "select", "oauth_consents");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_where(&b), auth_eq(&b, "user_id", p->user), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "error finding authorization", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    p->row = auth_first(&answers, 0);
    p->client = json_get(p->row, "oauth_clients");
    str client = json_str(json_get(p->client, "id")), of = json_str(json_get(p->row, "user_id"));
    if (!p->row || !json_is(p->client, JSON_KIND_OBJECT) || json_str(json_get(p->client, "deleted_at")).n)
        return auth_fail(c, AUTH_ERROR_oauth_authorization_not_found);
    JSON_EACH(one, json_get(json_item(&answers, 1), "rows"))
    if (str_eq(json_str(json_get(one, "client_id")), client)) p->consent = one;
    bool pending = str_eqc(json_str(json_get(p->row, "status")), "pending");
    if (pending && c->host->now_us > auth_time_of(json_get(p->row, "expires_at"))) return expire(c, c->id);
    if (!pending) return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s", no_longer);
    return !of.n || str_eq(of, p->user) || auth_fail(c, AUTH_ERROR_oauth_authorization_not_found);
}

static bool covers(const struct json *consent, str wanted) {
    str one, given = json_str(json_get(consent, "scopes"));
    if (!consent || json_str(json_get(consent, "revoked_at")).n) return false;
    while (wanted.n) {
        str_cut(wanted, ' ', &one, &wanted);
        if (one.n && !scope_has(given, one)) return false;
    }
    return true;
}

/* It is pending, and his (or nobody's, where he takes it): one row, or another was quicker. */
static void begin_decided(struct auth_batch *b) {
    auth_batch_begin(b);
    auth_tree(b, "update", "oauth_authorizations");
    auth_set(b);
}

static void end_decided(struct auth_call *c, struct auth_batch *b, const struct pending *p, bool takes) {
    auth_end(b);
    auth_where(b);
    auth_eq(b, "authorization_id", c->id);
    auth_eq(b, "status", STR("pending"));
    if (takes) auth_is_null(b, "user_id");
    else auth_eq(b, "user_id", p->user);
    auth_end(b);
    auth_one(b);
    auth_end(b);
}

static void put_approved(struct auth_call *c, struct auth_batch *b, str code) {
    json_put_cstr(&b->w, "status", "approved");
    json_put_str(&b->w, "approved_at", c->now);
    json_put_str(&b->w, "authorization_code", code);
}

static bool answer_url(struct auth_call *c, str url) {
    struct json_writer w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_str(&w, "redirect_url", url);
    json_put_end(&w);
    return auth_answer(c, 200);
}

static str success_url(struct auth_call *c, const struct pending *p, str code) {
    return with_query(c, json_str(json_get(p->row, "redirect_uri")), "code", code, NULL, (str){0},
                      json_str(json_get(p->row, "state")));
}

/* It is his from now on; where he agreed to as much before, that holds. *url: of the latter. *again: somebody was quicker. */
static bool take(struct auth_call *c, const struct pending *p, str *url, bool *again) {
    struct auth_batch b;
    struct json answers;
    str code = auth_new_id(c);
    bool approves = covers(p->consent, json_str(json_get(p->row, "scope")));
    begin_decided(&b);
    json_put_str(&b.w, "user_id", p->user);
    if (approves) put_approved(c, &b, code);
    end_decided(c, &b, p, true);
    enum auth_ran ran = auth_run(c, &b, "error finding authorization", &answers);
    *again = ran == AUTH_MOVED;
    if (*again) return true;
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    if (approves) *url = success_url(c, p, code);
    return true;
}

static void put_details(struct json_writer *w, const char *key, const struct json *client) {
    static const char *const keys[][2] = {{"name", "client_name"}, {"uri", "client_uri"}, {"logo_uri", "logo_uri"}};
    json_put_object(w, key);
    json_put_str(w, "id", json_str(json_get(client, "id")));
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        str s = json_str(json_get(client, keys[i][1]));
        if (s.n) json_put_str(w, keys[i][0], s);
    }
    json_put_end(w);
}

/* Who decides: *url where it is decided already. */
static bool begin_decision(struct auth_call *c, struct pending *p, str *url) {
    bool again = true;
    for (int tries = 0; tries < TRIES && again; tries++) {
        again = false;
        if (!load(c, "authorization request cannot be processed", p)) return false;
        if (!json_str(json_get(p->row, "user_id")).n && !take(c, p, url, &again)) return false;
    }
    return !again || auth_fail(c, AUTH_ERROR_later);
}

bool auth_do_openid_authorization(struct auth_call *c) {
    struct pending p;
    struct json_writer w;
    str url = {0};
    if (!auth_openid_on(c) || !origin_ok(c) || !begin_decision(c, &p, &url)) return false;
    if (url.n) return answer_url(c, url);
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_str(&w, "authorization_id", c->id);
    json_put_str(&w, "redirect_uri", json_str(json_get(p.row, "redirect_uri")));
    put_details(&w, "client", p.client);
    json_put_object(&w, "user");
    json_put_str(&w, "id", p.user);
    json_put_str(&w, "email", json_str(json_get(c->user, "email")));
    json_put_end(&w);
    json_put_str(&w, "scope", json_str(json_get(p.row, "scope")));
    json_put_end(&w);
    return auth_answer(c, 200);
}

static void put_consent(struct auth_call *c, struct auth_batch *b, const struct pending *p) {
    struct json_writer *w = &b->w;
    str id = json_str(json_get(p->consent, "id"));
    auth_tree(b, id.n ? "update" : "insert", "oauth_consents");
    if (id.n) auth_set(b);
    else {
        auth_row(b);
        json_put_str(w, "id", auth_new_id(c));
        json_put_str(w, "user_id", p->user);
        json_put_str(w, "client_id", json_str(json_get(p->client, "id")));
    }
    json_put_str(w, "scopes", json_str(json_get(p->row, "scope")));
    json_put_str(w, "granted_at", c->now);
    if (id.n) json_put_null(w, "revoked_at");
    if (!id.n) auth_row_end(b);
    else auth_end(b), auth_where(b), auth_eq(b, "id", id), auth_end(b);
    auth_end(b);
}

static bool decide(struct auth_call *c, const struct pending *p, bool approves, str *url) {
    struct auth_batch b;
    struct json answers;
    str code = auth_new_id(c);
    begin_decided(&b);
    if (approves) put_approved(c, &b, code);
    else json_put_cstr(&b.w, "status", "denied");
    end_decided(c, &b, p, false);
    if (approves) put_consent(c, &b, p);
    enum auth_ran ran = auth_run(c, &b, approves ? "error approving authorization" : "error denying authorization", &answers);
    if (ran == AUTH_MOVED) return auth_fail_text(c, AUTH_ERROR_validation_failed, "authorization request is no longer pending");
    if (ran == AUTH_TAKEN) return auth_fail(c, AUTH_ERROR_later);
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *url = approves ? success_url(c, p, code)
                    : with_query(c, json_str(json_get(p->row, "redirect_uri")), "error", STR("access_denied"),
                                 "error_description", STR("User denied the request"), json_str(json_get(p->row, "state")));
    return true;
}

bool auth_do_openid_consent(struct auth_call *c) {
    struct pending p;
    str action = auth_text(c, "action"), url;
    bool approves = str_eqc(action, "approve");
    if (!auth_openid_on(c) || !origin_ok(c)) return false;
    if (!approves && !str_eqc(action, "deny"))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "action must be 'approve' or 'deny'");
    if (!load(c, "authorization request is no longer pending", &p)) return false;
    if (!json_str(json_get(p.row, "user_id")).n) return auth_fail(c, AUTH_ERROR_oauth_authorization_not_found);
    return decide(c, &p, approves, &url) && answer_url(c, url);
}

/* ---- /oauth/token ---- */

/* As OAuth says it: 400 all the same. */
static bool refuse(struct auth_call *c, const char *error, const char *why) {
    struct json_writer w;
    c->out.n = 0;
    c->failed = false;
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_cstr(&w, "error", error);
    json_put_cstr(&w, "error_description", why);
    json_put_end(&w);
    return auth_answer(c, 400);
}

/* A form's, or a JSON's. */
static str said(struct auth_call *c, const char *key) {
    struct auth_request form = *c->rq;
    const struct auth_request *asked = c->rq;
    if (!auth_is_form(c)) {
        const struct json *v = json_get(&c->body, key);
        bool text = json_is(v, JSON_KIND_STR) && v->s.n && !memchr(v->s.p, 0, v->s.n);
        return text ? v->s : (str){0};
    }
    form.query = c->rq->body, c->rq = &form;
    str value = auth_param(c, key);
    c->rq = asked;
    return value;
}

static str basic(struct auth_call *c) {
    str field = auth_header(c, "authorization");
    return str_starts(field, STR("Basic ")) ? str_trim(str_sub(field, 6, field.n)) : (str){0};
}

/* *how: as which of the methods. */
static bool credentials(struct auth_call *c, str *id, str *secret, const char **how) {
    static const char head[] = "Invalid client credentials: ";
    str encoded = basic(c), text;
    if (encoded.n) {
        uint8_t *p = arena_alloc(c->mem, encoded.n + 1, 1);
        while (encoded.n && encoded.p[encoded.n - 1] == '=') encoded.n--;
        for (size_t i = 0; i < encoded.n; i++) p[i] = encoded.p[i] == '+' ? '-' : encoded.p[i] == '/' ? '_' : encoded.p[i];
        if (!auth_base64url_read(c->mem, (str){p, encoded.n}, &text))
            return auth_fail_text(c, AUTH_ERROR_invalid_credentials, "%sinvalid basic auth encoding", head);
        if (!str_cut(text, ':', id, secret))
            return auth_fail_text(c, AUTH_ERROR_invalid_credentials, "%sinvalid basic auth format", head);
        *how = "client_secret_basic";
        return true;
    }
    *id = said(c, "client_id"), *secret = said(c, "client_secret");
    *how = secret->n ? "client_secret_post" : "none";
    return id->n || auth_fail_text(c, AUTH_ERROR_invalid_credentials, "%sclient_id is required", head);
}

static bool authenticate(struct auth_call *c, const struct json **client) {
    str id = {0}, secret = {0};
    const char *how = "none";
    if (!credentials(c, &id, &secret, &how)) return false;
    if (!auth_is_id(id)) return auth_fail_text(c, AUTH_ERROR_invalid_credentials, "Invalid client_id format");
    if (!auth_limited(c, "oauth_client", arena_fmt(c->mem, STR_FMT " " STR_FMT, STR_ARG(id), STR_ARG(auth_network(c))), 300, 300))
        return false;
    if (!auth_openid_client(c, id, client)) return false;
    if (!*client) return auth_fail_text(c, AUTH_ERROR_invalid_credentials, "Invalid client credentials");
    str method = json_str(json_get(*client, "token_endpoint_auth_method"));
    if (!str_eqc(method, how))
        return auth_fail_text(c, AUTH_ERROR_invalid_credentials,
                              "invalid authentication method: client is registered for '" STR_FMT "' but '%s' was used",
                              STR_ARG(method), how);
    bool public = str_eqc(json_str(json_get(*client, "client_type")), "public");
    if (public)
        return !secret.n || auth_fail_text(c, AUTH_ERROR_invalid_credentials, "public clients must not provide client_secret");
    if (!secret.n) return auth_fail_text(c, AUTH_ERROR_invalid_credentials, "confidential clients must provide client_secret");
    return auth_openid_secret_is(c, *client, secret) ||
           auth_fail_text(c, AUTH_ERROR_invalid_credentials, "invalid client credentials");
}

static void put_text_of(struct json_writer *w, const char *key, const struct json *data, const char *a, const char *b,
                        str otherwise) {
    str s = json_str(json_get(data, a));
    if (!s.n && b) s = json_str(json_get(data, b));
    if (!s.n) s = otherwise;
    if (s.n) json_put_str(w, key, s);
}

static void put_profile(struct json_writer *w, const struct json *user) {
    const struct json *data = json_get(user, "raw_user_meta_data");
    int64_t updated = auth_time_of(json_get(user, "updated_at"));
    put_text_of(w, "name", data, "name", NULL, json_str(json_get(user, "email")));
    put_text_of(w, "picture", data, "picture", "avatar_url", (str){0});
    put_text_of(w, "preferred_username", data, "preferred_username", "username", (str){0});
    if (updated > 0) json_put_i64(w, "updated_at", updated / 1'000'000);
}

/* Of what the third party was let know. HS256's secret is no key that others verify with. */
static bool make_id_token(struct auth_call *c, const struct json *row, const struct json *user, str scope, str *token) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    int64_t now = c->host->now_us / 1'000'000, signed_in = auth_time_of(json_get(user, "last_sign_in_at"));
    str client = json_str(json_get(row, "client_id")), nonce = json_str(json_get(row, "nonce"));
    json_put_object(&w, NULL);
    json_put_str(&w, "iss", issuer(c));
    json_put_str(&w, "sub", json_str(json_get(user, "id")));
    json_put_str(&w, "aud", client);
    json_put_i64(&w, "exp", now + 3600);
    json_put_i64(&w, "iat", now);
    json_put_i64(&w, "auth_time", signed_in == INT64_MIN ? now : signed_in / 1'000'000);
    json_put_str(&w, "client_id", client);
    if (nonce.n) json_put_str(&w, "nonce", nonce);
    if (scope_has(scope, STR("email"))) {
        json_put_str(&w, "email", json_str(json_get(user, "email")));
        json_put_bool(&w, "email_verified", auth_confirmed(user));
    }
    if (scope_has(scope, STR("phone"))) {
        json_put_str(&w, "phone_number", json_str(json_get(user, "phone")));
        json_put_bool(&w, "phone_number_verified", auth_time_of(json_get(user, "phone_confirmed_at")) != INT64_MIN);
    }
    if (scope_has(scope, STR("profile"))) put_profile(&w, user);
    json_put_end(&w);
    enum auth_done done = c->host->sign(c->host->arg, c->mem, buf_str(&b), token);
    buf_free(&b);
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    bool secret = str_starts(*token, STR("eyJhbGciOiJIUzI1NiI"));
    return (done == AUTH_DONE && !secret) || auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Error generating ID token");
}

/* Which of the trees has the user, as he is then. */
static uint32_t put_login(struct auth_call *c, struct auth_batch *b, const struct json *user, struct auth_new_session *s) {
    str id = json_str(json_get(user, "id")), email = json_str(json_get(user, "email"));
    auth_select_user(b);
    auth_where(b), auth_eq(b, "id", id), auth_end(b), auth_end(b);
    uint32_t at = b->n - 1;
    auth_insert_session(c, b, id, "oauth_provider/authorization_code", s);
    auth_audit(c, b, "login", "account", id, email, NULL);
    return at;
}

/* The row is spent with the session that it becomes. */
static bool exchange(struct auth_call *c, const struct json *row, const struct json *user) {
    struct auth_batch b;
    struct json answers;
    struct auth_new_session s;
    str scope = json_str(json_get(row, "scope"));
    c->oauth = (struct auth_oauth){.client = json_str(json_get(row, "client_id")), .scope = scope};
    if (scope_has(scope, STR("openid")) && !make_id_token(c, row, user, scope, &c->oauth.id_token)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "oauth_authorizations");
    auth_where(&b), auth_eq(&b, "id", json_str(json_get(row, "id"))), auth_eq(&b, "status", STR("approved")), auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    uint32_t last = put_login(c, &b, user, &s);
    enum auth_ran ran = auth_run(c, &b, "Error exchanging authorization code", &answers);
    if (ran == AUTH_MOVED) return refuse(c, "invalid_grant", "Invalid authorization code");
    if (ran != AUTH_RAN || !auth_first(&answers, last)) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    return auth_answer_session(c, auth_first(&answers, last), &s, NULL);
}

static bool by_code(struct auth_call *c, const struct json *client) {
    struct auth_batch b;
    struct json answers;
    const struct json *user = NULL;
    str code = said(c, "code"), resource = said(c, "resource"), redirect = said(c, "redirect_uri"),
        verifier = said(c, "code_verifier");
    if (!code.n) return refuse(c, "invalid_request", "code is required for authorization_code grant");
    auth_batch_begin(&b);
    auth_tree(&b, "select", "oauth_authorizations");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_where(&b), auth_eq(&b, "authorization_code", str_sub(code, 0, 255)), auth_eq(&b, "status", STR("approved")),
        auth_end(&b);
    auth_end(&b);
    if (auth_run(c, &b, "Error finding authorization code", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *row = auth_first(&answers, 0);
    str of = json_str(json_get(row, "user_id"));
    if (!row) return refuse(c, "invalid_grant", "Invalid authorization code");
    if (c->host->now_us > auth_time_of(json_get(row, "expires_at")))
        return refuse(c, "invalid_grant", "Authorization code has expired");
    if (!str_eq(json_str(json_get(row, "client_id")), json_str(json_get(client, "id"))))
        return refuse(c, "invalid_grant", "Authorization code was not issued for this client");
    if (resource.n && !str_eq(resource, json_str(json_get(row, "resource"))))
        return refuse(c, "invalid_grant", "Authorization code resource does not match the resource parameter");
    if (redirect.n && !str_eq(redirect, json_str(json_get(row, "redirect_uri"))))
        return refuse(c, "invalid_grant", "Invalid redirect_uri");
    if (!verifier.n)
        return refuse(c, "invalid_grant", "PKCE verification failed: code_verifier is required when PKCE challenge is present");
    if (!auth_verifier_is(c, verifier, row))
        return refuse(c, "invalid_grant",
                      "PKCE verification failed: code challenge does not match previously saved code verifier");
    if (!of.n) return refuse(c, "invalid_grant", "Authorization code has no associated user");
    if (!auth_read_user(c, "id", of, &user)) return false;
    if (!user) return refuse(c, "invalid_grant", "User not found for authorization code");
    if (auth_banned(c, user)) return refuse(c, "access_denied", "User is banned");
    return exchange(c, row, user);
}

static bool may_grant(const struct json *client, str grant) {
    str list = json_str(json_get(client, "grant_types")), one;
    while (list.n) {
        str_cut(list, ',', &one, &list);
        if (str_eq(one, grant)) return true;
    }
    return false;
}

bool auth_do_openid_token(struct auth_call *c) {
    const struct json *client;
    str grant = said(c, "grant_type"), token = said(c, "refresh_token");
    if (!auth_openid_on(c)) return false;
    if (!auth_limited(c, "oauth_token", auth_network(c), MAX(c->config->refreshes, 30u), 300) || !authenticate(c, &client))
        return false;
    if (!grant.n) return refuse(c, "invalid_request", "grant_type is required");
    if (!may_grant(client, grant))
        return refuse(
            c, "unsupported_grant_type",
            (const char *)arena_fmt(c->mem, "Client is not allowed to use grant type: " STR_FMT, STR_ARG(str_sub(grant, 0, 64)))
                .p);
    if (str_eqc(grant, "authorization_code")) return by_code(c, client);
    if (!token.n) return refuse(c, "invalid_request", "refresh_token is required for refresh_token grant");
    c->oauth = (struct auth_oauth){.client = json_str(json_get(client, "id"))};
    return auth_refresh(c, token);
}

bool auth_openid_may_refresh(struct auth_call *c, const struct json *session, bool *answered) {
    const char *wrong = NULL;
    str of = json_str(json_get(session, "oauth_client_id"));
    if (of.n && !c->oauth.client.n) wrong = "Client authentication required for OAuth session";
    else if (of.n && !str_eq(of, c->oauth.client)) wrong = "Client does not match the session's OAuth client";
    else if (!of.n && c->oauth.client.n) wrong = "Client authentication not allowed for non-OAuth session";
    c->oauth.scope = json_str(json_get(session, "scopes"));
    *answered = wrong && refuse(c, "invalid_client", wrong);
    return !wrong;
}

/* ---- userinfo ---- */

bool auth_do_openid_userinfo(struct auth_call *c) {
    struct json_writer w = json_writer_of(&c->out);
    const struct json *u = c->user;
    str scope = json_str(json_get(c->session, "scopes")), email = json_str(json_get(u, "email")),
        phone = json_str(json_get(u, "phone"));
    if (!auth_openid_on(c)) return false;
    json_put_object(&w, NULL);
    json_put_str(&w, "sub", json_str(json_get(u, "id")));
    if (scope_has(scope, STR("email"))) {
        if (email.n) json_put_str(&w, "email", email);
        if (auth_confirmed(u)) json_put_bool(&w, "email_verified", true);
    }
    if (scope_has(scope, STR("profile"))) {
        put_profile(&w, u);
        auth_put_merged(&w, "user_metadata", json_get(u, "raw_user_meta_data"), NULL);
    }
    if (scope_has(scope, STR("phone"))) {
        if (phone.n) json_put_str(&w, "phone", phone);
        if (auth_time_of(json_get(u, "phone_confirmed_at")) != INT64_MIN) json_put_bool(&w, "phone_verified", true);
    }
    json_put_end(&w);
    return auth_answer(c, 200);
}

/* ---- what a user has agreed to ---- */

bool auth_do_openid_grants(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    struct json_writer w;
    if (!auth_openid_on(c)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "oauth_consents");
    json_put_raw(&b.w, "select", STR("[\"*\",{\"embed\":\"oauth_clients\",\"select\":[\"*\"]}]"));
    json_put_raw(&b.w, "order", STR("[{\"column\":\"granted_at\",\"desc\":true}]"));
    auth_where(&b), auth_eq(&b, "user_id", json_str(json_get(c->user, "id"))), auth_is_null(&b, "revoked_at"), auth_end(&b);
    auth_end(&b);
    if (auth_run(c, &b, "Error fetching OAuth grants", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    w = json_writer_of(&c->out);
    json_put_array(&w, NULL);
    JSON_EACH(one, json_get(json_item(&answers, 0), "rows")) {
        const struct json *client = json_get(one, "oauth_clients");
        str list = json_str(json_get(one, "scopes")), scope;
        if (!json_is(client, JSON_KIND_OBJECT) || json_str(json_get(client, "deleted_at")).n) continue;
        json_put_object(&w, NULL);
        put_details(&w, "client", client);
        json_put_array(&w, "scopes");
        while (list.n) {
            str_cut(list, ' ', &scope, &list);
            if (scope.n) json_put_str(&w, NULL, scope);
        }
        json_put_end(&w);
        auth_put_time(&w, "granted_at", json_get(one, "granted_at"));
        json_put_end(&w);
    }
    json_put_end(&w);
    return auth_answer(c, 200);
}

bool auth_do_openid_revoke(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    str client = auth_param(c, "client_id"), user = json_str(json_get(c->user, "id"));
    if (!auth_openid_on(c)) return false;
    if (!client.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "client_id query parameter is required");
    if (!auth_is_id(client)) return auth_fail_text(c, AUTH_ERROR_validation_failed, "invalid client_id format");
    auth_batch_begin(&b);
    auth_tree(&b, "update", "oauth_consents");
    auth_set(&b), json_put_str(&b.w, "revoked_at", c->now), auth_end(&b);
    auth_where(&b), auth_eq(&b, "user_id", user), auth_eq(&b, "client_id", client), auth_is_null(&b, "revoked_at"), auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    auth_tree(&b, "delete", "sessions");
    auth_where(&b), auth_eq(&b, "user_id", user), auth_eq(&b, "oauth_client_id", client), auth_end(&b), auth_end(&b);
    auth_tree(&b, "delete", "oauth_authorizations");
    auth_where(&b), auth_eq(&b, "user_id", user), auth_eq(&b, "client_id", client), auth_end(&b), auth_end(&b);
    auth_audit(c, &b, "token_revoked", "token", user, json_str(json_get(c->user, "email")), NULL);
    enum auth_ran ran = auth_run(c, &b, "Error revoking grant", &answers);
    if (ran == AUTH_MOVED)
        return auth_fail_status(c, AUTH_ERROR_oauth_consent_not_found, 404, "No active grant found for this client");
    return ran == AUTH_RAN ? auth_answer(c, 204) : auth_fail(c, AUTH_ERROR_unexpected_failure);
}
