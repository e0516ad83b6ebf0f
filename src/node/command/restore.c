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
#include <sys/statvfs.h>
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
        ssize_t w = write(fd, p + at, MIN(n - at, (size_t)BACKUP_STEP_BYTES));
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

/* Whoever followed its changes has had numbers that are not in it, and others bear soon: they go on far behind those, with one that says that all is
 * other. */
static err renumber(struct db *db, struct diag *d) {
    uint32_t version = 0;
    TRY(db_version(db, &version, d));
    if (version < 2) return ERR_OK; /* of before there was `upto` */
    return db_run(db, d,
                  "insert into _orlo_changes (seq, at, relation, op, upto)"
                  " select max(seq) + 4294967296, ?, 0, '*', max(upto) + 64 from _orlo_changes having max(seq) is not null",
                  DB_I64((int64_t)(clock_wall_ns() / 1'000'000u)));
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
    if (e == ERR_OK && str_ends(f->path, STR("/app.db"))) e = renumber(db, &own);
    db_close(db);
    if (e == ERR_OK) return ERR_OK;
    return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE, "the database " STR_FMT " is damaged: %s", STR_ARG(f->path), own.text);
}

static bool is_of(const struct backup_restore *r, const struct backup_file *f) { return str_starts(f->path, r->below); }

static err check_databases(const struct backup_restore *r, int to, struct diag *d) {
    const struct backup *b = r->b;
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    err e = before < 0 || fchdir(to) ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno)) : ERR_OK;
    for (uint32_t i = 0; i < b->files.n && e == ERR_OK; i++)
        if (b->files.p[i].database && is_of(r, &b->files.p[i])) e = check_database(b, &b->files.p[i], d);
    if (before >= 0 && fchdir(before) && e == ERR_OK) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno));
    if (before >= 0) close(before);
    return e;
}

/* ---- what was written since ---- */

struct since { /* segments of all databases that are restored, by which of them */
    struct backup_restore *r;
    arena *mem;
    int aside; /* where those of backups are put */
    char *path;
    VEC(struct segment {
        str of;
        char *path;
    })
    segments;
    uint64_t covers_ms; /* the latest moment that any of them knows of */
};

static str database_of(str path) {
    const char *at = memmem(path.p, path.n, ".db-history-", 12);
    return at ? str_sub(path, 0, (size_t)((const uint8_t *)at - path.p) + 3) : path;
}

/* Those of one later backup; of the same name as an earlier one has it is longer. */
static err take_backup(struct since *s, const char *name, uint32_t number, struct diag *d) {
    struct backup later;
    struct into t = {.folder = s->r->folder, .to = s->aside, .b = &later, .piece = malloc(BACKUP_PIECE_BYTES)};
    ENSURE(t.piece);
    err e = node_backup_named(s->mem, s->r->folder, name, &later, d);
    if (e == ERR_OK) s->covers_ms = MAX(s->covers_ms, later.at_ms);
    for (uint32_t i = 0; e == ERR_OK && i < later.files.n; i++) {
        struct backup_file f = later.files.p[i];
        if (!node_backup_is_segment(&f) || !is_of(s->r, &f)) continue;
        str of = database_of(f.path);
        f.path = arena_fmt(s->mem, "%u/" STR_FMT, number, STR_ARG(f.path));
        e = write_file(&t, &f, d);
        vec_push(s->mem, &s->segments,
                 ((struct segment){of, arena_cstr(s->mem, arena_fmt(s->mem, "%s/" STR_FMT, s->path, STR_ARG(f.path)))}));
    }
    free(t.piece);
    return e;
}

/* What its logs have yet, too: what was committed before the node ended goes into the histories first. */
static void take_rest(const char *folder, const char *file) {
    char name[320];
    struct diag d = DIAG_INIT;
    struct history *h;
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (before < 0) return;
    snprintf(name, sizeof name, "%s", file);
    struct history_options o = {.name = name, .main = -1, .wal = -1, .bytes_max = UINT64_MAX, .ms_max = UINT32_MAX * 1000ull};
    if (!chdir(folder) && node_history_open(&o, &h, &d) == ERR_OK) {
        if (node_history_take(h, true, &d) != ERR_OK)
            log_event(LOG_WARN, "history-gap", LF_CSTR("database", name), LF_CSTR("reason", d.text));
        node_history_close(h);
    }
    if (fchdir(before)) {}
    close(before);
}

/* Those of the state that is there. */
static void take_state(struct since *s) {
    char *folder =
        arena_cstr(s->mem, arena_fmt(s->mem, "%s/" STR_FMT, s->r->state, STR_ARG(str_sub(s->r->below, 0, s->r->below.n - 1))));
    for (int round = 0; round < 2; round++) {
        DIR *dir = opendir(folder);
        for (struct dirent *entry; dir && (entry = readdir(dir));) {
            str name = str_c(entry->d_name);
            bool database = str_ends(name, STR(".db")), segment = node_history_is_segment(entry->d_name);
            if (!round && database) take_rest(folder, entry->d_name);
            if (!round || !segment) continue;
            str of = database_of(arena_fmt(s->mem, STR_FMT STR_FMT, STR_ARG(s->r->below), STR_ARG(name)));
            char *path = arena_cstr(s->mem, arena_fmt(s->mem, "%s/" STR_FMT, folder, STR_ARG(name)));
            vec_push(s->mem, &s->segments, ((struct segment){of, path}));
            s->covers_ms = UINT64_MAX;
        }
        if (dir) closedir(dir);
    }
}

