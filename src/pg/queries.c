/* queries: what queries are made of besides their expressions (queries.def): ordered sets, and what the translator writes for itself. */
#include <math.h>

#include "pg/arrays.h"

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

/* fraction, array of float8: between the two that it falls between */
PG_FN(pg_percentile_cont) {
    struct pg_array a;
    (void)n;
    if (!is_fraction(call, args[0].f) || !sorted(call, PG_FLOAT8, args[1], &a)) return;
    double at = args[0].f * (a.n - 1), low = number(a.items[(uint32_t)floor(at)]), high = number(a.items[(uint32_t)ceil(at)]);
    double v = floor(at) == ceil(at) ? low : low + (high - low) * (at - floor(at)); /* of one value that is infinite: that one */
    if (isnan(v)) (void)pg_raise(call, "22P02", "NaN is not supported for type double precision on SQLite");
    else *out = DB_F64(v);
}

/* element type, fraction, array: the first that so many are not above */
PG_FN(pg_percentile_disc) {
    struct pg_array a;
    (void)n;
    if (!is_fraction(call, args[1].f) || !sorted(call, (uint32_t)args[0].i, args[2], &a)) return;
    double at = ceil(args[1].f * a.n);
    *out = a.items[at < 1 ? 0 : (uint32_t)at - 1];
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
