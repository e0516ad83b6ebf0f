/* Records: what is written is read again, the first layout too; nonsense is refused; names and routes are as they have to be. */
#include "app/record.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static arena *mem;

static struct app_record record(uint32_t id, const char *name, uint32_t functions) {
    struct app_record r = {.id = id, .version = 1, .name = str_c(name), .weight = 100};
    app_limits_fill(&r.limits);
    for (uint32_t i = 0; i < functions; i++)
        vec_push(mem, &r.functions,
                 ((struct app_function){.name = arena_fmt(mem, "f%u", i), .digest = {(uint8_t)i, 7}, .limits = r.limits}));
    return r;
}

static void route(struct app_record *r, const char *text, enum app_route_to to, uint32_t index) {
    struct diag d = DIAG_INIT;
    struct app_route route;
    if (app_route_parse(mem, str_c(text), &route, &d) != ERR_OK) fail_msg("%s", d.text);
    route.to = (uint8_t)to, route.index = index;
    vec_push(mem, &r->routes, route);
}

static void add_rules(struct app_record *r) {
    struct app_rules *s = &r->rules;
    struct app_headers h = {.match = STR("/assets/*")};
    struct app_allow a = {.match = STR("/up"), .body_bytes_max = 1ull << 33};
    struct app_rate rate = {STR("/api/*"), STR("login"), STR("x-key"), {0}, 10, 60, 5, APP_RATE_BY_HEADER};
    struct app_moved m = {STR("www.shop.example"), STR("/*"), STR("https://shop.example"), {0}, 308};
    struct app_cors_of c = {.match = STR("/api/*"), .cors = {.private_network = true, .max_age_s = 1}};
    vec_push(mem, &r->files.p[0].cache, ((struct app_cache){STR("*.html"), STR("no-cache")}));
    vec_push(mem, &h.fields, ((struct app_field){APP_FIELD_APPEND, STR("link"), STR("</a>")}));
    vec_push(mem, &a.methods, STR("PUT"));
    vec_push(mem, &m.query, ((struct app_condition){STR("id"), STR(":id")}));
    vec_push(mem, &c.cors.origins, STR("*"));
    vec_push(mem, &s->headers, h);
    vec_push(mem, &s->allows, a);
    vec_push(mem, &s->rates, rate);
    vec_push(mem, &s->moved, m);
    vec_push(mem, &s->cors, c);
    s->hsts_s = 7, s->hsts_preload = s->https = true;
}

