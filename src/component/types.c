/* types: making component types; structure ids; sizes; substitution of resources; flattening
 * (CanonicalABI.md). */
#include "component/component_int.h"

#include <stdlib.h>

/* ---- u32 -> pointer ----------------------------------------------------------------------------- */

struct cptrs {
    struct {
        uint32_t key; /* + 1; 0: free */
        void *value;
    } * slots;
    uint32_t n, cap;
};

struct cptrs *cptrs_new(arena *out) {
    return arena_make(out, struct cptrs);
}

static uint32_t cptrs_slot(const struct cptrs *m, uint32_t key) {
    uint32_t i = (key * 0x9e3779b1u) & (m->cap - 1);
    while (m->slots[i].key && m->slots[i].key != key + 1) i = (i + 1) & (m->cap - 1);
    return i;
}

void *cptrs_get(const struct cptrs *m, uint32_t key) {
    if (m->cap == 0) return NULL;
    uint32_t i = cptrs_slot(m, key);
    return m->slots[i].key ? m->slots[i].value : NULL;
}

void cptrs_put(arena *out, struct cptrs *m, uint32_t key, void *value) {
    if (m->n * 2 >= m->cap) {
        struct cptrs old = *m;
        m->cap = m->cap ? m->cap * 2 : 8;
        m->slots = arena_array_bytes(out, sizeof *m->slots, m->cap, _Alignof(max_align_t));
        for (uint32_t i = 0; i < old.cap; i++)
            if (old.slots[i].key) m->slots[cptrs_slot(m, old.slots[i].key - 1)] = old.slots[i];
    }
    uint32_t i = cptrs_slot(m, key);
    if (!m->slots[i].key) {
        m->slots[i].key = key + 1;
        m->n++;
    }
    m->slots[i].value = value;
}

static uint32_t cptrs_count(const struct cptrs *m) { return m->n; }

bool cptrs_other(const struct cptrs *m, const struct cptrs *a, const struct cptrs *b) {
    for (uint32_t i = 0; i < m->cap; i++) {
        uint32_t key = m->slots[i].key;
        if (key && !cptrs_get(a, key - 1) && !(b && cptrs_get(b, key - 1))) return true;
    }
    return false;
}

/* ---- layout (CanonicalABI.md, Alignment, Element Size) ------------------------------------------ */

static unsigned discriminant_bytes(uint32_t cases) { return cases <= 256 ? 1 : cases <= 65536 ? 2 : 4; }

static void layout_primitive(struct ctype *t) {
    static const uint8_t bytes[COMPONENT_PRIMITIVES] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 4, 0, 4};
    for (int w = 0; w < 2; w++) {
        unsigned ptr = w ? 8 : 4;
        t->bytes[w] = t->kind == COMPONENT_TYPE_STRING ? 2 * ptr : bytes[t->kind];
        t->align[w] = (uint8_t)(t->kind == COMPONENT_TYPE_STRING ? ptr : bytes[t->kind]);
    }
}

static void layout_fields(struct ctype *t, int w) {
    uint64_t size = 0, align = 1;
    for (uint32_t i = 0; i < t->fields_count; i++) {
        const struct ctype *f = t->fields[i].type;
        size = align_up(size, f->align[w]) + f->bytes[w];
        align = MAX(align, (uint64_t)f->align[w]);
    }
    t->bytes[w] = align_up(size, align);
    t->align[w] = (uint8_t)align;
}

static void layout_cases(struct ctype *t, int w, const struct ctype *const *payloads, uint32_t n, uint32_t cases) {
    uint64_t disc = discriminant_bytes(cases), align = 1, size = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (!payloads[i]) continue;
        align = MAX(align, (uint64_t)payloads[i]->align[w]);
        size = MAX(size, payloads[i]->bytes[w]);
    }
    uint64_t whole = MAX(align, disc);
    t->bytes[w] = align_up(align_up(disc, align) + size, whole);
    t->align[w] = (uint8_t)whole;
}

