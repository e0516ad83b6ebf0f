/* Control, a process of its own, with a supervisor that this test plays: what it asks for, what it keeps, and what of that is there after it
 * was killed at any system call. */
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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "node/supervisor/jobs.h"
#include "node/node_int.h"
#include "node/snapshot.h"
#include "node/state.h"

/* ---- the supervisor that is played ---- */

static struct {
    struct node_process control;
    struct node_state state;
    int image;           /* what a job would make */
    uint8_t salt;        /* that makes the next one another */
    int snapshot;        /* the last that was published; -1 */
    uint64_t generation; /* of it */
    err publish_says, governs_says;
    bool holds_compile; /* jobs do not end */
    const char *loses;  /* a file that goes while its publication is under way */
    unsigned compiles, cancels, governs, rights;
    int client; /* a command's connection */
    bool answered;
    struct node_msg_deployed deployed;
    char text[800];
    bool traced;
    unsigned stops, stop_at; /* system calls seen; killed at that one, 0: not */
} sup;
static char folder[64];

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
    case NODE_MSG_governs: sup.governs++, sup.governs_says = m->governs.err; break;
    case NODE_MSG_compile_want: compile(m); break;
    case NODE_MSG_compile_cancel: sup.cancels++; break;
    case NODE_MSG_sign_want: tell(&NODE_MESSAGE(sign_done, .id = m->sign_want.id)); break;
    case NODE_MSG_right: sup.rights++; break;
    case NODE_MSG_publish:
        if (sup.loses) assert_int_equal(unlinkat(sup.state.records, sup.loses, 0), 0);
        tell(&NODE_MESSAGE(published, .generation = m->publish.generation, .err = sup.publish_says));
        if (sup.publish_says != ERR_OK) break;
        if (sup.snapshot >= 0) close(sup.snapshot);
        sup.snapshot = node_message_take(m, 0);
        sup.generation = m->publish.generation;
        break;
    default: fail_msg("control said %s", node_message_text(m->type));
    }
}

static void hear_answer(void) {
    struct node_message m;
    enum node_wire_got got = node_wire_receive(sup.client, NODE_ROLE_control, NODE_ROLE_command, &m);
    if (got == NODE_WIRE_CLOSED) close(sup.client), sup.client = -1;
    if (got != NODE_WIRE_GOT || m.type == NODE_MSG_progress) return;
    sup.answered = true;
    if (m.type == NODE_MSG_deployed) sup.deployed = m.deployed;
    str text = m.type == NODE_MSG_deployed ? m.deployed.text : m.type == NODE_MSG_dropped ? m.dropped.text : (str){0};
    snprintf(sup.text, sizeof sup.text, STR_FMT, STR_ARG(text));
    if (m.type == NODE_MSG_dropped) sup.deployed = (struct node_msg_deployed){.err = m.dropped.err};
    node_message_drop(&m);
}

/* Its next system call, where it is traced. False: it is no more. */
static bool step(void) {
    int status;
    if (!sup.traced || waitpid(sup.control.pid, &status, WNOHANG | __WALL) != sup.control.pid) return true;
    if (!WIFSTOPPED(status)) {
        sup.control.pid = 0;
        return false;
    }
    if (WSTOPSIG(status) == (SIGTRAP | 0x80) && ++sup.stops == sup.stop_at) kill(sup.control.pid, SIGKILL);
    else
        ptrace(PTRACE_SYSCALL, sup.control.pid, NULL,
               (void *)(WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) & 0x80 || WSTOPSIG(status) == SIGTRAP
                            ? 0L
                            : (long)WSTOPSIG(status)));
    return true;
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

