/* Asynchronous imports, concurrent calls, streams: the host's side of them, against testdata/async.wasm (made from
 * async.wat). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "host/host_int.h"
#include "link/link.h"

static struct engine *engine;
static const char *guest_path;

/* ---- the host: timer.sleep(n) gives n when the test says so ----------------------------------- */

enum { TIMERS_MAX = 64 };
struct timer {
    struct host_pending *p;
    uint32_t n, *result;
    bool cancel_asked, gone;
};
static struct timer timers[TIMERS_MAX];
static uint32_t timers_count;
static struct host_invocation *caller; /* of the latest sleep */

static void timer_cancel(struct host_pending *p, void *arg) {
    struct timer *t = arg;
    t->cancel_asked = true;
    t->p = NULL;
    host_pending_cancelled(p);
}
static void timer_gone(struct host_pending *p, void *arg) {
    struct timer *t = arg;
    assert_ptr_equal(t->p, p);
    t->gone = true;
    t->p = NULL;
}
static const struct host_pending_ops timer_ops = {timer_cancel, timer_gone};

static enum abi_trap timer_sleep(struct host_call *call, void *args, void *result) {
    uint32_t n = *(uint32_t *)args;
    if (!n) { /* at once */
        *(uint32_t *)result = 7;
        return ABI_TRAP_NONE;
    }
    assert_true(timers_count < TIMERS_MAX);
    struct timer *t = &timers[timers_count++];
    caller = host_instance_current(call->instance);
    *t = (struct timer){.n = n, .result = result};
    t->p = host_pend(call, &timer_ops, t);
    return ABI_TRAP_NONE;
}

static void timer_fire(struct timer *t) {
    struct host_pending *p = t->p;
    t->p = NULL;
    *t->result = t->n;
    host_pending_done(p);
}

static const struct host_field sleep_fields[] = {{.name = "n", .type = &host_type_primitives[HOST_U32]}};
static const struct host_type sleep_params = {
    .kind = HOST_RECORD, .count = 1, .fields = sleep_fields, .host_size = 4, .host_align = 4};
static const struct host_func timer_funcs[] = {{"sleep", &sleep_params, &host_type_primitives[HOST_U32], timer_sleep, true}};
static const struct host_interface timer_interface = {.name = "acme:test/timer", .funcs = timer_funcs, .funcs_count = 1};
static const struct host_interface *const interfaces[] = {&timer_interface};
static const struct host_offer offer = {.interfaces = interfaces, .interfaces_count = 1};

/* ---- running ---------------------------------------------------------------------------------- */

static str guest_bytes(void) {
    static uint8_t bytes[1 << 16];
    FILE *f = fopen(guest_path, "rb");
    assert_non_null(f);
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    return (str){bytes, n};
}

static struct host_component *load(const struct host_limits *limits) {
    const struct link_options options = {};
    struct link_stats stats;
    struct abi_image im;
    struct host_component *c = NULL;
    struct diag d = DIAG_INIT;
    int fd;
    if (link_file_memfd(guest_bytes(), &options, &fd, &stats, &d) || abi_image_open(fd, NULL, &im, &d) ||
        host_component_load(engine_share_own(engine), im, &offer, limits, &c, &d))
        fail_msg("%s", d.text);
    timers_count = 0;
    return c;
}

static void start_fiber(void *arg) { assert_int_equal(host_instance_start(arg), ABI_TRAP_NONE); }

static void run_all(void) {
    while (engine_run(engine, 1'000'000)) {}
}

static struct host_instance *start(struct host_component *c) {
    struct host_instance *in = host_instance_acquire(c, NULL);
    assert_non_null(in);
    assert_non_null(engine_spawn(host_instance_engine(in), start_fiber, in));
    run_all();
    return in;
}

static void end(struct host_instance *in) {
    struct host_component *c = host_instance_component(in);
    host_instance_release(in);
    run_all();
    host_component_unload(c);
}

static const struct host_export *named(struct host_instance *in, const char *name) {
    const struct host_export *ex = host_component_export_named(host_instance_component(in), STR(""), str_c(name));
    if (!ex) fail_msg("no export %s", name);
    return ex;
}

struct later {
    struct host_invocation inv;
    uint32_t n, result;
    bool done, ended;
    char text[256];
};
static void later_done(struct host_invocation *inv, void *arg) {
    struct later *l = arg;
    l->done = true;
    if (inv->trap) snprintf(l->text, sizeof l->text, "%s", engine_last_trap(host_instance_engine(inv->call.instance))->text);
    host_invoke_end(inv);
}
static void invoke(struct host_instance *in, const char *name, struct later *l, uint32_t n) {
    const struct host_export *ex = named(in, name);
    *l = (struct later){.n = n};
    host_invoke(&l->inv, in, ex, host_export_params(ex) ? &l->n : NULL, &l->result, later_done, l);
}

