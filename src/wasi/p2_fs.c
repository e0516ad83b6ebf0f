/* p2: wasi:filesystem: descriptors, directories and paths. See p2_fs.h. */
#include "wasi/p2_fs.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#define FLAG(name) WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_##name
#define TYPE(name) WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_##name

enum wasi_filesystem_types_error_code p2_fs_code(int host) {
    switch (host) {
#define X(name, p1, p2)                                                                                                          \
    case name:                                                                                                                   \
        return WASI_FILESYSTEM_TYPES_ERROR_CODE_##p2;
#include "wasi/fs_errno.def"
#undef X
    default: return WASI_FILESYSTEM_TYPES_ERROR_CODE_IO;
    }
}

enum abi_trap wasi_filesystem_types_filesystem_error_code(struct host_call *call, struct wasi_io_error_error *err,
                                                          struct wasi_p2_option_filesystem_types_error_code *result) {
    result->some = err->host_errno;
    if (result->some) result->value = p2_fs_code(err->host_errno);
    return ABI_TRAP_NONE;
}

static int result_of(int r) { return r < 0 ? errno : 0; }

/* ---- descriptors ---- */

static enum wasi_filesystem_types_descriptor_type type_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return TYPE(REGULAR_FILE);
    case S_IFDIR: return TYPE(DIRECTORY);
    case S_IFLNK: return TYPE(SYMBOLIC_LINK);
    case S_IFCHR: return TYPE(CHARACTER_DEVICE);
    case S_IFBLK: return TYPE(BLOCK_DEVICE);
    case S_IFIFO: return TYPE(FIFO);
    case S_IFSOCK: return TYPE(SOCKET);
    default: return TYPE(UNKNOWN);
    }
}

/* One more file open in this run. False: it has as many as it may. */
static bool count_file(struct wasi_run *run) {
    if (run->files >= run->app->config.limits.files_max) return false;
    run->files++;
    return true;
}
static void uncount_file(struct host_instance *in) { ((struct wasi_run *)host_instance_user(in))->files--; }

static void descriptor_destroy(struct host_instance *in, void *self) {
    struct wasi_filesystem_types_descriptor *d = self;
    if (d->allocated) uncount_file(in);
    if (!d->borrowed && d->fd >= 0) close(d->fd);
}
void wasi_filesystem_types_descriptor_drop(struct host_instance *in, struct wasi_filesystem_types_descriptor *self) {
    p2_unref(in, self);
}

enum abi_trap wasi_filesystem_preopens_get_directories(struct host_call *call,
                                                       struct wasi_p2_list_tuple2_filesystem_types_descriptor_string *result) {
    const struct wasi_config *config = &p2_run(call)->app->config;
    result->p = host_alloc(call, (config->preopens_count + 1) * sizeof *result->p, _Alignof(str));
    while (result->p && result->n < config->preopens_count) {
        const struct wasi_preopen *from = &config->preopens[result->n];
        struct wasi_filesystem_types_descriptor *d = p2_object_new(call->instance, sizeof *d, descriptor_destroy);
        if (!d) break;
        d->fd = from->fd;
        d->borrowed = true;
        d->read_only = from->read_only;
        d->type = TYPE(DIRECTORY);
        d->flags = FLAG(READ);
        result->p[result->n].f0 = d;
        result->p[result->n++].f1 = from->guest;
    }
    if (result->p && result->n == config->preopens_count) return ABI_TRAP_NONE;
    while (result->n) p2_unref(call->instance, result->p[--result->n].f0);
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the list of granted folders");
}

