/* routine: PL/pgSQL's statements as instructions (catalog/routine.def), each of whose expressions is a fragment of its own.
 *
 *   loop body          L: …; JUMP L            for i in a..b    COUNT → end; body; STEP → end; JUMP
 *   for r in query     OPEN; NEXT → end; body; JUMP; end: CLOSE
 *   exception          TRY → handlers; body; LEAVE 1; JUMP end; handlers: CATCH …; body; LEAVE 1; JUMP end; THROW; end:
 *
 * 1. A body is compiled once the catalogue is whole: what it names may have been made behind it.
 * 2. Only what PostgreSQL says at CREATE FUNCTION is an error here: syntax, unknown variables and types. All else waits until it is run.
 */
#include "sql/routine_int.h"
#include <stdio.h>

typedef struct plpgsql_statement statement;

static err body(struct routine *r, const plpgsql_body *b);

static void refuse_later(struct routine *r, const char *state, const char *message) {
    sql_routine_emit(r, CATALOG_OP_SET, sql_routine_places(r, 1), sql_routine_refusal(r, state, message), 0, 0);
    if (!r->first.set && !strcmp(state, "0A000")) {
        r->first = (struct sql_problem){.set = true, .location = (int32_t)r->at};
        memcpy(r->first.state, state, 5);
        snprintf(r->first.message, sizeof r->first.message, "%s", message);
    }
}

/* ---- assignment ---- */

static void check_not_null(struct routine *r, const struct sql_variable *v) {
    if (v && v->not_null.n)
        sql_routine_emit(r, CATALOG_OP_NOT_NULL, v->flagged ? v->flag : v->place,
                         sql_routine_text(r, sql_literal_text(r->cx->mem, v->not_null)), 0, 0);
}

/* Where a value comes in before it is looked at: who forbids NULL keeps what he had. */
static uint32_t place_for(struct routine *r, const struct routine_target *t) {
    return t->variable && t->variable->not_null.n ? sql_routine_places(r, 1) : t->place;
}
static void let_in(struct routine *r, const struct routine_target *t, uint32_t place) {
    if (place == t->place) return;
    sql_routine_emit(r, CATALOG_OP_NOT_NULL, place, sql_routine_text(r, sql_literal_text(r->cx->mem, t->variable->not_null)), 0,
                     0);
    sql_routine_emit(r, CATALOG_OP_COPY, t->place, place, 1, 0);
}

/* The value of a place, of a type, goes to a target. */
static err hand(struct routine *r, uint32_t from, uint32_t type, const struct routine_target *t) {
    uint32_t e, place = place_for(r, t);
    if (type == t->type && t->typmod == -1) sql_routine_emit(r, CATALOG_OP_COPY, place, from, 1, 0);
    else {
        TRY(sql_routine_cast(r, from, type, t->type, t->typmod, &e));
        sql_routine_emit(r, CATALOG_OP_SET, place, e, 0, 0);
    }
    return let_in(r, t, place), ERR_OK;
}

/* There is a row in it from now on, or none. */
static void mark(struct routine *r, const struct sql_variable *v, bool is) {
    if (!v || !v->flagged) return;
    if (is) sql_routine_emit(r, CATALOG_OP_SET, v->flag, sql_routine_text(r, STR("1")), 0, 0);
    else sql_routine_emit(r, CATALOG_OP_CLEAR, v->flag, 1, 0, 0);
}

static err assign_from_call(struct routine *r, struct sql_variable *v, const struct plpgsql_expr *x);

static err assign_row(struct routine *r, struct sql_variable *v, const struct plpgsql_expr *x) {
    bool null;
    uint32_t present;
    if (sql_routine_is_call(r, x)) return assign_from_call(r, v, x);
    if (v->record) {
        catalog_fields fields;
        TRY(sql_routine_row_shape(r, x, &fields, NULL));
        if (fields.n) sql_routine_shape(r, v, &fields);
        if (fields.n && v->several) {
            uint32_t from = sql_routine_places(r, fields.n);
            TRY(sql_routine_row(r, x, &fields, from, &null, &present));
            return sql_routine_fill(r, v, &fields, from), ERR_OK;
        }
    }
    if (!v->fields) {
        static const catalog_fields none;
        return sql_routine_row(r, x, &none, 0, &null, &present);
    }
    TRY(sql_routine_row(r, x, v->fields, v->place, &null, &present));
    mark(r, v, !null && present == ROUTINE_NONE);
    if (present != ROUTINE_NONE && v->flagged) {
        uint32_t no = sql_routine_emit(r, CATALOG_OP_UNLESS, present, 0, 0, 0);
        mark(r, v, true);
        sql_routine_land(r, no);
    }
    if (null) sql_routine_emit(r, CATALOG_OP_CLEAR, v->place, v->fields->n, 0, 0);
    return ERR_OK;
}

static err assign_to(struct routine *r, const struct routine_target *t, const struct plpgsql_expr *x) {
    uint32_t e;
    if (t->variable && (t->variable->fields || t->variable->record)) {
        TRY(assign_row(r, t->variable, x));
        return check_not_null(r, t->variable), ERR_OK;
    }
    TRY(sql_routine_value(r, x, t->type, t->typmod, &e, NULL));
    uint32_t place = place_for(r, t);
    sql_routine_emit(r, CATALOG_OP_SET, place, e, 0, 0);
    return let_in(r, t, place), ERR_OK;
}

static err assignment(struct routine *r, const statement *s) {
    struct routine_target t;
    bool later;
    TRY(sql_routine_target(r, &s->targets.p[0], &t, &later));
    if (later) return ERR_OK;
    plpgsql_exprs steps = {0};
    const struct plpgsql_target *to = &s->targets.p[0];
    for (uint32_t i = t.names; i < to->n; i++)
        vec_push(r->cx->mem, &steps, ((struct plpgsql_expr){arena_fmt(r->cx->mem, "." STR_FMT, STR_ARG(to->names[i])), to->at}));
    for (uint32_t i = 0; i < to->steps.n; i++) vec_push(r->cx->mem, &steps, to->steps.p[i]);
    if (steps.n) {
        uint32_t e;
        TRY(sql_routine_part(r, &t, &steps, &s->expr, &e));
        sql_routine_emit(r, CATALOG_OP_SET, t.place, e, 0, 0);
        return check_not_null(r, t.variable), ERR_OK;
    }
    r->assigns = true;
    err e = assign_to(r, &t, &s->expr);
    r->assigns = false;
    return e;
}

/* ---- rows into variables ---- */

struct receiver {
    struct sql_variable *row; /* one whole row or record; or */
    struct routine_target *targets;
    uint32_t n;
    catalog_fields want;
    bool has_want, later;
    uint32_t place, columns; /* where rows come */
};

static err receiver_of(struct routine *r, const plpgsql_targets *list, struct receiver *rc) {
    *rc = (struct receiver){.targets = arena_array(r->cx->mem, struct routine_target, list->n + 1)};
    for (uint32_t i = 0; i < list->n; i++) {
        struct routine_target t;
        bool later;
        TRY(sql_routine_target(r, &list->p[i], &t, &later));
        if (later) return rc->later = true, ERR_OK;
        if (t.names < list->p[i].n)
            return sql_routine_say(r, list->p[i].at, "42601", "\"" STR_FMT "\" is not a known variable",
                                   STR_ARG(list->p[i].names[0]));
        bool row = t.variable && (t.variable->fields || t.variable->record);
        if (row && list->n > 1)
            return sql_routine_say(r, list->p[i].at, "42601", "record variable cannot be part of multiple-item INTO list");
        if (row) rc->row = t.variable;
        else rc->targets[rc->n++] = t;
        if (!row) vec_push(r->cx->mem, &rc->want, ((struct catalog_field){{0}, t.type, t.typmod}));
    }
    if (rc->row && !rc->row->record) rc->want = *rc->row->fields;
    rc->has_want = !rc->row || !rc->row->record;
    return ERR_OK;
}

/* Where the columns come in. */
static void receive(struct routine *r, struct receiver *rc, const catalog_fields *columns) {
    bool same = true;
    if (rc->row && rc->row->record && columns->n) sql_routine_shape(r, rc->row, columns);
    for (uint32_t i = 0; rc->row && rc->row->fields && i < columns->n && i < rc->row->fields->n; i++)
        same &= columns->p[i].type == rc->row->fields->p[i].type;
    rc->columns = columns->n;
    if (rc->row && rc->row->fields && same && !rc->row->several) {
        rc->place = rc->row->place;
        rc->columns = MIN(columns->n, rc->row->fields->n);
    } else rc->place = sql_routine_places(r, MAX(columns->n, 1u));
}

/* From there to where they belong. */
static err distribute(struct routine *r, struct receiver *rc, const catalog_fields *columns) {
    if (rc->row && rc->row->fields && rc->row->several) return sql_routine_fill(r, rc->row, columns, rc->place), ERR_OK;
    if (rc->row && rc->row->fields) {
        for (uint32_t i = 0; i < rc->row->fields->n && rc->place != rc->row->place && i < columns->n; i++) {
            struct routine_target t = {.place = rc->row->place + i,
                                       .type = rc->row->fields->p[i].type,
                                       .typmod = rc->row->fields->p[i].typmod,
                                       .names = 1};
            TRY(hand(r, rc->place + i, columns->p[i].type, &t));
        }
        if (columns->n && columns->n < rc->row->fields->n)
            sql_routine_emit(r, CATALOG_OP_CLEAR, rc->row->place + columns->n, rc->row->fields->n - columns->n, 0, 0);
        return ERR_OK;
    }
    for (uint32_t i = 0; i < rc->n; i++) {
        if (i < columns->n) {
            /* a query's column has been made the target's type already */
            struct routine_target t = rc->targets[i];
            if (columns->p[i].type == t.type && columns->p[i].typmod == t.typmod) t.typmod = -1;
            TRY(hand(r, rc->place + i, columns->p[i].type, &t));
        } else if (columns->n) sql_routine_emit(r, CATALOG_OP_CLEAR, rc->targets[i].place, 1, 0, 0);
    }
    return ERR_OK;
}

