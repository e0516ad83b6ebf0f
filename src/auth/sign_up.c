/* sign_up: who was no user becomes one; what mails are sent to those who are. */
#include "auth/auth_int.h"

static bool insert_failed(struct auth_call *c) { return c->failed ? false : auth_fail(c, AUTH_ERROR_unexpected_failure); }

bool auth_hash_password(struct auth_call *c, str password, str *made) {
    enum auth_done done = c->host->hash(c->host->arg, c->mem, password, made);
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    return done == AUTH_DONE || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

bool auth_is_password(struct auth_call *c, str password, const struct json *user, bool *same) {
    bool old;
    enum auth_done done = c->host->verify(c->host->arg, password, json_str(json_get(user, "encrypted_password")), same, &old);
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    return done == AUTH_DONE || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

/* ---- anonymous ---- */

static bool sign_up_anonymously(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    struct auth_new_session s;
    struct auth_new_user u = {.id = auth_new_id(c), .anonymous = true, .user_data = json_get(&c->body, "data")};
    if (!c->config->anonymous) return auth_fail(c, AUTH_ERROR_anonymous_provider_disabled);
    if (!auth_limited(c, "anonymous", auth_network(c), c->config->anonymous_hour, 3600)) return false;
    if (!c->config->sign_up) return auth_fail(c, AUTH_ERROR_signup_disabled);
    auth_batch_begin(&b);
    auth_insert_user(c, &b, &u);
    auth_insert_session(c, &b, u.id, "anonymous", &s);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", u.id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    if (auth_run(c, &b, "Database error creating anonymous user", &answers) != AUTH_RAN || !auth_first(&answers, last))
        return insert_failed(c);
    return auth_answer_session(c, auth_first(&answers, last), &s, NULL);
}

/* ---- by address and password ---- */

/* What is told of an address that somebody has: a user that looks new, and is nowhere. */
static bool answer_made_up(struct auth_call *c, const struct json *user, str email) {
    struct json_writer w = json_writer_of(&c->out);
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b); /* a write, as for one who is new */
    auth_audit(c, &b, "user_repeated_signup", "user", json_str(json_get(user, "id")), email, "email");
    if (auth_run(c, &b, "Database error saving new user", &answers) != AUTH_RAN) return insert_failed(c);
    json_put_object(&w, NULL);
    json_put_str(&w, "id", auth_new_id(c));
    json_put_cstr(&w, "aud", "authenticated");
    json_put_cstr(&w, "role", "");
    json_put_str(&w, "email", email);
    json_put_cstr(&w, "phone", "");
    json_put_str(&w, "confirmation_sent_at", c->now);
    json_put_raw(&w, "app_metadata", STR("{\"provider\":\"email\",\"providers\":[\"email\"]}"));
    auth_put_merged(&w, "user_metadata", json_get(&c->body, "data"), NULL);
    json_put_array(&w, "identities"), json_put_end(&w);
    json_put_str(&w, "created_at", c->now);
    json_put_str(&w, "updated_at", c->now);
    json_put_bool(&w, "is_anonymous", false);
    json_put_end(&w);
    return auth_answer(c, 200);
}

static bool answer_user(struct auth_call *c, const struct json *user) {
    struct json_writer w = json_writer_of(&c->out);
    if (!user) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_put_user(&w, NULL, user);
    return auth_answer(c, 200);
}

/* Of a new one, or of one whose address is not confirmed yet: nobody knows whether that is his, so nothing of his is changed, but that a password
 * which was there is nobody's where another hand competes with it (drops): else who signs up with an address before its owner does is let in by it. */
static enum auth_ran sign_up(struct auth_call *c, const struct json *there, bool drops, str email, str password,
                             const struct json *data, bool confirmed, struct auth_new_session *s, const struct json **user) {
    struct auth_batch b;
    struct json answers;
    struct auth_sent sent = {0};
    struct auth_new_user u = {.id = there ? json_str(json_get(there, "id")) : auth_new_id(c),
                              .email = email,
                              .password = password,
                              .provider = STR("email"),
                              .email_confirmed = confirmed,
                              .own = true,
                              .user_data = data};
    c->data = there ? json_get(there, "raw_user_meta_data") : data;
    auth_batch_begin(&b);
    if (!there) auth_insert_user(c, &b, &u);
    else if (drops) auth_replace_unconfirmed(&b, u.id, STR(""));
    auth_audit(c, &b, confirmed ? "user_signedup" : "user_confirmation_requested", confirmed ? "team" : "user", u.id, email,
               "email");
    if (there && confirmed) {
        auth_tree(&b, "update", "users");
        auth_set(&b), auth_confirm_email(c, &b, there), auth_end(&b);
        auth_where(&b), auth_eq(&b, "id", u.id), auth_is_null(&b, "email_confirmed_at"), auth_end(&b);
        auth_end(&b);
    }
    if (confirmed && s) auth_insert_session(c, &b, u.id, "password", s);
    if (!confirmed) {
        auth_insert_flow(c, &b, u.id, "email/signup");
        auth_send(c, &b, AUTH_MAIL_SIGN_UP, u.id, email, auth_has_challenge(c), true, &sent);
    }
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", u.id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Database error saving new user", &answers);
    if (ran == AUTH_RAN) *user = auth_first(&answers, last);
    if (ran == AUTH_RAN && sent.code.n) auth_told_mail(c, AUTH_MAIL_SIGN_UP, email, &sent);
    return ran;
}

