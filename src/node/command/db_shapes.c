/* db_shapes: see db_shapes.h.
 *
 * 1. A name is letters and digits of ASCII, whatever it is in the database: its words as one, created_at as createdAt, order items as OrderItems. What is no name then,
 *    a word of one of the languages or one that is there already, is made another (class_, title2): each time the same, as all is in an order of its own.
 * 2. What JSON has is kept beside it, byte for byte. */
#include "node/command/db_shapes.h"
#include "pg/pg.h"
#include <stdlib.h>

/* Words of Swift, Kotlin and Dart, and what their classes have already; and their enums. */
static const char *const words[] = {"abstract",    "any",       "as",          "assert",    "associatedtype", "async",
                                    "await",       "break",     "case",        "catch",     "class",          "const",
                                    "continue",    "covariant", "default",     "defer",     "deinit",         "do",
                                    "dynamic",     "else",      "encode",      "enum",      "equals",         "export",
                                    "extends",     "extension", "external",    "factory",   "fallthrough",    "false",
                                    "fileprivate", "final",     "finally",     "for",       "fromJson",       "fun",
                                    "func",        "get",       "guard",       "hashCode",  "hashValue",      "if",
                                    "implements",  "import",    "in",          "indirect",  "init",           "inout",
                                    "interface",   "internal",  "is",          "late",      "lazy",           "let",
                                    "mixin",       "mutating",  "new",         "nil",       "noSuchMethod",   "null",
                                    "object",      "open",      "operator",    "override",  "package",        "precedencegroup",
                                    "private",     "protocol",  "public",      "repeat",    "required",       "rethrow",
                                    "rethrows",    "return",    "runtimeType", "sealed",    "self",           "set",
                                    "some",        "static",    "struct",      "subscript", "super",          "switch",
                                    "sync",        "this",      "throw",       "throws",    "toJson",         "toString",
                                    "true",        "try",       "typealias",   "typedef",   "typeof",         "val",
                                    "var",         "void",      "when",        "where",     "while",          "with",
                                    "yield"};
static const char *const words_of_enums[] = {"allCases", "compareTo", "declaringClass", "entries", "hash",
                                             "index",    "name",      "none",           "of",      "ordinal",
                                             "rawValue", "value",     "valueOf",        "values",  "wire"};
static const char *const names[] = {"Any",
                                    "AnyObject",
                                    "Array",
                                    "Bool",
                                    "Boolean",
                                    "Byte",
                                    "Char",
                                    "Character",
                                    "Codable",
                                    "CodingKey",
                                    "CodingKeys",
                                    "Comparable",
                                    "Data",
                                    "Date",
                                    "DateTime",
                                    "Decimal",
                                    "Decodable",
                                    "Decoder",
                                    "Deprecated",
                                    "Dictionary",
                                    "Double",
                                    "Duration",
                                    "Encodable",
                                    "Encoder",
                                    "Enum",
                                    "Equatable",
                                    "Error",
                                    "Exception",
                                    "Float",
                                    "Function",
                                    "Future",
                                    "Given",
                                    "GivenSerializer",
                                    "Hashable",
                                    "Int",
                                    "Iterable",
                                    "Json",
                                    "JsonElement",
                                    "KSerializer",
                                    "List",
                                    "Long",
                                    "Map",
                                    "Never",
                                    "Nothing",
                                    "Null",
                                    "Number",
                                    "Object",
                                    "Optional",
                                    "Pair",
                                    "Protocol",
                                    "Record",
                                    "Result",
                                    "Self",
                                    "Sendable",
                                    "Sequence",
                                    "SerialDescriptor",
                                    "SerialName",
                                    "Serializable",
                                    "Set",
                                    "Short",
                                    "Stream",
                                    "String",
                                    "Symbol",
                                    "Throwable",
                                    "Type",
                                    "UUID",
                                    "Unit",
                                    "Uri",
                                    "Void"};

