/* numerics: what SQL calls on numeric: functions, casts, aggregates. The arithmetic is numeric.c's. */
#include "pg/numeric.h"
#include "pg/floats.h"
#include <math.h>
#include <stdlib.h>

bool pg_numeric_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct num x;
    if (!pg_num_read(call, text, &x)) return false;
    *out = pg_num_value(call, pg_num_sized(call, x, typmod));
    return !pg_raised(call);
}
bool pg_numeric_out(struct pg_call *call, struct db_value v, struct buf *text) {
    if (v.kind == DB_TEXTUAL) return buf_puts(text, v.s);
    return pg_num_put(call, pg_num_of(call, v), text);
}

#define X pg_num_of(call, args[0])
#define Y pg_num_of(call, args[1])
#define GIVE(x) (*out = pg_num_value(call, (x)))

PG_FN(pg_numeric_sized) { GIVE(pg_num_sized(call, X, (int32_t)args[1].i)); }
PG_FN(pg_numeric_add) { GIVE(pg_num_add(call, X, Y)); }
PG_FN(pg_numeric_sub) { GIVE(pg_num_sub(call, X, Y)); }
PG_FN(pg_numeric_mul) { GIVE(pg_num_mul(call, X, Y)); }
PG_FN(pg_numeric_div) { GIVE(pg_num_div(call, X, Y)); }
PG_FN(pg_numeric_mod) { GIVE(pg_num_mod(call, X, Y)); }
PG_FN(pg_numeric_quotient) { GIVE(pg_num_quotient(call, X, Y)); }
PG_FN(pg_numeric_power) { GIVE(pg_num_power(call, X, Y)); }
PG_FN(pg_numeric_sqrt) { GIVE(pg_num_sqrt(call, X)); }
PG_FN(pg_numeric_exp) { GIVE(pg_num_exp(call, X)); }
PG_FN(pg_numeric_ln) { GIVE(pg_num_ln(call, X)); }
PG_FN(pg_numeric_log) { GIVE(pg_num_log(call, X, Y)); }
PG_FN(pg_numeric_log10) { GIVE(pg_num_log(call, pg_num_of_i64(call, 10), X)); }
PG_FN(pg_numeric_minus) { GIVE(num_minus(X)); }
PG_FN(pg_numeric_abs) { GIVE(num_abs(X)); }
PG_FN(pg_numeric_increment) { GIVE(pg_num_add(call, X, pg_num_of_i64(call, 1))); }

static int32_t scale_arg(const struct db_value *args, uint32_t n) {
    return n > 1 ? (int32_t)MIN(MAX(args[1].i, (int64_t)-NUM_RESULT_MAX), (int64_t)NUM_RESULT_MAX) : 0;
}
PG_FN(pg_numeric_round) { GIVE(pg_num_round(call, X, scale_arg(args, n))); }
PG_FN(pg_numeric_trunc) { GIVE(pg_num_cut(call, X, scale_arg(args, n))); }

/* Towards -∞ (up: +∞) */
static struct num whole(struct pg_call *call, struct num x, bool up) {
    struct num r = pg_num_cut(call, x, 0);
    if (x.kind != NUM_FINITE || num_is_integer(x) || x.minus == up) return r;
    return pg_num_add(call, r, pg_num_of_i64(call, up ? 1 : -1));
}
PG_FN(pg_numeric_ceil) { GIVE(whole(call, X, true)); }
PG_FN(pg_numeric_floor) { GIVE(whole(call, X, false)); }
PG_FN(pg_numeric_sign) {
    struct num x = X;
    GIVE(x.kind == NUM_NAN ? x : pg_num_of_i64(call, x.minus ? -1 : !num_is_zero(x)));
}

PG_FN(pg_numeric_scale) {
    struct num x = X;
    if (x.kind == NUM_FINITE) *out = DB_I64(x.dscale);
}
PG_FN(pg_numeric_min_scale) {
    struct num x = X;
    if (x.kind == NUM_FINITE) *out = DB_I64(pg_num_min_scale(x));
}
PG_FN(pg_numeric_trim_scale) {
    struct num x = X;
    if (x.kind == NUM_FINITE) x.dscale = pg_num_min_scale(x);
    GIVE(x);
}

