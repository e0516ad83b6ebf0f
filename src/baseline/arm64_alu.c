/* arm64_alu: integer arithmetic of aarch64. Flags are set by comparisons only. */
#include "baseline/arm64_int.h"

/* v in a register for an instruction that takes a general register everywhere, as it does not sp: zero is xzr. */
static uint8_t left(struct compiler *c, const struct value *v) { return in_reg(c, v, X16); }
static uint8_t right(struct compiler *c, const struct value *v) { return in_reg(c, v, X17); }
static uint64_t imm_of(const struct value *v, unsigned w) { return w ? v->imm : (uint32_t)v->imm; }
static void swap_values(struct value **a, struct value **b) {
    struct value *t = *a;
    *a = *b, *b = t;
}

/* ---- add, sub, and, or, xor, mul ---- */

/* d = a + v or a - v, v any constant */
static void add_imm(struct compiler *c, bool sub, unsigned w, uint8_t d, const struct value *a, uint64_t v) {
    uint32_t op = sub ? ARM64_SUB : ARM64_ADD;
    uint64_t negative = w ? 0 - v : (uint32_t)(0 - v);
    if (!arm64_add_fits(v) && arm64_add_fits(negative)) v = negative, op ^= ARM64_SUB;
    uint8_t n = in_reg(c, a, X16);
    if (arm64_add_fits(v) && n != XZR) { /* there, 31 is sp */
        put(c, arm64_add_imm(w, op, d, n, (uint32_t)v));
        return;
    }
    arm64_set(c, X17, v);
    put(c, arm64_add_reg(w, op, d, n, X17, 0, 0));
}

/* a + n * m, where the last instruction was the multiplication into a temporary that the addition takes. */
static bool multiply_add(struct compiler *c, bool sub, unsigned w, uint8_t d, const struct value *a, const struct value *b) {
    uint32_t last = last_word(c);
    if ((last & 0x7fe0fc00) != 0x1b007c00 || last >> 31 != w) return false;
    uint8_t product = last & 31;
    bool first = a->kind == V_REG && a->reg == product, second = b->kind == V_REG && b->reg == product;
    if (first == second || (first && sub)) return false;
    const struct value *addend = first ? b : a;
    uint8_t r = reg_of(c, addend);
    if (r == NO_REG) return false;
    take_back(c);
    put(c, arm64_madd(w, sub, d, last >> 5 & 31, last >> 16 & 31, r));
    return true;
}

/* a op (n << by), where the last instruction was the shift. */
static bool shifted_operand(struct compiler *c, enum alu op, unsigned w, uint8_t d, const struct value *a,
                            const struct value *b) {
    static const uint32_t logic[] = {[ALU_AND] = ARM64_AND, [ALU_OR] = ARM64_ORR, [ALU_XOR] = ARM64_EOR};
    uint32_t last = last_word(c);
    unsigned bits = w ? 64 : 32, immr = last >> 16 & 63, imms = last >> 10 & 63;
    if ((last & 0x7f800000) != ARM64_UBFM || last >> 31 != w || (last >> 22 & 1) != w) return false;
    uint8_t moved = last & 31, n = last >> 5 & 31, other;
    unsigned shift = ARM64_LSL, by = bits - 1 - imms;
    if (imms == bits - 1) shift = ARM64_LSR, by = immr;
    else if (immr != imms + 1) return false;
    if (b->kind == V_REG && b->reg == moved && (a->kind != V_REG || a->reg != moved)) other = reg_of(c, a);
    else if (op != ALU_SUB && a->kind == V_REG && a->reg == moved && (b->kind != V_REG || b->reg != moved)) other = reg_of(c, b);
    else return false;
    if (other == NO_REG || other == moved) return false;
    take_back(c);
    if (op == ALU_ADD || op == ALU_SUB) put(c, arm64_add_reg(w, op == ALU_SUB ? ARM64_SUB : ARM64_ADD, d, other, n, shift, by));
    else put(c, arm64_logic_reg(w, logic[op], false, d, other, n, shift, by));
    return true;
}

/* and of a shift right with a mask: one bit field */
static bool field(struct compiler *c, unsigned w, uint8_t d, const struct value *a, uint64_t mask) {
    uint32_t last = last_word(c);
    if (mask & (mask + 1) || (last & 0x7f800000) != ARM64_UBFM || last >> 31 != w || (last >> 22 & 1) != w) return false;
    unsigned bits = w ? 64 : 32, immr = last >> 16 & 63, imms = last >> 10 & 63, width = (unsigned)__builtin_popcountll(mask);
    if (imms != bits - 1 || a->kind != V_REG || a->reg != (last & 31) || immr + width > bits || !width) return false;
    take_back(c);
    put(c, arm64_bitfield(w, ARM64_UBFM, d, last >> 5 & 31, immr, immr + width - 1));
    return true;
}

