/* session: how one begins, its tokens, how it goes on and ends.
 *
 *   refresh token   base64url of: 0, the session's id (16 bytes), a counter (LEB128), HMAC-SHA-256 of all before (16 bytes), SHA-256 of all before (4)
 *
 * The session's row has the HMAC's key and the counter of the newest one. Of a token that comes, counted from the newest:
 *
 *   0                  it is that one          counter + 1, if it is still so        a new one
 *   1 behind           its answer was lost     nothing is written                    the newest again, whenever
 *   more, soon after   several at once         nothing is written                    the newest again (refresh_reuse_s)
 *   more               somebody has a copy     the session is deleted, and the       refresh_token_already_used
 *                                              request fails all the same
 */
#include "auth/auth_int.h"
#include <stdlib.h>

enum {
    KEY_BYTES = 32,
    MAC_BYTES = 16,
    SUM_BYTES = 4,
    ID_BYTES = 16,
    LEAST_BYTES = 1 + ID_BYTES + 1 + MAC_BYTES + SUM_BYTES,
    TOKEN_BYTES_MAX = 64,
    TRIES = 5
};

/* ---- refresh tokens ---- */

struct refresh {
    uint8_t bytes[TOKEN_BYTES_MAX];
    size_t n;
    str session;
    uint64_t counter;
};

static void id_bytes(str id, uint8_t to[static ID_BYTES]) {
    char digits[2 * ID_BYTES];
    size_t n = 0;
    for (size_t i = 0; i < id.n && n < sizeof digits; i++)
        if (id.p[i] != '-') digits[n++] = (char)id.p[i];
    bool ok = n == sizeof digits && str_to_bytes((str){(const uint8_t *)digits, n}, to, ID_BYTES);
    ENSURE(ok);
}

static str make_refresh(arena *out, str session, uint64_t counter, str key) {
    uint8_t p[TOKEN_BYTES_MAX] = {0}, mac[CRYPTO_SHA256_BYTES];
    size_t n = 1 + ID_BYTES;
    id_bytes(session, p + 1);
    do p[n++] = (uint8_t)((counter & 127) | (counter > 127 ? 128 : 0));
    while (counter >>= 7);
    crypto_hmac_sha256(key, (str){p, n}, mac);
    memcpy(p + n, mac, MAC_BYTES), n += MAC_BYTES;
    crypto_sha256((str){p, n}, mac);
    memcpy(p + n, mac, SUM_BYTES), n += SUM_BYTES;
    return auth_base64url(out, (str){p, n});
}

static bool read_refresh(struct auth_call *c, str text, struct refresh *r) {
    str bytes;
    uint8_t sum[CRYPTO_SHA256_BYTES];
    size_t at = 1 + ID_BYTES;
    if (text.n > 2 * TOKEN_BYTES_MAX || !auth_base64url_read(c->mem, text, &bytes)) return false;
    if (bytes.n < LEAST_BYTES || bytes.n > LEAST_BYTES + 8 || bytes.p[0] != 0) return false;
    memcpy(r->bytes, bytes.p, bytes.n), r->n = bytes.n;
    crypto_sha256((str){r->bytes, r->n - SUM_BYTES}, sum);
    if (!crypto_equal(sum, r->bytes + r->n - SUM_BYTES, SUM_BYTES)) return false;
    r->counter = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (at >= r->n || shift > 56) return false;
        uint8_t byte = r->bytes[at++];
        r->counter |= (uint64_t)(byte & 127) << shift;
        if (!(byte & 128)) break;
    }
    str hex = auth_hex(c->mem, r->bytes + 1, ID_BYTES);
    const uint8_t *h = hex.p;
    r->session = arena_fmt(c->mem, "%.8s-%.4s-%.4s-%.4s-%.12s", (const char *)h, (const char *)h + 8, (const char *)h + 12,
                           (const char *)h + 16, (const char *)h + 20);
    return at + MAC_BYTES + SUM_BYTES == r->n;
}

static bool is_signed(const struct refresh *r, str key) {
    uint8_t mac[CRYPTO_SHA256_BYTES];
    size_t n = r->n - MAC_BYTES - SUM_BYTES;
    crypto_hmac_sha256(key, (str){r->bytes, n}, mac);
    return crypto_equal(mac, r->bytes + n, MAC_BYTES);
}

