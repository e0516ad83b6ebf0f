/* subtype: may an item of type a stand where one of type b is asked for (Explainer.md, Type Checking)?
 *
 * Value and function types must be equal; instances may export more; components may import less and export
 * more. An abstract resource of the wanted type is first bound to the actual one at the same place
 * (csub_bind), then substituted. */
#include "component/component_int.h"

const char *centity_text(enum centity_kind k) {
    static const char *const text[] = {"module", "func", "value", "type", "component", "instance"};
    return text[k];
}

#define MISMATCH(...) return diag_set(d, ERR_INVALID, at, __VA_ARGS__)
/* On failure of expr, says where in the type it was. */
#define WITHIN(expr, ...)                                                                                                        \
    do {                                                                                                                         \
        err within_err_ = (expr);                                                                                                \
        if (within_err_ != ERR_OK) {                                                                                             \
            diag_prefix(d, __VA_ARGS__);                                                                                         \
            return within_err_;                                                                                                  \
        }                                                                                                                        \
    } while (0)

/* ---- value types: equal, or a walk to the first difference -------------------------------------- */

static const char *kind_text(const struct ctype *t) { return component_type_text((enum component_type_kind)t->kind); }
static bool is_primitive(const struct ctype *t) { return t->kind < COMPONENT_PRIMITIVES; }

static err sub_value(const struct ctype *a, const struct ctype *b, struct diag *d, uint64_t at);

static err sub_fields(const struct ctype *a, const struct ctype *b, struct diag *d, uint64_t at) {
    const char *what = a->kind == COMPONENT_TYPE_RECORD ? "fields" : a->kind == COMPONENT_TYPE_TUPLE ? "types" : "cases";
    if (a->fields_count != b->fields_count) MISMATCH("expected %u %s, found %u", b->fields_count, what, a->fields_count);
    for (uint32_t i = 0; i < a->fields_count; i++) {
        const struct cfield *x = &a->fields[i], *y = &b->fields[i];
        if (a->kind == COMPONENT_TYPE_TUPLE) {
            WITHIN(sub_value(x->type, y->type, d, at), "type mismatch in tuple field %u", i);
            continue;
        }
        bool variant = a->kind == COMPONENT_TYPE_VARIANT;
        if (!str_eq(x->name, y->name))
            MISMATCH("expected %s `" STR_FMT "`, found `" STR_FMT "`", variant ? "case named" : "field name", STR_ARG(y->name),
                     STR_ARG(x->name));
        if (!x->type && y->type) MISMATCH("expected case `" STR_FMT "` to have a type, found none", STR_ARG(x->name));
        if (x->type && !y->type) MISMATCH("expected case `" STR_FMT "` to have no type", STR_ARG(x->name));
        if (x->type)
            WITHIN(sub_value(x->type, y->type, d, at), "type mismatch in %s `" STR_FMT "`",
                   variant ? "variant case" : "record field", STR_ARG(x->name));
    }
    return ERR_OK;
}

static err sub_result(const struct ctype *a, const struct ctype *b, struct diag *d, uint64_t at) {
    if (!a->elem && b->elem) MISMATCH("expected ok type, but found none");
    if (a->elem && !b->elem) MISMATCH("expected ok type to not be present");
    if (a->elem) WITHIN(sub_value(a->elem, b->elem, d, at), "type mismatch in ok variant");
    if (!a->err && b->err) MISMATCH("expected err type, but found none");
    if (a->err && !b->err) MISMATCH("expected err type to not be present");
    if (a->err) WITHIN(sub_value(a->err, b->err, d, at), "type mismatch in err variant");
    return ERR_OK;
}

static err sub_element(const struct ctype *a, const struct ctype *b, struct diag *d, uint64_t at) {
    if (!a->elem || !b->elem) MISMATCH("mismatch in the element type of %s", kind_text(a));
    if (a->length != b->length) MISMATCH("expected fixed-length %u, found size %u", b->length, a->length);
    TRY(sub_value(a->elem, b->elem, d, at));
    if (a->err) WITHIN(sub_value(a->err, b->err, d, at), "type mismatch in map value");
    return ERR_OK;
}

static err sub_value(const struct ctype *a, const struct ctype *b, struct diag *d, uint64_t at) {
    if (a->sid == b->sid) return ERR_OK;
    if (is_primitive(a) && is_primitive(b)) MISMATCH("expected primitive `%s` found primitive `%s`", kind_text(b), kind_text(a));
    if (a->kind != b->kind) MISMATCH("expected %s, found %s", kind_text(b), kind_text(a));
    switch (a->kind) {
    case COMPONENT_TYPE_RECORD:
    case COMPONENT_TYPE_TUPLE:
    case COMPONENT_TYPE_VARIANT: TRY(sub_fields(a, b, d, at)); break;
    case COMPONENT_TYPE_FLAGS:
    case COMPONENT_TYPE_ENUM: MISMATCH("mismatch in %s elements", kind_text(a));
    case COMPONENT_TYPE_RESULT: TRY(sub_result(a, b, d, at)); break;
    case COMPONENT_TYPE_OWN:
    case COMPONENT_TYPE_BORROW: MISMATCH("resource types are not the same");
    default: TRY(sub_element(a, b, d, at)); break;
    }
    MISMATCH("types are not the same");
}