static void logic(struct compiler *c, uint32_t op, unsigned w, uint8_t d, struct value *a, struct value *b) {
    uint32_t bits;
    if (is_imm(b)) {
        uint64_t v = imm_of(b, w);
        if (op == ARM64_AND && field(c, w, d, a, v)) return;
        if (arm64_logical(w, v, &bits)) {
            put(c, arm64_logic_imm(w, op, d, left(c, a), bits));
            return;
        }
        if (op == ARM64_EOR && v == (w ? UINT64_MAX : UINT32_MAX)) {
            put(c, arm64_logic_reg(w, ARM64_ORR, true, d, XZR, left(c, a), 0, 0)); /* mvn */
            return;
        }
    }
    uint8_t n = left(c, a), m = right(c, b);
    put(c, arm64_logic_reg(w, op, false, d, n, m, 0, 0));
}

static void multiply(struct compiler *c, unsigned w, uint8_t d, struct value *a, struct value *b) {
    if (is_imm(b)) {
        uint64_t v = imm_of(b, w);
        uint8_t n = left(c, a);
        if (v && !(v & (v - 1))) {
            unsigned by = (unsigned)__builtin_ctzll(v);
            put(c, by ? arm64_lsl(w, d, n, by) : arm64_mov(w, d, n));
            return;
        }
        if (v > 1 && !((v - 1) & (v - 2))) { /* n + (n << k) */
            put(c, arm64_add_reg(w, ARM64_ADD, d, n, n, ARM64_LSL, (unsigned)__builtin_ctzll(v - 1)));
            return;
        }
    }
    uint8_t n = left(c, a), m = right(c, b);
    put(c, arm64_madd(w, false, d, n, m, XZR));
    note(c);
}

void target_alu(struct compiler *c, enum alu op, unsigned w, uint8_t d, struct value *a, struct value *b) {
    static const uint32_t codes[] = {[ALU_AND] = ARM64_AND, [ALU_OR] = ARM64_ORR, [ALU_XOR] = ARM64_EOR};
    if (op != ALU_SUB && is_imm(a)) swap_values(&a, &b);
    if (op == ALU_MUL) {
        multiply(c, w, d, a, b);
        return;
    }
    if (!is_imm(b) && shifted_operand(c, op, w, d, a, b)) return;
    if (op != ALU_ADD && op != ALU_SUB) {
        logic(c, codes[op], w, d, a, b);
        return;
    }
    if (is_imm(b)) {
        add_imm(c, op == ALU_SUB, w, d, a, imm_of(b, w));
        return;
    }
    if (multiply_add(c, op == ALU_SUB, w, d, a, b)) return;
    uint8_t n = left(c, a), m = right(c, b);
    put(c, arm64_add_reg(w, op == ALU_SUB ? ARM64_SUB : ARM64_ADD, d, n, m, 0, 0));
}

void target_add_shifted(struct compiler *c, uint8_t d, struct value *base, struct value *index, unsigned shift) {
    uint8_t m = right(c, index), n = left(c, base);
    put(c, arm64_add_reg(0, ARM64_ADD, d, n, m, ARM64_LSL, shift));
}

/* ---- shifts ---- */

static void shift_imm(struct compiler *c, enum shift op, unsigned w, uint8_t d, uint8_t n, unsigned by) {
    unsigned bits = w ? 64 : 32;
    if (by == 0) {
        put(c, arm64_mov(w, d, n));
        return;
    }
    switch (op) {
    case SHIFT_SHL: put(c, arm64_lsl(w, d, n, by)); break;
    case SHIFT_SHR_S: put(c, arm64_asr(w, d, n, by)); return;
    case SHIFT_SHR_U: put(c, arm64_lsr(w, d, n, by)); break;
    case SHIFT_ROTL: put(c, arm64_ror(w, d, n, bits - by)); return;
    case SHIFT_ROTR: put(c, arm64_ror(w, d, n, by)); return;
    }
    if (d != n) note(c);
}

