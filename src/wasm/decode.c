/* decode: bytes to struct wasm_module (§5.5). Structure only: what the bytes mean is validate.c's question.
 *
 * 1. One sticky reader over the file; a section is read with its end moved in, so every offset is the file's.
 * 2. Each count is bounded by the bytes left before anything is allocated for it.
 * 3. Function bodies are not looked into; constant expressions are walked to find their ends.
 */
#include "wasm/wasm_int.h"

#define OVER(what) "over a limit of this implementation: " what

struct decoder {
    struct rd r;
    arena *out;
    struct wasm_module *m;
    VEC(struct wasm_deftype) types;
    VEC(struct wasm_func) funcs;
    VEC(struct wasm_table) tables;
    VEC(struct wasm_memory) memories;
    VEC(struct wasm_global) globals;
    VEC(struct wasm_tag) tags;
    VEC(struct wasm_custom) customs;
    uint32_t data_count, codes_count;
    uint8_t last; /* order of the last non-custom section */
    uint8_t last_id;
};

/* An index whose absence has a value: what cannot be valid anyway is moved off that value. */
static uint32_t read_index(struct decoder *d) {
    uint32_t index = wasm_rd_u32(&d->r);
    return MIN(index, WASM_NO_INDEX - 1);
}

/* ---- types (§5.5.4) ----------------------------------------------------------------------------- */

static const wasm_type *read_types(struct decoder *d, uint32_t *count, uint32_t max, const char *over) {
    uint32_t n = wasm_rd_count(&d->r, max, 1, over);
    wasm_type *t = arena_array(d->out, wasm_type, n);
    for (uint32_t i = 0; i < n; i++) t[i] = wasm_rd_type(&d->r);
    *count = n;
    return t;
}

static bool read_mutability(struct decoder *d) {
    uint8_t b = rd_u8(&d->r);
    if (b > 1) {
        d->r.p--;
        rd_fail(&d->r, "malformed mutability");
    }
    return b == 1;
}

static struct wasm_field read_field(struct decoder *d) {
    struct wasm_field f = {0};
    if (rd_left(&d->r) && (*d->r.p == 0x78 || *d->r.p == 0x77)) f.type = *d->r.p++ == 0x78 ? WASM_I8 : WASM_I16;
    else f.type = wasm_rd_type(&d->r);
    f.mutable = read_mutability(d);
    return f;
}

static void read_comp_type(struct decoder *d, struct wasm_deftype *t, uint8_t form) {
    uint32_t n = 1;
    switch (form) {
    case 0x60:
        t->comp = WASM_COMP_FUNC;
        t->params = read_types(d, &t->params_count, WASM_MAX_PARAMS, OVER("parameters of a function type"));
        t->results = read_types(d, &t->results_count, WASM_MAX_RESULTS, OVER("results of a function type"));
        return;
    case 0x5f: n = wasm_rd_count(&d->r, WASM_MAX_FIELDS, 2, OVER("fields of a structure type")); [[fallthrough]];
    case 0x5e: {
        struct wasm_field *f = arena_array(d->out, struct wasm_field, n);
        for (uint32_t i = 0; i < n; i++) f[i] = read_field(d);
        t->comp = form == 0x5f ? WASM_COMP_STRUCT : WASM_COMP_ARRAY;
        t->fields = f, t->fields_count = n;
        return;
    }
    default: d->r.p -= !d->r.fail; rd_fail(&d->r, "malformed type: expected a function, structure or array type");
    }
}

static void read_sub_type(struct decoder *d, uint32_t group_start, uint32_t group_count) {
    struct wasm_deftype *t = vec_add(d->out, &d->types);
    *t = (struct wasm_deftype){.final = true, .super = WASM_NO_INDEX, .group_start = group_start, .group_count = group_count};
    uint8_t form = rd_u8(&d->r);
    if (form == 0x50 || form == 0x4f) {
        t->final = form == 0x4f;
        uint32_t n = wasm_rd_u32(&d->r);
        if (n > 1) rd_fail(&d->r, "malformed type: more than one supertype");
        if (n == 1) t->super = read_index(d);
        form = rd_u8(&d->r);
    }
    read_comp_type(d, t, form);
}

static void read_type_section(struct decoder *d) {
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_TYPES, 1, OVER("types"));
    for (uint32_t i = 0; i < n && !d->r.fail; i++) {
        uint32_t count = 1;
        if (rd_left(&d->r) && *d->r.p == 0x4e) {
            d->r.p++;
            count = wasm_rd_count(&d->r, WASM_MAX_TYPES, 1, OVER("types"));
        }
        uint32_t start = d->types.n;
        if (count > WASM_MAX_TYPES - start) rd_fail(&d->r, OVER("types"));
        for (uint32_t k = 0; k < count && !d->r.fail; k++) read_sub_type(d, start, count);
    }
}

