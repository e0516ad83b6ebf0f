/* Of the room's own files. */
#ifndef ORLO_PLPGSQL_INT_H
#define ORLO_PLPGSQL_INT_H

#include "plpgsql/plpgsql.h"

enum plpgsql_token_kind { PLPGSQL_END, PLPGSQL_WORD, PLPGSQL_NAME /* quoted */, PLPGSQL_STRING, PLPGSQL_NUMBER, PLPGSQL_SIGN };
struct plpgsql_token {
    enum plpgsql_token_kind kind;
    str text; /* as it is meant: folded, without quotes */
    uint32_t at, end;
};
struct plpgsql_parser {
    arena *mem;
    str source;
    struct plpgsql_token token; /* at hand */
    struct plpgsql_problem *problem;
    uint32_t depth, parts;
    bool failed;
};
/* What is left open to the end fails the parser: it is looked for once. */
struct plpgsql_token plpgsql_lex(struct plpgsql_parser *p, size_t from);
/* The first one stays, and what is at hand is the end from then on. */
bool plpgsql_fail(struct plpgsql_parser *p, uint32_t at, const char *state, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* How many bytes of a token are told of: no more than a few, and whole letters. */
int plpgsql_near(str token);

#endif
