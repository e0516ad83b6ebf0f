/* gen_names: what things of WIT are called in C, and which interfaces a world needs in which order. */
#include <stdio.h>

#include "wit/gen_int.h"

/* ---- names ------------------------------------------------------------------------------------ */

static const char *const c_keywords[] = {
    "auto",     "break",   "case",     "char",      "const",   "continue",     "default",       "do",     "double",  "else",
    "enum",     "extern",  "float",    "for",       "goto",    "if",           "inline",        "int",    "long",    "register",
    "restrict", "return",  "short",    "signed",    "sizeof",  "static",       "struct",        "switch", "typedef", "union",
    "unsigned", "void",    "volatile", "while",     "bool",    "true",         "false",         "str",    "err",     "typeof",
    "asm",      "alignas", "alignof",  "constexpr", "nullptr", "thread_local", "static_assert", "linux",  "unix",
};

static str fold(arena *a, str s, bool upper) {
    uint8_t *p = arena_alloc(a, s.n + 2, 1);
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '-') c = '_';
        else if (upper && c >= 'a' && c <= 'z') c -= 32;
        else if (!upper && c >= 'A' && c <= 'Z') c += 32;
        p[i] = c;
    }
    return (str){p, s.n};
}

str wit_upper(arena *a, str kebab) { return fold(a, kebab, true); }

str wit_snake(arena *a, str kebab) {
    str s = fold(a, kebab, false);
    for (size_t i = 0; i < ARRAY_COUNT(c_keywords); i++)
        if (str_eqc(s, c_keywords[i])) return arena_fmt(a, STR_FMT "_", STR_ARG(s));
    return s;
}

static str part(arena *a, str kebab) { return fold(a, kebab, false); }

str wit_param_c(struct wit_gen *g, str name) {
    str s = wit_snake(g->a, name);
    bool taken = str_eqc(s, "call") || str_eqc(s, "result") || str_eqc(s, "ex");
    return taken ? arena_fmt(g->a, STR_FMT "_", STR_ARG(s)) : s;
}

/* "http_types" */
static str interface_short(arena *a, const struct wit_interface *i) {
    const struct wit_package *k = i->package;
    return arena_fmt(a, STR_FMT "_" STR_FMT, STR_ARG(part(a, k->name)), STR_ARG(part(a, i->name)));
}

str wit_c_prefix(arena *a, const struct wit_interface *i, const struct wit_gen_options *o) {
    str ns = i->package->ns;
    if (o->rename_from.n && str_eq(ns, o->rename_from)) ns = o->rename_to;
    return arena_fmt(a, STR_FMT "_" STR_FMT, STR_ARG(part(a, ns)), STR_ARG(interface_short(a, i)));
}

str wit_def_c(struct wit_gen *g, const struct wit_def *def) {
    return arena_fmt(g->a, STR_FMT "_" STR_FMT, STR_ARG(wit_c_prefix(g->a, def->owner, g->o)), STR_ARG(part(g->a, def->name)));
}

str wit_func_c(struct wit_gen *g, const struct wit_interface *i, const struct wit_func *f) {
    str prefix = wit_c_prefix(g->a, i, g->o);
    if (!f->resource) return arena_fmt(g->a, STR_FMT "_" STR_FMT, STR_ARG(prefix), STR_ARG(part(g->a, f->name)));
    str name = f->kind == COMPONENT_FUNC_CONSTRUCTOR ? STR("new") : part(g->a, f->name);
    return arena_fmt(g->a, STR_FMT "_" STR_FMT "_" STR_FMT, STR_ARG(prefix), STR_ARG(part(g->a, f->resource->name)),
                     STR_ARG(name));
}

/* ---- types ------------------------------------------------------------------------------------ */

static const char *const primitive_c[] = {"bool",    "int8_t",   "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t",
                                          "int64_t", "uint64_t", "float",   "double",  "uint32_t", "str"};
static const char *const primitive_ident[] = {"bool", "s8",  "u8",  "s16", "u16",  "s32",   "u32",
                                              "s64",  "u64", "f32", "f64", "char", "string"};

