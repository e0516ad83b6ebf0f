/* What the files of link share.
 *
 *   layout.c   groups of core instances, offsets in contexts, the initial contexts
 *   init.c     what is left of an instantiation, as wasm
 *   emit.c     objects and tables -> image
 *   snapshot.c runs the instantiation once and takes its outcome for the initial contexts and memories
 *   link.c     drives them
 *   store.c    modules linked one after the other against each other's live instances
 */
#ifndef ORLO_LINK_INT_H
#define ORLO_LINK_INT_H

#include "baseline/baseline.h"
#include "component/plan.h"
#include "link/link.h"

#define LINK_NONE UINT32_MAX

/* A live item of another image that a store's import resolves to; addresses in this process. */
struct link_outside {
    const struct abi_func *func;
    void *record; /* struct abi_memory, struct abi_table, or a global's cell */
    uint32_t tag; /* its id */
};

/* The definition behind an index. instance LINK_NONE: outside of this image. */
struct link_def {
    uint32_t instance, index;
};

struct link_elem {
    uint32_t *refs;         /* function index + 1, or 0 for null; NULL: elements are computed, */
    int32_t dynamic_offset; /* into u64s at GS + this */
};

struct link_group {
    bool has_memory;
    uint32_t memory_instance, memory_index; /* who defines memory 0 */
    uint32_t hot, cold;                     /* bytes below struct abi_ctx, and below those */
    uint64_t context_bytes;
    uint8_t *context; /* context_bytes; GS is its end */
    VEC(struct abi_context_reloc)
    relocs;                /* FUNC targets are funcs[] indices only after emit: see func_relocs */
    const uint8_t *memory; /* a snapshot's content, or NULL */
    uint64_t memory_stored, memory_bytes;
};

/* A funcref in an initial context; becomes an abi_context_reloc once records are numbered. */
struct link_func_word {
    uint32_t group, instance, func;
    int32_t at;
    bool is_import; /* of a function import: nobody can change it */
};

/* A function of the host's; instance and import name it. */
struct link_host {
    uint32_t instance, import;
    uint32_t type_id, arg_slots, result_slots;
    uint32_t plan_kind, plan_index; /* enum plan_core_def_kind */
};

struct link_instance {
    const struct wasm_module *m;
    const struct plan_core_def *imports; /* one per import of m */
    const struct link_outside *outside;  /* store only: the same, live */
    uint32_t group;
    struct abi_layout layout;
    struct abi_layout_func *funcs;
    struct abi_layout_memory *memories;
    struct abi_layout_table *tables;
    struct abi_layout_global *globals;
    uint32_t *tag_ids;
    struct link_elem *elems;
    int32_t *table_elements;                                     /* of NEAR tables defined here: where the initial elements are */
    struct link_def *defs_memories, *defs_tables, *defs_globals; /* who defines each */
    int32_t dropped;
    bool grows_tables;
    struct buf init;
    struct abi_object object;
    uint32_t text_at, sites_at, unwind_at;
    uint32_t records_first, init_record;
};

struct link {
    arena *a;
    const struct plan *plan;
    struct diag *d;
    const struct wasm_types *types;
    struct link_instance *instances;
    uint32_t instances_count;
    struct link_group *groups;
    uint32_t groups_count;
    bool crossing;       /* some core instance uses a function, table or global of another group */
    uint32_t group_base; /* store only */
    uint32_t tags_count; /* ids of tags given so far; in a store, those of earlier images too */
    bool unwind;         /* exceptions may be thrown */
    VEC(struct link_func_word) func_words;
    VEC(struct link_host) hosts;
    uint32_t *canon_hosts; /* host index by plan canon, by plan host import */
    uint32_t *import_hosts;
    uint64_t memory_bytes_max, image_bytes_max; /* as in link_options */
    uint32_t machine;                           /* ABI_MACHINE_* */
    uint64_t cpu_features;
    uint32_t threads;   /* to compile with */
    uint32_t registers; /* as in link_options */
    uint64_t cpu_features_unused;
    uint32_t records_count;
    uint32_t init_type_id; /* canonical id of [] -> [] */
    uint8_t wasm_digest[CRYPTO_SHA256_BYTES];
    /* a snapshot's outcome */
    bool snapshot;
    bool text_written;   /* the file to be written has the text already */
    uint32_t steps_done; /* core instances whose init has run */
    struct run *run;     /* keeps the engine alive whose memories the image is written from */
};

/* Byte `offset` (negative) of a group's initial context. */
static inline uint8_t *link_context_at(const struct link_group *g, int32_t offset) {
    return g->context + g->context_bytes + offset;
}

/* layout.c: groups, layouts, contexts. ERR_LINK, ERR_LIMIT, ERR_UNSUPPORTED. */
[[nodiscard]] err link_layout(struct link *l);
/* init.c: fills in->init; empty when nothing is left to run. Also constants of globals in the context. */
void link_make_init(struct link *l, struct link_instance *in);
/* The expression is a single i32.const, zero-extended to *out, or i64.const. */
bool link_constant(wasm_expr e, uint64_t *out);
/* emit.c: makes init functions and compiles; ERR_INVALID, ERR_MALFORMED, ERR_UNSUPPORTED, ERR_LIMIT. */
[[nodiscard]] err link_compile(struct link *l);
void link_objects_free(struct link *l);
/* Writes the image as things stand now; may be called again after a snapshot. key NULL: unsigned. */
[[nodiscard]] err link_emit(struct link *l, int fd, const struct crypto_ed25519 *key, bool symbols, struct link_stats *stats);
/* snapshot.c: fd holds the unsigned image; the caller's. ERR_TRAP. */
[[nodiscard]] err link_snapshot(struct link *l, int fd, const struct link_options *o);
void link_snapshot_free(struct link *l);

#endif
