/* validate: the rules of a module outside of function bodies (§3.2, §3.5).
 *
 * Order: types first, because everything is compared by canonical id; then which functions are declared,
 * because bodies and expressions are checked by the same code; then the sections in the file's order. */
#include "wasm/wasm_int.h"

#define OVER(what) "over a limit of this implementation: " what

struct checker {
    struct wasm_module *m;
    struct wasm_validator *v;
    struct diag *d;
    uint8_t *declared;
};

/* ---- types (§3.2.4-3.2.8) ----------------------------------------------------------------------- */

static bool type_in_bounds(wasm_type t, uint32_t bound) {
    return !wasm_is_ref(t) || !wasm_heap_is_index(wasm_heap_of(t)) || wasm_heap_index(wasm_heap_of(t)) < bound;
}

static err check_type_bound(struct checker *c, wasm_type t) {
    if (LIKELY(type_in_bounds(t, c->m->types_count))) return ERR_OK;
    return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "unknown type %u", wasm_heap_index(wasm_heap_of(t)));
}

static bool deftype_in_bounds(const struct wasm_deftype *t, uint32_t bound) {
    for (uint32_t i = 0; i < t->params_count; i++)
        if (!type_in_bounds(t->params[i], bound)) return false;
    for (uint32_t i = 0; i < t->results_count; i++)
        if (!type_in_bounds(t->results[i], bound)) return false;
    for (uint32_t i = 0; i < t->fields_count; i++)
        if (!type_in_bounds(t->fields[i].type, bound)) return false;
    return true;
}

static bool field_sub(const struct wasm_module *m, const struct wasm_field *a, const struct wasm_field *b) {
    if (a->mutable != b->mutable) return false;
    return a->mutable ? wasm_type_equal(m, a->type, b->type) : wasm_type_sub(m, a->type, b->type);
}

/* Matching of composite types (§3.3.11). */
static bool comp_sub(const struct wasm_module *m, const struct wasm_deftype *a, const struct wasm_deftype *b) {
    if (a->comp != b->comp || a->params_count != b->params_count || a->results_count != b->results_count ||
        a->fields_count < b->fields_count)
        return false;
    for (uint32_t i = 0; i < a->params_count; i++)
        if (!wasm_type_sub(m, b->params[i], a->params[i])) return false;
    for (uint32_t i = 0; i < a->results_count; i++)
        if (!wasm_type_sub(m, a->results[i], b->results[i])) return false;
    for (uint32_t i = 0; i < b->fields_count; i++)
        if (!field_sub(m, &a->fields[i], &b->fields[i])) return false;
    return true;
}

static err check_group(struct checker *c, uint32_t *ids, uint32_t start, uint32_t count) {
    struct wasm_module *m = c->m;
    for (uint32_t i = start; i < start + count; i++) {
        const struct wasm_deftype *t = &m->types[i];
        if (!deftype_in_bounds(t, start + count) || (t->super != WASM_NO_INDEX && t->super >= i))
            return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "unknown type: type %u refers to a type that comes later", i);
    }
    uint32_t first;
    err e = wasm_types_intern(m->canon, m, ids, start, count, &first);
    if (e) return diag_set(c->d, e, DIAG_NOWHERE, OVER("types, or depth of subtyping"));
    for (uint32_t i = 0; i < count; i++) ids[start + i] = first + i;
    for (uint32_t i = start; i < start + count; i++) {
        const struct wasm_deftype *t = &m->types[i];
        if (t->super == WASM_NO_INDEX) continue;
        if (m->types[t->super].final || !comp_sub(m, t, &m->types[t->super]))
            return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "sub type: type %u does not match its supertype %u", i, t->super);
    }
    return ERR_OK;
}

static err check_types(struct checker *c, arena *out) {
    struct wasm_module *m = c->m;
    uint32_t *ids = arena_array(out, uint32_t, m->types_count);
    m->type_ids = ids;
    for (uint32_t i = 0; i < m->types_count; i += m->types[i].group_count) TRY(check_group(c, ids, i, m->types[i].group_count));
    return ERR_OK;
}

