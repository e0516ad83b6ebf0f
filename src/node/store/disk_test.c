/* A disk that fails under an app's database, at each of its writes in turn, for as long as it likes: what was acknowledged is there, what was not is not, by halves
 * neither, and once the disk is well again, so is the database. What SQLite calls to write is this file's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "crypto/crypto.h"
#include "node/store/store_int.h"
#include "node/tree.h"
#include "sql/sql.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the disk ---- */

static int64_t left = INT64_MAX; /* writes until it fails; atomic */
static int why;

static bool fails(void) {
    if (__atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) >= 0) return false;
    errno = why;
    return true;
}
static void well(void) { __atomic_store_n(&left, INT64_MAX, __ATOMIC_RELAXED); }

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at);
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at) {
    return why == ENOSPC && fails() ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, p, n, at);
}
int fdatasync(int fd) { return why == EIO && fails() ? -1 : (int)syscall(SYS_fdatasync, fd); }
int ftruncate64(int fd, off64_t n) { return why == EIO && fails() ? -1 : (int)syscall(SYS_ftruncate, fd, n); }

/* ---- the store ---- */

static int news;
static struct store_peer me = {.fd = 1};
static void on_done(void *arg) { assert_int_equal(write(news, &(uint64_t){1}, 8), 8); }

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

static struct store_ask *tree(const char *body) {
    arena *mem = arena_new(0);
    struct store_ask *ask = question(mem);
    struct node_tree_ask as = {.role = STR("service_role"), .body = arena_str(mem, str_c(body))};
    struct app_value *values = arena_array(mem, struct app_value, NODE_TREE_ASK_VALUES);
    node_tree_ask_values(&as, values);
    ask->values = values;
    ask->count = NODE_TREE_ASK_VALUES;
    return ask;
}

static void send(uint32_t app, struct store_ask *ask) { assert_true(node_store_bases_ask(app, STR("shop"), ask)); }

/* So many answers, in the order of their ids. */
static void await(struct store_ask **to, uint32_t n) {
    for (uint32_t got = 0; got < n;) {
        uint64_t count;
        assert_int_equal(poll(&(struct pollfd){.fd = news, .events = POLLIN}, 1, 60000), 1);
        assert_int_equal(read(news, &count, 8), 8);
        for (struct store_ask *ask = node_store_bases_done(); ask; ask = ask->next) to[got++] = ask;
    }
    for (uint32_t i = 1; i < n; i++)
        for (uint32_t k = i; k && to[k]->id < to[k - 1]->id; k--) {
            struct store_ask *other = to[k];
            to[k] = to[k - 1], to[k - 1] = other;
        }
}

static struct store_ask *ask_one(uint32_t app, const char *body) {
    struct store_ask *ask;
    send(app, tree(body));
    await(&ask, 1);
    return ask;
}

static void migrate(uint32_t app) {
    arena *mem = arena_new(0), *made = arena_new(0);
    struct sql_file file = {.name = STR("1.sql"),
                            .text = STR("create table t (id bigint primary key, half int not null, body text);")};
    struct sql_plan plan = {0};
    struct sql_report report = {0};
    struct migration_plan to = {0};
    struct migration_part part = {.name = STR("1.sql")};
    struct buf b = {0}, catalog = {0};
    struct diag d = DIAG_INIT;
    struct store_ask *ask = question(mem), *answer;
    assert_int_equal(sql_migrate(made, NULL, &file, 1, CATALOG_SQLITE, NULL, &plan, &report, &d), ERR_OK);
    for (uint32_t i = 0; i < plan.files.n; i++)
        for (uint32_t k = 0; k < plan.files.p[i].steps.n; k++) {
            struct sql_plan_step step = plan.files.p[i].steps.p[k];
            vec_push(made, &part.steps, ((struct migration_step){step.text, step.line, step.kind, step.catalog}));
        }
    catalog_write(&catalog, plan.catalog);
    part.catalog = buf_str(&catalog);
    crypto_sha256((str){0}, to.from);
    vec_push(made, &to.parts, part);
    node_migration_plan_write(&b, &to);
    ask->errand = arena_make(mem, struct store_errand);
    *ask->errand = (struct store_errand){.id = ask->id,
                                         .does = NODE_DATA_MIGRATE,
                                         .in = node_bytes_fd("plan", buf_str(&b)),
                                         .out = memfd_create("out", MFD_CLOEXEC),
                                         .d = DIAG_INIT};
    send(app, ask);
    await(&answer, 1);
    assert_string_equal(answer->errand->d.text, "");
    node_store_ask_free(answer);
    buf_free(&b), buf_free(&catalog);
    arena_free(made);
}

/* ---- asking of a disk that fails ---- */

enum { ASKS = 6, BYTES = 3000 };

/* Two rows each. */
static void write_some(uint32_t app, struct store_ask **asks) {
    static char body[2 * BYTES + 400], big[BYTES + 1];
    memset(big, 'x', BYTES);
    for (int i = 0; i < ASKS; i++) {
        snprintf(body, sizeof body,
                 "{\"batch\": [{\"kind\": \"insert\", \"from\": \"t\", \"rows\": [{\"id\": %d, \"half\": 1, \"body\": \"%s\"}]},"
                 " {\"kind\": \"insert\", \"from\": \"t\", \"rows\": [{\"id\": %d, \"half\": 2, \"body\": \"%s\"}]}]}",
                 2 * i, big, 2 * i + 1, big);
        send(app, tree(body));
    }
    await(asks, ASKS);
}

