/* guest: everything a process needs to run guests, brought up in the order that lets it give up its rights in time:
 *
 *   loop, engine (opens /proc/self/pagemap) -> granted folders -> image mapped -> descriptors closed -> sandbox -> app bound
 */
#include "engine/engine.h"
#include "net/loop.h"
#include "node/node_int.h"
#include "wasi/wasi.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATHS_MAX = 64, IDLE_MS = 20 };
static const uint64_t turn_ns_max = 1000000; /* of guests, before the loop looks at its sockets again */

/* What name resolution and TLS read, where an outgoing host is granted. */
static const char *const resolver_paths[] = {
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/pki",
    "/usr/share/ca-certificates",
    "/usr/local/share/ca-certificates",
    "/usr/lib/ssl",
    "/run/systemd/resolve",
    "/etc/ld.so.cache",
    "/usr/lib",
    "/lib",
    "/lib64",
    "/proc/sys/net",
};

static void on_ready(void *arg) { net_loop_wake(((struct node_guest *)arg)->loop); }
static bool has_news(void *arg) { return net_loop_news(((struct node_guest *)arg)->loop); }

/* One turn: what the owner has to do, then guests, then arranges for upkeep once all is quiet. */
bool node_guest_turn(struct node_guest *g) {
    bool more = g->turn && g->turn(g->turn_arg);
    more |= engine_run(g->engine, turn_ns_max);
    wasi_image_turn(g->image);
    log_flush();
    uint64_t turns = engine_turns(g->engine);
    if (!more && turns != g->turns_seen && (!g->idle_armed || g->idle_late)) {
        g->turns_seen = turns;
        g->idle_armed = true;
        g->idle_late = false;
        net_timer_start(g->idle, IDLE_MS, 0);
    }
    return more;
}

static bool on_turn(void *arg) { return node_guest_turn(arg); }

static void on_idle(void *arg) {
    struct node_guest *g = arg;
    g->out.logged = g->out.bytes = g->err.logged = g->err.bytes = 0;
    g->out.spent = g->err.spent = false;
    g->idle_late = !engine_idle(g->engine);
    log_flush(); /* lines that were lost are told once somebody reads again */
    uint32_t wait_ms = g->idle_late ? engine_idle_wait_ms(g->engine) : 1;
    g->idle_armed = wait_ms;
    if (wait_ms) net_timer_start(g->idle, wait_ms, 0);
}

/* ---- the sandbox ---- */

struct opened {
    struct node_sandbox_path paths[PATHS_MAX]; /* of folders, then of what the process reads itself */
    size_t paths_count, folders_count;
};

static err open_dirs(const struct app_grants *grants, struct opened *o, struct diag *d) {
    for (uint32_t i = 0; i < grants->dirs.n; i++) {
        struct app_dir *dir = &grants->dirs.p[i];
        int fd = dir->fd > 0 ? dir->fd : open((const char *)dir->host.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return diag_set(d, ERR_DENIED, DIAG_NOWHERE, "the folder " STR_FMT " cannot be granted: %s", STR_ARG(dir->host),
                            strerror(errno));
        if (o->paths_count == PATHS_MAX / 2)
            return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "at most %d folders can be granted", PATHS_MAX / 2);
        o->paths[o->paths_count++] = (struct node_sandbox_path){fd, !dir->read_only};
        dir->fd = fd;
    }
    o->folders_count = o->paths_count;
    return ERR_OK;
}

static void open_resolver_path(struct opened *o, const char *path) {
    int fd = path && path[0] ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (fd >= 0) o->paths[o->paths_count++] = (struct node_sandbox_path){fd, false};
}

/* Only to make Landlock rules of them; closed afterwards. OpenSSL's two variables say whom else to trust. */
static void open_resolver_paths(struct opened *o) {
    for (size_t i = 0; i < ARRAY_COUNT(resolver_paths); i++) open_resolver_path(o, resolver_paths[i]);
    open_resolver_path(o, getenv("SSL_CERT_FILE"));
    open_resolver_path(o, getenv("SSL_CERT_DIR"));
}

static unsigned network_of(const struct app_grants *g) {
    enum { LISTENS = 1 << APP_NET_LISTEN | 1 << APP_NET_LISTEN_UDP };
    unsigned network = g->allow_http.n || g->net.n || g->forward_authority.n ? NODE_SANDBOX_CONNECT : 0;
    for (uint32_t i = 0; i < g->net.n; i++)
        if (g->net.p[i].uses & LISTENS) network |= NODE_SANDBOX_LISTEN;
    return network;
}

