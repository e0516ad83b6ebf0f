/* numeric: exact decimal numbers of PostgreSQL's limits: 131,072 digits before the point, 16,383 behind it.
 *
 *   value = ± Σ d[i] · 10000^(weight - i)       0 ≤ i < n
 *
 * 1. No leading and no trailing zero among d; zero has n = 0, weight = 0, and no sign. dscale: the digits shown behind the point.
 * 2. Values; d is the call's, the text's or the program's, and is never changed once it stands in a value.
 * 3. What goes wrong (memory, time, a result that is too large) is raised, and gives zero: a chain of operations looks at its end alone.
 */
#ifndef ORLO_PG_NUMERIC_H
#define ORLO_PG_NUMERIC_H

#include "pg/pg_int.h"

enum num_kind { NUM_FINITE, NUM_NAN, NUM_INF }; /* infinity has a sign */
struct num {
    enum num_kind kind;
    bool minus;
    int32_t weight, dscale, n;
    const uint16_t *d;
};
enum {
    NUM_BASE = 10000,
    NUM_DIGITS = 4, /* decimal ones in one of d */
    NUM_WEIGHT_MAX = 0x7fff,
    NUM_DSCALE_MAX = 0x3fff,  /* PostgreSQL's NUMERIC_DSCALE_MAX */
    NUM_DISPLAY_MAX = 1000,   /* of results whose scale is chosen: NUMERIC_MAX_DISPLAY_SCALE */
    NUM_RESULT_MAX = 2000,    /* of round and trunc: NUMERIC_MAX_RESULT_SCALE */
    NUM_SIGNIFICANT_MIN = 16, /* NUMERIC_MIN_SIG_DIGITS */
};
static const struct num num_nan = {.kind = NUM_NAN};
static const struct num num_zero = {0};

/* pg_num_read: text of PostgreSQL's numeric; false: raised */
bool pg_num_read(struct pg_call *call, str text, struct num *out);
struct num pg_num_of(struct pg_call *call, struct db_value v); /* of a stored value */
struct num pg_num_of_i64(struct pg_call *call, int64_t v);
struct num pg_num_of_i128(struct pg_call *call, __int128 v);
struct num pg_num_of_f64(struct pg_call *call, double v, int digits);
/* As PostgreSQL prints it; checks the limits. */
struct db_value pg_num_value(struct pg_call *call, struct num x);
bool pg_num_put(struct pg_call *call, struct num x, struct buf *text);
bool pg_num_to_i64(struct num x, int64_t *out);           /* rounds; false: out of range, or not finite */
double pg_num_to_f64(struct pg_call *call, struct num x); /* of what is too large: infinity */

static inline bool num_is_zero(struct num x) { return x.kind == NUM_FINITE && !x.n; }
static inline bool num_is_integer(struct num x) { return x.kind == NUM_FINITE && x.n <= x.weight + 1; }
static inline struct num num_minus(struct num x) {
    x.minus = x.kind == NUM_INF || (x.kind == NUM_FINITE && x.n) ? !x.minus : false;
    return x;
}
static inline struct num num_abs(struct num x) { return x.minus ? num_minus(x) : x; }
/* NaN is the largest, and equal to itself. */
int pg_num_compare(struct num a, struct num b);
/* Exact; any kind. */
struct num pg_num_add(struct pg_call *call, struct num a, struct num b);
struct num pg_num_sub(struct pg_call *call, struct num a, struct num b);
struct num pg_num_mul(struct pg_call *call, struct num a, struct num b);
struct num pg_num_div(struct pg_call *call, struct num a, struct num b);      /* at the scale that PostgreSQL chooses */
struct num pg_num_quotient(struct pg_call *call, struct num a, struct num b); /* towards zero, an integer */
struct num pg_num_mod(struct pg_call *call, struct num a, struct num b);
/* Of finite ones: digits behind the point beyond `scale` (may be negative) are rounded half away from zero, or cut. */
struct num pg_num_round(struct pg_call *call, struct num x, int32_t scale);
struct num pg_num_cut(struct pg_call *call, struct num x, int32_t scale);
struct num pg_num_div_to(struct pg_call *call, struct num a, struct num b, int32_t scale, bool round); /* b is not zero */
struct num pg_num_mul_to(struct pg_call *call, struct num a, struct num b, int32_t scale);             /* rounded */
struct num pg_num_shift(struct pg_call *call, struct num x, int32_t digits);                           /* x · 10^digits */
struct num pg_num_sqrt(struct pg_call *call, struct num x);
struct num pg_num_sqrt_to(struct pg_call *call, struct num x, int32_t scale); /* x is not negative */
struct num pg_num_exp(struct pg_call *call, struct num x);
struct num pg_num_ln(struct pg_call *call, struct num x);
struct num pg_num_log(struct pg_call *call, struct num base, struct num x);
struct num pg_num_power(struct pg_call *call, struct num base, struct num exponent);
struct num pg_num_sized(struct pg_call *call, struct num x, int32_t typmod);
int32_t pg_num_min_scale(struct num x);
int pg_numeric_compare_text(str a, str b); /* the collation */

#endif
