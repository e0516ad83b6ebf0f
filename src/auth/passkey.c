/* passkey: credentials of WebAuthn: as passkeys, by which one signs in who says not who he is, and as second factors. What an authenticator answers the room webauthn judges.
 *
 *   options ──> a row of webauthn_challenges (of a factor: mfa_challenges) ──verify──> it is taken out, whatever comes of it; then the answer is held against it
 *
 * 1. A challenge holds once, so long, for what it was made for: a registration of this user's, a sign-in of anybody's.
 * 2. A factor that is verified is answered by its own credential: who is at aal1 makes no new one in its place.
 */
#include "auth/auth_int.h"
#include "webauthn/webauthn.h"

enum { CHALLENGE_BYTES = 32, TIMEOUT_MS = 300'000, NAME_BYTES_MAX = 120, TRANSPORTS = 7 };

static const char *const transports[TRANSPORTS] = {"usb", "nfc", "ble", "internal", "hybrid", "smart-card", "cable"};
static const struct {
    const char *aaguid, *name;
} makers[] = {
#define X(aaguid, name) {aaguid, name},
#include "auth/aaguids.def"
#undef X
};

/* ---- bytes ---- */

/* RFC 4648 §4, as GoTrue's rows have it. */
static str base64(arena *out, str bytes) {
    str url = auth_base64url(out, bytes);
    uint8_t *p = arena_alloc(out, url.n + 4, 1);
    size_t n = url.n;
    for (size_t i = 0; i < n; i++) p[i] = url.p[i] == '-' ? '+' : url.p[i] == '_' ? '/' : url.p[i];
    while (n % 4) p[n++] = '=';
    return (str){p, n};
}

static bool base64_read(arena *out, str text, str *bytes) {
    uint8_t *p = arena_alloc(out, text.n + 1, 1);
    while (text.n && text.p[text.n - 1] == '=') text.n--;
    for (size_t i = 0; i < text.n; i++) p[i] = text.p[i] == '+' ? '-' : text.p[i] == '/' ? '_' : text.p[i];
    return auth_base64url_read(out, (str){p, text.n}, bytes);
}

/* Of a bytea column. */
static str column_of(struct auth_call *c, str bytes) {
    str hex = auth_hex(c->mem, bytes.p, bytes.n);
    return arena_fmt(c->mem, "\\x" STR_FMT, STR_ARG(hex));
}
static bool column_read(struct auth_call *c, const struct json *v, str *bytes) {
    str text = json_str(v);
    if (!str_starts(text, STR("\\x")) || text.n % 2) return false;
    uint8_t *p = arena_alloc(c->mem, text.n / 2 + 1, 1);
    *bytes = (str){p, text.n / 2 - 1};
    return bytes->n && str_to_bytes(str_sub(text, 2, text.n), p, bytes->n);
}

static str id_text(struct auth_call *c, const uint8_t *p) {
    const uint8_t *h = auth_hex(c->mem, p, WEBAUTHN_AAGUID_BYTES).p;
    return arena_fmt(c->mem, "%.8s-%.4s-%.4s-%.4s-%.12s", (const char *)h, (const char *)h + 8, (const char *)h + 12,
                     (const char *)h + 16, (const char *)h + 20);
}

/* ---- who asks, for which pages ---- */

static str origin_of(str url) {
    size_t at = str_find(url, ':') + 3;
    while (at < url.n && url.p[at] != '/' && url.p[at] != '?' && url.p[at] != '#') at++;
    return str_sub(url, 0, at);
}

static struct webauthn_party party_of(struct auth_call *c, str challenge) {
    str *origin = arena_make(c->mem, str), host;
    *origin = origin_of(auth_site(c));
    host = str_sub(*origin, str_find(*origin, ':') + 3, origin->n);
    bool six = host.n && host.p[0] == '[';
    host = six ? host : str_sub(host, 0, str_find(host, ':'));
    const struct app_auth *a = c->config;
    return (struct webauthn_party){.id = a->rp_id.n ? a->rp_id : host,
                                   .origins = a->rp_origins.n ? a->rp_origins.p : origin,
                                   .origins_count = a->rp_origins.n ? a->rp_origins.n : 1,
                                   .verify_user = a->passkeys_verify_user,
                                   .challenge = challenge,
                                   .now_s = c->host->now_us / 1'000'000};
}

static str new_challenge(struct auth_call *c) {
    uint8_t bytes[CHALLENGE_BYTES];
    crypto_random(bytes, sizeof bytes);
    return auth_base64url(c->mem, (str){bytes, sizeof bytes});
}

/* ---- options (§5.4, §5.5), as a browser reads them from JSON ---- */

static const char *verification(const struct auth_call *c) { return c->config->passkeys_verify_user ? "required" : "preferred"; }

static void put_descriptor(struct json_writer *w, str id, const struct json *ways) {
    json_put_object(w, NULL);
    json_put_cstr(w, "type", "public-key");
    json_put_str(w, "id", id);
    if (json_count(ways)) json_put(w, "transports", ways);
    json_put_end(w);
}

static void put_user(struct auth_call *c, struct json_writer *w) {
    str id = json_str(json_get(c->user, "id")), name = json_str(json_get(c->user, "email")),
        shown = json_str(json_get(json_get(c->user, "raw_user_meta_data"), "name"));
    if (!name.n) name = json_str(json_get(c->user, "phone"));
    json_put_object(w, "user");
    json_put_str(w, "name", name);
    json_put_str(w, "displayName", shown.n ? shown : name);
    json_put_str(w, "id", auth_base64url(c->mem, id));
    json_put_end(w);
}

/* Without its object's end: excludeCredentials may follow. */
static void put_creation(struct auth_call *c, struct json_writer *w, const char *key, str challenge) {
    static const int algorithms[] = {CRYPTO_COSE_ES256, CRYPTO_COSE_EDDSA, CRYPTO_COSE_RS256};
    struct webauthn_party party = party_of(c, challenge);
    json_put_object(w, key);
    json_put_object(w, "rp");
    json_put_str(w, "name", c->config->rp_name.n ? c->config->rp_name : party.id);
    json_put_str(w, "id", party.id);
    json_put_end(w);
    put_user(c, w);
    json_put_str(w, "challenge", challenge);
    json_put_array(w, "pubKeyCredParams");
    for (size_t i = 0; i < ARRAY_COUNT(algorithms); i++) {
        json_put_object(w, NULL);
        json_put_cstr(w, "type", "public-key");
        json_put_i64(w, "alg", algorithms[i]);
        json_put_end(w);
    }
    json_put_end(w);
    json_put_u64(w, "timeout", TIMEOUT_MS);
}

static void put_request(struct auth_call *c, struct json_writer *w, const char *key, str challenge) {
    struct webauthn_party party = party_of(c, challenge);
    json_put_object(w, key);
    json_put_str(w, "challenge", challenge);
    json_put_u64(w, "timeout", TIMEOUT_MS);
    json_put_str(w, "rpId", party.id);
}

/* ---- what came ---- */

struct answered {
    str id, client, object, data, signature, user;
    const struct json *ways;
};

static bool bytes_of(struct auth_call *c, const struct json *v, const char *key, size_t most, str *bytes) {
    str text = json_str(json_get(v, key));
    while (text.n && text.p[text.n - 1] == '=') text.n--;
    return text.n && text.n <= most / 3 * 4 + 4 && auth_base64url_read(c->mem, text, bytes);
}

static bool read_answer(struct auth_call *c, const struct json *v, bool creates, struct answered *a) {
    const struct json *r = json_get(v, "response");
    str id;
    *a = (struct answered){.ways = json_get(r, "transports")};
    bool ok = str_eqc(json_str(json_get(v, "type")), "public-key") && bytes_of(c, v, "id", WEBAUTHN_ID_MAX, &a->id) &&
              (!json_get(v, "rawId") || (bytes_of(c, v, "rawId", WEBAUTHN_ID_MAX, &id) && str_eq(id, a->id))) &&
              bytes_of(c, r, "clientDataJSON", WEBAUTHN_CLIENT_DATA_MAX, &a->client);
    if (ok && creates) ok = bytes_of(c, r, "attestationObject", WEBAUTHN_OBJECT_MAX, &a->object);
    else if (ok)
        ok = bytes_of(c, r, "authenticatorData", WEBAUTHN_OBJECT_MAX, &a->data) &&
             bytes_of(c, r, "signature", WEBAUTHN_KEY_MAX, &a->signature);
    if (!bytes_of(c, r, "userHandle", 64, &a->user)) a->user = (str){0};
    return ok;
}

static void put_ways(struct json_writer *w, const char *key, const struct json *ways) {
    json_put_array(w, key);
    for (int i = 0; i < TRANSPORTS; i++) {
        bool has = false;
        JSON_EACH(one, ways) has |= str_eqc(json_str(one), transports[i]);
        if (has) json_put_cstr(w, NULL, transports[i]);
    }
    json_put_end(w);
}

static bool not_verified(struct auth_call *c, const char *why) {
    return auth_fail_text(c, AUTH_ERROR_webauthn_verification_failed, "Credential verification failed: %s", why);
}

/* ---- second factors ---- */

/* {"challenge": …}: what the row of a challenge remembers. */
static str remembered(struct auth_call *c, str challenge) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    json_put_str(&w, "challenge", challenge);
    json_put_str(&w, "rpId", party_of(c, challenge).id);
    json_put_str(&w, "user_id", base64(c->mem, c->user ? json_str(json_get(c->user, "id")) : (str){0}));
    json_put_cstr(&w, "expires", "0001-01-01T00:00:00Z");
    json_put_cstr(&w, "userVerification", verification(c));
    json_put_end(&w);
    str text = arena_str(c->mem, buf_str(&b));
    buf_free(&b);
    return text;
}

