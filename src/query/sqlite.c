/* sqlite: a resolved select as SQLite's text.
 *
 *   select q0."id", q0."title", (select query_row(1, q1."name") from "v…" as q1 where q1."id" = q0."owner")
 *   from "v…" as q0 where q0."done" = ?1 and case when q0."_orlo_p" then pg_text_like(q0."title", ?2) else 0 end order by q0."id" limit ?3
 *
 * 1. v… are views of the role (policy.c): rows that it may not see are not in them.
 * 2. A filter that compares plain columns stands bare, so that indexes serve it; it can neither raise nor tell anybody what it was given, whatever
 *    order SQLite takes. All others stand behind the policy, as _orlo_p, a column of the view: they are evaluated for rows that pass it alone. Of a view
 *    that the deployment made, whose policies lie deeper, the rows are made first (limit -1 keeps SQLite from taking it apart).
 * 3. What a function of the row is, is taken in, with names of its own (a1, a2 …): so this room's are q0, q1 …
 * 4. What rows are called in the answer, and their types, are shapes beside the text (query_row(shape, …)), not a part of it.
 */
#include "query/query_int.h"

void query_statement_free(struct query_statement *s) { buf_free(&s->sql); }

/* ---- words ---- */

#define PUT(p, text) buf_puts(&(p)->to->sql, STR(text))

void query_put_name(struct buf *b, str name) {
    buf_putc(b, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"') buf_putc(b, '"');
        buf_putc(b, name.p[i]);
    }
    buf_putc(b, '"');
}

void query_put_value(struct query_printing *p, struct db_value v) {
    vec_push(p->out, &p->to->values, v);
    buf_putc(&p->to->sql, '?');
    buf_u64(&p->to->sql, p->to->values.n);
}

/* Right behind the value before it, or where there is none before it: SQLite counts, which is the same number. It looks through all the numbers that a
 * text names for each that it names, so that of 30,000 it would take seconds. */
void query_put_next_value(struct query_printing *p, struct db_value v) {
    vec_push(p->out, &p->to->values, v);
    buf_putc(&p->to->sql, '?');
}

static void query_put_column(struct query_printing *p, uint32_t alias, str storage) {
    if (alias != QUERY_NO_ALIAS) buf_putc(&p->to->sql, 'q'), buf_u64(&p->to->sql, alias), buf_putc(&p->to->sql, '.');
    query_put_name(&p->to->sql, storage);
}

static const struct pg_type *type_of(const struct query_printing *p, uint32_t id) { return query_type_of(p->conn->types, id); }

static void put_collation(struct query_printing *p, uint32_t type) {
    const struct pg_type *t = type_of(p, type);
    if (t && t->collation[0]) buf_printf(&p->to->sql, " collate \"%s\"", t->collation);
}

/* ---- templates: the statement's text moves aside while an argument's is made ---- */

struct aside {
    struct buf was;
};
static struct aside begin_aside(struct query_printing *p) {
    struct aside a = {p->to->sql};
    p->to->sql = (struct buf){0};
    return a;
}
static str end_aside(struct query_printing *p, struct aside a) {
    str s = arena_str(p->out, buf_str(&p->to->sql));
    buf_free(&p->to->sql);
    p->to->sql = a.was;
    return s;
}

static str value_text(struct query_printing *p, struct db_value v) {
    struct aside a = begin_aside(p);
    query_put_value(p, v);
    return end_aside(p, a);
}

static struct pg_print_arg argument(const struct query_printing *p, str text, uint32_t type) {
    const struct pg_type *t = type_of(p, type);
    return (struct pg_print_arg){text, type, t ? t->collation : NULL};
}

static bool put_operator(struct query_printing *p, const char *name, struct pg_print_arg left, struct pg_print_arg right) {
    const struct pg_operator *op = query_operator_of(p->conn->types, name, left.type, right.type);
    if (!op) return query_fail(p->error, "0A000", "the operator %s is not there on SQLite", name);
    pg_how_print(&p->to->sql, &op->how, &(struct pg_print){(struct pg_print_arg[]){left, right}, 2, op->result, -1, false});
    return true;
}

/* ---- fields ---- */

