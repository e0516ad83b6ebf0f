/* p1: a preview 1 program: its standard streams, its run, the table of its functions. */
#include "wasi/http/cgi.h"
#include "wasi/p1/p1_int.h"
#include "wasi/standard.h"
#include <errno.h>
#include <unistd.h>

/* ---- the table ---- */

static const struct host_core_func funcs[] = {
#define X(name, params) {"wasi_snapshot_preview1", #name, params ":i", wasi_p1_##name},
#include "wasi/p1/p1.def"
#undef X
    {"wasi_snapshot_preview1", "proc_exit", "i:", wasi_p1_proc_exit},
};
const struct host_offer wasi_p1_offer = {.core = funcs, .core_count = ARRAY_COUNT(funcs)};

uint32_t wasi_p1_errno_of(int host) {
    switch (host) {
    case 0: return P1_SUCCESS;
#define X(name, p1, p2)                                                                                                          \
    case name:                                                                                                                   \
        return p1;
#include "wasi/fs/errno.def"
#undef X
    default: return P1_EIO;
    }
}

/* ---- memory ---- */

struct wasi_p1 *wasi_p1_of(struct engine_call *call) {
    return wasi_instance_of(host_instance_of(engine_call_instance(call)))->run->state;
}

uint8_t *wasi_p1_mem(struct wasi_p1 *p, uint64_t ptr, uint64_t n) {
    struct engine_bytes m = engine_memory(p->in, 0, 0);
    return ptr <= m.n && n <= m.n - ptr ? m.p + ptr : NULL;
}

bool wasi_p1_put_u32(struct wasi_p1 *p, uint64_t ptr, uint32_t v) {
    uint8_t *m = wasi_p1_mem(p, ptr, sizeof v);
    if (m) memcpy(m, &v, sizeof v);
    return m;
}

bool wasi_p1_put_u64(struct wasi_p1 *p, uint64_t ptr, uint64_t v) {
    uint8_t *m = wasi_p1_mem(p, ptr, sizeof v);
    if (m) memcpy(m, &v, sizeof v);
    return m;
}

/* ---- a command's standard streams ---- */

static void wake_fiber(void *arg) { engine_ready(arg); }

static bool command_readable(struct wasi_run *run) {
    return run->config.stdin_fd < 0 || wasi_std_ready(run->config.stdin_fd, NET_READABLE);
}

static void command_notify(struct wasi_run *run, struct engine_fiber *fiber) {
    struct wasi_p1 *p = run->state;
    wasi_std_watch_free(p->stdin_watch);
    p->stdin_watch =
        fiber ? wasi_std_watch_new(run->image->app->loop, run->config.stdin_fd, NET_READABLE, wake_fiber, fiber) : NULL;
}