/* ---- declared functions ------------------------------------------------------------------------- */

static void declare(struct checker *c, uint64_t func) {
    if (func < c->m->funcs_count) c->declared[func >> 3] |= (uint8_t)(1u << (func & 7));
}

static void declare_in_expr(struct checker *c, wasm_expr e) {
    if (!e.n) return;
    const uint8_t *p = e.p, *end = e.p + e.n;
    while (p < end) {
        enum wasm_op op = wasm_get_op(&p);
        const uint8_t *imm = p;
        wasm_skip_imm(&p, op);
        if (op == WASM_OP_REF_FUNC) declare(c, wasm_get_u32(&imm));
    }
}

static void declare_funcs(struct checker *c) {
    const struct wasm_module *m = c->m;
    for (uint32_t i = 0; i < m->tables_count; i++) declare_in_expr(c, m->tables[i].init);
    for (uint32_t i = 0; i < m->globals_count; i++) declare_in_expr(c, m->globals[i].init);
    for (uint32_t i = 0; i < m->exports_count; i++)
        if (m->exports[i].kind == WASM_EXTERN_FUNC) declare(c, m->exports[i].index);
    for (uint32_t i = 0; i < m->elems_count; i++)
        for (uint32_t k = 0; k < m->elems[i].count; k++) {
            if (m->elems[i].funcs) declare(c, m->elems[i].funcs[k]);
            else declare_in_expr(c, m->elems[i].exprs[k]);
        }
}

/* ---- constant expressions (§3.4.17) ------------------------------------------------------------- */

static bool is_constant(enum wasm_op op) {
    switch (op) {
    case WASM_OP_I32_CONST:
    case WASM_OP_I64_CONST:
    case WASM_OP_F32_CONST:
    case WASM_OP_F64_CONST:
    case WASM_OP_V128_CONST:
    case WASM_OP_REF_NULL:
    case WASM_OP_REF_FUNC:
    case WASM_OP_REF_I31:
    case WASM_OP_GLOBAL_GET:
    case WASM_OP_I32_ADD:
    case WASM_OP_I32_SUB:
    case WASM_OP_I32_MUL:
    case WASM_OP_I64_ADD:
    case WASM_OP_I64_SUB:
    case WASM_OP_I64_MUL:
    case WASM_OP_STRUCT_NEW:
    case WASM_OP_STRUCT_NEW_DEFAULT:
    case WASM_OP_ARRAY_NEW:
    case WASM_OP_ARRAY_NEW_DEFAULT:
    case WASM_OP_ARRAY_NEW_FIXED:
    case WASM_OP_ANY_CONVERT_EXTERN:
    case WASM_OP_EXTERN_CONVERT_ANY:
    case WASM_OP_END: return true;
    default: return false;
    }
}

/* globals: how many may be read; only those before it exist while a global is being initialised. */
static err check_expr(struct checker *c, wasm_expr e, wasm_type t, uint32_t globals) {
    const struct wasm_module *m = c->m;
    for (const uint8_t *p = e.p, *end = e.p + e.n; p < end;) {
        uint64_t at = wasm_offset(m, p);
        enum wasm_op op = wasm_get_op(&p);
        const uint8_t *imm = p;
        wasm_skip_imm(&p, op);
        if (!is_constant(op))
            return diag_set(c->d, ERR_INVALID, at, "constant expression required: %s is not constant", wasm_ops[op].text);
        if (op != WASM_OP_GLOBAL_GET) continue;
        uint32_t index = wasm_get_u32(&imm);
        if (index >= globals) return diag_set(c->d, ERR_INVALID, at, "unknown global %u", index);
        if (m->globals[index].mutable)
            return diag_set(c->d, ERR_INVALID, at, "constant expression required: global %u is mutable", index);
    }
    return wasm_validate_expr(c->v, e, t, c->d);
}

