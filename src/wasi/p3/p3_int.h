/* WASI 0.3 inside the wasi room: what its interfaces share. Bytes, results and values between the host's sources and sinks and
 * a guest's streams and futures.
 *
 *   feed      a host's source  ──> stream<T>        stdin, a file's bytes, a socket's, a body that arrives; directory entries
 *   drain     stream<u8>       ──> a host's sink    stdout, a file, a socket, a body that leaves
 *   promise   a host's result  ──> future<T>        how either ended
 *   await     future<T>        ──> a host's callback
 *
 * A read-via-stream in a few lines:
 *
 *   result->f1 = wasi_p3_promise_new(call->instance, sizeof(struct wasi_p3_result_…), &file->promise);
 *   result->f0 = result->f1 ? wasi_p3_feed_new(call->instance, &file_feed, file, &file->feed) : NULL;
 *   if (!result->f0) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, …);        // and undo: wasi_p3_promise_abandon, host_future_close
 *   return ABI_TRAP_NONE;
 *   …
 *   static void file_over(void *arg) { wasi_p3_promise_keep(file->promise, &file->result, NULL); free(file); }
 *
 * 1. Callbacks (`over`, fn) come by themselves, never from inside of a call made here (host.h, 7): by then what they are called for is
 *    freed. peek, consume, room and write only answer: they do not stop what asks them (an assertion), but everything else.
 * 2. Nothing is buffered: a guest that does not read stops the source, a full sink stops the guest that writes.
 * 3. When the instance is gone (it trapped, or is released), feeds and drains are over, awaits get no value, promises are void.
 *    So every `over` comes exactly once, unless the owner stops the thing itself; afterwards it is freed.
 * 4. Each is charged to the instance.
 */
#ifndef ORLO_WASI_P3_INT_H
#define ORLO_WASI_P3_INT_H

#include "wasi/wasi_int.h"
#include "wasi_p3.h"

/* ---- feed ---- */

struct wasi_p3_feed;
struct wasi_p3_feed_ops {
    /* What is there now: *n elements in host layout (bytes, of a stream<u8>) at *p, which stay until the next peek or consume.
     * want: how many the guest asks for at the moment (0: unknown). WAIT: the owner calls wasi_p3_feed_wake when that changes.
     * END and FAILED: the stream ends here (`over` follows); whoever said so may be asked again, and says it again. */
    enum net_flow (*peek)(void *arg, size_t want, const void **p, size_t *n);
    /* The guest has n elements of what peek showed; owned values in them are its own now. */
    void (*consume)(void *arg, size_t n);
    /* The stream has ended: peek said so, the guest dropped its end, or the instance is gone. */
    void (*over)(void *arg);
};
/* Gives the readable end, for a result or an argument of an export (or for host_stream_close, after wasi_p3_feed_stop). NULL: no memory.
 * peek is first called when the guest reads. */
struct host_stream *wasi_p3_feed_new(struct host_instance *in, const struct wasi_p3_feed_ops *ops, void *arg,
                                     struct wasi_p3_feed **out);
void wasi_p3_feed_wake(struct wasi_p3_feed *f); /* peek has something else to say */
/* What peek showed is being copied to the guest, while others run: it stays where it is until `consume`, or the instance's end. */
bool wasi_p3_feed_copying(const struct wasi_p3_feed *f);
void wasi_p3_feed_stop(struct wasi_p3_feed *f); /* ends the stream and frees the feed; `over` is not called */

/* ---- drain ---- */

struct wasi_p3_drain;
struct wasi_p3_drain_ops {
    /* How many bytes write takes now. 0: the owner calls wasi_p3_drain_wake when there is room, or wasi_p3_drain_stop. */
    size_t (*room)(void *arg);
    bool (*write)(void *arg, str bytes); /* at most room, at least one. False: it ends here; the drain is freed, without `over` */
    /* The guest closed its end (gone: or its instance is gone, so what came may not be all). */
    void (*over)(void *arg, bool gone);
};
/* Takes the stream. NULL: no memory (the stream is closed). Nothing flows before the first wasi_p3_drain_wake. */
struct wasi_p3_drain *wasi_p3_drain_new(struct host_instance *in, struct host_stream *s, const struct wasi_p3_drain_ops *ops,
                                        void *arg);
void wasi_p3_drain_wake(struct wasi_p3_drain *d);           /* there may be room */
bool wasi_p3_drain_forsaken(const struct wasi_p3_drain *d); /* as host_stream_forsaken */
void wasi_p3_drain_stop(
    struct wasi_p3_drain *d); /* drops the readable end, which the guest sees; frees the drain; `over` is not called */

/* ---- promise ---- */

struct wasi_p3_promise;
/* The readable end of a future whose value is known later. bytes: of the value in host layout. NULL: no memory. */
struct host_future *wasi_p3_promise_new(struct host_instance *in, size_t bytes, struct wasi_p3_promise **out);
/* The value is there: it is copied, but not what it points to, which must live as long as the process. drop is called for a value
 * that nobody takes (NULL: it owns nothing); in is NULL when the instance is gone. p is the promise's own from here on. */
void wasi_p3_promise_keep(struct wasi_p3_promise *p, const void *value, void (*drop)(struct host_instance *in, void *value));
bool wasi_p3_promise_unwanted(const struct wasi_p3_promise *p); /* nobody can take it any more */
/* For a future that no guest has been given, and that the caller closes. */
void wasi_p3_promise_abandon(struct wasi_p3_promise *p);

/* ---- await ---- */

struct wasi_p3_await;
/* Takes the future. fn is called once, later, when the value is there, or with NULL: the instance is gone. What *value points to lives
 * until fn returns; owned values in it are fn's. The await is gone by then. NULL: no memory (the future is closed, fn not called). */
struct wasi_p3_await *wasi_p3_await_new(struct host_instance *in, struct host_future *f, size_t bytes,
                                        void (*fn)(void *arg, void *value), void *arg);
bool wasi_p3_await_forsaken(const struct wasi_p3_await *a); /* as host_future_forsaken */
void wasi_p3_await_stop(struct wasi_p3_await *a);           /* drops the readable end; fn is not called */

#endif
