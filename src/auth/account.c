/* account: what a user asks of himself, and what anybody may know of the service. */
#include "auth/auth_int.h"

static bool answer_user(struct auth_call *c, const struct json *user) {
    struct json_writer w = json_writer_of(&c->out);
    if (!user) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_put_user(&w, NULL, user);
    return auth_answer(c, 200);
}

bool auth_do_health(struct auth_call *c) {
    buf_puts(&c->out, STR("{\"version\":\"orlo " ORLO_VERSION
                          "\",\"name\":\"GoTrue\",\"description\":\"GoTrue is a user registration and authentication API\"}"));
    return auth_answer(c, 200);
}

static bool has_provider(const struct auth_call *c, const char *name) {
    for (uint32_t i = 0; i < c->config->providers.n; i++)
        if (str_eqc(c->config->providers.p[i].name, name)) return app_provider_known(str_c(name));
    return false;
}

bool auth_do_settings(struct auth_call *c) {
    static const char *const providers[] = {"apple",    "azure",         "bitbucket", "discord", "facebook",   "figma",
                                            "fly",      "github",        "gitlab",    "google",  "kakao",      "keycloak",
                                            "linkedin", "linkedin_oidc", "notion",    "slack",   "slack_oidc", "snapchat",
                                            "spotify",  "twitch",        "twitter",   "workos",  "zoom"};
    static const char *const sms[] = {
#define X(name, word, ...) word,
        APP_SMS_LIST(X)
#undef X
    };
    struct json_writer w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_object(&w, "external");
    json_put_bool(&w, "anonymous_users", c->config->anonymous);
    for (size_t i = 0; i < ARRAY_COUNT(providers); i++) json_put_bool(&w, providers[i], has_provider(c, providers[i]));
    json_put_bool(&w, "email", c->config->email);
    json_put_bool(&w, "phone", c->config->phone);
    json_put_end(&w);
    json_put_bool(&w, "disable_signup", !c->config->sign_up);
    json_put_bool(&w, "mailer_autoconfirm", !c->config->confirm_email);
    json_put_bool(&w, "phone_autoconfirm", !c->config->confirm_phone);
    json_put_cstr(&w, "sms_provider", sms[c->config->sms.provider]);
    json_put_bool(&w, "saml_enabled", false);
    json_put_bool(&w, "saml_private_key_next_configured", false);
    json_put_bool(&w, "passkeys_enabled", c->config->passkeys);
    json_put_end(&w);
    return auth_answer(c, 200);
}

bool auth_do_user_get(struct auth_call *c) {
    const struct json *aud = json_get(&c->claims, "aud");
    str said = json_is(aud, JSON_KIND_ARRAY) ? json_str(json_item(aud, 0)) : json_str(aud);
    if (!str_eqc(said, "authenticated"))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Token audience doesn't match request audience");
    return answer_user(c, c->user);
}

/* ---- changes ---- */

struct wanted {
    str email, password, made;
    bool changes_email, changes_password, changes_phone;
    struct auth_phone_change phone;
    const struct json *data;
};

static bool is_recent(struct auth_call *c) {
    int64_t begun = auth_time_of(json_get(c->session, "created_at"));
    return begun != INT64_MIN && c->host->now_us - begun < 24ll * 3600 * 1'000'000;
}

/* What was sent to him; it is spent with the change. */
static bool check_nonce(struct auth_call *c) {
    str nonce = auth_text(c, "nonce"), hash = json_str(json_get(c->user, "reauthentication_token")),
        email = json_str(json_get(c->user, "email"));
    uint32_t holds_s = email.n ? c->config->otp_s : c->config->sms_s;
    if (!email.n) email = json_str(json_get(c->user, "phone"));
    int64_t sent = auth_time_of(json_get(c->user, "reauthentication_sent_at"));
    if (!nonce.n) return auth_fail(c, AUTH_ERROR_reauthentication_needed);
    if (!auth_limited(c, "code", email, 10, 3600)) return false;
    str said = auth_code_hash(c, email, nonce);
    bool right = hash.n && hash.n == said.n && crypto_equal(hash.p, said.p, hash.n) && sent != INT64_MIN &&
                 c->host->now_us - sent < (int64_t)holds_s * 1'000'000;
    return right || auth_fail(c, AUTH_ERROR_reauthentication_not_valid);
}

