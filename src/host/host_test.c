/* A component compiled, loaded and called end to end: its imports are the typed functions below, its exports
 * are called through generated bindings. The guest is testdata/guest.wat. `host_test --bench GUEST` prints
 * what a call costs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host_test_wit.h"
#include "link/link.h"

/* ---- the host's side -------------------------------------------------------------------------- */

struct acme_test_counters_counter {
    uint32_t n;
};
static uint32_t alive, paused_fiber_resumes;
static struct engine *engine;
static struct engine_fiber *paused;

static struct acme_test_counters_counter *counter_new(uint32_t n) {
    struct acme_test_counters_counter *c = calloc(1, sizeof *c);
    c->n = n;
    alive++;
    return c;
}

enum abi_trap acme_test_counters_counter_new(struct host_call *call, uint32_t start, struct acme_test_counters_counter **result) {
    *result = counter_new(start);
    return ABI_TRAP_NONE;
}
void acme_test_counters_counter_drop(struct host_instance *in, struct acme_test_counters_counter *self) {
    alive--;
    free(self);
}
enum abi_trap acme_test_counters_counter_next(struct host_call *call, struct acme_test_counters_counter *self, uint32_t *result) {
    *result = self->n++;
    return ABI_TRAP_NONE;
}
enum abi_trap acme_test_counters_counter_merge(struct host_call *call, struct acme_test_counters_counter *a,
                                               struct acme_test_counters_counter *b, struct acme_test_counters_counter **result) {
    a->n += b->n;
    acme_test_counters_counter_drop(call->instance, b);
    *result = a;
    return ABI_TRAP_NONE;
}
enum abi_trap acme_test_counters_add(struct host_call *call, uint32_t a, uint32_t b, uint32_t *result) {
    *result = a + b;
    return ABI_TRAP_NONE;
}
enum abi_trap acme_test_counters_shout(struct host_call *call, str name, str *result) {
    uint8_t *p = host_alloc(call, name.n + 1, 1);
    if (!p) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too loud");
    for (size_t i = 0; i < name.n; i++) p[i] = name.p[i] >= 'a' && name.p[i] <= 'z' ? name.p[i] - 32 : name.p[i];
    p[name.n] = '!';
    *result = (str){p, name.n + 1};
    return ABI_TRAP_NONE;
}
enum abi_trap acme_test_counters_length(struct host_call *call, str name, uint32_t *result) {
    *result = (uint32_t)name.n;
    return ABI_TRAP_NONE;
}
enum abi_trap acme_test_counters_read(struct host_call *call, struct acme_test_counters_counter *which, str name,
                                      struct host_test_wit_result_test_counters_reading_test_counters_problem *result) {
    static uint16_t values[] = {1, 2, 3, 40000};
    if (str_eqc(name, "gone")) {
        result->is_err = true;
        result->err.tag = ACME_TEST_COUNTERS_PROBLEM_GONE;
    } else if (str_eqc(name, "bad")) {
        result->is_err = true;
        result->err = (struct acme_test_counters_problem){ACME_TEST_COUNTERS_PROBLEM_BAD_NAME, {.bad_name = name}};
    } else if (str_eqc(name, "code")) {
        result->is_err = true;
        result->err = (struct acme_test_counters_problem){ACME_TEST_COUNTERS_PROBLEM_CODE, {.code = -5}};
    } else {
        result->ok = (struct acme_test_counters_reading){.name = name, .at = which->n, .values = {values, 4}};
    }
    return ABI_TRAP_NONE;
}
enum abi_trap acme_test_counters_pause(struct host_call *call) {
    paused = engine_fiber_current(engine);
    if (!engine_park(engine)) return ABI_TRAP_INTERRUPTED;
    paused_fiber_resumes++;
    return ABI_TRAP_NONE;
}
enum abi_trap acme_test_counters_fail(struct host_call *call, str why) {
    return host_trap(call, ABI_TRAP_HOST, "failed for " STR_FMT, STR_ARG(why));
}
enum abi_trap acme_test_counters_many(struct host_call *call, str a, str b, str c, str d, str e, str f, str g, str h, uint64_t i,
                                      uint64_t *result) {
    *result = a.n + b.n + c.n + d.n + e.n + f.n + g.n + h.n + i;
    return ABI_TRAP_NONE;
}

/* ---- running ---------------------------------------------------------------------------------- */