/* v := f(…), of a function that gives a row: as select … into */
static err assign_from_call(struct routine *r, struct sql_variable *v, const struct plpgsql_expr *x) {
    struct plpgsql_expr query = {arena_fmt(r->cx->mem, "SELECT * FROM " STR_FMT, STR_ARG(x->text)), x->at};
    struct receiver rc = {.row = v, .has_want = !v->record};
    catalog_fields columns;
    uint32_t e;
    bool is_select;
    if (!v->record) rc.want = *v->fields;
    TRY(sql_routine_statement(r, &query, rc.has_want ? &rc.want : NULL, &e, &columns, &is_select));
    receive(r, &rc, &columns);
    mark(r, v, true);
    sql_routine_emit(r, CATALOG_OP_RUN, e, rc.place, rc.columns, CATALOG_RUN_INTO | CATALOG_RUN_QUERY);
    return distribute(r, &rc, &columns);
}

/* A record's fields are what the text's columns are: nobody knows them here, and what names them is read when it is run. */
static bool is_late(struct routine *r, const struct receiver *rc) {
    if (rc->has_want || rc->row->fields) return false;
    rc->row->late = true;
    if (!r->second && r->shapes && rc->row->ordinal < r->shapes->late.n) r->shapes->late.p[rc->row->ordinal] = true;
    return true;
}

/* ---- statements of SQL's ---- */

static err procedure_call(struct routine *r, const statement *s) {
    struct plpgsql_expr query;
    plpgsql_targets targets = {0};
    struct receiver rc = {0};
    catalog_fields columns;
    uint32_t e, was = r->cx->procedure;
    bool refused, is_select;
    err got = sql_routine_call(r, &s->expr, &query, &targets, &refused); /* which sets cx->procedure */
    if (got == ERR_OK && !refused && targets.n) got = receiver_of(r, &targets, &rc);
    if (got == ERR_OK && !refused && !rc.later)
        got = sql_routine_statement(r, &query, targets.n ? &rc.want : NULL, &e, &columns, &is_select);
    r->cx->procedure = was;
    if (got != ERR_OK || refused || rc.later) return got;
    r->writes++;
    if (!targets.n) return sql_routine_emit(r, CATALOG_OP_RUN, e, ROUTINE_NONE, 0, CATALOG_RUN_QUERY), ERR_OK;
    receive(r, &rc, &columns);
    sql_routine_emit(r, CATALOG_OP_RUN, e, rc.place, rc.columns, CATALOG_RUN_INTO | CATALOG_RUN_QUERY);
    return distribute(r, &rc, &columns);
}

static err sql_statement(struct routine *r, const statement *s) {
    struct receiver rc = {0};
    catalog_fields columns;
    uint32_t e, flags = 0;
    bool is_select;
    if (sql_routine_is_procedure_call(&s->expr)) return procedure_call(r, s);
    if (s->into) TRY(receiver_of(r, &s->targets, &rc));
    if (rc.later) return ERR_OK;
    TRY(sql_routine_statement(r, &s->expr, s->into && rc.has_want ? &rc.want : NULL, &e, &columns, &is_select));
    if (!s->into && is_select && columns.n) {
        refuse_later(r, "42601", "query has no destination for result data");
        return ERR_OK;
    }
    if (!s->into) return sql_routine_emit(r, CATALOG_OP_RUN, e, ROUTINE_NONE, 0, is_select ? CATALOG_RUN_QUERY : 0), ERR_OK;
    if (!rc.has_want && r->was_late && is_late(r, &rc)) {
        sql_routine_emit(r, CATALOG_OP_RUN, e, rc.row->place, 0,
                         CATALOG_RUN_INTO | CATALOG_RUN_RECORD | (s->strict ? CATALOG_RUN_STRICT : 0u) |
                             (is_select ? CATALOG_RUN_QUERY : CATALOG_RUN_ONE));
        return mark(r, rc.row, true), ERR_OK;
    }
    receive(r, &rc, &columns);
    mark(r, rc.row, true);
    flags = CATALOG_RUN_INTO | (s->strict ? CATALOG_RUN_STRICT : 0u) | (is_select ? CATALOG_RUN_QUERY : CATALOG_RUN_ONE);
    sql_routine_emit(r, CATALOG_OP_RUN, e, rc.place, rc.columns, flags);
    return distribute(r, &rc, &columns);
}

static err perform(struct routine *r, const statement *s) {
    const char *how = sql_routine_is_call(r, &s->expr) ? "SELECT * FROM " : "SELECT ";
    struct plpgsql_expr x = {arena_fmt(r->cx->mem, "%s" STR_FMT, how, STR_ARG(s->expr.text)), s->expr.at};
    catalog_fields columns;
    uint32_t e;
    bool is_select;
    TRY(sql_routine_statement(r, &x, NULL, &e, &columns, &is_select));
    sql_routine_emit(r, CATALOG_OP_RUN, e, ROUTINE_NONE, 0, CATALOG_RUN_QUERY);
    return ERR_OK;
}

/* USING a row: its fields come one after the other. *is: it is one, of a type that has a name. */
static err row_argument(struct routine *r, const struct plpgsql_expr *x, bool *is) {
    catalog_fields shape;
    uint32_t type, present;
    bool null;
    TRY(sql_routine_row_shape(r, x, &shape, &type));
    const catalog_fields *fields = shape.n ? sql_routine_fields(r, type) : NULL;
    *is = fields && fields->n;
    if (!*is) return ERR_OK;
    uint32_t place = sql_routine_places(r, fields->n);
    TRY(sql_routine_row(r, x, fields, place, &null, &present));
    if (null) sql_routine_emit(r, CATALOG_OP_CLEAR, place, fields->n, 0, 0);
    for (uint32_t i = 0; i < fields->n; i++)
        sql_routine_emit(r, CATALOG_OP_ARGUMENT, place + i, i ? CATALOG_GOES_ON : type, 0, 0);
    return ERR_OK;
}

/* ---- EXECUTE: what its text is made of, and asks for, is told before it; text: its place ---- */

static err text_begins(struct routine *r, const statement *s, const catalog_fields *want, uint32_t *text) {
    uint32_t e, type;
    TRY(sql_routine_value(r, &s->expr, PG_TEXT, -1, &e, NULL));
    *text = sql_routine_places(r, 1);
    sql_routine_emit(r, CATALOG_OP_SET, *text, e, 0, 0);
    for (uint32_t i = 0; i < s->exprs.n; i++) {
        bool row;
        TRY(row_argument(r, &s->exprs.p[i], &row));
        if (row) continue;
        uint32_t place = sql_routine_places(r, 1);
        r->late_types = true;
        err got = sql_routine_value(r, &s->exprs.p[i], PG_NO_TYPE, -1, &e, &type);
        r->late_types = false;
        TRY(got);
        sql_routine_emit(r, CATALOG_OP_SET, place, e, 0, 0);
        sql_routine_emit(r, CATALOG_OP_ARGUMENT, place, type, 0, 0);
    }
    for (uint32_t i = 0; want && i < want->n; i++)
        sql_routine_emit(r, CATALOG_OP_WANT, want->p[i].type, (uint32_t)(want->p[i].typmod + 1), 0, 0);
    return ERR_OK;
}

static bool is_shapeless(struct routine *r, const struct receiver *rc) {
    if (rc->has_want || is_late(r, rc)) return false;
    refuse_later(r, "0A000", "a record that both a query and an executed text fill is not there on SQLite: use two");
    return true;
}

static err execute(struct routine *r, const statement *s) {
    struct receiver rc = {0};
    uint32_t text;
    if (s->into) TRY(receiver_of(r, &s->targets, &rc));
    if (rc.later || (s->into && is_shapeless(r, &rc))) return ERR_OK;
    TRY(text_begins(r, s, s->into ? &rc.want : NULL, &text));
    r->writes++;
    if (s->into && !rc.has_want) {
        sql_routine_emit(r, CATALOG_OP_EXECUTE, text, rc.row->place, 0,
                         CATALOG_RUN_INTO | CATALOG_RUN_RECORD | (s->strict ? CATALOG_RUN_STRICT : 0u));
        return mark(r, rc.row, true), ERR_OK;
    }
    if (!s->into) return sql_routine_emit(r, CATALOG_OP_EXECUTE, text, ROUTINE_NONE, 0, 0), ERR_OK;
    receive(r, &rc, &rc.want);
    sql_routine_emit(r, CATALOG_OP_EXECUTE, text, rc.place, rc.columns, CATALOG_RUN_INTO | (s->strict ? CATALOG_RUN_STRICT : 0u));
    return distribute(r, &rc, &rc.want);
}

/* ---- conditions ---- */

static err arms(struct routine *r, const statement *s, const struct plpgsql_expr *conditions) {
    VEC(uint32_t) ends = {0};
    for (uint32_t i = 0; i < s->arms.n; i++) {
        uint32_t e;
        r->at = s->arms.p[i].when.at;
        TRY(sql_routine_condition(r, conditions ? &conditions[i] : &s->arms.p[i].when, &e));
        uint32_t past = sql_routine_emit(r, CATALOG_OP_UNLESS, e, 0, 0, 0);
        TRY(body(r, &s->arms.p[i].body));
        vec_push(r->cx->mem, &ends, sql_routine_emit(r, CATALOG_OP_JUMP, 0, 0, 0, 0));
        sql_routine_land(r, past);
    }
    if (s->has_else) TRY(body(r, &s->body));
    else if (s->kind == PLPGSQL_CASE) refuse_later(r, "20000", "case not found");
    for (uint32_t i = 0; i < ends.n; i++) sql_routine_land(r, ends.p[i]);
    return ERR_OK;
}

