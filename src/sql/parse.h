/* parse: PostgreSQL's text as trees, by PostgreSQL's own parser (libpg_query).
 *
 * 1. What is given to the parser is bounded before: bytes of a statement, and how many terms stand between two commas on all levels together,
 *    which is how deep a tree can get. All of it is called on a stack for that depth (sql_on_deep_stack).
 * 2. A statement that cannot be read does not hide the others: they are read one by one then.
 */
#ifndef ORLO_SQL_PARSE_H
#define ORLO_SQL_PARSE_H

#include <pg_query/pg_query.pb-c.h>

#include "base/base.h"

struct sql_statement {
    const PgQuery__Node *node; /* NULL: it cannot be read */
    uint32_t offset, bytes;    /* in the file */
    uint32_t base;             /* added to a location in the tree, it is an offset in the file */
    char state[6];             /* "42601", "54001"; with message, and where */
    str message;
    uint32_t at;           /* offset in the file */
    uint32_t line, column; /* of offset, from 1, in characters */
    uint8_t verdict;       /* enum sql_verdict, and why: what is said of it (report.c) */
    str why;
};
typedef VEC(struct sql_statement) sql_statements;
void sql_parse(arena *mem, str text, sql_statements *out);
/* … of a dump: rows behind COPY … FROM stdin and psql's own lines are passed over. */
void sql_parse_dump(arena *mem, str text, sql_statements *out);

/* Text that was refused with these words, as this parser reads it: false: it is none of what a newer one would take. tries: 0 at first. */
bool sql_newer(arena *mem, str *text, const char *message, int cursor, uint32_t *tries);

/* Runs it on a thread of its own, and waits for its end. */
void sql_on_deep_stack(void *(*fn)(void *), void *arg);
/* Line and column, from 1, in characters; of an offset in the statement, or behind it. */
void sql_place(str text, const struct sql_statement *in, uint64_t offset, uint32_t *line, uint32_t *column);
/* An expression or a query as PostgreSQL's text again; empty: it cannot be printed. */
str sql_expr_text(arena *mem, const PgQuery__Node *node);
str sql_statement_text(arena *mem, const PgQuery__Node *node);
/* The tree of what sql_expr_text has printed; NULL: it is none. */
const PgQuery__Node *sql_expr_tree(arena *mem, str text);
const PgQuery__Node *sql_statement_tree(arena *mem, str text);

#endif
