/* decode_fuzz: any bytes through decoder, validator, name section and printer.
 *
 * What must hold for accepted modules: the unchecked readers walk each body to exactly its end, counts are
 * within their bounds, and printing ends. With libFuzzer (-DORLO_LIBFUZZER -fsanitize=fuzzer) or alone:
 * decode_fuzz [--canary] FOLDER replays a corpus; the canary breaks the first property on purpose, so a run
 * that does not abort has checked nothing. */
#include "wasm/wasm.h"
#include <dirent.h>

static bool canary;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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

#ifndef ORLO_LIBFUZZER
static unsigned replay(const char *folder, const char *name) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    static uint8_t bytes[1 << 20];
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    uint8_t *exact = malloc(n ? n : 1); /* so that a sanitizer sees the first byte too many */
    memcpy(exact, bytes, n);
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
    return 1;
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "--canary")) canary = true, argc--, argv++;
    struct dirent **entries;
    int n = argc > 1 ? scandir(argv[1], &entries, NULL, alphasort) : -1;
    if (n < 0) {
        fprintf(stderr, "usage: decode_fuzz [--canary] FOLDER\n");
        return 64;
    }
    unsigned replayed = 0;
    for (int i = 0; i < n; i++) {
        if (entries[i]->d_name[0] != '.') replayed += replay(argv[1], entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    printf("%u files replayed\n", replayed);
    return replayed == 0;
}
#endif
