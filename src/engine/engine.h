/* engine: runs images. One `struct engine` per worker process; nothing here is shared between threads.
 *
 *   share --load--> image --acquire--> instance (a slot: contexts, memories) --spawn--> fiber --call--> guest
 *     └──spawn──> fiber: work that is no guest's
 *
 * 1. An instance is as fresh as its image when acquired: nothing of an earlier request is left in it.
 * 2. Guest code runs only on a fiber. A host function runs on the calling guest's fiber and may park it.
 * 3. A trap ends the innermost engine_call on its fiber; it is data, and never unwinds host code's C frames.
 * 4. Whatever runs or lies in memory is a share's. Shares take turns by the time they use, however much each of them has to do, and none
 *    can use up what there is for all.
 */
#ifndef ORLO_ENGINE_H
#define ORLO_ENGINE_H

#include "abi/abi.h"
#include "abi/image.h"

struct engine;
struct engine_share;
struct engine_image;
struct engine_instance;
struct engine_fiber;

/* How a released slot finds the pages its guest wrote. The last two are for kernels without PAGEMAP_SCAN
 * (before 6.7). */
enum engine_reset {
    ENGINE_RESET_AUTO,    /* what ORLO_ENGINE_RESET (scan, pagemap, madvise) says, else the best there is */
    ENGINE_RESET_SCAN,    /* ioctl PAGEMAP_SCAN */
    ENGINE_RESET_PAGEMAP, /* /proc/self/pagemap read for ranges up to 2 MiB, else as MADVISE */
    ENGINE_RESET_MADVISE, /* the first 64 KiB copied, the rest given back to the kernel */
};

struct engine_config {
    uint64_t account_bytes_max; /* of all shares: instances, stacks, images, and what is kept for the next; 0: no cap */
    uint64_t memory_bytes_max;  /* as a share's, of engine_share_own */
    bool no_files; /* contexts are copied, never mapped from a memory file: of a process whose private memory alone is limited */
    uint32_t slots_max;  /* instances alive at once; 0: 1000 */
    uint32_t fibers_max; /* fibers alive at once; 0: 4 * slots_max */
    uint64_t slice_ns;   /* a guest that ran this long without yielding is preempted, if anybody else wants the core;
                                  0: what ORLO_ENGINE_SLICE_NS says, else 1.5 ms; at least 20 us */
    enum engine_reset reset;
    bool verify; /* after each reset compare the whole slot with its image, abort on a difference; for tests.
                    ORLO_ENGINE_VERIFY=1 does the same */
    bool
        collect_always; /* collect garbage at every allocation, an instance's first thousands of them; for tests. ORLO_ENGINE_COLLECT=1
                            does the same */
    uint64_t reserve_bytes_max; /* address space of a heap, and of a memory that is not confined to 4 GiB by its type; 0: what
                                   ORLO_ENGINE_RESERVE says, else 4 and 64 GiB. Emulators pay for each page of it */
    /* Called when a fiber became ready while the loop may be asleep, so that the owner arranges to call
     * engine_run; and when something ended that may make room, after something was refused. */
    void (*on_ready)(void *arg);
    void *on_ready_arg;
    /* Whether there is news for the loop that calls engine_run, such as a readable socket: a guest that computes is then taken off
     * before its slice is over. Called by a signal handler. NULL: take it that there always is, once the slice is over. */
    bool (*news)(void *arg);
    void *news_arg;
};
/* Usually one a thread; several may exist, and engine_run of one from within another's host function works.
 * Made in the process that uses it (after fork), before it gives up its rights: it opens /proc/self/pagemap
 * (unless config->reset is MADVISE), sets an alternate signal stack for the thread and takes SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL and SIGVTALRM of the process. config may be NULL. Never NULL. */
struct engine *engine_new(const struct engine_config *config);
void engine_free(struct engine *e); /* no instance may be alive; unloads all images */
/* Work that was put off to keep it from requests: gives back memory of slots and stacks that grew or stay
 * unused, makes the next slot of busy images. For the loop, when it has nothing else to do. True: there is
 * more to do. */
