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

/* What a plain load or store moves, by opcode. */
struct moved {
    uint8_t access, type;
};
static bool moved_by(uint8_t op, struct moved *out) {
    static const struct moved by_op[] = {
        [WASM_OP_I32_LOAD] = {A_32, T_I32},      [WASM_OP_I64_LOAD] = {A_64, T_I64},      [WASM_OP_F32_LOAD] = {A_F32, T_F32},
        [WASM_OP_F64_LOAD] = {A_F64, T_F64},     [WASM_OP_I32_LOAD8_S] = {A_8S, T_I32},   [WASM_OP_I32_LOAD8_U] = {A_8U, T_I32},
        [WASM_OP_I32_LOAD16_S] = {A_16S, T_I32}, [WASM_OP_I32_LOAD16_U] = {A_16U, T_I32}, [WASM_OP_I64_LOAD8_S] = {A_8S, T_I64},
        [WASM_OP_I64_LOAD8_U] = {A_8U, T_I64},   [WASM_OP_I64_LOAD16_S] = {A_16S, T_I64}, [WASM_OP_I64_LOAD16_U] = {A_16U, T_I64},
        [WASM_OP_I64_LOAD32_S] = {A_32S, T_I64}, [WASM_OP_I64_LOAD32_U] = {A_32, T_I64},  [WASM_OP_I32_STORE] = {A_32, T_I32},
        [WASM_OP_I64_STORE] = {A_64, T_I64},     [WASM_OP_F32_STORE] = {A_F32, T_F32},    [WASM_OP_F64_STORE] = {A_F64, T_F64},
        [WASM_OP_I32_STORE8] = {A_8U, T_I32},    [WASM_OP_I32_STORE16] = {A_16U, T_I32},  [WASM_OP_I64_STORE8] = {A_8U, T_I64},
        [WASM_OP_I64_STORE16] = {A_16U, T_I64},  [WASM_OP_I64_STORE32] = {A_32, T_I64},
    };
    if (op >= ARRAY_COUNT(by_op) || !by_op[op].type) return false;
    *out = by_op[op];
    return true;
}
static bool is_store(uint8_t op) { return op >= WASM_OP_I32_STORE && op <= WASM_OP_I64_STORE32; }

/* The operand that the instruction at *q pushes, where that is a local or a small constant: it moves behind it. */
static bool simple_operand(const struct compiler *c, const uint8_t **q, struct value *v) {
    const uint8_t *p = *q;
    if (p[1] >= 0x80) return false;
    if (*p == WASM_OP_LOCAL_GET) {
        *v = (struct value){.kind = V_LOCAL, .type = c->locals[p[1]].type, .local = p[1]};
    } else if (*p == WASM_OP_I32_CONST && p[1] < 0x40) {
        *v = (struct value){.kind = V_IMM, .type = T_I32, .imm = p[1]};
    } else {
        return false;
    }
    *q = p + 2;
    return true;
}

/* base + (index << n), where the load or the store of a simple operand that follows is at offset 0: both are one instruction on most
 * targets. The base may be a constant: the sum wraps, as the addition does. */
static bool access_of_sum(struct compiler *c, struct value *base, struct value *index, unsigned n) {
    const uint8_t *q = c->pc;
    struct value stored;
    bool store = simple_operand(c, &q, &stored);
    struct moved m;
    if (!c->memory0_direct || !moved_by(*q, &m) || store != is_store(*q)) return false;
    if (store && c->pending) return false; /* it would come before a load that is still to be made */
    if (q[1] >= 0x40 || q[2] != 0) return false;
    if (reg_of(c, index) == NO_REG || (!is_imm(base) && reg_of(c, base) == NO_REG)) return false;
    c->op = q;
    c->pc = q + 3;
    hold(c, index);
    if (!is_imm(base)) hold(c, base);
    if (store) {
        target_store_sum(c, (enum access)m.access, base, index, n, &stored);
        release(c, base), release(c, index), release(c, &stored);
        return true;
    }
    uint8_t d = dest(c, m.type, base, index);
    target_load_sum(c, (enum access)m.access, m.type, d, base, index, n);
    finish(c, m.type, d, base, index);
    if (m.type == T_I32 && (m.access == A_8U || m.access == A_16U)) set_known_bits(c, m.access == A_8U ? 8 : 16);
    return true;
}

static bool is_load(uint8_t op) { return op >= WASM_OP_I32_LOAD && op <= WASM_OP_I64_LOAD32_U; }

