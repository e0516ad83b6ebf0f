/* Sums over regions as text: each count makes exactly one series greater, whatever labels do; what regions make up is text, and bounded.
 * With --text FILE it writes such a text, for parsers of others (tests/apps/observe_test.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/json.h"
#include "node/control/control_int.h"
#include "node/control/metrics.h"

static struct node_meters_region *region(struct control *c, uint32_t slot) {
    int fd = node_meters_new();
    struct node_meters_region *r = node_meters_open(fd, true);
    assert_non_null(r);
    r->head.alive = r->head.apps = r->head.calls = 1;
    r->apps[0].used = r->calls[0].used = 1;
    assert_true(node_metrics_add(c, slot, fd));
    return r;
}

static struct node_meters_app *app(struct node_meters_region *r, const char *name) {
    for (uint32_t i = 1; i < r->head.apps; i++)
        if (!strcmp(r->apps[i].name, name)) return &r->apps[i];
    assert_true(r->head.apps < NODE_METERS_APPS);
    struct node_meters_app *a = &r->apps[r->head.apps++ % NODE_METERS_APPS];
    a->used = 1;
    snprintf(a->name, sizeof a->name, "%s", name);
    return a;
}

static void ask(struct node_meters_region *r, const char *name, uint32_t version, const char *function, uint64_t times) {
    uint32_t of = (uint32_t)(app(r, name) - r->apps), i = 1;
    while (i < r->head.calls && !(r->calls[i].app == of && r->calls[i].version == version && !strcmp(r->calls[i].name, function)))
        i++;
    struct node_meters_call *c = &r->calls[i];
    if (i == r->head.calls) {
        r->head.calls++;
        c->used = 1, c->app = of, c->version = version;
        snprintf(c->name, sizeof c->name, "%s", function);
    }
    c->counts.requests_2xx += times;
    for (uint64_t k = 0; k < times; k++) node_meter_time(&c->counts.duration, 120'000 + k * 1000);
}

static char *text_of(struct control *c, bool open) {
    struct buf b = {0};
    node_metrics_text(c, open, &b);
    buf_putc(&b, 0);
    return (char *)b.p;
}

/* The value behind "NAME{…} ", or -1. */
static long long value(const char *text, const char *series) {
    char key[300];
    snprintf(key, sizeof key, "\n%s ", series);
    const char *at = strstr(text, key);
    return at ? atoll(at + strlen(key)) : -1;
}

static long long requests(const char *text, const char *name, const char *function, unsigned version) {
    char key[256];
    if (!strcmp(name, "(other)"))
        snprintf(key, sizeof key, "orlo_requests_total{app=\"(other)\",function=\"(other)\",version=\"(other)\",code=\"2xx\"}");
    else
        snprintf(key, sizeof key, "orlo_requests_total{app=\"%s\",function=\"%s\",version=\"%u\",code=\"2xx\"}", name, function,
                 version);
    return value(text, key);
}

static void test_sums(void **state) {
    struct control c = {.limits.metrics_apps_max = 10};
    struct node_meters_region *a = region(&c, 0), *b = region(&c, 1), *old = region(&c, 0);
    ask(a, "shop", 1, "api", 3), ask(b, "shop", 1, "api", 4), ask(old, "shop", 1, "api", 5), ask(b, "shop", 2, "api", 1);
    app(a, "shop")->now.instances = 2, app(b, "shop")->now.instances = 3, app(old, "shop")->now.instances = 100;
    old->head.alive = 0;
    app(a, "shop")->counts.limits[APP_SETTING_handler_ms_max] = 7;
    a->head.worker.accepted = 5, old->head.worker.accepted = 6, b->head.worker.accepted = 1;
    a->head.worker_now.connections = 2, old->head.worker_now.connections = 50;
    char *t = text_of(&c, false);
    assert_int_equal(requests(t, "shop", "api", 1), 12);
    assert_int_equal(requests(t, "shop", "api", 2), 1);
    assert_int_equal(value(t, "orlo_app_instances{app=\"shop\"}"), 5); /* of who is alive */
    assert_int_equal(value(t, "orlo_limit_hits_total{app=\"shop\",limit=\"timeout_ms\"}"), 7);
    assert_int_equal(value(t, "orlo_connections_accepted_total{worker=\"0\"}"), 11);
    assert_int_equal(value(t, "orlo_connections{worker=\"0\"}"), 2);
    assert_int_equal(value(t, "orlo_request_duration_seconds_bucket{app=\"shop\",function=\"api\",version=\"1\",le=\"0.0003\"}"),
                     12);
    assert_int_equal(value(t, "orlo_request_duration_seconds_bucket{app=\"shop\",function=\"api\",version=\"1\",le=\"0.0001\"}"),
                     0);
    assert_int_equal(value(t, "orlo_request_duration_seconds_count{app=\"shop\",function=\"api\",version=\"1\"}"), 12);
    free(t);
    node_metrics_close(&c);
}

/* All of a text's requests. */
static long long all(const char *text) {
    long long n = 0;
    for (const char *at = text; (at = strstr(at, "\norlo_requests_total{"));) n += atoll(strchr(at, '}') + 2), at++;
    return n;
}

