/* extern: imports and exports: their names, and which types they may mention (Explainer.md, Import and Export
 * Definitions, External Visibility of Types). */
#include "component/component_int.h"

/* ---- names and attributes ----------------------------------------------------------------------- */

static err attribute(struct cvalidator *v, struct crd *r, struct cextern_name *n) {
    uint64_t at = crd_at(r);
    uint8_t b;
    TRY(crd_u8(r, &b));
    struct {
        const char *text;
        bool *has;
        str *value;
    } kinds[] = {{"implements", &n->has_implements, &n->implements},
                 {"versionsuffix", &n->has_version_suffix, &n->version_suffix},
                 {"external-id", &n->has_external_id, &n->external_id}};
    if (b >= ARRAY_COUNT(kinds)) CMALFORMED(at, "invalid leading byte (0x%x) for name option", b);
    if (*kinds[b].has) CFAIL(at, "duplicate '%s' option in name", kinds[b].text);
    *kinds[b].has = true;
    return crd_name(r, kinds[b].value);
}

err cdec_extern_name(struct cvalidator *v, struct crd *r, struct cextern_name *n) {
    uint64_t at = crd_at(r);
    uint8_t b;
    uint32_t attributes;
    *n = (struct cextern_name){0};
    TRY(crd_u8(r, &b));
    if (b > 2) CMALFORMED(at, "invalid leading byte (0x%x) for component name", b);
    TRY(crd_name(r, &n->name));
    if (b < 2) return ERR_OK;
    TRY(crd_count(r, CMAX_PARAMS, "attributes", &attributes));
    for (uint32_t i = 0; i < attributes; i++) TRY(attribute(v, r, n));
    return ERR_OK;
}

static err check_attributes(struct cvalidator *v, const struct cextern_name *n, bool is_interface, struct centity e,
                            uint64_t at) {
    if (n->has_implements) {
        bool interface;
        struct component_func_name f;
        component_func_name_split(n->name, &f);
        if (is_interface || f.kind != COMPONENT_FUNC_PLAIN)
            CFAIL(at, "name `" STR_FMT "` is not valid with `implements`", STR_ARG(n->name));
        if (e.kind != CE_INSTANCE) CFAIL(at, "only instances can have an `implements`");
        err bad = cname_extern(n->implements, &interface, v->d, at);
        if (bad != ERR_OK) {
            diag_prefix(v->d, "`" STR_FMT "` is not a valid name", STR_ARG(n->implements));
            return bad;
        }
        if (!interface) CFAIL(at, "name `" STR_FMT "` must be an interface", STR_ARG(n->implements));
    }
    if (n->has_version_suffix) {
        struct component_version whole;
        str bare, version;
        if (e.kind != CE_INSTANCE) CFAIL(at, "only instances can have an `versionsuffix`");
        if (!str_cut(n->name, '@', &bare, &version) || !cname_canonversion(version))
            CFAIL(at, "`versionsuffix` needs a name with a canonical version");
        str joined = arena_fmt(v->arena, STR_FMT STR_FMT, STR_ARG(version), STR_ARG(n->version_suffix));
        if (!component_version_parse(joined, &whole)) CFAIL(at, "`" STR_FMT "` is not a valid semver", STR_ARG(joined));
    }
    return ERR_OK;
}

/* ---- annotated names ---------------------------------------------------------------------------- */

static err named_resource(struct cvalidator *v, const struct cnames *n, const struct ctype *resource, str want, uint64_t at) {
    const str *name = n->resource_names ? cptrs_get(n->resource_names, resource->uid) : NULL;
    if (!name) CFAIL(at, "resource used in function does not have a name in this context");
    if (!str_eq(*name, want)) CFAIL(at, "function does not match expected resource name `" STR_FMT "`", STR_ARG(*name));
    return ERR_OK;
}

static err constructor(struct cvalidator *v, const struct cnames *n, str resource, const struct ctype *f, uint64_t at) {
    if (f->is_async) CFAIL(at, "constructor function cannot be async");
    const struct ctype *t = f->elem;
    if (!t) CFAIL(at, "function should return one value");
    if (t->kind == COMPONENT_TYPE_RESULT && t->elem) t = t->elem;
    if (t->kind != COMPONENT_TYPE_OWN) CFAIL(at, "function should return `(own $T)` or `(result (own $T))`");
    return named_resource(v, n, t->elem, resource, at);
}

static err method(struct cvalidator *v, const struct cnames *n, str resource, const struct ctype *f, uint64_t at) {
    if (f->fields_count == 0) CFAIL(at, "function should have at least one argument");
    if (!str_eq(f->fields[0].name, STR("self"))) CFAIL(at, "function should have a first argument called `self`");
    const struct ctype *self = f->fields[0].type;
    if (self->kind != COMPONENT_TYPE_BORROW) CFAIL(at, "function should take a first argument of `(borrow $T)`");
    return named_resource(v, n, self->elem, resource, at);
}

