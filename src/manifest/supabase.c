/* supabase: a Supabase project's config.toml. Its functions are Deno's, which do not run here yet; one whose entrypoint is a WebAssembly file
 * does, where Supabase's clients expect it. What the other sections say is of services that are not here: a remark each. */
#include "manifest/manifest_int.h"

struct project {
    struct manifest *to;
    bool no_migrations, no_seed;
    VEC(str) secrets; /* of all functions */
};
struct edge {
    struct project *p;
    struct app_function f;
    bool is_enabled;
};

/* A section: a reader like any, that tells of it. */
static void tell(struct reader *r, const struct toml *v, const char *why);
#define SHAPE(name, ...)
#define KEY(...) MANIFEST_READER(__VA_ARGS__)
#define SECTION(name, why)                                                                                                       \
    static void project_##name(struct reader *r, void *to, const struct toml *v) { tell(r, v, why); }
#define END
#include "manifest/supabase.def"
#undef SHAPE
#undef KEY
#undef END

#define SHAPE(name, ...) static const struct manifest_key name##_keys[] = {
#define KEY(...) MANIFEST_ROW(__VA_ARGS__)
#define SECTION(name, why) {#name, MANIFEST_ANY, project_##name, "none", "Not honoured: " why, ""},
#define END                                                                                                                      \
    { 0 }                                                                                                                        \
    }                                                                                                                            \
    ;
#include "manifest/supabase.def"
#undef SHAPE
#undef KEY
#undef END

static const struct manifest_shape shapes[] = {
#define SHAPE(name, settings, setting, help) {#name, help, name##_keys, ARRAY_COUNT(name##_keys) - 1, settings, setting},
#define KEY(...)
#define END
#include "manifest/supabase.def"
#undef SHAPE
#undef KEY
#undef END
};
const struct manifest_shapes manifest_supabase_shapes = {"supabase/config.toml", shapes, ARRAY_COUNT(shapes)};

enum {
#define SHAPE(name, ...) SHAPE_##name,
#define KEY(...)
#define END
#include "manifest/supabase.def"
#undef SHAPE
#undef KEY
#undef END
};

static void read_shape(struct reader *r, const struct toml *v, int shape, void *to) { manifest_table(r, v, &shapes[shape], to); }

static uint32_t keys_in(const struct toml *v, int depth) {
    uint32_t n = 0;
    for (uint32_t i = 0; v->type == TOML_TABLE && i < v->n; i++)
        n += v->items[i].type == TOML_TABLE && depth < 16 ? keys_in(&v->items[i], depth + 1) : 1;
    return n;
}

static void tell(struct reader *r, const struct toml *v, const char *why) {
    uint32_t n = keys_in(v, 0);
    manifest_remark(r, v, "not honoured (%u key%s): %s", n, n == 1 ? "" : "s", why);
}

/* ---- the project ---- */

static void project_project_id(struct reader *r, void *to, const struct toml *v) {
    struct app_record *record = &((struct project *)to)->to->record;
    str name = manifest_host_label(r->mem, v->s);
    if (!name.n) manifest_error(r, v, "a project's id has letters and digits");
    else if (!record->name.n && !str_eq(name, v->s))
        manifest_remark(r, v, "the app is called " STR_FMT " here, for that is part of its host", STR_ARG(name));
    if (!record->name.n) record->name = name;
}
static void project_remotes(struct reader *r, void *to, const struct toml *v) {}

static void project_edge_runtime(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_runtime, to); }
static void runtime_enabled(struct reader *r, void *to, const struct toml *v) {}
static void runtime_policy(struct reader *r, void *to, const struct toml *v) {}
static void runtime_inspector_port(struct reader *r, void *to, const struct toml *v) {}
static void runtime_deno_version(struct reader *r, void *to, const struct toml *v) {}
static void one_secret(struct reader *r, void *to, const struct toml *v) {
    if (manifest_name_ok(v->key, APP_NAME_MAX)) vec_push(r->mem, &((struct project *)to)->secrets, v->key);
    else manifest_error(r, v, "a secret's name has letters, digits and _");
}
static void runtime_secrets(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_NAMES_MAX, one_secret, to);
    if (v->n) manifest_remark(r, v, "their values are not taken from here: orlo secrets set APP KEY");
}

/* ---- the database ---- */

