/* p2: wasi:io: errors, pollables, streams. */
#include "wasi/p2/p2_int.h"
#include "wasi/standard.h"
#include <errno.h>
#include <stdlib.h>

enum { STREAM_BYTES_MAX = 64 << 10 };
enum { WRITE_NS = 1000, POLL_NS = 300 /* what asking a sink or a source costs, about: it may be a system call */ };

/* ---- error ---- */

struct wasi_io_error_error *wasi_p2_error(struct host_instance *in, enum net_error net, int host_errno) {
    struct wasi_io_error_error *e = app_object_new(in, sizeof *e, NULL);
    if (!e) return NULL;
    e->net = net;
    e->host_errno = host_errno;
    e->text = str_c(net ? net_error_text(net) : host_errno ? strerrordesc_np(host_errno) : "closed");
    return e;
}

void wasi_io_error_error_drop(struct host_instance *in, struct wasi_io_error_error *self) { app_object_unref(in, self); }

enum abi_trap wasi_io_error_error_to_debug_string(struct host_call *call, struct wasi_io_error_error *self, str *result) {
    *result = self->text;
    return ABI_TRAP_NONE;
}

/* ---- pollable ---- */

void wasi_p2_wake(void *fiber) { engine_ready(fiber); }

static void pollable_destroy(struct host_instance *in, void *self) {
    app_object_unref(in, ((struct wasi_io_poll_pollable *)self)->object);
}

enum abi_trap wasi_p2_pollable(struct host_call *call, const struct wasi_p2_event *event, void *object,
                               struct wasi_io_poll_pollable **out) {
    APP_OBJECT_NEW(call, p, wasi_io_poll_pollable, pollable_destroy);
    p->event = event;
    p->object = app_object_ref(object);
    *out = p;
    return ABI_TRAP_NONE;
}

void wasi_io_poll_pollable_drop(struct host_instance *in, struct wasi_io_poll_pollable *self) { app_object_unref(in, self); }

enum abi_trap wasi_io_poll_pollable_ready(struct host_call *call, struct wasi_io_poll_pollable *self, bool *result) {
    *result = self->event->ready(self->object);
    return ABI_TRAP_NONE;
}

bool wasi_p2_wait(struct wasi_instance *i, const struct wasi_p2_event *event, void *object) {
    while (!event->ready(object)) {
        event->listen(object, engine_fiber_current(i->base.app->engine));
        bool alive = engine_park(i->base.app->engine);
        event->listen(object, NULL);
        if (!alive) return false;
    }
    return true;
}

enum abi_trap wasi_io_poll_pollable_block(struct host_call *call, struct wasi_io_poll_pollable *self) {
    return wasi_p2_wait(wasi_caller(call), self->event, self->object) ? ABI_TRAP_NONE : ABI_TRAP_INTERRUPTED;
}

/* False: the run was killed. */
static bool collect_ready(struct host_call *call, struct wasi_p2_list_borrow_io_poll_pollable in,
                          struct wasi_p2_list_u32 *ready) {
    ready->n = 0;
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i]->event->ready(in.p[i]->object)) ready->p[ready->n++] = (uint32_t)i;
        if (!host_work(call->instance, POLL_NS)) return false;
    }
    return true;
}

/* What is not listened to any more is all of it, also after a kill. */
static bool listen_to(struct host_call *call, struct wasi_p2_list_borrow_io_poll_pollable in, struct engine_fiber *f) {
    bool alive = true;
    for (size_t i = 0; i < in.n && (alive || !f); i++) {
        in.p[i]->event->listen(in.p[i]->object, f);
        alive &= host_work(call->instance, POLL_NS);
    }
    return alive;
}

