/* write: a resolved insert, update or delete as SQLite's text.
 *
 *   insert into main."t" ("a", "b") values (?, now()), (?, now()) on conflict ("a") do update set "a" = excluded."a" returning …
 *   update main."t" set "a" = ?1 where rowid in (select q0."_orlo_k" from "v…" as q0 where …) returning …
 *   delete from main."t" where rowid in (…) returning …
 *
 * 1. Which rows are changed says a view of those that the role may change (policy.c); new ones are held against its checks by triggers.
 * 2. Never INSERT OR REPLACE: it would delete rows that nobody may see.
 * 3. A column that is not given is its default, which stands in the catalogue; SQLite's own is not relied upon.
 */
#include "query/query_int.h"

#define PUT(p, text) buf_puts(&(p)->to->sql, STR(text))

static void put_table(struct query_printing *p, const struct catalog_relation *of) {
    PUT(p, "main.");
    query_put_name(&p->to->sql, of->storage);
}

/* ---- returning ---- */

const struct catalog_column *query_column_through(const struct query *q, const struct catalog_column *c) {
    return q->through ? q->through[c - q->select.of->columns.p] : c;
}

bool query_list_is_plain(const struct query *q) {
    const struct query_select *s = &q->select;
    if (s->order_count) return false;
    for (uint32_t i = 0; i < s->list_count; i++)
        if (s->list[i].kind != QUERY_FIELD || s->list[i].field.computed || !query_column_through(q, s->list[i].field.of))
            return false;
    return true;
}

static bool put_returning(struct query_printing *p, const struct query_select *s) {
    if (!s->has_items) return true;
    PUT(p, " returning ");
    if (query_list_is_plain(p->query)) return query_put_list(p, s, QUERY_NO_ALIAS);
    return buf_puts(&p->to->sql, str_c(query_rowid_of(p->query->target)));
}

/* ---- insert ---- */

static bool is_target(const struct query *q, const struct catalog_column *c) {
    for (uint32_t i = 0; i < q->columns_count; i++)
        if (q->targets[i] == c) return true;
    return false;
}

/* Is a view's column the table's column c? */
static bool leads_to(const struct catalog *catalog, const struct catalog_relation *view, const struct catalog_column *k,
                     const struct catalog_column *c) {
    for (uint32_t depth = 0; view && k && view->kind == CATALOG_VIEW && depth < QUERY_NESTING_MAX; depth++) {
        view = catalog_relation_of(catalog, view->base);
        k = view && k->base_number ? catalog_column_of(view, k->base_number) : NULL;
    }
    return k == c;
}

/* What a column is where nothing is given: a view's own default comes before its table's. */
static const struct catalog_expr *default_of(const struct query_printing *p, const struct catalog_column *c) {
    const struct catalog *catalog = p->conn->catalog;
    const struct catalog_relation *view = p->query->select.of;
    if (p->query->instead) return &c->default_value;
    for (uint32_t depth = 0; view && view->kind == CATALOG_VIEW && depth < QUERY_NESTING_MAX; depth++) {
        for (uint32_t i = 0; i < view->columns.n; i++)
            if (view->columns.p[i].default_value.source.n && leads_to(catalog, view, &view->columns.p[i], c))
                return &view->columns.p[i].default_value;
        view = catalog_relation_of(catalog, view->base);
    }
    return catalog_default_of(catalog, c);
}

static bool has_default(const struct query_printing *p, const struct catalog_column *c) {
    return !c->generated && (default_of(p, c)->fragment.text.n || c->sequence);
}

static bool put_default(struct query_printing *p, const struct catalog_column *c) {
    struct query_expanding x = {.conn = p->conn, .of = p->query->target, .at = QUERY_AT_VALUES, .role = p->role};
    const struct catalog_expr *d = default_of(p, c);
    if (d->fragment.text.n) {
        PUT(p, "(");
        return query_expand(&x, d->fragment.text, &p->to->sql, p->error) && PUT(p, ")");
    }
    if (d->source.n && !c->sequence)
        return query_fail(p->error, "0A000", "the default of column \"" STR_FMT "\" cannot run on SQLite", STR_ARG(c->name));
    if (c->sequence) return buf_printf(&p->to->sql, "pg_nextval(%u)", c->sequence);
    return PUT(p, "null");
}

