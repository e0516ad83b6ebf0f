/* backup: `orlo backup` and `orlo restore`, on the machine of the node. See backup.h.
 *
 *   a node runs: GET /v1/backup, which lasts as long as it holds still ──lines: each database that has a log, and how much of it counts──>
 *                pieces ──POST /v1/backup/release: it held all the time──> the backup is written down ──> restored once, and looked at
 *   none does:   the lock of the state folder says that none will */
#include "base/json.h"
#include "db/db.h"
#include "node/command/ask.h"
#include "node/command/backup.h"
#include "node/command/table.h"
#include "node/wal.h"
#include "node/role.h"
#include "node/state.h"
#include "node/wire.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct log { /* of a database, at that moment */
    str name;
    uint32_t frames, end; /* that are to be copied; that the image has */
    uint8_t salts[8];
};
struct place { /* of a database's history, before that moment */
    str name;
    struct history_position at;
};
struct work {
    const struct node_backup_config *c;
    arena *mem;
    str state;
    int dir, folder; /* the state's, the backup's */
    bool running, copied;
    VEC(struct log) logs;
    VEC(struct place) places;
    struct backup_clusters clusters;
    struct backup b;
    struct backup_restore r;
    uint64_t until_ms; /* of --at */
    uint8_t *piece;
    uint64_t shown_ns;
    bool shows;
    err e;
    struct diag d;
    str servers; /* apps whose PostgreSQL somebody else runs */
};

static void show(void *arg, uint64_t bytes) {
    struct work *w = arg;
    uint64_t now = clock_mono_ns();
    if (!w->shows || now - w->shown_ns < 200'000'000u) return;
    w->shown_ns = now;
    fprintf(stderr, "\r%llu MiB \xe2\x80\xa6\x1b[K", (unsigned long long)(bytes >> 20));
}

/* ---- one file ---- */

static const struct log *log_of(const struct work *w, str path) {
    for (uint32_t i = 0; i < w->logs.n; i++)
        if (str_eq(w->logs.p[i].name, path)) return &w->logs.p[i];
    return NULL;
}

static void put_position(struct work *w, str path, struct backup_file *f) {
    const struct log *log = log_of(w, path);
    for (uint32_t i = 0; i < w->places.n && !f->has_history; i++) {
        if (!str_eq(w->places.p[i].name, path)) continue;
        f->has_history = true, f->history = w->places.p[i].at;
    }
    if (log) f->history.frames = log->end, memcpy(f->history.salts, log->salts, sizeof log->salts);
}

static err image_of(struct work *w, str path, int main, int wal, struct wal_image *im, struct diag *d) {
    const struct log *log = log_of(w, path);
    return node_wal_image(w->mem, main, wal, log ? log->frames : w->running ? 0 : WAL_ALL, log ? log->salts : NULL, im, d);
}

static err copy_pieces(struct work *w, struct backup_file *f, const struct wal_image *im, struct diag *d) {
    for (uint64_t at = 0; at < f->bytes; at += BACKUP_PIECE_BYTES) {
        size_t n = (size_t)MIN(f->bytes - at, (uint64_t)BACKUP_PIECE_BYTES);
        uint8_t *digest = arena_alloc(w->mem, CRYPTO_SHA256_BYTES, 1);
        TRY(node_wal_read(im, w->piece, n, at, d));
        TRY(node_backup_put(w->folder, &w->b, w->piece, n, digest, d));
        vec_push(w->mem, &f->pieces, digest);
        show(w, w->b.bytes);
    }
    return ERR_OK;
}

static err copy_file(struct work *w, str path, bool database, struct diag *d) {
    char *name = arena_cstr(w->mem, path), *log = arena_cstr(w->mem, arena_fmt(w->mem, STR_FMT "-wal", STR_ARG(path)));
    int main = openat(w->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC),
        wal = database ? openat(w->dir, log, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    struct backup_file *f = vec_add(w->mem, &w->b.files);
    struct wal_image im = {.main = main, .wal = -1};
    struct stat st;
    uint8_t salts[8], now[8];
    *f = (struct backup_file){.path = arena_str(w->mem, path), .database = database};
    if (database) put_position(w, path, f);
    err e = main < 0 || fstat(main, &st) ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", name, strerror(errno)) : ERR_OK;
    bool had = wal >= 0 && node_wal_salts(wal, salts);
    if (e == ERR_OK && database) e = image_of(w, path, main, wal, &im, d);
    else if (e == ERR_OK) im.bytes = (uint64_t)st.st_size;
    f->bytes = im.bytes;
    if (e == ERR_OK) e = copy_pieces(w, f, &im, d);
    if (e == ERR_OK && im.frames && (!had || !node_wal_salts(wal, now) || memcmp(salts, now, sizeof now) != 0))
        e = diag_set(d, ERR_BUSY, DIAG_NOWHERE, "its log began anew while it was copied: try again");
    if (e != ERR_OK && !memmem(d->text, strlen(d->text), name, strlen(name))) diag_prefix(d, "%s", name);
    if (main >= 0) close(main);
    if (wal >= 0) close(wal);
    return e;
}

/* ---- all of them ---- */

static bool is_database(const char *name) { return str_ends(str_c(name), STR(".db")); }

/* The oldest may go while it is looked at. */
static err copy_segment(struct work *w, str path, struct diag *d) {
    uint32_t before = w->b.files.n;
    err e = copy_file(w, path, false, d);
    if (e == ERR_OK || faccessat(w->dir, arena_cstr(w->mem, path), F_OK, 0) == 0) return e;
    w->b.files.n = before;
    *d = (struct diag)DIAG_INIT;
    return ERR_OK;
}

/* Where each history ends: no image of a moment to come is before that. */
static void find_places(struct work *w) {
    int fd = openat(w->dir, "data", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !dir) close(fd);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        int below = entry->d_name[0] == '.' ? -1 : openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *files = below >= 0 ? fdopendir(below) : NULL;
        if (below >= 0 && !files) close(below);
        for (struct dirent *file; files && (file = readdir(files));) {
            struct place p = {.name = arena_fmt(w->mem, "data/%s/%s", entry->d_name, file->d_name)};
            if (str_ends(p.name, STR(".db")) && node_history_end(below, file->d_name, &p.at)) vec_push(w->mem, &w->places, p);
        }
        if (files) closedir(files);
    }
    if (dir) closedir(dir);
}