struct kept {
    str id;
    struct webauthn_kept key;
};

/* As go-webauthn writes one: a project that moves takes its rows along. */
static bool factor_credential(struct auth_call *c, const struct json *factor, struct kept *k) {
    const struct json *v = json_get(factor, "web_authn_credential"), *eligible = json_get(json_get(v, "flags"), "backupEligible");
    int64_t count = json_i64(json_get(json_get(v, "authenticator"), "signCount"));
    *k = (struct kept){.key = {.count = (uint32_t)count, .backup_eligible = json_bool(eligible), .eligible_known = eligible}};
    return json_is(v, JSON_KIND_OBJECT) && count >= 0 && count <= UINT32_MAX &&
           base64_read(c->mem, json_str(json_get(v, "id")), &k->id) && k->id.n &&
           base64_read(c->mem, json_str(json_get(v, "publicKey")), &k->key.key);
}

static bool is_webauthn(const struct json *factor) {
    return str_eqc(json_str(json_get(factor, "factor_type")), "webauthn") &&
           str_eqc(json_str(json_get(factor, "status")), "verified");
}

bool auth_challenge_webauthn(struct auth_call *c, const struct json *factor, str id) {
    struct auth_batch b;
    struct json_writer w = json_writer_of(&c->out);
    str challenge = new_challenge(c);
    struct kept k;
    bool creates = !is_webauthn(factor);
    if (!creates && !factor_credential(c, factor, &k))
        return auth_fail_text(c, AUTH_ERROR_unexpected_failure, "Found no credentials for user");
    auth_batch_begin(&b);
    auth_insert_challenge(c, &b, id, factor, (str){0}, remembered(c, challenge));
    if (!auth_run_challenge(c, &b)) return false;
    json_put_object(&w, NULL);
    json_put_str(&w, "id", id);
    json_put_cstr(&w, "type", "webauthn");
    json_put_i64(&w, "expires_at", c->host->now_us / 1'000'000 + c->config->challenge_s);
    json_put_object(&w, "webauthn");
    json_put_cstr(&w, "type", creates ? "create" : "request");
    json_put_object(&w, "credential_options");
    if (creates) put_creation(c, &w, "publicKey", challenge);
    else put_request(c, &w, "publicKey", challenge);
    bool lists = false;
    JSON_EACH(f, json_get(c->user, "mfa_factors")) {
        if (!(creates ? is_webauthn(f) : f == factor) || !factor_credential(c, f, &k)) continue;
        if (!lists) json_put_array(&w, creates ? "excludeCredentials" : "allowCredentials");
        put_descriptor(&w, auth_base64url(c->mem, k.id), json_get(json_get(f, "web_authn_credential"), "transport"));
        lists = true;
    }
    if (lists) json_put_end(&w);
    if (creates) json_put_object(&w, "authenticatorSelection");
    if (c->config->passkeys_verify_user) json_put_cstr(&w, "userVerification", "required");
    if (creates) json_put_end(&w);
    json_put_end(&w), json_put_end(&w), json_put_end(&w), json_put_end(&w);
    return auth_answer(c, 200);
}

