/* component_int: the decoded component and its types, as decoding, validation, plan building and printing
 * share them.
 *
 * 1. A ctype is immutable once made. Its address is its *name* (visibility rules go by it); its `sid` is its
 * structure: two value or function types are equal iff their sids are equal.
 * 2. A resource's identity is its struct cres. Abstract resources (imports, results of instantiation,
 * ascribed exports) get a cres of their own; which real resource stands behind one is known only to the plan
 * (plan_build.c).
 * 3. Instances in index spaces are opened: no bound resources (`fresh` empty). Instance types and component
 * types bind theirs.
 * 4. A component is the list of its definitions, in order; plan_build.c replays them for each instantiation.
 */
#ifndef ORLO_COMPONENT_INT_H
#define ORLO_COMPONENT_INT_H

#include "component/component.h"
#include "component/plan.h"
#include "wasm/wasm.h"

enum {
    CMAX_TYPE_SIZE = 1'000'000, /* nodes of a type, written out as a tree */
    CMAX_TYPE_DEPTH = 100,      /* nesting of value types; twice that for instance and component types */
    CMAX_SCOPE_DEPTH = 100,     /* nested components and types */
    CMAX_COUNT = 100'000,       /* entries of one index space, names of one scope */
    CMAX_PARAMS = 1'000,        /* parameters, fields, cases */
};
#define CMAX_VALUE_BYTES (1u << 28) /* Binary.md: elem_size(t, 'i64') is less than this */

/* ---- types -------------------------------------------------------------------------------------- */

struct cscope;
struct ctype;

struct cres {
    uint32_t id;
    const struct cscope *owner; /* the component that defines it; NULL: abstract */
    bool rep64;
    uint32_t dtor; /* core function index in owner, or PLAN_NONE */
};

/* A core function, table, memory, global or tag type; type ids are canonical. */
struct ccore {
    enum wasm_extern kind;
    uint32_t type_id;          /* func, tag */
    wasm_type type;            /* table elements, global */
    bool mutable;              /* global */
    struct wasm_limits limits; /* table, memory */
};
struct ccore_named {
    str module, name; /* module: imports only */
    struct ccore type;
};
struct cmodule_type {
    struct ccore_named *imports, *exports;
    uint32_t imports_count, exports_count;
    uint32_t size;
};
struct ccore_instance_type { /* of a core instance: what it exports */
    struct ccore_named *exports;
    uint32_t exports_count;
    struct map by_name;
};

enum centity_kind { CE_MODULE, CE_FUNC, CE_VALUE, CE_TYPE, CE_COMPONENT, CE_INSTANCE };
struct centity {
    enum centity_kind kind;
    const struct ctype *type;          /* all but CE_MODULE; CE_TYPE: the new name */
    const struct ctype *referenced;    /* CE_TYPE: the type behind it; equal to type for a fresh resource */
    const struct cmodule_type *module; /* CE_MODULE */
};
struct cextern {
    str name;
    struct centity e;
};

enum { CT_FUNC = COMPONENT_TYPE_COUNT, CT_COMPONENT, CT_INSTANCE, CT_RESOURCE };
struct cfield {
    str name;
    const struct ctype *type; /* NULL: no payload */
};
struct ctype {
    uint8_t kind;  /* enum component_type_kind or CT_* */
    bool is_async; /* CT_FUNC */
    bool has_borrow, has_resource, has_pointer;
    uint8_t depth;
    uint32_t uid;    /* of this name */
    uint32_t sid;    /* of the structure; value and function types */
    uint32_t size;   /* nodes, as a tree */
    uint32_t length; /* COMPONENT_TYPE_FIXED_LIST */
    /* As plan_type.element and .error; OWN, BORROW: the resource; CT_FUNC: result. */
    const struct ctype *elem, *err;
    const struct cfield *fields; /* RECORD, VARIANT, TUPLE, FLAGS, ENUM; CT_FUNC: parameters */
    uint32_t fields_count;
    uint64_t bytes[2]; /* value types: element size, 32- and 64-bit pointers */
    uint8_t align[2];
    struct cres *res;                        /* CT_RESOURCE */
    str name;                                /* that it was imported or exported under; for people */
    const struct cextern *imports, *exports; /* CT_COMPONENT; CT_INSTANCE: exports */
    uint32_t imports_count, exports_count;
    struct map exports_by_name;
    struct cres *const *imported, *const *fresh; /* bound resources: of imports; of exports */
    uint32_t imported_count, fresh_count;
};

