/* arrays: an array is stored as a JSON array of its elements' storage forms: numbers, strings (bytes as lower-case hex), null; arrays of the same
 * length within for dimensions. Lower bounds are 1. */
#ifndef ORLO_PG_ARRAYS_H
#define ORLO_PG_ARRAYS_H

#include "pg/pg_int.h"

enum { PG_ARRAY_DIMENSIONS_MAX = 6, PG_ARRAY_ITEMS_MAX = 400'000 };
struct pg_array {
    uint32_t dimensions, n; /* 0 dimensions: empty */
    uint32_t size[PG_ARRAY_DIMENSIONS_MAX];
    struct db_value *items; /* in storage form; of blobs the bytes */
};
/* False: raised. blobs: strings are hex of bytes. */
[[nodiscard]] bool pg_array_read(struct pg_call *call, str stored, bool blobs, struct pg_array *out);
struct db_value pg_array_stored(struct pg_call *call, const struct pg_array *a);
/* Is an element of this type stored as bytes? */
bool pg_array_blobs(struct pg_call *call, uint32_t element);
void pg_array_put_item(struct buf *b, struct db_value v);

/* Of one dimension, one after the other. */
struct pg_array_writer {
    struct pg_call *call;
    struct buf *b;
    uint32_t n;
};
struct pg_array_writer pg_array_write(struct pg_call *call);
void pg_array_put(struct pg_array_writer *w, struct db_value v);
static inline void pg_array_put_text(struct pg_array_writer *w, str s) { pg_array_put(w, DB_TEXT(s)); }
static inline void pg_array_put_null(struct pg_array_writer *w) { pg_array_put(w, DB_NOTHING); }
struct db_value pg_array_done(struct pg_array_writer *w);
/* The elements of text[]: strings. False: raised. */
[[nodiscard]] bool pg_array_texts(struct pg_call *call, str stored, struct pg_array *out);

#endif
