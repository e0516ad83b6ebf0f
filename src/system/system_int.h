/* Of the system's own files. */
#ifndef ORLO_SYSTEM_INT_H
#define ORLO_SYSTEM_INT_H

#include "base/json.h"
#include "system/system.h"

enum { SYSTEM_PG_CATALOG = 11, SYSTEM_INFORMATION = 13'000 }; /* schemas that the catalogue does not have */
enum { SYSTEM_RELATIONS = 0xff00'0000u }; /* PostgreSQL's own relations, as regclass has them: this and their numbers */

/* A relation's rows, while they are made and read. */
struct system_rows {
    const struct catalog *c;
    uint32_t role; /* who asks; 0: whoever may see all */
    arena *mem;
    struct db_value *values;
    uint32_t columns, n, cap, at; /* at: of the row that is being made, its next column; then the row that is next */
};
void system_rows_make(struct system_rows *o, uint32_t relation);

const struct system_relation *system_relation_at(uint32_t number); /* NULL: there is none */

/* ---- names.c ---- */

const struct catalog_function *system_function_of(const struct catalog *c, uint32_t id);
/* As PostgreSQL prints a name: in quotes where it must be, with its schema unless the search path has that. */
void system_put_name(struct buf *b, str name);
void system_put_qualified(struct buf *b, const struct catalog *c, uint32_t schema, str name, bool always);
void system_put_type(struct buf *b, const struct catalog *c, uint32_t type, int32_t typmod);

/* ---- definitions.c ---- */

bool system_tell(const struct catalog *c, enum pg_about about, uint32_t id, int64_t more, struct buf *b);

#endif
