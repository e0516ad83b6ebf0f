/* plpgsql: the text of a PL/pgSQL body as a tree. What stands in it of SQL (expressions, queries, statements) is left as text, with its place.
 *
 *   struct plpgsql_tree tree;
 *   struct plpgsql_problem problem;
 *   if (!plpgsql_parse(mem, source, &tree, &problem)) … problem.at says where, problem.message in PostgreSQL's words
 *
 * 1. The grammar is PostgreSQL 15's (its chapter "PL/pgSQL"): where an expression ends, what INTO is taken out of a statement, which words begin one.
 * 2. A word's case is folded as in SQL; a quoted name's is not. Nothing is looked up here.
 * 3. Blocks and loops nest as deep as PLPGSQL_DEPTH_MAX. Statements, declarations, arms, handlers, and what is listed in a statement are as many as
 *    PLPGSQL_PARTS_MAX together: each is looked up or compiled by whoever reads the tree. Time and memory are in proportion to the body's bytes.
 */
#ifndef ORLO_PLPGSQL_H
#define ORLO_PLPGSQL_H

#include "base/base.h"

enum { PLPGSQL_DEPTH_MAX = 100, PLPGSQL_PARTS_MAX = 20'000, PLPGSQL_BYTES_MAX = 1 << 20 };

enum plpgsql_kind {
    PLPGSQL_BLOCK,
    PLPGSQL_IF,
    PLPGSQL_CASE,
    PLPGSQL_LOOP,
    PLPGSQL_WHILE,
    PLPGSQL_FOR_INTEGER,
    PLPGSQL_FOR_QUERY,
    PLPGSQL_FOREACH,
    PLPGSQL_EXIT,
    PLPGSQL_CONTINUE,
    PLPGSQL_ASSIGN,
    PLPGSQL_SQL, /* any statement of SQL's */
    PLPGSQL_PERFORM,
    PLPGSQL_EXECUTE,
    PLPGSQL_RAISE,
    PLPGSQL_ASSERT,
    PLPGSQL_GET,
    PLPGSQL_RETURN,
    PLPGSQL_RETURN_NEXT,
    PLPGSQL_RETURN_QUERY,
    PLPGSQL_NULL,
    PLPGSQL_CURSOR, /* open, fetch, move, close, and a loop over one */
    PLPGSQL_TRANSACTION,
};
enum plpgsql_level { PLPGSQL_DEBUG, PLPGSQL_LOG, PLPGSQL_INFO, PLPGSQL_NOTICE, PLPGSQL_WARNING, PLPGSQL_EXCEPTION };

struct plpgsql_expr {
    str text;    /* empty: there is none */
    uint32_t at; /* where it begins in the source */
};
typedef VEC(struct plpgsql_expr) plpgsql_exprs;
/* v, v.f, v.f.g, with [i] behind it. */
struct plpgsql_target {
    str names[3];
    uint32_t n, at;
    plpgsql_exprs steps; /* of an assignment, behind the names: [i], [a:b], .field (as it is, without quotes) */
};
typedef VEC(struct plpgsql_target) plpgsql_targets;
struct plpgsql_option { /* of RAISE … USING, GET DIAGNOSTICS, a cursor's parameters (the value is a type) and arguments */
    str name;
    struct plpgsql_expr value;
    struct plpgsql_target target;
};
typedef VEC(struct plpgsql_option) plpgsql_options;
struct plpgsql_declaration {
    str name, alias; /* alias: ALIAS FOR it */
    struct plpgsql_expr type, value /* of a cursor its query */;
    bool constant, not_null, cursor, no_scroll;
    plpgsql_options parameters;
    uint32_t at;
};
typedef VEC(str) plpgsql_names;
enum plpgsql_cursor_does { PLPGSQL_OPEN, PLPGSQL_FETCH, PLPGSQL_MOVE, PLPGSQL_CLOSE, PLPGSQL_FOR_CURSOR };
enum plpgsql_seek {
    PLPGSQL_SEEK_NEXT,
    PLPGSQL_SEEK_PRIOR,
    PLPGSQL_SEEK_FIRST,
    PLPGSQL_SEEK_LAST,
    PLPGSQL_SEEK_ABSOLUTE, /* with a count, these three */
    PLPGSQL_SEEK_RELATIVE,
    PLPGSQL_SEEK_FORWARD,
    PLPGSQL_SEEK_BACKWARD,
    PLPGSQL_SEEK_FORWARD_ALL,
    PLPGSQL_SEEK_BACKWARD_ALL,
    PLPGSQL_SEEKS
};
struct plpgsql_statement;
typedef VEC(struct plpgsql_statement *) plpgsql_body;
struct plpgsql_arm { /* IF, ELSIF: one condition; CASE: of WHEN a, b one text */
    struct plpgsql_expr when;
    plpgsql_body body;
};
struct plpgsql_handler {
    plpgsql_names conditions;
    plpgsql_body body;
};
struct plpgsql_statement {
    enum plpgsql_kind kind;
    uint32_t at;
    str label;                  /* its own; of EXIT and CONTINUE: where to */
    struct plpgsql_expr expr;   /* condition, value, query, statement; of EXECUTE: the text's */
    struct plpgsql_expr by, to; /* FOR i IN expr .. to BY by */
    plpgsql_exprs exprs;        /* USING of EXECUTE, parameters of RAISE */
    plpgsql_targets targets;    /* INTO, of loops what they set, of an assignment its target */
    bool into, strict, reverse, dynamic /* FOR … IN EXECUTE, RETURN QUERY EXECUTE */, stacked, has_else, has_handlers;
    uint32_t slice;
    str cursor; /* whose name */
    enum plpgsql_cursor_does cursor_does;
    enum plpgsql_seek seek; /* by `by` */
    bool no_scroll;
    VEC(struct plpgsql_declaration) declarations;
    plpgsql_body body; /* of a block, a loop; ELSE of IF and CASE */
    VEC(struct plpgsql_arm) arms;
    VEC(struct plpgsql_handler) handlers;
    plpgsql_options options; /* of a cursor: its arguments */
    enum plpgsql_level level;
    str format, condition; /* of RAISE: its text, or the name of its condition, or SQLSTATE's five letters */
    bool is_state;
};
enum plpgsql_conflict { PLPGSQL_CONFLICT_ERROR, PLPGSQL_CONFLICT_VARIABLE, PLPGSQL_CONFLICT_COLUMN };
struct plpgsql_tree {
    struct plpgsql_statement *block;
    enum plpgsql_conflict conflict;
};
struct plpgsql_problem {
    char message[256];
    const char *state; /* "42601", "54001" */
    uint32_t at;
};
/* All of it lives in mem, and borrows from source. */
[[nodiscard]] bool plpgsql_parse(arena *mem, str source, struct plpgsql_tree *out, struct plpgsql_problem *problem);

/* A condition's SQLSTATE ("unique_violation": "23505"); others: "OTHER"; NULL: there is no such. From *at on: some names stand for several. */
const char *plpgsql_condition(str name, size_t *at);

#endif
