/* x64_simd_int: vector instructions on integers that take more than one machine instruction. */
#include "baseline/x64_simd.h"

#define BYTES(b) ((b)*0x0101010101010101ull)
#define WORDS(w) ((w)*0x0001000100010001ull)

/* ---- bits and comparisons ---- */

SIMD_SEQUENCE(simd_not) {
    (void)row, (void)t;
    v_ones(c, S);
    v2c(c, PXOR, d, r[0], S);
}

SIMD_SEQUENCE(simd_inverse) {
    (void)t;
    bool swap = row->flags & SWAPS;
    v2(c, row->insn, S, r[swap], r[!swap]);
    v_ones(c, d);
    v2(c, PXOR, d, d, S);
}

SIMD_SEQUENCE(simd_equals_first) {
    (void)t;
    v2(c, row->insn, S, r[0], r[1]);
    v2(c, row->insn2, d, S, r[0]);
}

SIMD_SEQUENCE(simd_differs_from_first) {
    (void)t;
    v2(c, row->insn, S, r[0], r[1]);
    v2(c, row->insn2, S, S, r[0]);
    v_ones(c, d);
    v2(c, PXOR, d, d, S);
}

SIMD_SEQUENCE(simd_bitselect) {
    (void)row, (void)t;
    v2(c, PANDN, S, r[2], r[1]);
    v2c(c, PAND, d, r[0], r[2]);
    v2(c, POR, d, d, S);
}

/* By the highest bit of each lane, where one instruction does it; otherwise bit by bit. */
SIMD_SEQUENCE(simd_blend) {
    if (!has_avx(c)) {
        simd_bitselect(c, row, d, r, t);
        return;
    }
    v_rr(c, row->insn, d, r[1], r[0]);
    *c->p++ = (uint8_t)((r[2] & 15) << 4);
}

/* ---- arithmetic ---- */

SIMD_SEQUENCE(simd_neg) {
    (void)t;
    v_zero(c, S);
    v2(c, row->insn, d, S, r[0]);
}

SIMD_SEQUENCE(simd_abs64) {
    (void)row, (void)t;
    v_zero(c, S);
    v2(c, PCMPGTQ, S, S, r[0]);
    v2(c, PXOR, d, r[0], S);
    v2(c, PSUBQ, d, d, S);
}

/* The number of bits of each half of a byte, from a table. */
SIMD_SEQUENCE(simd_popcnt) {
    (void)row;
    static const uint64_t counts[] = {0x0302020102010100, 0x0403030203020201};
    v2kk(c, PAND, S, r[0], BYTES(0x0f));
    v_constant(c, t[0], counts[0], counts[1]);
    v2(c, PSHUFB, t[0], t[0], S);
    v_shift(c, PSRLW, S, r[0], 4);
    v2kk(c, PAND, S, S, BYTES(0x0f));
    v_constant(c, d, counts[0], counts[1]);
    v2(c, PSHUFB, d, d, S);
    v2(c, PADDB, d, d, t[0]);
}

SIMD_SEQUENCE(simd_extend_high) {
    (void)t;
    v1i(c, PSHUFD, d, r[0], 0xee);
    v1(c, row->insn, d, d);
}

SIMD_SEQUENCE(simd_extadd_8s) { /* the first operand of pmaddubsw is unsigned, the second signed */
    (void)row, (void)t;
    v_constant(c, S, BYTES(1), BYTES(1));
    v2(c, PMADDUBSW, d, S, r[0]);
}
SIMD_SEQUENCE(simd_extadd_8u) {
    (void)row, (void)t;
    v2kk(c, PMADDUBSW, d, r[0], BYTES(1));
}
SIMD_SEQUENCE(simd_extadd_16s) {
    (void)row, (void)t;
    v2kk(c, PMADDWD, d, r[0], WORDS(1));
}
SIMD_SEQUENCE(simd_extadd_16u) { /* each less by 2^15 as a signed number, the sum more by 2^16 */
    (void)row, (void)t;
    v2kk(c, PXOR, S, r[0], WORDS(0x8000));
    v2kk(c, PMADDWD, S, S, WORDS(1));
    v2kk(c, PADDD, d, S, 0x0001000000010000);
}

