/* standard: see standard.h. */
#include "wasi/standard.h"
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIPE_BYTES = 4096 /* PIPE_BUF: a pipe that is writable takes so much at once */, FILE_BYTES = 64 << 10 };

bool wasi_std_ready(int fd, unsigned events) {
    struct pollfd one = {.fd = fd, .events = events & NET_READABLE ? POLLIN : POLLOUT};
    return poll(&one, 1, 0) != 0;
}

int wasi_std_read(int fd, void *p, size_t n, size_t *got) {
    *got = 0;
    if (!wasi_std_ready(fd, NET_READABLE)) return EAGAIN;
    ssize_t r = read(fd, p, n);
    if (r < 0) return errno == EINTR ? EAGAIN : errno;
    *got = (size_t)r;
    return 0;
}

size_t wasi_std_room(int fd) {
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) return FILE_BYTES;
    return wasi_std_ready(fd, NET_WRITABLE) ? PIPE_BYTES : 0;
}

struct wasi_std_watch {
    int epoll;
    struct net_watch *watch;
    void (*fn)(void *arg);
    void *arg;
};

static void on_event(void *arg, unsigned events) {
    struct wasi_std_watch *w = arg;
    w->fn(w->arg);
}

struct wasi_std_watch *wasi_std_watch_new(struct net_loop *l, int fd, unsigned events, void (*fn)(void *arg), void *arg) {
    struct epoll_event ev = {.events = events & NET_READABLE ? EPOLLIN : EPOLLOUT};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        if (epoll >= 0) close(epoll);
        return NULL;
    }
    struct wasi_std_watch *w = calloc(1, sizeof *w);
    ENSURE(w);
    *w = (struct wasi_std_watch){.epoll = epoll, .fn = fn, .arg = arg};
    w->watch = net_watch_new(l, epoll, NET_READABLE, on_event, w);
    if (w->watch) return w;
    close(epoll);
    free(w);
    return NULL;
}

void wasi_std_watch_free(struct wasi_std_watch *w) {
    if (!w) return;
    net_watch_free(w->watch);
    close(w->epoll);
    free(w);
}
