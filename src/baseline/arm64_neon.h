/* arm64_neon: words of vector instructions, which arm64_vec and arm64_vec1 complete. Of the 128-bit form, unless said; a shape's size
 * is added at bit 22. No knowledge of WebAssembly. */
#ifndef ORLO_BASELINE_ARM64_NEON_H
#define ORLO_BASELINE_ARM64_NEON_H

#include "baseline/arm64_asm.h"

enum {
    NEON_ADD = 0x4e208400,
    NEON_SUB = 0x6e208400,
    NEON_MUL = 0x4e209c00,
    NEON_SQADD = 0x4e200c00,
    NEON_UQADD = 0x6e200c00,
    NEON_SQSUB = 0x4e202c00,
    NEON_UQSUB = 0x6e202c00,
    NEON_SMAX = 0x4e206400,
    NEON_UMAX = 0x6e206400,
    NEON_SMIN = 0x4e206c00,
    NEON_UMIN = 0x6e206c00,
    NEON_URHADD = 0x6e201400,
    NEON_CMEQ = 0x6e208c00,
    NEON_CMGT = 0x4e203400,
    NEON_CMHI = 0x6e203400,
    NEON_CMGE = 0x4e203c00,
    NEON_CMHS = 0x6e203c00,
    NEON_SQRDMULH = 0x6e20b400,
    NEON_SSHL = 0x4e204400,
    NEON_USHL = 0x6e204400,
    NEON_ADDP = 0x4e20bc00,
    NEON_UMAXP = 0x6e20a400,
    NEON_AND = 0x4e201c00,
    NEON_BIC = 0x4e601c00,
    NEON_ORR = 0x4ea01c00,
    NEON_EOR = 0x6e201c00,
    NEON_BSL = 0x6e601c00,
    NEON_BIT = 0x6ea01c00,
    NEON_BIF = 0x6ee01c00,
    NEON_ABS = 0x4e20b800,
    NEON_NEG = 0x6e20b800,
    NEON_NOT = 0x6e205800,
    NEON_CNT = 0x4e205800,
    NEON_CMEQ_0 = 0x4e209800,
    NEON_SADDLP = 0x4e202800,
    NEON_UADDLP = 0x6e202800,
    NEON_REV64 = 0x4e200800,
    NEON_ADDV = 0x4e31b800,
    /* to the lower half; with NEON_2, to the upper */
    NEON_XTN = 0x0e212800,
    NEON_SQXTN = 0x0e214800,
    NEON_SQXTUN = 0x2e212800,
    NEON_UQXTN = 0x2e214800,
    /* of the lower half; with NEON_2, of the upper */
    NEON_SMULL = 0x0e20c000,
    NEON_UMULL = 0x2e20c000,
    NEON_UMLAL = 0x2e208000,
    NEON_SXTL = 0x0f00a400,
    NEON_UXTL = 0x2f00a400, /* 8 << size at bit 16 */
    NEON_2 = 1 << 30,
    /* d: of f64 */
    NEON_FADD = 0x4e20d400,
    NEON_FSUB = 0x4ea0d400,
    NEON_FMUL = 0x6e20dc00,
    NEON_FDIV = 0x6e20fc00,
    NEON_FMAX = 0x4e20f400,
    NEON_FMIN = 0x4ea0f400,
    NEON_FCMEQ = 0x4e20e400,
    NEON_FCMGE = 0x6e20e400,
    NEON_FCMGT = 0x6ea0e400,
    NEON_FMLA = 0x4e20cc00,
    NEON_FMLS = 0x4ea0cc00,
    NEON_FABS = 0x4ea0f800,
    NEON_FNEG = 0x6ea0f800,
    NEON_FSQRT = 0x6ea1f800,
    NEON_FRINTN = 0x4e218800,
    NEON_FRINTM = 0x4e219800,
    NEON_FRINTP = 0x4ea18800,
    NEON_FRINTZ = 0x4ea19800,
    NEON_FCVTZS = 0x4ea1b800,
    NEON_FCVTZU = 0x6ea1b800,
    NEON_SCVTF = 0x4e21d800,
    NEON_UCVTF = 0x6e21d800,
    NEON_FCVTN = 0x0e616800,
    NEON_FCVTL = 0x0e617800,
    NEON_D = 1 << 22,
    /* the value of a shift by an immediate at bit 16: size + n to the left, 2 * size - n to the right */
    NEON_SHL = 0x4f005400,
    NEON_SSHR = 0x4f000400,
    NEON_USHR = 0x6f000400,
    /* a lane at bit 16: 1 << log2 | lane << log2 + 1 */
    NEON_DUP = 0x4e000400,
    NEON_DUP_X = 0x4e000c00,
    NEON_DUP_SCALAR = 0x5e000400,
    NEON_INS = 0x6e000400,
    NEON_INS_X = 0x4e001c00,
    NEON_UMOV = 0x0e003c00,
    NEON_SMOV = 0x0e002c00,
    NEON_TBL = 0x4e000000,
    NEON_TBL_2 = 0x4e002000,
    NEON_EXT = 0x6e000000 /* first byte at bit 11 */,
    NEON_UZP1 = 0x4e001800,
    NEON_TRN1 = 0x4e002800,
    NEON_ZIP1 = 0x4e003800,
    NEON_SECOND = 1 << 14 /* UZP2 and so on */,
};

static inline uint32_t neon_size(uint32_t op, unsigned log2) { return op | log2 << 22; }
static inline uint32_t neon_lane(uint32_t op, unsigned log2, unsigned lane) {
    return op | (1u << log2 | lane << (log2 + 1)) << 16;
}

#endif
