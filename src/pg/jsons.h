/* jsons: json and jsonb as values.
 *
 * 1. jsonb's text is canonical: keys by length, then bytes, the last of equal ones; numbers as numeric prints them; ", " and ": " between.
 *    So a part of it is the text of that part.
 * 2. What is read has at most PJ_DEPTH_MAX levels and PJ_VALUES_MAX values; its tree borrows from the text where it can.
 */
#ifndef ORLO_PG_JSONS_H
#define ORLO_PG_JSONS_H

#include "pg/numeric.h"
#include "pg/pg_int.h"

enum { PJ_DEPTH_MAX = 500, PJ_VALUES_MAX = 500'000 };
enum pj_kind { PJ_NULL, PJ_STRING, PJ_NUMBER, PJ_FALSE, PJ_TRUE, PJ_ARRAY, PJ_OBJECT }; /* in jsonb's order of kinds */
struct pj {
    enum pj_kind kind;
    uint32_t n;    /* items, members */
    uint32_t from; /* in the text: where it stands; both 0: it was made */
    uint32_t to;
    union {
        str s; /* a string's characters, a number's text */
        struct pj *items;
        struct pj_member *members;
    };
};
struct pj_member {
    str key;
    struct pj v;
};

enum pj_as { PJ_JSON, PJ_JSONB }; /* members as they come; or sorted, the last of equal ones, numbers made canonical */
/* False: raised (22P02 and kin). */
[[nodiscard]] bool pj_read(struct pg_call *call, str text, enum pj_as as, struct pj *out);
void pj_put(struct buf *b, const struct pj *v); /* as jsonb prints it */
void pj_put_string(struct buf *b, str s);       /* quoted as PostgreSQL does */
void pj_pretty(struct buf *b, const struct pj *v);
bool pj_equal(const struct pj *a, const struct pj *b);
struct pj_member *pj_find(const struct pj *object, str key);       /* of a sorted object; NULL: none */
void pj_sort(struct pg_call *call, struct pj *object);             /* keys in jsonb's order, the last of equal ones */
struct db_value pj_text(struct pg_call *call, const struct pj *v); /* as jsonb's text, of the call's */
/* Members and items of text that is JSON already, without a tree. kind, and where the next one begins; false: there are no more. */
struct pj_walk {
    str s;
    size_t i;
    bool object, first;
};
bool pj_walk_begin(struct pj_walk *w, str s, bool object);  /* false: it is no such thing */
bool pj_walk_next(struct pj_walk *w, str *key, str *value); /* key: as it stands, without its quotes */
str pj_unescape(struct pg_call *call, str raw);             /* of a string's inside */
enum pj_kind pj_kind_of(str value);

#endif
