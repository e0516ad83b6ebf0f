/* from: what stands in FROM becomes items of the scope, and text.
 *
 *   a table or view     \x01R17\x02 as a1, columns a1."name"          a CTE        w3 as a1, columns a1.c1 …
 *   a subquery          (select …) as a1, columns a1.c1 …             a function   pg_series(1, 3) as a1, columns by its row
 *   a join              left join right on …
 *
 * 1. Items to the left may be named by functions and by LATERAL subqueries, as far as joins allow it. SQLite lets functions do that; a subquery
 *    that does is made the argument of one (sql_lateral_text).
 * 2. A relation's name never stands in the text: it is a mark, which whoever runs the statement expands to what the role may see.
 */
#include "sql/translate_int.h"
#include "system/system.h"

/* ---- items ---- */

static struct sql_item *item_new(struct sql_context *cx, str name, uint32_t columns) {
    struct sql_item *item = arena_make(cx->mem, struct sql_item);
    *item = (struct sql_item){.name = name, .names_columns = true, .names_itself = true, .alias = sql_alias(cx)};
    item->columns = arena_array(cx->mem, struct sql_column, columns + 1);
    return item;
}

static uint64_t level_bit(const struct sql_context *cx) { return cx->scope ? 1ull << cx->scope->level : 0; }

static void add_column(struct sql_context *cx, struct sql_item *item, str name, str storage, uint32_t type, int32_t typmod,
                       bool not_null) {
    struct sql_value v = {
        .type = type, .typmod = typmod, .flags = not_null ? SQL_NOT_NULL : 0, .levels = level_bit(cx), .location = -1};
    v.text = item->alias.n ? sql_fmt(cx, STR_FMT "." STR_FMT, STR_ARG(item->alias), STR_ARG(storage)) : storage;
    item->columns[item->n++] = (struct sql_column){name, v};
}

/* The column that was added last. */
static void came_from(struct sql_item *item, uint32_t relation, uint16_t number) {
    struct sql_value *v = &item->columns[item->n - 1].value;
    if (relation) v->origin = (struct sql_origin){relation, number, v->text.p};
}

str sql_relation_mark(struct sql_context *cx, const struct catalog_relation *r) {
    if (!catalog_ids_have(&cx->reads, r->id)) vec_push(cx->mem, &cx->reads, r->id);
    return sql_fmt(cx,
                   cx->definer ? "\x01"
                                 "B%u\x02"
                               : "\x01"
                                 "R%u\x02",
                   r->id);
}

struct sql_item *sql_item_of_relation(struct sql_context *cx, const struct catalog_relation *r, str name, str alias) {
    struct sql_item *item = item_new(cx, name.n ? name : r->name, r->columns.n);
    const struct catalog_schema *s = catalog_schema_of(cx->catalog, r->schema);
    item->alias = alias;
    item->relation = r;
    if (!name.n && s) item->schema = s->name;
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *c = &r->columns.p[i];
        add_column(cx, item, c->name, sql_quoted(cx->mem, c->storage.n ? c->storage : c->name), c->type, c->typmod, c->not_null);
        if (r->kind == CATALOG_TABLE) came_from(item, r->id, c->number);
        else if (c->from) came_from(item, c->from, c->from_number);
    }
    return item;
}

static err name_columns(struct sql_context *cx, struct sql_item *item, PgQuery__Node *const *names, size_t n) {
    if (n > item->n)
        return sql_refuse(cx, -1, "42P10", "table \"" STR_FMT "\" has %u columns available but %zu columns specified",
                          STR_ARG(item->name), item->n, n);
    for (size_t i = 0; i < n; i++) item->columns[i].name = sql_name_of(names[i]);
    return ERR_OK;
}

static bool is_system_schema(str schema) { return str_eqc(schema, "pg_catalog") || str_eqc(schema, "information_schema"); }

err sql_relation_item(struct sql_context *cx, const PgQuery__RangeVar *var, const struct catalog_relation **relation) {
    str schema = str_c(var->schemaname), name = str_c(var->relname);
    *relation = is_system_schema(schema) ? NULL : sql_relation_named(cx, schema, name);
    if (*relation) return sql_names_schema(cx, schema), ERR_OK;
    if (is_system_schema(schema) || (!schema.n && str_starts(name, STR("pg_"))))
        return sql_unsupported(cx, var->location, "a query of the system's catalogue",
                               "It is the PostgreSQL engine's: database = \"postgres\".");
    if (schema.n)
        return sql_refuse(cx, var->location, "42P01", "relation \"" STR_FMT "." STR_FMT "\" does not exist", STR_ARG(schema),
                          STR_ARG(name));
    return sql_refuse(cx, var->location, "42P01", "relation \"" STR_FMT "\" does not exist", STR_ARG(name));
}

static err cte_item(struct sql_context *cx, const struct sql_cte *cte, str name, struct sql_item **out, str *text) {
    struct sql_item *item = item_new(cx, name, cte->n);
    for (uint32_t i = 0; i < cte->n; i++) {
        add_column(cx, item, cte->columns[i].name, sql_fmt(cx, "c%u", i + 1), cte->columns[i].type, cte->columns[i].typmod,
                   cte->columns[i].not_null);
        came_from(item, cte->columns[i].origin.relation, cte->columns[i].origin.number);
    }
    *text = sql_fmt(cx, STR_FMT " as " STR_FMT, STR_ARG(cte->alias), STR_ARG(item->alias));
    *out = item;
    return ERR_OK;
}

/* select c1 as "oid", … from pg_system(n): the catalogue as it is when the statement runs. */
static err system_item(struct sql_context *cx, const PgQuery__RangeVar *var, const struct system_relation *r, str name,
                       struct sql_item **out, str *text) {
    struct sql_item *item = item_new(cx, name.n ? name : str_c(r->name), r->columns_count);
    VEC(str) list = {0};
    if (cx->migrates && !cx->looks)
        return sql_unsupported(cx, var->location, "a query of the system's catalogue in a migration", "Ask it in a function.");
    cx->looked = true;
    item->schema = name.n ? (str){0} : str_c(r->schema);
    for (uint32_t i = 0; i < r->columns_count; i++) {
        str column = sql_quoted(cx->mem, str_c(r->columns[i].name));
        add_column(cx, item, str_c(r->columns[i].name), column, r->columns[i].type, -1, false);
        vec_push(cx->mem, &list, sql_fmt(cx, "c%u as " STR_FMT, i + 1, STR_ARG(column)));
    }
    *text = sql_fmt(cx, "(select " STR_FMT " from pg_system(%u)) as " STR_FMT, STR_ARG(sql_joined(cx, list.p, list.n, ", ")),
                    system_relation_number(r), STR_ARG(item->alias));
    *out = item;
    return ERR_OK;
}

