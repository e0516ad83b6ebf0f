/* Feeds, drains, promises and awaits, through guests (host/testdata/async.wasm: pump adds one to each byte, echo hands back what it
 * got, text reads a future) and straight from one to the other. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "link/link.h"
#include "wasi/p3/p3_int.h"

enum { BYTES = 20'000, PIECE_MAX = 700 };
static struct engine *engine;
static struct host_component *component;
static const char *guest_path;

static const struct host_field sleep_fields[] = {{.name = "n", .type = &host_type_primitives[HOST_U32]}};
static const struct host_type sleep_params = {
    .kind = HOST_RECORD, .count = 1, .fields = sleep_fields, .host_size = 4, .host_align = 4};
static enum abi_trap no_sleep(struct host_call *call, void *args, void *result) { return ABI_TRAP_NONE; }
static const struct host_func timer_funcs[] = {{"sleep", &sleep_params, &host_type_primitives[HOST_U32], no_sleep, true}};
static const struct host_interface timer = {.name = "acme:test/timer", .funcs = timer_funcs, .funcs_count = 1};
static const struct host_interface *const interfaces[] = {&timer};
static const struct host_offer offer = {.interfaces = interfaces, .interfaces_count = 1};

static void run_all(void) {
    while (engine_run(engine, 1'000'000)) {}
}

static void start_fiber(void *arg) { assert_int_equal(host_instance_start(arg), ABI_TRAP_NONE); }

static struct host_instance *acquire(void) {
    struct host_instance *in = host_instance_acquire(component, NULL);
    assert_non_null(in);
    assert_non_null(engine_spawn(host_instance_engine(in), start_fiber, in));
    run_all();
    return in;
}

/* Nothing of what was made is left, but for what a dead guest still holds. */
static void release(struct host_instance *in) {
    run_all();
    if (!host_instance_dead(in)) assert_int_equal(host_instance_charged(in), 0);
    host_instance_release(in);
    run_all();
}

static const struct host_export *export(struct host_instance *in, const char *name) {
    const struct host_export *ex = host_component_export_named(host_instance_component(in), (str){}, str_c(name));
    assert_non_null(ex);
    return ex;
}

/* ---- a source, and a sink ---- */

struct ends {
    struct wasi_p3_feed *feed;
    struct wasi_p3_drain *drain;
    unsigned seed;
    uint8_t bytes[PIECE_MAX];
    uint32_t fed, at, n;                 /* consumed; what peek shows: bytes[at, n) */
    bool dry;                            /* peek waits until it is woken */
    uint32_t feed_end_at, drain_stop_at; /* by what their callbacks say; 0: never */
    bool fails, end_stops_other;         /* the one that ends first takes the other with it */
    uint32_t room, drained, added;
    int feed_over, drain_over, gone;
};

/* A call of ours is on the stack: nobody is told anything from inside of it. */
static int calling;
#define CALL(f, ...) (calling++, f(__VA_ARGS__), calling--)

static enum net_flow peek(void *arg, size_t want, const void **p, size_t *n) {
    struct ends *e = arg;
    assert_false(calling);
    if (e->feed_end_at && e->fed >= e->feed_end_at) return NET_FLOW_END;
    if (e->fed + (e->n - e->at) >= BYTES && e->at == e->n) return e->fails ? NET_FLOW_FAILED : NET_FLOW_END;
    if (e->at == e->n) {
        if (rand_r(&e->seed) % 3 == 0) {
            e->dry = true;
            return NET_FLOW_WAIT;
        }
        uint32_t piece = 1 + (uint32_t)rand_r(&e->seed) % PIECE_MAX;
        e->at = 0;
        e->n = MIN(piece, BYTES - e->fed);
        for (uint32_t i = 0; i < e->n; i++) e->bytes[i] = (uint8_t)(e->fed + i);
    }
    *p = e->bytes + e->at;
    *n = e->n - e->at;
    return NET_FLOW_DATA;
}
static void consume(void *arg, size_t n) {
    struct ends *e = arg;
    e->at += (uint32_t)n;
    e->fed += (uint32_t)n;
    assert_true(e->at <= e->n);
}
static void fed(void *arg) {
    struct ends *e = arg;
    assert_false(calling);
    e->feed = NULL;
    e->feed_over++;
    if (!e->end_stops_other || !e->drain) return;
    CALL(wasi_p3_drain_stop, e->drain);
    e->drain = NULL;
}
static const struct wasi_p3_feed_ops feed_ops = {peek, consume, fed};