/* case x when a, b: a variable that nobody can name holds x. */
static err simple_case(struct routine *r, const statement *s) {
    struct sql_variables scope;
    uint32_t e, type;
    str name = arena_fmt(r->cx->mem, "__orlo_%u", r->hidden++);
    struct plpgsql_expr *conditions = arena_array(r->cx->mem, struct plpgsql_expr, s->arms.n + 1);
    TRY(sql_routine_value(r, &s->expr, PG_NO_TYPE, -1, &e, &type));
    sql_routine_open(r, &scope, (str){0});
    struct sql_variable *v = sql_routine_variable(r, name, type, -1, NULL);
    sql_routine_emit(r, CATALOG_OP_SET, v->place, e, 0, 0);
    for (uint32_t i = 0; i < s->arms.n; i++)
        conditions[i] = (struct plpgsql_expr){
            arena_fmt(r->cx->mem, STR_FMT " IN (" STR_FMT ")", STR_ARG(name), STR_ARG(s->arms.p[i].when.text)),
            s->arms.p[i].when.at};
    err got = arms(r, s, conditions);
    r->scope = (struct sql_variables *)(uintptr_t)scope.outer;
    r->cx->variables = scope.outer;
    return got;
}

/* ---- loops ---- */

static void loop_open(struct routine *r, struct routine_loop *l, str label, bool is_block) {
    *l = (struct routine_loop){.outer = r->loops, .label = label, .tries = r->tries, .is_block = is_block};
    r->loops = l;
}
static void land_nexts(struct routine *r, struct routine_loop *l) {
    for (uint32_t i = 0; i < l->nexts.n; i++) sql_routine_land(r, l->nexts.p[i]);
}
static void loop_close(struct routine *r, struct routine_loop *l) {
    for (uint32_t i = 0; i < l->exits.n; i++) sql_routine_land(r, l->exits.p[i]);
    r->loops = l->outer;
}

static err go(struct routine *r, const statement *s) {
    bool exits = s->kind == PLPGSQL_EXIT;
    struct routine_loop *l = r->loops;
    uint32_t past = ROUTINE_NONE, e;
    while (l && (s->label.n ? !str_eq(l->label, s->label) : l->is_block)) l = l->outer;
    if (!l && s->label.n)
        return sql_routine_say(r, s->at, "42601",
                               "there is no label \"" STR_FMT "\" attached to any block or loop enclosing this statement",
                               STR_ARG(s->label));
    if (!l)
        return sql_routine_say(r, s->at, "42601", "%s cannot be used outside a loop%s", exits ? "EXIT" : "CONTINUE",
                               exits ? ", unless it has a label" : "");
    if (l->is_block && !exits)
        return sql_routine_say(r, s->at, "42601", "block label \"" STR_FMT "\" cannot be used in CONTINUE", STR_ARG(s->label));
    if (s->expr.text.n) {
        TRY(sql_routine_condition(r, &s->expr, &e));
        past = sql_routine_emit(r, CATALOG_OP_UNLESS, e, 0, 0, 0);
    }
    if (r->tries > l->tries) sql_routine_emit(r, CATALOG_OP_LEAVE, r->tries - l->tries, 0, 0, 0);
    uint32_t jump = sql_routine_emit(r, CATALOG_OP_JUMP, 0, 0, 0, 0);
    if (exits) vec_push(r->cx->mem, &l->exits, jump);
    else vec_push(r->cx->mem, &l->nexts, jump);
    if (past != ROUTINE_NONE) sql_routine_land(r, past);
    return ERR_OK;
}

static err plain_loop(struct routine *r, const statement *s) {
    struct routine_loop l;
    uint32_t e, from = sql_routine_here(r), end = ROUTINE_NONE;
    loop_open(r, &l, s->label, false);
    if (s->kind == PLPGSQL_WHILE) {
        TRY(sql_routine_condition(r, &s->expr, &e));
        end = sql_routine_emit(r, CATALOG_OP_UNLESS, e, 0, 0, 0);
    }
    TRY(body(r, &s->body));
    land_nexts(r, &l);
    sql_routine_emit(r, CATALOG_OP_JUMP, from, 0, 0, 0);
    if (end != ROUTINE_NONE) sql_routine_land(r, end);
    loop_close(r, &l);
    return ERR_OK;
}

static err bound(struct routine *r, const struct plpgsql_expr *x, uint32_t place, const char *null) {
    uint32_t e;
    TRY(sql_routine_value(r, x, PG_INT4, -1, &e, NULL));
    sql_routine_emit(r, CATALOG_OP_SET, place, e, 0, 0);
    sql_routine_emit(r, CATALOG_OP_NOT_NULL, place, sql_routine_text(r, sql_literal_text(r->cx->mem, str_c(null))), 0, 0);
    return ERR_OK;
}

static err integer_loop(struct routine *r, const statement *s) {
    struct routine_loop l;
    struct sql_variables scope;
    static const struct plpgsql_expr one = {STR_INIT("1"), 0};
    if (s->targets.n != 1 || s->targets.p[0].n != 1)
        return sql_routine_say(r, s->at, "42601", "integer FOR loop must have only one target variable");
    uint32_t counter = sql_routine_places(r, 3), any = sql_routine_places(r, 1);
    TRY(bound(r, &s->expr, counter, "lower bound of FOR loop cannot be null"));
    TRY(bound(r, &s->to, counter + 1, "upper bound of FOR loop cannot be null"));
    TRY(bound(r, s->by.text.n ? &s->by : &one, counter + 2, "BY value of FOR loop cannot be null"));
    if (s->by.text.n) {
        str check = arena_fmt(r->cx->mem,
                              "case when \x01"
                              "A%u\x02 > 0 then 1 else pg_refuse('22023', 'BY value of FOR loop must be greater than zero') end",
                              counter + 3);
        sql_routine_emit(r, CATALOG_OP_SET, sql_routine_places(r, 1), sql_routine_text(r, check), 0, 0);
    }
    sql_routine_open(r, &scope, s->label);
    struct sql_variable *v = sql_routine_variable(r, s->targets.p[0].names[0], PG_INT4, -1, NULL);
    sql_routine_emit(r, CATALOG_OP_SET, any, sql_routine_text(r, STR("0")), 0, 0);
    uint32_t never = sql_routine_emit(r, CATALOG_OP_PAST, counter, counter + 1, s->reverse, 0);
    sql_routine_emit(r, CATALOG_OP_SET, any, sql_routine_text(r, STR("1")), 0, 0);
    loop_open(r, &l, s->label, false);
    uint32_t from = sql_routine_here(r), end = sql_routine_emit(r, CATALOG_OP_PAST, counter, counter + 1, s->reverse, 0);
    sql_routine_emit(r, CATALOG_OP_COPY, v->place, counter, 1, 0);
    err got = body(r, &s->body);
    land_nexts(r, &l);
    uint32_t stop = sql_routine_emit(r, CATALOG_OP_STEP, counter, counter + 2, s->reverse, 0);
    sql_routine_emit(r, CATALOG_OP_JUMP, from, 0, 0, 0);
    sql_routine_land(r, never), sql_routine_land(r, end), sql_routine_land(r, stop);
    loop_close(r, &l);
    sql_routine_emit(r, CATALOG_OP_COPY, ROUTINE_FOUND, any, 1, 0);
    r->scope = (struct sql_variables *)(uintptr_t)scope.outer;
    r->cx->variables = scope.outer;
    return got;
}

/* found: was there a row? As PostgreSQL has it after the loop. */
static err rows_loop(struct routine *r, const statement *s, const struct plpgsql_expr *query) {
    struct routine_loop l;
    struct receiver rc;
    catalog_fields columns;
    uint32_t e, cursor = r->cursors++, any = sql_routine_places(r, 1);
    bool is_select;
    if (cursor >= CATALOG_CURSORS_MAX)
        return sql_routine_say(r, s->at, "54001", "a body has more than %d loops over queries", CATALOG_CURSORS_MAX);
    TRY(receiver_of(r, &s->targets, &rc));
    if (rc.later || (s->dynamic && is_shapeless(r, &rc))) return ERR_OK;
    if (s->dynamic) {
        TRY(text_begins(r, s, &rc.want, &e));
        columns = rc.want;
        r->writes++;
    } else TRY(sql_routine_statement(r, query, rc.has_want ? &rc.want : NULL, &e, &columns, &is_select));
    bool late = !rc.has_want && (s->dynamic || r->was_late) && is_late(r, &rc);
    sql_routine_emit(r, s->dynamic ? CATALOG_OP_OPEN_TEXT : CATALOG_OP_OPEN, cursor, e, 0, 0);
    sql_routine_emit(r, CATALOG_OP_SET, any, sql_routine_text(r, STR("0")), 0, 0);
    if (!late) receive(r, &rc, &columns);
    mark(r, rc.row, true);
    loop_open(r, &l, s->label, false);
    uint32_t from = sql_routine_here(r), end = late ? sql_routine_emit(r, CATALOG_OP_NEXT_RECORD, cursor, rc.row->place, 0, 0)
                                                    : sql_routine_emit(r, CATALOG_OP_NEXT, cursor, rc.place, rc.columns, 0);
    if (!late) TRY(distribute(r, &rc, &columns));
    sql_routine_emit(r, CATALOG_OP_SET, any, sql_routine_text(r, STR("1")), 0, 0);
    TRY(body(r, &s->body));
    land_nexts(r, &l);
    sql_routine_emit(r, CATALOG_OP_JUMP, from, 0, 0, 0);
    sql_routine_land(r, end);
    loop_close(r, &l);
    sql_routine_emit(r, CATALOG_OP_CLOSE, cursor, 0, 0, 0);
    sql_routine_emit(r, CATALOG_OP_COPY, ROUTINE_FOUND, any, 1, 0);
    return ERR_OK;
}

static err query_loop(struct routine *r, const statement *s) { return rows_loop(r, s, &s->expr); }