static const struct host_interface *const interfaces[] = {&acme_test_counters_interface};
static const struct host_offer offer = {.interfaces = interfaces, .interfaces_count = 1};
static const char *guest_path;

static str guest_bytes(void) {
    static uint8_t bytes[1 << 16];
    FILE *f = fopen(guest_path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    return (str){bytes, n};
}

static err load(const struct host_offer *o, const struct host_limits *limits, struct host_component **c, struct diag *d) {
    const struct link_options options = {};
    struct link_stats stats;
    struct abi_image im;
    int fd;
    TRY(link_file_memfd(guest_bytes(), &options, &fd, &stats, d));
    TRY(abi_image_open(fd, NULL, &im, d));
    return host_component_load(engine_share_own(engine), im, o, limits, c, d);
}

static struct host_component *load_guest(const struct host_limits *limits) {
    struct host_component *c;
    struct diag d = DIAG_INIT;
    if (load(&offer, limits, &c, &d)) fail_msg("%s", d.text);
    return c;
}

struct job {
    struct host_instance *in;
    void (*fn)(struct job *j);
    const struct host_component *c;
    enum abi_trap trap;
    bool done;
};
static void run_fiber(void *arg) {
    struct job *j = arg;
    j->trap = host_instance_start(j->in);
    if (!j->trap) j->fn(j);
    j->done = true;
}
static void run_in(struct host_instance *in, struct job *j) {
    j->in = in;
    j->c = host_instance_component(in);
    assert_non_null(engine_spawn(host_instance_engine(in), run_fiber, j));
    while (!j->done || engine_instance_fibers(host_instance_engine(in))) engine_run(engine, 1'000'000);
}
/* In a fresh instance; gives the trap. */
static enum abi_trap run(struct host_component *c, void (*fn)(struct job *j), char *text, size_t text_size) {
    struct host_instance *in = host_instance_acquire(c, NULL);
    assert_non_null(in);
    struct job j = {.fn = fn};
    run_in(in, &j);
    const struct engine_trap_record *r = engine_last_trap(host_instance_engine(in));
    if (text) snprintf(text, text_size, "%s", !j.trap ? "" : r->text[0] ? r->text : abi_trap_text(r->trap));
    assert_int_equal(host_instance_dead(in), j.trap != ABI_TRAP_NONE);
    host_instance_release(in);
    return j.trap;
}
static const struct host_export *find(struct job *j, const struct host_export_desc *desc) {
    struct diag d = DIAG_INIT;
    const struct host_export *ex = host_component_export(j->c, desc, &d);
    if (!ex) fail_msg("%s: %s", desc->func.name, d.text);
    return ex;
}

/* ---- tests ------------------------------------------------------------------------------------ */

static void call_values(struct job *j) {
    struct host_call call;
    uint32_t n = 0;
    uint64_t big = 0;
    str s;
    host_call_begin(&call, j->in);
    assert_int_equal(acme_test_runner_call_add(&call, find(j, &acme_test_runner_add_export), 40, 2, &n), ABI_TRAP_NONE);
    assert_int_equal(n, 42);
    assert_int_equal(acme_test_runner_call_shout(&call, find(j, &acme_test_runner_shout_export), STR("hé there"), &s),
                     ABI_TRAP_NONE);
    assert_true(str_eqc(s, "Hé THERE!")); /* and not what post-return made of it */
    assert_int_equal(acme_test_runner_call_many(&call, find(j, &acme_test_runner_many_export), &big), ABI_TRAP_NONE);
    assert_int_equal(big, 1000000000000 + 28);
    const struct host_export *read = find(j, &acme_test_runner_read_export);
    assert_int_equal(acme_test_runner_call_read(&call, read, STR("four"), &n), ABI_TRAP_NONE);
    assert_int_equal(n, 4 + 7 + 40006);
    assert_int_equal(acme_test_runner_call_read(&call, read, STR("gone"), &n), ABI_TRAP_NONE);
    assert_int_equal(n, 1000);
    assert_int_equal(acme_test_runner_call_read(&call, read, STR("bad"), &n), ABI_TRAP_NONE);
    assert_int_equal(n, 1003);
    assert_int_equal(acme_test_runner_call_read(&call, read, STR("code"), &n), ABI_TRAP_NONE);
    assert_int_equal((int32_t)n, -5);
    host_call_end(&call);
}
static void test_values(void **s) {
    struct host_component *c = load_guest(NULL);
    for (int i = 0; i < 3; i++) assert_int_equal(run(c, call_values, NULL, 0), ABI_TRAP_NONE);
    assert_int_equal(alive, 0);
    host_component_unload(c);
}

static void call_resources(struct job *j) {
    struct host_call call;
    struct acme_test_counters_counter *given, *lent = counter_new(50);
    uint32_t n;
    host_call_begin(&call, j->in);
    assert_int_equal(acme_test_runner_call_take(&call, find(j, &acme_test_runner_take_export), counter_new(3), &n),
                     ABI_TRAP_NONE);
    assert_int_equal(n, 1003);
    assert_int_equal(alive, 1); /* the guest merged, used and dropped the others */
    assert_int_equal(acme_test_runner_call_give(&call, find(j, &acme_test_runner_give_export), &given), ABI_TRAP_NONE);
    assert_int_equal(given->n, 5);
    acme_test_counters_counter_drop(j->in, given);
    assert_int_equal(acme_test_runner_call_peek(&call, find(j, &acme_test_runner_peek_export), lent, false, &n), ABI_TRAP_NONE);
    assert_int_equal(n, 50);
    assert_int_equal(lent->n, 51);
    acme_test_counters_counter_drop(j->in, lent);
    assert_int_equal(alive, 0);
    assert_int_equal(acme_test_runner_call_make(&call, find(j, &acme_test_runner_make_export), 9), ABI_TRAP_NONE);
    assert_int_equal(alive, 4); /* left for the release */
    host_call_end(&call);
}
static void test_resources(void **s) {
    struct host_component *c = load_guest(NULL);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(c, call_resources, NULL, 0), ABI_TRAP_NONE);
        assert_int_equal(alive, 0);
    }
    host_component_unload(c);
}

