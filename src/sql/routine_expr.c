/* routine_expr: PL/pgSQL's variables, and the SQL in its statements, translated with them in sight.
 *
 * 1. A variable takes a place, a row one for each of its fields; a record has those of what was put into it last, as the text goes.
 * 2. What PostgreSQL says of an expression when it is first run is said when it is run: the fragment is a call of pg_refuse then. Syntax is looked at now.
 * 3. A name that is a column's and a variable's is refused, unless the body says which one is meant (#variable_conflict).
 */
#include "sql/parse.h"
#include "sql/routine_int.h"
#include <stdarg.h>
#include <stdio.h>

/* ---- names ---- */

struct sql_variable *sql_variable_named(const struct sql_context *cx, str label, str name) {
    for (const struct sql_variables *s = cx->variables; s; s = s->outer) {
        if (label.n && !str_eq(s->label, label)) continue;
        for (uint32_t i = s->list.n; i-- > 0;)
            if (str_eq(s->list.p[i]->name, name)) return s->list.p[i];
    }
    return NULL;
}

static struct sql_value place_value(struct sql_context *cx, uint32_t place, uint32_t type, int32_t typmod) {
    struct sql_value v = {.type = type, .typmod = typmod, .location = -1};
    v.text = sql_fmt(cx,
                     "\x01"
                     "A%u\x02",
                     place + 1);
    return v;
}

static str any_of(struct sql_context *cx, const struct sql_variable *v) {
    sql_texts parts = {0};
    vec_push(cx->mem, &parts, sql_fmt(cx, STR_FMT " is not null", STR_ARG(place_value(cx, v->flag, PG_INT4, -1).text)));
    for (uint32_t i = 0; i < v->fields->n; i++)
        vec_push(cx->mem, &parts, sql_fmt(cx, STR_FMT " is not null", STR_ARG(place_value(cx, v->place + i, PG_INT4, -1).text)));
    return sql_fmt(cx, "(" STR_FMT ")", STR_ARG(sql_joined(cx, parts.p, parts.n, " or ")));
}

static struct sql_value row_value(struct sql_context *cx, const struct sql_variable *v) {
    if (!v->fields) return place_value(cx, v->place, v->type, v->typmod);
    struct sql_row *row = arena_make(cx->mem, struct sql_row);
    *row = (struct sql_row){.n = v->fields->n};
    row->names = arena_array(cx->mem, str, row->n + 1);
    row->values = arena_array(cx->mem, struct sql_value, row->n + 1);
    for (uint32_t i = 0; i < row->n; i++) {
        const struct catalog_field *f = &v->fields->p[i];
        row->names[i] = f->name;
        row->values[i] = place_value(cx, v->place + i, f->type, f->typmod);
    }
    row->present = v->present.n || !v->flagged ? v->present : any_of(cx, v);
    return (struct sql_value){.type = v->type ? v->type : PG_RECORD, .typmod = -1, .row = row, .location = -1};
}

static err not_assigned(struct sql_context *cx, const struct sql_variable *v, int32_t location) {
    cx->late |= v->late;
    err e = sql_refuse(cx, location, "55000", "record \"" STR_FMT "\" is not assigned yet", STR_ARG(v->name));
    sql_detail(cx, "The tuple structure of a not-yet-assigned record is indeterminate.");
    return e;
}

static err whole(struct sql_context *cx, const struct sql_variable *v, int32_t location, struct sql_value *out) {
    if (v->record && !v->fields) return not_assigned(cx, v, location);
    if (v->several)
        return sql_unsupported(cx, location, "the whole of a record that is given rows of several shapes", "Name its fields.");
    *out = row_value(cx, v);
    out->location = location;
    return ERR_OK;
}

static err field(struct sql_context *cx, const struct sql_variable *v, str name, int32_t location, struct sql_value *out) {
    uint32_t named = 0;
    for (uint32_t i = 0; v->fields && i < v->fields->n; i++) named += str_eq(v->fields->p[i].name, name);
    if (v->several && named > 1)
        return sql_unsupported(cx, location, "a field of a record that is of one type here and of another there",
                               "Use two records.");
    for (uint32_t i = 0; v->fields && i < v->fields->n; i++)
        if (str_eq(v->fields->p[i].name, name)) {
            *out = place_value(cx, v->place + i, v->fields->p[i].type, v->fields->p[i].typmod);
            out->location = location;
            return ERR_OK;
        }
    if (v->record && !v->fields) return not_assigned(cx, v, location);
    return sql_refuse(cx, location, "42703", "record \"" STR_FMT "\" has no field \"" STR_FMT "\"", STR_ARG(v->name),
                      STR_ARG(name));
}

bool sql_find_variable(struct sql_context *cx, str schema, str table, str name, int32_t location, struct sql_value *out, err *e) {
    struct sql_variable *v;
    if (!cx->variables) return false;
    *e = ERR_OK;
    if (schema.n) {
        if (!(v = sql_variable_named(cx, schema, table)) || (!v->fields && !v->record)) return false;
        return *e = field(cx, v, name, location, out), true;
    }
    if (table.n && (v = sql_variable_named(cx, (str){0}, table)) && (v->fields || v->record))
        return *e = field(cx, v, name, location, out), true;
    if (!(v = sql_variable_named(cx, table, name))) return false;
    return *e = whole(cx, v, location, out), true;
}

/* ---- making ---- */

uint32_t sql_routine_places(struct routine *r, uint32_t n) {
    uint32_t at = r->out->places;
    r->out->places += n;
    if (r->out->places > CATALOG_PLACES_MAX)
        sql_refuse(r->cx, -1, "54001", "the variables of function " STR_FMT " are too many", STR_ARG(r->f->name));
    return at;
}

struct sql_variable *sql_routine_variable(struct routine *r, str name, uint32_t type, int32_t typmod,
                                          const catalog_fields *fields) {
    struct sql_variable *v = arena_make(r->cx->mem, struct sql_variable);
    *v = (struct sql_variable){.name = name, .type = type, .typmod = typmod, .fields = fields};
    v->place = sql_routine_places(r, fields ? fields->n : 1);
    vec_push(r->cx->mem, &r->scope->list, v);
    return v;
}

static bool is_same(const struct catalog_field *a, const struct catalog_field *b) {
    return a->type == b->type && str_eq(a->name, b->name);
}

