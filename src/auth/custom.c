/* custom: providers that the service_role makes: /admin/custom-providers, as GoTrue has them. They are asked where [auth] says custom_providers. */
#include "auth/provider_int.h"

enum { MOST = 100, LIST_MAX = 64, TEXT_MAX = 2048, OBJECT_MAX = 4096 };

/* What a body may say, and what it is of. */
enum { TEXT, FLAG, TEXTS, OBJECT };
static const struct column {
    const char *name;
    int kind;
    const char *otherwise; /* JSON, of one that is made; NULL: it is not there */
    bool oidc, oauth2;     /* of which alone; none: of both */
    size_t most;
} columns[] = {
    {"name", TEXT, NULL, .most = 100},
    {"client_id", TEXT, NULL, .most = 512},
    {"acceptable_client_ids", TEXTS, "[]", .most = 0},
    {"scopes", TEXTS, "[]", .most = 0},
    {"pkce_enabled", FLAG, "true", .most = 0},
    {"attribute_mapping", OBJECT, "{}", .most = 0},
    {"custom_claims_allowlist", TEXTS, "[]", .most = 0},
    {"authorization_params", OBJECT, "{}", .most = 0},
    {"enabled", FLAG, "true", .most = 0},
    {"email_optional", FLAG, "false", .most = 0},
    {"issuer", TEXT, NULL, .oidc = true, .most = TEXT_MAX},
    {"discovery_url", TEXT, NULL, .oidc = true, .most = TEXT_MAX},
    {"skip_nonce_check", FLAG, "false", .oidc = true},
    {"authorization_url", TEXT, NULL, .oauth2 = true, .most = TEXT_MAX},
    {"token_url", TEXT, NULL, .oauth2 = true, .most = TEXT_MAX},
    {"userinfo_url", TEXT, NULL, .oauth2 = true, .most = TEXT_MAX},
    {"jwks_uri", TEXT, NULL, .oauth2 = true, .most = TEXT_MAX},
};

