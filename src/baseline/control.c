/* control: blocks and branches.
 *
 * What a branch carries lies, at its label: one value in the first result register of its kind; several in the home slots
 * of the operands from the label's height up; a loop's parameters always in slots. Nothing else of the operand stack is in a
 * register at a label (invariant 4), pins are where they always are (invariant 2): so joining paths needs no code. */
#include "baseline/baseline_int.h"

/* ---- labels ---- */

void label_use(struct compiler *c, struct label *l, uint32_t at, uint32_t base) {
    if (l->at != NO_LABEL) {
        target_patch(c, at, base, l->at);
        return;
    }
    if (c->fixes_n >= c->fixes_cap) {
        c->fixes_cap = c->fixes_cap ? c->fixes_cap * 2 : 256;
        struct fix *bigger = arena_array(c->arena, struct fix, c->fixes_cap);
        if (c->fixes) memcpy(bigger, c->fixes, c->fixes_n * sizeof *bigger);
        c->fixes = bigger;
    }
    c->fixes[c->fixes_n] = (struct fix){at, base, l->fixes};
    l->fixes = c->fixes_n++;
}

void label_bind(struct compiler *c, struct label *l) {
    l->at = code_at(c);
    for (uint32_t i = l->fixes; i; i = c->fixes[i].next) target_patch(c, c->fixes[i].at, c->fixes[i].base, l->at);
    l->fixes = 0;
    c->flags_at = NULL;
    c->sum_reg = NO_REG;
}

void set_dead(struct compiler *c) {
    c->dead = true;
    attention_needed(c);
}

/* ---- entering and leaving ---- */

void control_push(struct compiler *c, enum control_kind kind, const struct wasm_block_type *t) {
    if (c->controls_n == c->controls_cap) {
        c->controls_cap = c->controls_cap * 2;
        struct control *bigger = arena_array(c->arena, struct control, c->controls_cap);
        memcpy(bigger, c->controls, c->controls_n * sizeof *bigger);
        c->controls = bigger;
    }
    struct control *k = &c->controls[c->controls_n++];
    *k = (struct control){.kind = (uint8_t)kind,
                          .params_count = t->params_count,
                          .results_count = t->results_count,
                          .params = t->params,
                          .results = t->results,
                          .height = (uint32_t)(c->sp - c->stack) - t->params_count,
                          .synced = c->synced,
                          .label = {NO_LABEL, 0},
                          .otherwise = {NO_LABEL, 0}};
    if (t->results_count == 1) k->result = (uint8_t)type_of(t->results[0]), k->results = NULL;
}

static struct wasm_block_type read_block_type(struct compiler *c, wasm_type *storage) {
    struct wasm_block_type t = {.type = WASM_NO_INDEX};
    if (LIKELY(*c->pc == 0x40)) {
        c->pc++;
        return t;
    }
    wasm_get_block_type(c->m, &c->pc, &t);
    if (t.type == WASM_NO_INDEX && t.results_count) {
        *storage = t.result;
        t.results = storage;
    }
    return t;
}

/* The types of a block's results, whatever way they are kept. */
static unsigned result_type(const struct control *k, uint32_t i) {
    return k->results_count == 1 ? k->result : type_of(k->results[i]);
}

/* A join, or a loop's start: what is known about registers holds no more. */
static void forget(struct compiler *c) {
    caches_kill(c, UINT32_MAX);
    c->synced = c->pins_synced;
    c->flags_at = NULL;
}

/* Code starts again behind a label: operands below are in slots or immediates. */
static void revive(struct compiler *c, uint32_t height) {
    forget(c);
    c->sp = c->stack + height;
    c->floor = c->sp;
    c->free = c->temps;
    c->dead = false;
    c->pending = false;
}

void emit_block(struct compiler *c, enum control_kind kind) {
    wasm_type storage;
    struct wasm_block_type t = read_block_type(c, &storage);
    struct control handlers;
    if (kind == C_TRY) clauses_read(c, &handlers);
    if (kind == C_LOOP) {
        flush_whole(c, c->sp - t.params_count);
        if (UNLIKELY(c->unpinned_hot)) loop_enter(c);
        target_bind_loop(c);
        forget(c);
    } else {
        flush_all(c);
    }
    control_push(c, kind, &t);
    struct control *k = control_at(c, 0);
    if (kind == C_LOOP) label_bind(c, &k->label);
    if (kind != C_TRY) return;
    k->clauses = handlers.clauses, k->clauses_count = handlers.clauses_count, k->outer_clause = handlers.outer_clause;
    if (!k->clauses_count) k->kind = C_BLOCK;
}

