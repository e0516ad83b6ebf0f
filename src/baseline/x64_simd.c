/* x64_simd: how vector instructions are encoded, and the table of those that have only vectors as operands: one row each, where
 * one machine instruction is enough, or what makes the sequence. */
#include "baseline/x64_simd.h"

/* ---- encoding ---- */

static inline uint8_t prefix_of(uint32_t in) { return (uint8_t)(in >> 16); }
static inline unsigned map_of(uint32_t in) { return in >> 8 & 0xff; }
static inline unsigned w_of(uint32_t in) { return in >> 24; }

static uint8_t *legacy_opcode(uint8_t *p, uint32_t in) {
    *p++ = 0x0f;
    if (map_of(in) == 2) *p++ = 0x38;
    if (map_of(in) == 3) *p++ = 0x3a;
    *p++ = (uint8_t)in;
    return p;
}

void v_rr(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, uint8_t s) {
    if (has_avx(c)) {
        x64_vex_rr(&c->p, vex_pp(prefix_of(in)), map_of(in), w_of(in), (uint8_t)in, d, a, s);
        return;
    }
    uint8_t *p = x64_sse_prefix(c->p, prefix_of(in));
    p = x64_rex(p, w_of(in), d, 0, s);
    c->p = x64_modrm_rr(legacy_opcode(p, in), d, s);
}

void v_rm(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, struct x64_mem m) {
    if (has_avx(c)) {
        x64_vex_rm(&c->p, vex_pp(prefix_of(in)), map_of(in), w_of(in), (uint8_t)in, d, a, m);
        return;
    }
    uint8_t *p = x64_prefix_mem(c->p, m);
    p = x64_sse_prefix(p, prefix_of(in));
    p = x64_rex(p, w_of(in), d, x64_bits(x64_index(m)), x64_bits(x64_base(m)));
    c->p = x64_modrm_mem(legacy_opcode(p, in), d, m);
}

void v_rk(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, const uint64_t k[2], int imm) {
    if (has_avx(c)) {
        c->p = x64_vex(c->p, vex_pp(prefix_of(in)), map_of(in), w_of(in), d, a, 0, 0);
        *c->p++ = (uint8_t)in;
    } else {
        c->p = x64_sse_prefix(c->p, prefix_of(in));
        c->p = x64_rex(c->p, w_of(in), d, 0, 0);
        c->p = legacy_opcode(c->p, in);
    }
    c->p = x64_modrm_rip(c->p, d) + 4;
    uint32_t at = code_at(c) - 4;
    if (imm >= 0) *c->p++ = (uint8_t)imm;
    struct pool16_use use = {at, code_at(c), {k[0], k[1]}};
    vec_push(c->arena, &c->pool16, use);
}

void v2_imm(struct compiler *c, uint32_t in, uint8_t d, uint8_t a, uint8_t s, int imm) {
    uint8_t to = d;
    if (!has_avx(c)) {
        if (d == s && d != a) to = S;
        v_move(c, to, a);
    }
    v_rr(c, in, to, a, s);
    if (imm >= 0) *c->p++ = (uint8_t)imm;
    if (to != d) v_move(c, d, to);
}

void v_shift(struct compiler *c, uint32_t in, uint8_t d, uint8_t s, uint8_t n) {
    static const uint8_t group[] = {[0xd] = 2, [0xe] = 4, [0xf] = 6}; /* right, right with sign, left */
    uint32_t by_imm = VI(0x66, 1, 0x70 | (in & 3));
    if (!has_avx(c)) v_move(c, d, s), s = d;
    v_rr(c, by_imm, group[in >> 4 & 15], d, s);
    *c->p++ = n;
}

/* ---- the constants of a function, behind it ---- */

void x64_put_pool16(struct compiler *c) {
    if (!c->pool16.n) return;
    code_reserve(c, c->pool16.n * 16 + 32);
    while (code_at(c) & 15) *c->p++ = 0xcc;
    uint32_t start = code_at(c);
    for (uint32_t i = 0; i < c->pool16.n; i++) {
        const struct pool16_use *u = &c->pool16.p[i];
        uint32_t entries = (code_at(c) - start) / 16, where = code_at(c);
        for (uint32_t j = entries; j-- > (entries > 16 ? entries - 16 : 0);)
            if (memcmp(c->text + start + j * 16, u->v, 16) == 0) {
                where = start + j * 16;
                break;
            }
        if (where == code_at(c)) {
            memcpy(c->p, u->v, 16);
            c->p += 16;
        }
        x64_put32(c->text + u->at, where - u->base);
    }
    c->pool16.n = 0;
}

