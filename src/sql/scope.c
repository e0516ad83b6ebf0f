/* scope: what names mean. From the inside out:
 *
 *   the query's own FROM items ─→ those of the query around it … ─→ the row at hand (policies, checks) ─→ the function's arguments
 *
 * 1. Within one scope an unqualified name that two items have is ambiguous; an inner scope hides an outer one.
 * 2. An item has an alias of its own in SQLite, given once per statement: no name of a user's is ever resolved there.
 */
#include "plpgsql/plpgsql.h"
#include "sql/translate_int.h"

enum { LEVEL_ROW = 63, LEVELS_MAX = 62 };

void sql_scope_open(struct sql_context *cx, struct sql_scope *scope) {
    scope->parent = cx->scope;
    scope->level = MIN(scope->parent ? scope->parent->level + 1 : cx->level_base, LEVELS_MAX);
    cx->scope = scope;
}

void sql_scope_close(struct sql_context *cx, struct sql_scope *scope) {
    ENSURE(cx->scope == scope);
    cx->scope = scope->parent;
}

const struct sql_cte *sql_find_cte(struct sql_context *cx, str name) {
    for (struct sql_scope *s = cx->scope; s; s = s->parent)
        for (uint32_t i = s->ctes.n; i > 0; i--)
            if (str_eq(s->ctes.p[i - 1]->name, name)) return s->ctes.p[i - 1];
    for (uint32_t i = cx->inlining ? 0 : cx->given_n; i > 0; i--) /* a function's body sees none of them */
        if (str_eq(cx->given[i - 1]->name, name)) return cx->given[i - 1];
    return NULL;
}

/* ---- columns of one scope ---- */

static const struct sql_column *column_of(const struct sql_item *item, str name, bool *twice) {
    const struct sql_column *found = NULL;
    for (uint32_t i = 0; i < item->n; i++) {
        if (!str_eq(item->columns[i].name, name)) continue;
        if (found) *twice = true;
        found = &item->columns[i];
    }
    return found;
}

static err ambiguous(struct sql_context *cx, str name, int32_t location) {
    return sql_refuse(cx, location, "42702", "column reference \"" STR_FMT "\" is ambiguous", STR_ARG(name));
}

static bool visible(const struct sql_scope *s, const struct sql_item *item) { return !item->lateral_only || s->lateral; }

static err find_in_scope(struct sql_context *cx, struct sql_scope *s, str name, int32_t location, const struct sql_column **out,
                         const struct sql_item **item) {
    *out = NULL;
    for (uint32_t i = 0; i < s->items.n; i++) {
        const struct sql_item *it = s->items.p[i];
        if (!it->names_columns || !visible(s, it)) continue;
        bool twice = false;
        const struct sql_column *c = column_of(it, name, &twice);
        if (!c) continue;
        if (twice || *out) return ambiguous(cx, name, location);
        *out = c;
        *item = it;
    }
    return ERR_OK;
}

err sql_find_in_scope(struct sql_context *cx, struct sql_scope *scope, str name, int32_t location,
                      const struct sql_column **out) {
    const struct sql_item *item;
    return find_in_scope(cx, scope, name, location, out, &item);
}

static void mention(struct sql_context *cx, struct sql_scope *s, const struct sql_item *item, const struct sql_column *c,
                    int32_t location) {
    if (s->reads_aggregate) return;
    str name = item->name.n ? sql_fmt(cx, STR_FMT "." STR_FMT, STR_ARG(item->name), STR_ARG(c->name)) : c->name;
    vec_push(cx->mem, &s->mentions, ((struct sql_mention){name, item, c->value.text, location, s != cx->scope}));
}

void sql_forget_mentions(struct sql_context *cx, str grouped_text, const uint32_t *marks) {
    uint32_t i = 0;
    for (struct sql_scope *s = cx->scope; s; s = s->parent, i++) {
        if (i >= 8) return;
        for (uint32_t g = 0; g < s->groups.n; g++)
            if (str_eq(s->groups.p[g].text, grouped_text) && grouped_text.n) s->mentions.n = MIN(s->mentions.n, marks[i]);
    }
}

