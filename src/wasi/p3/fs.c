/* p3: wasi:filesystem: descriptors, directories and paths. What may have to wait for a disk is done on a thread (fs/file.h), and
 * the guest's other tasks run on. */
#include "wasi/p3/fs.h"
#include <errno.h>
#include <limits.h>

#define TYPE(name) WASI3_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_##name

static_assert((int)FS_D_WRITE == WASI3_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_WRITE &&
              (int)FS_D_MUTATE == WASI3_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_MUTATE_DIRECTORY &&
              (int)FS_O_TRUNCATE == WASI3_FILESYSTEM_TYPES_OPEN_FLAGS_TRUNCATE &&
              (int)FS_TIME_SET == WASI3_FILESYSTEM_TYPES_NEW_TIMESTAMP_TIMESTAMP);

struct wasi3_filesystem_types_error_code wasi_p3_fs_code(int host) {
    enum { WASI3_FILESYSTEM_TYPES_ERROR_CODE_WOULD_BLOCK = WASI3_FILESYSTEM_TYPES_ERROR_CODE_OTHER }; /* 0.2 alone has it */
    struct wasi3_filesystem_types_error_code e = {.tag = WASI3_FILESYSTEM_TYPES_ERROR_CODE_OTHER};
    switch (host) {
#define X(name, p1, p2)                                                                                                          \
    case name:                                                                                                                   \
        e.tag = (enum wasi3_filesystem_types_error_code_tag)WASI3_FILESYSTEM_TYPES_ERROR_CODE_##p2;                              \
        break;
#include "wasi/fs/errno.def"
#undef X
    }
    const char *text = e.tag == WASI3_FILESYSTEM_TYPES_ERROR_CODE_OTHER ? strerrordesc_np(host) : NULL;
    if (text) e.other = (struct wasi_p3_option_string){true, str_c(text)};
    return e;
}

wasi_p3_fs_result wasi_p3_fs_result_of(int host) {
    wasi_p3_fs_result r = {.is_err = host};
    if (host) r.err = wasi_p3_fs_code(host);
    return r;
}

struct wasi3_filesystem_types_descriptor_type wasi_p3_fs_type(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFREG: return (struct wasi3_filesystem_types_descriptor_type){.tag = TYPE(REGULAR_FILE)};
    case S_IFDIR: return (struct wasi3_filesystem_types_descriptor_type){.tag = TYPE(DIRECTORY)};
    case S_IFLNK: return (struct wasi3_filesystem_types_descriptor_type){.tag = TYPE(SYMBOLIC_LINK)};
    case S_IFCHR: return (struct wasi3_filesystem_types_descriptor_type){.tag = TYPE(CHARACTER_DEVICE)};
    case S_IFBLK: return (struct wasi3_filesystem_types_descriptor_type){.tag = TYPE(BLOCK_DEVICE)};
    case S_IFIFO: return (struct wasi3_filesystem_types_descriptor_type){.tag = TYPE(FIFO)};
    case S_IFSOCK: return (struct wasi3_filesystem_types_descriptor_type){.tag = TYPE(SOCKET)};
    default: return (struct wasi3_filesystem_types_descriptor_type){.tag = TYPE(OTHER)};
    }
}

/* Ends a function whose result is a result<_, error-code>. */
#define FAIL(e)                                                                                                                  \
    do {                                                                                                                         \
        result->is_err = true;                                                                                                   \
        result->err = wasi_p3_fs_code(e);                                                                                        \
        return ABI_TRAP_NONE;                                                                                                    \
    } while (0)
#define TRY_FS(expr)                                                                                                             \
    do {                                                                                                                         \
        int fs_error_ = (expr);                                                                                                  \
        if (fs_error_) FAIL(fs_error_);                                                                                          \
    } while (0)
#define END(expr)                                                                                                                \
    do {                                                                                                                         \
        *result = wasi_p3_fs_result_of(expr);                                                                                    \
        return ABI_TRAP_NONE;                                                                                                    \
    } while (0)

/* ---- operations that may take a while ---- */

struct op {
    struct host_instance *in;
    struct host_pending *pending;
    struct wasi_fs_job *job;
    wasi_p3_fs_result *result; /* NULL: an open-at: */
    struct wasi_p3_result_filesystem_types_descriptor_filesystem_types_error_code *opened;
    struct wasi3_filesystem_types_descriptor *d; /* to be */
    bool read_only;
    uint32_t open_flags, flags;
};