static void layout_variant(struct ctype *t, int w) {
    uint64_t disc = discriminant_bytes(t->fields_count), align = 1, size = 0;
    for (uint32_t i = 0; i < t->fields_count; i++) {
        const struct ctype *p = t->fields[i].type;
        if (!p) continue;
        align = MAX(align, (uint64_t)p->align[w]);
        size = MAX(size, p->bytes[w]);
    }
    uint64_t whole = MAX(align, disc);
    t->bytes[w] = align_up(align_up(disc, align) + size, whole);
    t->align[w] = (uint8_t)whole;
}

static void layout(struct ctype *t) {
    for (int w = 0; w < 2; w++) {
        unsigned ptr = w ? 8 : 4;
        switch (t->kind) {
        case COMPONENT_TYPE_RECORD:
        case COMPONENT_TYPE_TUPLE: layout_fields(t, w); break;
        case COMPONENT_TYPE_VARIANT: layout_variant(t, w); break;
        case COMPONENT_TYPE_ENUM:
            t->bytes[w] = discriminant_bytes(t->fields_count);
            t->align[w] = (uint8_t)t->bytes[w];
            break;
        case COMPONENT_TYPE_FLAGS:
            t->bytes[w] = t->fields_count <= 8 ? 1 : t->fields_count <= 16 ? 2 : 4;
            t->align[w] = (uint8_t)t->bytes[w];
            break;
        case COMPONENT_TYPE_OPTION: layout_cases(t, w, &t->elem, 1, 2); break;
        case COMPONENT_TYPE_RESULT: layout_cases(t, w, (const struct ctype *const[]){t->elem, t->err}, 2, 2); break;
        case COMPONENT_TYPE_LIST:
        case COMPONENT_TYPE_MAP:
            t->bytes[w] = 2 * ptr;
            t->align[w] = (uint8_t)ptr;
            break;
        case COMPONENT_TYPE_FIXED_LIST:
            t->bytes[w] = t->length * t->elem->bytes[w];
            t->align[w] = t->elem->align[w];
            break;
        default: t->bytes[w] = t->align[w] = 4; break; /* handles */
        }
    }
}

/* ---- making ------------------------------------------------------------------------------------- */

struct ctype *ctypes_new_node(struct ctypes *ts, uint8_t kind) {
    struct ctype *t = arena_make(ts->arena, struct ctype);
    t->kind = kind;
    t->uid = ts->uids++;
    t->size = 1;
    return t;
}

static void free_key(void *ts) { buf_free(&((struct ctypes *)ts)->key); }

struct ctypes *ctypes_new(arena *out) {
    struct ctypes *ts = arena_make(out, struct ctypes);
    ts->arena = out;
    ts->core = wasm_types_new(out);
    arena_cleanup(out, free_key, ts);
    for (unsigned k = 0; k < COMPONENT_PRIMITIVES; k++) {
        struct ctype *t = ctypes_new_node(ts, (uint8_t)k);
        t->sid = ts->sids++;
        t->has_pointer = k == COMPONENT_TYPE_STRING;
        layout_primitive(t);
        ts->primitives[k] = t;
    }
    return ts;
}

bool ctype_is_value(const struct ctype *t) { return t->kind < COMPONENT_TYPE_COUNT; }

static void key_u32(struct buf *b, uint32_t v) { buf_put(b, &v, sizeof v); }

static uint32_t structure_id(struct ctypes *ts, const struct ctype *t) {
    struct buf *b = &ts->key;
    b->n = 0;
    buf_putc(b, t->kind);
    buf_putc(b, t->is_async);
    key_u32(b, t->length);
    if (t->elem && t->elem->kind == CT_RESOURCE) key_u32(b, t->elem->res->id + 1);
    else key_u32(b, t->elem ? t->elem->sid + 1 : 0);
    key_u32(b, t->err ? t->err->sid + 1 : 0);
    for (uint32_t i = 0; i < t->fields_count; i++) {
        key_u32(b, (uint32_t)t->fields[i].name.n);
        buf_puts(b, t->fields[i].name);
        key_u32(b, t->fields[i].type ? t->fields[i].type->sid + 1 : 0);
    }
    uint64_t sid;
    if (map_get(&ts->structures, buf_str(b), &sid)) return (uint32_t)sid;
    map_put(ts->arena, &ts->structures, arena_str(ts->arena, buf_str(b)), ts->sids);
    return ts->sids++;
}

