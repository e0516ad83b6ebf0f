/* p1: descriptors. */
#include "wasi/notice.h"
#include "wasi/p1/p1_int.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/uio.h>
#include <unistd.h>

/* Every function ends with one of these. */
static enum abi_trap done(uint64_t *a, uint32_t e) {
    a[0] = e;
    return ABI_TRAP_NONE;
}
static enum abi_trap done_host(uint64_t *a, int result) { return done(a, result < 0 ? wasi_p1_errno_of(errno) : 0); }

/* Ends it with what comes of a task that is all there is to do. */
static enum abi_trap done_task(struct wasi_p1 *p, uint64_t *a, struct wasi_fs_task t) {
    return wasi_fs_run(p->run->i, &t) ? done(a, wasi_p1_errno_of(t.error)) : ABI_TRAP_INTERRUPTED;
}

/* `d`: the descriptor args[0] with these rights, or the function ends. */
#define DESC(rights)                                                                                                             \
    struct wasi_p1 *p = wasi_p1_of(call);                                                                                        \
    uint32_t desc_errno_ = 0;                                                                                                    \
    struct wasi_p1_desc *d = wasi_p1_desc(p, a[0], (rights), &desc_errno_);                                                      \
    if (!d) return done(a, desc_errno_)
#define REGULAR(rights)                                                                                                          \
    DESC(rights);                                                                                                                \
    if (d->kind != P1_FILE) return done(a, d->kind == P1_DIR ? P1_EISDIR : P1_ESPIPE)

/* ---- the table of descriptors ---- */

/* Why d lacks one of these rights: what it is has no such thing, or it was not granted. */
static uint32_t why_not(const struct wasi_p1_desc *d, uint64_t rights) {
    if (d->kind == P1_FILE || (d->kind == P1_DIR && !(rights & ~wasi_p1_rights_dir))) return P1_NOTCAPABLE;
    return d->kind != P1_DIR && rights & (P1_RIGHT(P1_R_SEEK) | P1_RIGHT(P1_R_TELL)) ? P1_ESPIPE : P1_EBADF;
}

struct wasi_p1_desc *wasi_p1_desc(struct wasi_p1 *p, uint64_t fd, uint64_t rights, uint32_t *e) {
    struct wasi_p1_desc *d = fd < p->fds.n ? &p->fds.p[fd] : NULL;
    if (!d || d->kind == P1_CLOSED) {
        if (fd > 2) wasi_notice_folder(p->run->i);
        *e = P1_EBADF;
        return NULL;
    }
    if ((d->base & rights) != rights) {
        *e = why_not(d, rights);
        return NULL;
    }
    return d;
}

uint32_t wasi_p1_desc_add(struct wasi_p1 *p, struct wasi_p1_desc d, uint32_t *fd) {
    uint32_t i = 3;
    while (i < p->fds.n && p->fds.p[i].kind != P1_CLOSED) i++;
    if (p->open_count >= p->run->image->app->limits->files_max) {
        wasi_p1_desc_close(p, &d);
        return P1_EMFILE;
    }
    if (i < p->fds.n) p->fds.p[i] = d;
    else vec_push(p->run->i->base.mem, &p->fds, d);
    p->open_count++;
    *fd = i;
    return P1_SUCCESS;
}

void wasi_p1_desc_close(struct wasi_p1 *p, struct wasi_p1_desc *d) {
    if (d->dir) host_uncharge(p->run->i->base.in, FS_DIR_BYTES);
    wasi_fs_dir_close(d->dir);
    wasi_fs_file_unref(d->file);
    *d = (struct wasi_p1_desc){};
}

enum wasi_p1_filetype wasi_p1_filetype_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return P1_REGULAR_FILE;
    case S_IFDIR: return P1_DIRECTORY;
    case S_IFLNK: return P1_SYMBOLIC_LINK;
    case S_IFCHR: return P1_CHARACTER_DEVICE;
    case S_IFBLK: return P1_BLOCK_DEVICE;
    case S_IFSOCK: return P1_SOCKET_STREAM;
    default: return P1_UNKNOWN;
    }
}

enum abi_trap wasi_p1_fd_close(struct engine_call *call, uint64_t *a) {
    DESC(0);
    if (d->kind == P1_FILE || d->kind == P1_DIR) p->open_count -= !d->is_preopen;
    wasi_p1_desc_close(p, d);
    return done(a, 0);
}

