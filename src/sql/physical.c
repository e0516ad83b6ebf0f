/* physical: SQLite's tables as the catalogue would have them.
 *
 *   touched:  the table's text, its columns and its indexes as they are in SQLite are noted, once
 *   flush:    printed again as the catalogue says, and compared:
 *
 *      there was none          create table, create index …
 *      there is none now       drop table
 *      only indexes differ     drop index …, create index …
 *      only columns were added, which rows can do without:  alter table … add column …
 *      anything else           the rows are copied into a new table, which takes the old one's place
 *
 * 1. Dropping a table while foreign keys are enforced would delete what refers to it: where rows are copied these steps are run with them off, and all is
 *    checked as a whole before it is committed (sql_plan.foreign_keys_off). What the files' own statements do is done with them on.
 * 2. A column's type is enforced by SQLite itself: STRICT, and CHECKs for what PostgreSQL's types mean beyond that. They fail only by a fault of
 *    ours: what is written is of its type already.
 */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"
#include <inttypes.h>

/* ---- marks ---- */

enum { EXPANDED_DEPTH_MAX = 32 };

static str quoted(struct sql_ddl *d, str name) { return sql_quoted(d->mem, name); }

static void expand(struct sql_ddl *d, str f, const struct catalog_relation *row, uint32_t depth, struct buf *out);

static void expand_relation(struct sql_ddl *d, uint32_t id, uint32_t depth, struct buf *out) {
    const struct catalog_relation *r = catalog_relation_of(d->c, id);
    if (depth > EXPANDED_DEPTH_MAX) out->full = true; /* sql_expanded says so */
    if (!r || out->full) return;
    if (r->kind != CATALOG_VIEW) return (void)buf_puts(out, quoted(d, r->storage));
    buf_putc(out, '(');
    expand(d, r->query.fragment.text, NULL, depth + 1, out);
    buf_putc(out, ')');
}

static void expand(struct sql_ddl *d, str f, const struct catalog_relation *row, uint32_t depth, struct buf *out) {
    struct catalog_mark m = {0};
    size_t from = 0;
    for (; !out->full && catalog_mark_next(f, from, &m); from = m.end) {
        const struct catalog_column *c = row && (m.kind == 'C' || m.kind == 'N') ? catalog_column_of(row, m.id) : NULL;
        buf_puts(out, str_sub(f, from, m.at - from));
        if (m.kind == 'R' || m.kind == 'B') expand_relation(d, m.id, depth, out);
        else if (m.kind == 'A' && m.id && m.id <= d->places_n) buf_puts(out, sql_literal(d->mem, d->places[m.id - 1]));
        else if (c) buf_puts(out, quoted(d, c->storage));
        else if (!strchr("PKQ", m.kind)) buf_puts(out, STR("null"));
    }
    buf_puts(out, str_sub(f, from, f.n));
}

str sql_expanded(struct sql_ddl *d, str fragment, const struct catalog_relation *row) {
    struct buf b = {.max = d->file && d->file->copied ? SQL_COPIED_MAX : SQL_TEXT_MAX};
    expand(d, fragment, row, 0, &b);
    str s = b.full ? (str){0} : arena_str(d->mem, buf_str(&b));
    buf_free(&b);
    return s;
}

static struct sql_plan_step step_of(struct sql_ddl *d, str text) {
    struct sql_plan_step step = {.text = text, .kind = d->flushing ? SQL_STEP_STRUCTURE : SQL_STEP_ROWS};
    if (d->statement && !d->flushing && !d->platform) step.line = d->statement->line;
    return step;
}

void sql_step(struct sql_ddl *d, str text) { vec_push(d->mem, &d->out->steps, step_of(d, text)); }

/* ---- a table as text ---- */

static const char *const stored[] = {
    [PG_STORED_INTEGER] = "INTEGER", [PG_STORED_REAL] = "REAL", [PG_STORED_TEXT] = "TEXT", [PG_STORED_BLOB] = "BLOB"};