/* ---- definitions -------------------------------------------------------------------------------- */

enum csort { /* of an index */
             CSORT_CORE_FUNC,
             CSORT_CORE_TABLE,
             CSORT_CORE_MEMORY,
             CSORT_CORE_GLOBAL,
             CSORT_CORE_TAG,
             CSORT_CORE_TYPE,
             CSORT_CORE_MODULE,
             CSORT_CORE_INSTANCE,
             CSORT_FUNC,
             CSORT_VALUE,
             CSORT_TYPE,
             CSORT_COMPONENT,
             CSORT_INSTANCE
};
struct cref { /* a named argument, or an inline export */
    str name;
    enum csort sort;
    uint32_t index;
    struct centity e; /* component level: its type */
};

struct coptions { /* canonopt*; indices into core index spaces, PLAN_NONE: absent */
    enum component_encoding encoding;
    bool has_encoding, is_async;
    uint32_t memory, realloc, post_return, callback;
};
struct ccanon {
    enum component_canon_kind kind;
    uint32_t func;            /* LIFT: core function; LOWER: function */
    const struct ctype *type; /* LIFT, LOWER: function type; RESOURCE_*: resource; STREAM_*, FUTURE_*;
                                 TASK_RETURN: result or NULL */
    struct coptions options;
    bool is_async, cancellable, shared;
    uint32_t memory, table; /* immediates, else PLAN_NONE */
    uint32_t immediate;
    bool immediate64, table64;
    bool memory64;
};

enum cdef_kind {
    CDEF_MODULE,
    CDEF_CORE_INSTANCE,
    CDEF_CORE_EXPORTS,
    CDEF_COMPONENT,
    CDEF_INSTANCE,
    CDEF_EXPORTS,
    CDEF_ALIAS_EXPORT,
    CDEF_ALIAS_CORE_EXPORT,
    CDEF_ALIAS_OUTER,
    CDEF_CANON,
    CDEF_IMPORT,
    CDEF_EXPORT
};
struct cdef {
    enum cdef_kind kind;
    enum csort sort; /* aliases, EXPORT */
    uint32_t index;  /* instantiated module or component; instance aliased; outer count; EXPORT: index; MODULE:
                       modules[] */
    uint32_t outer_index;
    str name;                /* alias export, import, export */
    const struct cref *refs; /* arguments, inline exports; args of a core instantiation: sort CORE_INSTANCE */
    uint32_t refs_count;
    struct centity e; /* IMPORT, EXPORT (the new item), INSTANCE, ALIAS_EXPORT: type of the result */
    const struct ccanon *canon;
    struct component *component; /* COMPONENT */
};

struct cmodule { /* an embedded core module */
    uint64_t offset;
    struct wasm_module *module;
    const struct cmodule_type *type;
};

/* Attributes of imports and exports that the plan or a person may want. */
struct component {
    str bytes;       /* of this component, preamble included */
    uint64_t offset; /* in the file */
    struct cscope *scope;
    const struct ctype *type;
    VEC(struct cdef) defs;
    VEC(struct cmodule) modules; /* embedded directly */
    struct ctypes *types;
    uint32_t depth;
};

/* ---- making types (types.c) --------------------------------------------------------------------- */

struct ctypes { /* one for a root component and everything in it */
    arena *arena;
    struct map structures; /* key bytes -> sid */
    struct buf key;        /* scratch for keys */
    uint32_t uids, sids, res_ids;
    struct wasm_types *core;
    const struct ctype *primitives[COMPONENT_PRIMITIVES];
};
struct ctypes *ctypes_new(arena *out);

