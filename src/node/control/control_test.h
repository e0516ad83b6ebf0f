/* control_test: control, a process of its own, with a supervisor that a test plays, and commands. It can be traced: killed at any of its
 * system calls, or told that the disk is full at any of those that write. */
#ifndef ORLO_NODE_CONTROL_TEST_H
#define ORLO_NODE_CONTROL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <linux/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "db/db.h"
#include "node/supervisor/jobs.h"
#include "node/node_int.h"
#include "node/snapshot.h"
#include "node/state.h"

/* ---- the supervisor that is played ---- */

static char folder[64];
static struct {
    struct node_process control;
    struct node_state state;
    int image;           /* what a job would make */
    uint8_t salt;        /* that makes the next one another */
    int snapshot;        /* the last that was published; -1 */
    uint64_t generation; /* of it */
    err publish_says, governs_says;
    bool holds_compile; /* jobs do not end */
    bool same;          /* the module that is deployed next is the one before */
    bool full;          /* there is no room any more, once something was published */
    unsigned compiles, cancels, governs, rights;
    int client; /* a command's connection */
    bool http;  /* it is one of the admin API */
    bool answered, governed;
    struct node_msg_deployed deployed;
    char text[800];
    bool traced;
    unsigned stops, stop_at;  /* system calls seen; killed at that one, 0: not */
    unsigned writes, full_at; /* calls that write; from that one on there is no room, 0: there is */
} sup;

static int small_image(void) {
    int in = memfd_create("wasm", 0), out = memfd_create("image", 0);
    struct diag d = DIAG_INIT;
    struct node_limits limits = {.compile_memory_bytes_max = 1 * GiB, .compile_ms_max = 20'000, .image_bytes_max = 64 * MiB};
    node_limits_fill(&limits);
    assert_int_equal(write(in, "\0asm\1\0\0\0", 8), 8);
    struct node_message what =
        NODE_MESSAGE(compile, .bytes = 8, .memory_bytes_max = 64 * MiB, .image_bytes_max = limits.image_bytes_max);
    assert_int_equal(node_job(&what, in, out, &limits, "compiling", &d), ERR_OK);
    close(in);
    return out;
}

static void tell(const struct node_message *m) { assert_true(node_wire_send(sup.control.wire, m) != ERR_LIMIT); }

static void compile(struct node_message *m) {
    static uint8_t bytes[1 << 20];
    ssize_t n = pread(sup.image, bytes, sizeof bytes, 0);
    bytes[n - 65] ^= sup.salt++; /* what is behind the symbols: another image, as far as control can tell */
    assert_int_equal(pwrite(m->fds[1], bytes, (size_t)n, 0), n);
    sup.compiles++;
    if (!sup.holds_compile) tell(&NODE_MESSAGE(compile_done, .id = m->compile_want.id, .kind = 1));
}

static void hear(struct node_message *m) {
    switch (m->type) {
    case NODE_MSG_governs:
        sup.governs++, sup.governs_says = m->governs.err, sup.governed = true;
        if (m->governs.err != ERR_OK)
            print_message("             %.*s\n", (int)m->governs.text.n, (const char *)m->governs.text.p);
        break;
    case NODE_MSG_compile_want: compile(m); break;
    case NODE_MSG_compile_cancel: sup.cancels++; break;
    case NODE_MSG_secret_want: tell(&NODE_MESSAGE(secret_done, .id = m->secret_want.id, .value = m->secret_want.value)); break;
    case NODE_MSG_sign_want: tell(&NODE_MESSAGE(sign_done, .id = m->sign_want.id)); break;
    case NODE_MSG_right: sup.rights++; break;
    case NODE_MSG_publish:
        if (sup.full) sup.full_at = 1;
        tell(&NODE_MESSAGE(published, .generation = m->publish.generation, .err = sup.publish_says));
        if (sup.publish_says != ERR_OK) break;
        if (sup.snapshot >= 0) close(sup.snapshot);
        sup.snapshot = node_message_take(m, 0);
        sup.generation = m->publish.generation;
        break;
    case NODE_MSG_data_forget:
    case NODE_MSG_server_changed: break; /* the store, or the broker, is told */
    default: fail_msg("control said %s", node_message_text(m->type));
    }
}

/* Of the admin API: a status, and an error's words. */
static void hear_http(void) {
    char got[2000];
    ssize_t n = recv(sup.client, got, sizeof got - 1, MSG_DONTWAIT);
    if (n < 0) return;
    got[n] = 0;
    int status = n > 12 ? atoi(got + 9) : 0;
    const char *words = strstr(got, "\"message\":\"");
    snprintf(sup.text, sizeof sup.text, "%s", words ? words + 11 : "");
    sup.deployed = (struct node_msg_deployed){.err = status == 204 || status == 200 ? ERR_OK
                                                     : status == 404                ? ERR_NOT_FOUND
                                                     : status == 403                ? ERR_DENIED
                                                                                    : ERR_IO};
    sup.answered = n > 0;
    close(sup.client);
    sup.client = -1;
    sup.http = false;
}

static void hear_answer(void) {
    struct node_message m;
    if (sup.http) {
        hear_http();
        return;
    }
    enum node_wire_got got = node_wire_receive(sup.client, NODE_ROLE_control, NODE_ROLE_command, &m);
    if (got == NODE_WIRE_CLOSED) close(sup.client), sup.client = -1;
    if (got != NODE_WIRE_GOT || m.type == NODE_MSG_progress) return;
    sup.answered = true;
    if (m.type == NODE_MSG_deployed) sup.deployed = m.deployed;
    str text = m.type == NODE_MSG_deployed ? m.deployed.text : (str){0};
    snprintf(sup.text, sizeof sup.text, STR_FMT, STR_ARG(text));
    node_message_drop(&m);
}

/* ---- control, step by step ---- */

static void trace(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)sup.control.pid);
    DIR *tasks = opendir(path);
    assert_non_null(tasks);
    for (struct dirent *e; (e = readdir(tasks));) {
        pid_t tid = atoi(e->d_name);
        if (tid <= 0) continue;
        assert_int_equal(ptrace(PTRACE_SEIZE, tid, NULL, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE)), 0);
        assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
    }
    closedir(tasks);
    sup.traced = true;
    sup.stops = sup.writes = 0;
}

