/* A job has two descriptors, limits, and nothing else; however it ends, the node is told in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "node/supervisor/jobs.h"
#include "node/node_int.h"
#include "node/rights.h"
#include "wasi/wasi.h"

static const struct node_limits limits = {.compile_memory_bytes_max = 64 * MiB, .compile_ms_max = 2000};

static err run(const char *job, char text[768]) {
    int in = open("/dev/null", O_RDONLY), out = memfd_create("out", 0);
    struct diag d = DIAG_INIT;
    err e = node_job(&NODE_MESSAGE(trial, .name = str_c(job)), in, out, &limits, "testing", &d);
    close(in);
    if (e == ERR_OK) {
        lseek(out, 0, SEEK_SET);
        ssize_t n = read(out, text, 767);
        text[MAX(n, 0)] = 0;
    } else {
        snprintf(text, 768, "%s", d.text);
    }
    close(out);
    return e;
}

static err writes(const struct node_message *what, int in, int out, struct node_job_result *result) {
    return write(out, "hello", 5) == 5 ? ERR_OK : ERR_IO;
}
static err fails(const struct node_message *what, int in, int out, struct node_job_result *result) {
    return diag_set(&result->diag, ERR_INVALID, 42, "no good");
}
static err opens(const struct node_message *what, int in, int out, struct node_job_result *result) {
    return open("/etc/passwd", O_RDONLY) < 0 && errno == ENOENT ? ERR_OK : ERR_DENIED;
}
static err connects(const struct node_message *what, int in, int out, struct node_job_result *result) {
    return socket(AF_INET, SOCK_STREAM, 0) < 0 ? ERR_OK : ERR_OK;
}
static err forks(const struct node_message *what, int in, int out, struct node_job_result *result) {
    return fork() < 0 ? ERR_OK : ERR_OK;
}
static err executes(const struct node_message *what, int in, int out, struct node_job_result *result) {
    execl("/bin/true", "true", (char *)NULL);
    return ERR_OK;
}
static err crashes(const struct node_message *what, int in, int out, struct node_job_result *result) {
    raise(SIGSEGV);
    return ERR_OK;
}
static err spins(const struct node_message *what, int in, int out, struct node_job_result *result) {
    for (volatile uint64_t i = 0; i < UINT64_MAX; i++) {}
    return ERR_OK;
}
static err hoards(const struct node_message *what, int in, int out, struct node_job_result *result) {
    void *p = mmap(NULL, 128 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? diag_set(&result->diag, ERR_LIMIT, DIAG_NOWHERE, "refused") : ERR_OK;
}
static err reserves(const struct node_message *what, int in, int out, struct node_job_result *result) {
    void *p = mmap(NULL, 8 * GiB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p != MAP_FAILED ? ERR_OK : ERR_LIMIT;
}
static err works_a_while(const struct node_message *what, int in, int out, struct node_job_result *result) {
    for (uint64_t end = clock_mono_ns() + 1400000000u; clock_mono_ns() < end;) {}
    return ERR_OK;
}
static int maps_fd; /* of a job's own memory, opened before it gave up its rights; so it is not counted */
static err looks_around(const struct node_message *what, int in, int out, struct node_job_result *result) {
    for (int fd = 0; fd < 64; fd++)
        if (fd != maps_fd && fcntl(fd, F_GETFD) >= 0) dprintf(out, "%d ", fd);
    return ERR_OK;
}
static err speaks(const struct node_message *what, int in, int out, struct node_job_result *result) {
    fputs("first\x1b[2J words\n", stderr);
    abort();
}
static err knows_environment(const struct node_message *what, int in, int out, struct node_job_result *result) {
    for (char **e = environ; *e; e++) dprintf(out, "%s ", *e);
    return ERR_OK;
}

