/* pins: which locals live in registers for the whole function.
 *
 * A caller-saved register costs a store and a load at each call; a callee-saved one a store and a load in the function. Weights
 * count uses, 32 times as much for each loop around them.
 *
 * Of a callee-saved vector register only the lower half is preserved, as f32 and f64 need: a v128 in one costs both. */
#include "baseline/baseline_int.h"

enum { CANDIDATES = 12, WORTH_SAVING = 3 };

struct candidates {
    uint32_t local[CANDIDATES], weight[CANDIDATES];
    unsigned n;
};

static void consider(struct candidates *k, unsigned max, uint32_t local, uint32_t weight) {
    unsigned n = k->n;
    if (n == max) {
        if (max == 0 || k->weight[n - 1] >= weight) return;
        n--;
    }
    unsigned j = n;
    for (; j > 0 && k->weight[j - 1] < weight; j--) k->weight[j] = k->weight[j - 1], k->local[j] = k->local[j - 1];
    k->weight[j] = weight;
    k->local[j] = local;
    k->n = n + 1;
}

static void pin(struct compiler *c, uint32_t local, uint8_t reg, uint32_t *caller, uint32_t *callee) {
    struct local *l = &c->locals[local];
    l->reg = reg;
    c->pin_local[reg] = local;
    if (*caller & bit(reg)) {
        c->pins_caller |= bit(reg);
        if (!(l->flags & WASM_LOCAL_WRITTEN)) c->pins_synced |= bit(reg);
    } else {
        c->pins_saved |= bit(reg);
        if (l->type == T_V128) {
            c->pins_caller |= bit(reg);
            if (!(l->flags & WASM_LOCAL_WRITTEN)) c->pins_synced |= bit(reg);
        }
    }
    *caller &= ~bit(reg), *callee &= ~bit(reg);
}

static uint8_t take_highest(uint32_t regs) { return (uint8_t)(31 - __builtin_clz(regs)); }

/* One class of registers. arg[]: by candidate, the register it arrives in or NO_REG. */
static void assign(struct compiler *c, const struct candidates *k, const uint8_t *arg, uint32_t caller, uint32_t callee,
                   uint32_t calls) {
    uint64_t toll = 2ull * calls;
    uint32_t reserved = 0; /* registers that parameters may keep */
    for (unsigned i = 0; i < k->n; i++)
        if (arg[i] != NO_REG) reserved |= bit(arg[i]);
    for (unsigned i = 0; i < k->n; i++) {
        uint64_t w = k->weight[i];
        bool wide = c->locals[k->local[i]].type == T_V128;
        bool is_arg = arg[i] != NO_REG, cheap_calls = w > toll,
             saveable = callee && w >= (uint64_t)WORTH_SAVING + (is_arg && !calls);
        bool prefer_caller = toll < 2 || !saveable || wide;
        if (wide) saveable &= cheap_calls;
        if (is_arg && cheap_calls && caller & bit(arg[i]) && prefer_caller) {
            pin(c, k->local[i], arg[i], &caller, &callee);
        } else if (!is_arg && cheap_calls && caller & ~reserved && prefer_caller) {
            pin(c, k->local[i], take_highest(caller & ~reserved), &caller, &callee);
        } else if (saveable) {
            pin(c, k->local[i], take_highest(callee), &caller, &callee);
        }
        if (is_arg) reserved &= ~bit(arg[i]);
    }
}

static unsigned limit(const struct compiler *c, uint32_t regs) {
    unsigned n = MIN((unsigned)__builtin_popcount(regs), (unsigned)CANDIDATES);
    return c->options->registers ? MIN(n, c->options->registers - 1) : n;
}

void pins_choose(struct compiler *c, const struct wasm_func_info *info) {
    struct candidates ints = {.n = 0}, floats = {.n = 0};
    unsigned ints_max = limit(c, TARGET_CALLER_INT | TARGET_CALLEE_INT);
    unsigned floats_max = limit(c, TARGET_CALLER_FLOAT | TARGET_CALLEE_FLOAT);
    c->pins_caller = c->pins_saved = c->pins_synced = 0;
    for (uint32_t i = 0; i < info->locals_count; i++) {
        uint32_t w = info->local_weight[i];
        if (w == 0) continue;
        if (w < 2 && i >= info->params_count) continue;
        if (type_is_float(c->locals[i].type)) consider(&floats, floats_max, i, w);
        else consider(&ints, ints_max, i, w);
    }
    uint8_t arg_of[TARGET_INT_ARGS + TARGET_FLOAT_ARGS], args_n = 0;
    uint32_t args_local[TARGET_INT_ARGS + TARGET_FLOAT_ARGS], ints_n = 0, floats_n = 0;
    for (uint32_t i = 0; i < info->params_count && args_n < ARRAY_COUNT(arg_of); i++) {
        uint8_t r = arg_reg(c->locals[i].type, &ints_n, &floats_n);
        if (r != NO_REG) arg_of[args_n] = r, args_local[args_n++] = i;
    }
    for (int f = 0; f < 2; f++) {
        const struct candidates *k = f ? &floats : &ints;
        uint8_t arg[CANDIDATES];
        for (unsigned i = 0; i < k->n; i++) {
            arg[i] = NO_REG;
            for (unsigned j = 0; j < args_n; j++)
                if (args_local[j] == k->local[i]) arg[i] = arg_of[j];
        }
        assign(c, k, arg, f ? TARGET_CALLER_FLOAT : TARGET_CALLER_INT, f ? TARGET_CALLEE_FLOAT : TARGET_CALLEE_INT,
               info->calls_weight);
    }
    if (!info->calls_count) c->pins_synced = 0; /* nobody stores them */
    c->loans_n = 0;
    c->unpinned_hot = false;
    for (uint32_t i = 0; i < info->locals_count && info->loop_depth_max; i++)
        c->unpinned_hot |= c->locals[i].reg == NO_REG && info->local_weight[i] >= 64 && c->locals[i].type != T_V128;
}
