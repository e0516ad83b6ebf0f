/* job: a function that reads untrusted bytes, run in a process that has two descriptors and nothing else.
 *
 *   starter ── order, then what is to be done ──> job: limits, Landlock, seccomp; fn(what, in, out)
 *           <─ report ──                          err and diagnostic
 *
 * A job that dies without reporting is explained by how it died. What it wrote to standard error is shown, as text.
 */
#include "node/node_int.h"
#include "node/role.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAID_MAX = 8192 };

/* ---- in the job ---- */

static node_job_fn find(const struct node_message *m, const struct node_trial *trials) {
    switch (m->type) {
    case NODE_MSG_compile: return node_compile_job;
    case NODE_MSG_inspect: return node_inspect_job;
    case NODE_MSG_trial:
        for (; trials && trials->name; trials++)
            if (str_eqc(m->trial.name, trials->name)) return trials->fn;
        return NULL;
    default: return NULL;
    }
}

static err do_job(const struct node_trial *trials, struct diag *d) {
    struct node_message m;
    if (node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_job, &m) != NODE_WIRE_GOT || m.type != NODE_MSG_order)
        return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "this is started by orlo itself");
    struct node_msg_order order = m.order;
    int in = node_message_take(&m, 0), out = node_message_take(&m, 1);
    node_job_fn fn =
        node_wire_await(NODE_WIRE_FD, NODE_ROLE_supervisor, NODE_ROLE_job, &m) == NODE_WIRE_GOT ? find(&m, trials) : NULL;
    ENSURE(fn);
    TRY(node_sandbox_job(order.memory_bytes_max, order.file_bytes_max, order.cpu_s_max, d));
    return fn(&m, in, out, d);
}

int node_job_main(const struct node_trial *trials) {
    struct diag d = DIAG_INIT;
    err e = do_job(trials, &d);
    struct buf b = {0};
    bool ok = node_wire_encode(&NODE_MESSAGE(report, .err = e, .offset = d.offset, .text = str_c(d.text)), &b);
    return !ok || write(NODE_WIRE_FD, b.p, b.n) != (ssize_t)b.n; /* a message as any: sendmsg is not among a job's calls */
}

/* ---- starting one ---- */

/* "compiling app.wasm … 3 s" on a terminal, once the work has taken a second; wiped when it is done. */
struct progress {
    const char *title;
    uint64_t started_ns, shown_s;
};
static void progress_tick(struct progress *p) {
    uint64_t s = (clock_mono_ns() - p->started_ns) / 1000000000u;
    if (!s || s == p->shown_s || !isatty(STDERR_FILENO)) return;
    p->shown_s = s;
    dprintf(STDERR_FILENO, "\r%s … %llu s\x1b[K", p->title, (unsigned long long)s);
}
static void progress_end(const struct progress *p) {
    if (p->shown_s) dprintf(STDERR_FILENO, "\r\x1b[K");
}

/* Waits for the report. False: none came. */
static bool read_report(int fd, struct node_message *m, struct progress *p) {
    for (enum node_wire_got got = NODE_WIRE_AGAIN; got == NODE_WIRE_AGAIN;) {
        int n = poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 200);
        if (n < 0 && errno != EINTR) return false;
        progress_tick(p);
        got = node_wire_receive(fd, NODE_ROLE_job, NODE_ROLE_supervisor, m);
        if (got == NODE_WIRE_GOT) return true;
        if (got != NODE_WIRE_AGAIN) return false;
    }
    return false;
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

static bool start(const struct node_message *what, int in, int out, const struct node_limits *limits, struct node_process *p,
                  int said[2]) {
    struct node_message order = NODE_MESSAGE(order, .memory_bytes_max = limits->compile_memory_bytes_max,
                                             .file_bytes_max = limits->image_bytes_max ? limits->image_bytes_max : UINT64_MAX,
                                             .cpu_s_max = limits->compile_s_max);
    order.fds[0] = in, order.fds[1] = out, order.fds_count = 2;
    *p = (struct node_process){NODE_ROLE_job, -1, -1};
    said[0] = said[1] = -1;
    return pipe2(said, O_CLOEXEC | O_NONBLOCK) == 0 && node_role_start(NODE_ROLE_job, said[1], NULL, p) &&
           node_wire_send(p->wire, &order) == ERR_OK && node_wire_send(p->wire, what) == ERR_OK;
}

err node_job(const struct node_message *what, int in, int out, const struct node_limits *limits, const char *title,
             struct diag *d) {
    struct node_process p;
    int said[2];
    bool started = start(what, in, out, limits, &p, said);
    int why = errno, status = 0;
    if (said[1] >= 0) close(said[1]);
    struct progress progress = {.title = title, .started_ns = clock_mono_ns()};
    struct node_message report;
    bool reported = started && read_report(p.wire, &report, &progress);
    progress_end(&progress);
    if (started && !reported) {
        while (waitpid(p.pid, &status, 0) < 0 && errno == EINTR) {}
        p.pid = -1;
        show_last_words(said[0]);
    }
    node_process_end(&p);
    if (said[0] >= 0) close(said[0]);
    if (!started) return diag_set(d, ERR_IO, DIAG_NOWHERE, "no process: %s", strerror(why));
    return reported ? node_diag_of(d, report.report.err, report.report.offset, report.report.text)
                    : explain_death(status, limits, d);
}
