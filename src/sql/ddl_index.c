/* ddl_index: CREATE INDEX. Of what SQLite has no index for (GIN, GiST, operator classes) the catalogue keeps that it was asked for; the
 * queries run without it, and the report says so. */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"

/* ---- what an access method becomes ---- */

static const struct {
    const char *method, *becomes; /* NULL: an index as it was asked for */
} methods[] = {
    {"btree", NULL},
    {"hash", NULL},
    {"brin", NULL},
    {"gin", "looked up without an index: SQLite has none into arrays, jsonb and documents"},
    {"gist", "looked up without an index: SQLite has none of this kind"},
    {"hnsw", "exact search: distances are worked out for each row that is left to look at"},
    {"ivfflat", "exact search: distances are worked out for each row that is left to look at"},
    {"spgist", "looked up without an index: SQLite has none of this kind"},
};

/* An extension's method finds what there is to find without an index, only slower. */
static str ignored_because(struct sql_ddl *d, const PgQuery__IndexStmt *s) {
    const char *method = s->access_method && *s->access_method ? s->access_method : "btree";
    for (size_t i = 0; i < ARRAY_COUNT(methods); i++)
        if (!strcmp(methods[i].method, method)) return methods[i].becomes ? str_c(methods[i].becomes) : (str){0};
    return arena_fmt(d->mem, "looked up without an index: method %s is an extension's", method);
}

static err index_key(struct sql_ddl *d, const struct catalog_relation *r, const PgQuery__IndexElem *k, bool translate,
                     bool unique, struct catalog_index_key *out) {
    *out =
        (struct catalog_index_key){.expr.fragment.typmod = -1, .descending = k->ordering == PG_QUERY__SORT_BY_DIR__SORTBY_DESC};
    out->nulls_first = k->nulls_ordering == PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_FIRST ||
                       (out->descending && k->nulls_ordering != PG_QUERY__SORT_BY_NULLS__SORTBY_NULLS_LAST);
    if (k->n_opclass) out->opclass = arena_str(d->mem, sql_name_of(k->opclass[k->n_opclass - 1]));
    if (k->name && *k->name) {
        const struct catalog_column *c = catalog_column_named(r, str_c(k->name));
        if (!c) return sql_refuse_at(d, -1, "42703", NULL, "column \"%s\" does not exist", k->name);
        out->column = c->number;
        return ERR_OK;
    }
    if (!translate) return out->expr.source = sql_expr_text(d->mem, k->expr), ERR_OK;
    struct sql_expr_use use = {.row = r,
                               .kind = SQL_ROW_AT_HAND,
                               .typmod = -1,
                               .context = PG_IMPLICIT,
                               .clause = "INDEX",
                               .no_subquery = true,
                               .no_volatile = true,
                               .optional = !unique};
    return sql_expr_into(d, k->expr, &use, &out->expr);
}

/* SQLite's expression indexes cannot hold what asks for the session, or a select: such a one is not made, unless it is there to keep rows apart. */
static err fit(struct sql_ddl *d, const PgQuery__IndexStmt *s, struct catalog_index *x) {
    uint32_t flags = x->where.fragment.flags;
    for (uint32_t i = 0; i < x->keys.n; i++) flags |= x->keys.p[i].expr.fragment.flags;
    if (!(flags & (CATALOG_SUBQUERY | CATALOG_VOLATILE | CATALOG_SESSION))) return ERR_OK;
    if (s->unique)
        return sql_needs_postgres(d, s->relation->location, "use columns and plain functions",
                                  "a unique index over what depends on the time, the session or a query is not there on SQLite");
    x->ignored = STR("its expression depends on the time, the session or a query");
    return ERR_OK;
}

static str lacking(struct sql_ddl *d, str why_not) {
    return arena_fmt(d->mem, "left out, as its expression is not there on SQLite: " STR_FMT, STR_ARG(why_not));
}

static err index_parts(struct sql_ddl *d, const struct catalog_relation *r, const PgQuery__IndexStmt *s,
                       struct catalog_index *x) {
    str ignored = ignored_because(d, s);
    x->ignored = ignored;
    for (size_t i = 0; i < s->n_index_params; i++) {
        struct catalog_index_key k;
        TRY(index_key(d, r, s->index_params[i]->index_elem, !ignored.n, s->unique, &k));
        if (k.expr.why_not.n) x->ignored = lacking(d, k.expr.why_not);
        vec_push(d->mem, &x->keys, k);
    }
    for (size_t i = 0; i < s->n_index_including_params; i++) {
        const struct catalog_column *c = catalog_column_named(r, str_c(s->index_including_params[i]->index_elem->name));
        if (!c)
            return sql_refuse_at(d, -1, "42703", NULL, "column \"%s\" does not exist",
                                 s->index_including_params[i]->index_elem->name);
        vec_push(d->mem, &x->include, c->number);
    }
    struct sql_expr_use use = {.row = r,
                               .kind = SQL_ROW_AT_HAND,
                               .type = PG_BOOL,
                               .typmod = -1,
                               .context = PG_ASSIGNMENT,
                               .clause = "WHERE",
                               .no_subquery = true,
                               .no_volatile = true,
                               .optional = !s->unique};
    if (s->where_clause && ignored.n) x->where.source = sql_expr_text(d->mem, s->where_clause);
    else if (s->where_clause) TRY(sql_expr_into(d, s->where_clause, &use, &x->where));
    if (x->where.why_not.n) x->ignored = lacking(d, x->where.why_not);
    return fit(d, s, x);
}

