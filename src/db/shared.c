/* shared: a database that one process writes and others read.
 *
 *   writer   opens DIR/app.db by its name; app.db-wal and app.db-shm stay beside it when it is closed
 *      │     db_files_of: the three of them, open for reading alone ──given away──┐
 *      v                                                                          v
 *   locks on bytes of app.db-shm (POSIX, of the process) <──────────── reader   opens "fd:N": the descriptors stand for names, and no path is walked
 *
 * 1. A reader has no descriptor that can be written, so it cannot write a database, its log or its index, whatever becomes of the process. What SQLite
 *    asks to open for writing is refused, and it goes on as with a file system that is read-only.
 * 2. POSIX locks of a process on a file go with any descriptor of it that the process closes. So a set of descriptors outlives all connections by it,
 *    each connection has copies, and the writer's own set is closed after its connection.
 * 3. The log goes into the file where that is said (db_checkpoint_some), never by itself: not in a commit, not at the end.
 * 4. Descriptors that were passed share their offset with who passed them, so all is read by pread.
 */
#include "db/db_int.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SETS_MAX = 4096, NAME_BYTES = 16 };
struct db_files {
    int fds[3];
    char name[NAME_BYTES];
};
static const char *const suffixes[3] = {"", "-wal", "-shm"};

/* Sets by their number. A connection that looks for its files is opened, or works, on any thread. */
static struct {
    pthread_mutex_t lock;
    struct db_files *of[SETS_MAX];
} sets = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct db_files *db_files_new(int file, int log, int index) {
    struct db_files *files = calloc(1, sizeof *files);
    uint32_t at = 0;
    ENSURE(files);
    *files = (struct db_files){.fds = {file, log, index}};
    pthread_mutex_lock(&sets.lock);
    while (at < SETS_MAX && sets.of[at]) at++;
    ENSURE(at < SETS_MAX); /* whoever keeps connections keeps fewer */
    sets.of[at] = files;
    snprintf(files->name, sizeof files->name, "fd:%u", at);
    pthread_mutex_unlock(&sets.lock);
    return files;
}

uint64_t db_files_log_bytes(const struct db_files *files) {
    struct stat st;
    return files && !fstat(files->fds[1], &st) ? (uint64_t)st.st_size : 0;
}

void db_files_free(struct db_files *files) {
    if (!files) return;
    pthread_mutex_lock(&sets.lock);
    sets.of[strtoul(files->name + 3, NULL, 10)] = NULL;
    pthread_mutex_unlock(&sets.lock);
    for (size_t i = 0; i < ARRAY_COUNT(files->fds); i++) close(files->fds[i]);
    free(files);
}

const char *db_files_begin(struct db_files *files) { return files->name; }

/* The descriptor that stands for a name; -1: it is none of a set's (*is: but looks so). */
static int stands_for(const char *path, bool *is) {
    char *rest;
    int fd = -1;
    *is = !strncmp(path, "fd:", 3);
    if (!*is) return -1;
    unsigned long at = strtoul(path + 3, &rest, 10);
    pthread_mutex_lock(&sets.lock);
    for (size_t i = 0; at < SETS_MAX && sets.of[at] && i < ARRAY_COUNT(suffixes); i++)
        if (!strcmp(rest, suffixes[i])) fd = sets.of[at]->fds[i];
    pthread_mutex_unlock(&sets.lock);
    return fd;
}

/* ---- what SQLite asks of the system ---- */

static int open_by(const char *path, int flags, int mode) {
    bool is;
    int fd = stands_for(path, &is);
    if (!is) return openat(AT_FDCWD, path, flags, mode);
    if (fd >= 0 && !(flags & (O_WRONLY | O_RDWR))) return fcntl(fd, F_DUPFD_CLOEXEC, 3);
    errno = fd >= 0 ? EACCES : ENOENT;
    return -1;
}

static int access_by(const char *path, int mode) {
    bool is;
    int fd = stands_for(path, &is);
    if (!is) return faccessat(AT_FDCWD, path, mode, 0);
    if (fd >= 0 && !(mode & W_OK)) return 0;
    errno = fd >= 0 ? EACCES : ENOENT;
    return -1;
}

