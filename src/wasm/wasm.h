/* wasm: the binary format of WebAssembly 3.0. Decodes, validates, prints; knows nothing of compilers or
 * engines.
 *
 *   bytes ── wasm_decode ──> struct wasm_module ── wasm_validate ──> types canonical, module-level rules hold
 *                                 │                        │
 *                                 └── wasm_print           └── wasm_validate_func, one body at a time ──>
 * struct wasm_func_info
 *
 * 1. A module borrows the bytes it was decoded from; every str in it points into them. Arrays live in the
 * arena.
 * 2. Nothing here keeps more of a function than wasm_func_info, and that only until the next function.
 * 3. After wasm_validate_func succeeded, a body may be read with the unchecked readers wasm_get_* below.
 * 4. opcodes.def is the one list of instructions.
 *
 * Section numbers in comments are those of the core specification, release 3.0.
 */
#ifndef ORLO_WASM_H
#define ORLO_WASM_H

#include "base/base.h"

#define WASM_NO_INDEX UINT32_MAX

/* Implementation limits: those of the JavaScript API specification ("Limits"), so that what runs elsewhere
 * runs here. */
enum {
    WASM_MAX_TYPES = 1'000'000,
    WASM_MAX_FUNCS = 1'000'000,
    WASM_MAX_IMPORTS = 1'000'000,
    WASM_MAX_EXPORTS = 1'000'000,
    WASM_MAX_GLOBALS = 1'000'000,
    WASM_MAX_TAGS = 1'000'000,
    WASM_MAX_DATAS = 100'000,
    WASM_MAX_ELEMS = 10'000'000, /* segments, and entries of one segment */
    WASM_MAX_TABLES = 100'000,
    WASM_MAX_MEMORIES = 1'000,
    WASM_MAX_PARAMS = 1'000,
    WASM_MAX_RESULTS = 1'000,
    WASM_MAX_LOCALS = 50'000, /* parameters included */
    WASM_MAX_FIELDS = 10'000,
    WASM_MAX_SUBTYPE_DEPTH = 63,
    WASM_MAX_BODY_BYTES = 7'654'321,
    WASM_MAX_NESTING = 1 << 20, /* control frames in one body */
};

/* ---- value types (§2.3) -----------------------------------------------------------------------------
 *
 * A wasm_type is one number: 0..7 for the types below; for references  heap << 5 | nullable << 4 | 8.
 * heap < WASM_HEAP_INDEX is an abstract heap type, else WASM_HEAP_INDEX + type index (of the module;
 * canonical id in wasm_types). Equal numbers are equal types; different references may still be equal
 * (wasm_type_equal, wasm_type_sub). */

typedef uint32_t wasm_type;

enum {
    WASM_BOT = 0, /* only inside the validator: any type at all */
    WASM_I32 = 1,
    WASM_I64 = 2,
    WASM_F32 = 3,
    WASM_F64 = 4,
    WASM_V128 = 5,
    WASM_I8 = 6,  /* packed, only in fields */
    WASM_I16 = 7, /* packed, only in fields */
    WASM_REF_BIT = 8,
    WASM_NULL_BIT = 16,
    WASM_HEAP_SHIFT = 5,
};

enum wasm_heap {
    WASM_HEAP_FUNC,
    WASM_HEAP_EXTERN,
    WASM_HEAP_ANY,
    WASM_HEAP_EQ,
    WASM_HEAP_I31,
    WASM_HEAP_STRUCT,
    WASM_HEAP_ARRAY,
    WASM_HEAP_EXN,
    WASM_HEAP_NONE,
    WASM_HEAP_NOFUNC,
    WASM_HEAP_NOEXTERN,
    WASM_HEAP_NOEXN,
    WASM_HEAP_BOT,       /* only inside the validator: below all heap types */
    WASM_HEAP_INDEX = 16 /* + type index */
};

