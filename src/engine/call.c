/* call: from C into compiled code, and from compiled code into host functions. */
#include "engine/engine_int.h"

#define HELD(assembler, c) static_assert((assembler) == (c))
HELD(ASM_CTX_BYTES, sizeof(struct abi_ctx));
HELD(ASM_CTX_GROUPS, ABI_CTX(groups));
HELD(ASM_CTX_INSTANCE, ABI_CTX(instance));
HELD(ASM_CTX_NATIVE_LIMIT, ABI_CTX(native_limit));
HELD(ASM_RUN_NEXT, offsetof(struct abi_run, next));
HELD(ASM_RUN_END, offsetof(struct abi_run, end));
HELD(ASM_RUN_CELL_BYTES, offsetof(struct abi_run, cell_bytes));
HELD(ASM_OBJECT_TYPE_SHIFT, ABI_OBJECT_TYPE_SHIFT);
HELD(ASM_RT_STRUCT_NEW, ABI_RT_STRUCT_NEW);
HELD(ASM_FUNC_CODE, offsetof(struct abi_func, code));
HELD(ASM_FUNC_ENTRY, offsetof(struct abi_func, entry));
HELD(ASM_FUNC_GROUP, offsetof(struct abi_func, group));
HELD(ASM_INSTANCE_TRAP_STACK, offsetof(struct engine_instance, trap_stack));
HELD(ASM_FRAME_SP, offsetof(struct engine_frame, sp));
HELD(ASM_THROW_FRAME, offsetof(struct engine_throw, frame));
HELD(ASM_THROW_BASE, offsetof(struct engine_throw, base));
HELD(ASM_THROW_SP, offsetof(struct engine_throw, sp));
HELD(ASM_THROW_PC, offsetof(struct engine_throw, pc));
HELD(ASM_THROW_BYTES, sizeof(struct engine_throw));
#if defined(__x86_64__)
HELD(X64_SAVED_GS, offsetof(struct engine_saved, gs));
HELD(X64_SAVED_VECTORS, offsetof(struct engine_saved, vectors));
#else
HELD(ARM64_SAVED_SP, offsetof(struct engine_saved, sp));
HELD(ARM64_SAVED_PC, offsetof(struct engine_saved, pc));
HELD(ARM64_SAVED_FLAGS, offsetof(struct engine_saved, flags));
HELD(ARM64_SAVED_VECTORS, offsetof(struct engine_saved, vectors));
HELD(ARM64_FP_FPSR, offsetof(struct fpsimd_context, fpsr));
HELD(ARM64_FP_FPCR, offsetof(struct fpsimd_context, fpcr));
HELD(ARM64_FP_VECTORS, offsetof(struct fpsimd_context, vregs));
#endif
/* The first words of a context are the record of memory 0. */
HELD(offsetof(struct abi_memory, bytes), offsetof(struct abi_ctx, memory_bytes));
HELD(offsetof(struct abi_memory, bytes_max), offsetof(struct abi_ctx, memory_bytes_max));
HELD(ASM_TRAP_STACK_OVERFLOW, ABI_TRAP_STACK_OVERFLOW);

enum { STALE_BYTES = 8 << 10 };

enum abi_trap engine_call(struct engine_instance *in, const struct abi_func *f, uint64_t *args) {
    struct engine_fiber *fiber = in->engine->current;
    ENSURE(fiber);
    if (UNLIKELY(fiber->actor->killed)) {
        in->record = (struct engine_trap_record){.trap = ABI_TRAP_INTERRUPTED, .address = UINT64_MAX};
        in->record_filled = true;
        return ABI_TRAP_INTERRUPTED;
    }
    if (!fiber->frame) in->record_filled = false;
    struct engine_frame frame = {.up = fiber->frame, .in = in, .host = fiber->host};
    uint8_t *top = fiber->frame_top;
    if (!fiber->frame && in->heap->bytes)
        memset(top, 0, STALE_BYTES); /* of earlier calls, which a collection would take for ours */
    fiber->frame = &frame;
    fiber->host = NULL;
    int unwound = engine_asm_enter(f, args, top, &frame, in->group_gs[f->group]);
    fiber->frame = frame.up;
    fiber->host = frame.host;
    fiber->frame_top = top;
    return unwound ? in->record.trap : ABI_TRAP_NONE;
}

enum abi_trap engine_instance_start(struct engine_instance *in) {
    const struct abi_image *im = &in->image->im;
    const uint32_t *steps = abi_image_at(im, im->head->start_steps, uint32_t);
    for (uint64_t i = 0; i < im->head->start_steps.count; i++) {
        uint64_t none[1] = {0};
        enum abi_trap t = engine_call(in, &im->funcs[steps[i]], none);
        if (t != ABI_TRAP_NONE) return t;
    }
    return ABI_TRAP_NONE;
}

bool engine_image_starts(const struct engine_image *image) { return image->im.head->start_steps.count; }
uint64_t engine_instance_growth(const struct engine_instance *in) { return in->memory_used - in->image->initial_bytes; }

void engine_host_dispatch(struct engine_instance *in, uint32_t import, uint64_t *args, void **sp) {
    struct engine *e = in->engine;
    struct engine_fiber *f = e->current;
    const struct engine_host *host = &in->image->hosts[import];
    struct engine_call call = {.in = in, .host = host, .import = import, .sp = sp};
    uint8_t *end = (uint8_t *)(args + host->slots), *top = f->frame_top;
    if (UNLIKELY(f->actor->killed)) engine_raise(e, ABI_TRAP_INTERRUPTED, sp);
    if (UNLIKELY(end > f->frame_limit)) engine_raise(e, ABI_TRAP_STACK_OVERFLOW, sp);
    f->frame_top = (uint8_t *)(uintptr_t)align_up((uintptr_t)end, 16);
    f->host = &call;
    enum abi_trap t = host->fn(&call, args);
    f->host = NULL;
    f->frame_top = top;
    if (UNLIKELY(!engine_slice_check(e))) t = ABI_TRAP_INTERRUPTED;
    if (UNLIKELY(t != ABI_TRAP_NONE)) engine_raise(e, t, sp);
    f->frame->in->record_filled = false; /* of a trap in a nested call, which the host function dealt with */
}

struct engine_instance *engine_call_instance(struct engine_call *call) {
    return call->in;
}
void *engine_call_data(struct engine_call *call) { return call->host->data; }
