/* abi: the contract between compilers (baseline, later LLVM) and the engine. Neither includes the other.
 *
 *   lower addresses                                                      GS = base
 *   [ guard | cold: table elements, … | hot: globals, descriptors, struct abi_ctx ][ linear memory 0 … ][ guard ]
 *             <----------- context, offsets from GS are negative ---------------->
 *
 * 1. A *group* is the core instances that share memory 0, with their one context block. GS holds the group's base. A component's core
 *    instances fall into one or more groups; all groups of an image live in one slot.
 * 2. A global, table or memory is NEAR (its record is at GS + offset) or FAR (a pointer to its record is at GS + offset).
 * 3. Every reference is 8 bytes; null is 0. A funcref is the address of a struct abi_func. A table is an array of references.
 * 4. wasm frames live on the frame stack (grows up, r13); the native stack holds return addresses, nothing of the guest's.
 * 5. Between engine and compiled code, values travel in the *canonical array*: u64 slots, i32 zero-extended, f32 in the low half, v128 in
 *    two slots, results written over the arguments from slot 0.
 */
#ifndef ORLO_ABI_H
#define ORLO_ABI_H

#include "abi/cpu.h"
#include "abi/gc.h"
#include "base/base.h"
#include "wasm/wasm.h"

enum {
    ABI_PAGE = 4096,
    ABI_WASM_PAGE = 65536,
    /* A wasm32 memory access whose constant offset is below this needs no check: the guard catches it. */
    ABI_GUARD_BYTES = 32 << 20,
/* A fiber's; 256 KiB of it are left when host code starts, else STACK_OVERFLOW. A call takes 8 bytes on x86-64, 16 on aarch64. */
#if defined(__aarch64__)
    ABI_NATIVE_STACK_BYTES = 768 << 10,
#else
    ABI_NATIVE_STACK_BYTES = 512 << 10,
#endif
    ABI_FRAME_STACK_BYTES = 2 << 20,
    ABI_STACK_GUARD_BYTES =
        64 << 10, /* PROT_NONE at the end of both stacks; a frame larger than this compares with frame_limit */
};
#define ABI_MEMORY_RESERVE (4 * GiB + ABI_GUARD_BYTES)

struct engine_instance;

struct abi_ctx {
#define X(type, name, doc) type name;
#include "abi/ctx.def"
#undef X
};
/* Offset of a context field from GS (negative). */
#define ABI_CTX(field) ((int32_t)offsetof(struct abi_ctx, field) - (int32_t)sizeof(struct abi_ctx))
static inline struct abi_ctx *abi_ctx_of(uint8_t *gs) { return (struct abi_ctx *)(void *)(gs - sizeof(struct abi_ctx)); }

/* What a funcref points to. Lives in the image's data, relocated once when a process maps the image. 40
 * bytes. */
struct abi_func {
    void *code;          /* compiled code, wasm calling convention */
    void *entry;         /* adapter from the canonical array: abi_entry_fn */
    uint32_t type_id;    /* canonical type, unique in the image (or in a store of images) */
    uint32_t group;      /* index into abi_ctx.groups */
    uint32_t instance;   /* core instance in the image, */
    uint32_t func_index; /* and the function's index there */
    uint64_t sig;        /* slots of arguments and results: low and high 32 bits */
};
/* Calls f with GS set to f's group: args in the canonical array, results over them. frame: the frame stack's
 * first free byte. */
typedef void (*abi_entry_fn)(const struct abi_func *f, uint64_t *args, void *frame);

/* Records of a table and of a memory other than a group's memory 0 (or seen from another group). */
struct abi_table {
    uint64_t *elements;
    uint64_t count, max;
};
struct abi_memory {
    uint8_t *base;
    uint64_t bytes, bytes_max;
};

enum abi_trap {
#define X(name, text) ABI_TRAP_##name,
#include "abi/trap.def"
#undef X
    ABI_TRAP_COUNT
};
const char *abi_trap_text(enum abi_trap t);

enum abi_rtcall {
#define X(name, args, results) ABI_RT_##name,
#include "abi/rtcall.def"
#undef X
    ABI_RT_COUNT
};

/* ---- layout: where the compiled code of one core instance finds what it uses -----------------------------
 */

