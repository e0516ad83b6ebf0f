/* engine: fresh state after every kind of use, under every way of resetting; traps, nesting, parking,
 * killing, preemption. */
#include "engine/engine_int.h"
#include "engine/testguest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static const enum engine_reset resets[] = {ENGINE_RESET_SCAN, ENGINE_RESET_PAGEMAP, ENGINE_RESET_MADVISE};

/* ---- running things on a fiber ---- */

struct task {
    struct engine_instance *in;
    const struct abi_func *f;
    uint64_t args[8];
    enum abi_trap trap;
    bool done;
};

static void run_task(void *arg) {
    struct task *t = arg;
    t->trap = engine_call(t->in, t->f, t->args);
    t->done = true;
}

static enum abi_trap call(struct engine_instance *in, const struct abi_func *f, uint64_t *args, size_t n) {
    struct task t = {.in = in, .f = f};
    memcpy(t.args, args, n * sizeof *args);
    assert_non_null(engine_spawn(in, run_task, &t));
    while (engine_run(engine_instance_engine(in), 1'000'000)) {}
    assert_true(t.done);
    memcpy(args, t.args, n * sizeof *args);
    return t.trap;
}

static enum abi_trap call2(struct engine_instance *in, enum testguest_func f, uint64_t a, uint64_t b, uint64_t *result) {
    uint64_t args[8] = {a, b};
    enum abi_trap t = call(in, testguest_func(engine_instance_image(in), 0, f), args, 8);
    if (result) *result = args[0];
    return t;
}

static uint64_t ok2(struct engine_instance *in, enum testguest_func f, uint64_t a, uint64_t b) {
    uint64_t r;
    assert_int_equal(call2(in, f, a, b, &r), ABI_TRAP_NONE);
    return r;
}

