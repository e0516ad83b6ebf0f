/* fail: what SQLite said went wrong, as PostgreSQL says it: SQLSTATE, message, constraint, and the key where the role may see it.
 *
 * 1. What a function of ours raised comes before what SQLite made of it.
 * 2. A key's values, and whole rows, are told only where no policy holds for the role on the table (as PostgreSQL does): else they would tell of rows
 *    that it may not see. That there is such a row is told all the same, by the error itself: docs/security.md.
 * 3. SQLite names no foreign key: it is found by looking, with the rows' values, while nothing has changed any more.
 */
#include "query/query_int.h"
#include <stdio.h>

struct failing {
    struct query_conn *conn;
    const struct query *q;
    struct pg_error *error;
    const struct catalog_relation *of;
    arena *mem;
};

/* As much as there is room for, with a NUL. */
static void put_name(char *to, size_t room, str name) {
    size_t n = MIN(name.n, room - 1);
    if (n) memcpy(to, name.p, n);
    to[n] = 0;
}

static void name_table(struct pg_error *e, const struct catalog_relation *of, str constraint) {
    put_name(e->table, sizeof e->table, of->name);
    put_name(e->constraint, sizeof e->constraint, constraint);
}

/* The values of these columns: PostgreSQL tells them to who may read the table, or each of them, where no policies hold. */
static bool may_tell(const struct failing *f, const struct catalog_relation *of, const catalog_ids *columns) {
    if (catalog_policies_hold(f->conn->catalog, f->q->role, of)) return false;
    if (catalog_may_relation(f->conn->catalog, f->q->role, of, CATALOG_SELECT)) return true;
    for (uint32_t i = 0; i < columns->n; i++)
        if (!catalog_may_column(f->conn->catalog, f->q->role, of, catalog_column_of(of, columns->p[i]), CATALOG_SELECT))
            return false;
    return true;
}

/* ---- values of the row that was to be written ---- */

/* Of an insert's row, or of what an update sets. False: it is not known. */
static bool value_of(const struct failing *f, uint32_t row, const struct catalog_column *c, const struct query_bound **out) {
    const struct query *q = f->q;
    for (uint32_t i = 0; i < q->columns_count; i++) {
        if (q->targets[i] != c) continue;
        *out = &q->cells[row].cells[i];
        return q->cells[row].there[i];
    }
    return false;
}

static bool put_value(const struct failing *f, uint32_t type, struct db_value v, struct buf *to) {
    struct pg_error quiet = {0};
    struct pg_call call = {.mem = f->mem, .session = &f->conn->session, .error = &quiet};
    return pg_value_out(&call, type, v, to);
}

/* (a, b)=(1, x) */
static bool put_key(const struct failing *f, const struct catalog_relation *of, const catalog_ids *columns,
                    const struct db_value *values, struct buf *to) {
    buf_putc(to, '(');
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(of, columns->p[i]);
        buf_printf(to, "%s" STR_FMT, i ? ", " : "", STR_ARG(c->name));
    }
    buf_puts(to, STR(")=("));
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(of, columns->p[i]);
        if (i) buf_puts(to, STR(", "));
        if (!put_value(f, c->type, values[i], to)) return false;
    }
    return buf_putc(to, ')');
}

static bool row_values(const struct failing *f, uint32_t row, const struct catalog_relation *of, const catalog_ids *columns,
                       struct db_value *values) {
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct query_bound *b;
        if (!value_of(f, row, catalog_column_of(of, columns->p[i]), &b) || b->null) return false;
        values[i] = b->value;
    }
    return true;
}

/* Has a table a row with these? */
static bool is_there(const struct failing *f, const struct catalog_relation *of, const catalog_ids *columns,
                     const struct db_value *values) {
    struct buf sql = {0};
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    bool found = false;
    buf_puts(&sql, STR("select 1 from main."));
    query_put_name(&sql, of->storage);
    for (uint32_t i = 0; i < columns->n; i++) {
        buf_puts(&sql, i ? STR(" and ") : STR(" where "));
        query_put_name(&sql, catalog_column_of(of, columns->p[i])->storage);
        buf_puts(&sql, STR(" = ?"));
    }
    if (db_query_values(f->conn->db, buf_str(&sql), values, columns->n, &rows, &d) == ERR_OK) {
        found = db_next(rows);
        if (db_end(rows, &d) != ERR_OK) found = false;
    }
    buf_free(&sql);
    return found;
}

