/* gen_header: the header of a world's bindings: one C type per WIT type, prototypes of what the host
 * implements, and the declarations of the tables that gen_source prints. */
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

static void put_docs(struct wit_gen *g, str docs, const char *indent) {
    for (str line; docs.n && (str_cut(docs, '\n', &line, &docs), true);) {
        line = str_trim(line);
        while (line.n && line.p[line.n - 1] == '\\') line.n--;
        put(g, "%s//%s" STR_FMT "\n", indent, line.n ? " " : "", STR_ARG(line));
    }
}

/* One C name, one item. */
static err claim(struct wit_gen *g, str name, const struct wit_pos *pos) {
    if (map_put(g->a, &g->names, name, 1)) return ERR_OK;
    return wit_fail_at(g->d, pos, "the C name " STR_FMT " is taken already; rename one of the two", STR_ARG(name));
}

/* ---- types ------------------------------------------------------------------------------------ */

static const char *pad(str c_type) { return c_type.p[c_type.n - 1] == '*' ? "" : " "; }

static void put_member(struct wit_gen *g, const char *indent, const struct wit_type *t, str name, bool pointer) {
    str type = wit_c_type(g, t);
    put(g, "%s" STR_FMT "%s%s" STR_FMT ";\n", indent, STR_ARG(type), pad(type), pointer ? "*" : "", STR_ARG(name));
}

static err put_anonymous(struct wit_gen *g, const struct wit_type *t);

/* Defines the anonymous types inside of t. */
static err put_inner(struct wit_gen *g, const struct wit_type *t) {
    if (!t || t->kind == WIT_NAME) {
        const struct wit_type *body = t ? wit_type_target(t) : NULL;
        bool expression = body && body->kind > WIT_LAST_PRIMITIVE && body->kind < WIT_RECORD;
        return expression ? put_anonymous(g, body) : ERR_OK;
    }
    TRY(put_inner(g, t->elem));
    TRY(put_inner(g, t->error));
    for (uint32_t i = 0; i < t->fields.n; i++) TRY(put_inner(g, t->fields.p[i].type));
    if (t->kind > WIT_LAST_PRIMITIVE && t->kind < WIT_RECORD) return put_anonymous(g, t);
    return ERR_OK;
}

static void put_result(struct wit_gen *g, const struct wit_type *t) {
    put(g, "    bool is_err;\n");
    if (!t->elem && !t->error) return;
    put(g, "    union {\n");
    if (t->elem) put_member(g, "        ", t->elem, STR("ok"), false);
    if (t->error) put_member(g, "        ", t->error, STR("err"), false);
    put(g, "    };\n");
}

static err put_anonymous(struct wit_gen *g, const struct wit_type *t) {
    switch (t->kind) {
    case WIT_OWN:
    case WIT_BORROW:
    case WIT_STREAM:
    case WIT_FUTURE:
    case WIT_ERROR_CONTEXT: return ERR_OK;
    default: break;
    }
    str name = wit_c_type(g, t);
    if (wit_is_bytes(t) || !map_put(g->a, &g->done, name, 1)) return ERR_OK;
    TRY(put_inner(g, t->elem));
    TRY(put_inner(g, t->error));
    for (uint32_t i = 0; i < t->fields.n; i++) TRY(put_inner(g, t->fields.p[i].type));
    put(g, "\n" STR_FMT " {\n", STR_ARG(name));
    switch (t->kind) {
    case WIT_LIST:
        put_member(g, "    ", t->elem, STR("p"), true);
        put(g, "    size_t n;\n");
        break;
    case WIT_FIXED_LIST: put_member(g, "    ", t->elem, arena_fmt(g->a, "v[%u]", t->length), false); break;
    case WIT_OPTION:
        put(g, "    bool some;\n");
        put_member(g, "    ", t->elem, STR("value"), false);
        break;
    case WIT_RESULT: put_result(g, t); break;
    case WIT_TUPLE:
        for (uint32_t i = 0; i < t->fields.n; i++) put_member(g, "    ", t->fields.p[i].type, arena_fmt(g->a, "f%u", i), false);
        break;
    case WIT_MAP:
        put(g, "    struct {\n");
        put_member(g, "        ", t->elem, STR("key"), false);
        put_member(g, "        ", t->error, STR("value"), false);
        put(g, "    } *p;\n    size_t n;\n");
        break;
    default: break;
    }
    put(g, "};\n");
    return ERR_OK;
}

