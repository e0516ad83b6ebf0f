/* openid_client: third parties that let an app's users sign in at them (auth.oauth_clients): registered by the app's owner, or by themselves where he lets anybody do that.
 *
 *   confidential   has a secret, of which its SHA-256 is kept: client_secret_basic or client_secret_post
 *   public         has none
 *
 * Lists are kept as GoTrue keeps them, with commas between: so no address of one has a comma. */
#include "auth/auth_int.h"

enum { REDIRECTS_MAX = 10, URI_MAX = 2048, NAME_MAX_BYTES = 1024, SECRET_BYTES = 32 };
static const char *const methods[] = {"none", "client_secret_basic", "client_secret_post"};

bool auth_openid_on(struct auth_call *c) {
    return c->config->oauth.on || auth_fail_text(c, AUTH_ERROR_feature_disabled, "OAuth server is disabled");
}

/* ---- what is said of one ---- */

static void put_list(struct json_writer *w, const char *key, str list) {
    str one;
    if (!list.n) return;
    json_put_array(w, key);
    while (list.n) str_cut(list, ',', &one, &list), json_put_str(w, NULL, one);
    json_put_end(w);
}

static void put_some(struct json_writer *w, const char *key, const struct json *client, const char *column) {
    str s = json_str(json_get(client, column));
    if (s.n) json_put_str(w, key, s);
}

static void put_client(struct json_writer *w, const struct json *client, str secret) {
    json_put_object(w, NULL);
    json_put_str(w, "client_id", json_str(json_get(client, "id")));
    if (secret.n) json_put_str(w, "client_secret", secret), json_put_u64(w, "client_secret_expires_at", 0); /* RFC 7591 */
    json_put_str(w, "client_type", json_str(json_get(client, "client_type")));
    static const char *const texts[] = {"token_endpoint_auth_method", "client_name", "client_uri", "logo_uri",
                                        "registration_type"};
    put_list(w, "redirect_uris", json_str(json_get(client, "redirect_uris")));
    put_list(w, "grant_types", json_str(json_get(client, "grant_types")));
    put_list(w, "response_types", STR("code"));
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) put_some(w, texts[i], client, texts[i]);
    auth_put_time(w, "created_at", json_get(client, "created_at"));
    auth_put_time(w, "updated_at", json_get(client, "updated_at"));
    json_put_end(w);
}

static bool answer_client(struct auth_call *c, const struct json *client, str secret, uint16_t status) {
    struct json_writer w = json_writer_of(&c->out);
    if (!client) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    put_client(&w, client, secret);
    return auth_answer(c, status);
}

static void select_client(struct auth_batch *b, str id) {
    auth_tree(b, "select", "oauth_clients");
    json_put_raw(&b->w, "select", STR("[\"*\"]"));
    auth_where(b), auth_eq(b, "id", id), auth_is_null(b, "deleted_at"), auth_end(b);
    auth_end(b);
}

