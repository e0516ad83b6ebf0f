/* db_sql: a catalogue as SQL of PostgreSQL's, which makes it anew on either engine.
 *
 *   objects: one a schema, type, sequence, table, view, function, key, index, policy, grant, comment: a name of its own, and its text
 *   a dump:  in the order in which they were made (ids count up), so that what one needs is there; keys, indexes, policies and grants behind the rows
 *   a diff:  by their names, so that it does not matter when they were made
 *
 * What is the platform's own is left out, and what is at it stays (a policy on a table of another schema is the app's). */
#include "node/command/db.h"
#include "pg/pg.h"
#include <stdlib.h>

enum { BEFORE_ROWS, BEHIND_ROWS };
struct object {
    uint64_t order;
    uint8_t phase;
    str key, text;
};
struct writer {
    const struct catalog *c;
    arena *mem;
    VEC(struct object) objects;
    struct buf b; /* the text of one */
};

/* ---- words ---- */

static void put(struct writer *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct writer *w, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    str s = arena_vfmt(w->mem, fmt, ap);
    va_end(ap);
    buf_puts(&w->b, s);
}

static void put_quoted(struct writer *w, str s, char with) {
    buf_putc(&w->b, (uint8_t)with);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == (uint8_t)with) buf_putc(&w->b, (uint8_t)with);
        buf_putc(&w->b, s.p[i]);
    }
    buf_putc(&w->b, (uint8_t)with);
}
static void put_name(struct writer *w, str name) { put_quoted(w, name, '"'); }
static void put_text(struct writer *w, str text) { put_quoted(w, text, '\''); }

static str schema_name(const struct writer *w, uint32_t schema) {
    const struct catalog_schema *s = catalog_schema_of(w->c, schema);
    return s ? s->name : STR("public");
}
static void put_full(struct writer *w, uint32_t schema, str name) {
    put_name(w, schema_name(w, schema));
    buf_putc(&w->b, '.');
    put_name(w, name);
}
static void put_role(struct writer *w, uint32_t role) {
    const struct catalog_role *r = catalog_role_of(w->c, role);
    if (role == CATALOG_PUBLIC || !r) put(w, "public");
    else put_name(w, r->name);
}

static void put_typmod(struct writer *w, const struct pg_type *t, int32_t typmod) {
    if (typmod < 0) return;
    if (t->typmod == PG_TYPMOD_LENGTH) put(w, "(%d)", typmod - 4);
    if (t->typmod == PG_TYPMOD_SECONDS || t->typmod == PG_TYPMOD_DIMENSIONS || t->typmod == PG_TYPMOD_BITS)
        put(w, "(%d)", typmod);
    if (t->typmod == PG_TYPMOD_NUMERIC) put(w, "(%d,%d)", (typmod - 4) >> 16, (typmod - 4) & 0xffff);
}

/* "timestamp(3) with time zone": the number stands behind the first word. */
static void put_builtin(struct writer *w, const struct pg_type *t, int32_t typmod) {
    const struct pg_type *of = t->element && t->category == 'A' ? pg_type_by_id(t->element) : t;
    str sql = str_c(of->sql), first, rest = {0};
    if (of->typmod == PG_TYPMOD_SECONDS && str_cut(sql, ' ', &first, &rest)) sql = first;
    buf_puts(&w->b, sql);
    put_typmod(w, of, typmod);
    if (rest.n) put(w, " " STR_FMT, STR_ARG(rest));
    if (of != t) put(w, "[]");
}
static void put_type(struct writer *w, uint32_t id, int32_t typmod) {
    const struct pg_type *builtin = pg_type_by_id(id);
    const struct catalog_type *t = catalog_type_of(w->c, id);
    if (builtin) put_builtin(w, builtin, typmod);
    else if (!t) put(w, "unknown");
    else put_full(w, t->schema, t->name), put(w, "%s", t->array == id ? "[]" : "");
}

/* ---- objects ---- */

