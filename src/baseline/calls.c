/* calls: wasm calls and runtime calls.
 *
 * A callee's frame starts at the slot of its first argument. Arguments in registers leave their slots empty. The first result
 * comes in a register, the others in the slots of the callee's frame: where the caller's operands belong anyway. */
#include "baseline/baseline_int.h"

struct moves {
    uint8_t d[TARGET_INT_ARGS + TARGET_FLOAT_ARGS], s[TARGET_INT_ARGS + TARGET_FLOAT_ARGS];
    uint8_t type[TARGET_INT_ARGS + TARGET_FLOAT_ARGS];
    unsigned n;
};

/* Moves between registers as if all at once; a cycle is broken by a scratch register. */
static void move_all(struct compiler *c, struct moves *m) {
    while (m->n) {
        unsigned i = 0, j = 0;
        for (; i < m->n; i++) {
            for (j = 0; j < m->n && (j == i || m->s[j] != m->d[i]); j++) {}
            if (j == m->n) break;
        }
        if (i == m->n) {
            uint8_t scratch = type_is_float(m->type[0]) ? TARGET_FLOAT_SCRATCH : TARGET_SCRATCH;
            target_move_reg(c, m->type[0], scratch, m->s[0]);
            m->s[0] = scratch;
            continue;
        }
        target_move_reg(c, m->type[i], m->d[i], m->s[i]);
        m->n--;
        m->d[i] = m->d[m->n], m->s[i] = m->s[m->n], m->type[i] = m->type[m->n];
    }
}

void save_pins(struct compiler *c) {
    for (uint32_t m = c->pins_caller & ~c->synced; m; m &= m - 1) {
        const struct local *l = &c->locals[c->pin_local[__builtin_ctz(m)]];
        target_store_reg(c, l->type, l->reg, l->slot);
    }
    c->synced |= c->pins_caller;
}

void reload_pins(struct compiler *c) {
    for (uint32_t m = c->pins_caller; m; m &= m - 1) {
        const struct local *l = &c->locals[c->pin_local[__builtin_ctz(m)]];
        target_load_slot(c, l->type, l->reg, l->slot);
    }
}

/* The operands from `base` up as arguments: in their registers, the others in their home slots. Allocates nothing, so that the
 * caller may keep the first result register. */
static void place_operands(struct compiler *c, struct value *base) {
    uint32_t ints = 0, floats = 0;
    struct moves moves = {.n = 0};
    uint8_t reg[TARGET_INT_ARGS + TARGET_FLOAT_ARGS];
    struct value *in_reg[TARGET_INT_ARGS + TARGET_FLOAT_ARGS];
    unsigned regs_n = 0;
    for (struct value *v = base; v < c->sp; v++) {
        uint8_t d = arg_reg(v->type, &ints, &floats), s;
        if (d == NO_REG) {
            flush(c, v);
        } else if ((s = reg_of(c, v)) == NO_REG) {
            reg[regs_n] = d, in_reg[regs_n++] = v;
        } else if (s != d) {
            moves.d[moves.n] = d, moves.s[moves.n] = s, moves.type[moves.n++] = v->type;
        }
    }
    move_all(c, &moves);
    for (unsigned i = 0; i < regs_n; i++) {
        /* What was in a cache then may be overwritten now: take it from the slot. */
        caches_kill(c, bit(reg[i]));
        target_move(c, reg[i], in_reg[i]);
    }
}

/* Puts the topmost operands where a function of type t wants its arguments, and all else where a call leaves it alone.
 * Gives the slot of the callee's frame. */
static uint32_t place_args(struct compiler *c, const struct wasm_deftype *t) {
    uint32_t n = t->params_count;
    struct value *base = c->sp - n;
    code_reserve(c, (size_t)n * 32 + 512);
    for (struct value *v = c->floor; v < base; v++)
        if (v->kind == V_REG) flush(c, v);
    save_pins(c);
    place_operands(c, base);
    return n ? base->slot : next_slot(c->sp - 1);
}

static void take_results(struct compiler *c, const struct wasm_deftype *t) {
    c->sp -= t->params_count;
    c->free = c->temps;
    caches_kill(c, UINT32_MAX);
    reload_pins(c);
    for (uint32_t i = 0; i < t->results_count; i++) {
        unsigned type = type_of(t->results[i]);
        if (i == 0) {
            uint8_t r = type_is_float(type) ? TARGET_FLOAT_RESULT : TARGET_INT_RESULT;
            c->free &= ~bit(r);
            push_reg(c, type, r);
        } else {
            push_slot(c, type);
        }
    }
}