enum abi_trap wasi_p1_fd_renumber(struct engine_call *call, uint64_t *a) {
    DESC(0);
    uint32_t e = 0;
    struct wasi_p1_desc *to = wasi_p1_desc(p, a[1], 0, &e);
    if (!to) return done(a, e);
    if (to == d) return done(a, 0);
    struct wasi_p1_desc moved = *d;
    *d = (struct wasi_p1_desc){};
    p->open_count -= (to->kind == P1_FILE || to->kind == P1_DIR) && !to->is_preopen;
    wasi_p1_desc_close(p, to);
    *to = moved;
    return done(a, 0);
}

/* ---- what a descriptor is ---- */

enum abi_trap wasi_p1_fd_fdstat_get(struct engine_call *call, uint64_t *a) {
    DESC(0);
    uint8_t *m = wasi_p1_mem(p, a[1], 24);
    if (!m) return done(a, P1_EFAULT);
    memset(m, 0, 24);
    m[0] = d->filetype;
    memcpy(m + 2, &d->flags, 2);
    memcpy(m + 8, &d->base, 8);
    memcpy(m + 16, &d->inheriting, 8);
    return done(a, 0);
}

enum abi_trap wasi_p1_fd_fdstat_set_flags(struct engine_call *call, uint64_t *a) {
    DESC(P1_RIGHT(P1_R_SET_FLAGS));
    uint16_t flags = (uint16_t)a[1];
    if (flags & ~(P1_FDFLAG_APPEND | P1_FDFLAG_NONBLOCK | d->flags))
        return done(a, P1_ENOTSUP); /* sync modes are chosen at open */
    if (d->kind == P1_FILE && fcntl(d->file->fd, F_SETFL, flags & P1_FDFLAG_APPEND ? O_APPEND : 0) < 0)
        return done(a, wasi_p1_errno_of(errno));
    d->flags = flags;
    return done(a, 0);
}

enum abi_trap wasi_p1_fd_fdstat_set_rights(struct engine_call *call, uint64_t *a) {
    DESC(0);
    if ((a[1] & ~d->base) || (a[2] & ~d->inheriting)) return done(a, P1_NOTCAPABLE);
    d->base = a[1];
    d->inheriting = a[2];
    return done(a, 0);
}

bool wasi_p1_put_filestat(struct wasi_p1 *p, uint64_t ptr, const struct stat *st) {
    uint8_t *m = wasi_p1_mem(p, ptr, 64);
    if (!m) return false;
    uint64_t field[8] = {st->st_dev,
                         st->st_ino,
                         wasi_p1_filetype_of(st->st_mode),
                         st->st_nlink,
                         (uint64_t)st->st_size,
                         (uint64_t)st->st_atim.tv_sec * 1000000000u + (uint64_t)st->st_atim.tv_nsec,
                         (uint64_t)st->st_mtim.tv_sec * 1000000000u + (uint64_t)st->st_mtim.tv_nsec,
                         (uint64_t)st->st_ctim.tv_sec * 1000000000u + (uint64_t)st->st_ctim.tv_nsec};
    memcpy(m, field, sizeof field);
    return true;
}

enum abi_trap wasi_p1_fd_filestat_get(struct engine_call *call, uint64_t *a) {
    DESC(P1_RIGHT(P1_R_FD_FILESTAT_GET));
    struct stat st = {};
    if (d->file && fstat(d->file->fd, &st) < 0) return done(a, wasi_p1_errno_of(errno));
    uint64_t ptr = a[1];
    if (!wasi_p1_put_filestat(p, ptr, &st)) return done(a, P1_EFAULT);
    if (d->kind < P1_FILE) wasi_p1_mem(p, ptr, 64)[16] = d->filetype;
    return done(a, 0);
}

enum abi_trap wasi_p1_fd_filestat_set_size(struct engine_call *call, uint64_t *a) {
    DESC(P1_RIGHT(P1_R_FD_SET_SIZE));
    if (d->kind != P1_FILE) return done(a, P1_EINVAL);
    if (a[1] > INT64_MAX) return done(a, P1_EINVAL);
    return done_task(p, a, (struct wasi_fs_task){.op = FS_RESIZE, .file = d->file, .offset = (int64_t)a[1]});
}