static bool put_row(struct query_printing *p, const struct query_row *row, bool alone) {
    const struct query *q = p->query;
    bool first = true;
    buf_puts(&p->to->sql, alone ? STR("select ") : STR("("));
    for (uint32_t i = 0; i < q->columns_count; i++, first = false) {
        if (!first) PUT(p, ",");
        if (row->there[i]) query_put_next_value(p, row->cells[i].null ? DB_NOTHING : row->cells[i].value);
        else if (!put_default(p, q->targets[i])) return false;
    }
    for (uint32_t i = 0; i < q->target->columns.n; i++) {
        const struct catalog_column *c = &q->target->columns.p[i];
        if (is_target(q, c) || !has_default(p, c)) continue;
        if (!first) PUT(p, ",");
        first = false;
        if (!put_default(p, c)) return false;
    }
    return buf_puts(&p->to->sql, alone ? STR(" where true") : STR(")"));
}

static uint32_t put_columns(struct query_printing *p) {
    const struct query *q = p->query;
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->columns_count; i++) {
        buf_puts(&p->to->sql, n++ ? STR(",") : STR(" ("));
        query_put_name(&p->to->sql, q->targets[i]->storage);
    }
    for (uint32_t i = 0; i < q->target->columns.n; i++) {
        const struct catalog_column *c = &q->target->columns.p[i];
        if (is_target(q, c) || !has_default(p, c)) continue;
        buf_puts(&p->to->sql, n++ ? STR(",") : STR(" ("));
        query_put_name(&p->to->sql, c->storage);
    }
    if (n) PUT(p, ")");
    return n;
}

static bool put_conflict(struct query_printing *p) {
    const struct query *q = p->query;
    if (!q->conflict) return true;
    PUT(p, " on conflict");
    for (uint32_t i = 0; i < q->conflict_count; i++) {
        buf_puts(&p->to->sql, i ? STR(",") : STR(" ("));
        query_put_name(&p->to->sql, q->arbiter[i]->storage);
    }
    if (q->conflict_count) PUT(p, ")");
    if (q->conflict == QUERY_CONFLICT_IGNORE || !q->columns_count) return PUT(p, " do nothing");
    PUT(p, " do update set ");
    for (uint32_t i = 0; i < q->columns_count; i++) {
        if (i) PUT(p, ",");
        query_put_name(&p->to->sql, q->targets[i]->storage);
        PUT(p, "=excluded.");
        query_put_name(&p->to->sql, q->targets[i]->storage);
    }
    return true;
}

/* SQLite evaluates a single row of VALUES again for each BEFORE trigger, which a check of a policy is: of a default that is another value each time,
 * one would be checked and another one written. Of a select it is not so. */
static bool changes_by_itself(const struct query_printing *p, const struct query_row *row) {
    const struct query *q = p->query;
    for (uint32_t i = 0; i < q->target->columns.n; i++) {
        const struct catalog_column *c = &q->target->columns.p[i];
        bool given = false;
        for (uint32_t k = 0; k < q->columns_count; k++) given |= q->targets[k] == c && row->there[k];
        if (given || !has_default(p, c)) continue;
        if (c->sequence || default_of(p, c)->fragment.flags & CATALOG_VOLATILE) return true;
    }
    return false;
}

/* One row as a select; columns: which ones it gives, in their order. */
bool query_put_insert_row(struct query_printing *p, uint32_t row, const struct catalog_column **columns, uint32_t *n) {
    const struct query *q = p->query;
    *n = 0;
    for (uint32_t i = 0; i < q->columns_count; i++) columns[(*n)++] = q->targets[i];
    for (uint32_t i = 0; i < q->target->columns.n; i++) {
        const struct catalog_column *c = &q->target->columns.p[i];
        if (!is_target(q, c) && has_default(p, c)) columns[(*n)++] = c;
    }
    return *n ? put_row(p, &q->cells[row], true) : PUT(p, "select 1");
}

