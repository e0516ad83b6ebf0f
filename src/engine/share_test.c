/* share: turns by the time used, whatever a share has to do; weights, waking, killing, what is left for others.
 *
 * No time is asserted: a slice is a second here, and each turn is charged with so much that the time it really takes is no matter. */
#include "engine/engine_int.h"
#include "engine/testguest.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct engine *make(void) { return engine_new(&(struct engine_config){.slice_ns = 1'000'000'000}); }

static struct engine_share *share(struct engine *e, uint32_t weight) {
    return engine_share_new(e, &(struct engine_share_config){.weight = weight});
}

/* ---- turns ---- */

struct worker {
    struct engine_share *share;
    uint64_t turns, charge_ns, quits;
    struct engine_fiber *fiber; /* NULL: ended */
    bool parks;
};
static void work(void *arg) {
    struct worker *w = arg;
    struct engine *e = engine_share_engine(w->share);
    while (!w->quits || w->turns < w->quits) {
        w->turns++;
        engine_share_charge(w->share, w->charge_ns);
        if (w->parks) {
            if (!engine_park(e)) break;
        } else if (!engine_work(e, ENGINE_WORK_SLICE)) {
            break;
        }
    }
    w->fiber = NULL;
}
static void start(struct worker *w, struct engine_share *s, uint64_t charge_ns) {
    *w = (struct worker){.share = s, .charge_ns = charge_ns};
    assert_non_null(w->fiber = engine_share_spawn(s, work, w));
}
static void run(struct engine *e, uint64_t turns) {
    for (uint64_t end = engine_turns(e) + turns; engine_turns(e) < end;) assert_true(engine_run(e, 1));
}
static void end(struct engine_share *s) {
    engine_share_kill(s);
    while (engine_share_use(s).fibers) engine_run(engine_share_engine(s), 1);
    assert_int_equal(engine_share_use(s).bytes, 0);
    engine_share_free(s);
}

