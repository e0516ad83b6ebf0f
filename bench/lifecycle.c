/* lifecycle: what an instance costs, from acquire to reset, and what crossing between host and guest costs.
 * Prints one line a measurement: name, p50 and p99 in microseconds; with a number after the bar where there
 * is one (DESIGN, "Where we must be").
 *
 *   lifecycle_bench [rounds [name]]     (default 20000, all; pin it to a core: taskset -c 1 lifecycle_bench)
 */
#include "engine/testguest.h"
#include <stdio.h>
#include <x86intrin.h>

enum { ROUNDS_MAX = 1'000'000 };
static uint32_t rounds = 20'000;
static const char *only = ""; /* measurements whose name begins so */
static double ticks_per_us;
static uint64_t samples[4][ROUNDS_MAX];

static uint64_t ticks(void) {
    _mm_lfence();
    uint64_t t = __rdtsc();
    _mm_lfence();
    return t;
}

static void calibrate(void) {
    uint64_t ns = clock_mono_ns(), t = ticks();
    while (clock_mono_ns() - ns < 50'000'000) {}
    ticks_per_us = (double)(ticks() - t) / ((double)(clock_mono_ns() - ns) / 1000);
}

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, uint64_t *v, uint32_t n, double per, const char *bar) {
    qsort(v, n, sizeof *v, compare);
    printf("%-62s p50 %9.3f  p99 %9.3f us  %s\n", name, (double)v[n / 2] / ticks_per_us / per,
           (double)v[(uint64_t)n * 99 / 100] / ticks_per_us / per, bar);
}

static bool wanted(const char *name) { return str_starts(str_c(name), str_c(only)); }

struct task {
    struct engine_instance *in;
    const struct abi_func *f;
    uint64_t args[8];
};

static void run_task(void *arg) {
    struct task *t = arg;
    if (engine_call(t->in, t->f, t->args) != ABI_TRAP_NONE) abort();
}

/* acquire .. guest's first call has returned | guest's work | release, which resets */
static void cycle(struct engine *e, struct engine_image *image, uint64_t pages, uint32_t i) {
    struct task t = {.f = testguest_func(image, 0, pages ? GUEST_fill : GUEST_nothing), .args = {0, pages}};
    uint64_t a = ticks();
    t.in = engine_acquire(image, NULL);
    engine_spawn(t.in, run_task, &t);
    engine_run(e, UINT64_MAX);
    uint64_t b = ticks();
    engine_release(t.in);
    uint64_t c = ticks();
    samples[0][i] = b - a;
    samples[1][i] = c - b;
    samples[2][i] = c - a;
}

static struct engine *make(enum engine_reset reset) { return engine_new(&(struct engine_config){.reset = reset}); }

static void small(void) {
    struct engine *e = make(ENGINE_RESET_AUTO);
    struct engine_image *image = engine_image_load(
        engine_share_own(e),
        testguest_image(&(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 65536, .content_bytes = 5000}));
    for (uint32_t i = 0; i < 1000; i++) cycle(e, image, 0, 0);
    for (uint32_t i = 0; i < rounds; i++) cycle(e, image, 0, i);
    print("small guest: fresh instance, fiber, call", samples[0], rounds, 1, "bar p50 2, p99 10");
    print("small guest: release (64 KiB memory)", samples[1], rounds, 1, "");
    engine_free(e);
}

static void dirty(const char *name, enum engine_reset reset, uint64_t memory, uint64_t content, uint64_t pages, const char *bar) {
    char text[100];
    snprintf(text, sizeof text, "%s, %llu KiB, %llu dirty pages: whole cycle", name, (unsigned long long)memory >> 10,
             (unsigned long long)pages);
    if (!wanted(text)) return;
    struct engine *e = make(reset);
    struct engine_image *image =
        engine_image_load(engine_share_own(e), testguest_image(&(struct testguest){.memory_bytes = memory,
                                                                                   .memory_bytes_max = memory,
                                                                                   .content_bytes = content,
                                                                                   .context_bytes = 64 << 10,
                                                                                   .table_count = 4000}));
    uint32_t n = pages > 100 ? rounds / 10 : rounds;
    for (uint32_t i = 0; i < 200; i++) cycle(e, image, pages, 0);
    for (uint32_t i = 0; i < n; i++) cycle(e, image, pages, i);
    print(text, samples[2], n, 1, bar);
    engine_free(e);
}