/* Completes a value or function type whose kind, elem, err, fields, length are set: sizes, flags, sid; a copy
 * in the arena. ERR_LIMIT, ERR_INVALID: too large, too deep. */
[[nodiscard]] err ctypes_make(struct ctypes *ts, const struct ctype *proto, const struct ctype **out, struct diag *d,
                              uint64_t at);
struct ctype *ctypes_new_node(struct ctypes *ts, uint8_t kind);
/* A new name for t. */
const struct ctype *ctypes_alias(struct ctypes *ts, const struct ctype *t);
struct cres *ctypes_new_res(struct ctypes *ts, const struct cscope *owner);
const struct ctype *ctypes_res_node(struct ctypes *ts, struct cres *r);
/* Fills size and exports_by_name of an instance or component type. */
[[nodiscard]] err ctypes_seal(struct ctypes *ts, struct ctype *t, struct diag *d, uint64_t at);
bool ctype_is_value(const struct ctype *t);
/* Refers to a resource that it does not itself bind. */
bool ctypes_has_free(struct ctypes *ts, const struct ctype *t);
/* The resources that n items refer to and do not bind, by id. */
struct cptrs *ctypes_free(struct ctypes *ts, const struct cextern *x, uint32_t n);
const struct cextern *ctype_export(const struct ctype *t, str name);

/* Substitution of resources. */
struct csubst {
    struct ctypes *ts;
    struct cptrs *res;  /* cres id -> struct ctype * (resource node) */
    struct cptrs *memo; /* ctype uid -> struct ctype * */
    bool renames;       /* names of types are replaced too */
};
void csubst_init(struct csubst *s, struct ctypes *ts);
void csubst_bind(struct csubst *s, const struct cres *from, const struct ctype *to);
/* Puts the name `to` in place of `from`. */
void csubst_rename(struct csubst *s, const struct ctype *from, const struct ctype *to);
const struct ctype *csubst_res(const struct csubst *s, const struct cres *from); /* NULL: not bound */
const struct ctype *csubst_type(struct csubst *s, const struct ctype *t);
struct centity csubst_entity(struct csubst *s, struct centity e);

/* u32 -> pointer, in an arena. */
struct cptrs;
struct cptrs *cptrs_new(arena *out);
void *cptrs_get(const struct cptrs *m, uint32_t key);
/* m has a key that neither a nor b (may be NULL) has. */
bool cptrs_other(const struct cptrs *m, const struct cptrs *a, const struct cptrs *b);
void cptrs_put(arena *out, struct cptrs *m, uint32_t key, void *value);

/* Flattening into core types; count is PLAN_FLAT_MAX + 1 when it does not fit. */
struct cflat {
    uint32_t count;
    uint8_t types[PLAN_FLAT_MAX + 1]; /* enum plan_flat */
};
void cflat_type(struct cflat *f, const struct ctype *t, bool ptr64);
/* The core signature of a lifted or lowered function of type ft. */
void cflat_func(const struct ctype *ft, bool lift, bool is_async, bool has_callback, bool ptr64, struct plan_core_sig *sig);

/* ---- subtyping (subtype.c) ---------------------------------------------------------------------- */

[[nodiscard]] err csub_entity(struct ctypes *ts, struct centity a, struct centity b, struct diag *d, uint64_t at);
[[nodiscard]] err csub_core(struct ctypes *ts, const struct ccore *a, const struct ccore *b, struct diag *d, uint64_t at);
struct cptrs *csub_vars(struct ctypes *ts, struct cres *const *res, uint32_t n);
/* Checks `have` (by name) against what the component type c imports or exports, opening it; s collects what
 * it binds. */
[[nodiscard]] err csub_open(struct csubst *s, const struct cextern *have, uint32_t have_count, const struct cextern *want,
                            uint32_t want_count, struct cres *const *vars, uint32_t vars_count, const char *direction,
                            struct diag *d, uint64_t at);
