/* supervisor: opens the ports, starts all other processes, keeps them alive, and brings them to rest. All log lines go through it.
 *
 *   supervisor ─┬─ control     what there is to serve (control.c)          publish.c  brings it to all workers
 *               ├─ keys        signs, when it is asked (key.c)             singles.c  speaks with these two
 *               ├─ store       apps' data (store/)                         roles.c    looks after all three
 *               ├─ job …       for control (jobs.c)
 *               └─ worker …    one for each core (worker.c)                workers.c  looks after these
 *
 * 1. It reads no byte of a guest or of a request. What others send is hearsay: messages (wire.def), the page of a worker's pulse, log
 *    lines.
 * 2. It waits for nobody: not for who reads the log, nor for a job, nor for an answer.
 */
#include "node/supervisor/supervisor_int.h"
#include "node/worker/gate.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static const uint64_t logs_ns = 2'000'000u; /* what a busy worker writes meanwhile fills a tenth of its socket */

void node_supervisor_close(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* Its near end does not block: what a process that was taken over does with its end is its own affair. */
bool node_supervisor_log_pair(int pair[2]) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return false;
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    setsockopt(pair[1], SOL_SOCKET, SO_SNDBUFFORCE, &(int){1 << 20}, sizeof(int)); /* where we may: for bursts */
    return true;
}

void node_supervisor_fail(struct supervisor *s, err e, const struct diag *d) {
    if (s->failed != ERR_OK || s->draining) return;
    s->failed = e;
    *s->d = *d;
}

void node_supervisor_cut_off(const struct node_process *p, const uint32_t *worker) {
    struct log_field f[2] = {LF_CSTR("role", node_role_text(p->role))};
    if (worker) f[1] = LF_U64("worker", *worker);
    log_emit(LOG_ERROR, "role-cut-off", f, worker ? 2 : 1);
}

/* ---- signals ---- */

static void begin_drain(struct supervisor *s, const char *why) {
    if (s->draining) { /* asked twice: now */
        s->kill_at_ns = clock_mono_ns();
        return;
    }
    node_publish_forget_next(s);
    s->draining = true;
    node_notify_stopping(s);
    /* The workers have a deadline of their own; this one is for a worker that does not get there. */
    s->kill_at_ns = clock_mono_ns() + (s->setup->limits.drain_ms_max + 1000) * 1000000u;
    if (s->announced) log_event(LOG_INFO, "draining", LF_CSTR("signal", why), LF_U64("ms_max", s->setup->limits.drain_ms_max));
    node_setup_close_doors(s->setup);
    node_cordons_stop(s);
    node_workers_signal(s, SIGTERM);
}

/* Of a terminal that closed, and not of somebody who asks for a new image: the terminal is gone by now. */
static bool hung_up(const struct supervisor *s) {
    struct pollfd terminal = {.fd = s->terminal_fd};
    return s->terminal_fd >= 0 && poll(&terminal, 1, 0) == 1 && terminal.revents & (POLLHUP | POLLERR);
}

static void read_signals(struct supervisor *s) {
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (node_upgrade_leaves(s) && info.ssi_signo != SIGCHLD) { /* the node is another; a terminal tells that one itself */
            if (info.ssi_code <= 0) node_upgrade_signal(s, (int)info.ssi_signo);
            continue;
        }
        switch (info.ssi_signo) {
        case SIGTERM: begin_drain(s, "SIGTERM"); break;
        case SIGINT: begin_drain(s, "SIGINT"); break;
        case SIGHUP:
            if (hung_up(s)) begin_drain(s, "SIGHUP");
            else node_serve_again(s);
            break;
        default: break; /* SIGCHLD: reaped on every turn; SIGUSR1, SIGUSR2: nothing */
        }
    }
}

