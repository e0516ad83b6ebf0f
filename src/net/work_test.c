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
    atomic_bool *gate; /* NULL: does not wait */
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
    net_work_new(l, work, done, &p);
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
        p[i].work = net_work_new(l, work, done, &p[i]);
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
    net_work_new(l, work, done, &p);
    net_loop_free(l);
    assert_true(p.ended);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elsewhere),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_freed_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
