/* For net's tests: a server of ours on a thread, and a blocking client that knows nothing of HTTP. */
#ifndef ORLO_NET_TEST_H
#define ORLO_NET_TEST_H

#include "net/server.h"
#include <pthread.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static inline void test_sleep_ms(uint64_t ms) {
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static inline int test_connect(uint16_t port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Listens on some port of the loopback. */
static inline int test_listen(uint16_t *port) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 1024) == 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static inline bool test_send(int fd, const void *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t k = send(fd, (const char *)p + at, n - at, MSG_NOSIGNAL);
        if (k <= 0) return false;
        at += (size_t)k;
    }
    return true;
}
static inline bool test_sends(int fd, const char *s) { return test_send(fd, s, strlen(s)); }

/* Reads until the end, `ms` without a byte, or `until` stands in it (NULL: no such). Appends "<end>", "<reset>" or "<quiet>" as
 * it was, nothing for `until`. Keeps a NUL behind. */
static inline void test_recv(int fd, struct buf *out, int ms, const char *until) {
    for (;;) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, ms) == 0) {
            buf_puts(out, STR("<quiet>"));
            break;
        }
        buf_reserve(out, 65537);
        ssize_t n = recv(fd, out->p + out->n, 65536, 0);
        if (n <= 0) {
            buf_puts(out, n == 0 ? STR("<end>") : STR("<reset>"));
            break;
        }
        out->n += (size_t)n;
        out->p[out->n] = 0;
        if (until && memmem(out->p, out->n, until, strlen(until))) break;
    }
    buf_putc(out, 0);
    out->n--;
}

/* One connection: sends, reads until the end or quiet. *out is overwritten. */
static inline const char *test_talk(uint16_t port, const char *bytes, size_t n, struct buf *out, int ms) {
    int fd = test_connect(port);
    out->n = 0;
    if (fd < 0) return "<refused>";
    test_send(fd, bytes, n);
    test_recv(fd, out, ms, NULL);
    close(fd);
    return (const char *)out->p;
}

struct test_server {
    pthread_t thread;
    struct net_loop *loop;
    struct net_server *server;
    uint16_t port;
    uint32_t begun, gone, deadlines, drained; /* atomics, counted by the handlers */
    uint64_t body_bytes;
    struct net_server_stats stats; /* once stopped */
};

static inline void *test_server_main(void *arg) {
    struct test_server *t = arg;
    net_loop_run(t->loop);
    return NULL;
}

static inline void test_server_start(struct test_server *t, struct net_server_config c) {
    struct diag d = DIAG_INIT;
    *t = (struct test_server){0};
    t->loop = net_loop_new();
    c.loop = t->loop;
    if (!c.fd) c.fd = test_listen(&t->port);
    c.arg = t;
    err e = net_server_new(&c, &t->server, &d);
    if (e != ERR_OK) fail_msg("%s", d.text);
    t->port = net_server_port(t->server);
    assert_int_equal(pthread_create(&t->thread, NULL, test_server_main, t), 0);
}

static inline void test_server_drained(void *arg) {
    struct test_server *t = arg;
    t->drained++;
    net_loop_stop(t->loop);
}
static inline void test_server_drain_now(void *arg) {
    struct test_server *t = arg;
    net_server_drain(t->server, 5000, false, test_server_drained, t);
}

/* Joins, once it is drained, and frees. */
static inline void test_server_join(struct test_server *t) {
    pthread_join(t->thread, NULL);
    t->stats = net_server_stats(t->server);
    net_server_free(t->server);
    net_loop_free(t->loop);
    assert_int_equal(t->drained, 1);
}

static inline void test_server_stop(struct test_server *t) {
    net_loop_post(t->loop, test_server_drain_now, t);
    test_server_join(t);
}

#endif
