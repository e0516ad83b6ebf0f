/* plan_build: replays a component's definitions for each of its instances, and writes down what they come to.
 *
 * An env is one component instance being built: its index spaces, now of real items, and which real resource
 * stands behind each resource of its types. Static types and real items are walked side by side where items
 * enter an env (bind). */
#include "component/plan_int.h"

enum { WORK_MAX = 2'000'000 }; /* definitions replayed in all */

struct pinst;
struct env;

struct pcomponent { /* with the instance around its definition, for outer aliases */
    const struct component *c;
    struct env *env;
};
struct pitem {
    enum centity_kind kind;
    struct plan_func func; /* FUNC */
    uint32_t func_type;
    uint32_t module; /* MODULE: plan.modules[] */
    struct pcomponent component;
    struct pinst *instance;
    const struct ctype *type; /* TYPE: with env */
    struct env *env;
    uint32_t resource; /* TYPE of a resource, else PLAN_NONE */
};
struct pinst {
    struct map by_name; /* -> index in items */
    VEC(struct pitem) items;
    VEC(str) names;
};
struct pcore_inst {
    uint32_t index;     /* plan.core_instances[], or PLAN_NONE: inline exports, */
    struct map by_name; /* -> index in defs */
    struct plan_core_def *defs;
};
struct env {
    const struct component *c;
    struct env *outer;                 /* lexically */
    uint32_t instance;                 /* plan.instances[] */
    VEC(struct plan_core_def) core[5]; /* by enum wasm_extern */
    VEC(uint32_t) core_modules;
    VEC(struct pcore_inst *) core_instances;
    VEC(struct pitem) funcs;
    VEC(struct pcomponent) components;
    VEC(struct pinst *) instances;
    struct cptrs *resources; /* cres id -> plan resource + 1 */
    struct cptrs *types;     /* ctype uid -> plan type + 1: those that refer to resources */
};

struct builder {
    struct pbuild b;
    const struct component *root;
    struct diag *d;
    uint64_t work;
    struct env *env_of_root;
};

#define FAIL(code, ...)                                                                                                          \
    do {                                                                                                                         \
        (void)diag_set(p->d, code, DIAG_NOWHERE, __VA_ARGS__);                                                                   \
        return code;                                                                                                             \
    } while (0)

static void *number(uint32_t n) { return (void *)(uintptr_t)(n + 1u); }
static uint32_t number_of(void *v) { return (uint32_t)(uintptr_t)v - 1u; }

/* ---- resources and types ------------------------------------------------------------------------ */

static struct plan_core_def core_def(const struct env *e, enum wasm_extern kind, uint32_t index) {
    return index == PLAN_NONE ? (struct plan_core_def){0} : e->core[kind].p[index];
}

static err resource_of(struct builder *p, struct env *e, const struct cres *r, uint32_t *out) {
    void *known = cptrs_get(e->resources, r->id);
    if (known) {
        *out = number_of(known);
        return ERR_OK;
    }
    if (r->owner != e->c->scope) FAIL(ERR_INVALID, "a type refers to a resource that nothing defines");
    struct plan_resource res = {.instance = e->instance, .rep64 = r->rep64, .destructor = core_def(e, WASM_EXTERN_FUNC, r->dtor)};
    *out = p->b.resources.n;
    vec_push(p->b.arena, &p->b.resources, res);
    cptrs_put(p->b.arena, e->resources, r->id, number(*out));
    return ERR_OK;
}

static err type_of(struct builder *p, struct env *e, const struct ctype *t, uint32_t *out);

static err fields_of(struct builder *p, struct env *e, const struct ctype *t, struct plan_field **out) {
    struct plan_field *f = arena_array(p->b.arena, struct plan_field, t->fields_count);
    for (uint32_t i = 0; i < t->fields_count; i++) {
        f[i] = (struct plan_field){.name = t->fields[i].name, .type = PLAN_NONE};
        if (t->fields[i].type) TRY(type_of(p, e, t->fields[i].type, &f[i].type));
    }
    *out = f;
    return ERR_OK;
}

