/* orlo.toml: each key is read; each mistake of each key is told with its line; what a job found comes over as it was. */
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

static const struct manifest *read_whole(const char *text) {
    struct manifest m, *again = arena_make(mem, struct manifest);
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    if (manifest_read(mem, str_c(text), MANIFEST_ORLO, STR(""), &m, &d) != ERR_OK) fail_msg("%s", notes_of(&m));
    manifest_write(&b, &m);
    str bytes = arena_str(mem, buf_str(&b));
    if (manifest_decode(mem, bytes, again, &d) != ERR_OK) fail_msg("%s", d.text);
    b.n = 0;
    manifest_write(&b, again);
    assert_true(str_eq(bytes, buf_str(&b)));
    for (size_t n = 0; n < b.n; n++) assert_int_equal(manifest_decode(mem, str_sub(bytes, 0, n), &m, NULL), ERR_MALFORMED);
    buf_free(&b);
    return again;
}

static const char whole[] =
    "name = \"shop\"\ndatabase = \"sqlite\"\nhosts = [\"Shop.example.org\", \"*.shop.example.org\", \"*\"]\nweight = 3\nbuild = "
    "\"make\"\n"
    "[env]\nA = \"1\"\nB = \"1\"\n"
    "[limits]\nmemory_mb = 64\ntimeout_ms = 5000\n"
    "[cors]\norigins = [\"https://a.example\"]\nmethods = [\"PUT\"]\nheaders = [\"x-a\"]\nexpose = [\"etag\"]\ncredentials = "
    "true\nmax_age_s = 60\n"
    "[compress]\nenabled = true\nmin_bytes = 99\ntypes = [\"model/\"]\n"
    "[functions.api]\nsource = \"./dist/api.wasm\"\nbuild = { command = \"npm run build\", dir = \"api\", watch = "
    "[\"src/**/*.ts\"] }\n"
    "routes = [\"/api/\", \"=/health\", \"/users/:id\", { path = \"/v1\", strip = true }]\nenv = { B = \"2\" }\n"
    "secrets = [\"STRIPE_KEY\"]\nallow_http = [\"api.stripe.com\"]\nallow_net = [\"tcp:10.0.0.1:5432\"]\n"
    "dirs = [\"data::/data:ro\"]\nfunctions = [\"mail\"]\ndatabase = [\"caller\", \"service_role\"]\nstores = "
    "[\"default\"]\nsqlite = { default = \"main\" }\n"
    "variables = { greeting = \"{{ hi }}\", key = { secret = \"API_KEY\" } }\nforward = \"http://127.0.0.1:3000\"\n"
    "limits = { memory_mb = \"128M\" }\nsupabase = true\nverify_jwt = false\nspin_headers = true\n"
    "[functions.mail]\nsource = \"mail.wasm\"\nsecrets = { SMTP = \"STRIPE_KEY\" }\n"
    "[[files]]\nfolder = \"public/\"\nnot_found = \"404.html\"\n[[files]]\nroute = \"/app\"\nfolder = \"app\"\nspa = true\n"
    "[[redirects]]\nfrom = \"=/old\"\nto = \"/new\"\nstatus = 301\n[[redirects]]\nfrom = \"/docs\"\nto = "
    "\"https://docs.example/\"\n";

static void test_record(void **state) {
    const struct app_record *r = &read_whole(whole)->record;
    assert_true(str_eqc(r->name, "shop") && r->is_default && r->hosts.n == 2 && str_eqc(r->hosts.p[0], "shop.example.org") &&
                r->weight == 3);
    assert_true(r->limits.memory_bytes_max == 64 * MiB && r->limits.handler_ms_max == 5000 && r->limits.files_max == 1024);
    assert_true(r->cors.credentials && r->cors.max_age_s == 60 && r->cors.methods.n == 1 && r->cors.expose.n == 1 &&
                r->cors.headers.n == 1);
    assert_true(!r->compress.off && r->compress.bytes_min == 99 && r->compress.types.n == 1);
    assert_true(r->files.n == 2 && str_eqc(r->files.p[0].folder, "public") && str_eqc(r->files.p[0].index, "index.html"));
    assert_true(str_eqc(r->files.p[0].not_found, "404.html") && r->files.p[1].spa && !r->files.p[0].spa);
    assert_true(r->redirects.n == 2 && r->redirects.p[0].status == 301 && r->redirects.p[1].status == 308);
    assert_true(r->secrets.n == 2 && str_eqc(r->secrets.p[1].key, "API_KEY") && r->secrets.p[0].required);
}

static void test_rules(void **state) {
    const struct app_record *r =
        &read_whole("name = \"a\"\nhosts = [\"www.a.example\"]\nhttps = \"redirect\"\n[hsts]\ninclude_subdomains = true\n"
                    "[[files]]\nfolder = \"p\"\nclean_urls = true\nimmutable = false\ncache = [{ match = \"x/*\", value = "
                    "\"no-store\" }]\n"
                    "[[redirects]]\nhost = \"WWW.a.example\"\nto = \"https://a.example\"\n"
                    "[[redirects]]\nfrom = \"/s\"\nquery = { id = \":id\" }\nto = \"/t/:id\"\n[[redirects]]\nfrom = "
                    "\"/old/*\"\nto = \"/n/:splat\"\n"
                    "[[headers]]\nset = { X-A = \"1\" }\nappend = { Link = \"</a>\" }\nremove = [\"X-B\"]\n"
                    "[[rules]]\nmatch = \"/u\"\nmethods = [\"PUT\"]\nbody_kb = 64\n[[rates]]\nmatch = \"/api/*\"\nrequests = "
                    "10\nby = \"header:X-Key\"\n"
                    "[[cors]]\nmatch = \"/api/*\"\norigins = [\"*\"]\nprivate_network = true\n[[cors]]\norigins = "
                    "[\"https://b.example\"]\n")
             ->record;
    const struct app_rules *s = &r->rules;
    assert_true(s->any && s->https && s->hsts_s == 15552000 && s->hsts_subdomains && !s->hsts_preload);
    assert_true(r->files.p[0].clean && r->files.p[0].no_immutable && str_eqc(r->files.p[0].cache.p[0].match, "/x/*"));
    assert_true(s->moved.n == 2 && str_eqc(s->moved.p[0].host, "www.a.example") && str_eqc(s->moved.p[0].from, "/*"));
    assert_true(s->moved.p[1].query.n == 1 && s->moved.p[1].status == 308);
    assert_true(r->redirects.n == 1 && str_eqc(r->routes.p[1].path, "/old"));
    assert_true(s->headers.n == 1 && s->headers.p[0].fields.n == 3 && str_eqc(s->headers.p[0].fields.p[0].name, "x-a"));
    assert_true(s->allows.n == 1 && s->allows.p[0].body_bytes_max == 64 * KiB && str_eqc(s->allows.p[0].methods.p[0], "PUT"));
    assert_true(s->rates.n == 1 && s->rates.p[0].burst == 10 && s->rates.p[0].per_s == 60 &&
                str_eqc(s->rates.p[0].name, "rate-1"));
    assert_true(s->rates.p[0].by == APP_RATE_BY_HEADER && str_eqc(s->rates.p[0].header, "x-key"));
    assert_true(s->cors.n == 1 && s->cors.p[0].cors.private_network && r->cors.origins.n == 1);
}

