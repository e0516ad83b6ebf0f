/* provider: where a provider of identities is, and what it is asked: for a code tokens, by them who somebody is.
 *
 *   providers.def (known by name), the app's manifest, custom_oauth_providers (admin) ──> struct auth_provider ──discovery──> its places and keys
 *
 * 1. What a provider answers is a stranger's: bounded, and read as what it should be, or refused.
 * 2. Which provider a flow is of, its own row says, never what comes back: neither a code nor a token of one goes to another.
 * 3. Why something failed there is for the app's owner (its log); a client hears GoTrue's words. */
#include "auth/provider_int.h"
#include <stdio.h>

enum { DISCOVERY_S = 3600, ANSWER_MAX = 256 << 10, TOKEN_TEXT_MAX = 16 << 10, PATH_MAX_ = 2048 };

static const struct auth_preset presets[] = {
#define PROVIDER(id, ...) {.name = #id, __VA_ARGS__},
#include "auth/providers.def"
#undef PROVIDER
};

bool auth_provider_is(const struct auth_provider *p, const char *name) { return p->preset && !strcmp(p->preset->name, name); }

static const struct auth_preset *preset_of(str name) {
    for (size_t i = 0; i < ARRAY_COUNT(presets); i++)
        if (str_eqc(name, presets[i].name)) return &presets[i];
    return NULL;
}

/* ---- one that the app has ---- */

/* "env(NAME)": what that secret of the app's is. */
static str value_of(struct auth_call *c, str text) {
    str value = {0};
    if (!str_starts(text, STR("env(")) || !str_ends(text, STR(")"))) return text;
    return c->host->secret(c->host->arg, c->mem, str_sub(text, 4, text.n - 5), &value) ? str_trim(value) : (str){0};
}

/* Several may stand in it. */
static void add_clients(struct auth_call *c, struct auth_provider *p, str text) {
    str one;
    text = value_of(c, text);
    while (text.n) {
        str_cut(text, ',', &one, &text);
        if (str_trim(one).n) vec_push(c->mem, &p->clients, str_trim(one));
    }
}

static str without_slash(str s) { return s.n && s.p[s.n - 1] == '/' ? str_sub(s, 0, s.n - 1) : s; }

static str place(struct auth_call *c, const char *text, str base, str api) {
    if (!text) return (str){0};
    str at = text[0] == '@' ? api : base;
    return arena_fmt(c->mem, STR_FMT "%s", STR_ARG(at), text + (text[0] == '@'));
}

static void settle_preset(struct auth_call *c, struct auth_provider *p) {
    const struct auth_preset *s = p->preset;
    bool own = p->url.n;
    str base = own ? p->url : str_c(s->base ? s->base : ""), api = own ? p->url : str_c(s->api ? s->api : "");
    if (own && s->below) api = arena_fmt(c->mem, STR_FMT "%s", STR_ARG(api), s->below);
    p->kind = s->kind;
    p->authorize = place(c, s->authorize, base, api), p->token = place(c, s->token, base, api);
    p->user = place(c, s->user, base, api), p->emails = place(c, s->emails, base, api), p->iss = place(c, s->iss, base, api);
    p->pkce = s->pkce, p->basic = s->basic;
    if (s->kind == DISCOVERED) p->issuer = base;
    else if (s->issuer && !own) p->issuer = str_c(s->issuer);
    p->scopes = p->scopes.n ? arena_fmt(c->mem, "%s " STR_FMT, s->scopes, STR_ARG(p->scopes)) : str_c(s->scopes);
    if (auth_provider_is(p, "azure") && own) {
        str tenant = arena_fmt(c->mem, STR_FMT "/v2.0", STR_ARG(base));
        static const char *const any[] = {"common", "organizations"};
        p->tenant = true;
        for (size_t i = 0; i < ARRAY_COUNT(any); i++)
            if (str_eq(base, arena_fmt(c->mem, "https://login.microsoftonline.com/%s", any[i]))) p->tenant = false;
        if (p->tenant) p->issuer = tenant;
    }
    if (auth_provider_is(p, "keycloak")) p->issuer = base;
}

static bool has_word(str words, const char *word) {
    str one;
    while (words.n) {
        str_cut(words, ' ', &one, &words);
        if (str_eqc(one, word)) return true;
    }
    return false;
}

