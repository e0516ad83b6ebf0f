/* verify: what was sent in a mail comes back, by its link or as a code, and is good once.
 *
 *   found ──> not banned, not too old ──> spent, with what it is for and a session, in one transaction: where somebody was quicker, it was not found
 */
#include "auth/auth_int.h"
#include <stdio.h>

enum { CODES = 10, CODES_S = 3600, CODES_OF_ALL = 100, HASH_MAX = 128 };

/* What a type's word means. */
static const struct kind {
    const char *word, *flow, *action;
    enum auth_mail mails[2];
    uint32_t count;
} kinds[] = {{"signup", "email/signup", "user_signedup", {AUTH_MAIL_SIGN_UP}, 1},
             {"invite", "invite", "user_signedup", {AUTH_MAIL_SIGN_UP}, 1},
             {"recovery", "recovery", "login", {AUTH_MAIL_RECOVERY}, 1},
             {"magiclink", "magiclink", "login", {AUTH_MAIL_MAGIC_LINK}, 1},
             {"email", "magiclink", "login", {AUTH_MAIL_SIGN_UP, AUTH_MAIL_MAGIC_LINK}, 2},
             {"email_change", "email_change", "user_modified", {AUTH_MAIL_CHANGE_NEW, AUTH_MAIL_CHANGE_CURRENT}, 2}};
#define HALF_DONE "Confirmation link accepted. Please proceed to confirm link sent to the other email"

struct found {
    const struct kind *kind;
    const struct json *user;
    enum auth_mail mail;
    str token; /* its row; empty: it came as a code */
    str hash;  /* of the code */
    bool pkce;
    /* what became of it: */
    bool moved; /* nothing: it was otherwise by then */
    struct auth_new_session session;
    bool half;              /* the other address is to confirm it, too */
    str code;               /* of PKCE */
    const struct json *now; /* the user's row */
};

static const struct kind *kind_of(str word) {
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++)
        if (str_eqc(word, kinds[i].word)) return &kinds[i];
    return NULL;
}

static bool is_old(struct auth_call *c, int64_t sent) {
    return sent == INT64_MIN || c->host->now_us - sent > (int64_t)c->config->otp_s * 1'000'000;
}

/* ---- finding ---- */