static void test_function(void **state) {
    const struct manifest *m = read_whole(whole);
    const struct app_function *f = &m->record.functions.p[0];
    const struct app_grants *g = &f->grants;
    assert_true(m->record.functions.n == 2 && str_eqc(f->name, "api") && str_eqc(f->source, "dist/api.wasm"));
    assert_true(g->env.n == 2 && str_eqc(g->env.p[0].key, "A") && str_eqc(g->env.p[1].value, "2"));
    assert_true(f->limits.memory_bytes_max == 128 * MiB && f->limits.handler_ms_max == 5000);
    assert_true(f->supabase && !f->verify_jwt && f->spin && !m->record.functions.p[1].verify_jwt);
    assert_true(g->secrets.n == 1 && str_eqc(m->record.functions.p[1].grants.secrets.p[0].env, "SMTP"));
    assert_true(g->allow_http.n == 1 && g->net.n == 1 && g->dirs.p[0].read_only && str_eqc(g->dirs.p[0].host, "data"));
    assert_true(str_eqc(g->functions.p[0], "mail") && str_eqc(g->stores.p[0].store, "default") &&
                str_eqc(g->sqlite.p[0].store, "main"));
    assert_true(g->roles.n == 2 && str_eqc(g->roles.p[0], "caller"));
    assert_true(g->variables.n == 2 && !g->variables.p[0].secret && str_eqc(g->variables.p[0].value, "{{ hi }}"));
    assert_true(g->variables.p[1].secret && str_eqc(g->variables.p[1].value, "{{ API_KEY }}"));
    assert_true(str_eqc(g->forward_authority, "127.0.0.1:3000"));
    assert_true(m->builds.n == 2 && !m->builds.p[0].function.n && str_eqc(m->builds.p[0].command, "make"));
    assert_true(str_eqc(m->builds.p[1].function, "api") && str_eqc(m->builds.p[1].dir, "api") && m->builds.p[1].watch.n == 1);
    assert_int_equal(m->notes.n, 0);
    assert_true(m->places.n == 4 && manifest_place_of(m, STR("functions.mail.source"))->line == 42 &&
                !manifest_place_of(m, STR("functions.mailer")));
}

/* "=/health f0", a line a route: s strips, i is internal. */
static void routes_are(const char *text, const char *expected) {
    const struct app_record *r = &read_whole(text)->record;
    struct buf b = {0};
    for (uint32_t i = 0; i < r->routes.n; i++) {
        const struct app_route *route = &r->routes.p[i];
        buf_printf(&b, "%s" STR_FMT "%s %c%u\n", route->exact ? "=" : "", STR_ARG(route->path), route->strip ? " strip" : "",
                   "fsr"[route->to], route -> index);
    }
    buf_putc(&b, 0);
    if (strcmp((char *)b.p, expected) != 0) fail_msg("%s\nnot\n%s", b.p, expected);
    buf_free(&b);
}

static void test_routes(void **state) {
    routes_are(whole,
               "/ s0\n/app s1\n=/old r0\n/docs r1\n/api f0\n=/health f0\n/users/:id f0\n/v1 strip f0\n/functions/v1/api f0\n");
    routes_are("name = \"a\"\nfunctions.f.source = \"f.wasm\"\n", "/ f0\n");
    routes_are("name = \"a\"\nfunctions.f.source = \"f.wasm\"\nfunctions.f.routes = []\n", "");
    routes_are("name = \"a\"\nfunctions.f.source = \"f.wasm\"\nfunctions.f.supabase = true\n", "/functions/v1/f f0\n");
    routes_are("name = \"a\"\nfunctions.f.source = \"f.wasm\"\nfiles = [{ folder = \"p\" }]\n", "/ s0\n");
    const struct manifest *m = read_whole("name = \"a\"\nfunctions.f.source = \"f.wasm\"\nfiles = [{ folder = \"p\" }]\n");
    if (m->notes.n != 1 || m->notes.p[0].is_error || !strstr(notes_of(m), "f:2:11: functions.f has no routes"))
        fail_msg("%s", notes_of(m));
}

/* A name from elsewhere stands in for the file's; a node's defaults for what is not said. */
static void test_others(void **state) {
    struct manifest m;
    struct diag d = DIAG_INIT;
    assert_int_equal(manifest_read(mem, str_c(whole), MANIFEST_ORLO, STR("other"), &m, &d), ERR_OK);
    assert_true(str_eqc(m.record.name, "other"));
    const struct app_limits defaults = {.handler_ms_max = 1, .memory_bytes_max = MiB, .files_max = 7};
    manifest_defaults(&m, &defaults, &(struct app_limits){0});
    assert_true(m.record.limits.files_max == 7 && m.record.limits.memory_bytes_max == 64 * MiB);
    assert_true(m.record.functions.p[0].limits.files_max == 7 && m.record.functions.p[0].limits.memory_bytes_max == 128 * MiB);
    assert_true(m.record.functions.p[1].limits.handler_ms_max == 5000);
    /* of what nobody said, what the operator lets everybody have; what was said stays, and is refused elsewhere */
    const struct app_limits max = {
        .files_max = 3, .memory_bytes_max = MiB, .app_memory_bytes_max = 9, .burst_max = 5, .instance_requests = 2};
    manifest_defaults(&m, &defaults, &max);
    const struct app_limits *has = &m.record.limits;
    assert_true(has->files_max == 3 && has->memory_bytes_max == 64 * MiB && has->app_memory_bytes_max == 9);
    assert_true(has->rate_max == 0 && has->burst_max == 5 && has->instance_requests == 0);
    manifest_defaults(&m, &defaults, &(struct app_limits){.rate_max = 4, .burst_max = 5});
    assert_true(has->rate_max == 4 && has->burst_max == 0);
}