struct abi_layout_memory {
    enum {
        ABI_MEMORY_GS,   /* the group's memory 0, wasm32: GS-relative, guard pages, no checks */
        ABI_MEMORY_NEAR, /* struct abi_memory at GS + offset: base loaded, bounds compared (memory64, second
                            memories) */
        ABI_MEMORY_FAR   /* struct abi_memory * at GS + offset */
    } where;
    int32_t offset;
};
struct abi_layout_global {
    bool far; /* GS + offset holds the value (8 bytes, v128 16), or its address */
    int32_t offset;
};
struct abi_layout_table {
    enum {
        ABI_TABLE_FIXED, /* `count` elements at GS + offset, never grows */
        ABI_TABLE_NEAR,  /* struct abi_table at GS + offset */
        ABI_TABLE_FAR    /* struct abi_table * at GS + offset */
    } where;
    int32_t offset;
    uint32_t count;
};
struct abi_layout_func { /* one per function import */
    enum {
        ABI_FUNC_DIRECT, /* function `func_index` of core instance `instance`, same image and group: call
                            rel32 */
        ABI_FUNC_NEAR,   /* struct abi_func * at GS + offset, same group */
        ABI_FUNC_FAR,    /* struct abi_func * at GS + offset, another group: through rt_far */
        ABI_FUNC_HOST    /* host import number `host_index` of the image */
    } where;
    int32_t offset;
    uint32_t instance, func_index;
    uint32_t host_index;
};
struct abi_layout {
    const struct wasm_module *module;
    uint32_t instance; /* this core instance's index in the image */
    uint32_t group;
    bool funcrefs_far; /* a funcref met at run time may be another group's: compare abi_func.group, else call directly */
    const struct abi_layout_func *funcs;      /* by import index */
    const struct abi_layout_memory *memories; /* by memory index, imported first */
    const struct abi_layout_table *tables;
    const struct abi_layout_global *globals;
    const uint32_t *type_ids; /* canonical id of each type index of the module */
    const uint32_t *tag_ids; /* of each tag index: one id a tag that was defined, unique in the image (or in a store of images) */
    bool unwind;             /* exceptions may pass: code lists how to leave its functions */
};

/* ---- object: what a compiler makes of one core instance ---------------------------------------- */

enum abi_reloc_kind {
    ABI_RELOC_FUNC_PC32,   /* target = function index, instance: the distance to its code */
    ABI_RELOC_RECORD_PC32, /* target = function index, instance: the distance to its struct abi_func */
};
struct abi_reloc {
    uint32_t at; /* offset in text of what abi_reloc_apply changes */
    uint32_t kind, instance, target;
};
/* Writes how far `to` is from the place of the relocation at p, both counted in bytes: x86-64: a 32-bit field, relative to its end.
 * aarch64: the immediates of movz and movk behind an adr of itself. */
static inline void abi_reloc_apply(uint32_t machine, uint8_t *p, int64_t distance) {
    if (machine == ABI_MACHINE_X86_64) {
        int32_t field = (int32_t)(distance - 4);
        memcpy(p, &field, sizeof field);
        return;
    }
    uint32_t word[2];
    memcpy(word, p, sizeof word);
    distance += 4; /* the adr is before it */
    word[0] = (word[0] & ~(0xffffu << 5)) | (uint32_t)(distance & 0xffff) << 5;
    word[1] = (word[1] & ~(0xffffu << 5)) | (uint32_t)(distance >> 16 & 0xffff) << 5;
    memcpy(p, word, sizeof word);
}
struct abi_object_func {
    uint32_t start, size; /* in text; imports that are host functions get a thunk here, other imports have size 0 */
    uint32_t sites;       /* offset of the function's site list in `sites` */
    uint32_t unwind;      /* and of its struct abi_unwind in `unwind`, if the layout wants that */
};
struct abi_object {
    struct buf text;               /* position-independent; constant pools included; 16-aligned functions */
    struct buf sites;              /* abi_sites_* */
    struct buf unwind;             /* struct abi_unwind, one behind the other */
    struct abi_object_func *funcs; /* by function index, imports first; funcs_count, then the init function if asked */
    uint32_t funcs_count;
    VEC(struct abi_reloc) relocs;
    VEC(uint32_t)
    refs;                     /* functions of this module that need a struct abi_func: ref.func, elements, exports, start */
    uint64_t cpu_features;    /* enum abi_cpu: what the code needs */
    uint32_t frame_bytes_max; /* no function's frame is larger */
    uint32_t *entries;        /* by type index: offset in text of the entry adapter, UINT32_MAX where none was needed */
};

/* ---- sites: pc -> wasm offset and trap kind, delta coded, one list a function
 * ------------------------------- */

