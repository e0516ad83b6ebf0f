/* db_types: a catalogue as TypeScript, in the shape that Supabase's clients take: createClient<Database>(url, key).
 *
 *   Database ── a schema ── Tables      Row, Insert, Update: what is read, given, changed; Relationships: foreign keys, for embedding
 *                        ├─ Views       the same, read only
 *                        ├─ Functions   Args, Returns: rpc()
 *                        ├─ Enums, CompositeTypes
 *   Tables<"notes">, TablesInsert, TablesUpdate, Enums, CompositeTypes: names for parts of it; Constants: enums as values
 *
 * Schemas are those that the app made, and public; everything in one is by name, so that a type is where it was however it came to be. */
#include "node/command/db.h"
#include "pg/pg.h"
#include <stdlib.h>

struct types {
    const struct catalog *c;
    arena *mem;
    struct buf *to;
};

static void put(struct types *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct types *t, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vfmt(t->mem, fmt, ap);
    va_end(ap);
    buf_puts(t->to, s);
}

static void put_string(struct types *t, str s) {
    buf_putc(t->to, '"');
    json_escape(t->to, s);
    buf_putc(t->to, '"');
}
/* As a member's key: quoted where it is no identifier. */
static void put_key(struct types *t, str s) {
    bool plain = s.n > 0;
    for (size_t i = 0; plain && i < s.n; i++) {
        uint8_t c = s.p[i];
        plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' || (i && c >= '0' && c <= '9');
    }
    if (plain) buf_puts(t->to, s);
    else put_string(t, s);
}

/* ---- types ---- */

static const struct {
    uint32_t id;
    const char *is;
} builtin[] = {
    {PG_BOOL, "boolean"},
    {PG_INT2, "number"},
    {PG_INT4, "number"},
    {PG_INT8, "number"},
    {PG_FLOAT4, "number"},
    {PG_FLOAT8, "number"},
    {PG_NUMERIC, "number"},
    {PG_TEXT, "string"},
    {PG_VARCHAR, "string"},
    {PG_BPCHAR, "string"},
    {PG_CITEXT, "string"},
    {PG_VECTOR, "string"},
    {PG_UUID, "string"},
    {PG_BYTEA, "string"},
    {PG_DATE, "string"},
    {PG_TIME, "string"},
    {PG_TIMETZ, "string"},
    {PG_TIMESTAMP, "string"},
    {PG_TIMESTAMPTZ, "string"},
    {PG_JSON, "Json"},
    {PG_JSONB, "Json"},
    {PG_VOID, "undefined"},
    {PG_RECORD, "Record<string, unknown>"},
};

static void put_named(struct types *t, uint32_t schema, const char *kind, str name, const char *part) {
    const struct catalog_schema *s = catalog_schema_of(t->c, schema);
    put(t, "Database["), put_string(t, s ? s->name : STR("public")), put(t, "][\"%s\"][", kind), put_string(t, name),
        put(t, "]%s", part);
}

static void put_catalog_type(struct types *t, const struct catalog_type *type) {
    const struct catalog_relation *r = type->kind == CATALOG_ROW ? catalog_relation_of(t->c, type->relation) : NULL;
    if (type->kind == CATALOG_ENUM) put_named(t, type->schema, "Enums", type->name, "");
    else if (type->kind == CATALOG_COMPOSITE) put_named(t, type->schema, "CompositeTypes", type->name, "");
    else if (r) put_named(t, r->schema, r->kind == CATALOG_TABLE ? "Tables" : "Views", r->name, "[\"Row\"]");
    else put(t, "unknown");
}
/* A domain is as what it is made of. */
static uint32_t base_of(const struct catalog *c, uint32_t id) {
    const struct catalog_type *type = catalog_type_of(c, id);
    while (type && type->kind == CATALOG_DOMAIN && type->id == id) type = catalog_type_of(c, id = type->base);
    return id;
}
static void put_type(struct types *t, uint32_t of) {
    uint32_t id = base_of(t->c, of);
    const struct pg_type *own = pg_type_by_id(id);
    const struct catalog_type *type = catalog_type_of(t->c, id);
    for (size_t i = 0; i < ARRAY_COUNT(builtin); i++)
        if (builtin[i].id == id) {
            put(t, "%s", builtin[i].is);
            return;
        }
    if (own && own->category == 'A' && own->element) put_type(t, own->element), put(t, "[]");
    else if (own || !type) put(t, "unknown");
    else if (type->kind == CATALOG_DOMAIN) put_type(t, type->base), put(t, "[]");
    else put_catalog_type(t, type), put(t, "%s", type->array == id ? "[]" : "");
}