/* foreach a slice n in array x: its parts of n dimensions, by a counter. */
static err slice_loop(struct routine *r, const statement *s, const struct sql_variable *array) {
    struct routine_loop l;
    struct routine_target t;
    bool later;
    uint32_t counter = sql_routine_places(r, 3), part = sql_routine_places(r, 1), any = sql_routine_places(r, 1);
    str of = arena_fmt(r->cx->mem,
                       "%u, \x01"
                       "A%u\x02, %u",
                       array->type, array->place + 1, s->slice);
    sql_routine_emit(r, CATALOG_OP_SET, counter + 1,
                     sql_routine_text(r, arena_fmt(r->cx->mem, "pg_array_parts(" STR_FMT ")", STR_ARG(of))), 0, 0);
    if (s->targets.n != 1) return sql_routine_say(r, s->at, "42601", "syntax error at or near \",\"");
    TRY(sql_routine_target(r, &s->targets.p[0], &t, &later));
    if (later) return ERR_OK;
    if (!sql_element_type(r->cx, t.type))
        return refuse_later(r, "42804", "FOREACH ... SLICE loop variable must be of an array type"), ERR_OK;
    sql_routine_emit(r, CATALOG_OP_SET, counter, sql_routine_text(r, STR("1")), 0, 0);
    sql_routine_emit(r, CATALOG_OP_COPY, counter + 2, counter, 1, 0);
    sql_routine_emit(r, CATALOG_OP_SET, any, sql_routine_text(r, STR("0")), 0, 0);
    loop_open(r, &l, s->label, false);
    uint32_t from = sql_routine_here(r), end = sql_routine_emit(r, CATALOG_OP_PAST, counter, counter + 1, 0, 0);
    sql_routine_emit(r, CATALOG_OP_SET, part,
                     sql_routine_text(r, arena_fmt(r->cx->mem,
                                                   "pg_array_part(" STR_FMT ", \x01"
                                                   "A%u\x02)",
                                                   STR_ARG(of), counter + 1)),
                     0, 0);
    TRY(hand(r, part, array->type, &t));
    sql_routine_emit(r, CATALOG_OP_SET, any, sql_routine_text(r, STR("1")), 0, 0);
    TRY(body(r, &s->body));
    land_nexts(r, &l);
    uint32_t stop = sql_routine_emit(r, CATALOG_OP_STEP, counter, counter + 2, 0, 0);
    sql_routine_emit(r, CATALOG_OP_JUMP, from, 0, 0, 0);
    sql_routine_land(r, end), sql_routine_land(r, stop);
    loop_close(r, &l);
    sql_routine_emit(r, CATALOG_OP_COPY, ROUTINE_FOUND, any, 1, 0);
    return ERR_OK;
}

static err foreach_loop(struct routine *r, const statement *s) {
    struct sql_variables scope;
    uint32_t e, type;
    str name = arena_fmt(r->cx->mem, "__orlo_%u", r->hidden++);
    TRY(sql_routine_value(r, &s->expr, PG_NO_TYPE, -1, &e, &type));
    sql_routine_open(r, &scope, (str){0});
    struct sql_variable *v = sql_routine_variable(r, name, type, -1, NULL);
    sql_routine_emit(r, CATALOG_OP_SET, v->place, e, 0, 0);
    sql_routine_emit(r, CATALOG_OP_NOT_NULL, v->place,
                     sql_routine_text(r, sql_literal_text(r->cx->mem, STR("FOREACH expression must not be null"))), 0, 0);
    if (!sql_element_type(r->cx, type)) { /* what is not known yet is said already */
        str message = arena_fmt(r->cx->mem, "FOREACH expression must yield an array, not type " STR_FMT,
                                STR_ARG(sql_type_name(r->cx, type)));
        refuse_later(r, "42804", arena_cstr(r->cx->mem, message));
    }
    if (s->slice) {
        err got = slice_loop(r, s, v);
        r->scope = (struct sql_variables *)(uintptr_t)scope.outer;
        r->cx->variables = scope.outer;
        return got;
    }
    struct plpgsql_expr query = {arena_fmt(r->cx->mem, "SELECT u.e FROM unnest(" STR_FMT ") AS u(e)", STR_ARG(name)), s->expr.at};
    err got = rows_loop(r, s, &query);
    r->scope = (struct sql_variables *)(uintptr_t)scope.outer;
    r->cx->variables = scope.outer;
    return got;
}

/* ---- cursors: each variable's has a place of its own, in which all rows stand once it is open ---- */

static bool is_refcursor(str type) {
    return str_eq_nocase(str_trim(type), STR("refcursor")) || str_eq_nocase(str_trim(type), STR("pg_catalog.refcursor"));
}

static err cursor_slot(struct routine *r, uint32_t at, uint32_t *slot) {
    *slot = r->cursors++;
    if (*slot < CATALOG_CURSORS_MAX) return ERR_OK;
    return sql_routine_say(r, at, "54001", "a body has more than %d loops over queries", CATALOG_CURSORS_MAX);
}

static err declare_cursor(struct routine *r, const struct plpgsql_declaration *d) {
    struct sql_variables scope;
    struct routine_cursor *c = arena_make(r->cx->mem, struct routine_cursor);
    struct sql_variable *v = arena_make(r->cx->mem, struct sql_variable);
    bool is_select, record;
    err e = ERR_OK;
    *c = (struct routine_cursor){.bound = d->cursor, .no_scroll = d->no_scroll};
    *v = (struct sql_variable){.name = d->name, .place = sql_routine_places(r, 1), .type = PG_TEXT, .typmod = -1, .cursor = c};
    sql_routine_emit(r, CATALOG_OP_CLEAR, v->place, 1, 0, 0);
    TRY(cursor_slot(r, d->at, &c->slot));
    sql_routine_emit(r, CATALOG_OP_MUST, c->slot, d->cursor ? 3 : 2, sql_routine_text(r, sql_literal_text(r->cx->mem, d->name)),
                     0);
    sql_routine_open(r, &scope, (str){0});
    for (uint32_t i = 0; e == ERR_OK && i < d->parameters.n; i++) {
        uint32_t type;
        int32_t typmod;
        const catalog_fields *fields;
        e = sql_routine_type(r, &d->parameters.p[i].value, &type, &typmod, &fields, &record);
        if (e == ERR_OK)
            vec_push(r->cx->mem, &c->parameters, sql_routine_variable(r, d->parameters.p[i].name, type, typmod, NULL));
    }
    if (e == ERR_OK && d->cursor) {
        e = sql_routine_statement(r, &d->value, NULL, &c->e, &c->columns, &is_select);
        c->known = c->columns.n;
    }
    r->scope = (struct sql_variables *)(uintptr_t)scope.outer;
    r->cx->variables = scope.outer;
    TRY(e);
    vec_push(r->cx->mem, &r->scope->list, v);
    return ERR_OK;
}

static bool same_columns(const catalog_fields *a, const catalog_fields *b) {
    bool same = a->n == b->n;
    for (uint32_t i = 0; same && i < a->n; i++) same = a->p[i].type == b->p[i].type && str_eq(a->p[i].name, b->p[i].name);
    return same;
}

static err cursor_arguments(struct routine *r, const statement *s, struct routine_cursor *c) {
    uint32_t n = c->parameters.n;
    bool *given = arena_array(r->cx->mem, bool, n + 1);
    memset(given, 0, n + 1);
    if (s->options.n && !n)
        return sql_routine_say(r, s->at, "42601", "cursor \"" STR_FMT "\" has no arguments", STR_ARG(s->cursor));
    if (n && !s->options.n) return sql_routine_say(r, s->at, "42601", "cursor \"" STR_FMT "\" has arguments", STR_ARG(s->cursor));
    for (uint32_t i = 0; i < s->options.n; i++) {
        const struct plpgsql_option *o = &s->options.p[i];
        uint32_t k = i, e;
        if (o->name.n)
            for (k = 0; k < n && !str_eq(c->parameters.p[k]->name, o->name); k++) {}
        if (o->name.n && k == n)
            return sql_routine_say(r, s->at, "42601", "cursor \"" STR_FMT "\" has no argument named \"" STR_FMT "\"",
                                   STR_ARG(s->cursor), STR_ARG(o->name));
        if (k >= n)
            return sql_routine_say(r, s->at, "42601", "too many arguments for cursor \"" STR_FMT "\"", STR_ARG(s->cursor));
        if (given[k])
            return sql_routine_say(r, s->at, "42601",
                                   "value for parameter \"" STR_FMT "\" of cursor \"" STR_FMT "\" specified more than once",
                                   STR_ARG(c->parameters.p[k]->name), STR_ARG(s->cursor));
        given[k] = true;
        TRY(sql_routine_value(r, &o->value, c->parameters.p[k]->type, c->parameters.p[k]->typmod, &e, NULL));
        sql_routine_emit(r, CATALOG_OP_SET, c->parameters.p[k]->place, e, 0, 0);
    }
    for (uint32_t k = 0; k < n; k++)
        if (!given[k])
            return sql_routine_say(r, s->at, "42601", "not enough arguments for cursor \"" STR_FMT "\"", STR_ARG(s->cursor));
    return ERR_OK;
}

static void must(struct routine *r, const struct routine_cursor *c, str name, uint32_t what) {
    sql_routine_emit(r, CATALOG_OP_MUST, c->slot, what, sql_routine_text(r, sql_literal_text(r->cx->mem, name)), 0);
}

static err open_cursor(struct routine *r, const statement *s, struct sql_variable *v) {
    struct routine_cursor *c = v->cursor;
    catalog_fields columns = c->columns;
    uint32_t e = c->e;
    bool is_select;
    if (c->bound && s->expr.text.n) return sql_routine_say(r, s->at, "42601", "syntax error at or near \"FOR\"");
    if (!c->bound && !s->expr.text.n && s->cursor_does == PLPGSQL_OPEN)
        return sql_routine_say(r, s->at, "42601", "syntax error at or near \";\"");
    if (c->bound) TRY(cursor_arguments(r, s, c));
    else if (s->dynamic) {
        TRY(text_begins(r, s, NULL, &e));
        c->dynamic = true;
        r->writes++;
    } else TRY(sql_routine_statement(r, &s->expr, NULL, &e, &columns, &is_select));
    if (!c->bound && !s->dynamic) {
        c->several |= c->known && !same_columns(&columns, &c->columns);
        c->columns = columns, c->known |= columns.n != 0;
    }
    c->several |= c->dynamic && c->known;
    if (!c->bound) c->no_scroll = s->no_scroll;
    must(r, c, v->name, 0);
    sql_routine_emit(r, s->dynamic ? CATALOG_OP_OPEN_TEXT : CATALOG_OP_OPEN, c->slot, e, 0, 0);
    return ERR_OK;
}

