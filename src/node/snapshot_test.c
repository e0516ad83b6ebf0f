/* Snapshots: hosts and paths lead where they should; what is written is read again; nonsense is refused whole. */
#include "node/snapshot.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static arena *mem;

static struct app_record record(uint32_t id, const char *name, uint32_t functions) {
    struct app_record r = {.id = id, .version = 1, .name = str_c(name), .weight = 100};
    for (uint32_t i = 0; i < functions; i++) {
        struct app_function f = {.name = arena_fmt(mem, "f%u", i), .digest = {(uint8_t)i, 7}, .kind = i};
        app_limits_fill(&f.limits);
        vec_push(mem, &r.functions, f);
    }
    app_limits_fill(&r.limits);
    return r;
}

static void host(struct app_record *r, const char *text) {
    struct diag d = DIAG_INIT;
    str h;
    if (app_host_parse(mem, str_c(text), &h, &d) != ERR_OK) fail_msg("%s", d.text);
    vec_push(mem, &r->hosts, h);
}

static void route(struct app_record *r, const char *text, uint32_t function) {
    struct diag d = DIAG_INIT;
    struct app_route route;
    if (app_route_parse(mem, str_c(text), &route, &d) != ERR_OK) fail_msg("%s", d.text);
    route.index = function;
    vec_push(mem, &r->routes, route);
}

static struct node_snapshot *snapshot(const struct app_record *const *records, size_t n, struct diag *d) {
    struct buf b = {0};
    node_snapshot_begin(&b, 5, STR("node.example"));
    for (size_t i = 0; i < n; i++) node_snapshot_add(&b, &(struct node_live){.record = records[i]});
    int fd = node_snapshot_seal(buf_str(&b));
    buf_free(&b);
    assert_true(fd >= 0);
    struct node_snapshot *s;
    err e = node_snapshot_map(fd, &s, d);
    assert_true((e == ERR_OK) == (s != NULL));
    close(fd);
    return s;
}

/* "name function" whom a request reaches, of that version; "-": nobody, "name -": no function. */
static void leads_of(const struct node_snapshot *s, enum node_version v, const char *authority, const char *path,
                     const char *to) {
    const struct node_entry *app = node_snapshot_at(s, str_c(authority));
    const struct node_route *route = app ? node_snapshot_route(s, app, v, str_c(path)) : NULL;
    char got[100] = "-";
    if (route) snprintf(got, sizeof got, STR_FMT " %u", STR_ARG(app->name), route->index);
    else if (app) snprintf(got, sizeof got, STR_FMT " -", STR_ARG(app->name));
    if (strcmp(got, to) != 0) fail_msg("%s %s leads to '%s', not '%s'", authority, path, got, to);
}

static void leads(const struct node_snapshot *s, const char *authority, const char *path, const char *to) {
    leads_of(s, NODE_LIVE, authority, path, to);
}

static void test_hosts(void **state) {
    struct app_record a = record(1, "a", 1), b = record(2, "b", 1), c = record(9, "c", 1);
    host(&a, "shop.example.org"), host(&a, "[2001:DB8::1]"), host(&a, "10.0.0.1"), host(&a, "bücher.example");
    host(&b, "*.example.org"), host(&b, "a.localhost");
    host(&c, "*.eu.example.org");
    route(&a, "/", 0), route(&b, "/", 0), route(&c, "/", 0);
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = snapshot((const struct app_record *[]){&a, &b, &c}, 3, &d);
    leads(s, "shop.example.org", "/", "a 0");
    leads(s, "shop.example.org:8080", "/", "a 0");
    leads(s, "SHOP.Example.ORG.", "/", "a 0");
    leads(s, "shop.example.org.:80", "/", "a 0");
    leads(s, "[2001:db8:0:0::1]:443", "/", "a 0");
    leads(s, "[2001:db8::1]", "/", "a 0");
    leads(s, "10.0.0.1:8080", "/", "a 0");
    leads(s, "xn--bcher-kva.example", "/", "a 0");
    leads(s, "other.example.org", "/", "b 0");
    leads(s, "x.y.example.org", "/", "b 0");
    leads(s, "x.eu.example.org", "/", "c 0");
    leads(s, "eu.example.org", "/", "b 0");
    leads(s, "a.localhost:1", "/", "b 0");
    static const char *const nobody[] = {"example.org",
                                         "",
                                         ":80",
                                         ".",
                                         "..",
                                         ".example.org",
                                         "shop.example.org..",
                                         "[::2]",
                                         "[::1",
                                         "[]",
                                         "[2001:db8::1]x",
                                         "[10.0.0.1]",
                                         "10.0.0.2",
                                         "a b.example.org",
                                         "*.example.org",
                                         "\xff.example.org",
                                         "shop.example.org/x",
                                         "2001:db8::1",
                                         "localhost"};
    for (size_t i = 0; i < ARRAY_COUNT(nobody); i++) leads(s, nobody[i], "/", "-");
    char long_host[600];
    memset(long_host, 'a', sizeof long_host);
    memcpy(long_host + 580, ".example.org", 13);
    leads(s, long_host, "/", "-");
    node_snapshot_free(s);
}