/* The outcome of an open-at. */
static void put_opened(const struct op *op, const struct wasi_fs_task *t) {
    int e = wasi_fs_desc_opened(wasi_instance_of(op->in), op->read_only, op->open_flags, op->flags, t, &op->d->d);
    op->opened->is_err = e;
    if (e) {
        op->opened->err = wasi_p3_fs_code(e);
        app_object_unref(op->in, op->d);
    } else op->opened->ok = op->d;
}

static void op_free(struct op *op) {
    host_uncharge(op->in, sizeof *op);
    free(op);
}

static void op_done(void *arg, struct wasi_fs_task *t) {
    struct op *op = arg;
    struct host_pending *pending = op->pending;
    if (op->result) *op->result = wasi_p3_fs_result_of(t->error);
    else put_opened(op, t);
    op_free(op);
    host_pending_done(pending);
}

static void op_gone(struct host_pending *pending, void *arg) {
    struct op *op = arg;
    wasi_fs_job_abandon(op->job);
    if (op->d) {
        wasi_fs_uncount(wasi_instance_of(op->in));
        app_object_unref(op->in, op->d);
    }
    op_free(op);
}
static void op_cancel(struct host_pending *pending, void *arg) {
    op_gone(pending, arg);
    host_pending_cancelled(pending);
}
static const struct host_pending_ops op_ops = {op_cancel, op_gone};

/* Does t, now or later, and fills in what `like` says. */
static enum abi_trap perform(struct host_call *call, struct wasi_fs_task *t, const struct op *like) {
    struct op *op = NULL;
    if (wasi_fs_try(t)) {
        if (like->result) *like->result = wasi_p3_fs_result_of(t->error);
        else put_opened(like, t);
        return ABI_TRAP_NONE;
    }
    if (host_charge(call->instance, sizeof *op)) {
        op = malloc(sizeof *op);
        ENSURE(op);
        *op = *like;
        op->job = wasi_fs_defer(wasi_caller(call)->base.app->loop, call->instance, t, op_done, op);
        if (!op->job) op_free(op);
        else if ((op->pending = host_pend(call, &op_ops, op))) return ABI_TRAP_NONE;
        else op_gone(NULL, op);
    }
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many file operations at once");
}

/* A task that a function of fs_desc filled in; e: what that returned. */
static enum abi_trap run_task(struct host_call *call, int e, struct wasi_fs_task *t, wasi_p3_fs_result *result) {
    if (e) END(e);
    return perform(call, t, &(struct op){.in = call->instance, .result = result});
}

/* ---- descriptors ---- */

void wasi3_filesystem_types_descriptor_drop(struct host_instance *in, struct wasi3_filesystem_types_descriptor *self) {
    app_object_unref(in, self);
}

enum abi_trap wasi3_filesystem_preopens_get_directories(struct host_call *call,
                                                        struct wasi_p3_list_tuple2_filesystem_types_descriptor_string *result) {
    struct wasi_fs_preopens list = {0};
    enum abi_trap t = wasi_fs_preopens(call, &list);
    static_assert(sizeof *result->p == sizeof *list.p && sizeof *result == sizeof list);
    memcpy(result, &list, sizeof list);
    return t;
}

enum abi_trap wasi3_filesystem_types_descriptor_get_flags(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
    struct wasi_p3_result_filesystem_types_descriptor_flags_filesystem_types_error_code *result) {
    result->ok = self->d.flags;
    return ABI_TRAP_NONE;
}
enum abi_trap wasi3_filesystem_types_descriptor_get_type(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
    struct wasi_p3_result_filesystem_types_descriptor_type_filesystem_types_error_code *result) {
    result->ok = wasi_p3_fs_type(self->d.type);
    return ABI_TRAP_NONE;
}
enum abi_trap wasi3_filesystem_types_descriptor_is_same_object(struct host_call *call,
                                                               struct wasi3_filesystem_types_descriptor *self,
                                                               struct wasi3_filesystem_types_descriptor *other, bool *result) {
    *result = wasi_fs_desc_same(&self->d, &other->d);
    return ABI_TRAP_NONE;
}

/* ---- attributes ---- */

static struct wasi_p3_option_clocks_system_clock_instant instant_of(struct timespec t) {
    return (struct wasi_p3_option_clocks_system_clock_instant){true, {t.tv_sec, (uint32_t)t.tv_nsec}};
}

