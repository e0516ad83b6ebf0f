/* types: PostgreSQL's types by name and by id, the built-in ones (pg) and the catalogue's as one. */
#include <stdlib.h>

#include "sql/translate_int.h"

/* ---- by id ---- */

static void set_name(char *to, size_t size, str name) {
    size_t n = MIN(name.n, size - 1);
    if (n) memcpy(to, name.p, n);
    to[n] = 0;
}

/* Of what the catalogue has. An array of it: JSON text, in the order of the elements. */
static const struct pg_type *own_type(struct sql_context *cx, const struct catalog_type *t, bool is_array) {
    static const enum pg_kind kinds[] = {[CATALOG_ENUM] = PG_KIND_ENUM,
                                         [CATALOG_DOMAIN] = PG_KIND_DOMAIN,
                                         [CATALOG_COMPOSITE] = PG_KIND_COMPOSITE,
                                         [CATALOG_ROW] = PG_KIND_COMPOSITE};
    struct pg_type *p = arena_make(cx->mem, struct pg_type);
    const struct pg_type *base = t->kind == CATALOG_DOMAIN ? sql_type_of(cx, t->base) : NULL;
    p->category = t->kind == CATALOG_ENUM ? 'E' : base ? base->category : 'C';
    p->storage = t->kind == CATALOG_ENUM ? PG_STORED_INTEGER : base ? base->storage : PG_STORED_TEXT;
    p->kind = kinds[t->kind];
    p->id = t->id;
    p->array = t->array;
    if (base) {
        p->base = t->base;
        p->typmod = base->typmod;
        set_name(p->collation, sizeof p->collation, str_c(base->collation));
    }
    set_name(p->name, sizeof p->name, t->name);
    set_name(p->sql, sizeof p->sql, t->name);
    if (!is_array) return p;
    struct pg_type *a = arena_make(cx->mem, struct pg_type);
    bool text = p->storage == PG_STORED_TEXT || p->storage == PG_STORED_BLOB;
    *a = (struct pg_type){.id = t->array, .element = t->id, .kind = PG_KIND_ARRAY, .storage = PG_STORED_TEXT, .category = 'A'};
    set_name(a->collation, sizeof a->collation,
             arena_fmt(cx->mem, "array_%s",
                       p->collation[0] ? p->collation
                       : text          ? "text"
                                       : "num"));
    set_name(a->name, sizeof a->name, arena_fmt(cx->mem, "_%s", p->name));
    return a;
}

const struct pg_type *sql_type_of(struct sql_context *cx, uint32_t id) {
    const struct pg_type *built_in = pg_type_by_id(id);
    if (built_in) return built_in;
    const struct catalog_type *t = cx->catalog ? catalog_type_of(cx->catalog, id) : NULL;
    return t ? own_type(cx, t, id == t->array && id != t->id) : NULL;
}

uint32_t sql_base_type(struct sql_context *cx, uint32_t type) {
    for (int i = 0; i < 32 && type >= PG_OWN_MIN; i++) {
        const struct pg_type *t = sql_type_of(cx, type);
        if (!t || t->kind != PG_KIND_DOMAIN) break;
        type = t->base;
    }
    return type;
}

uint32_t sql_element_type(struct sql_context *cx, uint32_t type) {
    const struct pg_type *t = sql_type_of(cx, sql_base_type(cx, type));
    return t && t->kind == PG_KIND_ARRAY ? t->element : 0;
}

uint32_t sql_array_type(struct sql_context *cx, uint32_t type) {
    const struct pg_type *t = sql_type_of(cx, type);
    return t && t->kind != PG_KIND_ARRAY ? t->array : 0;
}

char sql_type_category(struct sql_context *cx, uint32_t type, bool *preferred) {
    const struct pg_type *t = sql_type_of(cx, type);
    if (preferred) *preferred = t && t->preferred;
    if (type == PG_UNKNOWN) return 'X';
    return t ? t->category : 'P';
}

const char *sql_type_collation(struct sql_context *cx, uint32_t type) {
    const struct pg_type *t = sql_type_of(cx, type);
    return t ? t->collation : "";
}

str sql_collate(struct sql_context *cx, uint32_t type) {
    const char *name = sql_type_collation(cx, type);
    return name[0] ? sql_fmt(cx, " collate %s", name) : (str){0};
}

static bool has_collation(str text) {
    static const char *const words[] = {" collate ", " COLLATE "}; /* of this room, and of the pg room */
    for (size_t i = 0; text.n && i < ARRAY_COUNT(words); i++)
        if (memmem(text.p, text.n, words[i], strlen(words[i]))) return true;
    return false;
}

void sql_shield(struct sql_context *cx, struct sql_value *v) {
    const struct pg_type *t = v->row ? NULL : sql_type_of(cx, v->type);
    if (!t || t->storage != PG_STORED_TEXT || t->collation[0] || !has_collation(v->text)) return;
    v->text = sql_fmt(cx, "(" STR_FMT " collate binary)", STR_ARG(v->text));
    v->flags &= ~(uint32_t)SQL_CONSTANT;
}