static size_t room(void *arg) {
    assert_false(calling);
    return ((struct ends *)arg)->room;
}
static bool put(void *arg, str bytes) {
    struct ends *e = arg;
    assert_true(!calling && bytes.n && bytes.n <= e->room);
    for (size_t i = 0; i < bytes.n; i++) assert_int_equal(bytes.p[i], (uint8_t)(e->drained + i + e->added));
    e->drained += (uint32_t)bytes.n;
    e->room -= (uint32_t)bytes.n;
    if (!e->drain_stop_at || e->drained < e->drain_stop_at) return true;
    e->drain = NULL;
    return false;
}
static void drained(void *arg, bool gone) {
    struct ends *e = arg;
    assert_false(calling);
    e->drain = NULL;
    e->drain_over++;
    e->gone += gone;
    if (!e->end_stops_other || !e->feed) return;
    CALL(wasi_p3_feed_stop, e->feed);
    e->feed = NULL;
}
static const struct wasi_p3_drain_ops drain_ops = {room, put, drained};

/* News for both ends until nothing happens any more. */
static void pump(struct ends *e) {
    for (int quiet = 0; quiet < 20; quiet++) {
        uint32_t before = e->fed + e->drained;
        if (e->feed && e->dry) {
            e->dry = false;
            CALL(wasi_p3_feed_wake, e->feed);
        }
        run_all();
        if (e->drain) {
            e->room = (uint32_t)rand_r(&e->seed) % PIECE_MAX;
            CALL(wasi_p3_drain_wake, e->drain);
        }
        run_all();
        if (e->fed + e->drained != before) quiet = 0;
    }
}

struct flow {
    struct host_invocation inv;
    struct host_instance *in;
    struct host_stream *out;
    struct ends *ends;
};

static void flow_done(struct host_invocation *inv, void *arg) {
    struct flow *f = arg;
    assert_int_equal(inv->trap, ABI_TRAP_NONE);
    f->ends->drain = wasi_p3_drain_new(f->in, f->out, &drain_ops, f->ends);
    assert_non_null(f->ends->drain);
    host_invoke_end(inv);
}

/* From the feed through the guest's function, or none, into the drain. */
static void begin(struct flow *f, struct ends *e, struct host_instance *in, const char *function) {
    struct host_stream *s = wasi_p3_feed_new(in, &feed_ops, e, &e->feed);
    assert_non_null(s);
    *f = (struct flow){.in = in, .ends = e};
    static struct host_stream *args;
    args = s;
    host_invoke(&f->inv, in, export(in, function), &args, &f->out, flow_done, f);
    run_all();
}

static void test_flows(void **state) {
    for (unsigned seed = 1; seed <= 12; seed++)
        for (int echo = 0; echo < 2; echo++) {
            struct host_instance *in = acquire();
            struct ends e = {.seed = seed, .added = !echo, .fails = seed % 2};
            struct flow f;
            begin(&f, &e, in, echo ? "echo" : "pump");
            pump(&e);
            assert_int_equal(e.fed, BYTES);
            assert_int_equal(e.drained, BYTES);
            assert_true(e.feed_over == 1 && e.drain_over == 1 && !e.gone);
            assert_int_equal(host_instance_tasks(in), 0);
            release(in);
        }
}

