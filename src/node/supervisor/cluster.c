/* cluster: PostgreSQL's own programs, a server for each app that has one, which the role `postgres` asks for and speaks to.
 *
 *   STATE/clusters/APP/password   of the roles that are the node's; the supervisor's alone
 *   STATE/clusters/APP/data       what PostgreSQL keeps: the app's own user's, 0700
 *   STATE/clusters/APP/new        the same while it is being made
 *   STATE/clusters/APP/run        its socket; who is of the role's group may pass
 *   STATE/clusters/APP/log        what its programs said last
 *   STATE/clusters/APP/dropped    its app is no more: the rest goes, also after a restart of the node
 *
 *   (none) ──wanted──> MAKES (initdb) ──> OWNS (it becomes the app's user's) ──> SERVES ──not wanted──> STOPS ──> (none)
 *              └──────────its data are there─────────────────────────────────────^  │ it dies                     │ the app is no more
 *                 ^──────────────────────── after a pause ──────────────────────────┘                           DROPS ──> forgotten
 *
 * 1. Folders are handed over as descriptors and named /proc/self/fd/N: nobody but the supervisor need be able to walk through the state folder.
 * 2. A server is the app's: a user of its own (where root runs the node), no file but its own, no program but itself, no connection to anybody
 *    (sandbox.c). It is reached by its socket alone, whose folder lets the role `postgres` in and nobody else; whoever is in there is believed who he says he is: a
 *    password would have the role hash it as often as the server likes. That is said by a file of the supervisor's, which is no server's to change.
 * 3. It is stopped by SIGINT, which ends what is under way, then by SIGQUIT, then by SIGKILL; what was committed is there after any of them.
 *    What it had started besides goes before it is started again, and before its files go: where it has a user of its own, all of that user below the supervisor.
 * 4. Nobody waits here: programs are children like all others, and say by their end how it went.
 */
#include "node/handover.h"
#include "node/supervisor/supervisor_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    OLDEST = 15,
    PASSWORD_BYTES = 32,
    FDS = 5, /* of a program: a password or who is let in, its log twice, data, run */
    FIRST_PAUSE_MS = 500,
    MOST_PAUSE_MS = 30'000,
    INT_MS = 10'000, /* after SIGINT, then SIGQUIT */
    QUIT_MS = 5'000, /* then SIGKILL */
    LOOK_MS = 250,   /* at those that are no children */
};
static const uint64_t ms_ns = 1'000'000u;

struct cluster {
    struct cluster *next;
    uint32_t app;
    char name[64];
    enum { CLUSTER_NONE, CLUSTER_MAKES, CLUSTER_OWNS, CLUSTER_SERVES, CLUSTER_STOPS, CLUSTER_DROPS } state;
    pid_t pid;
    int pidfd;   /* of one that is no child of this process: it was started before an upgrade of the node; 0: it is one */
    bool handed; /* it is a child, and another's to look after (stay.c) */
    bool wanted, dropped;
    bool gone;         /* and removed: kept, so that who asks late is told */
    bool again;        /* its app is there, on another engine: once all is removed, it may have one again */
    int asked_to_stop; /* by so many signals */
    char password[2 * PASSWORD_BYTES + 1], bin[256];
    uint64_t started_ns, start_at_ns, pause_ns, late_ns;
};

/* ---- what is installed ---- */

struct found {
    unsigned version;
    char bin[256];
};