static void put_cases(struct wit_gen *g, const struct wit_def *def, bool flags) {
    str upper = wit_upper(g->a, wit_def_c(g, def));
    const struct wit_type *t = def->type;
    for (uint32_t i = 0; i < t->fields.n; i++) {
        put_docs(g, t->fields.p[i].docs, "    ");
        str label = wit_upper(g->a, t->fields.p[i].name);
        if (flags) put(g, "    " STR_FMT "_" STR_FMT " = 1u << %u,\n", STR_ARG(upper), STR_ARG(label), i);
        else put(g, "    " STR_FMT "_" STR_FMT ",\n", STR_ARG(upper), STR_ARG(label));
    }
}

static void put_variant(struct wit_gen *g, const struct wit_def *def) {
    str name = wit_def_c(g, def);
    const struct wit_type *t = def->type;
    put(g, "enum " STR_FMT "_tag {\n", STR_ARG(name));
    put_cases(g, def, false);
    put(g, "};\nstruct " STR_FMT " {\n    enum " STR_FMT "_tag tag;\n", STR_ARG(name), STR_ARG(name));
    bool any = false;
    for (uint32_t i = 0; i < t->fields.n; i++) {
        if (!t->fields.p[i].type) continue;
        if (!any) put(g, "    union {\n");
        any = true;
        put_member(g, "        ", t->fields.p[i].type, wit_snake(g->a, t->fields.p[i].name), false);
    }
    put(g, any ? "    };\n};\n" : "};\n");
}

static void put_record(struct wit_gen *g, const struct wit_def *def) {
    put(g, "struct " STR_FMT " {\n", STR_ARG(wit_def_c(g, def)));
    for (uint32_t i = 0; i < def->type->fields.n; i++) {
        const struct wit_field *f = &def->type->fields.p[i];
        put_docs(g, f->docs, "    ");
        put_member(g, "    ", f->type, wit_snake(g->a, f->name), false);
    }
    put(g, "};\n");
}

static err put_def(struct wit_gen *g, const struct wit_def *def, bool exported_only);

/* A definition after those it depends on: WIT takes any order. */
static err put_def_deps(struct wit_gen *g, const struct wit_type *t, const struct wit_interface *owner) {
    if (!t) return ERR_OK;
    if (t->kind == WIT_NAME) {
        const struct wit_def *def = wit_def_target(t->def);
        return def->owner == owner ? put_def(g, def, false) : ERR_OK;
    }
    TRY(put_def_deps(g, t->elem, owner));
    TRY(put_def_deps(g, t->error, owner));
    for (uint32_t i = 0; i < t->fields.n; i++) TRY(put_def_deps(g, t->fields.p[i].type, owner));
    return ERR_OK;
}

static err put_resource(struct wit_gen *g, const struct wit_def *def, str name) {
    TRY(claim(g, arena_fmt(g->a, STR_FMT "_drop", STR_ARG(name)), &def->pos));
    put_docs(g, def->docs, "");
    put(g, "struct " STR_FMT "; /* resource: defined by who implements it */\n", STR_ARG(name));
    put(g, "void " STR_FMT "_drop(struct host_instance *in, struct " STR_FMT " *self);\n", STR_ARG(name), STR_ARG(name));
    put(g, "extern const struct host_resource " STR_FMT "_resource;\n", STR_ARG(name));
    return ERR_OK;
}

static err put_def(struct wit_gen *g, const struct wit_def *def, bool exported_only) {
    str name = wit_def_c(g, def);
    if (def->kind == WIT_DEF_USE || !map_put(g->a, &g->done, arena_fmt(g->a, "def " STR_FMT, STR_ARG(name)), 1)) return ERR_OK;
    if (def->kind == WIT_DEF_RESOURCE) {
        if (exported_only) return wit_fail_at(g->d, &def->pos, "bindings for resources that a guest exports are not made");
        put(g, "\n");
        return put_resource(g, def, name);
    }
    const struct wit_type *t = def->type;
    bool tag =
        t->kind == WIT_RECORD || t->kind == WIT_VARIANT || t->kind == WIT_ENUM; /* struct and enum names have their own space */
    if (!tag) TRY(claim(g, name, &def->pos));
    if (t->kind == WIT_NAME) return put_def_deps(g, t, def->owner);
    TRY(put_def_deps(g, t, def->owner));
    TRY(put_inner(g, t));
    bool scalar = t->kind <= WIT_LAST_PRIMITIVE || wit_is_bytes(t);
    if (!scalar && t->kind < WIT_RECORD) return ERR_OK; /* an alias of an anonymous type: used by that one's name */
    put(g, "\n");
    put_docs(g, def->docs, "");
    switch (t->kind) {
    case WIT_RECORD: put_record(g, def); break;
    case WIT_VARIANT: put_variant(g, def); break;
    case WIT_ENUM:
        put(g, "enum " STR_FMT " {\n", STR_ARG(name));
        put_cases(g, def, false);
        put(g, "};\n");
        break;
    case WIT_FLAGS:
        put(g, "typedef uint32_t " STR_FMT ";\nenum {\n", STR_ARG(name));
        put_cases(g, def, true);
        put(g, "};\n");
        break;
    default: {
        str c = wit_is_bytes(t) ? STR("str") : wit_c_type(g, t);
        put(g, "typedef " STR_FMT " " STR_FMT ";\n", STR_ARG(c), STR_ARG(name));
    }
    }
    return ERR_OK;
}

