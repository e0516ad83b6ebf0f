/* host: the canonical ABI. Runs components: binds what they import to typed C, calls what they export.
 *
 *   image + plan --host_component_load--> host_component --acquire--> host_instance --host_call_*--> guest
 *
 * A value crosses between guest and C in its *host layout*, the C type that orlo-wit-bindgen prints for a WIT
 * type (src/wit/README.md has the table). One `struct host_type` per type says where each part lies in linear
 * memory (canonical layout) and in C (host layout); one generic lift and one generic lower walk it. Calls
 * between components and the conformance runner use the same walk.
 *
 * 1. A host function is C generated from WIT: `enum abi_trap wasi_io_poll_pollable_block(struct host_call *call,
 *    struct wasi_io_poll_pollable *self)`. It runs on the guest's fiber and may park it (engine_park).
 * 2. Strings and lists in arguments live until the function returns. They may point straight into linear memory:
 *    a function that parks while other tasks of the guest run (WASI 0.3) copies what it checks before it parks.
 * 3. *result is zeroed before the call; what it points to must live until the function has returned to the
 *    canonical ABI: host_alloc(call, ...), the arguments, or longer.
 * 4. A resource is a C object: own<T> and borrow<T> are `struct <name> *`. An own<T> argument belongs to the
 *    function; an own<T> result belongs to the guest's handle table, which calls the resource's drop when the
 *    guest drops it or the instance is released, whichever comes first. A borrow<T> lives until the function
 *    returns. At release drops come newest handle first, but indices are reused: count references where one
 *    object needs another.
 * 5. After a trap the instance is dead: every later call into it traps, and it can only be released.
 * 6. What a guest can make grow is capped: handles, bytes lifted in a call, and what host_charge counts.
 * 7. Host code is told of what happens (host_waker, host_done_fn, on_end, on_idle, on_death, the ops of a host_pending) by itself, never from
 *    inside of a call made here: it needs no guard against re-entrance, and may use and close what it is told of. It must not park, run
 *    guest code, or release an instance. The exceptions say so: host_instance_release tells all that is left before it returns. (note.c)
 *
 * A host interface in 15 lines, for this WIT:
 * package acme:counter; interface counter { resource counter { constructor(start: u32); next: func() -> u32; } }
 *
 *   #include "acme.h"                                         // generated
 *   struct acme_counter_counter_counter { uint32_t n; };      // the object is yours to define
 *   enum abi_trap acme_counter_counter_counter_new(struct host_call *call, uint32_t start,
 *                                                  struct acme_counter_counter_counter **result) {
 *       if (!host_charge(call->instance, sizeof **result)) return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many");
 *       *result = calloc(1, sizeof **result);
 *       (*result)->n = start;
 *       return ABI_TRAP_NONE;
 *   }
 *   enum abi_trap acme_counter_counter_counter_next(struct host_call *call, struct acme_counter_counter_counter *self,
 *                                                   uint32_t *result) {
 *       *result = self->n++;
 *       return ABI_TRAP_NONE;
 *   }
 *   void acme_counter_counter_counter_drop(struct host_instance *in, struct acme_counter_counter_counter *self) {
 *       host_uncharge(in, sizeof *self);
 *       free(self);
 *   }
 *   static const struct host_interface *const list[] = {&acme_counter_counter_interface};
 *   static const struct host_offer offer = {.interfaces = list, .interfaces_count = 1}; // for host_component_load
 */
#ifndef ORLO_HOST_H
#define ORLO_HOST_H

#include "engine/engine.h"

struct plan; /* component/plan.h */
struct host_component;
struct host_instance;
struct host_call;
struct host_export;
struct host_type;

/* News that waits to be told (7). To be told by others too: host_note; told once however often it was noted. */
struct host_note {
    struct host_node {
        struct host_node *next, *prev; /* {0}: in no list; a head that is {0}: empty */
    } node;
    void (*fn)(struct host_note *n);
};
void host_note(struct host_instance *in, struct host_note *n, void (*fn)(struct host_note *n));
void host_note_cancel(struct host_note *n); /* before its memory goes, or if it is not news any more */

/* ---- types ------------------------------------------------------------------------------------ */

