/* providers: whom users come from (docs/auth.md): [auth.providers.NAME] of orlo.toml, [auth.external.NAME] of a Supabase project. */
#include "manifest/manifest_int.h"

static bool name_ok(str name) {
    bool ok = name.n && name.n <= APP_PROVIDER_NAME_MAX;
    for (size_t i = 0; i < name.n && ok; i++) {
        uint8_t ch = name.p[i];
        ok = (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || (i && i + 1 < name.n && (ch == '-' || ch == '_'));
    }
    return ok;
}

/* "env(NAME)": the NAME; else nothing. */
static str env_of(str s) { return str_starts(s, STR("env(")) && str_ends(s, STR(")")) ? str_sub(s, 4, s.n - 5) : (str){0}; }

bool manifest_is_web(str s) {
    bool https = str_starts(s, STR("https://")), ok = s.n <= 2048 && (https || str_starts(s, STR("http://")));
    ok = ok && s.n > (https ? 8u : 7u);
    for (size_t i = 0; i < s.n && ok; i++) ok = s.p[i] > ' ' && s.p[i] < 0x7f && !strchr("\"\\<>#", s.p[i]);
    return ok;
}

void manifest_provider_url(struct reader *r, const struct toml *v, str *to) {
    if (!v->s.n) return;
    if (!manifest_is_web(v->s)) manifest_error(r, v, "it takes a URL: \"https://id.example.com\"");
    else *to = v->s;
}

void manifest_provider_text(struct reader *r, const struct toml *v, str *to) {
    bool ok = v->s.n <= APP_PROVIDER_TEXT_MAX;
    for (size_t i = 0; i < v->s.n && ok; i++) ok = v->s.p[i] >= ' ' && v->s.p[i] < 0x7f;
    if (!ok) manifest_error(r, v, "it takes a line of text");
    else *to = v->s;
}

static void want_secret(struct reader *r, const struct toml *v, str name, bool required) {
    if (!manifest_name_ok(name, APP_NAME_MAX)) manifest_error(r, v, "it takes the name of a secret of the app");
    else if (required) manifest_need_secret(r, name);
    else {
        for (uint32_t i = 0; i < r->to->record.secrets.n; i++)
            if (str_eq(r->to->record.secrets.p[i].key, name)) return;
        vec_push(r->mem, &r->to->record.secrets, ((struct app_secret){.key = name}));
    }
}

/* One, or several with commas between, as GoTrue has them. */
void manifest_provider_clients(struct reader *r, const struct toml *v, struct app_provider *p, bool required) {
    str left = v->s, one, said;
    while (left.n) {
        str_cut(left, ',', &one, &left);
        one = str_trim(one);
        said = env_of(one);
        if (!one.n) continue;
        struct toml at = *v;
        str text = {0};
        at.s = one;
        manifest_provider_text(r, &at, &text);
        if (said.p) want_secret(r, v, said, required);
        if (p->clients.n == APP_PROVIDER_CLIENTS_MAX) manifest_error(r, v, "it takes %d at most", APP_PROVIDER_CLIENTS_MAX);
        else if (text.n) vec_push(r->mem, &p->clients, text);
    }
}

void manifest_provider_secret(struct reader *r, const struct toml *v, struct app_provider *p) {
    str said = env_of(v->s);
    p->secret = said.p ? said : v->s;
    want_secret(r, v, p->secret, true);
}

/* What stands in a file as it is is nobody's secret any more. */
void manifest_provider_secret_of_env(struct reader *r, const struct toml *v, struct app_provider *p) {
    if (!v->s.n) return;
    p->secret = env_of(v->s);
    if (!p->secret.p) {
        p->secret = arena_fmt(r->mem, "AUTH_EXTERNAL_" STR_FMT "_SECRET", STR_ARG(p->name));
        uint8_t *at = (uint8_t *)(uintptr_t)p->secret.p; /* made just now */
        for (size_t i = 0; i < p->secret.n; i++)
            if (at[i] >= 'a' && at[i] <= 'z') at[i] = (uint8_t)(at[i] - 32);
        manifest_remark(r, v, "a secret is not taken from a file: orlo secrets set APP " STR_FMT, STR_ARG(p->secret));
    }
    want_secret(r, v, p->secret, false);
}

/* Whether there is all that it takes to ask it. */
static void check(struct reader *r, const struct toml *v, const struct app_provider *p) {
    bool plain = p->authorize.n && p->token.n && p->userinfo.n, some = p->authorize.n || p->token.n || p->userinfo.n;
    if (app_provider_known(p->name)) {
        if (p->issuer.n || some) manifest_error(r, v, "where it is is known: url says if it is elsewhere");
        if (str_eqc(p->name, "keycloak") && !p->url.n) manifest_error(r, v, "it lacks a url: \"https://HOST/realms/NAME\"");
    } else if (!p->issuer.n && !plain) {
        manifest_error(r, v, "it lacks an issuer (OpenID Connect), or authorize_url, token_url and userinfo_url (OAuth 2)");
    } else if (p->issuer.n && some) {
        manifest_error(r, v, "it has an issuer, which says where the rest is, or authorize_url, token_url and userinfo_url");
    }
    if (!p->clients.n) manifest_error(r, v, "it lacks a client_id: what the provider knows the app as");
    if (!p->team.n != !p->key.n) manifest_error(r, v, "team_id and key_id are Apple's, together, and secret is the key");
}

void manifest_provider_add(struct reader *r, const struct toml *v, const struct app_provider *p, bool enabled) {
    struct app_auth *a = &r->to->record.auth;
    if (!name_ok(p->name)) {
        manifest_error(r, v, "a provider's name has up to %d letters a-z, digits, - and _", APP_PROVIDER_NAME_MAX);
        return;
    }
    if (!enabled) return;
    check(r, v, p);
    a->calls = true;
    vec_push(r->mem, &a->providers, *p);
}
