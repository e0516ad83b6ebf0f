/* postgres: asks, errors, servers that are not there, die or hang; on a PostgreSQL of the test's own, skipped where none is installed. */
#include "net/loop.h"
#include "postgres/postgres.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <glob.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <sys/socket.h>
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

/* What nobody answers is found here, with what was asked: a program that is only ended says nothing. */
enum { HANGS_MS = 300'000 };
static struct net_timer *watchdog;
static uint32_t open_asks;
static char asked[200];
static void hangs(void *arg) {
    fprintf(stderr, "%u asks are open; the last: %s\n", open_asks, asked);
    abort();
}

static int make(void **state) {
    if (!*bin) {
        print_message("no PostgreSQL is installed here\n");
        skip();
    }
    loop = net_loop_new();
    watchdog = net_timer_new(loop, hangs, NULL);
    net_timer_start(watchdog, HANGS_MS, 0);
    return 0;
}
static int unmake(void **state) {
    net_timer_free(watchdog);
    watchdog = NULL;
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
    snprintf(asked, sizeof asked, "%.190s", text);
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

/* ---- rows that are given as they come ---- */

struct taken {
    struct said s; /* of told */
    struct postgres_ask *ask;
    struct net_timer *timer;
    uint64_t rows, every, pause_ms;
    uint32_t pauses;
    bool wrong, stops;
};

static bool take_row(void *arg, const struct postgres_answer *a, str value) {
    struct taken *t = arg;
    uint64_t n = 0;
    t->wrong |= !str_to_u64(value, &n) || n != ++t->rows || !str_eqc(postgres_value(a, 0, 0, 0, NULL), "before");
    if (!t->every || t->rows % t->every) return true;
    t->pauses++;
    if (t->stops) net_loop_stop(loop);
    else net_timer_start(t->timer, t->pause_ms, 0);
    return false;
}

static void go_on(void *arg) {
    struct taken *t = arg;
    postgres_more(t->ask);
}

static void take(struct postgres *db, const char *text, uint32_t ms, struct taken *t) {
    struct postgres_statement both[] = {{.text = STR("select 'before'"), .kept = true}, {.text = str_c(text), .kept = true}};
    t->timer = net_timer_new(loop, go_on, t);
    open_asks++;
    snprintf(asked, sizeof asked, "%.190s", text);
    t->ask = postgres_ask(
        db,
        &(struct postgres_question){
            .statements = both, .count = 2, .ms_max = ms, .bytes_max = 10'000, .undone = true, .streams = 2, .row = take_row},
        told, t);
    net_loop_run(loop);
    net_timer_free(t->timer);
    assert_false(t->wrong);
}

static void test_rows_as_they_come(void **state) {
    struct postgres *db = come();
    struct said s;
    one(db,
        "create function fails(state text) returns text language plpgsql as $$ begin raise exception 'no' using errcode = state; "
        "end $$",
        NULL, &s);
    for (int again = 0; again < 2; again++) { /* the second time it is prepared already */
        struct taken t = {.every = 20'000, .pause_ms = 2};
        take(db, "select g from generate_series(1, 200000) g", 60'000, &t);
        assert_int_equal(t.s.outcome, POSTGRES_DONE);
        assert_int_equal(t.rows, 200'000);
        assert_int_equal(t.pauses, 10);
    }
    struct taken waits = {.every = 150'000, .pause_ms = 2500}; /* while nobody takes them its time stands still */
    take(db, "select g from generate_series(1, 200000) g", 2000, &waits);
    assert_int_equal(waits.s.outcome, POSTGRES_DONE);
    assert_int_equal(waits.rows, 200'000);
    struct taken breaks = {.every = 1000};
    take(db, "select g + 0 / (150000 - g) from generate_series(1, 200000) g", 60'000, &breaks);
    assert_string_equal(breaks.s.error.state, "22012");
    assert_int_equal(breaks.rows, 149'999);
    static const char *const lost[] = {"26000", "42P05"}; /* as if it were not prepared: its rows are not begun anew */
    for (size_t i = 0; i < ARRAY_COUNT(lost); i++) {
        char text[200];
        struct taken once = {.every = 1000};
        snprintf(text, sizeof text, "select case when g < 1500 then g else fails('%s')::int end from generate_series(1, 2000) g",
                 lost[i]);
        take(db, text, 60'000, &once);
        assert_string_equal(once.s.error.state, lost[i]);
        assert_int_equal(once.rows, 1499);
    }
    struct taken late = {0};
    take(db, "select 1 from pg_sleep(600)", 300, &late);
    assert_string_equal(late.s.error.state, "57014");
    struct taken wide = {0};
    take(db, "select repeat('1', 300000000)", 60'000, &wide);
    assert_string_equal(wide.s.error.state, "54000");
    struct taken left = {.every = 1000, .stops = true};
    take(db, "select g from generate_series(1, 10000000) g", 60'000, &left);
    open_asks--;
    postgres_cancel(left.ask);
    one(db, "select 'still'", NULL, &s);
    assert_string_equal(s.value, "still");
    assert_int_equal(postgres_busy(db), 0);
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

/* ---- servers that say what nobody asked for ---- */

static void test_listens(void **state) {
    struct postgres *db = come(), *other = open_pool(1, 10);
    struct said s;
    char pid[64], text[200];
    one(db, "listen x", NULL, &s);
    one(db, "select pg_backend_pid()", NULL, &s);
    snprintf(pid, sizeof pid, "%s", s.value);
    one(other, "select pg_notify('x', repeat('x', 7000) || g) from generate_series(1, 10000) g", NULL, &s);
    assert_int_equal(s.outcome, POSTGRES_DONE);
    snprintf(text, sizeof text, "select count(*) from pg_stat_activity where pid = %s", pid);
    for (int i = 0; i < 600; i++) { /* it has 70 MB to say, and nobody wants it */
        one(other, text, NULL, &s);
        if (!strcmp(s.value, "0")) break;
        usleep(50'000);
    }
    assert_string_equal(s.value, "0");
    one(db, "select 7", NULL, &s);
    assert_string_equal(s.value, "7");
    postgres_free(db), postgres_free(other);
}

enum floods { BEFORE_LET_IN, WHILE_FREE, ONE_LONG, NAMES };
enum { FLOOD_MAX = 96 << 20 };

static bool put_all(int fd, const void *bytes, size_t n) {
    for (const char *at = bytes; n;) {
        ssize_t k = send(fd, at, n, MSG_NOSIGNAL);
        if (k <= 0) return false;
        at += k, n -= (size_t)k;
    }
    return true;
}

/* What a server says on one connection; true: whoever is there let go before FLOOD_MAX bytes. */
static bool flood(int fd, enum floods how) {
    static const char ok[] = "R\0\0\0\10\0\0\0\0", version[] = "S\0\0\0\30server_version\00016.0", ready[] = "Z\0\0\0\5I";
    static const char notice[] = "N\0\0\0\36S\1{\"event\":\"forged\"}\n\0C0\0\0";
    static char many[2000 * (sizeof notice - 1)];
    char head[1024];
    for (int i = 0; i < 2; i++) { /* TLS is asked for first */
        ssize_t n = recv(fd, head, sizeof head, 0);
        if (n == 8 && !put_all(fd, "N", 1)) return true;
        if (n != 8) break;
    }
    if (!put_all(fd, ok, sizeof ok - 1) || !put_all(fd, version, sizeof version)) return true;
    if (how != BEFORE_LET_IN && !put_all(fd, ready, sizeof ready - 1)) return true;
    for (size_t i = 0; i < 2000; i++) memcpy(many + i * (sizeof notice - 1), notice, sizeof notice - 1);
    if (how == ONE_LONG && !put_all(fd, "A\x7f\xff\xff\xf0", 5)) return true;
    for (size_t sent = 0, k = 0; sent < FLOOD_MAX; sent += sizeof many) {
        if (how == NAMES)
            for (size_t at = 0; at + 32 < sizeof many; at += 32, k++) {
                memcpy(many + at, "S\0\0\0\37", 5);
                snprintf(many + at + 5, 24, "n%022zu", k);
                memcpy(many + at + 29, "vv", 3);
            }
        size_t n = how == NAMES ? sizeof many / 32 * 32 - 32 : sizeof many;
        if (!put_all(fd, many, n)) return true;
    }
    return false;
}

static pid_t start_flood(enum floods how, char url[static 80]) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n) || listen(fd, 10) || getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(url, 80, "postgres://u:p@127.0.0.1:%d/x", ntohs(a.sin_port));
    pid_t pid = fork();
    if (pid == 0) _exit(flood(accept(fd, NULL, NULL), how) ? 0 : 1);
    close(fd);
    return pid;
}

struct waits {
    pid_t pid;
    int status;
};
static void look(void *arg) {
    struct waits *w = arg;
    if (waitpid(w->pid, &w->status, WNOHANG) == w->pid) net_loop_stop(loop);
}

/* A connection on which nothing was asked, or that is not let in yet, is given up; and nothing of what is said comes to the log. */
static void test_floods(void **state) {
    FILE *log = tmpfile();
    int before = dup(2);
    assert_true(log && dup2(fileno(log), 2) == 2);
    for (enum floods how = BEFORE_LET_IN; how <= NAMES; how++) {
        char url[80];
        struct diag d = DIAG_INIT;
        struct postgres_place *place;
        struct said s = {0};
        struct postgres_statement text = {.text = STR("select 1")};
        struct waits waits = {.pid = start_flood(how, url), .status = -1};
        assert_int_equal(postgres_place_new(str_c(url), true, &place, &d), ERR_OK);
        struct postgres *db = postgres_new(&(struct postgres_options){
            .loop = loop, .place = place, .whose = 1, .connections_max = 1, .waiting_max = 10, .connect_ms = 60'000});
        postgres_cancel(postgres_ask(db, &(struct postgres_question){.statements = &text, .count = 1}, told, &s));
        struct net_timer *timer = net_timer_new(loop, look, &waits);
        net_timer_start(timer, 20, 20);
        net_loop_run(loop);
        net_timer_free(timer);
        postgres_free(db), postgres_place_free(place);
        assert_true(WIFEXITED(waits.status));
        if (WEXITSTATUS(waits.status)) fail_msg("flood %d was heard to its end", (int)how);
    }
    fflush(stderr);
    dup2(before, 2), close(before);
    assert_int_equal(lseek(fileno(log), 0, SEEK_END), 0);
    fclose(log);
}

/* Those that had no room were told. */
static void let_threads_go(void *arg) {
    int *fd = arg;
    if (open_asks > 3 || *fd < 0) return;
    close(*fd);
    *fd = -1;
}

/* Whoever has a server that never answers has a part of the threads, and others come. */
static void test_parts(void **state) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n) || listen(fd, 100) || getsockname(fd, (struct sockaddr *)&a, &n), 0);
    char url[80];
    struct postgres *pools[20];
    struct postgres_place *places[20];
    struct said s[20] = {0};
    struct diag d = DIAG_INIT;
    struct postgres_statement text = {.text = STR("select 1")};
    snprintf(url, sizeof url, "postgres://u:p@127.0.0.1:%d/x", ntohs(a.sin_port));
    for (size_t i = 0; i < ARRAY_COUNT(pools); i++) {
        assert_int_equal(postgres_place_new(str_c(url), true, &places[i], &d), ERR_OK);
        pools[i] = postgres_new(&(struct postgres_options){.loop = loop,
                                                           .place = places[i],
                                                           .whose = 7 + (i == 19),
                                                           .connections_max = 1,
                                                           .waiting_max = 1,
                                                           .connect_ms = 60'000});
        open_asks++;
        postgres_ask(pools[i], &(struct postgres_question){.statements = &text, .count = 1}, told, &s[i]);
    }
    struct net_timer *timer = net_timer_new(loop, let_threads_go, &fd);
    net_timer_start(timer, 20, 20);
    net_loop_run(loop);
    net_timer_free(timer);
    uint32_t crowded = 0;
    for (size_t i = 0; i < ARRAY_COUNT(pools); i++) {
        assert_int_equal(s[i].outcome, POSTGRES_AWAY);
        crowded += strstr(s[i].error.message, "too many") != NULL;
    }
    assert_true(crowded > 4); /* 16 go at once, of all */
    assert_null(strstr(s[19].error.message, "too many"));
    for (size_t i = 0; i < ARRAY_COUNT(pools); i++) postgres_free(pools[i]), postgres_place_free(places[i]);
    if (fd >= 0) close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),
        cmocka_unit_test_setup_teardown(test_addresses, make, unmake),
        cmocka_unit_test_setup_teardown(test_floods, make, unmake),
        cmocka_unit_test_setup_teardown(test_parts, make, unmake),
        cmocka_unit_test_setup_teardown(test_answers, make, unmake),
        cmocka_unit_test_setup_teardown(test_listens, make, unmake),
        cmocka_unit_test_setup_teardown(test_errors_undo, make, unmake),
        cmocka_unit_test_setup_teardown(test_many, make, unmake),
        cmocka_unit_test_setup_teardown(test_hung, make, unmake),
        cmocka_unit_test_setup_teardown(test_bounds, make, unmake),
        cmocka_unit_test_setup_teardown(test_rows_as_they_come, make, unmake),
        cmocka_unit_test_setup_teardown(test_cancelled, make, unmake),
        cmocka_unit_test_setup_teardown(test_killed_and_back, make, unmake),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