/* The query that a function of a row is, of the row at alias. */
static bool put_computed(struct query_printing *p, const struct catalog_function *f, const struct catalog_relation *rows,
                         uint32_t alias) {
    struct query_expanding x = {.conn = p->conn,
                                .of = rows,
                                .at = QUERY_AT_ALIAS,
                                .alias = alias,
                                .role = f->definer ? f->owner : p->role,
                                .definer = f->definer ? f->owner : 0};
    return query_expand(&x, f->statements.p[0].text, &p->to->sql, p->error);
}

/* A path into what is no JSON is one into the JSON that is made of it. */
static bool made_json(struct query_printing *p, str *text, uint32_t *type) {
    uint32_t count;
    if (*type == PG_JSON || *type == PG_JSONB) return true;
    const struct pg_function *rows = pg_functions_named(STR("to_jsonb"), &count),
                             *make = query_function_of(p->conn->types, rows, count, type, 1);
    if (!make) return query_fail(p->error, "0A000", "no JSON is made of this type on SQLite");
    struct pg_print_arg arg = argument(p, *text, *type);
    struct aside a = begin_aside(p);
    pg_how_print(&p->to->sql, &make->how, &(struct pg_print){&arg, 1, PG_JSONB, -1, false});
    *text = end_aside(p, a);
    *type = PG_JSONB;
    return true;
}

static bool put_field(struct query_printing *p, uint32_t alias, const struct query_field *f) {
    const struct catalog_column *c =
        alias == QUERY_NO_ALIAS ? query_column_through(p->query, f->of) : f->of; /* of what is written */
    if (!f->computed && !f->steps_count) return query_put_column(p, alias, c->storage), true;
    struct aside a = begin_aside(p);
    uint32_t type = query_type_base(p->conn->types, f->of->type);
    bool there = true;
    if (!f->computed) query_put_column(p, alias, c->storage);
    else there = PUT(p, "(") && put_computed(p, f->computed, f->rows, alias) && PUT(p, ")");
    str text = end_aside(p, a);
    if (!there || (f->steps_count && !made_json(p, &text, &type))) return false;
    for (uint32_t i = 0; i < f->steps_count; i++) {
        const struct query_step *s = &f->steps[i];
        bool last = f->text && i + 1 == f->steps_count;
        a = begin_aside(p);
        struct db_value key = s->is_index ? DB_I64(s->index) : DB_TEXT(s->key);
        bool ok = put_operator(p, last ? "->>" : "->", argument(p, text, type),
                               argument(p, value_text(p, key), s->is_index ? PG_INT4 : PG_TEXT));
        text = end_aside(p, a);
        if (!ok) return false;
    }
    buf_puts(&p->to->sql, text);
    return true;
}

static str field_text(struct query_printing *p, uint32_t alias, const struct query_field *f, bool *ok) {
    struct aside a = begin_aside(p);
    *ok = put_field(p, alias, f);
    return end_aside(p, a);
}

static bool put_cast(struct query_printing *p, str text, uint32_t from, uint32_t to) {
    uint32_t base = query_type_base(p->conn->types, from);
    const struct pg_cast *cast = base == to ? NULL : pg_cast_find(base, query_type_base(p->conn->types, to));
    struct pg_print_arg arg = argument(p, text, base);
    if (cast) pg_how_print(&p->to->sql, &cast->how, &(struct pg_print){&arg, 1, to, -1, true});
    else buf_puts(&p->to->sql, text);
    return true;
}

/* ---- filters ---- */

static bool is_bare(const struct query_test *t) {
    return (query_ops[t->op].flags & QUERY_IS_BARE) && !t->field.steps_count && !t->field.computed;
}

bool query_where_is_bare(const struct query_where *w) {
    if (!w || w->kind == QUERY_HAS) return true;
    if (w->kind == QUERY_TEST) return is_bare(&w->test);
    for (uint32_t i = 0; i < w->parts_count; i++)
        if (!query_where_is_bare(&w->parts[i])) return false;
    return true;
}

static bool put_is(struct query_printing *p, const struct query_test *t, str field) {
    str v = t->bound->text;
    buf_puts(&p->to->sql, field);
    if (str_eqc(v, "not_null")) PUT(p, " is not null");
    else if (str_eqc(v, "true")) PUT(p, " is 1");
    else if (str_eqc(v, "false")) PUT(p, " is 0");
    else PUT(p, " is null");
    return true;
}

