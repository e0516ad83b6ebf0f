/* x64_alu: integer arithmetic of x86-64, in the two- and three-address forms there are. */
#include "baseline/x64_int.h"

static const uint8_t alu_code[] = {
    [ALU_ADD] = X64_ADD, [ALU_SUB] = X64_SUB, [ALU_AND] = X64_AND, [ALU_OR] = X64_OR, [ALU_XOR] = X64_XOR};

/* d = d op v */
static void alu_into(struct compiler *c, enum alu op, unsigned w, uint8_t d, const struct value *v) {
    uint8_t r = reg_of(c, v);
    if (is_imm(v)) {
        if (!imm_is_32(v)) {
            if (op == ALU_AND && v->imm <= UINT32_MAX) { /* the upper half becomes zero */
                x64_alu_ri(&c->p, 0, X64_AND, d, (int32_t)v->imm);
                return;
            }
            target_move(c, SCRATCH, v);
            x64_alu_rr(&c->p, w, alu_code[op], d, SCRATCH);
        } else {
            if (op == ALU_AND && (int64_t)v->imm >= 0 && v->imm <= INT32_MAX) w = 0;
            x64_alu_ri(&c->p, w, alu_code[op], d, (int32_t)v->imm);
            if (op == ALU_AND && w == 0 && type_is_64(v->type)) return;
        }
    } else if (r != NO_REG) {
        x64_alu_rr(&c->p, w, alu_code[op], d, r);
    } else if (v->kind == V_MEM) {
        mem_site(c, v);
        x64_alu_rm(&c->p, w, alu_code[op], d, mem_of(c, v));
    } else { /* a slot stored lately is renamed to the register it came from, but only for a plain load */
        target_move(c, SCRATCH, v);
        x64_alu_rr(&c->p, w, alu_code[op], d, SCRATCH);
    }
    set_flags_of(c, d, w);
}

/* Forms that need no move; true if one was used. */
static bool alu_three(struct compiler *c, enum alu op, unsigned w, uint8_t d, struct value *a, struct value *b) {
    uint8_t ra = reg_of(c, a), rb = reg_of(c, b);
    if (is_imm(b)) {
        int64_t v = w ? (int64_t)b->imm : (int32_t)b->imm;
        if (op == ALU_AND && (v == 0xff || v == 0xffff || b->imm == UINT32_MAX) && ra != NO_REG) {
            if (v == 0xff) x64_movzx8(&c->p, d, ra);
            else if (v == 0xffff) x64_movzx16(&c->p, d, ra);
            else if (w) x64_mov_rr(&c->p, 0, d, ra);
            else return false;
            return true;
        }
        if (ra == NO_REG || ra == d) return false;
        if (op == ALU_SUB) v = (int64_t)(0 - (uint64_t)v);
        if ((op == ALU_ADD || op == ALU_SUB) && v == (int32_t)v) {
            x64_lea(&c->p, w, d, x64_at(ra, (int32_t)v));
            return true;
        }
        return false;
    }
    if (op == ALU_ADD && ra != NO_REG && rb != NO_REG && ra != d && rb != d) {
        x64_lea(&c->p, w, d, x64_mem(ra, rb, 0, 0, 0));
        return true;
    }
    return false;
}

static void mul_imm(struct compiler *c, unsigned w, uint8_t d, const struct value *a, uint64_t v) {
    uint8_t r = reg_of(c, a);
    if (v && !(v & (v - 1))) {
        target_move(c, d, a);
        unsigned n = (unsigned)__builtin_ctzll(v);
        if (n) x64_shift_ri(&c->p, w, X64_SHL, d, (uint8_t)n);
        return;
    }
    if (v == 3 || v == 5 || v == 9) {
        r = reg_or_scratch(c, a);
        x64_lea(&c->p, w, d, x64_mem(r, r, v == 3 ? 1 : v == 5 ? 2 : 3, 0, 0));
        return;
    }
    if (r != NO_REG) {
        x64_imul_rri(&c->p, w, d, r, (int32_t)v);
    } else {
        mem_site(c, a);
        x64_imul_rmi(&c->p, w, d, mem_of(c, a), (int32_t)v);
    }
}