struct taken {
    struct taken *next;
    str name;
};
struct maker {
    arena *mem;
    const struct catalog *c;
    struct shapes *to;
    struct taken *types;
    str *of_type; /* names, by the places of c->types and c->relations; empty: it has none */
    str *of_relation;
};

/* ---- names ---- */

static bool is_upper(uint8_t c) { return c >= 'A' && c <= 'Z'; }
static bool is_lower(uint8_t c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

static bool has_lower(str s) {
    for (size_t i = 0; i < s.n; i++)
        if (is_lower(s.p[i])) return true;
    return false;
}

/* capital: with its first letter, too. */
static str camel(arena *out, str s, bool capital) {
    uint8_t *p = arena_alloc(out, s.n + 1, 1);
    size_t n = 0;
    bool loud = !has_lower(s), begins = capital;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool letter = is_upper(c) || is_lower(c);
        if (!letter && !is_digit(c)) {
            begins |= n > 0;
            continue;
        }
        if (!n && is_digit(c)) p[n++] = capital ? 'N' : 'n';
        if (is_upper(c) && (loud || !n) && !begins) c |= 0x20;
        else if (is_lower(c) && begins) c &= 0xdf;
        p[n++] = c;
        begins = false;
    }
    return (str){p, n};
}

static bool is_among(const char *const *list, size_t n, str s) {
    for (size_t i = 0; i < n; i++)
        if (str_eqc(s, list[i])) return true;
    return false;
}

static bool is_taken(const struct taken *t, str s) {
    while (t && !str_eq(t->name, s)) t = t->next;
    return t;
}

/* And taken from now on. */
static str take(arena *mem, struct taken **t, str wanted) {
    str name = wanted;
    for (unsigned i = 2; is_taken(*t, name); i++) name = arena_fmt(mem, STR_FMT "%u", STR_ARG(wanted), i);
    struct taken *new = arena_make(mem, struct taken);
    *new = (struct taken){*t, name};
    *t = new;
    return name;
}

static str member_name(struct maker *m, struct taken **t, str s, bool of_enum) {
    str name = camel(m->mem, s, false);
    if (!name.n) name = STR("unnamed");
    bool is_word = is_among(words, ARRAY_COUNT(words), name);
    if (is_word || (of_enum && is_among(words_of_enums, ARRAY_COUNT(words_of_enums), name)))
        name = arena_fmt(m->mem, STR_FMT "_", STR_ARG(name));
    return take(m->mem, t, name);
}

/* Of another schema than public with that before it. */
static str type_name(struct maker *m, uint32_t schema, str s, const char *suffix) {
    const struct catalog_schema *in = catalog_schema_of(m->c, schema);
    bool own = in && !str_eqc(in->name, "public");
    str name = camel(m->mem, s, true), before = own ? camel(m->mem, in->name, true) : (str){0};
    name = arena_fmt(m->mem, STR_FMT STR_FMT "%s", STR_ARG(before), STR_ARG(name.n ? name : STR("Unnamed")), suffix);
    return take(m->mem, &m->types, name);
}

/* One line, that ends nowhere else. */
static str words_of(struct maker *m, const char *what, uint32_t schema, str name) {
    const struct catalog_schema *in = catalog_schema_of(m->c, schema);
    str s = arena_fmt(m->mem, "%s " STR_FMT "." STR_FMT, what, STR_ARG(in ? in->name : STR("public")), STR_ARG(name));
    uint8_t *p = (uint8_t *)arena_cstr(m->mem, s);
    for (size_t i = 0; i < s.n; i++)
        if (p[i] < 0x20 || p[i] == 0x7f) p[i] = '?';
    return (str){p, s.n};
}

/* ---- types ---- */

static enum shape_is is_of(const struct pg_type *own) {
    switch (own->id) {
    case PG_BOOL: return SHAPE_BOOL;
    case PG_INT2:
    case PG_INT4: return SHAPE_INT;
    case PG_INT8:
    case PG_OID: return SHAPE_LONG;
    case PG_FLOAT4:
    case PG_FLOAT8: return SHAPE_DOUBLE;
    case PG_NUMERIC: return SHAPE_NUMERIC;
    case PG_JSON:
    case PG_JSONB: return SHAPE_JSON;
    case PG_VOID: return SHAPE_NOTHING;
    default: return own->kind == PG_KIND_PSEUDO ? SHAPE_JSON : SHAPE_TEXT;
    }
}