const char *centity_text(enum centity_kind k);

/* ---- names (name.c) ----------------------------------------------------------------------------- */

/* Checks s against the grammar of labels; what: "record field name" … for the message. */
[[nodiscard]] err cname_label(str s, const char *what, struct diag *d, uint64_t at);
/* externname. is_interface: it is an interfacename. */
[[nodiscard]] err cname_extern(str s, bool *is_interface, struct diag *d, uint64_t at);
/* Names are strongly unique iff these differ (Explainer.md, Name Uniqueness). */
str cname_canonical(arena *out, str name);
bool cname_canonversion(str s);

/* ---- reading ------------------------------------------------------------------------------------ */

/* A cursor with the offset of its start in the file, and where to report. */
struct crd {
    const uint8_t *p, *end, *start;
    uint64_t base;
    struct diag *d;
};
static inline uint64_t crd_at(const struct crd *r) { return r->base + (uint64_t)(r->p - r->start); }
static inline bool crd_end(const struct crd *r) { return r->p == r->end; }
[[nodiscard]] err crd_u8(struct crd *r, uint8_t *v);
[[nodiscard]] err crd_u32(struct crd *r, uint32_t *v);
[[nodiscard]] err crd_s33(struct crd *r, int64_t *v);
[[nodiscard]] err crd_u64(struct crd *r, uint64_t *v);
[[nodiscard]] err crd_bytes(struct crd *r, uint32_t n, str *v);
[[nodiscard]] err crd_name(struct crd *r, str *v);                                       /* UTF-8 checked */
[[nodiscard]] err crd_count(struct crd *r, uint32_t max, const char *what, uint32_t *v); /* of a vec; each entry takes a byte */

/* ---- scopes: a component, or a component or instance type, being decoded (decode.c) ------------- */

struct cnames {           /* strongly unique names of one direction */
    struct map canonical; /* canonical -> index in names */
    VEC(str) names;
    struct map resources; /* names of resources, for [static] */
    /* ctype uid of a resource -> its name (str *), for [method] and [constructor] */
    struct cptrs *resource_names;
};
enum cscope_kind { CSCOPE_COMPONENT, CSCOPE_COMPONENT_TYPE, CSCOPE_INSTANCE_TYPE };
struct ccore_type_def {                /* entry of the core type index space */
    const struct cmodule_type *module; /* or a canonical type: */
    uint32_t type_id;
    /* Defined in this scope, so that its bytes mean here what they meant there. */
    enum { CCORE_TYPE_ELSEWHERE, CCORE_TYPE_FIRST, CCORE_TYPE_MEMBER } origin;
    str group; /* the bytes of its recursion group; FIRST */
};
struct cscope {
    enum cscope_kind kind;
    struct cscope *parent;
    uint32_t depth;
    VEC(uint32_t) core_funcs; /* canonical type ids */
    VEC(struct ccore) core_tables, core_memories, core_globals, core_tags;
    VEC(struct ccore_type_def) core_types;
    VEC(const struct cmodule_type *) core_modules;
    VEC(const struct ccore_instance_type *) core_instances;
    VEC(const struct ctype *) funcs, values, types, components, instances;
    VEC(bool) values_used;
    VEC(struct cextern) imports, exports;
    struct cnames import_names, export_names;
    VEC(struct cres *) imported, fresh;
    struct cptrs *named_imports, *named_exports; /* ctype uids that have an external name */
    struct component *component;                 /* of CSCOPE_COMPONENT */
    uint8_t context_type;                        /* of context.get/set seen: 0 none, else WASM_I32 or WASM_I64 */
    uint64_t type_size;
};

struct cvalidator {
    arena *arena;
    struct diag *d;
    struct ctypes *ts;
    struct component *root;
};

