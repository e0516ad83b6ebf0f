/* factor: second factors, and the level of a session that one of them raises.
 *
 *   enrol ──> unverified ──challenge──> a row of mfa_challenges, of the address that asks ──verify──> verified, and the session is aal2
 *                                                                                          └─> with the first one: recovery codes, told this once
 *
 * 1. A code holds once: of TOTP each step of a factor is a row (orlo_totp_uses), whose key refuses the second; of a recovery code, its row has to be unused still.
 * 2. What a secret is, the row has sealed, about the row (auth_host.seal); one that a GoTrue left open is sealed when it is used.
 * 3. Who guesses knows the password already. From one network so many tries at a factor; from all together, but for those where its user was at aal2 before, so many
 *    wrong ones: so nobody keeps a user out of where he always is. Elsewhere a recovery code or a passkey lets him in: those are not guessed, and count nowhere but by network.
 */
#include "auth/auth_int.h"
#include <arpa/inet.h>

enum {
    HERE = 10,
    HERE_S = 300,
    STRANGERS = 10,
    STRANGERS_S = 3600,
    ISSUER_MAX = 128,
    NAME_MAX_BYTES = 255,
    STALE_US = 300'000'000,
    TRIES = 3,
    RECOVERY = 10,
    RECOVERY_BYTES = 10 /* 80 bits: nobody finds what such a hash is of */
};

static const struct {
    const char *type, *amr, *no_enrol, *no_verify;
    enum auth_error enrol, verify;
} kinds[AUTH_FACTORS] = {
    [AUTH_FACTOR_TOTP] = {"totp", "totp", "MFA enroll is disabled for TOTP", "MFA verification is disabled for TOTP",
                          AUTH_ERROR_mfa_totp_enroll_not_enabled, AUTH_ERROR_mfa_totp_verify_not_enabled},
    [AUTH_FACTOR_PHONE] = {"phone", "mfa/phone", "MFA enroll is disabled for Phone", "MFA verification is disabled for Phone",
                           AUTH_ERROR_mfa_phone_enroll_not_enabled, AUTH_ERROR_mfa_phone_verify_not_enabled},
    [AUTH_FACTOR_WEBAUTHN] = {"webauthn", "mfa/webauthn", "MFA enroll is disabled for WebAuthn",
                              "MFA verification is disabled for WebAuthn", AUTH_ERROR_mfa_webauthn_enroll_not_enabled,
                              AUTH_ERROR_mfa_webauthn_verify_not_enabled},
};
static const char *const recovery_amr = "recovery_code";

static bool kind_of(str type, enum auth_factor *k) {
    for (*k = 0; *k < AUTH_FACTORS; ++*k)
        if (str_eqc(type, kinds[*k].type)) return true;
    return false;
}

static bool may_enrol(const struct auth_call *c, enum auth_factor k) {
    const bool on[] = {c->config->totp_enrol, c->config->factor_phone_enrol, c->config->factor_webauthn_enrol};
    return on[k];
}
static bool may_verify(const struct auth_call *c, enum auth_factor k) {
    const bool on[] = {c->config->totp, c->config->factor_phone, c->config->factor_webauthn};
    return on[k];
}

/* ---- levels ---- */

static bool is_verified(const struct json *factor) { return str_eqc(json_str(json_get(factor, "status")), "verified"); }

bool auth_has_factor(const struct json *user) {
    JSON_EACH(f, json_get(user, "mfa_factors"))
    if (is_verified(f)) return true;
    return false;
}

bool auth_is_aal2(const struct auth_call *c) { return c->session && str_eqc(json_str(json_get(c->session, "aal")), "aal2"); }

static bool load_owner(struct auth_call *c) {
    if (!c->session)
        return auth_fail_text(c, AUTH_ERROR_unexpected_failure,
                              "A valid session and a registered user are required to enroll a factor");
    if (json_bool(json_get(&c->claims, "is_anonymous")) || json_bool(json_get(c->user, "is_anonymous")))
        return auth_fail_status(c, AUTH_ERROR_no_authorization, 403, "Anonymous user not allowed to perform these actions");
    return true;
}

/* One that was begun before there was a verified one may be of who has the password alone: it goes on only as another one is begun (check_enrolment). */
static bool may_go_on(struct auth_call *c, const struct json *factor) {
    return is_verified(factor) || !auth_has_factor(c->user) || auth_is_aal2(c) ||
           auth_fail_text(c, AUTH_ERROR_insufficient_aal, "AAL2 required to verify a new factor");
}

static bool find_factor(struct auth_call *c, const struct json *user, str id, const struct json **factor) {
    if (!auth_is_id(id)) return auth_fail_status(c, AUTH_ERROR_validation_failed, 404, "factor_id must be an UUID");
    JSON_EACH(f, json_get(user, "mfa_factors"))
    if (str_eq_nocase(json_str(json_get(f, "id")), id)) {
        *factor = f;
        return true;
    }
    return auth_fail(c, AUTH_ERROR_mfa_factor_not_found);
}

/* ---- secrets ---- */

bool auth_seal(struct auth_call *c, const char *column, str id, str plain, str *sealed) {
    str about = arena_fmt(c->mem, "%s:" STR_FMT, column, STR_ARG(id));
    enum auth_done done = c->host->seal(c->host->arg, c->mem, about, plain, sealed);
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    return done == AUTH_DONE || auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Database error sealing a secret");
}

bool auth_unseal(struct auth_call *c, const char *column, str id, str sealed, str *plain) {
    str about = arena_fmt(c->mem, "%s:" STR_FMT, column, STR_ARG(id));
    enum auth_done done = c->host->unseal(c->host->arg, c->mem, about, sealed, plain);
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    if (done == AUTH_DONE) return true;
    struct pg_error why = {.state = "XX000", .message = "it was sealed by another node's key, or belongs to another row"};
    c->host->failed(c->host->arg, column, &why);
    return auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Database error verifying MFA TOTP secret");
}

/* ---- enrolment ---- */

