/* ddl_trigger: CREATE TRIGGER, and what its function is for the rows of its table: compiled once the catalogue is whole (routine.c).
 *
 * Trigger functions that PostgreSQL or its extensions bring (moddatetime, tsvector_update_trigger …) are in C there. Here each is the text of a body in
 * PL/pgSQL that is written for the trigger's own arguments: names of columns, which such a body could not take otherwise.
 */
#include "sql/ddl_int.h"
#include "sql/translate_int.h"

/* ---- functions that are brought ---- */

struct brought {
    struct sql_ddl *d;
    const struct catalog_relation *r;
    const struct catalog_trigger *t;
    struct buf b;
};

static str argument(const struct brought *w, uint32_t i) { return i < w->t->arguments.n ? w->t->arguments.p[i] : (str){0}; }
static str name_of(const struct brought *w, uint32_t i) { return sql_quoted(w->d->mem, argument(w, i)); }
static const struct catalog_column *column_of(const struct brought *w, uint32_t i) {
    return catalog_column_named(w->r, argument(w, i));
}

static bool refuse(struct brought *w, const char *state, const char *fmt, str about) {
    char text[256];
    snprintf(text, sizeof text, fmt, STR_ARG(about));
    w->b.n = 0;
    buf_printf(&w->b, "begin raise exception using errcode = '%s', message = " STR_FMT "; end", state,
               STR_ARG(sql_literal_text(w->d->mem, str_c(text))));
    return false;
}

static bool has_column(struct brought *w, uint32_t i) {
    return column_of(w, i) || refuse(w, "42703", "column \"" STR_FMT "\" does not exist", argument(w, i));
}

static void put_moddatetime(struct brought *w) {
    if (w->t->arguments.n != 1)
        return (void)refuse(w, "XX000", "moddatetime (" STR_FMT "): A single argument was expected.", w->r->name);
    if (!has_column(w, 0)) return;
    uint32_t type = column_of(w, 0)->type;
    if (type != PG_TIMESTAMP && type != PG_TIMESTAMPTZ)
        return (void)refuse(w, "XX000", "attribute \"" STR_FMT "\" must be type TIMESTAMP or TIMESTAMPTZ", argument(w, 0));
    buf_printf(&w->b, "begin new." STR_FMT " := now(); return new; end", STR_ARG(name_of(w, 0)));
}

static void put_username(struct brought *w) {
    if (has_column(w, 0)) buf_printf(&w->b, "begin new." STR_FMT " := current_user; return new; end", STR_ARG(name_of(w, 0)));
}

/* autoinc(column, sequence, …) */
static void put_autoinc(struct brought *w) {
    buf_puts(&w->b, STR("begin"));
    for (uint32_t i = 0; i + 1 < w->t->arguments.n; i += 2) {
        if (!has_column(w, i)) return;
        str c = name_of(w, i), s = sql_literal_text(w->d->mem, argument(w, i + 1));
        buf_printf(&w->b,
                   " if coalesce(new." STR_FMT ", 0) = 0 then new." STR_FMT " := nextval(" STR_FMT "); if new." STR_FMT
                   " = 0 then new." STR_FMT " := nextval(" STR_FMT "); end if; end if;",
                   STR_ARG(c), STR_ARG(c), STR_ARG(s), STR_ARG(c), STR_ARG(c), STR_ARG(s));
    }
    buf_puts(&w->b, STR(" return new; end"));
}

/* tsvector_update_trigger(column, configuration, columns …); of _column the configuration is a column. */
static void put_tsvector(struct brought *w, bool by_column) {
    struct buf all = {0};
    if (w->t->arguments.n < 3)
        return (void)refuse(w, "42P13", STR_FMT "(tsvector_field, ts_config, text_field1, ...)",
                            STR("tsvector_update_trigger: arguments must be tsvector_update_trigger"));
    if (!has_column(w, 0) || (by_column && !has_column(w, 1))) return;
    for (uint32_t i = 2; i < w->t->arguments.n; i++) {
        if (!has_column(w, i)) return buf_free(&all);
        buf_printf(&all, "%scoalesce(new." STR_FMT "::text, '')", i > 2 ? " || ' ' || " : "", STR_ARG(name_of(w, i)));
    }
    str config = by_column ? arena_fmt(w->d->mem, "new." STR_FMT, STR_ARG(name_of(w, 1)))
                           : arena_fmt(w->d->mem, STR_FMT "::regconfig", STR_ARG(sql_literal_text(w->d->mem, argument(w, 1))));
    buf_printf(&w->b, "begin new." STR_FMT " := to_tsvector(" STR_FMT ", " STR_FMT "); return new; end", STR_ARG(name_of(w, 0)),
               STR_ARG(config), STR_ARG(buf_str(&all)));
    buf_free(&all);
}
static void put_tsvector_named(struct brought *w) { put_tsvector(w, false); }
static void put_tsvector_column(struct brought *w) { put_tsvector(w, true); }

