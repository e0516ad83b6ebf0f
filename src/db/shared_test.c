/* shared: two processes and one database. The second one is this program again, which is given three descriptors and told what to do, a word a line. */
#include "db/db.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* ---- the reader ---- */

enum { FILES_AT = 10 };
static uint32_t slow_reads;
static ssize_t read_slowly(int fd, void *p, size_t n, int64_t at) {
    slow_reads++;
    return pread(fd, p, n, at);
}

static struct db *open_reader(struct db_files *files) {
    struct db *db = NULL;
    struct diag d = DIAG_INIT;
    err e = db_open(&(struct db_options){.sharing = DB_READER, .files = files, .cache_kib = 64}, &db, &d);
    if (e != ERR_OK) fprintf(stderr, "reader: %s: %s\n", err_name(e), d.text);
    return db;
}

static int64_t count(struct db *db) {
    int64_t n = -1;
    struct diag d = DIAG_INIT;
    err e = db_one_i64(db, &n, &d, "select count(*) from t");
    if (e != ERR_OK) fprintf(stderr, "count: %s: %s\n", err_name(e), d.text);
    return n;
}

/* In a transaction; or why it does not begin, negative. */
static int64_t count_within(struct db *db) {
    struct diag d = DIAG_INIT;
    err e = db_begin(db, &d);
    int64_t n = e == ERR_OK ? count(db) : -(int64_t)e;
    if (e == ERR_OK && db_commit(db, &d) != ERR_OK) n = -1000;
    return n;
}

/* All that a process with these descriptors could try. How much of it went well. */
static int write_everything(struct db *db) {
    struct diag d = DIAG_INIT;
    int wrote = db_run(db, &d, "insert into t (v) values ('x')") == ERR_OK;
    wrote += db_run(db, &d, "create table u (x)") == ERR_OK;
    for (int fd = FILES_AT; fd < FILES_AT + 3; fd++) {
        wrote += pwrite(fd, "x", 1, 0) >= 0;
        wrote += ftruncate(fd, 0) == 0;
        wrote += fcntl(fd, F_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1}) == 0;
    }
    return wrote;
}

static int read_for_another(void) {
    char word[32];
    struct db_files *files = db_files_new(FILES_AT, FILES_AT + 1, FILES_AT + 2);
    struct db *dbs[2] = {open_reader(files), open_reader(files)};
    struct db_rows *rows = NULL;
    struct diag d = DIAG_INIT;
    if (!dbs[0] || !dbs[1]) return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (fgets(word, sizeof word, stdin)) {
        switch (word[0]) {
        case 'c': printf("%lld\n", (long long)count(dbs[0])); break;
        case '2': printf("%lld\n", (long long)count(dbs[1])); break;
        case 't': printf("%lld\n", (long long)count_within(dbs[0])); break;
        case 'w': printf("%d\n", write_everything(dbs[0])); break;
        case 'h': /* holds a snapshot */
            printf("%d\n", db_query(dbs[0], &rows, &d, "select v from t") == ERR_OK && db_next(rows));
            break;
        case 'l': printf("%d\n", db_end(rows, &d)); break;
        case 'a': /* one of two connections goes, and takes no lock of the other's along */
            db_close(dbs[1]);
            dbs[1] = open_reader(files);
            printf("%d\n", dbs[1] != NULL);
            break;
        case 's':
            db_read_slow(read_slowly);
            printf("%lld\n", (long long)count(dbs[1]));
            break;
        default: printf("?\n");
        }
    }
    db_close(dbs[0]);
    db_close(dbs[1]);
    db_files_free(files);
    return 0;
}

/* ---- the writer ---- */

static char folder[64];
static int above;
static struct db *db;
static struct reader {
    pid_t pid;
    FILE *to, *from;
} reader;