static void project_db(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_db, to); }
static void project_api(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_api, to); }
static void api_enabled(struct reader *r, void *to, const struct toml *v) { r->to->record.rest.off = !v->i; }
static void api_schemas(struct reader *r, void *to, const struct toml *v) { manifest_rest_schemas(r, v); }
static void api_extra_search_path(struct reader *r, void *to, const struct toml *v) { manifest_rest_search(r, v); }
static void api_max_rows(struct reader *r, void *to, const struct toml *v) {
    struct diag d = DIAG_INIT;
    if (v->i < 0 || app_setting_check(APP_SETTING_rest_rows_max, "max_rows", (uint64_t)v->i, &d) != ERR_OK)
        manifest_error(r, v, "it takes a number of rows, from 1 on");
    else r->to->record.limits.rest_rows_max = (uint64_t)v->i;
}
static void api_port(struct reader *r, void *to, const struct toml *v) {}
static void api_external_url(struct reader *r, void *to, const struct toml *v) {}
static void api_tls(struct reader *r, void *to, const struct toml *v) {}
static void api_auto_expose_new_tables(struct reader *r, void *to, const struct toml *v) {}
static void project_orlo(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_node, to); }
static void node_database(struct reader *r, void *to, const struct toml *v) { manifest_database_word(r, v); }
static void db_migrations(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_migrations, to); }
static void db_seed(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_seed, to); }
static void db_major_version(struct reader *r, void *to, const struct toml *v) {}
static void db_port(struct reader *r, void *to, const struct toml *v) {}
static void db_shadow_port(struct reader *r, void *to, const struct toml *v) {}
static void db_health_timeout(struct reader *r, void *to, const struct toml *v) {}
static void db_root_key(struct reader *r, void *to, const struct toml *v) {}
static void db_pooler(struct reader *r, void *to, const struct toml *v) {}
static void db_settings(struct reader *r, void *to, const struct toml *v) { tell(r, v, "they are of PostgreSQL's server"); }
static void db_vault(struct reader *r, void *to, const struct toml *v) {
    tell(r, v, "secrets are set by orlo secrets set APP KEY");
}
static void db_network_restrictions(struct reader *r, void *to, const struct toml *v) {}
static void db_ssl_enforcement(struct reader *r, void *to, const struct toml *v) {}
static void migrations_enabled(struct reader *r, void *to, const struct toml *v) {
    ((struct project *)to)->no_migrations = !v->i;
}
static void migrations_schema_paths(struct reader *r, void *to, const struct toml *v) {
    if (v->type == TOML_ARRAY && v->n)
        manifest_remark(r, v, "not honoured: what makes the database are its migrations (supabase db diff writes them)");
}
static void seed_enabled(struct reader *r, void *to, const struct toml *v) { ((struct project *)to)->no_seed = !v->i; }
static void seed_sql_paths(struct reader *r, void *to, const struct toml *v) { manifest_database_seed(r, v, "supabase/"); }

/* A project has one, whatever its file says. */
static void settle_database(struct reader *r, const struct project *p, const struct toml *root) {
    struct manifest_database *db = &r->to->database;
    if (!r->to->record.database.engine) r->to->record.database.engine = APP_DATABASE_SQLITE;
    if (p->no_seed) db->seeds.n = 0, db->seeds_said = true;
    manifest_database_places(r, root, "supabase/");
    db->seeds_said = false; /* the file names seed.sql from the first day on, and seldom is there one */
    if (p->no_migrations) db->migrations = (str){0};
}

/* ---- users ---- */

/* "env(NAME)": NAME; else nothing. */
static str manifest_env(str s) { return str_starts(s, STR("env(")) && str_ends(s, STR(")")) ? str_sub(s, 4, s.n - 5) : (str){0}; }

/* Whether something in it is switched on; what is off needs no word. */
static bool is_on(const struct toml *v, int depth) {
    const struct toml *enabled = v->type == TOML_TABLE ? manifest_toml_get(v, "enabled") : NULL;
    bool on = v->type != TOML_TABLE || (enabled && enabled->type == TOML_BOOL && enabled->i);
    for (uint32_t i = 0; v->type == TOML_TABLE && !enabled && i < v->n && !on && depth < 16; i++)
        on = is_on(&v->items[i], depth + 1);
    return on;
}

