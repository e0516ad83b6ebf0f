/* x64_div: division. By a constant it is a multiplication (Granlund and Montgomery; Hacker's Delight, chapter 10). */
#include "baseline/x64_int.h"

static bool owns(const struct value *v, uint8_t reg) { return v->kind == V_REG && v->reg == reg; }

/* Makes reg ours, where the popped a and b may own it already. */
static void take(struct compiler *c, uint8_t reg, const struct value *a, const struct value *b) {
    if (owns(a, reg) || owns(b, reg)) cache_kill(c, reg);
    else claim(c, reg);
}

/* rdx:rax = rax op divisor; the result stays in rax or rdx. */
static void divide(struct compiler *c, enum div op, unsigned w, uint8_t rb) {
    if (op == DIV_U || op == REM_U) {
        if (w) { /* 64-bit division is slow: use the short one when both are below 2^32 */
            x64_mov_rr(&c->p, 1, RDX, RAX);
            x64_alu_rr(&c->p, 1, X64_OR, RDX, rb);
            x64_shift_ri(&c->p, 1, X64_SHR, RDX, 32);
            uint8_t *wide = x64_jcc8(&c->p, CC_NE);
            x64_f7_r(&c->p, 0, X64_DIV, rb); /* edx is 0 */
            uint8_t *done = x64_jmp8(&c->p);
            x64_land(wide, c->p);
            x64_zero(&c->p, RDX);
            x64_f7_r(&c->p, 1, X64_DIV, rb);
            x64_land(done, c->p);
        } else {
            x64_zero(&c->p, RDX);
            x64_f7_r(&c->p, 0, X64_DIV, rb);
        }
        return;
    }
    uint8_t *minus_one = NULL, *done = NULL;
    if (op == REM_S) { /* INT_MIN % -1 is 0 and must not trap */
        x64_zero(&c->p, RDX);
        x64_alu_ri(&c->p, w, X64_CMP, rb, -1);
        minus_one = x64_jcc8(&c->p, CC_E);
    }
    uint8_t *narrow = NULL;
    if (w) {
        x64_mov_rr(&c->p, 1, RDX, RAX);
        x64_alu_rr(&c->p, 1, X64_OR, RDX, rb);
        x64_shift_ri(&c->p, 1, X64_SHR, RDX, 32);
        uint8_t *wide = x64_jcc8(&c->p, CC_NE);
        x64_f7_r(&c->p, 0, X64_DIV, rb);
        narrow = x64_jmp8(&c->p);
        x64_land(wide, c->p);
        *c->p++ = 0x48;
    }
    *c->p++ = 0x99; /* cdq, cqo */
    if (op == DIV_S) site(c, ABI_SITE_DIVIDE);
    x64_f7_r(&c->p, w, X64_IDIV, rb);
    if (narrow) x64_land(narrow, c->p);
    (void)done;
    if (minus_one) x64_land(minus_one, c->p);
}

static void general(struct compiler *c, enum div op, unsigned type, struct value *a, struct value *b) {
    unsigned w = type_is_64(type);
    if (reg_of(c, b) != NO_REG) hold(c, b); /* else what moves out of rax or rdx may move over its cache */
    uint8_t rb = reg_of(c, b);
    bool checked = is_imm(b) && b->imm != 0;
    if (rb == NO_REG || rb == RAX || rb == RDX) {
        target_move(c, SCRATCH, b);
        rb = SCRATCH;
    }
    take(c, RAX, a, b);
    take(c, RDX, a, b);
    target_move(c, RAX, a);
    if (!checked) {
        x64_test_rr(&c->p, w, rb, rb);
        target_jump(c, CC_E, trap_stub(c, ABI_TRAP_INTEGER_DIVIDE_BY_ZERO));
    }
    divide(c, op, w, rb);
    release(c, a), release(c, b);
    uint8_t r = op == DIV_S || op == DIV_U ? RAX : RDX;
    c->free = (c->free | bit(RAX) | bit(RDX)) & ~bit(r);
    push_reg(c, type, r);
}

/* d = x - q * v, where q is in the register `q`, x in `x`. */
static void remainder_of(struct compiler *c, unsigned w, uint8_t d, uint8_t q, uint8_t x, uint64_t v) {
    if (w && (int64_t)v != (int32_t)v) {
        x64_mov_ri(&c->p, SCRATCH, v);
        x64_imul_rr(&c->p, 1, q, SCRATCH);
    } else {
        x64_imul_rri(&c->p, w, q, q, (int32_t)v);
    }
    if (d == x) {
        x64_alu_rr(&c->p, w, X64_SUB, d, q);
    } else if (d == q) {
        x64_f7_r(&c->p, w, X64_NEG, d);
        x64_alu_rr(&c->p, w, X64_ADD, d, x);
    } else {
        x64_mov_rr(&c->p, w, d, x);
        x64_alu_rr(&c->p, w, X64_SUB, d, q);
    }
}