/* insn extends the lower half; imm: of the upper half. */
SIMD_SEQUENCE(simd_extmul_8) {
    (void)t;
    if (row->imm) {
        v1i(c, PSHUFD, S, r[0], 0xee);
        v1(c, row->insn, S, S);
        v1i(c, PSHUFD, d, r[1], 0xee);
        v1(c, row->insn, d, d);
    } else {
        v1(c, row->insn, S, r[0]);
        v1(c, row->insn, d, r[1]);
    }
    v2(c, PMULLW, d, d, S);
}
/* insn gives the upper halves of the products, insn2 puts the halves together. */
SIMD_SEQUENCE(simd_extmul_16) {
    (void)t;
    v2(c, row->insn, S, r[0], r[1]);
    v2c(c, PMULLW, d, r[0], r[1]);
    v2(c, row->insn2, d, d, S);
}
SIMD_SEQUENCE(simd_extmul_32) {
    (void)t;
    v1i(c, PSHUFD, S, r[0], row->imm);
    v1i(c, PSHUFD, d, r[1], row->imm);
    v2(c, row->insn, d, d, S);
}

SIMD_SEQUENCE(simd_mul64) { /* low * low + (high * low + low * high << 32) */
    (void)row;
    v_shift(c, PSRLQ, S, r[0], 32);
    v2(c, PMULUDQ, S, S, r[1]);
    v_shift(c, PSRLQ, t[0], r[1], 32);
    v2(c, PMULUDQ, t[0], t[0], r[0]);
    v2(c, PADDQ, t[0], t[0], S);
    v_shift(c, PSLLQ, t[0], t[0], 32);
    v2c(c, PMULUDQ, d, r[0], r[1]);
    v2(c, PADDQ, d, d, t[0]);
}

SIMD_SEQUENCE(simd_q15mulr) { /* 0x8000 comes only of 0x8000 * 0x8000: make it 0x7fff */
    (void)row, (void)t;
    v2(c, PMULHRSW, S, r[0], r[1]);
    v2kk(c, PCMPEQW, d, S, WORDS(0x8000));
    v2(c, PXOR, d, d, S);
}

SIMD_SEQUENCE(simd_swizzle) { /* an index above 15 becomes one with the highest bit, which gives 0 */
    (void)row, (void)t;
    v_constant(c, S, BYTES(0x70), BYTES(0x70));
    v2(c, PADDUSB, S, S, r[1]);
    v2(c, PSHUFB, d, r[0], S);
}

SIMD_SEQUENCE(simd_dot_add) {
    (void)row, (void)t;
    v2(c, PMADDUBSW, S, r[1], r[0]);
    v2kk(c, PMADDWD, S, S, WORDS(1));
    v2(c, PADDD, d, S, r[2]);
}

/* ---- shifts ---- */

/* The count, modulo the lane's bits, plus `more`, in S. */
static void count_to_scratch(struct compiler *c, struct value *n, unsigned bits, int32_t more) {
    target_move(c, SCRATCH, n);
    x64_alu_ri(&c->p, 0, X64_AND, SCRATCH, (int32_t)bits - 1);
    if (more) x64_alu_ri(&c->p, 0, X64_ADD, SCRATCH, more);
    v_rr(c, MOVD_TO, S, 0, SCRATCH);
}

static void shift(struct compiler *c, uint32_t in, unsigned bits, uint8_t d, uint8_t a, struct value *n) {
    if (is_imm(n)) {
        v_shift(c, in, d, a, (uint8_t)(n->imm & (bits - 1)));
        return;
    }
    count_to_scratch(c, n, bits, 0);
    v2(c, in, d, a, S);
}

/* As words, and what came from the neighbour masked. */
static void shift_bytes(struct compiler *c, bool left, uint8_t d, uint8_t a, struct value *n, uint8_t t) {
    uint32_t in = left ? PSLLW : PSRLW;
    if (is_imm(n)) {
        unsigned k = n->imm & 7;
        v_shift(c, in, d, a, (uint8_t)k);
        if (k) v2kk(c, PAND, d, d, BYTES((uint64_t)(uint8_t)(left ? 0xff << k : 0xff >> k)));
        return;
    }
    count_to_scratch(c, n, 8, 0);
    v_ones(c, t);
    v2(c, in, t, t, S);
    if (!left) v_shift(c, PSRLW, t, t, 8);
    v2(c, in, d, a, S);
    v_zero(c, S);
    v2(c, PSHUFB, t, t, S);
    v2(c, PAND, d, d, t);
}