enum abi_trap wasi_io_poll_poll(struct host_call *call, struct wasi_p2_list_borrow_io_poll_pollable in,
                                struct wasi_p2_list_u32 *result) {
    struct engine *engine = wasi_caller(call)->base.app->engine;
    if (!in.n) return host_trap(call, ABI_TRAP_HOST, "wasi:io/poll: the list of pollables is empty");
    result->p = host_alloc(call, in.n * sizeof *result->p, _Alignof(uint32_t));
    if (!result->p) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many pollables");
    for (bool alive = true; alive;) {
        if (!collect_ready(call, in, result)) break;
        if (result->n) return ABI_TRAP_NONE;
        alive = listen_to(call, in, engine_fiber_current(engine)) && engine_park(engine);
        alive &= listen_to(call, in, NULL);
    }
    return ABI_TRAP_INTERRUPTED;
}

/* ---- input streams ---- */

static void input_destroy(struct host_instance *in, void *self) {
    struct wasi_io_streams_input_stream *s = self;
    wasi_std_watch_free(s->watch);
    app_object_unref(in, s->origin);
}

enum abi_trap wasi_p2_input_stream(struct host_call *call, const struct wasi_p2_source *source, void *origin,
                                   struct wasi_io_streams_input_stream **out) {
    APP_OBJECT_NEW(call, s, wasi_io_streams_input_stream, input_destroy);
    s->in = call->instance;
    s->source = source;
    s->origin = app_object_ref(origin);
    s->fd = -1;
    s->loop = wasi_caller(call)->base.app->loop;
    *out = s;
    return ABI_TRAP_NONE;
}

void wasi_io_streams_input_stream_drop(struct host_instance *in, struct wasi_io_streams_input_stream *self) {
    app_object_unref(in, self);
}

/* Up to n bytes to p. True with *got, which is 0 when there is nothing yet; else *err. */
static bool take(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got,
                 struct wasi_io_streams_stream_error *err) {
    *got = 0;
    err->tag = WASI_IO_STREAMS_STREAM_ERROR_CLOSED;
    if (s->closed) return false;
    if (!n) return true;
    struct wasi_io_error_error *why = NULL;
    enum net_flow flow = s->source->read(s, p, n, got, &why);
    if (flow == NET_FLOW_DATA || flow == NET_FLOW_WAIT) return true;
    s->closed = true;
    if (flow == NET_FLOW_FAILED && why) {
        err->tag = WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED;
        err->last_operation_failed = why;
    }
    return false;
}

static bool input_ready(void *object) {
    struct wasi_io_streams_input_stream *s = object;
    return s->closed || s->source->event.ready(s);
}
static void input_listen(void *object, struct engine_fiber *f) {
    struct wasi_io_streams_input_stream *s = object;
    if (!s->closed || !f) s->source->event.listen(s, f);
}
static const struct wasi_p2_event input_event = {input_ready, input_listen};

