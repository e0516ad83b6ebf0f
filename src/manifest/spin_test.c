/* spin.toml: real applications' manifests become what they mean here; what cannot be is told with its line. */
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

static const struct manifest *read_app(const char *text) {
    struct manifest m, *again = arena_make(mem, struct manifest);
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    if (manifest_read(mem, str_c(text), MANIFEST_SPIN, STR(""), &m, &d) != ERR_OK) fail_msg("%s", notes_of(&m));
    manifest_write(&b, &m);
    if (manifest_decode(mem, arena_str(mem, buf_str(&b)), again, &d) != ERR_OK) fail_msg("%s", d.text);
    buf_free(&b);
    return again;
}

#define HEAD "spin_manifest_version = 2\n[application]\nname = \"a\"\n"
#define ROUTE(route, component) "[[trigger.http]]\nroute = \"" route "\"\ncomponent = \"" component "\"\n"

/* As `spin new -t http-rust` of Spin 3 writes it. */
static void test_new(void **state) {
    const struct manifest *m = read_app(
        "#:schema https://schemas.spinframework.dev/spin/manifest-v2/latest.json\n\nspin_manifest_version = 2\n\n[application]\n"
        "name = \"my_App\"\nversion = \"0.1.0\"\nauthors = [\"A <a@example.org>\"]\ndescription = \"\"\n\n"
        "[[trigger.http]]\nroute = \"/...\"\ncomponent = \"my-app\"\n\n[component.my-app]\n"
        "source = \"target/wasm32-wasip1/release/my_app.wasm\"\nallowed_outbound_hosts = []\n"
        "[component.my-app.build]\ncommand = \"cargo build --target wasm32-wasip1 --release\"\nwatch = [\"src/**/*.rs\", "
        "\"Cargo.toml\"]\n");
    const struct app_record *r = &m->record;
    assert_true(str_eqc(r->name, "my-app") && r->functions.n == 1 && r->functions.p[0].spin);
    assert_true(str_eqc(r->functions.p[0].source, "target/wasm32-wasip1/release/my_app.wasm"));
    assert_true(r->routes.n == 1 && str_eqc(r->routes.p[0].path, "/") && !r->routes.p[0].exact);
    assert_true(m->builds.n == 1 && str_eqc(m->builds.p[0].function, "my-app") && m->builds.p[0].watch.n == 2);
    assert_true(m->notes.n == 1 && strstr(notes_of(m), "f:6:8: application.name: the app is called my-app here"));
}

static void routes_are(const char *text, const char *expected) {
    const struct app_record *r = &read_app(text)->record;
    struct buf b = {0};
    for (uint32_t i = 0; i < r->routes.n; i++) {
        const struct app_route *route = &r->routes.p[i];
        str name = route->to == APP_TO_FUNCTION ? r->functions.p[route->index].name : r->redirects.p[route->index].to;
        buf_printf(&b, "%s" STR_FMT "%s " STR_FMT "\n", route->exact ? "=" : "", STR_ARG(route->path),
                   route->slash ? " slash" : "", STR_ARG(name));
    }
    buf_putc(&b, 0);
    if (strcmp((char *)b.p, expected) != 0) fail_msg("%s\nnot\n%s", b.p, expected);
    buf_free(&b);
}

static void test_all_routes(void **state) {
    routes_are(
        HEAD ROUTE("/", "b") ROUTE("/cart", "b") ROUTE("/list/", "c") ROUTE("/shop/...", "b") ROUTE("/users/:id", "b")
            ROUTE("/users/:userid/posts/...", "c") "[component.b]\nsource = \"b.wasm\"\n[component.c]\nsource = \"c.wasm\"\n",
        "=/ slash b\n=/cart slash b\n=/list slash c\n/shop b\n=/users/:id slash b\n/users/:userid/posts c\n");
    routes_are(HEAD "[application.trigger.http]\nbase = \"/v1/\"\n" ROUTE("/...", "b")
                   ROUTE("/x", "b") "[component.b]\nsource = \"b.wasm\"\n",
               "/v1 b\n=/v1/x slash b\n");
    routes_are(HEAD
               "[[trigger.http]]\nroute = \"/old\"\nstatic_response = { status_code = 302, headers = { location = \"/new\" } }\n",
               "=/old slash /new\n");
    routes_are(HEAD "[[trigger.http]]\nroute = \"/x\"\ncomponent = { source = \"inline.wasm\" }\n", "=/x slash trigger-0\n");
}