/* One that has some of everything. */
static struct app_record whole(void) {
    struct app_record r = record(3, "shop", 2);
    struct app_function *f = &r.functions.p[1];
    struct app_grants *g = &f->grants;
    struct diag d = DIAG_INIT;
    vec_push(mem, &r.hosts, STR("*.shop.example"));
    route(&r, "=/x", APP_TO_FUNCTION, 1), route(&r, "/a/:id/b", APP_TO_FILES, 0), route(&r, "/old", APP_TO_REDIRECT, 0);
    r.routes.p[0].strip = r.routes.p[0].internal = true;
    r.secrets_revision = 1ull << 40;
    f->source = STR("dist/api.wasm"), f->module[0] = 9, f->spin = f->verify_jwt = true;
    f->limits.body_bytes_max = 1000;
    assert_int_equal(app_grant_env(mem, g, STR("A=1"), &d), ERR_OK);
    assert_int_equal(app_grant_dir(mem, g, STR("/srv/data::/data:ro"), &d), ERR_OK);
    assert_int_equal(app_grant_http(mem, g, STR("*.example.org:443"), &d), ERR_OK);
    assert_int_equal(app_grant_net(mem, g, STR("tcp:10.0.0.0/8:1-5"), &d), ERR_OK);
    assert_int_equal(app_grant_forward(mem, g, STR("http://127.0.0.1:3000"), &d), ERR_OK);
    vec_push(mem, &g->secrets, ((struct app_secret_env){STR("KEY"), STR("STRIPE_KEY")}));
    vec_push(mem, &g->stores, ((struct app_store){STR("default"), STR("cache")}));
    vec_push(mem, &g->sqlite, ((struct app_store){STR("default"), STR("main")}));
    vec_push(mem, &g->functions, STR("f0"));
    vec_push(mem, &g->roles, STR("service_role"));
    f->rpc = f->rpc_reads = true;
    struct app_trigger trigger = {.schema = STR("public"), .table = STR("orders"), .on = 5, .attempts = 3};
    vec_push(mem, &trigger.columns, STR("state"));
    vec_push(mem, &f->triggers, trigger);
    r.follows = true, r.made_ms = 1ull << 41;
    vec_push(mem, &g->variables, ((struct app_variable){STR("url"), STR("https://{{ host }}/"), true}));
    vec_push(mem, &r.files,
             ((struct app_files){.name = STR("public"), .folder = STR("public"), .index = STR("index.html"), .spa = true}));
    vec_push(mem, &r.redirects, ((struct app_redirect){STR("/new"), 308}));
    vec_push(mem, &r.secrets, ((struct app_secret){STR("STRIPE_KEY"), STR(""), true}));
    vec_push(mem, &r.cors.origins, STR("https://a.example"));
    vec_push(mem, &r.cors.methods, STR("GET"));
    vec_push(mem, &r.cors.headers, STR("content-type"));
    vec_push(mem, &r.cors.expose, STR("etag"));
    r.cors.credentials = true, r.cors.max_age_s = 600;
    r.compress.off = true, r.compress.bytes_min = 99;
    vec_push(mem, &r.compress.types, STR("model/"));
    static str schemas[] = {STR_INIT("api"), STR_INIT("public")};
    r.rest.schemas.p = schemas, r.rest.schemas.n = 2;
    r.rest.before = STR("private.check"), r.rest.plans = r.rest.terse = r.rest.timed = true;
    r.rest.root = STR("private.about"), r.rest.audience = STR("shop");
    r.database = (struct app_database){APP_DATABASE_SERVER, STR("DATABASE_URL")};
    static str redirects[] = {STR_INIT("shop://in"), STR_INIT("https://*.shop.example/**")};
    app_auth_usual(&r.auth);
    r.auth.on = r.auth.anonymous = r.auth.one_session = true, r.auth.password_min = 12,
    r.auth.site_url = STR("https://shop.example");
    r.auth.hooks[APP_HOOK_send_email] = (struct app_hook){APP_HOOK_TO_URL, STR("https://a.example/hook"), STR("HOOK")};
    r.auth.redirects.p = redirects, r.auth.redirects.n = 2;
    static str clients[] = {STR_INIT("123.apps"), STR_INIT("env(IOS_CLIENT)")};
    static struct app_provider providers[] = {
        {.name = STR_INIT("google"),
         .clients = {.p = clients, .n = 2},
         .secret = STR_INIT("GOOGLE_SECRET"),
         .redirect = STR_INIT("https://shop.example/auth/v1/callback"),
         .email_optional = true},
        {.name = STR_INIT("acme"), .issuer = STR_INIT("https://id.acme.example"), .skip_nonce = true}};
    r.auth.providers.p = providers, r.auth.providers.n = 2;
    r.auth.passkeys = r.auth.leaked_closed = true, r.auth.leaked_url = STR("https://ranges.example/"),
    r.auth.rp_id = STR("shop.example"), r.auth.rp_name = STR("The shop");
    r.auth.rp_origins.p = schemas, r.auth.rp_origins.n = 2;
    add_rules(&r);
    return r;
}

