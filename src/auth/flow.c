/* flow: PKCE (RFC 7636): who begins keeps a verifier, and gets a session for the code that the link's answer has. */
#include "auth/auth_int.h"

enum { CODE_S = 300, VERIFIER_MIN = 43, VERIFIER_MAX = 128 };

bool auth_has_challenge(const struct auth_call *c) { return auth_text(c, "code_challenge").n; }

static bool is_verifier(str s) {
    bool ok = s.n >= VERIFIER_MIN && s.n <= VERIFIER_MAX;
    for (size_t i = 0; i < s.n && ok; i++) {
        uint8_t ch = s.p[i];
        ok = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '.' ||
             ch == '_' || ch == '~';
    }
    return ok;
}

bool auth_challenge_ok(struct auth_call *c) {
    str challenge = auth_text(c, "code_challenge"), method = auth_text(c, "code_challenge_method");
    if (!challenge.n && !method.n) return true;
    if (!challenge.n || !method.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "PKCE flow requires code_challenge_method and code_challenge");
    if (!str_eq_nocase(method, STR("s256")) && !str_eq_nocase(method, STR("plain")))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "unsupported code challenge method: use plain or s256");
    return is_verifier(challenge) ||
           auth_fail_text(c, AUTH_ERROR_validation_failed, "code challenge has to be between %d and %d characters", VERIFIER_MIN,
                          VERIFIER_MAX);
}

void auth_insert_flow(struct auth_call *c, struct auth_batch *b, str user, const char *method) {
    struct json_writer *w = &b->w;
    if (!auth_has_challenge(c)) return;
    auth_tree(b, "insert", "flow_state");
    auth_row(b);
    json_put_str(w, "id", auth_new_id(c));
    json_put_str(w, "user_id", user);
    json_put_str(w, "auth_code", auth_new_id(c));
    json_put_cstr(w, "code_challenge_method",
                  str_eq_nocase(auth_text(c, "code_challenge_method"), STR("plain")) ? "plain" : "s256");
    json_put_str(w, "code_challenge", auth_text(c, "code_challenge"));
    json_put_cstr(w, "provider_type", "email");
    json_put_cstr(w, "authentication_method", method);
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_row_end(b);
    auth_end(b);
}

bool auth_verifier_is(struct auth_call *c, str verifier, const struct json *flow) {
    str challenge = json_str(json_get(flow, "code_challenge")), said = verifier;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    if (str_eqc(json_str(json_get(flow, "code_challenge_method")), "s256")) {
        crypto_sha256(verifier, digest);
        said = auth_base64url(c->mem, (str){digest, sizeof digest});
    }
    return said.n == challenge.n && crypto_equal(said.p, challenge.p, said.n);
}

/* What the provider gave, for its own interfaces. */
static bool unseal_tokens(struct auth_call *c, const struct json *flow) {
    str id = json_str(json_get(flow, "id")), access = json_str(json_get(flow, "provider_access_token")),
        refresh = json_str(json_get(flow, "provider_refresh_token"));
    return (!access.n || auth_unseal(c, "flow_state.provider_access_token", id, access, &c->provider_token)) &&
           (!refresh.n || auth_unseal(c, "flow_state.provider_refresh_token", id, refresh, &c->provider_refresh_token));
}

bool auth_grant_pkce(struct auth_call *c) {
    str code = auth_text(c, "auth_code"), verifier = auth_text(c, "code_verifier");
    struct auth_batch b;
    struct json answers;
    struct auth_new_session s;
    if (!auth_limited(c, "verify", auth_network(c), c->config->verifies, 300)) return false;
    if (!code.n || !verifier.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "invalid request: both auth code and code verifier should be non-empty");
    auth_batch_begin(&b);
    auth_tree(&b, "select", "flow_state");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_where(&b), auth_eq(&b, "auth_code", code), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Database error finding flow state", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *flow = auth_first(&answers, 0);
    int64_t issued = auth_time_of(json_get(flow, "auth_code_issued_at"));
    str user = json_str(json_get(flow, "user_id")), id = json_str(json_get(flow, "id"));
    if (!flow || !user.n || issued == INT64_MIN) return auth_fail(c, AUTH_ERROR_flow_state_not_found);
    if (c->host->now_us - issued > (int64_t)CODE_S * 1'000'000) return auth_fail(c, AUTH_ERROR_flow_state_expired);
    if (!auth_verifier_is(c, verifier, flow)) return auth_fail(c, AUTH_ERROR_bad_code_verifier);
    if (!unseal_tokens(c, flow)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "flow_state");
    auth_where(&b), auth_eq(&b, "id", id), auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    auth_audit(c, &b, "login", "account", user, STR(""), json_cstr(json_get(flow, "provider_type")));
    auth_insert_session(c, &b, user, (const char *)json_str(json_get(flow, "authentication_method")).p, &s);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", user), auth_end(&b), auth_end(&b);
    uint32_t last = b.n - 1;
    enum auth_ran ran = auth_run(c, &b, "Database error granting user", &answers);
    if (ran == AUTH_MOVED) return auth_fail(c, AUTH_ERROR_flow_state_not_found);
    if (ran != AUTH_RAN || !auth_first(&answers, last)) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    return auth_answer_session(c, auth_first(&answers, last), &s, NULL);
}
