/* ops: the table of instructions, and the unchecked readers that are too large to be inline. */
#include "wasm/wasm_int.h"

const struct wasm_op_info wasm_ops[WASM_OPS_END] = {
#define X(name, prefix, code, text, imm, sig, aux) [WASM_BASE_##prefix + code] = {text, sig, imm, aux},
#include "wasm/opcodes.def"
#undef X
};

uint32_t wasm_get_heap(const uint8_t **p) {
    int64_t i = wasm_get_s64(p);
    return i >= 0 ? WASM_HEAP_INDEX + (uint32_t)i : wasm_heap_of_byte((uint8_t)(i & 0x7f));
}

wasm_type wasm_get_type(const uint8_t **p) {
    uint8_t b = *(*p)++;
    if (b == 0x63 || b == 0x64) return wasm_ref(wasm_get_heap(p), b == 0x63);
    return wasm_type_of_byte(b);
}

void wasm_get_block_type(const struct wasm_module *m, const uint8_t **p, struct wasm_block_type *out) {
    *out = (struct wasm_block_type){.type = WASM_NO_INDEX};
    uint8_t b = **p;
    if (b == 0x40) {
        ++*p;
    } else if (b == 0x63 || b == 0x64 || wasm_type_of_byte(b) != WASM_BOT) {
        out->result = wasm_get_type(p);
        out->results = &out->result;
        out->results_count = 1;
    } else {
        out->type = (uint32_t)wasm_get_s64(p);
        const struct wasm_deftype *t = &m->types[out->type];
        out->params = t->params, out->params_count = t->params_count;
        out->results = t->results, out->results_count = t->results_count;
    }
}

/* How many LEB128 numbers the commonest immediates are. */
static const uint8_t lebs_of_imm[WASM_IMM_FENCE + 1] = {
    [WASM_IMM_LABEL] = 1,  [WASM_IMM_FUNC] = 1,   [WASM_IMM_INDIRECT] = 2, [WASM_IMM_LOCAL] = 1,
    [WASM_IMM_GLOBAL] = 1, [WASM_IMM_MEMARG] = 2, [WASM_IMM_I32] = 1,      [WASM_IMM_I64] = 1,
};

/* One walker knows the shapes of all immediates: the checked one. A valid body is never read past its end. */
void wasm_skip_imm(const uint8_t **p, enum wasm_op op) {
    enum wasm_imm imm = (enum wasm_imm)wasm_ops[op].imm;
    if (imm == WASM_IMM_NONE) return;
    unsigned lebs = lebs_of_imm[imm];
    if (lebs && (imm != WASM_IMM_MEMARG || **p < 0x40)) {
        while (lebs--)
            while (*(*p)++ & 0x80) continue;
        return;
    }
    struct rd r = {*p, (const uint8_t *)UINTPTR_MAX, *p, NULL, 0};
    wasm_rd_skip_imm(&r, op);
    *p = r.p;
}