/* Before all others, as pg_catalog is looked through first. */
static const struct system_relation *system_relation(const PgQuery__RangeVar *var) {
    return system_relation_named(str_c(var->schemaname), str_c(var->relname));
}

static err range_var(struct sql_context *cx, const PgQuery__RangeVar *var, struct sql_item **out, str *text) {
    str alias = var->alias ? str_c(var->alias->aliasname) : (str){0};
    const struct sql_cte *cte = var->schemaname && var->schemaname[0] ? NULL : sql_find_cte(cx, str_c(var->relname));
    if (cte) {
        TRY(cte_item(cx, cte, alias.n ? alias : cte->name, out, text));
    } else if (system_relation(var)) {
        TRY(system_item(cx, var, system_relation(var), alias, out, text));
    } else {
        const struct catalog_relation *r;
        TRY(sql_relation_item(cx, var, &r));
        for (uint32_t i = 0; i < cx->given_n && !cte; i++)
            if (cx->given[i]->relation == r->id) cte = cx->given[i];
        if (cte) {
            TRY(cte_item(cx, cte, alias.n ? alias : r->name, out, text));
            return var->alias ? name_columns(cx, *out, var->alias->colnames, var->alias->n_colnames) : ERR_OK;
        }
        *out = sql_item_of_relation(cx, r, alias, sql_alias(cx));
        *text = sql_fmt(cx, STR_FMT " as " STR_FMT, STR_ARG(sql_relation_mark(cx, r)), STR_ARG((*out)->alias));
    }
    return var->alias ? name_columns(cx, *out, var->alias->colnames, var->alias->n_colnames) : ERR_OK;
}

/* ---- subqueries ---- */

static err subselect(struct sql_context *cx, const PgQuery__RangeSubselect *s, struct sql_item **out, str *text) {
    if (!s->alias) {
        err e = sql_refuse(cx, -1, "42601", "subquery in FROM must have an alias");
        sql_hint(cx, "For example, FROM (SELECT ...) [AS] foo.");
        return e;
    }
    struct sql_part p;
    str body;
    cx->scope->lateral = s->lateral;
    err e = sql_subquery(cx, s->subquery->select_stmt, &p, &body);
    cx->scope->lateral = false;
    TRY(e);
    struct sql_item *item = item_new(cx, str_c(s->alias->aliasname), p.targets.n);
    for (uint32_t i = 0; i < p.targets.n; i++) {
        if (p.targets.p[i].row)
            return sql_unsupported(cx, p.targets.p[i].location, "a row as a column of a subquery",
                                   "Name its columns, or cast it to a type.");
        add_column(cx, item, p.names.p[i], sql_fmt(cx, "c%u", i + 1), p.targets.p[i].type, p.targets.p[i].typmod,
                   p.targets.p[i].flags & SQL_NOT_NULL);
        struct sql_origin origin = sql_value_origin(&p.targets.p[i]);
        came_from(item, origin.relation, origin.number);
    }
    *out = item;
    if (p.flags & SQL_VOLATILE) body = sql_fmt(cx, "with v as materialized (" STR_FMT ") select * from v", STR_ARG(body));
    if (p.levels & level_bit(cx)) {
        TRY(sql_lateral_text(cx, &p, body, item, text));
    } else {
        *text = sql_fmt(cx, "(" STR_FMT ") as " STR_FMT, STR_ARG(body), STR_ARG(item->alias));
    }
    return name_columns(cx, item, s->alias->colnames, s->alias->n_colnames);
}

static enum pg_storage storage_of(struct sql_context *cx, uint32_t type) {
    const struct pg_type *t = sql_type_of(cx, type);
    return t ? t->storage : PG_STORED_TEXT;
}

/* A value as JSON holds it: as it is, or by a call. */
static str as_json(struct sql_context *cx, str text, uint32_t type) {
    enum pg_storage s = storage_of(cx, type);
    const char *call = s == PG_STORED_BLOB ? "hex(" : s == PG_STORED_REAL ? "printf('%!.17g', " : NULL;
    if (!call) return text;
    return sql_fmt(cx, "case when " STR_FMT " is not null then %s" STR_FMT ") end", STR_ARG(text), call, STR_ARG(text));
}

str sql_cell(struct sql_context *cx, str alias, uint32_t index, uint32_t type) {
    enum pg_storage s = storage_of(cx, type);
    str value = sql_fmt(cx, "(" STR_FMT ".value ->> %u)", STR_ARG(alias), index);
    if (s == PG_STORED_BLOB) return sql_fmt(cx, "pg_decode(" STR_FMT ", 'hex')", STR_ARG(value));
    return s == PG_STORED_REAL ? sql_fmt(cx, "cast(" STR_FMT " as real)", STR_ARG(value)) : value;
}

str sql_rows_json(struct sql_context *cx, const struct sql_column *columns, uint32_t n, str from) {
    VEC(str) cells = {0};
    for (uint32_t i = 0; i < n; i++) vec_push(cx->mem, &cells, as_json(cx, columns[i].value.text, columns[i].value.type));
    return sql_fmt(cx, "%u, (select json_group_array(json_array(" STR_FMT ")) from " STR_FMT ")", n,
                   STR_ARG(sql_joined(cx, cells.p, cells.n, ", ")), STR_ARG(from));
}

str sql_zipped(struct sql_context *cx, const str *sets, uint32_t n, str alias) {
    return sql_fmt(cx, "json_each(pg_zip(" STR_FMT ")) as " STR_FMT, STR_ARG(sql_joined(cx, sets, n, ", ")), STR_ARG(alias));
}