static void says(const char *text, const char *what) {
    struct manifest m;
    struct diag d = DIAG_INIT;
    if (manifest_read(mem, str_c(text), MANIFEST_ORLO, STR(""), &m, &d) != ERR_INVALID) fail_msg("%s\nis taken", text);
    if (!strstr(notes_of(&m), what)) fail_msg("%s\nsays: %s\nnot: %s", text, notes_of(&m), what);
}

/* What the library says nothing of has a line all the same. */
static void test_unsure(void **state) {
    says("name = \"a\"\n[env]\nA = \"1\"\nB = \"1\"\n[limits]\n[*x]\nz = 2\n", "f:6:1: this is no TOML");
    says("[*x]", "f:1:1: this is no TOML");
    says("[*x]\n\n\n\n\n", "f:1:1: this is no TOML");
    says("\n\n\n\n\n[*x]", "f:6:1: this is no TOML");
}

static void test_letters(void **state) {
    says("name = \"a\"\nx = \"\xd1\x93\x92\"", "f:2:1: it has bytes that are no UTF-8");
    says("x = 1\xd1\x93", "f:1:6: Error while parsing decimal integer");
    says("\xd1\x93 = 1", "f:1:1: Error while parsing");
    says("\"\xd1\x93\" = 1", "f:1:1: unknown key `\xd1\x93` at line 1");
}