/* What w->b has becomes one. */
static void add(struct writer *w, uint8_t phase, uint64_t order, const char *kind, str key) {
    struct object *o = vec_add(w->mem, &w->objects);
    *o = (struct object){order, phase, arena_fmt(w->mem, "%s " STR_FMT, kind, STR_ARG(key)), arena_str(w->mem, buf_str(&w->b))};
    w->b.n = 0;
}
static str full_key(struct writer *w, uint32_t schema, str name) {
    return arena_fmt(w->mem, STR_FMT "." STR_FMT, STR_ARG(schema_name(w, schema)), STR_ARG(name));
}

static void add_comment(struct writer *w, const char *what, str key, str comment, void (*name)(struct writer *w, const void *of),
                        const void *of) {
    if (!comment.n) return;
    put(w, "comment on %s ", what);
    name(w, of);
    put(w, " is ");
    put_text(w, comment);
    put(w, ";\n");
    add(w, BEHIND_ROWS, UINT64_MAX, "comment", arena_fmt(w->mem, "%s " STR_FMT, what, STR_ARG(key)));
}

static void add_roles(struct writer *w) {
    for (uint32_t i = 0; i < w->c->roles.n; i++) {
        const struct catalog_role *r = &w->c->roles.p[i];
        if (r->platform) continue;
        put(w, "create role "), put_name(w, r->name), put(w, "%s;\n", r->bypass_rls ? " bypassrls" : "");
        for (uint32_t k = 0; k < r->member_of.n; k++)
            put(w, "grant "), put_role(w, r->member_of.p[k]), put(w, " to "), put_name(w, r->name), put(w, ";\n");
        add(w, BEFORE_ROWS, 1, "role", r->name);
    }
}

static void add_schemas(struct writer *w) {
    for (uint32_t i = 0; i < w->c->schemas.n; i++) {
        const struct catalog_schema *s = &w->c->schemas.p[i];
        if (s->platform || str_eqc(s->name, "public")) continue;
        put(w, "create schema if not exists "), put_name(w, s->name), put(w, ";\n");
        add(w, BEFORE_ROWS, 0, "schema", s->name);
    }
    add_roles(w);
    for (uint32_t i = 0; i < w->c->extensions.n; i++) {
        const struct catalog_extension *e = &w->c->extensions.p[i];
        put(w, "create extension if not exists "), put_name(w, e->name);
        if (e->schema) put(w, " with schema "), put_name(w, schema_name(w, e->schema));
        put(w, ";\n");
        add(w, BEFORE_ROWS, 2, "extension", e->name);
    }
}

/* ---- types and sequences ---- */

static void put_fields(struct writer *w, const catalog_fields *fields) {
    for (uint32_t i = 0; i < fields->n; i++)
        put(w, "%s", i ? ", " : ""), put_name(w, fields->p[i].name), put(w, " "),
            put_type(w, fields->p[i].type, fields->p[i].typmod);
}
/* PostgreSQL's grammar takes no words behind a default's value, such as AT TIME ZONE: within parentheses it takes all. */
static void put_default(struct writer *w, str source) {
    bool words = memchr(source.p, ' ', source.n) != NULL;
    put(w, " default %s" STR_FMT "%s", words ? "(" : "", STR_ARG(source), words ? ")" : "");
}
static void put_domain(struct writer *w, const struct catalog_type *t) {
    put(w, "create domain "), put_full(w, t->schema, t->name), put(w, " as "), put_type(w, t->base, t->typmod);
    if (t->default_value.source.n) put_default(w, t->default_value.source);
    if (t->not_null) put(w, " not null");
    for (uint32_t k = 0; k < t->checks.n; k++)
        put(w, " constraint "), put_name(w, t->checks.p[k].name),
            put(w, " check (" STR_FMT ")", STR_ARG(t->checks.p[k].expr.source));
    put(w, ";\n");
}
static void put_enum(struct writer *w, const struct catalog_type *t) {
    put(w, "create type "), put_full(w, t->schema, t->name), put(w, " as enum (");
    for (uint32_t k = 0; k < t->labels.n; k++) put(w, "%s", k ? ", " : ""), put_text(w, t->labels.p[k].name);
    put(w, ");\n");
}
/* An older table may have got a column of a younger type: those that need nothing but types come before all tables, in their own order. */
static uint64_t type_order(const struct writer *w, const struct catalog_type *t, uint32_t place) {
    enum { ENUMS = 3, OTHERS = 16 };
    bool calls = t->default_value.fragment.calls.n != 0;
    if (t->kind == CATALOG_ENUM) return ENUMS;
    for (uint32_t i = 0; i < t->checks.n; i++) calls |= t->checks.p[i].expr.fragment.calls.n != 0;
    for (uint32_t i = 0; i < t->fields.n; i++) {
        const struct catalog_type *of = catalog_type_of(w->c, t->fields.p[i].type);
        calls |= of && of->kind == CATALOG_ROW;
    }
    return calls || place + OTHERS >= CATALOG_FIRST_ID ? t->id : place + OTHERS;
}