/* ---- calls ------------------------------------------------------------------------------------ */

/* Many calls wait in one instance, none with a stack; they end in any order. */
static void test_concurrent(void **state) {
    (void)state;
    enum { CALLS = 20 };
    unsigned seed = getenv("SEED") ? (unsigned)atoi(getenv("SEED")) : (unsigned)(clock_mono_ns() & 0xffffff);
    print_message("SEED=%u\n", seed);
    struct host_instance *in = start(load(NULL));
    static struct later calls[CALLS];
    for (uint32_t i = 0; i < CALLS; i++) invoke(in, "later", &calls[i], 10 + i);
    run_all();
    assert_int_equal(timers_count, CALLS);
    assert_int_equal(host_instance_tasks(in), CALLS);
    assert_int_equal(engine_instance_fibers(host_instance_engine(in)), 0);
    for (uint32_t left = CALLS; left;) {
        uint32_t i = (uint32_t)rand_r(&seed) % CALLS;
        if (!timers[i].p) continue;
        timer_fire(&timers[i]);
        left--;
        if (rand_r(&seed) % 2) run_all();
    }
    run_all();
    for (uint32_t i = 0; i < CALLS; i++) {
        assert_true(calls[i].done);
        assert_int_equal(calls[i].inv.trap, ABI_TRAP_NONE);
        assert_int_equal(calls[i].result, 11 + i);
    }
    assert_int_equal(host_instance_tasks(in), 0);
    assert_int_equal(in->charged, 0);
    end(in);
}

static void later_ended(struct host_invocation *inv, void *arg) {
    struct later *l = arg;
    assert_true(l->done && !l->ended);
    l->ended = true;
}

/* Who runs, when a task is quite over, and when nothing more of an instance is to come. */
static int deaths;
static void on_death(struct host_instance *in, void *arg) {
    struct later *l = arg;
    assert_true(host_instance_dead(in) && !l->done); /* its invocations are told later */
    deaths++;
}
static void test_ends(void **state) {
    (void)state;
    struct host_instance *in = start(load(NULL));
    const struct host_export *later = named(in, "later"), *waits = named(in, "waits");
    struct later a, b;
    invoke(in, "later", &a, 1);
    host_invoke_on_end(&a.inv, later_ended);
    invoke(in, "later", &b, 2);
    host_invoke_on_end(&b.inv, later_ended);
    assert_true(host_export_busy(in, later)); /* they have not begun yet */
    run_all();
    assert_ptr_equal(caller, &b.inv);
    assert_null(host_instance_current(in));
    assert_false(host_export_busy(in, later));
    timer_fire(&timers[0]);
    run_all();
    assert_true(a.done && a.ended && !b.ended);
    struct later c;
    invoke(in, "waits", &c, 3); /* holds its instance */
    host_invoke_on_end(&c.inv, later_ended);
    run_all();
    assert_ptr_equal(caller, &c.inv);
    assert_true(host_export_busy(in, waits));
    deaths = 0;
    host_instance_on_death(in, on_death, &b);
    host_instance_kill(in);
    run_all();
    assert_int_equal(deaths, 1);
    assert_true(b.done && b.inv.trap == ABI_TRAP_INTERRUPTED && !b.ended && c.done && !c.ended);
    end(in);
}

/* A synchronous wait holds its instance: the second call starts when the first has ended. */
static void test_waits(void **state) {
    (void)state;
    struct host_instance *in = start(load(NULL));
    struct later a, b, c;
    invoke(in, "waits", &a, 1);
    invoke(in, "waits", &b, 2);
    invoke(in, "waits", &c, 0); /* its import is done at once */
    run_all();
    assert_int_equal(timers_count, 1);
    timer_fire(&timers[0]);
    run_all();
    assert_true(a.done && a.result == 101);
    assert_int_equal(timers_count, 2);
    timer_fire(&timers[1]);
    run_all();
    assert_true(b.done && b.result == 102);
    assert_true(c.done && c.result == 107);
    end(in);
}

struct blocking {
    struct host_instance *in;
    uint32_t result;
    enum abi_trap trap;
    bool done;
};
static void blocking_fiber(void *arg) {
    struct blocking *b = arg;
    struct host_call call;
    uint32_t n = 5;
    host_call_begin(&call, b->in);
    b->trap = host_call_export(&call, named(b->in, "later"), &n, &b->result);
    host_call_end(&call);
    b->done = true;
}

