/* account: what is charged, to whom, until when; that a big request's pages go back a piece at a time; that little is kept. */
#include "engine/engine_int.h"
#include "engine/testguest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <cmocka.h>

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

/* Until it is done, no longer: what is being cleaned may stay so. */
static uint64_t guest(struct engine_instance *in, enum testguest_func f, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                      uint64_t e) {
    struct task t = {.in = in, .f = testguest_func(engine_instance_image(in), 0, f), .args = {a, b, c, d, e}};
    assert_non_null(engine_spawn(in, run_task, &t));
    while (!t.done) engine_run(in->engine, 1'000'000);
    assert_int_equal(t.trap, ABI_TRAP_NONE);
    return t.args[0];
}
static uint64_t grow(struct engine_instance *in, uint64_t pages) {
    return guest(in, GUEST_rt, ABI_RT_MEMORY_GROW, 0, 0, pages, 0);
}
static uint64_t grow_table(struct engine_instance *in, uint64_t n) { return guest(in, GUEST_rt, ABI_RT_TABLE_GROW, 0, 0, 0, n); }
static void fill(struct engine_instance *in, uint64_t pages) { guest(in, GUEST_fill, 0, pages, 0, 0, 0); }

static struct engine_image *load(struct engine *e, const struct testguest *g) {
    return engine_image_load(engine_share_own(e), testguest_image(g));
}

static const struct testguest small = {.memory_bytes = 1 << 20, .memory_bytes_max = 1 * GiB, .table_count = 10};

static struct engine_share *share_of(struct engine *e, uint64_t bytes_max) {
    return engine_share_new(e, &(struct engine_share_config){.account_bytes_max = bytes_max, .memory_bytes_max = 12 << 20});
}

/* Instances, stacks and growth come out of the share's account and the engine's; what is refused says whose limit it was. */
static void test_budget(void **state) {
    struct engine *e = engine_new(&(struct engine_config){.verify = true, .account_bytes_max = 32 << 20});
    struct engine_share *app = share_of(e, 14 << 20), *second = share_of(e, 0);
    struct engine_image *image = engine_image_load(app, testguest_image(&small));
    struct engine_image *other = engine_image_load(second, testguest_image(&small));
    uint64_t images = engine_share_use(app).bytes, others = engine_share_use(second).bytes;
    assert_true(images == engine_image_bytes(image) && others == engine_image_bytes(other));
    struct engine_instance *in[16];
    uint32_t n = 0;
    while (n < 16 && (in[n] = engine_acquire(image, NULL))) n++;
    assert_int_equal(n, ((14 << 20) - images) >> 20);
    assert_int_equal(engine_last_refusal(e)->what, ENGINE_REFUSED_ACCOUNT);
    assert_ptr_equal(engine_last_refusal(e)->share, app);
    assert_true(engine_share_use(app).bytes <= 14 << 20);
    assert_int_equal(engine_share_use(app).slots, n);
    while (n > 4) engine_release(in[--n]);
    assert_int_equal(grow(in[0], 16), 16);
    assert_int_equal(engine_share_use(app).bytes, images + (5 << 20));
    assert_int_equal(grow(in[0], 16 * 13), UINT64_MAX); /* over memory_bytes_max */
    assert_int_equal(grow(in[0], 16 * 8), UINT64_MAX);  /* over the share's */
    assert_ptr_equal(engine_last_refusal(e)->share, app);
    struct engine_instance *x[32];
    uint32_t k = 0;
    while (k < 32 && (x[k] = engine_acquire(other, NULL))) k++; /* what is kept of the others' is given up for it */
    assert_null(engine_last_refusal(e)->share);
    assert_true(engine_last_refusal(e)->leaves);
    assert_true(engine_bytes(e) <= 32 << 20 && k >= 16);
    assert_non_null(in[n] = engine_acquire(image, NULL)); /* and yet there is something left for them */
    n++;
    while (k) engine_release(x[--k]);
    while (n) engine_release(in[--n]);
    assert_int_equal(engine_share_use(app).bytes, images);
    while (engine_give_up(e)) {}
    assert_int_equal(engine_bytes(e), images + others);
    engine_image_unload(image);
    engine_image_unload(other);
    engine_share_free(app);
    engine_share_free(second);
    engine_free(e);
}

