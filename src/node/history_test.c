/* A database with a history is written to at random, its log goes into its file, it is closed, and killed; then an image of any moment is made what it
 * was at any later one, and is that byte by byte. Damage, gaps and other databases' histories are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "db/db.h"
#include "crypto/crypto.h"
#include "node/history.h"
#include "node/wal.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static struct db *db;
static struct history *history;
static uint64_t bytes_max, seed;
static arena *mem;

static uint32_t any(uint32_t n) {
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

static uint64_t now_ms(void) { return clock_wall_ns() / 1'000'000u; }

static void open_all(void) {
    struct diag d = DIAG_INIT;
    int fds[3];
    assert_int_equal(
        db_open(&(struct db_options){.name = "x/app.db", .create = true, .quick = true, .sharing = DB_WRITER}, &db, &d), ERR_OK);
    assert_int_equal(db_script(db, "create table if not exists t (id integer primary key, v blob) strict", &d), ERR_OK);
    assert_int_equal(db_files_of(db, fds, &d), ERR_OK);
    struct history_options o = {"x/app.db", fds[0], fds[1], bytes_max, 3'600'000};
    assert_int_equal(node_history_open(&o, &history, &d), ERR_OK);
    assert_int_equal(node_history_take(history, false, &d), ERR_OK);
}

static int set_up(void **state) {
    snprintf(folder, sizeof folder, "/tmp/orlo-history-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(mkdir("x", 0700), 0);
    mem = arena_new(0);
    bytes_max = 1 * GiB;
    open_all();
    return 0;
}

static int tear_down(void **state) {
    char command[128];
    node_history_close(history);
    db_close(db);
    history = NULL, db = NULL;
    arena_free(mem);
    assert_int_equal(chdir("/"), 0);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* ---- what it is now ---- */

struct moment {
    str image;
    uint64_t at_ms;
    struct history_position position;
};

static struct moment moment_now(void) {
    struct diag d = DIAG_INIT;
    struct moment m = {.at_ms = now_ms()};
    struct wal_image im;
    struct wal_end end;
    int main = open("x/app.db", O_RDONLY), wal = open("x/app.db-wal", O_RDONLY), dir = open("x", O_RDONLY | O_DIRECTORY);
    assert_true(main >= 0 && wal >= 0 && dir >= 0);
    assert_true(node_history_end(dir, "app.db", &m.position));
    if (node_wal_end(wal, &end)) m.position.frames = end.frames, memcpy(m.position.salts, end.salts, sizeof end.salts);
    assert_int_equal(node_wal_image(mem, main, wal, WAL_ALL, NULL, &im, &d), ERR_OK);
    m.image = (str){arena_alloc(mem, im.bytes, 1), im.bytes};
    assert_int_equal(node_wal_read(&im, (uint8_t *)(uintptr_t)m.image.p, im.bytes, 0, &d), ERR_OK);
    close(dir); /* a descriptor of the file's is not closed: its locks would go */
    return m;
}

/* ---- what is done to it ---- */

static void write_something(void) {
    struct diag d = DIAG_INIT;
    uint8_t bytes[9000];
    assert_int_equal(db_begin(db, &d), ERR_OK);
    for (uint32_t n = 1 + any(any(8) ? 3 : 200); n; n--) {
        memset(bytes, (int)any(256), sizeof bytes);
        str v = {bytes, any(any(4) ? 100 : sizeof bytes)};
        uint32_t id = any(500);
        if (any(5)) assert_int_equal(db_run(db, &d, "insert or replace into t values (?, ?)", DB_I64(id), DB_BLOB(v)), ERR_OK);
        else assert_int_equal(db_run(db, &d, "delete from t where id between ? and ? + 20", DB_I64(id), DB_I64(id)), ERR_OK);
    }
    if (!any(10)) {
        db_rollback(db);
        return;
    }
    assert_int_equal(db_commit(db, &d), ERR_OK);
    node_history_note(history, db_wal(db).frames);
    poll(NULL, 0, 2); /* each has a time of its own */
}