/* A subquery that names items to its left gives its rows as an array of arrays of storage forms, which a table function takes apart: that may
 * name them. Bytes go as hexadecimal text, floats with all their digits. */
err sql_lateral_text(struct sql_context *cx, const struct sql_part *p, str body, struct sql_item *item, str *text) {
    VEC(str) cells = {0};
    for (uint32_t i = 0; i < p->targets.n; i++) {
        vec_push(cx->mem, &cells, as_json(cx, sql_fmt(cx, "c%u", i + 1), p->targets.p[i].type));
        item->columns[i].value.text = sql_cell(cx, item->alias, i, p->targets.p[i].type);
    }
    *text = sql_fmt(cx, "json_each((select json_group_array(json_array(" STR_FMT ")) from (" STR_FMT "))) as " STR_FMT,
                    STR_ARG(sql_joined(cx, cells.p, cells.n, ", ")), STR_ARG(body), STR_ARG(item->alias));
    return ERR_OK;
}

/* ---- functions ---- */

/* "key:text value:jsonb": the columns of a set of records; one type alone: the function's name. */
static err set_columns(struct sql_context *cx, const struct pg_function *f, uint32_t result, struct sql_item *item) {
    str rest = str_c(f->columns ? f->columns : ""), one;
    uint32_t count = 1;
    for (size_t i = 0; i < rest.n; i++) count += rest.p[i] == ' ';
    item->columns = arena_array(cx->mem, struct sql_column, count + 2);
    if (!rest.n) { /* json_array_elements and its kin name their column */
        bool named = strstr(f->name, "array_elements");
        add_column(cx, item, named ? STR("value") : item->name, STR("value"), result, -1, false);
        item->is_scalar = true;
        return ERR_OK;
    }
    while (rest.n) {
        str_cut(rest, ' ', &one, &rest);
        str name, type;
        if (!one.n || !str_cut(one, ':', &name, &type)) continue;
        const struct pg_type *t = pg_type_by_name(type);
        if (!t) return ERR_INVALID;
        add_column(cx, item, name, sql_quoted(cx->mem, name), t->id, -1, false);
    }
    return ERR_OK;
}

err sql_builtin_set(struct sql_context *cx, const struct pg_function *f, const struct sql_value *args, uint32_t n,
                    uint32_t result, bool ordinality, struct sql_item *item, str *text) {
    struct sql_value call;
    TRY(sql_apply_how(cx, &f->how, f->flags, args, n, result, -1, false, &call));
    TRY(set_columns(cx, f, result, item));
    if (ordinality) add_column(cx, item, STR("ordinality"), STR("ordinality"), PG_INT8, -1, true);
    *text = sql_fmt(cx, STR_FMT " as " STR_FMT, STR_ARG(call.text), STR_ARG(item->alias));
    return ERR_OK;
}

/* A function of one value: a table of one row. */
static err scalar_item(struct sql_context *cx, const struct sql_value *v, bool ordinality, struct sql_item *item, str *text) {
    uint32_t n = v->row ? v->row->n : 1;
    item->columns = arena_array(cx->mem, struct sql_column, n + 2);
    VEC(str) parts = {0};
    for (uint32_t i = 0; i < n; i++) {
        const struct sql_value *f = v->row ? &v->row->values[i] : v;
        add_column(cx, item, v->row ? v->row->names[i] : item->name, sql_fmt(cx, "c%u", i + 1), f->type, f->typmod,
                   f->flags & SQL_NOT_NULL);
        vec_push(cx->mem, &parts, sql_fmt(cx, STR_FMT " as c%u", STR_ARG(f->text), i + 1));
    }
    item->is_scalar = !v->row;
    if (ordinality) {
        add_column(cx, item, STR("ordinality"), STR("ordinality"), PG_INT8, -1, true);
        vec_push(cx->mem, &parts, STR("1 as ordinality"));
    }
    if (v->levels & level_bit(cx)) { /* what is to its left may be named in what is taken apart */
        VEC(str) cells = {0};
        for (uint32_t i = 0; i < n; i++) {
            const struct sql_value *f = v->row ? &v->row->values[i] : v;
            vec_push(cx->mem, &cells, as_json(cx, f->text, f->type));
            item->columns[i].value.text = sql_cell(cx, item->alias, i, f->type);
        }
        if (ordinality) item->columns[n].value.text = STR("1");
        *text = sql_fmt(cx, "json_each(json_array(json_array(" STR_FMT "))) as " STR_FMT,
                        STR_ARG(sql_joined(cx, cells.p, cells.n, ", ")), STR_ARG(item->alias));
        return ERR_OK;
    }
    *text =
        sql_fmt(cx, "(select " STR_FMT ") as " STR_FMT, STR_ARG(sql_joined(cx, parts.p, parts.n, ", ")), STR_ARG(item->alias));
    return ERR_OK;
}

/* jsonb_to_recordset(j) as t(a int, …) and its kin: a column is a field, as json_populate_record reads it. */
static err record_columns(struct sql_context *cx, PgQuery__Node *const *definitions, size_t n, str value, struct sql_item *item,
                          bool not_null) {
    item->columns = arena_array(cx->mem, struct sql_column, n + 2);
    item->n = 0;
    item->is_scalar = false;
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ColumnDef *d = definitions[i]->column_def;
        uint32_t type;
        int32_t typmod;
        TRY(sql_type_named(cx, d->type_name, &type, &typmod));
        add_column(cx, item, str_c(d->colname), STR("value"), type, typmod, not_null);
        item->columns[i].value.text = sql_fmt(cx, "pg_json_field(%u, %d, " STR_FMT ", " STR_FMT ")", type, typmod, STR_ARG(value),
                                              STR_ARG(sql_literal_text(cx->mem, str_c(d->colname))));
        item->columns[i].value.flags |= SQL_RAISES;
    }
    return ERR_OK;
}

