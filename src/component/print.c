/* print: a component as text (Explainer.md; the syntax that wasm-tools parse reads). Reads the bytes a second
 * time, without checks: they passed component_decode. Items are named by index, which stands in a comment
 * where one is defined. */
#include "component/component_int.h"

enum { INDEX_SORTS = CSORT_INSTANCE + 1, INDENT = 2 };

struct printer {
    struct crd r;
    struct buf *out;
    const struct component *c;
    uint32_t depth;
    uint32_t modules;        /* printed so far */
    uint32_t n[INDEX_SORTS]; /* sizes of the index spaces so far */
};

static const char *const sort_names[] = {"core func", "core table",  "core memory",   "core global", "core tag",
                                         "core type", "core module", "core instance", "func",        "value",
                                         "type",      "component",   "instance"};

static uint8_t u8(struct printer *p) {
    uint8_t v = 0;
    ENSURE(crd_u8(&p->r, &v) == ERR_OK);
    return v;
}
static uint32_t u32(struct printer *p) {
    uint32_t v = 0;
    ENSURE(crd_u32(&p->r, &v) == ERR_OK);
    return v;
}
static uint64_t u64(struct printer *p) {
    uint64_t v = 0;
    ENSURE(crd_u64(&p->r, &v) == ERR_OK);
    return v;
}
static int64_t s33(struct printer *p) {
    int64_t v = 0;
    ENSURE(crd_s33(&p->r, &v) == ERR_OK);
    return v;
}
static str name(struct printer *p) {
    str v = {0};
    ENSURE(crd_name(&p->r, &v) == ERR_OK);
    return v;
}

static void put(struct printer *p, const char *text) { buf_puts(p->out, str_c(text)); }
static void num(struct printer *p, uint64_t v) { buf_printf(p->out, " %llu", (unsigned long long)v); }
static void line(struct printer *p) { buf_printf(p->out, "\n%*s", (int)(p->depth * INDENT), ""); }

static void quote(struct printer *p, str s) {
    buf_putc(p->out, '"');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) buf_printf(p->out, "\\%02x", c);
        else buf_putc(p->out, c);
    }
    buf_putc(p->out, '"');
}

/* The comment with the index of the item being defined, which takes its place in the index space. */
static void define(struct printer *p, enum csort s) { buf_printf(p->out, " (;%u;)", p->n[s]++); }

static enum csort sort(struct printer *p) {
    static const enum csort by_byte[] = {
        [1] = CSORT_FUNC, [2] = CSORT_VALUE, [3] = CSORT_TYPE, [4] = CSORT_COMPONENT, [5] = CSORT_INSTANCE};
    uint8_t b = u8(p);
    if (b) return by_byte[b];
    b = u8(p);
    return b < 0x10 ? (enum csort)(CSORT_CORE_FUNC + b) : (enum csort)(CSORT_CORE_TYPE + b - 0x10);
}

static void reference(struct printer *p, enum csort s, uint32_t index) { buf_printf(p->out, "(%s %u)", sort_names[s], index); }

/* ---- core types --------------------------------------------------------------------------------- */

static const char *heap_name(int64_t code) {
    static const char *const names[] = {"noexn", "nofunc", "noextern", "none",   "func",  "extern",
                                        "any",   "eq",     "i31",      "struct", "array", "exn"};
    return names[-0x0c - code];
}

static void core_valtype(struct printer *p) {
    static const char *const numbers[] = {"v128", "f64", "f32", "i64", "i32"};
    uint8_t b = u8(p);
    if (b >= 0x7b) put(p, numbers[b - 0x7b]);
    else if (b == 0x78 || b == 0x77) put(p, b == 0x78 ? "i8" : "i16");
    else if (b == 0x63 || b == 0x64) {
        int64_t heap = s33(p);
        put(p, b == 0x63 ? "(ref null " : "(ref ");
        if (heap >= 0) buf_printf(p->out, "%lld)", (long long)heap);
        else buf_printf(p->out, "%s)", heap_name(heap));
    } else buf_printf(p->out, "(ref null %s)", heap_name((int64_t)b - 0x80));
}

static void core_field(struct printer *p) {
    struct printer ahead = *p; /* mutability comes after the type */
    struct buf none = {0};
    ahead.out = &none;
    core_valtype(&ahead);
    buf_free(&none);
    bool mutable = *ahead.r.p;
    if (mutable) put(p, "(mut ");
    core_valtype(p);
    if (mutable) put(p, ")");
    u8(p);
}