static struct num gcd(struct pg_call *call, struct num a, struct num b) {
    int32_t dscale = MAX(a.dscale, b.dscale);
    if (a.kind != NUM_FINITE || b.kind != NUM_FINITE) return num_nan;
    while (b.n && !pg_raised(call)) {
        struct num t = pg_num_mod(call, a, b);
        a = b;
        b = t;
    }
    a = num_abs(a);
    a.dscale = dscale;
    return a;
}
PG_FN(pg_numeric_gcd) { GIVE(gcd(call, X, Y)); }
PG_FN(pg_numeric_lcm) {
    struct num a = X, b = Y;
    if (a.kind != NUM_FINITE || b.kind != NUM_FINITE) {
        GIVE(num_nan);
        return;
    }
    struct num r = (struct num){.dscale = MAX(a.dscale, b.dscale)};
    if (a.n && b.n) r = num_abs(pg_num_mul(call, pg_num_quotient(call, a, gcd(call, a, b)), b));
    r.dscale = MAX(a.dscale, b.dscale);
    GIVE(r);
}

PG_FN(pg_factorial) {
    int64_t of = args[0].i;
    if (of < 0) {
        pg_raise(call, "22003", "factorial of a negative number is undefined");
    } else if (of > 32177) {
        pg_raise(call, "22003", "value overflows numeric format");
    } else {
        struct num r = pg_num_of_i64(call, 1);
        for (int64_t i = 2; i <= of && !pg_raised(call); i++) r = pg_num_mul(call, r, pg_num_of_i64(call, i));
        GIVE(r);
    }
}

/* ---- width_bucket ---- */

static bool bounds_ok(struct pg_call *call, struct num x, struct num low, struct num high, int64_t count) {
    if (count <= 0) return pg_raise(call, "2201G", "count must be greater than zero");
    if (x.kind == NUM_NAN || low.kind == NUM_NAN || high.kind == NUM_NAN)
        return pg_raise(call, "2201G", "operand, lower bound, and upper bound cannot be NaN");
    if (low.kind == NUM_INF || high.kind == NUM_INF) return pg_raise(call, "2201G", "lower and upper bounds must be finite");
    return pg_num_compare(low, high) || pg_raise(call, "2201G", "lower bound cannot equal upper bound");
}
PG_FN(pg_width_bucket_numeric) {
    struct num x = X, low = Y, high = pg_num_of(call, args[2]);
    int64_t count = args[3].i, bucket = 0;
    if (!bounds_ok(call, x, low, high, count)) return;
    bool up = pg_num_compare(low, high) < 0;
    int from = pg_num_compare(x, low), to = pg_num_compare(x, high);
    if (up ? to >= 0 : to <= 0) {
        bucket = count + 1;
    } else if (up ? from >= 0 : from <= 0) {
        struct num part = pg_num_mul(call, pg_num_sub(call, x, low), pg_num_of_i64(call, count));
        struct num place = pg_num_cut(call, pg_num_div(call, part, pg_num_sub(call, high, low)), 0);
        if (!pg_num_to_i64(place, &bucket)) return;
        bucket++;
    }
    fits_int4(call, bucket, out);
}

/* ---- casts ---- */

static void to_int(struct pg_call *call, struct num x, const char *type, int64_t low, int64_t high, struct db_value *out) {
    int64_t v;
    if (x.kind == NUM_NAN) pg_raise(call, "0A000", "cannot convert NaN to %s", type);
    else if (x.kind == NUM_INF) pg_raise(call, "0A000", "cannot convert infinity to %s", type);
    else if (!pg_num_to_i64(x, &v) || v < low || v > high) pg_raise(call, "22003", "%s out of range", type);
    else *out = DB_I64(v);
}
PG_FN(pg_int2_of_numeric) { to_int(call, X, "smallint", INT16_MIN, INT16_MAX, out); }
PG_FN(pg_int4_of_numeric) { to_int(call, X, "integer", INT32_MIN, INT32_MAX, out); }
PG_FN(pg_int8_of_numeric) { to_int(call, X, "bigint", INT64_MIN, INT64_MAX, out); }
PG_FN(pg_numeric_of_int) { GIVE(pg_num_of_i64(call, args[0].i)); }
PG_FN(pg_numeric_of_float8) { GIVE(pg_num_of_f64(call, pg_f64(args[0]), 15)); }
PG_FN(pg_numeric_of_float4) { GIVE(pg_num_of_f64(call, pg_f64(args[0]), 6)); }