/* What a component may: variables, hosts, stores, folders. */
static void test_component(void **state) {
    const struct manifest *m = read_app(
        HEAD "[variables]\nhost = { default = \"api.example.org\" }\ntoken = { required = true, secret = true }\nlevel = { "
             "default = \"low\", secret = true }\n" ROUTE(
                 "/...", "main") "[[trigger.http]]\nroute = { private = true }\ncomponent = \"mail\"\n[[trigger.redis]]\nchannel "
                                 "= \"c\"\ncomponent = \"only-redis\"\n"
                                 "[component.main]\nsource = \"main.wasm\"\nenvironment = { A = \"{{ not a template }}\" }\n"
                                 "variables = { url = \"https://{{ host }}/\", auth = \"Bearer {{token}}\", level = \"{{ level "
                                 "}}\", plain = \"x\" }\n"
                                 "allowed_outbound_hosts = [\"https://{{ host }}\", \"http://localhost:3000\", "
                                 "\"*://10.0.0.0/8:8000..8010\", \"https://*.example.org:*\", "
                                 "\"redis://cache:6379\", \"http://mail.spin.internal\", \"http://self\", \"postgres://db\"]\n"
                                 "key_value_stores = [\"default\", \"cache\"]\nsqlite_databases = [\"default\"]\nai_models = "
                                 "[\"llama2-chat\"]\n"
                                 "files = [\"assets/**/*\", { source = \"static\", destination = \"/\" }, \"index.html\"]\n"
                                 "[component.main.build]\ncommand = [\"npm install\", \"npm run build\"]\nworkdir = "
                                 "\"ui\"\nwatch = [\"src/**\"]\n"
                                 "[component.mail]\nsource = \"mail.wasm\"\n[component.only-redis]\nsource = "
                                 "\"r.wasm\"\n[component.only-redis.build]\ncommand = \"x\"\n");
    const struct app_record *r = &m->record;
    const struct app_grants *g = &r->functions.p[0].grants;
    assert_true(r->functions.n == 2 && str_eqc(r->functions.p[1].name, "mail") && r->routes.n == 1);
    assert_true(g->variables.n == 4 && str_eqc(g->variables.p[0].value, "https://api.example.org/") && !g->variables.p[0].secret);
    assert_true(g->variables.p[1].secret && str_eqc(g->variables.p[1].value, "Bearer {{ token }}") && g->variables.p[2].secret);
    assert_true(r->secrets.n == 2 && r->secrets.p[0].required && !r->secrets.p[1].required &&
                str_eqc(r->secrets.p[1].otherwise, "low"));
    assert_true(str_eqc(g->env.p[0].value, "{{ not a template }}"));
    assert_int_equal(g->allow_http.n, 4);
    assert_true(g->allow_http.p[0].scheme == APP_SCHEME_HTTPS && g->allow_http.p[0].port_to == 443 &&
                str_eqc(g->allow_http.p[0].name, "api.example.org"));
    assert_true(g->allow_http.p[1].scheme == APP_SCHEME_HTTP && g->allow_http.p[1].port_to == 3000);
    assert_true(g->allow_http.p[2].scheme == APP_SCHEME_ANY && g->allow_http.p[2].port_from == 8000 &&
                g->allow_http.p[2].port_to == 8009);
    assert_true(str_eqc(g->allow_http.p[3].name, "*.example.org") && g->allow_http.p[3].port_to == UINT16_MAX);
    assert_true(g->net.n == 1 && g->net.p[0].uses == 1u << APP_NET_TCP && g->net.p[0].bits == 8);
    assert_true(g->functions.n == 1 && str_eqc(g->functions.p[0], "mail"));
    assert_true(g->stores.n == 2 && g->sqlite.n == 1 && g->dirs.n == 2 && g->dirs.p[0].read_only &&
                str_eqc(g->dirs.p[0].guest, "/assets"));
    assert_true(m->builds.n == 1 && str_eqc(m->builds.p[0].command, "npm install && npm run build") &&
                str_eqc(m->builds.p[0].watch.p[0], "ui/src/**"));
    static const char *const told[] = {"there are no models here",
                                       "\"index.html\" is not there",
                                       "reads these folders where they are",
                                       "requests to the app itself are not granted",
                                       "no client for redis://",
                                       "no client for postgres://",
                                       "nothing happens on redis",
                                       "no HTTP trigger names the component only-redis"};
    for (size_t i = 0; i < ARRAY_COUNT(told); i++)
        if (!strstr(notes_of(m), told[i])) fail_msg("%s\nlacks %s", notes_of(m), told[i]);
    assert_true(m->notes.n == ARRAY_COUNT(told));
}

#define DIGEST "\"sha256:ef88708817e107bf49985c7cefe4dd1f199bf26f6727819183d5c996baa3d148\""