bool auth_openid_client(struct auth_call *c, str id, const struct json **client) {
    struct auth_batch b;
    struct json answers;
    *client = NULL;
    if (!auth_is_id(id)) return true;
    auth_batch_begin(&b);
    select_client(&b, id);
    if (auth_run(c, &b, "Error loading OAuth client", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *client = auth_first(&answers, 0);
    return true;
}

static bool load(struct auth_call *c, const struct json **client) {
    if (!auth_openid_on(c)) return false;
    if (!auth_is_id(c->id)) return auth_fail_text(c, AUTH_ERROR_validation_failed, "invalid client_id format");
    if (!auth_openid_client(c, c->id, client)) return false;
    return *client || auth_fail_status(c, AUTH_ERROR_oauth_client_not_found, 404, "OAuth client not found");
}

/* ---- secrets ---- */

static str secret_hash(struct auth_call *c, str secret) {
    uint8_t sum[CRYPTO_SHA256_BYTES];
    crypto_sha256(secret, sum);
    return auth_base64url(c->mem, (str){sum, sizeof sum});
}

static str make_secret(struct auth_call *c) {
    uint8_t bytes[SECRET_BYTES];
    crypto_random(bytes, sizeof bytes);
    str text = auth_base64url(c->mem, (str){bytes, sizeof bytes});
    explicit_bzero(bytes, sizeof bytes);
    return text;
}

bool auth_openid_secret_is(struct auth_call *c, const struct json *client, str secret) {
    str kept = json_str(json_get(client, "client_secret_hash")), said = secret_hash(c, secret);
    return kept.n == said.n && crypto_equal(kept.p, said.p, kept.n);
}

/* ---- what one may be ---- */

static bool uri_fails(struct auth_call *c, str uri, const char *why) {
    return auth_fail_text(c, AUTH_ERROR_validation_failed, "invalid redirect_uri '" STR_FMT "': %s",
                          STR_ARG(str_sub(uri, 0, 200)), why);
}

/* Where its users are led back to, with a code: exactly that, so what it is made of has to be plain. */
static bool redirect_ok(struct auth_call *c, str uri) {
    static const char *const never[] = {"javascript", "data", "file", "vbscript", "about", "blob"};
    size_t colon = str_find(uri, ':');
    str scheme = str_sub(uri, 0, colon), rest = str_sub(uri, colon + 3, uri.n), host, port;
    bool plain = uri.n <= URI_MAX && colon && colon + 3 < uri.n && uri.p[colon + 1] == '/' && uri.p[colon + 2] == '/';
    if (!uri.n) return uri_fails(c, uri, "redirect URI cannot be empty");
    for (size_t i = 0; i < uri.n && plain; i++)
        plain = uri.p[i] > ' ' && uri.p[i] < 0x7f && uri.p[i] != '"' && uri.p[i] != '<' && uri.p[i] != '>' && uri.p[i] != '\\' &&
                uri.p[i] != ',';
    for (size_t i = 0; i < colon && plain; i++) {
        uint8_t ch = uri.p[i] | 32;
        plain = (ch >= 'a' && ch <= 'z') || (i && ((ch >= '0' && ch <= '9') || ch == '+' || ch == '-' || ch == '.'));
    }
    if (!plain) return uri_fails(c, uri, "must have scheme and host");
    for (size_t i = 0; i < ARRAY_COUNT(never); i++)
        if (str_eq_nocase(scheme, str_c(never[i])))
            return auth_fail_text(c, AUTH_ERROR_validation_failed,
                                  "invalid redirect_uri '" STR_FMT "': scheme '" STR_FMT "' is not allowed for security reasons",
                                  STR_ARG(str_sub(uri, 0, 200)), STR_ARG(scheme));
    for (size_t end = 0; end <= rest.n; end++)
        if (end == rest.n || rest.p[end] == '/' || rest.p[end] == '?' || rest.p[end] == '#') {
            host = str_sub(rest, 0, end);
            break;
        }
    if (!host.n || str_find(host, '@') < host.n) return uri_fails(c, uri, "must have scheme and host");
    bool six = host.p[0] == '[';
    if (six) host = str_sub(host, 1, str_find(host, ']') - 1);
    else str_cut(host, ':', &host, &port);
    if (str_eq_nocase(scheme, STR("http")) && !str_eqc(host, "localhost") && !str_eqc(host, "127.0.0.1") &&
        !(six && str_eqc(host, "::1")))
        return uri_fails(c, uri, "HTTP scheme only allowed for localhost");
    return str_find(uri, '#') == uri.n || uri_fails(c, uri, "fragment not allowed in redirect URI");
}

/* A list of texts of the body, joined. *there: it is said. */
static bool take_list(struct auth_call *c, const char *key, bool *there, str *joined, bool (*ok)(struct auth_call *c, str one)) {
    const struct json *v = json_get(&c->body, key);
    struct buf b = {0};
    *there = v && v->kind != JSON_KIND_NULL;
    *joined = (str){0};
    if (!*there) return true;
    if (v->kind != JSON_KIND_ARRAY) return auth_fail_text(c, AUTH_ERROR_bad_json, "Invalid JSON body");
    JSON_EACH(one, v) {
        str s = json_str(one);
        if (one->kind != JSON_KIND_STR) (void)auth_fail_text(c, AUTH_ERROR_bad_json, "Invalid JSON body");
        else if (ok(c, s)) {
            if (b.n) buf_putc(&b, ',');
            buf_puts(&b, s);
        }
    }
    *joined = arena_str(c->mem, buf_str(&b));
    buf_free(&b);
    return !c->failed;
}

static bool grant_ok(struct auth_call *c, str one) {
    return str_eqc(one, "authorization_code") || str_eqc(one, "refresh_token") ||
           auth_fail_text(c, AUTH_ERROR_validation_failed,
                          "grant_types must only contain 'authorization_code' and/or 'refresh_token'");
}

static bool is_page(str s) {
    bool ok = str_starts(s, STR("https://")) || str_starts(s, STR("http://"));
    for (size_t i = 0; i < s.n && ok; i++) ok = s.p[i] > ' ' && s.p[i] < 0x7f && s.p[i] != '"' && s.p[i] != '<' && s.p[i] != '\\';
    return ok;
}

static bool texts_ok(struct auth_call *c) {
    static const char *const pages[] = {"client_uri", "logo_uri"};
    static const char *const keys[] = {"client_name", "client_uri", "logo_uri", "client_type", "token_endpoint_auth_method"};
    for (size_t i = 0; i < ARRAY_COUNT(keys); i++) {
        const struct json *v = json_get(&c->body, keys[i]);
        if (v && v->kind != JSON_KIND_STR && v->kind != JSON_KIND_NULL)
            return auth_fail_text(c, AUTH_ERROR_bad_json, "Invalid JSON body");
        if (v && json_str(v).n && memchr(json_str(v).p, 0, json_str(v).n))
            return auth_fail_text(c, AUTH_ERROR_bad_json, "Invalid JSON body");
    }
    if (auth_text(c, "client_name").n > NAME_MAX_BYTES)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "client_name cannot exceed 1024 characters");
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) {
        str s = auth_text(c, pages[i]);
        if (s.n > URI_MAX) return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s cannot exceed 2048 characters", pages[i]);
        if (s.n && !is_page(s)) return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s must be a valid URL", pages[i]);
    }
    return true;
}