static void take(void) {
    struct diag d = DIAG_INIT;
    if (node_history_take(history, any(2), &d) != ERR_OK) fail_msg("%s", d.text);
    assert_false(node_history_behind(history));
}

static void checkpoint(void) {
    struct diag d = DIAG_INIT;
    struct db_wal wal;
    take();
    assert_int_equal(db_checkpoint_some(db, &wal, &d), ERR_OK);
}

static void close_and_open(void) {
    struct diag d = DIAG_INIT;
    take();
    assert_int_equal(db_checkpoint(db, &d), ERR_OK);
    node_history_close(history);
    db_close(db);
    open_all();
}

/* What was not taken is in the log, and is taken by the next one. */
static void die(void) {
    node_history_close(history);
    db_close(db);
    open_all();
}

/* ---- going back ---- */

static char **segments_of(uint32_t *n) {
    VEC(char *) all = {0};
    DIR *dir = opendir("x");
    for (struct dirent *e; (e = readdir(dir));)
        if (node_history_is_segment(e->d_name)) vec_push(mem, &all, arena_cstr(mem, arena_fmt(mem, "x/%s", e->d_name)));
    closedir(dir);
    *n = all.n;
    return all.p;
}

static bool whole;
static err go(const struct moment *from, uint64_t until_ms, str *image, uint64_t *reached, struct diag *d) {
    uint32_t n;
    char **segments = segments_of(&n);
    int fd = open("back.db", O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_int_equal(write(fd, from->image.p, from->image.n), from->image.n);
    err e = node_history_apply(fd, &from->position, (const char *const *)segments, n, until_ms, reached, &whole, d);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    uint8_t *p = arena_alloc(mem, (size_t)st.st_size + 1, 1);
    assert_int_equal(pread(fd, p, (size_t)st.st_size, 0), st.st_size);
    *image = (str){p, (size_t)st.st_size};
    close(fd);
    return e;
}

static bool same_generation(const struct moment *a, const struct moment *b) {
    return !memcmp(a->position.generation, b->position.generation, HISTORY_GENERATION_BYTES);
}

static void write_at_random(struct moment *moments, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        write_something();
        switch (any(12)) {
        case 0:
        case 1:
        case 2: take(); break;
        case 3:
        case 4: checkpoint(); break;
        case 5: close_and_open(); break;
        case 6: die(); break;
        default: break;
        }
        moments[i] = moment_now();
        poll(NULL, 0, 2);
    }
    take();
}

enum { MOMENTS = 120 };
static void test_any_moment(void **state) {
    static struct moment moments[MOMENTS];
    uint32_t went = 0, n;
    seed = getenv("ORLO_SEED") ? strtoul(getenv("ORLO_SEED"), NULL, 10) : clock_mono_ns();
    print_message("             seed %llu\n", (unsigned long long)seed);
    write_at_random(moments, MOMENTS);
    segments_of(&n);
    for (uint32_t i = 0; i < 200; i++) {
        struct diag d = DIAG_INIT;
        str image;
        uint64_t reached;
        uint32_t from = any(MOMENTS), to = from + any(MOMENTS - from);
        assert_int_equal(go(&moments[from], moments[to].at_ms, &image, &reached, &d), ERR_OK);
        assert_true(reached <= moments[to].at_ms);
        assert_true(whole);
        if (!str_eq(image, moments[to].image)) fail_msg("from %u to %u it is another database", from, to);
        went++;
    }
    print_message("             %u segments, %u times back\n", n, went);
    assert_int_equal(went, 200); /* nothing of it begins another generation */
}

/* A commit that changed nothing, first after an opening: it is in no log. */
static void test_nothing_changed(void **state) {
    seed = 4;
    for (int i = 0; i < 3; i++) write_something();
    take();
    close_and_open();
    struct diag d = DIAG_INIT;
    assert_int_equal(db_begin(db, &d), ERR_OK);
    assert_int_equal(db_run(db, &d, "delete from t where id = -1"), ERR_OK);
    assert_int_equal(db_commit(db, &d), ERR_OK);
    node_history_note(history, db_wal(db).frames);
    take();
}

