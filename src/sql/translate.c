/* translate: the doors of the translator: what comes in is a tree, what goes out is a fragment. */
#include "sql/translate_int.h"

void sql_fragment_flags(struct sql_context *cx, uint32_t flags, struct catalog_fragment *out) {
    if (!(flags & (SQL_RAISES | SQL_VOLATILE))) out->flags |= CATALOG_SAFE;
    if (flags & SQL_VOLATILE) out->flags |= CATALOG_VOLATILE;
    if (flags & SQL_SESSION) out->flags |= CATALOG_SESSION;
    if (flags & SQL_SUBQUERY) out->flags |= CATALOG_SUBQUERY;
    if (flags & SQL_CONSTANT) out->flags |= CATALOG_CONSTANT;
    out->reads = cx->reads;
    out->calls = cx->calls;
    out->schemas = cx->schemas;
}

/* In the middle of what it is going to be a part of: a policy's view, a trigger, a join. Marks stand for names. */
bool sql_reads(const struct sql_reader *reader, arena *mem, str text) {
    enum { AROUND = 24 };
    struct buf b = {0};
    struct catalog_mark m = {0};
    size_t from = 0;
    if (!reader || !text.n) return true;
    bool is_query = !str_starts(text, STR("insert")) && !str_starts(text, STR("update")) && !str_starts(text, STR("delete"));
    for (uint32_t i = 0; i < AROUND && is_query; i++) buf_puts(&b, i ? STR("(") : STR("select "));
    for (; catalog_mark_next(text, from, &m); from = m.end)
        buf_puts(&b, str_sub(text, from, m.at - from)), buf_puts(&b, m.kind && strchr("PKQ", m.kind) ? STR("") : STR("x.x"));
    buf_puts(&b, str_sub(text, from, text.n));
    for (uint32_t i = 0; i + 1 < AROUND && is_query; i++) buf_putc(&b, ')');
    bool reads = reader->reads(reader->arg, arena_str(mem, buf_str(&b)));
    buf_free(&b);
    return reads;
}

/* Where something grew too much, or nested too deep, the text is of no use. */
err sql_fragment_done(struct sql_context *cx, str text) {
    if (!cx->problem.set && !sql_reads(cx->reader, cx->mem, text)) {
        sql_refuse(cx, -1, "54001", "statement is too complex");
        sql_hint(cx, "Take a part of it into a function, a view or a WITH query.");
    }
    if (!cx->problem.set) return ERR_OK;
    return !strcmp(cx->problem.state, "0A000") ? ERR_UNSUPPORTED : !strcmp(cx->problem.state, "54001") ? ERR_LIMIT : ERR_INVALID;
}

str sql_raising(arena *mem, str what, str why_not) {
    str text = arena_fmt(mem, STR_FMT " cannot be run on SQLite: " STR_FMT, STR_ARG(what), STR_ARG(str_sub(why_not, 0, 400)));
    while (text.n && !str_is_utf8(text)) text.n--;
    return arena_fmt(mem, "pg_refuse('0A000', " STR_FMT ")", STR_ARG(sql_literal_text(mem, text)));
}

static err check_wanted(struct sql_context *cx, const struct sql_want *want, const struct sql_value *v) {
    const char *clause = want->clause ? want->clause : "this expression";
    if (v->row && !sql_is_row_type(cx, want->type))
        return sql_unsupported(cx, v->location, "a row as a value", "Name its columns.");
    if (v->row) return sql_unsupported(cx, v->location, "a row as a value", NULL);
    if (want->no_subquery && v->flags & SQL_SUBQUERY && !cx->calls.n)
        return sql_refuse(cx, v->location, "0A000", "cannot use subquery in %s", clause);
    if (want->no_volatile && v->flags & SQL_VOLATILE) return sql_refuse(cx, v->location, "42P17", "%s must be immutable", clause);
    return ERR_OK;
}