static err type_of(struct builder *p, struct env *e, const struct ctype *t, uint32_t *out) {
    if (t->kind < COMPONENT_PRIMITIVES) {
        *out = t->kind;
        return ERR_OK;
    }
    struct cptrs *memo = t->has_resource ? e->types : p->b.types_by_uid;
    void *known = cptrs_get(memo, t->uid);
    if (known) {
        *out = number_of(known);
        return ERR_OK;
    }
    struct plan_type n = {.kind = (enum component_type_kind)t->kind,
                          .element = PLAN_NONE,
                          .error = PLAN_NONE,
                          .resource = PLAN_NONE,
                          .length = t->length};
    struct plan_field *fields = NULL;
    if (t->kind == COMPONENT_TYPE_OWN || t->kind == COMPONENT_TYPE_BORROW) TRY(resource_of(p, e, t->elem->res, &n.resource));
    else if (t->elem) TRY(type_of(p, e, t->elem, &n.element));
    if (t->err) TRY(type_of(p, e, t->err, &n.error));
    TRY(fields_of(p, e, t, &fields));
    *out = pbuild_type(&p->b, t, &n, fields, t->fields_count);
    cptrs_put(p->b.arena, memo, t->uid, number(*out));
    return ERR_OK;
}

static err func_type_of(struct builder *p, struct env *e, const struct ctype *t, uint32_t *out) {
    struct plan_func_type n = {.is_async = t->is_async, .result = PLAN_NONE};
    struct plan_field *params = NULL;
    TRY(fields_of(p, e, t, &params));
    if (t->elem) TRY(type_of(p, e, t->elem, &n.result));
    *out = pbuild_func_type(&p->b, t, &n, params, t->fields_count);
    return ERR_OK;
}

/* ---- items -------------------------------------------------------------------------------------- */

static void inst_put(struct builder *p, struct pinst *inst, str name, struct pitem item) {
    map_put(p->b.arena, &inst->by_name, name, inst->items.n);
    vec_push(p->b.arena, &inst->items, item);
    vec_push(p->b.arena, &inst->names, name);
}

static const struct pitem *inst_get(const struct pinst *inst, str name) {
    uint64_t i;
    return map_get(&inst->by_name, name, &i) ? &inst->items.p[i] : NULL;
}

/* Item enters e, where its type is `type`: resources that the type names are those that the item names. */
static void bind(struct builder *p, struct env *e, struct centity type, const struct pitem *item) {
    if (type.kind == CE_TYPE && type.type->kind == CT_RESOURCE) {
        if (!cptrs_get(e->resources, type.type->res->id))
            cptrs_put(p->b.arena, e->resources, type.type->res->id, number(item->resource));
    }
    if (type.kind != CE_INSTANCE || !type.type->has_resource) return;
    for (uint32_t i = 0; i < type.type->exports_count; i++) {
        const struct cextern *x = &type.type->exports[i];
        const struct pitem *inner = inst_get(item->instance, x->name);
        if (inner) bind(p, e, x->e, inner);
    }
}

static void push(struct builder *p, struct env *e, const struct pitem *item) {
    switch (item->kind) {
    case CE_MODULE: vec_push(p->b.arena, &e->core_modules, item->module); break;
    case CE_FUNC: vec_push(p->b.arena, &e->funcs, *item); break;
    case CE_COMPONENT: vec_push(p->b.arena, &e->components, item->component); break;
    case CE_INSTANCE: vec_push(p->b.arena, &e->instances, item->instance); break;
    default: break; /* types are in the static scope */
    }
}

static err item_of_type(struct builder *p, struct env *e, const struct ctype *t, struct pitem *out) {
    *out = (struct pitem){.kind = CE_TYPE, .type = t, .env = e, .resource = PLAN_NONE};
    return t->kind == CT_RESOURCE ? resource_of(p, e, t->res, &out->resource) : ERR_OK;
}

static err item_at(struct builder *p, struct env *e, enum csort sort, uint32_t index, struct pitem *out) {
    *out = (struct pitem){.resource = PLAN_NONE};
    switch (sort) {
    case CSORT_CORE_MODULE:
        out->kind = CE_MODULE;
        out->module = e->core_modules.p[index];
        return ERR_OK;
    case CSORT_FUNC: *out = e->funcs.p[index]; return ERR_OK;
    case CSORT_TYPE: return item_of_type(p, e, e->c->scope->types.p[index], out);
    case CSORT_COMPONENT:
        out->kind = CE_COMPONENT;
        out->component = e->components.p[index];
        return ERR_OK;
    case CSORT_INSTANCE:
        out->kind = CE_INSTANCE;
        out->instance = e->instances.p[index];
        return ERR_OK;
    default: FAIL(ERR_UNSUPPORTED, "component values are not supported");
    }
}