void x64_move_v128(struct compiler *c, uint8_t d, const struct value *v) {
    uint64_t k[2];
    v128_bits(v, k);
    if ((k[0] | k[1]) == 0) v_zero(c, d);
    else if ((k[0] & k[1]) == UINT64_MAX) v_ones(c, d);
    else v_constant(c, d, k[0], k[1]);
}

/* ---- one machine instruction ---- */

static void one_source(struct compiler *c, const struct simd_row *row, uint8_t d, struct value *a) {
    uint8_t s = reg_of(c, a);
    if (s == NO_REG) {
        target_move(c, d, a);
        s = d;
    }
    v_rr(c, row->insn, d, 0, s);
    if (row->flags & HAS_IMM) *c->p++ = row->imm;
}

static void two_sources(struct compiler *c, const struct simd_row *row, uint8_t d, struct value *a, struct value *b) {
    uint8_t ra = reg_of(c, a), rb = reg_of(c, b);
    int imm = row->flags & HAS_IMM ? row->imm : -1;
    if (row->flags & COMMUTES && (is_imm(a) || (ra == NO_REG && rb != NO_REG) || (rb == d && ra != d))) {
        struct value *v = a;
        a = b, b = v;
        ra = reg_of(c, a), rb = reg_of(c, b);
    }
    if (ra == NO_REG || !has_avx(c)) {
        if (rb == d && ra != d) {
            v_move(c, S, d);
            rb = S;
        }
        target_move(c, d, a);
        ra = d;
    }
    if (rb == NO_REG && is_imm(b)) {
        uint64_t k[2];
        v128_bits(b, k);
        v_rk(c, row->insn, d, ra, k, imm);
        return;
    }
    if (rb == NO_REG && !has_avx(c)) {
        target_move(c, S, b);
        rb = S;
    }
    if (rb != NO_REG) {
        v_rr(c, row->insn, d, ra, rb);
    } else {
        mem_site(c, b);
        v_rm(c, row->insn, d, ra, mem_of(c, b));
    }
    if (imm >= 0) *c->p++ = (uint8_t)imm;
}

/* ---- the table ---- */