static inline wasm_type wasm_ref(uint32_t heap, bool nullable) {
    return heap << WASM_HEAP_SHIFT | (nullable ? WASM_NULL_BIT : 0) | WASM_REF_BIT;
}
static inline wasm_type wasm_ref_index(uint32_t type_index, bool nullable) {
    return wasm_ref(WASM_HEAP_INDEX + type_index, nullable);
}
#define WASM_FUNCREF ((wasm_type)(WASM_HEAP_FUNC << WASM_HEAP_SHIFT | WASM_NULL_BIT | WASM_REF_BIT))
#define WASM_EXTERNREF ((wasm_type)(WASM_HEAP_EXTERN << WASM_HEAP_SHIFT | WASM_NULL_BIT | WASM_REF_BIT))
static inline bool wasm_is_ref(wasm_type t) { return t & WASM_REF_BIT; }
static inline bool wasm_is_nullable(wasm_type t) { return t & WASM_NULL_BIT; }
static inline uint32_t wasm_heap_of(wasm_type t) { return t >> WASM_HEAP_SHIFT; }
static inline bool wasm_heap_is_index(uint32_t heap) { return heap >= WASM_HEAP_INDEX; }
static inline uint32_t wasm_heap_index(uint32_t heap) { return heap - WASM_HEAP_INDEX; }
/* Has a default value (§3.2.9): all but non-null references. */
static inline bool wasm_is_defaultable(wasm_type t) { return !(t & WASM_REF_BIT) || (t & WASM_NULL_BIT); }
/* u64 slots of the value in a canonical array: v128 takes two, all others one. */
static inline uint32_t wasm_type_slots(wasm_type t) { return t == WASM_V128 ? 2 : 1; }
/* The text of t, as in the text format, e.g. "(ref null 3)"; writes at most n bytes and returns buf. */
const char *wasm_type_text(wasm_type t, char *buf, size_t n);

/* ---- type definitions (§2.3.8-2.3.11) --------------------------------------------------------------- */

enum wasm_comp { WASM_COMP_FUNC, WASM_COMP_STRUCT, WASM_COMP_ARRAY };

struct wasm_field {
    wasm_type type; /* may be packed */
    bool mutable;
};

struct wasm_deftype {
    enum wasm_comp comp;
    bool final;
    uint32_t super;                    /* type index (canonical id in wasm_types), or WASM_NO_INDEX */
    uint32_t group_start, group_count; /* its recursion group, as type indices */
    const wasm_type *params, *results; /* WASM_COMP_FUNC */
    uint32_t params_count, results_count;
    const struct wasm_field *fields; /* WASM_COMP_STRUCT; WASM_COMP_ARRAY has one */
    uint32_t fields_count;
};

/* ---- canonical types: one id for each distinct type, whatever module it came from (§3.1)
 *
 * Two types get the same id iff their recursion groups are equal after rolling. Ids count from 0 in order of
 * interning. Shareable by any number of modules decoded one after the other; not locked. */

struct wasm_types {
    arena *arena;
    VEC(struct wasm_deftype) defs; /* by id; heap types inside hold ids, group_start is an id */
    VEC(uint8_t) depths;           /* length of the chain of supertypes */
    struct map groups;             /* serialised group -> id of its first type */
};
struct wasm_types *wasm_types_new(arena *out);
/* id of a function type made up by the caller (heap types inside hold ids); final, no supertype. Arrays are
 * copied. */
uint32_t wasm_types_func(struct wasm_types *ts, const wasm_type *params, uint32_t params_count, const wasm_type *results,
                         uint32_t results_count);
bool wasm_types_sub(const struct wasm_types *ts, uint32_t sub, uint32_t super); /* by id, reflexive */
/* Subtyping of value types whose heap types hold ids (§3.3). */
bool wasm_types_value_sub(const struct wasm_types *ts, wasm_type sub, wasm_type super);

/* ---- module (§2.5) ---------------------------------------------------------------------------------- */

struct wasm_limits {
    uint64_t min, max; /* max = UINT64_MAX when there is none */
    bool has_max;
    bool is64;   /* address type i64 */
    bool shared; /* threads proposal */
};
static inline wasm_type wasm_address_type(const struct wasm_limits *l) { return l->is64 ? WASM_I64 : WASM_I32; }

/* The bytes of a constant expression, its `end` included. Empty where there is none. */
typedef str wasm_expr;