void target_shift(struct compiler *c, enum shift op, unsigned w, uint8_t d, struct value *a, struct value *b) {
    static const uint8_t codes[] = {
        [SHIFT_SHL] = ARM64_LSLV, [SHIFT_SHR_S] = ARM64_ASRV, [SHIFT_SHR_U] = ARM64_LSRV, [SHIFT_ROTR] = ARM64_RORV};
    if (is_imm(b)) {
        shift_imm(c, op, w, d, left(c, a), (unsigned)b->imm & (w ? 63 : 31));
        return;
    }
    uint8_t n = left(c, a), m = right(c, b);
    if (op == SHIFT_ROTL) { /* right by the negative */
        put(c, arm64_add_reg(w, ARM64_SUB, X17, XZR, m, 0, 0));
        op = SHIFT_ROTR, m = X17;
    }
    put(c, arm64_two(w, codes[op], d, n, m));
}

/* ---- one operand ---- */

static void popcnt(struct compiler *c, unsigned w, uint8_t d, uint8_t n) {
    put(c, arm64_x_to_f(w, w, ARM64_FMOV_FROM_X, V16, n));
    put(c, arm64_vec1(0x0e205800, V16, V16)); /* cnt v.8b */
    put(c, arm64_vec1(0x0e31b800, V16, V16)); /* addv b, v.8b */
    put(c, arm64_f_to_x(0, false, ARM64_FMOV_TO_X, d, V16));
}

void target_unary(struct compiler *c, enum unary op, unsigned w, uint8_t d, struct value *a) {
    if ((op == UN_WRAP || op == UN_ZEXT32) && reg_of(c, a) == NO_REG) {
        struct value low = *a;
        low.type = T_I32;
        if (is_imm(&low)) low.imm = (uint32_t)low.imm;
        if (low.kind == V_SLOT || low.kind == V_LOCAL) { /* of an i64: its lower half */
            put_ldst(c, ARM64_LOAD_W, d, arm64_slot(c, slot_of(c, a), 2));
            return;
        }
        target_move(c, d, &low);
        return;
    }
    uint8_t n = left(c, a);
    switch (op) {
    case UN_WRAP:
    case UN_ZEXT32: put(c, arm64_mov(0, d, n)); break;
    case UN_CLZ: put(c, arm64_one(w, ARM64_CLZ, d, n)); break;
    case UN_CTZ:
        put(c, arm64_one(w, ARM64_RBIT, d, n));
        put(c, arm64_one(w, ARM64_CLZ, d, d));
        break;
    case UN_POPCNT: popcnt(c, w, d, n); break;
    case UN_EXT8: put(c, arm64_bitfield(w, ARM64_SBFM, d, n, 0, 7)); break;
    case UN_EXT16: put(c, arm64_bitfield(w, ARM64_SBFM, d, n, 0, 15)); break;
    case UN_EXT32: put(c, arm64_bitfield(1, ARM64_SBFM, d, n, 0, 31)); break;
    }
}

/* ---- comparisons ---- */

static const uint8_t cond_cc[] = {[EQ] = CC_EQ,   [NE] = CC_NE,   [LT_S] = CC_LT, [LT_U] = CC_LO, [GT_S] = CC_GT,
                                  [GT_U] = CC_HI, [LE_S] = CC_LE, [LE_U] = CC_LS, [GE_S] = CC_GE, [GE_U] = CC_HS};
static const uint8_t cond_swapped[] = {[EQ] = EQ,     [NE] = NE,     [LT_S] = GT_S, [LT_U] = GT_U, [GT_S] = LT_S,
                                       [GT_U] = LT_U, [LE_S] = GE_S, [LE_U] = GE_U, [GE_S] = LE_S, [GE_U] = LE_U};

static void compare_zero(struct compiler *c, unsigned w, const struct value *a) {
    uint8_t n = reg_of(c, a);
    if (n == NO_REG) target_move(c, X16, a), n = X16;
    put(c, arm64_add_imm(w, ARM64_SUB | ARM64_S, XZR, n, 0));
    note(c);
}

uint8_t target_compare(struct compiler *c, enum cond cond, unsigned w, struct value *a, struct value *b) {
    if (is_imm(a) && !is_imm(b)) {
        swap_values(&a, &b);
        cond = cond_swapped[cond];
    }
    if (is_imm(b)) {
        uint64_t v = imm_of(b, w), negative = w ? 0 - v : (uint32_t)(0 - v);
        if (v == 0) {
            compare_zero(c, w, a);
            return cond_cc[cond];
        }
        uint8_t n = reg_of(c, a);
        if (n == NO_REG) target_move(c, X16, a), n = X16;
        if (arm64_add_fits(v)) {
            put(c, arm64_add_imm(w, ARM64_SUB | ARM64_S, XZR, n, (uint32_t)v));
            return cond_cc[cond];
        }
        if (arm64_add_fits(negative)) { /* cmn: the same flags, but for 0 and the lowest number */
            put(c, arm64_add_imm(w, ARM64_ADD | ARM64_S, XZR, n, (uint32_t)negative));
            return cond_cc[cond];
        }
    }
    uint8_t n = left(c, a), m = right(c, b);
    put(c, arm64_add_reg(w, ARM64_SUB | ARM64_S, XZR, n, m, 0, 0));
    return cond_cc[cond];
}

