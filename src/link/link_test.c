/* link: from bytes to a running instance, with every part in between real. */
#include "link/link.h"
#include "engine/engine.h"
#include "link/store.h"
#include "component/plan.h"
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>
#include "link/guests_test.h"

#define BYTES(a) ((str){(a), sizeof(a)})

static struct crypto_ed25519 key;
static struct engine *engine;

static err compile(str wasm, bool no_snapshot, struct abi_image *im, struct link_stats *stats, struct diag *d) {
    struct link_options o = {.key = &key, .no_snapshot = no_snapshot};
    int fd;
    TRY(link_file_memfd(wasm, &o, &fd, stats, d));
    struct abi_key_public pub;
    memcpy(pub.bytes, key.public, sizeof pub.bytes);
    return abi_image_open(fd, &pub, im, d);
}

static struct engine_image *load(str wasm, bool no_snapshot, struct link_stats *stats) {
    struct abi_image im;
    struct diag d = DIAG_INIT;
    if (compile(wasm, no_snapshot, &im, stats, &d) != ERR_OK) fail_msg("%s", d.text);
    return engine_image_load(engine_share_own(engine), im);
}

/* In each test and not around all: cmocka takes the engine's signals before each. */
static void engine_begin(void) { engine = engine_new(&(struct engine_config){.verify = true}); }
static void engine_end(void) { engine_free(engine); }

/* ---- calls ---- */