static err record_item(struct sql_context *cx, str name, const struct sql_value *args, uint32_t n,
                       PgQuery__Node *const *definitions, size_t definitions_n, bool ordinality, int32_t location,
                       struct sql_item *item, str *text, bool *done) {
    static const struct {
        const char *name, *elements;
        uint32_t type;
    } rows[] = {{"jsonb_to_recordset", "jsonb_array_elements", PG_JSONB},
                {"json_to_recordset", "json_array_elements", PG_JSON},
                {"jsonb_to_record", NULL, PG_JSONB},
                {"json_to_record", NULL, PG_JSON}};
    *done = false;
    for (size_t i = 0; i < ARRAY_COUNT(rows) && n == 1; i++) {
        if (!str_eqc(name, rows[i].name)) continue;
        *done = true;
        struct sql_value j = args[0];
        TRY(sql_coerce_to(cx, &j, rows[i].type, -1, PG_IMPLICIT));
        if (!definitions_n)
            return sql_refuse(cx, location, "42601", "a column definition list is required for functions returning \"record\"");
        if (rows[i].elements) {
            struct sql_callee callee;
            str fn = str_c(rows[i].elements);
            TRY(sql_find_function(cx, &fn, 1, &j, &(str){0}, 1, false, location, &callee));
            TRY(sql_builtin_set(cx, callee.builtin, &j, 1, callee.result, ordinality, item, text));
        } else {
            TRY(scalar_item(cx, &j, ordinality, item, text));
        }
        return record_columns(cx, definitions, definitions_n, item->columns[0].value.text, item, false);
    }
    return ERR_OK;
}

/* ---- composites ---- */

bool sql_is_composite(struct sql_context *cx, uint32_t type) {
    const struct catalog_type *t = type >= PG_OWN_MIN && cx->catalog ? catalog_type_of(cx->catalog, type) : NULL;
    return t && t->id == type && t->kind == CATALOG_COMPOSITE;
}

/* json_array(…), and no JSON of SQLite's any more, which would not be quoted within another one. */
void sql_pack(struct sql_context *cx, struct sql_value *v) {
    if (!v->row || v->text.n || !sql_is_composite(cx, v->type)) return;
    VEC(str) cells = {0};
    for (uint32_t i = 0; i < v->row->n; i++) {
        struct sql_value f = v->row->values[i];
        sql_pack(cx, &f);
        vec_push(cx->mem, &cells, as_json(cx, f.text, f.type));
        sql_inherit(v, &f);
    }
    v->text = sql_fmt(cx, "(json_array(" STR_FMT ") || '')", STR_ARG(sql_joined(cx, cells.p, cells.n, ", ")));
    if (v->row->present.n)
        v->text = sql_fmt(cx, "(case when " STR_FMT " then " STR_FMT " end)", STR_ARG(v->row->present), STR_ARG(v->text));
    v->row = NULL;
}

void sql_unpack(struct sql_context *cx, struct sql_value *v) {
    if (v->row || !v->text.n || !sql_is_composite(cx, v->type)) return;
    const struct catalog_type *t = catalog_type_of(cx->catalog, v->type);
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    row->n = t->fields.n;
    row->names = arena_array(cx->mem, str, row->n + 1);
    row->values = arena_array(cx->mem, struct sql_value, row->n + 1);
    for (uint32_t i = 0; i < row->n; i++) {
        const struct catalog_field *f = &t->fields.p[i];
        enum pg_storage s = storage_of(cx, f->type);
        struct sql_value *to = &row->values[i];
        row->names[i] = f->name;
        *to = (struct sql_value){.type = f->type, .typmod = f->typmod, .location = v->location, .levels = v->levels};
        to->flags = v->flags & SQL_INHERITED;
        to->text = sql_fmt(cx, "(" STR_FMT " ->> %u)", STR_ARG(v->text), i);
        if (s == PG_STORED_BLOB) to->text = sql_fmt(cx, "pg_decode(" STR_FMT ", 'hex')", STR_ARG(to->text));
        if (s == PG_STORED_REAL) to->text = sql_fmt(cx, "cast(" STR_FMT " as real)", STR_ARG(to->text));
    }
    row->present = sql_fmt(cx, "(" STR_FMT " is not null)", STR_ARG(v->text));
    v->text = (str){0};
    v->row = row;
}

/* ---- json_populate_record and its kin ---- */

/* What the JSON value `text` has of a row type's fields; what it has not is the base's, if there is one. */
err sql_populated(struct sql_context *cx, const struct sql_value *base, str text, struct sql_value *out) {
    const struct catalog_type *t = cx->catalog ? catalog_type_of(cx->catalog, base->type) : NULL;
    const struct catalog_relation *r = t && t->kind == CATALOG_ROW ? catalog_relation_of(cx->catalog, t->relation) : NULL;
    if (!t || base->type != t->id || (!r && t->kind != CATALOG_COMPOSITE))
        return sql_refuse(cx, base->location, "42804", "first argument of json_populate_record must be a row type");
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    uint32_t n = r ? r->columns.n : t->fields.n;
    row->names = arena_array(cx->mem, str, n + 1);
    row->values = arena_array(cx->mem, struct sql_value, n + 1);
    for (row->n = 0; row->n < n; row->n++) {
        uint32_t i = row->n, type = r ? r->columns.p[i].type : t->fields.p[i].type;
        int32_t typmod = r ? r->columns.p[i].typmod : t->fields.p[i].typmod;
        str name = r ? r->columns.p[i].name : t->fields.p[i].name, quoted = sql_literal_text(cx->mem, name);
        struct sql_value v = {.type = type, .typmod = typmod, .flags = SQL_RAISES, .location = -1};
        v.text = sql_fmt(cx, "pg_json_field(%u, %d, " STR_FMT ", " STR_FMT ")", type, typmod, STR_ARG(text), STR_ARG(quoted));
        if (base->row && i < base->row->n && base->row->values[i].text.n) {
            sql_inherit(&v, &base->row->values[i]);
            v.text = sql_fmt(cx, "(case when pg_jsonb_exists(" STR_FMT ", " STR_FMT ") then " STR_FMT " else " STR_FMT " end)",
                             STR_ARG(text), STR_ARG(quoted), STR_ARG(v.text), STR_ARG(base->row->values[i].text));
        }
        row->names[i] = name;
        row->values[i] = v;
    }
    *out = (struct sql_value){.type = base->type, .typmod = -1, .row = row, .location = base->location, .flags = SQL_RAISES};
    return ERR_OK;
}