static void add_types(struct writer *w) {
    for (uint32_t i = 0; i < w->c->types.n; i++) {
        const struct catalog_type *t = &w->c->types.p[i];
        if (t->platform || t->kind == CATALOG_ROW) continue;
        if (t->kind == CATALOG_ENUM) put_enum(w, t);
        if (t->kind == CATALOG_DOMAIN) put_domain(w, t);
        if (t->kind == CATALOG_COMPOSITE)
            put(w, "create type "), put_full(w, t->schema, t->name), put(w, " as ("), put_fields(w, &t->fields), put(w, ");\n");
        /* An enum needs nothing, and a table that is older may have got a column of it. */
        add(w, BEFORE_ROWS, type_order(w, t, i), "type", full_key(w, t->schema, t->name));
    }
}

static bool is_identitys(const struct writer *w, const struct catalog_sequence *s) {
    const struct catalog_relation *r = s->relation ? catalog_relation_of(w->c, s->relation) : NULL;
    const struct catalog_column *k = r ? catalog_column_of(r, s->column) : NULL;
    return k && k->identity;
}
static void add_sequences(struct writer *w) {
    for (uint32_t i = 0; i < w->c->sequences.n; i++) {
        const struct catalog_sequence *s = &w->c->sequences.p[i];
        if (s->platform || is_identitys(w, s)) continue;
        str key = full_key(w, s->schema, s->name);
        put(w, "create sequence "), put_full(w, s->schema, s->name), put(w, " as "), put_type(w, s->type, -1);
        put(w, " increment by %lld minvalue %lld maxvalue %lld start with %lld%s;\n", (long long)s->increment, (long long)s->min,
            (long long)s->max, (long long)s->start, s->cycle ? " cycle" : "");
        add(w, BEFORE_ROWS, 3, "sequence", key);
        const struct catalog_relation *r = s->relation ? catalog_relation_of(w->c, s->relation) : NULL;
        const struct catalog_column *k = r ? catalog_column_of(r, s->column) : NULL;
        if (!k) continue;
        put(w, "alter sequence "), put_full(w, s->schema, s->name), put(w, " owned by "), put_full(w, r->schema, r->name);
        put(w, "."), put_name(w, k->name), put(w, ";\n");
        add(w, BEHIND_ROWS, 0, "owned sequence", key);
    }
}

/* ---- tables ---- */

