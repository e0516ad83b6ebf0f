/* supabase/config.toml: functions that are WebAssembly files are deployed, all else has a remark. */
#include "manifest/manifest_int.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static arena *mem;

static const char *notes_of(const struct manifest *m) {
    struct buf b = {0};
    for (uint32_t k = 0; k < m->notes.n; k++) buf_puts(&b, manifest_note_text(mem, "f", &m->notes.p[k])), buf_putc(&b, '\n');
    const char *text = arena_cstr(mem, buf_str(&b));
    buf_free(&b);
    return text;
}

static void test_project(void **state) {
    struct manifest m;
    struct diag d = DIAG_INIT;
    const char *text = "project_id = \"My_Shop\"\n[api]\nenabled = true\nport = 54321\nschemas = [\"api\"]\nmax_rows = "
                       "7\n[api.tls]\nenabled = false\n[db]\nport = "
                       "54322\n[auth]\nenabled = true\n"
                       "[edge_runtime]\nenabled = true\npolicy = \"per_worker\"\ndeno_version = 2\n[edge_runtime.secrets]\nTOKEN "
                       "= \"env(TOKEN)\"\n"
                       "[functions.hello]\nimport_map = \"./functions/hello/deno.json\"\n[functions.off]\nenabled = false\n"
                       "[functions.pay]\nentrypoint = \"./functions/pay/app.wasm\"\n"
                       "[functions.hook]\nentrypoint = \"../dist/hook.wasm\"\nverify_jwt = false\nenv = { MODE = \"live\", KEY = "
                       "\"env(STRIPE_KEY)\" }\n";
    if (manifest_read(mem, str_c(text), MANIFEST_SUPABASE, STR(""), &m, &d) != ERR_OK) fail_msg("%s", notes_of(&m));
    const struct app_record *r = &m.record;
    assert_true(str_eqc(r->name, "my-shop") && r->functions.n == 2 && r->routes.n == 2 &&
                str_eqc(r->routes.p[1].path, "/functions/v1/hook"));
    assert_true(str_eqc(r->functions.p[0].source, "supabase/functions/pay/app.wasm") && r->functions.p[0].verify_jwt &&
                r->functions.p[0].supabase);
    assert_true(str_eqc(r->functions.p[1].source, "dist/hook.wasm") && !r->functions.p[1].verify_jwt);
    assert_true(r->functions.p[1].grants.env.n == 1 && r->functions.p[1].grants.secrets.n == 2 &&
                r->functions.p[0].grants.secrets.n == 1);
    assert_true(r->rest.schemas.n == 1 && str_eqc(r->rest.schemas.p[0], "api") && r->limits.rest_rows_max == 7);
    assert_true(r->secrets.n == 2 && str_eqc(r->functions.p[1].grants.secrets.p[0].secret, "STRIPE_KEY"));
    static const char *const told[] = {"the app is called my-shop here",
                                       "edge_runtime.secrets: their values are not taken from here",
                                       "functions.hello: it is a function of Deno's (supabase/functions/hello/index.ts)"};
    for (size_t i = 0; i < ARRAY_COUNT(told); i++)
        if (!strstr(notes_of(&m), told[i])) fail_msg("%s\nlacks %s", notes_of(&m), told[i]);
    assert_true(m.notes.n == ARRAY_COUNT(told));
    assert_true(r->auth.on && !r->auth.confirm_email && r->auth.sign_up);
}

