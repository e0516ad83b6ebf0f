/* definitions: what PostgreSQL's pg_get_…def say, of the texts that the migrations have. */
#include "system/system_int.h"

static void put_columns(struct buf *b, const struct catalog_relation *r, const catalog_ids *columns) {
    buf_putc(b, '(');
    for (uint32_t i = 0; r && i < columns->n; i++) {
        const struct catalog_column *c = catalog_column_of(r, columns->p[i]);
        if (i) buf_puts(b, STR(", "));
        if (c) system_put_name(b, c->name);
    }
    buf_putc(b, ')');
}

static void put_foreign(struct buf *b, const struct catalog *c, const struct catalog_constraint *k) {
    static const char *const actions[] = {"", "RESTRICT", "CASCADE", "SET NULL", "SET DEFAULT"};
    const struct catalog_relation *of = catalog_relation_of(c, k->reference);
    buf_puts(b, STR(" REFERENCES "));
    if (of) system_put_qualified(b, c, of->schema, of->name, false);
    put_columns(b, of, &k->reference_columns);
    if (k->match_full) buf_puts(b, STR(" MATCH FULL"));
    if (k->on_update) buf_printf(b, " ON UPDATE %s", actions[k->on_update]);
    if (k->on_delete) buf_printf(b, " ON DELETE %s", actions[k->on_delete]);
}

static void put_constraint(struct buf *b, const struct catalog *c, const struct catalog_relation *r,
                           const struct catalog_constraint *k) {
    static const char *const words[] = {
        [CATALOG_PRIMARY] = "PRIMARY KEY ", [CATALOG_UNIQUE] = "UNIQUE ", [CATALOG_FOREIGN] = "FOREIGN KEY "};
    if (k->kind == CATALOG_CHECK) {
        buf_printf(b, "CHECK ((" STR_FMT "))", STR_ARG(k->check.source));
    } else {
        buf_puts(b, str_c(words[k->kind]));
        if (k->nulls_not_distinct) buf_puts(b, STR("NULLS NOT DISTINCT "));
        put_columns(b, r, &k->columns);
        if (k->kind == CATALOG_FOREIGN) put_foreign(b, c, k);
    }
    if (k->deferrable) buf_puts(b, k->deferred ? STR(" DEFERRABLE INITIALLY DEFERRED") : STR(" DEFERRABLE"));
    if (k->not_valid) buf_puts(b, STR(" NOT VALID"));
}

static void put_keys(struct buf *b, const struct catalog_relation *r, const struct catalog_index *x, bool exclusion) {
    buf_putc(b, '(');
    for (uint32_t i = 0; i < x->keys.n; i++) {
        const struct catalog_index_key *k = &x->keys.p[i];
        const struct catalog_column *c = k->column ? catalog_column_of(r, k->column) : NULL;
        if (i) buf_puts(b, STR(", "));
        if (c) system_put_name(b, c->name);
        else buf_printf(b, "(" STR_FMT ")", STR_ARG(k->expr.source));
        if (k->opclass.n) buf_printf(b, " " STR_FMT, STR_ARG(k->opclass));
        if (exclusion) buf_puts(b, STR(" WITH ="));
        if (k->descending) buf_puts(b, k->nulls_first ? STR(" DESC") : STR(" DESC NULLS LAST"));
        else if (k->nulls_first) buf_puts(b, STR(" NULLS FIRST"));
    }
    buf_putc(b, ')');
}

static void put_index(struct buf *b, const struct catalog *c, const struct catalog_relation *r, const struct catalog_index *x) {
    buf_puts(b, x->unique ? STR("CREATE UNIQUE INDEX ") : STR("CREATE INDEX "));
    system_put_name(b, x->name);
    buf_puts(b, STR(" ON "));
    system_put_qualified(b, c, r->schema, r->name, true);
    buf_printf(b, " USING " STR_FMT " ", STR_ARG(x->method.n ? x->method : STR("btree")));
    put_keys(b, r, x, false);
    if (x->include.n) buf_puts(b, STR(" INCLUDE ")), put_columns(b, r, &x->include);
    if (x->nulls_not_distinct) buf_puts(b, STR(" NULLS NOT DISTINCT"));
    if (x->where.source.n) buf_printf(b, " WHERE (" STR_FMT ")", STR_ARG(x->where.source));
}