static void put_redundant(struct brought *w) {
    buf_puts(&w->b, STR("begin if new is not distinct from old then return null; end if; return new; end"));
}

static const struct {
    const char *name, *extension; /* "": PostgreSQL's own */
    void (*put)(struct brought *w);
} brings[] = {
    {"moddatetime", "moddatetime", put_moddatetime},
    {"insert_username", "insert_username", put_username},
    {"autoinc", "autoinc", put_autoinc},
    {"tsvector_update_trigger", "", put_tsvector_named},
    {"tsvector_update_trigger_column", "", put_tsvector_column},
    {"suppress_redundant_updates_trigger", "", put_redundant},
};

static bool has_extension(const struct sql_ddl *d, const char *name) {
    for (uint32_t i = 0; i < d->c->extensions.n; i++)
        if (str_eqc(d->c->extensions.p[i].name, name)) return true;
    return !name[0];
}

static bool is_known(str name) {
    bool known = str_eqc(name, "http_request");
    for (size_t i = 0; i < ARRAY_COUNT(brings); i++) known |= str_eqc(name, brings[i].name);
    return known;
}

/* One that is brought becomes a function of the catalogue's with the first trigger that calls it. NULL: it is none. */
static const struct catalog_function *bring(struct sql_ddl *d, str schema, str name) {
    for (size_t i = 0; i < ARRAY_COUNT(brings); i++) {
        if (!str_eqc(name, brings[i].name) || !has_extension(d, brings[i].extension)) continue;
        const struct catalog_schema *s = catalog_schema_named(d->c, schema.n                 ? schema
                                                                    : brings[i].extension[0] ? STR("extensions")
                                                                                             : STR("pg_catalog"));
        if (!s) s = catalog_schema_named(d->c, STR("extensions"));
        if (!s) return NULL;
        for (uint32_t k = 0; k < d->c->functions.n; k++)
            if (d->c->functions.p[k].schema == s->id && str_eqc(d->c->functions.p[k].name, brings[i].name))
                return &d->c->functions.p[k];
        struct catalog_function f = {.id = d->c->next_id++,
                                     .schema = s->id,
                                     .owner = d->c->owner,
                                     .name = str_c(brings[i].name),
                                     .returns = PG_TRIGGER,
                                     .language = STR("c"),
                                     .source = str_c(brings[i].name),
                                     .platform = true};
        vec_push(d->mem, &d->c->functions, f);
        return &d->c->functions.p[d->c->functions.n - 1];
    }
    return NULL;
}

static bool is_brought(const struct catalog_function *f) {
    bool is = false;
    for (size_t i = 0; i < ARRAY_COUNT(brings); i++) is |= str_eqc(f->source, brings[i].name);
    return is && f->platform && str_eqc(f->language, "c") && f->returns == PG_TRIGGER;
}

static str body_of(struct sql_ddl *d, const struct catalog_function *f, const struct catalog_relation *r,
                   const struct catalog_trigger *t) {
    struct brought w = {.d = d, .r = r, .t = t};
    for (size_t i = 0; i < ARRAY_COUNT(brings); i++)
        if (str_eqc(f->source, brings[i].name)) brings[i].put(&w);
    str s = arena_str(d->mem, buf_str(&w.b));
    buf_free(&w.b);
    return s;
}

/* ---- compiled ---- */

/* Its function, for this relation's rows. */
static void compile(struct sql_ddl *d, const struct catalog_relation *r, uint32_t at, bool tells) {
    struct catalog_trigger *t = &r->triggers.p[at];
    for (uint32_t i = 0; i < d->c->functions.n; i++) {
        struct catalog_function *f = &d->c->functions.p[i];
        struct sql_context cx = sql_context_of(d);
        if (f->id != t->function || (!sql_is_routine(f) && !is_brought(f))) continue;
        struct catalog_function brought = *f;
        cx.variables = NULL;
        if (is_brought(f)) brought.source = body_of(d, f, r, t);
        err e = sql_compile_routine(&cx, is_brought(f) ? &brought : f, r, t, &t->routine);
        if (e != ERR_OK) t->routine = (struct catalog_routine){0};
        if (tells) sql_tell_body(d, f, &cx, e, &f->why_not);
        else if (e != ERR_OK) f->why_not = arena_str(d->mem, str_c(cx.problem.message));
    }
}

void sql_compile_triggers_here(struct sql_ddl *d, const struct catalog_relation *r) {
    for (uint32_t k = 0; k < r->triggers.n; k++) compile(d, r, k, false);
}