static void mul(struct compiler *c, unsigned w, uint8_t d, struct value *a, struct value *b) {
    if (imm_is_32(b) && !is_imm(a)) {
        mul_imm(c, w, d, a, b->imm);
        return;
    }
    if (reg_of(c, b) == d || (b->kind == V_MEM && b->reg == d)) {
        struct value *t = a;
        a = b;
        b = t;
    }
    if (reg_of(c, b) == d) { /* d * d */
        x64_imul_rr(&c->p, w, d, d);
        return;
    }
    if (b->kind == V_MEM && b->reg == d) {
        target_move(c, SCRATCH, b);
        target_move(c, d, a);
        x64_imul_rr(&c->p, w, d, SCRATCH);
        return;
    }
    target_move(c, d, a);
    if (is_imm(b) || reg_of(c, b) != NO_REG) {
        x64_imul_rr(&c->p, w, d, reg_or_scratch(c, b));
    } else {
        mem_site(c, b);
        x64_imul_rm(&c->p, w, d, mem_of(c, b));
    }
}

void target_alu(struct compiler *c, enum alu op, unsigned w, uint8_t d, struct value *a, struct value *b) {
    if (op == ALU_MUL) {
        mul(c, w, d, a, b);
        return;
    }
    if (alu_three(c, op, w, d, a, b)) return;
    uint8_t ra = reg_of(c, a), rb = reg_of(c, b);
    if (op == ALU_XOR && is_imm(b) && (w ? b->imm == UINT64_MAX : (uint32_t)b->imm == UINT32_MAX)) {
        target_move(c, d, a);
        x64_f7_r(&c->p, w, X64_NOT, d);
        return;
    }
    if (op == ALU_SUB && is_imm(a) && a->imm == 0 && !is_imm(b)) {
        target_move(c, d, b);
        x64_f7_r(&c->p, w, X64_NEG, d);
        set_flags_of(c, d, w);
        return;
    }
    if (rb == d && ra != d) { /* d = a op d */
        if (op != ALU_SUB) {
            alu_into(c, op, w, d, a);
            return;
        }
        if (is_imm(a) && imm_is_32(a)) {
            x64_f7_r(&c->p, w, X64_NEG, d);
            x64_alu_ri(&c->p, w, X64_ADD, d, (int32_t)a->imm);
            set_flags_of(c, d, w);
            return;
        }
        x64_mov_rr(&c->p, w, SCRATCH, d);
        target_move(c, d, a);
        x64_alu_rr(&c->p, w, X64_SUB, d, SCRATCH);
        set_flags_of(c, d, w);
        return;
    }
    if (b->kind == V_MEM && b->reg == d && ra != d) {
        target_move(c, SCRATCH, b);
        target_move(c, d, a);
        x64_alu_rr(&c->p, w, alu_code[op], d, SCRATCH);
        set_flags_of(c, d, w);
        return;
    }
    target_move(c, d, a);
    alu_into(c, op, w, d, b);
}

void target_add_shifted(struct compiler *c, uint8_t d, struct value *base, struct value *index, unsigned shift) {
    uint8_t ri = reg_of(c, index);
    if (is_imm(base)) {
        x64_lea(&c->p, 0, d, x64_mem(X64_NONE, ri, shift, 0, (int32_t)base->imm));
    } else {
        x64_lea(&c->p, 0, d, x64_mem(reg_or_scratch(c, base), ri, shift, 0, 0));
    }
}

/* ---- shifts ---- */

static const uint8_t shift_code[] = {
    [SHIFT_SHL] = X64_SHL, [SHIFT_SHR_S] = X64_SAR, [SHIFT_SHR_U] = X64_SHR, [SHIFT_ROTL] = X64_ROL, [SHIFT_ROTR] = X64_ROR};