static void test_again(void **state) {
    struct app_record a = whole(), b;
    struct buf one = {0}, two = {0};
    app_record_write(&one, &a);
    struct rd from = rd_of(buf_str(&one));
    app_record_read(mem, &from, &b);
    if (from.fail) fail_msg("%s at %u", from.fail, (unsigned)from.fail_at);
    assert_true(!rd_left(&from));
    app_record_write(&two, &b);
    assert_true(str_eq(buf_str(&one), buf_str(&two)));
    const struct app_function *f = &b.functions.p[1];
    const struct app_dir *dir = &f->grants.dirs.p[0];
    assert_true(str_eqc(dir->host, "/srv/data") && dir->host.p[9] == 0 && dir->fd == -1);
    assert_true(f->grants.net.p[0].bits == 8 && f->grants.net.p[0].port_to == 5);
    assert_true(f->spin && !f->supabase && f->verify_jwt && f->module[0] == 9 && str_eqc(f->source, "dist/api.wasm"));
    assert_true(b.routes.p[0].exact && b.routes.p[0].strip && b.routes.p[0].internal && b.routes.p[1].to == APP_TO_FILES);
    assert_true(b.secrets.p[0].required && b.files.p[0].spa && b.redirects.p[0].status == 308 && b.cors.max_age_s == 600);
    assert_true(f->grants.variables.p[0].secret && str_eqc(f->grants.stores.p[0].store, "cache") &&
                b.secrets_revision == 1ull << 40);
    assert_true(f->rpc && f->rpc_reads && str_eqc(f->grants.roles.p[0], "service_role"));
    assert_true(b.compress.off && b.compress.bytes_min == 99 && str_eqc(b.compress.types.p[0], "model/"));
    const struct app_trigger *trigger = &f->triggers.p[0];
    assert_true(b.follows && b.made_ms == 1ull << 41 && str_eqc(trigger->table, "orders") && trigger->on == 5 &&
                trigger->attempts == 3 && str_eqc(trigger->columns.p[0], "state"));
    const struct app_provider *google = &b.auth.providers.p[0];
    assert_true(str_eqc(google->clients.p[1], "env(IOS_CLIENT)") && str_eqc(google->secret, "GOOGLE_SECRET") &&
                google->email_optional && !google->skip_nonce && b.auth.providers.p[1].skip_nonce &&
                app_provider_known(google->name));
    const struct app_rules *rules = &b.rules;
    assert_true(rules->any && rules->https && rules->hsts_preload && !rules->hsts_subdomains && rules->hsts_s == 7);
    assert_true(str_eqc(b.files.p[0].cache.p[0].value, "no-cache") && rules->headers.p[0].fields.p[0].how == APP_FIELD_APPEND);
    assert_true(rules->rates.p[0].burst == 5 && str_eqc(rules->rates.p[0].header, "x-key") &&
                rules->allows.p[0].body_bytes_max >> 33);
    assert_true(str_eqc(rules->moved.p[0].query.p[0].value, ":id") && rules->cors.p[0].cors.private_network);
    assert_int_equal(f->limits.body_bytes_max, 1000);
    assert_int_equal(app_record_function(&b, STR("f1")), 1);
    assert_int_equal(app_record_function(&b, STR("f2")), UINT32_MAX);
    for (size_t n = 0; n < one.n; n++) { /* cut short anywhere, it is an error */
        struct diag d = DIAG_INIT;
        assert_int_equal(app_record_decode(mem, str_sub(buf_str(&one), 0, n), &b, &d), ERR_MALFORMED);
    }
    buf_free(&one), buf_free(&two);
}

static size_t find(str in, str what) {
    for (size_t i = 0; i + what.n <= in.n; i++)
        if (!memcmp(in.p + i, what.p, what.n)) return i;
    fail_msg("it is not there");
    return 0;
}