static void put_column(struct writer *w, const struct catalog_column *k) {
    put(w, "    "), put_name(w, k->name), put(w, " "), put_type(w, k->type, k->typmod);
    if (k->generated) put(w, " generated always as (" STR_FMT ") stored", STR_ARG(k->default_value.source));
    else if (k->identity) put(w, " generated %s as identity", k->identity == CATALOG_IDENTITY_ALWAYS ? "always" : "by default");
    else if (k->default_value.source.n) put_default(w, k->default_value.source);
    if (k->not_null) put(w, " not null");
}
static void put_numbers(struct writer *w, const struct catalog_relation *r, const catalog_ids *numbers) {
    put(w, "(");
    for (uint32_t i = 0; i < numbers->n; i++) {
        const struct catalog_column *k = catalog_column_of(r, numbers->p[i]);
        put(w, "%s", i ? ", " : "");
        if (k) put_name(w, k->name);
    }
    put(w, ")");
}
static void put_constraint(struct writer *w, const struct catalog_relation *r, const struct catalog_constraint *k) {
    static const char *const kinds[] = {[CATALOG_PRIMARY] = "primary key ", [CATALOG_UNIQUE] = "unique "};
    put(w, "constraint "), put_name(w, k->name), put(w, " ");
    if (k->kind == CATALOG_CHECK) {
        put(w, "check (" STR_FMT ")%s", STR_ARG(k->check.source), k->not_valid ? " not valid" : "");
        return;
    }
    put(w, "%s%s", kinds[k->kind], k->nulls_not_distinct ? "nulls not distinct " : "");
    put_numbers(w, r, &k->columns);
    if (k->deferrable) put(w, " deferrable%s", k->deferred ? " initially deferred" : "");
}
static void add_key(struct writer *w, const struct catalog_relation *r, const struct catalog_constraint *k) {
    static const char *const actions[] = {[CATALOG_NO_ACTION] = "no action",
                                          [CATALOG_RESTRICT] = "restrict",
                                          [CATALOG_CASCADE] = "cascade",
                                          [CATALOG_SET_NULL] = "set null",
                                          [CATALOG_SET_DEFAULT] = "set default"};
    const struct catalog_relation *to = catalog_relation_of(w->c, k->reference);
    if (!to) return;
    put(w, "alter table "), put_full(w, r->schema, r->name), put(w, " add constraint "), put_name(w, k->name),
        put(w, " foreign key ");
    put_numbers(w, r, &k->columns), put(w, " references "), put_full(w, to->schema, to->name), put(w, " ");
    put_numbers(w, to, &k->reference_columns);
    if (k->match_full) put(w, " match full");
    if (k->on_update) put(w, " on update %s", actions[k->on_update]);
    if (k->on_delete) put(w, " on delete %s", actions[k->on_delete]);
    if (k->on_delete && k->set_columns.n) put(w, " "), put_numbers(w, r, &k->set_columns);
    if (k->deferrable) put(w, " deferrable%s", k->deferred ? " initially deferred" : "");
    put(w, "%s;\n", k->not_valid ? " not valid" : "");
    add(w, BEHIND_ROWS, 1, "key",
        arena_fmt(w->mem, STR_FMT " " STR_FMT, STR_ARG(full_key(w, r->schema, r->name)), STR_ARG(k->name)));
}
static void put_table(struct writer *w, const struct catalog_relation *r) {
    put(w, "create table "), put_full(w, r->schema, r->name), put(w, " (\n");
    for (uint32_t i = 0; i < r->columns.n; i++) put(w, "%s", i ? ",\n" : ""), put_column(w, &r->columns.p[i]);
    for (uint32_t i = 0; i < r->constraints.n; i++)
        if (r->constraints.p[i].kind != CATALOG_FOREIGN)
            put(w, "%s    ", r->columns.n || i ? ",\n" : ""), put_constraint(w, r, &r->constraints.p[i]);
    put(w, "\n);\n");
}
static void put_view(struct writer *w, const struct catalog_relation *r) {
    str query = r->query.source;
    while (query.n && (query.p[query.n - 1] == ';' || query.p[query.n - 1] <= ' ')) query.n--;
    put(w, "create %sview ", r->kind == CATALOG_MATVIEW ? "materialized " : ""), put_full(w, r->schema, r->name), put(w, " (");
    for (uint32_t i = 0; i < r->columns.n; i++) put(w, "%s", i ? ", " : ""), put_name(w, r->columns.p[i].name);
    put(w, ")");
    if (r->security_invoker || r->security_barrier)
        put(w, " with (%s%s%s)", r->security_invoker ? "security_invoker = true" : "",
            r->security_invoker && r->security_barrier ? ", " : "", r->security_barrier ? "security_barrier = true" : "");
    put(w, " as\n"), buf_puts(&w->b, query), put(w, "%s;\n", r->unfilled ? " with no data" : "");
}

