/* arm64_asm: aarch64 instructions as words. No knowledge of WebAssembly.
 *
 * 1. General registers are 0..30, 31 is the zero register or sp as the instruction has it. Vector registers are 16..47 for
 *    v0..v31, so that the numbers of the neutral part (v0..v15: 16..31) are theirs.
 * 2. `w` is 1 for 64-bit operands, 0 for 32-bit ones (which zero the upper half). `d`: of f64, else f32.
 * 3. A caller has seen to it that immediates fit. Offsets of branches are left 0; arm64_set_offset fills them in.
 */
#ifndef ORLO_BASELINE_ARM64_ASM_H
#define ORLO_BASELINE_ARM64_ASM_H

#include "base/base.h"

enum { X0, X15 = 15, X16, X17, X18, X23 = 23, X24, X25, X26, X27, X28, X29, X30, XZR = 31, XSP = 31, V16 = 32 };

/* Conditions; c ^ 1 is the opposite. */
enum arm64_cc { CC_EQ, CC_NE, CC_HS, CC_LO, CC_MI, CC_PL, CC_VS, CC_VC, CC_HI, CC_LS, CC_GE, CC_LT, CC_GT, CC_LE };

static inline uint32_t arm64_x(unsigned r, unsigned at) { return (uint32_t)(r & 31) << at; }
static inline uint32_t arm64_v(unsigned r, unsigned at) { return (uint32_t)((r ^ 16) & 31) << at; }

/* ---- integers ---- */

enum { ARM64_ADD = 0, ARM64_SUB = 1u << 30, ARM64_S = 1u << 29 /* sets the flags */ };
enum { ARM64_LSL, ARM64_LSR, ARM64_ASR, ARM64_ROR };
/* imm below 4096, or a multiple of it below 1 << 24 */
static inline bool arm64_add_fits(uint64_t imm) { return imm < 0x1000 || (imm < 0x1000000 && !(imm & 0xfff)); }
static inline uint32_t arm64_add_imm(unsigned w, uint32_t op, unsigned d, unsigned n, uint32_t imm) {
    uint32_t high = imm >= 0x1000;
    return 0x11000000 | w << 31 | op | high << 22 | (high ? imm >> 12 : imm) << 10 | arm64_x(n, 5) | arm64_x(d, 0);
}
static inline uint32_t arm64_add_reg(unsigned w, uint32_t op, unsigned d, unsigned n, unsigned m, unsigned shift, unsigned by) {
    return 0x0b000000 | w << 31 | op | shift << 22 | by << 10 | arm64_x(m, 16) | arm64_x(n, 5) | arm64_x(d, 0);
}
/* n + the lower half of m, sign- or zero-extended */
static inline uint32_t arm64_add_word(uint32_t op, bool is_signed, unsigned d, unsigned n, unsigned m) {
    return 0x8b200000 | op | (is_signed ? 6u : 2u) << 13 | arm64_x(m, 16) | arm64_x(n, 5) | arm64_x(d, 0);
}

