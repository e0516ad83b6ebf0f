/* translate: expressions, queries and statements of PostgreSQL's language, as trees, made into checked SQLite text (fragments).
 *
 *   struct sql_context cx = {.mem = mem, .catalog = c, .path = path, .path_count = 2, .row = relation, .row_kind = SQL_ROW_AT_HAND};
 *   struct sql_want want = {.type = PG_BOOL, .typmod = -1, .context = PG_ASSIGNMENT, .clause = "POLICY"};
 *   if (sql_translate_expr(&cx, node, &want, &fragment)) … cx.problem says SQLSTATE, message, hint and where
 *
 * 1. Names, types and overloads are resolved as PostgreSQL does (its chapter "Type Conversion"), and what it refuses is refused with its
 *    SQLSTATE and words. What it accepts and is not there on SQLite is 0A000, and says what.
 * 2. Nothing of the text of a name or a literal reaches SQLite unquoted. Every identifier is quoted, every FROM item has an alias of ours.
 * 3. Work and text are bounded: what SQLite's parser does not take (struct sql_reader), nesting (SQL_DEPTH_MAX), what functions and views expand to (SQL_TEXT_MAX, SQL_INLINE_MAX): 54001.
 * 4. What PostgreSQL would not evaluate is not evaluated where that could raise: CASE, COALESCE, AND, OR. Volatile functions are called once a row.
 */
#ifndef ORLO_SQL_TRANSLATE_H
#define ORLO_SQL_TRANSLATE_H

#include <pg_query/pg_query.pb-c.h>

#include "base/base.h"
#include "catalog/catalog.h"
#include "pg/pg.h"

enum {
    SQL_DEPTH_MAX = 200,
    SQL_INLINE_MAX = 16,
    SQL_TEXT_MAX = 1 << 20,
    SQL_COPIED_MAX = 8 << 20,
    SQL_WORK_MAX = 64 << 20 /* bytes made on the way */
};

/* What went wrong first. location: byte offset in the text that the tree was made of; -1: not known. Ours, in a function's body that was
 * taken in elsewhere: `in` names the function. */
struct sql_problem {
    bool set;
    char state[6];
    char message[512], detail[256], hint[256];
    char in[128];
    int32_t location;
};

/* What an unqualified column name of no FROM item is. */
enum sql_row_kind {
    SQL_ROW_NONE,
    SQL_ROW_AT_HAND, /* \x01C: policies, checks, generated columns, indexes; the relation's name qualifies them */
    SQL_ROW_NEW,     /* \x01N: as above, of the row that is written (defaults have none) */
    SQL_ROW_VALUE,   /* \x01C0: VALUE of a domain's check */
};
struct sql_inline; /* internal: functions that are being taken in */
struct sql_scope;
struct sql_cte;
struct sql_argument_values;
struct sql_variables;

/* What SQLite's parser says of a text: it has limits of its own, which are not to be found out by the first who asks for a row. */
struct sql_reader {
    bool (*reads)(void *arg, str text); /* false: it is too complex */
    void *arg;
};

/* Trees of texts that were read before: a body's expressions are read in each pass, and wherever the body is compiled. Nobody changes one. */
struct sql_trees {
    struct map by_text;
};
struct sql_context {
    arena *mem; /* results and what is made on the way */
    const struct catalog *catalog;
    const str *path; /* search_path, without pg_catalog */
    uint32_t path_count;
    const struct catalog_relation *row;
    enum sql_row_kind row_kind;
    uint32_t value_type; /* SQL_ROW_VALUE */
    int32_t value_typmod;
    const struct catalog_function *function; /* its arguments, by name and $n, are \x01A */
    bool definer;  /* relations are \x01B (views without security_invoker, security definer functions, migrations), else \x01R */
    bool migrates; /* what runs at deployment: statements of migration files and seeds */
    bool looks;    /* … a select, whose rows nobody takes: it may ask the system's catalogue */
    bool looked;   /* out: it does */
    bool copied;   /* … rows of another database, whose values are as large as they are: SQL_COPIED_MAX */
    bool owners;   /* a statement that is asked as the owner: so is what it calls */
    bool dynamic;  /* a text that is made while a function runs */
    struct sql_problem problem;
    const struct sql_reader *reader; /* NULL: nobody is asked */
    struct sql_trees *trees;         /* of mem; NULL: each text is read anew */

    /* internal from here; zeroes at first */
    struct sql_scope *scope;
    const struct sql_inline *inlining;
    const struct sql_argument_values *arguments;
    const struct sql_variables *variables; /* PL/pgSQL's */
    uint32_t procedure;                    /* that CALL calls: else they are none to a query */
    const struct sql_cte *const *given;    /* names in front of all others: rows that an earlier statement left */
    uint32_t given_n;
    uint32_t depth, aliases, flags, level_base;
    uint64_t work;
    catalog_ids reads, calls, schemas;
    bool condition;        /* what is read is a condition, and null is as good as false */
    bool truth;            /* … whose AND and OR SQLite evaluates from left to right, and no further than needed */
    bool late;             /* a record was named whose fields are not known yet */
    bool definer_function; /* inside of a security definer function: what it calls runs with its rights too */
};