/* Of the state folder: not an event, a memory file, a socket. */
static bool is_in_folder(pid_t tid, int fd) {
    char link[64], path[512];
    if (fd == AT_FDCWD) return true; /* that of the database */
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)tid, fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    return n > 0 && str_starts((str){(uint8_t *)path, (size_t)n}, str_c(folder));
}

/* Calls that a full disk has no room for. */
static bool writes(pid_t tid, const struct ptrace_syscall_info *info) {
    static const long calls[] = {SYS_write,     SYS_pwrite64,  SYS_fsync,    SYS_fdatasync,
                                 SYS_ftruncate, SYS_fallocate, SYS_renameat, SYS_renameat2};
    bool does = info->entry.nr == SYS_openat && info->entry.args[2] & O_CREAT;
    for (size_t i = 0; i < ARRAY_COUNT(calls); i++) does |= info->entry.nr == (uint64_t)calls[i];
    return does && is_in_folder(tid, (int)info->entry.args[0]);
}

/* The call is made another one, and then its answer. */
static void refuse(pid_t tid, const struct ptrace_syscall_info *info) {
    static pid_t refused;
#ifdef __x86_64__
    struct user_regs_struct r;
    ptrace(PTRACE_GETREGS, tid, NULL, &r);
    if (info->op == PTRACE_SYSCALL_INFO_ENTRY && sup.full_at && writes(tid, info) && ++sup.writes >= sup.full_at) {
        r.orig_rax = SYS_getpid; /* one that is allowed */
        refused = tid;
        ptrace(PTRACE_SETREGS, tid, NULL, &r);
    } else if (info->op == PTRACE_SYSCALL_INFO_EXIT && refused == tid) {
        r.rax = (unsigned long long)-ENOSPC;
        refused = 0;
        ptrace(PTRACE_SETREGS, tid, NULL, &r);
    }
#endif
}

