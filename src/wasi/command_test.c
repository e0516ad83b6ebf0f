/* Commands of 0.3 and 0.2 in this process: with ever less host memory, killed at any moment, one after another on one loop. What is
 * checked is that each ends in one of the ways there are, and (by the sanitizers) that nothing is left behind or used after it. */
#include "engine/engine.h"
#include "link/link.h"
#include "wasi/wasi_int.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

static const char *paths[2]; /* of cli3.wasm and cli.wasm */
static int images[2] = {-1, -1};
static char folder[64];
static int folder_fd;
static struct net_loop *loop;
static struct engine *engine;
static struct wasi_image *image;

struct outcome {
    bool done;
    enum wasi_end end;
    int status;
    char text[256];
    size_t written;
};

static void on_ready(void *arg) { net_loop_wake(loop); }
static unsigned turns, kill_at; /* kill_at 0: never */
static struct wasi_run *running;

static bool on_turn(void *arg) {
    if (++turns == kill_at) wasi_run_kill(running);
    bool more = engine_run(engine, 1'000'000);
    if (image) wasi_image_turn(image);
    return more;
}

static void on_done(void *arg, const struct wasi_outcome *o) {
    struct outcome *out = arg;
    out->done = true;
    out->end = o->end;
    out->status = o->exit_status;
    snprintf(out->text, sizeof out->text, "%s", o->trap ? o->trap->text : o->text);
    net_loop_stop(loop);
}
static void on_write(void *arg, str bytes) { ((struct outcome *)arg)->written += bytes.n; }

/* Runs which image with these arguments. */
static struct outcome run_command(int which, const char *const *args, size_t count, uint64_t host_bytes, unsigned kill) {
    struct outcome o = {};
    struct diag d = DIAG_INIT;
    struct abi_image im;
    str argv[64] = {STR_INIT("test")};
    for (size_t i = 0; i < count; i++) argv[i + 1] = str_c(args[i]);
    struct app_dir preopen = {.fd = folder_fd, .guest = STR_INIT("/")};
    struct app_env env = {STR_INIT("A"), STR_INIT("1")};
    struct app_grants grants = {.env = {&env, 1, 1}, .dirs = {&preopen, 1, 1}};
    struct app_limits limits = {.host_bytes_max = host_bytes};
    app_limits_fill(&limits);
    arena *mem = arena_new(0);
    const struct host_offer *const offers[] = {&wasi_p2_offer, &wasi_p3_offer};
    struct host_offer offer = host_offer_join(mem, offers, ARRAY_COUNT(offers));
    struct app app = {.grants = &grants, .limits = &limits, .share = engine_share_own(engine), .loop = loop};
    app_init(&app, (struct app_out){.fd = -1}, (struct app_out){.fd = -1});
    struct wasi_config config = {.args = argv, .args_count = count + 1};
    struct app_request request;
    app_request_begin(&request, &app, (str){}, NULL);
    request.out = (struct app_out){.write = on_write, .arg = &o};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], "input", 5), 5);
    close(ends[1]);
    assert_int_equal(abi_image_open(fcntl(images[which], F_DUPFD_CLOEXEC, 3), NULL, &im, &d), ERR_OK);
    if (wasi_image_new(&app, &offer, im, &config, &image, &d) != ERR_OK) fail_msg("%s", d.text);
    struct wasi_run_config rc = {.request = &request, .stdin_fd = ends[0], .done = on_done, .arg = &o};
    turns = 0;
    kill_at = kill;
    running = wasi_start(image, &rc);
    assert_non_null(running);
    net_loop_wake(loop);
    net_loop_run(loop);
    if (!o.done) { /* it waits for what cannot come */
        wasi_run_kill(running);
        net_loop_wake(loop);
        net_loop_run(loop);
    }
    assert_true(o.done);
    wasi_run_free(running);
    wasi_image_free(image);
    image = NULL;
    arena_free(mem);
    close(ends[0]);
    return o;
}