/* ---- unique ---- */

/* "t.a, t.b" or "index 'x'", as SQLite lists them: is it this one? */
static bool is_said(str said, const struct catalog_relation *of, const catalog_ids *columns, str storage) {
    struct buf b = {0};
    bool same =
        storage.n && str_starts(said, STR("index '")) && str_eq(str_sub(said, 7, said.n - MIN(said.n, (size_t)8)), storage);
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(of, columns->p[i]);
        buf_printf(&b, "%s" STR_FMT "." STR_FMT, i ? ", " : "", STR_ARG(of->storage), STR_ARG(c ? c->storage : (str){0}));
    }
    same |= columns->n && str_eq(buf_str(&b), said);
    buf_free(&b);
    return same;
}

struct keyed { /* a row, and its key */
    uint32_t row;
    struct db_value values[32];
};
struct keyed_by {
    const struct failing *f;
    const catalog_ids *columns;
};

static int by_key(const void *a, const void *b, void *arg) {
    const struct keyed *x = *(struct keyed *const *)a, *y = *(struct keyed *const *)b;
    const struct keyed_by *by = arg;
    int c = 0;
    for (uint32_t k = 0; !c && k < by->columns->n; k++)
        c = pg_value_compare(query_type_base(by->f->conn->types, catalog_column_of(by->f->of, by->columns->p[k])->type),
                             x->values[k], y->values[k]);
    return c;
}

static int by_key_and_row(const void *a, const void *b, void *arg) {
    const struct keyed *x = *(struct keyed *const *)a, *y = *(struct keyed *const *)b;
    int c = by_key(a, b, arg);
    return c ? c : (x->row > y->row) - (x->row < y->row);
}

/* Of each row: has one before it the same key? Those of a key stand together once they are sorted. */
static bool *which_come_again(const struct failing *f, const catalog_ids *columns) {
    uint32_t n = 0, rows = f->q->cells_count;
    bool *again = arena_array(f->mem, bool, rows + 1);
    struct keyed **sorted = arena_array(f->mem, struct keyed *, rows + 1);
    struct keyed_by by = {f, columns};
    for (uint32_t row = 0; rows > 1 && row < rows; row++) {
        struct keyed k = {.row = row};
        if (!row_values(f, row, f->of, columns, k.values)) continue;
        size_t bytes = offsetof(struct keyed, values) + columns->n * sizeof *k.values;
        sorted[n] = arena_alloc(f->mem, bytes, _Alignof(struct keyed));
        memcpy(sorted[n++], &k, bytes);
    }
    qsort_r(sorted, n, sizeof(struct keyed *), by_key_and_row, &by);
    for (uint32_t i = 1; i < n; i++) again[sorted[i]->row] = !by_key(&sorted[i - 1], &sorted[i], &by);
    return again;
}

/* Of a whole row. False: one of them is null. */
static bool of_columns(const struct catalog_relation *of, const catalog_ids *columns, const struct db_value *row,
                       struct db_value *values) {
    for (uint32_t i = 0; i < columns->n; i++)
        if ((values[i] = row[catalog_column_of(of, columns->p[i]) - of->columns.p]).kind == DB_NULL) return false;
    return true;
}

static void tell_key(const struct failing *f, const catalog_ids *columns, bool exclusion) {
    struct db_value values[32];
    if (!columns->n || columns->n > ARRAY_COUNT(values) || !may_tell(f, f->of, columns) || f->q->kind == QUERY_CALL) return;
    struct buf of_row = {0};
    if (f->conn->written) { /* as triggers have left it */
        bool tells =
            of_columns(f->of, columns, f->conn->written, values) && !exclusion && put_key(f, f->of, columns, values, &of_row);
        if (tells) query_fail_detail(f->error, "Key " STR_FMT " already exists.", STR_ARG(buf_str(&of_row)));
        buf_free(&of_row);
        if (tells) return;
    }
    const bool *again = which_come_again(f, columns);
    for (uint32_t row = 0; row < f->q->cells_count; row++) {
        struct buf b = {0};
        if (row_values(f, row, f->of, columns, values) &&
            (f->q->cells_count == 1 || again[row] || is_there(f, f->of, columns, values)) &&
            put_key(f, f->of, columns, values, &b)) {
            if (exclusion)
                query_fail_detail(f->error, "Key " STR_FMT " conflicts with existing key " STR_FMT ".", STR_ARG(buf_str(&b)),
                                  STR_ARG(buf_str(&b)));
            else query_fail_detail(f->error, "Key " STR_FMT " already exists.", STR_ARG(buf_str(&b)));
        }
        buf_free(&b);
        if (f->error->detail[0]) return;
    }
}