/* The third one lacked what is said of the app's database: without it, it is this one's bytes without that. */
#define X(...) +1
enum { USERS_NUMBERS = 0 APP_AUTH_NUMBERS(X) };
#undef X
enum {
    NO_REST = 24 + 8 /* two lists, a name, flags, two names; when it was made */ + USERS_NUMBERS * 4 +
              12 /* users: flags, a name, a list */ + 4 /* where passwords that leaked are */ +
              12 /* passkeys: two names, a list */ + 24 /* mails: five texts, a number */ +
              APP_HOOKS * 12 /* whom, at what, a secret */ + 4 /* providers: how many */ +
              28 /* messages: a number, five texts, a list */ + 28 /* flags, six texts */ + 4 /* templates: how many */ +
              28 /* rules: five lists, a number, flags */ + 12 /* compression: a flag, a number, a list */,
    NO_FOLDER = 16, /* of each: whose, until when, a list */
    NO_CALLS = 8    /* no triggers, nothing that is computed */
};
static void put_third(struct buf *to, str bytes, const struct app_record *r) {
    size_t at = 4;
    buf_put(to, &(uint32_t){3}, 4);
    for (uint32_t i = 0; i < r->functions.n; i++) {
        const struct app_function *f = &r->functions.p[i];
        struct app_grants without = f->grants;
        struct buf grants = {0}, third = {0}, limits = {0};
        without.roles.n = 0;
        app_grants_write(&grants, &f->grants), app_grants_write(&third, &without), app_limits_write(&limits, &f->limits);
        size_t from = at + find(str_sub(bytes, at, bytes.n), buf_str(&grants)), flags = from + grants.n + limits.n;
        buf_put(to, bytes.p + at, from - at);
        buf_put(to, third.p, third.n - 4);
        buf_put(to, limits.p, limits.n);
        uint32_t kept;
        memcpy(&kept, bytes.p + flags, 4);
        buf_put(to, &(uint32_t){kept & 7}, 4);
        at = flags + 4 + NO_CALLS;
        for (uint32_t k = 0; k < f->triggers.n; k++) {
            const struct app_trigger *t = &f->triggers.p[k];
            at += 5 * 4 + t->schema.n + t->table.n;
            for (uint32_t c = 0; c < t->columns.n; c++) at += 4 + t->columns.p[c].n;
        }
        buf_free(&grants), buf_free(&third), buf_free(&limits);
    }
    buf_put(to, bytes.p + at, bytes.n - at - NO_REST - r->files.n * NO_FOLDER);
}

static void test_third_layout(void **state) {
    struct app_record a = whole(), b;
    struct buf bytes = {0}, third = {0}, again = {0};
    struct diag d = DIAG_INIT;
    a.rest = (struct app_rest){0}, a.auth = (struct app_auth){0}, a.rules = (struct app_rules){0}, a.files.p[0].cache.n = 0;
    a.compress = (struct app_compress){0};
    a.follows = false;
    app_record_write(&bytes, &a);
    put_third(&third, buf_str(&bytes), &a);
    if (app_record_decode(mem, buf_str(&third), &b, &d) != ERR_OK) fail_msg("%s", d.text);
    struct app_function *f = &a.functions.p[1];
    f->grants.roles.n = f->triggers.n = 0, f->rpc = f->rpc_reads = false;
    a.made_ms = 0;
    bytes.n = 0;
    app_record_write(&bytes, &a), app_record_write(&again, &b);
    assert_true(str_eq(buf_str(&bytes), buf_str(&again)));
    buf_free(&bytes), buf_free(&third), buf_free(&again);
}

/* What the first layout had, byte by byte as it was written. */
static void put(struct buf *b, uint32_t v) { buf_put(b, &v, 4); }
static void puts_(struct buf *b, const char *s) { put(b, (uint32_t)strlen(s)), buf_put(b, s, strlen(s)); }
static void put_first(struct buf *b) {
    put(b, 1), put(b, 3), put(b, 8), puts_(b, "shop"), put(b, 1), put(b, 0), put(b, 1);
    put(b, 1), puts_(b, "shop.localhost");
    put(b, 1), puts_(b, "/api"), put(b, 1), put(b, 0);
    puts_(b, "shop.wasm"), buf_put(b, (uint8_t[APP_DIGEST_BYTES]){5}, APP_DIGEST_BYTES), put(b, 2);
    put(b, 1), puts_(b, "A"), puts_(b, "1"), put(b, 0), put(b, 0), put(b, 0), puts_(b, ""), puts_(b, "");
    static const uint64_t limits[18] = {7000,     512 * MiB, UINT64_MAX, 4096, 1000, 0,     1000, 10000, 64 * MiB,
                                        64 * MiB, 64 * KiB,  65536,      1024, 64,   60000, 256,  16,    1000};
    buf_put(b, limits, sizeof limits);
    put(b, 1);
}