bool engine_idle(struct engine *e);
/* After engine_idle had nothing more to do: call it again in so many milliseconds if nothing runs meanwhile.
 * 0: no need. */
uint32_t engine_idle_wait_ms(const struct engine *e);
uint64_t engine_turns(const struct engine *e); /* how often a fiber has been given the core so far */

/* ---- shares: who has what part of the engine ----
 *
 * A share is an app's, say: what is charged for its images, its instances, its stacks and what the host keeps for it is one account; its
 * fibers are ready in queues of their own. Shares that want the core take turns by deficit round robin: in each round a share may compute
 * for a slice times its weight, so that a thousand busy instances of one get no more than the only one of another. One that wakes comes
 * before those that compute, within what is left to it of the round; one that sleeps saves nothing.
 * What all of them take from (memory, instances, stacks, the system's mappings) is a pool each: see base/pool.h. */

enum { ENGINE_WEIGHT_MAX = 100 };
struct engine_share_config {
    uint32_t weight;            /* of the core, beside others that want it; 1..ENGINE_WEIGHT_MAX; 0: 1 */
    uint32_t slots_max;         /* instances alive at once; 0: as many as the engine has for it */
    uint32_t fibers_max;        /* likewise */
    uint64_t account_bytes_max; /* of everything that is charged to it; 0: no cap of its own */
    uint64_t memory_bytes_max;  /* per instance, over all its memories, tables and its heap; 0: 4 GiB each memory */
    void *user;                 /* its owner's */
};
/* Beside the engine's bounds. config may be NULL. Never NULL. */
struct engine_share *engine_share_new(struct engine *e, const struct engine_share_config *config);
/* It has no image and no fiber, nothing is charged to it, and none of its posts is queued. */
void engine_share_free(struct engine_share *s);
/* From now on. What it has beyond a smaller bound stays until it ends. */
void engine_share_limit(struct engine_share *s, const struct engine_share_config *config);
/* For an engine that needs but one: made when it is first asked for, with the engine's bounds; freed with the engine. */
struct engine_share *engine_share_own(struct engine *e);
struct engine *engine_share_engine(const struct engine_share *s);
void *engine_share_user(const struct engine_share *s);
struct engine_share_use {
    uint64_t cpu_ns;              /* that its fibers, its posts and the cleaning of its instances have had of the core */
    uint64_t bytes;               /* charged */
    uint64_t resets, reset_bytes; /* instances that were cleaned for the next; what was written back or given back for that */
    uint32_t slots, fibers;       /* alive */
};
struct engine_share_use engine_share_use(const struct engine_share *s);
/* A fiber that is no instance's: fn(arg) runs in the share's turns, may park, is ended by engine_fiber_kill and engine_share_kill, and gives
 * way only where it parks, yields or calls engine_work. It is charged a stack. NULL: engine_last_refusal says why. */
struct engine_fiber *engine_share_spawn(struct engine_share *s, void (*fn)(void *arg), void *arg);
/* Everything that runs in it now: as engine_kill of its instances that have fibers, and engine_fiber_kill of the others. */
void engine_share_kill(struct engine_share *s);
/* It has used so much of the core: of another process, too, that works for it. */
void engine_share_charge(struct engine_share *s, uint64_t ns);
/* Bytes that the host keeps for the share. False: engine_last_refusal says why; what was only kept for later has been given up by then. */
[[nodiscard]] bool engine_pay(struct engine_share *s, uint64_t bytes);
void engine_unpay(struct engine_share *s, uint64_t bytes);
enum {
    ENGINE_STACK_BYTES = ABI_NATIVE_STACK_BYTES + ABI_FRAME_STACK_BYTES
};                                             /* what a fiber is charged: all it can touch by recursion */
uint64_t engine_bytes(const struct engine *e); /* charged to all shares, and what is kept for the next instance */

