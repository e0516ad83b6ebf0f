/* gen_source: the tables of a world's interfaces: type descriptors, trampolines from the generic call to the typed function, resources,
 * callers of exports; and the offer, which is all that the world imports. */
#include <stdio.h>

#include "wit/gen_int.h"

static void put(struct wit_gen *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct wit_gen *g, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vfmt(g->a, fmt, ap);
    va_end(ap);
    buf_puts(g->out, s);
}

static const char *const primitive_host[] = {"BOOL", "S8",  "U8",  "S16", "U16",  "S32",   "U32",
                                             "S64",  "U64", "F32", "F64", "CHAR", "STRING"};

/* "&t_list_string", "&host_type_primitives[HOST_U8]", "NULL" */
static str type_ref(struct wit_gen *g, const struct wit_type *t) {
    if (!t) return STR("NULL");
    const struct wit_type *body = wit_type_target(t);
    if (body->kind <= WIT_LAST_PRIMITIVE) return arena_fmt(g->a, "&host_type_primitives[HOST_%s]", primitive_host[body->kind]);
    return arena_fmt(g->a, "&t_" STR_FMT, STR_ARG(wit_ident(g, t)));
}

static void put_type(struct wit_gen *g, const struct wit_type *t);

static const char *kind_host(enum wit_kind k) {
    switch (k) {
    case WIT_LIST:
    case WIT_MAP: return "LIST";
    case WIT_FIXED_LIST: return "ARRAY";
    case WIT_OPTION: return "OPTION";
    case WIT_RESULT: return "RESULT";
    case WIT_TUPLE:
    case WIT_RECORD: return "RECORD";
    case WIT_STREAM: return "STREAM";
    case WIT_FUTURE: return "FUTURE";
    case WIT_OWN: return "OWN";
    case WIT_BORROW: return "BORROW";
    case WIT_VARIANT: return "VARIANT";
    case WIT_ENUM: return "ENUM";
    case WIT_FLAGS: return "FLAGS";
    default: return "ERROR_CONTEXT";
    }
}

/* The rows of fields, cases or labels; gives how many. c: the C type they are in. */
static uint32_t put_fields(struct wit_gen *g, const struct wit_type *t, str ident, str c) {
    if (t->kind == WIT_OPTION || t->kind == WIT_RESULT) {
        bool option = t->kind == WIT_OPTION;
        put(g, "static const struct host_field f_" STR_FMT "[] = {{\"%s\", " STR_FMT ", 0, 0}, {\"%s\", " STR_FMT ", 0, 0}};\n",
            STR_ARG(ident), option ? "none" : "ok", STR_ARG(type_ref(g, option ? NULL : t->elem)), option ? "some" : "error",
            STR_ARG(type_ref(g, option ? t->elem : t->error)));
        return 2;
    }
    if (!t->fields.n) return 0;
    put(g, "static const struct host_field f_" STR_FMT "[] = {\n", STR_ARG(ident));
    for (uint32_t i = 0; i < t->fields.n; i++) {
        const struct wit_field *f = &t->fields.p[i];
        str offset = STR("0"), member = t->kind == WIT_TUPLE ? arena_fmt(g->a, "f%u", i) : wit_snake(g->a, f->name);
        if (t->kind == WIT_TUPLE || t->kind == WIT_RECORD)
            offset = arena_fmt(g->a, "offsetof(" STR_FMT ", " STR_FMT ")", STR_ARG(c), STR_ARG(member));
        str label = t->kind == WIT_TUPLE ? member : f->name;
        put(g, "    {\"" STR_FMT "\", " STR_FMT ", " STR_FMT ", 0},\n", STR_ARG(label), STR_ARG(type_ref(g, f->type)),
            STR_ARG(offset));
    }
    put(g, "};\n");
    return t->fields.n;
}

/* The member that all payloads share their offset with; empty: none has any. */
static str payload_member(struct wit_gen *g, const struct wit_type *t) {
    if (t->kind == WIT_OPTION) return STR("value");
    if (t->kind == WIT_RESULT) return t->elem ? STR("ok") : t->error ? STR("err") : (str){};
    for (uint32_t i = 0; t->kind == WIT_VARIANT && i < t->fields.n; i++)
        if (t->fields.p[i].type) return wit_snake(g->a, t->fields.p[i].name);
    return (str){};
}

