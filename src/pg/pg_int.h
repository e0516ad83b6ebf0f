/* Inside the pg room. */
#ifndef ORLO_PG_INT_H
#define ORLO_PG_INT_H

#include "pg/pg.h"

/* ---- text in and out, by type (io.def) ---- */

typedef bool (*pg_in_fn)(struct pg_call *call, str text, int32_t typmod, struct db_value *out);
typedef bool (*pg_out_fn)(struct pg_call *call, struct db_value v, struct buf *text);
#define IO(name, json)                                                                                                           \
    bool pg_##name##_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out);                                   \
    bool pg_##name##_out(struct pg_call *call, struct db_value v, struct buf *text);
#define IO_NOT(name)
#include "pg/io.def"
/* arrays.c: type is the array's, or of an element */
bool pg_array_in(struct pg_call *call, const struct pg_type *type, int32_t typmod, str text, struct db_value *out);
bool pg_array_out(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *text);
bool pg_array_json(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *json);
bool pg_array_of_json(struct pg_call *call, const struct pg_type *type, int32_t typmod, const struct json *v,
                      struct db_value *out);

/* composite.c */
bool pg_composite_in(struct pg_call *call, const struct pg_type *type, str text, struct db_value *out);
bool pg_composite_out(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *text);
bool pg_composite_json(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *json);
bool pg_composite_of_json(struct pg_call *call, const struct pg_type *type, const struct json *v, struct db_value *out);

/* Of a numeric's typmod that is not -1. */
int32_t pg_numeric_typmod_scale(int32_t typmod);
int32_t pg_numeric_typmod_precision(int32_t typmod);
/* A built-in type, or one of the session's catalogue. NULL: raised (42704). */
/* A domain is what it is made of. */
const struct pg_type *pg_call_base(struct pg_call *call, uint32_t id);

int pg_jsonb_compare(str a, str b);
int pg_inet_compare(str a, str b);
bool pg_varchar_sized(struct pg_call *call, str s, int32_t typmod, bool is_explicit, struct db_value *out);
bool pg_vector_sized(struct pg_call *call, str v, int32_t typmod, struct db_value *out);
bool pg_bits_sized(struct pg_call *call, uint32_t type, str s, int32_t typmod, bool is_explicit, struct db_value *out);
bool pg_bpchar_sized(struct pg_call *call, str s, int32_t typmod, bool is_explicit, struct db_value *out);

/* arrays.c: by the elements' order, NULL: the bytes' */
int pg_array_compare_by(str a, str b, int (*by)(str a, str b));
/* The byte at which `what` begins in s, at or after `at`; s.n + 1: nowhere. */
size_t pg_text_find(str s, str what, size_t at);

/* A growing buffer of the call's, freed with it; no longer than a value may be. */
struct buf *pg_call_buf(struct pg_call *call);
/* What b has as a text that lasts as long as the call; NULL, and raised, where it was too long. */
struct db_value pg_call_built(struct pg_call *call, struct buf *b);
static inline struct db_value pg_bool(bool v) { return DB_I64(v); }

/* ordered.c: an aggregate whose rows are sorted first (pg_register) */
struct pg_ordered;
void pg_ordered_step(struct pg_call *call, struct pg_ordered *o, const struct db_value *args, uint32_t n);
void pg_ordered_value(struct pg_call *call, struct pg_ordered *o, const struct pg_c_aggregate *of, struct db_value *out);
void pg_ordered_drop(struct pg_ordered *o);
extern const size_t pg_ordered_bytes;

/* All C functions that rows name. */
#define FN(name, parameters, result, flags, how) how
#define AGG(name, parameters, result, flags, how) how
#define SRF(name, parameters, columns, flags, how) how
#define OP(name, left, right, result, flags, how) how
#define CAST(from, to, context, flags, how) how
#define HELPER(fn, count, flags) void fn(struct pg_call *call, const struct db_value *args, uint32_t n, struct db_value *out);
#define C(fn) void fn(struct pg_call *call, const struct db_value *args, uint32_t n, struct db_value *out);
#define CT(fn) C(fn)
#define CTS(fn) C(fn)
#define CR(fn) C(fn)
#define SQL(text)
#define A(object) extern const struct pg_aggregate object;
#define AT(object) A(object)
#define S(object) extern const struct pg_set object;
#define ST(object) S(object)
#include "pg/rows.def"
/* The head of one: PG_FN(pg_int4_add) { … } */
#define PG_FN(name) void name(struct pg_call *call, const struct db_value *args, uint32_t n, struct db_value *out)

#endif
