/* db_native: the shapes of a database (db_shapes.h) as Swift, Kotlin and Dart.
 *
 *   Swift    Codable structs with CodingKeys          nothing but Foundation
 *   Kotlin   @Serializable data classes               kotlinx.serialization
 *   Dart     classes with fromJson and toJson         nothing
 *
 * What is given has three states where null is a value of its own: left out, null, a value. In Swift that is T??, elsewhere a Given of T?. */
#include "node/command/db.h"
#include "node/command/db_shapes.h"

struct writer {
    arena *mem;
    struct buf *to;
};

static void put(struct writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct writer *w, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vfmt(w->mem, fmt, ap);
    va_end(ap);
    buf_puts(w->to, s);
}

/* escape: how a character by its number begins and ends. A $ would begin an expression in Kotlin and Dart, and \( one in Swift, where no \ is left. */
static void put_text(struct writer *w, str s, const char *before, const char *behind, bool dollar) {
    buf_putc(w->to, '"');
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c < 0x20 || c == 0x7f) put(w, "%s%04x%s", before, c, behind);
        else if (c == '"' || c == '\\' || (c == '$' && dollar)) put(w, "\\%c", c);
        else buf_putc(w->to, c);
    }
    buf_putc(w->to, '"');
}

/* ---- Swift ---- */

static void swift_text(struct writer *w, str s) { put_text(w, s, "\\u{", "}", false); }

static void swift_type(struct writer *w, const struct shape_type *t) {
    static const char *const is[] = {"Bool", "Int", "Int64", "Double", "Decimal", "String", "Json", NULL, NULL, "Void"};
    put(w, "%s", t->array ? "[" : "");
    if (t->name.n) buf_puts(w->to, t->name);
    else put(w, "%s", is[t->is]);
    put(w, "%s", t->array ? "]" : "");
}

static const char swift_head[] =
    "import Foundation\n"
    "\n"
    "/// Any value of JSON.\n"
    "enum Json: Codable, Hashable, Sendable {\n"
    "    case null\n"
    "    case bool(Bool)\n"
    "    case number(Double)\n"
    "    case string(String)\n"
    "    case array([Json])\n"
    "    case object([String: Json])\n"
    "\n"
    "    init(from decoder: Decoder) throws {\n"
    "        let value = try decoder.singleValueContainer()\n"
    "        if value.decodeNil() { self = .null }\n"
    "        else if let it = try? value.decode(Bool.self) { self = .bool(it) }\n"
    "        else if let it = try? value.decode(Double.self) { self = .number(it) }\n"
    "        else if let it = try? value.decode(String.self) { self = .string(it) }\n"
    "        else if let it = try? value.decode([Json].self) { self = .array(it) }\n"
    "        else { self = .object(try value.decode([String: Json].self)) }\n"
    "    }\n"
    "\n"
    "    func encode(to encoder: Encoder) throws {\n"
    "        var value = encoder.singleValueContainer()\n"
    "        switch self {\n"
    "        case .null: try value.encodeNil()\n"
    "        case .bool(let it): try value.encode(it)\n"
    "        case .number(let it): try value.encode(it)\n"
    "        case .string(let it): try value.encode(it)\n"
    "        case .array(let it): try value.encode(it)\n"
    "        case .object(let it): try value.encode(it)\n"
    "        }\n"
    "    }\n"
    "}\n"
    "\n"
    "// Of what is given, T? that is nil is left out. T?? is left out as nil, null as .some(nil), a value as itself.\n";

static void swift_enum(struct writer *w, const struct shape_enum *e) {
    put(w, "\n/// " STR_FMT "\nenum " STR_FMT ": String, Codable, CaseIterable, Hashable, Sendable {\n", STR_ARG(e->of),
        STR_ARG(e->name));
    for (uint32_t i = 0; i < e->labels.n; i++) {
        put(w, "    case " STR_FMT " = ", STR_ARG(e->labels.p[i].name));
        swift_text(w, e->labels.p[i].wire), put(w, "\n");
    }
    put(w, "}\n");
}