static bool are_same(const catalog_fields *a, const catalog_fields *b) {
    bool same = a->n == b->n;
    for (uint32_t i = 0; same && i < a->n; i++) same = is_same(&a->p[i], &b->p[i]);
    return same;
}

/* What a record is given: the first pass collects it, in the second one all of it has its places. */
static void collect(struct routine *r, const struct sql_variable *v, const catalog_fields *fields) {
    catalog_fields *all = &r->shapes->fields.p[v->ordinal];
    if (!all->n) {
        for (uint32_t i = 0; i < fields->n; i++) vec_push(r->cx->mem, all, fields->p[i]);
        return;
    }
    if (!are_same(all, fields)) r->shapes->several.p[v->ordinal] = true;
    for (uint32_t i = 0; i < fields->n; i++) {
        bool there = false;
        for (uint32_t k = 0; k < all->n; k++) there |= is_same(&all->p[k], &fields->p[i]);
        if (!there) vec_push(r->cx->mem, all, fields->p[i]);
    }
}

void sql_routine_record(struct routine *r, struct sql_variable *v) {
    v->ordinal = r->records++;
    if (!r->second) {
        vec_push(r->cx->mem, &r->shapes->fields, (catalog_fields){0});
        vec_push(r->cx->mem, &r->shapes->several, false);
        vec_push(r->cx->mem, &r->shapes->late, false);
    } else if (v->ordinal < r->shapes->fields.n && r->shapes->fields.p[v->ordinal].n) {
        v->fields = &r->shapes->fields.p[v->ordinal];
        v->several = r->shapes->several.p[v->ordinal];
    } else if (v->ordinal < r->shapes->late.n) v->late = r->shapes->late.p[v->ordinal];
}

void sql_routine_shape(struct routine *r, struct sql_variable *v, const catalog_fields *fields) {
    if (r->second && v->fields) return;
    if (!r->second && r->shapes) collect(r, v, fields); /* of a block that is run as it is read nothing is collected */
    catalog_fields *copy = arena_make(r->cx->mem, catalog_fields);
    *copy = *fields;
    v->fields = copy;
    v->place = sql_routine_places(r, fields->n);
}

/* Values of such fields, which stand in places from `from` on, become the record's. */
void sql_routine_fill(struct routine *r, const struct sql_variable *v, const catalog_fields *fields, uint32_t from) {
    sql_routine_emit(r, CATALOG_OP_CLEAR, v->place, v->fields->n, 0, 0);
    for (uint32_t i = 0; i < fields->n; i++) {
        uint32_t k = 0;
        while (k < v->fields->n && !is_same(&v->fields->p[k], &fields->p[i])) k++;
        if (k < v->fields->n) sql_routine_emit(r, CATALOG_OP_COPY, v->place + k, from + i, 1, 0);
        else
            sql_routine_emit(r, CATALOG_OP_SET, sql_routine_places(r, 1),
                             sql_routine_refusal(r, "0A000", "a record of several shapes is not there on SQLite"), 0, 0);
    }
}

void sql_routine_open(struct routine *r, struct sql_variables *scope, str label) {
    *scope = (struct sql_variables){.outer = r->scope, .label = label, .conflict = r->scope ? r->scope->conflict : 0};
    r->scope = scope;
    r->cx->variables = scope;
}

uint32_t sql_routine_here(const struct routine *r) { return r->out->code.n / CATALOG_OP_WIDTH; }

uint32_t sql_routine_emit(struct routine *r, enum catalog_op op, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    uint32_t at = sql_routine_here(r);
    if (r->at < r->counted) r->counted = 0, r->line = 0;
    for (; r->counted < r->at && r->counted < r->source.n; r->counted++) r->line += r->source.p[r->counted] == '\n';
    const uint32_t all[CATALOG_OP_WIDTH] = {op, a, b, c, d, r->line + 1};
    for (uint32_t i = 0; i < CATALOG_OP_WIDTH; i++) vec_push(r->cx->mem, &r->out->code, all[i]);
    return at;
}

/* Which operand of an instruction is a jump's. */
static uint32_t jump_of(uint32_t op) {
    switch (op) {
    case CATALOG_OP_UNLESS: return 2;
    case CATALOG_OP_NEXT:
    case CATALOG_OP_NEXT_RECORD:
    case CATALOG_OP_PAST:
    case CATALOG_OP_STEP: return 4;
    case CATALOG_OP_CATCH: return 3;
    default: return 1;
    }
}

void sql_routine_land(struct routine *r, uint32_t jump) {
    uint32_t *op = r->out->code.p + jump * CATALOG_OP_WIDTH;
    op[jump_of(op[0])] = sql_routine_here(r);
}

err sql_routine_say(struct routine *r, uint32_t at, const char *state, const char *fmt, ...) {
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return sql_refuse(r->cx, (int32_t)at, state, "%s", text);
}

/* ---- fragments ---- */

/* May it come to something that writes? A call may, whatever it says of itself, and so may what a view or a policy calls; a plain expression does not. */
static bool may_write(const struct catalog_fragment *f) {
    return f->calls.n || f->reads.n || f->flags & (CATALOG_VOLATILE | CATALOG_WRITES | CATALOG_SUBQUERY | CATALOG_SET);
}

uint32_t sql_routine_add(struct routine *r, struct catalog_fragment f) {
    r->writes += may_write(&f);
    vec_push(r->cx->mem, &r->out->statements, f);
    return r->out->statements.n - 1;
}

/* With what was read and called since the context's lists were emptied. */
static uint32_t add(struct routine *r, struct catalog_fragment f) {
    f.reads = r->cx->reads, f.calls = r->cx->calls, f.schemas = r->cx->schemas;
    return sql_routine_add(r, f);
}

static str refusal(struct routine *r, const char *state, const char *message) {
    return arena_fmt(r->cx->mem, "pg_refuse(" STR_FMT ", " STR_FMT ")", STR_ARG(sql_literal_text(r->cx->mem, str_c(state))),
                     STR_ARG(sql_literal_text(r->cx->mem, str_c(message))));
}

uint32_t sql_routine_refusal(struct routine *r, const char *state, const char *message) {
    r->cx->reads = r->cx->calls = r->cx->schemas = (catalog_ids){0};
    return add(r, (struct catalog_fragment){.text = refusal(r, state, message), .typmod = -1});
}