/* ---- access tokens ---- */

struct granted {
    str session, refresh, aal;
    const struct json *amr; /* rows, the newest first; NULL: method alone, now */
    const char *method;
    uint64_t expires_s;
    str codes; /* of recovery, told once: JSON; empty: none */
};

static void put_amr(struct auth_call *c, struct json_writer *w, const struct granted *g) {
    json_put_array(w, "amr");
    if (!g->amr) {
        json_put_object(w, NULL);
        json_put_cstr(w, "method", g->method);
        json_put_i64(w, "timestamp", c->host->now_us / 1'000'000);
        json_put_end(w);
    }
    JSON_EACH(a, g->amr) {
        json_put_object(w, NULL);
        json_put_str(w, "method", json_str(json_get(a, "authentication_method")));
        json_put_i64(w, "timestamp", auth_time_of(json_get(a, "updated_at")) / 1'000'000);
        json_put_end(w);
    }
    json_put_end(w);
}

/* The app has no token for it. What it refuses it refuses; else one that goes on is as it was, and passes, and a new one is none. */
static bool unsigned_session(struct auth_call *c, const struct granted *g) {
    struct auth_batch b;
    struct json answers;
    if (g->amr && !c->refused) c->status = 503;
    if (g->amr) return false;
    struct auth_call own = *c; /* whose error stays as it is */
    own.failed = false;
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "sessions");
    auth_where(&b), auth_eq(&b, "id", g->session), auth_end(&b), auth_end(&b);
    (void)auth_run(&own, &b, "Error ending session", &answers);
    return false;
}

static bool sign(struct auth_call *c, const struct json *user, struct granted *g, str *token) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    int64_t now = c->host->now_us / 1'000'000;
    g->expires_s = (uint64_t)now + c->config->jwt_s;
    json_put_object(&w, NULL);
    json_put_str(&w, "iss", arena_fmt(c->mem, STR_FMT "/auth/v1", STR_ARG(c->rq->url)));
    json_put_str(&w, "sub", json_str(json_get(user, "id")));
    json_put_str(&w, "aud", json_str(json_get(user, "aud")));
    json_put_u64(&w, "exp", g->expires_s);
    json_put_i64(&w, "iat", now);
    json_put_str(&w, "email", json_str(json_get(user, "email")));
    json_put_str(&w, "phone", json_str(json_get(user, "phone")));
    auth_put_merged(&w, "app_metadata", json_get(user, "raw_app_meta_data"), NULL);
    auth_put_merged(&w, "user_metadata", json_get(user, "raw_user_meta_data"), NULL);
    json_put_str(&w, "role", json_str(json_get(user, "role")));
    json_put_str(&w, "aal", g->aal);
    put_amr(c, &w, g);
    json_put_str(&w, "session_id", g->session);
    json_put_bool(&w, "is_anonymous", json_bool(json_get(user, "is_anonymous")));
    if (c->oauth.client.n) json_put_str(&w, "client_id", c->oauth.client);
    if (c->oauth.scope.n) json_put_str(&w, "scope", c->oauth.scope);
    json_put_end(&w);
    if (!auth_hook_claims(c, json_str(json_get(user, "id")), g->method ? g->method : "token_refresh", &b)) {
        buf_free(&b);
        return unsigned_session(c, g);
    }
    enum auth_done done = c->host->sign(c->host->arg, c->mem, buf_str(&b), token);
    buf_free(&b);
    if (done == AUTH_BUSY) return auth_fail(c, AUTH_ERROR_later);
    return done == AUTH_DONE || auth_fail_text(c, AUTH_ERROR_unexpected_failure, "error generating jwt token");
}

