/* sock: pairs of sockets on the loop: waits, the queue, ends at every moment; lookups. */
#include "net/sock.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>

static struct net_loop *loop;

static int setup(void **state) {
    signal(SIGPIPE, SIG_IGN);
    loop = net_loop_new();
    return 0;
}
static int teardown(void **state) {
    net_loop_free(loop);
    return 0;
}

static void count(void *arg) { ++*(int *)arg; }
static void stop(void *arg) { net_loop_stop(arg); }

static void loop_for(uint64_t ms) {
    struct net_timer *t = net_timer_new(loop, stop, loop);
    net_timer_start(t, ms, 0);
    net_loop_run(loop);
    net_timer_free(t);
}

static void wait_for(struct net_sock *s, unsigned event) {
    struct net_wait w = {0};
    net_sock_wait(s, event, &w, stop, loop);
    struct net_timer *t = net_timer_new(loop, stop, loop);
    net_timer_start(t, 5000, 0);
    net_loop_run(loop);
    net_timer_free(t);
    assert_null(w.next); /* told, not timed out */
}

static struct net_addr loopback(uint16_t port) { return (struct net_addr){.port = port, .ip = {127, 0, 0, 1}}; }

static struct net_sock *make(enum net_sock_kind kind) {
    struct net_sock *s;
    assert_int_equal(net_sock_new(loop, kind, false, &s), NET_SOCK_OK);
    return s;
}

static struct net_sock *listener(struct net_addr *at) {
    struct net_sock *s = make(NET_SOCK_TCP);
    *at = loopback(0);
    assert_int_equal(net_sock_bind(s, at), NET_SOCK_OK);
    assert_int_equal(net_sock_listen(s, 16), NET_SOCK_OK);
    assert_int_equal(net_sock_local(s, at), NET_SOCK_OK);
    assert_true(at->port);
    return s;
}

static void pair(struct net_sock **a, struct net_sock **b) {
    struct net_addr at;
    struct net_sock *l = listener(&at);
    *a = make(NET_SOCK_TCP);
    enum net_sock_error e = net_sock_connect(*a, &at);
    if (e == NET_SOCK_WOULD_BLOCK) {
        wait_for(*a, NET_WRITABLE);
        e = net_sock_connected(*a);
    }
    assert_int_equal(e, NET_SOCK_OK);
    wait_for(l, NET_READABLE);
    assert_int_equal(net_sock_accept(l, b), NET_SOCK_OK);
    struct net_sock *none;
    assert_int_equal(net_sock_accept(l, &none), NET_SOCK_WOULD_BLOCK);
    net_sock_free(l);
}

static void streams(void **state) {
    struct net_sock *a, *b;
    uint8_t got[16];
    size_t n;
    pair(&a, &b);
    assert_int_equal(net_sock_receive(b, got, sizeof got, &n), NET_SOCK_WOULD_BLOCK);
    assert_int_equal(net_sock_write(a, STR("hello")), NET_SOCK_OK);
    wait_for(b, NET_READABLE);
    assert_int_equal(net_sock_receive(b, got, sizeof got, &n), NET_SOCK_OK);
    assert_true(str_eq((str){got, n}, STR("hello")));
    net_sock_shut(a, false, true);
    wait_for(b, NET_READABLE);
    assert_int_equal(net_sock_receive(b, got, sizeof got, &n), NET_SOCK_OK);
    assert_int_equal(n, 0);
    assert_int_equal(net_sock_write(a, STR("x")), NET_SOCK_CONNECTION_BROKEN);
    struct net_addr of_a, peer_of_b;
    net_sock_local(a, &of_a);
    net_sock_remote(b, &peer_of_b);
    assert_true(net_addr_same(&of_a, &peer_of_b));
    net_sock_free(a);
    net_sock_free(b);
}

/* Bytes that were taken arrive although their socket is freed before the peer reads. */
static void queue_outlives_its_socket(void **state) {
    struct net_sock *a, *b;
    pair(&a, &b);
    assert_int_equal(net_sock_set(a, NET_SOCK_SEND_BUFFER, 4096), NET_SOCK_OK);
    assert_int_equal(net_sock_set(b, NET_SOCK_RECEIVE_BUFFER, 4096), NET_SOCK_OK);
    static uint8_t piece[NET_SOCK_QUEUE_MAX];
    memset(piece, 7, sizeof piece);
    uint64_t written = 0, read = 0;
    while (net_sock_room(a)) {
        assert_int_equal(net_sock_write(a, (str){piece, sizeof piece}), NET_SOCK_OK);
        written += sizeof piece;
    }
    net_sock_shut(a, false, true);
    net_sock_free(a);
    for (size_t n = 1; n;) {
        enum net_sock_error e = net_sock_receive(b, piece, sizeof piece, &n);
        if (e == NET_SOCK_WOULD_BLOCK) wait_for(b, NET_READABLE), n = 1;
        else assert_int_equal(e, NET_SOCK_OK);
        if (e == NET_SOCK_OK) read += n;
    }
    assert_true(read == written);
    net_sock_free(b);
}

