/* decode_fuzz: any bytes through decoder, validator, name section and printer.
 *
 * What must hold for accepted modules: the unchecked readers walk each body to exactly its end, counts are
 * within their bounds, and printing ends. The canary breaks the first of these. */
#include "base/fuzz.h"
#include "wasm/wasm.h"

static void check_body(const struct wasm_func_info *info) {
    const uint8_t *p = info->code.p, *end = info->code.p + info->code.n;
    uint32_t instrs = 0;
    while (p < end) {
        enum wasm_op op = wasm_get_op(&p);
        ENSURE(wasm_ops[op].text);
        wasm_skip_imm(&p, op);
        instrs++;
    }
    ENSURE(p == end - canary);
    ENSURE(instrs == info->instrs_count && end[-1] == WASM_OP_END);
    ENSURE(info->locals_count <= WASM_MAX_LOCALS && info->params_count <= info->locals_count);
    ENSURE(info->operands_max <= 1 << 20 && info->controls_max >= 1);
    for (uint32_t i = 0; i < info->params_count; i++) ENSURE(!(info->local_flags[i] & WASM_LOCAL_NEEDS_ZERO));
}

static void print(const struct wasm_module *m) {
    struct buf out = {.max = 1 * MiB};
    wasm_print(&out, m);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    arena *a = arena_new(0);
    struct wasm_module m;
    struct diag d = DIAG_INIT;
    err e = wasm_decode(a, (str){data, size}, &m, &d);
    if (!e) e = wasm_validate(a, &m, NULL, &d);
    struct wasm_validator *v = e ? NULL : wasm_validator_new(a, &m);
    for (uint32_t i = m.funcs_imported; !e && i < m.funcs_count; i++) {
        struct wasm_func_info info;
        e = wasm_validate_func(v, i, &info, &d);
        if (!e) check_body(&info);
    }
    ENSURE(e == ERR_OK || d.text[0]);
    ENSURE(d.offset == DIAG_NOWHERE || d.offset <= size);
    if (!e) {
        wasm_names_decode(a, &m);
        print(&m);
    }
    arena_free(a);
    return 0;
}
