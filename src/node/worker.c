/* worker: a process that serves requests until it is told to rest.
 *
 *   exec -> start (what it is, its descriptors) -> hello to the supervisor -> serve -> SIGTERM, a byte, or the supervisor is gone -> drain
 *        -> exit 0
 *
 * Its grants and limits are read from the command line, which is the supervisor's. Descriptors: 2 the log, 3 the supervisor.
 */
#include "net/server.h"
#include "node/node_int.h"
#include "wasi/wasi.h"
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct worker {
    const struct node_worker_config *config;
    struct node_guest guest;
    struct node_handler *handler;
    struct net_server *servers[NODE_LISTEN_MAX];
    uint32_t servers_count, drained;
    struct net_watch *control;
    bool draining;
};

static void on_drained(void *arg) {
    struct worker *w = arg;
    if (++w->drained == w->servers_count) net_loop_stop(w->guest.loop);
}

/* keep_idle: a client that holds a connection may be about to use it once more. */
static void drain(struct worker *w, bool keep_idle) {
    if (w->draining) return;
    w->draining = true;
    uint32_t ms = (uint32_t)MIN(w->config->serve->drain_ms_max, UINT32_MAX - 1);
    for (uint32_t i = 0; i < w->servers_count; i++) net_server_drain(w->servers[i], ms, keep_idle, on_drained, w);
}

static void on_signal(void *arg, int signum) { drain(arg, false); }

/* A byte says that a successor has taken over; readable without one, that the supervisor is gone. */
static void on_control(void *arg, unsigned events) {
    struct worker *w = arg;
    char byte;
    ssize_t n = recv(w->config->control_fd, &byte, 1, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        net_watch_free(w->control);
        w->control = NULL;
    }
    drain(w, n > 0);
}

static uint32_t ms_of(uint64_t ms) { return (uint32_t)MIN(ms, NET_NO_LIMIT); }

/* From here on it is not its own fault alone if it dies. */
static void on_accept(void *arg) { node_pulse->served = 1; }

static err open_servers(struct worker *w, struct diag *d) {
    const struct node_limits *l = w->config->limits;
    const struct node_sockets *sockets = &w->config->sockets;
    if (sockets->fds.n > NODE_LISTEN_MAX) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "at most %d addresses", NODE_LISTEN_MAX);
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
            .on_accept = on_accept,
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
    int keep[NODE_LISTEN_MAX + 1], n = 0;
    for (uint32_t i = 0; i < c->sockets.fds.n && i < NODE_LISTEN_MAX; i++) keep[n++] = c->sockets.fds.p[i];
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
    net_loop_beat(w->guest.loop, &node_pulse->beats);
    enum wasi_kind kind = wasi_app_kind(w->guest.app);
    if (!wasi_kind_serves(kind))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it is a %s, which cannot be served", wasi_kind_text(kind));
    w->handler = node_handler_new(&w->guest, c);
    TRY(open_servers(w, d));
    net_loop_on_signal(w->guest.loop, SIGTERM, on_signal, w);
    w->control = net_watch_new(w->guest.loop, c->control_fd, NET_READABLE, on_control, w);
    return ERR_OK;
}

/* ---- being started ---- */

enum { CONTROL_FD = 3 };
static char worker_name[] = "orlo-worker";
static char **own_argv;
static bool started_as_worker;

struct start {
    uint32_t index, workers;
    struct log_style log;
    struct abi_key_public key;
    char shown[256];
}; /* and the descriptors of image, pulse, and listening sockets */

void node_be(char **argv) {
    node_job_be(argv, NULL, 0);
    own_argv = argv;
    started_as_worker = argv[0] && !strcmp(argv[0], worker_name);
}

pid_t node_worker_start(const struct node_worker_config *c, int pulse_fd, int log_fd, int supervisor_fd) {
    struct start start = {c->index, c->workers, log_style(), c->image.key, ""};
    int fds[NODE_LISTEN_MAX + 2] = {c->image.fd, pulse_fd}, n = 2;
    for (uint32_t i = 0; i < c->sockets.fds.n && i < NODE_LISTEN_MAX; i++) fds[n++] = c->sockets.fds.p[i];
    snprintf(start.shown, sizeof start.shown, STR_FMT, STR_ARG(c->sockets.shown));
    if (node_send_fds(supervisor_fd, &start, sizeof start, fds, n) != ERR_OK) return -1;
    ENSURE(own_argv);
    pid_t pid = fork();
    if (pid) return pid;
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    own_argv[0] = worker_name;
    node_exec_self((int[]){null, null, log_fd, c->control_fd}, 4, own_argv, environ);
}

bool node_worker_started(arena *out, struct node_worker_config *c, struct diag *d, err *e) {
    if (!started_as_worker) return false;
    struct start start;
    int fds[NODE_LISTEN_MAX + 2], n = ARRAY_COUNT(fds);
    c->control_fd = CONTROL_FD;
    *e = node_recv_fds(CONTROL_FD, &start, sizeof start, fds, &n);
    if (*e != ERR_OK || n < 3) {
        *e = diag_set(d, ERR_USAGE, DIAG_NOWHERE, "this is started by orlo itself");
        return true;
    }
    fcntl(CONTROL_FD, F_SETFL, O_NONBLOCK);
    log_init(STDERR_FILENO, start.log.json, start.log.min);
    log_to(node_log_send, NULL);
    c->index = start.index;
    c->workers = start.workers;
    c->image = (struct node_image){fds[0], start.key};
    c->sockets.shown = str_c(arena_cstr(out, str_c(start.shown)));
    for (int i = 2; i < n; i++) vec_push(out, &c->sockets.fds, fds[i]);
    *e = node_pulse_map(fds[1], d);
    close(fds[1]);
    return true;
}

/* ---- its life ---- */

static void say_hello(const struct node_worker_config *config, err e, uint32_t kind, const struct diag *d) {
    struct node_hello hello = {.err = (uint32_t)e, .kind = kind, .diag = *d};
    if (send(config->control_fd, &hello, sizeof hello, MSG_NOSIGNAL) < 0) { /* the supervisor is gone: seen as EOF soon */
    }
}

const char *node_kind_text(uint32_t wasi_kind) { return wasi_kind_text((enum wasi_kind)wasi_kind); }
bool node_kind_is_service(uint32_t wasi_kind) { return wasi_kind == WASI_P3_HTTP; }

int node_worker_main(const struct node_worker_config *config) {
    prctl(PR_SET_NAME, worker_name);
    mallopt(M_MMAP_THRESHOLD, 256 << 10); /* fixed: what is large goes back to the system when it is freed, and leaves no holes */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    node_pulse_signals();
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