/* ---- core instances ----------------------------------------------------------------------------- */

static struct plan_core_def core_export(struct builder *p, const struct pcore_inst *inst, str name) {
    uint64_t i;
    if (inst->index == PLAN_NONE) {
        ENSURE(map_get(&inst->by_name, name, &i));
        return inst->defs[i];
    }
    const struct plan_core_instance *ci = &p->b.core_instances.p[inst->index];
    const struct pmodule *m = &p->b.module_info.p[ci->module];
    ENSURE(map_get(&m->exports, name, &i));
    const struct wasm_export *x = &m->module->exports[i];
    if (x->index < m->imported[x->kind].n) return p->b.import_defs.p[ci->imports_first + m->imported[x->kind].p[x->index]];
    return (struct plan_core_def){PLAN_DEF_EXPORT, x->kind, inst->index, x->index};
}

static err core_instance(struct builder *p, struct env *e, const struct cdef *def) {
    uint32_t module = e->core_modules.p[def->index];
    const struct wasm_module *m = p->b.module_info.p[module].module;
    struct pcore_inst *inst = arena_make(p->b.arena, struct pcore_inst);
    struct map args = {0};
    if (p->b.core_instances.n >= PLAN_INSTANCES_MAX)
        FAIL(ERR_LIMIT, "the component instantiates more than %u core modules", PLAN_INSTANCES_MAX);
    for (uint32_t i = 0; i < def->refs_count; i++) map_put(p->b.arena, &args, def->refs[i].name, def->refs[i].index);
    struct plan_core_instance ci = {module, e->instance, p->b.import_defs.n, m->imports_count};
    for (uint32_t i = 0; i < m->imports_count; i++) {
        uint64_t arg;
        ENSURE(map_get(&args, m->imports[i].module, &arg));
        struct plan_core_def d = core_export(p, e->core_instances.p[arg], m->imports[i].name);
        vec_push(p->b.arena, &p->b.import_defs, d);
    }
    inst->index = p->b.core_instances.n;
    vec_push(p->b.arena, &p->b.core_instances, ci);
    vec_push(p->b.arena, &e->core_instances, inst);
    return ERR_OK;
}

static void core_inline_exports(struct builder *p, struct env *e, const struct cdef *def) {
    struct pcore_inst *inst = arena_make(p->b.arena, struct pcore_inst);
    inst->index = PLAN_NONE;
    inst->defs = arena_array(p->b.arena, struct plan_core_def, def->refs_count);
    for (uint32_t i = 0; i < def->refs_count; i++) {
        inst->defs[i] = core_def(e, (enum wasm_extern)(def->refs[i].sort - CSORT_CORE_FUNC), def->refs[i].index);
        map_put(p->b.arena, &inst->by_name, def->refs[i].name, i);
    }
    vec_push(p->b.arena, &e->core_instances, inst);
}

/* ---- canonical definitions ---------------------------------------------------------------------- */

static struct plan_options options_of(const struct env *e, const struct ccanon *c) {
    uint32_t memory = c->memory != PLAN_NONE ? c->memory : c->options.memory;
    return (struct plan_options){
        .encoding = c->options.encoding,
        .is_async = c->options.is_async,
        .memory64 = c->memory64,
        .memory = core_def(e, WASM_EXTERN_MEMORY, memory),
        .realloc = core_def(e, WASM_EXTERN_FUNC, c->options.realloc),
        .post_return = core_def(e, WASM_EXTERN_FUNC, c->options.post_return),
        .callback = core_def(e, WASM_EXTERN_FUNC, c->options.callback),
    };
}

static err lift(struct builder *p, struct env *e, const struct ccanon *c) {
    struct plan_lift l = {.func = core_def(e, WASM_EXTERN_FUNC, c->func), .instance = e->instance, .options = options_of(e, c)};
    TRY(func_type_of(p, e, c->type, &l.type));
    struct pitem item = {.kind = CE_FUNC, .func = {PLAN_FUNC_LIFT, p->b.lifts.n}, .func_type = l.type, .resource = PLAN_NONE};
    vec_push(p->b.arena, &p->b.lifts, l);
    push(p, e, &item);
    return ERR_OK;
}