enum host_kind {
    HOST_BOOL,
    HOST_S8,
    HOST_U8,
    HOST_S16,
    HOST_U16,
    HOST_S32,
    HOST_U32,
    HOST_S64,
    HOST_U64,
    HOST_F32,
    HOST_F64,
    HOST_CHAR,    /* uint32_t, a Unicode scalar value */
    HOST_STRING,  /* str, UTF-8 */
    HOST_LIST,    /* {T *p; size_t n;}; list<u8> is str; map<k, v> is a list of pairs */
    HOST_ARRAY,   /* a list of fixed length: T[count] */
    HOST_RECORD,  /* struct; tuples have fields f0, f1, … */
    HOST_VARIANT, /* {uint32_t tag; union} */
    HOST_ENUM,    /* enum, 4 bytes */
    HOST_FLAGS,   /* uint32_t, bit i is label i */
    HOST_OPTION,  /* {bool some; T value;} */
    HOST_RESULT,  /* {bool is_err; union {T ok; E err;};} */
    HOST_OWN,     /* of a host resource: a pointer to the object; of a guest's: its rep, in a uint64_t */
    HOST_BORROW,
    HOST_STREAM,
    HOST_FUTURE,        /* struct host_stream *, struct host_future *: the readable end */
    HOST_ERROR_CONTEXT, /* struct host_error_context * */
};

/* A resource type's identity is its address. */
struct host_resource {
    const char *name;                                  /* as in WIT */
    void (*drop)(struct host_instance *in, void *rep); /* on any stack: it must not park. NULL: a guest's */
    uint32_t guest;                                    /* a guest's: index of the resource in its plan, + 1 */
};

struct host_field { /* of a record; a case of a variant, option or result; a label of an enum or flags */
    const char *name;
    const struct host_type *type; /* NULL: a case without payload, a label */
    uint32_t host_offset;         /* records: in C */
    uint32_t offset;              /* records: in linear memory */
};

/* Generated tables fill the first part. At load each type of a plan becomes one of these, whole. */
struct host_type {
    uint8_t kind; /* enum host_kind */
    uint8_t is_tuple;
    uint32_t count; /* of fields; elements of a HOST_ARRAY */
    const struct host_field *fields;
    const struct host_type *elem;                 /* of lists, arrays, streams, futures */
    const struct host_resource *resource;         /* of own and borrow */
    uint32_t host_size, host_align, host_payload; /* in C; where a variant's payload starts */

    uint32_t size, align, payload; /* in linear memory (CanonicalABI.md#alignment, #element-size) */
    uint8_t tag_bytes;             /* of the discriminant, or of flags */
    uint8_t plain;                 /* same bytes in both layouts, every bit pattern valid: memcpy */
    uint8_t has_borrow, has_own;   /* own: also streams, futures and error contexts */
    uint8_t has_pointer;           /* strings or lists: lowering needs the guest's realloc */
    uint32_t flat_count;           /* core values it flattens to; PLAN_FLAT_MAX + 1: too many */
    const uint8_t *flat;           /* enum plan_flat of each */
    uint32_t plan_type;            /* index in its plan; PLAN_NONE: parameters, parts of a map */
};
extern const struct host_type host_type_primitives[HOST_STRING + 1];

/* ---- what the host offers --------------------------------------------------------------------- */

/* args: the parameters as a C struct (the record `params`); result: the result's C type, zeroed. */
typedef enum abi_trap (*host_fn)(struct host_call *call, void *args, void *result);

struct host_func {
    const char *name;               /* as in the component: "get-environment", "[method]fields.append" */
    const struct host_type *params; /* HOST_RECORD of the parameters, in order; NULL: none */
    const struct host_type *result; /* NULL: none */
    host_fn fn;
    bool async;
};
struct host_version {
    uint16_t major, minor, patch;
    const char *pre; /* of a pre-release: "draft2"; NULL: it is none */
};
struct host_interface_resource {
    const char *name;
    const struct host_resource *resource;
};
struct host_interface {
    const char *name;            /* "wasi:http/types"; a bare function of a world: "" */
    struct host_version version; /* what we implement; {0}: unversioned */
    const struct host_func *funcs;
    uint32_t funcs_count;
    const struct host_interface_resource *resources;
    uint32_t resources_count;
};

/* A function for core modules (preview 1), on the canonical array. */
struct host_core_func {
    const char *module, *name;
    const char *sig; /* "iil:i": parameters, colon, results; i i32, l i64, f f32, d f64 */
    engine_host_fn fn;
};

struct host_offer { /* borrowed for the life of the components loaded with it */
    const struct host_interface *const *interfaces;
    uint32_t interfaces_count;
    const struct host_core_func *core;
    uint32_t core_count;
};