static void core_comptype(struct printer *p) {
    uint8_t b = u8(p);
    if (b == 0x60) {
        put(p, "(func");
        for (int k = 0; k < 2; k++)
            for (uint32_t n = u32(p); n; n--) {
                put(p, k ? " (result " : " (param ");
                core_valtype(p);
                put(p, ")");
            }
    } else {
        put(p, b == 0x5f ? "(struct" : "(array");
        for (uint32_t n = b == 0x5f ? u32(p) : 1; n; n--) {
            put(p, b == 0x5f ? " (field " : " ");
            core_field(p);
            if (b == 0x5f) put(p, ")");
        }
    }
    put(p, ")");
}

static void core_subtype(struct printer *p) {
    uint8_t b = *p->r.p;
    if (b != 0x50 && b != 0x4f) return core_comptype(p);
    u8(p);
    put(p, b == 0x4f ? "(sub final" : "(sub");
    for (uint32_t n = u32(p); n; n--) num(p, u32(p));
    put(p, " ");
    core_comptype(p);
    put(p, ")");
}

static void core_limits(struct printer *p) {
    uint8_t flags = u8(p);
    if (flags & 4) put(p, " i64");
    num(p, u64(p));
    if (flags & 1) num(p, u64(p));
    if (flags & 2) put(p, " shared");
}

static void core_extern(struct printer *p) {
    static const char *const kinds[] = {"func", "table", "memory", "global", "tag"};
    uint8_t kind = u8(p);
    struct printer table;
    buf_printf(p->out, "(%s", kinds[kind]);
    switch (kind) {
    case 1: { /* the text has the limits first */
        struct buf type = {0};
        table = *p;
        table.out = &type;
        core_valtype(&table);
        p->r = table.r;
        core_limits(p);
        buf_putc(p->out, ' ');
        buf_puts(p->out, buf_str(&type));
        buf_free(&type);
        break;
    }
    case 2: core_limits(p); break;
    case 3:
        buf_putc(p->out, ' ');
        core_field(p);
        break;
    case 4: u8(p); [[fallthrough]];
    default: buf_printf(p->out, " (type %u)", u32(p)); break;
    }
    put(p, ")");
}

static void core_type(struct printer *p, bool in_module);

static void module_type(struct printer *p) {
    uint32_t outer_types = p->n[CSORT_CORE_TYPE];
    p->n[CSORT_CORE_TYPE] = 0;
    put(p, "(module");
    p->depth++;
    for (uint32_t n = u32(p); n; n--) {
        uint8_t kind = u8(p);
        line(p);
        if (kind == 1) {
            core_type(p, true);
            continue;
        }
        if (kind == 2) {
            u8(p);
            u8(p);
            put(p, "(alias outer");
            num(p, u32(p));
            num(p, u32(p));
            put(p, " (type");
            define(p, CSORT_CORE_TYPE);
            put(p, "))");
            continue;
        }
        put(p, kind == 0 ? "(import " : "(export ");
        quote(p, name(p));
        put(p, " ");
        if (kind == 0) {
            quote(p, name(p));
            put(p, " ");
        }
        core_extern(p);
        put(p, ")");
    }
    p->depth--;
    put(p, ")");
    p->n[CSORT_CORE_TYPE] = outer_types;
}

/* One definition, without "core": that is a matter of the context. Inside a module type 0x50 begins a subtype, as in
 * a module, since no module type can stand there. */
static void core_type(struct printer *p, bool in_module) {
    uint8_t b = *p->r.p;
    if (b == 0x00) u8(p); /* the prefix of a non-final subtype */
    if (b == 0x4e) {
        u8(p);
        put(p, "(rec");
        for (uint32_t n = u32(p); n; n--) {
            put(p, " (type");
            define(p, CSORT_CORE_TYPE);
            put(p, " ");
            core_subtype(p);
            put(p, ")");
        }
        put(p, ")");
        return;
    }
    put(p, "(type");
    uint32_t index = p->n[CSORT_CORE_TYPE]++;
    buf_printf(p->out, " (;%u;) ", index);
    if (b == 0x50 && !in_module) {
        u8(p);
        module_type(p);
    } else core_subtype(p);
    put(p, ")");
}

/* ---- types -------------------------------------------------------------------------------------- */

static const char *primitive(uint8_t b) {
    switch (b) {
#define X(name, code, text)                                                                                                      \
    case code:                                                                                                                   \
        return text;
#include "component/type.def"
#undef X
    default: return "?";
    }
}

static void valtype(struct printer *p) {
    uint8_t b = *p->r.p;
    if (b >= 0x40 && b < 0x80) put(p, primitive(u8(p)));
    else buf_printf(p->out, "%lld", (long long)s33(p));
}