static err canon(struct builder *p, struct env *e, const struct ccanon *c) {
    if (c->kind == COMPONENT_CANON_LIFT) return lift(p, e, c);
    struct plan_canon n = {.kind = c->kind,
                           .instance = e->instance,
                           .options = options_of(e, c),
                           .func_type = PLAN_NONE,
                           .type = PLAN_NONE,
                           .resource = PLAN_NONE,
                           .is_async = c->is_async,
                           .cancellable = c->cancellable,
                           .shared = c->shared,
                           .immediate = c->immediate,
                           .immediate64 = c->immediate64,
                           .table64 = c->table64,
                           .target = {PLAN_FUNC_IMPORT, PLAN_NONE},
                           .table = core_def(e, WASM_EXTERN_TABLE, c->table)};
    if (c->kind == COMPONENT_CANON_LOWER) {
        n.target = e->funcs.p[c->func].func;
        n.func_type = e->funcs.p[c->func].func_type;
    } else if (c->type && c->type->kind == CT_RESOURCE) TRY(resource_of(p, e, c->type->res, &n.resource));
    else if (c->type) TRY(type_of(p, e, c->type, &n.type));
    struct plan_core_def d = {PLAN_DEF_CANON, WASM_EXTERN_FUNC, PLAN_NONE, p->b.canons.n};
    vec_push(p->b.arena, &p->b.canons, n);
    vec_push(p->b.arena, &e->core[WASM_EXTERN_FUNC], d);
    return ERR_OK;
}

/* ---- instances ---------------------------------------------------------------------------------- */

static err instantiate(struct builder *p, struct pcomponent c, uint32_t parent, const struct pinst *args, struct env **env,
                       struct pinst **exports);

static err child(struct builder *p, struct env *e, const struct cdef *def) {
    struct pinst *args = arena_make(p->b.arena, struct pinst);
    struct pitem item = {.kind = CE_INSTANCE, .resource = PLAN_NONE};
    struct env *inner;
    for (uint32_t i = 0; i < def->refs_count; i++) {
        struct pitem arg;
        TRY(item_at(p, e, def->refs[i].sort, def->refs[i].index, &arg));
        inst_put(p, args, def->refs[i].name, arg);
    }
    TRY(instantiate(p, e->components.p[def->index], e->instance, args, &inner, &item.instance));
    bind(p, e, def->e, &item);
    push(p, e, &item);
    return ERR_OK;
}

static err inline_exports(struct builder *p, struct env *e, const struct cdef *def) {
    struct pitem item = {.kind = CE_INSTANCE, .instance = arena_make(p->b.arena, struct pinst), .resource = PLAN_NONE};
    for (uint32_t i = 0; i < def->refs_count; i++) {
        struct pitem x;
        TRY(item_at(p, e, def->refs[i].sort, def->refs[i].index, &x));
        inst_put(p, item.instance, def->refs[i].name, x);
    }
    push(p, e, &item);
    return ERR_OK;
}

static void alias_outer(struct builder *p, struct env *e, const struct cdef *def) {
    struct env *outer = e;
    for (uint32_t i = 0; i < def->index; i++) outer = outer->outer;
    if (def->sort == CSORT_CORE_MODULE) vec_push(p->b.arena, &e->core_modules, outer->core_modules.p[def->outer_index]);
    if (def->sort == CSORT_COMPONENT) vec_push(p->b.arena, &e->components, outer->components.p[def->outer_index]);
}

static err import_item(struct builder *p, struct env *e, struct centity type, str interface, str name, struct pitem *out);

static err import(struct builder *p, struct env *e, const struct cdef *def, const struct pinst *args) {
    struct pitem item;
    if (!args) {
        bool nested = def->e.kind == CE_INSTANCE;
        TRY(import_item(p, e, def->e, nested ? def->name : STR(""), def->name, &item));
    } else {
        const struct pitem *arg = inst_get(args, def->name);
        ENSURE(arg != NULL);
        item = *arg;
        bind(p, e, def->e, &item);
    }
    push(p, e, &item);
    return ERR_OK;
}