enum wasm_extern { WASM_EXTERN_FUNC, WASM_EXTERN_TABLE, WASM_EXTERN_MEMORY, WASM_EXTERN_GLOBAL, WASM_EXTERN_TAG };
const char *wasm_extern_text(enum wasm_extern kind); /* "func", "table", ... */

struct wasm_import {
    str module, name;
    enum wasm_extern kind;
    uint32_t index; /* in its kind's index space; its type stands there */
};
struct wasm_export {
    str name;
    enum wasm_extern kind;
    uint32_t index;
};
struct wasm_func {
    uint32_t type; /* type index, always of a function type once decoded and validated */
    str body;      /* locals' declarations and instructions; empty for imports */
};
struct wasm_table {
    wasm_type type;
    struct wasm_limits limits;
    wasm_expr init; /* empty: null */
};
struct wasm_memory {
    struct wasm_limits limits; /* in pages of 64 KiB */
};
struct wasm_global {
    wasm_type type;
    bool mutable;
    wasm_expr init; /* empty for imports */
};
struct wasm_tag {
    uint32_t type;
};
enum wasm_segment { WASM_SEGMENT_ACTIVE, WASM_SEGMENT_PASSIVE, WASM_SEGMENT_DECLARATIVE };
struct wasm_elem {
    enum wasm_segment mode;
    uint32_t table;   /* active only */
    wasm_expr offset; /* active only */
    wasm_type type;
    uint32_t count;
    const uint32_t *funcs;  /* function indices; or NULL, and then */
    const wasm_expr *exprs; /* one expression an element */
};
struct wasm_data {
    enum wasm_segment mode; /* never declarative */
    uint32_t memory;
    wasm_expr offset;
    str bytes;
};
struct wasm_custom {
    str name, bytes;
    uint8_t after; /* id of the last non-custom section before it, 0 at the start */
};

/* Each index space is one array, imports first; *_imported says how many of them are imports. */
struct wasm_module {
    str bytes;
    struct wasm_deftype *types;
    struct wasm_import *imports;
    struct wasm_func *funcs;
    struct wasm_table *tables;
    struct wasm_memory *memories;
    struct wasm_global *globals;
    struct wasm_tag *tags;
    struct wasm_export *exports;
    struct wasm_elem *elems;
    struct wasm_data *datas;
    struct wasm_custom *customs;
    uint32_t types_count, imports_count, exports_count, elems_count, datas_count, customs_count;
    uint32_t funcs_count, tables_count, memories_count, globals_count, tags_count;
    uint32_t funcs_imported, tables_imported, memories_imported, globals_imported, tags_imported;
    uint32_t start; /* function index, or WASM_NO_INDEX */
    bool has_data_count;
    uint64_t code_bytes; /* size of the code section */

    /* Set by wasm_validate. */
    struct wasm_types *canon;      /* the registry, */
    const uint32_t *type_ids;      /* canonical id by type index, */
    const uint8_t *funcs_declared; /* bit i & 7 of byte i >> 3: function i occurs outside function bodies
                                      (§3.5.16, refs) */

    /* Set by wasm_names_decode. */
    str name;              /* module name */
    const str *func_names; /* by function index, empty where unnamed; NULL when there is no name section */
    const str *tag_names;  /* by tag index, likewise */
};

/* Decodes the structure of a module (§5): all sections, without looking into function bodies beyond their
 * sizes. m is overwritten; borrows bytes, arrays in out. ERR_MALFORMED, ERR_LIMIT; d gets the reason and the
 * byte offset. */
[[nodiscard]] err wasm_decode(arena *out, str bytes, struct wasm_module *m, struct diag *d);
/* True if bytes start as a core module does (magic and version 1); a component has version 0xd, layer 1. */
bool wasm_is_module(str bytes);

/* Checks all module-level rules and constant expressions (§3.5), not the bodies. types: the registry to enter
 * the module's types in; NULL makes one in out. Fills type_ids, canon, funcs_declared. ERR_INVALID,
 * ERR_MALFORMED, ERR_LIMIT. */
