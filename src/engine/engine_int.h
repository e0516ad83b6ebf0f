/* engine, inside. See engine.h for what it is.
 *
 *   engine ─┬─ shares in the order of their turns ── ready fibers (FIFO, by what they have used), posts
 *           ├─ images, each of a share ── free slots (LIFO), templates of contexts
 *           ├─ pools that shares have parts of; stacks at rest
 *           └─ the slice timer
 *   instance = slot; fiber ── frames: one a nested engine_call, each with the host call it was made from
 */
#ifndef ORLO_ENGINE_INT_H
#define ORLO_ENGINE_INT_H

#include "base/pool.h"
#include "engine/engine.h"
#include "engine/heap.h"
#include "engine/machine.h"
#include <signal.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#define ENGINE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ENGINE_ASAN 1
#endif
#endif
#ifndef ENGINE_ASAN
#define ENGINE_ASAN 0
#endif
/* For functions that read stacks as words, or leave them without returning. */
#define NO_ASAN __attribute__((no_sanitize_address))

enum {
    ENGINE_WHOLE_CONTEXT = 8 << 10, /* contexts up to this size are anonymous and reset by one copy */
    ENGINE_WHOLE_MEMORY = 64 << 10, /* memories in use up to this size likewise: less than one page fault costs */
    ENGINE_PAGEMAP_MAX = 2 << 20,   /* ENGINE_RESET_PAGEMAP reads page tables of ranges up to this */
    ENGINE_HEADROOM = 256 << 10,    /* of the native stack, left when host code starts */
    ENGINE_STORE_GROUPS_MAX = 16384,
    ENGINE_TABLE_COUNT_MAX = 10'000'000, /* the limit of the JavaScript API specification */
    ENGINE_DIRTY_MAX = 4096,             /* pages put back by copying; what is above is given back to the kernel */
    ENGINE_CLEAN_PIECE = 512,            /* pages put back or given back in one step */
    ENGINE_HOT_MAX = 64 << 10,           /* bytes of a context that are copied at each reset whether written or not */
    ENGINE_WORK_SLICE = 1'000'000,       /* engine_work, after which others have a turn, whatever the clock says */
    ENGINE_LEVELS = 4,
};
#define ENGINE_KEPT_MAX (128 * MiB) /* written pages of free slots, over all images, unless an eighth of the account is less */
#define ENGINE_MEMORY64_RESERVE (64 * GiB) /* address space of a memory that may grow further than that */

/* ---- images ---- */

struct engine_host { /* a host import and who serves it */
    engine_host_fn fn;
    void *data;
    uint32_t slots; /* the greater of its arguments and results */
    uint32_t caller;
};
struct engine_image_group {
    uint64_t low; /* offset of the context in the slot */
    uint64_t gs;  /* and of its end */
    uint64_t context_bytes, hot_bytes;
    bool whole;                             /* the context is anonymous memory and copied whole */
    int fd;                                 /* memfd of the template, unless whole */
    const uint8_t *template;                /* the context with its FUNC words in place */
    const struct abi_context_reloc *relocs; /* only GROUP ones are left to do */
    uint32_t relocs_count;
    bool has_memory;
    uint64_t memory_bytes, memory_bytes_max;
    const uint8_t *content;  /* the start of the memory, in the mapped image */
    uint64_t content_bytes;  /* the rest is zero */
    uint64_t content_mapped; /* whole pages of it, mapped from the file */
    uint64_t content_offset; /* in the file */
};
struct engine_image_memory { /* with an address space of its own */
    uint32_t group;
    int32_t offset; /* of its record, from GS */
    uint64_t bytes, bytes_max, reserve;
};
struct engine_image {
    struct engine *engine;
    struct engine_share *share;
    struct engine_image *next;
    struct abi_image im;
    const struct abi_image_instance *instances;
    struct engine_host *hosts;
    struct engine_image_group *groups;
    uint32_t groups_count, hosts_count;
    struct engine_image_memory *memories;
    uint32_t memories_count;
    uint64_t slot_bytes;       /* address space */
    uint64_t initial_bytes;    /* of all memories and tables: what an instance is charged at first */
    uint64_t memory_bytes_max; /* of an instance; 0: the share's */
    uint64_t paid_bytes;       /* for the image itself */
    uint64_t slot_mappings;    /* at most, heap included */
    const uint8_t *text, *text_end;
    struct engine_instance **free; /* a stack */
    uint32_t free_count, free_cap, alive;
    bool wants_slot;     /* engine_idle should make one, */
    uint32_t wants_trim; /* and trim this many */
    arena *arena;
};

