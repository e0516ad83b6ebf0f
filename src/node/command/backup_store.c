/* backup_store: the folder that backups are kept in. See backup.h. */
#include "base/json.h"
#include "node/command/backup.h"
#include "node/state.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { NAME_BYTES = 2 * CRYPTO_SHA256_BYTES + 16, OBJECT_PATH = NAME_BYTES + 16 };

static err cannot(struct diag *d, const char *what) {
    bool full = errno == ENOSPC || errno == EDQUOT;
    return diag_set(d,
                    full              ? ERR_LIMIT
                    : errno == EACCES ? ERR_DENIED
                                      : ERR_IO,
                    DIAG_NOWHERE, "the backup's folder cannot be %s: %s", what, strerror(errno));
}

int node_backup_open(const char *path, bool make, struct diag *d) {
    arena *scratch = arena_new(0);
    bool ok = !make || node_state_make_folder(arena_cstr(scratch, str_c(path)));
    int fd = ok ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    arena_free(scratch);
    if (fd >= 0 && make)
        ok = (mkdirat(fd, "objects", 0700) == 0 || errno == EEXIST) && (mkdirat(fd, "backups", 0700) == 0 || errno == EEXIST);
    if (fd < 0 || !ok) diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "%s: %s", path, strerror(errno));
    if (fd >= 0 && !ok) close(fd), fd = -1;
    return fd;
}

static void object_path(const uint8_t *digest, char to[static OBJECT_PATH]) {
    int n = snprintf(to, OBJECT_PATH, "objects/%02x/", digest[0]);
    for (size_t i = 0; i < CRYPTO_SHA256_BYTES; i++) n += snprintf(to + n, (size_t)(OBJECT_PATH - n), "%02x", digest[i]);
}

/* In steps: on a server's kernel, as a rule, nobody comes in between within a call, and a whole piece is two milliseconds that a reader of the node's may
 * have to wait for, however low this one's priority is. */
static bool write_whole(int fd, const uint8_t *p, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t w = write(fd, p + at, MIN(n - at, (size_t)BACKUP_STEP_BYTES));
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return false;
        at += (size_t)w;
    }
    return true;
}

