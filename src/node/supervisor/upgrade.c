/* upgrade: this node is replaced by another program (`orlo upgrade`), while it serves. This is the old one's side; the new one's is takeover.c.
 *
 *   IDLE ──asked──> STARTS ──hello, offer, prepared──> YIELDS ──control has ended──> GOES ──serving──> LEAVES ──nobody is left──> it ends, or
 *                     │                                  │                             │                  │                        stays as a parent
 *                     └── it ends, says why not, or takes too long: it is killed, control comes back ─────┘                        (stay.c)
 *                         (LEAVES: workers come back, too)
 *
 * 1. The new program is a child of its own, not this process made anew by exec: until it has said that all its workers serve, this one goes on as it was, with
 *    its sockets, its workers, its store. What fails is killed, and has changed nothing; the same after that, as long as anything of this one is left.
 * 2. Sockets that listen are the same ones in both (descriptors are handed on): a connection that waits in one is accepted by one or by the other.
 * 3. What is written by one process alone, node.db and apps' data, is locked by that process itself (node_state_hold): its successor waits for the lock, not for
 *    what anybody says. Control ends before the new one begins; the store at its first quiet moment after that, where both versions' processes understand each
 *    other, else when the last worker of the old one is gone.
 * 4. node.db is copied before a version that will change its format may touch it, and put back if that comes to nothing.
 * 5. It asks at STATE/upgrade.sock, which the supervisor itself has: no other process of the node's can have a program started.
 */
#include "app/record.h"
#include "crypto/tls_server.h"
#include "node/control/store.h"
#include "node/handover.h"
#include "node/supervisor/supervisor_int.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FDS = NODE_UPGRADE_FDS, ARGS_MAX = 512 };
static const uint64_t prepares_ns = 60 * 1'000'000'000ull, yields_ns = 60 * 1'000'000'000ull, goes_ns = 180 * 1'000'000'000ull,
                      again_ns = 100'000'000u;

struct upgrade {
    enum { IDLE, STARTS, YIELDS, GOES, LEAVES } state;
    bool check, offered, same, grows,
        copied; /* same: processes of both understand each other; grows: node.db becomes another format */
    bool store_asked, clusters_told, over;
    pid_t pid;
    int wire, words, client; /* words: what it prints before it has the log; -1 each */
    char path[PATH_MAX], version[64], heard[700], also[700];
    size_t heard_n;
    uint64_t late_at_ns, again_at_ns, begun_ns;
    struct lent { /* an image that a worker waits for */
        struct lent *next;
        uint32_t id;
        pid_t pid;
    } * lent;
    uint32_t last_id;
};

/* ---- what it was started as ---- */

static char program[PATH_MAX];

void node_upgrade_remember(void) {
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[MAX(n, (ssize_t)0)] = 0;
    char *deleted = strstr(program, " (deleted)");
    if (deleted && !deleted[strlen(" (deleted)")]) *deleted = 0;
}

/* This process's own command line, word by word. False: it cannot be read. */
static bool own_words(char **argv, char *text, size_t n) {
    int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 ? read(fd, text, n - 1) : -1;
    size_t count = 0;
    if (fd >= 0) close(fd);
    if (got <= 0 || (size_t)got == n - 1) return false;
    text[got] = 0;
    for (char *at = text; at < text + got && count < ARGS_MAX - 1; at += strlen(at) + 1) argv[count++] = at;
    argv[count] = NULL;
    return count;
}

/* ---- the command ---- */

static void tell_client(struct upgrade *u, const char *verb, err e, const char *text) {
    struct buf b = {0};
    if (u->client < 0) return;
    node_handover_begin(&b, verb);
    node_handover_put(&b, "version", str_c(u->version));
    node_handover_put(&b, "text", str_c(text));
    node_handover_put_u64(&b, "err", (uint64_t)e);
    if (node_handover_send(u->client, &b, (str){0}, NULL, 0) != ERR_OK) node_supervisor_close(&u->client);
}

static void end_client(struct upgrade *u, err e, const char *text) {
    tell_client(u, e == ERR_OK ? "done" : "failed", e, text);
    node_supervisor_close(&u->client);
}