uint32_t sql_routine_text(struct routine *r, str sql) {
    r->cx->reads = r->cx->calls = r->cx->schemas = (catalog_ids){0};
    return add(r, (struct catalog_fragment){.text = sql, .typmod = -1});
}

err sql_routine_parse(struct routine *r, const char *before, const struct plpgsql_expr *x, const PgQuery__Node **out) {
    const PgQuery__ParseResult *tree;
    str text = arena_fmt(r->cx->mem, "%s" STR_FMT, before, STR_ARG(x->text));
    r->cx->reads = r->cx->calls = r->cx->schemas = (catalog_ids){0};
    err e = sql_parse_text(r->cx, text, &tree);
    if (e != ERR_OK && r->cx->problem.location >= 0) r->cx->problem.location += (int32_t)x->at - (int32_t)strlen(before);
    if (e != ERR_OK && r->cx->problem.location < 0) r->cx->problem.location = (int32_t)x->at;
    TRY(e);
    if (tree->n_stmts != 1) return sql_routine_say(r, x->at, "42601", "cannot insert multiple commands into one statement");
    *out = tree->stmts[0]->stmt;
    return ERR_OK;
}

/* What went wrong is said when it is run. */
static void put_off(struct routine *r, const struct sql_context *before, const struct plpgsql_expr *x, const char *around,
                    struct catalog_fragment *out) {
    struct sql_problem p = r->cx->problem;
    uint64_t work = r->cx->work;
    uint32_t aliases = r->cx->aliases;
    *r->cx = *before;
    r->cx->work = work, r->cx->aliases = aliases;
    r->cx->reads = r->cx->calls = r->cx->schemas = (catalog_ids){0};
    p.location = (int32_t)x->at;
    if (!r->first.set || (strcmp(r->first.state, "0A000") && !strcmp(p.state, "0A000"))) r->first = p;
    *out = (struct catalog_fragment){.text = arena_fmt(r->cx->mem, "%s" STR_FMT, around, STR_ARG(refusal(r, p.state, p.message))),
                                     .typmod = -1};
}

/* ---- what names a record whose fields are known when it is run ---- */

static bool is_named(str text, str name) {
    for (size_t i = 0; i + name.n <= text.n; i++)
        if (str_eq_nocase(str_sub(text, i, name.n), name)) return true;
    return false;
}

static void put_in_sight(struct routine *r, const struct sql_variables *s, str text, struct catalog_fragment *out) {
    for (uint32_t i = 0; i < s->list.n; i++) {
        const struct sql_variable *v = s->list.p[i];
        uint32_t n = v->fields ? v->fields->n : 1;
        if (!is_named(text, v->name) || v->cursor || (v->record && !v->fields && !v->late)) continue;
        for (uint32_t k = 0; k < n; k++) {
            vec_push(r->cx->mem, &out->names, s->label);
            vec_push(r->cx->mem, &out->names, v->name);
            vec_push(r->cx->mem, &out->names, v->fields ? v->fields->p[k].name : (str){0});
            vec_push(r->cx->mem, &out->scope, v->place + k);
            vec_push(r->cx->mem, &out->scope, v->fields ? v->fields->p[k].type : v->late ? (uint32_t)PG_RECORD : v->type);
        }
    }
}

/* False: it is wrong whatever the record is. */
static bool late(struct routine *r, const struct sql_context *before, const struct plpgsql_expr *x, const char *prefix,
                 const catalog_fields *want, struct catalog_fragment *out) {
    const struct sql_variables *all[256];
    uint32_t n = 0;
    uint64_t work = r->cx->work;
    r->was_late = r->cx->late && !r->cx->dynamic;
    if (!r->was_late) return false;
    *r->cx = *before;
    r->cx->work = work;
    r->cx->reads = r->cx->calls = r->cx->schemas = (catalog_ids){0};
    *out = (struct catalog_fragment){.text = arena_fmt(r->cx->mem, "%s" STR_FMT, prefix, STR_ARG(x->text)),
                                     .typmod = -1,
                                     .flags = CATALOG_LATE | CATALOG_SUBQUERY};
    for (const struct sql_variables *s = r->cx->variables; s && n < ARRAY_COUNT(all); s = s->outer) all[n++] = s;
    while (n--) put_in_sight(r, all[n], x->text, out);
    if (want) out->want = *want;
    return true;
}

static void want_one(struct routine *r, uint32_t type, int32_t typmod, catalog_fields *want) {
    *want = (catalog_fields){0};
    if (type) vec_push(r->cx->mem, want, ((struct catalog_field){{0}, type, typmod}));
}

/* As PL/pgSQL assigns: any type becomes any other's by its text, if it does not otherwise. */
static err assign(struct sql_context *cx, struct sql_value *v, uint32_t type, int32_t typmod) {
    bool can;
    uint32_t from = v->type;
    if (v->row) TRY(sql_row_text(cx, v));
    TRY(sql_coerce(cx, v, type, typmod, PG_ASSIGNMENT, &can));
    if (!can) TRY(sql_coerce(cx, v, type, typmod, PG_EXPLICIT, &can));
    if (!can) {
        TRY(sql_coerce(cx, v, PG_TEXT, -1, PG_EXPLICIT, &can));
        if (can) TRY(sql_coerce(cx, v, type, typmod, PG_EXPLICIT, &can));
    }
    if (can) return ERR_OK;
    return sql_refuse(cx, v->location, "42846", "cannot cast type " STR_FMT " to " STR_FMT, STR_ARG(sql_type_name(cx, from)),
                      STR_ARG(sql_type_name(cx, type)));
}

/* what: of which PostgreSQL says that it has several columns. */
static err value_of(struct sql_context *cx, const PgQuery__SelectStmt *s, const char *what, struct sql_value *v) {
    struct sql_part p;
    if (sql_is_bare_value(s)) return sql_expr(cx, s->target_list[0]->res_target->val, v);
    TRY(sql_part_read(cx, s, &p));
    if (p.targets.n != 1)
        return sql_refuse(cx, -1, "42601", p.targets.n == 1 ? "%s returned %u column" : "%s returned %u columns", what,
                          p.targets.n);
    TRY(sql_part_settle(cx, &p));
    if (p.targets.p[0].row) return sql_unsupported(cx, -1, "a row as a value", "Name its columns.");
    *v = (struct sql_value){.type = p.targets.p[0].type, .typmod = p.targets.p[0].typmod, .location = -1};
    str text = sql_part_print(cx, &p, NULL);
    v->text = p.single ? sql_fmt(cx, "(" STR_FMT ")", STR_ARG(text))
                       : sql_fmt(cx, "(select pg_only(c1) from (" STR_FMT "))", STR_ARG(text));
    v->flags = p.flags | SQL_SUBQUERY;
    return ERR_OK;
}