static err govern(void) {
    struct buf settings = {0};
    struct node_limits limits = {0};
    node_limits_fill(&limits);
    node_settings_write(&settings, &limits);
    assert_true(node_role_start(NODE_ROLE_control, STDERR_FILENO, &sup.control));
    struct node_message m = NODE_MESSAGE(govern, .log_json = true, .log_min = LOG_ERROR, .settings = buf_str(&settings));
    memcpy(m.fds, node_state_fds(&sup.state), NODE_STATE_OF_CONTROL * sizeof *m.fds);
    m.fds_count = NODE_STATE_OF_CONTROL;
    tell(&m);
    buf_free(&settings);
    sup.governs = 0;
    wait_for(&sup.governs, 1);
    return sup.governs_says;
}
static err begin(void) {
    struct diag d = DIAG_INIT;
    assert_int_equal(node_state_open(str_c(folder), &sup.state, &d), ERR_OK);
    return govern();
}
static void start(void) { assert_int_equal(begin(), ERR_OK); }

static void stop(void) {
    node_process_end(&sup.control);
    node_state_close(&sup.state);
    if (sup.client >= 0) close(sup.client);
    sup.client = -1;
}

/* ---- a command ---- */

static void connect_client(void) {
    struct diag d = DIAG_INIT;
    if (sup.client < 0) assert_int_equal(node_state_connect(str_c(folder), &sup.client, &d), ERR_OK);
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
    assert_int_equal(write(m.fds[1], "\0asm\1\0\0\0", 8), 8);
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

static err drop(const char *app) {
    connect_client();
    sup.answered = false;
    assert_int_equal(node_wire_send(sup.client, &NODE_MESSAGE(drop, .app = str_c(app))), ERR_OK);
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

/* ---- tests ---- */

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

static void test_kept(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(deploy("b"), ERR_OK);
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(sup.deployed.version, 2);
    assert_true(served("a") == 2 && served("b") == 1);
    stop(), start();
    assert_true(served("a") == 2 && served("b") == 1);
    has_images();
    assert_int_equal(files_in("images", ""), 2); /* that of the version before is gone */
    assert_int_equal(drop("c"), ERR_NOT_FOUND);
    assert_int_equal(drop("a"), ERR_OK);
    assert_int_equal(served("a"), 0);
    stop(), start();
    assert_true(!served("a") && served("b") == 1);
    assert_int_equal(deploy("a"), ERR_OK); /* another one, that only has its name */
    assert_int_equal(sup.deployed.version, 1);
}

/* Another control with the very descriptors that the one before had: it finds all that is there. */
static void test_comes_back(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    node_process_end(&sup.control);
    close(sup.client), sup.client = -1;
    assert_int_equal(govern(), ERR_OK);
    assert_int_equal(served("a"), 1);
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(sup.deployed.version, 2);
}

/* What all workers serve cannot be kept: who deployed is told so, and the version before is served again. */
static void test_not_kept(void **state) {
    static const bool never;
    assert_int_equal(deploy("a"), ERR_OK);
    sup.loses = "a.part";
    assert_int_equal(deploy("a"), ERR_IO);
    assert_int_equal(served("a"), 2);
    sup.loses = NULL;
    assert_false(until(&never)); /* it ends */
    node_process_end(&sup.control);
    if (sup.client >= 0) close(sup.client), sup.client = -1;
    assert_int_equal(govern(), ERR_OK);
    assert_int_equal(served("a"), 1);
    has_images();
}

/* What workers refuse leaves all as it was. */
static void test_refused(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    sup.publish_says = ERR_DENIED;
    assert_int_equal(deploy("a"), ERR_DENIED);
    assert_int_equal(deploy("b"), ERR_DENIED);
    assert_int_equal(drop("a"), ERR_DENIED);
    sup.publish_says = ERR_OK;
    assert_int_equal(files_in("apps", ".part"), 0);
    stop(), start();
    assert_true(served("a") == 1 && !served("b"));
    has_images();
    send_deploy("a", "/tmp::/data");
    assert_true(until(&sup.answered));
    assert_int_equal(sup.rights, 1);
}

/* Who goes away takes his job with him; who talks nonsense is hung up on, and nobody else. */
static void test_clients(void **state) {
    sup.holds_compile = true;
    sup.compiles = sup.cancels = 0;
    send_deploy("a", NULL);
    wait_for(&sup.compiles, 1);
    close(sup.client), sup.client = -1;
    wait_for(&sup.cancels, 1);
    sup.holds_compile = false;
    connect_client();
    assert_int_equal(send(sup.client, "nonsense", 8, 0), 8);
    for (sup.answered = false; sup.client >= 0;) {
        poll(&(struct pollfd){.fd = sup.client, .events = POLLIN}, 1, 1000);
        hear_answer();
    }
    assert_int_equal(deploy("a"), ERR_OK);
}

static void test_two_nodes(void **state) {
    struct node_state other;
    struct diag d = DIAG_INIT;
    assert_int_equal(node_state_open(str_c(folder), &other, &d), ERR_BUSY);
    assert_non_null(strstr(d.text, "another node runs"));
    assert_int_equal(deploy("a"), ERR_OK); /* and its socket is still there */
}

/* A record that was changed is said, and the others are served; one of a newer version is not touched. */
static void test_broken(void **state) {
    char path[128];
    uint8_t byte = 0;
    assert_int_equal(deploy("a"), ERR_OK);
    assert_int_equal(deploy("b"), ERR_OK);
    stop();
    snprintf(path, sizeof path, "%s/apps/a", folder);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &byte, 1, 30) == 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 30), 1);
    start();
    assert_true(!served("a") && served("b") == 1);
    stop();
    byte ^= 1; /* mended, it has all that it had: its images were not swept */
    assert_int_equal(pwrite(fd, &byte, 1, 30), 1);
    start();
    assert_int_equal(served("a"), 1);
    has_images();
    stop();
    assert_int_equal(pwrite(fd, &(uint32_t){2}, 4, 4), 4);
    assert_int_equal(begin(), ERR_UNSUPPORTED);
    stop();
    close(fd);
    unlink(path);
    start();
    assert_int_equal(served("b"), 1);
}

