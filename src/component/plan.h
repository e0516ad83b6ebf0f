/* plan: the whole instantiation graph of a component (or of a plain core module), flattened to tables.
 *
 * 1. Everything refers by index into the arrays of struct plan; PLAN_NONE is "none".
 * 2. core_instances are in instantiation order: each uses only what earlier ones and canons give it.
 * 3. A plan_core_def is resolved through every alias and re-export: an EXPORT names the core instance that
 * *defines* the item (never one that imported it), so two equal defs are the same item and unequal ones are
 * different.
 * 4. Types are structurally unique: equal index = equal type. Resources are unique by identity; imports of
 * one interface's resource through several versions of one semver track are one resource.
 * 5. Types 0 … COMPONENT_PRIMITIVES-1 are the primitives, at the index of their kind.
 * 6. A plan is plain data; it borrows the bytes it was made or loaded from for its strings.
 *
 *   root import ── lower ──> canons[] ──> core_instances[].imports ──> core code
 *   root export ── exports[] ──> lifts[] ──> core_instances[] export
 */
#ifndef ORLO_COMPONENT_PLAN_H
#define ORLO_COMPONENT_PLAN_H

#include "component/component.h"
#include "wasm/wasm.h"

#define PLAN_NONE UINT32_MAX
enum { PLAN_INSTANCES_MAX = 1000, PLAN_FLAT_MAX = 16 /* MAX_FLAT_PARAMS */ };

/* ---- core side ---------------------------------------------------------------------------------- */

/* A core module: bytes in the file. The same bytes instantiated twice are one module. */
struct plan_module {
    uint64_t offset, size;
    /* Decoded; only where the plan was built (the compile job), NULL after plan_load. */
    const struct wasm_module *module;
};

/* A core function, table, memory, global or tag. */
struct plan_core_def {
    enum plan_core_def_kind {
        PLAN_DEF_NONE,
        /* Item `index`, in the index space of `extern_kind`, of core_instances[instance], which defines it.
         */
        PLAN_DEF_EXPORT,
        PLAN_DEF_CANON, /* a function: canons[index] (a lowered function or a built-in) */
        PLAN_DEF_HOST   /* of a plain core module: host_imports[index] */
    } kind;
    uint32_t extern_kind; /* enum wasm_extern_kind */
    uint32_t instance, index;
};

struct plan_core_instance {
    uint32_t module;             /* modules[] */
    uint32_t component_instance; /* instances[]: whose it is */
    /* import_defs[]: one per import of the module, in the module's order */
    uint32_t imports_first, imports_count;
};

/* A plain core module's import, for a host to match by names. */
struct plan_host_import {
    str module, name;
    uint32_t extern_kind;
    uint32_t core_instance, import; /* whose import it is */
};

/* ---- component instances ------------------------------------------------------------------------ */

/* Each has its own handle table and its may_enter/may_leave state. instances[0] is the root. */
struct plan_instance {
    uint32_t parent; /* PLAN_NONE for the root */
};

/* ---- types -------------------------------------------------------------------------------------- */

/* Canonical ABI layout for 32-bit [0] and 64-bit [1] pointers (CanonicalABI.md, Alignment, Element Size,
 * Flattening). */
enum plan_flat { PLAN_I32, PLAN_I64, PLAN_F32, PLAN_F64 };
struct plan_layout {
    uint32_t size, align;
    uint32_t flat_count;         /* PLAN_FLAT_MAX + 1: more than fit */
    uint8_t flat[PLAN_FLAT_MAX]; /* enum plan_flat; the first flat_count are meant, if they fit */
};
struct plan_type {
    enum component_type_kind kind;
    /* LIST, FIXED_LIST, OPTION, STREAM, FUTURE: the element; RESULT: ok; MAP: key. PLAN_NONE: no payload */
    uint32_t element;
    uint32_t error;    /* RESULT: error; MAP: value. PLAN_NONE: no payload */
    uint32_t length;   /* FIXED_LIST */
    uint32_t resource; /* OWN, BORROW: resources[] */
    /* fields[]: RECORD fields, TUPLE members (no label), VARIANT cases, FLAGS, ENUM */
    uint32_t fields_first, fields_count;
    uint32_t discriminant_size; /* VARIANT, ENUM, OPTION, RESULT: 1, 2 or 4; else 0 */
    uint32_t payload_offset[2]; /* VARIANT, OPTION, RESULT: from the start, per pointer size */
    str name;                   /* one that it is imported or exported under, for people; may be empty */
    bool has_borrow;            /* transitively */
    bool has_pointer;           /* transitively a string, list or map: lifting needs memory, lowering realloc */
    bool has_handle;            /* transitively a handle, stream, future or error-context */
    struct plan_layout layout[2];
};
struct plan_field {
    str name;
    uint32_t type;      /* PLAN_NONE: case without payload, flag, enum case */
    uint32_t offset[2]; /* RECORD, TUPLE: from the start, per pointer size */
};

struct plan_func_type {
    bool is_async;
    /* fields[]; offsets as in a tuple of the parameters, for when they are passed in memory */
    uint32_t params_first, params_count;
    uint32_t result;              /* types[], PLAN_NONE */
    struct plan_layout params[2]; /* of the parameters as one tuple */
};

struct plan_resource {
    bool imported;
    /* defined here: */
    uint32_t instance;               /* instances[]: the defining component instance */
    struct plan_core_def destructor; /* PLAN_DEF_NONE: none */
    bool rep64;                      /* representation is i64 (else i32) */
    /* imported: */
    str interface, name; /* "wasi:http/types@0.2.3", "fields"; interface empty for a root-level type import */
    str label;           /* a name to show people, either way; may be empty */
};