static err fetch_cursor(struct routine *r, const statement *s, struct sql_variable *v) {
    struct routine_cursor *c = v->cursor;
    struct receiver rc = {0};
    catalog_fields columns = c->columns;
    uint32_t count = ROUTINE_NONE, e, seek = s->seek;
    bool back = seek == PLPGSQL_SEEK_PRIOR || seek == PLPGSQL_SEEK_BACKWARD || seek == PLPGSQL_SEEK_BACKWARD_ALL ||
                seek == PLPGSQL_SEEK_FIRST || seek == PLPGSQL_SEEK_LAST || seek == PLPGSQL_SEEK_ABSOLUTE;
    if (s->by.text.n) {
        count = sql_routine_places(r, 1);
        TRY(sql_routine_value(r, &s->by, PG_INT4, -1, &e, NULL));
        sql_routine_emit(r, CATALOG_OP_SET, count, e, 0, 0);
        sql_routine_emit(r, CATALOG_OP_NOT_NULL, count,
                         sql_routine_text(r, sql_literal_text(r->cx->mem, STR("relative or absolute cursor position is null"))),
                         0, 0);
    }
    if (s->into) TRY(receiver_of(r, &s->targets, &rc));
    if (rc.later) return ERR_OK;
    must(r, c, v->name, 1);
    if (c->no_scroll && back) refuse_later(r, "55000", "cursor can only scan forward");
    sql_routine_emit(r, CATALOG_OP_SEEK, c->slot, seek + (s->cursor_does == PLPGSQL_MOVE ? 100 : 0), count, 0);
    if (!s->into) return ERR_OK;
    if (c->dynamic && !c->several && !rc.has_want && is_late(r, &rc)) {
        sql_routine_emit(r, CATALOG_OP_ROW, c->slot, rc.row->place, 0, 2);
        return mark(r, rc.row, true), ERR_OK;
    }
    if (c->several || (c->dynamic && !rc.has_want) || (!c->dynamic && !c->known)) {
        refuse_later(r, "0A000",
                     c->dynamic && !rc.has_want
                         ? "FETCH of an executed text into a record is not there on SQLite: name the variables"
                         : "FETCH of a cursor of several queries is not there on SQLite");
        return ERR_OK;
    }
    if (c->dynamic) columns = rc.want;
    for (uint32_t i = 0; c->dynamic && i < columns.n; i++)
        sql_routine_emit(r, CATALOG_OP_WANT, columns.p[i].type, (uint32_t)(columns.p[i].typmod + 1), 0, 0);
    receive(r, &rc, &columns);
    sql_routine_emit(r, CATALOG_OP_ROW, c->slot, rc.place, rc.columns, c->dynamic);
    return distribute(r, &rc, &columns);
}

static err cursor_loop(struct routine *r, const statement *s, struct sql_variable *v) {
    struct routine_loop l;
    struct routine_cursor *c = v->cursor;
    struct receiver rc;
    uint32_t any = sql_routine_places(r, 1);
    struct sql_variables scope;
    if (!c->bound) return sql_routine_say(r, s->at, "42601", "cursor FOR loop must use a bound cursor variable");
    if (s->targets.n != 1 || s->targets.p[0].n != 1)
        return sql_routine_say(r, s->at, "42601", "cursor FOR loop must have only one target variable");
    TRY(open_cursor(r, s, v));
    sql_routine_open(r, &scope, s->label); /* its record is its own */
    struct sql_variable *row = arena_make(r->cx->mem, struct sql_variable);
    *row = (struct sql_variable){.name = s->targets.p[0].names[0], .type = PG_RECORD, .typmod = -1, .record = true};
    sql_routine_record(r, row);
    row->place = sql_routine_places(r, row->fields ? row->fields->n : 1);
    row->flagged = true, row->flag = sql_routine_places(r, 1);
    vec_push(r->cx->mem, &r->scope->list, row);
    err e = receiver_of(r, &s->targets, &rc);
    if (e == ERR_OK && !rc.later) {
        sql_routine_emit(r, CATALOG_OP_SET, any, sql_routine_text(r, STR("0")), 0, 0);
        receive(r, &rc, &c->columns);
        mark(r, rc.row, true);
        loop_open(r, &l, s->label, false);
        uint32_t from = sql_routine_here(r), end = sql_routine_emit(r, CATALOG_OP_NEXT, c->slot, rc.place, rc.columns, 0);
        e = distribute(r, &rc, &c->columns);
        sql_routine_emit(r, CATALOG_OP_SET, any, sql_routine_text(r, STR("1")), 0, 0);
        if (e == ERR_OK) e = body(r, &s->body);
        land_nexts(r, &l);
        sql_routine_emit(r, CATALOG_OP_JUMP, from, 0, 0, 0);
        sql_routine_land(r, end);
        loop_close(r, &l);
        sql_routine_emit(r, CATALOG_OP_CLOSE, c->slot, 0, 0, 0);
        sql_routine_emit(r, CATALOG_OP_COPY, ROUTINE_FOUND, any, 1, 0);
    }
    r->scope = (struct sql_variables *)(uintptr_t)scope.outer;
    r->cx->variables = scope.outer;
    return e;
}

static err cursor_statement(struct routine *r, const statement *s) {
    struct sql_variable *v = sql_variable_named(r->cx, (str){0}, s->cursor);
    if (!v && s->cursor_does == PLPGSQL_FOR_CURSOR)
        return sql_routine_say(r, s->at, "42601", "syntax error at or near \"" STR_FMT "\"", STR_ARG(s->cursor));
    if (!v) return sql_routine_say(r, s->at, "42601", "\"" STR_FMT "\" is not a known variable", STR_ARG(s->cursor));
    if (!v->cursor) {
        return sql_routine_say(r, s->at, "42804", "variable \"" STR_FMT "\" must be of type cursor or refcursor",
                               STR_ARG(s->cursor));
    }
    switch (s->cursor_does) {
    case PLPGSQL_OPEN: return open_cursor(r, s, v);
    case PLPGSQL_FETCH:
    case PLPGSQL_MOVE: return fetch_cursor(r, s, v);
    case PLPGSQL_FOR_CURSOR: return cursor_loop(r, s, v);
    case PLPGSQL_CLOSE: break;
    }
    must(r, v->cursor, v->name, 1);
    sql_routine_emit(r, CATALOG_OP_CLOSE, v->cursor->slot, 0, 0, 0);
    return ERR_OK;
}

/* ---- raise ---- */

static err text_of_place(struct routine *r, uint32_t place, uint32_t type, str *out) {
    struct sql_value v = {.type = type, .typmod = -1, .location = -1}, text;
    struct sql_context before = *r->cx;
    v.text = sql_fmt(r->cx,
                     "\x01"
                     "A%u\x02",
                     place + 1);
    str value = v.text;
    if (sql_call_builtin(r->cx, "concat", &v, 1, -1, &text) != ERR_OK) *r->cx = before, text.text = value;
    *out = arena_fmt(r->cx->mem, "(case when " STR_FMT " is null then '<NULL>' else " STR_FMT " end)", STR_ARG(value),
                     STR_ARG(text.text));
    return ERR_OK;
}

static err raise_message(struct routine *r, const statement *s, uint32_t to) {
    str text = STR("''");
    uint32_t at = 0;
    struct buf piece = {0};
    for (size_t i = 0; i <= s->format.n; i++) {
        bool end = i == s->format.n, hole = !end && s->format.p[i] == '%';
        if (hole && i + 1 < s->format.n && s->format.p[i + 1] == '%') {
            buf_putc(&piece, '%');
            i++;
            continue;
        }
        if (!end && !hole) {
            buf_putc(&piece, s->format.p[i]);
            continue;
        }
        if (piece.n)
            text = arena_fmt(r->cx->mem, STR_FMT " || " STR_FMT, STR_ARG(text),
                             STR_ARG(sql_literal_text(r->cx->mem, arena_str(r->cx->mem, buf_str(&piece)))));
        piece.n = 0;
        if (!hole) continue;
        uint32_t e, type, place = sql_routine_places(r, 1);
        str value;
        err got = sql_routine_value(r, &s->exprs.p[at++], PG_NO_TYPE, -1, &e, &type);
        if (got != ERR_OK) return buf_free(&piece), got;
        sql_routine_emit(r, CATALOG_OP_SET, place, e, 0, 0);
        TRY(text_of_place(r, place, type, &value));
        text = arena_fmt(r->cx->mem, STR_FMT " || " STR_FMT, STR_ARG(text), STR_ARG(value));
    }
    buf_free(&piece);
    sql_routine_emit(r, CATALOG_OP_SET, to, sql_routine_text(r, arena_fmt(r->cx->mem, "(" STR_FMT ")", STR_ARG(text))), 0, 0);
    return ERR_OK;
}

