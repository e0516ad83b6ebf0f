/* ddl_int: what the files that read statements share: the catalogue that is being made, what SQLite's tables look like meanwhile, and the report.
 *
 *   statement ─(statements.def)→ handler: sql_touch(relation), then the catalogue's structs are changed
 *                                                       │
 *   rows are looked at, or the end  ─→ physical.c: prints each touched table as it is now, against how it was printed when it was touched
 */
#ifndef ORLO_SQL_DDL_INT_H
#define ORLO_SQL_DDL_INT_H

#include "sql/parse.h"
#include "sql/sql.h"
#include "sql/translate.h"

/* A table as SQLite has it, from when it was first touched until it is brought up to date. */
struct sql_shape {
    uint32_t relation;
    str storage, table;  /* table: empty: there is none yet */
    catalog_ids numbers; /* its columns */
    catalog_names names; /* in SQLite */
    catalog_names index_names, index_texts;
};
/* What a column's value becomes when rows are next copied: SQLite text over the old columns. */
struct sql_fill {
    uint32_t relation, column;
    str text;
};
/* Where calls are, until a definition is changed (ddl_step.c). */
struct sql_place {
    bool open;
    VEC(struct catalog_function) calls;
    catalog_ids functions, relations; /* that they may come to: compiled */
    struct buf text;                  /* the catalogue of the place before, as text */
};
/* Where a function's body stands. */
struct sql_body {
    uint32_t function;
    const struct sql_file *file;
    const struct sql_statement *statement;
    int32_t at; /* as a location in the statement's tree */
};
struct sql_ddl {
    arena *mem;
    struct catalog *c;
    struct sql_plan *plan;
    struct sql_report *report;
    const struct sql_file *file;
    struct sql_plan_file *out;
    const struct sql_statement *statement;
    enum catalog_engine engine;
    const struct sql_reader *reader;
    bool platform; /* its own files are read */
    str path[16];
    uint32_t path_n;
    VEC(struct sql_shape) shapes;
    VEC(struct sql_fill) fills;
    struct sql_place place;
    struct map storage;                       /* names that SQLite has, in lower case → 1 */
    bool bodies_unchecked;                    /* set check_function_bodies = off, in this file */
    VEC(const struct sql_statement *) judged; /* report.statements' own */
    catalog_ids told;      /* functions of the platform's of which it was said that what they ask for is recorded */
    bool refreshing;       /* what is translated was accepted before */
    catalog_ids unchecked; /* functions that could not be translated yet, and were accepted */
    struct sql_trees trees;
    struct map poisoned;         /* relations and functions whose making was refused: what names them is not refused again */
    VEC(struct sql_body) bodies; /* of functions in PL/pgSQL that these files make */
    catalog_ids changed_functions, changed_keys; /* changed_keys: relations, of whose keys some may have come or gone */
    uint64_t statements;
    bool flushing;      /* steps are no one statement's */
    uint32_t first_id;  /* what has an id from here on this deployment makes */
    catalog_ids filled; /* of that, tables that may have rows by now */
    bool all_filled;
    catalog_ids on_commit;                 /* temporary tables that go at the next COMMIT */
    struct sql_asking *asking;             /* ddl_do.c's; NULL: nothing was asked yet */
    const struct sql_variables *variables; /* of the DO block whose statement is run */
    const struct db_value *places;         /* their values */
    uint32_t places_n;
};

/* ---- report.c: saying things ---- */

