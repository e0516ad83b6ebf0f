/* loops: an innermost loop may have pins of its own.
 *
 * Pins hold for a whole function, and in a large one the locals of a small hot loop may have got none. At such a loop's
 * start, registers whose locals the loop hardly uses are lent to locals that it uses often; every way out gives them back:
 *
 *   entry:  slot(old) = r; r = slot(new)         exit:  slot(new) = r, if the loop writes it; r = slot(old)
 *
 * The old local lives in its slot meanwhile. A branch out of the loop goes through a piece of code behind the loop; one out of
 * the function needs none. Only innermost loops are looked at, each once and up to the next loop, so the cost is linear. */
#include "baseline/baseline_int.h"

enum { SCAN_BYTES = 2 << 10, SCAN_LOCALS = 64, GAIN_MIN = 2 };

struct scan {
    uint32_t local[SCAN_LOCALS], n;
    bool calls;
};

static void count_use(struct compiler *c, struct scan *s, uint32_t index, bool written) {
    struct local *l = &c->locals[index];
    if (l->uses == 0) {
        if (s->n == SCAN_LOCALS) return;
        s->local[s->n++] = index;
    }
    if (l->uses < 0x7fff) l->uses++;
    l->loop_written |= written;
}

/* Counts the uses of locals from here to the end of the loop; false: it is not innermost, or too long. */
static bool scan_loop(struct compiler *c, struct scan *s) {
    uint32_t nested = 0;
    for (const uint8_t *p = c->pc, *end = p + SCAN_BYTES; p < end;) {
        enum wasm_op op = wasm_get_op(&p);
        switch (op) {
        case WASM_OP_LOCAL_GET: count_use(c, s, wasm_get_u32(&p), false); continue;
        case WASM_OP_LOCAL_SET:
        case WASM_OP_LOCAL_TEE: count_use(c, s, wasm_get_u32(&p), true); continue;
        case WASM_OP_LOOP:
        case WASM_OP_TRY_TABLE: return false;
        case WASM_OP_BLOCK:
        case WASM_OP_IF: nested++; break;
        case WASM_OP_THROW:
        case WASM_OP_THROW_REF:
        case WASM_OP_CALL:
        case WASM_OP_CALL_INDIRECT:
        case WASM_OP_CALL_REF: s->calls = true; break;
        case WASM_OP_END:
            if (nested-- == 0) return true;
            break;
        default: break;
        }
        wasm_skip_imm(&p, op);
    }
    return false;
}

/* The register, of those that may be lent, whose local the loop uses least. */
static uint8_t cheapest(const struct compiler *c, uint32_t regs, uint32_t *uses) {
    uint8_t best = NO_REG;
    *uses = UINT32_MAX;
    for (; regs; regs &= regs - 1) {
        uint8_t r = (uint8_t)__builtin_ctz(regs);
        uint32_t u = c->locals[c->pin_local[r]].uses;
        if (u < *uses) *uses = u, best = r;
    }
    return best;
}

static uint32_t most_used(const struct compiler *c, const struct scan *s) {
    uint32_t best = WASM_NO_INDEX;
    for (uint32_t i = 0; i < s->n; i++) {
        const struct local *l = &c->locals[s->local[i]];
        if (l->reg != NO_REG || l->lent || l->type == T_V128) continue;
        if (best == WASM_NO_INDEX || l->uses > c->locals[best].uses) best = s->local[i];
    }
    return best;
}

static void lend(struct compiler *c, uint8_t r, uint32_t to) {
    uint32_t old = c->pin_local[r];
    struct local *from = &c->locals[old], *l = &c->locals[to];
    if (!(c->synced & bit(r))) target_store_reg(c, from->type, r, from->slot);
    cache_drop(c, l);
    target_load_slot(c, l->type, r, l->slot);
    from->reg = NO_REG;
    l->reg = r;
    c->pin_local[r] = to;
    c->loans[c->loans_n++] = (struct loan){.reg = r, .from = old, .to = to, .synced = c->pins_synced & bit(r)};
    c->pins_synced &= ~bit(r);
    c->synced &= ~bit(r);
}

static void choose_loans(struct compiler *c, struct scan *s) {
    uint32_t regs = s->calls ? c->pins_saved : c->pins_saved | c->pins_caller;
    while (c->loans_n < LOANS_MAX) {
        uint32_t to = most_used(c, s), uses;
        if (to == WASM_NO_INDEX) return;
        struct local *l = &c->locals[to];
        uint8_t r = cheapest(c, regs & (type_is_float(l->type) ? ~(uint32_t)INT_REGS : INT_REGS), &uses);
        if (r == NO_REG || l->uses < uses + GAIN_MIN) {
            l->lent = true; /* nothing for this one; others of the other kind may follow */
            continue;
        }
        regs &= ~bit(r);
        lend(c, r, to);
    }
}

void loop_enter(struct compiler *c) {
    struct scan s = {.n = 0};
    ENSURE(c->loans_n == 0);
    c->loop_exits.n = 0;
    bool innermost = scan_loop(c, &s);
    if (innermost && !(s.calls && c->clause)) choose_loans(c, &s); /* a catch clause finds pins where they are outside the loop */
    for (uint32_t i = 0; i < c->loans_n; i++) c->loans[i].written = c->locals[c->loans[i].to].loop_written;
    for (uint32_t i = 0; i < s.n; i++) {
        struct local *l = &c->locals[s.local[i]];
        l->uses = 0, l->lent = l->loop_written = false;
    }
    c->loop_index = c->controls_n; /* of the control that is to be pushed */
}

/* Moves only: the flags may be live. */
void loop_give_back(struct compiler *c) {
    for (uint32_t i = 0; i < c->loans_n; i++) {
        const struct loan *n = &c->loans[i];
        const struct local *from = &c->locals[n->from], *to = &c->locals[n->to];
        if (n->written) target_store_reg(c, to->type, n->reg, to->slot);
        target_load_slot(c, from->type, n->reg, from->slot);
    }
}

struct label *loop_exit_label(struct compiler *c, uint32_t depth) {
    uint32_t index = c->controls_n - 1 - depth, *known = &c->controls[index].exit;
    if (*known < c->loop_exits.n && c->loop_exits.p[*known].index == index) return &c->loop_exits.p[*known].label;
    *known = c->loop_exits.n;
    struct loop_exit e = {.index = index, .label = {NO_LABEL, 0}};
    vec_push(c->arena, &c->loop_exits, e);
    return &c->loop_exits.p[*known].label;
}

/* At the loop's end: the fall through, and the ways out taken by branches. */
void loop_leave(struct compiler *c) {
    if (!c->dead) loop_give_back(c);
    struct label over = {NO_LABEL, 0};
    if (!c->dead && c->loop_exits.n) target_jump(c, CC_ALWAYS, &over);
    for (uint32_t i = 0; i < c->loop_exits.n; i++) {
        code_reserve(c, 512);
        label_bind(c, &c->loop_exits.p[i].label);
        loop_give_back(c);
        target_jump(c, CC_ALWAYS, &c->controls[c->loop_exits.p[i].index].label);
    }
    if (over.fixes) label_bind(c, &over);
    for (uint32_t i = 0; i < c->loans_n; i++) {
        const struct loan *n = &c->loans[i];
        cache_drop(c, &c->locals[n->from]);
        c->locals[n->to].reg = NO_REG;
        c->locals[n->from].reg = n->reg;
        c->pin_local[n->reg] = n->from;
        if (n->synced) c->pins_synced |= bit(n->reg);
        c->synced |= bit(n->reg);
    }
    c->loans_n = 0;
}
