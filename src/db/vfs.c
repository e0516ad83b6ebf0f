/* vfs: SQLite's files. Its own "unix-none" (no locks) with three differences: a name's full path is the name, a file goes by unlinkat, and
 * a disk that turns out to be full when all is to be on it is full, not broken.
 *
 * 1. A process that may open files below one descriptor alone changes its working directory to that, and need not see what is above it.
 * 2. What SQLite would put into a temporary folder it keeps in memory (db.c says so); where it asks for one all the same, it is refused.
 */
#include "db/db_int.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static sqlite3_vfs own;

static int full_path(sqlite3_vfs *vfs, const char *name, int n, char *out) {
    size_t bytes = strlen(name) + 1;
    if (n < 0 || bytes > (size_t)n) return SQLITE_CANTOPEN;
    memcpy(out, name, bytes);
    return SQLITE_OK;
}

/* As all files of this kind have them, but for one. */
static const sqlite3_io_methods *base_methods;
static sqlite3_io_methods methods;

static int sync_file(sqlite3_file *file, int flags) {
    int code = base_methods->xSync(file, flags);
    return code != SQLITE_OK && (errno == ENOSPC || errno == EDQUOT) ? SQLITE_FULL : code;
}

static int open_file(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *given) {
    file->pMethods = NULL;
    if (!name) return SQLITE_CANTOPEN;
    sqlite3_vfs *base = vfs->pAppData;
    int code = base->xOpen(base, name, file, flags | SQLITE_OPEN_NOFOLLOW, given);
    if (code != SQLITE_OK || !file->pMethods) return code;
    if (!base_methods) base_methods = file->pMethods, methods = *base_methods, methods.xSync = sync_file;
    ENSURE(file->pMethods == base_methods);
    file->pMethods = &methods;
    return code;
}

static void *no_library(sqlite3_vfs *vfs, const char *name) { return NULL; }

static int unlink_at(const char *path) { return unlinkat(AT_FDCWD, path, 0); }

static void set_up(void) {
    db_memory_count();
    sqlite3_vfs *base = sqlite3_vfs_find("unix-none");
    ENSURE(base);
    ENSURE(base->xSetSystemCall(base, "unlink", (sqlite3_syscall_ptr)unlink_at) == SQLITE_OK);
    own = *base;
    own.pNext = NULL;
    own.zName = "orlo";
    own.pAppData = base;
    own.xOpen = open_file;
    own.xFullPathname = full_path;
    own.xDlOpen = no_library;
    ENSURE(sqlite3_vfs_register(&own, 0) == SQLITE_OK);
}

/* Databases are opened on several threads at once. */
const char *db_vfs_name(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up);
    return own.zName;
}