static void settle(struct compiler *c, const struct control *k);

/* Behind a try_table's code stand the places where its clauses are entered; what comes to its end jumps over them. */
static void end_of_try(struct compiler *c, struct control *k) {
    if (!c->dead) {
        settle(c, k);
        target_jump(c, CC_ALWAYS, &k->label);
    }
    c->clause = k->outer_clause;
    clauses_enter(c, k);
    set_dead(c);
}

/* The condition on top as flags; the operand is released. flags_live is set. */
static uint8_t pop_condition(struct compiler *c) {
    struct value v = pop(c);
    uint8_t cc = v.kind == V_FLAGS ? v.reg : target_test(c, 0, &v);
    release(c, &v);
    c->flags_live = true;
    return cc;
}

void emit_if(struct compiler *c) {
    wasm_type storage;
    struct wasm_block_type t = read_block_type(c, &storage);
    uint8_t cc = pop_condition(c);
    flush_whole(c, c->sp - t.params_count);
    control_push(c, C_IF, &t);
    target_jump(c, cc ^ 1, &control_at(c, 0)->otherwise);
    c->flags_live = false;
}

/* ---- what a branch carries ---- */

static uint32_t arity(const struct control *k) { return k->kind == C_LOOP ? k->params_count : k->results_count; }
static bool carries_in_reg(const struct control *k) { return k->kind != C_LOOP && k->results_count == 1; }

/* Stores the topmost values where k's label wants them; the operands stay as they are. Home slots never lie below. */
static void store_carried(struct compiler *c, const struct control *k) {
    uint32_t n = arity(k), slot = next_slot(&c->stack[k->height - 1]);
    code_reserve(c, (size_t)n * 32);
    for (const struct value *v = c->sp - n; v < c->sp; v++) {
        if (v->kind != V_SLOT || v->slot != slot) target_store(c, v, slot);
        slot += type_slots(v->type);
    }
}

/* For a branch that is always taken, or the end of a block. */
static void settle(struct compiler *c, const struct control *k) {
    if (carries_in_reg(k)) {
        struct value v = pop(c);
        target_move(c, result_reg(v.type), &v);
    } else if (arity(k)) {
        store_carried(c, k);
    }
}

static void branch(struct compiler *c, uint32_t depth) {
    struct control *k = control_at(c, depth);
    settle(c, k);
    if (leaves_loans(c, depth)) loop_give_back(c);
    if (k->kind == C_FUNC && c->epilogue_short) target_return(c);
    else target_jump(c, CC_ALWAYS, &k->label);
    set_dead(c);
}

/* The value on top into the register, other operands out of it; only moves. */
static void carry_in_reg(struct compiler *c, uint8_t reg) {
    struct value v = pop(c);
    if (!(v.kind == V_REG && v.reg == reg)) {
        claim(c, reg);
        target_move(c, reg, &v);
        release(c, &v);
    }
    cache_kill(c, reg);
    push_reg(c, v.type, reg);
}

void branch_if(struct compiler *c, uint32_t depth, uint8_t cc) {
    struct control *k = control_at(c, depth);
    uint32_t n = arity(k);
    if (carries_in_reg(k)) {
        carry_in_reg(c, result_reg(k->result));
    } else if (n) {
        if (c->sp - n == c->stack + k->height) {
            flush_whole(c, c->sp - n);
        } else {
            struct label over = {NO_LABEL, 0};
            target_jump(c, cc ^ 1, &over);
            store_carried(c, k);
            if (leaves_loans(c, depth)) loop_give_back(c);
            target_jump(c, CC_ALWAYS, &k->label);
            label_bind(c, &over);
            c->flags_live = false;
            return;
        }
    }
    target_jump(c, cc, leaves_loans(c, depth) ? loop_exit_label(c, depth) : &k->label);
    c->flags_live = false;
}

void emit_br(struct compiler *c) { branch(c, wasm_get_u32(&c->pc)); }

void emit_return(struct compiler *c) { branch(c, c->controls_n - 1); }

