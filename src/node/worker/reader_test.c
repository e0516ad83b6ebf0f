/* reader: what a process in a worker's sandbox can do with the files of a database that it was given: read them by SQLite, and nothing else, whatever it tries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include "crypto/crypto.h"
#include "node/node_int.h"
#include "node/rights.h"
#include "db/db.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64];
static const char *const names[] = {"app.db", "app.db-wal", "app.db-shm"};

static void digest_of(const char *name, uint8_t to[32]) {
    struct buf b = {0};
    uint8_t block[65536];
    int fd = open(name, O_RDONLY);
    assert_true(fd >= 0);
    for (ssize_t n; (n = read(fd, block, sizeof block)) > 0;) buf_put(&b, block, (size_t)n);
    close(fd);
    crypto_sha256(buf_str(&b), to);
    buf_free(&b);
}

/* Each way to write to one of the files, or in its place; how many there are that work. */
static int ways(int fd, const char *name) {
    char path[64], other[64];
    int found = 0, again;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    snprintf(other, sizeof other, "%s-2", name);
    const int flags[] = {O_WRONLY, O_RDWR, O_RDWR | O_CREAT, O_RDONLY | O_TRUNC, O_WRONLY | O_APPEND};
    for (size_t i = 0; i < ARRAY_COUNT(flags); i++) {
        found += open(path, flags[i], 0600) >= 0;
        found += open(name, flags[i], 0600) >= 0;
        found += syscall(SYS_openat2, AT_FDCWD, name, &(uint64_t[3]){(uint64_t)flags[i], 0, 0}, 24) >= 0;
    }
    found += open(name, O_RDONLY) >= 0; /* not even by a name */
    found += write(fd, "x", 1) >= 0;
    found += pwrite(fd, "x", 1, 0) >= 0;
    found += ftruncate(fd, 0) == 0;
    found += truncate(name, 0) == 0;
    found += fallocate(fd, 0, 0, 1 << 20) == 0;
    found += mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED;
    void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    found += map != MAP_FAILED && mprotect(map, 4096, PROT_READ | PROT_WRITE) == 0;
    found += unlink(name) == 0;
    found += unlinkat(AT_FDCWD, name, 0) == 0;
    found += rename(name, other) == 0;
    found += link(name, other) == 0;
    found += linkat(fd, "", AT_FDCWD, other, AT_EMPTY_PATH) == 0;
    found += fchmod(fd, 0666) == 0;
    found += chmod(name, 0666) == 0;
    found += fcntl(fd, F_SETLK, &(struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1}) == 0;
    found += (again = dup(fd)) >= 0 && write(again, "x", 1) >= 0;
    int memory = memfd_create("x", MFD_CLOEXEC);
    found += memory >= 0 && write(memory, "x", 1) == 1 &&
             syscall(SYS_copy_file_range, memory, &(int64_t){0}, fd, &(int64_t){0}, 1, 0) > 0;
    found += memory >= 0 && syscall(SYS_sendfile, fd, memory, &(int64_t){0}, 1) > 0;
    return found;
}

/* In the sandbox: 0, or what is wrong. */
static int try_all(int files[3]) {
    static const struct node_rights nothing;
    struct diag d = DIAG_INIT;
    struct db *db;
    int64_t n = 0;
    if (node_sandbox_worker(&(struct node_sandbox){.rights = &nothing}, &d) != ERR_OK) return 100;
    int found = 0, copies[3];
    for (int i = 0; i < 3; i++) copies[i] = fcntl(files[i], F_DUPFD_CLOEXEC, 3);
    struct db_files *set = db_files_new(copies[0], copies[1], copies[2]);
    if (db_open(&(struct db_options){.sharing = DB_READER, .files = set}, &db, &d) != ERR_OK) return 101;
    if (db_one_i64(db, &n, &d, "select count(*) from t") != ERR_OK || n != 100) return 102;
    found += db_run(db, &d, "insert into t (v) values ('x')") == ERR_OK;
    found += db_run(db, &d, "delete from t") == ERR_OK;
    found += db_run(db, &d, "create table u (x)") == ERR_OK;
    found += db_run(db, &d, "vacuum into 'v.db'") == ERR_OK;
    found += db_run(db, &d, "attach 'app.db' as a") == ERR_OK && db_run(db, &d, "insert into a.t (v) values ('x')") == ERR_OK;
    if (db_one_i64(db, &n, &d, "select count(*) from t") != ERR_OK || n != 100) return 103;
    for (int i = 0; i < 3; i++) found += ways(files[i], names[i]);
    return found;
}

static void test_cannot_write(void **state) {
    struct db *db;
    struct diag d = DIAG_INIT;
    int files[3], status;
    uint8_t before[3][32], after[32];
    assert_int_equal(db_open(&(struct db_options){.name = "app.db", .create = true, .sharing = DB_WRITER}, &db, &d), ERR_OK);
    assert_int_equal(
        db_script(db,
                  "create table t (id integer primary key, v text) strict; with recursive c(n) as (values (1) union all"
                  " select n + 1 from c where n < 100) insert into t (v) select n from c",
                  &d),
        ERR_OK);
    assert_int_equal(db_files_of(db, files, &d), ERR_OK);
    for (int i = 0; i < 3; i++) digest_of(names[i], before[i]);
    pid_t pid = fork();
    if (pid == 0) _exit(try_all(files));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    for (int i = 0; i < 3; i++) {
        digest_of(names[i], after);
        if (i < 2) assert_memory_equal(before[i], after, 32); /* of the index nothing was written, but locks are on it */
    }
    assert_int_equal(access("v.db", F_OK), -1);
    db_close(db);
}

static int set_up(void **state) {
    snprintf(folder, sizeof folder, "/tmp/orlo-reader-XXXXXX");
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int tear_down(void **state) {
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return chdir("/") || system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_cannot_write, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