static void swift_shape(struct writer *w, const struct shape *s) {
    put(w, "\n/// " STR_FMT "\nstruct " STR_FMT ": %s, Hashable, Sendable {\n", STR_ARG(s->of), STR_ARG(s->name),
        s->given ? "Encodable" : "Codable");
    for (uint32_t i = 0; i < s->fields.n; i++) {
        const struct shape_field *f = &s->fields.p[i];
        put(w, "    var " STR_FMT ": ", STR_ARG(f->name)), swift_type(w, &f->type);
        put(w, "%s%s\n", f->nullable ? "?" : "", f->left_out ? "?" : "");
    }
    if (s->fields.n) put(w, "\n    enum CodingKeys: String, CodingKey {\n");
    for (uint32_t i = 0; i < s->fields.n; i++) {
        put(w, "        case " STR_FMT " = ", STR_ARG(s->fields.p[i].name));
        swift_text(w, s->fields.p[i].wire), put(w, "\n");
    }
    put(w, "%s}\n", s->fields.n ? "    }\n" : "");
}

static void swift_alias(struct writer *w, const struct shape_alias *a) {
    put(w, "\n/// " STR_FMT "\ntypealias " STR_FMT " = ", STR_ARG(a->of), STR_ARG(a->name));
    swift_type(w, &a->type), put(w, "\n");
}

/* ---- Kotlin ---- */

static void kotlin_text(struct writer *w, str s) { put_text(w, s, "\\u", "", true); }

static void kotlin_type(struct writer *w, const struct shape_type *t) {
    static const char *const is[] = {"Boolean", "Int", "Long", "Double", "Double", "String", "JsonElement", NULL, NULL, "Unit"};
    put(w, "%s", t->array ? "List<" : "");
    if (t->name.n) buf_puts(w->to, t->name);
    else put(w, "%s", is[t->is]);
    put(w, "%s", t->array ? ">" : "");
}

static const char kotlin_head[] =
    "import kotlinx.serialization.KSerializer\n"
    "import kotlinx.serialization.SerialName\n"
    "import kotlinx.serialization.Serializable\n"
    "import kotlinx.serialization.descriptors.SerialDescriptor\n"
    "import kotlinx.serialization.encoding.Decoder\n"
    "import kotlinx.serialization.encoding.Encoder\n"
    "import kotlinx.serialization.json.JsonElement\n"
    "\n"
    "/** What is given where null is a value, too: Given.Of(null) is null, Given.Left is left out. */\n"
    "@Serializable(with = GivenSerializer::class)\n"
    "sealed class Given<out T> {\n"
    "    object Left : Given<kotlin.Nothing>()\n"
    "    data class Of<out T>(val value: T) : Given<T>()\n"
    "}\n"
    "\n"
    "class GivenSerializer<T>(private val of: KSerializer<T>) : KSerializer<Given<T>> {\n"
    "    override val descriptor: SerialDescriptor = of.descriptor\n"
    "    override fun serialize(encoder: Encoder, value: Given<T>) = when (value) {\n"
    "        is Given.Of -> of.serialize(encoder, value.value)\n"
    "        is Given.Left -> error(\"a default, which is not encoded\")\n"
    "    }\n"
    "    override fun deserialize(decoder: Decoder): Given<T> = Given.Of(of.deserialize(decoder))\n"
    "}\n";

static void kotlin_enum(struct writer *w, const struct shape_enum *e) {
    put(w, "\n// " STR_FMT "\n", STR_ARG(e->of));
    put(w, "@Serializable\nenum class " STR_FMT " {\n", STR_ARG(e->name));
    for (uint32_t i = 0; i < e->labels.n; i++) {
        put(w, "    @SerialName("), kotlin_text(w, e->labels.p[i].wire);
        put(w, ") " STR_FMT ",\n", STR_ARG(e->labels.p[i].name));
    }
    put(w, "}\n");
}

static void kotlin_shape(struct writer *w, const struct shape *s) {
    put(w, "\n// " STR_FMT "\n", STR_ARG(s->of));
    put(w, "@Serializable\n%sclass " STR_FMT "%s\n", s->fields.n ? "data " : "", STR_ARG(s->name), s->fields.n ? "(" : "");
    for (uint32_t i = 0; i < s->fields.n; i++) {
        const struct shape_field *f = &s->fields.p[i];
        bool three = f->nullable && f->left_out;
        put(w, "    @SerialName("), kotlin_text(w, f->wire);
        put(w, ") val " STR_FMT ": %s", STR_ARG(f->name), three ? "Given<" : ""), kotlin_type(w, &f->type);
        put(w, "%s,\n", three ? "?> = Given.Left" : f->nullable || f->left_out ? "? = null" : "");
    }
    put(w, "%s", s->fields.n ? ")\n" : "");
}