static bool tell_constraint(const struct catalog *c, uint32_t id, struct buf *b) {
    for (uint32_t i = 0; i < c->relations.n; i++) {
        const struct catalog_relation *r = &c->relations.p[i];
        for (uint32_t k = 0; k < r->constraints.n; k++)
            if (r->constraints.p[k].id == id) return put_constraint(b, c, r, &r->constraints.p[k]), true;
        for (uint32_t k = 0; k < r->indexes.n; k++) {
            const struct catalog_index *x = &r->indexes.p[k];
            if (!x->exclusion || x->id != id) continue;
            buf_printf(b, "EXCLUDE USING " STR_FMT " ", STR_ARG(x->method.n ? x->method : STR("gist")));
            put_keys(b, r, x, true);
            if (x->where.source.n) buf_printf(b, " WHERE ((" STR_FMT "))", STR_ARG(x->where.source));
            return true;
        }
    }
    return false;
}

static bool tell_index(const struct catalog *c, uint32_t id, struct buf *b) {
    for (uint32_t i = 0; i < c->relations.n; i++) {
        const struct catalog_relation *r = &c->relations.p[i];
        for (uint32_t k = 0; k < r->indexes.n; k++)
            if (r->indexes.p[k].id == id) return put_index(b, c, r, &r->indexes.p[k]), true;
        for (uint32_t k = 0; k < r->constraints.n; k++) {
            const struct catalog_constraint *t = &r->constraints.p[k];
            if (t->id != id || (t->kind != CATALOG_PRIMARY && t->kind != CATALOG_UNIQUE)) continue;
            buf_puts(b, STR("CREATE UNIQUE INDEX "));
            system_put_name(b, t->name);
            buf_puts(b, STR(" ON "));
            system_put_qualified(b, c, r->schema, r->name, true);
            buf_puts(b, STR(" USING btree "));
            return put_columns(b, r, &t->columns), true;
        }
    }
    return false;
}

/* ---- functions ---- */

static void put_argument(struct buf *b, const struct catalog *c, const struct catalog_argument *a, bool defaults) {
    static const char *const modes[] = {
        [CATALOG_IN] = "", [CATALOG_OUT] = "OUT ", [CATALOG_INOUT] = "INOUT ", [CATALOG_VARIADIC] = "VARIADIC "};
    buf_puts(b, str_c(modes[a->mode]));
    if (a->name.n) system_put_name(b, a->name), buf_putc(b, ' ');
    system_put_type(b, c, a->type, -1);
    if (defaults && a->default_value.source.n) buf_printf(b, " DEFAULT " STR_FMT, STR_ARG(a->default_value.source));
}

static void put_arguments(struct buf *b, const struct catalog *c, const struct catalog_function *f, bool defaults) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        if (f->arguments.p[i].mode == CATALOG_TABLE_COLUMN) continue;
        if (at++) buf_puts(b, STR(", "));
        put_argument(b, c, &f->arguments.p[i], defaults);
    }
}

static void put_result(struct buf *b, const struct catalog *c, const struct catalog_function *f) {
    uint32_t at = 0;
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        if (a->mode != CATALOG_TABLE_COLUMN) continue;
        buf_puts(b, at++ ? STR(", ") : STR("TABLE("));
        system_put_name(b, a->name), buf_putc(b, ' ');
        system_put_type(b, c, a->type, -1);
    }
    if (at) return (void)buf_putc(b, ')');
    if (f->set) buf_puts(b, STR("SETOF "));
    system_put_type(b, c, f->returns, -1);
}