void emit_br_if(struct compiler *c) {
    uint32_t depth = wasm_get_u32(&c->pc);
    uint8_t cc = pop_condition(c);
    branch_if(c, depth, cc);
}

void emit_br_on_null(struct compiler *c, bool on_null) {
    uint32_t depth = wasm_get_u32(&c->pc);
    struct value v = pop(c);
    into_temp(c, &v);
    if (v.reg == TARGET_INT_RESULT && on_null) { /* out of the way of what the branch carries */
        uint8_t r = alloc(c, false);
        target_move(c, r, &v);
        release_reg(c, v.reg);
        v.reg = r;
    }
    uint8_t not_null = target_test(c, 1, &v);
    c->flags_live = true;
    if (on_null) {
        branch_if(c, depth, not_null ^ 1);
        push_reg(c, T_REF, v.reg);
    } else {
        push_reg(c, T_REF, v.reg);
        branch_if(c, depth, not_null);
        struct value gone = pop(c);
        release(c, &gone);
    }
}

/* ---- br_table ---- */

enum { TABLE_MIN = 5 }; /* fewer targets are compared one by one */

static void table_by_compares(struct compiler *c, struct value *index, struct label **labels, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        struct value k = {.kind = V_IMM, .type = T_I32, .imm = i};
        target_jump(c, target_compare(c, EQ, 0, index, &k), labels[i]);
    }
    target_jump(c, CC_ALWAYS, labels[n]);
}

static void table_by_jump(struct compiler *c, struct value *index, struct label **labels, uint32_t n) {
    struct value k = {.kind = V_IMM, .type = T_I32, .imm = n};
    target_jump(c, target_compare(c, GE_U, 0, index, &k), labels[n]);
    target_jump_table(c, index->reg, labels, n);
}

/* Where labels carry values, each label gets a piece of code that puts them there. */
static void table_with_values(struct compiler *c, struct value *index, const uint32_t *depths, uint32_t n) {
    struct label *pieces = arena_array(c->arena, struct label, c->controls_n);
    struct label **labels = arena_array(c->arena, struct label *, (size_t)n + 1);
    for (uint32_t i = 0; i < c->controls_n; i++) pieces[i].at = NO_LABEL;
    for (uint32_t i = 0; i <= n; i++) labels[i] = &pieces[depths[i]];
    table_by_jump(c, index, labels, n);
    for (uint32_t depth = 0; depth < c->controls_n && !c->failed; depth++) {
        if (!pieces[depth].fixes) continue;
        struct control *k = control_at(c, depth);
        code_reserve(c, 256);
        label_bind(c, &pieces[depth]);
        if (carries_in_reg(k)) target_move(c, result_reg(k->result), c->sp - 1);
        else store_carried(c, k);
        if (leaves_loans(c, depth)) loop_give_back(c);
        target_jump(c, CC_ALWAYS, &k->label);
    }
}

void emit_br_table(struct compiler *c) {
    uint32_t n = wasm_get_u32(&c->pc);
    struct value index = pop(c);
    c->depths.n = 0;
    c->labels.n = 0;
    for (uint32_t i = 0; i <= n; i++) {
        uint32_t depth = wasm_get_u32(&c->pc);
        vec_push(c->arena, &c->depths, depth);
        if (leaves_loans(c, depth)) loop_exit_label(c, depth); /* made now, so that none moves below */
    }
    for (uint32_t i = 0; i <= n; i++) {
        uint32_t depth = c->depths.p[i];
        struct label *l = leaves_loans(c, depth) ? loop_exit_label(c, depth) : &control_at(c, depth)->label;
        vec_push(c->arena, &c->labels, l);
    }
    if (is_imm(&index)) {
        branch(c, c->depths.p[MIN((uint32_t)index.imm, n)]);
        return;
    }
    into_temp(c, &index);
    code_reserve(c, (size_t)n * 32 + 256);
    if (arity(control_at(c, c->depths.p[n]))) table_with_values(c, &index, c->depths.p, n);
    else if (n < TABLE_MIN) table_by_compares(c, &index, c->labels.p, n);
    else table_by_jump(c, &index, c->labels.p, n);
    set_dead(c);
}

/* ---- else, end ---- */

