/* gc: how fields lie in objects, and the table of types. See gc.h. */
#include "abi/gc.h"

uint32_t abi_field_bytes(wasm_type t) {
    static const uint8_t bytes[] = {
        [WASM_I32] = 4, [WASM_I64] = 8, [WASM_F32] = 4, [WASM_F64] = 8, [WASM_V128] = 16, [WASM_I8] = 1, [WASM_I16] = 2};
    return wasm_is_ref(t) ? 8 : bytes[t];
}

uint32_t abi_struct_layout(const struct wasm_deftype *t, uint32_t *offsets) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < t->fields_count; i++) {
        uint32_t bytes = abi_field_bytes(t->fields[i].type);
        at = (uint32_t)align_up(at, MIN(bytes, 8u));
        if (offsets) offsets[i] = at;
        at += bytes;
    }
    return at;
}

static void make_struct(const struct wasm_deftype *t, struct abi_type *out) {
    uint32_t at = 0;
    out->bytes = abi_struct_layout(t, NULL);
    for (uint32_t i = 0; i < t->fields_count; i++) {
        uint32_t bytes = abi_field_bytes(t->fields[i].type);
        at = (uint32_t)align_up(at, MIN(bytes, 8u));
        if (wasm_is_ref(t->fields[i].type)) {
            out->scan = out->bytes <= 64 * 8 ? ABI_SCAN_MAP : ABI_SCAN_ANY;
            if (at / 8 < 64) out->refs |= 1ull << at / 8;
        }
        at += bytes;
    }
}

static void make_type(const struct wasm_types *ts, uint32_t id, struct abi_type *out) {
    const struct wasm_deftype *t = &ts->defs.p[id];
    *out = (struct abi_type){.comp = (uint8_t)t->comp, .depth = ts->depths.p[id]};
    memset(out->display, 0xff, sizeof out->display);
    if (t->super != WASM_NO_INDEX) out->super = t->super + 1;
    for (uint32_t up = id; up != WASM_NO_INDEX; up = ts->defs.p[up].super)
        if (ts->depths.p[up] < ABI_DISPLAY) out->display[ts->depths.p[up]] = up;
    if (t->comp == WASM_COMP_STRUCT) make_struct(t, out);
    if (t->comp != WASM_COMP_ARRAY) return;
    wasm_type element = t->fields[0].type;
    out->bytes = abi_field_bytes(element);
    out->element = wasm_is_ref(element) ? WASM_REF_BIT : (uint8_t)element;
    out->scan = wasm_is_ref(element) ? ABI_SCAN_ALL : ABI_SCAN_NONE;
}

void abi_types_make(const struct wasm_types *ts, struct abi_type *out) {
    for (uint32_t i = 0; i < ts->defs.n; i++) make_type(ts, i, &out[i]);
}