/* A key that is in no memory unless it was read from its file: its bytes are made one by one where they are compared. */
static volatile unsigned key_seed = 0x5a;
static uint8_t key_byte(unsigned i) { return (uint8_t)((i * 37 + 11) ^ key_seed ^ i << 3); }
static unsigned keys_in_memory(int maps) {
    static char text[256 * KiB];
    unsigned found = 0;
    size_t n = 0;
    memset(text, 0, sizeof text);
    for (ssize_t got; n < sizeof text - 1 && (got = read(maps, text + n, sizeof text - 1 - n)) > 0;) n += (size_t)got;
    for (char *line = text, *next; *line; line = next) {
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        unsigned long from, to;
        char perm[5];
        if (sscanf(line, "%lx-%lx %4s", &from, &to, perm) != 3 || perm[0] != 'r' || strstr(line, "[v")) continue;
        for (const uint8_t *p = (const uint8_t *)from, *end = (const uint8_t *)to - 32;
             p < end && (p = memchr(p, key_byte(0), (size_t)(end - p))); p++) {
            unsigned i = 1;
            while (i < 32 && p[i] == key_byte(i)) i++;
            found += i == 32;
        }
    }
    return found;
}
static err finds_keys(const struct node_message *what, int in, int out, struct node_job_result *result) {
    dprintf(out, "%u", keys_in_memory(maps_fd));
    return ERR_OK;
}

static err waits(const struct node_message *what, int in, int out, struct node_job_result *result) {
    static pthread_mutex_t never = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&never);
    pthread_mutex_lock(&never);
    return ERR_OK;
}
static err babbles(const struct node_message *what, int in, int out, struct node_job_result *result) {
    uint8_t nonsense[] = {NODE_MSG_report, 0xff, 0xff};
    if (write(NODE_WIRE_FD, nonsense, sizeof nonsense) < 0) return ERR_IO;
    return waits(what, in, out, result);
}

static const struct node_trial table[] = {
    {"writes", writes},      {"fails", fails},         {"opens", opens},   {"connects", connects},     {"forks", forks},
    {"executes", executes},  {"crashes", crashes},     {"spins", spins},   {"hoards", hoards},         {"reserves", reserves},
    {"looks", looks_around}, {"works", works_a_while}, {"speaks", speaks}, {"env", knows_environment}, {"keys", finds_keys},
    {"waits", waits},        {"babbles", babbles},     {NULL, NULL},
};

static void test_results(void **state) {
    char text[768];
    assert_int_equal(run("writes", text), ERR_OK);
    assert_string_equal(text, "hello");
    assert_int_equal(run("fails", text), ERR_INVALID);
    assert_string_equal(text, "no good");
    assert_int_equal(run("reserves", text), ERR_OK);
}

static void test_walls(void **state) {
    char text[768];
    assert_int_equal(run("opens", text), ERR_OK);
    const char *forbidden[] = {"connects", "forks", "executes"};
    for (size_t i = 0; i < ARRAY_COUNT(forbidden); i++) {
        assert_int_equal(run(forbidden[i], text), ERR_INVALID);
        assert_non_null(strstr(text, "signal 31"));
    }
}

static void test_deaths(void **state) {
    char text[768];
    assert_int_equal(run("crashes", text), ERR_INVALID);
    assert_non_null(strstr(text, "signal 11"));
    assert_int_equal(run("spins", text), ERR_LIMIT);
    assert_non_null(strstr(text, "processor time"));
    assert_int_equal(run("hoards", text), ERR_LIMIT);
    assert_string_equal(text, "refused");
}

/* ---- several at once ---- */

static struct node_job_result results[100];
static unsigned ended;
static void on_end(void *arg, const struct node_job_result *result) {
    results[(intptr_t)arg] = *result;
    ended++;
}

static struct node_job *add(struct node_jobs *jobs, const char *trial, intptr_t number, uint64_t bytes) {
    static int nothing = -1;
    if (nothing < 0) nothing = open("/dev/null", O_RDWR);
    struct node_job_config config = {.what = &NODE_MESSAGE(trial, .name = str_c(trial)),
                                     .in = nothing,
                                     .out = nothing,
                                     .memory_bytes_max = bytes,
                                     .cpu_s_max = 5,
                                     .wall_s_max = bytes == 1 * MiB ? 1 : 0,
                                     .title = trial,
                                     .done = on_end,
                                     .arg = (void *)number};
    return node_jobs_add(jobs, &config);
}