/* An hour later: all there is. */
static void test_to_its_end(void **state) {
    static struct moment moments[8];
    struct diag d = DIAG_INIT;
    str image;
    uint64_t reached;
    seed = 3;
    struct moment first = moment_now();
    write_at_random(moments, 8);
    assert_int_equal(go(&first, now_ms() + 3'600'000, &image, &reached, &d), ERR_OK);
    assert_true(str_eq(image, moments[7].image));
}

static void test_too_much_is_kept(void **state) {
    static struct moment moments[60];
    uint32_t n = 0, before;
    seed = 5;
    write_at_random(moments, 60);
    segments_of(&before);
    assert_int_equal(before, 1);
    node_history_close(history);
    db_close(db);
    bytes_max = 6 * MiB;
    open_all();
    for (uint32_t i = 0; i < 400 && n < 3; i++) {
        for (int k = 0; k < 10; k++) write_something();
        take();
        segments_of(&n);
        assert_true(n <= 3);
    }
    struct diag d = DIAG_INIT;
    str image;
    uint64_t reached;
    while (n > 1) { /* the first one goes */
        write_something(), take();
        uint32_t now;
        char **names = segments_of(&now);
        bool has_first = false;
        for (uint32_t i = 0; i < now; i++) has_first |= str_ends(str_c(names[i]), STR("-000000000001"));
        if (!has_first) break;
    }
    /* What has gone is not made up: nothing is applied. */
    assert_int_equal(go(&moments[3], now_ms(), &image, &reached, &d), ERR_OK);
    assert_int_equal(reached, 0);
    assert_false(whole);
    assert_true(str_eq(image, moments[3].image));
}

static void test_damage(void **state) {
    static struct moment moments[20];
    struct diag d = DIAG_INIT;
    str image;
    uint64_t reached;
    uint32_t n;
    seed = 7;
    struct moment first = moment_now();
    write_at_random(moments, 20);
    char **segments = segments_of(&n);
    assert_int_equal(n, 1);
    int fd = open(segments[0], O_RDWR);
    off_t half = lseek(fd, 0, SEEK_END) / 2;
    uint8_t b;
    assert_int_equal(pread(fd, &b, 1, half), 1);
    b ^= 1;
    assert_int_equal(pwrite(fd, &b, 1, half), 1);
    close(fd);
    assert_int_equal(go(&first, now_ms(), &image, &reached, &d), ERR_MALFORMED);
    assert_non_null(strstr(d.text, "damaged"));
}

/* Of a backup that somebody has made up: a page may have any number, and nothing is as large as that for it. */
static void test_page_of_any_number(void **state) {
    enum { HEAD = 64, RECORD = 64, BYTES_AT = 4, FLAGS_AT = 44, SUM_AT = 48, SUM = 16, LAST = 1, MARK = 2 };
    struct diag d = DIAG_INIT;
    const struct {
        uint32_t page, runs;
        uint64_t sum;
    } change = {UINT32_MAX, 0, 1};
    str image;
    uint64_t reached, at = HEAD;
    uint32_t n, bytes = 0, flags, few = sizeof change;
    uint8_t record[RECORD], digest[CRYPTO_SHA256_BYTES];
    seed = 21;
    struct moment first = moment_now();
    write_something(), take();
    char **segments = segments_of(&n);
    assert_int_equal(n, 1);
    int fd = open(segments[0], O_RDWR);
    for (;; at += RECORD + bytes) {
        assert_int_equal(pread(fd, record, RECORD, (off_t)at), RECORD);
        memcpy(&bytes, record + BYTES_AT, 4), memcpy(&flags, record + FLAGS_AT, 4);
        if (!(flags & MARK)) break;
    }
    flags |= LAST;
    memcpy(record + BYTES_AT, &few, 4), memcpy(record + FLAGS_AT, &flags, 4);
    struct crypto_sha256_stream *sum = crypto_sha256_begin();
    crypto_sha256_add(sum, (str){record, SUM_AT}), crypto_sha256_add(sum, (str){(const uint8_t *)&change, sizeof change});
    crypto_sha256_end(sum, digest);
    memcpy(record + SUM_AT, digest, SUM);
    assert_int_equal(pwrite(fd, record, RECORD, (off_t)at), RECORD);
    assert_int_equal(pwrite(fd, &change, sizeof change, (off_t)at + RECORD), sizeof change);
    assert_int_equal(ftruncate(fd, (off_t)at + RECORD + (off_t)sizeof change), 0);
    close(fd);
    assert_int_equal(go(&first, now_ms(), &image, &reached, &d), ERR_OK);
    assert_true(reached);
    assert_true(image.n < 64 * MiB);
}