static const struct pg_type *storage_type(struct sql_ddl *d, uint32_t type) {
    struct sql_context *cx = arena_make(d->mem, struct sql_context);
    *cx = sql_context_of(d);
    const struct pg_type *t = sql_type_of(cx, sql_base_type(cx, type));
    return t && t->storage < PG_STORED_NOT ? t : pg_type_by_id(PG_TEXT);
}

/* What has to hold of a value of the type, beyond its storage; %s is the column. */
static const struct {
    uint32_t type;
    const char *holds;
} type_checks[] = {
    {PG_BOOL, "%s in (0, 1)"},
    {PG_INT2, "%s between -32768 and 32767"},
    {PG_INT4, "%s between -2147483648 and 2147483647"},
    {PG_OID, "%s between 0 and 4294967295"},
    {PG_DATE, "%s between -2451545 and 2145031948 or %s in (-2147483648, 2147483647, -9223372036854775808, 9223372036854775807)"},
    {PG_TIME, "%s between 0 and 86400000000"},
    {PG_UUID, "length(%s) = 16"},
};

static void check_of(struct buf *b, str column, const char *holds) {
    for (const char *p = holds; *p; p++) {
        if (p[0] == '%' && p[1] == 's') buf_puts(b, column), p++;
        else buf_putc(b, (uint8_t)*p);
    }
}

static bool type_check(struct sql_ddl *d, const struct catalog_column *c, struct buf *b) {
    const struct pg_type *t = storage_type(d, c->type);
    const struct catalog_type *own = catalog_type_of(d->c, c->type);
    int32_t typmod = own && own->kind == CATALOG_DOMAIN && c->type == own->id ? own->typmod : c->typmod;
    str column = quoted(d, c->storage);
    for (size_t i = 0; i < ARRAY_COUNT(type_checks); i++)
        if (type_checks[i].type == t->id) return check_of(b, column, type_checks[i].holds), true;
    if (t->id == PG_VECTOR)
        return typmod < 0
                   ? buf_printf(b, "length(" STR_FMT ") %% 4 = 0 and length(" STR_FMT ") > 0", STR_ARG(column), STR_ARG(column))
                   : buf_printf(b, "length(" STR_FMT ") = %d", STR_ARG(column), 4 * typmod);
    if (t->id == PG_BIT && typmod > 0) return buf_printf(b, "length(" STR_FMT ") = %d", STR_ARG(column), typmod);
    if (t->id == PG_VARBIT && typmod > 0) return buf_printf(b, "length(" STR_FMT ") <= %d", STR_ARG(column), typmod);
    if (typmod < 4) return false;
    if (t->id == PG_VARCHAR) return buf_printf(b, "length(" STR_FMT ") <= %d", STR_ARG(column), typmod - 4);
    if (t->id == PG_BPCHAR) return buf_printf(b, "length(" STR_FMT ") = %d", STR_ARG(column), typmod - 4);
    int32_t precision = (typmod - 4) >> 16 & 0xffff, scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
    if (t->id != PG_NUMERIC || scale < 0 || scale > precision) return false;
    if (!scale)
        return buf_printf(b, STR_FMT " = 'NaN' or (instr(" STR_FMT ", '.') = 0 and length(ltrim(" STR_FMT ", '-')) <= %d)",
                          STR_ARG(column), STR_ARG(column), STR_ARG(column), precision);
    return buf_printf(b, STR_FMT " = 'NaN' or (substr(" STR_FMT ", %d, 1) = '.' and length(ltrim(" STR_FMT ", '-')) <= %d)",
                      STR_ARG(column), STR_ARG(column), -scale - 1, STR_ARG(column), MAX(precision - scale, 1) + 1 + scale);
}

static const struct catalog_type *domain_of(struct sql_ddl *d, uint32_t type) {
    const struct catalog_type *t = catalog_type_of(d->c, type);
    return t && t->kind == CATALOG_DOMAIN && t->id == type ? t : NULL;
}

