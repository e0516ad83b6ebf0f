/* server: accepts, and has the set of connections: their number, their deadlines, draining. */
#include "net/server_int.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- connections ---- */

static void refuse(struct net_server *s, int fd) {
    static const char answer[] =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 1\r\n"
        "Content-Length: 45\r\nConnection: close\r\n\r\n"
        "503 Service Unavailable: too many connections";
    uint8_t sink[4096];
    s->stats.refused++;
    ssize_t n = recv(fd, sink, sizeof sink, MSG_DONTWAIT); /* what was sent already would turn our close into a reset */
    n = send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)n;
    shutdown(fd, SHUT_WR);
    close(fd);
}

/* Out of descriptors: the spare one is given up for a moment to take a connection off the queue and close it. */
static bool make_way(struct net_server *s) {
    if (s->spare_fd < 0) return false;
    close(s->spare_fd);
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) refuse(s, fd);
    s->spare_fd = eventfd(0, EFD_CLOEXEC);
    return fd >= 0;
}

/* Who connects to where a proxy does is one. */
static bool trusts(struct net_server *s, const struct sockaddr_storage *peer) {
    struct net_addr a;
    char text[NET_ADDR_TEXT_MAX];
    net_addr_of((const struct sockaddr *)peer, &a);
    if (net_prefix_has(s->c.trusted, s->c.trusted_count, &a)) return true;
    if (s->c.on_refused)
        s->c.on_refused(str_c(net_addr_text(&a, false, text)), 400, "it is none of the proxies that are trusted", s->c.arg);
    return false;
}

static void accept_some(struct net_server *s, int most) {
    for (int i = 0; i < most; i++) {
        struct sockaddr_storage peer;
        socklen_t n = sizeof peer;
        if (s->stats.connections >= s->c.connections_max && net_conn_unread(s))
            return; /* who comes waits, or would push out who came just before */
        int fd = accept4(s->listen_fd, (struct sockaddr *)&peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if ((errno == EMFILE || errno == ENFILE) && (net_conn_make_room(s) || make_way(s))) continue;
            if (errno == EINTR || errno == ECONNABORTED) continue;
            return;
        }
        if (s->stats.connections >= s->c.connections_max && !net_conn_make_room(s)) {
            refuse(s, fd);
            continue;
        }
        if (UNLIKELY(s->c.proxied) && !trusts(s, &peer)) {
            s->stats.refused++;
            close(fd);
            continue;
        }
        s->stats.accepted++;
        if (s->c.on_accept) s->c.on_accept(s->c.arg);
        net_conn_accept(s, fd, &peer, n);
    }
}