enum { ARM64_AND = 0, ARM64_ORR = 1u << 29, ARM64_EOR = 2u << 29, ARM64_ANDS = 3u << 29 };
/* The 13 bits N, immr, imms of a logical immediate; false: v is none (repeated, rotated runs of ones). */
static inline bool arm64_logical(unsigned w, uint64_t v, uint32_t *out) {
    if (!w) v = (v & UINT32_MAX) | v << 32;
    if (v == 0 || v == UINT64_MAX) return false;
    unsigned size = 64;
    while (size > 2) {
        uint64_t half = size / 2, mask = ((uint64_t)1 << half) - 1;
        if ((v & mask) != (v >> half & mask)) break;
        size = (unsigned)half;
    }
    uint64_t mask = size == 64 ? UINT64_MAX : ((uint64_t)1 << size) - 1;
    v &= mask;
    /* Rotate the run down to bit 0. */
    unsigned ones = (unsigned)__builtin_popcountll(v), low;
    if (v & 1) { /* the run may wrap around: it starts above the highest zero */
        uint64_t zeros = ~v & mask;
        low = 64 - (unsigned)__builtin_clzll(zeros);
        if (low == size) low = 0;
    } else {
        low = (unsigned)__builtin_ctzll(v);
    }
    uint64_t run = ((uint64_t)1 << ones) - 1;
    uint64_t turned = low ? (run << low | run >> (size - low)) & mask : run;
    if (turned != v) return false;
    unsigned immr = (size - low) & (size - 1), imms = ((~(size - 1) << 1) & 0x3f) | (ones - 1);
    *out = (uint32_t)(size == 64) << 12 | immr << 6 | imms;
    return true;
}
static inline uint32_t arm64_logic_imm(unsigned w, uint32_t op, unsigned d, unsigned n, uint32_t bits) {
    return 0x12000000 | w << 31 | op | bits << 10 | arm64_x(n, 5) | arm64_x(d, 0);
}
static inline uint32_t arm64_logic_reg(unsigned w, uint32_t op, bool inverted, unsigned d, unsigned n, unsigned m, unsigned shift,
                                       unsigned by) {
    return 0x0a000000 | w << 31 | op | shift << 22 | (uint32_t)inverted << 21 | by << 10 | arm64_x(m, 16) | arm64_x(n, 5) |
           arm64_x(d, 0);
}
static inline uint32_t arm64_mov(unsigned w, unsigned d, unsigned s) {
    return arm64_logic_reg(w, ARM64_ORR, false, d, XZR, s, 0, 0);
}

enum { ARM64_MOVN = 0, ARM64_MOVZ = 2u << 29, ARM64_MOVK = 3u << 29 };
static inline uint32_t arm64_mov_half(unsigned w, uint32_t op, unsigned d, uint32_t half, unsigned which) {
    return 0x12800000 | w << 31 | op | which << 21 | (half & 0xffff) << 5 | arm64_x(d, 0);
}

enum { ARM64_SBFM = 0x13000000, ARM64_BFM = 0x33000000, ARM64_UBFM = 0x53000000 };
static inline uint32_t arm64_bitfield(unsigned w, uint32_t op, unsigned d, unsigned n, unsigned immr, unsigned imms) {
    return op | w << 31 | w << 22 | immr << 16 | imms << 10 | arm64_x(n, 5) | arm64_x(d, 0);
}
static inline uint32_t arm64_lsl(unsigned w, unsigned d, unsigned n, unsigned by) {
    unsigned bits = w ? 64 : 32;
    return arm64_bitfield(w, ARM64_UBFM, d, n, (bits - by) & (bits - 1), bits - 1 - by);
}
static inline uint32_t arm64_lsr(unsigned w, unsigned d, unsigned n, unsigned by) {
    return arm64_bitfield(w, ARM64_UBFM, d, n, by, w ? 63 : 31);
}
static inline uint32_t arm64_asr(unsigned w, unsigned d, unsigned n, unsigned by) {
    return arm64_bitfield(w, ARM64_SBFM, d, n, by, w ? 63 : 31);
}
static inline uint32_t arm64_ror(unsigned w, unsigned d, unsigned n, unsigned by) { /* extr */
    return 0x13800000 | w << 31 | w << 22 | by << 10 | arm64_x(n, 16) | arm64_x(n, 5) | arm64_x(d, 0);
}

