/* table: rows of text with a head on their way to a terminal, aligned; to anything else, with tabs between columns. */
#ifndef ORLO_NODE_COMMAND_TABLE_H
#define ORLO_NODE_COMMAND_TABLE_H

#include "base/json.h"
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 12 };
struct table {
    arena *mem;
    const char *const *heads; /* "APP"; ends with NULL */
    uint32_t columns;
    VEC(str) cells;
};
void node_table_begin(struct table *t, arena *mem, const char *const *heads);
/* The next cell, tamed: what others chose makes no terminal do anything. */
void node_table_put(struct table *t, str text);
void node_table_fmt(struct table *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
void node_table_print(const struct table *t, FILE *to);

void node_table_json(FILE *to, const struct json *v); /* a line */

/* "3 s", "5 min", "2 h", "4 d": how long something is ago or lasts. */
str node_table_age(arena *out, uint64_t s);
str node_table_bytes(arena *out, uint64_t n); /* "14.2 MB" */

#endif