static void look_at(const char *pattern, unsigned wanted, struct found *best) {
    glob_t g = {0};
    if (glob(pattern, 0, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc; i++) {
            const char *digits = g.gl_pathv[i] + strcspn(g.gl_pathv[i], "0123456789");
            unsigned version = (unsigned)strtoul(digits, NULL, 10);
            if (version < OLDEST || version <= best->version || (wanted && version != wanted)) continue;
            best->version = version;
            snprintf(best->bin, sizeof best->bin, "%.*s", (int)(strrchr(g.gl_pathv[i], '/') - g.gl_pathv[i]), g.gl_pathv[i]);
        }
    globfree(&g);
}

/* Debian's and its kin's, Red Hat's, Alpine's. wanted 0: the newest. */
static struct found find_programs(unsigned wanted) {
    struct found best = {0};
    look_at("/usr/lib/postgresql/[0-9]*/bin/postgres", wanted, &best);
    look_at("/usr/pgsql-[0-9]*/bin/postgres", wanted, &best);
    look_at("/usr/libexec/postgresql[0-9]*/postgres", wanted, &best);
    return best;
}

bool node_postgres_programs(unsigned version, char bin[static 256]) {
    struct found found = find_programs(version);
    snprintf(bin, 256, "%s", found.bin);
    return found.version;
}

/* ---- its folders ---- */

static int app_folder(struct supervisor *s, const struct cluster *c, bool make) {
    char name[16];
    snprintf(name, sizeof name, "%u", c->app);
    if (make && mkdirat(s->state.clusters, name, 0711) && errno != EEXIST) return -1;
    int fd = openat(s->state.clusters, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && make && fchmod(fd, 0711)) { /* whatever the mask says */
        close(fd);
        return -1;
    }
    return fd;
}

/* An entry of a folder that is that user's own, group's too, of that mode. */
static int own_folder(int in, const char *name, uid_t uid, gid_t gid, mode_t mode) {
    if (mkdirat(in, name, 0700) && errno != EEXIST) return -1;
    int fd = openat(in, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool ok = fd >= 0 && (geteuid() != 0 || fchown(fd, uid, gid) == 0) && fchmod(fd, mode) == 0;
    if (ok) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

static unsigned version_of(int folder) {
    char text[16] = "";
    struct stat st;
    int fd =
        openat(folder, "data/PG_VERSION", O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW); /* whatever the server made of it */
    if (fd < 0) return 0;
    ssize_t n = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? read(fd, text, sizeof text - 1) : 0;
    close(fd);
    return n > 0 ? (unsigned)strtoul(text, NULL, 10) : 0;
}

static bool is_password(const char *text) { return strspn(text, "0123456789abcdef") == 2 * PASSWORD_BYTES; }

static bool read_password(int folder, struct cluster *c) {
    int fd = openat(folder, "password", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) return false;
    ssize_t n = read(fd, c->password, sizeof c->password - 1);
    close(fd);
    c->password[MAX(n, (ssize_t)0)] = 0;
    return is_password(c->password);
}

static bool make_password(int folder, struct cluster *c) {
    uint8_t bytes[PASSWORD_BYTES];
    crypto_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(c->password + 2 * i, 3, "%02x", bytes[i]);
    int fd = openat(folder, "password", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 && write(fd, c->password, 2 * PASSWORD_BYTES) == 2 * PASSWORD_BYTES && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return ok;
}

/* The first line that says what went wrong, of what its programs said last. */
static void last_words(struct supervisor *s, const struct cluster *c, char *to, size_t n) {
    char text[2000] = "";
    int folder = app_folder(s, c, false), fd = folder >= 0 ? openat(folder, "log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    text[MAX(got, (ssize_t)0)] = 0;
    if (fd >= 0) close(fd);
    if (folder >= 0) close(folder);
    const char *at = strstr(text, "FATAL:");
    if (!at) at = strstr(text, "PANIC:");
    if (!at) at = strstr(text, "error:");
    if (!at) at = text;
    at += strspn(at, " \n");
    snprintf(to, n, "%.*s", (int)MIN(strcspn(at, "\n"), (size_t)250), at);
    text_tame(to, strlen(to));
}

/* ---- its programs ---- */

static void tell(struct supervisor *s, const struct cluster *c, err e, const char *text) {
    struct node_message m = NODE_MESSAGE(cluster, .app = c->app, .err = e, .text = str_c(text));
    int folder = -1;
    if (e == ERR_OK) {
        m.cluster.password = str_c(c->password);
        folder = app_folder(s, c, false);
        int run = folder >= 0 ? openat(folder, "run", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
        if (run < 0) m.cluster.err = ERR_IO, m.cluster.text = STR("its socket has no folder");
        else m.fds[m.fds_count++] = run;
    }
    node_roles_tell(s, NODE_ROLE_postgres, &m);
    if (m.fds_count) close(m.fds[0]);
    if (folder >= 0) close(folder);
}

/* It cannot be, and will not be by itself. */
static void refuse(struct supervisor *s, struct cluster *c, err e, const char *why) {
    log_event(LOG_ERROR, "postgres-not-started", LF_CSTR("app", c->name), LF_CSTR("reason", why));
    c->wanted = false;
    tell(s, c, e, why);
}

static void pause_after(struct supervisor *s, struct cluster *c, const char *why) {
    uint64_t now = clock_mono_ns();
    bool long_lived = now - c->started_ns > 60'000 * ms_ns;
    c->pause_ns = long_lived || !c->pause_ns ? FIRST_PAUSE_MS * ms_ns : MIN(c->pause_ns * 2, MOST_PAUSE_MS * ms_ns);
    c->start_at_ns = now + c->pause_ns;
    log_event(LOG_ERROR, "postgres-died", LF_CSTR("app", c->name), LF_CSTR("reason", why),
              LF_U64("restart_ms", c->pause_ns / ms_ns));
    tell(s, c, ERR_AGAIN, why);
}

struct program {
    int fds[FDS]; /* as they are to be there, from 0 on; -1: nothing */
    struct node_user user;
    const char *const *argv;
    const int *confined; /* to these folders, of the descriptors above; NULL: it is not */
    int dies;            /* of this signal, when the supervisor is gone */
};

static char *const environment[] = {"LC_ALL=C.UTF-8", "TZ=UTC", "PATH=/usr/bin:/bin", NULL};

/* Root's, where there is no such process. */
static uid_t user_of(pid_t pid) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0) close(fd);
    text[MAX(got, (ssize_t)0)] = 0;
    const char *at = strstr(text, "\nUid:");
    return at ? (uid_t)strtoul(at + strlen("\nUid:"), NULL, 10) : 0;
}

/* Processes that a server left are children of the supervisor by now, as orphans below it are (node_clusters_look); nobody else is of the app's user. Those of
 * another node may be of the same number, and are none of ours. */
static uint32_t end_children(uid_t uid) {
    char list[8192];
    uint32_t n = 0;
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, list, sizeof list - 1) : 0;
    if (fd >= 0) close(fd);
    list[MAX(got, (ssize_t)0)] = 0;
    for (char *rest = list, *one; (one = strtok_r(rest, " ", &rest));) {
        pid_t pid = (pid_t)strtol(one, NULL, 10);
        if (pid <= 0 || user_of(pid) != uid) continue;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, WNOHANG);
        n++;
    }
    return n;
}

static void end_rest(struct node_user user) {
    enum { TURNS = 50 }; /* what one of them had started is a child in the next */
    for (int i = 0; user.uid >= NODE_APP_USERS && i < TURNS && end_children(user.uid); i++) poll(NULL, 0, 1);
}

/* Between fork and exec. */
static _Noreturn void become(const struct program *p) {
    static const int keep[FDS] = {0, 1, 2, 3, 4};
    int at[FDS];
    sigset_t none;
    setsid();
    for (int sig = 1; sig < 32; sig++) signal(sig, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < FDS; i++) at[i] = p->fds[i] < 0 ? -1 : fcntl(p->fds[i], F_DUPFD_CLOEXEC, 2 * FDS);
    for (int i = 0; i < FDS; i++)
        if (at[i] >= 0) dup2(at[i], i);
    node_close_fds_except(keep, FDS);
    umask(077);
    bool ok = chdir("/") == 0 && node_role_become(p->user);
    prctl(PR_SET_PDEATHSIG, p->dies);
    if (ok && p->confined) ok = node_sandbox_server(p->confined, 2, p->argv[0]);
    if (ok) execve(p->argv[0], (char **)(uintptr_t)p->argv, environment);
    dprintf(STDERR_FILENO, "FATAL: %s cannot be started: %s\n", p->argv[0], strerror(errno));
    _exit(1);
}

static int open_log(int folder) {
    return openat(folder, "log", O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static bool run(struct cluster *c, const struct program *p) {
    pid_t pid = fork();
    if (pid == 0) become(p);
    c->pid = pid;
    c->started_ns = clock_mono_ns();
    return pid > 0;
}

/* ---- making one ---- */

/* initdb knows nobody who has no name: that of the package, and then the files are handed on. */
static bool maker(struct node_user *user) {
    struct passwd *p = geteuid() == 0 ? getpwnam("postgres") : NULL;
    *user = p ? (struct node_user){p->pw_uid, p->pw_gid} : (struct node_user){0};
    return p || geteuid() != 0;
}

static int password_file(const struct cluster *c) {
    int fd = memfd_create("orlo-password", MFD_CLOEXEC);
    if (fd >= 0 && write(fd, c->password, strlen(c->password)) != (ssize_t)strlen(c->password)) close(fd), fd = -1;
    return fd;
}

static void begin_to_remove(struct supervisor *s, struct cluster *c, const char *what);
static bool start_owning(struct cluster *c, int folder);

static bool start_initdb(struct cluster *c, int folder, struct node_user user) {
    const char program[] = "initdb";
    char path[300];
    snprintf(path, sizeof path, "%s/%s", c->bin, program);
    const char *argv[] = {path,
                          "-D",
                          "/proc/self/fd/3",
                          "-U",
                          "orlo",
                          "--pwfile=/proc/self/fd/0",
                          "--auth=scram-sha-256",
                          "--locale=C.UTF-8",
                          "-E",
                          "UTF8",
                          "--wal-segsize=1",
                          "--data-checksums",
                          NULL};
    int log = open_log(folder), password = password_file(c), data = own_folder(folder, "new", user.uid, user.gid, 0700);
    bool ok = log >= 0 && password >= 0 && data >= 0 &&
              run(c, &(struct program){.fds = {password, log, log, data, -1}, .user = user, .argv = argv, .dies = SIGKILL});
    if (log >= 0) close(log);
    if (password >= 0) close(password);
    if (data >= 0) close(data);
    return ok;
}

/* What initdb made is handed over from its folder's own entry on: where that is the app's, initdb had ended well. */
static bool is_half_owned(const struct cluster *c, const struct stat *st) {
    return st->st_uid && st->st_uid == node_role_app_user(c->app).uid;
}

static void make(struct supervisor *s, struct cluster *c, int folder) {
    struct node_user user;
    struct stat st;
    bool there = fstatat(folder, "new", &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (there && is_half_owned(c, &st)) {
        c->state = start_owning(c, folder) ? CLUSTER_OWNS : CLUSTER_NONE;
        if (c->state == CLUSTER_NONE) pause_after(s, c, strerror(errno));
        return;
    }
    if (there) { /* half of one: somebody was killed */
        begin_to_remove(s, c, "new");
        return;
    }
    if (!maker(&user)) {
        refuse(s, c, ERR_UNSUPPORTED, "there is no user postgres, which PostgreSQL's package makes: apt install postgresql");
        return;
    }
    c->state = CLUSTER_MAKES;
    if (make_password(folder, c) && start_initdb(c, folder, user)) return;
    c->state = CLUSTER_NONE;
    pause_after(s, c, strerror(errno));
}

static struct node_user new_owner;
static int own_one(const char *path, const struct stat *st, int kind, struct FTW *f) {
    return lchown(path, new_owner.uid, new_owner.gid);
}

/* By a process of its own: there are a thousand files. */
static bool start_owning(struct cluster *c, int folder) {
    pid_t pid = fork();
    if (pid == 0) {
        new_owner = node_role_app_user(c->app);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        bool ok = fchdir(folder) == 0 && (!new_owner.uid || nftw("new", own_one, 16, FTW_PHYS) == 0);
        ok = ok && renameat(folder, "new", folder, "data") == 0 && fsync(folder) == 0;
        _exit(!ok);
    }
    c->pid = pid;
    return pid > 0;
}

/* ---- the server ---- */

static int rules_file(void) {
    static const char rules[] = "local all all trust\n";
    int fd = memfd_create("orlo-rules", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    bool ok = fd >= 0 && write(fd, rules, sizeof rules - 1) == (ssize_t)sizeof rules - 1 &&
              fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == 0;
    if (!ok && fd >= 0) close(fd);
    return ok ? fd : -1;
}

static bool start_server(struct supervisor *s, struct cluster *c, int folder) {
    struct node_user user = node_role_app_user(c->app), role = node_role_user(NODE_ROLE_postgres);
    char path[300], most[40];
    int confined[] = {3, 4};
    snprintf(path, sizeof path, "%s/postgres", c->bin);
    snprintf(most, sizeof most, "max_connections=%u", (unsigned)s->setup->limits.postgres_connections_max + 8);
    /* By the command line, which no file of the folder gets around. Small: 22 MB with what it reads. */
    const char *argv[] = {
        path,
        "-D",
        "/proc/self/fd/3",
#define C(setting) "-c", setting
        C("listen_addresses="),
        C("unix_socket_directories=/proc/self/fd/4"),
        C("unix_socket_permissions=0777"),
        C(most),
        C("superuser_reserved_connections=3"),
        C("shared_buffers=8MB"),
        C("max_locks_per_transaction=256"), /* all pending migrations are one transaction: those of a real project make some thousand tables */
        C("huge_pages=off"),
        C("dynamic_shared_memory_type=mmap"),
        C("max_worker_processes=0"),
        C("max_parallel_workers=0"),
        C("autovacuum_max_workers=1"),
        C("max_wal_senders=0"),
        C("wal_level=replica"), /* for backups: a slot keeps what of its log was written while files are copied */
        C("max_replication_slots=2"),
        C("max_slot_wal_keep_size=4GB"),
        C("min_wal_size=2MB"),
        C("max_wal_size=64MB"),
        C("wal_buffers=256kB"),
        C("jit=off"),
        C("fsync=on"),
        C("synchronous_commit=on"),
        C("full_page_writes=on"),
        C("log_destination=stderr"),
        C("logging_collector=off"),
        C("log_min_messages=fatal"),
        C("log_min_error_statement=panic"),
        C("client_connection_check_interval=500ms"),
        C("password_encryption=scram-sha-256"),
        C("ssl=off"),
        C("idle_in_transaction_session_timeout=60s"),
        C("temp_file_limit=256MB"),
        C("shared_preload_libraries="),
        C("archive_mode=off"),
        C("hba_file=/proc/self/fd/0"),
        C("max_prepared_transactions=0"),
#undef C
        NULL};
    int rules = rules_file(), log = open_log(folder),
        data = openat(folder, "data", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int socket = own_folder(folder, "run", user.uid, role.uid ? role.gid : getegid(), 0710);
    end_rest(user);
    bool ok =
        rules >= 0 && log >= 0 && data >= 0 && socket >= 0 &&
        run(c, &(struct program){
                   .fds = {rules, log, log, data, socket}, .user = user, .argv = argv, .confined = confined, .dies = SIGQUIT});
    if (rules >= 0) close(rules);
    if (log >= 0) close(log);
    if (data >= 0) close(data);
    if (socket >= 0) close(socket);
    return ok;
}

static uint32_t count_servers(const struct supervisor *s) {
    uint32_t n = 0;
    for (const struct cluster *c = s->clusters; c; c = c->next) n += c->state != CLUSTER_NONE && c->state != CLUSTER_DROPS;
    return n;
}

static void serve(struct supervisor *s, struct cluster *c, int folder) {
    if (!read_password(folder, c)) {
        refuse(s, c, ERR_IO, "its password is gone from the state folder: restore it from a backup");
        return;
    }
    if (!node_sandbox_has_landlock()) {
        if (node_role_app_user(c->app).uid < NODE_APP_USERS) { /* in a container with few users, root has none to give either */
            refuse(s, c, ERR_UNSUPPORTED,
                   "this kernel has no Landlock, and without it an app's PostgreSQL could read whatever the node's user may: "
                   "start the node as root, where there are users from 2000000000 on, so that each has one of its own, or on a "
                   "kernel that has it");
            return;
        }
        log_event(LOG_WARN, "postgres-unboxed", LF_CSTR("app", c->name));
    }
    c->state = CLUSTER_SERVES;
    if (!start_server(s, c, folder)) {
        c->state = CLUSTER_NONE;
        pause_after(s, c, strerror(errno));
        return;
    }
    log_event(LOG_INFO, "postgres-started", LF_CSTR("app", c->name), LF_U64("pid", (uint64_t)c->pid));
    tell(s, c, ERR_OK, "");
}

static void start(struct supervisor *s, struct cluster *c) {
    char why[200];
    int folder = s->state.clusters >= 0 ? app_folder(s, c, true) : -1;
    if (s->state.clusters < 0) {
        refuse(s, c, ERR_UNSUPPORTED, "this node keeps nothing, and so has no PostgreSQL for apps: start one with orlo node");
        return;
    }
    if (folder < 0) {
        pause_after(s, c, strerror(errno));
        return;
    }
    unsigned version = version_of(folder);
    struct found found = find_programs(version);
    snprintf(c->bin, sizeof c->bin, "%s", found.bin);
    if (!found.version && version) {
        snprintf(why, sizeof why, "its database is of PostgreSQL %u, which is not installed: apt install postgresql-%u", version,
                 version);
        refuse(s, c, ERR_UNSUPPORTED, why);
    } else if (!found.version) {
        snprintf(why, sizeof why,
                 "database = \"postgres\" takes PostgreSQL %d or newer on the node's machine: apt install postgresql", OLDEST);
        refuse(s, c, ERR_UNSUPPORTED, why);
    } else if (version) {
        serve(s, c, folder);
    } else {
        make(s, c, folder);
    }
    close(folder);
}

/* ---- its end ---- */

static void signal_next(struct cluster *c, uint64_t now) {
    static const int signals[] = {SIGINT, SIGQUIT, SIGKILL};
    static const uint64_t waits_ms[] = {INT_MS, QUIT_MS, QUIT_MS};
    int at = MIN(c->asked_to_stop, 2);
    if (c->pid > 0) kill(c->pid, signals[at]);
    if (at && c->pid > 0) kill(c->pid, SIGCONT);
    c->asked_to_stop++;
    c->late_ns = now + waits_ms[at] * ms_ns;
}

static void stop(struct cluster *c) {
    if (c->state != CLUSTER_SERVES) return;
    c->state = CLUSTER_STOPS;
    c->asked_to_stop = 0;
    signal_next(c, clock_mono_ns());
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *f) { return f->level ? remove(path) : 0; }

/* As whose they are: what is in there may be anything. */
static void begin_to_remove(struct supervisor *s, struct cluster *c, const char *what) {
    int folder = app_folder(s, c, false);
    struct stat st;
    bool there = folder >= 0 && fstatat(folder, what, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if (there) end_rest((struct node_user){st.st_uid, st.st_gid});
    pid_t pid = there ? fork() : 0;
    if (there && pid == 0) {
        struct node_user user = {st.st_uid, st.st_gid};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int in = openat(folder, what, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        bool ok = in >= 0 && fchdir(in) == 0 && (geteuid() != 0 || node_role_become(user));
        _exit(!ok || nftw(".", remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0);
    }
    c->pid = pid;
    if (folder >= 0) close(folder);
    c->state = CLUSTER_DROPS;
}

static void forget(struct supervisor *s, struct cluster *c) {
    struct cluster **at = &s->clusters;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    free(c);
}

/* What is left is empty folders, and files of the supervisor's own. */
static void remove_rest(struct supervisor *s, struct cluster *c) {
    static const char *const files[] = {"password", "log", "dropped"}, *const folders[] = {"data", "new", "run"};
    char name[16];
    int folder = app_folder(s, c, false);
    snprintf(name, sizeof name, "%u", c->app);
    for (size_t i = 0; folder >= 0 && i < ARRAY_COUNT(folders); i++) (void)unlinkat(folder, folders[i], AT_REMOVEDIR);
    for (size_t i = 0; c->dropped && folder >= 0 && i < ARRAY_COUNT(files); i++) (void)unlinkat(folder, files[i], 0);
    if (folder >= 0) close(folder);
    if (c->dropped && s->state.clusters >= 0 && unlinkat(s->state.clusters, name, AT_REMOVEDIR) && errno != ENOENT)
        log_event(LOG_WARN, "postgres-not-removed", LF_CSTR("app", c->name), LF_CSTR("reason", strerror(errno)));
}

/* One after the other: what a program of the app's user left in each. */
static bool removes_next(struct supervisor *s, struct cluster *c) {
    static const char *const folders[] = {"data", "new", "run"};
    int folder = app_folder(s, c, false);
    const char *next = NULL;
    for (size_t i = 0; folder >= 0 && !next && i < ARRAY_COUNT(folders); i++)
        if (faccessat(folder, folders[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0) next = folders[i];
    if (folder >= 0) close(folder);
    if (next) begin_to_remove(s, c, next);
    return next;
}

/* ---- what became of a program ---- */

static void ended(struct supervisor *s, struct cluster *c, bool well) {
    char why[300];
    int state = c->state;
    int folder = app_folder(s, c, false);
    c->pid = 0;
    c->state = CLUSTER_NONE;
    if (!well) last_words(s, c, why, sizeof why);
    switch (state) {
    case CLUSTER_MAKES:
        if (well && folder >= 0 && start_owning(c, folder)) c->state = CLUSTER_OWNS;
        else pause_after(s, c, why);
        break;
    case CLUSTER_OWNS:
        if (!well) pause_after(s, c, "its files cannot be handed to the app's user");
        break;
    case CLUSTER_SERVES: pause_after(s, c, *why ? why : "it ended"); break;
    case CLUSTER_STOPS: log_event(LOG_INFO, "postgres-stopped", LF_CSTR("app", c->name)); break;
    case CLUSTER_DROPS:
        remove_rest(s, c);
        if (!well) c->start_at_ns = clock_mono_ns() + MOST_PAUSE_MS * ms_ns; /* somebody holds it, or it is not its user's */
        break;
    default: break;
    }
    if (folder >= 0) close(folder);
}

bool node_clusters_reap(struct supervisor *s, pid_t pid, int status) {
    struct cluster *c = s->clusters;
    while (c && c->pid != pid) c = c->next;
    if (c) ended(s, c, WIFEXITED(status) && !WEXITSTATUS(status) && c->state != CLUSTER_SERVES);
    return c;
}

/* ---- what the role wants ---- */

static struct cluster *cluster_of(struct supervisor *s, uint32_t app, str name) {
    struct cluster *c = s->clusters;
    while (c && c->app != app) c = c->next;
    if (c) return c;
    c = calloc(1, sizeof *c);
    ENSURE(c && name.n < sizeof c->name);
    c->app = app;
    memcpy(c->name, name.p, name.n);
    c->next = s->clusters;
    return s->clusters = c;
}

static bool has_no_room(const struct supervisor *s) { return count_servers(s) >= s->setup->limits.postgres_servers_max; }

static void refuse_room(struct supervisor *s, struct cluster *c) {
    c->wanted = false;
    tell(s, c, ERR_BUSY, "as many servers of apps are up as may be (postgres_servers)");
}

static void on_want(struct supervisor *s, const struct node_msg_cluster_want *m) {
    struct cluster *c = cluster_of(s, m->app, m->name);
    c->wanted = !c->dropped;
    if (c->dropped && c->again) tell(s, c, ERR_AGAIN, "its files are being removed: then there is a new one");
    else if (c->dropped) tell(s, c, ERR_NOT_FOUND, "the app is no more");
    else if (c->state == CLUSTER_SERVES) tell(s, c, ERR_OK, "");
    else if (c->state == CLUSTER_NONE && has_no_room(s)) refuse_room(s, c);
    else if (c->state == CLUSTER_NONE && c->start_at_ns > clock_mono_ns())
        tell(s, c, ERR_AGAIN, "it died, and is started again soon");
}

static void on_rest(struct supervisor *s, const struct node_msg_cluster_rest *m) {
    struct cluster *c = s->clusters;
    while (c && c->app != m->app) c = c->next;
    if (!c) return;
    c->wanted = false;
    stop(c);
}

/* ---- the role ---- */

bool node_clusters_begin(struct supervisor *s) {
    struct log_style log = log_style();
    struct buf settings = {0};
    node_settings_write(&settings, &s->setup->limits);
    struct node_message m = NODE_MESSAGE(postgres_open, .servers = s->servers, .log_json = log.json, .log_min = (uint8_t)log.min,
                                         .settings = buf_str(&settings));
    err e = node_wire_send(s->singles[NODE_ROLE_postgres].process.wire, &m);
    buf_free(&settings);
    if (e == ERR_OK) node_data_tell(s, NODE_ROLE_postgres);
    for (const struct cluster *c = s->clusters; e == ERR_OK && c; c = c->next)
        if (c->state == CLUSTER_SERVES) tell(s, c, ERR_OK, "");
    return e == ERR_OK;
}

bool node_clusters_hear(struct supervisor *s, struct node_message *m) {
    switch (m->type) {
    case NODE_MSG_server_want: node_servers_want(s, &m->server_want); return true;
    case NODE_MSG_cluster_want: on_want(s, &m->cluster_want); return true;
    case NODE_MSG_cluster_rest: on_rest(s, &m->cluster_rest); return true;
    case NODE_MSG_postgres_rests: node_roles_rest(s, NODE_ROLE_postgres); return true;
    case NODE_MSG_postgres_news: node_workers_news(s, m->postgres_news.app); return true;
    case NODE_MSG_postgres_did:
        node_data_did(s, NODE_ROLE_postgres, m->postgres_did.id, m->postgres_did.err, m->postgres_did.offset,
                      m->postgres_did.text);
        return true;
    default: return false;
    }
}

/* Who looks after the servers that are up is to be there: they rest when it says so. */
void node_clusters_lose(struct supervisor *s, int status) {
    node_data_lost(s, NODE_ROLE_postgres);
    node_servers_forget(s);
    for (const struct cluster *c = s->clusters; c; c = c->next)
        if (c->state == CLUSTER_SERVES) node_roles_want(s, NODE_ROLE_postgres);
}

/* For the next start of the node, should this one end before all is removed. */
static void mark_dropped(struct supervisor *s, const struct cluster *c) {
    int folder = app_folder(s, c, false);
    int fd = folder >= 0 ? openat(folder, "dropped", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    if (fd >= 0 && (ftruncate(fd, 0) || (c->again && write(fd, "again", 5) != 5)))
        log_event(LOG_WARN, "postgres-not-removed", LF_CSTR("app", c->name), LF_CSTR("reason", strerror(errno)));
    if (fd >= 0) fsync(fd), close(fd);
    if (folder >= 0) fsync(folder), close(folder);
}

/* Those of before this start that were to go. Whatever a server starts and leaves comes below this process, not to init. */
void node_clusters_look(struct supervisor *s) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int fd = s->state.clusters >= 0 ? openat(s->state.clusters, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));) {
        char path[300];
        uint64_t app;
        snprintf(path, sizeof path, "%s/dropped", e->d_name);
        if (!str_to_u64(str_c(e->d_name), &app) || app > UINT32_MAX ||
            faccessat(s->state.clusters, path, F_OK, AT_SYMLINK_NOFOLLOW))
            continue;
        struct cluster *c = cluster_of(s, (uint32_t)app, str_c(e->d_name));
        struct stat st;
        c->dropped = true;
        c->again = fstatat(s->state.clusters, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0;
    }
    if (d) closedir(d);
    else if (fd >= 0) close(fd);
}

void node_clusters_forget(struct supervisor *s, uint32_t app, str name, bool again) {
    if (s->state.clusters < 0) return;
    struct cluster *c = cluster_of(s, app, name);
    c->wanted = false, c->dropped = true, c->gone = false, c->again = again;
    mark_dropped(s, c);
    node_roles_tell(s, NODE_ROLE_postgres, &NODE_MESSAGE(postgres_forget, .app = app));
    stop(c);
}

/* ---- as the loop has them ---- */

bool node_clusters_hand_on(struct supervisor *s, int wire) {
    for (const struct cluster *c = s->clusters; c; c = c->next)
        if (c->state != CLUSTER_NONE && c->state != CLUSTER_SERVES) return false;
    for (struct cluster *c = s->clusters; c; c = c->next) {
        struct buf b = {0};
        if (c->state != CLUSTER_SERVES) continue;
        node_handover_begin(&b, "cluster");
        node_handover_put_u64(&b, "app", c->app);
        node_handover_put(&b, "name", str_c(c->name));
        node_handover_put_u64(&b, "pid", (uint64_t)c->pid);
        c->handed = node_handover_send(wire, &b, (str){0}, NULL, 0) == ERR_OK;
    }
    return true;
}

void node_clusters_adopt(struct supervisor *s, uint32_t app, str name, pid_t pid) {
    struct cluster *c = cluster_of(s, app, name);
    int folder = app_folder(s, c, false), fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    unsigned version = folder >= 0 ? version_of(folder) : 0;
    bool ok = folder >= 0 && fd >= 0 && !c->pid && !c->dropped && version && read_password(folder, c);
    if (folder >= 0) close(folder);
    if (!ok) { /* it ended meanwhile, and is started anew when it is wanted */
        if (fd >= 0) close(fd);
        return;
    }
    snprintf(c->bin, sizeof c->bin, "%s", find_programs(version).bin);
    c->pid = pid, c->pidfd = fd, c->state = CLUSTER_SERVES, c->wanted = true;
    c->started_ns = clock_mono_ns();
    node_roles_want(s, NODE_ROLE_postgres); /* who looks after it */
    tell(s, c, ERR_OK, "");
}

bool node_clusters_handed(const struct supervisor *s) {
    const struct cluster *c = s->clusters;
    while (c && !c->handed) c = c->next;
    return c;
}

void node_clusters_orphan(struct supervisor *s, pid_t pid) {
    struct cluster *c = s->clusters;
    while (c && c->pid != pid) c = c->next;
    if (!c) return;
    end_rest(node_role_app_user(c->app));
    forget(s, c);
}

/* What is no child says nothing of its end. */
static void look_at_adopted(struct supervisor *s, struct cluster *c) {
    if (c->pidfd <= 0 || poll(&(struct pollfd){.fd = c->pidfd, .events = POLLIN}, 1, 0) != 1) return;
    close(c->pidfd);
    c->pidfd = 0;
    ended(s, c, c->state != CLUSTER_SERVES);
}

static bool is_due(const struct cluster *c) { return c->state == CLUSTER_NONE && !c->gone && (c->wanted || c->dropped); }

void node_clusters_act(struct supervisor *s, uint64_t now) {
    for (struct cluster *c = s->clusters, *next; c; c = next) {
        next = c->next;
        if (c->pidfd > 0) look_at_adopted(s, c);
        if (c->state == CLUSTER_STOPS && now >= c->late_ns) signal_next(c, now);
        if (c->state == CLUSTER_DROPS && !c->pid) ended(s, c, true);
        if (!is_due(c) || now < c->start_at_ns || s->draining || node_takeover_clusters_wait(s)) continue;
        if (!c->dropped && has_no_room(s)) refuse_room(s, c); /* others came while it had ended */
        else if (!c->dropped) start(s, c);
        else if (!removes_next(s, c)) {
            remove_rest(s, c), c->gone = true;
            if (c->again) forget(s, c);
        }
    }
}

uint64_t node_clusters_due_ns(const struct supervisor *s) {
    uint64_t due = UINT64_MAX;
    for (const struct cluster *c = s->clusters; c; c = c->next) {
        if (c->state == CLUSTER_STOPS) due = MIN(due, c->late_ns);
        if (c->state == CLUSTER_DROPS && !c->pid) due = 0;
        if (is_due(c) && !s->draining && !node_takeover_clusters_wait(s)) due = MIN(due, c->start_at_ns);
        if (c->pidfd > 0) due = MIN(due, clock_mono_ns() + LOOK_MS * ms_ns);
    }
    return due;
}

static bool is_left(const struct cluster *c) {
    if (c->pidfd > 0) return poll(&(struct pollfd){.fd = c->pidfd, .events = POLLIN}, 1, 0) == 0;
    return waitpid(c->pid, NULL, WNOHANG) == 0;
}

/* All at once, and no longer than it takes: the role that spoke to them has ended. */
void node_clusters_end(struct supervisor *s) {
    uint64_t now = clock_mono_ns(), until = now + (INT_MS + 2 * QUIT_MS) * ms_ns;
    if (node_upgrade_leaves(s)) return; /* they are another's */
    for (struct cluster *c = s->clusters; c; c = c->next) {
        if (c->state == CLUSTER_SERVES) stop(c);
        else if (c->state != CLUSTER_STOPS && c->pid > 0) kill(c->pid, SIGKILL);
    }
    for (bool left = true; left && now < until; now = clock_mono_ns()) {
        left = false;
        for (struct cluster *c = s->clusters; c; c = c->next) {
            if (c->pid > 0 && is_left(c)) left = true;
            else c->pid = 0;
            if (c->pid > 0 && c->state == CLUSTER_STOPS && now >= c->late_ns) signal_next(c, now);
        }
        if (left) poll(NULL, 0, 10);
    }
    while (s->clusters) forget(s, s->clusters);
    node_servers_forget(s);
}
