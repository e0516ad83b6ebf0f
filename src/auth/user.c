/* user: users' rows, as they are told and as they are made; who asks. */
#include "auth/auth_int.h"
#include <stdio.h>

/* ---- as JSON ---- */

static void put_text(struct json_writer *w, const char *key, const struct json *user, const char *column) {
    json_put_str(w, key, json_str(json_get(user, column)));
}

static void put_some(struct json_writer *w, const char *key, const struct json *user, const char *column) {
    if (json_str(json_get(user, column)).n) put_text(w, key, user, column);
}

static void put_object(struct json_writer *w, const char *key, const struct json *v) {
    if (json_is(v, JSON_KIND_OBJECT)) json_put(w, key, v);
    else json_put_object(w, key), json_put_end(w);
}

static void put_identity(struct json_writer *w, const struct json *i) {
    json_put_object(w, NULL);
    put_text(w, "identity_id", i, "id");
    put_text(w, "id", i, "provider_id");
    put_text(w, "user_id", i, "user_id");
    put_object(w, "identity_data", json_get(i, "identity_data"));
    put_text(w, "provider", i, "provider");
    auth_put_time(w, "last_sign_in_at", json_get(i, "last_sign_in_at"));
    auth_put_time(w, "created_at", json_get(i, "created_at"));
    auth_put_time(w, "updated_at", json_get(i, "updated_at"));
    put_some(w, "email", i, "email");
    json_put_end(w);
}

void auth_put_user_fields(struct json_writer *w, const struct json *u) {
    put_text(w, "id", u, "id");
    put_text(w, "aud", u, "aud");
    put_text(w, "role", u, "role");
    put_text(w, "email", u, "email");
    auth_put_time(w, "email_confirmed_at", json_get(u, "email_confirmed_at"));
    auth_put_time(w, "invited_at", json_get(u, "invited_at"));
    put_text(w, "phone", u, "phone");
    auth_put_time(w, "phone_confirmed_at", json_get(u, "phone_confirmed_at"));
    auth_put_time(w, "confirmation_sent_at", json_get(u, "confirmation_sent_at"));
    auth_put_time(w, "confirmed_at", json_get(u, "confirmed_at"));
    auth_put_time(w, "recovery_sent_at", json_get(u, "recovery_sent_at"));
    put_some(w, "new_email", u, "email_change");
    auth_put_time(w, "email_change_sent_at", json_get(u, "email_change_sent_at"));
    put_some(w, "new_phone", u, "phone_change");
    auth_put_time(w, "phone_change_sent_at", json_get(u, "phone_change_sent_at"));
    auth_put_time(w, "reauthentication_sent_at", json_get(u, "reauthentication_sent_at"));
    auth_put_time(w, "last_sign_in_at", json_get(u, "last_sign_in_at"));
    put_object(w, "app_metadata", json_get(u, "raw_app_meta_data"));
    put_object(w, "user_metadata", json_get(u, "raw_user_meta_data"));
    if (json_count(json_get(u, "mfa_factors"))) {
        json_put_array(w, "factors");
        JSON_EACH(f, json_get(u, "mfa_factors")) auth_put_factor(w, f);
        json_put_end(w);
    }
    json_put_array(w, "identities");
    JSON_EACH(i, json_get(u, "identities")) put_identity(w, i);
    json_put_end(w);
    auth_put_time(w, "created_at", json_get(u, "created_at"));
    auth_put_time(w, "updated_at", json_get(u, "updated_at"));
    auth_put_time(w, "banned_until", json_get(u, "banned_until"));
    auth_put_time(w, "deleted_at", json_get(u, "deleted_at"));
    json_put_bool(w, "is_anonymous", json_bool(json_get(u, "is_anonymous")));
}

void auth_as_made(const struct json *user) {
    struct json *v = (struct json *)(uintptr_t)json_get(user, "confirmed_at"); /* of an answer, which is ours */
    if (v) v->kind = JSON_KIND_NULL;
}

void auth_put_user(struct json_writer *w, const char *key, const struct json *user) {
    json_put_object(w, key);
    auth_put_user_fields(w, user);
    json_put_end(w);
}

void auth_put_merged(struct json_writer *w, const char *key, const struct json *object, const struct json *more) {
    json_put_object(w, key);
    for (uint32_t i = 0; json_is(object, JSON_KIND_OBJECT) && i < object->n; i++)
        if (!json_get(more, (const char *)object->members[i].key.p))
            json_put(w, (const char *)object->members[i].key.p, &object->members[i].v);
    for (uint32_t i = 0; json_is(more, JSON_KIND_OBJECT) && i < more->n; i++)
        if (more->members[i].v.kind != JSON_KIND_NULL) json_put(w, (const char *)more->members[i].key.p, &more->members[i].v);
    json_put_end(w);
}

