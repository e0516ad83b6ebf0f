/* fs_file: open files that guests hold, and the operations on them that may have to wait for a disk.
 *
 * 1. A file is counted: a thread may still be busy with one that its guest has dropped, and its descriptor is not reused until
 *    that is over.
 * 2. What the page cache holds moves at once, on the caller's stack (RWF_NOWAIT, or a write that the kernel does not hold up).
 *    What may take long is done on another thread (net_work), and the worker goes on: cold reads, writes once one was slow, sync,
 *    sizes, and whatever frees a large file. Looking a path up is never done there.
 * 3. A thread touches memory of its own only: guests' memory is read and written by the worker. Its memory is charged to the instance.
 * 4. What was accepted for writing is written, whatever becomes of the guest (but when 16 MiB of it wait for guests that are gone);
 *    anything else that has not begun is forgotten with it.
 */
#ifndef ORLO_WASI_FS_FILE_H
#define ORLO_WASI_FS_FILE_H

#include "wasi/fs/fs.h"
#include "wasi/wasi_int.h"
#include <sys/uio.h>

struct wasi_fs_file {
    uint32_t refs;
    int fd;
    bool borrowed; /* fd is not closed with it */
    bool disk;     /* a regular file: I/O ends by itself; else a folder */
    bool syncs;    /* every write waits for the disk */
    uint8_t slow;  /* transfers yet to be made on a thread, since one took long */
};
/* Takes fd, unless it is borrowed: then it must stay open for as long as the process. */
struct wasi_fs_file *wasi_fs_file_new(int fd, bool borrowed);
void wasi_fs_file_unref(struct wasi_fs_file *f); /* NULL is fine */

enum wasi_fs_op { FS_READ, FS_WRITE, FS_SYNC, FS_DATASYNC, FS_RESIZE, FS_ALLOCATE, FS_OPEN, FS_UNLINK, FS_RENAME };
enum { FS_SLICE_BYTES = 256 << 10 };    /* what one READ or WRITE moves at most */
enum { FS_POSITION = -1, FS_END = -2 }; /* offsets: where the descriptor stands; a WRITE behind the last byte */

/* An operation: what it is to do, and what came of it. Everything in it is the caller's. */
struct wasi_fs_task {
    enum wasi_fs_op op;
    struct wasi_fs_file *file; /* OPEN, UNLINK, RENAME: the folder that path is relative to */
    struct wasi_fs_file *to;   /* RENAME: that of new_path */
    const struct iovec *v;     /* READ, WRITE: the first FS_SLICE_BYTES of these */
    int count;
    int64_t offset; /* READ, WRITE, ALLOCATE; RESIZE: the size */
    int64_t length; /* ALLOCATE */
    str path, new_path;
    struct wasi_fs_open how; /* OPEN */

    int error;    /* 0 or an errno of this system */
    size_t moved; /* READ: 0 is the end. WRITE: at least 1, or an error */
    int fd;       /* OPEN: the caller's */
};

/* Does t if that does not wait. False: it would; nothing was done. */
[[nodiscard]] bool wasi_fs_try(struct wasi_fs_task *t);

struct wasi_fs_job;
/* Does a copy of t on a thread; then done(arg, t) on the loop's thread, and t's outcome is gone when that returns. For a READ `t->v`
 * must not be used: wasi_fs_job_bytes has the bytes. Its memory is charged to `in` (NULL: to nobody); NULL: over that one's limit. */
struct wasi_fs_job *wasi_fs_defer(struct net_loop *loop, struct host_instance *in, const struct wasi_fs_task *t,
                                  void (*done)(void *arg, struct wasi_fs_task *t), void *arg);
str wasi_fs_job_bytes(const struct wasi_fs_job *job); /* what a READ got; until done returns */
void wasi_fs_job_abandon(struct wasi_fs_job *job);    /* before done: it will not be called. The instance is going */

/* On a guest's fiber: does t, and parks while it waits. False: the run was killed. */
[[nodiscard]] bool wasi_fs_run(struct wasi_instance *i, struct wasi_fs_task *t);
/* The same for all of v: a READ until the end, a WRITE until an error; in slices, between which others have a turn. t->moved is the sum,
 * and an error is only told when nothing was moved. */
[[nodiscard]] bool wasi_fs_run_all(struct wasi_instance *i, struct wasi_fs_task *t);

#endif