static int set_up(void **state) {
    struct diag d = DIAG_INIT;
    snprintf(folder, sizeof folder, "/tmp/orlo-shared-XXXXXX");
    assert_non_null(mkdtemp(folder));
    above = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(db_open(&(struct db_options){.name = "x.db", .create = true, .sharing = DB_WRITER}, &db, &d), ERR_OK);
    assert_int_equal(db_script(db, "create table t (id integer primary key, v text) strict", &d), ERR_OK);
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    if (reader.pid) {
        fclose(reader.to), fclose(reader.from);
        waitpid(reader.pid, NULL, 0);
        reader.pid = 0;
    }
    db_close(db);
    assert_int_equal(fchdir(above), 0);
    close(above);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

static void start_reader(void) {
    int to[2], from[2], files[3];
    struct diag d = DIAG_INIT;
    assert_int_equal(db_files_of(db, files, &d), ERR_OK);
    assert_true(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0);
    reader.pid = fork();
    if (reader.pid == 0) {
        int kept[3];
        dup2(to[0], STDIN_FILENO);
        dup2(from[1], STDOUT_FILENO);
        for (int i = 0; i < 3; i++) kept[i] = fcntl(files[i], F_DUPFD, 100);
        for (int i = 0; i < 3; i++) dup2(kept[i], FILES_AT + i), close(kept[i]);
        execl("/proc/self/exe", "reader", "reader", NULL);
        _exit(1);
    }
    close(to[0]), close(from[1]);
    reader.to = fdopen(to[1], "w");
    reader.from = fdopen(from[0], "r");
}

static int64_t told(const char *word) {
    char line[64] = "";
    fprintf(reader.to, "%s\n", word);
    fflush(reader.to);
    if (!fgets(line, sizeof line, reader.from)) fail_msg("the reader is gone at %s", word);
    return atoll(line);
}

static void insert(int n) {
    struct diag d = DIAG_INIT;
    assert_int_equal(db_begin(db, &d), ERR_OK);
    while (n--) assert_int_equal(db_run(db, &d, "insert into t (v) values (hex(randomblob(500)))"), ERR_OK);
    assert_int_equal(db_commit(db, &d), ERR_OK);
}

static void test_reads(void **state) {
    struct diag d = DIAG_INIT;
    insert(10);
    start_reader();
    assert_int_equal(told("c"), 10);
    insert(1);
    assert_int_equal(told("c"), 11);
    assert_int_equal(db_begin(db, &d), ERR_OK);
    assert_int_equal(db_run(db, &d, "delete from t"), ERR_OK);
    assert_int_equal(told("c"), 11); /* of what is not committed nothing */
    db_rollback(db);
    assert_int_equal(db_checkpoint(db, &d), ERR_OK); /* the log is empty */
    assert_int_equal(told("c"), 11);
    insert(1);
    assert_int_equal(told("c"), 12);
    assert_int_equal(told("2"), 12);
    assert_int_equal(db_script(db, "alter table t add column n integer", &d), ERR_OK); /* another schema */
    assert_int_equal(told("c"), 12);
    assert_int_equal(told("s"), 12);
}

static void test_cannot_write(void **state) {
    insert(3);
    start_reader();
    assert_int_equal(told("w"), 0);
    insert(1);
    assert_int_equal(told("c"), 4);
}

/* The writer ends and comes back, by itself and by a kill; who reads goes on. */
static void test_writer_comes_back(void **state) {
    struct stat st;
    struct diag d = DIAG_INIT;
    insert(5);
    start_reader();
    assert_int_equal(told("c"), 5);
    db_close(db);
    db = NULL;
    assert_true(stat("x.db-wal", &st) == 0 && stat("x.db-shm", &st) == 0);
    assert_int_equal(told("c"), 5);
    for (int round = 1; round <= 5; round++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (db_open(&(struct db_options){.name = "x.db", .sharing = DB_WRITER}, &db, &d) != ERR_OK) _exit(1);
            if (db_run(db, &d, "insert into t (v) values ('a')") != ERR_OK) _exit(1);
            if (db_begin(db, &d) != ERR_OK || db_run(db, &d, "delete from t") != ERR_OK) _exit(1);
            kill(getpid(), SIGKILL);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(told("c"), 5 + round);
    }
    assert_int_equal(db_open(&(struct db_options){.name = "x.db", .sharing = DB_WRITER}, &db, &d), ERR_OK);
    assert_int_equal(count(db), 10);
    insert(1);
    assert_int_equal(told("c"), 11);
}

/* What a reader still reads keeps the log from going on, and nobody waits for it; then it begins anew. */
static void test_checkpoint(void **state) {
    struct db_wal wal;
    struct diag d = DIAG_INIT;
    insert(100);
    start_reader();
    assert_int_equal(told("h"), 1);
    insert(100);
    struct db_wal before = db_wal(db);
    assert_true(before.frames > 20 && !before.done);
    assert_int_equal(db_checkpoint_some(db, &wal, &d), ERR_OK);
    assert_true(wal.frames == before.frames && wal.done < wal.frames);
    assert_int_equal(told("a"), 1);
    assert_int_equal(db_checkpoint_some(db, &wal, &d), ERR_OK);
    assert_true(wal.done < wal.frames);
    assert_int_equal(told("l"), 0);
    struct db *other; /* as a thread of the writer's has it */
    assert_int_equal(db_open(&(struct db_options){.name = "x.db", .sharing = DB_WRITER}, &other, &d), ERR_OK);
    assert_int_equal(db_checkpoint_some(other, &wal, &d), ERR_OK);
    assert_true(wal.done == wal.frames);
    db_close(other);
    insert(1);
    assert_true(db_wal(db).frames < before.frames && !db_wal(db).done);
    assert_int_equal(told("c"), 201);
}

/* ---- rows as they change ---- */

static struct buf seen;

static void put(struct db_value v) {
    if (v.kind == DB_INTEGER) buf_printf(&seen, "%lld", (long long)v.i);
    else if (v.kind == DB_TEXTUAL) buf_puts(&seen, v.s);
    else buf_puts(&seen, v.kind == DB_NULL ? STR("-") : STR("?"));
    buf_putc(&seen, ' ');
}

static void see(void *arg, const struct db_change *c) {
    buf_printf(&seen, "%c%s ", "+~-"[c->kind], c -> table);
    for (uint32_t i = 0; i < c->columns; i++) put(db_change_before(c, i));
    for (uint32_t i = 0; i < c->columns; i++) put(db_change_after(c, i));
    buf_puts(&seen, STR("| "));
}

static void test_watch(void **state) {
    struct diag d = DIAG_INIT;
    const char *const statements[] = {
        "create table p (id integer primary key, n text unique) strict",
        "create table c (id integer primary key, p integer references p on delete cascade) strict",
        "create table k (a text, b text, primary key (a, b)) strict, without rowid",
        "insert into p values (1, 'a'), (2, 'b')",
        "insert into c (p) values (1), (1), (2)",
        "insert into k values ('x', 'y')",
        "update p set n = 'c' where id = 2",
        "update k set b = 'z'",
        "insert or replace into p values (3, 'c')",
        "delete from p where id = 1",
        "delete from k",
        "create temp table u (x)",
        "insert into u values (1)",
    };
    for (size_t i = 0; i < ARRAY_COUNT(statements); i++) {
        if (i == 3) db_watch(db, see, NULL);
        if (db_run(db, &d, statements[i]) != ERR_OK) fail_msg("%s: %s", statements[i], d.text);
    }
    buf_putc(&seen, 0);
    assert_string_equal((const char *)seen.p, "+p - - 1 a | +p - - 2 b | +c - - 1 1 | +c - - 2 1 | +c - - 3 2 | +k - - x y | "
                                              "~p 2 b 2 c | ~k x y x z | -p 2 c - - | -c 3 2 - - | +p - - 3 c | "
                                              "-p 1 a - - | -c 1 1 - - | -c 2 1 - - | -k x z - - | ");
    buf_free(&seen);
    db_watch(db, NULL, NULL);
    assert_int_equal(db_run(db, &d, "delete from p"), ERR_OK);
    assert_int_equal(seen.n, 0);
}

/* ---- a reader that comes while the log begins anew ---- */

enum {
    INFO_AT = 96,
    MARKS = 5
}; /* of the index: behind its two headers stand what is in the file, and what is read (walformat.html, 2.3) */
static struct { uint32_t *info, was[1 + MARKS]; } torn;

static void *mend_soon(void *arg) {
    nanosleep(&(struct timespec){.tv_nsec = 3'000'000}, NULL);
    for (int i = 1; i < MARKS; i++) __atomic_store_n(&torn.info[1 + i], torn.was[1 + i], __ATOMIC_SEQ_CST);
    return NULL;
}

/* Every mark is past the log's end, as between the two writes by which it begins anew. */
static void tear(void) {
    for (int i = 1; i < MARKS; i++) __atomic_store_n(&torn.info[1 + i], UINT32_MAX, __ATOMIC_SEQ_CST);
}

static void test_torn(void **state) {
    pthread_t soon;
    insert(3);
    start_reader();
    assert_int_equal(told("t"), 3);
    int index = open("x.db-shm", O_RDWR | O_CLOEXEC);
    uint8_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, index, 0);
    assert_true(p != MAP_FAILED);
    torn.info = (uint32_t *)(p + INFO_AT);
    memcpy(torn.was, torn.info, sizeof torn.was);
    tear();
    uint64_t since = clock_mono_ns();
    assert_int_equal(told("t"), -ERR_DENIED);         /* nobody mends it: it is said in the end */
    assert_true(clock_mono_ns() - since > 5'000'000); /* that it was waited for */
    assert_int_equal(pthread_create(&soon, NULL, mend_soon, NULL), 0);
    int64_t got = told("t");
    for (int i = 0; i < 1000 && got < 0; i++) got = told("t"); /* whoever mends it may be slow to start */
    assert_int_equal(got, 3);
    pthread_join(soon, NULL);
    munmap(p, 4096);
    close(index);
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "reader")) return read_for_another();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {TEST(test_reads),      TEST(test_cannot_write), TEST(test_writer_comes_back),
                                       TEST(test_checkpoint), TEST(test_watch),        TEST(test_torn)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
