/* link: from .wasm bytes to a signed image. Runs in compile jobs (and in tests), never in a worker that serves.
 *
 *   bytes -> component plan (a core module is a plan of one core instance)
 *         -> groups and offsets
 *         -> baseline, per core instance; init functions
 *         -> image
 *         -> (snapshot) the image's own instantiation run once, its outcome written back
 */
#ifndef ORLO_LINK_H
#define ORLO_LINK_H

#include "abi/image.h"
#include "base/base.h"
#include "crypto/crypto.h"

struct plan; /* component/plan.h */

struct link_options {
    const struct crypto_ed25519 *key; /* signs the image; borrowed. NULL: unsigned (abi_image_to_sign later) */
    bool no_snapshot;                 /* leave the whole instantiation to request time */
    bool no_symbols;                  /* no ELF symbols: smaller, but perf and gdb see addresses only */
    uint64_t snapshot_ns_max;         /* an instantiation that runs longer is left to request time; 0: 2 s */
    uint32_t threads;                 /* to compile large modules with; 0: as many as there are CPUs, at most 4 */
    uint64_t
        memory_bytes_max; /* of an instance: what it declares (ERR_LIMIT), and what it grows to for the snapshot; 0: no limit */
    uint64_t image_bytes_max;                              /* ERR_LIMIT; 0: no limit */
    err (*check)(const struct plan *plan, struct diag *d); /* asked before anything is compiled; NULL: nobody */
    uint32_t machine;   /* ABI_MACHINE_*: which the image is for; 0: this one. For another there is no snapshot, and code
                                         uses no more of its CPU than every one has */
    uint32_t registers; /* tests: baseline_options.registers */
    uint64_t cpu_features_unused; /* tests: ABI_CPU_* that the code must do without */
};

/* What was done and how long it took. */
struct link_stats {
    uint64_t wasm_bytes; /* of the input */
    uint64_t code_bytes; /* of function bodies in it */
    uint64_t text_bytes; /* machine code made */
    uint64_t image_bytes;
    uint32_t core_instances, functions, groups;
    bool component;
    bool snapshot;      /* the whole instantiation is in the image */
    uint64_t decode_ns; /* decoding and validation, and the plan */
    uint64_t compile_ns, snapshot_ns, write_ns, total_ns;
};

/* Writes the image of a component or core module to fd from its start (an empty file or memfd).
 * ERR_MALFORMED, ERR_INVALID, ERR_UNSUPPORTED, ERR_LIMIT, ERR_LINK (imports do not fit), what options.check says, ERR_TRAP (instantiation
 * trapped: d has the text and the backtrace), ERR_IO. What is imported from the host is listed in the image;
 * whether the host offers it is for options.check to say, and for the loader. */
err link_file(str wasm, const struct link_options *o, int fd, struct link_stats *stats, struct diag *d);

/* The same into a sealed memfd, ready for abi_image_open; the caller owns it. */
err link_file_memfd(str wasm, const struct link_options *o, int *fd, struct link_stats *stats, struct diag *d);

#endif