/* Takes in what a part contributes. */
static void absorb(struct ctype *t, const struct ctype *part, uint64_t *size) {
    if (!part) return;
    t->has_borrow |= part->has_borrow;
    t->has_resource |= part->has_resource;
    t->has_pointer |= part->has_pointer;
    t->depth = (uint8_t)MAX(t->depth, MIN(part->depth + 1, 255));
    *size += part->size;
}

err ctypes_make(struct ctypes *ts, const struct ctype *proto, const struct ctype **out, struct diag *d, uint64_t at) {
    struct ctype *t = ctypes_new_node(ts, proto->kind);
    uint32_t uid = t->uid;
    uint64_t size = 1;
    *t = *proto;
    t->uid = uid;
    t->depth = 1;
    absorb(t, t->elem, &size);
    absorb(t, t->err, &size);
    for (uint32_t i = 0; i < t->fields_count; i++) absorb(t, t->fields[i].type, &size), size++;
    t->has_borrow |= t->kind == COMPONENT_TYPE_BORROW;
    t->has_resource |= t->kind == COMPONENT_TYPE_OWN || t->kind == COMPONENT_TYPE_BORROW;
    t->has_pointer |= t->kind == COMPONENT_TYPE_LIST || t->kind == COMPONENT_TYPE_MAP;
    if (t->kind == COMPONENT_TYPE_STREAM || t->kind == COMPONENT_TYPE_FUTURE) t->has_pointer = false;
    if (size >= CMAX_TYPE_SIZE) return diag_set(d, ERR_LIMIT, at, "effective type size exceeds the limit of %u", CMAX_TYPE_SIZE);
    if (t->depth > CMAX_TYPE_DEPTH) return diag_set(d, ERR_LIMIT, at, "type nesting is too deep");
    t->size = (uint32_t)size;
    if (ctype_is_value(t)) {
        layout(t);
        if (t->bytes[1] >= CMAX_VALUE_BYTES)
            return diag_set(d, ERR_INVALID, at, "type exceeds maximum byte size of %u", CMAX_VALUE_BYTES - 1);
    }
    t->sid = structure_id(ts, t);
    *out = t;
    return ERR_OK;
}

const struct ctype *ctypes_alias(struct ctypes *ts, const struct ctype *t) {
    struct ctype *copy = ctypes_new_node(ts, t->kind);
    uint32_t uid = copy->uid;
    *copy = *t;
    copy->uid = uid;
    copy->name = (str){0};
    return copy;
}

struct cres *ctypes_new_res(struct ctypes *ts, const struct cscope *owner) {
    struct cres *r = arena_make(ts->arena, struct cres);
    *r = (struct cres){.id = ts->res_ids++, .owner = owner, .dtor = PLAN_NONE};
    return r;
}

const struct ctype *ctypes_res_node(struct ctypes *ts, struct cres *r) {
    struct ctype *t = ctypes_new_node(ts, CT_RESOURCE);
    t->res = r;
    t->has_resource = true;
    return t;
}

/* Takes in what an import or export contributes. */
static void absorb_entity(struct ctype *t, struct centity e, uint64_t *size) {
    *size += 1 + (e.kind == CE_MODULE ? e.module->size : e.type->size);
    if (e.kind == CE_MODULE) return;
    t->has_resource |= e.type->has_resource;
    t->depth = (uint8_t)MAX(t->depth, MIN(e.type->depth + 1, 255));
}

