/* supervisor: opens the ports, has the image made, keeps one worker per core alive, and brings them to rest.
 *
 *   worker slot:  EMPTY ──spawn──> STARTING ──hello──> READY ──dies──> EMPTY (spawned again after a pause that grows)
 *                                     └──says why not──> the first time: node_serve fails with that message
 *
 * 1. It reads no byte of a guest or of a request: what it learns from a worker is one struct node_hello and its death.
 * 2. Sockets belong to the slot, not to the worker: a new worker takes over the queue of the one that died.
 */
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 256, EARLY_DEATHS_MAX = 3 };
static const uint64_t pause_first_ns = 50000000u, pause_most_ns = 10000000000u, healthy_ns = 10000000000u;

enum slot_state { EMPTY, STARTING, READY };
struct slot {
    enum slot_state state;
    pid_t pid;
    int control_fd;
    uint64_t started_ns, spawn_at_ns, pause_ns;
};
struct supervisor {
    const struct node_serve_config *config;
    struct node_limits limits;
    arena *mem;
    struct node_sockets *sets;
    struct slot *slots;
    uint32_t workers;
    struct node_image image;
    int signal_fd;
    bool announced, draining, hangup_ends;
    uint32_t early_deaths; /* of workers that never said a word, before any was ready */
    uint64_t started_ns, kill_at_ns;
    err failed; /* what a worker said before any was ready */
    struct diag *d;
};

/* ---- workers ---- */

static _Noreturn void become_worker(struct supervisor *s, uint32_t i, int control_fd) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct node_worker_config config = {
        .serve = s->config,
        .limits = &s->limits,
        .sockets = s->sets[i],
        .image = s->image,
        .control_fd = control_fd,
        .index = i,
        .workers = s->workers,
    };
    _exit(node_worker_main(&config));
}

static void spawn(struct supervisor *s, uint32_t i) {
    struct slot *slot = &s->slots[i];
    int pair[2];
    slot->started_ns = clock_mono_ns();
    slot->spawn_at_ns = slot->started_ns + pause_most_ns;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair)) {
        log_event(LOG_ERROR, "worker-not-started", LF_U64("worker", i), LF_CSTR("reason", strerror(errno)));
        return;
    }
    pid_t pid = fork();
    if (pid == 0) become_worker(s, i, pair[1]);
    close(pair[1]);
    if (pid < 0) {
        log_event(LOG_ERROR, "worker-not-started", LF_U64("worker", i), LF_CSTR("reason", strerror(errno)));
        close(pair[0]);
        return;
    }
    slot->pid = pid;
    slot->control_fd = pair[0];
    slot->state = STARTING;
}

static void announce(struct supervisor *s, uint32_t kind) {
    if (s->announced) return;
    for (uint32_t i = 0; i < s->workers; i++)
        if (s->slots[i].state != READY) return;
    s->announced = true;
    struct log_field fields[7] = {LF_STR("url", s->sets[0].shown)};
    size_t n = 1;
    if (s->sets[0].also.n) fields[n++] = LF_STR("also", s->sets[0].also);
    fields[n++] = LF_CSTR("file", s->config->file);
    fields[n++] = LF_CSTR("kind", node_kind_text(kind));
    fields[n++] = LF_U64("workers", s->workers);
    fields[n++] = LF_U64("pid", (uint64_t)getpid());
    fields[n++] = LF_U64("start_ms", (clock_mono_ns() - s->started_ns) / 1000000u);
    log_emit(LOG_INFO, "serving", fields, n);
}

static void hear(struct supervisor *s, uint32_t i) {
    struct slot *slot = &s->slots[i];
    struct node_hello hello;
    ssize_t n = recv(slot->control_fd, &hello, sizeof hello, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n != (ssize_t)sizeof hello) { /* it died: SIGCHLD tells the rest */
        close(slot->control_fd);
        slot->control_fd = -1;
        return;
    }
    hello.diag.text[sizeof hello.diag.text - 1] = 0;
    if (hello.err == ERR_OK) {
        slot->state = READY;
        announce(s, hello.kind);
        return;
    }
    if (s->announced) {
        log_event(LOG_ERROR, "worker-failed", LF_U64("worker", i), LF_CSTR("reason", hello.diag.text));
    } else if (s->failed == ERR_OK) {
        s->failed = hello.err < ERR_COUNT ? (err)hello.err : ERR_IO;
        diag_set(s->d, s->failed, hello.diag.offset, "%s", hello.diag.text);
    }
}

static void died(struct supervisor *s, uint32_t i, int status) {
    struct slot *slot = &s->slots[i];
    uint64_t now = clock_mono_ns();
    bool was_ready = slot->state == READY;
    if (slot->control_fd >= 0) hear(s, i); /* its last words may still be there */
    if (slot->control_fd >= 0) close(slot->control_fd);
    slot->control_fd = -1;
    slot->state = EMPTY;
    slot->pid = 0;
    if (s->draining) return;
    bool healthy = was_ready && now - slot->started_ns > healthy_ns;
    slot->pause_ns = healthy ? 0 : slot->pause_ns ? MIN(slot->pause_ns * 2, pause_most_ns) : pause_first_ns;
    slot->spawn_at_ns = now + slot->pause_ns;
    if (s->failed != ERR_OK) return;
    if (!s->announced && !was_ready && ++s->early_deaths >= EARLY_DEATHS_MAX)
        s->failed =
            diag_set(s->d, ERR_TRAP, DIAG_NOWHERE, "its workers die as they start (%s %d)",
                     WIFSIGNALED(status) ? "signal" : "status", WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    if (WIFSIGNALED(status))
        log_event(LOG_ERROR, "worker-died", LF_U64("worker", i), LF_I64("signal", WTERMSIG(status)),
                  LF_CSTR("name", strsignal(WTERMSIG(status))), LF_U64("restart_ms", slot->pause_ns / 1000000u));
    else
        log_event(LOG_ERROR, "worker-died", LF_U64("worker", i), LF_I64("status", WEXITSTATUS(status)),
                  LF_U64("restart_ms", slot->pause_ns / 1000000u));
}

static void reap(struct supervisor *s) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (uint32_t i = 0; i < s->workers; i++)
            if (s->slots[i].pid == pid) died(s, i, status);
}