/* Why there was no instance, fiber or image, or a memory did not grow, the last time. */
enum engine_refused {
    ENGINE_REFUSED_NOTHING,
    ENGINE_REFUSED_SLOTS,    /* slots_max */
    ENGINE_REFUSED_FIBERS,   /* fibers_max */
    ENGINE_REFUSED_INSTANCE, /* memory_bytes_max is less than an instance starts with */
    ENGINE_REFUSED_ACCOUNT,  /* account_bytes_max */
    ENGINE_REFUSED_SYSTEM,   /* the system has no address space, or (max) allows no more mappings */
};
struct engine_refusal {
    enum engine_refused what;
    const struct engine_share *share; /* whose limit it was; NULL: the engine's */
    bool leaves;                      /* the engine's is not met: what is left of it is for other shares */
    uint64_t bytes, max;              /* asked for; the limit */
};
const struct engine_refusal *engine_last_refusal(const struct engine *e);
/* Instances are alive or being cleaned: what they are charged comes back. */
bool engine_holds(const struct engine *e);

/* ---- meters: what somebody has computed, whoever's fibers did it ----
 *
 * A request, say, has one. What is put on it is processor time: of a turn that was short the time that went by, which is as good; of a long one,
 * in which the system may have let others compute, what this thread has had. Host functions compute on the fiber that called them, so they count. */
struct engine_meter {
    uint64_t used_ns, max_ns; /* max 0: it only counts */
    void (*spent)(void *arg); /* more than max_ns was used: once, from engine_run, on its caller's stack */
    void *arg;
};
/* Of the instance's fibers from now on, until it is released; NULL: of none. m is borrowed until then. */
void engine_instance_meter(struct engine_instance *in, struct engine_meter *m);
/* Of one fiber, that ends, or is given another (NULL: none), before m goes. */
void engine_fiber_meter(struct engine_fiber *f, struct engine_meter *m);

/* ---- images ---- */

/* Takes im, and charges the share for it: engine_image_bytes. Host imports are unbound until engine_image_bind; calling an unbound one
 * traps. NULL: there was no room, im is closed, and engine_last_refusal says why. */
struct engine_image *engine_image_load(struct engine_share *s, struct abi_image im);
/* What an instance of it may hold, in place of the share's memory_bytes_max; 0: that. Of those that are alive: for what they take from now on. */
void engine_image_limit(struct engine_image *image, uint64_t memory_bytes_max);
void engine_image_unload(struct engine_image *image); /* no instance of it may be alive */
const struct abi_image *engine_image_abi(const struct engine_image *image);
struct engine_share *engine_image_share(const struct engine_image *image);
uint64_t engine_image_bytes(const struct engine_image *image);         /* of the image: its file, templates of its contexts */
uint64_t engine_image_initial_bytes(const struct engine_image *image); /* of an instance: what it is charged at first */
uint32_t engine_image_alive(const struct engine_image *image); /* instances, those included that end once their fibers have */

struct engine_call; /* a host call in progress */
/* args: the canonical array, results written over it. A trap other than NONE unwinds the guest to its
 * engine_call. */
typedef enum abi_trap (*engine_host_fn)(struct engine_call *call, uint64_t *args);
void engine_image_bind(struct engine_image *image, uint32_t host_index, engine_host_fn fn, void *data);

/* ---- instances ---- */

/* NULL: engine_last_refusal says why. user is for the owner. */
struct engine_instance *engine_acquire(struct engine_image *image, void *user);
/* Runs what of the instantiation the snapshot does not hold (start_steps), on the current fiber. */
enum abi_trap engine_instance_start(struct engine_instance *in);
bool engine_image_starts(const struct engine_image *image);        /* engine_instance_start has something to do */
uint64_t engine_instance_growth(const struct engine_instance *in); /* bytes of memories and tables beyond the image's */
/* Resets the slot and puts it on its image's LIFO list: at once, or, while fibers of it are alive, when the
 * last one has ended; or, when much was written, a piece in each engine_run or engine_idle. */