enum { SHARED_LISTS_MAX = 4096 };

/* So many places that lists of about a length share a text: the last value stands in those that are too many. */
static bool put_in(struct query_printing *p, const struct query_test *t, str field) {
    uint32_t n = t->values_count, places = 1;
    if (!n) return PUT(p, "0");
    while (places < n) places *= 2;
    if (places > SHARED_LISTS_MAX) places = n;
    buf_puts(&p->to->sql, field);
    put_collation(p, t->field.type);
    PUT(p, " in (");
    for (uint32_t i = 0; i < places; i++) {
        const struct query_bound *b = &t->bound[MIN(i, n - 1)];
        if (i) PUT(p, ","), query_put_next_value(p, b->null ? DB_NOTHING : b->value);
        else query_put_value(p, b->null ? DB_NOTHING : b->value);
    }
    return PUT(p, ")");
}

/* A text search: the query is made by a function of the configuration and the words. */
static bool put_search(struct query_printing *p, const struct query_test *t, str field) {
    const char *name = query_ops[t->op].operator;
    uint32_t n = t->config.n ? 2 : 1, count;
    uint32_t types[2] = {t->config.n ? PG_REGCONFIG : PG_TEXT, PG_TEXT};
    const struct pg_function *rows = pg_functions_named(str_c(name), &count),
                             *make = query_function_of(p->conn->types, rows, count, types, n), *vector;
    struct pg_print_arg args[2] = {0};
    if (t->config.n) args[0] = argument(p, value_text(p, t->config_bound->value), PG_REGCONFIG);
    args[n - 1] = argument(p, value_text(p, t->bound->null ? DB_NOTHING : t->bound->value), PG_TEXT);
    if (!make) return query_fail(p->error, "0A000", "the function %s is not there on SQLite", name);
    struct aside a = begin_aside(p);
    pg_how_print(&p->to->sql, &make->how, &(struct pg_print){args, n, make->result, -1, false});
    struct pg_print_arg query = argument(p, end_aside(p, a), PG_TSQUERY);
    if (query_type_base(p->conn->types, t->field.type) != PG_TSVECTOR) {
        rows = pg_functions_named(STR("to_tsvector"), &count);
        vector = query_function_of(p->conn->types, rows, count, types, n);
        if (!vector) return query_fail(p->error, "0A000", "the function to_tsvector is not there on SQLite");
        args[n - 1] = argument(p, field, PG_TEXT);
        a = begin_aside(p);
        pg_how_print(&p->to->sql, &vector->how, &(struct pg_print){args, n, vector->result, -1, false});
        field = end_aside(p, a);
    }
    return put_operator(p, "@@", argument(p, field, PG_TSVECTOR), query);
}

static bool put_compare(struct query_printing *p, const struct query_test *t, str field, const struct query_bound *b) {
    const struct query_op_row *op = &query_ops[t->op];
    struct db_value v = b->null ? DB_NOTHING : b->value;
    if (!(op->flags & QUERY_IS_BARE))
        return put_operator(p, op->operator, argument(p, field, query_type_base(p->conn->types, t->field.type)),
                            argument(p, value_text(p, v), b->type));
    buf_puts(&p->to->sql, field);
    put_collation(p, t->field.type);
    buf_putc(&p->to->sql, ' ');
    buf_puts(&p->to->sql, str_c(t->op == QUERY_OP_DISTINCT ? "is not" : op->operator));
    buf_putc(&p->to->sql, ' ');
    query_put_value(p, v);
    return true;
}

static bool put_test(struct query_printing *p, const struct query_test *t, uint32_t alias) {
    uint32_t flags = query_ops[t->op].flags;
    bool ok;
    str field = field_text(p, alias, &t->field, &ok);
    if (!ok) return false;
    if (flags & QUERY_IS_TRUTH) return put_is(p, t, field);
    if (flags & QUERY_IS_MANY) return put_in(p, t, field);
    if (flags & QUERY_IS_SEARCH) return put_search(p, t, field);
    if (!t->values_count) return buf_puts(&p->to->sql, t->quantifier == QUERY_ALL ? STR("1") : STR("0"));
    for (uint32_t i = 0; i < t->values_count; i++) {
        if (i) buf_puts(&p->to->sql, t->quantifier == QUERY_ALL ? STR(" and ") : STR(" or "));
        if (!put_compare(p, t, field, &t->bound[i])) return false;
    }
    return true;
}