static bool is_method(str s) {
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
        if (str_eqc(s, methods[i])) return true;
    return false;
}

struct wanted {
    str redirects, grants, type, method;
    bool redirects_said, grants_said;
};

static bool lists_ok(struct auth_call *c, struct wanted *w) {
    uint32_t n = json_count(json_get(&c->body, "redirect_uris"));
    if (n > REDIRECTS_MAX) return auth_fail_text(c, AUTH_ERROR_validation_failed, "redirect_uris cannot exceed 10 items");
    return take_list(c, "redirect_uris", &w->redirects_said, &w->redirects, redirect_ok) &&
           take_list(c, "grant_types", &w->grants_said, &w->grants, grant_ok) && texts_ok(c);
}

static bool registration_ok(struct auth_call *c, struct wanted *w) {
    w->type = auth_text(c, "client_type"), w->method = auth_text(c, "token_endpoint_auth_method");
    if (!json_count(json_get(&c->body, "redirect_uris")))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "redirect_uris is required");
    if (!lists_ok(c, w)) return false;
    if (w->type.n && !str_eqc(w->type, "public") && !str_eqc(w->type, "confidential"))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "client_type must be 'public' or 'confidential'");
    if (w->method.n && !is_method(w->method))
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "token_endpoint_auth_method must be one of: [none client_secret_basic client_secret_post]");
    str inferred = !w->method.n ? STR("confidential") : str_eqc(w->method, "none") ? STR("public") : STR("confidential");
    if (w->type.n && w->method.n && !str_eq(w->type, inferred))
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "client_type '" STR_FMT "' is inconsistent with token_endpoint_auth_method '" STR_FMT
                              "' (expected client_type '" STR_FMT "')",
                              STR_ARG(w->type), STR_ARG(w->method), STR_ARG(inferred));
    if (!w->type.n) w->type = inferred;
    if (!w->method.n) w->method = str_eqc(w->type, "public") ? STR("none") : STR("client_secret_basic");
    if (!w->grants.n) w->grants = STR("authorization_code,refresh_token");
    return true;
}

/* ---- registration ---- */