/* ---- what imports and definitions share --------------------------------------------------------- */

static struct wasm_limits read_limits(struct decoder *d, bool memory) {
    const uint8_t *at = d->r.p;
    uint8_t flags = rd_u8(&d->r);
    if (flags > (memory ? 7 : 5) || (flags & 2 && !memory)) {
        d->r.p = at;
        rd_fail(&d->r, "malformed limits flags");
    }
    struct wasm_limits l = {.has_max = flags & 1, .shared = flags & 2, .is64 = flags & 4, .max = UINT64_MAX};
    if (l.shared && !l.has_max) rd_fail(&d->r, "malformed limits flags: a shared memory has a maximum");
    l.min = wasm_rd_u64(&d->r);
    if (l.has_max) l.max = wasm_rd_u64(&d->r);
    return l;
}

static struct wasm_table read_table_type(struct decoder *d) {
    struct wasm_table t = {.type = wasm_rd_ref_type(&d->r)};
    t.limits = read_limits(d, false);
    return t;
}

static struct wasm_global read_global_type(struct decoder *d) {
    struct wasm_global g = {.type = wasm_rd_type(&d->r)};
    g.mutable = read_mutability(d);
    return g;
}

static struct wasm_tag read_tag_type(struct decoder *d) {
    if (rd_u8(&d->r) != 0) rd_fail(&d->r, "malformed tag attribute");
    return (struct wasm_tag){.type = wasm_rd_u32(&d->r)};
}

/* ---- sections ----------------------------------------------------------------------------------- */

static void read_import(struct decoder *d, struct wasm_import *i) {
    i->module = wasm_rd_name(&d->r);
    i->name = wasm_rd_name(&d->r);
    uint8_t kind = rd_u8(&d->r);
    i->kind = (enum wasm_extern)kind;
    switch (kind) {
    case WASM_EXTERN_FUNC:
        i->index = d->funcs.n;
        vec_push(d->out, &d->funcs, (struct wasm_func){.type = wasm_rd_u32(&d->r)});
        return;
    case WASM_EXTERN_TABLE:
        i->index = d->tables.n;
        vec_push(d->out, &d->tables, read_table_type(d));
        return;
    case WASM_EXTERN_MEMORY:
        i->index = d->memories.n;
        vec_push(d->out, &d->memories, (struct wasm_memory){read_limits(d, true)});
        return;
    case WASM_EXTERN_GLOBAL:
        i->index = d->globals.n;
        vec_push(d->out, &d->globals, read_global_type(d));
        return;
    case WASM_EXTERN_TAG:
        i->index = d->tags.n;
        vec_push(d->out, &d->tags, read_tag_type(d));
        return;
    default: d->r.p -= !d->r.fail; rd_fail(&d->r, "malformed import kind");
    }
}

static void read_import_section(struct decoder *d) {
    struct wasm_module *m = d->m;
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_IMPORTS, 4, OVER("imports"));
    m->imports = arena_array(d->out, struct wasm_import, n);
    m->imports_count = n;
    for (uint32_t i = 0; i < n && !d->r.fail; i++) read_import(d, &m->imports[i]);
    m->funcs_imported = d->funcs.n, m->tables_imported = d->tables.n, m->memories_imported = d->memories.n;
    m->globals_imported = d->globals.n, m->tags_imported = d->tags.n;
}

static void read_function_section(struct decoder *d) {
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_FUNCS - MIN(d->funcs.n, (uint32_t)WASM_MAX_FUNCS), 1, OVER("functions"));
    for (uint32_t i = 0; i < n && !d->r.fail; i++) vec_push(d->out, &d->funcs, (struct wasm_func){.type = wasm_rd_u32(&d->r)});
}

static void read_table_section(struct decoder *d) {
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_TABLES, 3, OVER("tables"));
    for (uint32_t i = 0; i < n && !d->r.fail; i++) {
        bool with_init = rd_left(&d->r) && *d->r.p == 0x40;
        if (with_init) {
            d->r.p++;
            if (rd_u8(&d->r) != 0) rd_fail(&d->r, "malformed table: zero byte expected");
        }
        struct wasm_table t = read_table_type(d);
        if (with_init) t.init = wasm_rd_expr(&d->r);
        vec_push(d->out, &d->tables, t);
    }
}

static void read_memory_section(struct decoder *d) {
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_MEMORIES, 2, OVER("memories"));
    for (uint32_t i = 0; i < n && !d->r.fail; i++) vec_push(d->out, &d->memories, (struct wasm_memory){read_limits(d, true)});
}

static void read_tag_section(struct decoder *d) {
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_TAGS, 2, OVER("tags"));
    for (uint32_t i = 0; i < n && !d->r.fail; i++) vec_push(d->out, &d->tags, read_tag_type(d));
}