/* The ports that a rule opens for TCP; false: too many to name. */
static bool add_ports(struct node_sandbox *box, uint16_t from, uint16_t to) {
    for (unsigned port = from; port <= to; port++) {
        if (box->ports_count == ARRAY_COUNT(box->ports)) return false;
        box->ports[box->ports_count++] = (uint16_t)port;
    }
    return true;
}

static void open_ports(struct node_sandbox *box, const struct app_grants *g) {
    static const uint16_t ask[] = {53, 80, 443}; /* names, and the two that --forward may leave out */
    bool all = true;
    for (size_t i = 0; i < ARRAY_COUNT(ask) - (g->forward_authority.n ? 0 : 2); i++) all = all && add_ports(box, ask[i], ask[i]);
    for (uint32_t i = 0; i < g->allow_http.n; i++)
        all = all && add_ports(box, g->allow_http.p[i].port_from, g->allow_http.p[i].port_to);
    for (uint32_t i = 0; i < g->net.n; i++)
        if (g->net.p[i].uses & 1 << APP_NET_TCP) all = all && add_ports(box, g->net.p[i].port_from, g->net.p[i].port_to);
    str host, port;
    uint64_t number;
    if (g->forward_authority.n && app_cut_host_port(g->forward_authority, &host, &port) && port.n)
        all = all && str_to_u64(port, &number) && add_ports(box, (uint16_t)number, (uint16_t)number);
    box->any_port_out = !all;
}

static err lock_up(const struct node_guest_config *config, struct opened *o, struct diag *d) {
    struct node_sandbox box = {.paths = o->paths, .granted_count = o->paths_count, .network = network_of(config->grants)};
    if (box.network) {
        open_resolver_paths(o);
        open_ports(&box, config->grants);
    }
    box.paths_count = o->paths_count;
    err e = node_sandbox_worker(&box, d);
    for (size_t i = o->folders_count; i < o->paths_count; i++) close(o->paths[i].fd);
    return e;
}

/* ---- memory ---- */

static unsigned long long mib(uint64_t bytes) { return (bytes + MiB - 1) / MiB; }

void node_guest_refusal(const struct node_guest *g, struct buf *out) {
    const struct engine_refusal *r = engine_last_refusal(g->engine);
    switch (r->what) {
    case ENGINE_REFUSED_SLOTS:
    case ENGINE_REFUSED_FIBERS:
        buf_printf(out, "%llu %s are in use (--max-instances)", (unsigned long long)r->max,
                   r->what == ENGINE_REFUSED_SLOTS ? "instances" : "stacks");
        break;
    case ENGINE_REFUSED_INSTANCE:
        buf_printf(out, "an instance starts with %llu MiB and may have %llu MiB (--max-memory)", mib(r->bytes), mib(r->max));
        break;
    case ENGINE_REFUSED_ACCOUNT:
        if (r->share) buf_printf(out, "all of the app's %llu MiB are in use (--app-memory)", mib(r->max));
        else
            buf_printf(out,
                       "all of the worker's %llu MiB are in use (its part of --node-memory, without what connections may hold)",
                       mib(r->max));
        break;
    case ENGINE_REFUSED_SYSTEM:
        if (r->max)
            buf_printf(out, "%llu mappings are in use, as many as may be (sysctl vm.max_map_count)", (unsigned long long)r->max);
        else buf_printf(out, "the system has no address space for another instance");
        break;
    default: buf_printf(out, "there is no memory for another instance"); break;
    }
}

uint64_t node_connections_memory(const struct node_limits *l, uint32_t workers) {
    const uint64_t each = 256 * KiB; /* a head, a piece of a body, a queued response */
    return MIN(l->node_memory_bytes_max / MAX(workers, 1u) / 4, MIN(l->connections_max, UINT32_MAX) * each);
}

/* Never 0, which would be no cap. */
static uint64_t guests_memory(const struct node_limits *l, uint32_t workers) {
    uint64_t part = l->node_memory_bytes_max / MAX(workers, 1u), connections = workers ? node_connections_memory(l, workers) : 0;
    return MAX(part - connections, (uint64_t)1);
}

