/* dml: INSERT, UPDATE, DELETE.
 *
 * 1. All that a row is to have is written out: defaults, identity and serial columns are filled here, never by SQLite's DEFAULT.
 * 2. What is assigned is cast as PostgreSQL assigns; a literal is in its storage form already.
 * 3. RETURNING names the target's columns bare, since SQLite knows no alias there; a subquery that refers to them is refused.
 */
#include "sql/translate_int.h"

/* Parts of a statement that is run row by row where its table has triggers (query/change.c): \x01P1\x02 … stand between them, \x01K3\x02 behind the name of
 * column 3, \x01Q0\x02 behind what it is set to. */
#define PART(n)                                                                                                                  \
    "\x01"                                                                                                                       \
    "P" #n "\x02"

static str marked(struct sql_context *cx, const struct catalog_column *c) {
    return sql_fmt(cx,
                   STR_FMT "\x01"
                           "K%u\x02",
                   STR_ARG(sql_quoted(cx->mem, c->storage.n ? c->storage : c->name)), c->number);
}

/* What a statement writes to. */
struct target {
    const struct catalog_relation *relation;
    struct sql_item *item;
    str mark;
};

/* event: CATALOG_TRIGGER_… of what is done to it. */
static err open_target(struct sql_context *cx, const PgQuery__RangeVar *var, uint32_t event, struct target *t) {
    TRY(sql_relation_item(cx, var, &t->relation));
    if (t->relation->kind != CATALOG_TABLE && !catalog_is_instead(t->relation, event))
        return sql_unsupported(cx, var->location, "writing to a view", "Write to the table that it reads.");
    str alias = var->alias ? str_c(var->alias->aliasname) : (str){0};
    t->item = sql_item_of_relation(cx, t->relation, alias, sql_alias(cx));
    t->mark = sql_relation_mark(cx, t->relation);
    return ERR_OK;
}

static err column_named(struct sql_context *cx, const struct target *t, const PgQuery__ResTarget *r,
                        const struct catalog_column **out) {
    *out = catalog_column_named(t->relation, str_c(r->name));
    if (!*out)
        return sql_refuse(cx, r->location, "42703", "column \"%s\" of relation \"" STR_FMT "\" does not exist", r->name,
                          STR_ARG(t->relation->name));
    return ERR_OK;
}

static err no_part(struct sql_context *cx, const PgQuery__ResTarget *r) {
    return r->n_indirection ? sql_unsupported(cx, r->location, "assigning to a part of a column here", "Assign the whole value.")
                            : ERR_OK;
}

static str storage_of(struct sql_context *cx, const struct catalog_column *c) {
    return sql_quoted(cx->mem, c->storage.n ? c->storage : c->name);
}

static err wrong_type(struct sql_context *cx, const struct catalog_column *c, uint32_t from, int32_t location) {
    err e = sql_refuse(cx, location, "42804", "column \"" STR_FMT "\" is of type " STR_FMT " but expression is of type " STR_FMT,
                       STR_ARG(c->name), STR_ARG(sql_type_name(cx, c->type)), STR_ARG(sql_type_name(cx, from)));
    sql_hint(cx, "You will need to rewrite or cast the expression.");
    return e;
}

/* Is it SQLite's rowid, which would be made up for a null? */
static bool is_rowid(struct sql_context *cx, const struct catalog_relation *r, const struct catalog_column *c) {
    const struct catalog_constraint *key = catalog_primary_key(r);
    const struct pg_type *t = sql_type_of(cx, c->type);
    return key && key->columns.n == 1 && key->columns.p[0] == c->number && t && t->storage == PG_STORED_INTEGER;
}

static str not_null_text(struct sql_context *cx, const struct catalog_relation *r, const struct catalog_column *c) {
    str message = sql_fmt(cx, "null value in column \"" STR_FMT "\" of relation \"" STR_FMT "\" violates not-null constraint",
                          STR_ARG(c->name), STR_ARG(r->name));
    return sql_fmt(cx, "pg_refuse('23502', " STR_FMT ")", STR_ARG(sql_literal_text(cx->mem, message)));
}

static str never_null(struct sql_context *cx, const struct catalog_relation *r, const struct catalog_column *c, str text,
                      uint32_t flags) {
    if (flags & SQL_NOT_NULL || !is_rowid(cx, r, c)) return text;
    return str_eqc(text, "null")
               ? not_null_text(cx, r, c)
               : sql_fmt(cx, "coalesce(" STR_FMT ", " STR_FMT ")", STR_ARG(text), STR_ARG(not_null_text(cx, r, c)));
}

static err assign(struct sql_context *cx, const struct catalog_column *c, struct sql_value *v) {
    bool can;
    uint32_t from = v->type;
    if (v->row && !sql_is_composite(cx, c->type)) return wrong_type(cx, c, v->type, v->location);
    TRY(sql_coerce(cx, v, c->type, c->typmod, PG_ASSIGNMENT, &can));
    if (can) sql_pack(cx, v);
    return can ? ERR_OK : wrong_type(cx, c, from, v->location);
}

/* ---- defaults ---- */

