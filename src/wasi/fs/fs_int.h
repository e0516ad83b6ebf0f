/* Inside fs. */
#ifndef ORLO_WASI_FS_INT_H
#define ORLO_WASI_FS_INT_H

#include "base/base.h"

/* As openat2 with RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS, but by openat alone: 0 or an errno; EAGAIN: what was there has changed
 * meanwhile. */
int wasi_fs_walk(int dir, const char *path, uint64_t flags, int *fd);
/* Paths are resolved so: where openat2 is not to be had, and in tests. */
extern bool wasi_fs_walks;

#endif