static bool answer(struct auth_call *c, const struct json *user, struct granted *g, const char *weak) {
    struct json_writer w;
    str token;
    if (!sign(c, user, g, &token)) return false;
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_str(&w, "access_token", token);
    json_put_cstr(&w, "token_type", "bearer");
    json_put_u64(&w, "expires_in", c->config->jwt_s);
    if (c->oauth.client.n) { /* whose it is, it asks for itself */
        json_put_str(&w, "refresh_token", g->refresh);
        if (c->oauth.id_token.n) json_put_str(&w, "id_token", c->oauth.id_token);
        json_put_end(&w);
        return auth_answer(c, 200);
    }
    json_put_u64(&w, "expires_at", g->expires_s);
    json_put_str(&w, "refresh_token", g->refresh);
    auth_put_user(&w, "user", user);
    if (weak) json_put_raw(&w, "weak_password", str_c(weak));
    if (c->provider_token.n) json_put_str(&w, "provider_token", c->provider_token);
    if (c->provider_refresh_token.n) json_put_str(&w, "provider_refresh_token", c->provider_refresh_token);
    if (g->codes.n) json_put_raw(&w, "recovery_codes", g->codes);
    json_put_end(&w);
    return auth_answer(c, 200);
}

/* ---- new ones ---- */

void auth_insert_session(struct auth_call *c, struct auth_batch *b, str user, const char *method, struct auth_new_session *s) {
    uint8_t key[KEY_BYTES];
    struct json_writer *w = &b->w;
    crypto_random(key, sizeof key);
    *s = (struct auth_new_session){
        .id = auth_new_id(c), .key = auth_base64url(c->mem, (str){key, sizeof key}), .method = str_c(method)};
    explicit_bzero(key, sizeof key);
    if (c->config->one_session && !c->oauth.client.n) {
        auth_tree(b, "delete", "sessions");
        auth_where(b), auth_eq(b, "user_id", user), auth_end(b), auth_end(b);
    }
    auth_tree(b, "insert", "sessions");
    auth_row(b);
    json_put_str(w, "id", s->id);
    json_put_str(w, "user_id", user);
    json_put_cstr(w, "aal", "aal1");
    if (c->oauth.client.n) json_put_str(w, "oauth_client_id", c->oauth.client), json_put_str(w, "scopes", c->oauth.scope);
    json_put_str(w, "refresh_token_hmac_key", s->key);
    json_put_u64(w, "refresh_token_counter", 0);
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "updated_at", c->now);
    if (c->rq->address.n) json_put_str(w, "ip", c->rq->address);
    json_put_str(w, "user_agent", str_sub(auth_header(c, "user-agent"), 0, 512));
    auth_row_end(b);
    auth_end(b);
    auth_tree(b, "insert", "mfa_amr_claims");
    auth_row(b);
    json_put_str(w, "id", auth_new_id(c));
    json_put_str(w, "session_id", s->id);
    json_put_cstr(w, "authentication_method", method);
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_row_end(b);
    auth_end(b);
    auth_tree(b, "update", "users");
    auth_set(b);
    json_put_str(w, "last_sign_in_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_end(b);
    auth_where(b), auth_eq(b, "id", user), auth_end(b);
    auth_end(b);
}

static struct granted granted_of(struct auth_call *c, const struct auth_new_session *s) {
    str key;
    bool ok = auth_base64url_read(c->mem, s->key, &key);
    ENSURE(ok);
    return (struct granted){.session = s->id,
                            .refresh = make_refresh(c->mem, s->id, 0, key),
                            .aal = STR("aal1"),
                            .method = (const char *)s->method.p};
}

bool auth_answer_session(struct auth_call *c, const struct json *user, const struct auth_new_session *s, const char *weak) {
    struct granted g = granted_of(c, s);
    auth_add_field(c, "sb-auth-refresh-token-counter", STR("0"));
    bool ok = answer(c, user, &g, weak);
    if (ok) auth_sweep_sessions(c);
    return ok;
}

bool auth_session_fragment(struct auth_call *c, const struct json *user, const struct auth_new_session *s, struct buf *to,
                           const char *type) {
    struct granted g = granted_of(c, s);
    str token;
    if (!sign(c, user, &g, &token)) return false;
    auth_add_field(c, "sb-auth-refresh-token-counter", STR("0"));
    buf_puts(to, STR("access_token="));
    auth_put_escaped(to, token);
    buf_printf(to, "&expires_at=%llu&expires_in=%u", (unsigned long long)g.expires_s, c->config->jwt_s);
    if (c->provider_refresh_token.n)
        buf_puts(to, STR("&provider_refresh_token=")), auth_put_escaped(to, c->provider_refresh_token);
    if (c->provider_token.n) buf_puts(to, STR("&provider_token=")), auth_put_escaped(to, c->provider_token);
    buf_puts(to, STR("&refresh_token=")), auth_put_escaped(to, g.refresh);
    buf_puts(to, STR("&sb=&token_type=bearer"));
    if (type) buf_printf(to, "&type=%s", type);
    return true;
}