/* Exchanged under it, or written without it: no record says what became of it, and none is applied across that. */
static void test_written_without_it(void **state) {
    struct diag d = DIAG_INIT;
    str image;
    uint64_t reached;
    seed = 9;
    write_something(), take();
    struct moment first = moment_now();
    assert_int_equal(db_checkpoint(db, &d), ERR_OK);
    node_history_close(history);
    assert_int_equal(db_run(db, &d, "delete from t"), ERR_OK);
    assert_int_equal(db_checkpoint(db, &d), ERR_OK);
    db_close(db);
    open_all();
    write_something(), take();
    struct moment last = moment_now();
    assert_false(same_generation(&first, &last));
    assert_int_equal(go(&first, now_ms(), &image, &reached, &d), ERR_OK);
    assert_true(str_eq(image, first.image));
    assert_false(whole);
}

/* ---- killed ---- */

/* Takes in a process that is killed when a file of the history would become longer than that. True: it was. */
static bool killed_at(rlim_t bytes) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (!child) {
        struct diag d = DIAG_INIT;
        signal(SIGXFSZ, SIG_DFL);
        if (setrlimit(RLIMIT_CORE, &(struct rlimit){0}) || setrlimit(RLIMIT_FSIZE, &(struct rlimit){bytes, bytes})) _exit(2);
        _exit(node_history_take(history, true, &d) != ERR_OK);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) assert_int_equal(status, 0);
    return WIFSIGNALED(status);
}

/* A commit of so many pages, as its writer acknowledges it. */
static void write_pages(uint32_t n) {
    struct diag d = DIAG_INIT;
    uint8_t bytes[4000];
    assert_int_equal(db_begin(db, &d), ERR_OK);
    for (uint32_t i = 0; i < n; i++) {
        for (size_t k = 0; k < sizeof bytes; k++) bytes[k] = (uint8_t)any(256);
        assert_int_equal(
            db_run(db, &d, "insert or replace into t values (?, ?)", DB_I64(i), DB_BLOB(((str){bytes, sizeof bytes}))), ERR_OK);
    }
    assert_int_equal(db_commit(db, &d), ERR_OK);
    node_history_note(history, db_wal(db).frames);
    poll(NULL, 0, 2);
}

static uint64_t newest_bytes(void) {
    uint64_t most = 0, newest = 0;
    uint32_t n;
    char **names = segments_of(&n);
    for (uint32_t i = 0; i < n; i++) {
        struct stat st;
        uint64_t first = strtoull(names[i] + strlen(names[i]) - 12, NULL, 16);
        if (first >= newest && stat(names[i], &st) == 0) newest = first, most = (uint64_t)st.st_size;
    }
    return most;
}

enum { HEAD_BYTES = 64, FULL_PAGES = 1100 /* more than a segment takes before the next one begins */ };

/* Killed at some byte of what a take writes, with several commits to be taken: into a segment that goes on, or that begins. Commits come behind that. What is
 * opened then goes on without a gap, and each moment is there. */