/* ---- instances ---- */

struct engine_actor { /* who computes: an instance with all of its fibers, or a fiber that has none */
    struct engine_share *share;
    struct engine_meter *meter; /* of fibers that it spawns */
    bool killed;
    uint32_t awake;           /* fibers that are ready or run */
    uint64_t used_ns;         /* of the core, less what it slept since (share.c, 4) */
    uint64_t asleep_since_ns; /* 0: used_ns is too little to be looked at */
};
struct engine_group {
    uint8_t *gs;
    struct abi_memory memory; /* memory 0 as it is now */
    uint64_t kept_bytes;      /* of the memory: written pages may lie below, though it is smaller now */
    const struct engine_image_group *of;
};
struct engine_grown { /* a table's elements after they left the context */
    struct engine_grown *next;
    uint64_t cap;    /* elements */
    uint64_t mapped; /* bytes of its own mapping; 0: from malloc */
    uint64_t elements[];
};
struct engine_cleaning { /* how far a reset has come: reset.c */
    struct engine_instance *next;
    uint32_t part;
    uint8_t *at;    /* in that part; NULL: at its start */
    uint64_t kept;  /* pages put back, which stay */
    uint64_t bytes; /* written back, or given back */
    bool asked;     /* whether it recalls */
    bool recalls;   /* by engine_written, nothing is looked for */
    bool forgets;   /* what engine_written says is not to be used again */
    bool records;   /* its last range is the one that is being looked through */
    bool broken;    /* the slot cannot be used again */
};
/* A range of a slot that was looked through for written pages; behind it the parts of it that are. */
struct engine_span {
    uint8_t *from, *to;
    uint32_t parts; /* of a part: 0 */
};
struct engine_written { /* reset.c, 4 */
    struct engine_span *spans;
    uint32_t count, cap, last; /* last: the range that is being looked through */
    bool known;
    uint64_t faults; /* of the process, before the look */
};
struct engine_instance {
    void *trap_stack; /* ASM_INSTANCE_TRAP_STACK: its engine's */
    struct engine *engine;
    struct engine_image *image;
    struct engine_actor actor;
    void *user;
    bool release_pending, alive;
    uint32_t fibers_count;
    struct engine_fiber *fibers;
    uint8_t *slot;
    uint8_t **group_gs; /* abi_ctx.groups: its own, or its store's */
    uint8_t **own_gs;
    uint32_t group_base;
    struct engine_store *store;
    struct engine_instance *store_next;
    struct engine_group *groups;
    struct abi_memory **memories; /* records of image->memories, in the context */
    uint8_t **memory_base;
    uint64_t *memory_kept; /* as kept_bytes of a group */
    uint64_t memory_used;  /* bytes charged: memories, tables, the heap */
    struct engine_cleaning cleaning;
    struct engine_written written;
    uint64_t kept_bytes; /* of a free slot, charged to the engine's account */
    struct engine_grown *grown;
    struct engine_heap own_heap, *heap; /* heap: its own, or its store's */
    uint64_t idle_since_ns;
    uint32_t dirty_first, dirty_last; /* pages put back at the first reset since the last trim, and at the latest */
    bool trimmed, wants_trim;
    const struct engine_fiber *limits_of; /* whose stack limits the contexts hold */
    struct engine_trap_record record;
    bool record_filled; /* the record has frames: it is of the trap under way */
};
struct engine_store {
    struct engine *engine;
    struct engine_instance *instances; /* newest first */
    uint32_t groups_count;
    uint8_t **group_gs;
    struct engine_heap heap;
};