uint32_t wasi_p1_times(uint64_t atim, uint64_t mtim, uint32_t fstflags, struct timespec out[2]) {
    enum { ATIM = 1, ATIM_NOW = 2, MTIM = 4, MTIM_NOW = 8 };
    if ((fstflags & ATIM && fstflags & ATIM_NOW) || (fstflags & MTIM && fstflags & MTIM_NOW) || fstflags > 15) return P1_EINVAL;
    out[0] = (struct timespec){(time_t)(atim / 1000000000u), (long)(atim % 1000000000u)};
    out[1] = (struct timespec){(time_t)(mtim / 1000000000u), (long)(mtim % 1000000000u)};
    if (!(fstflags & ATIM)) out[0].tv_nsec = fstflags & ATIM_NOW ? UTIME_NOW : UTIME_OMIT;
    if (!(fstflags & MTIM)) out[1].tv_nsec = fstflags & MTIM_NOW ? UTIME_NOW : UTIME_OMIT;
    return P1_SUCCESS;
}

enum abi_trap wasi_p1_fd_filestat_set_times(struct engine_call *call, uint64_t *a) {
    DESC(P1_RIGHT(P1_R_FD_SET_TIMES));
    struct timespec times[2];
    uint32_t e = wasi_p1_times(a[1], a[2], (uint32_t)a[3], times);
    if (e) return done(a, e);
    if (d->read_only) return done(a, P1_EROFS);
    return done_host(a, futimens(d->file->fd, times));
}

enum abi_trap wasi_p1_fd_prestat_get(struct engine_call *call, uint64_t *a) {
    DESC(0);
    if (!d->is_preopen) return done(a, P1_EBADF);
    return done(a, wasi_p1_put_u32(p, a[1], 0) && wasi_p1_put_u32(p, a[1] + 4, (uint32_t)d->preopen.n) ? 0 : P1_EFAULT);
}

enum abi_trap wasi_p1_fd_prestat_dir_name(struct engine_call *call, uint64_t *a) {
    DESC(0);
    if (!d->is_preopen) return done(a, P1_EBADF);
    if (a[2] < d->preopen.n) return done(a, P1_ENAMETOOLONG);
    uint8_t *m = wasi_p1_mem(p, a[1], d->preopen.n);
    if (!m) return done(a, P1_EFAULT);
    if (d->preopen.n) memcpy(m, d->preopen.p, d->preopen.n);
    return done(a, 0);
}

/* ---- reading and writing ---- */

/* An iovec array of the guest as one of ours; at most IOV_MAX are used (a short transfer is allowed). -1: outside of memory. */
static int iovecs(struct wasi_p1 *p, uint64_t ptr, uint64_t count, struct iovec *out) {
    int n = (int)MIN(count, (uint64_t)IOV_MAX);
    uint8_t *m = wasi_p1_mem(p, ptr, 8 * (uint64_t)n);
    if (!m) return -1;
    for (int i = 0; i < n; i++) {
        uint32_t v[2];
        memcpy(v, m + 8 * i, 8);
        out[i] = (struct iovec){wasi_p1_mem(p, v[0], v[1]), v[1]};
        if (!out[i].iov_base) return -1;
    }
    return n;
}

/* False: the run was killed. */
static bool move(struct wasi_p1 *p, struct wasi_p1_desc *d, enum wasi_fs_op op, const struct iovec *v, int n, int64_t offset,
                 size_t *moved, int *error) {
    struct wasi_fs_task t = {.op = op, .file = d->file, .v = v, .count = n, .offset = offset};
    bool alive = wasi_fs_run_all(p->run->i, &t);
    *moved = t.moved;
    *error = t.error;
    return alive;
}

enum abi_trap wasi_p1_fd_read(struct engine_call *call, uint64_t *a) {
    DESC(P1_RIGHT(P1_R_READ));
    struct iovec v[IOV_MAX];
    int n = iovecs(p, a[1], a[2], v), error = 0;
    if (n < 0) return done(a, P1_EFAULT);
    size_t got = 0;
    if (d->kind == P1_STDIN) {
        int i = 0;
        while (i < n && !v[i].iov_len) i++;
        enum abi_trap t = i < n ? p->stdio->read(p->run, v[i].iov_base, v[i].iov_len, &got, &error) : ABI_TRAP_NONE;
        if (t) return t;
    } else if (d->kind == P1_FILE) {
        if (!move(p, d, FS_READ, v, n, FS_POSITION, &got, &error)) return ABI_TRAP_INTERRUPTED;
    } else error = d->kind == P1_DIR ? EISDIR : EBADF;
    if (error) return done(a, wasi_p1_errno_of(error));
    return done(a, wasi_p1_put_u32(p, a[3], (uint32_t)got) ? 0 : P1_EFAULT);
}