/* UINT32_MAX: it is none of them. */
uint32_t sql_populates(str name, bool *set) {
    static const struct {
        const char *name;
        uint32_t type;
        bool set;
    } rows[] = {{"jsonb_populate_record", PG_JSONB, false},
                {"json_populate_record", PG_JSON, false},
                {"jsonb_populate_recordset", PG_JSONB, true},
                {"json_populate_recordset", PG_JSON, true}};
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eqc(name, rows[i].name)) return *set = rows[i].set, rows[i].type;
    return UINT32_MAX;
}

static err populate_item(struct sql_context *cx, str name, const struct sql_value *args, uint32_t n, bool ordinality,
                         int32_t location, struct sql_item *item, str *text, bool *done) {
    bool set;
    uint32_t type = sql_populates(name, &set);
    if (type == UINT32_MAX || n < 2 || !sql_is_row_type(cx, args[0].type)) return *done = false, ERR_OK;
    struct sql_value j = args[1], row;
    *done = true;
    TRY(sql_coerce_to(cx, &j, type, -1, PG_IMPLICIT));
    if (set) {
        struct sql_callee callee;
        str fn = type == PG_JSONB ? STR("jsonb_array_elements") : STR("json_array_elements");
        TRY(sql_find_function(cx, &fn, 1, &j, &(str){0}, 1, false, location, &callee));
        TRY(sql_builtin_set(cx, callee.builtin, &j, 1, callee.result, ordinality, item, text));
    } else {
        TRY(scalar_item(cx, &j, ordinality, item, text));
    }
    struct sql_column last = item->columns[item->n - 1];
    TRY(sql_populated(cx, &args[0], item->columns[0].value.text, &row));
    item->columns = arena_array(cx->mem, struct sql_column, row.row->n + 2);
    for (item->n = 0; item->n < row.row->n; item->n++) {
        row.row->values[item->n].levels |= level_bit(cx);
        item->columns[item->n] = (struct sql_column){row.row->names[item->n], row.row->values[item->n]};
    }
    if (ordinality) item->columns[item->n++] = last;
    item->is_scalar = false;
    return ERR_OK;
}

static err callee_item(struct sql_context *cx, const struct sql_callee *callee, const sql_values *args, bool ordinality,
                       int32_t location, struct sql_item *item, str *text) {
    struct sql_value v;
    if (callee->own && (callee->own->set || item->wanted))
        return sql_inline_set(cx, callee->own, args->p, args->n, location, item, text);
    if (callee->own && sql_is_called(cx, callee->own) && sql_gives_row(cx, callee->own))
        return sql_inline_set(cx, callee->own, args->p, args->n, location, item, text);
    if (callee->own) {
        TRY(sql_inline_scalar(cx, callee->own, args->p, args->n, false, location, &v));
    } else if (callee->builtin->how.kind == PG_HOW_SET) {
        return sql_builtin_set(cx, callee->builtin, args->p, args->n, callee->result, ordinality, item, text);
    } else {
        TRY(sql_apply_how(cx, &callee->builtin->how, callee->builtin->flags, args->p, args->n, callee->result, -1, false, &v));
    }
    return scalar_item(cx, &v, ordinality, item, text);
}

/* f(…) as t (a int, b text): the columns of what RETURNS record. */
static err want_columns(struct sql_context *cx, const struct sql_callee *callee, PgQuery__Node *const *definitions, size_t n,
                        int32_t location, struct sql_item *item) {
    const struct catalog_function *f = callee->own;
    catalog_fields declared = {0}, *wanted = arena_make(cx->mem, catalog_fields);
    if (!f) return sql_unsupported(cx, location, "a column definition list of this function", NULL);
    TRY(sql_declared(cx, f, &declared));
    if (f->returns == PG_RECORD && (declared.n != 1 || declared.p[0].name.n))
        return sql_refuse(cx, location, "42601", "a column definition list is redundant for a function with OUT parameters");
    if (f->returns != PG_RECORD)
        return sql_refuse(cx, location, "42601", "a column definition list is only allowed for functions returning \"record\"");
    if (sql_is_called(cx, f))
        return sql_unsupported(cx, location, "a column definition list of a function that is not one SELECT in SQL",
                               "Say RETURNS TABLE (…).");
    *wanted = (catalog_fields){0};
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ColumnDef *d = definitions[i]->column_def;
        struct catalog_field field = {.name = str_c(d->colname)};
        TRY(sql_type_named(cx, d->type_name, &field.type, &field.typmod));
        vec_push(cx->mem, wanted, field);
    }
    item->wanted = wanted;
    return ERR_OK;
}

static err function_item(struct sql_context *cx, const PgQuery__FuncCall *call, bool ordinality,
                         PgQuery__Node *const *definitions, size_t definitions_n, struct sql_item *item, str *text) {
    sql_values args = {0}, fitted = {0};
    str arg_names[SQL_ARGS_MAX] = {0}, names[3];
    uint32_t n = 0;
    TRY(sql_call_arguments(cx, call, &args, arg_names));
    for (size_t i = 0; i < call->n_funcname && n < 3; i++) names[n++] = sql_name_of(call->funcname[i]);
    if (!item->name.n) item->name = names[n - 1];
    bool done;
    TRY(record_item(cx, names[n - 1], args.p, args.n, definitions, definitions_n, ordinality, call->location, item, text, &done));
    if (!done) TRY(populate_item(cx, names[n - 1], args.p, args.n, ordinality, call->location, item, text, &done));
    if (done) return ERR_OK;
    struct sql_callee callee;
    TRY(sql_find_function(cx, names, n, args.p, arg_names, args.n, call->func_variadic, call->location, &callee));
    if (callee.aggregate)
        return sql_refuse(cx, call->location, "42803", "aggregate functions are not allowed in functions in FROM");
    if (definitions_n) TRY(want_columns(cx, &callee, definitions, definitions_n, call->location, item));
    if (callee.is_cast) {
        struct sql_value v = args.p[0];
        TRY(sql_coerce_to(cx, &v, callee.result, -1, PG_EXPLICIT));
        return scalar_item(cx, &v, ordinality, item, text);
    }
    TRY(sql_fit_arguments(cx, &callee, args.p, args.n, call->location, &fitted));
    return callee_item(cx, &callee, &fitted, ordinality, call->location, item, text);
}

