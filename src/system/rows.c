/* rows: what each relation of system.def has, made of a catalogue. */
#include "system/system_int.h"
#include <stdlib.h>

/* ---- values, in the order of a relation's columns ---- */

static void put(struct system_rows *o, struct db_value v) {
    ENSURE(o->n && o->at < o->columns);
    o->values[(o->n - 1) * o->columns + o->at++] = v;
}
static void row(struct system_rows *o) {
    ENSURE(!o->n || o->at == o->columns);
    if (o->n == o->cap) {
        uint32_t cap = o->cap ? o->cap * 2 : 64;
        struct db_value *more = arena_array(o->mem, struct db_value, (size_t)cap * o->columns);
        if (o->n) memcpy(more, o->values, (size_t)o->n * o->columns * sizeof *more);
        o->values = more, o->cap = cap;
    }
    o->n++, o->at = 0;
}
static void null(struct system_rows *o) { put(o, DB_NOTHING); }
static void number(struct system_rows *o, int64_t i) { put(o, DB_I64(i)); }
static void truth(struct system_rows *o, bool b) { put(o, DB_I64(b)); }
static void text(struct system_rows *o, str s) { put(o, DB_TEXT(s)); }
static void word(struct system_rows *o, const char *s) { put(o, DB_TEXT(str_c(s))); }
static void letter(struct system_rows *o, char c) {
    static const char letters[] =
        " \0a\0b\0c\0d\0e\0f\0i\0m\0n\0p\0r\0s\0t\0u\0v\0w\0x\0A\0B\0C\0D\0E\0N\0O\0P\0R\0S\0T\0U\0X\0*";
    for (size_t i = 0; i + 1 < sizeof letters; i += 2)
        if (letters[i] == c) return put(o, DB_TEXT(((str){(const uint8_t *)letters + i, 1})));
    put(o, DB_TEXT(STR("")));
}
static void text_or_null(struct system_rows *o, str s) { s.n ? text(o, s) : null(o); }
static void yes(struct system_rows *o, bool b) { word(o, b ? "YES" : "NO"); }

static void numbers(struct system_rows *o, const catalog_ids *ids) {
    struct buf b = {0};
    for (uint32_t i = 0; i < ids->n; i++) buf_printf(&b, "%s%u", i ? "," : "[", ids->p[i]);
    buf_puts(&b, ids->n ? STR("]") : STR("[]"));
    text(o, arena_str(o->mem, buf_str(&b)));
    buf_free(&b);
}

/* ---- what things are called ---- */

static str schema_name(const struct system_rows *o, uint32_t id) {
    const struct catalog_schema *s = catalog_schema_of(o->c, id);
    return s ? s->name : STR("pg_catalog");
}
static str role_name(const struct system_rows *o, uint32_t id) {
    const struct catalog_role *r = catalog_role_of(o->c, id);
    return r ? r->name : STR("public");
}
static void database(struct system_rows *o) { word(o, "postgres"); }

/* Of information_schema: does whoever asks own it, or have some of these rights to it? */
static bool owns(const struct system_rows *o, uint32_t owner) { return !o->role || catalog_role_is(o->c, o->role, owner); }

static bool may_any(const struct system_rows *o, const struct catalog_relation *r, uint32_t bits) {
    if (owns(o, r->owner)) return true;
    for (uint32_t bit = 1; bit <= CATALOG_TRIGGER; bit <<= 1) {
        if (!(bit & bits)) continue;
        if (catalog_may_relation(o->c, o->role, r, bit)) return true;
        for (uint32_t i = 0; i < r->columns.n; i++)
            if (catalog_may_column(o->c, o->role, r, &r->columns.p[i], bit)) return true;
    }
    return false;
}

static bool shown(const struct system_rows *o, const struct catalog_relation *r) {
    return may_any(o, r, 2 * CATALOG_TRIGGER - 1);
}

/* Constraints and triggers are not of who may do no more than read. */
static bool more_shown(const struct system_rows *o, const struct catalog_relation *r) {
    return may_any(o, r, (2 * CATALOG_TRIGGER - 1) & ~(uint32_t)CATALOG_SELECT);
}

