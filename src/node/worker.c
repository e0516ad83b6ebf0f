/* worker: a process that serves requests until it is told to rest.
 *
 *   start (what it is, its descriptors) -> hello to the supervisor -> serve -> SIGTERM, `rest`, or the supervisor is gone -> drain
 *        -> exit 0
 *
 * Its grants and limits are read from the command line, which is the supervisor's.
 */
#include "net/server.h"
#include "node/node_int.h"
#include "node/role.h"
#include "wasi/wasi.h"
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

struct worker {
    const struct node_worker_config *config;
    struct node_guest guest;
    struct node_handler *handler;
    struct net_server *servers[NODE_LISTEN_MAX];
    uint32_t servers_count, drained;
    struct net_watch *wire;
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
    uint32_t ms = (uint32_t)MIN(w->config->limits->drain_ms_max, UINT32_MAX - 1);
    for (uint32_t i = 0; i < w->servers_count; i++) net_server_drain(w->servers[i], ms, keep_idle, on_drained, w);
}

static void on_signal(void *arg, int signum) { drain(arg, false); }

/* `rest`: a successor has taken over. Anything else: the supervisor is gone. */
static void on_wire(void *arg, unsigned events) {
    struct worker *w = arg;
    struct node_message m;
    enum node_wire_got got = node_wire_receive(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_worker, &m);
    if (got == NODE_WIRE_AGAIN) return;
    bool rest = got == NODE_WIRE_GOT && m.type == NODE_MSG_rest;
    if (!rest) {
        net_watch_free(w->wire);
        w->wire = NULL;
    }
    drain(w, rest);
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
            .fd = sockets->fds.p[i],
            .connections_max = ms_of(l->connections_max),
            .header_ms_max = ms_of(l->header_ms_max),
            .body_ms_max = ms_of(l->body_idle_ms_max),
            .idle_ms_max = ms_of(l->idle_ms_max),
            .handler_ms_max = ms_of(l->app.handler_ms_max),
            .body_bytes_max = l->app.body_bytes_max,
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
    keep[n++] = NODE_WIRE_FD;
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
    w->wire = net_watch_new(w->guest.loop, NODE_WIRE_FD, NET_READABLE, on_wire, w);
    return ERR_OK;
}

/* ---- being started ---- */

static char **own_argv;
static bool started_as_worker;

void node_be(char **argv) {
    own_argv = argv;
    switch (node_role_of(argv)) {
    case NODE_ROLE_job: _exit(node_job_main(NULL));
    case NODE_ROLE_keys: _exit(node_keys_main());
    case NODE_ROLE_worker: started_as_worker = true; break;
    default: break;
    }
}

bool node_worker_start(const struct node_worker_config *c, int pulse_fd, int log_fd, struct node_process *out) {
    struct log_style log = log_style();
    struct node_message m = NODE_MESSAGE(start, .index = c->index, .workers = c->workers, .log_json = log.json,
                                         .log_min = (uint8_t)log.min, .shown = str_sub(c->sockets.shown, 0, 256));
    memcpy(m.start.key, c->image.key.bytes, sizeof m.start.key);
    m.fds[m.fds_count++] = c->image.fd;
    m.fds[m.fds_count++] = pulse_fd;
    for (uint32_t i = 0; i < c->sockets.fds.n && i < NODE_LISTEN_MAX; i++) m.fds[m.fds_count++] = c->sockets.fds.p[i];
    ENSURE(own_argv);
    return node_role_start(NODE_ROLE_worker, log_fd, own_argv, out) && node_wire_send(out->wire, &m) == ERR_OK;
}

bool node_worker_started(arena *out, struct node_worker_config *c, struct diag *d, err *e) {
    if (!started_as_worker) return false;
    struct node_message m;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_worker, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_start) {
        *e = diag_set(d, ERR_USAGE, DIAG_NOWHERE, "this is started by orlo itself");
        return true;
    }
    fcntl(NODE_WIRE_FD, F_SETFL, O_NONBLOCK);
    log_init(STDERR_FILENO, m.start.log_json, (enum log_level)m.start.log_min);
    log_to(node_log_send, NULL);
    c->index = m.start.index;
    c->workers = m.start.workers;
    c->image.fd = node_message_take(&m, 0);
    memcpy(c->image.key.bytes, m.start.key, sizeof m.start.key);
    c->sockets.shown = str_c(arena_cstr(out, m.start.shown));
    for (int i = 2; i < m.fds_count; i++) vec_push(out, &c->sockets.fds, node_message_take(&m, i));
    *e = node_pulse_map(m.fds[1], d);
    node_message_drop(&m);
    return true;
}

/* ---- its life ---- */

static void say_hello(err e, uint32_t kind, const struct diag *d) {
    struct node_message m = NODE_MESSAGE(hello, .err = e, .offset = d->offset, .text = str_c(d->text), .kind = kind);
    if (node_wire_send(NODE_WIRE_FD, &m) != ERR_OK) { /* the supervisor is gone: seen soon */
    }
}

const char *node_kind_text(uint32_t wasi_kind) { return wasi_kind_text((enum wasi_kind)wasi_kind); }
bool node_kind_is_service(uint32_t wasi_kind) { return wasi_kind == WASI_P3_HTTP; }

int node_worker_main(const struct node_worker_config *config) {
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
        say_hello(e, 0, &d);
        return 1;
    }
    say_hello(ERR_OK, (uint32_t)wasi_app_kind(w.guest.app), &d);
    net_loop_run(w.guest.loop);
    log_hold(false);
    if (node_handler_busy(w.handler)) return 0; /* cut off by the deadline: the system takes back what they hold */
    for (uint32_t i = 0; i < w.servers_count; i++) net_server_free(w.servers[i]);
    if (w.wire) net_watch_free(w.wire);
    node_handler_free(w.handler);
    node_guest_close(&w.guest);
    return 0;
}