bool wit_is_bytes(const struct wit_type *t) {
    t = wit_type_target(t);
    return t->kind == WIT_LIST && wit_type_target(t->elem)->kind == WIT_U8;
}

bool wit_by_value(const struct wit_type *t) {
    switch (wit_type_target(t)->kind) {
    case WIT_RECORD:
    case WIT_TUPLE:
    case WIT_VARIANT:
    case WIT_OPTION:
    case WIT_RESULT:
    case WIT_FIXED_LIST: return false;
    default: return true;
    }
}

/* The definition behind a name, past `use` and past aliases of other definitions. NULL: an expression. */
static const struct wit_def *named_def(const struct wit_type *t) {
    const struct wit_def *def = NULL;
    while (t && t->kind == WIT_NAME) {
        def = wit_def_target(t->def);
        t = def->type;
    }
    return def;
}

static str ident_or_void(struct wit_gen *g, const struct wit_type *t) { return t ? wit_ident(g, t) : STR("void"); }

static str ident_tuple(struct wit_gen *g, const struct wit_type *t) {
    str s = arena_fmt(g->a, "tuple%u", t->fields.n);
    for (uint32_t i = 0; i < t->fields.n; i++)
        s = arena_fmt(g->a, STR_FMT "_" STR_FMT, STR_ARG(s), STR_ARG(wit_ident(g, t->fields.p[i].type)));
    return s;
}

static str ident_def(struct wit_gen *g, const struct wit_def *def) {
    return arena_fmt(g->a, STR_FMT "_" STR_FMT, STR_ARG(interface_short(g->a, def->owner)), STR_ARG(part(g->a, def->name)));
}

str wit_ident(struct wit_gen *g, const struct wit_type *t) {
    const struct wit_type *body = wit_type_target(t);
    if (body->kind <= WIT_LAST_PRIMITIVE) return str_c(primitive_ident[body->kind]);
    switch (body->kind) {
    case WIT_ERROR_CONTEXT: return STR("error_context");
    case WIT_LIST: return arena_fmt(g->a, "list_" STR_FMT, STR_ARG(wit_ident(g, body->elem)));
    case WIT_FIXED_LIST: return arena_fmt(g->a, "array%u_" STR_FMT, body->length, STR_ARG(wit_ident(g, body->elem)));
    case WIT_OPTION: return arena_fmt(g->a, "option_" STR_FMT, STR_ARG(wit_ident(g, body->elem)));
    case WIT_RESULT:
        return arena_fmt(g->a, "result_" STR_FMT "_" STR_FMT, STR_ARG(ident_or_void(g, body->elem)),
                         STR_ARG(ident_or_void(g, body->error)));
    case WIT_MAP:
        return arena_fmt(g->a, "map_" STR_FMT "_" STR_FMT, STR_ARG(wit_ident(g, body->elem)), STR_ARG(wit_ident(g, body->error)));
    case WIT_STREAM: return arena_fmt(g->a, "stream_" STR_FMT, STR_ARG(ident_or_void(g, body->elem)));
    case WIT_FUTURE: return arena_fmt(g->a, "future_" STR_FMT, STR_ARG(ident_or_void(g, body->elem)));
    case WIT_TUPLE: return ident_tuple(g, body);
    case WIT_OWN: return ident_def(g, body->def);
    case WIT_BORROW: return arena_fmt(g->a, "borrow_" STR_FMT, STR_ARG(ident_def(g, body->def)));
    default: return ident_def(g, named_def(t));
    }
}