uint8_t target_test(struct compiler *c, unsigned w, struct value *a) {
    compare_zero(c, w, a);
    return CC_NE;
}

uint8_t target_test_bits(struct compiler *c, unsigned w, struct value *a, struct value *b) {
    uint32_t bits;
    if (is_imm(a)) swap_values(&a, &b);
    if (is_imm(b) && arm64_logical(w, imm_of(b, w), &bits)) {
        put(c, arm64_logic_imm(w, ARM64_ANDS, XZR, left(c, a), bits));
        note(c);
        return CC_NE;
    }
    uint8_t n = left(c, a), m = right(c, b);
    put(c, arm64_logic_reg(w, ARM64_ANDS, false, XZR, n, m, 0, 0));
    return CC_NE;
}

void target_set(struct compiler *c, uint8_t d, uint8_t cc, bool zeroed) {
    (void)zeroed;
    put(c, arm64_cset(d, cc));
}

/* ---- select ---- */

void target_select(struct compiler *c, unsigned type, uint8_t cc, uint8_t d, struct value *a, struct value *b) {
    if (type == T_V128) {
        struct value *first = a, *second = b; /* d = first; if not cc: d = second */
        if (reg_of(c, b) == d) swap_values(&first, &second), cc ^= 1;
        target_move(c, d, first);
        uint32_t over = arm64_skip(c, arm64_b_cond(cc));
        target_move(c, d, second);
        arm64_land(c, over);
    } else if (type_is_float(type)) {
        uint8_t n = in_freg(c, a, V16), m = in_freg(c, b, V16 + 1);
        put(c, arm64_fcsel(type == T_F64, d, n, m, cc));
    } else {
        uint8_t n = left(c, a), m = right(c, b);
        put(c, arm64_csel(type_is_64(type), d, n, m, cc));
    }
}

/* ---- division; by a constant it may be a multiplication (Granlund and Montgomery; Hacker's Delight, chapter 10) ---- */

/* The processor gives 0 for a division by zero and the lowest number for the one that overflows: they are looked for. */
static void general(struct compiler *c, enum div op, unsigned type, struct value *a, struct value *b) {
    unsigned w = type_is_64(type);
    bool is_signed = op == DIV_S || op == REM_S, rem = op == REM_S || op == REM_U;
    bool constant = is_imm(b) && imm_of(b, w) != 0, fits = constant && imm_of(b, w) != (w ? UINT64_MAX : UINT32_MAX);
    uint8_t d = dest(c, type, a, b), n = left(c, a), m = reg_of(c, b);
    if (m == NO_REG) target_move(c, X17, b), m = X17;
    if (!constant) {
        put(c, arm64_add_imm(w, ARM64_SUB | ARM64_S, XZR, m, 0));
        note(c);
        target_jump(c, CC_EQ, trap_stub(c, ABI_TRAP_INTEGER_DIVIDE_BY_ZERO));
    }
    if (op == DIV_S && !fits) {
        put(c, arm64_add_imm(w, ARM64_ADD | ARM64_S, XZR, m, 1)); /* the divisor is -1, */
        put(c, arm64_ccmp_imm(w, n, 1, 0, CC_EQ));                /* and less one overflows */
        target_jump(c, CC_VS, trap_stub(c, ABI_TRAP_INTEGER_OVERFLOW));
    }
    uint8_t q = rem ? SCRATCH : d;
    put(c, arm64_two(w, is_signed ? ARM64_SDIV : ARM64_UDIV, q, n, m));
    if (rem) put(c, arm64_madd(w, true, d, q, m, n));
    finish(c, type, d, a, b);
}

/* x / 2^k rounded towards zero, into the scratch register. */
static void power_of_two_signed(struct compiler *c, unsigned w, uint8_t x, unsigned k) {
    unsigned bits = w ? 64 : 32;
    put(c, k > 1 ? arm64_asr(w, SCRATCH, x, bits - 1) : arm64_mov(w, SCRATCH, x));
    put(c, arm64_add_reg(w, ARM64_ADD, SCRATCH, x, SCRATCH, ARM64_LSR, bits - k)); /* x + (x < 0 ? 2^k - 1 : 0) */
    put(c, arm64_asr(w, SCRATCH, SCRATCH, k));
}