static err value_item(struct sql_context *cx, const PgQuery__Node *node, bool ordinality, struct sql_item *item, str *text) {
    struct sql_value v;
    TRY(sql_expr(cx, node, &v));
    TRY(sql_settle(cx, &v));
    if (!item->name.n) item->name = sql_figure_name(node);
    return scalar_item(cx, &v, ordinality, item, text);
}

/* One function of FROM: with its columns' definitions, if it has some. */
static err one_function(struct sql_context *cx, const PgQuery__List *pair, PgQuery__Node *const *definitions,
                        size_t definitions_n, bool ordinality, struct sql_item *item, str *text) {
    const PgQuery__Node *node = pair->items[0];
    if (pair->n_items > 1 && pair->items[1]->node_case == PG_QUERY__NODE__NODE_LIST && pair->items[1]->list->n_items) {
        definitions = pair->items[1]->list->items;
        definitions_n = pair->items[1]->list->n_items;
    }
    return node->node_case == PG_QUERY__NODE__NODE_FUNC_CALL
               ? function_item(cx, node->func_call, ordinality, definitions, definitions_n, item, text)
               : value_item(cx, node, ordinality, item, text);
}

static bool is_unnest(const PgQuery__Node *node) {
    if (node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL || node->func_call->n_args < 2) return false;
    return str_eqc(sql_name_of(node->func_call->funcname[node->func_call->n_funcname - 1]), "unnest");
}

/* ROWS FROM (…), and unnest(a, b), which is unnest(a) beside unnest(b): their rows side by side, as JSON that is taken apart again. */
typedef VEC(str) texts;
static err beside(struct sql_context *cx, const PgQuery__List *pair, texts *sets, struct sql_item *all) {
    struct sql_item *one = item_new(cx, (str){0}, 0);
    str text;
    TRY(one_function(cx, pair, NULL, 0, false, one, &text));
    vec_push(cx->mem, sets, sql_rows_json(cx, one->columns, one->n, text));
    struct sql_column *more = arena_array(cx->mem, struct sql_column, all->n + one->n + 2);
    if (all->n) memcpy(more, all->columns, all->n * sizeof *more);
    for (uint32_t i = 0; i < one->n; i++) {
        struct sql_column *c = &more[all->n + i];
        *c = one->columns[i];
        c->value.text = sql_cell(cx, all->alias, all->n + i, c->value.type);
        c->value.flags &= ~(uint32_t)SQL_NOT_NULL;
        c->value.origin = (struct sql_origin){0};
    }
    all->columns = more;
    all->n += one->n;
    return ERR_OK;
}

static err several_functions(struct sql_context *cx, const PgQuery__RangeFunction *f, struct sql_item *item, str *text) {
    texts sets = {0};
    for (size_t i = 0; i < f->n_functions; i++) {
        const PgQuery__List *pair = f->functions[i]->list;
        if (!is_unnest(pair->items[0])) {
            TRY(beside(cx, pair, &sets, item));
            continue;
        }
        const PgQuery__FuncCall *call = pair->items[0]->func_call;
        for (size_t k = 0; k < call->n_args; k++) {
            PgQuery__FuncCall one = *call;
            PgQuery__Node node = *pair->items[0], *items[1] = {&node};
            PgQuery__List single = *pair;
            one.n_args = 1, one.args = &call->args[k];
            node.func_call = &one;
            single.n_items = 1, single.items = items;
            TRY(beside(cx, &single, &sets, item));
        }
    }
    if (item->n > 100) return sql_unsupported(cx, -1, "ROWS FROM with more than 100 columns", NULL);
    if (!item->name.n && item->n) item->name = item->columns[0].name;
    *text = sql_zipped(cx, sets.p, sets.n, item->alias);
    return ERR_OK;
}

/* A function of your own with its rows' numbers: as one beside none. */
static err numbered_function(struct sql_context *cx, const PgQuery__RangeFunction *f, struct sql_item *item, str *text) {
    texts sets = {0};
    TRY(beside(cx, f->functions[0]->list, &sets, item));
    if (!item->name.n && item->n) item->name = item->columns[0].name;
    *text = sql_zipped(cx, sets.p, sets.n, item->alias);
    return ERR_OK;
}

static bool is_own(struct sql_context *cx, const PgQuery__Node *node) {
    if (node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL) return false;
    const PgQuery__FuncCall *call = node->func_call;
    uint32_t count;
    str name = sql_name_of(call->funcname[call->n_funcname - 1]);
    str schema = call->n_funcname > 1 ? sql_name_of(call->funcname[call->n_funcname - 2]) : (str){0};
    if (str_eqc(schema, "pg_catalog") || (!schema.n && pg_functions_named(name, &count) && count)) return false;
    return cx->catalog != NULL;
}

static err range_function(struct sql_context *cx, const PgQuery__RangeFunction *f, struct sql_item **out, str *text) {
    struct sql_item *item = item_new(cx, f->alias ? str_c(f->alias->aliasname) : (str){0}, 0);
    const PgQuery__Node *node = f->functions[0]->list->items[0];
    bool numbered = f->ordinality && !f->n_coldeflist && is_own(cx, node), several = f->n_functions > 1 || is_unnest(node);
    cx->scope->lateral = true;
    err e = several    ? several_functions(cx, f, item, text)
            : numbered ? numbered_function(cx, f, item, text)
                       : one_function(cx, f->functions[0]->list, f->coldeflist, f->n_coldeflist, f->ordinality, item, text);
    cx->scope->lateral = false;
    TRY(e);
    if (f->ordinality && (several || numbered)) add_column(cx, item, STR("ordinality"), STR("key + 1"), PG_INT8, -1, true);
    if (f->ordinality && (several || numbered)) {
        struct sql_value *v = &item->columns[item->n - 1].value;
        v->text = sql_fmt(cx, "(" STR_FMT ".key + 1)", STR_ARG(item->alias));
    }
    *out = item;
    if (f->n_coldeflist) return ERR_OK;
    return f->alias ? name_columns(cx, item, f->alias->colnames, f->alias->n_colnames) : ERR_OK;
}

/* ---- joins ---- */

