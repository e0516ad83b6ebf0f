/* wasi:filesystem inside the wasi room: p2_fs.c has descriptors and paths, p2_fs_io.c the bytes of files.
 *
 * 1. What a descriptor may do comes from the folder it was found in: what lies in a read-only grant stays read-only, whatever
 *    the guest opens on the way.
 * 2. A descriptor's files count against limits.files_max, so that no guest takes them from the others of its worker.
 */
#ifndef ORLO_WASI_P2_FS_H
#define ORLO_WASI_P2_FS_H

#include "wasi/fs.h"
#include "wasi/p2_int.h"

struct wasi_filesystem_types_descriptor {
    struct p2_object o;
    int fd;
    bool borrowed;  /* a granted folder: fd is the app's */
    bool read_only; /* nothing may be changed through it */
    bool allocated; /* counted in run->files */
    enum wasi_filesystem_types_descriptor_type type;
    wasi_filesystem_types_descriptor_flags flags; /* READ, WRITE and the sync flags, as asked for */
};

enum wasi_filesystem_types_error_code p2_fs_code(int host); /* errno.h → error-code */

/* Ends a function whose result is a result<_, error-code>. */
#define P2_FS_FAIL(e)                                                                                                            \
    do {                                                                                                                         \
        result->is_err = true;                                                                                                   \
        result->err = p2_fs_code(e);                                                                                             \
        return ABI_TRAP_NONE;                                                                                                    \
    } while (0)
#define P2_FS_TRY(expr)                                                                                                          \
    do {                                                                                                                         \
        int p2_fs_error_ = (expr);                                                                                               \
        if (p2_fs_error_) P2_FS_FAIL(p2_fs_error_);                                                                              \
    } while (0)
#define P2_FS_END(expr)                                                                                                          \
    do {                                                                                                                         \
        P2_FS_TRY(expr);                                                                                                         \
        return ABI_TRAP_NONE;                                                                                                    \
    } while (0)

#endif
