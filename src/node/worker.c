/* worker: a process that serves requests until it is told to rest.
 *
 *   start, dir … ──> gives up all other rights ──> snapshot, images ──> applied ──> live ──> serves ──> SIGTERM, `rest`, or the
 *   supervisor is gone ──> drains ──> exit 0
 *
 * All that it is, knows and may touch came as messages (wire.def).
 */
#include "net/server.h"
#include "node/node_int.h"
#include "node/role.h"
#include "node/snapshot.h"
#include "wasi/wasi.h"
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

struct worker {
    arena *mem;
    struct node_worker_config config;
    struct node_limits limits;
    struct app_grants folders; /* dirs alone: those that came */
    uint64_t generation;
    struct node_record record;
    struct node_image image;
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
    uint32_t ms = (uint32_t)MIN(w->limits.drain_ms_max, UINT32_MAX - 1);
    if (!w->servers_count) net_loop_stop(w->guest.loop); /* it was never live */
    for (uint32_t i = 0; i < w->servers_count; i++) net_server_drain(w->servers[i], ms, keep_idle, on_drained, w);
}

static void on_signal(void *arg, int signum) { drain(arg, false); }

static uint32_t ms_of(uint64_t ms) { return (uint32_t)MIN(ms, NET_NO_LIMIT); }

/* From here on it is not its own fault alone if it dies. */
static void on_accept(void *arg) { node_pulse->served = 1; }

static err open_servers(struct worker *w, struct diag *d) {
    const struct node_limits *l = &w->limits;
    const struct node_sockets *sockets = &w->config.sockets;
    if (sockets->fds.n > NODE_LISTEN_MAX) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "at most %d addresses", NODE_LISTEN_MAX);
    for (uint32_t i = 0; i < sockets->fds.n; i++) {
        struct net_server_config config = {
            .loop = w->guest.loop,
            .fd = sockets->fds.p[i],
            .connections_max = ms_of(l->connections_max),
            .header_ms_max = ms_of(l->header_ms_max),
            .body_ms_max = ms_of(l->body_idle_ms_max),
            .idle_ms_max = ms_of(l->idle_ms_max),
            .handler_ms_max = ms_of(w->record.limits.handler_ms_max),
            .body_bytes_max = w->record.limits.body_bytes_max,
            .memory_bytes_max = node_connections_memory(l, w->config.workers) / sockets->fds.n,
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

/* ---- what the supervisor says ---- */

static void say_applied(uint64_t generation, err e, const struct diag *d) {
    struct node_message m =
        NODE_MESSAGE(applied, .generation = generation, .err = e, .offset = d->offset, .text = str_c(d->text));
    if (node_wire_send(NODE_WIRE_FD, &m) != ERR_OK) { /* the supervisor is gone: seen soon */
    }
}

static void go_live(struct worker *w) {
    struct diag d = DIAG_INIT;
    if (w->servers_count) return;
    err e = open_servers(w, &d);
    if (e != ERR_OK) log_event(LOG_ERROR, "worker-failed", LF_U64("worker", w->config.index), LF_CSTR("reason", d.text));
}

static void apply(struct worker *w, const struct node_msg_snapshot *m) {
    struct diag d = DIAG_INIT;
    err e = m->generation == w->generation ? ERR_OK
                                           : diag_set(&d, ERR_UNSUPPORTED, DIAG_NOWHERE, "another snapshot takes another worker");
    say_applied(m->generation, e, &d);
}

/* False: the supervisor is gone, or not ours. */
static bool hear(struct worker *w, struct node_message *m) {
    switch (m->type) {
    case NODE_MSG_snapshot: apply(w, &m->snapshot); return true;
    case NODE_MSG_live: go_live(w); return true;
    case NODE_MSG_rest: drain(w, true); return true;
    default: return false;
    }
}

static void on_wire(void *arg, unsigned events) {
    struct worker *w = arg;
    struct node_message m;
    enum node_wire_got got = node_wire_receive(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_worker, &m);
    if (got == NODE_WIRE_AGAIN) return;
    bool ok = got == NODE_WIRE_GOT && hear(w, &m);
    if (got == NODE_WIRE_GOT) node_message_drop(&m);
    if (ok) return;
    net_watch_free(w->wire);
    w->wire = NULL;
    drain(w, false);
}

/* ---- its beginning ---- */

static bool await(struct node_message *m, enum node_message_type type) {
    return node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_worker, m) == NODE_WIRE_GOT && m->type == type;
}

static err started(struct worker *w, struct node_message *m, struct diag *d) {
    log_init(STDERR_FILENO, m->start.log_json, (enum log_level)m->start.log_min);
    log_to(node_log_send, NULL);
    struct rd settings = rd_of(m->start.settings);
    node_settings_read(&settings, &w->limits);
    ENSURE(!settings.fail);
    w->config = (struct node_worker_config){
        .limits = &w->limits, .access_log = m->start.access_log, .index = m->start.index, .workers = m->start.workers};
    w->config.sockets.shown = str_c(arena_cstr(w->mem, m->start.shown));
    for (int i = 1; i < m->fds_count; i++) vec_push(w->mem, &w->config.sockets.fds, node_message_take(m, i));
    err e = node_pulse_map(m->fds[0], d);
    node_message_drop(m);
    return e;
}

static err closed(struct diag *d) { return diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "the supervisor is gone"); }