static enum abi_trap command_read(struct wasi_run *run, void *to, size_t n, size_t *got, int *error) {
    *got = 0;
    if (run->config.stdin_fd < 0) return ABI_TRAP_NONE;
    while ((*error = wasi_std_read(run->config.stdin_fd, to, n, got)) == EAGAIN) {
        command_notify(run, engine_fiber_current(run->image->app->engine));
        bool alive = engine_park(run->image->app->engine);
        command_notify(run, NULL);
        if (!alive) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap command_write(struct wasi_run *run, str bytes, int *error) {
    *error = app_out_write(&run->request->out, bytes);
    return ABI_TRAP_NONE;
}

static const struct wasi_p1_stdio command_stdio = {command_read, command_write, command_readable, command_notify};

/* ---- a served program's ---- */

static struct wasi_cgi *cgi_of(struct wasi_run *run) { return ((struct wasi_p1 *)run->state)->cgi; }

static bool served_readable(struct wasi_run *run) { return wasi_cgi_readable(cgi_of(run)); }
static void served_notify(struct wasi_run *run, struct engine_fiber *fiber) {
    wasi_cgi_listen_input(cgi_of(run), fiber ? wake_fiber : NULL, fiber);
}

static enum abi_trap served_read(struct wasi_run *run, void *to, size_t n, size_t *got, int *error) {
    struct wasi_cgi *c = cgi_of(run);
    enum net_flow flow;
    while ((flow = wasi_cgi_read(c, to, n, got)) == NET_FLOW_WAIT) {
        wasi_cgi_listen_input(c, wake_fiber, engine_fiber_current(run->image->app->engine));
        bool alive = engine_park(run->image->app->engine);
        wasi_cgi_listen_input(c, NULL, NULL);
        if (!alive) return ABI_TRAP_INTERRUPTED;
    }
    if (flow == NET_FLOW_FAILED) *error = EIO;
    return ABI_TRAP_NONE;
}

static enum abi_trap served_write(struct wasi_run *run, str bytes, int *error) {
    return wasi_cgi_write(cgi_of(run), bytes, error);
}

static const struct wasi_p1_stdio served_stdio = {served_read, served_write, served_readable, served_notify};

/* ---- descriptors of a new run ---- */

static const uint64_t wasi_p1_rights_write =
    P1_RIGHT(P1_R_DATASYNC) | P1_RIGHT(P1_R_WRITE) | P1_RIGHT(P1_R_ALLOCATE) | P1_RIGHT(P1_R_FD_SET_SIZE);
const uint64_t wasi_p1_rights_file = P1_RIGHT(P1_R_DATASYNC) | P1_RIGHT(P1_R_READ) | P1_RIGHT(P1_R_SEEK) |
                                     P1_RIGHT(P1_R_SET_FLAGS) | P1_RIGHT(P1_R_SYNC) | P1_RIGHT(P1_R_TELL) | P1_RIGHT(P1_R_WRITE) |
                                     P1_RIGHT(P1_R_ADVISE) | P1_RIGHT(P1_R_ALLOCATE) | P1_RIGHT(P1_R_FD_FILESTAT_GET) |
                                     P1_RIGHT(P1_R_FD_SET_SIZE) | P1_RIGHT(P1_R_FD_SET_TIMES) | P1_RIGHT(P1_R_POLL);
const uint64_t wasi_p1_rights_dir =
    P1_RIGHT(P1_R_SET_FLAGS) | P1_RIGHT(P1_R_SYNC) | P1_RIGHT(P1_R_ADVISE) | P1_RIGHT(P1_R_CREATE_DIRECTORY) |
    P1_RIGHT(P1_R_CREATE_FILE) | P1_RIGHT(P1_R_LINK_SOURCE) | P1_RIGHT(P1_R_LINK_TARGET) | P1_RIGHT(P1_R_OPEN) |
    P1_RIGHT(P1_R_READDIR) | P1_RIGHT(P1_R_READLINK) | P1_RIGHT(P1_R_RENAME_SOURCE) | P1_RIGHT(P1_R_RENAME_TARGET) |
    P1_RIGHT(P1_R_PATH_FILESTAT_GET) | P1_RIGHT(P1_R_PATH_SET_SIZE) | P1_RIGHT(P1_R_PATH_SET_TIMES) |
    P1_RIGHT(P1_R_FD_FILESTAT_GET) | P1_RIGHT(P1_R_FD_SET_TIMES) | P1_RIGHT(P1_R_SYMLINK) | P1_RIGHT(P1_R_REMOVE_DIRECTORY) |
    P1_RIGHT(P1_R_UNLINK_FILE) | P1_RIGHT(P1_R_POLL);
static const uint64_t wasi_p1_rights_inherit = wasi_p1_rights_dir | wasi_p1_rights_file;

static void add_standard(struct wasi_p1 *p, int kind, int fd, uint64_t right) {
    struct stat st;
    struct wasi_p1_desc d = {.kind = kind, .base = right | P1_RIGHT(P1_R_POLL) | P1_RIGHT(P1_R_FD_FILESTAT_GET)};
    d.filetype = p->run->request->exchange || fd < 0 || fstat(fd, &st) != 0 ? P1_UNKNOWN
                 : isatty(fd)                                               ? P1_CHARACTER_DEVICE
                                                                            : wasi_p1_filetype_of(st.st_mode);
    vec_push(p->run->i->base.mem, &p->fds, d);
}

static void add_descriptors(struct wasi_p1 *p) {
    struct wasi_run *run = p->run;
    const struct app_grants *grants = run->image->app->grants;
    add_standard(p, P1_STDIN, run->config.stdin_fd, P1_RIGHT(P1_R_READ));
    add_standard(p, P1_STDOUT, run->request->out.write ? -1 : run->request->out.fd, P1_RIGHT(P1_R_WRITE));
    add_standard(p, P1_STDERR, run->request->err.write ? -1 : run->request->err.fd, P1_RIGHT(P1_R_WRITE));
    for (size_t i = 0; i < grants->dirs.n; i++) {
        struct wasi_p1_desc d = {.kind = P1_DIR,
                                 .filetype = P1_DIRECTORY,
                                 .file = wasi_fs_file_new(grants->dirs.p[i].fd, true),
                                 .is_preopen = true,
                                 .preopen = grants->dirs.p[i].guest,
                                 .read_only = grants->dirs.p[i].read_only,
                                 .base = wasi_p1_rights_dir,
                                 .inheriting = wasi_p1_rights_inherit};
        if (d.read_only) d.inheriting &= ~wasi_p1_rights_write;
        vec_push(run->i->base.mem, &p->fds, d);
    }
}

static void close_all(void *arg) {
    struct wasi_p1 *p = arg;
    wasi_std_watch_free(p->stdin_watch);
    for (uint32_t i = 0; i < p->fds.n; i++) wasi_p1_desc_close(p, &p->fds.p[i]);
}

/* ---- running ---- */

static err bind(struct wasi_image *image, struct diag *d) {
    const struct abi_func *f = NULL;
    for (int i = 0; i < WASI_P1_ENTRIES && !f; i++) f = engine_export_func(wasi_image_engine(image), 0, wasi_p1_entries[i]);
    image->kind_data = (void *)(uintptr_t)f;
    if (!f) return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "_start is not a function");
    return ERR_OK;
}

static void run_start(struct wasi_run *run) {
    struct wasi_p1 *p = arena_make(run->i->base.mem, struct wasi_p1);
    *p = (struct wasi_p1){.run = run, .in = host_instance_engine(run->i->base.in), .start = run->image->kind_data};
    run->state = p;
    arena_cleanup(run->i->base.mem, close_all, p);
    add_descriptors(p);
    p->args = run->image->config.args;
    p->args_count = (uint32_t)run->image->config.args_count;
    p->env = run->image->app->grants->env.p;
    p->env_count = (uint32_t)run->image->app->grants->env.n;
    p->stdio = run->request->exchange ? &served_stdio : &command_stdio;
    if (run->request->exchange) {
        p->cgi = wasi_cgi_begin(run);
        p->env = wasi_cgi_env(p->cgi, &p->env_count);
        if (run->ended) return;
    }

    uint64_t none[1] = {0};
    enum abi_trap t = engine_call(p->in, p->start, none);
    int status = t == ABI_TRAP_EXIT ? engine_last_trap(p->in)->exit_code : 0;
    if (t != ABI_TRAP_NONE && t != ABI_TRAP_EXIT) wasi_run_end_trap(run, t);
    else if (run->request->exchange) wasi_cgi_end(p->cgi, status);
    else {
        run->outcome.exit_status = status;
        wasi_run_end(run, WASI_END_OK, "%s", "");
    }
}

const struct wasi_ops wasi_p1_ops = {.bind = bind, .main = run_start, .program = true};