static bool unique_failed(struct failing *f, str said) {
    str name = {0};
    const catalog_ids *columns = NULL;
    catalog_ids keys = {0};
    bool exclusion = false;
    for (uint32_t i = 0; i < f->of->constraints.n && !columns; i++) {
        const struct catalog_constraint *k = &f->of->constraints.p[i];
        if ((k->kind == CATALOG_PRIMARY || k->kind == CATALOG_UNIQUE) && is_said(said, f->of, &k->columns, k->storage))
            name = k->name, columns = &k->columns;
    }
    for (uint32_t i = 0; i < f->of->indexes.n && !columns; i++) {
        const struct catalog_index *x = &f->of->indexes.p[i];
        keys.n = 0;
        for (uint32_t k = 0; k < x->keys.n; k++)
            if (x->keys.p[k].column) vec_push(f->mem, &keys, x->keys.p[k].column);
        if (x->unique && is_said(said, f->of, &keys, x->storage)) name = x->name, columns = &keys, exclusion = x->exclusion;
    }
    if (!columns) return query_fail(f->error, "23505", "duplicate key value violates unique constraint"), true;
    if (exclusion)
        query_fail(f->error, "23P01", "conflicting key value violates exclusion constraint \"" STR_FMT "\"", STR_ARG(name));
    else query_fail(f->error, "23505", "duplicate key value violates unique constraint \"" STR_FMT "\"", STR_ARG(name));
    name_table(f->error, f->of, name);
    tell_key(f, columns, exclusion);
    return true;
}

/* ---- not null, check ---- */

void query_failed_null(const struct catalog_relation *of, const struct catalog_column *c, struct pg_error *error) {
    *error = (struct pg_error){0};
    query_fail(error, "23502", "null value in column \"" STR_FMT "\" of relation \"" STR_FMT "\" violates not-null constraint",
               STR_ARG(c->name), STR_ARG(of->name));
    name_table(error, of, (str){0});
    put_name(error->column, sizeof error->column, c->name);
}

static bool null_failed(struct failing *f, str said) {
    str column = said.n > f->of->storage.n ? str_sub(said, f->of->storage.n + 1, said.n) : said;
    for (uint32_t i = 0; i < f->of->columns.n; i++) {
        const struct catalog_column *c = &f->of->columns.p[i];
        if (!str_eq(c->storage, column)) continue;
        if (!query_domain_check(f->conn, c->type, f->q->role, &(struct query_bound){.null = true}, f->error) &&
            !strcmp(f->error->state, "23502")) /* a default that its domain does not allow */
            return true;
        *f->error = (struct pg_error){0};
        column = c->name;
    }
    query_failed_null(f->of, &(struct catalog_column){.name = column}, f->error);
    return true;
}

static bool check_failed(struct failing *f, str said) {
    str name = said;
    const struct catalog_check *check = NULL;
    const struct catalog_type *domain;
    bool own = false;
    for (uint32_t i = 0; i < f->of->constraints.n; i++)
        if (f->of->constraints.p[i].kind == CATALOG_CHECK && str_eq(f->of->constraints.p[i].storage, said))
            name = f->of->constraints.p[i].name, own = true;
    for (uint32_t i = 0; !own && !check && i < f->of->columns.n; i++)
        check = query_domain_check_named(f->conn, f->of->columns.p[i].type, said, &domain);
    if (check) return query_domain_refuse(domain, check, f->error), true;
    query_fail(f->error, "23514", "new row for relation \"" STR_FMT "\" violates check constraint \"" STR_FMT "\"",
               STR_ARG(f->of->name), STR_ARG(name));
    name_table(f->error, f->of, name);
    return true;
}

/* ---- foreign keys ---- */

/* The first row's columns. */
static bool first_row(const struct failing *f, const struct query_statement *st, struct db_value *values, uint32_t n) {
    struct diag d = DIAG_INIT;
    struct db_rows *rows;
    bool found = false;
    f->conn->statement = st;
    if (db_query_values(f->conn->db, buf_str(&st->sql), st->values.p, st->values.n, &rows, &d) == ERR_OK) {
        found = db_next(rows);
        for (uint32_t i = 0; found && i < n; i++) {
            values[i] = db_value(rows, i);
            if (values[i].kind >= DB_TEXTUAL) values[i].s = arena_str(f->mem, values[i].s);
        }
        if (db_end(rows, &d) != ERR_OK) found = false;
    }
    f->conn->statement = NULL;
    return found;
}

