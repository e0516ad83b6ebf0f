/* wasi:filesystem 0.2 inside the wasi room: p2/fs.c has descriptors and paths, p2/fs_io.c the bytes of files. Both only say in its
 * types what fs/desc.h does.
 */
#ifndef ORLO_WASI_P2_FS_H
#define ORLO_WASI_P2_FS_H

#include "wasi/fs/desc.h"
#include "wasi/p2/p2_int.h"

struct wasi_filesystem_types_descriptor { /* a struct wasi_fs_object */
    struct app_object o;
    struct wasi_fs_desc d;
};
static_assert(sizeof(struct wasi_filesystem_types_descriptor) == sizeof(struct wasi_fs_object));

enum wasi_filesystem_types_error_code wasi_p2_fs_code(int host); /* errno.h → error-code */

/* Ends a function whose result is a result<_, error-code>. */
#define P2_FS_FAIL(e)                                                                                                            \
    do {                                                                                                                         \
        result->is_err = true;                                                                                                   \
        result->err = wasi_p2_fs_code(e);                                                                                        \
        return ABI_TRAP_NONE;                                                                                                    \
    } while (0)
#define P2_FS_TRY(expr)                                                                                                          \
    do {                                                                                                                         \
        int p2_fs_error_ = (expr);                                                                                               \
        if (p2_fs_error_) P2_FS_FAIL(p2_fs_error_);                                                                              \
    } while (0)
/* Does a task that `expr` filled in. */
#define P2_FS_RUN(call, task, expr)                                                                                              \
    do {                                                                                                                         \
        P2_FS_TRY(expr);                                                                                                         \
        if (!wasi_fs_run(wasi_caller(call), &(task))) return ABI_TRAP_INTERRUPTED;                                               \
        P2_FS_TRY((task).error);                                                                                                 \
    } while (0)
#define P2_FS_END(expr)                                                                                                          \
    do {                                                                                                                         \
        P2_FS_TRY(expr);                                                                                                         \
        return ABI_TRAP_NONE;                                                                                                    \
    } while (0)

#endif
