/* Of the system's own files. */
#ifndef ORLO_SYSTEM_INT_H
#define ORLO_SYSTEM_INT_H

#include "base/json.h"
#include "system/system.h"

enum { SYSTEM_PG_CATALOG = 11, SYSTEM_INFORMATION = 13'000 }; /* schemas that the catalogue does not have */

/* A relation's rows, while they are made and read. */
struct system_rows {
    const struct catalog *c;
    uint32_t role; /* who asks; 0: whoever may see all */
    arena *mem;
    struct db_value *values;
    uint32_t columns, n, cap, at; /* at: of the row that is being made, its next column; then the row that is next */
};
void system_rows_make(struct system_rows *o, uint32_t relation);

#endif