enum abi_site_kind {
    ABI_SITE_CALL,     /* the return address of a call; names a frame in a backtrace */
    ABI_SITE_MEMORY,   /* may fault: MEMORY_OUT_OF_BOUNDS */
    ABI_SITE_INDIRECT, /* may fault on a null funcref: INDIRECT_NULL */
    ABI_SITE_NULL,     /* may fault on a null reference: NULL_STRUCT, or NULL_ARRAY in an object's first 8 bytes */
    ABI_SITE_DIVIDE,   /* may raise #DE: INTEGER_OVERFLOW (zero divisors are compared for) */
    ABI_SITE_TRAP,     /* the return address of a call of rt_trap */
    ABI_SITE_UNWIND,   /* as CALL, of a call that an exception may leave */
};
struct abi_site {
    uint32_t pc;          /* offset from the function's start: of the instruction (faults), after it (calls) */
    uint32_t wasm_offset; /* in the module's bytes */
    enum abi_site_kind kind;
    uint32_t frame;  /* UNWIND: slots from the function's frame to the callee's; */
    uint32_t clause; /* number + 1 of the first catch clause that applies, or 0 */
};
struct abi_sites_writer {
    uint32_t pc, wasm_offset;
};
void abi_sites_put_long(struct buf *out, uint64_t head, uint32_t zigzag);
void abi_sites_put_unwind(struct buf *out, struct abi_site s);
/* Sites of one function come in ascending pc order except that wasm_offset may step back (cold stubs). Inline: the compiler puts
 * one for every memory access. */
static inline void abi_sites_put(struct buf *out, struct abi_sites_writer *w, struct abi_site s) {
    ENSURE(s.pc >= w->pc && s.kind <= ABI_SITE_UNWIND);
    uint64_t head = (uint64_t)(s.pc - w->pc) << 3 | s.kind;
    int32_t step = (int32_t)(s.wasm_offset - w->wasm_offset);
    uint32_t zigzag = (uint32_t)step << 1 ^ (uint32_t)(step >> 31);
    *w = (struct abi_sites_writer){s.pc, s.wasm_offset};
    if (LIKELY(head < 0x4000 && zigzag < 0x80 && out->cap - out->n >= 3)) { /* as put_long writes them */
        uint8_t *p = out->p + out->n;
        uint32_t two = head >= 0x80;
        p[0] = (uint8_t)((head & 0x7f) | two << 7);
        p[1] = (uint8_t)(head >> 7);
        p[1 + two] = (uint8_t)zigzag;
        out->n += 2 + two;
    } else {
        abi_sites_put_long(out, head, zigzag);
    }
    if (s.kind == ABI_SITE_UNWIND) abi_sites_put_unwind(out, s);
}
void abi_sites_end(struct buf *out, size_t start); /* start: where the list begins in out */
/* The site at exactly pc whose kind is in the set `kinds` (1 << kind): where a call returns to an instruction that may fault, both
 * have one, the call's first. Async-signal-safe, and quick in a list of any length. list points into a mapped image. */
bool abi_sites_find_kind(const uint8_t *list, uint32_t pc, uint32_t kinds, struct abi_site *out);
/* The first of any kind. */
static inline bool abi_sites_find(const uint8_t *list, uint32_t pc, struct abi_site *out) {
    return abi_sites_find_kind(list, pc, UINT32_MAX, out);
}

/* ---- exceptions: how a function is left, and where its catch clauses are
 * ----------------------------------------------------------------------- */

/* rt_throw gets a tag's id, the payload's slots and the payload in the canonical array, or ABI_TAG_REF and an array that holds the
 * reference. It walks the native stack by the sites of return addresses: each gives the frame of its function, which has the saved
 * registers, and the first of the clauses around the call. A clause is entered with the frame's and the saved registers, and the
 * base, as they were at the call; all others are lost. */
enum {
    ABI_TAG_ANY = UINT32_MAX,
    ABI_TAG_REF = UINT32_MAX,
    ABI_TAGS_MAX = 1 << (32 - ABI_OBJECT_TYPE_SHIFT), /* ids: an exception's is in its header */
};
struct abi_clause { /* ids of tags, slots of the frame */
    uint32_t next;  /* number + 1 of the clause to try after it, or 0 */
    uint32_t tag;   /* or ABI_TAG_ANY: takes no payload */
    uint32_t pad;   /* where it is entered, from the function's start */
    uint32_t slot;  /* where it wants the payload, */
    uint32_t slots; /* so many, */
    uint32_t ref;   /* and behind it the exception, if this is 1 */
};
struct abi_unwind {
    uint32_t saved;     /* registers saved, by the target's numbers, in ascending order */
    uint32_t save_slot; /* from this slot of the frame */
    uint32_t clauses_count;
    struct abi_clause clauses[];
};

#endif
