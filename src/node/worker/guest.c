/* guest: everything a process needs to run guests, brought up in the order that lets it give up its rights in time:
 *
 *   granted folders -> other descriptors closed -> loop, engine (opens /proc/self/pagemap) -> sandbox -> images, as they come
 */
#include "engine/engine.h"
#include "net/loop.h"
#include "node/worker/texts.h"
#include "node/worker/apps.h"
#include "node/worker/data.h"
#include "node/worker/hashes.h"
#include "node/worker/query.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    FOLDERS_MAX = NODE_RIGHTS_DIRS_MAX,
    IDLE_MS = 20,
    SLOTS_MAX = 100'000 /* of all apps; their own bounds and the system's come first */
};
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

static void report_ends(struct node_guest *g) {
    struct node_app *app;
    g->told = g->news; /* who wants another one has it when guests have had theirs: what he waits for may be theirs to do */
    g->news = NULL;
    while ((app = g->told)) {
        g->told = app->next_news;
        app->has_news = false;
        for (uint32_t i = 0; i < app->parts_count; i++)
            if (app->parts[i].image) wasi_image_turn(app->parts[i].image);
    }
}

/* One turn: what the owner has to do, then guests, then arranges for upkeep once all is quiet. */
bool node_guest_turn(struct node_guest *g) {
    bool more = g->turn && g->turn(g->turn_arg);
    more |= engine_run(g->engine, turn_ns_max);
    report_ends(g);
    log_flush();
    if (g->applog) node_applog_flush(g->applog);
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
    g->idle_late = !engine_idle(g->engine);
    if (g->sample) node_sample_take(g->sample);
    if (g->applog) node_applog_flush(g->applog);
    log_flush(); /* lines that were lost are told once somebody reads again */
    uint32_t wait_ms = g->idle_late ? engine_idle_wait_ms(g->engine) : 1;
    g->idle_armed = wait_ms;
    if (wait_ms) net_timer_start(g->idle, wait_ms, 0);
}

/* ---- the sandbox ---- */

err node_guest_folders(arena *out, struct node_guest *g, const struct app_grants *grants, struct diag *d) {
    for (uint32_t i = 0; i < grants->dirs.n; i++) {
        const struct app_dir *dir = &grants->dirs.p[i];
        int fd = open((const char *)dir->host.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return diag_set(d, ERR_DENIED, DIAG_NOWHERE, "the folder " STR_FMT " cannot be granted: %s", STR_ARG(dir->host),
                            strerror(errno));
        if (g->folders.n == FOLDERS_MAX)
            return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "at most %d folders can be granted", FOLDERS_MAX);
        struct node_folder folder = {dir->host, fd, !dir->read_only};
        vec_push(out, &g->folders, folder);
    }
    return ERR_OK;
}

struct paths { /* of folders, then of what the process reads itself */
    struct node_sandbox_path of[FOLDERS_MAX + ARRAY_COUNT(resolver_paths) + 2];
    size_t n;
};

static void open_resolver_path(struct paths *p, const char *path) {
    int fd = path && path[0] ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (fd >= 0) p->of[p->n++] = (struct node_sandbox_path){fd, false};
}

/* Only to make Landlock rules of them; closed afterwards. OpenSSL's two variables say whom else to trust. */
static void open_resolver_paths(struct paths *p) {
    for (size_t i = 0; i < ARRAY_COUNT(resolver_paths); i++) open_resolver_path(p, resolver_paths[i]);
    open_resolver_path(p, getenv("SSL_CERT_FILE"));
    open_resolver_path(p, getenv("SSL_CERT_DIR"));
}

