/* postgres: asks, errors, servers that are not there, die or hang; on a PostgreSQL of the test's own, skipped where none is installed. */
#include "net/loop.h"
#include "postgres/postgres.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <glob.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], bin[256];
static pid_t server;
static struct net_loop *loop;

static void be_somebody(void) {
    struct passwd *p = getpwnam("nobody");
    if (geteuid() == 0 && p && (setgid(p->pw_gid) || setuid(p->pw_uid))) _exit(1);
}

static void start_server(void) {
    server = fork();
    if (server == 0) {
        char data[128], program[300];
        be_somebody();
        snprintf(data, sizeof data, "%s/data", folder);
        snprintf(program, sizeof program, "%s/postgres", bin);
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        execl(program, "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off", "-c",
              "client_connection_check_interval=200", (char *)NULL);
        _exit(1);
    }
}

static int run_initdb(void) {
    char command[600];
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) {
        be_somebody();
        snprintf(command, sizeof command,
                 "%s/initdb -D %s/data -U boss --auth=trust --no-sync --locale=C.UTF-8 --encoding=UTF8 >/dev/null 2>&1", bin,
                 folder);
        _exit(system(command) ? 1 : 0);
    }
    waitpid(pid, &status, 0);
    return status;
}

static int set_up(void **state) {
    struct passwd *p = getpwnam("nobody");
    glob_t found = {0};
    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) == 0 && found.gl_pathc)
        snprintf(bin, sizeof bin, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    if (!*bin) return 0;
    snprintf(folder, sizeof folder, "/tmp/orlo-postgres-XXXXXX");
    assert_non_null(mkdtemp(folder));
    if (geteuid() == 0 && p) assert_int_equal(chown(folder, p->pw_uid, p->pw_gid), 0);
    if (run_initdb()) return 1;
    start_server();
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    if (!*bin) return 0;
    kill(server, SIGCONT), kill(server, SIGQUIT);
    waitpid(server, NULL, 0);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static int make(void **state) {
    if (!*bin) {
        print_message("no PostgreSQL is installed here\n");
        skip();
    }
    loop = net_loop_new();
    return 0;
}
static int unmake(void **state) {
    if (loop) net_loop_free(loop);
    loop = NULL;
    return 0;
}

/* ---- asking, and waiting for what comes of it ---- */

struct said {
    enum postgres_outcome outcome;
    struct postgres_error error;
    uint32_t rows;
    char value[64];
    uint64_t affected;
    bool told;
};
static uint32_t open_asks;
static void told(void *arg, const struct postgres_answer *a) {
    struct said *s = arg;
    s->outcome = postgres_outcome(a), s->error = *postgres_error(a), s->told = true;
    s->rows = postgres_rows(a, 0), s->affected = postgres_affected(a, 0);
    str v = postgres_value(a, 0, 0, 0, NULL);
    snprintf(s->value, sizeof s->value, STR_FMT, STR_ARG(v));
    if (--open_asks == 0) net_loop_stop(loop);
}

static struct postgres *open_pool(uint32_t most, uint32_t waiting) {
    char where[200];
    snprintf(where, sizeof where, "host=%s user=boss dbname=postgres", folder);
    return postgres_new(&(struct postgres_options){
        .loop = loop, .where = where, .connections_max = most, .waiting_max = waiting, .connect_ms = 5000});
}

static void ask_text(struct postgres *db, const char *text, const char *value, struct said *s, bool kept, bool undone,
                     uint32_t ms) {
    struct postgres_value v = {.text = str_c(value), .null = !value};
    struct postgres_statement one = {.text = str_c(text), .values = &v, .count = strstr(text, "$1") ? 1 : 0, .kept = kept};
    *s = (struct said){0};
    open_asks++;
    postgres_ask(db, &(struct postgres_question){.statements = &one, .count = 1, .ms_max = ms, .undone = undone}, told, s);
}

static void one(struct postgres *db, const char *text, const char *value, struct said *s) {
    ask_text(db, text, value, s, true, false, 10'000);
    net_loop_run(loop);
    assert_true(s->told);
}

/* A server that has just started lets nobody in for a moment. */
static struct postgres *come(void) {
    struct postgres *db = open_pool(2, 100);
    struct said s;
    for (int i = 0; i < 200; i++) {
        one(db, "select 1", NULL, &s);
        if (s.outcome == POSTGRES_DONE) return db;
        usleep(100'000);
    }
    fail_msg("%s", s.error.message);
    return NULL;
}

/* ---- tests ---- */

static void test_answers(void **state) {
    struct postgres *db = come();
    struct said s;
    one(db, "create table t (n int primary key, v text)", NULL, &s);
    assert_int_equal(s.outcome, POSTGRES_DONE);
    for (int i = 0; i < 3; i++) {
        char n[12];
        snprintf(n, sizeof n, "%d", i);
        one(db, "insert into t values ($1::int, 'x') returning n + 1", n, &s);
        assert_int_equal(s.outcome, POSTGRES_DONE);
        assert_int_equal(s.affected, 1);
    }
    assert_string_equal(s.value, "3");
    one(db, "select coalesce($1::text, 'null')", NULL, &s);
    assert_string_equal(s.value, "null");
    one(db, "select $1::text", "'; drop table t; --", &s);
    assert_string_equal(s.value, "'; drop table t; --");
    postgres_free(db);
}

static void test_errors_undo(void **state) {
    struct postgres *db = come();
    struct said s;
    one(db, "insert into t values ($1::int, 'again')", "1", &s);
    assert_int_equal(s.outcome, POSTGRES_ERROR);
    assert_string_equal(s.error.state, "23505");
    assert_string_equal(s.error.constraint, "t_pkey");
    assert_string_equal(s.error.detail, "Key (n)=(1) already exists.");
    one(db, "selec 1", NULL, &s);
    assert_string_equal(s.error.state, "42601");
    assert_int_equal(s.error.position, 1);
    ask_text(db, "delete from t", NULL, &s, false, true, 5000); /* undone */
    net_loop_run(loop);
    assert_int_equal(s.outcome, POSTGRES_DONE);
    assert_int_equal(s.affected, 3);
    one(db, "select count(*) from t", NULL, &s);
    assert_string_equal(s.value, "3");
    one(db, "copy t to stdout", NULL, &s);
    assert_int_equal(s.outcome, POSTGRES_ERROR);
    assert_string_equal(s.error.state, "0A000");
    one(db, "select count(*) from t", NULL, &s);
    assert_string_equal(s.value, "3");
    postgres_free(db);
}

static void test_many(void **state) {
    struct postgres *db = come();
    struct said s[150];
    uint32_t done = 0, busy = 0;
    for (uint32_t i = 0; i < 150; i++) ask_text(db, "select pg_sleep(0.001)", NULL, &s[i], true, false, 10'000);
    net_loop_run(loop);
    for (uint32_t i = 0; i < 150; i++) done += s[i].outcome == POSTGRES_DONE, busy += s[i].outcome == POSTGRES_BUSY;
    assert_int_equal(done + busy, 150);
    assert_int_equal(busy, 50);
    assert_int_equal(postgres_busy(db), 0);
    postgres_free(db);
}

static void test_hung(void **state) {
    struct postgres *db = come();
    struct said s;
    ask_text(db, "select pg_sleep(30)", NULL, &s, true, false, 200);
    net_loop_run(loop);
    assert_int_equal(s.outcome, POSTGRES_LOST); /* its commit went with it */
    ask_text(db, "select pg_sleep(30)", NULL, &s, true, true, 200);
    net_loop_run(loop);
    assert_int_equal(s.outcome, POSTGRES_ERROR);
    assert_string_equal(s.error.state, "57014");
    one(db, "select 7", NULL, &s);
    assert_string_equal(s.value, "7");
    postgres_free(db);
}

/* More than may be answered: of many rows, of one, and of one that is still to be made; and nothing of it is kept. */
static void ask_bounded(struct postgres *db, const char *text, uint64_t bytes, postgres_judge judge, struct said *s) {
    struct postgres_statement one = {.text = str_c(text)};
    *s = (struct said){0};
    open_asks++;
    postgres_ask(
        db, &(struct postgres_question){.statements = &one, .count = 1, .ms_max = 20'000, .bytes_max = bytes, .judge = judge},
        told, s);
    net_loop_run(loop);
    assert_true(s->told);
}
static bool never_more_than_two(void *arg, const struct postgres_answer *a, struct postgres_error *error) {
    if (postgres_affected(a, 0) <= 2) return true;
    snprintf(error->state, sizeof error->state, "PX124");
    return false;
}
static bool always(void *arg, const struct postgres_answer *a, struct postgres_error *error) { return true; }

static void test_bounds(void **state) {
    struct postgres *db = come();
    struct said s;
    one(db, "create table big (n int)", NULL, &s);
    ask_bounded(db, "select repeat('x', 1000) from generate_series(1, 1000000)", 100'000, NULL, &s);
    assert_int_equal(s.outcome, POSTGRES_ERROR);
    assert_string_equal(s.error.state, "54000");
    ask_bounded(db, "select repeat('x', 300000000)", 100'000, NULL, &s);
    assert_string_equal(s.error.state, "54000");
    ask_bounded(db, "insert into big select g from generate_series(1, 100000) g returning n", 1000, always, &s);
    assert_string_equal(s.error.state, "54000");
    ask_bounded(db, "insert into big values (1), (2), (3)", 0, never_more_than_two, &s);
    assert_string_equal(s.error.state, "PX124");
    one(db, "select count(*) from big", NULL, &s);
    assert_string_equal(s.value, "0");
    ask_bounded(db, "insert into big values (1), (2)", 0, never_more_than_two, &s);
    assert_int_equal(s.outcome, POSTGRES_DONE);
    one(db, "select count(*) from big", NULL, &s);
    assert_string_equal(s.value, "2");
    postgres_free(db);
}

/* Nobody waits any more: what is under way is given up, and its connection comes anew. */
static void test_cancelled(void **state) {
    struct postgres *db = come();
    struct said s = {0}, other;
    struct postgres_statement slow = {.text = STR("insert into big select 7 from pg_sleep(600)")};
    open_asks++;
    struct postgres_ask *ask =
        postgres_ask(db, &(struct postgres_question){.statements = &slow, .count = 1, .judge = always}, told, &s);
    open_asks--; /* the loop ends with the other one's answer, by when this one is at work */
    one(db, "select pg_sleep(0.2)", NULL, &other);
    postgres_cancel(ask);
    for (int i = 0; i < 600; i++) {
        one(db, "select count(*) from pg_stat_activity where query like 'insert into big select 7%'", NULL, &other);
        if (!strcmp(other.value, "0")) break;
        usleep(50'000);
    }
    assert_string_equal(other.value, "0");
    assert_false(s.told);
    assert_int_equal(postgres_busy(db), 0);
    postgres_free(db);
}

static void test_killed_and_back(void **state) {
    struct postgres *db = come();
    struct said s;
    one(db, "insert into t values (77, 'kept')", NULL, &s);
    kill(server, SIGQUIT);
    waitpid(server, NULL, 0);
    one(db, "select 1", NULL, &s);
    assert_true(s.outcome == POSTGRES_LOST || s.outcome == POSTGRES_AWAY);
    one(db, "select 1", NULL, &s);
    assert_int_equal(s.outcome, POSTGRES_AWAY);
    postgres_free(db);
    start_server();
    db = come();
    one(db, "select v from t where n = 77", NULL, &s);
    assert_string_equal(s.value, "kept");
    postgres_free(db);
}

/* What a URL may say, and that nothing of a bad one is told. */
static void test_places(void **state) {
    static const struct {
        const char *url, *why; /* NULL: it is one */
    } cases[] = {
        {"postgres://hunter2:hunter2@db.example/x", NULL},
        {"postgresql://hunter2:hunter2@db.example:6543,10.0.0.1,[::1]:5/x?sslmode=verify-full&target_session_attrs=read-write",
         NULL},
        {"postgresql://hunter2:hunter2@db.example:6543,10.0.0.1:5432,[::1]:5/x?sslmode=verify-full&options=-c%20a%3Db", NULL},
        {"postgres://hunter2@db.example?connect_timeout=9999&sslrootcert=system", NULL},
        {"", "no URL"},
        {"hunter2", "no URL"},
        {"host=db.example user=hunter2 password=hunter2", "no URL"},
        {"mysql://hunter2:hunter2@db.example/x", "no URL"},
        {"postgres://hunter2:%zz@db.example/x", "no URL"},
        {"postgres://hunter2:hunter2@db.example/x?hunter2=1", "no URL"},
        {"postgres://hunter2:hunter2@/x", "names no host"},
        {"postgres://hunter2:hunter2@%2Ftmp/x", "a folder"},
        {"postgres://hunter2:hunter2@%40abstract/x", "a folder"},
        {"postgres://hunter2:hunter2@a,,b/x", "no name"},
        {"postgres://hunter2:hunter2@a,b,c,d,e,f,g,h,i,j/x", "up to 8 hosts"},
        {"postgres://hunter2:hunter2@a,b,c/x?port=1,2", "a port for each"},
        {"postgres://:hunter2@db.example/x", "no user"},
        {"postgres://hunter2:hunter2@db.example/x?passfile=/etc/hunter2", "passfile"},
        {"postgres://hunter2:hunter2@db.example/x?sslrootcert=/etc/hunter2", "sslrootcert"},
        {"postgres://hunter2:hunter2@db.example/x?sslkey=/etc/hunter2", "sslkey"},
        {"postgres://hunter2:hunter2@db.example/x?hostaddr=127.0.0.1", "hostaddr"},
        {"postgres://hunter2:hunter2@db.example/x?service=hunter2", "service"},
        {"postgres://hunter2:hunter2@db.example/x?replication=true", "replication"},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct postgres_place *place = NULL, *same = NULL;
        struct diag d = DIAG_INIT;
        err e = postgres_place_new(str_c(cases[i].url), false, &place, &d);
        if (e != ERR_OK ? !cases[i].why : cases[i].why != NULL) fail_msg("%s: %s", cases[i].url, d.text);
        if (e != ERR_OK && (!strstr(d.text, cases[i].why) || strstr(d.text, "hunter2"))) fail_msg("%s: %s", cases[i].url, d.text);
        if (e == ERR_OK) {
            assert_int_equal(postgres_place_new(str_c(cases[i].url), false, &same, &d), ERR_OK);
            assert_true(postgres_place_same(place, same));
            postgres_place_free(same);
            assert_int_equal(postgres_place_new(STR("postgres://hunter2:other@db.example/x"), false, &same, &d), ERR_OK);
            assert_false(postgres_place_same(place, same));
        }
        postgres_place_free(place), postgres_place_free(same);
    }
}

/* A server at an address that is not public is not asked; nor is one waited for that nobody wants any more. */
static void test_addresses(void **state) {
    static const char *const urls[] = {"postgres://u:p@127.0.0.1:1/x", "postgres://u:p@[::1]:1/x",
                                       "postgres://u:p@10.255.255.1:1/x", "postgres://u:p@169.254.169.254:80/x",
                                       "postgres://u:p@localhost:1/x"};
    for (size_t i = 0; i < ARRAY_COUNT(urls); i++) {
        struct postgres_place *place;
        struct diag d = DIAG_INIT;
        struct said s;
        bool refused;
        assert_int_equal(postgres_place_new(str_c(urls[i]), false, &place, &d), ERR_OK);
        struct postgres *db = postgres_new(&(struct postgres_options){
            .loop = loop, .place = place, .connections_max = 2, .waiting_max = 10, .connect_ms = 20'000});
        one(db, "select 1", NULL, &s);
        assert_int_equal(s.outcome, POSTGRES_AWAY);
        assert_non_null(strstr(postgres_why(db, &refused), "not public"));
        assert_true(refused);
        postgres_free(db);
        postgres_place_free(place);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test_setup_teardown(test_addresses, make, unmake),
        cmocka_unit_test_setup_teardown(test_answers, make, unmake),
        cmocka_unit_test_setup_teardown(test_errors_undo, make, unmake),
        cmocka_unit_test_setup_teardown(test_many, make, unmake),
        cmocka_unit_test_setup_teardown(test_hung, make, unmake),
        cmocka_unit_test_setup_teardown(test_bounds, make, unmake),
        cmocka_unit_test_setup_teardown(test_cancelled, make, unmake),
        cmocka_unit_test_setup_teardown(test_killed_and_back, make, unmake),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