#define NOT_YET(shape, key, why)                                                                                                 \
    static void shape##_##key(struct reader *r, void *to, const struct toml *v) {                                                \
        if (is_on(v, 0)) tell(r, v, why);                                                                                        \
    }
#define NOTHING(shape, key)                                                                                                      \
    static void shape##_##key(struct reader *r, void *to, const struct toml *v) {}
#define FLAG(shape, key, field)                                                                                                  \
    static void shape##_##key(struct reader *r, void *to, const struct toml *v) { r->to->record.auth.field = v->i; }
#define NUMBER(shape, key, field)                                                                                                \
    static void shape##_##key(struct reader *r, void *to, const struct toml *v) {                                                \
        manifest_auth_number(r, v, MANIFEST_AUTH_##field, v->i);                                                                 \
    }
/* "1m0s": as Go writes it; "": nothing is said. */
#define TIME(shape, key, field)                                                                                                  \
    static void shape##_##key(struct reader *r, void *to, const struct toml *v) {                                                \
        int64_t s;                                                                                                               \
        if (!manifest_auth_time(v->s, &s)) manifest_error(r, v, "it takes a time, such as \"1m30s\"");                           \
        else manifest_auth_number(r, v, MANIFEST_AUTH_##field, s);                                                               \
    }
static void project_auth(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_users, to); }
FLAG(users, enabled, on)
static void users_site_url(struct reader *r, void *to, const struct toml *v) {
    if (v->s.n && !str_starts(v->s, STR("env("))) manifest_auth_site(r, v);
}
static void users_additional_redirect_urls(struct reader *r, void *to, const struct toml *v) { manifest_auth_redirects(r, v); }
NUMBER(users, jwt_expiry, jwt_s)
NOTHING(users, jwt_issuer)
NOT_YET(users, signing_keys_path, "orlo keys import APP takes a key")
NOTHING(users, external_url)
FLAG(users, enable_refresh_token_rotation, rotates)
NUMBER(users, refresh_token_reuse_interval, reuse_s)
FLAG(users, enable_signup, sign_up)
FLAG(users, enable_anonymous_sign_ins, anonymous)
FLAG(users, enable_manual_linking, manual_linking)
NUMBER(users, minimum_password_length, password_min)
static void users_password_requirements(struct reader *r, void *to, const struct toml *v) { manifest_auth_password(r, v); }
static void users_email(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_mail, to); }
static void users_sessions(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_sessions, to); }
static void users_rate_limit(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_rates, to); }
static void users_sms(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_sms, &r->to->record.auth.sms); }
static void users_mfa(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_second, to); }
static void second_totp(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_clock, to); }
static void second_phone(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_phones, to); }
static void second_web_authn(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_keys, to); }
NUMBER(second, max_enrolled_factors, factors_most)
FLAG(clock, enroll_enabled, totp_enrol)
FLAG(clock, verify_enabled, totp)
FLAG(phones, enroll_enabled, factor_phone_enrol)
FLAG(phones, verify_enabled, factor_phone)
NUMBER(phones, otp_length, factor_digits)
NOTHING(phones, template)
TIME(phones, max_frequency, factor_sms_every_s)
FLAG(keys, enroll_enabled, factor_webauthn_enrol)
FLAG(keys, verify_enabled, factor_webauthn)
struct external {
    struct app_provider p;
    bool enabled;
};
#define EXTERNAL(to) (&((struct external *)(to))->p)
static void external_enabled(struct reader *r, void *to, const struct toml *v) { ((struct external *)to)->enabled = v->i; }
static void external_client_id(struct reader *r, void *to, const struct toml *v) {
    if (((struct external *)to)->enabled) manifest_provider_clients(r, v, EXTERNAL(to), false);
}
static void external_secret(struct reader *r, void *to, const struct toml *v) {
    if (((struct external *)to)->enabled) manifest_provider_secret_of_env(r, v, EXTERNAL(to));
}
static void external_redirect_uri(struct reader *r, void *to, const struct toml *v) {
    if (!str_starts(v->s, STR("env("))) manifest_provider_url(r, v, &EXTERNAL(to)->redirect);
}
static void external_url(struct reader *r, void *to, const struct toml *v) {
    if (!str_starts(v->s, STR("env("))) manifest_provider_url(r, v, &EXTERNAL(to)->url);
}
static void external_skip_nonce_check(struct reader *r, void *to, const struct toml *v) { EXTERNAL(to)->skip_nonce = v->i; }
static void external_email_optional(struct reader *r, void *to, const struct toml *v) { EXTERNAL(to)->email_optional = v->i; }
#undef EXTERNAL
static void one_external(struct reader *r, void *to, const struct toml *v) {
    struct external e = {.p.name = v->key};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    e.enabled =
        manifest_toml_get(v, "enabled") && manifest_toml_get(v, "enabled")->i; /* the rest of one that is not is nobody's */
    if (e.enabled && !app_provider_known(v->key)) {
        manifest_remark(
            r, v,
            "not honoured: this provider is not there yet; one that speaks OpenID Connect is made by /admin/custom-providers");
        return;
    }
    read_shape(r, v, SHAPE_external, &e);
    if (e.enabled && !e.p.clients.n) manifest_remark(r, v, "not honoured: it lacks a client_id");
    else if (e.enabled && str_eqc(v->key, "keycloak") && !e.p.url.n) manifest_remark(r, v, "not honoured: it lacks a url");
    else manifest_provider_add(r, v, &e.p, e.enabled);
}
static void users_external(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, 64, one_external, NULL); }
static void hook_enabled(struct reader *r, void *to, const struct toml *v) {}
static void hook_uri(struct reader *r, void *to, const struct toml *v) { manifest_hook_uri(r, to, v); }
static void hook_secrets(struct reader *r, void *to, const struct toml *v) {}
static void one_hook(struct reader *r, const struct toml *v, enum app_hook_name name) {
    struct app_hook *hook = &r->to->record.auth.hooks[name];
    const struct toml *on = manifest_is(r, v, MANIFEST_TABLE) ? manifest_toml_get(v, "enabled") : NULL,
                      *secrets = on ? manifest_toml_get(v, "secrets") : NULL;
    bool enabled = on && on->type == TOML_BOOL && on->i;
    struct app_hook none = {0};
    read_shape(r, v, SHAPE_hook, enabled ? hook : &none);
    if (enabled && !hook->to) manifest_error(r, v, "it lacks a uri");
    if (enabled && hook->to == APP_HOOK_TO_URL && secrets && secrets->type == TOML_STRING)
        manifest_hook_secrets(r, hook, secrets, manifest_hook_names[name]);
}
#define X(name)                                                                                                                  \
    static void hooks_##name(struct reader *r, void *to, const struct toml *v) { one_hook(r, v, APP_HOOK_##name); }