bool auth_do_sign_up(struct auth_call *c) {
    str given = auth_text(c, "email"), phone = auth_text(c, "phone"), password = auth_text(c, "password"), email, made = {0};
    const struct json *user = NULL, *told = NULL;
    bool same = false;
    struct auth_new_session s = {0};
    bool confirms = c->config->confirm_email;
    if (!given.n && !phone.n) return sign_up_anonymously(c);
    if (!auth_limited(c, "sign_in", auth_network(c), c->config->sign_ins, 300)) return false;
    if (!c->config->sign_up) return auth_fail(c, AUTH_ERROR_signup_disabled);
    if (!password.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Signup requires a valid password");
    if (!auth_password_ok(c, password)) return false;
    if (given.n && phone.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "Only an email address or phone number should be provided on signup.");
    if (phone.n) return auth_phone_sign_up(c, phone, password);
    if (!auth_challenge_ok(c)) return false;
    if (!c->config->email || !c->config->email_sign_up) return auth_fail(c, AUTH_ERROR_email_provider_disabled);
    if (!auth_email(c, given, &email)) return false;
    if (confirms && !auth_may_mail(c, email)) return false;
    for (int tries = 0; tries < 2; tries++) { /* whoever it is: it takes as long */
        if (!auth_read_user(c, "email", email, &user)) return false;
        bool waits = user && confirms && !auth_confirmed(user);
        if (waits ? !auth_is_password(c, password, user, &same) : !made.n && !auth_hash_password(c, password, &made))
            return false;
        if (user && auth_confirmed(user))
            return confirms ? answer_made_up(c, user, email) : auth_fail(c, AUTH_ERROR_user_already_exists);
        if (user && !confirms) return auth_fail(c, AUTH_ERROR_user_already_exists); /* whose password that is, nobody knows */
        enum auth_ran ran = sign_up(c, user, !same, email, made, json_get(&c->body, "data"), !confirms, &s, &told);
        if (ran == AUTH_RAN) auth_as_made(told);
        if (ran == AUTH_RAN) return s.id.n ? auth_answer_session(c, told, &s, NULL) : answer_user(c, told);
        if (ran != AUTH_TAKEN) return insert_failed(c); /* somebody was quicker */
    }
    return auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Database error saving new user");
}

/* ---- links and codes ---- */

static bool answer_empty(struct auth_call *c) {
    buf_puts(&c->out, STR("{}"));
    return auth_answer(c, 200);
}

/* A mail to a user who is there. */
static bool send_one(struct auth_call *c, const struct json *user, enum auth_mail kind, str email, const char *flow,
                     const char *action) {
    struct auth_batch b;
    struct json answers;
    struct auth_sent sent;
    str id = json_str(json_get(user, "id"));
    c->data = json_get(user, "raw_user_meta_data");
    auth_batch_begin(&b);
    auth_audit(c, &b, action, "user", id, json_str(json_get(user, "email")), NULL);
    auth_insert_flow(c, &b, id, flow);
    auth_send(c, &b, kind, id, email, auth_has_challenge(c), true, &sent);
    if (auth_run(c, &b, "Error sending email", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_told_mail(c, kind, email, &sent);
    return true;
}

/* The same time for who is a user and who is not: as much is written, and taken back before it is to be seen, so that it has to be kept as well. */
static bool send_nothing(struct auth_call *c, enum auth_mail kind, str email) {
    struct auth_batch b;
    struct json answers;
    struct auth_sent sent;
    str id = auth_new_id(c);
    auth_batch_begin(&b);
    auth_send_nothing(c, &b, kind, id, email, &sent);
    return auth_run(c, &b, "Unable to process request", &answers) == AUTH_RAN || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static bool magic_link(struct auth_call *c, bool creates) {
    const struct json *user, *told;
    str email;
    if (!c->config->email) return auth_fail_status(c, AUTH_ERROR_email_provider_disabled, 422, "Email logins are disabled");
    if (!auth_email(c, auth_text(c, "email"), &email) || !auth_challenge_ok(c)) return false;
    if (!auth_limited(c, "sign_in", auth_network(c), c->config->sign_ins, 300) || !auth_may_mail(c, email)) return false;
    if (!auth_read_user(c, "email", email, &user)) return false;
    if (!user && !creates) return auth_fail(c, AUTH_ERROR_otp_disabled);
    bool is_new = !user || !auth_confirmed(user);
    if (is_new && !c->config->sign_up && !user) return auth_fail(c, AUTH_ERROR_signup_disabled);
    if (is_new && !user && !c->config->email_sign_up) return auth_fail(c, AUTH_ERROR_email_provider_disabled);
    if (is_new) {
        enum auth_ran ran =
            sign_up(c, user, true, email, STR(""), json_get(&c->body, "data"), !c->config->confirm_email && !user, NULL, &told);
        if (ran != AUTH_RAN) return ran == AUTH_TAKEN ? auth_fail(c, AUTH_ERROR_later) : insert_failed(c);
        if (c->config->confirm_email || user) return answer_empty(c); /* the mail that confirms signs in, too */
        user = told;
    }
    return send_one(c, user, AUTH_MAIL_MAGIC_LINK, email, "magiclink", "user_recovery_requested") && answer_empty(c);
}

bool auth_do_magic_link(struct auth_call *c) { return magic_link(c, true); }

bool auth_do_otp(struct auth_call *c) {
    const struct json *creates = json_get(&c->body, "create_user");
    str email = auth_text(c, "email"), phone = auth_text(c, "phone");
    if (email.n && phone.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Only an email address or phone number should be provided");
    if (email.n && auth_text(c, "channel").n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Channel should only be specified with Phone OTP");
    if (phone.n) return auth_challenge_ok(c) && auth_phone_otp(c, phone, !creates || json_bool(creates));
    if (!email.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "One of email or phone must be set");
    return magic_link(c, !creates || json_bool(creates));
}

bool auth_do_recover(struct auth_call *c) {
    const struct json *user;
    str email;
    if (!auth_text(c, "email").n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Password recovery requires an email");
    if (!auth_email(c, auth_text(c, "email"), &email) || !auth_challenge_ok(c)) return false;
    if (!auth_limited(c, "sign_in", auth_network(c), c->config->sign_ins, 300) || !auth_may_mail(c, email)) return false;
    if (!auth_read_user(c, "email", email, &user)) return false;
    return (user ? send_one(c, user, AUTH_MAIL_RECOVERY, email, "recovery", "user_recovery_requested")
                 : send_nothing(c, AUTH_MAIL_RECOVERY, email)) &&
           answer_empty(c);
}

bool auth_do_resend(struct auth_call *c) {
    const struct json *user;
    str type = auth_text(c, "type"), email;
    bool sign_up_mail = str_eqc(type, "signup"), change = str_eqc(type, "email_change");
    if (str_eqc(type, "sms") || str_eqc(type, "phone_change")) return auth_phone_resend(c, type.n > 3);
    if (!sign_up_mail && !change)
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "Missing one of these types: signup, email_change, sms, phone_change");
    if (!auth_text(c, "email").n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              sign_up_mail ? "Type provided requires an email address" : "Missing email address or phone number");
    if (!auth_email(c, auth_text(c, "email"), &email) || !auth_challenge_ok(c)) return false;
    if (!auth_limited(c, "sign_in", auth_network(c), c->config->sign_ins, 300) || !auth_may_mail(c, email)) return false;
    if (!auth_read_user(c, "email", email, &user)) return false;
    str to = change ? json_str(json_get(user, "email_change")) : email;
    bool sends = user && to.n && (change || !auth_confirmed(user));
    if (sends && !str_eq(to, email) && !auth_may_mail(c, to)) /* who asks is told nothing of the other address */
        sends = c->failed = false;
    if (!sends) return send_nothing(c, AUTH_MAIL_SIGN_UP, email) && answer_empty(c);
    return send_one(c, user, change ? AUTH_MAIL_CHANGE_NEW : AUTH_MAIL_SIGN_UP, to, change ? "email_change" : "email/signup",
                    "user_confirmation_requested") &&
           answer_empty(c);
}
