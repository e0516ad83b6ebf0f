/* search: full text: tsvector and tsquery as values, in PostgreSQL's text forms.
 *
 * 1. A tsvector's lexemes are in order of their bytes, each once; positions from 1 to 16383, at most 255 of a lexeme.
 * 2. A query has at most TS_NODES_MAX nodes and nests TS_DEPTH_MAX deep.
 * 3. Configurations are simple and english (Snowball's stemmer, PostgreSQL's stop words). The parser (search_parse.c) knows words, numbers,
 *    hyphens, addresses, tags; what PostgreSQL's finds in paths and URLs beyond that is words here.
 */
#ifndef ORLO_PG_SEARCH_H
#define ORLO_PG_SEARCH_H

#include "pg/pg_int.h"

enum { TS_NODES_MAX = 1000, TS_DEPTH_MAX = 200, TS_POSITIONS_MAX = 255, TS_PLACE_MAX = 16383, TS_WORD_BYTES_MAX = 2046 };
struct pg_ts_place {
    uint16_t at;
    uint8_t weight; /* 0 D … 3 A */
};
struct pg_ts_lexeme {
    str word;
    uint32_t n; /* places; 0: it was stripped of them */
    struct pg_ts_place *places;
};
struct pg_ts_vector {
    uint32_t n;
    struct pg_ts_lexeme *lexemes;
};
/* In order, equal ones together; of n lexemes of one place each, or none. */

enum pg_ts_kind { TS_WORD, TS_STOP, TS_NOT, TS_AND, TS_OR, TS_PHRASE };
struct pg_ts_node {
    enum pg_ts_kind kind;
    str word;
    bool prefix;
    uint8_t weights; /* a bit for each that may be (1 << weight); 0: any */
    uint32_t distance;
    struct pg_ts_node *left, *right; /* NOT has right alone */
};
/* NULL in *out: an empty query. */
bool pg_ts_query_read(struct pg_call *call, str text, struct pg_ts_node **out);
/* How words of a query become lexemes: to_tsquery's operators, or words alone joined by one. */
enum pg_ts_form { TS_FORM_QUERY, TS_FORM_PLAIN, TS_FORM_PHRASE, TS_FORM_WEB };

/* The lexemes of a text, in its order; word of no bytes: a stop word, which has a place all the same. */
struct pg_ts_word {
    str word;
    uint32_t at;
};
bool pg_ts_words(struct pg_call *call, str text, bool english, struct pg_ts_word **out, uint32_t *n);
/* "english", "pg_catalog.simple"; empty: english, as a new database has it. False: raised. */
bool pg_ts_config(struct pg_call *call, str name, bool *english);

#endif
