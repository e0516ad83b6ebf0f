/* stream: streams as their users see them, and the plainest: a socket. */
#include "net/stream_int.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

ssize_t net_stream_recv(struct net_stream *s, void *p, size_t n) { return s->ops->recv(s, p, n); }
ssize_t net_stream_send(struct net_stream *s, const void *p, size_t n) { return s->ops->send(s, p, n); }
ssize_t net_stream_sendv(struct net_stream *s, const struct iovec *parts, int count) { return s->ops->sendv(s, parts, count); }
bool net_stream_has_input(struct net_stream *s) { return s->ops->has_input(s); }
bool net_stream_ending(const struct net_stream *s) { return s->ending; }
void net_stream_shutdown(struct net_stream *s) { s->ops->shutdown(s); }
void net_stream_close(struct net_stream *s, bool reset) { s->ops->close(s, reset); }

void net_stream_listen(struct net_stream *s, void (*fn)(void *arg), void *arg) {
    s->ready = fn;
    s->arg = arg;
    if (s->ops->listen) s->ops->listen(s);
}

ssize_t net_stream_sendv_each(struct net_stream *s, const struct iovec *parts, int count) {
    ssize_t all = 0;
    for (int i = 0; i < count; i++) {
        if (!parts[i].iov_len) continue;
        ssize_t n = s->ops->send(s, parts[i].iov_base, parts[i].iov_len);
        if (n > 0) all += n;
        if (n != (ssize_t)parts[i].iov_len) return all ? all : n;
    }
    return all;
}

/* ---- a socket ---- */

static int fd_of(struct net_stream *s) { return container_of(s, struct net_plain, s)->fd; }

static ssize_t fell_short(struct net_stream *s, bool *flag) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
        *flag = false;
        return NET_STREAM_WAIT;
    }
    s->failed = true;
    return NET_STREAM_FAILED;
}

static ssize_t plain_recv(struct net_stream *s, void *p, size_t n) {
    for (;;) {
        ssize_t got = recv(fd_of(s), p, n, 0);
        if (LIKELY(got > 0)) {
            /* Fewer than asked for: the kernel had no more (epoll(7)); the end of the stream would raise another edge, unless it was seen already. */
            s->readable = (size_t)got == n || s->half_closed;
            return got;
        }
        if (got == 0) return 0;
        if (errno != EINTR) return fell_short(s, &s->readable);
    }
}

/* A short write is a full socket buffer: the next edge says when it is not. */
static ssize_t plain_sent(struct net_stream *s, ssize_t sent, size_t wanted) {
    if (UNLIKELY(sent < 0)) return fell_short(s, &s->writable);
    s->writable = (size_t)sent == wanted;
    return sent;
}

static ssize_t plain_send(struct net_stream *s, const void *p, size_t n) {
    ssize_t sent;
    do sent = send(fd_of(s), p, n, MSG_NOSIGNAL);
    while (UNLIKELY(sent < 0 && errno == EINTR));
    return plain_sent(s, sent, n);
}

static ssize_t plain_sendv(struct net_stream *s, const struct iovec *parts, int count) {
    struct msghdr m = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};
    size_t wanted = 0;
    ssize_t sent;
    for (int i = 0; i < count; i++) wanted += parts[i].iov_len;
    do sent = sendmsg(fd_of(s), &m, MSG_NOSIGNAL);
    while (UNLIKELY(sent < 0 && errno == EINTR));
    return plain_sent(s, sent, wanted);
}

/* A file that cannot be read is its owner's to find out: nothing of it went. */
static ssize_t plain_file(struct net_stream *s, const void *head, size_t head_n, int fd, uint64_t at, size_t n) {
    off_t from = (off_t)at;
    ssize_t first = 0, then = 0;
    if (head_n) {
        do first = send(fd_of(s), head, head_n, MSG_NOSIGNAL | MSG_MORE);
        while (UNLIKELY(first < 0 && errno == EINTR));
        if (first != (ssize_t)head_n) return plain_sent(s, first, head_n);
    }
    for (; n; n -= (size_t)then, first += then) { /* a signal ends it early; a full socket says so */
        do then = sendfile(fd_of(s), fd, &from, n);
        while (UNLIKELY(then < 0 && errno == EINTR));
        if (then <= 0) break;
    }
    s->writable = !n || then == 0 || errno != EAGAIN;
    return first;
}

static bool plain_has_input(struct net_stream *s) {
    uint8_t byte;
    return recv(fd_of(s), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static bool plain_local(struct net_stream *s, struct net_addr *out) {
    struct sockaddr_storage local = {0};
    struct sockaddr *any = (struct sockaddr *)(void *)&local;
    socklen_t n = sizeof local;
    if (getsockname(fd_of(s), any, &n) != 0) return false;
    net_addr_of(any, out);
    return true;
}

static void plain_shutdown(struct net_stream *s) {
    container_of(s, struct net_plain, s)->shut = true;
    shutdown(fd_of(s), SHUT_WR);
}

static void plain_close(struct net_stream *s, bool reset) {
    if (reset) setsockopt(fd_of(s), SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    close(fd_of(s));
    container_of(s, struct net_plain, s)->fd = -1;
}

static const struct net_stream_ops plain_ops = {.recv = plain_recv,
                                                .send = plain_send,
                                                .sendv = plain_sendv,
                                                .file = plain_file,
                                                .has_input = plain_has_input,
                                                .local = plain_local,
                                                .shutdown = plain_shutdown,
                                                .close = plain_close};

void net_plain_init(struct net_plain *p, int fd) {
    *p = (struct net_plain){.s = {.ops = &plain_ops, .writable = true}, .fd = fd};
}

void net_plain_events(struct net_plain *p, uint32_t events) {
    struct net_stream *s = &p->s;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) s->readable = true;
    if (events & EPOLLOUT) s->writable = true;
    if (events & EPOLLRDHUP) s->half_closed = true;
    if (events & EPOLLERR || (events & EPOLLHUP && !p->shut)) s->failed = true;
}
