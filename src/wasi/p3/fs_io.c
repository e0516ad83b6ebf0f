/* p3: wasi:filesystem: the bytes of files and the entries of directories, as streams.
 *
 * 1. A stream keeps its descriptor, so that its file counts for as long.
 * 2. One transfer at a time: while a thread is at work, the guest's end waits.
 */
#include "wasi/p3/fs.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>

enum { CHUNK_BYTES = 64 << 10 };

static enum abi_trap no_memory(struct host_call *call) {
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for another stream of a file");
}

/* The readable end of a stream that has ended with e, and the future that says so. */
static enum abi_trap ended(struct host_call *call, const struct wasi_p3_feed_ops *ops, int e, struct host_stream **s,
                           struct host_future **f) {
    struct wasi_p3_promise *promise;
    struct wasi_p3_feed *feed;
    *f = wasi_p3_promise_new(call->instance, sizeof(wasi_p3_fs_result), &promise);
    if (!*f) return no_memory(call);
    *s = wasi_p3_feed_new(call->instance, ops, NULL, &feed);
    if (!*s) {
        wasi_p3_promise_abandon(promise);
        host_future_close(*f);
        return no_memory(call);
    }
    wasi_p3_feed_stop(feed);
    wasi_p3_fs_result r = wasi_p3_fs_result_of(e);
    wasi_p3_promise_keep(promise, &r, NULL);
    return ABI_TRAP_NONE;
}

/* ---- reading ---- */

struct reader {
    struct host_instance *in;
    struct wasi3_filesystem_types_descriptor *d; /* referenced */
    struct wasi_p3_feed *feed;
    struct wasi_p3_promise *promise;
    struct wasi_fs_job *job; /* under way */
    uint64_t offset;         /* of bytes[at] */
    size_t at, n;
    bool ahead; /* nobody had asked for these bytes: read them again, they may have changed */
    bool end;
    int error;
    uint8_t *bytes; /* CHUNK_BYTES, from the first read on; charged */
};

static bool reader_has_bytes(struct reader *r) {
    if (r->bytes) return true;
    if (!host_charge(r->in, CHUNK_BYTES)) return false;
    r->bytes = malloc(CHUNK_BYTES);
    ENSURE(r->bytes);
    return true;
}

static void reader_filled(struct reader *r, int error, size_t n) {
    r->at = 0;
    r->n = n;
    r->error = error;
    r->end = !error && !n;
}

static void reader_done(void *arg, struct wasi_fs_task *t) {
    struct reader *r = arg;
    str got = wasi_fs_job_bytes(r->job);
    r->job = NULL;
    reader_filled(r, t->error, t->error ? 0 : got.n);
    if (r->n) memcpy(r->bytes, got.p, r->n);
    wasi_p3_feed_wake(r->feed);
}

static enum net_flow reader_fill(struct reader *r, size_t want) {
    struct wasi_fs_task t;
    int e = reader_has_bytes(r) ? 0 : ENOMEM;
    struct iovec v = {r->bytes, want ? MIN(want, (size_t)CHUNK_BYTES) : CHUNK_BYTES};
    if (!e) e = wasi_fs_desc_read(&r->d->d, r->offset, &v, &t);
    r->ahead = !want;
    if (!e && !wasi_fs_try(&t)) {
        r->job = wasi_fs_defer(app_instance_of(r->in)->app->loop, r->in, &t, reader_done, r);
        if (r->job) return NET_FLOW_WAIT;
        e = ENOMEM;
    }
    if (!e) e = t.error;
    reader_filled(r, e, e ? 0 : t.moved);
    return r->error ? NET_FLOW_FAILED : r->end ? NET_FLOW_END : NET_FLOW_DATA;
}

static enum net_flow reader_peek(void *arg, size_t want, const void **p, size_t *n) {
    struct reader *r = arg;
    if (r->job) return NET_FLOW_WAIT;
    if (r->error) return NET_FLOW_FAILED;
    if (r->end) return NET_FLOW_END;
    enum net_flow flow = r->at == r->n || (r->ahead && want) ? reader_fill(r, want) : NET_FLOW_DATA;
    *p = r->bytes + r->at;
    *n = r->n - r->at;
    return flow;
}

static void reader_consume(void *arg, size_t n) {
    struct reader *r = arg;
    r->at += n;
    r->offset += n;
}

static void reader_free(struct reader *r) {
    if (r->job) wasi_fs_job_abandon(r->job);
    app_object_unref(r->in, r->d);
    if (r->bytes) host_uncharge(r->in, CHUNK_BYTES);
    host_uncharge(r->in, sizeof *r);
    free(r->bytes);
    free(r);
}