static bool put_exists(struct query_printing *p, const struct query_embed *e, uint32_t alias, bool has);

static bool put_part(struct query_printing *p, const struct query_where *w, uint32_t alias) {
    switch (w->kind) {
    case QUERY_TEST: return put_test(p, &w->test, alias);
    case QUERY_HAS: return put_exists(p, w->to, alias, w->has);
    case QUERY_NOT: PUT(p, "not ("); return put_part(p, w->parts, alias) && PUT(p, ")");
    case QUERY_AND:
    case QUERY_OR: break;
    }
    if (!w->parts_count) return buf_puts(&p->to->sql, w->kind == QUERY_AND ? STR("1") : STR("0"));
    for (uint32_t i = 0; i < w->parts_count; i++) {
        if (i) buf_puts(&p->to->sql, w->kind == QUERY_AND ? STR(" and ") : STR(" or "));
        PUT(p, "(");
        if (!put_part(p, &w->parts[i], alias) || !PUT(p, ")")) return false;
    }
    return true;
}

static bool is_truth(const struct query_where *w) {
    return w->kind == QUERY_TEST && (query_ops[w->test.op].flags & QUERY_IS_TRUTH);
}

static bool put_guarded(struct query_printing *p, const struct query_where *w, uint32_t alias) {
    if (query_where_is_bare(w)) return put_part(p, w, alias);
    if (w->kind == QUERY_AND &&
        w->parts_count) { /* each by itself, so that what is bare stays so; what costs nothing first, as PostgreSQL does */
        uint32_t put = 0;
        for (uint32_t costs = 0; costs < 2; costs++) {
            for (uint32_t i = 0; i < w->parts_count; i++) {
                if (costs == is_truth(&w->parts[i])) continue;
                if (put++) PUT(p, " and ");
                PUT(p, "(");
                if (!put_guarded(p, &w->parts[i], alias) || !PUT(p, ")")) return false;
            }
        }
        return true;
    }
    buf_printf(&p->to->sql, "case when q%u.\"_orlo_p\" then (", alias);
    return put_part(p, w, alias) && PUT(p, ") else 0 end");
}

bool query_put_where(struct query_printing *p, const struct query_select *s, uint32_t alias) {
    if (!s->where) return PUT(p, "1");
    PUT(p, "("); /* others may follow it */
    return put_guarded(p, s->where, alias) && PUT(p, ")");
}

/* ---- embeds ---- */

static bool put_view(struct query_printing *p, const struct catalog_relation *of, uint32_t alias, bool rows_first) {
    str name;
    if (!query_view_of(p->conn, of, p->role, QUERY_SEES, &name, p->error)) return false;
    if (rows_first) PUT(p, "(select * from ");
    query_put_name(&p->to->sql, name);
    if (rows_first) PUT(p, " limit -1)");
    return PUT(p, " as q") && buf_u64(&p->to->sql, alias);
}

static bool put_source(struct query_printing *p, const struct query_select *s, uint32_t alias) {
    return put_view(p, s->of, alias, s->of->kind == CATALOG_VIEW && !query_where_is_bare(s->where));
}

static bool put_key(struct query_printing *p, const struct catalog_relation *holder, const catalog_ids *a, uint32_t holder_alias,
                    const struct catalog_relation *held, const catalog_ids *b, uint32_t held_alias) {
    for (uint32_t i = 0; i < a->n; i++) {
        const struct catalog_column *x = catalog_column_of(holder, a->p[i]), *y = catalog_column_of(held, b->p[i]);
        if (i) PUT(p, " and ");
        query_put_column(p, holder_alias, x->storage);
        put_collation(p, x->type);
        PUT(p, " = ");
        query_put_column(p, held_alias, y->storage);
    }
    return true;
}

/* As in postgres.c. */
static bool is_room(struct query_printing *p) {
    if (p->to->values.n > QUERY_PARAMS_MAX)
        return query_fail(p->error, "54023", "a statement has at most %d values", QUERY_PARAMS_MAX);
    if (p->aliases <= QUERY_ALIASES_MAX && p->to->sql.n <= QUERY_TEXT_MAX) return true;
    return query_fail(p->error, "54001", "the query names what it embeds too often");
}

