/* Lanes: who has one thing to say is heard before who has a thousand is through; what goes away in its own turn, or another's, is not heard again. */
#include "net/lane.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { MANY = 1000 };
struct thing {
    struct net_lane_entry e;
    struct net_lane_entry *drops; /* in its turn */
    struct net_loop *again;       /* it has more to say then */
    uint32_t at, times;
};
static uint32_t clock_of_turns;

static void spin_10_us(void) {
    for (uint64_t end = clock_mono_ns() + 10'000; clock_mono_ns() < end;) {}
}

static void on_turn(struct net_lane_entry *e) {
    struct thing *t = container_of(e, struct thing, e);
    t->at = ++clock_of_turns;
    t->times++;
    if (t->drops) net_lane_drop(t->drops);
    if (t->again) net_lane_put(t->again, e);
    spin_10_us();
}

static void run_all(struct net_loop *l) {
    for (int i = 0; i < 100'000 && l->lanes.next != &l->lanes; i++) net_lanes_run(l);
    assert_ptr_equal(l->lanes.next, &l->lanes);
    net_job_cancel(&l->lanes_job);
}

static void in_turns(void **state) {
    static struct thing many[MANY], few[3], nobodys[2];
    struct net_loop *l = net_loop_new();
    struct net_lane *a = net_lane_new(), *b = net_lane_new();
    clock_of_turns = 0;
    for (int i = 0; i < MANY; i++) {
        many[i].e.fn = on_turn;
        net_lane_choose(&many[i].e, a);
        net_lane_put(l, &many[i].e);
        net_lane_put(l, &many[i].e); /* once is enough */
    }
    for (int i = 0; i < 3; i++) {
        few[i].e.fn = on_turn;
        net_lane_choose(&few[i].e, b);
        net_lane_put(l, &few[i].e);
    }
    for (int i = 0; i < 2; i++) {
        nobodys[i].e.fn = on_turn;
        net_lane_put(l, &nobodys[i].e);
    }
    run_all(l);
    assert_int_equal(clock_of_turns, MANY + 5);
    for (int i = 0; i < MANY; i++) assert_int_equal(many[i].times, 1);
    for (int i = 1; i < MANY; i++) assert_true(many[i].at > many[i - 1].at);
    assert_true(few[2].at < many[MANY - 1].at && nobodys[1].at < many[MANY - 1].at);
    for (int i = 0; i < MANY; i++) net_lane_drop(&many[i].e);
    for (int i = 0; i < 3; i++) net_lane_drop(&few[i].e);
    net_lane_unref(a), net_lane_unref(b);
    net_loop_free(l);
}

/* Whose it is may change while it waits, and who waits may go. */
static void comings_and_goings(void **state) {
    struct net_loop *l = net_loop_new();
    struct net_lane *a = net_lane_new(), *b = net_lane_new();
    struct thing first = {.e.fn = on_turn}, gone = {.e.fn = on_turn}, moved = {.e.fn = on_turn}, leaves = {.e.fn = on_turn};
    net_lane_choose(&first.e, a), net_lane_choose(&gone.e, a), net_lane_choose(&moved.e, a), net_lane_choose(&leaves.e, b);
    first.drops = &gone.e;
    leaves.drops = &leaves.e;
    net_lane_put(l, &first.e), net_lane_put(l, &gone.e), net_lane_put(l, &moved.e), net_lane_put(l, &leaves.e);
    net_lane_choose(&moved.e, b); /* what it had to say before is said */
    net_lane_unref(a);            /* its owner needs it no more: those in it do */
    run_all(l);
    assert_int_equal(first.times, 1);
    assert_int_equal(gone.times, 0);
    assert_int_equal(moved.times, 1);
    assert_int_equal(leaves.times, 1);
    assert_null(leaves.e.lane);
    net_lane_drop(&first.e), net_lane_drop(&moved.e);
    net_lane_unref(b);
    net_loop_free(l);
}

/* Who speaks on and on does not hold the loop. */
static void the_loop_goes_on(void **state) {
    struct net_loop *l = net_loop_new();
    struct thing t = {.e.fn = on_turn, .again = l};
    net_lane_put(l, &t.e);
    net_lanes_run(l);
    assert_true(t.times >= 1);
    assert_non_null(l->lanes_job.next); /* and does not sleep meanwhile */
    net_lane_drop(&t.e);
    net_job_cancel(&l->lanes_job);
    net_loop_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(in_turns), cmocka_unit_test(comings_and_goings),
                                       cmocka_unit_test(the_loop_goes_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
