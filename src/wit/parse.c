/* parse: WIT text to packages of interfaces and worlds; names stay names (resolve.c binds them).
 *
 * Recursive descent with one token of look-ahead. The lexer is sticky: after an error every token is END, so
 * loops end and nobody checks in between. */
#include <stdio.h>

#include "wit/wit_int.h"

struct parser {
    struct wit_lexer lex;
    struct wit_set *set;
    struct wit_token t; /* the next token */
    uint32_t depth;     /* of nested types */
};

static void next(struct parser *p) { p->t = wit_lex(&p->lex); }
static bool is_punct(const struct parser *p, uint8_t c) { return p->t.kind == WIT_TOKEN_PUNCT && p->t.punct == c; }
static bool is_word(const struct parser *p, const char *w) {
    return p->t.kind == WIT_TOKEN_ID && !p->t.escaped && str_eqc(p->t.text, w);
}
static struct wit_pos here(const struct parser *p) { return (struct wit_pos){p->lex.file, p->t.line}; }

static void expected(struct parser *p, const char *what) {
    if (p->t.kind == WIT_TOKEN_END) wit_lex_fail(&p->lex, p->t.line, "expected %s, found the end of the file", what);
    else wit_lex_fail(&p->lex, p->t.line, "expected %s, found \"" STR_FMT "\"", what, STR_ARG(p->t.text));
    p->t = (struct wit_token){.line = p->t.line};
}

static bool accept(struct parser *p, uint8_t c) {
    if (!is_punct(p, c)) return false;
    next(p);
    return true;
}
static void expect(struct parser *p, uint8_t c) {
    if (!accept(p, c)) expected(p, (char[]){'"', (char)c, '"', 0});
}
static bool accept_word(struct parser *p, const char *w) {
    if (!is_word(p, w)) return false;
    next(p);
    return true;
}
static bool more(const struct parser *p, uint8_t close) { return p->t.kind != WIT_TOKEN_END && !is_punct(p, close); }

static str id(struct parser *p) {
    str s = p->t.text;
    if (p->t.kind != WIT_TOKEN_ID) {
        expected(p, "a name");
        return (str){};
    }
    if (!p->t.escaped && wit_is_keyword(s)) {
        wit_lex_fail(&p->lex, p->t.line, "\"" STR_FMT "\" is a keyword; as a name it is written %%" STR_FMT, STR_ARG(s),
                     STR_ARG(s));
        p->t = (struct wit_token){.line = p->t.line};
    }
    next(p);
    return s;
}
/* Of a package or namespace: keywords are fine. */
static str any_id(struct parser *p) {
    str s = p->t.text;
    if (p->t.kind != WIT_TOKEN_ID) {
        expected(p, "a name");
        return (str){};
    }
    next(p);
    return s;
}

/* The current token is '@' and the lexer stands right behind it. */
static str version(struct parser *p) {
    str s = wit_lex_version(&p->lex);
    next(p);
    return s;
}

static struct wit_gate parse_gate(struct parser *p) {
    struct wit_gate gate = {};
    while (is_punct(p, '@')) {
        next(p);
        struct wit_token name = p->t;
        str what = any_id(p);
        expect(p, '(');
        if (str_eqc(what, "external-id")) {
            if (p->t.kind == WIT_TOKEN_STRING) next(p);
            else expected(p, "a string");
        } else if (str_eqc(what, "unstable")) {
            if (!accept_word(p, "feature")) expected(p, "\"feature\"");
            expect(p, '=');
            gate.unstable = any_id(p);
        } else if (str_eqc(what, "since") || str_eqc(what, "deprecated")) {
            if (!accept_word(p, "version")) expected(p, "\"version\"");
            if (!is_punct(p, '=')) expected(p, "\"=\"");
            while (p->lex.p < p->lex.end && *p->lex.p == ' ') p->lex.p++;
            *(str_eqc(what, "since") ? &gate.since : &gate.deprecated) = version(p);
        } else if (!p->lex.failed) {
            wit_lex_fail(&p->lex, name.line, "there is no gate @" STR_FMT "; @since, @unstable and @deprecated are",
                         STR_ARG(what));
        }
        expect(p, ')');
    }
    return gate;
}

static struct wit_path *parse_path(struct parser *p) {
    struct wit_path *path = arena_make(p->set->arena, struct wit_path);
    path->pos = here(p);
    str first = any_id(p);
    if (!accept(p, ':')) {
        path->name = first;
        return path;
    }
    path->ns = first;
    path->package = any_id(p);
    expect(p, '/');
    path->name = any_id(p);
    if (is_punct(p, '@')) path->version = version(p);
    return path;
}

