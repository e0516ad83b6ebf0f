/* restore: a backup becomes a state folder again, or one app's data in one that is there. See backup.h.
 *
 *   STATE.restoring ──all pieces, each by its digest; each database opened and looked at──> on the disk ──renamed──> STATE
 *
 * 1. Nothing is written over: a state folder that has anything in it is refused, and so is one on which a node runs. With --app what the app had is put
 *    aside (data/APP.N.before-…).
 * 2. Where it fails, what was there is as it was. */
#include "db/db.h"
#include "node/command/backup.h"
#include "node/role.h"
#include "node/state.h"
#include "node/wire.h"
#include "pg/pg.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- files ---- */

static bool make_folders(int dir, char *path) {
    for (char *p = path; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        bool ok = mkdirat(dir, path, 0700) == 0 || errno == EEXIST;
        *p = '/';
        if (!ok) return false;
    }
    return true;
}

static bool write_whole(int fd, const uint8_t *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t w = write(fd, p + at, n - at);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return false;
        at += (size_t)w;
    }
    return true;
}

struct into {
    int folder, to;
    const struct backup *b;
    uint8_t *piece;
    uint64_t bytes;
    void (*moved)(void *arg, uint64_t bytes);
    void *arg;
};

static err cannot(struct diag *d, str path) {
    bool full = errno == ENOSPC || errno == EDQUOT;
    return diag_set(d, full ? ERR_LIMIT : ERR_IO, DIAG_NOWHERE, STR_FMT " cannot be written: %s", STR_ARG(path), strerror(errno));
}

static err write_file(struct into *t, const struct backup_file *f, struct diag *d) {
    char *path = arena_cstr(t->b->mem, f->path);
    int fd = make_folders(t->to, path) ? openat(t->to, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600) : -1;
    err e = fd < 0 ? cannot(d, f->path) : ERR_OK;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < f->pieces.n && e == ERR_OK; i++) {
        size_t n;
        e = node_backup_get(t->folder, f->pieces.p[i], t->piece, &n, d);
        if (e == ERR_OK && !write_whole(fd, t->piece, n)) e = cannot(d, f->path);
        bytes += n, t->bytes += n;
        if (t->moved) t->moved(t->arg, t->bytes);
    }
    if (fd >= 0 && close(fd) && e == ERR_OK) e = cannot(d, f->path);
    if (e == ERR_OK && bytes != f->bytes)
        e = diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the backup is damaged: " STR_FMT " has not as many bytes as it had",
                     STR_ARG(f->path));
    return e;
}

/* ---- databases ---- */

static err look_at(struct db *db, struct diag *d) {
    struct db_rows *rows;
    char said[200] = "";
    TRY(db_query(db, &rows, d, "pragma integrity_check(1)"));
    if (db_next(rows)) snprintf(said, sizeof said, STR_FMT, STR_ARG(str_sub(db_str(rows, 0), 0, 190)));
    TRY(db_end(rows, d));
    return strcmp(said, "ok") ? diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "%s", said) : ERR_OK;
}

/* By the working directory, as databases are named. */
static err check_database(const struct backup *b, const struct backup_file *f, struct diag *d) {
    struct db *db = NULL;
    struct diag own = DIAG_INIT;
    if (!f->bytes) return ERR_OK;     /* it was made, and nothing was ever in it */
    static struct pg_session session; /* what its checks and indexes call is there, as in the store */
    err e = db_open(&(struct db_options){.name = arena_cstr(b->mem, f->path)}, &db, &own);
    if (e == ERR_OK && str_ends(f->path, STR("/app.db"))) e = pg_register(db, &session, &own);
    if (e == ERR_OK) e = look_at(db, &own);
    db_close(db);
    if (e == ERR_OK) return ERR_OK;
    return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the database " STR_FMT " is damaged: %s", STR_ARG(f->path), own.text);
}

static err check_databases(const struct backup *b, int to, str below, struct diag *d) {
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    err e = before < 0 || fchdir(to) ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno)) : ERR_OK;
    for (uint32_t i = 0; i < b->files.n && e == ERR_OK; i++)
        if (b->files.p[i].database && str_starts(b->files.p[i].path, below)) e = check_database(b, &b->files.p[i], d);
    if (before >= 0 && fchdir(before) && e == ERR_OK) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno));
    if (before >= 0) close(before);
    return e;
}

err node_backup_into(int folder, const struct backup *b, const char *to, str below, void (*moved)(void *arg, uint64_t bytes),
                     void *arg, struct diag *d) {
    struct into t = {.folder = folder, .b = b, .piece = malloc(BACKUP_PIECE_BYTES), .moved = moved, .arg = arg};
    ENSURE(t.piece);
    t.to = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err e = t.to < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", to, strerror(errno)) : ERR_OK;
    for (uint32_t i = 0; i < b->files.n && e == ERR_OK; i++)
        if (str_starts(b->files.p[i].path, below)) e = write_file(&t, &b->files.p[i], d);
    if (e == ERR_OK) e = check_databases(b, t.to, below, d);
    if (e == ERR_OK && syncfs(t.to)) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", to, strerror(errno));
    if (t.to >= 0) close(t.to);
    free(t.piece);
    return e;
}