static void power_of_two_unsigned(struct compiler *c, bool rem, unsigned type, struct value *a, unsigned n) {
    struct value k = {.kind = V_IMM, .type = (uint8_t)type, .imm = rem ? (1ull << n) - 1 : n};
    uint8_t d = dest(c, type, a, NULL);
    if (rem) target_alu(c, ALU_AND, type_is_64(type), d, a, &k);
    else target_shift(c, SHIFT_SHR_U, type_is_64(type), d, a, &k);
    finish(c, type, d, a, NULL);
}

/* q = x / 2^n rounded towards zero, into the scratch register. */
static void power_of_two_signed(struct compiler *c, bool rem, unsigned type, struct value *a, unsigned n) {
    unsigned w = type_is_64(type), bits = w ? 64 : 32;
    uint8_t x = into_reg(c, a);
    x64_mov_rr(&c->p, w, SCRATCH, x);
    if (n > 1) x64_shift_ri(&c->p, w, X64_SAR, SCRATCH, (uint8_t)(bits - 1));
    x64_shift_ri(&c->p, w, X64_SHR, SCRATCH, (uint8_t)(bits - n));
    x64_alu_rr(&c->p, w, X64_ADD, SCRATCH, x); /* x + (x < 0 ? 2^n - 1 : 0) */
    uint8_t d = dest(c, type, a, NULL);
    x = reg_of(c, a);
    if (x == NO_REG) { /* only its cache held it */
        target_move(c, d, a);
        x = d;
    }
    if (rem) {
        x64_shift_ri(&c->p, w, X64_SAR, SCRATCH, (uint8_t)n);
        x64_shift_ri(&c->p, w, X64_SHL, SCRATCH, (uint8_t)n);
        if (d != x) x64_mov_rr(&c->p, w, d, x);
        x64_alu_rr(&c->p, w, X64_SUB, d, SCRATCH);
    } else {
        x64_shift_ri(&c->p, w, X64_SAR, SCRATCH, (uint8_t)n);
        x64_mov_rr(&c->p, w, d, SCRATCH);
    }
    finish(c, type, d, a, NULL);
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

static void by_magic_u32(struct compiler *c, bool rem, struct value *a, uint32_t v, uint32_t m, unsigned s) {
    uint8_t x = into_reg(c, a);
    x64_mov_ri(&c->p, SCRATCH, m);
    x64_imul_rr(&c->p, 1, SCRATCH, x);
    x64_shift_ri(&c->p, 1, X64_SHR, SCRATCH, (uint8_t)(32 + s));
    if (rem) x64_imul_rri(&c->p, 0, SCRATCH, SCRATCH, (int32_t)v);
    uint8_t d = dest(c, T_I32, a, NULL);
    if (rem) {
        target_move(c, d, a);
        x64_alu_rr(&c->p, 0, X64_SUB, d, SCRATCH);
    } else {
        x64_mov_rr(&c->p, 0, d, SCRATCH);
    }
    finish(c, T_I32, d, a, NULL);
}

/* Unsigned 32-bit x / v = high 64 bits of x * ceil(2^64 / v). */
static void by_constant_u32(struct compiler *c, bool rem, struct value *a, uint32_t v) {
    struct value none = {.kind = V_IMM};
    uint8_t x = into_reg(c, a);
    take(c, RAX, a, &none);
    take(c, RDX, a, &none);
    if (x == RAX || x == RDX) {
        x64_mov_rr(&c->p, 0, SCRATCH, x);
        x = SCRATCH;
    } else if (reg_of(c, a) == NO_REG) {
        target_move(c, SCRATCH, a);
        x = SCRATCH;
    }
    x64_mov_ri(&c->p, RAX, UINT64_MAX / v + 1);
    x64_f7_r(&c->p, 1, X64_MUL, x);
    uint8_t r = RDX;
    if (rem) {
        x64_imul_rri(&c->p, 0, RDX, RDX, (int32_t)v);
        x64_mov_rr(&c->p, 0, RAX, x);
        x64_alu_rr(&c->p, 0, X64_SUB, RAX, RDX);
        r = RAX;
    }
    release(c, a);
    c->free = (c->free | bit(RAX) | bit(RDX)) & ~bit(r);
    push_reg(c, T_I32, r);
}

/* Signed 32-bit: x * m >> 32 + s, plus one if x is negative, m and s as in Hacker's Delight 10-1. */
static void by_constant_s32(struct compiler *c, bool rem, struct value *a, int32_t v) {
    uint32_t ad = v < 0 ? 0u - (uint32_t)v : (uint32_t)v, s = 31 - (uint32_t)__builtin_clz(ad);
    uint64_t m = (1ull << (32 + s)) / ad + 1; /* below 2^33 */
    uint8_t x = into_temp(c, a), q = alloc(c, false);
    x64_movsxd(&c->p, SCRATCH, x);
    x64_mov_ri(&c->p, q, m);
    x64_imul_rr(&c->p, 1, q, SCRATCH);
    x64_shift_ri(&c->p, 1, X64_SAR, q, (uint8_t)(32 + s));
    x64_shift_ri(&c->p, 0, X64_SAR, SCRATCH, 31);
    x64_alu_rr(&c->p, 0, X64_SUB, q, SCRATCH);
    if (v < 0) x64_f7_r(&c->p, 0, X64_NEG, q);
    if (rem) {
        remainder_of(c, 0, x, q, x, (uint64_t)(int64_t)v);
        release_reg(c, q);
        push_reg(c, T_I32, x);
    } else {
        release_reg(c, x);
        push_reg(c, T_I32, q);
    }
}

/* Unsigned 64-bit, by the 65-bit magic number: q = mulhi(x, m); ((x - q) >> 1) + q >> s - 1. */
static void by_constant_u64(struct compiler *c, bool rem, struct value *a, uint64_t v) {
    struct value none = {.kind = V_IMM};
    unsigned s = 64 - (unsigned)__builtin_clzll(v - 1);
    unsigned __int128 pow = (unsigned __int128)1 << 64;
    uint64_t m = (uint64_t)((pow * ((s == 64 ? pow : pow >> (64 - s)) - v)) / v + 1);
    uint8_t x = into_reg(c, a);
    take(c, RAX, a, &none);
    take(c, RDX, a, &none);
    if (x == RAX || x == RDX || reg_of(c, a) == NO_REG) {
        if (reg_of(c, a) == NO_REG) target_move(c, SCRATCH, a);
        else x64_mov_rr(&c->p, 1, SCRATCH, x);
        x = SCRATCH;
    }
    x64_mov_ri(&c->p, RAX, m);
    x64_f7_r(&c->p, 1, X64_MUL, x);
    x64_mov_rr(&c->p, 1, RAX, x);
    x64_alu_rr(&c->p, 1, X64_SUB, RAX, RDX);
    x64_shift_ri(&c->p, 1, X64_SHR, RAX, 1);
    x64_alu_rr(&c->p, 1, X64_ADD, RAX, RDX);
    if (s > 1) x64_shift_ri(&c->p, 1, X64_SHR, RAX, (uint8_t)(s - 1));
    uint8_t r = RAX;
    if (rem) {
        if ((int64_t)v != (int32_t)v) {
            x64_mov_ri(&c->p, RDX, v);
            x64_imul_rr(&c->p, 1, RAX, RDX);
        } else {
            x64_imul_rri(&c->p, 1, RAX, RAX, (int32_t)v);
        }
        x64_mov_rr(&c->p, 1, RDX, x);
        x64_alu_rr(&c->p, 1, X64_SUB, RDX, RAX);
        r = RDX;
    }
    release(c, a);
    c->free = (c->free | bit(RAX) | bit(RDX)) & ~bit(r);
    push_reg(c, T_I64, r);
}

static bool by_constant(struct compiler *c, enum div op, unsigned type, struct value *a, uint64_t v) {
    bool rem = op == REM_S || op == REM_U;
    uint32_t m;
    unsigned s;
    if (is_imm(a) || v == 0) return false;
    if (op == DIV_U || op == REM_U) {
        if (!(v & (v - 1))) power_of_two_unsigned(c, rem, type, a, (unsigned)__builtin_ctzll(v));
        else if (type == T_I32 && magic_u32((uint32_t)v, &m, &s)) by_magic_u32(c, rem, a, (uint32_t)v, m, s);
        else if (type == T_I32) by_constant_u32(c, rem, a, (uint32_t)v);
        else by_constant_u64(c, rem, a, v);
        return true;
    }
    int64_t sv = type == T_I32 ? (int32_t)v : (int64_t)v;
    if (sv > 1 && !(sv & (sv - 1))) {
        power_of_two_signed(c, rem, type, a, (unsigned)__builtin_ctzll((uint64_t)sv));
        return true;
    }
    if (type != T_I32 || (sv >= -1 && sv <= 1) || sv == INT32_MIN) return false;
    if (sv < 0 && !((-sv) & (-sv - 1))) return false;
    by_constant_s32(c, rem, a, (int32_t)sv);
    return true;
}

void target_div(struct compiler *c, enum div op, unsigned type, struct value *a, struct value *b) {
    if (is_imm(b) && by_constant(c, op, type, a, b->imm)) return;
    general(c, op, type, a, b);
}