/* ---- types ------------------------------------------------------------------------------------ */

static const char *const primitives[] = {"bool", "s8",  "u8",  "s16", "u16",  "s32",   "u32",
                                         "s64",  "u64", "f32", "f64", "char", "string"};

static struct wit_type *parse_type(struct parser *p);

static struct wit_type *type_new(struct parser *p, enum wit_kind kind) {
    struct wit_type *t = arena_make(p->set->arena, struct wit_type);
    t->kind = kind;
    t->pos = here(p);
    return t;
}

static void parse_tuple(struct parser *p, struct wit_type *t) {
    expect(p, '<');
    while (more(p, '>')) {
        struct wit_field f = {.pos = here(p)};
        f.type = parse_type(p);
        vec_push(p->set->arena, &t->fields, f);
        if (!accept(p, ',')) break;
    }
    expect(p, '>');
}

static void parse_list(struct parser *p, struct wit_type *t) {
    expect(p, '<');
    t->elem = parse_type(p);
    if (accept(p, ',')) {
        uint64_t n = 0;
        if (p->t.kind != WIT_TOKEN_INTEGER || !str_to_u64(p->t.text, &n) || n == 0 || n > UINT32_MAX) expected(p, "a length");
        next(p);
        t->kind = WIT_FIXED_LIST;
        t->length = (uint32_t)n;
    }
    expect(p, '>');
}

static void parse_result(struct parser *p, struct wit_type *t) {
    if (!accept(p, '<')) return;
    if (!accept(p, '_')) t->elem = parse_type(p);
    if (accept(p, ',')) t->error = parse_type(p);
    expect(p, '>');
}

static void parse_pair(struct parser *p, struct wit_type *t) {
    expect(p, '<');
    t->elem = parse_type(p);
    expect(p, ',');
    t->error = parse_type(p);
    expect(p, '>');
}

static void parse_one(struct parser *p, struct wit_type *t, bool optional) {
    if (optional && !is_punct(p, '<')) return;
    expect(p, '<');
    t->elem = parse_type(p);
    expect(p, '>');
}

static void parse_handle(struct parser *p, struct wit_type *t) {
    expect(p, '<');
    t->name = id(p);
    expect(p, '>');
}

static struct wit_type *parse_type_word(struct parser *p) {
    static const struct {
        const char *word;
        enum wit_kind kind;
    } words[] = {{"list", WIT_LIST},     {"option", WIT_OPTION},
                 {"result", WIT_RESULT}, {"tuple", WIT_TUPLE},
                 {"map", WIT_MAP},       {"stream", WIT_STREAM},
                 {"future", WIT_FUTURE}, {"own", WIT_OWN},
                 {"borrow", WIT_BORROW}, {"error-context", WIT_ERROR_CONTEXT}};
    for (uint32_t i = 0; i < ARRAY_COUNT(primitives); i++)
        if (is_word(p, primitives[i])) {
            struct wit_type *t = type_new(p, (enum wit_kind)i);
            next(p);
            return t;
        }
    enum wit_kind kind = WIT_NAME;
    for (uint32_t i = 0; i < ARRAY_COUNT(words); i++)
        if (is_word(p, words[i].word)) kind = words[i].kind;
    struct wit_type *t = type_new(p, kind);
    if (kind == WIT_NAME) {
        t->name = id(p);
        return t;
    }
    next(p);
    switch (kind) {
    case WIT_LIST: parse_list(p, t); break;
    case WIT_RESULT: parse_result(p, t); break;
    case WIT_TUPLE: parse_tuple(p, t); break;
    case WIT_MAP: parse_pair(p, t); break;
    case WIT_OPTION: parse_one(p, t, false); break;
    case WIT_STREAM:
    case WIT_FUTURE: parse_one(p, t, true); break;
    case WIT_OWN:
    case WIT_BORROW: parse_handle(p, t); break;
    default: break;
    }
    return t;
}

enum { TYPE_DEPTH_MAX = 100 };

static struct wit_type *parse_type(struct parser *p) {
    if (p->t.kind != WIT_TOKEN_ID) {
        expected(p, "a type");
        return type_new(p, WIT_BOOL);
    }
    if (++p->depth > TYPE_DEPTH_MAX) wit_lex_fail(&p->lex, p->t.line, "types are nested deeper than %d", TYPE_DEPTH_MAX);
    struct wit_type *t = parse_type_word(p);
    p->depth--;
    return t;
}

/* ---- functions -------------------------------------------------------------------------------- */