void emit_call(struct compiler *c) {
    uint32_t f = wasm_get_u32(&c->pc);
    const struct wasm_deftype *t = wasm_func_type(c->m, f);
    target_call(c, f, place_args(c, t));
    take_results(c, t);
}

/* Operands out of the way of what a runtime call changes. */
static void before_runtime(struct compiler *c) {
    for (struct value *v = c->floor; v < c->sp; v++)
        if (v->kind == V_REG && bit(v->reg) & TARGET_RT_CLOBBERS) flush(c, v);
    caches_kill(c, TARGET_RT_CLOBBERS);
}

/* Keeps the first result register for the record; the popped operand may own it. */
static void claim_record(struct compiler *c, const struct value *v) {
    if (v->kind == V_REG && v->reg == TARGET_INT_RESULT) cache_kill(c, TARGET_INT_RESULT);
    else claim(c, TARGET_INT_RESULT);
}

/* The checked function of the table that the topmost operand says, into the first result register. A type that is final has no
 * subtypes; for others the runtime looks, unless it is exactly that type. */
static void indirect_record(struct compiler *c, uint32_t table, uint32_t type) {
    struct value index = pop(c);
    if (c->m->types[type].final) {
        claim_record(c, &index);
        target_indirect_record(c, table, type, &index, NULL);
        release_except(c, &index, TARGET_INT_RESULT);
        return;
    }
    uint32_t frame = next_slot(c->sp), lead[] = {WASM_HEAP_INDEX + c->layout->type_ids[type], 0};
    struct label other = {NO_LABEL, 0}, done = {NO_LABEL, 0};
    before_runtime(c);
    claim_record(c, &index);
    target_indirect_record(c, table, type, &index, &other);
    target_jump(c, CC_ALWAYS, &done);
    label_bind(c, &other);
    for (uint32_t i = 0; i < 2; i++) target_store(c, &(struct value){.kind = V_IMM, .type = T_I32, .imm = lead[i]}, frame + i);
    target_store_reg(c, T_REF, TARGET_INT_RESULT, frame + 2);
    target_rtcall(c, ABI_RT_TYPE_TEST, frame);
    struct value outcome = {.kind = V_REG, .type = T_I32, .reg = TARGET_INT_RESULT};
    uint8_t yes = target_test(c, 0, &outcome);
    target_jump(c, yes ^ 1, trap_stub(c, ABI_TRAP_INDIRECT_TYPE));
    target_load_slot(c, T_REF, TARGET_INT_RESULT, frame + 2);
    label_bind(c, &done);
    release_except(c, &index, TARGET_INT_RESULT);
    caches_kill(c, UINT32_MAX);
}

void emit_call_indirect(struct compiler *c) {
    uint32_t type = wasm_get_u32(&c->pc), table = wasm_get_u32(&c->pc);
    const struct wasm_deftype *t = &c->m->types[type];
    indirect_record(c, table, type);
    target_call_record(c, place_args(c, t), c->layout->funcrefs_far);
    take_results(c, t);
}

void emit_call_ref(struct compiler *c) {
    const struct wasm_deftype *t = &c->m->types[wasm_get_u32(&c->pc)];
    struct value ref = pop(c);
    claim_record(c, &ref);
    target_ref_record(c, &ref);
    release_except(c, &ref, TARGET_INT_RESULT);
    target_call_record(c, place_args(c, t), c->layout->funcrefs_far);
    take_results(c, t);
}

/* ---- tail calls: the callee's frame is the caller's own ---- */

/* Arguments on the frame stack move down from their home slots to the frame's start: never up, and in ascending order, so that none
 * is overwritten before it has moved. What they overwrite is done with: locals, and registers that were saved. */
static void leave_frame(struct compiler *c, const struct wasm_deftype *t) {
    struct value *base = c->sp - t->params_count;
    code_reserve(c, (size_t)t->params_count * 48 + 1024);
    place_operands(c, base);
    restore_saved(c);
    uint32_t ints = 0, floats = 0, to = 0;
    for (struct value *v = base; v < c->sp; v++) {
        uint32_t n = type_slots(v->type);
        bool in_slot = arg_reg(v->type, &ints, &floats) == NO_REG;
        for (uint32_t k = 0; in_slot && k < n; k++) {
            struct value word = {.kind = V_SLOT, .type = T_I64, .slot = v->slot + k};
            target_store(c, &word, to + k);
        }
        to += n;
    }
}