static void shift_imm(struct compiler *c, enum shift op, unsigned w, uint8_t d, struct value *a, unsigned n) {
    uint8_t ra = reg_of(c, a);
    if (n == 0) {
        target_move(c, d, a);
        return;
    }
    if (op >= SHIFT_ROTL && ra != NO_REG && ra != d && has_bmi(c)) {
        unsigned right = op == SHIFT_ROTR ? n : (w ? 64 : 32) - n;
        x64_vex_rr(&c->p, 3, 3, w, 0xf0, d, 0, ra); /* rorx */
        *c->p++ = (uint8_t)right;
        return;
    }
    if (op == SHIFT_SHL && n <= 3 && ra != NO_REG && ra != d) {
        if (n == 1) x64_lea(&c->p, w, d, x64_mem(ra, ra, 0, 0, 0));
        else x64_lea(&c->p, w, d, x64_mem(X64_NONE, ra, n, 0, 0));
        return;
    }
    target_move(c, d, a);
    x64_shift_ri(&c->p, w, shift_code[op], d, (uint8_t)n);
    if (op < SHIFT_ROTL) set_flags_of(c, d, w);
}

/* Without BMI2, and for rotations: the count goes to cl, the value to the scratch register. */
static void shift_cl(struct compiler *c, enum shift op, unsigned w, uint8_t d, struct value *a, struct value *b) {
    bool ours = (a->kind == V_REG && a->reg == RCX) || (b->kind == V_REG && b->reg == RCX) || d == RCX;
    target_move(c, SCRATCH, a);
    if (!ours) claim(c, RCX);
    else cache_kill(c, RCX);
    target_move(c, RCX, b);
    x64_shift_rcl(&c->p, w, shift_code[op], SCRATCH);
    x64_mov_rr(&c->p, w, d, SCRATCH);
    if (!ours) release_reg(c, RCX);
}

void target_shift(struct compiler *c, enum shift op, unsigned w, uint8_t d, struct value *a, struct value *b) {
    if (is_imm(b)) {
        shift_imm(c, op, w, d, a, (unsigned)b->imm & (w ? 63 : 31));
        return;
    }
    if (op >= SHIFT_ROTL || !has_bmi(c)) {
        shift_cl(c, op, w, d, a, b);
        return;
    }
    unsigned vpp = op == SHIFT_SHL ? 1 : op == SHIFT_SHR_S ? 2 : 3;
    uint8_t count = reg_or_scratch(c, b), ra = reg_of(c, a);
    if (is_imm(a)) {
        if (count == d) x64_mov_rr(&c->p, 0, SCRATCH, d), count = SCRATCH;
        target_move(c, d, a);
        ra = d;
    }
    if (ra != NO_REG) x64_vex_rr(&c->p, vpp, 2, w, 0xf7, d, count, ra);
    else x64_vex_rm(&c->p, vpp, 2, w, 0xf7, d, count, mem_of(c, a));
}

/* ---- one operand ---- */

static void count_zeros(struct compiler *c, bool leading, unsigned w, uint8_t d, uint8_t s) {
    if (has_bmi(c)) {
        x64_0f_rr(&c->p, 0xf3, w, leading ? 0xbd : 0xbc, d, s);
        return;
    }
    unsigned bits = w ? 64 : 32;
    if (s == SCRATCH) x64_mov_rr(&c->p, w, d, s), s = d;
    x64_mov_ri(&c->p, SCRATCH, leading ? 2 * bits - 1 : bits);
    x64_0f_rr(&c->p, 0, w, leading ? 0xbd : 0xbc, d, s); /* bsr, bsf */
    x64_cmov_rr(&c->p, w, CC_E, d, SCRATCH);
    if (leading) x64_alu_ri(&c->p, w, X64_XOR, d, (int32_t)bits - 1);
}

void target_unary(struct compiler *c, enum unary op, unsigned w, uint8_t d, struct value *a) {
    uint8_t s = reg_of(c, a);
    if (op == UN_WRAP || op == UN_ZEXT32) {
        if (s != NO_REG) x64_mov_rr(&c->p, 0, d, s);
        else if (is_imm(a)) x64_mov_ri(&c->p, d, (uint32_t)a->imm);
        else x64_load(&c->p, 0, d, mem_of(c, a));
        return;
    }
    if (op == UN_EXT32 && s == NO_REG && !is_imm(a)) {
        x64_rm(&c->p, 1, 0x63, d, mem_of(c, a));
        return;
    }
    if (s == NO_REG) s = reg_or_scratch(c, a);
    switch (op) {
    case UN_CLZ: count_zeros(c, true, w, d, s); break;
    case UN_CTZ: count_zeros(c, false, w, d, s); break;
    case UN_POPCNT: x64_0f_rr(&c->p, 0xf3, w, 0xb8, d, s); break;
    case UN_EXT8: x64_movsx8(&c->p, w, d, s); break;
    case UN_EXT16: x64_movsx16(&c->p, w, d, s); break;
    default: x64_movsxd(&c->p, d, s); break;
    }
}