static void put_flags(struct json_writer *w, struct webauthn_flags f) {
    json_put_object(w, "flags");
    json_put_bool(w, "userPresent", f.present);
    json_put_bool(w, "userVerified", f.verified);
    json_put_bool(w, "backupEligible", f.backup_eligible);
    json_put_bool(w, "backupState", f.backed_up);
    json_put_end(w);
}

static void put_factor_credential(struct auth_call *c, struct json_writer *w, const struct webauthn_credential *made,
                                  const struct json *ways) {
    json_put_object(w, "web_authn_credential");
    json_put_str(w, "id", base64(c->mem, made->id));
    json_put_str(w, "publicKey", base64(c->mem, made->key));
    json_put_cstr(w, "attestationType", made->attestation);
    put_ways(w, "transport", ways);
    put_flags(w, made->flags);
    json_put_object(w, "authenticator");
    json_put_str(w, "AAGUID", base64(c->mem, (str){made->aaguid, WEBAUTHN_AAGUID_BYTES}));
    json_put_u64(w, "signCount", made->count);
    json_put_bool(w, "cloneWarning", false);
    json_put_cstr(w, "attachment", "");
    json_put_end(w);
    json_put_end(w);
    json_put_str(w, "web_authn_aaguid", id_text(c, made->aaguid));
}

