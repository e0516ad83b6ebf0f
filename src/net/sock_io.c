/* sock: the system's calls, and what their errors mean. */
#include "net/sock_int.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

static enum net_sock_error error_of(int why) {
    static const struct {
        int why;
        enum net_sock_error error;
    } table[] = {
#define X(why, error) {why, NET_SOCK_##error},
#include "net/sock_errno.def"
#undef X
    };
    for (size_t i = 0; i < ARRAY_COUNT(table); i++)
        if (table[i].why == why) return table[i].error;
    return NET_SOCK_OTHER;
}
static enum net_sock_error outcome(int64_t result) { return result < 0 ? error_of(errno) : NET_SOCK_OK; }

static struct sockaddr *generic(struct sockaddr_storage *a) { return (struct sockaddr *)(void *)a; }

enum net_sock_error net_sock_new(struct net_loop *l, enum net_sock_kind kind, bool v6, struct net_sock **out) {
    int type = (kind == NET_SOCK_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, on = 1;
    int fd = socket(v6 ? AF_INET6 : AF_INET, type, 0);
    *out = NULL;
    if (fd < 0) return error_of(errno);
    if (v6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (kind == NET_SOCK_TCP) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    *out = net_sock_wrap(l, fd, kind, v6);
    return NET_SOCK_OK;
}

enum net_sock_error net_sock_bind(struct net_sock *s, const struct net_addr *local) {
    struct sockaddr_storage a;
    socklen_t n = net_addr_sockaddr(local, &a);
    if (bind(s->fd, generic(&a), n) == 0) return NET_SOCK_OK;
    return errno == EAFNOSUPPORT ? NET_SOCK_INVALID_ARGUMENT : error_of(errno);
}

static enum net_sock_error dissolve(struct net_sock *s) {
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    return outcome(connect(s->fd, &none, sizeof none));
}

enum net_sock_error net_sock_connect(struct net_sock *s, const struct net_addr *remote) {
    if (!remote) return dissolve(s);
    struct sockaddr_storage a;
    socklen_t n = net_addr_sockaddr(remote, &a);
    int r = connect(s->fd, generic(&a), n);
    if (r < 0 && errno == EINVAL &&
        s->kind == NET_SOCK_UDP) { /* the way to it starts at another address than the last one's did */
        dissolve(s);
        r = connect(s->fd, generic(&a), n);
    }
    if (r == 0) return NET_SOCK_OK;
    switch (errno) {
    case EADDRNOTAVAIL: return NET_SOCK_ADDRESS_IN_USE; /* no port is left (connect(2)) */
    case EAFNOSUPPORT: return NET_SOCK_INVALID_ARGUMENT;
    default: return error_of(errno);
    }
}

enum net_sock_error net_sock_connected(struct net_sock *s) {
    struct pollfd one = {.fd = s->fd, .events = POLLOUT};
    int why = 0;
    socklen_t n = sizeof why;
    if (poll(&one, 1, 0) == 0) return NET_SOCK_WOULD_BLOCK;
    if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &why, &n) < 0) return error_of(errno);
    return why ? error_of(why) : NET_SOCK_OK;
}

enum net_sock_error net_sock_listen(struct net_sock *s, int backlog) { return outcome(listen(s->fd, backlog)); }

/* Of the connection that would have been accepted, not of the listener (accept(2)). */
static bool of_the_connection(int why) {
    static const int list[] = {ECONNABORTED, ECONNRESET,   ENETRESET,  EPROTO,      ENOPROTOOPT, EHOSTDOWN,
                               ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH, ENETDOWN,    EINTR};
    for (size_t i = 0; i < ARRAY_COUNT(list); i++)
        if (list[i] == why) return true;
    return false;
}

enum net_sock_error net_sock_accept(struct net_sock *s, struct net_sock **out) {
    int fd;
    *out = NULL;
    do fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    while (fd < 0 && of_the_connection(errno));
    if (fd < 0) return error_of(errno);
    *out = net_sock_wrap(s->loop, fd, s->kind, s->v6);
    return NET_SOCK_OK;
}