static void test_mistakes(void **state) {
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "f:1:1: it lacks a name"},
        {"", "f:1:1: it has neither functions nor files nor redirects"},
        {"name = \"A b\"", "f:1:8: name: an app's name has up to 63 letters"},
        {"nmae = \"a\"", "f:1:1: unknown key `nmae` at line 1, did you mean `name`?"},
        {"hosts = [\"https://a\"]", "hosts.0: 'https://a': it takes a host, no URL; write shop.example.org"},
        {"hosts = [\"a:80\"]", "hosts.0: 'a:80': a host is answered at every port; write a"},
        {"hosts = [\"a\", \"A\"]", "hosts.1: the host a stands there twice"},
        {"weight = 0", "weight: it takes a number from 1 to 10000"},
        {"env = { \"\" = \"a\" }", "env.: a variable's name is not empty"},
        {"env.\"A=B\" = \"a\"", "env.A=B: a variable's name is not empty and has no ="},
        {"env = { A = 1 }", "f:1:13: env: it takes strings, not a number"},
        {"[functions.api.limits]\nmemroy_mb = 1",
         "f:2:1: functions.api.limits: unknown key `memroy_mb` at line 2, did you mean `memory_mb`?"},
        {"limits.workers = 1", "limits: unknown key `workers` at line 1"},
        {"limits.memory_mb = \"much\"", "limits.memory_mb: it takes a size such as 64M or 1GiB, not 'much'"},
        {"limits.timeout_ms = 0", "limits.timeout_ms: it takes a number above 0, not 0"},
        {"limits.head_kb = 100000", "limits.head_kb: it takes a size up to 16M, not 100000K"},
        {"cors = {}", "cors: it lacks origins"},
        {"compress = { types = [\"text\"] }", "compress.types.0: it takes media types"},
        {"compress = { types = [\"a/b;c\"] }", "compress.types.0: it takes media types"},
        {"compress = { min_bytes = 2000000000 }", "compress.min_bytes: it takes up to 1073741824"},
        {"cors = { origins = [\"a.example\"] }", "cors.origins.0: it takes origins"},
        {"cors = { origins = [\"https://a.example/\"] }", "cors.origins.0: it takes origins"},
        {"cors = { origins = [\"*\"], credentials = true }", "credentials are not for every origin"},
        {"cors = { origins = [\"*\"], max_age_s = 604801 }", "cors.max_age_s: it takes up to 604800"},
        {"cors = { origins = [\"*\"], methods = [\"GET, PUT\"] }", "cors.methods.0: it takes names, each a string of its own"},
        {"build = \"\"", "build: it lacks a command"},
        {"build = {}", "build: it lacks a command"},
        {"build = { command = \"a\", dir = \"../x\" }", "build.dir: it takes a path below the manifest's folder"},
        {"build = { command = \"a\", watch = [\"/etc\"] }", "build.watch.0: it takes a path below the manifest's folder"},
        {"functions = { \"A b\" = {} }", "functions.A b: a function's name has up to 63 letters"},
        {"functions.a = 1", "functions.a: it takes a table, not a number"},
        {"[functions.a]", "functions.a: it lacks a source"},
        {"functions.a.source = \"/etc/x.wasm\"", "functions.a.source: it takes a path below the manifest's folder"},
        {"functions.a.source = \"a/../../x.wasm\"", "functions.a.source: it takes a path below"},
        {"functions.a.routes = [\"api\"]", "functions.a.routes.0: 'api': a path begins with a slash; write /api"},
        {"functions.a.routes = [1]", "functions.a.routes.0: it takes a string, or a table with a path"},
        {"functions.a.routes = [{}]", "functions.a.routes.0: it lacks a path"},
        {"functions.a.routes = [{ path = \"/a/*\" }]",
         "functions.a.routes.0.path: '/a/*': a path is answered with all below it; write /a"},
        {"functions.a.routes = [\"/a\", \"/a/\"]", "the route /a stands there twice"},
        {"functions.a.secrets = [\"a b\"]", "functions.a.secrets.0: a name has up to 63 letters"},
        {"functions.a.secrets = { A = 1 }", "functions.a.secrets: it takes strings, not a number"},
        {"functions.a.allow_http = [\"a/b\"]", "functions.a.allow_http.0: 'a/b': it takes HOST[:PORT], without a path; write a"},
        {"functions.a.allow_net = [\"http://a\"]", "functions.a.allow_net.0: 'http://a': it takes KIND:HOST:PORT, no URL"},
        {"functions.a.dirs = [\"data:/data\"]", "functions.a.dirs.0: 'data:/data': two colons stand between"},
        {"functions.a.functions = [\"b\"]", "functions.a calls b, and there is no function of that name"},
        {"functions.a.functions = [\"*b\"]", "functions.a.functions.0: a name has up to 63"},
        {"functions.a.stores = [\"\"]", "functions.a.stores.0: a name has up to 63"},
        {"functions.a.database = [\"caller\"]", "functions.a.database: it is for an app with a database"},
        {"functions.a.database = [\"a b\"]", "functions.a.database.0: it takes \"caller\", a role's name, or \"*\""},
        {"functions.a.sqlite = { a = \"../x\" }", "functions.a.sqlite.a: a name has up to 63"},
        {"functions.a.variables = { a = 1 }", "functions.a.variables.a: it takes a string, or { secret"},
        {"functions.a.variables = { a = {} }", "functions.a.variables.a: it lacks a secret's name"},
        {"functions.a.variables = { a = { secert = \"x\" } }", "unknown key `secert` at line 1, did you mean `secret`?"},
        {"functions.a.forward = \"a\"", "functions.a.forward: 'a': it takes http://HOST[:PORT]"},
        {"functions.a.verify_jwt = false", "verify_jwt is for a function with supabase = true"},
        {"files = [1]", "files.0: it takes a table, not a number"},
        {"files = [{}]", "files.0: it lacks a folder"},
        {"files = [{ folder = \"a\", route = \"=/a\" }]", "files.0.route: a folder is at a path with all below it"},
        {"files = [{ folder = \"a\", index = \"\", spa = true }]", "files.0: with spa it needs an index"},
        {"files = [{ folder = \"a\" }, { folder = \"b\" }]", "the route / stands there twice"},
        {"redirects = [{ to = \"/\" }]", "redirects.0: it lacks from"},
        {"redirects = [{ from = \"/a/:b\", to = \"/:c\" }]", "redirects.0: to: it has a :name that what it is led from"},
        {"redirects = [{ from = \"/a\", to = \"/:splat\" }]", "redirects.0: to: it has a :name"},
        {"redirects = [{ host = \"a b\", to = \"/\" }]", "redirects.0.host: "},
        {"redirects = [{ query = { \"a&b\" = \"\" }, to = \"/\" }]", "redirects.0.query.a&b: it takes a parameter"},
        {"redirects = [{ query = { id = \":id\" }, to = \"/:idd\" }]", "redirects.0: to: it has a :name"},
        {"redirects = [{ host = \"a.example\", from = \"/*/*\", to = \"/\" }]", "redirects.0: a pattern has one star"},
        {"https = \"always\"", "https: it takes \"redirect\""},
        {"hsts = { preload = true }", "hsts: browsers' lists take those alone"},
        {"hsts = { max_age_s = 0 }", "hsts.max_age_s: it takes a number from 1"},
        {"headers = [{ match = \"a\" }]", "headers.0.match: a pattern begins with / or *"},
        {"headers = [{ match = \"/%61\" }]", "headers.0.match: a pattern is of a path as it is once it was decoded"},
        {"headers = [{ match = \"/a/../b\" }]", "headers.0.match: a pattern is of a path as it is once"},
        {"headers = [{ set = { \"a b\" = \"x\" } }]", "headers.0.set.a b: a header field's name has"},
        {"headers = [{ set = { a = \"x\\r\\ny: z\" } }]", "headers.0.set.a: a header field's value has"},
        {"headers = [{ set = { a = \"\" } }]", "headers.0.set.a: a header field's value has"},
        {"headers = [{ set = { Content-Length = \"1\" } }]", "a rule does not change Content-Length"},
        {"headers = [{ remove = [\"Transfer-Encoding\"] }]", "headers.0.remove.0: a rule does not change"},
        {"rules = [{ match = \"/a\" }]", "rules.0: it says nothing"},
        {"rules = [{ methods = [\"get\"] }]", "rules.0.methods.0: a method is a word in capital letters"},
        {"rules = [{ body_kb = 0 }]", "rules.0.body_kb: it takes a number above 0"},
        {"rates = [{ match = \"/a\" }]", "rates.0: it lacks requests"},
        {"rates = [{ requests = 0 }]", "rates.0.requests: it takes a number from 1"},
        {"rates = [{ requests = 1, per_s = 86401 }]", "rates.0.per_s: it takes a number from 1 to 86400"},
        {"rates = [{ requests = 1, by = \"moon\" }]", "rates.0.by: it takes \"address\""},
        {"rates = [{ requests = 1, by = \"header:\" }]", "rates.0.by: it takes \"address\""},
        {"rates = [{ requests = 1, name = \"a\\\"b\" }]", "rates.0: a rate's name has"},
        {"rates = [{ requests = 1, name = \"a\" }, { requests = 2, name = \"a\" }]",
         "rates.1: there are two rates with the name a"},
        {"cors = [{ match = \"/a\" }]", "cors.0: it lacks origins"},
        {"files = [{ folder = \"a\", cache = [{ match = \"*.js\" }] }]", "files.0.cache.0: it lacks match, or value"},
        {"files = [{ folder = \"a\", cache = [{ match = \"a/:b/:\", value = \"x\" }] }]",
         "files.0.cache.0.match: a name in a pattern"},
        {"redirects = [{ from = \"/\" }]", "redirects.0: it lacks to"},
        {"redirects = [{ from = \"/a\", to = \"//evil.example\" }]", "redirects.0.to: it takes a path, or an https://"},
        {"redirects = [{ from = \"/a\", to = \"javascript:x\" }]", "redirects.0.to: it takes a path"},
        {"redirects = [{ from = \"/a\", to = \"/b\", status = 200 }]",
         "redirects.0.status: it takes 301, 302, 303, 307 or 308, not 200"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) says(cases[i].text, cases[i].says);
}

/* ---- every key of the tables, and every type that it is not ---- */

