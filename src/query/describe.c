/* describe: what of a schema a role may use, as JSON: what OpenAPI, and whoever makes clients, are made of.
 *
 *   {"schema", "comment", "tables": [{"name", "comment", "kind", "select", "insert", "update", "delete", "key": […], "columns": [{"name", "type", "format",
 *    "comment", "nullable", "default", "key", "references": {"table", "column"}, "enum": […]}]}], "functions": [{"name", "comment", "volatile", "set",
 *    "returns", "arguments": [{"name", "type", "required", "variadic"}]}]}
 *
 * Of one name: what is called so alone.
 */
#include "query/query_int.h"

struct describe {
    const struct catalog *c;
    const struct pg_types *types;
    struct json_writer w;
    uint32_t role;
    str schema;
};

static void put_type(struct describe *d, uint32_t id) {
    const struct pg_type *t = query_type_of(d->types, id);
    const struct catalog_type *own = id >= PG_OWN_MIN ? catalog_type_of(d->c, id) : NULL;
    const struct catalog_schema *s = own ? catalog_schema_of(d->c, own->schema) : NULL;
    uint32_t base = query_type_base(d->types, id);
    const struct pg_type *b = query_type_of(d->types, base);
    struct buf name = {0};
    if (s && !str_eqc(s->name, "pg_catalog")) buf_printf(&name, STR_FMT ".", STR_ARG(s->name));
    buf_printf(&name, "%s", t ? t->sql : "unknown");
    json_put_str(&d->w, "format", buf_str(&name));
    json_put_cstr(&d->w, "type", b ? b->sql : "unknown");
    buf_free(&name);
    if (!own || own->kind != CATALOG_ENUM || own->id != id) return;
    json_put_array(&d->w, "enum");
    for (uint32_t i = 0; i < own->labels.n; i++) json_put_str(&d->w, NULL, own->labels.p[i].name);
    json_put_end(&d->w);
}

static void put_comment(struct describe *d, str comment) {
    if (comment.n) json_put_str(&d->w, "comment", comment);
}

/* ---- relations ---- */

static const struct catalog_constraint *foreign_of(const struct catalog_relation *of, uint16_t number) {
    for (uint32_t i = 0; i < of->constraints.n; i++) {
        const struct catalog_constraint *k = &of->constraints.p[i];
        if (k->kind == CATALOG_FOREIGN && k->columns.n == 1 && k->columns.p[0] == number) return k;
    }
    return NULL;
}

static void put_column(struct describe *d, const struct catalog_relation *of, const struct catalog_column *c) {
    const struct catalog_constraint *key = catalog_primary_key(of), *foreign = foreign_of(of, c->number);
    const struct catalog_relation *to = foreign ? catalog_relation_of(d->c, foreign->reference) : NULL;
    const struct catalog_column *at =
        to && foreign->reference_columns.n ? catalog_column_of(to, foreign->reference_columns.p[0]) : NULL;
    json_put_object(&d->w, NULL);
    json_put_str(&d->w, "name", c->name);
    put_comment(d, c->comment);
    put_type(d, c->type);
    if (c->type == PG_VARCHAR || c->type == PG_BPCHAR)
        if (c->typmod > 4) json_put_i64(&d->w, "max", c->typmod - 4);
    json_put_bool(&d->w, "nullable", !c->not_null);
    if (c->default_value.source.n) json_put_str(&d->w, "default", c->default_value.source);
    json_put_bool(&d->w, "given", c->default_value.source.n || c->identity || c->generated);
    json_put_bool(&d->w, "key", key && catalog_ids_have(&key->columns, c->number));
    if (at) {
        json_put_object(&d->w, "references");
        json_put_str(&d->w, "table", to->name);
        json_put_str(&d->w, "column", at->name);
        json_put_end(&d->w);
    }
    json_put_end(&d->w);
}

static bool has_instead(const struct catalog_relation *of, uint32_t when) {
    for (uint32_t i = 0; i < of->triggers.n; i++)
        if ((of->triggers.p[i].when & CATALOG_TRIGGER_INSTEAD) && (of->triggers.p[i].when & when)) return true;
    return false;
}