/* What a row is to have is in each of its tokens, and those have an end. */
void auth_bound_metadata(struct auth_call *c, const struct buf *b, size_t since, size_t most, const char *what) {
    if (b->n - since > most)
        (void)auth_fail_status(c, AUTH_ERROR_validation_failed, 422,
                               (const char *)arena_fmt(c->mem, "%s has at most %zu bytes: it is in every token", what, most).p);
}

/* ---- what is said of one ---- */

bool auth_banned(const struct auth_call *c, const struct json *user) {
    int64_t until = auth_time_of(json_get(user, "banned_until"));
    return until != INT64_MIN && until > c->host->now_us;
}

void auth_ended(const struct auth_call *c, str user, int64_t until_us) {
    int64_t s = until_us > c->host->now_us ? (until_us - c->host->now_us) / 1'000'000 + 1 : 0;
    if (c->host->ended) c->host->ended(c->host->arg, user, MIN((uint64_t)s, (uint64_t)c->config->jwt_s + 60));
}

bool auth_confirmed(const struct json *user) { return auth_time_of(json_get(user, "email_confirmed_at")) != INT64_MIN; }

const struct json *auth_identity(const struct json *user, const char *provider) {
    JSON_EACH(i, json_get(user, "identities"))
    if (str_eqc(json_str(json_get(i, "provider")), provider)) return i;
    return NULL;
}

/* Whether one of the first n of them is of a provider. */
static bool has_told(const struct json *identities, uint32_t n, const struct json *but, str provider) {
    for (uint32_t i = 0; i < n; i++)
        if (json_item(identities, i) != but && str_eq(json_str(json_get(json_item(identities, i), "provider")), provider))
            return true;
    return false;
}

void auth_put_providers(struct json_writer *w, const char *key, const struct json *user, const struct json *identities,
                        const struct json *but, str more) {
    const struct json *app = json_get(user, "raw_app_meta_data");
    uint32_t n = json_count(identities);
    str first = {0};
    json_put_object(w, key);
    for (uint32_t i = 0; json_is(app, JSON_KIND_OBJECT) && i < app->n; i++)
        if (!str_eqc(app->members[i].key, "provider") && !str_eqc(app->members[i].key, "providers"))
            json_put(w, (const char *)app->members[i].key.p, &app->members[i].v);
    JSON_EACH(i, identities) if (i != but && !first.n) first = json_str(json_get(i, "provider"));
    json_put_str(w, "provider", first.n ? first : more);
    json_put_array(w, "providers");
    for (uint32_t i = 0; i < n; i++) {
        str one = json_str(json_get(json_item(identities, i), "provider"));
        if (json_item(identities, i) != but && !has_told(identities, i, but, one)) json_put_str(w, NULL, one);
    }
    if (more.n && !has_told(identities, n, but, more)) json_put_str(w, NULL, more);
    json_put_end(w);
    json_put_end(w);
}

/* ---- finding one ---- */