void engine_release(struct engine_instance *in);
/* Those released between these two are reset by the second: what a reset asks the kernel is then asked once. */
void engine_release_many(struct engine *e);
void engine_release_end(struct engine *e);
uint64_t engine_resets_recalled(const struct engine *e); /* that had to look for no written page: for tests */
void *engine_instance_user(struct engine_instance *in);
struct engine_image *engine_instance_image(struct engine_instance *in);
struct engine *engine_instance_engine(struct engine_instance *in);
struct engine_share *engine_instance_share(struct engine_instance *in);

/* GS of one of its image's groups: the context lies below it, memory 0 at it. For the snapshot maker. */
uint8_t *engine_instance_gs(struct engine_instance *in, uint32_t group);

struct engine_bytes {
    uint8_t *p;
    uint64_t n;
};
/* Memory `index` of core instance `instance`, as it is now: valid until the next call into the guest. */
struct engine_bytes engine_memory(struct engine_instance *in, uint32_t instance, uint32_t index);
/* Export of a core instance by name; NULL or false if there is none of that kind. */
const struct abi_func *engine_export_func(struct engine_image *image, uint32_t instance, str name);
bool engine_export_memory(struct engine_image *image, uint32_t instance, str name, uint32_t *index);
/* A global's 8 (v128: 16) bytes in place. NULL: no such export. */
uint64_t *engine_export_global(struct engine_instance *in, uint32_t instance, str name);
/* The records that FAR words of other instances point to. */
struct abi_memory *engine_memory_record(struct engine_instance *in, uint32_t instance, uint32_t index);
struct abi_table *engine_table_record(struct engine_instance *in, uint32_t instance, uint32_t table, struct abi_table *fixed);
/* 0 when i is out of bounds. */
uint64_t engine_table_get(struct engine_instance *in, uint32_t instance, uint32_t table, uint64_t i);

/* ---- stores: instances linked to each other at run time (an embedder's, the specification's suite) ----
 *
 * The funcs[].group of an image for a store are numbered over the store: its group 0 is engine_store_groups()
 * at the time of engine_store_acquire. type_ids must be unique over the store as well. */

struct engine_store;
struct engine_store *engine_store_new(struct engine *e);
void engine_store_free(struct engine_store *s); /* releases its instances, the newest first */
uint32_t engine_store_groups(const struct engine_store *s);
struct engine_instance *engine_store_acquire(struct engine_store *s, struct engine_image *image, void *user);
/* Writes the 8-byte word at GS + offset of the core instance's group: a FAR record's address, a struct
 * abi_func *, a value. */
void engine_instance_bind_far(struct engine_instance *in, uint32_t instance, int32_t offset, const void *address);

/* ---- calls ---- */

/* Calls f; args is the canonical array, long enough for arguments and results. Only on a fiber of the
 * instance; may nest (a host function calling realloc). On a trap the reason is in engine_last_trap. */
[[nodiscard]] enum abi_trap engine_call(struct engine_instance *in, const struct abi_func *f, uint64_t *args);

struct engine_instance *engine_call_instance(struct engine_call *call);
void *engine_call_data(struct engine_call *call); /* as bound */
/* Records a text for the trap and returns `t`: return engine_trap(call, ABI_TRAP_HOST, "..."). */
enum abi_trap engine_trap(struct engine_instance *in, enum abi_trap t, const char *fmt, ...) PRINTF_LIKE(3, 4);

