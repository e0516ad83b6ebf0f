/* x64: registers of a preempted fiber as x64.S finds them, and what C code must know of x86-64: signal contexts, GS. */
#ifndef ORLO_ENGINE_X64_H
#define ORLO_ENGINE_X64_H

#include "engine/asm.h"

/* struct engine_saved: as the kernel's gregs, then ours */
#define X64_SAVED_R8 0
#define X64_SAVED_R9 8
#define X64_SAVED_R10 16
#define X64_SAVED_R11 24
#define X64_SAVED_R12 32
#define X64_SAVED_R13 40
#define X64_SAVED_R14 48
#define X64_SAVED_R15 56
#define X64_SAVED_RDI 64
#define X64_SAVED_RSI 72
#define X64_SAVED_RBP 80
#define X64_SAVED_RBX 88
#define X64_SAVED_RDX 96
#define X64_SAVED_RAX 104
#define X64_SAVED_RCX 112
#define X64_SAVED_RSP 120
#define X64_SAVED_RIP 128
#define X64_SAVED_FLAGS 136
#define X64_SAVED_GS 144
#define X64_SAVED_VECTORS 152
#ifndef __ASSEMBLER__
#include "base/base.h"
#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>

#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE (1 << 1)
#endif

enum { ENGINE_RESUME_BYTES = 16 }; /* that engine_asm_resume writes below sp */

struct engine_saved { /* registers of a preempted fiber */
    uint64_t gregs[18], gs;
    void *vectors; /* XSAVE's standard form */
};

/* What this machine would need for the engine to run; NULL: nothing. */
static inline const char *engine_machine_lacks(void) {
    return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE ? NULL : "Linux 5.9 and a processor since 2012 are needed (FSGSBASE)";
}

/* The group whose code runs, kept by C code over a switch of fibers. */
static inline uint8_t *engine_base_get(void) {
    uint8_t *gs;
    __asm__ volatile("rdgsbase %0" : "=r"(gs));
    return gs;
}
static inline void engine_base_set(uint8_t *gs) { __asm__ volatile("wrgsbase %0" : : "r"(gs)); }

/* ---- a signal's context ---- */

static inline const uint8_t *engine_context_pc(const ucontext_t *uc) {
    return (const uint8_t *)(uintptr_t)uc->uc_mcontext.gregs[REG_RIP];
}
static inline void **engine_context_sp(const ucontext_t *uc) { return (void **)(uintptr_t)uc->uc_mcontext.gregs[REG_RSP]; }
/* Where the innermost function returns to, if that is not on the stack. */
static inline const uint8_t *engine_context_link(const ucontext_t *uc) {
    (void)uc;
    return NULL;
}
static inline uint8_t *engine_context_base(const ucontext_t *uc) { /* of the group whose code runs */
    (void)uc;
    return engine_base_get();
}
/* The signal handler returns into fn(arg). */
static inline void engine_context_go(ucontext_t *uc, void (*fn)(void), void *arg) {
    uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)fn;
    uc->uc_mcontext.gregs[REG_RDI] = (greg_t)(uintptr_t)arg;
    uc->uc_mcontext.gregs[REG_EFL] = 0x202; /* as the C ABI wants it: no direction flag */
}

/* Bytes of the vector state in a signal frame; the kernel notes them in the bytes that FXSAVE leaves free. */
static inline uint32_t engine_context_vector_bytes(const ucontext_t *uc) {
    uint32_t magic, size;
    memcpy(&magic, (const uint8_t *)uc->uc_mcontext.fpregs + 464, 4);
    memcpy(&size, (const uint8_t *)uc->uc_mcontext.fpregs + 464 + 16, 4);
    return magic == 0x46505853 ? size : 0;
}
/* All registers to s, whose vectors have room. */
static inline void engine_context_save(const ucontext_t *uc, struct engine_saved *s) {
    for (int i = 0; i < 18; i++) s->gregs[i] = (uint64_t)uc->uc_mcontext.gregs[i];
    s->gs = (uintptr_t)engine_base_get();
    __builtin_memcpy(s->vectors, uc->uc_mcontext.fpregs, engine_context_vector_bytes(uc));
}
static inline const uint8_t *engine_saved_pc(const struct engine_saved *s) {
    return (const uint8_t *)(uintptr_t)s->gregs[X64_SAVED_RIP / 8];
}
/* The frame stack's address of the function that ran. */
static inline uint8_t *engine_saved_frame(const struct engine_saved *s) {
    return (uint8_t *)(uintptr_t)s->gregs[X64_SAVED_R13 / 8];
}
static inline void **engine_saved_sp(const struct engine_saved *s) { return (void **)(uintptr_t)s->gregs[X64_SAVED_RSP / 8]; }
static inline const uint8_t *engine_saved_link(const struct engine_saved *s) {
    (void)s;
    return NULL;
}

/* ---- the native stack, at what a call has pushed ---- */

enum { ENGINE_RETURN_WORDS = 1, ENGINE_FAR_WORDS = 2 };
static inline const uint8_t *engine_return_address(void **sp) { return sp[0]; }
/* Where that is engine_asm_far_return: the base of the group that called; its own call lies ENGINE_FAR_WORDS above. */
static inline uint8_t *engine_far_base(void **sp) { return sp[1]; }

/* The stack of a fiber that starts at engine_asm_start, below `top`; gives its sp. */
static inline void *engine_first_sp(void *top, void (*start)(void), void *fiber) {
    uint64_t *sp = top;
    *--sp = 0; /* ends backtraces */
    *--sp = (uintptr_t)start;
    *--sp = 0;                /* rbp */
    *--sp = 0;                /* rbx */
    *--sp = (uintptr_t)fiber; /* r12 */
    for (int i = 13; i <= 15; i++) *--sp = 0;
    return sp;
}
#endif

#endif