static void add_index(struct writer *w, const struct catalog_relation *r, const struct catalog_index *x) {
    if (x->constraint) return;
    put(w, "create %sindex ", x->unique ? "unique " : ""), put_name(w, x->name), put(w, " on "), put_full(w, r->schema, r->name);
    if (x->method.n) put(w, " using " STR_FMT, STR_ARG(x->method));
    put(w, " (");
    for (uint32_t i = 0; i < x->keys.n; i++) {
        const struct catalog_column *k = x->keys.p[i].column ? catalog_column_of(r, x->keys.p[i].column) : NULL;
        put(w, "%s", i ? ", " : "");
        if (k) put_name(w, k->name);
        else put(w, "(" STR_FMT ")", STR_ARG(x->keys.p[i].expr.source));
        if (x->keys.p[i].opclass.n) put(w, " " STR_FMT, STR_ARG(x->keys.p[i].opclass));
        if (x->keys.p[i].descending) put(w, " desc");
        if (x->keys.p[i].nulls_first != x->keys.p[i].descending) put(w, " nulls %s", x->keys.p[i].nulls_first ? "first" : "last");
    }
    put(w, ")");
    if (x->include.n) put(w, " include "), put_numbers(w, r, &x->include);
    if (x->nulls_not_distinct) put(w, " nulls not distinct");
    if (x->where.source.n) put(w, " where (" STR_FMT ")", STR_ARG(x->where.source));
    put(w, ";\n");
    add(w, BEHIND_ROWS, 2, "index", full_key(w, r->schema, x->name));
}

static void add_policy(struct writer *w, const struct catalog_relation *r, const struct catalog_policy *p) {
    static const char *const commands[] = {[CATALOG_FOR_ALL] = "all",
                                           [CATALOG_FOR_SELECT] = "select",
                                           [CATALOG_FOR_INSERT] = "insert",
                                           [CATALOG_FOR_UPDATE] = "update",
                                           [CATALOG_FOR_DELETE] = "delete"};
    put(w, "create policy "), put_name(w, p->name), put(w, " on "), put_full(w, r->schema, r->name);
    put(w, " as %s for %s to ", p->permissive ? "permissive" : "restrictive", commands[p->command]);
    for (uint32_t i = 0; i < p->roles.n; i++) put(w, "%s", i ? ", " : ""), put_role(w, p->roles.p[i]);
    if (!p->roles.n) put(w, "public");
    if (p->using_expr.source.n) put(w, "\n    using (" STR_FMT ")", STR_ARG(p->using_expr.source));
    if (p->check_expr.source.n) put(w, "\n    with check (" STR_FMT ")", STR_ARG(p->check_expr.source));
    put(w, ";\n");
    add(w, BEHIND_ROWS, 4, "policy",
        arena_fmt(w->mem, STR_FMT " " STR_FMT, STR_ARG(full_key(w, r->schema, r->name)), STR_ARG(p->name)));
}

static void name_relation(struct writer *w, const void *of) {
    const struct catalog_relation *r = of;
    put_full(w, r->schema, r->name);
}
static void add_rules(struct writer *w, const struct catalog_relation *r) {
    str key = full_key(w, r->schema, r->name);
    for (uint32_t i = 0; i < r->policies.n; i++) add_policy(w, r, &r->policies.p[i]);
    for (uint32_t i = 0; i < r->triggers.n; i++) {
        str source = r->triggers.p[i].source;
        if (!source.n) continue;
        buf_puts(&w->b, source), put(w, "%s\n", source.p[source.n - 1] == ';' ? "" : ";");
        add(w, BEHIND_ROWS, 5, "trigger", arena_fmt(w->mem, STR_FMT " " STR_FMT, STR_ARG(key), STR_ARG(r->triggers.p[i].name)));
    }
    if (r->platform || !(r->rls || r->force_rls)) return;
    if (r->rls) put(w, "alter table "), name_relation(w, r), put(w, " enable row level security;\n");
    if (r->force_rls) put(w, "alter table "), name_relation(w, r), put(w, " force row level security;\n");
    add(w, BEHIND_ROWS, 3, "row level security", key);
}

/* ---- grants ---- */