static err default_text(struct sql_context *cx, const struct catalog_column *c, str *text, uint32_t *flags) {
    const struct catalog_expr *d = catalog_default_of(cx->catalog, c);
    *text = (str){0};
    if (!d->source.n && c->sequence) {
        *text = sql_fmt(cx, "pg_nextval(%u)", c->sequence);
        *flags |= SQL_VOLATILE | SQL_RAISES;
        return ERR_OK;
    }
    if (!d->source.n) return ERR_OK;
    if (!d->fragment.text.n)
        return sql_unsupported(cx, -1, (const char *)sql_fmt(cx, "the default of column \"" STR_FMT "\"", STR_ARG(c->name)).p,
                               arena_cstr(cx->mem, d->why_not));
    *text = d->fragment.text;
    if (d->fragment.flags & CATALOG_VOLATILE) *flags |= SQL_VOLATILE;
    if (d->fragment.flags & CATALOG_SESSION) *flags |= SQL_SESSION;
    if (!(d->fragment.flags & CATALOG_SAFE)) *flags |= SQL_RAISES;
    return ERR_OK;
}

static err default_or_null(struct sql_context *cx, const struct catalog_column *c, struct sql_value *v) {
    *v = sql_null_of(c->type);
    v->flags = 0;
    TRY(default_text(cx, c, &v->text, &v->flags));
    if (!v->text.n) v->text = STR("null");
    return ERR_OK;
}

/* ---- INSERT ---- */

struct insert {
    struct target t;
    VEC(const struct catalog_column *) columns; /* that are given */
    VEC(const struct catalog_column *) filled;  /* that defaults fill */
    VEC(str) defaults;
    bool overrides_system, overrides_user;
    uint32_t flags;
};

static err insert_columns(struct sql_context *cx, const PgQuery__InsertStmt *s, struct insert *in) {
    const struct catalog_relation *r = in->t.relation;
    if (!s->n_cols)
        for (uint32_t i = 0; i < r->columns.n; i++) vec_push(cx->mem, &in->columns, &r->columns.p[i]);
    for (size_t i = 0; i < s->n_cols; i++) {
        const struct catalog_column *c;
        TRY(column_named(cx, &in->t, s->cols[i]->res_target, &c));
        TRY(no_part(cx, s->cols[i]->res_target));
        for (uint32_t k = 0; k < in->columns.n; k++)
            if (in->columns.p[k] == c)
                return sql_refuse(cx, s->cols[i]->res_target->location, "42701",
                                  "column \"" STR_FMT "\" specified more than once", STR_ARG(c->name));
        vec_push(cx->mem, &in->columns, c);
    }
    return ERR_OK;
}

/* May it be given a value that is not its default? */
static err check_given(struct sql_context *cx, const struct insert *in, const struct catalog_column *c, int32_t location) {
    if (c->generated) {
        err e =
            sql_refuse(cx, location, "428C9", "cannot insert a non-DEFAULT value into column \"" STR_FMT "\"", STR_ARG(c->name));
        sql_detail(cx, "Column \"" STR_FMT "\" is a generated column.", STR_ARG(c->name));
        return e;
    }
    if (c->identity != CATALOG_IDENTITY_ALWAYS || in->overrides_system || in->overrides_user) return ERR_OK;
    err e = sql_refuse(cx, location, "428C9", "cannot insert a non-DEFAULT value into column \"" STR_FMT "\"", STR_ARG(c->name));
    sql_detail(cx, "Column \"" STR_FMT "\" is an identity column defined as GENERATED ALWAYS.", STR_ARG(c->name));
    sql_hint(cx, "Use OVERRIDING SYSTEM VALUE to override.");
    return e;
}

static err fill_defaults(struct sql_context *cx, struct insert *in) {
    const struct catalog_relation *r = in->t.relation;
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *c = &r->columns.p[i];
        bool given = c->generated;
        for (uint32_t k = 0; k < in->columns.n; k++) given |= in->columns.p[k] == c;
        str text;
        if (given) continue;
        TRY(default_text(cx, c, &text, &in->flags));
        if (!text.n && is_rowid(cx, r, c)) text = not_null_text(cx, r, c);
        if (!text.n) continue;
        vec_push(cx->mem, &in->filled, c);
        vec_push(cx->mem, &in->defaults, text);
    }
    return ERR_OK;
}

static err count_fits(struct sql_context *cx, const PgQuery__InsertStmt *s, struct insert *in, uint32_t n) {
    if (n > in->columns.n) return sql_refuse(cx, -1, "42601", "INSERT has more expressions than target columns");
    if (n < in->columns.n && s->n_cols) return sql_refuse(cx, -1, "42601", "INSERT has more target columns than expressions");
    in->columns.n = n; /* without a list: the first ones */
    return ERR_OK;
}

static err values_row(struct sql_context *cx, const PgQuery__List *list, struct insert *in, str *out) {
    VEC(str) cells = {0};
    for (size_t i = 0; i < list->n_items; i++) {
        const struct catalog_column *c = in->columns.p[i];
        struct sql_value v;
        bool is_default = list->items[i]->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
        if (is_default || (in->overrides_user && c->identity)) {
            TRY(default_or_null(cx, c, &v));
        } else {
            TRY(sql_expr(cx, list->items[i], &v));
            TRY(check_given(cx, in, c, v.location));
            TRY(assign(cx, c, &v));
        }
        in->flags |= v.flags & SQL_INHERITED;
        if (!c->generated) vec_push(cx->mem, &cells, never_null(cx, in->t.relation, c, v.text, v.flags));
    }
    for (uint32_t i = 0; i < in->defaults.n; i++) vec_push(cx->mem, &cells, in->defaults.p[i]);
    *out = sql_fmt(cx, "(" STR_FMT ")", STR_ARG(sql_joined(cx, cells.p, cells.n, ", ")));
    return ERR_OK;
}