static void reset_of_a_queue(void **state) {
    struct net_sock *a, *b;
    pair(&a, &b);
    static uint8_t piece[NET_SOCK_QUEUE_MAX];
    assert_int_equal(net_sock_set(a, NET_SOCK_SEND_BUFFER, 4096), NET_SOCK_OK);
    while (net_sock_room(a)) assert_int_equal(net_sock_write(a, (str){piece, sizeof piece}), NET_SOCK_OK);
    net_sock_free(b); /* with bytes unread: the kernel resets */
    wait_for(a, NET_WRITABLE);
    enum net_sock_error e = net_sock_queue_error(a); /* or the system had taken all, and tells with the next write */
    if (e == NET_SOCK_OK) e = net_sock_write(a, STR("x"));
    assert_int_equal(e, NET_SOCK_CONNECTION_RESET);
    net_sock_free(a);
}

static void nobody_answers(void **state) {
    struct net_addr at;
    struct net_sock *l = listener(&at), *s = make(NET_SOCK_TCP);
    net_sock_free(l);
    enum net_sock_error e = net_sock_connect(s, &at);
    if (e == NET_SOCK_WOULD_BLOCK) {
        wait_for(s, NET_WRITABLE);
        e = net_sock_connected(s);
    }
    assert_int_equal(e, NET_SOCK_CONNECTION_REFUSED);
    net_sock_free(s);
    s = make(NET_SOCK_TCP);
    at = (struct net_addr){.ip = {192, 0, 2, 1}};
    assert_int_equal(net_sock_bind(s, &at), NET_SOCK_ADDRESS_NOT_BINDABLE);
    net_sock_free(s);
}

struct freeing {
    struct net_sock *victim;
    struct net_wait *cancel;
    int told;
};
static void free_it(void *arg) {
    struct freeing *f = arg;
    f->told++;
    net_sock_free(f->victim);
    f->victim = NULL;
    if (f->cancel) net_wait_cancel(f->cancel);
}
static void again(void *arg);
struct waiting {
    struct net_sock *s;
    struct net_wait w;
    int told;
} endless;
static void again(void *arg) {
    struct waiting *w = arg;
    w->told++;
    if (w->told < 3) net_sock_wait(w->s, NET_WRITABLE, &w->w, again, w);
}

/* Several in line; one cancels another, one frees the socket, one waits again. */
static void waits(void **state) {
    struct net_sock *a, *b;
    int told = 0;
    struct net_wait w[4] = {0};
    pair(&a, &b);
    for (int i = 0; i < 4; i++) net_sock_wait(a, NET_WRITABLE, &w[i], count, &told);
    net_wait_cancel(&w[2]);
    net_sock_wait(a, NET_WRITABLE, &w[3], count, &told);
    loop_for(20);
    assert_int_equal(told, 3);
    endless = (struct waiting){.s = a};
    again(&endless);
    loop_for(20);
    assert_int_equal(endless.told, 3);
    struct freeing f = {.victim = a, .cancel = &w[2]};
    net_sock_wait(a, NET_WRITABLE, &w[0], free_it, &f);
    net_sock_wait(a, NET_WRITABLE, &w[1], count, &told);
    net_sock_wait(b, NET_WRITABLE, &w[2], count, &told);
    loop_for(20);
    assert_int_equal(f.told, 1);
    assert_in_range(told, 3, 4); /* b may have been told before */
    net_sock_free(b);
    net_sock_free(NULL);
}

