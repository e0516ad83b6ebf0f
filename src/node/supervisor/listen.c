/* listen: doors: addresses, and at each a listening socket for every worker (SO_REUSEPORT: the kernel spreads connections).
 *
 * 1. A door that is configured anew stays the door it is, with all its sockets: those of workers that are no longer go to the others, so
 *    that nobody who has connected is lost.
 *
 * SO_REUSEPORT lets any process of the same user join a port in silence, so the address is first bound without it: a port
 * in use is then said so.
 */
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
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

static void show_url(struct address *a, bool tls, char *to, size_t n) {
    char host[NI_MAXHOST] = "?";
    (void)!getnameinfo((struct sockaddr *)&a->storage, a->length, host, sizeof host, NULL, 0, NI_NUMERICHOST);
    bool any = !strcmp(host, "0.0.0.0") || !strcmp(host, "::");
    bool six = a->storage.ss_family == AF_INET6;
    unsigned port = ntohs(*port_of(a));
    const char *scheme = tls ? "https" : "http";
    if (any) snprintf(to, n, "%s://localhost:%u", scheme, port); /* what a person can open */
    else snprintf(to, n, six ? "%s://[%.200s]:%u" : "%s://%.200s:%u", scheme, host, port);
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

/* So many that listen. Those there are stay: who has connected to one waits in its queue. */
static err add_sockets(struct door *door, const struct node_listen *l, uint32_t count, struct diag *d) {
    struct address a = {door->address, (socklen_t)door->address_bytes};
    if (count <= door->count) return ERR_OK;
    door->fds = realloc(door->fds, count * sizeof *door->fds);
    ENSURE(door->fds);
    while (door->count < count) {
        int fd = bound(&a, true, door->both);
        if (fd < 0) return bind_failed(errno, l, d);
        door->fds[door->count++] = fd;
        if (listen(fd, BACKLOG)) return bind_failed(errno, l, d);
    }
    return ERR_OK;
}

uint32_t node_door_port(const struct door *door) {
    struct address a = {door->address, (socklen_t)door->address_bytes};
    return ntohs(*port_of(&a));
}

str node_door_url(arena *out, const struct door *door, bool tls) {
    struct address a = {door->address, (socklen_t)door->address_bytes};
    char shown[300];
    show_url(&a, tls, shown, sizeof shown);
    return arena_str(out, str_c(shown));
}

void node_door_leave(struct door *door) {
    if (--door->uses) return;
    for (uint32_t i = 0; i < door->count; i++) close(door->fds[i]);
    free(door->fds);
    free((void *)(uintptr_t)door->host.p);
    free(door);
}

struct door *node_door_taken(str host, uint16_t asked_port, bool both, const struct sockaddr *a, uint32_t a_bytes) {
    struct door *door = calloc(1, sizeof *door);
    uint8_t *own = malloc(host.n + 1);
    struct address at = {.length = a_bytes};
    ENSURE(door && own && a_bytes <= sizeof at.storage);
    if (host.n) memcpy(own, host.p, host.n);
    memcpy(&at.storage, a, a_bytes);
    *door = (struct door){.uses = 1,
                          .host = {own, host.n},
                          .asked_port = asked_port,
                          .address = at.storage,
                          .address_bytes = a_bytes,
                          .both = both};
    return door;
}

void node_door_add(struct door *door, int fd) {
    door->fds = realloc(door->fds, (door->count + 1) * sizeof *door->fds);
    ENSURE(door->fds);
    door->fds[door->count++] = fd;
}

static bool has_door(const struct setup *s, const struct door *door) {
    for (uint32_t i = 0; i < s->doors_count; i++)
        if (s->doors[i] == door) return true;
    return false;
}

/* Of several at any port (0) each is one. */
static struct door *same(const struct setup *before, const struct setup *coming, const struct node_listen *l) {
    for (uint32_t i = 0; before && i < before->doors_count; i++) {
        struct door *door = before->doors[i];
        if (str_eq(door->host, l->host) && door->asked_port == l->port && !has_door(coming, door)) return door;
    }
    return NULL;
}

/* Every address: one socket for both families, or IPv4 alone where there is no IPv6. */
static struct address any_address(uint16_t port) {
    struct address any = {.length = sizeof(struct sockaddr_in6)};
    *(struct sockaddr_in6 *)(void *)&any.storage = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int fd = bound(&any, true, true);
    if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) {
        any = (struct address){.length = sizeof(struct sockaddr_in)};
        *(struct sockaddr_in *)(void *)&any.storage = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    }
    if (fd >= 0) close(fd);
    return any;
}

static err find_address(const struct node_listen *l, struct address *a, struct diag *d) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_ADDRCONFIG}, *found = NULL;
    arena *scratch = arena_new(0);
    char *host = arena_cstr(scratch, l->host);
    int bad = getaddrinfo(host, NULL, &hints, &found);
    if (bad) { /* AI_ADDRCONFIG hides loopback on a machine without a network */
        hints.ai_flags = AI_PASSIVE;
        bad = getaddrinfo(host, NULL, &hints, &found);
    }
    if (bad)
        diag_set(d, ERR_USAGE, DIAG_NOWHERE,
                 "--listen %s: that is neither an address nor a known name (%s); --listen :8080 is port 8080 of every address",
                 host, gai_strerror(bad));
    arena_free(scratch);
    if (bad) return ERR_USAGE;
    *a = (struct address){.length = found->ai_addrlen};
    memcpy(&a->storage, found->ai_addr, found->ai_addrlen);
    *port_of(a) = htons(l->port);
    freeaddrinfo(found);
    return ERR_OK;
}

err node_door_open(const struct node_listen *l, const struct setup *coming, const struct setup *before, struct door **out,
                   struct diag *d) {
    uint32_t workers = coming->workers;
    struct address a;
    *out = same(before, coming, l);
    if (*out) {
        (*out)->uses++;
        return add_sockets(*out, l, workers, d);
    }
    if (!l->host.n) a = any_address(l->port);
    else TRY(find_address(l, &a, d));
    TRY(probe(&a, !l->host.n, l, d));
    struct door *door = *out = calloc(1, sizeof *door);
    uint8_t *host = malloc(l->host.n + 1);
    ENSURE(door && host);
    if (l->host.n) memcpy(host, l->host.p, l->host.n);
    *door = (struct door){.uses = 1,
                          .host = {host, l->host.n},
                          .asked_port = l->port,
                          .address = a.storage,
                          .address_bytes = a.length,
                          .both = !l->host.n};
    return add_sockets(door, l, workers, d);
}
