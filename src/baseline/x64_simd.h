/* x64_simd: 128-bit vector instructions of x86-64, one name for the VEX and the legacy form.
 *
 * 1. An instruction is a word: prefix, map (1: 0f, 2: 0f 38, 3: 0f 3a), opcode, and W in bit 24. Both forms share it.
 * 2. With AVX `d = a op s` is one instruction; without, a is moved to d first, and where d is s (and a is not) the work is done in
 *    the scratch register: whoever has something there passes it as a.
 * 3. No memory operand of 16 bytes without AVX but constants, which are aligned.
 */
#ifndef ORLO_BASELINE_X64_SIMD_H
#define ORLO_BASELINE_X64_SIMD_H

#include "baseline/x64_int.h"

enum { S = FSCRATCH };

#define VI(prefix, map, op) ((uint32_t)(prefix) << 16 | (map) << 8 | (op))
#define VI_W (1u << 24)

enum {
    MOVUPS = VI(0, 1, 0x10),
    MOVUPS_STORE = VI(0, 1, 0x11),
    MOVSS = VI(0xf3, 1, 0x10),
    MOVSD = VI(0xf2, 1, 0x10),
    MOVSS_STORE = VI(0xf3, 1, 0x11),
    MOVSD_STORE = VI(0xf2, 1, 0x11),
    MOVDDUP = VI(0xf2, 1, 0x12),
    MOVLHPS = VI(0, 1, 0x16),
    MOVAPS = VI(0, 1, 0x28),
    MOVD_TO = VI(0x66, 1, 0x6e),
    MOVD_FROM = VI(0x66, 1, 0x7e),
    UNPCKLPS = VI(0, 1, 0x14),
    SHUFPS = VI(0, 1, 0xc6),
    INSERTPS = VI(0x66, 3, 0x21),

    PUNPCKLBW = VI(0x66, 1, 0x60),
    PUNPCKLWD = VI(0x66, 1, 0x61),
    PUNPCKLDQ = VI(0x66, 1, 0x62),
    PUNPCKLQDQ = VI(0x66, 1, 0x6c),
    PUNPCKHBW = VI(0x66, 1, 0x68),
    PUNPCKHWD = VI(0x66, 1, 0x69),
    PUNPCKHDQ = VI(0x66, 1, 0x6a),
    PUNPCKHQDQ = VI(0x66, 1, 0x6d),
    PACKSSWB = VI(0x66, 1, 0x63),
    PACKUSWB = VI(0x66, 1, 0x67),
    PACKSSDW = VI(0x66, 1, 0x6b),
    PACKUSDW = VI(0x66, 2, 0x2b),
    PSHUFB = VI(0x66, 2, 0x00),
    PSHUFD = VI(0x66, 1, 0x70),
    PSHUFLW = VI(0xf2, 1, 0x70),
    PSHUFHW = VI(0xf3, 1, 0x70),
    PALIGNR = VI(0x66, 3, 0x0f),
    PBLENDW = VI(0x66, 3, 0x0e),
    PBLENDVB = VI(0x66, 3, 0x4c),
    BLENDVPS = VI(0x66, 3, 0x4a),
    BLENDVPD = VI(0x66, 3, 0x4b),
    PINSRB = VI(0x66, 3, 0x20),
    PINSRW = VI(0x66, 1, 0xc4),
    PINSRD = VI(0x66, 3, 0x22),
    PINSRQ = VI(0x66, 3, 0x22) | VI_W,
    PEXTRB = VI(0x66, 3, 0x14),
    PEXTRW = VI(0x66, 1, 0xc5),
    PEXTRW_STORE = VI(0x66, 3, 0x15),
    PEXTRD = VI(0x66, 3, 0x16),
    PEXTRQ = VI(0x66, 3, 0x16) | VI_W,
    PBROADCASTB = VI(0x66, 2, 0x78),
    PBROADCASTW = VI(0x66, 2, 0x79),
    PBROADCASTD = VI(0x66, 2, 0x58),
    BROADCASTSS = VI(0x66, 2, 0x18),
    PMOVMSKB = VI(0x66, 1, 0xd7),
    MOVMSKPS = VI(0, 1, 0x50),
    MOVMSKPD = VI(0x66, 1, 0x50),
    PTEST = VI(0x66, 2, 0x17),
    PMOVSXBW = VI(0x66, 2, 0x20),
    PMOVSXWD = VI(0x66, 2, 0x23),
    PMOVSXDQ = VI(0x66, 2, 0x25),
    PMOVZXBW = VI(0x66, 2, 0x30),
    PMOVZXWD = VI(0x66, 2, 0x33),
    PMOVZXDQ = VI(0x66, 2, 0x35),

