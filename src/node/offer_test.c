/* What is offered is put together of rows: a service that stands beside WASI (testdata/who.c) is called by a guest, and knows for whom. */
#include "component/component.h"
#include "component/plan.h"
#include "link/link.h"
#include "net/loop.h"
#include "node/node_int.h"
#include "wasi/wasi.h"
#include "who.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

extern char who_said[256];

static str file; /* who.wasm */
static struct net_loop *loop;
static struct engine *engine;
static struct wasi_image *image;

static struct host_offer with_who(arena *out) {
    const struct host_offer *const parts[] = {node_offer(), &who_offer};
    return host_offer_join(out, parts, ARRAY_COUNT(parts));
}

static err check(const struct host_offer *offer, struct diag *d) {
    arena *mem = arena_new(0);
    struct component *c = NULL;
    struct plan plan;
    err e = component_decode(mem, file, &c, d);
    if (e == ERR_OK) e = component_plan(mem, c, &plan, d);
    if (e == ERR_OK) e = host_offer_check(offer, &plan, d);
    arena_free(mem);
    return e;
}

/* Without its row it is not offered; with it all that WASI offers still is. */
static void test_rows(void **state) {
    arena *mem = arena_new(0);
    struct diag d = DIAG_INIT;
    assert_int_equal(check(node_offer(), &d), ERR_LINK);
    assert_non_null(strstr(d.text, "orlo:test/who"));
    struct host_offer all = with_who(mem);
    if (check(&all, &d) != ERR_OK) fail_msg("%s", d.text);
    assert_int_equal(all.interfaces_count, node_offer()->interfaces_count + 1);
    assert_int_equal(all.core_count, node_offer()->core_count);
    assert_non_null(host_offer_core(&all, STR("wasi_snapshot_preview1"), STR("fd_write")));
    for (uint32_t i = 0; i < all.interfaces_count; i++) /* no name in two rows */
        for (uint32_t k = 0; k < i; k++)
            assert_false(!strcmp(all.interfaces[i]->name, all.interfaces[k]->name) &&
                         !memcmp(&all.interfaces[i]->version, &all.interfaces[k]->version, sizeof all.interfaces[i]->version));
    arena_free(mem);
}

static void on_ready(void *arg) { net_loop_wake(loop); }
static bool on_turn(void *arg) {
    bool more = engine_run(engine, 1'000'000);
    wasi_image_turn(image);
    return more;
}
static void on_done(void *arg, const struct wasi_outcome *o) {
    *(enum wasi_end *)arg = o->end;
    net_loop_stop(loop);
}

static void run(struct app *app, str id) {
    enum wasi_end end = WASI_END_KILLED;
    struct app_request request;
    app_request_begin(&request, app, id, NULL);
    struct wasi_run_config config = {.request = &request, .stdin_fd = -1, .done = on_done, .arg = &end};
    struct wasi_run *run = wasi_start(image, &config);
    assert_non_null(run);
    net_loop_wake(loop);
    net_loop_run(loop);
    assert_int_equal(end, WASI_END_OK);
    wasi_run_free(run);
}

static void test_who_calls(void **state) {
    arena *mem = arena_new(0);
    struct diag d = DIAG_INIT;
    struct abi_image im;
    struct link_stats stats;
    struct engine_config config = {.on_ready = on_ready};
    struct host_offer offer = with_who(mem);
    struct app_grants grants = {0};
    struct app_limits limits = {0};
    int fd;
    app_limits_fill(&limits);
    loop = net_loop_new();
    engine = engine_new(&config);
    if (link_file_memfd(file, &(struct link_options){}, &fd, &stats, &d) != ERR_OK) fail_msg("%s", d.text);
    assert_int_equal(abi_image_open(fd, NULL, &im, &d), ERR_OK);
    struct app app = {.name = STR("shop"), .grants = &grants, .limits = &limits, .share = engine_share_own(engine), .loop = loop};
    app_init(&app, (struct app_out){.fd = -1}, (struct app_out){.fd = -1});
    if (wasi_image_new(&app, &offer, im, &(struct wasi_config){0}, &image, &d) != ERR_OK) fail_msg("%s", d.text);
    net_loop_on_turn(loop, on_turn, NULL);
    run(&app, STR("first"));
    run(&app, STR("second"));
    assert_string_equal(who_said, "shop\nfirst\nshop\nsecond\n");
    wasi_image_free(image);
    engine_free(engine);
    net_loop_free(loop);
    arena_free(mem);
}

/* Of each interface how many versions there are, and that a draft's name is its own. */
static uint32_t versions_of(const char *name) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < node_offer()->interfaces_count; i++)
        n += host_name_matches(str_c(name), node_offer()->interfaces[i]);
    return n;
}
static void test_versions(void **state) {
    static const char *const offered[] = {"wasi:http/types@0.2.0",
                                          "wasi:http/types@0.3.0",
                                          "wasi:http/types@0.3.0-rc-2026-03-15",
                                          "wasi:cli/exit@0.3.0-rc-2026-03-15",
                                          "wasi:keyvalue/store@0.2.0-draft2",
                                          "fermyon:spin/key-value@2.0.0",
                                          "fermyon:spin/key-value",
                                          "spin:sqlite/sqlite@3.0.0",
                                          "spin:postgres/postgres@3.0.0",
                                          "spin:postgres/postgres@4.1.0",
                                          "orlo:database/client@0.1.0"};
    static const char *const others[] = {"wasi:http/types@0.3.0-rc-2026-01-01", "wasi:keyvalue/store@0.2.0",
                                         "fermyon:spin/key-value@3.0.0", "wasi:io/poll@0.3.0-rc-2026-03-15"};
    for (size_t i = 0; i < ARRAY_COUNT(offered); i++) assert_true(versions_of(offered[i]) >= 1);
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) assert_int_equal(versions_of(others[i]), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_who_calls),
                                       cmocka_unit_test(test_versions)};
    if (argc < 2) return 77;
    static uint8_t bytes[4096];
    FILE *f = fopen(argv[1], "rb");
    if (!f) return 1;
    file = (str){bytes, fread(bytes, 1, sizeof bytes, f)};
    fclose(f);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