/* SQLite evaluates a single row of VALUES again for each BEFORE trigger, which a check of a policy is: what is volatile would be checked as one value and
 * written as another. */
static str once(struct sql_context *cx, str row) { return sql_fmt(cx, "select " STR_FMT " where true", STR_ARG(row)); }

static err insert_values(struct sql_context *cx, const PgQuery__InsertStmt *s, const PgQuery__SelectStmt *select,
                         struct insert *in, str *body) {
    size_t n = select->values_lists[0]->list->n_items;
    TRY(count_fits(cx, s, in, (uint32_t)n));
    TRY(fill_defaults(cx, in));
    VEC(str) rows = {0};
    for (size_t i = 0; i < select->n_values_lists; i++) {
        const PgQuery__List *list = select->values_lists[i]->list;
        if (list->n_items != n) return sql_refuse(cx, -1, "42601", "VALUES lists must all be the same length");
        str row;
        TRY(values_row(cx, list, in, &row));
        vec_push(cx->mem, &rows, row);
    }
    str row = rows.n == 1 ? str_sub(rows.p[0], 1, rows.p[0].n - 2) : (str){0};
    *body = rows.n == 1 && in->flags & SQL_VOLATILE
                ? once(cx, row)
                : sql_fmt(cx, "values " STR_FMT, STR_ARG(sql_joined(cx, rows.p, rows.n, ", ")));
    return ERR_OK;
}

static err insert_select(struct sql_context *cx, const PgQuery__InsertStmt *s, const PgQuery__SelectStmt *select,
                         struct insert *in, str *body) {
    struct sql_part p;
    TRY(sql_part_read(cx, select, &p));
    TRY(count_fits(cx, s, in, p.targets.n));
    TRY(fill_defaults(cx, in));
    VEC(str) cells = {0};
    for (uint32_t i = 0; i < p.targets.n; i++) {
        const struct catalog_column *c = in->columns.p[i];
        bool can = !p.targets.p[i].row || (p.kind == SQL_PART_SELECT && sql_is_composite(cx, c->type));
        uint32_t from = p.targets.p[i].type;
        TRY(check_given(cx, in, c, p.targets.p[i].location));
        if (can) TRY(sql_part_column_to(cx, &p, i, c->type, c->typmod, PG_ASSIGNMENT, &can));
        if (!can) return wrong_type(cx, c, from, p.targets.p[i].location);
        sql_pack(cx, &p.targets.p[i]);
        vec_push(cx->mem, &cells, never_null(cx, in->t.relation, c, sql_fmt(cx, "c%u", i + 1), p.targets.p[i].flags));
    }
    for (uint32_t i = 0; i < in->defaults.n; i++) vec_push(cx->mem, &cells, in->defaults.p[i]);
    in->flags |= p.flags;
    *body = sql_fmt(cx, "select " STR_FMT " from (" STR_FMT ") where true", STR_ARG(sql_joined(cx, cells.p, cells.n, ", ")),
                    STR_ARG(sql_part_print(cx, &p, NULL)));
    return ERR_OK;
}

static bool is_plain_values(const PgQuery__SelectStmt *s) {
    for (size_t i = 0; i < s->n_values_lists; i++)
        if (sql_has_star(s->values_lists[i]->list)) return false;
    return s->n_values_lists && !s->n_sort_clause && !s->limit_count && !s->limit_offset && !s->with_clause;
}

static err insert_source(struct sql_context *cx, const PgQuery__InsertStmt *s, struct insert *in, str *body) {
    if (!s->select_stmt) { /* DEFAULT VALUES */
        in->columns.n = 0;
        TRY(fill_defaults(cx, in));
        *body = in->defaults.n ? once(cx, sql_joined(cx, in->defaults.p, in->defaults.n, ", ")) : STR("default values");
        return ERR_OK;
    }
    const PgQuery__SelectStmt *select = s->select_stmt->select_stmt;
    return is_plain_values(select) ? insert_values(cx, s, select, in, body) : insert_select(cx, s, select, in, body);
}

static str insert_list(struct sql_context *cx, const struct insert *in) {
    VEC(str) names = {0};
    for (uint32_t i = 0; i < in->columns.n; i++)
        if (!in->columns.p[i]->generated) vec_push(cx->mem, &names, marked(cx, in->columns.p[i]));
    for (uint32_t i = 0; i < in->filled.n; i++) vec_push(cx->mem, &names, marked(cx, in->filled.p[i]));
    return names.n ? sql_fmt(cx, " (" STR_FMT ")", STR_ARG(sql_joined(cx, names.p, names.n, ", "))) : (str){0};
}

/* ---- SET ---- */

