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
    HOST_CHUNKS_KEPT = 64,
    HOST_VALUE_STACK_BYTES = 512, /* arguments and results up to this size live on the native stack */
};

/* ---- handle tables (CanonicalABI.md, Table State) --------------------------------------------- */

enum host_handle_kind { HOST_HANDLE_FREE, HOST_HANDLE_OWN, HOST_HANDLE_BORROW };
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
};
/* 0: the table is full. */
uint32_t host_table_add(struct host_table *t, struct host_handle h);
static inline struct host_handle *host_table_get(const struct host_table *t, uint32_t i) {
    return LIKELY(i < t->n && t->p[i].kind) ? &t->p[i] : NULL;
}
void host_table_remove(struct host_table *t, uint32_t i);
void host_table_clear(struct host_table *t);

/* ---- instances -------------------------------------------------------------------------------- */

void host_instance_free(struct host_instance *in);

/* A task: a call of a lifted function, as the borrow scope of its arguments (CanonicalABI.md, Tasks). */
struct host_task {
    const struct host_lift *lift; /* NULL: a destructor */
    struct host_call *call;
    const struct host_from *from; /* who called */
    void *result;                 /* in host layout */
    uint32_t borrows;
    bool returned;
    uint64_t storage[2]; /* context.get, context.set */
};

struct host_ci { /* a component instance */
    struct host_table table;
    uint32_t parent;
    bool entered;  /* the specification's `not may_enter` */
    bool no_leave; /* `not may_leave` */
    uint16_t backpressure;
};

struct host_instance {
    struct host_component *component;
    struct engine_instance *engine; /* NULL only in tests of lifting and lowering */
    void *user;
    struct host_task *task;       /* the running one */
    struct abi_memory **memories; /* by host_component.memories[]; NULL: not asked for yet */
    struct host_ci *cis;          /* by plan index */
    uint64_t charged;
    bool dead;
    struct host_instance *next; /* free list of the component */
    char text[256];             /* of the last trap, where there is no engine */
};

struct host_chunk {
    struct host_chunk *next;
    size_t bytes; /* after this header */
};

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

struct host_lift {           /* a lifted function */
    bool is_async, callback; /* its result comes by task.return; the core function gives a callback code */
    struct host_core func;
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
    HOST_BIND_TASK_RETURN,
    HOST_BIND_BACKPRESSURE_INC,
    HOST_BIND_BACKPRESSURE_DEC,
    HOST_BIND_UNSUPPORTED, /* traps when it is called */
};
struct host_binding { /* of one canonical definition */
    enum host_binding_kind kind;
    struct host_options o;
    const struct host_type *params, *result; /* as the caller's memory sees them */
    bool params_spilled, result_spilled;
    bool is_async; /* gives a subtask's state */
    uint32_t params_flat;
    host_fn fn;                           /* IMPORT */
    const char *name;                     /* IMPORT, UNSUPPORTED */
    const struct host_lift *lift;         /* LIFT */
    const struct host_resource *resource; /* RESOURCE_* */
    struct host_core dtor;                /* RESOURCE_DROP of a guest's resource */
    uint32_t dtor_ci;
    uint32_t slot; /* CONTEXT_* */
    bool wide;     /* CONTEXT_*: i64 */
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
    struct host_export *exports; /* by exports[]; lift NULL: no function, or an import passed through */
    struct host_instance *free_instances;
    struct host_chunk *chunks; /* free, all of HOST_CHUNK_BYTES */
    uint32_t chunks_count;
};

/* ---- lifting and lowering --------------------------------------------------------------------- */

struct host_cx {
    struct host_call *call;
    struct host_instance *in;
    const struct host_options *o;
    struct host_ci *ci;
    struct engine_bytes mem;
    struct host_task *task; /* lowering arguments: whom borrows are lent to */
    bool fused;    /* component to component: strings keep their encoding (host_string), reps stay 32-bit */
    bool copy;     /* what is lifted must outlive the memory: no pointers into it */
    uint32_t owns; /* lowered so far */
    enum abi_trap (*reallocate)(struct host_cx *cx, const uint64_t args[4], uint64_t *ptr);
};
void host_cx_init(struct host_cx *cx, struct host_call *call, const struct host_options *o);
void host_cx_memory(struct host_cx *cx); /* fetches cx->mem again */
enum abi_trap host_cx_realloc(struct host_cx *cx, const uint64_t args[4], uint64_t *ptr); /* the guest's */

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

/* Strings: between linear memory and str. In fused mode str.n carries the encoding in its top bits. */
enum abi_trap host_lift_string(struct host_cx *cx, uint64_t ptr, uint64_t units, str *out);
enum abi_trap host_lower_string(struct host_cx *cx, str s, uint64_t *ptr, uint64_t *units);

/* Owns in a value, in the order in which they are lowered: drops those from number `skip` on. */
void host_value_drop_from(struct host_instance *in, const struct host_type *t, const void *value,
                          uint32_t skip);
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
/* Fills in the host part of a record from its fields' types. */
void host_layout_record(struct host_type *t, struct host_field *fields);

/* ---- offers ----------------------------------------------------------------------------------- */

/* By plan resource: what is offered for an imported one (NULL: nothing), a new one for the guest's own. */
const struct host_resource *const *host_resources_of_plan(arena *out, const struct plan *plan,
                                                          const struct host_offer *offer);
/* What is offered for an import, by names; its type is not looked at. NULL: nothing. */
const struct host_func *host_offer_find(const struct host_offer *offer, const struct plan_import *import);
const struct host_core_func *host_offer_find_core(const struct host_offer *offer,
                                                  const struct plan_host_import *import);
/* As host_offer_check, with the plan's types at hand. */
err host_offer_check_types(const struct host_offer *offer, const struct plan *plan,
                           const struct host_resource *const *resources, const struct host_type *const *types,
                           struct diag *d);

/* ---- calls ------------------------------------------------------------------------------------ */

enum abi_trap host_core_call(struct host_instance *in, const struct host_core *f, uint64_t *args);
/* A canonical definition, called by core code (or by C in its stead). */
enum abi_trap host_binding_call(struct host_instance *in, const struct host_binding *b, uint64_t *args);
enum abi_trap host_bound(struct engine_call *call, uint64_t *args); /* the engine_host_fn of every binding */
/* enter: may_enter_from and enter_from; caller UINT32_MAX: the host. */
enum abi_trap host_enter(struct host_instance *in, uint32_t callee, uint32_t caller);
void host_leave(struct host_instance *in, uint32_t callee, uint32_t caller);
#endif