/* The key, the columns and what is set of each row that an update or delete finds. */
static bool put_found_instead(struct query_printing *p) {
    const struct query *q = p->query;
    uint32_t alias = p->aliases++;
    bool rows_first = !query_where_is_bare(q->select.where);
    str name;
    if (!query_view_of(p->conn, q->target, p->role, QUERY_SEES, &name, p->error)) return false;
    PUT(p, "select 0");
    for (uint32_t i = 0; i < q->target->columns.n; i++) {
        buf_printf(&p->to->sql, ",q%u.", alias);
        query_put_name(&p->to->sql, q->target->columns.p[i].storage);
    }
    for (uint32_t i = 0; q->kind == QUERY_UPDATE && i < q->columns_count; i++) {
        PUT(p, ",");
        if (q->cells[0].there[i]) query_put_value(p, q->cells[0].cells[i].null ? DB_NOTHING : q->cells[0].cells[i].value);
        else if (!put_default(p, q->targets[i])) return false;
    }
    buf_puts(&p->to->sql, rows_first ? STR(" from (select * from ") : STR(" from "));
    query_put_name(&p->to->sql, name);
    buf_printf(&p->to->sql, "%s as q%u where ", rows_first ? " limit -1)" : "", alias);
    return query_put_where(p, &q->select, alias);
}

bool query_put_found(struct query_printing *p) {
    const struct query *q = p->query;
    if (q->instead) return put_found_instead(p);
    buf_printf(&p->to->sql, "select _orlo_t.%s", query_rowid_of(q->target));
    for (uint32_t i = 0; i < q->target->columns.n; i++) {
        PUT(p, ",_orlo_t.");
        query_put_name(&p->to->sql, q->target->columns.p[i].storage);
    }
    for (uint32_t i = 0; q->kind == QUERY_UPDATE && i < q->columns_count; i++) {
        PUT(p, ",");
        if (q->cells[0].there[i]) query_put_value(p, q->cells[0].cells[i].null ? DB_NOTHING : q->cells[0].cells[i].value);
        else if (!put_default(p, q->targets[i])) return false;
    }
    PUT(p, " from ");
    put_table(p, q->target);
    buf_printf(&p->to->sql, " as _orlo_t where _orlo_t.%s in ", query_rowid_of(q->target));
    return query_put_rows(p);
}

bool query_put_insert(struct query_printing *p, uint32_t from, uint32_t n) {
    const struct query *q = p->query;
    PUT(p, "insert into ");
    put_table(p, q->target);
    if (!put_columns(p)) PUT(p, " default values");
    else {
        bool alone = n == 1 && changes_by_itself(p, &q->cells[from]);
        buf_puts(&p->to->sql, alone ? STR(" ") : STR(" values "));
        for (uint32_t i = 0; i < n; i++) {
            if (i) PUT(p, ",");
            if (!put_row(p, &q->cells[from + i], alone)) return false;
        }
    }
    return put_conflict(p) && put_returning(p, &q->select);
}

bool query_put_there(struct query_printing *p, const uint32_t *at, uint32_t n, uint32_t from, uint32_t rows) {
    const struct query *q = p->query;
    PUT(p, "select count(*) from ");
    put_table(p, q->target);
    PUT(p, " where (");
    for (uint32_t k = 0; k < n; k++) {
        if (k) PUT(p, ",");
        query_put_name(&p->to->sql, q->targets[at[k]]->storage);
    }
    PUT(p, ") in (values ");
    for (uint32_t i = 0; i < rows; i++) {
        buf_puts(&p->to->sql, i ? STR(",(") : STR("("));
        for (uint32_t k = 0; k < n; k++) {
            const struct query_row *row = &q->cells[from + i];
            if (k) PUT(p, ",");
            query_put_value(p, row->there[at[k]] && !row->cells[at[k]].null ? row->cells[at[k]].value : DB_NOTHING);
        }
        PUT(p, ")");
    }
    return PUT(p, ")");
}

/* ---- update, delete ---- */

