/* heap: the collected objects of an instance, or of all instances of a store.
 *
 *   [ used bits | struct heap_block … ][ guard ][ block 0 | block 1 | … reserved, no access ][ guard ]     one mapping
 *                                                 16 KiB: cells of one size, or part of a large object
 *
 * Mark and sweep; nothing moves. A block's `live` bits say which cells are objects, so that any word can be asked whether it is a
 * reference: frames, saved registers, contexts and native stacks are scanned word by word, and compiled code needs no maps of its
 * frames. Payloads are scanned by their type.
 *
 * 1. Live bits are changed by taking a run of cells (all set, the memory zeroed) and by the end of a collection, nothing else. A cell
 *    whose header is still 0 is kept as long as something refers to it, and has no references.
 * 2. While a collection is under way no other fiber of its instances runs; those of others do, between slices.
 * 3. Marking uses a stack of bounded size; what does not fit is found again by going through the marked cells of its block.
 * 4. Blocks, with their records, are charged to the instance that needed them first, as memory is, until the slot is reset.
 *
 * Another kind of object: give it a bit in enum abi_object_kind (abi/gc.h), allocate it with engine_heap_new, and, unless all of its
 * payload is words that may be references or not (as ABI_OBJECT_WORDS, which needs nothing more), add a case to scan_object in collect.c.
 */
#ifndef ORLO_ENGINE_HEAP_H
#define ORLO_ENGINE_HEAP_H

#include "abi/abi.h"
#include "abi/image.h"

struct engine;
struct engine_instance;
struct engine_fiber;

enum {
    HEAP_BLOCK = 16 << 10,
    HEAP_CELLS_MAX = HEAP_BLOCK / 16,
    HEAP_MARKS_MAX = 32 << 10, /* objects on the stack that marking uses */
    HEAP_STEP = 4096,          /* objects scanned, or blocks looked at, between two looks at the slice */
};
#define HEAP_RESERVE (4 * GiB) /* address space, unless the instance's limit is lower */

enum heap_state { HEAP_FREE, HEAP_CELLS, HEAP_LARGE, HEAP_REST /* of a large object */ };
struct heap_block {
    uint8_t state, class;
    bool fresh;                   /* never written since the slot was reset */
    bool rescan;                  /* has marked cells that were not scanned */
    uint32_t count;               /* HEAP_LARGE: blocks; HEAP_CELLS: cells */
    uint32_t next;                /* + 1: with free cells, of the same class */
    uint32_t cell_bytes, inverse; /* of HEAP_CELLS; inverse: 2^32 / cell_bytes, rounded up */
    uint64_t live[HEAP_CELLS_MAX / 64], marked[HEAP_CELLS_MAX / 64];
};
struct engine_heap {
    struct abi_heap abi; /* contexts point to it */
    uint64_t types_count;
    uint32_t frame_bytes_max; /* of all images */
    uint8_t *mapping;
    uint64_t mapping_bytes;
    uint64_t *used; /* a bit a block */
    struct heap_block *blocks;
    uint8_t *base;                      /* of block 0 */
    uint64_t bytes;                     /* blocks in use end here: what conservative scanning looks at first */
    uint64_t accessible;                /* bytes that have been given access */
    uint64_t reserve;                   /* blocks there can be */
    uint64_t peak_bytes;                /* largest `bytes` since the slot's memory was last given back */
    uint32_t hint;                      /* no free block below */
    uint32_t partial[ABI_CELL_CLASSES]; /* + 1: blocks with free cells */
    uint32_t current[ABI_CELL_CLASSES]; /* + 1: the block whose free cells are being given out, */
    uint32_t cursor[ABI_CELL_CLASSES];  /* from this cell up */
    uint64_t allocated;                 /* bytes since the last collection, */
    uint64_t trigger;                   /* and the number that starts one */
    uint64_t live_bytes;                /* after the last one */
    uint64_t collections;
    bool collecting;
    struct engine_fiber *collector;
    struct engine_fiber *held; /* ready, but of an instance that is being collected; by next_ready */
    /* marking */
    struct abi_gc_object **stack; /* made at the first collection, kept for the next */
    uint32_t stack_n;
    bool overflowed;
};

/* A new object, its payload zero: `bytes` of payload, `length` for its header. From a runtime call or a host function on a fiber of the
 * instance; may collect, so may let others run. Valid as long as a frame, a register, a C frame of the fiber, a field of its struct
 * engine_fiber, a context or another object refers to its first byte. NULL: OUT_OF_MEMORY or INTERRUPTED in *trap. */
struct abi_gc_object *engine_heap_new(struct engine_instance *in, uint32_t header, uint32_t length, uint64_t bytes,
                                      enum abi_trap *trap);
/* Collects now. False: the instance was killed meanwhile, and nothing has changed. */
bool engine_heap_collect(struct engine_instance *in);

/* The object w refers to, if w is a reference to one of this heap; else NULL. Any word. */
struct abi_gc_object *engine_heap_object(const struct engine_heap *h, uint64_t w);

/* heap.c, for collect.c */
void heap_runs_drop(struct engine_heap *h);
uint64_t heap_trigger(const struct engine *e, const struct engine_heap *h); /* bytes to allocate before the next collection */
uint32_t heap_cells(uint32_t class);
/* The cell that starts at an address of the block, or UINT32_MAX. */
uint32_t heap_cell_of(const struct heap_block *b, uint32_t offset);

/* slot.c's and reset.c's: lives with the slot, or the store. */
void engine_heap_empty(struct engine *e, struct engine_heap *h); /* whose blocks and their records are zero */
void engine_heap_init(struct engine_heap *h);                    /* of a struct that is zero */
/* An image whose code uses the heap. Ids of a later image of a store include all of the earlier ones'. */
void engine_heap_image(struct engine_heap *h, const struct abi_image *im);
void engine_heap_trim(struct engine_heap *h); /* of a heap that was reset */
void engine_heap_free(struct engine_heap *h);

#endif