static void put_map(struct wit_gen *g, const struct wit_type *t, str ident, str c) {
    put(g, "static const struct host_field f_" STR_FMT "[] = {\n", STR_ARG(ident));
    put(g, "    {\"f0\", " STR_FMT ", offsetof(typeof(*((" STR_FMT " *)0)->p), key), 0},\n", STR_ARG(type_ref(g, t->elem)),
        STR_ARG(c));
    put(g, "    {\"f1\", " STR_FMT ", offsetof(typeof(*((" STR_FMT " *)0)->p), value), 0},\n};\n", STR_ARG(type_ref(g, t->error)),
        STR_ARG(c));
    put(g,
        "static const struct host_type e_" STR_FMT " = {.kind = HOST_RECORD, .is_tuple = 1, .count = 2, .fields = f_" STR_FMT
        ", .host_size = sizeof(*((" STR_FMT " *)0)->p), .host_align = _Alignof(typeof(*((" STR_FMT " *)0)->p))};\n",
        STR_ARG(ident), STR_ARG(ident), STR_ARG(c), STR_ARG(c));
}

static void put_type_row(struct wit_gen *g, const struct wit_type *t, const struct wit_type *named, str ident) {
    str c = wit_c_type(g, named);
    bool list = t->kind == WIT_LIST || t->kind == WIT_FIXED_LIST || t->kind == WIT_STREAM || t->kind == WIT_FUTURE;
    bool handle = t->kind == WIT_OWN || t->kind == WIT_BORROW;
    uint32_t fields = 0;
    if (t->kind == WIT_MAP) put_map(g, t, ident, c);
    else if (!list) fields = put_fields(g, t, ident, c);
    put(g, "static const struct host_type t_" STR_FMT " = {.kind = HOST_%s", STR_ARG(ident), kind_host(t->kind));
    if (t->kind == WIT_TUPLE) put(g, ", .is_tuple = 1");
    if (fields) put(g, ", .count = %u, .fields = f_" STR_FMT, fields, STR_ARG(ident));
    if (t->kind == WIT_FIXED_LIST) put(g, ", .count = %u", t->length);
    if (list) put(g, ", .elem = " STR_FMT, STR_ARG(type_ref(g, t->elem)));
    if (t->kind == WIT_MAP) put(g, ", .elem = &e_" STR_FMT, STR_ARG(ident));
    if (handle) put(g, ", .resource = &" STR_FMT "_resource", STR_ARG(wit_def_c(g, t->def)));
    put(g, ", .host_size = sizeof(" STR_FMT "), .host_align = _Alignof(" STR_FMT ")", STR_ARG(c), STR_ARG(c));
    str payload = payload_member(g, t);
    if (payload.n) put(g, ", .host_payload = offsetof(" STR_FMT ", " STR_FMT ")", STR_ARG(c), STR_ARG(payload));
    put(g, "};\n");
}

static void put_type(struct wit_gen *g, const struct wit_type *named) {
    if (!named) return;
    const struct wit_type *t = wit_type_target(named);
    if (t->kind <= WIT_LAST_PRIMITIVE) return;
    str ident = wit_ident(g, named);
    if (!map_put(g->a, &g->done, ident, 1)) return;
    put_type(g, t->elem);
    put_type(g, t->error);
    for (uint32_t i = 0; i < t->fields.n; i++) put_type(g, t->fields.p[i].type);
    put_type_row(g, t, named, ident);
}

/* ---- functions -------------------------------------------------------------------------------- */

/* The parameters as a struct, and its descriptor. */
static void put_args(struct wit_gen *g, const struct wit_func *f, str c) {
    for (uint32_t i = 0; i < f->params.n; i++) put_type(g, f->params.p[i].type);
    put_type(g, f->result);
    if (!f->params.n) return;
    put(g, "struct " STR_FMT "_args {\n", STR_ARG(c));
    for (uint32_t i = 0; i < f->params.n; i++) {
        str type = wit_c_type(g, f->params.p[i].type);
        put(g, "    " STR_FMT "%s" STR_FMT ";\n", STR_ARG(type), type.p[type.n - 1] == '*' ? "" : " ",
            STR_ARG(wit_param_c(g, f->params.p[i].name)));
    }
    put(g, "};\nstatic const struct host_field a_" STR_FMT "[] = {\n", STR_ARG(c));
    for (uint32_t i = 0; i < f->params.n; i++) {
        const struct wit_field *p = &f->params.p[i];
        put(g, "    {\"" STR_FMT "\", " STR_FMT ", offsetof(struct " STR_FMT "_args, " STR_FMT "), 0},\n", STR_ARG(p->name),
            STR_ARG(type_ref(g, p->type)), STR_ARG(c), STR_ARG(wit_param_c(g, p->name)));
    }
    put(g,
        "};\nstatic const struct host_type p_" STR_FMT " = {.kind = HOST_RECORD, .count = %u, .fields = a_" STR_FMT
        ", .host_size = sizeof(struct " STR_FMT "_args), .host_align = _Alignof(struct " STR_FMT "_args)};\n",
        STR_ARG(c), f->params.n, STR_ARG(c), STR_ARG(c), STR_ARG(c));
}

