/* emit_memory: loads, stores and the bulk instructions on memories. */
#include "baseline/baseline_int.h"

/* An instruction that can take a load as its operand. */
static bool folds_load(uint8_t op) {
    static const uint8_t ok[256] = {
        [WASM_OP_I32_EQZ... WASM_OP_F64_GE] = 1,  [WASM_OP_I32_ADD... WASM_OP_I32_MUL] = 1,
        [WASM_OP_I32_AND... WASM_OP_I32_XOR] = 1, [WASM_OP_I64_ADD... WASM_OP_I64_MUL] = 1,
        [WASM_OP_I64_AND... WASM_OP_I64_XOR] = 1, [WASM_OP_F32_ADD... WASM_OP_F32_DIV] = 1,
        [WASM_OP_F64_ADD... WASM_OP_F64_DIV] = 1,
    };
    return ok[op];
}

/* The load is worth keeping lazy: its consumer is next, or next but a constant or local. */
static bool consumer_follows(const struct compiler *c, unsigned type) {
    const uint8_t *pc = c->pc;
    if (type == T_V128) return simd_folds(c, *pc == WASM_OP_LOCAL_GET && pc[1] < 0x80 ? pc + 2 : pc);
    if (folds_load(pc[0])) return true;
    bool pushes = pc[0] == WASM_OP_LOCAL_GET || pc[0] == WASM_OP_I32_CONST || pc[0] == WASM_OP_I64_CONST;
    return pushes && pc[1] < 0x80 && folds_load(pc[2]);
}

static bool load_lazily(struct compiler *c, unsigned type, const struct wasm_memarg *m, struct value *addr) {
    if (!consumer_follows(c, type)) return false;
    if (!c->memory0_direct || m->memory != 0 || m->offset + 16 > ABI_GUARD_BYTES) return false;
    struct value v = {.kind = V_MEM, .type = (uint8_t)type, .reg = NO_REG};
    v.disp = (int32_t)m->offset;
    v.wasm_offset = op_offset(c);
    if (is_imm(addr)) {
        if (addr->imm + m->offset > INT32_MAX) return false;
        v.disp = (int32_t)(addr->imm + m->offset);
    } else {
        if (addr->kind == V_LOCAL && c->locals[addr->local].reg == NO_REG) into_temp(c, addr);
        v.reg = into_reg(c, addr);
        v.owned = addr->kind == V_REG;
    }
    push_value(c, &v);
    c->pending = true;
    attention_needed(c);
    return true;
}

void emit_load(struct compiler *c, enum access a, unsigned type) {
    struct wasm_memarg m = wasm_get_memarg(&c->pc);
    m.offset += c->addend;
    c->addend = 0;
    struct value addr = pop(c);
    bool full = a == A_64 || a == A_F32 || a == A_F64 || a == A_V128 || (a == A_32 && type == T_I32);
    if (full && load_lazily(c, type, &m, &addr)) return;
    if (!is_imm(&addr)) into_reg(c, &addr);
    uint8_t d = dest(c, type, &addr, NULL);
    target_load(c, a, type, m.memory, m.offset, d, &addr);
    finish(c, type, d, &addr, NULL);
    if (type == T_I32 && (a == A_8U || a == A_16U)) set_known_bits(c, a == A_8U ? 8 : 16);
}

void emit_store(struct compiler *c, enum access a, unsigned type) {
    struct wasm_memarg m = wasm_get_memarg(&c->pc);
    struct value v = pop(c), addr = pop(c);
    target_store_memory(c, a, m.memory, m.offset, &addr, &v);
    release(c, &addr), release(c, &v);
}

static unsigned address_type(const struct compiler *c, uint32_t memory) {
    return c->m->memories[memory].limits.is64 ? T_I64 : T_I32;
}

void emit_memory_size(struct compiler *c) {
    uint32_t memory = wasm_get_u32(&c->pc);
    unsigned type = address_type(c, memory);
    uint8_t d = dest(c, type, NULL, NULL);
    target_memory_size(c, memory, d);
    finish(c, type, d, NULL, NULL);
}

/* A runtime call's -1 as an i32. */
static void narrow_result(struct compiler *c) {
    struct value *v = c->sp - 1;
    target_unary(c, UN_WRAP, 0, v->reg, v);
}

void emit_memory_grow(struct compiler *c) {
    uint32_t memory = wasm_get_u32(&c->pc);
    unsigned type = address_type(c, memory);
    uint32_t lead[] = {c->layout->instance, memory};
    emit_rtcall(c, ABI_RT_MEMORY_GROW, lead, 2, 1, type);
    if (type == T_I32) narrow_result(c);
}

/* The size on top is none that the target's helper is known to refuse. */
static bool bulk_helps(const struct compiler *c) {
    return c->memory0_direct && !(is_imm(c->sp - 1) && c->sp[-1].imm > BULK_BYTES_MAX);
}

/* Of a small constant size: inline. */
void emit_memory_copy(struct compiler *c) {
    uint32_t to = wasm_get_u32(&c->pc), from = wasm_get_u32(&c->pc);
    if (to == 0 && from == 0 && is_imm(c->sp - 1)) {
        struct value n = pop(c), src = pop(c), dst = pop(c);
        into_temp(c, &dst), into_temp(c, &src);
        if (target_copy_small(c, &dst, &src, n.imm)) {
            release(c, &dst), release(c, &src);
            return;
        }
        c->sp += 3; /* in temporaries now, which the operands own */
        value_in_reg(c->sp - 3, dst.reg);
        value_in_reg(c->sp - 2, src.reg);
        if (c->floor > c->sp - 3) c->floor = c->sp - 3;
    }
    uint32_t lead[] = {c->layout->instance, to, from};
    if (to == 0 && from == 0 && bulk_helps(c)) emit_bulk(c, false, lead, 3);
    else emit_rtcall(c, ABI_RT_MEMORY_COPY, lead, 3, 3, 0);
}

void emit_memory_fill(struct compiler *c) {
    uint32_t memory = wasm_get_u32(&c->pc);
    if (memory == 0 && is_imm(c->sp - 1) && is_imm(c->sp - 2)) {
        struct value n = pop(c), byte = pop(c), dst = pop(c);
        into_temp(c, &dst);
        if (target_fill_small(c, &dst, byte.imm, n.imm)) {
            release(c, &dst);
            return;
        }
        c->sp += 3;
        value_in_reg(c->sp - 3, dst.reg);
        if (c->floor > c->sp - 3) c->floor = c->sp - 3;
    }
    uint32_t lead[] = {c->layout->instance, memory};
    if (memory == 0 && bulk_helps(c)) emit_bulk(c, true, lead, 2);
    else emit_rtcall(c, ABI_RT_MEMORY_FILL, lead, 2, 3, 0);
}

void emit_memory_init(struct compiler *c) {
    uint32_t data = wasm_get_u32(&c->pc), memory = wasm_get_u32(&c->pc);
    uint32_t lead[] = {c->layout->instance, memory, data};
    emit_rtcall(c, ABI_RT_MEMORY_INIT, lead, 3, 3, 0);
}

void emit_data_drop(struct compiler *c) {
    uint32_t lead[] = {c->layout->instance, wasm_get_u32(&c->pc)};
    emit_rtcall(c, ABI_RT_DATA_DROP, lead, 2, 0, 0);
}

void emit_data_run(struct compiler *c) {
    uint32_t data = wasm_get_u32(&c->pc), n = wasm_get_u32(&c->pc);
    uint32_t lead[] = {c->layout->instance, data, n};
    emit_rtcall(c, ABI_RT_DATA_RUN, lead, 3, 0, 0);
}