/* Unsigned 32-bit x / v = x * m >> 32 + s, where an m below 2^32 does. */
static bool magic_u32(uint32_t v, uint32_t *m, unsigned *s) {
    for (*s = 0; *s < 32; ++*s) {
        uint64_t pow = 1ull << (32 + *s), q = pow / v + (pow % v != 0);
        if (q > UINT32_MAX) return false;
        if (q * v - pow <= 1ull << *s) {
            *m = (uint32_t)q;
            return true;
        }
    }
    return false;
}

/* Signed 32-bit: x * m >> 32 + s, plus one if x is negative, as in Hacker's Delight 10-1, with m below 2^33. */
static void magic_s32(struct compiler *c, uint8_t x, int32_t v) {
    uint32_t size = v < 0 ? 0u - (uint32_t)v : (uint32_t)v, s = 31 - (uint32_t)__builtin_clz(size);
    put(c, arm64_bitfield(1, ARM64_SBFM, SCRATCH, x, 0, 31));
    arm64_set(c, X17, (1ull << (32 + s)) / size + 1);
    put(c, arm64_madd(1, false, X17, X17, SCRATCH, XZR));
    put(c, arm64_asr(1, X17, X17, 32 + s));
    put(c, arm64_add_reg(0, ARM64_ADD, SCRATCH, X17, SCRATCH, ARM64_LSR, 31));
    if (v < 0) put(c, arm64_add_reg(0, ARM64_SUB, SCRATCH, XZR, SCRATCH, 0, 0));
}

enum { BY_DIVISION, BY_SHIFT, BY_SIGNED_SHIFT, BY_MAGIC, BY_SIGNED_MAGIC };
static unsigned form_of(bool is_signed, unsigned w, uint64_t v) {
    uint32_t m;
    unsigned s;
    int64_t sv = w ? (int64_t)v : (int32_t)v;
    if (!is_signed) {
        if (v > 1 && !(v & (v - 1))) return BY_SHIFT;
        return !w && v > 1 && magic_u32((uint32_t)v, &m, &s) ? BY_MAGIC : BY_DIVISION;
    }
    if (sv > 1 && !(sv & (sv - 1))) return BY_SIGNED_SHIFT;
    if (w || sv == INT32_MIN) return BY_DIVISION;
    return sv > 2 || (sv < -2 && (-sv & (-sv - 1))) ? BY_SIGNED_MAGIC : BY_DIVISION;
}

/* The quotient in q, the scratch register or, by the unsigned forms, any; changes x17. */
static void quotient(struct compiler *c, unsigned form, unsigned w, uint8_t q, uint8_t x, uint64_t v) {
    uint32_t m = 0;
    unsigned s = 0;
    switch (form) {
    case BY_SHIFT: put(c, arm64_lsr(w, q, x, (unsigned)__builtin_ctzll(v))); break;
    case BY_SIGNED_SHIFT: power_of_two_signed(c, w, x, (unsigned)__builtin_ctzll(v)); break;
    case BY_MAGIC:
        magic_u32((uint32_t)v, &m, &s);
        arm64_set(c, X17, m);
        put(c, arm64_mull(false, X17, x, X17));
        put(c, arm64_lsr(1, q, X17, 32 + s));
        break;
    default: magic_s32(c, x, (int32_t)v); break;
    }
}

void target_div(struct compiler *c, enum div op, unsigned type, struct value *a, struct value *b) {
    unsigned w = type_is_64(type), form = BY_DIVISION;
    bool rem = op == REM_S || op == REM_U;
    uint64_t v = is_imm(b) ? imm_of(b, w) : 0;
    if (v && !is_imm(a)) form = form_of(op == DIV_S || op == REM_S, w, v);
    if (form == BY_DIVISION) {
        general(c, op, type, a, b);
        return;
    }
    uint8_t d = dest(c, type, a, NULL), x = in_reg(c, a, X16);
    if (rem && form == BY_SHIFT) {
        struct value mask = {.kind = V_IMM, .type = (uint8_t)type, .imm = v - 1};
        target_alu(c, ALU_AND, w, d, a, &mask);
    } else {
        uint8_t q = !rem && (form == BY_SHIFT || form == BY_MAGIC) ? d : SCRATCH;
        quotient(c, form, w, q, x, v);
        if (rem) arm64_set(c, X17, v);
        if (rem) put(c, arm64_madd(w, true, d, SCRATCH, X17, x));
        else if (q != d) put(c, arm64_mov(w, d, q));
    }
    finish(c, type, d, a, NULL);
}