static void kotlin_alias(struct writer *w, const struct shape_alias *a) {
    put(w, "\n// " STR_FMT "\n", STR_ARG(a->of));
    put(w, "typealias " STR_FMT " = ", STR_ARG(a->name)), kotlin_type(w, &a->type), put(w, "\n");
}

/* ---- Dart ---- */

static void dart_text(struct writer *w, str s) { put_text(w, s, "\\u", "", true); }

static void dart_type(struct writer *w, const struct shape_type *t) {
    static const char *const is[] = {"bool", "int", "int", "double", "num", "String", "Object?", NULL, NULL, "void"};
    put(w, "%s", t->array ? "List<" : "");
    if (t->name.n) buf_puts(w->to, t->name);
    else put(w, "%s", is[t->is]);
    put(w, "%s", t->array ? ">" : "");
}
/* Object? can be null as it is. */
static bool dart_has_null(const struct shape_type *t) { return t->is == SHAPE_JSON && !t->array; }

/* What an expression of JSON's is as a value. */
static void dart_read_one(struct writer *w, const struct shape_type *t, str e) {
    static const char *const as[] = {"bool", "int", "int", NULL, "num", "String"};
    if (t->is == SHAPE_ENUM) put(w, STR_FMT ".of(" STR_FMT ")", STR_ARG(t->name), STR_ARG(e));
    else if (t->is == SHAPE_OBJECT)
        put(w, STR_FMT ".fromJson(" STR_FMT " as Map<String, dynamic>)", STR_ARG(t->name), STR_ARG(e));
    else if (t->is == SHAPE_DOUBLE) put(w, "(" STR_FMT " as num).toDouble()", STR_ARG(e));
    else if (t->is == SHAPE_JSON) buf_puts(w->to, e);
    else put(w, STR_FMT " as %s", STR_ARG(e), as[t->is]);
}
static void dart_read(struct writer *w, const struct shape_field *f) {
    struct buf key = {0};
    struct writer inner = {w->mem, &key};
    put(&inner, "json["), dart_text(&inner, f->wire), put(&inner, "]");
    str e = arena_str(w->mem, buf_str(&key));
    buf_free(&key);
    if (f->nullable && !dart_has_null(&f->type)) put(w, STR_FMT " == null ? null : ", STR_ARG(e));
    if (f->type.array)
        put(w, "(" STR_FMT " as List).map((e) => ", STR_ARG(e)), dart_read_one(w, &f->type, STR("e")), put(w, ").toList()");
    else dart_read_one(w, &f->type, e);
}
/* And the other way round. */
static void dart_write(struct writer *w, const struct shape_type *t, str e) {
    const char *how = t->is == SHAPE_ENUM ? ".wire" : t->is == SHAPE_OBJECT ? ".toJson()" : "";
    bool sure = e.n && e.p[e.n - 1] == '?';
    if (t->array && *how) put(w, STR_FMT ".map((e) => e%s).toList()", STR_ARG(e), how);
    else put(w, STR_FMT "%s", STR_ARG(str_sub(e, 0, e.n - (sure && !*how))), how);
}

static const char dart_head[] = "// ignore_for_file: unnecessary_question_mark\n"
                                "\n"
                                "/// What is given where null is a value, too: Given(null) is null, null is left out.\n"
                                "class Given<T> {\n"
                                "  final T value;\n"
                                "  const Given(this.value);\n"
                                "}\n";

static void dart_enum(struct writer *w, const struct shape_enum *e) {
    put(w, "\n/// " STR_FMT "\nenum " STR_FMT " {\n", STR_ARG(e->of), STR_ARG(e->name));
    for (uint32_t i = 0; i < e->labels.n; i++) {
        put(w, "  " STR_FMT "(", STR_ARG(e->labels.p[i].name)), dart_text(w, e->labels.p[i].wire);
        put(w, ")%s\n", i + 1 < e->labels.n ? "," : ";");
    }
    put(w, "\n  const " STR_FMT "(this.wire);\n  final String wire;\n", STR_ARG(e->name));
    put(w, "  static " STR_FMT " of(Object? wire) => values.firstWhere((e) => e.wire == wire);\n}\n", STR_ARG(e->name));
}