/* Of an update: a row that it finds, as it would be, whose key leads nowhere. */
static bool find_orphan(struct failing *f, const struct catalog_constraint *k, const struct catalog_relation *to,
                        struct db_value *values) {
    struct query_statement st = {0};
    struct query_printing p = {
        .conn = f->conn, .to = &st, .query = f->q, .out = f->mem, .error = &(struct pg_error){0}, .role = f->q->role};
    struct buf where = {0};
    buf_puts(&st.sql, STR("select "));
    for (uint32_t i = 0; i < k->columns.n; i++) {
        const struct catalog_column *c = catalog_column_of(f->of, k->columns.p[i]);
        const struct query_bound *b;
        if (i) buf_puts(&st.sql, STR(",")), buf_puts(&where, STR(" and "));
        buf_puts(&where, STR("_orlo_p."));
        query_put_name(&where, catalog_column_of(to, k->reference_columns.p[i])->storage);
        if (value_of(f, 0, c, &b)) {
            query_put_value(&p, b->null ? DB_NOTHING : b->value);
            buf_printf(&where, " = ?%u", st.values.n);
            continue;
        }
        buf_puts(&st.sql, STR("_orlo_t.")), buf_puts(&where, STR(" = _orlo_t."));
        query_put_name(&st.sql, c->storage), query_put_name(&where, c->storage);
    }
    buf_puts(&st.sql, STR(" from main."));
    query_put_name(&st.sql, f->of->storage);
    buf_printf(&st.sql, " as _orlo_t where _orlo_t.%s in ", query_rowid_of(f->of));
    bool ok = query_put_rows(&p);
    buf_puts(&st.sql, STR(" and not exists (select 1 from main."));
    query_put_name(&st.sql, to->storage);
    buf_printf(&st.sql, " as _orlo_p where " STR_FMT ")", STR_ARG(buf_str(&where)));
    for (uint32_t i = 0; i < k->columns.n; i++) {
        const struct query_bound *b;
        if (value_of(f, 0, catalog_column_of(f->of, k->columns.p[i]), &b)) {
            ok = ok && !b->null;
            continue;
        }
        buf_puts(&st.sql, STR(" and _orlo_t."));
        query_put_name(&st.sql, catalog_column_of(f->of, k->columns.p[i])->storage);
        buf_puts(&st.sql, STR(" is not null"));
    }
    buf_puts(&st.sql, STR(" limit 1"));
    ok = ok && first_row(f, &st, values, k->columns.n);
    buf_free(&where);
    query_statement_free(&st);
    return ok;
}

static void tell_child(struct failing *f, const struct catalog_relation *from, const struct catalog_constraint *k,
                       const struct catalog_relation *to, const struct db_value *values) {
    struct buf b = {0};
    query_fail(f->error, "23503", "insert or update on table \"" STR_FMT "\" violates foreign key constraint \"" STR_FMT "\"",
               STR_ARG(from->name), STR_ARG(k->name));
    name_table(f->error, from, k->name);
    if (may_tell(f, from, &k->columns) && put_key(f, from, &k->columns, values, &b))
        query_fail_detail(f->error, "Key " STR_FMT " is not present in table \"" STR_FMT "\".", STR_ARG(buf_str(&b)),
                          STR_ARG(to->name));
    else query_fail_detail(f->error, "Key is not present in table \"" STR_FMT "\".", STR_ARG(to->name));
    buf_free(&b);
}

static bool child_failed(struct failing *f, const struct catalog_relation *from, const struct catalog_constraint *k,
                         uint32_t row) {
    struct db_value values[32];
    const struct catalog_relation *to = catalog_relation_of(f->conn->catalog, k->reference);
    if (!to || k->columns.n > ARRAY_COUNT(values)) return false;
    if (f->q->kind == QUERY_UPDATE
            ? !find_orphan(f, k, to, values)
            : !row_values(f, row, from, &k->columns, values) || is_there(f, to, &k->reference_columns, values))
        return false;
    tell_child(f, from, k, to, values);
    return true;
}