/* sections and declarations, by file */
[[nodiscard]] err cdec_core_type(struct cvalidator *v, struct cscope *s, struct crd *r);                  /* core.c */
[[nodiscard]] err cdec_core_instance(struct cvalidator *v, struct cscope *s, struct crd *r);              /* core.c */
[[nodiscard]] err cdec_core_module(struct cvalidator *v, struct cscope *s, struct crd *r);                /* core.c */
[[nodiscard]] err cdec_core_valtype(struct cvalidator *v, struct cscope *s, struct crd *r, wasm_type *t); /* core.c */
[[nodiscard]] err ccore_export(struct cvalidator *v, const struct cscope *s, uint32_t instance, str name, enum wasm_extern kind,
                               struct ccore *out, uint64_t at);                     /* core.c */
[[nodiscard]] err cdec_type(struct cvalidator *v, struct cscope *s, struct crd *r); /* type_dec.c */
[[nodiscard]] err cdec_externtype(struct cvalidator *v, struct cscope *s, struct crd *r, struct centity *e);
[[nodiscard]] err cdec_resultlist(struct cvalidator *v, struct cscope *s, struct crd *r, const struct ctype **t);
[[nodiscard]] err cdec_canon(struct cvalidator *v, struct cscope *s, struct crd *r);      /* canon.c */
[[nodiscard]] err cdec_alias(struct cvalidator *v, struct cscope *s, struct crd *r);      /* alias.c */
[[nodiscard]] err cdec_import(struct cvalidator *v, struct cscope *s, struct crd *r);     /* extern.c */
[[nodiscard]] err cdec_export(struct cvalidator *v, struct cscope *s, struct crd *r);     /* extern.c */
[[nodiscard]] err cdec_exportdecl(struct cvalidator *v, struct cscope *s, struct crd *r); /* extern.c */
/* A sort byte, two for core sorts. */
[[nodiscard]] err cdec_sort(struct crd *r, enum csort *sort);

/* The type of item `index` of a sort that can be imported and exported. */
[[nodiscard]] err cscope_entity(struct cvalidator *v, struct cscope *s, enum csort sort, uint32_t index, struct centity *e,
                                uint64_t at);
/* Appends an item to its index space. */
[[nodiscard]] err cscope_push(struct cvalidator *v, struct cscope *s, struct centity e, uint64_t at);
[[nodiscard]] err cscope_type(struct cvalidator *v, struct cscope *s, uint32_t index, const struct ctype **t, uint64_t at);
struct cscope *cscope_new(struct cvalidator *v, struct cscope *parent, enum cscope_kind kind);
struct cdef *cscope_def(struct cvalidator *v, struct cscope *s, enum cdef_kind kind); /* NULL in a type scope */
/* The name of an import or export, with its attributes. */
struct cextern_name {
    str name, implements, version_suffix, external_id;
    bool has_implements, has_version_suffix, has_external_id;
};
[[nodiscard]] err cdec_extern_name(struct cvalidator *v, struct crd *r, struct cextern_name *n);
/* Checks and enters a name of an import or export: grammar, uniqueness, the rules of annotated names and
 * attributes. */
[[nodiscard]] err cnames_add(struct cvalidator *v, struct cnames *n, const char *direction, const struct cextern_name *name,
                             struct centity e, uint64_t at);
/* The type of scope s, closed. */
[[nodiscard]] err cscope_close(struct cvalidator *v, struct cscope *s, const struct ctype **t, uint64_t at);

/* The code is written out, so that compilers see that these never return ERR_OK. */
#define CERR(code, at, ...)                                                                                                      \
    do {                                                                                                                         \
        (void)diag_set(v->d, code, (at), __VA_ARGS__);                                                                           \
        return code;                                                                                                             \
    } while (0)
#define CFAIL(at, ...) CERR(ERR_INVALID, at, __VA_ARGS__)
#define CMALFORMED(at, ...) CERR(ERR_MALFORMED, at, __VA_ARGS__)
#define CLIMIT(at, ...) CERR(ERR_LIMIT, at, __VA_ARGS__)
#define CUNSUPPORTED(at, ...) CERR(ERR_UNSUPPORTED, at, __VA_ARGS__)

#endif
