/* p2: wasi:filesystem: the bytes of files, at an offset and as streams. See p2_fs.h.
 *
 * Files are read and written in place: they are ready at once, as a disk's page cache is. Long transfers go in slices, and
 * others have a turn between them.
 */
#include "wasi/p2_fs.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

enum { SLICE_BYTES = 1 << 20, STREAM_BYTES = 64 << 10 };

#define FLAG(name) WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_##name

/* 0, or why d has no bytes to read (or write). */
static int may(const struct wasi_filesystem_types_descriptor *d, wasi_filesystem_types_descriptor_flags how) {
    return d->type == WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_DIRECTORY ? EISDIR
           : d->flags & how                                           ? 0
           : how == FLAG(WRITE) && d->read_only                       ? EROFS
                                                                      : EBADF;
}

static int read_at(int fd, void *p, size_t n, uint64_t offset, size_t *got) {
    *got = 0;
    if (offset > INT64_MAX) return EINVAL;
    ssize_t r = pread(fd, p, MIN(n, (size_t)SLICE_BYTES), (off_t)offset);
    if (r > 0) *got = (size_t)r;
    return r < 0 ? errno : 0;
}

/* At offset, or at the file's end. *wrote may be less than bytes on an error. */
static int write_at(struct wasi_run *run, int fd, str bytes, uint64_t offset, bool append, size_t *wrote) {
    *wrote = 0;
    if (!append && offset > INT64_MAX - bytes.n) return EFBIG;
    while (*wrote < bytes.n) {
        struct iovec v = {(void *)(uintptr_t)(bytes.p + *wrote), MIN(bytes.n - *wrote, (size_t)SLICE_BYTES)};
        ssize_t r = append ? pwritev2(fd, &v, 1, 0, RWF_APPEND) : pwrite(fd, v.iov_base, v.iov_len, (off_t)(offset + *wrote));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return errno;
        if (!r) return ENOSPC;
        *wrote += (size_t)r;
        if (*wrote < bytes.n) engine_yield(run->app->engine);
    }
    return 0;
}

/* ---- at an offset ---- */

enum abi_trap
wasi_filesystem_types_descriptor_read(struct host_call *call, struct wasi_filesystem_types_descriptor *self, uint64_t length,
                                      uint64_t offset,
                                      struct wasi_p2_result_tuple2_list_u8_bool_filesystem_types_error_code *result) {
    size_t n = MIN(length, (uint64_t)SLICE_BYTES), got;
    P2_FS_TRY(may(self, FLAG(READ)));
    uint8_t *p = host_alloc(call, n + 1, 1);
    if (!p) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the bytes read");
    P2_FS_TRY(read_at(self->fd, p, n, offset, &got));
    result->ok.f0 = (str){p, got};
    result->ok.f1 = n && !got; /* the end */
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_write(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                     str buffer, uint64_t offset,
                                                     struct wasi_p2_result_u64_filesystem_types_error_code *result) {
    size_t wrote;
    P2_FS_TRY(may(self, FLAG(WRITE)));
    int e = write_at(p2_run(call), self->fd, buffer, offset, false, &wrote);
    if (e && !wrote) P2_FS_FAIL(e);
    result->ok = wrote;
    return ABI_TRAP_NONE;
}

/* ---- streams ---- */

static bool always_ready(void *object) { return true; }
static void never_listen(void *object, struct engine_fiber *f) {}

static enum net_flow file_read(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got,
                               struct wasi_io_error_error **why) {
    int e = read_at(s->fd, p, n, s->offset, got);
    if (e == EAGAIN) return NET_FLOW_WAIT; /* a FIFO, a device */
    if (e) *why = p2_error(s->in, NET_OK, e);
    s->offset += *got;
    return e ? NET_FLOW_FAILED : *got ? NET_FLOW_DATA : NET_FLOW_END;
}
static const struct p2_source source_file = {file_read, {always_ready, never_listen}};

enum abi_trap wasi_filesystem_types_descriptor_read_via_stream(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self, uint64_t offset,
    struct wasi_p2_result_io_streams_input_stream_filesystem_types_error_code *result) {
    P2_FS_TRY(may(self, FLAG(READ)));
    enum abi_trap t = p2_input_stream(call, &source_file, self, &result->ok);
    if (t) return t;
    result->ok->fd = self->fd;
    result->ok->offset = offset;
    return ABI_TRAP_NONE;
}

static size_t file_room(struct wasi_io_streams_output_stream *s) { return STREAM_BYTES; }
static bool file_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **why) {
    size_t wrote;
    int e = write_at(host_instance_user(s->in), s->fd, bytes, s->offset, s->append, &wrote);
    s->offset += wrote;
    if (e) *why = p2_error(s->in, NET_OK, e);
    return !e;
}
static enum p2_state file_state(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error **why) { return P2_OPEN; }
static const struct p2_sink sink_file = {file_room, file_write, file_state, {always_ready, never_listen}};

static enum abi_trap write_stream(struct host_call *call, struct wasi_filesystem_types_descriptor *self, uint64_t offset,
                                  bool append,
                                  struct wasi_p2_result_io_streams_output_stream_filesystem_types_error_code *result) {
    P2_FS_TRY(may(self, FLAG(WRITE)));
    enum abi_trap t = p2_output_stream(call, &sink_file, self, &result->ok);
    if (t) return t;
    result->ok->fd = self->fd;
    result->ok->offset = offset;
    result->ok->append = append;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_write_via_stream(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self, uint64_t offset,
    struct wasi_p2_result_io_streams_output_stream_filesystem_types_error_code *result) {
    return write_stream(call, self, offset, false, result);
}
enum abi_trap wasi_filesystem_types_descriptor_append_via_stream(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self,
    struct wasi_p2_result_io_streams_output_stream_filesystem_types_error_code *result) {
    return write_stream(call, self, 0, true, result);
}

/* ---- advice and durability ---- */

enum abi_trap wasi_filesystem_types_descriptor_advise(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                      uint64_t offset, uint64_t length, enum wasi_filesystem_types_advice advice,
                                                      struct wasi_p2_result_void_filesystem_types_error_code *result) {
    static const int host[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                               POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
    if (self->type == WASI_FILESYSTEM_TYPES_DESCRIPTOR_TYPE_DIRECTORY) P2_FS_FAIL(EBADF);
    if (offset > INT64_MAX || length > INT64_MAX) P2_FS_FAIL(EINVAL);
    P2_FS_END(posix_fadvise(self->fd, (off_t)offset, (off_t)length, host[advice]));
}

enum abi_trap wasi_filesystem_types_descriptor_sync_data(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                         struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_END(fdatasync(self->fd) < 0 ? errno : 0);
}
enum abi_trap wasi_filesystem_types_descriptor_sync(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                    struct wasi_p2_result_void_filesystem_types_error_code *result) {
    P2_FS_END(fsync(self->fd) < 0 ? errno : 0);
}