/* ---- going on ---- */

static int64_t idle_end(const struct auth_call *c, const struct json *session) {
    int64_t used = auth_time_of(json_get(session, "refreshed_at"));
    if (used == INT64_MIN) used = auth_time_of(json_get(session, "created_at"));
    return c->config->idle_s && used != INT64_MIN ? used + (int64_t)c->config->idle_s * 1'000'000 : INT64_MAX;
}

static int64_t boxed_end(const struct auth_call *c, const struct json *session) {
    int64_t begun = auth_time_of(json_get(session, "created_at")), end = auth_time_of(json_get(session, "not_after"));
    if (end == INT64_MIN) end = INT64_MAX;
    return c->config->timebox_s && begun != INT64_MIN ? MIN(end, begun + (int64_t)c->config->timebox_s * 1'000'000) : end;
}

int64_t auth_session_end(const struct auth_call *c, const struct json *session) {
    return MIN(idle_end(c, session), boxed_end(c, session));
}

/* An error is set where it was not used for too long. */
static bool has_ended(struct auth_call *c, const struct json *session) {
    if (c->host->now_us > boxed_end(c, session)) return true;
    if (c->host->now_us > idle_end(c, session))
        (void)auth_fail_text(c, AUTH_ERROR_session_expired, "Invalid Refresh Token: Session Expired (Inactivity)");
    return c->failed;
}

static bool load_session(struct auth_call *c, str id, const struct json **session) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_select_session(&b);
    auth_where(&b), auth_eq(&b, "id", id), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Database error loading session", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *session = auth_first(&answers, 0);
    return true;
}

/* One write: nobody may have counted meanwhile. */
static enum auth_ran count_on(struct auth_call *c, str session, uint64_t counter) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "update", "sessions");
    auth_set(&b);
    json_put_u64(&b.w, "refresh_token_counter", counter + 1);
    json_put_str(&b.w, "refreshed_at", str_sub(c->now, 0, c->now.n - 1));
    json_put_str(&b.w, "updated_at", c->now);
    if (c->rq->address.n) json_put_str(&b.w, "ip", c->rq->address);
    json_put_str(&b.w, "user_agent", str_sub(auth_header(c, "user-agent"), 0, 512));
    auth_end(&b);
    auth_where(&b);
    auth_eq(&b, "id", session);
    auth_eq(&b, "refresh_token_counter", arena_fmt(c->mem, "%llu", (unsigned long long)counter));
    auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    return auth_run(c, &b, "Database error refreshing session", &answers);
}

/* It is over, whatever becomes of the request. */
static bool end_reused(struct auth_call *c, str session) {
    struct auth_batch b;
    struct json answers;
    if (c->config->rotates) {
        auth_batch_begin(&b);
        auth_tree(&b, "delete", "sessions");
        auth_where(&b), auth_eq(&b, "id", session), auth_end(&b), auth_end(&b);
        if (auth_run(c, &b, "Database error ending session", &answers) != AUTH_RAN)
            return auth_fail(c, AUTH_ERROR_unexpected_failure);
        auth_add_field(c, "sb-auth-refresh-token-rotated", STR("true"));
    }
    return auth_fail(c, AUTH_ERROR_refresh_token_already_used);
}

static bool answer_refreshed(struct auth_call *c, const struct json *session, uint64_t counter, str key, bool reused,
                             const char *cause) {
    const struct json *user = json_get(session, "users");
    str id = json_str(json_get(session, "id")), aal = json_str(json_get(session, "aal"));
    struct granted g = {.session = id,
                        .refresh = make_refresh(c->mem, id, counter, key),
                        .aal = aal.n ? aal : STR("aal1"),
                        .amr = json_get(session, "mfa_amr_claims")};
    auth_add_field(c, "sb-auth-refresh-token-counter", arena_fmt(c->mem, "%llu", (unsigned long long)counter));
    if (!reused) auth_add_field(c, "sb-auth-refresh-token-reuse", STR("false"));
    if (cause) auth_add_field(c, "sb-auth-refresh-token-reuse-cause", str_c(cause));
    return answer(c, user, &g, NULL);
}