/* A domain's check of the column: VALUE is column 0. */
static str of_value(struct sql_ddl *d, const struct catalog_column *c, str fragment) {
    struct catalog_column value = *c;
    struct catalog_relation row = {.columns = {&value, 1, 1}};
    value.number = 0;
    return sql_expanded(d, fragment, &row);
}

static void domain_checks(struct sql_ddl *d, const struct catalog_column *c, struct buf *b) {
    uint32_t depth = 0;
    for (const struct catalog_type *t = domain_of(d, c->type); t && depth < 32; t = domain_of(d, t->base), depth++)
        for (uint32_t i = 0; i < t->checks.n; i++) {
            const struct catalog_fragment *f = &t->checks.p[i].expr.fragment;
            if (!f->text.n || f->flags & CATALOG_SUBQUERY) continue;
            buf_printf(b, ", CONSTRAINT " STR_FMT " CHECK (" STR_FMT ")", STR_ARG(quoted(d, t->checks.p[i].name)),
                       STR_ARG(of_value(d, c, f->text)));
        }
}

static bool never_null(struct sql_ddl *d, const struct catalog_column *c) {
    bool never = c->not_null;
    uint32_t depth = 0;
    for (const struct catalog_type *t = domain_of(d, c->type); t && depth < 32; t = domain_of(d, t->base), depth++)
        never |= t->not_null;
    return never;
}

static bool is_rowid(struct sql_ddl *d, const struct catalog_relation *r, const struct catalog_column *c) {
    const struct catalog_constraint *p = catalog_primary_key(r);
    const struct pg_type *t = pg_type_by_id(c->type);
    return p && p->columns.n == 1 && p->columns.p[0] == c->number && t && !c->generated &&
           (t->id == PG_INT2 || t->id == PG_INT4 || t->id == PG_INT8);
}

static bool set_to_default(const struct catalog_relation *r, uint32_t column) {
    for (uint32_t i = 0; i < r->constraints.n; i++) {
        const struct catalog_constraint *k = &r->constraints.p[i];
        if (k->kind == CATALOG_FOREIGN && (k->on_delete == CATALOG_SET_DEFAULT || k->on_update == CATALOG_SET_DEFAULT) &&
            catalog_ids_have(&k->columns, column))
            return true;
    }
    return false;
}

static void column_text(struct sql_ddl *d, const struct catalog_relation *r, const struct catalog_column *c, struct buf *b) {
    const struct pg_type *t = storage_type(d, c->type);
    buf_puts(b, quoted(d, c->storage));
    buf_printf(b, " %s", stored[t->storage]);
    if (t->collation[0]) buf_printf(b, " COLLATE \"%s\"", t->collation);
    if (never_null(d, c)) buf_puts(b, STR(" NOT NULL"));
    if (is_rowid(d, r, c)) buf_puts(b, STR(" PRIMARY KEY"));
    if (set_to_default(r, c->number) && c->default_value.fragment.flags & CATALOG_CONSTANT)
        buf_printf(b, " DEFAULT (" STR_FMT ")", STR_ARG(sql_expanded(d, c->default_value.fragment.text, r)));
    if (c->generated && c->default_value.fragment.text.n)
        buf_printf(b, " GENERATED ALWAYS AS (" STR_FMT ") STORED", STR_ARG(sql_expanded(d, c->default_value.fragment.text, r)));
}

static void column_list(struct sql_ddl *d, const struct catalog_relation *r, const catalog_ids *numbers, struct buf *b) {
    buf_putc(b, '(');
    for (uint32_t i = 0; i < numbers->n; i++) {
        if (i) buf_puts(b, STR(", "));
        buf_puts(b, quoted(d, catalog_column_of(r, numbers->p[i])->storage));
    }
    buf_putc(b, ')');
}