/* The same with what was just seen of it. */
static void put_seen(struct json_writer *w, const struct json *was, const struct webauthn_signed *s) {
    static const char *const own[] = {"flags", "authenticator"};
    json_put_object(w, "web_authn_credential");
    for (uint32_t i = 0; i < was->n; i++) {
        const struct json_member *m = &was->members[i];
        if (!str_eqc(m->key, own[0]) && !str_eqc(m->key, own[1])) json_put(w, (const char *)m->key.p, &m->v);
    }
    put_flags(w, s->flags);
    json_put_object(w, "authenticator");
    json_put_str(w, "AAGUID", json_str(json_get(json_get(was, "authenticator"), "AAGUID")));
    json_put_u64(w, "signCount", s->count);
    json_put_bool(w, "cloneWarning", false);
    json_put_cstr(w, "attachment", "");
    json_put_end(w);
    json_put_end(w);
}

bool auth_verify_webauthn(struct auth_call *c, const struct json *factor) {
    const struct json *said = json_get(&c->body, "webauthn"), *challenge, *answer = json_get(said, "credential_response");
    str type = json_str(json_get(said, "type"));
    bool creates = str_eqc(type, "create");
    struct answered a;
    struct webauthn_credential made;
    struct webauthn_signed seen;
    struct auth_batch b;
    struct kept k;
    const char *why = NULL;
    if (!json_is(said, JSON_KIND_OBJECT)) return auth_fail_text(c, AUTH_ERROR_validation_failed, "WebAuthn config required");
    if (!creates && !str_eqc(type, "request"))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "WebAuthn type must be create or request");
    if (!json_is(answer, JSON_KIND_OBJECT))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "credential_response required");
    if (!auth_load_challenge(c, factor, &challenge)) return false;
    if (!read_answer(c, answer, creates, &a))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Invalid credential_response");
    if (creates == is_webauthn(factor))
        return not_verified(c, creates ? "the factor has a credential already" : "the factor has no credential yet");
    struct webauthn_party party = party_of(c, json_str(json_get(json_get(challenge, "web_authn_session_data"), "challenge")));
    if (creates) {
        if (!webauthn_register(c->mem, &party, a.client, a.object, &made, &why)) return not_verified(c, why);
        if (!str_eq(made.id, a.id)) return not_verified(c, "the credential's id is another one");
    } else {
        if (!factor_credential(c, factor, &k) || !str_eq(k.id, a.id)) return not_verified(c, "it is another factor's credential");
        if (!webauthn_sign_in(c->mem, &party, &k.key, a.client, a.data, a.signature, &seen, &why)) return not_verified(c, why);
    }
    auth_batch_begin(&b);
    auth_spend_challenge(c, &b, challenge);
    auth_tree(&b, "update", "mfa_factors");
    auth_set(&b);
    if (creates) put_factor_credential(c, &b.w, &made, a.ways);
    else put_seen(&b.w, json_get(factor, "web_authn_credential"), &seen);
    auth_end(&b);
    auth_where(&b), auth_eq(&b, "id", json_str(json_get(factor, "id"))), auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    return auth_factor_verified(c, &b, factor, "This credential is already registered");
}