static enum abi_trap rt(struct engine_instance *in, enum abi_rtcall op, uint64_t *a, size_t n) {
    uint64_t args[8] = {op};
    memcpy(args + 1, a, n * sizeof *a);
    enum abi_trap t = call(in, testguest_func(engine_instance_image(in), 0, GUEST_rt), args, 8);
    a[0] = args[0];
    return t;
}
#define RT(in, op, result, ...)                                                                                                  \
    ({                                                                                                                           \
        uint64_t a_[] = {__VA_ARGS__, 0};                                                                                        \
        enum abi_trap t_ = rt((in), ABI_RT_##op, a_, ARRAY_COUNT(a_) - 1);                                                       \
        uint64_t *r_ = (result);                                                                                                 \
        if (r_) *r_ = a_[0];                                                                                                     \
        t_;                                                                                                                      \
    })

static struct engine_image *load(struct engine *e, const struct testguest *g) {
    return engine_image_load(engine_share_own(e), testguest_image(g));
}

static struct engine *make(enum engine_reset reset, uint64_t slice_ns) {
    return engine_new(&(struct engine_config){.reset = reset, .verify = true, .slice_ns = slice_ns});
}

static uint64_t gs_now(void) { return (uintptr_t)engine_base_get(); }

/* ---- fresh state ---- */

static void check_fresh(struct engine_instance *in, const struct testguest *g) {
    struct engine_bytes m = engine_memory(in, 0, 0);
    assert_int_equal(m.n, g->memory_bytes);
    for (uint64_t i = 0; i < m.n; i++)
        if (m.p[i] != (i < g->content_bytes ? testguest_content(i) : 0)) fail_msg("byte %llu", (unsigned long long)i);
    assert_int_equal(ok2(in, GUEST_global, 0x1111, 0), 0x1111);
    for (uint32_t i = 0; i < g->table_count; i++) {
        const struct abi_func *f = i % 3 ? NULL : &engine_image_abi(engine_instance_image(in))->funcs[i % GUEST_COUNT];
        assert_ptr_equal((void *)(uintptr_t)engine_table_get(in, 0, 0, i), f);
    }
    assert_int_equal(engine_table_get(in, 0, 0, g->table_count), 0);
    if (!g->near_bytes_max) return;
    struct engine_bytes near = engine_memory(in, 0, 1);
    assert_int_equal(near.n, g->near_bytes);
    for (uint64_t i = 0; i < near.n; i++) assert_int_equal(near.p[i], 0);
}

/* Writes wherever a guest can, as far as it can. */
static void soil(struct engine_instance *in, const struct testguest *g, unsigned round) {
    if (g->memory_bytes_max > g->memory_bytes) {
        uint64_t old;
        uint64_t pages = MIN((g->memory_bytes_max - g->memory_bytes) / ABI_WASM_PAGE, (uint64_t)1 + 40 * (round % 3));
        assert_int_equal(RT(in, MEMORY_GROW, &old, 0, 0, pages), ABI_TRAP_NONE);
        assert_int_equal(old, g->memory_bytes / ABI_WASM_PAGE);
    }
    uint64_t n = engine_memory(in, 0, 0).n;
    if (round & 1) ok2(in, GUEST_fill, 8, n / ABI_PAGE);
    else if (n) ok2(in, GUEST_fill, n - ABI_PAGE + 16, 1);
    if (round % 4 == 2) assert_int_equal(RT(in, MEMORY_FILL, NULL, 0, 0, 0, 0xee, n), ABI_TRAP_NONE);
    ok2(in, GUEST_global, 0xbad, 0);
    uint64_t record = (uintptr_t)testguest_func(engine_instance_image(in), 0, GUEST_nothing);
    if (g->table_count) {
        assert_int_equal(RT(in, TABLE_FILL, NULL, 0, 0, 0, record, g->table_count), ABI_TRAP_NONE);
        assert_int_equal(RT(in, TABLE_GROW, NULL, 0, 0, record, 1000), ABI_TRAP_NONE);
        assert_int_equal(RT(in, TABLE_GROW, NULL, 0, 0, record, 5000), ABI_TRAP_NONE);
        assert_int_equal(engine_table_get(in, 0, 0, g->table_count + 5999), record);
    }
    assert_int_equal(RT(in, DATA_DROP, NULL, 0, 0), ABI_TRAP_NONE);
    if (g->near_bytes_max) {
        assert_int_equal(RT(in, MEMORY_GROW, NULL, 0, 1, 3), ABI_TRAP_NONE);
        assert_int_equal(RT(in, MEMORY_FILL, NULL, 0, 1, 0, 0xdd, g->near_bytes + 3 * ABI_WASM_PAGE), ABI_TRAP_NONE);
    }
    if (round % 3 == 1) assert_int_equal(call2(in, GUEST_unreachable, 0, 0, NULL), ABI_TRAP_UNREACHABLE);
}

static void fresh_with(const struct testguest *g) {
    for (size_t r = 0; r < ARRAY_COUNT(resets); r++) {
        struct engine *e = make(resets[r], 0);
        struct engine_image *image = load(e, g);
        for (unsigned round = 0; round < 7; round++) {
            struct engine_instance *in = engine_acquire(image, NULL);
            assert_non_null(in);
            check_fresh(in, g);
            soil(in, g, round);
            engine_release(in);
            for (int i = 0; i < 10 && engine_idle(e); i++) {}
        }
        engine_free(e);
    }
}

static void test_fresh_small(void **state) {
    fresh_with(&(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 65536, .content_bytes = 100});
}
static void test_fresh_medium(void **state) {
    fresh_with(&(struct testguest){.memory_bytes = 1 << 20,
                                   .memory_bytes_max = 8 << 20,
                                   .content_bytes = 300'001,
                                   .context_bytes = 64 << 10,
                                   .table_count = 1000});
}
static void test_fresh_large(void **state) {
    fresh_with(&(struct testguest){.memory_bytes = 20 << 20,
                                   .memory_bytes_max = 4 * GiB,
                                   .content_bytes = 3 << 20,
                                   .context_bytes = 256 << 10,
                                   .table_count = 20000,
                                   .near_bytes = 65536,
                                   .near_bytes_max = 1 << 20});
}
static void test_fresh_no_memory(void **state) { fresh_with(&(struct testguest){.table_count = 10}); }
static void test_fresh_empty_memory(void **state) { fresh_with(&(struct testguest){.memory_bytes_max = 1 << 20}); }

/* What a trap, a kill and a preempted fiber leave behind is put back too. */
static void test_fresh_after_kill(void **state) {
    const struct testguest g = {.memory_bytes = 1 << 20, .memory_bytes_max = 4 << 20, .content_bytes = 70'000};
    for (size_t r = 0; r < ARRAY_COUNT(resets); r++) {
        struct engine *e = make(resets[r], 100'000);
        struct engine_image *image = load(e, &g);
        for (int round = 0; round < 4; round++) {
            struct engine_instance *in = engine_acquire(image, NULL);
            check_fresh(in, &g);
            ok2(in, GUEST_fill, 0, 256);
            struct task t = {.in = in, .f = testguest_func(image, 0, GUEST_forever)};
            engine_spawn(in, run_task, &t);
            engine_run(e, 500'000);
            assert_false(t.done);
            engine_kill(in);
            engine_release(in); /* takes effect when its fiber has ended */
            while (engine_run(e, 1'000'000)) {}
            assert_int_equal(t.trap, ABI_TRAP_INTERRUPTED);
        }
        engine_free(e);
    }
}

static void test_lifo(void **state) {
    struct engine *e = make(0, 0);
    struct engine_image *a = load(e, &(struct testguest){.memory_bytes_max = 65536});
    struct engine_image *b = load(e, &(struct testguest){.memory_bytes_max = 65536});
    struct engine_instance *x = engine_acquire(a, NULL), *y = engine_acquire(a, NULL), *z = engine_acquire(b, NULL);
    engine_release(x);
    engine_release(z);
    engine_release(y);
    assert_ptr_equal(engine_acquire(a, NULL), y);
    assert_ptr_equal(engine_acquire(b, NULL), z);
    assert_ptr_equal(engine_acquire(a, &e), x);
    assert_ptr_equal(engine_instance_user(x), &e);
    engine_release(x);
    engine_release(y);
    engine_release(z);
    engine_free(e);
}

static void test_exhaustion(void **state) {
    struct engine *e = engine_new(&(struct engine_config){.slots_max = 3, .fibers_max = 4, .memory_bytes_max = 1 << 20});
    struct engine_image *image =
        load(e, &(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 4 * GiB, .table_count = 10});
    struct engine_image *big = load(e, &(struct testguest){.memory_bytes = 2 << 20, .memory_bytes_max = 4 * GiB});
    struct engine_instance *in[3];
    assert_null(engine_acquire(big, NULL));
    for (int i = 0; i < 3; i++) assert_non_null(in[i] = engine_acquire(image, NULL));
    assert_null(engine_acquire(image, NULL));
    struct task t[5];
    for (int i = 0; i < 5; i++) {
        t[i] = (struct task){.in = in[0], .f = testguest_func(image, 0, GUEST_gs)};
        assert_true(!engine_spawn(in[0], run_task, &t[i]) == (i == 4));
    }
    assert_false(engine_run(e, UINT64_MAX));
    uint64_t old;
    assert_int_equal(RT(in[0], MEMORY_GROW, &old, 0, 0, 16), ABI_TRAP_NONE);
    assert_true(old == UINT64_MAX); /* 17 pages are over memory_bytes_max */
    RT(in[0], MEMORY_GROW, &old, 0, 0, 14);
    assert_int_equal(old, 1);
    RT(in[0], TABLE_GROW, &old, 0, 0, 0, 100'000);
    assert_true(old == UINT64_MAX);
    RT(in[0], TABLE_GROW, &old, 0, 0, 0, 1000);
    assert_int_equal(old, 10);
    for (int i = 0; i < 3; i++) engine_release(in[i]);
    engine_free(e);
}

/* ---- traps ---- */

static const struct testguest plain = {.memory_bytes = 65536,
                                       .memory_bytes_max = 1 << 20,
                                       .content_bytes = 4096,
                                       .table_count = 16,
                                       .hosts = 2,
                                       .context_bytes = 16 << 10};

static void print_is(struct engine_instance *in, const char *want) {
    struct buf b = {0};
    engine_trap_print(engine_last_trap(in), &b);
    buf_putc(&b, 0);
    assert_string_equal((char *)b.p, want);
    buf_free(&b);
}

static void test_traps(void **state) {
    struct engine *e = make(0, 0);
    struct engine_image *image = load(e, &plain);
    struct engine_instance *in = engine_acquire(image, NULL);
    uint64_t gs = gs_now(), r;
    assert_int_equal(call2(in, GUEST_load, 65536 - 7, 0, NULL), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    assert_int_equal(call2(in, GUEST_store, 0xffffffff, 0, NULL), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    print_is(in, "wasm trap: out of bounds memory access (address 0xffffffff)\n  0: store (guest, func 1, "
                 "offset 0x64)\n");
    assert_int_equal(call2(in, GUEST_store, 0xffffffff + (32 << 20), 0, NULL), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    assert_int_equal(call2(in, GUEST_divide, 0x80000000, UINT32_MAX, NULL), ABI_TRAP_INTEGER_OVERFLOW);
    assert_int_equal(call2(in, GUEST_null, 0, 0, NULL), ABI_TRAP_INDIRECT_NULL);
    assert_int_equal(call2(in, GUEST_outer, 0, 0, NULL), ABI_TRAP_UNREACHABLE);
    print_is(in, "wasm trap: unreachable\n  0: unreachable (guest, func 4, offset 0x190)\n  1: outer (guest, "
                 "func 5, offset 0x1f4)\n");
    assert_int_equal(call2(in, GUEST_recurse, 0, 0, NULL), ABI_TRAP_STACK_OVERFLOW);
    assert_int_equal(engine_last_trap(in)->frames_count, ENGINE_FRAMES_MAX);
    assert_int_equal(call2(in, GUEST_frames, 0, 0, NULL), ABI_TRAP_STACK_OVERFLOW);
    assert_int_equal(call2(in, GUEST_host0, 0, 0, NULL), ABI_TRAP_HOST);
    print_is(in, "wasm trap: the import \"test\" \"0\" is not offered here\n  0: host0 (guest, func 9, "
                 "offset 0x384)\n");
    assert_int_equal(call2(in, GUEST_deep, 40'000, 0, NULL), ABI_TRAP_STACK_OVERFLOW);
    assert_int_equal(RT(in, TABLE_GET, &r, 0, 0, 16), ABI_TRAP_TABLE_OUT_OF_BOUNDS);
    print_is(in, "wasm trap: out of bounds table access\n  0: rt (guest, func 11, offset 0x44c)\n");
    uint64_t content = 0;
    for (int i = 15; i >= 8; i--) content = content << 8 | testguest_content((uint64_t)i);
    assert_int_equal(ok2(in, GUEST_load, 8, 0), content);
    assert_int_equal(gs_now(), gs);
    engine_release(in);
    engine_free(e);
}

/* A fault in our own code, and one of the guest's at an address that no guest can mean, end the process. */
static void test_own_faults_are_fatal(void **state) {
    for (int kind = 0; kind < 3; kind++) {
        pid_t pid = fork();
        if (!pid) {
            close(STDERR_FILENO);
            signal(SIGSEGV, SIG_DFL); /* the test library's handler */
            struct engine *e = make(0, 0);
            struct engine_image *image = load(e, &plain);
            struct engine_instance *in = engine_acquire(image, NULL);
            volatile uintptr_t low = 8;
            if (kind == 0) *(volatile int *)low = 1;
            if (kind == 1) call2(in, GUEST_null, (uintptr_t)in->slot, 0, NULL);
            if (kind == 2) call2(in, GUEST_divide, 1, 0, NULL); /* #DE at a site: INTEGER_OVERFLOW, since zero is compared for */
            _exit(7);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (kind == 2) assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
        else assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    }
}

/* ---- host calls ---- */

struct world {
    struct engine *e;
    struct engine_image *image;
    struct engine_fiber *waiting[64];
    unsigned log[256], n, parked, killed;
};

static enum abi_trap host_add(struct engine_call *call, uint64_t *args) {
    args[0] += args[1];
    return ABI_TRAP_NONE;
}
/* Calls the guest again, depth args[0], and sums what comes back. */
static enum abi_trap host_nest(struct engine_call *call, uint64_t *args) {
    struct world *w = engine_call_data(call);
    struct engine_instance *in = engine_call_instance(call);
    uint64_t n = args[0];
    if (!n) return engine_call(in, testguest_func(w->image, 0, GUEST_outer), (uint64_t[2]){0});
    uint64_t down[2] = {n - 1, 0};
    enum abi_trap t = engine_call(in, testguest_func(w->image, 0, GUEST_host0), down);
    if (t == ABI_TRAP_UNREACHABLE && n == 3) { /* deals with it */
        args[0] = 1000;
        return ABI_TRAP_NONE;
    }
    args[0] = down[0] + 1;
    return t;
}
static enum abi_trap host_exit(struct engine_call *call, uint64_t *args) {
    return engine_exit(engine_call_instance(call), (int32_t)args[0]);
}

static void test_host_calls(void **state) {
    struct world w = {.e = make(0, 0)};
    w.image = load(w.e, &plain);
    struct engine_instance *in = engine_acquire(w.image, NULL);
    engine_image_bind(w.image, 0, host_add, &w);
    assert_int_equal(ok2(in, GUEST_host0, 40, 2), 42);
    assert_int_equal(ok2(in, GUEST_deep, 1000, 5), 5);
    engine_image_bind(w.image, 0, host_nest, &w);
    assert_int_equal(ok2(in, GUEST_host0, 3, 0), 1000);
    assert_int_equal(ok2(in, GUEST_host0, 5, 0), 1002);
    assert_int_equal(call2(in, GUEST_host0, 2, 0, NULL), ABI_TRAP_UNREACHABLE);
    print_is(in, "wasm trap: unreachable\n  0: unreachable (guest, func 4, offset 0x190)\n  1: outer (guest, "
                 "func 5, offset 0x1f4)\n"
                 "  2: host0 (guest, func 9, offset 0x384)\n  3: host0 (guest, func 9, offset 0x384)\n  4: "
                 "host0 (guest, func 9, offset 0x384)\n");
    engine_image_bind(w.image, 0, host_exit, &w);
    assert_int_equal(call2(in, GUEST_host0, 3, 0, NULL), ABI_TRAP_EXIT);
    assert_int_equal(engine_last_trap(in)->exit_code, 3);
    engine_release(in);
    engine_free(w.e);
}

static void test_far(void **state) {
    struct engine *e = make(0, 0);
    struct engine_image *image = load(e, &(struct testguest){.groups = 3, .memory_bytes = 65536, .memory_bytes_max = 65536});
    struct engine_instance *in = engine_acquire(image, NULL);
    uint64_t gs = gs_now();
    for (uint32_t g = 0; g < 3; g++) {
        const struct abi_func *f = testguest_func(image, g, GUEST_gs);
        assert_ptr_equal((void *)(uintptr_t)ok2(in, GUEST_far, (uintptr_t)f, 0), engine_instance_gs(in, g));
        uint64_t args[2] = {0};
        assert_int_equal(call(in, f, args, 2), ABI_TRAP_NONE);
        assert_ptr_equal((void *)(uintptr_t)args[0], engine_instance_gs(in, g));
    }
    assert_int_equal(call2(in, GUEST_far, (uintptr_t)testguest_func(image, 2, GUEST_unreachable), 0, NULL), ABI_TRAP_UNREACHABLE);
    assert_int_equal(engine_last_trap(in)->frames_count, 2);
    assert_int_equal(engine_last_trap(in)->frames[0].instance, 2);
    /* The native stack ends in the guest's own call, in the stub's push, or in the stub's call. */
    uint64_t record = (uintptr_t)testguest_func(image, 0, GUEST_far_recurse);
    for (enum testguest_func f = GUEST_far_recurse2; f <= GUEST_far_recurse; f++) {
        assert_int_equal(call2(in, f, record, 0, NULL), ABI_TRAP_STACK_OVERFLOW);
        assert_int_equal(engine_last_trap(in)->frames_count, ENGINE_FRAMES_MAX);
    }
    assert_int_equal(gs_now(), gs);
    engine_release(in);
    engine_free(e);
}

/* A host function may run another engine, and engines may end in any order. */
static enum abi_trap host_other_engine(struct engine_call *call, uint64_t *args) {
    struct engine *e = make(0, 100'000);
    struct engine_instance *in = engine_acquire(load(e, &plain), NULL);
    args[0] = call2(in, GUEST_load, 0xffffffff, 0, NULL) == ABI_TRAP_MEMORY_OUT_OF_BOUNDS;
    engine_release(in);
    engine_free(e);
    return ABI_TRAP_NONE;
}

static void test_engines_nest(void **state) {
    struct engine *first = make(0, 0), *e = make(0, 0);
    struct engine_image *image = load(e, &plain);
    struct engine_instance *in = engine_acquire(image, NULL);
    engine_free(first);
    engine_image_bind(image, 0, host_other_engine, NULL);
    assert_int_equal(ok2(in, GUEST_host0, 0, 0), 1);
    assert_int_equal(call2(in, GUEST_load, 0xffffffff, 0, NULL), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    engine_release(in);
    engine_free(e);
}

/* ---- runtime calls ---- */

static void test_memory_calls(void **state) {
    struct engine *e = make(0, 100'000);
    struct engine_image *image =
        load(e, &(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 64 << 20, .near_bytes_max = 1 << 20});
    struct engine_instance *in = engine_acquire(image, NULL);
    uint64_t r;
    assert_int_equal(call2(in, GUEST_store, 65536, 1, NULL), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    RT(in, MEMORY_GROW, &r, 0, 0, 1023);
    assert_int_equal(r, 1);
    RT(in, MEMORY_GROW, &r, 0, 0, 1);
    assert_true(r == UINT64_MAX);
    RT(in, MEMORY_GROW, &r, 0, 0, UINT64_MAX);
    assert_true(r == UINT64_MAX);
    RT(in, MEMORY_SIZE, &r, 0, 0);
    assert_int_equal(r, 1024);
    ok2(in, GUEST_store, (64 << 20) - 8, 77);
    assert_int_equal(ok2(in, GUEST_load, (64 << 20) - 8, 0), 77);
    struct engine_bytes m = engine_memory(in, 0, 0);
    for (uint64_t i = 0; i < m.n; i++) m.p[i] = (uint8_t)(i * 31 + i / 999);
    uint8_t *want = malloc(m.n);
    memcpy(want, m.p, m.n);
    static const uint64_t moves[][3] = {{5, 0, 3'000'000},      {0, 5, 3'000'000}, {1 << 20, 0, 40 << 20},
                                        {0, 1 << 20, 40 << 20}, {0, 0, 10},        {64 << 20, 64 << 20, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(moves); i++) {
        assert_int_equal(RT(in, MEMORY_COPY, NULL, 0, 0, 0, moves[i][0], moves[i][1], moves[i][2]), ABI_TRAP_NONE);
        memmove(want + moves[i][0], want + moves[i][1], moves[i][2]);
        assert_memory_equal(want, m.p, m.n);
    }
    assert_int_equal(RT(in, MEMORY_COPY, NULL, 0, 0, 0, 1, 0, 64 << 20), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    assert_int_equal(RT(in, MEMORY_COPY, NULL, 0, 0, 0, 0, UINT64_MAX, 2), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    assert_int_equal(RT(in, MEMORY_FILL, NULL, 0, 0, 3, 0x1aa, 5'000'000), ABI_TRAP_NONE);
    memset(want + 3, 0xaa, 5'000'000);
    assert_memory_equal(want, m.p, m.n);
    assert_int_equal(RT(in, MEMORY_INIT, NULL, 0, 0, 0, 9, 8, 5), ABI_TRAP_NONE);
    assert_memory_equal(m.p + 9, "bytes", 5);
    assert_int_equal(RT(in, MEMORY_INIT, NULL, 0, 0, 0, 9, 8, 6), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    RT(in, DATA_DROP, NULL, 0, 0);
    assert_int_equal(RT(in, MEMORY_INIT, NULL, 0, 0, 0, 9, 0, 0), ABI_TRAP_NONE);
    assert_int_equal(RT(in, MEMORY_INIT, NULL, 0, 0, 0, 9, 0, 1), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    RT(in, MEMORY_GROW, &r, 0, 1, 16);
    assert_int_equal(r, 0);
    assert_int_equal(RT(in, MEMORY_COPY, NULL, 0, 1, 0, 0, 9, 5), ABI_TRAP_NONE);
    assert_memory_equal(engine_memory(in, 0, 1).p, "bytes", 5);
    RT(in, MEMORY_GROW, &r, 0, 1, 1);
    assert_true(r == UINT64_MAX);
    free(want);
    engine_release(in);
    engine_free(e);
}

static void test_table_calls(void **state) {
    struct engine *e = make(0, 0);
    struct engine_image *image = load(e, &plain);
    struct engine_instance *in = engine_acquire(image, NULL);
    const struct abi_func *f = engine_image_abi(image)->funcs;
    uint64_t r;
    RT(in, TABLE_SIZE, &r, 0, 0);
    assert_int_equal(r, 16);
    RT(in, TABLE_GET, &r, 0, 0, 3);
    assert_int_equal(r, (uintptr_t)&f[3]);
    assert_int_equal(RT(in, TABLE_SET, NULL, 0, 0, 16, 0), ABI_TRAP_TABLE_OUT_OF_BOUNDS);
    assert_int_equal(RT(in, TABLE_INIT, NULL, 0, 0, 0, 4, 0, 4), ABI_TRAP_NONE);
    for (uint64_t i = 0; i < 4; i++) assert_int_equal(engine_table_get(in, 0, 0, 4 + i), i ? (uintptr_t)&f[i - 1] : 0);
    assert_int_equal(RT(in, TABLE_INIT, NULL, 0, 0, 0, 13, 0, 4), ABI_TRAP_TABLE_OUT_OF_BOUNDS);
    assert_int_equal(RT(in, TABLE_COPY, NULL, 0, 0, 0, 0, 4, 12), ABI_TRAP_NONE);
    assert_int_equal(engine_table_get(in, 0, 0, 1), (uintptr_t)&f[0]);
    RT(in, ELEM_DROP, NULL, 0, 0);
    assert_int_equal(RT(in, TABLE_INIT, NULL, 0, 0, 0, 0, 0, 1), ABI_TRAP_TABLE_OUT_OF_BOUNDS);
    RT(in, TABLE_GROW, &r, 0, 0, (uintptr_t)&f[7], 100);
    assert_int_equal(r, 16);
    assert_int_equal(engine_table_get(in, 0, 0, 115), (uintptr_t)&f[7]);
    assert_int_equal(engine_table_get(in, 0, 0, 1), (uintptr_t)&f[0]);
    RT(in, TABLE_GROW, &r, 0, 0, 0, 20'000'000);
    assert_true(r == UINT64_MAX);
    engine_release(in);
    engine_free(e);
}

/* ---- parking and killing ---- */

static enum abi_trap host_park(struct engine_call *call, uint64_t *args) {
    struct world *w = engine_call_data(call);
    w->waiting[args[0]] = engine_fiber_current(w->e);
    w->parked++;
    bool alive = engine_park(w->e);
    w->log[w->n++] = (unsigned)args[0];
    if (!alive) w->killed++;
    args[0] += 100;
    return alive ? ABI_TRAP_NONE : ABI_TRAP_INTERRUPTED;
}

static void test_park_orders(void **state) {
    struct world w = {
        .e = make(0, 1'000'000'000'000)}; /* nobody has his turn later for what he computed, however slow this machine is */
    w.image = load(w.e, &plain);
    engine_image_bind(w.image, 0, host_park, &w);
    struct engine_instance *in[2] = {engine_acquire(w.image, NULL), engine_acquire(w.image, NULL)};
    struct task t[8];
    for (uint64_t i = 0; i < 8; i++) {
        t[i] = (struct task){.in = in[i % 2], .f = testguest_func(w.image, 0, GUEST_host0), .args = {i}};
        engine_spawn(in[i % 2], run_task, &t[i]);
    }
    assert_false(engine_run(w.e, UINT64_MAX));
    assert_int_equal(w.parked, 8);
    assert_int_equal(engine_instance_fibers(in[0]), 4);
    static const unsigned order[] = {5, 0, 7, 2, 2, 6};
    for (size_t i = 0; i < ARRAY_COUNT(order); i++) engine_ready(w.waiting[order[i]]);
    assert_false(engine_run(w.e, UINT64_MAX));
    assert_int_equal(w.n, 5);
    static const unsigned want[] = {5, 0, 7, 2, 6};
    assert_memory_equal(w.log, want, sizeof want);
    for (unsigned i = 0; i < 8; i++) assert_int_equal(t[i].done, i != 1 && i != 3 && i != 4);
    assert_int_equal(t[7].args[0], 107);
    engine_kill(in[1]); /* 1 and 3 */
    assert_false(engine_run(w.e, UINT64_MAX));
    assert_true(t[1].done && t[3].done && !t[4].done);
    assert_int_equal(t[1].trap, ABI_TRAP_INTERRUPTED);
    assert_int_equal(w.killed, 2);
    engine_release(in[1]);
    engine_ready(w.waiting[4]);
    assert_false(engine_run(w.e, UINT64_MAX));
    assert_int_equal(t[4].args[0], 104);
    engine_release(in[0]);
    engine_free(w.e);
}

static enum abi_trap host_early(struct engine_call *call, uint64_t *args) { /* a ready before the park is not lost */
    struct world *w = engine_call_data(call);
    engine_ready(engine_fiber_current(w->e));
    args[0] = engine_park(w->e);
    engine_yield(w->e);
    return ABI_TRAP_NONE;
}

static void test_early_ready(void **state) {
    struct world w = {.e = make(0, 0)};
    w.image = load(w.e, &plain);
    engine_image_bind(w.image, 0, host_early, &w);
    struct engine_instance *in = engine_acquire(w.image, NULL);
    assert_int_equal(ok2(in, GUEST_host0, 0, 0), 1);
    engine_release(in);
    engine_free(w.e);
}

static enum abi_trap host_kill(struct engine_call *call, uint64_t *args) {
    engine_kill(engine_call_instance(call));
    return ABI_TRAP_NONE;
}

static void test_kill_itself_and_unstarted(void **state) {
    struct world w = {.e = make(0, 0)};
    w.image = load(w.e, &plain);
    engine_image_bind(w.image, 0, host_kill, &w);
    struct engine_instance *in = engine_acquire(w.image, NULL);
    assert_int_equal(call2(in, GUEST_host0, 0, 0, NULL), ABI_TRAP_INTERRUPTED);
    struct task t = {.in = in, .f = testguest_func(w.image, 0, GUEST_gs)};
    engine_spawn(in, run_task, &t);
    engine_run(w.e, UINT64_MAX);
    assert_int_equal(t.trap, ABI_TRAP_INTERRUPTED);
    engine_release(in);
    in = engine_acquire(w.image, NULL);
    assert_int_equal(ok2(in, GUEST_load, 5000, 0), 0);
    engine_release(in);
    engine_free(w.e);
}

static void on_ready(void *arg) { (*(unsigned *)arg)++; }

static void test_on_ready(void **state) {
    unsigned n = 0;
    struct world w = {.e = engine_new(&(struct engine_config){.on_ready = on_ready, .on_ready_arg = &n})};
    w.image = load(w.e, &plain);
    engine_image_bind(w.image, 0, host_park, &w);
    struct engine_instance *in = engine_acquire(w.image, NULL);
    struct task t = {.in = in, .f = testguest_func(w.image, 0, GUEST_host0)};
    engine_spawn(in, run_task, &t);
    assert_int_equal(n, 1);
    engine_run(w.e, UINT64_MAX);
    engine_ready(w.waiting[0]);
    engine_ready(w.waiting[0]);
    assert_int_equal(n, 2);
    engine_run(w.e, UINT64_MAX);
    assert_int_equal(n, 2);
    assert_true(t.done);
    engine_release(in);
    engine_free(w.e);
}

/* ---- preemption ---- */

static void test_preempt_keeps_registers(void **state) {
    enum { N = 3'000'000, FIBERS = 4 };
    if (ABI_MACHINE == ABI_MACHINE_X86_64 && !(abi_cpu_features() & ABI_CPU_AVX2)) skip();
    struct engine *calm = make(0, 1'000'000'000);
    struct engine_image *image = load(calm, &plain);
    struct engine_instance *in = engine_acquire(image, NULL);
    uint64_t want[FIBERS];
    for (uint64_t i = 0; i < FIBERS; i++) want[i] = ok2(in, GUEST_spin, N, i * 0x9e3779b97f4a7c15);
    engine_release(in);
    engine_free(calm);

    struct engine *e = make(0, 100'000);
    image = load(e, &plain);
    struct engine_instance *ins[2] = {engine_acquire(image, NULL), engine_acquire(image, NULL)};
    struct task t[FIBERS];
    for (uint64_t i = 0; i < FIBERS; i++) {
        t[i] = (struct task){.in = ins[i % 2], .f = testguest_func(image, 0, GUEST_spin), .args = {N, i * 0x9e3779b97f4a7c15}};
        engine_spawn(ins[i % 2], run_task, &t[i]);
    }
    unsigned turns = 0;
    while (engine_run(e, 1)) turns++;
    for (uint64_t i = 0; i < FIBERS; i++) assert_int_equal(t[i].args[0], want[i]);
    assert_true(turns > FIBERS); /* it was preempted at all */
    engine_release(ins[0]);
    engine_release(ins[1]);
    engine_free(e);
}

static void test_kill_a_loop(void **state) {
    struct engine *e = make(0, 100'000);
    struct engine_image *image = load(e, &plain);
    struct engine_instance *in = engine_acquire(image, NULL), *other = engine_acquire(image, NULL);
    struct task loop = {.in = in, .f = testguest_func(image, 0, GUEST_forever)},
                t = {.in = other, .f = testguest_func(image, 0, GUEST_gs)};
    engine_spawn(in, run_task, &loop);
    engine_spawn(other, run_task, &t);
    while (!t.done)
        engine_run(e, 2'000'000); /* however long the machine takes: the loop is taken off, and the other has its turn */
    assert_false(loop.done);
    engine_kill(in);
    while (engine_run(e, 2'000'000)) {}
    assert_int_equal(loop.trap, ABI_TRAP_INTERRUPTED);
    print_is(in, "wasm trap: the guest was stopped\n  0: forever (guest, func 14, offset 0x0)\n");
    engine_release(in);
    engine_release(other);
    engine_free(e);
}

static void run_stand(void *arg) {
    struct task *t = arg;
    t->args[0] = (uintptr_t)engine_fiber_current(engine_instance_engine(t->in))->native_low;
    run_task(arg);
}

/* A guest that loops where its stack has no room left is stopped as one that overflowed, unless taking it off needs no room there. */
static void test_preempt_on_a_full_stack(void **state) {
    struct engine *e = make(0, 100'000);
    struct engine_image *image = load(e, &plain);
    struct engine_instance *in = engine_acquire(image, NULL);
    struct task t = {.in = in, .f = testguest_func(image, 0, GUEST_stand)};
    engine_spawn(in, run_stand, &t);
    if (!ENGINE_RESUME_BYTES) {
        for (int i = 0; i < 20; i++) assert_true(engine_run(e, 1'000'000));
        engine_kill(in);
    }
    while (engine_run(e, 1'000'000)) {}
    assert_int_equal(t.trap, ENGINE_RESUME_BYTES ? ABI_TRAP_STACK_OVERFLOW : ABI_TRAP_INTERRUPTED);
    engine_release(in);
    engine_free(e);
}

/* Until the timer says that the slice is over. */
static enum abi_trap host_busy(struct engine_call *call, uint64_t *args) {
    const struct engine *e = engine_instance_engine(engine_call_instance(call));
    while (!__atomic_load_n(&e->preempt_pending, __ATOMIC_RELAXED)) {}
    args[0] = 5;
    return ABI_TRAP_NONE;
}

/* A slice that ends in host code is seen on return; killing in the middle of a bulk operation works. */
static void test_slices_in_the_host(void **state) {
    struct world w = {.e = make(0, 100'000)};
    w.image = load(w.e, &(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 1 * GiB, .hosts = 1});
    engine_image_bind(w.image, 0, host_busy, &w);
    struct engine_instance *in = engine_acquire(w.image, NULL), *other = engine_acquire(w.image, NULL);
    struct task busy = {.in = in, .f = testguest_func(w.image, 0, GUEST_host0)},
                t = {.in = other, .f = testguest_func(w.image, 0, GUEST_gs)};
    engine_spawn(in, run_task, &busy);
    engine_spawn(other, run_task, &t);
    engine_run(w.e, 1);
    assert_false(busy.done); /* it gave way on its way back */
    while (engine_run(w.e, 1'000'000)) {}
    assert_int_equal(busy.args[0], 5);
    RT(in, MEMORY_GROW, NULL, 0, 0, 2000);
    struct task fill = {
        .in = in, .f = testguest_func(w.image, 0, GUEST_rt), .args = {ABI_RT_MEMORY_FILL, 0, 0, 0, 1, 2000 * ABI_WASM_PAGE}};
    engine_spawn(in, run_task, &fill);
    assert_true(engine_run(w.e, 1)); /* a turn is over after so much work, whatever the clock says */
    engine_kill(in);
    while (engine_run(w.e, 1)) {}
    assert_int_equal(fill.trap, ABI_TRAP_INTERRUPTED);
    assert_int_equal(engine_memory(in, 0, 0).p[2001 * ABI_WASM_PAGE - ABI_WASM_PAGE - 1], 0); /* the end was not reached */
    engine_release(in);
    engine_release(other);
    engine_free(w.e);
}

/* ---- work, levels, news ---- */

/* Runs op and checks that no step of it was longer than a piece, and that it gave others turns by how much it did. */
static void works(struct engine_instance *in, enum abi_rtcall op, uint64_t *a, size_t n, uint64_t bytes) {
    struct engine *e = engine_instance_engine(in);
    uint64_t turns = engine_turns(e);
    assert_int_equal(rt(in, op, a, n), ABI_TRAP_NONE);
    assert_true(engine_work_most(e) <= ENGINE_WORK_PIECE);
    assert_true(engine_turns(e) - turns >= bytes / (ENGINE_WORK_SLICE + ENGINE_WORK_PIECE));
    assert_true(engine_turns(e) - turns <= bytes / ENGINE_WORK_SLICE + 2);
}
#define WORKS(in, bytes, op, ...)                                                                                                \
    ({                                                                                                                           \
        uint64_t w_[] = {__VA_ARGS__};                                                                                           \
        works(in, ABI_RT_##op, w_, ARRAY_COUNT(w_), bytes);                                                                      \
        w_[0];                                                                                                                   \
    })

/* The same, whatever the size: the clock has no part in it, as the slice is a second here. */
static void test_runtime_calls_are_work(void **state) {
    struct engine *e = make(0, 1'000'000'000);
    struct engine_image *image =
        load(e, &(struct testguest){.memory_bytes = 32 << 20, .memory_bytes_max = 32 << 20, .table_count = 100});
    struct engine_instance *in = engine_acquire(image, NULL);
    const uint64_t bytes = 30 << 20, count = 4'000'000, f = (uintptr_t)engine_image_abi(image)->funcs;
    WORKS(in, bytes, MEMORY_FILL, 0, 0, 8, 0x55, bytes);
    WORKS(in, bytes, MEMORY_COPY, 0, 0, 0, 1 << 20, 8, bytes); /* down */
    WORKS(in, bytes, MEMORY_COPY, 0, 0, 0, 8, 1 << 20, bytes);
    assert_int_equal(engine_memory(in, 0, 0).p[bytes], 0x55);
    assert_int_equal(WORKS(in, 8 * (count + 100), TABLE_GROW, 0, 0, f, count), 100);
    assert_int_equal(WORKS(in, 8 * count, TABLE_GROW, 0, 0, 0, count), 100 + count);
    for (uint64_t i = 0; i < 2 * count + 100; i += 99'999)
        assert_int_equal(engine_table_get(in, 0, 0, i), i < 100 ? i % 3 ? 0 : f + i % GUEST_COUNT * sizeof(struct abi_func)
                                                        : i < count + 100 ? f
                                                                          : 0);
    WORKS(in, 8 * count, TABLE_FILL, 0, 0, 7, f, count);
    assert_int_equal(engine_table_get(in, 0, 0, count + 6), f);
    WORKS(in, 8 * count, TABLE_COPY, 0, 0, 0, 50, 0, count); /* down */
    WORKS(in, 8 * count, TABLE_COPY, 0, 0, 0, 0, 50, count);
    assert_int_equal(engine_table_get(in, 0, 0, 5), 0);
    assert_int_equal(engine_table_get(in, 0, 0, 7), f);
    engine_release(in);
    while (engine_run(e, 1'000'000)) {}
    engine_free(e);
}

/* A host function that never ends by itself. */
static enum abi_trap host_endless(struct engine_call *call, uint64_t *args) {
    struct world *w = engine_call_data(call);
    while (engine_work(w->e, 1000)) w->n = 1;
    w->killed++;
    return ABI_TRAP_INTERRUPTED;
}

static void test_host_work(void **state) {
    struct world w = {.e = make(0, 1'000'000'000)};
    assert_true(engine_work(w.e, 1ull << 40)); /* on the loop's stack: nothing */
    w.image = load(w.e, &plain);
    engine_image_bind(w.image, 0, host_endless, &w);
    struct engine_instance *in = engine_acquire(w.image, NULL), *other = engine_acquire(w.image, NULL);
    struct task t[2] = {{.in = in, .f = testguest_func(w.image, 0, GUEST_host0)},
                        {.in = other, .f = testguest_func(w.image, 0, GUEST_gs)}};
    engine_spawn(in, run_task, &t[0]);
    engine_spawn(other, run_task, &t[1]);
    while (!t[1].done) assert_true(engine_run(w.e, 1));
    engine_kill(in);
    while (engine_run(w.e, 1)) {}
    assert_true(t[0].done && w.killed == 1);
    assert_int_equal(t[0].trap, ABI_TRAP_INTERRUPTED);
    engine_release(in);
    engine_release(other);
    engine_free(w.e);
}

/* Writes its number down for each turn it has. */
struct turner {
    struct engine *e;
    unsigned *log, *n, name, turns;
};
static void take_turns(void *arg) {
    struct turner *t = arg;
    for (unsigned i = 0; i < t->turns; i++) {
        t->log[(*t->n)++] = t->name;
        if (i + 1 < t->turns) (void)!engine_work(t->e, ENGINE_WORK_SLICE);
    }
}

/* Who has used up a turn comes after all who are new; who has used more comes after who has used less, but has its turn. */
static void test_levels(void **state) {
    struct engine *e = make(0, 1'000'000'000);
    struct engine_image *image = load(e, &plain);
    struct engine_instance *in[4];
    unsigned log[64] = {0}, n = 0;
    struct turner t[4];
    for (unsigned i = 0; i < 4; i++) {
        in[i] = engine_acquire(image, NULL);
        t[i] = (struct turner){e, log, &n, i, i == 3 ? 1 : 3};
    }
    in[0]->actor.used_ns = 4'500'000'000; /* level 2 */
    for (unsigned i = 0; i < 3; i++) engine_spawn(in[i], take_turns, &t[i]);
    engine_run(e, 1);
    assert_int_equal(log[0], 1); /* level 0, in their order */
    engine_spawn(in[3], take_turns, &t[3]);
    while (engine_run(e, 1)) {}
    assert_int_equal(n, 10);
    static const unsigned first[] = {1, 2, 3}; /* then 1 and 2 in turn, and now and then 0 */
    assert_memory_equal(log, first, sizeof first);
    unsigned last[4];
    for (unsigned i = 0; i < n; i++) last[log[i]] = i;
    assert_true(last[1] < last[0] && last[2] < last[0]);
    for (unsigned i = 0; i < 4; i++) engine_release(in[i]);
    engine_free(e);
}

/* New ones come without end, and yet who computes has its turns. */
static void refill(void *arg) {
    struct world *w = arg;
    w->parked++;
    if (!w->n) ENSURE(engine_spawn(engine_acquire(w->image, NULL), refill, w));
    engine_kill(w->e->current->in);
    engine_release(w->e->current->in);
}
static void last_turn(void *arg) {
    struct world *w = arg;
    (void)!engine_work(w->e, ENGINE_WORK_SLICE); /* now it is behind */
    w->n = 1;
}
static void test_nobody_starves(void **state) {
    struct world w = {.e = make(0, 100'000)};
    w.image = load(w.e, &(struct testguest){.memory_bytes_max = 65536});
    struct engine_instance *in = engine_acquire(w.image, NULL);
    engine_spawn(in, last_turn, &w);
    engine_spawn(engine_acquire(w.image, NULL), refill, &w);
    while (engine_run(w.e, 1'000'000)) {} /* for ever, if it starved */
    assert_int_equal(w.n, 1);
    engine_release(in);
    engine_free(w.e);
}

/* What an instance used is forgiven by as long as it slept. */
static void test_sleep_is_forgiven(void **state) {
    struct world w = {.e = make(0, 1'000'000)};
    w.image = load(w.e, &plain);
    engine_image_bind(w.image, 0, host_park, &w);
    struct engine_instance *in = engine_acquire(w.image, NULL);
    struct task t = {.in = in, .f = testguest_func(w.image, 0, GUEST_host0)};
    in->actor.used_ns = 5'000'000;
    engine_spawn(in, run_task, &t);
    while (engine_run(w.e, 1)) {}
    assert_true(in->actor.asleep_since_ns && in->actor.used_ns >= 5'000'000);
    uint64_t used = in->actor.used_ns;
    in->actor.asleep_since_ns -= 3'000'000;
    engine_ready(w.waiting[0]);
    assert_true(in->actor.used_ns <= used - 3'000'000);
    while (engine_run(w.e, 1)) {}
    assert_true(t.done);
    engine_release(in);
    engine_free(w.e);
}

/* A guest that computes makes way when there is news, though it is alone and nobody asked for an end. */
static bool third_look(void *arg) { return ++*(unsigned *)arg == 3; }
static void test_news(void **state) {
    unsigned looks = 0;
    struct engine *e = engine_new(&(struct engine_config){.slice_ns = 200'000, .news = third_look, .news_arg = &looks});
    struct engine_image *image = load(e, &plain);
    struct engine_instance *in = engine_acquire(image, NULL);
    struct task t = {.in = in, .f = testguest_func(image, 0, GUEST_forever)};
    engine_spawn(in, run_task, &t);
    assert_true(engine_run(e, UINT64_MAX)); /* would not return */
    assert_int_equal(looks, 3);
    engine_kill(in);
    while (engine_run(e, 1'000'000)) {}
    assert_int_equal(t.trap, ABI_TRAP_INTERRUPTED);
    engine_release(in);
    engine_free(e);
}

/* ---- stores ---- */

static void test_store(void **state) {
    struct engine *e = make(0, 0);
    struct engine_store *s = engine_store_new(e);
    struct testguest g = {.memory_bytes = 65536, .memory_bytes_max = 1 << 20, .table_count = 4};
    struct engine_instance *in[3];
    for (uint32_t i = 0; i < 3; i++) {
        g.group_base = engine_store_groups(s);
        assert_int_equal(g.group_base, i);
        in[i] = engine_store_acquire(s, load(e, &g), NULL);
        assert_non_null(in[i]);
    }
    const struct abi_func *gs = testguest_func(engine_instance_image(in[2]), 0, GUEST_gs);
    assert_ptr_equal((void *)(uintptr_t)ok2(in[0], GUEST_far, (uintptr_t)gs, 0), engine_instance_gs(in[2], 0));
    engine_instance_bind_far(in[0], 0, TESTGUEST_GLOBAL, engine_memory_record(in[1], 0, 0));
    struct abi_memory *m = (void *)(uintptr_t)ok2(in[0], GUEST_global, 0, 0);
    assert_int_equal(m->bytes, 65536);
    RT(in[1], MEMORY_GROW, NULL, 0, 0, 2);
    assert_int_equal(m->bytes, 3 * 65536);
    assert_int_equal(
        call2(in[0], GUEST_far, (uintptr_t)testguest_func(engine_instance_image(in[1]), 0, GUEST_unreachable), 0, NULL),
        ABI_TRAP_UNREACHABLE);
    assert_int_equal(engine_last_trap(in[0])->frames_count, 2);
    engine_store_free(s);
    engine_free(e);
}

static void test_exports(void **state) {
    struct engine *e = make(0, 0);
    struct engine_image *image = load(e, &plain);
    uint32_t index = 9;
    assert_ptr_equal(engine_export_func(image, 0, STR("load")), testguest_func(image, 0, GUEST_load));
    assert_null(engine_export_func(image, 0, STR("memory")));
    assert_true(engine_export_memory(image, 0, STR("memory"), &index));
    assert_int_equal(index, 0);
    assert_false(engine_export_memory(image, 1, STR("memory"), &index));
    engine_free(e);
}

/* ---- work put off ---- */

static void test_idle(void **state) {
    const struct testguest g = {.memory_bytes = 1 << 20,
                                .memory_bytes_max = 4 << 20,
                                .content_bytes = 70'000,
                                .context_bytes = 32 << 10,
                                .table_count = 500};
    struct engine *e = make(0, 0);
    struct engine_image *image = load(e, &g);
    struct engine_instance *in[3];
    assert_int_equal(engine_idle_wait_ms(e), 0);
    for (int i = 0; i < 3; i++) {
        in[i] = engine_acquire(image, NULL);
        ok2(in[i], GUEST_fill, 0, 256);
    }
    assert_true(engine_idle(e)); /* the next slot is made before it is asked for */
    assert_int_equal(image->free_count, 1);
    for (int i = 0; i < 3; i++) engine_release(in[i]);
    const uint64_t s = 1'000'000'000, now = clock_mono_ns();
    assert_false(engine_slots_idle(e, now));
    assert_int_equal(engine_idle_wait_ms(e), 1000);
    while (engine_slots_idle(e, now + 6 * s)) {}
    assert_int_equal(image->free_count, 4);
    assert_true(in[0]->trimmed && in[1]->trimmed && !in[2]->trimmed);
    while (engine_slots_idle(e, now + 61 * s)) {}
    assert_int_equal(image->free_count, 1);
    assert_true(image->free[0] == in[2] && in[2]->trimmed);
    assert_false(engine_fibers_idle(e, now));
    while (engine_fibers_idle(e, now + 61 * s)) {}
    assert_int_equal(engine_idle_wait_ms(e), 0);
    struct engine_instance *again = engine_acquire(image, NULL);
    check_fresh(again, &g);
    engine_release(again);
    engine_free(e);
}

/* ---- everything at once, by chance ---- */

enum { CROWD = 12, CROWD_TASKS = 4 };
struct member {
    struct engine_instance *in;
    struct task tasks[CROWD_TASKS];
    bool running[CROWD_TASKS], killed;
};
static uint64_t dice;
static uint64_t roll(uint64_t n) {
    dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
    return dice % n;
}

struct posted {
    struct engine *e;
    struct engine_post post;
    int ran, again;
    struct engine_post *cancels;
};
static void on_post(void *arg) {
    struct posted *p = arg;
    assert_null(engine_fiber_current(p->e));
    p->ran++;
    if (p->again-- > 0) engine_post(engine_share_own(p->e), &p->post);
    if (p->cancels) engine_post_cancel(p->cancels);
}

/* Each once, those that come again too, and not what was taken back. */
static void test_posts(void **state) {
    struct engine *e = make(ENGINE_RESET_AUTO, 0);
    struct posted p[4];
    for (int i = 0; i < 4; i++) p[i] = (struct posted){.e = e, .post = {.fn = on_post, .arg = &p[i]}};
    p[0].again = 3;
    p[1].cancels = &p[3].post;
    assert_false(engine_run(e, 1'000'000));
    for (int i = 0; i < 4; i++) engine_post(engine_share_own(e), &p[i].post), engine_post(engine_share_own(e), &p[i].post);
    engine_post_cancel(&p[2].post);
    while (engine_run(e, 1'000'000)) {}
    assert_true(p[0].ran == 4 && p[1].ran == 1 && !p[2].ran && !p[3].ran);
    engine_free(e);
}

static struct engine_fiber *crowd_parked[CROWD * CROWD_TASKS];
static uint32_t crowd_parked_n;

static enum abi_trap host_crowd(struct engine_call *call, uint64_t *args) {
    struct engine *e = engine_instance_engine(engine_call_instance(call));
    struct engine_image *image = engine_instance_image(engine_call_instance(call));
    switch (args[0] % 4) {
    case 0:
        crowd_parked[crowd_parked_n++] = engine_fiber_current(e);
        return engine_park(e) ? ABI_TRAP_NONE : ABI_TRAP_INTERRUPTED;
    case 1: engine_yield(e); return ABI_TRAP_NONE;
    case 2: {
        uint64_t nested[2] = {args[0] / 4, 0};
        return engine_call(engine_call_instance(call), testguest_func(image, 0, GUEST_host0), nested);
    }
    default: return engine_trap(engine_call_instance(call), ABI_TRAP_HOST, "by chance");
    }
}

static void start_task(struct member *m, uint32_t k, struct engine_image *image) {
    static const enum testguest_func funcs[] = {GUEST_fill,  GUEST_host0,   GUEST_outer, GUEST_recurse, GUEST_forever,
                                                GUEST_store, GUEST_context, GUEST_rt,    GUEST_deep,    GUEST_frames};
    enum testguest_func f = funcs[roll(ARRAY_COUNT(funcs))];
    uint64_t args[8] = {roll(1 << 21), roll(300)};
    if (f == GUEST_context) args[0] = (uint64_t) - (int64_t)(8 * (28 + roll(476))), args[1] = roll(UINT64_MAX);
    if (f == GUEST_deep) args[0] = roll(50'000);
    if (f == GUEST_host0) args[0] = roll(256);
    if (f == GUEST_rt) {
        static const uint64_t calls[][6] = {
            {ABI_RT_MEMORY_GROW, 0, 0, 9}, {ABI_RT_MEMORY_FILL, 0, 0, 4096, 0xaa, 900'000}, {ABI_RT_TABLE_GROW, 0, 0, 1, 999}};
        memcpy(args, calls[roll(ARRAY_COUNT(calls))], sizeof calls[0]);
    }
    m->tasks[k] = (struct task){.in = m->in, .f = testguest_func(image, 0, f)};
    memcpy(m->tasks[k].args, args, sizeof args);
    m->running[k] = engine_spawn(m->in, run_task, &m->tasks[k]);
}

static void step_member(struct member *m, struct engine_image *image) {
    bool busy = false;
    for (uint32_t k = 0; k < CROWD_TASKS; k++) {
        if (m->running[k] && m->tasks[k].done) m->running[k] = false;
        busy |= m->running[k];
    }
    if (!m->in) {
        m->killed = false;
        m->in = engine_acquire(image, NULL);
    } else if (!busy && roll(3)) {
        engine_release(m->in); /* verified by the engine against the image */
        m->in = NULL;
    } else if (!m->killed) {
        uint32_t k = (uint32_t)roll(CROWD_TASKS);
        if (!m->running[k]) start_task(m, k, image);
        else if (!roll(4)) engine_kill(m->in), m->killed = true;
    }
}

static void crowd(struct engine *e, struct engine_image *images[2]) {
    struct member *members = calloc(CROWD, sizeof *members);
    crowd_parked_n = 0;
    for (uint32_t step = 0; step < 1500; step++) {
        uint64_t i = roll(CROWD);
        step_member(&members[i], images[i % 2]);
        if (roll(2)) engine_run(e, roll(300'000));
        while (crowd_parked_n && (crowd_parked_n > CROWD || !roll(3))) engine_ready(crowd_parked[--crowd_parked_n]);
        if (!roll(50)) engine_idle(e);
    }
    for (uint32_t i = 0; i < CROWD; i++) {
        if (!members[i].in) continue;
        engine_kill(members[i].in);
        engine_release(members[i].in);
    }
    while (engine_run(e, UINT64_MAX)) {}
    free(members);
}

static void test_crowd(void **state) {
    const char *seed = getenv("ORLO_TEST_SEED");
    for (size_t r = 0; r < ARRAY_COUNT(resets); r++) {
        uint64_t start = clock_mono_ns() | 1;
        if (seed) str_to_u64(str_c(seed), &start);
        dice = start;
        print_message("ORLO_TEST_SEED=%llu\n", (unsigned long long)start);
        struct engine *e = make(resets[r], 50'000);
        struct engine_image *images[2] = {
            load(e, &(struct testguest){.memory_bytes = 1 << 20,
                                        .memory_bytes_max = 4 << 20,
                                        .content_bytes = 99'999,
                                        .hosts = 1,
                                        .context_bytes = 32 << 10,
                                        .table_count = 100}),
            load(e, &(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 65536, .content_bytes = 10, .hosts = 1})};
        for (int i = 0; i < 2; i++) engine_image_bind(images[i], 0, host_crowd, NULL);
        crowd(e, images);
        engine_free(e); /* nothing is alive */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh_small),
        cmocka_unit_test(test_fresh_medium),
        cmocka_unit_test(test_fresh_large),
        cmocka_unit_test(test_fresh_no_memory),
        cmocka_unit_test(test_fresh_empty_memory),
        cmocka_unit_test(test_fresh_after_kill),
        cmocka_unit_test(test_lifo),
        cmocka_unit_test(test_exhaustion),
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_own_faults_are_fatal),
        cmocka_unit_test(test_host_calls),
        cmocka_unit_test(test_far),
        cmocka_unit_test(test_memory_calls),
        cmocka_unit_test(test_table_calls),
        cmocka_unit_test(test_park_orders),
        cmocka_unit_test(test_early_ready),
        cmocka_unit_test(test_kill_itself_and_unstarted),
        cmocka_unit_test(test_on_ready),
        cmocka_unit_test(test_preempt_keeps_registers),
        cmocka_unit_test(test_kill_a_loop),
        cmocka_unit_test(test_preempt_on_a_full_stack),
        cmocka_unit_test(test_slices_in_the_host),
        cmocka_unit_test(test_runtime_calls_are_work),
        cmocka_unit_test(test_host_work),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_nobody_starves),
        cmocka_unit_test(test_sleep_is_forgiven),
        cmocka_unit_test(test_news),
        cmocka_unit_test(test_engines_nest),
        cmocka_unit_test(test_posts),
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_idle),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_exports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