/* a + constant, taken by a load of memory 0: part of its offset if the sum cannot wrap. */
static bool addend_of_load(struct compiler *c, const struct value *a, uint64_t imm) {
    unsigned bits = known_bits(a);
    if (!bits || !is_load(*c->pc) || !c->memory0_direct || c->pc[1] >= 0x40) return false;
    if (imm >= ABI_GUARD_BYTES / 2 || c->addend) return false;
    c->addend = (uint32_t)imm;
    push_value(c, a);
    return true;
}

/* index << n, constant, add, load: one instruction if nothing can wrap. */
static bool load_of_shifted(struct compiler *c, struct value *index, unsigned n) {
    unsigned bits = known_bits(index);
    if (!bits || bits + n > 31 || *c->pc != WASM_OP_I32_CONST || !c->memory0_direct) return false;
    const uint8_t *q = c->pc + 1;
    uint32_t base = (uint32_t)wasm_get_s32(&q);
    if (*q != WASM_OP_I32_ADD || !is_load(q[1]) || q[2] >= 0x40 || base >= ABI_GUARD_BYTES / 2) return false;
    struct moved m;
    if (!moved_by(q[1], &m)) return false;
    const uint8_t *op = ++q;
    q += 2;
    uint64_t disp = base + wasm_get_u64(&q);
    if (disp >= ABI_GUARD_BYTES / 2) return false;
    c->op = op;
    c->pc = q;
    uint8_t d = dest(c, m.type, index, NULL);
    target_load_scaled(c, (enum access)m.access, m.type, d, index->reg, n, (int32_t)disp);
    finish(c, m.type, d, index, NULL);
    return true;
}

/* Bits of a result, from what is known of the operands. */
static unsigned alu_bits(enum alu op, const struct value *a, const struct value *b) {
    if (is_imm(b) && op == ALU_AND && b->imm) return 32 - (unsigned)__builtin_clz((uint32_t)b->imm);
    return 0;
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
        if (op == ALU_ADD && type == T_I32 && addend_of_load(c, &a, b.imm)) return;
    }
    if (op == ALU_ADD && type == T_I32 && access_of_sum(c, &b, &a, 0)) return;
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
    unsigned bits = type == T_I32 ? alu_bits(op, &a, &b) : 0;
    uint8_t d = dest(c, type, &a, &b);
    target_alu(c, op, type_is_64(type), d, &a, &b);
    finish(c, type, d, &a, &b);
    set_known_bits(c, bits);
}

static unsigned shift_bits(enum shift op, unsigned bits, unsigned n) {
    if (op == SHIFT_SHL) return bits ? bits + n : 0;
    if (op != SHIFT_SHR_U || n == 0) return 0;
    bits = bits ? bits : 32;
    return bits > n ? bits - n : 1;
}

/* base + (index << n), and a load or store there */
static bool add_shifted(struct compiler *c, struct value *index, unsigned n) {
    if (*c->pc != WASM_OP_I32_ADD || c->sp[-1].kind == V_MEM) return false;
    struct value base = pop(c);
    c->pc++;
    hold(c, index);
    if (!is_imm(&base)) hold(c, &base);
    if (access_of_sum(c, &base, index, n)) return true;
    uint8_t d = dest(c, T_I32, index, &base);
    target_add_shifted(c, d, &base, index, n);
    finish(c, T_I32, d, index, &base);
    return true;
}

void emit_shift(struct compiler *c, enum shift op, unsigned type) {
    struct value b = pop(c), a = pop(c);
    took(c, &a, &b);
    unsigned bits = 0;
    if (is_imm(&b)) {
        b.imm &= type_is_64(type) ? 63 : 31;
        unsigned n = (unsigned)b.imm;
        if (type == T_I32 && op == SHIFT_SHL && n >= 1 && n <= 3 && load_of_shifted(c, &a, n)) return;
        if (type == T_I32) bits = shift_bits(op, known_bits(&a), n);
        if (op == SHIFT_SHL && type == T_I32 && n >= 1 && n <= 3 && add_shifted(c, &a, n)) return;
    }
    uint8_t d = dest(c, type, &a, NULL);
    target_shift(c, op, type_is_64(type), d, &a, &b);
    finish(c, type, d, &a, &b);
    set_known_bits(c, bits);
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
    bool zeroed = TARGET_SET_ZEROED && !uses_reg(c, &a, d) && !uses_reg(c, &b, d);
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
    bool zeroed = TARGET_SET_ZEROED && !uses_reg(c, &a, d);
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
    bool zeroed = TARGET_SET_ZEROED && !uses_reg(c, &a, d) && !uses_reg(c, &b, d);
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
