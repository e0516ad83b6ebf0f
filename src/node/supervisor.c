/* supervisor: opens the ports, has the image made, keeps one worker per core alive, replaces them by a new generation, and brings them
 * to rest. All log lines go through it.
 *
 *   a process:  STARTING ──hello──> READY ──told to rest──> RESTING ──> gone
 *                  │                  └──dies, hangs──> gone, and its slot has a new one at once (causes.c)
 *                  └──says why not──> the first time: node_serve fails with that message
 *
 * 1. It reads no byte of a guest or of a request. What a worker sends is hearsay: messages (wire.def), the page of its pulse, log lines;
 *    who sends anything else is cut off.
 * 2. Sockets belong to the slot, not to the worker: a new worker takes over the queue of the one that died.
 * 3. It waits for nobody: not for who reads the log, nor for the job that makes a new image.
 * 4. A new generation takes over whole or not at all: its workers are all ready before the old ones are told to rest.
 */
#include "node/node_int.h"
#include "node/role.h"
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

enum { WORKERS_MAX = 256 /* settings.def: workers */, EARLY_DEATHS_MAX = 3 };
static const uint64_t logs_ns = 2'000'000u;      /* what a busy worker writes meanwhile fills a tenth of its socket */
static const uint64_t retry_ns = 1'000'000'000u; /* after the system had no process or no descriptor for us */

struct proc { /* a worker */
    struct proc *next;
    enum { STARTING, READY, RESTING } state;
    uint32_t slot;
    struct node_process process;
    int log_fd; /* -1: closed */
    struct node_pulse *pulse;
    struct node_watch watch;
    uint32_t kind;       /* wasi_kind, once it is ready */
    uint64_t kill_at_ns; /* of a RESTING one */
    bool stuck, dropped; /* it was ended for that; because its generation came to nothing */
};
struct slot {
    struct proc *current, *successor; /* NULL: none; a successor is of the next generation */
    uint64_t spawn_at_ns, pause_ns;   /* of the current one, where there is none */
};
struct supervisor {
    const struct node_serve_config *config;
    struct node_limits limits;
    arena *mem;
    struct node_sockets *sets;
    struct slot *slots;
    struct proc *procs; /* all */
    uint32_t workers;
    struct node_image image, next_image; /* fd -1: none is to come */
    struct node_reload reload;
    struct node_causes causes;
    struct node_relay relay;
    int signal_fd, terminal_fd; /* -1: it has no terminal */
    bool announced, draining, reload_again;
    uint32_t early_deaths; /* of workers that never said a word, before any was ready */
    uint64_t started_ns, kill_at_ns, reload_ns, sample_at_ns;
    uint64_t logs_at_ns; /* not before then are workers' lines taken in again: many at once cost less */
    err failed;          /* what a worker said before any was ready */
    struct diag *d;
};

/* ---- workers ---- */

/* A socket pair whose near end does not block: what a compromised worker does with its end is its own affair. */
static bool pair_of(int pair[2]) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return false;
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    return true;
}

