/* testguest_x64: machine code of hand-made guests for tests and measurements of the engine, in the compilers' protocol with the engine.
 * Private convention: arguments in rdi, rsi, result in rax, r12 = the canonical array. testguest.c copies [testguest_text,
 * testguest_end) into an image; labels ending in _site are pcs of sites, those in _ret return addresses. */
#include "engine/asm.h"

#define CTX_RT_CALL (-56)
#define CTX_RT_HOST (-48)
#define CTX_RT_TRAP (-40)
#define CTX_RT_FAR (-32)
#define GLOBAL (-ASM_CTX_BYTES - 8) /* the hot context's first word below struct abi_ctx */

.macro FUNCTION name
    .globl testguest_\name
    .hidden testguest_\name
    .p2align 4
testguest_\name:
.endm
.macro LABEL name
    .globl testguest_\name
    .hidden testguest_\name
testguest_\name:
.endm

    .text
FUNCTION text
FUNCTION entry
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rdx, %r13
    movq %rsi, %r12
    movq %rdi, %rax
    movq (%r12), %rdi
    movq 8(%r12), %rsi
    call *(%rax)
    movq %rax, (%r12)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret

/* load(address) -> u64 */
FUNCTION load
LABEL load_site
    movq %gs:(%rdi), %rax
    ret

/* store(address, value) */
FUNCTION store
LABEL store_site
    movq %rsi, %gs:(%rdi)
    ret

/* fill(from, pages): writes one word in each page */
FUNCTION fill
1:  testq %rsi, %rsi
    jz 2f
LABEL fill_site
    movq %rdi, %gs:(%rdi)
    addq $4096, %rdi
    decq %rsi
    jmp 1b
2:  ret

FUNCTION divide
    movl %edi, %eax
    cltd
LABEL divide_site
    idivl %esi
    ret

FUNCTION unreachable
    movl $1, %eax
    call *%gs:CTX_RT_TRAP
LABEL unreachable_ret

/* outer calls unreachable */
FUNCTION outer
    call testguest_unreachable
LABEL outer_ret
    ret

/* null(record): call_indirect */
FUNCTION null
LABEL null_site
    call *(%rdi)
LABEL null_ret
    ret

FUNCTION recurse
    call testguest_recurse
LABEL recurse_ret
    ret

/* frames(): frames of 4 KiB on the frame stack */
FUNCTION frames
    movq %rdi, (%r13)
    addq $4096, %r13
    call testguest_frames
LABEL frames_ret
    subq $4096, %r13
    ret

/* host0(a, b) -> import 0; keeps registers of its own over the call */
FUNCTION host0
    movq %rdi, (%r13)
    movq %rsi, 8(%r13)
    movq $0x1234, %r11
    movq $0x2345, %r8
    movq $0x3456, %rsi
    movq $0x4567, %rbx
    movq %rdi, %xmm3
    movq %rdi, %xmm15
    xorl %eax, %eax
    movq %r13, %rcx
    call *%gs:CTX_RT_HOST
LABEL host0_ret
    movq (%r13), %rax
    cmpq $0x1234, %r11
    jne 9f
    cmpq $0x2345, %r8
    jne 9f
    cmpq $0x3456, %rsi
    jne 9f
    cmpq $0x4567, %rbx
    jne 9f
    movq %xmm3, %rcx
    movq %xmm15, %rdx
    cmpq %rcx, %rdx
    jne 9f
    /* GS is still this group's */
    rdgsbase %rcx
    cmpq %gs:-ASM_CTX_BYTES, %rcx
    jne 9f
    ret
9:  ud2

/* deep(n): import 0 from n frames down */
FUNCTION deep
    testq %rdi, %rdi
    jz testguest_host0
    decq %rdi
    call testguest_deep
LABEL deep_ret
    ret