static void settle_own(struct auth_call *c, struct auth_provider *p, const struct app_provider *of) {
    p->issuer = of->issuer, p->authorize = of->authorize, p->token = of->token, p->user = of->userinfo;
    p->kind = of->issuer.n ? DISCOVERED : USERINFO;
    p->iss = of->issuer.n ? of->issuer : of->userinfo;
    p->pkce = true;
    if (p->kind == DISCOVERED && !has_word(p->scopes, "openid"))
        p->scopes = arena_fmt(c->mem, p->scopes.n ? "openid " STR_FMT : "openid email profile", STR_ARG(p->scopes));
}

static void of_manifest(struct auth_call *c, const struct app_provider *of, struct auth_provider *p) {
    p->preset = preset_of(of->name);
    p->url = without_slash(of->url);
    p->redirect = of->redirect;
    p->team = of->team, p->key = of->key, p->scopes = of->scopes;
    p->skip_nonce = of->skip_nonce, p->email_optional = of->email_optional;
    for (uint32_t i = 0; i < of->clients.n; i++) add_clients(c, p, of->clients.p[i]);
    if (of->secret.n) (void)c->host->secret(c->host->arg, c->mem, of->secret, &p->secret);
    if (p->preset) settle_preset(c, p);
    else settle_own(c, p, of);
}

/* ---- one of the admin's ---- */

static str texts_of(struct auth_call *c, const struct json *list) {
    struct buf b = {0};
    JSON_EACH(one, list) buf_printf(&b, "%s" STR_FMT, b.n ? " " : "", STR_ARG(json_str(one)));
    str s = arena_str(c->mem, buf_str(&b));
    buf_free(&b);
    return s;
}

static bool of_table(struct auth_call *c, str name, struct auth_provider *p, const char **why) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "custom_oauth_providers");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_where(&b), auth_eq(&b, "identifier", name), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Error finding custom provider", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *row = auth_first(&answers, 0);
    *why = (const char *)arena_fmt(c->mem, "custom provider " STR_FMT " %s", STR_ARG(name), row ? "is disabled" : "not found").p;
    if (!row || !json_bool(json_get(row, "enabled"))) return false;
    vec_push(c->mem, &p->clients, json_str(json_get(row, "client_id")));
    JSON_EACH(one, json_get(row, "acceptable_client_ids")) vec_push(c->mem, &p->clients, json_str(one));
    p->scopes = texts_of(c, json_get(row, "scopes"));
    p->pkce = json_bool(json_get(row, "pkce_enabled"));
    p->skip_nonce = json_bool(json_get(row, "skip_nonce_check")), p->email_optional = json_bool(json_get(row, "email_optional"));
    p->map = json_get(row, "attribute_mapping"), p->more = json_get(row, "authorization_params");
    p->allow = json_get(row, "custom_claims_allowlist");
    p->kind = str_eqc(json_str(json_get(row, "provider_type")), "oidc") ? DISCOVERED : USERINFO;
    p->issuer = p->kind == DISCOVERED ? json_str(json_get(row, "issuer")) : (str){0};
    p->discovery = json_str(json_get(row, "discovery_url"));
    p->authorize = json_str(json_get(row, "authorization_url")), p->token = json_str(json_get(row, "token_url"));
    p->user = json_str(json_get(row, "userinfo_url"));
    p->iss = p->issuer.n ? p->issuer : p->user;
    return auth_unseal(c, "custom_oauth_providers.client_secret", json_str(json_get(row, "id")),
                       json_str(json_get(row, "client_secret")), &p->secret);
}

/* Those of GoTrue's that are not here. */
static bool is_elsewhere(str name) {
    static const char *const names[] = {
        "bitbucket", "figma",   "fly",    "kakao",   "linkedin", "linkedin_oidc",      "notion", "slack",
        "snapchat",  "spotify", "twitch", "twitter", "x",        "vercel_marketplace", "workos", "zoom"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eqc(name, names[i])) return true;
    return false;
}

