/* stack: where operands are, and how they get out of each other's way. */
#include "baseline/baseline_int.h"

/* Entries below the floor own no register and refer to no local, so that nothing here looks further down than LAZY_MAX. */
void floor_slow(struct compiler *c) {
    if (c->sp - 1 <= c->floor) { /* operands below the floor were popped */
        c->floor = c->sp - 1;
        return;
    }
    /* The entry just pushed is not filled in yet; it is far above. */
    struct value *v = c->floor;
    if (v->kind != V_IMM) flush(c, v);
    c->floor++;
}

void flush(struct compiler *c, struct value *v) {
    if (v->kind == V_SLOT) return;
    target_store(c, v, v->slot);
    release(c, v);
    if (v->kind == V_MEM) c->pending = false;
    value_in_slot(v);
}

void flush_all(struct compiler *c) {
    for (struct value *v = c->floor; v < c->sp; v++)
        if (v->kind != V_IMM) flush(c, v);
    if (c->floor < c->sp) c->floor = c->sp;
}

void flush_whole(struct compiler *c, struct value *from) {
    flush_all(c);
    for (struct value *v = from; v < c->sp; v++) flush(c, v);
}

void spill(struct compiler *c, bool floating) {
    for (struct value *v = c->floor; v < c->sp; v++) {
        if (v->kind == V_REG && type_is_float(v->type) == floating) {
            flush(c, v);
            return;
        }
        if (v->kind == V_MEM && v->owned && !floating) {
            flush(c, v);
            return;
        }
    }
    base_panic(__FILE__, __LINE__, "no register left");
}

uint8_t into_reg_slow(struct compiler *c, struct value *v) {
    bool f = type_is_float(v->type);
    uint8_t r;
    if (v->kind == V_MEM && v->owned && !f) r = v->reg; /* the load may overwrite its own address */
    else r = alloc(c, f);
    target_move(c, r, v);
    if (v->kind == V_LOCAL) cache_set(c, r, v->local);
    if (v->kind == V_MEM && v->owned && r != v->reg) release_reg(c, v->reg);
    value_in_reg(v, r);
    return r;
}

/* Which instructions: [local.get or const] op local.set. None of them can trap or see the local, but for its being the other operand. */
uint8_t dest_ahead(struct compiler *c, unsigned type) {
    const uint8_t *q = c->pc;
    bool first = ahead_of[*q] == AHEAD_OPERAND; /* the result is the op's first operand, else its second */
    uint32_t other = first && *q == WASM_OP_LOCAL_GET ? q[1] : WASM_NO_INDEX;
    if (first) {
        if (q[1] >= 0x80) return NO_REG;
        q += 2;
    }
    uint8_t op = ahead_of[*q];
    if ((op & ~AHEAD_SWAPS) != (type_is_64(type) ? AHEAD_I64 : AHEAD_I32)) return NO_REG;
    if ((q[1] != WASM_OP_LOCAL_SET && q[1] != WASM_OP_LOCAL_TEE) || q[2] >= 0x80) return NO_REG;
    const struct local *l = &c->locals[q[2]];
    if (l->reg == NO_REG || l->type != type || other == q[2]) return NO_REG;
    if (!first) {
        const struct value *v = c->sp - 1;
        if (!(op & AHEAD_SWAPS) || (v->kind == V_LOCAL && v->local == q[2]) || (v->kind == V_MEM && v->reg == l->reg))
            return NO_REG;
    }
    unlazy(c, q[2]);
    c->hint = q[2];
    c->hint_bytes = 0;
    c->hint_tee = true;
    return l->reg;
}

uint8_t into_temp(struct compiler *c, struct value *v) {
    if (v->kind == V_REG) {
        cache_kill(c, v->reg);
        return v->reg;
    }
    if (reg_of(c, v) == NO_REG) {
        uint8_t r = into_reg_slow(c, v);
        cache_kill(c, r);
        return r;
    }
    uint8_t r = alloc(c, type_is_float(v->type));
    target_move(c, r, v);
    value_in_reg(v, r);
    return r;
}

void hold(struct compiler *c, struct value *v) {
    if (v->kind == V_REG || (v->kind == V_LOCAL && c->locals[v->local].reg != NO_REG)) return;
    uint8_t r = reg_of(c, v);
    if (r != NO_REG && c->free & bit(r)) { /* the cache becomes the operand's own */
        c->free &= ~bit(r);
        value_in_reg(v, r);
    } else if (r != NO_REG) {
        into_temp(c, v);
    } else {
        into_reg_slow(c, v);
    }
}

void unlazy(struct compiler *c, uint32_t local) {
    uint8_t pin = c->locals[local].reg;
    for (struct value *v = c->sp; v-- > c->floor;) {
        bool refers = v->kind == V_LOCAL ? v->local == local : v->kind == V_MEM && v->reg == pin && pin != NO_REG;
        if (UNLIKELY(refers)) {
            if (!(c->free & (type_is_float(v->type) ? ~(uint32_t)INT_REGS : INT_REGS))) {
                flush(c, v); /* the instruction being made may own all registers */
                continue;
            }
            uint8_t r = alloc(c, type_is_float(v->type));
            target_move(c, r, v);
            if (v->kind == V_MEM) c->pending = false;
            value_in_reg(v, r);
        }
    }
}

void materialise(struct compiler *c) {
    c->pending = false;
    for (struct value *v = c->sp; v-- > c->floor;) {
        if (v->kind != V_MEM) continue;
        into_reg_slow(c, v);
        return;
    }
}

void caches_kill(struct compiler *c, uint32_t regs) {
    for (uint32_t m = c->cached & regs; m; m &= m - 1) c->locals[c->cache_of[__builtin_ctz(m)]].cache = NO_REG;
    c->cached &= ~regs;
}

void claim(struct compiler *c, uint8_t reg) {
    cache_kill(c, reg);
    if (c->free & bit(reg)) {
        c->free &= ~bit(reg);
        return;
    }
    for (struct value *v = c->sp; v-- > c->floor;) {
        bool owns = (v->kind == V_REG || (v->kind == V_MEM && v->owned)) && v->reg == reg;
        if (!owns) continue;
        if (v->kind == V_REG && c->free & (type_is_float(v->type) ? ~(uint32_t)INT_REGS : INT_REGS)) {
            uint8_t r = alloc(c, type_is_float(v->type));
            target_move(c, r, v);
            value_in_reg(v, r);
        } else {
            flush(c, v);
            c->free &= ~bit(reg);
        }
        return;
    }
    base_panic(__FILE__, __LINE__, "register owned by nobody");
}

void needs_record(struct compiler *c, uint32_t func_index) { c->needs_record[func_index] = 1; }