/* An image that its share has no room for is not loaded. */
static void test_image(void **state) {
    struct engine *e = engine_new(NULL);
    struct engine_share *s = share_of(e, 4096);
    assert_null(engine_image_load(s, testguest_image(&small)));
    assert_ptr_equal(engine_last_refusal(e)->share, s);
    assert_int_equal(engine_last_refusal(e)->max, 4096);
    assert_int_equal(engine_bytes(e), 0);
    engine_share_free(s);
    engine_free(e);
}

static void test_stacks(void **state) {
    struct engine *e = engine_new(&(struct engine_config){.account_bytes_max = 10 << 20});
    struct engine_image *image = load(e, &(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 65536});
    struct engine_instance *in = engine_acquire(image, NULL);
    struct task t[8];
    uint32_t n = 0;
    for (; n < 8; n++) {
        t[n] = (struct task){.in = in, .f = testguest_func(image, 0, GUEST_nothing)};
        if (!engine_spawn(in, run_task, &t[n])) break;
    }
    const uint64_t image_bytes = engine_image_bytes(image);
    assert_int_equal(n, ((10 << 20) - 65536 - image_bytes) / ENGINE_STACK_BYTES);
    assert_int_equal(engine_last_refusal(e)->what, ENGINE_REFUSED_ACCOUNT);
    while (engine_run(e, UINT64_MAX)) {}
    assert_int_equal(engine_bytes(e), image_bytes + 65536 + n * ENGINE_STACK_BYTES); /* they keep their memory */
    assert_int_equal(grow(in, 0), 1);
    engine_release(in);
    while (engine_fibers_idle(e, clock_mono_ns())) {}
    while (engine_fibers_idle(e, clock_mono_ns() + 60'000'000'000)) {}
    while (engine_give_up(e)) {}
    assert_int_equal(engine_bytes(e), image_bytes);
    engine_free(e);
}

/* A table that the module declares is paid like one that it grows. */
static void test_tables(void **state) {
    enum { TABLE = 1 << 20 }; /* elements: 8 MiB */
    const struct testguest g = {
        .memory_bytes = 65536, .memory_bytes_max = 65536, .table_count = TABLE, .context_bytes = 8 * TABLE + 65536};
    struct engine *e = engine_new(&(struct engine_config){.verify = true, .memory_bytes_max = 4 << 20});
    struct engine_image *image = load(e, &g);
    assert_null(engine_acquire(image, NULL));
    assert_int_equal(engine_last_refusal(e)->what, ENGINE_REFUSED_INSTANCE);
    assert_int_equal(engine_last_refusal(e)->bytes, g.context_bytes + 65536);
    engine_free(e);

    e = engine_new(&(struct engine_config){.verify = true, .memory_bytes_max = 48 << 20});
    image = load(e, &g);
    struct engine_instance *in = engine_acquire(image, NULL);
    assert_int_equal(grow_table(in, TABLE), TABLE);
    assert_int_equal(in->memory_used, 65536 + g.context_bytes + 16 * TABLE);
    assert_int_equal(grow_table(in, 4 * TABLE), UINT64_MAX);
    assert_int_equal(grow_table(in, TABLE), 2 * TABLE); /* grows where it is, or moves without a copy */
    assert_non_null(in->grown);
    assert_true(in->grown->mapped && !in->grown->next);
    const struct abi_func *f = &engine_image_abi(image)->funcs[3 % GUEST_COUNT];
    assert_ptr_equal((void *)(uintptr_t)engine_table_get(in, 0, 0, 3), f);
    assert_int_equal(engine_table_get(in, 0, 0, 3 * TABLE - 1), 0);
    engine_release(in);
    uint32_t pieces = 0;
    while (engine_run(e, 1)) pieces++;
    assert_in_range(pieces, 3 * 8 * TABLE / ABI_PAGE / ENGINE_CLEAN_PIECE - 1, 3 * 8 * TABLE / ABI_PAGE / ENGINE_CLEAN_PIECE + 4);
    engine_free(e);
}

static uint64_t resident(const uint8_t *from, uint64_t n) {
    unsigned char *seen = malloc(n / ABI_PAGE);
    uint64_t pages = 0;
    assert_non_null(seen);
    assert_int_equal(mincore((void *)(uintptr_t)from, n, seen), 0);
    for (uint64_t i = 0; i < n / ABI_PAGE; i++) pages += seen[i] & 1;
    free(seen);
    return pages;
}

/* 64 MiB written: no step touches more than a piece, others run between them, little stays, and it is charged until it is gone. */
static void pieces_with(enum engine_reset how) {
    enum { MEMORY = 64 << 20 };
    struct engine *e = engine_new(&(struct engine_config){.verify = true, .reset = how});
    struct engine_image *image = load(e, &small);
    struct engine_instance *in = engine_acquire(image, NULL), *other = engine_acquire(image, NULL);
    uint8_t *memory = engine_memory(in, 0, 0).p;
    assert_int_equal(grow(in, MEMORY / ABI_WASM_PAGE - 16), 16);
    fill(in, MEMORY / ABI_PAGE);
    uint64_t charged = engine_bytes(e), before = resident(memory, MEMORY);
    assert_int_equal(before, MEMORY / ABI_PAGE);
    engine_release(in);
    assert_true(engine_holds(e));
    uint32_t pieces = 1;
    while (e->cleaning) {
        uint64_t now = resident(memory, MEMORY);
        assert_true(before - now <= ENGINE_CLEAN_PIECE);
        assert_int_equal(engine_bytes(e), charged);
        before = now;
        struct task t = {.in = other, .f = testguest_func(image, 0, GUEST_nothing)};
        assert_non_null(engine_spawn(other, run_task, &t));
        engine_run(e, UINT64_MAX);
        assert_true(t.done);
        pieces++;
    }
    assert_true(pieces >= MEMORY / ABI_PAGE / ENGINE_CLEAN_PIECE);
    assert_true(resident(memory, MEMORY) <= ENGINE_DIRTY_MAX);
    assert_true(in->kept_bytes <= ENGINE_DIRTY_MAX * ABI_PAGE);
    struct engine_instance *again = engine_acquire(image, NULL);
    assert_ptr_equal(again, in);
    assert_int_equal(engine_memory(again, 0, 0).n, small.memory_bytes);
    engine_release(again);
    assert_true(engine_slots_give_up(e));
    assert_int_equal(resident(memory + small.memory_bytes, MEMORY - small.memory_bytes), 0); /* where it had grown, too */
    engine_release(other);
    engine_free(e);
}
static void test_pieces(void **state) {
    pieces_with(ENGINE_RESET_SCAN);
    pieces_with(ENGINE_RESET_PAGEMAP);
    pieces_with(ENGINE_RESET_MADVISE);
}

/* An image may go while its slots are being cleaned. */
static void test_unload(void **state) {
    struct engine *e = engine_new(NULL);
    struct engine_image *image = load(e, &small), *other = load(e, &small);
    struct engine_instance *in[4];
    for (uint32_t i = 0; i < 4; i++) {
        in[i] = engine_acquire(i % 2 ? image : other, NULL);
        grow(in[i], 512);
        fill(in[i], 32 << 20 >> 12);
    }
    for (uint32_t i = 0; i < 4; i++) engine_release(in[i]);
    assert_true(e->cleaning);
    engine_image_unload(image);
    while (engine_run(e, 1)) {}
    assert_false(engine_holds(e));
    assert_int_equal(other->free_count, 2);
    while (engine_give_up(e)) {}
    assert_int_equal(engine_bytes(e), engine_image_bytes(other));
    engine_free(e);
}

/* Many slots that each keep a few MiB keep no more than kept_max together; those used last stay warm. */
static void test_kept(void **state) {
    enum { SLOTS = 40, EACH = 8 << 20 };
    struct engine *e = engine_new(&(struct engine_config){.account_bytes_max = 512 << 20});
    struct engine_image *image = load(e, &(struct testguest){.memory_bytes = EACH, .memory_bytes_max = EACH});
    struct engine_instance *in[SLOTS];
    for (uint32_t i = 0; i < SLOTS; i++) {
        assert_non_null(in[i] = engine_acquire(image, NULL));
        fill(in[i], EACH / ABI_PAGE);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        engine_release(in[i]);
        while (e->cleaning) engine_clean_piece(e);
        assert_true(e->kept_bytes <= e->kept_max);
    }
    assert_int_equal(e->kept_max, (512 << 20) / 8);
    if (e->reset != ENGINE_RESET_MADVISE) {
        assert_true(e->kept_bytes > e->kept_max - EACH);
        assert_int_equal(in[0]->kept_bytes, 0);
        assert_int_equal(in[SLOTS - 1]->kept_bytes, EACH);
    }
    while (engine_slots_give_up(e)) {}
    assert_int_equal(e->kept_bytes, 0);
    engine_free(e);
}

/* Growth waits for what others have left and is still being cleaned, rather than be refused. */
static void test_growth_waits(void **state) {
    struct engine *e = engine_new(&(struct engine_config){.account_bytes_max = 48 << 20});
    struct engine_image *image =
        load(e, &(struct testguest){.memory_bytes = 1 << 20, .memory_bytes_max = 1 * GiB, .table_count = 10});
    struct engine_instance *big = engine_acquire(image, NULL), *next = engine_acquire(image, NULL);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(grow(big, 512), 16);
        fill(big, (33 << 20) / ABI_PAGE);
        assert_int_equal(i ? grow_table(next, 3 << 20) : grow(next, 512), UINT64_MAX);
        engine_release(big);
        assert_true(e->cleaning);
        if (i) assert_int_equal(grow_table(next, 3 << 20), 10);
        else assert_int_equal(grow(next, 512), 16);
        engine_release(next);
        while (engine_run(e, 1)) {}
        big = engine_acquire(image, NULL);
        next = engine_acquire(image, NULL);
    }
    engine_release(big);
    engine_release(next);
    engine_free(e);
}

/* Mappings run out long before the system's do; free slots make way. */
static void test_mappings(void **state) {
    struct engine *e = engine_new(NULL);
    struct engine_image *image = load(e, &(struct testguest){.groups = 100, .memory_bytes = 65536, .memory_bytes_max = 65536});
    e->mappings.max = 1300; /* three of these */
    struct engine_instance *in[3];
    for (uint32_t i = 0; i < 3; i++) assert_non_null(in[i] = engine_acquire(image, NULL));
    assert_null(engine_acquire(image, NULL));
    assert_int_equal(engine_last_refusal(e)->what, ENGINE_REFUSED_SYSTEM);
    assert_int_equal(engine_last_refusal(e)->max, 1300);
    for (uint32_t i = 0; i < 3; i++) engine_release(in[i]);
    struct engine_image *other = load(e, &(struct testguest){.groups = 200, .memory_bytes = 65536, .memory_bytes_max = 65536});
    assert_non_null(in[0] = engine_acquire(other, NULL));
    assert_int_equal(image->free_count, 1);
    engine_release(in[0]);
    engine_image_unload(image);
    engine_image_unload(other);
    assert_int_equal(e->mappings.used, 0);
    engine_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_image),  cmocka_unit_test(test_budget),   cmocka_unit_test(test_stacks),
        cmocka_unit_test(test_tables), cmocka_unit_test(test_pieces),   cmocka_unit_test(test_unload),
        cmocka_unit_test(test_kept),   cmocka_unit_test(test_mappings), cmocka_unit_test(test_growth_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
