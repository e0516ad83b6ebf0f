/* link_fuzz: any bytes through decoder, validator, compiler, linker and snapshot; what comes out runs.
 *
 * What must hold: a failure says why; an image opens, its code ranges ascend and lie in the text; whatever the guest does ends
 * as a trap or a result of its own call. The canary breaks the second of these. */
#include "base/fuzz.h"
#include "engine/engine.h"
#include "link/link.h"
#include <unistd.h>

enum { RUN_NS_MAX = 5'000'000, CALLS_MAX = 4, SLOTS_MAX = 4096 };

static void check_codes(const struct abi_image *im) {
    const struct abi_image_code *codes = abi_image_at(im, im->head->codes, struct abi_image_code);
    uint64_t end = 0;
    for (uint64_t i = 0; i < im->head->codes.count; i++) {
        ENSURE(codes[i].start >= end && codes[i].size);
        end = (uint64_t)codes[i].start + codes[i].size;
    }
    ENSURE(end <= (canary ? 0 : im->head->text.count));
}

static enum abi_trap refuse(struct engine_call *call, uint64_t *args) {
    return engine_trap(engine_call_instance(call), ABI_TRAP_HOST, "no host");
}

struct call {
    struct engine_instance *in;
    const struct abi_func *f;
    enum abi_trap trap;
};
static void run_call(void *arg) {
    struct call *c = arg;
    static uint64_t args[SLOTS_MAX];
    memset(args, 0, sizeof args);
    c->trap = c->f ? engine_call(c->in, c->f, args) : engine_instance_start(c->in);
}
static enum abi_trap run(struct engine *e, struct engine_instance *in, const struct abi_func *f) {
    struct call c = {in, f, ABI_TRAP_COUNT};
    if (!engine_spawn(in, run_call, &c)) return ABI_TRAP_OUT_OF_MEMORY;
    uint64_t end = clock_mono_ns() + RUN_NS_MAX;
    while (engine_instance_fibers(in) && clock_mono_ns() < end) engine_run(e, RUN_NS_MAX);
    if (engine_instance_fibers(in)) engine_kill(in);
    while (engine_instance_fibers(in)) engine_run(e, RUN_NS_MAX);
    ENSURE(c.trap < ABI_TRAP_COUNT);
    return c.trap;
}

/* The exports are called in order until one traps. */
static void run_exports(struct engine *e, struct engine_image *image) {
    const struct abi_image *im = engine_image_abi(image);
    struct engine_instance *in = engine_acquire(image, NULL);
    if (!in) return;
    const struct abi_image_export *x = abi_image_at(im, im->head->exports, struct abi_image_export);
    enum abi_trap t = run(e, in, NULL);
    for (uint64_t i = 0, n = 0; t == ABI_TRAP_NONE && i < im->head->exports.count && n < CALLS_MAX; i++) {
        if (x[i].kind != WASM_EXTERN_FUNC) continue;
        const struct abi_func *f = &im->funcs[x[i].index];
        n++;
        if ((uint32_t)f->sig > SLOTS_MAX || f->sig >> 32 > SLOTS_MAX) continue;
        t = run(e, in, f);
    }
    engine_release(in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct link_options o = {.snapshot_ns_max = RUN_NS_MAX, .threads = 1, .memory_bytes_max = 64 << 20};
    struct diag d = DIAG_INIT;
    int fd;
    err e = link_file_memfd((str){data, size}, &o, &fd, NULL, &d);
    ENSURE(e == ERR_OK || d.text[0]);
    if (e) return 0;
    struct abi_image im;
    e = abi_image_open(fd, NULL, &im, &d);
    ENSURE(e == ERR_OK);
    check_codes(&im);
    struct engine *engine = engine_new(&(struct engine_config){.slots_max = 1, .memory_bytes_max = 64 << 20, .verify = true});
    struct engine_image *image = engine_image_load(engine_share_own(engine), im);
    for (uint32_t i = 0; i < im.head->hosts.count; i++) engine_image_bind(image, i, refuse, NULL);
    run_exports(engine, image);
    engine_free(engine);
    return 0;
}
