/* work: it runs elsewhere, ends here, and what has not begun can be taken back. */
#include "net/loop.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <cmocka.h>

struct piece {
    struct net_work *work;
    pthread_t thread;
    bool masked, ended, ran;
    atomic_bool *gate;     /* NULL: does not wait */
    struct net_loop *loop; /* stopped when it is done; NULL: none */
};

static void pause_ms(long ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1'000'000}, NULL); }

static void work(void *arg) {
    struct piece *p = arg;
    sigset_t now;
    while (p->gate && !atomic_load(p->gate)) pause_ms(1);
    p->thread = pthread_self();
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    p->masked = sigismember(&now, SIGTERM) && sigismember(&now, SIGVTALRM);
}

static void done(void *arg, bool ran) {
    struct piece *p = arg;
    assert_false(p->ended);
    p->ended = true;
    p->ran = ran;
}

static void test_elsewhere(void **state) {
    struct net_loop *l = net_loop_new();
    struct piece p = {.gate = NULL};
    sigset_t now;
    net_work_new(l, NULL, work, done, &p);
    assert_false(p.ended);
    net_loop_run(l); /* until nothing is left */
    assert_true(p.ended && p.ran && p.masked);
    assert_false(pthread_equal(p.thread, pthread_self()));
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    assert_false(sigismember(&now, SIGTERM));
    net_loop_free(l);
}

enum { PIECES = 32 };

static void test_cancel(void **state) {
    struct net_loop *l = net_loop_new();
    static struct piece p[PIECES];
    atomic_bool gate = false;
    int ran = 0;
    for (int i = 0; i < PIECES; i++) {
        p[i] = (struct piece){.gate = &gate};
        p[i].work = net_work_new(l, NULL, work, done, &p[i]);
    }
    for (int i = PIECES - 1; i >= PIECES / 2; i--) net_work_cancel(p[i].work); /* all threads are busy with others */
    atomic_store(&gate, true);
    net_loop_run(l);
    for (int i = 0; i < PIECES; i++) {
        assert_true(p[i].ended);
        assert_int_equal(p[i].ran, i < PIECES / 2);
        ran += p[i].ran;
    }
    assert_int_equal(ran, PIECES / 2);
    net_loop_free(l);
}

/* A loop that is freed waits for what is under way. */
static void test_freed_loop(void **state) {
    struct net_loop *l = net_loop_new();
    struct piece p = {.gate = NULL};
    net_work_new(l, NULL, work, done, &p);
    net_loop_free(l);
    assert_true(p.ended);
}

/* ---- parties ---- */

static void on_done(void *arg, bool ran) {
    struct piece *p = arg;
    done(arg, ran);
    if (p->loop) net_loop_stop(p->loop);
}

/* One whose work hangs, as much of it as it likes, does not have all threads: another's is done meanwhile, piece after piece. */
static void test_one_floods(void **state) {
    struct net_loop *l = net_loop_new();
    struct net_party *a = net_party_new(), *b = net_party_new();
    static struct piece many[100], few[10];
    atomic_bool gate = false;
    for (int i = 0; i < 100; i++) {
        many[i] = (struct piece){.gate = &gate};
        many[i].work = net_work_new(l, a, work, on_done, &many[i]);
    }
    for (int i = 0; i < 10; i++) {
        few[i] = (struct piece){.loop = l};
        net_work_new(l, b, work, on_done, &few[i]);
        net_loop_run(l);
        assert_true(few[i].ended && few[i].ran);
    }
    for (int i = 0; i < 100; i++) assert_false(many[i].ended);
    net_party_free(b);
    for (int i = 50; i < 100; i++) net_work_cancel(many[i].work);
    net_party_free(a); /* what is still out keeps it */
    atomic_store(&gate, true);
    net_loop_run(l);
    for (int i = 0; i < 100; i++) assert_true(many[i].ended && many[i].ran == (i < 50));
    net_loop_free(l);
}

/* Threads go from party to party in turn: who comes behind a long line waits for one piece of it, not for all. */
static atomic_int order_next;
struct turn {
    int at;
};
static void take_turn(void *arg) { ((struct turn *)arg)->at = atomic_fetch_add(&order_next, 1); }
static void no_more(void *arg, bool ran) { assert_true(ran); }
enum { IN_TURN = 200 + 2 * 10 };
/* Keeps its thread until all turns were taken. */
static void hold(void *arg) {
    while (atomic_load(&order_next) < IN_TURN) pause_ms(1);
}

static void test_in_turn(void **state) {
    struct net_loop *l = net_loop_new();
    struct net_party *p[3] = {net_party_new(), net_party_new(), net_party_new()},
                     *holders[3] = {net_party_new(), net_party_new(), net_party_new()};
    static struct turn many[200], few[2][10];
    /* One thread of four takes all turns, so that none is taken and then left waiting by the system; it stands at the gate until all are in line. */
    for (int i = 0; i < 3; i++) net_work_new(l, holders[i], hold, no_more, NULL);
    atomic_bool gate = false;
    struct piece first = {.gate = &gate};
    net_work_new(l, p[0], work, done, &first);
    for (int i = 0; i < 200; i++) net_work_new(l, p[0], take_turn, no_more, &many[i]);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 10; i++) net_work_new(l, p[1 + k], take_turn, no_more, &few[k][i]);
    atomic_store(&gate, true);
    net_loop_run(l);
    for (int k = 0; k < 2; k++)
        for (int i = 0; i < 10; i++) assert_true(few[k][i].at < 60);
    for (int i = 0; i < 3; i++) net_party_free(p[i]), net_party_free(holders[i]);
    net_loop_free(l);
}

/* What is counted: one that takes all it can get leaves the other something, of each kind. */
static void test_counted(void **state) {
    struct net_party *a = net_party_new(), *b = net_party_new();
    for (enum net_part part = 0; part < NET_PARTS; part++) {
        uint64_t some = part == NET_PART_ORPHAN_BYTES ? 64 << 10 : 1, of_a = 0, of_b = 0;
        while (net_party_take(a, part, some)) of_a++;
        while (net_party_take(b, part, some)) of_b++;
        assert_true(of_a && of_b && of_b >= of_a / 16);
        assert_int_equal(net_party_used(a, part), of_a * some);
        net_party_give(b, part, of_b * some);
        net_party_give(a, part, of_a * some);
    }
    assert_true(net_party_take(a, NET_PART_SOCKETS, 1));
    net_party_free(a);
    net_party_give(a, NET_PART_SOCKETS, 1); /* now it is gone */
    net_party_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elsewhere),  cmocka_unit_test(test_cancel),  cmocka_unit_test(test_freed_loop),
        cmocka_unit_test(test_one_floods), cmocka_unit_test(test_in_turn), cmocka_unit_test(test_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