static bool put_rows(struct query_printing *p, enum query_sight sight) {
    const struct query_select *s = &p->query->select;
    uint32_t alias = p->aliases++;
    str name;
    if (!query_view_of(p->conn, s->of, p->role, sight, &name, p->error)) return false;
    bool rows_first = s->of->kind == CATALOG_VIEW && !query_where_is_bare(s->where); /* as where it is read (sqlite.c) */
    buf_printf(&p->to->sql, "(select q%u.\"_orlo_k\" from ", alias);
    if (rows_first) PUT(p, "(select * from ");
    query_put_name(&p->to->sql, name);
    if (rows_first) PUT(p, " limit -1)");
    buf_printf(&p->to->sql, " as q%u where ", alias);
    return query_put_where(p, s, alias) && PUT(p, ")");
}

bool query_put_rows(struct query_printing *p) {
    const struct query *q = p->query;
    bool update = q->kind == QUERY_UPDATE;
    return put_rows(p, update ? q->reads ? QUERY_UPDATES_READ : QUERY_UPDATES : q->reads ? QUERY_DELETES_READ : QUERY_DELETES);
}

static bool put_where(struct query_printing *p) {
    buf_printf(&p->to->sql, " where %s in ", query_rowid_of(p->query->target));
    return query_put_rows(p);
}

bool query_put_update(struct query_printing *p) {
    const struct query *q = p->query;
    PUT(p, "update ");
    put_table(p, q->target);
    PUT(p, " set ");
    for (uint32_t i = 0; i < q->columns_count; i++) {
        if (i) PUT(p, ",");
        query_put_name(&p->to->sql, q->targets[i]->storage);
        PUT(p, "=");
        if (q->targets[i] == query_key_of(q) && q->cells[0].cells[i].null) { /* run.c refuses it, behind the policies */
            query_put_name(&p->to->sql, q->targets[i]->storage);
            continue;
        }
        if (q->cells[0].there[i]) query_put_value(p, q->cells[0].cells[i].null ? DB_NOTHING : q->cells[0].cells[i].value);
        else if (!put_default(p, q->targets[i])) return false;
    }
    return put_where(p) && put_returning(p, &q->select);
}

bool query_put_delete(struct query_printing *p) {
    PUT(p, "delete from ");
    put_table(p, p->query->target);
    return put_where(p) && (!query_list_is_plain(p->query) || put_returning(p, &p->query->select));
}

/* ---- answers with more than columns: a select of the rows that were written, or are about to be deleted ---- */

bool query_put_select_rows(struct query_printing *p, str keys) {
    const struct query_select *s = &p->query->select;
    struct query_select plain = *s;
    plain.where = NULL;
    plain.limit = -1;
    uint32_t alias = p->aliases++;
    str name;
    enum query_sight sight = s->of->kind == CATALOG_VIEW ? QUERY_WRITTEN : QUERY_SEES;
    if (p->query->instead) { /* rows as its triggers gave them */
        PUT(p, "select ");
        if (!query_put_list(p, &plain, alias)) return false;
        for (uint32_t i = 0; i < s->of->columns.n; i++) {
            buf_printf(&p->to->sql, "%sc%u as ", i ? "," : " from (select ", i + 1);
            query_put_name(&p->to->sql, s->of->columns.p[i].storage);
        }
        buf_printf(&p->to->sql, " from query_transition(1)) as q%u where true", alias);
        return query_put_tail(p, &plain, alias);
    }
    if (!query_view_of(p->conn, s->of, p->role, sight, &name, p->error)) return false;
    PUT(p, "select ");
    if (!query_put_list(p, &plain, alias)) return false;
    PUT(p, " from ");
    query_put_name(&p->to->sql, name);
    buf_printf(&p->to->sql, " as q%u where q%u.\"_orlo_k\" in ", alias, alias);
    if (p->query->kind == QUERY_DELETE && !keys.n) {
        if (!put_rows(p, QUERY_DELETES_READ)) return false;
    } else {
        PUT(p, "(select value from json_each(");
        query_put_value(p, DB_TEXT(keys));
        PUT(p, "))");
    }
    return query_put_tail(p, &plain, alias);
}