static err check_annotation(struct cvalidator *v, const struct cnames *n, str name, struct centity e, uint64_t at) {
    struct component_func_name f;
    component_func_name_split(name, &f);
    if (f.kind == COMPONENT_FUNC_PLAIN) return ERR_OK;
    if (e.kind != CE_FUNC) CFAIL(at, "item is not a func");
    if (f.kind == COMPONENT_FUNC_CONSTRUCTOR) return constructor(v, n, f.resource, e.type, at);
    if (f.kind == COMPONENT_FUNC_METHOD) return method(v, n, f.resource, e.type, at);
    uint64_t known;
    if (!map_get(&n->resources, f.resource, &known)) CFAIL(at, "static resource name is not known in this context");
    return ERR_OK;
}

err cnames_add(struct cvalidator *v, struct cnames *n, const char *direction, const struct cextern_name *name, struct centity e,
               uint64_t at) {
    bool is_interface;
    uint64_t prev;
    err bad = cname_extern(name->name, &is_interface, v->d, at);
    if (bad == ERR_OK) bad = check_attributes(v, name, is_interface, e, at);
    if (bad == ERR_OK) bad = check_annotation(v, n, name->name, e, at);
    if (bad != ERR_OK) {
        diag_prefix(v->d, "%s name `" STR_FMT "` is not valid", direction, STR_ARG(name->name));
        return bad;
    }
    str key = cname_canonical(v->arena, name->name);
    if (map_get(&n->canonical, key, &prev))
        CFAIL(at, "%s name `" STR_FMT "` conflicts with previous name `" STR_FMT "`", direction, STR_ARG(name->name),
              STR_ARG(n->names.p[prev]));
    map_put(v->arena, &n->canonical, key, n->names.n);
    vec_push(v->arena, &n->names, name->name);
    return ERR_OK;
}

/* A resource imported or exported under this name, at the top of a scope. */
static void register_resource(struct cvalidator *v, struct cnames *n, str name, const struct ctype *resource) {
    str *copy = arena_make(v->arena, str);
    *copy = name;
    if (!n->resource_names) n->resource_names = cptrs_new(v->arena);
    cptrs_put(v->arena, n->resource_names, resource->uid, copy);
    map_put(v->arena, &n->resources, name, 1);
}

/* ---- external visibility ------------------------------------------------------------------------ */

static bool is_named(const struct cptrs *named, const struct ctype *t) { return cptrs_get(named, t->uid) != NULL; }

/* t may be mentioned: resources, records, variants, enums and flags by a name that is visible outside. */
static bool visible(const struct cptrs *named, const struct ctype *t) {
    if (!t || t->kind < COMPONENT_PRIMITIVES) return true;
    switch (t->kind) {
    case COMPONENT_TYPE_RECORD:
    case COMPONENT_TYPE_VARIANT:
    case COMPONENT_TYPE_ENUM:
    case COMPONENT_TYPE_FLAGS: return is_named(named, t);
    case COMPONENT_TYPE_OWN:
    case COMPONENT_TYPE_BORROW: return is_named(named, t->elem);
    default: break;
    }
    if (!visible(named, t->elem) || !visible(named, t->err)) return false;
    for (uint32_t i = 0; i < t->fields_count; i++)
        if (!visible(named, t->fields[i].type)) return false;
    return true;
}

/* What t itself consists of is visible; t is about to get a name. */
static bool parts_visible(const struct cptrs *named, const struct ctype *t) {
    if (t->kind == CT_RESOURCE || t->kind == CT_COMPONENT || t->kind < COMPONENT_PRIMITIVES) return true;
    if (t->kind == CT_INSTANCE) {
        for (uint32_t i = 0; i < t->exports_count; i++) {
            struct centity e = t->exports[i].e;
            if (e.kind == CE_FUNC || e.kind == CE_TYPE || e.kind == CE_INSTANCE)
                if (!parts_visible(named, e.type)) return false;
        }
        return true;
    }
    if (t->kind == COMPONENT_TYPE_OWN || t->kind == COMPONENT_TYPE_BORROW) return is_named(named, t->elem);
    if (!visible(named, t->elem) || !visible(named, t->err)) return false;
    for (uint32_t i = 0; i < t->fields_count; i++)
        if (!visible(named, t->fields[i].type)) return false;
    return true;
}

/* Checks that e may be imported or exported, and gives the types in it their names. */
static bool name_types(struct cvalidator *v, struct cscope *s, bool import, struct centity e) {
    struct cptrs *named = import ? s->named_imports : s->named_exports;
    switch (e.kind) {
    case CE_TYPE:
        if (!parts_visible(named, e.referenced ? e.referenced : e.type)) return false;
        if (import) cptrs_put(v->arena, s->named_imports, e.type->uid, s);
        cptrs_put(v->arena, s->named_exports, e.type->uid, s);
        return true;
    case CE_INSTANCE:
        for (uint32_t i = 0; i < e.type->exports_count; i++)
            if (!name_types(v, s, import, e.type->exports[i].e)) return false;
        return true;
    case CE_FUNC: return parts_visible(named, e.type);
    case CE_VALUE: return visible(named, e.type);
    default: return true;
    }
}

