/* floats: what others of the room need of doubles. */
#ifndef ORLO_PG_FLOATS_H
#define ORLO_PG_FLOATS_H

#include "pg/pg_int.h"

/* PostgreSQL's text, shorter than 32 bytes. Not of NaN. */
/* Of a double that SQLite may have as an integer. */
static inline double pg_f64(struct db_value v) { return v.kind == DB_INTEGER ? (double)v.i : v.f; }
static inline void fits_int4(struct pg_call *call, int64_t v, struct db_value *out) {
    if (v < INT32_MIN || v > INT32_MAX) pg_raise(call, "22003", "integer out of range");
    else *out = DB_I64(v);
}

#endif