APP_HOOKS_LIST(X)
#undef X
static void users_hook(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_hooks, to); }
NOT_YET(users, third_party, "tokens of others are not taken yet")
NOT_YET(users, web3, "there are no wallets here")
FLAG(oauth_server, enabled, oauth.on)
FLAG(oauth_server, allow_dynamic_registration, oauth.registers)
static void oauth_server_authorization_url_path(struct reader *r, void *to, const struct toml *v) { manifest_oauth_path(r, v); }
static void users_oauth_server(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_oauth_server, to); }
static bool captcha_is_on(const struct toml *v) {
    const struct toml *on = manifest_toml_get(v, "enabled");
    return on && on->type == TOML_BOOL && on->i;
}
static void captcha_enabled(struct reader *r, void *to, const struct toml *v) {}
static void captcha_provider(struct reader *r, void *to, const struct toml *v) {
    if (captcha_is_on(to)) manifest_captcha_provider(r, v);
}
static void captcha_secret(struct reader *r, void *to, const struct toml *v) {
    str name =
        str_starts(v->s, STR("env(")) && str_ends(v->s, STR(")")) ? str_sub(v->s, 4, v->s.n - 5) : STR("AUTH_CAPTCHA_SECRET");
    if (!captcha_is_on(to)) return;
    if (!str_starts(v->s, STR("env(")))
        manifest_remark(r, v, "a secret is not taken from a file: orlo secrets set APP AUTH_CAPTCHA_SECRET");
    manifest_captcha_secret(r, v, name);
}
static void users_captcha(struct reader *r, void *to, const struct toml *v) {
    struct toml own = *v;
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    read_shape(r, v, SHAPE_captcha, &own);
    if (captcha_is_on(v)) manifest_captcha_finish(r, v);
}
static void users_passkey(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_passkey, to); }
static void users_webauthn(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_webauthn, to); }
FLAG(passkey, enabled, passkeys)
static void webauthn_rp_id(struct reader *r, void *to, const struct toml *v) { manifest_auth_rp_id(r, v); }
static void webauthn_rp_display_name(struct reader *r, void *to, const struct toml *v) { manifest_auth_rp_name(r, v); }
static void webauthn_rp_origins(struct reader *r, void *to, const struct toml *v) { manifest_auth_origins(r, v); }
NOTHING(users, publishable_key)
NOTHING(users, secret_key)
NOT_YET(users, jwt_secret, "orlo keys import APP takes it")
NOTHING(users, anon_key)
NOTHING(users, service_role_key)
FLAG(mail, enable_signup, email_sign_up)
FLAG(mail, double_confirm_changes, both_addresses)
FLAG(mail, enable_confirmations, confirm_email)
FLAG(mail, secure_password_change, recent_for_password)
TIME(mail, max_frequency, mail_every_s)
NUMBER(mail, otp_length, otp_digits)
NUMBER(mail, otp_expiry, otp_s)
static void mail_smtp(struct reader *r, void *to, const struct toml *v) {
    struct app_mail *m = &r->to->record.auth.mail;
    const struct toml *enabled = manifest_toml_get(v, "enabled");
    uint32_t before = r->to->errors;
    if (enabled && enabled->type == TOML_BOOL && !enabled->i) return;
    read_shape(r, v, SHAPE_smtp, m);
    if (before == r->to->errors) manifest_mail_finish(r, v, m, "admin_email");
}
NOTHING(smtp, enabled)
static void smtp_host(struct reader *r, void *to, const struct toml *v) { manifest_mail_host(r, v, to); }
static void smtp_port(struct reader *r, void *to, const struct toml *v) { manifest_mail_port(r, v, to); }
static void smtp_user(struct reader *r, void *to, const struct toml *v) {
    manifest_mail_words(r, v, &((struct app_mail *)to)->user);
}
static void smtp_pass(struct reader *r, void *to, const struct toml *v) {
    str secret = manifest_env(v->s);
    if (!secret.n || !manifest_name_ok(secret, APP_NAME_MAX))
        manifest_error(r, v, "a password stands in no file: \"env(SMTP_PASS)\", and orlo secrets set APP SMTP_PASS");
    else manifest_need_secret(r, ((struct app_mail *)to)->secret = secret);
}
static void smtp_admin_email(struct reader *r, void *to, const struct toml *v) {
    manifest_mail_address(r, v, &((struct app_mail *)to)->from);
}
static void smtp_sender_name(struct reader *r, void *to, const struct toml *v) {
    manifest_mail_words(r, v, &((struct app_mail *)to)->sender);
}
static void mail_template(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_mail_templates, to); }
static void mail_notification(struct reader *r, void *to, const struct toml *v) { read_shape(r, v, SHAPE_mail_notices, to); }
static void of_kind(struct reader *r, const struct toml *v, enum app_template_kind kind, int shape) {
    struct app_template t = {.kind = (uint8_t)kind};
    read_shape(r, v, shape, &t);
    manifest_template_add(r, v, &t);
}
#define KIND(shape, of, name)                                                                                                    \
    static void shape##_##name(struct reader *r, void *to, const struct toml *v) {                                               \
        of_kind(r, v, APP_TEMPLATE_##name, SHAPE_##of);                                                                          \
    }
