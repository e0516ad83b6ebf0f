/* fds: a message of fixed size, with descriptors, between processes of the node. */
#include "node/node_int.h"
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS_MAX = 32 };

err node_send_fds(int to, const void *p, size_t n, const int *fds, int count) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FDS_MAX)] = {0};
    struct iovec v = {(void *)(uintptr_t)p, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    ENSURE(count <= FDS_MAX);
    if (count) {
        m.msg_control = control;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), fds, sizeof(int) * (size_t)count);
    }
    ssize_t sent;
    while ((sent = sendmsg(to, &m, MSG_NOSIGNAL)) < 0 && errno == EINTR) {}
    return sent == (ssize_t)n ? ERR_OK : ERR_IO;
}

err node_recv_fds(int from, void *p, size_t n, int *fds, int *count) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * FDS_MAX)];
    struct iovec v = {p, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int most = *count;
    *count = 0;
    ssize_t got;
    while ((got = recvmsg(from, &m, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {}
    if (got < 0) return ERR_IO;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
        size_t came = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < came; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (*count < most) fds[(*count)++] = fd;
            else close(fd);
        }
    }
    return got == (ssize_t)n && !(m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ? ERR_OK : ERR_IO;
}