enum { ARM64_UDIV = 2, ARM64_SDIV = 3, ARM64_LSLV = 8, ARM64_LSRV = 9, ARM64_ASRV = 10, ARM64_RORV = 11 };
static inline uint32_t arm64_two(unsigned w, unsigned op, unsigned d, unsigned n, unsigned m) {
    return 0x1ac00000 | w << 31 | op << 10 | arm64_x(m, 16) | arm64_x(n, 5) | arm64_x(d, 0);
}
enum { ARM64_RBIT = 0, ARM64_CLZ = 4 };
static inline uint32_t arm64_one(unsigned w, unsigned op, unsigned d, unsigned n) {
    return 0x5ac00000 | w << 31 | op << 10 | arm64_x(n, 5) | arm64_x(d, 0);
}
/* d = a + n * m, or a - n * m */
static inline uint32_t arm64_madd(unsigned w, bool minus, unsigned d, unsigned n, unsigned m, unsigned a) {
    return 0x1b000000 | w << 31 | (uint32_t)minus << 15 | arm64_x(m, 16) | arm64_x(a, 10) | arm64_x(n, 5) | arm64_x(d, 0);
}
static inline uint32_t arm64_mull(bool is_signed, unsigned d, unsigned n, unsigned m) { /* 32 by 32 to 64 bits */
    return (is_signed ? 0x9b207c00 : 0x9ba07c00) | arm64_x(m, 16) | arm64_x(n, 5) | arm64_x(d, 0);
}
/* d = cc ? n : m */
static inline uint32_t arm64_csel(unsigned w, unsigned d, unsigned n, unsigned m, unsigned cc) {
    return 0x1a800000 | w << 31 | cc << 12 | arm64_x(m, 16) | arm64_x(n, 5) | arm64_x(d, 0);
}
static inline uint32_t arm64_cset(unsigned d, unsigned cc) { /* csinc d, zr, zr, !cc */
    return 0x1a800400 | (cc ^ 1) << 12 | arm64_x(XZR, 16) | arm64_x(XZR, 5) | arm64_x(d, 0);
}
/* cc ? compare n with imm : flags */
static inline uint32_t arm64_ccmp_imm(unsigned w, unsigned n, unsigned imm, unsigned flags, unsigned cc) {
    return 0x7a400800 | w << 31 | imm << 16 | cc << 12 | arm64_x(n, 5) | flags;
}

/* ---- branches ---- */

enum { ARM64_B = 0x14000000, ARM64_BL = 0x94000000u, ARM64_RET = 0xd65f03c0u, ARM64_BRK = 0xd4200000u };
static inline uint32_t arm64_b_cond(unsigned cc) { return 0x54000000 | cc; }
static inline uint32_t arm64_cbz(unsigned w, bool nonzero, unsigned r) {
    return 0x34000000 | w << 31 | (uint32_t)nonzero << 24 | arm64_x(r, 0);
}
static inline uint32_t arm64_tbz(bool nonzero, unsigned r, unsigned bit) {
    return 0x36000000 | (bit >> 5) << 31 | (uint32_t)nonzero << 24 | (bit & 31) << 19 | arm64_x(r, 0);
}
static inline uint32_t arm64_br(unsigned r) { return 0xd61f0000 | arm64_x(r, 5); }
static inline uint32_t arm64_blr(unsigned r) { return 0xd63f0000 | arm64_x(r, 5); }
static inline uint32_t arm64_adr(unsigned d, int32_t offset) {
    return 0x10000000 | ((uint32_t)offset & 3) << 29 | ((uint32_t)(offset >> 2) & 0x7ffff) << 5 | arm64_x(d, 0);
}
static inline uint32_t arm64_ldr_literal(unsigned d, unsigned log2) { /* of a vector register, 4, 8 or 16 bytes */
    return (uint32_t)(log2 - 2) << 30 | 0x1c000000 | arm64_v(d, 0);
}

