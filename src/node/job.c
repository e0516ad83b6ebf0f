/* job: a function that reads untrusted bytes, run in a process that has two descriptors and nothing else.
 *
 *   parent ── fork, exec of this same program ──> job: closes everything but in, out, wire; limits, Landlock, seccomp; fn(args, in, out)
 *          ── order ──>   which function, its arguments, its limits
 *          <─ report ──   err and diagnostic
 *
 * 1. It starts by exec: nothing of the parent's memory is in it (keys, the environment, what other jobs read), and its address
 *    layout and canaries are its own.
 * 2. Order and report are data of fixed size; a job that dies without reporting is explained by how it died. What it wrote to
 *    standard error is shown, as text.
 */
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IN_FD = 3, OUT_FD, WIRE_FD, SAID_MAX = 8192 };
static char job_name[] = "orlo-job";

struct order {
    char job[16];
    uint64_t memory_bytes_max, file_bytes_max, cpu_s_max;
    uint64_t args[NODE_JOB_ARGS_MAX / 8];
};
struct report {
    uint32_t err;
    struct diag diag;
};

/* ---- in the job ---- */

static const struct node_job jobs[] = {{"compile", node_compile_job}, {"inspect", node_inspect_job}};

static node_job_fn find(const char *name, const struct node_job *table, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(table[i].name, name)) return table[i].fn;
    return NULL;
}

static err do_job(const struct node_job *more, size_t count, struct diag *d) {
    struct order order;
    if (recv(WIRE_FD, &order, sizeof order, 0) != (ssize_t)sizeof order)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "this is started by orlo itself");
    order.job[sizeof order.job - 1] = 0;
    node_job_fn fn = find(order.job, jobs, ARRAY_COUNT(jobs));
    if (!fn) fn = find(order.job, more, count);
    ENSURE(fn);
    TRY(node_sandbox_job(order.memory_bytes_max, order.file_bytes_max, order.cpu_s_max, d));
    return fn(order.args, IN_FD, OUT_FD, d);
}

void node_job_be(char **argv, const struct node_job *more, size_t count) {
    if (!argv[0] || strcmp(argv[0], job_name) != 0) return;
    struct report report = {.diag = DIAG_INIT};
    prctl(PR_SET_NAME, job_name);
    report.err = (uint32_t)do_job(more, count, &report.diag);
    _exit(write(WIRE_FD, &report, sizeof report) != (ssize_t)sizeof report);
}

/* ---- starting one ---- */

/* What tests and sanitizers set. The rest of the environment may hold secrets, of the operator's or of apps. */
static char **environment_of_jobs(arena *out) {
    static const char *const prefixes[] = {"ASAN_", "UBSAN_", "LSAN_", "ORLO_ENGINE_"};
    VEC(char *) v = {0};
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++)
            if (!strncmp(*e, prefixes[i], strlen(prefixes[i]))) vec_push(out, &v, *e);
    vec_push(out, &v, NULL);
    return v.p;
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

/* Waits for the report. False: none came. */
static bool read_report(int fd, struct report *report, struct progress *p) {
    for (;;) {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        int n = poll(&poll_fd, 1, 200);
        if (n < 0 && errno != EINTR) return false;
        progress_tick(p);
        if (n <= 0) continue;
        ssize_t r = recv(fd, report, sizeof *report, 0);
        if (r < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (r != (ssize_t)sizeof *report) return false;
        report->diag.text[sizeof report->diag.text - 1] = 0;
        return report->err < ERR_COUNT;
    }
}

/* An assertion's text, a sanitizer's report: of a process that read a stranger's bytes, so nothing that moves a terminal's cursor. */
static void show_last_words(int fd) {
    char text[SAID_MAX];
    ssize_t n = read(fd, text, sizeof text);
    for (ssize_t i = 0; i < n; i++)
        if ((unsigned char)text[i] < ' ' && text[i] != '\n') text[i] = '?';
    if (n > 0) fwrite(text, 1, (size_t)n, stderr);
}

static err explain_death(int status, const struct node_limits *limits, struct diag *d) {
    if (WIFSIGNALED(status)) {
        int sig = WTERMSIG(status);
        if (sig == SIGXCPU)
            return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "it took more than %llu s of processor time (--compile-timeout)",
                            (unsigned long long)limits->compile_s_max);
        if (sig == SIGKILL) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "the job was killed; this machine may be out of memory");
        if (sig == SIGXFSZ)
            return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                            "what the job writes is larger than an image may be (--max-image), or than half of --compile-memory");
        if (sig == SIGABRT)
            return diag_set(d, ERR_LIMIT, DIAG_NOWHERE,
                            "the job gave up (signal %d): it may need more than %llu MiB of memory (--compile-memory)", sig,
                            (unsigned long long)(limits->compile_memory_bytes_max / MiB));
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                        "the job that reads it died of signal %d (%s); nothing else was harmed: please report it", sig,
                        strsignal(sig));
    }
    return diag_set(d, ERR_IO, DIAG_NOWHERE, "the job that reads it ended without a word (status %d)", WEXITSTATUS(status));
}

static pid_t start(const struct order *order, int in, int out, int wire[2], int said[2]) {
    wire[0] = wire[1] = said[0] = said[1] = -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, wire) || pipe2(said, O_CLOEXEC | O_NONBLOCK) ||
        send(wire[0], order, sizeof *order, MSG_NOSIGNAL) < 0)
        return -1;
    arena *scratch = arena_new(0);
    char **environment = environment_of_jobs(scratch);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        node_exec_self((int[]){open("/dev/null", O_RDONLY | O_CLOEXEC), said[1], said[1], in, out, wire[1]}, 6,
                       (char *[]){job_name, NULL}, environment);
    }
    arena_free(scratch);
    return pid;
}

err node_job(const char *name, const void *args, size_t args_bytes, int in, int out, const struct node_limits *limits,
             const char *what, struct diag *d) {
    struct order order = {.memory_bytes_max = limits->compile_memory_bytes_max,
                          .file_bytes_max = limits->image_bytes_max ? limits->image_bytes_max : UINT64_MAX,
                          .cpu_s_max = limits->compile_s_max};
    ENSURE(strlen(name) < sizeof order.job && args_bytes <= sizeof order.args);
    memcpy(order.job, name, strlen(name));
    if (args_bytes) memcpy(order.args, args, args_bytes);
    int wire[2], said[2];
    pid_t pid = start(&order, in, out, wire, said);
    int why = errno;
    if (wire[1] >= 0) close(wire[1]);
    if (said[1] >= 0) close(said[1]);
    struct progress progress = {.what = what, .started_ns = clock_mono_ns()};
    struct report report;
    bool reported = pid > 0 && read_report(wire[0], &report, &progress);
    progress_end(&progress);
    if (wire[0] >= 0) close(wire[0]);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (pid > 0 && !reported) show_last_words(said[0]);
    if (said[0] >= 0) close(said[0]);
    if (pid < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no process: %s", strerror(why));
    if (!reported) return explain_death(status, limits, d);
    if (report.err == ERR_OK) return ERR_OK;
    diag_set(d, (err)report.err, report.diag.offset, "%s", report.diag.text[0] ? report.diag.text : err_text((err)report.err));
    return (err)report.err;
}