/* search_path=a, b → SET search_path TO 'a', 'b' */
static void put_setting(struct buf *b, str setting) {
    str name, value, one;
    if (!str_cut(setting, '=', &name, &value)) return;
    buf_printf(b, " SET " STR_FMT " TO ", STR_ARG(name));
    if (!value.n) buf_puts(b, STR("''"));
    for (uint32_t i = 0; value.n; i++) {
        str_cut(value, ',', &one, &value);
        one = str_trim(one);
        if (one.n > 1 && one.p[0] == '"' && one.p[one.n - 1] == '"') one = str_sub(one, 1, one.n - 2);
        if (i) buf_puts(b, STR(", "));
        buf_putc(b, '\'');
        for (size_t k = 0; k < one.n; k++) {
            if (one.p[k] == '\'') buf_putc(b, '\'');
            buf_putc(b, one.p[k]);
        }
        buf_putc(b, '\'');
    }
    buf_putc(b, '\n');
}

static bool has(str s, str what) {
    for (size_t i = 0; i + what.n <= s.n; i++)
        if (!memcmp(s.p + i, what.p, what.n)) return true;
    return false;
}

static void put_function(struct buf *b, const struct catalog *c, const struct catalog_function *f) {
    const char *words[5];
    uint32_t n = 0;
    char quote[64] = "$function$";
    for (int i = 0; has(f->source, str_c(quote)) && i < 40; i++) snprintf(quote, sizeof quote, "$function%d$", i);
    buf_printf(b, "CREATE OR REPLACE %s ", f->procedure ? "PROCEDURE" : "FUNCTION");
    system_put_qualified(b, c, f->schema, f->name, true);
    buf_putc(b, '('), put_arguments(b, c, f, true), buf_puts(b, STR(")\n"));
    if (!f->procedure) buf_puts(b, STR(" RETURNS ")), put_result(b, c, f), buf_putc(b, '\n');
    buf_printf(b, " LANGUAGE " STR_FMT "\n", STR_ARG(f->language));
    if (f->window) words[n++] = "WINDOW";
    if (f->volatility == CATALOG_IS_IMMUTABLE) words[n++] = "IMMUTABLE";
    if (f->volatility == CATALOG_IS_STABLE) words[n++] = "STABLE";
    if (f->strict) words[n++] = "STRICT";
    if (f->definer) words[n++] = "SECURITY DEFINER";
    for (uint32_t i = 0; i < n; i++) buf_printf(b, " %s", words[i]);
    if (n) buf_putc(b, '\n');
    for (uint32_t i = 0; i < f->settings.n; i++) put_setting(b, f->settings.p[i]);
    buf_printf(b, "AS %s" STR_FMT "%s\n", quote, STR_ARG(f->source), quote);
}

static bool tell_function(const struct catalog *c, enum pg_about about, uint32_t id, struct buf *b) {
    const struct catalog_function *f = system_function_of(c, id);
    if (!f) return false;
    switch (about) {
    case PG_ABOUT_FUNCTION: return put_function(b, c, f), true;
    case PG_ABOUT_RESULT: return f->procedure ? false : (put_result(b, c, f), true);
    case PG_ABOUT_ARGUMENTS: return put_arguments(b, c, f, true), true;
    default: return put_arguments(b, c, f, false), true;
    }
}

/* ---- triggers, comments, what the search path has ---- */

static bool tell_trigger(const struct catalog *c, uint32_t id, struct buf *b) {
    for (uint32_t i = 0; i < c->relations.n; i++)
        for (uint32_t k = 0; k < c->relations.p[i].triggers.n; k++) {
            const struct catalog_trigger *t = &c->relations.p[i].triggers.p[k];
            if (t->id == id) return buf_puts(b, t->source), true;
        }
    return false;
}

