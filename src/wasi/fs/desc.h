/* fs_desc: what a descriptor of wasi:filesystem is, in 0.2 and in 0.3: the rules of both; their types are p2/fs.c's and p3/fs.c's.
 *
 * 1. What may be changed comes from the folder a descriptor was found in: what lies in a read-only grant stays read-only, whatever
 *    the guest opens on the way. That a folder was opened without MUTATE takes nothing away: C libraries that open one to make
 *    files in it seldom ask for it.
 * 2. A descriptor's files count against limits.files_max, so that no guest takes them from the others of its worker.
 * 3. Functions return 0 or an errno of this system. Those that fill in a task leave the doing to wasi_fs_run (0.2) or wasi_fs_try and
 *    wasi_fs_defer (0.3).
 */
#ifndef ORLO_WASI_FS_DESC_H
#define ORLO_WASI_FS_DESC_H

#include "wasi/fs/file.h"

/* As descriptor-flags, open-flags, path-flags and advice number them in both versions. */
enum { FS_D_READ = 1, FS_D_WRITE = 2, FS_D_FILE_SYNC = 4, FS_D_DATA_SYNC = 8, FS_D_REQUESTED_SYNC = 16, FS_D_MUTATE = 32 };
enum { FS_O_CREATE = 1, FS_O_DIRECTORY = 2, FS_O_EXCLUSIVE = 4, FS_O_TRUNCATE = 8 };
enum { FS_P_FOLLOW = 1 };

struct wasi_fs_desc {
    struct wasi_fs_file *file; /* NULL: not open */
    mode_t type;               /* S_IFMT of it */
    bool read_only;            /* nothing may be changed through it */
    bool counted;              /* in i->files */
    uint32_t flags;            /* get-flags: what was asked for, and what that implies */
};

/* What a guest's handle of one stands for: the resource `descriptor` of either version begins so, and is no more. */
struct wasi_fs_object {
    struct app_object o;
    struct wasi_fs_desc d;
};
void wasi_fs_object_destroy(struct host_instance *in, void *self);
/* get-directories: what the app was granted. list<tuple<descriptor, string>>, as generated for either version; in call memory. */
struct wasi_fs_preopens {
    struct {
        struct wasi_fs_object *f0;
        str f1;
    } * p;
    size_t n;
};
[[nodiscard]] enum abi_trap wasi_fs_preopens(struct host_call *call, struct wasi_fs_preopens *out);

bool wasi_fs_desc_same(const struct wasi_fs_desc *a, const struct wasi_fs_desc *b);

void wasi_fs_uncount(struct wasi_instance *i);

/* Why d has no bytes to read (or write), or paths cannot start at it (with `change`: and alter something). */
int wasi_fs_desc_may(const struct wasi_fs_desc *d, uint32_t read_or_write);

int wasi_fs_desc_stat(const struct wasi_fs_desc *d, struct stat *out);
int wasi_fs_desc_stat_at(const struct wasi_fs_desc *d, uint32_t path_flags, str path, struct stat *out);
struct wasi_fs_hash {
    uint64_t lower, upper; /* lower names the object (libc makes an inode number of it), upper changes with its contents too */
};
struct wasi_fs_hash wasi_fs_hash_of(const struct stat *st);

/* A new-timestamp as the kernel wants it. EINVAL: what it would take for something else. */
enum wasi_fs_time { FS_TIME_KEEP, FS_TIME_NOW, FS_TIME_SET };
int wasi_fs_timespec(enum wasi_fs_time how, int64_t seconds, uint32_t nanoseconds, struct timespec *out);
int wasi_fs_desc_set_times(const struct wasi_fs_desc *d, const struct timespec times[2]);
int wasi_fs_desc_set_times_at(const struct wasi_fs_desc *d, uint32_t path_flags, str path, const struct timespec times[2]);

int wasi_fs_desc_mkdir(const struct wasi_fs_desc *d, str path);
int wasi_fs_desc_rmdir(const struct wasi_fs_desc *d, str path);
int wasi_fs_desc_symlink(const struct wasi_fs_desc *d, str target, str path);
int wasi_fs_desc_link(const struct wasi_fs_desc *d, uint32_t path_flags, str path, const struct wasi_fs_desc *new_d,
                      str new_path);
/* EPERM: an absolute target. EILSEQ: one that is no string of a component. */
int wasi_fs_desc_readlink(const struct wasi_fs_desc *d, str path, uint8_t *p, size_t cap, size_t *n);
int wasi_fs_desc_advise(const struct wasi_fs_desc *d, uint64_t offset, uint64_t length, uint32_t advice);

int wasi_fs_desc_read(const struct wasi_fs_desc *d, uint64_t offset, struct iovec *v, struct wasi_fs_task *out);
/* append: behind the last byte. */
int wasi_fs_desc_write(const struct wasi_fs_desc *d, uint64_t offset, bool append, struct iovec *v, struct wasi_fs_task *out);
int wasi_fs_desc_resize(const struct wasi_fs_desc *d, uint64_t size, struct wasi_fs_task *out);
int wasi_fs_desc_sync(const struct wasi_fs_desc *d, bool data_only, struct wasi_fs_task *out);
int wasi_fs_desc_unlink(const struct wasi_fs_desc *d, str path, struct wasi_fs_task *out);
int wasi_fs_desc_rename(const struct wasi_fs_desc *d, str path, const struct wasi_fs_desc *new_d, str new_path,
                        struct wasi_fs_task *out);

/* open-at: counts a file. wasi_fs_desc_opened makes a descriptor of the outcome, or gives back what was counted. */
int wasi_fs_desc_open(struct wasi_instance *i, const struct wasi_fs_desc *d, uint32_t path_flags, str path, uint32_t open_flags,
                      uint32_t flags, struct wasi_fs_task *out);
int wasi_fs_desc_opened(struct wasi_instance *i, bool read_only, uint32_t open_flags, uint32_t flags,
                        const struct wasi_fs_task *t, struct wasi_fs_desc *out);

/* read-directory: "." and ".." are left out. Counts a file and memory. EILSEQ: a name that is no string of a component. */
int wasi_fs_entries_open(struct wasi_instance *i, const struct wasi_fs_desc *d, struct wasi_fs_dir **out);
int wasi_fs_entries_next(struct wasi_fs_dir *dir, struct wasi_fs_entry *out, bool *end);
void wasi_fs_entries_close(struct wasi_instance *i, struct wasi_fs_dir *dir); /* NULL is fine */

#endif