KIND(mail_templates, mail_template, confirmation)
KIND(mail_templates, mail_template, invite)
KIND(mail_templates, mail_template, magic_link)
KIND(mail_templates, mail_template, recovery)
KIND(mail_templates, mail_template, email_change)
KIND(mail_templates, mail_template, reauthentication)
KIND(mail_notices, mail_notice, password_changed)
KIND(mail_notices, mail_notice, email_changed)
KIND(mail_notices, mail_notice, phone_changed)
KIND(mail_notices, mail_notice, identity_linked)
KIND(mail_notices, mail_notice, identity_unlinked)
KIND(mail_notices, mail_notice, mfa_factor_enrolled)
KIND(mail_notices, mail_notice, mfa_factor_unenrolled)
#undef KIND
static void mail_template_subject(struct reader *r, void *to, const struct toml *v) { manifest_template_subject(r, v, to); }
/* From the project's folder, as `supabase start` has it. */
static void mail_template_content_path(struct reader *r, void *to, const struct toml *v) {
    struct toml below = *v;
    while (str_starts(below.s, STR("./"))) below.s = str_sub(below.s, 2, below.s.n);
    ((struct app_template *)to)->html_path = manifest_bundle_path(r, &below);
}
static void mail_notice_enabled(struct reader *r, void *to, const struct toml *v) {
    if (v->i) r->to->record.auth.notify |= 1u << ((struct app_template *)to)->kind;
}
static void mail_notice_subject(struct reader *r, void *to, const struct toml *v) { mail_template_subject(r, to, v); }
static void mail_notice_content_path(struct reader *r, void *to, const struct toml *v) { mail_template_content_path(r, to, v); }
FLAG(sms, enable_signup, phone)
FLAG(sms, enable_confirmations, confirm_phone)
TIME(sms, max_frequency, sms_every_s)
static void sms_template(struct reader *r, void *to, const struct toml *v) { manifest_sms_words(r, v, to); }
static void sms_test_otp(struct reader *r, void *to, const struct toml *v) { manifest_sms_tests(r, v, to); }
/* Of those that are switched on, the first; what the others lack is nobody's affair. */
static void brought_by(struct reader *r, void *to, const struct toml *v, int shape, const char *word) {
    struct app_sms *s = to;
    const struct toml *enabled = manifest_toml_get(v, "enabled");
    if (!enabled || enabled->type != TOML_BOOL || !enabled->i) return;
    if (s->provider) {
        manifest_error(r, v, "two bring messages: only one may be enabled");
        return;
    }
    manifest_sms_provider(r, v, str_c(word), s);
    read_shape(r, v, shape, s);
    manifest_sms_finish(r, v, s);
}
static void take_env(struct reader *r, const struct toml *v, str *to) {
    str secret = manifest_env(v->s);
    if (!secret.n || !manifest_name_ok(secret, APP_NAME_MAX))
        manifest_error(r, v, "what is secret stands in no file: \"env(NAME)\", and orlo secrets set APP NAME");
    else manifest_need_secret(r, *to = secret);
}
#define BROUGHT(key)                                                                                                             \
    static void sms_##key(struct reader *r, void *to, const struct toml *v) { brought_by(r, to, v, SHAPE_##key, #key); }