[[nodiscard]] err wasm_validate(arena *out, struct wasm_module *m, struct wasm_types *types, struct diag *d);

static inline const struct wasm_deftype *wasm_func_type(const struct wasm_module *m, uint32_t func_index) {
    return &m->types[m->funcs[func_index].type];
}
/* Offset in the file of a byte of the module; DIAG_NOWHERE for one that is not (made-up code). */
static inline uint64_t wasm_offset(const struct wasm_module *m, const uint8_t *p) {
    uintptr_t at = (uintptr_t)p - (uintptr_t)m->bytes.p;
    return at <= m->bytes.n ? at : DIAG_NOWHERE;
}
/* Export by name; NULL if there is none. Linear. */
const struct wasm_export *wasm_export_find(const struct wasm_module *m, str name);
/* First custom section of that name; false if there is none. */
bool wasm_custom_find(const struct wasm_module *m, str name, str *bytes);
/* Reads the name section (Appendix, "Name Section") into m; a malformed one is read as far as it goes. */
void wasm_names_decode(arena *out, struct wasm_module *m);
/* Name for a person: from the name section, else an export or an import of that function, else empty. Linear
 * in the worst case. */
str wasm_func_name(const struct wasm_module *m, uint32_t func_index);
/* Subtyping and equality of value types of m (type indices inside); after wasm_validate. */
bool wasm_type_sub(const struct wasm_module *m, wasm_type sub, wasm_type super);
bool wasm_type_equal(const struct wasm_module *m, wasm_type a, wasm_type b);
/* t with canonical ids in place of m's type indices. */
wasm_type wasm_type_canon(const struct wasm_module *m, wasm_type t);

/* ---- function bodies (§3.4, Appendix "Validation Algorithm")
 *
 * The validator counts, on its way, what a one-pass compiler cannot know in advance.
 * Weight: an instruction outside of loops weighs 1, in n nested loops 32^n; sums saturate at UINT32_MAX; code
 * that cannot be reached weighs nothing. Straight code whose end leaves the loop (br, return) weighs as much
 * as what it goes to; before `unreachable` it weighs 1 and its calls nothing. */

enum {
    WASM_LOCAL_WRITTEN = 1,    /* set or teed in reachable code; a parameter without it keeps its argument */
    WASM_LOCAL_NEEDS_ZERO = 2, /* a reachable local.get may come before any local.set: must start at its default. Others need no
              zeroing (the set that dominates a get is found by block structure). Never set for parameters */
};

struct wasm_func_info {
    uint32_t type;                /* type index */
    str code;                     /* instructions, after the locals' declarations; the last byte is the closing `end` */
    const wasm_type *locals;      /* parameters first, declarations expanded */
    const uint32_t *local_weight; /* by local: weight of its gets, sets and tees */
    const uint8_t *local_flags;   /* by local: WASM_LOCAL_* */
    uint32_t params_count, locals_count;
    uint32_t calls_count; /* call, call_indirect, call_ref; the return_ forms are not counted */
    uint32_t calls_weight;
    uint32_t tail_calls_count, throws_count;
    uint32_t instrs_count;   /* all instructions, unreachable ones too */
    uint32_t loop_depth_max; /* nested loops */
    uint32_t controls_max;   /* nested control frames, the function's own included */
    uint32_t operands_max;   /* height of the operand stack in values; a v128 is one */
    bool uses_v128;          /* a v128 operation or a v128 local: a frame slot may be two u64 wide */
    bool is_leaf;            /* no call, tail call, throw, nor an instruction a runtime call may stand behind */
};

struct wasm_validator; /* stacks that are reused from body to body; one thread */
/* m has passed wasm_validate. Freed with out. */
struct wasm_validator *wasm_validator_new(arena *out, const struct wasm_module *m);
/* Validates the body of function func_index (not an import). info may be NULL; its arrays belong to v and
 * stand until v's next call. ERR_INVALID, ERR_MALFORMED, ERR_LIMIT; d says "func N <name>: what" with the
 * byte offset. */