/* Killed at each of its system calls in turn, from a deployment's beginning to its answer: what is there afterwards is the old version or
 * the new one, whole; and the new one, if anybody was told so. */
static void test_killed_anywhere(void **state) {
    assert_int_equal(deploy("a"), ERR_OK);
    uint32_t version = 1;
    unsigned news = 0, olds = 0, at = 1;
    for (bool whole = false; !whole; at++) {
        assert_true(at < 2000);
        assert_int_equal(ptrace(PTRACE_SEIZE, sup.control.pid, NULL, (void *)PTRACE_O_TRACESYSGOOD), 0);
        assert_int_equal(ptrace(PTRACE_INTERRUPT, sup.control.pid, NULL, NULL), 0);
        sup.traced = true, sup.stops = 0, sup.stop_at = at;
        send_deploy("a", NULL);
        whole = until(&sup.answered) && sup.control.pid > 0;
        bool told = sup.answered && sup.deployed.err == ERR_OK;
        sup.traced = false;
        if (whole) ptrace(PTRACE_DETACH, sup.control.pid, NULL, NULL); /* it had fewer calls than that */
        stop(), start();
        uint32_t now = served("a");
        assert_true(now == version + 1 || (now == version && !told));
        assert_int_equal(files_in("apps", ".part") + files_in("images", ".part"), 0);
        assert_int_equal(files_in("apps", ""), 1);
        assert_int_equal(files_in("images", ""), 1);
        has_images();
        *(now == version ? &olds : &news) += 1;
        version = now;
    }
    print_message("             %u system calls: %u times the old one, %u the new one\n", at, olds, news);
    assert_true(olds > 10 && news > 1);
}

int main(int argc, char **argv) {
    node_be(argv);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_kept),    TEST(test_comes_back), TEST(test_not_kept), TEST(test_refused),
        TEST(test_clients), TEST(test_two_nodes),  TEST(test_broken),   TEST(test_killed_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