typedef int (*name_fn)(int fd, struct sockaddr *a, socklen_t *n);
static enum net_sock_error name_of(const struct net_sock *s, name_fn fn, struct net_addr *out) {
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    *out = (struct net_addr){.v6 = s->v6};
    if (fn(s->fd, generic(&a), &n) < 0) return error_of(errno);
    net_addr_of(generic(&a), out);
    return NET_SOCK_OK;
}
/* glibc types the argument as a transparent union. */
static int own_name(int fd, struct sockaddr *a, socklen_t *n) { return getsockname(fd, a, n); }
static int peer_name(int fd, struct sockaddr *a, socklen_t *n) { return getpeername(fd, a, n); }

enum net_sock_error net_sock_local(const struct net_sock *s, struct net_addr *out) { return name_of(s, own_name, out); }
enum net_sock_error net_sock_remote(const struct net_sock *s, struct net_addr *out) { return name_of(s, peer_name, out); }

/* ---- bytes and datagrams ---- */

enum net_sock_error net_sock_receive(struct net_sock *s, void *p, size_t n, size_t *got) {
    ssize_t r = recv(s->fd, p, n, 0);
    *got = r > 0 ? (size_t)r : 0;
    return outcome(r);
}

enum net_sock_error net_sock_send(struct net_sock *s, str data, size_t *sent) {
    ssize_t r = send(s->fd, data.p, data.n, MSG_NOSIGNAL);
    *sent = r > 0 ? (size_t)r : 0;
    return outcome(r);
}

void net_sock_no_delay(struct net_sock *s) {
    int on = 1;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

enum net_sock_error net_sock_receive_from(struct net_sock *s, void *p, size_t n, size_t *got, struct net_addr *from) {
    struct sockaddr_storage a = {0};
    socklen_t length = sizeof a;
    ssize_t r = recvfrom(s->fd, p, n, 0, generic(&a), &length);
    *got = r > 0 ? (size_t)r : 0;
    net_addr_of(generic(&a), from);
    return outcome(r);
}

enum net_sock_error net_sock_send_to(struct net_sock *s, str data, const struct net_addr *to) {
    struct sockaddr_storage a;
    socklen_t n = to ? net_addr_sockaddr(to, &a) : 0;
    return outcome(sendto(s->fd, data.p, data.n, MSG_NOSIGNAL, to ? generic(&a) : NULL, n));
}

/* ---- options ---- */

static const struct option {
    int level[2], name[2]; /* IPv4, IPv6 */
    uint64_t unit;
    int least, most, initial; /* as the system counts; buffers: before doubling */
} options[] = {
#define X(option, level4, name4, level6, name6, unit, least, most, initial)                                                      \
    [NET_SOCK_##option] = {{level4, level6}, {name4, name6}, unit, least, most, initial},
#include "net/sock_option.def"
#undef X
};

static int clamp(const struct option *o, uint64_t value) {
    uint64_t v = o->unit ? value / o->unit : value;
    return v < (uint64_t)o->least ? o->least : v > (uint64_t)o->most ? o->most : (int)v;
}
static uint64_t unscale(const struct option *o, int v) { return (uint64_t)v * (o->unit ? o->unit : 1); }

uint64_t net_sock_option_clamp(enum net_sock_option o, uint64_t value) { return unscale(&options[o], clamp(&options[o], value)); }
uint64_t net_sock_option_initial(enum net_sock_option o) { return unscale(&options[o], options[o].initial); }

enum net_sock_error net_sock_get(const struct net_sock *s, enum net_sock_option option, uint64_t *value) {
    const struct option *o = &options[option];
    int v = 0;
    socklen_t n = sizeof v;
    if (getsockopt(s->fd, o->level[s->v6], o->name[s->v6], &v, &n) < 0) return error_of(errno);
    *value = unscale(o, o->unit ? v : v / 2);
    return NET_SOCK_OK;
}

enum net_sock_error net_sock_set(struct net_sock *s, enum net_sock_option option, uint64_t value) {
    const struct option *o = &options[option];
    int v = clamp(o, value);
    return outcome(setsockopt(s->fd, o->level[s->v6], o->name[s->v6], &v, sizeof v));
}