static err raise_option(struct routine *r, const struct plpgsql_option *o, uint32_t places, uint32_t *seen) {
    static const char *const names[] = {"message",    "errcode",  "detail", "hint",  "column",
                                        "constraint", "datatype", "table",  "schema"};
    for (uint32_t i = 0; i < ARRAY_COUNT(names); i++) {
        uint32_t e;
        if (!str_eqc(o->name, names[i])) continue;
        if (*seen & 1u << i) { /* PostgreSQL finds that out when it is run */
            static const char *const said[] = {"MESSAGE",    "ERRCODE",  "DETAIL", "HINT",  "COLUMN",
                                               "CONSTRAINT", "DATATYPE", "TABLE",  "SCHEMA"};
            refuse_later(r, "42601", (const char *)arena_fmt(r->cx->mem, "RAISE option already specified: %s", said[i]).p);
            return ERR_OK;
        }
        *seen |= 1u << i;
        TRY(sql_routine_value(r, &o->value, PG_TEXT, -1, &e, NULL));
        sql_routine_emit(r, CATALOG_OP_SET, places + i, e, 0, 0);
        char text[64];
        snprintf(text, sizeof text, "RAISE statement option cannot be null");
        sql_routine_emit(r, CATALOG_OP_NOT_NULL, places + i, sql_routine_text(r, sql_literal_text(r->cx->mem, str_c(text))), 0,
                         0);
        return ERR_OK;
    }
    return sql_routine_say(r, o->value.at, "42601", "unrecognized RAISE statement option");
}

static void set_text(struct routine *r, uint32_t place, str text) {
    sql_routine_emit(r, CATALOG_OP_SET, place, sql_routine_text(r, sql_literal_text(r->cx->mem, arena_str(r->cx->mem, text))), 0,
                     0);
}

static err raise(struct routine *r, const statement *s) {
    uint32_t places, seen = 0;
    size_t at = 0;
    if (!s->format.p && !s->condition.n && !s->options.n && s->level == PLPGSQL_EXCEPTION) {
        if (!r->handlers) refuse_later(r, "0Z002", "RAISE without parameters cannot be used outside an exception handler");
        else sql_routine_emit(r, CATALOG_OP_RERAISE, 0, 0, 0, 0);
        return ERR_OK;
    }
    places = sql_routine_places(r, CATALOG_RAISE_COUNT);
    sql_routine_emit(r, CATALOG_OP_CLEAR, places, CATALOG_RAISE_COUNT, 0, 0);
    if (s->condition.n) {
        str state = s->is_state ? s->condition : str_c(plpgsql_condition(s->condition, &at));
        set_text(r, places + CATALOG_RAISE_STATE, state);
        set_text(r, places + CATALOG_RAISE_MESSAGE, s->condition);
        seen |= 1u << CATALOG_RAISE_STATE;
    }
    if (s->format.p) {
        TRY(raise_message(r, s, places + CATALOG_RAISE_MESSAGE));
        seen |= 1u << CATALOG_RAISE_MESSAGE;
    }
    for (uint32_t i = 0; i < s->options.n; i++) TRY(raise_option(r, &s->options.p[i], places, &seen));
    sql_routine_emit(r, CATALOG_OP_RAISE, s->level, places, 0, 0);
    return ERR_OK;
}

static err assertion(struct routine *r, const statement *s) {
    uint32_t e, places = sql_routine_places(r, CATALOG_RAISE_COUNT);
    TRY(sql_routine_condition(r, &s->expr, &e));
    uint32_t failed = sql_routine_emit(r, CATALOG_OP_UNLESS, e, 0, 0, 0), past = sql_routine_emit(r, CATALOG_OP_JUMP, 0, 0, 0, 0);
    sql_routine_land(r, failed);
    sql_routine_emit(r, CATALOG_OP_CLEAR, places, CATALOG_RAISE_COUNT, 0, 0);
    set_text(r, places + CATALOG_RAISE_STATE, STR("P0004"));
    set_text(r, places + CATALOG_RAISE_MESSAGE, STR("assertion failed"));
    if (s->to.text.n) {
        TRY(sql_routine_value(r, &s->to, PG_TEXT, -1, &e, NULL));
        sql_routine_emit(r, CATALOG_OP_SET, places, e, 0, 0);
        str or = arena_fmt(r->cx->mem,
                           "coalesce(\x01"
                           "A%u\x02, 'assertion failed')",
                           places + 1);
        sql_routine_emit(r, CATALOG_OP_SET, places, sql_routine_text(r, or), 0, 0);
    }
    sql_routine_emit(r, CATALOG_OP_RAISE, PLPGSQL_EXCEPTION, places, 0, 0);
    sql_routine_land(r, past);
    return ERR_OK;
}

static err diagnostics(struct routine *r, const statement *s) {
    static const char *const stacked[] = {
        [CATALOG_RAISE_MESSAGE] = "message_text",       [CATALOG_RAISE_STATE] = "returned_sqlstate",
        [CATALOG_RAISE_DETAIL] = "pg_exception_detail", [CATALOG_RAISE_HINT] = "pg_exception_hint",
        [CATALOG_RAISE_COLUMN] = "column_name",         [CATALOG_RAISE_CONSTRAINT] = "constraint_name",
        [CATALOG_RAISE_DATATYPE] = "pg_datatype_name",  [CATALOG_RAISE_TABLE] = "table_name",
        [CATALOG_RAISE_SCHEMA] = "schema_name",         [CATALOG_RAISE_CONTEXT] = "pg_exception_context"};
    for (uint32_t i = 0; i < s->options.n; i++) {
        struct routine_target t;
        uint32_t at = 0, place = sql_routine_places(r, 1);
        bool later, counts = str_eqc(s->options.p[i].name, "row_count") || str_eqc(s->options.p[i].name, "pg_context");
        while (at < ARRAY_COUNT(stacked) && !str_eqc(s->options.p[i].name, stacked[at])) at++;
        if (s->stacked ? at == ARRAY_COUNT(stacked) : !counts)
            return sql_routine_say(r, s->at, "42601", "unrecognized GET DIAGNOSTICS item");
        TRY(sql_routine_target(r, &s->options.p[i].target, &t, &later));
        if (later) continue;
        if (s->stacked && !r->handlers)
            refuse_later(r, "0Z002", "GET STACKED DIAGNOSTICS cannot be used outside an exception handler");
        else if (s->stacked) sql_routine_emit(r, CATALOG_OP_STACKED, at, place, 0, 0);
        else if (str_eqc(s->options.p[i].name, "row_count")) sql_routine_emit(r, CATALOG_OP_ROW_COUNT, place, 0, 0, 0);
        else set_text(r, place, (str){0});
        TRY(hand(r, place, s->stacked || !str_eqc(s->options.p[i].name, "row_count") ? PG_TEXT : PG_INT8, &t));
    }
    return ERR_OK;
}

/* ---- return ---- */

static bool gives_row(const struct routine *r) { return r->rows || r->fields.n != 1 || r->fields.p[0].name.n; }
static bool has_outs(const struct routine *r) {
    for (uint32_t i = 0; i < r->f->arguments.n; i++) {
        uint8_t m = r->f->arguments.p[i].mode;
        if (m == CATALOG_OUT || m == CATALOG_INOUT || m == CATALOG_TABLE_COLUMN) return true;
    }
    return false;
}

/* returns: it is done with nothing where the row is none; else that is a row of nulls. */
static err value_into_result(struct routine *r, const struct plpgsql_expr *x, bool returns, bool *null) {
    uint32_t e, present;
    *null = false;
    if (gives_row(r) && !r->rows && sql_routine_is_call(r, x)) {
        struct sql_variable result = {
            .name = STR("result"), .place = r->result, .type = r->f->returns, .typmod = -1, .fields = &r->fields};
        return assign_from_call(r, &result, x);
    }
    if (gives_row(r) && !(r->rows && str_eq_nocase(x->text, STR("null")))) {
        r->returning = true, r->returns_variable = !returns && sql_variable_named(r->cx, (str){0}, x->text);
        err got = sql_routine_row(r, x, &r->fields, r->result, null, &present);
        r->returning = false;
        if (got != ERR_OK || present == ROUTINE_NONE) return got;
        uint32_t no = sql_routine_emit(r, CATALOG_OP_UNLESS, present, 0, 0, 0),
                 past = sql_routine_emit(r, CATALOG_OP_JUMP, 0, 0, 0, 0);
        sql_routine_land(r, no);
        if (returns) sql_routine_emit(r, CATALOG_OP_RETURN_NULL, 0, 0, 0, 0);
        else sql_routine_emit(r, CATALOG_OP_CLEAR, r->result, r->fields.n, 0, 0);
        sql_routine_land(r, past);
        return ERR_OK;
    }
    if (r->rows) return *null = true, ERR_OK;
    TRY(sql_routine_value(r, x, r->fields.p[0].type, r->fields.p[0].typmod, &e, NULL));
    sql_routine_emit(r, CATALOG_OP_SET, r->result, e, 0, 0);
    return ERR_OK;
}

static err returns(struct routine *r, const statement *s) {
    bool null, is_void = !r->rows && (r->f->returns == PG_VOID || (r->f->procedure && !r->fields.n)),
               outs = !r->rows && has_outs(r);
    if (s->expr.text.n && r->f->set)
        return sql_routine_say(r, s->at, "42804", "RETURN cannot have a parameter in function returning set");
    if (s->expr.text.n && outs)
        return sql_routine_say(r, s->at, "42804", "RETURN cannot have a parameter in function with OUT parameters");
    if (s->expr.text.n && is_void && !str_eq_nocase(s->expr.text, STR("null")))
        return sql_routine_say(r, s->at, "42804", "RETURN cannot have a parameter in function returning void");
    if (r->f->set || is_void) return sql_routine_emit(r, CATALOG_OP_RETURN_NULL, 0, 0, 0, 0), ERR_OK;
    if (outs) return sql_routine_emit(r, CATALOG_OP_RETURN, r->result, r->fields.n, 0, 0), ERR_OK;
    if (!s->expr.text.n) return sql_routine_say(r, s->at, "42601", "missing expression at or near \";\"");
    TRY(value_into_result(r, &s->expr, true, &null));
    if (null) sql_routine_emit(r, CATALOG_OP_RETURN_NULL, 0, 0, 0, 0);
    else sql_routine_emit(r, CATALOG_OP_RETURN, r->result, r->fields.n, 0, 0);
    return ERR_OK;
}