/* What holds the tables is in the record, a password is not. */
static void test_database(void **state) {
    const struct manifest *m = read_whole("name = \"a\"\ndatabase = \"sqlite\"\n");
    assert_int_equal(m->record.database.engine, APP_DATABASE_SQLITE);
    assert_true(str_eqc(m->database.migrations, "migrations") && !m->database.migrations_said);
    assert_true(m->database.seeds.n == 1 && str_eqc(m->database.seeds.p[0], "seed.sql") && !m->database.seeds_said);
    m = read_whole("name = \"a\"\ndatabase = \"postgres\"\nmigrations = \"./db/sql/\"\nseed = [\"a.sql\", \"seeds/*.sql\"]\n");
    assert_int_equal(m->record.database.engine, APP_DATABASE_POSTGRES);
    assert_true(str_eqc(m->database.migrations, "db/sql") && m->database.migrations_said && m->database.seeds.n == 2);
    m = read_whole("name = \"a\"\ndatabase = { secret = \"PG\" }\nseed = []\n");
    assert_true(m->record.database.engine == APP_DATABASE_SERVER && str_eqc(m->record.database.secret, "PG") &&
                !m->database.seeds.n);
    assert_true(m->record.secrets.n == 1 && str_eqc(m->record.secrets.p[0].key, "PG") && m->record.secrets.p[0].required);
    m = read_whole("name = \"a\"\ndatabase = \"postgres://u:hunter2@db.example/x\"\n");
    assert_true(str_eqc(m->record.database.secret, "DATABASE_URL") &&
                str_eqc(m->database.url, "postgres://u:hunter2@db.example/x"));
    struct buf b = {0};
    app_record_write(&b, &m->record);
    assert_null(memmem(b.p, b.n, "hunter2", 7));
    buf_free(&b);
    assert_null(strstr(notes_of(m), "hunter2"));
    says("database = \"postgres:/u:hunter2@db.example\"", "database: it takes \"sqlite\", \"postgres\", a URL postgres://…");
    m = read_whole("name = \"a\"\ndatabase = \"sqlite\"\nlimits = { rest_rows = 50 }\n[rest]\nschemas = [\"api\", "
                   "\"public\"]\nsearch_path = [\"x\"]\npre_request = "
                   "\"private.check\"\naggregates = true\nplan = true\nopenapi = false\nroot_spec = \"api.about\"\njwt_aud = "
                   "\"shop\"\nerror_details = "
                   "false\nserver_timing = true\n");
    assert_true(m->record.rest.schemas.n == 2 && str_eqc(m->record.rest.schemas.p[0], "api") && m->record.rest.search.n == 1);
    assert_true(str_eqc(m->record.rest.before, "private.check") && m->record.rest.aggregates && m->record.rest.plans);
    assert_true(m->record.rest.no_openapi && !m->record.rest.off && m->record.limits.rest_rows_max == 50);
    assert_true(m->record.rest.terse && m->record.rest.timed && str_eqc(m->record.rest.root, "api.about") &&
                str_eqc(m->record.rest.audience, "shop"));
    says("[rest]\njwt_aud = \"\"", "rest.jwt_aud: an audience has");
    m = read_whole("name = \"a\"\ndatabase = \"sqlite\"\n[auth]\nsite_url = \"https://a.example\"\nredirect_urls = "
                   "[\"myapp://**\"]\nconfirm_email = true\npassword_min = 12\npassword_needs = \"letters_digits\"\n");
    assert_true(m->record.auth.on && m->record.auth.confirm_email && m->record.auth.password_min == 12 &&
                m->record.auth.passwords == APP_PASSWORD_LETTERS_DIGITS && m->record.auth.jwt_s == 3600);
    assert_true(str_eqc(m->record.auth.redirects.p[0], "myapp://**"));
    assert_true(m->record.auth.totp && !m->record.auth.passkeys && !m->record.auth.factor_webauthn);
    m = read_whole(
        "name = \"a\"\ndatabase = \"sqlite\"\n[auth.mfa]\nwebauthn = true\n[auth.passkeys]\nrp_id = \"a.example\"\norigins = "
        "[\"https://b.a.example:8443\", \"android:apk-key-hash:Ab_1\"]\n");
    assert_true(m->record.auth.on && m->record.auth.passkeys && m->record.auth.factor_webauthn &&
                m->record.auth.rp_origins.n == 2);
    says("database = \"sqlite\"\n[auth.passkeys]\nrp_id = \"https://a\"", "auth.passkeys.rp_id: it takes a domain");
    says("database = \"sqlite\"\n[auth.passkeys]\nrp_id = \"127.0.0.1\"", "auth.passkeys.rp_id: it takes a domain");
    says("database = \"sqlite\"\n[auth.passkeys]\norigins = [\"https://a/b\"]",
         "auth.passkeys.origins.0: it takes where a page is from");
    says("database = \"sqlite\"\n[auth.mfa]\nsms_digits = 5", "auth.mfa.sms_digits: it takes 6 to 10, not 5");
    says("database = \"sqlite\"\n[auth]\nsite_url = \"a.example\"", "auth.site_url: it takes a URL");
    m = read_whole("name = \"a\"\ndatabase = \"sqlite\"\n[auth]\nmanual_linking = true\n[auth.providers.apple]\nclient_id = "
                   "[\"a\", \"b\"]\nsecret = "
                   "\"APPLE\"\nteam_id = \"T\"\nkey_id = \"K\"\n[auth.providers.acme]\nclient_id = \"env(ACME)\"\nissuer = "
                   "\"https://id.acme.example/\"\nscopes = [\"a\", \"b\"]\n[auth.providers.off]\nenabled = false\n");
    assert_true(m->record.auth.providers.n == 2 && m->record.auth.calls && m->record.auth.manual_linking &&
                m->record.secrets.n == 2);
    assert_true(m->record.auth.providers.p[0].clients.n == 2 && str_eqc(m->record.auth.providers.p[1].scopes, "a b") &&
                str_eqc(m->record.auth.providers.p[1].issuer, "https://id.acme.example/") && m->record.secrets.p[0].required);
#define PROVIDER "database = \"sqlite\"\n[auth.providers."
    says(PROVIDER "acme]\nclient_id = \"a\"\n", "auth.providers.acme: it lacks an issuer (OpenID Connect)");
    says(PROVIDER "acme]\nissuer = \"https://a.example\"\n", "auth.providers.acme: it lacks a client_id");
    says(PROVIDER "acme]\nclient_id = \"a\"\nissuer = \"a.example\"\n", "auth.providers.acme.issuer: it takes a URL");
    says(PROVIDER "acme]\nclient_id = \"a\"\nissuer = \"https://a.example\"\ntoken_url = \"https://a.example\"\n",
         "it has an issuer, which says");
    says(PROVIDER "github]\nclient_id = \"a\"\nissuer = \"https://a.example\"\n", "auth.providers.github: where it is is known");
    says(PROVIDER "keycloak]\nclient_id = \"a\"\n", "auth.providers.keycloak: it lacks a url");
    says(PROVIDER "\"A b\"]\nclient_id = \"a\"\n", "a provider's name has up to");
    says(PROVIDER "apple]\nclient_id = \"a\"\nteam_id = \"T\"\n", "team_id and key_id are Apple's");
    says(PROVIDER "github]\nclient_id = \"a\"\nsecret = \"a secret\"\n",
         "auth.providers.github.secret: it takes the name of a secret");
#undef PROVIDER
    says("database = \"sqlite\"\n[auth]\nredirect_urls = [\"//x\"]", "auth.redirect_urls.0: it takes a URL");
    m = read_whole(
        "name = \"a\"\ndatabase = \"sqlite\"\n[auth.mail]\nhost = \"smtp.example.org\"\nuser = \"u\"\npassword = { secret = "
        "\"PW\" }\nadmin_email = \"a@b.c\"\nsender_name = \"Shop\"\ntls = \"tls\"\n");
    const struct app_mail *mail = &m->record.auth.mail;
    assert_true(m->record.auth.on && str_eqc(mail->host, "smtp.example.org") && mail->port == 587 &&
                mail->tls == APP_MAIL_TLS_TLS);
    assert_true(str_eqc(mail->secret, "PW") && str_eqc(mail->from, "a@b.c") && str_eqc(m->record.secrets.p[0].key, "PW"));
    m = read_whole("name = \"a\"\ndatabase = \"sqlite\"\n[auth.sms]\nprovider = \"twilio\"\naccount = \"AC\"\ntoken = { secret = "
                   "\"T\" }\nfrom = "
                   "\"MG\"\nmessage = \"{{ .Code }}!\"\ntest_codes = { \"+1555\" = \"123456\" }\n");
    const struct app_sms *sms = &m->record.auth.sms;
    assert_true(m->record.auth.phone && m->record.auth.calls && sms->provider == APP_SMS_TWILIO && str_eqc(sms->secret, "T"));
    assert_true(sms->tests.n == 1 && str_eqc(sms->tests.p[0].phone, "1555") && str_eqc(sms->words, "{{ .Code }}!"));
    m = read_whole("name = \"a\"\ndatabase = \"sqlite\"\n[auth.mail]\nnotify = "
                   "[\"password_changed\"]\n[auth.templates.invite]\nsubject = \"{{ "
                   ".Email }}\"\nhtml = \"m/i.html\"\n[auth.templates.invite.languages.pt-BR]\ntext = \"m/i.txt\"\n");
    assert_true(m->record.auth.templates.n == 2 && m->record.auth.notify == 1u << APP_TEMPLATE_password_changed);
    says("database = \"sqlite\"\n[auth.templates.invite]\nsubject = \"{{ .OldEmail }}\"", "there is no .OldEmail here");
    says("database = \"sqlite\"\n[auth.templates.invite]\nhtml = \"/etc/passwd\"",
         "auth.templates.invite.html: it takes a path below");
    says("database = \"sqlite\"\n[auth.templates.invite.languages.x]\nsubject = \"a\"", "a language is");
    says("database = \"sqlite\"\n[auth.mail]\nnotify = [\"invite\"]", "auth.mail.notify.0: nobody is told of that");
    says("database = \"sqlite\"\n[auth.sms]\nprovider = \"pigeon\"", "auth.sms.provider: it takes \"twilio\"");
    says("database = \"sqlite\"\n[auth.sms]\nprovider = \"twilio\"", "auth.sms: it lacks an account");
    says("database = \"sqlite\"\n[auth.sms]\nmessage = \"no code\"", "auth.sms.message: it takes a line of up to 480 bytes");
    says("database = \"sqlite\"\n[auth.sms]\nmessage = \"{{ .Token }}\"", "there is no .Token here");
    says("database = \"sqlite\"\n[auth.sms.test_codes]\nx = \"123456\"", "auth.sms.test_codes.x: a number has up to 15 digits");
    says("database = \"sqlite\"\n[auth.sms.test_codes]\n15 = \"12\"", "a code has 6 to 10 digits");
    says("database = \"sqlite\"\n[auth.sms]\nurl = \"ftp://x\"", "auth.sms.url: it takes a URL");
    says("database = \"sqlite\"\n[auth.mail]\nhost = \"a b\"", "auth.mail.host: it takes a name or an address");
    says("database = \"sqlite\"\n[auth.mail]\nhost = \"a\"\nport = 65536", "auth.mail.port: it takes a port");
    says("database = \"sqlite\"\n[auth.mail]\nhost = \"a\"", "auth.mail: it lacks admin_email");
    says("database = \"sqlite\"\n[auth.mail]\nhost = \"a\"\nadmin_email = \"a\\nb@c.d\"",
         "auth.mail.admin_email: it takes an address");
    says("database = \"sqlite\"\n[auth.mail]\nsender_name = \"a\\nb\"", "auth.mail.sender_name: it takes a line");
    says("database = \"sqlite\"\n[auth.mail]\nhost = \"a\"\nadmin_email = \"a@b.c\"\nuser = \"u\"",
         "auth.mail: it has a user, and no password");
    says("database = \"sqlite\"\n[auth.mail]\ntls = \"ssl\"", "auth.mail.tls: it takes \"auto\"");
    m = read_whole("name = \"a\"\ndatabase = \"sqlite\"\n[auth.passwords]\nmin = 10\nneeds = \"letters_digits\"\nleaked = "
                   "\"https://a.example/range/\"\nleaked_closed = true\n");
    assert_true(m->record.auth.on && m->record.auth.password_min == 10 && m->record.auth.calls && m->record.auth.leaked_closed &&
                str_eqc(m->record.auth.leaked_url, "https://a.example/range/"));
    says("database = \"sqlite\"\n[auth.passwords]\nleaked = \"https://a.example\"",
         "auth.passwords.leaked: it takes a URL that ends");
    says("database = \"sqlite\"\n[auth]\npassword_min = 5", "auth.password_min: it takes 6 to 72, not 5");
    says("database = \"sqlite\"\n[auth]\npassword_needs = \"much\"", "auth.password_needs: it takes \"letters_digits\"");
    says("[auth]\n", "auth is for an app with a database");
    m = read_whole(
        "name = \"a\"\ndatabase = \"sqlite\"\n[functions.f]\nsource = \"f.wasm\"\n[auth.hooks.before_user_created]\nfunction = "
        "\"f\"\n[auth.hooks.custom_access_token]\nsql = \"token_hook\"\n[auth.hooks.send_email]\nurl = "
        "\"https://hooks.example/mail\"\nsecret = \"HOOK\"\n");
    const struct app_hook *hooks = m->record.auth.hooks;
    assert_true(hooks[APP_HOOK_before_user_created].to == APP_HOOK_TO_FUNCTION &&
                str_eqc(hooks[APP_HOOK_before_user_created].at, "f"));
    assert_true(hooks[APP_HOOK_custom_access_token].to == APP_HOOK_TO_SQL &&
                str_eqc(hooks[APP_HOOK_custom_access_token].at, "public.token_hook"));
    assert_true(hooks[APP_HOOK_send_email].to == APP_HOOK_TO_URL && str_eqc(hooks[APP_HOOK_send_email].secret, "HOOK") &&
                m->record.auth.calls && !hooks[APP_HOOK_send_sms].to);
    says("database = \"sqlite\"\n[auth.oauth_server]\nconsent_path = \"//evil.example\"",
         "auth.oauth_server.consent_path: it takes a path");
    says("database = \"sqlite\"\n[auth.captcha]\nprovider = \"x\"", "auth.captcha.provider: it takes \"hcaptcha\"");
    says("database = \"sqlite\"\n[auth.captcha]\nprovider = \"turnstile\"", "it lacks a secret");
    says("database = \"sqlite\"\n[auth.pages]\n[auth.captcha]\nprovider = \"turnstile\"\nsecret = \"C\"",
         "captchas are not on the node's own pages");
    says("database = \"sqlite\"\n[auth.pages]\ncolour = \"red\"", "auth.pages.colour: it takes a colour");
    says("database = \"sqlite\"\n[auth.pages]\nlogo = \"https://a.example/l.png; script-src *\"",
         "auth.pages.logo: it takes an https URL");
    m = read_whole(
        "name = \"a\"\ndatabase = \"sqlite\"\n[auth.oauth_server]\nregistration = true\n[auth.pages]\nname = \"The shop\"\n"
        "colour = \"#12ab34\"\n");
    assert_true(m->record.auth.oauth.on && m->record.auth.oauth.registers && m->record.auth.pages.on &&
                str_eqc(m->record.auth.pages.name, "The shop") && str_eqc(m->record.auth.pages.colour, "#12ab34"));
    says("database = \"sqlite\"\n[auth.hooks.send_email]\nfunction = \"g\"", "the app has no function \"g\"");
    says("database = \"sqlite\"\n[auth.hooks.send_email]\nurl = \"https://a.example\"", "it lacks a secret, by which");
    says("database = \"sqlite\"\n[auth.hooks.send_email]\nurl = \"ftp://a.example\"",
         "auth.hooks.send_email.url: it takes a URL");
    says("database = \"sqlite\"\n[auth.hooks.send_email]\nsql = \"a.b.c\"", "auth.hooks.send_email.sql: it takes a function");
    says("database = \"sqlite\"\n[auth.hooks.send_email]\nsql = \"f\"\nfunction = \"f\"", "leads to one place");
    says("database = \"sqlite\"\n[auth.hooks.send_email]\n", "it lacks one of function, sql, url");
    m = read_whole(
        "name = \"a\"\ndatabase = \"sqlite\"\n[functions.f]\nsource = \"f.wasm\"\nrpc = \"read\"\n"
        "[[functions.f.triggers]]\ntable = \"orders\"\n"
        "[[functions.f.triggers]]\ntable = \"shop.a.b\"\non = [\"update\", \"all\"]\ncolumns = [\"a b\"]\nattempts = 3\n");
    const struct app_function *f = &m->record.functions.p[0];
    assert_true(f->rpc && f->rpc_reads && m->record.follows && f->triggers.n == 2 && !m->record.routes.n);
    assert_true(str_eqc(f->triggers.p[0].schema, "public") && f->triggers.p[0].on == 7 && f->triggers.p[0].attempts == 8);
    assert_true(str_eqc(f->triggers.p[1].schema, "shop") && str_eqc(f->triggers.p[1].table, "a.b") && f->triggers.p[1].on == 10 &&
                str_eqc(f->triggers.p[1].columns.p[0], "a b"));
    says("[functions.f]\nrpc = \"write\"", "functions.f.rpc: it takes true, false or \"read\"");
    says("[functions.f]\ntriggers = [{ on = [\"insert\"] }]", "functions.f.triggers.0: it lacks a table");
    says("[functions.f]\ntriggers = [{ table = \".a\" }]",
         "functions.f.triggers.0.table: a name in the database has 1 to 63 bytes");
    says("[functions.f]\ntriggers = [{ table = \"a\", on = [\"truncate\"] }]",
         "on.0: it takes \"insert\", \"update\", \"delete\" and \"all\"");
    says("[functions.f]\ntriggers = [{ table = \"a\", attempts = 0 }]", "attempts: it takes a number from 1 to 100");
    says("[functions.f]\nsource = \"f\"\ntriggers = [{ table = \"a\" }]",
         "functions.f.triggers: it is for an app with a database");
    says(
        "database = \"sqlite\"\nlimits = { database_changes = 1 }\n[functions.f]\nsource = \"f\"\ntriggers = [{ table = \"a\" }]",
        "keeps no changes");
    says("database = { secret = \"PG\" }\n[functions.f]\nsource = \"f\"\ntriggers = [{ table = \"a\" }]",
         "changes of a server of yours are not kept");
    says("[rest]\nschemas = []", "rest.schemas: it names no schema");
    says("[rest]\npre_request = \"a.\"", "rest.pre_request: a function is");
    says("database = {}", "database: it lacks a secret");
    says("database = { secret = \"a b\" }", "database.secret: a secret's name has letters, digits and _");
    says("migrations = \"m\"", "migrations is for an app with a database");
    says("database = \"sqlite\"\nmigrations = \"../m\"", "migrations: it takes a path below");
    says("database = \"sqlite\"\nseed = [\"/etc/x\"]", "seed: it takes a path below");
}