static uint32_t alive(const struct supervisor *s) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->workers; i++) n += s->slots[i].pid != 0;
    return n;
}

static void signal_all(struct supervisor *s, int signum) {
    for (uint32_t i = 0; i < s->workers; i++)
        if (s->slots[i].pid) kill(s->slots[i].pid, signum);
}

/* ---- signals ---- */

static void begin_drain(struct supervisor *s, const char *why) {
    if (s->draining) { /* asked twice: now */
        s->kill_at_ns = clock_mono_ns();
        return;
    }
    s->draining = true;
    /* The workers have a deadline of their own; this one is for a worker that does not get there. */
    s->kill_at_ns = clock_mono_ns() + (s->config->drain_ms_max + 1000) * 1000000u;
    if (s->announced) log_event(LOG_INFO, "draining", LF_CSTR("signal", why), LF_U64("ms_max", s->config->drain_ms_max));
    for (uint32_t i = 0; i < s->workers; i++)
        for (uint32_t k = 0; k < s->sets[i].fds.n; k++) close(s->sets[i].fds.p[k]); /* the workers close theirs */
    signal_all(s, SIGTERM);
}

static void read_signals(struct supervisor *s) {
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGTERM: begin_drain(s, "SIGTERM"); break;
        case SIGINT: begin_drain(s, "SIGINT"); break;
        case SIGHUP: /* of a terminal that closed; a service is not bothered */
            if (s->hangup_ends) begin_drain(s, "SIGHUP");
            break;
        default: break; /* SIGCHLD: reaped on every turn */
        }
    }
}

static bool catch_signals(struct supervisor *s) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->hangup_ends = isatty(STDIN_FILENO);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->signal_fd >= 0;
}

/* ---- the loop ---- */

/* Milliseconds until something is due. */
static int until_due(const struct supervisor *s, uint64_t now) {
    uint64_t due = UINT64_MAX;
    if (s->draining) due = s->kill_at_ns;
    else
        for (uint32_t i = 0; i < s->workers; i++)
            if (s->slots[i].state == EMPTY) due = MIN(due, s->slots[i].spawn_at_ns);
    if (due == UINT64_MAX) return -1;
    return due <= now ? 0 : (int)MIN((due - now) / 1000000u + 1, 60000u);
}

static void wait_turn(struct supervisor *s) {
    struct pollfd fds[WORKERS_MAX + 1] = {{.fd = s->signal_fd, .events = POLLIN}};
    for (uint32_t i = 0; i < s->workers; i++) fds[i + 1] = (struct pollfd){.fd = s->slots[i].control_fd, .events = POLLIN};
    int n = poll(fds, s->workers + 1, until_due(s, clock_mono_ns()));
    if (n < 0) return;
    for (uint32_t i = 0; i < s->workers; i++)
        if (fds[i + 1].revents && s->slots[i].control_fd >= 0) hear(s, i);
    if (fds[0].revents) read_signals(s);
    reap(s);
}

static void act(struct supervisor *s) {
    uint64_t now = clock_mono_ns();
    if (s->failed != ERR_OK && !s->draining) begin_drain(s, "failure");
    if (s->draining) {
        if (now >= s->kill_at_ns) {
            signal_all(s, SIGKILL);
            s->kill_at_ns = UINT64_MAX;
        }
        return;
    }
    for (uint32_t i = 0; i < s->workers; i++)
        if (s->slots[i].state == EMPTY && now >= s->slots[i].spawn_at_ns) spawn(s, i);
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

err node_serve(const struct node_serve_config *config, struct diag *d) {
    struct supervisor s = {
        .config = config, .limits = config->limits, .mem = arena_new(0), .image.fd = -1, .signal_fd = -1, .d = d, .started_ns = clock_mono_ns()};
    node_limits_fill(&s.limits);
    s.workers = config->workers ? config->workers : cores();
    if (s.workers > WORKERS_MAX) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "at most %d workers", WORKERS_MAX);
    s.sets = arena_array(s.mem, struct node_sockets, s.workers);
    s.slots = arena_array(s.mem, struct slot, s.workers);
    for (uint32_t i = 0; i < s.workers; i++) s.slots[i].control_fd = -1;
    raise_files_limit();
    err e = prepare(&s);
    if (e == ERR_OK) {
        prctl(PR_SET_NAME, "orlo");
        act(&s);
        while (!s.draining || alive(&s)) {
            wait_turn(&s);
            act(&s);
        }
        e = s.failed;
        if (e == ERR_OK) log_event(LOG_INFO, "stopped");
    }
    if (s.image.fd >= 0) close(s.image.fd);
    if (s.signal_fd >= 0) close(s.signal_fd);
    arena_free(s.mem);
    return e;
}
