/* x64_simd_float: vector instructions on floating point numbers that take more than one machine instruction. */
#include "baseline/x64_simd.h"

static bool of_f64(const struct simd_row *row) { return row->insn & PD; }

SIMD_SEQUENCE(simd_fabs) {
    (void)t;
    v2kk(c, row->insn, d, r[0], of_f64(row) ? 0x7fffffffffffffff : 0x7fffffff7fffffff);
}
SIMD_SEQUENCE(simd_fneg) {
    (void)t;
    v2kk(c, row->insn, d, r[0], of_f64(row) ? 0x8000000000000000 : 0x8000000080000000);
}

/* The machine's min and max give the second operand for a NaN and for two zeros: so both orders are taken and joined. S has
 * what they have in common; lanes that are NaN become the canonical one (whose sign may be either). */
static void canonical(struct compiler *c, uint32_t pd, uint8_t d, uint8_t t) {
    v2i(c, CMPPS | pd, t, S, S, 3); /* unordered */
    v2(c, ORPS, S, S, t);
    v_shift(c, pd ? PSRLQ : PSRLD, t, t, pd ? 13 : 10);
    v2(c, ANDNPS, d, t, S);
}
SIMD_SEQUENCE(simd_fmin) {
    v2(c, row->insn, S, r[0], r[1]);
    v2(c, row->insn, t[0], r[1], r[0]);
    v2(c, ORPS, S, S, t[0]);
    canonical(c, row->insn & PD, d, t[0]);
}
SIMD_SEQUENCE(simd_fmax) {
    uint32_t pd = row->insn & PD;
    v2(c, row->insn, S, r[0], r[1]);
    v2(c, row->insn, t[0], r[1], r[0]);
    v2(c, XORPS, t[0], t[0], S); /* where they differ: the sign of zeros, or NaNs */
    v2(c, ORPS, S, S, t[0]);
    v2(c, SUBPS | pd, S, S, t[0]); /* -0 - -0 is +0 */
    canonical(c, pd, d, t[0]);
}

/* ---- multiply and add: with one rounding where the code may use FMA ---- */

static void fused(struct compiler *c, const struct simd_row *row, uint32_t in213, uint32_t in231, uint8_t d, const uint8_t *r) {
    uint32_t w = row->insn & PD ? VI_W : 0;
    if (d == r[0]) {
        v_rr(c, in213 | w, d, r[1], r[2]);
    } else if (d == r[1]) {
        v_rr(c, in213 | w, d, r[0], r[2]);
    } else {
        v_move(c, d, r[2]);
        v_rr(c, in231 | w, d, r[0], r[1]);
    }
}
SIMD_SEQUENCE(simd_madd) {
    (void)t;
    if (c->cpu & ABI_CPU_FMA && has_avx(c)) {
        fused(c, row, FMADD213PS, FMADD231PS, d, r);
        return;
    }
    v2(c, MULPS | (row->insn & PD), S, r[0], r[1]);
    v2(c, ADDPS | (row->insn & PD), d, S, r[2]);
}
SIMD_SEQUENCE(simd_nmadd) {
    (void)t;
    if (c->cpu & ABI_CPU_FMA && has_avx(c)) {
        fused(c, row, FNMADD213PS, FNMADD231PS, d, r);
        return;
    }
    v2(c, MULPS | (row->insn & PD), S, r[0], r[1]);
    v2(c, SUBPS | (row->insn & PD), d, r[2], S);
}

/* ---- to integers ---- */

/* The conversion gives 0x80000000 for all that does not fit: right for what is too low, to be inverted for what is too high. */
SIMD_SEQUENCE(simd_trunc_f32_s) {
    (void)row, (void)t;
    v2i(c, CMPPS, S, r[0], r[0], 0); /* equal: no NaN */
    v2(c, ANDPS, d, r[0], S);
    v2(c, XORPS, S, S, d); /* the highest bit: not negative */
    v1(c, CVTTPS2DQ, d, d);
    v2(c, PAND, S, S, d);
    v_shift(c, PSRAD, S, S, 31);
    v2(c, PXOR, d, d, S);
}

/* In two parts, up to 2^31 and beyond. */
SIMD_SEQUENCE(simd_trunc_f32_u) {
    (void)row;
    v_zero(c, S);
    v2(c, MAXPS, d, r[0], S); /* 0 for a NaN */
    v_constant(c, t[0], 0x4f0000004f000000, 0x4f0000004f000000);
    v2(c, SUBPS, S, d, t[0]);
    v1(c, CVTTPS2DQ, d, d);
    v2i(c, CMPPS, t[0], t[0], S, 2); /* 2^31 <= the second part */
    v1(c, CVTTPS2DQ, S, S);
    v2(c, PXOR, S, S, t[0]);
    v_zero(c, t[0]);
    v2(c, PMAXSD, S, S, t[0]);
    v2(c, PADDD, d, d, S);
}

SIMD_SEQUENCE(simd_trunc_f64_s) {
    (void)row, (void)t;
    v2i(c, CMPPS | PD, S, r[0], r[0], 0);
    v2kk(c, ANDPS | PD, S, S, 0x41dfffffffc00000); /* 2^31 - 1, or 0 for a NaN */
    v2(c, MINPS | PD, d, r[0], S);
    v1(c, CVTTPD2DQ, d, d);
}

SIMD_SEQUENCE(simd_trunc_f64_u) {
    (void)row, (void)t;
    v_zero(c, S);
    v2(c, MAXPS | PD, d, r[0], S);
    v2kk(c, MINPS | PD, d, d, 0x41efffffffe00000); /* 2^32 - 1 */
    v1i(c, ROUNDPD, d, d, 3);
    v2kk(c, ADDPS | PD, d, d, 0x4330000000000000); /* 2^52: the integer is in the lower half now */
    v2i(c, SHUFPS, d, d, S, 0x88);
}

/* ---- from unsigned integers ---- */

SIMD_SEQUENCE(simd_convert_f32_u) { /* the lower 16 bits and the upper, each exact */
    (void)row, (void)t;
    v_shift(c, PSLLD, S, r[0], 16);
    v_shift(c, PSRLD, S, S, 16);
    v2(c, PSUBD, d, r[0], S);
    v1(c, CVTDQ2PS, S, S);
    v_shift(c, PSRLD, d, d, 1);
    v1(c, CVTDQ2PS, d, d);
    v2(c, ADDPS, d, d, d);
    v2(c, ADDPS, d, d, S);
}

SIMD_SEQUENCE(simd_convert_f64_u) { /* 2^52 + x, made of bits, less 2^52 */
    (void)row, (void)t;
    v2kk(c, UNPCKLPS, d, r[0], 0x4330000043300000);
    v2kk(c, SUBPS | PD, d, d, 0x4330000000000000);
}