err ctypes_seal(struct ctypes *ts, struct ctype *t, struct diag *d, uint64_t at) {
    uint64_t size = 1;
    t->depth = 1;
    for (uint32_t i = 0; i < t->imports_count; i++) absorb_entity(t, t->imports[i].e, &size);
    for (uint32_t i = 0; i < t->exports_count; i++) {
        absorb_entity(t, t->exports[i].e, &size);
        map_put(ts->arena, &t->exports_by_name, t->exports[i].name, i);
    }
    if (size >= CMAX_TYPE_SIZE) return diag_set(d, ERR_LIMIT, at, "effective type size exceeds the limit of %u", CMAX_TYPE_SIZE);
    if (t->depth > 2 * CMAX_TYPE_DEPTH) return diag_set(d, ERR_LIMIT, at, "type nesting is too deep");
    t->size = (uint32_t)size;
    return ERR_OK;
}

const struct cextern *ctype_export(const struct ctype *t, str name) {
    uint64_t i;
    return map_get(&t->exports_by_name, name, &i) ? &t->exports[i] : NULL;
}

/* ---- free resources ----------------------------------------------------------------------------- */

/* A bound resource occurs only inside its binder, so the free ones are those met minus those bound anywhere
 * on the way. */

struct walk {
    struct ctypes *ts;
    struct cptrs *seen, *bound;
    VEC(struct cres *) met;
};

static void walk_type(struct walk *w, const struct ctype *t);

static void walk_externs(struct walk *w, const struct cextern *x, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (x[i].e.kind != CE_MODULE) walk_type(w, x[i].e.type);
}

static void walk_type(struct walk *w, const struct ctype *t) {
    if (!t || !t->has_resource || cptrs_get(w->seen, t->uid)) return;
    cptrs_put(w->ts->arena, w->seen, t->uid, w);
    if (t->kind == CT_RESOURCE) {
        vec_push(w->ts->arena, &w->met, t->res);
        return;
    }
    for (uint32_t i = 0; i < t->imported_count; i++) cptrs_put(w->ts->arena, w->bound, t->imported[i]->id, w);
    for (uint32_t i = 0; i < t->fresh_count; i++) cptrs_put(w->ts->arena, w->bound, t->fresh[i]->id, w);
    walk_type(w, t->elem);
    walk_type(w, t->err);
    for (uint32_t i = 0; i < t->fields_count; i++) walk_type(w, t->fields[i].type);
    walk_externs(w, t->imports, t->imports_count);
    walk_externs(w, t->exports, t->exports_count);
}

struct cptrs *ctypes_free(struct ctypes *ts, const struct cextern *x, uint32_t n) {
    struct walk w = {ts, cptrs_new(ts->arena), cptrs_new(ts->arena), {0}};
    struct cptrs *found = cptrs_new(ts->arena);
    walk_externs(&w, x, n);
    for (uint32_t i = 0; i < w.met.n; i++)
        if (!cptrs_get(w.bound, w.met.p[i]->id)) cptrs_put(ts->arena, found, w.met.p[i]->id, w.met.p[i]);
    return found;
}

bool ctypes_has_free(struct ctypes *ts, const struct ctype *t) {
    struct cextern x = {.e = {.kind = CE_TYPE, .type = t}};
    return t->has_resource && cptrs_count(ctypes_free(ts, &x, 1)) > 0;
}

/* ---- substitution ------------------------------------------------------------------------------- */

void csubst_init(struct csubst *s, struct ctypes *ts) {
    *s = (struct csubst){ts, cptrs_new(ts->arena), cptrs_new(ts->arena), false};
}

void csubst_bind(struct csubst *s, const struct cres *from, const struct ctype *to) {
    cptrs_put(s->ts->arena, s->res, from->id, (void *)(uintptr_t)to);
}

void csubst_rename(struct csubst *s, const struct ctype *from, const struct ctype *to) {
    cptrs_put(s->ts->arena, s->memo, from->uid, (void *)(uintptr_t)to);
    s->renames = true;
}