static void test_users(void **state) {
    struct manifest m;
    struct diag d = DIAG_INIT;
    const char *text =
        "project_id = \"a\"\n[auth]\nenabled = true\nsite_url = \"http://127.0.0.1:3000\"\njwt_expiry = "
        "600\nenable_anonymous_sign_ins = "
        "true\n[auth.email]\nenable_confirmations = true\nmax_frequency = \"1m30s\"\notp_length = 8\n[auth.sessions]\ntimebox = "
        "\"24h\"\n[auth.rate_limit]\nsign_in_sign_ups = 7\n[auth.mfa]\nmax_enrolled_factors = 3\n[auth.mfa.totp]\nenroll_enabled "
        "= "
        "false\n[auth.mfa.phone]\nverify_enabled = true\nmax_frequency = \"5s\"\n[auth.mfa.web_authn]\nenroll_enabled = "
        "true\n[auth.passkey]\nenabled = true\n[auth.webauthn]\nrp_id = \"a.example\"\nrp_display_name = \"A\"\nrp_origins = "
        "[\"https://a.example\"]\n[auth.external.apple]\nenabled = "
        "false\n[auth.external.google]\nenabled = true\nclient_id = \"x\"\n[auth.email.smtp]\nhost = "
        "\"h\"\nport = 465\nuser = \"u\"\npass = \"env(SMTP_PASS)\"\nadmin_email = \"a@b.c\"\n[auth.sms]\nenable_signup = "
        "true\nmax_frequency = \"5s\"\n[auth.sms.vonage]\nenabled = true\nfrom = \"F\"\napi_key = \"K\"\napi_secret = "
        "\"env(V)\"\n[auth.sms.twilio]\nenabled = false\naccount_sid = \"\"\nauth_token = \"\"\n[auth.sms.test_otp]\n4152127777 "
        "= \"123456\"\n";
    if (manifest_read(mem, str_c(text), MANIFEST_SUPABASE, STR(""), &m, &d) != ERR_OK) fail_msg("%s", notes_of(&m));
    const struct app_auth *a = &m.record.auth;
    assert_true(a->on && a->anonymous && a->confirm_email && a->jwt_s == 600 && a->mail_every_s == 90 && a->otp_digits == 8);
    assert_true(a->timebox_s == 86400 && a->sign_ins == 7 && str_eqc(a->site_url, "http://127.0.0.1:3000"));
    assert_true(a->factors_most == 3 && a->totp && !a->totp_enrol && a->factor_phone && a->factor_sms_every_s == 5 &&
                a->factor_webauthn_enrol);
    assert_true(str_eqc(a->mail.host, "h") && a->mail.port == 465 && str_eqc(a->mail.secret, "SMTP_PASS") &&
                str_eqc(a->mail.from, "a@b.c"));
    assert_true(a->phone && a->sms_every_s == 5 && a->sms.provider == APP_SMS_VONAGE && str_eqc(a->sms.secret, "V") &&
                a->sms.tests.n == 1);
    assert_true(a->passkeys && str_eqc(a->rp_id, "a.example") && str_eqc(a->rp_name, "A") && a->rp_origins.n == 1);
    assert_true(a->providers.n == 1 && str_eqc(a->providers.p[0].name, "google") &&
                str_eqc(a->providers.p[0].clients.p[0], "x") && a->calls);
    assert_true(!strstr(notes_of(&m), "auth.mfa") && !strstr(notes_of(&m), "auth.passkey"));
}

static void test_providers(void **state) {
    struct manifest m;
    struct diag d = DIAG_INIT;
    const char *text =
        "project_id = \"a\"\n[auth]\nenabled = true\nenable_manual_linking = true\n[auth.external.google]\nenabled = "
        "true\nclient_id = "
        "\"one.apps, env(IOS)\"\nsecret = \"env(GOOGLE_SECRET)\"\nskip_nonce_check = true\nredirect_uri = \"\"\nurl = \"\"\n"
        "[auth.external.github]\nenabled = true\nclient_id = \"gh\"\nsecret = \"as it is\"\nurl = \"https://git.a.example\"\n"
        "[auth.external.apple]\nenabled = false\nclient_id = \"\"\nsecret = \"env(NOT_THERE)\"\n[auth.external.twitch]\nenabled "
        "= true\n"
        "client_id = \"t\"\n[auth.external.keycloak]\nenabled = true\nclient_id = \"k\"\n[auth.external.discord]\nenabled = "
        "true\n";
    if (manifest_read(mem, str_c(text), MANIFEST_SUPABASE, STR(""), &m, &d) != ERR_OK) fail_msg("%s", notes_of(&m));
    const struct app_auth *a = &m.record.auth;
    const struct app_provider *google = &a->providers.p[0], *github = &a->providers.p[1];
    assert_true(a->providers.n == 2 && a->manual_linking && a->calls);
    assert_true(google->clients.n == 2 && str_eqc(google->clients.p[1], "env(IOS)") && str_eqc(google->secret, "GOOGLE_SECRET") &&
                google->skip_nonce && !google->url.n && !google->redirect.n);
    assert_true(str_eqc(github->secret, "AUTH_EXTERNAL_GITHUB_SECRET") && str_eqc(github->url, "https://git.a.example"));
    assert_true(strstr(notes_of(&m), "AUTH_EXTERNAL_GITHUB_SECRET") &&
                strstr(notes_of(&m), "auth.external.twitch: not honoured") && strstr(notes_of(&m), "it lacks a url") &&
                strstr(notes_of(&m), "it lacks a client_id"));
    assert_true(!strstr(notes_of(&m), "NOT_THERE"));
    assert_int_equal(m.record.secrets.n, 3);
    for (uint32_t i = 0; i < m.record.secrets.n; i++) assert_false(m.record.secrets.p[i].required);
}

