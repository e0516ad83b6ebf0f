/* jobs: see jobs.h. */
#include "node/supervisor/jobs.h"
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_MAX = 8192 };
static const uint64_t second_ns = 1'000'000'000u;

struct node_job {
    struct node_job *next;
    struct node_job_config config;
    enum { WAITING, RUNNING, ENDING } state;
    bool cancelled, reported, late;
    struct node_process process;
    int said; /* what it writes to standard error; -1: it was not started */
    uint64_t started_ns;
    struct buf what; /* the message, encoded */
    char title[256];
    struct node_job_result result;
};

/* ---- one job ---- */

static void free_job(struct node_jobs *jobs, struct node_job *job) {
    struct node_job **at = &jobs->first;
    while (*at != job) at = &(*at)->next;
    *at = job->next;
    if (job->said >= 0) close(job->said);
    buf_free(&job->what);
    free(job);
}

static void conclude(struct node_jobs *jobs, struct node_job *job) {
    struct node_job_result result = job->result;
    struct node_job_config config = job->config;
    bool cancelled = job->cancelled;
    *(job->state == WAITING ? &jobs->waiting : &jobs->running) -= 1;
    free_job(jobs, job);
    if (!cancelled) config.done(config.arg, &result);
}

static bool start_process(struct node_job *job) {
    const struct node_job_config *c = &job->config;
    struct node_message order = NODE_MESSAGE(order, .memory_bytes_max = c->memory_bytes_max,
                                             .file_bytes_max = c->file_bytes_max ? c->file_bytes_max : UINT64_MAX,
                                             .cpu_s_max = c->cpu_s_max),
                        what = {.fds_count = 0};
    int said[2];
    order.fds[0] = c->in, order.fds[1] = c->out, order.fds_count = 2;
    ENSURE(node_wire_decode(buf_str(&job->what), NODE_ROLE_supervisor, NODE_ROLE_job, &what));
    if (pipe2(said, O_CLOEXEC | O_NONBLOCK)) return false;
    bool ok = node_role_start(NODE_ROLE_job, said[1], &job->process);
    int why = errno;
    close(said[1]);
    job->said = said[0];
    errno = why;
    return ok && node_wire_send(job->process.wire, &order) == ERR_OK && node_wire_send(job->process.wire, &what) == ERR_OK;
}

static void start(struct node_jobs *jobs, struct node_job *job) {
    job->started_ns = clock_mono_ns();
    bool ok = start_process(job);
    if (!ok) {
        job->result.err = diag_set(&job->result.diag, ERR_IO, DIAG_NOWHERE, "no process: %s", strerror(errno));
        node_process_end(&job->process);
        conclude(jobs, job);
        return;
    }
    jobs->waiting--, jobs->running++;
    job->state = RUNNING;
}

/* What it still does has no effect: its end is awaited. */
static void kill_job(struct node_job *job) {
    job->state = ENDING;
    close(job->process.wire);
    job->process.wire = -1;
    kill(job->process.pid, SIGKILL);
}

static void hear(struct node_job *job) {
    struct node_message m;
    enum node_wire_got got = node_wire_receive(job->process.wire, NODE_ROLE_job, NODE_ROLE_supervisor, &m);
    if (got == NODE_WIRE_AGAIN) return;
    if (got == NODE_WIRE_GOT) {
        job->reported = true;
        job->result.kind = m.report.kind;
        job->result.err = node_diag_of(&job->result.diag, m.report.err, m.report.offset, m.report.text);
        kill_job(job);
    } else if (got == NODE_WIRE_NONSENSE) {
        log_event(LOG_ERROR, "role-cut-off", LF_CSTR("role", node_role_text(NODE_ROLE_job)));
        job->reported = true;
        job->result.err = diag_set(&job->result.diag, ERR_INVALID, DIAG_NOWHERE, "the job that reads it went astray");
        kill_job(job);
    } else { /* it dies by itself: how, tells why */
        job->state = ENDING;
        close(job->process.wire);
        job->process.wire = -1;
    }
}

/* ---- how one ended ---- */

/* An assertion's text, a sanitizer's report: of a process that read a stranger's bytes, so nothing that moves a terminal's cursor. */
static void show_last_words(struct node_jobs *jobs, int fd) {
    char text[SAID_MAX];
    ssize_t n = read(fd, text, sizeof text);
    for (ssize_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' && text[i] != '\n') text[i] = '?';
    if (n > 0 && jobs->said) jobs->said(text, (size_t)n);
    else if (n > 0) fwrite(text, 1, (size_t)n, stderr);
}

static err took_too_long(const struct node_job *job, struct diag *d) {
    return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it took more than %llu s of processor time (--compile-timeout)",
                    (unsigned long long)job->config.cpu_s_max);
}

static err explain_death(const struct node_job *job, int status, struct diag *d) {
    if (job->late) return took_too_long(job, d);
    if (!WIFSIGNALED(status))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "the job that reads it ended without a word (status %d)", WEXITSTATUS(status));
    switch (WTERMSIG(status)) {
    case SIGXCPU: return took_too_long(job, d);
    case SIGKILL: return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "the job was killed; this machine may be out of memory");
    case SIGXFSZ:
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                        "what the job writes is larger than an image may be (--max-image), or than half of --compile-memory");
    case SIGABRT:
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                        "the job gave up (signal %d): it may need more than %llu MiB of memory (--compile-memory)", SIGABRT,
                        (unsigned long long)(job->config.memory_bytes_max / MiB));
    default:
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                        "the job that reads it died of signal %d (%s); nothing else was harmed: please report it",
                        WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
}