/* In the upper halves of words. */
static void shift_bytes_signed(struct compiler *c, uint8_t d, uint8_t a, struct value *n, uint8_t t) {
    bool imm = is_imm(n);
    uint8_t k = (uint8_t)((n->imm & 7) + 8);
    if (!imm) count_to_scratch(c, n, 8, 8);
    v2(c, PUNPCKLBW, t, a, a);
    v2(c, PUNPCKHBW, d, a, a);
    if (imm) {
        v_shift(c, PSRAW, t, t, k);
        v_shift(c, PSRAW, d, d, k);
    } else {
        v2(c, PSRAW, t, t, S);
        v2(c, PSRAW, d, d, S);
    }
    v2(c, PACKSSWB, d, t, d);
}

/* Without sign, then the sign's bit spread: (x ^ m) - m. */
static void shift_64_signed(struct compiler *c, uint8_t d, uint8_t a, struct value *n, uint8_t t) {
    if (is_imm(n)) {
        uint64_t m = 1ull << 63 >> (n->imm & 63);
        v_shift(c, PSRLQ, d, a, (uint8_t)(n->imm & 63));
        v2kk(c, PXOR, d, d, m);
        v2kk(c, PSUBQ, d, d, m);
        return;
    }
    count_to_scratch(c, n, 64, 0);
    v_constant(c, t, 1ull << 63, 1ull << 63);
    v2(c, PSRLQ, t, t, S);
    v2(c, PSRLQ, d, a, S);
    v2(c, PXOR, d, d, t);
    v2(c, PSUBQ, d, d, t);
}

void target_simd_shift(struct compiler *c, uint32_t op, uint8_t d, struct value *a, struct value *n, uint8_t t) {
    uint8_t s = reg_of(c, a);
    switch (op) {
    case WASM_OP_I8X16_SHL: shift_bytes(c, true, d, s, n, t); break;
    case WASM_OP_I8X16_SHR_U: shift_bytes(c, false, d, s, n, t); break;
    case WASM_OP_I8X16_SHR_S: shift_bytes_signed(c, d, s, n, t); break;
    case WASM_OP_I16X8_SHL: shift(c, PSLLW, 16, d, s, n); break;
    case WASM_OP_I16X8_SHR_S: shift(c, PSRAW, 16, d, s, n); break;
    case WASM_OP_I16X8_SHR_U: shift(c, PSRLW, 16, d, s, n); break;
    case WASM_OP_I32X4_SHL: shift(c, PSLLD, 32, d, s, n); break;
    case WASM_OP_I32X4_SHR_S: shift(c, PSRAD, 32, d, s, n); break;
    case WASM_OP_I32X4_SHR_U: shift(c, PSRLD, 32, d, s, n); break;
    case WASM_OP_I64X2_SHL: shift(c, PSLLQ, 64, d, s, n); break;
    case WASM_OP_I64X2_SHR_U: shift(c, PSRLQ, 64, d, s, n); break;
    default: shift_64_signed(c, d, s, n, t); break;
    }
}

/* ---- tests ---- */

uint8_t target_simd_test(struct compiler *c, uint32_t op, struct value *a) {
    uint8_t s = reg_of(c, a);
    if (op == WASM_OP_V128_ANY_TRUE) {
        v_rr(c, PTEST, s, 0, s);
        return CC_NE;
    }
    uint32_t in = op == WASM_OP_I8X16_ALL_TRUE   ? PCMPEQB
                  : op == WASM_OP_I16X8_ALL_TRUE ? PCMPEQW
                  : op == WASM_OP_I32X4_ALL_TRUE ? PCMPEQD
                                                 : PCMPEQQ;
    v_zero(c, S);
    v2(c, in, S, S, s);
    v_rr(c, PTEST, S, 0, S);
    return CC_E;
}

void target_simd_bitmask(struct compiler *c, uint32_t op, uint8_t d, struct value *a) {
    uint8_t s = reg_of(c, a);
    switch (op) {
    case WASM_OP_I8X16_BITMASK: v1(c, PMOVMSKB, d, s); break;
    case WASM_OP_I32X4_BITMASK: v1(c, MOVMSKPS, d, s); break;
    case WASM_OP_I64X2_BITMASK: v1(c, MOVMSKPD, d, s); break;
    default: /* i16x8 */
        v2(c, PACKSSWB, S, s, s);
        v1(c, PMOVMSKB, d, S);
        x64_movzx8(&c->p, d, d);
        break;
    }
}