/* PostgreSQL looks row by row, and at a row's keys in the order in which they were made. */
static const struct catalog_constraint *next_key(const struct catalog_relation *of, const struct catalog_constraint *after) {
    const struct catalog_constraint *next = NULL;
    for (uint32_t i = 0; i < of->constraints.n; i++) {
        const struct catalog_constraint *k = &of->constraints.p[i];
        if (k->kind == CATALOG_FOREIGN && (!after || k->id > after->id) && (!next || k->id < next->id)) next = k;
    }
    return next;
}

/* A row that is passed over, since one like it is there, refers to nothing. */
static bool is_passed_over(const struct failing *f, uint32_t row) {
    struct db_value values[32];
    if (f->q->conflict != QUERY_CONFLICT_IGNORE) return false;
    for (uint32_t i = 0; i < f->of->constraints.n; i++) {
        const struct catalog_constraint *k = &f->of->constraints.p[i];
        if ((k->kind == CATALOG_PRIMARY || k->kind == CATALOG_UNIQUE) && k->columns.n <= ARRAY_COUNT(values) &&
            row_values(f, row, f->of, &k->columns, values) && is_there(f, f->of, &k->columns, values))
            return true;
    }
    return false;
}

static bool children_failed(struct failing *f) {
    const struct catalog_constraint *k = NULL;
    for (uint32_t row = 0; row < f->q->cells_count; row++)
        for (k = is_passed_over(f, row) ? NULL : next_key(f->of, NULL); k; k = next_key(f->of, k))
            if (child_failed(f, f->of, k, row)) return true;
    return false;
}

/* Which rows of the target, as the statement finds them, are referred to by this key? The first one's values. */
static bool referred(struct failing *f, const struct catalog_edge *g, struct db_value *values) {
    struct query_statement st = {0};
    struct query_printing p = {
        .conn = f->conn, .to = &st, .query = f->q, .out = f->mem, .error = &(struct pg_error){0}, .role = f->q->role};
    bool found, ok;
    buf_puts(&st.sql, STR("select "));
    for (uint32_t i = 0; i < g->key->reference_columns.n; i++) {
        if (i) buf_putc(&st.sql, ',');
        buf_puts(&st.sql, STR("_orlo_t."));
        query_put_name(&st.sql, catalog_column_of(g->to, g->key->reference_columns.p[i])->storage);
    }
    buf_puts(&st.sql, STR(" from main."));
    query_put_name(&st.sql, g->to->storage);
    buf_printf(&st.sql, " as _orlo_t where _orlo_t.%s in ", query_rowid_of(g->to));
    ok = query_put_rows(&p);
    buf_puts(&st.sql, STR(" and exists (select 1 from main."));
    query_put_name(&st.sql, g->from->storage);
    buf_puts(&st.sql, STR(" as _orlo_c where "));
    for (uint32_t i = 0; i < g->key->columns.n; i++) {
        buf_puts(&st.sql, i ? STR(" and _orlo_c.") : STR("_orlo_c."));
        query_put_name(&st.sql, catalog_column_of(g->from, g->key->columns.p[i])->storage);
        buf_puts(&st.sql, STR(" = _orlo_t."));
        query_put_name(&st.sql, catalog_column_of(g->to, g->key->reference_columns.p[i])->storage);
    }
    buf_puts(&st.sql, STR(") limit 1"));
    found = ok && first_row(f, &st, values, g->key->reference_columns.n);
    query_statement_free(&st);
    return found;
}

static void tell_parent(struct failing *f, const struct catalog_edge *g, const struct db_value *values) {
    struct buf b = {0};
    query_fail(f->error, "23503",
               "update or delete on table \"" STR_FMT "\" violates foreign key constraint \"" STR_FMT "\" on table \"" STR_FMT
               "\"",
               STR_ARG(g->to->name), STR_ARG(g->key->name), STR_ARG(g->from->name));
    name_table(f->error, g->from, g->key->name);
    if (may_tell(f, g->to, &g->key->reference_columns) && put_key(f, g->to, &g->key->reference_columns, values, &b))
        query_fail_detail(f->error, "Key " STR_FMT " is still referenced from table \"" STR_FMT "\".", STR_ARG(buf_str(&b)),
                          STR_ARG(g->from->name));
    else query_fail_detail(f->error, "Key is still referenced from table \"" STR_FMT "\".", STR_ARG(g->from->name));
    buf_free(&b);
}