static bool catch_signals(struct supervisor *s) {
    static const int caught[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2};
    struct sigaction hangup;
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_COUNT(caught); i++) sigaddset(&set, caught[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    /* Under nohup it outlives the terminal. An ignored signal is not queued even while it is blocked: a handler takes its place. */
    bool nohup = sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN;
    signal(SIGHUP, SIG_DFL);
    s->terminal_fd = nohup ? -1 : open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd >= 0;
}

/* ---- turns ---- */

static int until_due(const struct supervisor *s, uint64_t now) {
    uint64_t due = s->draining ? s->kill_at_ns : MIN(MIN(s->sample_at_ns, node_singles_due_ns(s)), node_jobs_due_ns(&s->jobs));
    due = MIN(due, MIN(node_roles_due_ns(s), node_notify_due_ns(s)));
    due = MIN(due, MIN(node_clusters_due_ns(s), node_upgrade_due_ns(s)));
    for (uint32_t i = 0; i < s->slots_count && !s->draining && (s->now.generation || s->next.generation); i++) {
        const struct slot *slot = &s->slots[i];
        if (slot->used && slot->rest_at_ns) due = MIN(due, slot->rest_at_ns);
        else if (slot->used && !slot->current && !slot->successor) due = MIN(due, slot->spawn_at_ns);
    }
    for (const struct proc *p = s->procs; p; p = p->next)
        if (p->kill_at_ns) due = MIN(due, p->kill_at_ns);
    if (s->next.generation) due = MIN(due, s->next.late_at_ns);
    if (s->logs_at_ns > now) due = MIN(due, s->logs_at_ns);
    if (s->relay.busy) due = MIN(due, now + 2'000'000u);
    if (!s->announced && s->jobs.running) due = MIN(due, now + 200'000'000u); /* a progress line */
    if (due == UINT64_MAX) return -1;
    return due <= now ? 0 : (int)MIN((due - now) / 1000000u + 1, 60000u);
}

static void take_lines(struct supervisor *s, int *fd, const char *role, const uint32_t *worker, uint64_t now) {
    if (!node_relay_take(&s->relay, *fd, role, worker, worker ? s->slots_count : 1)) node_supervisor_close(fd);
    s->logs_at_ns = now + logs_ns;
}

void node_supervisor_take_lines(struct supervisor *s, enum node_role role, int *fd) {
    take_lines(s, fd, node_role_text(role), NULL, clock_mono_ns());
}

enum { UPGRADE_AT = 4, TAKEOVER_AT = UPGRADE_AT + NODE_UPGRADE_FDS, ROLES_AT, FIXED = ROLES_AT + 2 * NODE_ROLES };

static void poll_workers(struct supervisor *s, const struct pollfd *fds, nfds_t n, uint64_t now) {
    nfds_t i = FIXED;
    for (struct proc *p = s->procs, *next; p && i + 2 <= n; p = next, i += 2) {
        next = p->next;
        if (fds[i + 1].revents) take_lines(s, &p->log_fd, NULL, &p->slot, now);
        if (fds[i].revents && p->process.wire >= 0) node_workers_hear(s, p);
    }
}

static void wait_turn(struct supervisor *s) {
    static struct pollfd fds[FIXED + NODE_JOBS_RUNNING_MAX + 4 * SLOTS_MAX];
    uint64_t now = clock_mono_ns();
    bool take = now >= s->logs_at_ns && node_relay_has_room(&s->relay);
    fds[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = node_relay_wants(&s->relay) ? s->relay.fd : -1, .events = POLLOUT};
    fds[2] = (struct pollfd){.fd = s->client_fd, .events = POLLIN};
    fds[3] = (struct pollfd){.fd = take ? s->translators_log[0] : -1, .events = POLLIN};
    node_upgrade_poll(s, fds + UPGRADE_AT);
    fds[TAKEOVER_AT] = (struct pollfd){.fd = node_takeover_fd(s), .events = POLLIN};
    node_roles_poll(s, fds + ROLES_AT, take);
    nfds_t n = FIXED;
    for (struct proc *p = s->procs; p && n + 2 + NODE_JOBS_RUNNING_MAX <= ARRAY_COUNT(fds); p = p->next) {
        fds[n++] = (struct pollfd){.fd = p->process.wire, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = take ? p->log_fd : -1, .events = POLLIN};
    }
    nfds_t all = n + node_jobs_poll(&s->jobs, fds + n);
    if (poll(fds, all, until_due(s, now)) > 0) {
        poll_workers(s, fds, n, now);
        node_roles_polled(s, fds + ROLES_AT);
        if (fds[3].revents) node_supervisor_take_lines(s, NODE_ROLE_translator, &s->translators_log[0]);
        if (fds[2].revents && s->client_fd >= 0) node_serve_hear(s);
        if (fds[TAKEOVER_AT].revents && s->takeover) node_takeover_hear(s);
        node_upgrade_polled(s, fds + UPGRADE_AT);
        if (fds[0].revents) read_signals(s);
    }
}

static void reap(struct supervisor *s) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!node_workers_reap(s, pid, status) && !node_jobs_reap(&s->jobs, pid, status) && !node_roles_reap(s, pid, status) &&
            !node_translators_reap(s, pid, status) && !node_upgrade_reap(s, pid, status))
            (void)node_clusters_reap(s, pid, status);
}

