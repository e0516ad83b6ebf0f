/* x64_float: f32 and f64. AVX three-operand forms where the code may use them, SSE4.1 otherwise. */
#include "baseline/x64_int.h"

/* d = a op b for an instruction of map 0f. Commutative ones may swap. */
static void binary(struct compiler *c, uint8_t prefix, uint8_t op, unsigned type, bool commutes, uint8_t d, struct value *a,
                   struct value *b) {
    uint8_t ra = reg_of(c, a), rb = reg_of(c, b);
    if (commutes && (is_imm(a) || (ra == NO_REG && rb != NO_REG) || (rb == d && ra != d))) {
        struct value *t = a;
        a = b, b = t;
        ra = reg_of(c, a), rb = reg_of(c, b);
    }
    if (ra == NO_REG || !has_avx(c)) {
        if (rb == d && ra != d) {
            target_move_reg(c, type, FSCRATCH, d);
            rb = FSCRATCH;
        }
        target_move(c, d, a);
        ra = d;
    }
    if (rb != NO_REG) {
        sse3_rr(c, prefix, 0, op, d, ra, rb);
    } else if (is_imm(b)) {
        sse3_pool(c, prefix, op, d, ra, b->imm);
    } else {
        mem_site(c, b);
        sse3_rm(c, prefix, op, d, ra, mem_of(c, b));
    }
}

/* min and max: NaN if either is one, and -0 is below +0; the instruction alone gives its second operand for both. */
static void minmax(struct compiler *c, bool max, unsigned type, uint8_t d, struct value *a, struct value *b) {
    uint8_t rb = freg_or_scratch(c, b);
    if (rb == d) { /* symmetric in all that can be observed */
        if (reg_of(c, a) == d) {
            rb = d;
        } else {
            rb = freg_or_scratch(c, a);
        }
    } else {
        target_move(c, d, a);
    }
    sse_rr(c, packed(type), 0x2e, d, rb); /* ucomis */
    uint8_t *differ = x64_jcc8(&c->p, CC_NE);
    uint8_t *unordered = x64_jcc8(&c->p, CC_P);
    sse3_rr(c, packed(type), 0, max ? 0x54 : 0x56, d, d, rb); /* equal: and, or of the signs */
    uint8_t *done = x64_jmp8(&c->p);
    x64_land(unordered, c->p);
    sse3_rr(c, scalar(type), 0, 0x58, d, d, rb); /* add: a quiet NaN */
    uint8_t *done2 = x64_jmp8(&c->p);
    x64_land(differ, c->p);
    sse3_rr(c, scalar(type), 0, max ? 0x5f : 0x5d, d, d, rb);
    x64_land(done, c->p);
    x64_land(done2, c->p);
}

static void copysign_(struct compiler *c, unsigned type, uint8_t d, struct value *a, struct value *b) {
    bool f64 = type == T_F64;
    if (is_imm(b)) { /* the sign is known */
        bool negative = b->imm >> (f64 ? 63 : 31) & 1;
        target_move(c, d, a);
        sse3_constant(c, packed(type), 0x54, d, d, f64 ? K_ABS64 : K_ABS32);
        if (negative) sse3_constant(c, packed(type), 0x56, d, d, f64 ? K_SIGN64 : K_SIGN32);
        return;
    }
    target_move(c, FSCRATCH, b);
    sse3_constant(c, packed(type), 0x54, FSCRATCH, FSCRATCH, f64 ? K_SIGN64 : K_SIGN32);
    target_move(c, d, a);
    sse3_constant(c, packed(type), 0x54, d, d, f64 ? K_ABS64 : K_ABS32);
    sse3_rr(c, packed(type), 0, 0x56, d, d, FSCRATCH);
}

void target_fbin(struct compiler *c, enum fbin op, unsigned type, uint8_t d, struct value *a, struct value *b) {
    static const uint8_t code[] = {[FBIN_ADD] = 0x58, [FBIN_SUB] = 0x5c, [FBIN_MUL] = 0x59, [FBIN_DIV] = 0x5e};
    switch (op) {
    case FBIN_MIN: minmax(c, false, type, d, a, b); break;
    case FBIN_MAX: minmax(c, true, type, d, a, b); break;
    case FBIN_COPYSIGN: copysign_(c, type, d, a, b); break;
    default: binary(c, scalar(type), code[op], type, op == FBIN_ADD || op == FBIN_MUL, d, a, b); break;
    }
}