static void test_remote(void **state) {
    const struct manifest *m = read_app(HEAD ROUTE(
        "/x/...", "x") "[component.x]\nsource = { url = \"https://example.org/v0.3.0/x.wasm\", digest = " DIGEST " }\n");
    assert_true(m->fetches.n == 1 && str_eqc(m->fetches.p[0].function, "x") && m->fetches.p[0].digest[0] == 0xef);
    assert_true(str_eqc(m->record.functions.p[0].source, "x.wasm") && m->record.functions.p[0].module[31] == 0x48);
}

/* What half of the public ones have: a file server and a redirect from their release pages, before an API. The node does that itself. */
static void test_stands_for(void **state) {
    const struct manifest *m = read_app(HEAD ROUTE("/", "home") ROUTE("/...", "site") ROUTE("/app/...", "spa") ROUTE(
        "/api", "api") "[component.home]\nsource = { url = \"https://example.org/v0.1.0/redirect.wasm\", digest = " DIGEST
                       " }\nenvironment = { DESTINATION = \"/index.html\" }\n"
                       "[component.site]\nsource = { url = \"https://example.org/v0.3.0/spin_static_fs.wasm\", digest = " DIGEST
                       " }\n"
                       "files = [{ source = \"site/dist\", destination = \"/\" }]\nenvironment = { CUSTOM_404_PATH = "
                       "\"404.html\" }\n[component.site.build]\ncommand = \"make\"\n"
                       "[component.spa]\nsource = \"modules/spin_static_fs.wasm\"\nfiles = [{ source = \"web\", destination = "
                       "\"/\" }]\nenvironment = { FALLBACK_PATH = \"index.html\" }\n"
                       "[component.api]\nsource = \"api.wasm\"\n");
    const struct app_record *r = &m->record;
    assert_true(r->functions.n == 1 && r->files.n == 2 && r->redirects.n == 1 && m->fetches.n == 0 && r->routes.n == 4);
    assert_true(str_eqc(r->files.p[0].folder, "site/dist") && str_eqc(r->files.p[0].not_found, "404.html") &&
                !r->files.p[0].spa && r->files.p[1].spa);
    assert_true(str_eqc(r->redirects.p[0].to, "/index.html") && r->redirects.p[0].status == 302 &&
                r->routes.p[0].to == APP_TO_REDIRECT);
    assert_true(r->routes.p[1].to == APP_TO_FILES && r->routes.p[2].index == 1 && r->routes.p[3].to == APP_TO_FUNCTION);
    assert_true(m->builds.n == 1 && !m->builds.p[0].function.n && m->notes.n == 3);
}

static void says(const char *text, const char *what) {
    struct manifest m;
    struct diag d = DIAG_INIT;
    if (manifest_read(mem, str_c(text), MANIFEST_SPIN, STR(""), &m, &d) != ERR_INVALID) fail_msg("%s\nis taken", text);
    if (!strstr(notes_of(&m), what)) fail_msg("%s\nsays: %s\nnot: %s", text, notes_of(&m), what);
}

