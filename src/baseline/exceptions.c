/* exceptions: throw, throw_ref, the clauses of try_table, and what the engine must know to leave a function.
 *
 * A try_table costs nothing until something is thrown: it flushes the operands below, as every block does, and tells the sites of the
 * calls in it which clause comes first. The clauses of a function are one list: those of a try_table, then those around it.
 *
 *   try_table's code … jump over │ clause 0: pins of caller-saved registers from their slots; the label's value; jump to the label
 *                                │ clause 1: …
 *
 * 1. Where an exception may leave, every caller-saved pin is in its home slot (save_pins), and every callee-saved one in its register,
 *    which the engine brings back from the frames that it leaves.
 * 2. The engine puts a payload where the label of the clause wants several values: in the home slots from the label's height up. */
#include "baseline/baseline_int.h"

static uint32_t payload_slots(const struct wasm_deftype *t) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->params_count; i++) n += type_slots(type_of(t->params[i]));
    return n;
}

static void flush_top(struct compiler *c, uint32_t n) {
    code_reserve(c, (size_t)n * 32 + 512);
    for (struct value *v = c->sp - n; v < c->sp; v++) flush(c, v);
    if (c->clause) save_pins(c); /* a clause of this very function may be the one */
}

void emit_throw(struct compiler *c) {
    uint32_t tag = wasm_get_u32(&c->pc);
    const struct wasm_deftype *t = &c->m->types[c->m->tags[tag].type];
    flush_top(c, t->params_count);
    target_throw(c, c->layout->tag_ids[tag], payload_slots(t), next_slot(c->sp - t->params_count - 1));
    set_dead(c);
}

void emit_throw_ref(struct compiler *c) {
    flush_top(c, 1);
    target_throw(c, ABI_TAG_REF, 1, c->sp[-1].slot);
    set_dead(c);
}

/* ---- catch clauses ---- */

/* Where a label wants its values: their home slots. */
static uint32_t label_slot(const struct compiler *c, const struct control *k) { return next_slot(&c->stack[k->height - 1]); }

void clauses_read(struct compiler *c, struct control *into) {
    uint32_t n = wasm_get_u32(&c->pc), first = c->clauses.n;
    into->clauses = first, into->clauses_count = n, into->outer_clause = c->clause;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t kind = *c->pc++; /* catch, catch_ref, catch_all, catch_all_ref */
        struct abi_clause clause = {.tag = ABI_TAG_ANY, .ref = kind & 1, .next = i + 1 < n ? first + i + 2 : c->clause};
        if (kind < 2) {
            uint32_t tag = wasm_get_u32(&c->pc);
            clause.tag = c->layout->tag_ids[tag];
            clause.slots = payload_slots(&c->m->types[c->m->tags[tag].type]);
        }
        uint32_t control = c->controls_n - 1 - wasm_get_u32(&c->pc);
        clause.slot = label_slot(c, &c->controls[control]);
        vec_push(c->arena, &c->clauses, clause);
        vec_push(c->arena, &c->clause_controls, control);
    }
    if (n) c->clause = first + 1;
}

void clauses_enter(struct compiler *c, const struct control *k) {
    for (uint32_t i = k->clauses; i < k->clauses + k->clauses_count; i++) {
        struct control *to = &c->controls[c->clause_controls.p[i]];
        code_reserve(c, 1024);
        c->clauses.p[i].pad = code_at(c) - c->func_start;
        reload_pins(c);
        bool one = to->kind != C_LOOP && to->results_count == 1;
        if (one) target_load_slot(c, to->result, result_reg(to->result), c->clauses.p[i].slot);
        target_jump(c, CC_ALWAYS, &to->label);
    }
}

void put_unwind(struct compiler *c, uint32_t func_index) {
    if (!c->pins_saved && !c->clauses.n) return; /* that of many functions, at the object's start */
    struct abi_unwind u = {.saved = c->pins_saved, .save_slot = c->save_slot, .clauses_count = c->clauses.n};
    c->out->funcs[func_index].unwind = (uint32_t)c->out->unwind.n;
    buf_put(&c->out->unwind, &u, sizeof u);
    buf_put(&c->out->unwind, c->clauses.p, c->clauses.n * sizeof *c->clauses.p);
}