#define TOKEN(shape, key)                                                                                                        \
    static void shape##_##key(struct reader *r, void *to, const struct toml *v) {                                                \
        take_env(r, v, &((struct app_sms *)to)->secret);                                                                         \
    }
#define WORDS(shape, key, field)                                                                                                 \
    static void shape##_##key(struct reader *r, void *to, const struct toml *v) {                                                \
        manifest_mail_words(r, v, &((struct app_sms *)to)->field);                                                               \
    }
BROUGHT(twilio)
NOT_YET(sms, twilio_verify, "codes are made here: [auth.sms.twilio] brings them as messages")
BROUGHT(messagebird)
BROUGHT(textlocal)
BROUGHT(vonage)
NOTHING(twilio, enabled)
WORDS(twilio, account_sid, account)
WORDS(twilio, message_service_sid, from)
static void twilio_content_sid(struct reader *r, void *to, const struct toml *v) {
    if (v->type == TOML_STRING && v->s.n) tell(r, v, "messages have words, also by WhatsApp");
}
TOKEN(twilio, auth_token)
NOTHING(messagebird, enabled)
WORDS(messagebird, originator, from)
TOKEN(messagebird, access_key)
NOTHING(textlocal, enabled)
WORDS(textlocal, sender, from)
TOKEN(textlocal, api_key)
NOTHING(vonage, enabled)
WORDS(vonage, from, from)
WORDS(vonage, api_key, account)
TOKEN(vonage, api_secret)
#undef BROUGHT
#undef TOKEN
#undef WORDS
TIME(sessions, timebox, timebox_s)
TIME(sessions, inactivity_timeout, idle_s)
NUMBER(rates, email_sent, mails_hour)
NUMBER(rates, sms_sent, sms_hour)
NUMBER(rates, anonymous_users, anonymous_hour)
NUMBER(rates, token_refresh, refreshes)
NUMBER(rates, sign_in_sign_ups, sign_ins)
NUMBER(rates, token_verifications, verifies)
NOTHING(rates, web3)
#undef NOT_YET
#undef NOTHING
#undef FLAG
#undef NUMBER
#undef TIME