[[nodiscard]] err wasm_validate_func(struct wasm_validator *v, uint32_t func_index, struct wasm_func_info *info, struct diag *d);
/* The same for a body that is not in the module, as the initialiser a linker makes up: it may set immutable
 * globals and take a reference to any function. type: type index of its signature, or WASM_NO_INDEX for [] ->
 * []. */
[[nodiscard]] err wasm_validate_made_up(struct wasm_validator *v, uint32_t type, str body, struct wasm_func_info *info,
                                        struct diag *d);
/* All bodies, in order. */
[[nodiscard]] err wasm_validate_bodies(const struct wasm_module *m, struct diag *d);

/* ---- instructions: opcodes.def ------------------------------------------------------------------ */

/* What follows an opcode. Indices and counts are LEB128 u32 unless said. */
enum wasm_imm {
    WASM_IMM_NONE,
    WASM_IMM_BLOCK, /* block type */
    WASM_IMM_LABEL,
    WASM_IMM_BR_TABLE, /* vec(label), label */
    WASM_IMM_FUNC,
    WASM_IMM_INDIRECT, /* type, table */
    WASM_IMM_TYPE,
    WASM_IMM_SELECT, /* vec(value type) */
    WASM_IMM_LOCAL,
    WASM_IMM_GLOBAL,
    WASM_IMM_TABLE,
    WASM_IMM_TAG,
    WASM_IMM_TRY_TABLE,   /* block type, vec(catch) */
    WASM_IMM_MEMARG,      /* alignment and flags, [memory], offset u64 */
    WASM_IMM_MEMARG_LANE, /* memarg, lane byte */
    WASM_IMM_MEMORY,
    WASM_IMM_MEMORY_COPY, /* destination memory, source memory */
    WASM_IMM_MEMORY_INIT, /* data, memory */
    WASM_IMM_DATA,
    WASM_IMM_TABLE_COPY, /* destination table, source table */
    WASM_IMM_TABLE_INIT, /* elem, table */
    WASM_IMM_ELEM,
    WASM_IMM_I32,        /* s32 */
    WASM_IMM_I64,        /* s64 */
    WASM_IMM_F32,        /* 4 bytes */
    WASM_IMM_F64,        /* 8 bytes */
    WASM_IMM_V128,       /* 16 bytes */
    WASM_IMM_SHUFFLE,    /* 16 lane bytes */
    WASM_IMM_LANE,       /* lane byte */
    WASM_IMM_HEAP,       /* heap type, s33 */
    WASM_IMM_CAST,       /* br_on_cast: flags byte, label, heap type, heap type */
    WASM_IMM_TYPE_FIELD, /* type, field */
    WASM_IMM_TYPE_COUNT, /* type, count */
    WASM_IMM_TYPE_DATA,  /* type, data */
    WASM_IMM_TYPE_ELEM,  /* type, elem */
    WASM_IMM_TYPE_TYPE,  /* type, type */
    WASM_IMM_FENCE,      /* zero byte */
};

/* An opcode as one number: the byte itself, or the code behind a prefix byte plus the prefix's base. */
enum {
    WASM_BASE_PLAIN = 0,
    WASM_BASE_FB = 0x100, /* references, aggregates */
    WASM_BASE_FC = 0x200, /* saturating truncation, bulk operations */
    WASM_BASE_FE = 0x300, /* atomics */
    WASM_BASE_FD = 0x400, /* vectors: codes up to 0x113 */
    WASM_OPS_END = 0x520,
};
enum wasm_op {
#define X(name, prefix, code, text, imm, sig, aux) WASM_OP_##name = WASM_BASE_##prefix + code,
#include "wasm/opcodes.def"
#undef X
};

struct wasm_op_info {
    const char *text; /* NULL: no such opcode */
    const char *sig;  /* "params:results" in letters i l f d v, or "*": not fixed, see opcodes.def */
    uint8_t imm;      /* enum wasm_imm */
    uint8_t aux;      /* memory access: log2 of its bytes; lane operations: number of lanes */
};
extern const struct wasm_op_info wasm_ops[WASM_OPS_END];

/* ---- unchecked readers, for bodies that passed validation --------------------------------------- */

