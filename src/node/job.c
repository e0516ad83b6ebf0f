/* job: a function that reads untrusted bytes, run in a child that has two descriptors and nothing else.
 *
 *   parent ── fork ──> child: closes everything but in, out, report; limits, Landlock, seccomp; fn(arg, in, out)
 *          <─ report ─ err and diagnostic, one fixed record
 *
 * What the child reports is data of fixed size; a child that dies without reporting is explained by how it died.
 */
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

struct report {
    uint32_t err;
    struct diag diag;
};

static _Noreturn void child(node_job_fn fn, void *arg, int in, int out, int report_fd, const struct node_limits *limits) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "orlo-job");
    for (int sig = 1; sig < 32; sig++) signal(sig, SIG_DFL);
    signal(SIGINT, SIG_IGN); /* the parent decides */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    struct report report = {.diag = DIAG_INIT};
    int null = open("/dev/null", O_RDONLY);
    if (null > 0) dup2(null, STDIN_FILENO);
    int keep[] = {in, out, report_fd};
    node_close_fds_except(keep, ARRAY_COUNT(keep));
    err e = node_sandbox_job(limits->compile_memory_bytes_max, limits->compile_s_max, &report.diag);
    if (e == ERR_OK) e = fn(arg, in, out, &report.diag);
    report.err = (uint32_t)e;
    bool told = write(report_fd, &report, sizeof report) == (ssize_t)sizeof report;
    _exit(told ? 0 : 1);
}

/* "compiling app.wasm … 3 s" on a terminal, once the work has taken a second; wiped when it is done. */
struct progress {
    const char *what;
    uint64_t started_ns, shown_s;
};
static void progress_tick(struct progress *p) {
    uint64_t s = (clock_mono_ns() - p->started_ns) / 1000000000u;
    if (!s || s == p->shown_s || !isatty(STDERR_FILENO)) return;
    p->shown_s = s;
    dprintf(STDERR_FILENO, "\r%s … %llu s\x1b[K", p->what, (unsigned long long)s);
}
static void progress_end(const struct progress *p) {
    if (p->shown_s) dprintf(STDERR_FILENO, "\r\x1b[K");
}

/* Reads the report until the child closes its end. False: none came. */
static bool read_report(int fd, struct report *report, struct progress *p) {
    size_t got = 0;
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int n = poll(&poll_fd, 1, 200);
        if (n < 0 && errno != EINTR) return false;
        progress_tick(p);
        if (n <= 0) continue;
        ssize_t r = read(fd, (uint8_t *)report + got, sizeof *report - got);
        if (r < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (r <= 0) return false;
        got += (size_t)r;
        if (got == sizeof *report) break;
    }
    report->diag.text[sizeof report->diag.text - 1] = 0;
    return report->err < ERR_COUNT;
}

static err explain_death(int status, const struct node_limits *limits, struct diag *d) {
    if (WIFSIGNALED(status)) {
        int sig = WTERMSIG(status);
        if (sig == SIGXCPU)
            return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it took more than %llu s of processor time (--compile-timeout)",
                            (unsigned long long)limits->compile_s_max);
        if (sig == SIGKILL) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "the job was killed; this machine may be out of memory");
        if (sig == SIGXFSZ || sig == SIGABRT)
            return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                            "the job gave up (signal %d): it may need more than %llu MiB of memory (--compile-memory)", sig,
                            (unsigned long long)(limits->compile_memory_bytes_max / MiB));
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                        "the job that reads it died of signal %d (%s); nothing else was harmed: please report it", sig,
                        strsignal(sig));
    }
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "the job that reads it ended without a word (status %d)", WEXITSTATUS(status));
}

err node_job(node_job_fn fn, void *arg, int in, int out, const struct node_limits *limits, const char *what, struct diag *d) {
    int pipe_fd[2];
    if (pipe2(pipe_fd, O_CLOEXEC)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no pipe: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) child(fn, arg, in, out, pipe_fd[1], limits);
    close(pipe_fd[1]);
    if (pid < 0) {
        close(pipe_fd[0]);
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "no process: %s", strerror(errno));
    }
    struct progress progress = {.what = what, .started_ns = clock_mono_ns()};
    struct report report;
    bool reported = read_report(pipe_fd[0], &report, &progress);
    progress_end(&progress);
    close(pipe_fd[0]);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (!reported) return explain_death(status, limits, d);
    if (report.err == ERR_OK) return ERR_OK;
    diag_set(d, (err)report.err, report.diag.offset, "%s", report.diag.text[0] ? report.diag.text : err_text((err)report.err));
    return (err)report.err;
}