    PCMPEQB = VI(0x66, 1, 0x74),
    PCMPEQW = VI(0x66, 1, 0x75),
    PCMPEQD = VI(0x66, 1, 0x76),
    PCMPEQQ = VI(0x66, 2, 0x29),
    PCMPGTB = VI(0x66, 1, 0x64),
    PCMPGTW = VI(0x66, 1, 0x65),
    PCMPGTD = VI(0x66, 1, 0x66),
    PCMPGTQ = VI(0x66, 2, 0x37),
    PMINSB = VI(0x66, 2, 0x38),
    PMINSW = VI(0x66, 1, 0xea),
    PMINSD = VI(0x66, 2, 0x39),
    PMINUB = VI(0x66, 1, 0xda),
    PMINUW = VI(0x66, 2, 0x3a),
    PMINUD = VI(0x66, 2, 0x3b),
    PMAXSB = VI(0x66, 2, 0x3c),
    PMAXSW = VI(0x66, 1, 0xee),
    PMAXSD = VI(0x66, 2, 0x3d),
    PMAXUB = VI(0x66, 1, 0xde),
    PMAXUW = VI(0x66, 2, 0x3e),
    PMAXUD = VI(0x66, 2, 0x3f),
    PADDB = VI(0x66, 1, 0xfc),
    PADDW = VI(0x66, 1, 0xfd),
    PADDD = VI(0x66, 1, 0xfe),
    PADDQ = VI(0x66, 1, 0xd4),
    PSUBB = VI(0x66, 1, 0xf8),
    PSUBW = VI(0x66, 1, 0xf9),
    PSUBD = VI(0x66, 1, 0xfa),
    PSUBQ = VI(0x66, 1, 0xfb),
    PADDSB = VI(0x66, 1, 0xec),
    PADDSW = VI(0x66, 1, 0xed),
    PADDUSB = VI(0x66, 1, 0xdc),
    PADDUSW = VI(0x66, 1, 0xdd),
    PSUBSB = VI(0x66, 1, 0xe8),
    PSUBSW = VI(0x66, 1, 0xe9),
    PSUBUSB = VI(0x66, 1, 0xd8),
    PSUBUSW = VI(0x66, 1, 0xd9),
    PAVGB = VI(0x66, 1, 0xe0),
    PAVGW = VI(0x66, 1, 0xe3),
    PABSB = VI(0x66, 2, 0x1c),
    PABSW = VI(0x66, 2, 0x1d),
    PABSD = VI(0x66, 2, 0x1e),
    PMULLW = VI(0x66, 1, 0xd5),
    PMULLD = VI(0x66, 2, 0x40),
    PMULHW = VI(0x66, 1, 0xe5),
    PMULHUW = VI(0x66, 1, 0xe4),
    PMULHRSW = VI(0x66, 2, 0x0b),
    PMULDQ = VI(0x66, 2, 0x28),
    PMULUDQ = VI(0x66, 1, 0xf4),
    PMADDWD = VI(0x66, 1, 0xf5),
    PMADDUBSW = VI(0x66, 2, 0x04),
    PSLLW = VI(0x66, 1, 0xf1),
    PSLLD = VI(0x66, 1, 0xf2),
    PSLLQ = VI(0x66, 1, 0xf3),
    PSRLW = VI(0x66, 1, 0xd1),
    PSRLD = VI(0x66, 1, 0xd2),
    PSRLQ = VI(0x66, 1, 0xd3),
    PSRAW = VI(0x66, 1, 0xe1),
    PSRAD = VI(0x66, 1, 0xe2),
    PAND = VI(0x66, 1, 0xdb),
    PANDN = VI(0x66, 1, 0xdf),
    POR = VI(0x66, 1, 0xeb),
    PXOR = VI(0x66, 1, 0xef),

    ADDPS = VI(0, 1, 0x58),
    MULPS = VI(0, 1, 0x59),
    SUBPS = VI(0, 1, 0x5c),
    MINPS = VI(0, 1, 0x5d),
    DIVPS = VI(0, 1, 0x5e),
    MAXPS = VI(0, 1, 0x5f),
    SQRTPS = VI(0, 1, 0x51),
    CMPPS = VI(0, 1, 0xc2),
    ANDPS = VI(0, 1, 0x54),
    ANDNPS = VI(0, 1, 0x55),
    ORPS = VI(0, 1, 0x56),
    XORPS = VI(0, 1, 0x57),
    PD = VI(0x66, 0, 0), /* added to one of these: of f64 */
    ROUNDPS = VI(0x66, 3, 0x08),
    ROUNDPD = VI(0x66, 3, 0x09),
    CVTDQ2PS = VI(0, 1, 0x5b),
    CVTTPS2DQ = VI(0xf3, 1, 0x5b),
    CVTTPD2DQ = VI(0x66, 1, 0xe6),
    CVTDQ2PD = VI(0xf3, 1, 0xe6),
    CVTPD2PS = VI(0x66, 1, 0x5a),
    CVTPS2PD = VI(0, 1, 0x5a),
    /* 213: d = a d + s; 231: d = a s + d; N: the product negated */
    FMADD213PS = VI(0x66, 2, 0xa8),
    FMADD231PS = VI(0x66, 2, 0xb8),
    FNMADD213PS = VI(0x66, 2, 0xac),
    FNMADD231PS = VI(0x66, 2, 0xbc),
};