struct sql_want {
    uint32_t type; /* PG_NO_TYPE: whatever it is */
    int32_t typmod;
    enum pg_context context;
    const char *clause; /* "WHERE", "POLICY", "CHECK": its value has to be boolean; subqueries: see no_subquery */
    str column;         /* for the message of a failed assignment: column "x" is of type … but expression is of type … */
    bool no_subquery, no_set, no_volatile; /* refused: cannot use subquery in check constraint … */
};

/* Which table's column a value is, and nothing else. */
struct sql_origin {
    uint32_t relation; /* 0: none's */
    uint16_t number;
    const uint8_t *text; /* the value's, as it was made */
};
struct sql_column_out {
    str name; /* as PostgreSQL names it */
    uint32_t type;
    int32_t typmod;
    bool not_null;
    struct sql_origin origin;
};
struct sql_columns {
    struct sql_column_out *p;
    uint32_t n;
};

/* All give ERR_INVALID (PostgreSQL refuses it too), ERR_UNSUPPORTED (state 0A000) or ERR_LIMIT (54001), with cx->problem set. out lives in
 * cx->mem. */
[[nodiscard]] err sql_translate_expr(struct sql_context *cx, const PgQuery__Node *node, const struct sql_want *want,
                                     struct catalog_fragment *out);
/* names: what the columns are to be called in SQLite (a view's storage names); NULL: as PostgreSQL names them. columns may be NULL. */
[[nodiscard]] err sql_translate_query(struct sql_context *cx, const PgQuery__SelectStmt *select, const str *names,
                                      uint32_t names_count, struct catalog_fragment *out, struct sql_columns *columns);
/* Of a query that could be translated: how a view of it is written through (catalog_relation). numbers: of each column the one of the base that it is, or
 * 0. base 0: it is not, because … (PostgreSQL's words). */
struct sql_through {
    uint32_t base;
    str list, from, where;
    const char *why_not;
    uint16_t *numbers;
    uint32_t count;
    bool columns; /* one of them is the base's */
};
[[nodiscard]] err sql_translate_through(struct sql_context *cx, const PgQuery__SelectStmt *select, const str *names,
                                        uint32_t names_count, struct sql_through *out);
/* INSERT, UPDATE, DELETE. columns: of RETURNING; may be NULL. */
[[nodiscard]] err sql_translate_dml(struct sql_context *cx, const PgQuery__Node *statement, struct catalog_fragment *out,
                                    struct sql_columns *columns);
/* Any of the four; what is none of them is ERR_USAGE, and nothing is said. */
[[nodiscard]] err sql_translate_statement(struct sql_context *cx, const PgQuery__Node *statement, struct catalog_fragment *out,
                                          struct sql_columns *columns);
/* Of a function of language sql: reads f->source, f->arguments, f->returns …, and sets f->statements and f->columns, or f->why_not where it
 * is not runnable here; then it is ERR_OK too, unless PostgreSQL would have refused it at CREATE FUNCTION. cx: catalog, path, mem. */
[[nodiscard]] err sql_translate_function(struct sql_context *cx, struct catalog_function *f);

/* A statement whose WITH writes, as a routine that is called. */
[[nodiscard]] err sql_compile_statement(struct sql_context *cx, const struct catalog_function *f, const PgQuery__Node *node,
                                        struct catalog_routine *out);
/* Of one in PL/pgSQL, or of a trigger, whose rows are r's (else NULL): out is what is run. What PostgreSQL says when a statement is run (all but syntax) is said
 * then, and is here in cx->problem with ERR_OK, the first of it: a remark for whoever deploys. location is in the body. */
[[nodiscard]] err sql_compile_routine(struct sql_context *cx, const struct catalog_function *f, const struct catalog_relation *r,
                                      const struct catalog_trigger *t, struct catalog_routine *out);

/* Of a text that a function runs (catalog.h), from bytes to bytes: what is wrong with it stands in the answer. reader: as sql_migrate's. ERR_INVALID: they are no text's. */
[[nodiscard]] err sql_text_answers(const struct catalog *c, const struct sql_reader *reader, str text, struct buf *answer,
                                   struct diag *d);

/* A type's name as it was written. ERR_INVALID: 42704, and the rest of PostgreSQL's words. serial and its kin are none. */
[[nodiscard]] err sql_type_named(struct sql_context *cx, const PgQuery__TypeName *name, uint32_t *type, int32_t *typmod);
/* Built in or the catalogue's (made in cx->mem); NULL: there is none. */
const struct pg_type *sql_type_of(struct sql_context *cx, uint32_t id);
/* Enough of the catalogue for pg_value_in and its kin, as long as cx lives. */
void sql_types_of(struct sql_context *cx, struct pg_types *out);
/* By the search path. NULL: 42P01 is not set; say so yourself. schema may be empty. */
const struct catalog_relation *sql_relation_named(const struct sql_context *cx, str schema, str name);

/* "name" with its quotes doubled, in mem; a literal of text. For whoever prints DDL beside this. */
str sql_quoted(arena *mem, str name);
str sql_literal_text(arena *mem, str text);
/* What raises 0A000 when it is evaluated: that `what` cannot be run on SQLite, and why. */
str sql_raising(arena *mem, str what, str why_not);
/* Of any value in storage form. */
str sql_literal(arena *mem, struct db_value v);

#endif