/* Each side may stop inside of its own callback, or outside: the other sees an end. */
static void test_stops(void **state) {
    for (int echo = 0; echo < 2; echo++)
        for (int who = 0; who < 3; who++) {
            struct host_instance *in = acquire();
            struct ends e = {.seed = 7, .added = !echo, .feed_end_at = who == 0 ? 5000 : 0, .drain_stop_at = who == 1 ? 5000 : 0};
            struct flow f;
            begin(&f, &e, in, echo ? "echo" : "pump");
            if (who == 2) {
                e.room = 10;
                wasi_p3_drain_wake(e.drain);
                wasi_p3_feed_stop(e.feed);
                e.feed = NULL;
            }
            pump(&e);
            assert_int_equal(e.feed_over, who != 2); /* a drain that stopped is the feed's end */
            assert_int_equal(e.drain_over, who != 1);
            assert_true(e.fed < BYTES && !e.gone);
            host_instance_kill(in); /* pump goes on with a stream that nobody reads */
            release(in);
        }
}

/* A body breaks: its feed ends, and who is told takes the drain that is reading with it. Or the other way round. */
static void test_ends_together(void **state) {
    for (int echo = 0; echo < 2; echo++)
        for (unsigned seed = 1; seed <= 6; seed++) {
            struct host_instance *in = acquire();
            struct ends e = {.seed = seed,
                             .added = !echo,
                             .fails = true,
                             .end_stops_other = true,
                             .feed_end_at = seed % 2 ? 3000 : 0,
                             .drain_stop_at = seed % 2 ? 0 : 3000};
            struct flow f;
            begin(&f, &e, in, echo ? "echo" : "pump");
            pump(&e);
            assert_true(!e.feed && !e.drain && e.feed_over == 1 && !e.drain_over);
            host_instance_kill(in);
            release(in);
        }
}

/* The instance dies between the news and the telling: each end hears of it, once. */
static void test_dies_meanwhile(void **state) {
    for (int echo = 0; echo < 2; echo++)
        for (int released = 0; released < 2; released++) {
            struct host_instance *in = acquire();
            struct ends e = {.seed = 5, .added = !echo};
            struct flow f;
            begin(&f, &e, in, echo ? "echo" : "pump");
            e.room = 100;
            CALL(wasi_p3_drain_wake, e.drain);
            CALL(wasi_p3_feed_wake, e.feed);
            if (released) host_instance_release(in); /* which tells */
            else CALL(host_instance_kill, in);
            run_all();
            assert_true(e.feed_over == 1 && e.drain_over == 1 && e.gone == 1);
            if (!released) release(in);
        }
}

/* With the instance everything is over, once; ends that the owner keeps know it. */
static void test_gone(void **state) {
    for (int kill = 0; kill < 2; kill++) {
        struct host_instance *in = acquire();
        struct ends e = {.seed = 3, .added = 1};
        struct wasi_p3_promise *promise;
        struct flow f;
        begin(&f, &e, in, "pump");
        e.room = 100;
        wasi_p3_drain_wake(e.drain);
        struct host_future *future = wasi_p3_promise_new(in, sizeof(uint32_t), &promise);
        host_future_close(future);
        if (kill) host_instance_kill(in);
        else host_instance_release(in);
        run_all();
        assert_true(e.feed_over == 1 && e.drain_over == 1 && e.gone == 1);
        if (kill) release(in);
        wasi_p3_promise_keep(promise, &(uint32_t){7}, NULL);
    }
}

/* ---- futures ---- */

static int dropped;
static void drop(struct host_instance *in, void *value) { dropped++; }

struct text {
    struct host_invocation inv;
    uint32_t result;
    bool done;
};
static void text_done(struct host_invocation *inv, void *arg) {
    assert_int_equal(inv->trap, ABI_TRAP_NONE);
    ((struct text *)arg)->done = true;
    host_invoke_end(inv);
}