static bool optional_valtype(struct printer *p, const char *open, const char *close) {
    if (!u8(p)) return false;
    put(p, open);
    valtype(p);
    put(p, close);
    return true;
}

static void fields(struct printer *p, uint8_t b) {
    static const char *const open[] = {
        [0x72 - 0x6d] = " (field ", [0x71 - 0x6d] = " (case ", [0x6e - 0x6d] = " ", [0x6d - 0x6d] = " "};
    for (uint32_t n = u32(p); n; n--) {
        put(p, open[b - 0x6d]);
        quote(p, name(p));
        if (b == 0x72) {
            put(p, " ");
            valtype(p);
        } else if (b == 0x71) {
            optional_valtype(p, " ", "");
            u8(p);
        } else continue;
        put(p, ")");
    }
}

static void func_type(struct printer *p, bool is_async) {
    put(p, is_async ? "(func async" : "(func");
    for (uint32_t n = u32(p); n; n--) {
        put(p, " (param ");
        quote(p, name(p));
        put(p, " ");
        valtype(p);
        put(p, ")");
    }
    if (u8(p) == 0) {
        put(p, " (result ");
        valtype(p);
        put(p, ")");
    } else u8(p);
    put(p, ")");
}

static void resource_type(struct printer *p) {
    put(p, "(resource (rep ");
    core_valtype(p);
    put(p, ")");
    if (u8(p)) buf_printf(p->out, " (dtor (core func %u))", u32(p));
    put(p, ")");
}

static void declarations(struct printer *p, const char *open);

static void definition(struct printer *p) {
    uint8_t b = u8(p);
    switch (b) {
    case 0x40:
    case 0x43: func_type(p, b == 0x43); return;
    case 0x41: declarations(p, "(component"); return;
    case 0x42: declarations(p, "(instance"); return;
    case 0x3f: resource_type(p); return;
    default: break;
    }
    if (b >= 0x73 || b == 0x64) {
        put(p, primitive(b));
        return;
    }
    buf_printf(p->out, "(%s", primitive(b));
    switch (b) {
    case 0x72:
    case 0x71:
    case 0x6e:
    case 0x6d: fields(p, b); break;
    case 0x6f:
        for (uint32_t n = u32(p); n; n--) {
            put(p, " ");
            valtype(p);
        }
        break;
    case 0x6a:
        optional_valtype(p, " ", "");
        optional_valtype(p, " (error ", ")");
        break;
    case 0x69:
    case 0x68: num(p, u32(p)); break;
    case 0x66:
    case 0x65: optional_valtype(p, " ", ""); break;
    default: /* list, option, map */
        put(p, " ");
        valtype(p);
        if (b == 0x63) {
            put(p, " ");
            valtype(p);
        }
        if (b == 0x67) num(p, u32(p));
        break;
    }
    put(p, ")");
}

static void type(struct printer *p) {
    uint32_t index = p->n[CSORT_TYPE]++;
    buf_printf(p->out, "(type (;%u;) ", index);
    definition(p);
    put(p, ")");
}

/* ---- names, externs ----------------------------------------------------------------------------- */

static void extern_name(struct printer *p) {
    static const char *const attributes[] = {" (implements ", " (versionsuffix ", " (external-id "};
    uint8_t kind = u8(p);
    quote(p, name(p));
    if (kind < 2) return;
    for (uint32_t n = u32(p); n; n--) {
        put(p, attributes[u8(p)]);
        quote(p, name(p));
        put(p, ")");
    }
}

static void extern_type(struct printer *p, bool defines) {
    static const enum csort sorts[] = {CSORT_CORE_MODULE, CSORT_FUNC, CSORT_VALUE, CSORT_TYPE, CSORT_COMPONENT, CSORT_INSTANCE};
    uint8_t b = u8(p);
    if (b == 0) u8(p);
    buf_printf(p->out, "(%s", sort_names[sorts[b]]);
    if (defines) define(p, sorts[b]);
    if (b != 3) buf_printf(p->out, " (type %u))", u32(p));
    else if (u8(p) == 0) buf_printf(p->out, " (eq %u))", u32(p));
    else put(p, " (sub resource))");
}

static void import(struct printer *p) {
    put(p, "(import ");
    extern_name(p);
    put(p, " ");
    extern_type(p, true);
    put(p, ")");
}

static void export_declaration(struct printer *p) {
    put(p, "(export ");
    extern_name(p);
    put(p, " ");
    extern_type(p, true);
    put(p, ")");
}

