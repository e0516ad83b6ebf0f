/* queries: what queries are made of besides their expressions (queries.def): ordered sets, and what the translator writes for itself. */
#include <math.h>

#include "pg/arrays.h"
#include "pg/floats.h"
#include "pg/numeric.h"
#include "pg/times.h"

/* What WITHIN GROUP has sorted. False: there is nothing, or it raised. */
static bool sorted(struct pg_call *call, uint32_t element, struct db_value v, struct pg_array *out) {
    return pg_array_read(call, v.s, pg_array_blobs(call, element), out) && out->n > 0;
}

/* element type, array: the one that is there most often, of several the first */
PG_FN(pg_mode) {
    struct pg_array a;
    uint32_t type = (uint32_t)args[0].i, best = 0, best_at = 0, run = 0;
    (void)n;
    if (!sorted(call, type, args[1], &a)) return;
    for (uint32_t i = 0; i < a.n; i++) {
        run = i && !pg_value_compare(type, a.items[i - 1], a.items[i]) ? run + 1 : 1;
        if (run <= best) continue;
        best = run;
        best_at = i + 1 - run;
    }
    *out = a.items[best_at];
}

static bool is_fraction(struct pg_call *call, double f) {
    return f >= 0 && f <= 1 ? true : pg_raise(call, "22003", "percentile value %g is not between 0 and 1", f);
}

static double number(struct db_value v) { return v.kind == DB_INTEGER ? (double)v.i : v.f; }

/* Between the two that a fraction falls between. False: raised. */
typedef bool (*percentile_fn)(struct pg_call *call, const struct pg_array *a, double fraction, struct db_value *out);

static bool between_numbers(struct pg_call *call, const struct pg_array *a, double fraction, struct db_value *out) {
    double at = fraction * (a->n - 1), low = number(a->items[(uint32_t)floor(at)]), high = number(a->items[(uint32_t)ceil(at)]);
    double v = floor(at) == ceil(at) ? low : low + (high - low) * (at - floor(at)); /* of one value that is infinite: that one */
    if (isnan(v)) return pg_raise(call, "22P02", "NaN is not supported for type double precision on SQLite");
    *out = DB_F64(v);
    return true;
}

/* interval_lerp: the first, and a part of the difference */
static bool between_intervals(struct pg_call *call, const struct pg_array *a, double fraction, struct db_value *out) {
    double at = fraction * (a->n - 1);
    struct pg_interval low = pg_interval_of(call, a->items[(uint32_t)floor(at)]),
                       high = pg_interval_of(call, a->items[(uint32_t)ceil(at)]);
    if (floor(at) != ceil(at)) {
        struct pg_interval by = {high.us - low.us, high.days - low.days, high.months - low.months};
        struct db_value part[2] = {pg_interval_value(call, by), DB_F64(at - floor(at))}, sum[2] = {pg_interval_value(call, low)};
        pg_interval_mul(call, part, 2, &sum[1]);
        if (sum[1].kind == DB_NULL) return false;
        pg_interval_add(call, sum, 2, out);
        return out->kind != DB_NULL;
    }
    *out = pg_interval_value(call, low);
    return true;
}

/* The first that so many are not above. */
static bool first_of(struct pg_call *call, const struct pg_array *a, double fraction, struct db_value *out) {
    double at = ceil(fraction * a->n);
    (void)call;
    *out = a->items[at < 1 ? 0 : (uint32_t)at - 1];
    return true;
}

static void percentile(struct pg_call *call, uint32_t type, struct db_value fraction, struct db_value array, percentile_fn of,
                       struct db_value *out) {
    struct pg_array a;
    if (is_fraction(call, fraction.f) && sorted(call, type, array, &a)) (void)of(call, &a, fraction.f, out);
}

/* An array of fractions: one of what each of them is, null of null. */
static void percentiles(struct pg_call *call, uint32_t type, struct db_value fractions, struct db_value array, percentile_fn of,
                        struct db_value *out) {
    struct pg_array a, f;
    if (!pg_array_read(call, fractions.s, false, &f)) return;
    for (uint32_t i = 0; i < f.n; i++)
        if (f.items[i].kind != DB_NULL && !is_fraction(call, number(f.items[i]))) return;
    if (!sorted(call, type, array, &a)) return;
    for (uint32_t i = 0; i < f.n; i++) {
        struct db_value v = DB_NOTHING;
        if (f.items[i].kind != DB_NULL && !of(call, &a, number(f.items[i]), &v)) return;
        f.items[i] = v;
    }
    *out = pg_array_stored(call, &f);
}