/* ---- passkeys ---- */

static bool enabled(struct auth_call *c) { return c->config->passkeys || auth_fail(c, AUTH_ERROR_passkey_disabled); }

static bool may_manage(struct auth_call *c, bool anonymous_too) {
    if (!enabled(c)) return false;
    if (!anonymous_too && (json_bool(json_get(&c->claims, "is_anonymous")) || json_bool(json_get(c->user, "is_anonymous"))))
        return auth_fail_status(c, AUTH_ERROR_no_authorization, 403, "Anonymous user not allowed to perform these actions");
    if (auth_has_factor(c->user) && !auth_is_aal2(c))
        return auth_fail_text(c, AUTH_ERROR_insufficient_aal, "AAL2 session is required to manage passkeys when MFA is enabled");
    return true;
}

static bool load_passkeys(struct auth_call *c, str user, struct json *answers) {
    struct auth_batch b;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "webauthn_credentials");
    auth_where(&b), auth_eq(&b, "user_id", user), auth_end(&b);
    json_put_raw(&b.w, "order", STR("[\"created_at\",\"id\"]"));
    auth_end(&b);
    return auth_run(c, &b, "Database error loading passkeys", answers) == AUTH_RAN || auth_fail(c, AUTH_ERROR_unexpected_failure);
}
static const struct json *rows_of(const struct json *answers) { return json_get(json_item(answers, 0), "rows"); }

static bool insert_challenge(struct auth_call *c, str id, const char *type, str challenge) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "webauthn_challenges");
    auth_where(&b), auth_op(&b, "expires_at", "lt", c->now), auth_end(&b);
    auth_end(&b);
    auth_tree(&b, "insert", "webauthn_challenges");
    auth_row(&b);
    json_put_str(&b.w, "id", id);
    if (c->user) json_put_str(&b.w, "user_id", json_str(json_get(c->user, "id")));
    json_put_cstr(&b.w, "challenge_type", type);
    json_put_raw(&b.w, "session_data", remembered(c, challenge));
    json_put_str(&b.w, "created_at", c->now);
    json_put_str(&b.w, "expires_at",
                 auth_time_text(c->mem, c->host->now_us + (int64_t)c->config->passkey_challenge_s * 1'000'000));
    auth_row_end(&b);
    auth_end(&b);
    return auth_run(c, &b, "Database error storing challenge", &answers) == AUTH_RAN ||
           auth_fail(c, AUTH_ERROR_unexpected_failure);
}

/* Out of its table, and that is kept whatever follows. */
static bool take_challenge(struct auth_call *c, const char *type, str *challenge) {
    struct auth_batch b;
    struct json answers;
    str id = auth_text(c, "challenge_id");
    if (!id.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "challenge_id is required");
    if (!json_is(json_get(&c->body, "credential"), JSON_KIND_OBJECT))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "credential is required");
    if (!auth_is_id(id)) return auth_fail_text(c, AUTH_ERROR_validation_failed, "challenge_id must be a valid UUID");
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "webauthn_challenges");
    auth_where(&b);
    auth_eq(&b, "id", id);
    auth_eq(&b, "challenge_type", str_c(type));
    if (c->user) auth_eq(&b, "user_id", json_str(json_get(c->user, "id")));
    else auth_is_null(&b, "user_id");
    auth_end(&b);
    json_put_raw(&b.w, "select", STR("[\"session_data\",\"expires_at\"]"));
    json_put_bool(&b.w, "single", true);
    b.guarded = true;
    auth_end(&b);
    enum auth_ran ran = auth_run(c, &b, "Database error consuming challenge", &answers);
    if (ran == AUTH_MOVED) return auth_fail(c, AUTH_ERROR_webauthn_challenge_not_found);
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *row = auth_first(&answers, 0);
    if (auth_time_of(json_get(row, "expires_at")) < c->host->now_us) return auth_fail(c, AUTH_ERROR_webauthn_challenge_expired);
    *challenge = json_str(json_get(json_get(row, "session_data"), "challenge"));
    return true;
}

