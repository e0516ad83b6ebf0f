/* Of PL/pgSQL's compiler: routine.c has the statements, routine_expr.c variables and what stands in statements of SQL. */
#ifndef ORLO_SQL_ROUTINE_INT_H
#define ORLO_SQL_ROUTINE_INT_H

#include "plpgsql/plpgsql.h"
#include "sql/translate_int.h"

/* What EXIT and CONTINUE lead out of. */
struct routine_loop {
    struct routine_loop *outer;
    str label;
    uint32_t tries; /* open where it began */
    bool is_block;
    VEC(uint32_t) exits, nexts; /* jumps that wait for their place */
};
struct routine_cursor { /* a variable's */
    uint32_t slot;
    bool bound, no_scroll;
    bool known, dynamic, several; /* its columns are `columns`; found out when it is opened; not the same each time */
    uint32_t e;                   /* its query, of a bound one */
    catalog_fields columns;
    VEC(struct sql_variable *) parameters;
};
struct routine_shapes {
    VEC(catalog_fields) fields; /* all that are put into a record, each name and type once */
    VEC(bool) several;
    VEC(bool) late;
};
struct routine {
    struct sql_context *cx;
    const struct catalog_function *f;
    const struct catalog_relation *rows; /* a trigger's */
    struct catalog_routine *out;
    struct sql_variables *scope;
    struct routine_loop *loops;
    catalog_fields fields;         /* of what it returns */
    uint32_t result;               /* their first place */
    struct routine_shapes *shapes; /* of its records: the first pass finds them */
    uint32_t records;
    bool second, assigns, returning, returns_variable;
    bool was_late, late_types; /* the fragment that was made last is CATALOG_LATE; its own type may be told when it is run */
    uint32_t tries, cursors, hidden, writes, handlers;
    str source;
    uint32_t at;              /* of the statement at hand */
    uint32_t counted, line;   /* lines up to there */
    struct sql_problem first; /* of what is said when it runs */
};

enum { ROUTINE_FOUND = 0, ROUTINE_NONE = UINT32_MAX };

/* ---- routine_expr.c ---- */

uint32_t sql_routine_places(struct routine *r, uint32_t n);
struct sql_variable *sql_routine_variable(struct routine *r, str name, uint32_t type, int32_t typmod,
                                          const catalog_fields *fields);
void sql_routine_shape(struct routine *r, struct sql_variable *v, const catalog_fields *fields); /* a record's new fields */
void sql_routine_record(struct routine *r, struct sql_variable *v);                              /* which is one */
void sql_routine_fill(struct routine *r, const struct sql_variable *v, const catalog_fields *fields, uint32_t from);
void sql_routine_open(struct routine *r, struct sql_variables *scope, str label);
uint32_t sql_routine_emit(struct routine *r, enum catalog_op op, uint32_t a, uint32_t b, uint32_t c, uint32_t d);
uint32_t sql_routine_here(const struct routine *r);
void sql_routine_land(struct routine *r, uint32_t jump); /* the jump leads to what comes next */

/* An expression's value, of the type (PG_NO_TYPE: of its own, which is told), as a statement's number. */
err sql_routine_value(struct routine *r, const struct plpgsql_expr *x, uint32_t type, int32_t typmod, uint32_t *e, uint32_t *of);
err sql_routine_condition(struct routine *r, const struct plpgsql_expr *x, uint32_t *e);
/* The same of a target whose part (a[i], a[b:c], a.f) it becomes: *e is the whole of it then. */
struct routine_target;
err sql_routine_part(struct routine *r, const struct routine_target *to, const plpgsql_exprs *steps, const struct plpgsql_expr *x,
                     uint32_t *e);
/* A place's value as another type's. */
err sql_routine_cast(struct routine *r, uint32_t from, uint32_t from_type, uint32_t type, int32_t typmod, uint32_t *e);
bool sql_routine_is_call(struct routine *r, const struct plpgsql_expr *x); /* of a function of the catalogue's that gives a row */
/* A row, into places: `fields` of them. *null: it is NULL, or there are no fields: nothing was emitted. *present: says whether there is one; ROUTINE_NONE:
 * there is. */