static void put_trampoline(struct wit_gen *g, const struct wit_interface *i, const struct wit_func *f) {
    str c = wit_func_c(g, i, f);
    put(g, "\n");
    put_args(g, f, c);
    put(g, "static enum abi_trap call_" STR_FMT "(struct host_call *call, void *args, void *result) {\n", STR_ARG(c));
    if (f->params.n) put(g, "    const struct " STR_FMT "_args *a = args;\n", STR_ARG(c));
    put(g, "    return " STR_FMT "(call", STR_ARG(c));
    for (uint32_t k = 0; k < f->params.n; k++)
        put(g, ", %sa->" STR_FMT, wit_by_value(f->params.p[k].type) ? "" : "&", STR_ARG(wit_param_c(g, f->params.p[k].name)));
    put(g, "%s);\n}\n", f->result ? ", result" : "");
}

static str func_row(struct wit_gen *g, const struct wit_func *f, str c) {
    str params = f->params.n ? arena_fmt(g->a, "&p_" STR_FMT, STR_ARG(c)) : STR("NULL");
    return arena_fmt(g->a, "\"" STR_FMT "\", " STR_FMT ", " STR_FMT, STR_ARG(f->full_name), STR_ARG(params),
                     STR_ARG(type_ref(g, f->result)));
}

static str interface_row(struct wit_gen *g, const struct wit_interface *i) {
    struct component_name n;
    component_name_split(i->full_name, &n);
    str pre = n.version.pre.n ? arena_fmt(g->a, ", \"" STR_FMT "\"", STR_ARG(n.version.pre)) : STR(", NULL");
    return arena_fmt(g->a, "\"" STR_FMT "\", {%u, %u, %u" STR_FMT "}", STR_ARG(n.bare), (unsigned)n.version.major,
                     (unsigned)n.version.minor, (unsigned)n.version.patch, STR_ARG(pre));
}

static void put_import_tables(struct wit_gen *g, const struct wit_interface *i) {
    str prefix = wit_c_prefix(g->a, i, g->o);
    uint32_t resources = 0;
    for (uint32_t k = 0; k < i->defs.n; k++) {
        const struct wit_def *def = i->defs.p[k];
        if (def->kind != WIT_DEF_RESOURCE) continue;
        str c = wit_def_c(g, def);
        put(g, "\nstatic void drop_" STR_FMT "(struct host_instance *in, void *rep) { " STR_FMT "_drop(in, rep); }\n", STR_ARG(c),
            STR_ARG(c));
        put(g, "const struct host_resource " STR_FMT "_resource = {\"" STR_FMT "\", drop_" STR_FMT ", 0};\n", STR_ARG(c),
            STR_ARG(def->name), STR_ARG(c));
        resources++;
    }
    for (uint32_t k = 0; k < i->funcs.n; k++) put_trampoline(g, i, i->funcs.p[k]);
    if (i->funcs.n) put(g, "\nstatic const struct host_func funcs_" STR_FMT "[] = {\n", STR_ARG(prefix));
    for (uint32_t k = 0; k < i->funcs.n; k++) {
        str c = wit_func_c(g, i, i->funcs.p[k]);
        put(g, "    {" STR_FMT ", call_" STR_FMT ", %s},\n", STR_ARG(func_row(g, i->funcs.p[k], c)), STR_ARG(c),
            i->funcs.p[k]->is_async ? "true" : "false");
    }
    if (i->funcs.n) put(g, "};\n");
    if (resources) put(g, "\nstatic const struct host_interface_resource resources_" STR_FMT "[] = {\n", STR_ARG(prefix));
    for (uint32_t k = 0; k < i->defs.n; k++)
        if (i->defs.p[k]->kind == WIT_DEF_RESOURCE)
            put(g, "    {\"" STR_FMT "\", &" STR_FMT "_resource},\n", STR_ARG(i->defs.p[k]->name),
                STR_ARG(wit_def_c(g, i->defs.p[k])));
    if (resources) put(g, "};\n");
    str funcs = i->funcs.n ? arena_fmt(g->a, "funcs_" STR_FMT, STR_ARG(prefix)) : STR("NULL");
    str table = resources ? arena_fmt(g->a, "resources_" STR_FMT, STR_ARG(prefix)) : STR("NULL");
    put(g, "\nconst struct host_interface " STR_FMT "_interface = {" STR_FMT ", " STR_FMT ", %u, " STR_FMT ", %u};\n",
        STR_ARG(prefix), STR_ARG(interface_row(g, i)), STR_ARG(funcs), i->funcs.n, STR_ARG(table), resources);
}