static void test_promise(void **state) {
    for (int early = 0; early < 2; early++) {
        struct host_instance *in = acquire();
        struct wasi_p3_promise *promise;
        struct text t = {};
        struct host_future *f = wasi_p3_promise_new(in, sizeof(str), &promise);
        const str value = STR("hello");
        dropped = 0;
        if (early) wasi_p3_promise_keep(promise, &value, drop);
        host_invoke(&t.inv, in, export(in, "text"), &f, &t.result, text_done, &t);
        run_all();
        assert_int_equal(t.done, early);
        if (!early) wasi_p3_promise_keep(promise, &value, drop);
        run_all();
        assert_true(t.done && t.result == 5 + 'o' && !dropped);
        release(in);
    }
    struct host_instance *in = acquire(); /* nobody takes it */
    struct wasi_p3_promise *promise;
    struct host_future *f = wasi_p3_promise_new(in, 4, &promise);
    wasi_p3_promise_keep(promise, &(uint32_t){1}, drop);
    assert_int_equal(dropped, 0);
    host_future_close(f);
    assert_int_equal(dropped, 0); /* not from inside of a call */
    run_all();
    assert_int_equal(dropped, 1);
    f = wasi_p3_promise_new(in, 4, &promise);
    wasi_p3_promise_abandon(promise);
    host_future_close(f);
    release(in);
}

static struct wasi_p3_await *waiting;
static int awaited;
static void on_value(void *arg, void *value) {
    waiting = NULL;
    awaited += value ? 1 : 100;
}

static void test_await(void **state) {
    for (int stop = 0; stop < 2; stop++) {
        struct host_instance *in = acquire();
        struct wasi_p3_promise *promise;
        struct host_future *f = wasi_p3_promise_new(in, 4, &promise);
        waiting = wasi_p3_await_new(in, f, 4, on_value, NULL);
        awaited = dropped = 0;
        if (stop) wasi_p3_await_stop(waiting);
        else host_instance_release(in);
        assert_int_equal(awaited, stop ? 0 : 100); /* gone */
        wasi_p3_promise_keep(promise, &(uint32_t){1}, drop);
        assert_int_equal(dropped, 1);
        if (stop) release(in);
    }
}

/* Futures that each end the next take no stack, however many, and others have their turn between. */
enum { CHAIN = 20'000 };
static struct wasi_p3_promise *chain[CHAIN + 1];
static uint32_t reached;
static void on_link(void *arg, void *value) {
    assert_false(calling);
    assert_true(arg == &chain[reached] && !value);
    if (++reached < CHAIN) CALL(wasi_p3_promise_abandon, chain[reached]);
}
static void test_chain(void **state) {
    struct host_instance *in = acquire();
    reached = 0;
    for (uint32_t i = 0; i < CHAIN; i++) {
        struct host_future *f = wasi_p3_promise_new(in, sizeof(uint32_t), &chain[i]);
        assert_non_null(f);
        assert_non_null(wasi_p3_await_new(in, f, sizeof(uint32_t), on_link, &chain[i]));
    }
    run_all();
    CALL(wasi_p3_promise_abandon, chain[0]);
    assert_int_equal(reached, 0);
    assert_true(engine_run(engine, 1)); /* a turn that is over at once */
    assert_true(reached > 0 && reached < CHAIN);
    run_all();
    assert_int_equal(reached, CHAIN);
    release(in);
}

static int setup(void **state) {
    static uint8_t bytes[1 << 16];
    struct diag d = DIAG_INIT;
    struct link_stats stats;
    struct abi_image im;
    int fd;
    FILE *f = fopen(guest_path, "rb");
    if (!f) return 1;
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    engine = engine_new(NULL);
    err e = link_file_memfd((str){bytes, n}, &(struct link_options){}, &fd, &stats, &d);
    if (!e) e = abi_image_open(fd, NULL, &im, &d);
    if (!e) e = host_component_load(engine_share_own(engine), im, &offer, NULL, &component, &d);
    if (e) print_error("%s\n", d.text);
    return e;
}
static int teardown(void **state) {
    host_component_unload(component);
    engine_free(engine);
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flows),         cmocka_unit_test(test_stops),
                                       cmocka_unit_test(test_ends_together), cmocka_unit_test(test_dies_meanwhile),
                                       cmocka_unit_test(test_chain),         cmocka_unit_test(test_gone),
                                       cmocka_unit_test(test_promise),       cmocka_unit_test(test_await)};
    guest_path = argv[1];
    return cmocka_run_group_tests(tests, setup, teardown);
}