static struct wasi3_filesystem_types_descriptor_stat stat_of(const struct stat *st) {
    return (struct wasi3_filesystem_types_descriptor_stat){
        .type = wasi_p3_fs_type(st->st_mode),
        .link_count = st->st_nlink,
        .size = (uint64_t)st->st_size,
        .data_access_timestamp = instant_of(st->st_atim),
        .data_modification_timestamp = instant_of(st->st_mtim),
        .status_change_timestamp = instant_of(st->st_ctim),
    };
}

enum abi_trap wasi3_filesystem_types_descriptor_stat(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
    struct wasi_p3_result_filesystem_types_descriptor_stat_filesystem_types_error_code *result) {
    struct stat st;
    TRY_FS(wasi_fs_desc_stat(&self->d, &st));
    result->ok = stat_of(&st);
    return ABI_TRAP_NONE;
}
enum abi_trap wasi3_filesystem_types_descriptor_stat_at(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self, wasi3_filesystem_types_path_flags path_flags,
    str path, struct wasi_p3_result_filesystem_types_descriptor_stat_filesystem_types_error_code *result) {
    struct stat st;
    TRY_FS(wasi_fs_desc_stat_at(&self->d, path_flags, path, &st));
    result->ok = stat_of(&st);
    return ABI_TRAP_NONE;
}

static struct wasi3_filesystem_types_metadata_hash_value hash_of(const struct stat *st) {
    struct wasi_fs_hash h = wasi_fs_hash_of(st);
    return (struct wasi3_filesystem_types_metadata_hash_value){h.lower, h.upper};
}

enum abi_trap wasi3_filesystem_types_descriptor_metadata_hash(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
    struct wasi_p3_result_filesystem_types_metadata_hash_value_filesystem_types_error_code *result) {
    struct stat st;
    TRY_FS(wasi_fs_desc_stat(&self->d, &st));
    result->ok = hash_of(&st);
    return ABI_TRAP_NONE;
}
enum abi_trap wasi3_filesystem_types_descriptor_metadata_hash_at(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self, wasi3_filesystem_types_path_flags path_flags,
    str path, struct wasi_p3_result_filesystem_types_metadata_hash_value_filesystem_types_error_code *result) {
    struct stat st;
    TRY_FS(wasi_fs_desc_stat_at(&self->d, path_flags, path, &st));
    result->ok = hash_of(&st);
    return ABI_TRAP_NONE;
}

static int timespecs_of(const struct wasi3_filesystem_types_new_timestamp *access,
                        const struct wasi3_filesystem_types_new_timestamp *modification, struct timespec out[2]) {
    int e = wasi_fs_timespec((enum wasi_fs_time)access->tag, access->timestamp.seconds, access->timestamp.nanoseconds, &out[0]);
    return e ? e
             : wasi_fs_timespec((enum wasi_fs_time)modification->tag, modification->timestamp.seconds,
                                modification->timestamp.nanoseconds, &out[1]);
}

enum abi_trap
wasi3_filesystem_types_descriptor_set_times(struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
                                            const struct wasi3_filesystem_types_new_timestamp *data_access_timestamp,
                                            const struct wasi3_filesystem_types_new_timestamp *data_modification_timestamp,
                                            wasi_p3_fs_result *result) {
    struct timespec times[2];
    int e = timespecs_of(data_access_timestamp, data_modification_timestamp, times);
    END(e ? e : wasi_fs_desc_set_times(&self->d, times));
}
enum abi_trap wasi3_filesystem_types_descriptor_set_times_at(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self, wasi3_filesystem_types_path_flags path_flags,
    str path, const struct wasi3_filesystem_types_new_timestamp *data_access_timestamp,
    const struct wasi3_filesystem_types_new_timestamp *data_modification_timestamp, wasi_p3_fs_result *result) {
    struct timespec times[2];
    int e = timespecs_of(data_access_timestamp, data_modification_timestamp, times);
    END(e ? e : wasi_fs_desc_set_times_at(&self->d, path_flags, path, times));
}