void emit_return_call(struct compiler *c) {
    uint32_t f = wasm_get_u32(&c->pc);
    leave_frame(c, wasm_func_type(c->m, f));
    target_tail_call(c, f);
    set_dead(c);
}

void emit_return_call_indirect(struct compiler *c) {
    uint32_t type = wasm_get_u32(&c->pc), table = wasm_get_u32(&c->pc);
    indirect_record(c, table, type);
    leave_frame(c, &c->m->types[type]);
    target_tail_call_record(c, c->layout->funcrefs_far);
    set_dead(c);
}

void emit_return_call_ref(struct compiler *c) {
    const struct wasm_deftype *t = &c->m->types[wasm_get_u32(&c->pc)];
    struct value ref = pop(c);
    claim_record(c, &ref);
    target_ref_record(c, &ref);
    release_except(c, &ref, TARGET_INT_RESULT);
    leave_frame(c, t);
    target_tail_call_record(c, c->layout->funcrefs_far);
    set_dead(c);
}

void emit_new(struct compiler *c, uint32_t type_id, uint32_t bytes) {
    before_runtime(c);
    target_new(c, type_id, abi_cell_class(bytes), next_slot(c->sp - 1));
    c->free &= ~bit(TARGET_INT_RESULT);
    push_reg(c, T_REF, TARGET_INT_RESULT);
}

void emit_rtcall(struct compiler *c, enum abi_rtcall rt, const uint32_t *lead, uint32_t lead_n, uint32_t n, unsigned result) {
    uint32_t frame = next_slot(c->sp - 1), slot = frame;
    for (uint32_t i = 0; i < lead_n; i++) {
        struct value v = {.kind = V_IMM, .type = T_I32, .imm = lead[i]};
        target_store(c, &v, slot++);
    }
    for (struct value *v = c->sp - n; v < c->sp; v++) {
        target_store(c, v, slot);
        slot += type_slots(v->type);
        release(c, v);
    }
    c->sp -= n;
    before_runtime(c);
    target_rtcall(c, rt, frame);
    if (!result) return;
    c->free &= ~bit(TARGET_INT_RESULT);
    push_reg(c, result, TARGET_INT_RESULT);
}

/* memory.copy or memory.fill of memory 0: by the target's helper, or the runtime if they are too long for that. */
void emit_bulk(struct compiler *c, bool fill, const uint32_t *lead, uint32_t lead_n) {
    struct value *v = c->sp - 3;
    uint32_t frame = next_slot(c->sp - 1);
    for (struct value *o = c->floor; o < v; o++)
        if (o->kind == V_REG && bit(o->reg) & TARGET_RT_CLOBBERS) flush(c, o);
    struct moves moves = {.n = 0};
    bool later[3];
    for (unsigned i = 0; i < 3; i++) {
        uint8_t s = reg_of(c, &v[i]);
        later[i] = s == NO_REG;
        if (later[i] || s == target_bulk_args[i]) continue;
        moves.d[moves.n] = target_bulk_args[i], moves.s[moves.n] = s, moves.type[moves.n++] = T_I64;
    }
    move_all(c, &moves);
    for (unsigned i = 0; i < 3; i++)
        if (later[i]) target_move(c, target_bulk_args[i], &v[i]);
    for (unsigned i = 0; i < 3; i++) release(c, &v[i]);
    caches_kill(c, TARGET_RT_CLOBBERS);
    c->sp -= 3;
    struct label done = target_bulk_helper(c, fill);
    for (uint32_t i = 0; i < lead_n; i++) {
        struct value n = {.kind = V_IMM, .type = T_I32, .imm = lead[i]};
        target_store(c, &n, frame + i);
    }
    for (unsigned i = 0; i < 3; i++) target_store_reg(c, T_I64, target_bulk_args[i], frame + lead_n + i);
    target_rtcall(c, fill ? ABI_RT_MEMORY_FILL : ABI_RT_MEMORY_COPY, frame);
    label_bind(c, &done);
}