/* Ids are one counter's: whatever has this one. */
static str comment_of(const struct catalog *c, uint32_t id, int64_t column) {
    const struct catalog_relation *r = catalog_relation_of(c, id);
    const struct catalog_column *k = r && column > 0 ? catalog_column_of(r, (uint32_t)column) : NULL;
    if (column) return k ? k->comment : (str){0};
    if (r) return r->comment;
    const struct catalog_function *f = system_function_of(c, id);
    if (f) return f->comment;
    const struct catalog_type *t = catalog_type_of(c, id);
    if (t && t->id == id) return t->comment;
    const struct catalog_sequence *q = catalog_sequence_of(c, id);
    if (q) return q->comment;
    const struct catalog_schema *s = catalog_schema_of(c, id);
    if (s) return s->comment;
    const struct catalog_role *role = catalog_role_of(c, id);
    if (role) return role->comment;
    for (uint32_t i = 0; i < c->relations.n; i++) {
        r = &c->relations.p[i];
        for (uint32_t n = 0; n < r->constraints.n; n++)
            if (r->constraints.p[n].id == id) return r->constraints.p[n].comment;
        for (uint32_t n = 0; n < r->indexes.n; n++)
            if (r->indexes.p[n].id == id) return r->indexes.p[n].comment;
        for (uint32_t n = 0; n < r->policies.n; n++)
            if (r->policies.p[n].id == id) return r->policies.p[n].comment;
        for (uint32_t n = 0; n < r->triggers.n; n++)
            if (r->triggers.p[n].id == id) return r->triggers.p[n].comment;
    }
    return (str){0};
}

static bool tell_visible(const struct catalog *c, bool there, uint32_t schema, struct buf *b) {
    const struct catalog_schema *s = there ? catalog_schema_of(c, schema) : NULL;
    if (!there) return false;
    return buf_putc(b, !s || str_eqc(s->name, "public") || str_eqc(s->name, "extensions") ? '1' : '0'), true;
}

bool system_tell(const struct catalog *c, enum pg_about about, uint32_t id, int64_t more, struct buf *b) {
    switch (about) {
    case PG_ABOUT_CONSTRAINT: return tell_constraint(c, id, b);
    case PG_ABOUT_INDEX: return tell_index(c, id, b);
    case PG_ABOUT_TRIGGER: return tell_trigger(c, id, b);
    case PG_ABOUT_FUNCTION:
    case PG_ABOUT_ARGUMENTS:
    case PG_ABOUT_IDENTITY:
    case PG_ABOUT_RESULT: return tell_function(c, about, id, b);
    case PG_ABOUT_VIEW: {
        const struct catalog_relation *r = catalog_relation_of(c, id);
        if (!r || r->kind == CATALOG_TABLE) return false;
        return buf_printf(b, " " STR_FMT ";", STR_ARG(r->query.source)), true;
    }
    case PG_ABOUT_COMMENT: {
        str said = comment_of(c, id, more);
        return said.n ? buf_puts(b, said), true : false;
    }
    case PG_ABOUT_RELATION_VISIBLE: {
        const struct catalog_relation *r = catalog_relation_of(c, id);
        const struct catalog_sequence *q = r ? NULL : catalog_sequence_of(c, id);
        return tell_visible(c, r || q || id >= SYSTEM_RELATIONS, r ? r->schema : q ? q->schema : 0, b);
    }
    case PG_ABOUT_FUNCTION_VISIBLE: {
        const struct catalog_function *f = system_function_of(c, id);
        return tell_visible(c, f != NULL, f ? f->schema : 0, b);
    }
    case PG_ABOUT_TYPE_VISIBLE: {
        const struct catalog_type *t = catalog_type_of(c, id);
        return tell_visible(c, t || pg_type_by_id(id), t ? t->schema : 0, b);
    }
    case PG_ABOUT_TYPE: {
        if (!pg_type_by_id(id) && !catalog_type_of(c, id)) return false;
        return system_put_type(b, c, id, (int32_t)more), true;
    }
    case PG_ABOUT_COUNT: break;
    }
    return false;
}