/* ---- the copy of node.db ---- */

static const char *const kept[][2] = {{"node.db", "node.db.before"}, {"node.db-wal", "node.db-wal.before"}};

static bool copy_one(int folder, const char *from, const char *to) {
    uint8_t bytes[64 << 10];
    struct stat st;
    int in = openat(folder, from, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), out = -1;
    unlinkat(folder, to, 0);
    if (in < 0) return errno == ENOENT;
    bool ok = fstat(in, &st) == 0 && (out = openat(folder, to, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)) >= 0;
    ssize_t n = 0;
    while (ok && (n = read(in, bytes, sizeof bytes)) > 0) ok = write(out, bytes, (size_t)n) == n;
    ok = ok && n == 0 && fsync(out) == 0 && (geteuid() != 0 || fchown(out, st.st_uid, st.st_gid) == 0);
    close(in);
    if (out >= 0) close(out);
    return ok;
}

static bool keep_state(struct supervisor *s) {
    bool ok = true;
    for (size_t i = 0; i < ARRAY_COUNT(kept); i++) ok = ok && copy_one(s->state.db, kept[i][0], kept[i][1]);
    return ok && fsync(s->state.db) == 0;
}

static void put_back(struct supervisor *s) {
    struct diag d = DIAG_INIT;
    int own;
    if (node_state_hold(s->state.db, &own, &d) != ERR_OK)
        return;                                    /* its control is gone then; or nothing is put below who writes */
    for (size_t i = ARRAY_COUNT(kept); i-- > 0;) { /* the log first: without its database it says nothing */
        if (renameat(s->state.db, kept[i][1], s->state.db, kept[i][0]) && errno == ENOENT && i)
            unlinkat(s->state.db, kept[i][0], 0);
    }
    fsync(s->state.db);
    close(own);
}

void node_upgrade_forget_copy(const struct supervisor *s) {
    for (size_t i = 0; s->state.db >= 0 && i < ARRAY_COUNT(kept); i++) unlinkat(s->state.db, kept[i][1], 0);
}

/* ---- its end ---- */

static void forget_lent(struct upgrade *u) {
    while (u->lent) {
        struct lent *l = u->lent;
        u->lent = l->next;
        free(l);
    }
}

static void drop(struct upgrade *u) {
    node_supervisor_close(&u->wire), node_supervisor_close(&u->words), node_supervisor_close(&u->client);
    forget_lent(u);
    free(u);
}

/* Workers again, where they had been told to rest: those serve what they hold to its end. */
static void come_back(struct supervisor *s) {
    s->draining = false;
    s->kill_at_ns = UINT64_MAX;
    s->sample_at_ns = 0;
    for (uint32_t i = 0; i < s->slots_count; i++) s->slots[i].spawn_at_ns = 0, s->slots[i].pause_ns = 0;
    node_notify_main(s, getpid());
    node_stay_tell(s, getpid());
}

/* Whatever it was, all is as before: said to who asked, and in the log. */
static void give_up(struct supervisor *s, const char *why) {
    struct upgrade *u = s->upgrade;
    int state = u->state, status = 0;
    char reason[800];
    snprintf(reason, sizeof reason, "%s%s%.*s", why, u->heard_n ? ": " : "", (int)u->heard_n, u->heard);
    if (u->pid > 0) {
        kill(u->pid, SIGKILL);
        while (waitpid(u->pid, &status, 0) < 0 && errno == EINTR) {} /* its roles die with it, and let go of what they hold */
    }
    s->upgrade = NULL;
    node_relay_share(&s->relay, -1);
    if (u->copied) put_back(s);
    if (state == LEAVES) come_back(s);
    if (u->check) end_client(u, ERR_UNSUPPORTED, reason);
    else {
        log_event(LOG_ERROR, "upgrade-failed", LF_CSTR("program", u->path), LF_CSTR("version", u->version),
                  LF_CSTR("reason", reason));
        end_client(u, ERR_UNSUPPORTED, reason);
    }
    drop(u);
}

/* ---- starting it ---- */