bool auth_answer_raised(struct auth_call *c, const struct json *session, str codes) {
    str key, id = json_str(json_get(session, "id")), aal = json_str(json_get(session, "aal"));
    const struct json *user = json_get(session, "users");
    if (!json_is(user, JSON_KIND_OBJECT) ||
        !auth_base64url_read(c->mem, json_str(json_get(session, "refresh_token_hmac_key")), &key))
        return auth_fail(c, AUTH_ERROR_session_not_found);
    uint64_t counter = (uint64_t)json_i64(json_get(session, "refresh_token_counter"));
    struct granted g = {.session = id,
                        .refresh = make_refresh(c->mem, id, counter, key),
                        .aal = aal,
                        .amr = json_get(session, "mfa_amr_claims"),
                        .codes = codes};
    str method = json_str(json_get(json_item(g.amr, 0), "authentication_method"));
    if (method.n) g.method = (const char *)method.p; /* the newest: that of the factor */
    return answer(c, user, &g, NULL);
}

/* Decided by what there is now; *again: it was otherwise by the time it was written. */
static bool refresh_once(struct auth_call *c, const struct refresh *r, bool *again) {
    const struct json *session = NULL;
    str key = {0};
    bool answered;
    *again = false;
    if (!load_session(c, r->session, &session)) return false;
    const struct json *user = json_get(session, "users"), *counter = json_get(session, "refresh_token_counter");
    bool known = session && json_is(user, JSON_KIND_OBJECT) && json_is(counter, JSON_KIND_I64) &&
                 auth_base64url_read(c->mem, json_str(json_get(session, "refresh_token_hmac_key")), &key) && is_signed(r, key);
    if (!known) return auth_fail(c, AUTH_ERROR_refresh_token_not_found);
    if (c->to->fields_count + 2 < AUTH_FIELDS_MAX && !c->to->type.p) {
        auth_add_field(c, "sb-auth-user-id", json_str(json_get(user, "id")));
        auth_add_field(c, "sb-auth-session-id", r->session);
    }
    if (!auth_openid_may_refresh(c, session, &answered)) return answered;
    if (auth_banned(c, user)) return auth_fail_status(c, AUTH_ERROR_user_banned, 400, "Invalid Refresh Token: User Banned");
    if (has_ended(c, session)) return auth_fail(c, AUTH_ERROR_session_expired);
    uint64_t newest = (uint64_t)json_i64(counter);
    if (r->counter > newest)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Invalid Refresh Token: Not Issued By This Server");
    if (r->counter == newest) {
        enum auth_ran ran = count_on(c, r->session, newest);
        *again = ran == AUTH_MOVED;
        return ran == AUTH_RAN && answer_refreshed(c, session, newest + 1, key, false, NULL);
    }
    int64_t used = auth_time_of(json_get(session, "refreshed_at"));
    if (used == INT64_MIN) used = auth_time_of(json_get(session, "created_at"));
    bool lost = newest - r->counter == 1, soon = c->host->now_us - used < (int64_t)c->config->reuse_s * 1'000'000;
    if (!lost && !soon) return end_reused(c, r->session);
    return answer_refreshed(c, session, newest, key, true,
                            lost && soon ? "concurrent-refresh,fail-to-save"
                            : lost       ? "fail-to-save"
                                         : "concurrent-refresh");
}

/* ---- tokens of a GoTrue's that was before us: twelve letters, a row each ----
 *
 * Nobody signs in again because his app has moved: the token that was the newest there, or the one before it, gives the session our kind of tokens, counted
 * from 0. It is given again for as long as none of those came: its answer was lost. What is older is as ours are.
 */