static bool name_ok(struct auth_call *c, str name) {
    if (name.n <= NAME_MAX_BYTES) return true;
    return auth_fail_text(c, AUTH_ERROR_validation_failed, "friendly_name has at most %d bytes", NAME_MAX_BYTES);
}

/* One that nobody went on with is none: it goes with the next. */
static bool is_stale(const struct auth_call *c, const struct json *factor) {
    return !is_verified(factor) && auth_time_of(json_get(factor, "last_challenged_at")) == INT64_MIN &&
           auth_time_of(json_get(factor, "created_at")) < c->host->now_us - STALE_US;
}

static bool check_enrolment(struct auth_call *c, str name, str without) {
    uint32_t all = 0, verified = 0;
    JSON_EACH(f, json_get(c->user, "mfa_factors")) {
        if (is_stale(c, f) || str_eq(json_str(json_get(f, "id")), without)) continue;
        if (str_eq(json_str(json_get(f, "friendly_name")), name))
            return auth_fail_text(c, AUTH_ERROR_mfa_factor_name_conflict,
                                  "A factor with the friendly name \"" STR_FMT "\" for this user already exists", STR_ARG(name));
        all++;
        verified += is_verified(f);
    }
    if (all >= c->config->factors_most) return auth_fail(c, AUTH_ERROR_too_many_enrolled_mfa_factors);
    if (verified && !auth_is_aal2(c))
        return auth_fail_text(c, AUTH_ERROR_insufficient_aal, "AAL2 required to enroll a new factor");
    return true;
}

static void delete_unverified(struct auth_call *c, struct auth_batch *b, str type, bool stale) {
    auth_tree(b, "delete", "mfa_factors");
    auth_where(b);
    auth_eq(b, "user_id", json_str(json_get(c->user, "id")));
    auth_eq(b, "status", STR("unverified"));
    if (type.n) auth_eq(b, "factor_type", type);
    if (stale) {
        auth_is_null(b, "last_challenged_at");
        auth_op(b, "created_at", "lt", auth_time_text(c->mem, c->host->now_us - STALE_US));
    }
    auth_end(b);
    auth_end(b);
}

static void delete_factor(struct auth_batch *b, str id, bool guard) {
    auth_tree(b, "delete", "mfa_factors");
    auth_where(b), auth_eq(b, "id", id), auth_end(b);
    if (guard) auth_one(b);
    auth_end(b);
}