void node_upgrade_share_log(struct supervisor *s) {
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", s->state.lock);
    node_relay_share(&s->relay, s->state.lock >= 0 ? open(path, O_RDWR | O_CLOEXEC)
                                                   : -1); /* a description of its own: locks of two are two's */
}

static _Noreturn void become(const char *path, char **argv, int wire, int words) {
    static const int keep[] = {0, 1, 2, NODE_HANDOVER_FD, NODE_HANDOVER_LOG_FD};
    sigset_t none;
    for (int sig = 1; sig < 32; sig++)
        if (sig != SIGHUP) signal(sig, SIG_DFL); /* under nohup it stays ignored */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int at = fcntl(wire, F_DUPFD_CLOEXEC, 16), say = fcntl(words, F_DUPFD_CLOEXEC, 16);
    int log = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 16);
    dup2(at, NODE_HANDOVER_FD), dup2(log, NODE_HANDOVER_LOG_FD), dup2(say, STDERR_FILENO);
    node_close_fds_except(keep, ARRAY_COUNT(keep));
    setenv(NODE_HANDOVER_VARIABLE, "3", 1);
    static_assert(NODE_HANDOVER_FD == 3 && NODE_HANDOVER_LOG_FD == 4, "as the variable says");
    execv(path, argv);
    dprintf(STDERR_FILENO, "%s\n", strerror(errno));
    _exit(127);
}

static bool begin(struct supervisor *s, struct upgrade *u) {
    static char text[128 << 10], *argv[ARGS_MAX];
    int pair[2] = {-1, -1}, pipe_of[2] = {-1, -1};
    bool ok = own_words(argv, text, sizeof text) && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0 &&
              pipe2(pipe_of, O_CLOEXEC) == 0;
    if (ok) {
        fcntl(pair[0], F_SETFL, O_NONBLOCK), fcntl(pipe_of[0], F_SETFL, O_NONBLOCK);
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &(int){4 << 20}, sizeof(int));
        setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &(int){4 << 20}, sizeof(int)); /* where we may */
        u->pid = fork();
        if (u->pid == 0) become(u->path, argv, pair[1], pipe_of[1]);
        ok = u->pid > 0;
    }
    u->wire = pair[0], u->words = pipe_of[0];
    if (pair[1] >= 0) close(pair[1]);
    if (pipe_of[1] >= 0) close(pipe_of[1]);
    node_upgrade_share_log(s);
    u->state = STARTS;
    u->begun_ns = clock_mono_ns();
    u->late_at_ns = u->begun_ns + prepares_ns;
    return ok;
}

static bool is_trusted(int fd) {
    struct ucred peer;
    socklen_t n = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 && (!peer.uid || peer.uid == geteuid());
}

static void ask_begins(struct supervisor *s, struct upgrade *u, struct node_handover *m) {
    str path = node_handover_str(m, "program");
    if (!path.n) path = str_c(program);
    u->check = node_handover_u64(m, "check");
    snprintf(u->path, sizeof u->path, STR_FMT, STR_ARG(path));
    if (path.n >= sizeof u->path || u->path[0] != '/') give_up(s, "the program is named by a path from the root");
    else if (s->draining || !s->announced || !s->governs)
        give_up(s, "the node is being started, or stopped; try again when it serves");
    else if (s->reload.state != RELOAD_IDLE || s->next.generation)
        give_up(s, "the node is publishing what was deployed; try again");
    else if (!begin(s, u)) give_up(s, strerror(errno));
}

