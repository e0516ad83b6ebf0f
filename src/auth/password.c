/* password: a session by an address and a password. */
#include "auth/auth_int.h"

enum { GUESSES = 20, GUESSES_S = 300, STRANGERS = 100, STRANGERS_S = 300 };

/* ---- by password ----
 *
 * Who guesses: from one network so many tries at an account, whether there is such a one or not; and all networks together, but for those that its user has been
 * signed in from, so many wrong ones. So nobody keeps a user out of where he always is. */

static bool is_known_place(struct auth_call *c, const struct json *user) {
    struct auth_batch b;
    struct json answers;
    if (!user || !c->rq->address.n) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "sessions");
    json_put_raw(&b.w, "select", STR("[\"id\"]"));
    auth_where(&b), auth_eq(&b, "user_id", json_str(json_get(user, "id"))), auth_eq(&b, "ip", c->rq->address), auth_end(&b);
    json_put_u64(&b.w, "limit", 1);
    auth_end(&b);
    return auth_run(c, &b, "Database error querying schema", &answers) == AUTH_RAN && auth_first(&answers, 0);
}

static bool may_guess(struct auth_call *c, str account, const struct json *user) {
    str here = arena_fmt(c->mem, STR_FMT " " STR_FMT, STR_ARG(account), STR_ARG(auth_network(c)));
    str strangers = arena_fmt(c->mem, "strangers " STR_FMT, STR_ARG(account));
    if (!auth_limited(c, "guess", here, GUESSES, GUESSES_S)) return false;
    if (c->host->limit(c->host->arg, strangers, STRANGERS_S * 1'000'000'000ull / STRANGERS, STRANGERS, false) == 0) return true;
    return is_known_place(c, user) || auth_fail(c, AUTH_ERROR_over_request_rate_limit);
}

static void guessed_wrong(struct auth_call *c, str account) {
    str strangers = arena_fmt(c->mem, "strangers " STR_FMT, STR_ARG(account));
    (void)c->host->limit(c->host->arg, strangers, STRANGERS_S * 1'000'000'000ull / STRANGERS, STRANGERS, true);
}

/* Who asks, by address; and the hash of the one behind him in the order of addresses. Hashes from elsewhere take other times than ours: what takes the time
 * of who has no password, or is nobody, is that one, the same each time, and of the kinds that users have. */
static bool read_both(struct auth_call *c, const char *by, str email, const struct json **user, str *decoy) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, by, email), auth_is_false(&b, "is_sso_user"), auth_end(&b);
    json_put_u64(&b.w, "limit", 1);
    auth_end(&b);
    auth_tree(&b, "select", "users");
    json_put_raw(&b.w, "select", STR("[\"encrypted_password\"]"));
    auth_where(&b), auth_op(&b, by, "gt", email), auth_is_false(&b, "is_sso_user"), auth_end(&b);
    json_put_array(&b.w, "order"), json_put_cstr(&b.w, NULL, by), json_put_end(&b.w);
    json_put_u64(&b.w, "limit", 1);
    auth_end(&b);
    if (auth_run(c, &b, "Database error querying schema", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *user = auth_first(&answers, 0);
    *decoy = json_str(json_get(auth_first(&answers, 1), "encrypted_password"));
    return true;
}

/* What was made elsewhere, or was cheaper to make, is made anew: by who knows the password. */
static bool renew_hash(struct auth_call *c, str password, str *made) {
    return c->host->hash(c->host->arg, c->mem, password, made) == AUTH_DONE;
}

/* What a password would be refused for today: it lets in all the same, and the client is told. JSON. */
static const char *weakness(struct auth_call *c, str password) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    if (auth_password_ok(c, password)) return "null";
    str reasons = c->reasons, message = c->message;
    c->failed = false, c->reasons = (str){0};
    if (!reasons.n) return "null";
    json_put_object(&w, NULL);
    json_put_str(&w, "message", message);
    json_put_raw(&w, "reasons", str_sub(reasons, 11, reasons.n - 12)); /* {"reasons":[…]} */
    json_put_end(&w);
    char *text = arena_cstr(c->mem, buf_str(&b));
    buf_free(&b);
    return text;
}

static bool begin_session(struct auth_call *c, const struct json *user, str hash, str was, const char *weak) {
    struct auth_batch b;
    struct json answers;
    struct auth_new_session s;
    str id = json_str(json_get(user, "id"));
    auth_batch_begin(&b);
    if (hash.n) {
        auth_tree(&b, "update", "users");
        auth_set(&b), json_put_str(&b.w, "encrypted_password", hash), auth_end(&b);
        auth_where(&b), auth_eq(&b, "id", id), auth_eq(&b, "encrypted_password", was), auth_end(&b), auth_end(&b);
    }
    auth_audit(c, &b, "login", "account", id, json_str(json_get(user, "email")), "email");
    auth_insert_session(c, &b, id, "password", &s);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    if (auth_run(c, &b, "Database error granting user", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    user = auth_first(&answers, last);
    return user ? auth_answer_session(c, user, &s, weak) : auth_fail(c, AUTH_ERROR_invalid_credentials);
}

bool auth_grant_password(struct auth_call *c) {
    const struct json *user = NULL;
    str given = auth_text(c, "email"), phone = auth_text(c, "phone"), password = auth_text(c, "password"), email = {0},
        made = {0}, decoy = {0};
    bool right = false, old = false;
    if (given.n && phone.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "Only an email address or phone number should be provided on login.");
    bool by_phone = !given.n && phone.n;
    if (by_phone && !c->config->phone)
        return auth_fail_status(c, AUTH_ERROR_phone_provider_disabled, 422, "Phone logins are disabled");
    if (!given.n && !phone.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "missing email or phone");
    if (!by_phone && !c->config->email)
        return auth_fail_status(c, AUTH_ERROR_email_provider_disabled, 422, "Email logins are disabled");
    if (!auth_limited(c, "sign_in", auth_network(c), c->config->sign_ins, 300)) return false;
    bool sane = by_phone ? auth_phone(c, phone, &email) : auth_email(c, given, &email);
    if (by_phone) given = phone;
    if (!sane) c->failed = false, email = str_sub(given, 0, 255); /* nobody's, then: as GoTrue says */
    if (sane && !read_both(c, by_phone ? "phone" : "email", email, &user, &decoy)) return false;
    if (!may_guess(c, email, user)) return false;
    str hash = json_str(json_get(user, "encrypted_password"));
    enum auth_done done = c->host->verify(c->host->arg, str_sub(password, 0, 1024), hash.n ? hash : decoy, &right, &old);
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    if (done != AUTH_DONE) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    bool known = user && hash.n && !auth_banned(c, user), valid = known && right && password.n <= 1024;
    if (known && !auth_hook_password(c, json_str(json_get(user, "id")), valid)) {
        if (!valid) guessed_wrong(c, email);
        return false;
    }
    if (!user || !hash.n || !right || password.n > 1024) {
        guessed_wrong(c, email);
        return auth_fail(c, AUTH_ERROR_invalid_credentials);
    }
    if (auth_banned(c, user)) return auth_fail_status(c, AUTH_ERROR_user_banned, 400, "User is banned");
    if (!by_phone && !auth_confirmed(user)) return auth_fail(c, AUTH_ERROR_email_not_confirmed);
    if (by_phone && !auth_phone_confirmed(user)) return auth_fail(c, AUTH_ERROR_phone_not_confirmed);
    if (old && !renew_hash(c, password, &made)) made = (str){0};
    return begin_session(c, user, made, hash, weakness(c, password));
}
