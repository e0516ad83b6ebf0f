/* arm64_float: f32 and f64. NaNs come out quiet and with the payload of an operand, as the specification allows. */
#include "baseline/arm64_int.h"

static bool is_f64(unsigned type) { return type == T_F64; }

static void sign_bits(struct compiler *c, bool f64, uint8_t d) { /* the sign bit of a lane */
    if (f64) {
        put(c, arm64_vec1(0x6f00e400, d, 16)); /* movi d.2d, #0 */
        put(c, arm64_vec1(0x6ee0f800, d, d));  /* fneg d.2d */
    } else {
        put(c, arm64_vec1(0x4f046400, d, 16)); /* movi d.4s, #0x80, lsl #24 */
    }
}

void target_fbin(struct compiler *c, enum fbin op, unsigned type, uint8_t d, struct value *a, struct value *b) {
    static const uint8_t codes[] = {[FBIN_ADD] = ARM64_FADD, [FBIN_SUB] = ARM64_FSUB, [FBIN_MUL] = ARM64_FMUL,
                                    [FBIN_DIV] = ARM64_FDIV, [FBIN_MIN] = ARM64_FMIN, [FBIN_MAX] = ARM64_FMAX};
    uint8_t n = in_freg(c, a, V16), m = in_freg(c, b, V16 + 1);
    if (op == FBIN_COPYSIGN) {
        sign_bits(c, is_f64(type), V16 + 2);
        put(c, arm64_vec(0x2e601c00, V16 + 2, m, n)); /* bsl v.8b: where the mask is set of m, else of n */
        target_move_reg(c, type, d, V16 + 2);
        return;
    }
    put(c, arm64_f2(is_f64(type), codes[op], d, n, m));
}

void target_fun(struct compiler *c, enum fun op, unsigned type, uint8_t d, struct value *a) {
    static const uint8_t codes[] = {
        [FUN_ABS] = ARM64_FABS,     [FUN_NEG] = ARM64_FNEG,     [FUN_SQRT] = ARM64_FSQRT,    [FUN_CEIL] = ARM64_FRINTP,
        [FUN_FLOOR] = ARM64_FRINTM, [FUN_TRUNC] = ARM64_FRINTZ, [FUN_NEAREST] = ARM64_FRINTN};
    put(c, arm64_f1(is_f64(type), codes[op], d, in_freg(c, a, V16)));
}

/* Unordered sets C and V: so mi, ls, gt and ge are false then, and their opposites true. */
uint8_t target_fcompare(struct compiler *c, enum fcond cond, unsigned type, struct value *a, struct value *b) {
    static const uint8_t cc[] = {[FEQ] = CC_EQ, [FNE] = CC_NE, [FLT] = CC_MI, [FGT] = CC_GT, [FLE] = CC_LS, [FGE] = CC_GE};
    uint8_t n = in_freg(c, a, V16);
    if (is_imm(b) && b->imm == 0) put(c, arm64_fcmp_zero(is_f64(type), n));
    else put(c, arm64_fcmp(is_f64(type), n, in_freg(c, b, V16 + 1)));
    return cc[cond];
}

/* ---- conversions ---- */

static struct label *trunc_stub(struct compiler *c, unsigned from, uint8_t s) {
    return stub_add(c, (struct stub){.label = {NO_LABEL, 0},
                                     .trap = ABI_TRAP_INTEGER_OVERFLOW,
                                     .nan_type = (uint8_t)from,
                                     .reg = s,
                                     .wasm_offset = op_offset(c),
                                     .resume = NO_LABEL});
}