static bool invalid(struct auth_call *c, const char *text) { return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s", text); }

/* ---- as they are told: without the secret ---- */

static void put_provider(struct json_writer *w, const struct json *row) {
    static const char *const
        texts[] = {"id", "provider_type", "identifier", "name", "client_id"},
        *const maybe[] = {"issuer", "discovery_url", "authorization_url", "token_url", "userinfo_url", "jwks_uri"},
        *const rest[] = {"acceptable_client_ids", "scopes",  "pkce_enabled",   "attribute_mapping", "custom_claims_allowlist",
                         "authorization_params",  "enabled", "email_optional", "skip_nonce_check"};
    json_put_object(w, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) json_put_str(w, texts[i], json_str(json_get(row, texts[i])));
    for (size_t i = 0; i < ARRAY_COUNT(rest); i++)
        if (json_get(row, rest[i])) json_put(w, rest[i], json_get(row, rest[i]));
    for (size_t i = 0; i < ARRAY_COUNT(maybe); i++)
        if (json_is(json_get(row, maybe[i]), JSON_KIND_STR)) json_put(w, maybe[i], json_get(row, maybe[i]));
    if (json_is(json_get(row, "cached_discovery"), JSON_KIND_OBJECT))
        json_put(w, "discovery_document", json_get(row, "cached_discovery"));
    auth_put_time(w, "created_at", json_get(row, "created_at"));
    auth_put_time(w, "updated_at", json_get(row, "updated_at"));
    json_put_end(w);
}

static bool answer_row(struct auth_call *c, const struct json *row, uint16_t status) {
    struct json_writer w = json_writer_of(&c->out);
    if (!row) return auth_fail(c, AUTH_ERROR_unexpected_failure);
    put_provider(&w, row);
    return auth_answer(c, status);
}

static void select_all(struct auth_batch *b) {
    auth_tree(b, "select", "custom_oauth_providers");
    json_put_raw(&b->w, "select", STR("[\"*\"]"));
}

bool auth_do_custom_list(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    str type = auth_param(c, "type");
    if (type.n && !str_eqc(type, "oauth2") && !str_eqc(type, "oidc")) return invalid(c, "type must be either 'oauth2' or 'oidc'");
    auth_batch_begin(&b);
    select_all(&b);
    if (type.n) auth_where(&b), auth_eq(&b, "provider_type", type), auth_end(&b);
    json_put_raw(&b.w, "order", STR("[{\"column\":\"created_at\",\"desc\":true}]"));
    auth_end(&b);
    if (auth_run(c, &b, "Error retrieving custom OAuth providers", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    struct json_writer w = json_writer_of(&c->out);
    json_put_object(&w, NULL);
    json_put_array(&w, "providers");
    JSON_EACH(row, json_get(json_item(&answers, 0), "rows")) put_provider(&w, row);
    json_put_end(&w);
    json_put_end(&w);
    return auth_answer(c, 200);
}

/* ---- what may be said ---- */

static bool is_secure(struct auth_call *c, str url, const char **why) {
    bool https = str_starts(url, STR("https://"));
    *why = "Invalid URL format";
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] >= 0x7f || strchr("\"\\<>#", url.p[i])) return false;
    *why = "URL must use HTTPS";
    if (!https && !(c->host->plain && str_starts(url, STR("http://")))) return false;
    str rest = str_sub(url, https ? 8 : 7, url.n), host = str_sub(rest, 0, str_find(rest, '/'));
    *why = "URL must have a valid hostname";
    if (!host.n || str_find(host, '@') < host.n) return false;
    *why = "URL cannot point to localhost or loopback addresses";
    host = str_sub(host, 0, str_find(host, ':'));
    return c->host->plain ||
           !(str_eq_nocase(host, STR("localhost")) || str_ends(host, STR(".localhost")) || str_starts(host, STR("127.")));
}

static bool in(str s, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (str_eqc(s, list[i])) return true;
    return false;
}

static bool check_object(struct auth_call *c, const struct json *v, bool params) {
    static const char *const ours[] = {"client_id",      "client_secret",         "redirect_uri",  "response_type", "state",
                                       "code_challenge", "code_challenge_method", "code_verifier", "nonce"},
                             *const fields[] = {"id",
                                                "aud",
                                                "role",
                                                "app_metadata",
                                                "created_at",
                                                "updated_at",
                                                "confirmed_at",
                                                "email_confirmed_at",
                                                "phone_confirmed_at",
                                                "email_verified",
                                                "phone_verified",
                                                "banned_until",
                                                "is_super_admin"};
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put(&w, NULL, v);
    bool large = b.n > OBJECT_MAX;
    buf_free(&b);
    if (large) return invalid(c, params ? "authorization_params are too large" : "attribute_mapping is too large");
    for (uint32_t i = 0; i < v->n; i++) {
        str key = v->members[i].key;
        if (params && in(key, ours, ARRAY_COUNT(ours)))
            return auth_fail_text(c, AUTH_ERROR_validation_failed, "Cannot override reserved OAuth parameter: " STR_FMT,
                                  STR_ARG(key));
        if (params && v->members[i].v.kind != JSON_KIND_STR)
            return auth_fail_text(c, AUTH_ERROR_validation_failed, "Authorization parameter \"" STR_FMT "\" must be a string",
                                  STR_ARG(key));
        if (!params && in(key, fields, ARRAY_COUNT(fields)))
            return auth_fail_text(c, AUTH_ERROR_validation_failed, "Cannot map to protected system field: " STR_FMT,
                                  STR_ARG(key));
    }
    return true;
}

static bool bad_body(struct auth_call *c, const char *name) {
    return auth_fail_text(c, AUTH_ERROR_bad_json, "Could not parse request body as JSON: %s is of another type", name);
}

static bool check_texts(struct auth_call *c, const struct column *of, const struct json *v) {
    if (v->n > LIST_MAX) return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s has too many entries", of->name);
    JSON_EACH(one, v) {
        if (one->kind != JSON_KIND_STR || one->s.n > 512 || (one->s.n && memchr(one->s.p, 0, one->s.n)))
            return bad_body(c, of->name);
        if (!strcmp(of->name, "custom_claims_allowlist") && !str_trim(one->s).n)
            return invalid(c, "custom_claims_allowlist entries must be non-empty strings");
    }
    return true;
}

static bool is_url(const struct column *of) {
    return str_ends(str_c(of->name), STR("_url")) || !strcmp(of->name, "issuer") || !strcmp(of->name, "jwks_uri");
}

/* What a body says is what it should be. */
static bool check(struct auth_call *c) {
    static const enum json_kind kinds[] = {
        [TEXT] = JSON_KIND_STR, [FLAG] = JSON_KIND_BOOL, [TEXTS] = JSON_KIND_ARRAY, [OBJECT] = JSON_KIND_OBJECT};
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        const struct column *of = &columns[i];
        const struct json *v = json_get(&c->body, of->name);
        if (!v || v->kind == JSON_KIND_NULL) continue;
        if (v->kind != kinds[of->kind] || (of->kind == TEXT && v->s.n && memchr(v->s.p, 0, v->s.n))) return bad_body(c, of->name);
        if (of->kind == TEXT && v->s.n > of->most)
            return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s is too long", of->name);
        if (of->kind == TEXTS && !check_texts(c, of, v)) return false;
        if (of->kind == OBJECT && !check_object(c, v, !strcmp(of->name, "authorization_params"))) return false;
    }
    static const char *const texts[] = {"provider_type", "identifier", "client_secret"};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        const struct json *v = json_get(&c->body, texts[i]);
        if (v && v->kind != JSON_KIND_NULL && (v->kind != JSON_KIND_STR || (v->s.n && memchr(v->s.p, 0, v->s.n))))
            return bad_body(c, texts[i]);
    }
    return auth_text(c, "client_secret").n <= 4096 || invalid(c, "client_secret is too long");
}

