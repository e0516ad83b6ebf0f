/* image: a signed, position-independent ELF file holding everything a worker needs to run a component or
 * module.
 *
 *   ELF header, program headers (R: head and tables; RX: .text; RW: .data.rel.ro), then page-aligned
 * .memory.N sections that are mapped copy-on-write into slots, section headers, symbols (so that perf, gdb
 * and objdump read it).
 *
 * All of it is plain structs at file offsets, read in place. Numbers are little-endian. An image is trusted
 * once its signature holds: readers check the signature and the digest, not every offset.
 */
#ifndef ORLO_ABI_IMAGE_H
#define ORLO_ABI_IMAGE_H

#include "abi/cpu.h"
#include "abi/abi.h"
#include "crypto/crypto.h"

/* A run of bytes or of structs in the image. */
struct abi_span {
    uint64_t offset; /* from the image's start */
    uint64_t count;  /* of elements, or of bytes */
};

/* One memory group: how its context and its memory 0 start. */
struct abi_image_group {
    uint64_t context_bytes;  /* page multiple; the context ends at GS */
    uint64_t hot_bytes;      /* the last hot_bytes of the context are copied whole at every acquire */
    struct abi_span context; /* initial context, context_bytes long, page-aligned; pointers by context_relocs */
    struct abi_span relocs;  /* struct abi_context_reloc */
    bool has_memory;
    uint64_t memory_bytes;     /* initial size (after snapshot: size then) */
    uint64_t memory_bytes_max; /* declared maximum, at most 4 GiB */
    struct abi_span memory;    /* initial content, page-aligned in the file; the rest up to memory_bytes is zero */
};

/* A word of the initial context that holds an address. */
struct abi_context_reloc {
    int32_t at; /* GS + at */
    enum {
        ABI_CONTEXT_FUNC,  /* &funcs[target] */
        ABI_CONTEXT_GROUP, /* GS value of group `target` (per slot) plus addend: FAR records */
    } kind;
    uint32_t target;
    int32_t addend;
};

struct abi_image_segment { /* of data */
    struct abi_span bytes;
};
struct abi_image_active { /* where an active data segment goes, if that is a constant */
    uint64_t offset;
    uint32_t memory;
};
struct abi_image_elem {     /* a run of references: funcs[] index + 1, 0 null; used where every element is a
                               ref.func or null */
    struct abi_span refs;   /* u32 */
    int32_t dynamic_offset; /* non-zero: the elements are u64 at GS + this, written by the init function */
    uint32_t count;
};
struct abi_image_instance { /* one core instance */
    uint32_t group;
    uint32_t init_func;         /* funcs[] index of the init function (globals, segments, then start), or UINT32_MAX */
    struct abi_span memories;   /* struct abi_layout_memory + limits: abi_image_memory */
    struct abi_span tables;     /* abi_image_table */
    struct abi_span globals;    /* struct abi_layout_global, by global index */
    struct abi_span data;       /* abi_image_segment */
    struct abi_span active;     /* abi_image_active, by data segment; empty when the init function does no DATA_RUN */
    struct abi_span elems;      /* abi_image_elem */
    int32_t dropped_offset;     /* GS + this: one byte per data segment, then one per element segment; 1 = dropped */
    struct abi_span code_funcs; /* abi_image_code, ascending */
    struct abi_span name;       /* of the module, bytes */
};
/* A NEAR memory's record in the initial context holds its initial and maximum bytes; the engine sets its
 * base. A GS memory's layout.offset is ABI_CTX(base): the context's first three words are a struct
 * abi_memory, which FAR words point to. */
struct abi_image_memory {
    struct abi_layout_memory layout;
    bool memory64;
    uint64_t pages_max;
    uint32_t owner_instance, owner_index; /* who defines it */
};
struct abi_image_table {
    struct abi_layout_table layout;
    bool table64, is_funcref;
    uint64_t count_max;
    uint32_t owner_instance, owner_index;
};
struct abi_image_code { /* text ranges, ascending by start over the whole image */
    uint32_t start, size;
    uint32_t instance, func_index;
    uint32_t sites;       /* offset into the sites section */
    uint32_t unwind;      /* and of its struct abi_unwind in head.unwind; that is empty where no exception can be */
    struct abi_span name; /* from the name section, or empty */
};
struct abi_image_tag {    /* one for each tag index of each core instance */
    uint32_t id, slots;   /* as in abi_layout.tag_ids; of its payload */
    struct abi_span name; /* of the name section, else an export or import, or empty */
};
struct abi_image_host { /* a host import */
    struct abi_span module, name;
    uint32_t instance; /* the first core instance that imports it */
    uint32_t type_id;
    uint32_t arg_slots, result_slots;
    uint32_t plan_kind, plan_index; /* for components: which plan_core_def it is; 0 for core imports */
};
struct abi_image_export { /* of a core instance */
    struct abi_span name;
    uint32_t instance;
    uint32_t kind;  /* wasm_extern_kind */
    uint32_t index; /* func: funcs[] index; else index in the instance's space */
};