const struct ctype *csubst_res(const struct csubst *s, const struct cres *from) { return cptrs_get(s->res, from->id); }

struct centity csubst_entity(struct csubst *s, struct centity e) {
    if (e.kind == CE_MODULE) return e;
    e.type = csubst_type(s, e.type);
    if (e.referenced) e.referenced = csubst_type(s, e.referenced);
    return e;
}

static const struct cextern *subst_externs(struct csubst *s, const struct cextern *x, uint32_t n, bool *changed) {
    struct cextern *copy = arena_array(s->ts->arena, struct cextern, n);
    for (uint32_t i = 0; i < n; i++) {
        copy[i] = (struct cextern){x[i].name, csubst_entity(s, x[i].e)};
        *changed |= copy[i].e.type != x[i].e.type;
    }
    return copy;
}

static bool subst_parts(struct csubst *s, struct ctype *t) {
    bool changed = false;
    const struct ctype *elem = t->elem ? csubst_type(s, t->elem) : NULL, *error = t->err ? csubst_type(s, t->err) : NULL;
    changed |= elem != t->elem || error != t->err;
    t->elem = elem;
    t->err = error;
    if (t->fields_count) {
        struct cfield *f = arena_array(s->ts->arena, struct cfield, t->fields_count);
        for (uint32_t i = 0; i < t->fields_count; i++) {
            f[i] = t->fields[i];
            if (f[i].type) f[i].type = csubst_type(s, f[i].type);
            changed |= f[i].type != t->fields[i].type;
        }
        t->fields = f;
    }
    if (t->kind == CT_INSTANCE || t->kind == CT_COMPONENT) {
        t->imports = subst_externs(s, t->imports, t->imports_count, &changed);
        t->exports = subst_externs(s, t->exports, t->exports_count, &changed);
    }
    return changed;
}

const struct ctype *csubst_type(struct csubst *s, const struct ctype *t) {
    if (!t->has_resource && (!s->renames || t->kind < COMPONENT_PRIMITIVES)) return t;
    const struct ctype *done = cptrs_get(s->memo, t->uid);
    if (done) return done;
    const struct ctype *result = t;
    if (t->kind == CT_RESOURCE) {
        const struct ctype *to = csubst_res(s, t->res);
        if (to) result = to;
    } else {
        struct ctype copy = *t;
        if (subst_parts(s, &copy)) {
            struct ctype *fresh = ctypes_new_node(s->ts, t->kind);
            copy.uid = fresh->uid;
            if (ctype_is_value(&copy) || copy.kind == CT_FUNC) copy.sid = structure_id(s->ts, &copy);
            *fresh = copy;
            result = fresh;
        }
    }
    cptrs_put(s->ts->arena, s->memo, t->uid, (void *)(uintptr_t)result);
    return result;
}

/* ---- flattening --------------------------------------------------------------------------------- */

static void flat_push(struct cflat *f, enum plan_flat k) {
    if (f->count < PLAN_FLAT_MAX) f->types[f->count] = (uint8_t)k;
    if (f->count <= PLAN_FLAT_MAX) f->count++;
}

/* CanonicalABI.md, join: the core type that can hold both. */
static uint8_t flat_join(uint8_t a, uint8_t b) {
    if (a == b) return a;
    if ((a == PLAN_I32 && b == PLAN_F32) || (a == PLAN_F32 && b == PLAN_I32)) return PLAN_I32;
    return PLAN_I64;
}

static void flat_case(struct cflat *f, uint32_t from, const struct ctype *payload, bool ptr64) {
    if (!payload) return;
    struct cflat part = {0};
    cflat_type(&part, payload, ptr64);
    for (uint32_t i = 0; i < part.count; i++) {
        if (from + i < f->count) {
            if (from + i < PLAN_FLAT_MAX && i < PLAN_FLAT_MAX) f->types[from + i] = flat_join(f->types[from + i], part.types[i]);
        } else {
            flat_push(f, part.types[MIN(i, PLAN_FLAT_MAX - 1u)]);
        }
    }
}