static void take(struct sql_context *cx, struct sql_scope *s, const struct sql_item *item, const struct sql_column *c,
                 int32_t location, struct sql_value *out) {
    *out = c->value;
    out->location = location;
    if (item->nullable) out->flags &= ~(uint32_t)SQL_NOT_NULL;
    mention(cx, s, item, c, location);
}

/* ---- the row at hand, and arguments ---- */

static bool row_column(struct sql_context *cx, const struct catalog_column *c, struct sql_value *out) {
    if (!c) return false;
    const char *kind = cx->row_kind == SQL_ROW_NEW ? "N" : "C";
    *out = (struct sql_value){
        .text = sql_fmt(cx, "\x01%s%u\x02", kind, c->number), .type = c->type, .typmod = c->typmod, .location = -1};
    out->levels = 1ull << LEVEL_ROW;
    if (c->not_null) out->flags |= SQL_NOT_NULL;
    return true;
}

static bool find_in_row(struct sql_context *cx, str name, struct sql_value *out) {
    if (cx->row_kind == SQL_ROW_VALUE && str_eqc(name, "value")) {
        *out = (struct sql_value){.text = STR("\x01"
                                              "C0\x02"),
                                  .type = cx->value_type,
                                  .typmod = cx->value_typmod,
                                  .location = -1};
        return true;
    }
    return cx->row && row_column(cx, catalog_column_named(cx->row, name), out);
}

static struct sql_value row_at_hand(struct sql_context *cx) {
    const struct catalog_relation *r = cx->row;
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    row->names = arena_array(cx->mem, str, r->columns.n + 1);
    row->values = arena_array(cx->mem, struct sql_value, r->columns.n + 1);
    for (uint32_t i = 0; i < r->columns.n; i++) {
        row->names[row->n] = r->columns.p[i].name;
        row_column(cx, &r->columns.p[i], &row->values[row->n++]);
    }
    return (struct sql_value){
        .type = r->row_type ? r->row_type : PG_RECORD, .typmod = -1, .row = row, .levels = 1ull << LEVEL_ROW, .location = -1};
}

struct sql_value sql_row_of(struct sql_context *cx, const struct catalog_relation *r) {
    const struct catalog_relation *was = cx->row;
    enum sql_row_kind kind = cx->row_kind;
    cx->row = r, cx->row_kind = SQL_ROW_AT_HAND;
    struct sql_value v = row_at_hand(cx);
    cx->row = was, cx->row_kind = kind;
    return v;
}

static bool names_row(struct sql_context *cx, str schema, str name) {
    if (!cx->row || !str_eq(cx->row->name, name)) return false;
    const struct catalog_schema *s = catalog_schema_of(cx->catalog, cx->row->schema);
    return !schema.n || (s && str_eq(s->name, schema));
}

static err argument_at(struct sql_context *cx, uint32_t index, struct sql_value *out) {
    const struct catalog_function *f = cx->function;
    if (cx->arguments) {
        *out = cx->arguments->values[index];
        return ERR_OK;
    }
    uint32_t input = 0;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN || input++ != index) continue;
        *out = (struct sql_value){.text = sql_fmt(cx,
                                                  "\x01"
                                                  "A%u\x02",
                                                  index + 1),
                                  .type = a->type,
                                  .typmod = a->typmod,
                                  .location = -1};
        return sql_is_row_type(cx, a->type)
                   ? sql_unsupported(cx, -1, "an argument of a composite type of a function that is called by itself", NULL)
                   : ERR_OK;
    }
    return ERR_USAGE;
}

static bool find_argument(struct sql_context *cx, str name, struct sql_value *out, err *e) {
    const struct catalog_function *f = cx->function;
    uint32_t input = 0;
    *e = ERR_OK;
    for (uint32_t i = 0; f && i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode == CATALOG_OUT || a->mode == CATALOG_TABLE_COLUMN) continue;
        if (a->name.n && str_eq(a->name, name)) {
            *e = argument_at(cx, input, out);
            return true;
        }
        input++;
    }
    return false;
}