static err wanted_type(struct sql_context *cx, const struct sql_want *want, struct sql_value *v) {
    if (want->type == PG_NO_TYPE) return sql_settle(cx, v);
    bool can;
    uint32_t from = v->type;
    if (want->type == PG_BOOL && want->clause && !want->column.n) return sql_coerce_boolean(cx, v, want->clause);
    if (want->column.n && want->no_subquery) TRY(sql_coerce_column(cx, v, want->type, want->typmod, want->context, &can));
    else TRY(sql_coerce(cx, v, want->type, want->typmod, want->context, &can));
    if (can) sql_pack(cx, v);
    if (can) return ERR_OK;
    if (!want->column.n)
        return sql_refuse(cx, v->location, "42846", "cannot cast type " STR_FMT " to " STR_FMT, STR_ARG(sql_type_name(cx, from)),
                          STR_ARG(sql_type_name(cx, want->type)));
    err e = sql_refuse(cx, v->location, "42804",
                       "column \"" STR_FMT "\" is of type " STR_FMT " but default expression is of type " STR_FMT,
                       STR_ARG(want->column), STR_ARG(sql_type_name(cx, want->type)), STR_ARG(sql_type_name(cx, from)));
    sql_hint(cx, "You will need to rewrite or cast the expression.");
    return e;
}

err sql_translate_expr(struct sql_context *cx, const PgQuery__Node *node, const struct sql_want *want,
                       struct catalog_fragment *out) {
    static const struct sql_want any = {.typmod = -1};
    if (!want) want = &any;
    struct sql_value v;
    bool is_condition = want->clause && want->type == PG_BOOL && !want->column.n;
    cx->truth = is_condition;
    cx->condition = is_condition && (!strcmp(want->clause, "POLICY") || !strcmp(want->clause, "WHERE"));
    err e = sql_expr(cx, node, &v);
    cx->truth = cx->condition = false;
    TRY(e);
    if (!v.row || sql_is_composite(cx, want->type)) TRY(wanted_type(cx, want, &v));
    TRY(check_wanted(cx, want, &v));
    *out = (struct catalog_fragment){.text = v.text, .type = v.type, .typmod = v.typmod};
    sql_fragment_flags(cx, v.flags, out);
    return sql_fragment_done(cx, out->text);
}

static void columns_out(struct sql_context *cx, const struct sql_part *p, struct sql_columns *columns) {
    columns->n = p->targets.n;
    columns->p = arena_array(cx->mem, struct sql_column_out, p->targets.n + 1);
    for (uint32_t i = 0; i < p->targets.n; i++) {
        const struct sql_value *v = &p->targets.p[i];
        columns->p[i] = (struct sql_column_out){p->names.p[i], v->type, v->typmod, v->flags & SQL_NOT_NULL, sql_value_origin(v)};
    }
}

err sql_translate_query(struct sql_context *cx, const PgQuery__SelectStmt *select, const str *names, uint32_t names_count,
                        struct catalog_fragment *out, struct sql_columns *columns) {
    struct sql_part p;
    TRY(sql_part_read(cx, select, &p));
    TRY(sql_part_settle(cx, &p));
    for (uint32_t i = 0; i < p.targets.n; i++) {
        if (p.targets.p[i].row && names) /* a view's, of which somebody may want a field */
            return sql_unsupported(cx, p.targets.p[i].location, "a row as a column", "Name its columns, or use to_jsonb.");
        TRY(sql_row_shown(cx, &p.targets.p[i]));
    }
    if (names && names_count > p.targets.n)
        return sql_refuse(cx, -1, "42601", "CREATE VIEW specifies more column names than columns");
    str *all = arena_array(cx->mem, str, p.targets.n + 1);
    for (uint32_t i = 0; i < p.targets.n; i++) all[i] = names && i < names_count ? names[i] : p.names.p[i];
    *out = (struct catalog_fragment){.text = sql_part_print(cx, &p, all), .typmod = -1, .flags = CATALOG_SUBQUERY | CATALOG_SET};
    if (p.targets.n == 1) out->type = p.targets.p[0].type;
    sql_fragment_flags(cx, p.flags, out);
    if (columns) columns_out(cx, &p, columns);
    return sql_fragment_done(cx, out->text);
}

/* ---- views that are written through ---- */

static uint16_t number_of(struct sql_context *cx, const struct catalog_relation *base, str alias, str text) {
    for (uint32_t i = 0; i < base->columns.n; i++) {
        str column = sql_quoted(cx->mem, base->columns.p[i].storage);
        if (str_eq(text, sql_fmt(cx, STR_FMT "." STR_FMT, STR_ARG(alias), STR_ARG(column)))) return base->columns.p[i].number;
    }
    return 0;
}