/* One at a time. */
static void client_came(struct supervisor *s) {
    struct node_handover m;
    int fd = accept4(s->state.upgrade, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct pollfd soon = {.fd = fd, .events = POLLIN};
    if (fd < 0) return;
    if (!is_trusted(fd) || poll(&soon, 1, 100) != 1 || node_handover_receive(fd, &m) != NODE_HANDOVER_GOT) {
        close(fd);
        return;
    }
    struct upgrade *u = calloc(1, sizeof *u);
    ENSURE(u);
    *u = (struct upgrade){.wire = -1, .words = -1, .client = fd};
    if (!node_handover_is(&m, "upgrade")) end_client(u, ERR_UNSUPPORTED, "this node does not know what was asked"), drop(u);
    else if (s->upgrade || s->takeover)
        end_client(u, ERR_BUSY, "the upgrade before is not over: requests in progress are being finished; try again"), drop(u);
    else ask_begins(s, s->upgrade = u, &m);
    node_handover_drop(&m);
}

/* ---- what it is handed ---- */

static bool send_door(const struct upgrade *u, const struct door *door) {
    bool ok = true;
    for (uint32_t at = 0; ok && at < MAX(door->count, 1u); at += 64) {
        struct buf b = {0};
        node_handover_begin(&b, "door");
        node_handover_put(&b, "host", door->host);
        node_handover_put_u64(&b, "port", door->asked_port);
        node_handover_put_u64(&b, "both", door->both);
        node_handover_put_u64(&b, "first", at == 0);
        ok = node_handover_send(u->wire, &b, (str){0}, door->fds + at, (int)MIN(door->count - at, 64u)) == ERR_OK;
    }
    return ok;
}

static bool send_inboxes(struct supervisor *s, const struct upgrade *u) {
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_COUNT(s->cordons); i++) {
        struct buf b = {0};
        if (!s->cordons[i].used) continue;
        node_handover_begin(&b, "inbox");
        node_handover_put_u64(&b, "cordon", s->cordons[i].id);
        ok = node_handover_send(u->wire, &b, (str){0}, s->cordons[i].inbox, 2) == ERR_OK;
    }
    return ok;
}

static bool send_cordons(struct supervisor *s, const struct upgrade *u) {
    bool ok = true;
    for (uint32_t i = 0; ok && i < s->setup->cordons.n; i++) {
        struct buf b = {0};
        node_handover_begin(&b, "cordon");
        node_handover_put_u64(&b, "id", s->setup->cordons.p[i].id);
        node_handover_put(&b, "name", s->setup->cordons.p[i].name);
        ok = node_handover_send(u->wire, &b, (str){0}, NULL, 0) == ERR_OK;
    }
    return ok;
}

/* So that who has a session of TLS resumes it. */
static bool send_tickets(struct supervisor *s, const struct upgrade *u) {
    struct buf b = {0};
    if (s->tickets < 0) return true;
    node_handover_begin(&b, "tickets");
    node_handover_put_u64(&b, "bytes", sizeof(struct crypto_tickets));
    return node_handover_send(u->wire, &b, (str){0}, &s->tickets, 1) == ERR_OK;
}

static void put_hex(struct buf *b, const char *key, const uint8_t *p, size_t n) {
    char text[2 * 64 + 1];
    for (size_t i = 0; i < n && i < 64; i++) snprintf(text + 2 * i, 3, "%02x", p[i]);
    node_handover_put(b, key, str_c(text));
}

static bool send_offer(struct supervisor *s, const struct upgrade *u, bool same_rates, bool same_meters) {
    struct log_style log = log_style();
    struct buf b = {0};
    int fds[8] = {s->state.lock, s->state.socket, s->state.upgrade, s->rates_fd}, n = 4;
    node_handover_begin(&b, "offer");
    node_handover_put_u64(&b, "check", u->check);
    node_handover_put_u64(&b, "same", u->same);
    node_handover_put_u64(&b, "rates", same_rates);
    node_handover_put_u64(&b, "generation", s->now.generation);
    node_handover_put_u64(&b, "log_json", log.json);
    node_handover_put_u64(&b, "log_min", log.min);
    put_hex(&b, "hops", s->hops_key, sizeof s->hops_key);
    if (s->admin_fd >= 0) node_handover_put(&b, "admin", s->admin_asked), fds[n++] = s->admin_fd;
    bool ok = node_handover_send(u->wire, &b, (str){0}, fds, n) == ERR_OK;
    for (uint32_t i = 0; ok && i < s->setup->doors_count; i++) ok = send_door(u, s->setup->doors[i]);
    ok = ok && send_tickets(s, u) && send_cordons(s, u) && (!u->same || send_inboxes(s, u)) &&
         (!same_meters || node_regions_hand_on(s, u->wire));
    node_handover_begin(&b, "offered");
    return ok && node_handover_send(u->wire, &b, (str){0}, NULL, 0) == ERR_OK;
}