static const char *const values[] = {[TOML_STRING] = "\"x\"",    [TOML_INTEGER] = "1", [TOML_FLOAT] = "0.5", [TOML_BOOL] = "true",
                                     [TOML_DATE] = "1979-05-27", [TOML_ARRAY] = "[]",  [TOML_TABLE] = "{}"};
static const struct {
    const char *shape, *before, *path, *after;
} places[] = {
    {"app", "", "", ""},
    {"function", "[functions.f]\n", "functions.f.", ""},
    {"route", "functions.f.routes = [{ ", "functions.f.routes.0.", " }]"},
    {"build", "[build]\n", "build.", ""},
    {"variable", "[functions.f.variables.v]\n", "functions.f.variables.v.", ""},
    {"cors", "[cors]\n", "cors.", ""},
    {"compress", "[compress]\n", "compress.", ""},
    {"files", "[[files]]\n", "files.0.", ""},
    {"redirect", "[[redirects]]\n", "redirects.0.", ""},
    {"cache", "[[files]]\ncache = [{ ", "files.0.cache.0.", " }]"},
    {"headers", "[[headers]]\n", "headers.0.", ""},
    {"rule", "[[rules]]\n", "rules.0.", ""},
    {"rate", "[[rates]]\n", "rates.0.", ""},
    {"hsts", "[hsts]\n", "hsts.", ""},
    {"limits", "[limits]\n", "limits.", ""},
    {"database", "[database]\n", "database.", ""},
    {"rest", "[rest]\n", "rest.", ""},
    {"auth", "[auth]\n", "auth.", ""},
    {"provider", "[auth.providers.acme]\n", "auth.providers.acme.", ""},
    {"mfa", "[auth.mfa]\n", "auth.mfa.", ""},
    {"passwords", "[auth.passwords]\n", "auth.passwords.", ""},
    {"auth_mail", "[auth.mail]\n", "auth.mail.", ""},
    {"auth_sms", "[auth.sms]\n", "auth.sms.", ""},
    {"templates", "[auth.templates]\n", "auth.templates.", ""},
    {"template", "[auth.templates.invite]\n", "auth.templates.invite.", ""},
    {"template_language", "[auth.templates.invite.languages.de]\n", "auth.templates.invite.languages.de.", ""},
    {"auth_secret", "[auth.mail.password]\n", "auth.mail.password.", ""},
    {"passkeys", "[auth.passkeys]\n", "auth.passkeys.", ""},
    {"oauth_server", "[auth.oauth_server]\n", "auth.oauth_server.", ""},
    {"captcha", "[auth.captcha]\n", "auth.captcha.", ""},
    {"pages", "[auth.pages]\n", "auth.pages.", ""},
    {"hooks", "[auth.hooks]\n", "auth.hooks.", ""},
    {"hook", "[auth.hooks.send_email]\n", "auth.hooks.send_email.", ""},
    {"computed", "functions.f.columns = [{ ", "functions.f.columns.0.", " }]"},
    {"trigger", "functions.f.triggers = [{ ", "functions.f.triggers.0.", " }]"},
};

