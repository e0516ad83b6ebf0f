/* stream_sock: a stream over a net_sock, which is watched only while somebody listens and something fell short. */
#include "net/sock_int.h"
#include "net/stream_int.h"
#include <stdlib.h>
#include <sys/socket.h>

struct sock_stream {
    struct net_stream s;
    struct net_sock *sock;
    struct net_wait read, write;
};

static struct sock_stream *of(struct net_stream *s) { return container_of(s, struct sock_stream, s); }

static void on_read(void *arg) {
    struct sock_stream *t = arg;
    t->s.readable = true;
    net_stream_tell(&t->s);
}
static void on_write(void *arg) {
    struct sock_stream *t = arg;
    t->s.writable = true;
    net_stream_tell(&t->s);
}

static void sock_listen(struct net_stream *s) {
    struct sock_stream *t = of(s);
    if (s->ready && !s->readable) net_sock_wait(t->sock, NET_READABLE, &t->read, on_read, t);
    else net_wait_cancel(&t->read);
    if (s->ready && !s->writable) net_sock_wait(t->sock, NET_WRITABLE, &t->write, on_write, t);
    else net_wait_cancel(&t->write);
}

static ssize_t outcome(struct net_stream *s, enum net_sock_error e, size_t done, size_t wanted, bool *flag) {
    if (e != NET_SOCK_OK && e != NET_SOCK_WOULD_BLOCK) {
        s->failed = true;
        return NET_STREAM_FAILED;
    }
    *flag = done == wanted;
    if (!*flag) sock_listen(s);
    return e == NET_SOCK_OK ? (ssize_t)done : NET_STREAM_WAIT;
}

static ssize_t sock_recv(struct net_stream *s, void *p, size_t n) {
    size_t got;
    enum net_sock_error e = net_sock_receive(of(s)->sock, p, n, &got);
    if (e == NET_SOCK_OK && !got) return 0;
    return outcome(s, e, got, n, &s->readable);
}

static ssize_t sock_send(struct net_stream *s, const void *p, size_t n) {
    size_t sent;
    enum net_sock_error e = net_sock_send(of(s)->sock, (str){p, n}, &sent);
    return outcome(s, e, sent, n, &s->writable);
}

static bool sock_has_input(struct net_stream *s) {
    uint8_t byte;
    return recv(of(s)->sock->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static bool sock_local(struct net_stream *s, struct net_addr *out) { return net_sock_local(of(s)->sock, out) == NET_SOCK_OK; }

static void sock_shutdown(struct net_stream *s) { net_sock_shut(of(s)->sock, false, true); }

static void sock_close(struct net_stream *s, bool reset) {
    struct sock_stream *t = of(s);
    if (reset) setsockopt(t->sock->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    net_wait_cancel(&t->read);
    net_wait_cancel(&t->write);
    net_sock_free(t->sock);
    free(t);
}

static const struct net_stream_ops sock_ops = {.recv = sock_recv,
                                               .send = sock_send,
                                               .sendv = net_stream_sendv_each,
                                               .has_input = sock_has_input,
                                               .local = sock_local,
                                               .listen = sock_listen,
                                               .shutdown = sock_shutdown,
                                               .close = sock_close};

struct net_stream *net_stream_of_sock(struct net_sock *sock) {
    struct sock_stream *t = calloc(1, sizeof *t);
    ENSURE(t);
    t->s = (struct net_stream){.ops = &sock_ops, .readable = true, .writable = true};
    t->sock = sock;
    return &t->s;
}