/* host_call_export waits on its fiber for what the callback returns. */
static void test_blocking_call(void **state) {
    (void)state;
    struct host_instance *in = start(load(NULL));
    struct blocking b = {.in = in};
    assert_non_null(engine_spawn(host_instance_engine(in), blocking_fiber, &b));
    run_all();
    assert_false(b.done);
    timer_fire(&timers[0]);
    run_all();
    assert_true(b.done && !b.trap && b.result == 6);
    end(in);
}

static void test_cancel(void **state) {
    (void)state;
    struct host_instance *in = start(load(NULL));
    struct later a, b;
    invoke(in, "later", &a, 1);
    invoke(in, "waits", &b, 2);
    run_all();
    host_invoke_cancel(&a.inv); /* told at its callback, as nobody has exclusive use… but `waits` has */
    run_all();
    timer_fire(&timers[1]);
    run_all();
    assert_true(b.done && !b.inv.cancelled);
    invoke(in, "later", &b, 3);
    run_all();
    host_invoke_cancel(&b.inv);
    run_all();
    assert_true(b.done && b.inv.cancelled && timers[2].cancel_asked);
    end(in);
    assert_true(a.done);
}

/* What is pending when the instance goes is told so, once. */
static void test_release(void **state) {
    (void)state;
    struct host_instance *in = start(load(NULL));
    struct later a, b;
    invoke(in, "later", &a, 1);
    invoke(in, "waits", &b, 2);
    run_all();
    end(in);
    assert_true(timers[0].gone && timers[1].gone);
    assert_true(a.done && a.inv.trap == ABI_TRAP_INTERRUPTED);
    assert_true(b.done && b.inv.trap == ABI_TRAP_INTERRUPTED);
}

/* A guest that breaks a rule gets a trap that names it, and every other call ends with it. */
static void test_traps(void **state) {
    (void)state;
    static const struct {
        const char *export, *text;
    } rows[] = {
        {"stuck", "deadlock detected: event loop cannot make further progress"},
        {"forgets", "the task ended without returning a result"},
        {"flood", "the handle table is full: 100 handles are alive"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        struct host_instance *in = start(load(&(struct host_limits){.handles_max = 100}));
        struct later l, other;
        invoke(in, rows[i].export, &l, 0);
        run_all();
        assert_true(l.done);
        assert_string_equal(l.text, rows[i].text);
        assert_true(host_instance_dead(in));
        invoke(in, "later", &other, 1);
        run_all();
        assert_true(other.done && other.inv.trap == ABI_TRAP_CANNOT_ENTER);
        end(in);
    }
    struct host_instance *in = start(load(&(struct host_limits){.threads_max = 3}));
    struct later calls[5];
    for (uint32_t i = 0; i < 5; i++) invoke(in, "later", &calls[i], 1);
    assert_false(calls[3].done); /* told later, whatever it is */
    run_all();
    assert_true(!calls[2].done && calls[3].done && calls[3].inv.trap == ABI_TRAP_OUT_OF_MEMORY);
    run_all();
    end(in);
}

/* ---- streams ---------------------------------------------------------------------------------- */

enum { BYTES = 10000 };
struct flow {
    struct host_invocation inv;
    struct host_stream *in_value, *out; /* the argument and the result */
    struct host_stream_writer *writer;
    uint32_t written, read, max;
    unsigned seed;
    uint32_t added; /* to each byte */
    bool returned, closed;
    uint8_t offered[64];
};

static void feed(void *arg) {
    struct flow *f = arg;
    if (f->writer) f->written += (uint32_t)host_stream_writer_settle(f->writer);
    while (f->writer) {
        size_t n = 0, want = MIN(1 + (size_t)rand_r(&f->seed) % sizeof f->offered, (size_t)(BYTES - f->written));
        for (size_t i = 0; i < want; i++) f->offered[i] = (uint8_t)(f->written + i);
        if (want && host_stream_write(f->writer, f->offered, want, &n) != HOST_COPY_DONE) return;
        f->written += (uint32_t)n;
        if (f->written < BYTES) continue;
        host_stream_writer_close(f->writer);
        f->writer = NULL;
    }
}

static void drain(void *arg) {
    struct flow *f = arg;
    uint8_t bytes[64];
    size_t n;
    uint32_t budget = f->max;
    while (f->out && budget--) {
        enum host_copy c = host_stream_read(f->out, NULL, bytes, 1 + (size_t)rand_r(&f->seed) % sizeof bytes, &n);
        if (c == HOST_COPY_BLOCKED) return;
        if (c == HOST_COPY_CLOSED) {
            host_stream_close(f->out);
            f->out = NULL;
            f->closed = true;
            return;
        }
        for (size_t i = 0; i < n; i++, f->read++) assert_int_equal(bytes[i], (uint8_t)(f->read + f->added));
    }
}

static void flow_done(struct host_invocation *inv, void *arg) {
    struct flow *f = arg;
    assert_int_equal(inv->trap, ABI_TRAP_NONE);
    f->returned = true;
    host_stream_set_waker(f->out, drain, f);
    host_invoke_end(inv);
    drain(f);
}

static void run_flow(const char *export, uint32_t added, uint32_t max) {
    struct host_instance *in = start(load(NULL));
    struct flow f = {.seed = 42 + max, .max = max, .added = added};
    f.in_value = host_stream_new(in, &f.writer);
    assert_non_null(f.in_value);
    host_stream_writer_set_waker(f.writer, feed, &f);
    const struct host_export *ex = named(in, export);
    host_invoke(&f.inv, in, ex, &f.in_value, &f.out, flow_done, &f);
    for (int i = 0; i < 3 * BYTES && !f.closed; i++) {
        run_all();
        drain(&f); /* a slow reader comes back by itself */
    }
    run_all();
    assert_true(f.returned && f.closed);
    assert_int_equal(f.written, BYTES);
    assert_int_equal(f.read, BYTES);
    assert_int_equal(host_instance_tasks(in), 0);
    assert_int_equal(in->charged, 0);
    end(in);
}

/* Through a guest that reads and writes synchronously; the reader fast, and slow (backpressure). */
static void test_pump(void **state) {
    (void)state;
    run_flow("pump", 1, UINT32_MAX);
    run_flow("pump", 1, 1);
}
/* The guest hands back what it got: the host reads what the host writes. */
static void test_echo(void **state) {
    (void)state;
    run_flow("echo", 0, UINT32_MAX);
}

/* A string needs the guest's realloc: the value is written when the guest reads, or on a fiber of the instance if it
 * is there only later. */
struct promise {
    struct host_future_writer *w;
    bool known;
    str text;
};
static void keep(void *arg) {
    struct promise *p = arg;
    p->text = STR("hello");
    if (!p->known || (!host_future_writer_settle(p->w) && host_future_write(p->w, &p->text) != HOST_COPY_DONE)) return;
    host_future_writer_close(p->w);
    p->w = NULL;
}
static void test_future(void **state) {
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct host_instance *in = start(load(NULL));
        struct promise p = {.known = known};
        struct host_future *f = host_future_new(in, &p.w);
        host_future_writer_set_waker(p.w, keep, &p);
        keep(&p); /* nobody reads yet */
        struct later l = {};
        host_invoke(&l.inv, in, named(in, "text"), &f, &l.result, later_done, &l);
        run_all();
        assert_int_equal(l.done, known);
        p.known = true;
        if (!known) keep(&p);
        run_all();
        assert_true(l.done && !p.w);
        assert_int_equal(l.inv.trap, ABI_TRAP_NONE);
        assert_int_equal(l.result, 5 + 'o');
        assert_int_equal(in->charged, 0);
        end(in);
    }
}