static void wrong_types(size_t place, const char *key, enum manifest_type type) {
    static const unsigned is[] = {
#define TYPE(name, is, ...) is,
#include "manifest/types.def"
#undef TYPE
    };
    for (int t = 0; t < TOML_END; t++) {
        if (is[type] >> t & 1) continue;
        char text[300], what[300];
        snprintf(text, sizeof text, "%s%s = %s%s", places[place].before, key, values[t], places[place].after);
        snprintf(what, sizeof what, "%s%s: it takes ", places[place].path, key);
        says(text, what);
    }
}

static void test_every_key(void **state) {
    size_t seen = 0;
    for (size_t i = 0; i < manifest_orlo_shapes.count; i++) {
        const struct manifest_shape *shape = &manifest_orlo_shapes.shapes[i];
        size_t place = 0;
        while (place < ARRAY_COUNT(places) && strcmp(places[place].shape, shape->name) != 0) place++;
        assert_true(place < ARRAY_COUNT(places));
        for (size_t k = 0; k < shape->count; k++, seen++) wrong_types(place, shape->keys[k].key, shape->keys[k].type);
        for (int id = 0; id < APP_SETTINGS; id++)
            if (shape->settings >> app_settings[id].scope & 1) wrong_types(place, app_settings[id].key, MANIFEST_SETTING), seen++;
        char text[200];
        snprintf(text, sizeof text, "%sqqqqqqqq = 1%s", places[place].before, places[place].after);
        says(text, "unknown key `qqqqqqqq` at line");
    }
    assert_true(seen > 60);
}