static void foreign_text(struct sql_ddl *d, const struct catalog_relation *r, const struct catalog_constraint *k, struct buf *b) {
    static const char *const actions[] = {[CATALOG_NO_ACTION] = "NO ACTION",
                                          [CATALOG_RESTRICT] = "RESTRICT",
                                          [CATALOG_CASCADE] = "CASCADE",
                                          [CATALOG_SET_NULL] = "SET NULL",
                                          [CATALOG_SET_DEFAULT] = "SET DEFAULT"};
    const struct catalog_relation *to = catalog_relation_of(d->c, k->reference);
    buf_printf(b, ", CONSTRAINT " STR_FMT " FOREIGN KEY ", STR_ARG(quoted(d, k->storage)));
    column_list(d, r, &k->columns, b);
    buf_printf(b, " REFERENCES " STR_FMT " ", STR_ARG(quoted(d, to->storage)));
    column_list(d, to, &k->reference_columns, b);
    buf_printf(b, " ON DELETE %s ON UPDATE %s", actions[k->on_delete], actions[k->on_update]);
    if (k->deferrable) buf_printf(b, " DEFERRABLE INITIALLY %s", k->deferred ? "DEFERRED" : "IMMEDIATE");
}

static void constraint_text(struct sql_ddl *d, const struct catalog_relation *r, const struct catalog_constraint *k,
                            struct buf *b) {
    const struct catalog_column *first = k->columns.n ? catalog_column_of(r, k->columns.p[0]) : NULL;
    if (k->kind == CATALOG_FOREIGN) return foreign_text(d, r, k, b);
    if (k->kind == CATALOG_PRIMARY && !(first && is_rowid(d, r, first))) {
        buf_printf(b, ", CONSTRAINT " STR_FMT " PRIMARY KEY ", STR_ARG(quoted(d, k->storage)));
        column_list(d, r, &k->columns, b);
    }
    if (k->kind == CATALOG_CHECK && !k->late && k->check.fragment.text.n)
        buf_printf(b, ", CONSTRAINT " STR_FMT " CHECK (" STR_FMT ")", STR_ARG(quoted(d, k->storage)),
                   STR_ARG(sql_expanded(d, k->check.fragment.text, r)));
}

/* All behind the table's name. Checks in the order of their names, as PostgreSQL looks at them. */
static str table_text(struct sql_ddl *d, const struct catalog_relation *r) {
    struct buf b = {0};
    buf_puts(&b, STR(" ("));
    for (uint32_t i = 0; i < r->columns.n; i++) {
        if (i) buf_puts(&b, STR(", "));
        column_text(d, r, &r->columns.p[i], &b);
    }
    for (uint32_t i = 0; i < r->constraints.n; i++) constraint_text(d, r, &r->constraints.p[i], &b);
    for (uint32_t i = 0; i < r->columns.n; i++) domain_checks(d, &r->columns.p[i], &b);
    for (uint32_t i = 0; i < r->columns.n; i++) {
        struct buf check = {0};
        if (type_check(d, &r->columns.p[i], &check))
            buf_printf(&b, ", CONSTRAINT " STR_FMT " CHECK (" STR_FMT ")",
                       STR_ARG(quoted(d, arena_fmt(d->mem, "_orlo_type_" STR_FMT, STR_ARG(r->columns.p[i].storage)))),
                       STR_ARG(buf_str(&check)));
        buf_free(&check);
    }
    buf_puts(&b, STR(") STRICT"));
    str s = arena_str(d->mem, buf_str(&b));
    buf_free(&b);
    return s;
}

/* ---- its indexes ---- */

/* Where nulls are equal to each other: the column, or something of its kind, and whether it is null. */
static void key_not_distinct(struct buf *b, str key) {
    buf_printf(b, STR_FMT " is null, coalesce(" STR_FMT ", 0)", STR_ARG(key), STR_ARG(key));
}