static const char *const cli3_args[] = {
    "env",         "err:x",      "random:100",        "cat",           "write:new:text",  "append:new:more", "read:new",
    "big:big:3",   "ls:.",       "mkdir:d",           "rmdir:d",       "stat:new",        "readlink:l",      "drop:big",
    "syncs:big:9", "cancel:big", "transfer:big:twin", "same:big:twin", "rename:twin:new", "unlink:new",      "unlink:big",
    "sleep:1",     "nosleep"};
static const char *const cli_args[] = {
    "env",     "random:100", "cat",      "write:new:text", "append:new:more", "read:new",       "stream:new", "ls:.",
    "mkdir:d", "rmdir:d",    "stat:new", "readlink:l",     "same:new:new",    "rename:new:old", "unlink:old", "sleep:1"};
static const struct {
    const char *const *args;
    size_t count;
} commands[2] = {{cli3_args, ARRAY_COUNT(cli3_args)}, {cli_args, ARRAY_COUNT(cli_args)}};

static void test_enough(void **state) {
    for (int which = 0; which < 2; which++) {
        struct outcome o = run_command(which, commands[which].args, commands[which].count, 0, 0);
        if (o.end != WASI_END_OK || o.status) fail_msg("ended as %d, status %d: %s", o.end, o.status, o.text);
        assert_true(o.written > 60);
    }
}

/* Every place that asks for memory is refused some time. */
static void test_little_memory(void **state) {
    for (int which = 0; which < 2; which++) {
        unsigned ended[WASI_END_LIMIT + 1] = {};
        for (uint64_t bytes = 1; bytes < 260'000; bytes += bytes < 8'000 ? 97 : 3'001)
            ended[run_command(which, commands[which].args, commands[which].count, bytes, 0).end]++;
        assert_true(ended[WASI_END_TRAP] >= 5 && ended[WASI_END_OK] >= 50);
        assert_int_equal(ended[WASI_END_TRAP] + ended[WASI_END_OK], (8'000 + 96) / 97 + (260'000 - 8'000 + 3'000) / 3'001);
    }
}

/* Whatever it is doing then. */
static void test_killed(void **state) {
    for (int which = 0; which < 2; which++)
        for (unsigned at = 1; at < 60; at++) {
            enum wasi_end end = run_command(which, commands[which].args, commands[which].count, 0, at).end;
            assert_true(end == WASI_END_OK || end == WASI_END_KILLED);
        }
}

/* Left under way by a guest that ends. */
static void test_abandoned(void **state) {
    static const char *const hows[] = {"abandon:left:exit", "abandon:left:drop", "abandon:left:trap", "deadlock", "takeback"};
    for (size_t i = 0; i < ARRAY_COUNT(hows); i++)
        for (int times = 0; times < 10; times++) {
            struct outcome o = run_command(0, &hows[i], 1, 0, 0);
            assert_int_equal(o.end, i == 2 ? WASI_END_TRAP : i == 3 ? WASI_END_KILLED : WASI_END_OK);
        }
}

static int read_image(const char *path, int *fd) {
    static uint8_t bytes[1 << 18];
    struct diag d = DIAG_INIT;
    struct link_stats stats;
    FILE *f = fopen(path, "rb");
    if (!f) return 1;
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    err e = link_file_memfd((str){bytes, n}, &(struct link_options){}, fd, &stats, &d);
    if (e) print_error("%s\n", d.text);
    return e;
}

static int setup(void **state) {
    struct engine_config config = {.on_ready = on_ready};
    snprintf(folder, sizeof folder, "/tmp/orlo-command-test.XXXXXX");
    if (!mkdtemp(folder)) return 1;
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (symlinkat("target", folder_fd, "l")) return 1;
    loop = net_loop_new();
    engine = engine_new(&config);
    net_loop_on_turn(loop, on_turn, NULL);
    return read_image(paths[0], &images[0]) || read_image(paths[1], &images[1]);
}

static int teardown(void **state) {
    char command[128];
    engine_free(engine);
    net_loop_free(loop);
    close(images[0]), close(images[1]), close(folder_fd);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_enough), cmocka_unit_test(test_little_memory),
                                       cmocka_unit_test(test_killed), cmocka_unit_test(test_abandoned)};
    if (argc < 3) return 77;
    paths[0] = argv[1];
    paths[1] = argv[2];
    return cmocka_run_group_tests(tests, setup, teardown);
}