static void round_(struct compiler *c, unsigned type, uint8_t mode, uint8_t d, uint8_t s) {
    uint8_t op = type == T_F64 ? 0x0b : 0x0a;
    if (has_avx(c)) {
        x64_vex_rr(&c->p, 1, 3, 0, op, d, s, s);
        *c->p++ = mode | 8;
    } else {
        x64_0f3a_rr(&c->p, 0x66, 0, op, d, s, mode | 8);
    }
}

void target_fun(struct compiler *c, enum fun op, unsigned type, uint8_t d, struct value *a) {
    static const uint8_t modes[] = {[FUN_NEAREST] = 0, [FUN_FLOOR] = 1, [FUN_CEIL] = 2, [FUN_TRUNC] = 3};
    bool f64 = type == T_F64;
    uint8_t s = reg_of(c, a);
    if (s == NO_REG) target_move(c, d, a), s = d;
    switch (op) {
    case FUN_ABS:
    case FUN_NEG:
        if (!has_avx(c)) target_move_reg(c, type, d, s), s = d;
        if (op == FUN_ABS) sse3_constant(c, packed(type), 0x54, d, s, f64 ? K_ABS64 : K_ABS32);
        else sse3_constant(c, packed(type), 0x57, d, s, f64 ? K_SIGN64 : K_SIGN32);
        break;
    case FUN_SQRT: sse3_rr(c, scalar(type), 0, 0x51, d, s, s); break;
    default: round_(c, type, modes[op], d, s); break;
    }
}

uint8_t target_fcompare(struct compiler *c, enum fcond cond, unsigned type, struct value *a, struct value *b) {
    if (cond == FLT || cond == FLE) { /* so that the unordered case falls on the carry flag's side */
        struct value *t = a;
        a = b, b = t;
        cond = cond == FLT ? FGT : FGE;
    }
    uint8_t ra = freg_or_scratch(c, a), rb = reg_of(c, b);
    if (rb == NO_REG && is_imm(b)) {
        if (ra == FSCRATCH) { /* two constants, or a constant and a slot */
            uint8_t t = alloc(c, true);
            target_move(c, t, b);
            sse_rr(c, packed(type), 0x2e, ra, t);
            release_reg(c, t);
        } else {
            target_move(c, FSCRATCH, b);
            sse_rr(c, packed(type), 0x2e, ra, FSCRATCH);
        }
    } else if (rb != NO_REG) {
        sse_rr(c, packed(type), 0x2e, ra, rb);
    } else {
        mem_site(c, b);
        sse_rm(c, packed(type), 0x2e, ra, mem_of(c, b));
    }
    static const uint8_t cc[] = {[FEQ] = CC_FEQ, [FNE] = CC_FNE, [FGT] = CC_A, [FGE] = CC_AE};
    return cc[cond];
}

/* ---- conversions ---- */

static void cvt_to_int(struct compiler *c, unsigned from, unsigned w, uint8_t d, uint8_t s) { /* cvtts?2si */
    if (has_avx(c)) x64_vex_rr(&c->p, vex_pp(scalar(from)), 1, w, 0x2c, d, 0, s);
    else x64_0f_rr(&c->p, scalar(from), w, 0x2c, d, s);
}

static struct label *trunc_stub(struct compiler *c, unsigned from, uint8_t s) {
    return stub_add(c, (struct stub){.label = {NO_LABEL, 0},
                                     .trap = ABI_TRAP_INTEGER_OVERFLOW,
                                     .nan_type = (uint8_t)from,
                                     .reg = s,
                                     .wasm_offset = op_offset(c),
                                     .resume = NO_LABEL});
}

/* To u64: below 2^63 as signed; else subtract 2^63 first. `bad` gets NaN, negatives and what is too large. */
static void trunc_u64(struct compiler *c, unsigned from, uint8_t d, uint8_t s, struct label *bad) {
    enum x64_constant k = from == T_F64 ? K_2P63_F64 : K_2P63_F32;
    cvt_to_int(c, from, 1, d, s);
    x64_test_rr(&c->p, 1, d, d);
    uint8_t *done = x64_jcc8(&c->p, CC_NS);
    /* Negative: either a number below zero (bad), or the "indefinite" of something large or NaN. */
    sse3_constant(c, packed(from), 0x2e, s, 0, k);
    target_jump(c, CC_P, bad);
    target_jump(c, CC_B, bad);
    target_move_reg(c, from, FSCRATCH, s);
    sse3_constant(c, scalar(from), 0x5c, FSCRATCH, FSCRATCH, k);
    cvt_to_int(c, from, 1, d, FSCRATCH);
    x64_test_rr(&c->p, 1, d, d);
    target_jump(c, CC_S, bad);
    x64_0f_rr(&c->p, 0, 1, 0xba, 7, d); /* btc d, 63 */
    *c->p++ = 63;
    x64_land(done, c->p);
}