static void index_keys(struct sql_ddl *d, const struct catalog_relation *r, const struct catalog_index *x, struct buf *b) {
    for (uint32_t i = 0; i < x->keys.n; i++) {
        const struct catalog_index_key *k = &x->keys.p[i];
        const struct catalog_column *c = k->column ? catalog_column_of(r, k->column) : NULL;
        str key =
            c ? quoted(d, c->storage) : arena_fmt(d->mem, "(" STR_FMT ")", STR_ARG(sql_expanded(d, k->expr.fragment.text, r)));
        const struct pg_type *t = c ? NULL : storage_type(d, k->expr.fragment.type);
        if (i) buf_puts(b, STR(", "));
        if (x->nulls_not_distinct) {
            key_not_distinct(b, key);
            continue;
        }
        buf_puts(b, key);
        if (t && t->collation[0]) buf_printf(b, " COLLATE \"%s\"", t->collation);
        if (k->descending) buf_puts(b, STR(" DESC"));
    }
    for (uint32_t i = 0; !x->unique && i < x->include.n; i++)
        buf_printf(b, ", " STR_FMT, STR_ARG(quoted(d, catalog_column_of(r, x->include.p[i])->storage)));
}

static str index_text(struct sql_ddl *d, const struct catalog_relation *r, const struct catalog_index *x) {
    struct buf b = {0};
    buf_printf(&b, "CREATE %sINDEX " STR_FMT " ON " STR_FMT " (", x->unique ? "UNIQUE " : "", STR_ARG(quoted(d, x->storage)),
               STR_ARG(quoted(d, r->storage)));
    index_keys(d, r, x, &b);
    buf_putc(&b, ')');
    if (x->where.fragment.text.n) buf_printf(&b, " WHERE " STR_FMT, STR_ARG(sql_expanded(d, x->where.fragment.text, r)));
    str s = arena_str(d->mem, buf_str(&b));
    buf_free(&b);
    return s;
}

/* A unique constraint is a unique index: it comes and goes without the rows being copied. */
static struct catalog_index index_of_constraint(struct sql_ddl *d, const struct catalog_constraint *k) {
    struct catalog_index x = {.storage = k->storage, .unique = true, .nulls_not_distinct = k->nulls_not_distinct};
    for (uint32_t i = 0; i < k->columns.n; i++)
        vec_push(d->mem, &x.keys, ((struct catalog_index_key){.column = (uint16_t)k->columns.p[i]}));
    return x;
}

static void shape_index(struct sql_ddl *d, const struct catalog_relation *r, const struct catalog_index *x, struct sql_shape *s) {
    vec_push(d->mem, &s->index_names, x->storage);
    vec_push(d->mem, &s->index_texts, index_text(d, r, x));
}

static struct sql_shape shape_of(struct sql_ddl *d, const struct catalog_relation *r) {
    struct sql_shape s = {.relation = r->id, .storage = r->storage, .table = table_text(d, r)};
    for (uint32_t i = 0; i < r->columns.n; i++) {
        vec_push(d->mem, &s.numbers, r->columns.p[i].number);
        vec_push(d->mem, &s.names, r->columns.p[i].storage);
    }
    for (uint32_t i = 0; i < r->constraints.n; i++) {
        if (r->constraints.p[i].kind != CATALOG_UNIQUE) continue;
        struct catalog_index x = index_of_constraint(d, &r->constraints.p[i]);
        shape_index(d, r, &x, &s);
    }
    for (uint32_t i = 0; i < r->indexes.n; i++)
        if (!r->indexes.p[i].ignored.n) shape_index(d, r, &r->indexes.p[i], &s);
    return s;
}

/* ---- from one to the other ---- */

void sql_touch(struct sql_ddl *d, const struct catalog_relation *r) {
    if (r->kind == CATALOG_VIEW) return;
    if (!catalog_ids_have(&d->changed_keys, r->id)) vec_push(d->mem, &d->changed_keys, r->id);
    for (uint32_t i = 0; i < d->shapes.n; i++)
        if (d->shapes.p[i].relation == r->id) return;
    vec_push(d->mem, &d->shapes, shape_of(d, r));
}