static bool find_by_hash(struct auth_call *c, str hash, struct found *f) {
    static const char invalid[] = "Email link is invalid or has expired";
    struct auth_batch b;
    struct json answers;
    if (!hash.n || hash.n > HASH_MAX) return auth_fail_text(c, AUTH_ERROR_otp_expired, "%s", invalid);
    auth_batch_begin(&b);
    auth_tree(&b, "select", "one_time_tokens");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_where(&b), auth_eq(&b, "token_hash", hash), auth_end(&b);
    json_put_u64(&b.w, "limit", 1);
    auth_end(&b);
    if (auth_run(c, &b, "Database error finding user from email link", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *token = auth_first(&answers, 0);
    str type = json_str(json_get(token, "token_type"));
    bool fits = false;
    for (uint32_t i = 0; i < f->kind->count && !fits; i++)
        fits = str_eqc(type, auth_mail_type(f->kind->mails[i])), f->mail = f->kind->mails[i];
    if (!token || !fits || is_old(c, auth_time_of(json_get(token, "created_at"))))
        return auth_fail_text(c, AUTH_ERROR_otp_expired, "%s", invalid);
    f->token = json_str(json_get(token, "id"));
    f->pkce = str_starts(hash, STR("pkce_"));
    if (!auth_read_user(c, "id", json_str(json_get(token, "user_id")), &f->user)) return false;
    if (!f->user) return auth_fail_text(c, AUTH_ERROR_otp_expired, "%s", invalid);
    return !auth_banned(c, f->user) || auth_fail(c, AUTH_ERROR_user_banned);
}

/* Codes are short: from one network few tries at an address, and from all together more. */
static bool may_try(struct auth_call *c, str email) {
    str here = arena_fmt(c->mem, STR_FMT " " STR_FMT, STR_ARG(email), STR_ARG(auth_network(c)));
    return auth_limited(c, "code", here, CODES, CODES_S) && auth_limited(c, "codes", email, CODES_OF_ALL, CODES_S);
}

static bool find_by_code(struct auth_call *c, str email, str code, struct found *f) {
    bool right = false;
    bool change = f->kind->mails[0] == AUTH_MAIL_CHANGE_NEW;
    str said = auth_code_hash(c, email, code);
    if (!may_try(c, email) || !auth_read_user(c, "email", email, &f->user)) return false;
    if (!f->user && change && !auth_read_user(c, "email_change", email, &f->user)) return false;
    for (uint32_t i = 0; f->user && i < f->kind->count && !right; i++) {
        enum auth_mail mail = f->kind->mails[i];
        str hash = json_str(json_get(f->user, auth_mail_column(mail)));
        right = hash.n && hash.n == said.n && crypto_equal(hash.p, said.p, hash.n) &&
                !is_old(c, auth_time_of(json_get(f->user, auth_mail_sent_at(mail))));
        f->mail = mail;
    }
    f->hash = said;
    if (right && auth_banned(c, f->user)) return auth_fail(c, AUTH_ERROR_user_banned);
    return right || auth_fail(c, AUTH_ERROR_otp_expired);
}

/* ---- spending ---- */

static void put_spent(struct auth_batch *b, const struct found *f) {
    auth_tree(b, "delete", "one_time_tokens");
    auth_where(b);
    if (f->token.n) auth_eq(b, "id", f->token);
    else auth_eq(b, "user_id", json_str(json_get(f->user, "id"))), auth_eq(b, "token_type", str_c(auth_mail_type(f->mail)));
    auth_end(b);
    auth_one(b);
    auth_end(b);
}

static bool is_change(const struct found *f) { return f->mail == AUTH_MAIL_CHANGE_NEW || f->mail == AUTH_MAIL_CHANGE_CURRENT; }

static void end_update(struct auth_call *c, struct auth_batch *b, const struct found *f) {
    json_put_str(&b->w, "updated_at", c->now);
    auth_end(b);
    auth_where(b);
    auth_eq(b, "id", json_str(json_get(f->user, "id")));
    if (!f->token.n) auth_eq(b, auth_mail_column(f->mail), f->hash);
    if (is_change(f)) /* the other address may be confirmed meanwhile */
        auth_eq(b, "email_change_confirm_status",
                json_i64(json_get(f->user, "email_change_confirm_status")) ? STR("1") : STR("0"));
    auth_end(b);
    auth_one(b);
    auth_end(b);
}

static void put_verified_identity(struct auth_call *c, struct auth_batch *b, const struct json *identity, str email) {
    struct json_member more[2] = {{STR("email"), {.kind = JSON_KIND_STR, .s = email}},
                                  {STR("email_verified"), {.kind = JSON_KIND_BOOL, .b = true}}};
    const struct json over = {.kind = JSON_KIND_OBJECT, .n = 2, .members = more};
    auth_tree(b, "update", "identities");
    auth_set(b);
    auth_put_merged(&b->w, "identity_data", json_get(identity, "identity_data"), &over);
    json_put_str(&b->w, "updated_at", c->now);
    auth_end(b);
    auth_where(b), auth_eq(b, "id", json_str(json_get(identity, "id"))), auth_end(b);
    auth_end(b);
}

/* His address is another from now on; or the first of both has confirmed that. */
static void put_change(struct auth_call *c, struct auth_batch *b, struct found *f) {
    str to = json_str(json_get(f->user, "email_change")), id = json_str(json_get(f->user, "id"));
    const struct json *identity = auth_identity(f->user, "email");
    struct json_member more[2] = {{STR("email"), {.kind = JSON_KIND_STR, .s = to}},
                                  {STR("email_verified"), {.kind = JSON_KIND_BOOL, .b = true}}};
    const struct json over = {.kind = JSON_KIND_OBJECT, .n = 2, .members = more};
    bool both = c->config->both_addresses && c->config->confirm_email && json_str(json_get(f->user, "email")).n;
    bool is_new = f->mail == AUTH_MAIL_CHANGE_NEW; /* both addresses say so, not one of them twice */
    bool other_waits = json_str(json_get(f->user, is_new ? "email_change_token_current" : "email_change_token_new")).n;
    f->half = (both && (!json_i64(json_get(f->user, "email_change_confirm_status")) || other_waits)) || (!is_new && other_waits);
    auth_tree(b, "update", "users");
    auth_set(b);
    json_put_cstr(&b->w, auth_mail_column(f->mail), "");
    json_put_u64(&b->w, "email_change_confirm_status", f->half);
    if (!f->half) { /* what was sent to the old one is good for nothing */
        json_put_cstr(&b->w, "recovery_token", ""), json_put_cstr(&b->w, "reauthentication_token", "");
        json_put_cstr(&b->w, "phone_change_token", "");
        json_put_str(&b->w, "email", to);
        json_put_cstr(&b->w, "email_change", "");
        json_put_cstr(&b->w, is_new ? "email_change_token_current" : "email_change_token_new", "");
        json_put_str(&b->w, "email_confirmed_at", c->now);
        json_put_bool(&b->w, "is_anonymous", false);
        auth_put_merged(&b->w, "raw_user_meta_data", json_get(f->user, "raw_user_meta_data"), &over);
        auth_put_providers(&b->w, "raw_app_meta_data", f->user, json_get(f->user, "identities"), NULL, STR("email"));
    }
    end_update(c, b, f);
    if (f->half) return;
    str was = json_str(json_get(f->user, "email"));
    if (was.n) /* to the old one: whoever reads that is to know */
        auth_notify(c, b, APP_TEMPLATE_email_changed, f->user, was, &(struct auth_words){.email = to, .old_email = was});
    auth_delete_sent(b, id);
    if (identity) put_verified_identity(c, b, identity, to);
    else auth_insert_identity(c, b, id, to);
}

static bool is_own_identity(const struct json *i) {
    str provider = json_str(json_get(i, "provider"));
    return str_eqc(provider, "email") || str_eqc(provider, "phone");
}

/* Who had the address and did not confirm it: his sessions, his passkeys and what he linked are no way in to whoever's it is. */
static void put_others_away(struct auth_call *c, struct auth_batch *b, const struct found *f) {
    static const char *const doors[] = {"sessions", "webauthn_credentials"};
    str id = json_str(json_get(f->user, "id"));
    for (size_t i = 0; i < ARRAY_COUNT(doors); i++) {
        auth_tree(b, "delete", doors[i]);
        auth_where(b), auth_eq(b, "user_id", id), auth_end(b), auth_end(b);
    }
    JSON_EACH(i, json_get(f->user, "identities")) {
        if (is_own_identity(i)) continue;
        auth_tree(b, "delete", "identities");
        auth_where(b), auth_eq(b, "id", json_str(json_get(i, "id"))), auth_end(b), auth_end(b);
    }
    if (!auth_identity(f->user, "email")) auth_insert_identity(c, b, id, json_str(json_get(f->user, "email")));
}

static void put_own_providers(struct auth_call *c, struct auth_batch *b, const struct json *user) {
    const struct json *all = json_get(user, "identities");
    struct json *kept = arena_array(c->mem, struct json, json_count(all) + 1);
    uint32_t n = 0;
    JSON_EACH(i, all) if (is_own_identity(i)) kept[n++] = *i;
    const struct json own = {.kind = JSON_KIND_ARRAY, .n = n, .items = kept};
    auth_put_providers(&b->w, "raw_app_meta_data", user, &own, NULL, STR("email"));
}

static void put_confirmed(struct auth_call *c, struct auth_batch *b, struct found *f) {
    bool confirms = !auth_confirmed(f->user), other = confirms && f->mail != AUTH_MAIL_SIGN_UP;
    const struct json *identity = auth_identity(f->user, "email");
    auth_tree(b, "update", "users");
    auth_set(b);
    if (confirms) auth_confirm_email(c, b, f->user);
    /* Who comes without the password may be another than who signed up with it. */
    if (other) json_put_cstr(&b->w, "encrypted_password", ""), put_own_providers(c, b, f->user);
    if (!confirms || strcmp(auth_mail_column(f->mail), "confirmation_token")) json_put_cstr(&b->w, auth_mail_column(f->mail), "");
    end_update(c, b, f);
    if (other) put_others_away(c, b, f);
    if (confirms && identity && str_eq(json_str(json_get(identity, "email")), json_str(json_get(f->user, "email"))))
        put_verified_identity(c, b, identity, json_str(json_get(f->user, "email")));
    if (!confirms) return;
    auth_tree(b, "delete", "one_time_tokens");
    auth_where(b), auth_eq(b, "user_id", json_str(json_get(f->user, "id"))), auth_end(b), auth_end(b);
}

static bool find_flow(struct auth_call *c, const struct found *f, str *id, str *code) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "flow_state");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_where(&b), auth_eq(&b, "user_id", json_str(json_get(f->user, "id"))),
        auth_eq(&b, "authentication_method", str_c(f->kind->flow)), auth_end(&b);
    json_put_raw(&b.w, "order", STR("[{\"column\":\"created_at\",\"desc\":true}]"));
    json_put_u64(&b.w, "limit", 1);
    auth_end(&b);
    if (auth_run(c, &b, "Database error finding flow state", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *id = json_str(json_get(auth_first(&answers, 0), "id"));
    *code = json_str(json_get(auth_first(&answers, 0), "auth_code"));
    return id->n || auth_fail_status(c, AUTH_ERROR_flow_state_not_found, 400, "No associated flow state found.");
}

/* by_link: a token of PKCE's gives a code, and no session. */
static bool spend(struct auth_call *c, struct found *f, bool by_link) {
    struct auth_batch b;
    struct json answers;
    str id = json_str(json_get(f->user, "id")), flow = {0};
    f->moved = false;
    if (f->pkce && by_link && !find_flow(c, f, &flow, &f->code)) return false;
    auth_batch_begin(&b);
    put_spent(&b, f);
    auth_audit(c, &b, f->kind->action, "account", id, json_str(json_get(f->user, "email")), "email");
    if (is_change(f)) put_change(c, &b, f);
    else put_confirmed(c, &b, f);
    if (!f->half && flow.n) {
        auth_tree(&b, "update", "flow_state");
        auth_set(&b), json_put_str(&b.w, "auth_code_issued_at", c->now), auth_end(&b);
        auth_where(&b), auth_eq(&b, "id", flow), auth_end(&b), auth_end(&b);
    } else if (!f->half) {
        auth_insert_session(c, &b, id, "otp", &f->session);
    }
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Error confirming user", &answers);
    f->moved = ran == AUTH_MOVED;
    if (f->moved)
        return by_link ? auth_fail_text(c, AUTH_ERROR_otp_expired, "Email link is invalid or has expired")
                       : auth_fail(c, AUTH_ERROR_otp_expired);
    if (ran == AUTH_TAKEN) return auth_fail(c, AUTH_ERROR_email_exists);
    f->now = ran == AUTH_RAN ? auth_first(&answers, last) : NULL;
    return f->now || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

/* code with email, or hash. Both addresses of a change at once: the second one finds what the first has done. */
static bool find_and_spend(struct auth_call *c, str email, str code, str hash, struct found *f, bool by_link) {
    const struct found begun = *f;
    for (int tries = 0;; tries++) {
        *f = begun;
        if (code.n ? !find_by_code(c, email, code, f) : !find_by_hash(c, hash, f)) return false;
        if (spend(c, f, by_link)) return true;
        if (!f->moved || !is_change(f) || tries == 2) return false;
        c->failed = false;
    }
}

/* ---- by a client ---- */

bool auth_do_verify(struct auth_call *c) {
    str type = auth_text(c, "type"), token = auth_text(c, "token"), hash = auth_text(c, "token_hash"),
        given = auth_text(c, "email"), number = auth_text(c, "phone"), email;
    struct found f = {.kind = kind_of(type)};
    if (auth_is_form(c)) return auth_do_verify_link(c);
    if (!auth_limited(c, "verify", auth_network(c), c->config->verifies, 300)) return false;
    if (!type.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Verify requires a verification type");
    if (!token.n == !hash.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Verify requires either a token or a token hash");
    bool phone = str_eqc(type, "sms") || str_eqc(type, "phone_change");
    if (token.n && !given.n == !number.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "Only an email address or phone number should be provided on verify");
    if (hash.n && (given.n || auth_text(c, "phone").n || auth_text(c, "redirect_to").n))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Only the token_hash and type should be provided");
    if (phone && token.n && !number.n) return auth_fail(c, AUTH_ERROR_otp_expired);
    if (phone && token.n) return auth_phone_verify(c, type.n > 3, number, token);
    if (number.n && token.n && !given.n) return auth_phone(c, number, &number) && auth_fail(c, AUTH_ERROR_otp_expired);
    if (!f.kind)
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              hash.n ? "Invalid email verification type" : "Unsupported verification type");
    if (token.n && !auth_email(c, given, &email)) {
        c->failed = false;
        return auth_fail_status(c, AUTH_ERROR_validation_failed, 422, "Invalid email format");
    }
    if (!find_and_spend(c, token.n ? email : (str){0}, token, hash, &f, false)) return false;
    if (!f.half) return auth_answer_session(c, f.now, &f.session, NULL);
    buf_puts(&c->out, STR("{\"code\":\"200\",\"msg\":\"" HALF_DONE "\"}"));
    return auth_answer(c, 200);
}

/* ---- by a link ---- */

bool auth_lead_to(struct auth_call *c, struct buf *url, uint16_t status) {
    c->failed = false;
    auth_add_field(c, "location", arena_str(c->mem, buf_str(url)));
    auth_add_field(c, "cache-control", STR("no-store"));
    auth_add_field(c, "referrer-policy", STR("no-referrer"));
    buf_free(url);
    return auth_answer(c, status);
}

static const char *oauth_error(uint16_t status) {
    switch (status) {
    case 400: return "invalid_request";
    case 401: return "unauthorized_client";
    case 403: return "access_denied";
    case 500: return "server_error";
    case 503: return "temporarily_unavailable";
    default: return NULL;
    }
}

static const char *code_of(enum auth_error e) {
    static const char *const codes[] = {
#define X(name, ...) #name,
#include "auth/errors.def"
#undef X
    };
    return e == AUTH_ERROR_later ? "unexpected_failure" : codes[e];
}

void auth_put_error(struct auth_call *c, struct buf *to) {
    const char *word = oauth_error(c->status);
    bool denied = c->error == AUTH_ERROR_signup_disabled || c->error == AUTH_ERROR_user_banned ||
                  c->error == AUTH_ERROR_provider_email_needs_verification;
    if (denied) word = "access_denied";
    else if (!word && c->redirect.n) word = "server_error"; /* of a flow */
    if (c->oauth_error.n) {                                 /* a provider's own */
        buf_puts(to, STR("error=")), auth_put_escaped(to, c->oauth_error);
        buf_puts(to, STR("&error_description=")), auth_put_escaped(to, c->message);
        return;
    }
    if (word) buf_printf(to, "error=%s&", word);
    buf_printf(to, "error_code=%s&error_description=", code_of(c->error));
    auth_put_escaped(to, c->message);
}

/* A fragment that was there is in the way of ours. */
void auth_begin_url(struct buf *url, str to) { buf_puts(url, str_sub(to, 0, str_find(to, '#'))); }

void auth_put_query_error(struct auth_call *c, struct buf *url) {
    buf_putc(url, str_find(buf_str(url), '?') < url->n ? '&' : '?');
    auth_put_error(c, url);
}

static bool lead_to_error(struct auth_call *c, str to, bool pkce) {
    struct buf url = {0};
    auth_begin_url(&url, to);
    if (pkce) auth_put_query_error(c, &url);
    buf_putc(&url, '#');
    auth_put_error(c, &url);
    buf_puts(&url, STR("&sb="));
    return auth_lead_to(c, &url, 303);
}

bool auth_do_verify_link(struct auth_call *c) {
    struct auth_request form = *c->rq;
    const struct auth_request *asked = c->rq;
    if (str_eqc(c->rq->method, "POST")) form.query = c->rq->body, c->rq = &form;
    str type = auth_param(c, "type"), hash = auth_param(c, "token"), to = auth_redirect(c);
    struct found f = {.kind = kind_of(type)};
    struct buf url = {0};
    c->rq = asked;
    if (!auth_limited(c, "verify", auth_network(c), c->config->verifies, 300)) return false;
    if (!type.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Verify requires a verification type");
    if (!hash.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Verify requires a token or a token hash");
    if (!f.kind) (void)auth_fail_text(c, AUTH_ERROR_validation_failed, "Invalid email verification type");
    f.pkce = str_starts(hash, STR("pkce_"));
    if (c->failed || !find_and_spend(c, (str){0}, (str){0}, hash, &f, true))
        return lead_to_error(c, to, str_starts(hash, STR("pkce_")));
    auth_begin_url(&url, to);
    if (f.half || f.code.n) buf_putc(&url, str_find(buf_str(&url), '?') < url.n ? '&' : '?');
    if (f.half && f.pkce) buf_puts(&url, STR("message=")), auth_put_escaped(&url, STR(HALF_DONE));
    if (f.half) {
        if (!f.pkce) url.n--;
        buf_puts(&url, STR("#message=")), auth_put_escaped(&url, STR(HALF_DONE)), buf_puts(&url, STR("&sb="));
    } else if (f.code.n) {
        buf_puts(&url, STR("code=")), auth_put_escaped(&url, f.code);
    } else {
        buf_putc(&url, '#');
        if (!auth_session_fragment(c, f.now, &f.session, &url, f.kind->word)) {
            buf_free(&url);
            return lead_to_error(c, to, false);
        }
    }
    return auth_lead_to(c, &url, 303);
}

/* ---- the page that a mail's link leads to ---- */

void auth_put_html(struct buf *to, str text) {
    for (size_t i = 0; i < text.n; i++) switch (text.p[i]) {
        case '<': buf_puts(to, STR("&lt;")); break;
        case '>': buf_puts(to, STR("&gt;")); break;
        case '&': buf_puts(to, STR("&amp;")); break;
        case '"': buf_puts(to, STR("&quot;")); break;
        case '\'': buf_puts(to, STR("&#39;")); break;
        default: buf_putc(to, text.p[i]);
        }
}

bool auth_do_confirm_page(struct auth_call *c) {
    static const char *const names[] = {"token", "type", "redirect_to"};
    static const struct {
        const char *word, *button;
    } buttons[] = {{"signup", "Confirm my email address"},
                   {"invite", "Accept the invitation"},
                   {"recovery", "Reset my password"},
                   {"magiclink", "Sign in"},
                   {"email_change", "Confirm my email address"}};
    const char *button = "Continue";
    str type = auth_param(c, "type");
    for (size_t i = 0; i < ARRAY_COUNT(buttons); i++)
        if (str_eqc(type, buttons[i].word)) button = buttons[i].button;
    buf_printf(&c->out,
               "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
               "content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">"
               "<title>%s</title></head><body><main><form method=\"post\" action=\"verify\">",
               button);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        buf_printf(&c->out, "<input type=\"hidden\" name=\"%s\" value=\"", names[i]);
        auth_put_html(&c->out, auth_param(c, names[i]));
        buf_puts(&c->out, STR("\">"));
    }
    buf_printf(&c->out, "<p><button type=\"submit\" autofocus>%s</button></p></form></main></body></html>", button);
    auth_add_field(c, "content-security-policy", STR("default-src 'none'; base-uri 'none'; frame-ancestors 'none'"));
    auth_add_field(c, "referrer-policy", STR("no-referrer"));
    auth_add_field(c, "x-content-type-options", STR("nosniff"));
    auth_add_field(c, "cache-control", STR("no-store"));
    c->to->type = STR("text/html; charset=utf-8");
    return auth_answer(c, 200);
}
