/* Inside of the wit room: tokens and the parser's state. */
#ifndef ORLO_WIT_INT_H
#define ORLO_WIT_INT_H

#include "wit/wit.h"

enum wit_token_kind {
    WIT_TOKEN_END,
    WIT_TOKEN_ID, /* text: the identifier without its '%' */
    WIT_TOKEN_INTEGER,
    WIT_TOKEN_STRING, /* text: between the quotes, escapes not undone */
    WIT_TOKEN_ARROW,
    WIT_TOKEN_PUNCT, /* one of = , : ; ( ) { } < > * / . @ _ */
};
struct wit_token {
    enum wit_token_kind kind;
    uint8_t punct;
    bool escaped; /* %id */
    str text, docs;
    uint32_t line;
};

/* A sticky lexer: after the first error every token is END. */
struct wit_lexer {
    arena *arena;
    const uint8_t *p, *end;
    str file;
    uint32_t line;
    struct diag *d;
    err failed;
};
void wit_lex_init(struct wit_lexer *l, arena *a, str file, str text, struct diag *d);
struct wit_token wit_lex(struct wit_lexer *l);
str wit_lex_version(struct wit_lexer *l); /* right after '@': the longest semver; empty: none, and reported */
void wit_lex_fail(struct wit_lexer *l, uint32_t line, const char *fmt, ...) PRINTF_LIKE(3, 4);
bool wit_is_keyword(str s);

err wit_fail_at(struct diag *d, const struct wit_pos *pos, const char *fmt, ...) PRINTF_LIKE(3, 4); /* ERR_INVALID */

#endif