static err export(struct builder *p, struct env *e, const struct cdef *def, struct pinst *exports) {
    struct pitem item;
    TRY(item_at(p, e, def->sort, def->index, &item));
    bind(p, e, def->e, &item);
    push(p, e, &item);
    inst_put(p, exports, def->name, item);
    return ERR_OK;
}

static err replay(struct builder *p, struct env *e, const struct cdef *def, const struct pinst *args, struct pinst *exports) {
    const struct pitem *found;
    struct plan_core_def d;
    switch (def->kind) {
    case CDEF_MODULE: vec_push(p->b.arena, &e->core_modules, pbuild_module(&p->b, &e->c->modules.p[def->index])); return ERR_OK;
    case CDEF_CORE_INSTANCE: return core_instance(p, e, def);
    case CDEF_CORE_EXPORTS: core_inline_exports(p, e, def); return ERR_OK;
    case CDEF_COMPONENT: {
        struct pcomponent c = {def->component, e};
        vec_push(p->b.arena, &e->components, c);
        return ERR_OK;
    }
    case CDEF_INSTANCE: return child(p, e, def);
    case CDEF_EXPORTS: return inline_exports(p, e, def);
    case CDEF_ALIAS_EXPORT:
        found = inst_get(e->instances.p[def->index], def->name);
        ENSURE(found != NULL);
        push(p, e, found);
        return ERR_OK;
    case CDEF_ALIAS_CORE_EXPORT:
        d = core_export(p, e->core_instances.p[def->index], def->name);
        vec_push(p->b.arena, &e->core[def->sort - CSORT_CORE_FUNC], d);
        return ERR_OK;
    case CDEF_ALIAS_OUTER: alias_outer(p, e, def); return ERR_OK;
    case CDEF_CANON: return canon(p, e, def->canon);
    case CDEF_IMPORT: return import(p, e, def, args);
    case CDEF_EXPORT: return export(p, e, def, exports);
    }
    return ERR_OK;
}

/* args NULL: the root, whose imports the host gives. */
static err instantiate(struct builder *p, struct pcomponent c, uint32_t parent, const struct pinst *args, struct env **env,
                       struct pinst **exports) {
    struct env *e = arena_make(p->b.arena, struct env);
    struct plan_instance inst = {parent};
    if (p->b.instances.n >= PLAN_INSTANCES_MAX) FAIL(ERR_LIMIT, "the component has more than %u instances", PLAN_INSTANCES_MAX);
    p->work += c.c->defs.n;
    if (p->work > WORK_MAX) FAIL(ERR_LIMIT, "the component's instances have more than %u definitions", WORK_MAX);
    e->c = c.c;
    e->outer = c.env;
    e->instance = p->b.instances.n;
    e->resources = cptrs_new(p->b.arena);
    e->types = cptrs_new(p->b.arena);
    vec_push(p->b.arena, &p->b.instances, inst);
    *env = e;
    *exports = arena_make(p->b.arena, struct pinst);
    for (uint32_t i = 0; i < c.c->defs.n; i++) TRY(replay(p, e, &c.c->defs.p[i], args, *exports));
    return ERR_OK;
}

/* ---- the outside -------------------------------------------------------------------------------- */

/* What all versions of an interface on one semver track have in common. */
static void put_track(struct buf *b, str interface) {
    struct component_name n;
    component_name_split(interface, &n);
    const struct component_version *v = &n.version;
    buf_puts(b, n.bare);
    if (!v->present) return;
    buf_printf(b, "@%llu", (unsigned long long)v->major);
    if (!v->major || v->pre.n) buf_printf(b, ".%llu", (unsigned long long)v->minor);
    if ((!v->major && !v->minor) || v->pre.n) buf_printf(b, ".%llu", (unsigned long long)v->patch);
    if (v->pre.n) buf_printf(b, "-" STR_FMT, STR_ARG(v->pre));
}

static uint32_t import_resource(struct builder *p, struct env *e, const struct cres *r, str interface, str name) {
    void *known = cptrs_get(e->resources, r->id);
    uint64_t index;
    if (known) return number_of(known);
    struct buf *key = &p->b.key;
    key->n = 0;
    put_track(key, interface);
    buf_printf(key, "\n" STR_FMT, STR_ARG(name));
    if (!map_get(&p->b.imported_resources, buf_str(key), &index)) {
        struct plan_resource n = {.imported = true, .instance = PLAN_NONE, .interface = interface, .name = name, .label = name};
        index = p->b.resources.n;
        map_put(p->b.arena, &p->b.imported_resources, arena_str(p->b.arena, buf_str(key)), index);
        vec_push(p->b.arena, &p->b.resources, n);
    }
    cptrs_put(p->b.arena, e->resources, r->id, number((uint32_t)index));
    return (uint32_t)index;
}