/* What one of its threads has come to. False: it is no more. */
static bool stopped(pid_t tid, int status) {
    struct ptrace_syscall_info info;
    if (!WIFSTOPPED(status)) return tid != sup.control.pid;
    int sig = WSTOPSIG(status);
    bool call = sig == (SIGTRAP | 0x80), event = status >> 16;
    bool known = call && ptrace(PTRACE_GET_SYSCALL_INFO, tid, (void *)sizeof info, &info) > 0;
    if (known) refuse(tid, &info);
    if (known && info.op == PTRACE_SYSCALL_INFO_ENTRY && ++sup.stops == sup.stop_at) kill(sup.control.pid, SIGKILL);
    else ptrace(PTRACE_SYSCALL, tid, NULL, (void *)(call || event || sig == SIGTRAP || sig == SIGSTOP ? 0L : (long)sig));
    return true;
}

static bool step(void) {
    int status;
    pid_t tid = sup.traced ? waitpid(-1, &status, WNOHANG | __WALL) : 0;
    if (tid <= 0 || stopped(tid, status)) return true;
    sup.control.pid = 0;
    return false;
}

/* Its threads too: their ends are told to who traces them. */
static void end_control(void) {
    int status;
    if (sup.control.pid > 0 && sup.traced) {
        kill(sup.control.pid, SIGKILL);
        for (pid_t tid = 0; tid != sup.control.pid;) {
            tid = waitpid(-1, &status, __WALL);
            assert_true(tid > 0);
            if (WIFSTOPPED(status)) tid = 0;
        }
        sup.control.pid = 0;
    }
    sup.traced = false;
    node_process_end(&sup.control);
}

/* Until so. False: control is no more. */
static bool until(const bool *so) {
    for (uint64_t end = clock_mono_ns() + 20'000'000'000u; !*so && clock_mono_ns() < end;) {
        struct node_message m;
        struct pollfd fds[] = {{.fd = sup.control.wire, .events = POLLIN}, {.fd = sup.client, .events = POLLIN}};
        if (!step()) return false;
        if (poll(fds, 2, sup.traced ? 0 : 100) <= 0) continue;
        if (fds[1].revents) hear_answer();
        if (!fds[0].revents) continue;
        enum node_wire_got got = node_wire_receive(sup.control.wire, NODE_ROLE_control, NODE_ROLE_supervisor, &m);
        assert_int_not_equal(got, NODE_WIRE_NONSENSE);
        if (got == NODE_WIRE_CLOSED && !sup.traced) return false;
        if (got != NODE_WIRE_GOT) continue;
        hear(&m);
        node_message_drop(&m);
    }
    assert_true(*so);
    return true;
}

static void wait_for(const unsigned *what, unsigned n) {
    for (bool so = false; !so;) {
        struct node_message m;
        so = *what >= n;
        if (so) break;
        assert_int_equal(node_wire_await(sup.control.wire, NODE_ROLE_control, NODE_ROLE_supervisor, &m), NODE_WIRE_GOT);
        hear(&m);
        node_message_drop(&m);
    }
}

static void begin_governing(bool traced) {
    struct buf settings = {0};
    struct node_limits limits = {0};
    node_limits_fill(&limits);
    node_settings_write(&settings, &limits);
    assert_true(node_role_start(NODE_ROLE_control, STDERR_FILENO, &sup.control));
    struct node_message m = NODE_MESSAGE(govern, .log_json = true, .log_min = LOG_ERROR, .settings = buf_str(&settings));
    memcpy(m.fds, node_state_fds(&sup.state), NODE_STATE_OF_CONTROL * sizeof *m.fds);
    m.fds_count = NODE_STATE_OF_CONTROL;
    if (traced) poll(NULL, 0, 20), trace(); /* it waits for that by now */
    sup.governs = 0;
    sup.governed = false;
    tell(&m);
    tell(&NODE_MESSAGE(config, .settings = buf_str(&settings)));
    tell(&NODE_MESSAGE(places));
    buf_free(&settings);
}

