/* serve: `orlo serve FILE` asks control to deploy FILE, as a command would: one app, that answers every host. Once when it starts, and again
 * at every SIGHUP; then by new workers. And what is said about it. */
#include "node/snapshot.h"
#include "node/supervisor/supervisor_int.h"
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- asking ---- */

err node_serve_check(struct supervisor *s, struct diag *d) {
    struct node_input in;
    TRY(node_grants_check(&s->config->grants, d));
    TRY(node_input_open(s->config->file, &in, d));
    close(in.fd);
    return ERR_OK;
}

static int record_fd(const struct supervisor *s) {
    arena *scratch = arena_new(0);
    struct buf b = {0};
    const char *slash = strrchr(s->config->file, '/');
    struct app_record r = {.name = STR("app"), .is_default = true, .eager = true, .limits = s->setup->limits.app, .weight = 1};
    *vec_add(scratch, &r.functions) = (struct app_function){
        .name = str_c(slash ? slash + 1 : s->config->file), .grants = s->config->grants, .limits = s->setup->limits.app};
    *vec_add(scratch, &r.routes) = (struct app_route){.path = STR("/")};
    app_record_write(&b, &r);
    int fd = memfd_create("orlo-record", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, b.p, b.n) != (ssize_t)b.n) node_supervisor_close(&fd);
    buf_free(&b);
    arena_free(scratch);
    return fd;
}

static err ask(struct supervisor *s, struct diag *d) {
    struct node_input in;
    struct node_message m = NODE_MESSAGE(deploy);
    TRY(node_grants_check(&s->config->grants, d));
    TRY(node_input_open(s->config->file, &in, d));
    node_singles_use_key(s, in.is_image, !in.is_image);
    m.fds[0] = record_fd(s), m.fds[1] = in.fd, m.fds_count = 2;
    err e = m.fds[0] >= 0 && s->client_fd >= 0 ? node_wire_send(s->client_fd, &m) : ERR_IO;
    node_message_drop(&m);
    return e == ERR_OK ? e : diag_set(d, e, DIAG_NOWHERE, "it cannot be handed on: %s", err_text(e));
}

static void failed(struct supervisor *s, err e, const struct diag *d) {
    if (!s->now.generation) node_supervisor_fail(s, e, d);
    else
        log_event(LOG_ERROR, "reload-failed", LF_CSTR("file", s->config->file),
                  LF_CSTR("reason", d->text[0] ? d->text : err_text(e)));
}

void node_serve_deploy(struct supervisor *s) {
    struct diag d = DIAG_INIT;
    s->deploy_ns = clock_mono_ns();
    s->anew = true;
    err e = ask(s, &d);
    s->deploying = e == ERR_OK;
    if (e != ERR_OK) failed(s, e, &d);
}

void node_serve_again(struct supervisor *s) {
    if (!s->config->file && s->config->config_file) node_config_reload(s, false);
    if (!s->config->file || s->draining) return;
    s->deploy_again = true;
    if (s->deploying || !s->announced || s->client_fd < 0) return;
    s->deploy_again = false;
    node_serve_deploy(s);
}

/* ---- what is said ---- */

/* What the command line says and this file has no use for. */
static void tell_idle_flags(const struct supervisor *s) {
    const struct app_limits *l = &s->config->limits.app;
    bool service = node_kind_is_service(s->kind), shared = service && l->instance_requests;
    const struct {
        bool idle;
        const char *flag, *reason;
    } flags[] = {
        {l->instance_requests && !service, "--instance-concurrency", "only a WASI 0.3 HTTP component shares instances"},
        {l->instance_reuse_max && !shared, "--instance-requests", "it is for instances that --instance-concurrency shares"},
        {l->instance_idle_ms && !shared, "--instance-idle", "it is for instances that --instance-concurrency shares"},
        {l->instance_growth_max && !shared, "--instance-growth", "it is for instances that --instance-concurrency shares"},
        {s->config->grants.forward_authority.n && !service, "--forward", "only a WASI 0.3 HTTP component passes requests on"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++)
        if (flags[i].idle)
            log_event(LOG_WARN, "flag-without-use", LF_CSTR("flag", flags[i].flag), LF_CSTR("reason", flags[i].reason));
}

static bool all_serve(const struct supervisor *s) {
    for (uint32_t i = 0; i < s->slots_count; i++)
        if (s->slots[i].used && (!s->slots[i].current || s->slots[i].current->serves != s->now.generation)) return false;
    return s->now.generation;
}

void node_serve_announce(struct supervisor *s) {
    if (s->announced || !all_serve(s) || (s->config->file && s->deploying)) return;
    s->announced = true;
    if (!node_takeover_waits(s)) node_notify_ready(s); /* else it is not systemd's yet */
    node_takeover_serves(s);
    struct log_field f[8] = {LF_STR("url", s->setup->shown)};
    size_t n = 1;
    if (s->setup->also.n) f[n++] = LF_STR("also", s->setup->also);
    if (s->admin_shown.n) f[n++] = LF_STR("admin", s->admin_shown);
    if (s->config->file) {
        f[n++] = LF_CSTR("file", s->config->file);
        f[n++] = LF_CSTR("kind", node_kind_text(s->kind));
    }
    f[n++] = LF_U64("workers", node_setup_workers(s->setup));
    f[n++] = LF_U64("pid", (uint64_t)getpid());
    f[n++] = LF_U64("start_ms", (clock_mono_ns() - s->started_ns) / 1000000u);
    log_emit(LOG_INFO, "serving", f, n);
    if (s->config->file) tell_idle_flags(s);
}

void node_serve_app_kills(struct supervisor *s, uint32_t app) {
    if (!s->config->file)
        node_singles_tell(s,
                          &NODE_MESSAGE(isolate, .app = app, .reason = STR("its requests ended workers twice within a minute")));
    log_event(LOG_WARN, "app-kills-workers", s->config->file ? LF_CSTR("file", s->config->file) : LF_U64("app", app),
              LF_CSTR("reason", "twice within a minute"));
}

static void on_deployed(struct supervisor *s, const struct node_msg_deployed *m) {
    struct diag d = DIAG_INIT;
    bool first = !s->announced;
    s->deploying = false;
    if (node_diag_of(&d, m->err, m->offset, m->text) != ERR_OK) {
        failed(s, m->err, &d);
    } else {
        s->kind = m->kind;
        node_serve_announce(s);
        if (!first) {
            log_event(LOG_INFO, "reloaded", LF_CSTR("file", s->config->file), LF_CSTR("kind", node_kind_text(s->kind)),
                      LF_U64("workers", node_setup_workers(s->setup)), LF_U64("ms", (clock_mono_ns() - s->deploy_ns) / 1000000u));
            tell_idle_flags(s);
        }
    }
    if (s->deploy_again) node_serve_again(s);
}

void node_serve_hear(struct supervisor *s) {
    struct node_message m;
    enum node_wire_got got = node_wire_receive(s->client_fd, NODE_ROLE_control, NODE_ROLE_command, &m);
    if (got == NODE_WIRE_AGAIN || (got == NODE_WIRE_GOT && m.type == NODE_MSG_progress)) return;
    if (got == NODE_WIRE_GOT && m.type == NODE_MSG_deployed) {
        on_deployed(s, &m.deployed);
        return;
    }
    node_supervisor_close(&s->client_fd); /* control's end tells the rest */
    if (got != NODE_WIRE_CLOSED) node_process_signal(&s->singles[NODE_ROLE_control].process, SIGKILL);
}