static void parse_params(struct parser *p, struct wit_func *f) {
    expect(p, '(');
    while (more(p, ')')) {
        struct wit_field param = {.docs = p->t.docs, .pos = here(p)};
        param.name = id(p);
        expect(p, ':');
        param.type = parse_type(p);
        vec_push(p->set->arena, &f->params, param);
        if (!accept(p, ',')) break;
    }
    expect(p, ')');
}

static void parse_func_type(struct parser *p, struct wit_func *f) {
    f->is_async = accept_word(p, "async");
    if (!accept_word(p, "func")) expected(p, "\"func\"");
    parse_params(p, f);
    if (p->t.kind == WIT_TOKEN_ARROW) {
        next(p);
        f->result = parse_type(p);
    }
    expect(p, ';');
}

static struct wit_func *func_new(struct parser *p, struct wit_gate gate, str docs) {
    struct wit_func *f = arena_make(p->set->arena, struct wit_func);
    f->gate = gate;
    f->docs = docs;
    f->pos = here(p);
    return f;
}

static struct wit_type *handle_of(struct parser *p, enum wit_kind kind, struct wit_def *resource) {
    struct wit_type *t = type_new(p, kind);
    t->name = resource->name;
    return t;
}

static void parse_method(struct parser *p, struct wit_interface *i, struct wit_def *resource) {
    arena *a = p->set->arena;
    str docs = p->t.docs;
    struct wit_gate gate = parse_gate(p);
    if (!docs.n) docs = p->t.docs;
    struct wit_func *f = func_new(p, gate, docs);
    f->resource = resource;
    if (accept_word(p, "constructor")) {
        f->kind = COMPONENT_FUNC_CONSTRUCTOR;
        f->name = STR("constructor");
        f->full_name = arena_fmt(a, "[constructor]" STR_FMT, STR_ARG(resource->name));
        parse_params(p, f);
        if (p->t.kind == WIT_TOKEN_ARROW) {
            next(p);
            f->result = parse_type(p);
        } else {
            f->result = handle_of(p, WIT_OWN, resource);
        }
        expect(p, ';');
    } else {
        f->name = id(p);
        expect(p, ':');
        bool is_static = accept_word(p, "static");
        f->kind = is_static ? COMPONENT_FUNC_STATIC : COMPONENT_FUNC_METHOD;
        f->full_name =
            arena_fmt(a, "[%s]" STR_FMT "." STR_FMT, is_static ? "static" : "method", STR_ARG(resource->name), STR_ARG(f->name));
        if (!is_static) {
            struct wit_field self = {.name = STR("self"), .type = handle_of(p, WIT_BORROW, resource), .pos = here(p)};
            vec_push(a, &f->params, self);
        }
        parse_func_type(p, f);
    }
    vec_push(a, &i->funcs, f);
}

/* ---- definitions ------------------------------------------------------------------------------ */

static void parse_fields(struct parser *p, struct wit_type *t) {
    expect(p, '{');
    while (more(p, '}')) {
        struct wit_field f = {.docs = p->t.docs};
        f.pos = here(p);
        f.name = id(p);
        if (t->kind == WIT_RECORD) {
            expect(p, ':');
            f.type = parse_type(p);
        } else if (t->kind == WIT_VARIANT && accept(p, '(')) {
            f.type = parse_type(p);
            expect(p, ')');
        }
        vec_push(p->set->arena, &t->fields, f);
        if (!accept(p, ',')) break;
    }
    if (!t->fields.n) expected(p, "at least one item");
    expect(p, '}');
}

static void parse_use(struct parser *p, struct wit_interface *i, struct wit_gate gate) {
    struct wit_path *path = parse_path(p);
    expect(p, '.');
    expect(p, '{');
    while (more(p, '}')) {
        struct wit_def *def = arena_make(p->set->arena, struct wit_def);
        *def = (struct wit_def){.kind = WIT_DEF_USE, .use_path = path, .gate = gate, .owner = i, .pos = here(p)};
        def->name = def->use_name = id(p);
        if (accept_word(p, "as")) def->name = id(p);
        vec_push(p->set->arena, &i->defs, def);
        if (!accept(p, ',')) break;
    }
    expect(p, '}');
    expect(p, ';');
}

