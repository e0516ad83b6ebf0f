/* phone: users by their telephone's number: sign-up, codes, changes. A code is SHA-224 of number and code in users, as of a mail; there are no links.
 *
 * A number that stands in test_codes gets no message: its code is always that one.
 */
#include "auth/auth_int.h"

enum { DIGITS_MAX = 15, TRIES = 10, TRIES_S = 3600, TRIES_OF_ALL = 100 };

static const struct {
    const char *type, *token, *sent_at, *word;
} kinds[] = {{"confirmation_token", "confirmation_token", "confirmation_sent_at", "sms"},
             {"phone_change_token", "phone_change_token", "phone_change_sent_at", "phone_change"},
             {"reauthentication_token", "reauthentication_token", "reauthentication_sent_at", "reauthentication"}};
enum kind { CONFIRMS, CHANGES, REAUTHENTICATES };

bool auth_phone(struct auth_call *c, str text, str *phone) {
    uint8_t *p = arena_alloc(c->mem, DIGITS_MAX + 1, 1);
    size_t n = 0;
    bool ok = text.n <= 4 * DIGITS_MAX;
    if (text.n && text.p[0] == '+') text = str_sub(text, 1, text.n);
    for (size_t i = 0; ok && i < text.n; i++) {
        if (text.p[i] == ' ') continue;
        ok = text.p[i] >= (n ? '0' : '1') && text.p[i] <= '9' && n < DIGITS_MAX;
        if (ok) p[n++] = text.p[i];
    }
    *phone = (str){p, n};
    return (ok && n >= 2) || auth_fail_text(c, AUTH_ERROR_validation_failed, "Invalid phone number format (E.164 required)");
}

str auth_test_code(const struct auth_call *c, str phone) {
    for (uint32_t i = 0; i < c->config->sms.tests.n; i++)
        if (str_eq(c->config->sms.tests.p[i].phone, phone)) return c->config->sms.tests.p[i].code;
    return (str){0};
}

bool auth_may_sms(struct auth_call *c, str phone) {
    uint64_t second = 1'000'000'000u, wait = 0, every = c->config->sms_every_s;
    if (c->failed) return false;
    if (every) wait = c->host->limit(c->host->arg, arena_fmt(c->mem, "sms " STR_FMT, STR_ARG(phone)), every * second, 1, true);
    if (wait)
        return auth_fail_text(c, AUTH_ERROR_over_sms_send_rate_limit,
                              "For security purposes, you can only request this after %llu seconds.",
                              (unsigned long long)((wait + second - 1) / second));
    if (auth_test_code(c, phone).n) return true;
    wait = c->host->limit(c->host->arg, STR("messages"), 3600 * second / c->config->sms_hour, c->config->sms_hour, true);
    return !wait || auth_fail_text(c, AUTH_ERROR_over_sms_send_rate_limit, "SMS rate limit exceeded");
}

bool auth_channel_ok(struct auth_call *c, str *channel) {
    *channel = auth_text(c, "channel");
    if (!channel->n) *channel = STR("sms");
    return str_eqc(*channel, "sms") || (str_eqc(*channel, "whatsapp") && c->config->sms.provider == APP_SMS_TWILIO) ||
           auth_hook_on(c, APP_HOOK_send_sms) ||
           auth_fail_text(c, AUTH_ERROR_validation_failed,
                          "Invalid channel, supported values are 'sms' or 'whatsapp'. 'whatsapp' is only supported if Twilio or "
                          "Twilio Verify is used as the provider.");
}

bool auth_phone_confirmed(const struct json *user) { return auth_time_of(json_get(user, "phone_confirmed_at")) != INT64_MIN; }

static bool is_on(struct auth_call *c, uint16_t status, const char *message) {
    return c->config->phone || auth_fail_status(c, AUTH_ERROR_phone_provider_disabled, status, message);
}

/* ---- messages ---- */