static void test_default(void **state) {
    struct app_record a = record(1, "a", 1), b = record(2, "b", 1);
    a.is_default = true;
    host(&b, "*.example.org");
    route(&a, "/", 0), route(&b, "/", 0);
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = snapshot((const struct app_record *[]){&a, &b}, 2, &d);
    leads(s, "x.example.org", "/", "b 0");
    leads(s, "example.org", "/", "a 0");
    leads(s, "", "/", "a 0");
    leads(s, "\x01", "/", "a 0");
    node_snapshot_free(s);
}

static void test_paths(void **state) {
    struct app_record a = record(1, "a", 7), b = record(2, "b", 1);
    a.is_default = true;
    route(&a, "/", 0), route(&a, "/api", 1), route(&a, "/api/v1/users/", 2), route(&a, "=/api", 3), route(&a, "=/", 4);
    route(&a, "=/static/", 6);
    route(&a, "/static", 5);
    host(&b, "b.example"), route(&b, "/only", 0);
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = snapshot((const struct app_record *[]){&a, &b}, 2, &d);
    leads(s, "", "/", "a 4");
    leads(s, "", "/?q=/api", "a 4");
    leads(s, "", "/x", "a 0");
    leads(s, "", "/api", "a 3");
    leads(s, "", "/api?x", "a 3");
    leads(s, "", "/api/", "a 1");
    leads(s, "", "/apix", "a 0");
    leads(s, "", "/api/v1/users", "a 2");
    leads(s, "", "/api/v1/users/7/posts?x=/", "a 2");
    leads(s, "", "/api/v1/usersx", "a 1");
    leads(s, "", "/api/v2/users", "a 1");
    leads(s, "", "/static/", "a 6");
    leads(s, "", "/static", "a 5");
    leads(s, "", "//api", "a 0");
    leads(s, "", "/API", "a 0"); /* paths have case */
    leads(s, "", "", "a 0");     /* CONNECT */
    leads(s, "", "*", "a 0");    /* OPTIONS * */
    leads(s, "b.example", "/", "b -");
    leads(s, "b.example", "/only/this", "b 0");
    leads(s, "b.example", "/api", "b -");
    node_snapshot_free(s);
}

static void test_many(void **state) {
    struct app_record apps[300];
    const struct app_record *list[300];
    for (uint32_t i = 0; i < 300; i++) {
        apps[i] = record(1000 - i, arena_cstr(mem, arena_fmt(mem, "app-%u", i)), 3);
        host(&apps[i], arena_cstr(mem, arena_fmt(mem, "app-%u.localhost", i)));
        for (uint32_t k = 0; k < 40; k++) route(&apps[i], arena_cstr(mem, arena_fmt(mem, "/r%u/x%u", k, k)), k % 3);
        list[i] = &apps[i];
    }
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = snapshot(list, 300, &d);
    assert_int_equal(node_snapshot_generation(s), 5);
    for (uint32_t i = 0; i < 300; i++) {
        char authority[64], to[64];
        snprintf(authority, sizeof authority, "app-%u.localhost:80", i);
        snprintf(to, sizeof to, "app-%u %u", i, i % 40 % 3);
        leads(s, authority, arena_cstr(mem, arena_fmt(mem, "/r%u/x%u/y", i % 40, i % 40)), to);
        assert_ptr_equal(node_snapshot_named(s, apps[i].name), node_snapshot_app(s, apps[i].id));
        assert_true(str_eq(node_snapshot_app(s, apps[i].id)->name, apps[i].name));
    }
    assert_null(node_snapshot_named(s, STR("app-300")));
    assert_null(node_snapshot_app(s, 7));
    node_snapshot_free(s);
}