static err govern(void) {
    begin_governing(false);
    wait_for(&sup.governs, 1);
    return sup.governs_says;
}

/* False: it was killed before it could say that it governs. */
static inline bool govern_traced(void) {
    begin_governing(true);
    return until(&sup.governed) && sup.control.pid > 0;
}
static err begin(void) {
    struct diag d = DIAG_INIT;
    assert_int_equal(node_state_open(str_c(folder), &sup.state, &d), ERR_OK);
    return govern();
}
static void start(void) { assert_int_equal(begin(), ERR_OK); }

static void stop(void) {
    end_control();
    node_state_close(&sup.state);
    if (sup.client >= 0) close(sup.client);
    sup.client = -1;
}

/* ---- a command ---- */

static void connect_client(void) {
    int pair[2];
    if (sup.client < 0) { /* as the supervisor has it for `orlo serve` */
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        struct node_message m = NODE_MESSAGE(client);
        m.fds[m.fds_count++] = pair[1];
        tell(&m);
        close(pair[1]);
        sup.client = pair[0];
    }
    fcntl(sup.client, F_SETFL, O_NONBLOCK);
}

static void send_deploy(const char *app, const char *dir) {
    arena *mem = arena_new(0);
    struct buf b = {0};
    struct app_record r = {.name = str_c(app), .weight = 1};
    struct diag d = DIAG_INIT;
    app_limits_fill(&r.limits);
    *vec_add(mem, &r.functions) = (struct app_function){.name = STR("main"), .limits = r.limits};
    *vec_add(mem, &r.routes) = (struct app_route){.path = STR("/")};
    if (dir) assert_int_equal(app_grant_dir(mem, &r.functions.p[0].grants, str_c(dir), &d), ERR_OK);
    app_record_write(&b, &r);
    struct node_message m = NODE_MESSAGE(deploy);
    m.fds[0] = memfd_create("record", 0), m.fds[1] = memfd_create("wasm", 0), m.fds_count = 2;
    assert_int_equal(write(m.fds[0], b.p, b.n), b.n);
    static uint32_t modules; /* each is another one, unless it is to be the same */
    modules += !sup.same;
    assert_int_equal(write(m.fds[1], "\0asm\1\0\0\0", 8), 8);
    assert_int_equal(write(m.fds[1], &modules, 4), 4);
    connect_client();
    sup.answered = false;
    assert_int_equal(node_wire_send(sup.client, &m), ERR_OK);
    node_message_drop(&m);
    buf_free(&b);
    arena_free(mem);
}

static err deploy(const char *app) {
    send_deploy(app, NULL);
    assert_true(until(&sup.answered));
    return sup.deployed.err;
}