str wit_c_type(struct wit_gen *g, const struct wit_type *t) {
    const struct wit_def *def = named_def(t);
    const struct wit_type *body = wit_type_target(t);
    if (body->kind <= WIT_LAST_PRIMITIVE || wit_is_bytes(body)) {
        if (def) return wit_def_c(g, def);
        return body->kind <= WIT_LAST_PRIMITIVE ? str_c(primitive_c[body->kind]) : STR("str");
    }
    switch (body->kind) {
    case WIT_ENUM: return arena_fmt(g->a, "enum " STR_FMT, STR_ARG(wit_def_c(g, def)));
    case WIT_FLAGS: return wit_def_c(g, def);
    case WIT_RECORD:
    case WIT_VARIANT: return arena_fmt(g->a, "struct " STR_FMT, STR_ARG(wit_def_c(g, def)));
    case WIT_OWN:
    case WIT_BORROW: return arena_fmt(g->a, "struct " STR_FMT " *", STR_ARG(wit_def_c(g, body->def)));
    case WIT_STREAM: return STR("struct host_stream *");
    case WIT_FUTURE: return STR("struct host_future *");
    case WIT_ERROR_CONTEXT: return STR("struct host_error_context *");
    default: return arena_fmt(g->a, "struct " STR_FMT "_" STR_FMT, STR_ARG(g->o->name), STR_ARG(wit_ident(g, body)));
    }
}

static const char *space_after(str c_type) { return c_type.p[c_type.n - 1] == '*' ? "" : " "; }

str wit_c_params(struct wit_gen *g, const struct wit_func *f) {
    str s = {};
    for (uint32_t i = 0; i < f->params.n; i++) {
        const struct wit_field *param = &f->params.p[i];
        str type = wit_c_type(g, param->type);
        bool value = wit_by_value(param->type);
        s = arena_fmt(g->a, STR_FMT ", %s" STR_FMT "%s%s" STR_FMT, STR_ARG(s), value ? "" : "const ", STR_ARG(type),
                      space_after(type), value ? "" : "*", STR_ARG(wit_param_c(g, param->name)));
    }
    if (f->result) {
        str type = wit_c_type(g, f->result);
        s = arena_fmt(g->a, STR_FMT ", " STR_FMT "%s*result", STR_ARG(s), STR_ARG(type), space_after(type));
    }
    return s;
}

/* ---- interfaces of a world -------------------------------------------------------------------- */

static struct wit_role *role_of(struct wit_roles *roles, const struct wit_interface *i) {
    for (uint32_t k = 0; k < roles->p.n; k++)
        if (roles->p.p[k].interface == i) return &roles->p.p[k];
    return NULL;
}

/* Users come after what they use. What is used is imported, unless it is exported only. */
static void add_role(struct wit_set *set, struct wit_roles *roles, struct wit_interface *i, bool imported, bool exported) {
    struct wit_role *have = role_of(roles, i);
    if (have) {
        have->imported |= imported;
        have->exported |= exported;
        return;
    }
    for (uint32_t k = 0; k < i->defs.n; k++) {
        struct wit_def *def = i->defs.p[k];
        if (def->kind == WIT_DEF_USE) add_role(set, roles, wit_def_target(def)->owner, true, false);
    }
    struct wit_role role = {i, imported, exported};
    vec_push(set->arena, &roles->p, role);
}

static struct wit_interface *world_funcs(struct wit_set *set, struct wit_world *w, bool exports) {
    struct wit_interface *i = arena_make(set->arena, struct wit_interface);
    *i = (struct wit_interface){.name = w->name, .package = w->package, .pos = w->pos, .is_world = true, .defs = w->types->defs};
    for (uint32_t k = 0; k < w->items.n; k++)
        if (w->items.p[k].func && w->items.p[k].is_export == exports) vec_push(set->arena, &i->funcs, w->items.p[k].func);
    return i;
}

void wit_gen_roles(struct wit_set *set, struct wit_world *w, struct wit_roles *roles) {
    for (uint32_t pass = 0; pass < 2; pass++) { /* imports first, so that exports find them */
        for (uint32_t k = 0; k < w->items.n; k++) {
            struct wit_item *item = &w->items.p[k];
            if (item->is_export != (pass == 1) || !item->interface) continue;
            if (!item->interface->full_name.n) item->interface->full_name = item->name;
            add_role(set, roles, item->interface, pass == 0, pass == 1);
        }
        struct wit_interface *funcs = world_funcs(set, w, pass == 1);
        if (funcs->funcs.n) add_role(set, roles, funcs, pass == 0, pass == 1);
    }
}