/* ---- comparisons ---- */

static const uint8_t cond_cc[] = {[EQ] = CC_E,   [NE] = CC_NE,   [LT_S] = CC_L,  [LT_U] = CC_B,  [GT_S] = CC_G,
                                  [GT_U] = CC_A, [LE_S] = CC_LE, [LE_U] = CC_BE, [GE_S] = CC_GE, [GE_U] = CC_AE};
static const uint8_t cond_swapped[] = {[EQ] = EQ,     [NE] = NE,     [LT_S] = GT_S, [LT_U] = GT_U, [GT_S] = LT_S,
                                       [GT_U] = LT_U, [LE_S] = GE_S, [LE_U] = GE_U, [GE_S] = LE_S, [GE_U] = LE_U};

static void compare_mem(struct compiler *c, unsigned w, struct value *a, struct value *b) {
    uint8_t rb = reg_of(c, b);
    if (imm_is_32(b)) {
        mem_site(c, a);
        x64_alu_mi(&c->p, w, X64_CMP, mem_of(c, a), (int32_t)b->imm);
    } else if (rb != NO_REG || is_imm(b)) {
        rb = reg_or_scratch(c, b);
        mem_site(c, a);
        x64_alu_mr(&c->p, w, X64_CMP, mem_of(c, a), rb);
    } else {
        target_move(c, SCRATCH, a);
        mem_site(c, b);
        x64_alu_rm(&c->p, w, X64_CMP, SCRATCH, mem_of(c, b));
    }
}

uint8_t target_compare(struct compiler *c, enum cond cond, unsigned w, struct value *a, struct value *b) {
    if (is_imm(a) && !is_imm(b)) {
        struct value *t = a;
        a = b, b = t;
        cond = cond_swapped[cond];
    }
    uint8_t ra = reg_of(c, a), rb = reg_of(c, b);
    if (ra == NO_REG && !is_imm(a)) {
        compare_mem(c, w, a, b);
        return cond_cc[cond];
    }
    if (is_imm(b) && b->imm == 0 && (cond == EQ || cond == NE)) return target_test(c, w, a) ^ (cond == EQ);
    if (ra == NO_REG) target_move(c, SCRATCH, a), ra = SCRATCH;
    if (imm_is_32(b)) {
        if (b->imm == 0) x64_test_rr(&c->p, w, ra, ra);
        else x64_alu_ri(&c->p, w, X64_CMP, ra, (int32_t)b->imm);
    } else if (is_imm(b)) {
        uint8_t t = ra == SCRATCH ? alloc(c, false) : SCRATCH;
        target_move(c, t, b);
        x64_alu_rr(&c->p, w, X64_CMP, ra, t);
        if (t != SCRATCH) release_reg(c, t);
    } else if (rb != NO_REG) {
        x64_alu_rr(&c->p, w, X64_CMP, ra, rb);
    } else {
        mem_site(c, b);
        x64_alu_rm(&c->p, w, X64_CMP, ra, mem_of(c, b));
    }
    return cond_cc[cond];
}

uint8_t target_test_bits(struct compiler *c, unsigned w, struct value *a, struct value *b) {
    uint8_t rb = reg_of(c, b);
    if (is_imm(b) && b->imm <= INT32_MAX) w = 0;
    if (imm_is_32(b)) {
        x64_test_ri(&c->p, w, reg_or_scratch(c, a), (uint32_t)b->imm);
        return CC_NE;
    }
    uint8_t ra = reg_of(c, a);
    if (ra == NO_REG && rb == NO_REG) {
        target_move(c, SCRATCH, a);
        if (is_imm(b)) { /* an i64 that no instruction takes */
            uint8_t t = alloc(c, false);
            target_move(c, t, b);
            x64_test_rr(&c->p, w, SCRATCH, t);
            release_reg(c, t);
        } else {
            mem_site(c, b);
            x64_rm(&c->p, w, 0x85, SCRATCH, mem_of(c, b));
        }
    } else {
        if (ra == NO_REG) ra = reg_or_scratch(c, a);
        if (rb == NO_REG) rb = reg_or_scratch(c, b);
        x64_test_rr(&c->p, w, ra, rb);
    }
    return CC_NE;
}

