/* testguest_arm64: machine code of hand-made guests, as testguest_x64.S has it. Private convention: arguments in x4, x5, result in x0,
 * x9 = the canonical array. */
#include "engine/arm64.h"

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
.macro STORE_LINK
    stp xzr, x30, [sp, #-16]!
.endm
.macro RETURN
    ldp xzr, x30, [sp], #16
    ret
.endm
.macro STUB field
    ldur x17, [x28, #\field]
    blr x17
.endm

    .text
FUNCTION text
FUNCTION entry
    stp x1, x30, [sp, #-16]!
    mov x27, x2
    mov x9, x1
    ldp x4, x5, [x9]
    ldr x16, [x0]
    blr x16
    ldp x9, x30, [sp], #16
    str x0, [x9]
    ret

/* load(address) -> u64 */
FUNCTION load
LABEL load_site
    ldr x0, [x28, x4]
    ret

/* store(address, value) */
FUNCTION store
LABEL store_site
    str x5, [x28, x4]
    ret

/* fill(from, pages): writes one word in each page */
FUNCTION fill
1:  cbz x5, 2f
LABEL fill_site
    str x4, [x28, x4]
    add x4, x4, #1, lsl #12
    sub x5, x5, #1
    b 1b
2:  ret

/* The processor does not trap: compiled code looks for what does not fit. */
FUNCTION divide
    mov w0, #7
    mov x16, x30
    STUB CTX_RT_TRAP
LABEL divide_site
    brk #1

FUNCTION unreachable
    mov w0, #1
    mov x16, x30
    STUB CTX_RT_TRAP
LABEL unreachable_ret
    brk #1

/* outer calls unreachable */
FUNCTION outer
    STORE_LINK
    bl testguest_unreachable
LABEL outer_ret
    RETURN

/* null(record): call_indirect */
FUNCTION null
    STORE_LINK
LABEL null_site
    ldr x16, [x4]
    blr x16
LABEL null_ret
    RETURN

FUNCTION recurse
    STORE_LINK
    bl testguest_recurse
LABEL recurse_ret
    RETURN

/* frames(): frames of 4 KiB on the frame stack */
FUNCTION frames
    STORE_LINK
    str x4, [x27]
    add x27, x27, #1, lsl #12
    bl testguest_frames
LABEL frames_ret
    sub x27, x27, #1, lsl #12
    RETURN

/* host0(a, b) -> import 0; keeps registers of its own over the call */
FUNCTION host0
    STORE_LINK
    stp x4, x5, [x27]
    mov x14, #0x1234
    mov x8, #0x2345
    mov x5, #0x3456
    mov x13, #0x4567
    dup v4.2d, x4
    dup v14.2d, x4
    mov w0, #0
    mov x1, x27
    STUB CTX_RT_HOST
LABEL host0_ret
    ldr x0, [x27]
    mov x1, #0x1234
    cmp x14, x1
    mov x1, #0x2345
    ccmp x8, x1, #0, eq
    mov x1, #0x3456
    ccmp x5, x1, #0, eq
    mov x1, #0x4567
    ccmp x13, x1, #0, eq
    b.ne 9f
    mov x1, v4.d[1]
    mov x2, v14.d[1]
    cmp x1, x2
    b.ne 9f
    /* the base is still this group's */
    ldur x1, [x28, #-ASM_CTX_BYTES]
    cmp x1, x28
    b.ne 9f
    RETURN
9:  brk #1

/* deep(n): import 0 from n frames down */
FUNCTION deep
    cbz x4, testguest_host0
    STORE_LINK
    sub x4, x4, #1
    bl testguest_deep
LABEL deep_ret
    RETURN

/* rt: array[0] = enum abi_rtcall, array[1..6] its arguments */
FUNCTION rt
    STORE_LINK
    ldp x0, x1, [x9, #8]
    stp x0, x1, [x27]
    ldp x0, x1, [x9, #24]
    stp x0, x1, [x27, #16]
    ldp x0, x1, [x9, #40]
    stp x0, x1, [x27, #32]
    mov w0, w4
    mov x1, x27
    STUB CTX_RT_CALL
LABEL rt_ret
    RETURN

/* far(record, argument) */
FUNCTION far
    STORE_LINK
    mov x0, x4
    mov x4, x5
    STUB CTX_RT_FAR
LABEL far_ret
    RETURN

/* gs() -> the group's base */
FUNCTION gs
    mov x0, x28
    ret

FUNCTION forever
    b testguest_forever

/* stand(): recurses until nothing is left of the native stack and loops there; x4 = the stack's lowest address */
FUNCTION stand
    STORE_LINK
    add x0, x4, #16
    mov x1, sp
    cmp x1, x0
    b.lo testguest_forever
    bl testguest_stand
LABEL stand_ret
    RETURN

/* spin(n, seed) -> a checksum that depends on every register, on flags carried over, and on vector state */
FUNCTION spin
    STORE_LINK
    mov x0, x5
    .irp n, 1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 24, 25, 29
    add x\n, x5, #\n
    .endr
    dup v0.2d, x5
    dup v7.2d, x1
    dup v15.2d, x2
    dup v16.2d, x3
    dup v31.2d, x6
    cmp xzr, xzr
1:  adcs x0, x0, x1
    adcs x1, x1, x2
    adcs x2, x2, x3
    adcs x3, x3, x6
    adcs x6, x6, x7
    adcs x7, x7, x8
    adcs x8, x8, x9
    adcs x9, x9, x10
    adcs x10, x10, x11
    adcs x11, x11, x12
    adcs x12, x12, x13
    adcs x13, x13, x14
    adcs x14, x14, x15
    adcs x15, x15, x16
    adcs x16, x16, x17
    adcs x17, x17, x19
    adcs x19, x19, x20
    adcs x20, x20, x21
    adcs x21, x21, x22
    adcs x22, x22, x23
    adcs x23, x23, x24
    adcs x24, x24, x25
    adcs x25, x25, x29
    adcs x29, x29, x0
    add v7.2d, v7.2d, v0.2d
    add v15.2d, v15.2d, v7.2d
    add v16.2d, v16.2d, v15.2d
    add v31.2d, v31.2d, v16.2d
    add v0.2d, v0.2d, v31.2d
    ror x0, x0, #7
    ldur x30, [x28, #GLOBAL]
    add x5, x5, x30
    sub x4, x4, #1
    cbnz x4, 1b
    .irp n, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23, 24, 25, 29
    eor x0, x0, x\n
    .endr
    .irp n, 0, 7, 15, 16, 31
    mov x1, v\n\().d[0]
    eor x0, x0, x1
    mov x1, v\n\().d[1]
    add x0, x0, x1
    .endr
    RETURN

/* global(v) -> its old value */
FUNCTION global
    ldur x0, [x28, #GLOBAL]
    stur x4, [x28, #GLOBAL]
    ret

/* context(offset, v): writes anywhere in the context */
FUNCTION context
    ldr x0, [x28, x4]
    str x5, [x28, x4]
    ret

FUNCTION nothing
    ret

/* far_recurse(record): calls record, which is its own, by rt_far; the other two begin with more on the stack */
FUNCTION far_recurse2
    stp xzr, xzr, [sp, #-16]!
FUNCTION far_recurse1
    stp xzr, xzr, [sp, #-16]!
FUNCTION far_recurse
    STORE_LINK
    mov x0, x4
    STUB CTX_RT_FAR
LABEL far_recurse_ret
    RETURN
FUNCTION end
    .section .note.GNU-stack, "", %progbits