/* Who it is: may it have the state, and do its processes speak as ours do. */
static void on_hello(struct supervisor *s, struct upgrade *u, const struct node_handover *m) {
    char wire[33], rates[33], meters[33], why[400];
    uint64_t format = node_handover_u64(m, "format"), record = node_handover_u64(m, "record");
    snprintf(u->version, sizeof u->version, STR_FMT, STR_ARG(node_handover_str(m, "version")));
    text_tame(u->version, strlen(u->version));
    node_handover_layouts(wire, rates, meters);
    u->same = str_eqc(node_handover_str(m, "wire"), wire);
    u->grows = format > node_store_format();
    if (format < node_store_format() || record < APP_RECORD_LAYOUT) {
        snprintf(why, sizeof why,
                 "it is older than what it would have to read: it knows node.db until format %llu and records until %llu, and "
                 "these are %u and %d",
                 (unsigned long long)format, (unsigned long long)record, node_store_format(), APP_RECORD_LAYOUT);
        give_up(s, why);
        return;
    }
    u->offered = true;
    if (!send_offer(s, u, str_eqc(node_handover_str(m, "rates"), rates), str_eqc(node_handover_str(m, "meters"), meters)))
        give_up(s, "it does not take what it is offered");
}

/* ---- turn by turn ---- */

static void yield(struct supervisor *s, struct upgrade *u) {
    u->state = YIELDS;
    u->again_at_ns = clock_mono_ns();
    u->late_at_ns = u->again_at_ns + yields_ns;
}

static void say_plan(struct upgrade *u, const struct node_handover *m) {
    char text[1500];
    int n = snprintf(text, sizeof text, "version %s would take the place of %s; %s", u->version, ORLO_VERSION,
                     u->grows ? "db/node.db becomes another format, after a copy of it was made; " : "");
    n += snprintf(
        text + n, sizeof text - (size_t)n, "%s",
        u->same ? "requests in progress and new ones share the store meanwhile"
                : "its processes speak otherwise than these: what needs the store waits until requests in progress are answered");
    str note = node_handover_str(m, "note");
    if (note.n) snprintf(text + n, sizeof text - (size_t)n, "; " STR_FMT, STR_ARG(note));
    tell_client(u, "said", ERR_OK, text);
}

static void on_prepared(struct supervisor *s, struct upgrade *u, const struct node_handover *m) {
    if (u->state != STARTS || !u->offered) return;
    say_plan(u, m);
    if (!u->check) {
        yield(s, u);
        return;
    }
    kill(u->pid, SIGKILL);
    while (waitpid(u->pid, NULL, 0) < 0 && errno == EINTR) {}
    end_client(u, ERR_OK, "nothing was changed");
    node_relay_share(&s->relay, -1);
    s->upgrade = NULL;
    drop(u);
}

static void go(struct supervisor *s, struct upgrade *u) {
    struct buf b = {0};
    if (u->grows && !(u->copied = keep_state(s))) {
        give_up(s, "db/node.db cannot be copied before it becomes another format");
        return;
    }
    u->state = GOES;
    u->late_at_ns = clock_mono_ns() + goes_ns;
    node_handover_begin(&b, "go");
    if (node_handover_send(u->wire, &b, (str){0}, NULL, 0) != ERR_OK) give_up(s, "it is gone");
}

/* The PostgreSQL of apps stays this process's child, and is looked after by the new one: once none is half made, removed or stopped. */
static void tell_clusters(struct supervisor *s, struct upgrade *u) {
    struct buf b = {0};
    if (u->clusters_told || !node_clusters_hand_on(s, u->wire)) return;
    u->clusters_told = true;
    node_handover_begin(&b, "clusters");
    if (node_handover_send(u->wire, &b, (str){0}, NULL, 0) != ERR_OK) return; /* seen at its end */
}

static void rest_workers(struct supervisor *s, bool back, bool listening) {
    for (uint32_t i = 0; i < s->slots_count; i++) {
        struct slot *slot = &s->slots[i];
        if (!slot->used || !slot->current || (!back && !listening && !slot->cordon) || (!back && listening && slot->cordon))
            continue;
        node_workers_leave(s, slot->current, back);
        slot->current = NULL;
    }
}