static err sub_func(const struct ctype *a, const struct ctype *b, struct diag *d, uint64_t at) {
    if (a->sid == b->sid) return ERR_OK;
    if (a->is_async != b->is_async)
        MISMATCH("expected %s function, found %s function", b->is_async ? "async" : "sync", a->is_async ? "async" : "sync");
    if (a->fields_count != b->fields_count) MISMATCH("expected %u parameters, found %u", b->fields_count, a->fields_count);
    for (uint32_t i = 0; i < a->fields_count; i++) {
        str an = a->fields[i].name, bn = b->fields[i].name;
        if (!str_eq(an, bn)) MISMATCH("expected parameter named `" STR_FMT "`, found `" STR_FMT "`", STR_ARG(bn), STR_ARG(an));
        WITHIN(sub_value(a->fields[i].type, b->fields[i].type, d, at), "type mismatch in function parameter `" STR_FMT "`",
               STR_ARG(an));
    }
    if (a->elem && !b->elem) MISMATCH("expected no result, found one");
    if (!a->elem && b->elem) MISMATCH("expected a result, found none");
    if (a->elem) WITHIN(sub_value(a->elem, b->elem, d, at), "type mismatch with result type");
    MISMATCH("function types are not the same");
}

/* ---- core --------------------------------------------------------------------------------------- */

static bool limits_match(const struct wasm_limits *a, const struct wasm_limits *b) {
    if (a->min < b->min) return false;
    return !b->has_max || (a->has_max && a->max <= b->max);
}

static void put_func(struct ctypes *ts, uint32_t id, char *out, size_t n) {
    const struct wasm_deftype *t = &ts->core->defs.p[id];
    size_t at = (size_t)snprintf(out, n, "(func");
    for (uint32_t k = 0; k < 2; k++) {
        uint32_t count = k ? t->results_count : t->params_count;
        if (!count) continue;
        at += (size_t)snprintf(out + MIN(at, n), n - MIN(at, n), k ? " (result" : " (param");
        for (uint32_t i = 0; i < count && at < n; i++) {
            char type[32];
            wasm_type_text(k ? t->results[i] : t->params[i], type, sizeof type);
            at += (size_t)snprintf(out + MIN(at, n), n - MIN(at, n), " %s", type);
        }
        at += (size_t)snprintf(out + MIN(at, n), n - MIN(at, n), ")");
    }
    snprintf(out + MIN(at, n), n - MIN(at, n), ")");
}

/* Of tags both must be subtypes of each other (core specification, Matching, tag types): who throws and who catches see one payload. */
static err sub_core_func(struct ctypes *ts, uint32_t a, uint32_t b, bool is_tag, struct diag *d, uint64_t at) {
    if (wasm_types_sub(ts->core, a, b) && (!is_tag || wasm_types_sub(ts->core, b, a))) return ERR_OK;
    char at_text[160], bt_text[160];
    put_func(ts, a, at_text, sizeof at_text);
    put_func(ts, b, bt_text, sizeof bt_text);
    MISMATCH("expected: %s, found: %s", bt_text, at_text);
}

err csub_core(struct ctypes *ts, const struct ccore *a, const struct ccore *b, struct diag *d, uint64_t at) {
    char an[40], bn[40];
    if (a->kind != b->kind) MISMATCH("expected %s, found %s", wasm_extern_text(b->kind), wasm_extern_text(a->kind));
    switch (a->kind) {
    case WASM_EXTERN_FUNC:
    case WASM_EXTERN_TAG: return sub_core_func(ts, a->type_id, b->type_id, a->kind == WASM_EXTERN_TAG, d, at);
    case WASM_EXTERN_TABLE:
        if (!wasm_types_value_sub(ts->core, a->type, b->type) || !wasm_types_value_sub(ts->core, b->type, a->type))
            MISMATCH("expected table element type %s, found %s", wasm_type_text(b->type, bn, sizeof bn),
                     wasm_type_text(a->type, an, sizeof an));
        if (a->limits.is64 != b->limits.is64 || a->limits.shared != b->limits.shared || !limits_match(&a->limits, &b->limits))
            MISMATCH("mismatch in table limits");
        return ERR_OK;
    case WASM_EXTERN_MEMORY:
        if (a->limits.shared != b->limits.shared) MISMATCH("mismatch in the shared flag for memories");
        if (a->limits.is64 != b->limits.is64) MISMATCH("mismatch in index type used for memories");
        if (!limits_match(&a->limits, &b->limits)) MISMATCH("mismatch in memory limits");
        return ERR_OK;
    case WASM_EXTERN_GLOBAL: {
        if (a->mutable != b->mutable) MISMATCH("global types differ in mutability");
        bool ok =
            wasm_types_value_sub(ts->core, a->type, b->type) && (!a->mutable || wasm_types_value_sub(ts->core, b->type, a->type));
        if (!ok)
            MISMATCH("expected global type %s, found %s", wasm_type_text(b->type, bn, sizeof bn),
                     wasm_type_text(a->type, an, sizeof an));
        return ERR_OK;
    }
    }
    return ERR_OK;
}