static void close_fd(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void free_proc(struct proc *p) {
    close_fd(&p->process.wire);
    close_fd(&p->log_fd);
    if (p->pulse) node_pulse_free(p->pulse);
    free(p);
}

static struct proc *spawn(struct supervisor *s, uint32_t i, const struct node_image *image) {
    struct proc *p = malloc(sizeof *p);
    ENSURE(p);
    *p = (struct proc){.slot = i, .log_fd = -1, .process = {.pid = -1, .wire = -1}};
    int log[2] = {-1, -1}, pulse_fd = node_pulse_new(&p->pulse);
    bool started = false;
    if (pulse_fd >= 0 && pair_of(log)) {
        p->log_fd = log[0];
        setsockopt(log[1], SOL_SOCKET, SO_SNDBUFFORCE, &(int){1 << 20}, sizeof(int)); /* where we may: for bursts */
        struct node_worker_config config = {.image = *image, .sockets = s->sets[i], .index = i, .workers = s->workers};
        started = node_worker_start(&config, pulse_fd, log[1], &p->process);
    }
    int why = errno;
    close_fd(&pulse_fd), close_fd(&log[1]);
    if (!started) {
        log_event(LOG_ERROR, "worker-not-started", LF_U64("worker", i), LF_CSTR("reason", strerror(why)));
        node_process_end(&p->process);
        free_proc(p);
        return NULL;
    }
    p->next = s->procs;
    s->procs = p;
    return p;
}

/* What the command line says and this file has no use for. */
static void tell_idle_flags(const struct supervisor *s) {
    const struct node_limits *l = &s->config->limits;
    bool service = node_kind_is_service(s->slots[0].current->kind), shared = service && l->app.instance_requests;
    const struct {
        bool idle;
        const char *flag, *reason;
    } flags[] = {
        {l->app.instance_requests && !service, "--instance-concurrency", "only a WASI 0.3 HTTP component shares instances"},
        {l->app.instance_reuse_max && !shared, "--instance-requests", "it is for instances that --instance-concurrency shares"},
        {l->app.instance_idle_ms && !shared, "--instance-idle", "it is for instances that --instance-concurrency shares"},
        {l->app.instance_growth_max && !shared, "--instance-growth", "it is for instances that --instance-concurrency shares"},
        {s->config->grants.forward_authority.n && !service, "--forward", "only a WASI 0.3 HTTP component passes requests on"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++)
        if (flags[i].idle)
            log_event(LOG_WARN, "flag-without-use", LF_CSTR("flag", flags[i].flag), LF_CSTR("reason", flags[i].reason));
}

static void announce(struct supervisor *s) {
    if (s->announced) return;
    for (uint32_t i = 0; i < s->workers; i++)
        if (!s->slots[i].current || s->slots[i].current->state != READY) return;
    s->announced = true;
    struct log_field fields[7] = {LF_STR("url", s->sets[0].shown)};
    size_t n = 1;
    if (s->sets[0].also.n) fields[n++] = LF_STR("also", s->sets[0].also);
    fields[n++] = LF_CSTR("file", s->config->file);
    fields[n++] = LF_CSTR("kind", node_kind_text(s->slots[0].current->kind));
    fields[n++] = LF_U64("workers", s->workers);
    fields[n++] = LF_U64("pid", (uint64_t)getpid());
    fields[n++] = LF_U64("start_ms", (clock_mono_ns() - s->started_ns) / 1000000u);
    log_emit(LOG_INFO, "serving", fields, n);
    tell_idle_flags(s);
}

static void rest(struct supervisor *s, struct proc *p) {
    p->state = RESTING;
    p->kill_at_ns = clock_mono_ns() + (s->limits.drain_ms_max + 1000) * 1000000u;
    if (node_wire_send(p->process.wire, &NODE_MESSAGE(rest)) != ERR_OK) kill(p->process.pid, SIGTERM);
}

/* ---- a new generation ---- */

static void drop_next(struct supervisor *s) {
    close_fd(&s->next_image.fd);
    for (uint32_t i = 0; i < s->workers; i++) {
        struct proc *p = s->slots[i].successor;
        if (!p) continue;
        p->dropped = true;
        kill(p->process.pid, SIGKILL);
        s->slots[i].successor = NULL;
    }
}

static void begin_reload(struct supervisor *s);

static void reload_failed(struct supervisor *s, const char *why) {
    drop_next(s);
    log_event(LOG_ERROR, "reload-failed", LF_CSTR("file", s->config->file), LF_CSTR("reason", why));
    begin_reload(s);
}

static void begin_reload(struct supervisor *s) {
    struct diag d = DIAG_INIT;
    if (!s->reload_again || s->reload.fd >= 0 || s->next_image.fd >= 0 || !s->announced || s->draining) return;
    s->reload_again = false;
    s->reload_ns = clock_mono_ns();
    if (node_reload_start(&s->reload, s->config, &s->limits, &d) != ERR_OK) reload_failed(s, d.text);
}

static void image_made(struct supervisor *s) {
    struct diag d = DIAG_INIT;
    s->next_image.fd = -1;
    if (node_reload_take(&s->reload, &s->next_image, &d) != ERR_OK) {
        reload_failed(s, d.text);
        return;
    }
    for (uint32_t i = 0; i < s->workers; i++)
        if (!(s->slots[i].successor = spawn(s, i, &s->next_image))) {
            reload_failed(s, "its workers cannot be started");
            return;
        }
}

static void take_over(struct supervisor *s) {
    for (uint32_t i = 0; i < s->workers; i++)
        if (!s->slots[i].successor || s->slots[i].successor->state != READY) return;
    for (uint32_t i = 0; i < s->workers; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->current) rest(s, slot->current);
        slot->current = slot->successor;
        slot->successor = NULL;
        slot->pause_ns = 0;
    }
    close_fd(&s->image.fd);
    s->image = s->next_image;
    s->next_image.fd = -1;
    log_event(LOG_INFO, "reloaded", LF_CSTR("file", s->config->file), LF_CSTR("kind", node_kind_text(s->slots[0].current->kind)),
              LF_U64("workers", s->workers), LF_U64("ms", (clock_mono_ns() - s->reload_ns) / 1000000u));
    tell_idle_flags(s);
    begin_reload(s);
}

/* ---- what workers say ---- */

static void on_hello(struct supervisor *s, struct proc *p, const struct node_msg_hello *hello) {
    struct slot *slot = &s->slots[p->slot];
    struct diag d = DIAG_INIT;
    if (node_diag_of(&d, hello->err, hello->offset, hello->text) == ERR_OK) {
        p->state = READY;
        p->kind = hello->kind;
        if (p == slot->successor) take_over(s);
        else announce(s);
        return;
    }
    if (p == slot->successor) {
        reload_failed(s, d.text);
    } else if (s->announced) {
        log_event(LOG_ERROR, "worker-failed", LF_U64("worker", p->slot), LF_CSTR("reason", d.text));
    } else if (s->failed == ERR_OK) {
        s->failed = node_diag_of(s->d, hello->err, hello->offset, hello->text);
    }
}

/* What it says is nonsense: it is no worker of ours any more. Its end is seen as any other's. */
static void cut_off(struct supervisor *s, struct proc *p) {
    log_event(LOG_ERROR, "role-cut-off", LF_CSTR("role", node_role_text(p->process.role)), LF_U64("worker", p->slot));
    close_fd(&p->process.wire);
    kill(p->process.pid, SIGKILL);
}

static void hear(struct supervisor *s, struct proc *p) {
    struct node_message m;
    switch (node_wire_receive(p->process.wire, NODE_ROLE_worker, NODE_ROLE_supervisor, &m)) {
    case NODE_WIRE_AGAIN: return;
    case NODE_WIRE_CLOSED: close_fd(&p->process.wire); return; /* it died: SIGCHLD tells the rest */
    case NODE_WIRE_NONSENSE: cut_off(s, p); return;
    case NODE_WIRE_GOT: break;
    }
    if (m.type == NODE_MSG_hello && p->state == STARTING) on_hello(s, p, &m.hello);
    else cut_off(s, p);
}

static void log_death(const struct proc *p, int status, const struct node_death *death, uint64_t pause_ns, str ids,
                      const char *doing) {
    struct log_field f[9] = {LF_U64("worker", p->slot)};
    size_t n = 1;
    if (p->stuck) {
        f[n++] = LF_U64("stuck_ms", NODE_STUCK_MS);
    } else if (WIFSIGNALED(status)) {
        f[n++] = LF_I64("signal", WTERMSIG(status));
        f[n++] = LF_CSTR("name", strsignal(WTERMSIG(status)));
    } else {
        f[n++] = LF_I64("status", WEXITSTATUS(status));
    }
    if (p->state != RESTING) f[n++] = LF_U64("restart_ms", pause_ns / 1000000u);
    if (doing[0]) f[n++] = LF_CSTR("doing", doing);
    if (ids.n) f[n++] = LF_STR("requests", ids);
    if (death->running != NODE_NO_APP) f[n++] = LF_U64("app", death->running);
    if (p->stuck) log_emit(LOG_ERROR, "worker-stuck", f, n);
    else log_emit(LOG_ERROR, "worker-died", f, n);
}

/* What a worker's end means: words for the log, and when its slot has another one. */
static void lost(struct supervisor *s, struct proc *p, int status) {
    struct slot *slot = &s->slots[p->slot];
    bool failure = p->stuck || WIFSIGNALED(status) || WEXITSTATUS(status), current = slot->current == p,
         successor = slot->successor == p;
    uint64_t now = clock_mono_ns();
    struct node_death death;
    char doing[NODE_DOING_BYTES];
    struct buf ids = {0};
    node_pulse_read(p->pulse, &death, &ids, doing);
    death.served = p->state != STARTING && death.served;
    struct node_fate fate = node_causes_death(&s->causes, &death, slot->pause_ns, now);
    if (current) {
        slot->current = NULL;
        slot->pause_ns = fate.pause_ns;
        slot->spawn_at_ns = now + fate.pause_ns;
        if (!s->announced && p->state == STARTING && ++s->early_deaths >= EARLY_DEATHS_MAX && s->failed == ERR_OK)
            s->failed =
                diag_set(s->d, ERR_TRAP, DIAG_NOWHERE, "its workers die as they start (%s %d)",
                         WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    if (s->failed == ERR_OK && !s->draining && (current || (failure && !successor)))
        log_death(p, status, &death, fate.pause_ns, buf_str(&ids), doing);
    if (fate.isolate != NODE_NO_APP && !s->draining)
        log_event(LOG_WARN, "app-kills-workers", LF_CSTR("file", s->config->file), LF_CSTR("reason", "twice within a minute"));
    buf_free(&ids);
    if (!successor) return;
    slot->successor = NULL;
    reload_failed(s, "a worker died as it started");
}

static void died(struct supervisor *s, struct proc *p, int status) {
    while (p->log_fd >= 0 && node_relay_take(&s->relay, p->log_fd, p->slot, s->workers)) { /* its last words */
        char byte;
        if (recv(p->log_fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) <= 0) break;
    }
    if (p->process.wire >= 0 && p->state == STARTING) hear(s, p);
    if (!p->stuck && !p->dropped) lost(s, p, status);
    for (struct proc **at = &s->procs; *at; at = &(*at)->next)
        if (*at == p) {
            *at = p->next;
            break;
        }
    free_proc(p);
}

static void reap(struct supervisor *s) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (struct proc *p = s->procs; p; p = p->next)
            if (p->process.pid == pid) {
                died(s, p, status);
                break;
            }
}

/* ---- watching ---- */

static void watch(struct supervisor *s) {
    for (struct proc *p = s->procs; p; p = p->next) {
        struct node_vitals v = {.beats = __atomic_load_n(&p->pulse->beats, __ATOMIC_RELAXED)};
        if (p->stuck || !node_vitals_read(p->process.pid, &v)) continue;
        enum node_watch_verdict verdict = node_watch_sample(&p->watch, &v);
        if (verdict == NODE_WATCH_ASK && p->state != STARTING) kill(p->process.pid, SIGUSR1);
        if (verdict != NODE_WATCH_STUCK) continue;
        p->stuck = true;
        kill(p->process.pid, SIGKILL);
        lost(s, p, 0); /* its successor does not wait for the kernel to be rid of it */
    }
}

/* ---- signals ---- */

static void signal_all(struct supervisor *s, int signum) {
    for (struct proc *p = s->procs; p; p = p->next) kill(p->process.pid, signum);
}

static void begin_drain(struct supervisor *s, const char *why) {
    if (s->draining) { /* asked twice: now */
        s->kill_at_ns = clock_mono_ns();
        return;
    }
    s->draining = true;
    node_reload_stop(&s->reload);
    drop_next(s);
    /* The workers have a deadline of their own; this one is for a worker that does not get there. */
    s->kill_at_ns = clock_mono_ns() + (s->limits.drain_ms_max + 1000) * 1000000u;
    if (s->announced) log_event(LOG_INFO, "draining", LF_CSTR("signal", why), LF_U64("ms_max", s->limits.drain_ms_max));
    for (uint32_t i = 0; i < s->workers; i++)
        for (uint32_t k = 0; k < s->sets[i].fds.n; k++) close(s->sets[i].fds.p[k]); /* the workers close theirs */
    signal_all(s, SIGTERM);
}

/* Of a terminal that closed, and not of somebody who asks for a new image: the terminal is gone by now. */
static bool hung_up(const struct supervisor *s) {
    struct pollfd terminal = {.fd = s->terminal_fd};
    return s->terminal_fd >= 0 && poll(&terminal, 1, 0) == 1 && terminal.revents & (POLLHUP | POLLERR);
}

static void read_signals(struct supervisor *s) {
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGTERM: begin_drain(s, "SIGTERM"); break;
        case SIGINT: begin_drain(s, "SIGINT"); break;
        case SIGHUP:
            if (hung_up(s)) {
                begin_drain(s, "SIGHUP");
            } else {
                s->reload_again = true;
                begin_reload(s);
            }
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
    uint64_t due = s->draining ? s->kill_at_ns : s->sample_at_ns;
    for (uint32_t i = 0; i < s->workers && !s->draining; i++)
        if (!s->slots[i].current) due = MIN(due, s->slots[i].spawn_at_ns);
    if (s->logs_at_ns > now) due = MIN(due, s->logs_at_ns);
    if (due == UINT64_MAX) return -1;
    return due <= now ? 0 : (int)MIN((due - now) / 1000000u + 1, 60000u);
}

static void wait_turn(struct supervisor *s) {
    static struct pollfd fds[3 + 4 * 2 * WORKERS_MAX];
    fds[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = node_relay_wants(&s->relay) ? s->relay.fd : -1, .events = POLLOUT};
    fds[2] = (struct pollfd){.fd = s->reload.fd, .events = POLLIN};
    nfds_t n = 3;
    uint64_t now = clock_mono_ns();
    bool take = now >= s->logs_at_ns && node_relay_has_room(&s->relay);
    for (struct proc *p = s->procs; p && n + 2 <= ARRAY_COUNT(fds); p = p->next) {
        fds[n++] = (struct pollfd){.fd = p->process.wire, .events = POLLIN};
        fds[n++] = (struct pollfd){.fd = take ? p->log_fd : -1, .events = POLLIN};
    }
    if (poll(fds, n, until_due(s, now)) > 0) {
        nfds_t i = 3;
        for (struct proc *p = s->procs; p && i + 2 <= n; p = p->next, i += 2) {
            if (fds[i + 1].revents) {
                if (!node_relay_take(&s->relay, p->log_fd, p->slot, s->workers)) close_fd(&p->log_fd);
                s->logs_at_ns = now + logs_ns;
            }
            if (fds[i].revents && p->process.wire >= 0) hear(s, p);
        }
        if (fds[2].revents && s->reload.fd >= 0) image_made(s);
        if (fds[0].revents) read_signals(s);
    }
    reap(s);
}

static void act(struct supervisor *s) {
    uint64_t now = clock_mono_ns();
    if (s->failed != ERR_OK && !s->draining) begin_drain(s, "failure");
    for (struct proc *p = s->procs; p; p = p->next)
        if (p->state == RESTING && p->kill_at_ns && now >= p->kill_at_ns) kill(p->process.pid, SIGKILL), p->kill_at_ns = 0;
    if (s->draining) {
        if (now >= s->kill_at_ns) {
            signal_all(s, SIGKILL);
            s->kill_at_ns = UINT64_MAX;
        }
        return;
    }
    if (now >= s->sample_at_ns) {
        s->sample_at_ns = now + NODE_WATCH_SAMPLE_MS * 1000000ull;
        watch(s);
    }
    for (uint32_t i = 0; i < s->workers; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->current || now < slot->spawn_at_ns) continue;
        slot->current = spawn(s, i, &s->image);
        if (!slot->current) slot->spawn_at_ns = now + retry_ns;
    }
}

/* A container's share of processor time, in cores, rounded up; 0: no limit. */
static uint32_t cores_quota(void) {
    char text[64] = "";
    int fd = open("/sys/fs/cgroup/cpu.max", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    unsigned long long quota, period; /* "max 100000" has no quota */
    return n > 0 && sscanf(text, "%llu %llu", &quota, &period) == 2 && period ? (uint32_t)((quota + period - 1) / period) : 0;
}

static uint32_t cores(void) {
    cpu_set_t set;
    uint32_t n = sched_getaffinity(0, sizeof set, &set) ? 1 : (uint32_t)MAX(CPU_COUNT(&set), 1), quota = cores_quota();
    return quota ? MIN(n, quota) : n;
}

/* Each connection is a descriptor: as many as the system lets this user have. */
static void raise_files_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files)) return;
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
}

