/* A migration of several files, of which the store dies at each step of its writing in turn: what was is there then, or what was to be, whole, and the latter
 * if anybody was told so; and the same migration goes through afterwards. What SQLite calls to write is this file's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "crypto/crypto.h"
#include "node/store/store_int.h"
#include "node/node_int.h"
#include "node/supervisor/jobs.h"
#include "node/tree.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- death ---- */

enum { DIED = 77 };
static int64_t left = INT64_MAX; /* steps until it dies; atomic */

static void step(void) {
    if (__atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) < 0) _exit(DIED);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at);
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) {
    step();
    return (ssize_t)syscall(SYS_pwrite64, fd, p, n, at);
}
int fdatasync(int fd) {
    step();
    return (int)syscall(SYS_fdatasync, fd);
}
int ftruncate64(int fd, off64_t n) {
    step();
    return (int)syscall(SYS_ftruncate, fd, n);
}

/* ---- the store, in a process of its own ---- */

static int news;
static struct store_peer me = {.fd = 1};
static void on_done(void *arg) {
    if (write(news, &(uint64_t){1}, 8) != 8) abort();
}

static struct store_ask *question(arena *mem) {
    static uint32_t id;
    struct store_ask *ask = arena_make(mem, struct store_ask);
    *ask = (struct store_ask){.peer = &me,
                              .id = ++id,
                              .op = APP_QUERY,
                              .mem = mem,
                              .place = STR("app"),
                              .bytes = 100,
                              .bytes_max = 64 * MiB,
                              .value_bytes_max = 1 << 20,
                              .answer_bytes_max = 1 << 20,
                              .ms_max = 60000,
                              .changes_max = 1000,
                              .changes_s = 60};
    return ask;
}

static struct store_ask *do_one(struct store_ask *ask) {
    uint64_t count;
    if (!node_store_bases_ask(1, STR("shop"), ask)) abort();
    if (poll(&(struct pollfd){.fd = news, .events = POLLIN}, 1, 60000) != 1 || read(news, &count, 8) != 8) abort();
    return node_store_bases_done();
}

static struct store_ask *errand(enum node_data_does does, str in) {
    arena *mem = arena_new(0);
    struct store_ask *ask = question(mem);
    ask->errand = arena_make(mem, struct store_errand);
    *ask->errand = (struct store_errand){
        .id = ask->id, .does = does, .in = node_bytes_fd("in", in), .out = memfd_create("out", MFD_CLOEXEC), .d = DIAG_INIT};
    return do_one(ask);
}

static void state_of(arena *mem, struct migration_state *state) {
    struct diag d = DIAG_INIT;
    str bytes;
    struct store_ask *ask = errand(NODE_DATA_STATE, STR(""));
    if (node_fd_bytes(mem, ask->errand->out, 64 << 20, &bytes, &d) != ERR_OK ||
        node_migration_state_read(mem, bytes, state, &d) != ERR_OK)
        abort();
    /* it borrows bytes, which are in mem */
    node_store_ask_free(ask);
}

static const struct {
    str name, text;
} files[] = {
    {STR("1.sql"), STR("create table t (id bigint primary key, v text not null); insert into t values (1, 'one'), (2, 'two');")},
    {STR("2.sql"), STR("create table more (id bigint primary key, t bigint references t (id)); alter table t add column n int "
                       "not null default 7;")},
    {STR("3.sql"), STR("insert into more values (1, 1); create index on more (t); update t set v = 'changed' where id = 2;")},
};

/* Those from `from` on, planned as a job does it; true: they were acknowledged. */
static bool migrate(uint32_t from, uint32_t n) {
    arena *mem = arena_new(0);
    struct migration_state state;
    struct migration_done done;
    struct migration_ask ask = {.engine = APP_DATABASE_SQLITE};
    struct node_job_result made = {.diag = DIAG_INIT};
    struct buf b = {0};
    struct diag d = DIAG_INIT;
    str plan, bytes;
    state_of(mem, &state);
    ask.catalog = state.catalog;
    for (uint32_t i = from; i < from + n; i++) {
        struct migration_file f = {.name = files[i].name, .text = files[i].text};
        crypto_sha256(f.text, f.digest);
        vec_push(mem, &ask.files, f);
    }
    node_migration_ask_write(&b, &ask);
    int in = node_bytes_fd("ask", buf_str(&b)), out = memfd_create("plan", MFD_CLOEXEC);
    buf_free(&b);
    if (node_migrate_job(NULL, in, out, &made) != ERR_OK || node_fd_bytes(mem, out, 64 << 20, &plan, &d) != ERR_OK) abort();
    close(in), close(out);
    struct store_ask *asked = errand(NODE_DATA_MIGRATE, plan);
    bool ok = !asked->errand->d.text[0] && node_fd_bytes(mem, asked->errand->out, MiB, &bytes, &d) == ERR_OK &&
              node_migration_done_read(mem, bytes, &done, &d) == ERR_OK && !done.step && done.parts == n;
    node_store_ask_free(asked);
    arena_free(mem);
    return ok;
}

