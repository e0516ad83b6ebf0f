/* arm64: entering and leaving compiled code, the stubs it calls, and the switch of fibers.
 *
 *   engine_asm_enter ──> entry adapter ──> compiled code ──> engine_asm_host / _call ──> C on the same stack
 *        ^                                      │ engine_asm_trap ──> C on the engine's trap stack
 *        └──────── engine_asm_unwind ───────────┘ or a signal
 *
 * 1. x28 is the base of the group whose code runs, x26 what lies 32 KiB below it. Both are set by enter and by far, which puts them
 *    back; C code and switches preserve them.
 * 2. Stubs called by compiled code keep x4-x14, x26-x28 and v4-v14, all of each.
 * 3. Compiled code has nothing in x18: resume goes on by it. It has nothing in x19-x25 over a call of a stub.
 * 4. What a stub leaves on the native stack is its return address beside a word that is no address of compiled code.
 */
#include "engine/arm64.h"

.macro FUNCTION name
    .globl \name
    .hidden \name
    .type \name, %function
    .p2align 4
\name:
.endm
/* ARM64_SWITCH_BYTES; engine_first_sp makes one. */
.macro PUSH_CALLEE_SAVED
    stp x29, x30, [sp, #-160]!
    stp x19, x20, [sp, #16]
    stp x21, x22, [sp, #32]
    stp x23, x24, [sp, #48]
    stp x25, x26, [sp, #64]
    stp x27, x28, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
.endm
.macro POP_CALLEE_SAVED
    ldp d14, d15, [sp, #144]
    ldp d12, d13, [sp, #128]
    ldp d10, d11, [sp, #112]
    ldp d8, d9, [sp, #96]
    ldp x27, x28, [sp, #80]
    ldp x25, x26, [sp, #64]
    ldp x23, x24, [sp, #48]
    ldp x21, x22, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #160
.endm
.macro SAVE_SP to
    mov x9, sp
    str x9, [\to]
.endm
.macro SET_WINDOW
    sub x26, x28, #8, lsl #12
.endm

    .text

/* int engine_asm_enter(const struct abi_func *f, uint64_t *args, void *frame_top, struct engine_frame *fr, uint8_t *base)
 * Calls f; 0, or 1 when it was unwound by a trap. */
FUNCTION engine_asm_enter
    PUSH_CALLEE_SAVED
    mov x9, sp
    str x9, [x3, #ASM_FRAME_SP]
    mov x28, x4
    SET_WINDOW
    ldr x16, [x0, #ASM_FUNC_ENTRY]
    blr x16
    mov w0, #0
.Lleave:
    POP_CALLEE_SAVED
    ret

/* noreturn void engine_asm_unwind(struct engine_frame *fr): its engine_asm_enter returns 1. */
FUNCTION engine_asm_unwind
    ldr x9, [x0, #ASM_FRAME_SP]
    mov sp, x9
    mov w0, #1
    b .Lleave

/* Compiled code calls engine (w0 = what, x1 = canonical array): the C function gets (instance, what, array, sp). */
.macro STUB name, target
FUNCTION \name
    ldur x16, [x28, #ASM_CTX_NATIVE_LIMIT]
    mov x17, sp
    cmp x17, x16
    b.lo .Lno_headroom
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    stp x4, x5, [sp, #-96]!
    stp x6, x7, [sp, #16]
    stp x8, x9, [sp, #32]
    stp x10, x11, [sp, #48]
    stp x12, x13, [sp, #64]
    str x14, [sp, #80]
    stp q4, q5, [sp, #-176]!
    stp q6, q7, [sp, #32]
    stp q8, q9, [sp, #64]
    stp q10, q11, [sp, #96]
    stp q12, q13, [sp, #128]
    str q14, [sp, #160]
    mov x19, x1
    mov x2, x1
    mov w1, w0
    ldur x0, [x28, #ASM_CTX_INSTANCE]
    mov x3, x29
    bl \target
    ldr x0, [x19]
    ldp q6, q7, [sp, #32]
    ldp q8, q9, [sp, #64]
    ldp q10, q11, [sp, #96]
    ldp q12, q13, [sp, #128]
    ldr q14, [sp, #160]
    ldp q4, q5, [sp], #176
    ldp x6, x7, [sp, #16]
    ldp x8, x9, [sp, #32]
    ldp x10, x11, [sp, #48]
    ldp x12, x13, [sp, #64]
    ldr x14, [sp, #80]
    ldp x4, x5, [sp], #96
    ldp x29, x30, [sp], #16
    ret
.endm
STUB engine_asm_host, engine_host_dispatch
STUB engine_asm_call, engine_rt_dispatch

/* Compiled code wants a struct: x16 = abi_ctx.heap, x0 = offset of the size class's run there, w2 = header, x1 = canonical array, for
 * the runtime call that makes it if the run is empty. The object in x0. As no signal takes the thread away from here, a cell is never
 * given twice. */
FUNCTION engine_asm_new
    add x16, x16, x0
    ldp x0, x17, [x16, #ASM_RUN_NEXT]
    cmp x0, x17
    b.eq .Lempty
    ldr x17, [x16, #ASM_RUN_CELL_BYTES]
    add x17, x17, x0
    str x17, [x16, #ASM_RUN_NEXT]
    str w2, [x0]
    ret
.Lempty:
    lsr w2, w2, #ASM_OBJECT_TYPE_SHIFT
    str x2, [x1]
    mov w0, #ASM_RT_STRUCT_NEW
    b engine_asm_call

.Lno_headroom:
    mov w0, #ASM_TRAP_STACK_OVERFLOW
    mov x16, xzr
/* Compiled code raises trap w0, x16 the return address of its function if that is not on the stack: C goes on, on a stack of the
 * engine's, since this one may be full. */
FUNCTION engine_asm_trap
    mov w1, w0
    ldur x0, [x28, #ASM_CTX_INSTANCE]
    mov x2, sp
    mov x3, x30
    mov x4, x16
    ldr x9, [x0, #ASM_INSTANCE_TRAP_STACK]
    mov sp, x9
    bl engine_trap_raise /* (instance, trap, sp, at, link), does not return */
    brk #1

/* Compiled code throws: w0 = tag, w2 = slots, x1 = payload. The registers that functions preserve go into a struct engine_throw,
 * engine_throw makes of them what a catch clause shall find, and that is entered. */
FUNCTION engine_asm_throw
    ldur x16, [x28, #ASM_CTX_NATIVE_LIMIT]
    mov x17, sp
    cmp x17, x16
    b.lo .Lno_headroom
    stp x29, x30, [sp, #-16]!
    mov x29, sp
    sub sp, sp, #ASM_THROW_BYTES
    stp x9, x10, [sp, #9*8]
    stp x11, x12, [sp, #11*8]
    stp x13, x14, [sp, #13*8]
    stp d10, d11, [sp, #26*8]
    stp d12, d13, [sp, #28*8]
    str d14, [sp, #30*8]
    str x27, [sp, #ASM_THROW_FRAME]
    str x28, [sp, #ASM_THROW_BASE]
    str x29, [sp, #ASM_THROW_SP]
    mov w16, w0
    ldur x0, [x28, #ASM_CTX_INSTANCE]
    mov x3, x1
    mov w1, w16
    mov x4, sp
    bl engine_throw /* (instance, tag, slots, payload, throw): returns if there is a clause */
    ldr x29, [x29]
    ldr x28, [sp, #ASM_THROW_BASE]
    SET_WINDOW
    ldr x27, [sp, #ASM_THROW_FRAME]
    ldp x9, x10, [sp, #9*8]
    ldp x11, x12, [sp, #11*8]
    ldp x13, x14, [sp, #13*8]
    ldp d10, d11, [sp, #26*8]
    ldp d12, d13, [sp, #28*8]
    ldr d14, [sp, #30*8]
    ldr x16, [sp, #ASM_THROW_PC]
    ldr x17, [sp, #ASM_THROW_SP]
    mov sp, x17
    br x16

/* Compiled code calls x0 = struct abi_func * of any group, its arguments in place. The only stub that may meet the native stack's
 * guard. */
FUNCTION engine_asm_far
    stp x28, x30, [sp, #-16]!
    ldur x16, [x28, #ASM_CTX_GROUPS]
    ldr w17, [x0, #ASM_FUNC_GROUP]
    ldr x28, [x16, x17, lsl #3]
    SET_WINDOW
    ldr x16, [x0, #ASM_FUNC_CODE]
    blr x16
    .globl engine_asm_far_return
    .hidden engine_asm_far_return
engine_asm_far_return:
    ldp x28, x30, [sp], #16
    SET_WINDOW
    ret

/* Compiled code tail-calls x0 = struct abi_func * of any group, its link register its caller's: nothing of it is to stay on the native
 * stack. So the base, which the caller's caller must find again, is stored once: where the link register is that of engine_asm_far,
 * it is there already. */
FUNCTION engine_asm_far_tail
    adr x17, engine_asm_far_return
    cmp x17, x30
    b.eq 1f
    stp x28, x30, [sp, #-16]!
    mov x30, x17
1:  ldur x16, [x28, #ASM_CTX_GROUPS]
    ldr w17, [x0, #ASM_FUNC_GROUP]
    ldr x28, [x16, x17, lsl #3]
    SET_WINDOW
    ldr x16, [x0, #ASM_FUNC_CODE]
    br x16
FUNCTION engine_asm_far_end

/* void engine_asm_switch(void **save, void *sp): stores this stack's sp in *save and goes on where sp was stored. */
FUNCTION engine_asm_switch
    PUSH_CALLEE_SAVED
    SAVE_SP x0
    mov sp, x1
    POP_CALLEE_SAVED
    ret

/* The second half of a switch, with the sp in x0: where a signal handler sends a preempted fiber's thread. */
FUNCTION engine_asm_switch_in
    mov sp, x0
    POP_CALLEE_SAVED
    ret

/* void engine_asm_resume(void **save, const struct engine_saved *s): as switch, to a state that a signal interrupted. */
FUNCTION engine_asm_resume
    PUSH_CALLEE_SAVED
    SAVE_SP x0
    ldr x2, [x1, #ARM64_SAVED_VECTORS]
    ldr w3, [x2, #ARM64_FP_FPSR]
    msr fpsr, x3
    ldr w3, [x2, #ARM64_FP_FPCR]
    msr fpcr, x3
    add x2, x2, #ARM64_FP_VECTORS
    ldp q0, q1, [x2, #0]
    ldp q2, q3, [x2, #32]
    ldp q4, q5, [x2, #64]
    ldp q6, q7, [x2, #96]
    ldp q8, q9, [x2, #128]
    ldp q10, q11, [x2, #160]
    ldp q12, q13, [x2, #192]
    ldp q14, q15, [x2, #224]
    ldp q16, q17, [x2, #256]
    ldp q18, q19, [x2, #288]
    ldp q20, q21, [x2, #320]
    ldp q22, q23, [x2, #352]
    ldp q24, q25, [x2, #384]
    ldp q26, q27, [x2, #416]
    ldp q28, q29, [x2, #448]
    ldp q30, q31, [x2, #480]
    ldr x3, [x1, #ARM64_SAVED_FLAGS]
    msr nzcv, x3
    ldr x3, [x1, #ARM64_SAVED_SP]
    mov sp, x3
    ldr x18, [x1, #ARM64_SAVED_PC]
    ldp x2, x3, [x1, #16]
    ldp x4, x5, [x1, #32]
    ldp x6, x7, [x1, #48]
    ldp x8, x9, [x1, #64]
    ldp x10, x11, [x1, #80]
    ldp x12, x13, [x1, #96]
    ldp x14, x15, [x1, #112]
    ldp x16, x17, [x1, #128]
    ldp x19, x20, [x1, #152]
    ldp x21, x22, [x1, #168]
    ldp x23, x24, [x1, #184]
    ldp x25, x26, [x1, #200]
    ldp x27, x28, [x1, #216]
    ldp x29, x30, [x1, #232]
    ldp x0, x1, [x1]
    br x18

/* void engine_asm_switch_unwind(void **save, struct engine_frame *fr): as switch, but fr's engine_asm_enter returns 1. */
FUNCTION engine_asm_switch_unwind
    PUSH_CALLEE_SAVED
    SAVE_SP x0
    mov x0, x1
    b engine_asm_unwind

/* Where a new fiber starts, its struct in x19. */
FUNCTION engine_asm_start
    mov x0, x19
    mov x29, xzr
    mov x30, xzr
    bl engine_fiber_main
    brk #1

    .section .note.GNU-stack, "", %progbits