void sql_compile_triggers(struct sql_ddl *d) {
    for (uint32_t i = 0; i < d->c->relations.n; i++)
        for (uint32_t k = 0; k < d->c->relations.p[i].triggers.n; k++) compile(d, &d->c->relations.p[i], k, true);
}

/* ---- triggers ---- */

static uint32_t trigger_bits(const PgQuery__CreateTrigStmt *s) {
    enum { ROW_ = 1, BEFORE_ = 2, INSERT_ = 4, DELETE_ = 8, UPDATE_ = 16, TRUNCATE_ = 32, INSTEAD_ = 64 }; /* pg_trigger.h */
    return (s->row ? CATALOG_TRIGGER_ROW : 0u) |
           (s->timing & BEFORE_    ? CATALOG_TRIGGER_BEFORE
            : s->timing & INSTEAD_ ? CATALOG_TRIGGER_INSTEAD
                                   : CATALOG_TRIGGER_AFTER) |
           (s->events & INSERT_ ? CATALOG_TRIGGER_INSERT : 0u) | (s->events & DELETE_ ? CATALOG_TRIGGER_DELETE : 0u) |
           (s->events & UPDATE_ ? CATALOG_TRIGGER_UPDATE : 0u) | (s->events & TRUNCATE_ ? CATALOG_TRIGGER_TRUNCATE : 0u);
}

/* REFERENCING OLD TABLE AS …, NEW TABLE AS … */
static err transition_tables(struct sql_ddl *d, const PgQuery__CreateTrigStmt *s, const struct catalog_relation *r,
                             struct catalog_trigger *t) {
    int32_t at = s->relation->location;
    for (size_t i = 0; i < s->n_transition_rels; i++) {
        const PgQuery__TriggerTransition *x = s->transition_rels[i]->trigger_transition;
        str *to = x->is_new ? &t->new_table : &t->old_table;
        if (!x->is_table)
            return sql_refuse_at(d, at, "0A000", "use OLD TABLE or NEW TABLE for naming transition tables",
                                 "ROW variable naming in the REFERENCING clause is not supported");
        if (!(t->when & CATALOG_TRIGGER_AFTER))
            return sql_refuse_at(d, at, "42P17", NULL, "transition table name can only be specified for an AFTER trigger");
        if (t->when & CATALOG_TRIGGER_TRUNCATE)
            return sql_refuse_at(d, at, "42P17", NULL, "TRUNCATE triggers with transition tables are not supported");
        if (r->kind != CATALOG_TABLE) return sql_refuse_at(d, at, "42809", NULL, "\"" STR_FMT "\" is a view", STR_ARG(r->name));
        uint32_t events = t->when & (CATALOG_TRIGGER_INSERT | CATALOG_TRIGGER_UPDATE | CATALOG_TRIGGER_DELETE);
        if (events & (events - 1))
            return sql_refuse_at(d, at, "0A000", "make one trigger for each event",
                                 "transition tables cannot be specified for triggers with more than one event");
        if (s->n_columns)
            return sql_refuse_at(d, at, "0A000", NULL, "transition tables cannot be specified for triggers with column lists");
        if (t->when & (x->is_new ? CATALOG_TRIGGER_DELETE : CATALOG_TRIGGER_INSERT))
            return sql_refuse_at(d, at, "42P17", NULL,
                                 x->is_new ? "NEW TABLE can only be specified for an INSERT or UPDATE trigger"
                                           : "OLD TABLE can only be specified for a DELETE or UPDATE trigger");
        if (to->n)
            return sql_refuse_at(d, at, "42P17", NULL, "%s TABLE cannot be specified multiple times", x->is_new ? "NEW" : "OLD");
        if (r->columns.n > CATALOG_TRANSITION_COLUMNS_MAX && d->engine == CATALOG_SQLITE)
            return sql_needs_postgres(d, at, "database = \"postgres\" runs it",
                                      "a transition table of more than %d columns is not there on SQLite",
                                      CATALOG_TRANSITION_COLUMNS_MAX);
        *to = arena_str(d->mem, str_c(x->name));
    }
    if (t->new_table.n && str_eq(t->new_table, t->old_table))
        return sql_refuse_at(d, at, "42P17", NULL, "OLD TABLE name and NEW TABLE name cannot be the same");
    return ERR_OK;
}

