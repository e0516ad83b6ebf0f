/* A worker is stuck only by what it does itself: seconds of its own, while its loop does not turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>
#include "node/node_int.h"

static const uint64_t s = 1'000'000'000u;

/* Samples once a second: what it computes of each, its state, whether it turns. How many until it is found stuck; 0: not in a minute. */
static unsigned until_stuck(uint64_t beats, uint64_t turns, uint64_t cpu, char state, unsigned *asked) {
    struct node_watch w = {0};
    struct node_vitals v = {.now_ns = 1000 * s, .cpu_ns = 7 * s, .beats = beats, .state = state};
    *asked = 0;
    for (unsigned i = 0; i < 60; i++) {
        enum node_watch_verdict verdict = node_watch_sample(&w, &v);
        if (verdict == NODE_WATCH_STUCK) return i;
        *asked += verdict == NODE_WATCH_ASK;
        v.now_ns += s, v.cpu_ns += cpu, v.beats += turns;
    }
    return 0;
}

static void test_verdicts(void **state) {
    enum { ASLEEP = 4, AWAKE = 5 };
    static const struct {
        const char *what;
        uint64_t beats, turns, cpu_ms;
        char state;
        unsigned samples; /* 0: never */
    } rows[] = {
        {"waits for events", ASLEEP, 0, 0, 'S', 0},
        {"turns", AWAKE, 2, 1000, 'R', 0},
        {"computes in a turn", AWAKE, 0, 1000, 'R', 5},
        {"computes in a callback that did not say so", ASLEEP, 0, 1000, 'R', 5},
        {"is kept from the core by others", AWAKE, 0, 100, 'R', 50},
        {"blocks in a system call", AWAKE, 0, 0, 'S', 5},
        {"waits for a disk", AWAKE, 0, 0, 'D', 5},
        {"is stopped", AWAKE, 0, 0, 'T', 0},
        {"computes, unseen", AWAKE, 0, 1000, '?', 5},
        {"waits, unseen", ASLEEP, 0, 0, '?', 0},
        {"is traced", ASLEEP, 0, 0, 't', 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        unsigned asked, n = until_stuck(rows[i].beats, rows[i].turns, rows[i].cpu_ms * 1'000'000, rows[i].state, &asked);
        if (n != rows[i].samples) fail_msg("%s: %u, not %u", rows[i].what, n, rows[i].samples);
        assert_int_equal(asked, n != 0); /* once, before it is ended */
    }
}

/* A watcher that did not run for a minute has seen nothing of it; a turn in between forgives all. */
static void test_watcher_was_away(void **state) {
    struct node_watch w = {0};
    struct node_vitals v = {.now_ns = s, .beats = 1, .state = 'S'};
    assert_int_equal(node_watch_sample(&w, &v), NODE_WATCH_WELL);
    v.now_ns += 60 * s;
    assert_int_equal(node_watch_sample(&w, &v), NODE_WATCH_WELL);
    for (unsigned i = 0; i < 20; i++) {
        v.now_ns += 2 * s, v.beats += i & 1;
        assert_int_not_equal(node_watch_sample(&w, &v), NODE_WATCH_STUCK);
    }
}

static void test_vitals(void **state) {
    struct node_vitals v = {0};
    assert_true(node_vitals_read(getpid(), &v));
    assert_true(v.state == 'R' && v.now_ns);
    uint64_t before = v.cpu_ns;
    do assert_true(node_vitals_read(getpid(), &v));
    while (v.cpu_ns == before);
    pid_t gone = fork();
    if (!gone) _exit(0);
    assert_int_equal(waitpid(gone, NULL, 0), gone);
    assert_false(node_vitals_read(gone, &v));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_verdicts), cmocka_unit_test(test_watcher_was_away),
                                       cmocka_unit_test(test_vitals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
