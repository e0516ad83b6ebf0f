/* Inside of the host room: what its files share.
 *
 * 1. A lift or lower runs in a struct host_cx: one side's options (memory, encoding, realloc), its handle
 *    table and the call. cx->mem is the memory as of the last call into the guest: whoever calls the guest
 *    fetches it again (host_cx_memory).
 * 2. Everything read from linear memory is bounds-checked against cx->mem before it is read; nothing is read
 *    twice.
 * 3. Functions give a trap; its text is recorded by host_fail. */
#ifndef ORLO_HOST_INT_H
#define ORLO_HOST_INT_H

#include "component/plan.h"
#include "host/host.h"

enum {
    HOST_LIST_BYTES_MAX = (1 << 28) - 1, /* CanonicalABI.md: MAX_LIST_BYTE_LENGTH, MAX_STRING_BYTE_LENGTH */
    HOST_CHUNK_BYTES = 16 << 10,
    HOST_VALUE_STACK_BYTES = 512, /* arguments and results up to this size live on the native stack */
    HOST_ELEMENTS = 1024,
    HOST_ELEMENT_NS = 20, /* of a list, between two host_work; what one takes, about */
};

/* ---- handle tables (CanonicalABI.md, Table State) --------------------------------------------- */

enum host_handle_kind {
    HOST_HANDLE_FREE,
    HOST_HANDLE_OWN,
    HOST_HANDLE_BORROW,
    HOST_HANDLE_SUBTASK,       /* rep: struct host_subtask * */
    HOST_HANDLE_END,           /* struct host_end * */
    HOST_HANDLE_WAITABLE_SET,  /* struct host_wset * */
    HOST_HANDLE_ERROR_CONTEXT, /* struct host_error_context * */
    HOST_HANDLE_THREAD,        /* struct host_thread *, in tables of threads */
};
struct host_handle {
    const struct host_resource *type;
    uint64_t rep;   /* FREE: the next free index */
    uint32_t lends; /* borrows of it in calls in progress */
    uint8_t kind;
    struct host_task *scope; /* BORROW: the task it was lent to */
};
struct host_table {
    struct host_handle *p;
    uint32_t n, cap, max; /* slots in use or free below n; index 0 is never given out */
    uint32_t free;        /* first free index, 0: none */
    uint32_t alive;
    struct host_instance *in; /* pays for it */
};
/* 0: the table is full, or what the instance may hold is. */
uint32_t host_table_add(struct host_table *t, struct host_handle h);
static inline struct host_handle *host_table_get(const struct host_table *t, uint32_t i) {
    return LIKELY(i < t->n && t->p[i].kind) ? &t->p[i] : NULL;
}
void host_table_remove(struct host_table *t, uint32_t i);
void host_table_clear(struct host_table *t); /* keeps a short one, paid */
void host_table_free(struct host_table *t);
/* Against the accounts alone, not against host_bytes_max: what a call holds until it ends, what is kept with the instance's record. */
[[nodiscard]] bool host_pay(struct host_instance *in, uint64_t bytes);
void host_unpay(struct host_instance *in, uint64_t bytes);

/* What stands as the type of handles that are no resources. */
extern const struct host_resource host_is_stream, host_is_future;

/* ---- lists ------------------------------------------------------------------------------------ */