static bool answers(const char *body, const char *what) {
    arena *mem = arena_new(0);
    struct store_ask *ask = question(mem);
    struct node_tree_ask as = {.role = STR("service_role"), .body = arena_str(mem, str_c(body))};
    struct app_value *values = arena_array(mem, struct app_value, NODE_TREE_ASK_VALUES);
    node_tree_ask_values(&as, values);
    ask->values = values, ask->count = NODE_TREE_ASK_VALUES;
    ask = do_one(ask);
    bool same = memmem(ask->answer.p, ask->answer.n, what, strlen(what)) || strstr(ask->text, what);
    if (!same)
        fprintf(stderr, "%s: %.*s %s, and not %s\n", body, (int)ask->answer.n, (const char *)ask->answer.p, ask->text, what);
    node_store_ask_free(ask);
    return same;
}

/* How many files are applied, all that they do with them; -1: it is neither. */
static int whole(void) {
    arena *mem = arena_new(0);
    struct migration_state state;
    state_of(mem, &state);
    uint32_t n = state.applied.n;
    arena_free(mem);
    bool ok = n == 1 ? answers("{\"query\": {\"from\": \"t\", \"order\": [\"id\"]}}",
                               "[{\"id\":1,\"v\":\"one\"},{\"id\":2,\"v\":\"two\"}]") &&
                           answers("{\"query\": {\"from\": \"more\"}}", "Could not find the table 'public.more'")
              : n == 3 ? answers("{\"query\": {\"from\": \"t\", \"order\": [\"id\"]}}",
                                 "[{\"id\":1,\"v\":\"one\",\"n\":7},{\"id\":2,\"v\":\"changed\",\"n\":7}]") &&
                             answers("{\"query\": {\"from\": \"more\"}}", "[{\"id\":1,\"t\":1}]")
                       : false;
    return ok ? (int)n : -1;
}

/* What fn gives, of a process in which there is a store. */
static int in_store(int (*fn)(int64_t arg), int64_t arg) {
    int status;
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (!pid) {
        news = eventfd(0, EFD_CLOEXEC);
        node_store_bases_init(&(struct store_config){
            .keeps = true, .history_bytes_max = 64 * MiB, .history_ms_max = 1'000'000'000, .done = on_done});
        _exit(fn(arg));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int first(int64_t unused) { return migrate(0, 1) ? 0 : 1; }
static int others(int64_t steps) {
    arena *mem = arena_new(0);
    struct migration_state state;
    state_of(mem, &state); /* it is open */
    arena_free(mem);
    __atomic_store_n(&left, steps, __ATOMIC_RELAXED);
    bool ok = migrate(1, 2);
    __atomic_store_n(&left, INT64_MAX, __ATOMIC_RELAXED);
    return ok ? 3 : 1;
}
/* What is there; and where it is the old one, it becomes the new one now. */
static int look(int64_t unused) {
    int n = whole();
    if (n == 1 && (!migrate(1, 2) || whole() != 3)) return 100;
    return n < 0 ? 101 : n;
}

static void test_dies_at_each_step(void **state) {
    int olds = 0, news_seen = 0;
    char folder[] = "/tmp/orlo-migrate-XXXXXX", command[128];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(in_store(first, 0), 0);
    assert_int_equal(system("cp -a shop.1 kept"), 0);
    int64_t at = 0;
    for (bool ended = false; !ended; at++) {
        int died = in_store(others, at);
        ended = died != DIED;
        if (ended) assert_int_equal(died, 3);
        int there = in_store(look, 0);
        if (there != 1 && there != 3) fail_msg("died at step %lld: %d", (long long)at, there);
        assert_true(there == 3 || !ended);
        *(there == 1 ? &olds : &news_seen) += 1;
        assert_int_equal(system("rm -rf shop.1; cp -a kept shop.1"), 0);
        assert_true(at < 2000);
    }
    print_message("             %lld steps: %d times the old one, %d the new one\n", (long long)at, olds, news_seen);
    assert_true(olds > 10 && news_seen);
    snprintf(command, sizeof command, "cd /; rm -rf %s", folder);
    assert_int_equal(system(command), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_dies_at_each_step)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