struct abi_image_head {
    uint8_t magic[8]; /* "orlo\0img" in the .orlo note; version follows */
    uint32_t version;
    uint32_t machine;        /* ABI_MACHINE_* */
    uint64_t cpu_features;   /* bits the code needs; abi_cpu_features() of the host must include them */
    uint8_t wasm_digest[32]; /* SHA-256 of the .wasm: its identity */
    uint64_t file_bytes;
    uint32_t group_base; /* number of groups[0] in abi_ctx.groups and in abi_func.group: 0 but in a store of
                            images */
    struct abi_span text, funcs /* struct abi_func, by instance and func_index; relocated */, sites;
    struct abi_span groups, instances, codes, hosts, exports;
    struct abi_span types;        /* struct abi_type, by canonical type id */
    struct abi_span tags, unwind; /* abi_image_tag; struct abi_unwind, one behind the other, bytes */
    struct abi_span plan;         /* the component plan, as plan_save wrote it; empty for a core module */
    struct abi_span start_steps;  /* u32: init functions (funcs[] index) left to run at request time, in order;
                                    empty after a whole snapshot */
    uint32_t frame_bytes_max;     /* no function's frame is larger: so much above its start a preempted one may hold references */
    uint32_t snapshot;            /* 1: groups' memory and context are the state after instantiation */
};

/* ---- writing
 * ------------------------------------------------------------------------------------------------ */

/* Collects what goes into an image; all bytes are borrowed until abi_image_write. Sections come in the order
 * they are begun: .text first and directly behind it, page-aligned, .data.rel.ro (so that text may address
 * records relative to itself before anything is written), then whatever else. */
struct abi_image_section {
    const char *name;
    uint32_t type, flags, align; /* SHT_*, SHF_* */
    uint64_t offset, bytes;
    uint32_t link, info, entry_bytes;
};
struct abi_image_chunk {
    const void *p;
    uint64_t offset, bytes;
    bool sparse; /* pages of zeroes become holes in the file: of ABI_SECTION_MAPPED */
};
struct abi_image_writer {
    arena *arena;
    struct abi_image_head head; /* the caller's to fill, but magic, version, file_bytes */
    VEC(struct abi_image_section) sections;
    VEC(struct abi_image_chunk) chunks;
    uint64_t end;
    bool sparse;
    bool text_written; /* the file has .text and .data.rel.ro already, from an earlier abi_image_write of the
                          same */
};
void abi_image_writer_init(struct abi_image_writer *w, arena *scratch);
/* Begins a section. Its first byte is page-aligned. */
enum abi_section { ABI_SECTION_TEXT, ABI_SECTION_RELRO, ABI_SECTION_TABLES, ABI_SECTION_MAPPED };
void abi_image_begin(struct abi_image_writer *w, enum abi_section kind, const char *name);
/* Adds count elements of size bytes to the current section at the next multiple of align (a power of two, at
 * least 1). */
struct abi_span abi_image_add(struct abi_image_writer *w, const void *p, uint64_t count, size_t size, size_t align);
/* Adds sections with ELF symbols for the code ranges: "wasm[instance]::name", names[] parallel to codes. */
void abi_image_add_symbols(struct abi_image_writer *w, const struct abi_image_code *codes, const str *names, uint64_t n);

/* ---- signing
 * ------------------------------------------------------------------------------------------------ */

/* The last 64 bytes of the file are the Ed25519 signature of "orlo image 1" and the SHA-256 of all bytes
 * before them. */

/* The key of a node or a build host (Ed25519). A worker holds only the public half. */
struct abi_key_public {
    uint8_t bytes[32];
};
/* Writes the file to fd from its start, signed; key NULL: unsigned (64 zero bytes), for this process's own
 * use only. ERR_IO. */
[[nodiscard]] err abi_image_write(struct abi_image_writer *w, int fd, const struct crypto_ed25519 *key, struct diag *d);

/* What is signed: a purpose, so that a signature for something else is never one of an image, and the digest. */
enum { ABI_IMAGE_SIGNATURE = 64 };
struct abi_image_signed {
    uint8_t purpose[16], digest[32];
};
/* An image that was written without a key is signed in two steps, so that who holds the key never sees it: what is to be signed
 * of it (ERR_MALFORMED: no image; ERR_IO), and the signature put in (ERR_IO). fd is readable and writable. */
[[nodiscard]] err abi_image_to_sign(int fd, struct abi_image_signed *out, struct diag *d);
[[nodiscard]] err abi_image_put_signature(int fd, const uint8_t signature[ABI_IMAGE_SIGNATURE], struct diag *d);

/* ---- reading
 * ------------------------------------------------------------------------------------------------ */

struct abi_image {
    const uint8_t *base; /* the whole file, mapped: text executable, data relocated */
    size_t size;
    const struct abi_image_head *head;
    struct abi_func *funcs;
    int fd; /* kept for mapping memory sections; owned */
};
/* Whether a file that begins so (with 1 KiB, or all there is) means to be an image. What it holds is another question. */
bool abi_image_is(str begin);
/* Maps fd, which must not be writable by anyone any more (a sealed memfd or a file opened read-only), after
 * checking its signature against `key`; NULL: not checked, for an image that this very process has made.
 * Takes fd, also when it fails. text is mapped read-execute, records are relocated in private pages and then
 * made read-only. ERR_SIGNATURE, ERR_MALFORMED, ERR_UNSUPPORTED (machine, version, CPU), ERR_IO. */
err abi_image_open(int fd, const struct abi_key_public *key, struct abi_image *out, struct diag *d);
void abi_image_close(struct abi_image *im);
#define abi_image_at(im, span, type) ((const type *)(const void *)((im)->base + (span).offset))
static inline str abi_image_str(const struct abi_image *im, struct abi_span s) {
    return (str){im->base + s.offset, (size_t)s.count};
}
/* The record of function func_index of a core instance (of those that have one: exported, referenced, start),
 * or NULL. */
struct abi_func *abi_image_func(const struct abi_image *im, uint32_t instance, uint32_t func_index);
/* The text range holding pc (an address), or NULL. Async-signal-safe. */
const struct abi_image_code *abi_image_find(const struct abi_image *im, const void *pc);

#endif