err sql_find_argument(struct sql_context *cx, uint32_t number, int32_t location, struct sql_value *out) {
    uint32_t inputs = 0;
    err e;
    if (cx->variables && sql_find_variable(cx, (str){0}, (str){0}, sql_fmt(cx, "$%u", number), location, out, &e)) return e;
    for (uint32_t i = 0; cx->function && i < cx->function->arguments.n; i++) {
        uint8_t mode = cx->function->arguments.p[i].mode;
        inputs += mode != CATALOG_OUT && mode != CATALOG_TABLE_COLUMN;
    }
    if (!number || number > inputs) return sql_refuse(cx, location, "42P02", "there is no parameter $%u", number);
    TRY(argument_at(cx, number - 1, out));
    out->location = location;
    return ERR_OK;
}

/* ---- rows ---- */

/* What is true where the item has a row. */
static str presence(struct sql_context *cx, const struct sql_item *item) {
    VEC(str) nulls = {0};
    for (uint32_t i = 0; i < item->n; i++) {
        str text = item->columns[i].value.text;
        if (item->columns[i].value.flags & SQL_NOT_NULL) return sql_fmt(cx, "(" STR_FMT " is not null)", STR_ARG(text));
        if (text.n) vec_push(cx->mem, &nulls, sql_fmt(cx, STR_FMT " is not null", STR_ARG(text)));
    }
    return sql_fmt(cx, "(" STR_FMT ")", STR_ARG(sql_joined(cx, nulls.p, nulls.n, " or ")));
}

struct sql_value sql_row_of_item(struct sql_context *cx, const struct sql_item *item) {
    if (item->is_scalar && item->n) return item->columns[0].value;
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    row->names = arena_array(cx->mem, str, item->n + 1);
    row->values = arena_array(cx->mem, struct sql_value, item->n + 1);
    struct sql_value out = {
        .type = item->relation && item->relation->row_type ? item->relation->row_type : PG_RECORD, .typmod = -1, .location = -1};
    for (uint32_t i = 0; i < item->n; i++) {
        row->names[row->n] = item->columns[i].name;
        row->values[row->n++] = item->columns[i].value;
        out.levels |= item->columns[i].value.levels;
    }
    if (item->nullable && item->n) row->present = presence(cx, item);
    out.row = row;
    return out;
}

/* ---- qualified names ---- */

static const struct sql_item *find_item(struct sql_context *cx, str schema, str name, struct sql_scope **scope, bool *hidden) {
    *hidden = false;
    for (struct sql_scope *s = cx->scope; s; s = s->parent)
        for (uint32_t i = 0; i < s->items.n; i++) {
            const struct sql_item *it = s->items.p[i];
            if (!it->names_itself || !str_eq(it->name, name)) continue;
            if (schema.n && !str_eq(it->schema, schema)) continue;
            if (!visible(s, it)) {
                *hidden = true;
                continue;
            }
            *scope = s;
            return it;
        }
    return NULL;
}

static err missing_item(struct sql_context *cx, str name, bool hidden, int32_t location) {
    if (hidden) {
        err e =
            sql_refuse(cx, location, "42P01", "invalid reference to FROM-clause entry for table \"" STR_FMT "\"", STR_ARG(name));
        sql_detail(cx, "There is an entry for table \"" STR_FMT "\", but it cannot be referenced from this part of the query.",
                   STR_ARG(name));
        return e;
    }
    for (struct sql_scope *s = cx->scope; s; s = s->parent)
        for (uint32_t i = 0; i < s->items.n; i++) {
            const struct sql_item *it = s->items.p[i];
            if (!it->relation || !str_eq(it->relation->name, name) || str_eq(it->name, name)) continue;
            err e = sql_refuse(cx, location, "42P01", "invalid reference to FROM-clause entry for table \"" STR_FMT "\"",
                               STR_ARG(name));
            sql_hint(cx, "Perhaps you meant to reference the table alias \"" STR_FMT "\".", STR_ARG(it->name));
            return e;
        }
    return sql_refuse(cx, location, "42P01", "missing FROM-clause entry for table \"" STR_FMT "\"", STR_ARG(name));
}