static err set_value(struct sql_context *cx, const struct catalog_relation *r, const struct catalog_column *c,
                     const PgQuery__Node *node, str *text, uint32_t *flags) {
    struct sql_value v;
    bool is_default = node->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT;
    if ((c->generated || c->identity == CATALOG_IDENTITY_ALWAYS) && !is_default) {
        err e = sql_refuse(cx, sql_location_of(node), "428C9", "column \"" STR_FMT "\" can only be updated to DEFAULT",
                           STR_ARG(c->name));
        sql_detail(cx,
                   c->generated ? "Column \"" STR_FMT "\" is a generated column."
                                : "Column \"" STR_FMT "\" is an identity column defined as GENERATED ALWAYS.",
                   STR_ARG(c->name));
        return e;
    }
    if (is_default) {
        TRY(default_or_null(cx, c, &v));
    } else {
        TRY(sql_expr(cx, node, &v));
        TRY(assign(cx, c, &v));
    }
    *flags |= v.flags & SQL_INHERITED;
    *text = never_null(cx, r, c, v.text, v.flags);
    return ERR_OK;
}

/* (a, b) = (select …): all columns of it at once. */
static err set_from_query(struct sql_context *cx, const struct target *t, PgQuery__Node *const *nodes, size_t n,
                          const PgQuery__SubLink *link, str *text, uint32_t *flags) {
    struct sql_part p;
    TRY(sql_part_read(cx, link->subselect->select_stmt, &p));
    if (p.targets.n != n) return sql_refuse(cx, link->location, "42601", "number of columns does not match number of values");
    VEC(str) names = {0};
    for (size_t i = 0; i < n; i++) {
        const struct catalog_column *c;
        bool can = !p.targets.p[i].row;
        uint32_t from = p.targets.p[i].type;
        TRY(column_named(cx, t, nodes[i]->res_target, &c));
        TRY(no_part(cx, nodes[i]->res_target));
        if (c->generated)
            return sql_refuse(cx, -1, "428C9", "column \"" STR_FMT "\" can only be updated to DEFAULT", STR_ARG(c->name));
        if (can) TRY(sql_part_column_to(cx, &p, (uint32_t)i, c->type, c->typmod, PG_ASSIGNMENT, &can));
        if (!can) return wrong_type(cx, c, from, link->location);
        vec_push(cx->mem, &names, storage_of(cx, c));
    }
    *flags |= p.flags;
    *text = sql_fmt(cx, "(" STR_FMT ") = (" STR_FMT ")", STR_ARG(sql_joined(cx, names.p, names.n, ", ")),
                    STR_ARG(sql_part_print(cx, &p, NULL)));
    return ERR_OK;
}

/* SET c.field = a: the composite with another field. */
static err set_field(struct sql_context *cx, const struct catalog_column *c, const PgQuery__ResTarget *r, struct sql_value *v) {
    str name = sql_name_of(r->indirection[0]);
    struct sql_value part;
    TRY(sql_expr(cx, r->val, &part));
    sql_unpack(cx, v);
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    *row = *v->row;
    row->values = arena_array(cx->mem, struct sql_value, row->n + 1);
    row->present = (str){0};
    uint32_t at = row->n;
    for (uint32_t i = 0; i < row->n; i++) {
        row->values[i] = v->row->values[i];
        if (str_eq(row->names[i], name)) at = i;
    }
    if (at == row->n)
        return sql_refuse(cx, r->location, "42703",
                          "cannot assign to field \"" STR_FMT "\" of column \"" STR_FMT
                          "\" because there is no such column in data type " STR_FMT,
                          STR_ARG(name), STR_ARG(c->name), STR_ARG(sql_type_name(cx, c->type)));
    bool can;
    TRY(sql_coerce(cx, &part, row->values[at].type, row->values[at].typmod, PG_ASSIGNMENT, &can));
    if (!can)
        return sql_refuse(cx, part.location, "42804",
                          "subfield \"" STR_FMT "\" is of type " STR_FMT " but expression is of type " STR_FMT, STR_ARG(name),
                          STR_ARG(sql_type_name(cx, row->values[at].type)), STR_ARG(sql_type_name(cx, part.type)));
    row->values[at] = part;
    v->row = row;
    sql_pack(cx, v);
    return ERR_OK;
}

/* SET c[i] = a, c[j] = b: what c is, with each of them. */
static err set_parts(struct sql_context *cx, const struct target *t, const struct catalog_column *c, PgQuery__Node *const *nodes,
                     size_t n, str *text, uint32_t *flags) {
    struct sql_value v = t->item->columns[c - t->relation->columns.p].value;
    for (size_t i = 0; i < n; i++) {
        const PgQuery__ResTarget *r = nodes[i]->res_target;
        struct sql_value part;
        bool can = false;
        if (!r->n_indirection || !str_eqc(c->name, r->name)) continue;
        if (r->n_indirection == 1 && r->indirection[0]->node_case == PG_QUERY__NODE__NODE_STRING &&
            sql_is_composite(cx, c->type)) {
            TRY(set_field(cx, c, r, &v));
            continue;
        }
        uint32_t type = sql_part_type(cx, c->type, r->indirection, r->n_indirection), from;
        TRY(sql_expr(cx, r->val, &part));
        from = part.type;
        if (type && !part.row) TRY(sql_coerce(cx, &part, type, c->typmod, PG_ASSIGNMENT, &can));
        if (type && !can)
            return sql_refuse(cx, part.location, "42804",
                              "subscripted assignment to \"" STR_FMT "\" requires type " STR_FMT
                              " but expression is of type " STR_FMT,
                              STR_ARG(c->name), STR_ARG(sql_type_name(cx, type)), STR_ARG(sql_type_name(cx, from)));
        TRY(sql_set_part(cx, c->name, &v, r->indirection, r->n_indirection, &part));
    }
    if (sql_base_type(cx, c->type) != c->type) TRY(assign(cx, c, &v));
    *flags |= v.flags & SQL_INHERITED;
    *text = v.text;
    return ERR_OK;
}