/* A definition or a use, at its keyword. False: the next token starts none. */
static bool parse_def(struct parser *p, struct wit_interface *i, struct wit_gate gate, str docs) {
    static const struct {
        const char *word;
        enum wit_kind kind;
    } words[] = {{"record", WIT_RECORD}, {"variant", WIT_VARIANT}, {"enum", WIT_ENUM}, {"flags", WIT_FLAGS}};
    if (accept_word(p, "use")) {
        parse_use(p, i, gate);
        return true;
    }
    bool alias = is_word(p, "type"), resource = is_word(p, "resource");
    const struct wit_pos pos = here(p);
    struct wit_type *body = NULL;
    for (uint32_t w = 0; w < ARRAY_COUNT(words); w++)
        if (is_word(p, words[w].word)) body = type_new(p, words[w].kind);
    if (!alias && !resource && !body) return false;
    next(p);
    struct wit_def *def = arena_make(p->set->arena, struct wit_def);
    *def = (struct wit_def){.name = id(p), .docs = docs, .gate = gate, .pos = pos, .owner = i};
    vec_push(p->set->arena, &i->defs, def);
    if (alias) {
        expect(p, '=');
        def->type = parse_type(p);
        expect(p, ';');
    } else if (resource) {
        def->kind = WIT_DEF_RESOURCE;
        if (!accept(p, ';')) {
            expect(p, '{');
            while (more(p, '}')) parse_method(p, i, def);
            expect(p, '}');
        }
    } else {
        def->type = body;
        parse_fields(p, body);
    }
    return true;
}

static void parse_interface_body(struct parser *p, struct wit_interface *i) {
    expect(p, '{');
    while (more(p, '}')) {
        str docs = p->t.docs;
        struct wit_gate gate = parse_gate(p);
        if (!docs.n) docs = p->t.docs;
        if (parse_def(p, i, gate, docs)) continue;
        struct wit_func *f = func_new(p, gate, docs);
        f->kind = COMPONENT_FUNC_PLAIN;
        f->name = f->full_name = id(p);
        expect(p, ':');
        parse_func_type(p, f);
        vec_push(p->set->arena, &i->funcs, f);
    }
    expect(p, '}');
}

static struct wit_interface *interface_new(struct parser *p, struct wit_package *package, struct wit_gate gate, str docs) {
    struct wit_interface *i = arena_make(p->set->arena, struct wit_interface);
    i->package = package;
    i->gate = gate;
    i->docs = docs;
    i->pos = here(p);
    return i;
}

/* ---- worlds ----------------------------------------------------------------------------------- */

static void parse_include(struct parser *p, struct wit_world *w, struct wit_gate gate) {
    struct wit_include inc = {.path = parse_path(p), .gate = gate};
    if (accept_word(p, "with")) {
        expect(p, '{');
        while (more(p, '}')) {
            struct wit_rename r = {.from = id(p)};
            if (!accept_word(p, "as")) expected(p, "\"as\"");
            r.to = id(p);
            vec_push(p->set->arena, &inc.with, r);
            if (!accept(p, ',')) break;
        }
        expect(p, '}');
    } else {
        expect(p, ';');
    }
    vec_push(p->set->arena, &w->includes, inc);
}

/* import and export: `id: func…;`, `id: interface {…}`, `id: path;`, `path;` */
static void parse_world_item(struct parser *p, struct wit_world *w, struct wit_gate gate, str docs) {
    struct wit_item item = {.gate = gate, .pos = here(p), .is_export = is_word(p, "export")};
    next(p);
    struct wit_token first = p->t;
    struct wit_lexer behind = p->lex;
    str name = any_id(p);
    bool named = false;
    if (is_punct(p, ':')) { /* `id :` or `ns:pkg/name`: what follows the word after the colon tells */
        next(p);
        named = is_word(p, "func") || is_word(p, "async") || is_word(p, "interface");
        if (!named) {
            any_id(p);
            named = !is_punct(p, '/');
        }
    }
    if (p->lex.failed) return;
    p->lex = behind;
    p->t = first;
    if (named) {
        item.name = id(p);
        expect(p, ':');
    }
    if (named && (is_word(p, "func") || is_word(p, "async"))) {
        item.kind = WIT_ITEM_FUNC;
        item.func = func_new(p, gate, docs);
        item.func->name = item.func->full_name = name;
        parse_func_type(p, item.func);
    } else if (named && accept_word(p, "interface")) {
        item.interface = interface_new(p, w->package, gate, docs);
        item.interface->name = name;
        parse_interface_body(p, item.interface);
    } else {
        item.path = parse_path(p);
        expect(p, ';');
    }
    vec_push(p->set->arena, &w->items, item);
}

