/* db: statements, transactions and versions; what is there after a process was killed; and what a stranger's statements cannot do. */
#include "db/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static int above;

static int set_up(void **state) {
    snprintf(folder, sizeof folder, "/tmp/orlo-db-XXXXXX");
    assert_non_null(mkdtemp(folder));
    above = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0 && fchdir(dir) == 0);
    close(dir);
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    assert_int_equal(fchdir(above), 0);
    close(above);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static const char *const steps[] = {"create table t (k text primary key, v blob) strict, without rowid",
                                    "alter table t add column n integer not null default 7; create index t_n on t (n)"};

static struct db *open_db(void) {
    struct db *db = NULL;
    struct diag d = DIAG_INIT;
    if (db_open(&(struct db_options){.name = "x.db", .create = true}, &db, &d) != ERR_OK) fail_msg("%s", d.text);
    assert_int_equal(db_upgrade(db, steps, ARRAY_COUNT(steps), &d), ERR_OK);
    return db;
}

static int64_t count(struct db *db) {
    int64_t n = -1;
    struct diag d = DIAG_INIT;
    assert_int_equal(db_one_i64(db, &n, &d, "select count(*) from t"), ERR_OK);
    return n;
}

static void test_values(void **state) {
    struct db *db = open_db();
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    assert_int_equal(db_run(db, &d, "insert into t (k, v) values (?, ?)", DB_TEXT(STR("a")), DB_BLOB(STR("\0\1"))), ERR_OK);
    assert_int_equal(db_run(db, &d, "insert into t values (?, ?, ?)", DB_TEXT((str){0}), DB_NOTHING, DB_I64(-1)), ERR_OK);
    assert_int_equal(db_changed(db), 1);
    assert_int_equal(db_query(db, &rows, &d, "select k, v, n, 1.5 as x from t order by k"), ERR_OK);
    assert_true(db_columns(rows) == 4 && str_eqc(db_column_name(rows, 3), "x"));
    assert_true(db_next(rows));
    assert_true(db_value(rows, 0).kind == DB_TEXTUAL && db_str(rows, 0).n == 0 && db_value(rows, 1).kind == DB_NULL);
    assert_true(db_i64(rows, 2) == -1 && db_value(rows, 3).f == 1.5);
    assert_true(db_next(rows));
    assert_true(str_eq(db_str(rows, 1), STR("\0\1")) && db_i64(rows, 2) == 7);
    assert_false(db_next(rows));
    assert_int_equal(db_end(rows, &d), ERR_OK);
    int64_t none = 3;
    assert_int_equal(db_one_i64(db, &none, &d, "select n from t where k = 'zz'"), ERR_NOT_FOUND);
    assert_int_equal(d.text[0], 0);
    db_close(db);
}

static void test_errors(void **state) {
    struct db *db = open_db();
    const struct {
        const char *sql;
        err says;
        const char *word;
    } cases[] = {
        {"insert into t (k) values ('a'), ('a')", ERR_BUSY, "UNIQUE"},
        {"insert into t (k) values (x'00')", ERR_BUSY, "BLOB"},
        {"selec", ERR_USAGE, "syntax"},
        {"", ERR_USAGE, "no statement"},
        {"select 1; select 2", ERR_USAGE, "more than one"},
        {"select ?", ERR_USAGE, "parameters"},
        {"select \"k\" from t where k = \"a\"", ERR_USAGE, "a"},
        {"attach 'y.db' as y", ERR_OK, ""},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct diag d = DIAG_INIT;
        assert_int_equal(db_run(db, &d, cases[i].sql), cases[i].says);
        if (!strstr(d.text, cases[i].word)) fail_msg("%s: %s", cases[i].sql, d.text);
    }
    struct diag d = DIAG_INIT;
    assert_int_equal(db_run(db, &d, "select 1; -- and no more\n ;"), ERR_OK);
    assert_int_equal(count(db), 0);
    db_close(db);
    assert_int_equal(db_open(&(struct db_options){.name = "none.db"}, &db, &d), ERR_NOT_FOUND);
    int fd = open("no.db", O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 100; i++) assert_int_equal(write(fd, "this is no database, it is text ", 32), 32);
    close(fd);
    d = (struct diag)DIAG_INIT;
    assert_int_equal(db_open(&(struct db_options){.name = "no.db"}, &db, &d), ERR_MALFORMED);
    assert_non_null(strstr(d.text, "no.db"));
    assert_int_equal(symlink("x.db", "link.db"), 0);
    assert_int_not_equal(db_open(&(struct db_options){.name = "link.db"}, &db, &d), ERR_OK);
}