void sql_fill_add(struct sql_ddl *d, const struct catalog_relation *r, uint32_t column, const struct catalog_fragment *f) {
    struct sql_fill fill = {r->id, column, sql_expanded(d, f->text, r)};
    vec_push(d->mem, &d->fills, fill);
}

bool sql_unmade(const struct sql_ddl *d, uint32_t relation) {
    for (uint32_t i = 0; i < d->shapes.n; i++)
        if (d->shapes.p[i].relation == relation) return !d->shapes.p[i].table.n;
    return false;
}

static bool has_name(const catalog_names *names, str name) {
    for (uint32_t i = 0; i < names->n; i++)
        if (str_eq(names->p[i], name)) return true;
    return false;
}

static void drop_indexes(struct sql_ddl *d, const struct sql_shape *old, const struct sql_shape *now) {
    for (uint32_t i = 0; i < old->index_names.n; i++)
        if (!now || !has_name(&now->index_texts, old->index_texts.p[i]))
            sql_step(d, arena_fmt(d->mem, "DROP INDEX " STR_FMT, STR_ARG(quoted(d, old->index_names.p[i]))));
}

static void make_indexes(struct sql_ddl *d, const struct sql_shape *old, const struct sql_shape *now) {
    for (uint32_t i = 0; i < now->index_texts.n; i++)
        if (!old || !has_name(&old->index_texts, now->index_texts.p[i])) sql_step(d, now->index_texts.p[i]);
}

static const struct sql_fill *fill_of(const struct sql_ddl *d, uint32_t relation, uint32_t column) {
    for (uint32_t i = d->fills.n; i-- > 0;)
        if (d->fills.p[i].relation == relation && d->fills.p[i].column == column) return &d->fills.p[i];
    return NULL;
}

/* Added at the end, nullable, without a value of their own: SQLite need not look at a row. */
static bool only_added(struct sql_ddl *d, const struct catalog_relation *r, const struct sql_shape *old) {
    struct catalog_relation as_was = *r;
    if (r->columns.n <= old->numbers.n) return false;
    as_was.columns.n = old->numbers.n;
    for (uint32_t i = old->numbers.n; i < r->columns.n; i++) {
        const struct catalog_column *c = &r->columns.p[i];
        if (never_null(d, c) || domain_of(d, c->type) || c->generated || fill_of(d, r->id, c->number)) return false;
        for (uint32_t j = 0; j < r->constraints.n; j++)
            if (r->constraints.p[j].kind != CATALOG_UNIQUE && (catalog_ids_have(&r->constraints.p[j].columns, c->number)))
                return false;
    }
    for (uint32_t i = 0; i < r->constraints.n; i++) /* a check of a new column: table_text would find no column for it */
        if (r->constraints.p[i].kind == CATALOG_CHECK)
            for (uint32_t j = old->numbers.n; j < r->columns.n; j++)
                if (catalog_mentions(&r->constraints.p[i].check.fragment, "C", r->columns.p[j].number)) return false;
    return str_eq(table_text(d, &as_was), old->table);
}

static void add_columns(struct sql_ddl *d, const struct catalog_relation *r, const struct sql_shape *old) {
    for (uint32_t i = old->numbers.n; i < r->columns.n; i++) {
        struct buf b = {0}, check = {0};
        buf_printf(&b, "ALTER TABLE " STR_FMT " ADD COLUMN ", STR_ARG(quoted(d, r->storage)));
        column_text(d, r, &r->columns.p[i], &b);
        if (type_check(d, &r->columns.p[i], &check))
            buf_printf(&b, " CONSTRAINT " STR_FMT " CHECK (" STR_FMT ")",
                       STR_ARG(quoted(d, arena_fmt(d->mem, "_orlo_type_" STR_FMT, STR_ARG(r->columns.p[i].storage)))),
                       STR_ARG(buf_str(&check)));
        sql_step(d, arena_str(d->mem, buf_str(&b)));
        buf_free(&b), buf_free(&check);
    }
}