/* Beside its name first; on the disk with all others, when the backup is written down. */
static bool put_file(int folder, const char *path, const uint8_t *p, size_t n) {
    char part[OBJECT_PATH + 24];
    snprintf(part, sizeof part, "%s.%d.part", path, (int)getpid());
    int fd = openat(folder, part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write_whole(fd, p, n);
    if (fd >= 0) ok = close(fd) == 0 && ok;
    ok = ok && renameat(folder, part, folder, path) == 0;
    int why = errno;
    if (!ok) unlinkat(folder, part, 0);
    errno = why;
    return ok;
}

err node_backup_put(int folder, struct backup *b, const uint8_t *p, size_t n, uint8_t *digest, struct diag *d) {
    char path[OBJECT_PATH];
    struct stat st;
    crypto_sha256((str){p, n}, digest);
    object_path(digest, path);
    b->bytes += n;
    if (fstatat(folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && (size_t)st.st_size == n) return ERR_OK;
    path[10] = 0; /* "objects/ab" */
    bool ok = mkdirat(folder, path, 0700) == 0 || errno == EEXIST;
    path[10] = '/';
    if (!ok || !put_file(folder, path, p, n)) return cannot(d, "written");
    b->new_bytes += n;
    return ERR_OK;
}

err node_backup_get(int folder, const uint8_t *digest, uint8_t *p, size_t *n, struct diag *d) {
    char path[OBJECT_PATH];
    uint8_t is[CRYPTO_SHA256_BYTES];
    object_path(digest, path);
    struct stat st;
    int fd = openat(folder, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC); /* nobody is waited for where it is a FIFO */
    if (fd >= 0 && (fstat(fd, &st) || !S_ISREG(st.st_mode))) close(fd), fd = -1, errno = EINVAL;
    if (fd < 0)
        return diag_set(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, DIAG_NOWHERE, "a piece of the backup (%s): %s", path,
                        strerror(errno));
    ssize_t r = 1;
    for (*n = 0; *n < BACKUP_PIECE_BYTES && r; *n += (size_t)MAX(r, (ssize_t)0))
        if ((r = read(fd, p + *n, BACKUP_PIECE_BYTES - *n)) < 0 && errno != EINTR) break;
    close(fd);
    if (r < 0) return diag_set(d, ERR_IO, DIAG_NOWHERE, "a piece of the backup (%s): %s", path, strerror(errno));
    crypto_sha256((str){p, *n}, is);
    if (!memcmp(is, digest, sizeof is)) return ERR_OK;
    return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE,
                    "the backup is damaged: %s is not what it was; another backup may be whole (--at)", path);
}

void node_backup_doubt(int folder, const uint8_t *digest) {
    char path[OBJECT_PATH], bad[OBJECT_PATH + 8];
    object_path(digest, path);
    snprintf(bad, sizeof bad, "%s.bad", path);
    if (renameat(folder, path, folder, bad)) {} /* then it is found damaged again */
}

/* ---- what is in one ---- */

static void put_file_row(struct json_writer *w, const struct backup_file *f) {
    json_put_object(w, NULL);
    json_put_str(w, "path", f->path);
    json_put_u64(w, "bytes", f->bytes);
    if (f->database) json_put_bool(w, "database", true);
    if (f->has_history) {
        json_put_hex(w, "generation", "", f->history.generation, sizeof f->history.generation);
        json_put_u64(w, "commit", f->history.commit);
        json_put_hex(w, "salts", "", f->history.salts, sizeof f->history.salts);
        json_put_u64(w, "frames", f->history.frames);
    }
    json_put_array(w, "pieces");
    for (uint32_t i = 0; i < f->pieces.n; i++) json_put_hex(w, NULL, "", f->pieces.p[i], CRYPTO_SHA256_BYTES);
    json_put_end(w);
    json_put_end(w);
}

static void put_backup(struct json_writer *w, const struct backup *b) {
    json_put_object(w, NULL);
    json_put_u64(w, "format", BACKUP_FORMAT);
    json_put_str(w, "orlo", b->orlo);
    json_put_u64(w, "at_ms", b->at_ms);
    json_put_u64(w, "bytes", b->bytes);
    json_put_str(w, "key_file", b->key_file);
    json_put_bool(w, "keys", b->keys);
    if (b->left_out) json_put_u64(w, "left_out", b->left_out);
    json_put_array(w, "files");
    for (uint32_t i = 0; i < b->files.n; i++) put_file_row(w, &b->files.p[i]);
    json_put_end(w);
    json_put_end(w);
}

static void name_backup(uint64_t at_ms, char name[static 64]) {
    struct tm tm;
    time_t s = (time_t)(at_ms / 1000);
    gmtime_r(&s, &tm);
    size_t n = strftime(name, 64, "%Y%m%dT%H%M%S", &tm);
    snprintf(name + n, 64 - n, ".%03uZ.orlo", (unsigned)(at_ms % 1000));
}

static str head_of(arena *mem, str json) {
    uint8_t digest[CRYPTO_SHA256_BYTES];
    char hex[2 * CRYPTO_SHA256_BYTES + 1];
    crypto_sha256(json, digest);
    for (size_t i = 0; i < sizeof digest; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return arena_fmt(mem, "orlo-backup %d %s\n", BACKUP_FORMAT, hex);
}

err node_backup_write(int folder, const struct backup *b, char name[static 64], struct diag *d) {
    struct buf json = {0}, whole = {0};
    struct json_writer w = json_writer_of(&json);
    char path[96];
    put_backup(&w, b);
    buf_puts(&whole, head_of(b->mem, buf_str(&json)));
    buf_puts(&whole, buf_str(&json));
    name_backup(b->at_ms, name);
    snprintf(path, sizeof path, "backups/%s", name);
    bool ok = syncfs(folder) == 0 && put_file(folder, path, whole.p, whole.n) && syncfs(folder) == 0;
    buf_free(&json), buf_free(&whole);
    return ok ? ERR_OK : cannot(d, "written");
}

/* ---- reading one ---- */

static bool path_ok(str path) {
    bool ok = path.n && path.n < 4096 && path.p[0] != '/' && !memchr(path.p, 0, path.n);
    for (str rest = path, part; ok && rest.n;) {
        str_cut(rest, '/', &part, &rest);
        ok = part.n && !str_eqc(part, ".") && !str_eqc(part, "..");
    }
    return ok;
}

static bool take_digest(arena *mem, str hex, struct backup_file *f) {
    uint8_t *to = arena_alloc(mem, CRYPTO_SHA256_BYTES, 1);
    if (!str_to_bytes(hex, to, CRYPTO_SHA256_BYTES)) return false;
    vec_push(mem, &f->pieces, to);
    return true;
}

static bool take_file(struct backup *b, const struct json *row) {
    struct backup_file *f = vec_add(b->mem, &b->files);
    int64_t bytes = json_i64(json_get(row, "bytes"));
    *f = (struct backup_file){
        .path = json_str(json_get(row, "path")), .bytes = (uint64_t)bytes, .database = json_bool(json_get(row, "database"))};
    str generation = json_str(json_get(row, "generation"));
    f->has_history = generation.n;
    f->history.commit = (uint64_t)json_i64(json_get(row, "commit"));
    f->history.frames = (uint32_t)json_i64(json_get(row, "frames"));
    bool ok = path_ok(f->path) && bytes >= 0;
    if (f->has_history)
        ok = ok && str_to_bytes(generation, f->history.generation, sizeof f->history.generation) &&
             str_to_bytes(json_str(json_get(row, "salts")), f->history.salts, sizeof f->history.salts);
    JSON_EACH(piece, json_get(row, "pieces")) ok = ok && take_digest(b->mem, json_str(piece), f);
    return ok && f->pieces.n == (f->bytes + BACKUP_PIECE_BYTES - 1) / BACKUP_PIECE_BYTES;
}

static err damaged(struct diag *d, const char *name) {
    return diag_set(d, ERR_MALFORMED, DIAG_NOWHERE,
                    "backups/%s is damaged, or no backup of orlo's; an earlier one may be whole (--at)", name);
}

static err parse(struct backup *b, str whole, const char *name, struct diag *d) {
    static const struct json_limits limits = {.bytes_max = BACKUP_HEAD_BYTES_MAX, .depth_max = 8, .values_max = 64 << 20};
    struct json v;
    str head = str_sub(whole, 0, str_find(whole, '\n') + 1), json = str_sub(whole, head.n, whole.n), word = STR("orlo-backup ");
    if (!str_starts(head, word)) return damaged(d, name);
    uint64_t format = 0;
    str rest = str_sub(head, word.n, head.n);
    if (!str_to_u64(str_sub(rest, 0, str_find(rest, ' ')), &format)) return damaged(d, name);
    if (format > BACKUP_FORMAT)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE,
                        "backups/%s is of format %llu, this orlo reads up to %d: restore it with a newer one", name,
                        (unsigned long long)format, BACKUP_FORMAT);
    if (!str_eq(head, head_of(b->mem, json)) || json_read(b->mem, json, &limits, &v, d) != ERR_OK) return damaged(d, name);
    b->at_ms = (uint64_t)json_i64(json_get(&v, "at_ms"));
    b->bytes = (uint64_t)json_i64(json_get(&v, "bytes"));
    b->orlo = json_str(json_get(&v, "orlo")), b->key_file = json_str(json_get(&v, "key_file"));
    b->keys = json_bool(json_get(&v, "keys"));
    b->left_out = (uint64_t)MAX(json_i64(json_get(&v, "left_out")), (int64_t)0);
    JSON_EACH(row, json_get(&v, "files"))
    if (!take_file(b, row)) return damaged(d, name);
    return b->files.n ? ERR_OK : damaged(d, name);
}

static err read_text(arena *mem, int folder, const char *name, str *whole, struct diag *d) {
    struct stat st;
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > (off_t)BACKUP_HEAD_BYTES_MAX) {
        if (fd >= 0) close(fd);
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "backups/%s: %s", name,
                        fd < 0 ? strerror(errno) : "it is too large, or no file");
    }
    uint8_t *p = arena_alloc(mem, (size_t)st.st_size + 1, 1);
    size_t n = 0;
    for (ssize_t r; n < (size_t)st.st_size && (r = read(fd, p + n, (size_t)st.st_size - n)) > 0;) n += (size_t)r;
    close(fd);
    *whole = (str){p, n};
    return ERR_OK;
}