/* ---- what is sorted by name ---- */

static int by_column(const void *a, const void *b) {
    return str_cmp((*(const struct catalog_column *const *)a)->name, (*(const struct catalog_column *const *)b)->name);
}
static const struct catalog_column **columns_of(struct types *t, const struct catalog_relation *r) {
    const struct catalog_column **list = (const struct catalog_column **)(void *)arena_array(t->mem, void *, r->columns.n + 1);
    for (uint32_t i = 0; i < r->columns.n; i++) list[i] = &r->columns.p[i];
    qsort((void *)list, r->columns.n, sizeof *list, by_column);
    return list;
}

/* ---- tables ---- */

static void put_row(struct types *t, const struct catalog_relation *r, const char *margin) {
    const struct catalog_column **list = columns_of(t, r);
    for (uint32_t i = 0; i < r->columns.n; i++) {
        put(t, "%s", margin), put_key(t, list[i]->name), put(t, ": "), put_type(t, list[i]->type);
        put(t, "%s\n", list[i]->not_null ? "" : " | null");
    }
}

/* What may be left out: what has a value of its own, or may be null; in an update all. */
static void put_given(struct types *t, const struct catalog_relation *r, bool update) {
    const struct catalog_column **list = columns_of(t, r);
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *k = list[i];
        bool optional = update || !k->not_null || k->identity || k->default_value.source.n;
        put(t, "          "), put_key(t, k->name);
        if (k->identity == CATALOG_IDENTITY_ALWAYS || k->generated) {
            put(t, "?: never\n");
            continue;
        }
        put(t, "%s: ", optional ? "?" : ""), put_type(t, k->type), put(t, "%s\n", k->not_null ? "" : " | null");
    }
}

static bool same_columns(const catalog_ids *a, const catalog_ids *b) {
    bool same = a->n == b->n;
    for (uint32_t i = 0; same && i < a->n; i++) same = catalog_ids_have(b, a->p[i]);
    return same;
}
/* No two rows lead to the same one: its columns are unique. */
static bool is_one_to_one(const struct catalog_relation *r, const struct catalog_constraint *key) {
    for (uint32_t i = 0; i < r->constraints.n; i++) {
        const struct catalog_constraint *k = &r->constraints.p[i];
        if ((k->kind == CATALOG_PRIMARY || k->kind == CATALOG_UNIQUE) && same_columns(&k->columns, &key->columns)) return true;
    }
    return false;
}
static void put_columns(struct types *t, const struct catalog_relation *r, const catalog_ids *numbers) {
    put(t, "[");
    for (uint32_t i = 0; i < numbers->n; i++) {
        const struct catalog_column *k = catalog_column_of(r, numbers->p[i]);
        put(t, "%s", i ? ", " : ""), put_string(t, k ? k->name : (str){0});
    }
    put(t, "]\n");
}
static void put_relationships(struct types *t, const struct catalog_relation *r) {
    bool any = false;
    for (uint32_t i = 0; i < r->constraints.n; i++) { /* by name, as they are */
        const struct catalog_constraint *k = &r->constraints.p[i];
        const struct catalog_relation *to = k->kind == CATALOG_FOREIGN ? catalog_relation_of(t->c, k->reference) : NULL;
        if (!to || to->schema != r->schema) continue;
        put(t, "%s          {\n            foreignKeyName: ", any ? "" : "        Relationships: [\n"), put_string(t, k->name);
        put(t, "\n            columns: "), put_columns(t, r, &k->columns);
        put(t, "            isOneToOne: %s\n            referencedRelation: ", is_one_to_one(r, k) ? "true" : "false");
        put_string(t, to->name), put(t, "\n            referencedColumns: "), put_columns(t, to, &k->reference_columns);
        put(t, "          },\n");
        any = true;
    }
    put(t, "%s", any ? "        ]\n" : "        Relationships: []\n");
}