static err set_one(struct sql_context *cx, const struct target *t, PgQuery__Node *const *nodes, size_t n, size_t *at,
                   catalog_ids *seen, str *out, uint32_t *flags) {
    const PgQuery__ResTarget *r = nodes[*at]->res_target;
    const struct catalog_column *c;
    const PgQuery__Node *val = r->val;
    str value = {0};
    TRY(column_named(cx, t, r, &c));
    *out = (str){0};
    bool first = true;
    for (size_t i = 0; i < *at; i++)
        first &= !nodes[i]->res_target->n_indirection || strcmp(nodes[i]->res_target->name, r->name) != 0;
    if (r->n_indirection && !first) return ++*at, ERR_OK; /* is set with the first of its parts */
    if (catalog_ids_have(seen, c->number))
        return sql_refuse(cx, r->location, "42601", "multiple assignments to same column \"" STR_FMT "\"", STR_ARG(c->name));
    vec_push(cx->mem, seen, c->number);
    if (val->node_case == PG_QUERY__NODE__NODE_MULTI_ASSIGN_REF) {
        const PgQuery__MultiAssignRef *m = val->multi_assign_ref;
        size_t count = (size_t)m->ncolumns, part = (size_t)m->colno - 1;
        if (m->source->node_case == PG_QUERY__NODE__NODE_SUB_LINK) {
            if (*at + count > n) return ERR_INVALID;
            TRY(set_from_query(cx, t, nodes + *at, count, m->source->sub_link, out, flags));
            *at += count;
            return ERR_OK;
        }
        if (m->source->node_case != PG_QUERY__NODE__NODE_ROW_EXPR || part >= m->source->row_expr->n_args ||
            m->source->row_expr->n_args != count)
            return sql_refuse(cx, r->location, "42601", "number of columns does not match number of values");
        val = m->source->row_expr->args[part];
    }
    if (c->generated && val->node_case == PG_QUERY__NODE__NODE_SET_TO_DEFAULT) return ++*at, ERR_OK; /* it is that anyway */
    if (r->n_indirection) TRY(set_parts(cx, t, c, nodes, n, &value, flags));
    else TRY(set_value(cx, t->relation, c, val, &value, flags));
    *out = sql_fmt(cx,
                   STR_FMT " = " STR_FMT "\x01"
                           "Q0\x02",
                   STR_ARG(marked(cx, c)), STR_ARG(value));
    ++*at;
    return ERR_OK;
}

static err set_list(struct sql_context *cx, const struct target *t, PgQuery__Node *const *nodes, size_t n, str *text,
                    uint32_t *flags) {
    VEC(str) parts = {0};
    catalog_ids seen = {0};
    for (size_t i = 0; i < n;) {
        str one;
        TRY(set_one(cx, t, nodes, n, &i, &seen, &one, flags));
        if (one.n) vec_push(cx->mem, &parts, one);
    }
    for (uint32_t i = 0; !parts.n && i < t->relation->columns.n;
         i++) /* generated ones alone were set, to DEFAULT: nothing changes */
        if (!t->relation->columns.p[i].generated)
            vec_push(cx->mem, &parts,
                     sql_fmt(cx,
                             STR_FMT " = " STR_FMT "\x01"
                                     "Q0\x02",
                             STR_ARG(marked(cx, &t->relation->columns.p[i])), STR_ARG(t->item->columns[i].value.text)));
    *text = sql_joined(cx, parts.p, parts.n, ", ");
    return ERR_OK;
}

/* ---- ON CONFLICT ---- */

static struct sql_item *bare_item(struct sql_context *cx, const struct catalog_relation *r, str name, str alias) {
    struct sql_item *item = sql_item_of_relation(cx, r, name, alias);
    return item;
}

static bool same_columns(const catalog_ids *a, const catalog_ids *b) {
    if (a->n != b->n) return false;
    for (uint32_t i = 0; i < a->n; i++)
        if (!catalog_ids_have(b, a->p[i])) return false;
    return true;
}

static bool index_matches(const struct catalog_index *x, const catalog_ids *columns, bool partial) {
    if (!x->unique || x->exclusion || (x->where.source.n > 0 && !partial) || x->keys.n != columns->n) return false;
    for (uint32_t k = 0; k < x->keys.n; k++)
        if (!catalog_ids_have(columns, x->keys.p[k].column)) return false;
    return true;
}