static bool is_there(uint32_t app, int id) {
    char body[200];
    snprintf(
        body, sizeof body,
        "{\"query\": {\"from\": \"t\", \"select\": [\"half\"], \"where\": {\"column\": \"id\", \"op\": \"eq\", \"value\": %d}}}",
        id);
    struct store_ask *ask = ask_one(app, body);
    if (ask->outcome != APP_DATA_OK) fail_msg("%d: %s", ask->outcome, ask->text);
    bool there = memmem(ask->answer.p, ask->answer.n, "half", 4) != NULL;
    node_store_ask_free(ask);
    return there;
}

/* How many of them were not acknowledged. */
static int fail_after(uint32_t app, int64_t writes, int how) {
    struct store_ask *asks[ASKS], *ask;
    int refused = 0;
    migrate(app);
    why = how;
    __atomic_store_n(&left, writes, __ATOMIC_RELAXED);
    write_some(app, asks);
    bool failed = __atomic_load_n(&left, __ATOMIC_RELAXED) < 0;
    well();
    for (int i = 0; i < ASKS; i++) {
        bool ok = asks[i]->outcome == APP_DATA_OK, one = is_there(app, 2 * i), other = is_there(app, 2 * i + 1);
        if (!ok && asks[i]->outcome != APP_DATA_ERROR) assert_true(asks[i]->text[0]);
        assert_true(ok || failed);
        assert_int_equal(one, other);
        if (asks[i]->outcome == APP_DATA_LOST) assert_int_equal(how, EIO); /* nobody knows: it is there, or it is not */
        else assert_int_equal(one, ok);
        refused += !ok;
        node_store_ask_free(asks[i]);
    }
    ask = ask_one(app, "{\"query\": {\"kind\": \"insert\", \"from\": \"t\", \"rows\": [{\"id\": 100, \"half\": 0}]}}");
    if (ask->outcome != APP_DATA_OK) fail_msg("it is not well again: %s", ask->text);
    node_store_ask_free(ask);
    assert_true(is_there(app, 100));
    why = 0;
    return failed ? refused : -1;
}

static void sweep(uint32_t app, int how) {
    int refused = 0, points = 0;
    for (int of; (of = fail_after(app + (uint32_t)points, points, how)) >= 0; points++) refused += of;
    assert_true(points > (how == ENOSPC ? 5 : 0));
    assert_true(refused > points); /* it is no test of a disk that never failed */
}

/* ---- the first ask behind an opening ---- */

enum { CHANGES = 20 };

/* Nobody waits for it any more, as where his worker was killed with the store: nothing of it is done, and what the app said before of how much is kept is not known. */
static void test_feed_outlives_a_cancelled_ask(void **state) {
    enum { APP = 5000 };
    char body[100];
    struct store_ask *ask;
    migrate(APP);
    for (int i = 0; i < CHANGES; i++) {
        snprintf(body, sizeof body, "{\"query\": {\"kind\": \"insert\", \"from\": \"t\", \"rows\": [{\"id\": %d, \"half\": 0}]}}",
                 i);
        ask = ask_one(APP, body);
        assert_int_equal(ask->outcome, APP_DATA_OK);
        node_store_ask_free(ask);
    }
    node_store_bases_tick(UINT64_MAX / 2); /* it is closed, as one that rests */
    ask = tree("{\"query\": {\"kind\": \"delete\", \"from\": \"t\"}}");
    ask->cancelled = true;
    send(APP, ask);
    await(&ask, 1);
    assert_int_equal(ask->outcome, APP_DATA_LOST);
    node_store_ask_free(ask);

    arena *mem = arena_new(0);
    struct app_value values[] = {{APP_VALUE_NULL, {0}}, APP_I64(0), APP_I64(1000)};
    const struct app_value *answer;
    uint32_t count;
    ask = question(mem);
    ask->op = APP_FEED;
    ask->values = values, ask->count = ARRAY_COUNT(values);
    send(APP, ask);
    await(&ask, 1);
    assert_int_equal(ask->outcome, APP_DATA_OK);
    struct rd rd = rd_of(buf_str(&ask->answer));
    answer = app_values_read(mem, &rd, &count);
    assert_non_null(answer);
    assert_true(count > 2);
    assert_int_equal(answer[0].i, 1);
    assert_int_equal(answer[1].i, CHANGES);
    node_store_ask_free(ask);
}

static void test_full(void **state) { sweep(1000, ENOSPC); }
static void test_sync_that_fails(void **state) { sweep(3000, EIO); }

static int set_up(void **state) {
    char folder[] = "/tmp/orlo-disk-test-XXXXXX";
    news = eventfd(0, 0);
    if (!mkdtemp(folder) || chdir(folder)) return 1;
    node_store_bases_init(&(struct store_config){.keeps = true, .done = on_done});
    return 0;
}

static int tear_down(void **state) {
    char command[256], folder[128];
    if (!getcwd(folder, sizeof folder) || !strstr(folder, "/orlo-disk-test-")) return 1;
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full), cmocka_unit_test(test_sync_that_fails),
                                       cmocka_unit_test(test_feed_outlives_a_cancelled_ask)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