uint8_t target_test(struct compiler *c, unsigned w, struct value *a) {
    uint8_t r = reg_of(c, a);
    if (r == NO_REG && !is_imm(a)) {
        mem_site(c, a);
        x64_alu_mi(&c->p, w, X64_CMP, mem_of(c, a), 0);
        return CC_NE;
    }
    if (c->flags_at == c->p && c->flags_reg == r && c->flags_w == w && r != NO_REG) return CC_NE;
    r = reg_or_scratch(c, a);
    x64_test_rr(&c->p, w, r, r);
    return CC_NE;
}

void target_set(struct compiler *c, uint8_t d, uint8_t cc, bool zeroed) {
    if (cc >= CC_FEQ) {
        x64_setcc(&c->p, cc == CC_FEQ ? CC_NP : CC_P, SCRATCH);
        x64_setcc(&c->p, cc == CC_FEQ ? CC_E : CC_NE, d);
        x64_alu_rr(&c->p, 0, cc == CC_FEQ ? X64_AND : X64_OR, d, SCRATCH);
        x64_movzx8(&c->p, d, d);
        return;
    }
    x64_setcc(&c->p, cc, d);
    if (!zeroed) x64_movzx8(&c->p, d, d);
}

/* ---- select ---- */

struct x64_skip x64_skip_if(struct compiler *c, uint8_t cc) {
    struct x64_skip s = {{NULL, NULL}};
    if (cc == CC_FNE) {
        s.at[0] = x64_jcc8(&c->p, CC_P);
        s.at[1] = x64_jcc8(&c->p, CC_NE);
    } else if (cc == CC_FEQ) {
        uint8_t *unordered = x64_jcc8(&c->p, CC_P);
        s.at[0] = x64_jcc8(&c->p, CC_E);
        x64_land(unordered, c->p);
    } else {
        s.at[0] = x64_jcc8(&c->p, cc);
    }
    return s;
}

static void cmov(struct compiler *c, unsigned w, uint8_t cc, uint8_t d, struct value *v) {
    uint8_t r = reg_of(c, v);
    if (r != NO_REG) x64_cmov_rr(&c->p, w, cc, d, r);
    else x64_cmov_rm(&c->p, w, cc, d, mem_of(c, v));
}

static void select_float(struct compiler *c, uint8_t cc, uint8_t d, struct value *a, struct value *b) {
    struct value *first = a, *second = b;
    if (reg_of(c, b) == d) first = b, second = a, cc ^= 1;
    target_move(c, d, first);
    struct x64_skip s = x64_skip_if(c, cc);
    target_move(c, d, second);
    x64_skip_end(c, s);
}

void target_select(struct compiler *c, unsigned type, uint8_t cc, uint8_t d, struct value *a, struct value *b) {
    if (type_is_float(type)) {
        select_float(c, cc, d, a, b);
        return;
    }
    unsigned w = type_is_64(type);
    struct value *first = a, *second = b; /* d = first; if not cc: d = second */
    if (cc == CC_FNE) first = b, second = a, cc = CC_FEQ;
    struct value scratch = {.kind = V_REG, .type = (uint8_t)type, .reg = SCRATCH};
    if (reg_of(c, second) == d && reg_of(c, first) != d) {
        if (cc == CC_FEQ || is_imm(first)) {
            x64_mov_rr(&c->p, w, SCRATCH, d);
            second = &scratch;
        } else {
            struct value *t = first;
            first = second, second = t;
            cc ^= 1;
        }
    }
    if (is_imm(second)) {
        target_move(c, SCRATCH, second);
        second = &scratch;
    }
    target_move(c, d, first);
    if (cc == CC_FEQ) {
        cmov(c, w, CC_NE, d, second);
        cmov(c, w, CC_P, d, second);
    } else {
        cmov(c, w, cc ^ 1, d, second);
    }
}