static err return_next(struct routine *r, const statement *s) {
    bool null;
    if (!r->f->set) return sql_routine_say(r, s->at, "42804", "cannot use RETURN NEXT in a non-SETOF function");
    if (has_outs(r) && s->expr.text.n)
        return sql_routine_say(r, s->at, "42804", "RETURN NEXT cannot have a parameter in function with OUT parameters");
    if (!has_outs(r)) {
        TRY(value_into_result(r, &s->expr, false, &null));
        if (null) sql_routine_emit(r, CATALOG_OP_CLEAR, r->result, r->fields.n, 0, 0);
    }
    sql_routine_emit(r, CATALOG_OP_GIVE, r->result, r->fields.n, 0, 0);
    return ERR_OK;
}

static err return_query(struct routine *r, const statement *s) {
    catalog_fields columns;
    uint32_t e;
    bool is_select, same;
    if (!r->f->set) return sql_routine_say(r, s->at, "42804", "cannot use RETURN QUERY in a non-SETOF function");
    if (s->dynamic) {
        TRY(text_begins(r, s, &r->fields, &e));
        r->writes++;
        sql_routine_emit(r, CATALOG_OP_GIVE_TEXT, e, 0, 0, 0);
        return ERR_OK;
    }
    TRY(sql_routine_statement(r, &s->expr, NULL, &e, &columns, &is_select));
    if (r->was_late) r->out->statements.p[e].want = r->fields;
    same = !columns.n || columns.n == r->fields.n;
    for (uint32_t i = 0; same && i < columns.n; i++) same = columns.p[i].type == r->fields.p[i].type;
    if (!same) refuse_later(r, "42804", "structure of query does not match function result type");
    else sql_routine_emit(r, CATALOG_OP_GIVE_QUERY, e, r->fields.n, 0, 0);
    return ERR_OK;
}

/* ---- blocks ---- */

static err declare(struct routine *r, const struct plpgsql_declaration *d) {
    uint32_t type;
    int32_t typmod;
    const catalog_fields *fields;
    bool record;
    r->at = d->at;
    if (d->alias.n) {
        struct sql_variable *of = sql_variable_named(r->cx, (str){0}, d->alias), *v = arena_make(r->cx->mem, struct sql_variable);
        if (!of) return sql_routine_say(r, d->at, "42704", "variable \"" STR_FMT "\" does not exist", STR_ARG(d->alias));
        *v = *of;
        v->name = d->name;
        vec_push(r->cx->mem, &r->scope->list, v);
        return ERR_OK;
    }
    if (d->cursor || is_refcursor(d->type.text)) return declare_cursor(r, d);
    TRY(sql_routine_type(r, &d->type, &type, &typmod, &fields, &record));
    struct sql_variable *v = arena_make(r->cx->mem, struct sql_variable);
    *v = (struct sql_variable){.name = d->name, .type = type, .typmod = typmod, .fields = fields, .record = record};
    if (record) sql_routine_record(r, v), fields = v->fields;
    v->place = sql_routine_places(r, fields ? fields->n : 1);
    sql_routine_emit(r, CATALOG_OP_CLEAR, v->place, fields ? fields->n : 1, 0, 0);
    if (fields || record) v->flagged = true, v->flag = sql_routine_places(r, 1), mark(r, v, false);
    if (d->not_null)
        v->not_null = arena_fmt(r->cx->mem, "null value cannot be assigned to variable \"" STR_FMT "\" declared NOT NULL",
                                STR_ARG(d->name));
    struct routine_target t = {v, v->place, type, typmod, 1, v->name};
    static const struct plpgsql_expr nothing = {STR_INIT("NULL"), 0};
    bool domain = !fields && !record && sql_base_type(r->cx, type) != type; /* which may forbid NULL */
    if (d->value.text.n || domain) TRY(assign_to(r, &t, d->value.text.n ? &d->value : &nothing));
    v->constant = d->constant;
    vec_push(r->cx->mem, &r->scope->list, v); /* behind its value, which does not see it */
    return ERR_OK;
}