/* A statement whose rows somebody has is not another's; more of them than are kept come and go. */
static void test_kept(void **state) {
    struct db *db;
    struct diag d = DIAG_INIT;
    struct db_rows *rows[8];
    assert_int_equal(db_open(&(struct db_options){.name = ":memory:", .statements = 3}, &db, &d), ERR_OK);
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++)
            assert_int_equal(db_query(db, &rows[i], &d,
                                      "with recursive c(n) as (values (?) union all select n + 1 from c) select n from c limit 9",
                                      DB_I64(i)),
                             ERR_OK);
        for (uint32_t k = 0; k < 9; k++)
            for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) assert_true(db_next(rows[i]) && db_i64(rows[i], 0) == i + k);
        for (uint32_t i = 0; i < ARRAY_COUNT(rows); i++) assert_int_equal(db_end(rows[i], &d), ERR_OK);
        for (int i = 0; i < 20; i++) {
            char sql[32];
            snprintf(sql, sizeof sql, "select %d", i);
            assert_int_equal(db_run(db, &d, sql), ERR_OK);
        }
    }
    db_close(db);
}

static void test_transactions(void **state) {
    struct db *db = open_db();
    struct diag d = DIAG_INIT;
    assert_int_equal(db_begin(db, &d), ERR_OK);
    assert_true(db_in_transaction(db));
    assert_int_equal(db_run(db, &d, "insert into t (k) values ('a')"), ERR_OK);
    db_rollback(db);
    assert_true(!db_in_transaction(db) && count(db) == 0);
    db_rollback(db);
    assert_int_equal(db_begin(db, &d), ERR_OK);
    assert_int_equal(db_run(db, &d, "insert into t (k) values ('a')"), ERR_OK);
    assert_int_equal(db_commit(db, &d), ERR_OK);
    assert_int_equal(count(db), 1);
    assert_int_equal(db_checkpoint(db, &d), ERR_OK);
    db_close(db);
    struct stat st;
    assert_true(stat("x.db", &st) == 0 && st.st_size >= 4096);
}

static void test_versions(void **state) {
    struct db *db;
    struct diag d = DIAG_INIT;
    uint32_t version;
    assert_int_equal(db_open(&(struct db_options){.name = "x.db", .create = true}, &db, &d), ERR_OK);
    assert_int_equal(db_upgrade(db, steps, 1, &d), ERR_OK);
    assert_int_equal(db_run(db, &d, "insert into t (k) values ('a')"), ERR_OK);
    static const char *const broken[] = {"select 1", "alter table t add column n integer", "this fails"};
    assert_int_equal(db_upgrade(db, broken, 3, &d), ERR_USAGE); /* of several steps none was done */
    assert_int_equal(db_version(db, &version, &d), ERR_OK);
    assert_int_equal(version, 1);
    d = (struct diag)DIAG_INIT;
    assert_int_equal(db_upgrade(db, steps, 2, &d), ERR_OK);
    assert_int_equal(db_upgrade(db, steps, 2, &d), ERR_OK);
    assert_int_equal(db_upgrade(db, steps, 1, &d), ERR_UNSUPPORTED);
    assert_non_null(strstr(d.text, "format 2, this one knows 1"));
    assert_int_equal(count(db), 1);
    db_close(db);
}

