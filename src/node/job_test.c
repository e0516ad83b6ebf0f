/* A job has two descriptors, limits, and nothing else; however it ends, the node is told in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "node/node_int.h"
#include "wasi/wasi.h"

static const struct node_limits limits = {.compile_memory_bytes_max = 64 * MiB, .compile_s_max = 2};

static err run(node_job_fn fn, void *arg, char text[768]) {
    int in = open("/dev/null", O_RDONLY), out = memfd_create("out", 0);
    struct diag d = DIAG_INIT;
    err e = node_job(fn, arg, in, out, &limits, "testing", &d);
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

static err writes(void *arg, int in, int out, struct diag *d) { return write(out, "hello", 5) == 5 ? ERR_OK : ERR_IO; }
static err fails(void *arg, int in, int out, struct diag *d) { return diag_set(d, ERR_INVALID, 42, "no good"); }
static err opens(void *arg, int in, int out, struct diag *d) {
    return open("/etc/passwd", O_RDONLY) < 0 && errno == ENOENT ? ERR_OK : ERR_DENIED;
}
static err connects(void *arg, int in, int out, struct diag *d) { return socket(AF_INET, SOCK_STREAM, 0) < 0 ? ERR_OK : ERR_OK; }
static err forks(void *arg, int in, int out, struct diag *d) { return fork() < 0 ? ERR_OK : ERR_OK; }
static err executes(void *arg, int in, int out, struct diag *d) {
    execl("/bin/true", "true", (char *)NULL);
    return ERR_OK;
}
static err crashes(void *arg, int in, int out, struct diag *d) {
    raise(SIGSEGV);
    return ERR_OK;
}
static err spins(void *arg, int in, int out, struct diag *d) {
    for (volatile uint64_t i = 0; i < UINT64_MAX; i++) {}
    return ERR_OK;
}
static err hoards(void *arg, int in, int out, struct diag *d) {
    void *p = mmap(NULL, 128 * MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "refused") : ERR_OK;
}
static err reserves(void *arg, int in, int out, struct diag *d) {
    void *p = mmap(NULL, 8 * GiB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p != MAP_FAILED ? ERR_OK : ERR_LIMIT;
}
static err works_a_while(void *arg, int in, int out, struct diag *d) {
    for (uint64_t end = clock_mono_ns() + 1400000000u; clock_mono_ns() < end;) {}
    return ERR_OK;
}
static err looks_around(void *arg, int in, int out, struct diag *d) {
    for (int fd = 3; fd < 64; fd++) {
        bool open_fd = fcntl(fd, F_GETFD) >= 0;
        if (open_fd && fd != in && fd != out && fd != *(int *)arg) dprintf(out, "%d ", fd);
        if (open_fd && fd == *(int *)arg) dprintf(out, "leaked ");
    }
    return ERR_OK;
}

static void test_results(void **state) {
    char text[768];
    assert_int_equal(run(writes, NULL, text), ERR_OK);
    assert_string_equal(text, "hello");
    assert_int_equal(run(fails, NULL, text), ERR_INVALID);
    assert_string_equal(text, "no good");
    assert_int_equal(run(reserves, NULL, text), ERR_OK);
}

static void test_walls(void **state) {
    char text[768];
    assert_int_equal(run(opens, NULL, text), ERR_OK);
    node_job_fn forbidden[] = {connects, forks, executes};
    for (size_t i = 0; i < ARRAY_COUNT(forbidden); i++) {
        assert_int_equal(run(forbidden[i], NULL, text), ERR_INVALID);
        assert_non_null(strstr(text, "signal 31"));
    }
}

static void test_deaths(void **state) {
    char text[768];
    assert_int_equal(run(crashes, NULL, text), ERR_INVALID);
    assert_non_null(strstr(text, "signal 11"));
    assert_int_equal(run(spins, NULL, text), ERR_LIMIT);
    assert_non_null(strstr(text, "processor time"));
    assert_int_equal(run(hoards, NULL, text), ERR_LIMIT);
    assert_string_equal(text, "refused");
}

/* On a terminal, work of more than a second is seen to go on, and leaves no trace. */
static void test_progress(void **state) {
    char text[768], seen[256] = "";
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), saved = dup(STDERR_FILENO);
    assert_true(terminal >= 0 && grantpt(terminal) == 0 && unlockpt(terminal) == 0);
    int side = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    dup2(side, STDERR_FILENO);
    err e = run(works_a_while, NULL, text);
    dup2(saved, STDERR_FILENO);
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    ssize_t n = read(terminal, seen, sizeof seen - 1);
    assert_int_equal(e, ERR_OK);
    assert_true(n > 0);
    assert_string_equal(seen, "\rtesting … 1 s\x1b[K\r\x1b[K");
    close(side), close(terminal), close(saved);
}

/* Only in, out and the pipe for the report are open in a job. */
static void test_descriptors(void **state) {
    char text[768];
    int secret = dup(STDERR_FILENO);
    assert_int_equal(run(looks_around, &secret, text), ERR_OK);
    assert_null(strstr(text, "leaked"));
    assert_true(strlen(text) <= 3); /* the report's pipe */
    close(secret);
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
        if (node_sandbox_worker(NULL, 0, network, &d) != ERR_OK) _exit(1);
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
    worker_sockets(NODE_SANDBOX_CONNECT, can);
    assert_string_equal(can, "tun");
    worker_sockets(NODE_SANDBOX_CONNECT | NODE_SANDBOX_LISTEN, can);
    assert_string_equal(can, "tuln");
}

