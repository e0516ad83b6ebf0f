/* p2: wasi:filesystem: the bytes of files, at an offset and as streams. See fs/file.h for what waits for a disk.
 */
#include "wasi/p2/fs.h"
#include <errno.h>

enum { STREAM_BYTES = 64 << 10 };

static_assert((int)FS_D_WRITE == WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_WRITE &&
              (int)FS_D_MUTATE == WASI_FILESYSTEM_TYPES_DESCRIPTOR_FLAGS_MUTATE_DIRECTORY &&
              (int)FS_O_TRUNCATE == WASI_FILESYSTEM_TYPES_OPEN_FLAGS_TRUNCATE);

/* ---- at an offset ---- */

enum abi_trap
wasi_filesystem_types_descriptor_read(struct host_call *call, struct wasi_filesystem_types_descriptor *self, uint64_t length,
                                      uint64_t offset,
                                      struct wasi_p2_result_tuple2_list_u8_bool_filesystem_types_error_code *result) {
    struct iovec v = {NULL, MIN(length, (uint64_t)FS_SLICE_BYTES)};
    struct wasi_fs_task t;
    v.iov_base = host_alloc(call, v.iov_len + 1, 1);
    if (!v.iov_base) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the bytes read");
    P2_FS_RUN(call, t, wasi_fs_desc_read(&self->d, offset, &v, &t));
    result->ok.f0 = (str){v.iov_base, t.moved};
    result->ok.f1 = v.iov_len && !t.moved; /* the end */
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_filesystem_types_descriptor_write(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                     str buffer, uint64_t offset,
                                                     struct wasi_p2_result_u64_filesystem_types_error_code *result) {
    struct iovec v = {(void *)(uintptr_t)buffer.p, buffer.n};
    struct wasi_fs_task t;
    P2_FS_TRY(wasi_fs_desc_write(&self->d, offset, false, &v, &t));
    if (!wasi_fs_run_all(wasi_caller(call), &t)) return ABI_TRAP_INTERRUPTED;
    P2_FS_TRY(t.error);
    result->ok = t.moved;
    return ABI_TRAP_NONE;
}

/* ---- streams ---- */

static bool always_ready(void *object) { return true; }
static void never_listen(void *object, struct engine_fiber *f) {}

static struct wasi_fs_desc *desc_of(void *origin) { return &((struct wasi_filesystem_types_descriptor *)origin)->d; }

static enum net_flow file_read(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got,
                               struct wasi_io_error_error **why) {
    struct iovec v = {p, n};
    struct wasi_fs_task t;
    int e = wasi_fs_desc_read(desc_of(s->origin), s->offset, &v, &t);
    if (!e && !wasi_fs_run(wasi_instance_of(s->in), &t)) return NET_FLOW_WAIT; /* killed: nobody looks */
    if (!e) e = t.error;
    if (e == EAGAIN) return NET_FLOW_WAIT; /* a device */
    if (e) *why = wasi_p2_error(s->in, NET_OK, e);
    *got = e ? 0 : t.moved;
    s->offset += *got;
    return e ? NET_FLOW_FAILED : *got ? NET_FLOW_DATA : NET_FLOW_END;
}
static const struct wasi_p2_source source_file = {file_read, {always_ready, never_listen}};

enum abi_trap wasi_filesystem_types_descriptor_read_via_stream(
    struct host_call *call, struct wasi_filesystem_types_descriptor *self, uint64_t offset,
    struct wasi_p2_result_io_streams_input_stream_filesystem_types_error_code *result) {
    P2_FS_TRY(wasi_fs_desc_may(&self->d, FS_D_READ));
    enum abi_trap t = wasi_p2_input_stream(call, &source_file, self, &result->ok);
    if (t) return t;
    result->ok->offset = offset;
    return ABI_TRAP_NONE;
}

static size_t file_room(struct wasi_io_streams_output_stream *s) { return STREAM_BYTES; }
static bool file_write(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_error_error **why) {
    struct iovec v = {(void *)(uintptr_t)bytes.p, bytes.n};
    struct wasi_fs_task t;
    int e = wasi_fs_desc_write(desc_of(s->origin), s->offset, s->append, &v, &t);
    if (!e && !wasi_fs_run_all(wasi_instance_of(s->in), &t)) return false;
    if (!e) e = t.error ? t.error : t.moved < bytes.n ? EIO : 0;
    s->offset += e ? 0 : t.moved;
    if (e) *why = wasi_p2_error(s->in, NET_OK, e);
    return !e;
}
static enum wasi_p2_state file_state(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error **why) {
    return P2_OPEN;
}
static const struct wasi_p2_sink sink_file = {file_room, file_write, file_state, {always_ready, never_listen}};

static enum abi_trap write_stream(struct host_call *call, struct wasi_filesystem_types_descriptor *self, uint64_t offset,
                                  bool append,
                                  struct wasi_p2_result_io_streams_output_stream_filesystem_types_error_code *result) {
    P2_FS_TRY(wasi_fs_desc_may(&self->d, FS_D_WRITE));
    enum abi_trap t = wasi_p2_output_stream(call, &sink_file, self, &result->ok);
    if (t) return t;
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
    P2_FS_END(wasi_fs_desc_advise(&self->d, offset, length, advice));
}

enum abi_trap wasi_filesystem_types_descriptor_sync_data(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                         struct wasi_p2_result_void_filesystem_types_error_code *result) {
    struct wasi_fs_task t;
    P2_FS_RUN(call, t, wasi_fs_desc_sync(&self->d, true, &t));
    return ABI_TRAP_NONE;
}
enum abi_trap wasi_filesystem_types_descriptor_sync(struct host_call *call, struct wasi_filesystem_types_descriptor *self,
                                                    struct wasi_p2_result_void_filesystem_types_error_code *result) {
    struct wasi_fs_task t;
    P2_FS_RUN(call, t, wasi_fs_desc_sync(&self->d, false, &t));
    return ABI_TRAP_NONE;
}