static str index_name(struct sql_ddl *d, const struct catalog_relation *r, const PgQuery__IndexStmt *s) {
    struct buf b = {0};
    for (size_t i = 0; i < s->n_index_params; i++) {
        const PgQuery__IndexElem *k = s->index_params[i]->index_elem;
        if (i) buf_putc(&b, '_');
        buf_puts(&b, k->name && *k->name ? str_c(k->name)
                     : k->expr && k->expr->node_case == PG_QUERY__NODE__NODE_FUNC_CALL
                         ? sql_name_of(k->expr->func_call->funcname[k->expr->func_call->n_funcname - 1])
                         : STR("expr"));
    }
    str columns = arena_str(d->mem, buf_str(&b));
    buf_free(&b);
    return sql_made_name(d, r, columns, "idx");
}

err sql_do_create_index(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__IndexStmt *s = node_->index_stmt;
    err e;
    struct catalog_relation *r = sql_table_of(d, s->relation, false, &e);
    if (!r) return e;
    TRY(sql_must_own(d, r, s->relation->location));
    if (r->kind == CATALOG_VIEW)
        return sql_refuse_at(d, s->relation->location, "42809", NULL, "cannot create index on relation \"" STR_FMT "\"",
                             STR_ARG(r->name));
    struct catalog_index x = {.id = d->c->next_id++,
                              .method =
                                  arena_str(d->mem, str_c(s->access_method && *s->access_method ? s->access_method : "btree")),
                              .unique = s->unique,
                              .nulls_not_distinct = s->nulls_not_distinct,
                              .where.fragment.typmod = -1};
    x.name = s->idxname && *s->idxname ? arena_str(d->mem, str_c(s->idxname)) : index_name(d, r, s);
    if (sql_name_taken(d, r->schema, x.name)) {
        if (s->if_not_exists) return ERR_OK;
        return sql_refuse_at(d, s->relation->location, "42P07", NULL, "relation \"" STR_FMT "\" already exists", STR_ARG(x.name));
    }
    sql_touch(d, r);
    TRY(index_parts(d, r, s, &x));
    x.storage = sql_storage_name(d, r->schema, x.name, x.id);
    if (x.ignored.n) sql_ignored(d, s->relation->location, "index " STR_FMT ": " STR_FMT, STR_ARG(x.name), STR_ARG(x.ignored));
    vec_push(d->mem, &r->indexes, x);
    return ERR_OK;
}

/* ---- EXCLUDE ---- */

/* column with =, and no other operator: else NULL */
static PgQuery__Node *excluded(PgQuery__Node *n) {
    const PgQuery__List *pair = n->node_case == PG_QUERY__NODE__NODE_LIST ? n->list : NULL;
    if (!pair || pair->n_items != 2 || pair->items[0]->node_case != PG_QUERY__NODE__NODE_INDEX_ELEM ||
        pair->items[1]->node_case != PG_QUERY__NODE__NODE_LIST)
        return NULL;
    const PgQuery__List *op = pair->items[1]->list;
    return op->n_items && str_eqc(sql_name_of(op->items[op->n_items - 1]), "=") ? pair->items[0] : NULL;
}

/* Of equality alone it is a unique index, whose violation is called otherwise. */
err sql_exclusion_add(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__Constraint *k) {
    PgQuery__IndexStmt s = PG_QUERY__INDEX_STMT__INIT;
    PgQuery__Node **params = arena_array(d->mem, PgQuery__Node *, k->n_exclusions + 1);
    for (size_t i = 0; i < k->n_exclusions; i++)
        if (!(params[i] = excluded(k->exclusions[i])))
            return sql_needs_postgres(d, k->location, "database = \"postgres\" runs it",
                                      "EXCLUDE of anything but columns with = is not there on SQLite");
    s.index_params = params, s.n_index_params = k->n_exclusions, s.where_clause = k->where_clause, s.unique = true;
    s.access_method = arena_cstr(d->mem, STR("btree"));
    struct catalog_index x = {
        .id = d->c->next_id++, .method = STR("btree"), .unique = true, .exclusion = true, .where.fragment.typmod = -1};
    TRY(index_parts(d, r, &s, &x));
    const struct catalog_column *first = x.keys.n ? catalog_column_of(r, x.keys.p[0].column) : NULL;
    x.name = k->conname && *k->conname ? arena_str(d->mem, str_c(k->conname))
                                       : sql_made_name(d, r, first ? first->name : STR("expr"), "excl");
    if (sql_name_taken(d, r->schema, x.name))
        return sql_refuse_at(d, k->location, "42P07", NULL, "relation \"" STR_FMT "\" already exists", STR_ARG(x.name));
    if (k->deferrable || k->initdeferred)
        sql_remark(d, k->location, NULL, "a deferrable exclusion constraint is checked row by row on SQLite");
    x.storage = sql_storage_name(d, r->schema, x.name, x.id);
    vec_push(d->mem, &r->indexes, x);
    return ERR_OK;
}

bool sql_exclusion_drop(struct sql_ddl *d, struct catalog_relation *r, str name) {
    for (uint32_t i = 0; i < r->indexes.n; i++) {
        struct catalog_index *x = &r->indexes.p[i];
        if (!x->exclusion || !str_eq(x->name, name)) continue;
        sql_storage_free(d, x->storage);
        memmove(x, x + 1, (--r->indexes.n - i) * sizeof *x);
        return true;
    }
    return false;
}