static const struct ccore_named *core_find(const struct ccore_named *x, uint32_t n, str module, str name) {
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(x[i].name, name) && str_eq(x[i].module, module)) return &x[i];
    return NULL;
}

static err sub_module(struct ctypes *ts, const struct cmodule_type *a, const struct cmodule_type *b, struct diag *d,
                      uint64_t at) {
    for (uint32_t i = 0; i < a->imports_count; i++) {
        const struct ccore_named *want = &a->imports[i],
                                 *have = core_find(b->imports, b->imports_count, want->module, want->name);
        if (!have) MISMATCH("missing expected import `" STR_FMT "::" STR_FMT "`", STR_ARG(want->module), STR_ARG(want->name));
        WITHIN(csub_core(ts, &have->type, &want->type, d, at), "type mismatch in import `" STR_FMT "::" STR_FMT "`",
               STR_ARG(want->module), STR_ARG(want->name));
    }
    for (uint32_t i = 0; i < b->exports_count; i++) {
        const struct ccore_named *want = &b->exports[i], *have = core_find(a->exports, a->exports_count, STR(""), want->name);
        if (!have) MISMATCH("missing expected export `" STR_FMT "`", STR_ARG(want->name));
        WITHIN(csub_core(ts, &have->type, &want->type, d, at), "type mismatch in export `" STR_FMT "`", STR_ARG(want->name));
    }
    return ERR_OK;
}

/* ---- instances and components ------------------------------------------------------------------- */

struct cptrs *csub_vars(struct ctypes *ts, struct cres *const *res, uint32_t n) {
    struct cptrs *vars = cptrs_new(ts->arena);
    for (uint32_t i = 0; i < n; i++) cptrs_put(ts->arena, vars, res[i]->id, res[i]);
    return vars;
}

/* Wherever `want` names an unbound resource among `vars` (by id), binds it to the resource that `have` has in
 * the same place. Where `have` lacks one, nothing is bound: csub_entity then says what is wrong. */
static void csub_bind(struct csubst *s, const struct cptrs *vars, struct centity want, struct centity have) {
    if (want.kind != have.kind) return;
    if (want.kind == CE_TYPE) {
        if (want.type->kind != CT_RESOURCE || have.type->kind != CT_RESOURCE) return;
        const struct cres *r = want.type->res;
        if (cptrs_get(vars, r->id) && !csubst_res(s, r)) csubst_bind(s, r, have.type);
        return;
    }
    if (want.kind != CE_INSTANCE || !want.type->has_resource) return;
    for (uint32_t i = 0; i < want.type->exports_count; i++) {
        const struct cextern *w = &want.type->exports[i], *h = ctype_export(have.type, w->name);
        if (h) csub_bind(s, vars, w->e, h->e);
    }
}

/* Renames the types that `want` names to those of `have`; the two match. */
static void csub_rename(struct csubst *s, struct centity want, struct centity have) {
    if (want.kind == CE_TYPE && want.type->kind != CT_RESOURCE) csubst_rename(s, want.type, have.type);
    if (want.kind != CE_INSTANCE) return;
    for (uint32_t i = 0; i < want.type->exports_count; i++) {
        const struct cextern *w = &want.type->exports[i], *h = ctype_export(have.type, w->name);
        if (h) csub_rename(s, w->e, h->e);
    }
}