static str make_code(struct auth_call *c, str phone) {
    str test = auth_test_code(c, phone);
    return test.n ? test : auth_make_code(c, c->config->sms_digits);
}

str auth_put_sms(struct auth_call *c, struct auth_batch *b, const char *kind, str user, str phone, str code, str channel) {
    struct json_writer *w = &b->w;
    struct buf words = {0};
    struct mail_fault fault;
    str id = auth_new_id(c);
    if (user.n && auth_hook_on(c, APP_HOOK_send_sms)) { /* once what was asked is done */
        c->texted.user = user, c->texted.phone = phone, c->texted.code = code, c->texted.kind = kind;
        return id;
    }
    if (!mail_sms_words(c->config->sms.words, code, &words, &fault)) words.n = 0;
    auth_tree(b, "insert", "orlo_mails");
    auth_row(b);
    json_put_str(w, "id", id);
    if (user.n) json_put_str(w, "user_id", user);
    json_put_str(w, "channel", channel);
    json_put_cstr(w, "kind", kind);
    json_put_str(w, "recipient", phone);
    json_put_cstr(w, "subject", "");
    json_put_object(w, "variables"), json_put_str(w, "Code", code), json_put_end(w);
    json_put_str(w, "body", buf_str(&words));
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "next_at", c->now);
    json_put_str(w, "expires_at", auth_time_text(c->mem, c->host->now_us + c->config->sms_s * 1'000'000ll));
    auth_row_end(b);
    auth_end(b);
    buf_free(&words);
    return id;
}

void auth_told_sms(struct auth_call *c, const char *kind, str phone, str code) {
    if (!auth_test_code(c, phone).n && !auth_hook_on(c, APP_HOOK_send_sms))
        c->host->mailed(c->host->arg, true, kind, phone, (str){0}, code);
}

static void put_code(struct auth_call *c, struct auth_batch *b, enum kind kind, str user, str phone, str channel, str *code) {
    struct json_writer *w = &b->w;
    uint8_t random[28];
    *code = make_code(c, phone);
    crypto_random(random, sizeof random); /* nobody ever has it: a code is looked for by its number */
    auth_tree(b, "delete", "one_time_tokens");
    auth_where(b), auth_eq(b, "user_id", user), auth_eq(b, "token_type", str_c(kinds[kind].type)), auth_end(b);
    auth_end(b);
    auth_put_token(c, b, user, kinds[kind].type, auth_hex(c->mem, random, sizeof random), phone);
    auth_tree(b, "update", "users");
    auth_set(b);
    json_put_str(w, kinds[kind].token, auth_code_hash(c, phone, *code));
    json_put_str(w, kinds[kind].sent_at, c->now);
    if (kind == CHANGES) json_put_str(w, "phone_change", phone);
    json_put_str(w, "updated_at", c->now);
    auth_end(b);
    auth_where(b), auth_eq(b, "id", user), auth_end(b);
    auth_end(b);
    if (!auth_test_code(c, phone).n) (void)auth_put_sms(c, b, kinds[kind].word, user, phone, *code, channel);
}

/* As much, for who is nobody: nothing of it is there once it has run. */
static bool send_nothing(struct auth_call *c, str phone) {
    struct auth_batch b;
    struct json answers;
    str nobody = auth_new_id(c), code = make_code(c, phone);
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "one_time_tokens");
    auth_where(&b), auth_eq(&b, "user_id", nobody), auth_end(&b), auth_end(&b);
    auth_tree(&b, "update", "users");
    auth_set(&b), json_put_str(&b.w, "confirmation_token", auth_code_hash(c, phone, code)), auth_end(&b);
    auth_where(&b), auth_eq(&b, "id", nobody), auth_end(&b), auth_end(&b);
    for (int i = 0; i < 2; i++) {
        str id = auth_put_sms(c, &b, "sms", (str){0}, phone, code, STR("sms"));
        auth_tree(&b, "delete", "orlo_mails");
        auth_where(&b), auth_eq(&b, "id", id), auth_end(&b), auth_end(&b);
    }
    return auth_run(c, &b, "Unable to process request", &answers) == AUTH_RAN || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static bool answer_empty(struct auth_call *c) {
    buf_puts(&c->out, STR("{}"));
    return auth_answer(c, 200);
}

