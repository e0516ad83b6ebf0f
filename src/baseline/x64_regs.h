/* x64_regs: what each register of x86-64 is for, as the neutral part sees it. */
#ifndef ORLO_BASELINE_X64_REGS_H
#define ORLO_BASELINE_X64_REGS_H

#include <stdint.h>

/* x86-64. r13 frame, r10 and xmm15 scratch, rsp. rax and xmm0 also carry the first result. */
enum {
    TARGET_INT_ARGS = 4,
    TARGET_FLOAT_ARGS = 4,
    TARGET_INT_RESULT = 0,    /* rax */
    TARGET_FLOAT_RESULT = 16, /* xmm0 */
    TARGET_SCRATCH = 10,      /* r10 */
    TARGET_FLOAT_SCRATCH = 31,
    TARGET_RT_CLOBBERS = 0x70007,     /* rax rcx rdx, xmm0-2 */
    TARGET_TEMPS = 0x70007,           /* always temporaries */
    TARGET_CALLER_INT = 0x3c8,        /* rbx rsi rdi r8 r9: pins that a call clobbers, or temporaries */
    TARGET_CALLEE_INT = 0xd820,       /* rbp r11 r12 r14 r15: pins that a call preserves */
    TARGET_CALLER_FLOAT = 0x1f80000,  /* xmm3-8 */
    TARGET_CALLEE_FLOAT = 0x7e000000, /* xmm9-14; f32 and f64 only */
    TARGET_SET_ZEROED = 1,            /* target_set is shorter where d is zero before the comparison */
    TARGET_TWO_OPERANDS = 1,          /* an instruction's destination is its first operand, mostly */
    TARGET_ALIGN = 32,                /* of functions and loops: the decoded instructions of a small loop are in one place */
};
static const uint8_t target_int_args[TARGET_INT_ARGS] = {7, 6, 8, 9};         /* rdi rsi r8 r9 */
static const uint8_t target_float_args[TARGET_FLOAT_ARGS] = {19, 20, 21, 22}; /* xmm3-6 */
static const uint8_t target_bulk_args[3] = {0, 1, 2};                         /* rax rcx rdx */

#endif