/* 200 fibers of one get together what the only one of another gets. */
static void test_many_are_no_more(void **state) {
    enum { MANY = 200 };
    struct engine *e = make();
    struct engine_share *a = share(e, 0), *b = share(e, 0);
    struct worker many[MANY], one;
    for (int i = 0; i < MANY; i++) start(&many[i], a, 1'000'000'000);
    start(&one, b, 1'000'000'000);
    run(e, 4000);
    uint64_t sum = 0;
    for (int i = 0; i < MANY; i++) sum += many[i].turns;
    assert_in_range(one.turns, 1900, 2100);
    assert_in_range(sum, 1900, 2100);
    for (int i = 0; i < MANY; i++) assert_in_range(many[i].turns, sum / MANY / 2, 2 * sum / MANY); /* among themselves too */
    end(a);
    end(b);
    engine_free(e);
}

static void on_spent(void *arg) { ++*(int *)arg; }

/* Who computes is counted until he is told once; who sleeps is not; what is nobody's any more is counted for nobody. */
static void test_meters(void **state) {
    struct engine *e = make();
    struct engine_share *s = share(e, 0);
    struct worker busy, idle;
    int told = 0, others = 0;
    struct engine_meter m = {.max_ns = 3'000'000, .spent = on_spent, .arg = &told},
                        rests = {.max_ns = 1'000'000'000, .spent = on_spent, .arg = &others};
    start(&busy, s, 0);
    start(&idle, s, 0);
    idle.parks = true;
    engine_fiber_meter(busy.fiber, &m);
    engine_fiber_meter(idle.fiber, &rests);
    while (!told) assert_true(engine_run(e, 1));
    assert_true(m.used_ns > 3'000'000 && !m.max_ns);
    assert_true(rests.used_ns && rests.used_ns < m.used_ns);
    run(e, 10);
    assert_int_equal(told, 1);
    uint64_t used = m.used_ns;
    engine_fiber_meter(busy.fiber, NULL);
    run(e, 10);
    assert_int_equal(m.used_ns, used);
    assert_int_equal(others, 0);
    end(s);
    engine_free(e);
}

/* By time, not by turns: whose turns are short has more of them. And by weight. */
static void test_time_and_weight(void **state) {
    struct engine *e = make();
    struct engine_share *s[3] = {share(e, 1), share(e, 1), share(e, 4)};
    struct worker w[3];
    start(&w[0], s[0], 1'000'000'000);
    start(&w[1], s[1], 100'000'000);
    start(&w[2], s[2], 1'000'000'000);
    run(e, 6000);
    assert_in_range(w[1].turns, 8 * w[0].turns, 11 * w[0].turns);
    assert_in_range(w[2].turns * 10, 37 * w[0].turns, 43 * w[0].turns);
    assert_true(engine_share_use(s[2]).cpu_ns > 3 * engine_share_use(s[0]).cpu_ns);
    engine_share_limit(s[2], &(struct engine_share_config){.weight = 1});
    uint64_t before = w[2].turns, other = w[0].turns;
    run(e, 3000);
    assert_in_range(w[2].turns - before, (w[0].turns - other) * 9 / 10, (w[0].turns - other) * 11 / 10);
    for (int i = 0; i < 3; i++) end(s[i]);
    engine_free(e);
}

/* Who wakes comes before those that compute, as long as it has had less than they. */
static void test_wakes_soon(void **state) {
    struct engine *e = make();
    struct engine_share *a = share(e, 0), *b = share(e, 0);
    struct worker many[64], one;
    for (int i = 0; i < 64; i++) start(&many[i], a, 1'000'000'000);
    run(e, 300);
    start(&one, b, 10'000'000);
    one.parks = true;
    run(e, 1);
    assert_int_equal(one.turns, 1);
    for (uint64_t i = 2; i < 500; i++) {
        run(e, 1); /* one of theirs costs as much as a hundred of its own */
        engine_ready(one.fiber);
        run(e, 1);
        assert_int_equal(one.turns, i);
    }
    end(a);
    end(b);
    engine_free(e);
}

/* Sleeping saves nothing: after a long sleep a share gets a slice at once and then its part; nor does it help to sleep before one is taken
 * off, again and again. */
static void test_sleep_is_no_credit(void **state) {
    struct engine *e = make();
    struct engine_share *a = share(e, 0), *b = share(e, 0);
    struct worker steady, sly;
    start(&steady, a, 1'000'000'000);
    start(&sly, b, 100'000'000);
    sly.parks = true;
    run(e, 1000); /* it sleeps nearly all the while */
    assert_true(sly.turns <= 2);
    uint64_t before = steady.turns, mine = sly.turns;
    for (int i = 0; i < 5000; i++) {
        engine_ready(sly.fiber); /* whenever it can */
        assert_true(engine_run(e, 1));
    }
    uint64_t had_ns = (sly.turns - mine) * 100'000'000, others_ns = (steady.turns - before) * 1'000'000'000;
    assert_true(had_ns <= others_ns * 11 / 10 + 2'000'000'000);
    assert_true(had_ns >= others_ns * 8 / 10);
    end(a);
    end(b);
    engine_free(e);
}

/* What a long step took is paid back before the next turn. */
static void test_debt(void **state) {
    struct engine *e = make();
    struct engine_share *a = share(e, 0), *b = share(e, 0);
    struct worker steady, long_steps;
    start(&steady, a, 1'000'000'000);
    start(&long_steps, b, 8'000'000'000);
    run(e, 900);
    assert_in_range(steady.turns, 7 * long_steps.turns, 9 * long_steps.turns);
    end(a);
    end(b);
    engine_free(e);
}

/* ---- posts ---- */

struct flood {
    struct engine_share *share;
    struct engine_post post;
    uint64_t ran;
    bool stop;
};
static void on_post(void *arg) {
    struct flood *f = arg;
    f->ran++;
    engine_share_charge(f->share, 1'000'000'000);
    if (!f->stop) engine_post(f->share, &f->post);
}

/* Posts are the share's own turns: who posts without end takes nothing from others. */
static void test_posts_flood(void **state) {
    struct engine *e = make();
    struct engine_share *a = share(e, 0), *b = share(e, 0);
    struct flood f = {.share = a, .post = {.fn = on_post, .arg = &f}};
    struct worker one;
    engine_post(a, &f.post);
    start(&one, b, 1'000'000'000);
    run(e, 500);
    assert_in_range(f.ran, 450, 550);
    f.stop = true;
    end(b);
    while (engine_run(e, 1)) {}
    for (int i = 0; i < 2; i++) { /* it lies in a ring with nothing to do: of those that have credit, then of the others */
        if (i) engine_share_charge(a, 3'000'000'000);
        engine_post(a, &f.post);
        if (i) assert_true(a->order == ENGINE_SHARE_SPENT);
        engine_post_cancel(&f.post);
        assert_false(engine_run(e, 1));
    }
    engine_post(a, &f.post);
    engine_post_cancel(&f.post);
    engine_share_free(a);
    assert_false(engine_run(e, 1));
    engine_free(e);
}

static void on_one_of_many(void *arg) { ++*(uint64_t *)arg; }

/* However many instances have something to say at once: it is said in steps, and who wakes has a turn between. */
static void test_posts_of_many(void **state) {
    enum { MANY = 2000, STEP = 64 };
    static struct engine_post posts[MANY];
    struct engine *e = make();
    struct engine_share *a = share(e, 0), *b = share(e, 0);
    struct worker one;
    uint64_t ran = 0;
    start(&one, b, 1);
    one.parks = true;
    engine_run(e, 1);
    for (int i = 0; i < MANY; i++) {
        posts[i] = (struct engine_post){.fn = on_one_of_many, .arg = &ran};
        engine_post(a, &posts[i]);
    }
    for (uint64_t before = 0; ran < MANY; before = ran) {
        engine_ready(one.fiber);
        engine_run(e, 1);
        assert_true(ran - before <= STEP);
    }
    assert_true(one.turns >= MANY / STEP / 2); /* every other turn */
    end(a);
    end(b);
    engine_free(e);
}

/* ---- fibers without an instance ---- */

static void count_work(void *arg) {
    struct worker *w = arg;
    while (engine_work(engine_share_engine(w->share), 1000)) w->turns++;
    w->fiber = NULL;
}

/* It computes on and on in slices, others have their turns, and it is killed alone. */
static void test_fiber_of_a_share(void **state) {
    struct engine *e = make();
    struct engine_share *s = share(e, 0);
    struct worker w[2] = {{.share = s}, {.share = s}};
    uint64_t bytes = engine_bytes(e);
    for (int i = 0; i < 2; i++) assert_non_null(w[i].fiber = engine_share_spawn(s, count_work, &w[i]));
    assert_int_equal(engine_share_use(s).bytes, 2 * ENGINE_STACK_BYTES);
    assert_int_equal(engine_bytes(e), bytes + 2 * ENGINE_STACK_BYTES);
    run(e, 20);
    assert_true(w[0].turns >= 5000 && w[1].turns >= 5000);
    engine_fiber_kill(w[0].fiber);
    run(e, 4);
    assert_true(!w[0].fiber && w[1].fiber);
    assert_int_equal(engine_share_use(s).fibers, 1);
    assert_true(engine_share_use(s).cpu_ns);
    end(s);
    assert_null(w[1].fiber);
    engine_free(e);
}

static void park_once(void *arg) {
    struct worker *w = arg;
    w->turns += engine_park(engine_share_engine(w->share)) ? 1 : 100;
    w->fiber = NULL;
}
static void test_fiber_parks(void **state) {
    struct engine *e = make();
    struct engine_share *s = share(e, 0);
    struct worker w[2] = {{.share = s}, {.share = s}};
    for (int i = 0; i < 2; i++) w[i].fiber = engine_share_spawn(s, park_once, &w[i]);
    assert_false(engine_run(e, UINT64_MAX));
    engine_ready(w[0].fiber);
    engine_fiber_kill(w[1].fiber);
    assert_false(engine_run(e, UINT64_MAX));
    assert_int_equal(w[0].turns, 1);
    assert_int_equal(w[1].turns, 100);
    end(s);
    engine_free(e);
}

/* ---- shares with instances ---- */

static const struct testguest plain = {.memory_bytes = 65536, .memory_bytes_max = 1 << 20, .hosts = 2};

struct task {
    struct engine_instance *in;
    const struct abi_func *f;
    enum abi_trap trap;
    bool done;
};
static void run_task(void *arg) {
    struct task *t = arg;
    uint64_t args[8] = {0};
    t->trap = engine_call(t->in, t->f, args);
    t->done = true;
}

/* A share goes while its guests compute, park and wait for their first turn. */
static void test_remove_with_things_in_flight(void **state) {
    enum { GUESTS = 30 };
    struct engine *e = make();
    struct engine_share *s = share(e, 0), *other = share(e, 0);
    struct engine_image *image = engine_image_load(s, testguest_image(&plain));
    struct task t[GUESTS];
    struct worker w, parked = {.share = s};
    start(&w, other, 1'000'000'000);
    parked.fiber = engine_share_spawn(s, park_once, &parked);
    for (int i = 0; i < GUESTS; i++) {
        if (i == GUESTS / 2) run(e, 40);
        struct engine_instance *in = engine_acquire(image, NULL);
        assert_non_null(in);
        t[i] = (struct task){.in = in, .f = testguest_func(image, 0, GUEST_forever)};
        assert_non_null(engine_spawn(in, run_task, &t[i]));
        engine_release(in); /* when its fiber has ended */
    }
    assert_int_equal(engine_share_use(s).slots, GUESTS);
    engine_share_kill(s);
    while (engine_share_use(s).fibers) engine_run(e, 1);
    for (int i = 0; i < GUESTS; i++) assert_int_equal(t[i].trap, ABI_TRAP_INTERRUPTED);
    assert_int_equal(parked.turns, 100);
    assert_int_equal(engine_share_use(s).slots, 0);
    engine_image_unload(image);
    assert_int_equal(engine_share_use(s).bytes, 0);
    engine_share_free(s);
    uint64_t before = w.turns;
    run(e, 10);
    assert_int_equal(w.turns, before + 10);
    end(other);
    engine_free(e);
}

/* What its guests have left behind is cleaned in the share's time. */
static void test_cleaning_counts(void **state) {
    enum { PAGES = (32 << 20) / ABI_PAGE };
    struct engine *e = make();
    struct engine_share *s = share(e, 0);
    struct engine_image *image =
        engine_image_load(s, testguest_image(&(struct testguest){.memory_bytes = 64 << 20, .memory_bytes_max = 64 << 20}));
    struct engine_instance *in = engine_acquire(image, NULL);
    struct engine_bytes m = engine_memory(in, 0, 0);
    for (uint64_t i = 0; i < PAGES; i++) m.p[i * ABI_PAGE] = 1;
    engine_release(in);
    assert_true(engine_holds(e));
    uint64_t before = engine_share_use(s).cpu_ns;
    while (engine_run(e, 1)) {}
    assert_true(engine_share_use(s).cpu_ns > before);
    engine_image_unload(image);
    engine_share_free(s);
    engine_free(e);
}

/* Slots: a share's own bound, and what all have together is never one's alone. */
static void test_slots(void **state) {
    struct engine *e = engine_new(&(struct engine_config){.slots_max = 16});
    struct engine_share *a = share(e, 0), *b = engine_share_new(e, &(struct engine_share_config){.slots_max = 2});
    struct engine_image *ia = engine_image_load(a, testguest_image(&plain)), *ib = engine_image_load(b, testguest_image(&plain));
    struct engine_instance *of_a[16], *of_b[3];
    uint32_t n = 0, k = 0;
    while (n < 16 && (of_a[n] = engine_acquire(ia, NULL))) n++;
    assert_int_equal(n, 12);
    const struct engine_refusal *r = engine_last_refusal(e);
    assert_true(r->what == ENGINE_REFUSED_SLOTS && !r->share && r->leaves && r->max == 16);
    while (k < 3 && (of_b[k] = engine_acquire(ib, NULL))) k++;
    assert_int_equal(k, 2);
    assert_true(r->what == ENGINE_REFUSED_SLOTS && r->share == b && r->max == 2);
    while (n) engine_release(of_a[--n]);
    while (k) engine_release(of_b[--k]);
    engine_image_unload(ia);
    engine_image_unload(ib);
    engine_share_free(b);
    ia = engine_image_load(a, testguest_image(&plain)); /* alone it may have them all */
    while (n < 16 && (of_a[n] = engine_acquire(ia, NULL))) n++;
    assert_int_equal(n, 16);
    while (n) engine_release(of_a[--n]);
    engine_image_unload(ia);
    engine_share_free(a);
    engine_free(e);
}

/* Ten thousand fibers of one share, a thousand shares that rest: a turn of another costs nobody more. The rings hold who has something to
 * do, and nobody else. */
static void test_thousand_rest(void **state) {
    struct engine *e = engine_new(&(struct engine_config){.slots_max = 4000, .slice_ns = 1'000'000'000});
    struct engine_share *rests[1000], *s = share(e, 0), *crowd = share(e, 0);
    for (int i = 0; i < 1000; i++) rests[i] = share(e, 0);
    enum { CROWD = 10'000 };
    struct worker *w = calloc(CROWD, sizeof *w), one;
    for (int i = 0; i < CROWD; i++) start(&w[i], crowd, 1'000'000'000);
    start(&one, s, 1'000'000'000);
    run(e, 200);
    assert_in_range(one.turns, 90, 110);
    uint32_t listed = 0;
    for (uint32_t i = 0; i < ENGINE_ORDERS; i++)
        for (const struct engine_ring *r = e->rings[i].next; r != &e->rings[i]; r = r->next) listed++;
    assert_int_equal(listed, 2);
    end(crowd);
    end(s);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(engine_share_use(rests[i]).cpu_ns, 0);
        engine_share_free(rests[i]);
    }
    free(w);
    engine_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_are_no_more),
        cmocka_unit_test(test_meters),
        cmocka_unit_test(test_time_and_weight),
        cmocka_unit_test(test_wakes_soon),
        cmocka_unit_test(test_sleep_is_no_credit),
        cmocka_unit_test(test_debt),
        cmocka_unit_test(test_posts_flood),
        cmocka_unit_test(test_posts_of_many),
        cmocka_unit_test(test_fiber_of_a_share),
        cmocka_unit_test(test_fiber_parks),
        cmocka_unit_test(test_cleaning_counts),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_remove_with_things_in_flight),
        cmocka_unit_test(test_thousand_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