/* To 32 bits: through 64, where what does not fit differs from its own lower half; a NaN gives 0 there and is looked for. */
static void trunc_32(struct compiler *c, unsigned from, bool is_signed, uint8_t d, uint8_t s, struct label *bad) {
    put(c, arm64_fcmp(is_f64(from), s, s));
    target_jump(c, CC_VS, bad);
    put(c, arm64_f_to_x(1, is_f64(from), ARM64_FCVTZS, d, s));
    put(c, arm64_add_word(ARM64_SUB | ARM64_S, is_signed, XZR, d, d));
    target_jump(c, CC_NE, bad);
    if (is_signed) put(c, arm64_mov(0, d, d));
}

/* To 64 bits: the bounds are compared with, both exact; a NaN is outside of any. */
static void trunc_64(struct compiler *c, unsigned from, bool is_signed, uint8_t d, uint8_t s, struct label *bad) {
    bool f64 = is_f64(from);
    uint64_t above = is_signed ? 0x43e0000000000000 : 0x43f0000000000000; /* 2^63, 2^64 */
    if (!f64) above = is_signed ? 0x5f000000 : 0x5f800000;
    arm64_float_constant(c, V16, from, above);
    put(c, arm64_fcmp(f64, s, V16));
    target_jump(c, CC_PL, bad); /* not less */
    if (is_signed) {
        put(c, arm64_f1(f64, ARM64_FNEG, V16, V16));
        put(c, arm64_fcmp(f64, s, V16));
        target_jump(c, CC_LT, bad);
    } else {
        put(c, arm64_fmov_imm(f64, V16, 0xf0)); /* -1 */
        put(c, arm64_fcmp(f64, s, V16));
        target_jump(c, CC_LE, bad);
    }
    put(c, arm64_f_to_x(1, f64, is_signed ? ARM64_FCVTZS : ARM64_FCVTZU, d, s));
}

void target_trunc(struct compiler *c, unsigned from, unsigned to, bool is_signed, bool saturating, uint8_t d, struct value *a) {
    uint8_t s = into_reg(c, a);
    if (saturating) put(c, arm64_f_to_x(type_is_64(to), is_f64(from), is_signed ? ARM64_FCVTZS : ARM64_FCVTZU, d, s));
    else if (to == T_I32) trunc_32(c, from, is_signed, d, s, trunc_stub(c, from, s));
    else trunc_64(c, from, is_signed, d, s, trunc_stub(c, from, s));
}

void target_convert(struct compiler *c, unsigned from, unsigned to, bool is_signed, uint8_t d, struct value *a) {
    put(c, arm64_x_to_f(type_is_64(from), is_f64(to), is_signed ? ARM64_SCVTF : ARM64_UCVTF, d, in_reg(c, a, X16)));
}

void target_float_to_float(struct compiler *c, unsigned from, uint8_t d, struct value *a) {
    put(c, arm64_f1(is_f64(from), is_f64(from) ? ARM64_FCVT_S : ARM64_FCVT_D, d, in_freg(c, a, V16)));
}

void target_reinterpret(struct compiler *c, unsigned from, uint8_t d, struct value *a) {
    bool wide = from == T_F64 || from == T_I64;
    uint8_t s = reg_of(c, a);
    if (s == NO_REG) { /* the bits are in a slot, in memory, or known: as well of the other kind */
        struct value other = *a;
        other.type = from == T_F64 ? T_I64 : from == T_F32 ? T_I32 : from == T_I64 ? T_F64 : T_F32;
        if (other.kind == V_IMM || other.kind == V_MEM) {
            target_move(c, d, &other);
        } else {
            struct arm64_access load =
                type_is_float(from) ? (wide ? ARM64_LOAD_X : ARM64_LOAD_W) : ARM64_LDST(wide ? 3 : 2, wide ? 3 : 2, 1, 1);
            put_ldst(c, load, d, arm64_slot(c, slot_of(c, a), load.log2));
        }
        return;
    }
    if (type_is_float(from)) put(c, arm64_f_to_x(wide, wide, ARM64_FMOV_TO_X, d, s));
    else put(c, arm64_x_to_f(wide, wide, ARM64_FMOV_FROM_X, d, s));
}