static void on_serving(struct supervisor *s, struct upgrade *u) {
    struct buf b = {0};
    int fds[2], n = 0;
    char text[200];
    uint64_t ms = (clock_mono_ns() - u->begun_ns) / 1000000u;
    if (u->state != GOES) return;
    u->state = LEAVES;
    if (u->copied) node_upgrade_forget_copy(s), u->copied = false;
    node_notify_main(s, u->pid);
    node_handover_begin(&b, "yours");
    node_handover_put_u64(&b, "watchdog_ns", s->watchdog_ns);
    node_handover_put_u64(&b, "notify", s->notify_fd >= 0);
    node_handover_put_u64(&b, "parent", s->parent_fd >= 0);
    if (s->notify_fd >= 0) fds[n++] = s->notify_fd;
    if (s->parent_fd >= 0) fds[n++] = s->parent_fd;
    if (node_handover_send(u->wire, &b, (str){0}, fds, n) != ERR_OK) {
        give_up(s, "it died as it began to serve");
        return;
    }
    node_stay_tell(s, u->pid);
    log_event(LOG_INFO, "upgraded", LF_CSTR("program", u->path), LF_CSTR("version", u->version), LF_U64("pid", (uint64_t)u->pid),
              LF_U64("ms", ms));
    snprintf(text, sizeof text, "it serves, as process %d, after %llu ms; requests in progress are finished by the one before",
             (int)u->pid, (unsigned long long)ms);
    end_client(u, ERR_OK, text);
    s->draining = true;
    s->kill_at_ns = clock_mono_ns() + (s->setup->limits.drain_ms_max + 1000) * 1000000u;
    rest_workers(s, u->same, true);
    tell_clusters(s, u);
}

/* ---- for workers that still serve ---- */

bool node_upgrade_lends(const struct supervisor *s, enum node_channel channel) {
    const struct upgrade *u = s->upgrade;
    return u && u->state == LEAVES && u->same && (channel == NODE_CHANNEL_store || channel == NODE_CHANNEL_logs);
}

void node_upgrade_borrow(struct supervisor *s, const struct proc *p, enum node_channel channel) {
    struct buf b = {0};
    node_handover_begin(&b, "lend");
    node_handover_put_u64(&b, "channel", channel);
    node_handover_put_u64(&b, "slot", p->slot);
    node_handover_put_u64(&b, "pid", (uint64_t)p->process.pid);
    if (node_handover_send(s->upgrade->wire, &b, (str){0}, NULL, 0) != ERR_OK) {} /* it is gone, which is seen soon */
}

static struct proc *worker_of(struct supervisor *s, uint64_t pid) {
    struct proc *p = s->procs;
    while (p && (uint64_t)p->process.pid != pid) p = p->next;
    return p && p->process.wire >= 0 ? p : NULL;
}

static void on_lent(struct supervisor *s, struct node_handover *m) {
    struct proc *p = worker_of(s, node_handover_u64(m, "pid"));
    struct node_message end = NODE_MESSAGE(channel, .to = (uint8_t)node_handover_u64(m, "channel"));
    if (!p || m->fds_count != 1) return;
    end.fds[0] = m->fds[0], end.fds_count = 1;
    if (node_wire_send(p->process.wire, &end) != ERR_OK) node_process_signal(&p->process, SIGKILL); /* it does not listen */
}

bool node_upgrade_image(struct supervisor *s, const struct proc *p, const struct node_msg_image_want *want) {
    struct upgrade *u = s->upgrade;
    struct node_message m = {.type = NODE_MSG_image_want, .image_want = *want};
    struct buf b = {0}, body = {0};
    if (!u || u->state != LEAVES || !u->same || !node_wire_encode(&m, &body)) return false;
    struct lent *l = calloc(1, sizeof *l);
    ENSURE(l);
    *l = (struct lent){u->lent, ++u->last_id, p->process.pid};
    u->lent = l;
    node_handover_begin(&b, "image-want");
    node_handover_put_u64(&b, "id", l->id);
    err e = node_handover_send(u->wire, &b, buf_str(&body), NULL, 0);
    buf_free(&body);
    return e == ERR_OK || e == ERR_CLOSED;
}