static void refused(const struct app_record *a, const struct app_record *b, const char *why) {
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = snapshot((const struct app_record *[]){a, b}, 2, &d);
    if (s || strcmp(d.text, why) != 0) fail_msg("'%s', not '%s'", d.text, why);
}

static void test_refused(void **state) {
    struct app_record a = record(1, "a", 1), b = record(2, "b", 1), same = a, twin = b;
    same.id = 2;
    refused(&a, &same, "two apps of one name");
    twin.id = 1;
    refused(&a, &twin, "two apps of one id");
    host(&a, "x.example"), host(&b, "x.example");
    refused(&a, &b, "two apps answer one host");
    struct app_record d1 = record(1, "a", 1), d2 = record(2, "b", 1);
    d1.is_default = d2.is_default = true;
    refused(&d1, &d2, "two apps are the default");
    struct app_record r = record(1, "a", 1);
    d2.is_default = false;
    route(&r, "/x", 0), route(&r, "/x/", 0);
    refused(&r, &d2, "a route twice");
    r.routes.n = 0;
    route(&r, "/x", 1);
    refused(&r, &d2, "no route");
    r = record(1, "A", 1);
    refused(&r, &d2, "no name of an app");
    r = record(1, "a", 0);
    refused(&r, &d2, "an app has a function, files or a database, and not so many");
    struct diag d = DIAG_INIT;
    struct node_snapshot *s;
    int fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(node_snapshot_map(fd, &s, &d), ERR_MALFORMED); /* whoever has it could still change it */
    close(fd);
    assert_int_equal(node_snapshot_read(STR("orls"), &s, &d), ERR_MALFORMED);
}

/* Words before names before what is below, from the left; and back where that leads nowhere. */
static void test_names(void **state) {
    struct app_record a = record(1, "a", 12);
    a.is_default = true;
    route(&a, "/users/me", 1), route(&a, "/users/:id", 2), route(&a, "/users/:id/posts", 3),
        route(&a, "=/users/:id/posts/:post", 4);
    route(&a, "/:any/me/x", 5), route(&a, "=/users/me/posts/7/edit", 6), route(&a, "/", 0), route(&a, "=/:one", 7);
    struct diag d = DIAG_INIT;
    assert_int_equal(node_routes_check(&a, &d), ERR_OK);
    struct node_snapshot *s = snapshot((const struct app_record *[]){&a}, 1, &d);
    leads(s, "", "/users/me", "a 1");
    leads(s, "", "/users/me/x", "a 1");
    leads(s, "", "/users/7", "a 2");
    leads(s, "", "/users/7/", "a 2");
    leads(s, "", "/users/7/post", "a 2");
    leads(s, "", "/users/7/posts?posts/1", "a 3");
    leads(s, "", "/users/7/posts/1", "a 4");
    leads(s, "", "/users/7/posts/1/2", "a 3");
    leads(s, "", "/users/me/posts/7/edit", "a 6");
    leads(s, "", "/users/me/posts/7", "a 1"); /* the word is there, and answers all below it */
    leads(s, "", "/other/me/x/y", "a 5");
    leads(s, "", "/other/me/y", "a 0");
    leads(s, "", "/users", "a 7");
    leads(s, "", "/users/", "a 0"); /* no segment is named by nothing */
    leads(s, "", "//", "a 0");
    leads(s, "", "/", "a 0");
    leads(s, "", "*", "a 0");
    node_snapshot_free(s);
}