/* ---- definitions -------------------------------------------------------------------------------- */

static err check_func_type(struct checker *c, uint32_t type, const char *what, uint32_t index) {
    if (type < c->m->types_count && c->m->types[type].comp == WASM_COMP_FUNC) return ERR_OK;
    return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "unknown type %u: the type of %s %u is not a function type", type, what,
                    index);
}

static err check_limits(struct checker *c, const struct wasm_limits *l, uint64_t bound, const char *over) {
    if (l->min > bound || (l->has_max && l->max > bound)) return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "%s", over);
    if (l->has_max && l->min > l->max)
        return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "size minimum must not be greater than maximum");
    return ERR_OK;
}

static err check_tables(struct checker *c) {
    const struct wasm_module *m = c->m;
    for (uint32_t i = 0; i < m->tables_count; i++) {
        const struct wasm_table *t = &m->tables[i];
        TRY(check_limits(c, &t->limits, t->limits.is64 ? UINT64_MAX : UINT32_MAX, "table size must be at most 2^32-1"));
        TRY(check_type_bound(c, t->type));
        if (i < m->tables_imported) continue;
        if (t->init.n) TRY(check_expr(c, t->init, t->type, m->globals_imported));
        else if (!wasm_is_defaultable(t->type))
            return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "type mismatch: table %u of a non-null type has no initialiser", i);
    }
    return ERR_OK;
}

static err check_memories(struct checker *c) {
    for (uint32_t i = 0; i < c->m->memories_count; i++) {
        const struct wasm_limits *l = &c->m->memories[i].limits;
        TRY(check_limits(c, l, l->is64 ? 1ull << 48 : 1 << 16,
                         l->is64 ? "memory size must be at most 2^48 pages" : "memory size must be at most 65536 pages (4GiB)"));
    }
    return ERR_OK;
}

static err check_globals(struct checker *c) {
    const struct wasm_module *m = c->m;
    for (uint32_t i = 0; i < m->globals_count; i++) {
        TRY(check_type_bound(c, m->globals[i].type));
        if (i >= m->globals_imported) TRY(check_expr(c, m->globals[i].init, m->globals[i].type, i));
    }
    return ERR_OK;
}

static err check_tags(struct checker *c) {
    const struct wasm_module *m = c->m;
    for (uint32_t i = 0; i < m->tags_count; i++) {
        TRY(check_func_type(c, m->tags[i].type, "tag", i));
        if (m->types[m->tags[i].type].results_count)
            return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "non-empty tag result type");
    }
    return ERR_OK;
}

static err check_index(struct checker *c, enum wasm_extern kind, uint32_t index) {
    const struct wasm_module *m = c->m;
    const uint32_t counts[] = {m->funcs_count, m->tables_count, m->memories_count, m->globals_count, m->tags_count};
    static const char *const names[] = {"function", "table", "memory", "global", "tag"};
    if (index < counts[kind]) return ERR_OK;
    return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "unknown %s %u", names[kind], index);
}

static int by_name(const void *a, const void *b) {
    return str_cmp((*(const struct wasm_export *const *)a)->name, (*(const struct wasm_export *const *)b)->name);
}

/* Sorted, not hashed: a file made to collide costs no more than others. */
static err check_exports(struct checker *c) {
    const struct wasm_module *m = c->m;
    for (uint32_t i = 0; i < m->exports_count; i++) TRY(check_index(c, m->exports[i].kind, m->exports[i].index));
    if (m->exports_count < 2) return ERR_OK;
    arena *scratch = arena_new(0);
    const struct wasm_export **sorted = arena_array(scratch, const struct wasm_export *, m->exports_count);
    for (uint32_t i = 0; i < m->exports_count; i++) sorted[i] = &m->exports[i];
    qsort(sorted, m->exports_count, sizeof *sorted, by_name);
    err e = ERR_OK;
    for (uint32_t i = 1; i < m->exports_count && !e; i++)
        if (str_eq(sorted[i - 1]->name, sorted[i]->name))
            e = diag_set(c->d, ERR_INVALID, wasm_offset(m, sorted[i]->name.p), "duplicate export name \"" STR_FMT "\"",
                         STR_ARG(str_sub(sorted[i]->name, 0, 200)));
    arena_free(scratch);
    return e;
}