static err value_fragment(struct routine *r, const PgQuery__Node *node, const char *what, uint32_t type, int32_t typmod,
                          struct catalog_fragment *out) {
    struct sql_context *cx = r->cx;
    struct sql_value v;
    if (node->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return sql_refuse(cx, -1, "42601", "query is not a SELECT");
    TRY(value_of(cx, node->select_stmt, what, &v));
    if (type) TRY(assign(cx, &v, type, typmod));
    else if (v.row) TRY(sql_row_text(cx, &v)); /* of RAISE */
    else TRY(sql_settle(cx, &v));
    *out = (struct catalog_fragment){.text = v.text, .type = v.type, .typmod = v.typmod};
    sql_fragment_flags(cx, v.flags, out);
    return sql_fragment_done(cx, out->text);
}

err sql_routine_value(struct routine *r, const struct plpgsql_expr *x, uint32_t type, int32_t typmod, uint32_t *e, uint32_t *of) {
    const PgQuery__Node *node;
    struct catalog_fragment out;
    TRY(sql_routine_parse(r, "SELECT ", x, &node));
    catalog_fields want;
    r->cx->late = r->was_late = false;
    struct sql_context before = *r->cx;
    want_one(r, type ? type : r->late_types ? 0 : (uint32_t)PG_TEXT, typmod, &want);
    if (value_fragment(r, node, r->assigns ? "assignment source" : "query", type, typmod, &out) != ERR_OK &&
        !late(r, &before, x, "SELECT ", &want, &out))
        put_off(r, &before, x, "", &out);
    *e = add(r, out);
    if (of) *of = r->was_late && r->late_types ? 0 : out.type ? out.type : type ? type : PG_TEXT;
    return ERR_OK;
}

static err part_fragment(struct routine *r, str name, struct sql_value whole, const PgQuery__AIndirection *ind, uint32_t type,
                         const PgQuery__Node *node, struct catalog_fragment *out) {
    struct sql_context *cx = r->cx;
    struct sql_value v;
    if (node->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return sql_refuse(cx, -1, "42601", "query is not a SELECT");
    TRY(value_of(cx, node->select_stmt, "assignment source", &v));
    if (type) TRY(assign(cx, &v, type, sql_element_type(cx, whole.type) ? whole.typmod : -1));
    TRY(sql_set_part(cx, name, &whole, ind->indirection, ind->n_indirection, &v));
    uint32_t domain = whole.type;
    whole.type = sql_base_type(cx, domain);
    if (whole.type != domain) TRY(assign(cx, &whole, domain, whole.typmod)); /* its checks hold of the whole */
    *out = (struct catalog_fragment){.text = whole.text, .type = whole.type, .typmod = whole.typmod};
    sql_fragment_flags(cx, whole.flags, out);
    return sql_fragment_done(cx, out->text);
}

/* Its value, and what its steps are, where they name records whose fields are known when it is run, go through variables that nobody can name. */
static err hoisted(struct routine *r, const struct plpgsql_expr *x, uint32_t type, int32_t typmod, struct plpgsql_expr *to) {
    uint32_t e;
    str name = arena_fmt(r->cx->mem, "__orlo_%u", r->hidden++);
    TRY(sql_routine_value(r, x, type, typmod, &e, NULL));
    struct sql_variable *v = sql_routine_variable(r, name, type ? type : (uint32_t)PG_TEXT, typmod, NULL);
    sql_routine_emit(r, CATALOG_OP_SET, v->place, e, 0, 0);
    *to = (struct plpgsql_expr){name, x->at};
    return ERR_OK;
}

static err hoist(struct routine *r, uint32_t target, uint32_t type, int32_t typmod, plpgsql_exprs *steps,
                 struct plpgsql_expr *x) {
    TRY(hoisted(r, x, type, typmod, x));
    for (uint32_t i = 0; i < steps->n; i++) {
        struct plpgsql_expr *s = &steps->p[i], inner = {str_sub(s->text, 1, s->text.n - 2), s->at};
        if (s->text.p[0] != '[' || str_find(inner.text, ':') < inner.text.n) continue;
        TRY(hoisted(r, &inner, sql_base_type(r->cx, target) == PG_JSONB ? PG_TEXT : PG_INT4, -1, &inner));
        s->text = arena_fmt(r->cx->mem, "[" STR_FMT "]", STR_ARG(inner.text));
    }
    return ERR_OK;
}

static err steps_of(struct routine *r, const plpgsql_exprs *steps, const PgQuery__AIndirection **out) {
    struct buf b = {0};
    const PgQuery__Node *node;
    buf_puts(&b, STR("(NULL)"));
    for (uint32_t i = 0; i < steps->n; i++) {
        bool field = steps->p[i].text.p[0] == '.';
        if (field) buf_putc(&b, '.');
        buf_puts(&b, field ? sql_quoted(r->cx->mem, str_sub(steps->p[i].text, 1, steps->p[i].text.n)) : steps->p[i].text);
    }
    struct plpgsql_expr list = {arena_str(r->cx->mem, buf_str(&b)), steps->p[0].at};
    buf_free(&b);
    TRY(sql_routine_parse(r, "SELECT ", &list, &node));
    const PgQuery__Node *target = node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT && node->select_stmt->n_target_list == 1
                                      ? node->select_stmt->target_list[0]->res_target->val
                                      : NULL;
    if (!target || target->node_case != PG_QUERY__NODE__NODE_A_INDIRECTION)
        return sql_routine_say(r, list.at, "42601", "syntax error");
    *out = target->a_indirection;
    return ERR_OK;
}

err sql_routine_part(struct routine *r, const struct routine_target *to, const plpgsql_exprs *given, const struct plpgsql_expr *x,
                     uint32_t *e) {
    const PgQuery__AIndirection *steps = NULL;
    const PgQuery__Node *node;
    struct catalog_fragment out;
    plpgsql_exprs own = {0};
    struct plpgsql_expr value = *x;
    for (uint32_t i = 0; i < given->n; i++) vec_push(r->cx->mem, &own, given->p[i]);
    for (bool again = false;; again = true) {
        TRY(steps_of(r, &own, &steps));
        TRY(sql_routine_parse(r, "SELECT ", &value, &node));
        r->cx->late = r->was_late = false;
        struct sql_context before = *r->cx;
        uint32_t type = sql_part_type(r->cx, to->type, steps->indirection, steps->n_indirection);
        if (part_fragment(r, to->name, place_value(r->cx, to->place, to->type, to->typmod), steps, type, node, &out) == ERR_OK)
            break;
        if (again || !type || !r->cx->late || r->cx->dynamic) {
            put_off(r, &before, x, "", &out);
            break;
        }
        uint64_t work = r->cx->work;
        *r->cx = before, r->cx->work = work;
        TRY(hoist(r, to->type, type, to->typmod, &own, &value));
    }
    *e = add(r, out);
    return ERR_OK;
}

static err condition_fragment(struct routine *r, const PgQuery__Node *node, struct catalog_fragment *out) {
    struct sql_value v;
    if (node->node_case != PG_QUERY__NODE__NODE_SELECT_STMT) return sql_refuse(r->cx, -1, "42601", "query is not a SELECT");
    TRY(value_of(r->cx, node->select_stmt, "query", &v));
    TRY(assign(r->cx, &v, PG_BOOL, -1));
    *out = (struct catalog_fragment){.text = v.text, .type = PG_BOOL, .typmod = -1};
    sql_fragment_flags(r->cx, v.flags, out);
    return sql_fragment_done(r->cx, out->text);
}

err sql_routine_condition(struct routine *r, const struct plpgsql_expr *x, uint32_t *e) {
    const PgQuery__Node *node;
    struct catalog_fragment out;
    TRY(sql_routine_parse(r, "SELECT ", x, &node));
    catalog_fields want;
    r->cx->late = r->was_late = false;
    struct sql_context before = *r->cx;
    want_one(r, PG_BOOL, -1, &want);
    if (condition_fragment(r, node, &out) != ERR_OK && !late(r, &before, x, "SELECT ", &want, &out))
        put_off(r, &before, x, "", &out);
    *e = add(r, out);
    return ERR_OK;
}

err sql_routine_cast(struct routine *r, uint32_t from, uint32_t from_type, uint32_t type, int32_t typmod, uint32_t *e) {
    struct plpgsql_expr x = {{0}, r->at};
    struct catalog_fragment out;
    r->cx->reads = r->cx->calls = r->cx->schemas = (catalog_ids){0};
    struct sql_context before = *r->cx;
    struct sql_value v = place_value(r->cx, from, from_type, -1);
    if (assign(r->cx, &v, type, typmod) == ERR_OK) {
        out = (struct catalog_fragment){.text = v.text, .type = type, .typmod = typmod};
        sql_fragment_flags(r->cx, v.flags, &out);
    } else put_off(r, &before, &x, "", &out);
    *e = add(r, out);
    return ERR_OK;
}

/* ---- rows ---- */

bool sql_routine_is_call(struct routine *r, const struct plpgsql_expr *x) {
    const PgQuery__Node *s = sql_statement_tree(r->cx->mem, arena_fmt(r->cx->mem, "SELECT " STR_FMT, STR_ARG(x->text)));
    if (!s || s->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || !sql_is_bare_value(s->select_stmt)) return false;
    const PgQuery__Node *node = s->select_stmt->target_list[0]->res_target->val;
    if (!node || node->node_case != PG_QUERY__NODE__NODE_FUNC_CALL) return false;
    const PgQuery__FuncCall *c = node->func_call;
    str name = sql_name_of(c->funcname[c->n_funcname - 1]),
        schema = c->n_funcname > 1 ? sql_name_of(c->funcname[c->n_funcname - 2]) : (str){0};
    for (uint32_t i = 0; i < r->cx->catalog->functions.n; i++) {
        const struct catalog_function *f = &r->cx->catalog->functions.p[i];
        const struct catalog_schema *s = catalog_schema_of(r->cx->catalog, f->schema);
        if (str_eq(f->name, name) && (!schema.n || (s && str_eq(s->name, schema))) && sql_gives_row(r->cx, f)) return true;
    }
    return false;
}

static err row_of(struct routine *r, const PgQuery__Node *node, struct sql_value *v) {
    if (node->node_case != PG_QUERY__NODE__NODE_SELECT_STMT || !sql_is_bare_value(node->select_stmt)) {
        *v = (struct sql_value){.type = PG_UNKNOWN, .location = -1};
        return sql_unsupported(r->cx, -1, "a row that a query gives, as a value", "Write SELECT … INTO.");
    }
    return sql_expr(r->cx, node->select_stmt->target_list[0]->res_target->val, v);
}

err sql_routine_row_shape(struct routine *r, const struct plpgsql_expr *x, catalog_fields *fields, uint32_t *type) {
    const PgQuery__Node *node;
    struct sql_value v;
    *fields = (catalog_fields){0};
    TRY(sql_routine_parse(r, "SELECT ", x, &node));
    struct sql_context before = *r->cx;
    err e = row_of(r, node, &v);
    if (e == ERR_OK) sql_unpack(r->cx, &v);
    if (type) *type = e == ERR_OK ? v.type : PG_NO_TYPE;
    struct sql_context after = *r->cx;
    *r->cx = before;
    r->cx->work = after.work, r->cx->aliases = after.aliases;
    for (uint32_t i = 0; e == ERR_OK && v.row && i < v.row->n; i++) {
        struct sql_value f = v.row->values[i];
        if (sql_settle(r->cx, &f) != ERR_OK) break;
        vec_push(r->cx->mem, fields, ((struct catalog_field){v.row->names[i], f.type, f.typmod}));
    }
    return ERR_OK;
}

/* What RETURN gives has the fields that are declared, unless it is of their row's own type. */
static err returned_fits(struct routine *r, const struct sql_value *v, const catalog_fields *fields) {
    const char *what = r->returns_variable ? "wrong record type supplied in RETURN NEXT"
                                           : "returned record type does not match expected record type";
    if (v->type == r->f->returns && v->type != PG_RECORD) return ERR_OK;
    if (v->row->n != fields->n) {
        err e = sql_refuse(r->cx, v->location, "42804", "%s", what);
        sql_detail(r->cx, "Number of returned columns (%u) does not match expected column count (%u).", v->row->n, fields->n);
        return e;
    }
    for (uint32_t i = 0; i < fields->n; i++) {
        struct sql_value f = v->row->values[i];
        if (!f.row) TRY(sql_settle(r->cx, &f));
        if (f.type == fields->p[i].type) continue;
        err e = sql_refuse(r->cx, v->location, "42804", "%s", what);
        sql_detail(r->cx, "Returned type " STR_FMT " does not match expected type " STR_FMT " in column %u.",
                   STR_ARG(sql_type_name(r->cx, f.type)), STR_ARG(sql_type_name(r->cx, fields->p[i].type)), i + 1);
        return e;
    }
    return ERR_OK;
}

static err spread(struct routine *r, const struct sql_value *v, const catalog_fields *fields, catalog_fragments *out) {
    if (!v->row)
        return sql_refuse(r->cx, v->location, "42804",
                          "cannot return non-composite value from function returning composite type");
    if (r->returning && !r->rows) TRY(returned_fits(r, v, fields));
    for (uint32_t i = 0; i < fields->n; i++) {
        struct sql_value f = i < v->row->n ? v->row->values[i] : sql_null_of(fields->p[i].type);
        TRY(assign(r->cx, &f, fields->p[i].type, fields->p[i].typmod));
        struct catalog_fragment one = {.text = f.text, .type = f.type, .typmod = f.typmod};
        sql_fragment_flags(r->cx, f.flags, &one);
        vec_push(r->cx->mem, out, one);
    }
    return ERR_OK;
}

err sql_routine_row(struct routine *r, const struct plpgsql_expr *x, const catalog_fields *fields, uint32_t places, bool *null,
                    uint32_t *present) {
    const PgQuery__Node *node;
    struct sql_value v;
    catalog_fragments parts = {0};
    TRY(sql_routine_parse(r, "SELECT ", x, &node));
    struct sql_context before = *r->cx;
    *null = false, *present = ROUTINE_NONE;
    err e = row_of(r, node, &v);
    if (e == ERR_OK && v.flags & SQL_NULL) return *null = true, ERR_OK;
    if (e == ERR_OK) sql_unpack(r->cx, &v);
    if (e == ERR_OK) e = spread(r, &v, fields, &parts);
    uint32_t into = sql_routine_places(r, MAX(fields->n, 1u));
    if (e != ERR_OK) {
        struct catalog_fragment out;
        put_off(r, &before, x, "", &out);
        sql_routine_emit(r, CATALOG_OP_SET, into, add(r, out), 0, 0);
        return ERR_OK;
    }
    for (uint32_t i = 0; i < parts.n; i++) sql_routine_emit(r, CATALOG_OP_SET, into + i, add(r, parts.p[i]), 0, 0);
    if (v.row->present.n) *present = add(r, (struct catalog_fragment){.text = v.row->present, .type = PG_BOOL, .typmod = -1});
    if (fields->n) sql_routine_emit(r, CATALOG_OP_COPY, places, into, fields->n, 0);
    return ERR_OK;
}

/* ---- queries ---- */

static err select_fragment(struct routine *r, const PgQuery__SelectStmt *s, const catalog_fields *want,
                           struct catalog_fragment *out, catalog_fields *columns) {
    struct sql_context *cx = r->cx;
    struct sql_part p;
    TRY(sql_part_read(cx, s, &p));
    sql_spread_row(cx, &p, want);
    TRY(sql_part_settle(cx, &p));
    for (uint32_t i = 0; i < p.targets.n; i++) {
        bool can = !p.targets.p[i].row;
        uint32_t type = want && i < want->n ? want->p[i].type : p.targets.p[i].type;
        int32_t typmod = want && i < want->n ? want->p[i].typmod : p.targets.p[i].typmod;
        if (!can) return sql_unsupported(cx, p.targets.p[i].location, "a row as a column", "Name its columns, or use to_jsonb.");
        if (want && i < want->n) TRY(sql_part_column_to(cx, &p, i, type, typmod, PG_ASSIGNMENT, &can));
        if (!can) TRY(sql_part_column_to(cx, &p, i, type, typmod, PG_EXPLICIT, &can));
        if (!can) TRY(sql_part_column_to(cx, &p, i, PG_TEXT, -1, PG_EXPLICIT, &can));
        if (can && p.targets.p[i].type != type) TRY(sql_part_column_to(cx, &p, i, type, typmod, PG_EXPLICIT, &can));
        if (!can)
            return sql_refuse(cx, -1, "42846", "cannot cast type " STR_FMT " to " STR_FMT,
                              STR_ARG(sql_type_name(cx, p.targets.p[i].type)), STR_ARG(sql_type_name(cx, type)));
        vec_push(cx->mem, columns, ((struct catalog_field){p.names.p[i], type, typmod}));
    }
    *out = (struct catalog_fragment){.text = sql_part_print(cx, &p, NULL), .typmod = -1, .flags = CATALOG_SUBQUERY | CATALOG_SET};
    sql_fragment_flags(cx, p.flags, out);
    return sql_fragment_done(cx, out->text);
}

/* What changes nothing here; SET search_path holds for the names behind it. */
static bool does_nothing(struct routine *r, const PgQuery__Node *node) {
    if (node->node_case == PG_QUERY__NODE__NODE_CONSTRAINTS_SET_STMT || node->node_case == PG_QUERY__NODE__NODE_LOCK_STMT ||
        node->node_case == PG_QUERY__NODE__NODE_VACUUM_STMT)
        return true;
    const PgQuery__VariableSetStmt *s =
        node->node_case == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT ? node->variable_set_stmt : NULL;
    if (s && pg_setting_is_harmless(str_c(s->name))) return true;
    if (!s || strcmp(s->name, "search_path") != 0 || s->kind != PG_QUERY__VARIABLE_SET_KIND__VAR_SET_VALUE) return false;
    str *path = arena_array(r->cx->mem, str, s->n_args + 1);
    uint32_t n = 0;
    for (size_t i = 0; i < s->n_args; i++) {
        const PgQuery__AConst *c = s->args[i]->node_case == PG_QUERY__NODE__NODE_A_CONST ? s->args[i]->a_const : NULL;
        if (!c || c->val_case != PG_QUERY__A__CONST__VAL_SVAL) return false;
        str name = str_c(c->sval->sval);
        if (name.n && !str_eqc(name, "pg_catalog") && !str_eqc(name, "pg_temp")) path[n++] = name;
    }
    r->cx->path = path, r->cx->path_count = n;
    return true;
}

/* Whose rights hold is the function's own matter. */
static err is_no_role(struct routine *r, const PgQuery__Node *node) {
    const PgQuery__VariableSetStmt *s =
        node->node_case == PG_QUERY__NODE__NODE_VARIABLE_SET_STMT ? node->variable_set_stmt : NULL;
    bool role = s && (!strcmp(s->name, "role") || !strcmp(s->name, "session_authorization"));
    if (s && !strcmp(s->name, "session_replication_role"))
        return sql_refuse(r->cx, -1, "42501", "permission denied to set parameter \"session_replication_role\"");
    if (!role) return ERR_OK;
    if (r->f->definer)
        return sql_refuse(r->cx, -1, "42501", "cannot set parameter \"%s\" within security-definer function", s->name);
    return sql_unsupported(r->cx, -1, "SET ROLE in a function", "Make a SECURITY DEFINER function, whose owner has the rights.");
}

static err statement_fragment(struct routine *r, const PgQuery__Node *node, const catalog_fields *want,
                              struct catalog_fragment *out, catalog_fields *columns) {
    struct sql_columns back = {0};
    TRY(sql_set_local(r->cx, node, &node));
    TRY(is_no_role(r, node));
    if (does_nothing(r, node)) {
        *out = (struct catalog_fragment){.text = STR("select 1 where 0"), .typmod = -1};
        return ERR_OK;
    }
    if (node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT) return select_fragment(r, node->select_stmt, want, out, columns);
    if (node->node_case == PG_QUERY__NODE__NODE_MERGE_STMT)
        return sql_unsupported(r->cx, -1, "MERGE in a text of EXECUTE", "Write it into the function itself.");
    err e = sql_translate_dml(r->cx, node, out, &back);
    if (e == ERR_USAGE)
        return sql_unsupported(r->cx, -1, "this statement in a function",
                               "Only SELECT, INSERT, UPDATE, DELETE and MERGE run there.");
    TRY(e);
    for (uint32_t i = 0; i < back.n; i++)
        vec_push(r->cx->mem, columns, ((struct catalog_field){back.p[i].name, back.p[i].type, back.p[i].typmod}));
    return sql_fragment_done(r->cx, out->text);
}

err sql_routine_fragment(struct routine *r, const PgQuery__Node *node, const catalog_fields *want, struct catalog_fragment *out,
                         catalog_fields *columns) {
    *columns = (catalog_fields){0};
    r->cx->reads = r->cx->calls = r->cx->schemas = (catalog_ids){0};
    TRY(statement_fragment(r, node, want, out, columns));
    out->reads = r->cx->reads, out->calls = r->cx->calls, out->schemas = r->cx->schemas;
    return ERR_OK;
}

err sql_routine_statement(struct routine *r, const struct plpgsql_expr *x, const catalog_fields *want, uint32_t *e,
                          catalog_fields *columns, bool *is_select) {
    const PgQuery__Node *node;
    struct catalog_fragment out;
    *columns = (catalog_fields){0};
    TRY(sql_routine_parse(r, "", x, &node));
    r->cx->late = r->was_late = false;
    struct sql_context before = *r->cx;
    *is_select = node->node_case == PG_QUERY__NODE__NODE_SELECT_STMT;
    err got = sql_writes_in_with(node) ? sql_routine_with(r, node, want, &out, columns)
                                       : statement_fragment(r, node, want, &out, columns);
    if (got == ERR_OK && node->node_case == PG_QUERY__NODE__NODE_MERGE_STMT)
        *is_select = true, columns->n = 0; /* it counts rows */
    if (got != ERR_OK && late(r, &before, x, "", want, &out)) {
        if (want) *columns = *want;
    } else if (got != ERR_OK) put_off(r, &before, x, "select ", &out);
    *e = add(r, out);
    return ERR_OK;
}

/* ---- types ---- */

static const catalog_fields *fields_of(struct routine *r, const struct catalog_relation *rel) {
    catalog_fields *f = arena_make(r->cx->mem, catalog_fields);
    *f = (catalog_fields){0};
    for (uint32_t i = 0; i < rel->columns.n; i++)
        vec_push(r->cx->mem, f,
                 ((struct catalog_field){rel->columns.p[i].name, rel->columns.p[i].type, rel->columns.p[i].typmod}));
    return f;
}

const catalog_fields *sql_routine_fields(struct routine *r, uint32_t type) {
    const struct catalog_type *t = type >= PG_OWN_MIN ? catalog_type_of(r->cx->catalog, type) : NULL;
    if (!t || t->id != type) return NULL;
    const struct catalog_relation *rel = t->kind == CATALOG_ROW ? catalog_relation_of(r->cx->catalog, t->relation) : NULL;
    return rel ? fields_of(r, rel) : t->kind == CATALOG_COMPOSITE ? &t->fields : NULL;
}

/* The words of a dotted name, folded. */
static uint32_t words_of(struct routine *r, str text, str to[static 4]) {
    uint32_t n = 0;
    while (text.n && n < 4) {
        str one;
        str_cut(text, '.', &one, &text);
        one = str_trim(one);
        bool quoted = one.n > 1 && one.p[0] == '"';
        if (quoted) one = str_sub(one, 1, one.n - 2);
        str copy = arena_str(r->cx->mem, one);
        for (size_t i = 0; !quoted && i < copy.n; i++)
            if (copy.p[i] >= 'A' && copy.p[i] <= 'Z') ((uint8_t *)(uintptr_t)copy.p)[i] |= 32;
        to[n++] = copy;
    }
    return n;
}

static err of_relation(struct routine *r, const struct plpgsql_expr *x, str schema, str name,
                       const struct catalog_relation **out) {
    *out = sql_relation_named(r->cx, schema, name);
    return *out ? ERR_OK : sql_routine_say(r, x->at, "42P01", "relation \"" STR_FMT "\" does not exist", STR_ARG(name));
}

/* t.c%type, v%type */
static err type_of_other(struct routine *r, const struct plpgsql_expr *x, str text, uint32_t *type, int32_t *typmod,
                         const catalog_fields **fields, bool *record) {
    str w[4];
    uint32_t n = words_of(r, text, w);
    struct sql_variable *v = n == 1 ? sql_variable_named(r->cx, (str){0}, w[0]) : NULL;
    if (v) return *type = v->type, *typmod = v->typmod, *fields = v->fields, *record = v->record, ERR_OK;
    const struct catalog_relation *rel;
    if (n < 2 || n > 3) return sql_routine_say(r, x->at, "42601", "invalid type name \"" STR_FMT "\"", STR_ARG(x->text));
    TRY(of_relation(r, x, n == 3 ? w[0] : (str){0}, w[n - 2], &rel));
    const struct catalog_column *c = catalog_column_named(rel, w[n - 1]);
    if (!c)
        return sql_routine_say(r, x->at, "42703", "column \"" STR_FMT "\" of relation \"" STR_FMT "\" does not exist",
                               STR_ARG(w[n - 1]), STR_ARG(rel->name));
    return *type = c->type, *typmod = c->typmod, *fields = sql_routine_fields(r, c->type), ERR_OK;
}

static bool cut_suffix(str *text, const char *suffix) {
    str t = str_trim(*text);
    size_t n = strlen(suffix), at = str_find(t, '%');
    if (at >= t.n || !str_eq_nocase(str_trim(str_sub(t, at + 1, t.n)), str_c(suffix))) return false;
    *text = str_trim(str_sub(t, 0, at));
    return n;
}

err sql_routine_type(struct routine *r, const struct plpgsql_expr *x, uint32_t *type, int32_t *typmod,
                     const catalog_fields **fields, bool *record) {
    str text = str_trim(x->text), w[4];
    *fields = NULL, *record = false, *typmod = -1;
    if (str_eq_nocase(text, STR("record"))) return *type = PG_RECORD, *record = true, ERR_OK;
    if (cut_suffix(&text, "type")) return type_of_other(r, x, text, type, typmod, fields, record);
    if (cut_suffix(&text, "rowtype")) {
        const struct catalog_relation *rel;
        uint32_t n = words_of(r, text, w);
        if (!n || n > 2) return sql_routine_say(r, x->at, "42601", "invalid type name \"" STR_FMT "\"", STR_ARG(x->text));
        TRY(of_relation(r, x, n == 2 ? w[0] : (str){0}, w[n - 1], &rel));
        return *type = rel->row_type ? rel->row_type : PG_RECORD, *fields = fields_of(r, rel), ERR_OK;
    }
    const PgQuery__Node *node;
    struct plpgsql_expr cast = {arena_fmt(r->cx->mem, "NULL::" STR_FMT, STR_ARG(text)), x->at};
    TRY(sql_routine_parse(r, "SELECT ", &cast, &node));
    const PgQuery__Node *v = node->select_stmt->n_target_list == 1 ? node->select_stmt->target_list[0]->res_target->val : NULL;
    if (!v || v->node_case != PG_QUERY__NODE__NODE_TYPE_CAST)
        return sql_routine_say(r, x->at, "42601", "invalid type name \"" STR_FMT "\"", STR_ARG(x->text));
    err e = sql_type_named(r->cx, v->type_cast->type_name, type, typmod);
    if (e != ERR_OK) r->cx->problem.location = (int32_t)x->at;
    TRY(e);
    *fields = sql_routine_fields(r, *type);
    return ERR_OK;
}

/* ---- targets ---- */

static err is_variable(struct routine *r, const struct plpgsql_target *t, struct sql_variable *v, struct routine_target *out) {
    if (v->constant) return sql_routine_say(r, t->at, "22005", "variable \"" STR_FMT "\" is declared CONSTANT", STR_ARG(v->name));
    *out = (struct routine_target){v, v->place, v->type, v->typmod, t->n, t->names[0]};
    return ERR_OK;
}

static err is_field(struct routine *r, const struct plpgsql_target *t, struct sql_variable *v, str name,
                    struct routine_target *out, bool *later) {
    for (uint32_t i = 0; v->fields && i < v->fields->n; i++)
        if (str_eq(v->fields->p[i].name, name)) {
            *out = (struct routine_target){NULL, v->place + i, v->fields->p[i].type, v->fields->p[i].typmod, t->n, t->names[0]};
            return ERR_OK;
        }
    char text[200];
    if (v->record && !v->fields) snprintf(text, sizeof text, "record \"" STR_FMT "\" is not assigned yet", STR_ARG(v->name));
    else snprintf(text, sizeof text, "record \"" STR_FMT "\" has no field \"" STR_FMT "\"", STR_ARG(v->name), STR_ARG(name));
    sql_routine_emit(r, CATALOG_OP_SET, sql_routine_places(r, 1),
                     sql_routine_refusal(r, v->record && !v->fields ? "55000" : "42703", text), 0, 0);
    (void)t;
    return *later = true, ERR_OK;
}

err sql_routine_target(struct routine *r, const struct plpgsql_target *t, struct routine_target *out, bool *later) {
    struct sql_variable *v;
    *later = false;
    if (t->n == 1 && (v = sql_variable_named(r->cx, (str){0}, t->names[0]))) return is_variable(r, t, v, out);
    if (t->n == 2 && (v = sql_variable_named(r->cx, (str){0}, t->names[0])) && (v->fields || v->record))
        return is_field(r, t, v, t->names[1], out, later);
    if (t->n == 2 && (v = sql_variable_named(r->cx, t->names[0], t->names[1]))) return is_variable(r, t, v, out);
    if (t->n == 3 && (v = sql_variable_named(r->cx, t->names[0], t->names[1])) && (v->fields || v->record))
        return is_field(r, t, v, t->names[2], out, later);
    if (t->n == 3 && (v = sql_variable_named(r->cx, (str){0}, t->names[0])) && (v->fields || v->record)) {
        TRY(is_field(r, t, v, t->names[1], out, later));
        return out->names = 2, ERR_OK;
    }
    return sql_routine_say(r, t->at, "42601", "\"" STR_FMT "\" is not a known variable", STR_ARG(t->names[0]));
}