/* Ends outlive the instance. */
static void test_streams_outlive(void **state) {
    (void)state;
    struct host_instance *in = start(load(NULL));
    struct flow f = {.seed = 1, .max = 0};
    uint8_t byte;
    size_t n;
    f.in_value = host_stream_new(in, &f.writer);
    struct host_stream_writer *unused_writer;
    struct host_stream *unused = host_stream_new(in, &unused_writer);
    host_invoke(&f.inv, in, named(in, "pump"), &f.in_value, &f.out, flow_done, &f);
    run_all();
    assert_true(f.returned);
    end(in);
    assert_int_equal(host_stream_read(f.out, NULL, &byte, 1, &n), HOST_COPY_CLOSED);
    (void)host_stream_writer_settle(f.writer);
    assert_int_equal(host_stream_write(f.writer, &byte, 1, &n), HOST_COPY_CLOSED);
    assert_int_equal(host_stream_read(unused, NULL, &byte, 1, &n), HOST_COPY_CLOSED);
    host_stream_close(f.out);
    host_stream_writer_close(f.writer);
    host_stream_close(unused);
    host_stream_writer_close(unused_writer);
}

int main(int argc, char **argv) {
    if (argc != 2) return 64;
    guest_path = argv[1];
    const struct engine_config config = {.verify = true};
    engine = engine_new(&config);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_concurrent),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_blocking_call),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_traps),
        cmocka_unit_test(test_pump),
        cmocka_unit_test(test_echo),
        cmocka_unit_test(test_future),
        cmocka_unit_test(test_streams_outlive),
    };
    int failed = cmocka_run_group_tests_name("host/async", tests, NULL, NULL);
    engine_free(engine);
    return failed;
}