static err check_start(struct checker *c) {
    if (c->m->start == WASM_NO_INDEX) return ERR_OK;
    TRY(check_index(c, WASM_EXTERN_FUNC, c->m->start));
    const struct wasm_deftype *t = wasm_func_type(c->m, c->m->start);
    if (t->params_count || t->results_count)
        return diag_set(c->d, ERR_INVALID, DIAG_NOWHERE, "start function must have no parameters and no results");
    return ERR_OK;
}

static err check_elem(struct checker *c, const struct wasm_elem *e) {
    const struct wasm_module *m = c->m;
    TRY(check_type_bound(c, e->type));
    if (e->mode == WASM_SEGMENT_ACTIVE) {
        TRY(check_index(c, WASM_EXTERN_TABLE, e->table));
        const struct wasm_table *t = &m->tables[e->table];
        if (!wasm_type_sub(m, e->type, t->type))
            return diag_set(c->d, ERR_INVALID, wasm_offset(m, e->offset.p),
                            "type mismatch: the element segment's type does not match table %u", e->table);
        TRY(check_expr(c, e->offset, wasm_address_type(&t->limits), m->globals_count));
    }
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->funcs) TRY(check_index(c, WASM_EXTERN_FUNC, e->funcs[i]));
        else TRY(check_expr(c, e->exprs[i], e->type, m->globals_count));
    }
    return ERR_OK;
}

static err check_datas(struct checker *c) {
    const struct wasm_module *m = c->m;
    for (uint32_t i = 0; i < m->datas_count; i++) {
        const struct wasm_data *s = &m->datas[i];
        if (s->mode != WASM_SEGMENT_ACTIVE) continue;
        TRY(check_index(c, WASM_EXTERN_MEMORY, s->memory));
        TRY(check_expr(c, s->offset, wasm_address_type(&m->memories[s->memory].limits), m->globals_count));
    }
    return ERR_OK;
}

static err check_module(struct checker *c) {
    const struct wasm_module *m = c->m;
    for (uint32_t i = 0; i < m->funcs_count; i++) TRY(check_func_type(c, m->funcs[i].type, "function", i));
    TRY(check_memories(c));
    TRY(check_tags(c));
    TRY(check_tables(c));
    TRY(check_globals(c));
    TRY(check_exports(c));
    TRY(check_start(c));
    for (uint32_t i = 0; i < m->elems_count; i++) TRY(check_elem(c, &m->elems[i]));
    return check_datas(c);
}

err wasm_validate(arena *out, struct wasm_module *m, struct wasm_types *types, struct diag *d) {
    struct checker c = {.m = m, .d = d};
    m->canon = types ? types : wasm_types_new(out);
    TRY(check_types(&c, out));
    c.declared = arena_array(out, uint8_t, m->funcs_count / 8 + 1);
    declare_funcs(&c);
    m->funcs_declared = c.declared;
    arena *scratch = arena_new(0);
    c.v = wasm_validator_new(scratch, m);
    err e = check_module(&c);
    arena_free(scratch);
    return e;
}

err wasm_validate_bodies(const struct wasm_module *m, struct diag *d) {
    arena *scratch = arena_new(0);
    struct wasm_validator *v = wasm_validator_new(scratch, m);
    err e = ERR_OK;
    for (uint32_t i = m->funcs_imported; i < m->funcs_count && !e; i++) e = wasm_validate_func(v, i, NULL, d);
    arena_free(scratch);
    return e;
}