enum abi_trap wasi_filesystem_types_descriptor_get_flags(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_filesystem_types_descriptor_flags_filesystem_types_error_code *result) {
    result->ok = self->flags | (self->type == TYPE(DIRECTORY) && !self->read_only ? FLAG(MUTATE_DIRECTORY) : 0);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_get_type(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_filesystem_types_descriptor_type_filesystem_types_error_code *result) {
    result->ok = self->type;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_is_same_object(struct host_call *call,
                                                              struct wasi_filesystem_types_descriptor *self,
                                                              struct wasi_filesystem_types_descriptor *other, bool *result) {
    struct stat a, b;
    *result =
        self == other || (fstat(self->fd, &a) == 0 && fstat(other->fd, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino);
    return ABI_TRAP_NONE;
}

/* ---- attributes ---- */

/* None: a time before 1970 cannot be said. */
static struct wasi_p2_option_clocks_wall_clock_datetime time_of(struct timespec t) {
    if (t.tv_sec < 0) return (struct wasi_p2_option_clocks_wall_clock_datetime){};
    return (struct wasi_p2_option_clocks_wall_clock_datetime){true, {(uint64_t)t.tv_sec, (uint32_t)t.tv_nsec}};
}

static struct wasi_filesystem_types_descriptor_stat stat_of(const struct stat *st) {
    return (struct wasi_filesystem_types_descriptor_stat){
        .type = type_of(st->st_mode),
        .link_count = st->st_nlink,
        .size = (uint64_t)st->st_size,
        .data_access_timestamp = time_of(st->st_atim),
        .data_modification_timestamp = time_of(st->st_mtim),
        .status_change_timestamp = time_of(st->st_ctim),
    };
}

enum abi_trap wasi_filesystem_types_descriptor_stat(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_filesystem_types_descriptor_stat_filesystem_types_error_code *result) {
    struct stat st;
    P2_FS_TRY(result_of(fstat(self->fd, &st)));
    result->ok = stat_of(&st);
    return ABI_TRAP_NONE;
}

/* The lower half names the object (libc makes an inode number of it), the upper also changes with its contents. */
static struct wasi_filesystem_types_metadata_hash_value hash_of(const struct stat *st) {
    uint64_t what[] = {st->st_dev, st->st_ino, (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
                       (uint64_t)st->st_size};
    return (struct wasi_filesystem_types_metadata_hash_value){str_hash((str){(const uint8_t *)what, 2 * sizeof *what}),
                                                              str_hash((str){(const uint8_t *)what, sizeof what})};
}

enum abi_trap wasi_filesystem_types_descriptor_metadata_hash(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_filesystem_types_metadata_hash_value_filesystem_types_error_code *result) {
    struct stat st;
    P2_FS_TRY(result_of(fstat(self->fd, &st)));
    result->ok = hash_of(&st);
    return ABI_TRAP_NONE;
}

/* 0 or EINVAL: a time that the kernel would take for something else. */
static int timespec_of(const struct wasi_filesystem_types_new_timestamp *from, struct timespec *to) {
    *to = (struct timespec){.tv_nsec = from->tag == WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_NOW ? UTIME_NOW : UTIME_OMIT};
    if (from->tag != WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_TIMESTAMP) return 0;
    if (from->timestamp.seconds > INT64_MAX || from->timestamp.nanoseconds >= 1'000'000'000) return EINVAL;
    *to = (struct timespec){(time_t)from->timestamp.seconds, from->timestamp.nanoseconds};
    return 0;
}

enum abi_trap wasi_filesystem_types_descriptor_set_times(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                         const struct wasi_filesystem_types_new_timestamp *access,
                                                         const struct wasi_filesystem_types_new_timestamp *modification,
                                                         struct wasi_p2_result_void_filesystem_types_error_code *result) {
    struct timespec times[2];
    if (self->read_only) P2_FS_FAIL(EROFS);
    P2_FS_TRY(timespec_of(access, &times[0]));
    P2_FS_TRY(timespec_of(modification, &times[1]));
    P2_FS_END(result_of(futimens(self->fd, times)));
}

enum abi_trap wasi_filesystem_types_descriptor_set_size(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                        uint64_t size,
                                                        struct wasi_p2_result_void_filesystem_types_error_code *result) {
    if (self->type == TYPE(DIRECTORY)) P2_FS_FAIL(EISDIR);
    if (self->read_only) P2_FS_FAIL(EROFS);
    if (!(self->flags & FLAG(WRITE))) P2_FS_FAIL(EBADF);
    if (size > INT64_MAX) P2_FS_FAIL(EFBIG);
    P2_FS_END(result_of(ftruncate(self->fd, (off_t)size)));
}

/* ---- reading a directory ---- */

enum { DIR_BYTES = 32 << 10 }; /* what the C library buffers */

struct wasi_filesystem_types_directory_entry_stream {
    struct p2_object o;
    struct fs_dir *dir;
    bool allocated;
};

static void entries_destroy(struct host_instance *in, void *self) {
    struct wasi_filesystem_types_directory_entry_stream *s = self;
    fs_dir_close(s->dir);
    if (!s->allocated) return;
    uncount_file(in);
    host_uncharge(in, DIR_BYTES);
}
void wasi_filesystem_types_directory_entry_stream_drop(struct host_instance *in,
                                                       struct wasi_filesystem_types_directory_entry_stream *self) {
    p2_unref(in, self);
}

enum abi_trap wasi_filesystem_types_descriptor_read_directory(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_filesystem_types_directory_entry_stream_filesystem_types_error_code *result) {
    if (self->type != TYPE(DIRECTORY)) P2_FS_FAIL(ENOTDIR);
    P2_NEW(call, s, wasi_filesystem_types_directory_entry_stream, entries_destroy);
    int e = host_charge(call->instance, DIR_BYTES) ? 0 : ENOMEM;
    if (!e && !count_file(p2_run(call))) {
        host_uncharge(call->instance, DIR_BYTES);
        e = EMFILE;
    }
    s->allocated = !e;
    if (!e) e = fs_dir_open(self->fd, &s->dir);
    if (!e) {
        result->ok = s;
        return ABI_TRAP_NONE;
    }
    p2_unref(call->instance, s);
    P2_FS_FAIL(e);
}

static enum wasi_filesystem_types_descriptor_type entry_type(uint8_t dirent_type) { return type_of((mode_t)DTTOIF(dirent_type)); }

enum abi_trap wasi_filesystem_types_directory_entry_stream_read_directory_entry(
    struct host_call *call, struct wasi_filesystem_types_directory_entry_stream *self,
    struct wasi_p2_result_option_filesystem_types_directory_entry_filesystem_types_error_code *result) {
    struct fs_entry entry;
    bool end;
    do {
        P2_FS_TRY(fs_dir_next(self->dir, &entry, &end));
        if (end) return ABI_TRAP_NONE;
    } while (str_eqc(entry.name, ".") || str_eqc(entry.name, ".."));
    if (!str_is_utf8(entry.name)) P2_FS_FAIL(EILSEQ);
    result->ok.some = true;
    result->ok.value = (struct wasi_filesystem_types_directory_entry){entry_type(entry.type), entry.name};
    return ABI_TRAP_NONE;
}

/* ---- paths ---- */

#define FOLLOWS(path_flags) ((path_flags)&WASI_FILESYSTEM_TYPES_PATH_FLAGS_SYMLINK_FOLLOW)

/* 0, or why paths cannot start here. */
static int may(const struct wasi_filesystem_types_descriptor *d, bool change) {
    return d->type != TYPE(DIRECTORY) ? ENOTDIR : change && d->read_only ? EROFS : 0;
}

enum abi_trap wasi_filesystem_types_descriptor_stat_at(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self, wasi_filesystem_types_path_flags path_flags, str path,
    struct wasi_p2_result_filesystem_types_descriptor_stat_filesystem_types_error_code *result) {
    struct stat st;
    P2_FS_TRY(may(self, false));
    P2_FS_TRY(fs_stat(self->fd, path, FOLLOWS(path_flags), &st));
    result->ok = stat_of(&st);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_metadata_hash_at(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self, wasi_filesystem_types_path_flags path_flags, str path,
    struct wasi_p2_result_filesystem_types_metadata_hash_value_filesystem_types_error_code *result) {
    struct stat st;
    P2_FS_TRY(may(self, false));
    P2_FS_TRY(fs_stat(self->fd, path, FOLLOWS(path_flags), &st));
    result->ok = hash_of(&st);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_set_times_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                            wasi_filesystem_types_path_flags path_flags, str path,
                                                            const struct wasi_filesystem_types_new_timestamp *access,
                                                            const struct wasi_filesystem_types_new_timestamp *modification,
                                                            struct wasi_p2_result_void_filesystem_types_error_code *result) {
    struct timespec times[2];
    P2_FS_TRY(may(self, true));
    P2_FS_TRY(timespec_of(access, &times[0]));
    P2_FS_TRY(timespec_of(modification, &times[1]));
    P2_FS_END(fs_set_times(self->fd, path, FOLLOWS(path_flags), times));
}

enum abi_trap
wasi_filesystem_types_descriptor_create_directory_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                     str path, struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_TRY(may(self, true));
    P2_FS_END(fs_mkdir(self->fd, path));
}
enum abi_trap
wasi_filesystem_types_descriptor_remove_directory_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                     str path, struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_TRY(may(self, true));
    P2_FS_END(fs_rmdir(self->fd, path));
}
enum abi_trap wasi_filesystem_types_descriptor_unlink_file_at(struct host_call *call,
                                                              struct wasi_filesystem_types_descriptor *self, str path,
                                                              struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_TRY(may(self, true));
    P2_FS_END(fs_unlink(self->fd, path));
}
enum abi_trap wasi_filesystem_types_descriptor_symlink_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                          str old_path, str new_path,
                                                          struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_TRY(may(self, true));
    P2_FS_END(fs_symlink(old_path, self->fd, new_path));
}

enum abi_trap wasi_filesystem_types_descriptor_link_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                       wasi_filesystem_types_path_flags old_path_flags, str old_path,
                                                       struct wasi_filesystem_types_descriptor *new_descriptor, str new_path,
                                                       struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_TRY(may(self, true)); /* read-only: a second name could be opened for writing */
    P2_FS_TRY(may(new_descriptor, true));
    if (FOLLOWS(old_path_flags)) P2_FS_FAIL(EINVAL);
    P2_FS_END(fs_link(self->fd, old_path, new_descriptor->fd, new_path));
}
enum abi_trap wasi_filesystem_types_descriptor_rename_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                         str old_path, struct wasi_filesystem_types_descriptor *new_descriptor,
                                                         str new_path,
                                                         struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_TRY(may(self, true));
    P2_FS_TRY(may(new_descriptor, true));
    P2_FS_END(fs_rename(self->fd, old_path, new_descriptor->fd, new_path));
}

enum abi_trap wasi_filesystem_types_descriptor_readlink_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                           str path,
                                                           struct wasi_p2_result_string_filesystem_types_error_code *result) {
    size_t n = 0;
    uint8_t *to = host_alloc(call, PATH_MAX, 1);
    if (!to) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for a link's target");
    P2_FS_TRY(may(self, false));
    P2_FS_TRY(fs_readlink(self->fd, path, to, PATH_MAX, &n));
    if (n && to[0] == '/') P2_FS_FAIL(EPERM); /* readlink-at: not for absolute targets */
    if (!str_is_utf8((str){to, n})) P2_FS_FAIL(EILSEQ);
    result->ok = (str){to, n};
    return ABI_TRAP_NONE;
}