static int stat_by(const char *path, struct stat *st) {
    bool is;
    int fd = stands_for(path, &is);
    if (!is) return fstatat(AT_FDCWD, path, st, 0);
    if (fd >= 0) return fstat(fd, st);
    errno = ENOENT;
    return -1;
}

static ssize_t (*read_slow)(int fd, void *p, size_t n, int64_t at);
void db_read_slow(ssize_t (*fn)(int fd, void *p, size_t n, int64_t at)) { read_slow = fn; }

/* What is in the kernel's cache is there at once. Where that cannot be asked for, it is as if it were. */
static ssize_t read_by(int fd, void *p, size_t n, off64_t at) {
    if (!read_slow) return pread64(fd, p, n, at);
    ssize_t got = preadv2(fd, &(struct iovec){p, n}, 1, at, RWF_NOWAIT);
    if (got >= 0) return got;
    if (errno == EAGAIN) return read_slow(fd, p, n, at);
    return errno == EOPNOTSUPP || errno == ENOSYS ? pread64(fd, p, n, at) : got;
}

void db_shared_set_up(sqlite3_vfs *vfs) {
    const struct {
        const char *name;
        sqlite3_syscall_ptr fn;
    } calls[] = {{"open", (sqlite3_syscall_ptr)open_by},
                 {"access", (sqlite3_syscall_ptr)access_by},
                 {"stat", (sqlite3_syscall_ptr)stat_by},
                 {"pread64", (sqlite3_syscall_ptr)read_by}};
    for (size_t i = 0; i < ARRAY_COUNT(calls); i++) ENSURE(vfs->xSetSystemCall(vfs, calls[i].name, calls[i].fn) == SQLITE_OK);
}

/* ---- connections ---- */

/* As a hook of the log, in place of SQLite's own that would bring it into the file. */
static int committed(void *arg, sqlite3 *raw, const char *name, int frames) {
    struct db *db = arg;
    if (db->wal.done == db->wal.frames || (uint32_t)frames < db->wal.frames) db->wal.done = 0; /* it may have begun anew */
    db->wal.frames = (uint32_t)frames;
    db->wal.commits++;
    return SQLITE_OK;
}

int db_shared_settle(struct db *db) {
    bool alone = db->options.sharing == DB_ALONE;
    if (alone && (!db->options.own_log || db->options.read_only)) return SQLITE_OK;
    int keep = 1;
    sqlite3_db_config(db->raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (db->options.sharing == DB_READER) return SQLITE_OK;
    sqlite3_wal_hook(db->raw, committed, db);
    if (alone) return SQLITE_OK;
    return sqlite3_file_control(db->raw, "main", SQLITE_FCNTL_PERSIST_WAL, &keep);
}

err db_files_of(struct db *db, int to[static 3], struct diag *d) {
    char name[512];
    for (size_t i = 0; i < ARRAY_COUNT(suffixes); i++) {
        snprintf(name, sizeof name, "%s%s", db->options.name, suffixes[i]);
        if (db->files[i] < 0) db->files[i] = openat(AT_FDCWD, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (db->files[i] < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s cannot be opened: %s", name, strerror(errno));
        to[i] = db->files[i];
    }
    return ERR_OK;
}

void db_shared_closed(struct db *db) {
    for (size_t i = 0; i < ARRAY_COUNT(db->files); i++)
        if (db->files[i] >= 0) close(db->files[i]);
}

struct db_wal db_wal(const struct db *db) {
    return db->wal;
}

err db_checkpoint_some(struct db *db, struct db_wal *out, struct diag *d) {
    int frames = 0, done = 0;
    int code = sqlite3_wal_checkpoint_v2(db->raw, "main", SQLITE_CHECKPOINT_PASSIVE, &frames, &done);
    if ((code & 0xff) == SQLITE_BUSY) code = SQLITE_OK; /* another one is at it */
    else if (code == SQLITE_OK) db->wal.frames = (uint32_t)MAX(frames, 0), db->wal.done = (uint32_t)MAX(done, 0);
    *out = db->wal;
    return db_says(db, code, d);
}