static void put_caller(struct wit_gen *g, const struct wit_interface *i, const struct wit_func *f) {
    str prefix = wit_c_prefix(g->a, i, g->o), name = wit_snake(g->a, f->name);
    str c = arena_fmt(g->a, STR_FMT "_call_" STR_FMT, STR_ARG(prefix), STR_ARG(name));
    put(g, "\n");
    put_args(g, f, c);
    put(g, "const struct host_export_desc " STR_FMT "_" STR_FMT "_export = {", STR_ARG(prefix), STR_ARG(name));
    if (i->full_name.n) put(g, "&exported_" STR_FMT, STR_ARG(prefix));
    else put(g, "NULL");
    put(g, ", {" STR_FMT ", NULL, %s}};\n", STR_ARG(func_row(g, f, c)), f->is_async ? "true" : "false");
    put(g, "enum abi_trap " STR_FMT "(struct host_call *call, const struct host_export *ex" STR_FMT ") {\n", STR_ARG(c),
        STR_ARG(wit_c_params(g, f)));
    if (f->params.n) {
        put(g, "    struct " STR_FMT "_args args = {", STR_ARG(c));
        for (uint32_t k = 0; k < f->params.n; k++)
            put(g, "%s%s" STR_FMT, k ? ", " : "", wit_by_value(f->params.p[k].type) ? "" : "*",
                STR_ARG(wit_param_c(g, f->params.p[k].name)));
        put(g, "};\n");
    }
    put(g, "    return host_call_export(call, ex, %s, %s);\n}\n", f->params.n ? "&args" : "NULL", f->result ? "result" : "NULL");
}

static void put_exports(struct wit_gen *g, const struct wit_interface *i) {
    if (i->full_name.n)
        put(g, "\nstatic const struct host_interface exported_" STR_FMT " = {" STR_FMT ", NULL, 0, NULL, 0};\n",
            STR_ARG(wit_c_prefix(g->a, i, g->o)), STR_ARG(interface_row(g, i)));
    for (uint32_t k = 0; k < i->funcs.n; k++) put_caller(g, i, i->funcs.p[k]);
}

static void put_offer(struct wit_gen *g, const struct wit_roles *roles) {
    uint32_t n = 0;
    put(g, "\n/* ---- the offer ---- */\n\nstatic const struct host_interface *const offered[] = {\n");
    for (uint32_t k = 0; k < roles->p.n; k++)
        if (roles->p.p[k].imported && ++n)
            put(g, "    &" STR_FMT "_interface,\n", STR_ARG(wit_c_prefix(g->a, roles->p.p[k].interface, g->o)));
    put(g, "    NULL,\n};\nconst struct host_offer " STR_FMT "_offer = {offered, %u, NULL, 0};\n", STR_ARG(g->o->name), n);
}

void wit_gen_source(struct wit_set *set, struct wit_world *world, const struct wit_gen_options *o, struct buf *out) {
    struct wit_gen g = {.a = set->arena, .set = set, .world = world, .o = o, .out = out};
    struct wit_roles roles = {};
    wit_gen_roles(set, world, &roles);
    put(&g, "/* " STR_FMT ": the tables, made by orlo-wit-bindgen. */\n#include \"" STR_FMT ".h\"\n", STR_ARG(o->name),
        STR_ARG(o->name));
    for (uint32_t k = 0; k < roles.p.n; k++) {
        const struct wit_interface *i = roles.p.p[k].interface;
        put(&g, "\n/* ---- " STR_FMT " ---- */\n", STR_ARG(i->full_name.n ? i->full_name : i->name));
        if (roles.p.p[k].imported) put_import_tables(&g, i);
        if (roles.p.p[k].exported) put_exports(&g, i);
    }
    put_offer(&g, &roles);
}