typedef VEC(struct sql_item *) items;

static err from_node(struct sql_context *cx, const PgQuery__Node *node, items *out, str *text);

static err no_twins(struct sql_context *cx, const items *a, const items *b) {
    for (uint32_t i = 0; i < a->n; i++)
        for (uint32_t k = 0; k < b->n; k++) {
            const struct sql_item *x = a->p[i], *y = b->p[k];
            if (!x->names_itself || !y->names_itself || !str_eq(x->name, y->name)) continue;
            if (x->schema.n && y->schema.n && !str_eq(x->schema, y->schema)) continue;
            return sql_refuse(cx, -1, "42712", "table name \"" STR_FMT "\" specified more than once", STR_ARG(x->name));
        }
    return ERR_OK;
}

static void set_lateral(const items *list, bool only, bool ok) {
    for (uint32_t i = 0; i < list->n; i++) {
        list->p[i]->lateral_only = only;
        list->p[i]->lateral_ok = ok;
    }
}

static void make_nullable(const items *list) {
    for (uint32_t i = 0; i < list->n; i++) {
        list->p[i]->nullable = true;
        for (uint32_t c = 0; c < list->p[i]->n; c++) list->p[i]->columns[c].value.flags &= ~(uint32_t)SQL_NOT_NULL;
    }
}

/* Columns that are named without qualification, of one side. */
static void columns_of(struct sql_context *cx, const items *side, sql_column_list *out) {
    for (uint32_t i = 0; i < side->n; i++)
        for (uint32_t c = 0; side->p[i]->names_columns && c < side->p[i]->n; c++) vec_push(cx->mem, out, side->p[i]->columns[c]);
}

static err one_named(struct sql_context *cx, const sql_column_list *list, str name, const char *side,
                     const struct sql_column **out) {
    *out = NULL;
    for (uint32_t i = 0; i < list->n; i++) {
        if (!str_eq(list->p[i].name, name)) continue;
        if (*out)
            return sql_refuse(cx, -1, "42702", "common column name \"" STR_FMT "\" appears more than once in %s table",
                              STR_ARG(name), side);
        *out = &list->p[i];
    }
    if (!*out)
        return sql_refuse(cx, -1, "42703", "column \"" STR_FMT "\" specified in USING clause does not exist in %s table",
                          STR_ARG(name), side);
    return ERR_OK;
}

static bool has_name(const str *names, uint32_t n, str name) {
    for (uint32_t i = 0; i < n; i++)
        if (str_eq(names[i], name)) return true;
    return false;
}

struct using {
    VEC(str) names;
    sql_column_list left, right, merged;
};

static void natural_names(struct sql_context *cx, struct using *u) {
    for (uint32_t i = 0; i < u->left.n; i++)
        for (uint32_t k = 0; k < u->right.n; k++)
            if (str_eq(u->left.p[i].name, u->right.p[k].name)) vec_push(cx->mem, &u->names, u->left.p[i].name);
}

static err merge(struct sql_context *cx, const PgQuery__JoinExpr *j, struct using *u, str *condition) {
    VEC(str) parts = {0};
    for (uint32_t i = 0; i < u->names.n; i++) {
        const struct sql_column *l, *r;
        TRY(one_named(cx, &u->left, u->names.p[i], "left", &l));
        TRY(one_named(cx, &u->right, u->names.p[i], "right", &r));
        struct sql_value equal, both[2] = {l->value, r->value};
        TRY(sql_apply_operator(cx, STR("="), &l->value, &r->value, -1, &equal));
        vec_push(cx->mem, &parts, equal.text);
        uint32_t type;
        TRY(sql_to_common_type(cx, both, 2, "JOIN/USING", &type));
        struct sql_value v = j->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT ? both[1] : both[0];
        if (j->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL) {
            v.text = sql_fmt(cx, "coalesce(" STR_FMT ", " STR_FMT ")", STR_ARG(both[0].text), STR_ARG(both[1].text));
            v.flags &= ~(uint32_t)SQL_NOT_NULL;
        }
        vec_push(cx->mem, &u->merged, ((struct sql_column){u->names.p[i], v}));
    }
    *condition = parts.n ? sql_joined(cx, parts.p, parts.n, " and ") : STR("1");
    return ERR_OK;
}

/* What USING makes visible: the merged columns, then the rest of both. */
static struct sql_item *merged_item(struct sql_context *cx, const struct using *u, str name) {
    struct sql_item *item = arena_make(cx->mem, struct sql_item);
    item->columns = arena_array(cx->mem, struct sql_column, u->merged.n + u->left.n + u->right.n + 1);
    item->name = name;
    item->names_columns = true;
    item->names_itself = name.n > 0;
    for (uint32_t i = 0; i < u->merged.n; i++) item->columns[item->n++] = u->merged.p[i];
    const sql_column_list *sides[2] = {&u->left, &u->right};
    for (int s = 0; s < 2; s++)
        for (uint32_t i = 0; i < sides[s]->n; i++)
            if (!has_name(u->names.p, u->names.n, sides[s]->p[i].name)) item->columns[item->n++] = sides[s]->p[i];
    return item;
}

/* ON sees both sides, and nothing else of this FROM. */
static err join_on(struct sql_context *cx, const PgQuery__JoinExpr *j, const items *left, const items *right, str *condition) {
    struct sql_scope *s = cx->scope;
    typeof(s->items) before = s->items;
    memset(&s->items, 0, sizeof s->items);
    for (uint32_t i = 0; i < left->n; i++) vec_push(cx->mem, &s->items, left->p[i]);
    for (uint32_t i = 0; i < right->n; i++) vec_push(cx->mem, &s->items, right->p[i]);
    struct sql_value v;
    s->no_aggregates = s->no_windows = true;
    s->clause = "JOIN conditions";
    err e = sql_condition(cx, j->quals, "JOIN/ON", &v);
    s->no_aggregates = s->no_windows = false;
    s->items = before;
    s->mentions.n = 0;
    *condition = v.text;
    return e;
}

