/* format: pictures of to_char, to_number, to_date and to_timestamp, cut into keywords and the text between. Times' and numbers' have their own
 * keywords, and this in common:
 *
 *   "text"     stands for itself, \ before a character too
 *   FM TM      before a keyword, TH th SP behind one (of times)
 */
#ifndef ORLO_PG_FORMAT_H
#define ORLO_PG_FORMAT_H

#include "pg/pg_int.h"

enum { FORMAT_NODES_MAX = 512, FORMAT_BYTES_MAX = 1024 };
enum format_flags { FORMAT_FILL = 1, FORMAT_TH_UPPER = 2, FORMAT_TH_LOWER = 4 };
struct format_node {
    int keyword; /* -1: the text, one character of it */
    unsigned flags;
    str text;
    bool separator; /* text outside quotes that is no letter and no digit */
};
struct format {
    struct format_node *nodes;
    uint32_t count;
    bool exact; /* FX */
};
struct format_word {
    const char *text;
    int keyword;
};
/* Words are tried in their order; the longest first is the table's matter. False: raised. */
bool pg_format_cut(struct pg_call *call, str picture, const struct format_word *words, size_t count, bool suffixes,
                   struct format *out);
/* "ST", "nd" … of a number's text */
const char *pg_format_ordinal(str number, bool upper);

#endif