static bool registered(struct auth_call *c, const char *how) {
    struct wanted want = {0};
    struct auth_batch b;
    struct json answers;
    struct json_writer *w = &b.w;
    str id = auth_new_id(c), secret = {0};
    static const char *const texts[] = {"client_name", "client_uri", "logo_uri"};
    if (!registration_ok(c, &want)) return false;
    if (str_eqc(want.type, "confidential")) secret = make_secret(c);
    auth_batch_begin(&b);
    auth_tree(&b, "insert", "oauth_clients");
    auth_row(&b);
    json_put_str(w, "id", id);
    if (secret.n) json_put_str(w, "client_secret_hash", secret_hash(c, secret));
    json_put_cstr(w, "registration_type", how);
    json_put_str(w, "client_type", want.type);
    json_put_str(w, "token_endpoint_auth_method", want.method);
    json_put_str(w, "redirect_uris", want.redirects);
    json_put_str(w, "grant_types", want.grants);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        if (auth_text(c, texts[i]).n) json_put_str(w, texts[i], auth_text(c, texts[i]));
    json_put_str(w, "created_at", c->now);
    json_put_str(w, "updated_at", c->now);
    auth_row_end(&b);
    auth_end(&b);
    select_client(&b, id);
    if (auth_run(c, &b, "failed to create OAuth client", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    return answer_client(c, auth_first(&answers, 1), secret, 201);
}

bool auth_do_openid_register(struct auth_call *c) {
    if (!auth_openid_on(c)) return false;
    if (!c->config->oauth.registers) return auth_fail(c, AUTH_ERROR_oauth_dynamic_client_registration_disabled);
    return auth_limited(c, "oauth_register", auth_network(c), 10, 300) && registered(c, "dynamic");
}

bool auth_do_openid_client_create(struct auth_call *c) { return auth_openid_on(c) && registered(c, "manual"); }

/* ---- for the app's owner ---- */

bool auth_do_openid_client_get(struct auth_call *c) {
    const struct json *client;
    return load(c, &client) && answer_client(c, client, (str){0}, 200);
}

bool auth_do_openid_client_list(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    struct json_writer w;
    if (!auth_openid_on(c)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "oauth_clients");
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    json_put_raw(&b.w, "order", STR("[{\"column\":\"created_at\",\"desc\":true}]"));
    auth_where(&b), auth_is_null(&b, "deleted_at"), auth_end(&b);
    auth_end(&b);
    if (auth_run(c, &b, "Error listing OAuth clients", &answers) != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    const struct json *rows = json_get(json_item(&answers, 0), "rows");
    if (json_count(rows)) {
        json_put_array(&w, "clients");
        JSON_EACH(one, rows) put_client(&w, one, (str){0});
        json_put_end(&w);
    }
    json_put_end(&w);
    return auth_answer(c, 200);
}

static bool changed(struct auth_call *c, struct auth_batch *b, str secret) {
    struct json answers;
    select_client(b, c->id);
    uint32_t last = b->n - 1;
    enum auth_ran ran = auth_run(c, b, "Error updating OAuth client", &answers);
    if (ran == AUTH_MOVED) return auth_fail_status(c, AUTH_ERROR_oauth_client_not_found, 404, "OAuth client not found");
    if (ran != AUTH_RAN) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    return answer_client(c, auth_first(&answers, last), secret, 200);
}

static void begin_change(struct auth_call *c, struct auth_batch *b) {
    auth_batch_begin(b);
    auth_tree(b, "update", "oauth_clients");
    auth_set(b);
    json_put_str(&b->w, "updated_at", c->now);
}

static void end_change(struct auth_call *c, struct auth_batch *b) {
    auth_end(b);
    auth_where(b), auth_eq(b, "id", c->id), auth_is_null(b, "deleted_at"), auth_end(b);
    auth_one(b);
    auth_end(b);
}

bool auth_do_openid_client_update(struct auth_call *c) {
    static const char *const texts[] = {"client_name", "client_uri", "logo_uri"};
    const struct json *client;
    struct wanted want = {0};
    struct auth_batch b;
    str method = auth_text(c, "token_endpoint_auth_method");
    bool any = method.n;
    if (!load(c, &client) || !lists_ok(c, &want)) return false;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) any |= json_is(json_get(&c->body, texts[i]), JSON_KIND_STR);
    if (!any && !want.redirects_said && !want.grants_said)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "No fields provided for update");
    if (want.redirects_said && !want.redirects.n)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "redirect_uris cannot be empty");
    if (want.grants_said && !want.grants.n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "grant_types cannot be empty");
    if (method.n && !is_method(method))
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "invalid token_endpoint_auth_method: must be one of [none client_secret_basic client_secret_post]");
    bool public = str_eqc(json_str(json_get(client, "client_type")), "public");
    if (method.n && public != str_eqc(method, "none"))
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "token_endpoint_auth_method '" STR_FMT "' is not valid for client_type '%s'; valid methods: %s",
                              STR_ARG(method), public ? "public" : "confidential",
                              public ? "[none]" : "[client_secret_basic client_secret_post]");
    begin_change(c, &b);
    if (want.redirects_said) json_put_str(&b.w, "redirect_uris", want.redirects);
    if (want.grants_said) json_put_str(&b.w, "grant_types", want.grants);
    if (method.n) json_put_str(&b.w, "token_endpoint_auth_method", method);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++)
        if (json_is(json_get(&c->body, texts[i]), JSON_KIND_STR)) json_put_str(&b.w, texts[i], auth_text(c, texts[i]));
    end_change(c, &b);
    return changed(c, &b, (str){0});
}

bool auth_do_openid_client_secret(struct auth_call *c) {
    const struct json *client;
    struct auth_batch b;
    if (!load(c, &client)) return false;
    if (!str_eqc(json_str(json_get(client, "client_type")), "confidential"))
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "Cannot regenerate secret for public client");
    str secret = make_secret(c);
    begin_change(c, &b);
    json_put_str(&b.w, "client_secret_hash", secret_hash(c, secret));
    end_change(c, &b);
    return changed(c, &b, secret);
}

/* Who signed in there stays signed in until his token there ends: it is not renewed any more. */
bool auth_do_openid_client_delete(struct auth_call *c) {
    const struct json *client;
    struct auth_batch b;
    struct json answers;
    if (!load(c, &client)) return false;
    begin_change(c, &b);
    json_put_str(&b.w, "deleted_at", c->now);
    end_change(c, &b);
    enum auth_ran ran = auth_run(c, &b, "Error deleting OAuth client", &answers);
    return ran == AUTH_RAN || ran == AUTH_MOVED ? auth_answer(c, 204) : auth_fail(c, AUTH_ERROR_unexpected_failure);
}