static void test_mistakes(void **state) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "it lacks spin_manifest_version = 2"},
        {"", "it has no triggers"},
        {"spin_manifest_version = \"1\"", "it is a manifest of Spin 1: `spin doctor`"},
        {"spin_manifest_version = 3", "spin_manifest_version: it takes 2"},
        {"spin_version = \"1\"", "spin_version: it is a manifest of Spin 1"},
        {"spin_versoin = 2", "unknown key `spin_versoin` at line 1, did you mean `spin_version`?"},
        {"application.name = \"--\"", "application.name: a name has letters and digits"},
        {"application.nmae = \"a\"", "unknown key `nmae` at line 1, did you mean `name`?"},
        {"application.trigger.http.base = \"x\"", "the base of routes is a path"},
        {"variables.a = {}", "variables.a: it needs a default, or required = true"},
        {"variables.a = { default = \"x\", required = true }", "variables.a: it is required and has a default"},
        {"variables.a = { default = 1 }", "variables.a.default: it takes a string, not a number"},
        {"variables.\"a b\" = { default = \"\" }", "variables.a b: a variable's name has letters"},
        {"trigger.http = 1", "trigger.http: it takes an array of tables, not a number"},
        {"[[trigger.http]]\ncomponent = \"x\"", "trigger.http.0: it lacks a route"},
        {"[[trigger.http]]\nroute = \"/\"", "trigger.http.0: it lacks a component"},
        {"[[trigger.http]]\nroute = { private = false }\ncomponent = \"x\"", "it takes a path, or { private = true }"},
        {HEAD ROUTE("/", "nobody"), "there is no component nobody"},
        {HEAD ROUTE("x", "b") "[component.b]\nsource = \"b\"", "a path begins with a slash"},
        {HEAD ROUTE("/a/*", "b") "[component.b]\nsource = \"b\"", "'=/a/*'"},
        {HEAD ROUTE("/a", "b") ROUTE("/a", "b") "[component.b]\nsource = \"b\"", "the route =/a stands there twice"},
        {HEAD ROUTE("/a", "b") "executor = { type = \"cgi\" }\n[component.b]\nsource = \"b\"",
         "its type is http, spin, wasi or wagi"},
        {"[[trigger.http]]\nroute = \"/\"\nstatic_response = { status_code = 200 }", "only redirects are honoured"},
        {"[[trigger.http]]\nroute = \"/\"\ncomponents = { middleware = \"x\" }", "middleware by components is not honoured"},
        {"[component.a]", "component.a: it lacks a source"},
        {"component.a.source = \"../a.wasm\"", "component.a.source: it takes a path below"},
        {"component.a.source = { url = \"https://x\" }", "component.a.source: it lacks a digest"},
        {"component.a.source = { url = \"ftp://x\", digest = \"sha256:00\" }", "component.a.source.url: it takes an https://"},
        {"component.a.source = { url = \"https://x\", digest = \"md5:00\" }", "component.a.source.digest: it takes sha256:"},
        {"component.a.source = { package = \"a:b\", version = \"1.0.0\" }", "packages of a registry are not fetched"},
        {"component.a.variables = { x = \"{{ nothing }}\" }",
         "component.a.variables.x: there is no variable nothing in [variables]"},
        {"component.a.variables = { x = \"{{ open\" }", "component.a.variables.x: {{ without }}"},
        {"component.a.variables = { \"x y\" = \"\" }", "component.a.variables.x y: a variable's name has letters"},
        {"component.a.allowed_outbound_hosts = [\"example.org\"]",
         "component.a.allowed_outbound_hosts.0: it takes SCHEME://HOST[:PORT]"},
        {"component.a.allowed_outbound_hosts = [\"insecure:allow-all\"]", "it takes SCHEME://HOST[:PORT]"},
        {"component.a.allowed_outbound_hosts = [\"*://x\"]", "it takes a port"},
        {"component.a.allowed_outbound_hosts = [\"https://x:9..5\"]", "it takes a port"},
        {"component.a.allowed_outbound_hosts = [\"https://a/b\"]", "it takes HOST[:PORT], without a path"},
        {"component.a.allowed_outbound_hosts = [\"http://b.spin.internal\"]", "there is no component b, which a calls"},
        {"variables.s = { required = true }\ncomponent.a.allowed_outbound_hosts = [\"https://{{ s }}\"]",
         "a host is granted when it is deployed"},
        {"component.a.allowed_http_hosts = [\"insecure:allow-all\"]", "all are allowed_outbound_hosts"},
        {"component.a.key_value_stores = [\"a/b\"]", "component.a.key_value_stores.0: a label has"},
        {"component.a.files = [{ source = \"x\" }]", "component.a.files.0: it takes a source and a destination"},
        {"component.a.files = [{ source = \"../x\", destination = \"/\" }]", "it takes a path below"},
        {"component.a.files = [{ source = \"x\", destination = \"y\" }]", "it takes a path that begins with a slash"},
        {"component.a.files = [1]", "component.a.files.0: it takes a table, not a number"},
        {"component.a.dependencies = { \"a:b\" = \"1\" }", "dependencies are not composed here"},
        {"component.a.build = {}", "component.a.build: it lacks a command"},
        {"component.a.build.command = 1", "component.a.build.command: it takes a string, or an array"},
        {"component.a.exclude_file = [\"x\"]", "unknown key `exclude_file` at line 1, did you mean `exclude_files`?"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) says(cases[i].text, cases[i].says);
}

/* Those of the old key, and files that are excluded. */
static void test_old(void **state) {
    const struct manifest *m = read_app(HEAD ROUTE(
        "/", "b") "[component.b]\nsource = \"b\"\nallowed_http_hosts = [\"example.org\", \"https://x.org:8443\", \"self\"]\n"
                  "files = [\"assets/*\"]\nexclude_files = [\"assets/secret\"]\n");
    const struct app_grants *g = &m->record.functions.p[0].grants;
    assert_true(g->allow_http.n == 3 && g->allow_http.p[1].port_to == 80 && !g->functions.n && !g->dirs.n);
    assert_non_null(strstr(notes_of(m), "files cannot be excluded from a folder"));
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new, begin, end),
        cmocka_unit_test_setup_teardown(test_all_routes, begin, end),
        cmocka_unit_test_setup_teardown(test_stands_for, begin, end),
        cmocka_unit_test_setup_teardown(test_component, begin, end),
        cmocka_unit_test_setup_teardown(test_remote, begin, end),
        cmocka_unit_test_setup_teardown(test_mistakes, begin, end),
        cmocka_unit_test_setup_teardown(test_old, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
