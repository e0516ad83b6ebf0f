/* admin: what the service_role does with users. */
#include "auth/auth_int.h"
#include <stdlib.h>

enum { ROLE_MAX = 63 };

static bool answer_user(struct auth_call *c, const struct json *user) {
    struct json_writer w = json_writer_of(&c->out);
    if (!user) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_put_user(&w, NULL, user);
    return auth_answer(c, 200);
}

static bool load(struct auth_call *c, const struct json **user) {
    if (!auth_is_id(c->id)) return auth_fail_status(c, AUTH_ERROR_validation_failed, 404, "user_id must be an UUID");
    if (!auth_read_user(c, "id", c->id, user)) return false;
    return *user || auth_fail(c, AUTH_ERROR_user_not_found);
}

bool auth_do_admin_get(struct auth_call *c) {
    const struct json *user;
    return load(c, &user) && answer_user(c, user);
}

bool auth_do_admin_factors(struct auth_call *c) {
    const struct json *user;
    struct json_writer w = json_writer_of(&c->out);
    if (!load(c, &user)) return false;
    json_put_array(&w, NULL);
    JSON_EACH(f, json_get(user, "mfa_factors")) auth_put_factor(&w, f);
    json_put_end(&w);
    return auth_answer(c, 200);
}

/* ---- what is wanted of one ---- */