static err prepare(struct supervisor *s) {
    struct node_input in;
    TRY(node_grants_check(&s->config->grants, s->d));
    TRY(node_input_open(s->config->file, &in, s->d));
    err e = node_listen_open(s->mem, s->config, s->workers, s->sets, s->d);
    if (e == ERR_OK) e = node_image_for(&in, s->config->file, s->config->state_dir, &s->limits, &s->image, s->d);
    close(in.fd);
    log_event(LOG_DEBUG, "image-ready", LF_U64("ms", (clock_mono_ns() - s->started_ns) / 1000000u));
    if (e == ERR_OK && !catch_signals(s)) e = diag_set(s->d, ERR_IO, DIAG_NOWHERE, "no signalfd: %s", strerror(errno));
    return e;
}

static void be_a_worker(const struct node_serve_config *serve, const struct node_limits *limits) {
    struct node_worker_config config = {.serve = serve, .limits = limits};
    struct diag d = DIAG_INIT;
    arena *mem = arena_new(0);
    err e;
    if (!node_worker_started(mem, &config, &d, &e)) {
        arena_free(mem);
        return;
    }
    if (e != ERR_OK) {
        fprintf(stderr, "orlo: %s\n", d.text);
        exit(1);
    }
    _exit(node_worker_main(&config));
}