static void trunc_trapping(struct compiler *c, unsigned from, unsigned to, bool is_signed, uint8_t d, uint8_t s) {
    struct label *bad = trunc_stub(c, from, s);
    if (to == T_I32) { /* through 64 bits: what does not fit is not equal to its own lower half */
        cvt_to_int(c, from, 1, d, s);
        if (is_signed) x64_movsxd(&c->p, SCRATCH, d);
        else x64_mov_rr(&c->p, 0, SCRATCH, d);
        x64_alu_rr(&c->p, 1, X64_CMP, SCRATCH, d);
        target_jump(c, CC_NE, bad);
        if (is_signed) x64_mov_rr(&c->p, 0, d, d);
    } else if (is_signed) {
        cvt_to_int(c, from, 1, d, s);
        x64_alu_ri(&c->p, 1, X64_CMP, d, 1);
        uint8_t *fine = x64_jcc8(&c->p, CC_NO);
        sse3_constant(c, packed(from), 0x2e, s, 0, from == T_F64 ? K_M2P63_F64 : K_M2P63_F32);
        target_jump(c, CC_P, bad);
        target_jump(c, CC_NE, bad);
        x64_land(fine, c->p);
    } else {
        trunc_u64(c, from, d, s, bad);
    }
}

/* 32-bit results: clamp as f64, where all bounds are exact, then convert. */
static void saturate_32(struct compiler *c, unsigned from, bool is_signed, uint8_t d, uint8_t s) {
    if (from == T_F32) sse3_rr(c, 0xf3, 0, 0x5a, FSCRATCH, s, s);
    else target_move_reg(c, T_F64, FSCRATCH, s);
    if (is_signed) {
        x64_zero(&c->p, d);
        sse_rr(c, 0x66, 0x2e, FSCRATCH, FSCRATCH);
        uint8_t *nan = x64_jcc8(&c->p, CC_P);
        sse3_constant(c, 0xf2, 0x5d, FSCRATCH, FSCRATCH, K_I32_MAX);
        sse3_constant(c, 0xf2, 0x5f, FSCRATCH, FSCRATCH, K_I32_MIN);
        cvt_to_int(c, T_F64, 0, d, FSCRATCH);
        x64_land(nan, c->p);
    } else {
        sse3_constant(c, 0xf2, 0x5f, FSCRATCH, FSCRATCH, K_ZERO); /* max gives its second operand for a NaN */
        sse3_constant(c, 0xf2, 0x5d, FSCRATCH, FSCRATCH, K_U32_MAX);
        cvt_to_int(c, T_F64, 1, d, FSCRATCH);
    }
}

static void saturate_64(struct compiler *c, unsigned from, bool is_signed, uint8_t d, uint8_t s) {
    cvt_to_int(c, from, 1, d, s);
    if (is_signed) {
        x64_alu_ri(&c->p, 1, X64_CMP, d, 1);
        uint8_t *fine = x64_jcc8(&c->p, CC_NO);
        sse3_constant(c, packed(from), 0x2e, s, 0, from == T_F64 ? K_2P63_F64 : K_2P63_F32);
        uint8_t *nan = x64_jcc8(&c->p, CC_P);
        uint8_t *low = x64_jcc8(&c->p, CC_B);
        x64_mov_ri(&c->p, d, INT64_MAX);
        uint8_t *done = x64_jmp8(&c->p);
        x64_land(nan, c->p);
        x64_zero(&c->p, d);
        x64_land(done, c->p);
        x64_land(low, c->p);
        x64_land(fine, c->p);
        return;
    }
    x64_test_rr(&c->p, 1, d, d);
    uint8_t *fine = x64_jcc8(&c->p, CC_NS);
    sse3_constant(c, packed(from), 0x2e, s, 0, from == T_F64 ? K_2P63_F64 : K_2P63_F32);
    uint8_t *nan = x64_jcc8(&c->p, CC_P);
    uint8_t *low = x64_jcc8(&c->p, CC_B);
    target_move_reg(c, from, FSCRATCH, s);
    sse3_constant(c, scalar(from), 0x5c, FSCRATCH, FSCRATCH, from == T_F64 ? K_2P63_F64 : K_2P63_F32);
    cvt_to_int(c, from, 1, d, FSCRATCH);
    x64_test_rr(&c->p, 1, d, d);
    uint8_t *high = x64_jcc8(&c->p, CC_S);
    x64_0f_rr(&c->p, 0, 1, 0xba, 7, d); /* btc d, 63 */
    *c->p++ = 63;
    uint8_t *done = x64_jmp8(&c->p);
    x64_land(high, c->p);
    x64_mov_ri(&c->p, d, UINT64_MAX);
    uint8_t *done2 = x64_jmp8(&c->p);
    x64_land(nan, c->p);
    x64_land(low, c->p);
    x64_zero(&c->p, d);
    x64_land(done, c->p);
    x64_land(done2, c->p);
    x64_land(fine, c->p);
}