static void read_global_section(struct decoder *d) {
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_GLOBALS, 3, OVER("globals"));
    for (uint32_t i = 0; i < n && !d->r.fail; i++) {
        struct wasm_global g = read_global_type(d);
        g.init = wasm_rd_expr(&d->r);
        vec_push(d->out, &d->globals, g);
    }
}

static void read_export_section(struct decoder *d) {
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_EXPORTS, 3, OVER("exports"));
    struct wasm_export *e = d->m->exports = arena_array(d->out, struct wasm_export, n);
    d->m->exports_count = n;
    for (uint32_t i = 0; i < n && !d->r.fail; i++) {
        e[i].name = wasm_rd_name(&d->r);
        uint8_t kind = rd_u8(&d->r);
        if (kind > WASM_EXTERN_TAG) {
            d->r.p -= !d->r.fail;
            rd_fail(&d->r, "malformed export kind");
        }
        e[i].kind = (enum wasm_extern)kind;
        e[i].index = wasm_rd_u32(&d->r);
    }
}

static void read_elem_kind(struct decoder *d) {
    if (rd_u8(&d->r) != 0) {
        d->r.p -= !d->r.fail;
        rd_fail(&d->r, "malformed element kind");
    }
}

/* §5.5.12: bit 0 passive or declarative, bit 1 explicit table (or, with bit 0, declarative), bit 2
 * expressions. */
static void read_elem(struct decoder *d, struct wasm_elem *e) {
    uint32_t flags = wasm_rd_u32(&d->r);
    if (flags > 7) rd_fail(&d->r, "malformed elements segment kind");
    e->mode = !(flags & 1) ? WASM_SEGMENT_ACTIVE : flags & 2 ? WASM_SEGMENT_DECLARATIVE : WASM_SEGMENT_PASSIVE;
    if ((flags & 3) == 2) e->table = wasm_rd_u32(&d->r);
    if (!(flags & 1)) e->offset = wasm_rd_expr(&d->r);
    e->type = flags & 4 ? WASM_FUNCREF : wasm_ref(WASM_HEAP_FUNC, false);
    if (flags & 3) {
        if (flags & 4) e->type = wasm_rd_ref_type(&d->r);
        else read_elem_kind(d);
    }
    e->count = wasm_rd_count(&d->r, WASM_MAX_ELEMS, 1, OVER("entries of an element segment"));
    if (flags & 4) {
        wasm_expr *x = arena_array(d->out, wasm_expr, e->count);
        for (uint32_t i = 0; i < e->count && !d->r.fail; i++) x[i] = wasm_rd_expr(&d->r);
        e->exprs = x;
    } else {
        uint32_t *f = arena_array(d->out, uint32_t, e->count);
        for (uint32_t i = 0; i < e->count; i++) f[i] = wasm_rd_u32(&d->r);
        e->funcs = f;
    }
}

static void read_element_section(struct decoder *d) {
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_ELEMS, 2, OVER("element segments"));
    d->m->elems = arena_array(d->out, struct wasm_elem, n);
    d->m->elems_count = n;
    for (uint32_t i = 0; i < n && !d->r.fail; i++) read_elem(d, &d->m->elems[i]);
}

static void read_code_section(struct decoder *d) {
    const uint8_t *at = d->r.p;
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_FUNCS, 1, OVER("functions"));
    d->codes_count = n;
    d->m->code_bytes = rd_left(&d->r);
    if (n != d->funcs.n - d->m->funcs_imported) {
        d->r.p = at;
        rd_fail(&d->r, "function and code section have inconsistent lengths");
        return;
    }
    for (uint32_t i = 0; i < n && !d->r.fail; i++) {
        uint32_t size = wasm_rd_u32(&d->r);
        if (size > rd_left(&d->r)) rd_fail(&d->r, "length out of bounds: unexpected end of section or function");
        else if (size > WASM_MAX_BODY_BYTES) rd_fail(&d->r, OVER("size of a function body"));
        d->funcs.p[d->m->funcs_imported + i].body = rd_bytes(&d->r, size);
    }
}

static void read_data_section(struct decoder *d) {
    const uint8_t *at = d->r.p;
    uint32_t n = wasm_rd_count(&d->r, WASM_MAX_DATAS, 2, OVER("data segments"));
    d->m->datas = arena_array(d->out, struct wasm_data, n);
    d->m->datas_count = n;
    if (d->m->has_data_count && n != d->data_count) {
        d->r.p = at;
        rd_fail(&d->r, "data count and data section have inconsistent lengths");
    }
    for (uint32_t i = 0; i < n && !d->r.fail; i++) {
        struct wasm_data *s = &d->m->datas[i];
        uint32_t flags = wasm_rd_u32(&d->r);
        if (flags > 2) rd_fail(&d->r, "malformed data segment kind");
        s->mode = flags == 1 ? WASM_SEGMENT_PASSIVE : WASM_SEGMENT_ACTIVE;
        if (flags == 2) s->memory = wasm_rd_u32(&d->r);
        if (flags != 1) s->offset = wasm_rd_expr(&d->r);
        uint32_t size = wasm_rd_u32(&d->r);
        if (size > rd_left(&d->r)) rd_fail(&d->r, "length out of bounds: unexpected end of section or function");
        s->bytes = rd_bytes(&d->r, size);
    }
}