static bool new_password(struct auth_call *c, struct wanted *want) {
    bool same = false, old;
    str hash = json_str(json_get(c->user, "encrypted_password"));
    if (c->config->recent_for_password && !is_recent(c) && !check_nonce(c)) return false;
    enum auth_done done = hash.n ? c->host->verify(c->host->arg, want->password, hash, &same, &old) : AUTH_DONE;
    if (done == AUTH_DONE && same) return auth_fail(c, AUTH_ERROR_same_password);
    if (done == AUTH_DONE) done = c->host->hash(c->host->arg, c->mem, want->password, &want->made);
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    return done == AUTH_DONE || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static bool check(struct auth_call *c, struct wanted *want) {
    const struct json *other = NULL, *password = json_get(&c->body, "password");
    str email = auth_text(c, "email"), own = json_str(json_get(c->user, "email"));
    want->password = json_str(password);
    want->changes_password = json_is(password, JSON_KIND_STR);
    want->data = json_get(&c->body, "data");
    if (want->data && want->data->kind != JSON_KIND_OBJECT && want->data->kind != JSON_KIND_NULL)
        return auth_fail_text(c, AUTH_ERROR_bad_json, "Could not parse request body as JSON: data is an object");
    if (email.n && !auth_email(c, email, &want->email)) return false;
    if (auth_text(c, "phone").n) {
        if (!c->config->phone) return auth_fail(c, AUTH_ERROR_phone_provider_disabled);
        if (!auth_phone(c, auth_text(c, "phone"), &want->phone.phone) || !auth_channel_ok(c, &want->phone.channel)) return false;
        want->changes_phone = !str_eq(want->phone.phone, json_str(json_get(c->user, "phone")));
        want->phone.at_once = !c->config->confirm_phone;
    }
    if (want->changes_password && !auth_password_ok(c, want->password)) return false;
    if (json_is(json_get(&c->body, "app_metadata"), JSON_KIND_OBJECT))
        return auth_fail_text(c, AUTH_ERROR_not_admin, "Updating app_metadata requires admin privileges");
    want->changes_email = want->email.n && !str_eq(want->email, own);
    if (auth_has_factor(c->user) && !auth_is_aal2(c) && (want->password.n || want->changes_email || want->changes_phone))
        return auth_fail_status(c, AUTH_ERROR_insufficient_aal, 401,
                                "AAL2 session is required to update email or password when MFA is enabled.");
    if (json_bool(json_get(c->user, "is_anonymous")) && want->changes_password && !email.n && !want->phone.phone.n)
        return auth_fail_status(c, AUTH_ERROR_validation_failed, 422,
                                "Updating password of an anonymous user without an email or phone is not allowed");
    if (!auth_challenge_ok(c)) return false;
    if (want->changes_email && !auth_read_user(c, "email", want->email, &other)) return false;
    if (other) return auth_fail(c, AUTH_ERROR_email_exists);
    if (want->changes_phone && !auth_read_user(c, "phone", want->phone.phone, &other)) return false;
    if (other) return auth_fail_text(c, AUTH_ERROR_phone_exists, "A user with this phone number has already been registered");
    return !want->changes_password || new_password(c, want);
}

/* Who has no address yet has this one at once, where addresses are not confirmed. */
static bool takes_at_once(struct auth_call *c) {
    return json_bool(json_get(c->user, "is_anonymous")) && !c->config->confirm_email;
}

static void put_update(struct auth_call *c, struct auth_batch *b, const struct wanted *want, bool at_once) {
    struct json_writer *w = &b->w;
    static struct json_member by[2] = {{STR_INIT("provider"), {.kind = JSON_KIND_STR, .s = STR_INIT("email")}},
                                       {STR_INIT("providers"), {.kind = JSON_KIND_ARRAY}}};
    static struct json email_word = {.kind = JSON_KIND_STR, .s = STR_INIT("email")};
    auth_tree(b, "update", "users");
    auth_set(b);
    if (want->made.n) json_put_str(w, "encrypted_password", want->made), auth_put_unsent(w, !want->changes_email || at_once);
    size_t since = b->b.n;
    if (json_is(want->data, JSON_KIND_OBJECT))
        auth_put_merged(w, "raw_user_meta_data", json_get(c->user, "raw_user_meta_data"), want->data);
    auth_bound_metadata(c, &b->b, since, AUTH_USER_DATA_MAX, "user_metadata");
    if (at_once) {
        by[1].v.n = 1, by[1].v.items = &email_word;
        const struct json more = {.kind = JSON_KIND_OBJECT, .n = 2, .members = by};
        json_put_str(w, "email", want->email);
        json_put_str(w, "email_confirmed_at", c->now);
        json_put_bool(w, "is_anonymous", false);
        auth_put_merged(w, "raw_app_meta_data", json_get(c->user, "raw_app_meta_data"), &more);
    } else if (want->changes_email) {
        json_put_str(w, "email_change", want->email);
        json_put_u64(w, "email_change_confirm_status", 0);
    }
    json_put_str(w, "updated_at", c->now);
    auth_end(b);
    auth_where(b), auth_eq(b, "id", json_str(json_get(c->user, "id"))), auth_end(b);
    auth_end(b);
}

bool auth_do_user_put(struct auth_call *c) {
    struct wanted want = {0};
    struct auth_batch b;
    struct json answers;
    struct auth_sent sent[2] = {0};
    str id = json_str(json_get(c->user, "id")), own = json_str(json_get(c->user, "email"));
    if (!check(c, &want)) return false;
    bool at_once = want.changes_email && takes_at_once(c), mails = want.changes_email && !at_once;
    bool both = mails && own.n && c->config->both_addresses && c->config->confirm_email;
    if (mails && !auth_may_mail(c, want.email)) return false;
    if (want.changes_phone && !want.phone.at_once && !auth_may_sms(c, want.phone.phone)) return false;
    c->new_email = want.email;
    auth_batch_begin(&b);
    put_update(c, &b, &want, at_once);
    if (want.made.n) auth_notify(c, &b, APP_TEMPLATE_password_changed, c->user, own, &(struct auth_words){0});
    if (at_once) auth_insert_identity(c, &b, json_str(json_get(c->user, "id")), want.email);
    if (want.made.n) { /* who is signed in elsewhere has to know the new one, and who has an old mail */
        auth_delete_sent(&b, id);
        auth_audit(c, &b, "user_updated_password", "user", id, own, NULL);
        auth_tree(&b, "delete", "sessions");
        auth_where(&b), auth_eq(&b, "user_id", id);
        if (c->session) auth_op(&b, "id", "neq", json_str(json_get(c->session, "id")));
        auth_end(&b), auth_end(&b);
    }
    auth_audit(c, &b, "user_modified", "user", id, own, NULL);
    if (mails) auth_insert_flow(c, &b, id, "email_change");
    if (mails) auth_send(c, &b, AUTH_MAIL_CHANGE_NEW, id, want.email, auth_has_challenge(c), true, &sent[0]);
    if (both) auth_send(c, &b, AUTH_MAIL_CHANGE_CURRENT, id, own, auth_has_challenge(c), true, &sent[1]);
    if (want.changes_phone) auth_put_phone_change(c, &b, &want.phone);
    if (want.changes_phone && want.phone.at_once)
        auth_notify(c, &b, APP_TEMPLATE_phone_changed, c->user, own,
                    &(struct auth_words){.phone = want.phone.phone, .old_phone = json_str(json_get(c->user, "phone"))});
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Error updating user", &answers);
    if (ran == AUTH_TAKEN && !want.changes_phone) return auth_fail(c, AUTH_ERROR_email_exists);
    if (ran == AUTH_TAKEN)
        return auth_fail_text(c, AUTH_ERROR_phone_exists, "A user with this phone number has already been registered");
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    if (mails) auth_told_mail(c, AUTH_MAIL_CHANGE_NEW, want.email, &sent[0]);
    if (both) auth_told_mail(c, AUTH_MAIL_CHANGE_CURRENT, own, &sent[1]);
    if (want.phone.code.n) auth_told_sms(c, "phone_change", want.phone.phone, want.phone.code);
    return answer_user(c, auth_first(&answers, last));
}

static bool reauthenticate_by_phone(struct auth_call *c, str id, str phone) {
    struct auth_batch b;
    struct json answers;
    str code;
    if (!auth_phone_confirmed(c->user))
        return auth_fail_status(c, AUTH_ERROR_phone_not_confirmed, 422, "Please verify your phone first.");
    if (!auth_may_sms(c, phone)) return false;
    auth_batch_begin(&b);
    auth_audit(c, &b, "user_reauthenticate_requested", "user", id, phone, NULL);
    auth_put_phone_reauthentication(c, &b, phone, &code);
    if (auth_run(c, &b, "Error sending sms", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_told_sms(c, "reauthentication", phone, code);
    buf_puts(&c->out, auth_test_code(c, phone).n ? STR("{\"message_id\":\"test-otp\"}") : STR("{}"));
    return auth_answer(c, 200);
}

bool auth_do_reauthenticate(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    struct auth_sent sent;
    str id = json_str(json_get(c->user, "id")), email = json_str(json_get(c->user, "email")),
        phone = json_str(json_get(c->user, "phone"));
    if (!email.n && !phone.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "Reauthentication requires the user to have an email or a phone number");
    if (!email.n) return reauthenticate_by_phone(c, id, phone);
    if (!auth_confirmed(c->user))
        return auth_fail_status(c, AUTH_ERROR_email_not_confirmed, 422, "Please verify your email first.");
    if (!auth_may_mail(c, email)) return false;
    auth_batch_begin(&b);
    auth_audit(c, &b, "user_reauthenticate_requested", "user", id, email, NULL);
    auth_send(c, &b, AUTH_MAIL_REAUTHENTICATE, id, email, false, true, &sent);
    if (auth_run(c, &b, "Error sending reauthentication email", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_told_mail(c, AUTH_MAIL_REAUTHENTICATE, email, &sent);
    buf_puts(&c->out, STR("{}"));
    return auth_answer(c, 200);
}