static err go_on(struct since *s, const struct backup_file *f, struct diag *d) {
    const char **paths = arena_array(s->mem, const char *, s->segments.n + 1);
    uint32_t n = 0;
    uint64_t reached = 0;
    for (uint32_t i = 0; i < s->segments.n; i++)
        if (str_eq(s->segments.p[i].of, f->path)) paths[n++] = s->segments.p[i].path;
    char *path = arena_cstr(s->mem, arena_fmt(s->mem, "%s/" STR_FMT, s->r->to, STR_ARG(f->path)));
    int fd = f->has_history ? open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC) : -1;
    err e = f->has_history && fd < 0 ? cannot(d, f->path) : ERR_OK;
    bool whole = false;
    if (e == ERR_OK && fd >= 0) e = node_history_apply(fd, &f->history, paths, n, s->r->until_ms, &reached, &whole, d);
    if (e != ERR_OK) diag_prefix(d, STR_FMT, STR_ARG(f->path));
    if (fd >= 0) close(fd);
    s->r->reached_ms = MAX(s->r->reached_ms, reached);
    if (whole && s->covers_ms >= s->r->until_ms) return e;
    if (!s->r->behind++) s->r->first_behind = f->path;
    return e;
}

/* The backups after it, until one that was made after the moment; and the state. */
static err go_on_all(struct backup_restore *r, struct diag *d) {
    struct since s = {.r = r, .mem = arena_new(0)};
    char **names;
    uint32_t n = node_backup_list(s.mem, r->folder, &names);
    err e = ERR_OK;
    s.path = arena_cstr(s.mem, arena_fmt(s.mem, "%s/.since", r->to));
    if (mkdir(s.path, 0700) || (s.aside = open(s.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", s.path, strerror(errno));
    for (uint32_t i = 0; i < n && e == ERR_OK && s.covers_ms < r->until_ms; i++) {
        uint64_t before = r->b->at_ms;
        if (node_backup_time(names[i]) >= before) e = take_backup(&s, names[i], i, d);
    }
    if (e == ERR_OK && r->state) take_state(&s);
    for (uint32_t i = 0; i < r->b->files.n && e == ERR_OK; i++)
        if (r->b->files.p[i].database && str_starts(r->b->files.p[i].path, STR("data/")) && is_of(r, &r->b->files.p[i]))
            e = go_on(&s, &r->b->files.p[i], d);
    if (s.aside > 0) close(s.aside);
    node_backup_remove(s.path);
    arena_free(s.mem);
    return e;
}

/* What is no part of a state is looked at all the same: who restores learns here that a later moment could not be reached. */
static err check_pieces(struct into *t, const struct backup_file *f, struct diag *d) {
    for (uint32_t i = 0; i < f->pieces.n; i++) {
        size_t n;
        TRY(node_backup_get(t->folder, f->pieces.p[i], t->piece, &n, d));
    }
    return ERR_OK;
}

/* A backup may name one piece as often as it likes. */
static err look_at_room(const struct backup_restore *r, int to, struct diag *d) {
    struct statvfs fs;
    uint64_t wants = 0;
    for (uint32_t i = 0; i < r->b->files.n; i++)
        if (is_of(r, &r->b->files.p[i]) && !node_backup_is_segment(&r->b->files.p[i])) wants += r->b->files.p[i].bytes;
    if (fstatvfs(to, &fs) || wants / fs.f_frsize <= fs.f_bfree) return ERR_OK;
    return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "%s: the disk has %llu MiB free, and it takes %llu", r->to,
                    (unsigned long long)(fs.f_bfree * fs.f_frsize / MiB), (unsigned long long)(wants / MiB));
}

err node_backup_into(struct backup_restore *r, struct diag *d) {
    struct into t = {.folder = r->folder, .b = r->b, .piece = malloc(BACKUP_PIECE_BYTES), .moved = r->moved, .arg = r->arg};
    ENSURE(t.piece);
    t.to = open(r->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err e = t.to < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", r->to, strerror(errno)) : look_at_room(r, t.to, d);
    for (uint32_t i = 0; i < r->b->files.n && e == ERR_OK; i++) {
        const struct backup_file *f = &r->b->files.p[i];
        if (is_of(r, f)) e = node_backup_is_segment(f) ? check_pieces(&t, f, d) : write_file(&t, f, d);
    }
    if (e == ERR_OK && r->until_ms) e = go_on_all(r, d);
    if (e == ERR_OK) e = node_backup_clusters_settle(r, t.to, d);
    if (e == ERR_OK) e = check_databases(r, t.to, d);
    if (e == ERR_OK && syncfs(t.to)) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", r->to, strerror(errno));
    if (t.to >= 0) close(t.to);
    free(t.piece);
    return e;
}