/* ---- what strangers send ---- */

static void hostile(const char *what, str text) {
    struct manifest m;
    struct diag d = DIAG_INIT;
    if (manifest_read(mem, text, MANIFEST_ORLO, STR(""), &m, &d) != ERR_INVALID) fail_msg("%s is taken", what);
    assert_true(m.notes.n > 0 && m.errors > 0);
}

static str repeated(const char *before, const char *what, size_t times, const char *after) {
    struct buf b = {0};
    buf_puts(&b, str_c(before));
    for (size_t i = 0; i < times; i++) buf_puts(&b, str_c(what));
    buf_puts(&b, str_c(after));
    str s = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return s;
}

static void test_hostile(void **state) {
    hostile("a long file", repeated("", "# comment\n", 30000, ""));
    hostile("a NUL byte", (str){(const uint8_t *)"a = \"\0\"", 8});
    hostile("an escaped NUL", STR("name = \"a\\u0000b\""));
    hostile("bytes that are no text", STR("name = \"\xff\xfe\""));
    hostile("deep arrays", repeated("x = ", "[", 100000, ""));
    hostile("deep tables", repeated("x = ", "{a=", 50000, ""));
    hostile("a deep key", repeated("x", ".a", 100000, " = 1"));
    hostile("a deep key in a table's head", repeated("[x", ".a", 100000, "]"));
    hostile("a deep key behind a string of five quotes", repeated("x = { a = \"\"\"q\"\"\"\"\", b", ".b", 50000, " = 1 }"));
    hostile("a deep key behind an escaped quote", repeated("x = { a = \"\\\\\", b", ".b", 50000, " = 1 }"));
    hostile("deep keys in one another", repeated("x = ", "{ a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a = ", 4000, ""));
    hostile("many values", repeated("x = [", "1,", 120000, "]"));
    hostile("many keys", repeated("", "a.b = 1\n", 2, ""));
    hostile("many functions", repeated("functions = {", "a = {}, ", 1, "}"));
    struct buf b = {0};
    for (int i = 0; i < 300; i++) buf_printf(&b, "[functions.f%d]\nsource = \"a\"\n", i);
    hostile("more functions than there may be", arena_str(mem, buf_str(&b)));
    b.n = 0;
    buf_puts(&b, STR("name = \"a\"\nfunctions.f.source = \"a\"\nfunctions.f.env = {"));
    for (int i = 0; i < 300; i++) buf_printf(&b, "%sA%d = \"\"", i ? ", " : "", i);
    buf_puts(&b, STR("}\n"));
    hostile("more variables than there may be", arena_str(mem, buf_str(&b)));
    buf_free(&b);
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_record, begin, end),   cmocka_unit_test_setup_teardown(test_function, begin, end),
        cmocka_unit_test_setup_teardown(test_routes, begin, end),   cmocka_unit_test_setup_teardown(test_others, begin, end),
        cmocka_unit_test_setup_teardown(test_mistakes, begin, end), cmocka_unit_test_setup_teardown(test_every_key, begin, end),
        cmocka_unit_test_setup_teardown(test_hostile, begin, end),  cmocka_unit_test_setup_teardown(test_unsure, begin, end),
        cmocka_unit_test_setup_teardown(test_letters, begin, end),  cmocka_unit_test_setup_teardown(test_rules, begin, end),
        cmocka_unit_test_setup_teardown(test_database, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