static bool check_urls(struct auth_call *c, bool oidc) {
    const char *why;
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        str url = auth_text(c, columns[i].name);
        if (!is_url(&columns[i]) || columns[i].oidc != oidc || !url.n) continue;
        if (!is_secure(c, url, &why)) return invalid(c, why);
    }
    return true;
}

/* "custom:" and then small letters, digits, - and :. */
static bool check_identifier(struct auth_call *c, str id) {
    if (!str_starts(id, STR("custom:")))
        return auth_fail_text(c, AUTH_ERROR_validation_failed,
                              "identifier must start with 'custom:' prefix, e.g. 'custom:" STR_FMT "'",
                              STR_ARG(str_sub(id, 0, 64)));
    bool ok = id.n > 7 && id.n <= 50 && id.p[id.n - 1] != '-' && id.p[id.n - 1] != ':';
    for (size_t i = 0; i < id.n && ok; i++)
        ok = (id.p[i] >= 'a' && id.p[i] <= 'z') || (id.p[i] >= '0' && id.p[i] <= '9') || id.p[i] == '-' || id.p[i] == ':';
    return ok || invalid(c, "identifier has up to 50 small letters, digits, - and :");
}

static bool check_whole(struct auth_call *c, bool oidc) {
    static const char *const all[] = {"name", "client_id", "client_secret"}, *const plain[] = {"authorization_url", "token_url",
                                                                                               "userinfo_url"};
    if (!auth_text(c, "identifier").n) return invalid(c, "identifier is required");
    if (!check_identifier(c, auth_text(c, "identifier"))) return false;
    for (size_t i = 0; i < ARRAY_COUNT(all); i++)
        if (!auth_text(c, all[i]).n) return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s is required", all[i]);
    if (oidc && !auth_text(c, "issuer").n) return invalid(c, "issuer is required for OIDC providers");
    for (size_t i = 0; !oidc && i < ARRAY_COUNT(plain); i++)
        if (!auth_text(c, plain[i]).n)
            return auth_fail_text(c, AUTH_ERROR_validation_failed, "%s is required for OAuth2 providers", plain[i]);
    return true;
}

/* ---- discovery ---- */

