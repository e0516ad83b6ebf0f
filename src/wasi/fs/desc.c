/* fs_desc: see fs/desc.h. */
#include "wasi/fs/desc.h"
#include "wasi/notice.h"
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int result_of(int r) { return r < 0 ? errno : 0; }

/* ---- descriptors ---- */

/* One more file open in this instance. False: it has as many as it may. */
static bool wasi_fs_count(struct wasi_instance *i) {
    if (i->files >= i->base.app->limits->files_max) return false;
    i->files++;
    return true;
}
void wasi_fs_uncount(struct wasi_instance *i) { i->files--; }

static void close_desc(struct wasi_instance *i, struct wasi_fs_desc *d) {
    if (d->counted) wasi_fs_uncount(i);
    wasi_fs_file_unref(d->file);
    *d = (struct wasi_fs_desc){};
}

static struct wasi_fs_desc preopen(const struct app_dir *from) {
    return (struct wasi_fs_desc){.file = wasi_fs_file_new(from->fd, true),
                                 .type = S_IFDIR,
                                 .read_only = from->read_only,
                                 .flags = FS_D_READ | (from->read_only ? 0 : FS_D_MUTATE)};
}

void wasi_fs_object_destroy(struct host_instance *in, void *self) {
    close_desc(wasi_instance_of(in), &((struct wasi_fs_object *)self)->d);
}

enum abi_trap wasi_fs_preopens(struct host_call *call, struct wasi_fs_preopens *out) {
    const struct app_grants *grants = wasi_caller(call)->base.app->grants;
    wasi_notice_folder(wasi_caller(call));
    out->p = host_alloc(call, (grants->dirs.n + 1) * sizeof *out->p, _Alignof(str));
    while (out->p && out->n < grants->dirs.n) {
        const struct app_dir *from = &grants->dirs.p[out->n];
        struct wasi_fs_object *d = app_object_new(call->instance, sizeof *d, wasi_fs_object_destroy);
        if (!d) break;
        d->d = preopen(from);
        out->p[out->n].f0 = d;
        out->p[out->n++].f1 = from->guest;
    }
    if (out->p && out->n == grants->dirs.n) return ABI_TRAP_NONE;
    while (out->n) app_object_unref(call->instance, out->p[--out->n].f0);
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the list of granted folders");
}