bool auth_do_passkey_options(struct auth_call *c) {
    struct json answers;
    struct json_writer w;
    str challenge = new_challenge(c), id = auth_new_id(c), key;
    if (!may_manage(c, false) || !auth_limited(c, "passkey", auth_network(c), c->config->passkey_asks, 300)) return false;
    if (!load_passkeys(c, json_str(json_get(c->user, "id")), &answers)) return false;
    if (json_count(rows_of(&answers)) >= c->config->passkeys_most) return auth_fail(c, AUTH_ERROR_too_many_passkeys);
    if (!insert_challenge(c, id, "registration", challenge)) return false;
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_str(&w, "challenge_id", id);
    put_creation(c, &w, "options", challenge);
    if (json_count(rows_of(&answers))) {
        json_put_array(&w, "excludeCredentials");
        JSON_EACH(row, rows_of(&answers))
        if (column_read(c, json_get(row, "credential_id"), &key)) put_descriptor(&w, auth_base64url(c->mem, key), NULL);
        json_put_end(&w);
    }
    json_put_object(&w, "authenticatorSelection");
    json_put_cstr(&w, "residentKey", "required");
    json_put_cstr(&w, "userVerification", verification(c));
    json_put_end(&w);
    json_put_cstr(&w, "attestation", "none");
    json_put_end(&w);
    json_put_i64(&w, "expires_at", c->host->now_us / 1'000'000 + c->config->passkey_challenge_s);
    json_put_end(&w);
    return auth_answer(c, 200);
}

static const char *name_of(struct auth_call *c, const uint8_t *aaguid) {
    str id = id_text(c, aaguid);
    for (size_t i = 0; i < ARRAY_COUNT(makers); i++)
        if (str_eqc(id, makers[i].aaguid)) return makers[i].name;
    return "Passkey";
}

static enum auth_ran insert_passkey(struct auth_call *c, str id, const struct webauthn_credential *made,
                                    const struct json *ways) {
    struct auth_batch b;
    struct json answers;
    struct json_writer *w = &b.w;
    str user = json_str(json_get(c->user, "id"));
    auth_batch_begin(&b);
    auth_tree(&b, "insert", "webauthn_credentials");
    auth_row(&b);
    json_put_str(w, "id", id);
    json_put_str(w, "user_id", user);
    json_put_str(w, "credential_id", column_of(c, made->id));
    json_put_str(w, "public_key", column_of(c, made->key));
    json_put_cstr(w, "attestation_type", made->attestation);
    json_put_str(w, "aaguid", id_text(c, made->aaguid));
    json_put_u64(w, "sign_count", made->count);
    put_ways(w, "transports", ways);
    json_put_bool(w, "backup_eligible", made->flags.backup_eligible);
    json_put_bool(w, "backed_up", made->flags.backed_up);
    json_put_cstr(w, "friendly_name", name_of(c, made->aaguid));
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_row_end(&b);
    auth_end(&b);
    auth_audit(c, &b, "passkey_created", "user", user, json_str(json_get(c->user, "email")), NULL);
    return auth_run(c, &b, "Database error creating passkey", &answers);
}

bool auth_do_passkey_register(struct auth_call *c) {
    struct json answers;
    struct json_writer w;
    struct answered a;
    struct webauthn_credential made;
    const char *why = NULL;
    str challenge, id = auth_new_id(c);
    if (!may_manage(c, false) || !auth_limited(c, "passkey", auth_network(c), c->config->passkey_asks, 300)) return false;
    if (!take_challenge(c, "registration", &challenge)) return false;
    if (!read_answer(c, json_get(&c->body, "credential"), true, &a))
        return auth_fail_text(c, AUTH_ERROR_webauthn_verification_failed, "Invalid credential response");
    struct webauthn_party party = party_of(c, challenge);
    if (!webauthn_register(c->mem, &party, a.client, a.object, &made, &why)) return not_verified(c, why);
    if (!str_eq(made.id, a.id)) return not_verified(c, "the credential's id is another one");
    if (!load_passkeys(c, json_str(json_get(c->user, "id")), &answers)) return false;
    if (json_count(rows_of(&answers)) >= c->config->passkeys_most) return auth_fail(c, AUTH_ERROR_too_many_passkeys);
    enum auth_ran ran = insert_passkey(c, id, &made, a.ways);
    if (ran == AUTH_TAKEN) return auth_fail(c, AUTH_ERROR_webauthn_credential_exists);
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_str(&w, "id", id);
    json_put_cstr(&w, "friendly_name", name_of(c, made.aaguid));
    json_put_str(&w, "created_at", c->now);
    json_put_end(&w);
    return auth_answer(c, 200);
}