static bool parent_failed(struct failing *f, const struct catalog_edge *g) {
    struct db_value values[32];
    uint8_t action = f->q->kind == QUERY_DELETE ? g->key->on_delete : g->key->on_update;
    if (action != CATALOG_NO_ACTION && action != CATALOG_RESTRICT) return false;
    if (g->key->columns.n > ARRAY_COUNT(values) || !referred(f, g, values)) return false;
    tell_parent(f, g, values);
    return true;
}

/* The keys that lead here, in the order in which they were made. */
static bool parents_failed(struct failing *f) {
    uint32_t after = 0;
    for (;;) {
        struct catalog_edge g = {0}, next = {0};
        while (catalog_edge_next(f->conn->catalog, f->of->id, &g))
            if (g.to == f->of && g.key->id > after && (!next.key || g.key->id < next.key->id)) next = g;
        if (!next.key) return false;
        if (parent_failed(f, &next)) return true;
        after = next.key->id;
    }
}

static bool foreign_failed(struct failing *f) {
    bool found = (f->q->kind == QUERY_INSERT || f->q->kind == QUERY_UPDATE) && children_failed(f);
    if (!found && (f->q->kind == QUERY_UPDATE || f->q->kind == QUERY_DELETE)) found = parents_failed(f);
    if (!found)
        query_fail(f->error, "23503",
                   "a foreign key constraint is violated by what follows from a change of table \"" STR_FMT "\"",
                   STR_ARG(f->of->name));
    return true;
}

/* ---- of a row that a function's statement wrote: its values are at hand ---- */

static bool changes(const struct catalog_relation *of, const catalog_ids *columns, const struct db_value *new,
                    const struct db_value *old) {
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(of, columns->p[i]);
        if (pg_value_compare(c->type, new[c - of->columns.p], old[c - of->columns.p])) return true;
    }
    return false;
}

static bool row_refers(struct failing *f, const struct db_value *new) {
    struct db_value values[32];
    for (const struct catalog_constraint *k = next_key(f->of, NULL); k; k = next_key(f->of, k)) {
        const struct catalog_relation *to = catalog_relation_of(f->conn->catalog, k->reference);
        if (!to || k->columns.n > ARRAY_COUNT(values) || !of_columns(f->of, &k->columns, new, values) ||
            is_there(f, to, &k->reference_columns, values))
            continue;
        tell_child(f, f->of, k, to, values);
        return true;
    }
    return false;
}

static bool row_referred(struct failing *f, const struct db_value *new, const struct db_value *old) {
    struct db_value values[32];
    for (uint32_t after = 0;;) {
        struct catalog_edge g = {0}, next = {0};
        while (catalog_edge_next(f->conn->catalog, f->of->id, &g))
            if (g.to == f->of && g.key->id > after && (!next.key || g.key->id < next.key->id)) next = g;
        if (!next.key) return false;
        after = next.key->id;
        uint8_t action = new ? next.key->on_update : next.key->on_delete;
        const catalog_ids *named = &next.key->reference_columns;
        if ((action != CATALOG_NO_ACTION && action != CATALOG_RESTRICT) || named->n > ARRAY_COUNT(values) ||
            !of_columns(f->of, named, old, values) || (new && !changes(f->of, named, new, old)) ||
            !is_there(f, next.from, &next.key->columns, values))
            continue;
        tell_parent(f, &next, values);
        return true;
    }
}

bool query_failed_key(struct query_conn *conn, const struct catalog_relation *of, const struct db_value *new,
                      const struct db_value *old, struct pg_error *error) {
    const struct query q = {.kind = QUERY_CALL, .role = conn->current};
    struct failing f = {conn, &q, error, of, arena_new(0)};
    bool walled = conn->walled;
    conn->walled = false;
    bool known = (new &&row_refers(&f, new)) || (old && row_referred(&f, new, old));
    conn->walled = walled;
    arena_free(f.mem);
    return known;
}

/* ---- what was said ---- */

static bool behind(str said, const char *mark, str *rest) {
    const uint8_t *at = said.n ? memmem(said.p, said.n, mark, strlen(mark)) : NULL;
    if (at) *rest = str_sub(said, (size_t)(at - said.p) + strlen(mark), said.n);
    return at != NULL;
}