/* from … where it belongs to the parent's row, and the embed's own filters hold */
static bool put_related(struct query_printing *p, const struct query_embed *e, uint32_t above, uint32_t alias) {
    if (!is_room(p)) return false;
    const struct query_select *s = &e->select;
    const struct catalog_relation *parent = e->parent;
    PUT(p, " from ");
    if (e->computed) {
        PUT(p, "(with \"_orlo_f\" (");
        for (uint32_t i = 0; i < s->of->columns.n; i++) buf_printf(&p->to->sql, "%sc%u", i ? "," : "", i + 1);
        PUT(p, ") as (");
        if (!put_computed(p, e->computed, parent, above)) return false;
        PUT(p, ") select 1 as \"_orlo_p\"");
        for (uint32_t i = 0; i < s->of->columns.n; i++) {
            buf_printf(&p->to->sql, ",c%u as ", i + 1);
            query_put_name(&p->to->sql, s->of->columns.p[i].storage);
        }
        buf_printf(&p->to->sql, " from \"_orlo_f\") as q%u where 1", alias);
    } else if (e->cardinality == QUERY_THROUGH) {
        uint32_t j = p->aliases++;
        if (!put_view(p, e->junction, j, false)) return false;
        PUT(p, " cross join ");
        if (!put_source(p, s, alias)) return false;
        PUT(p, " where ");
        put_key(p, e->junction, &e->key->columns, j, parent, &e->key->reference_columns, above);
        PUT(p, " and ");
        put_key(p, s->of, &e->second->reference_columns, alias, e->junction, &e->second->columns, j);
    } else {
        if (!put_source(p, s, alias)) return false;
        PUT(p, " where ");
        if (e->cardinality == QUERY_TO_ONE) put_key(p, s->of, &e->key->reference_columns, alias, parent, &e->key->columns, above);
        else put_key(p, s->of, &e->key->columns, alias, parent, &e->key->reference_columns, above);
    }
    if (!s->where) return true;
    PUT(p, " and ");
    return query_put_where(p, s, alias);
}

static bool put_inner(struct query_printing *p, const struct query_select *s, uint32_t alias);

static bool put_exists(struct query_printing *p, const struct query_embed *e, uint32_t above, bool has) {
    uint32_t alias = p->aliases++;
    if (!has) PUT(p, "not ");
    PUT(p, "exists (select 1");
    return put_related(p, e, above, alias) && put_inner(p, &e->select, alias) && PUT(p, ")");
}

/* Embeds that are asked for with `inner`: rows without any are not there. */
static bool put_inner(struct query_printing *p, const struct query_select *s, uint32_t alias) {
    for (uint32_t i = 0; i < s->list_count; i++) {
        const struct query_embed *e = s->list[i].embed;
        if (!e || e->join != QUERY_INNER) continue;
        PUT(p, " and ");
        if (!put_exists(p, e, alias, true)) return false;
    }
    return true;
}

static bool put_order(struct query_printing *p, const struct query_select *s, uint32_t alias);
static bool put_members(struct query_printing *p, const struct query_select *s, uint32_t alias, uint32_t shape);

static bool put_groups(struct query_printing *p, const struct query_select *s, uint32_t alias);

static void put_range(struct query_printing *p, const struct query_select *s) {
    if (s->limit < 0 && !s->offset) return;
    PUT(p, " limit ");
    query_put_value(p, DB_I64(s->limit));
    PUT(p, " offset ");
    query_put_value(p, DB_I64(s->offset));
}

/* Every path through a select ends here: where, order, range. */
static bool put_tail(struct query_printing *p, const struct query_select *s, uint32_t alias, bool ranged) {
    if (!put_inner(p, s, alias)) return false;
    if (s->grouped && !put_groups(p, s, alias)) return false;
    if (!ranged) return true;
    if (!put_order(p, s, alias)) return false;
    put_range(p, s);
    return true;
}

bool query_put_tail(struct query_printing *p, const struct query_select *s, uint32_t alias) {
    return put_tail(p, s, alias, true);
}

/* query_row(shape, a, b, …); a call takes so many arguments, and what is wider is made in parts. */
enum { ROW_ARGUMENTS_MAX = 90 };

