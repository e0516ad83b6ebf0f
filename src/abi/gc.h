/* gc: references and collected objects, as compiled code and the engine both see them.
 *
 *   reference (8 bytes)   null            0
 *                         i31             n << 33 | 1
 *                         host's          n << 2 | 2: an externref of the embedder's, never dereferenced
 *                         function        address of a struct abi_func
 *                         object          address of a struct abi_gc_object
 *
 *   object                +0 u32 header: canonical type id << 6 | kind     +4 u32 length: elements, words, or 0     +8 payload
 *
 * 1. Objects never move while they live: an address is their identity, and nobody has to know where references are kept in frames.
 * 2. any.convert_extern and extern.convert_any change no bit: the low two bits say of any reference what it is.
 * 3. The fields of a struct lie one after the other in order of declaration, each aligned to its size (at most 8 bytes): so a
 *    subtype's fields begin with its supertype's. Elements of an array lie at payload + i * size.
 */
#ifndef ORLO_ABI_GC_H
#define ORLO_ABI_GC_H

#include "wasm/wasm.h"

enum {
    ABI_REF_I31 = 1,  /* these bits of a reference; */
    ABI_REF_HOST = 2, /* none of them: null or an address */
    ABI_I31_SHIFT = 33,
    ABI_HOST_SHIFT = 2,
};
static inline uint64_t abi_ref_host(uint64_t n) { return n << ABI_HOST_SHIFT | ABI_REF_HOST; }

enum abi_object_kind { /* low bits of a header; a header is never 0 */
                       ABI_OBJECT_STRUCT = 1,
                       ABI_OBJECT_ARRAY = 2,
                       ABI_OBJECT_WORDS =
                           4, /* `length` words of any kind, references among them or not: an exception's payload */
                       ABI_OBJECT_KINDS = 7,
                       ABI_OBJECT_TYPE_SHIFT = 6,
};
struct abi_gc_object {
    uint32_t header, length;
    uint64_t payload[];
};
#define ABI_OBJECT_PAYLOAD ((uint32_t)offsetof(struct abi_gc_object, payload))
static inline uint32_t abi_object_header(uint32_t type_id, enum abi_object_kind kind) {
    return type_id << ABI_OBJECT_TYPE_SHIFT | (uint32_t)kind;
}

/* A canonical type, for casts and for the collector. By id; 64 bytes, so that types + (header & ~63) is an object's. */
struct abi_type {
    uint32_t display[8]; /* ids of its supertypes by depth, itself at its own; UINT32_MAX where there is none */
    uint32_t super;      /* id + 1, or 0 */
    uint32_t bytes;      /* of a struct's payload, or of an array's element */
    uint8_t comp;        /* enum wasm_comp */
    uint8_t depth;       /* length of the chain of supertypes */
    uint8_t element;     /* of an array: enum wasm value type, WASM_REF_BIT for references */
    uint8_t scan;        /* enum abi_scan */
    uint32_t reserved[3];
    uint64_t refs; /* ABI_SCAN_MAP: bit i: word i of the payload is a reference */
};
enum { ABI_DISPLAY = 8 };
enum abi_scan {
    ABI_SCAN_NONE, /* no references */
    ABI_SCAN_MAP,
    ABI_SCAN_ALL, /* an array of references */
    ABI_SCAN_ANY  /* words that may be references or not: structs of more than 64 words */
};
static_assert(sizeof(struct abi_type) == 1 << ABI_OBJECT_TYPE_SHIFT);

/* Bytes of a field or an element: 1, 2, 4, 8 or 16. */
uint32_t abi_field_bytes(wasm_type t);
/* Payload bytes of a struct type; offsets (NULL, or one a field) get each field's place in the payload. */
uint32_t abi_struct_layout(const struct wasm_deftype *t, uint32_t *offsets);
/* One abi_type for each of the registry's. */
void abi_types_make(const struct wasm_types *ts, struct abi_type *out);

/* ---- allocation, as compiled code may do it itself ----
 *
 * Small objects come from runs of free cells, one run a size class, zeroed and entered as allocated when the run is taken: what is
 * left of one is lost at a collection, but for cells that something refers to. */
enum {
    ABI_CELL_MAX = 8 << 10, /* objects above have blocks of their own */
    ABI_CELL_CLASSES = 39,
};
struct abi_run {
    uint8_t *next, *end;
    uint64_t cell_bytes;
};
struct abi_heap {
    void *allocate; /* assembler: a struct from a run, or by the runtime call STRUCT_NEW; target_new says how it is called */
    const struct abi_type *types;
    struct abi_run runs[ABI_CELL_CLASSES];
};
/* The size class of an object of that many bytes, header included; and the bytes its cells have. Classes: 16, 24 … 128, then four
 * to each doubling. */
static inline uint32_t abi_cell_class(uint32_t bytes) {
    if (bytes <= 128) return bytes <= 16 ? 0 : (bytes + 7) / 8 - 2;
    uint32_t log2 = 31 - (uint32_t)__builtin_clz(bytes - 1); /* 1 << log2 < bytes <= 2 << log2 */
    return 15 + (log2 - 7) * 4 + ((bytes - 1) >> (log2 - 2) & 3);
}
static inline uint32_t abi_cell_bytes(uint32_t class) {
    if (class < 15) return 16 + class * 8;
    uint32_t log2 = 7 + (class - 15) / 4;
    return (1u << log2) + ((class - 15) % 4 + 1) * (1u << (log2 - 2));
}

#endif