err node_serve(const struct node_serve_config *config, struct diag *d) {
    struct supervisor s = {.config = config,
                           .limits = config->limits,
                           .image.fd = -1,
                           .next_image.fd = -1,
                           .reload.fd = -1,
                           .signal_fd = -1,
                           .terminal_fd = -1,
                           .d = d,
                           .started_ns = clock_mono_ns()};
    node_limits_fill(&s.limits);
    be_a_worker(config, &s.limits);
    s.workers = (uint32_t)MIN(s.limits.workers ? s.limits.workers : cores(), (uint64_t)WORKERS_MAX);
    s.mem = arena_new(0);
    s.sets = arena_array(s.mem, struct node_sockets, s.workers);
    s.slots = arena_array(s.mem, struct slot, s.workers);
    raise_files_limit();
    err e = prepare(&s);
    if (e == ERR_OK) {
        prctl(PR_SET_NAME, "orlo");
        node_relay_open(&s.relay);
        act(&s);
        while (!s.draining || s.procs) {
            node_relay_flush(&s.relay);
            wait_turn(&s);
            act(&s);
        }
        e = s.failed;
        if (e == ERR_OK) log_event(LOG_INFO, "stopped");
        node_relay_close(&s.relay);
    }
    close_fd(&s.image.fd), close_fd(&s.signal_fd), close_fd(&s.terminal_fd);
    arena_free(s.mem);
    return e;
}