static err does_not_fit(const struct node_guest *g, struct diag *d) {
    struct buf why = {.max = 300};
    node_guest_refusal(g, &why);
    diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
             "its image and one instance with its stack do not fit (%llu MiB more were asked for): " STR_FMT,
             mib(engine_last_refusal(g->engine)->bytes), STR_ARG(buf_str(&why)));
    buf_free(&why);
    return ERR_LIMIT;
}

/* There is room for one instance, or it does not start. */
static err try_one(struct node_guest *g, struct diag *d) {
    struct engine_instance *first = engine_acquire(wasi_image_engine(g->image), NULL);
    bool fits = first && engine_pay(g->share, ENGINE_STACK_BYTES);
    if (fits) engine_unpay(g->share, ENGINE_STACK_BYTES);
    if (first) engine_release(first);
    return fits ? ERR_OK : does_not_fit(g, d);
}

static struct engine_share *new_share(struct engine *e, const struct node_limits *l) {
    uint64_t most = l->app.app_memory_bytes_max; /* none of its own: the worker's says no */
    return engine_share_new(e, &(struct engine_share_config){.memory_bytes_max = l->app.memory_bytes_max,
                                                             .account_bytes_max = most == UINT64_MAX ? 0 : most});
}

/* ---- the app ---- */

static err new_app(struct node_guest *g, const struct node_guest_config *config, struct abi_image im, struct diag *d) {
    g->out = (struct node_lines){.stream = "stdout", .request_id = ""};
    g->err = (struct node_lines){.stream = "stderr", .request_id = ""};
    g->share = new_share(g->engine, config->limits);
    g->app = (struct app){
        .name = config->name, .grants = config->grants, .limits = &config->limits->app, .share = g->share, .loop = g->loop};
    app_init(&g->app, (struct app_out){.fd = -1, .write = node_lines_put, .arg = &g->out},
             (struct app_out){.fd = -1, .write = node_lines_put, .arg = &g->err});
    struct wasi_config wasi = {.args = config->args, .args_count = config->args_count, .server_name = STR("orlo/" ORLO_VERSION)};
    struct diag said = DIAG_INIT;
    err e = wasi_image_new(&g->app, node_offer(), im, &wasi, &g->image, &said);
    if (e == ERR_OK) return try_one(g, d);
    if (e == ERR_LIMIT) return does_not_fit(g, d);
    if (d) *d = said;
    return e;
}

/* A task of each request that an instance may serve, and one more for what it does besides; others of a guest's own threads. */
static uint32_t fibers_max(const struct node_limits *l) {
    enum { MOST = 200'000 };
    uint64_t slots = MIN(l->app.instances_max, (uint64_t)MOST), at_once = MIN(l->app.instance_requests, (uint64_t)MOST);
    return (uint32_t)MIN(slots * (4 + 2 * at_once), (uint64_t)MOST);
}

err node_guest_open(struct node_guest *g, const struct node_guest_config *config, struct diag *d) {
    struct opened o = {0};
    TRY(open_dirs(config->grants, &o, d));
    struct abi_image im;
    TRY(abi_image_open(fcntl(config->image.fd, F_DUPFD_CLOEXEC, 3), &config->image.key, &im, d));
    int keep[64], n = 0;
    ENSURE(config->keep_count + o.folders_count + 1 <= ARRAY_COUNT(keep));
    for (size_t i = 0; i < config->keep_count; i++) keep[n++] = config->keep[i];
    for (size_t i = 0; i < o.folders_count; i++) keep[n++] = o.paths[i].fd;
    keep[n++] = im.fd;
    node_close_fds_except(keep, (size_t)n);
    setenv("UV_USE_IO_URING", "0", 1); /* the sandbox has no rings */
    g->loop = net_loop_new();
    struct engine_config engine = {
        .account_bytes_max = guests_memory(config->limits, config->workers),
        .slots_max = (uint32_t)MIN(config->limits->app.instances_max, UINT32_MAX),
        .fibers_max = fibers_max(config->limits),
        .on_ready = on_ready,
        .on_ready_arg = g,
        .news = has_news,
        .news_arg = g,
    };
    g->engine = engine_new(&engine);
    g->idle = net_timer_new(g->loop, on_idle, g);
    net_loop_on_turn(g->loop, on_turn, g);
    TRY(lock_up(config, &o, d));
    return new_app(g, config, im, d);
}

void node_guest_close(struct node_guest *g) {
    if (g->image) wasi_image_free(g->image);
    net_timer_free(g->idle);
    engine_share_free(g->share);
    engine_free(g->engine);
    net_loop_free(g->loop);
}