bool node_jobs_reap(struct node_jobs *jobs, pid_t pid, int status) {
    struct node_job *job = jobs->first;
    while (job && (job->state == WAITING || job->process.pid != pid)) job = job->next;
    if (!job) return false;
    if (job->state == RUNNING) hear(job); /* its last message may be there still */
    job->process.pid = -1;
    node_process_end(&job->process);
    if (!job->reported && !job->cancelled) {
        show_last_words(jobs, job->said);
        job->result.err = explain_death(job, status, &job->result.diag);
    }
    conclude(jobs, job);
    return true;
}

/* ---- all of them ---- */

struct node_job *node_jobs_add(struct node_jobs *jobs, const struct node_job_config *config) {
    if (jobs->waiting >= NODE_JOBS_WAITING_MAX) return NULL;
    struct node_job *job = calloc(1, sizeof *job), **at = &jobs->first;
    ENSURE(job);
    job->config = *config;
    job->config.what = NULL;
    job->said = -1;
    job->process = (struct node_process){NODE_ROLE_job, -1, -1};
    job->result.diag.offset = DIAG_NOWHERE;
    snprintf(job->title, sizeof job->title, "%s", config->title);
    ENSURE(node_wire_encode(config->what, &job->what));
    while (*at) at = &(*at)->next;
    *at = job;
    jobs->waiting++;
    return job;
}

void node_jobs_cancel(struct node_jobs *jobs, struct node_job *job) {
    job->cancelled = true;
    if (job->state == WAITING) conclude(jobs, job);
    else if (job->state == RUNNING) kill_job(job);
}

static bool fits(const struct node_jobs *jobs, const struct node_job *next) {
    uint64_t bytes = next->config.memory_bytes_max;
    for (const struct node_job *job = jobs->first; job; job = job->next)
        if (job->state != WAITING) bytes += job->config.memory_bytes_max;
    return !jobs->running || (jobs->running < MIN(jobs->running_max, (uint32_t)NODE_JOBS_RUNNING_MAX) &&
                              (!jobs->memory_bytes_max || bytes <= jobs->memory_bytes_max));
}

/* Its limit counts its own processor time. One that waits for something instead of computing is stopped, too. */
static uint64_t late_ns(const struct node_job *job) {
    uint64_t s = job->config.wall_s_max ? job->config.wall_s_max : 4 * job->config.cpu_s_max + 30;
    return job->started_ns + s * second_ns;
}

void node_jobs_turn(struct node_jobs *jobs) {
    uint64_t now = clock_mono_ns();
    struct node_job *next;
    for (struct node_job *job = jobs->first; job; job = job->next) {
        if (job->state == RUNNING) hear(job);
        if (job->state == RUNNING && now >= late_ns(job)) job->late = true, kill_job(job);
    }
    for (;;) {
        for (next = jobs->first; next && next->state != WAITING;) next = next->next;
        if (!next || !fits(jobs, next)) return;
        start(jobs, next);
    }
}

size_t node_jobs_poll(const struct node_jobs *jobs, struct pollfd fds[static NODE_JOBS_RUNNING_MAX]) {
    size_t n = 0;
    for (const struct node_job *job = jobs->first; job; job = job->next)
        if (job->state == RUNNING) fds[n++] = (struct pollfd){.fd = job->process.wire, .events = POLLIN};
    return n;
}

uint64_t node_jobs_due_ns(const struct node_jobs *jobs) {
    uint64_t due = UINT64_MAX;
    for (const struct node_job *job = jobs->first; job; job = job->next)
        if (job->state == RUNNING) due = MIN(due, late_ns(job));
    return due;
}

/* ---- for who waits ---- */

static void reap_ending(struct node_jobs *jobs) {
    int status;
    for (struct node_job *job = jobs->first, *next; job; job = next) {
        pid_t pid = job->process.pid, got;
        next = job->next;
        if (job->state != ENDING) continue;
        while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR) {}
        if (got == pid) node_jobs_reap(jobs, pid, status);
    }
}

void node_jobs_wait(struct node_jobs *jobs, int ms_max) {
    struct pollfd fds[NODE_JOBS_RUNNING_MAX];
    size_t n = node_jobs_poll(jobs, fds);
    if (n) poll(fds, n, ms_max);
    node_jobs_turn(jobs);
    reap_ending(jobs);
    node_jobs_turn(jobs);
}

void node_jobs_show(struct node_jobs *jobs) {
    static uint64_t shown_s;
    struct node_job *job = jobs->first;
    while (job && job->state == WAITING) job = job->next;
    uint64_t s = job ? (clock_mono_ns() - job->started_ns) / second_ns : 0;
    if (s == shown_s || !isatty(STDERR_FILENO)) return;
    shown_s = s;
    if (s) dprintf(STDERR_FILENO, "\r%s … %llu s\x1b[K", job->title, (unsigned long long)s);
    else dprintf(STDERR_FILENO, "\r\x1b[K");
}

void node_jobs_end(struct node_jobs *jobs) {
    for (struct node_job *job = jobs->first, *next; job; job = next) {
        next = job->next;
        node_jobs_cancel(jobs, job);
    }
    reap_ending(jobs);
}