static struct acme_test_counters_counter *kept;
static void call_keep_borrow(struct job *j) {
    struct host_call call;
    uint32_t n;
    kept = counter_new(1);
    host_call_begin(&call, j->in);
    j->trap = acme_test_runner_call_peek(&call, find(j, &acme_test_runner_peek_export), kept, true, &n);
    host_call_end(&call);
}
static void call_forge(struct job *j) {
    struct host_call call;
    uint32_t n;
    host_call_begin(&call, j->in);
    j->trap = acme_test_runner_call_forge(&call, find(j, &acme_test_runner_forge_export), 12345, &n);
    host_call_end(&call);
}
static void call_boom(struct job *j) {
    struct host_call call;
    uint32_t n;
    host_call_begin(&call, j->in);
    j->trap = acme_test_runner_call_boom(&call, find(j, &acme_test_runner_boom_export));
    assert_int_equal(j->trap, ABI_TRAP_UNREACHABLE);
    /* dead: nothing runs any more, and an own given to it is dropped */
    assert_int_equal(acme_test_runner_call_take(&call, find(j, &acme_test_runner_take_export), counter_new(3), &n),
                     ABI_TRAP_CANNOT_ENTER);
    assert_int_equal(alive, 0);
    host_call_end(&call);
}
static void call_fail(struct job *j) {
    struct host_call call;
    host_call_begin(&call, j->in);
    j->trap = acme_test_runner_call_fail(&call, find(j, &acme_test_runner_fail_export));
    host_call_end(&call);
}
static void test_traps(void **s) {
    struct host_component *c = load_guest(NULL);
    char text[256];
    assert_int_equal(run(c, call_keep_borrow, text, sizeof text), ABI_TRAP_HOST);
    assert_string_equal(text, "borrow handles still remain at the end of the call");
    assert_int_equal(alive, 1); /* a borrow is not the guest's to drop, not even when it dies */
    acme_test_counters_counter_drop(NULL, kept);
    assert_int_equal(run(c, call_forge, text, sizeof text), ABI_TRAP_HOST);
    assert_string_equal(text, "unknown handle index 12345");
    assert_int_not_equal(run(c, call_boom, text, sizeof text), ABI_TRAP_NONE);
    assert_int_equal(run(c, call_fail, text, sizeof text), ABI_TRAP_HOST);
    assert_string_equal(text, "failed for no reason");
    assert_int_equal(run(c, call_values, NULL, 0), ABI_TRAP_NONE); /* the next instance is none the worse */
    host_component_unload(c);
}