/* A vector constant: where its 16 bytes are is in imm. */
static inline void v128_bits(const struct value *v, uint64_t k[2]) { memcpy(k, (const void *)(uintptr_t)v->imm, 16); }

/* ---- one instruction; without AVX, a is ignored ---- */

void v_rr(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, uint8_t s);
void v_rm(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, struct x64_mem m);
/* [rip + the constant], with an immediate byte behind it if imm >= 0 */
void v_rk(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, const uint64_t k[2], int imm);

/* ---- d = op s; d = a op s ---- */

static inline void v1(struct compiler *c, uint32_t in, uint8_t d, uint8_t s) { v_rr(c, in, d, 0, s); }
static inline void v1i(struct compiler *c, uint32_t in, uint8_t d, uint8_t s, uint8_t imm) {
    v_rr(c, in, d, 0, s);
    *c->p++ = imm;
}
static inline void v_move(struct compiler *c, uint8_t d, uint8_t s) { target_move_reg(c, T_V128, d, s); }
void v2_imm(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, uint8_t s, int imm); /* imm < 0: none */
static inline void v2(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, uint8_t s) { v2_imm(c, in, d, a, s, -1); }
static inline void v2i(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, uint8_t s, uint8_t imm) {
    v2_imm(c, in, d, a, s, imm);
}
/* Where a and s may change places. */
static inline void v2c(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, uint8_t s) {
    if (d == s) v2(c, in, d, s, a);
    else v2(c, in, d, a, s);
}
/* d = a op constant */
static inline void v2k(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, uint64_t low, uint64_t high) {
    if (!has_avx(c)) v_move(c, d, a);
    v_rk(c, in, d, a, (const uint64_t[]){low, high}, -1);
}
static inline void v2kk(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, uint64_t both) { v2k(c, in, d, a, both, both); }
static inline void v_constant(struct compiler *c, uint8_t d, uint64_t low, uint64_t high) {
    v_rk(c, MOVAPS, d, 0, (const uint64_t[]){low, high}, -1);
}
static inline void v_zero(struct compiler *c, uint8_t d) { v_rr(c, PXOR, d, d, d); }
static inline void v_ones(struct compiler *c, uint8_t d) { v_rr(c, PCMPEQD, d, d, d); }
/* Shift by a constant; `in` is the form with a register. */
void v_shift(struct compiler *c, uint32_t in, uint8_t d, uint8_t s, uint8_t n);

/* ---- what the files of the families offer to the table ---- */

struct simd_row {
    uint32_t insn;
    /* A sequence: operands are in registers r, d may be any of them; t are temporaries of its own, and FSCRATCH. NULL: insn
     * alone. */
    void (*emit)(struct compiler *c, const struct simd_row *row, uint8_t d, const uint8_t *r, const uint8_t *t);
    uint32_t insn2;
    uint8_t temps, flags, imm;
};
enum { COMMUTES = 1, SWAPS = 2 /* wasm's operands are the machine's, the other way round */, HAS_IMM = 4 };

#define SIMD_SEQUENCE(name)                                                                                                      \
    void name(struct compiler *c, const struct simd_row *row, uint8_t d, const uint8_t *r, const uint8_t *t)

SIMD_SEQUENCE(simd_not);
SIMD_SEQUENCE(simd_inverse);      /* not (a insn b) */
SIMD_SEQUENCE(simd_equals_first); /* (a insn b) insn2 a */
SIMD_SEQUENCE(simd_differs_from_first);
SIMD_SEQUENCE(simd_bitselect);
SIMD_SEQUENCE(simd_blend);
SIMD_SEQUENCE(simd_neg);
SIMD_SEQUENCE(simd_abs64);
SIMD_SEQUENCE(simd_popcnt);
SIMD_SEQUENCE(simd_extend_high);
SIMD_SEQUENCE(simd_extadd_8s);
SIMD_SEQUENCE(simd_extadd_8u);
SIMD_SEQUENCE(simd_extadd_16s);
SIMD_SEQUENCE(simd_extadd_16u);
SIMD_SEQUENCE(simd_extmul_8);
SIMD_SEQUENCE(simd_extmul_16);
SIMD_SEQUENCE(simd_extmul_32);
SIMD_SEQUENCE(simd_mul64);
SIMD_SEQUENCE(simd_q15mulr);
SIMD_SEQUENCE(simd_swizzle);
SIMD_SEQUENCE(simd_dot_add);

SIMD_SEQUENCE(simd_fabs);
SIMD_SEQUENCE(simd_fneg);
SIMD_SEQUENCE(simd_fmin);
SIMD_SEQUENCE(simd_fmax);
SIMD_SEQUENCE(simd_madd);
SIMD_SEQUENCE(simd_nmadd);
SIMD_SEQUENCE(simd_trunc_f32_s);
SIMD_SEQUENCE(simd_trunc_f32_u);
SIMD_SEQUENCE(simd_trunc_f64_s);
SIMD_SEQUENCE(simd_trunc_f64_u);
SIMD_SEQUENCE(simd_convert_f32_u);
SIMD_SEQUENCE(simd_convert_f64_u);

#endif