static void put_relation(struct types *t, const struct catalog_relation *r) {
    put(t, "      "), put_key(t, r->name), put(t, ": {\n        Row: {\n");
    put_row(t, r, "          ");
    put(t, "        }\n");
    if (r->kind == CATALOG_TABLE) {
        put(t, "        Insert: {\n"), put_given(t, r, false);
        put(t, "        }\n        Update: {\n"), put_given(t, r, true);
        put(t, "        }\n");
    }
    put_relationships(t, r);
    put(t, "      }\n");
}

static int by_relation(const void *a, const void *b) {
    return str_cmp((*(const struct catalog_relation *const *)a)->name, (*(const struct catalog_relation *const *)b)->name);
}
static void put_relations(struct types *t, uint32_t schema, bool tables) {
    const struct catalog_relation **list =
        (const struct catalog_relation **)(void *)arena_array(t->mem, void *, t->c->relations.n + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->c->relations.n; i++) {
        const struct catalog_relation *r = &t->c->relations.p[i];
        if (r->schema == schema && (r->kind == CATALOG_TABLE) == tables) list[n++] = r;
    }
    qsort((void *)list, n, sizeof *list, by_relation);
    put(t, "    %s: {\n", tables ? "Tables" : "Views");
    for (uint32_t i = 0; i < n; i++) put_relation(t, list[i]);
    put(t, "%s    }\n", n ? "" : "      [_ in never]: never\n");
}

/* ---- functions ---- */

static int by_argument(const void *a, const void *b) {
    return str_cmp((*(const struct catalog_argument *const *)a)->name, (*(const struct catalog_argument *const *)b)->name);
}
static void put_arguments(struct types *t, const struct catalog_function *f) {
    const struct catalog_argument **list =
        (const struct catalog_argument **)(void *)arena_array(t->mem, void *, f->arguments.n + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->name.n && a->mode != CATALOG_OUT && a->mode != CATALOG_TABLE_COLUMN) list[n++] = a;
    }
    qsort((void *)list, n, sizeof *list, by_argument);
    if (!n) put(t, "Args: never");
    else put(t, "Args: { ");
    for (uint32_t i = 0; i < n; i++) {
        put(t, "%s", i ? "; " : ""), put_key(t, list[i]->name), put(t, "%s: ", list[i]->default_value.source.n ? "?" : "");
        put_type(t, list[i]->type);
    }
    if (n) put(t, " }");
}

static const struct catalog_relation *row_of(const struct types *t, const struct catalog_function *f) {
    const struct catalog_type *type = catalog_type_of(t->c, f->returns);
    return type && type->kind == CATALOG_ROW ? catalog_relation_of(t->c, type->relation) : NULL;
}
static void put_returns(struct types *t, const struct catalog_function *f) {
    const struct catalog_relation *r = row_of(t, f);
    bool outs = false;
    for (uint32_t i = 0; i < f->arguments.n; i++) outs |= f->arguments.p[i].mode == CATALOG_TABLE_COLUMN;
    put(t, "          Returns: ");
    if (r || outs) {
        put(t, "{\n");
        if (r) put_row(t, r, "            ");
        for (uint32_t i = 0; i < f->arguments.n && !r; i++) {
            const struct catalog_argument *a = &f->arguments.p[i];
            if (a->mode != CATALOG_TABLE_COLUMN) continue;
            put(t, "            "), put_key(t, a->name), put(t, ": "), put_type(t, a->type), put(t, "\n");
        }
        put(t, "          }");
    } else {
        put_type(t, f->returns);
    }
    put(t, "%s\n", f->set ? "[]" : "");
}

