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
    node_snapshot_begin(&b, 5);
    for (size_t i = 0; i < n; i++) node_snapshot_add(&b, records[i]);
    int fd = node_snapshot_seal(buf_str(&b));
    buf_free(&b);
    assert_true(fd >= 0);
    struct node_snapshot *s;
    err e = node_snapshot_map(fd, &s, d);
    assert_true((e == ERR_OK) == (s != NULL));
    close(fd);
    return s;
}

/* "name function" whom a request reaches; "-": nobody, "name -": no function. */
static void leads(const struct node_snapshot *s, const char *authority, const char *path, const char *to) {
    const struct node_entry *app;
    uint32_t function;
    char got[100] = "-";
    enum node_found found = node_snapshot_find(s, str_c(authority), str_c(path), &app, &function);
    if (found == NODE_FOUND) snprintf(got, sizeof got, STR_FMT " %u", STR_ARG(app->name), function);
    if (found == NODE_NO_ROUTE) snprintf(got, sizeof got, STR_FMT " -", STR_ARG(app->name));
    if (strcmp(got, to) != 0) fail_msg("%s %s leads to '%s', not '%s'", authority, path, got, to);
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
    refused(&r, &d2, "an app has a function, or files, and not so many");
    struct diag d = DIAG_INIT;
    struct node_snapshot *s;
    int fd = memfd_create("open", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(node_snapshot_map(fd, &s, &d), ERR_MALFORMED); /* whoever has it could still change it */
    close(fd);
    assert_int_equal(node_snapshot_read(STR("orls"), &s, &d), ERR_MALFORMED);
}

static int begin(void **state) { return mem = arena_new(0), 0; }
static int end(void **state) { return arena_free(mem), 0; }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hosts, begin, end),   cmocka_unit_test_setup_teardown(test_default, begin, end),
        cmocka_unit_test_setup_teardown(test_paths, begin, end),   cmocka_unit_test_setup_teardown(test_many, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