static void nobody_is_left(void) {
    assert_int_equal(waitpid(-1, NULL, 0), -1);
    assert_int_equal(errno, ECHILD);
}

/* So many run, the others wait in the order they came; none is waited for; those that are cancelled are gone, and nobody is told. */
static void test_several(void **state) {
    struct node_jobs jobs = {.running_max = 2};
    struct node_job *job[NODE_JOBS_WAITING_MAX];
    ended = 0;
    for (int i = 0; i < NODE_JOBS_WAITING_MAX; i++) assert_non_null(job[i] = add(&jobs, i < 3 ? "waits" : "writes", i, 64 * MiB));
    assert_null(add(&jobs, "writes", 0, 64 * MiB));
    node_jobs_turn(&jobs);
    node_jobs_turn(&jobs);
    assert_true(jobs.running == 2 && jobs.waiting == NODE_JOBS_WAITING_MAX - 2 && !ended);
    node_jobs_cancel(&jobs, job[0]);
    node_jobs_cancel(&jobs, job[5]);
    while (ended < NODE_JOBS_WAITING_MAX - 4 && jobs.first) {
        node_jobs_wait(&jobs, 100);
        if (job[1] && jobs.running == 2 && !ended) node_jobs_cancel(&jobs, job[1]), job[1] = NULL; /* the third takes its place */
    }
    assert_int_equal(ended, NODE_JOBS_WAITING_MAX - 4);
    assert_true(jobs.running == 1 && jobs.waiting == 0);
    node_jobs_end(&jobs);
    assert_true(!jobs.first && !jobs.running);
    nobody_is_left();
}

/* What may run together is bounded by what it may use together, but one may always run. */
static void test_memory_together(void **state) {
    struct node_jobs jobs = {.running_max = 8, .memory_bytes_max = 200 * MiB};
    for (int i = 0; i < 4; i++) assert_non_null(add(&jobs, "waits", i, i ? 90 * MiB : 1 * GiB));
    node_jobs_turn(&jobs);
    assert_int_equal(jobs.running, 1);
    node_jobs_cancel(&jobs, jobs.first);
    while (jobs.running < 2) node_jobs_wait(&jobs, 100);
    node_jobs_turn(&jobs);
    assert_true(jobs.running == 2 && jobs.waiting == 1);
    node_jobs_end(&jobs);
    nobody_is_left();
}

/* One that says what no job says is cut off; one that does nothing, for too long, is ended. The others are done. */
static void test_astray(void **state) {
    struct node_jobs jobs = {.running_max = 3};
    ended = 0;
    assert_non_null(add(&jobs, "babbles", 0, 64 * MiB));
    assert_non_null(add(&jobs, "waits", 1, 1 * MiB));
    assert_non_null(add(&jobs, "writes", 2, 64 * MiB));
    for (node_jobs_turn(&jobs); jobs.first;) node_jobs_wait(&jobs, 200);
    assert_int_equal(ended, 3);
    assert_int_equal(results[0].err, ERR_INVALID);
    assert_non_null(strstr(results[0].diag.text, "astray"));
    assert_int_equal(results[1].err, ERR_LIMIT);
    assert_int_equal(results[2].err, ERR_OK);
    nobody_is_left();
}

