/* arm64_regs: what each register of aarch64 is for, as the neutral part sees it.
 *
 *   x0-x3   temporaries, x0 the first result     v0-v3    temporaries, v0 the first result
 *   x4-x8   pins that a call clobbers; arguments v4-v9    likewise; arguments in v4-v7
 *   x9-x14  pins that a call preserves           v10-v14  likewise; f32 and f64 only
 *   x15     scratch                              v15      scratch
 *   x16 x17 scratch: operands, calls             v16-v31  scratch
 *   x18     the engine's, between any two instructions
 *   x19-x22 unused     x23-x25 scratch: addresses of memory, slots, tables
 *   x26     the base less 32 KiB: the context is in reach of a load's offset from there
 *   x27     frame      x28     base: memory 0, above it; the context, below     x30 link, sp native stack
 *
 * C code preserves x19-x28, so that stubs need not. */
#ifndef ORLO_BASELINE_ARM64_REGS_H
#define ORLO_BASELINE_ARM64_REGS_H

#include <stdint.h>

enum {
    TARGET_INT_ARGS = 5,
    TARGET_FLOAT_ARGS = 4,
    TARGET_INT_RESULT = 0,    /* x0 */
    TARGET_FLOAT_RESULT = 16, /* v0 */
    TARGET_SCRATCH = 15,
    TARGET_FLOAT_SCRATCH = 31,
    TARGET_RT_CLOBBERS = 0xf000f,
    TARGET_TEMPS = 0xf000f,
    TARGET_CALLER_INT = 0x1f0,
    TARGET_CALLEE_INT = 0x7e00,
    TARGET_CALLER_FLOAT = 0x3f00000,
    TARGET_CALLEE_FLOAT = 0x7c000000,
    TARGET_SET_ZEROED = 0,
    TARGET_TWO_OPERANDS = 0,
    TARGET_ALIGN = 16,
};
static const uint8_t target_int_args[TARGET_INT_ARGS] = {4, 5, 6, 7, 8};
static const uint8_t target_float_args[TARGET_FLOAT_ARGS] = {20, 21, 22, 23};
static const uint8_t target_bulk_args[3] = {0, 1, 2};

#endif