static void test_first_layout(void **state) {
    struct buf b = {0}, again = {0};
    struct app_record r;
    struct diag d = DIAG_INIT;
    put_first(&b);
    if (app_record_decode(mem, buf_str(&b), &r, &d) != ERR_OK) fail_msg("%s", d.text);
    const struct app_function *f = &r.functions.p[0];
    assert_true(r.id == 3 && r.version == 8 && r.is_default && r.routes.p[0].exact && r.weight == 1);
    assert_true(f->digest[0] == 5 && f->kind == 2 && str_eqc(f->grants.env.p[0].key, "A"));
    assert_true(f->limits.handler_ms_max == 7000 && f->limits.body_bytes_max == 4096 && r.limits.handler_ms_max == 7000);
    app_record_write(&again, &r);
    assert_int_equal(app_record_decode(mem, buf_str(&again), &r, &d), ERR_OK);
    assert_int_equal(r.functions.p[0].limits.handler_ms_max, 7000);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(app_record_decode(mem, str_sub(buf_str(&b), 0, n), &r, NULL), ERR_MALFORMED);
    b.p[0] = APP_RECORD_LAYOUT + 1;
    assert_int_equal(app_record_decode(mem, buf_str(&b), &r, &d), ERR_MALFORMED);
    assert_string_equal(d.text, "a record of another layout");
    buf_free(&b), buf_free(&again);
}

/* The second one: the same without a database. */
static void test_second_layout(void **state) {
    struct app_record a = whole(), r;
    struct buf whole_bytes = {0}, b = {0}, second = {0};
    struct diag d = DIAG_INIT;
    a.database = (struct app_database){0};
    a.rest = (struct app_rest){0}, a.auth = (struct app_auth){0}, a.rules = (struct app_rules){0}, a.files.p[0].cache.n = 0;
    a.compress = (struct app_compress){0};
    a.follows = false;
    app_record_write(&whole_bytes, &a);
    put_third(&b, buf_str(&whole_bytes), &a);
    size_t engine = 20 + 4 + a.name.n + 8; /* layout, id, version, revision; name; default, eager */
    put(&second, 2), buf_put(&second, b.p + 4, engine - 4), buf_put(&second, b.p + engine + 4, b.n - engine - 8);
    if (app_record_decode(mem, buf_str(&second), &r, &d) != ERR_OK) fail_msg("%s", d.text);
    assert_true(!r.database.engine && !r.database.secret.n && r.weight == a.weight && r.functions.n == 2);
    buf_free(&whole_bytes), buf_free(&b), buf_free(&second);
}

/* What bytes may not say, though they have the form. */
static void refused(const struct app_record *r, const char *why) {
    struct buf b = {0};
    struct diag d = DIAG_INIT;
    struct app_record got;
    app_record_write(&b, r);
    if (app_record_decode(mem, buf_str(&b), &got, &d) != ERR_MALFORMED || strcmp(d.text, why) != 0)
        fail_msg("'%s', not '%s'", d.text, why);
    buf_free(&b);
}

static void test_refused(void **state) {
    struct app_record r = whole();
    r.routes.p[0].index = 2, refused(&r, "no route");
    r = whole(), r.routes.p[1].to = 3, refused(&r, "no route");
    r = whole(), r.routes.p[1].index = 1, refused(&r, "no route");
    r = whole(), r.routes.p[1].path = STR("/a/:/b"), refused(&r, "no route");
    r = whole(), r.routes.p[1].path = STR("/a/:a.b"), refused(&r, "no route");
    r = whole(), r.redirects.p[0].status = 200, refused(&r, "no redirect");
    r = whole(), r.redirects.p[0].to = STR("/a\r\nb: c"), refused(&r, "a name with control characters");
    r = whole(), r.files.p[0].index = STR("a\nb"), refused(&r, "a name with control characters");
    r = whole(), r.cors.origins.p[0] = STR("a\r\nb"), refused(&r, "a name with control characters");
    r = whole(), r.compress.types.p[0] = STR("a\nb"), refused(&r, "a name with control characters");
    r = whole(), r.database.secret = STR(""), refused(&r, "a server without a secret, or a secret of none");
    r = whole(), r.database.engine = APP_DATABASES, refused(&r, "no database");
    r = whole(), r.secrets.p[0].key = STR(""), refused(&r, "a secret without a name");
    r = whole(), r.functions.p[1].grants.secrets.p[0].env = STR("A=B"), refused(&r, "no name");
    r = whole(), r.functions.p[1].grants.functions.p[0] = STR("a b"), refused(&r, "no name");
    r = whole(), r.functions.p[1].limits.lookups_max = 1u << 30, refused(&r, "a limit out of range");
    r = whole();
    for (int i = 0; i <= APP_NAMES_MAX; i++) vec_push(mem, &r.functions.p[1].grants.functions, STR("f0"));
    refused(&r, "more names than may be granted");
}