/* What was committed is there after kill -9, what was not is not, however often. */
static void test_killed(void **state) {
    for (int64_t round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct db *db = open_db();
            struct diag d = DIAG_INIT;
            if (db_run(db, &d, "insert into t (k) values (?)", DB_TEXT(((str){(uint8_t *)&round, 1}))) != ERR_OK) _exit(1);
            if (db_begin(db, &d) != ERR_OK || db_run(db, &d, "insert into t (k) values ('not')") != ERR_OK) _exit(1);
            kill(getpid(), SIGKILL);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        struct db *db = open_db();
        assert_int_equal(count(db), round + 1);
        db_close(db);
    }
}

static void test_full(void **state) {
    struct db *db;
    struct diag d = DIAG_INIT;
    assert_int_equal(db_open(&(struct db_options){.name = "x.db", .create = true, .bytes_max = 64 * KiB}, &db, &d), ERR_OK);
    assert_int_equal(db_upgrade(db, steps, 1, &d), ERR_OK);
    assert_int_equal(db_run(db, &d, "insert into t values ('a', zeroblob(100000))"), ERR_LIMIT);
    assert_non_null(strstr(d.text, "64 KiB"));
    assert_int_equal(count(db), 0);
    assert_int_equal(db_run(db, &d, "insert into t values ('a', zeroblob(10000))"), ERR_OK);
    db_close(db);
}

/* ---- a guest's ---- */

static unsigned asked, steps_left;
static bool may(void *arg, enum db_act act, str a, str b) {
    asked++;
    return !(act == DB_ACT_WRITE && str_eqc(a, "ours")) && act != DB_ACT_TRANSACTION;
}
static bool goes_on(void *arg) { return steps_left && steps_left--; }

static void test_guest(void **state) {
    struct db *db;
    const struct db_options options = {
        .name = "g.db", .create = true, .guest = true, .may = may, .goes_on = goes_on, .steps = 1000};
    steps_left = 1000;
    struct diag d = DIAG_INIT;
    assert_int_equal(db_open(&options, &db, &d), ERR_OK);
    assert_int_equal(db_begin(db, &d), ERR_OK); /* the caller's own */
    assert_int_equal(db_run(db, &d, "create table ours (x)"), ERR_OK);
    assert_int_equal(db_commit(db, &d), ERR_OK);
    const struct {
        const char *sql;
        err says;
    } cases[] = {
        {"create table mine (x, y)", ERR_OK},
        {"insert into mine values (1, 'a')", ERR_OK},
        {"insert into ours values (1)", ERR_DENIED},
        {"begin immediate", ERR_DENIED},
        {"commit", ERR_DENIED},
        {"attach 'x.db' as x", ERR_DENIED},
        {"vacuum into 'y.db'", ERR_DENIED},
        {"pragma journal_mode = off", ERR_DENIED},
        {"pragma table_info(mine)", ERR_OK},
        {"pragma user_version = 3", ERR_OK},
        {"pragma max_page_count = 1000000", ERR_DENIED},
        {"pragma writable_schema = 1", ERR_DENIED},
        {"pragma temp_store_directory = '/tmp'", ERR_DENIED},
        {"select load_extension('x')", ERR_DENIED},
        {"select zeroblob(100000000)", ERR_LIMIT},
        {"update sqlite_schema set sql = 'x'", ERR_USAGE},
        {"with recursive c(n) as (values (1) union all select n + 1 from c) select count(*) from c", ERR_LIMIT},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        d = (struct diag)DIAG_INIT;
        err e = db_run(db, &d, cases[i].sql);
        if (e != cases[i].says) fail_msg("%s: %s %s", cases[i].sql, err_name(e), d.text);
    }
    assert_non_null(strstr(d.text, "too long"));
    assert_true(asked > 10);
    steps_left = 1000;
    assert_int_equal(db_run(db, &d, "select * from mine"), ERR_OK);
    db_close(db);
    assert_int_equal(access("y.db", F_OK), -1);
}