bool sql_is_polymorphic(uint32_t type) {
    switch (type) {
    case PG_ANYELEMENT:
    case PG_ANYARRAY:
    case PG_ANYNONARRAY:
    case PG_ANYENUM:
    case PG_ANYCOMPATIBLE:
    case PG_ANYCOMPATIBLEARRAY:
    case PG_ANYCOMPATIBLENONARRAY: return true;
    default: return false;
    }
}

bool sql_is_row_type(struct sql_context *cx, uint32_t type) {
    if (type == PG_RECORD) return true;
    const struct pg_type *t = type >= PG_OWN_MIN ? sql_type_of(cx, type) : NULL;
    return t && t->kind == PG_KIND_COMPOSITE;
}

/* ---- as text ---- */

static bool needs_quotes(str name) {
    if (!name.n || (name.p[0] >= '0' && name.p[0] <= '9')) return true;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) return true;
    }
    return false;
}

static str identifier(struct sql_context *cx, str name) { return needs_quotes(name) ? sql_quoted(cx->mem, name) : name; }

static bool in_path(const struct sql_context *cx, str schema) {
    for (uint32_t i = 0; i < cx->path_count; i++)
        if (str_eq(cx->path[i], schema)) return true;
    return false;
}

static str own_type_text(struct sql_context *cx, const struct catalog_type *t) {
    const struct catalog_schema *s = catalog_schema_of(cx->catalog, t->schema);
    if (!s || in_path(cx, s->name)) return identifier(cx, t->name);
    str schema = identifier(cx, s->name), name = identifier(cx, t->name);
    return sql_fmt(cx, STR_FMT "." STR_FMT, STR_ARG(schema), STR_ARG(name));
}

str sql_type_name(struct sql_context *cx, uint32_t type) {
    const struct pg_type *t = pg_type_by_id(type);
    if (t) return str_c(t->sql);
    const struct catalog_type *own = cx->catalog ? catalog_type_of(cx->catalog, type) : NULL;
    if (!own) return sql_fmt(cx, "???");
    str name = own_type_text(cx, own);
    return type == own->id ? name : sql_fmt(cx, STR_FMT "[]", STR_ARG(name));
}

/* ---- by name ---- */

/* Through the search path, pg_catalog first. */
static uint32_t find_named(struct sql_context *cx, str schema, str name) {
    if (!schema.n || str_eqc(schema, "pg_catalog") || str_eqc(schema, "extensions")) {
        const struct pg_type *t = pg_type_by_name(name);
        if (t && t->kind != PG_KIND_ARRAY && t->name[0] && str_eqc(name, t->name)) return t->id;
        if (t && t->kind == PG_KIND_ARRAY && str_eqc(name, t->name)) return t->id;
    }
    if (!cx->catalog) return 0;
    const struct catalog_type *t = NULL;
    if (schema.n) {
        t = catalog_type_named(cx->catalog, schema, name);
    } else {
        for (uint32_t i = 0; i < cx->path_count && !t; i++) t = catalog_type_named(cx->catalog, cx->path[i], name);
    }
    if (t) return t->id;
    /* an extension's type, by whatever schema it was put into */
    if (schema.n && str_eqc(name, "citext")) return PG_CITEXT;
    if (schema.n && str_eqc(name, "vector")) return PG_VECTOR;
    return 0;
}

static err typmod_of(struct sql_context *cx, const PgQuery__TypeName *name, uint32_t type, int32_t *typmod) {
    int32_t numbers[4];
    uint32_t n = 0;
    for (size_t i = 0; i < name->n_typmods; i++) {
        const PgQuery__Node *m = name->typmods[i];
        bool number = m->node_case == PG_QUERY__NODE__NODE_A_CONST && m->a_const->val_case == PG_QUERY__A__CONST__VAL_IVAL;
        if (!number || n == ARRAY_COUNT(numbers))
            return sql_refuse(cx, name->location, "42601", "type modifiers must be simple constants or identifiers");
        numbers[n++] = m->a_const->ival->ival;
    }
    struct pg_error error = {0};
    struct pg_session session = {0};
    struct pg_call call = {.mem = cx->mem, .session = &session, .error = &error};
    if (pg_typmod_in(&call, type, numbers, n, typmod)) return ERR_OK;
    if (!error.set)
        return sql_refuse(cx, name->location, "42601", "type modifier is not allowed for type \"" STR_FMT "\"",
                          STR_ARG(sql_type_name(cx, type)));
    return sql_refuse(cx, name->location, error.state, "%s", error.message);
}

/* Of an extension that is not there: whatever its modifiers say (sql_absent_type). */
static bool is_absent(struct sql_context *cx, uint32_t type) {
    const struct catalog_type *t = type >= PG_OWN_MIN && cx->catalog ? catalog_type_of(cx->catalog, type) : NULL;
    return t && t->kind == CATALOG_DOMAIN && t->platform;
}