/* What all of the parts offer, as one; arrays are out's. */
struct host_offer host_offer_join(arena *out, const struct host_offer *const *parts, size_t n);
/* The same interfaces, of another version: of a draft that did not change any more. Arrays are out's. */
struct host_offer host_offer_as(arena *out, const struct host_offer *offer, struct host_version version);
const struct host_core_func *host_offer_core(const struct host_offer *offer, str module, str name); /* NULL: none of that name */

/* Whether an offered version serves an imported one: the same semver track (0.2.x; 1.x.y; 0.0.x only itself).
 * Names come as in components: "wasi:http/types@0.2.3". Pre-releases match only themselves. */
bool host_name_matches(str imported, const struct host_interface *offered);

/* Checks every import of plan against offer, types included. ERR_LINK: the diag lists what is missing, by
 * interface, and the nearest thing offered. Needs no engine: for `orlo inspect` and `orlo compile`. */
err host_offer_check(const struct host_offer *offer, const struct plan *plan, struct diag *d);

/* ---- components: one per image and worker ----------------------------------------------------- */

struct host_limits {
    uint32_t handles_max;    /* per component instance; 0: 65,536 */
    uint64_t call_bytes_max; /* host memory that one call's values take; 0: 16 MiB */
    uint64_t host_bytes_max; /* what host_charge counts per instance; 0: 64 MiB */
    uint32_t threads_max;    /* tasks and threads alive in an instance; 0: 1,000 */
};

/* Takes im, also on failure. Loads it into s and binds every host import. ERR_LINK as above; ERR_MALFORMED:
 * its plan; ERR_LIMIT: the share has no room for it (engine_last_refusal). */
err host_component_load(struct engine_share *s, struct abi_image im, const struct host_offer *offer,
                        const struct host_limits *limits, struct host_component **out, struct diag *d);
void host_component_unload(struct host_component *c); /* no instance of it may be alive */
struct engine_image *host_component_image(const struct host_component *c);

/* What a generated header says about an exported function: &wasi_http_incoming_handler_handle_export. */
struct host_export_desc {
    const struct host_interface *interface; /* name and version. NULL: exported by the component itself */
    struct host_func func;                  /* fn unused */
};
/* NULL when the component does not export it on that semver track; or with another type: then d says so. */
const struct host_export *host_component_export(const struct host_component *c, const struct host_export_desc *desc,
                                                struct diag *d);
/* By names as in the component ("": functions exported by the component itself), any type. NULL: none. */
const struct host_export *host_component_export_named(const struct host_component *c, str interface, str func);
const struct host_type *host_export_params(const struct host_export *ex); /* HOST_RECORD; NULL: none */
const struct host_type *host_export_result(const struct host_export *ex);

/* ---- instances -------------------------------------------------------------------------------- */

/* user is the owner's (a request's context). NULL: no slot free. */
struct host_instance *host_instance_acquire(struct host_component *c, void *user);
/* On a fiber of the instance: runs what of the instantiation the snapshot does not hold. */
[[nodiscard]] enum abi_trap host_instance_start(struct host_instance *in);
/* Tells what is left to tell, drops every handle the guest still holds, then resets the slot. No fiber that the owner spawned may be alive.
 * Tasks still alive (WASI 0.3) end with ABI_TRAP_INTERRUPTED: their invocations are done, host_pending's are
 * gone, streams close. Those that hold a stack unwind on it in the next engine_run, and only then the slot is
 * free: user stays valid until then where a host function may be parked (host_instance_kill first, and wait for
 * engine_instance_fibers to be 0, to know when). */
void host_instance_release(struct host_instance *in);
/* Before a release that is not in a hurry: drops some of its handles, *budget at most, so that dropping very many is done in steps. Nothing
 * may be called in it any more. True: call host_instance_release now; false: the budget is used up, call it again. */
bool host_instance_wind_down(struct host_instance *in, uint32_t *budget);
/* Ends everything that runs or waits in it, as engine_kill, tasks without a stack included. From any stack. */
void host_instance_kill(struct host_instance *in);
/* Tasks alive, those that have returned and still run included. */
uint32_t host_instance_tasks(const struct host_instance *in);
/* fn is called when the last task has ended: nothing of the guest runs or waits. NULL: not any more. */
void host_instance_on_idle(struct host_instance *in, void (*fn)(struct host_instance *in, void *arg), void *arg);
/* fn is called when it has died: it trapped or was killed. Before that is told to its invocations. NULL: not any more. */
void host_instance_on_death(struct host_instance *in, void (*fn)(struct host_instance *in, void *arg), void *arg);
uint64_t host_instance_charged(const struct host_instance *in); /* what host_charge counts */
void *host_instance_user(struct host_instance *in);
struct engine_instance *host_instance_engine(struct host_instance *in); /* to spawn, kill, ask for the trap */
struct host_component *host_instance_component(struct host_instance *in);
struct host_instance *host_instance_of(struct engine_instance *in); /* for host_core_func: engine_call_instance */
bool host_instance_dead(const struct host_instance *in);            /* it has trapped, or is being released */