/* ---- fibers ---- */

struct engine_frame { /* an engine_call under way */
    void *sp;         /* ASM_FRAME_SP */
    struct engine_frame *up;
    struct engine_instance *in;
    struct engine_call *host; /* the host call that made it, or NULL */
};
struct engine_call { /* a host call under way */
    struct engine_instance *in;
    const struct engine_host *host;
    uint32_t import;
    void **sp; /* the guest's, at its return address */
};
enum engine_fiber_state { FIBER_FREE, FIBER_READY, FIBER_RUNNING, FIBER_PARKED, FIBER_DONE };
struct engine_fiber {
    void *sp;
    struct engine *engine;
    struct engine_actor *actor; /* its instance's, or its own */
    struct engine_instance *in; /* NULL: it has none */
    struct engine_meter *meter; /* NULL: nobody counts */
    enum engine_fiber_state state;
    bool wake;      /* engine_ready came; the next park returns at once */
    bool preempted; /* saved holds its state, sp nothing */
    void (*fn)(void *arg);
    void *arg;
    struct engine_frame *frame; /* innermost */
    struct engine_call *host;   /* the host call the innermost frame's guest is in, or NULL */
    uint8_t *frame_top;         /* first free byte of the frame stack for what host code calls */
    uint8_t *native_low, *native_top, *frame_low, *frame_limit;
    struct engine_fiber *next_ready;
    struct engine_fiber *next, **prev;      /* of the instance; or in the pool */
    struct engine_fiber *peer, **peer_prev; /* of the share */
    struct engine_actor own;
    uint64_t idle_since_ns;
    bool dirty;      /* in the pool, and used since its stacks were last given back: charged to the engine's account */
    bool overflowed; /* all of a stack was used */
    struct engine_saved saved;
    void *asan_fake;
};

/* ---- shares ---- */