static bool load_moved(struct auth_call *c, str token, const struct json **row, const struct json **child) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "refresh_tokens");
    json_put_raw(&b.w, "select", STR("[\"session_id\",\"revoked\",\"updated_at\"]"));
    auth_where(&b), auth_eq(&b, "token", token), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Database error finding refresh token", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *row = auth_first(&answers, 0);
    str session = json_str(json_get(*row, "session_id"));
    if (!session.n) return auth_fail(c, AUTH_ERROR_refresh_token_not_found);
    auth_batch_begin(&b);
    auth_tree(&b, "select", "refresh_tokens");
    json_put_raw(&b.w, "select", STR("[\"revoked\"]"));
    auth_where(&b), auth_eq(&b, "session_id", session), auth_eq(&b, "parent", token), auth_end(&b);
    json_put_raw(&b.w, "order", STR("[{\"column\":\"id\",\"desc\":true}]"));
    json_put_u64(&b.w, "limit", 1);
    auth_end(&b);
    if (auth_run(c, &b, "Database error finding refresh token", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *child = auth_first(&answers, 0);
    return true;
}

/* Its session has our tokens from here on, and the rows are of no use. */
static enum auth_ran take_over(struct auth_call *c, str session, str *key) {
    struct auth_batch b;
    struct json answers;
    uint8_t bytes[KEY_BYTES];
    crypto_random(bytes, sizeof bytes);
    *key = arena_str(c->mem, (str){bytes, sizeof bytes});
    auth_batch_begin(&b);
    auth_tree(&b, "update", "sessions");
    auth_set(&b);
    json_put_str(&b.w, "refresh_token_hmac_key", auth_base64url(c->mem, *key));
    json_put_u64(&b.w, "refresh_token_counter", 0);
    json_put_str(&b.w, "refreshed_at", str_sub(c->now, 0, c->now.n - 1));
    json_put_str(&b.w, "updated_at", c->now);
    auth_end(&b);
    auth_where(&b), auth_eq(&b, "id", session), auth_is_null(&b, "refresh_token_hmac_key"), auth_end(&b);
    auth_one(&b);
    auth_end(&b);
    auth_tree(&b, "update", "refresh_tokens");
    auth_set(&b), json_put_bool(&b.w, "revoked", true), json_put_str(&b.w, "updated_at", c->now), auth_end(&b);
    auth_where(&b), auth_eq(&b, "session_id", session), auth_end(&b), auth_end(&b);
    explicit_bzero(bytes, sizeof bytes);
    return auth_run(c, &b, "Database error refreshing session", &answers);
}

static bool refresh_moved(struct auth_call *c, str token, bool *again) {
    const struct json *row = NULL, *child = NULL, *session = NULL;
    str key = {0};
    bool answered;
    *again = false;
    if (!load_moved(c, token, &row, &child)) return false;
    str id = json_str(json_get(row, "session_id"));
    if (!load_session(c, id, &session)) return false;
    const struct json *user = json_get(session, "users"), *counter = json_get(session, "refresh_token_counter");
    if (!session || !json_is(user, JSON_KIND_OBJECT)) return auth_fail(c, AUTH_ERROR_refresh_token_not_found);
    if (!auth_openid_may_refresh(c, session, &answered)) return answered;
    if (auth_banned(c, user)) return auth_fail_status(c, AUTH_ERROR_user_banned, 400, "Invalid Refresh Token: User Banned");
    if (has_ended(c, session)) return auth_fail(c, AUTH_ERROR_session_expired);
    bool ours = json_str(json_get(session, "refresh_token_hmac_key")).n,
         newest = !json_bool(json_get(row, "revoked")) || (child && !json_bool(json_get(child, "revoked")));
    int64_t used = auth_time_of(json_get(ours ? session : row, ours ? "refreshed_at" : "updated_at"));
    bool soon = used != INT64_MIN && c->host->now_us - used < (int64_t)c->config->reuse_s * 1'000'000;
    if (ours ? !soon && (child || json_i64(counter)) : !soon && !newest) return end_reused(c, id);
    if (ours) {
        if (!auth_base64url_read(c->mem, json_str(json_get(session, "refresh_token_hmac_key")), &key))
            return auth_fail(c, AUTH_ERROR_refresh_token_not_found);
        return answer_refreshed(c, session, (uint64_t)json_i64(counter), key, true, "fail-to-save");
    }
    enum auth_ran ran = take_over(c, id, &key);
    *again = ran == AUTH_MOVED;
    return ran == AUTH_RAN && answer_refreshed(c, session, 0, key, false, NULL);
}

bool auth_grant_refresh(struct auth_call *c) { return auth_refresh(c, auth_text(c, "refresh_token")); }

bool auth_refresh(struct auth_call *c, str text) {
    struct refresh r;
    bool again = true, done = false, old = text.n == 12;
    uint32_t fields = c->to->fields_count;
    if (!auth_limited(c, "refresh", auth_network(c), c->config->refreshes, 300)) return false;
    for (size_t i = 0; i < text.n && old; i++)
        old = (text.p[i] >= 'a' && text.p[i] <= 'z') || (text.p[i] >= '0' && text.p[i] <= '9');
    if (!old && !read_refresh(c, text, &r)) return auth_fail_text(c, AUTH_ERROR_validation_failed, "Refresh token is not valid");
    for (int i = 0; i < TRIES && again && !c->failed; i++) {
        c->to->fields_count = fields;
        done = old ? refresh_moved(c, text, &again) : refresh_once(c, &r, &again);
    }
    return again && !c->failed ? auth_fail(c, AUTH_ERROR_later) : done;
}

/* ---- the node's own pages ---- */

bool auth_session_of(struct auth_call *c, str token, const struct json **session) {
    const struct json *row = NULL;
    struct refresh r;
    str key;
    *session = NULL;
    if (!read_refresh(c, token, &r)) return true;
    if (!load_session(c, r.session, &row)) return false;
    const struct json *counter = json_get(row, "refresh_token_counter");
    bool known = row && json_is(counter, JSON_KIND_I64) && r.counter == (uint64_t)json_i64(counter) &&
                 auth_base64url_read(c->mem, json_str(json_get(row, "refresh_token_hmac_key")), &key) && is_signed(&r, key);
    if (known && !has_ended(c, row)) *session = row;
    c->failed = false;
    return true;
}

bool auth_session_handed(struct auth_call *c, const struct json *session, struct buf *to) {
    str key, id = json_str(json_get(session, "id")), token;
    if (!auth_base64url_read(c->mem, json_str(json_get(session, "refresh_token_hmac_key")), &key))
        return auth_fail(c, AUTH_ERROR_session_not_found);
    struct granted g = {.session = id,
                        .refresh = make_refresh(c->mem, id, (uint64_t)json_i64(json_get(session, "refresh_token_counter")), key),
                        .aal = json_str(json_get(session, "aal")),
                        .amr = json_get(session, "mfa_amr_claims")};
    if (!sign(c, json_get(session, "users"), &g, &token)) return false;
    buf_puts(to, STR("access_token="));
    auth_put_escaped(to, token);
    buf_printf(to, "&expires_at=%llu&expires_in=%u&refresh_token=", (unsigned long long)g.expires_s, c->config->jwt_s);
    auth_put_escaped(to, g.refresh);
    buf_puts(to, STR("&sb=&token_type=bearer"));
    return true;
}

/* ---- the end ---- */

bool auth_do_log_out(struct auth_call *c) {
    str scope = auth_param(c, "scope"), user = json_str(json_get(c->user, "id"));
    bool others = str_eqc(scope, "others"), local = str_eqc(scope, "local");
    struct auth_batch b;
    struct json answers;
    if (json_str(json_get(c->session, "oauth_client_id")).n) local = true, others = false; /* a third party ends its own alone */
    else if (scope.n && !others && !local && !str_eqc(scope, "global"))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Unsupported logout scope \"" STR_FMT "\"",
                              STR_ARG(str_sub(scope, 0, 64)));
    auth_batch_begin(&b);
    auth_audit(c, &b, "logout", "account", user, json_str(json_get(c->user, "email")), NULL);
    auth_tree(&b, "delete", "sessions");
    auth_where(&b);
    auth_eq(&b, "user_id", user);
    if (c->session && local) auth_eq(&b, "id", json_str(json_get(c->session, "id")));
    if (c->session && others) auth_op(&b, "id", "neq", json_str(json_get(c->session, "id")));
    auth_end(&b);
    auth_end(&b);
    if (auth_run(c, &b, "Error logging out user", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    return auth_answer(c, 204);
}