/* fraction, or fractions; array of what is sorted */
PG_FN(pg_percentile_cont) { percentile(call, PG_FLOAT8, args[0], args[1], between_numbers, out); }
PG_FN(pg_percentiles_cont) { percentiles(call, PG_FLOAT8, args[0], args[1], between_numbers, out); }
PG_FN(pg_percentile_cont_interval) { percentile(call, PG_INTERVAL, args[0], args[1], between_intervals, out); }
PG_FN(pg_percentiles_cont_interval) { percentiles(call, PG_INTERVAL, args[0], args[1], between_intervals, out); }
/* element type before them */
PG_FN(pg_percentile_disc) { percentile(call, (uint32_t)args[0].i, args[1], args[2], first_of, out); }
PG_FN(pg_percentiles_disc) { percentiles(call, (uint32_t)args[0].i, args[1], args[2], first_of, out); }

/* ---- frames in RANGE ---- */

static bool is_distance(struct pg_call *call, struct db_value v) {
    if (v.kind == DB_NULL) return pg_raise(call, "22004", "frame starting offset must not be null");
    return true;
}
static bool is_not_negative(struct pg_call *call, bool negative) {
    return !negative || pg_raise(call, "22013", "invalid preceding or following size in window function");
}

PG_FN(pg_frame_offset) {
    if (is_distance(call, args[0]) && is_not_negative(call, number(args[0]) < 0)) *out = args[0];
}

enum { FRAME_DIGITS = 6 };

/* A number whose order, and whose differences, are exact in 64 bits: millionths. */
static bool in_millionths(struct pg_call *call, struct db_value v, int64_t *out) {
    struct num x = pg_num_of(call, v);
    if (x.kind == NUM_FINITE && pg_num_min_scale(x) <= FRAME_DIGITS && pg_num_to_i64(pg_num_shift(call, x, FRAME_DIGITS), out) &&
        *out > -(INT64_MAX >> 2) && *out < INT64_MAX >> 2)
        return true;
    return pg_raise(
        call, "0A000",
        "a window frame in RANGE over numeric takes numbers of at most six digits behind the point, and twelve before "
        "it, on SQLite");
}
PG_FN(pg_frame_key) {
    int64_t key;
    if (in_millionths(call, args[0], &key)) *out = DB_I64(key);
}
PG_FN(pg_frame_numeric) {
    int64_t key;
    if (is_distance(call, args[0]) && in_millionths(call, args[0], &key) && is_not_negative(call, key < 0)) *out = DB_I64(key);
}

/* interval, of a clock's time?: µs; a month has no length by itself */
PG_FN(pg_frame_interval) {
    if (!is_distance(call, args[0])) return;
    struct pg_interval v = pg_interval_of(call, args[0]);
    int64_t us = v.us, days;
    if (args[1].i) v.days = v.months = 0;
    if (v.months) (void)pg_raise(call, "0A000", "a window frame in RANGE with an offset of months is not supported on SQLite");
    else if (__builtin_mul_overflow((int64_t)v.days, 86'400'000'000ll, &days) || __builtin_add_overflow(us, days, &us))
        (void)pg_raise(call, "22008", "interval out of range");
    else if (is_not_negative(call, us < 0)) *out = DB_I64(us);
}

static const char *cstr(struct pg_call *call, str s) { return arena_cstr(call->mem, s); }

PG_FN(pg_refuse) {
    (void)n, (void)out;
    if (args[0].kind == DB_TEXTUAL && args[1].kind == DB_TEXTUAL && args[0].s.n == 5)
        (void)pg_raise(call, cstr(call, args[0].s), "%.*s", STR_ARG(args[1].s));
}

PG_FN(pg_sized) {
    (void)n;
    (void)!pg_value_sized(call, (uint32_t)args[0].i, (int32_t)args[1].i, args[2].i != 0, args[3], out);
}