static uint32_t shape_of(struct query_printing *p) {
    struct query_shape s = {0};
    vec_push(p->out, &p->to->shapes, s);
    return p->to->shapes.n - 1;
}

static bool put_row_call(struct query_printing *p, const struct query_select *s, uint32_t alias) {
    uint32_t shape = shape_of(p);
    buf_printf(&p->to->sql, "query_row(%u", shape);
    if (s->list_count) PUT(p, ",");
    if (!put_members(p, s, alias, shape)) return false;
    if (p->to->shapes.p[shape].count > ROW_ARGUMENTS_MAX)
        return query_fail(p->error, "54023", "an embedded row has at most %d columns", ROW_ARGUMENTS_MAX);
    return PUT(p, ")");
}

static bool put_embed_one(struct query_printing *p, const struct query_embed *e, uint32_t above) {
    uint32_t alias = p->aliases++;
    PUT(p, "(select ");
    return put_row_call(p, &e->select, alias) && put_related(p, e, above, alias) && put_tail(p, &e->select, alias, true) &&
           (e->select.limit >= 0 || e->select.offset || PUT(p, " limit 1")) &&
           PUT(p, ")"); /* of several SQLite takes the first */
}

static bool put_embed_many(struct query_printing *p, const struct query_embed *e, uint32_t above) {
    uint32_t alias = p->aliases++;
    PUT(p, "(select query_rows(x) from (select ");
    return put_row_call(p, &e->select, alias) && PUT(p, " as x") && put_related(p, e, above, alias) &&
           put_tail(p, &e->select, alias, true) && PUT(p, "))");
}

/* ---- select lists ---- */

static bool put_aggregate(struct query_printing *p, const struct query_item *it, str text, uint32_t from) {
    if (it->whole) return PUT(p, "count(*)");
    if (!it->call) {
        PUT(p, "count(");
        buf_puts(&p->to->sql, text);
        return PUT(p, ")");
    }
    struct pg_print_arg arg = argument(p, text, from);
    struct buf b = {0};
    pg_how_print(&b, &it->call->how, &(struct pg_print){&arg, 1, it->call->result, -1, false});
    for (size_t i = 0; i < b.n; i++) { /* $F is where FILTER and OVER would stand */
        if (b.p[i] == '$' && i + 1 < b.n && b.p[i + 1] == 'F') i++;
        else buf_putc(&p->to->sql, b.p[i]);
    }
    buf_free(&b);
    return true;
}

/* Of a value's text the item: cast, or what the aggregate makes of it. */
static bool put_made(struct query_printing *p, const struct query_item *it, str text) {
    bool ok;
    uint32_t type = it->whole ? PG_INT8 : it->field.type;
    if (it->cast.n && it->kind == QUERY_FIELD) return put_cast(p, text, type, it->type);
    if (it->kind == QUERY_FIELD) return buf_puts(&p->to->sql, text);
    struct aside a;
    if (it->cast.n) { /* what is cast is what the aggregate is of */
        a = begin_aside(p);
        ok = put_cast(p, text, type, it->cast_type);
        text = end_aside(p, a);
        if (!ok) return false;
        type = it->cast_type;
    }
    a = begin_aside(p);
    ok = put_aggregate(p, it, text, type);
    text = end_aside(p, a);
    uint32_t gives = it->call ? it->call->result : PG_INT8;
    if (gives == PG_ANYENUM || gives == PG_ANYARRAY || gives == PG_ANYELEMENT) gives = type;
    if (it->cast_after.n) return ok && put_cast(p, text, gives, it->type);
    return ok && buf_puts(&p->to->sql, text);
}

static bool put_item(struct query_printing *p, const struct query_item *it, uint32_t alias) {
    bool ok = true;
    if (it->kind == QUERY_FIELD && !it->cast.n) return put_field(p, alias, &it->field);
    str text = it->whole ? (str){0} : field_text(p, alias, &it->field, &ok);
    return ok && put_made(p, it, text);
}

/* What it is made of alone. */
static bool put_bare(struct query_printing *p, const struct query_item *it, uint32_t alias) {
    bool ok = true;
    str text = field_text(p, alias, &it->field, &ok);
    return ok && buf_puts(&p->to->sql, text);
}

static void add_member(struct query_printing *p, uint32_t shape, str name, uint32_t type) {
    query_shape_add(p->out, &p->to->shapes.p[shape], name, type);
}