/* The field at bit `at`, `bits` wide, of a signed offset in words. */
static inline bool arm64_field(uint32_t *word, int64_t offset, unsigned bits, unsigned at) {
    int64_t words = offset >> 2, max = (int64_t)1 << (bits - 1);
    *word |= ((uint32_t)words & ((1u << bits) - 1)) << at;
    return !(offset & 3) && words >= -max && words < max;
}
/* Fills in a branch's or a literal load's offset from itself; 0 is a word of data. False: out of reach. */
static inline bool arm64_set_offset(uint32_t *word, int64_t offset) {
    if (*word == 0) {
        *word = (uint32_t)(int32_t)offset;
        return offset == (int32_t)offset;
    }
    if ((*word & 0x7c000000) == ARM64_B) return arm64_field(word, offset, 26, 0);
    if ((*word & 0x7e000000) == 0x36000000) return arm64_field(word, offset, 14, 5);
    return arm64_field(word, offset, 19, 5); /* b.cond, cbz, ldr */
}

/* ---- loads and stores ---- */

/* What is moved: log2 of its bytes, and the bits that tell it from others of the same size. */
struct arm64_access {
    uint8_t log2;
    uint32_t bits;
};
#define ARM64_LDST(log2, size, vector, opc)                                                                                      \
    ((struct arm64_access){log2, (uint32_t)(size) << 30 | (uint32_t)(vector) << 26 | (uint32_t)(opc) << 22})
#define ARM64_STORE_X ARM64_LDST(3, 3, 0, 0)
#define ARM64_LOAD_X ARM64_LDST(3, 3, 0, 1)
#define ARM64_STORE_W ARM64_LDST(2, 2, 0, 0)
#define ARM64_LOAD_W ARM64_LDST(2, 2, 0, 1)
#define ARM64_LOAD_SW ARM64_LDST(2, 2, 0, 2) /* to 64 bits */
#define ARM64_STORE_Q ARM64_LDST(4, 0, 1, 2)
#define ARM64_LOAD_Q ARM64_LDST(4, 0, 1, 3)
static inline bool arm64_is_vector(struct arm64_access a) { return a.bits >> 26 & 1; }
static inline uint32_t arm64_rt(struct arm64_access a, unsigned r) { return arm64_is_vector(a) ? arm64_v(r, 0) : arm64_x(r, 0); }

static inline bool arm64_scaled_fits(unsigned log2, int64_t offset) {
    return offset >= 0 && !(offset & ((1 << log2) - 1)) && offset >> log2 < 4096;
}
static inline bool arm64_offset_fits(unsigned log2, int64_t offset) {
    return arm64_scaled_fits(log2, offset) || (offset >= -256 && offset < 256);
}
/* [base + offset] */
static inline uint32_t arm64_ldst(struct arm64_access a, unsigned t, unsigned base, int32_t offset) {
    if (arm64_scaled_fits(a.log2, offset))
        return 0x39000000 | a.bits | (uint32_t)offset >> a.log2 << 10 | arm64_x(base, 5) | arm64_rt(a, t);
    return 0x38000000 | a.bits | ((uint32_t)offset & 0x1ff) << 12 | arm64_x(base, 5) | arm64_rt(a, t);
}
/* [base + index], or [base + (index << log2)] */
static inline uint32_t arm64_ldst_reg(struct arm64_access a, unsigned t, unsigned base, unsigned index, bool scaled) {
    return 0x38206800 | a.bits | (uint32_t)scaled << 12 | arm64_x(index, 16) | arm64_x(base, 5) | arm64_rt(a, t);
}
enum { ARM64_STP = 0xa9000000u, ARM64_LDP = 0xa9400000u, ARM64_STP_PRE = 0xa9800000u, ARM64_LDP_POST = 0xa8c00000u };
static inline uint32_t arm64_pair(uint32_t op, unsigned a, unsigned b, unsigned base, int32_t offset) {
    return op | ((uint32_t)(offset / 8) & 0x7f) << 15 | arm64_x(b, 10) | arm64_x(base, 5) | arm64_x(a, 0);
}

/* ---- floating point ---- */

