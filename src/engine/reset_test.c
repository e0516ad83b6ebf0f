/* reset: instances stay as fresh as their image while what is known of their written pages is used again, whoever writes and wherever.
 *
 * The engine compares each slot with its image after its reset, and aborts where they differ. What is played is by chance:
 * ORLO_TEST_SEED=N plays it again. */
#include "engine/engine_int.h"
#include "engine/testguest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

static const enum engine_reset resets[] = {ENGINE_RESET_SCAN, ENGINE_RESET_PAGEMAP, ENGINE_RESET_MADVISE};

static uint64_t dice;
static uint64_t roll(uint64_t n) {
    dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
    return dice % n;
}
static void throw_dice(void) {
    const char *seed = getenv("ORLO_TEST_SEED");
    dice = clock_mono_ns() | 1;
    if (seed) str_to_u64(str_c(seed), &dice);
    print_message("ORLO_TEST_SEED=%llu\n", (unsigned long long)dice);
}

/* ---- who writes ---- */

static struct abi_type bytes_type = {.bytes = 1, .comp = WASM_COMP_ARRAY, .element = WASM_I8};
static int random_file; /* of a page, none of it zero */

enum { STEPS = 16 };
struct step {
    uint64_t args[8];
    uint64_t heap_bytes; /* instead of a call */
};
struct play {
    struct engine_instance *in;
    const struct testguest *g;
    struct step steps[STEPS];
    unsigned count;
};

static void use_heap(struct engine_instance *in, uint64_t bytes) {
    enum { PIECE = 3000 };
    in->own_heap.abi.types = &bytes_type;
    in->own_heap.types_count = 1;
    for (uint64_t done = 0; done < bytes; done += PIECE) {
        enum abi_trap trap;
        struct abi_gc_object *o = engine_heap_new(in, abi_object_header(0, ABI_OBJECT_ARRAY), PIECE, PIECE, &trap);
        assert_non_null(o);
        memset(o->payload, 0xcc, PIECE);
    }
}

static void run_steps(void *arg) {
    struct play *p = arg;
    for (unsigned i = 0; i < p->count; i++) {
        if (p->steps[i].heap_bytes) use_heap(p->in, p->steps[i].heap_bytes);
        else (void)!engine_call(p->in, testguest_func(engine_instance_image(p->in), 0, GUEST_rt), p->steps[i].args);
    }
}

static void add_call(struct play *p, enum abi_rtcall op, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
    p->steps[p->count++] = (struct step){.args = {op, a, b, c, d, e}};
}