static void copy_rows(struct sql_ddl *d, const struct catalog_relation *r, const struct sql_shape *old) {
    struct buf names = {0}, values = {0};
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *c = &r->columns.p[i];
        const struct sql_fill *fill = fill_of(d, r->id, c->number);
        bool was = catalog_ids_have(&old->numbers, c->number);
        if (c->generated || (!fill && !was)) continue;
        if (names.n) buf_puts(&names, STR(", ")), buf_puts(&values, STR(", "));
        buf_puts(&names, quoted(d, c->storage));
        buf_puts(&values, fill ? fill->text : quoted(d, c->storage));
    }
    if (names.n)
        sql_step(d,
                 arena_fmt(d->mem, "INSERT INTO \"_orlo_new\" (" STR_FMT ") SELECT " STR_FMT " FROM " STR_FMT " ORDER BY rowid",
                           STR_ARG(buf_str(&names)), STR_ARG(buf_str(&values)), STR_ARG(quoted(d, old->storage))));
    buf_free(&names), buf_free(&values);
}

static void rebuild(struct sql_ddl *d, const struct catalog_relation *r, const struct sql_shape *old,
                    const struct sql_shape *now) {
    d->plan->foreign_keys_off = true;
    sql_step(d, arena_fmt(d->mem, "CREATE TABLE \"_orlo_new\"" STR_FMT, STR_ARG(now->table)));
    copy_rows(d, r, old);
    sql_step(d, arena_fmt(d->mem, "DROP TABLE " STR_FMT, STR_ARG(quoted(d, old->storage))));
    sql_step(d, arena_fmt(d->mem, "ALTER TABLE \"_orlo_new\" RENAME TO " STR_FMT, STR_ARG(quoted(d, r->storage))));
    make_indexes(d, NULL, now);
}

static bool has_fill(const struct sql_ddl *d, uint32_t relation) {
    for (uint32_t i = 0; i < d->fills.n; i++)
        if (d->fills.p[i].relation == relation) return true;
    return false;
}

static void drop_shape(struct sql_ddl *d, const struct sql_shape *old) {
    if (!old->table.n) return;
    d->plan->foreign_keys_off = true;
    sql_step(d, arena_fmt(d->mem, "DROP TABLE " STR_FMT, STR_ARG(quoted(d, old->storage))));
}

static void bring(struct sql_ddl *d, const struct catalog_relation *r, const struct sql_shape *old) {
    struct sql_shape now = shape_of(d, r);
    if (!old->table.n) {
        sql_step(d, arena_fmt(d->mem, "CREATE TABLE " STR_FMT STR_FMT, STR_ARG(quoted(d, r->storage)), STR_ARG(now.table)));
        make_indexes(d, NULL, &now);
    } else if (str_eq(now.table, old->table) && !has_fill(d, r->id)) {
        drop_indexes(d, old, &now), make_indexes(d, old, &now);
    } else if (only_added(d, r, old)) {
        add_columns(d, r, old), drop_indexes(d, old, &now), make_indexes(d, old, &now);
    } else rebuild(d, r, old, &now);
}

/* Tables that went make room for the names of those that come. */
void sql_flush(struct sql_ddl *d) {
    d->flushing = true;
    for (uint32_t i = 0; i < d->shapes.n; i++)
        if (!catalog_relation_of(d->c, d->shapes.p[i].relation)) drop_shape(d, &d->shapes.p[i]);
    for (uint32_t i = 0; i < d->shapes.n; i++) {
        const struct catalog_relation *r = catalog_relation_of(d->c, d->shapes.p[i].relation);
        if (r) bring(d, r, &d->shapes.p[i]);
    }
    d->shapes.n = d->fills.n = 0;
    d->flushing = false;
}