static inline bool host_list_empty(const struct host_node *head) { return !head->next || head->next == head; }
static inline void host_list_push(struct host_node *head, struct host_node *n) {
    if (!head->next) head->next = head->prev = head;
    *n = (struct host_node){head, head->prev};
    head->prev->next = n;
    head->prev = n;
}
static inline void host_list_remove(struct host_node *n) { /* of none: nothing */
    if (!n->next) return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    *n = (struct host_node){};
}
#define HOST_EACH(n, head)                                                                                                       \
    for (struct host_node *n = (head)->next, *n##_next; n && n != (head) && (n##_next = n->next, true); n = n##_next)

/* ---- tasks and threads (CanonicalABI.md, Tasks, Threads) ---------------------------------------
 *
 * At most one thread of an instance runs: in->thread. It has resumed nobody else, or waits in host_resume until
 * whom it resumed blocks or ends; a thread without a resumer was resumed by the event loop.
 *
 *            host_resume, switch, event loop
 *   SUSPENDED ──────────────> RUNNING ──> (freed)
 *      ^ ^───── suspend ────────┤^
 *      │                 wait …  v│ ready and its turn
 *   resume_later ────────────> WAITING
 *
 * A thread that waits at the start of its task, or between the calls of a callback, has no fiber: it is given one
 * when it is resumed. The thread of a function that is not async runs on its caller's fiber (nested): it cannot
 * wait for what its caller would have to do, only for other threads of its instance. */
enum host_thread_state { HOST_THREAD_SUSPENDED, HOST_THREAD_WAITING, HOST_THREAD_RUNNING };
enum host_wait {
    HOST_WAIT_NOTHING,        /* yields */
    HOST_WAIT_ENTER,          /* for backpressure to end */
    HOST_WAIT_YIELD_CALLBACK, /* for the instance not to be in exclusive use */
    HOST_WAIT_SET_CALLBACK,   /* for that, and an event */
    HOST_WAIT_SET,            /* for an event in a waitable set */
    HOST_WAIT_WAITABLE,       /* for the event of one waitable */
    HOST_WAIT_SUBTASK,        /* for a synchronous call to resolve */
};
enum host_step {                     /* what a thread does that is given a fiber */
                 HOST_STEP_START,    /* the implicit thread of a task: from its beginning */
                 HOST_STEP_CALLBACK, /* calls back with the event */
                 HOST_STEP_FUNC,     /* thread.new-indirect */
                 HOST_STEP_JOB,      /* C of this room, in no component instance */
                 HOST_STEP_OWN,      /* it stands on a fiber of the owner */
};
struct host_thread {
    struct host_instance *in;
    struct host_task *task;
    struct host_ci *ci; /* NULL: in none */
    uint8_t state, wait, step;
    bool nested, cancellable;
    bool cancelled;              /* what the wait ended with */
    bool asleep;                 /* its fiber is parked here */
    uint32_t index;              /* in ci->threads; 0: not asked for yet */
    uint64_t storage[2];         /* context.get, context.set */
    void *on;                    /* HOST_WAIT_*: the set, waitable or subtask */
    struct engine_fiber *fiber;  /* NULL: none */
    struct host_thread *resumer; /* NULL: the event loop */
    struct host_node queue;      /* in->ready or ci->held */
    struct host_node of_ci;      /* ci->waiting */
    struct host_node of_set;     /* host_wset.waiters */
    struct host_node of_task;    /* task->threads */
    struct host_node of_instance;
    const struct abi_func *func; /* FUNC */
    uint64_t arg;
    enum abi_trap (*job)(struct host_instance *in, void *arg); /* JOB */
    void *job_arg;
};

enum host_task_state { /* CanonicalABI.md, Task State */
                       HOST_TASK_INITIAL,
                       HOST_TASK_STARTED,
                       HOST_TASK_PENDING_CANCEL,
                       HOST_TASK_CANCEL_DELIVERED,
                       HOST_TASK_RESOLVED
};
/* A call of a lifted function, and the borrow scope of its arguments. */
struct host_task {
    const struct host_lift *lift; /* NULL: a destructor, realloc, a start function */
    struct host_call *call;       /* memory for its values */
    uint8_t state;
    uint32_t borrows;
    struct host_thread *implicit; /* NULL: it has ended */
    struct host_node threads;     /* alive */
    struct host_subtask *subtask; /* a guest called; until resolved */
    struct host_invocation *inv;  /* C called; until resolved */
    const void *args;             /* C called */
    void *result;                 /* C called: in host layout */
    struct host_thread thread;    /* the implicit one */
    bool counted;                 /* in->tasks */
    struct host_invocation *root; /* C called it, or who called this; it counts this. NULL: nobody wants to know */
};

/* ---- waitables (CanonicalABI.md, Waitable State) ---------------------------------------------- */

enum host_event {
    HOST_EVENT_NONE,
    HOST_EVENT_SUBTASK,
    HOST_EVENT_STREAM_READ,
    HOST_EVENT_STREAM_WRITE,
    HOST_EVENT_FUTURE_READ,
    HOST_EVENT_FUTURE_WRITE,
    HOST_EVENT_TASK_CANCELLED
};
struct host_event_data {
    uint32_t code, p1, p2;
};
struct host_wset {
    struct host_node elems, pending, waiters; /* pending: those with an event, the oldest first */
    uint32_t waiting;
};
struct host_waitable { /* the first member of a host_subtask or host_end */
    struct host_ci *ci;
    uint32_t index; /* in ci->table */
    bool is_subtask, has_event;
    struct host_wset *set;
    struct host_node of_set, of_pending;
    struct host_thread *waiter; /* has_sync_waiter */
};

enum host_subtask_state { /* CanonicalABI.md, Subtask State */
                          HOST_SUBTASK_STARTING,
                          HOST_SUBTASK_STARTED,
                          HOST_SUBTASK_RETURNED,
                          HOST_SUBTASK_CANCELLED_BEFORE_STARTED,
                          HOST_SUBTASK_CANCELLED_BEFORE_RETURNED
};
enum { HOST_FLAT_ASYNC_MAX = 4 }; /* MAX_FLAT_ASYNC_PARAMS */
struct host_subtask {
    struct host_waitable w;
    struct host_instance *in;
    const struct host_binding *b;
    uint8_t state;
    bool listed;    /* in the table: progress is an event */
    bool delivered; /* its lenders have been told */
    bool cancel_requested;
    struct host_call call; /* lends, memory of values */
    uint64_t *slots, flat[HOST_FLAT_ASYNC_MAX + 1];
    uint64_t result_ptr;
    struct host_task *callee;   /* to cancel; NULL: a host's, or resolved */
    struct host_thread *waiter; /* of a synchronous call */
    /* an asynchronous host function: */
    const struct host_pending_ops *ops; /* it pends */
    void *ops_arg, *args, *result;
    bool in_fn, early; /* its host_fn has not returned; and it is done already */
    bool finishing;    /* its result waits for a fiber */
    enum host_subtask_state outcome;
    struct host_note note;        /* to ops */
    struct host_node of_instance; /* in->pendings */
};

/* A stream or future. Each end is in a guest's table, the host's, on its way, or dropped. */
enum host_where { HOST_END_MOVING, HOST_END_GUEST, HOST_END_HOST, HOST_END_DROPPED };
enum host_copy_state { HOST_COPY_IDLE, HOST_COPY_COPYING, HOST_COPY_CANCELLING, HOST_COPY_OVER };
enum host_copy_result { HOST_RESULT_COMPLETED, HOST_RESULT_DROPPED, HOST_RESULT_CANCELLED };
struct host_end {
    struct host_waitable w;
    struct host_pipe *pipe;
    bool writable;
    uint8_t where, state;
    uint8_t result; /* of the event */
    bool reclaim;   /* the buffer is given back with the event */
    /* guest: the buffer of the copy under way */
    const struct host_options *o;
    uint64_t ptr;
    uint32_t length, progress;
    /* host: */
    host_waker waker;
    void *waker_arg;
    struct host_note note;    /* to the waker */
    const void *host_p;       /* writable: what is on offer; NULL: nothing */
    size_t host_n, host_done; /* of it, taken of it. Readable, of a host's: host_n elements were asked for, and none came yet */
    bool job;                 /* a fiber will copy it, */
    bool copying;             /* and is at it: where what is copied lies, it stays */
};
struct host_pipe {
    struct host_instance *in; /* NULL: it is gone */
    uint32_t elem;            /* types[], PLAN_NONE: no payload */
    bool future, typed /* elem is known */, dropped, gone /* dropped, with its instance */;
    uint32_t host_size;       /* of an element, once typed */
    uint32_t refs;            /* ends not dropped, jobs */
    struct host_end end[2];   /* readable, writable */
    struct host_end *pending; /* whose buffer is offered */
    struct host_node of_instance;
};

/* ---- instances -------------------------------------------------------------------------------- */

void host_instance_free(struct host_instance *in);
void host_instance_finish(struct host_instance *in); /* the rest of release, without fibers */

struct host_ci { /* a component instance */
    struct host_table table;
    struct host_table threads;
    uint32_t parent;
    bool entered;  /* the specification's `not may_enter` */
    bool no_leave; /* `not may_leave` */
    uint16_t backpressure;
    uint32_t entering;             /* num_waiting_to_enter */
    struct host_thread *exclusive; /* exclusive_thread */
    struct host_node waiting;      /* threads, none of them nested */
    struct host_node held;         /* those that the above holds up */
};

struct host_instance {
    struct host_component *component;
    struct engine_instance *engine; /* NULL only in tests of lifting and lowering */
    void *user;
    struct host_thread *thread;   /* the running one */
    struct host_thread *given;    /* it, if the event loop chose it and it has not begun to run */
    struct abi_memory **memories; /* by host_component.memories[]; NULL: not asked for yet */
    struct host_ci *cis;          /* by plan index */
    uint64_t charged;
    uint64_t table_bytes; /* of handle tables, kept ones included; bounded by host_bytes_max, too */
    bool dead;
    enum abi_trap trap;        /* that it died of */
    struct host_node ready;    /* threads to look at */
    struct host_node threads;  /* all but nested ones */
    struct host_node pendings; /* subtasks of host functions */
    struct host_node pipes;
    struct host_invocation *invocations;  /* not done */
    uint32_t threads_count, tasks, calls; /* calls: of C, not resolved */
    uint32_t fibers;                      /* spawned here and alive */
    uint32_t host_ends;                   /* of pipes, open */
    bool releasing;
    struct host_node notes;      /* to be told, the oldest first */
    struct engine_post post;     /* of the notes */
    const struct host_end *asks; /* a guest's end whose copy has just begun */
    struct host_invocation *culprit;
    struct host_note idle_note, death_note;
    void (*on_idle)(struct host_instance *in, void *arg);
    void *on_idle_arg;
    void (*on_death)(struct host_instance *in, void *arg);
    void *on_death_arg;
    struct host_instance *next; /* free list of the component */
    char text[256];             /* of the last trap, where there is no engine */
};

struct host_chunk {
    struct host_chunk *next;
    size_t bytes; /* after this header */
};
/* Chunks of HOST_CHUNK_BYTES, not zeroed. NULL: the system has no memory. A chunk goes back to the component that it is from; all have before
 * host_chunks_free. */
struct host_chunk *host_chunk_new(struct host_component *c);
void host_chunk_free(struct host_component *c, struct host_chunk *k);
void host_chunks_free(struct host_component *c);

/* ---- what is bound ---------------------------------------------------------------------------- */

/* A core function that C calls: compiled, or a canonical definition straight away. */
struct host_core {
    const struct abi_func *func;
    const struct host_binding *canon;
};
static inline bool host_core_given(const struct host_core *f) { return f->func || f->canon; }

struct host_options {
    bool has_memory, memory64;
    uint8_t encoding; /* enum component_encoding */
    uint32_t memory;  /* host_component.memories[] */
    struct host_core realloc, post_return;
    uint32_t ci; /* component instance whose options these are */
};

struct host_lift {   /* a lifted function */
    bool is_async;   /* its result comes by task.return */
    bool callback;   /* the core function gives a callback code */
    bool async_type; /* an async func: it may block */
    struct host_core func, callback_func;
    struct host_options o;
    const struct host_type *params[2], *result[2]; /* as its own memory sees them, [memory64] */
    bool params_spilled, result_spilled;
    uint32_t params_flat;
};

enum host_binding_kind {
    HOST_BIND_IMPORT, /* lowered function of the host */
    HOST_BIND_LIFT,   /* lowered function of another component instance */
    HOST_BIND_RESOURCE_NEW,
    HOST_BIND_RESOURCE_REP,
    HOST_BIND_RESOURCE_DROP,
    HOST_BIND_CONTEXT_GET,
    HOST_BIND_CONTEXT_SET,
    HOST_BIND_BACKPRESSURE_INC,
    HOST_BIND_BACKPRESSURE_DEC,
    HOST_BIND_TASK,        /* another built-in of WASI 0.3: builtin */
    HOST_BIND_UNSUPPORTED, /* traps when it is called */
};
struct host_binding;
typedef enum abi_trap (*host_builtin)(struct host_instance *in, const struct host_binding *b, uint64_t *slots);
struct host_binding { /* of one canonical definition */
    enum host_binding_kind kind;
    struct host_options o;
    const struct host_type *params, *result; /* as the caller's memory sees them */
    bool params_spilled, result_spilled;
    bool is_async; /* gives a subtask's state */
    uint32_t params_flat;
    host_fn fn;                           /* IMPORT */
    const char *name;                     /* IMPORT, TASK, UNSUPPORTED */
    host_builtin builtin;                 /* TASK */
    bool async_type;                      /* IMPORT, LIFT: an async func */
    bool related;                         /* LIFT: caller and callee are one instance, or one in the other */
    bool async_op, cancellable;           /* TASK: its immediates */
    const struct host_resource *end_type; /* stream.*, future.*: which of both */
    uint32_t elem;                        /* of their payload, types[]; PLAN_NONE: none */
    uint32_t table_instance, table;       /* thread.new-indirect */
    bool table64;
    const struct host_lift *lift;         /* LIFT */
    const struct host_resource *resource; /* RESOURCE_* */
    struct host_core dtor;                /* RESOURCE_DROP of a guest's resource */
    uint32_t dtor_ci;
    uint32_t slot;       /* CONTEXT_* */
    uint32_t start_type; /* thread.new-indirect: canonical id, as in abi_func */
    bool wide;           /* CONTEXT_*, thread.new-indirect: i64 */
};

struct host_export {
    const struct host_lift *lift;
};

struct host_memory {
    uint32_t instance, index; /* of the core instance that defines it */
};

struct host_component {
    arena *arena;
    struct engine_image *image;
    bool has_plan;
    struct plan plan;
    struct host_limits limits;
    const struct host_resource *const *resources; /* by plan index; NULL: not offered */
    const struct host_type *const *types[2];      /* by plan index, [memory64] */
    struct host_lift *lifts;                      /* by plan index */
    VEC(struct host_memory) memories;             /* that options name, each once */
    struct host_binding *bindings;                /* by canons[] */
    struct host_export *exports;                  /* by exports[]; lift NULL: no function, or an import passed through */
    struct host_instance *free_instances;
    struct host_slab *slabs; /* of chunks, some of them free */
};

/* ---- lifting and lowering --------------------------------------------------------------------- */

struct host_cx {
    struct host_call *call;
    struct host_instance *in;
    const struct host_options *o;
    struct host_ci *ci;
    struct engine_bytes mem;
    struct host_task *task; /* lowering arguments: whom borrows are lent to */
    bool fused;             /* component to component: strings keep their encoding (host_string), reps stay 32-bit */
    bool copy;              /* what is lifted must outlive the memory: no pointers into it */
    uint32_t owns;          /* lowered so far */
    enum abi_trap (*reallocate)(struct host_cx *cx, const uint64_t args[4], uint64_t *ptr);
};
void host_cx_init(struct host_cx *cx, struct host_call *call, const struct host_options *o);
void host_cx_memory(struct host_cx *cx); /* fetches cx->mem again */

enum abi_trap host_fail(struct host_instance *in, enum abi_trap t, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* From linear memory at ptr (aligned and in bounds), from flat core values. dst is in host layout. */
enum abi_trap host_load(struct host_cx *cx, const struct host_type *t, uint64_t ptr, void *dst);
enum abi_trap host_lift_flat(struct host_cx *cx, const struct host_type *t, const uint64_t **v, void *dst);
/* Checks alignment and bounds, then loads. */
enum abi_trap host_load_at(struct host_cx *cx, const struct host_type *t, uint64_t ptr, void *dst);
enum abi_trap host_store(struct host_cx *cx, const struct host_type *t, uint64_t ptr, const void *src);
enum abi_trap host_lower_flat(struct host_cx *cx, const struct host_type *t, uint64_t **v, const void *src);
enum abi_trap host_store_at(struct host_cx *cx, const struct host_type *t, uint64_t ptr, const void *src);
/* realloc(0, 0, align, n) with its result checked. */
enum abi_trap host_allocate(struct host_cx *cx, uint32_t align, uint64_t n, const char *what, uint64_t *ptr);

/* memmove, as work. */
enum abi_trap host_copy(struct host_cx *cx, void *to, const void *from, uint64_t n);

/* Strings: between linear memory and str. In fused mode str.n carries the encoding in its top bits. */
enum abi_trap host_lift_string(struct host_cx *cx, uint64_t ptr, uint64_t units, str *out);
enum abi_trap host_lower_string(struct host_cx *cx, str s, uint64_t *ptr, uint64_t *units);

/* Owns in a value, in the order in which they are lowered: drops those from number `skip` on. */
void host_value_drop_from(struct host_instance *in, const struct host_type *t, const void *value, uint32_t skip);
/* Something owned has been taken out of a table. */
enum abi_trap host_moved_add(struct host_cx *cx, const struct host_resource *type, uint64_t rep);
/* After a failed lift: drops what was taken out of the table for it. */
void host_moved_drop(struct host_call *call);
/* At the end of a call: handles lent for it may be dropped again. */
void host_lends_return(struct host_call *call);

/* ---- types ------------------------------------------------------------------------------------ */

/* Types of a plan for one pointer size, by plan index; parameters as a record. Allocated in out. */
const struct host_type *const *host_types_of_plan(arena *out, const struct plan *plan,
                                                  const struct host_resource *const *resources, bool ptr64);
const struct host_type *host_params_of_plan(arena *out, const struct plan *plan, uint32_t func_type,
                                            const struct host_type *const *types, bool ptr64);

/* ---- offers ----------------------------------------------------------------------------------- */

/* By plan resource: what is offered for an imported one (NULL: nothing), a new one for the guest's own. */
const struct host_resource *const *host_resources_of_plan(arena *out, const struct plan *plan, const struct host_offer *offer);
/* What is offered for an import, by names; its type is not looked at. NULL: nothing. */
const struct host_func *host_offer_find(const struct host_offer *offer, const struct plan_import *import);
/* As host_offer_check, with the plan's types at hand. */
err host_offer_check_types(const struct host_offer *offer, const struct plan *plan, const struct host_resource *const *resources,
                           const struct host_type *const *types, struct diag *d);

/* ---- calls ------------------------------------------------------------------------------------ */

enum abi_trap host_core_call(struct host_instance *in, const struct host_core *f, uint64_t *args);
enum abi_trap host_bound(struct engine_call *call, uint64_t *args); /* the engine_host_fn of every binding */
/* enter: may_enter_from and enter_from; caller UINT32_MAX: the host. */
enum abi_trap host_enter(struct host_instance *in, uint32_t callee, uint32_t caller);
void host_leave(struct host_instance *in, uint32_t callee, uint32_t caller);
bool host_may_enter(const struct host_instance *in, uint32_t callee, uint32_t caller);
static inline uint32_t host_ci_number(const struct host_instance *in, const struct host_ci *ci) {
    return ci ? (uint32_t)(ci - in->cis) : PLAN_NONE;
}

/* ---- threads (thread.c) ----------------------------------------------------------------------- */

void host_thread_add(struct host_instance *in, struct host_thread *t, struct host_task *task, struct host_ci *ci,
                     enum host_step step); /* suspended; the rest of *t is zero */
void host_thread_remove(struct host_thread *t);
void host_thread_free(struct host_thread *t); /* and its task, if it was the last of it */
/* The current thread resumes t, and goes on when that blocks or ends. */
enum abi_trap host_resume(struct host_instance *in, struct host_thread *t, bool cancelled);
/* The current thread waits; *cancelled may be NULL where it cannot be. */
enum abi_trap host_wait(struct host_instance *in, enum host_wait wait, void *on, bool cancellable, bool *cancelled);
/* t, without a fiber from here on, is to be resumed by the event loop when it can. */
void host_wait_without_fiber(struct host_thread *t, enum host_wait wait, void *on, bool cancellable);
bool host_is_ready(const struct host_thread *t); /* what it waits for has come */
void host_poke(struct host_thread *t);           /* what it waits for may have come */
void host_unhold(struct host_ci *ci);            /* exclusive use or backpressure has ended */
/* A fiber of the owner becomes the thread t: waits until no other runs. */
enum abi_trap host_base_begin(struct host_instance *in, struct host_thread *t, struct host_task *task);
void host_base_end(struct host_instance *in, struct host_thread *t);
/* fn on a fiber of the instance when no thread runs. False: too many threads. */
bool host_job(struct host_instance *in, enum abi_trap (*fn)(struct host_instance *in, void *arg), void *arg);
/* The event loop's turn, if no thread runs. */
void host_schedule(struct host_instance *in);
/* The instance has trapped: everybody who waits is told. */
void host_die(struct host_instance *in, enum abi_trap t);
enum abi_trap host_cannot_block(struct host_instance *in, const char *also);
bool host_on_thread(const struct host_instance *in); /* this stack is that of in->thread */

/* ---- tasks (task.c) --------------------------------------------------------------------------- */

enum abi_trap host_thread_run(struct host_thread *t); /* its step; it may be freed */
bool host_deliver_cancel(struct host_task *task, bool cancellable);
/* The callee has been entered. Runs it until it blocks or ends. task: all but lift, call, who called is zero. */
void host_task_free(struct host_task *task);                                          /* none of its threads is alive */
struct host_task *host_task_new(struct host_instance *in, const struct host_lift *l); /* NULL: too many */
enum abi_trap host_task_begin(struct host_instance *in, struct host_task *task);
enum abi_trap host_task_request_cancel(struct host_instance *in, struct host_task *task, uint32_t caller);
/* A function that is not async, on its caller's stack. */
enum abi_trap host_task_run_here(struct host_instance *in, struct host_task *task, struct host_thread *t);
/* A task on the stack ends, with its implicit thread: threads that outlive it keep a copy. */
void host_task_leave_stack(struct host_instance *in, struct host_task *task, struct host_thread *implicit);
bool host_has_backpressure(const struct host_task *task);
enum abi_trap host_lower_result(struct host_cx *cx, const struct host_binding *b, const void *result, uint64_t *slots,
                                uint64_t ptr);
enum abi_trap host_lift_params(struct host_cx *cx, const struct host_binding *b, const uint64_t *slots, void *args);
void *host_room(struct host_call *call, const struct host_type *t, void *small);
enum abi_trap host_too_much(struct host_instance *in);

/* ---- subtasks (subtask.c) --------------------------------------------------------------------- */

enum abi_trap host_lower_async(struct host_instance *in, const struct host_binding *b, uint64_t *slots);
enum abi_trap host_subtask_start(struct host_subtask *s, void *args); /* lifts the arguments */
enum abi_trap host_subtask_resolve(struct host_subtask *s, enum host_subtask_state state, const void *result);
void host_subtask_free(struct host_subtask *s);
void host_pendings_gone(struct host_instance *in);
void host_invocations_fail(struct host_instance *in, enum abi_trap t);
/* The rest of inv is filled in; values go to memory. */
void host_invoke_with(struct host_invocation *inv, struct host_call *memory);
void host_task_set_root(struct host_task *task, struct host_invocation *root);
void host_task_leave_root(struct host_task *task);
void host_invocation_resolved(struct host_invocation *inv, bool cancelled);

/* ---- waitables (waitable.c) ------------------------------------------------------------------- */

void host_waitable_notify(struct host_waitable *w); /* it has an event */
struct host_event_data host_waitable_take(struct host_waitable *w);
void host_waitable_leave(struct host_waitable *w);                                         /* its set */
struct host_wset *host_wset_get(struct host_instance *in, struct host_ci *ci, uint32_t i); /* NULL: it is none */
bool host_wset_has_event(const struct host_wset *s);
struct host_event_data host_wset_take(struct host_wset *s);
struct host_event_data host_subtask_event(struct host_subtask *s);
struct host_event_data host_end_event(struct host_end *e);
enum abi_trap host_no_such(struct host_instance *in, struct host_ci *ci, uint32_t i, const char *want);
enum abi_trap host_full(struct host_instance *in, const struct host_ci *ci);
enum abi_trap host_in_set(struct host_instance *in);

/* ---- notes (note.c) --------------------------------------------------------------------------- */

void host_tell(struct host_instance *in);     /* some of the notes, if there are any */
void host_tell_all(struct host_instance *in); /* all: at its release */
void host_notes_post(void *in);               /* in->post */
bool host_is_telling(void);                   /* who is told is on the stack */

/* ---- streams (stream.c, pipe.c) --------------------------------------------------------------- */

struct host_pipe *host_pipe_new(struct host_instance *in, bool future);
void host_pipe_unref(struct host_pipe *p);
void host_end_drop(struct host_end *e);           /* from wherever it was */
void host_end_wake(struct host_end *e);           /* its waker is told, if it is the host's */
void host_pipes_gone(struct host_instance *in);   /* it has died */
void host_pipes_detach(struct host_instance *in); /* that was told, and it is released: guests' ends go with it */
enum abi_trap host_pipe_take_offer(struct host_instance *in,
                                   struct host_pipe *p); /* on a fiber of in: what host code offers to a guest */
enum abi_trap host_lift_end(struct host_cx *cx, const struct host_type *t, uint32_t i, void **out);
enum abi_trap host_lower_end(struct host_cx *cx, const struct host_type *t, void *value, uint64_t *out);
enum abi_trap host_lift_error_context(struct host_cx *cx, uint32_t i, void **out);
enum abi_trap host_lower_error_context(struct host_cx *cx, void *value, uint64_t *out);

/* ---- built-ins -------------------------------------------------------------------------------- */

#define HOST_BUILTIN(name) enum abi_trap host_##name(struct host_instance *in, const struct host_binding *b, uint64_t *slots)
HOST_BUILTIN(task_return);
HOST_BUILTIN(task_cancel);
HOST_BUILTIN(subtask_cancel);
HOST_BUILTIN(subtask_drop);
HOST_BUILTIN(wset_new);
HOST_BUILTIN(wset_wait);
HOST_BUILTIN(wset_poll);
HOST_BUILTIN(wset_drop);
HOST_BUILTIN(waitable_join);
HOST_BUILTIN(pipe_new_builtin); /* stream.new, future.new */
HOST_BUILTIN(end_read);
HOST_BUILTIN(end_write);
HOST_BUILTIN(end_cancel_read);
HOST_BUILTIN(end_cancel_write);
HOST_BUILTIN(end_drop_readable);
HOST_BUILTIN(end_drop_writable);
HOST_BUILTIN(error_context_new_builtin);
HOST_BUILTIN(error_context_debug_message);
HOST_BUILTIN(error_context_drop_builtin);
HOST_BUILTIN(thread_index);
HOST_BUILTIN(thread_new_indirect);
HOST_BUILTIN(thread_resume_later);
HOST_BUILTIN(thread_suspend);
HOST_BUILTIN(thread_yield);
HOST_BUILTIN(thread_suspend_then_resume);
HOST_BUILTIN(thread_yield_then_resume);
HOST_BUILTIN(thread_suspend_then_promote);
HOST_BUILTIN(thread_yield_then_promote);
#endif