enum abi_trap wasi3_filesystem_types_descriptor_set_size(struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
                                                         wasi3_filesystem_types_filesize size, wasi_p3_fs_result *result) {
    struct wasi_fs_task t;
    return run_task(call, wasi_fs_desc_resize(&self->d, size, &t), &t, result);
}
enum abi_trap wasi3_filesystem_types_descriptor_advise(struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
                                                       wasi3_filesystem_types_filesize offset,
                                                       wasi3_filesystem_types_filesize length,
                                                       enum wasi3_filesystem_types_advice advice, wasi_p3_fs_result *result) {
    END(wasi_fs_desc_advise(&self->d, offset, length, advice));
}
enum abi_trap wasi3_filesystem_types_descriptor_sync_data(struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
                                                          wasi_p3_fs_result *result) {
    struct wasi_fs_task t;
    return run_task(call, wasi_fs_desc_sync(&self->d, true, &t), &t, result);
}
enum abi_trap wasi3_filesystem_types_descriptor_sync(struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
                                                     wasi_p3_fs_result *result) {
    struct wasi_fs_task t;
    return run_task(call, wasi_fs_desc_sync(&self->d, false, &t), &t, result);
}

/* ---- paths ---- */

enum abi_trap wasi3_filesystem_types_descriptor_create_directory_at(struct host_call *call,
                                                                    struct wasi3_filesystem_types_descriptor *self, str path,
                                                                    wasi_p3_fs_result *result) {
    END(wasi_fs_desc_mkdir(&self->d, path));
}
enum abi_trap wasi3_filesystem_types_descriptor_remove_directory_at(struct host_call *call,
                                                                    struct wasi3_filesystem_types_descriptor *self, str path,
                                                                    wasi_p3_fs_result *result) {
    END(wasi_fs_desc_rmdir(&self->d, path));
}
enum abi_trap wasi3_filesystem_types_descriptor_unlink_file_at(struct host_call *call,
                                                               struct wasi3_filesystem_types_descriptor *self, str path,
                                                               wasi_p3_fs_result *result) {
    struct wasi_fs_task t;
    return run_task(call, wasi_fs_desc_unlink(&self->d, path, &t), &t, result);
}
enum abi_trap wasi3_filesystem_types_descriptor_rename_at(struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
                                                          str old_path, struct wasi3_filesystem_types_descriptor *new_descriptor,
                                                          str new_path, wasi_p3_fs_result *result) {
    struct wasi_fs_task t;
    return run_task(call, wasi_fs_desc_rename(&self->d, old_path, &new_descriptor->d, new_path, &t), &t, result);
}
enum abi_trap wasi3_filesystem_types_descriptor_link_at(struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
                                                        wasi3_filesystem_types_path_flags old_path_flags, str old_path,
                                                        struct wasi3_filesystem_types_descriptor *new_descriptor, str new_path,
                                                        wasi_p3_fs_result *result) {
    END(wasi_fs_desc_link(&self->d, old_path_flags, old_path, &new_descriptor->d, new_path));
}
enum abi_trap wasi3_filesystem_types_descriptor_symlink_at(struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
                                                           str old_path, str new_path, wasi_p3_fs_result *result) {
    END(wasi_fs_desc_symlink(&self->d, old_path, new_path));
}

enum abi_trap wasi3_filesystem_types_descriptor_readlink_at(struct host_call *call,
                                                            struct wasi3_filesystem_types_descriptor *self, str path,
                                                            struct wasi_p3_result_string_filesystem_types_error_code *result) {
    size_t n = 0;
    uint8_t *to = host_alloc(call, PATH_MAX, 1);
    if (!to) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for a link's target");
    TRY_FS(wasi_fs_desc_readlink(&self->d, path, to, PATH_MAX, &n));
    result->ok = (str){to, n};
    return ABI_TRAP_NONE;
}

enum abi_trap wasi3_filesystem_types_descriptor_open_at(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self, wasi3_filesystem_types_path_flags path_flags,
    str path, wasi3_filesystem_types_open_flags open_flags, wasi3_filesystem_types_descriptor_flags flags,
    struct wasi_p3_result_filesystem_types_descriptor_filesystem_types_error_code *result) {
    struct wasi_fs_task t;
    APP_OBJECT_NEW(call, d, wasi3_filesystem_types_descriptor, wasi_fs_object_destroy);
    int e = wasi_fs_desc_open(wasi_caller(call), &self->d, path_flags, path, open_flags, flags, &t);
    if (e) {
        app_object_unref(call->instance, d);
        FAIL(e);
    }
    struct op like = {
        .in = call->instance, .opened = result, .d = d, .read_only = self->d.read_only, .open_flags = open_flags, .flags = flags};
    return perform(call, &t, &like);
}