bool wasi_fs_desc_same(const struct wasi_fs_desc *a, const struct wasi_fs_desc *b) {
    struct stat x, y;
    if (a->file == b->file) return true;
    return fstat(a->file->fd, &x) == 0 && fstat(b->file->fd, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int wasi_fs_desc_may(const struct wasi_fs_desc *d, uint32_t read_or_write) {
    if (S_ISDIR(d->type)) return EISDIR;
    if (d->flags & read_or_write) return 0;
    return read_or_write == FS_D_WRITE && d->read_only ? EROFS : EBADF;
}

static int wasi_fs_desc_may_path(const struct wasi_fs_desc *d, bool change) {
    if (!S_ISDIR(d->type)) return ENOTDIR;
    return change && d->read_only ? EROFS : 0;
}

/* ---- attributes ---- */

int wasi_fs_desc_stat(const struct wasi_fs_desc *d, struct stat *out) { return result_of(fstat(d->file->fd, out)); }

int wasi_fs_desc_stat_at(const struct wasi_fs_desc *d, uint32_t path_flags, str path, struct stat *out) {
    int e = wasi_fs_desc_may_path(d, false);
    return e ? e : wasi_fs_stat(d->file->fd, path, path_flags & FS_P_FOLLOW, out);
}

struct wasi_fs_hash wasi_fs_hash_of(const struct stat *st) {
    uint64_t what[] = {st->st_dev, st->st_ino, (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
                       (uint64_t)st->st_size};
    return (struct wasi_fs_hash){str_hash((str){(const uint8_t *)what, 2 * sizeof *what}),
                                 str_hash((str){(const uint8_t *)what, sizeof what})};
}

int wasi_fs_timespec(enum wasi_fs_time how, int64_t seconds, uint32_t nanoseconds, struct timespec *out) {
    *out = (struct timespec){.tv_nsec = how == FS_TIME_NOW ? UTIME_NOW : UTIME_OMIT};
    if (how != FS_TIME_SET) return 0;
    if (nanoseconds >= 1'000'000'000) return EINVAL;
    *out = (struct timespec){(time_t)seconds, nanoseconds};
    return 0;
}

int wasi_fs_desc_set_times(const struct wasi_fs_desc *d, const struct timespec times[2]) {
    return d->read_only ? EROFS : result_of(futimens(d->file->fd, times));
}

int wasi_fs_desc_set_times_at(const struct wasi_fs_desc *d, uint32_t path_flags, str path, const struct timespec times[2]) {
    int e = wasi_fs_desc_may_path(d, true);
    return e ? e : wasi_fs_set_times(d->file->fd, path, path_flags & FS_P_FOLLOW, times);
}

int wasi_fs_desc_advise(const struct wasi_fs_desc *d, uint64_t offset, uint64_t length, uint32_t advice) {
    static const int host[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                               POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
    if (S_ISDIR(d->type)) return EBADF;
    if (advice >= ARRAY_COUNT(host) || offset > INT64_MAX || length > INT64_MAX) return EINVAL;
    return posix_fadvise(d->file->fd, (off_t)offset, (off_t)length, host[advice]);
}

/* ---- paths ---- */

int wasi_fs_desc_mkdir(const struct wasi_fs_desc *d, str path) {
    int e = wasi_fs_desc_may_path(d, true);
    return e ? e : wasi_fs_mkdir(d->file->fd, path);
}
int wasi_fs_desc_rmdir(const struct wasi_fs_desc *d, str path) {
    int e = wasi_fs_desc_may_path(d, true);
    return e ? e : wasi_fs_rmdir(d->file->fd, path);
}
int wasi_fs_desc_symlink(const struct wasi_fs_desc *d, str target, str path) {
    int e = wasi_fs_desc_may_path(d, true);
    return e ? e : wasi_fs_symlink(target, d->file->fd, path);
}

int wasi_fs_desc_link(const struct wasi_fs_desc *d, uint32_t path_flags, str path, const struct wasi_fs_desc *new_d,
                      str new_path) {
    int e = wasi_fs_desc_may_path(d, true); /* read-only: a second name could be opened for writing */
    if (!e) e = wasi_fs_desc_may_path(new_d, true);
    if (!e && path_flags & FS_P_FOLLOW) e = EINVAL;
    return e ? e : wasi_fs_link(d->file->fd, path, new_d->file->fd, new_path);
}

int wasi_fs_desc_readlink(const struct wasi_fs_desc *d, str path, uint8_t *p, size_t cap, size_t *n) {
    int e = wasi_fs_desc_may_path(d, false);
    if (!e) e = wasi_fs_readlink(d->file->fd, path, p, cap, n);
    if (e) return e;
    return *n && p[0] == '/' ? EPERM : str_is_utf8((str){p, *n}) ? 0 : EILSEQ;
}

int wasi_fs_desc_unlink(const struct wasi_fs_desc *d, str path, struct wasi_fs_task *out) {
    *out = (struct wasi_fs_task){.op = FS_UNLINK, .file = d->file, .path = path};
    return wasi_fs_desc_may_path(d, true);
}

int wasi_fs_desc_rename(const struct wasi_fs_desc *d, str path, const struct wasi_fs_desc *new_d, str new_path,
                        struct wasi_fs_task *out) {
    int e = wasi_fs_desc_may_path(d, true);
    *out = (struct wasi_fs_task){.op = FS_RENAME, .file = d->file, .to = new_d->file, .path = path, .new_path = new_path};
    return e ? e : wasi_fs_desc_may_path(new_d, true);
}

/* ---- bytes ---- */

int wasi_fs_desc_read(const struct wasi_fs_desc *d, uint64_t offset, struct iovec *v, struct wasi_fs_task *out) {
    int e = wasi_fs_desc_may(d, FS_D_READ);
    *out = (struct wasi_fs_task){.op = FS_READ, .file = d->file, .v = v, .count = 1, .offset = (int64_t)offset};
    return e ? e : offset > INT64_MAX ? EINVAL : 0;
}

int wasi_fs_desc_write(const struct wasi_fs_desc *d, uint64_t offset, bool append, struct iovec *v, struct wasi_fs_task *out) {
    int e = wasi_fs_desc_may(d, FS_D_WRITE);
    *out =
        (struct wasi_fs_task){.op = FS_WRITE, .file = d->file, .v = v, .count = 1, .offset = append ? FS_END : (int64_t)offset};
    return e ? e : !append && offset > INT64_MAX - v->iov_len ? EFBIG : 0;
}

int wasi_fs_desc_resize(const struct wasi_fs_desc *d, uint64_t size, struct wasi_fs_task *out) {
    int e = wasi_fs_desc_may(d, FS_D_WRITE);
    *out = (struct wasi_fs_task){.op = FS_RESIZE, .file = d->file, .offset = (int64_t)size};
    return e ? e : size > INT64_MAX ? EFBIG : 0;
}

int wasi_fs_desc_sync(const struct wasi_fs_desc *d, bool data_only, struct wasi_fs_task *out) {
    *out = (struct wasi_fs_task){.op = data_only ? FS_DATASYNC : FS_SYNC, .file = d->file};
    return 0;
}

/* ---- opening ---- */

/* What creates or truncates writes; what does not ask to write reads. */
static uint32_t effective_flags(uint32_t open_flags, uint32_t flags) {
    uint32_t more = open_flags & (FS_O_CREATE | FS_O_TRUNCATE) ? FS_D_WRITE : 0;
    return flags | more | (flags & FS_D_WRITE ? 0 : FS_D_READ);
}

int wasi_fs_desc_open(struct wasi_instance *i, const struct wasi_fs_desc *d, uint32_t path_flags, str path, uint32_t open_flags,
                      uint32_t flags, struct wasi_fs_task *out) {
    uint32_t effective = effective_flags(open_flags, flags);
    int e = wasi_fs_desc_may_path(d, effective & (FS_D_WRITE | FS_D_MUTATE));
    if (e) return e;
    *out = (struct wasi_fs_task){.op = FS_OPEN,
                                 .file = d->file,
                                 .path = path,
                                 .how = {.create = open_flags & FS_O_CREATE,
                                         .directory = open_flags & FS_O_DIRECTORY,
                                         .exclusive = open_flags & FS_O_EXCLUSIVE,
                                         .truncate = open_flags & FS_O_TRUNCATE,
                                         .follow = path_flags & FS_P_FOLLOW,
                                         .write = effective & FS_D_WRITE,
                                         .read = effective & FS_D_READ,
                                         .dsync = flags & FS_D_DATA_SYNC,
                                         .sync = flags & (FS_D_FILE_SYNC | FS_D_REQUESTED_SYNC)},
                                 .fd = -1};
    return wasi_fs_count(i) ? 0 : EMFILE;
}

int wasi_fs_desc_opened(struct wasi_instance *i, bool read_only, uint32_t open_flags, uint32_t flags,
                        const struct wasi_fs_task *t, struct wasi_fs_desc *out) {
    struct stat st;
    int e = t->error ? t->error : result_of(fstat(t->fd, &st));
    if (e) {
        wasi_fs_uncount(i);
        if (!t->error) close(t->fd);
        return e;
    }
    *out = (struct wasi_fs_desc){.file = wasi_fs_file_new(t->fd, false),
                                 .type = st.st_mode & S_IFMT,
                                 .read_only = read_only,
                                 .counted = true,
                                 .flags = effective_flags(open_flags, flags)};
    if (!S_ISDIR(out->type)) out->flags &= ~(uint32_t)FS_D_MUTATE;
    return 0;
}

/* ---- directories ---- */

int wasi_fs_entries_open(struct wasi_instance *i, const struct wasi_fs_desc *d, struct wasi_fs_dir **out) {
    int e = wasi_fs_desc_may_path(d, false);
    if (e) return e;
    if (!wasi_fs_count(i)) return EMFILE;
    e = host_charge(i->base.in, FS_DIR_BYTES) ? 0 : ENOMEM;
    if (!e && (e = wasi_fs_dir_open(d->file->fd, out))) host_uncharge(i->base.in, FS_DIR_BYTES);
    if (e) wasi_fs_uncount(i);
    return e;
}

int wasi_fs_entries_next(struct wasi_fs_dir *dir, struct wasi_fs_entry *out, bool *end) {
    do {
        int e = wasi_fs_dir_next(dir, out, end);
        if (e || *end) return e;
    } while (str_eqc(out->name, ".") || str_eqc(out->name, ".."));
    return str_is_utf8(out->name) ? 0 : EILSEQ;
}

void wasi_fs_entries_close(struct wasi_instance *i, struct wasi_fs_dir *dir) {
    if (!dir) return;
    wasi_fs_dir_close(dir);
    wasi_fs_uncount(i);
    host_uncharge(i->base.in, FS_DIR_BYTES);
}
