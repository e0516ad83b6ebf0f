/* hooks: where an app has its say about its users (docs/auth-hooks.md): [auth.hooks.NAME] of orlo.toml, [auth.hook.NAME] of a Supabase project; third parties, captchas,
 * pages. */
#include "manifest/manifest_int.h"

const char *const manifest_hook_names[APP_HOOKS] = {
#define X(name) #name,
    APP_HOOKS_LIST(X)
#undef X
};

static void lead(struct reader *r, struct app_hook *hook, const struct toml *v, enum app_hook_to to, str at) {
    if (hook->to) manifest_error(r, v, "a hook leads to one place: function, sql or url");
    else hook->to = (uint8_t)to, hook->at = at;
}

void manifest_hook_function(struct reader *r, struct app_hook *hook, const struct toml *v) {
    if (!manifest_name_ok(v->s, APP_FUNCTION_NAME_MAX)) manifest_error(r, v, "it takes the name of a function of the app");
    else lead(r, hook, v, APP_HOOK_TO_FUNCTION, v->s);
}

static bool is_name(str s) {
    bool ok = s.n && s.n <= APP_IDENTIFIER_MAX;
    for (size_t i = 0; i < s.n && ok; i++) ok = s.p[i] > ' ' && s.p[i] != 0x7f && s.p[i] != '.' && s.p[i] != '"';
    return ok;
}

static void lead_to_sql(struct reader *r, struct app_hook *hook, const struct toml *v, str schema, str name) {
    if (!is_name(schema) || !is_name(name)) manifest_error(r, v, "it takes a function of the database: \"public.my_hook\"");
    else lead(r, hook, v, APP_HOOK_TO_SQL, arena_fmt(r->mem, STR_FMT "." STR_FMT, STR_ARG(schema), STR_ARG(name)));
}

void manifest_hook_sql(struct reader *r, struct app_hook *hook, const struct toml *v) {
    str schema, name;
    if (!str_cut(v->s, '.', &schema, &name)) name = schema, schema = STR("public");
    lead_to_sql(r, hook, v, schema, name);
}

void manifest_hook_url(struct reader *r, struct app_hook *hook, const struct toml *v) {
    if (!manifest_is_web(v->s)) manifest_error(r, v, "it takes a URL: \"https://hooks.example.com/users\"");
    else lead(r, hook, v, APP_HOOK_TO_URL, v->s), r->to->record.auth.calls = true;
}

void manifest_hook_secret(struct reader *r, struct app_hook *hook, const struct toml *v) {
    if (!manifest_name_ok(v->s, APP_FUNCTION_NAME_MAX)) {
        manifest_error(r, v, "it takes the name of a secret of the app, whose value is \"v1,whsec_BASE64\"");
        return;
    }
    hook->secret = v->s;
    manifest_need_secret(r, v->s);
}

/* GoTrue's: "pg-functions://DATABASE/SCHEMA/FUNCTION", or a URL. */
void manifest_hook_uri(struct reader *r, struct app_hook *hook, const struct toml *v) {
    static const str sql = STR_INIT("pg-functions://");
    str database, schema, name;
    if (!str_starts(v->s, sql)) {
        manifest_hook_url(r, hook, v);
        return;
    }
    str_cut(str_sub(v->s, sql.n, v->s.n), '/', &database, &schema);
    str_cut(schema, '/', &schema, &name);
    lead_to_sql(r, hook, v, schema, name);
}

void manifest_hook_secrets(struct reader *r, struct app_hook *hook, const struct toml *v, const char *which) {
    str name = str_starts(v->s, STR("env(")) && str_ends(v->s, STR(")")) ? str_sub(v->s, 4, v->s.n - 5) : (str){0};
    struct toml at = *v;
    if (!v->s.n) return;
    if (!name.p) {
        name = arena_fmt(r->mem, "AUTH_HOOK_%s_SECRETS", which);
        uint8_t *p = (uint8_t *)(uintptr_t)name.p; /* made just now */
        for (size_t i = 0; i < name.n; i++)
            if (p[i] >= 'a' && p[i] <= 'z') p[i] = (uint8_t)(p[i] - 32);
        manifest_remark(r, v, "a secret is not taken from a file: orlo secrets set APP " STR_FMT, STR_ARG(name));
    }
    at.s = name;
    manifest_hook_secret(r, hook, &at);
}

/* The function that a URL of /functions/v1 names. */
static str edge_of(str url) {
    static const str below = STR_INIT("/functions/v1/");
    str host, path;
    size_t from = str_find(url, ':') + 3;
    if (from > url.n) return (str){0};
    str rest = str_sub(url, from, url.n);
    size_t slash = str_find(rest, '/');
    host = str_sub(rest, 0, slash), path = str_sub(rest, slash, rest.n);
    host = str_sub(host, 0, str_find(host, ':'));
    bool own = str_eqc(host, "localhost") || str_eqc(host, "127.0.0.1") || str_eqc(host, "host.docker.internal") ||
               str_eqc(host, "kong") || str_ends(host, STR(".supabase.co"));
    return own && str_starts(path, below) ? str_sub(path, below.n, path.n) : (str){0};
}