static void test_grants(void **state) {
    arena *mem = arena_new(0);
    struct node_grants g = {0};
    struct diag d = DIAG_INIT;
    assert_int_equal(node_grant_env(mem, &g, STR("A=b=c"), &d), ERR_OK);
    assert_true(str_eqc(g.env.p[0].value, "b=c"));
    assert_int_equal(node_grant_env(mem, &g, STR("A="), &d), ERR_OK);
    assert_int_equal(g.env.n, 1);
    assert_int_equal(node_grant_env(mem, &g, STR("NOT_SET_ANYWHERE"), &d), ERR_NOT_FOUND);
    assert_int_equal(node_grant_dir(mem, &g, STR("/tmp::/data:ro"), &d), ERR_OK);
    assert_true(g.dirs.p[0].read_only && str_eqc(g.dirs.p[0].host, "/tmp") && str_eqc(g.dirs.p[0].guest, "/data"));
    assert_int_equal(node_grant_dir(mem, &g, STR("::/data"), &d), ERR_USAGE);
    assert_int_equal(node_grant_http(mem, &g, STR("Example.org:8443"), &d), ERR_OK);
    assert_true(str_eqc(g.allow_http.p[0].host, "example.org") && g.allow_http.p[0].port == 8443);
    assert_int_equal(node_grant_http(mem, &g, STR("[::1]:80"), &d), ERR_OK);
    assert_true(str_eqc(g.allow_http.p[1].host, "::1") && g.allow_http.p[1].port == 80);
    assert_int_equal(node_grant_http(mem, &g, STR("*"), &d), ERR_OK);
    assert_int_equal(node_grant_http(mem, &g, STR("http://x"), &d), ERR_USAGE);
    assert_int_equal(node_grant_http(mem, &g, STR("x:0"), &d), ERR_USAGE);
    assert_int_equal(node_grant_http(mem, &g, STR("x:99999"), &d), ERR_USAGE);
    assert_int_equal(node_grant_forward(mem, &g, STR("https://next.example:8443/"), &d), ERR_OK);
    assert_true(str_eqc(g.forward_scheme, "https") && str_eqc(g.forward_authority, "next.example:8443"));
    assert_int_equal(node_grant_forward(mem, &g, STR("next.example"), &d), ERR_USAGE);
    assert_int_equal(node_grant_forward(mem, &g, STR("http://x/path"), &d), ERR_USAGE);
    assert_int_equal(node_grant_forward(mem, &g, STR("http://x:0"), &d), ERR_USAGE);
    arena_free(mem);
}

/* One grant that is fine: its rule. */
static struct wasi_net_rule net_rule(arena *mem, const char *text) {
    struct node_grants g = {0};
    struct diag d = DIAG_INIT;
    assert_int_equal(node_grant_net(mem, &g, str_c(text), &d), ERR_OK);
    assert_int_equal(g.net.n, 1);
    return g.net.p[0];
}

static void test_grants_net(void **state) {
    enum { TCP = 1 << WASI_NET_TCP, UDP = 1 << WASI_NET_UDP, LISTEN = 1 << WASI_NET_LISTEN };
    arena *mem = arena_new(0);
    struct wasi_net_rule r = net_rule(mem, "*");
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
    assert_true(str_eqc(r.name, "xn--mnchen-3ya.example") && r.uses == 1 << WASI_NET_LOOKUP);
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
        struct node_grants g = {0};
        struct diag d = DIAG_INIT;
        assert_int_equal(node_grant_net(mem, &g, str_c(bad[i]), &d), ERR_USAGE);
        assert_true(d.text[0] && !g.net.n);
    }
    arena_free(mem);
}

static void test_listen(void **state) {
    struct node_listen l;
    struct diag d = DIAG_INIT;
    assert_int_equal(node_listen_parse(STR(":80"), &l, &d), ERR_OK);
    assert_true(l.host.n == 0 && l.port == 80);
    assert_int_equal(node_listen_parse(STR("[::1]:0"), &l, &d), ERR_OK);
    assert_true(str_eqc(l.host, "::1") && l.port == 0);
    assert_int_equal(node_listen_parse(STR("9000"), &l, &d), ERR_OK);
    assert_true(str_eqc(l.host, "127.0.0.1") && l.port == 9000);
    assert_int_equal(node_listen_parse(STR("example.org"), &l, &d), ERR_OK);
    assert_int_equal(l.port, 8080);
    assert_int_equal(node_listen_parse(STR("x:"), &l, &d), ERR_USAGE);
    assert_int_equal(node_listen_parse(STR("x:70000"), &l, &d), ERR_USAGE);
    assert_int_equal(node_listen_parse(STR("70000"), &l, &d), ERR_USAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),     cmocka_unit_test(test_walls),          cmocka_unit_test(test_deaths),
        cmocka_unit_test(test_descriptors), cmocka_unit_test(test_progress),       cmocka_unit_test(test_grants),
        cmocka_unit_test(test_grants_net),  cmocka_unit_test(test_worker_sockets), cmocka_unit_test(test_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