/* Below a folder: its files, of `data` databases and their histories alone and one folder deep. */
static err copy_folder(struct work *w, str path, bool databases, int depth, struct diag *d) {
    int fd = openat(w->dir, arena_cstr(w->mem, path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    err e = ERR_OK;
    if (!dir) return errno == ENOENT ? ERR_OK : diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(path), strerror(errno));
    for (struct dirent *entry; e == ERR_OK && (entry = readdir(dir));) {
        struct stat st;
        const char *name = entry->d_name;
        if (name[0] == '.' || str_ends(str_c(name), STR(".part")) || fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW)) continue;
        str below = arena_fmt(w->mem, STR_FMT "/%s", STR_ARG(path), name);
        bool segment = databases && node_history_is_segment(name);
        if (S_ISDIR(st.st_mode) && depth) e = copy_folder(w, below, databases, depth - 1, d);
        else if (S_ISREG(st.st_mode) && segment) e = copy_segment(w, below, d);
        else if (S_ISREG(st.st_mode) && (!databases || is_database(name))) e = copy_file(w, below, databases, d);
    }
    closedir(dir);
    return e;
}

static err copy_keys(struct work *w, struct diag *d) {
    static const char *const keys[] = {"node.key", "seal.key"};
    for (size_t i = 0; i < ARRAY_COUNT(keys) && w->c->keys; i++)
        if (faccessat(w->dir, keys[i], F_OK, 0) == 0) TRY(copy_file(w, str_c(keys[i]), false, d));
    w->b.keys = w->c->keys;
    return ERR_OK;
}

static err copy_all(struct work *w, struct diag *d) {
    static const char *const folders[] = {"db", "data", "images", "packs", "blobs"};
    for (size_t i = 0; i < ARRAY_COUNT(folders); i++) TRY(copy_folder(w, str_c(folders[i]), i < 2, i == 1, d));
    return copy_keys(w, d);
}

/* ---- of a node that runs ---- */

static err release(struct work *w, struct diag *d) {
    struct ask *a;
    struct answer answer;
    TRY(node_ask_open(&w->c->where, &a, d));
    err e = node_ask(a, w->mem, &(struct ask_call){.method = "POST", .path = STR("/backup/release")}, &answer, d);
    node_ask_close(a);
    return e;
}

static bool take_log(struct work *w, str name, const struct json *v) {
    struct log *log = vec_add(w->mem, &w->logs);
    *log = (struct log){.name = arena_fmt(w->mem, "data/" STR_FMT, STR_ARG(name)),
                        .frames = (uint32_t)json_i64(json_get(v, "frames")),
                        .end = (uint32_t)json_i64(json_get(v, "end"))};
    bool ok = str_to_bytes(json_str(json_get(v, "salts")), log->salts, sizeof log->salts);
    if (!ok) w->e = diag_set(&w->d, ERR_MALFORMED, DIAG_NOWHERE, "the node is of another version: use its own orlo");
    return ok;
}

/* The last line is there when all before it are: it holds still from now on. */
static bool on_line(void *arg, str text) {
    static const struct json_limits limits = {.bytes_max = 4096, .depth_max = 4, .values_max = 64};
    struct work *w = arg;
    struct json v;
    w->e = json_read(w->mem, text, &limits, &v, &w->d);
    if (w->e != ERR_OK) return false;
    int64_t cluster = json_i64(json_get(&v, "cluster"));
    if (cluster) {
        node_backup_cluster_at(&w->clusters, (uint32_t)cluster, json_str(json_get(&v, "lsn")));
        return true;
    }
    str name = json_str(json_get(&v, "database"));
    if (name.n) return take_log(w, name, &v);
    w->b.at_ms = (uint64_t)json_i64(json_get(&v, "at_ms"));
    w->e = node_backup_cluster_logs(&w->clusters, &w->d);
    if (w->e == ERR_OK) w->e = copy_all(w, &w->d);
    if (w->e == ERR_OK) w->e = release(w, &w->d);
    w->copied = w->e == ERR_OK;
    return false;
}

