/* x64: entering and leaving compiled code, the stubs it calls, and the switch of fibers.
 *
 *   engine_asm_enter ──> entry adapter ──> compiled code ──> engine_asm_host / _call ──> C on the same stack
 *        ^                                      │ engine_asm_trap ──> C on the engine's trap stack
 *        └──────── engine_asm_unwind ───────────┘ or a signal
 *
 * 1. GS is changed only here and in switches: enter and far set it and put it back, unwind puts back what enter found.
 * 2. Stubs called by compiled code keep every register but rax, rcx, rdx, xmm0-2 and the flags.
 * 3. A frame of engine_asm_enter has the old GS at its sp, below it the entry adapter's return address.
 */
#include "engine/x64.h"

.macro FUNCTION name
    .globl \name
    .hidden \name
    .type \name, @function
    .p2align 4
\name:
.endm
.macro PUSH_CALLEE_SAVED
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
.endm
.macro POP_CALLEE_SAVED
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
.endm

    .text

/* int engine_asm_enter(const struct abi_func *f, uint64_t *args, void *frame_top, struct engine_frame *fr, uint8_t *gs)
 * Calls f; 0, or 1 when it was unwound by a trap. */
FUNCTION engine_asm_enter
    PUSH_CALLEE_SAVED
    rdgsbase %rax
    pushq %rax
    wrgsbase %r8
    movq %rsp, ASM_FRAME_SP(%rcx)
    call *ASM_FUNC_ENTRY(%rdi)
    xorl %eax, %eax
.Lleave:
    popq %rcx
    wrgsbase %rcx
    POP_CALLEE_SAVED
    ret

/* noreturn void engine_asm_unwind(struct engine_frame *fr): its engine_asm_enter returns 1. */
FUNCTION engine_asm_unwind
    cld
    movq ASM_FRAME_SP(%rdi), %rsp
    movl $1, %eax
    jmp .Lleave

/* Compiled code calls engine (eax = what, rcx = canonical array): the C function gets (instance, what, array, sp). */
.macro STUB name, target
FUNCTION \name
    cmpq %gs:ASM_CTX_NATIVE_LIMIT, %rsp
    jb .Lno_headroom
    pushq %rbp
    movq %rsp, %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    subq $224, %rsp
    andq $-16, %rsp
    movaps %xmm3, (%rsp)
    movaps %xmm4, 16(%rsp)
    movaps %xmm5, 32(%rsp)
    movaps %xmm6, 48(%rsp)
    movaps %xmm7, 64(%rsp)
    movaps %xmm8, 80(%rsp)
    movaps %xmm9, 96(%rsp)
    movaps %xmm10, 112(%rsp)
    movaps %xmm11, 128(%rsp)
    movaps %xmm12, 144(%rsp)
    movaps %xmm13, 160(%rsp)
    movaps %xmm14, 176(%rsp)
    movaps %xmm15, 192(%rsp)
    movq %rcx, 208(%rsp)
    movq %gs:ASM_CTX_INSTANCE, %rdi
    movl %eax, %esi
    movq %rcx, %rdx
    leaq 8(%rbp), %rcx
    call \target
    movq 208(%rsp), %rcx
    movq (%rcx), %rax
    movaps (%rsp), %xmm3
    movaps 16(%rsp), %xmm4
    movaps 32(%rsp), %xmm5
    movaps 48(%rsp), %xmm6
    movaps 64(%rsp), %xmm7
    movaps 80(%rsp), %xmm8
    movaps 96(%rsp), %xmm9
    movaps 112(%rsp), %xmm10
    movaps 128(%rsp), %xmm11
    movaps 144(%rsp), %xmm12
    movaps 160(%rsp), %xmm13
    movaps 176(%rsp), %xmm14
    movaps 192(%rsp), %xmm15
    movq -8(%rbp), %rsi
    movq -16(%rbp), %rdi
    movq -24(%rbp), %r8
    movq -32(%rbp), %r9
    movq -40(%rbp), %r10
    movq -48(%rbp), %r11
    leave
    ret