static struct shape_type type_of(const struct maker *m, uint32_t id) {
    const struct catalog_type *type = catalog_type_of(m->c, id);
    bool array = type && type->array == id;
    if (type && type->kind == CATALOG_DOMAIN) {
        struct shape_type base = type_of(m, type->base);
        return base.array && array ? (struct shape_type){.is = SHAPE_JSON}
                                   : (struct shape_type){base.is, base.array || array, base.name};
    }
    if (type) {
        str name = m->of_type[type - m->c->types.p];
        const struct catalog_relation *r = type->kind == CATALOG_ROW ? catalog_relation_of(m->c, type->relation) : NULL;
        if (r) name = m->of_relation[r - m->c->relations.p];
        enum shape_is is = type->kind != CATALOG_ENUM ? name.n ? SHAPE_OBJECT : SHAPE_JSON : name.n ? SHAPE_ENUM : SHAPE_TEXT;
        return (struct shape_type){is, array, name};
    }
    const struct pg_type *own = pg_type_by_id(id);
    if (own && own->category == 'A' && own->element) {
        const struct pg_type *element = pg_type_by_id(own->element);
        return (struct shape_type){element ? is_of(element) : SHAPE_JSON, true, {0}};
    }
    return (struct shape_type){own ? is_of(own) : SHAPE_JSON, false, {0}};
}

/* ---- in order ---- */

struct named {
    str name;
    uint32_t id, place;
};
static int by_name(const void *a, const void *b) {
    const struct named *x = a, *y = b;
    int order = str_cmp(x->name, y->name);
    return order ? order : x->id < y->id ? -1 : x->id > y->id;
}
typedef VEC(struct named) named_list;
static void sort(named_list *list) {
    if (list->n) qsort(list->p, list->n, sizeof *list->p, by_name);
}

static named_list schemas_of(const struct maker *m) {
    named_list list = {0};
    for (uint32_t i = 0; i < m->c->schemas.n; i++) {
        const struct catalog_schema *s = &m->c->schemas.p[i];
        if (!s->platform || str_eqc(s->name, "public")) vec_push(m->mem, &list, ((struct named){s->name, s->id, i}));
    }
    sort(&list);
    return list;
}
static named_list types_of(const struct maker *m, uint32_t schema, uint8_t kind) {
    named_list list = {0};
    for (uint32_t i = 0; i < m->c->types.n; i++) {
        const struct catalog_type *t = &m->c->types.p[i];
        if (t->schema == schema && t->kind == kind) vec_push(m->mem, &list, ((struct named){t->name, t->id, i}));
    }
    sort(&list);
    return list;
}
static named_list relations_of(const struct maker *m, uint32_t schema, bool tables) {
    named_list list = {0};
    for (uint32_t i = 0; i < m->c->relations.n; i++) {
        const struct catalog_relation *r = &m->c->relations.p[i];
        if (r->schema == schema && (r->kind == CATALOG_TABLE) == tables)
            vec_push(m->mem, &list, ((struct named){r->name, r->id, i}));
    }
    sort(&list);
    return list;
}
static named_list functions_of(const struct maker *m, uint32_t schema) {
    named_list list = {0};
    for (uint32_t i = 0; i < m->c->functions.n; i++) {
        const struct catalog_function *f = &m->c->functions.p[i];
        bool called =
            f->schema == schema && f->returns != PG_TRIGGER && f->returns != PG_EVENT_TRIGGER && !f->window && !f->aggregate;
        if (called) vec_push(m->mem, &list, ((struct named){f->name, f->id, i}));
    }
    sort(&list);
    return list;
}

/* ---- enums and shapes ---- */