static void act(struct supervisor *s) {
    uint64_t now = clock_mono_ns();
    if (s->failed != ERR_OK && !s->draining) begin_drain(s, "failure");
    node_notify_act(s, now);
    node_cordons_act(s, now);
    node_workers_act(s, now);
    node_regions_look(s);
    node_upgrade_act(s, now);
    node_roles_act(s, now);
    node_clusters_act(s, now);
    if (s->draining) {
        if (now < s->kill_at_ns) return;
        node_workers_signal(s, SIGKILL);
        s->kill_at_ns = UINT64_MAX;
        return;
    }
    node_jobs_turn(&s->jobs);
    if (!s->announced) node_jobs_show(&s->jobs);
    node_singles_act(s, now);
    node_certificates_act(s, now);
    node_publish_act(s, now);
    node_config_act(s, now);
    if (now < s->sample_at_ns) return;
    s->sample_at_ns = now + NODE_WATCH_SAMPLE_MS * 1000000ull;
    node_workers_watch(s);
}

/* ---- the whole ---- */

/* Each connection is a descriptor: as many as the system lets this user have. */
static void raise_files_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files)) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

/* Workers of a node that was killed as it was being replaced hold its addresses for a moment yet. */
static err open_setup(struct supervisor *s) {
    enum { TRIES = 200, EACH_MS = 50 };
    err e = ERR_BUSY;
    for (int i = 0; e == ERR_BUSY && i < TRIES; i++) {
        if (i) poll(NULL, 0, EACH_MS);
        e = node_setup_new(s->config, s->file, node_takeover_before(s), &s->setup, s->d);
        if (!node_takeover_broken(s)) break;
    }
    return e;
}

static err prepare(struct supervisor *s) {
    arena *scratch = arena_new(0);
    bool keeps = !s->config->file;
    err e =
        keeps ? node_state_go_on(node_state_folder(scratch, s->config->state_dir), &s->state, s->d) : node_serve_check(s, s->d);
    arena_free(scratch);
    TRY(e);
    node_clusters_look(s);
    TRY(open_setup(s));
    TRY(node_certificates_of(s, s->file, s->setup, s->d));
    if (!node_cordons_arrange(s, s->setup, 0)) return diag_set(s->d, ERR_IO, DIAG_NOWHERE, "no sockets: %s", strerror(errno));
    node_cordons_settle(s);
    TRY(node_admin_open(s, s->d));
    node_singles_use_key(s, keeps, true);
    if (!catch_signals(s)) return diag_set(s->d, ERR_IO, DIAG_NOWHERE, "no signalfd: %s", strerror(errno));
    return node_takeover_prepared(s, s->d);
}

static void log_said(const char *text, size_t n) {
    log_event(LOG_ERROR, "role-said", LF_CSTR("role", "job"), LF_LINES("text", ((str){(const uint8_t *)text, n})));
}

