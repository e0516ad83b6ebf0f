/* vfs: SQLite's files. Its own "unix-none" (no locks), or of those that are shared "unix", with three differences: a name's full path is the name, a
 * file goes by unlinkat, and a disk that turns out to be full when all is to be on it is full, not broken.
 *
 * 1. A process that may open files below one descriptor alone changes its working directory to that, and need not see what is above it.
 * 2. What SQLite would put into a temporary folder it keeps in memory (db.c says so); where it asks for one all the same, it is refused.
 */
#include "db/db_int.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static sqlite3_vfs own, shared;

static int full_path(sqlite3_vfs *vfs, const char *name, int n, char *out) {
    size_t bytes = strlen(name) + 1;
    if (n < 0 || bytes > (size_t)n) return SQLITE_CANTOPEN;
    memcpy(out, name, bytes);
    return SQLITE_OK;
}

/* As all files of a kind have them, but for one; the one of a kind. */
static struct kind {
    const sqlite3_io_methods *base;
    sqlite3_io_methods own;
} alone, together;
static pthread_mutex_t kinds = PTHREAD_MUTEX_INITIALIZER;

static int sync_by(const struct kind *kind, sqlite3_file *file, int flags) {
    int code = kind->base->xSync(file, flags);
    return code != SQLITE_OK && (errno == ENOSPC || errno == EDQUOT) ? SQLITE_FULL : code;
}

static int sync_alone(sqlite3_file *file, int flags) { return sync_by(&alone, file, flags); }
static int sync_together(sqlite3_file *file, int flags) { return sync_by(&together, file, flags); }

/* Files that take no locks (a log, what is beside a database) have methods of their own, in a database that is shared too. */
static int adopt(sqlite3_file *file) {
    static int (*const syncs[])(sqlite3_file *, int) = {sync_alone, sync_together};
    struct kind *kinds_of[] = {&alone, &together};
    int code = SQLITE_INTERNAL;
    pthread_mutex_lock(&kinds);
    for (size_t i = 0; code != SQLITE_OK && i < ARRAY_COUNT(kinds_of); i++) {
        struct kind *kind = kinds_of[i];
        if (!kind->base) kind->base = file->pMethods, kind->own = *kind->base, kind->own.xSync = syncs[i];
        if (kind->base != file->pMethods) continue;
        file->pMethods = &kind->own;
        code = SQLITE_OK;
    }
    pthread_mutex_unlock(&kinds);
    return code;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *given) {
    file->pMethods = NULL;
    if (!name) return SQLITE_CANTOPEN;
    sqlite3_vfs *base = vfs->pAppData;
    int code = base->xOpen(base, name, file, flags | SQLITE_OPEN_NOFOLLOW, given);
    return code != SQLITE_OK || !file->pMethods ? code : adopt(file);
}

static void *no_library(sqlite3_vfs *vfs, const char *name) { return NULL; }

static int unlink_at(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

static void derive(sqlite3_vfs *vfs, const char *name, const char *from) {
    sqlite3_vfs *base = sqlite3_vfs_find(from);
    ENSURE(base);
    *vfs = *base;
    vfs->pNext = NULL;
    vfs->zName = name;
    vfs->pAppData = base;
    vfs->xOpen = open_file;
    vfs->xFullPathname = full_path;
    vfs->xDlOpen = no_library;
    ENSURE(sqlite3_vfs_register(vfs, 0) == SQLITE_OK);
}

/* Pages that are kept for connections to come are 80 KiB for each that is open. */
static void set_up(void) {
    db_memory_count();
    ENSURE(sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0) == SQLITE_OK);
    derive(&own, "orlo", "unix-none");
    derive(&shared, "orlo-shared", "unix");
    ENSURE(own.xSetSystemCall(own.pAppData, "unlink", (sqlite3_syscall_ptr)unlink_at) == SQLITE_OK);
    db_shared_set_up(shared.pAppData);
}

/* Databases are opened on several threads at once. */
const char *db_vfs_name(enum db_sharing sharing) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
    return sharing == DB_ALONE ? own.zName : shared.zName;
}