static bool has_arbiter(const struct catalog_relation *r, const catalog_ids *columns, bool partial) {
    for (uint32_t i = 0; i < r->constraints.n; i++) {
        const struct catalog_constraint *c = &r->constraints.p[i];
        if ((c->kind == CATALOG_PRIMARY || c->kind == CATALOG_UNIQUE) && same_columns(&c->columns, columns)) return true;
    }
    for (uint32_t i = 0; i < r->indexes.n; i++)
        if (index_matches(&r->indexes.p[i], columns, partial)) return true;
    return false;
}

static str columns_text(struct sql_context *cx, const struct catalog_relation *r, const catalog_ids *columns) {
    VEC(str) names = {0};
    for (uint32_t i = 0; i < columns->n; i++) vec_push(cx->mem, &names, marked(cx, catalog_column_of(r, columns->p[i])));
    return sql_fmt(cx, " (" STR_FMT ")", STR_ARG(sql_joined(cx, names.p, names.n, ", ")));
}

static err arbiter_constraint(struct sql_context *cx, const struct catalog_relation *r, const PgQuery__InferClause *i,
                              str *text) {
    const struct catalog_constraint *c = catalog_constraint_named(r, str_c(i->conname));
    if (!c || (c->kind != CATALOG_PRIMARY && c->kind != CATALOG_UNIQUE))
        return sql_refuse(cx, i->location, "42704", "constraint \"%s\" for table \"" STR_FMT "\" does not exist", i->conname,
                          STR_ARG(r->name));
    *text = columns_text(cx, r, &c->columns);
    return ERR_OK;
}

/* With names as an index has them: bare. */
static err bare_expr(struct sql_context *cx, const struct target *t, const PgQuery__Node *node, bool condition, str *text) {
    struct sql_scope scope = {0};
    struct sql_value v;
    sql_scope_open(cx, &scope);
    struct sql_item *item = sql_item_of_relation(cx, t->relation, t->item->name, (str){0});
    for (uint32_t i = 0; i < item->n; i++) item->columns[i].value.text = storage_of(cx, &t->relation->columns.p[i]);
    vec_push(cx->mem, &scope.items, item);
    err e = condition ? sql_condition(cx, node, "WHERE", &v) : sql_expr(cx, node, &v);
    sql_scope_close(cx, &scope);
    *text = v.text;
    return e;
}

static err arbiter_columns(struct sql_context *cx, const struct target *t, const PgQuery__InferClause *i, str *text) {
    catalog_ids columns = {0};
    VEC(str) parts = {0};
    bool expressions = false;
    for (size_t k = 0; k < i->n_index_elems; k++) {
        const PgQuery__IndexElem *e = i->index_elems[k]->index_elem;
        str one;
        if (e->name && e->name[0]) {
            const struct catalog_column *c = catalog_column_named(t->relation, str_c(e->name));
            if (!c) return sql_refuse(cx, i->location, "42703", "column \"%s\" does not exist", e->name);
            vec_push(cx->mem, &columns, c->number);
            one = marked(cx, c);
        } else {
            expressions = true;
            TRY(bare_expr(cx, t, e->expr, false, &one));
        }
        vec_push(cx->mem, &parts, one);
    }
    if (!expressions && !has_arbiter(t->relation, &columns, i->where_clause != NULL))
        return sql_refuse(cx, -1, "42P10", "there is no unique or exclusion constraint matching the ON CONFLICT specification");
    *text = sql_fmt(cx, " (" STR_FMT ")", STR_ARG(sql_joined(cx, parts.p, parts.n, ", ")));
    if (!i->where_clause) return ERR_OK;
    str where;
    TRY(bare_expr(cx, t, i->where_clause, true, &where));
    *text = sql_fmt(cx, STR_FMT " where " STR_FMT, STR_ARG(*text), STR_ARG(where));
    return ERR_OK;
}

static err conflict_update(struct sql_context *cx, const PgQuery__OnConflictClause *c, struct insert *in, str *text) {
    struct sql_scope scope = {0};
    sql_scope_open(cx, &scope);
    struct sql_item *excluded = bare_item(cx, in->t.relation, STR("excluded"), STR("excluded"));
    excluded->names_columns = false;
    vec_push(cx->mem, &scope.items, in->t.item);
    vec_push(cx->mem, &scope.items, excluded);
    sql_values conjuncts = {0};
    str set, where = {0};
    err e = set_list(cx, &in->t, c->target_list, c->n_target_list, &set, &in->flags);
    if (e == ERR_OK) e = sql_where(cx, c->where_clause, &conjuncts, &where);
    sql_scope_close(cx, &scope);
    TRY(e);
    *text = sql_fmt(cx, " do update set " STR_FMT PART(7) "%s" STR_FMT, STR_ARG(set), where.n ? " where " : "", STR_ARG(where));
    return ERR_OK;
}

static err on_conflict(struct sql_context *cx, const PgQuery__OnConflictClause *c, struct insert *in, str *text) {
    *text = (str){0};
    if (!c) return ERR_OK;
    str arbiter = {0}, action = STR(" do nothing");
    if (c->infer)
        TRY(c->infer->conname && c->infer->conname[0] ? arbiter_constraint(cx, in->t.relation, c->infer, &arbiter)
                                                      : arbiter_columns(cx, &in->t, c->infer, &arbiter));
    if (c->action == PG_QUERY__ON_CONFLICT_ACTION__ONCONFLICT_UPDATE) {
        if (!c->infer) {
            err e =
                sql_refuse(cx, c->location, "42601", "ON CONFLICT DO UPDATE requires inference specification or constraint name");
            sql_hint(cx, "For example, ON CONFLICT (column_name).");
            return e;
        }
        TRY(conflict_update(cx, c, in, &action));
    }
    *text = sql_fmt(cx, " on conflict" STR_FMT PART(6) STR_FMT, STR_ARG(arbiter), STR_ARG(action));
    return ERR_OK;
}