bool auth_do_passkey_ask(struct auth_call *c) {
    struct json_writer w;
    str challenge = new_challenge(c), id = auth_new_id(c);
    if (!enabled(c) || !auth_limited(c, "passkey-ask", auth_network(c), c->config->passkey_asks, 300)) return false;
    if (!insert_challenge(c, id, "authentication", challenge)) return false;
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_str(&w, "challenge_id", id);
    put_request(c, &w, "options", challenge);
    json_put_cstr(&w, "userVerification", verification(c));
    json_put_end(&w);
    json_put_i64(&w, "expires_at", c->host->now_us / 1'000'000 + c->config->passkey_challenge_s);
    json_put_end(&w);
    return auth_answer(c, 200);
}

/* Whom an answer says that it is of, and that credential of his. NULL: there is none such. */
static bool find_signer(struct auth_call *c, const struct answered *a, const struct json **user, const struct json **key) {
    struct auth_batch b;
    struct json answers;
    *user = *key = NULL;
    if (!auth_is_id(a->user)) return true;
    auth_batch_begin(&b);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", a->user), auth_end(&b), auth_end(&b);
    auth_tree(&b, "select", "webauthn_credentials");
    auth_where(&b), auth_eq(&b, "user_id", a->user), auth_eq(&b, "credential_id", column_of(c, a->id)), auth_end(&b);
    auth_end(&b);
    if (auth_run(c, &b, "Database error loading passkey", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *user = auth_first(&answers, 0);
    *key = auth_first(&answers, 1);
    return true;
}

static bool begin_session(struct auth_call *c, const struct json *user, const struct json *key,
                          const struct webauthn_signed *seen) {
    struct auth_batch b;
    struct json answers;
    struct auth_new_session s;
    str id = json_str(json_get(user, "id"));
    auth_batch_begin(&b);
    auth_tree(&b, "update", "webauthn_credentials");
    auth_set(&b);
    json_put_u64(&b.w, "sign_count", seen->count);
    json_put_bool(&b.w, "backed_up", seen->flags.backed_up);
    json_put_str(&b.w, "last_used_at", c->now);
    json_put_str(&b.w, "updated_at", c->now);
    auth_end(&b);
    auth_where(&b);
    auth_eq(&b, "id", json_str(json_get(key, "id")));
    auth_eq(&b, "sign_count", arena_fmt(c->mem, "%lld", (long long)json_i64(json_get(key, "sign_count"))));
    auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    auth_audit(c, &b, "login", "account", id, json_str(json_get(user, "email")), NULL);
    auth_insert_session(c, &b, id, "passkey", &s);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", id), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Database error granting user", &answers);
    if (ran == AUTH_MOVED) return auth_fail(c, AUTH_ERROR_conflict);
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    user = auth_first(&answers, last);
    return user ? auth_answer_session(c, user, &s, NULL) : auth_fail(c, AUTH_ERROR_unexpected_failure);
}

bool auth_do_passkey_sign_in(struct auth_call *c) {
    const struct json *user, *key;
    struct answered a;
    struct webauthn_signed seen;
    struct webauthn_kept kept = {.eligible_known = true};
    const char *why = NULL;
    str challenge;
    if (!enabled(c) || !auth_limited(c, "sign_in", auth_network(c), c->config->sign_ins, 300)) return false;
    if (!take_challenge(c, "authentication", &challenge)) return false;
    if (!read_answer(c, json_get(&c->body, "credential"), false, &a))
        return auth_fail_text(c, AUTH_ERROR_webauthn_verification_failed, "Invalid credential response");
    if (!find_signer(c, &a, &user, &key)) return false;
    int64_t count = json_i64(json_get(key, "sign_count"));
    if (!user || auth_time_of(json_get(user, "deleted_at")) != INT64_MIN || !key || count < 0 || count > UINT32_MAX ||
        !column_read(c, json_get(key, "public_key"), &kept.key))
        return not_verified(c, "nobody here has it");
    kept.count = (uint32_t)count, kept.backup_eligible = json_bool(json_get(key, "backup_eligible"));
    struct webauthn_party party = party_of(c, challenge);
    if (!webauthn_sign_in(c->mem, &party, &kept, a.client, a.data, a.signature, &seen, &why)) return not_verified(c, why);
    if (json_str(json_get(user, "email")).n && !auth_confirmed(user))
        return auth_fail_status(c, AUTH_ERROR_email_not_confirmed, 403, "Email not confirmed");
    if (json_str(json_get(user, "phone")).n && auth_time_of(json_get(user, "phone_confirmed_at")) == INT64_MIN)
        return auth_fail_status(c, AUTH_ERROR_phone_not_confirmed, 403, "Phone not confirmed");
    if (auth_banned(c, user)) return auth_fail(c, AUTH_ERROR_user_banned);
    return begin_session(c, user, key, &seen);
}

/* ---- lists ---- */

static void put_passkey(struct json_writer *w, const struct json *row) {
    str name = json_str(json_get(row, "friendly_name"));
    json_put_object(w, NULL);
    json_put_str(w, "id", json_str(json_get(row, "id")));
    if (name.n) json_put_str(w, "friendly_name", name);
    auth_put_time(w, "created_at", json_get(row, "created_at"));
    auth_put_time(w, "last_used_at", json_get(row, "last_used_at"));
    json_put_end(w);
}

static bool list(struct auth_call *c, str user) {
    struct json answers;
    struct json_writer w;
    if (!load_passkeys(c, user, &answers)) return false;
    w = json_writer_of(&c->out);
    json_put_array(&w, NULL);
    JSON_EACH(row, rows_of(&answers)) put_passkey(&w, row);
    json_put_end(&w);
    return auth_answer(c, 200);
}

static bool not_found(struct auth_call *c) { return auth_fail_status(c, AUTH_ERROR_validation_failed, 404, "Passkey not found"); }

/* name empty: it goes. */
static bool change(struct auth_call *c, str user, str id, str name) {
    struct auth_batch b;
    struct json answers;
    struct json_writer w;
    if (!auth_is_id(id)) return not_found(c);
    auth_batch_begin(&b);
    auth_tree(&b, name.n ? "update" : "delete", "webauthn_credentials");
    if (name.n) {
        auth_set(&b);
        json_put_str(&b.w, "friendly_name", name);
        json_put_str(&b.w, "updated_at", c->now);
        auth_end(&b);
    }
    auth_where(&b), auth_eq(&b, "id", id), auth_eq(&b, "user_id", user), auth_end(&b);
    json_put_raw(&b.w, "select", STR("[\"id\",\"friendly_name\",\"created_at\",\"last_used_at\"]"));
    json_put_bool(&b.w, "single", true);
    b.guarded = true;
    auth_end(&b);
    auth_audit(c, &b, name.n ? "passkey_updated" : "passkey_deleted", "user", user,
               c->user ? json_str(json_get(c->user, "email")) : (str){0}, NULL);
    enum auth_ran ran = auth_run(c, &b, name.n ? "Database error updating passkey" : "Database error deleting passkey", &answers);
    if (ran == AUTH_MOVED) return not_found(c);
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    if (!name.n) return auth_answer(c, 204);
    w = json_writer_of(&c->out);
    put_passkey(&w, auth_first(&answers, 0));
    return auth_answer(c, 200);
}

bool auth_do_passkey_list(struct auth_call *c) { return enabled(c) && list(c, json_str(json_get(c->user, "id"))); }

bool auth_do_passkey_rename(struct auth_call *c) {
    str name = auth_text(c, "friendly_name");
    if (!enabled(c)) return false;
    if (!auth_is_id(c->id)) return not_found(c);
    if (!name.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "friendly_name is required");
    if (name.n > NAME_BYTES_MAX)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "friendly_name must be 120 characters or less");
    return change(c, json_str(json_get(c->user, "id")), c->id, name);
}

bool auth_do_passkey_delete(struct auth_call *c) {
    return may_manage(c, true) && change(c, json_str(json_get(c->user, "id")), c->id, (str){0});
}

static bool load_owner(struct auth_call *c) {
    const struct json *user;
    if (!auth_is_id(c->id)) return auth_fail_status(c, AUTH_ERROR_validation_failed, 404, "user_id must be an UUID");
    if (!auth_read_user(c, "id", c->id, &user)) return false;
    return user || auth_fail(c, AUTH_ERROR_user_not_found);
}

bool auth_do_admin_passkeys(struct auth_call *c) { return load_owner(c) && list(c, c->id); }
bool auth_do_admin_passkey_delete(struct auth_call *c) { return load_owner(c) && change(c, c->id, c->other, (str){0}); }