/* Slots that are made on the request's path, when more are in use than ever before. */
static void new_slots(void) {
    enum { SLOTS = 500 };
    struct engine *e = make(ENGINE_RESET_AUTO);
    struct engine_image *image = engine_image_load(
        engine_share_own(e),
        testguest_image(&(struct testguest){
            .memory_bytes = 1 << 20, .memory_bytes_max = 1 << 20, .content_bytes = 1 << 19, .context_bytes = 16 << 10}));
    struct engine_instance *in[SLOTS];
    for (int i = 0; i < SLOTS; i++) {
        uint64_t a = ticks();
        in[i] = engine_acquire(image, NULL);
        samples[0][i] = ticks() - a;
    }
    print("acquire that makes a new slot", samples[0], SLOTS, 1, "");
    for (int i = 0; i < SLOTS; i++) engine_release(in[i]);
    engine_free(e);
}

/* ---- crossings ---- */

enum { PER = 100 };
static enum abi_trap host_nothing(struct engine_call *call, uint64_t *args) { return ABI_TRAP_NONE; }

struct crossing {
    struct engine *e;
    struct engine_instance *in;
    const struct abi_func *f;
    uint64_t args[8];
    void (*step)(struct crossing *c);
};
static void step_call(struct crossing *c) {
    uint64_t args[8];
    memcpy(args, c->args, sizeof args);
    if (engine_call(c->in, c->f, args) == ABI_TRAP_NONE) return;
}
static void step_yield(struct crossing *c) { engine_yield(c->e); }

static void run_crossing(void *arg) {
    struct crossing *c = arg;
    for (uint32_t i = 0; i < rounds / 10; i++) {
        uint64_t a = ticks();
        for (int k = 0; k < PER; k++) c->step(c);
        samples[0][i] = ticks() - a;
    }
}

static void crossing(const char *name, enum testguest_func f, uint64_t a, uint64_t b, void (*step)(struct crossing *c)) {
    if (!wanted(name)) return;
    struct engine *e = make(ENGINE_RESET_AUTO);
    struct engine_image *image = engine_image_load(
        engine_share_own(e), testguest_image(&(struct testguest){.memory_bytes = 65536, .memory_bytes_max = 65536, .hosts = 1}));
    engine_image_bind(image, 0, host_nothing, NULL);
    struct crossing c = {
        .e = e, .in = engine_acquire(image, NULL), .f = testguest_func(image, 0, f), .args = {a, b}, .step = step};
    engine_spawn(c.in, run_crossing, &c);
    while (engine_run(e, UINT64_MAX)) {}
    print(name, samples[0], rounds / 10, PER, "");
    engine_release(c.in);
    engine_free(e);
}

int main(int argc, char **argv) {
    uint64_t n;
    if (argc > 2) only = argv[2];
    if (argc > 1 && str_to_u64(str_c(argv[1]), &n) && n >= 1000 && n <= ROUNDS_MAX) rounds = (uint32_t)n;
    calibrate();
    if (wanted("small")) small();
    if (wanted("acquire")) new_slots();
    static const uint64_t pages[] = {2, 16, 64, 250};
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++)
        dirty("scan", ENGINE_RESET_SCAN, 1 << 20, 1 << 20, pages[i], pages[i] == 16 ? "bar p50 5" : "");
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) dirty("pagemap", ENGINE_RESET_PAGEMAP, 1 << 20, 1 << 20, pages[i], "");
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) dirty("madvise", ENGINE_RESET_MADVISE, 1 << 20, 1 << 20, pages[i], "");
    dirty("scan", ENGINE_RESET_SCAN, 16 << 20, 10 << 20, 121, "");
    dirty("scan", ENGINE_RESET_SCAN, 32 << 20, 20 << 20, 534, "");
    crossing("yield: to the loop and back", GUEST_nothing, 0, 0, step_yield);
    crossing("engine_call of an empty function", GUEST_nothing, 0, 0, step_call);
    crossing("the same that makes a host call", GUEST_host0, 0, 0, step_call);
    crossing("the same that makes a runtime call (memory.size)", GUEST_rt, ABI_RT_MEMORY_SIZE, 0, step_call);
    crossing("engine_call that traps by rt_trap, with backtrace", GUEST_unreachable, 0, 0, step_call);
    crossing("engine_call that traps by a fault", GUEST_load, 0xffffffff, 0, step_call);
    return 0;
}
