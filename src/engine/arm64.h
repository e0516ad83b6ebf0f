/* arm64: registers of a preempted fiber as arm64.S finds them, and what C code must know of aarch64: signal contexts. */
#ifndef ORLO_ENGINE_ARM64_H
#define ORLO_ENGINE_ARM64_H

#include "engine/asm.h"

/* struct engine_saved */
#define ARM64_SAVED_SP 248
#define ARM64_SAVED_PC 256
#define ARM64_SAVED_FLAGS 264
#define ARM64_SAVED_VECTORS 272
/* struct fpsimd_context */
#define ARM64_FP_FPSR 8
#define ARM64_FP_FPCR 12
#define ARM64_FP_VECTORS 16
/* what a switch leaves on a stack */
#define ARM64_SWITCH_BYTES 160

#ifndef __ASSEMBLER__
#include "base/base.h"
#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>

enum { ENGINE_RESUME_BYTES = 0 }; /* engine_asm_resume writes nothing on the fiber's stack */

struct engine_saved { /* registers of a preempted fiber */
    uint64_t x[31], sp, pc, flags;
    void *vectors; /* struct fpsimd_context */
};

/* What this machine would need for the engine to run; NULL: nothing. Some kernels have pages of 16 or 64 KiB. */
static inline const char *engine_machine_lacks(void) {
    return getauxval(AT_PAGESZ) == 4096 ? NULL : "a kernel with pages of 4 KiB is needed";
}

/* The base is in a register that C code and switches preserve. */
static inline uint8_t *engine_base_get(void) { return NULL; }
static inline void engine_base_set(uint8_t *base) { (void)base; }

/* ---- a signal's context ---- */

static inline const uint8_t *engine_context_pc(const ucontext_t *uc) { return (const uint8_t *)(uintptr_t)uc->uc_mcontext.pc; }
static inline void **engine_context_sp(const ucontext_t *uc) { return (void **)(uintptr_t)uc->uc_mcontext.sp; }
/* Where the innermost function returns to, if that is not on the stack. */
static inline const uint8_t *engine_context_link(const ucontext_t *uc) {
    return (const uint8_t *)(uintptr_t)uc->uc_mcontext.regs[30];
}
static inline uint8_t *engine_context_base(const ucontext_t *uc) { /* of the group whose code runs */
    return (uint8_t *)(uintptr_t)uc->uc_mcontext.regs[28];
}
/* The signal handler returns into fn(arg). */
static inline void engine_context_go(ucontext_t *uc, void (*fn)(void), void *arg) {
    uc->uc_mcontext.pc = (uintptr_t)fn;
    uc->uc_mcontext.regs[0] = (uintptr_t)arg;
}

/* The record of the vector registers among those behind the general ones, or NULL. */
static inline const struct fpsimd_context *engine_context_vectors(const ucontext_t *uc) {
    const uint8_t *p = uc->uc_mcontext.__reserved, *end = p + sizeof uc->uc_mcontext.__reserved;
    while ((size_t)(end - p) >= sizeof(struct fpsimd_context)) {
        const struct _aarch64_ctx *head = (const void *)p;
        if (head->magic == FPSIMD_MAGIC) return (const void *)p;
        if (!head->magic || !head->size) return NULL;
        p += head->size;
    }
    return NULL;
}
static inline uint32_t engine_context_vector_bytes(const ucontext_t *uc) {
    return engine_context_vectors(uc) ? sizeof(struct fpsimd_context) : 0;
}
/* All registers to s, whose vectors have room. Compiled code uses no wider vectors. */
static inline void engine_context_save(const ucontext_t *uc, struct engine_saved *s) {
    for (int i = 0; i < 31; i++) s->x[i] = uc->uc_mcontext.regs[i];
    s->sp = uc->uc_mcontext.sp;
    s->pc = uc->uc_mcontext.pc;
    s->flags = uc->uc_mcontext.pstate;
    __builtin_memcpy(s->vectors, engine_context_vectors(uc), sizeof(struct fpsimd_context));
}
static inline const uint8_t *engine_saved_pc(const struct engine_saved *s) { return (const uint8_t *)(uintptr_t)s->pc; }
/* The frame stack's address of the function that ran. */
static inline uint8_t *engine_saved_frame(const struct engine_saved *s) { return (uint8_t *)(uintptr_t)s->x[27]; }
static inline void **engine_saved_sp(const struct engine_saved *s) { return (void **)(uintptr_t)s->sp; }
static inline const uint8_t *engine_saved_link(const struct engine_saved *s) { return (const uint8_t *)(uintptr_t)s->x[30]; }

/* ---- the native stack, at what a call has stored: two words, the second its return address ---- */

enum { ENGINE_RETURN_WORDS = 2, ENGINE_FAR_WORDS = 2 };
static inline const uint8_t *engine_return_address(void **sp) { return sp[1]; }
/* Where that is engine_asm_far_return: the base of the group that called; its own call lies ENGINE_FAR_WORDS above. */
static inline uint8_t *engine_far_base(void **sp) { return sp[2]; }

/* The stack of a fiber that starts at engine_asm_start, below `top`; gives its sp. */
static inline void *engine_first_sp(void *top, void (*start)(void), void *fiber) {
    uint64_t *sp = (uint64_t *)top - 2 - ARM64_SWITCH_BYTES / 8;
    memset(sp, 0, ARM64_SWITCH_BYTES + 16);
    sp[1] = (uintptr_t)start; /* x30 */
    sp[2] = (uintptr_t)fiber; /* x19 */
    return sp;
}
#endif

#endif