static void to_float(struct pg_call *call, struct db_value v, bool single, struct db_value *out) {
    const char *type = single ? "real" : "double precision";
    struct num x = pg_num_of(call, v);
    if (x.kind == NUM_NAN) {
        pg_raise(call, "22P02", "NaN is not supported for type %s on SQLite", type);
        return;
    }
    if (pg_value_in(call, single ? PG_FLOAT4 : PG_FLOAT8, -1, pg_num_value(call, x).s, out)) return;
    *out = DB_NOTHING;
}
PG_FN(pg_float8_of_numeric) { to_float(call, args[0], false, out); }
PG_FN(pg_float4_of_numeric) { to_float(call, args[0], true, out); }

/* ---- series ---- */

struct series {
    struct buf next, last, step; /* their text: the call's memory is gone by the next row */
    bool started;
};

static bool is_finite(struct pg_call *call, struct num x, const char *what) {
    if (x.kind == NUM_NAN) return pg_raise(call, "22023", "%s cannot be NaN", what);
    return x.kind != NUM_INF || pg_raise(call, "22023", "%s cannot be infinity", what);
}

static void series_open(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct series *s = state;
    struct num step = n > 2 ? pg_num_of(call, args[2]) : pg_num_of_i64(call, 1);
    if (!is_finite(call, X, "start value") || !is_finite(call, Y, "stop value") || !is_finite(call, step, "step size")) return;
    if (num_is_zero(step)) {
        pg_raise(call, "22023", "step size cannot equal zero");
        return;
    }
    buf_puts(&s->next, args[0].s), buf_puts(&s->last, args[1].s);
    pg_num_put(call, step, &s->step);
}

static bool series_next(struct pg_call *call, void *state, struct db_value *columns) {
    struct series *s = state;
    struct num next, last, step;
    if (!pg_call_works(call, 200) || !pg_num_read(call, buf_str(&s->next), &next) ||
        !pg_num_read(call, buf_str(&s->last), &last) || !pg_num_read(call, buf_str(&s->step), &step))
        return false;
    if (s->started) next = pg_num_add(call, next, step);
    s->started = true;
    int c = pg_num_compare(next, last);
    columns[0] = pg_num_value(call, next);
    if (pg_raised(call) || (step.minus ? c < 0 : c > 0)) return false;
    s->next.n = 0;
    return buf_puts(&s->next, columns[0].s);
}

static void series_drop(void *state) {
    struct series *s = state;
    buf_free(&s->next), buf_free(&s->last), buf_free(&s->step);
}
const struct pg_set pg_series_numeric = {sizeof(struct series), 1, series_open, series_next, series_drop};

/* ---- aggregates ----
 *
 * A sum is kept as digits of ours on the heap, exact; scales as how many values have each, so that what leaves a window takes its with it. */

struct kept {
    struct buf digits;
    bool minus;
    int32_t weight;
};
struct sums {
    int64_t count, nans, infinities, minus_infinities;
    struct kept sum, squares;
    struct buf scales; /* uint32_t a scale */
};

static struct num kept_get(const struct kept *k, int32_t dscale) {
    return (struct num){.minus = k->minus,
                        .weight = k->weight,
                        .dscale = dscale,
                        .n = (int32_t)(k->digits.n / 2),
                        .d = (const uint16_t *)(const void *)k->digits.p};
}

static void kept_add(struct pg_call *call, struct kept *k, struct num x, bool minus) {
    struct num sum = pg_num_add(call, kept_get(k, 0), minus ? num_minus(x) : x);
    k->digits.n = 0;
    buf_put(&k->digits, sum.d, (size_t)sum.n * sizeof *sum.d);
    k->minus = sum.minus;
    k->weight = sum.weight;
}

static void scales_add(struct buf *scales, int32_t scale, int by) {
    size_t need = ((size_t)scale + 1) * sizeof(uint32_t);
    if (scales->n < need && buf_reserve(scales, need - scales->n)) {
        memset(scales->p + scales->n, 0, need - scales->n);
        scales->n = need;
    }
    uint32_t *counts = (uint32_t *)(void *)scales->p;
    counts[scale] += (uint32_t)by;
}

