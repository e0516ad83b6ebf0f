/* worker: a process that serves requests until it is told to rest.
 *
 *   start -> hello to the supervisor -> serve -> SIGTERM, or the supervisor is gone -> drain -> exit 0
 */
#include "net/net.h"
#include "node/node_int.h"
#include "wasi/wasi.h"
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SERVERS_MAX = 16 };

struct worker {
    const struct node_worker_config *config;
    struct node_guest guest;
    struct node_handler *handler;
    struct net_server *servers[SERVERS_MAX];
    uint32_t servers_count, drained;
    struct net_watch *control;
    bool draining;
};

static void on_drained(void *arg) {
    struct worker *w = arg;
    if (++w->drained == w->servers_count) net_loop_stop(w->guest.loop);
}

static void drain(struct worker *w) {
    if (w->draining) return;
    w->draining = true;
    uint32_t ms = (uint32_t)MIN(w->config->serve->drain_ms_max, UINT32_MAX - 1);
    for (uint32_t i = 0; i < w->servers_count; i++) net_server_drain(w->servers[i], ms, on_drained, w);
}

static void on_signal(void *arg, int signum) { drain(arg); }

/* The supervisor says nothing; readable means that it is gone. */
static void on_control(void *arg, unsigned events) {
    struct worker *w = arg;
    char byte;
    ssize_t n = recv(w->config->control_fd, &byte, 1, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    net_watch_free(w->control);
    w->control = NULL;
    drain(w);
}

static uint32_t ms_of(uint64_t ms) { return (uint32_t)MIN(ms, NET_NO_LIMIT); }

static err open_servers(struct worker *w, struct diag *d) {
    const struct node_limits *l = w->config->limits;
    const struct node_sockets *sockets = &w->config->sockets;
    if (sockets->fds.n > SERVERS_MAX) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "at most %d addresses", SERVERS_MAX);
    for (uint32_t i = 0; i < sockets->fds.n; i++) {
        struct net_server_config config = {
            .loop = w->guest.loop,
            .listen = sockets->shown,
            .fd = sockets->fds.p[i],
            .connections_max = ms_of(l->connections_max),
            .header_ms_max = ms_of(l->header_ms_max),
            .body_ms_max = ms_of(l->body_idle_ms_max),
            .idle_ms_max = ms_of(l->idle_ms_max),
            .handler_ms_max = ms_of(l->handler_ms_max),
            .body_bytes_max = l->body_bytes_max,
            .memory_bytes_max = node_connections_memory(l, w->config->workers) / sockets->fds.n,
            .on_request = node_handler_request,
            .on_refused = node_handler_refused,
            .arg = w->handler,
        };
        TRY(net_server_new(&config, &w->servers[i], d));
        w->servers_count++;
    }
    return ERR_OK;
}

static err open_worker(struct worker *w, struct diag *d) {
    const struct node_worker_config *c = w->config;
    int keep[SERVERS_MAX + 1], n = 0;
    for (uint32_t i = 0; i < c->sockets.fds.n && i < SERVERS_MAX; i++) keep[n++] = c->sockets.fds.p[i];
    keep[n++] = c->control_fd;
    const char *slash = strrchr(c->serve->file, '/');
    str name = str_c(slash ? slash + 1 : c->serve->file);
    struct node_guest_config guest = {
        .image = c->image,
        .grants = &c->serve->grants,
        .limits = c->limits,
        .workers = c->workers,
        .args = &name,
        .args_count = 1,
        .keep = keep,
        .keep_count = (size_t)n,
    };
    TRY(node_guest_open(&w->guest, &guest, d));
    enum wasi_kind kind = wasi_app_kind(w->guest.app);
    if (!wasi_kind_serves(kind))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it is a %s, which cannot be served", wasi_kind_text(kind));
    w->handler = node_handler_new(&w->guest, c);
    TRY(open_servers(w, d));
    net_loop_on_signal(w->guest.loop, SIGTERM, on_signal, w);
    w->control = net_watch_new(w->guest.loop, c->control_fd, NET_READABLE, on_control, w);
    return ERR_OK;
}

static void say_hello(const struct node_worker_config *config, err e, uint32_t kind, const struct diag *d) {
    struct node_hello hello = {.err = (uint32_t)e, .kind = kind, .diag = *d};
    if (send(config->control_fd, &hello, sizeof hello, MSG_NOSIGNAL) < 0) { /* the supervisor is gone: seen as EOF soon */
    }
}

const char *node_kind_text(uint32_t wasi_kind) { return wasi_kind_text((enum wasi_kind)wasi_kind); }

int node_worker_main(const struct node_worker_config *config) {
    prctl(PR_SET_NAME, "orlo-worker");
    signal(SIGINT, SIG_IGN); /* a terminal sends it to all: the supervisor decides */
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    struct worker w = {.config = config};
    struct diag d = DIAG_INIT;
    err e = open_worker(&w, &d);
    if (e != ERR_OK) {
        diag_set(&d, e, DIAG_NOWHERE, "%s", err_text(e));
        say_hello(config, e, 0, &d);
        return 1;
    }
    say_hello(config, ERR_OK, (uint32_t)wasi_app_kind(w.guest.app), &d);
    net_loop_run(w.guest.loop);
    log_hold(false);
    if (node_handler_busy(w.handler)) return 0; /* cut off by the deadline: the system takes back what they hold */
    for (uint32_t i = 0; i < w.servers_count; i++) net_server_free(w.servers[i]);
    if (w.control) net_watch_free(w.control);
    node_handler_free(w.handler);
    node_guest_close(&w.guest);
    return 0;
}