static void put_may(struct describe *d, const struct catalog_relation *of) {
    static const struct {
        const char *name;
        uint32_t privilege, when;
    } rows[] = {{"select", CATALOG_SELECT, 0},
                {"insert", CATALOG_INSERT, CATALOG_TRIGGER_INSERT},
                {"update", CATALOG_UPDATE, CATALOG_TRIGGER_UPDATE},
                {"delete", CATALOG_DELETE, CATALOG_TRIGGER_DELETE}};
    static const char *const kinds[] = {"table", "view", "materialized view"};
    json_put_cstr(&d->w, "kind", kinds[of->kind]);
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        bool can = !rows[i].when || of->kind == CATALOG_TABLE || has_instead(of, rows[i].when) ||
                   (of->kind == CATALOG_VIEW && (d->c->engine == CATALOG_POSTGRES ? of->depends.n == 1 : of->base != 0));
        json_put_bool(&d->w, rows[i].name, can && catalog_may_relation(d->c, d->role, of, rows[i].privilege));
    }
}

static void put_relation(struct describe *d, const struct catalog_relation *of) {
    json_put_object(&d->w, NULL);
    json_put_str(&d->w, "name", of->name);
    put_comment(d, of->comment);
    put_may(d, of);
    json_put_bool(&d->w, "key", catalog_primary_key(of) != NULL);
    json_put_array(&d->w, "columns");
    for (uint32_t i = 0; i < of->columns.n; i++)
        if (catalog_may_relation(d->c, d->role, of, CATALOG_SELECT) ||
            catalog_may_column(d->c, d->role, of, &of->columns.p[i], CATALOG_SELECT))
            put_column(d, of, &of->columns.p[i]);
    json_put_end(&d->w);
    json_put_end(&d->w);
}

static bool may_see(const struct describe *d, const struct catalog_relation *of) {
    static const uint32_t any[] = {CATALOG_SELECT, CATALOG_INSERT, CATALOG_UPDATE, CATALOG_DELETE};
    for (size_t i = 0; i < ARRAY_COUNT(any); i++)
        if (catalog_may_relation(d->c, d->role, of, any[i])) return true;
    for (uint32_t i = 0; i < of->columns.n; i++)
        if (catalog_may_column(d->c, d->role, of, &of->columns.p[i], CATALOG_SELECT)) return true;
    return false;
}

/* ---- functions ---- */

static void put_function(struct describe *d, const struct catalog_function *f) {
    const struct pg_type *returns = query_type_of(d->types, f->returns);
    json_put_object(&d->w, NULL);
    json_put_str(&d->w, "name", f->name);
    put_comment(d, f->comment);
    json_put_bool(&d->w, "volatile", f->volatility == CATALOG_IS_VOLATILE);
    json_put_bool(&d->w, "set", f->set);
    json_put_cstr(&d->w, "returns", returns ? returns->sql : "unknown");
    json_put_array(&d->w, "arguments");
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN) continue;
        json_put_object(&d->w, NULL);
        json_put_str(&d->w, "name", a->name);
        put_type(d, a->type);
        json_put_bool(&d->w, "required", !a->default_value.source.n && a->mode != CATALOG_VARIADIC);
        json_put_bool(&d->w, "variadic", a->mode == CATALOG_VARIADIC);
        json_put_end(&d->w);
    }
    json_put_end(&d->w);
    json_put_end(&d->w);
}

static bool is_callable(const struct describe *d, const struct catalog_function *f) {
    enum { TRIGGER = 2279 };
    const struct catalog_schema *s = catalog_schema_of(d->c, f->schema);
    return s && str_eq(s->name, d->schema) && f->returns != TRIGGER && !f->procedure && catalog_may_function(d->c, d->role, f);
}

void query_describe(const struct catalog *c, const struct pg_types *types, const struct query *q, struct buf *to) {
    struct describe d = {c, types, json_writer_of(to), q->role, q->select.schema};
    const struct catalog_schema *schema = catalog_schema_named(c, d.schema);
    str only = q->select.relation;
    bool usable = schema && catalog_may_schema(c, d.role, schema->id, CATALOG_USAGE);
    json_put_object(&d.w, NULL);
    json_put_str(&d.w, "schema", d.schema);
    if (schema) put_comment(&d, schema->comment);
    json_put_array(&d.w, "tables");
    for (uint32_t i = 0; usable && i < c->relations.n; i++) {
        const struct catalog_relation *of = &c->relations.p[i];
        if (of->schema == schema->id && (!only.n || str_eq(of->name, only)) && may_see(&d, of)) put_relation(&d, of);
    }
    json_put_end(&d.w);
    json_put_array(&d.w, "functions");
    for (uint32_t i = 0; usable && i < c->functions.n; i++)
        if (is_callable(&d, &c->functions.p[i]) && (!only.n || str_eq(c->functions.p[i].name, only)))
            put_function(&d, &c->functions.p[i]);
    json_put_end(&d.w);
    json_put_end(&d.w);
}