/* Counts bytes of host memory held for the guest, and charges the image's account. False: over host_bytes_max, or the account is full;
 * nothing counted. What is counted still when the instance is released is taken to be gone. */
[[nodiscard]] bool host_charge(struct host_instance *in, uint64_t bytes);
void host_uncharge(struct host_instance *in, uint64_t bytes);

/* ---- calls ------------------------------------------------------------------------------------ */

/* A call in progress, from the guest (host functions get one) or into it (host_call_begin). */
struct host_call {
    struct host_instance *instance;
    uint32_t caller;           /* component instance whose code called; UINT32_MAX: the host */
    struct host_chunk *chunks; /* memory of the call */
    uint8_t *free, *limit;
    uint64_t bytes;               /* allocated so far */
    uint64_t checked;             /* bytes of strings looked at so far */
    struct host_lend *lends;      /* handles lent until the call ends */
    struct host_moved *moved;     /* owns lifted and not yet handed over */
    struct host_subtask *subtask; /* of an async host function */
};
/* Memory that lives until the call ends; not zeroed. NULL past call_bytes_max. */
void *host_alloc(struct host_call *call, size_t n, size_t align);
str host_alloc_str(struct host_call *call, str s); /* a copy; {NULL, 0} past the cap */
/* Records a text and gives the trap: return host_trap(call, ABI_TRAP_HOST, "blob %u is gone", n). */
enum abi_trap host_trap(struct host_call *call, enum abi_trap t, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* engine_work for host functions (engine/engine.h): what loops over a size that a guest chose goes through it. */
[[nodiscard]] bool host_work(struct host_instance *in, uint64_t units);

/* Calling an export, on a fiber of the instance:
 *
 *   struct host_call call;
 *   host_call_begin(&call, instance);
 *   enum abi_trap t = wasi_cli_run_call_run(&call, export, &result);   // generated, over host_call_export
 *   ... what result points to lives until
 *   host_call_end(&call);
 *
 * own<T> arguments are taken even on a trap; own<T> results belong to the caller. post-return has run. */
void host_call_begin(struct host_call *call, struct host_instance *in);
void host_call_end(struct host_call *call);
[[nodiscard]] enum abi_trap host_call_export(struct host_call *call, const struct host_export *ex, const void *args,
                                             void *result);

/* ---- asynchronous imports (WASI 0.3) ----------------------------------------------------------
 *
 * A host function for an `async func` may return before it is done:
 *
 *   enum abi_trap wasi_clocks_monotonic_clock_wait_for(struct host_call *call, uint64_t ns) {
 *       struct timer *t = timer_new(ns, on_time);                   // on_time: host_pending_done(t->p)
 *       t->p = host_pend(call, &timer_ops, t);
 *       return t->p ? ABI_TRAP_NONE : host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many calls at once");
 *   }
 *
 * The arguments (copied out of linear memory), *result and host_alloc's memory live until it is done. A guest
 * that called it synchronously waits, others of its tasks run on; one that called it asynchronously has a subtask.
 * A host function that does not pend is done when it returns. One of a plain `func` must not pend; it may park. */
struct host_pending;
struct host_pending_ops {
    /* The guest has asked to cancel: later, or right here, host_pending_cancelled or (it is done all the same)
     * host_pending_done. NULL: requests are not heard. */
    void (*cancel)(struct host_pending *p, void *arg);
    /* The instance trapped or is being released: p is invalid once this returns. What was to be a result is not
     * taken: arguments that the function owns are its own to drop. */
    void (*gone)(struct host_pending *p, void *arg);
};
/* Only in an async host function, once. NULL: too many. */
struct host_pending *host_pend(struct host_call *call, const struct host_pending_ops *ops, void *arg);
/* *result is the result: owned values in it are taken. p is invalid afterwards. */
void host_pending_done(struct host_pending *p);
/* Only after ops->cancel: there is no result. */
void host_pending_cancelled(struct host_pending *p);

/* ---- calls without waiting (WASI 0.3) ---------------------------------------------------------
 *
 * From any stack of the worker; no fiber is needed, several calls may be under way in an instance:
 *
 *   host_invoke(&req->inv, in, export, &args, &result, on_done, req);
 *   void on_done(struct host_invocation *inv, void *arg) { inv->trap ? … : use result …; host_invoke_end(inv); }
 *
 * done is called once: when the task has returned its value (it may run on: see host_instance_on_idle), was cancelled, or the
 * instance trapped. result's memory lives until host_invoke_end.
 * A guest that waits for what can never come (no task of the instance can run, no host function is pending, no
 * host end of a stream or future is open) traps: "deadlock detected". */
struct host_invocation;
typedef void (*host_done_fn)(struct host_invocation *inv, void *arg);
struct host_invocation { /* the caller's to allocate */
    struct host_call call;
    enum abi_trap trap;         /* its text: engine_last_trap */
    bool done, cancelled;       /* done: it was told */
    struct engine_meter *meter; /* host_invoke_meter's */
    void *served;               /* the caller's, after host_invoke: for whom it is; for whoever asks host_instance_current */
    /* private: */
    struct host_note note, end_note;
    host_done_fn on_done;
    void *arg;
    void (*on_end)(struct host_invocation *inv, void *arg);
    const struct host_export *ex;
    const void *args;
    void *result;
    struct host_task *task;
    uint32_t tasks; /* alive because of it, if on_end is set */
    struct host_invocation *next, **prev;
    bool resolved, stillborn, discard, cancel_asked, cancel_wanted;
};
/* args must live until done; own<T>, streams and futures in it are taken, whatever happens. result: in the
 * export's C type, zeroed here; NULL: dropped. */
void host_invoke(struct host_invocation *inv, struct host_instance *in, const struct host_export *ex, const void *args,
                 void *result, host_done_fn on_done, void *arg);
/* Right after host_invoke. fn is called when nothing of the call runs or waits any more: its task has ended (after done, perhaps long
 * after) and so have those it called. inv must live until then, or until the instance's death, which is not told here. */
void host_invoke_on_end(struct host_invocation *inv, void (*fn)(struct host_invocation *inv, void *arg));
/* After host_invoke_on_end: what is computed for the call goes on m, which lives as long as inv. */
void host_invoke_meter(struct host_invocation *inv, struct engine_meter *m);
/* For whom the instance runs right now: the invocation, with on_end, whose task it is or was called by. NULL: none, or nothing runs. */
struct host_invocation *host_instance_current(const struct host_instance *in);
/* The same of the moment when it died. */
struct host_invocation *host_instance_culprit(const struct host_instance *in);
/* A call would have to wait: another is about to run, runs or was preempted, has the instance to itself, or the guest exerts
 * backpressure. */
bool host_export_busy(const struct host_instance *in, const struct host_export *ex);
/* Asks the guest to cancel; done comes sooner or later, as cancelled or not. */
void host_invoke_cancel(struct host_invocation *inv);
void host_invoke_end(struct host_invocation *inv); /* after done: frees the memory of the result */

/* ---- streams and futures (WASI 0.3) -----------------------------------------------------------
 *
 * A stream has a readable and a writable end; each is held by a guest or by the host. A value stream<T> is its
 * readable end: as an argument it is the host function's, as a result or an argument of an export it becomes the
 * guest's, as own<T> does.
 *
 * Nothing is buffered: elements are copied between the host's memory and the guest's when both sides are there,
 * so a side that does not read holds the other one up. The host's side is never in a wait: it reads or writes what
 * is possible now, and its waker says when to try again.
 *
 *   read:  for (;;) switch (host_stream_read(s, buf, sizeof buf, &n)) {
 *              case HOST_COPY_DONE:    use n elements; continue;
 *              case HOST_COPY_BLOCKED: return;                    // the waker will be called
 *              case HOST_COPY_CLOSED:  host_stream_close(s); return;
 *          }
 *
 * The waker is called when the other side has begun to write (read), or has dropped its end, or the instance is gone. Elements are in host layout: u8 is a byte, a string is a str. Those with strings or lists are lifted into
 * `memory` (NULL: T has none), and live as long as that call. Ends outlive the instance: reading then gives CLOSED. */
enum host_copy {
    HOST_COPY_DONE,    /* *n elements, at least one */
    HOST_COPY_BLOCKED, /* the other side is not there yet */
    HOST_COPY_CLOSED,  /* the other end was dropped */
    HOST_COPY_TRAPPED, /* an element could not be lifted or lowered: the instance is dead */
};
struct host_stream;        /* a readable end: this is the value stream<T> */
struct host_stream_writer; /* a writable end */
struct host_future;
struct host_future_writer;
struct host_error_context;
typedef void (*host_waker)(void *arg);

/* The host holds both ends; giving the value to a guest gives it the readable one. NULL: over host_bytes_max. A
 * guest may hand the readable end back (an echo): then host code reads what host code writes, which works too: each has its turn. */
struct host_stream *host_stream_new(struct host_instance *in, struct host_stream_writer **writer);
void host_stream_set_waker(struct host_stream *s, host_waker fn, void *arg); /* fn may be NULL */
void host_stream_wake(struct host_stream *s);                                /* its waker is called, as if there were news */
/* 1 … max elements. */
enum host_copy host_stream_read(struct host_stream *s, struct host_call *memory, void *out, size_t max, size_t *n);
bool host_stream_over(const struct host_stream *s); /* reading gives CLOSED */
bool host_stream_gone(const struct host_stream *s); /* because the instance is gone, not because a guest dropped its end */
/* A guest has the writable end, offers nothing, and nothing of its instance runs that could: nothing will come. */
bool host_stream_forsaken(const struct host_stream *s);
void host_stream_close(struct host_stream *s);

void host_stream_writer_set_waker(struct host_stream_writer *w, host_waker fn, void *arg);
void host_stream_writer_wake(struct host_stream_writer *w);
/* p stays the caller's; owned values in the first *n elements are taken. BLOCKED: nothing was taken now, but p is on offer: it must stay
 * as it is until host_stream_writer_settle, or closing. (Host code that reads takes it in its turn; elements with strings or lists need
 * the guest's realloc, so they are copied on one of its fibers. The waker is called then.) */
enum host_copy host_stream_write(struct host_stream_writer *w, const void *p, size_t count, size_t *n);
/* Ends the offer of a write that was BLOCKED, if there is one; how many elements of it were taken. Before every other write. */
size_t host_stream_writer_settle(struct host_stream_writer *w);
/* A fiber is copying what is on offer, and others run meanwhile (the guest's realloc): nothing is settled, and what it lies in stays. The waker is called once it
 * is done. */
bool host_stream_writer_copying(const struct host_stream_writer *w);
bool host_stream_writer_asked(const struct host_stream_writer *w);   /* the other side reads, and has not all that it asked for */
size_t host_stream_writer_ready(const struct host_stream_writer *w); /* elements that it asks for now; 0: unknown */
/* A guest was given elements and has not taken note of it yet: closing now would tell it both at once, which not every guest expects. */
bool host_stream_writer_untold(const struct host_stream_writer *w);
bool host_stream_writer_over(const struct host_stream_writer *w); /* writing gives CLOSED */
bool host_stream_writer_gone(const struct host_stream_writer *w);
void host_stream_writer_close(struct host_stream_writer *w);

/* A future is a stream of one element. A writable end must be written before it is closed. */
struct host_future *host_future_new(struct host_instance *in, struct host_future_writer **writer);
void host_future_set_waker(struct host_future *f, host_waker fn, void *arg);
void host_future_wake(struct host_future *f);
enum host_copy host_future_read(struct host_future *f, struct host_call *memory, void *out); /* DONE: close it */
bool host_future_forsaken(const struct host_future *f);
void host_future_close(struct host_future *f);
void host_future_writer_set_waker(struct host_future_writer *w, host_waker fn, void *arg);
enum host_copy host_future_write(struct host_future_writer *w, const void *p); /* DONE or CLOSED (nobody wants it): close it */
bool host_future_writer_copying(const struct host_future_writer *w);
size_t host_future_writer_settle(struct host_future_writer *w); /* as of a stream: 1: it was taken */
void host_future_writer_close(struct host_future_writer *w);

void host_error_context_drop(struct host_error_context *e);

/* ---- dynamic values: the conformance runner, logs, tests -------------------------------------- */

/* Calls the drop of every host resource that value owns. */
void host_value_drop(struct host_instance *in, const struct host_type *t, const void *value);
/* The same value, by content. */
bool host_value_equal(const struct host_type *t, const void *a, const void *b);
/* Structure and names; resources by address. where gets the path to the first difference. */
bool host_type_equal(const struct host_type *a, const struct host_type *b, char *where, size_t where_size);

#endif
