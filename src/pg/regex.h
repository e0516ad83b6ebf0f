/* regex: PostgreSQL's advanced regular expressions (ARE), by PCRE2.
 *
 * 1. A pattern is read whole, and written anew for PCRE2 (regex_translate.c): nothing that means something in one of them alone gets through,
 *    and what PCRE2 cannot do is refused (0A000).
 * 2. PostgreSQL takes the longest match there is at the leftmost place (the shortest, where the expression prefers short ones); PCRE2's matcher
 *    the first. So the place is the matcher's, its end that of PCRE2's other algorithm, which sees all of them; what is in parentheses is
 *    then matched within. Expressions with back references have the first one: the other algorithm has none. docs/sql.md says so.
 * 3. Every match has limits of steps, of depth and of heap; past them it is 2201B. Compiled ones are kept by the connection, a few.
 */
#ifndef ORLO_PG_REGEX_H
#define ORLO_PG_REGEX_H

#include "pg/pg_int.h"

enum { PG_REGEX_GROUPS_MAX = 64, PG_REGEX_BYTES_MAX = 32 << 10 };
struct pg_regex_flags {
    bool icase, expanded, literal, global;
    bool dot_stops, lines; /* '.' and [^…] match no newline; ^ and $ match at lines */
};
struct pg_regex_text {
    struct buf text; /* PCRE2's; freed by who made it */
    struct pg_regex_flags flags;
    uint32_t groups;
    bool lazy; /* the whole prefers the shortest */
    bool back; /* it has back references */
};
/* False: raised. */
bool pg_regex_translate(struct pg_call *call, str pattern, struct pg_regex_flags flags, struct pg_regex_text *out);
/* Of a function's argument. g: it may say "g". */
bool pg_regex_flags_read(struct pg_call *call, str text, bool g, const char *function, struct pg_regex_flags *out);

struct pg_regex;
struct pg_regex_cache;
/* Kept by the call's connection, or as long as the call. NULL: raised. */
const struct pg_regex *pg_regex_get(struct pg_call *call, str pattern, struct pg_regex_flags flags);
uint32_t pg_regex_groups(const struct pg_regex *re);
struct pg_span {
    size_t from, to; /* from SIZE_MAX: took no part */
};
/* May s be matched? Once before pg_regex_match, which takes its word. False: raised, it is no UTF-8. */
bool pg_regex_subject(struct pg_call *call, str s);
/* The first match at or after `at`: spans[0], and its groups'. False: none, or raised. */
bool pg_regex_match(struct pg_call *call, const struct pg_regex *re, str s, size_t at,
                    struct pg_span spans[PG_REGEX_GROUPS_MAX + 1]);
bool pg_regex_is(struct pg_call *call, const struct pg_regex *re, str s); /* is there a match? */
void pg_regex_cache_free(struct pg_regex_cache *cache);

#endif