/* ---- RETURNING ---- */

static err returning_column(struct sql_context *cx, const struct sql_scope *scope, struct sql_column *c) {
    TRY(sql_settle(cx, &c->value));
    sql_pack(cx, &c->value);
    if (c->value.row) return sql_unsupported(cx, c->value.location, "a row in RETURNING", "Name its columns.");
    bool correlated = c->value.flags & SQL_SUBQUERY && c->value.levels & (1ull << scope->level);
    if (correlated)
        return sql_unsupported(cx, c->value.location, "a subquery in RETURNING that refers to the row", "Select it afterwards.");
    return ERR_OK;
}

/* SQLite's RETURNING knows the target alone. */
static err returns_target(struct sql_context *cx, PgQuery__Node *const *nodes, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (sql_is_star(nodes[i]->res_target->val) && nodes[i]->res_target->val->column_ref->n_fields == 1)
            return sql_unsupported(cx, nodes[i]->res_target->location, "RETURNING of all tables' columns",
                                   "Name the target's columns, or write target.*.");
    return ERR_OK;
}

static err returning(struct sql_context *cx, const struct target *t, PgQuery__Node *const *nodes, size_t n, bool numbered,
                     str *text, struct sql_columns *columns, uint32_t *flags) {
    *text = (str){0};
    if (!n) return ERR_OK;
    struct sql_scope scope = {.no_aggregates = true, .no_windows = true, .clause = "RETURNING"};
    sql_scope_open(cx, &scope);
    struct sql_item *item = sql_item_of_relation(cx, t->relation, t->item->name, (str){0});
    for (uint32_t i = 0; i < item->n; i++) item->columns[i].value.text = storage_of(cx, &t->relation->columns.p[i]);
    item->schema = t->item->schema;
    vec_push(cx->mem, &scope.items, item);
    sql_column_list list = {0};
    err e = sql_target_list(cx, nodes, n, &list);
    for (uint32_t i = 0; i < list.n && e == ERR_OK; i++) e = returning_column(cx, &scope, &list.p[i]);
    sql_scope_close(cx, &scope);
    TRY(e);
    VEC(str) parts = {0};
    columns->p = arena_array(cx->mem, struct sql_column_out, list.n + 1);
    for (uint32_t i = 0; i < list.n; i++) {
        const struct sql_value *v = &list.p[i].value;
        *flags |= v->flags & SQL_INHERITED;
        columns->p[columns->n++] =
            (struct sql_column_out){list.p[i].name, v->type, v->typmod, v->flags & SQL_NOT_NULL, sql_value_origin(v)};
        vec_push(cx->mem, &parts,
                 sql_fmt(cx, STR_FMT " as " STR_FMT, STR_ARG(v->text),
                         STR_ARG(numbered ? sql_fmt(cx, "c%u", i + 1) : sql_quoted(cx->mem, list.p[i].name))));
    }
    *text = sql_fmt(cx, " returning " STR_FMT, STR_ARG(sql_joined(cx, parts.p, parts.n, ", ")));
    return ERR_OK;
}

/* ---- the statements ---- */

static err with_of(struct sql_context *cx, const PgQuery__WithClause *w, str *text) {
    *text = (str){0};
    return w ? sql_with(cx, w, text) : ERR_OK;
}

static err insert(struct sql_context *cx, const PgQuery__InsertStmt *s, str *text, struct sql_columns *columns, uint32_t *flags) {
    struct insert in = {.overrides_system = s->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_SYSTEM_VALUE,
                        .overrides_user = s->override == PG_QUERY__OVERRIDING_KIND__OVERRIDING_USER_VALUE};
    str with, body, conflict, back;
    TRY(with_of(cx, s->with_clause, &with));
    TRY(open_target(cx, s->relation, CATALOG_TRIGGER_INSERT, &in.t));
    TRY(insert_columns(cx, s, &in));
    TRY(insert_source(cx, s, &in, &body));
    TRY(on_conflict(cx, s->on_conflict_clause, &in, &conflict));
    TRY(returning(cx, &in.t, s->returning_list, s->n_returning_list, false, &back, columns, &in.flags));
    bool nothing = str_eqc(body, "default values");
    *text = sql_fmt(cx,
                    STR_FMT PART(1) "insert into " STR_FMT " as " STR_FMT PART(2) STR_FMT PART(3) " " STR_FMT PART(4)
                        STR_FMT PART(5) STR_FMT,
                    STR_ARG(with), STR_ARG(in.t.mark), STR_ARG(in.t.item->alias),
                    STR_ARG(nothing ? (str){0} : insert_list(cx, &in)), STR_ARG(body), STR_ARG(conflict), STR_ARG(back));
    *flags = in.flags;
    return ERR_OK;
}