bool auth_provider_find(struct auth_call *c, str name, bool discovers, struct auth_provider *p, const char **why) {
    uint8_t *small = arena_alloc(c->mem, name.n + 1, 1);
    *p = (struct auth_provider){0};
    bool sane = name.n && name.n <= 64;
    for (size_t i = 0; i < name.n; i++) {
        small[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 32 : name.p[i];
        sane &= (small[i] >= 'a' && small[i] <= 'z') || (small[i] >= '0' && small[i] <= '9') ||
                strchr("_:-", small[i] ? small[i] : ' ');
    }
    p->name = sane ? (str){small, name.n} : STR("");
    bool custom = str_starts(p->name, STR("custom:")), found = false;
    str own = custom ? str_sub(p->name, 7, p->name.n) : p->name;
    for (uint32_t i = 0; i < c->config->providers.n && !found; i++) {
        const struct app_provider *of = &c->config->providers.p[i];
        found = str_eq(of->name, own) && custom != app_provider_known(of->name);
        if (found) of_manifest(c, of, p);
    }
    if (!found && custom) {
        if (!of_table(c, p->name, p, why)) return false;
        found = true;
    }
    *why = "provider is not enabled";
    if (!found && !preset_of(p->name) && !is_elsewhere(p->name))
        *why = (const char *)arena_fmt(c->mem, "Provider " STR_FMT " could not be found", STR_ARG(str_sub(p->name, 0, 64))).p;
    if (!found) return false;
    *why = "missing OAuth client ID";
    if (!p->clients.n) return false;
    if (!p->redirect.n) p->redirect = arena_fmt(c->mem, STR_FMT "/auth/v1/callback", STR_ARG(c->rq->url));
    if (p->issuer.n && !p->discovery.n)
        p->discovery = arena_fmt(c->mem, STR_FMT "/.well-known/openid-configuration", STR_ARG(without_slash(p->issuer)));
    return !discovers || p->kind != DISCOVERED || auth_provider_discover(c, p, why);
}

/* ---- asking ---- */

static bool ask(struct auth_call *c, const struct auth_fetch *what, struct auth_fetched *answer, const char **why) {
    enum auth_done done = c->host->fetch(c->host->arg, c->mem, what, answer);
    *why = "it cannot be asked";
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    return done == AUTH_DONE;
}

static bool read_object(struct auth_call *c, str body, struct json *v) {
    static const struct json_limits limits = {ANSWER_MAX, 32, 10'000};
    struct diag d = DIAG_INIT;
    return json_read(c->mem, body, &limits, v, &d) == ERR_OK && (v->kind == JSON_KIND_OBJECT || v->kind == JSON_KIND_ARRAY);
}

static bool is_web(str url) {
    return (str_starts(url, STR("https://")) || str_starts(url, STR("http://"))) && url.n <= PATH_MAX_ &&
           str_find(url, '#') == url.n && str_find(url, ' ') == url.n;
}

static bool lists(const struct json *list, const char *word) {
    JSON_EACH(one, list) if (str_eqc(json_str(one), word)) return true;
    return false;
}

bool auth_provider_discover(struct auth_call *c, struct auth_provider *p, const char **why) {
    const struct auth_fetch get = {.method = STR("GET"), .url = p->discovery, .bytes_max = ANSWER_MAX, .keep_s = DISCOVERY_S};
    struct auth_fetched answer;
    struct json doc;
    if (!ask(c, &get, &answer, why)) return false;
    *why = "its discovery document is none";
    if (answer.status != 200 || !read_object(c, answer.body, &doc)) return false;
    *why = "its discovery document is of another issuer";
    if (!str_eq(json_str(json_get(&doc, "issuer")), p->issuer)) return false;
    p->keys = json_str(json_get(&doc, "jwks_uri"));
    str at = json_str(json_get(&doc, "userinfo_endpoint"));
    if (!p->user.n && is_web(at)) p->user = at;
    *why = "its discovery document lacks its places";
    if (p->kind != DISCOVERED) return is_web(p->keys);
    p->authorize = json_str(json_get(&doc, "authorization_endpoint")), p->token = json_str(json_get(&doc, "token_endpoint"));
    if (!is_web(p->authorize) || !is_web(p->token) || !is_web(p->keys)) return false;
    const struct json *methods = json_get(&doc, "token_endpoint_auth_methods_supported");
    if (!p->preset) p->basic = !lists(methods, "client_secret_post");
    return true;
}

/* ---- where a user is led ---- */

static void put_param(struct buf *to, const char *name, str value) {
    if (!value.n) return;
    buf_printf(to, "%s%s=", to->n ? "&" : "", name);
    auth_put_escaped(to, value);
}

str auth_provider_url(struct auth_call *c, const struct auth_provider *p, str scopes, str state, str nonce, str challenge,
                      str more) {
    struct buf b = {0};
    str words = scopes.n ? arena_fmt(c->mem, STR_FMT " " STR_FMT, STR_ARG(p->scopes), STR_ARG(scopes)) : p->scopes;
    put_param(&b, "client_id", p->clients.p[0]);
    put_param(&b, "redirect_uri", p->redirect);
    put_param(&b, "response_type", STR("code"));
    put_param(&b, "scope", words);
    put_param(&b, "state", state);
    put_param(&b, "nonce", nonce);
    if (challenge.n) put_param(&b, "code_challenge", challenge), put_param(&b, "code_challenge_method", STR("S256"));
    if (p->preset && p->preset->form_post) put_param(&b, "response_mode", STR("form_post"));
    for (uint32_t i = 0; json_is(p->more, JSON_KIND_OBJECT) && i < p->more->n; i++) {
        struct buf key = {0};
        auth_put_escaped(&key, p->more->members[i].key);
        buf_putc(&key, 0);
        put_param(&b, (const char *)key.p, json_str(&p->more->members[i].v));
        buf_free(&key);
    }
    if (more.n) buf_putc(&b, '&'), buf_puts(&b, more);
    str url = arena_fmt(c->mem, STR_FMT "%c" STR_FMT, STR_ARG(p->authorize),
                        str_find(p->authorize, '?') < p->authorize.n ? '&' : '?', STR_ARG(buf_str(&b)));
    buf_free(&b);
    return url;
}

/* ---- tokens for a code ---- */

/* Apple's client has no secret that stays: it signs one with its key, each time. */
static bool sign_secret(struct auth_call *c, const struct auth_provider *p, str *secret, const char **why) {
    uint8_t key[CRYPTO_ES256_SECRET_BYTES], signature[CRYPTO_ES256_SIGNATURE_BYTES];
    struct buf b = {0}, pem = {0};
    struct json_writer w = json_writer_of(&b);
    int64_t now = c->host->now_us / 1'000'000;
    for (size_t i = 0; i < p->secret.n; i++) /* a line's end as an environment has it */
        if (p->secret.p[i] == '\\' && i + 1 < p->secret.n && p->secret.p[i + 1] == 'n') buf_putc(&pem, '\n'), i++;
        else buf_putc(&pem, p->secret.p[i]);
    bool ok = crypto_es256_of_pem(buf_str(&pem), key);
    if (pem.p) explicit_bzero(pem.p, pem.n);
    buf_free(&pem);
    *why = "its secret is no key of P-256 in PEM, as Apple gives one (AuthKey_….p8)";
    if (!ok) return false;
    json_put_object(&w, NULL);
    json_put_cstr(&w, "alg", "ES256"), json_put_str(&w, "kid", p->key), json_put_end(&w);
    str head = auth_base64url(c->mem, buf_str(&b));
    b.n = 0, w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_str(&w, "iss", p->team);
    json_put_i64(&w, "iat", now), json_put_i64(&w, "exp", now + 300);
    json_put_str(&w, "aud", p->issuer), json_put_str(&w, "sub", p->clients.p[0]);
    json_put_end(&w);
    str message = arena_fmt(c->mem, STR_FMT "." STR_FMT, STR_ARG(head), STR_ARG(auth_base64url(c->mem, buf_str(&b))));
    buf_free(&b);
    ok = crypto_es256_sign(key, message, signature);
    explicit_bzero(key, sizeof key);
    if (!ok) return false;
    *secret = arena_fmt(c->mem, STR_FMT "." STR_FMT, STR_ARG(message),
                        STR_ARG(auth_base64url(c->mem, (str){signature, sizeof signature})));
    return true;
}

static str basic_of(struct auth_call *c, str client, str secret) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct buf both = {0}, b = {0};
    auth_put_escaped(&both, client), buf_putc(&both, ':'), auth_put_escaped(&both, secret);
    buf_puts(&b, STR("Basic "));
    for (size_t i = 0; i < both.n; i += 3) {
        size_t left = both.n - i;
        uint32_t v = (uint32_t)both.p[i] << 16 | (left > 1 ? (uint32_t)both.p[i + 1] << 8 : 0) | (left > 2 ? both.p[i + 2] : 0u);
        buf_putc(&b, (uint8_t)digits[v >> 18]), buf_putc(&b, (uint8_t)digits[v >> 12 & 63]);
        buf_putc(&b, left > 1 ? (uint8_t)digits[v >> 6 & 63] : '='), buf_putc(&b, left > 2 ? (uint8_t)digits[v & 63] : '=');
    }
    str s = arena_str(c->mem, buf_str(&b));
    explicit_bzero(both.p, both.n), explicit_bzero(b.p, b.n);
    buf_free(&both), buf_free(&b);
    return s;
}

/* JSON, or, as some have it to this day, a form. */
static void read_tokens(struct auth_call *c, const struct auth_fetched *answer, struct auth_tokens *to) {
    static const char *const names[] = {"access_token", "refresh_token", "id_token"};
    str *const places[] = {&to->access, &to->refresh, &to->id};
    struct auth_request form = {.query = answer->body}, *asked = (struct auth_request *)(uintptr_t)c->rq;
    struct json v;
    bool json = read_object(c, answer->body, &v);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        c->rq = &form;
        *places[i] = json ? json_str(json_get(&v, names[i])) : auth_param(c, names[i]);
        c->rq = asked;
        for (size_t k = 0; k < places[i]->n; k++)
            if (places[i]->p[k] <= ' ' || places[i]->p[k] >= 0x7f || places[i]->n > TOKEN_TEXT_MAX) *places[i] = (str){0};
    }
}