static void add_enum(struct maker *m, const struct named *at) {
    const struct catalog_type *type = &m->c->types.p[at->place];
    struct taken *taken = NULL;
    if (!type->labels.n) return; /* none of these languages has one without a case: it is text */
    struct shape_enum *e = vec_add(m->mem, &m->to->enums);
    *e = (struct shape_enum){.name = type_name(m, type->schema, type->name, ""),
                             .of = words_of(m, "enum", type->schema, type->name)};
    m->of_type[at->place] = e->name;
    for (uint32_t i = 0; i < type->labels.n; i++) {
        str wire = type->labels.p[i].name;
        vec_push(m->mem, &e->labels, ((struct shape_field){.wire = wire, .name = member_name(m, &taken, wire, true)}));
    }
}

static struct shape *add_shape(struct maker *m, str name, str of, bool given) {
    struct shape *s = vec_add(m->mem, &m->to->shapes);
    *s = (struct shape){.name = name, .of = of, .given = given};
    return s;
}

static void add_composite(struct maker *m, const struct named *at) {
    const struct catalog_type *type = &m->c->types.p[at->place];
    struct shape *s = add_shape(m, m->of_type[at->place], words_of(m, "type", type->schema, type->name), false);
    struct taken *taken = NULL;
    for (uint32_t i = 0; i < type->fields.n; i++) {
        const struct catalog_field *f = &type->fields.p[i];
        vec_push(m->mem, &s->fields,
                 ((struct shape_field){f->name, member_name(m, &taken, f->name, false), type_of(m, f->type), true, false}));
    }
}

/* A column's name is the same in all of them. */
static void add_columns(struct maker *m, struct shape *s, const struct catalog_relation *r, bool update) {
    struct taken *taken = NULL;
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *k = &r->columns.p[i];
        str name = member_name(m, &taken, k->name, false);
        if (s->given && (k->identity == CATALOG_IDENTITY_ALWAYS || k->generated)) continue;
        bool own = k->identity || k->default_value.source.n, left_out = s->given && (update || own || !k->not_null);
        bool nullable = !k->not_null && (!s->given || update || own); /* else null is what is left out */
        vec_push(m->mem, &s->fields, ((struct shape_field){k->name, name, type_of(m, k->type), nullable, left_out}));
    }
}

static void add_relation(struct maker *m, const struct named *at) {
    const struct catalog_relation *r = &m->c->relations.p[at->place];
    bool table = r->kind == CATALOG_TABLE;
    str of = words_of(m, table ? "table" : "view", r->schema, r->name);
    add_columns(m, add_shape(m, m->of_relation[at->place], of, false), r, false);
    if (!table) return;
    add_columns(
        m, add_shape(m, type_name(m, r->schema, r->name, "Insert"), arena_fmt(m->mem, STR_FMT ", a new row", STR_ARG(of)), true),
        r, false);
    add_columns(m,
                add_shape(m, type_name(m, r->schema, r->name, "Update"),
                          arena_fmt(m->mem, STR_FMT ", what is to change", STR_ARG(of)), true),
                r, true);
}

/* ---- functions ---- */

static void add_arguments(struct maker *m, const struct catalog_function *f, str of) {
    struct shape *s = NULL;
    struct taken *taken = NULL;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (!a->name.n || a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN) continue;
        if (!s) s = add_shape(m, type_name(m, f->schema, f->name, "Args"), of, true);
        vec_push(m->mem, &s->fields,
                 ((struct shape_field){a->name, member_name(m, &taken, a->name, false), type_of(m, a->type), false,
                                       a->default_value.source.n > 0}));
    }
}

static bool comes_out(const struct catalog_argument *a) {
    return a->name.n && (a->mode == CATALOG_OUT || a->mode == CATALOG_INOUT || a->mode == CATALOG_TABLE_COLUMN);
}