static enum abi_trap read_stream(struct host_call *call, struct wasi_io_streams_input_stream *s, uint64_t len, bool block,
                                 struct wasi_p2_result_list_u8_io_streams_stream_error *result) {
    size_t n = MIN(len, (uint64_t)STREAM_BYTES_MAX), got;
    if (block && n && !wasi_p2_wait(wasi_caller(call), &input_event, s)) return ABI_TRAP_INTERRUPTED;
    uint8_t *p = host_alloc(call, n, 1);
    if (!p && n) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory for the bytes read");
    result->is_err = !take(s, p, n, &got, &result->err);
    if (!result->is_err) result->ok = (str){p, got};
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_io_streams_input_stream_read(struct host_call *call, struct wasi_io_streams_input_stream *self, uint64_t len,
                                                struct wasi_p2_result_list_u8_io_streams_stream_error *result) {
    return read_stream(call, self, len, false, result);
}
enum abi_trap wasi_io_streams_input_stream_blocking_read(struct host_call *call, struct wasi_io_streams_input_stream *self,
                                                         uint64_t len,
                                                         struct wasi_p2_result_list_u8_io_streams_stream_error *result) {
    return read_stream(call, self, len, true, result);
}

static enum abi_trap skip_stream(struct host_call *call, struct wasi_io_streams_input_stream *s, uint64_t len, bool block,
                                 struct wasi_p2_result_u64_io_streams_stream_error *result) {
    uint8_t scratch[4096];
    size_t got;
    if (block && len && !wasi_p2_wait(wasi_caller(call), &input_event, s)) return ABI_TRAP_INTERRUPTED;
    result->is_err = !take(s, scratch, MIN(len, sizeof scratch), &got, &result->err);
    if (!result->is_err) result->ok = got;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_io_streams_input_stream_skip(struct host_call *call, struct wasi_io_streams_input_stream *self, uint64_t len,
                                                struct wasi_p2_result_u64_io_streams_stream_error *result) {
    return skip_stream(call, self, len, false, result);
}
enum abi_trap wasi_io_streams_input_stream_blocking_skip(struct host_call *call, struct wasi_io_streams_input_stream *self,
                                                         uint64_t len,
                                                         struct wasi_p2_result_u64_io_streams_stream_error *result) {
    return skip_stream(call, self, len, true, result);
}
enum abi_trap wasi_io_streams_input_stream_subscribe(struct host_call *call, struct wasi_io_streams_input_stream *self,
                                                     struct wasi_io_poll_pollable **result) {
    return wasi_p2_pollable(call, &input_event, self, result);
}

/* A body that arrives. */
static enum net_flow body_read(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got,
                               struct wasi_io_error_error **e) {
    enum net_flow flow = net_source_read(s->body, p, n, got);
    if (flow == NET_FLOW_FAILED) *e = wasi_p2_error(s->in, net_source_error(s->body), 0);
    return flow;
}
static bool body_ready(void *object) {
    str data;
    return net_source_peek(((struct wasi_io_streams_input_stream *)object)->body, &data) != NET_FLOW_WAIT;
}
static void body_listen(void *object, struct engine_fiber *f) {
    net_source_notify(((struct wasi_io_streams_input_stream *)object)->body, f ? wasi_p2_wake : NULL, f);
}
const struct wasi_p2_source wasi_p2_source_body = {body_read, {body_ready, body_listen}};

/* A descriptor that may have nothing yet: a pipe, a terminal. */
static enum net_flow fd_read(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got,
                             struct wasi_io_error_error **e) {
    int error = wasi_std_read(s->fd, p, n, got);
    if (error == EAGAIN) return NET_FLOW_WAIT;
    if (error) *e = wasi_p2_error(s->in, NET_OK, error);
    return error ? NET_FLOW_FAILED : *got ? NET_FLOW_DATA : NET_FLOW_END;
}
static bool fd_ready(void *object) { return wasi_std_ready(((struct wasi_io_streams_input_stream *)object)->fd, NET_READABLE); }
static void fd_listen(void *object, struct engine_fiber *f) {
    struct wasi_io_streams_input_stream *s = object;
    wasi_std_watch_free(s->watch);
    s->watch = f ? wasi_std_watch_new(s->loop, s->fd, NET_READABLE, wasi_p2_wake, f) : NULL;
}
const struct wasi_p2_source wasi_p2_source_fd = {fd_read, {fd_ready, fd_listen}};

static enum net_flow nothing_read(struct wasi_io_streams_input_stream *s, void *p, size_t n, size_t *got,
                                  struct wasi_io_error_error **e) {
    return NET_FLOW_END;
}
static bool always_ready(void *object) { return true; }
static void never_listen(void *object, struct engine_fiber *f) {}
const struct wasi_p2_source wasi_p2_source_empty = {nothing_read, {always_ready, never_listen}};

/* ---- output streams ---- */

static void output_destroy(struct host_instance *in, void *self) {
    app_object_unref(in, ((struct wasi_io_streams_output_stream *)self)->origin);
}

enum abi_trap wasi_p2_output_stream(struct host_call *call, const struct wasi_p2_sink *sink, void *origin,
                                    struct wasi_io_streams_output_stream **out) {
    APP_OBJECT_NEW(call, s, wasi_io_streams_output_stream, output_destroy);
    s->in = call->instance;
    s->sink = sink;
    s->origin = app_object_ref(origin);
    *out = s;
    return ABI_TRAP_NONE;
}

void wasi_io_streams_output_stream_drop(struct host_instance *in, struct wasi_io_streams_output_stream *self) {
    app_object_unref(in, self);
}

static bool output_ready(void *object) {
    struct wasi_io_streams_output_stream *s = object;
    struct wasi_io_error_error *e = NULL;
    if (s->closed || s->sink->room(s)) return true;
    enum wasi_p2_state state = s->sink->state(s, &e);
    app_object_unref(s->in, e);
    return state != P2_OPEN;
}
static void output_listen(void *object, struct engine_fiber *f) {
    struct wasi_io_streams_output_stream *s = object;
    s->sink->event.listen(s, f);
}
static const struct wasi_p2_event output_event = {output_ready, output_listen};

/* Closes the stream for the guest; *err says how. */
static void fail(struct wasi_io_streams_output_stream *s, struct wasi_io_error_error *why,
                 struct wasi_io_streams_stream_error *err) {
    s->closed = true;
    err->tag = why ? WASI_IO_STREAMS_STREAM_ERROR_LAST_OPERATION_FAILED : WASI_IO_STREAMS_STREAM_ERROR_CLOSED;
    err->last_operation_failed = why;
}

/* What may be written now; false: *err. */
static bool check(struct wasi_io_streams_output_stream *s, uint64_t *room, struct wasi_io_streams_stream_error *err) {
    struct wasi_io_error_error *why = NULL;
    *room = 0;
    if (s->closed || s->sink->state(s, &why) != P2_OPEN) {
        fail(s, why, err);
        return false;
    }
    *room = s->permit = MIN(s->sink->room(s), (size_t)STREAM_BYTES_MAX);
    return true;
}

static bool put(struct wasi_io_streams_output_stream *s, str bytes, struct wasi_io_streams_stream_error *err) {
    struct wasi_io_error_error *why = NULL;
    if (s->closed || (bytes.n && !s->sink->write(s, bytes, &why))) {
        fail(s, why, err);
        return false;
    }
    s->permit -= bytes.n;
    return true;
}

enum abi_trap wasi_io_streams_output_stream_check_write(struct host_call *call, struct wasi_io_streams_output_stream *self,
                                                        struct wasi_p2_result_u64_io_streams_stream_error *result) {
    uint64_t room;
    result->is_err = !check(self, &room, &result->err);
    if (!result->is_err) result->ok = room;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_io_streams_output_stream_write(struct host_call *call, struct wasi_io_streams_output_stream *self,
                                                  str contents, struct wasi_p2_result_void_io_streams_stream_error *result) {
    if (!self->closed && contents.n > self->permit)
        return host_trap(call, ABI_TRAP_HOST, "wasi:io/streams: %zu bytes written where check-write permitted %llu", contents.n,
                         (unsigned long long)self->permit);
    result->is_err = !put(self, contents, &result->err);
    return ABI_TRAP_NONE;
}

/* All of `bytes` (or, with p NULL, that many zeroes), waiting for room as needed. */
static enum abi_trap write_all(struct host_call *call, struct wasi_io_streams_output_stream *s, str bytes,
                               struct wasi_p2_result_void_io_streams_stream_error *result) {
    static const uint8_t zeroes[4096];
    while (bytes.n) {
        uint64_t room;
        if (!wasi_p2_wait(wasi_caller(call), &output_event, s)) return ABI_TRAP_INTERRUPTED;
        if ((result->is_err = !check(s, &room, &result->err))) return ABI_TRAP_NONE;
        str piece = bytes.p ? str_sub(bytes, 0, room) : (str){zeroes, MIN(MIN(bytes.n, room), sizeof zeroes)};
        if ((result->is_err = !put(s, piece, &result->err))) return ABI_TRAP_NONE;
        bytes = (str){bytes.p ? bytes.p + piece.n : NULL, bytes.n - piece.n};
        if (!host_work(call->instance, WRITE_NS + piece.n)) return ABI_TRAP_INTERRUPTED;
    }
    return ABI_TRAP_NONE;
}

static enum abi_trap flush(struct wasi_io_streams_output_stream *s, struct wasi_p2_result_void_io_streams_stream_error *result) {
    uint64_t room;
    if (!result->is_err) result->is_err = !check(s, &room, &result->err);
    return ABI_TRAP_NONE; /* what was taken is on its way: there is nothing that only a flush would send */
}

enum abi_trap wasi_io_streams_output_stream_blocking_write_and_flush(struct host_call *call,
                                                                     struct wasi_io_streams_output_stream *self, str contents,
                                                                     struct wasi_p2_result_void_io_streams_stream_error *result) {
    enum abi_trap t = write_all(call, self, contents, result);
    return t ? t : flush(self, result);
}
enum abi_trap wasi_io_streams_output_stream_flush(struct host_call *call, struct wasi_io_streams_output_stream *self,
                                                  struct wasi_p2_result_void_io_streams_stream_error *result) {
    return flush(self, result);
}
enum abi_trap wasi_io_streams_output_stream_blocking_flush(struct host_call *call, struct wasi_io_streams_output_stream *self,
                                                           struct wasi_p2_result_void_io_streams_stream_error *result) {
    return flush(self, result);
}
enum abi_trap wasi_io_streams_output_stream_subscribe(struct host_call *call, struct wasi_io_streams_output_stream *self,
                                                      struct wasi_io_poll_pollable **result) {
    return wasi_p2_pollable(call, &output_event, self, result);
}
enum abi_trap wasi_io_streams_output_stream_write_zeroes(struct host_call *call, struct wasi_io_streams_output_stream *self,
                                                         uint64_t len,
                                                         struct wasi_p2_result_void_io_streams_stream_error *result) {
    if (!self->closed && len > self->permit)
        return host_trap(call, ABI_TRAP_HOST, "wasi:io/streams: %llu zeroes written where check-write permitted %llu",
                         (unsigned long long)len, (unsigned long long)self->permit);
    return write_all(call, self, (str){NULL, len}, result);
}
enum abi_trap
wasi_io_streams_output_stream_blocking_write_zeroes_and_flush(struct host_call *call, struct wasi_io_streams_output_stream *self,
                                                              uint64_t len,
                                                              struct wasi_p2_result_void_io_streams_stream_error *result) {
    enum abi_trap t = write_all(call, self, (str){NULL, len}, result);
    return t ? t : flush(self, result);
}

static enum abi_trap splice_streams(struct host_call *call, struct wasi_io_streams_output_stream *s,
                                    struct wasi_io_streams_input_stream *src, uint64_t len, bool block,
                                    struct wasi_p2_result_u64_io_streams_stream_error *result) {
    uint8_t *p = host_alloc(call, STREAM_BYTES_MAX, 1);
    uint64_t room;
    size_t got;
    if (!p) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "no memory to splice through");
    if (block && len &&
        (!wasi_p2_wait(wasi_caller(call), &output_event, s) || !wasi_p2_wait(wasi_caller(call), &input_event, src)))
        return ABI_TRAP_INTERRUPTED;
    if ((result->is_err = !check(s, &room, &result->err))) return ABI_TRAP_NONE;
    if ((result->is_err = !take(src, p, MIN(len, room), &got, &result->err))) return ABI_TRAP_NONE;
    result->is_err = !put(s, (str){p, got}, &result->err);
    if (!result->is_err) result->ok = got;
    return ABI_TRAP_NONE;
}

enum abi_trap wasi_io_streams_output_stream_splice(struct host_call *call, struct wasi_io_streams_output_stream *self,
                                                   struct wasi_io_streams_input_stream *src, uint64_t len,
                                                   struct wasi_p2_result_u64_io_streams_stream_error *result) {
    return splice_streams(call, self, src, len, false, result);
}
enum abi_trap wasi_io_streams_output_stream_blocking_splice(struct host_call *call, struct wasi_io_streams_output_stream *self,
                                                            struct wasi_io_streams_input_stream *src, uint64_t len,
                                                            struct wasi_p2_result_u64_io_streams_stream_error *result) {
    return splice_streams(call, self, src, len, true, result);
}