/* The only relation of FROM, and nothing else there. */
static const struct catalog_relation *base_of(struct sql_context *cx, const PgQuery__SelectStmt *s, const struct sql_part *p,
                                              str *alias) {
    static const char as[] = " as ";
    struct catalog_mark m;
    if (s->n_from_clause != 1 || s->from_clause[0]->node_case != PG_QUERY__NODE__NODE_RANGE_VAR) return NULL;
    if (!catalog_mark_next(p->from, 0, &m) || m.at || !str_starts(str_sub(p->from, m.end, p->from.n), str_c(as))) return NULL;
    *alias = str_sub(p->from, m.end + sizeof as - 1, p->from.n);
    const struct catalog_relation *r = catalog_relation_of(cx->catalog, m.id);
    return r && r->kind != CATALOG_MATVIEW ? r : NULL;
}

/* In the order of PostgreSQL's view_query_is_auto_updatable. */
static const char *why_not_through(const PgQuery__SelectStmt *s, const struct sql_part *p) {
    if (s->n_distinct_clause) return "Views containing DISTINCT are not automatically updatable.";
    if (s->n_group_clause) return "Views containing GROUP BY are not automatically updatable.";
    if (s->having_clause) return "Views containing HAVING are not automatically updatable.";
    if (p->kind == SQL_PART_SETS) return "Views containing UNION, INTERSECT, or EXCEPT are not automatically updatable.";
    if (s->with_clause) return "Views containing WITH are not automatically updatable.";
    if (s->limit_count || s->limit_offset) return "Views containing LIMIT or OFFSET are not automatically updatable.";
    if (p->grouped) return "Views that return aggregate functions are not automatically updatable.";
    if (p->flags & SQL_WINDOWED) return "Views that return window functions are not automatically updatable.";
    if (p->sets) return "Views that return set-returning functions are not automatically updatable.";
    return NULL;
}

err sql_translate_through(struct sql_context *cx, const PgQuery__SelectStmt *select, const str *names, uint32_t names_count,
                          struct sql_through *out) {
    struct sql_part p;
    VEC(str) list = {0};
    str alias;
    TRY(sql_part_read(cx, select, &p));
    TRY(sql_part_settle(cx, &p));
    *out = (struct sql_through){.why_not = why_not_through(select, &p)};
    const struct catalog_relation *base = out->why_not ? NULL : base_of(cx, select, &p, &alias);
    if (!base && !out->why_not)
        out->why_not = "Views that do not select from a single table or view are not automatically updatable.";
    if (out->why_not) return ERR_OK;
    out->base = base->id;
    out->numbers = arena_array(cx->mem, uint16_t, p.targets.n + 1);
    out->count = MIN(p.targets.n, names_count);
    for (uint32_t i = 0; i < p.targets.n && i < names_count; i++) { /* of a * there may be more by now */
        str name = sql_quoted(cx->mem, names[i]);
        out->numbers[i] = number_of(cx, base, alias, p.targets.p[i].text);
        out->columns |= out->numbers[i] != 0;
        vec_push(cx->mem, &list, sql_fmt(cx, STR_FMT " as " STR_FMT ", ", STR_ARG(p.targets.p[i].text), STR_ARG(name)));
    }
    out->list = sql_fmt(cx, STR_FMT STR_FMT ".\"_orlo_k\" as \"_orlo_k\", " STR_FMT ".\"_orlo_p\" as \"_orlo_p\"",
                        STR_ARG(sql_joined(cx, list.p, list.n, "")), STR_ARG(alias), STR_ARG(alias));
    out->from = sql_fmt(cx,
                        "\x01"
                        "T%u\x02 as " STR_FMT,
                        base->id, STR_ARG(alias));
    out->where = p.where;
    return sql_fragment_done(cx, out->list);
}

err sql_translate_statement(struct sql_context *cx, const PgQuery__Node *statement, struct catalog_fragment *out,
                            struct sql_columns *columns) {
    if (statement->node_case == PG_QUERY__NODE__NODE_SELECT_STMT)
        return sql_translate_query(cx, statement->select_stmt, NULL, 0, out, columns);
    return sql_translate_dml(cx, statement, out, columns);
}