static bool answer_sent(struct auth_call *c, str phone) {
    if (!auth_test_code(c, phone).n) return answer_empty(c);
    buf_puts(&c->out, STR("{\"message_id\":\"test-otp\"}"));
    return auth_answer(c, 200);
}

static bool send_code(struct auth_call *c, const struct json *user, enum kind kind, str phone, str channel, const char *action) {
    struct auth_batch b;
    struct json answers;
    str id = json_str(json_get(user, "id")), code;
    auth_batch_begin(&b);
    if (action) auth_audit(c, &b, action, "user", id, phone, NULL);
    put_code(c, &b, kind, id, phone, channel, &code);
    if (auth_run(c, &b, "Error sending sms", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_told_sms(c, kinds[kind].word, phone, code);
    return true;
}

/* ---- sign-up ---- */

/* As of an address (sign_up.c): of who is there and has not confirmed his number nothing is changed, but that a password with which another hand competes is
 * nobody's. */
static enum auth_ran sign_up(struct auth_call *c, const struct json *there, bool drops, str phone, str password, str channel,
                             struct auth_new_session *s, const struct json **user) {
    struct auth_batch b;
    struct json answers;
    bool confirms = c->config->confirm_phone;
    str code = {0};
    struct auth_new_user u = {.id = there ? json_str(json_get(there, "id")) : auth_new_id(c),
                              .phone = phone,
                              .password = password,
                              .provider = STR("phone"),
                              .phone_confirmed = !confirms,
                              .own = true,
                              .user_data = json_get(&c->body, "data")};
    auth_batch_begin(&b);
    if (!there) {
        auth_insert_user(c, &b, &u);
    } else if (drops) {
        auth_tree(&b, "update", "users");
        auth_set(&b), json_put_cstr(&b.w, "encrypted_password", ""), auth_end(&b);
        auth_where(&b), auth_eq(&b, "id", u.id), auth_is_null(&b, "phone_confirmed_at"), auth_is_null(&b, "email_confirmed_at");
        auth_end(&b), auth_end(&b);
    }
    auth_audit(c, &b, confirms ? "user_confirmation_requested" : "user_signedup", confirms ? "user" : "team", u.id, phone,
               "phone");
    if (confirms) put_code(c, &b, CONFIRMS, u.id, phone, channel, &code);
    else if (s) auth_insert_session(c, &b, u.id, "password", s);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", u.id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Database error saving new user", &answers);
    if (ran == AUTH_RAN) *user = auth_first(&answers, last);
    if (ran == AUTH_RAN && code.n) auth_told_sms(c, "sms", phone, code);
    return ran;
}

/* What is told of a number that somebody has: a user that looks new, and is nowhere. */
static bool answer_made_up(struct auth_call *c, const struct json *user, str phone) {
    struct json_writer w = json_writer_of(&c->out);
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b); /* a write, as for one who is new */
    auth_audit(c, &b, "user_repeated_signup", "user", json_str(json_get(user, "id")), phone, "phone");
    if (auth_run(c, &b, "Database error saving new user", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    json_put_object(&w, NULL);
    json_put_str(&w, "id", auth_new_id(c));
    json_put_cstr(&w, "aud", "authenticated");
    json_put_cstr(&w, "role", "");
    json_put_cstr(&w, "email", "");
    json_put_str(&w, "phone", phone);
    json_put_str(&w, "confirmation_sent_at", c->now);
    json_put_raw(&w, "app_metadata", STR("{\"provider\":\"phone\",\"providers\":[\"phone\"]}"));
    auth_put_merged(&w, "user_metadata", json_get(&c->body, "data"), NULL);
    json_put_array(&w, "identities"), json_put_end(&w);
    json_put_str(&w, "created_at", c->now);
    json_put_str(&w, "updated_at", c->now);
    json_put_bool(&w, "is_anonymous", false);
    json_put_end(&w);
    return auth_answer(c, 200);
}

bool auth_phone_sign_up(struct auth_call *c, str given, str password) {
    const struct json *user = NULL, *told = NULL;
    struct auth_new_session s = {0};
    str phone, channel, made = {0};
    bool same = false, confirms = c->config->confirm_phone;
    if (!auth_channel_ok(c, &channel)) return false;
    if (auth_text(c, "code_challenge").n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "PKCE not supported for phone signups");
    if (!is_on(c, 400, "Phone signups are disabled") || !auth_phone(c, given, &phone)) return false;
    if (confirms && !auth_may_sms(c, phone)) return false;
    for (int tries = 0; tries < 2; tries++) { /* whoever it is: it takes as long */
        if (!auth_read_user(c, "phone", phone, &user)) return false;
        bool waits = user && confirms && !auth_phone_confirmed(user);
        if (waits ? !auth_is_password(c, password, user, &same) : !made.n && !auth_hash_password(c, password, &made))
            return false;
        if (user && (auth_phone_confirmed(user) || !confirms))
            return confirms && c->config->confirm_email ? answer_made_up(c, user, phone)
                                                        : auth_fail(c, AUTH_ERROR_user_already_exists);
        enum auth_ran ran = sign_up(c, user, !same, phone, made, channel, &s, &told);
        if (ran == AUTH_RAN && !told) return auth_fail(c, AUTH_ERROR_unexpected_failure);
        if (ran == AUTH_RAN && s.id.n) return auth_answer_session(c, told, &s, NULL);
        if (ran == AUTH_RAN) {
            struct json_writer w = json_writer_of(&c->out);
            auth_as_made(told);
            auth_put_user(&w, NULL, told);
            return auth_answer(c, 200);
        }
        if (ran != AUTH_TAKEN) break; /* else somebody was quicker */
    }
    return c->failed ? false : auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Database error saving new user");
}

bool auth_phone_otp(struct auth_call *c, str given, bool creates) {
    const struct json *user = NULL, *told = NULL;
    str phone, channel;
    if (!creates) { /* as GoTrue has it: this first */
        if (!auth_phone(c, given, &phone) || !auth_read_user(c, "phone", phone, &user)) return false;
        if (!user) return auth_fail(c, AUTH_ERROR_otp_disabled);
    }
    if (!is_on(c, 400, "Unsupported phone provider")) return false;
    if (!auth_phone(c, given, &phone) || !auth_channel_ok(c, &channel)) return false;
    if (!auth_limited(c, "sign_in", auth_network(c), c->config->sign_ins, 300) || !auth_may_sms(c, phone)) return false;
    if (!auth_read_user(c, "phone", phone, &user)) return false;
    if (user && auth_phone_confirmed(user))
        return send_code(c, user, CONFIRMS, phone, channel, "user_recovery_requested") && answer_sent(c, phone);
    if (!user && !c->config->sign_up) return auth_fail(c, AUTH_ERROR_signup_disabled);
    if (user && !c->config->confirm_phone) /* who confirms it now is he */
        return send_code(c, user, CONFIRMS, phone, channel, "user_recovery_requested") && answer_sent(c, phone);
    enum auth_ran ran = sign_up(c, user, true, phone, STR(""), channel, NULL, &told);
    if (ran != AUTH_RAN)
        return ran == AUTH_TAKEN ? auth_fail(c, AUTH_ERROR_later)
               : c->failed       ? false
                                 : auth_fail(c, AUTH_ERROR_unexpected_failure);
    if (c->config->confirm_phone) return answer_empty(c); /* the code that confirms signs in, too */
    return send_code(c, told, CONFIRMS, phone, channel, "user_recovery_requested") && answer_sent(c, phone);
}

bool auth_phone_resend(struct auth_call *c, bool change) {
    const struct json *user;
    str phone, given = auth_text(c, "phone");
    if (!given.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              change ? "Missing email address or phone number" : "Type provided requires a phone number");
    if (auth_text(c, "email").n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Only an email address or phone number should be provided.");
    if (!is_on(c, 400, "Phone logins are disabled") || !auth_phone(c, given, &phone)) return false;
    if (!auth_limited(c, "sign_in", auth_network(c), c->config->sign_ins, 300) || !auth_may_sms(c, phone)) return false;
    if (!auth_read_user(c, "phone", phone, &user)) return false;
    str to = change ? json_str(json_get(user, "phone_change")) : phone;
    bool sends = user && to.n && (change || !auth_phone_confirmed(user));
    if (sends && !str_eq(to, phone) && !auth_may_sms(c, to)) /* who asks is told nothing of the other number */
        sends = c->failed = false;
    if (!sends) return send_nothing(c, phone) && answer_empty(c);
    return send_code(c, user, change ? CHANGES : CONFIRMS, to, STR("sms"), change ? NULL : "user_recovery_requested") &&
           answer_sent(c, to);
}

/* ---- what comes back ---- */

/* Codes are short: from one network few tries at a number, and from all together more. */
static bool may_try(struct auth_call *c, str phone) {
    str here = arena_fmt(c->mem, STR_FMT " " STR_FMT, STR_ARG(phone), STR_ARG(auth_network(c)));
    return auth_limited(c, "code", here, TRIES, TRIES_S) && auth_limited(c, "codes", phone, TRIES_OF_ALL, TRIES_S);
}

static bool is_right(struct auth_call *c, const struct json *user, enum kind kind, str phone, str code) {
    str hash = json_str(json_get(user, kinds[kind].token)), said = auth_code_hash(c, phone, code),
        test = auth_test_code(c, phone);
    int64_t sent = auth_time_of(json_get(user, kinds[kind].sent_at));
    if (test.n && test.n == code.n && crypto_equal(test.p, code.p, code.n)) return true;
    return hash.n && hash.n == said.n && crypto_equal(hash.p, said.p, hash.n) && sent != INT64_MIN &&
           c->host->now_us - sent <= (int64_t)c->config->sms_s * 1'000'000;
}

/* What a number that is his means, in an update of users that is open. */
static void put_confirmed(struct auth_call *c, struct auth_batch *b, const struct json *user, str phone, bool change) {
    if (change) json_put_str(&b->w, "phone", phone), json_put_cstr(&b->w, "phone_change", "");
    json_put_cstr(&b->w, change ? "phone_change_token" : "confirmation_token", "");
    if (change) json_put_cstr(&b->w, "reauthentication_token", "");
    json_put_str(&b->w, "phone_confirmed_at", c->now);
    json_put_bool(&b->w, "is_anonymous", false);
    auth_put_providers(&b->w, "raw_app_meta_data", user, json_get(user, "identities"), NULL, STR("phone"));
    json_put_str(&b->w, "updated_at", c->now);
}

static void put_identity(struct auth_call *c, struct auth_batch *b, const struct json *user, str phone) {
    struct json_writer *w = &b->w;
    const struct json *identity = auth_identity(user, "phone");
    str id = json_str(json_get(user, "id"));
    struct json_member more[2] = {{STR("phone"), {.kind = JSON_KIND_STR, .s = phone}},
                                  {STR("phone_verified"), {.kind = JSON_KIND_BOOL, .b = true}}};
    const struct json over = {.kind = JSON_KIND_OBJECT, .n = 2, .members = more};
    auth_tree(b, identity ? "update" : "insert", "identities");
    if (identity) auth_set(b);
    else auth_row(b);
    if (!identity) {
        json_put_str(w, "id", auth_new_id(c));
        json_put_str(w, "provider_id", id), json_put_str(w, "user_id", id);
        json_put_cstr(w, "provider", "phone");
        json_put_str(w, "last_sign_in_at", c->now), json_put_str(w, "created_at", c->now);
        json_put_object(w, "identity_data");
        json_put_str(w, "sub", id), json_put_str(w, "phone", phone);
        json_put_bool(w, "email_verified", false), json_put_bool(w, "phone_verified", true);
        json_put_end(w);
    } else {
        auth_put_merged(w, "identity_data", json_get(identity, "identity_data"), &over);
    }
    json_put_str(w, "updated_at", c->now);
    if (identity) auth_end(b), auth_where(b), auth_eq(b, "id", json_str(json_get(identity, "id"))), auth_end(b);
    else auth_row_end(b);
    auth_end(b);
}

bool auth_phone_verify(struct auth_call *c, bool change, str given, str code) {
    struct auth_batch b;
    struct json answers;
    struct auth_new_session s = {0};
    const struct json *user;
    enum kind kind = change ? CHANGES : CONFIRMS;
    str phone;
    if (!auth_phone(c, given, &phone) || !may_try(c, phone)) return false;
    if (!auth_read_user(c, change ? "phone_change" : "phone", phone, &user)) return false;
    if (!user) return auth_fail(c, AUTH_ERROR_otp_expired);
    if (!is_right(c, user, kind, phone, code)) return auth_fail(c, AUTH_ERROR_otp_expired);
    if (auth_banned(c, user)) return auth_fail(c, AUTH_ERROR_user_banned);
    str id = json_str(json_get(user, "id")), token = json_str(json_get(user, kinds[kind].token));
    auth_batch_begin(&b);
    auth_tree(&b, "update", "users");
    auth_set(&b), put_confirmed(c, &b, user, phone, change), auth_end(&b);
    auth_where(&b), auth_eq(&b, "id", id), auth_eq(&b, change ? "phone_change" : "phone", phone);
    if (token.n) auth_eq(&b, kinds[kind].token, token); /* else it is a number of tests */
    auth_end(&b);
    auth_one(&b), auth_end(&b);
    auth_tree(&b, "delete", "one_time_tokens");
    auth_where(&b), auth_eq(&b, "user_id", id), auth_end(&b), auth_end(&b);
    auth_audit(c, &b, change ? "user_modified" : "user_signedup", change ? "user" : "team", id, phone, change ? NULL : "phone");
    if (change) put_identity(c, &b, user, phone);
    str was = json_str(json_get(user, "phone"));
    if (change && was.n)
        auth_notify(c, &b, APP_TEMPLATE_phone_changed, user, json_str(json_get(user, "email")),
                    &(struct auth_words){.phone = phone, .old_phone = was});
    auth_insert_session(c, &b, id, "otp", &s);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Error confirming user", &answers);
    if (ran == AUTH_MOVED) return auth_fail(c, AUTH_ERROR_otp_expired);
    if (ran == AUTH_TAKEN)
        return auth_fail_text(c, AUTH_ERROR_phone_exists, "A user with this phone number has already been registered");
    if (ran != AUTH_RAN || !auth_first(&answers, last)) return c->failed ? false : auth_fail(c, AUTH_ERROR_unexpected_failure);
    return auth_answer_session(c, auth_first(&answers, last), &s, NULL);
}

void auth_put_phone_change(struct auth_call *c, struct auth_batch *b, struct auth_phone_change *change) {
    str id = json_str(json_get(c->user, "id"));
    if (!change->at_once) {
        put_code(c, b, CHANGES, id, change->phone, change->channel, &change->code);
        return;
    }
    auth_tree(b, "update", "users");
    auth_set(b), put_confirmed(c, b, c->user, change->phone, true), auth_end(b);
    auth_where(b), auth_eq(b, "id", id), auth_end(b), auth_end(b);
    put_identity(c, b, c->user, change->phone);
}

void auth_put_phone_reauthentication(struct auth_call *c, struct auth_batch *b, str phone, str *code) {
    put_code(c, b, REAUTHENTICATES, json_str(json_get(c->user, "id")), phone, STR("sms"), code);
}
