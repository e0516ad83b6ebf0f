/* emit_int: integer arithmetic, comparisons, select. */
#include "baseline/baseline_int.h"

static void swap(struct value *a, struct value *b) {
    struct value t = *a;
    *a = *b;
    *b = t;
}

static bool fold(enum alu op, unsigned type, uint64_t x, uint64_t y, uint64_t *out) {
    uint64_t v = 0;
    switch (op) {
    case ALU_ADD: v = x + y; break;
    case ALU_SUB: v = x - y; break;
    case ALU_AND: v = x & y; break;
    case ALU_OR: v = x | y; break;
    case ALU_XOR: v = x ^ y; break;
    case ALU_MUL: v = x * y; break;
    }
    *out = type_is_64(type) ? v : (uint32_t)v;
    return true;
}

/* How many eqz follow; they are taken. */
static unsigned take_eqz(struct compiler *c) {
    unsigned n = 0;
    for (; *c->pc == WASM_OP_I32_EQZ; c->pc++) n++;
    return n;
}
/* The next instruction is one that takes a condition from the flags. */
static bool flags_wanted(const struct compiler *c) {
    return *c->pc == WASM_OP_BR_IF || *c->pc == WASM_OP_IF || *c->pc == WASM_OP_SELECT;
}

/* base + (index << 1..3), and a load from there: both are one instruction on most targets. */
static bool load_of_sum(struct compiler *c, struct value *a, struct value *b) {
    if (!c->memory0_direct) return false;
    enum access access;
    unsigned type;
    switch (*c->pc) {
    case WASM_OP_I32_LOAD: access = A_32, type = T_I32; break;
    case WASM_OP_I64_LOAD: access = A_64, type = T_I64; break;
    case WASM_OP_F32_LOAD: access = A_F32, type = T_F32; break;
    case WASM_OP_F64_LOAD: access = A_F64, type = T_F64; break;
    case WASM_OP_I32_LOAD8_S: access = A_8S, type = T_I32; break;
    case WASM_OP_I32_LOAD8_U: access = A_8U, type = T_I32; break;
    case WASM_OP_I32_LOAD16_S: access = A_16S, type = T_I32; break;
    case WASM_OP_I32_LOAD16_U: access = A_16U, type = T_I32; break;
    default: return false;
    }
    if (c->pc[1] >= 0x40 || c->pc[2] != 0) return false;
    if (reg_of(c, a) == NO_REG || reg_of(c, b) == NO_REG) return false;
    c->op = c->pc;
    c->pc += 3;
    uint8_t d = dest(c, type, a, b);
    target_load_sum(c, access, d, a, b, 0);
    finish(c, type, d, a, b);
    return true;
}

void emit_alu(struct compiler *c, enum alu op, unsigned type) {
    struct value b = pop(c), a = pop(c);
    took(c, &a, &b);
    if (op != ALU_SUB && (is_imm(&a) || (b.kind == V_REG && a.kind != V_REG))) swap(&a, &b);
    if (is_imm(&b)) {
        uint64_t v;
        if (is_imm(&a) && fold(op, type, a.imm, b.imm, &v)) {
            push_imm(c, type, v);
            return;
        }
    } else if (op == ALU_ADD && type == T_I32 && load_of_sum(c, &a, &b)) {
        return;
    }
    if (op == ALU_AND) {
        const uint8_t *pc = c->pc;
        unsigned eqz = 0;
        if (type == T_I64) { /* the conditions take an i32: only eqz makes one */
            if (*c->pc == WASM_OP_I64_EQZ) c->pc++, eqz = 1 + take_eqz(c);
        } else {
            eqz = take_eqz(c);
        }
        if (flags_wanted(c) && (type == T_I32 || eqz)) {
            uint8_t cc = target_test_bits(c, type_is_64(type), &a, &b);
            release(c, &a), release(c, &b);
            push_flags(c, cc ^ (eqz & 1));
            return;
        }
        c->pc = pc;
    }
    uint8_t d = dest(c, type, &a, &b);
    target_alu(c, op, type_is_64(type), d, &a, &b);
    finish(c, type, d, &a, &b);
}