struct engine_queue { /* FIFO */
    struct engine_fiber *first, **last;
};
enum engine_order { /* which of the engine's rings a share is in: share.c */
                    ENGINE_SHARE_FIRST,
                    ENGINE_SHARE_COMPUTES,
                    ENGINE_SHARE_SPENT,
                    ENGINE_ORDERS,
                    ENGINE_SHARE_RESTS = ENGINE_ORDERS,
};
struct engine_ring {
    struct engine_ring *next, *prev;
};
struct engine_share {
    struct engine_ring ring; /* must be first */
    struct engine *engine;
    struct engine_share_config config;
    enum engine_order order;
    uint32_t ready_levels; /* bit i: ready[i] has some */
    struct engine_queue ready[ENGINE_LEVELS];
    struct engine_post posts; /* the head of a ring */
    int64_t credit_ns;        /* what it may compute in this round */
    uint64_t round;           /* in which credit_ns was last looked at */
    uint64_t cpu_ns;
    uint64_t resets, reset_bytes;
    uint64_t passed_over_ns; /* since when level 0 alone had turns while its others waited; 0: it did not */
    struct engine_fiber *fibers;
    uint32_t images;
    struct pool_part bytes, slots, stacks, mappings;
};
struct engine_texts { /* published to signal handlers: image texts by address */
    uint32_t n;
    struct engine_image *images[];
};
struct engine {
    struct engine_config config;
    struct engine_image *images;
    struct engine_texts *texts;
    struct engine_share *own;
    struct pool bytes, slots, stacks;
    struct pool mappings; /* of slots and stacks, of those that the system lets a process have */
    struct engine_refusal refusal;
    uint64_t refusals;
    bool starved; /* something was refused, and nobody was told since that there may be room */
    struct engine_instance *cleaning, **cleaning_last; /* a queue */
    struct engine_instance *released, **released_last; /* likewise, between engine_release_many and engine_release_end */
    bool releasing;
    bool counts_faults;            /* getrusage counts page faults */
    bool faults_fresh;             /* counted since the reset under way began, */
    uint64_t faults;               /* so many */
    uint64_t recalled;             /* resets that looked for nothing: for tests */
    uint64_t kept_bytes, kept_max; /* of free slots */
    uint32_t pool_dirty;           /* fibers */
    int pagemap;
    enum engine_reset reset;
    void *trap_stack; /* its top */
    uint8_t *trap_stack_low;
    uint64_t vectors_max;                     /* room for a signal frame's register state */
    struct engine_unwind_entry *unwind_cache; /* by a hash of pc; made by the first throw */
    /* fibers */
    struct engine_fiber *current;            /* read by the tick's handler on this thread */
    struct engine_ring rings[ENGINE_ORDERS]; /* of shares that have something to do; heads */
    uint32_t orders;                         /* bit i: rings[i] has some; read by the tick's handler */
    uint64_t round;
    struct engine_fiber *pool;
    void *sched_sp;
    bool running;
    uint64_t run_seq;         /* turns given */
    uint64_t work, work_most; /* engine_work since the turn's start; at once, ever */
    uint64_t passed_over_ns;  /* since when the loop alone had turns, for its news, while others waited; 0: it did not */
    uint64_t whole_ns;        /* when whole_slice was last given */
    /* the turn under way, and its timer (preempt.c) */
    uint64_t started_ns, tick_at_ns, news_ns;
    uint64_t cpu_seen_ns; /* of this thread, when it was last asked */
    uint32_t level;
    bool whole_slice; /* it has waited long: news does not end it */
    bool tick_armed, preempt_pending;
    bool news; /* it was ended for the loop's sake */
    timer_t tick;
    void *asan_fake;
    const void *asan_bottom;
    size_t asan_size;
};

/* ---- exceptions: unwind.c ---- */

/* Where a throw is, and then where it goes on: what a function finds behind a call. */
struct engine_throw {
    uint64_t regs[32]; /* those that functions preserve, by the compilers' numbers; of vector ones the lower half */
    uint8_t *frame;
    uint8_t *base;
    void **sp; /* of the native stack, at what the call of rt_throw has pushed; then above what the call of the catcher had */
    const uint8_t *pc;
};
struct engine_unwind_entry {   /* what is known of a return address */
    const uint8_t *pc, *start; /* start: of its function */
    const struct abi_unwind *unwind;
    uint32_t group, frame, clause;
};
/* Called by engine_asm_throw; returns if a clause is to be entered. */
void engine_throw(struct engine_instance *in, uint32_t tag, uint32_t slots, const uint64_t *payload, struct engine_throw *t);
void engine_unwind_forget(struct engine *e); /* an image is gone */

/* x64.S, arm64.S */
int engine_asm_enter(const struct abi_func *f, uint64_t *args, void *frame_top, struct engine_frame *fr, uint8_t *gs);
__attribute__((noreturn)) void engine_asm_unwind(struct engine_frame *fr);
void engine_asm_host(void), engine_asm_call(void), engine_asm_new(void), engine_asm_trap(void), engine_asm_far(void),
    engine_asm_far_tail(void), engine_asm_throw(void);
void engine_asm_far_return(void), engine_asm_far_end(void);
void engine_asm_start(void);
void engine_asm_switch(void **save, void *sp);
void engine_asm_switch_in(void);
void engine_asm_resume(void **save, const struct engine_saved *s);
void engine_asm_switch_unwind(void **save, struct engine_frame *fr);

