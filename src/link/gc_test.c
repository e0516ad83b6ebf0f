/* gc: compiled code with collected objects: what it holds in registers, frames, globals and tables stays, whoever collects and whenever;
 * and what a snapshot may hold of it. */
#include "engine/engine.h"
#include "link/link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>
#include "link/gc_guests_test.h"

#define BYTES(a) ((str){(a), sizeof(a)})

static struct engine *engine;

static struct engine_image *load(str wasm, uint32_t registers, struct link_stats *stats) {
    struct link_options o = {.registers = registers};
    struct diag d = DIAG_INIT;
    struct abi_image im;
    int fd;
    if (link_file_memfd(wasm, &o, &fd, stats, &d) != ERR_OK || abi_image_open(fd, NULL, &im, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return engine_image_load(engine_share_own(engine), im);
}

/* ---- calls ---- */

struct call {
    struct engine_instance *in;
    const char *name; /* NULL: the start */
    uint64_t args[4];
    enum abi_trap trap;
    uint32_t times;
    uint64_t sum;
};
static void run_call(void *arg) {
    struct call *c = arg;
    uint64_t n = c->args[0];
    for (uint32_t i = 0; i < c->times; i++) {
        const struct abi_func *f = c->name ? engine_export_func(engine_instance_image(c->in), 0, str_c(c->name)) : NULL;
        c->args[0] = n;
        c->trap = f ? engine_call(c->in, f, c->args) : engine_instance_start(c->in);
        if (c->trap != ABI_TRAP_NONE) return;
        c->sum += c->args[0];
    }
}
static void spawn(struct engine_instance *in, struct call *c, const char *name, uint64_t arg, uint32_t times) {
    *c = (struct call){.in = in, .name = name, .args = {arg}, .trap = ABI_TRAP_COUNT, .times = times};
    assert_non_null(engine_spawn(in, run_call, c));
}
static void finish(struct engine_instance *in) {
    while (engine_instance_fibers(in)) engine_run(engine, 1'000'000'000);
}
static uint64_t call(struct engine_instance *in, const char *name, uint64_t arg) {
    struct call c;
    spawn(in, &c, name, arg, 1);
    finish(in);
    assert_int_equal(c.trap, ABI_TRAP_NONE);
    return c.args[0];
}
static uint64_t work_result(uint64_t n) { return 16 + 62 + 155 + 20 * (19 + n * (n + 1) / 2) + 100; }

/* ---- collections at every allocation, several fibers taken off at any instruction ---- */

enum { TIMES = 3 };

static void work(bool always, uint64_t slice_ns, uint32_t registers, uint32_t fibers) {
    engine = engine_new(&(struct engine_config){.verify = true, .collect_always = always, .slice_ns = slice_ns});
    struct engine_image *image = load(BYTES(wasm_gc), registers, NULL);
    for (int again = 0; again < 2; again++) {
        struct engine_instance *in = engine_acquire(image, NULL);
        call(in, NULL, 0);
        struct call calls[8];
        for (uint32_t i = 0; i < fibers; i++) spawn(in, &calls[i], "work", 5 + i, TIMES);
        finish(in);
        for (uint32_t i = 0; i < fibers; i++) {
            assert_int_equal(calls[i].trap, ABI_TRAP_NONE);
            assert_int_equal(calls[i].sum, TIMES * work_result(5 + i));
        }
        assert_int_equal(call(in, "kept", 0), 7 + 8 + 9);
        assert_int_equal(call(in, "table", 0), 5 + 11 + 1);
        assert_int_equal(call(in, "passive", 0), 12);
        engine_release(in);
    }
    engine_image_unload(image);
    engine_free(engine);
}
static void test_always(void **state) { work(true, 0, 0, 1); }
static void test_few_registers(void **state) {
    for (uint32_t registers = 1; registers <= 4; registers++) work(true, 0, registers, 1);
}
static void test_fibers(void **state) { work(true, 100'000, 0, 8); }
static void test_fibers_few_registers(void **state) { work(true, 100'000, 2, 8); }
static void test_seldom(void **state) { work(false, 20'000, 0, 8); }

/* ---- a host call that waits while another fiber collects ---- */

struct pause {
    struct engine_fiber *waiting;
    bool over;
};
static enum abi_trap on_pause(struct engine_call *call, uint64_t *args) {
    struct pause *p = engine_call_data(call);
    uint64_t list = args[0]; /* the host's own copy of a reference, on its stack */
    p->waiting = engine_fiber_current(engine);
    while (!p->over)
        if (!engine_park(engine)) return ABI_TRAP_INTERRUPTED;
    uint32_t sum = 0;
    for (const struct abi_gc_object *o = (const void *)(uintptr_t)list; o; o = (const void *)(uintptr_t)o->payload[1])
        sum += (uint32_t)o->payload[0];
    args[0] = sum;
    return ABI_TRAP_NONE;
}
static void test_host_call(void **state) {
    engine = engine_new(&(struct engine_config){.verify = true, .collect_always = true});
    struct engine_image *image = load(BYTES(wasm_gc), 0, NULL);
    struct pause p = {0};
    engine_image_bind(image, 0, on_pause, &p);
    struct engine_instance *in = engine_acquire(image, NULL);
    call(in, NULL, 0);
    struct call host, other;
    spawn(in, &host, "call_host", 0, 1);
    while (!p.waiting) engine_run(engine, 1'000'000);
    spawn(in, &other, "work", 3, 5);
    while (other.trap == ABI_TRAP_COUNT || other.sum < 5 * work_result(3)) engine_run(engine, 1'000'000);
    p.over = true;
    engine_ready(p.waiting);
    finish(in);
    assert_int_equal(host.trap, ABI_TRAP_NONE);
    assert_int_equal(host.args[0], 10 + 55);
    engine_release(in);
    engine_image_unload(image);
    engine_free(engine);
}

/* ---- snapshots, and what the next request sees ---- */

static void test_no_snapshot(void **state) {
    engine = engine_new(&(struct engine_config){.verify = true});
    struct link_stats stats;
    struct engine_image *image = load(BYTES(wasm_gc), 0, &stats);
    assert_false(stats.snapshot); /* its globals refer to objects: they are made at each start */
    for (int again = 0; again < 3; again++) {
        struct engine_instance *in = engine_acquire(image, NULL);
        call(in, NULL, 0);
        assert_int_equal(call(in, "kept", 0), 7 + 8 + 9);
        assert_int_equal(call(in, "table", 0), 5 + 11 + 1);
        call(in, "change", 0);
        assert_int_equal(call(in, "kept", 0), 5050 + 1000);
        assert_int_equal(call(in, "table", 0), 5 + 11);
        engine_release(in);
    }
    engine_image_unload(image);
    engine_free(engine);
}
static void test_i31_snapshot(void **state) {
    engine = engine_new(&(struct engine_config){.verify = true});
    struct link_stats stats;
    struct engine_image *image = load(BYTES(wasm_i31), 0, &stats);
    assert_true(stats.snapshot);
    struct engine_instance *in = engine_acquire(image, NULL);
    assert_int_equal(call(in, "get", 0), 42);
    engine_release(in);
    engine_image_unload(image);
    engine_free(engine);
}

/* Not enough memory is a trap; the instance goes on, and the next one has all of the memory again. */
static void test_limit(void **state) {
    engine = engine_new(&(struct engine_config){.verify = true, .memory_bytes_max = 1 << 20});
    struct engine_image *image = load(BYTES(wasm_gc), 0, NULL);
    for (int again = 0; again < 3; again++) {
        struct engine_instance *in = engine_acquire(image, NULL);
        call(in, NULL, 0);
        assert_int_equal(call(in, "work", 10), work_result(10));
        struct call c;
        spawn(in, &c, "work", 1'000'000, 1);
        finish(in);
        assert_int_equal(c.trap, ABI_TRAP_OUT_OF_MEMORY);
        assert_int_equal(call(in, "kept", 0), 7 + 8 + 9);
        engine_release(in);
    }
    engine_image_unload(image);
    engine_free(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_always),      cmocka_unit_test(test_few_registers),
        cmocka_unit_test(test_fibers),      cmocka_unit_test(test_fibers_few_registers),
        cmocka_unit_test(test_seldom),      cmocka_unit_test(test_host_call),
        cmocka_unit_test(test_no_snapshot), cmocka_unit_test(test_i31_snapshot),
        cmocka_unit_test(test_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