static void dart_fields(struct writer *w, const struct shape *s) {
    for (uint32_t i = 0; i < s->fields.n; i++) {
        const struct shape_field *f = &s->fields.p[i];
        bool three = f->nullable && f->left_out, null = dart_has_null(&f->type);
        put(w, "  final %s", three ? "Given<" : ""), dart_type(w, &f->type);
        put(w, "%s " STR_FMT ";\n",
            three                                   ? null ? ">?" : "?>?"
            : (f->nullable || f->left_out) && !null ? "?"
                                                    : "",
            STR_ARG(f->name));
    }
    put(w, "\n  const " STR_FMT "(%s", STR_ARG(s->name), s->fields.n ? "{\n" : "");
    for (uint32_t i = 0; i < s->fields.n; i++) {
        const struct shape_field *f = &s->fields.p[i];
        put(w, "    %sthis." STR_FMT ",\n", f->nullable || f->left_out ? "" : "required ", STR_ARG(f->name));
    }
    put(w, "%s);\n", s->fields.n ? "  }" : "");
}

static void dart_shape(struct writer *w, const struct shape *s) {
    put(w, "\n/// " STR_FMT "\nclass " STR_FMT " {\n", STR_ARG(s->of), STR_ARG(s->name));
    dart_fields(w, s);
    if (!s->given) {
        put(w, "\n  factory " STR_FMT ".fromJson(Map<String, dynamic> json) => " STR_FMT "(\n", STR_ARG(s->name),
            STR_ARG(s->name));
        for (uint32_t i = 0; i < s->fields.n; i++)
            put(w, "        " STR_FMT ": ", STR_ARG(s->fields.p[i].name)), dart_read(w, &s->fields.p[i]), put(w, ",\n");
        put(w, "      );\n");
    }
    put(w, "\n  Map<String, dynamic> toJson() => {\n");
    for (uint32_t i = 0; i < s->fields.n; i++) {
        const struct shape_field *f = &s->fields.p[i];
        bool three = f->nullable && f->left_out;
        const char *ask = f->nullable && !dart_has_null(&f->type) ? "?" : "";
        put(w, "        ");
        if (f->left_out) put(w, "if (" STR_FMT " != null) ", STR_ARG(f->name));
        dart_text(w, f->wire), put(w, ": ");
        dart_write(w, &f->type,
                   arena_fmt(w->mem, STR_FMT "%s%s", STR_ARG(f->name),
                             three         ? "!.value"
                             : f->left_out ? "!"
                                           : "",
                             ask));
        put(w, ",\n");
    }
    put(w, "      };\n}\n");
}

static void dart_alias(struct writer *w, const struct shape_alias *a) {
    put(w, "\n/// " STR_FMT "\ntypedef " STR_FMT " = ", STR_ARG(a->of), STR_ARG(a->name));
    dart_type(w, &a->type), put(w, ";\n");
}

/* ---- the whole ---- */

static const struct language {
    const char *name, *head;
    void (*write_enum)(struct writer *w, const struct shape_enum *e);
    void (*write_shape)(struct writer *w, const struct shape *s);
    void (*write_alias)(struct writer *w, const struct shape_alias *a);
} languages[] = {
    {"swift", swift_head, swift_enum, swift_shape, swift_alias},
    {"kotlin", kotlin_head, kotlin_enum, kotlin_shape, kotlin_alias},
    {"dart", dart_head, dart_enum, dart_shape, dart_alias},
};

bool node_db_native(const struct catalog *c, const char *language, struct buf *to) {
    const struct language *l = NULL;
    struct shapes s;
    for (size_t i = 0; i < ARRAY_COUNT(languages); i++)
        if (!strcmp(languages[i].name, language)) l = &languages[i];
    if (!l || !c) return l;
    struct writer w = {arena_new(0), to};
    node_db_shapes(w.mem, c, &s);
    put(&w, "// Made by `orlo db types %s`, of what the database was then.\n%s%s", l->name, l->head[0] == '/' ? "" : "\n",
        l->head);
    for (uint32_t i = 0; i < s.enums.n; i++) l->write_enum(&w, &s.enums.p[i]);
    for (uint32_t i = 0; i < s.shapes.n; i++) l->write_shape(&w, &s.shapes.p[i]);
    for (uint32_t i = 0; i < s.aliases.n; i++) l->write_alias(&w, &s.aliases.p[i]);
    arena_free(w.mem);
    return true;
}