/* What is kept of the document, JSON. False: an error is set. */
static bool discover(struct auth_call *c, str issuer, str at, str *kept) {
    static const char *const places[] = {"issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri"},
                             *const lists[] = {"scopes_supported", "response_types_supported", "grant_types_supported",
                                               "subject_types_supported"};
    static const struct json_limits limits = {256 << 10, 32, 10'000};
    struct auth_fetched answer;
    struct json doc;
    struct buf b = {0};
    if (!at.n)
        at = arena_fmt(c->mem, STR_FMT "/.well-known/openid-configuration",
                       STR_ARG(str_ends(issuer, STR("/")) ? str_sub(issuer, 0, issuer.n - 1) : issuer));
    const struct auth_fetch get = {.method = STR("GET"), .url = at, .bytes_max = 256 << 10};
    const char *why = NULL;
    if (c->host->fetch(c->host->arg, c->mem, &get, &answer) != AUTH_DONE)
        why = "it cannot be reached, or may not be asked (the app's log says why)";
    else if (answer.status != 200 || json_read(c->mem, answer.body, &limits, &doc, NULL) != ERR_OK)
        why = "there is no such document";
    else if (!str_eq(json_str(json_get(&doc, "issuer")), issuer)) why = "issuer mismatch";
    if (why)
        return auth_fail_text(c, AUTH_ERROR_validation_failed, "OIDC discovery from \"" STR_FMT "\" failed: %s",
                              STR_ARG(str_sub(at, 0, 300)), why);
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        if (i != 3 && !json_str(json_get(&doc, places[i])).n)
            return auth_fail_text(c, AUTH_ERROR_validation_failed, "OIDC discovery document is missing required fields: %s",
                                  places[i]);
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(places); i++)
        if (json_str(json_get(&doc, places[i])).n)
            json_put_str(&w, places[i], str_sub(json_str(json_get(&doc, places[i])), 0, TEXT_MAX));
    for (size_t i = 0; i < ARRAY_COUNT(lists); i++)
        if (json_count(json_get(&doc, lists[i])) && json_count(json_get(&doc, lists[i])) <= LIST_MAX)
            json_put(&w, lists[i], json_get(&doc, lists[i]));
    json_put_end(&w);
    *kept = arena_str(c->mem, buf_str(&b));
    buf_free(&b);
    return true;
}

/* ---- writing ---- */

static void put_scopes(struct json_writer *w, const struct json *scopes, bool oidc) {
    bool has = !oidc;
    JSON_EACH(one, scopes) has |= str_eqc(json_str(one), "openid");
    json_put_array(w, "scopes");
    if (!has) json_put_cstr(w, NULL, "openid");
    JSON_EACH(one, scopes) json_put_str(w, NULL, json_str(one));
    json_put_end(w);
}

/* What the body says of it; makes: and what it does not. */
static void put_columns(struct auth_call *c, struct json_writer *w, bool oidc, bool makes) {
    for (size_t i = 0; i < ARRAY_COUNT(columns); i++) {
        const struct column *of = &columns[i];
        const struct json *v = json_get(&c->body, of->name);
        bool said = v && v->kind != JSON_KIND_NULL && !(of->kind == TEXT && !v->s.n);
        if ((of->oidc && !oidc) || (of->oauth2 && oidc) || (!said && !(makes && of->otherwise))) continue;
        if (!strcmp(of->name, "scopes")) put_scopes(w, v, oidc);
        else if (said) json_put(w, of->name, v);
        else json_put_raw(w, of->name, str_c(of->otherwise));
    }
}

static bool seal(struct auth_call *c, str id, str *sealed) {
    return auth_seal(c, "custom_oauth_providers.client_secret", id, auth_text(c, "client_secret"), sealed);
}