static void on_image(struct supervisor *s, struct upgrade *u, struct node_handover *m) {
    struct node_message image = {0};
    struct lent **at = &u->lent;
    while (*at && (*at)->id != node_handover_u64(m, "id")) at = &(*at)->next;
    if (!*at) return;
    struct lent *l = *at;
    struct proc *p = worker_of(s, (uint64_t)l->pid);
    *at = l->next;
    free(l);
    image.fds_count = m->fds_count;
    if (!p || m->fds_count > 2 || !node_wire_decode(m->body, NODE_ROLE_supervisor, NODE_ROLE_worker, &image) ||
        image.type != NODE_MSG_image)
        return;
    for (int i = 0; i < m->fds_count; i++) image.fds[i] = m->fds[i];
    if (node_wire_send(p->process.wire, &image) != ERR_OK) node_process_signal(&p->process, SIGKILL);
}

/* ---- as the loop has it ---- */

static void hear(struct supervisor *s) {
    struct upgrade *u = s->upgrade;
    struct node_handover m;
    enum node_handover_got got = node_handover_receive(u->wire, &m);
    if (got == NODE_HANDOVER_AGAIN) return;
    if (got == NODE_HANDOVER_CLOSED) { /* what it said last may be why */
        node_supervisor_close(&u->wire);
        return;
    }
    if (node_handover_is(&m, "hello") && u->state == STARTS && !u->offered) on_hello(s, u, &m);
    else if (node_handover_is(&m, "prepared")) on_prepared(s, u, &m);
    else if (node_handover_is(&m, "serving")) on_serving(s, u);
    else if (node_handover_is(&m, "lent")) on_lent(s, &m);
    else if (node_handover_is(&m, "image")) on_image(s, u, &m);
    else if (node_handover_is(&m, "failed")) {
        str text = node_handover_str(&m, "text");
        u->heard_n = MIN(text.n, sizeof u->heard);
        if (u->heard_n) memcpy(u->heard, text.p, u->heard_n);
        give_up(s, "it cannot take over");
    }
    node_handover_drop(&m);
}

/* What a program prints that is none of ours, or that cannot even begin; the last of it. */
static void hear_words(struct upgrade *u) {
    char bytes[512];
    ssize_t n = read(u->words, bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
        node_supervisor_close(&u->words);
        return;
    }
    size_t over = u->heard_n + (size_t)n > sizeof u->heard ? u->heard_n + (size_t)n - sizeof u->heard : 0;
    memmove(u->heard, u->heard + over, u->heard_n - over);
    memcpy(u->heard + u->heard_n - over, bytes, (size_t)n);
    u->heard_n = u->heard_n - over + (size_t)n;
    text_tame(u->heard, u->heard_n);
}

void node_upgrade_poll(const struct supervisor *s, struct pollfd fds[static FDS]) {
    const struct upgrade *u = s->upgrade;
    fds[0] = (struct pollfd){.fd = s->draining && !u ? -1 : s->state.upgrade, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = u ? u->wire : -1, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = u ? u->words : -1, .events = POLLIN};
}

void node_upgrade_polled(struct supervisor *s, const struct pollfd fds[static FDS]) {
    struct upgrade *u = s->upgrade;
    if (fds[2].revents && u && u->words == fds[2].fd) hear_words(u);
    if (fds[1].revents && s->upgrade && s->upgrade->wire == fds[1].fd) hear(s);
    if (fds[0].revents) client_came(s);
}