static void test_way_back(void **state) {
    struct app_record a = record(1, "a", 4);
    a.is_default = true;
    route(&a, "=/a/a/a/a/x", 1), route(&a, "=/:1/:2/:3/:4/y", 2), route(&a, "=/a/:2/a/:4/z", 3);
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = snapshot((const struct app_record *[]){&a}, 1, &d);
    leads(s, "", "/a/a/a/a/x", "a 1");
    leads(s, "", "/a/a/a/a/y", "a 2");
    leads(s, "", "/a/a/a/a/z", "a 3");
    leads(s, "", "/a/a/b/a/z", "a -");
    leads(s, "", "/a/b/a/c/z", "a 3");
    leads(s, "", "/a/b/a/c/y", "a 2");
    leads(s, "", "/a/a/a/a/a", "a -");
    node_snapshot_free(s);
}

static void test_slash(void **state) {
    struct app_record a = record(1, "a", 4);
    a.is_default = true;
    route(&a, "=/spin", 1), route(&a, "=/other", 2), route(&a, "/x", 3);
    a.routes.p[0].slash = true;
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = snapshot((const struct app_record *[]){&a}, 1, &d);
    leads(s, "", "/spin", "a 1"), leads(s, "", "/spin/", "a 1"), leads(s, "", "/spin/?a/b", "a 1");
    leads(s, "", "/spin//", "a -"), leads(s, "", "/spin/x", "a -"), leads(s, "", "/other/", "a -");
    node_snapshot_free(s);
}

static void matches(const char *route_text, const char *path, size_t matched, const char *names) {
    struct app_record a = record(1, "a", 1);
    a.is_default = true;
    route(&a, route_text, 0);
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = snapshot((const struct app_record *[]){&a}, 1, &d);
    const struct node_route *r = node_snapshot_route(s, node_snapshot_at(s, STR("")), NODE_LIVE, str_c(path));
    struct buf b = {0};
    if (!r) fail_msg("%s has no route", path);
    for (struct node_route_name n = {0}; node_route_next_name(r, str_c(path), &n);)
        buf_printf(&b, STR_FMT "=" STR_FMT " ", STR_ARG(n.name), STR_ARG(n.value));
    if (node_route_matched(r, str_c(path)) != matched || !str_eqc(buf_str(&b), names))
        fail_msg("%s of %s: %zu bytes, '" STR_FMT "'", route_text, path, node_route_matched(r, str_c(path)),
                 STR_ARG(buf_str(&b)));
    buf_free(&b);
    node_snapshot_free(s);
}

static void test_matched(void **state) {
    matches("/", "/a/b?c", 0, "");
    matches("/a", "/a/b?c", 2, "");
    matches("/a", "/a?c", 2, "");
    matches("=/a/:b", "/a/x.y?c/d", 6, "b=x.y ");
    matches("/:org/x/:user-id", "/acme/x/7/y/z?", 9, "org=acme user-id=7 ");
}

/* NAME.domain, without anybody saying so; but not where another was given it. */
static void test_domain(void **state) {
    struct app_record a = record(1, "a", 1), b = record(2, "b", 1);
    route(&a, "/", 0), route(&b, "/", 0);
    host(&b, "a.node.example");
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = snapshot((const struct app_record *[]){&a}, 1, &d);
    assert_true(str_eqc(node_snapshot_domain(s), "node.example"));
    leads(s, "A.node.example:8080", "/", "a 0"), leads(s, "b.node.example", "/", "-"), leads(s, "node.example", "/", "-");
    node_snapshot_free(s);
    s = snapshot((const struct app_record *[]){&a, &b}, 2, &d);
    leads(s, "a.node.example", "/", "b 0"), leads(s, "b.node.example", "/", "b 0");
    node_snapshot_free(s);
}

static struct node_snapshot *with_canary(const struct app_record *live, const struct app_record *canary, uint32_t permille,
                                         struct diag *d) {
    struct buf b = {0};
    struct node_snapshot *s;
    node_snapshot_begin(&b, 1, STR(""));
    node_snapshot_add(&b, &(struct node_live){live, canary, permille, 7});
    str bytes = arena_str(mem, buf_str(&b));
    buf_free(&b);
    return node_snapshot_read(bytes, &s, d) == ERR_OK ? s : NULL;
}