static void put_privileges(struct writer *w, uint32_t privileges, uint32_t all) {
    static const char *const names[] = {"select",  "insert",  "update", "delete", "truncate",  "references",
                                        "trigger", "execute", "usage",  "create", "temporary", "connect"};
    bool any = false;
    if ((privileges & all) == all) {
        put(w, "all");
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(names); i++)
        if (privileges & all & 1u << i) put(w, "%s%s", any ? ", " : "", names[i]), any = true;
}

/* What everybody is given by default goes first, so that those stand that are told here, and no others. */
static void add_grants(struct writer *w, const char *kind, uint32_t all, uint32_t owner, const catalog_grants *grants,
                       void (*name)(struct writer *w, const void *of), const void *of, str key) {
    static const char *const usual[] = {"anon", "authenticated", "service_role"};
    put(w, "revoke all on %s ", kind), name(w, of), put(w, " from public");
    for (size_t i = 0; i < ARRAY_COUNT(usual); i++)
        if (catalog_role_named(w->c, str_c(usual[i]))) put(w, ", %s", usual[i]);
    put(w, ";\n");
    for (uint32_t i = 0; i < grants->n; i++) {
        const struct catalog_grant *g = &grants->p[i];
        if (!(g->privileges & all) || (g->role == owner && owner)) continue;
        put(w, "grant "), put_privileges(w, g->privileges, all), put(w, " on %s ", kind), name(w, of), put(w, " to "),
            put_role(w, g->role);
        put(w, "%s;\n", g->options ? " with grant option" : "");
    }
    add(w, BEHIND_ROWS, 6, "grants", arena_fmt(w->mem, "%s " STR_FMT, kind, STR_ARG(key)));
}

static void add_column_grants(struct writer *w, const struct catalog_relation *r) {
    for (uint32_t i = 0; i < r->columns.n; i++) {
        const struct catalog_column *k = &r->columns.p[i];
        for (uint32_t g = 0; g < k->grants.n; g++) {
            static const char *const names[] = {"select", "insert", "update", NULL, NULL, "references"};
            for (size_t p = 0; p < ARRAY_COUNT(names); p++) {
                if (!names[p] || !(k->grants.p[g].privileges & 1u << p)) continue;
                put(w, "grant %s (", names[p]), put_name(w, k->name), put(w, ") on "), name_relation(w, r), put(w, " to ");
                put_role(w, k->grants.p[g].role), put(w, ";\n");
            }
        }
        if (w->b.n)
            add(w, BEHIND_ROWS, 7, "grants column",
                arena_fmt(w->mem, STR_FMT "." STR_FMT, STR_ARG(full_key(w, r->schema, r->name)), STR_ARG(k->name)));
    }
}

struct column_of {
    const struct catalog_relation *r;
    const struct catalog_column *k;
};
static void name_column(struct writer *w, const void *of) {
    const struct column_of *c = of;
    name_relation(w, c->r), put(w, "."), put_name(w, c->k->name);
}

static void add_relations(struct writer *w) {
    static const char *const kinds[] = {
        [CATALOG_TABLE] = "table", [CATALOG_VIEW] = "view", [CATALOG_MATVIEW] = "materialized view"};
    for (uint32_t i = 0; i < w->c->relations.n; i++) {
        const struct catalog_relation *r = &w->c->relations.p[i];
        str key = full_key(w, r->schema, r->name);
        add_rules(w, r);
        if (r->platform) continue;
        if (r->kind == CATALOG_TABLE) put_table(w, r);
        else put_view(w, r);
        add(w, BEFORE_ROWS, r->id, kinds[r->kind], key);
        for (uint32_t k = 0; k < r->constraints.n; k++)
            if (r->constraints.p[k].kind == CATALOG_FOREIGN) add_key(w, r, &r->constraints.p[k]);
        for (uint32_t k = 0; k < r->indexes.n; k++) add_index(w, r, &r->indexes.p[k]);
        add_grants(w, "table", CATALOG_ALL_TABLE, r->owner, &r->grants, name_relation, r, key);
        add_column_grants(w, r);
        add_comment(w, kinds[r->kind], key, r->comment, name_relation, r);
        for (uint32_t k = 0; k < r->columns.n; k++)
            add_comment(w, "column", arena_fmt(w->mem, STR_FMT "." STR_FMT, STR_ARG(key), STR_ARG(r->columns.p[k].name)),
                        r->columns.p[k].comment, name_column, &(struct column_of){r, &r->columns.p[k]});
    }
}