#define EACH(r) for (const struct catalog_relation *r = o->c->relations.p, *r##_end = r + o->c->relations.n; r < r##_end; r++)
#define PART(what, x, r)                                                                                                         \
    for (uint32_t x##_i = 0; x##_i < (r)->what.n; x##_i++)                                                                       \
        for (const typeof((r)->what.p[0]) *x = &(r)->what.p[x##_i], *x##_once = x; x##_once; x##_once = NULL)

/* A null is no default, unless it is made the column's length: then PostgreSQL has an expression. Of an interval it is none. */
static str default_of(const struct system_rows *o, const struct catalog_column *c) {
    struct buf b = {0};
    str source = c->default_value.source;
    if (!str_eq_nocase(source, STR("null"))) return source;
    if (c->typmod == -1 || c->type == PG_INTERVAL) return (str){0};
    buf_puts(&b, STR("NULL::"));
    if (c->type == PG_BPCHAR) buf_puts(&b, STR("bpchar"));
    else system_put_type(&b, o->c, c->type, -1);
    source = arena_str(o->mem, buf_str(&b));
    buf_free(&b);
    return source;
}

/* ---- pg_catalog ---- */

static void namespaces(struct system_rows *o) {
    PART(schemas, s, o->c) row(o), number(o, s->id), text(o, s->name), number(o, s->owner);
    row(o), number(o, SYSTEM_PG_CATALOG), word(o, "pg_catalog"), number(o, o->c->owner);
    row(o), number(o, SYSTEM_INFORMATION), word(o, "information_schema"), number(o, o->c->owner);
}

static void one_class(struct system_rows *o, uint32_t id, str name, uint32_t schema, uint32_t type, uint32_t owner, char kind,
                      uint32_t columns) {
    row(o), number(o, id), text(o, name), number(o, schema), number(o, type), number(o, owner), letter(o, kind), letter(o, 'p'),
        number(o, columns);
}
/* How many rows there are is not counted: -1, as of a table that PostgreSQL has not looked at. */
static void not_counted(struct system_rows *o) { put(o, (struct db_value){.kind = DB_REAL, .f = -1}); }

static void of_no_table(struct system_rows *o) {
    for (int i = 0; i < 5; i++) truth(o, false);
    truth(o, true), not_counted(o), null(o);
}

static bool is_keyed(const struct catalog_constraint *k) { return k->kind == CATALOG_PRIMARY || k->kind == CATALOG_UNIQUE; }

static void classes(struct system_rows *o) {
    EACH(r) {
        bool keyed = r->indexes.n != 0;
        PART(constraints, k, r) keyed |= is_keyed(k);
        one_class(o, r->id, r->name, r->schema, r->row_type, r->owner,
                  r->kind == CATALOG_VIEW      ? 'v'
                  : r->kind == CATALOG_MATVIEW ? 'm'
                  : r->partitioned             ? 'p'
                                               : 'r',
                  r->columns.n);
        truth(o, keyed), truth(o, r->triggers.n != 0), truth(o, r->rls), truth(o, r->force_rls), truth(o, false),
            truth(o, !r->unfilled), not_counted(o);
        if (r->security_invoker)
            word(o, r->security_barrier ? "[\"security_invoker=on\",\"security_barrier=true\"]" : "[\"security_invoker=on\"]");
        else r->security_barrier ? word(o, "[\"security_barrier=true\"]") : null(o);
        PART(constraints, k, r) if (is_keyed(k)) {
            one_class(o, k->id, k->name, r->schema, 0, r->owner, 'i', k->columns.n);
            of_no_table(o);
        }
        PART(indexes, x, r) {
            one_class(o, x->id, x->name, r->schema, 0, r->owner, 'i', x->keys.n);
            of_no_table(o);
        }
    }
    PART(sequences, q, o->c) {
        one_class(o, q->id, q->name, q->schema, 0, q->owner, 'S', 3);
        of_no_table(o);
    }
}

static void attributes(struct system_rows *o) {
    EACH(r) PART(columns, c, r) {
        row(o), number(o, r->id), text(o, c->name), number(o, c->type), number(o, c->number), number(o, c->typmod),
            truth(o, c->not_null);
        truth(o, default_of(o, c).n || (c->sequence && !c->identity));
        letter(o, c->identity == CATALOG_IDENTITY_ALWAYS ? 'a'
                  : c->identity                          ? 'd'
                                                         : 0),
            letter(o, c->generated ? 's' : 0), truth(o, false);
    }
}

static void defaults(struct system_rows *o) {
    EACH(r) PART(columns, c, r) {
        str source = default_of(o, c);
        if (!source.n) continue;
        row(o), number(o, (int64_t)r->id << 16 | c->number), number(o, r->id), number(o, c->number), text(o, source);
    }
}

static void one_description(struct system_rows *o, uint32_t id, const char *class, uint32_t column, str said) {
    uint32_t of = SYSTEM_RELATIONS + system_relation_number(system_relation_named((str){0}, str_c(class)));
    if (said.n) row(o), number(o, id), number(o, of), number(o, column), text(o, said);
}

static void descriptions(struct system_rows *o) {
    EACH(r) {
        one_description(o, r->id, "pg_class", 0, r->comment);
        PART(columns, c, r) one_description(o, r->id, "pg_class", c->number, c->comment);
        PART(constraints, k, r) one_description(o, k->id, "pg_constraint", 0, k->comment);
        PART(indexes, x, r) one_description(o, x->id, "pg_class", 0, x->comment);
        PART(policies, p, r) one_description(o, p->id, "pg_policy", 0, p->comment);
        PART(triggers, t, r) one_description(o, t->id, "pg_trigger", 0, t->comment);
    }
    PART(functions, f, o->c) one_description(o, f->id, "pg_proc", 0, f->comment);
    PART(types, t, o->c) one_description(o, t->id, "pg_type", 0, t->comment);
    PART(sequences, q, o->c) one_description(o, q->id, "pg_class", 0, q->comment);
    PART(schemas, s, o->c) one_description(o, s->id, "pg_namespace", 0, s->comment);
}

static void members(struct system_rows *o) {
    PART(roles, r, o->c)
    for (uint32_t i = 0; i < r->member_of.n; i++)
        row(o), number(o, r->member_of.p[i]), number(o, r->id), number(o, o->c->owner), truth(o, false);
}

static void databases(struct system_rows *o) {
    row(o), number(o, 1), database(o), number(o, o->c->owner), number(o, 6), truth(o, true);
}

/* What SQLite does not count is null. */
static void nulls(struct system_rows *o) {
    while (o->at < o->columns) null(o);
}

static void table_statistics(struct system_rows *o) {
    EACH(r) if (r->kind != CATALOG_VIEW) {
        row(o), number(o, r->id), text(o, schema_name(o, r->schema)), text(o, r->name), nulls(o);
    }
}

static void index_statistics(struct system_rows *o) {
    EACH(r) {
        str schema = schema_name(o, r->schema);
        PART(constraints, k, r)
        if (is_keyed(k))
            row(o), number(o, r->id), number(o, k->id), text(o, schema), text(o, r->name), text(o, k->name), nulls(o);
        PART(indexes, x, r)
        row(o), number(o, r->id), number(o, x->id), text(o, schema), text(o, r->name), text(o, x->name), nulls(o);
    }
}

static void one_type(struct system_rows *o, uint32_t id, str name, uint32_t schema, uint32_t owner, char kind, char category) {
    row(o), number(o, id), text(o, name), number(o, schema), number(o, owner), letter(o, kind), letter(o, category);
}

static void types(struct system_rows *o) {
    uint32_t n;
    const struct pg_type *all = pg_types_all(&n);
    for (uint32_t i = 0; i < n; i++) {
        const struct pg_type *t = &all[i];
        one_type(o, t->id, str_c(t->name), SYSTEM_PG_CATALOG, o->c->owner, t->category == 'P' ? 'p' : 'b', t->category);
        number(o, 0), number(o, t->element), number(o, t->array), number(o, 0), truth(o, false);
    }
    PART(types, t, o->c) {
        char kind = t->kind == CATALOG_ENUM ? 'e' : t->kind == CATALOG_DOMAIN ? 'd' : 'c';
        const struct pg_type *base = t->kind == CATALOG_DOMAIN ? pg_type_by_id(t->base) : NULL;
        one_type(o, t->id, t->name, t->schema, t->owner, kind,
                 kind == 'e'   ? 'E'
                 : kind == 'c' ? 'C'
                 : base        ? base->category
                               : 'U');
        number(o, t->relation), number(o, 0), number(o, t->array), number(o, kind == 'd' ? t->base : 0), truth(o, t->not_null);
        if (!t->array) continue;
        one_type(o, t->array, arena_fmt(o->mem, "_" STR_FMT, STR_ARG(t->name)), t->schema, t->owner, 'b', 'A');
        number(o, 0), number(o, t->id), number(o, 0), number(o, 0), truth(o, false);
    }
}

static void labels(struct system_rows *o) {
    PART(types, t, o->c) PART(labels, l, t) {
        row(o), number(o, l->sort), number(o, t->id);
        put(o, (struct db_value){.kind = DB_REAL, .f = (double)(l_i + 1)});
        text(o, l->name);
    }
}

static char constraint_kind(const struct catalog_constraint *k) {
    static const char kinds[] = {[CATALOG_PRIMARY] = 'p', [CATALOG_UNIQUE] = 'u', [CATALOG_CHECK] = 'c', [CATALOG_FOREIGN] = 'f'};
    return kinds[k->kind];
}
static char action(uint8_t a) { return "arcnd"[a]; }

static void constraints(struct system_rows *o) {
    EACH(r) PART(constraints, k, r) {
        bool foreign = k->kind == CATALOG_FOREIGN;
        row(o), number(o, k->id), text(o, k->name), number(o, r->schema), letter(o, constraint_kind(k)), truth(o, k->deferrable);
        truth(o, k->deferred), truth(o, !k->not_valid), number(o, r->id), number(o, 0), number(o, is_keyed(k) ? k->id : 0);
        number(o, k->reference), letter(o, foreign ? action(k->on_update) : ' '), letter(o, foreign ? action(k->on_delete) : ' ');
        letter(o, foreign ? k->match_full ? 'f' : 's' : ' ');
        k->columns.n ? numbers(o, &k->columns) : null(o);
        foreign ? numbers(o, &k->reference_columns) : null(o);
        text_or_null(o, k->check.source);
    }
    EACH(r) PART(indexes, x, r) {
        catalog_ids columns = {0};
        if (!x->exclusion) continue;
        PART(keys, k, x) vec_push(o->mem, &columns, k->column);
        row(o), number(o, x->id), text(o, x->name), number(o, r->schema), letter(o, 'x'), truth(o, false), truth(o, false),
            truth(o, true);
        number(o, r->id), number(o, 0), number(o, x->id), number(o, 0), letter(o, ' '), letter(o, ' '), letter(o, ' ');
        numbers(o, &columns), null(o), null(o);
    }
    PART(types, t, o->c) PART(checks, k, t) {
        row(o), number(o, t->id), text(o, k->name), number(o, t->schema), letter(o, 'c'), truth(o, false), truth(o, false),
            truth(o, true);
        number(o, 0), number(o, t->id), number(o, 0), number(o, 0), letter(o, ' '), letter(o, ' '), letter(o, ' '), null(o),
            null(o), text_or_null(o, k->expr.source);
    }
}

static void one_index(struct system_rows *o, uint32_t id, uint32_t of, uint32_t all, uint32_t keys, bool unique, bool primary,
                      const catalog_ids *columns, str where) {
    row(o), number(o, id), number(o, of), number(o, all), number(o, keys), truth(o, unique), truth(o, primary), truth(o, true),
        truth(o, true);
    numbers(o, columns), text_or_null(o, where);
}

static void indexes(struct system_rows *o) {
    EACH(r) {
        PART(constraints, k, r)
        if (is_keyed(k))
            one_index(o, k->id, r->id, k->columns.n, k->columns.n, true, k->kind == CATALOG_PRIMARY, &k->columns, (str){0});
        PART(indexes, x, r) {
            catalog_ids columns = {0};
            PART(keys, k, x) vec_push(o->mem, &columns, k->column);
            for (uint32_t i = 0; i < x->include.n; i++) vec_push(o->mem, &columns, x->include.p[i]);
            one_index(o, x->id, r->id, columns.n, x->keys.n, x->unique, false, &columns, x->where.source);
        }
    }
}

static void put_columns(const struct catalog_relation *r, const catalog_ids *columns, struct buf *b) {
    for (uint32_t i = 0; i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(r, columns->p[i]);
        buf_printf(b, "%s" STR_FMT, i ? ", " : "", STR_ARG(c ? c->name : (str){0}));
    }
}

static void one_definition(struct system_rows *o, const struct catalog_relation *r, str name, bool unique, str method,
                           struct buf *keys) {
    str schema = schema_name(o, r->schema);
    row(o), text(o, schema), text(o, r->name), text(o, name), null(o);
    text(o, arena_fmt(o->mem, "CREATE %sINDEX " STR_FMT " ON " STR_FMT "." STR_FMT " USING " STR_FMT " (" STR_FMT ")",
                      unique ? "UNIQUE " : "", STR_ARG(name), STR_ARG(schema), STR_ARG(r->name),
                      STR_ARG(method.n ? method : STR("btree")), STR_ARG(buf_str(keys))));
    buf_free(keys);
}

static void indexes_named(struct system_rows *o) {
    EACH(r) {
        PART(constraints, k, r) if (is_keyed(k)) {
            struct buf b = {0};
            put_columns(r, &k->columns, &b);
            one_definition(o, r, k->name, true, STR("btree"), &b);
        }
        PART(indexes, x, r) {
            struct buf b = {0};
            PART(keys, k, x) {
                const struct catalog_column *c = k->column ? catalog_column_of(r, k->column) : NULL;
                buf_printf(&b, "%s" STR_FMT "%s", k_i ? ", " : "", STR_ARG(c ? c->name : k->expr.source),
                           k->descending ? " DESC" : "");
            }
            one_definition(o, r, x->name, x->unique, x->method, &b);
        }
    }
}

static void tables(struct system_rows *o) {
    EACH(r) {
        if (r->kind != CATALOG_TABLE) continue;
        bool keyed = r->indexes.n != 0;
        PART(constraints, k, r) keyed |= is_keyed(k);
        row(o), text(o, schema_name(o, r->schema)), text(o, r->name), text(o, role_name(o, r->owner)), null(o), truth(o, keyed),
            truth(o, false);
        truth(o, r->triggers.n != 0), truth(o, r->rls);
    }
}

static void views(struct system_rows *o) {
    EACH(r)
    if (r->kind == CATALOG_VIEW)
        row(o), text(o, schema_name(o, r->schema)), text(o, r->name), text(o, role_name(o, r->owner)), text(o, r->query.source);
}

static void matviews(struct system_rows *o) {
    EACH(r) {
        if (r->kind != CATALOG_MATVIEW) continue;
        row(o), text(o, schema_name(o, r->schema)), text(o, r->name), text(o, role_name(o, r->owner)), null(o),
            truth(o, r->indexes.n != 0);
        truth(o, !r->unfilled), text(o, r->query.source);
    }
}

static int by_name(const void *a, const void *b) { return str_cmp(*(const str *)a, *(const str *)b); }

static void policies_named(struct system_rows *o) {
    static const char *const commands[] = {"ALL", "SELECT", "INSERT", "UPDATE", "DELETE"};
    EACH(r) PART(policies, p, r) {
        struct buf b = {0};
        struct json_writer w = json_writer_of(&b);
        row(o), text(o, schema_name(o, r->schema)), text(o, r->name), text(o, p->name),
            word(o, p->permissive ? "PERMISSIVE" : "RESTRICTIVE");
        str *names = arena_array(o->mem, str, p->roles.n + 1);
        for (uint32_t i = 0; i < p->roles.n; i++) names[i] = role_name(o, p->roles.p[i]);
        if (p->roles.n) qsort(names, p->roles.n, sizeof *names, by_name);
        json_put_array(&w, NULL);
        for (uint32_t i = 0; i < p->roles.n; i++) json_put_str(&w, NULL, names[i]);
        if (!p->roles.n) json_put_str(&w, NULL, STR("public"));
        json_put_end(&w);
        text(o, arena_str(o->mem, buf_str(&b)));
        buf_free(&b);
        word(o, commands[p->command]), text_or_null(o, p->using_expr.source), text_or_null(o, p->check_expr.source);
    }
}

static void policies(struct system_rows *o) {
    EACH(r) PART(policies, p, r) {
        static uint32_t none[1];
        static const catalog_ids everybody = {none, 1, 1};
        row(o), number(o, p->id), text(o, p->name), number(o, r->id), letter(o, "*rawd"[p->command]), truth(o, p->permissive);
        numbers(o, p->roles.n ? &p->roles : &everybody);
        text_or_null(o, p->using_expr.source), text_or_null(o, p->check_expr.source);
    }
}

static bool goes_in(const struct catalog_argument *a) { return a->mode != CATALOG_OUT && a->mode != CATALOG_TABLE_COLUMN; }

static void texts(struct system_rows *o, const str *all, uint32_t n) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    json_put_array(&w, NULL);
    for (uint32_t i = 0; i < n; i++) json_put_str(&w, NULL, all[i]);
    json_put_end(&w);
    text(o, arena_str(o->mem, buf_str(&b)));
    buf_free(&b);
}

static void functions(struct system_rows *o) {
    PART(functions, f, o->c) {
        catalog_ids taken = {0}, all = {0};
        bool named = false;
        uint32_t optional = 0;
        str *modes = arena_array(o->mem, str, f->arguments.n + 1);
        str *names = arena_array(o->mem, str, f->arguments.n + 1);
        for (uint32_t i = 0; i < f->arguments.n; i++) {
            if (goes_in(&f->arguments.p[i])) vec_push(o->mem, &taken, f->arguments.p[i].type);
            names[i] = f->arguments.p[i].name;
            named |= names[i].n != 0;
            optional += f->arguments.p[i].default_value.source.n != 0;
            vec_push(o->mem, &all, f->arguments.p[i].type);
            modes[i] = str_sub(STR("iobvt"), f->arguments.p[i].mode, 1);
        }
        row(o), number(o, f->id), text(o, f->name), number(o, f->schema), number(o, f->owner);
        letter(o, f->procedure   ? 'p'
                  : f->aggregate ? 'a'
                  : f->window    ? 'w'
                                 : 'f'),
            truth(o, f->definer), truth(o, f->strict), truth(o, f->set);
        letter(o, "vsi"[f->volatility]), number(o, taken.n), number(o, f->returns), numbers(o, &taken);
        named ? texts(o, names, f->arguments.n) : null(o);
        text(o, f->source);
        f->settings.n ? texts(o, f->settings.p, f->settings.n) : null(o);
        number(o, optional);
        if (all.n > taken.n) numbers(o, &all), texts(o, modes, all.n);
        else null(o), null(o);
    }
}

/* pg_trigger.h's bits */
static uint32_t trigger_type(const struct catalog_trigger *t) {
    static const struct {
        uint32_t ours, theirs;
    } bits[] = {{CATALOG_TRIGGER_ROW, 1},     {CATALOG_TRIGGER_BEFORE, 2},  {CATALOG_TRIGGER_INSERT, 4},
                {CATALOG_TRIGGER_DELETE, 8},  {CATALOG_TRIGGER_UPDATE, 16}, {CATALOG_TRIGGER_TRUNCATE, 32},
                {CATALOG_TRIGGER_INSTEAD, 64}};
    uint32_t type = 0;
    for (size_t i = 0; i < ARRAY_COUNT(bits); i++) type |= t->when & bits[i].ours ? bits[i].theirs : 0;
    return type;
}

static void triggers(struct system_rows *o) {
    EACH(r) PART(triggers, t, r) {
        row(o), number(o, t->id), number(o, r->id), text(o, t->name), number(o, t->function), number(o, trigger_type(t));
        letter(o, t->disabled ? 'D' : 'O'), truth(o, false), number(o, t->constraint ? t->id : 0);
    }
}

static void extensions(struct system_rows *o) {
    PART(extensions, e, o->c)
    row(o), number(o, 1 + e_i), text(o, e->name), number(o, o->c->owner), number(o, e->schema), text(o, e->version);
}

static void roles(struct system_rows *o) {
    PART(roles, r, o->c) {
        row(o), text(o, r->name), truth(o, r->superuser), truth(o, !r->no_inherit), truth(o, r->create_role),
            truth(o, r->create_db);
        truth(o, r->login), truth(o, r->replication), truth(o, r->bypass_rls), number(o, r->id);
    }
}

static void publications(struct system_rows *o) {
    PART(publications, p, o->c) row(o), number(o, 1 + p_i), text(o, p->name), number(o, o->c->owner), truth(o, p->all_tables);
}

static bool publishes(const struct catalog_publication *p, const struct catalog_relation *r) {
    return r->kind == CATALOG_TABLE && (p->all_tables || catalog_ids_have(&p->relations, r->id));
}

static void published(struct system_rows *o) {
    PART(publications, p, o->c)
    EACH(r) if (publishes(p, r)) row(o), text(o, p->name), text(o, schema_name(o, r->schema)), text(o, r->name);
}

static void publication_relations(struct system_rows *o) {
    PART(publications, p, o->c)
    EACH(r) if (!p->all_tables && publishes(p, r)) row(o), number(o, r->id), number(o, 1 + p_i), number(o, r->id);
}

static void sequences(struct system_rows *o) {
    PART(sequences, q, o->c) {
        row(o), text(o, schema_name(o, q->schema)), text(o, q->name), text(o, role_name(o, q->owner)), number(o, q->start),
            number(o, q->min);
        number(o, q->max), number(o, q->increment), truth(o, q->cycle);
    }
}

static void nothing(struct system_rows *o) { (void)o; }

/* ---- information_schema ---- */

static void place(struct system_rows *o, uint32_t schema, str name) {
    database(o), text(o, schema_name(o, schema)), text(o, name);
}

static void schemata(struct system_rows *o) {
    PART(schemas, s, o->c) {
        if (!owns(o, s->owner)) continue;
        row(o), database(o), text(o, s->name), text(o, role_name(o, s->owner));
    }
}

static bool takes_rows(const struct catalog_relation *r) { return r->kind == CATALOG_TABLE || (r->base && !r->not_writable.n); }

static void tables_shown(struct system_rows *o) {
    EACH(r) if (r->kind != CATALOG_MATVIEW && shown(o, r)) {
        row(o), place(o, r->schema, r->name), word(o, r->kind == CATALOG_VIEW ? "VIEW" : "BASE TABLE"), yes(o, takes_rows(r));
    }
}

static void views_shown(struct system_rows *o) {
    static const char *const options[] = {"NONE", "LOCAL", "CASCADED"};
    EACH(r)
    if (r->kind == CATALOG_VIEW && shown(o, r))
        row(o), place(o, r->schema, r->name), text(o, r->query.source), word(o, options[r->check_option]);
}

struct kind_of {
    str data, schema, name;
    uint32_t base;
};
/* How information_schema calls a type: of a domain its base. */
static struct kind_of kind_of(const struct system_rows *o, uint32_t type) {
    const struct pg_type *t = pg_type_by_id(type);
    if (t) return (struct kind_of){t->element ? STR("ARRAY") : str_c(t->sql), STR("pg_catalog"), str_c(t->name), type};
    const struct catalog_type *own = catalog_type_of(o->c, type);
    if (!own) return (struct kind_of){STR("USER-DEFINED"), STR("public"), STR("unknown"), 0};
    if (own->array == type)
        return (struct kind_of){STR("ARRAY"), schema_name(o, own->schema), arena_fmt(o->mem, "_" STR_FMT, STR_ARG(own->name)), 0};
    if (own->kind == CATALOG_DOMAIN && own->base != type && pg_type_by_id(own->base)) return kind_of(o, own->base);
    return (struct kind_of){STR("USER-DEFINED"), schema_name(o, own->schema), own->name, 0};
}

static void sizes(struct system_rows *o, const struct kind_of *k, int32_t typmod) {
    bool length = k->base == PG_VARCHAR || k->base == PG_BPCHAR, numeric = k->base == PG_NUMERIC && typmod >= 4;
    static const struct {
        uint32_t type;
        int32_t digits;
        int32_t scale; /* -1: none */
    } known[] = {{PG_INT2, 16, 0}, {PG_INT4, 32, 0}, {PG_INT8, 64, 0}, {PG_FLOAT4, 24, -1}, {PG_FLOAT8, 53, -1}};
    int32_t digits = numeric ? ((typmod - 4) >> 16) & 0xffff : 0, scale = numeric ? (typmod - 4) & 0xffff : -1;
    for (size_t i = 0; i < ARRAY_COUNT(known); i++)
        if (known[i].type == k->base) digits = known[i].digits, scale = known[i].scale;
    length &&typmod >= 4 ? number(o, typmod - 4) : null(o);
    digits ? number(o, digits) : null(o);
    scale >= 0 ? number(o, scale) : null(o);
}

static void columns_shown(struct system_rows *o) {
    EACH(r) {
        if (r->kind == CATALOG_MATVIEW || !shown(o, r)) continue;
        PART(columns, c, r) {
            struct kind_of k = kind_of(o, c->type);
            bool filled = c->generated || c->identity;
            row(o), place(o, r->schema, r->name), text(o, c->name), number(o, c_i + 1);
            filled ? null(o) : text_or_null(o, default_of(o, c));
            yes(o, !c->not_null), text(o, k.data), sizes(o, &k, c->typmod), text(o, k.schema), text(o, k.name),
                yes(o, c->identity);
            c->identity ? word(o, c->identity == CATALOG_IDENTITY_ALWAYS ? "ALWAYS" : "BY DEFAULT") : null(o);
            word(o, c->generated ? "ALWAYS" : "NEVER"), yes(o, r->kind == CATALOG_TABLE || (takes_rows(r) && c->base_number));
        }
    }
}

static void constraints_shown(struct system_rows *o) {
    static const char *const kinds[] = {[CATALOG_PRIMARY] = "PRIMARY KEY",
                                        [CATALOG_UNIQUE] = "UNIQUE",
                                        [CATALOG_CHECK] = "CHECK",
                                        [CATALOG_FOREIGN] = "FOREIGN KEY"};
    EACH(r) if (more_shown(o, r)) PART(constraints, k, r) {
        row(o), place(o, r->schema, k->name), place(o, r->schema, r->name), word(o, kinds[k->kind]), yes(o, k->deferrable),
            yes(o, k->deferred);
    }
}

static void key_columns(struct system_rows *o) {
    EACH(r) if (shown(o, r)) PART(constraints, k, r) {
        for (uint32_t i = 0; k->kind != CATALOG_CHECK && i < k->columns.n; i++) {
            const struct catalog_column *c = catalog_column_of(r, k->columns.p[i]);
            row(o), place(o, r->schema, k->name), place(o, r->schema, r->name), text(o, c ? c->name : (str){0}), number(o, i + 1);
            k->kind == CATALOG_FOREIGN ? number(o, i + 1) : null(o);
        }
    }
}

static void constraint_columns(struct system_rows *o) {
    EACH(r) PART(constraints, k, r) {
        bool foreign = k->kind == CATALOG_FOREIGN;
        const struct catalog_relation *of = foreign ? catalog_relation_of(o->c, k->reference) : r;
        const catalog_ids *columns = foreign ? &k->reference_columns : &k->columns;
        for (uint32_t i = 0; of && owns(o, of->owner) && i < columns->n; i++) {
            const struct catalog_column *c = catalog_column_of(of, columns->p[i]);
            row(o), place(o, of->schema, of->name), text(o, c ? c->name : (str){0}), place(o, r->schema, k->name);
        }
    }
}

static void references_shown(struct system_rows *o) {
    static const char *const rules[] = {"NO ACTION", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"};
    EACH(r) if (more_shown(o, r)) PART(constraints, k, r) {
        const struct catalog_relation *of = k->kind == CATALOG_FOREIGN ? catalog_relation_of(o->c, k->reference) : NULL;
        const struct catalog_constraint *to = NULL;
        if (!of) continue;
        PART(constraints, other, of)
        if (is_keyed(other) && other->columns.n == k->reference_columns.n &&
            !memcmp(other->columns.p, k->reference_columns.p, other->columns.n * sizeof other->columns.p[0]))
            to = other;
        row(o), place(o, r->schema, k->name), place(o, of->schema, to ? to->name : (str){0}),
            word(o, k->match_full ? "FULL" : "NONE");
        word(o, rules[k->on_update]), word(o, rules[k->on_delete]);
    }
}

static void checks_shown(struct system_rows *o) {
    EACH(r) if (owns(o, r->owner)) PART(constraints, k, r) if (k->kind == CATALOG_CHECK) {
        row(o), place(o, r->schema, k->name), text(o, arena_fmt(o->mem, "(" STR_FMT ")", STR_ARG(k->check.source)));
    }
}

static void routines_shown(struct system_rows *o) {
    PART(functions, f, o->c) {
        if (o->role && !catalog_may_function(o->c, o->role, f)) continue;
        bool trigger = f->returns == PG_TRIGGER;
        row(o), text(o, arena_fmt(o->mem, STR_FMT "_%u", STR_ARG(f->name), f->id)), place(o, f->schema, f->name);
        word(o, f->procedure ? "PROCEDURE" : "FUNCTION"), text(o, trigger ? STR("trigger") : kind_of(o, f->returns).data),
            text(o, f->source);
        text(o, f->language), word(o, f->definer ? "DEFINER" : "INVOKER");
    }
}

static void triggers_shown(struct system_rows *o) {
    static const struct {
        uint32_t bit;
        const char *word;
    } events[] = {{CATALOG_TRIGGER_INSERT, "INSERT"}, {CATALOG_TRIGGER_DELETE, "DELETE"}, {CATALOG_TRIGGER_UPDATE, "UPDATE"}};
    EACH(r) if (more_shown(o, r)) PART(triggers, t, r) {
        const struct catalog_function *f = NULL;
        PART(functions, g, o->c) if (g->id == t->function) f = g;
        for (size_t i = 0; i < ARRAY_COUNT(events); i++) {
            if (!(t->when & events[i].bit)) continue;
            row(o), place(o, r->schema, t->name), word(o, events[i].word), text(o, schema_name(o, r->schema)), text(o, r->name);
            text(o, f ? arena_fmt(o->mem, "EXECUTE FUNCTION " STR_FMT "()", STR_ARG(f->name)) : (str){0});
            word(o, t->when & CATALOG_TRIGGER_ROW ? "ROW" : "STATEMENT");
            word(o, t->when & CATALOG_TRIGGER_BEFORE ? "BEFORE" : t->when & CATALOG_TRIGGER_INSTEAD ? "INSTEAD OF" : "AFTER");
        }
    }
}

static void sequences_shown(struct system_rows *o) {
    PART(sequences, q, o->c) row(o), place(o, q->schema, q->name), text(o, kind_of(o, q->type).data);
}

static void privileges(struct system_rows *o) {
    static const struct {
        uint32_t bit;
        const char *word;
    } words[] = {{CATALOG_INSERT, "INSERT"},  {CATALOG_SELECT, "SELECT"},     {CATALOG_UPDATE, "UPDATE"},
                 {CATALOG_DELETE, "DELETE"},  {CATALOG_TRUNCATE, "TRUNCATE"}, {CATALOG_REFERENCES, "REFERENCES"},
                 {CATALOG_TRIGGER, "TRIGGER"}};
    EACH(r) PART(grants, g, r) for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (!(g->privileges & words[i].bit)) continue;
        row(o), text(o, role_name(o, r->owner)), g->role == CATALOG_PUBLIC ? word(o, "PUBLIC") : text(o, role_name(o, g->role));
        place(o, r->schema, r->name), word(o, words[i].word), yes(o, g->options & words[i].bit);
    }
}

static void column_rights(struct system_rows *o) {
    static const struct {
        uint32_t bit;
        const char *word;
    } words[] = {
        {CATALOG_SELECT, "SELECT"}, {CATALOG_INSERT, "INSERT"}, {CATALOG_UPDATE, "UPDATE"}, {CATALOG_REFERENCES, "REFERENCES"}};
    EACH(r) PART(columns, c, r) for (int own = 0; own < 2; own++) {
        const catalog_grants *all = own ? &c->grants : &r->grants;
        for (uint32_t g = 0; g < all->n; g++)
            for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
                const struct catalog_grant *of = &all->p[g];
                if (!(of->privileges & words[i].bit)) continue;
                row(o), text(o, role_name(o, r->owner));
                of->role == CATALOG_PUBLIC ? word(o, "PUBLIC") : text(o, role_name(o, of->role));
                place(o, r->schema, r->name), text(o, c->name), word(o, words[i].word), yes(o, of->options & words[i].bit);
            }
    }
}

static str specific_name(struct system_rows *o, const struct catalog_function *f) {
    return arena_fmt(o->mem, STR_FMT "_%u", STR_ARG(f->name), f->id);
}

static void routine_rights(struct system_rows *o) {
    PART(functions, f, o->c) PART(grants, g, f) {
        if (!(g->privileges & CATALOG_EXECUTE)) continue;
        row(o), text(o, role_name(o, f->owner)), g->role == CATALOG_PUBLIC ? word(o, "PUBLIC") : text(o, role_name(o, g->role));
        place(o, f->schema, specific_name(o, f)), place(o, f->schema, f->name), word(o, "EXECUTE");
        yes(o, g->options & CATALOG_EXECUTE);
    }
}

static void parameters(struct system_rows *o) {
    static const char *const modes[] = {"IN", "OUT", "INOUT", "IN", "OUT"};
    PART(functions, f, o->c) {
        if (o->role && !catalog_may_function(o->c, o->role, f)) continue;
        PART(arguments, a, f) {
            struct kind_of k = kind_of(o, a->type);
            row(o), place(o, f->schema, specific_name(o, f)), number(o, a_i + 1), word(o, modes[a->mode]),
                text_or_null(o, a->name);
            text(o, k.data), text(o, k.schema), text(o, k.name), text_or_null(o, a->default_value.source);
        }
    }
}

static void domains_shown(struct system_rows *o) {
    PART(types, t, o->c) {
        if (t->kind != CATALOG_DOMAIN) continue;
        struct kind_of k = kind_of(o, t->base);
        row(o), place(o, t->schema, t->name), text(o, k.data), text_or_null(o, t->default_value.source), text(o, k.schema),
            text(o, k.name);
    }
}

/* ---- all of them ---- */

static void (*const makers[])(struct system_rows *o) = {
#define C(name, type)
#define RELATION(schema, name, rows, columns) rows,
#include "system/system.def"
#undef RELATION
#undef C
};

void system_rows_make(struct system_rows *o, uint32_t relation) {
    makers[relation](o);
    ENSURE(!o->n || o->at == o->columns);
}