/* ---- functions ---- */

static void add_secret(struct reader *r, struct app_grants *g, str env, str key) {
    vec_push(r->mem, &g->secrets, ((struct app_secret_env){env, key}));
    manifest_need_secret(r, key);
}

static void edge_enabled(struct reader *r, void *to, const struct toml *v) { ((struct edge *)to)->is_enabled = v->i; }
static void edge_verify_jwt(struct reader *r, void *to, const struct toml *v) { ((struct edge *)to)->f.verify_jwt = v->i; }
static void edge_import_map(struct reader *r, void *to, const struct toml *v) {}
static void edge_static_files(struct reader *r, void *to, const struct toml *v) {}
/* From the folder supabase, in which this file is; its parent is the app's. */
static void edge_entrypoint(struct reader *r, void *to, const struct toml *v) {
    struct toml below = *v;
    str path = v->s;
    while (str_starts(path, STR("./"))) path = str_sub(path, 2, path.n);
    below.s = str_starts(path, STR("../")) ? str_sub(path, 3, path.n) : arena_fmt(r->mem, "supabase/" STR_FMT, STR_ARG(path));
    ((struct edge *)to)->f.source = manifest_bundle_path(r, &below);
}
static void one_env(struct reader *r, void *to, const struct toml *v) {
    struct app_grants *g = &((struct edge *)to)->f.grants;
    str secret = str_starts(v->s, STR("env(")) && str_ends(v->s, STR(")")) ? str_sub(v->s, 4, v->s.n - 5) : (str){0};
    if (!manifest_name_ok(v->key, APP_NAME_MAX) || (secret.p && !manifest_name_ok(secret, APP_NAME_MAX)))
        manifest_error(r, v, "a variable's name has letters, digits and _");
    else if (secret.p) add_secret(r, g, v->key, secret);
    else vec_push(r->mem, &g->env, ((struct app_env){v->key, v->s}));
}
static void edge_env(struct reader *r, void *to, const struct toml *v) { manifest_each(r, v, APP_NAMES_MAX, one_env, to); }

static void one_edge(struct reader *r, void *to, const struct toml *v) {
    struct project *p = to;
    struct app_record *record = &p->to->record;
    struct edge e = {.p = p, .is_enabled = true, .f = {.name = v->key, .supabase = true, .verify_jwt = true}};
    if (!manifest_is(r, v, MANIFEST_TABLE)) return;
    if (!manifest_name_ok(v->key, APP_NAME_MAX))
        manifest_error(r, v, "a function's name has up to %d letters, digits, - and _", APP_NAME_MAX);
    manifest_place(r, v);
    read_shape(r, v, SHAPE_edge, &e);
    if (!e.is_enabled) return;
    if (!str_ends(e.f.source, STR(".wasm"))) {
        manifest_remark(
            r, v,
            "it is a function of Deno's (" STR_FMT
            "), which does not run here yet: write it for a component (orlo new typescript-hono), "
            "and name that with entrypoint = \"functions/" STR_FMT "/app.wasm\"",
            STR_ARG(e.f.source.n ? e.f.source : arena_fmt(r->mem, "supabase/functions/" STR_FMT "/index.ts", STR_ARG(v->key))),
            STR_ARG(v->key));
        return;
    }
    manifest_add_supabase_route(r, &e.f, record->functions.n);
    vec_push(r->mem, &record->functions, e.f);
}
static void project_functions(struct reader *r, void *to, const struct toml *v) {
    manifest_each(r, v, APP_FUNCTIONS_MAX, one_edge, to);
}

void manifest_read_supabase(struct reader *r, const struct toml *root) {
    struct project p = {.to = r->to};
    struct app_record *record = &r->to->record;
    manifest_auth_begin(r);
    read_shape(r, root, SHAPE_project, &p);
    for (uint32_t i = 0; i < record->functions.n; i++)
        for (uint32_t k = 0; k < p.secrets.n; k++) add_secret(r, &record->functions.p[i].grants, p.secrets.p[k], p.secrets.p[k]);
    manifest_hooks_of_functions(r);
    settle_database(r, &p, root);
    manifest_check_routes(r, root);
    manifest_finish(r, root);
}