static void test_labels_are_bounded(void **state) {
    struct control c = {.limits.metrics_apps_max = 5};
    struct node_meters_region *r = region(&c, 0);
    char name[16];
    for (int i = 0; i < 20; i++) snprintf(name, sizeof name, "a%d", i), ask(r, name, 1, "f", (uint64_t)(i + 1));
    char *t = text_of(&c, false);
    assert_int_equal(all(t), 210);
    assert_int_equal(requests(t, "a19", "f", 1), 20); /* the busiest have labels */
    assert_int_equal(requests(t, "a14", "f", 1), -1);
    assert_int_equal(requests(t, "(other)", "", 0), 120);
    free(t);
    ask(r, "a0", 1, "f", 1000), ask(r, "new", 1, "f", 10);
    t = text_of(&c, false);
    assert_int_equal(all(t), 1220);
    assert_int_equal(requests(t, "(other)", "", 0), 1130);
    free(t);
    node_metrics_rank_now(&c);
    t = text_of(&c, false); /* a0 takes the place of one that had no request: from 0, and what it had stays under (other) */
    assert_int_equal(requests(t, "a0", "f", 1), -1); /* nothing yet */
    assert_int_equal(value(t, "orlo_request_duration_seconds_count{app=\"a0\",function=\"f\",version=\"1\"}"), 0);
    assert_int_equal(requests(t, "(other)", "", 0), 1130);
    free(t);
    ask(r, "a0", 1, "f", 3), ask(r, "a0", 2, "f", 4), ask(r, "a15", 1, "f", 5), ask(r, "a16", 1, "f", 6),
        ask(r, "a17", 1, "f", 7);
    ask(r, "a18", 1, "f", 8), ask(r, "a19", 1, "f", 9);
    t = text_of(&c, false);
    assert_int_equal(requests(t, "a0", "f", 1), 3);
    assert_int_equal(requests(t, "a0", "f", 2), 4);
    long long rest = requests(t, "(other)", "", 0); /* one of a15 to a19 is counted there, from now on */
    assert_in_range(rest, 1135, 1139);
    free(t);
    memset(app(r, "a0"), 0, sizeof *r->apps); /* deleted, and its row went up */
    r->apps[0].earlier.requests_2xx += 1008;
    for (uint32_t i = 1; i < r->head.calls; i++)
        if (!r->apps[r->calls[i].app].used) r->calls[i].used = 0;
    ask(r, "a1", 1, "f", 2);
    t = text_of(&c, false);
    assert_int_equal(requests(t, "a0", "f", 1), -1);
    long long now = requests(t, "(other)", "", 0);
    assert_in_range(now, rest, rest + 2 + 1); /* neither back nor twice */
    free(t);
    node_metrics_close(&c);
}

static void test_versions_are_bounded(void **state) {
    struct control c = {.limits.metrics_apps_max = 5};
    struct node_meters_region *r = region(&c, 0);
    for (uint32_t v = 1; v <= 200; v++) ask(r, "shop", v, "f", 1);
    char *t = text_of(&c, false);
    assert_int_equal(requests(t, "shop", "f", 200), 1);
    assert_int_equal(requests(t, "shop", "f", 200 - NODE_METRICS_CALLS_MAX), -1);
    free(t);
    node_metrics_close(&c);
}

static void test_region_is_hearsay(void **state) {
    struct control c = {.limits.metrics_apps_max = 100};
    struct node_meters_region *r = region(&c, 0);
    unsigned seed = 3;
    for (uint8_t *p = (uint8_t *)&r->apps[1]; p < (uint8_t *)&r->apps[200]; p++) *p = (uint8_t)rand_r(&seed);
    for (uint8_t *p = (uint8_t *)&r->calls[1]; p < (uint8_t *)&r->calls[200]; p++) *p = (uint8_t)rand_r(&seed);
    ask(r, "\"\\\n\x1b[2J\xff", 1, "\"} 1\nforged 2", 1);
    r->head.apps = r->head.calls = UINT32_MAX;
    r->head.moves = 1;
    char *t = text_of(&c, false);
    assert_null(strstr(t, "\nforged"));
    for (const char *p = t; *p; p++) assert_true(*p == '\n' || (unsigned char)*p >= ' ');
    assert_true(str_is_utf8(str_c(t)));
    free(t);
    int fd = memfd_create("x", 0); /* too short */
    assert_false(node_metrics_add(&c, 0, fd));
    node_metrics_close(&c);
}

static void write_text(const char *path, bool open) {
    struct control c = {.limits.metrics_apps_max = 3};
    struct node_meters_region *r = region(&c, 0), *s = region(&c, 1);
    const char *names[] = {"shop", "blog", "we\"ird\\name", "d", "e"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) ask(r, names[i], 1, "api", i + 1), ask(s, names[i], 2, "api", 2 * i + 1);
    app(r, "shop")->counts.limits[0] = 7;
    app(r, "shop")->counts.cpu_ns = 1'234'567'890'123;
    char *t = text_of(&c, open);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(t, f);
    fclose(f);
    free(t);
    node_metrics_close(&c);
}

int main(int argc, char **argv) {
    if (argc == 3) {
        write_text(argv[2], !strcmp(argv[1], "--open"));
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_labels_are_bounded),
        cmocka_unit_test(test_versions_are_bounded),
        cmocka_unit_test(test_region_is_hearsay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