void emit_shift(struct compiler *c, enum shift op, unsigned type) {
    struct value b = pop(c), a = pop(c);
    took(c, &a, &b);
    if (is_imm(&b)) {
        b.imm &= type_is_64(type) ? 63 : 31;
        /* base + (index << n) */
        if (op == SHIFT_SHL && type == T_I32 && b.imm >= 1 && b.imm <= 3 && *c->pc == WASM_OP_I32_ADD) {
            struct value *base = c->sp - 1;
            if (base->kind != V_MEM) {
                struct value x = pop(c);
                c->pc++;
                into_reg(c, &a);
                if (!is_imm(&x)) into_reg(c, &x);
                if (*c->pc == WASM_OP_I32_LOAD && c->pc[1] < 0x40 && c->pc[2] == 0 && !is_imm(&x) &&
                    c->memory0_direct) {
                    c->op = c->pc;
                    c->pc += 3;
                    uint8_t d = dest(c, T_I32, &x, &a);
                    target_load_sum(c, A_32, d, &x, &a, (unsigned)b.imm);
                    finish(c, T_I32, d, &x, &a);
                    return;
                }
                uint8_t d = dest(c, T_I32, &a, &x);
                target_add_shifted(c, d, &x, &a, (unsigned)b.imm);
                finish(c, T_I32, d, &a, &x);
                return;
            }
        }
    }
    uint8_t d = dest(c, type, &a, NULL);
    target_shift(c, op, type_is_64(type), d, &a, &b);
    finish(c, type, d, &a, &b);
}

void emit_div(struct compiler *c, enum div op, unsigned type) {
    struct value b = pop(c), a = pop(c);
    target_div(c, op, type, &a, &b);
}

void emit_unary(struct compiler *c, enum unary op, unsigned from, unsigned to) {
    struct value a = pop(c);
    took(c, &a, &a);
    if (op == UN_ZEXT32 && (a.kind == V_IMM || a.kind == V_REG)) { /* i32 are zero-extended already */
        a.type = T_I64;
        push_value(c, &a);
        return;
    }
    uint8_t d = dest(c, to, &a, NULL);
    target_unary(c, op, type_is_64(from) | (unsigned)(to == T_I64), d, &a);
    finish(c, to, d, &a, NULL);
}

/* The condition cc, inverted if asked: as flags where the next instruction takes them, else as a number. */
static bool uses_reg(const struct compiler *c, const struct value *v, uint8_t d) {
    return reg_of(c, v) == d || (v->kind == V_MEM && v->reg == d);
}

void emit_compare(struct compiler *c, enum cond cond, unsigned type) {
    struct value b = pop(c), a = pop(c);
    took(c, &a, &b);
    unsigned eqz = take_eqz(c);
    if (flags_wanted(c)) {
        uint8_t cc = target_compare(c, cond, type_is_64(type), &a, &b);
        release(c, &a), release(c, &b);
        push_flags(c, cc ^ (eqz & 1));
        return;
    }
    uint8_t d = dest(c, T_I32, &a, &b);
    bool zeroed = !uses_reg(c, &a, d) && !uses_reg(c, &b, d);
    if (zeroed) target_zero(c, d);
    uint8_t cc = target_compare(c, cond, type_is_64(type), &a, &b);
    target_set(c, d, cc ^ (eqz & 1), zeroed);
    finish(c, T_I32, d, &a, &b);
}

void emit_eqz(struct compiler *c, unsigned type) {
    struct value a = pop(c);
    took(c, &a, &a);
    unsigned eqz = 1 + take_eqz(c);
    if (flags_wanted(c)) {
        uint8_t cc = target_test(c, type_is_64(type), &a);
        release(c, &a);
        push_flags(c, cc ^ (eqz & 1));
        return;
    }
    uint8_t d = dest(c, T_I32, &a, NULL);
    bool zeroed = !uses_reg(c, &a, d);
    if (zeroed) target_zero(c, d);
    uint8_t cc = target_test(c, type_is_64(type), &a);
    target_set(c, d, cc ^ (eqz & 1), zeroed);
    finish(c, T_I32, d, &a, NULL);
}

void emit_fcompare(struct compiler *c, enum fcond cond, unsigned type) {
    struct value b = pop(c), a = pop(c);
    took(c, &a, &b);
    unsigned eqz = take_eqz(c);
    if (flags_wanted(c)) {
        uint8_t cc = target_fcompare(c, cond, type, &a, &b);
        release(c, &a), release(c, &b);
        push_flags(c, cc ^ (eqz & 1));
        return;
    }
    uint8_t d = dest(c, T_I32, &a, &b);
    bool zeroed = !uses_reg(c, &a, d) && !uses_reg(c, &b, d);
    if (zeroed) target_zero(c, d);
    uint8_t cc = target_fcompare(c, cond, type, &a, &b);
    target_set(c, d, cc ^ (eqz & 1), zeroed);
    finish(c, T_I32, d, &a, &b);
}

void emit_select(struct compiler *c) {
    struct value v = pop(c);
    uint8_t cc = v.kind == V_FLAGS ? v.reg : target_test(c, 0, &v);
    c->flags_live = true;
    release(c, &v);
    struct value b = pop(c), a = pop(c);
    unsigned type = a.type;
    uint8_t d = dest(c, type, &a, &b);
    target_select(c, type, cc, d, &a, &b);
    c->flags_live = false;
    finish(c, type, d, &a, &b);
}