static err take_folders(struct worker *w, uint32_t count, struct diag *d) {
    struct node_message m;
    for (uint32_t i = 0; i < count; i++) {
        if (!await(&m, NODE_MSG_dir)) return closed(d);
        struct app_dir dir = {.host = arena_str(w->mem, m.dir.path), .read_only = !m.dir.write, .fd = node_message_take(&m, 0)};
        vec_push(w->mem, &w->folders.dirs, dir);
    }
    return ERR_OK;
}

/* The folders of the record, as they came. */
static err give_folders(struct worker *w, struct diag *d) {
    for (uint32_t i = 0; i < w->record.grants.dirs.n; i++) {
        struct app_dir *dir = &w->record.grants.dirs.p[i];
        for (uint32_t k = 0; k < w->folders.dirs.n; k++)
            if (str_eq(w->folders.dirs.p[k].host, dir->host)) dir->fd = fcntl(w->folders.dirs.p[k].fd, F_DUPFD_CLOEXEC, 3);
        if (dir->fd <= 0) return diag_set(d, ERR_DENIED, DIAG_NOWHERE, "the folder " STR_FMT " is not there", STR_ARG(dir->host));
    }
    return ERR_OK;
}

static err take_snapshot(struct worker *w, struct diag *d) {
    struct node_message m;
    struct node_snapshot *s;
    uint32_t count;
    if (!await(&m, NODE_MSG_snapshot)) return closed(d);
    w->generation = m.snapshot.generation;
    err e = node_snapshot_map(m.fds[0], &s, d);
    node_message_drop(&m);
    TRY(e);
    const struct node_entry *entries = node_snapshot_entries(s, &count);
    if (count != 1) return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "there is not one app");
    TRY(node_record_decode(w->mem, arena_str(w->mem, entries->record), &w->record, d));
    node_snapshot_free(s);
    return give_folders(w, d);
}

static err take_image(struct worker *w, struct diag *d) {
    struct node_message m = NODE_MESSAGE(image_want);
    memcpy(m.image_want.digest, w->record.functions.p[0].digest, sizeof m.image_want.digest);
    if (node_wire_send(NODE_WIRE_FD, &m) != ERR_OK || !await(&m, NODE_MSG_image)) return closed(d);
    TRY(node_diag_of(d, m.image.err, DIAG_NOWHERE, m.image.text));
    memcpy(w->image.key.bytes, m.image.key, sizeof w->image.key.bytes);
    w->image.fd = node_message_take(&m, 0);
    return ERR_OK;
}

static err open_worker(struct worker *w, struct diag *d) {
    const struct node_worker_config *c = &w->config;
    int keep[NODE_LISTEN_MAX + 1], n = 0;
    for (uint32_t i = 0; i < c->sockets.fds.n && i < NODE_LISTEN_MAX; i++) keep[n++] = c->sockets.fds.p[i];
    keep[n++] = NODE_WIRE_FD;
    w->limits.app = w->record.limits;
    struct node_guest_config guest = {
        .image = w->image,
        .grants = &w->record.grants,
        .limits = &w->limits,
        .workers = c->workers,
        .name = w->record.name,
        .args = &w->record.functions.p[0].name,
        .args_count = 1,
        .keep = keep,
        .keep_count = (size_t)n,
    };
    TRY(node_guest_open(&w->guest, &guest, d));
    net_loop_beat(w->guest.loop, &node_pulse->beats);
    enum wasi_kind kind = wasi_image_kind(w->guest.image);
    if (!wasi_kind_serves(kind))
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "it is a %s, which cannot be served", wasi_kind_text(kind));
    w->handler = node_handler_new(&w->guest, c);
    net_loop_on_signal(w->guest.loop, SIGTERM, on_signal, w);
    w->wire = net_watch_new(w->guest.loop, NODE_WIRE_FD, NET_READABLE, on_wire, w);
    return ERR_OK;
}

static err begin(struct worker *w, struct diag *d) {
    struct node_message m;
    if (!await(&m, NODE_MSG_start)) return closed(d);
    uint32_t folders = m.start.dirs;
    TRY(started(w, &m, d));
    TRY(take_folders(w, folders, d));
    TRY(take_snapshot(w, d));
    TRY(take_image(w, d));
    return open_worker(w, d);
}

/* ---- its life ---- */

const char *node_kind_text(uint32_t wasi_kind) { return wasi_kind_text((enum wasi_kind)wasi_kind); }
bool node_kind_is_service(uint32_t wasi_kind) { return wasi_kind == WASI_P3_HTTP; }

int node_worker_main(void) {
    base_heap_tune();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    node_pulse_signals();
    static struct worker w;
    struct diag d = DIAG_INIT;
    w.mem = arena_new(0);
    err e = begin(&w, &d);
    if (e != ERR_OK) diag_set(&d, e, DIAG_NOWHERE, "%s", err_text(e));
    say_applied(w.generation, e, &d);
    if (e != ERR_OK) return 1;
    fcntl(NODE_WIRE_FD, F_SETFL, O_NONBLOCK);
    net_loop_run(w.guest.loop);
    log_hold(false);
    if (node_handler_busy(w.handler)) return 0; /* cut off by the deadline: the system takes back what they hold */
    for (uint32_t i = 0; i < w.servers_count; i++) net_server_free(w.servers[i]);
    if (w.wire) net_watch_free(w.wire);
    node_handler_end(w.handler);
    node_guest_close(&w.guest);
    node_handler_free(w.handler);
    arena_free(w.mem);
    return 0;
}