void cflat_type(struct cflat *f, const struct ctype *t, bool ptr64) {
    static const uint8_t primitive[COMPONENT_PRIMITIVES] = {PLAN_I32, PLAN_I32, PLAN_I32, PLAN_I32, PLAN_I32, PLAN_I32, PLAN_I32,
                                                            PLAN_I64, PLAN_I64, PLAN_F32, PLAN_F64, PLAN_I32, PLAN_I32, PLAN_I32};
    enum plan_flat ptr = ptr64 ? PLAN_I64 : PLAN_I32;
    if (f->count > PLAN_FLAT_MAX) return;
    switch (t->kind) {
    case COMPONENT_TYPE_STRING:
    case COMPONENT_TYPE_LIST:
    case COMPONENT_TYPE_MAP:
        flat_push(f, ptr);
        flat_push(f, ptr);
        return;
    case COMPONENT_TYPE_RECORD:
    case COMPONENT_TYPE_TUPLE:
        for (uint32_t i = 0; i < t->fields_count && f->count <= PLAN_FLAT_MAX; i++) cflat_type(f, t->fields[i].type, ptr64);
        return;
    case COMPONENT_TYPE_FIXED_LIST:
        for (uint32_t i = 0; i < t->length && f->count <= PLAN_FLAT_MAX; i++) cflat_type(f, t->elem, ptr64);
        return;
    case COMPONENT_TYPE_VARIANT:
    case COMPONENT_TYPE_OPTION:
    case COMPONENT_TYPE_RESULT: {
        flat_push(f, PLAN_I32);
        uint32_t from = f->count;
        flat_case(f, from, t->elem, ptr64);
        flat_case(f, from, t->err, ptr64);
        for (uint32_t i = 0; i < t->fields_count; i++) flat_case(f, from, t->fields[i].type, ptr64);
        return;
    }
    default: flat_push(f, t->kind < COMPONENT_PRIMITIVES ? primitive[t->kind] : PLAN_I32); return;
    }
}

/* flatten_functype: MAX_FLAT_PARAMS 16, MAX_FLAT_ASYNC_PARAMS 4, MAX_FLAT_RESULTS 1. */
void cflat_func(const struct ctype *ft, bool lift, bool is_async, bool has_callback, bool ptr64, struct plan_core_sig *sig) {
    struct cflat params = {0}, results = {0};
    enum plan_flat ptr = ptr64 ? PLAN_I64 : PLAN_I32;
    uint32_t params_max = !lift && is_async ? 4 : PLAN_FLAT_MAX;
    *sig = (struct plan_core_sig){0};
    for (uint32_t i = 0; i < ft->fields_count; i++) cflat_type(&params, ft->fields[i].type, ptr64);
    if (ft->elem) cflat_type(&results, ft->elem, ptr64);
    sig->params_in_memory = params.count > params_max;
    if (sig->params_in_memory) {
        sig->params[0] = (uint8_t)ptr;
        sig->params_count = 1;
    } else {
        memcpy(sig->params, params.types, params.count);
        sig->params_count = params.count;
    }
    if (!is_async) {
        sig->result_in_memory = results.count > 1;
        if (sig->result_in_memory && lift) sig->results[sig->results_count++] = (uint8_t)ptr;
        else if (sig->result_in_memory) sig->params[sig->params_count++] = (uint8_t)ptr;
        else if (results.count) sig->results[sig->results_count++] = results.types[0];
        return;
    }
    if (lift) {
        if (has_callback) sig->results[sig->results_count++] = PLAN_I32;
        return;
    }
    sig->result_in_memory = results.count > 0;
    if (results.count) sig->params[sig->params_count++] = (uint8_t)ptr;
    sig->results[sig->results_count++] = PLAN_I32;
}