/* On a terminal, work of more than a second is seen to go on, and leaves no trace. */
static void test_progress(void **state) {
    char text[768], seen[256] = "";
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), saved = dup(STDERR_FILENO);
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    int side = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    dup2(side, STDERR_FILENO);
    err e = run("works", text);
    dup2(saved, STDERR_FILENO);
    assert_int_equal(e, ERR_OK);
    static const char begins[] = "\rtesting … ", ends[] = " s\x1b[K\r\x1b[K";
    size_t n = 0;
    do { /* the kernel hands on what is written to a terminal when it has the time */
        assert_int_equal(poll(&(struct pollfd){.fd = terminal, .events = POLLIN}, 1, 20'000), 1);
        ssize_t got = read(terminal, seen + n, sizeof seen - 1 - n);
        assert_true(got > 0);
        n += (size_t)got;
    } while (!str_ends(str_c(seen), str_c(ends)));
    assert_memory_equal(seen, begins, sizeof begins - 1);
    assert_string_equal(seen + n - (sizeof ends - 1), ends);
    close(side), close(terminal), close(saved);
}

/* Only the standard streams, in, out and the wire are open in a job; of the environment it has what tests set. */
static void test_surroundings(void **state) {
    char text[768];
    int secret = dup(STDERR_FILENO);
    assert_int_equal(run("looks", text), ERR_OK);
    assert_string_equal(text, "0 1 2 3 4 5 ");
    close(secret);
    clearenv();
    setenv("TOKEN", "secret", 1);
    setenv("ORLO_ENGINE_SLICE_NS", "10000000", 1);
    assert_int_equal(run("env", text), ERR_OK);
    assert_string_equal(text, "ORLO_ENGINE_SLICE_NS=10000000 ");
    unsetenv("ORLO_ENGINE_SLICE_NS");
}

/* What a job said before it died is shown, and cannot steer a terminal. */
static void test_last_words(void **state) {
    char text[768], seen[256] = "";
    int pipe_fds[2], saved = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipe_fds), 0);
    dup2(pipe_fds[1], STDERR_FILENO);
    err e = run("speaks", text);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(pipe_fds[1]);
    assert_int_equal(e, ERR_LIMIT);
    assert_true(read(pipe_fds[0], seen, sizeof seen - 1) > 0);
    assert_string_equal(seen, "first?[2J words\n");
    close(pipe_fds[0]), close(saved);
}

/* The node's key, used in this process's name, is neither in this process nor in a job. */
static void test_key(void **state) {
    char text[768], dir[] = "/tmp/orlo-job-XXXXXX", path[64], wasm[64], image[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/node.key", dir), snprintf(wasm, sizeof wasm, "%s/a.wasm", dir),
        snprintf(image, sizeof image, "%s/a.orlo", dir);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    for (unsigned i = 0; i < 32; i++) {
        uint8_t byte = key_byte(i);
        assert_int_equal(write(fd, &byte, 1), 1);
    }
    close(fd);
    fd = open(wasm, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "\0asm\1\0\0\0", 8), 8);
    close(fd);
    struct diag d = DIAG_INIT;
    struct node_compiled out;
    assert_int_equal(node_compile(&(struct node_compile_config){.file = wasm, .output = image, .state_dir = dir}, &out, &d),
                     ERR_OK);
    assert_int_equal(run("keys", text), ERR_OK);
    assert_string_equal(text, "0");
    int maps = open("/proc/self/maps", O_RDONLY);
    assert_int_equal(keys_in_memory(maps), 0);
    uint8_t key[32]; /* and were it there, it would be found */
    fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, key, 32), 32);
    lseek(maps, 0, SEEK_SET);
    assert_true(keys_in_memory(maps) > 0);
    explicit_bzero(key, sizeof key);
    close(fd), close(maps);
    unlink(path), unlink(wasm), unlink(image), rmdir(dir);
}