static void test_hooks(void **state) {
    struct manifest m;
    struct diag d = DIAG_INIT;
    const char *text =
        "project_id = \"a\"\n[auth.hook.custom_access_token]\nenabled = true\nuri = "
        "\"pg-functions://postgres/public/token_hook\"\n"
        "[auth.hook.send_email]\nenabled = true\nuri = \"http://host.docker.internal:54321/functions/v1/mail\"\nsecrets = "
        "\"env(MAIL_HOOK)\"\n[auth.hook.send_sms]\nenabled = true\nuri = \"https://a.example/sms\"\nsecrets = \"v1,whsec_AAAA\"\n"
        "[auth.hook.before_user_created]\nenabled = false\nuri = \"pg-functions://postgres/public/gate\"\n[functions.mail]\n"
        "entrypoint = \"./functions/mail/app.wasm\"\n";
    if (manifest_read(mem, str_c(text), MANIFEST_SUPABASE, STR(""), &m, &d) != ERR_OK) fail_msg("%s", notes_of(&m));
    const struct app_hook *hooks = m.record.auth.hooks;
    assert_true(hooks[APP_HOOK_custom_access_token].to == APP_HOOK_TO_SQL &&
                str_eqc(hooks[APP_HOOK_custom_access_token].at, "public.token_hook"));
    assert_true(hooks[APP_HOOK_send_email].to == APP_HOOK_TO_FUNCTION && str_eqc(hooks[APP_HOOK_send_email].at, "mail") &&
                str_eqc(hooks[APP_HOOK_send_email].secret, "MAIL_HOOK"));
    assert_true(hooks[APP_HOOK_send_sms].to == APP_HOOK_TO_URL &&
                str_eqc(hooks[APP_HOOK_send_sms].secret, "AUTH_HOOK_SEND_SMS_SECRETS"));
    assert_true(!hooks[APP_HOOK_before_user_created].to);
    assert_true(strstr(notes_of(&m), "a secret is not taken from a file") != NULL);
}

static void test_database(void **state) {
    struct manifest m;
    struct diag d = DIAG_INIT;
    const char *text =
        "project_id = \"a\"\n[db]\nport = 54322\nmajor_version = 15\n[db.migrations]\nschema_paths = [\"./schemas/*.sql\"]\n"
        "[db.seed]\nsql_paths = [\"./seed.sql\", \"../seeds/*.sql\"]\n[orlo]\ndatabase = \"postgres\"\n";
    if (manifest_read(mem, str_c(text), MANIFEST_SUPABASE, STR(""), &m, &d) != ERR_OK) fail_msg("%s", notes_of(&m));
    assert_int_equal(m.record.database.engine, APP_DATABASE_POSTGRES);
    assert_true(str_eqc(m.database.migrations, "supabase/migrations") && !m.database.migrations_said && m.database.seeds.n == 2 &&
                !m.database.seeds_said);
    assert_true(str_eqc(m.database.seeds.p[0], "supabase/seed.sql") && str_eqc(m.database.seeds.p[1], "seeds/*.sql"));
    assert_true(m.notes.n == 1 && strstr(notes_of(&m), "db.migrations.schema_paths: not honoured") != NULL);
    text = "project_id = \"a\"\n[db.seed]\nenabled = false\n[db.migrations]\nenabled = false\n";
    if (manifest_read(mem, str_c(text), MANIFEST_SUPABASE, STR(""), &m, &d) != ERR_OK) fail_msg("%s", notes_of(&m));
    assert_int_equal(m.record.database.engine, APP_DATABASE_SQLITE);
    assert_true(!m.database.migrations.n && !m.database.seeds.n);
}

static void test_mistakes(void **state) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"project_id = \"a\"\norlo.database = \"mysql\"", "orlo.database: it takes \"sqlite\", \"postgres\""},
        {"project_id = \"a\"\ndb.seed.sql_paths = [\"/etc/passwd\"]", "db.seed.sql_paths: it takes a path below"},
        {"project_id = \"__\"", "project_id: a project's id has letters and digits"},
        {"porject_id = \"a\"", "unknown key `porject_id` at line 1, did you mean `project_id`?"},
        {"functions.a = 1", "functions.a: it takes a table, not a number"},
        {"functions.a.verify_jwt = 1", "functions.a.verify_jwt: it takes true or false, not a number"},
        {"functions.a.entrypoint = \"/etc/a.wasm\"", "functions.a.entrypoint: it takes a path below"},
        {"functions.a.entrypoint = \"../../a.wasm\"", "functions.a.entrypoint: it takes a path below"},
        {"functions.a.verfy_jwt = true", "unknown key `verfy_jwt` at line 1, did you mean `verify_jwt`?"},
        {"functions.a.env = { \"a b\" = \"\" }", "functions.a.env.a b: a variable's name has"},
        {"edge_runtime.secrets = { \"a b\" = \"\" }", "edge_runtime.secrets.a b: a secret's name has"},
        {"functions.a.entrypoint = \"a.wasm\"", "it lacks a name: the app's"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct manifest m;
        struct diag d = DIAG_INIT;
        if (manifest_read(mem, str_c(cases[i].text), MANIFEST_SUPABASE, STR(""), &m, &d) != ERR_INVALID)
            fail_msg("%s\nis taken", cases[i].text);
        if (!strstr(notes_of(&m), cases[i].says)) fail_msg("%s\nsays: %s\nnot: %s", cases[i].text, notes_of(&m), cases[i].says);
    }
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_project, begin, end),   cmocka_unit_test_setup_teardown(test_database, begin, end),
        cmocka_unit_test_setup_teardown(test_users, begin, end),     cmocka_unit_test_setup_teardown(test_hooks, begin, end),
        cmocka_unit_test_setup_teardown(test_providers, begin, end), cmocka_unit_test_setup_teardown(test_mistakes, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