/* A Supabase project's own function is the app's. */
void manifest_hooks_of_functions(struct reader *r) {
    struct app_record *record = &r->to->record;
    for (uint32_t i = 0; i < APP_HOOKS; i++) {
        struct app_hook *hook = &record->auth.hooks[i];
        str name = hook->to == APP_HOOK_TO_URL ? edge_of(hook->at) : (str){0};
        if (name.n && app_record_function(record, name) != UINT32_MAX) hook->to = APP_HOOK_TO_FUNCTION, hook->at = name;
    }
}

void manifest_check_hooks(struct reader *r, const struct toml *root) {
    const struct app_record *record = &r->to->record;
    const struct toml *auth = manifest_toml_get(root, "auth"), *all = auth ? manifest_toml_get(auth, "hooks") : NULL;
    bool own_pages = record->auth.pages.on || (record->auth.oauth.on && !record->auth.oauth.path.n);
    if (record->auth.captcha.kind && own_pages)
        manifest_error(r, auth, "captchas are not on the node's own pages: no [auth.pages], and a consent_path of yours");
    for (uint32_t i = 0; all && i < APP_HOOKS; i++) {
        const struct toml *at = manifest_toml_get(all, manifest_hook_names[i]);
        const struct app_hook *hook = &record->auth.hooks[i];
        if (!at) continue;
        if (!hook->to) manifest_error(r, at, "it lacks one of function, sql, url");
        if (hook->to == APP_HOOK_TO_URL && !hook->secret.n)
            manifest_error(r, at, "it lacks a secret, by which who is asked knows that it is the app");
        if (hook->to == APP_HOOK_TO_FUNCTION && app_record_function(record, hook->at) == UINT32_MAX)
            manifest_error(r, at, "the app has no function \"" STR_FMT "\"", STR_ARG(hook->at));
    }
}

/* ---- third parties, captchas, pages ---- */

static bool is_plain(str s, size_t most) {
    bool ok = s.n && s.n <= most;
    for (size_t i = 0; i < s.n && ok; i++) ok = s.p[i] > ' ' && s.p[i] < 0x7f && !strchr("\"'<>\\", s.p[i]);
    return ok;
}

/* Below site_url, and nowhere else: no "//host". */
void manifest_oauth_path(struct reader *r, const struct toml *v) {
    bool ok = is_plain(v->s, 512) && v->s.p[0] == '/' && (v->s.n < 2 || v->s.p[1] != '/') && str_find(v->s, '?') == v->s.n &&
              str_find(v->s, '#') == v->s.n;
    if (!ok) manifest_error(r, v, "it takes a path: \"/oauth/consent\"");
    else r->to->record.auth.oauth.path = v->s;
}

void manifest_captcha_provider(struct reader *r, const struct toml *v) {
    static const char *const words[APP_CAPTCHAS] = {"", "hcaptcha", "turnstile"};
    for (uint8_t i = 1; i < APP_CAPTCHAS; i++)
        if (str_eqc(v->s, words[i])) r->to->record.auth.captcha.kind = i;
    if (!r->to->record.auth.captcha.kind) manifest_error(r, v, "it takes \"hcaptcha\" or \"turnstile\"");
}

void manifest_captcha_secret(struct reader *r, const struct toml *v, str name) {
    if (!manifest_name_ok(name, APP_FUNCTION_NAME_MAX)) {
        manifest_error(r, v, "it takes the name of a secret of the app");
        return;
    }
    r->to->record.auth.captcha.secret = name;
    manifest_need_secret(r, name);
}

void manifest_captcha_url(struct reader *r, const struct toml *v) {
    if (!manifest_is_web(v->s)) manifest_error(r, v, "it takes a URL: \"https://captcha.example.com/siteverify\"");
    else r->to->record.auth.captcha.url = v->s;
}

void manifest_captcha_finish(struct reader *r, const struct toml *v) {
    struct app_auth *a = &r->to->record.auth;
    if (!a->captcha.kind) manifest_error(r, v, "it lacks a provider");
    if (!a->captcha.secret.n) manifest_error(r, v, "it lacks a secret: the name of the one that is the provider's");
    a->calls = true;
}

void manifest_pages_name(struct reader *r, const struct toml *v) {
    bool ok = v->s.n && v->s.n <= 100 && str_is_utf8(v->s);
    for (size_t i = 0; i < v->s.n && ok; i++) ok = v->s.p[i] >= ' ' && v->s.p[i] != 0x7f;
    if (!ok) manifest_error(r, v, "a name has up to 100 bytes");
    else r->to->record.auth.pages.name = v->s;
}

/* It goes into a header, which says whose pictures there may be. */
void manifest_pages_logo(struct reader *r, const struct toml *v) {
    bool ok = is_plain(v->s, 1024) && str_starts(v->s, STR("https://")) && str_find(v->s, ';') == v->s.n &&
              str_find(v->s, ',') == v->s.n;
    if (!ok) manifest_error(r, v, "it takes an https URL");
    else r->to->record.auth.pages.logo = v->s;
}

void manifest_pages_colour(struct reader *r, const struct toml *v) {
    bool ok = v->s.n == 7 && v->s.p[0] == '#';
    for (size_t i = 1; i < v->s.n && ok; i++) {
        uint8_t ch = v->s.p[i] | 32;
        ok = (v->s.p[i] >= '0' && v->s.p[i] <= '9') || (ch >= 'a' && ch <= 'f');
    }
    if (!ok) manifest_error(r, v, "it takes a colour: \"#1a2b3c\"");
    else r->to->record.auth.pages.colour = v->s;
}
