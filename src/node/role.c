/* role: see role.h. */
#include "node/role.h"
#include "node/node_int.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

/* ---- users ---- */

static const int user_of[] = {
#define X(name, sandbox, files, starts, idle_s, user, ...) user,
#include "node/roles.def"
#undef X
};
static bool workers_stay_root;

void node_role_stay_root(bool workers) { workers_stay_root = workers; }

/* Whether there is such a user here: in a container there may be few. */
static bool is_mapped(unsigned number) {
    FILE *f = fopen("/proc/self/uid_map", "re");
    unsigned first, outside, count;
    bool found = !f;
    while (f && !found && fscanf(f, "%u %u %u", &first, &outside, &count) == 3) found = number - first < count;
    if (f) fclose(f);
    return found;
}

/* Once: what it reads may be slow, and it does not change. */
struct node_user node_role_user(enum node_role role) {
    static struct node_user users[NODE_ROLES];
    unsigned number = NODE_USERS + (unsigned)abs(user_of[role]);
    if (geteuid() != 0 || !user_of[role] || (role == NODE_ROLE_worker && workers_stay_root)) return (struct node_user){0};
    if (users[role].uid) return users[role];
    char text[1024];
    struct passwd entry, *found = NULL;
    if (!is_mapped(number)) return (struct node_user){0};
    if (getpwnam_r(names[role], &entry, text, sizeof text, &found) || !found || !entry.pw_uid)
        users[role] = (struct node_user){number, number};
    else users[role] = (struct node_user){entry.pw_uid, entry.pw_gid};
    return users[role];
}

/* With all that root is more than others: what may be had again by exec included. */
static bool become_user(struct node_user user) {
    if (!user.uid) return true;
    for (int cap = 0; cap < 64; cap++) prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
    return setgroups(0, NULL) == 0 && setresgid(user.gid, user.gid, user.gid) == 0 &&
           setresuid(user.uid, user.uid, user.uid) == 0;
}

bool node_role_drop(enum node_role role) { return become_user(node_role_user(role)); }

bool node_role_become(struct node_user user) { return become_user(user); }

struct node_user node_role_app_user(uint32_t app) {
    uid_t number = (uid_t)NODE_APP_USERS + app % 100'000'000;
    if (geteuid() != 0) return (struct node_user){0};
    return is_mapped(number) ? (struct node_user){number, number} : node_role_user(NODE_ROLE_postgres);
}

/* ---- starting ---- */

unsigned node_role_idle_s(enum node_role role) {
    static const unsigned idle_s[] = {
#define X(name, sandbox, files, starts, idle_s, ...) idle_s,
#include "node/roles.def"
#undef X
    };
    return idle_s[role];
}

bool node_role_is_always(enum node_role role) { return starts[role] == ALWAYS; }

/* What tests and sanitizers set, and what name resolution and TLS read. The rest may hold secrets, of the operator's or of apps. */
static char **few_variables(arena *out) {
    static const char *const prefixes[] = {
        "ASAN_", "UBSAN_", "LSAN_", "TSAN_", "ORLO_ENGINE_", "ORLO_LANDLOCK_MAX=", "SSL_CERT_", "RES_OPTIONS="};
    VEC(char *) v = {0};
    for (char **e = environ; *e; e++)
        for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++)
            if (!strncmp(*e, prefixes[i], strlen(prefixes[i]))) vec_push(out, &v, *e);
    vec_push(out, &v, NULL);
    return v.p;
}

/* Between fork and exec: only what may follow a fork. */
static _Noreturn void become(const int fds[static PLACES], struct node_user user, bool dies, char **argv, char **environment) {
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
    struct stat st;
    bool others_may = fstat(keep[PLACES], &st) == 0 && st.st_mode & S_IXOTH;
    if (user.uid && (!others_may || !become_user(user)))
        dprintf(STDERR_FILENO, "%s stays root: %s\n", argv[0],
                others_may ? strerror(errno) : "the program is for root alone; chmod 755 would change that");
    if (!strcmp(argv[0], names[NODE_ROLE_job])) setpriority(PRIO_PROCESS, 0, 10); /* who serves goes before who compiles */
    if (dies) prctl(PR_SET_PDEATHSIG, SIGKILL); /* after it has become who it is, which ends that */
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
    struct node_user user = user_of[role] > 0 ? node_role_user(role) : (struct node_user){0};
    pid_t pid = fork();
    if (pid == 0) { become((int[PLACES]){null, null, log, pair[1]}, user, role != NODE_ROLE_worker, own, environment); }
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
    case NODE_ROLE_store: _exit(node_store_main());
    case NODE_ROLE_courier: _exit(node_courier_main());
    case NODE_ROLE_hash: _exit(node_hash_main());
    case NODE_ROLE_postgres: _exit(node_postgres_main());
    case NODE_ROLE_translator: _exit(node_translator_main());
    default: return;
    }
}