static bool is_system_column(str name) {
    static const char *const names[] = {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (str_eqc(name, names[i])) return true;
    return false;
}

static err no_column(struct sql_context *cx, str table, str name, int32_t location) {
    if (is_system_column(name))
        return sql_unsupported(cx, location, (const char *)sql_fmt(cx, "system column " STR_FMT, STR_ARG(name)).p,
                               "Use the primary key.");
    if (table.n)
        return sql_refuse(cx, location, "42703", "column " STR_FMT "." STR_FMT " does not exist", STR_ARG(table), STR_ARG(name));
    return sql_refuse(cx, location, "42703", "column \"" STR_FMT "\" does not exist", STR_ARG(name));
}

/* t.c as c(t): a function of the row. */
static err column_function(struct sql_context *cx, const struct sql_value *row, str table, str name, int32_t location,
                           struct sql_value *out) {
    const struct catalog_function *f = NULL;
    bool there = false;
    for (uint32_t i = 0; i < cx->path_count && !there; i++)
        there = (f = catalog_function_next(cx->catalog, cx->path[i], name, NULL)) != NULL;
    if (!there) return no_column(cx, table, name, location);
    return sql_call_named(cx, &name, 1, row, 1, location, out);
}

static err find_qualified(struct sql_context *cx, str schema, str table, str name, int32_t location, struct sql_value *out) {
    struct sql_scope *scope;
    bool hidden, twice = false;
    err of_variable;
    const struct sql_item *item = find_item(cx, schema, table, &scope, &hidden);
    if (!item && sql_find_variable(cx, schema, table, name, location, out, &of_variable)) return of_variable;
    if (item) {
        const struct sql_column *c = column_of(item, name, &twice);
        if (twice) return ambiguous(cx, name, location);
        if (c) {
            take(cx, scope, item, c, location, out);
            return ERR_OK;
        }
        struct sql_value row = sql_row_of_item(cx, item);
        return column_function(cx, &row, table, name, location, out);
    }
    if (names_row(cx, schema, table)) {
        if (row_column(cx, catalog_column_named(cx->row, name), out)) {
            out->location = location;
            return ERR_OK;
        }
        struct sql_value row = row_at_hand(cx);
        return column_function(cx, &row, table, name, location, out);
    }
    err e;
    if (!schema.n && cx->function && str_eq(cx->function->name, table) && find_argument(cx, name, out, &e)) return e;
    struct sql_value argument;
    if (!schema.n && find_argument(cx, table, &argument, &e)) {
        TRY(e);
        return sql_field_of(cx, &argument, name, location, out);
    }
    return missing_item(cx, table, hidden, location);
}

static err find_plain(struct sql_context *cx, str name, int32_t location, struct sql_value *out) {
    for (struct sql_scope *s = cx->scope; s; s = s->parent) {
        const struct sql_column *c;
        const struct sql_item *item;
        TRY(find_in_scope(cx, s, name, location, &c, &item));
        if (!c) continue;
        if (cx->variables && cx->variables->conflict != PLPGSQL_CONFLICT_COLUMN && sql_variable_named(cx, (str){0}, name)) {
            if (cx->variables->conflict == PLPGSQL_CONFLICT_VARIABLE) break;
            err e = ambiguous(cx, name, location);
            sql_detail(cx, "It could refer to either a PL/pgSQL variable or a table column.");
            return e;
        }
        take(cx, s, item, c, location, out);
        return ERR_OK;
    }
    if (find_in_row(cx, name, out)) {
        out->location = location;
        return ERR_OK;
    }
    err e;
    if (sql_find_variable(cx, (str){0}, (str){0}, name, location, out, &e)) return e;
    if (find_argument(cx, name, out, &e)) {
        out->location = location;
        return e;
    }
    struct sql_scope *scope;
    bool hidden;
    const struct sql_item *item = find_item(cx, (str){0}, name, &scope, &hidden);
    if (item) {
        *out = sql_row_of_item(cx, item);
        for (uint32_t i = 0; i < item->n; i++) mention(cx, scope, item, &item->columns[i], location);
    } else if (names_row(cx, (str){0}, name)) {
        *out = row_at_hand(cx);
    } else {
        return no_column(cx, (str){0}, name, location);
    }
    out->location = location;
    return ERR_OK;
}

err sql_find_column(struct sql_context *cx, const PgQuery__ColumnRef *ref, struct sql_value *out) {
    str names[4] = {0};
    size_t n = ref->n_fields;
    for (size_t i = 0; i < n && i < 4; i++) names[i] = sql_name_of(ref->fields[i]);
    if (n == 2 && ref->fields[1]->node_case == PG_QUERY__NODE__NODE_A_STAR) n = 1; /* t.* as a value is t's row */
    if (n == 1 && ref->n_fields == 2 && cx->scope) {
        struct sql_scope *scope;
        bool hidden;
        const struct sql_item *item = find_item(cx, (str){0}, names[0], &scope, &hidden);
        if (item) {
            *out = sql_row_of_item(cx, item);
            out->location = ref->location;
            for (uint32_t i = 0; i < item->n; i++) mention(cx, scope, item, &item->columns[i], ref->location);
            return ERR_OK;
        }
    }
    if (n == 1) return find_plain(cx, names[0], ref->location, out);
    if (n == 2) return find_qualified(cx, (str){0}, names[0], names[1], ref->location, out);
    if (n == 3) return find_qualified(cx, names[0], names[1], names[2], ref->location, out);
    return sql_refuse(cx, ref->location, "42601", "improper qualified name (too many dotted names)");
}

/* ---- stars ---- */

bool sql_is_star(const PgQuery__Node *node) {
    if (node->node_case != PG_QUERY__NODE__NODE_COLUMN_REF) return false;
    const PgQuery__ColumnRef *ref = node->column_ref;
    return ref->n_fields && ref->fields[ref->n_fields - 1]->node_case == PG_QUERY__NODE__NODE_A_STAR;
}

static void push_columns(struct sql_context *cx, struct sql_scope *s, const struct sql_item *item, int32_t location,
                         sql_column_list *out) {
    for (uint32_t i = 0; i < item->n; i++) {
        struct sql_column *c = vec_add(cx->mem, out);
        c->name = item->columns[i].name;
        take(cx, s, item, &item->columns[i], location, &c->value);
    }
}

static err star_of_row(struct sql_context *cx, const struct sql_value *row, sql_column_list *out) {
    for (uint32_t i = 0; row->row && i < row->row->n; i++)
        vec_push(cx->mem, out, ((struct sql_column){row->row->names[i], row->row->values[i]}));
    return ERR_OK;
}

err sql_expand_star(struct sql_context *cx, const PgQuery__ColumnRef *ref, sql_column_list *out) {
    if (ref->n_fields == 1) {
        bool any = false;
        for (uint32_t i = 0; cx->scope && i < cx->scope->items.n; i++) {
            const struct sql_item *item = cx->scope->items.p[i];
            if (!item->names_columns || item->lateral_only) continue;
            any = true;
            push_columns(cx, cx->scope, item, ref->location, out);
        }
        return any ? ERR_OK : sql_refuse(cx, ref->location, "42601", "SELECT * with no tables specified is not valid");
    }
    str schema = ref->n_fields > 2 ? sql_name_of(ref->fields[ref->n_fields - 3]) : (str){0},
        name = sql_name_of(ref->fields[ref->n_fields - 2]);
    struct sql_scope *scope;
    bool hidden;
    const struct sql_item *item = find_item(cx, schema, name, &scope, &hidden);
    if (item) {
        push_columns(cx, scope, item, ref->location, out);
        return ERR_OK;
    }
    if (names_row(cx, schema, name)) {
        struct sql_value row = row_at_hand(cx);
        return star_of_row(cx, &row, out);
    }
    struct sql_value argument;
    err e;
    if (sql_find_variable(cx, (str){0}, schema, name, ref->location, &argument, &e)) {
        TRY(e);
        return star_of_row(cx, &argument, out);
    }
    if (!schema.n && find_argument(cx, name, &argument, &e)) {
        TRY(e);
        return star_of_row(cx, &argument, out);
    }
    return missing_item(cx, name, hidden, ref->location);
}
