/* pages: for an app that has none of its own: sign-in, sign-up, recovery, second factor, consent (docs/auth-pages.md). HTML and forms, no script.
 *
 *   GET /pages/sign-in ── form ──> POST, by the same functions as clients' requests ──> a session, in a cookie of these pages alone ── factor? ──> where he came for
 *                                                                                       redirect_to: a code (PKCE) or the session; a third party: consent
 *
 * 1. A form is taken from these pages alone: its Origin is the app's own, and the cookie goes nowhere else (SameSite, HttpOnly, its path).
 * 2. It leads only where a mail's link may lead (redirect.c), by a page that goes on by itself: what is left is left in sight.
 * 3. What is said is from pages.def; what anybody else wrote is escaped. A page has no script, and its style has a nonce. */
#include "auth/auth_int.h"

enum { LANGUAGES = 4, VERIFIER_BYTES = 32, VERIFIER_LETTERS = 43 };
#define AT "/auth/v1/pages"
static const char *const languages[LANGUAGES] = {"en", "de", "fr", "es"};
enum text {
#define X(key, ...) TEXT_##key,
#include "auth/pages.def"
#undef X
    TEXTS
};
static const char *const texts[TEXTS][LANGUAGES] = {
#define X(key, ...) {__VA_ARGS__},
#include "auth/pages.def"
#undef X
};

struct page {
    struct auth_call *c;
    uint32_t language;
    /* what he came for: */
    str redirect, challenge, method, authorization, next;
    str session;  /* the cookie's; empty: none that holds */
    str verifier; /* of what is sent by mail, and of other providers */
    str nonce;
    const char *says; /* above the form; NULL: nothing */
};

/* ---- what came ---- */

static str field(struct auth_call *c, const char *name) {
    struct auth_request form = *c->rq;
    const struct auth_request *asked = c->rq;
    if (str_eqc(c->rq->method, "POST")) form.query = c->rq->body, c->rq = &form;
    str value = auth_param(c, name);
    c->rq = asked;
    return value;
}

static str cookie(struct auth_call *c, const char *name) {
    str list = auth_header(c, "cookie"), one, key, value;
    while (list.n) {
        str_cut(list, ';', &one, &list);
        str_cut(str_trim(one), '=', &key, &value);
        if (str_eqc(key, name)) return value;
    }
    return (str){0};
}

static void set_cookie(struct auth_call *c, const char *name, str value) {
    const char *secure = str_starts(c->rq->url, STR("https://")) ? "; Secure" : "";
    auth_add_field(c, "set-cookie",
                   arena_fmt(c->mem, "%s=" STR_FMT "; Path=" AT "; HttpOnly; SameSite=Lax%s%s", name, STR_ARG(value), secure,
                             value.n ? "" : "; Max-Age=0"));
}

static uint32_t language_of(struct auth_call *c) {
    str said[] = {field(c, "lang"), auth_header(c, "accept-language")};
    for (size_t i = 0; i < ARRAY_COUNT(said); i++) {
        str one;
        while (said[i].n) {
            str_cut(said[i], ',', &one, &said[i]);
            one = str_sub(str_trim(one), 0, 2);
            for (uint32_t k = 0; k < LANGUAGES; k++)
                if (str_eq_nocase(one, str_c(languages[k]))) return k;
        }
    }
    return 0;
}