static void reader_over(void *arg) {
    struct reader *r = arg;
    struct wasi_p3_promise *promise = r->promise;
    wasi_p3_fs_result result = wasi_p3_fs_result_of(r->error);
    reader_free(r);
    wasi_p3_promise_keep(promise, &result, NULL);
}

static const struct wasi_p3_feed_ops reader_ops = {reader_peek, reader_consume, reader_over};

enum abi_trap wasi3_filesystem_types_descriptor_read_via_stream(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self, wasi3_filesystem_types_filesize offset,
    struct wasi_p3_tuple2_stream_u8_future_result_void_filesystem_types_error_code *result) {
    int e = wasi_fs_desc_may(&self->d, FS_D_READ);
    if (e) return ended(call, &reader_ops, e, &result->f0, &result->f1);
    if (!host_charge(call->instance, sizeof(struct reader))) return no_memory(call);
    struct reader *r = malloc(sizeof *r);
    ENSURE(r);
    *r = (struct reader){.in = call->instance, .d = app_object_ref(self), .offset = offset};
    result->f1 = wasi_p3_promise_new(r->in, sizeof(wasi_p3_fs_result), &r->promise);
    result->f0 = result->f1 ? wasi_p3_feed_new(r->in, &reader_ops, r, &r->feed) : NULL;
    if (result->f0) return ABI_TRAP_NONE;
    if (result->f1) {
        wasi_p3_promise_abandon(r->promise);
        host_future_close(result->f1);
    }
    reader_free(r);
    return no_memory(call);
}

/* ---- writing ---- */

struct writer {
    struct app_late late; /* once the stream has ended and a job is under way */
    struct host_instance *in;
    struct wasi3_filesystem_types_descriptor *d; /* referenced */
    struct wasi_p3_drain *drain;                 /* NULL: the stream has ended */
    struct wasi_p3_promise *promise;
    struct wasi_fs_job *job; /* under way, of job_bytes */
    size_t job_bytes;
    uint64_t offset;
    bool append;
};

/* The writer is finished with. */
static void writer_end(struct writer *w, int error) {
    struct wasi_p3_promise *promise = w->promise;
    wasi_p3_fs_result result = wasi_p3_fs_result_of(error);
    if (w->drain) wasi_p3_drain_stop(w->drain);
    if (w->job) wasi_fs_job_abandon(w->job);
    app_object_unref(w->in, w->d);
    host_uncharge(w->in, sizeof *w);
    free(w);
    if (promise) wasi_p3_promise_keep(promise, &result, NULL);
}

static void writer_done(void *arg, struct wasi_fs_task *t) {
    struct writer *w = arg;
    int error = t->error ? t->error : t->moved < w->job_bytes ? EIO : 0;
    w->job = NULL;
    w->offset += t->moved;
    if (!w->drain) app_late_remove(&w->late);
    if (error || !w->drain) writer_end(w, error);
    else wasi_p3_drain_wake(w->drain);
}

static size_t writer_room(void *arg) { return ((struct writer *)arg)->job ? 0 : CHUNK_BYTES; }

static bool writer_write(void *arg, str bytes) {
    struct writer *w = arg;
    while (bytes.n) {
        struct iovec v = {(void *)(uintptr_t)bytes.p, bytes.n};
        struct wasi_fs_task t;
        int e = wasi_fs_desc_write(&w->d->d, w->offset, w->append, &v, &t);
        if (!e && !wasi_fs_try(&t)) {
            w->job_bytes = bytes.n;
            w->job = wasi_fs_defer(app_instance_of(w->in)->app->loop, w->in, &t, writer_done, w);
            if (w->job) return true;
            e = ENOMEM;
        }
        if (!e) e = t.error;
        if (e) {
            w->drain = NULL;
            writer_end(w, e);
            return false;
        }
        w->offset += t.moved;
        bytes = str_sub(bytes, t.moved, bytes.n);
    }
    return true;
}

static void writer_gone(struct app_late *l) { writer_end(container_of(l, struct writer, late), EINTR); }

static void writer_over(void *arg, bool gone) {
    struct writer *w = arg;
    w->drain = NULL;
    if (gone || !w->job) writer_end(w, 0);
    else app_late_add(app_instance_of(w->in), &w->late, writer_gone);
}

static const struct wasi_p3_drain_ops writer_ops = {writer_room, writer_write, writer_over};