enum { OUT_BYTES = 16 << 10, OUT_NS = 1000 }; /* of a step, where it becomes lines of the log; what it costs besides */

static enum abi_trap write_standard(struct wasi_p1 *p, struct wasi_p1_desc *d, const struct iovec *v, int n, size_t *wrote,
                                    int *error) {
    for (int i = 0; i < n && !*error; i++) {
        str bytes = {v[i].iov_base, v[i].iov_len};
        while (bytes.n && !*error) {
            str piece = str_sub(bytes, 0, OUT_BYTES);
            enum abi_trap t = ABI_TRAP_NONE;
            if (d->kind == P1_STDERR) *error = app_out_write(&p->run->request->err, piece);
            else t = p->stdio->write(p->run, piece, error);
            if (t) return t;
            if (!*error) *wrote += piece.n;
            if (!engine_work(p->run->image->app->engine, OUT_NS + piece.n)) return ABI_TRAP_INTERRUPTED;
            bytes = str_sub(bytes, piece.n, bytes.n);
        }
    }
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_p1_fd_write(struct engine_call *call, uint64_t *a) {
    DESC(P1_RIGHT(P1_R_WRITE));
    struct iovec v[IOV_MAX];
    int n = iovecs(p, a[1], a[2], v), error = 0;
    if (n < 0) return done(a, P1_EFAULT);
    size_t wrote = 0;
    if (d->kind == P1_STDOUT || d->kind == P1_STDERR) {
        enum abi_trap t = write_standard(p, d, v, n, &wrote, &error);
        if (t) return t;
    } else if (d->kind == P1_FILE) {
        if (!move(p, d, FS_WRITE, v, n, FS_POSITION, &wrote, &error)) return ABI_TRAP_INTERRUPTED;
    } else error = d->kind == P1_DIR ? EISDIR : EBADF;
    if (error) return done(a, wasi_p1_errno_of(error));
    return done(a, wasi_p1_put_u32(p, a[3], (uint32_t)wrote) ? 0 : P1_EFAULT);
}

static enum abi_trap positioned(struct engine_call *call, uint64_t *a, uint64_t rights, enum wasi_fs_op op) {
    REGULAR(rights | P1_RIGHT(P1_R_SEEK));
    struct iovec v[IOV_MAX];
    int n = iovecs(p, a[1], a[2], v);
    if (n < 0) return done(a, P1_EFAULT);
    if (a[3] > INT64_MAX) return done(a, P1_EINVAL);
    size_t moved = 0;
    int error = 0;
    if (!move(p, d, op, v, n, (int64_t)a[3], &moved, &error)) return ABI_TRAP_INTERRUPTED;
    if (error) return done(a, wasi_p1_errno_of(error));
    return done(a, wasi_p1_put_u32(p, a[4], (uint32_t)moved) ? 0 : P1_EFAULT);
}

enum abi_trap wasi_p1_fd_pread(struct engine_call *call, uint64_t *a) {
    return positioned(call, a, P1_RIGHT(P1_R_READ), FS_READ);
}
enum abi_trap wasi_p1_fd_pwrite(struct engine_call *call, uint64_t *a) {
    return positioned(call, a, P1_RIGHT(P1_R_WRITE), FS_WRITE);
}

enum abi_trap wasi_p1_fd_seek(struct engine_call *call, uint64_t *a) {
    static const int whence[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    REGULAR(a[1] == 0 && a[2] == 1 ? P1_RIGHT(P1_R_TELL) : P1_RIGHT(P1_R_SEEK) | P1_RIGHT(P1_R_TELL));
    if (a[2] >= ARRAY_COUNT(whence)) return done(a, P1_EINVAL);
    off_t at = lseek(d->file->fd, (off_t)a[1], whence[a[2]]);
    if (at < 0) return done(a, wasi_p1_errno_of(errno));
    return done(a, wasi_p1_put_u64(p, a[3], (uint64_t)at) ? 0 : P1_EFAULT);
}

enum abi_trap wasi_p1_fd_tell(struct engine_call *call, uint64_t *a) {
    REGULAR(P1_RIGHT(P1_R_TELL));
    off_t at = lseek(d->file->fd, 0, SEEK_CUR);
    if (at < 0) return done(a, wasi_p1_errno_of(errno));
    return done(a, wasi_p1_put_u64(p, a[1], (uint64_t)at) ? 0 : P1_EFAULT);
}

enum abi_trap wasi_p1_fd_sync(struct engine_call *call, uint64_t *a) {
    DESC(P1_RIGHT(P1_R_SYNC));
    return d->kind < P1_FILE ? done(a, P1_EINVAL) : done_task(p, a, (struct wasi_fs_task){.op = FS_SYNC, .file = d->file});
}

enum abi_trap wasi_p1_fd_datasync(struct engine_call *call, uint64_t *a) {
    DESC(P1_RIGHT(P1_R_DATASYNC));
    return d->kind < P1_FILE ? done(a, P1_EINVAL) : done_task(p, a, (struct wasi_fs_task){.op = FS_DATASYNC, .file = d->file});
}

enum abi_trap wasi_p1_fd_advise(struct engine_call *call, uint64_t *a) {
    static const int advice[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                                 POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
    DESC(P1_RIGHT(P1_R_ADVISE));
    if (d->kind == P1_DIR) return done(a, P1_EBADF);
    if (d->kind != P1_FILE) return done(a, P1_ESPIPE);
    if (a[3] >= ARRAY_COUNT(advice) || a[1] > INT64_MAX || a[2] > INT64_MAX) return done(a, P1_EINVAL);
    return done(a, wasi_p1_errno_of(posix_fadvise(d->file->fd, (off_t)a[1], (off_t)a[2], advice[a[3]])));
}

enum abi_trap wasi_p1_fd_allocate(struct engine_call *call, uint64_t *a) {
    REGULAR(P1_RIGHT(P1_R_ALLOCATE));
    if (a[1] > INT64_MAX || a[2] > INT64_MAX) return done(a, P1_EINVAL);
    return done_task(p, a,
                     (struct wasi_fs_task){.op = FS_ALLOCATE, .file = d->file, .offset = (int64_t)a[1], .length = (int64_t)a[2]});
}

/* ---- directories ---- */

enum { DIRENT_BYTES = 24, ENTRY_NS = 500 };

/* One entry as the guest sees it, cut at the end of its buffer. */
static size_t put_entry(uint8_t *m, size_t room, const struct wasi_fs_entry *e) {
    static const uint8_t type[] = {[DT_BLK] = P1_BLOCK_DEVICE,  [DT_CHR] = P1_CHARACTER_DEVICE, [DT_DIR] = P1_DIRECTORY,
                                   [DT_LNK] = P1_SYMBOLIC_LINK, [DT_REG] = P1_REGULAR_FILE,     [DT_SOCK] = P1_SOCKET_STREAM};
    uint8_t head[DIRENT_BYTES] = {};
    uint32_t length = (uint32_t)e->name.n;
    memcpy(head, &e->next, 8);
    memcpy(head + 8, &e->inode, 8);
    memcpy(head + 16, &length, 4);
    head[20] = e->type < ARRAY_COUNT(type) ? type[e->type] : P1_UNKNOWN;
    size_t n = MIN(room, sizeof head), rest = MIN(room - n, e->name.n);
    memcpy(m, head, n);
    if (rest) memcpy(m + n, e->name.p, rest);
    return n + rest;
}

static int open_dir(struct wasi_p1 *p, struct wasi_p1_desc *d) {
    if (!host_charge(p->run->i->base.in, FS_DIR_BYTES)) return ENOMEM;
    int e = wasi_fs_dir_open(d->file->fd, &d->dir);
    if (e) host_uncharge(p->run->i->base.in, FS_DIR_BYTES);
    return e;
}

enum abi_trap wasi_p1_fd_readdir(struct engine_call *call, uint64_t *a) {
    DESC(P1_RIGHT(P1_R_READDIR));
    uint8_t *m = wasi_p1_mem(p, a[1], a[2]);
    if (!m) return done(a, P1_EFAULT);
    if (d->kind != P1_DIR) return done(a, P1_ENOTDIR);
    int e = d->dir ? 0 : open_dir(p, d);
    if (e) return done(a, wasi_p1_errno_of(e));
    wasi_fs_dir_seek(d->dir, a[3]);
    size_t used = 0;
    bool end = false;
    while (used < a[2] && !end) {
        struct wasi_fs_entry entry;
        if (!engine_work(p->run->image->app->engine, ENTRY_NS)) return ABI_TRAP_INTERRUPTED; /* a large folder */
        if ((e = wasi_fs_dir_next(d->dir, &entry, &end))) return done(a, wasi_p1_errno_of(e));
        if (!end) used += put_entry(m + used, a[2] - used, &entry);
    }
    return done(a, wasi_p1_put_u32(p, a[4], (uint32_t)used) ? 0 : P1_EFAULT);
}
