/* p2: wasi:filesystem: descriptors, directories and paths. See p2/fs.h. */
#include "wasi/p2/fs.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>

#define TYPE(name) WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_##name

enum wasi_filesystem_types_error_code wasi_p2_fs_code(int host) {
    switch (host) {
#define X(name, p1, p2)                                                                                                          \
    case name:                                                                                                                   \
        return WASI_FILESYSTEM_TYPES_ERROR_CODE_##p2;
#include "wasi/fs/errno.def"
#undef X
    default: return WASI_FILESYSTEM_TYPES_ERROR_CODE_IO;
    }
}

enum abi_trap wasi_filesystem_types_filesystem_error_code(struct host_call *call, struct wasi_io_error_error *err,
                                                          struct wasi_p2_option_filesystem_types_error_code *result) {
    result->some = err->host_errno;
    if (result->some) result->value = wasi_p2_fs_code(err->host_errno);
    return ABI_TRAP_NONE;
}

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

void wasi_filesystem_types_descriptor_drop(struct host_instance *in, struct wasi_filesystem_types_descriptor *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_filesystem_preopens_get_directories(struct host_call *call,
                                                       struct wasi_p2_list_tuple2_filesystem_types_descriptor_string *result) {
    struct wasi_fs_preopens list = {0};
    enum abi_trap t = wasi_fs_preopens(call, &list);
    static_assert(sizeof *result->p == sizeof *list.p && sizeof *result == sizeof list);
    memcpy(result, &list, sizeof list);
    return t;
}

enum abi_trap wasi_filesystem_types_descriptor_get_flags(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_filesystem_types_descriptor_flags_filesystem_types_error_code *result) {
    result->ok = self->d.flags;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_get_type(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_filesystem_types_descriptor_type_filesystem_types_error_code *result) {
    result->ok = type_of(self->d.type);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_is_same_object(struct host_call *call,
                                                              struct wasi_filesystem_types_descriptor *self,
                                                              struct wasi_filesystem_types_descriptor *other, bool *result) {
    *result = wasi_fs_desc_same(&self->d, &other->d);
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
    P2_FS_TRY(wasi_fs_desc_stat(&self->d, &st));
    result->ok = stat_of(&st);
    return ABI_TRAP_NONE;
}

static struct wasi_filesystem_types_metadata_hash_value hash_of(const struct stat *st) {
    struct wasi_fs_hash h = wasi_fs_hash_of(st);
    return (struct wasi_filesystem_types_metadata_hash_value){h.lower, h.upper};
}

enum abi_trap wasi_filesystem_types_descriptor_metadata_hash(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_filesystem_types_metadata_hash_value_filesystem_types_error_code *result) {
    struct stat st;
    P2_FS_TRY(wasi_fs_desc_stat(&self->d, &st));
    result->ok = hash_of(&st);
    return ABI_TRAP_NONE;
}

static_assert((int)FS_TIME_NOW == WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_NOW &&
              (int)FS_TIME_SET == WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_TIMESTAMP);
static int timespec_of(const struct wasi_filesystem_types_new_timestamp *from, struct timespec *to) {
    if (from->tag == WASI_FILESYSTEM_TYPES_NEW_TIMESTAMP_TIMESTAMP && from->timestamp.seconds > INT64_MAX) return EINVAL;
    return wasi_fs_timespec((enum wasi_fs_time)from->tag, (int64_t)from->timestamp.seconds, from->timestamp.nanoseconds, to);
}

enum abi_trap wasi_filesystem_types_descriptor_set_times(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                         const struct wasi_filesystem_types_new_timestamp *access,
                                                         const struct wasi_filesystem_types_new_timestamp *modification,
                                                         struct wasi_p2_result_void_filesystem_types_error_code *result) {
    struct timespec times[2];
    P2_FS_TRY(timespec_of(access, &times[0]));
    P2_FS_TRY(timespec_of(modification, &times[1]));
    P2_FS_END(wasi_fs_desc_set_times(&self->d, times));
}

enum abi_trap wasi_filesystem_types_descriptor_set_size(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                        uint64_t size,
                                                        struct wasi_p2_result_void_filesystem_types_error_code *result) {
    struct wasi_fs_task t;
    P2_FS_RUN(call, t, wasi_fs_desc_resize(&self->d, size, &t));
    return ABI_TRAP_NONE;
}

/* ---- reading a directory ---- */

struct wasi_filesystem_types_directory_entry_stream {
    struct app_object o;
    struct wasi_fs_dir *dir;
};

static void entries_destroy(struct host_instance *in, void *self) {
    wasi_fs_entries_close(wasi_instance_of(in), ((struct wasi_filesystem_types_directory_entry_stream *)self)->dir);
}
void wasi_filesystem_types_directory_entry_stream_drop(struct host_instance *in,
                                                       struct wasi_filesystem_types_directory_entry_stream *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi_filesystem_types_descriptor_read_directory(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_filesystem_types_directory_entry_stream_filesystem_types_error_code *result) {
    APP_OBJECT_NEW(call, s, wasi_filesystem_types_directory_entry_stream, entries_destroy);
    int e = wasi_fs_entries_open(wasi_caller(call), &self->d, &s->dir);
    if (e) {
        app_object_unref(call->instance, s);
        P2_FS_FAIL(e);
    }
    result->ok = s;
    return ABI_TRAP_NONE;
}

static enum wasi_filesystem_types_descriptor_type entry_type(uint8_t dirent_type) { return type_of((mode_t)DTTOIF(dirent_type)); }

enum abi_trap wasi_filesystem_types_directory_entry_stream_read_directory_entry(
    struct host_call *call, struct wasi_filesystem_types_directory_entry_stream *self,
    struct wasi_p2_result_option_filesystem_types_directory_entry_filesystem_types_error_code *result) {
    struct wasi_fs_entry entry;
    bool end;
    P2_FS_TRY(wasi_fs_entries_next(self->dir, &entry, &end));
    if (end) return ABI_TRAP_NONE;
    result->ok.some = true;
    result->ok.value = (struct wasi_filesystem_types_directory_entry){entry_type(entry.type), entry.name};
    return ABI_TRAP_NONE;
}

/* ---- paths ---- */

enum abi_trap wasi_filesystem_types_descriptor_stat_at(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self, wasi_filesystem_types_path_flags path_flags, str path,
    struct wasi_p2_result_filesystem_types_descriptor_stat_filesystem_types_error_code *result) {
    struct stat st;
    P2_FS_TRY(wasi_fs_desc_stat_at(&self->d, path_flags, path, &st));
    result->ok = stat_of(&st);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_metadata_hash_at(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self, wasi_filesystem_types_path_flags path_flags, str path,
    struct wasi_p2_result_filesystem_types_metadata_hash_value_filesystem_types_error_code *result) {
    struct stat st;
    P2_FS_TRY(wasi_fs_desc_stat_at(&self->d, path_flags, path, &st));
    result->ok = hash_of(&st);
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_set_times_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                            wasi_filesystem_types_path_flags path_flags, str path,
                                                            const struct wasi_filesystem_types_new_timestamp *access,
                                                            const struct wasi_filesystem_types_new_timestamp *modification,
                                                            struct wasi_p2_result_void_filesystem_types_error_code *result) {
    struct timespec times[2];
    P2_FS_TRY(timespec_of(access, &times[0]));
    P2_FS_TRY(timespec_of(modification, &times[1]));
    P2_FS_END(wasi_fs_desc_set_times_at(&self->d, path_flags, path, times));
}

enum abi_trap
wasi_filesystem_types_descriptor_create_directory_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                     str path, struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_END(wasi_fs_desc_mkdir(&self->d, path));
}
enum abi_trap
wasi_filesystem_types_descriptor_remove_directory_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                     str path, struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_END(wasi_fs_desc_rmdir(&self->d, path));
}
enum abi_trap wasi_filesystem_types_descriptor_unlink_file_at(struct host_call *call,
                                                              struct wasi_filesystem_types_descriptor *self, str path,
                                                              struct wasi_p2_result_void_filesystem_types_error_code *result) {
    struct wasi_fs_task t;
    P2_FS_RUN(call, t, wasi_fs_desc_unlink(&self->d, path, &t));
    return ABI_TRAP_NONE;
}
enum abi_trap wasi_filesystem_types_descriptor_symlink_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                          str old_path, str new_path,
                                                          struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_END(wasi_fs_desc_symlink(&self->d, old_path, new_path));
}

enum abi_trap wasi_filesystem_types_descriptor_link_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                       wasi_filesystem_types_path_flags old_path_flags, str old_path,
                                                       struct wasi_filesystem_types_descriptor *new_descriptor, str new_path,
                                                       struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_END(wasi_fs_desc_link(&self->d, old_path_flags, old_path, &new_descriptor->d, new_path));
}
enum abi_trap wasi_filesystem_types_descriptor_rename_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                         str old_path, struct wasi_filesystem_types_descriptor *new_descriptor,
                                                         str new_path,
                                                         struct wasi_p2_result_void_filesystem_types_error_code *result) {
    struct wasi_fs_task t;
    P2_FS_RUN(call, t, wasi_fs_desc_rename(&self->d, old_path, &new_descriptor->d, new_path, &t));
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_readlink_at(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                           str path,
                                                           struct wasi_p2_result_string_filesystem_types_error_code *result) {
    size_t n = 0;
    uint8_t *to = host_alloc(call, PATH_MAX, 1);
    if (!to) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for a link's target");
    P2_FS_TRY(wasi_fs_desc_readlink(&self->d, path, to, PATH_MAX, &n));
    result->ok = (str){to, n};
    return ABI_TRAP_NONE;
}

/* ---- opening ---- */

enum abi_trap wasi_filesystem_types_descriptor_open_at(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self, wasi_filesystem_types_path_flags path_flags, str path,
    wasi_filesystem_types_open_flags open_flags, wasi_filesystem_types_descriptor_flags flags,
    struct wasi_p2_result_filesystem_types_descriptor_filesystem_types_error_code *result) {
    struct wasi_fs_task t;
    APP_OBJECT_NEW(call, d, wasi_filesystem_types_descriptor, wasi_fs_object_destroy);
    int e = wasi_fs_desc_open(wasi_caller(call), &self->d, path_flags, path, open_flags, flags, &t);
    if (!e && !wasi_fs_run(wasi_caller(call), &t)) {
        wasi_fs_uncount(wasi_caller(call));
        app_object_unref(call->instance, d);
        return ABI_TRAP_INTERRUPTED;
    }
    if (!e) e = wasi_fs_desc_opened(wasi_caller(call), self->d.read_only, open_flags, flags, &t, &d->d);
    if (e) {
        app_object_unref(call->instance, d);
        P2_FS_FAIL(e);
    }
    result->ok = d;
    return ABI_TRAP_NONE;
}