/* ---- opening ---- */

#define OPEN(name) (open_flags & WASI_FILESYSTEM_TYPES_OPEN_FLAGS_##name)

static int open_file(const struct wasi_filesystem_types_descriptor *base, bool follow, str path,
                     wasi_filesystem_types_open_flags open_flags, struct wasi_filesystem_types_descriptor *d) {
    bool write = d->flags & FLAG(WRITE) || OPEN(TRUNCATE);
    struct fs_open how = {.create = OPEN(CREATE),
                          .directory = OPEN(DIRECTORY),
                          .exclusive = OPEN(EXCLUSIVE),
                          .truncate = OPEN(TRUNCATE),
                          .follow = follow,
                          .write = write,
                          .read = !write || d->flags & FLAG(READ),
                          .dsync = d->flags & FLAG(DATA_INTEGRITY_SYNC),
                          .sync = d->flags & (FLAG(FILE_INTEGRITY_SYNC) | FLAG(REQUESTED_WRITE_SYNC))};
    struct stat st;
    int e = fs_open(base->fd, path, &how, &d->fd);
    if (!e) e = result_of(fstat(d->fd, &st));
    if (!e) d->type = type_of(st.st_mode);
    return e;
}

enum abi_trap wasi_filesystem_types_descriptor_open_at(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self, wasi_filesystem_types_path_flags path_flags, str path,
    wasi_filesystem_types_open_flags open_flags, wasi_filesystem_types_descriptor_flags flags,
    struct wasi_p2_result_filesystem_types_descriptor_filesystem_types_error_code *result) {
    P2_FS_TRY(may(self, OPEN(CREATE) || OPEN(TRUNCATE) || flags & (FLAG(WRITE) | FLAG(MUTATE_DIRECTORY))));
    if (!count_file(p2_run(call))) P2_FS_FAIL(EMFILE);
    struct wasi_filesystem_types_descriptor *d = p2_object_new(call->instance, sizeof *d, descriptor_destroy);
    if (!d) {
        uncount_file(call->instance);
        return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "the host memory of this instance is used up");
    }
    d->fd = -1;
    d->allocated = true;
    d->read_only = self->read_only;
    d->flags = flags & ~FLAG(MUTATE_DIRECTORY); /* which comes from self: libraries that open a folder seldom ask for it */
    int e = open_file(self, FOLLOWS(path_flags), path, open_flags, d);
    if (!e) {
        result->ok = d;
        return ABI_TRAP_NONE;
    }
    p2_unref(call->instance, d);
    P2_FS_FAIL(e);
}