bool node_upgrade_reap(struct supervisor *s, pid_t pid, int status) {
    struct upgrade *u = s->upgrade;
    char why[100];
    if (!u || u->pid != pid) return false;
    while (s->upgrade == u && u->wire >= 0 && poll(&(struct pollfd){.fd = u->wire, .events = POLLIN}, 1, 0) == 1) hear(s);
    while (s->upgrade == u && u->words >= 0 && poll(&(struct pollfd){.fd = u->words, .events = POLLIN}, 1, 0) == 1) hear_words(u);
    if (s->upgrade != u) return true;
    u->pid = 0;
    if (u->state == LEAVES && WIFEXITED(status) && !WEXITSTATUS(status)) { /* it was stopped, and so is the node */
        node_relay_share(&s->relay, -1);
        s->upgrade = NULL;
        drop(u);
        return true;
    }
    if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "it was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else snprintf(why, sizeof why, "it ended with status %d", WEXITSTATUS(status));
    give_up(s, why);
    return true;
}

/* While it does, no control is started here. */
bool node_upgrade_holds_control(const struct supervisor *s) { return s->upgrade && s->upgrade->state >= YIELDS; }

void node_upgrade_busy(struct supervisor *s) {
    struct upgrade *u = s->upgrade;
    if (u && u->state == YIELDS) u->again_at_ns = clock_mono_ns() + again_ns;
}

static void act_yields(struct supervisor *s, struct upgrade *u, uint64_t now) {
    const struct single *control = &s->singles[NODE_ROLE_control];
    if (control->process.pid <= 0) {
        go(s, u);
        return;
    }
    if (now < u->again_at_ns) return;
    bool publishes = s->next.generation || s->untold; /* that is brought to its end */
    u->again_at_ns = publishes ? now + again_ns : UINT64_MAX;
    if (publishes) return;
    node_singles_tell(s, &NODE_MESSAGE(control_rest));
}

static void act_leaves(struct supervisor *s, struct upgrade *u) {
    bool listening = false, store = s->singles[NODE_ROLE_store].process.wire >= 0 && !s->singles[NODE_ROLE_store].rests;
    tell_clusters(s, u);
    if (u->same && store && !u->store_asked) {
        u->store_asked = true;
        node_roles_tell(s, NODE_ROLE_store, &NODE_MESSAGE(store_rest));
    }
    for (const struct proc *p = s->procs; p; p = p->next) listening |= !s->slots[p->slot].cordon;
    if (!u->same && !listening) rest_workers(s, false, false); /* nobody sends them anything any more */
}

void node_upgrade_act(struct supervisor *s, uint64_t now) {
    struct upgrade *u = s->upgrade;
    if (!u) return;
    if (u->state == LEAVES) {
        act_leaves(s, u);
        return;
    }
    if (s->draining) {
        give_up(s, "the node is being stopped");
        return;
    }
    if (now >= u->late_at_ns)
        give_up(s, u->state == STARTS   ? "it did not say within a minute that it can take over"
                   : u->state == YIELDS ? "a deployment, a backup or a move is under way and does not end: try again"
                                        : "it did not serve within three minutes");
    else if (u->state == YIELDS) act_yields(s, u, now);
}

uint64_t node_upgrade_due_ns(const struct supervisor *s) {
    const struct upgrade *u = s->upgrade;
    if (!u) return UINT64_MAX;
    if (u->state == LEAVES) return u->clusters_told ? UINT64_MAX : clock_mono_ns() + again_ns;
    return u->state == YIELDS ? MIN(u->late_at_ns, u->again_at_ns) : u->late_at_ns;
}

void node_upgrade_signal(const struct supervisor *s, int signum) {
    if (s->upgrade && s->upgrade->pid > 0) kill(s->upgrade->pid, signum);
}

bool node_upgrade_waits(const struct supervisor *s) { return node_upgrade_leaves(s) && !s->upgrade->clusters_told; }

bool node_upgrade_leaves(const struct supervisor *s) { return s->upgrade && s->upgrade->state == LEAVES; }

/* Its processes are gone. The successor, who may have ended meanwhile, is on its own from now on: its number, or 0. */
pid_t node_upgrade_end(struct supervisor *s, int *wire) {
    struct upgrade *u = s->upgrade;
    struct buf b = {0};
    if (!u) return 0;
    pid_t pid = u->pid;
    node_handover_begin(&b, "done");
    err e = node_handover_send(u->wire, &b, (str){0}, NULL, 0);
    (void)e;
    *wire = u->wire;
    u->wire = -1;
    s->upgrade = NULL;
    drop(u);
    return pid;
}
