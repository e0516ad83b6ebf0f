/* emit_simd: the vector instructions, as far as they are the same on every target: which operands there are, which registers hold
 * them, where the result goes.
 *
 * A vector constant is an immediate; its bytes are in the function's body, or in the arena, and the operand says where. */
#include "baseline/baseline_int.h"

static void push_v128(struct compiler *c, const void *bytes) { push_imm(c, T_V128, (uintptr_t)bytes); }

void emit_v128_const(struct compiler *c) {
    push_v128(c, c->pc);
    c->pc += 16;
}

bool simd_folds(const struct compiler *c, const uint8_t *pc) {
    if (*pc != 0xfd) return false;
    return target_simd_folds(c, wasm_get_op(&pc));
}

void emit_simd(struct compiler *c, uint32_t op, unsigned n) {
    struct value v[3];
    for (unsigned i = n; i-- > 0;) v[i] = pop(c);
    took(c, &v[0], &v[n - 1]);
    unsigned temps = target_simd_temps(op);
    uint8_t t[2];
    bool all_held = temps != SIMD_NO_REGS;
    if (all_held)
        for (unsigned i = 0; i < n; i++) hold(c, &v[i]);
    else temps = 0;
    for (unsigned i = 0; i < temps; i++) t[i] = alloc(c, true);
    uint8_t d = dest(c, T_V128, &v[0], n > 1 ? &v[1] : NULL);
    target_simd(c, op, n, d, v, t);
    for (unsigned i = 0; i < temps; i++) release_reg(c, t[i]);
    if (n == 3) release_except(c, &v[2], d);
    finish(c, T_V128, d, &v[0], n > 1 ? &v[1] : NULL);
}

void emit_simd_shift(struct compiler *c, uint32_t op) {
    struct value n = pop(c), a = pop(c);
    hold(c, &a);
    uint8_t t = alloc(c, true), d = dest(c, T_V128, &a, NULL);
    target_simd_shift(c, op, d, &a, &n, t);
    release_reg(c, t);
    release(c, &n);
    finish(c, T_V128, d, &a, NULL);
}

/* any_true, all_true: as flags where the next instruction takes them. */
void emit_simd_test(struct compiler *c, uint32_t op) {
    struct value a = pop(c);
    hold(c, &a);
    unsigned eqz = 0;
    for (; *c->pc == WASM_OP_I32_EQZ; c->pc++) eqz++;
    if (*c->pc == WASM_OP_BR_IF || *c->pc == WASM_OP_IF || *c->pc == WASM_OP_SELECT) {
        uint8_t cc = target_simd_test(c, op, &a);
        release(c, &a);
        push_flags(c, cc ^ (eqz & 1));
        return;
    }
    uint8_t d = dest(c, T_I32, NULL, NULL);
    if (TARGET_SET_ZEROED) target_zero(c, d);
    uint8_t cc = target_simd_test(c, op, &a);
    target_set(c, d, cc ^ (eqz & 1), TARGET_SET_ZEROED);
    finish(c, T_I32, d, &a, NULL);
}

void emit_simd_bitmask(struct compiler *c, uint32_t op) {
    struct value a = pop(c);
    hold(c, &a);
    uint8_t d = dest(c, T_I32, NULL, NULL);
    target_simd_bitmask(c, op, d, &a);
    finish(c, T_I32, d, &a, NULL);
}

/* ---- lanes ---- */

static unsigned lane_bytes(uint32_t op) {
    switch (op) {
    case WASM_OP_I8X16_SPLAT: return 1;
    case WASM_OP_I16X8_SPLAT: return 2;
    case WASM_OP_I32X4_SPLAT:
    case WASM_OP_F32X4_SPLAT: return 4;
    default: return 8;
    }
}

void emit_simd_splat(struct compiler *c, uint32_t op) {
    struct value a = pop(c);
    if (is_imm(&a)) {
        unsigned n = lane_bytes(op);
        uint8_t *bytes = arena_array(c->arena, uint8_t, 16);
        for (unsigned i = 0; i < 16; i += n) memcpy(bytes + i, &a.imm, n);
        push_v128(c, bytes);
        return;
    }
    if (type_is_float(a.type)) hold(c, &a);
    else into_reg(c, &a);
    uint8_t d = dest(c, T_V128, &a, NULL);
    target_simd_splat(c, op, d, &a);
    finish(c, T_V128, d, &a, NULL);
}

void emit_simd_extract(struct compiler *c, uint32_t op, unsigned type) {
    uint8_t lane = *c->pc++;
    struct value a = pop(c);
    hold(c, &a);
    uint8_t d = dest(c, type, &a, NULL);
    target_simd_extract(c, op, lane, d, &a);
    finish(c, type, d, &a, NULL);
}

void emit_simd_replace(struct compiler *c, uint32_t op) {
    uint8_t lane = *c->pc++;
    struct value x = pop(c), a = pop(c);
    hold(c, &a);
    if (type_is_float(x.type)) hold(c, &x);
    else into_reg(c, &x);
    uint8_t d = dest(c, T_V128, &a, NULL);
    target_simd_replace(c, op, lane, d, &a, &x);
    finish(c, T_V128, d, &a, &x);
}

void emit_simd_shuffle(struct compiler *c) {
    uint8_t lanes[16];
    memcpy(lanes, c->pc, 16);
    c->pc += 16;
    struct value b = pop(c), a = pop(c);
    hold(c, &a), hold(c, &b);
    uint8_t d = dest(c, T_V128, &a, &b);
    target_simd_shuffle(c, lanes, d, &a, &b);
    finish(c, T_V128, d, &a, &b);
}

/* ---- memory ---- */

/* Loads that extend, splat or fill up with zeros. */
void emit_simd_load(struct compiler *c, uint32_t op) {
    struct wasm_memarg m = wasm_get_memarg(&c->pc);
    struct value addr = pop(c);
    if (!is_imm(&addr)) into_reg(c, &addr);
    uint8_t d = dest(c, T_V128, NULL, NULL);
    target_simd_load(c, op, m.memory, m.offset, d, &addr);
    finish(c, T_V128, d, &addr, NULL);
}

void emit_simd_load_lane(struct compiler *c, unsigned log2) {
    struct wasm_memarg m = wasm_get_memarg(&c->pc);
    uint8_t lane = *c->pc++;
    struct value a = pop(c), addr = pop(c);
    hold(c, &a);
    if (!is_imm(&addr)) into_reg(c, &addr);
    uint8_t d = dest(c, T_V128, &a, NULL);
    target_simd_load_lane(c, log2, lane, m.memory, m.offset, d, &addr, &a);
    finish(c, T_V128, d, &a, &addr);
}

void emit_simd_store_lane(struct compiler *c, unsigned log2) {
    struct wasm_memarg m = wasm_get_memarg(&c->pc);
    uint8_t lane = *c->pc++;
    struct value a = pop(c), addr = pop(c);
    hold(c, &a);
    if (!is_imm(&addr)) into_reg(c, &addr);
    target_simd_store_lane(c, log2, lane, m.memory, m.offset, &addr, &a);
    release(c, &a), release(c, &addr);
}