/* rt: array[0] = enum abi_rtcall, array[1..6] its arguments */
FUNCTION rt
    movq 8(%r12), %rax
    movq %rax, (%r13)
    movq 16(%r12), %rax
    movq %rax, 8(%r13)
    movq 24(%r12), %rax
    movq %rax, 16(%r13)
    movq 32(%r12), %rax
    movq %rax, 24(%r13)
    movq 40(%r12), %rax
    movq %rax, 32(%r13)
    movq 48(%r12), %rax
    movq %rax, 40(%r13)
    movl %edi, %eax
    movq %r13, %rcx
    call *%gs:CTX_RT_CALL
LABEL rt_ret
    ret

/* far(record, argument) */
FUNCTION far
    movq %rdi, %rax
    movq %rsi, %rdi
    call *%gs:CTX_RT_FAR
LABEL far_ret
    ret

/* gs() -> the group's base */
FUNCTION gs
    rdgsbase %rax
    ret

FUNCTION forever
    jmp testguest_forever

/* stand(): recurses until 8 bytes are left of the native stack and loops there; rdi = the stack's lowest address */
FUNCTION stand
    leaq 16(%rdi), %rax
    cmpq %rax, %rsp
    jb testguest_forever
    call testguest_stand
LABEL stand_ret
    ret

/* spin(n, seed) -> a checksum that depends on every register, on flags carried over, and on vector state */
FUNCTION spin
    movq %rsi, %rax
    leaq 1(%rsi), %rbx
    leaq 2(%rsi), %rcx
    leaq 3(%rsi), %rdx
    leaq 4(%rsi), %rbp
    leaq 5(%rsi), %r8
    leaq 6(%rsi), %r9
    leaq 7(%rsi), %r10
    leaq 8(%rsi), %r11
    leaq 9(%rsi), %r14
    leaq 10(%rsi), %r15
    movq %rsi, %xmm0
    movq %rbx, %xmm7
    movq %rcx, %xmm15
    vpxor %ymm8, %ymm8, %ymm8
    vmovq %rsi, %xmm9
    vpermq $0, %ymm9, %ymm9
1:  addq %rbx, %rax
    adcq %rcx, %rbx
    adcq %rdx, %rcx
    adcq %rbp, %rdx
    adcq %r8, %rbp
    adcq %r9, %r8
    adcq %r10, %r9
    adcq %r11, %r10
    adcq %r14, %r11
    adcq %r15, %r14
    adcq %rax, %r15
    paddq %xmm0, %xmm7
    paddq %xmm7, %xmm15
    paddq %xmm15, %xmm0
    vpaddq %ymm9, %ymm8, %ymm8
    rolq $7, %rax
    addq %gs:GLOBAL, %rsi
    decq %rdi
    jnz 1b
    xorq %rbx, %rax
    xorq %rcx, %rax
    xorq %rdx, %rax
    xorq %rbp, %rax
    xorq %r8, %rax
    xorq %r9, %rax
    xorq %r10, %rax
    xorq %r11, %rax
    xorq %r14, %rax
    xorq %r15, %rax
    xorq %rsi, %rax
    movq %xmm0, %rbx
    xorq %rbx, %rax
    movq %xmm15, %rbx
    xorq %rbx, %rax
    vextracti128 $1, %ymm8, %xmm9
    vmovq %xmm9, %rbx
    xorq %rbx, %rax
    vzeroupper
    ret

/* global(v) -> its old value */
FUNCTION global
    movq %gs:GLOBAL, %rax
    movq %rdi, %gs:GLOBAL
    ret

/* context(offset, v): writes anywhere in the context */
FUNCTION context
    movq %gs:(%rdi), %rax
    movq %rsi, %gs:(%rdi)
    ret

FUNCTION nothing
    ret

/* far_recurse(record): calls record, which is its own, by rt_far; the other two begin with a word or two more on the stack */
FUNCTION far_recurse2
    pushq %rdi
FUNCTION far_recurse1
    pushq %rdi
FUNCTION far_recurse
    movq %rdi, %rax
    call *%gs:CTX_RT_FAR
LABEL far_recurse_ret
    ret
FUNCTION end
    .section .note.GNU-stack, "", @progbits