struct call {
    struct engine_instance *in;
    const struct abi_func *f; /* NULL: the start */
    uint64_t *args;
    enum abi_trap trap;
};
static void run_call(void *arg) {
    struct call *c = arg;
    c->trap = c->f ? engine_call(c->in, c->f, c->args) : engine_instance_start(c->in);
}
static enum abi_trap run(struct engine_instance *in, const struct abi_func *f, uint64_t *args) {
    struct call c = {in, f, args, ABI_TRAP_COUNT};
    assert_non_null(engine_spawn(in, run_call, &c));
    while (engine_instance_fibers(in)) engine_run(engine, 1'000'000'000);
    return c.trap;
}
static enum abi_trap call(struct engine_instance *in, uint32_t instance, const char *name, uint64_t *args) {
    const struct abi_func *f = engine_export_func(engine_instance_image(in), instance, str_c(name));
    assert_non_null(f);
    return run(in, f, args);
}
static uint64_t call_ok(struct engine_instance *in, uint32_t instance, const char *name, uint64_t a, uint64_t b) {
    uint64_t args[4] = {a, b};
    assert_int_equal(call(in, instance, name, args), ABI_TRAP_NONE);
    return args[0];
}

/* ---- tests ---- */

static void test_add(void **state) {
    engine_begin();
    struct link_stats stats;
    struct engine_image *image = load(BYTES(wasm_add), false, &stats);
    assert_int_equal(stats.wasm_bytes, sizeof wasm_add);
    assert_true(stats.text_bytes > 0 && stats.image_bytes > stats.text_bytes && stats.snapshot);
    assert_int_equal(stats.functions, 2);
    struct engine_instance *in = engine_acquire(image, NULL);
    assert_int_equal(run(in, NULL, NULL), ABI_TRAP_NONE);
    assert_int_equal(call_ok(in, 0, "add", 2, 40), 42);
    assert_int_equal(call_ok(in, 0, "add", 0xffffffff, 2), 1);
    engine_release(in);
    engine_image_unload(image);
    engine_end();
}

static void test_backtrace_has_names(void **state) {
    engine_begin();
    struct engine_image *image = load(BYTES(wasm_add), false, NULL);
    struct engine_instance *in = engine_acquire(image, NULL);
    uint64_t args[2] = {70000};
    assert_int_equal(call(in, 0, "crash", args), ABI_TRAP_MEMORY_OUT_OF_BOUNDS);
    const struct engine_trap_record *r = engine_last_trap(in);
    assert_int_equal(r->address, 70000);
    assert_int_equal(r->frames_count, 1);
    assert_true(str_eqc(r->frames[0].name, "crash"));
    assert_true(str_eqc(r->frames[0].module, "adder"));
    assert_int_equal(r->frames[0].func_index, 1);
    assert_int_equal(wasm_add[r->frames[0].wasm_offset], 0x28); /* i32.load */
    engine_release(in);
    engine_image_unload(image);
    engine_end();
}

/* The same with and without a snapshot: what an instance looks like after its start. */
static void check_state(bool no_snapshot) {
    engine_begin();
    struct link_stats stats;
    struct engine_image *image = load(BYTES(wasm_state), no_snapshot, &stats);
    const struct abi_image_head *h = engine_image_abi(image)->head;
    assert_int_equal(stats.snapshot, !no_snapshot);
    assert_int_equal(h->snapshot, !no_snapshot);
    assert_int_equal(h->start_steps.count, no_snapshot ? 1 : 0);
    for (int round = 0; round < 3; round++) {
        struct engine_instance *in = engine_acquire(image, NULL);
        assert_int_equal(run(in, NULL, NULL), ABI_TRAP_NONE);
        assert_int_equal(*(uint32_t *)engine_export_global(in, 0, STR("count")), 6);
        assert_int_equal(*(uint32_t *)engine_export_global(in, 0, STR("twice")), 42);
        assert_int_not_equal(*engine_export_global(in, 0, STR("fn")), 0);
        assert_int_equal(call_ok(in, 0, "apply", 1, 20), 21);
        assert_int_equal(call_ok(in, 0, "apply", 2, 20), 40);
        uint64_t args[2] = {3, 20};
        assert_int_equal(call(in, 0, "apply", args), ABI_TRAP_INDIRECT_NULL);
        assert_int_equal(call_ok(in, 0, "load", 100, 0), 0x01020304);
        assert_int_equal(call_ok(in, 0, "size", 0, 0), 3);
        struct engine_bytes memory = engine_memory(in, 0, 0);
        assert_int_equal(memory.n, 3 * 65536);
        assert_memory_equal(memory.p + 70000, "hello", 5);
        call_ok(in, 0, "init", 0, 0);
        assert_memory_equal(memory.p, "passive", 7);
        engine_release(in);
    }
    engine_image_unload(image);
    engine_end();
}
static void test_instantiation(void **state) { check_state(true); }
static void test_snapshot(void **state) { check_state(false); }

static enum abi_trap add_one(struct engine_call *c, uint64_t *args) {
    (*(int *)engine_call_data(c))++;
    args[0]++;
    return ABI_TRAP_NONE;
}

/* A start function that calls the host is left to request time, with nothing of its effects in the image. */
static void test_host_call_in_start(void **state) {
    engine_begin();
    struct link_stats stats;
    struct engine_image *image = load(BYTES(wasm_host), false, &stats);
    const struct abi_image *im = engine_image_abi(image);
    assert_false(stats.snapshot);
    assert_int_equal(im->head->start_steps.count, 1);
    assert_int_equal(im->head->hosts.count, 1);
    const struct abi_image_host *h = abi_image_at(im, im->head->hosts, struct abi_image_host);
    assert_true(str_eqc(abi_image_str(im, h->module), "env") && str_eqc(abi_image_str(im, h->name), "tick"));
    assert_int_equal(h->arg_slots, 1);
    assert_int_equal(h->result_slots, 1);
    int calls = 0;
    engine_image_bind(image, 0, add_one, &calls);
    for (int round = 1; round <= 2; round++) {
        struct engine_instance *in = engine_acquire(image, NULL);
        assert_int_equal(run(in, NULL, NULL), ABI_TRAP_NONE);
        assert_int_equal(calls, round);
        assert_int_equal(*(uint32_t *)engine_export_global(in, 0, STR("seen")), 42);
        assert_int_equal(call_ok(in, 0, "load", 8, 0), 0x61746164);
        engine_release(in);
    }
    engine_image_unload(image);
    engine_end();
}

/* A tail call of the host's: its function returns to the caller's caller. */
static void test_host_tail_call(void **state) {
    engine_begin();
    struct engine_image *image = load(BYTES(wasm_tail), false, NULL);
    int calls = 0;
    engine_image_bind(image, 0, add_one, &calls);
    struct engine_instance *in = engine_acquire(image, NULL);
    assert_int_equal(call_ok(in, 0, "down", 1'000'000, 5), 1'000'006);
    assert_int_equal(call_ok(in, 0, "twice", 100'000, 7), 200'016);
    assert_int_equal(calls, 3);
    engine_release(in);
    engine_image_unload(image);
    engine_end();
}

/* Exceptions at instantiation, with and without a snapshot; a reset forgets those that were kept; what nobody catches. */
static void check_throws(bool no_snapshot) {
    engine_begin();
    struct link_stats stats;
    struct engine_image *image = load(BYTES(wasm_throws), no_snapshot, &stats);
    assert_int_equal(stats.snapshot, !no_snapshot);
    for (int round = 0; round < 3; round++) {
        struct engine_instance *in = engine_acquire(image, NULL);
        assert_int_equal(run(in, NULL, NULL), ABI_TRAP_NONE);
        assert_int_equal(*(uint32_t *)engine_export_global(in, 0, STR("caught")), 42);
        assert_int_equal(call_ok(in, 0, "keep", 0, 0), 0);
        assert_int_equal(call_ok(in, 0, "keep", 0, 0), 7);
        uint64_t args[2] = {0};
        assert_int_equal(call(in, 0, "fail", args), ABI_TRAP_EXCEPTION);
        const struct engine_trap_record *r = engine_last_trap(in);
        assert_string_equal(r->text, "uncaught exception of tag \"oops\"");
        assert_int_equal(r->frames_count, 1);
        assert_true(str_eqc(r->frames[0].name, "fail"));
        assert_int_equal(call_ok(in, 0, "keep", 0, 0), 7);
        engine_release(in);
    }
    engine_image_unload(image);
    engine_end();
}
static void test_exceptions(void **state) { check_throws(true); }
static void test_exceptions_in_snapshot(void **state) { check_throws(false); }

/* A guest that only throws and catches, most of its time in the engine's walk, gives others their turn and can be ended. */
static void test_exceptions_give_way(void **state) {
    static const uint64_t depths[] = {0, 5000};
    engine = engine_new(&(struct engine_config){.slice_ns = 100'000});
    struct engine_image *image = load(BYTES(wasm_throws), false, NULL);
    const struct abi_func *forever = engine_export_func(image, 0, STR("forever"));
    for (size_t i = 0; i < ARRAY_COUNT(depths); i++) {
        struct engine_instance *in = engine_acquire(image, NULL), *other = engine_acquire(image, NULL);
        uint64_t args[2] = {depths[i]};
        struct call c = {in, forever, args, ABI_TRAP_COUNT};
        assert_non_null(engine_spawn(in, run_call, &c));
        while (*(uint32_t *)engine_export_global(in, 0, STR("caught")) != 7) assert_true(engine_run(engine, 1'000'000));
        uint64_t none[2] = {0};
        assert_int_equal(call(other, 0, "keep", none), ABI_TRAP_NONE);
        engine_kill(in);
        while (engine_instance_fibers(in)) engine_run(engine, 1'000'000);
        assert_int_equal(c.trap, ABI_TRAP_INTERRUPTED);
        engine_release(in);
        engine_release(other);
    }
    engine_image_unload(image);
    engine_end();
}

/* Ended within a helper that copies or fills, a guest's backtrace begins with who called for that. */
static void test_backtrace_from_helpers(void **state) {
    static const char *const names[] = {"copies", "fills"};
    engine = engine_new(&(struct engine_config){.slice_ns = 100'000, .verify = true});
    struct engine_image *image = load(BYTES(wasm_bulk), false, NULL);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct engine_instance *in = engine_acquire(image, NULL);
        uint64_t args[1] = {0};
        struct call c = {in, engine_export_func(image, 0, str_c(names[i])), args, ABI_TRAP_COUNT};
        assert_non_null(engine_spawn(in, run_call, &c));
        assert_true(engine_run(engine, 1'000'000));
        engine_kill(in);
        while (engine_instance_fibers(in)) engine_run(engine, 1'000'000);
        assert_int_equal(c.trap, ABI_TRAP_INTERRUPTED);
        const struct engine_trap_record *r = engine_last_trap(in);
        assert_int_equal(r->frames_count, 1);
        assert_true(str_eqc(r->frames[0].name, names[i]));
        assert_int_equal(wasm_bulk[r->frames[0].wasm_offset], 0xfc);
        engine_release(in);
    }
    engine_image_unload(image);
    engine_end();
}

/* Exceptions are charged to the instance: a chain that never ends meets its limit. */
static void test_exceptions_limit(void **state) {
    struct engine_config config = {.memory_bytes_max = 8 << 20};
    engine = engine_new(&config);
    struct engine_image *image = load(BYTES(wasm_throws), false, NULL);
    for (int round = 0; round < 2; round++) {
        struct engine_instance *in = engine_acquire(image, NULL);
        assert_int_equal(run(in, NULL, NULL), ABI_TRAP_NONE);
        uint64_t args[2] = {0};
        assert_int_equal(call(in, 0, "flood", args), ABI_TRAP_OUT_OF_MEMORY);
        engine_release(in);
    }
    engine_image_unload(image);
    engine_end();
}

static void expect(str wasm, err want, const char *text) {
    struct abi_image im;
    struct diag d = DIAG_INIT;
    assert_int_equal(compile(wasm, false, &im, NULL, &d), want);
    if (!strstr(d.text, text)) fail_msg("\"%s\" does not contain \"%s\"", d.text, text);
}

static void test_failures_are_said(void **state) {
    expect(BYTES(wasm_trap), ERR_TRAP, "unreachable");
    expect(BYTES(wasm_trap), ERR_TRAP, "boom");
    expect(BYTES(wasm_segment), ERR_TRAP, "out of bounds memory access");
    expect(BYTES(wasm_throws_at_start), ERR_TRAP, "uncaught exception of tag \"bo?om\"");
    expect(BYTES(wasm_memimport), ERR_LINK, "\"env\" \"memory\"");
    expect(BYTES(wasm_shared), ERR_UNSUPPORTED, "shared memories (threads) are not supported");
    expect((str){wasm_add, sizeof wasm_add - 3}, ERR_MALFORMED, "");
    expect(STR("\x7f"
               "ELF"),
           ERR_MALFORMED, "");
    expect((str){0}, ERR_MALFORMED, "");
    uint8_t bad[sizeof wasm_add];
    memcpy(bad, wasm_add, sizeof bad);
    for (size_t i = 0; i < sizeof bad; i++)
        if (bad[i] == 0x6a) bad[i] = 0x7c; /* i64.add of two i32 */
    expect(BYTES(bad), ERR_INVALID, "");
}

/* Core instances with one memory share a group, memoryless ones join it, another memory is another group. */
static void test_component(void **state) {
    engine_begin();
    struct link_stats stats;
    struct engine_image *image = load(BYTES(wasm_two), false, &stats);
    const struct abi_image *im = engine_image_abi(image);
    assert_int_equal(stats.core_instances, 6);
    assert_int_equal(stats.groups, 2);
    assert_true(stats.component && stats.snapshot);
    const struct abi_image_instance *t = abi_image_at(im, im->head->instances, struct abi_image_instance);
    assert_int_equal(t[0].group, t[1].group);
    assert_int_equal(t[0].group, t[2].group);
    assert_int_equal(t[0].group, t[3].group);
    assert_int_not_equal(t[0].group, t[4].group);
    assert_int_equal(t[0].group, t[5].group);
    assert_int_equal(im->head->hosts.count, 1);
    assert_true(im->head->plan.count > 0);
    int calls = 0;
    engine_image_bind(image, 0, add_one, &calls);
    struct engine_instance *in = engine_acquire(image, NULL);
    assert_int_equal(call_ok(in, 2, "run", 10, 0), 1000 + 1024 + 11);
    assert_int_equal(call_ok(in, 2, "run", 10, 0), 1024 + 1048 + 11);
    assert_int_equal(calls, 2);
    assert_int_equal(call_ok(in, 5, "peek", 16, 0), 77 + 1024); /* a call into the other group, and back */
    engine_release(in);
    engine_image_unload(image);
    engine_end();
}

/* Memories, tables, globals and functions seen from other groups; memory 0 of one core instance is memory 1
 * of another. */
static void test_across_groups(void **state) {
    engine_begin();
    for (int round = 0; round < 2; round++) {
        struct link_stats stats;
        struct engine_image *image = load(BYTES(wasm_wide), round, &stats);
        assert_int_equal(stats.groups, 3);
        struct engine_instance *in = engine_acquire(image, NULL);
        assert_int_equal(run(in, NULL, NULL), ABI_TRAP_NONE);
        const uint32_t a = 0, b = 1, own = 2, c = 3, d = 4;
        assert_int_equal(call_ok(in, b, "far", 32, 0), 8 + 42 + 42);
        assert_int_equal(call_ok(in, b, "far", 64, 0), 9 + 5 + 5);
        assert_int_equal(call_ok(in, c, "copy", 64, 0), 5);
        assert_int_equal(call_ok(in, own, "get", 0, 0), 5);
        assert_int_equal(call_ok(in, a, "through", 32, 0), 1000 + 1); /* d's function with d's memory */
        assert_int_equal(call_ok(in, d, "call", 32, 0), 10 + 42);     /* a's function with a's memory */
        engine_release(in);
        engine_image_unload(image);
    }
    engine_end();
}

static void test_computed_elements(void **state) {
    engine_begin();
    for (int round = 0; round < 2; round++) {
        struct link_stats stats;
        struct engine_image *image = load(BYTES(wasm_dynamic), round, &stats);
        assert_int_equal(stats.snapshot, !round);
        struct engine_instance *in = engine_acquire(image, NULL);
        assert_int_equal(run(in, NULL, NULL), ABI_TRAP_NONE);
        assert_int_equal(call_ok(in, 0, "call", 0, 0), 1);
        assert_int_equal(call_ok(in, 0, "call", 2, 0), 2);
        uint64_t args[2] = {3};
        assert_int_equal(call(in, 0, "call", args), ABI_TRAP_INDIRECT_NULL);
        assert_int_equal(call(in, 0, "later", args), ABI_TRAP_NONE);
        assert_int_equal(call_ok(in, 0, "call", 0, 0), 2);
        assert_int_equal(call_ok(in, 0, "call", 1, 0), 1);
        assert_int_equal(call(in, 0, "later", args), ABI_TRAP_TABLE_OUT_OF_BOUNDS);
        engine_release(in);
        engine_image_unload(image);
    }
    engine_end();
}

/* What a snapshot cannot hold, or what takes too long, is done when an instance starts. */
static void test_snapshot_forgone(void **state) {
    engine_begin();
    struct link_stats stats;
    struct engine_image *image = load(BYTES(wasm_grow), false, &stats);
    assert_false(stats.snapshot);
    struct engine_instance *in = engine_acquire(image, NULL);
    assert_int_equal(run(in, NULL, NULL), ABI_TRAP_NONE);
    assert_int_equal(call_ok(in, 0, "size", 0, 0), 4);
    engine_release(in);
    engine_image_unload(image);
    struct link_options o = {.snapshot_ns_max = 20'000'000};
    int fd;
    assert_int_equal(link_file_memfd(BYTES(wasm_forever), &o, &fd, &stats, NULL), ERR_OK);
    assert_false(stats.snapshot);
    close(fd);
    engine_end();
}

/* The same input gives the same image. */
static void test_deterministic(void **state) {
    static const str inputs[] = {{wasm_state, sizeof wasm_state}, {wasm_wide, sizeof wasm_wide}};
    for (size_t i = 0; i < ARRAY_COUNT(inputs); i++) {
        struct abi_image a, b;
        assert_int_equal(compile(inputs[i], false, &a, NULL, NULL), ERR_OK);
        assert_int_equal(compile(inputs[i], false, &b, NULL, NULL), ERR_OK);
        assert_int_equal(a.size, b.size);
        uint8_t *x = malloc(a.size), *y = malloc(a.size); /* from the files: the mappings are relocated */
        assert_int_equal(pread(a.fd, x, a.size, 0), a.size);
        assert_int_equal(pread(b.fd, y, a.size, 0), a.size);
        assert_memory_equal(x, y, a.size);
        free(x);
        free(y);
        abi_image_close(&a);
        abi_image_close(&b);
    }
}

/* An image for the other machine says so, has no snapshot, and is not taken here. */
static void test_other_machine(void **state) {
    static const uint32_t machines[] = {ABI_MACHINE_X86_64, ABI_MACHINE_AARCH64};
    for (size_t i = 0; i < ARRAY_COUNT(machines); i++) {
        struct link_options o = {.key = &key, .machine = machines[i]};
        struct link_stats stats;
        struct diag d = DIAG_INIT;
        struct abi_image im;
        int fd;
        assert_int_equal(link_file_memfd((str){wasm_state, sizeof wasm_state}, &o, &fd, &stats, &d), ERR_OK);
        uint16_t elf_machine;
        assert_int_equal(pread(fd, &elf_machine, sizeof elf_machine, 18), sizeof elf_machine);
        assert_int_equal(elf_machine, machines[i]);
        bool own = machines[i] == ABI_MACHINE;
        assert_true(stats.text_bytes > 0 && stats.snapshot == own);
        struct abi_key_public pub;
        memcpy(pub.bytes, key.public, sizeof pub.bytes);
        assert_int_equal(abi_image_open(fd, &pub, &im, &d), own ? ERR_OK : ERR_UNSUPPORTED);
        if (own) abi_image_close(&im);
        else assert_non_null(strstr(d.text, abi_machine_name(machines[i])));
    }
}

/* ---- stores ---- */

static struct link_store_instance *add_to_store(struct link_store *s, str wasm, err want, const char *text) {
    struct link_store_instance *in;
    enum abi_trap trap;
    struct diag d = DIAG_INIT;
    assert_int_equal(link_store_instantiate(s, wasm, &in, &trap, &d), want);
    if (!strstr(d.text, text)) fail_msg("\"%s\" does not contain \"%s\"", d.text, text);
    return in;
}

static uint64_t store_call(struct link_store_instance *in, const char *name, uint64_t arg) {
    struct link_store_item f;
    uint64_t args[2] = {arg};
    assert_true(link_store_export(in, str_c(name), &f) && f.kind == WASM_EXTERN_FUNC);
    assert_int_equal(link_store_call(in, f.func, args), ABI_TRAP_NONE);
    return args[0];
}

static void test_store(void **state) {
    engine_begin();
    struct link_store *s = link_store_new(engine);
    add_to_store(s, BYTES(wasm_store_b), ERR_LINK, "unknown import");
    struct link_store_instance *a = add_to_store(s, BYTES(wasm_store_a), ERR_OK, "");
    link_store_register(s, STR("a"), a);
    struct link_store_instance *b = add_to_store(s, BYTES(wasm_store_b), ERR_OK, "");
    assert_int_equal(store_call(b, "again", 5), 105);
    assert_int_equal(store_call(b, "run", 5), 205 + 10);
    assert_int_equal(store_call(a, "add", 1), 201); /* b wrote a's memory */
    struct link_store_item count;
    assert_true(link_store_export(a, STR("count"), &count));
    assert_int_equal(*(uint32_t *)count.record, 2);
    add_to_store(s, BYTES(wasm_store_unknown), ERR_LINK, "unknown import");
    add_to_store(s, BYTES(wasm_store_type), ERR_LINK, "incompatible import type");
    add_to_store(s, BYTES(wasm_store_mutable), ERR_LINK, "incompatible import type");
    add_to_store(s, BYTES(wasm_store_limits), ERR_LINK, "incompatible import type");
    assert_int_equal(store_call(a, "grow", 0), 1);
    assert_int_equal(store_call(b, "size", 0), 2);
    add_to_store(s, BYTES(wasm_store_limits), ERR_OK, ""); /* what counts is the size now */
    link_store_free(s);
    engine_end();
}

/* ---- a large module, made here: what several threads compile ---- */

enum { LARGE_FUNCS = 4000, LARGE_PADDING = 150, LARGE_EXPORT = 100, LARGE_CRASH = LARGE_FUNCS - 1 };

static void put_u32(struct buf *b, uint32_t v) {
    for (; v >= 0x80; v >>= 7) buf_putc(b, (uint8_t)(v | 0x80));
    buf_putc(b, (uint8_t)v);
}
static void put_i32_const(struct buf *b, uint32_t v) {
    buf_putc(b, 0x41);
    uint8_t bytes[5] = {(uint8_t)(v | 0x80), (uint8_t)(v >> 7 | 0x80), (uint8_t)(v >> 14 & 0x3f)};
    buf_put(b, bytes, 3);
}
static void put_section(struct buf *b, uint8_t id, struct buf *section) {
    buf_putc(b, id);
    put_u32(b, (uint32_t)section->n);
    buf_puts(b, buf_str(section));
    section->n = 0;
}

/* f(k, x) = f(k + 1, x + k) for odd k, else f(k / 4, x + k), f(0, x) = x; so calls go forwards and backwards.
 */
static uint32_t large_next(uint32_t k) { return k & 1 && k + 1 < LARGE_FUNCS ? k + 1 : k / 4; }

static struct buf make_large(void) {
    struct buf b = {0}, s = {0}, body = {0};
    buf_puts(&b, STR("\0asm\1\0\0\0"));
    buf_puts(&s, STR("\1\x60\1\x7f\1\x7f"));
    put_section(&b, 1, &s);
    put_u32(&s, LARGE_FUNCS);
    for (uint32_t k = 0; k < LARGE_FUNCS; k++) put_u32(&s, 0);
    put_section(&b, 3, &s);
    put_u32(&s, LARGE_FUNCS / LARGE_EXPORT + 1);
    for (uint32_t k = 0; k < LARGE_FUNCS; k += LARGE_EXPORT) buf_printf(&s, "%cf%04u%c", 5, k, 0), put_u32(&s, k);
    buf_printf(&s, "%ccrash%c", 5, 0);
    put_u32(&s, LARGE_CRASH);
    put_section(&b, 7, &s);
    put_u32(&s, LARGE_FUNCS);
    for (uint32_t k = 0; k < LARGE_FUNCS; k++) {
        body.n = 0;
        buf_puts(&body, STR("\0\x20\0")); /* no locals; local.get 0 */
        put_i32_const(&body, k);
        buf_putc(&body, 0x6a);
        for (int i = 0; i < LARGE_PADDING; i++) buf_puts(&body, STR("\x20\0\x73\x20\0\x73")); /* ^ x ^ x */
        if (k % LARGE_EXPORT == 0) {
            buf_putc(&body, 0xd2); /* ref.func k, drop */
            put_u32(&body, k);
            buf_putc(&body, 0x1a);
        }
        if (k == LARGE_CRASH) buf_putc(&body, 0x00);
        if (k) {
            buf_putc(&body, 0x10);
            put_u32(&body, large_next(k));
        }
        buf_putc(&body, 0x0b);
        put_u32(&s, (uint32_t)body.n);
        buf_puts(&s, buf_str(&body));
    }
    put_section(&b, 10, &s);
    buf_free(&s);
    buf_free(&body);
    return b;
}

static void check_large(str wasm, uint32_t threads) {
    engine_begin();
    struct link_options o = {.threads = threads};
    int fd;
    struct diag d = DIAG_INIT;
    struct abi_image im;
    if (link_file_memfd(wasm, &o, &fd, NULL, &d) != ERR_OK) fail_msg("%s", d.text);
    assert_int_equal(abi_image_open(fd, NULL, &im, &d), ERR_OK);
    struct engine_image *image = engine_image_load(engine_share_own(engine), im);
    struct engine_instance *in = engine_acquire(image, NULL);
    for (uint32_t k = 0; k < LARGE_FUNCS; k += LARGE_EXPORT) {
        char name[8];
        uint32_t want = 7;
        for (uint32_t i = k; i; i = large_next(i)) want += i;
        snprintf(name, sizeof name, "f%04u", k);
        assert_int_equal(call_ok(in, 0, name, 7, 0), want);
    }
    uint64_t args[1] = {1};
    assert_int_equal(call(in, 0, "crash", args), ABI_TRAP_UNREACHABLE);
    const struct engine_trap_record *r = engine_last_trap(in);
    assert_int_equal(r->frames[0].func_index, LARGE_CRASH);
    assert_int_equal(wasm.p[r->frames[0].wasm_offset], 0x00);
    engine_release(in);
    engine_image_unload(image);
    engine_end();
}

static void test_several_threads(void **state) {
    struct buf b = make_large();
    check_large(buf_str(&b), 1);
    check_large(buf_str(&b), 4);
    /* The same error, whoever finds it: an i64.add where a late function has its last i32.xor. */
    b.p[b.n - 7] = 0x7c;
    struct link_options one = {.threads = 1}, four = {.threads = 4};
    struct diag d1 = DIAG_INIT, d4 = DIAG_INIT;
    int fd;
    assert_int_equal(link_file_memfd(buf_str(&b), &one, &fd, NULL, &d1), ERR_INVALID);
    assert_int_equal(link_file_memfd(buf_str(&b), &four, &fd, NULL, &d4), ERR_INVALID);
    assert_string_equal(d1.text, d4.text);
    assert_int_equal(d1.offset, d4.offset);
    buf_free(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_backtrace_has_names),
        cmocka_unit_test(test_backtrace_from_helpers),
        cmocka_unit_test(test_instantiation),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_host_call_in_start),
        cmocka_unit_test(test_host_tail_call),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_exceptions_in_snapshot),
        cmocka_unit_test(test_exceptions_limit),
        cmocka_unit_test(test_exceptions_give_way),
        cmocka_unit_test(test_failures_are_said),
        cmocka_unit_test(test_component),
        cmocka_unit_test(test_across_groups),
        cmocka_unit_test(test_computed_elements),
        cmocka_unit_test(test_snapshot_forgone),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_other_machine),
        cmocka_unit_test(test_store),
        cmocka_unit_test(test_several_threads),
    };
    crypto_ed25519_new(&key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