bool auth_provider_exchange(struct auth_call *c, struct auth_provider *p, str code, str verifier, struct auth_tokens *to,
                            const char **why) {
    struct buf b = {0};
    struct auth_fetched answer;
    str secret = p->secret;
    *to = (struct auth_tokens){0};
    if (p->team.n && !sign_secret(c, p, &secret, why)) return false;
    put_param(&b, "grant_type", STR("authorization_code"));
    put_param(&b, "code", code);
    put_param(&b, "redirect_uri", p->redirect);
    put_param(&b, "code_verifier", verifier);
    bool basic = p->basic && secret.n;
    if (!basic) put_param(&b, "client_id", p->clients.p[0]), put_param(&b, "client_secret", secret);
    struct auth_field fields[3] = {{STR("content-type"), STR("application/x-www-form-urlencoded")},
                                   {STR("accept"), STR("application/json")}};
    if (basic) fields[2] = (struct auth_field){STR("authorization"), basic_of(c, p->clients.p[0], secret)};
    const struct auth_fetch post = {.method = STR("POST"),
                                    .url = p->token,
                                    .fields = fields,
                                    .fields_count = 2 + basic,
                                    .body = arena_str(c->mem, buf_str(&b)),
                                    .bytes_max = ANSWER_MAX};
    buf_free(&b);
    if (!ask(c, &post, &answer, why)) return false;
    if (answer.status == 200 || answer.status == 201) read_tokens(c, &answer, to);
    *why = (const char *)arena_fmt(c->mem, "it gave no token for the code: %u " STR_FMT, answer.status,
                                   STR_ARG(to->access.n ? STR("") : str_sub(answer.body, 0, answer.status == 200 ? 0 : 300)))
               .p;
    return to->access.n;
}