static void send_http(const char *method, const char *path, const char *body) {
    struct diag d = DIAG_INIT;
    char request[512];
    if (sup.client >= 0) close(sup.client);
    assert_int_equal(node_state_connect(str_c(folder), &sup.client, &d), ERR_OK);
    int n =
        snprintf(request, sizeof request,
                 "%s /_orlo/v1/apps/%s HTTP/1.1\r\nHost: node\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                 method, path, strlen(body), body);
    sup.answered = false;
    sup.http = true;
    assert_int_equal(send(sup.client, request, (size_t)n, 0), n);
}

static inline err ask_http(const char *method, const char *path, const char *body) {
    send_http(method, path, body);
    assert_true(until(&sup.answered));
    return sup.deployed.err;
}

static void send_drop(const char *app) { send_http("DELETE", app, ""); }

static inline err drop(const char *app) {
    send_drop(app);
    assert_true(until(&sup.answered));
    return sup.deployed.err;
}

/* ---- what there is ---- */

/* The version that was published last; 0: it is not there. */
static uint32_t served(const char *app) {
    struct node_snapshot *s;
    struct diag d = DIAG_INIT;
    assert_int_equal(node_snapshot_map(sup.snapshot, &s, &d), ERR_OK);
    const struct node_entry *e = node_snapshot_named(s, str_c(app));
    uint32_t version = e ? e->of[NODE_LIVE].version : 0;
    node_snapshot_free(s);
    return version;
}

/* Each function's image is to be had. */
static void has_images(void) {
    struct node_snapshot *s;
    struct diag d = DIAG_INIT;
    uint32_t n;
    arena *mem = arena_new(0);
    assert_int_equal(node_snapshot_map(sup.snapshot, &s, &d), ERR_OK);
    const struct node_entry *e = node_snapshot_entries(s, &n);
    for (uint32_t i = 0; i < n; i++) {
        struct app_record r;
        struct node_message m = NODE_MESSAGE(image_ask, .id = 7);
        struct abi_image_signed digest;
        assert_int_equal(app_record_decode(mem, e[i].of[NODE_LIVE].record, &r, &d), ERR_OK);
        memcpy(m.image_ask.digest, r.functions.p[0].digest, sizeof m.image_ask.digest);
        tell(&m);
        do {
            assert_int_equal(node_wire_await(sup.control.wire, NODE_ROLE_control, NODE_ROLE_supervisor, &m), NODE_WIRE_GOT);
            if (m.type == NODE_MSG_sign_want) hear(&m);
        } while (m.type != NODE_MSG_image_give);
        assert_int_equal(m.image_give.err, ERR_OK);
        assert_int_equal(fcntl(m.fds[0], F_GET_SEALS), F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
        assert_int_equal(abi_image_to_sign(m.fds[0], &digest, &d), ERR_OK);
        assert_memory_equal(digest.digest, r.functions.p[0].digest, sizeof digest.digest);
        node_message_drop(&m);
    }
    node_snapshot_free(s);
    arena_free(mem);
}

static unsigned files_in(const char *name, const char *suffix) {
    char path[128];
    unsigned n = 0;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.' && str_ends(str_c(e->d_name), str_c(suffix));
    closedir(d);
    return n;
}

static struct db *open_store(void) {
    char path[128];
    struct db *db = NULL;
    struct diag d = DIAG_INIT;
    snprintf(path, sizeof path, "%s/db/node.db", folder);
    if (db_open(&(struct db_options){.name = path}, &db, &d) != ERR_OK) fail_msg("%s", d.text);
    return db;
}

static int64_t ask_store(const char *sql) {
    struct db *db = open_store();
    struct diag d = DIAG_INIT;
    int64_t n = -1;
    err e = db_one_i64(db, &n, &d, sql);
    if (e != ERR_OK && e != ERR_NOT_FOUND) fail_msg("%s: %s", sql, d.text);
    db_close(db);
    return n;
}

static inline void change_store(const char *sql) {
    struct db *db = open_store();
    struct diag d = DIAG_INIT;
    if (db_script(db, sql, &d) != ERR_OK) fail_msg("%s: %s", sql, d.text);
    db_close(db);
}

/* How many there are, once control has ended. */
static inline int64_t kept(const char *table) {
    char sql[128];
    node_process_end(&sup.control);
    snprintf(sql, sizeof sql, "select count(*) from %s", table);
    return ask_store(sql);
}

/* The same, and another one begins. */
static inline int64_t rows(const char *table) {
    int64_t n = kept(table);
    assert_int_equal(govern(), ERR_OK);
    return n;
}

static int set_up(void **state) {
    snprintf(folder, sizeof folder, "/tmp/orlo-control-XXXXXX");
    assert_non_null(mkdtemp(folder));
    if (sup.image <= 0) sup.image = small_image();
    sup.snapshot = sup.client = -1;
    sup.publish_says = ERR_OK;
    sup.holds_compile = sup.traced = false;
    start();
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    stop();
    if (sup.snapshot >= 0) close(sup.snapshot);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

#endif