static void test_canary(void **state) {
    struct app_record live = record(1, "a", 2), canary = record(1, "a", 2), other = record(2, "b", 1);
    canary.version = 2;
    host(&live, "x.example"), host(&canary, "x.example"), host(&canary, "y.example");
    route(&live, "/old", 0), route(&canary, "/new", 1);
    struct diag d = DIAG_INIT;
    struct node_snapshot *s = with_canary(&live, &canary, 50, &d);
    assert_non_null(s);
    leads_of(s, NODE_LIVE, "x.example", "/old", "a 0"), leads_of(s, NODE_LIVE, "x.example", "/new", "a -");
    leads_of(s, NODE_CANARY, "x.example", "/new", "a 1"), leads_of(s, NODE_CANARY, "y.example", "/old", "a -");
    const struct node_entry *e = node_snapshot_named(s, STR("a"));
    assert_true(e->cordon == 7 && e->canary_permille == 50 && e->of[NODE_CANARY].version == 2 && e->of[NODE_LIVE].version == 1);
    node_snapshot_free(s);
    assert_null(with_canary(&live, &other, 50, &d));
    assert_string_equal(d.text, "a canary of another app");
    assert_null(with_canary(&live, &canary, 1001, &d));
    s = with_canary(&live, NULL, 50, &d);
    assert_true(!node_snapshot_named(s, STR("a"))->canary_permille);
    node_snapshot_free(s);
}

static void check_says(const struct app_record *r, const char *part) {
    struct diag d = DIAG_INIT;
    if (node_routes_check(r, &d) == ERR_OK || !strstr(d.text, part)) fail_msg("'%s', not '%s'", d.text, part);
}

/* All ways to say word or name, eight times: a path of words alone could be any of them. */
static void test_ways(void **state) {
    struct app_record a = record(1, "a", 1), b = record(1, "a", 1), c = record(1, "a", 1);
    for (unsigned i = 0; i < 256; i++) {
        struct buf path = {0};
        for (unsigned bit = 0; bit < 8; bit++) buf_printf(&path, "/%s", i >> bit & 1 ? ":n" : "w");
        vec_push(mem, &a.routes, ((struct app_route){.path = arena_str(mem, buf_str(&path)), .exact = true}));
        buf_free(&path);
    }
    check_says(&a, "too many ways");
    route(&b, "/a/:x", 0), route(&b, "/a/:y", 0);
    check_says(&b, "'/a/:y' is there twice");
    struct buf deep = {0};
    for (int i = 0; i < 65; i++) buf_printf(&deep, "/x");
    route(&c, arena_cstr(mem, buf_str(&deep)), 0);
    buf_free(&deep);
    check_says(&c, "has 65 segments");
    struct diag d = DIAG_INIT; /* and who reads it all the same is not held up */
    a.is_default = true;
    struct node_snapshot *s = snapshot((const struct app_record *[]){&a}, 1, &d);
    leads(s, "", "/w/w/w/w/w/w/w/w", "a 0"), leads(s, "", "/w/w/w/w/w/w/w/no", "a 0"), leads(s, "", "/w/w/w/w/w/w/w/w/w", "a -");
    node_snapshot_free(s);
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hosts, begin, end),    cmocka_unit_test_setup_teardown(test_default, begin, end),
        cmocka_unit_test_setup_teardown(test_paths, begin, end),    cmocka_unit_test_setup_teardown(test_many, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),  cmocka_unit_test_setup_teardown(test_names, begin, end),
        cmocka_unit_test_setup_teardown(test_way_back, begin, end), cmocka_unit_test_setup_teardown(test_slash, begin, end),
        cmocka_unit_test_setup_teardown(test_matched, begin, end),  cmocka_unit_test_setup_teardown(test_domain, begin, end),
        cmocka_unit_test_setup_teardown(test_canary, begin, end),   cmocka_unit_test_setup_teardown(test_ways, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
