/* p1: paths. */
#include "wasi/p1/p1_int.h"
#include <errno.h>

static enum abi_trap done(uint64_t *a, uint32_t e) {
    a[0] = e;
    return ABI_TRAP_NONE;
}

enum { FOLLOW = 1 };                                    /* lookupflags */
enum { CREAT = 1, DIRECTORY = 2, EXCL = 4, TRUNC = 8 }; /* oflags */

/* Where a path begins, and the path. */
struct place {
    struct wasi_p1_desc *dir;
    str path;
};

/* The directory `fd` with these rights and the path at ptr; 0 or an errno of preview 1. writes: refused on a read-only grant. */
static uint32_t place(struct wasi_p1 *p, uint64_t fd, uint64_t rights, uint64_t ptr, uint64_t n, bool writes, struct place *out) {
    uint32_t e = 0;
    out->dir = wasi_p1_desc(p, fd, 0, &e);
    if (!out->dir) return e;
    if (out->dir->kind != P1_DIR) return P1_ENOTDIR;
    if ((out->dir->base & rights) != rights) return P1_NOTCAPABLE;
    out->path = (str){wasi_p1_mem(p, ptr, n), n};
    if (!out->path.p) return P1_EFAULT;
    return writes && out->dir->read_only ? P1_EROFS : P1_SUCCESS;
}

#define PLACE(fd, rights, ptr, n, writes)                                                                                        \
    struct wasi_p1 *p = wasi_p1_of(call);                                                                                        \
    struct place at;                                                                                                             \
    uint32_t place_errno_ = place(p, (fd), (rights), (ptr), (n), (writes), &at);                                                 \
    if (place_errno_) return done(a, place_errno_)

enum abi_trap wasi_p1_path_create_directory(struct engine_call *call, uint64_t *a) {
    PLACE(a[0], P1_RIGHT(P1_R_CREATE_DIRECTORY), a[1], a[2], true);
    return done(a, wasi_p1_errno_of(wasi_fs_mkdir(at.dir->file->fd, at.path)));
}

enum abi_trap wasi_p1_path_remove_directory(struct engine_call *call, uint64_t *a) {
    PLACE(a[0], P1_RIGHT(P1_R_REMOVE_DIRECTORY), a[1], a[2], true);
    return done(a, wasi_p1_errno_of(wasi_fs_rmdir(at.dir->file->fd, at.path)));
}

enum abi_trap wasi_p1_path_unlink_file(struct engine_call *call, uint64_t *a) {
    PLACE(a[0], P1_RIGHT(P1_R_UNLINK_FILE), a[1], a[2], true);
    struct wasi_fs_task t = {.op = FS_UNLINK, .file = at.dir->file, .path = at.path};
    return wasi_fs_run(p->run->i, &t) ? done(a, wasi_p1_errno_of(t.error)) : ABI_TRAP_INTERRUPTED;
}

enum abi_trap wasi_p1_path_filestat_get(struct engine_call *call, uint64_t *a) {
    PLACE(a[0], P1_RIGHT(P1_R_PATH_FILESTAT_GET), a[2], a[3], false);
    struct stat st;
    int e = wasi_fs_stat(at.dir->file->fd, at.path, a[1] & FOLLOW, &st);
    if (e) return done(a, wasi_p1_errno_of(e));
    return done(a, wasi_p1_put_filestat(p, a[4], &st) ? 0 : P1_EFAULT);
}

enum abi_trap wasi_p1_path_filestat_set_times(struct engine_call *call, uint64_t *a) {
    PLACE(a[0], P1_RIGHT(P1_R_PATH_SET_TIMES), a[2], a[3], true);
    struct timespec times[2];
    uint32_t e = wasi_p1_times(a[4], a[5], (uint32_t)a[6], times);
    if (e) return done(a, e);
    return done(a, wasi_p1_errno_of(wasi_fs_set_times(at.dir->file->fd, at.path, a[1] & FOLLOW, times)));
}

enum abi_trap wasi_p1_path_link(struct engine_call *call, uint64_t *a) {
    PLACE(a[0], P1_RIGHT(P1_R_LINK_SOURCE), a[2], a[3], false);
    struct place to;
    uint32_t e = place(p, a[4], P1_RIGHT(P1_R_LINK_TARGET), a[5], a[6], true, &to);
    if (e) return done(a, e);
    if (at.dir->read_only) return done(a, P1_EROFS); /* a second name could be opened for writing */
    if (a[1] & FOLLOW) return done(a, P1_EINVAL);
    return done(a, wasi_p1_errno_of(wasi_fs_link(at.dir->file->fd, at.path, to.dir->file->fd, to.path)));
}

enum abi_trap wasi_p1_path_rename(struct engine_call *call, uint64_t *a) {
    PLACE(a[0], P1_RIGHT(P1_R_RENAME_SOURCE), a[1], a[2], true);
    struct place to;
    uint32_t e = place(p, a[3], P1_RIGHT(P1_R_RENAME_TARGET), a[4], a[5], true, &to);
    if (e) return done(a, e);
    struct wasi_fs_task t = {.op = FS_RENAME, .file = at.dir->file, .to = to.dir->file, .path = at.path, .new_path = to.path};
    return wasi_fs_run(p->run->i, &t) ? done(a, wasi_p1_errno_of(t.error)) : ABI_TRAP_INTERRUPTED;
}