/* location: in the tree, -1: the statement itself. Both give ERR_INVALID. instead may be NULL. */
err sql_refuse_at(struct sql_ddl *d, int32_t location, const char *state, const char *instead, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
/* PostgreSQL could; on that engine it is a remark, and ERR_OK. */
err sql_needs_postgres(struct sql_ddl *d, int32_t location, const char *instead, const char *fmt, ...) PRINTF_LIKE(4, 5);
void sql_remark(struct sql_ddl *d, int32_t location, const char *instead, const char *fmt, ...) PRINTF_LIKE(4, 5);
void sql_ignored(struct sql_ddl *d, int32_t location, const char *fmt, ...)
    PRINTF_LIKE(3, 4); /* nothing comes of it, nor need it */
void sql_recorded(struct sql_ddl *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
err sql_refuse_problem(struct sql_ddl *d, const struct sql_context *cx);
/* What cx says could not be translated, if it is SQLite that lacks it: what `fmt` names ("function f") is deployed, and raises 0A000 with *why_not when it is
 * run: ERR_OK, and said. Else it is refused. */
err sql_put_off(struct sql_ddl *d, const struct sql_context *cx, str *why_not, const char *fmt, ...) PRINTF_LIKE(4, 5);
bool sql_is_lack(const struct sql_ddl *d, const struct sql_problem *p); /* … of SQLite's, and no mistake */
void sql_raises(struct sql_ddl *d, int32_t location, const char *code, const char *instead, const char *fmt, ...)
    PRINTF_LIKE(5, 6);
void sql_note_add(arena *mem, struct sql_report *report, struct sql_note note);
err sql_no_relation(struct sql_ddl *d, const PgQuery__RangeVar *var);

/* ---- names.c: finding what a statement names ---- */

struct sql_context sql_context_of(struct sql_ddl *d);
const struct catalog_schema *sql_schema_for(struct sql_ddl *d, const char *name,
                                            int32_t location); /* where something new goes; NULL: said */
/* The same, for what is to be made in it: not the platform's, but for public and extensions. NULL: refused */
const struct catalog_schema *sql_schema_to_fill(struct sql_ddl *d, const char *name, int32_t location);
err sql_must_own(struct sql_ddl *d, const struct catalog_relation *r, int32_t location);   /* 42501: the platform's */
struct catalog_relation *sql_relation_of(struct sql_ddl *d, const PgQuery__RangeVar *var); /* NULL: there is none, not said */
struct catalog_relation *sql_relation_by(struct sql_ddl *d, str schema, str name);
struct catalog_relation *sql_table_of(struct sql_ddl *d, const PgQuery__RangeVar *var, bool missing_ok,
                                      err *e);                                 /* a table; NULL: *e */
void sql_names(PgQuery__Node *const *nodes, size_t n, str *schema, str *name); /* of [schema.]name */
struct catalog_type *sql_type_by(struct sql_ddl *d, PgQuery__Node *const *nodes, size_t n);
struct catalog_sequence *sql_sequence_by(struct sql_ddl *d, str schema, str name);
struct catalog_function *sql_function_by(struct sql_ddl *d, const PgQuery__ObjectWithArgs *o, bool *several);
uint32_t sql_role_by(struct sql_ddl *d, const PgQuery__RoleSpec *role, err *e);
struct catalog_column *sql_column_by(struct catalog_relation *r, str name);
str sql_dotted(struct sql_ddl *d, str schema, str name);
const PgQuery__DefElem *sql_option(PgQuery__Node *const *options, size_t n, const char *name);
str sql_option_text(const PgQuery__DefElem *o);
err sql_extension_drop(struct sql_ddl *d, const PgQuery__DropStmt *s, const PgQuery__Node *o);
/* What stands for a statement about extensions on PostgreSQL, in the arena; empty: it is as it is. */
str sql_extension_step(arena *mem, const PgQuery__Node *node, str text);
bool sql_option_true(const PgQuery__DefElem *o);
int64_t sql_option_i64(const PgQuery__DefElem *o, int64_t otherwise);
/* A name of SQLite's for what is `name` in the schema; nobody else's. */
str sql_storage_name(struct sql_ddl *d, uint32_t schema, str name, uint32_t id);
void sql_storage_note(struct sql_ddl *d, str storage);
void sql_storage_free(struct sql_ddl *d, str storage);
/* table_column_suffix, as PostgreSQL makes up a name; of no other constraint or relation. */
str sql_made_name(struct sql_ddl *d, const struct catalog_relation *r, str column, const char *suffix);
bool sql_name_taken(struct sql_ddl *d, uint32_t schema, str name); /* by a table, index, sequence, view */

/* ---- expressions ---- */

struct sql_expr_use {
    const struct catalog_relation *row;
    enum sql_row_kind kind;
    uint32_t type; /* PG_NO_TYPE: any */
    int32_t typmod;
    enum pg_context context;
    const char *clause;
    str column;
    bool no_subquery, no_volatile;
    bool optional; /* what SQLite lacks for it is no refusal: there is no fragment then, and why_not says why */
    str what;      /* for what is said of it; empty: by its clause */
    str source;    /* the text that the node was read of; empty: it is printed */
};
/* Text and fragment; what cannot be translated is refused, and the text stays. */
err sql_expr_into(struct sql_ddl *d, const PgQuery__Node *node, const struct sql_expr_use *use, struct catalog_expr *out);

void sql_note_recorded(struct sql_ddl *d, const struct catalog_fragment *f); /* it calls such a one */
void sql_function_settle(struct sql_ddl *d, bool last); /* bodies that were not looked at: what they name may be there now */
void sql_absent_type(struct sql_ddl *d, const struct catalog_schema *s, str name); /* holds nothing but NULL */

/* ---- physical.c ---- */

void sql_touch(struct sql_ddl *d, const struct catalog_relation *r); /* before it is changed */
void sql_fill_add(struct sql_ddl *d, const struct catalog_relation *r, uint32_t column, const struct catalog_fragment *f);
bool sql_unmade(const struct sql_ddl *d, uint32_t relation); /* SQLite has no such table yet: it has no rows */
void sql_flush(struct sql_ddl *d);                           /* SQLite's tables become what the catalogue says */
void sql_step(struct sql_ddl *d, str text);
err sql_too_complex(struct sql_ddl *d);
/* Marks as SQLite's names: relations themselves, views as what they select. Empty: that is too much. */
str sql_expanded(struct sql_ddl *d, str fragment, const struct catalog_relation *row);

/* ---- ddl_step.c ---- */

bool sql_is_call(struct sql_ddl *d, const struct catalog_fragment *f,
                 str text);                                      /* is a statement to be run as one? text: expanded */
err sql_step_with(struct sql_ddl *d, const PgQuery__Node *node); /* whose WITH writes */
void sql_step_statement(struct sql_ddl *d, const struct catalog_fragment *f);
struct catalog_function sql_step_function(struct sql_ddl *d, str source); /* for a call: the owner's, of no arguments */
void sql_step_call(struct sql_ddl *d, struct catalog_function f);         /* compiled */
void sql_place_end(struct sql_ddl *d);                                    /* before a definition is changed, and at the end */

/* ---- changes that several statements make ---- */

struct catalog_relation *sql_relation_new(struct sql_ddl *d, const struct catalog_schema *s, str name,
                                          enum catalog_relation_kind kind);
void sql_relation_drop(struct sql_ddl *d, uint32_t id);
str sql_column_storage(struct sql_ddl *d, const struct catalog_relation *r, str name, uint32_t number); /* its name in SQLite */
err sql_column_add(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__ColumnDef *def);
err sql_column_constraints(struct sql_ddl *d, uint32_t relation, const PgQuery__ColumnDef *def);
err sql_constraint_add(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__Constraint *k, str column);
err sql_exclusion_add(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__Constraint *k);
bool sql_exclusion_drop(struct sql_ddl *d, struct catalog_relation *r, str name); /* false: there is none */
void sql_constraint_drop(struct sql_ddl *d, struct catalog_relation *r, uint32_t id);
void sql_grants_follow(struct sql_ddl *d, catalog_grants *g, uint32_t from, uint32_t to); /* an object's, with its owner */
void sql_grants_new(struct sql_ddl *d, uint32_t owner, uint32_t schema, enum catalog_object object, catalog_grants *grants);
struct catalog_sequence *sql_sequence_new(struct sql_ddl *d, const struct catalog_schema *s, str name);
err sql_sequence_options(struct sql_ddl *d, struct catalog_sequence *q, PgQuery__Node *const *options, size_t n);
void sql_compile_routines(struct sql_ddl *d); /* PL/pgSQL, once all is there that it may name */
void sql_compile_triggers(struct sql_ddl *d);
/* What the compiler says of a body, where it stands. */
void sql_tell_body(struct sql_ddl *d, const struct catalog_function *f, struct sql_context *cx, err e, str *why_not);
/* A function, and a relation's triggers, as things are now, without a word. */
void sql_compile_here(struct sql_ddl *d, struct catalog_function *f);
void sql_compile_triggers_here(struct sql_ddl *d, const struct catalog_relation *r);
void sql_refresh(struct sql_ddl *d); /* what functions that changed are a part of */
void sql_path_reset(struct sql_ddl *d);

/* ---- ddl_temporary.c ---- */

void sql_path_begin(struct sql_ddl *d);                               /* empty, but for what is looked through before all */
const struct catalog_schema *sql_temporary_schema(struct sql_ddl *d); /* made by its first use */
err sql_temporary_may(struct sql_ddl *d, const PgQuery__RangeVar *var, PgQuery__OnCommitAction action);
void sql_temporary_is(struct sql_ddl *d, uint32_t relation, const PgQuery__RangeVar *var, PgQuery__OnCommitAction action);
void sql_temporary_committed(struct sql_ddl *d); /* a transaction of the file's, or the file, ends */
void sql_temporary_end(struct sql_ddl *d);       /* all files are read */

/* ddl_view.c: what a view, or materialized one, selects, anew */
err sql_view_query(struct sql_ddl *d, struct catalog_relation *r, const PgQuery__SelectStmt *query);
err sql_view_check_option(struct sql_ddl *d, struct catalog_relation *r, uint8_t option);
uint8_t sql_check_option_of(const PgQuery__DefElem *o); /* NULL: none */
void sql_note_rows(struct sql_ddl *d, const PgQuery__Node *node,
                   str fragment);                    /* a statement changes rows: which tables may have some now? */
err sql_do_block_run(struct sql_ddl *d, str source); /* ddl_do.c */
err sql_drop_referring(struct sql_ddl *d, const struct catalog_relation *r, bool cascade);
err sql_statement_run(struct sql_ddl *d, const PgQuery__Node *node);

/* The table of statements. */
#define STATEMENT(node, member, handler, what, how) err sql_do_##handler(struct sql_ddl *d, const PgQuery__Node *node_);
#include "sql/statements.def"
#undef STATEMENT

#endif