/* The row that its columns make. */
static struct shape_type out_row(struct maker *m, const struct catalog_function *f, str of) {
    struct shape *s =
        add_shape(m, type_name(m, f->schema, f->name, "Row"), arena_fmt(m->mem, STR_FMT ", a row of it", STR_ARG(of)), false);
    struct taken *taken = NULL;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (comes_out(a))
            vec_push(m->mem, &s->fields,
                     ((struct shape_field){a->name, member_name(m, &taken, a->name, false), type_of(m, a->type), true, false}));
    }
    return (struct shape_type){SHAPE_OBJECT, false, s->name};
}

static void add_function(struct maker *m, const struct named *at) {
    const struct catalog_function *f = &m->c->functions.p[at->place];
    str of = words_of(m, "function", f->schema, f->name);
    uint32_t outs = 0;
    bool columns = false;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        outs += comes_out(&f->arguments.p[i]);
        columns |= f->arguments.p[i].mode == CATALOG_TABLE_COLUMN;
    }
    add_arguments(m, f, of);
    struct shape_type gives = type_of(m, f->returns);
    if (columns || (f->returns == PG_RECORD && outs > 1)) gives = out_row(m, f, of);
    if (gives.is == SHAPE_NOTHING) return;
    if (f->set && gives.array) gives = (struct shape_type){.is = SHAPE_JSON};
    gives.array |= f->set;
    str name = type_name(m, f->schema, f->name, "Returns");
    vec_push(m->mem, &m->to->aliases,
             ((struct shape_alias){name, arena_fmt(m->mem, STR_FMT ", what it gives", STR_ARG(of)), gives}));
}

/* ---- the whole ---- */

/* Names first, as any may speak of any other. */
static void name_all(struct maker *m, const named_list *schemas) {
    for (uint32_t i = 0; i < schemas->n; i++) {
        named_list tables = relations_of(m, schemas->p[i].id, true), views = relations_of(m, schemas->p[i].id, false);
        for (uint32_t k = 0; k < tables.n; k++)
            m->of_relation[tables.p[k].place] = type_name(m, schemas->p[i].id, tables.p[k].name, "");
        for (uint32_t k = 0; k < views.n; k++)
            m->of_relation[views.p[k].place] = type_name(m, schemas->p[i].id, views.p[k].name, "");
    }
    for (uint32_t i = 0; i < schemas->n; i++) {
        named_list composites = types_of(m, schemas->p[i].id, CATALOG_COMPOSITE),
                   enums = types_of(m, schemas->p[i].id, CATALOG_ENUM);
        for (uint32_t k = 0; k < enums.n; k++) add_enum(m, &enums.p[k]);
        for (uint32_t k = 0; k < composites.n; k++)
            m->of_type[composites.p[k].place] = type_name(m, schemas->p[i].id, composites.p[k].name, "");
    }
}

void node_db_shapes(arena *out, const struct catalog *c, struct shapes *to) {
    struct maker m = {.mem = out, .c = c, .to = to};
    *to = (struct shapes){0};
    m.of_type = arena_array(out, str, c->types.n + 1);
    m.of_relation = arena_array(out, str, c->relations.n + 1);
    memset(m.of_type, 0, (c->types.n + 1) * sizeof *m.of_type);
    memset(m.of_relation, 0, (c->relations.n + 1) * sizeof *m.of_relation);
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) (void)take(out, &m.types, str_c(names[i]));
    named_list schemas = schemas_of(&m);
    name_all(&m, &schemas);
    for (uint32_t i = 0; i < schemas.n; i++) {
        uint32_t schema = schemas.p[i].id;
        named_list composites = types_of(&m, schema, CATALOG_COMPOSITE), tables = relations_of(&m, schema, true),
                   views = relations_of(&m, schema, false), functions = functions_of(&m, schema);
        for (uint32_t k = 0; k < composites.n; k++) add_composite(&m, &composites.p[k]);
        for (uint32_t k = 0; k < tables.n; k++) add_relation(&m, &tables.p[k]);
        for (uint32_t k = 0; k < views.n; k++) add_relation(&m, &views.p[k]);
        for (uint32_t k = 0; k < functions.n; k++) add_function(&m, &functions.p[k]);
    }
}
