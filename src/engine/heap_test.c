/* heap: what is reachable stays, whatever place refers to it; the rest is found again; limits, resets, killing. */
#include "engine/engine_int.h"
#include "engine/testguest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

/* Types: 0 a struct of two references and a number, 1 an array of references, 2 an array of bytes, 3 a struct of 70 words. */
enum { NODE, REFS, BYTES, LARGE, TYPES };
static struct abi_type types[TYPES] = {
    [NODE] = {.bytes = 24, .scan = ABI_SCAN_MAP, .refs = 3, .comp = WASM_COMP_STRUCT},
    [REFS] = {.bytes = 8, .scan = ABI_SCAN_ALL, .comp = WASM_COMP_ARRAY, .element = WASM_REF_BIT},
    [BYTES] = {.bytes = 1, .comp = WASM_COMP_ARRAY, .element = WASM_I8},
    [LARGE] = {.bytes = 70 * 8, .scan = ABI_SCAN_ANY, .comp = WASM_COMP_STRUCT},
};

/* References in variables of a test are masked, so that the scan of its native stack does not find them. */
typedef uint64_t hidden;
#define MASK 0xa5a5000000000000ull
static hidden hide(const struct abi_gc_object *o) { return (uintptr_t)o ^ MASK; }
static struct abi_gc_object *shown(hidden h) { return (struct abi_gc_object *)(uintptr_t)(h ^ MASK); }

static struct abi_gc_object *try_new(struct engine_instance *in, uint32_t type, uint32_t length, enum abi_trap *trap) {
    bool array = type == REFS || type == BYTES;
    uint64_t bytes = array ? (uint64_t)length * types[type].bytes : types[type].bytes;
    return engine_heap_new(in, abi_object_header(type, array ? ABI_OBJECT_ARRAY : ABI_OBJECT_STRUCT), array ? length : 0, bytes,
                           trap);
}
static struct abi_gc_object *new (struct engine_instance *in, uint32_t type, uint32_t length) {
    enum abi_trap trap;
    struct abi_gc_object *o = try_new(in, type, length, &trap);
    assert_non_null(o);
    return o;
}

/* Overwrites what earlier calls left on the native stack. */
static __attribute__((noinline)) void wipe(void) {
    volatile uint64_t junk[2048];
    for (size_t i = 0; i < ARRAY_COUNT(junk); i++) junk[i] = 0;
}
static void collect(struct engine_instance *in) {
    wipe();
    assert_true(engine_heap_collect(in));
}

/* ---- running a test on a fiber ---- */

struct run {
    struct engine *e;
    struct engine_instance *in;
    void (*fn)(struct engine_instance *in);
};
static void run_fn(void *arg) {
    struct run *r = arg;
    r->fn(r->in);
}
static void with(const struct engine_config *config, void (*fn)(struct engine_instance *in)) {
    struct engine_config c = config ? *config : (struct engine_config){0};
    c.verify = true;
    struct engine *e = engine_new(&c);
    struct engine_image *image = engine_image_load(
        engine_share_own(e),
        testguest_image(&(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 1 << 30, .table_count = 10}));
    for (int again = 0; again < 2; again++) { /* the second time in a slot that was reset */
        struct run r = {.e = e, .in = engine_acquire(image, NULL), .fn = fn};
        r.in->own_heap.abi.types = types;
        r.in->own_heap.types_count = TYPES;
        assert_non_null(engine_spawn(r.in, run_fn, &r));
        while (engine_instance_fibers(r.in)) engine_run(e, 1'000'000);
        engine_release(r.in);
    }
    engine_free(e);
}

/* ---- reachability ---- */

static __attribute__((noinline)) hidden make_list(struct engine_instance *in, uint32_t n) {
    struct abi_gc_object *first = NULL;
    for (uint32_t i = 0; i < n; i++) {
        struct abi_gc_object *o = new (in, NODE, 0);
        o->payload[0] = (uintptr_t)first;
        o->payload[2] = i;
        first = o;
    }
    return hide(first);
}
static __attribute__((noinline)) void check_list(hidden first, uint32_t n) {
    const struct abi_gc_object *o = shown(first);
    for (uint32_t i = n; i-- > 0; o = (const void *)(uintptr_t)o->payload[0]) {
        assert_int_equal(o->header, abi_object_header(NODE, ABI_OBJECT_STRUCT));
        assert_int_equal(o->payload[2], i);
    }
    assert_null(o);
}