static int32_t scales_largest(const struct buf *scales) {
    const uint32_t *counts = (const uint32_t *)(const void *)scales->p;
    size_t n = scales->n / sizeof *counts;
    while (n && !counts[n - 1]) n--;
    return n ? (int32_t)n - 1 : 0;
}

static void account(struct pg_call *call, struct sums *s, const struct db_value *args, bool squares, int by) {
    if (args[0].kind == DB_NULL) return;
    struct num x = X;
    if (pg_raised(call)) return;
    s->count += by;
    if (x.kind == NUM_NAN) {
        s->nans += by;
    } else if (x.kind == NUM_INF) {
        *(x.minus ? &s->minus_infinities : &s->infinities) += by;
    } else {
        kept_add(call, &s->sum, x, by < 0);
        if (squares) kept_add(call, &s->squares, pg_num_mul(call, x, x), by < 0);
        scales_add(&s->scales, x.dscale, by);
    }
}
static void sum_step(struct pg_call *call, void *s, const struct db_value *args, uint32_t n) { account(call, s, args, false, 1); }
static void sum_inverse(struct pg_call *call, void *s, const struct db_value *args, uint32_t n) {
    account(call, s, args, false, -1);
}
static void squares_step(struct pg_call *call, void *s, const struct db_value *args, uint32_t n) {
    account(call, s, args, true, 1);
}
static void squares_inverse(struct pg_call *call, void *s, const struct db_value *args, uint32_t n) {
    account(call, s, args, true, -1);
}
static void sums_drop(void *state) {
    struct sums *s = state;
    buf_free(&s->sum.digits), buf_free(&s->squares.digits), buf_free(&s->scales);
}

static struct num total(const struct sums *s) {
    if (s->nans || (s->infinities && s->minus_infinities)) return num_nan;
    if (s->infinities || s->minus_infinities) return (struct num){.kind = NUM_INF, .minus = s->minus_infinities > 0};
    return kept_get(&s->sum, scales_largest(&s->scales));
}
static void sum_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct sums *s = state;
    if (s->count) GIVE(total(s));
}
static void mean_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct sums *s = state;
    if (s->count) GIVE(pg_num_div(call, total(s), pg_num_of_i64(call, s->count)));
}

/* (N Σx² - (Σx)²) / N², or / N (N - 1) of a sample */
static void spread_value(struct pg_call *call, const struct sums *s, bool sample, bool root, struct db_value *out) {
    if (s->count < 1 + sample) return;
    if (s->nans || s->infinities || s->minus_infinities) {
        GIVE(num_nan);
        return;
    }
    int32_t dscale = scales_largest(&s->scales);
    struct num sum = kept_get(&s->sum, dscale), squares = kept_get(&s->squares, 2 * dscale),
               count = pg_num_of_i64(call, s->count);
    struct num above = pg_num_sub(call, pg_num_mul(call, count, squares), pg_num_mul(call, sum, sum));
    struct num below = pg_num_mul(call, count, pg_num_of_i64(call, s->count - sample));
    if (above.minus || !above.n) {
        GIVE(num_zero);
        return;
    }
    struct num r = pg_num_div(call, above, below);
    GIVE(root ? pg_num_sqrt_to(call, r, r.dscale) : r);
}
#define SPREAD(name, sample, root)                                                                                               \
    static void name##_value(struct pg_call *call, const void *state, struct db_value *out) {                                    \
        spread_value(call, state, sample, root, out);                                                                            \
    }                                                                                                                            \
    const struct pg_aggregate name = {sizeof(struct sums), squares_step, squares_inverse, name##_value, sums_drop};
SPREAD(pg_var_samp_numeric, true, false)
SPREAD(pg_var_pop_numeric, false, false)
SPREAD(pg_stddev_samp_numeric, true, true)
SPREAD(pg_stddev_pop_numeric, false, true)
const struct pg_aggregate pg_sum_numeric = {sizeof(struct sums), sum_step, sum_inverse, sum_value, sums_drop};
const struct pg_aggregate pg_avg_numeric = {sizeof(struct sums), sum_step, sum_inverse, mean_value, sums_drop};