enum { ENGINE_FRAMES_MAX = 64 };
struct engine_trap_record {
    enum abi_trap trap;
    char text[256];    /* empty: abi_trap_text(trap) says it */
    int32_t exit_code; /* for ABI_TRAP_EXIT */
    uint64_t address;  /* offset in linear memory of an out-of-bounds access, or UINT64_MAX */
    uint32_t frames_count;
    struct {
        uint32_t instance, func_index, wasm_offset;
        str module, name;        /* borrow the image; empty if unnamed */
    } frames[ENGINE_FRAMES_MAX]; /* innermost first */
};
const struct engine_trap_record *engine_last_trap(struct engine_instance *in);
/* "wasm trap: unreachable\n  0: name (module, func 12, offset 0x1a2b)\n …" */
void engine_trap_print(const struct engine_trap_record *r, struct buf *out);
/* Records EXIT and returns it: return engine_exit(in, code) in a host function. */
enum abi_trap engine_exit(struct engine_instance *in, int32_t code);

/* ---- fibers ---- */

/* A new fiber of the instance that will run fn(arg) from engine_run. Its stacks are charged to the share. NULL:
 * engine_last_refusal says why. */
struct engine_fiber *engine_spawn(struct engine_instance *in, void (*fn)(void *arg), void *arg);
/* Runs ready fibers until none is ready, `max_ns` have passed, or there is news for the loop. Each runs for a slice at most before others
 * get a turn; shares that have had more than theirs come last, and of a share those whose instance has used little of the core go
 * first. True: some are still ready, or slots being cleaned: call again soon. */
bool engine_run(struct engine *e, uint64_t max_ns);

/* fn(arg) in the share's next turn, on engine_run's caller's stack; once. */
struct engine_post {
    void (*fn)(void *arg);
    void *arg;
    struct engine_post *next, *prev; /* private; NULL: not queued */
};
void engine_post(struct engine_share *s, struct engine_post *p); /* queued already: nothing. From any stack of the thread */
void engine_post_cancel(struct engine_post *p);
struct engine_fiber *engine_fiber_current(struct engine *e); /* NULL on the loop's own stack */
/* What this thread's engine does: the instance whose fiber runs (NULL: none), and the import it is in ("": in no host call). For a signal
 * handler that is to say where a process hangs or dies. Async-signal-safe. */
struct engine_instance *engine_doing(str *module, str *name);
/* Suspends the current fiber until engine_ready. False: the instance was killed meanwhile; the caller
 * releases what it holds and returns ABI_TRAP_INTERRUPTED. A ready that came before the park is not lost. */
[[nodiscard]] bool engine_park(struct engine *e);
void engine_ready(struct engine_fiber *f); /* idempotent; from the loop or from any fiber of this engine */
/* Host code is left half of what it began with (abi.h): for whoever goes deeper as often as a guest likes, without its code between. */
bool engine_stack_room(struct engine *e);
void engine_yield(struct engine *e); /* park, ready at once: others get their turn */
/* For host functions: whoever loops over a size that the guest chose says after each piece how much was done: bytes touched, or, of what
 * takes longer than a nanosecond, so many nanoseconds; not above ENGINE_WORK_PIECE at once. It counts as the guest's own
 * computing: others get their turn when the slice is over. False: the instance was killed; the caller releases what it holds and
 * returns ABI_TRAP_INTERRUPTED. On the loop's own stack it does nothing. */
[[nodiscard]] bool engine_work(struct engine *e, uint64_t units);
enum { ENGINE_WORK_PIECE = 256 << 10 };
[[nodiscard]] bool engine_copy(struct engine *e, void *to, const void *from, uint64_t n); /* memmove, as work */
uint64_t engine_work_most(const struct engine *e); /* the largest `units` so far: for tests */
/* Every fiber of the instance unwinds with ABI_TRAP_INTERRUPTED, at once if it is running guest code or
 * parked. The fn given to engine_spawn sees it as the trap of its engine_call. */
void engine_kill(struct engine_instance *in);
/* The same of a fiber without an instance: engine_park and engine_work say false from now on. It must be alive. */
void engine_fiber_kill(struct engine_fiber *f);
uint32_t engine_instance_fibers(struct engine_instance *in); /* alive */

#endif