static void kill_at(uint64_t bytes, bool full, bool anew) {
    struct diag d = DIAG_INIT;
    struct moment moments[5];
    str image;
    uint64_t reached, begins;
    write_pages(full ? FULL_PAGES : 3), take();
    if (anew) checkpoint();
    moments[0] = moment_now();
    begins = full ? 0 : newest_bytes();
    write_pages(600), moments[1] = moment_now(), poll(NULL, 0, 2); /* in several parts */
    write_pages(2), moments[2] = moment_now(), poll(NULL, 0, 2);
    bool killed = killed_at(begins + bytes);
    if (!killed) assert_true(bytes > 2 << 20);
    write_pages(1), moments[3] = moment_now(), poll(NULL, 0, 2);
    die();
    take();
    write_pages(1), moments[4] = moment_now();
    take();
    for (uint32_t to = 1; to < ARRAY_COUNT(moments); to++) {
        assert_int_equal(go(&moments[0], moments[to].at_ms, &image, &reached, &d), ERR_OK);
        if (!whole || !str_eq(image, moments[to].image))
            fail_msg("killed at byte %llu (%s segment, %s log): moment %u is another", (unsigned long long)bytes,
                     full ? "a new" : "its", anew ? "a new" : "its", to);
    }
    assert_true(same_generation(&moments[0], &moments[4]));
    /* A backup of then has where it is, too. */
    for (uint32_t from = 1; from < ARRAY_COUNT(moments); from++) {
        assert_int_equal(go(&moments[from], moments[4].at_ms, &image, &reached, &d), ERR_OK);
        assert_true(whole && str_eq(image, moments[4].image));
    }
}

static void test_killed_while_it_takes(void **state) {
    static const uint64_t at[] = {1, HEAD_BYTES, HEAD_BYTES + 1, HEAD_BYTES + 64, 1 << 20, (1 << 20) + 4500, 1 << 30};
    seed = 13;
    for (size_t i = 0; i < ARRAY_COUNT(at); i++) kill_at(at[i], true, i % 2), kill_at(at[i], false, i % 3 == 0);
}

/* What could not be taken is in the file when it is opened by another process, which knows nothing of it but that there is a gap. */
static void test_gap_outlives_its_process(void **state) {
    struct diag d = DIAG_INIT;
    struct rlimit before, none;
    struct db_wal wal;
    str image;
    uint64_t reached;
    seed = 11;
    write_something(), take();
    struct moment first = moment_now();
    write_something();
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){1, before.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    err e = node_history_take(history, true, &d);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_not_equal(e, ERR_OK);
    assert_int_equal(db_checkpoint_some(db, &wal, &d), ERR_OK);
    die();
    write_something(), take();
    struct moment last = moment_now();
    assert_false(same_generation(&first, &last));
    assert_int_equal(go(&first, now_ms(), &image, &reached, &d), ERR_OK);
    assert_true(str_eq(image, first.image));
    assert_false(whole);
    assert_int_equal(go(&last, now_ms(), &image, &reached, &d), ERR_OK);
    assert_true(whole);
}

/* A database that has no history for a while: what it is given then goes on from nothing that was before. */
static void test_no_history_for_a_while(void **state) {
    struct diag d = DIAG_INIT;
    struct history *none;
    struct db_wal wal;
    str image;
    uint64_t reached;
    seed = 15;
    write_something(), take();
    struct moment first = moment_now();
    node_history_close(history);
    assert_int_equal(
        node_history_open(&(struct history_options){.name = "x/app.db", .main = -1, .wal = -1, .bytes_max = 1, .ms_max = 1},
                          &none, &d),
        ERR_OK);
    node_history_close(none);
    assert_int_equal(rename("x/app.db-wal", "x/away"), 0);
    assert_int_equal(
        node_history_open(&(struct history_options){.name = "x/app.db", .main = -1, .wal = -1, .bytes_max = 1, .ms_max = 1},
                          &none, &d),
        ERR_IO);
    assert_int_equal(rename("x/away", "x/app.db-wal"), 0);
    assert_int_equal(db_run(db, &d, "insert or replace into t values (1, x'01')"), ERR_OK);
    assert_int_equal(db_checkpoint_some(db, &wal, &d), ERR_OK);
    db_close(db);
    open_all();
    write_something(), take();
    struct moment last = moment_now();
    assert_false(same_generation(&first, &last));
    assert_int_equal(go(&first, now_ms(), &image, &reached, &d), ERR_OK);
    assert_false(whole);
}