static void read_custom_section(struct decoder *d) {
    struct wasm_custom c = {.name = wasm_rd_name(&d->r), .after = d->last_id};
    c.bytes = rd_bytes(&d->r, rd_left(&d->r));
    if (!d->r.fail) vec_push(d->out, &d->customs, c);
}

static void read_section(struct decoder *d, uint8_t id) {
    switch (id) {
    case 0: read_custom_section(d); return;
    case 1: read_type_section(d); return;
    case 2: read_import_section(d); return;
    case 3: read_function_section(d); return;
    case 4: read_table_section(d); return;
    case 5: read_memory_section(d); return;
    case 6: read_global_section(d); return;
    case 7: read_export_section(d); return;
    case 8: d->m->start = read_index(d); return;
    case 9: read_element_section(d); return;
    case 10: read_code_section(d); return;
    case 11: read_data_section(d); return;
    case 12: d->m->has_data_count = true, d->data_count = wasm_rd_u32(&d->r); return;
    case 13: read_tag_section(d); return;
    }
}

/* §5.5.2: sections come at most once and in this order; tags stand between memories and globals, the data
 * count before code. */
static void read_sections(struct decoder *d, const uint8_t *end) {
    static const uint8_t order[14] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6};
    while (d->r.p < end && !d->r.fail) {
        uint8_t id = *d->r.p++;
        if (id >= ARRAY_COUNT(order)) {
            d->r.p--;
            rd_fail(&d->r, "malformed section id");
            return;
        }
        const uint8_t *at = d->r.p - 1;
        uint32_t size = wasm_rd_u32(&d->r);
        if (size > rd_left(&d->r)) {
            rd_fail(&d->r, "length out of bounds: the section is longer than the rest of the file (unexpected end)");
            return;
        }
        if (id && order[id] <= d->last) {
            d->r.p = at;
            rd_fail(&d->r, "unexpected content after last section: a section is repeated or out of order");
            return;
        }
        if (id) d->last = order[id], d->last_id = id;
        d->r.end = d->r.p + size;
        read_section(d, id);
        if (!d->r.fail && d->r.p != d->r.end) rd_fail(&d->r, "section size mismatch");
        if (!d->r.fail) d->r.end = end;
    }
}

static void finish(struct decoder *d) {
    struct wasm_module *m = d->m;
    m->types = d->types.p, m->types_count = d->types.n;
    m->funcs = d->funcs.p, m->funcs_count = d->funcs.n;
    m->tables = d->tables.p, m->tables_count = d->tables.n;
    m->memories = d->memories.p, m->memories_count = d->memories.n;
    m->globals = d->globals.p, m->globals_count = d->globals.n;
    m->tags = d->tags.p, m->tags_count = d->tags.n;
    m->customs = d->customs.p, m->customs_count = d->customs.n;
    if (d->r.fail) return;
    if (d->codes_count != m->funcs_count - m->funcs_imported)
        rd_fail(&d->r, "function and code section have inconsistent lengths");
    if (m->has_data_count && d->data_count != m->datas_count)
        rd_fail(&d->r, "data count and data section have inconsistent lengths");
}

bool wasm_is_module(str bytes) { return bytes.n >= 8 && !memcmp(bytes.p, "\0asm\1\0\0\0", 8); }

err wasm_decode(arena *out, str bytes, struct wasm_module *m, struct diag *diag) {
    *m = (struct wasm_module){.bytes = bytes, .start = WASM_NO_INDEX};
    struct decoder d = {.r = rd_of(bytes), .out = out, .m = m};
    if (bytes.n < 4 || memcmp(bytes.p, "\0asm", 4)) {
        const char *what = bytes.n < 4 ? "unexpected end" : "magic header not detected";
        return diag_set(diag, ERR_MALFORMED, 0, "%s: not a WebAssembly binary", what);
    }
    if (!wasm_is_module(bytes)) {
        bool component = bytes.n >= 8 && bytes.p[6] == 1 && bytes.p[7] == 0;
        return diag_set(diag, ERR_MALFORMED, 4, "%s",
                        bytes.n < 8 ? "unexpected end"
                        : component ? "unknown binary version: a component where a core module is expected"
                                    : "unknown binary version: only version 1 is known");
    }
    d.r.p += 8;
    read_sections(&d, bytes.p + bytes.n);
    finish(&d);
    return wasm_rd_err(&d.r, diag);
}