/* "t.a, …", "index 'x'", a check's name: whose is it? Of what a function's statements do. */
static bool is_of(const struct catalog_relation *r, str said) {
    if (str_starts(said, r->storage) && said.n > r->storage.n && said.p[r->storage.n] == '.') return r->storage.n;
    for (uint32_t i = 0; i < r->constraints.n; i++)
        if (r->constraints.p[i].kind == CATALOG_CHECK && str_eq(r->constraints.p[i].storage, said)) return true;
    for (uint32_t i = 0; i < r->indexes.n; i++)
        if (is_said(said, r, &(catalog_ids){0}, r->indexes.p[i].storage)) return true;
    return false;
}

static const struct catalog_relation *relation_said(const struct catalog *c, str said) {
    static const char failed[] = "constraint failed: ";
    const struct catalog_relation *found = NULL;
    str rest;
    if (!behind(said, failed, &rest)) return NULL;
    for (uint32_t i = 0; i < c->relations.n; i++)
        if (is_of(&c->relations.p[i], rest) && (!found || c->relations.p[i].storage.n > found->storage.n))
            found = &c->relations.p[i];
    return found;
}

static bool constraint_failed(struct failing *f, str said) {
    str rest;
    if (!f->of) f->of = relation_said(f->conn->catalog, said);
    if (!f->of && behind(said, "FOREIGN KEY constraint failed", &rest))
        return query_fail(f->error, "23503", "a foreign key constraint is violated by what a function changes"), true;
    if (!f->of) return false;
    if (behind(said, "UNIQUE constraint failed: ", &rest)) return unique_failed(f, rest);
    if (behind(said, "NOT NULL constraint failed: ", &rest)) return null_failed(f, rest);
    if (behind(said, "CHECK constraint failed: ", &rest)) return check_failed(f, rest);
    return behind(said, "FOREIGN KEY constraint failed", &rest) && foreign_failed(f);
}

static const struct {
    const char *said, *state, *message;
} others[] = {
    {"took too long", "57014", "canceling statement due to statement timeout"},
    {"interrupted", "57014", "canceling statement due to statement timeout"},
    {"ON CONFLICT clause does not match", "42P10",
     "there is no unique or exclusion constraint matching the ON CONFLICT specification"},
    {"argument of ntile must be", "22014", "argument of ntile must be greater than zero"},
    {"second argument to nth_value must be", "22016", "argument of nth_value must be greater than zero"},
    {"frame starting offset must be", "22013", "frame starting offset must not be negative"},
    {"frame ending offset must be", "22013", "frame ending offset must not be negative"},
    {"integer overflow", "22003", "bigint out of range"},
    {"too much memory", "53200", "out of memory"},
    {"more memory than there is", "53200", "out of memory"},
    {"nests too deep", "54001", "stack depth limit exceeded"},
    {"parser stack overflow", "54001", "statement is too complex"},
    {"Expression tree is too large", "54001", "statement is too complex"},
    {"too many terms in", "54001", "statement is too complex"},
    {"too many FROM clause terms", "54001", "statement is too complex"},
    {"tables in a join", "54001", "statement is too complex"},
    {"too many columns in", "54001", "statement is too complex"},
    {"too many arguments on", "54001", "statement is too complex"},
    {"too many references to", "54001", "statement is too complex"},
    {"too many SQL variables", "54001", "statement is too complex"},
    {"too many levels of trigger recursion", "54001", "stack depth limit exceeded"},
    {"full", "53100", "the database has no room left"},
    {"string or blob too big", "54000", "a value is too large"},
    {"too big", "54000", "a value is too large"},
};

void query_failed(struct query_conn *conn, const struct query *q, err e, const struct diag *d, struct pg_error *error) {
    str said = str_c(d->text);
    if (error->set) return;
    if (conn->raised.set) {
        *error = conn->raised;
        return;
    }
    struct failing f = {conn, q, error, conn->target, arena_new(0)};
    bool known = constraint_failed(&f, said);
    arena_free(f.mem);
    for (size_t i = 0; !known && i < ARRAY_COUNT(others); i++) {
        str rest;
        if (!behind(said, others[i].said, &rest)) continue;
        query_fail(error, others[i].state, "%s", others[i].message);
        known = true;
    }
    if (known) return;
    if (e == ERR_IO || e == ERR_MALFORMED) query_fail(error, "58030", "the database cannot be read");
    else query_fail(error, "XX000", "the statement could not be run");
    log_event(LOG_ERROR, "query-failed", LF_CSTR("error", err_name(e)), LF_CSTR("text", d->text));
}