/* What they call. at: where the call of rt_trap returns to, link: where its function does; NULL: on the stack. */
void engine_host_dispatch(struct engine_instance *in, uint32_t import, uint64_t *args, void **sp);
void engine_rt_dispatch(struct engine_instance *in, uint32_t op, uint64_t *args, void **sp);
__attribute__((noreturn)) void engine_trap_raise(struct engine_instance *in, enum abi_trap t, void **sp, const uint8_t *at,
                                                 const uint8_t *link);
__attribute__((noreturn)) void engine_fiber_main(struct engine_fiber *f);

/* slot.c */
void engine_slot_free(struct engine_instance *in);
void engine_slot_pristine(struct engine_instance *in); /* cleaning is done: on the free list */
bool engine_slots_idle(struct engine *e, uint64_t now);
bool engine_slots_waiting(const struct engine *e); /* some may want work of idle times later */
bool engine_slots_free_one(struct engine *e);      /* a free one, wholly; false: there is none */
bool engine_slots_give_up(struct engine *e);       /* what one free slot keeps; false: none keeps anything */
void engine_instance_limits(struct engine_instance *in, const struct engine_fiber *f);
void engine_memory_changed(struct engine_group *g); /* tells the context */

/* engine.c */
void engine_copy_sparse(uint8_t *to, const uint8_t *from, uint64_t n);

/* reset.c */
void engine_reset_init(struct engine *e);
void engine_slot_reset(struct engine_instance *in);       /* begins to clean; ends with engine_slot_pristine, perhaps later */
void engine_slot_reset_later(struct engine_instance *in); /* by engine_release_end */
void engine_clean_piece(struct engine *e);                /* goes on with the first of the queue */
void engine_clean_forget(struct engine_image *image);     /* frees its slots that are being cleaned */
void engine_give_back(uint8_t *from, uint8_t *to);        /* to the kernel */
void engine_written_forget(struct engine_instance *in);
/* A table's elements: a longer list with the old ones in front, not charged here; takes old (NULL: none). NULL: no memory, old stays. */
struct engine_grown *engine_grown_resize(struct engine_grown *old, uint64_t cap);
void engine_grown_free(struct engine_grown *g);

/* account.c */
uint64_t engine_memory_max(const struct engine_image *image);   /* of an instance; 0: none */
bool engine_charge(struct engine_instance *in, uint64_t bytes); /* against memory_bytes_max and the accounts */
void engine_uncharge(struct engine_instance *in, uint64_t bytes);
/* For engine_last_refusal: the engine's limit, or the system's. */
void engine_refuse(struct engine *e, enum engine_refused what, uint64_t bytes, uint64_t max);
/* After a refusal, since there had been `before` of them: what others have left is charged until it is gone, so a piece of it goes now, and
 * others have their turn. True: try again. On a fiber. */
bool engine_wait_room(struct engine *e, uint64_t before);
void engine_room(struct engine *e); /* something has ended: tells who was refused */
/* Mappings are bounded like bytes, long before the system's bound: where that is met, malloc fails as well. */
bool engine_take_mappings(struct engine_share *s, uint64_t n);
bool engine_take_stack_mappings(struct engine *e, uint64_t n); /* the engine's: stacks are pooled */
/* Of the pool that part is of, or the refusal for engine_last_refusal. */
bool engine_take(struct engine_share *s, struct pool_part *part, enum engine_refused what, uint64_t n);
bool engine_give_up(struct engine *e); /* something that is kept for later; false: nothing is left */

/* share.c */
void engine_shares_init(struct engine *e);
void engine_actor_wake(struct engine_fiber *f);  /* it is to run, of an actor that may have slept */
void engine_actor_sleep(struct engine_actor *a); /* one of its fibers is parked, or has ended */
/* Into its share's queues. least: the lowest level for it. */
void engine_ready_push(struct engine_fiber *f, uint32_t least);
static inline bool engine_has_work(const struct engine *e) { return e->orders; }
static inline bool engine_share_has_posts(const struct engine_share *s) { return s->posts.next != &s->posts; }
/* Whose turn it is. NULL: nobody has anything to do. */
struct engine_share *engine_share_turn(struct engine *e);
/* Of that share: who is to run. NULL: nobody is ready, or, of those that are, the loop's news goes first. */
struct engine_fiber *engine_share_next(struct engine_share *s, uint64_t now);
void engine_share_run_posts(struct engine_share *s);