err sql_routine_row(struct routine *r, const struct plpgsql_expr *x, const catalog_fields *fields, uint32_t places, bool *null,
                    uint32_t *present);
/* The row's own fields, where it is one; n 0: it is none. */
err sql_routine_row_shape(struct routine *r, const struct plpgsql_expr *x, catalog_fields *fields, uint32_t *type);
/* A query or a statement; want: types that its columns are made to, as far as they go; columns: what they are then. */
/* Of what is made already, with what it reads and calls: a statement's number. */
uint32_t sql_routine_add(struct routine *r, struct catalog_fragment f);
err sql_routine_statement(struct routine *r, const struct plpgsql_expr *x, const catalog_fields *want, uint32_t *e,
                          catalog_fields *columns, bool *is_select);
/* The same of a tree, with cx->problem set where that cannot be: nothing is put off. ERR_OK, text empty: it does nothing. */
err sql_routine_fragment(struct routine *r, const PgQuery__Node *node, const catalog_fields *want, struct catalog_fragment *out,
                         catalog_fields *columns);
void sql_routine_inside(struct sql_context *cx, const struct catalog_function *f); /* names, and rights, as in its body */
const catalog_fields *sql_routine_fields(struct routine *r, uint32_t type);        /* of a row's type; NULL: it is none */
/* Text of ours as a value's: a fragment. */
uint32_t sql_routine_text(struct routine *r, str sql);
uint32_t sql_routine_refusal(struct routine *r, const char *state,
                             const char *message); /* what says that, when it is evaluated */
void sql_transition_tables(struct sql_context *cx, const struct catalog_relation *of, str old_table, str new_table);
/* ---- routine_call.c ---- */

/* CALL p(…) as a query of the procedure, and the variables that take what it gives. *refused: it is said when it is run. */
err sql_routine_call(struct routine *r, const struct plpgsql_expr *x, struct plpgsql_expr *query, plpgsql_targets *targets,
                     bool *refused);
bool sql_routine_is_procedure_call(const struct plpgsql_expr *x);
err sql_routine_parse(struct routine *r, const char *before, const struct plpgsql_expr *x, const PgQuery__Node **out);

/* What a name stands for, to be assigned to. */
struct routine_target {
    struct sql_variable *variable; /* a whole one */
    uint32_t place, type;
    int32_t typmod;
    uint32_t names; /* so many of the target's are its own; what is behind is steps into it */
    str name;       /* the first of them */
};
err sql_routine_target(struct routine *r, const struct plpgsql_target *t, struct routine_target *out, bool *later);
err sql_routine_type(struct routine *r, const struct plpgsql_expr *text, uint32_t *type, int32_t *typmod,
                     const catalog_fields **fields, bool *record);
err sql_routine_say(struct routine *r, uint32_t at, const char *state, const char *fmt, ...)
    PRINTF_LIKE(4, 5); /* at deployment */

/* routine_with.c: a statement whose WITH writes: its other parts are emitted, and it is what is left. */
/* routine_merge.c: MERGE as a statement whose WITH writes; its first query of that name is kept. */
#define SQL_MERGE "_orlo_merge"
struct sql_merge {
    const PgQuery__Node *node;
    uint32_t keys;    /* columns that find a row of its target, before the last one */
    uint32_t changes; /* bits: its clauses that change a row */
    VEC(const PgQuery__Node *)
    checks; /* what is asked where nothing matched, of the source alone: nothing of the target is known there */
};
err sql_routine_merge(struct sql_context *cx, const PgQuery__MergeStmt *m, struct sql_merge *out);

bool sql_writes_in_with(const PgQuery__Node *node); /* or is MERGE */
err sql_routine_with(struct routine *r, const PgQuery__Node *node, const catalog_fields *want, struct catalog_fragment *out,
                     catalog_fields *columns);

#endif