static void parse_world(struct parser *p, struct wit_package *package, struct wit_gate gate, str docs) {
    struct wit_world *w = arena_make(p->set->arena, struct wit_world);
    *w = (struct wit_world){.package = package, .gate = gate, .docs = docs, .pos = here(p)};
    w->name = id(p);
    w->types = interface_new(p, package, gate, docs);
    w->types->is_world = true;
    w->types->name = w->name;
    vec_push(p->set->arena, &package->worlds, w);
    expect(p, '{');
    while (more(p, '}')) {
        str item_docs = p->t.docs;
        struct wit_gate item_gate = parse_gate(p);
        if (!item_docs.n) item_docs = p->t.docs;
        if (is_word(p, "import") || is_word(p, "export")) parse_world_item(p, w, item_gate, item_docs);
        else if (accept_word(p, "include")) parse_include(p, w, item_gate);
        else if (!parse_def(p, w->types, item_gate, item_docs)) expected(p, "an import, export, include, use or type");
    }
    expect(p, '}');
}

/* ---- files ------------------------------------------------------------------------------------ */

static struct wit_package *package_get(struct parser *p, str ns, str name, str ver, struct wit_pos pos) {
    for (uint32_t i = 0; i < p->set->packages.n; i++) {
        struct wit_package *k = p->set->packages.p[i];
        if (str_eq(k->ns, ns) && str_eq(k->name, name) && str_eq(k->version, ver)) return k;
    }
    struct wit_package *k = arena_make(p->set->arena, struct wit_package);
    *k = (struct wit_package){.ns = ns, .name = name, .version = ver, .pos = pos};
    vec_push(p->set->arena, &p->set->packages, k);
    return k;
}

static void parse_toplevel_use(struct parser *p, struct wit_package *package) {
    struct wit_use u = {.file = p->lex.file, .path = parse_path(p)};
    u.name = accept_word(p, "as") ? id(p) : u.path->name;
    expect(p, ';');
    vec_push(p->set->arena, &package->uses, u);
}

static void parse_item(struct parser *p, struct wit_package *package, struct wit_gate gate, str docs) {
    if (accept_word(p, "use")) {
        parse_toplevel_use(p, package);
    } else if (accept_word(p, "interface")) {
        struct wit_interface *i = interface_new(p, package, gate, docs);
        i->name = id(p);
        vec_push(p->set->arena, &package->interfaces, i);
        parse_interface_body(p, i);
    } else if (accept_word(p, "world")) {
        parse_world(p, package, gate, docs);
    } else {
        expected(p, "an interface, a world, a use or a package");
    }
}

/* `package ns:name@version`, then ';' (the file's) or '{ items }' (nested). True: the file's. */
static bool parse_package(struct parser *p, struct wit_package **package, str docs) {
    struct wit_pos pos = here(p);
    str ns = any_id(p), ver = {};
    expect(p, ':');
    str name = any_id(p);
    if (is_punct(p, '@')) ver = version(p);
    if (p->lex.failed) return false;
    struct wit_package *k = package_get(p, ns, name, ver, pos);
    if (!k->docs.n) k->docs = docs;
    if (accept(p, ';')) {
        *package = k;
        return true;
    }
    expect(p, '{');
    while (more(p, '}')) {
        str item_docs = p->t.docs;
        struct wit_gate gate = parse_gate(p);
        parse_item(p, k, gate, item_docs.n ? item_docs : p->t.docs);
    }
    expect(p, '}');
    return false;
}

err wit_parse(struct wit_set *set, str file, str text, struct wit_package **package, struct diag *d) {
    struct parser p = {.set = set};
    wit_lex_init(&p.lex, set->arena, file, text, d);
    next(&p);
    struct wit_package *expected_package = *package;
    bool first = true;
    while (p.t.kind != WIT_TOKEN_END) {
        str docs = p.t.docs;
        struct wit_pos pos = here(&p);
        struct wit_gate gate = parse_gate(&p);
        if (!docs.n) docs = p.t.docs;
        if (accept_word(&p, "package")) {
            if (parse_package(&p, package, docs)) {
                if (!first) wit_lex_fail(&p.lex, pos.line, "the file's package declaration comes before everything else");
                if (expected_package && *package != expected_package)
                    wit_lex_fail(&p.lex, pos.line,
                                 "this file declares another package than the files beside it (" STR_FMT ":" STR_FMT ")",
                                 STR_ARG(expected_package->ns), STR_ARG(expected_package->name));
            }
        } else {
            if (!*package && !p.lex.failed)
                *package = package_get(&p, (str){}, (str){}, (str){}, pos); /* joined with the files beside it by wit_load */
            if (*package) parse_item(&p, *package, gate, docs);
        }
        first = false;
    }
    return p.lex.failed;
}