static str written(struct sql_context *cx, const PgQuery__TypeName *name) {
    str parts[4];
    uint32_t n = 0;
    for (size_t i = 0; i < name->n_names && n < 4; i++) parts[n++] = sql_name_of(name->names[i]);
    return sql_joined(cx, parts, n, ".");
}

err sql_type_named(struct sql_context *cx, const PgQuery__TypeName *name, uint32_t *type, int32_t *typmod) {
    *typmod = -1;
    if (name->pct_type) return sql_unsupported(cx, name->location, "%TYPE", "Write the column's type.");
    if (name->n_names < 1 || name->n_names > 3)
        return sql_refuse(cx, name->location, "42601", "improper qualified name (too many dotted names): " STR_FMT,
                          STR_ARG(written(cx, name)));
    str last = sql_name_of(name->names[name->n_names - 1]);
    str schema = name->n_names > 1 ? sql_name_of(name->names[name->n_names - 2]) : (str){0};
    *type = find_named(cx, schema, last);
    if (!*type) {
        if (schema.n && cx->catalog && !str_eqc(schema, "pg_catalog") && !catalog_schema_named(cx->catalog, schema))
            return sql_refuse(cx, name->location, "3F000", "schema \"" STR_FMT "\" does not exist", STR_ARG(schema));
        return sql_refuse(cx, name->location, "42704", "type \"" STR_FMT "\" does not exist", STR_ARG(written(cx, name)));
    }
    const struct pg_type *t = sql_type_of(cx, *type);
    if (t->kind == PG_KIND_REFUSED)
        return sql_unsupported(cx, name->location, (const char *)sql_fmt(cx, "type %s", t->sql).p,
                               "Use another type, or database = \"postgres\".");
    if (name->n_typmods && !is_absent(cx, *type)) TRY(typmod_of(cx, name, *type, typmod));
    if (!name->n_array_bounds) return ERR_OK;
    uint32_t array = sql_array_type(cx, *type);
    if (!array)
        return sql_refuse(cx, name->location, "42704", "could not find array type for data type " STR_FMT,
                          STR_ARG(sql_type_name(cx, *type)));
    *type = array;
    return ERR_OK;
}

void sql_names_schema(struct sql_context *cx, str schema) {
    const struct catalog_schema *s = schema.n && cx->catalog ? catalog_schema_named(cx->catalog, schema) : NULL;
    if (s && !catalog_ids_have(&cx->schemas, s->id)) vec_push(cx->mem, &cx->schemas, s->id);
}

const struct catalog_relation *sql_relation_named(const struct sql_context *cx, str schema, str name) {
    if (schema.n) return catalog_relation_named(cx->catalog, schema, name);
    for (uint32_t i = 0; i < cx->path_count; i++) {
        const struct catalog_relation *r = catalog_relation_named(cx->catalog, cx->path[i], name);
        if (r) return r;
    }
    return NULL;
}

/* ---- for pg_value_in and its kin ---- */

static const struct pg_type *types_by_id(void *arg, uint32_t id) { return sql_type_of(arg, id); }

static const struct pg_type *types_by_name(void *arg, str schema, str name) {
    uint32_t id = find_named(arg, schema, name);
    return id ? sql_type_of(arg, id) : NULL;
}

static bool types_enum_sort(void *arg, uint32_t type, str label, int64_t *sort) {
    struct sql_context *cx = arg;
    const struct catalog_type *t = catalog_type_of(cx->catalog, type);
    const struct catalog_label *l = t && t->kind == CATALOG_ENUM ? catalog_label_named(t, label) : NULL;
    if (l) *sort = l->sort;
    return l != NULL;
}

static bool types_enum_label(void *arg, uint32_t type, int64_t sort, str *label) {
    struct sql_context *cx = arg;
    const struct catalog_type *t = catalog_type_of(cx->catalog, type);
    const struct catalog_label *l = t && t->kind == CATALOG_ENUM ? catalog_label_stored(t, sort) : NULL;
    if (l) *label = l->name;
    return l != NULL;
}

static bool types_enum_nth(void *arg, uint32_t type, uint32_t index, int64_t *sort, str *label) {
    struct sql_context *cx = arg;
    const struct catalog_type *t = catalog_type_of(cx->catalog, type);
    if (!t || t->kind != CATALOG_ENUM || index >= t->labels.n) return false;
    *sort = t->labels.p[index].sort;
    *label = t->labels.p[index].name;
    return true;
}

static bool types_field(void *arg, uint32_t type, uint32_t index, struct pg_field *out) {
    const struct catalog_type *t = catalog_type_of(((struct sql_context *)arg)->catalog, type);
    if (!t || t->kind != CATALOG_COMPOSITE || index >= t->fields.n) return false;
    *out = (struct pg_field){t->fields.p[index].name, t->fields.p[index].type, t->fields.p[index].typmod};
    return true;
}

void sql_types_of(struct sql_context *cx, struct pg_types *out) {
    *out = (struct pg_types){cx, types_by_id, types_by_name, types_enum_sort, types_enum_label, types_enum_nth, types_field};
}
