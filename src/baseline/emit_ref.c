/* emit_ref: locals, globals, tables, references. */
#include "baseline/baseline_int.h"

/* v goes to a local that has no register; a temporary keeps it too. */
static void set_in_slot(struct compiler *c, uint32_t index, struct value *v, bool tee) {
    struct local *l = &c->locals[index];
    if (v->kind == V_SLOT || v->kind == V_MEM || (v->kind == V_LOCAL && reg_of(c, v) == NO_REG)) into_reg_slow(c, v);
    cache_drop(c, l);
    target_store(c, v, l->slot);
    if (v->kind == V_REG) {
        cache_set(c, v->reg, index);
        if (!tee) release(c, v);
    }
    if (tee) push_value(c, v);
}

void emit_local_set(struct compiler *c, bool tee) {
    uint32_t index = wasm_get_u32(&c->pc);
    struct value v = pop(c);
    if (v.kind == V_LOCAL && v.local == index) {
        if (tee) push_local(c, index);
        return;
    }
    took(c, &v, &v);
    unlazy(c, index);
    struct local *l = &c->locals[index];
    if (l->reg == NO_REG) {
        set_in_slot(c, index, &v, tee);
        return;
    }
    target_move(c, l->reg, &v);
    release(c, &v);
    c->synced &= ~bit(l->reg);
    if (tee) push_local(c, index);
}

void emit_global_get(struct compiler *c) {
    uint32_t index = wasm_get_u32(&c->pc);
    unsigned type = type_of(c->m->globals[index].type);
    uint8_t d = dest(c, type, NULL, NULL);
    target_global_get(c, index, d);
    finish(c, type, d, NULL, NULL);
}

void emit_global_set(struct compiler *c) {
    uint32_t index = wasm_get_u32(&c->pc);
    struct value v = pop(c);
    target_global_set(c, index, &v);
    release(c, &v);
}

void emit_table_get(struct compiler *c) {
    uint32_t table = wasm_get_u32(&c->pc);
    struct value index = pop(c);
    if (!is_imm(&index)) into_reg(c, &index);
    uint8_t d = dest(c, T_REF, &index, NULL);
    target_table_get(c, table, d, &index);
    finish(c, T_REF, d, &index, NULL);
}

void emit_table_set(struct compiler *c) {
    uint32_t table = wasm_get_u32(&c->pc);
    struct value v = pop(c), index = pop(c);
    target_table_set(c, table, &index, &v);
    release(c, &v), release(c, &index);
}

static unsigned index_type(const struct compiler *c, uint32_t table) { return c->m->tables[table].limits.is64 ? T_I64 : T_I32; }

static void table_grow(struct compiler *c, uint32_t inst) {
    uint32_t lead[] = {inst, wasm_get_u32(&c->pc)};
    unsigned type = index_type(c, lead[1]);
    emit_rtcall(c, ABI_RT_TABLE_GROW, lead, 2, 2, type);
    if (type == T_I32) target_unary(c, UN_WRAP, 0, c->sp[-1].reg, c->sp - 1);
}

void emit_table_call(struct compiler *c, enum abi_rtcall rt) {
    uint32_t lead[3] = {c->layout->instance};
    switch (rt) {
    case ABI_RT_TABLE_SIZE: {
        uint32_t table = wasm_get_u32(&c->pc);
        uint8_t d = dest(c, index_type(c, table), NULL, NULL);
        target_table_size(c, table, d);
        finish(c, index_type(c, table), d, NULL, NULL);
        break;
    }
    case ABI_RT_TABLE_GROW: table_grow(c, lead[0]); break;
    case ABI_RT_TABLE_FILL:
        lead[1] = wasm_get_u32(&c->pc);
        emit_rtcall(c, rt, lead, 2, 3, 0);
        break;
    case ABI_RT_TABLE_COPY:
        lead[1] = wasm_get_u32(&c->pc), lead[2] = wasm_get_u32(&c->pc);
        emit_rtcall(c, rt, lead, 3, 3, 0);
        break;
    case ABI_RT_TABLE_INIT: /* the element segment comes first in the code */
        lead[2] = wasm_get_u32(&c->pc), lead[1] = wasm_get_u32(&c->pc);
        emit_rtcall(c, rt, lead, 3, 3, 0);
        break;
    default: /* ELEM_DROP */
        lead[1] = wasm_get_u32(&c->pc);
        emit_rtcall(c, rt, lead, 2, 0, 0);
        break;
    }
}

void emit_ref_null(struct compiler *c) {
    wasm_get_heap(&c->pc);
    push_imm(c, T_REF, 0);
}

void emit_ref_func(struct compiler *c) {
    uint32_t f = wasm_get_u32(&c->pc);
    needs_record(c, f);
    uint8_t d = dest(c, T_REF, NULL, NULL);
    target_ref_func(c, f, d);
    finish(c, T_REF, d, NULL, NULL);
}

void emit_ref_as_non_null(struct compiler *c) {
    struct value *v = c->sp - 1;
    target_jump(c, target_test(c, 1, v) ^ 1, trap_stub(c, ABI_TRAP_NULL_REFERENCE));
}

/* The init functions' own instruction: u32 segment, u32 index; the reference on top becomes that element. */
void emit_elem_set(struct compiler *c) {
    uint32_t lead[] = {c->layout->instance, wasm_get_u32(&c->pc), wasm_get_u32(&c->pc)};
    emit_rtcall(c, ABI_RT_ELEM_SET, lead, 3, 1, 0);
}

void emit_drop(struct compiler *c) {
    struct value v = pop(c);
    release(c, &v);
}