/* "24h", "1h30m", "none": as Go writes a time. */
static bool ban_until(struct auth_call *c, bool *says, str *until) {
    str text = auth_text(c, "ban_duration");
    char *end;
    double total = 0;
    *says = text.n;
    *until = (str){0};
    if (!text.n || str_eqc(text, "none")) return true;
    for (const char *p = arena_cstr(c->mem, text); *p; p = end) {
        double n = *p >= '0' && *p <= '9' ? strtod(p, &end) : -1;
        static const struct {
            const char *unit;
            double s;
        } units[] = {{"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"h", 3600}, {"m", 60}, {"s", 1}};
        size_t i = 0;
        if (n < 0)
            return auth_fail_text(c, AUTH_ERROR_validation_failed,
                                  "invalid format for ban duration: time: invalid duration \"" STR_FMT "\"",
                                  STR_ARG(str_sub(text, 0, 40)));
        while (i < ARRAY_COUNT(units) && strncmp(end, units[i].unit, strlen(units[i].unit))) i++;
        if (i == ARRAY_COUNT(units) || n > 1e12)
            return auth_fail_text(c, AUTH_ERROR_validation_failed,
                                  "invalid format for ban duration: time: missing unit in duration \"" STR_FMT "\"",
                                  STR_ARG(str_sub(text, 0, 40)));
        total += n * units[i].s;
        end += strlen(units[i].unit);
    }
    if (total > 200.0 * 365 * 86400) total = 200.0 * 365 * 86400;
    *until = auth_time_text(c->mem, c->host->now_us + (int64_t)(total * 1e6));
    return true;
}

/* Whom a token may say that he is: not who no policy holds for, whatever an app's own page lets be sent. */
static bool role_ok(struct auth_call *c, str role) {
    static const char *const above[] = {"service_role", "postgres", "authenticator", "supabase_", "pg_"};
    bool ok = role.n <= ROLE_MAX;
    for (size_t i = 0; i < role.n && ok; i++) ok = role.p[i] > ' ' && role.p[i] < 0x7f && role.p[i] != '"' && role.p[i] != '\\';
    for (size_t i = 0; i < ARRAY_COUNT(above) && ok; i++)
        ok = i < 3 ? !str_eqc(role, above[i]) : !str_starts(role, str_c(above[i]));
    return ok || auth_fail_text(c, AUTH_ERROR_validation_failed, "role is none that a user has");
}

static bool objects_ok(struct auth_call *c) {
    static const char *const keys[] = {"user_metadata", "app_metadata"};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const struct json *v = json_get(&c->body, keys[i]);
        if (v && v->kind != JSON_KIND_OBJECT && v->kind != JSON_KIND_NULL)
            return auth_fail_text(c, AUTH_ERROR_bad_json, "Could not parse request body as JSON: %s is an object", keys[i]);
    }
    return true;
}

static bool hash(struct auth_call *c, str password, str *made) {
    enum auth_done done = c->host->hash(c->host->arg, c->mem, password, made);
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    return done == AUTH_DONE || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static bool hash_ok(struct auth_call *c, str text) {
    switch (crypto_hash_known(text)) {
    case CRYPTO_HASH_OK: return true;
    case CRYPTO_HASH_DEAR:
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "password_hash costs more than is computed here");
    case CRYPTO_HASH_UNKNOWN: break;
    }
    return auth_fail_text(c, AUTH_ERROR_validation_failed, "password_hash is no hash of bcrypt, argon2, scrypt or PBKDF2");
}

/* ---- making and changing ---- */

static bool run_and_answer(struct auth_call *c, struct auth_batch *b, str id, bool made, const char *what) {
    struct json answers;
    auth_select_user(b);
    auth_where(b), auth_eq(b, "id", id), auth_end(b), auth_end(b);
    uint32_t last = b->n - 1;
    enum auth_ran ran = auth_run(c, b, what, &answers);
    if (ran == AUTH_TAKEN) return auth_fail(c, AUTH_ERROR_email_exists);
    if (ran == AUTH_RAN && made) auth_as_made(auth_first(&answers, last));
    return ran == AUTH_RAN ? answer_user(c, auth_first(&answers, last)) : auth_fail(c, AUTH_ERROR_unexpected_failure);
}

bool auth_do_admin_create(struct auth_call *c) {
    const struct json *there, *password = json_get(&c->body, "password");
    struct auth_new_user u = {
        .role = auth_text(c, "role"), .aud = auth_text(c, "aud"), .phone = auth_text(c, "phone"), .by_admin = true};
    struct auth_batch b;
    bool bans;
    str id = auth_text(c, "id"), given = auth_text(c, "password_hash");
    if (!auth_text(c, "email").n && !u.phone.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Cannot create a user without either an email or phone");
    if (!objects_ok(c) || !role_ok(c, u.role) || !role_ok(c, u.aud) || !ban_until(c, &bans, &u.banned_until)) return false;
    if (auth_text(c, "email").n) {
        if (!auth_email(c, auth_text(c, "email"), &u.email) || !auth_read_user(c, "email", u.email, &there)) return false;
        if (there) return auth_fail(c, AUTH_ERROR_email_exists);
    }
    if (u.phone.n && u.phone.p[0] == '+') u.phone = str_sub(u.phone, 1, u.phone.n);
    uint64_t digits;
    if (u.phone.n && (u.phone.n > 15 || !str_to_u64(u.phone, &digits) || u.phone.p[0] == '0'))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Invalid phone number format (E.164 required)");
    if (u.phone.n) {
        if (!auth_read_user(c, "phone", u.phone, &there)) return false;
        if (there) return auth_fail(c, AUTH_ERROR_phone_exists);
    }
    if (json_is(password, JSON_KIND_STR) && given.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Only a password or a password hash should be provided");
    if (given.n && !hash_ok(c, given)) return false;
    u.password = given;
    if (json_str(password).n > 72)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "bcrypt: password length exceeds 72 bytes");
    if (json_str(password).n && !hash(c, json_str(password), &u.password)) return false;
    if (id.n && (!auth_is_id(id) || str_eqc(id, "00000000-0000-0000-0000-000000000000")))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "ID must conform to the uuid v4 format");
    u.id = id.n ? id : auth_new_id(c);
    u.provider = u.email.n ? STR("email") : STR("phone");
    u.email_confirmed = u.email.n && json_bool(json_get(&c->body, "email_confirm"));
    u.phone_confirmed = u.phone.n && json_bool(json_get(&c->body, "phone_confirm"));
    u.user_data = json_get(&c->body, "user_metadata");
    u.app_data = json_get(&c->body, "app_metadata");
    auth_batch_begin(&b);
    auth_insert_user(c, &b, &u);
    auth_audit(c, &b, "user_signedup", "team", STR("00000000-0000-0000-0000-000000000000"), STR("service_role"),
               (const char *)u.provider.p);
    return run_and_answer(c, &b, u.id, true, "Database error creating new user");
}

static void put_address(struct auth_call *c, struct auth_batch *b, const struct json *user, str email, bool confirmed) {
    struct json_member more[2] = {{STR("email"), {.kind = JSON_KIND_STR, .s = email}},
                                  {STR("email_verified"), {.kind = JSON_KIND_BOOL, .b = confirmed}}};
    const struct json over = {.kind = JSON_KIND_OBJECT, .n = 2, .members = more}, *identity = auth_identity(user, "email");
    struct json_writer *w = &b->w;
    str id = json_str(json_get(user, "id"));
    auth_tree(b, identity ? "update" : "insert", "identities");
    if (identity) auth_set(b);
    else auth_row(b);
    if (!identity) {
        json_put_str(w, "id", auth_new_id(c));
        json_put_str(w, "provider_id", id);
        json_put_str(w, "user_id", id);
        json_put_cstr(w, "provider", "email");
        json_put_str(w, "created_at", c->now);
    }
    auth_put_merged(w, "identity_data", json_get(identity, "identity_data"), &over);
    json_put_str(w, "updated_at", c->now);
    if (identity) {
        auth_end(b);
        auth_where(b), auth_eq(b, "id", json_str(json_get(identity, "id"))), auth_end(b);
    } else auth_row_end(b);
    auth_end(b);
}

static void put_changes(struct auth_call *c, struct auth_batch *b, const struct json *user, str email, str made, bool bans,
                        str until) {
    struct json_writer *w = &b->w;
    const struct json *data = json_get(&c->body, "user_metadata"), *app = json_get(&c->body, "app_metadata");
    bool confirms = json_bool(json_get(&c->body, "email_confirm"));
    auth_tree(b, "update", "users");
    auth_set(b);
    if (auth_text(c, "role").n) json_put_str(w, "role", auth_text(c, "role"));
    if (email.n) json_put_str(w, "email", email);
    if (confirms) json_put_str(w, "email_confirmed_at", c->now), json_put_cstr(w, "confirmation_token", "");
    if (email.n && confirms) json_put_bool(w, "is_anonymous", false);
    if (made.n) json_put_str(w, "encrypted_password", made);
    if (made.n || email.n) auth_put_unsent(w, true);
    size_t since = b->b.n;
    if (data || confirms) {
        struct json_member verified = {STR("email_verified"), {.kind = JSON_KIND_BOOL, .b = true}};
        struct json more = {.kind = JSON_KIND_OBJECT, .n = confirms, .members = &verified};
        struct buf merged = {0};
        struct json_writer m = json_writer_of(&merged);
        struct json first = {0};
        struct diag d = DIAG_INIT;
        auth_put_merged(&m, NULL, json_get(user, "raw_user_meta_data"), &more);
        if (json_read(c->mem, buf_str(&merged), &(struct json_limits){AUTH_BODY_BYTES_MAX * 2, JSON_DEPTH_MAX, 40'000}, &first,
                      &d) == ERR_OK)
            auth_put_merged(w, "raw_user_meta_data", &first, data);
        buf_free(&merged);
    }
    auth_bound_metadata(c, &b->b, since, AUTH_USER_DATA_MAX, "user_metadata");
    since = b->b.n;
    if (app) auth_put_merged(w, "raw_app_meta_data", json_get(user, "raw_app_meta_data"), app);
    auth_bound_metadata(c, &b->b, since, AUTH_APP_DATA_MAX, "app_metadata");
    if (bans && until.n) json_put_str(w, "banned_until", until);
    else if (bans) json_put_null(w, "banned_until");
    json_put_str(w, "updated_at", c->now);
    auth_end(b);
    auth_where(b), auth_eq(b, "id", json_str(json_get(user, "id"))), auth_end(b);
    auth_end(b);
}

bool auth_do_admin_update(struct auth_call *c) {
    const struct json *user, *there = NULL, *password = json_get(&c->body, "password");
    struct auth_batch b;
    bool bans;
    str email = {0}, made = {0}, until;
    if (!load(c, &user) || !objects_ok(c) || !role_ok(c, auth_text(c, "role")) || !ban_until(c, &bans, &until)) return false;
    if (auth_text(c, "email").n && !auth_email(c, auth_text(c, "email"), &email)) return false;
    if (email.n && !str_eq(email, json_str(json_get(user, "email"))) && !auth_read_user(c, "email", email, &there)) return false;
    if (there) return auth_fail(c, AUTH_ERROR_email_exists);
    if (json_is(password, JSON_KIND_STR) && (!auth_password_ok(c, json_str(password)) || !hash(c, json_str(password), &made)))
        return false;
    auth_batch_begin(&b);
    put_changes(c, &b, user, email, made, bans, until);
    if (email.n) put_address(c, &b, user, email, json_bool(json_get(&c->body, "email_confirm")));
    if (made.n || email.n) auth_delete_sent(&b, c->id);
    if (made.n) { /* who was signed in has to sign in again */
        auth_tree(&b, "delete", "sessions");
        auth_where(&b), auth_eq(&b, "user_id", c->id), auth_end(&b), auth_end(&b);
    }
    auth_audit(c, &b, "user_modified", "user", STR("00000000-0000-0000-0000-000000000000"), STR("service_role"), NULL);
    bool done = run_and_answer(c, &b, c->id, false, "Error updating user");
    const struct json banned = {.kind = until.n ? JSON_KIND_STR : JSON_KIND_NULL, .s = until};
    if (done && bans) auth_ended(c, c->id, auth_time_of(&banned));
    return done;
}

/* What says who he was is gone, and his row stays: what refers to it does, too. */
static void put_soft(struct auth_call *c, struct auth_batch *b, const struct json *user) {
    struct json_writer *w = &b->w;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    str email = json_str(json_get(user, "email")), id = c->id;
    static const char *const empty[] = {"encrypted_password", "confirmation_token",     "recovery_token",
                                        "email_change",       "email_change_token_new", "email_change_token_current",
                                        "phone_change",       "phone_change_token",     "reauthentication_token"};
    static const char *const gone[] = {
        "sessions", "mfa_factors", "webauthn_credentials", "orlo_recovery_codes", "one_time_tokens", "flow_state", "identities"};
    crypto_sha256(id, digest); /* nobody finds him by it who does not know that */
    auth_tree(b, "update", "users");
    auth_set(b);
    if (email.n) json_put_str(w, "email", auth_base64url(c->mem, (str){digest, sizeof digest}));
    json_put_null(w, "phone");
    for (size_t i = 0; i < ARRAY_COUNT(empty); i++) json_put_cstr(w, empty[i], "");
    json_put_object(w, "raw_user_meta_data"), json_put_end(w);
    json_put_object(w, "raw_app_meta_data"), json_put_end(w);
    json_put_str(w, "deleted_at", c->now);
    auth_end(b);
    auth_where(b), auth_eq(b, "id", id), auth_end(b);
    auth_end(b);
    for (size_t i = 0; i < ARRAY_COUNT(gone); i++) {
        auth_tree(b, "delete", gone[i]);
        auth_where(b), auth_eq(b, "user_id", id), auth_end(b), auth_end(b);
    }
}

bool auth_do_admin_delete(struct auth_call *c) {
    const struct json *user;
    struct auth_batch b;
    struct json answers;
    if (!load(c, &user)) return false;
    auth_batch_begin(&b);
    auth_audit(c, &b, "user_deleted", "team", STR("00000000-0000-0000-0000-000000000000"), STR("service_role"), NULL);
    if (json_bool(json_get(&c->body, "should_soft_delete"))) {
        if (auth_time_of(json_get(user, "deleted_at")) == INT64_MIN) put_soft(c, &b, user);
    } else {
        auth_tree(&b, "delete", "users");
        auth_where(&b), auth_eq(&b, "id", c->id), auth_end(&b), auth_end(&b);
    }
    if (auth_run(c, &b, "Database error deleting user", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_ended(c, c->id, INT64_MAX);
    buf_puts(&c->out, STR("{}"));
    return auth_answer(c, 200);
}

/* ---- invitations and links ---- */

bool auth_do_invite(struct auth_call *c) {
    const struct json *user, *told;
    struct auth_batch b;
    struct json answers;
    struct auth_sent sent;
    str email;
    if (!auth_email(c, auth_text(c, "email"), &email) || !auth_read_user(c, "email", email, &user)) return false;
    if (user && auth_confirmed(user)) return auth_fail(c, AUTH_ERROR_email_exists);
    struct auth_new_user u = {.id = user ? json_str(json_get(user, "id")) : auth_new_id(c),
                              .email = email,
                              .provider = STR("email"),
                              .invited = true,
                              .user_data = json_get(&c->body, "data")};
    auth_batch_begin(&b);
    if (!user) auth_insert_user(c, &b, &u);
    else auth_replace_unconfirmed(&b, u.id, STR(""));
    auth_audit(c, &b, "user_invited", "team", STR("00000000-0000-0000-0000-000000000000"), STR("service_role"), NULL);
    auth_send(c, &b, AUTH_MAIL_INVITE, u.id, email, false, true, &sent);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", u.id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Database error saving new user", &answers);
    if (ran == AUTH_TAKEN) return auth_fail(c, AUTH_ERROR_email_exists);
    told = ran == AUTH_RAN ? auth_first(&answers, last) : NULL;
    if (told) auth_told_mail(c, AUTH_MAIL_INVITE, email, &sent);
    return told ? answer_user(c, told) : auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static bool answer_link(struct auth_call *c, const struct json *user, const struct auth_sent *sent, const char *type) {
    struct json_writer w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    auth_put_user_fields(&w, user);
    json_put_str(&w, "action_link", sent->link);
    json_put_str(&w, "email_otp", sent->code);
    json_put_str(&w, "hashed_token", sent->hash);
    json_put_cstr(&w, "verification_type", type);
    json_put_str(&w, "redirect_to", auth_redirect(c));
    json_put_end(&w);
    return auth_answer(c, 200);
}

bool auth_do_admin_link(struct auth_call *c) {
    static const struct {
        const char *type;
        enum auth_mail mail;
        bool makes, finds; /* a user where there is none; only where there is one */
    } kinds[] = {{"signup", AUTH_MAIL_SIGN_UP, true, false},
                 {"invite", AUTH_MAIL_INVITE, true, false},
                 {"magiclink", AUTH_MAIL_MAGIC_LINK, true, false},
                 {"recovery", AUTH_MAIL_RECOVERY, false, true},
                 {"email_change_new", AUTH_MAIL_CHANGE_NEW, false, true},
                 {"email_change_current", AUTH_MAIL_CHANGE_CURRENT, false, true}};
    const struct json *user, *other = NULL;
    struct auth_batch b;
    struct json answers;
    struct auth_sent sent;
    str email, to, made = {0}, type = auth_text(c, "type");
    size_t k = 0;
    if (!auth_email(c, auth_text(c, "email"), &email)) return false;
    while (k < ARRAY_COUNT(kinds) && !str_eqc(type, kinds[k].type)) k++;
    if (k == ARRAY_COUNT(kinds))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Invalid email action link type requested: " STR_FMT,
                              STR_ARG(str_sub(type, 0, 40)));
    if (!auth_read_user(c, "email", email, &user)) return false;
    bool change = kinds[k].mail == AUTH_MAIL_CHANGE_NEW || kinds[k].mail == AUTH_MAIL_CHANGE_CURRENT,
         confirms = kinds[k].mail == AUTH_MAIL_SIGN_UP || kinds[k].mail == AUTH_MAIL_INVITE;
    if (!user && kinds[k].finds) return auth_fail_text(c, AUTH_ERROR_user_not_found, "User with this email not found");
    if (!user && kinds[k].mail == AUTH_MAIL_MAGIC_LINK) k = 0;
    if (user && confirms && auth_confirmed(user)) return auth_fail(c, AUTH_ERROR_email_exists);
    to = email;
    if (change) {
        if (!auth_email(c, auth_text(c, "new_email"), &to) || !auth_read_user(c, "email", to, &other)) return false;
        if (other) return auth_fail(c, AUTH_ERROR_email_exists);
        if (kinds[k].mail == AUTH_MAIL_CHANGE_CURRENT && !c->config->both_addresses)
            return auth_fail_text(c, AUTH_ERROR_validation_failed,
                                  "Enable secure email change to generate link for current email");
    }
    if (kinds[k].mail == AUTH_MAIL_SIGN_UP && str_eqc(type, "signup")) {
        str password = auth_text(c, "password");
        if (!password.n && !user) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Signup requires a valid password");
        if (password.n && (!auth_password_ok(c, password) || !hash(c, password, &made))) return false;
    }
    struct auth_new_user u = {.id = user ? json_str(json_get(user, "id")) : auth_new_id(c),
                              .email = email,
                              .password = made,
                              .provider = STR("email"),
                              .invited = kinds[k].mail == AUTH_MAIL_INVITE,
                              .user_data = json_get(&c->body, "data")};
    auth_batch_begin(&b);
    if (!user) auth_insert_user(c, &b, &u);
    else if (confirms) auth_replace_unconfirmed(&b, u.id, made);
    if (change) {
        auth_tree(&b, "update", "users");
        auth_set(&b), json_put_str(&b.w, "email_change", to), json_put_u64(&b.w, "email_change_confirm_status", 0), auth_end(&b);
        auth_where(&b), auth_eq(&b, "id", u.id), auth_end(&b), auth_end(&b);
    }
    auth_send(c, &b, kinds[k].mail, u.id, kinds[k].mail == AUTH_MAIL_CHANGE_NEW ? to : email, false, false, &sent);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", u.id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Database error saving new user", &answers);
    if (ran == AUTH_TAKEN) return auth_fail(c, AUTH_ERROR_email_exists);
    if (ran != AUTH_RAN || !auth_first(&answers, last)) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    return answer_link(c, auth_first(&answers, last), &sent, kinds[k].type);
}