static int by_function(const void *a, const void *b) {
    const struct catalog_function *x = *(const struct catalog_function *const *)a,
                                  *y = *(const struct catalog_function *const *)b;
    int order = str_cmp(x->name, y->name);
    return order ? order : x->id < y->id ? -1 : x->id > y->id;
}
/* Those of one name are alternatives. */
static void put_functions(struct types *t, uint32_t schema) {
    const struct catalog_function **list =
        (const struct catalog_function **)(void *)arena_array(t->mem, void *, t->c->functions.n + 1);
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->c->functions.n; i++) {
        const struct catalog_function *f = &t->c->functions.p[i];
        if (f->schema == schema && f->returns != PG_TRIGGER && f->returns != PG_EVENT_TRIGGER && !f->window) list[n++] = f;
    }
    qsort((void *)list, n, sizeof *list, by_function);
    put(t, "    Functions: {\n");
    for (uint32_t i = 0; i < n; i++) {
        bool first = !i || !str_eq(list[i - 1]->name, list[i]->name),
             last = i + 1 == n || !str_eq(list[i + 1]->name, list[i]->name);
        if (first) put(t, "      "), put_key(t, list[i]->name), put(t, ": %s{\n          ", last ? "" : "\n        | ");
        else put(t, "        | {\n          ");
        put_arguments(t, list[i]), put(t, "\n"), put_returns(t, list[i]), put(t, "        }\n");
    }
    put(t, "%s    }\n", n ? "" : "      [_ in never]: never\n");
}

/* ---- enums, composites ---- */

static int by_type(const void *a, const void *b) {
    return str_cmp((*(const struct catalog_type *const *)a)->name, (*(const struct catalog_type *const *)b)->name);
}
static const struct catalog_type **types_of(struct types *t, uint32_t schema, uint8_t kind, uint32_t *n) {
    const struct catalog_type **list = (const struct catalog_type **)(void *)arena_array(t->mem, void *, t->c->types.n + 1);
    *n = 0;
    for (uint32_t i = 0; i < t->c->types.n; i++)
        if (t->c->types.p[i].schema == schema && t->c->types.p[i].kind == kind) list[(*n)++] = &t->c->types.p[i];
    qsort((void *)list, *n, sizeof *list, by_type);
    return list;
}
static void put_labels(struct types *t, const struct catalog_type *type, const char *between) {
    for (uint32_t k = 0; k < type->labels.n; k++) put(t, "%s", k ? between : ""), put_string(t, type->labels.p[k].name);
}
static void put_types(struct types *t, uint32_t schema) {
    uint32_t n;
    const struct catalog_type **list = types_of(t, schema, CATALOG_ENUM, &n);
    put(t, "    Enums: {\n");
    for (uint32_t i = 0; i < n; i++)
        put(t, "      "), put_key(t, list[i]->name), put(t, ": "), put_labels(t, list[i], " | "), put(t, "\n");
    put(t, "%s    }\n    CompositeTypes: {\n", n ? "" : "      [_ in never]: never\n");
    list = types_of(t, schema, CATALOG_COMPOSITE, &n);
    for (uint32_t i = 0; i < n; i++) {
        put(t, "      "), put_key(t, list[i]->name), put(t, ": {\n");
        for (uint32_t k = 0; k < list[i]->fields.n; k++) {
            put(t, "        "), put_key(t, list[i]->fields.p[k].name), put(t, ": ");
            put_type(t, list[i]->fields.p[k].type), put(t, " | null\n");
        }
        put(t, "      }\n");
    }
    put(t, "%s    }\n", n ? "" : "      [_ in never]: never\n");
}

/* ---- the whole ---- */