static bool insert_factor(struct auth_call *c, str id, enum auth_factor kind, str name, str secret, str phone, str replaced) {
    struct auth_batch b;
    struct json answers;
    struct json_writer *w = &b.w;
    auth_batch_begin(&b);
    delete_unverified(c, &b, (str){0}, true);
    if (replaced.n) delete_factor(&b, replaced, false);
    auth_tree(&b, "insert", "mfa_factors");
    auth_row(&b);
    json_put_str(w, "id", id);
    json_put_str(w, "user_id", json_str(json_get(c->user, "id")));
    json_put_str(w, "friendly_name", name);
    json_put_cstr(w, "factor_type", kinds[kind].type);
    json_put_cstr(w, "status", "unverified");
    if (secret.n) json_put_str(w, "secret", secret);
    if (phone.n) json_put_str(w, "phone", phone);
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_row_end(&b);
    auth_end(&b);
    auth_audit(c, &b, "factor_in_progress", "factor", json_str(json_get(c->user, "id")), json_str(json_get(c->user, "email")),
               NULL);
    enum auth_ran ran = auth_run(c, &b, "Database error creating factor", &answers);
    if (ran == AUTH_TAKEN)
        return auth_fail_text(c, AUTH_ERROR_mfa_factor_name_conflict,
                              "A factor with the friendly name \"" STR_FMT "\" for this user already exists", STR_ARG(name));
    return ran == AUTH_RAN || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static void begin_enrolled(struct auth_call *c, struct json_writer *w, str id, enum auth_factor kind, str name) {
    *w = json_writer_of(&c->out);
    json_put_object(w, NULL);
    json_put_str(w, "id", id);
    json_put_cstr(w, "type", kinds[kind].type);
    json_put_str(w, "friendly_name", name);
}

static str host_of(str url) {
    size_t at = 0;
    while (at + 3 <= url.n && memcmp(url.p + at, "://", 3)) at++;
    str rest = str_sub(url, at + 3, url.n);
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#') end++;
    return str_sub(rest, 0, end);
}

static bool enrol_totp(struct auth_call *c, str name) {
    uint8_t bytes[20];
    str issuer = auth_text(c, "issuer"), account = json_str(json_get(c->user, "email")), id = auth_new_id(c), sealed, svg;
    struct json_writer w;
    if (!issuer.n) issuer = host_of(auth_site(c));
    if (!account.n) account = json_str(json_get(c->user, "phone"));
    if (!account.n) account = json_str(json_get(c->user, "id"));
    if (issuer.n > ISSUER_MAX) return auth_fail_text(c, AUTH_ERROR_validation_failed, "issuer has at most %d bytes", ISSUER_MAX);
    if (!check_enrolment(c, name, (str){0})) return false;
    crypto_random(bytes, sizeof bytes);
    str secret = auth_base32(c->mem, (str){bytes, sizeof bytes});
    explicit_bzero(bytes, sizeof bytes);
    str uri = auth_totp_uri(c->mem, issuer, account, secret);
    if (!auth_qr_svg(c->mem, uri, &svg)) return auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Error generating QR Code");
    if (!auth_seal(c, "mfa_factors.secret", id, secret, &sealed)) return false;
    if (!insert_factor(c, id, AUTH_FACTOR_TOTP, name, sealed, (str){0}, (str){0})) return false;
    begin_enrolled(c, &w, id, AUTH_FACTOR_TOTP, name);
    json_put_object(&w, "totp");
    json_put_str(&w, "qr_code", svg);
    json_put_str(&w, "secret", secret);
    json_put_str(&w, "uri", uri);
    json_put_end(&w);
    json_put_end(&w);
    return auth_answer(c, 200);
}

static bool enrol_phone(struct auth_call *c, str name) {
    str said = auth_text(c, "phone"), phone, replaced = {0}, id = auth_new_id(c);
    struct json_writer w;
    if (!said.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Phone number required to enroll Phone factor");
    if (!auth_phone(c, said, &phone)) return false;
    JSON_EACH(f, json_get(c->user, "mfa_factors")) {
        if (!str_eqc(json_str(json_get(f, "factor_type")), "phone") || !str_eq(json_str(json_get(f, "phone")), phone)) continue;
        if (is_verified(f))
            return auth_fail_text(c, AUTH_ERROR_mfa_verified_factor_exists,
                                  "A verified phone factor already exists, unenroll the existing factor to continue");
        replaced = json_str(json_get(f, "id"));
    }
    if (!check_enrolment(c, name, replaced)) return false;
    if (!insert_factor(c, id, AUTH_FACTOR_PHONE, name, (str){0}, phone, replaced)) return false;
    begin_enrolled(c, &w, id, AUTH_FACTOR_PHONE, name);
    json_put_str(&w, "phone", said);
    json_put_end(&w);
    return auth_answer(c, 200);
}

static bool enrol_webauthn(struct auth_call *c, str name) {
    str id = auth_new_id(c);
    struct json_writer w;
    if (!check_enrolment(c, name, (str){0})) return false;
    if (!insert_factor(c, id, AUTH_FACTOR_WEBAUTHN, name, (str){0}, (str){0}, (str){0})) return false;
    begin_enrolled(c, &w, id, AUTH_FACTOR_WEBAUTHN, name);
    json_put_end(&w);
    return auth_answer(c, 200);
}

bool auth_do_factor_enrol(struct auth_call *c) {
    enum auth_factor kind;
    str name = auth_text(c, "friendly_name");
    if (!load_owner(c)) return false;
    if (!kind_of(auth_text(c, "factor_type"), &kind))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "factor_type needs to be totp, phone, or webauthn");
    if (!may_enrol(c, kind)) return auth_fail_text(c, kinds[kind].enrol, "%s", kinds[kind].no_enrol);
    if (!name_ok(c, name)) return false;
    if (!auth_limited(c, "factor", auth_network(c), c->config->factor_tries, 60)) return false;
    if (kind == AUTH_FACTOR_TOTP) return enrol_totp(c, name);
    return kind == AUTH_FACTOR_PHONE ? enrol_phone(c, name) : enrol_webauthn(c, name);
}

/* ---- challenges ---- */

static str own_address(const struct auth_call *c) {
    return c->rq->address.n ? c->rq->address : STR("127.0.0.1") /* a socket of this machine's */;
}

void auth_insert_challenge(struct auth_call *c, struct auth_batch *b, str id, const struct json *factor, str code, str data) {
    str factor_id = json_str(json_get(factor, "id"));
    auth_tree(b, "insert", "mfa_challenges");
    auth_row(b);
    json_put_str(&b->w, "id", id);
    json_put_str(&b->w, "factor_id", factor_id);
    json_put_str(&b->w, "created_at", c->now);
    json_put_str(&b->w, "ip_address", own_address(c));
    if (code.n) json_put_str(&b->w, "otp_code", code);
    if (data.n) json_put_raw(&b->w, "web_authn_session_data", data);
    auth_row_end(b);
    auth_end(b);
    auth_tree(b, "delete", "mfa_challenges"); /* those that nobody can answer any more */
    auth_where(b);
    auth_eq(b, "factor_id", factor_id);
    auth_op(b, "created_at", "lt", auth_time_text(c->mem, c->host->now_us - 24 * 3600 * 1'000'000ll));
    auth_end(b);
    auth_end(b);
    auth_tree(b, "update", "mfa_factors");
    auth_set(b), json_put_str(&b->w, "last_challenged_at", c->now), auth_end(b);
    auth_where(b), auth_eq(b, "id", factor_id), auth_end(b);
    auth_one(b);
    auth_end(b);
    auth_audit(c, b, "challenge_created", "factor", json_str(json_get(c->user, "id")), json_str(json_get(c->user, "email")),
               NULL);
}

bool auth_run_challenge(struct auth_call *c, struct auth_batch *b) {
    struct json answers;
    switch (auth_run(c, b, "Database error creating challenge", &answers)) {
    case AUTH_RAN: return true;
    case AUTH_MOVED: return auth_fail(c, AUTH_ERROR_mfa_factor_not_found);
    case AUTH_TAKEN: return auth_fail(c, AUTH_ERROR_later); /* another one in the same microsecond */
    case AUTH_NOT_RUN: break;
    }
    return auth_fail(c, AUTH_ERROR_unexpected_failure);
}

static bool answer_challenge(struct auth_call *c, const struct json *factor, str id) {
    struct json_writer w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_str(&w, "id", id);
    json_put_str(&w, "type", json_str(json_get(factor, "factor_type")));
    json_put_i64(&w, "expires_at", c->host->now_us / 1'000'000 + c->config->challenge_s);
    json_put_end(&w);
    return auth_answer(c, 200);
}

static bool challenge_totp(struct auth_call *c, const struct json *factor, str id) {
    struct auth_batch b;
    auth_batch_begin(&b);
    auth_insert_challenge(c, &b, id, factor, (str){0}, (str){0});
    return auth_run_challenge(c, &b) && answer_challenge(c, factor, id);
}

static str sms_code(struct auth_call *c, str phone) {
    uint8_t digits[10], byte;
    str test = auth_test_code(c, phone);
    if (test.n) return test;
    for (uint32_t i = 0; i < c->config->factor_digits;) {
        crypto_random(&byte, 1);
        if (byte < 250) digits[i++] = (uint8_t)('0' + byte % 10);
    }
    return arena_str(c->mem, (str){digits, c->config->factor_digits});
}

static bool challenge_phone(struct auth_call *c, const struct json *factor, str id) {
    struct auth_batch b;
    str phone = json_str(json_get(factor, "phone")), channel, sealed;
    int64_t last = auth_time_of(json_get(factor, "last_challenged_at")), each = c->config->factor_sms_every_s * 1'000'000ll;
    if (!auth_channel_ok(c, &channel)) return false;
    if (last != INT64_MIN && c->host->now_us - last < each)
        return auth_fail_text(c, AUTH_ERROR_over_sms_send_rate_limit,
                              "For security purposes, you can only request this after %lld seconds.",
                              (long long)((last + each - c->host->now_us + 999'999) / 1'000'000));
    if (!auth_may_sms(c, phone)) return false;
    str code = sms_code(c, phone);
    if (!auth_seal(c, "mfa_challenges.otp_code", id, code, &sealed)) return false;
    auth_batch_begin(&b);
    auth_insert_challenge(c, &b, id, factor, sealed, (str){0});
    if (!auth_test_code(c, phone).n) (void)auth_put_sms(c, &b, "mfa", json_str(json_get(c->user, "id")), phone, code, channel);
    if (!auth_run_challenge(c, &b)) return false;
    auth_told_sms(c, "mfa", phone, code);
    return answer_challenge(c, factor, id);
}

bool auth_do_factor_challenge(struct auth_call *c) {
    const struct json *factor;
    enum auth_factor kind;
    if (!load_owner(c) || !find_factor(c, c->user, c->id, &factor)) return false;
    if (!auth_limited(c, "factor", auth_network(c), c->config->factor_tries, 60)) return false;
    if (!kind_of(json_str(json_get(factor, "factor_type")), &kind)) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    if (!may_verify(c, kind)) return auth_fail_text(c, kinds[kind].verify, "%s", kinds[kind].no_verify);
    if (!may_go_on(c, factor)) return false;
    str id = auth_new_id(c);
    if (kind == AUTH_FACTOR_WEBAUTHN) return auth_challenge_webauthn(c, factor, id);
    if (kind == AUTH_FACTOR_PHONE) return challenge_phone(c, factor, id);
    return challenge_totp(c, factor, id);
}

static bool same_address(struct auth_call *c, str a, str b) {
    uint8_t x[16] = {0}, y[16] = {0};
    int family = str_find(a, ':') < a.n ? AF_INET6 : AF_INET;
    a = str_sub(a, 0, str_find(a, '/')), b = str_sub(b, 0, str_find(b, '/')); /* PostgreSQL's inet may say a mask */
    if (str_eq(a, b)) return true;
    return inet_pton(family, arena_cstr(c->mem, a), x) == 1 && inet_pton(family, arena_cstr(c->mem, b), y) == 1 &&
           !memcmp(x, y, sizeof x);
}

bool auth_load_challenge(struct auth_call *c, const struct json *factor, const struct json **challenge) {
    struct auth_batch b;
    struct json answers;
    str id = auth_text(c, "challenge_id");
    if (id.n && !auth_is_id(id))
        return auth_fail_text(c, AUTH_ERROR_bad_json, "Could not parse request body as JSON: challenge_id is no UUID");
    if (!id.n) id = STR("00000000-0000-0000-0000-000000000000");
    auth_batch_begin(&b);
    auth_tree(&b, "select", "mfa_challenges");
    auth_where(&b), auth_eq(&b, "id", id), auth_eq(&b, "factor_id", json_str(json_get(factor, "id"))), auth_end(&b);
    auth_end(&b);
    if (auth_run(c, &b, "Database error finding Challenge", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *challenge = auth_first(&answers, 0);
    if (!*challenge)
        return auth_fail_status(c, AUTH_ERROR_mfa_factor_not_found, 422, "MFA factor with the provided challenge ID not found");
    if (auth_time_of(json_get(*challenge, "verified_at")) != INT64_MIN ||
        !same_address(c, json_str(json_get(*challenge, "ip_address")), own_address(c)))
        return auth_fail(c, AUTH_ERROR_mfa_ip_address_mismatch);
    int64_t made = auth_time_of(json_get(*challenge, "created_at"));
    if (c->host->now_us > made + (int64_t)c->config->challenge_s * 1'000'000)
        return auth_fail_text(
            c, AUTH_ERROR_mfa_challenge_expired,
            "MFA challenge " STR_FMT " has expired, verify against another challenge or create a new challenge.", STR_ARG(id));
    return true;
}

/* ---- who guesses ---- */

static bool is_known_place(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    if (!c->rq->address.n) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "sessions");
    json_put_raw(&b.w, "select", STR("[\"id\"]"));
    auth_where(&b);
    auth_eq(&b, "user_id", json_str(json_get(c->user, "id")));
    auth_eq(&b, "ip", c->rq->address);
    auth_eq(&b, "aal", STR("aal2"));
    auth_end(&b);
    json_put_u64(&b.w, "limit", 1);
    auth_end(&b);
    return auth_run(c, &b, "Database error querying schema", &answers) == AUTH_RAN && auth_first(&answers, 0);
}

static const uint64_t strangers_each_ns = STRANGERS_S * 1'000'000'000ull / STRANGERS;

static bool may_guess(struct auth_call *c, str factor) {
    str here = arena_fmt(c->mem, STR_FMT " " STR_FMT, STR_ARG(factor), STR_ARG(auth_network(c)));
    str all = arena_fmt(c->mem, "factor-strangers " STR_FMT, STR_ARG(factor));
    if (!auth_limited(c, "factor-guess", here, HERE, HERE_S)) return false;
    if (c->host->limit(c->host->arg, all, strangers_each_ns, STRANGERS, false) == 0) return true;
    return is_known_place(c) || auth_fail(c, AUTH_ERROR_over_request_rate_limit);
}

/* Once it is compared, without a pause between: of many at once that all were let in above, no more than so many are told how it went. */
static bool guessed(struct auth_call *c, str factor, bool right) {
    str all = arena_fmt(c->mem, "factor-strangers " STR_FMT, STR_ARG(factor));
    return c->host->limit(c->host->arg, all, strangers_each_ns, STRANGERS, !right) == 0 || is_known_place(c) ||
           auth_fail(c, AUTH_ERROR_over_request_rate_limit);
}

/* ---- recovery codes ---- */

static str recovery_hash(struct auth_call *c, str user, str code) {
    uint8_t hash[CRYPTO_SHA256_BYTES];
    struct buf b = {0};
    buf_puts(&b, user);
    buf_putc(&b, ' ');
    for (size_t i = 0; i < code.n && b.n < 128; i++) {
        uint8_t d = code.p[i];
        if (d != '-' && d != ' ') buf_putc(&b, d >= 'a' && d <= 'z' ? d - 32 : d);
    }
    crypto_sha256(buf_str(&b), hash);
    explicit_bzero(b.p, b.n);
    buf_free(&b);
    return auth_hex(c->mem, hash, sizeof hash);
}

/* Those that there were hold no more. codes: as he writes them down. */
static void replace_recovery_codes(struct auth_call *c, struct auth_batch *b, str codes[static RECOVERY]) {
    str user = json_str(json_get(c->user, "id"));
    auth_tree(b, "delete", "orlo_recovery_codes");
    auth_where(b), auth_eq(b, "user_id", user), auth_end(b);
    auth_end(b);
    for (int i = 0; i < RECOVERY; i++) {
        uint8_t bytes[RECOVERY_BYTES];
        crypto_random(bytes, sizeof bytes);
        str text = auth_base32(c->mem, (str){bytes, sizeof bytes});
        explicit_bzero(bytes, sizeof bytes);
        codes[i] = arena_fmt(c->mem, "%.4s-%.4s-%.4s-%.4s", (const char *)text.p, (const char *)text.p + 4,
                             (const char *)text.p + 8, (const char *)text.p + 12);
        auth_tree(b, "insert", "orlo_recovery_codes");
        auth_row(b);
        json_put_str(&b->w, "id", auth_new_id(c));
        json_put_str(&b->w, "user_id", user);
        json_put_str(&b->w, "code_hash", recovery_hash(c, user, codes[i]));
        json_put_str(&b->w, "created_at", c->now);
        auth_row_end(b);
        auth_end(b);
    }
}

static str codes_json(struct auth_call *c, const str codes[static RECOVERY]) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_array(&w, NULL);
    for (int i = 0; i < RECOVERY; i++) json_put_str(&w, NULL, codes[i]);
    json_put_end(&w);
    str text = arena_str(c->mem, buf_str(&b));
    explicit_bzero(b.p, b.n);
    buf_free(&b);
    return text;
}

/* ---- a session is raised ---- */

static const struct json *claim_of(const struct auth_call *c, const char *method) {
    JSON_EACH(a, json_get(c->session, "mfa_amr_claims"))
    if (str_eqc(json_str(json_get(a, "authentication_method")), method)) return a;
    return NULL;
}

static void put_claim(struct auth_call *c, struct auth_batch *b, const char *method) {
    const struct json *claim = claim_of(c, method);
    auth_tree(b, claim ? "update" : "insert", "mfa_amr_claims");
    if (claim) {
        auth_set(b), json_put_str(&b->w, "updated_at", c->now), auth_end(b);
        auth_where(b), auth_eq(b, "id", json_str(json_get(claim, "id"))), auth_end(b);
    } else {
        auth_row(b);
        json_put_str(&b->w, "id", auth_new_id(c));
        json_put_str(&b->w, "session_id", json_str(json_get(c->session, "id")));
        json_put_cstr(&b->w, "authentication_method", method);
        json_put_str(&b->w, "created_at", c->now);
        json_put_str(&b->w, "updated_at", c->now);
        auth_row_end(b);
    }
    auth_end(b);
}

/* By two, so that the token from before is not the one behind, to which the newest is given whenever it comes. */
static void put_raised(struct auth_call *c, struct auth_batch *b, str factor, const char *method) {
    uint64_t counter = (uint64_t)json_i64(json_get(c->session, "refresh_token_counter"));
    put_claim(c, b, method);
    auth_tree(b, "update", "sessions");
    auth_set(b);
    json_put_u64(&b->w, "refresh_token_counter", counter + 2);
    json_put_cstr(&b->w, "aal", "aal2");
    if (factor.n) json_put_str(&b->w, "factor_id", factor);
    else json_put_null(&b->w, "factor_id");
    json_put_str(&b->w, "updated_at", c->now);
    auth_end(b);
    auth_where(b);
    auth_eq(b, "id", json_str(json_get(c->session, "id")));
    auth_eq(b, "refresh_token_counter", arena_fmt(c->mem, "%llu", (unsigned long long)counter));
    auth_end(b);
    auth_one(b);
    auth_end(b);
}

static void delete_lower_sessions(struct auth_call *c, struct auth_batch *b) {
    auth_tree(b, "delete", "sessions");
    auth_where(b);
    auth_eq(b, "user_id", json_str(json_get(c->user, "id")));
    auth_eq(b, "aal", STR("aal1"));
    auth_end(b);
    auth_end(b);
}

static uint32_t select_raised(struct auth_call *c, struct auth_batch *b) {
    auth_select_session(b);
    auth_where(b), auth_eq(b, "id", json_str(json_get(c->session, "id"))), auth_end(b);
    auth_end(b);
    return b->n - 1;
}

/* b has what is of this factor alone: its challenge and its code are spent. used: what it means that the batch finds one taken. */
bool auth_factor_verified(struct auth_call *c, struct auth_batch *b, const struct json *factor, const char *wrong) {
    struct json answers;
    enum auth_factor kind;
    str id = json_str(json_get(factor, "id")), type = json_str(json_get(factor, "factor_type")), codes[RECOVERY];
    bool first = !auth_has_factor(c->user), fresh = !is_verified(factor), gives = first && fresh && c->config->recovery_codes;
    if (!kind_of(type, &kind)) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_audit(c, b, "verification_attempted", "factor", json_str(json_get(c->user, "id")), json_str(json_get(c->user, "email")),
               NULL);
    if (fresh) {
        auth_tree(b, "update", "mfa_factors");
        auth_set(b), json_put_cstr(&b->w, "status", "verified"), json_put_str(&b->w, "updated_at", c->now), auth_end(b);
        auth_where(b), auth_eq(b, "id", id), auth_eq(b, "status", STR("unverified")), auth_end(b);
        auth_one(b);
        auth_end(b);
    }
    put_raised(c, b, id, kinds[kind].amr);
    delete_lower_sessions(c, b);
    delete_unverified(c, b, type, false);
    if (gives) replace_recovery_codes(c, b, codes);
    if (fresh)
        auth_notify(c, b, APP_TEMPLATE_mfa_factor_enrolled, c->user, json_str(json_get(c->user, "email")),
                    &(struct auth_words){.factor = type});
    uint32_t last = select_raised(c, b);
    enum auth_ran ran = auth_run(c, b, "Database error verifying factor", &answers);
    if (ran == AUTH_MOVED) return auth_fail(c, AUTH_ERROR_conflict);
    if (ran == AUTH_TAKEN) return auth_fail_text(c, AUTH_ERROR_mfa_verification_failed, "%s", wrong);
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    return auth_answer_raised(c, auth_first(&answers, last), gives ? codes_json(c, codes) : (str){0});
}

/* ---- verification ---- */

void auth_spend_challenge(struct auth_call *c, struct auth_batch *b, const struct json *challenge) {
    auth_tree(b, "update", "mfa_challenges");
    auth_set(b), json_put_str(&b->w, "verified_at", c->now), auth_end(b);
    auth_where(b), auth_eq(b, "id", json_str(json_get(challenge, "id"))), auth_is_null(b, "verified_at"), auth_end(b);
    auth_one(b);
    auth_end(b);
}

/* One that a GoTrue left is open. */
static bool open_secret(struct auth_call *c, const struct json *factor, str *secret, bool *was_open) {
    str id = json_str(json_get(factor, "id")), kept = json_str(json_get(factor, "secret"));
    *was_open = kept.n && !str_starts(kept, STR("orlo1.")) && kept.p[0] != '{';
    if (*was_open) *secret = kept;
    return *was_open || auth_unseal(c, "mfa_factors.secret", id, kept, secret);
}

static bool verify_totp(struct auth_call *c, const struct json *factor) {
    static const char wrong[] = "Invalid TOTP code entered";
    const struct json *challenge;
    struct auth_batch b;
    str secret = {0}, id = json_str(json_get(factor, "id")), sealed;
    uint64_t step = 0;
    bool was_open;
    if (!auth_load_challenge(c, factor, &challenge) || !may_guess(c, id) || !open_secret(c, factor, &secret, &was_open))
        return false;
    bool right = auth_totp_is(secret, auth_text(c, "code"), c->host->now_us / 1'000'000, &step);
    if (!guessed(c, id, right)) return false;
    if (!auth_hook_factor(c, json_str(json_get(c->user, "id")), id, STR("totp"), right)) return false;
    if (!right) return auth_fail_text(c, AUTH_ERROR_mfa_verification_failed, "%s", wrong);
    auth_batch_begin(&b);
    auth_spend_challenge(c, &b, challenge);
    auth_tree(&b, "delete", "orlo_totp_uses");
    auth_where(&b);
    auth_eq(&b, "factor_id", id);
    auth_op(&b, "step", "lt", arena_fmt(c->mem, "%llu", (unsigned long long)step - 4));
    auth_end(&b), auth_end(&b);
    auth_tree(&b, "insert", "orlo_totp_uses");
    auth_row(&b);
    json_put_str(&b.w, "factor_id", id);
    json_put_u64(&b.w, "step", step);
    auth_row_end(&b), auth_end(&b);
    if (was_open && auth_seal(c, "mfa_factors.secret", id, secret, &sealed)) {
        auth_tree(&b, "update", "mfa_factors");
        auth_set(&b), json_put_str(&b.w, "secret", sealed), auth_end(&b);
        auth_where(&b), auth_eq(&b, "id", id), auth_end(&b), auth_end(&b);
    }
    return auth_factor_verified(c, &b, factor, wrong);
}

static bool verify_phone(struct auth_call *c, const struct json *factor) {
    static const char wrong[] = "Invalid MFA Phone code entered";
    const struct json *challenge;
    struct auth_batch b;
    str id = json_str(json_get(factor, "id")), code = auth_text(c, "code"), sent;
    if (!auth_load_challenge(c, factor, &challenge) || !may_guess(c, id)) return false;
    if (!auth_unseal(c, "mfa_challenges.otp_code", json_str(json_get(challenge, "id")), json_str(json_get(challenge, "otp_code")),
                     &sent))
        return false;
    bool right = code.n == sent.n && sent.n && crypto_equal(code.p, sent.p, sent.n);
    if (!guessed(c, id, right)) return false;
    if (!auth_hook_factor(c, json_str(json_get(c->user, "id")), id, STR("phone"), right)) return false;
    if (!right) return auth_fail_text(c, AUTH_ERROR_mfa_verification_failed, "%s", wrong);
    auth_batch_begin(&b);
    auth_spend_challenge(c, &b, challenge);
    return auth_factor_verified(c, &b, factor, wrong);
}

static bool verify_once(struct auth_call *c, enum auth_factor *kind) {
    const struct json *factor;
    if (!find_factor(c, c->user, c->id, &factor)) return false;
    if (!kind_of(json_str(json_get(factor, "factor_type")), kind)) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    if (!auth_text(c, "code").n && *kind != AUTH_FACTOR_WEBAUTHN)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Code needs to be non-empty");
    if (!may_verify(c, *kind)) return auth_fail_text(c, kinds[*kind].verify, "%s", kinds[*kind].no_verify);
    if (!may_go_on(c, factor)) return false;
    if (*kind == AUTH_FACTOR_TOTP) return verify_totp(c, factor);
    return *kind == AUTH_FACTOR_PHONE ? verify_phone(c, factor) : auth_verify_webauthn(c, factor);
}

/* It was decided by a session that was refreshed meanwhile, in another tab: nothing was spent, and it is decided anew. */
static bool is_again(struct auth_call *c, int tries) {
    if (!c->failed || c->error != AUTH_ERROR_conflict || tries + 1 >= TRIES) return false;
    c->failed = false;
    return auth_load_caller(c) && load_owner(c);
}

bool auth_do_factor_verify(struct auth_call *c) {
    enum auth_factor kind;
    bool done = false;
    if (!load_owner(c) || !auth_limited(c, "factor", auth_network(c), c->config->factor_tries, 60)) return false;
    for (int i = 0; i < TRIES; i++) {
        done = verify_once(c, &kind);
        if (done || !is_again(c, i)) break;
    }
    return done;
}

/* ---- recovery ---- */

bool auth_do_recovery_codes(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    struct json_writer w;
    str codes[RECOVERY];
    if (!load_owner(c)) return false;
    if (!c->config->recovery_codes)
        return auth_fail_status(c, AUTH_ERROR_validation_failed, 422, "There are no recovery codes here");
    if (!auth_limited(c, "factor", auth_network(c), c->config->factor_tries, 60)) return false;
    if (!auth_has_factor(c->user))
        return auth_fail_status(c, AUTH_ERROR_validation_failed, 422, "Recovery codes are of who has a verified factor");
    if (!auth_is_aal2(c)) return auth_fail_text(c, AUTH_ERROR_insufficient_aal, "AAL2 required to make new recovery codes");
    auth_batch_begin(&b);
    replace_recovery_codes(c, &b, codes);
    auth_audit(c, &b, "recovery_codes_made", "factor", json_str(json_get(c->user, "id")), json_str(json_get(c->user, "email")),
               NULL);
    if (auth_run(c, &b, "Database error making recovery codes", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_raw(&w, "recovery_codes", codes_json(c, codes));
    json_put_end(&w);
    return auth_answer(c, 200);
}

/* Whether it is one of his that holds, before it is taken: so that a session which was refreshed meanwhile is told from a wrong code. */
static bool find_recovery(struct auth_call *c, str hash, bool *found) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "orlo_recovery_codes");
    json_put_raw(&b.w, "select", STR("[\"id\"]"));
    auth_where(&b);
    auth_eq(&b, "user_id", json_str(json_get(c->user, "id")));
    auth_eq(&b, "code_hash", hash);
    auth_is_null(&b, "used_at");
    auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Database error finding a recovery code", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *found = auth_first(&answers, 0);
    return true;
}

static bool recover_once(struct auth_call *c, str code) {
    static const char wrong[] = "Invalid recovery code entered";
    struct auth_batch b;
    struct json answers;
    bool found = false;
    str user = json_str(json_get(c->user, "id")), hash = recovery_hash(c, user, code);
    if (!find_recovery(c, hash, &found)) return false;
    if (!found) return auth_fail_text(c, AUTH_ERROR_mfa_verification_failed, wrong);
    auth_batch_begin(&b);
    auth_tree(&b, "update", "orlo_recovery_codes");
    auth_set(&b), json_put_str(&b.w, "used_at", c->now), auth_end(&b);
    auth_where(&b);
    auth_eq(&b, "user_id", user);
    auth_eq(&b, "code_hash", hash);
    auth_is_null(&b, "used_at");
    auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    auth_audit(c, &b, "recovery_code_used", "factor", user, json_str(json_get(c->user, "email")), NULL);
    put_raised(c, &b, (str){0}, recovery_amr);
    delete_lower_sessions(c, &b);
    uint32_t last = select_raised(c, &b);
    enum auth_ran ran = auth_run(c, &b, "Database error verifying a recovery code", &answers);
    if (ran == AUTH_MOVED) return auth_fail(c, AUTH_ERROR_conflict);
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    return auth_answer_raised(c, auth_first(&answers, last), (str){0});
}

bool auth_do_recovery_verify(struct auth_call *c) {
    str code = auth_text(c, "code");
    bool done = false;
    if (!load_owner(c)) return false;
    if (!code.n || code.n > 64) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Code needs to be non-empty");
    if (!auth_limited(c, "factor", auth_network(c), c->config->factor_tries, 60)) return false;
    if (!c->config->recovery_codes || !auth_has_factor(c->user))
        return auth_fail_text(c, AUTH_ERROR_mfa_verification_failed, "Invalid recovery code entered");
    for (int i = 0; i < TRIES; i++) {
        done = recover_once(c, code);
        if (done || !is_again(c, i)) break;
    }
    return done;
}

/* ---- the end of one ---- */

/* Its sessions go down; with the last one recovery codes go, and what they raised. */
static bool put_unenrolled(struct auth_call *c, struct auth_batch *b, const struct json *user, const struct json *factor) {
    str id = json_str(json_get(factor, "id")), owner = json_str(json_get(user, "id"));
    struct auth_batch read;
    struct json answers;
    enum auth_factor kind = AUTH_FACTOR_TOTP;
    uint32_t others = 0;
    (void)kind_of(json_str(json_get(factor, "factor_type")), &kind);
    JSON_EACH(f, json_get(user, "mfa_factors")) others += f != factor && is_verified(f);
    bool last = is_verified(factor) && !others;
    auth_batch_begin(&read);
    auth_tree(&read, "select", "sessions");
    json_put_raw(&read.w, "select", STR("[\"id\"]"));
    auth_where(&read);
    auth_eq(&read, "user_id", owner);
    if (last) auth_eq(&read, "aal", STR("aal2"));
    else auth_eq(&read, "factor_id", id);
    auth_end(&read), auth_end(&read);
    if (auth_run(c, &read, "Database error finding sessions", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    auth_batch_begin(b);
    delete_factor(b, id, true);
    for (int by_code = 0; by_code <= last; by_code++) {
        auth_tree(b, "delete", "mfa_amr_claims");
        auth_where(b);
        auth_eq(b, "authentication_method", str_c(by_code ? recovery_amr : kinds[kind].amr));
        json_put_object(&b->w, NULL);
        json_put_cstr(&b->w, "column", "session_id");
        json_put_cstr(&b->w, "op", "in");
        json_put_array(&b->w, "values");
        JSON_EACH(row, json_get(json_item(&answers, 0), "rows")) json_put_str(&b->w, NULL, json_str(json_get(row, "id")));
        json_put_end(&b->w);
        json_put_end(&b->w);
        auth_end(b);
        auth_end(b);
    }
    auth_tree(b, "update", "sessions");
    auth_set(b), json_put_cstr(&b->w, "aal", "aal1"), json_put_null(&b->w, "factor_id"), auth_end(b);
    auth_where(b);
    auth_eq(b, "user_id", owner);
    if (!last) auth_eq(b, "factor_id", id);
    auth_end(b);
    auth_end(b);
    if (!last) return true;
    auth_tree(b, "delete", "orlo_recovery_codes");
    auth_where(b), auth_eq(b, "user_id", owner), auth_end(b);
    auth_end(b);
    return true;
}

static bool unenrol(struct auth_call *c, const struct json *user, const struct json *factor, const char *action) {
    struct auth_batch b;
    struct json answers;
    if (!put_unenrolled(c, &b, user, factor)) return false;
    auth_audit(c, &b, action, "factor", json_str(json_get(user, "id")), json_str(json_get(user, "email")), NULL);
    if (user == c->user)
        auth_notify(c, &b, APP_TEMPLATE_mfa_factor_unenrolled, user, json_str(json_get(user, "email")),
                    &(struct auth_words){.factor = json_str(json_get(factor, "factor_type"))});
    enum auth_ran ran = auth_run(c, &b, "Database error deleting factor", &answers);
    if (ran == AUTH_MOVED) return auth_fail(c, AUTH_ERROR_mfa_factor_not_found);
    return ran == AUTH_RAN || auth_fail(c, AUTH_ERROR_unexpected_failure);
}

bool auth_do_factor_unenrol(struct auth_call *c) {
    const struct json *factor;
    struct json_writer w = json_writer_of(&c->out);
    if (!load_owner(c) || !find_factor(c, c->user, c->id, &factor)) return false;
    if (is_verified(factor) && !auth_is_aal2(c))
        return auth_fail_status(c, AUTH_ERROR_insufficient_aal, 422, "AAL2 required to unenroll verified factor");
    if (!unenrol(c, c->user, factor, "factor_unenrolled")) return false;
    json_put_object(&w, NULL);
    json_put_str(&w, "id", json_str(json_get(factor, "id")));
    json_put_end(&w);
    return auth_answer(c, 200);
}

/* ---- the service_role's ---- */

void auth_put_factor(struct json_writer *w, const struct json *f) {
    json_put_object(w, NULL);
    json_put_str(w, "id", json_str(json_get(f, "id")));
    auth_put_time(w, "created_at", json_get(f, "created_at"));
    auth_put_time(w, "updated_at", json_get(f, "updated_at"));
    json_put_str(w, "status", json_str(json_get(f, "status")));
    if (json_str(json_get(f, "friendly_name")).n) json_put_str(w, "friendly_name", json_str(json_get(f, "friendly_name")));
    json_put_str(w, "factor_type", json_str(json_get(f, "factor_type")));
    json_put_str(w, "phone", json_str(json_get(f, "phone")));
    if (auth_time_of(json_get(f, "last_challenged_at")) == INT64_MIN) json_put_null(w, "last_challenged_at");
    else auth_put_time(w, "last_challenged_at", json_get(f, "last_challenged_at"));
    str aaguid = json_str(json_get(f, "web_authn_aaguid"));
    if (aaguid.n) json_put_str(w, "web_authn_aaguid", aaguid);
    json_put_end(w);
}

static bool load_factor_of(struct auth_call *c, const struct json **user, const struct json **factor) {
    if (!auth_is_id(c->id)) return auth_fail_status(c, AUTH_ERROR_validation_failed, 404, "user_id must be an UUID");
    if (!auth_read_user(c, "id", c->id, user)) return false;
    if (!*user) return auth_fail(c, AUTH_ERROR_user_not_found);
    return find_factor(c, *user, c->other, factor);
}

bool auth_do_admin_factor_delete(struct auth_call *c) {
    const struct json *user, *factor;
    struct json_writer w = json_writer_of(&c->out);
    if (!load_factor_of(c, &user, &factor) || !unenrol(c, user, factor, "factor_deleted")) return false;
    auth_put_factor(&w, factor);
    return auth_answer(c, 200);
}

bool auth_do_admin_factor_update(struct auth_call *c) {
    const struct json *user, *factor;
    struct auth_batch b;
    struct json answers;
    struct json_writer w;
    str name = auth_text(c, "friendly_name"), phone = auth_text(c, "phone"), number = {0};
    if (!load_factor_of(c, &user, &factor) || !name_ok(c, name)) return false;
    if (phone.n && str_eqc(json_str(json_get(factor, "factor_type")), "phone") && !auth_phone(c, phone, &number)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "update", "mfa_factors");
    auth_set(&b);
    if (name.n) json_put_str(&b.w, "friendly_name", name);
    if (number.n) json_put_str(&b.w, "phone", number);
    json_put_str(&b.w, "updated_at", c->now);
    auth_end(&b);
    auth_where(&b), auth_eq(&b, "id", c->other), auth_end(&b);
    auth_end(&b);
    auth_audit(c, &b, "factor_updated", "factor", json_str(json_get(user, "id")), json_str(json_get(user, "email")), NULL);
    auth_tree(&b, "select", "mfa_factors");
    auth_where(&b), auth_eq(&b, "id", c->other), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Database error updating factor", &answers);
    if (ran == AUTH_TAKEN)
        return auth_fail_text(c, AUTH_ERROR_mfa_factor_name_conflict,
                              "A factor with the friendly name \"" STR_FMT "\" for this user already exists", STR_ARG(name));
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    factor = auth_first(&answers, last);
    if (!factor) return auth_fail(c, AUTH_ERROR_mfa_factor_not_found);
    w = json_writer_of(&c->out);
    auth_put_factor(&w, factor);
    return auth_answer(c, 200);
}
