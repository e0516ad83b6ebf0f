/* wasi:filesystem 0.3 inside the wasi room: p3/fs.c has descriptors and paths, p3/fs_io.c the streams. Both only say in its types
 * what fs/desc.h does.
 */
#ifndef ORLO_WASI_P3_FS_H
#define ORLO_WASI_P3_FS_H

#include "wasi/fs/desc.h"
#include "wasi/p3/p3_int.h"

struct wasi3_filesystem_types_descriptor { /* a struct wasi_fs_object */
    struct app_object o;
    struct wasi_fs_desc d;
};
static_assert(sizeof(struct wasi3_filesystem_types_descriptor) == sizeof(struct wasi_fs_object));

typedef struct wasi_p3_result_void_filesystem_types_error_code wasi_p3_fs_result;

/* errno.h → error-code; what has no case of its own is other(text). */
struct wasi3_filesystem_types_error_code wasi_p3_fs_code(int host);
struct wasi3_filesystem_types_descriptor_type wasi_p3_fs_type(mode_t mode);
wasi_p3_fs_result wasi_p3_fs_result_of(int host); /* 0: ok */

#endif