static uint32_t packed(str state) {
    uint32_t v = 0;
    for (size_t i = 0; i < 5 && i < state.n; i++) {
        uint8_t c = state.p[i];
        v = v << 6 | (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
    }
    return v;
}

static err handler(struct routine *r, const struct plpgsql_handler *h, uint32_t *end) {
    struct sql_variables scope;
    VEC(uint32_t) hits = {0};
    uint32_t places = sql_routine_places(r, 2), miss = ROUTINE_NONE;
    for (uint32_t i = 0; i < h->conditions.n; i++) {
        if (miss != ROUTINE_NONE) sql_routine_land(r, miss);
        miss = sql_routine_emit(r, CATALOG_OP_CATCH,
                                str_eqc(h->conditions.p[i], "OTHER") ? UINT32_MAX : packed(h->conditions.p[i]), places, 0, 0);
        vec_push(r->cx->mem, &hits, sql_routine_emit(r, CATALOG_OP_JUMP, 0, 0, 0, 0));
    }
    if (miss != ROUTINE_NONE) sql_routine_land(r, miss);
    miss = sql_routine_emit(r, CATALOG_OP_JUMP, 0, 0, 0, 0);
    for (uint32_t i = 0; i < hits.n; i++) sql_routine_land(r, hits.p[i]);
    sql_routine_open(r, &scope, (str){0});
    for (uint32_t i = 0; i < 2; i++) {
        struct sql_variable *v = arena_make(r->cx->mem, struct sql_variable);
        *v = (struct sql_variable){
            .name = i ? STR("sqlerrm") : STR("sqlstate"), .place = places + i, .type = PG_TEXT, .typmod = -1, .constant = true};
        vec_push(r->cx->mem, &scope.list, v);
    }
    r->handlers++;
    err got = body(r, &h->body);
    r->handlers--;
    r->scope = (struct sql_variables *)(uintptr_t)scope.outer;
    r->cx->variables = scope.outer;
    sql_routine_emit(r, CATALOG_OP_LEAVE, 1, 0, 0, 0);
    *end = sql_routine_emit(r, CATALOG_OP_JUMP, 0, 0, 0, 0);
    sql_routine_land(r, miss);
    return got;
}

static err tried(struct routine *r, const statement *s) {
    uint32_t writes = r->writes, start = sql_routine_emit(r, CATALOG_OP_TRY, 0, 0, 0, 0);
    VEC(uint32_t) ends = {0};
    r->tries++;
    TRY(body(r, &s->body));
    r->out->code.p[start * CATALOG_OP_WIDTH + 2] = r->writes > writes;
    sql_routine_emit(r, CATALOG_OP_LEAVE, 1, 0, 0, 0);
    vec_push(r->cx->mem, &ends, sql_routine_emit(r, CATALOG_OP_JUMP, 0, 0, 0, 0));
    sql_routine_land(r, start);
    for (uint32_t i = 0; i < s->handlers.n; i++) {
        uint32_t end;
        TRY(handler(r, &s->handlers.p[i], &end));
        vec_push(r->cx->mem, &ends, end);
    }
    sql_routine_emit(r, CATALOG_OP_THROW, 0, 0, 0, 0);
    r->tries--;
    for (uint32_t i = 0; i < ends.n; i++) sql_routine_land(r, ends.p[i]);
    return ERR_OK;
}

static err block(struct routine *r, const statement *s) {
    struct sql_variables scope;
    struct routine_loop l;
    err e = ERR_OK;
    sql_routine_open(r, &scope, s->label);
    loop_open(r, &l, s->label, true);
    for (uint32_t i = 0; e == ERR_OK && i < s->declarations.n; i++) e = declare(r, &s->declarations.p[i]);
    if (e == ERR_OK) e = s->has_handlers ? tried(r, s) : body(r, &s->body);
    loop_close(r, &l);
    r->scope = (struct sql_variables *)(uintptr_t)scope.outer;
    r->cx->variables = scope.outer;
    return e;
}

static err one(struct routine *r, const statement *s) {
    r->at = s->at;
    switch (s->kind) {
    case PLPGSQL_BLOCK: return block(r, s);
    case PLPGSQL_IF: return arms(r, s, NULL);
    case PLPGSQL_CASE: return s->expr.text.n ? simple_case(r, s) : arms(r, s, NULL);
    case PLPGSQL_LOOP:
    case PLPGSQL_WHILE: return plain_loop(r, s);
    case PLPGSQL_FOR_INTEGER: return integer_loop(r, s);
    case PLPGSQL_FOR_QUERY: return query_loop(r, s);
    case PLPGSQL_FOREACH: return foreach_loop(r, s);
    case PLPGSQL_EXIT:
    case PLPGSQL_CONTINUE: return go(r, s);
    case PLPGSQL_ASSIGN: return assignment(r, s);
    case PLPGSQL_SQL: return sql_statement(r, s);
    case PLPGSQL_PERFORM: return perform(r, s);
    case PLPGSQL_RAISE: return raise(r, s);
    case PLPGSQL_ASSERT: return assertion(r, s);
    case PLPGSQL_GET: return diagnostics(r, s);
    case PLPGSQL_RETURN: return returns(r, s);
    case PLPGSQL_RETURN_NEXT: return return_next(r, s);
    case PLPGSQL_RETURN_QUERY: return return_query(r, s);
    case PLPGSQL_NULL: return ERR_OK;
    case PLPGSQL_EXECUTE: return execute(r, s);
    case PLPGSQL_CURSOR: return cursor_statement(r, s);
    case PLPGSQL_TRANSACTION: return refuse_later(r, "2D000", "invalid transaction termination"), ERR_OK;
    }
    return ERR_OK;
}

static err body(struct routine *r, const plpgsql_body *b) {
    for (uint32_t i = 0; i < b->n; i++) TRY(one(r, b->p[i]));
    return ERR_OK;
}

/* ---- what is there before the body begins ---- */

static void named(struct routine *r, const char *name, uint32_t place, uint32_t type, const catalog_fields *fields) {
    struct sql_variable *v = arena_make(r->cx->mem, struct sql_variable);
    *v = (struct sql_variable){.name = str_c(name), .place = place, .type = type, .typmod = -1, .fields = fields};
    vec_push(r->cx->mem, &r->scope->list, v);
}

/* FOUND, NEW, OLD, then what is told of the trigger: query/change.c puts them there. */
static struct sql_variable *last(const struct routine *r) { return r->scope->list.p[r->scope->list.n - 1]; }

/* NEW and OLD are NULL where there is no such row: to_jsonb(new) is then, and a trigger that returns it passes the row over. */
static str present_text(struct routine *r, uint32_t op, const char *never, bool rows) {
    if (!rows) return STR("(0 = 1)");
    return sql_fmt(r->cx,
                   "(\x01"
                   "A%u\x02 <> '%s')",
                   op, never);
}

static void trigger_variables(struct routine *r, const struct catalog_trigger *t) {
    static const struct {
        const char *name;
        uint32_t type;
    } told[] = {{"tg_op", PG_TEXT},           {"tg_name", PG_NAME},  {"tg_when", PG_TEXT},
                {"tg_level", PG_TEXT},        {"tg_relid", PG_OID},  {"tg_relname", PG_NAME},
                {"tg_table_schema", PG_NAME}, {"tg_nargs", PG_INT4}, {"tg_argv", PG_TEXT_ARRAY}};
    catalog_fields *f = arena_make(r->cx->mem, catalog_fields);
    *f = (catalog_fields){0};
    for (uint32_t i = 0; i < r->rows->columns.n; i++)
        vec_push(r->cx->mem, f,
                 ((struct catalog_field){r->rows->columns.p[i].name, r->rows->columns.p[i].type, r->rows->columns.p[i].typmod}));
    r->fields = *f;
    named(r, "new", sql_routine_places(r, f->n), r->rows->row_type, f);
    struct sql_variable *new = last(r);
    named(r, "old", sql_routine_places(r, f->n), r->rows->row_type, f);
    uint32_t op = r->out->places + 1;
    bool rows = t && t->when & CATALOG_TRIGGER_ROW;
    if (!rows || t->when & CATALOG_TRIGGER_DELETE) new->present = present_text(r, op, "DELETE", rows);
    if (!rows || t->when & CATALOG_TRIGGER_INSERT) last(r)->present = present_text(r, op, "INSERT", rows);
    for (size_t i = 0; i < ARRAY_COUNT(told); i++) {
        uint32_t place = sql_routine_places(r, 1);
        named(r, told[i].name, place, told[i].type, NULL);
        if (!strcmp(told[i].name, "tg_relname")) named(r, "tg_table_name", place, told[i].type, NULL);
    }
    r->result = sql_routine_places(r, f->n);
}

/* REFERENCING: names in front of all others, of which query/routine_table.c gives the rows. */
void sql_transition_tables(struct sql_context *cx, const struct catalog_relation *of, str old_table, str new_table) {
    const struct sql_cte **given = arena_array(cx->mem, const struct sql_cte *, 2);
    uint32_t n = 0;
    for (uint32_t is_new = 0; of && is_new < 2; is_new++) {
        str name = is_new ? new_table : old_table;
        if (!name.n) continue;
        struct sql_cte *c = arena_make(cx->mem, struct sql_cte);
        *c = (struct sql_cte){.name = name, .alias = sql_fmt(cx, "query_transition(%u)", is_new), .n = of->columns.n};
        c->columns = arena_array(cx->mem, struct sql_column_out, c->n + 1);
        for (uint32_t i = 0; i < c->n; i++) {
            const struct catalog_column *k = &of->columns.p[i];
            c->columns[i] = (struct sql_column_out){.name = k->name, .type = k->type, .typmod = k->typmod};
        }
        given[n++] = c;
    }
    if (n) cx->given = given, cx->given_n = n;
}

/* WHEN (…): where it does not hold, the row goes on as it is. */
static err trigger_condition(struct routine *r, const struct catalog_trigger *t) {
    struct plpgsql_expr when = {t->condition.source, 0}, deletes = {STR_INIT("tg_op = 'DELETE'"), 0};
    uint32_t e, n = r->fields.n, new = 1, old = 1 + n;
    TRY(sql_routine_condition(r, &when, &e));
    uint32_t no = sql_routine_emit(r, CATALOG_OP_UNLESS, e, 0, 0, 0), yes = sql_routine_emit(r, CATALOG_OP_JUMP, 0, 0, 0, 0);
    sql_routine_land(r, no);
    TRY(sql_routine_condition(r, &deletes, &e));
    no = sql_routine_emit(r, CATALOG_OP_UNLESS, e, 0, 0, 0);
    sql_routine_emit(r, CATALOG_OP_RETURN, old, n, 0, 0);
    sql_routine_land(r, no);
    sql_routine_emit(r, CATALOG_OP_RETURN, new, n, 0, 0);
    sql_routine_land(r, yes);
    return ERR_OK;
}

static err argument_variables(struct routine *r) {
    uint32_t out = 0;
    const struct catalog_function *f = r->f;
    VEC(uint32_t) firsts = {0};
    for (uint32_t i = 0; i < f->arguments.n; i++) { /* a row takes as many places as it has columns */
        const struct catalog_argument *a = &f->arguments.p[i];
        const catalog_fields *fields = sql_routine_fields(r, a->type);
        bool takes = a->mode != CATALOG_OUT && a->mode != CATALOG_TABLE_COLUMN;
        vec_push(r->cx->mem, &firsts, takes ? sql_routine_places(r, fields ? fields->n : 1) : 0u);
    }
    TRY(sql_declared(r->cx, f, &r->fields));
    r->result = sql_routine_places(r, MAX(r->fields.n, 1u));
    sql_routine_emit(r, CATALOG_OP_CLEAR, r->result, MAX(r->fields.n, 1u), 0, 0);
    for (uint32_t i = 0; i < f->arguments.n; i++) {
        const struct catalog_argument *a = &f->arguments.p[i];
        bool gives = a->mode == CATALOG_OUT || a->mode == CATALOG_INOUT || a->mode == CATALOG_TABLE_COLUMN;
        bool takes = a->mode != CATALOG_OUT && a->mode != CATALOG_TABLE_COLUMN;
        uint32_t place = gives ? r->result + out : firsts.p[i];
        const catalog_fields *fields = gives ? NULL : sql_routine_fields(r, a->type);
        if (takes && gives) sql_routine_emit(r, CATALOG_OP_COPY, place, firsts.p[i], 1, 0);
        if (a->name.n) named(r, arena_cstr(r->cx->mem, a->name), place, a->type, fields);
        named(r, (const char *)sql_fmt(r->cx, "$%u", i + 1).p, place, a->type, fields);
        out += gives;
    }
    return ERR_OK;
}

static err end(struct routine *r) {
    bool is_void = !r->rows && (r->f->returns == PG_VOID || r->f->procedure || r->f->set),
         outs = !r->rows && !r->f->set && has_outs(r);
    if (outs) sql_routine_emit(r, CATALOG_OP_RETURN, r->result, r->fields.n, 0, 0);
    else sql_routine_emit(r, is_void ? CATALOG_OP_RETURN_NULL : CATALOG_OP_NO_RETURN, r->rows != NULL, 0, 0, 0);
    return r->cx->problem.set ? ERR_INVALID : ERR_OK;
}

/* Names are looked for where the function is, too: whoever calls it by that schema has it in his search path. */
static void own_path(struct sql_context *cx, const struct catalog_function *f) {
    const struct catalog_schema *s = catalog_schema_of(cx->catalog, f->schema);
    str *path = arena_array(cx->mem, str, cx->path_count + 1);
    uint32_t n = 0;
    if (s) path[n++] = s->name;
    for (uint32_t i = 0; i < cx->path_count; i++)
        if (!s || !str_eq(cx->path[i], s->name)) path[n++] = cx->path[i];
    cx->path = path, cx->path_count = n;
}

void sql_routine_inside(struct sql_context *cx, const struct catalog_function *f) {
    cx->definer = cx->definer_function = f->definer;
    own_path(cx, f);
    sql_path_of(cx, f);
}

static err compile(struct routine *r, const struct plpgsql_tree *tree, const struct catalog_trigger *t) {
    struct sql_variables scope;
    *r->out = (struct catalog_routine){0};
    sql_routine_inside(r->cx, r->f);
    sql_routine_open(r, &scope, r->f->name);
    scope.conflict = (uint8_t)tree->conflict;
    named(r, "found", sql_routine_places(r, 1), PG_BOOL, NULL);
    sql_routine_emit(r, CATALOG_OP_SET, ROUTINE_FOUND, sql_routine_text(r, STR("0")), 0, 0);
    if (r->rows) trigger_variables(r, t);
    else TRY(argument_variables(r));
    if (t) sql_transition_tables(r->cx, r->rows, t->old_table, t->new_table);
    if (t && t->condition.source.n) TRY(trigger_condition(r, t));
    TRY(block(r, tree->block));
    return end(r);
}

/* Twice: what is put into a record behind a statement, or in another branch, is known to it, too. */
err sql_compile_routine(struct sql_context *cx, const struct catalog_function *f, const struct catalog_relation *rows,
                        const struct catalog_trigger *t, struct catalog_routine *out) {
    struct plpgsql_tree tree;
    struct plpgsql_problem problem;
    struct routine_shapes shapes = {0};
    const struct sql_context before = *cx;
    *out = (struct catalog_routine){0};
    if (!plpgsql_parse(cx->mem, f->source, &tree, &problem))
        return sql_refuse(cx, (int32_t)problem.at, problem.state, "%s", problem.message);
    for (uint32_t pass = 0; pass < 2; pass++) {
        struct routine r = {
            .cx = cx, .f = f, .rows = rows, .out = out, .source = f->source, .shapes = &shapes, .second = pass > 0};
        if (pass && !shapes.fields.n) break; /* it has no records */
        uint64_t work = cx->work;
        *cx = before;
        cx->work = work;
        TRY(compile(&r, &tree, t));
        cx->problem = r.first;
    }
    return ERR_OK;
}