/* Who was deleted and is kept is nobody. */
bool auth_read_user(struct auth_call *c, const char *column, str value, const struct json **user) {
    struct auth_batch b;
    struct json answers;
    auth_batch_begin(&b);
    auth_select_user(&b);
    auth_where(&b);
    auth_eq(&b, column, value);
    if (strcmp(column, "id")) { json_put_raw(&b.w, NULL, STR("{\"column\":\"is_sso_user\",\"op\":\"is\",\"value\":false}")); }
    auth_end(&b);
    json_put_u64(&b.w, "limit", 1);
    auth_end(&b);
    *user = NULL;
    if (auth_run(c, &b, "Database error finding user", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *user = auth_first(&answers, 0);
    return true;
}

bool auth_load_caller(struct auth_call *c) {
    static const struct json_limits limits = {64 << 10, JSON_DEPTH_MAX, 10'000};
    struct auth_batch b;
    struct json answers;
    struct diag d = DIAG_INIT;
    if (!c->rq->claims.n || json_read(c->mem, c->rq->claims, &limits, &c->claims, &d) != ERR_OK)
        return auth_fail_text(c, AUTH_ERROR_bad_jwt, "invalid claim: missing sub claim");
    str subject = json_str(json_get(&c->claims, "sub")), session = json_str(json_get(&c->claims, "session_id"));
    if (!subject.n) return auth_fail_text(c, AUTH_ERROR_bad_jwt, "invalid claim: missing sub claim");
    if (!auth_is_id(subject)) return auth_fail_status(c, AUTH_ERROR_bad_jwt, 400, "invalid claim: sub claim must be a UUID");
    if (session.n && !auth_is_id(session))
        return auth_fail_text(c, AUTH_ERROR_bad_jwt, "invalid claim: session_id claim must be a UUID");
    auth_batch_begin(&b);
    auth_select_user(&b);
    auth_where(&b), auth_eq(&b, "id", subject), auth_end(&b), auth_end(&b);
    if (session.n) {
        auth_tree(&b, "select", "sessions");
        json_put_raw(&b.w, "select", STR("[\"*\",{\"embed\":\"mfa_amr_claims\",\"select\":[\"*\"]}]"));
        auth_where(&b), auth_eq(&b, "id", session), auth_eq(&b, "user_id", subject), auth_end(&b), auth_end(&b);
    }
    if (auth_run(c, &b, "Database error loading user", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    c->user = auth_first(&answers, 0);
    c->session = session.n ? auth_first(&answers, 1) : NULL;
    if (!c->user) return auth_fail_status(c, AUTH_ERROR_user_not_found, 403, "User from sub claim in JWT does not exist");
    if (session.n && !c->session) return auth_fail(c, AUTH_ERROR_session_not_found);
    return !auth_banned(c, c->user) || auth_fail(c, AUTH_ERROR_user_banned);
}

/* ---- making one ---- */

static void put_identity_data(struct json_writer *w, const char *key, const struct auth_new_user *u, bool phone) {
    json_put_object(w, key);
    json_put_str(w, "sub", u->id);
    if (phone) json_put_str(w, "phone", u->phone);
    else json_put_str(w, "email", u->email);
    json_put_bool(w, "email_verified", u->own && !phone && u->email_confirmed);
    json_put_bool(w, "phone_verified", false);
    for (uint32_t i = 0; u->own && json_is(u->user_data, JSON_KIND_OBJECT) && i < u->user_data->n; i++) {
        const struct json_member *m = &u->user_data->members[i];
        static const char *const ours[] = {"sub", "email", "phone", "email_verified", "phone_verified"};
        bool is_ours = false;
        for (size_t k = 0; k < ARRAY_COUNT(ours); k++) is_ours |= str_eqc(m->key, ours[k]);
        if (!is_ours) json_put(w, (const char *)m->key.p, &m->v);
    }
    json_put_end(w);
}

static void insert_identity(struct auth_call *c, struct auth_batch *b, const struct auth_new_user *u, bool phone) {
    auth_tree(b, "insert", "identities");
    auth_row(b);
    json_put_str(&b->w, "id", auth_new_id(c));
    json_put_str(&b->w, "provider_id", u->id);
    json_put_str(&b->w, "user_id", u->id);
    json_put_cstr(&b->w, "provider", phone ? "phone" : "email");
    put_identity_data(&b->w, "identity_data", u, phone);
    json_put_str(&b->w, "last_sign_in_at", c->now);
    json_put_str(&b->w, "created_at", c->now);
    json_put_str(&b->w, "updated_at", c->now);
    auth_row_end(b);
    auth_end(b);
}

void auth_put_app_data(struct json_writer *w, const char *key, const struct auth_new_user *u) {
    static const char *const ours[] = {"provider", "providers"};
    json_put_object(w, key);
    for (size_t i = 0; i < 2 && u->provider.n; i++) {
        if (json_get(u->app_data, ours[i])) continue;
        if (!i) json_put_str(w, ours[i], u->provider);
        else {
            json_put_array(w, ours[i]);
            if (u->email.n) json_put_cstr(w, NULL, "email");
            if (u->phone.n) json_put_cstr(w, NULL, "phone");
            json_put_end(w);
        }
    }
    for (uint32_t i = 0; json_is(u->app_data, JSON_KIND_OBJECT) && i < u->app_data->n; i++)
        if (u->app_data->members[i].v.kind != JSON_KIND_NULL)
            json_put(w, (const char *)u->app_data->members[i].key.p, &u->app_data->members[i].v);
    json_put_end(w);
}

void auth_insert_user(struct auth_call *c, struct auth_batch *b, const struct auth_new_user *u) {
    struct json_writer *w = &b->w;
    if (!u->by_admin && !auth_hook_before_user(c, u)) return; /* what is made is not run */
    if (!u->by_admin) c->made = u->id;
    auth_tree(b, "insert", "users");
    auth_row(b);
    json_put_cstr(w, "instance_id", "00000000-0000-0000-0000-000000000000");
    json_put_str(w, "id", u->id);
    json_put_str(w, "aud", u->aud.n ? u->aud : STR("authenticated"));
    json_put_str(w, "role", u->role.n ? u->role : STR("authenticated"));
    if (u->email.n) json_put_str(w, "email", u->email);
    if (u->phone.n) json_put_str(w, "phone", u->phone);
    json_put_str(w, "encrypted_password", u->password);
    static const char *const empty[] = {"confirmation_token", "recovery_token", "email_change_token_new", "email_change"};
    for (size_t i = 0; i < ARRAY_COUNT(empty); i++) json_put_cstr(w, empty[i], "");
    if (u->email_confirmed) json_put_str(w, "email_confirmed_at", c->now);
    if (u->phone_confirmed) json_put_str(w, "phone_confirmed_at", c->now);
    if (u->invited) json_put_str(w, "invited_at", c->now);
    if (u->banned_until.n) json_put_str(w, "banned_until", u->banned_until);
    size_t since = b->b.n;
    auth_put_app_data(w, "raw_app_meta_data", u);
    auth_bound_metadata(c, &b->b, since, AUTH_APP_DATA_MAX, "app_metadata");
    since = b->b.n;
    static struct json_member verified = {STR_INIT("email_verified"), {.kind = JSON_KIND_BOOL, .b = true}};
    const struct json more = {.kind = JSON_KIND_OBJECT, .n = u->email_confirmed, .members = &verified};
    if (u->own) put_identity_data(w, "raw_user_meta_data", u, false);
    else auth_put_merged(w, "raw_user_meta_data", u->user_data, &more);
    auth_bound_metadata(c, &b->b, since, AUTH_USER_DATA_MAX, "user_metadata");
    json_put_bool(w, "is_anonymous", u->anonymous);
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_row_end(b);
    auth_end(b);
    if (u->bare) return;
    if (u->email.n) insert_identity(c, b, u, false);
    if (u->phone.n) insert_identity(c, b, u, true);
}

void auth_replace_unconfirmed(struct auth_batch *b, str user, str hash) {
    auth_tree(b, "update", "users");
    auth_set(b), json_put_str(&b->w, "encrypted_password", hash), auth_end(b);
    auth_where(b), auth_eq(b, "id", user), auth_is_null(b, "email_confirmed_at"), auth_end(b);
    auth_end(b);
}

/* The first address of a user's who is there, confirmed. */
void auth_insert_identity(struct auth_call *c, struct auth_batch *b, str user, str email) {
    struct json_writer *w = &b->w;
    auth_tree(b, "insert", "identities");
    auth_row(b);
    json_put_str(w, "id", auth_new_id(c));
    json_put_str(w, "provider_id", user);
    json_put_str(w, "user_id", user);
    json_put_cstr(w, "provider", "email");
    json_put_object(w, "identity_data");
    json_put_str(w, "sub", user);
    json_put_str(w, "email", email);
    json_put_bool(w, "email_verified", true);
    json_put_bool(w, "phone_verified", false);
    json_put_end(w);
    json_put_str(w, "last_sign_in_at", c->now);
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_row_end(b);
    auth_end(b);
}

/* In an update of users that is open. */
void auth_confirm_email(struct auth_call *c, struct auth_batch *b, const struct json *user) {
    static struct json_member verified = {STR_INIT("email_verified"), {.kind = JSON_KIND_BOOL, .b = true}};
    const struct json more = {.kind = JSON_KIND_OBJECT, .n = 1, .members = &verified};
    json_put_str(&b->w, "email_confirmed_at", c->now);
    json_put_cstr(&b->w, "confirmation_token", "");
    auth_put_merged(&b->w, "raw_user_meta_data", json_get(user, "raw_user_meta_data"), &more);
}

/* ---- the audit log ---- */

/* Now and then, so that it has an end: some of the oldest lines. */
static void trim_audit(struct auth_call *c, struct auth_batch *b) {
    uint8_t now_and_then;
    crypto_random(&now_and_then, 1);
    if (now_and_then) return;
    auth_call_of(b, "orlo_audit_trim");
    json_put_object(&b->w, "args");
    json_put_u64(&b->w, "older_days", c->config->audit_days);
    json_put_u64(&b->w, "most_rows", c->config->audit_rows);
    json_put_end(&b->w);
    auth_end(b);
}

void auth_audit(struct auth_call *c, struct auth_batch *b, const char *action, const char *type, str actor, str name,
                const char *provider) {
    struct buf payload = {0};
    struct json_writer p = json_writer_of(&payload);
    json_put_object(&p, NULL);
    json_put_cstr(&p, "action", action);
    json_put_str(&p, "actor_id", actor);
    json_put_str(&p, "actor_username", name);
    json_put_bool(&p, "actor_via_sso", false);
    json_put_cstr(&p, "log_type", type);
    if (provider) {
        json_put_object(&p, "traits");
        json_put_cstr(&p, "provider", provider);
        json_put_end(&p);
    }
    json_put_end(&p);
    auth_tree(b, "insert", "audit_log_entries");
    auth_row(b);
    json_put_cstr(&b->w, "instance_id", "00000000-0000-0000-0000-000000000000");
    json_put_str(&b->w, "id", auth_new_id(c));
    json_put_raw(&b->w, "payload", buf_str(&payload));
    json_put_str(&b->w, "created_at", c->now);
    json_put_str(&b->w, "ip_address", str_sub(c->rq->address, 0, 64));
    auth_row_end(b);
    auth_end(b);
    buf_free(&payload);
    trim_audit(c, b);
}