/* fiber.c */
bool engine_fibers_idle(struct engine *e, uint64_t now);
bool engine_fibers_waiting(const struct engine *e);
void engine_fibers_free(struct engine *e);
bool engine_fibers_give_up(struct engine *e);     /* the memory of a stack at rest; false: there is none */
void engine_fibers_unhold(struct engine_heap *h); /* the collection is over */
void engine_fiber_leave_by_signal(struct engine *e, struct engine_fiber *f);
bool engine_slice_check(struct engine *e); /* engine_work of nothing */

/* trap.c */
extern __thread struct engine *engine_of_thread; /* the one in engine_run; read by its signal handlers */
void engine_signals_init(struct engine *e);
void engine_signals_free(struct engine *e);
struct engine_image *engine_image_of(const struct engine *e, const void *pc); /* whose text holds pc; async-signal-safe */
void engine_texts_publish(struct engine *e);
/* Where a guest is: its instruction, or where a call of a stub returns to, one of them NULL or both; link, a return address that may
 * not be on the stack yet, or NULL; sp[0..] its stack. */
struct engine_where {
    const uint8_t *pc, *back, *link;
    void **sp;
};
/* Fills the record of the trap under way on f. Async-signal-safe. */
void engine_record(struct engine_fiber *f, enum abi_trap t, struct engine_where at, uint64_t address);
/* Records and ends the innermost engine_call of the current fiber. */
__attribute__((noreturn)) void engine_raise(struct engine *e, enum abi_trap t, void **sp);

/* preempt.c */
void engine_tick_init(struct engine *e);
void engine_tick_free(struct engine *e);
void engine_tick_turn(struct engine *e); /* a turn has begun: e->current, started_ns, level are set */

struct rt { /* a runtime call under way */
    struct engine *e;
    struct engine_instance *in;
};
/* rt_gc.c; arguments as in rtcall.def */
enum abi_trap rt_STRUCT_NEW(const struct rt *rt, uint64_t *a), rt_ARRAY_NEW(const struct rt *rt, uint64_t *a),
    rt_ARRAY_NEW_DEFAULT(const struct rt *rt, uint64_t *a), rt_ARRAY_NEW_DATA(const struct rt *rt, uint64_t *a),
    rt_ARRAY_NEW_ELEM(const struct rt *rt, uint64_t *a), rt_ARRAY_FILL(const struct rt *rt, uint64_t *a),
    rt_ARRAY_COPY(const struct rt *rt, uint64_t *a), rt_ARRAY_INIT_DATA(const struct rt *rt, uint64_t *a),
    rt_ARRAY_INIT_ELEM(const struct rt *rt, uint64_t *a), rt_TYPE_TEST(const struct rt *rt, uint64_t *a);
/* rtcall.c, for rt_gc.c: segments, empty once dropped; types by canonical id. */
str engine_data_segment(struct engine_instance *in, uint64_t instance, uint64_t segment);
uint64_t engine_elem_count(struct engine_instance *in, uint64_t instance, uint64_t segment);
void engine_elem_copy(struct engine_instance *in, uint64_t instance, uint64_t segment, uint64_t src, uint64_t n, uint64_t *to);
bool engine_type_sub(const struct engine_instance *in, uint32_t sub, uint32_t super); /* reflexive */

/* rtcall.c: how memories and tables are found, for engine.c's accessors too */
struct abi_memory *engine_find_memory(struct engine_instance *in, uint32_t instance, uint32_t index);
/* Its record; a fixed table's is made in *fixed. */
struct abi_table *engine_find_table(struct engine_instance *in, uint32_t instance, uint32_t index, struct abi_table *fixed);

#endif