static const char *join_word(const PgQuery__JoinExpr *j, bool has_condition) {
    switch (j->jointype) {
    case PG_QUERY__JOIN_TYPE__JOIN_LEFT: return "left join";
    case PG_QUERY__JOIN_TYPE__JOIN_RIGHT: return "right join";
    case PG_QUERY__JOIN_TYPE__JOIN_FULL: return "full join";
    default: return has_condition ? "join" : "cross join";
    }
}

static err join_sides(struct sql_context *cx, const PgQuery__JoinExpr *j, items *left, items *right, str *left_text,
                      str *right_text) {
    TRY(from_node(cx, j->larg, left, left_text));
    bool ok = j->jointype == PG_QUERY__JOIN_TYPE__JOIN_INNER || j->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT;
    uint32_t before = cx->scope->items.n;
    set_lateral(left, true, ok);
    for (uint32_t i = 0; i < left->n && ok; i++) vec_push(cx->mem, &cx->scope->items, left->p[i]);
    err e = from_node(cx, j->rarg, right, right_text);
    cx->scope->items.n = before;
    set_lateral(left, false, false);
    TRY(e);
    if (j->rarg->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR) *right_text = sql_fmt(cx, "(" STR_FMT ")", STR_ARG(*right_text));
    return no_twins(cx, left, right);
}

static void hide(const items *list, bool itself) {
    for (uint32_t i = 0; i < list->n; i++) {
        list->p[i]->names_columns = false;
        if (itself) list->p[i]->names_itself = false;
    }
}

static err join_expr(struct sql_context *cx, const PgQuery__JoinExpr *j, items *out, str *text) {
    items left = {0}, right = {0};
    str left_text, right_text, condition = {0};
    TRY(join_sides(cx, j, &left, &right, &left_text, &right_text));
    struct using u = {0};
    columns_of(cx, &left, &u.left);
    columns_of(cx, &right, &u.right);
    if (j->is_natural) natural_names(cx, &u);
    for (size_t i = 0; i < j->n_using_clause; i++) vec_push(cx->mem, &u.names, sql_name_of(j->using_clause[i]));
    if (j->is_natural || u.names.n) TRY(merge(cx, j, &u, &condition));
    else if (j->quals) TRY(join_on(cx, j, &left, &right, &condition));
    if (j->jointype == PG_QUERY__JOIN_TYPE__JOIN_LEFT || j->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL) make_nullable(&right);
    if (j->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT || j->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL) make_nullable(&left);
    for (uint32_t i = 0; i < left.n; i++) vec_push(cx->mem, out, left.p[i]);
    for (uint32_t i = 0; i < right.n; i++) vec_push(cx->mem, out, right.p[i]);
    if (u.names.n || j->alias) {
        str name = j->alias ? str_c(j->alias->aliasname) : (str){0};
        u.left.n = u.right.n = 0;
        columns_of(cx, &left, &u.left);
        columns_of(cx, &right, &u.right);
        struct sql_item *item = merged_item(cx, &u, name);
        hide(out, j->alias != NULL);
        if (j->alias) TRY(name_columns(cx, item, j->alias->colnames, j->alias->n_colnames));
        vec_push(cx->mem, out, item);
    }
    bool on = condition.n > 0;
    *text = sql_fmt(cx, STR_FMT " %s " STR_FMT "%s" STR_FMT, STR_ARG(left_text), join_word(j, on), STR_ARG(right_text),
                    on ? " on " : "", STR_ARG(condition));
    return ERR_OK;
}

static err leaf(struct sql_context *cx, const PgQuery__Node *node, struct sql_item **item, str *text) {
    switch (node->node_case) {
    case PG_QUERY__NODE__NODE_RANGE_VAR: return range_var(cx, node->range_var, item, text);
    case PG_QUERY__NODE__NODE_RANGE_SUBSELECT: return subselect(cx, node->range_subselect, item, text);
    case PG_QUERY__NODE__NODE_RANGE_FUNCTION: return range_function(cx, node->range_function, item, text);
    case PG_QUERY__NODE__NODE_RANGE_TABLE_SAMPLE: return sql_unsupported(cx, -1, "TABLESAMPLE", "Use ORDER BY random() LIMIT n.");
    default: return sql_unsupported(cx, -1, "this item of FROM", NULL);
    }
}

static err from_node(struct sql_context *cx, const PgQuery__Node *node, items *out, str *text) {
    TRY(sql_enter(cx, -1));
    struct sql_item *item = NULL;
    err e = node->node_case == PG_QUERY__NODE__NODE_JOIN_EXPR ? join_expr(cx, node->join_expr, out, text)
                                                              : leaf(cx, node, &item, text);
    if (e == ERR_OK && item) vec_push(cx->mem, out, item);
    sql_leave(cx);
    return e;
}

/* SQLite's comma binds as tight as its joins: where both sides may be optional, a join among others goes into brackets. */
static bool needs_brackets(const PgQuery__Node *node) {
    if (node->node_case != PG_QUERY__NODE__NODE_JOIN_EXPR) return false;
    const PgQuery__JoinExpr *j = node->join_expr;
    if (j->jointype == PG_QUERY__JOIN_TYPE__JOIN_FULL || j->jointype == PG_QUERY__JOIN_TYPE__JOIN_RIGHT) return true;
    return needs_brackets(j->larg);
}

err sql_from(struct sql_context *cx, PgQuery__Node *const *nodes, size_t n, str *text) {
    struct sql_scope *scope = cx->scope;
    VEC(str) parts = {0};
    for (size_t i = 0; i < n; i++) {
        items found = {0}, before = {0};
        str one;
        for (uint32_t k = 0; k < scope->items.n; k++) vec_push(cx->mem, &before, scope->items.p[k]);
        set_lateral(&before, true, true);
        err e = from_node(cx, nodes[i], &found, &one);
        set_lateral(&before, false, false);
        TRY(e);
        TRY(no_twins(cx, &before, &found));
        for (uint32_t k = 0; k < found.n; k++) vec_push(cx->mem, &scope->items, found.p[k]);
        vec_push(cx->mem, &parts, n > 1 && needs_brackets(nodes[i]) ? sql_fmt(cx, "(" STR_FMT ")", STR_ARG(one)) : one);
    }
    scope->mentions.n = 0;
    *text = sql_joined(cx, parts.p, parts.n, ", ");
    return ERR_OK;
}