static void call_make_many(struct job *j) {
    struct host_call call;
    host_call_begin(&call, j->in);
    j->trap = acme_test_runner_call_make(&call, find(j, &acme_test_runner_make_export), 1000);
    host_call_end(&call);
}
static void test_limits(void **s) {
    struct host_component *c = load_guest(&(struct host_limits){.handles_max = 100, .host_bytes_max = 1000});
    char text[256];
    assert_int_equal(run(c, call_make_many, text, sizeof text), ABI_TRAP_HOST);
    assert_non_null(strstr(text, "the handle table is full"));
    assert_int_equal(alive, 0);
    struct host_instance *in = host_instance_acquire(c, &alive);
    assert_ptr_equal(host_instance_user(in), &alive);
    assert_true(host_charge(in, 600));
    assert_false(host_charge(in, 600));
    assert_false(host_charge(in, UINT64_MAX));
    assert_true(host_charge(in, 400));
    host_uncharge(in, 1000);
    host_instance_release(in);
    host_component_unload(c);
}

static void call_wait(struct job *j) {
    struct host_call call;
    host_call_begin(&call, j->in);
    j->trap = acme_test_runner_call_wait(&call, find(j, &acme_test_runner_wait_export));
    host_call_end(&call);
}
/* A host function that waits parks its guest; another instance runs meanwhile; a killed one unwinds. */
static void test_parking(void **s) {
    struct host_component *c = load_guest(NULL);
    for (int kill = 0; kill < 2; kill++) {
        struct host_instance *in = host_instance_acquire(c, NULL);
        struct job j = {.in = in, .c = c, .fn = call_wait};
        assert_non_null(engine_spawn(host_instance_engine(in), run_fiber, &j));
        while (!paused) engine_run(engine, 10'000'000);
        assert_false(j.done);
        assert_int_equal(run(c, call_values, NULL, 0), ABI_TRAP_NONE);
        assert_int_equal(paused_fiber_resumes, 0);
        if (kill) engine_kill(host_instance_engine(in));
        else engine_ready(paused);
        paused = NULL;
        while (engine_instance_fibers(host_instance_engine(in))) engine_run(engine, 1'000'000);
        assert_true(j.done);
        assert_int_equal(j.trap, kill ? ABI_TRAP_INTERRUPTED : ABI_TRAP_NONE);
        assert_int_equal(paused_fiber_resumes, !kill);
        paused_fiber_resumes = 0;
        host_instance_release(in);
    }
    host_component_unload(c);
}

/* ---- offers ----------------------------------------------------------------------------------- */