enum abi_trap wasi_p1_path_symlink(struct engine_call *call, uint64_t *a) {
    PLACE(a[2], P1_RIGHT(P1_R_SYMLINK), a[3], a[4], true);
    str target = {wasi_p1_mem(p, a[0], a[1]), a[1]};
    if (!target.p) return done(a, P1_EFAULT);
    return done(a, wasi_p1_errno_of(wasi_fs_symlink(target, at.dir->file->fd, at.path)));
}

enum abi_trap wasi_p1_path_readlink(struct engine_call *call, uint64_t *a) {
    PLACE(a[0], P1_RIGHT(P1_R_READLINK), a[1], a[2], false);
    uint8_t *to = wasi_p1_mem(p, a[3], a[4]);
    if (!to) return done(a, P1_EFAULT);
    size_t n;
    int e = wasi_fs_readlink(at.dir->file->fd, at.path, to, a[4], &n);
    if (e) return done(a, wasi_p1_errno_of(e));
    return done(a, wasi_p1_put_u32(p, a[5], (uint32_t)n) ? 0 : P1_EFAULT);
}

/* ---- path_open ---- */

static uint64_t needed_rights(uint64_t oflags, uint64_t fdflags) {
    uint64_t r = P1_RIGHT(P1_R_OPEN);
    if (oflags & CREAT) r |= P1_RIGHT(P1_R_CREATE_FILE);
    if (oflags & TRUNC) r |= P1_RIGHT(P1_R_PATH_SET_SIZE);
    return r;
}

static void describe(struct wasi_p1_desc *d, const struct place *at, uint64_t base, uint64_t inheriting, uint16_t fdflags) {
    struct stat st;
    mode_t mode = fstat(d->file->fd, &st) == 0 ? st.st_mode : 0;
    d->filetype = wasi_p1_filetype_of(mode);
    d->kind = S_ISDIR(mode) ? P1_DIR : P1_FILE;
    d->read_only = at->dir->read_only;
    d->flags = fdflags;
    d->base = base & (d->kind == P1_DIR ? wasi_p1_rights_dir : wasi_p1_rights_file);
    d->inheriting = inheriting & at->dir->inheriting;
}

enum abi_trap wasi_p1_path_open(struct engine_call *call, uint64_t *a) {
    uint64_t lookup = a[1], oflags = a[4], base = a[5], inheriting = a[6], fdflags = a[7], out = a[8];
    PLACE(a[0], needed_rights(oflags, fdflags), a[2], a[3], false);
    bool refuse = base & P1_RIGHT(P1_R_WRITE) && at.dir->read_only; /* unless it is a folder, for which the right means nothing */
    base &= at.dir->inheriting;
    bool write = base & (P1_RIGHT(P1_R_WRITE) | P1_RIGHT(P1_R_ALLOCATE) | P1_RIGHT(P1_R_FD_SET_SIZE)) && !(oflags & DIRECTORY);
    if (oflags & (CREAT | TRUNC) && at.dir->read_only && !(oflags & DIRECTORY)) return done(a, P1_EROFS);
    if (oflags & DIRECTORY && oflags & (CREAT | EXCL | TRUNC)) return done(a, P1_EINVAL);
    struct wasi_fs_task t = {.op = FS_OPEN, .file = at.dir->file, .path = at.path};
    t.how = (struct wasi_fs_open){.create = oflags & CREAT,
                                  .directory = oflags & DIRECTORY,
                                  .exclusive = oflags & EXCL,
                                  .truncate = oflags & TRUNC,
                                  .follow = lookup & FOLLOW,
                                  .read = !write || base & P1_RIGHT(P1_R_READ),
                                  .write = write || oflags & TRUNC,
                                  .append = fdflags & P1_FDFLAG_APPEND,
                                  .dsync = fdflags & P1_FDFLAG_DSYNC,
                                  .sync = fdflags & (P1_FDFLAG_SYNC | P1_FDFLAG_RSYNC)};
    if (!wasi_fs_run(p->run->i, &t)) return ABI_TRAP_INTERRUPTED;
    if (t.error == EISDIR && t.how.write && !(oflags & (CREAT | TRUNC)) &&
        !(base & P1_RIGHT(P1_R_WRITE))) { /* rights that mean nothing for a directory are dropped */
        t.how.write = false;
        t.how.read = true;
        if (!wasi_fs_run(p->run->i, &t)) return ABI_TRAP_INTERRUPTED;
    }
    if (t.error) return done(a, wasi_p1_errno_of(t.error));
    struct wasi_p1_desc d = {.file = wasi_fs_file_new(t.fd, false)};
    describe(&d, &at, base, inheriting, (uint16_t)fdflags);
    uint32_t refused = d.kind != P1_DIR                                    ? (refuse ? P1_EROFS : 0)
                       : oflags & DIRECTORY && base & P1_RIGHT(P1_R_WRITE) ? P1_EISDIR
                                                                           : 0;
    if (refused) {
        wasi_p1_desc_close(p, &d);
        return done(a, refused);
    }
    uint32_t fd = 0;
    refused = wasi_p1_desc_add(p, d, &fd);
    if (refused) return done(a, refused);
    return done(a, wasi_p1_put_u32(p, out, fd) ? 0 : P1_EFAULT);
}