static inline uint64_t wasm_get_leb_more(const uint8_t **p, uint64_t v) {
    const uint8_t *q = *p;
    for (unsigned shift = 7;; shift += 7) {
        uint8_t b = *q++;
        v |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) break;
    }
    *p = q;
    return v;
}
static inline uint64_t wasm_get_u64(const uint8_t **p) {
    uint8_t b = *(*p)++;
    return LIKELY(b < 0x80) ? b : wasm_get_leb_more(p, b & 0x7f);
}
static inline uint32_t wasm_get_u32(const uint8_t **p) { return (uint32_t)wasm_get_u64(p); }
/* Signed LEB128 of up to 64 bits: s32, s33, s64. */
static inline int64_t wasm_get_s64(const uint8_t **p) {
    const uint8_t *q = *p;
    uint64_t v = 0;
    unsigned shift = 0;
    uint8_t b;
    do {
        b = *q++;
        if (shift < 64) v |= (uint64_t)(b & 0x7f) << shift;
        shift += 7;
    } while (b & 0x80);
    if (shift < 64 && (b & 0x40)) v |= ~0ull << shift;
    *p = q;
    return (int64_t)v;
}
static inline int32_t wasm_get_s32(const uint8_t **p) { return (int32_t)wasm_get_s64(p); }

static inline enum wasm_op wasm_get_op(const uint8_t **p) {
    uint8_t b = *(*p)++;
    if (LIKELY(b < 0xfb)) return (enum wasm_op)b;
    uint32_t code = wasm_get_u32(p);
    static const uint16_t base[] = {WASM_BASE_FB, WASM_BASE_FC, WASM_BASE_FD, WASM_BASE_FE};
    return (enum wasm_op)(base[b - 0xfb] + code);
}

struct wasm_memarg {
    uint32_t align; /* log2 */
    uint32_t memory;
    uint64_t offset;
};
static inline struct wasm_memarg wasm_get_memarg(const uint8_t **p) {
    struct wasm_memarg a = {0};
    a.align = wasm_get_u32(p);
    if (UNLIKELY(a.align & 0x40)) a.align &= 0x3f, a.memory = wasm_get_u32(p);
    a.offset = wasm_get_u64(p);
    return a;
}

/* A block's type. Either `type` is a type index, or it is WASM_NO_INDEX and there are no parameters and 0 or
 * 1 results. */
struct wasm_block_type {
    const wasm_type *params, *results;
    uint32_t params_count, results_count;
    uint32_t type;
    wasm_type result; /* what `results` points to when type is WASM_NO_INDEX: mind it when copying the struct */
};
void wasm_get_block_type(const struct wasm_module *m, const uint8_t **p, struct wasm_block_type *out);
wasm_type wasm_get_type(const uint8_t **p); /* value type */
uint32_t wasm_get_heap(const uint8_t **p);  /* heap type: abstract, or WASM_HEAP_INDEX + type index */
/* Steps over the immediates of op. */
/* By instruction: how many LEB128 numbers its immediates are, if they are that. */
enum { WASM_LEBS_MEMARG = 0x80, WASM_LEBS_OTHER };
extern const uint8_t wasm_op_lebs[WASM_OPS_END];
void wasm_skip_imm_slow(const uint8_t **p, enum wasm_op op);
static inline void wasm_skip_imm(const uint8_t **p, enum wasm_op op) {
    unsigned lebs = wasm_op_lebs[op];
    if (UNLIKELY(lebs == WASM_LEBS_OTHER)) {
        wasm_skip_imm_slow(p, op);
        return;
    }
    if (lebs == WASM_LEBS_MEMARG) lebs = **p & 0x40 ? 3 : 2; /* that bit says that a memory is named */
    while (lebs--)
        while (*(*p)++ & 0x80) continue;
}

/* ---- text (§6) ---------------------------------------------------------------------------------- */

/* Appends the module in the text format, with names from the name section (wasm_names_decode) where they are
 * unambiguous. m has passed wasm_validate and its bodies wasm_validate_bodies. */
void wasm_print(struct buf *out, const struct wasm_module *m);

#endif