/* Taken by another thread before whoever committed it could say when: it was not there before. */
static void test_taken_before_it_was_noted(void **state) {
    struct diag d = DIAG_INIT;
    str image;
    uint64_t reached;
    seed = 17;
    write_pages(3);
    close_and_open();
    struct moment first = moment_now();
    poll(NULL, 0, 20);
    uint64_t before = now_ms();
    poll(NULL, 0, 5);
    assert_int_equal(db_run(db, &d, "insert or replace into t values (1, x'01')"), ERR_OK);
    take();
    struct moment last = moment_now();
    assert_int_equal(go(&first, before, &image, &reached, &d), ERR_OK);
    assert_true(whole && str_eq(image, first.image));
    assert_int_equal(go(&first, now_ms(), &image, &reached, &d), ERR_OK);
    assert_true(whole && str_eq(image, last.image));
}

/* ---- a commit that failed ---- */

static str bytes_of(const char *name) {
    int fd = open(name, O_RDONLY);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    uint8_t *p = arena_alloc(mem, (size_t)st.st_size + 1, 1);
    assert_int_equal(pread(fd, p, (size_t)st.st_size, 0), st.st_size);
    close(fd);
    return (str){p, (size_t)st.st_size};
}

static void put_bytes(const char *name, str bytes) {
    int fd = open(name, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(pwrite(fd, bytes.p, bytes.n, 0), bytes.n);
    close(fd);
}

/* Its frames were written, and taken, and it failed at the disk: the next one is written over them, here as another process does it with a copy of what was
 * there before. */
static void fail_commit(uint32_t pages, bool reopened) {
    struct diag d = DIAG_INIT;
    struct db *other;
    str image;
    uint64_t reached;
    write_pages(3), take();
    struct moment first = moment_now();
    assert_int_equal(mkdir("y", 0700), 0);
    put_bytes("y/app.db", bytes_of("x/app.db")), put_bytes("y/app.db-wal", bytes_of("x/app.db-wal"));
    write_pages(20), take();
    assert_int_equal(db_open(&(struct db_options){.name = "y/app.db", .quick = true, .sharing = DB_WRITER}, &other, &d), ERR_OK);
    uint32_t failed = db_wal(db).frames;
    for (uint32_t i = 0; i < pages; i++) {
        uint8_t bytes[4000] = {(uint8_t)i, 1};
        assert_int_equal(
            db_run(other, &d, "insert or replace into t values (?, ?)", DB_I64(i), DB_BLOB(((str){bytes, sizeof bytes}))),
            ERR_OK);
    }
    uint32_t frames = db_wal(other).frames;
    assert_true(pages < 5 ? frames < failed : frames > failed); /* it ends in what failed, or behind it */
    put_bytes("x/app.db-wal", bytes_of("y/app.db-wal"));
    db_close(other);
    if (!reopened) {
        node_history_note(history, frames);
        assert_int_equal(node_history_take(history, true, &d), ERR_IO);
        assert_non_null(strstr(d.text, "failed"));
    }
    unlink("x/app.db-shm"); /* what SQLite knows of it is of the one that failed */
    die();
    write_pages(1), take();
    struct moment last = moment_now();
    assert_false(same_generation(&first, &last));
    assert_int_equal(go(&first, now_ms(), &image, &reached, &d), ERR_OK);
    assert_false(whole);
    write_pages(2), take();
    struct moment later = moment_now();
    assert_int_equal(go(&last, now_ms(), &image, &reached, &d), ERR_OK);
    assert_true(whole && str_eq(image, later.image));
    assert_int_equal(system("rm -rf y"), 0);
}

static void test_commit_that_failed(void **state) {
    static const uint32_t pages[] = {1, 3, 40};
    seed = 19;
    for (size_t i = 0; i < ARRAY_COUNT(pages); i++) fail_commit(pages[i], false), fail_commit(pages[i], true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_any_moment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_changed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_to_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_much_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_page_of_any_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_killed_while_it_takes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_written_without_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gap_outlives_its_process, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_history_for_a_while, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_taken_before_it_was_noted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_commit_that_failed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