/* ---- functions -------------------------------------------------------------------------------- */

static err put_func_types(struct wit_gen *g, const struct wit_func *f) {
    for (uint32_t i = 0; i < f->params.n; i++) TRY(put_inner(g, f->params.p[i].type));
    return put_inner(g, f->result);
}

static err put_import(struct wit_gen *g, const struct wit_interface *i, const struct wit_func *f) {
    str name = wit_func_c(g, i, f);
    TRY(claim(g, name, &f->pos));
    TRY(put_func_types(g, f));
    put(g, "\n");
    put_docs(g, f->docs, "");
    put(g, "enum abi_trap " STR_FMT "(struct host_call *call" STR_FMT ");\n", STR_ARG(name), STR_ARG(wit_c_params(g, f)));
    return ERR_OK;
}

static err put_export(struct wit_gen *g, const struct wit_interface *i, const struct wit_func *f) {
    str prefix = wit_c_prefix(g->a, i, g->o), name = wit_snake(g->a, f->name);
    str c = arena_fmt(g->a, STR_FMT "_call_" STR_FMT, STR_ARG(prefix), STR_ARG(name));
    TRY(claim(g, c, &f->pos));
    TRY(put_func_types(g, f));
    put(g, "\n");
    put_docs(g, f->docs, "");
    put(g, "extern const struct host_export_desc " STR_FMT "_" STR_FMT "_export;\n", STR_ARG(prefix), STR_ARG(name));
    put(g, "[[nodiscard]] enum abi_trap " STR_FMT "(struct host_call *call, const struct host_export *ex" STR_FMT ");\n",
        STR_ARG(c), STR_ARG(wit_c_params(g, f)));
    return ERR_OK;
}

static err put_interface(struct wit_gen *g, const struct wit_role *role) {
    const struct wit_interface *i = role->interface;
    str title = i->full_name.n ? i->full_name : arena_fmt(g->a, "world " STR_FMT, STR_ARG(i->name));
    put(g, "\n/* ---- " STR_FMT " ---- */\n", STR_ARG(title));
    if (i->docs.n) put(g, "\n");
    put_docs(g, i->docs, "");
    for (uint32_t k = 0; k < i->defs.n; k++)
        if (i->defs.p[k]->kind == WIT_DEF_RESOURCE) TRY(put_def(g, i->defs.p[k], !role->imported));
    for (uint32_t k = 0; k < i->defs.n; k++) TRY(put_def(g, i->defs.p[k], !role->imported));
    if (role->imported) {
        for (uint32_t k = 0; k < i->funcs.n; k++) TRY(put_import(g, i, i->funcs.p[k]));
        put(g, "\nextern const struct host_interface " STR_FMT "_interface;\n", STR_ARG(wit_c_prefix(g->a, i, g->o)));
    }
    for (uint32_t k = 0; role->exported && k < i->funcs.n; k++) TRY(put_export(g, i, i->funcs.p[k]));
    return ERR_OK;
}

err wit_gen_header(struct wit_set *set, struct wit_world *world, const struct wit_gen_options *o, struct buf *out,
                   struct diag *d) {
    struct wit_gen g = {.a = set->arena, .set = set, .world = world, .o = o, .out = out, .d = d};
    struct wit_roles roles = {};
    wit_gen_roles(set, world, &roles);
    str guard = wit_upper(g.a, o->name);
    put(&g,
        "/* " STR_FMT ": C of the WIT world " STR_FMT ", made by orlo-wit-bindgen; change the .wit files instead.\n"
        " * host/host.h says how these types and functions are meant. */\n",
        STR_ARG(o->name), STR_ARG(world->name));
    put(&g, "#ifndef ORLO_" STR_FMT "_H\n#define ORLO_" STR_FMT "_H\n\n#include \"host/host.h\"\n\n", STR_ARG(guard),
        STR_ARG(guard));
    put(&g, "struct host_stream;\nstruct host_future;\nstruct host_error_context;\n");
    for (uint32_t i = 0; i < roles.p.n; i++) TRY(put_interface(&g, &roles.p.p[i]));
    put(&g, "\n/* All that the world imports. */\nextern const struct host_offer " STR_FMT "_offer;\n\n#endif\n",
        STR_ARG(o->name));
    return ERR_OK;
}