/* From the guest: growth of memories and tables, fills, the heap. */
static void plan(struct play *p) {
    const struct testguest *g = p->g;
    if (g->memory_bytes_max > g->memory_bytes && !roll(3)) add_call(p, ABI_RT_MEMORY_GROW, 0, 0, roll(2) ? 1 : roll(30), 0, 0);
    if (!roll(4)) add_call(p, ABI_RT_MEMORY_FILL, 0, 0, roll(g->memory_bytes), 0xee, roll(3 * ABI_PAGE));
    uint64_t record = (uintptr_t)testguest_func(engine_instance_image(p->in), 0, GUEST_nothing);
    if (g->table_count && !roll(3)) add_call(p, ABI_RT_TABLE_FILL, 0, 0, roll(g->table_count), record, 1 + roll(40));
    if (g->table_count && !roll(5)) add_call(p, ABI_RT_TABLE_GROW, 0, 0, record, roll(70'000), 0);
    if (g->near_bytes_max) {
        if (!roll(3)) add_call(p, ABI_RT_MEMORY_GROW, 0, 1, 1 + roll(3), 0, 0);
        if (!roll(2)) add_call(p, ABI_RT_MEMORY_FILL, 0, 1, roll(g->near_bytes), 0xdd, roll(2 * ABI_PAGE));
    }
    if (!roll(4)) p->steps[p->count++] = (struct step){.heap_bytes = 1 + roll(roll(2) ? 1000 : 600'000)};
}

static uint8_t *somewhere(struct engine_bytes m) {
    const uint64_t usual[] = {0, m.n / 3, m.n - ABI_PAGE}; /* data, heap, stack: far apart */
    return m.p + (roll(8) ? usual[roll(3)] : roll(m.n / ABI_PAGE) * ABI_PAGE) + roll(ABI_PAGE - 8);
}

/* From outside of it: host code, and the kernel on its behalf. */
static void write_from_outside(struct engine_instance *in) {
    struct engine_bytes m = engine_memory(in, 0, 0);
    for (uint64_t n = roll(4); n-- > 0;) memset(somewhere(m), 0xaa, 8);
    if (!roll(3)) assert_int_equal(pread(random_file, somewhere(m), 8, 0), 8);
}

static void use(struct engine_instance *in, const struct testguest *g) {
    struct play p = {.in = in, .g = g};
    plan(&p);
    if (p.count) assert_non_null(engine_spawn(in, run_steps, &p));
    while (engine_instance_fibers(in)) engine_run(engine_instance_engine(in), 1'000'000);
    write_from_outside(in);
}

/* ---- tests ---- */

enum { AT_ONCE = 4 };

/* A few that live at once and end one by one, or several together: then each may still be written until the last has ended. */
static void some(struct engine *e, struct engine_image *image, const struct testguest *g) {
    struct engine_instance *in[AT_ONCE];
    uint64_t n = 1 + roll(AT_ONCE), together = roll(2);
    for (uint64_t i = 0; i < n; i++) in[i] = engine_acquire(image, NULL);
    for (uint64_t i = 0; i < n; i++) use(in[i], g);
    if (together) engine_release_many(e);
    for (uint64_t i = 0; i < n; i++) {
        write_from_outside(in[i]);
        engine_release(in[i]);
    }
    if (together) engine_release_end(e);
    while (engine_run(e, 1'000'000)) {}
    if (!roll(50)) engine_idle(e);
}

static void by_chance(const struct testguest *g, unsigned rounds) {
    throw_dice();
    for (size_t r = 0; r < ARRAY_COUNT(resets); r++) {
        struct engine *e = engine_new(&(struct engine_config){.reset = resets[r], .verify = true});
        struct engine_image *image = engine_image_load(engine_share_own(e), testguest_image(g));
        for (unsigned i = 0; i < rounds; i++) some(e, image, g);
        print_message("%s: %llu resets recalled\n", r ? r == 1 ? "pagemap" : "madvise" : "scan", (unsigned long long)e->recalled);
        engine_free(e);
    }
}

static void test_small(void **state) {
    by_chance(&(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 4 << 20, .content_bytes = 100}, 300);
}
static void test_medium(void **state) {
    by_chance(&(struct testguest){.memory_bytes = 192 << 10,
                                  .memory_bytes_max = 2 << 20,
                                  .content_bytes = 9'001,
                                  .context_bytes = 64 << 10,
                                  .table_count = 5000,
                                  .near_bytes = 65536,
                                  .near_bytes_max = 1 << 20},
              300);
}
static void test_little_data_in_much(void **state) {
    by_chance(&(struct testguest){.memory_bytes = 6 << 20, .memory_bytes_max = 6 << 20, .content_bytes = 5'000}, 60);
}

static void steady(struct engine *e, struct engine_image *image) {
    struct engine_instance *in = engine_acquire(image, NULL);
    struct engine_bytes m = engine_memory(in, 0, 0);
    memset(m.p + 100, 1, 8);
    memset(m.p + m.n - 100, 1, 8);
    engine_release(in);
}

/* Where nothing else happens, nothing is looked for; after one more page it is. Without the comparison, whose own memory is news. */
static void test_recalls(void **state) {
    const struct testguest g = {.memory_bytes = 1 << 20, .memory_bytes_max = 1 << 20, .content_bytes = 70'000};
    for (size_t r = 0; r < ARRAY_COUNT(resets); r++) {
        struct engine *e = engine_new(&(struct engine_config){.reset = resets[r]});
        struct engine_image *image = engine_image_load(engine_share_own(e), testguest_image(&g));
        for (int i = 0; i < 50 && engine_resets_recalled(e) < 10; i++) steady(e, image);
        assert_true(engine_resets_recalled(e) >= 10 || !e->counts_faults);
        uint64_t before = engine_resets_recalled(e);
        struct engine_instance *in = engine_acquire(image, NULL);
        engine_memory(in, 0, 0).p[300'000] = 1;
        engine_release(in);
        assert_int_equal(engine_resets_recalled(e), before);
        in = engine_acquire(image, NULL);
        assert_int_equal(engine_memory(in, 0, 0).p[300'000], 0);
        engine_release(in);
        engine_free(e);
    }
}

static int open_file(void **state) {
    uint8_t page[ABI_PAGE];
    memset(page, 0x77, sizeof page);
    random_file = memfd_create("random", MFD_CLOEXEC);
    return write(random_file, page, sizeof page) == sizeof page ? 0 : -1;
}
static int close_file(void **state) { return close(random_file); }

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),
        cmocka_unit_test(test_medium),
        cmocka_unit_test(test_little_data_in_much),
        cmocka_unit_test(test_recalls),
    };
    return cmocka_run_group_tests(tests, open_file, close_file);
}