/* ---- functions ---------------------------------------------------------------------------------- */

struct plan_options {
    enum component_encoding encoding;
    bool is_async;
    bool memory64;
    struct plan_core_def memory, realloc, post_return, callback; /* PLAN_DEF_NONE: not given */
};

/* A component function that can be called: somebody's lift, or a leaf import of the root. */
struct plan_func {
    enum plan_func_kind { PLAN_FUNC_LIFT, PLAN_FUNC_IMPORT } kind;
    uint32_t index; /* lifts[] or imports[] */
};

/* canon lift: core function → component function. */
struct plan_lift {
    struct plan_core_def func;
    uint32_t type;     /* func_types[] */
    uint32_t instance; /* instances[] */
    struct plan_options options;
};

/* canon lower and built-ins: a core function for core code. */
struct plan_canon {
    enum component_canon_kind kind; /* never LIFT */
    uint32_t instance;              /* instances[]: the caller's component instance (its handle table, its may_leave) */
    struct plan_options options;
    struct plan_func target; /* LOWER */
    uint32_t func_type;      /* LOWER: func_types[]; THREAD_*: PLAN_NONE */
    /* types[]. STREAM_*, FUTURE_*: the stream or future itself; TASK_RETURN: the result, or PLAN_NONE */
    uint32_t type;
    uint32_t resource;          /* RESOURCE_*: resources[] */
    bool is_async;              /* *.CANCEL_*, SUBTASK_CANCEL: the async immediate */
    bool cancellable;           /* THREAD_*, WAITABLE_SET_WAIT/POLL */
    bool shared;                /* THREAD_SPAWN_*, THREAD_AVAILABLE_PARALLELISM */
    uint32_t immediate;         /* CONTEXT_GET/SET: slot index; THREAD_NEW_INDIRECT: canonical id of the start function's type */
    bool immediate64;           /* CONTEXT_GET/SET: i64; THREAD_NEW_INDIRECT: the start function takes an i64 */
    bool table64;               /* THREAD_NEW_INDIRECT: the table's indices are i64 */
    struct plan_core_def table; /* THREAD_NEW_INDIRECT, THREAD_SPAWN_INDIRECT */
};
/* WAITABLE_SET_WAIT/POLL keep their memory in options.memory. */

/* The core signature of a canon (what core code imports) or of a lift's core function (CanonicalABI.md,
 * Flattening). */
struct plan_core_sig {
    uint8_t params[PLAN_FLAT_MAX + 1], results[1]; /* enum plan_flat */
    uint32_t params_count, results_count;
    bool params_in_memory; /* too many: one pointer instead */
    /* Too large. Lower: a pointer after the parameters; lift: the result is a pointer. */
    bool result_in_memory;
};

/* ---- outside ------------------------------------------------------------------------------------ */

/* A function that the root needs from its host. */
struct plan_import {
    /* "wasi:http/types@0.2.3"; empty for a function imported at the root; "a/b" for instance b of instance a
     */
    str interface;
    str name;      /* "[method]fields.append" */
    uint32_t type; /* func_types[] */
};

/* What the root exports, as a tree: children follow their parent; parent PLAN_NONE = at the root. */
struct plan_export {
    enum plan_export_kind {
        PLAN_EXPORT_FUNC,
        PLAN_EXPORT_INSTANCE,
        PLAN_EXPORT_RESOURCE,
        PLAN_EXPORT_TYPE,
        PLAN_EXPORT_OTHER
    } kind;
    str name;
    uint32_t parent;
    struct plan_func func; /* FUNC */
    uint32_t index;        /* FUNC: func_types[]; RESOURCE: resources[]; TYPE: types[] */
};

struct plan {
    bool is_core; /* made by plan_of_core_module */
    struct plan_module *modules;
    struct plan_core_instance *core_instances;
    struct plan_core_def *import_defs;
    struct plan_host_import *host_imports;
    struct plan_instance *instances;
    struct plan_type *types;
    struct plan_field *fields;
    struct plan_func_type *func_types;
    struct plan_resource *resources;
    struct plan_lift *lifts;
    struct plan_canon *canons;
    struct plan_import *imports;
    struct plan_export *exports;
    uint32_t modules_count, core_instances_count, import_defs_count, host_imports_count, instances_count, types_count,
        fields_count, func_types_count, resources_count, lifts_count, canons_count, imports_count, exports_count;
};

/* The plan of one core module: one core instance, every import a PLAN_DEF_HOST. Borrows module and bytes. */
void plan_of_core_module(arena *out, const struct wasm_module *module, uint64_t offset, uint64_t size, struct plan *plan);

/* Flat bytes for the signed image. */
void plan_save(const struct plan *plan, struct buf *out);
/* plan's strings borrow `bytes`. Every index is checked once here, so users need not. ERR_MALFORMED. */
[[nodiscard]] err plan_load(arena *out, str bytes, struct plan *plan);

/* Core signatures. */
void plan_lift_sig(const struct plan *plan, const struct plan_lift *lift, struct plan_core_sig *sig);
void plan_canon_sig(const struct plan *plan, const struct plan_canon *canon, struct plan_core_sig *sig);

/* Look-ups at deployment. interface empty: at the root. An exported interface is matched by semver track, the
 * exact name first. */
const struct plan_export *plan_export_find(const struct plan *plan, str interface, str name);

/* A type in WIT's spelling, appended, as the right side of its definition: never by its own name. */
void plan_print_type_definition(const struct plan *plan, uint32_t type, struct buf *out);
void plan_print_func(const struct plan *plan, uint32_t func_type, struct buf *out);

#endif