.endm
STUB engine_asm_host, engine_host_dispatch
STUB engine_asm_call, engine_rt_dispatch

/* Compiled code wants a struct: r10 = abi_ctx.heap, eax = offset of the size class's run there, edx = header, rcx = canonical array, for
 * the runtime call that makes it if the run is empty. The object in rax. As no signal takes the thread away from here, a cell is never
 * given twice. */
FUNCTION engine_asm_new
    addq %rax, %r10
    movq ASM_RUN_NEXT(%r10), %rax
    cmpq ASM_RUN_END(%r10), %rax
    je .Lempty
    movq ASM_RUN_CELL_BYTES(%r10), %rcx
    addq %rax, %rcx
    movq %rcx, ASM_RUN_NEXT(%r10)
    movl %edx, (%rax)
    ret
.Lempty:
    shrl $ASM_OBJECT_TYPE_SHIFT, %edx
    movq %rdx, (%rcx)
    movl $ASM_RT_STRUCT_NEW, %eax
    jmp engine_asm_call

.Lno_headroom:
    movl $ASM_TRAP_STACK_OVERFLOW, %eax
/* Compiled code raises trap eax: C goes on, on a stack of the engine's, since this one may be full. */
FUNCTION engine_asm_trap
    cld
    movq %gs:ASM_CTX_INSTANCE, %rdi
    movq %rsp, %rdx
    movl %eax, %esi
    movq ASM_INSTANCE_TRAP_STACK(%rdi), %rsp
    xorl %ecx, %ecx
    xorl %r8d, %r8d
    call engine_trap_raise /* (instance, trap, sp, NULL, NULL), does not return */
    ud2

/* Compiled code throws: eax = tag, edx = slots, rcx = payload. The registers that functions preserve go into a struct engine_throw,
 * engine_throw makes of them what a catch clause shall find, and that is entered. */
FUNCTION engine_asm_throw
    cmpq %gs:ASM_CTX_NATIVE_LIMIT, %rsp
    jb .Lno_headroom
    cld
    movq %rsp, %r10
    subq $ASM_THROW_BYTES, %rsp
    andq $-16, %rsp
    movq %rbp, 5*8(%rsp)
    movq %r11, 11*8(%rsp)
    movq %r12, 12*8(%rsp)
    movq %r14, 14*8(%rsp)
    movq %r15, 15*8(%rsp)
    movsd %xmm9, 25*8(%rsp)
    movsd %xmm10, 26*8(%rsp)
    movsd %xmm11, 27*8(%rsp)
    movsd %xmm12, 28*8(%rsp)
    movsd %xmm13, 29*8(%rsp)
    movsd %xmm14, 30*8(%rsp)
    movq %r13, ASM_THROW_FRAME(%rsp)
    movq %r10, ASM_THROW_SP(%rsp)
    rdgsbase %r10
    movq %r10, ASM_THROW_BASE(%rsp)
    movq %gs:ASM_CTX_INSTANCE, %rdi
    movl %eax, %esi
    movq %rsp, %r8
    call engine_throw /* (instance, tag, slots, payload, throw): returns if there is a clause */
    movq ASM_THROW_BASE(%rsp), %rax
    wrgsbase %rax
    movq ASM_THROW_FRAME(%rsp), %r13
    movq 5*8(%rsp), %rbp
    movq 11*8(%rsp), %r11
    movq 12*8(%rsp), %r12
    movq 14*8(%rsp), %r14
    movq 15*8(%rsp), %r15
    movsd 25*8(%rsp), %xmm9
    movsd 26*8(%rsp), %xmm10
    movsd 27*8(%rsp), %xmm11
    movsd 28*8(%rsp), %xmm12
    movsd 29*8(%rsp), %xmm13
    movsd 30*8(%rsp), %xmm14
    movq ASM_THROW_PC(%rsp), %rcx
    movq ASM_THROW_SP(%rsp), %rsp
    jmp *%rcx