/* ---- who it is ---- */

static bool get(struct auth_call *c, const struct auth_provider *p, str url, str access, struct json *v, const char **why) {
    const struct auth_field fields[] = {{STR("authorization"), arena_fmt(c->mem, "Bearer " STR_FMT, STR_ARG(access))},
                                        {STR("accept"), STR("application/json")}};
    struct auth_fetched answer;
    if (p->preset && p->preset->proof) {
        uint8_t mac[CRYPTO_SHA256_BYTES];
        crypto_hmac_sha256(p->secret, access, mac);
        url = arena_fmt(c->mem, STR_FMT "%cappsecret_proof=" STR_FMT, STR_ARG(url), str_find(url, '?') < url.n ? '&' : '?',
                        STR_ARG(auth_hex(c->mem, mac, sizeof mac)));
    }
    const struct auth_fetch ask_for = {
        .method = STR("GET"), .url = url, .fields = fields, .fields_count = 2, .bytes_max = ANSWER_MAX};
    if (!ask(c, &ask_for, &answer, why)) return false;
    *why = (const char *)arena_fmt(c->mem, "it did not say who it is: %u", answer.status).p;
    return answer.status >= 200 && answer.status < 300 && read_object(c, answer.body, v);
}

bool auth_is_azure(str issuer) {
    static const str at = STR_INIT("https://login.microsoftonline.com/");
    if (!str_starts(issuer, at)) return false;
    str rest = without_slash(str_sub(issuer, at.n, issuer.n)), tenant, version;
    bool ok = str_cut(rest, '/', &tenant, &version) && str_eqc(version, "v2.0") && tenant.n && tenant.n <= 128;
    for (size_t i = 0; i < tenant.n && ok; i++) {
        uint8_t ch = tenant.p[i];
        ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '.';
    }
    return ok;
}

