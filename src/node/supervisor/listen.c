/* listen: a set of listening sockets for every worker, on the same addresses (SO_REUSEPORT: the kernel spreads connections).
 *
 * SO_REUSEPORT lets any process of the same user join a port in silence, so the address is first bound without it: a port
 * in use is then said so.
 */
#include "node/node_int.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

static uint16_t *port_of(struct address *a) {
    return a->storage.ss_family == AF_INET6 ? &((struct sockaddr_in6 *)(void *)&a->storage)->sin6_port
                                            : &((struct sockaddr_in *)(void *)&a->storage)->sin_port;
}

static str shown_url(arena *out, struct address *a) {
    char host[NI_MAXHOST];
    if (getnameinfo((struct sockaddr *)&a->storage, a->length, host, sizeof host, NULL, 0, NI_NUMERICHOST)) return STR("?");
    bool any = !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
    bool six = a->storage.ss_family == AF_INET6;
    unsigned port = ntohs(*port_of(a));
    if (any) return arena_fmt(out, "http://localhost:%u", port); /* what a person can open */
    return six ? arena_fmt(out, "http://[%s]:%u", host, port) : arena_fmt(out, "http://%s:%u", host, port);
}

static err bind_failed(int why, const struct node_listen *l, struct diag *d) {
    const char *host = l->host.n ? (const char *)l->host.p : "*";
    int n = l->host.n ? (int)l->host.n : 1;
    switch (why) {
    case EADDRINUSE:
        return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "port %u on %.*s is in use by another program; choose another with --listen",
                        l->port, n, host);
    case EACCES:
        return diag_set(
            d, ERR_DENIED, DIAG_NOWHERE,
            "port %u may not be used by this user: choose one above 1023 with --listen, or grant CAP_NET_BIND_SERVICE", l->port);
    case EADDRNOTAVAIL:
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "%.*s is no address of this machine%s", n, host,
                        memchr(host, ':', (size_t)n) ? "; an IPv6 address with a port has brackets: --listen [::1]:8080" : "");
    default: return diag_set(d, ERR_NETWORK, DIAG_NOWHERE, "cannot listen on %.*s port %u: %s", n, host, l->port, strerror(why));
    }
}

/* A bound socket, or -1 with errno. */
static int bound(const struct address *a, bool reuse_port, bool both_families) {
    int fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1, off = 0;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (reuse_port) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (a->storage.ss_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, both_families ? &off : &on, sizeof on);
    if (bind(fd, (const struct sockaddr *)&a->storage, a->length) == 0) return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

/* Nobody else has the address; a port 0 becomes the port that was free. */
static err probe(struct address *a, bool both, const struct node_listen *l, struct diag *d) {
    int fd = bound(a, false, both);
    if (fd < 0 || listen(fd, 1)) {
        int why = errno;
        if (fd >= 0) close(fd);
        return bind_failed(why, l, d);
    }
    struct address got = {.length = sizeof got.storage};
    getsockname(fd, (struct sockaddr *)&got.storage, &got.length);
    *port_of(a) = *port_of(&got);
    close(fd);
    return ERR_OK;
}

static err open_address(arena *out, struct address *a, bool both, const struct node_listen *l, uint32_t workers,
                        struct node_sockets *sets, struct diag *d) {
    TRY(probe(a, both, l, d));
    for (uint32_t i = 0; i < workers; i++) {
        int fd = bound(a, true, both);
        if (fd < 0) return bind_failed(errno, l, d);
        vec_push(out, &sets[i].fds, fd);
        if (listen(fd, BACKLOG)) return bind_failed(errno, l, d);
        str url = shown_url(out, a);
        if (!sets[i].shown.n) sets[i].shown = url;
        else sets[i].also = sets[i].also.n ? arena_fmt(out, STR_FMT " " STR_FMT, STR_ARG(sets[i].also), STR_ARG(url)) : url;
    }
    return ERR_OK;
}

static err open_one(arena *out, const struct node_listen *l, uint32_t workers, struct node_sockets *sets, struct diag *d) {
    if (!l->host.n) { /* every address: one socket for both families, or IPv4 alone where there is no IPv6 */
        struct address any = {.length = sizeof(struct sockaddr_in6)};
        *(struct sockaddr_in6 *)(void *)&any.storage =
            (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(l->port)};
        int fd = bound(&any, true, true);
        if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
            any = (struct address){.length = sizeof(struct sockaddr_in)};
            *(struct sockaddr_in *)(void *)&any.storage = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(l->port)};
        }
        if (fd >= 0) close(fd);
        return open_address(out, &any, true, l, workers, sets, d);
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_ADDRCONFIG}, *found = NULL;
    char *host = arena_cstr(out, l->host);
    int bad = getaddrinfo(host, NULL, &hints, &found);
    if (bad) { /* AI_ADDRCONFIG hides loopback on a machine without a network */
        hints.ai_flags = AI_PASSIVE;
        bad = getaddrinfo(host, NULL, &hints, &found);
    }
    if (bad)
        return diag_set(
            d, ERR_USAGE, DIAG_NOWHERE,
            "--listen %s: that is neither an address nor a known name (%s); --listen :8080 is port 8080 of every address", host,
            gai_strerror(bad));
    struct address a = {.length = found->ai_addrlen};
    memcpy(&a.storage, found->ai_addr, found->ai_addrlen);
    *port_of(&a) = htons(l->port);
    freeaddrinfo(found);
    return open_address(out, &a, false, l, workers, sets, d);
}

err node_listen_open(arena *out, const struct node_serve_config *config, uint32_t workers, struct node_sockets *sets,
                     struct diag *d) {
    static const struct node_listen usual = {STR_INIT("127.0.0.1"), 8080};
    const struct node_listen *listens = config->listen_count ? config->listen : &usual;
    size_t count = config->listen_count ? config->listen_count : 1;
    if (count > NODE_LISTEN_MAX)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "at most %d addresses (--listen), not %zu", NODE_LISTEN_MAX, count);
    for (size_t i = 0; i < count; i++) TRY(open_one(out, &listens[i], workers, sets, d));
    return ERR_OK;
}
