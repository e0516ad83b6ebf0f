/* engine: runs images. One `struct engine` per worker process and thread; nothing here is shared between threads.
 *
 *   image --acquire--> instance (a slot: context and linear memories of all groups) --spawn--> fiber --call--> guest
 *
 * 1. An instance is as fresh as its image when acquired: nothing of an earlier request is left in it.
 * 2. Guest code runs only on a fiber. A host function runs on the calling guest's fiber and may park it.
 * 3. A trap ends the innermost engine_call on its fiber; it is data, and never unwinds through C frames of host code.
 */
#ifndef ORLO_ENGINE_H
#define ORLO_ENGINE_H

#include "abi/abi.h"
#include "abi/image.h"

struct engine;
struct engine_image;
struct engine_instance;
struct engine_fiber;

struct engine_config {
    uint64_t memory_bytes_max;     /* per instance, over all its memories; 0: 4 GiB each */
    uint32_t slots_max;            /* instances alive at once; 0: 1000 */
    uint64_t slice_ns;             /* a guest that ran this long without yielding is preempted; 0: 10 ms */
    /* Called when a fiber became ready while the loop may be asleep, so that the owner arranges to call engine_run. */
    void (*on_ready)(void *arg);
    void *on_ready_arg;
};
struct engine *engine_new(const struct engine_config *config);
void engine_free(struct engine *e);

/* ---- images ---- */

/* Takes im. Host imports are unbound until engine_image_bind; calling an unbound one traps. */
struct engine_image *engine_image_load(struct engine *e, struct abi_image im);
void engine_image_unload(struct engine_image *image); /* no instance of it may be alive */
const struct abi_image *engine_image_abi(const struct engine_image *image);

struct engine_call; /* a host call in progress */
/* args: the canonical array, results written over it. A trap other than NONE unwinds the guest to its engine_call. */
typedef enum abi_trap (*engine_host_fn)(struct engine_call *call, uint64_t *args);
void engine_image_bind(struct engine_image *image, uint32_t host_index, engine_host_fn fn, void *data);

/* ---- instances ---- */

/* NULL when slots_max instances are alive or address space is out. user is for the owner. */
struct engine_instance *engine_acquire(struct engine_image *image, void *user);
/* Runs what of the instantiation the snapshot does not hold (start_steps), on the current fiber. */
enum abi_trap engine_instance_start(struct engine_instance *in);
/* No fiber of it may be alive. Resets the slot and puts it on its image's LIFO list. */
void engine_release(struct engine_instance *in);
void *engine_instance_user(struct engine_instance *in);
struct engine_image *engine_instance_image(struct engine_instance *in);
struct engine *engine_instance_engine(struct engine_instance *in);

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
uint64_t engine_table_get(struct engine_instance *in, uint32_t instance, uint32_t table, uint64_t i); /* 0 when out of bounds */

/* ---- calls ---- */

/* Calls f; args is the canonical array, long enough for arguments and results. Only on a fiber of the instance; may nest
 * (a host function calling realloc). On a trap the reason is in engine_last_trap. */
[[nodiscard]] enum abi_trap engine_call(struct engine_instance *in, const struct abi_func *f, uint64_t *args);

struct engine_instance *engine_call_instance(struct engine_call *call);
void *engine_call_data(struct engine_call *call);       /* as bound */
uint32_t engine_call_import(struct engine_call *call);  /* host index */
uint32_t engine_call_caller(struct engine_call *call);  /* the core instance that called (the import's first owner if thunks are shared) */
/* Records a text for the trap and returns `t`: return engine_trap(call, ABI_TRAP_HOST, "..."). */
enum abi_trap engine_trap(struct engine_instance *in, enum abi_trap t, const char *fmt, ...) PRINTF_LIKE(3, 4);

enum { ENGINE_FRAMES_MAX = 64 };
struct engine_trap_record {
    enum abi_trap trap;
    char text[256];       /* empty: abi_trap_text(trap) says it */
    int32_t exit_code;    /* for ABI_TRAP_EXIT */
    uint64_t address;     /* offset in linear memory of an out-of-bounds access, or UINT64_MAX */
    uint32_t frames_count;
    struct {
        uint32_t instance, func_index, wasm_offset;
        str module, name; /* borrow the image; empty if unnamed */
    } frames[ENGINE_FRAMES_MAX]; /* innermost first */
};
const struct engine_trap_record *engine_last_trap(struct engine_instance *in);
/* "wasm trap: unreachable\n  0: name (module, func 12, offset 0x1a2b)\n …" */
void engine_trap_print(const struct engine_trap_record *r, struct buf *out);
enum abi_trap engine_exit(struct engine_instance *in, int32_t code); /* records EXIT; returned from a host function */

/* ---- fibers ---- */

/* A new fiber of the instance that will run fn(arg) from engine_run. NULL when stacks are out. */
struct engine_fiber *engine_spawn(struct engine_instance *in, void (*fn)(void *arg), void *arg);
/* Runs ready fibers until none is ready (each at most a slice before others get a turn), or `max_ns` have passed.
 * True: some are still ready, call again soon. */
bool engine_run(struct engine *e, uint64_t max_ns);
struct engine_fiber *engine_fiber_current(struct engine *e); /* NULL on the loop's own stack */
/* Suspends the current fiber until engine_ready. False: the instance was killed meanwhile; the caller releases what it holds
 * and returns ABI_TRAP_INTERRUPTED. A ready that came before the park is not lost. */
[[nodiscard]] bool engine_park(struct engine *e);
void engine_ready(struct engine_fiber *f); /* idempotent; from the loop or from any fiber of this engine */
void engine_yield(struct engine *e);       /* park, ready at once: others get their turn */
/* Every fiber of the instance unwinds with ABI_TRAP_INTERRUPTED, at once if it is running guest code or parked. The fn given
 * to engine_spawn sees it as the trap of its engine_call. */
void engine_kill(struct engine_instance *in);
uint32_t engine_instance_fibers(struct engine_instance *in); /* alive */

#endif
