/* plan_types: a plan's type and module tables: one entry for each different thing, with its canonical ABI
 * layout. */
#include "component/plan_int.h"

static void free_key(void *b) { buf_free(&((struct pbuild *)b)->key); }

static struct plan_layout layout_of(const struct ctype *t, bool ptr64) {
    struct cflat f = {0};
    cflat_type(&f, t, ptr64);
    struct plan_layout l = {(uint32_t)t->bytes[ptr64], t->align[ptr64], f.count, {0}};
    memcpy(l.flat, f.types, MIN(f.count, (uint32_t)PLAN_FLAT_MAX));
    return l;
}

void pbuild_init(struct pbuild *b, arena *out) {
    b->arena = out;
    b->types_by_uid = cptrs_new(out);
    arena_cleanup(out, free_key, b);
    struct ctypes *ts = ctypes_new(out);
    for (unsigned k = 0; k < COMPONENT_PRIMITIVES; k++) {
        struct plan_type *t = vec_add(out, &b->types);
        *t = (struct plan_type){.kind = (enum component_type_kind)k,
                                .element = PLAN_NONE,
                                .error = PLAN_NONE,
                                .resource = PLAN_NONE,
                                .has_pointer = k == COMPONENT_TYPE_STRING,
                                .has_handle = k == COMPONENT_TYPE_ERROR_CONTEXT};
        for (int w = 0; w < 2; w++) t->layout[w] = layout_of(ts->primitives[k], w);
    }
}

void pbuild_finish(struct pbuild *b, struct plan *plan) {
    *plan = (struct plan){
        .modules = b->modules.p,
        .modules_count = b->modules.n,
        .core_instances = b->core_instances.p,
        .core_instances_count = b->core_instances.n,
        .import_defs = b->import_defs.p,
        .import_defs_count = b->import_defs.n,
        .host_imports = b->host_imports.p,
        .host_imports_count = b->host_imports.n,
        .instances = b->instances.p,
        .instances_count = b->instances.n,
        .types = b->types.p,
        .types_count = b->types.n,
        .fields = b->fields.p,
        .fields_count = b->fields.n,
        .func_types = b->func_types.p,
        .func_types_count = b->func_types.n,
        .resources = b->resources.p,
        .resources_count = b->resources.n,
        .lifts = b->lifts.p,
        .lifts_count = b->lifts.n,
        .canons = b->canons.p,
        .canons_count = b->canons.n,
        .imports = b->imports.p,
        .imports_count = b->imports.n,
        .exports = b->exports.p,
        .exports_count = b->exports.n,
    };
}

/* ---- modules ------------------------------------------------------------------------------------ */

static struct pmodule module_info(struct pbuild *b, const struct wasm_module *m) {
    struct pmodule info = {.module = m};
    uint32_t counts[5] = {m->funcs_imported, m->tables_imported, m->memories_imported, m->globals_imported, m->tags_imported};
    for (unsigned k = 0; k < 5; k++) info.imported[k].p = arena_array(b->arena, uint32_t, counts[k]);
    for (uint32_t i = 0; i < m->imports_count; i++) {
        unsigned k = m->imports[i].kind;
        info.imported[k].p[info.imported[k].n++] = i;
    }
    for (uint32_t i = 0; i < m->exports_count; i++) map_put(b->arena, &info.exports, m->exports[i].name, i);
    return info;
}

uint32_t pbuild_module(struct pbuild *b, const struct cmodule *m) {
    uint64_t known;
    str key = {(const uint8_t *)&m->offset, sizeof m->offset};
    if (map_get(&b->modules_by_offset, key, &known)) return (uint32_t)known;
    uint32_t index = b->modules.n;
    struct plan_module n = {m->offset, m->module->bytes.n, m->module};
    vec_push(b->arena, &b->modules, n);
    struct pmodule info = module_info(b, m->module);
    vec_push(b->arena, &b->module_info, info);
    map_put(b->arena, &b->modules_by_offset, key, index);
    return index;
}

/* ---- types -------------------------------------------------------------------------------------- */

static void key_u32(struct buf *k, uint32_t v) { buf_put(k, &v, sizeof v); }

static void key_fields(struct buf *k, const struct plan_field *f, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        key_u32(k, (uint32_t)f[i].name.n);
        buf_puts(k, f[i].name);
        key_u32(k, f[i].type);
    }
}

static uint32_t put_fields(struct pbuild *b, const struct plan_field *f, uint32_t n) {
    uint32_t first = b->fields.n;
    for (uint32_t i = 0; i < n; i++) vec_push(b->arena, &b->fields, f[i]);
    return first;
}

/* Offsets as in a record; gives the whole. */
static void place_fields(const struct pbuild *b, struct plan_field *f, uint32_t n, int w, uint32_t *size, uint32_t *align) {
    uint64_t at = 0, most = 1;
    for (uint32_t i = 0; i < n; i++) {
        const struct plan_layout *l = &b->types.p[f[i].type].layout[w];
        at = align_up(at, l->align);
        f[i].offset[w] = (uint32_t)MIN(at, (uint64_t)UINT32_MAX);
        at += l->size;
        most = MAX(most, (uint64_t)l->align);
    }
    *size = (uint32_t)MIN(align_up(at, most), (uint64_t)UINT32_MAX);
    *align = (uint32_t)most;
}

static uint32_t cases_of(const struct plan_type *n, uint32_t fields_count) {
    switch (n->kind) {
    case COMPONENT_TYPE_VARIANT:
    case COMPONENT_TYPE_ENUM: return fields_count;
    case COMPONENT_TYPE_OPTION:
    case COMPONENT_TYPE_RESULT: return 2;
    default: return 0;
    }
}