static err lock_up(struct node_guest *g, const struct node_guest_config *config, struct diag *d) {
    struct paths p = {.n = 0};
    for (uint32_t i = 0; i < g->folders.n; i++)
        p.of[p.n++] = (struct node_sandbox_path){g->folders.p[i].fd, g->folders.p[i].write};
    const struct node_rights *r = config->rights;
    struct node_sandbox box = {.paths = p.of, .granted_count = p.n, .rights = r};
    if (r->network) open_resolver_paths(&p);
    box.paths_count = p.n;
    err e = node_sandbox_worker(&box, d);
    for (size_t i = box.granted_count; i < p.n; i++) close(p.of[i].fd);
    return e;
}

size_t node_resolver_paths(struct node_sandbox_path to[static NODE_RESOLVER_PATHS_MAX]) {
    static_assert(ARRAY_COUNT(resolver_paths) + 2 <= NODE_RESOLVER_PATHS_MAX, "and two that variables name");
    static struct paths p;
    p.n = 0;
    open_resolver_paths(&p);
    memcpy(to, p.of, p.n * sizeof *to);
    return p.n;
}

/* ---- memory ---- */

static unsigned long long mib(uint64_t bytes) { return (bytes + MiB - 1) / MiB; }

void node_guest_refusal(const struct node_guest *g, struct buf *out) {
    const struct engine_refusal *r = engine_last_refusal(g->engine);
    switch (r->what) {
    case ENGINE_REFUSED_SLOTS:
    case ENGINE_REFUSED_FIBERS: {
        const char *things = r->what == ENGINE_REFUSED_SLOTS ? "instances" : "stacks";
        if (r->leaves) buf_printf(out, "the %s that are left in this worker are for other apps", things);
        else buf_printf(out, "%llu %s are in use (--max-instances)", (unsigned long long)r->max, things);
        break;
    }
    case ENGINE_REFUSED_INSTANCE:
        buf_printf(out, "an instance starts with %llu MiB and may have %llu MiB (--max-memory)", mib(r->bytes), mib(r->max));
        break;
    case ENGINE_REFUSED_ACCOUNT:
        if (r->share) buf_printf(out, "all of the app's %llu MiB are in use (--app-memory)", mib(r->max));
        else if (r->leaves)
            buf_printf(out, "what is left of the worker's %llu MiB is for other apps (its part of --node-memory)", mib(r->max));
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

/* ---- its life ---- */

static void close_others(const struct node_guest *g, const struct node_guest_config *config) {
    int keep[FOLDERS_MAX + 64], n = 0;
    ENSURE(config->keep_count <= 64 && g->folders.n <= FOLDERS_MAX);
    for (size_t i = 0; i < config->keep_count; i++) keep[n++] = config->keep[i];
    for (uint32_t i = 0; i < g->folders.n; i++) keep[n++] = g->folders.p[i].fd;
    node_close_fds_except(keep, (size_t)n);
}

err node_guest_open(struct node_guest *g, const struct node_guest_config *config, struct diag *d) {
    close_others(g, config);
    setenv("UV_USE_IO_URING", "0", 1); /* the sandbox has no rings */
    g->loop = net_loop_new();
    struct engine_config engine = {
        .account_bytes_max = guests_memory(config->limits, config->workers),
        .slots_max = SLOTS_MAX,
        .fibers_max = NODE_FIBERS_MAX,
        .on_ready = on_ready,
        .on_ready_arg = g,
        .news = has_news,
        .news_arg = g,
    };
    g->engine = engine_new(&engine);
    g->idle = net_timer_new(g->loop, on_idle, g);
    net_loop_on_turn(g->loop, on_turn, g);
    return lock_up(g, config, d);
}

void node_guest_close(struct node_guest *g) {
    while (g->apps) node_app_free(g->apps);
    for (uint32_t i = 0; i < g->folders.n; i++) close(g->folders.p[i].fd);
    net_timer_free(g->idle);
    engine_free(g->engine);
    node_readers_free(g->readers);
    node_texts_free(g->texts);
    if (g->data) node_data_free(g->data);
    if (g->postgres) node_data_free(g->postgres);
    node_hashes_free(g->hashes);
    node_hashes_free(g->signers);
    net_loop_free(g->loop);
}