bool auth_do_custom_create(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    str type = auth_text(c, "provider_type"), id = auth_new_id(c), document = {0}, sealed;
    bool oidc = str_eqc(type, "oidc");
    if (!check(c)) return false;
    if (!oidc && !str_eqc(type, "oauth2")) return invalid(c, "provider_type must be either 'oauth2' or 'oidc'");
    if (!check_whole(c, oidc) || !check_urls(c, oidc)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "select", "custom_oauth_providers");
    json_put_raw(&b.w, "select", STR("[\"identifier\"]"));
    auth_end(&b);
    if (auth_run(c, &b, "Error checking for existing provider", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    const struct json *there = json_get(json_item(&answers, 0), "rows");
    if (json_count(there) >= MOST) return auth_fail(c, AUTH_ERROR_over_custom_provider_quota);
    const char *taken = "A custom OAuth provider with this identifier already exists";
    JSON_EACH(one, there)
    if (str_eq(json_str(json_get(one, "identifier")), auth_text(c, "identifier")))
        return auth_fail_status(c, AUTH_ERROR_conflict, 400, taken);
    if (oidc && !discover(c, auth_text(c, "issuer"), auth_text(c, "discovery_url"), &document)) return false;
    if (!seal(c, id, &sealed)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "insert", "custom_oauth_providers");
    auth_row(&b);
    json_put_str(&b.w, "id", id), json_put_str(&b.w, "provider_type", type);
    json_put_str(&b.w, "identifier", auth_text(c, "identifier")), json_put_str(&b.w, "client_secret", sealed);
    put_columns(c, &b.w, oidc, true);
    if (document.n) json_put_raw(&b.w, "cached_discovery", document), json_put_str(&b.w, "discovery_cached_at", c->now);
    json_put_str(&b.w, "created_at", c->now), json_put_str(&b.w, "updated_at", c->now);
    auth_row_end(&b);
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_end(&b);
    enum auth_ran ran = auth_run(c, &b, "Error creating custom OAuth provider", &answers);
    if (ran == AUTH_TAKEN) return auth_fail_status(c, AUTH_ERROR_conflict, 400, taken);
    return ran == AUTH_RAN ? answer_row(c, auth_first(&answers, 0), 201) : auth_fail(c, AUTH_ERROR_unexpected_failure);
}

/* "custom%3Aacme": as a client writes it into a path. */
static bool load(struct auth_call *c, const struct json **row) {
    struct auth_batch b;
    struct json answers;
    str id = c->id;
    if (str_starts(id, STR("custom%3A")) || str_starts(id, STR("custom%3a")))
        id = arena_fmt(c->mem, "custom:" STR_FMT, STR_ARG(str_sub(id, 9, id.n)));
    if (!check_identifier(c, id)) return false;
    auth_batch_begin(&b);
    select_all(&b);
    auth_where(&b), auth_eq(&b, "identifier", id), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Error retrieving custom OAuth provider", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    *row = auth_first(&answers, 0);
    return *row || auth_fail(c, AUTH_ERROR_custom_provider_not_found);
}

bool auth_do_custom_get(struct auth_call *c) {
    const struct json *row;
    return load(c, &row) && answer_row(c, row, 200);
}

bool auth_do_custom_update(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    const struct json *row;
    str document = {0}, sealed = {0}, issuer = auth_text(c, "issuer"), at = auth_text(c, "discovery_url");
    if (!check(c) || !load(c, &row)) return false;
    bool oidc = str_eqc(json_str(json_get(row, "provider_type")), "oidc"), looks = oidc && (issuer.n || at.n);
    if (!check_urls(c, oidc)) return false;
    if (!issuer.n) issuer = json_str(json_get(row, "issuer"));
    if (!at.n) at = json_str(json_get(row, "discovery_url"));
    if (looks && !discover(c, issuer, at, &document)) return false;
    if (auth_text(c, "client_secret").n && !seal(c, json_str(json_get(row, "id")), &sealed)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "update", "custom_oauth_providers");
    auth_set(&b);
    put_columns(c, &b.w, oidc, false);
    if (sealed.n) json_put_str(&b.w, "client_secret", sealed);
    if (document.n) json_put_raw(&b.w, "cached_discovery", document), json_put_str(&b.w, "discovery_cached_at", c->now);
    json_put_str(&b.w, "updated_at", c->now);
    auth_end(&b);
    auth_where(&b), auth_eq(&b, "id", json_str(json_get(row, "id"))), auth_end(&b);
    json_put_raw(&b.w, "select", STR("[\"*\"]"));
    auth_end(&b);
    if (auth_run(c, &b, "Error updating custom OAuth provider", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    row = auth_first(&answers, 0);
    return row ? answer_row(c, row, 200) : auth_fail(c, AUTH_ERROR_custom_provider_not_found);
}

bool auth_do_custom_delete(struct auth_call *c) {
    struct auth_batch b;
    struct json answers;
    const struct json *row;
    if (!load(c, &row)) return false;
    auth_batch_begin(&b);
    auth_tree(&b, "delete", "custom_oauth_providers");
    auth_where(&b), auth_eq(&b, "id", json_str(json_get(row, "id"))), auth_end(&b), auth_end(&b);
    if (auth_run(c, &b, "Error deleting custom OAuth provider", &answers) != AUTH_RAN)
        return auth_fail(c, AUTH_ERROR_unexpected_failure);
    return auth_answer(c, 204);
}