void net_server_adopt(struct net_server *s, const struct net_handover *h) {
    int flags = fcntl(h->fd, F_GETFL), type = 0;
    socklen_t n = sizeof type;
    bool stream = getsockopt(h->fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM && flags >= 0;
    bool fits = h->bytes.n <= NET_HANDOVER_BYTES_MAX;
    if (!stream || !fits || (!(flags & O_NONBLOCK) && fcntl(h->fd, F_SETFL, flags | O_NONBLOCK))) {
        close(h->fd);
        return;
    }
    if (s->stats.connections >= s->c.connections_max && !net_conn_make_room(s)) {
        refuse(s, h->fd);
        return;
    }
    s->stats.adopted++;
    if (s->c.on_accept) s->c.on_accept(s->c.arg);
    net_conn_adopt(s, h->fd, h);
}

static void on_events(uv_poll_t *h, int status, int events) {
    enum { BATCH = 256 };
    struct net_server *s = container_of(h, struct net_server, poll);
    struct epoll_event ev[BATCH];
    (void)status, (void)events;
    net_loop_awake(s->loop);
    net_conn_free_dead(s);
    int n = epoll_wait(s->epoll_fd, ev, BATCH, 0);
    for (int i = 0; i < n; i++) {
        if (ev[i].data.ptr == s) {
            accept_some(s, 8);
            continue;
        }
        struct net_conn *c = container_of((struct net_plain *)ev[i].data.ptr, struct net_conn, plain);
        net_plain_events(&c->plain, ev[i].events);
        if (c->stream) net_lane_put(s->loop, &c->lane);
    }
    net_lanes_run(s->loop);
    net_conn_free_dead(s);
}

static void on_sweep(uv_timer_t *h) {
    struct net_server *s = container_of(h, struct net_server, sweep);
    uint64_t now = net_loop_now_ns(s->loop);
    for (struct net_conn *c = s->conns.next; c != &s->conns; c = c->next) c->protocol->sweep(c, now);
    if (s->draining && s->drain_deadline_ns && now >= s->drain_deadline_ns) {
        s->drain_deadline_ns = 0;
        for (struct net_conn *c = s->conns.next, *next; c != &s->conns; c = next) {
            next = c->next;
            if (c->stream) c->protocol->kill(c);
        }
        net_job_queue(s->loop, &s->drained_job);
    }
    if (s->conns.next == &s->conns && !s->draining) uv_timer_stop(&s->sweep);
}

static uint32_t sweep_ms_for(uint32_t deadline_ms) { return MAX(10u, MIN(deadline_ms / 4, 500u)); }

void net_server_sweep_for(struct net_server *s, uint32_t deadline_ms) {
    uint32_t ms = sweep_ms_for(deadline_ms);
    if (LIKELY(ms >= s->sweep_ms)) return;
    s->sweep_ms = ms;
    uv_timer_set_repeat(&s->sweep, ms);
    uv_timer_again(&s->sweep);
}

static void drained(struct net_job *job) {
    struct net_server *s = container_of(job, struct net_server, drained_job);
    uv_timer_stop(&s->sweep);
    void (*fn)(void *) = s->on_drained;
    s->on_drained = NULL;
    if (fn) fn(s->on_drained_arg);
}

/* ---- life ---- */

static void set_defaults(struct net_server *s, const struct net_server_config *config) {
    s->c = *config;
#define DEFAULT(name, value)                                                                                                     \
    if (!s->c.name) s->c.name = (value)
    DEFAULT(connections_max, 10'000);
    DEFAULT(header_ms_max, 10'000);
    DEFAULT(body_ms_max, 30'000);
    DEFAULT(idle_ms_max, 60'000);
    DEFAULT(handler_ms_max, 60'000);
    DEFAULT(write_ms_max, 30'000);
    DEFAULT(half_closed_ms_max, 5'000);
    DEFAULT(head_bytes_max, 64 << 10);
    DEFAULT(target_bytes_max, 16 << 10);
    DEFAULT(fields_max, 128);
    DEFAULT(queue_bytes_max, 64 << 10);
#undef DEFAULT
    s->limits = (struct http1_limits){s->c.head_bytes_max, s->c.target_bytes_max, s->c.fields_max,
                                      s->c.body_bytes_max ? s->c.body_bytes_max : UINT64_MAX};
    snprintf(s->name, sizeof s->name, STR_FMT, STR_ARG(config->server_name));
    s->c.server_name = str_c(s->name);
    uint32_t shortest = MIN(MIN(s->c.header_ms_max, s->c.body_ms_max), MIN(s->c.idle_ms_max, s->c.handler_ms_max));
    shortest = MIN(shortest, MIN(s->c.write_ms_max, s->c.half_closed_ms_max));
    s->sweep_ms = sweep_ms_for(shortest);
    size_t fields = sizeof(struct net_field) * s->c.fields_max;
    /* Kept for reuse: 64 × 16 KiB + 8 × 64 KiB = 1.5 MiB. */
    s->small = (struct net_pool){
        .block_bytes = MAX((size_t)NET_SMALL_BYTES, fields + NET_SMALL_BYTES / 2), .free_max = 64, .held = &s->held_bytes};
    s->large = (struct net_pool){.block_bytes = NET_LARGE_BYTES, .free_max = 8, .held = &s->held_bytes};
}

static err open_epoll(struct net_server *s, struct diag *d) {
    struct epoll_event ev = {EPOLLIN, {.ptr = s}};
    bool listens = s->listen_fd >= 0;
    if (listens && fcntl(s->listen_fd, F_SETFL, fcntl(s->listen_fd, F_GETFL) | O_NONBLOCK) != 0)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "descriptor %d is no listening socket: %s", s->listen_fd, strerror(errno));
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll_fd < 0 || (listens && epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->listen_fd, &ev) != 0))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "cannot watch the listening socket: %s", strerror(errno));
    return ERR_OK;
}

static uint16_t port_of(int fd) {
    struct sockaddr_storage a;
    socklen_t n = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &n) != 0) return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port : ((struct sockaddr_in *)&a)->sin_port);
}

err net_server_new(const struct net_server_config *config, struct net_server **out, struct diag *d) {
    struct net_server *s = calloc(1, sizeof *s);
    ENSURE(s);
    *out = NULL;
    set_defaults(s, config);
    s->loop = config->loop;
    s->conns.next = s->conns.prev = &s->conns;
    for (int i = 0; i < NET_UNSERVED_COUNT; i++) s->unserved[i] = (struct net_ring){&s->unserved[i], &s->unserved[i]};
    s->drained_job.fn = drained;
    s->listen_fd = config->fd;
    s->epoll_fd = -1;
    err e = open_epoll(s, d);
    if (e != ERR_OK) {
        if (s->epoll_fd >= 0) close(s->epoll_fd);
        free(s);
        return e;
    }
    int one = 1;
    if (s->listen_fd >= 0) setsockopt(s->listen_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* connections inherit it */
    s->spare_fd = eventfd(0, EFD_CLOEXEC);
    s->port = s->listen_fd >= 0 ? port_of(s->listen_fd) : config->port;
    ENSURE(uv_poll_init(&s->loop->uv, &s->poll, s->epoll_fd) == 0 && uv_timer_init(&s->loop->uv, &s->sweep) == 0);
    uv_poll_start(&s->poll, UV_READABLE, on_events);
    uv_timer_start(&s->sweep, on_sweep, s->sweep_ms, s->sweep_ms);
    uv_timer_stop(&s->sweep);
    s->closing = 2;
    *out = s;
    return ERR_OK;
}

uint16_t net_server_port(const struct net_server *s) { return s->port; }
struct net_server_stats net_server_stats(const struct net_server *s) {
    return s->stats;
}

static void stop_listening(struct net_server *s) {
    if (s->listen_fd < 0) return;
    close(s->listen_fd);
    s->listen_fd = -1;
}

void net_server_drain(struct net_server *s, uint32_t ms_max, bool keep_idle, void (*on_drained)(void *arg), void *arg) {
    s->on_drained = on_drained;
    s->on_drained_arg = arg;
    if (s->draining) return;
    if (s->listen_fd >= 0) accept_some(s, 4096); /* who was let in by the kernel is served */
    s->draining = true;
    stop_listening(s);
    if (!keep_idle) {
        s->c.idle_ms_max = MIN(s->c.idle_ms_max, NET_QUIET_MS);
        net_server_sweep_for(s, s->c.idle_ms_max);
    }
    s->drain_deadline_ns = net_loop_now_ns(s->loop) + MAX(ms_max, 1u) * 1000000ull;
    s->events_end_ns = s->drain_deadline_ns - MAX(ms_max, 1u) * 1000000ull / 4; /* time is left for what they still have to say */
    net_server_sweep_for(s, MAX(ms_max / 4, 1u));
    for (struct net_conn *c = s->conns.next, *next; c != &s->conns; c = next) {
        next = c->next;
        if (c->stream) c->protocol->drain(c);
    }
    uv_timer_again(&s->sweep);
    if (!s->stats.connections) net_job_queue(s->loop, &s->drained_job);
}

static void on_closed(uv_handle_t *h) {
    struct net_server *s = h->data;
    if (--s->closing) return;
    free(s);
}

void net_server_free(struct net_server *s) {
    if (!s) return;
    s->draining = false;
    stop_listening(s);
    for (struct net_conn *c = s->conns.next, *next; c != &s->conns; c = next) {
        next = c->next;
        c->protocol->abandon(c);
    }
    net_conn_free_dead(s);
    for (struct net_conn *c = s->spare, *next; c; c = next) next = c->next, free(c);
    net_pool_free(&s->small);
    net_pool_free(&s->large);
    net_job_cancel(&s->drained_job);
    s->poll.data = s->sweep.data = s;
    uv_close((uv_handle_t *)&s->poll, on_closed);
    uv_close((uv_handle_t *)&s->sweep, on_closed);
    close(s->epoll_fd);
    if (s->spare_fd >= 0) close(s->spare_fd);
}