static uint64_t *global_of(struct engine_instance *in) { return (uint64_t *)(void *)(in->groups[0].gs + TESTGUEST_GLOBAL); }

static __attribute__((noinline)) void put(uint64_t *to, hidden h) { *to = (uintptr_t)shown(h); }
static __attribute__((noinline)) bool is_there(struct engine_instance *in, hidden h) {
    return engine_heap_object(in->heap, (uintptr_t)shown(h));
}

/* Collects, and allocates so much that what was freed is used again. */
static __attribute__((noinline)) void churn(struct engine_instance *in) {
    collect(in);
    for (int i = 0; i < 20000; i++) memset(new (in, BYTES, (uint32_t)(i % 200))->payload, 0xee, (size_t)(i % 200));
}

static void from_context(struct engine_instance *in) {
    hidden list = make_list(in, 1000);
    put(global_of(in), list);
    churn(in);
    check_list(list, 1000);
    *global_of(in) = 0;
    uint64_t before = in->heap->live_bytes;
    collect(in);
    collect(in);
    assert_true(in->heap->live_bytes + 30'000 < before + 1'000'000);
    assert_true(in->heap->live_bytes < 20'000);
}

static void from_table(struct engine_instance *in) {
    struct abi_table fixed, *t = engine_table_record(in, 0, 0, &fixed);
    hidden list = make_list(in, 100);
    put(&t->elements[7], list);
    churn(in);
    check_list(list, 100);
    t->elements[7] = 0;
    uint64_t *args = (uint64_t *)(void *)(in->engine->current->frame_low + 64); /* as compiled code calls table.grow */
    args[0] = args[1] = 0, args[3] = 1000;
    put(&args[2], list);
    engine_rt_dispatch(in, ABI_RT_TABLE_GROW, args, NULL);
    args[2] = 0;
    churn(in);
    check_list(list, 100);
    for (uint64_t i = 10; i < t->count; i++) t->elements[i] = 0;
    collect(in);
    assert_false(is_there(in, list));
}

static void from_frame(struct engine_instance *in) {
    struct engine_fiber *f = in->engine->current;
    hidden list = make_list(in, 100);
    uint64_t *slot = (uint64_t *)(void *)f->frame_low;
    put(&slot[3], list);
    f->frame_top += 64;
    churn(in);
    check_list(list, 100);
    f->frame_top -= 64; /* not a frame any more */
    collect(in);
    assert_false(is_there(in, list));
}

static void from_c_frame(struct engine_instance *in) {
    struct abi_gc_object *volatile kept = shown(make_list(in, 100));
    churn(in);
    check_list(hide(kept), 100);
}

/* In a register that C keeps over calls, and nowhere else. */
#if defined(__aarch64__)
#define KEPT_REGISTER "x21"
#else
#define KEPT_REGISTER "r14"
#endif
static void from_register(struct engine_instance *in) {
    hidden list = make_list(in, 100);
    register uint64_t kept __asm__(KEPT_REGISTER) = (uintptr_t)shown(list);
    __asm__ volatile("" : "+r"(kept));
    churn(in);
    __asm__ volatile("" : "+r"(kept));
    check_list(list, 100);
}

/* A struct of 70 words, its last an object of words, whose last is an array of references, whose last is the list. */
static __attribute__((noinline)) void make_chain(struct engine_instance *in, hidden list) {
    struct abi_gc_object *volatile large = new (in, LARGE, 0), *volatile words, *volatile refs;
    put(global_of(in), hide(large));
    large->payload[69] = (uintptr_t)(words = engine_heap_new(in, ABI_OBJECT_WORDS, 3, 24, &(enum abi_trap){0}));
    words->payload[1] = 0x1234567;
    words->payload[2] = (uintptr_t)(refs = new (in, REFS, 100'000));
    uint64_t i31 = 77;
    put(&refs->payload[99'999], list);
    refs->payload[5] = i31 << ABI_I31_SHIFT | ABI_REF_I31;
    refs->payload[6] = abi_ref_host(5);
}
static void from_object(struct engine_instance *in) {
    hidden list = make_list(in, 100);
    make_chain(in, list);
    churn(in);
    check_list(list, 100);
    shown(hide((void *)(uintptr_t)*global_of(in)))->payload[69] = 0;
    collect(in);
    assert_false(is_there(in, list));
    *global_of(in) = 0;
}

/* A word is a reference only if an object starts there. */
static void no_forgery(struct engine_instance *in) {
    struct abi_gc_object *volatile o = new (in, NODE, 0), *volatile big = new (in, BYTES, 100'000);
    struct engine_heap *h = in->heap;
    for (int d = 1; d < 16; d++) assert_null(engine_heap_object(h, (uintptr_t)o + (unsigned)d));
    assert_ptr_equal(engine_heap_object(h, (uintptr_t)o), o);
    assert_ptr_equal(engine_heap_object(h, (uintptr_t)big), big);
    assert_null(engine_heap_object(h, (uintptr_t)big + HEAP_BLOCK));
    assert_null(engine_heap_object(h, (uintptr_t)h->base + h->bytes));
    assert_null(engine_heap_object(h, (uintptr_t)h->base - 8));
    for (uint64_t i = 0; i < 12'500; i++) big->payload[i] = (uintptr_t)h->base + i * 8; /* numbers, of no consequence */
    collect(in);
    assert_ptr_equal(engine_heap_object(h, (uintptr_t)big), big);
}

/* ---- shapes ---- */

static void long_list(struct engine_instance *in) {
    enum { N = 10'000'000 };
    hidden list = make_list(in, N);
    put(global_of(in), list);
    collect(in);
    check_list(list, N);
    *global_of(in) = 0;
    collect(in);
    assert_true(in->heap->live_bytes < 1 << 20);
}

/* The marking stack overflows: an array of a million objects that each refer to another. */
static void wide(struct engine_instance *in) {
    enum { N = 300'000 };
    struct abi_gc_object *volatile refs = new (in, REFS, N);
    for (uint32_t i = 0; i < N; i++) {
        struct abi_gc_object *volatile o = new (in, NODE, 0);
        struct abi_gc_object *leaf = new (in, NODE, 0);
        leaf->payload[2] = i;
        o->payload[1] = (uintptr_t)leaf;
        refs->payload[i] = (uintptr_t)o;
    }
    churn(in);
    for (uint32_t i = 0; i < N; i++) {
        const struct abi_gc_object *o = (const void *)(uintptr_t)refs->payload[i];
        o = (const void *)(uintptr_t)o->payload[1];
        assert_int_equal(o->payload[2], i);
    }
}

static void cycles(struct engine_instance *in) {
    for (int i = 0; i < 2'000'000; i++) {
        struct abi_gc_object *volatile a = new (in, NODE, 0);
        struct abi_gc_object *b = new (in, NODE, 0);
        a->payload[0] = (uintptr_t)b;
        b->payload[0] = (uintptr_t)a;
        b->payload[1] = (uintptr_t)b;
    }
    assert_true(in->heap->collections > 3);
    assert_true(in->heap->bytes < 24 << 20);
}

/* Objects of all sizes, half of them dropped, over and over: the heap does not grow without end. */
static void fragmentation(struct engine_instance *in) {
    enum { N = 4000 };
    struct abi_gc_object *volatile refs = new (in, REFS, N);
    uint64_t x = 88172645463325252ull, after_first = 0;
    for (int round = 0; round < 60; round++) {
        for (uint32_t i = 0; i < N; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            if (round && (x & 1)) continue;
            uint32_t n = (uint32_t)(x >> 20 & 255);
            if ((x >> 4 & 63) == 0) n *= 200;
            struct abi_gc_object *o = new (in, BYTES, n);
            memset(o->payload, (int)(i & 0xff), n);
            refs->payload[i] = (uintptr_t)o;
        }
        for (uint32_t i = 0; i < N; i++) {
            const struct abi_gc_object *o = (const void *)(uintptr_t)refs->payload[i];
            const uint8_t *p = (const uint8_t *)o->payload;
            for (uint32_t k = 0; k < o->length; k++)
                if (p[k] != (uint8_t)i) fail();
        }
        if (round == 20) after_first = in->heap->bytes;
    }
    assert_true(in->heap->bytes <= after_first + (8 << 20));
}

/* New objects are zero, also where others were. */
static void zeroed(struct engine_instance *in) {
    for (int round = 0; round < 4; round++) {
        for (uint32_t n = 1; n < 40'000; n += n / 7 + 1) {
            struct abi_gc_object *o = new (in, BYTES, n);
            const uint8_t *p = (const uint8_t *)o->payload;
            for (uint32_t k = 0; k < n; k++) assert_int_equal(p[k], 0);
            memset(o->payload, 0xff, n);
        }
        collect(in);
    }
}

static void limit(struct engine_instance *in) {
    enum abi_trap trap = ABI_TRAP_NONE;
    struct abi_gc_object *volatile first = NULL;
    uint64_t n = 0;
    for (;; n++) {
        struct abi_gc_object *o = try_new(in, NODE, 0, &trap);
        if (!o) break;
        o->payload[0] = (uintptr_t)first;
        first = o;
    }
    assert_int_equal(trap, ABI_TRAP_OUT_OF_MEMORY);
    assert_in_range(n, (16 << 20) / 32 * 9 / 10, (16 << 20) / 32);
    assert_false(engine_charge(in, 1 << 20));
    first = NULL;
    collect(in);
    for (uint64_t i = 0; i < n / 2; i++) { /* there is room again */
        struct abi_gc_object *o = new (in, NODE, 0);
        o->payload[0] = (uintptr_t)first;
        first = o;
    }
    assert_null(try_new(in, BYTES, UINT32_MAX, &trap));
    assert_int_equal(trap, ABI_TRAP_OUT_OF_MEMORY);
    assert_null(try_new(in, REFS, UINT32_MAX, &trap));
}

static void large(struct engine_instance *in) {
    struct abi_gc_object *volatile a = new (in, BYTES, 100 << 20);
    memset(a->payload, 1, 100 << 20);
    for (int i = 0; i < 20; i++) { /* each is freed before the reserve is used up */
        struct abi_gc_object *b = new (in, BYTES, 300 << 20);
        assert_int_equal(((uint8_t *)b->payload)[(300 << 20) - 1], 0);
        ((uint8_t *)b->payload)[(300 << 20) - 1] = 1;
    }
    assert_int_equal(((uint8_t *)a->payload)[12345], 1);
}

/* ---- classes ---- */

static void test_classes(void **state) {
    for (uint32_t n = 1; n <= ABI_CELL_MAX; n++) {
        uint32_t c = abi_cell_class(n);
        assert_true(c < ABI_CELL_CLASSES && abi_cell_bytes(c) >= n && (!c || abi_cell_bytes(c - 1) < n));
    }
    for (uint32_t c = 0; c < ABI_CELL_CLASSES; c++) {
        uint32_t bytes = abi_cell_bytes(c);
        struct heap_block b = {
            .state = HEAP_CELLS, .count = heap_cells(c), .cell_bytes = bytes, .inverse = (uint32_t)((1ull << 32) / bytes + 1)};
        for (uint32_t at = 0; at < HEAP_BLOCK; at++) {
            uint32_t want = at % bytes || at / bytes >= b.count ? UINT32_MAX : at / bytes;
            assert_int_equal(heap_cell_of(&b, at), want);
        }
    }
}

/* ---- several fibers ---- */

struct pair {
    struct engine_instance *in;
    struct engine_fiber *waiting;
    hidden list;
    bool done, collected, killed;
    uint64_t ran_while_collecting;
};

static __attribute__((noinline)) void wait_with_list(struct pair *p) {
    struct abi_gc_object *volatile kept = shown(make_list(p->in, 100));
    p->list = hide(kept);
    p->waiting = p->in->engine->current;
    while (!p->collected)
        if (!engine_park(p->in->engine)) break;
    check_list(hide(kept), 100);
}
static void waiter(void *arg) {
    wait_with_list(arg);
    ((struct pair *)arg)->done = true;
}
static void collector(void *arg) {
    struct pair *p = arg;
    churn(p->in);
    check_list(p->list, 100);
    p->collected = true;
    engine_ready(p->waiting);
}
static void test_other_fiber(void **state) {
    struct engine *e = engine_new(&(struct engine_config){.verify = true});
    struct engine_image *image =
        engine_image_load(engine_share_own(e), testguest_image(&(struct testguest){.memory_bytes_max = 1 << 20}));
    struct pair p = {.in = engine_acquire(image, NULL)};
    p.in->own_heap.abi.types = types;
    p.in->own_heap.types_count = TYPES;
    assert_non_null(engine_spawn(p.in, waiter, &p));
    while (engine_run(e, 1'000'000)) {}
    assert_non_null(engine_spawn(p.in, collector, &p));
    while (engine_run(e, 1'000'000)) {}
    assert_true(p.done);
    engine_release(p.in);
    engine_free(e);
}

/* While a long collection runs, its instance's other fibers wait and other instances' run; a kill ends it. */
static void collects(void *arg) {
    struct pair *p = arg;
    hidden list = make_list(p->in, 3'000'000);
    *global_of(p->in) = (uintptr_t)shown(list);
    p->collected = true;
    bool ok = engine_heap_collect(p->in);
    assert_int_equal(ok, !p->killed);
    p->done = true;
}
static void bystander(void *arg) {
    struct pair *p = arg;
    while (!p->done && engine_park(p->in->engine)) {}
    assert_false(p->in->heap->collecting);
    p->ran_while_collecting++;
}
struct stranger {
    struct engine_instance *in;
    struct pair *of;
    uint64_t seen;
    bool kills;
};
static void stranger(void *arg) {
    struct stranger *s = arg;
    while (!s->of->done) {
        if (s->of->collected && s->of->in->heap->collecting) {
            s->seen++;
            if (s->kills && !s->of->killed) {
                s->of->killed = true;
                engine_kill(s->of->in);
            }
        }
        engine_yield(s->in->engine);
    }
}
static void slices(bool kills) {
    struct engine *e = engine_new(&(struct engine_config){.verify = true, .slice_ns = 1'000'000});
    struct engine_image *image =
        engine_image_load(engine_share_own(e), testguest_image(&(struct testguest){.memory_bytes_max = 1 << 20}));
    struct pair p = {.in = engine_acquire(image, NULL)};
    struct stranger s = {.in = engine_acquire(image, NULL), .of = &p, .kills = kills};
    p.in->own_heap.abi.types = types;
    p.in->own_heap.types_count = TYPES;
    assert_non_null(engine_spawn(p.in, collects, &p));
    assert_non_null(engine_spawn(p.in, bystander, &p));
    assert_non_null(engine_spawn(s.in, stranger, &s));
    while (!p.done) {
        engine_run(e, 1'000'000);
        for (struct engine_fiber *f = p.in->fibers; f; f = f->next) engine_ready(f);
    }
    while (engine_instance_fibers(p.in) + engine_instance_fibers(s.in)) {
        for (struct engine_fiber *f = p.in->fibers; f; f = f->next) engine_ready(f);
        engine_run(e, 1'000'000);
    }
    assert_true(s.seen > 0);
    assert_int_equal(p.ran_while_collecting, 1);
    assert_int_equal(p.killed, kills);
    engine_release(p.in);
    engine_release(s.in);
    engine_free(e);
}
static void test_slices(void **state) { slices(false); }
static void test_killed(void **state) { slices(true); }

#define ON_FIBER(name, config)                                                                                                   \
    static void test_##name(void **state) { with(config, name); }
ON_FIBER(from_context, NULL)
ON_FIBER(from_table, NULL)
ON_FIBER(from_frame, NULL)
ON_FIBER(from_c_frame, NULL)
ON_FIBER(from_register, NULL)
ON_FIBER(from_object, NULL)
ON_FIBER(no_forgery, NULL)
ON_FIBER(long_list, NULL)
ON_FIBER(wide, NULL)
ON_FIBER(cycles, NULL)
ON_FIBER(fragmentation, NULL)
ON_FIBER(zeroed, NULL)
ON_FIBER(large, NULL)
ON_FIBER(limit, &(struct engine_config){.memory_bytes_max = (16 << 20) + 65536})

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),     cmocka_unit_test(test_from_context), cmocka_unit_test(test_from_table),
        cmocka_unit_test(test_from_frame),  cmocka_unit_test(test_from_c_frame), cmocka_unit_test(test_from_register),
        cmocka_unit_test(test_from_object), cmocka_unit_test(test_no_forgery),   cmocka_unit_test(test_long_list),
        cmocka_unit_test(test_wide),        cmocka_unit_test(test_cycles),       cmocka_unit_test(test_fragmentation),
        cmocka_unit_test(test_zeroed),      cmocka_unit_test(test_large),        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_other_fiber), cmocka_unit_test(test_slices),       cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