static void check_missing(const struct host_interface *in, const char *const *want) {
    const struct host_interface *const list[] = {in};
    const struct host_offer o = {.interfaces = list, .interfaces_count = in ? 1 : 0};
    struct host_component *c;
    struct diag d = DIAG_INIT;
    assert_int_equal(load(&o, NULL, &c, &d), ERR_LINK);
    for (; *want; want++)
        if (!strstr(d.text, *want)) fail_msg("says: %s\nnot: %s", d.text, *want);
}
static void test_missing(void **s) {
    struct host_interface in = acme_test_counters_interface;
    check_missing(NULL,
                  (const char *[]){"imports what is not offered here", "acme:test/counters@1.1.0: no such interface", NULL});
    in.version = (struct host_version){2, 0, 0, NULL};
    check_missing(&in, (const char *[]){"acme:test/counters@1.1.0: not this version; acme:test/counters@2.0.0 is offered", NULL});
    in.version = (struct host_version){1, 9, 0, NULL};
    in.name = "acme:test/counter";
    check_missing(&in, (const char *[]){"no such interface; the nearest is acme:test/counter@1.9.0", NULL});
    in.name = "acme:test/counters";
    struct host_func funcs[16];
    memcpy(funcs, in.funcs, in.funcs_count * sizeof *funcs);
    in.funcs = funcs;
    for (uint32_t i = 0; i < in.funcs_count; i++) {
        if (!strcmp(funcs[i].name, "shout")) funcs[i].name = "shouts";
        if (!strcmp(funcs[i].name, "add")) funcs[i].result = &host_type_primitives[HOST_U64];
        if (!strcmp(funcs[i].name, "length")) funcs[i].params = NULL;
    }
    check_missing(&in, (const char *[]){"no function \"shout\"; the nearest is \"shouts\"",
                                        "\"add\" has another type than the one offered (u32 and u64)",
                                        "\"length\" has another type", NULL});
    in = acme_test_counters_interface;
    in.resources_count = 0;
    check_missing(&in, (const char *[]){"no resource \"counter\"", NULL});
}
static void test_names(void **s) {
    const struct host_interface v02 = {.name = "wasi:io/poll", .version = {0, 2, 12, NULL}},
                                v1 = {.name = "a:b/c", .version = {1, 2, 0, NULL}},
                                v001 = {.name = "a:b/c", .version = {0, 0, 3, NULL}}, none = {.name = "a:b/c"},
                                draft = {.name = "a:b/c", .version = {0, 2, 0, "draft2"}};
    assert_true(host_name_matches(STR("wasi:io/poll@0.2.0"), &v02));
    assert_true(host_name_matches(STR("wasi:io/poll@0.2.99"), &v02));
    assert_false(host_name_matches(STR("wasi:io/poll@0.3.0"), &v02));
    assert_false(host_name_matches(STR("wasi:io/poll@0.2.0-rc"), &v02));
    assert_false(host_name_matches(STR("wasi:io/poll"), &v02));
    assert_false(host_name_matches(STR("wasi:io/polls@0.2.0"), &v02));
    assert_true(host_name_matches(STR("a:b/c@1.9.9"), &v1));
    assert_false(host_name_matches(STR("a:b/c@2.0.0"), &v1));
    assert_true(host_name_matches(STR("a:b/c@0.0.3"), &v001));
    assert_false(host_name_matches(STR("a:b/c@0.0.4"), &v001));
    assert_true(host_name_matches(STR("a:b/c"), &none));
    assert_true(host_name_matches(STR("a:b/c@0.2.0-draft2"), &draft));
    assert_false(host_name_matches(STR("a:b/c@0.2.0-draft"), &draft));
    assert_false(host_name_matches(STR("a:b/c@0.2.0"), &draft));
}
static void test_exports(void **s) {
    struct host_component *c = load_guest(NULL);
    struct diag d = DIAG_INIT;
    struct host_export_desc desc = acme_test_runner_add_export;
    assert_non_null(host_component_export(c, &desc, &d));
    desc.func.name = "ad";
    assert_null(host_component_export(c, &desc, &d));
    assert_int_equal(d.text[0], 0);
    desc = acme_test_runner_add_export;
    desc.func.result = NULL;
    assert_null(host_component_export(c, &desc, &d));
    assert_non_null(strstr(d.text, "another type"));
    assert_null(host_component_export_named(c, STR("acme:test/runner@2.0.0"), STR("add")));
    host_component_unload(c);
}

/* ---- what a call costs ------------------------------------------------------------------------ */

static void bench(struct job *j) {
    enum { N = 5'000'000 };
    struct host_call call;
    uint32_t n;
    host_call_begin(&call, j->in);
    const struct host_export *add = find(j, &acme_test_runner_repeat_add_export),
                             *length = find(j, &acme_test_runner_repeat_length_export);
    for (int i = 0; i < 3; i++) {
        uint64_t t0 = clock_mono_ns();
        ENSURE(!acme_test_runner_call_repeat_add(&call, add, N, &n));
        uint64_t t1 = clock_mono_ns();
        ENSURE(!acme_test_runner_call_repeat_length(&call, length, N, &n));
        uint64_t t2 = clock_mono_ns();
        printf("host call, two scalars: %.1f ns; one string: %.1f ns\n", (double)(t1 - t0) / N, (double)(t2 - t1) / N);
    }
    const struct host_export *one = find(j, &acme_test_runner_add_export);
    uint64_t t0 = clock_mono_ns();
    for (int i = 0; i < N; i++) ENSURE(!acme_test_runner_call_add(&call, one, 1, 2, &n));
    printf("export called that calls the host: %.1f ns\n", (double)(clock_mono_ns() - t0) / N);
    host_call_end(&call);
}

int main(int argc, char **argv) {
    bool benching = argc > 2 && !strcmp(argv[1], "--bench");
    guest_path = argv[argc - 1];
    const struct engine_config config = {.verify = !benching};
    engine = engine_new(&config);
    if (benching) {
        struct host_component *c = load_guest(NULL);
        run(c, bench, NULL, 0);
        host_component_unload(c);
        engine_free(engine);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values), cmocka_unit_test(test_resources), cmocka_unit_test(test_traps),
        cmocka_unit_test(test_limits), cmocka_unit_test(test_parking),   cmocka_unit_test(test_missing),
        cmocka_unit_test(test_names),  cmocka_unit_test(test_exports),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    engine_free(engine);
    return failed;
}