enum { ARM64_FMUL, ARM64_FDIV, ARM64_FADD, ARM64_FSUB, ARM64_FMAX, ARM64_FMIN };
static inline uint32_t arm64_f2(bool d, unsigned op, unsigned to, unsigned n, unsigned m) {
    return 0x1e200800 | (uint32_t)d << 22 | op << 12 | arm64_v(m, 16) | arm64_v(n, 5) | arm64_v(to, 0);
}
enum {
    ARM64_FMOV,
    ARM64_FABS,
    ARM64_FNEG,
    ARM64_FSQRT,
    ARM64_FCVT_S,
    ARM64_FCVT_D,
    ARM64_FRINTN = 8,
    ARM64_FRINTP,
    ARM64_FRINTM,
    ARM64_FRINTZ
};
static inline uint32_t arm64_f1(bool d, unsigned op, unsigned to, unsigned n) {
    return 0x1e204000 | (uint32_t)d << 22 | op << 15 | arm64_v(n, 5) | arm64_v(to, 0);
}
static inline uint32_t arm64_fcmp(bool d, unsigned n, unsigned m) {
    return 0x1e202000 | (uint32_t)d << 22 | arm64_v(m, 16) | arm64_v(n, 5);
}
static inline uint32_t arm64_fcmp_zero(bool d, unsigned n) { return 0x1e202008 | (uint32_t)d << 22 | arm64_v(n, 5); }
static inline uint32_t arm64_fcsel(bool d, unsigned to, unsigned n, unsigned m, unsigned cc) {
    return 0x1e200c00 | (uint32_t)d << 22 | cc << 12 | arm64_v(m, 16) | arm64_v(n, 5) | arm64_v(to, 0);
}
/* The 8 bits of an f32 or f64 as an immediate: sign, 3 bits of exponent, 4 of fraction. */
static inline bool arm64_float_imm(bool d, uint64_t v, uint32_t *out) {
    unsigned fraction = d ? 52 : 23, exponent_bits = d ? 11 : 8;
    uint64_t exponent = v >> fraction & ((1u << exponent_bits) - 1), low = v & (((uint64_t)1 << (fraction - 4)) - 1);
    uint64_t bias = (1u << (exponent_bits - 1)) - 1;
    if (low || exponent < bias - 3 || exponent > bias + 4) return false;
    uint32_t three = (uint32_t)(exponent - bias + 3) ^ 4;
    *out = (uint32_t)(v >> (d ? 63 : 31) & 1) << 7 | three << 4 | (uint32_t)(v >> (fraction - 4) & 15);
    return true;
}
static inline uint32_t arm64_fmov_imm(bool d, unsigned to, uint32_t imm8) {
    return 0x1e201000 | (uint32_t)d << 22 | imm8 << 13 | arm64_v(to, 0);
}
enum { ARM64_FCVTZS = 3 << 19, ARM64_FCVTZU = 3 << 19 | 1 << 16, ARM64_SCVTF = 2 << 16, ARM64_UCVTF = 3 << 16 };
static inline uint32_t arm64_f_to_x(unsigned w, bool d, uint32_t op, unsigned to, unsigned n) {
    return 0x1e200000 | w << 31 | (uint32_t)d << 22 | op | arm64_v(n, 5) | arm64_x(to, 0);
}
static inline uint32_t arm64_x_to_f(unsigned w, bool d, uint32_t op, unsigned to, unsigned n) {
    return 0x1e200000 | w << 31 | (uint32_t)d << 22 | op | arm64_x(n, 5) | arm64_v(to, 0);
}
enum { ARM64_FMOV_TO_X = 6 << 16, ARM64_FMOV_FROM_X = 7 << 16 };

/* ---- vectors: a word of the table with its registers ---- */

static inline uint32_t arm64_vec(uint32_t op, unsigned d, unsigned n, unsigned m) {
    return op | arm64_v(m, 16) | arm64_v(n, 5) | arm64_v(d, 0);
}
static inline uint32_t arm64_vec1(uint32_t op, unsigned d, unsigned n) { return op | arm64_v(n, 5) | arm64_v(d, 0); }

#endif