/* The columns of what is embedded, as columns of the row itself: of one row each its value, of many an array each. A spread in a spread is a longer way: a
 * select in a select. */
struct way {
    const struct query_embed *steps[QUERY_EMBEDS_MAX];
    uint32_t count;
    const struct query_item *item; /* at its end */
};

/* Is what step i of it gives JSON text, and no value? */
static bool way_is_json(const struct way *w, uint32_t i) {
    if (w->item->kind == QUERY_EMBED) return true;
    for (; i < w->count; i++)
        if (!w->steps[i]->one) return true;
    return false;
}

static bool put_way(struct query_printing *p, const struct way *w, uint32_t i, uint32_t above) {
    const struct query_embed *e = w->steps[i];
    uint32_t alias = p->aliases++;
    bool last = i + 1 == w->count, json = last ? w->item->kind == QUERY_EMBED : way_is_json(w, i + 1), ok;
    buf_puts(&p->to->sql, e->one ? STR("(select ") : STR("(select query_rows(x) from (select "));
    if (!e->one) buf_printf(&p->to->sql, "query_value(%u,", json ? 0 : w->item->type);
    if (!last) ok = put_way(p, w, i + 1, alias);
    else if (w->item->kind == QUERY_AGGREGATE) ok = put_bare(p, w->item, alias); /* it is made where its rows are grouped */
    else if (w->item->kind != QUERY_EMBED) ok = put_item(p, w->item, alias);
    else ok = w->item->embed->one ? put_embed_one(p, w->item->embed, alias) : put_embed_many(p, w->item->embed, alias);
    if (!ok) return false;
    if (!e->one) PUT(p, ") as x");
    if (!put_related(p, e, above, alias) || !put_tail(p, &e->select, alias, true)) return false;
    return buf_puts(&p->to->sql, e->one ? e->select.limit < 0 && !e->select.offset ? STR(" limit 1)") : STR(")") : STR("))"));
}

static bool put_leaf(struct query_printing *p, const struct way *w, uint32_t above) {
    if (w->item->kind != QUERY_AGGREGATE) return put_way(p, w, 0, above);
    struct aside a = begin_aside(p);
    bool ok = w->item->whole || put_way(p, w, 0, above);
    str text = end_aside(p, a);
    return ok && put_made(p, w->item, text);
}

static bool put_spread(struct query_printing *p, struct way *w, uint32_t above, uint32_t shape, bool *first) {
    const struct query_embed *e = w->steps[w->count - 1];
    for (uint32_t i = 0; i < e->select.list_count; i++) {
        const struct query_item *it = &e->select.list[i];
        if (it->kind == QUERY_EMBED && it->embed->spread) {
            if (w->count == QUERY_EMBEDS_MAX)
                return query_fail(p->error, "54001", "embeds of more than %d levels", QUERY_EMBEDS_MAX);
            w->steps[w->count++] = it->embed;
            if (!put_spread(p, w, above, shape, first)) return false;
            w->count--;
            continue;
        }
        w->item = it;
        if (!*first) PUT(p, ",");
        *first = false;
        if (!put_leaf(p, w, above)) return false;
        add_member(p, shape, it->name, way_is_json(w, 0) ? PG_NO_TYPE : it->type);
    }
    return true;
}

static bool put_member(struct query_printing *p, const struct query_item *it, uint32_t alias, uint32_t shape, bool *first) {
    if (it->kind == QUERY_EMBED && it->embed->spread) {
        struct way w = {{it->embed}, 1, NULL};
        return put_spread(p, &w, alias, shape, first);
    }
    if (!*first) PUT(p, ",");
    *first = false;
    if (it->kind != QUERY_EMBED) {
        add_member(p, shape, it->name, it->type);
        return put_item(p, it, alias);
    }
    add_member(p, shape, it->name, PG_NO_TYPE);
    return it->embed->one ? put_embed_one(p, it->embed, alias) : put_embed_many(p, it->embed, alias);
}

/* An embed with an empty list joins, and is not in the answer. */
bool query_is_silent(const struct query_item *it) {
    bool silent = it->kind == QUERY_EMBED;
    for (uint32_t i = 0; silent && i < it->embed->select.list_count; i++) silent = query_is_silent(&it->embed->select.list[i]);
    return silent;
}