static void place_payload(const struct pbuild *b, struct plan_type *n, const struct plan_field *f, uint32_t fields_count, int w) {
    uint32_t align = 1;
    if (n->element != PLAN_NONE) align = MAX(align, b->types.p[n->element].layout[w].align);
    if (n->error != PLAN_NONE) align = MAX(align, b->types.p[n->error].layout[w].align);
    for (uint32_t i = 0; i < fields_count; i++)
        if (f[i].type != PLAN_NONE) align = MAX(align, b->types.p[f[i].type].layout[w].align);
    n->payload_offset[w] = (uint32_t)align_up(n->discriminant_size, align);
}

static bool part_has_handle(const struct pbuild *b, uint32_t type) { return type != PLAN_NONE && b->types.p[type].has_handle; }

static void describe(const struct pbuild *b, const struct ctype *t, struct plan_type *n, struct plan_field *f, uint32_t count) {
    uint32_t cases = cases_of(n, count), size, align;
    n->has_borrow = t->has_borrow;
    n->has_pointer = t->has_pointer;
    n->has_handle = n->kind == COMPONENT_TYPE_OWN || n->kind == COMPONENT_TYPE_BORROW || n->kind == COMPONENT_TYPE_STREAM ||
                    n->kind == COMPONENT_TYPE_FUTURE || part_has_handle(b, n->element) || part_has_handle(b, n->error);
    for (uint32_t i = 0; i < count; i++) n->has_handle |= part_has_handle(b, f[i].type);
    if (cases) n->discriminant_size = cases <= 256 ? 1 : cases <= 65536 ? 2 : 4;
    for (int w = 0; w < 2; w++) {
        n->layout[w] = layout_of(t, w);
        if (n->kind == COMPONENT_TYPE_RECORD || n->kind == COMPONENT_TYPE_TUPLE) place_fields(b, f, count, w, &size, &align);
        if (cases && n->kind != COMPONENT_TYPE_ENUM) place_payload(b, n, f, count, w);
    }
}

uint32_t pbuild_type(struct pbuild *b, const struct ctype *t, struct plan_type *n, struct plan_field *fields,
                     uint32_t fields_count) {
    struct buf *k = &b->key;
    uint64_t known;
    k->n = 0;
    buf_putc(k, 't');
    uint32_t parts[] = {n->kind, n->element, n->error, n->resource, n->length};
    buf_put(k, parts, sizeof parts);
    key_fields(k, fields, fields_count);
    if (map_get(&b->structures, buf_str(k), &known)) {
        struct plan_type *same = &b->types.p[known];
        if (!same->name.n) same->name = t->name;
        return (uint32_t)known;
    }
    str key = arena_str(b->arena, buf_str(k));
    n->name = t->name;
    describe(b, t, n, fields, fields_count);
    n->fields_first = put_fields(b, fields, fields_count);
    n->fields_count = fields_count;
    map_put(b->arena, &b->structures, key, b->types.n);
    vec_push(b->arena, &b->types, *n);
    return b->types.n - 1;
}

uint32_t pbuild_func_type(struct pbuild *b, const struct ctype *t, struct plan_func_type *n, struct plan_field *params,
                          uint32_t params_count) {
    struct buf *k = &b->key;
    uint64_t known;
    k->n = 0;
    buf_putc(k, 'f');
    uint32_t parts[] = {n->is_async, n->result};
    buf_put(k, parts, sizeof parts);
    key_fields(k, params, params_count);
    if (map_get(&b->structures, buf_str(k), &known)) return (uint32_t)known;
    str key = arena_str(b->arena, buf_str(k));
    for (int w = 0; w < 2; w++) {
        struct cflat f = {0};
        struct plan_layout *l = &n->params[w];
        for (uint32_t i = 0; i < t->fields_count; i++) cflat_type(&f, t->fields[i].type, w);
        place_fields(b, params, params_count, w, &l->size, &l->align);
        l->flat_count = f.count;
        memcpy(l->flat, f.types, MIN(f.count, (uint32_t)PLAN_FLAT_MAX));
    }
    n->params_first = put_fields(b, params, params_count);
    n->params_count = params_count;
    map_put(b->arena, &b->structures, key, b->func_types.n);
    vec_push(b->arena, &b->func_types, *n);
    return b->func_types.n - 1;
}

/* ---- plain core modules ------------------------------------------------------------------------- */

void plan_of_core_module(arena *out, const struct wasm_module *module, uint64_t offset, uint64_t size, struct plan *plan) {
    struct pbuild *b = arena_make(out, struct pbuild);
    pbuild_init(b, out);
    struct plan_module m = {offset, size, module};
    struct plan_core_instance ci = {0, 0, 0, module->imports_count};
    struct plan_instance root = {PLAN_NONE};
    vec_push(out, &b->modules, m);
    vec_push(out, &b->instances, root);
    vec_push(out, &b->core_instances, ci);
    for (uint32_t i = 0; i < module->imports_count; i++) {
        const struct wasm_import *x = &module->imports[i];
        struct plan_host_import h = {x->module, x->name, x->kind, 0, i};
        struct plan_core_def d = {PLAN_DEF_HOST, x->kind, PLAN_NONE, i};
        vec_push(out, &b->host_imports, h);
        vec_push(out, &b->import_defs, d);
    }
    pbuild_finish(b, plan);
    plan->is_core = true;
}
