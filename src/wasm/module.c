/* module: look-ups in a decoded module, and the name section. */
#include "wasm/wasm_int.h"

const char *wasm_extern_text(enum wasm_extern kind) {
    static const char *const text[] = {"func", "table", "memory", "global", "tag"};
    return (unsigned)kind < ARRAY_COUNT(text) ? text[kind] : "?";
}

const struct wasm_export *wasm_export_find(const struct wasm_module *m, str name) {
    for (uint32_t i = 0; i < m->exports_count; i++)
        if (str_eq(m->exports[i].name, name)) return &m->exports[i];
    return NULL;
}

bool wasm_custom_find(const struct wasm_module *m, str name, str *bytes) {
    for (uint32_t i = 0; i < m->customs_count; i++)
        if (str_eq(m->customs[i].name, name)) {
            *bytes = m->customs[i].bytes;
            return true;
        }
    return false;
}

/* Of `count` things; names of indices beyond are passed over. */
static const str *read_names(arena *out, uint32_t count, struct rd *r) {
    str *names = arena_array(out, str, count);
    uint32_t n = wasm_rd_count(r, UINT32_MAX, 2, "");
    for (uint32_t i = 0; i < n && !r->fail; i++) {
        uint32_t index = wasm_rd_u32(r);
        str name = wasm_rd_name(r);
        if (!r->fail && index < count) names[index] = name;
    }
    return names;
}

void wasm_names_decode(arena *out, struct wasm_module *m) {
    str bytes;
    if (m->func_names || !wasm_custom_find(m, STR("name"), &bytes)) return;
    struct rd r = rd_of(bytes);
    while (rd_left(&r)) {
        uint8_t id = rd_u8(&r);
        str content = rd_bytes(&r, wasm_rd_u32(&r));
        if (r.fail) return;
        struct rd sub = rd_of(content);
        if (id == 0) m->name = wasm_rd_name(&sub);
        if (id == 1 && !m->func_names) m->func_names = read_names(out, m->funcs_count, &sub);
        if (id == 11 && !m->tag_names) m->tag_names = read_names(out, m->tags_count, &sub);
    }
}

str wasm_func_name(const struct wasm_module *m, uint32_t func_index) {
    if (func_index >= m->funcs_count) return (str){0};
    if (m->func_names && m->func_names[func_index].n) return m->func_names[func_index];
    for (uint32_t i = 0; i < m->exports_count; i++)
        if (m->exports[i].kind == WASM_EXTERN_FUNC && m->exports[i].index == func_index) return m->exports[i].name;
    if (func_index >= m->funcs_imported) return (str){0};
    for (uint32_t i = 0; i < m->imports_count; i++)
        if (m->imports[i].kind == WASM_EXTERN_FUNC && m->imports[i].index == func_index) return m->imports[i].name;
    return (str){0};
}
