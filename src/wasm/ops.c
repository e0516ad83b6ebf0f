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

#define LEBS(imm)                                                                                                                \
    ((imm) == WASM_IMM_NONE ? 0                                                                                                  \
     : (imm) == WASM_IMM_LABEL || (imm) == WASM_IMM_FUNC || (imm) == WASM_IMM_LOCAL || (imm) == WASM_IMM_GLOBAL ||               \
             (imm) == WASM_IMM_I32 || (imm) == WASM_IMM_I64                                                                      \
         ? 1                                                                                                                     \
     : (imm) == WASM_IMM_INDIRECT ? 2                                                                                            \
     : (imm) == WASM_IMM_MEMARG   ? WASM_LEBS_MEMARG                                                                             \
                                  : WASM_LEBS_OTHER)
const uint8_t wasm_op_lebs[WASM_OPS_END] = {
#define X(name, prefix, code, text, imm, sig, aux) [WASM_BASE_##prefix + code] = LEBS(imm),
#include "wasm/opcodes.def"
#undef X
};

/* One walker knows the shapes of all immediates: the checked one. A valid body is never read past its end. */
void wasm_skip_imm_slow(const uint8_t **p, enum wasm_op op) {
    struct rd r = {*p, (const uint8_t *)UINTPTR_MAX, *p, NULL, 0};
    wasm_rd_skip_imm(&r, op);
    *p = r.p;
}