/* ---- imports and exports ------------------------------------------------------------------------ */

/* An instance type's bound resources become resources of the scope: each import or export of the type has its
 * own. */
static struct centity open_instance(struct cvalidator *v, struct cscope *s, bool import, struct centity e) {
    if (e.kind != CE_INSTANCE || e.type->fresh_count == 0) return e;
    struct csubst subst;
    csubst_init(&subst, v->ts);
    for (uint32_t i = 0; i < e.type->fresh_count; i++) {
        struct cres *r = ctypes_new_res(v->ts, NULL);
        csubst_bind(&subst, e.type->fresh[i], ctypes_res_node(v->ts, r));
        if (import) vec_push(v->arena, &s->imported, r);
        else vec_push(v->arena, &s->fresh, r);
    }
    struct ctype *opened = ctypes_new_node(v->ts, CT_INSTANCE);
    uint32_t uid = opened->uid;
    *opened = *csubst_type(&subst, e.type);
    opened->uid = uid;
    opened->fresh = NULL;
    opened->fresh_count = 0;
    e.type = opened;
    return e;
}

static err add(struct cvalidator *v, struct cscope *s, bool import, const struct cextern_name *name, struct centity *e,
               uint64_t at) {
    const char *direction = import ? "import" : "export";
    struct cnames *names = import ? &s->import_names : &s->export_names;
    *e = open_instance(v, s, import, *e);
    if (e->kind == CE_TYPE) ((struct ctype *)(uintptr_t)e->type)->name = name->name; /* made for this import or export */
    if (e->kind == CE_TYPE && e->type->kind == CT_RESOURCE) {
        if (e->type == e->referenced && import) vec_push(v->arena, &s->imported, e->type->res);
        else if (e->type == e->referenced) vec_push(v->arena, &s->fresh, e->type->res);
        register_resource(v, names, name->name, e->type);
    }
    if (s->kind != CSCOPE_INSTANCE_TYPE && !name_types(v, s, import, *e))
        CFAIL(at, "%s not valid to be used as %s: a type in it has no name that is visible outside (`" STR_FMT "`)",
              centity_text(e->kind), direction, STR_ARG(name->name));
    TRY(cscope_push(v, s, *e, at));
    TRY(cnames_add(v, names, direction, name, *e, at));
    struct cextern x = {name->name, *e};
    if (import) vec_push(v->arena, &s->imports, x);
    else vec_push(v->arena, &s->exports, x);
    return ERR_OK;
}

err cdec_import(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    struct cextern_name name;
    struct centity e;
    TRY(cdec_extern_name(v, r, &name));
    TRY(cdec_externtype(v, s, r, &e));
    TRY(add(v, s, true, &name, &e, at));
    struct cdef *def = cscope_def(v, s, CDEF_IMPORT);
    if (def) {
        def->name = name.name;
        def->e = e;
    }
    return ERR_OK;
}

err cdec_exportdecl(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    struct cextern_name name;
    struct centity e;
    TRY(cdec_extern_name(v, r, &name));
    TRY(cdec_externtype(v, s, r, &e));
    return add(v, s, false, &name, &e, at);
}

err cdec_export(struct cvalidator *v, struct cscope *s, struct crd *r) {
    uint64_t at = crd_at(r);
    struct cextern_name name;
    struct centity e, ascribed;
    enum csort sort;
    uint32_t index;
    uint8_t has_type;
    TRY(cdec_extern_name(v, r, &name));
    TRY(cdec_sort(r, &sort));
    TRY(crd_u32(r, &index));
    TRY(crd_u8(r, &has_type));
    if (has_type > 1) CMALFORMED(crd_at(r) - 1, "invalid leading byte (0x%x) for optional component export type", has_type);
    TRY(cscope_entity(v, s, sort, index, &e, at));
    if (e.kind == CE_TYPE) e.type = ctypes_alias(v->ts, e.referenced);
    if (has_type) {
        TRY(cdec_externtype(v, s, r, &ascribed));
        /* Any resource may stand for (sub resource). */
        bool abstract = ascribed.kind == CE_TYPE && ascribed.type == ascribed.referenced;
        err bad =
            abstract && e.kind == CE_TYPE && e.type->kind == CT_RESOURCE ? ERR_OK : csub_entity(v->ts, e, ascribed, v->d, at);
        if (bad != ERR_OK) {
            diag_prefix(v->d, "ascribed type of export is not compatible with item's type");
            return bad;
        }
        e = ascribed;
    }
    TRY(add(v, s, false, &name, &e, at));
    struct cdef *def = cscope_def(v, s, CDEF_EXPORT);
    def->name = name.name;
    def->sort = sort;
    def->index = index;
    def->e = e;
    return ERR_OK;
}