err node_backup_named(arena *mem, int folder, const char *name, struct backup *b, struct diag *d) {
    str whole;
    *b = (struct backup){.mem = mem};
    int backups = openat(folder, "backups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (backups < 0) return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no backup of orlo's: it has no folder backups");
    err e = read_text(mem, backups, name, &whole, d);
    close(backups);
    return e == ERR_OK ? parse(b, whole, name, d) : e;
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* "20260131T101500.000Z.orlo" sorts as it was made. */
uint32_t node_backup_list(arena *mem, int folder, char ***names) {
    VEC(char *) all = {0};
    int fd = openat(folder, "backups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !dir) close(fd);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (name[0] != '.' && str_ends(str_c(name), STR("Z.orlo"))) vec_push(mem, &all, arena_cstr(mem, str_c(name)));
    }
    if (dir) closedir(dir);
    if (all.n) qsort(all.p, all.n, sizeof *all.p, by_name);
    *names = all.p;
    return all.n;
}

bool node_backup_is_segment(const struct backup_file *f) {
    char path[4096];
    snprintf(path, sizeof path, STR_FMT, STR_ARG(f->path));
    return !f->database && str_starts(f->path, STR("data/")) && node_history_is_segment(path);
}

err node_backup_read(arena *mem, int folder, uint64_t at_ms, struct backup *b, struct diag *d) {
    char limit[64], **names;
    uint32_t n = node_backup_list(mem, folder, &names);
    if (at_ms) name_backup(at_ms, limit);
    while (n && at_ms && strcmp(names[n - 1], limit) > 0) n--;
    if (n) return node_backup_named(mem, folder, names[n - 1], b, d);
    return diag_set(d, ERR_NOT_FOUND, DIAG_NOWHERE, "there is no backup of orlo's%s", at_ms ? " as old as that" : " in it");
}

/* Of a backup's name; 0: it is none. */
uint64_t node_backup_time(const char *name) {
    struct tm tm = {0};
    const char *rest = strptime(name, "%Y%m%dT%H%M%S", &tm);
    unsigned ms = 0;
    if (!rest) return 0;
    if (*rest == '.') sscanf(rest + 1, "%3u", &ms);
    return (uint64_t)timegm(&tm) * 1000 + ms;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at) { return remove(path); }
void node_backup_remove(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }
