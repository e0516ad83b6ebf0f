/* arm64_simd: the table of vector instructions that have only vectors as operands: one row each, where one machine instruction is
 * enough, or what makes the sequence. Operands are in registers. */
#include "baseline/arm64_simd.h"

struct simd_row {
    uint32_t insn;
    /* A sequence: operands are in registers r, d may be any of them. NULL: insn alone. */
    void (*emit)(struct compiler *c, const struct simd_row *row, uint8_t d, const uint8_t *r);
    uint32_t insn2;
    bool swaps; /* wasm's operands are the machine's, the other way round */
};
#define SEQUENCE(name) static void name(struct compiler *c, const struct simd_row *row, uint8_t d, const uint8_t *r)

SEQUENCE(inverse) {
    v2(c, row->insn, d, r[0], r[1]);
    v1(c, NEON_NOT, d, d);
}

/* ---- bits ---- */

SEQUENCE(bitselect) {
    (void)row;
    if (d == r[0]) {
        v2(c, NEON_BIF, d, r[1], r[2]);
    } else if (d == r[1]) {
        v2(c, NEON_BIT, d, r[0], r[2]);
    } else {
        v_move(c, d, r[2]);
        v2(c, NEON_BSL, d, r[0], r[1]);
    }
}

/* ---- integers ---- */

SEQUENCE(narrow) {
    uint8_t to = d == r[1] ? VS : d;
    v1(c, row->insn, to, r[0]);
    v1(c, row->insn | NEON_2, to, r[1]);
    v_move(c, d, to);
}

SEQUENCE(mul64) { /* low * low + (high * low + low * high << 32) */
    (void)row;
    v1(c, neon_size(NEON_REV64, 2), VS, r[1]);
    v2(c, neon_size(NEON_MUL, 2), VS, VS, r[0]);
    v1(c, neon_size(NEON_UADDLP, 2), VS, VS);
    v1(c, NEON_SHL | 96u << 16, VS, VS);
    v1(c, neon_size(NEON_XTN, 2), VS + 1, r[0]);
    v1(c, neon_size(NEON_XTN, 2), VS + 2, r[1]);
    v2(c, neon_size(NEON_UMLAL, 2), VS, VS + 1, VS + 2);
    v_move(c, d, VS);
}

/* insn: the product of the lower halves, insn2: the sum of neighbours. */
SEQUENCE(dot) {
    v2(c, row->insn, VS, r[0], r[1]);
    v2(c, row->insn | NEON_2, VS + 1, r[0], r[1]);
    v2(c, row->insn2, d, VS, VS + 1);
}

SEQUENCE(dot_add) {
    v2(c, row->insn, VS, r[0], r[1]);
    v2(c, row->insn | NEON_2, VS + 1, r[0], r[1]);
    v2(c, row->insn2, VS, VS, VS + 1);
    v1(c, neon_size(NEON_SADDLP, 1), VS, VS);
    v2(c, neon_size(NEON_ADD, 2), d, VS, r[2]);
}

/* ---- floating point ---- */

SEQUENCE(pseudo) { /* insn compares: where it holds the second, else the first */
    v2(c, row->insn, VS, r[row->swaps], r[!row->swaps]);
    v2(c, NEON_BSL, VS, r[1], r[0]);
    v_move(c, d, VS);
}

SEQUENCE(fused) {
    uint8_t to = d == r[2] ? d : VS;
    v_move(c, to, r[2]);
    v2(c, row->insn, to, r[0], r[1]);
    v_move(c, d, to);
}

SEQUENCE(then) { /* insn2 of insn */
    v1(c, row->insn, VS, r[0]);
    v1(c, row->insn2, d, VS);
}

/* ---- the table ---- */

#define ROW(op, ...) [WASM_OP_##op - WASM_BASE_FD] = {__VA_ARGS__}
#define ONE(op, in) ROW(op, .insn = in)
#define SWAPPED(op, in) ROW(op, .insn = in, .swaps = true)
#define SEQ(op, name, ...) ROW(op, .emit = name, __VA_ARGS__)
#define SIZED(in, log2) ((in) | (log2) << 22)
#define SIGNED_ORDERS(shape, n)                                                                                                  \
    ONE(shape##_EQ, SIZED(NEON_CMEQ, n)), SEQ(shape##_NE, inverse, .insn = SIZED(NEON_CMEQ, n)),                                 \
        ONE(shape##_GT_S, SIZED(NEON_CMGT, n)), ONE(shape##_GE_S, SIZED(NEON_CMGE, n)),                                          \
        SWAPPED(shape##_LT_S, SIZED(NEON_CMGT, n)), SWAPPED(shape##_LE_S, SIZED(NEON_CMGE, n)),                                  \
        ONE(shape##_ADD, SIZED(NEON_ADD, n)), ONE(shape##_SUB, SIZED(NEON_SUB, n)), ONE(shape##_ABS, SIZED(NEON_ABS, n)),        \
        ONE(shape##_NEG, SIZED(NEON_NEG, n))
#define ORDERS(shape, n)                                                                                                         \
    SIGNED_ORDERS(shape, n), ONE(shape##_GT_U, SIZED(NEON_CMHI, n)), ONE(shape##_GE_U, SIZED(NEON_CMHS, n)),                     \
        SWAPPED(shape##_LT_U, SIZED(NEON_CMHI, n)), SWAPPED(shape##_LE_U, SIZED(NEON_CMHS, n)),                                  \
        ONE(shape##_MIN_S, SIZED(NEON_SMIN, n)), ONE(shape##_MAX_S, SIZED(NEON_SMAX, n)),                                        \
        ONE(shape##_MIN_U, SIZED(NEON_UMIN, n)), ONE(shape##_MAX_U, SIZED(NEON_UMAX, n))
#define SATURATES(shape, n)                                                                                                      \
    ONE(shape##_ADD_SAT_S, SIZED(NEON_SQADD, n)), ONE(shape##_ADD_SAT_U, SIZED(NEON_UQADD, n)),                                  \
        ONE(shape##_SUB_SAT_S, SIZED(NEON_SQSUB, n)), ONE(shape##_SUB_SAT_U, SIZED(NEON_UQSUB, n)),                              \
        ONE(shape##_AVGR_U, SIZED(NEON_URHADD, n))
#define WIDENS(wide, narrow, n) /* n of the narrow shape */                                                                      \
    ONE(wide##_EXTEND_LOW_##narrow##_S, NEON_SXTL | 8 << (n) << 16),                                                             \
        ONE(wide##_EXTEND_LOW_##narrow##_U, NEON_UXTL | 8 << (n) << 16),                                                         \
        ONE(wide##_EXTEND_HIGH_##narrow##_S, NEON_SXTL | NEON_2 | 8 << (n) << 16),                                               \
        ONE(wide##_EXTEND_HIGH_##narrow##_U, NEON_UXTL | NEON_2 | 8 << (n) << 16),                                               \
        ONE(wide##_EXTMUL_LOW_##narrow##_S, SIZED(NEON_SMULL, n)), ONE(wide##_EXTMUL_LOW_##narrow##_U, SIZED(NEON_UMULL, n)),    \
        ONE(wide##_EXTMUL_HIGH_##narrow##_S, SIZED(NEON_SMULL | NEON_2, n)),                                                     \
        ONE(wide##_EXTMUL_HIGH_##narrow##_U, SIZED(NEON_UMULL | NEON_2, n))
#define FLOATS(shape, d)                                                                                                         \
    ONE(shape##_EQ, NEON_FCMEQ | d), SEQ(shape##_NE, inverse, .insn = NEON_FCMEQ | d), ONE(shape##_GT, NEON_FCMGT | d),          \
        ONE(shape##_GE, NEON_FCMGE | d), SWAPPED(shape##_LT, NEON_FCMGT | d), SWAPPED(shape##_LE, NEON_FCMGE | d),               \
        ONE(shape##_ADD, NEON_FADD | d), ONE(shape##_SUB, NEON_FSUB | d), ONE(shape##_MUL, NEON_FMUL | d),                       \
        ONE(shape##_DIV, NEON_FDIV | d), ONE(shape##_MIN, NEON_FMIN | d), ONE(shape##_MAX, NEON_FMAX | d),                       \
        ONE(shape##_RELAXED_MIN, NEON_FMIN | d), ONE(shape##_RELAXED_MAX, NEON_FMAX | d),                                        \
        SEQ(shape##_PMIN, pseudo, .insn = NEON_FCMGT | d), SEQ(shape##_PMAX, pseudo, .insn = NEON_FCMGT | d, .swaps = true),     \
        ONE(shape##_ABS, NEON_FABS | d), ONE(shape##_NEG, NEON_FNEG | d), ONE(shape##_SQRT, NEON_FSQRT | d),                     \
        ONE(shape##_CEIL, NEON_FRINTP | d), ONE(shape##_FLOOR, NEON_FRINTM | d), ONE(shape##_TRUNC, NEON_FRINTZ | d),            \
        ONE(shape##_NEAREST, NEON_FRINTN | d), SEQ(shape##_RELAXED_MADD, fused, .insn = NEON_FMLA | d),                          \
        SEQ(shape##_RELAXED_NMADD, fused, .insn = NEON_FMLS | d)

static const struct simd_row rows[WASM_OPS_END - WASM_BASE_FD] = {
    ONE(V128_NOT, NEON_NOT),
    ONE(V128_AND, NEON_AND),
    ONE(V128_ANDNOT, NEON_BIC),
    ONE(V128_OR, NEON_ORR),
    ONE(V128_XOR, NEON_EOR),
    SEQ(V128_BITSELECT, bitselect),
    SEQ(I8X16_RELAXED_LANESELECT, bitselect),
    SEQ(I16X8_RELAXED_LANESELECT, bitselect),
    SEQ(I32X4_RELAXED_LANESELECT, bitselect),
    SEQ(I64X2_RELAXED_LANESELECT, bitselect),
    ONE(I8X16_SWIZZLE, NEON_TBL),
    ONE(I8X16_RELAXED_SWIZZLE, NEON_TBL),

    ORDERS(I8X16, 0),
    ORDERS(I16X8, 1),
    ORDERS(I32X4, 2),
    SIGNED_ORDERS(I64X2, 3),
    SATURATES(I8X16, 0),
    SATURATES(I16X8, 1),
    WIDENS(I16X8, I8X16, 0),
    WIDENS(I32X4, I16X8, 1),
    WIDENS(I64X2, I32X4, 2),
    ONE(I16X8_MUL, SIZED(NEON_MUL, 1)),
    ONE(I32X4_MUL, SIZED(NEON_MUL, 2)),
    SEQ(I64X2_MUL, mul64),
    ONE(I8X16_POPCNT, NEON_CNT),
    SEQ(I8X16_NARROW_I16X8_S, narrow, .insn = SIZED(NEON_SQXTN, 0)),
    SEQ(I8X16_NARROW_I16X8_U, narrow, .insn = SIZED(NEON_SQXTUN, 0)),
    SEQ(I16X8_NARROW_I32X4_S, narrow, .insn = SIZED(NEON_SQXTN, 1)),
    SEQ(I16X8_NARROW_I32X4_U, narrow, .insn = SIZED(NEON_SQXTUN, 1)),
    ONE(I16X8_EXTADD_PAIRWISE_I8X16_S, SIZED(NEON_SADDLP, 0)),
    ONE(I16X8_EXTADD_PAIRWISE_I8X16_U, SIZED(NEON_UADDLP, 0)),
    ONE(I32X4_EXTADD_PAIRWISE_I16X8_S, SIZED(NEON_SADDLP, 1)),
    ONE(I32X4_EXTADD_PAIRWISE_I16X8_U, SIZED(NEON_UADDLP, 1)),
    ONE(I16X8_Q15MULR_SAT_S, SIZED(NEON_SQRDMULH, 1)),
    ONE(I16X8_RELAXED_Q15MULR_S, SIZED(NEON_SQRDMULH, 1)),
    SEQ(I32X4_DOT_I16X8_S, dot, .insn = SIZED(NEON_SMULL, 1), .insn2 = SIZED(NEON_ADDP, 2)),
    SEQ(I16X8_RELAXED_DOT_I8X16_I7X16_S, dot, .insn = SIZED(NEON_SMULL, 0), .insn2 = SIZED(NEON_ADDP, 1)),
    SEQ(I32X4_RELAXED_DOT_I8X16_I7X16_ADD_S, dot_add, .insn = SIZED(NEON_SMULL, 0), .insn2 = SIZED(NEON_ADDP, 1)),

    FLOATS(F32X4, 0),
    FLOATS(F64X2, NEON_D),
    ONE(I32X4_TRUNC_SAT_F32X4_S, NEON_FCVTZS),
    ONE(I32X4_TRUNC_SAT_F32X4_U, NEON_FCVTZU),
    ONE(I32X4_RELAXED_TRUNC_F32X4_S, NEON_FCVTZS),
    ONE(I32X4_RELAXED_TRUNC_F32X4_U, NEON_FCVTZU),
    SEQ(I32X4_TRUNC_SAT_F64X2_S_ZERO, then, .insn = NEON_FCVTZS | NEON_D, .insn2 = SIZED(NEON_SQXTN, 2)),
    SEQ(I32X4_TRUNC_SAT_F64X2_U_ZERO, then, .insn = NEON_FCVTZU | NEON_D, .insn2 = SIZED(NEON_UQXTN, 2)),
    SEQ(I32X4_RELAXED_TRUNC_F64X2_S_ZERO, then, .insn = NEON_FCVTZS | NEON_D, .insn2 = SIZED(NEON_SQXTN, 2)),
    SEQ(I32X4_RELAXED_TRUNC_F64X2_U_ZERO, then, .insn = NEON_FCVTZU | NEON_D, .insn2 = SIZED(NEON_UQXTN, 2)),
    ONE(F32X4_CONVERT_I32X4_S, NEON_SCVTF),
    ONE(F32X4_CONVERT_I32X4_U, NEON_UCVTF),
    SEQ(F64X2_CONVERT_LOW_I32X4_S, then, .insn = NEON_SXTL | 32 << 16, .insn2 = NEON_SCVTF | NEON_D),
    SEQ(F64X2_CONVERT_LOW_I32X4_U, then, .insn = NEON_UXTL | 32 << 16, .insn2 = NEON_UCVTF | NEON_D),
    ONE(F32X4_DEMOTE_F64X2_ZERO, NEON_FCVTN),
    ONE(F64X2_PROMOTE_LOW_F32X4, NEON_FCVTL),
};

unsigned target_simd_temps(uint32_t op) {
    (void)op;
    return 0;
}

bool target_simd_folds(const struct compiler *c, uint32_t op) {
    (void)c, (void)op;
    return false;
}

void target_simd(struct compiler *c, uint32_t op, unsigned n, uint8_t d, struct value *v, const uint8_t *t) {
    (void)t;
    const struct simd_row *row = &rows[op - WASM_BASE_FD];
    uint8_t r[3];
    for (unsigned i = 0; i < n; i++) r[i] = reg_of(c, &v[i]);
    if (row->emit) row->emit(c, row, d, r);
    else if (n == 1) v1(c, row->insn, d, r[0]);
    else v2(c, row->insn, d, r[row->swaps], r[!row->swaps]);
}