/* INSTEAD OF is a view's, whose rows are no others'. */
static err fits_relation(struct sql_ddl *d, const PgQuery__CreateTrigStmt *s, const struct catalog_relation *r,
                         const struct catalog_trigger *t) {
    int32_t at = s->relation->location;
    bool view = r->kind == CATALOG_VIEW, rows = t->when & CATALOG_TRIGGER_ROW, instead = t->when & CATALOG_TRIGGER_INSTEAD;
    if (view && rows && !instead)
        return sql_refuse_at(d, at, "42809", "write INSTEAD OF",
                             "\"" STR_FMT "\" is a view: views cannot have row-level BEFORE or AFTER triggers", STR_ARG(r->name));
    if (view && t->when & CATALOG_TRIGGER_TRUNCATE)
        return sql_refuse_at(d, at, "42809", NULL, "\"" STR_FMT "\" is a view: views cannot have TRUNCATE triggers",
                             STR_ARG(r->name));
    if (!instead) return ERR_OK;
    if (!view)
        return sql_refuse_at(d, at, "42809", NULL, "\"" STR_FMT "\" is a table: tables cannot have INSTEAD OF triggers",
                             STR_ARG(r->name));
    if (!rows) return sql_refuse_at(d, at, "0A000", NULL, "INSTEAD OF triggers must be FOR EACH ROW");
    if (s->when_clause) return sql_refuse_at(d, at, "0A000", NULL, "INSTEAD OF triggers cannot have WHEN conditions");
    if (s->n_columns) return sql_refuse_at(d, at, "0A000", NULL, "INSTEAD OF triggers cannot have column lists");
    return ERR_OK;
}

err sql_do_create_trigger(struct sql_ddl *d, const PgQuery__Node *node_) {
    const PgQuery__CreateTrigStmt *s = node_->create_trig_stmt;
    struct catalog_relation *r = sql_relation_of(d, s->relation);
    str schema, name, trigger = arena_str(d->mem, str_c(s->trigname));
    if (!r) return sql_no_relation(d, s->relation);
    sql_names(s->funcname, s->n_funcname, &schema, &name);
    PgQuery__ObjectWithArgs o = PG_QUERY__OBJECT_WITH_ARGS__INIT;
    bool several;
    o.n_objname = s->n_funcname, o.objname = s->funcname;
    const struct catalog_function *f = sql_function_by(d, &o, &several);
    uint64_t there;
    if (!f && map_get(&d->poisoned, name, &there)) return ERR_INVALID;
    if (!f && d->engine == CATALOG_POSTGRES && is_known(name)) return ERR_OK; /* which has it, or says so */
    if (!f) f = bring(d, schema, name);
    if (!f)
        return sql_refuse_at(d, s->relation->location, "42883", NULL, "function " STR_FMT "() does not exist",
                             STR_ARG(sql_dotted(d, schema, name)));
    for (uint32_t i = 0; i < r->triggers.n; i++)
        if (str_eq(r->triggers.p[i].name, trigger)) {
            if (!s->replace)
                return sql_refuse_at(d, s->relation->location, "42710", "write drop trigger if exists before it",
                                     "trigger \"" STR_FMT "\" for relation \"" STR_FMT "\" already exists", STR_ARG(trigger),
                                     STR_ARG(r->name));
            memmove(&r->triggers.p[i], &r->triggers.p[i + 1], (--r->triggers.n - i) * sizeof r->triggers.p[0]), i--;
        }
    struct catalog_trigger t = {.id = d->c->next_id++,
                                .name = trigger,
                                .function = f->id,
                                .when = trigger_bits(s),
                                .constraint = s->isconstraint,
                                .deferrable = s->deferrable,
                                .deferred = s->initdeferred,
                                .source = sql_statement_text(d->mem, node_),
                                .condition.fragment.typmod = -1};
    for (size_t i = 0; i < s->n_args; i++) vec_push(d->mem, &t.arguments, arena_str(d->mem, sql_name_of(s->args[i])));
    if (s->when_clause) t.condition.source = sql_expr_text(d->mem, s->when_clause);
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct catalog_column *c = catalog_column_named(r, sql_name_of(s->columns[i]));
        if (!c)
            return sql_refuse_at(d, s->relation->location, "42703", NULL,
                                 "column \"" STR_FMT "\" of relation \"" STR_FMT "\" does not exist",
                                 STR_ARG(sql_name_of(s->columns[i])), STR_ARG(r->name));
        vec_push(d->mem, &t.columns, c->number);
    }
    TRY(fits_relation(d, s, r, &t));
    TRY(transition_tables(d, s, r, &t));
    vec_push(d->mem, &r->triggers, t);
    const char *lacks = r->kind == CATALOG_MATVIEW          ? "a trigger of a materialized view"
                        : t.when & CATALOG_TRIGGER_TRUNCATE ? "a trigger of TRUNCATE"
                        : (!sql_is_routine(f) && !is_brought(f)) || f->returns != PG_TRIGGER
                            ? "a trigger whose function is not one in PL/pgSQL"
                            : NULL;
    if (!lacks || d->platform) return ERR_OK;
    return sql_needs_postgres(d, s->relation->location, "database = \"postgres\" runs it",
                              "%s is not there on SQLite: \"" STR_FMT "\" would not fire", lacks, STR_ARG(trigger));
}