static void export(struct printer *p) {
    struct buf text = {0}; /* the sort, which the index is of, follows the name */
    struct printer ahead = *p;
    ahead.out = &text;
    extern_name(&ahead);
    p->r = ahead.r;
    enum csort s = sort(p);
    uint32_t index = u32(p);
    put(p, "(export");
    define(p, s);
    put(p, " ");
    buf_puts(p->out, buf_str(&text));
    buf_free(&text);
    put(p, " ");
    reference(p, s, index);
    if (u8(p)) {
        put(p, " ");
        extern_type(p, false);
    }
    put(p, ")");
}

/* ---- aliases, instances ------------------------------------------------------------------------- */

static void alias(struct printer *p) {
    enum csort s = sort(p);
    uint8_t target = u8(p);
    if (target == 2) {
        put(p, "(alias outer");
        num(p, u32(p));
        num(p, u32(p));
    } else {
        put(p, target == 1 ? "(alias core export" : "(alias export");
        num(p, u32(p));
        put(p, " ");
        quote(p, name(p));
    }
    buf_printf(p->out, " (%s", sort_names[s]);
    define(p, s);
    put(p, "))");
}

static void instance(struct printer *p, bool core) {
    buf_printf(p->out, "(%s", core ? "core instance" : "instance");
    define(p, core ? CSORT_CORE_INSTANCE : CSORT_INSTANCE);
    bool instantiate = u8(p) == 0;
    if (instantiate) buf_printf(p->out, " (instantiate %u", u32(p));
    p->depth++;
    for (uint32_t n = u32(p); n; n--) {
        line(p);
        put(p, instantiate ? "(with " : "(export ");
        if (core || instantiate) quote(p, name(p));
        else extern_name(p);
        put(p, " ");
        enum csort s;
        if (!core) s = sort(p);
        else if (u8(p), instantiate) s = CSORT_INSTANCE;
        else s = (enum csort)(CSORT_CORE_FUNC + p->r.p[-1]);
        /* Inside a core instance "core" is understood. */
        const char *text = sort_names[s];
        if (core && s < CSORT_FUNC) text += sizeof "core";
        buf_printf(p->out, "(%s %u))", text, u32(p));
    }
    p->depth--;
    put(p, instantiate ? "))" : ")");
}

/* ---- canonical definitions ---------------------------------------------------------------------- */

static void options(struct printer *p) {
    static const char *const text[] = {" string-encoding=utf8",
                                       " string-encoding=utf16",
                                       " string-encoding=latin1+utf16",
                                       " (memory",
                                       " (realloc",
                                       " (post-return",
                                       " async",
                                       " (callback"};
    for (uint32_t n = u32(p); n; n--) {
        uint8_t b = u8(p);
        put(p, text[b]);
        if (b < 3 || b == 6) continue;
        num(p, u32(p));
        put(p, ")");
    }
}

static void canon_immediate(struct printer *p, char what) {
    switch (what) {
    case 'F': buf_printf(p->out, " (core func %u)", u32(p)); break;
    case 'f': buf_printf(p->out, " (func %u)", u32(p)); break;
    case 'o': options(p); break;
    case 'a': put(p, u8(p) ? " async" : ""); break;
    case 'c': put(p, u8(p) ? " cancellable" : ""); break;
    case 's': put(p, u8(p) ? " shared" : ""); break;
    case 'm': buf_printf(p->out, " (memory %u)", u32(p)); break;
    case 'b': buf_printf(p->out, " (core table %u)", u32(p)); break;
    case 'r':
        if (u8(p) == 0) {
            put(p, " (result ");
            valtype(p);
            put(p, ")");
        } else u8(p);
        break;
    case 'v':
        put(p, " ");
        core_valtype(p);
        break;
    default: num(p, u32(p)); break; /* t, T, i */
    }
}

static void canon(struct printer *p) {
    static const struct {
        uint8_t opcode;
        const char *text, *immediates;
    } canons[] = {
#define X(name, opcode, text, immediates) {opcode, text, immediates},
#include "component/canon.def"
#undef X
    };
    uint8_t b = u8(p);
    if (b < 2) u8(p);
    for (size_t k = 0; k < ARRAY_COUNT(canons); k++) {
        if (canons[k].opcode != b) continue;
        bool lift = k == COMPONENT_CANON_LIFT;
        struct buf text = {0}; /* a lift's type comes last, and is printed first */
        struct printer inner = *p;
        inner.out = &text;
        for (const char *i = canons[k].immediates; *i && *i != 'Y'; i++) canon_immediate(&inner, *i);
        p->r = inner.r;
        put(p, lift ? "(func" : "(core func");
        define(p, lift ? CSORT_FUNC : CSORT_CORE_FUNC);
        if (lift) buf_printf(p->out, " (type %u)", u32(p));
        buf_printf(p->out, " (canon %s", canons[k].text);
        buf_puts(p->out, buf_str(&text));
        buf_free(&text);
        put(p, "))");
        return;
    }
}