static void datagrams(void **state) {
    struct net_sock *a = make(NET_SOCK_UDP), *b = make(NET_SOCK_UDP);
    struct net_addr any = loopback(0), of_a, of_b, from;
    static uint8_t data[NET_SOCK_DATAGRAM_MAX + 1];
    size_t n;
    assert_int_equal(net_sock_bind(a, &any), NET_SOCK_OK);
    assert_int_equal(net_sock_bind(b, &any), NET_SOCK_OK);
    net_sock_local(a, &of_a);
    net_sock_local(b, &of_b);
    assert_int_equal(net_sock_send_to(a, STR(""), &of_b), NET_SOCK_OK);
    wait_for(b, NET_READABLE);
    assert_int_equal(net_sock_receive_from(b, data, sizeof data, &n, &from), NET_SOCK_OK);
    assert_int_equal(n, 0);
    assert_true(net_addr_same(&from, &of_a));
    assert_int_equal(net_sock_send_to(a, (str){data, sizeof data}, &of_b), NET_SOCK_DATAGRAM_TOO_LARGE);
    /* connected to somebody who is not there: the error comes with the next call, and the waiter hears of it */
    assert_int_equal(net_sock_connect(a, &of_b), NET_SOCK_OK);
    net_sock_free(b);
    assert_int_equal(net_sock_send_to(a, STR("x"), NULL), NET_SOCK_OK);
    wait_for(a, NET_READABLE);
    assert_int_equal(net_sock_receive_from(a, data, sizeof data, &n, &from), NET_SOCK_CONNECTION_REFUSED);
    assert_int_equal(net_sock_connect(a, NULL), NET_SOCK_OK);
    assert_int_equal(net_sock_remote(a, &from), NET_SOCK_INVALID_STATE);
    net_sock_free(a);
}

static void options(void **state) {
    for (int v6 = 0; v6 < 2; v6++) {
        struct net_sock *s;
        if (net_sock_new(loop, NET_SOCK_TCP, v6, &s) != NET_SOCK_OK) continue; /* a machine without IPv6 */
        for (enum net_sock_option o = 0; o < NET_SOCK_OPTIONS; o++) {
            static const uint64_t values[] = {1, UINT64_MAX};
            for (size_t i = 0; i < ARRAY_COUNT(values); i++) {
                uint64_t got = 0;
                assert_int_equal(net_sock_set(s, o, values[i]), NET_SOCK_OK);
                assert_int_equal(net_sock_get(s, o, &got), NET_SOCK_OK);
                bool buffer = o == NET_SOCK_RECEIVE_BUFFER || o == NET_SOCK_SEND_BUFFER; /* the system has limits of its own */
                if (!buffer) assert_true(got == net_sock_option_clamp(o, values[i]));
                assert_true(got > 0);
            }
        }
        uint64_t got;
        assert_int_equal(net_sock_set(s, NET_SOCK_RECEIVE_BUFFER, 0x10000), NET_SOCK_OK);
        assert_int_equal(net_sock_get(s, NET_SOCK_RECEIVE_BUFFER, &got), NET_SOCK_OK);
        assert_int_equal(got, 0x10000);
        net_sock_free(s);
    }
}

static void lookups(void **state) {
    struct net_lookup *k = net_lookup_new(loop, NULL, STR("localhost"), stop, loop);
    assert_false(net_lookup_done(k));
    loop_for(5000);
    assert_true(net_lookup_done(k));
    assert_int_equal(net_lookup_error(k), NET_LOOKUP_OK);
    uint32_t n;
    const struct net_addr *a = net_lookup_addresses(k, &n);
    assert_true(n >= 1);
    assert_int_equal(net_addr_class(&a[0]), NET_ADDR_LOOPBACK);
    net_lookup_free(k);
    k = net_lookup_new(loop, NULL, STR("no-such-name.invalid"), stop, loop);
    net_loop_run(loop); /* a lookup alone keeps the loop */
    assert_true(net_lookup_done(k));
    assert_int_not_equal(net_lookup_error(k), NET_LOOKUP_OK);
    net_lookup_free(k);
    /* more than there are threads, given up at every stage */
    struct net_lookup *many[100];
    int told = 0;
    for (int i = 0; i < 100; i++) many[i] = net_lookup_new(loop, NULL, STR("localhost"), count, &told);
    for (int i = 99; i >= 0; i -= 3) net_lookup_free(many[i]), many[i] = NULL;
    loop_for(5);
    for (int i = 98; i >= 0; i -= 3) net_lookup_free(many[i]), many[i] = NULL;
    for (int tries = 0; tries < 200 && told < 33; tries++) loop_for(10);
    assert_in_range(told, 33, 66);
    for (int i = 0; i < 100; i++) net_lookup_free(many[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(streams, setup, teardown),
        cmocka_unit_test_setup_teardown(queue_outlives_its_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_of_a_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(waits, setup, teardown),
        cmocka_unit_test_setup_teardown(datagrams, setup, teardown),
        cmocka_unit_test_setup_teardown(options, setup, teardown),
        cmocka_unit_test_setup_teardown(lookups, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