void target_trunc(struct compiler *c, unsigned from, unsigned to, bool is_signed, bool saturating, uint8_t d, struct value *a) {
    uint8_t s = into_reg(c, a);
    if (!saturating) trunc_trapping(c, from, to, is_signed, d, s);
    else if (to == T_I32) saturate_32(c, from, is_signed, d, s);
    else saturate_64(c, from, is_signed, d, s);
}

static void cvt_from_int(struct compiler *c, unsigned to, unsigned w, uint8_t d, uint8_t s) { /* cvtsi2s? */
    sse3_rr(c, 0, 0, 0x57, d, d, d); /* xorps: the conversion leaves the rest of d, which would make it wait */
    sse3_rr(c, scalar(to), w, 0x2a, d, d, s);
}

void target_convert(struct compiler *c, unsigned from, unsigned to, bool is_signed, uint8_t d, struct value *a) {
    uint8_t s = into_reg(c, a);
    if (from == T_I32) {
        cvt_from_int(c, to, !is_signed, d, s);
        return;
    }
    if (is_signed) {
        cvt_from_int(c, to, 1, d, s);
        return;
    }
    /* u64: halve what does not fit, keeping the lost bit so that rounding stays right. */
    x64_test_rr(&c->p, 1, s, s);
    uint8_t *large = x64_jcc8(&c->p, CC_S);
    cvt_from_int(c, to, 1, d, s);
    uint8_t *done = x64_jmp8(&c->p);
    x64_land(large, c->p);
    x64_mov_rr(&c->p, 1, SCRATCH, s);
    x64_shift_ri(&c->p, 1, X64_SHR, SCRATCH, 1);
    x64_test_ri(&c->p, 0, s, 1);
    uint8_t *even = x64_jcc8(&c->p, CC_E);
    x64_alu_ri(&c->p, 1, X64_OR, SCRATCH, 1);
    x64_land(even, c->p);
    cvt_from_int(c, to, 1, d, SCRATCH);
    sse3_rr(c, scalar(to), 0, 0x58, d, d, d);
    x64_land(done, c->p);
}

void target_float_to_float(struct compiler *c, unsigned from, uint8_t d, struct value *a) {
    uint8_t s = reg_of(c, a);
    if (s == NO_REG) target_move(c, d, a), s = d;
    sse3_rr(c, scalar(from), 0, 0x5a, d, s, s);
}

void target_reinterpret(struct compiler *c, unsigned from, uint8_t d, struct value *a) {
    uint8_t s = reg_of(c, a);
    unsigned w = from == T_F64 || from == T_I64;
    if (s == NO_REG && !is_imm(a)) { /* the bits are in a slot */
        if (type_is_float(from)) x64_load(&c->p, w, d, mem_of(c, a));
        else sse_rm(c, w ? 0xf2 : 0xf3, 0x10, d, mem_of(c, a));
        return;
    }
    if (type_is_float(from)) {
        if (is_imm(a)) {
            x64_mov_ri(&c->p, d, a->imm);
        } else if (has_avx(c)) {
            x64_vex_rr(&c->p, 1, 1, w, 0x7e, s, 0, d);
        } else {
            x64_0f_rr(&c->p, 0x66, w, 0x7e, s, d);
        }
        return;
    }
    s = reg_or_scratch(c, a);
    if (has_avx(c)) x64_vex_rr(&c->p, 1, 1, w, 0x6e, d, 0, s);
    else x64_0f_rr(&c->p, 0x66, w, 0x6e, d, s);
}
