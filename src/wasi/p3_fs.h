/* wasi:filesystem 0.3 inside the wasi room: p3_fs.c has descriptors and paths, p3_fs_io.c the streams. Both only say in its types
 * what fs_desc.h does.
 */
#ifndef ORLO_WASI_P3_FS_H
#define ORLO_WASI_P3_FS_H

#include "wasi/fs_desc.h"
#include "wasi/p3_int.h"

struct wasi3_filesystem_types_descriptor {
    struct p2_object o;
    struct fs_desc d;
};

typedef struct wasi_p3_result_void_filesystem_types_error_code p3_fs_result;

/* errno.h → error-code; what has no case of its own is other(text). */
struct wasi3_filesystem_types_error_code p3_fs_code(int host);
struct wasi3_filesystem_types_descriptor_type p3_fs_type(mode_t mode);
p3_fs_result p3_fs_result_of(int host); /* 0: ok */

#endif