/* ---- types of components and instances; components ---------------------------------------------- */

static void core_type_definition(struct printer *p) {
    size_t at = p->out->n;
    core_type(p, false); /* "(type …" or "(rec …" becomes "(core type …", "(core rec …" */
    str text = str_sub(buf_str(p->out), at, p->out->n);
    struct buf copy = {0};
    buf_puts(&copy, text);
    p->out->n = at;
    put(p, "(core ");
    buf_puts(p->out, str_sub(buf_str(&copy), 1, copy.n));
    buf_free(&copy);
}

static void declarations(struct printer *p, const char *open) {
    uint32_t outer[INDEX_SORTS];
    memcpy(outer, p->n, sizeof outer);
    memset(p->n, 0, sizeof p->n);
    put(p, open);
    p->depth++;
    for (uint32_t n = u32(p); n; n--) {
        line(p);
        switch (u8(p)) {
        case 0: core_type_definition(p); break;
        case 1: type(p); break;
        case 2: alias(p); break;
        case 3: import(p); break;
        default: export_declaration(p); break;
        }
    }
    p->depth--;
    put(p, ")");
    memcpy(p->n, outer, sizeof outer);
}

static void core_instance(struct printer *p) { instance(p, true); }
static void component_instance(struct printer *p) { instance(p, false); }

/* The module's own text, one step further in, behind "(core module (;n;)". */
static void core_module(struct printer *p) {
    struct buf text = {0};
    wasm_print(&text, p->c->modules.p[p->modules++].module);
    str rest = str_trim(buf_str(&text)), next;
    put(p, "(core module");
    define(p, CSORT_CORE_MODULE);
    if (str_starts(rest, STR("(module"))) rest = str_sub(rest, sizeof "(module" - 1, rest.n);
    while (rest.n && !p->out->full) {
        bool more = str_cut(rest, '\n', &next, &rest);
        buf_puts(p->out, next);
        if (more && rest.n) line(p);
        if (!more) break;
    }
    buf_free(&text);
}

static void print_component(struct buf *out, const struct component *c, uint32_t depth, const char *open, uint32_t index);

static void section(struct printer *p, uint8_t id, const struct component *const *nested, uint32_t *nested_done) {
    static void (*const items[])(struct printer *) = {[2] = core_instance,
                                                      [3] = core_type_definition,
                                                      [5] = component_instance,
                                                      [6] = alias,
                                                      [7] = type,
                                                      [8] = canon,
                                                      [10] = import,
                                                      [11] = export};
    if (id == 1) {
        line(p);
        core_module(p);
    } else if (id == 4) {
        line(p);
        uint32_t index = p->n[CSORT_COMPONENT]++;
        print_component(p->out, nested[(*nested_done)++], p->depth, "(component", index);
    } else if (id < ARRAY_COUNT(items) && items[id]) {
        for (uint32_t n = u32(p); n && !p->out->full; n--) {
            line(p);
            items[id](p);
        }
    }
}

static void print_component(struct buf *out, const struct component *c, uint32_t depth, const char *open, uint32_t index) {
    VEC(const struct component *) nested = {0};
    arena *scratch = arena_new(0);
    uint32_t nested_done = 0;
    for (uint32_t i = 0; i < c->defs.n; i++)
        if (c->defs.p[i].kind == CDEF_COMPONENT) vec_push(scratch, &nested, c->defs.p[i].component);
    struct printer p = {.out = out, .c = c, .depth = depth + 1};
    p.r = (struct crd){c->bytes.p + 8, c->bytes.p + c->bytes.n, c->bytes.p, c->offset, NULL};
    put(&p, open);
    if (index != PLAN_NONE) buf_printf(out, " (;%u;)", index);
    while (!crd_end(&p.r) && !out->full) {
        uint8_t id = u8(&p);
        uint32_t size = u32(&p);
        struct crd after = p.r;
        after.p += size;
        p.r.end = after.p;
        section(&p, id, nested.p, &nested_done);
        p.r = after;
    }
    put(&p, ")");
    arena_free(scratch);
}

err component_print(const struct component *c, struct buf *out, struct diag *d) {
    TRY(component_validate_code(c, d));
    print_component(out, c, 0, "(component", PLAN_NONE);
    buf_putc(out, '\n');
    return ERR_OK;
}