/* Names for parts of a schema: of public by the name alone, of another with { schema: "other" } before it. */
static const char helpers[] =
    "\n"
    "type Schemas = Omit<Database, \"__InternalSupabase\">\n"
    "type Public = Schemas[Extract<keyof Schemas, \"public\">]\n"
    "type In<Where, Part extends string> = Where extends { schema: infer Schema extends keyof Schemas }\n"
    "  ? Part extends keyof Schemas[Schema] ? Schemas[Schema][Part] : never\n"
    "  : never\n"
    "type Readable<Where> = In<Where, \"Tables\"> & In<Where, \"Views\">\n"
    "type Of<All, Name, Part extends string> = Name extends keyof All\n"
    "  ? All[Name] extends { [_ in Part]: infer Shape } ? Shape : never\n"
    "  : never\n"
    "\n"
    "export type Tables<\n"
    "  Where extends keyof (Public[\"Tables\"] & Public[\"Views\"]) | { schema: keyof Schemas },\n"
    "  Name extends Where extends { schema: keyof Schemas } ? keyof Readable<Where> : never = never,\n"
    "> = Where extends { schema: keyof Schemas }\n"
    "  ? Of<Readable<Where>, Name, \"Row\">\n"
    "  : Of<Public[\"Tables\"] & Public[\"Views\"], Where, \"Row\">\n"
    "\n"
    "export type TablesInsert<\n"
    "  Where extends keyof Public[\"Tables\"] | { schema: keyof Schemas },\n"
    "  Name extends Where extends { schema: keyof Schemas } ? keyof In<Where, \"Tables\"> : never = never,\n"
    "> = Where extends { schema: keyof Schemas }\n"
    "  ? Of<In<Where, \"Tables\">, Name, \"Insert\">\n"
    "  : Of<Public[\"Tables\"], Where, \"Insert\">\n"
    "\n"
    "export type TablesUpdate<\n"
    "  Where extends keyof Public[\"Tables\"] | { schema: keyof Schemas },\n"
    "  Name extends Where extends { schema: keyof Schemas } ? keyof In<Where, \"Tables\"> : never = never,\n"
    "> = Where extends { schema: keyof Schemas }\n"
    "  ? Of<In<Where, \"Tables\">, Name, \"Update\">\n"
    "  : Of<Public[\"Tables\"], Where, \"Update\">\n"
    "\n"
    "export type Enums<\n"
    "  Where extends keyof Public[\"Enums\"] | { schema: keyof Schemas },\n"
    "  Name extends Where extends { schema: keyof Schemas } ? keyof In<Where, \"Enums\"> : never = never,\n"
    "> = Where extends { schema: keyof Schemas }\n"
    "  ? In<Where, \"Enums\">[Name]\n"
    "  : Where extends keyof Public[\"Enums\"] ? Public[\"Enums\"][Where] : never\n"
    "\n"
    "export type CompositeTypes<\n"
    "  Where extends keyof Public[\"CompositeTypes\"] | { schema: keyof Schemas },\n"
    "  Name extends Where extends { schema: keyof Schemas } ? keyof In<Where, \"CompositeTypes\"> : never = never,\n"
    "> = Where extends { schema: keyof Schemas }\n"
    "  ? In<Where, \"CompositeTypes\">[Name]\n"
    "  : Where extends keyof Public[\"CompositeTypes\"] ? Public[\"CompositeTypes\"][Where] : never\n"
    "\n";

static bool is_shown(const struct catalog_schema *s) { return !s->platform || str_eqc(s->name, "public"); }

static void put_constants(struct types *t) {
    put(t, "export const Constants = {\n");
    for (uint32_t i = 0; i < t->c->schemas.n; i++) {
        uint32_t n;
        if (!is_shown(&t->c->schemas.p[i])) continue;
        const struct catalog_type **list = types_of(t, t->c->schemas.p[i].id, CATALOG_ENUM, &n);
        put(t, "  "), put_key(t, t->c->schemas.p[i].name), put(t, ": {\n    Enums: {\n");
        for (uint32_t k = 0; k < n; k++)
            put(t, "      "), put_key(t, list[k]->name), put(t, ": ["), put_labels(t, list[k], ", "), put(t, "],\n");
        put(t, "    },\n  },\n");
    }
    put(t, "} as const\n");
}

void node_db_typescript(const struct catalog *c, struct buf *to) {
    struct types t = {.c = c, .mem = arena_new(0), .to = to};
    put(&t, "export type Json =\n  | string\n  | number\n  | boolean\n  | null\n  | { [key: string]: Json | undefined }\n  | "
            "Json[]\n\n");
    put(&t, "export type Database = {\n  // what createClient is told of the REST interface that answers\n");
    put(&t, "  __InternalSupabase: {\n    PostgrestVersion: \"12\"\n  }\n");
    for (uint32_t i = 0; i < c->schemas.n; i++) {
        const struct catalog_schema *s = &c->schemas.p[i];
        if (!is_shown(s)) continue;
        put(&t, "  "), put_key(&t, s->name), put(&t, ": {\n");
        put_relations(&t, s->id, true), put_relations(&t, s->id, false), put_functions(&t, s->id), put_types(&t, s->id);
        put(&t, "  }\n");
    }
    put(&t, "}\n");
    buf_puts(to, str_c(helpers));
    put_constants(&t);
    arena_free(t.mem);
}