static err from_behind_target(struct sql_context *cx, const struct target *t, PgQuery__Node *const *nodes, size_t n, str *from) {
    *from = (str){0};
    TRY(sql_from(cx, nodes, n, from));
    for (uint32_t i = 0; i < cx->scope->items.n; i++) {
        const struct sql_item *it = cx->scope->items.p[i];
        if (it != t->item && it->names_itself && str_eq(it->name, t->item->name))
            return sql_refuse(cx, -1, "42712", "table name \"" STR_FMT "\" specified more than once", STR_ARG(it->name));
    }
    return ERR_OK;
}

static err update(struct sql_context *cx, const PgQuery__UpdateStmt *s, str *text, struct sql_columns *columns, uint32_t *flags) {
    struct target t;
    str with, from, set, where = {0}, back;
    sql_values conjuncts = {0};
    TRY(with_of(cx, s->with_clause, &with));
    TRY(open_target(cx, s->relation, CATALOG_TRIGGER_UPDATE, &t));
    TRY(from_behind_target(cx, &t, s->from_clause, s->n_from_clause, &from));
    typeof(cx->scope->items) items = cx->scope->items;
    memset(&cx->scope->items, 0, sizeof items);
    vec_push(cx->mem, &cx->scope->items, t.item);
    for (uint32_t i = 0; i < items.n; i++) vec_push(cx->mem, &cx->scope->items, items.p[i]);
    cx->scope->no_aggregates = cx->scope->no_windows = true;
    cx->scope->clause = "UPDATE";
    TRY(set_list(cx, &t, s->target_list, s->n_target_list, &set, flags));
    TRY(sql_where(cx, s->where_clause, &conjuncts, &where));
    for (uint32_t i = 0; i < conjuncts.n; i++) *flags |= conjuncts.p[i].flags & SQL_INHERITED;
    if (from.n) TRY(returns_target(cx, s->returning_list, s->n_returning_list));
    TRY(returning(cx, &t, s->returning_list, s->n_returning_list, false, &back, columns, flags));
    *text =
        sql_fmt(cx,
                STR_FMT PART(1) "update " STR_FMT
                                " as " STR_FMT PART(2) " set " STR_FMT PART(3) "%s" STR_FMT PART(4) "%s" STR_FMT PART(5) STR_FMT,
                STR_ARG(with), STR_ARG(t.mark), STR_ARG(t.item->alias), STR_ARG(set), from.n ? " from " : "", STR_ARG(from),
                where.n ? " where " : "", STR_ARG(where), STR_ARG(back));
    return ERR_OK;
}

static err delete (struct sql_context *cx, const PgQuery__DeleteStmt *s, str *text, struct sql_columns *columns,
                   uint32_t *flags) {
    struct target t;
    str with, from, where = {0}, back;
    sql_values conjuncts = {0};
    TRY(with_of(cx, s->with_clause, &with));
    TRY(open_target(cx, s->relation, CATALOG_TRIGGER_DELETE, &t));
    TRY(from_behind_target(cx, &t, s->using_clause, s->n_using_clause, &from));
    vec_push(cx->mem, &cx->scope->items, t.item);
    TRY(sql_where(cx, s->where_clause, &conjuncts, &where));
    for (uint32_t i = 0; i < conjuncts.n; i++) *flags |= conjuncts.p[i].flags & SQL_INHERITED;
    if (from.n)
        where = sql_fmt(cx, "exists (select 1 from " STR_FMT "%s" STR_FMT ")", STR_ARG(from), where.n ? " where " : "",
                        STR_ARG(where));
    if (from.n) TRY(returns_target(cx, s->returning_list, s->n_returning_list));
    TRY(returning(cx, &t, s->returning_list, s->n_returning_list, false, &back, columns, flags));
    *text = sql_fmt(cx, STR_FMT PART(1) "delete from " STR_FMT " as " STR_FMT PART(4) "%s" STR_FMT PART(5) STR_FMT, STR_ARG(with),
                    STR_ARG(t.mark), STR_ARG(t.item->alias), where.n ? " where " : "", STR_ARG(where), STR_ARG(back));
    return ERR_OK;
}

err sql_translate_dml(struct sql_context *cx, const PgQuery__Node *node, struct catalog_fragment *out,
                      struct sql_columns *columns) {
    struct sql_scope scope = {0};
    struct sql_columns back = {0};
    uint32_t flags = 0;
    str text = {0};
    err e = ERR_USAGE;
    sql_scope_open(cx, &scope);
    if (node->node_case == PG_QUERY__NODE__NODE_INSERT_STMT) e = insert(cx, node->insert_stmt, &text, &back, &flags);
    if (node->node_case == PG_QUERY__NODE__NODE_UPDATE_STMT) e = update(cx, node->update_stmt, &text, &back, &flags);
    if (node->node_case == PG_QUERY__NODE__NODE_DELETE_STMT) e = delete (cx, node->delete_stmt, &text, &back, &flags);
    sql_scope_close(cx, &scope);
    TRY(e);
    *out = (struct catalog_fragment){.text = text, .typmod = -1, .flags = CATALOG_WRITES};
    sql_fragment_flags(cx, flags, out);
    if (back.n) out->flags |= CATALOG_RETURNS;
    if (columns) *columns = back;
    return cx->problem.set ? ERR_LIMIT : ERR_OK;
}