static void says(err (*fn)(arena *, const char *, struct diag *), const char *text, const char *part) {
    struct diag d = DIAG_INIT;
    if (fn(mem, text, &d) != ERR_USAGE || !strstr(d.text, part)) fail_msg("'%s' says '%s', not '%s'", text, d.text, part);
}
static err name_of(arena *out, const char *text, struct diag *d) { return app_name_check(str_c(text), d); }
static err host_of(arena *out, const char *text, struct diag *d) {
    str host;
    return app_host_parse(out, str_c(text), &host, d);
}
static err route_of(arena *out, const char *text, struct diag *d) {
    struct app_route route;
    return app_route_parse(out, str_c(text), &route, d);
}

static void test_names(void **state) {
    assert_int_equal(name_of(mem, "a-1", NULL), ERR_OK);
    static const char *const names[] = {"",    "-a",  "a-", "A",
                                        "a.b", "a_b", "ä",  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) says(name_of, names[i], "an app's name has up to 63");
    says(host_of, "https://x.example", "no URL");
    says(host_of, "x.example:80", "write --host x.example");
    says(host_of, "a b", "is no host");
    says(host_of, "*", "is no host");
    says(host_of, "2001:db8::1", "write --host [2001:db8::1]");
    says(route_of, "api", "write --route /api");
    says(route_of, "=api", "write --route =/api");
    says(route_of, "/api/*", "with all below it; write --route /api");
    says(route_of, "/*", "write --route /");
    says(route_of, "/api/...", "with all below it; write --route /api");
    says(route_of, "/...", "write --route /");
    says(route_of, "/a?b", "without ? and #");
    says(route_of, "/a/:", ":NAME is any one segment");
    assert_int_equal(route_of(mem, "/a/:id_1/b:c", NULL), ERR_OK);
}

static bool same(const struct app_record *a, const struct app_record *b) {
    struct buf x = {0}, y = {0};
    app_record_write(&x, a), app_record_write(&y, b);
    bool is = app_record_same(buf_str(&x), buf_str(&y));
    buf_free(&x), buf_free(&y);
    return is;
}

/* An app goes on as it is where its record is the same; whether it is loaded before it is asked for says nothing of it. */
static void test_same(void **state) {
    struct app_record a = record(1, "a", 1), b = a;
    assert_true(same(&a, &b));
    b.eager = true;
    assert_true(same(&a, &b));
    b.version = 2;
    assert_false(same(&a, &b));
    b = a, b.is_default = true;
    assert_false(same(&a, &b));
    b = a, b.weight = 1;
    assert_false(same(&a, &b));
    b = a, b.secrets_revision = 1;
    assert_false(same(&a, &b));
    b = a, b.database.engine = APP_DATABASE_SQLITE;
    assert_false(same(&a, &b));
    b = record(1, "b", 1);
    assert_false(same(&a, &b));
    assert_false(app_record_same(STR(""), STR("")));
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

/* record_test --write FOLDER: what the fuzzer begins with. */
static void write_file(const char *folder, const char *name, str bytes) {
    FILE *f = fopen(arena_cstr(mem, arena_fmt(mem, "%s/%s", folder, name)), "wb");
    if (!f || fwrite(bytes.p, 1, bytes.n, f) != bytes.n || fclose(f)) exit(1);
}

static int write_corpus(const char *folder) {
    struct buf b = {0};
    mem = arena_new(0);
    struct app_record r = whole();
    app_record_write(&b, &r);
    write_file(folder, "whole", buf_str(&b));
    b.n = 0;
    put_first(&b);
    write_file(folder, "first", buf_str(&b));
    buf_free(&b);
    arena_free(mem);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--write")) return write_corpus(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_again, begin, end),
        cmocka_unit_test_setup_teardown(test_first_layout, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_names, begin, end),
        cmocka_unit_test_setup_teardown(test_same, begin, end),
        cmocka_unit_test_setup_teardown(test_second_layout, begin, end),
        cmocka_unit_test_setup_teardown(test_third_layout, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
