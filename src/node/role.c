/* role: see role.h. */
#include "node/role.h"
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLACES = NODE_WIRE_FD + 1 };

static const char *const names[] = {
#define X(name, ...) "orlo-" #name,
#include "node/roles.def"
#undef X
};
static const enum {
    BY_USER,
    ALWAYS,
    WANTED
} starts[] = {
#define X(name, sandbox, files, starts, ...) starts,
#include "node/roles.def"
#undef X
};

unsigned node_role_idle_s(enum node_role role) {
    static const unsigned idle_s[] = {
#define X(name, sandbox, files, starts, idle_s, ...) idle_s,
#include "node/roles.def"
#undef X
    };
    return idle_s[role];
}

/* What tests and sanitizers set, and what name resolution and TLS read. The rest may hold secrets, of the operator's or of apps. */
static char **few_variables(arena *out) {
    static const char *const prefixes[] = {"ASAN_", "UBSAN_", "LSAN_", "TSAN_", "ORLO_ENGINE_", "SSL_CERT_", "RES_OPTIONS="};
    VEC(char *) v = {0};
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++)
            if (!strncmp(*e, prefixes[i], strlen(prefixes[i]))) vec_push(out, &v, *e);
    vec_push(out, &v, NULL);
    return v.p;
}

/* Between fork and exec: only what may follow a fork. */
static _Noreturn void become(const int fds[static PLACES], char **argv, char **environment) {
    int at[PLACES], self = open("/proc/self/exe", O_PATH | O_CLOEXEC), keep[PLACES + 1] = {0, 1, 2, NODE_WIRE_FD};
    setsid(); /* what a person types there is not for it, and it types nothing */
    for (int sig = 1; sig < 32; sig++) signal(sig, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < PLACES; i++) at[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 2 * PLACES); /* out of the way of the places */
    keep[PLACES] = fcntl(self, F_DUPFD_CLOEXEC, 2 * PLACES);
    for (int i = 0; i < PLACES; i++) dup2(at[i], i);
    node_close_fds_except(keep, ARRAY_COUNT(keep));
    fexecve(keep[PLACES], argv, environment);
    dprintf(STDERR_FILENO, "orlo cannot start itself from /proc/self/exe: %s\n", strerror(errno));
    _exit(1);
}

bool node_role_start(enum node_role role, int log, struct node_process *out) {
    int pair[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
    *out = (struct node_process){role, -1, -1};
    if (null < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) {
        if (null >= 0) close(null);
        return false;
    }
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    char *own[] = {(char *)(uintptr_t)names[role], NULL};
    arena *scratch = arena_new(0);
    char **environment = few_variables(scratch);
    pid_t pid = fork();
    if (pid == 0) {
        if (starts[role] == WANTED) prctl(PR_SET_PDEATHSIG, SIGKILL);
        become((int[PLACES]){null, null, log, pair[1]}, own, environment);
    }
    int why = errno;
    arena_free(scratch);
    close(null), close(pair[1]);
    *out = (struct node_process){role, pid, pair[0]};
    if (pid > 0) return true;
    close(pair[0]);
    out->wire = -1;
    errno = why;
    return false;
}

enum node_role node_role_of(char **argv) {
    for (enum node_role role = 0; argv[0] && role < NODE_ROLES; role++)
        if (starts[role] != BY_USER && !strcmp(argv[0], names[role])) {
            prctl(PR_SET_NAME, names[role]);
            return role;
        }
    return NODE_ROLE_command;
}

void node_process_signal(const struct node_process *p, int signum) {
    if (p->pid > 0) kill(p->pid, signum);
}

int node_process_end(struct node_process *p) {
    int status = 0;
    if (p->wire >= 0) close(p->wire);
    if (p->pid > 0) kill(p->pid, SIGKILL);
    while (p->pid > 0 && waitpid(p->pid, &status, 0) < 0 && errno == EINTR) {}
    *p = (struct node_process){p->role, -1, -1};
    return status;
}

void node_be(char **argv) {
    switch (node_role_of(argv)) {
    case NODE_ROLE_worker: _exit(node_worker_main());
    case NODE_ROLE_job: _exit(node_job_main(NULL));
    case NODE_ROLE_keys: _exit(node_keys_main());
    case NODE_ROLE_control: _exit(node_control_main());
    default: return;
    }
}