/* By which tenant it is signed, it says itself: any, or the one that the app has named. */
bool auth_provider_tenant(struct auth_call *c, struct auth_provider *p, str token, const char **why) {
    struct json claims;
    *why = "it is no token of a tenant of Azure's that may be";
    if (!auth_id_token_peek(c, token, &claims)) return false;
    str iss = json_str(json_get(&claims, "iss"));
    if (p->tenant ? !str_eq(iss, p->issuer) : !auth_is_azure(iss)) return false;
    p->issuer = iss;
    p->discovery = arena_fmt(c->mem, STR_FMT "/.well-known/openid-configuration", STR_ARG(without_slash(iss)));
    return auth_provider_discover(c, p, why);
}

/* What the userinfo says besides, of the same one. */
static bool join(struct auth_call *c, const struct auth_provider *p, str access, const struct json *claims, struct json *both,
                 const char **why) {
    struct json more, *keep = arena_make(c->mem, struct json);
    struct buf b = {0};
    if (!get(c, p, p->user, access, &more, why)) return false;
    *why = "its userinfo is of somebody else";
    if (!str_eq(json_str(json_get(&more, "sub")), json_str(json_get(claims, "sub")))) return false;
    struct json_writer w = json_writer_of(&b);
    *keep = *claims;
    auth_put_merged(&w, NULL, &more, keep); /* what is signed is over the rest */
    bool ok = read_object(c, arena_str(c->mem, buf_str(&b)), both);
    buf_free(&b);
    return ok;
}

bool auth_provider_who(struct auth_call *c, struct auth_provider *p, const struct auth_tokens *t, str nonce, str name,
                       struct auth_known *to, const char **why) {
    struct json said, list, both;
    if (p->kind == USERINFO || (!t->id.n && !p->preset && p->user.n)) {
        if (!get(c, p, p->user, t->access, &said, why) || (p->emails.n && !get(c, p, p->emails, t->access, &list, why)))
            return false;
        *why = "it says of nobody who it is";
        return auth_claims_read(c, p, &said, p->emails.n ? &list : NULL, false, name, to);
    }
    *why = "there is no id_token in what it answers";
    if (!t->id.n || (p->kind == ID_TOKEN && !auth_provider_tenant(c, p, t->id, why))) return false;
    if (!auth_id_token_verify(c, p, t->id, t->access, &said, why)) return false;
    *why = "its id_token is for somebody else";
    if (!auth_id_token_is_for(&said, p->clients.p, p->preset ? 1 : p->clients.n)) return false;
    *why = "its id_token is of another sign-in (nonce)";
    if (nonce.n && !str_eq(json_str(json_get(&said, "nonce")), nonce)) return false;
    const struct json *all = &said;
    if (!p->preset && p->user.n && !json_get(&said, "email")) {
        if (!join(c, p, t->access, &said, &both, why)) return false;
        all = &both;
    }
    *why = "it says of nobody who it is";
    return auth_claims_read(c, p, all, NULL, true, name, to);
}