void emit_else(struct compiler *c) {
    struct control *k = control_at(c, 0);
    if (!c->dead) {
        settle(c, k);
        target_jump(c, CC_ALWAYS, &k->label);
    }
    label_bind(c, &k->otherwise);
    k->otherwise.at = NO_LABEL;
    uint32_t synced = k->synced;
    revive(c, k->height);
    c->synced = synced;
    for (uint32_t i = 0; i < k->params_count; i++) push_slot(c, type_of(k->params[i]));
    k->kind = C_ELSE;
}

static void push_results(struct compiler *c, const struct control *k) {
    if (k->results_count == 1) {
        uint8_t r = result_reg(k->result);
        c->free &= ~bit(r);
        push_reg(c, k->result, r);
        return;
    }
    for (uint32_t i = 0; i < k->results_count; i++) push_slot(c, result_type(k, i));
}

/* The path of an `if` without `else` whose condition was false: its parameters are its results. */
static void end_without_else(struct compiler *c, struct control *k) {
    if (k->results_count == 1) {
        if (!c->dead) target_jump(c, CC_ALWAYS, &k->label);
        label_bind(c, &k->otherwise);
        target_load_slot(c, k->result, result_reg(k->result), next_slot(&c->stack[k->height - 1]));
    } else {
        label_bind(c, &k->otherwise);
    }
    c->dead = false;
}

/* The callee-saved registers as the caller had them. */
void restore_saved(struct compiler *c) {
    uint32_t slot = c->save_slot;
    for (uint32_t m = c->pins_saved; m; m &= m - 1, slot++) {
        uint8_t r = (uint8_t)__builtin_ctz(m);
        target_load_slot(c, r < 16 ? T_I64 : T_F64, r, slot);
    }
}

static void end_of_function(struct compiler *c, struct control *k) {
    bool alive = !c->dead || k->label.fixes;
    if (!c->dead) settle(c, k);
    label_bind(c, &k->label);
    if (!alive) return;
    restore_saved(c);
    if (k->results_count > 1) { /* to the frame's start, the first in its register */
        uint32_t from = c->stack_slot, to = 0;
        for (uint32_t i = 0; i < k->results_count; i++) {
            unsigned type = result_type(k, i);
            struct value v = {.kind = V_SLOT, .type = (uint8_t)type, .slot = from};
            code_reserve(c, 64);
            if (i == 0) target_move(c, result_reg(type), &v);
            else if (from != to) target_store(c, &v, to);
            from += type_slots(type), to += type_slots(type);
        }
    }
    target_return(c);
}

bool emit_end(struct compiler *c) {
    struct control *k = control_at(c, 0);
    if (k->kind == C_FUNC) {
        end_of_function(c, k);
        c->controls_n--;
        return true;
    }
    if (UNLIKELY(c->loans_n) && k->kind == C_LOOP) loop_leave(c);
    if (UNLIKELY(k->kind == C_TRY)) end_of_try(c, k);
    c->controls_n--;
    if (k->kind == C_LOOP || (k->kind == C_BLOCK && !k->label.fixes)) { /* reached from above only, or not at all */
        if (c->dead) attention_needed(c);
        return false;
    }
    if (!c->dead) settle(c, k);
    if (k->kind == C_IF) end_without_else(c, k);
    else if (c->dead && !k->label.fixes) return attention_needed(c), false;
    label_bind(c, &k->label);
    revive(c, k->height);
    push_results(c, k);
    return false;
}

void emit_unreachable(struct compiler *c) {
    target_trap(c, ABI_TRAP_UNREACHABLE);
    set_dead(c);
}

/* Steps over code that cannot be reached, up to the `else` or `end` of the current block. */
void skip_dead(struct compiler *c) {
    uint32_t nested = 0;
    for (;;) {
        const uint8_t *at = c->pc;
        enum wasm_op op = wasm_get_op(&c->pc);
        switch (op) {
        case WASM_OP_BLOCK:
        case WASM_OP_LOOP:
        case WASM_OP_IF:
        case WASM_OP_TRY_TABLE: nested++; break;
        case WASM_OP_ELSE:
            if (nested) continue;
            c->pc = at;
            return;
        case WASM_OP_END:
            if (nested--) continue;
            c->pc = at;
            return;
        default: break;
        }
        wasm_skip_imm(&c->pc, op);
    }
}