static err import_instance(struct builder *p, struct env *e, struct centity type, str interface, struct pitem *out) {
    out->instance = arena_make(p->b.arena, struct pinst);
    for (uint32_t i = 0; i < type.type->exports_count; i++) {
        const struct cextern *x = &type.type->exports[i];
        struct pitem item;
        bool nested = x->e.kind == CE_INSTANCE;
        str path = nested ? arena_fmt(p->b.arena, STR_FMT "/" STR_FMT, STR_ARG(interface), STR_ARG(x->name)) : interface;
        TRY(import_item(p, e, x->e, path, x->name, &item));
        inst_put(p, out->instance, x->name, item);
    }
    return ERR_OK;
}

static err import_item(struct builder *p, struct env *e, struct centity type, str interface, str name, struct pitem *out) {
    *out = (struct pitem){.kind = type.kind, .resource = PLAN_NONE};
    switch (type.kind) {
    case CE_FUNC: {
        struct plan_import n = {.interface = interface, .name = name};
        TRY(func_type_of(p, e, type.type, &n.type));
        out->func = (struct plan_func){PLAN_FUNC_IMPORT, p->b.imports.n};
        out->func_type = n.type;
        vec_push(p->b.arena, &p->b.imports, n);
        return ERR_OK;
    }
    case CE_TYPE:
        out->type = type.type;
        out->env = e;
        if (type.type->kind == CT_RESOURCE) out->resource = import_resource(p, e, type.type->res, interface, name);
        return ERR_OK;
    case CE_INSTANCE: return import_instance(p, e, type, interface, out);
    default:
        FAIL(ERR_LINK, "the component imports the %s `" STR_FMT "`, which no host offers: compose it with what it needs first",
             type.kind == CE_MODULE ? "core module" : centity_text(type.kind), STR_ARG(name));
    }
}

static err root_exports(struct builder *p, const struct pinst *inst, uint32_t parent) {
    for (uint32_t i = 0; i < inst->items.n; i++) {
        const struct pitem *item = &inst->items.p[i];
        struct plan_export x = {.kind = PLAN_EXPORT_OTHER,
                                .name = inst->names.p[i],
                                .parent = parent,
                                .index = PLAN_NONE,
                                .func = {PLAN_FUNC_IMPORT, PLAN_NONE}};
        if (item->kind == CE_FUNC) {
            x.kind = PLAN_EXPORT_FUNC;
            x.func = item->func;
            x.index = item->func_type;
        } else if (item->kind == CE_INSTANCE) x.kind = PLAN_EXPORT_INSTANCE;
        else if (item->kind == CE_TYPE && item->resource != PLAN_NONE) {
            x.kind = PLAN_EXPORT_RESOURCE;
            x.index = item->resource;
            struct plan_resource *r = &p->b.resources.p[item->resource];
            if (!r->label.n) r->label = x.name;
        } else if (item->kind == CE_TYPE && ctype_is_value(item->type)) {
            x.kind = PLAN_EXPORT_TYPE;
            TRY(type_of(p, item->env, item->type, &x.index));
        }
        uint32_t index = p->b.exports.n;
        vec_push(p->b.arena, &p->b.exports, x);
        if (item->kind == CE_INSTANCE) TRY(root_exports(p, item->instance, index));
    }
    return ERR_OK;
}

err component_plan(arena *out, const struct component *c, struct plan *plan, struct diag *d) {
    struct builder *p = arena_make(out, struct builder);
    struct pinst *exports;
    p->root = c;
    p->d = d;
    pbuild_init(&p->b, out);
    TRY(instantiate(p, (struct pcomponent){c, NULL}, PLAN_NONE, NULL, &p->env_of_root, &exports));
    TRY(root_exports(p, exports, PLAN_NONE));
    pbuild_finish(&p->b, plan);
    return ERR_OK;
}