err csub_open(struct csubst *s, const struct cextern *have, uint32_t have_count, const struct cextern *want, uint32_t want_count,
              struct cres *const *vars, uint32_t vars_count, const char *direction, struct diag *d, uint64_t at) {
    struct cptrs *unbound = csub_vars(s->ts, vars, vars_count);
    struct csubst checks;
    struct map by_name = {0};
    for (uint32_t i = 0; i < have_count; i++) map_put(s->ts->arena, &by_name, have[i].name, i);
    for (uint32_t i = 0; i < want_count; i++) {
        uint64_t h;
        if (!map_get(&by_name, want[i].name, &h)) MISMATCH("missing %s named `" STR_FMT "`", direction, STR_ARG(want[i].name));
        csub_bind(s, unbound, want[i].e, have[h].e);
    }
    csubst_init(&checks, s->ts);
    checks.res = s->res;
    for (uint32_t i = 0; i < want_count; i++) {
        uint64_t h = 0;
        map_get(&by_name, want[i].name, &h);
        WITHIN(csub_entity(s->ts, have[h].e, csubst_entity(&checks, want[i].e), d, at), "type mismatch for %s `" STR_FMT "`",
               direction, STR_ARG(want[i].name));
        csub_rename(s, want[i].e, have[h].e);
    }
    return ERR_OK;
}

static err sub_instance(struct ctypes *ts, const struct ctype *a, const struct ctype *b, struct diag *d, uint64_t at) {
    if (a == b) return ERR_OK;
    struct csubst s;
    csubst_init(&s, ts);
    if (b->fresh_count) { /* an instance type that was not opened: its abstract resources stand for a's */
        struct cptrs *vars = csub_vars(ts, b->fresh, b->fresh_count);
        csub_bind(&s, vars, (struct centity){.kind = CE_INSTANCE, .type = b}, (struct centity){.kind = CE_INSTANCE, .type = a});
    }
    for (uint32_t i = 0; i < b->exports_count; i++) {
        const struct cextern *want = &b->exports[i], *have = ctype_export(a, want->name);
        if (!have) MISMATCH("missing expected export `" STR_FMT "`", STR_ARG(want->name));
        struct centity e = b->fresh_count ? csubst_entity(&s, want->e) : want->e;
        WITHIN(csub_entity(ts, have->e, e, d, at), "type mismatch in instance export `" STR_FMT "`", STR_ARG(want->name));
    }
    return ERR_OK;
}

/* b's imports must satisfy a's; then a's exports, seen with b's resources, must satisfy b's. */
static err sub_component(struct ctypes *ts, const struct ctype *a, const struct ctype *b, struct diag *d, uint64_t at) {
    if (a == b) return ERR_OK;
    struct csubst imports, exports;
    csubst_init(&imports, ts);
    csubst_init(&exports, ts);
    TRY(csub_open(&imports, b->imports, b->imports_count, a->imports, a->imports_count, a->imported, a->imported_count, "import",
                  d, at));
    struct cextern *have = arena_array(ts->arena, struct cextern, a->exports_count);
    for (uint32_t i = 0; i < a->exports_count; i++)
        have[i] = (struct cextern){a->exports[i].name, csubst_entity(&imports, a->exports[i].e)};
    return csub_open(&exports, have, a->exports_count, b->exports, b->exports_count, b->fresh, b->fresh_count, "export", d, at);
}

static const char *any_text(const struct ctype *t) {
    switch (t->kind) {
    case CT_RESOURCE: return "resource";
    case CT_FUNC: return "func type";
    case CT_INSTANCE: return "instance type";
    case CT_COMPONENT: return "component type";
    default: return "defined type";
    }
}

static err sub_type(struct ctypes *ts, const struct ctype *a, const struct ctype *b, struct diag *d, uint64_t at) {
    bool av = ctype_is_value(a), bv = ctype_is_value(b);
    if (av && bv) return sub_value(a, b, d, at);
    if (a->kind != b->kind) MISMATCH("expected %s, found %s", any_text(b), any_text(a));
    switch (a->kind) {
    case CT_RESOURCE:
        if (a->res == b->res) return ERR_OK;
        MISMATCH("resource types are not the same");
    case CT_FUNC: return sub_func(a, b, d, at);
    case CT_INSTANCE: return sub_instance(ts, a, b, d, at);
    default: return sub_component(ts, a, b, d, at);
    }
}

err csub_entity(struct ctypes *ts, struct centity a, struct centity b, struct diag *d, uint64_t at) {
    if (a.kind != b.kind) MISMATCH("expected %s, found %s", centity_text(b.kind), centity_text(a.kind));
    switch (a.kind) {
    case CE_MODULE: return sub_module(ts, a.module, b.module, d, at);
    case CE_FUNC: return sub_func(a.type, b.type, d, at);
    case CE_VALUE: return sub_value(a.type, b.type, d, at);
    case CE_TYPE: return sub_type(ts, a.type, b.type, d, at);
    case CE_COMPONENT: return sub_component(ts, a.type, b.type, d, at);
    case CE_INSTANCE: return sub_instance(ts, a.type, b.type, d, at);
    }
    return ERR_OK;
}