static err copy_running(struct work *w, struct ask *a, struct diag *d) {
    w->running = true;
    TRY(node_backup_clusters(&w->clusters, true, d));
    find_places(w);
    err e = node_ask_lines(a, w->mem, STR("/backup"), on_line, w, d);
    if (w->e != ERR_OK) *d = w->d;
    if (w->e != ERR_OK || e != ERR_OK) return w->e != ERR_OK ? w->e : e;
    return w->copied ? ERR_OK : diag_set(d, ERR_CLOSED, DIAG_NOWHERE, "the node ended meanwhile: try again");
}

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1'000'000;
}

static err lock_state(const struct work *w, int *lock, struct diag *d) {
    *lock = openat(w->dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (*lock >= 0 && flock(*lock, LOCK_EX | LOCK_NB) == 0) return ERR_OK;
    if (*lock >= 0) close(*lock);
    return diag_set(d, ERR_BUSY, DIAG_NOWHERE, "a node runs on the state folder " STR_FMT ": stop it first", STR_ARG(w->state));
}

static err copy_resting(struct work *w, struct diag *d) {
    int lock;
    TRY(lock_state(w, &lock, d));
    find_places(w);
    w->b.at_ms = now_ms();
    w->clusters.all.n = w->b.files.n = 0;
    err e = node_backup_clusters(&w->clusters, false, d);
    if (e == ERR_OK) e = copy_all(w, d);
    close(lock);
    return e;
}

/* ---- restored once ---- */

/* Of an earlier backup, as a rule, which this one shares them with. */
static void doubt_pieces(struct work *w, const struct backup *b) {
    for (uint32_t i = 0; i < b->files.n; i++)
        for (uint32_t k = 0; k < b->files.p[i].pieces.n; k++) {
            struct diag unused = DIAG_INIT;
            size_t n;
            const uint8_t *digest = b->files.p[i].pieces.p[k];
            if (node_backup_get(w->folder, digest, w->piece, &n, &unused) == ERR_MALFORMED) node_backup_doubt(w->folder, digest);
        }
}

static err verify(struct work *w, struct diag *d) {
    struct backup again;
    char *path = arena_cstr(w->mem, arena_fmt(w->mem, "%s/.verify-%d", w->c->path, (int)getpid()));
    node_backup_remove(path);
    if (mkdir(path, 0700)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    err e = node_backup_read(w->mem, w->folder, w->b.at_ms, &again, d);
    struct backup_restore r = {.folder = w->folder, .b = &again, .to = path, .moved = show, .arg = w};
    if (e == ERR_OK && (e = node_backup_into(&r, d)) == ERR_MALFORMED) doubt_pieces(w, &again);
    w->r.unseen = r.unseen, w->r.unseen_version = r.unseen_version;
    node_backup_remove(path);
    if (e != ERR_OK)
        diag_prefix(d, "the backup was made, and cannot be restored (pieces that are damaged are made anew by the next one)");
    return e;
}

static void tell_unseen(const struct work *w) {
    char why[100] = "this kernel has no Landlock, in which its programs would run";
    if (w->r.unseen_version) snprintf(why, sizeof why, "version %u is not installed", w->r.unseen_version);
    if (w->r.unseen)
        fprintf(w->c->to, "the PostgreSQL of %u app%s was not looked at: %s\n", w->r.unseen, w->r.unseen == 1 ? "" : "s", why);
}

static void tell(const struct work *w, const char *name) {
    arena *scratch = arena_new(0);
    if (w->shows) fputs("\r\x1b[K", stderr);
    fprintf(w->c->to, "backups/%s: %u files, " STR_FMT ", of which " STR_FMT " are new%s\n", name, w->b.files.n,
            STR_ARG(node_table_bytes(scratch, w->b.bytes)), STR_ARG(node_table_bytes(scratch, w->b.new_bytes)),
            w->c->no_verify ? "" : "; restored once, and whole");
    if (!w->b.keys)
        fprintf(w->c->to,
                "the keys are not in it: keep " STR_FMT "/node.key and seal.key (or the --key-file) where the backup is not\n",
                STR_ARG(w->state));
    if (w->servers.n)
        fprintf(w->c->to,
                "the PostgreSQL of " STR_FMT " is run by somebody else: its rows are not in it, and its backups are its own\n",
                STR_ARG(w->servers));
    tell_unseen(w);
    arena_free(scratch);
}

/* What somebody else runs is not in it, and whoever restores it has to have it from there. */
static void name_servers(struct work *w, struct ask *a) {
    struct buf b = {.max = 4096};
    err e = w->running ? ERR_OK : ERR_NOT_FOUND;
    for (unsigned after = 0, first = 1; e == ERR_OK && (after || first); first = 0) {
        arena *mem = arena_new(0);
        struct answer answer;
        struct diag unused = DIAG_INIT;
        e = node_ask(a, mem, &(struct ask_call){.method = "GET", .path = node_ask_path(mem, "/apps?after=%u", after)}, &answer,
                     &unused);
        after = e == ERR_OK ? (unsigned)json_i64(json_get(&answer.body, "next")) : 0;
        JSON_EACH(app, e == ERR_OK ? json_get(&answer.body, "apps") : NULL)
        if (json_str(json_get(app, "server")).n)
            buf_printf(&b, "%s" STR_FMT, b.n ? ", " : "", STR_ARG(json_str(json_get(app, "name"))));
        arena_free(mem);
    }
    w->servers = arena_str(w->mem, buf_str(&b));
    buf_free(&b);
}

static err back_up(struct work *w, struct diag *d) {
    struct ask *a = NULL;
    char name[64];
    TRY(node_ask_open(&w->c->where, &a, d));
    err e = copy_running(w, a, d);
    if (e == ERR_OK) name_servers(w, a);
    node_ask_close(a);
    if (e == ERR_NOT_FOUND && !w->logs.n && !w->copied) *d = (struct diag)DIAG_INIT, w->running = false, e = copy_resting(w, d);
    TRY(e);
    TRY(node_backup_write(w->folder, &w->b, name, d));
    if (!w->c->no_verify) TRY(verify(w, d));
    tell(w, name);
    if (!w->b.left_out) return ERR_OK;
    return diag_set(d, ERR_BUSY, DIAG_NOWHERE,
                    "the PostgreSQL of %llu app%s is NOT in it, which did not answer: %.400s (all else is): try again",
                    (unsigned long long)w->b.left_out, w->b.left_out == 1 ? "" : "s", w->clusters.why.text);
}

err node_command_backup(const struct node_backup_config *c, struct diag *d) {
    struct work w = {.c = c, .mem = arena_new(0), .dir = -1, .folder = -1, .shows = isatty(STDERR_FILENO), .d = DIAG_INIT};
    if (c->where.url) return diag_set(d, ERR_USAGE, DIAG_NOWHERE, "a backup is made on the node's machine: without --to");
    w.state = node_state_folder(w.mem, c->where.state_dir);
    w.b = (struct backup){
        .mem = w.mem, .orlo = STR(ORLO_VERSION), .key_file = arena_fmt(w.mem, STR_FMT "/seal.key", STR_ARG(w.state))};
    w.piece = malloc(BACKUP_PIECE_BYTES);
    ENSURE(w.piece);
    w.clusters = (struct backup_clusters){
        .where = &c->where, .mem = w.mem, .state = -1, .folder = -1, .b = &w.b, .piece = w.piece, .moved = show, .arg = &w};
    setpriority(PRIO_PROCESS, 0, 10);       /* who serves goes first, */
    syscall(SYS_ioprio_set, 1, 0, 3 << 13); /* at the disk too */
    w.dir = open(arena_cstr(w.mem, w.state), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err e = w.dir < 0 ? diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no state folder " STR_FMT ": name it with --state",
                                 STR_ARG(w.state))
                      : ERR_OK;
    if (e == ERR_OK && (w.folder = node_backup_open(c->path, true, d)) < 0) e = ERR_IO;
    w.clusters.state = w.dir, w.clusters.folder = w.folder;
    if (e == ERR_OK) e = back_up(&w, d);
    if (w.dir >= 0) close(w.dir);
    if (w.folder >= 0) close(w.folder);
    free(w.piece);
    arena_free(w.mem);
    return e;
}

/* ---- restoring ---- */

/* What follows the seconds: ".250", then "Z", "+02:00", or nothing, which is UTC too. Without a fraction it is the end of that second. */
static bool rest_of_time(const char *rest, uint64_t *ms, int64_t *offset_s) {
    *ms = 999, *offset_s = 0;
    if (*rest == '.') {
        unsigned scale = 100;
        *ms = 0;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10) *ms += (uint64_t)(*rest - '0') * scale;
    }
    if (!*rest || !strcmp(rest, "Z")) return true;
    unsigned hours, minutes;
    int n = 0;
    if ((*rest != '+' && *rest != '-') || sscanf(rest + 1, "%2u:%2u%n", &hours, &minutes, &n) != 2 || rest[1 + n]) return false;
    *offset_s = (int64_t)(hours * 3600 + minutes * 60) * (*rest == '+' ? 1 : -1);
    return true;
}

/* "2026-01-31T10:15:00Z", "10m", "2h", "3d" ago. 0: it is none. */
static uint64_t time_of(const char *text) {
    static const struct {
        char unit;
        uint64_t s;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    struct tm tm = {0};
    uint64_t n;
    size_t len = strlen(text);
    uint64_t ms;
    int64_t offset_s;
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest) rest = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    if (rest && rest_of_time(rest, &ms, &offset_s)) return (uint64_t)(timegm(&tm) - offset_s) * 1000 + ms;
    for (size_t i = 0; i < ARRAY_COUNT(units) && len > 1; i++)
        if (text[len - 1] == units[i].unit && str_to_u64((str){(const uint8_t *)text, len - 1}, &n))
            return now_ms() - n * units[i].s * 1000;
    return 0;
}

static bool is_key(const char *name) { return !strcmp(name, "node.key") || !strcmp(name, "seal.key"); }

/* Nothing but keys, which the node needs that comes to be. */
static err check_empty(const struct work *w, struct diag *d) {
    DIR *dir = fdopendir(fcntl(w->dir, F_DUPFD_CLOEXEC, 3));
    err e = ERR_OK;
    for (struct dirent *entry; dir && e == ERR_OK && (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (!strcmp(name, ".") || !strcmp(name, "..") || is_key(name) || !strcmp(name, "lock")) continue;
        e = diag_set(d, ERR_BUSY, DIAG_NOWHERE,
                     "the state folder " STR_FMT " has a state in it already (%s): move it away, or name another with --state; "
                     "--app NAME restores the data of one app",
                     STR_ARG(w->state), name);
    }
    if (dir) closedir(dir);
    return e;
}

static err check_keys(const struct work *w, struct diag *d) {
    bool there = w->b.keys || (w->dir >= 0 && faccessat(w->dir, "node.key", F_OK, 0) == 0);
    if (there) return ERR_OK;
    return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE,
                    "the keys are not in this backup: put node.key and seal.key of the node (the latter was " STR_FMT
                    ") into " STR_FMT " first, else no image is served and no secret read",
                    STR_ARG(w->b.key_file), STR_ARG(w->state));
}

static void give_data(const char *path, int depth) {
    struct node_user user = node_role_user(NODE_ROLE_store);
    DIR *dir = opendir(path);
    if (!user.uid) return;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char below[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        if (lchown(below, user.uid, user.gid)) continue;
        if (entry->d_type == DT_DIR && depth) give_data(below, depth - 1);
    }
    if (dir) closedir(dir);
}

static bool sync_above(arena *mem, const char *path) {
    size_t n = strlen(path);
    while (n && path[n - 1] != '/') n--;
    int fd = open(n ? arena_cstr(mem, (str){(const uint8_t *)path, n}) : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0) close(fd);
    return ok;
}

/* Where its file system cannot do it at once: one after the other, and back. */
static bool exchange(arena *mem, const char *made, const char *there) {
    if (renameat2(AT_FDCWD, made, AT_FDCWD, there, RENAME_EXCHANGE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS) return false;
    char *old = arena_cstr(mem, arena_fmt(mem, "%s.exchanged", there));
    if (rename(there, old)) return false;
    if (rename(made, there) == 0) return rename(old, made) == 0;
    int why = errno;
    if (rename(old, there)) {}
    errno = why;
    return false;
}

/* What the folder that is there may have. Each is in both folders until the new one is in its place: wherever this ends, no key is lost. */
static const char *const stays[] = {"node.key", "seal.key", "lock"};

static err link_keys(const struct work *w, const char *aside, struct diag *d) {
    int fd = open(aside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err e = fd < 0 ? diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", aside, strerror(errno)) : ERR_OK;
    for (size_t i = 0; i < ARRAY_COUNT(stays) && e == ERR_OK; i++) {
        if (faccessat(w->dir, stays[i], F_OK, 0)) continue;
        bool gone = unlinkat(fd, stays[i], 0) == 0 || errno == ENOENT;
        if (!gone || linkat(w->dir, stays[i], fd, stays[i], 0))
            e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", stays[i], strerror(errno));
    }
    if (e == ERR_OK && fsync(fd)) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", aside, strerror(errno));
    if (fd >= 0) close(fd);
    return e;
}

/* The folder that is there and the new one change places. What was in the former by name goes; what somebody has put there meanwhile stays. */
static err take_place(const struct work *w, const char *aside, const char *to, struct diag *d) {
    bool ok = w->dir >= 0 ? exchange(w->mem, aside, to) : rename(aside, to) == 0;
    if (!ok || !sync_above(w->mem, to)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", to, strerror(errno));
    for (size_t i = 0; i < ARRAY_COUNT(stays) && w->dir >= 0; i++)
        if (unlinkat(w->dir, stays[i], 0)) {} /* it has none */
    if (w->dir >= 0 && rmdir(aside)) {}
    return ERR_OK;
}

/* By its real name, so that what is beside it is beside it: not in it ("state/"), nor beside a link to it. */
static err find_place(struct work *w, struct diag *d) {
    struct stat here, above;
    while (w->state.n > 1 && w->state.p[w->state.n - 1] == '/') w->state.n--;
    w->state = str_c(arena_cstr(w->mem, w->state));
    if (w->dir < 0) return ERR_OK;
    char *real = realpath((const char *)w->state.p, NULL);
    if (!real) return diag_set(d, ERR_IO, DIAG_NOWHERE, STR_FMT ": %s", STR_ARG(w->state), strerror(errno));
    w->state = str_c(arena_cstr(w->mem, str_c(real)));
    free(real);
    if (fstat(w->dir, &here) || fstatat(w->dir, "..", &above, 0) || (here.st_dev == above.st_dev && here.st_ino != above.st_ino))
        return ERR_OK;
    return diag_set(d, ERR_USAGE, DIAG_NOWHERE, STR_FMT " is where a file system begins: name a folder in it", STR_ARG(w->state));
}

static err restore_all(struct work *w, struct diag *d) {
    TRY(find_place(w, d));
    const char *to = (const char *)w->state.p;
    char *aside = arena_cstr(w->mem, arena_fmt(w->mem, "%s.restoring", to));
    if (w->dir >= 0) TRY(check_empty(w, d));
    TRY(check_keys(w, d));
    node_backup_remove(aside);
    if (!node_state_make_folder(aside)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", aside, strerror(errno));
    w->r = (struct backup_restore){
        .folder = w->folder, .b = &w->b, .to = aside, .until_ms = w->c->at ? w->until_ms : 0, .moved = show, .arg = w};
    err e = node_backup_into(&w->r, d);
    if (e == ERR_OK && w->dir >= 0) e = link_keys(w, aside, d);
    if (e == ERR_OK) give_data(arena_cstr(w->mem, arena_fmt(w->mem, "%s/data", aside)), 7);
    if (e == ERR_OK) e = take_place(w, aside, to, d);
    if (e != ERR_OK) node_backup_remove(aside); /* its keys are links */
    return e;
}

/* ---- one app ---- */

/* "data/shop.17/": its number is higher than that of one that bore the name before. */
static str folder_in_backup(struct work *w, str app) {
    str best = {0}, prefix = arena_fmt(w->mem, "data/" STR_FMT ".", STR_ARG(app));
    uint64_t most = 0, n;
    for (uint32_t i = 0; i < w->b.files.n; i++) {
        str path = w->b.files.p[i].path, rest = str_sub(path, prefix.n, path.n);
        if (!str_starts(path, prefix) || !str_to_u64(str_sub(rest, 0, str_find(rest, '/')), &n) || n < most) continue;
        most = n;
        best = str_sub(path, 0, prefix.n + str_find(rest, '/') + 1);
    }
    return best;
}

static err app_number(struct work *w, str app, int64_t *id, struct diag *d) {
    struct db *db;
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (before < 0 || fchdir(w->dir)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno));
    err e = db_open(&(struct db_options){.name = "db/node.db"}, &db, d);
    if (e == ERR_OK) e = db_one_i64(db, id, d, "select id from apps where name = ?", DB_TEXT(app));
    if (e == ERR_NOT_FOUND)
        diag_set(d, e, DIAG_NOWHERE, "this node has no app " STR_FMT ": restore it whole, or deploy the app first", STR_ARG(app));
    db_close(db);
    if (fchdir(before)) e = ERR_IO;
    close(before);
    return e;
}

/* Whenever this ends, the app has data: what it had before, or what was made. Where it fails, what was made is where it was. */
static bool swap_data(arena *mem, const char *made, const char *there, const char *old) {
    if (rename(made, old)) return false;
    if (exchange(mem, old, there)) return true;
    int why = errno;
    if (rename(old, made)) {}
    errno = why;
    return false;
}

/* "clusters/17/", by the number that the app had: the backup's own table says it. Empty: it has none. */
static err cluster_in_backup(struct work *w, str app, const char *aside, str *out, struct diag *d) {
    struct backup_restore r = {.folder = w->folder, .b = &w->b, .to = aside, .below = STR("db/node.db")};
    struct db *db = NULL;
    int64_t id = 0;
    *out = (str){0};
    TRY(node_backup_into(&r, d));
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (before < 0 || chdir(aside)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", aside, strerror(errno));
    err e = db_open(&(struct db_options){.name = "db/node.db"}, &db, d);
    if (e == ERR_OK) e = db_one_i64(db, &id, d, "select id from apps where name = ?", DB_TEXT(app));
    db_close(db);
    if (fchdir(before)) e = ERR_IO;
    close(before);
    if (e == ERR_NOT_FOUND) return ERR_OK;
    str prefix = arena_fmt(w->mem, "clusters/%lld/", (long long)id);
    for (uint32_t i = 0; i < w->b.files.n && !out->n; i++)
        if (str_starts(w->b.files.p[i].path, prefix)) *out = prefix;
    return e;
}

/* A folder that was made beside, and where it is to be. */
struct placed {
    char *made, *to, *old;
    bool wanted, there; /* there: it had one before, which is in old */
};

static err make_cluster(struct work *w, str from, int64_t id, const char *aside, struct placed *p, struct diag *d) {
    struct backup_restore r = {
        .folder = w->folder, .b = &w->b, .to = aside, .below = from, .app = (uint32_t)id, .moved = show, .arg = w};
    p->made = arena_cstr(w->mem, arena_fmt(w->mem, "%s/" STR_FMT, aside, STR_ARG(str_sub(from, 0, from.n - 1))));
    p->to = arena_cstr(w->mem, arena_fmt(w->mem, STR_FMT "/clusters/%lld", STR_ARG(w->state), (long long)id));
    p->wanted = true;
    TRY(node_backup_into(&r, d));
    w->r.clusters = r.clusters, w->r.unseen = r.unseen, w->r.unseen_version = r.unseen_version;
    if (mkdirat(w->dir, "clusters", 0700) && errno != EEXIST)
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "clusters: %s", strerror(errno));
    return ERR_OK;
}

static err make_data(struct work *w, str app, str from, int64_t id, const char *aside, struct placed *p, struct diag *d) {
    p->made = arena_cstr(w->mem, arena_fmt(w->mem, "%s/" STR_FMT, aside, STR_ARG(str_sub(from, 0, from.n - 1))));
    p->to =
        arena_cstr(w->mem, arena_fmt(w->mem, STR_FMT "/data/" STR_FMT ".%lld", STR_ARG(w->state), STR_ARG(app), (long long)id));
    p->wanted = true;
    TRY(node_backup_into(&w->r, d));
    give_data(arena_cstr(w->mem, arena_fmt(w->mem, "%s/data", aside)), 7);
    return ERR_OK;
}

static bool put_place(struct work *w, struct placed *p) {
    if (!p->wanted) return true;
    p->old = arena_cstr(w->mem, arena_fmt(w->mem, "%s.before-%llu", p->to, (unsigned long long)now_ms()));
    p->there = access(p->to, F_OK) == 0;
    return p->there ? swap_data(w->mem, p->made, p->to, p->old) : rename(p->made, p->to) == 0;
}

static void take_back(struct work *w, struct placed *p) {
    if (!p->wanted) return;
    if (p->there && exchange(w->mem, p->old, p->to)) rename(p->old, p->made);
    else if (!p->there && rename(p->to, p->made)) {}
}

/* Both, or none: what can fail is behind them, and where the second cannot be put into its place, the first is as it was. */
static err put_places(struct work *w, struct placed *data, struct placed *cluster, struct diag *d) {
    if (!put_place(w, data)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", data->to, strerror(errno));
    if (!put_place(w, cluster)) {
        diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", cluster->to, strerror(errno));
        take_back(w, data);
        return ERR_IO;
    }
    struct placed *const all[] = {data, cluster};
    for (size_t i = 0; i < ARRAY_COUNT(all); i++) {
        if (all[i]->wanted && !sync_above(w->mem, all[i]->to))
            return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", all[i]->to, strerror(errno));
        if (all[i]->there) fprintf(w->c->to, "what it had before is in %s\n", all[i]->old);
    }
    return ERR_OK;
}

/* The backup may be of the middle of a move, or of an engine that was moved away from: then its database is read alone. Which one the app is on, the node says when
 * it starts (control/move.c: what a control that ended in the middle left). */
static err note_move(struct work *w, int64_t id, struct diag *d) {
    struct db *db = NULL;
    int before = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (before < 0 || fchdir(w->dir)) return diag_set(d, ERR_IO, DIAG_NOWHERE, "%s", strerror(errno));
    err e = db_open(&(struct db_options){.name = "db/node.db"}, &db, d);
    if (e == ERR_OK)
        e = db_run(db, d, "insert or replace into meta (key, value) values (?, 'restored')",
                   DB_TEXT(arena_fmt(w->mem, "move:%lld", (long long)id)));
    db_close(db);
    if (fchdir(before)) e = ERR_IO;
    close(before);
    return e;
}

static err restore_app(struct work *w, str app, struct diag *d) {
    int64_t id;
    int lock;
    str from = folder_in_backup(w, app), cluster = {0};
    struct placed places[2] = {0};
    if (w->dir < 0) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no state folder " STR_FMT, STR_ARG(w->state));
    TRY(lock_state(w, &lock, d));
    err e = app_number(w, app, &id, d);
    char *aside = arena_cstr(w->mem, arena_fmt(w->mem, STR_FMT "/restoring", STR_ARG(w->state)));
    node_backup_remove(aside);
    if (e == ERR_OK && mkdir(aside, 0700)) e = diag_set(d, ERR_IO, DIAG_NOWHERE, "%s: %s", aside, strerror(errno));
    if (e == ERR_OK) e = cluster_in_backup(w, app, aside, &cluster, d);
    if (e == ERR_OK && !from.n && !cluster.n)
        e = diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "the backup has no data of an app " STR_FMT, STR_ARG(app));
    w->r = (struct backup_restore){.folder = w->folder,
                                   .b = &w->b,
                                   .to = aside,
                                   .state = arena_cstr(w->mem, w->state),
                                   .below = from,
                                   .until_ms = w->c->at ? w->until_ms : 0,
                                   .moved = show,
                                   .arg = w};
    if (e == ERR_OK && from.n) e = make_data(w, app, from, id, aside, &places[0], d);
    if (e == ERR_OK && cluster.n) e = make_cluster(w, cluster, id, aside, &places[1], d);
    if (e == ERR_OK) e = note_move(w, id, d);
    if (e == ERR_OK) e = put_places(w, &places[0], &places[1], d);
    node_backup_remove(aside);
    close(lock);
    return e;
}

static void time_text(uint64_t at_ms, char to[static 40]) {
    struct tm tm;
    time_t s = (time_t)(at_ms / 1000);
    size_t n = strftime(to, 40, "%Y-%m-%dT%H:%M:%S", gmtime_r(&s, &tm));
    snprintf(to + n, 40 - n, ".%03uZ", (unsigned)(at_ms % 1000));
}

/* Which moment it is: that of the backup, or the one that was asked for, by the histories of what was written since. Where some of it is of the one and
 * some of the other, it is there, and this is an error. */
static err tell_restored(struct work *w, struct diag *d) {
    const struct node_backup_config *c = w->c;
    char backup[40], asked[40], last[40];
    time_text(w->b.at_ms, backup), time_text(w->until_ms, asked), time_text(w->r.reached_ms, last);
    const char *what = c->app ? c->app : (const char *)w->state.p, *data = c->app ? "the data of " : "";
    tell_unseen(w);
    if (c->at && w->r.clusters && w->until_ms > w->b.at_ms)
        return diag_set(
            d, ERR_INVALID, DIAG_NOWHERE,
            "%s%s was restored, and its PostgreSQL%s as in the backup, at %s: nothing goes on from there to %s (all else is as "
            "of that moment, as far as histories go)",
            data, what, w->r.clusters == 1 ? " is" : "s are", backup, asked);
    if (!c->app && w->b.left_out)
        return diag_set(
            d, ERR_INVALID, DIAG_NOWHERE,
            "%s was restored, and the PostgreSQL of %llu app%s is not in the backup of %s, as it did not answer then: "
            "with --at an earlier one may have it",
            what, (unsigned long long)w->b.left_out, w->b.left_out == 1 ? "" : "s", backup);
    if (!c->at || !w->r.until_ms) fprintf(c->to, "%s%s is as it was at %s; start the node\n", data, what, backup);
    else if (!w->r.behind)
        fprintf(c->to, "%s%s is as it was at %s: the backup of %s, and what was written until then%s%s; start the node\n", data,
                what, asked, backup, w->r.reached_ms ? ", the last of it at " : ", which is nothing",
                w->r.reached_ms ? last : "");
    else if (w->r.reached_ms > w->b.at_ms)
        return diag_set(d, ERR_INVALID, DIAG_NOWHERE,
                        "%s%s was restored, and is not of one moment: no history of %u database%s (" STR_FMT "%s) goes on to %s; "
                        "others do, with a last commit at %s. Without --at all is as it was in the backup, at %s",
                        data, what, w->r.behind, w->r.behind == 1 ? "" : "s", STR_ARG(w->r.first_behind),
                        w->r.behind == 1 ? "" : ", \xe2\x80\xa6", asked, last, backup);
    else
        fprintf(c->to,
                "%s%s is as it was at %s, in the backup: of %u database%s no history goes on to %s (orlo backup keeps it, and "
                "the state folder "
                "for --app); start the node\n",
                data, what, backup, w->r.behind, w->r.behind == 1 ? "" : "s", asked);
    return ERR_OK;
}

err node_command_restore(const struct node_backup_config *c, struct diag *d) {
    struct work w = {.c = c, .mem = arena_new(0), .dir = -1, .folder = -1, .shows = isatty(STDERR_FILENO), .d = DIAG_INIT};
    uint64_t at = c->at ? time_of(c->at) : 0;
    w.state = node_state_folder(w.mem, c->where.state_dir);
    w.dir = open(arena_cstr(w.mem, w.state), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    err e = c->at && !at
                ? diag_set(d, ERR_USAGE, DIAG_NOWHERE, "--at takes a time, such as 2026-01-31T10:15:00Z or 2h, not '%s'", c->at)
                : ERR_OK;
    if (e == ERR_OK && (w.folder = node_backup_open(c->path, false, d)) < 0) e = ERR_NOT_FOUND;
    w.until_ms = at;
    if (e == ERR_OK) e = node_backup_read(w.mem, w.folder, at, &w.b, d);
    if (e == ERR_OK) e = c->app ? restore_app(&w, str_c(c->app), d) : restore_all(&w, d);
    if (w.shows) fputs("\r\x1b[K", stderr);
    if (e == ERR_OK) e = tell_restored(&w, d);
    if (w.dir >= 0) close(w.dir);
    if (w.folder >= 0) close(w.folder);
    arena_free(w.mem);
    return e;
}
