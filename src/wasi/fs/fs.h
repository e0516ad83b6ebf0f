/* fs: files beneath a granted directory. What preview 1, 0.2 and 0.3 share; none of their descriptors or rights.
 *
 * 1. A path is resolved by the kernel beneath `dir` (openat2, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS): no `..`, absolute path or
 *    link leads out, whoever changes the tree meanwhile. Leading out is EPERM. Where a process may not use openat2, by fs/walk.c.
 * 2. Only files and folders are opened: no device, FIFO or socket, and nothing of the file systems in which the kernel shows itself
 *    (fs/kernel.def), wherever one is mounted. That is EPERM, too.
 * 3. Descriptors made here are close-on-exec.
 * 4. Functions return 0 or an errno of this system; fs/errno.def maps those to each WASI's own.
 */
#ifndef ORLO_WASI_FS_H
#define ORLO_WASI_FS_H

#include "base/base.h"
#include <sys/stat.h>
#include <time.h>

struct wasi_fs_open {
    bool create, directory, exclusive, truncate; /* open-flags */
    bool follow;                                 /* a link as last component */
    bool read, write, append, dsync, sync;       /* descriptor-flags */
};
/* EISDIR: a directory opened for writing. */
[[nodiscard]] int wasi_fs_open(int dir, str path, const struct wasi_fs_open *how, int *fd);

[[nodiscard]] int wasi_fs_stat(int dir, str path, bool follow, struct stat *out);
[[nodiscard]] int wasi_fs_set_times(int dir, str path, bool follow, const struct timespec times[2]); /* UTIME_OMIT, UTIME_NOW */
[[nodiscard]] int wasi_fs_mkdir(int dir, str path);
[[nodiscard]] int wasi_fs_rmdir(int dir, str path);
[[nodiscard]] int wasi_fs_unlink(int dir, str path); /* EISDIR for a directory */
[[nodiscard]] int wasi_fs_rename(int dir, str path, int new_dir, str new_path);
[[nodiscard]] int wasi_fs_link(int dir, str path, int new_dir, str new_path); /* links are not followed */
[[nodiscard]] int wasi_fs_symlink(str target, int dir, str path);             /* EPERM: an absolute target */
/* The link's target, at most cap bytes of it; *n its length. */
[[nodiscard]] int wasi_fs_readlink(int dir, str path, uint8_t *p, size_t cap, size_t *n);

/* ---- reading a directory ---- */

struct wasi_fs_dir;
enum { FS_DIR_BYTES = 32 << 10 }; /* what one takes: the C library's buffer */
struct wasi_fs_entry {
    str name; /* until the next call */
    uint64_t inode;
    uint64_t next; /* cookie of the entry after this one */
    uint8_t type;  /* DT_* */
};
/* fd stays the caller's; positions are independent of it. "." and ".." are entries. */
[[nodiscard]] int wasi_fs_dir_open(int fd, struct wasi_fs_dir **out);
void wasi_fs_dir_close(struct wasi_fs_dir *d);                 /* NULL is fine */
void wasi_fs_dir_seek(struct wasi_fs_dir *d, uint64_t cookie); /* 0: the start */
/* 0 and *end when there are no more. */
[[nodiscard]] int wasi_fs_dir_next(struct wasi_fs_dir *d, struct wasi_fs_entry *out, bool *end);

#endif