/* What a worker may do with sockets, in a child that gives up its rights: one letter for each call that works. */
static void worker_sockets(unsigned network, char out[static 8]) {
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (!child) {
        struct diag d = DIAG_INIT;
        char text[8];
        int n = 0;
        if (node_sandbox_worker(&(struct node_sandbox){.rights = &(struct node_rights){.network = network, .any_port_out = true}},
                                &d) != ERR_OK)
            _exit(1);
        int tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (tcp >= 0) text[n++] = 't';
        if (socket(AF_INET6, SOCK_DGRAM, 0) >= 0 || errno == EAFNOSUPPORT) text[n++] = 'u';
        if (tcp >= 0 && listen(tcp, 1) == 0) text[n++] = 'l';
        if (socket(AF_INET, SOCK_RAW, 1) >= 0) text[n++] = 'r';
        if (socket(AF_UNIX, SOCK_STREAM, 0) >= 0) text[n++] = 'x';
        if (socket(AF_NETLINK, SOCK_RAW, 0) >= 0) text[n++] = 'n';
        _exit(write(pipe_fds[1], text, (size_t)n) != n);
    }
    close(pipe_fds[1]);
    int status;
    ssize_t n = read(pipe_fds[0], out, 7);
    out[n > 0 ? n : 0] = 0;
    close(pipe_fds[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void test_worker_sockets(void **state) {
    char can[8];
    worker_sockets(0, can);
    assert_string_equal(can, "");
    worker_sockets(NODE_RIGHTS_CONNECT, can);
    assert_string_equal(can, "tun");
    worker_sockets(NODE_RIGHTS_CONNECT | NODE_RIGHTS_LISTEN, can);
    assert_string_equal(can, "tuln");
}

static void test_grants(void **state) {
    arena *mem = arena_new(0);
    struct app_grants g = {0};
    struct diag d = DIAG_INIT;
    assert_int_equal(app_grant_env(mem, &g, STR("A=b=c"), &d), ERR_OK);
    assert_true(str_eqc(g.env.p[0].value, "b=c"));
    assert_int_equal(app_grant_env(mem, &g, STR("A="), &d), ERR_OK);
    assert_int_equal(g.env.n, 1);
    assert_int_equal(app_grant_env(mem, &g, STR("NOT_SET_ANYWHERE"), &d), ERR_NOT_FOUND);
    assert_int_equal(app_grant_dir(mem, &g, STR("/tmp::/data:ro"), &d), ERR_OK);
    assert_true(g.dirs.p[0].read_only && str_eqc(g.dirs.p[0].host, "/tmp") && str_eqc(g.dirs.p[0].guest, "/data"));
    assert_int_equal(app_grant_dir(mem, &g, STR("::/data"), &d), ERR_USAGE);
    assert_int_equal(app_grant_http(mem, &g, STR("Example.org:8443"), &d), ERR_OK);
    assert_true(str_eqc(g.allow_http.p[0].name, "example.org") && g.allow_http.p[0].port_from == 8443 &&
                g.allow_http.p[0].port_to == 8443);
    assert_int_equal(app_grant_http(mem, &g, STR("[::1]:80"), &d), ERR_OK);
    assert_true(g.allow_http.p[1].prefix.v6 && g.allow_http.p[1].bits == 128 && g.allow_http.p[1].port_from == 80);
    assert_int_equal(app_grant_http(mem, &g, STR("10.0.0.0/8"), &d), ERR_OK);
    assert_true(g.allow_http.p[2].bits == 8 && g.allow_http.p[2].port_from == 0 && g.allow_http.p[2].port_to == 65535);
    assert_int_equal(app_grant_http(mem, &g, STR("*"), &d), ERR_OK);
    assert_int_equal(app_grant_http(mem, &g, STR("https://x/"), &d), ERR_OK);
    assert_true(g.allow_http.p[4].scheme == APP_SCHEME_HTTPS && g.allow_http.p[4].port_from == 443 &&
                g.allow_http.p[4].port_to == 443);
    assert_int_equal(app_grant_http(mem, &g, STR("http://*:8000-8010"), &d), ERR_OK);
    assert_true(g.allow_http.p[5].scheme == APP_SCHEME_HTTP && g.allow_http.p[5].any && g.allow_http.p[5].port_to == 8010);
    assert_int_equal(app_grant_http(mem, &g, STR("http://x/path"), &d), ERR_USAGE);
    assert_int_equal(app_grant_http(mem, &g, STR("ftp://x"), &d), ERR_USAGE);
    assert_int_equal(app_grant_http(mem, &g, STR("x:0"), &d), ERR_USAGE);
    assert_int_equal(app_grant_http(mem, &g, STR("x:99999"), &d), ERR_USAGE);
    assert_int_equal(app_grant_forward(mem, &g, STR("https://next.example:8443/"), &d), ERR_OK);
    assert_true(str_eqc(g.forward_scheme, "https") && str_eqc(g.forward_authority, "next.example:8443"));
    assert_int_equal(app_grant_forward(mem, &g, STR("next.example"), &d), ERR_USAGE);
    assert_int_equal(app_grant_forward(mem, &g, STR("http://x/path"), &d), ERR_USAGE);
    assert_int_equal(app_grant_forward(mem, &g, STR("http://x:0"), &d), ERR_USAGE);
    static const struct {
        const char *value, *says;
    } wrong[] = {{"", "write --forward http://127.0.0.1:3000"},
                 {"https://", "write --forward https://127.0.0.1:3000"},
                 {"x:99999", "write --forward http://x:9999"},
                 {"https://[::1]:77777/x", "write --forward https://[::1]:7777"}};
    for (size_t i = 0; i < ARRAY_COUNT(wrong); i++) {
        d = (struct diag)DIAG_INIT;
        assert_int_equal(app_grant_forward(mem, &g, str_c(wrong[i].value), &d), ERR_USAGE);
        assert_non_null(strstr(d.text, wrong[i].says));
    }
    arena_free(mem);
}

/* One grant that is fine: its rule. */
static struct app_net_rule net_rule(arena *mem, const char *text) {
    struct app_grants g = {0};
    struct diag d = DIAG_INIT;
    assert_int_equal(app_grant_net(mem, &g, str_c(text), &d), ERR_OK);
    assert_int_equal(g.net.n, 1);
    return g.net.p[0];
}

static void test_grants_net(void **state) {
    enum { TCP = 1 << APP_NET_TCP, UDP = 1 << APP_NET_UDP, LISTEN = 1 << APP_NET_LISTEN };
    arena *mem = arena_new(0);
    struct app_net_rule r = net_rule(mem, "*");
    assert_true(r.any && r.uses == 0x1f && r.port_from == 0 && r.port_to == 65535);
    r = net_rule(mem, "DB.Internal:5432");
    assert_true(str_eqc(r.name, "db.internal") && r.uses == (TCP | UDP) && r.port_from == 5432 && r.port_to == 5432);
    r = net_rule(mem, "tcp:*.example.org");
    assert_true(str_eqc(r.name, "*.example.org") && r.uses == TCP && r.port_to == 65535);
    r = net_rule(mem, "udp:10.0.0.0/8:53");
    assert_true(!r.name.n && r.bits == 8 && r.uses == UDP && r.port_from == 53);
    r = net_rule(mem, "[2001:db8::/32]:8000-8999");
    assert_true(r.prefix.v6 && r.bits == 32 && r.port_from == 8000 && r.port_to == 8999);
    r = net_rule(mem, "tcp:::1");
    assert_true(r.prefix.v6 && r.bits == 128 && r.port_to == 65535);
    r = net_rule(mem, "tcp:*:443");
    assert_true(r.any && r.uses == TCP && r.port_from == 443);
    r = net_rule(mem, "listen:8080");
    assert_true(str_eqc(r.name, "localhost") && r.uses == LISTEN && r.port_from == 8080);
    r = net_rule(mem, "listen::8080");
    assert_true(r.any && r.uses == LISTEN && r.port_from == 8080);
    r = net_rule(mem, "listen:0.0.0.0:8080");
    assert_true(!r.any && r.bits == 0 && !r.prefix.v6);
    r = net_rule(mem, "listen:127.0.0.1:0");
    assert_true(r.bits == 32 && r.port_from == 0 && r.port_to == 0);
    r = net_rule(mem, "lookup:m\xc3\xbcnchen.example");
    assert_true(str_eqc(r.name, "xn--mnchen-3ya.example") && r.uses == 1 << APP_NET_LOOKUP);
    static const char *const bad[] = {"",
                                      ":80",
                                      "tcp:",
                                      "tcp::80",
                                      "http://x",
                                      "tcp:http://x:80",
                                      "x:70000",
                                      "x:9-1",
                                      "x:",
                                      "tcp:10.0.0.0/33",
                                      "tcp:300.1.1.1:80",
                                      "listen:example.org:80",
                                      "lookup:1.2.3.4",
                                      "lookup:",
                                      "lookup:a b",
                                      "tcp:a..b:1",
                                      "*:x",
                                      "**",
                                      "listen:70000"};
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        struct app_grants g = {0};
        struct diag d = DIAG_INIT;
        assert_int_equal(app_grant_net(mem, &g, str_c(bad[i]), &d), ERR_USAGE);
        assert_true(d.text[0] && !g.net.n);
    }
    arena_free(mem);
}

static void test_listen(void **state) {
    arena *mem = arena_new(0);
    struct node_listen l;
    struct diag d = DIAG_INIT;
    assert_int_equal(node_listen_parse(mem, STR(":80"), &l, &d), ERR_OK);
    assert_true(l.host.n == 0 && l.port == 80);
    assert_int_equal(node_listen_parse(mem, STR("[::1]:0"), &l, &d), ERR_OK);
    assert_true(str_eqc(l.host, "::1") && l.port == 0);
    assert_int_equal(node_listen_parse(mem, STR("9000"), &l, &d), ERR_OK);
    assert_true(str_eqc(l.host, "127.0.0.1") && l.port == 9000);
    assert_int_equal(node_listen_parse(mem, STR("example.org"), &l, &d), ERR_OK);
    assert_int_equal(l.port, 8080);
    assert_int_equal(node_listen_parse(mem, STR("x:"), &l, &d), ERR_USAGE);
    assert_int_equal(node_listen_parse(mem, STR("x:70000"), &l, &d), ERR_USAGE);
    assert_int_equal(node_listen_parse(mem, STR("70000"), &l, &d), ERR_USAGE);
    assert_int_equal(node_listen_parse(mem, STR("::1"), &l, &d), ERR_OK);
    assert_int_equal(node_listen_parse(mem, STR("fe80::1%lo"), &l, &d), ERR_OK);
    static const struct {
        const char *value, *says;
    } colons[] = {{"::1:18440", "has brackets; write --listen [::1]:18440"},
                  {":::80", "has brackets; write --listen [::]:80"},
                  {"127.0.0.1:80:90", "one PORT; write --listen 127.0.0.1:80"},
                  {"unix:/tmp/x", "no path; write --listen 127.0.0.1:8080"}};
    for (size_t i = 0; i < ARRAY_COUNT(colons); i++) {
        d = (struct diag)DIAG_INIT;
        assert_int_equal(node_listen_parse(mem, str_c(colons[i].value), &l, &d), ERR_USAGE);
        assert_non_null(strstr(d.text, colons[i].says));
    }
    arena_free(mem);
}

int main(int argc, char **argv) {
    switch (node_role_of(argv)) {
    case NODE_ROLE_job:
        maps_fd = dup2(open("/proc/self/maps", O_RDONLY | O_CLOEXEC), 60);
        close(NODE_WIRE_FD + 1);
        _exit(node_job_main(table));
    case NODE_ROLE_keys: _exit(node_keys_main());
    default: break;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_several),        cmocka_unit_test(test_memory_together), cmocka_unit_test(test_astray),
        cmocka_unit_test(test_results),        cmocka_unit_test(test_walls),           cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_surroundings),   cmocka_unit_test(test_last_words),      cmocka_unit_test(test_key),
        cmocka_unit_test(test_progress),       cmocka_unit_test(test_grants),          cmocka_unit_test(test_grants_net),
        cmocka_unit_test(test_worker_sockets), cmocka_unit_test(test_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