/* Compiled code calls rax = struct abi_func * of any group, its arguments in place. r10 and rbx are free before the call,
 * r10 after it. The only stub that may meet the native stack's guard. */
FUNCTION engine_asm_far
    rdgsbase %r10
    pushq %r10
    movq %gs:ASM_CTX_GROUPS, %r10
    movl ASM_FUNC_GROUP(%rax), %ebx
    movq (%r10,%rbx,8), %r10
    wrgsbase %r10
    call *ASM_FUNC_CODE(%rax)
    .globl engine_asm_far_return
    .hidden engine_asm_far_return
engine_asm_far_return:
    popq %r10
    wrgsbase %r10
    ret

/* Compiled code tail-calls rax = struct abi_func * of any group: nothing of it is to stay on the native stack. So GS, which the
 * caller's caller must find again, is pushed once: where the return address is that of engine_asm_far, it is there already. */
FUNCTION engine_asm_far_tail
    leaq engine_asm_far_return(%rip), %rcx
    cmpq %rcx, (%rsp)
    je 1f
    rdgsbase %r10
    pushq %r10
    pushq %rcx
1:  movq %gs:ASM_CTX_GROUPS, %r10
    movl ASM_FUNC_GROUP(%rax), %ebx
    movq (%r10,%rbx,8), %r10
    wrgsbase %r10
    jmp *ASM_FUNC_CODE(%rax)
FUNCTION engine_asm_far_end

/* void engine_asm_switch(void **save, void *sp): stores this stack's sp in *save and goes on where sp was stored. */
FUNCTION engine_asm_switch
    PUSH_CALLEE_SAVED
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    POP_CALLEE_SAVED
    ret

/* The second half of a switch, with the sp in rdi: where a signal handler sends a preempted fiber's thread. */
FUNCTION engine_asm_switch_in
    movq %rdi, %rsp
    POP_CALLEE_SAVED
    ret

/* void engine_asm_resume(void **save, const struct engine_saved *s): as switch, to a state that a signal interrupted.
 * Writes the 16 bytes below its sp. */
FUNCTION engine_asm_resume
    PUSH_CALLEE_SAVED
    movq %rsp, (%rdi)
    movq %rsi, %r15
    movq X64_SAVED_GS(%r15), %rax
    wrgsbase %rax
    movq X64_SAVED_VECTORS(%r15), %rcx
    movl $-1, %eax
    movl $-1, %edx
    xrstor64 (%rcx)
    movq X64_SAVED_RSP(%r15), %rsp
    pushq X64_SAVED_RIP(%r15)
    pushq X64_SAVED_FLAGS(%r15)
    movq X64_SAVED_R8(%r15), %r8
    movq X64_SAVED_R9(%r15), %r9
    movq X64_SAVED_R10(%r15), %r10
    movq X64_SAVED_R11(%r15), %r11
    movq X64_SAVED_R12(%r15), %r12
    movq X64_SAVED_R13(%r15), %r13
    movq X64_SAVED_R14(%r15), %r14
    movq X64_SAVED_RDI(%r15), %rdi
    movq X64_SAVED_RSI(%r15), %rsi
    movq X64_SAVED_RBP(%r15), %rbp
    movq X64_SAVED_RBX(%r15), %rbx
    movq X64_SAVED_RDX(%r15), %rdx
    movq X64_SAVED_RAX(%r15), %rax
    movq X64_SAVED_RCX(%r15), %rcx
    movq X64_SAVED_R15(%r15), %r15
    popfq
    ret

/* void engine_asm_switch_unwind(void **save, struct engine_frame *fr): as switch, but fr's engine_asm_enter returns 1. */
FUNCTION engine_asm_switch_unwind
    PUSH_CALLEE_SAVED
    movq %rsp, (%rdi)
    movq %rsi, %rdi
    jmp engine_asm_unwind

/* Where a new fiber starts, its struct in r12. */
FUNCTION engine_asm_start
    subq $8, %rsp
    movq %r12, %rdi
    xorl %ebp, %ebp
    call engine_fiber_main
    ud2

    .section .note.GNU-stack, "", @progbits