/* ---- functions ---- */

static void put_argument(struct writer *w, const struct catalog_argument *a) {
    static const char *const modes[] = {
        [CATALOG_IN] = "", [CATALOG_OUT] = "out ", [CATALOG_INOUT] = "inout ", [CATALOG_VARIADIC] = "variadic "};
    put(w, "%s", modes[a->mode]);
    if (a->name.n) put_name(w, a->name), put(w, " ");
    put_type(w, a->type, a->typmod);
    if (a->default_value.source.n) put(w, " default " STR_FMT, STR_ARG(a->default_value.source));
}
static void name_function(struct writer *w, const void *of) {
    const struct catalog_function *f = of;
    bool any = false;
    put_full(w, f->schema, f->name), put(w, "(");
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        if (f->arguments.p[i].mode == CATALOG_OUT || f->arguments.p[i].mode == CATALOG_TABLE_COLUMN) continue;
        put(w, "%s", any ? ", " : ""), put_type(w, f->arguments.p[i].type, -1), any = true;
    }
    put(w, ")");
}
static void put_returns(struct writer *w, const struct catalog_function *f) {
    bool any = false;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode != CATALOG_TABLE_COLUMN) continue;
        put(w, "%s", any ? ", " : " returns table ("), put_name(w, a->name), put(w, " "), put_type(w, a->type, a->typmod),
            any = true;
    }
    if (any) put(w, ")");
    else put(w, " returns %s", f->set ? "setof " : ""), put_type(w, f->returns, -1);
}
static void put_settings(struct writer *w, const struct catalog_function *f) {
    for (uint32_t i = 0; i < f->settings.n; i++) {
        str name, value;
        if (!str_cut(f->settings.p[i], '=', &name, &value)) continue;
        put(w, " set " STR_FMT " to ", STR_ARG(name));
        if (str_eqc(name, "search_path") && value.n) buf_puts(&w->b, value);
        else put_text(w, value);
    }
}
/* A tag that the body does not have. */
static const char *tag_for(str body) {
    static const char *const tags[] = {"$$", "$body$", "$function$", "$orlo_body$"};
    for (size_t i = 0; i < ARRAY_COUNT(tags); i++)
        if (!body.n || !memmem(body.p, body.n, tags[i], strlen(tags[i]))) return tags[i];
    return NULL;
}
static void add_functions(struct writer *w) {
    static const char *const volatilities[] = {
        [CATALOG_IS_VOLATILE] = "volatile", [CATALOG_IS_STABLE] = "stable", [CATALOG_IS_IMMUTABLE] = "immutable"};
    for (uint32_t i = 0; i < w->c->functions.n; i++) {
        const struct catalog_function *f = &w->c->functions.p[i];
        const char *tag = tag_for(f->source);
        bool any = false;
        if (f->platform) continue;
        put(w, "create or replace %s ", f->procedure ? "procedure" : "function"), put_full(w, f->schema, f->name), put(w, "(");
        for (uint32_t k = 0; k < f->arguments.n; k++) {
            if (f->arguments.p[k].mode == CATALOG_TABLE_COLUMN) continue;
            put(w, "%s", any ? ", " : ""), put_argument(w, &f->arguments.p[k]), any = true;
        }
        put(w, ")");
        if (!f->procedure) put_returns(w, f);
        put(w, " language " STR_FMT, STR_ARG(f->language));
        if (!f->procedure) put(w, " %s%s", volatilities[f->volatility], f->strict ? " strict" : "");
        put(w, "%s", f->definer ? " security definer" : "");
        put_settings(w, f);
        put(w, " as ");
        if (tag) put(w, "%s", tag), buf_puts(&w->b, f->source), put(w, "%s", tag);
        else put_text(w, f->source);
        put(w, ";\n");
        str key = full_key(w, f->schema, f->name);
        size_t at = w->b.n;
        name_function(w, f);
        key = arena_str(w->mem, (str){w->b.p + at, w->b.n - at});
        w->b.n = at;
        add(w, BEFORE_ROWS, f->id, "function", key);
        add_grants(w, f->procedure ? "procedure" : "function", CATALOG_EXECUTE, f->owner, &f->grants, name_function, f, key);
        add_comment(w, f->procedure ? "procedure" : "function", key, f->comment, name_function, f);
    }
}