static err supervise(struct supervisor *s, pid_t *successor, int *wire) {
    prctl(PR_SET_NAME, "orlo");
    node_relay_open(&s->relay);
    if (s->takeover) node_upgrade_share_log(s);
    node_notify_open(s);
    for (act(s); !s->draining || s->procs || node_upgrade_waits(s); act(s)) {
        node_relay_flush(&s->relay);
        wait_turn(s);
        reap(s);
    }
    node_singles_end(s);
    node_roles_end_all(s);
    node_clusters_end(s);
    node_translators_end(s);
    node_jobs_end(&s->jobs);
    if (!s->announced) node_jobs_show(&s->jobs); /* wiped */
    if (node_upgrade_leaves(s)) log_event(LOG_INFO, "left", LF_U64("pid", (uint64_t)getpid()));
    else if (s->failed == ERR_OK) log_event(LOG_INFO, "stopped");
    node_relay_close(&s->relay);
    *successor = node_upgrade_end(s, wire);
    return s->failed;
}

/* All that it holds, but what its successor was not given. */
static void close_all(struct supervisor *s) {
    node_publish_end(s);
    node_regions_close(s);
    node_certificates_end(s);
    node_cordons_end(s);
    node_setup_free(s->setup);
    node_state_close(&s->state);
    node_supervisor_close(&s->admin_fd), node_supervisor_close(&s->client_ca_fd), node_supervisor_close(&s->rates_fd);
}

static err read_config(arena *mem, const struct node_serve_config *flags, struct manifest_config **file,
                       struct node_serve_config *config, struct diag *d) {
    if (flags->config_file) TRY(node_config_read(mem, flags->config_file, file, d));
    return node_config_merge(mem, flags, *file, config, d);
}

static void init(struct supervisor *s, const struct node_serve_config *flags, arena *mem, struct diag *d) {
    *s = (struct supervisor){.flags = flags,
                             .config = flags,
                             .mem = mem,
                             .now.fd = -1,
                             .next.fd = -1,
                             .admin_fd = -1,
                             .client_ca_fd = -1,
                             .tickets = -1,
                             .tickets_read = -1,
                             .certificates = -1,
                             .coming_certificates = -1,
                             .rates_fd = node_rates_new(),
                             .client_fd = -1,
                             .signal_fd = -1,
                             .terminal_fd = -1,
                             .notify_fd = -1,
                             .parent_fd = -1,
                             .translators_log = {-1, -1},
                             .d = d,
                             .started_ns = clock_mono_ns()};
    node_state_none(&s->state);
    node_roles_init(s);
    s->jobs = (struct node_jobs){.running_max = MIN(MAX(node_setup_cores() / 2, 1u), (uint32_t)NODE_JOBS_RUNNING_MAX),
                                 .memory_bytes_max = node_machine_memory() / 2,
                                 .said = log_said};
    node_regions_open(s);
    crypto_random(s->hops_key, sizeof s->hops_key);
}

err node_serve(const struct node_serve_config *flags, struct diag *d) {
    static struct supervisor s;
    static struct node_serve_config config;
    struct manifest_config *file = NULL;
    arena *mem = arena_new(0);
    pid_t successor = 0;
    int wire = -1, status = 0;
    node_upgrade_remember();
    raise_files_limit();
    init(&s, flags, mem, d);
    err e = s.rates_fd < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "there is no memory file: %s", strerror(errno)) : ERR_OK;
    if (e == ERR_OK) node_takeover_begin(&s);
    if (e == ERR_OK) e = read_config(mem, flags, &file, &config, d);
    if (e == ERR_OK) {
        s.config = &config, s.file = file;
        e = prepare(&s);
    }
    if (e == ERR_OK) e = supervise(&s, &successor, &wire);
    if (e != ERR_OK) node_takeover_failed(&s, e, d);
    close_all(&s);
    if (successor) status = node_stay(&s, successor, wire);
    node_notify_close(&s);
    node_supervisor_close(&s.signal_fd), node_supervisor_close(&s.terminal_fd), node_supervisor_close(&s.parent_fd);
    arena_free(s.mem);
    if (status) exit(status); /* as the node did that has taken over */
    return e;
}