/* ---- functions.c against SQLite's own ---- */

static uint64_t seed = 7;
static uint32_t below(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* A value as SQL text: of few different characters, so that they meet; at times a blob, a number, null. */
static void put_value(struct buf *b, uint32_t most) {
    static const char *const bits[] = {"61", "62", "c3a9", "e282ac", "20", "61", "f09f9880"};
    uint32_t kind = below(12), n = below(most);
    if (kind == 0) {
        buf_puts(b, STR("null"));
        return;
    }
    if (kind == 1) {
        buf_printf(b, "%u", below(200));
        return;
    }
    buf_puts(b, kind < 4 ? STR("x'") : STR("cast(x'"));
    for (uint32_t i = 0; i < n; i++) buf_puts(b, str_c(bits[below(ARRAY_COUNT(bits))]));
    buf_puts(b, kind < 4 ? STR("'") : STR("' as text)"));
}

static void answer(struct db *db, const char *sql, char *to, size_t max) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    to[0] = 0;
    if (db_query(db, &rows, &d, sql) != ERR_OK) fail_msg("%s: %s", sql, d.text);
    while (db_next(rows)) snprintf(to, max, STR_FMT, STR_ARG(db_str(rows, 0)));
    assert_int_equal(db_end(rows, &d), ERR_OK);
}

static void test_functions(void **state) {
    static const struct {
        const char *name;
        int arguments;
    } rows[] = {{"instr", 2}, {"replace", 3}, {"trim", 1}, {"trim", 2}, {"ltrim", 1}, {"ltrim", 2}, {"rtrim", 1}, {"rtrim", 2}};
    struct db *own, *theirs;
    struct diag d = DIAG_INIT;
    char a[4096], b[4096];
    const struct db_options guest = {.name = ":memory:", .create = true, .guest = true},
                            plain = {.name = ":memory:", .create = true};
    assert_int_equal(db_open(&guest, &own, &d), ERR_OK);
    assert_int_equal(db_open(&plain, &theirs, &d), ERR_OK);
    for (int i = 0; i < 4000; i++) {
        size_t row = below(ARRAY_COUNT(rows));
        struct buf sql = {0};
        buf_printf(&sql, "with v as (select %s(", rows[row].name);
        for (int k = 0; k < rows[row].arguments; k++) {
            if (k) buf_putc(&sql, ',');
            put_value(&sql, k ? 4 : 20);
        }
        buf_puts(&sql, STR(") as x) select typeof(x) || ' ' || quote(x) from v"));
        buf_putc(&sql, 0);
        answer(own, (const char *)sql.p, a, sizeof a);
        answer(theirs, (const char *)sql.p, b, sizeof b);
        if (strcmp(a, b) != 0) fail_msg("%s: %s is not %s", (const char *)sql.p, a, b);
        buf_free(&sql);
    }
    /* What takes SQLite's own hours. */
    answer(own, "select cast(instr(zeroblob(4000000), zeroblob(2000000) || x'01') as text)", a, sizeof a);
    assert_string_equal(a, "0");
    answer(own, "select cast(length(replace(printf('%.*c', 4000000, 'a'), printf('%.*c', 1000000, 'a') || 'b', 'c')) as text)", a,
           sizeof a);
    assert_string_equal(a, "4000000");
    answer(own, "select cast(length(trim(printf('%.*c', 2000000, 'a'), printf('%.*c', 1000000, 'b') || 'a')) as text)", a,
           sizeof a);
    assert_string_equal(a, "0");
    db_close(own);
    db_close(theirs);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_values),       TEST(test_errors),   TEST(test_kept),
                                       TEST(test_transactions), TEST(test_versions), TEST(test_killed),
                                       TEST(test_full),         TEST(test_guest),    TEST(test_functions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