static void add_publications(struct writer *w) {
    for (uint32_t i = 0; i < w->c->publications.n; i++) {
        const struct catalog_publication *p = &w->c->publications.p[i];
        bool platform = str_eqc(p->name, "supabase_realtime");
        if (!platform)
            put(w, "create publication "), put_name(w, p->name), put(w, "%s;\n", p->all_tables ? " for all tables" : "");
        for (uint32_t k = 0; k < p->relations.n; k++) {
            const struct catalog_relation *r = catalog_relation_of(w->c, p->relations.p[k]);
            if (!r) continue;
            put(w, "alter publication "), put_name(w, p->name), put(w, " add table "), name_relation(w, r), put(w, ";\n");
        }
        if (w->b.n) add(w, BEHIND_ROWS, 8, "publication", p->name);
    }
}

/* ---- the whole ---- */

static void write_all(struct writer *w) {
    add_schemas(w), add_types(w), add_sequences(w), add_functions(w), add_relations(w), add_publications(w);
    buf_free(&w->b);
}

static int by_order(const void *a, const void *b) {
    const struct object *x = a, *y = b;
    if (x->phase != y->phase) return x->phase < y->phase ? -1 : 1;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    return str_cmp(x->key, y->key);
}
static int by_key(const void *a, const void *b) {
    return str_cmp(((const struct object *)a)->key, ((const struct object *)b)->key);
}

void node_db_sql(const struct catalog *c, struct buf *before, struct buf *behind) {
    struct writer w = {.c = c, .mem = arena_new(0)};
    write_all(&w);
    if (w.objects.n) qsort(w.objects.p, w.objects.n, sizeof *w.objects.p, by_order);
    for (uint32_t i = 0; i < w.objects.n; i++) {
        const struct object *o = &w.objects.p[i];
        buf_puts(o->phase == BEFORE_ROWS ? before : behind, o->text);
    }
    arena_free(w.mem);
}

void node_db_sql_roles(const struct catalog *c, struct buf *to) {
    struct writer w = {.c = c, .mem = arena_new(0)};
    add_roles(&w);
    for (uint32_t i = 0; i < w.objects.n; i++) buf_puts(to, w.objects.p[i].text);
    buf_free(&w.b);
    arena_free(w.mem);
}

static void show(FILE *out, char sign, const struct object *o) {
    for (str rest = o->text, line; rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        fputc(sign, out);
        for (size_t i = 0; i < line.n; i++) fputc(line.p[i] < ' ' || line.p[i] == 127 ? '?' : line.p[i], out);
        fputc('\n', out);
    }
}

bool node_db_sql_diff(arena *scratch, const struct catalog *from, const struct catalog *to, FILE *out) {
    struct writer a = {.c = from, .mem = scratch}, b = {.c = to, .mem = scratch};
    bool any = false;
    if (from) write_all(&a);
    if (to) write_all(&b);
    if (a.objects.n) qsort(a.objects.p, a.objects.n, sizeof *a.objects.p, by_key);
    if (b.objects.n) qsort(b.objects.p, b.objects.n, sizeof *b.objects.p, by_key);
    for (uint32_t i = 0, k = 0; i < a.objects.n || k < b.objects.n;) {
        const struct object *x = i < a.objects.n ? &a.objects.p[i] : NULL, *y = k < b.objects.n ? &b.objects.p[k] : NULL;
        int order = !x ? 1 : !y ? -1 : str_cmp(x->key, y->key);
        bool same = !order && str_eq(x->text, y->text);
        if (order <= 0 && !same) show(out, '-', x);
        if (order >= 0 && !same) show(out, '+', y);
        any |= !same;
        i += order <= 0, k += order >= 0;
    }
    return any;
}