static bool put_members(struct query_printing *p, const struct query_select *s, uint32_t alias, uint32_t shape) {
    bool first = true;
    for (uint32_t i = 0; i < s->list_count; i++) {
        if (query_is_silent(&s->list[i])) continue;
        if (!put_member(p, &s->list[i], alias, shape, &first)) return false;
    }
    return !first || PUT(p, "null");
}

bool query_put_list(struct query_printing *p, const struct query_select *s, uint32_t alias) {
    return put_members(p, s, alias, shape_of(p));
}

/* By all that is no aggregate. */
static bool put_groups(struct query_printing *p, const struct query_select *s, uint32_t alias) {
    struct query_leaves l = query_leaves_of(s);
    bool first = true, ok;
    for (const struct query_item *it; (it = query_leaf_next(&l));) {
        if (it->kind == QUERY_AGGREGATE) continue;
        buf_puts(&p->to->sql, first ? STR(" group by ") : STR(","));
        first = false;
        struct way w = {.count = l.depth, .item = it};
        memcpy(w.steps, l.steps, sizeof w.steps);
        if (l.depth) ok = put_way(p, &w, 0, alias);
        else if (it->kind == QUERY_FIELD) ok = put_item(p, it, alias);
        else ok = it->embed->one ? put_embed_one(p, it->embed, alias) : put_embed_many(p, it->embed, alias);
        if (!ok) return false;
        if (it->kind == QUERY_FIELD) put_collation(p, it->type);
    }
    return true;
}

/* ---- order ---- */

static bool put_order_key(struct query_printing *p, const struct query_order *o, uint32_t alias) {
    if (!o->to) return put_field(p, alias, &o->field);
    uint32_t other = p->aliases++;
    PUT(p, "(select ");
    return put_field(p, other, &o->field) && put_related(p, o->to, alias, other) && PUT(p, " limit 1)");
}

static bool put_order(struct query_printing *p, const struct query_select *s, uint32_t alias) {
    for (uint32_t i = 0; i < s->order_count; i++) {
        const struct query_order *o = &s->order[i];
        bool first = o->nulls == QUERY_NULLS_FIRST || (o->nulls == QUERY_NULLS_DEFAULT && o->descending);
        buf_puts(&p->to->sql, i ? STR(", ") : STR(" order by "));
        if (!put_order_key(p, o, alias)) return false;
        put_collation(p, o->field.type);
        if (o->descending) PUT(p, " desc");
        if (!o->to && !o->field.steps_count && o->field.of->not_null) continue; /* so that an index serves it */
        buf_puts(&p->to->sql, first ? STR(" nulls first") : STR(" nulls last"));
    }
    return true;
}

/* ---- the whole ---- */

bool query_put_select(struct query_printing *p, const struct query_select *s) {
    uint32_t alias = p->aliases++;
    PUT(p, "select ");
    if (!query_put_list(p, s, alias)) return false;
    PUT(p, " from ");
    if (!put_source(p, s, alias)) return false;
    PUT(p, " where ");
    return query_put_where(p, s, alias) && put_tail(p, s, alias, true);
}

bool query_put_count(struct query_printing *p, const struct query_select *s, bool ranged) {
    uint32_t alias = p->aliases++;
    bool inner = s->grouped || (ranged && (s->limit >= 0 || s->offset));
    buf_puts(&p->to->sql, inner ? STR("select count(*) from (select 1 from ") : STR("select count(*) from "));
    if (!put_source(p, s, alias)) return false;
    PUT(p, " where ");
    bool ok = query_put_where(p, s, alias) && put_tail(p, s, alias, false);
    if (ranged) put_range(p, s);
    return ok && (!inner || PUT(p, ")"));
}

bool query_put_from(struct query_printing *p, const struct query_select *s, str table, bool count) {
    uint32_t alias = p->aliases++;
    if (count) PUT(p, "count(*)");
    else if (!query_put_list(p, s, alias)) return false;
    PUT(p, " from (select *, 1 as \"_orlo_p\" from ");
    query_put_name(&p->to->sql, table);
    buf_printf(&p->to->sql, ") as q%u where ", alias);
    return query_put_where(p, s, alias) && put_tail(p, s, alias, !count);
}