static enum abi_trap write_stream(struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
                                  struct host_stream *data, uint64_t offset, bool append, struct host_future **result) {
    int e = wasi_fs_desc_may(&self->d, FS_D_WRITE);
    if (!host_charge(call->instance, sizeof(struct writer))) {
        host_stream_close(data);
        return no_memory(call);
    }
    struct writer *w = malloc(sizeof *w);
    ENSURE(w);
    *w = (struct writer){.in = call->instance, .d = app_object_ref(self), .offset = offset, .append = append};
    *result = wasi_p3_promise_new(w->in, sizeof(wasi_p3_fs_result), &w->promise);
    w->drain = wasi_p3_drain_new(w->in, data, &writer_ops, w); /* which has taken the stream, also when it is NULL */
    if (*result && w->drain) {
        if (e) writer_end(w, e);
        else wasi_p3_drain_wake(w->drain);
        return ABI_TRAP_NONE;
    }
    if (*result) {
        wasi_p3_promise_abandon(w->promise);
        host_future_close(*result);
        w->promise = NULL;
    }
    writer_end(w, 0);
    return no_memory(call);
}

enum abi_trap wasi3_filesystem_types_descriptor_write_via_stream(struct host_call *call,
                                                                 struct wasi3_filesystem_types_descriptor *self,
                                                                 struct host_stream *data, wasi3_filesystem_types_filesize offset,
                                                                 struct host_future **result) {
    return write_stream(call, self, data, offset, false, result);
}
enum abi_trap wasi3_filesystem_types_descriptor_append_via_stream(struct host_call *call,
                                                                  struct wasi3_filesystem_types_descriptor *self,
                                                                  struct host_stream *data, struct host_future **result) {
    return write_stream(call, self, data, 0, true, result);
}

/* ---- reading a directory ---- */

enum { ENTRIES = 16, NAME_BYTES = NAME_MAX + 1 };

struct lister {
    struct host_instance *in;
    struct wasi_fs_dir *dir;
    struct wasi_p3_feed *feed;
    struct wasi_p3_promise *promise;
    uint32_t at, n;
    bool end;
    int error;
    struct wasi3_filesystem_types_directory_entry list[ENTRIES];
    uint8_t names[ENTRIES][NAME_BYTES];
};

static void lister_fill(struct lister *l, size_t want) {
    uint32_t most = want ? (uint32_t)MIN(want, (size_t)ENTRIES) : ENTRIES;
    l->at = l->n = 0;
    while (l->n < most && !l->end && !l->error) {
        struct wasi_fs_entry entry;
        l->error = wasi_fs_entries_next(l->dir, &entry, &l->end);
        if (l->error || l->end) break;
        uint8_t *name = l->names[l->n];
        memcpy(name, entry.name.p, MIN(entry.name.n, (size_t)NAME_BYTES));
        l->list[l->n++] =
            (struct wasi3_filesystem_types_directory_entry){wasi_p3_fs_type((mode_t)DTTOIF(entry.type)), {name, entry.name.n}};
    }
}

static enum net_flow lister_peek(void *arg, size_t want, const void **p, size_t *n) {
    struct lister *l = arg;
    if (l->at == l->n) lister_fill(l, want);
    *p = l->list + l->at;
    *n = l->n - l->at;
    return *n ? NET_FLOW_DATA : l->error ? NET_FLOW_FAILED : NET_FLOW_END;
}

static void lister_consume(void *arg, size_t n) { ((struct lister *)arg)->at += (uint32_t)n; }

static void lister_free(struct lister *l) {
    wasi_fs_entries_close(wasi_instance_of(l->in), l->dir);
    host_uncharge(l->in, sizeof *l);
    free(l);
}

static void lister_over(void *arg) {
    struct lister *l = arg;
    struct wasi_p3_promise *promise = l->promise;
    wasi_p3_fs_result result = wasi_p3_fs_result_of(l->error);
    lister_free(l);
    wasi_p3_promise_keep(promise, &result, NULL);
}

static const struct wasi_p3_feed_ops lister_ops = {lister_peek, lister_consume, lister_over};

enum abi_trap wasi3_filesystem_types_descriptor_read_directory(
    struct host_call *call, struct wasi3_filesystem_types_descriptor *self,
    struct wasi_p3_tuple2_stream_filesystem_types_directory_entry_future_result_void_filesystem_types_error_code *result) {
    if (!host_charge(call->instance, sizeof(struct lister))) return no_memory(call);
    struct lister *l = malloc(sizeof *l);
    ENSURE(l);
    memset(l, 0, offsetof(struct lister, list));
    l->in = call->instance;
    int e = wasi_fs_entries_open(wasi_caller(call), &self->d, &l->dir);
    if (e) {
        lister_free(l);
        return ended(call, &lister_ops, e, &result->f0, &result->f1);
    }
    result->f1 = wasi_p3_promise_new(l->in, sizeof(wasi_p3_fs_result), &l->promise);
    result->f0 = result->f1 ? wasi_p3_feed_new(l->in, &lister_ops, l, &l->feed) : NULL;
    if (result->f0) return ABI_TRAP_NONE;
    if (result->f1) {
        wasi_p3_promise_abandon(l->promise);
        host_future_close(result->f1);
    }
    lister_free(l);
    return no_memory(call);
}