static bool verifier_ok(str s) {
    bool ok = s.n == VERIFIER_LETTERS;
    for (size_t i = 0; i < s.n && ok; i++) {
        uint8_t ch = s.p[i] | 32;
        ok = (ch >= 'a' && ch <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') || s.p[i] == '-' || s.p[i] == '_';
    }
    return ok;
}

static str random_text(struct auth_call *c) {
    uint8_t bytes[VERIFIER_BYTES];
    crypto_random(bytes, sizeof bytes);
    return auth_base64url(c->mem, (str){bytes, sizeof bytes});
}

/* Whether a form was sent by one of these pages. */
static bool is_own(struct auth_call *c) {
    str origin = auth_header(c, "origin"), host = auth_header(c, "host"), scheme, rest;
    size_t colon = str_find(origin, ':');
    if (str_eqc(auth_header(c, "sec-fetch-site"), "same-origin")) return true;
    if (str_eq(origin, c->rq->url)) return true;
    scheme = str_sub(origin, 0, colon), rest = str_sub(origin, colon + 3, origin.n);
    return host.n && (str_eqc(scheme, "https") || str_eqc(scheme, "http")) && str_eq(rest, host);
}

/* ---- HTML ---- */

static const char *say(const struct page *p, enum text t) { return texts[t][p->language]; }
static void put(struct page *p, const char *html) { buf_puts(&p->c->out, str_c(html)); }
static void put_text(struct page *p, enum text t) { auth_put_html(&p->c->out, str_c(say(p, t))); }

static void begin(struct page *p, enum text title, str refresh) {
    struct auth_call *c = p->c;
    const struct app_pages *look = &c->config->pages;
    str name = look->name.n ? look->name : str_sub(c->rq->url, str_find(c->rq->url, ':') + 3, c->rq->url.n),
        colour = look->colour.n ? look->colour : STR("#1f5fbf");
    p->nonce = random_text(c);
    c->out.n = 0;
    buf_printf(&c->out,
               "<!doctype html><html lang=\"%s\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">",
               languages[p->language]);
    if (refresh.n) put(p, "<meta http-equiv=\"refresh\" content=\"0;url="), auth_put_html(&c->out, refresh), put(p, "\">");
    put(p, "<title>"), put_text(p, title), put(p, " – "), auth_put_html(&c->out, name);
    buf_printf(&c->out,
               "</title><style nonce=\"" STR_FMT "\">body{font:16px/1.5 "
               "system-ui,sans-serif;margin:0;background:#f4f5f7;color:#1a1a1a}main{max-width:22rem;margin:8vh auto;padding:2rem;"
               "background:#fff;border-radius:8px}h1{font-size:1.4rem;margin:0 0 1rem}label{display:block;margin:.8rem 0 "
               ".2rem}input{width:100%%;box-sizing:border-box;font:inherit;padding:.5rem;border:1px solid #767676;"
               "border-radius:4px}button{font:inherit;width:100%%;margin-top:1rem;padding:.6rem;border:0;border-radius:4px;"
               "background:" STR_FMT ";color:#fff}button.no{background:#5a5a5a}a{color:" STR_FMT
               "}[role=alert]{border-left:4px solid #b00020;padding:.3rem .8rem}[role=status]{border-left:4px solid "
               "#1b6e2c;padding:.3rem .8rem}img{max-height:3rem;max-width:100%%}"
               ":focus-visible{outline:3px solid "
               "#f0a500;outline-offset:2px}@media(prefers-color-scheme:dark){body{background:#16181c;color:#eee}main{background:#"
               "22252b}input{background:#16181c;color:#eee}a{color:#9cc4ff}}</style></head><body><main>",
               STR_ARG(p->nonce), STR_ARG(colour), STR_ARG(colour));
    put(p, "<p>");
    if (look->logo.n) put(p, "<img alt=\"\" src=\""), auth_put_html(&c->out, look->logo), put(p, "\"> ");
    auth_put_html(&c->out, name);
    put(p, "</p><h1>"), put_text(p, title), put(p, "</h1>");
    if (p->says) put(p, "<p role=\"alert\">"), auth_put_html(&c->out, str_c(p->says)), put(p, "</p>");
}

/* Where pictures come from: the logo's host alone. */
static str origin_of(str url) {
    size_t end = 8;
    while (end < url.n && url.p[end] != '/' && url.p[end] != '?') end++;
    return str_sub(url, 0, end);
}

static bool end(struct page *p, uint16_t status) {
    struct auth_call *c = p->c;
    str logo = c->config->pages.logo;
    put(p, "</main></body></html>");
    auth_add_field(c, "content-security-policy",
                   arena_fmt(c->mem,
                             "default-src 'none'; style-src 'nonce-" STR_FMT "'; img-src " STR_FMT
                             "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
                             STR_ARG(p->nonce), STR_ARG(logo.n ? origin_of(logo) : STR("'none'"))));
    auth_add_field(c, "referrer-policy", STR("same-origin"));
    auth_add_field(c, "x-content-type-options", STR("nosniff"));
    auth_add_field(c, "x-frame-options", STR("DENY"));
    auth_add_field(c, "cache-control", STR("no-store"));
    c->to->type = STR("text/html; charset=utf-8");
    return auth_answer(c, status);
}

struct pair {
    const char *key;
    str value;
};
static size_t pairs_of(const struct page *p, struct pair pairs[static 6]) {
    const struct pair all[] = {{"redirect_to", p->redirect},
                               {"code_challenge", p->challenge},
                               {"code_challenge_method", p->method},
                               {"authorization_id", p->authorization},
                               {"next", p->next},
                               {"lang", str_c(languages[p->language])}};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        if (all[i].value.n) pairs[n++] = all[i];
    return n;
}

static str path_of(const struct page *p, const char *page, const char *next) {
    struct buf b = {0};
    struct pair pairs[6];
    struct page other = *p;
    if (next) other.next = str_c(next);
    size_t n = pairs_of(&other, pairs);
    buf_printf(&b, AT "/%s", page);
    for (size_t i = 0; i < n; i++) buf_printf(&b, "%c%s=", i ? '&' : '?', pairs[i].key), auth_put_escaped(&b, pairs[i].value);
    str out = arena_str(p->c->mem, buf_str(&b));
    buf_free(&b);
    return out;
}

static void begin_form(struct page *p, const char *page) {
    struct pair pairs[6];
    size_t n = pairs_of(p, pairs);
    buf_printf(&p->c->out, "<form method=\"post\" action=\"" AT "/%s\">", page);
    for (size_t i = 0; i < n; i++) {
        buf_printf(&p->c->out, "<input type=\"hidden\" name=\"%s\" value=\"", pairs[i].key);
        auth_put_html(&p->c->out, pairs[i].value), put(p, "\">");
    }
}

static void put_input(struct page *p, const char *name, const char *type, const char *complete, enum text label, str value) {
    buf_printf(&p->c->out, "<label for=\"%s\">", name), put_text(p, label);
    buf_printf(&p->c->out, "</label><input id=\"%s\" name=\"%s\" type=\"%s\" autocomplete=\"%s\" required value=\"", name, name,
               type, complete);
    auth_put_html(&p->c->out, value), put(p, "\">");
}

static void end_form(struct page *p, enum text button) {
    put(p, "<button type=\"submit\">"), put_text(p, button), put(p, "</button></form>");
}

static void put_link(struct page *p, enum text t, str to) {
    put(p, "<p><a href=\""), auth_put_html(&p->c->out, to), put(p, "\">"), put_text(p, t), put(p, "</a></p>");
}

static bool show_status(struct page *p, enum text title, enum text t) {
    begin(p, title, (str){0});
    put(p, "<p role=\"status\">"), put_text(p, t), put(p, "</p>");
    return end(p, 200);
}

static bool lead_on(struct page *p, str url) {
    begin(p, TEXT_LEADING, url);
    put_link(p, TEXT_GO_ON, url);
    return end(p, 200);
}

/* ---- asking as clients do ---- */

static struct json object(struct auth_call *c, const struct pair *pairs, uint32_t n) {
    struct json_member *m = arena_array(c->mem, struct json_member, n + 1);
    for (uint32_t i = 0; i < n; i++)
        m[i] = (struct json_member){
            str_c(pairs[i].key),
            {.kind = JSON_KIND_STR, .s = {(const uint8_t *)arena_cstr(c->mem, pairs[i].value), pairs[i].value.n}}};
    return (struct json){.kind = JSON_KIND_OBJECT, .n = n, .members = m};
}

/* What a request of a client's would be answered, by the function of its route; *answer: its JSON. False: it failed, and the page says why. */
static bool ask(struct page *p, bool (*serve)(struct auth_call *c), str id, const struct pair *pairs, uint32_t n,
                struct json *answer) {
    static const struct json_limits limits = {1 << 20, JSON_DEPTH_MAX, 100'000};
    static const struct {
        enum auth_error error;
        enum text text;
    } said[] = {{AUTH_ERROR_invalid_credentials, TEXT_WRONG},
                {AUTH_ERROR_email_not_confirmed, TEXT_UNCONFIRMED},
                {AUTH_ERROR_over_request_rate_limit, TEXT_TOO_OFTEN},
                {AUTH_ERROR_over_email_send_rate_limit, TEXT_TOO_OFTEN},
                {AUTH_ERROR_user_already_exists, TEXT_THERE},
                {AUTH_ERROR_weak_password, TEXT_WEAK},
                {AUTH_ERROR_mfa_verification_failed, TEXT_WRONG_CODE},
                {AUTH_ERROR_oauth_authorization_not_found, TEXT_EXPIRED},
                {AUTH_ERROR_flow_state_not_found, TEXT_EXPIRED},
                {AUTH_ERROR_flow_state_expired, TEXT_EXPIRED},
                {AUTH_ERROR_bad_code_verifier, TEXT_EXPIRED},
                {AUTH_ERROR_later, TEXT_LATER},
                {AUTH_ERROR_unexpected_failure, TEXT_LATER}};
    struct auth_call *c = p->c;
    struct auth_response to = {0};
    struct auth_request rq = *c->rq;
    struct diag d = DIAG_INIT;
    rq.query = (str){0};
    struct auth_call own = {.host = c->host,
                            .config = c->config,
                            .rq = &rq,
                            .mem = c->mem,
                            .to = &to,
                            .body = object(c, pairs, n),
                            .id = id,
                            .user = c->user,
                            .session = c->session,
                            .now = c->now,
                            .mails_count = c->mails_count};
    memcpy(own.mails, c->mails, sizeof own.mails);
    own.redirect = arena_fmt(c->mem, STR_FMT STR_FMT, STR_ARG(c->rq->url), STR_ARG(path_of(p, "callback", NULL)));
    bool ok = serve(&own);
    memcpy(c->mails, own.mails, sizeof own.mails);
    c->mails_count = own.mails_count;
    if (ok) c->made = own.made;
    buf_free(&own.out);
    *answer = (struct json){.kind = JSON_KIND_NULL};
    if (ok && to.body.n) ok = json_read(c->mem, to.body, &limits, answer, &d) == ERR_OK;
    if (ok && to.status < 400) return true;
    p->says = own.failed && own.message.n ? (const char *)own.message.p : say(p, TEXT_LATER);
    for (size_t i = 0; own.failed && i < ARRAY_COUNT(said); i++)
        if (own.error == said[i].error) p->says = say(p, said[i].text);
    return false;
}

/* ---- who is signed in here ---- */

static bool load(struct page *p, str token) {
    struct auth_call *c = p->c;
    const struct json *session = NULL;
    c->user = c->session = NULL;
    p->session = (str){0};
    if (!token.n || token.n > 256 || !auth_session_of(c, token, &session)) return !c->failed;
    const struct json *user = session ? json_get(session, "users") : NULL;
    if (!json_is(user, JSON_KIND_OBJECT) || auth_banned(c, user) || json_str(json_get(session, "oauth_client_id")).n) return true;
    c->session = session, c->user = user, p->session = token;
    return true;
}

/* The session that an answer has is the cookie's. */
static bool keep(struct page *p, const struct json *answer) {
    str token = json_str(json_get(answer, "refresh_token"));
    if (!token.n) return true;
    set_cookie(p->c, "orlo-session", token);
    return load(p, token);
}

static bool lacks_factor(const struct page *p) {
    return auth_has_factor(p->c->user) && !str_eqc(json_str(json_get(p->c->session, "aal")), "aal2");
}

/* ---- the pages ---- */

static str challenge_of(struct page *p) {
    uint8_t sum[CRYPTO_SHA256_BYTES];
    crypto_sha256(p->verifier, sum);
    return auth_base64url(p->c->mem, (str){sum, sizeof sum});
}

static void put_providers(struct page *p) {
    struct auth_call *c = p->c;
    for (uint32_t i = 0; i < c->config->providers.n; i++) {
        str name = c->config->providers.p[i].name;
        struct buf to = {0};
        buf_puts(&to, STR("/auth/v1/authorize?provider=")), auth_put_escaped(&to, name);
        buf_puts(&to, STR("&redirect_to=")),
            auth_put_escaped(&to, arena_fmt(c->mem, STR_FMT STR_FMT, STR_ARG(c->rq->url), STR_ARG(path_of(p, "callback", NULL))));
        buf_puts(&to, STR("&code_challenge_method=s256&code_challenge=")), buf_puts(&to, challenge_of(p));
        put(p, "<p><a href=\""), auth_put_html(&c->out, buf_str(&to)), put(p, "\">"), put_text(p, TEXT_WITH), put(p, " ");
        auth_put_html(&c->out, name), put(p, "</a></p>");
        buf_free(&to);
    }
}

static bool show_sign_in(struct page *p, str email) {
    begin(p, TEXT_SIGN_IN, (str){0});
    if (p->c->config->email) {
        begin_form(p, "sign-in");
        put_input(p, "email", "email", "username", TEXT_EMAIL, email);
        put_input(p, "password", "password", "current-password", TEXT_PASSWORD, (str){0});
        end_form(p, TEXT_SIGN_IN);
        put_link(p, TEXT_FORGOTTEN, path_of(p, "recover", NULL));
    }
    put_providers(p);
    if (p->c->config->sign_up && p->c->config->email_sign_up) put_link(p, TEXT_NO_ACCOUNT, path_of(p, "sign-up", NULL));
    return end(p, p->says ? 400 : 200);
}

static bool show_factor(struct page *p) {
    begin(p, TEXT_FACTOR, (str){0});
    begin_form(p, "factor");
    put_input(p, "code", "text", "one-time-code", TEXT_CODE, (str){0});
    end_form(p, TEXT_GO_ON);
    return end(p, p->says ? 400 : 200);
}

static bool show_new_password(struct page *p) {
    begin(p, TEXT_NEW_PASSWORD, (str){0});
    begin_form(p, "new-password");
    put_input(p, "password", "password", "new-password", TEXT_NEW_PASSWORD, (str){0});
    end_form(p, TEXT_SAVE);
    return end(p, p->says ? 400 : 200);
}

static bool show_consent(struct page *p, const struct json *about) {
    static const struct {
        const char *scope;
        enum text text;
    } of[] = {{"openid", TEXT_SCOPE_OPENID},
              {"profile", TEXT_SCOPE_PROFILE},
              {"email", TEXT_SCOPE_EMAIL},
              {"phone", TEXT_SCOPE_PHONE},
              {"offline_access", TEXT_SCOPE_OFFLINE_ACCESS}};
    struct auth_call *c = p->c;
    const struct json *client = json_get(about, "client");
    str name = json_str(json_get(client, "name")), scope = json_str(json_get(about, "scope")), one;
    begin(p, TEXT_CONSENT, (str){0});
    put(p, "<p><strong>"), auth_put_html(&c->out, name.n ? name : json_str(json_get(client, "id"))), put(p, "</strong> "),
        put_text(p, TEXT_WANTS), put(p, "</p><ul>");
    while (scope.n) {
        str_cut(scope, ' ', &one, &scope);
        for (size_t i = 0; i < ARRAY_COUNT(of); i++)
            if (str_eqc(one, of[i].scope)) put(p, "<li>"), put_text(p, of[i].text), put(p, "</li>");
    }
    put(p, "</ul><p>"), put_text(p, TEXT_SIGNED_IN_AS), put(p, " <strong>"),
        auth_put_html(&c->out, json_str(json_get(c->user, "email"))), put(p, "</strong>. ");
    put_text(p, TEXT_LEADS_TO), put(p, " <strong>"),
        auth_put_html(&c->out, str_sub(json_str(json_get(about, "redirect_uri")), 0, 200)), put(p, "</strong></p>");
    begin_form(p, "consent");
    put(p, "<button type=\"submit\" name=\"action\" value=\"approve\">"), put_text(p, TEXT_APPROVE);
    put(p, "</button><button class=\"no\" type=\"submit\" name=\"action\" value=\"deny\">"), put_text(p, TEXT_DENY),
        put(p, "</button></form>");
    return end(p, 200);
}

static bool show_wrong(struct page *p, uint16_t status) {
    begin(p, TEXT_SIGN_IN, (str){0});
    put_link(p, TEXT_SIGN_IN, STR(AT "/sign-in"));
    return end(p, status);
}

static bool consent(struct page *p) {
    struct json about;
    if (!ask(p, auth_do_openid_authorization, p->authorization, NULL, 0, &about)) return show_wrong(p, 400);
    str url = json_str(json_get(&about, "redirect_url"));
    return url.n ? lead_on(p, url) : show_consent(p, &about);
}

/* With a code that is good for a session, by who has the verifier; or with the session that is here, which is here no more. */
static bool go_back(struct page *p) {
    struct auth_call *c = p->c;
    struct auth_batch b;
    struct json answers;
    struct json_writer *w = &b.w;
    struct buf url = {0};
    const struct json *amr = json_item(json_get(c->session, "mfa_amr_claims"), 0);
    str code = auth_new_id(c), how = json_str(json_get(amr, "authentication_method"));
    buf_puts(&url, str_sub(p->redirect, 0, str_find(p->redirect, '#')));
    if (p->challenge.n) {
        auth_batch_begin(&b);
        auth_tree(&b, "insert", "flow_state");
        auth_row(&b);
        json_put_str(w, "id", auth_new_id(c));
        json_put_str(w, "user_id", json_str(json_get(c->user, "id")));
        json_put_str(w, "auth_code", code);
        json_put_str(w, "auth_code_issued_at", c->now);
        json_put_cstr(w, "code_challenge_method", str_eq_nocase(p->method, STR("plain")) ? "plain" : "s256");
        json_put_str(w, "code_challenge", p->challenge);
        json_put_cstr(w, "provider_type", "email");
        json_put_str(w, "authentication_method", how.n ? how : STR("password"));
        json_put_str(w, "created_at", c->now);
        json_put_str(w, "updated_at", c->now);
        auth_row_end(&b);
        auth_end(&b);
        if (auth_run(c, &b, "Database error granting user", &answers) != AUTH_RAN) c->failed = true;
        buf_putc(&url, str_find(buf_str(&url), '?') < url.n ? '&' : '?');
        buf_puts(&url, STR("code=")), auth_put_escaped(&url, code);
    } else {
        buf_putc(&url, '#');
        (void)auth_session_handed(c, c->session, &url);
        set_cookie(c, "orlo-session", STR(""));
    }
    str to = arena_str(c->mem, buf_str(&url));
    buf_free(&url);
    return !c->failed && lead_on(p, to);
}

/* He is signed in: on to what he came for. */
static bool proceed(struct page *p) {
    struct auth_call *c = p->c;
    if (!c->user) return show_sign_in(p, (str){0});
    if (lacks_factor(p)) return show_factor(p);
    if (str_eqc(p->next, "new-password")) return show_new_password(p);
    if (p->authorization.n) return consent(p);
    if (p->redirect.n) return go_back(p);
    begin(p, TEXT_SIGN_IN, (str){0});
    put(p, "<p role=\"status\">"), put_text(p, TEXT_SIGNED_IN_AS), put(p, " "),
        auth_put_html(&c->out, json_str(json_get(c->user, "email"))), put(p, "</p>");
    begin_form(p, "sign-out");
    end_form(p, TEXT_SIGN_OUT);
    return end(p, 200);
}

/* ---- requests ---- */

static bool open(struct auth_call *c, struct page *p) {
    bool on = (c->config->pages.on || (c->config->oauth.on && !c->config->oauth.path.n)) &&
              !c->config->captcha.kind; /* which they do not show: so nobody gets round it here */
    *p = (struct page){.c = c, .language = language_of(c)};
    if (!on) return auth_fail(c, AUTH_ERROR_not_found);
    str to = field(c, "redirect_to"), challenge = field(c, "code_challenge"), id = field(c, "authorization_id");
    if (to.n && auth_may_lead_to(c->config, auth_site(c), to)) p->redirect = to;
    if (challenge.n && !verifier_ok(challenge)) /* else it would be the session that is sent, and no code */
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "code_challenge is of 43 letters: the base64url of a SHA-256");
    if (verifier_ok(challenge)) p->challenge = challenge, p->method = field(c, "code_challenge_method");
    if (id.n <= 64) p->authorization = id;
    if (str_eqc(field(c, "next"), "new-password")) p->next = STR("new-password");
    p->verifier = cookie(c, "orlo-verifier");
    if (!verifier_ok(p->verifier)) p->verifier = random_text(c), set_cookie(c, "orlo-verifier", p->verifier);
    if (str_eqc(c->rq->method, "POST") && !is_own(c))
        return auth_fail_text(c, AUTH_ERROR_not_admin, "The form is not of this page");
    return load(p, cookie(c, "orlo-session"));
}

static bool posts(const struct auth_call *c) { return str_eqc(c->rq->method, "POST"); }

bool auth_do_page_sign_in(struct auth_call *c) {
    struct page p;
    struct json answer;
    if (!open(c, &p)) return false;
    if (!posts(c)) return proceed(&p);
    str email = field(c, "email");
    const struct pair body[] = {{"email", email}, {"password", field(c, "password")}};
    if (!ask(&p, auth_grant_password, (str){0}, body, ARRAY_COUNT(body), &answer)) return show_sign_in(&p, email);
    return keep(&p, &answer) && proceed(&p);
}

static bool show_sign_up(struct page *p, str email) {
    begin(p, TEXT_SIGN_UP, (str){0});
    begin_form(p, "sign-up");
    put_input(p, "email", "email", "username", TEXT_EMAIL, email);
    put_input(p, "password", "password", "new-password", TEXT_PASSWORD, (str){0});
    end_form(p, TEXT_SIGN_UP);
    put_link(p, TEXT_HAS_ACCOUNT, path_of(p, "sign-in", NULL));
    return end(p, p->says ? 400 : 200);
}

bool auth_do_page_sign_up(struct auth_call *c) {
    struct page p;
    struct json answer;
    if (!open(c, &p)) return false;
    str email = field(c, "email");
    if (!posts(c)) return show_sign_up(&p, email);
    const struct pair body[] = {{"email", email.n ? email : STR("-")},
                                {"password", field(c, "password")},
                                {"code_challenge", challenge_of(&p)},
                                {"code_challenge_method", STR("s256")}};
    if (!ask(&p, auth_do_sign_up, (str){0}, body, ARRAY_COUNT(body), &answer)) return show_sign_up(&p, email);
    if (!json_str(json_get(&answer, "refresh_token")).n) return show_status(&p, TEXT_SIGN_UP, TEXT_CONFIRM_SENT);
    return keep(&p, &answer) && proceed(&p);
}

bool auth_do_page_recover(struct auth_call *c) {
    struct page p;
    struct json answer;
    if (!open(c, &p)) return false;
    str email = field(c, "email");
    const struct pair body[] = {{"email", email}, {"code_challenge", challenge_of(&p)}, {"code_challenge_method", STR("s256")}};
    if (posts(c)) {
        p.next = STR("new-password");
        if (ask(&p, auth_do_recover, (str){0}, body, ARRAY_COUNT(body), &answer))
            return show_status(&p, TEXT_RECOVER, TEXT_MAIL_SENT);
    }
    begin(&p, TEXT_RECOVER, (str){0});
    begin_form(&p, "recover");
    put_input(&p, "email", "email", "username", TEXT_EMAIL, email);
    end_form(&p, TEXT_SEND_LINK);
    put_link(&p, TEXT_SIGN_IN, path_of(&p, "sign-in", NULL));
    return end(&p, p.says ? 400 : 200);
}

/* A link of a mail's, or another provider, led here with a code. */
bool auth_do_page_callback(struct auth_call *c) {
    struct page p;
    struct json answer;
    if (!open(c, &p)) return false;
    const struct pair body[] = {{"auth_code", field(c, "code")}, {"code_verifier", p.verifier}};
    if (!body[0].value.n || !ask(&p, auth_grant_pkce, (str){0}, body, ARRAY_COUNT(body), &answer)) {
        if (!p.says) p.says = say(&p, TEXT_EXPIRED);
        return show_wrong(&p, 400);
    }
    return keep(&p, &answer) && proceed(&p);
}

bool auth_do_page_new_password(struct auth_call *c) {
    struct page p;
    struct json answer;
    if (!open(c, &p)) return false;
    if (!c->user || lacks_factor(&p) || !posts(c)) {
        p.next = STR("new-password");
        return proceed(&p);
    }
    const struct pair body[] = {{"password", field(c, "password")}};
    if (!ask(&p, auth_do_user_put, (str){0}, body, ARRAY_COUNT(body), &answer)) return show_new_password(&p);
    p.next = (str){0};
    return p.authorization.n || p.redirect.n ? proceed(&p) : show_status(&p, TEXT_NEW_PASSWORD, TEXT_SAVED);
}

static const struct json *clock_factor(struct auth_call *c) {
    JSON_EACH(f, json_get(c->user, "mfa_factors"))
    if (str_eqc(json_str(json_get(f, "factor_type")), "totp") && str_eqc(json_str(json_get(f, "status")), "verified")) return f;
    return NULL;
}

bool auth_do_page_factor(struct auth_call *c) {
    struct page p;
    struct json answer;
    if (!open(c, &p)) return false;
    if (!c->user || !lacks_factor(&p) || !posts(c)) return proceed(&p);
    str code = str_trim(field(c, "code")), id = json_str(json_get(clock_factor(c), "id"));
    uint64_t number;
    if (code.n != 6 || !str_to_u64(code, &number) || !id.n) { /* a recovery code */
        const struct pair body[] = {{"code", code}};
        if (!ask(&p, auth_do_recovery_verify, (str){0}, body, 1, &answer)) return show_factor(&p);
        return keep(&p, &answer) && proceed(&p);
    }
    if (!ask(&p, auth_do_factor_challenge, id, NULL, 0, &answer)) return show_factor(&p);
    const struct pair body[] = {{"challenge_id", json_str(json_get(&answer, "id"))}, {"code", code}};
    if (!ask(&p, auth_do_factor_verify, id, body, 2, &answer)) return show_factor(&p);
    return keep(&p, &answer) && proceed(&p);
}

bool auth_do_page_consent(struct auth_call *c) {
    struct page p;
    struct json answer;
    if (!open(c, &p)) return false;
    if (!c->user || lacks_factor(&p) || !posts(c)) return proceed(&p);
    const struct pair body[] = {{"action", field(c, "action")}};
    if (!ask(&p, auth_do_openid_consent, p.authorization, body, 1, &answer)) return show_wrong(&p, 400);
    return lead_on(&p, json_str(json_get(&answer, "redirect_url")));
}

bool auth_do_page_sign_out(struct auth_call *c) {
    struct page p;
    struct auth_batch b;
    struct json answers;
    if (!open(c, &p)) return false;
    set_cookie(c, "orlo-session", STR(""));
    if (c->session) {
        auth_batch_begin(&b);
        auth_tree(&b, "delete", "sessions");
        auth_where(&b), auth_eq(&b, "id", json_str(json_get(c->session, "id"))), auth_end(&b), auth_end(&b);
        if (auth_run(c, &b, "Error logging out user", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    }
    c->user = c->session = NULL;
    return show_sign_in(&p, (str){0});
}