#define ROW(op, ...) [WASM_OP_##op - WASM_BASE_FD] = {__VA_ARGS__}
#define ONE(op, in) ROW(op, .insn = in)
#define BOTH(op, in) ROW(op, .insn = in, .flags = COMMUTES)
#define SWAPPED(op, in) ROW(op, .insn = in, .flags = SWAPS)
#define WITH(op, in, i) ROW(op, .insn = in, .flags = HAS_IMM, .imm = i)
#define SEQ(op, name, ...) ROW(op, .emit = name, __VA_ARGS__)
/* Comparisons of integers: `eq`, `gt`, and min and max of signed and unsigned numbers. */
#define COMPARES(shape, eq, gt)                                                                                                  \
    BOTH(shape##_EQ, eq), SEQ(shape##_NE, simd_inverse, .insn = eq), ONE(shape##_GT_S, gt), SWAPPED(shape##_LT_S, gt)
#define ORDERS(shape, eq, min_s, max_s, min_u, max_u)                                                                            \
    SEQ(shape##_LE_S, simd_equals_first, .insn = min_s, .insn2 = eq),                                                            \
        SEQ(shape##_GE_S, simd_equals_first, .insn = max_s, .insn2 = eq),                                                        \
        SEQ(shape##_LE_U, simd_equals_first, .insn = min_u, .insn2 = eq),                                                        \
        SEQ(shape##_GE_U, simd_equals_first, .insn = max_u, .insn2 = eq),                                                        \
        SEQ(shape##_LT_U, simd_differs_from_first, .insn = max_u, .insn2 = eq),                                                  \
        SEQ(shape##_GT_U, simd_differs_from_first, .insn = min_u, .insn2 = eq), BOTH(shape##_MIN_S, min_s),                      \
        BOTH(shape##_MAX_S, max_s), BOTH(shape##_MIN_U, min_u), BOTH(shape##_MAX_U, max_u)
#define FLOATS(shape, pd)                                                                                                        \
    ROW(shape##_EQ, .insn = CMPPS | pd, .flags = HAS_IMM | COMMUTES, .imm = 0),                                                  \
        ROW(shape##_NE, .insn = CMPPS | pd, .flags = HAS_IMM | COMMUTES, .imm = 4), WITH(shape##_LT, CMPPS | pd, 1),             \
        ROW(shape##_GT, .insn = CMPPS | pd, .flags = HAS_IMM | SWAPS, .imm = 1), WITH(shape##_LE, CMPPS | pd, 2),                \
        ROW(shape##_GE, .insn = CMPPS | pd, .flags = HAS_IMM | SWAPS, .imm = 2), BOTH(shape##_ADD, ADDPS | pd),                  \
        ONE(shape##_SUB, SUBPS | pd), BOTH(shape##_MUL, MULPS | pd), ONE(shape##_DIV, DIVPS | pd),                               \
        SEQ(shape##_MIN, simd_fmin, .insn = MINPS | pd, .temps = 1),                                                             \
        SEQ(shape##_MAX, simd_fmax, .insn = MAXPS | pd, .temps = 1), SWAPPED(shape##_PMIN, MINPS | pd),                          \
        SWAPPED(shape##_PMAX, MAXPS | pd), ONE(shape##_RELAXED_MIN, MINPS | pd), ONE(shape##_RELAXED_MAX, MAXPS | pd),           \
        ONE(shape##_SQRT, SQRTPS | pd), SEQ(shape##_ABS, simd_fabs, .insn = ANDPS | pd),                                         \
        SEQ(shape##_NEG, simd_fneg, .insn = XORPS | pd), WITH(shape##_CEIL, ROUNDPS + (pd ? 1 : 0), 10),                         \
        WITH(shape##_FLOOR, ROUNDPS + (pd ? 1 : 0), 9), WITH(shape##_TRUNC, ROUNDPS + (pd ? 1 : 0), 11),                         \
        WITH(shape##_NEAREST, ROUNDPS + (pd ? 1 : 0), 8), SEQ(shape##_RELAXED_MADD, simd_madd, .insn = pd),                      \
        SEQ(shape##_RELAXED_NMADD, simd_nmadd, .insn = pd)
#define EXTENDS(wide, narrow, sx, zx)                                                                                            \
    ONE(wide##_EXTEND_LOW_##narrow##_S, sx), ONE(wide##_EXTEND_LOW_##narrow##_U, zx),                                            \
        SEQ(wide##_EXTEND_HIGH_##narrow##_S, simd_extend_high, .insn = sx),                                                      \
        SEQ(wide##_EXTEND_HIGH_##narrow##_U, simd_extend_high, .insn = zx)

static const struct simd_row rows[WASM_OPS_END - WASM_BASE_FD] = {
    SEQ(V128_NOT, simd_not),
    BOTH(V128_AND, PAND),
    SWAPPED(V128_ANDNOT, PANDN),
    BOTH(V128_OR, POR),
    BOTH(V128_XOR, PXOR),
    SEQ(V128_BITSELECT, simd_bitselect),
    SEQ(I8X16_SWIZZLE, simd_swizzle),
    ONE(I8X16_RELAXED_SWIZZLE, PSHUFB),
    SEQ(I8X16_RELAXED_LANESELECT, simd_blend, .insn = PBLENDVB),
    SEQ(I16X8_RELAXED_LANESELECT, simd_bitselect),
    SEQ(I32X4_RELAXED_LANESELECT, simd_blend, .insn = BLENDVPS),
    SEQ(I64X2_RELAXED_LANESELECT, simd_blend, .insn = BLENDVPD),

    COMPARES(I8X16, PCMPEQB, PCMPGTB),
    COMPARES(I16X8, PCMPEQW, PCMPGTW),
    COMPARES(I32X4, PCMPEQD, PCMPGTD),
    COMPARES(I64X2, PCMPEQQ, PCMPGTQ),
    ORDERS(I8X16, PCMPEQB, PMINSB, PMAXSB, PMINUB, PMAXUB),
    ORDERS(I16X8, PCMPEQW, PMINSW, PMAXSW, PMINUW, PMAXUW),
    ORDERS(I32X4, PCMPEQD, PMINSD, PMAXSD, PMINUD, PMAXUD),
    SEQ(I64X2_LE_S, simd_inverse, .insn = PCMPGTQ),
    SEQ(I64X2_GE_S, simd_inverse, .insn = PCMPGTQ, .flags = SWAPS),

    ONE(I8X16_ABS, PABSB),
    SEQ(I8X16_NEG, simd_neg, .insn = PSUBB),
    SEQ(I8X16_POPCNT, simd_popcnt, .temps = 1),
    ONE(I8X16_NARROW_I16X8_S, PACKSSWB),
    ONE(I8X16_NARROW_I16X8_U, PACKUSWB),
    BOTH(I8X16_ADD, PADDB),
    BOTH(I8X16_ADD_SAT_S, PADDSB),
    BOTH(I8X16_ADD_SAT_U, PADDUSB),
    ONE(I8X16_SUB, PSUBB),
    ONE(I8X16_SUB_SAT_S, PSUBSB),
    ONE(I8X16_SUB_SAT_U, PSUBUSB),
    BOTH(I8X16_AVGR_U, PAVGB),

    SEQ(I16X8_EXTADD_PAIRWISE_I8X16_S, simd_extadd_8s),
    SEQ(I16X8_EXTADD_PAIRWISE_I8X16_U, simd_extadd_8u),
    ONE(I16X8_ABS, PABSW),
    SEQ(I16X8_NEG, simd_neg, .insn = PSUBW),
    SEQ(I16X8_Q15MULR_SAT_S, simd_q15mulr),
    BOTH(I16X8_RELAXED_Q15MULR_S, PMULHRSW),
    ONE(I16X8_NARROW_I32X4_S, PACKSSDW),
    ONE(I16X8_NARROW_I32X4_U, PACKUSDW),
    EXTENDS(I16X8, I8X16, PMOVSXBW, PMOVZXBW),
    BOTH(I16X8_ADD, PADDW),
    BOTH(I16X8_ADD_SAT_S, PADDSW),
    BOTH(I16X8_ADD_SAT_U, PADDUSW),
    ONE(I16X8_SUB, PSUBW),
    ONE(I16X8_SUB_SAT_S, PSUBSW),
    ONE(I16X8_SUB_SAT_U, PSUBUSW),
    BOTH(I16X8_MUL, PMULLW),
    BOTH(I16X8_AVGR_U, PAVGW),
    SEQ(I16X8_EXTMUL_LOW_I8X16_S, simd_extmul_8, .insn = PMOVSXBW),
    SEQ(I16X8_EXTMUL_HIGH_I8X16_S, simd_extmul_8, .insn = PMOVSXBW, .imm = 1),
    SEQ(I16X8_EXTMUL_LOW_I8X16_U, simd_extmul_8, .insn = PMOVZXBW),
    SEQ(I16X8_EXTMUL_HIGH_I8X16_U, simd_extmul_8, .insn = PMOVZXBW, .imm = 1),
    SWAPPED(I16X8_RELAXED_DOT_I8X16_I7X16_S, PMADDUBSW), /* what is unsigned comes first */

    SEQ(I32X4_EXTADD_PAIRWISE_I16X8_S, simd_extadd_16s),
    SEQ(I32X4_EXTADD_PAIRWISE_I16X8_U, simd_extadd_16u),
    ONE(I32X4_ABS, PABSD),
    SEQ(I32X4_NEG, simd_neg, .insn = PSUBD),
    EXTENDS(I32X4, I16X8, PMOVSXWD, PMOVZXWD),
    BOTH(I32X4_ADD, PADDD),
    ONE(I32X4_SUB, PSUBD),
    BOTH(I32X4_MUL, PMULLD),
    BOTH(I32X4_DOT_I16X8_S, PMADDWD),
    SEQ(I32X4_EXTMUL_LOW_I16X8_S, simd_extmul_16, .insn = PMULHW, .insn2 = PUNPCKLWD),
    SEQ(I32X4_EXTMUL_HIGH_I16X8_S, simd_extmul_16, .insn = PMULHW, .insn2 = PUNPCKHWD),
    SEQ(I32X4_EXTMUL_LOW_I16X8_U, simd_extmul_16, .insn = PMULHUW, .insn2 = PUNPCKLWD),
    SEQ(I32X4_EXTMUL_HIGH_I16X8_U, simd_extmul_16, .insn = PMULHUW, .insn2 = PUNPCKHWD),
    SEQ(I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S, simd_dot_add),

    SEQ(I64X2_ABS, simd_abs64),
    SEQ(I64X2_NEG, simd_neg, .insn = PSUBQ),
    EXTENDS(I64X2, I32X4, PMOVSXDQ, PMOVZXDQ),
    BOTH(I64X2_ADD, PADDQ),
    ONE(I64X2_SUB, PSUBQ),
    SEQ(I64X2_MUL, simd_mul64, .temps = 1),
    SEQ(I64X2_EXTMUL_LOW_I32X4_S, simd_extmul_32, .insn = PMULDQ, .imm = 0x50),
    SEQ(I64X2_EXTMUL_HIGH_I32X4_S, simd_extmul_32, .insn = PMULDQ, .imm = 0xfa),
    SEQ(I64X2_EXTMUL_LOW_I32X4_U, simd_extmul_32, .insn = PMULUDQ, .imm = 0x50),
    SEQ(I64X2_EXTMUL_HIGH_I32X4_U, simd_extmul_32, .insn = PMULUDQ, .imm = 0xfa),

    FLOATS(F32X4, 0),
    FLOATS(F64X2, PD),
    SEQ(I32X4_TRUNC_SAT_F32X4_S, simd_trunc_f32_s),
    SEQ(I32X4_TRUNC_SAT_F32X4_U, simd_trunc_f32_u, .temps = 1),
    SEQ(I32X4_TRUNC_SAT_F64X2_S_ZERO, simd_trunc_f64_s),
    SEQ(I32X4_TRUNC_SAT_F64X2_U_ZERO, simd_trunc_f64_u),
    ONE(I32X4_RELAXED_TRUNC_F32X4_S, CVTTPS2DQ),
    SEQ(I32X4_RELAXED_TRUNC_F32X4_U, simd_trunc_f32_u, .temps = 1),
    ONE(I32X4_RELAXED_TRUNC_F64X2_S_ZERO, CVTTPD2DQ),
    SEQ(I32X4_RELAXED_TRUNC_F64X2_U_ZERO, simd_trunc_f64_u),
    ONE(F32X4_CONVERT_I32X4_S, CVTDQ2PS),
    SEQ(F32X4_CONVERT_I32X4_U, simd_convert_f32_u),
    ONE(F64X2_CONVERT_LOW_I32X4_S, CVTDQ2PD),
    SEQ(F64X2_CONVERT_LOW_I32X4_U, simd_convert_f64_u),
    ONE(F32X4_DEMOTE_F64X2_ZERO, CVTPD2PS),
    ONE(F64X2_PROMOTE_LOW_F32X4, CVTPS2PD),
};

unsigned target_simd_temps(uint32_t op) {
    const struct simd_row *row = &rows[op - WASM_BASE_FD];
    return row->emit ? row->temps : SIMD_NO_REGS;
}

bool target_simd_folds(const struct compiler *c, uint32_t op) {
    const struct simd_row *row = &rows[op - WASM_BASE_FD];
    return has_avx(c) && row->insn && !row->emit;
}

void target_simd(struct compiler *c, uint32_t op, unsigned n, uint8_t d, struct value *v, const uint8_t *t) {
    const struct simd_row *row = &rows[op - WASM_BASE_FD];
    if (row->emit) {
        uint8_t r[3];
        for (unsigned i = 0; i < n; i++) r[i] = reg_of(c, &v[i]);
        row->emit(c, row, d, r, t);
    } else if (n == 1) {
        one_source(c, row, d, &v[0]);
    } else {
        bool swap = row->flags & SWAPS;
        two_sources(c, row, d, &v[swap], &v[!swap]);
    }
}
