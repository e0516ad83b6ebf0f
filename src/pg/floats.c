/* floats: real and double precision. A real is stored as the double it is equal to.
 *
 * 1. SQLite has no NaN (it makes NULL of it): text that says so is refused, and a computation that would give it, too.
 * 2. As text they are the shortest that is read as the same (PostgreSQL's extra_float_digits 1).
 */
#include "pg/floats.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define X pg_f64(args[0])
#define Y pg_f64(args[1])

static bool no_nan(struct pg_call *call, const char *type) {
    pg_raise(call, "22P02", "NaN is not supported for type %s on SQLite", type);
    pg_raise_hint(call, "Use null, or the type numeric.");
    return false;
}

/* ---- text ---- */

/* The next one of n digits above, as text: 1.29e-3 → 1.30e-3; false: it is longer then. */
static bool bump(char *text) {
    char *e = strchr(text, 'e');
    for (char *p = e - 1; p >= text; p--) {
        if (!isdigit((unsigned char)*p)) continue;
        if (*p != '9') {
            ++*p;
            return true;
        }
        *p = '0';
    }
    return false;
}

static double read_as(const char *text, bool single) { return single ? (double)strtof(text, NULL) : strtod(text, NULL); }

/* Of "1.500e+16": 1.5e+16 */
static void trim_zeros(char *text) {
    char *e = strchr(text, 'e'), *p = e;
    while (p > text && p[-1] == '0') p--;
    if (p > text && p[-1] == '.') p--;
    if (p != text) memmove(p, e, strlen(e) + 1);
}

/* Is it exactly between v and a neighbour? Whoever reads it may round it to either. The middle of two doubles fits a long double. */
static bool in_the_middle(const char *text, double v, bool single) {
    char shown[128], middle[128];
    for (int up = 0; up < 2; up++) {
        double to = up ? INFINITY : 0;
        long double other = single ? (long double)nextafterf((float)v, (float)to) : (long double)nextafter(v, to);
        long double between = ((long double)v + other) / 2;
        if (strtold(text, NULL) != between) continue;
        snprintf(shown, sizeof shown, "%s", text);
        snprintf(middle, sizeof middle, "%.60Le", between);
        trim_zeros(shown), trim_zeros(middle);
        if (!strcmp(shown, middle)) return true;
    }
    return false;
}

static bool is_it(const char *text, double v, bool single) {
    return read_as(text, single) == v && !in_the_middle(text, v, single);
}

/* The shortest digits, as "d.ddde±x". The nearest of n digits is it, unless v is a power of two, below which numbers are denser: then the
 * next one above may be read as v where the nearest is not. */
static void shortest(double v, bool single, char *text, size_t n) {
    int most = single ? 9 : 17;
    for (int digits = 0; digits < most; digits++) {
        snprintf(text, n, "%.*e", digits, v);
        if (is_it(text, v, single)) return;
        if (bump(text) && is_it(text, v, single)) return;
    }
    snprintf(text, n, "%.*e", most - 1, v);
}

static size_t pg_float_print(double v, bool single, char *out, size_t n) {
    char text[64], digits[32];
    if (isinf(v)) return (size_t)snprintf(out, n, v < 0 ? "-Infinity" : "Infinity");
    if (v == 0) return (size_t)snprintf(out, n, signbit(v) ? "-0" : "0");
    shortest(fabs(v), single, text, sizeof text);
    int count = 0, exponent = atoi(strchr(text, 'e') + 1);
    for (char *p = text; *p != 'e'; p++)
        if (*p != '.') digits[count++] = *p;
    while (count > 1 && digits[count - 1] == '0') count--;
    digits[count] = 0;
    const char *sign = v < 0 ? "-" : "";
    if (exponent < -4 || exponent >= (single ? 6 : 15)) {
        bool minus = exponent < 0;
        return (size_t)snprintf(out, n, "%s%c%s%se%c%02d", sign, digits[0], count > 1 ? "." : "", digits + 1, minus ? '-' : '+',
                                abs(exponent));
    }
    if (exponent < 0) return (size_t)snprintf(out, n, "%s0.%.*s%s", sign, -exponent - 1, "0000", digits);
    if (count <= exponent + 1) return (size_t)snprintf(out, n, "%s%s%.*s", sign, digits, exponent + 1 - count, "000000000000000");
    return (size_t)snprintf(out, n, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}

static bool put_float(struct db_value v, bool single, struct buf *text) {
    char out[64];
    double f = v.kind == DB_INTEGER ? (double)v.i : v.f;
    return buf_put(text, out, pg_float_print(f, single, out, sizeof out));
}
bool pg_float4_out(struct pg_call *call, struct db_value v, struct buf *text) { return put_float(v, true, text); }
bool pg_float8_out(struct pg_call *call, struct db_value v, struct buf *text) { return put_float(v, false, text); }

static bool wrong(struct pg_call *call, const char *type, str text) {
    return pg_raise(call, "22P02", "invalid input syntax for type %s: \"" STR_FMT "\"", type, STR_ARG(text));
}

static str trimmed(str s) {
    while (s.n && isspace(s.p[0])) s = str_sub(s, 1, s.n);
    while (s.n && isspace(s.p[s.n - 1])) s.n--;
    return s;
}

struct number {
    double v;
    size_t n;   /* bytes that it takes */
    bool range; /* too large, or too small */
};

/* What strtod takes, decimal or hexadecimal. */
static bool read_number(str s, bool single, struct number *out) {
    char text[512];
    if (!s.n || s.n >= sizeof text) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    char *end;
    errno = 0;
    double v = single ? (double)strtof(text, &end) : strtod(text, &end);
    if (end == text || (isnan(v) && memchr(text, '(', (size_t)(end - text)))) return false;
    bool range = errno == ERANGE && (v == 0 || isinf(v));
    *out = (struct number){v, (size_t)(end - text), range};
    return true;
}

/* Out of range is said before what stands behind the number is looked at; of a real with the whole text. */
static bool read_float(struct pg_call *call, const char *type, bool single, str text, struct db_value *out) {
    struct number number;
    str s = trimmed(text);
    if (!read_number(s, single, &number)) return wrong(call, type, text);
    str said = single ? text : str_sub(s, 0, number.n);
    if (number.range) return pg_raise(call, "22003", "\"" STR_FMT "\" is out of range for type %s", STR_ARG(said), type);
    if (number.n < s.n) return wrong(call, type, text);
    if (isnan(number.v)) return no_nan(call, type);
    *out = DB_F64(number.v);
    return true;
}
bool pg_float4_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return read_float(call, "real", true, text, out);
}
bool pg_float8_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return read_float(call, "double precision", false, text, out);
}

/* ---- results ---- */

static bool overflows(struct pg_call *call) { return pg_raise(call, "22003", "value out of range: overflow"); }
static bool underflows(struct pg_call *call) { return pg_raise(call, "22003", "value out of range: underflow"); }

/* may_be: infinite, zero, without that being out of range. */
static void give(struct pg_call *call, double v, bool infinite_ok, bool zero_ok, struct db_value *out) {
    if (isnan(v)) no_nan(call, "double precision");
    else if (isinf(v) && !infinite_ok) overflows(call);
    else if (v == 0 && !zero_ok) underflows(call);
    else *out = DB_F64(v);
}

#define FLOATS(prefix, type)                                                                                                     \
    PG_FN(prefix##_add) { give(call, (type)X + (type)Y, isinf(X) || isinf(Y), true, out); }                                      \
    PG_FN(prefix##_sub) { give(call, (type)X - (type)Y, isinf(X) || isinf(Y), true, out); }                                      \
    PG_FN(prefix##_mul) { give(call, (type)((type)X * (type)Y), isinf(X) || isinf(Y), X == 0 || Y == 0, out); }                  \
    PG_FN(prefix##_div) {                                                                                                        \
        if (Y == 0) pg_raise(call, "22012", "division by zero");                                                                 \
        else give(call, (type)((type)X / (type)Y), isinf(X), X == 0 || isinf(Y), out);                                           \
    }
FLOATS(pg_float4, float)
FLOATS(pg_float8, double)

PG_FN(pg_float_minus) { *out = DB_F64(-X); }
PG_FN(pg_float_abs) { *out = DB_F64(fabs(X)); }

/* ---- functions ---- */

PG_FN(pg_float8_ceil) { *out = DB_F64(ceil(X)); }
PG_FN(pg_float8_floor) { *out = DB_F64(floor(X)); }
PG_FN(pg_float8_round) { *out = DB_F64(rint(X)); }
PG_FN(pg_float8_trunc) { *out = DB_F64(trunc(X)); }
PG_FN(pg_float8_sign) { *out = DB_F64((X > 0) - (X < 0)); }
PG_FN(pg_float8_cbrt) { give(call, cbrt(X), isinf(X), X == 0, out); }
PG_FN(pg_float8_pi) { *out = DB_F64(M_PI); }
PG_FN(pg_float8_degrees) { give(call, X / (M_PI / 180.0), isinf(X), X == 0, out); }
PG_FN(pg_float8_radians) { give(call, X * (M_PI / 180.0), isinf(X), X == 0, out); }
PG_FN(pg_float8_sqrt) {
    if (X < 0) pg_raise(call, "2201F", "cannot take square root of a negative number");
    else give(call, sqrt(X), isinf(X), X == 0, out);
}
PG_FN(pg_float8_exp) {
    if (isinf(X)) *out = DB_F64(X > 0 ? X : 0);
    else give(call, exp(X), false, false, out);
}

static bool log_takes(struct pg_call *call, double v) {
    if (v == 0) return pg_raise(call, "2201E", "cannot take logarithm of zero");
    return v > 0 || pg_raise(call, "2201E", "cannot take logarithm of a negative number");
}
PG_FN(pg_float8_ln) {
    if (log_takes(call, X)) give(call, log(X), isinf(X), X == 1, out);
}
PG_FN(pg_float8_log10) {
    if (log_takes(call, X)) give(call, log10(X), isinf(X), X == 1, out);
}

/* POSIX's pow has the infinities right; what is left are the errors. */
PG_FN(pg_float8_power) {
    if (X == 0 && Y < 0) {
        pg_raise(call, "2201F", "zero raised to a negative power is undefined");
    } else if (X < 0 && floor(Y) != Y) {
        pg_raise(call, "2201F", "a negative number raised to a non-integer power yields a complex result");
    } else {
        bool infinite = isinf(X) || isinf(Y);
        give(call, pow(X, Y), infinite, infinite || X == 0, out);
    }
}

static bool in_range(struct pg_call *call, bool ok) { return ok || pg_raise(call, "22003", "input is out of range"); }

#define PERIODIC(name)                                                                                                           \
    PG_FN(pg_float8_##name) {                                                                                                    \
        if (in_range(call, !isinf(X))) give(call, name(X), true, true, out);                                                     \
    }
PERIODIC(sin)
PERIODIC(cos)
PERIODIC(tan)
PG_FN(pg_float8_cot) {
    if (in_range(call, !isinf(X))) give(call, 1.0 / tan(X), true, true, out);
}
PG_FN(pg_float8_asin) {
    if (in_range(call, X >= -1 && X <= 1)) give(call, asin(X), false, true, out);
}
PG_FN(pg_float8_acos) {
    if (in_range(call, X >= -1 && X <= 1)) give(call, acos(X), false, true, out);
}
PG_FN(pg_float8_atan) { *out = DB_F64(atan(X)); }
PG_FN(pg_float8_atan2) { *out = DB_F64(atan2(X, Y)); }
PG_FN(pg_float8_sinh) { *out = DB_F64(sinh(X)); }
PG_FN(pg_float8_cosh) { *out = DB_F64(cosh(X)); }
PG_FN(pg_float8_tanh) { *out = DB_F64(tanh(X)); }
PG_FN(pg_float8_asinh) { *out = DB_F64(asinh(X)); }
PG_FN(pg_float8_acosh) {
    if (in_range(call, X >= 1)) *out = DB_F64(acosh(X));
}
PG_FN(pg_float8_atanh) {
    if (in_range(call, X >= -1 && X <= 1)) *out = DB_F64(atanh(X));
}

/* ---- chance ---- */

static uint64_t mixed(uint64_t *state) { /* splitmix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static uint64_t rotated(uint64_t v, int by) { return v << by | v >> (64 - by); }

static uint64_t next_random(uint64_t *s) { /* xoroshiro128+ (https://prng.di.unimi.it/) */
    if (!s[0] && !s[1]) {
        uint64_t seed = clock_wall_ns() ^ rotated(clock_mono_ns(), 32) ^ (uint64_t)(uintptr_t)s;
        s[0] = mixed(&seed), s[1] = mixed(&seed);
    }
    uint64_t a = s[0], b = s[1], sum = a + b;
    b ^= a;
    s[0] = rotated(a, 24) ^ b ^ b << 16;
    s[1] = rotated(b, 37);
    return sum;
}
PG_FN(pg_random) { *out = DB_F64((double)(next_random(call->session->random) >> 11) * 0x1p-53); }
PG_FN(pg_setseed) {
    if (X < -1 || X > 1) {
        pg_raise(call, "22023", "setseed parameter %g is out of allowed range [-1,1]", X);
        return;
    }
    uint64_t seed;
    double from = X;
    memcpy(&seed, &from, sizeof seed);
    call->session->random[0] = mixed(&seed), call->session->random[1] = mixed(&seed) | 1;
    *out = DB_TEXT(STR(""));
}

/* ---- casts ---- */

static void to_int(struct pg_call *call, double v, const char *type, double low, double high, struct db_value *out) {
    v = rint(v);
    if (!(v >= low && v < high)) pg_raise(call, "22003", "%s out of range", type);
    else *out = DB_I64(v);
}
PG_FN(pg_int2_of_float) { to_int(call, X, "smallint", INT16_MIN, 32768.0, out); }
PG_FN(pg_int4_of_float) { to_int(call, X, "integer", INT32_MIN, 2147483648.0, out); }
PG_FN(pg_int8_of_float) { to_int(call, X, "bigint", -0x1p63, 0x1p63, out); }
PG_FN(pg_float8_of_int) { *out = DB_F64((double)args[0].i); }
PG_FN(pg_float4_of_int) { *out = DB_F64((float)args[0].i); }
PG_FN(pg_float4_of_float8) {
    float f = (float)X;
    give(call, f, isinf(X), X == 0, out);
}

/* As numeric's, of doubles. */
PG_FN(pg_width_bucket_float8) {
    double low = pg_f64(args[1]), high = pg_f64(args[2]);
    int64_t count = args[3].i;
    if (count <= 0) {
        pg_raise(call, "2201G", "count must be greater than zero");
    } else if (isinf(low) || isinf(high)) {
        pg_raise(call, "2201G", "lower and upper bounds must be finite");
    } else if (low == high) {
        pg_raise(call, "2201G", "lower bound cannot equal upper bound");
    } else {
        bool up = low < high;
        bool below = up ? X < low : X > low, above = up ? X >= high : X <= high;
        double place = up ? (double)count * (X - low) / (high - low) : (double)count * (low - X) / (low - high);
        int64_t bucket = below ? 0 : above ? count + 1 : (int64_t)place + 1;
        fits_int4(call, bucket, out);
    }
}

/* ---- aggregates: sums as they come, squares of differences as Youngs and Cramer have it ---- */

struct sums {
    double n, sum, squares;
};

static void single_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct sums *s = state;
    if (args[0].kind == DB_NULL) return;
    double v = pg_f64(args[0]), sum = s->n++ ? (double)((float)s->sum + (float)v) : v;
    if (isinf(sum) && !isinf(s->sum) && !isinf(v)) overflows(call);
    s->sum = sum;
}
static void double_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct sums *s = state;
    if (args[0].kind == DB_NULL) return;
    double v = pg_f64(args[0]), sum = s->n++ ? s->sum + v : v;
    if (isinf(sum) && !isinf(s->sum) && !isinf(v)) overflows(call);
    s->sum = sum;
}
static void sums_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct sums *s = state;
    if (args[0].kind == DB_NULL) return;
    double v = pg_f64(args[0]), before = s->sum;
    s->n++;
    s->sum += v;
    if (s->n > 1) {
        double t = v * s->n - s->sum;
        s->squares += t * t / (s->n * (s->n - 1));
        if ((isinf(s->sum) || isinf(s->squares)) && !isinf(before) && !isinf(v)) overflows(call);
    }
    if (isinf(v)) s->squares = NAN;
}
static void give_sum(struct pg_call *call, const void *state, struct db_value *out) {
    const struct sums *s = state;
    if (s->n) give(call, s->sum, true, true, out);
}
static void give_mean(struct pg_call *call, const void *state, struct db_value *out) {
    const struct sums *s = state;
    if (s->n) give(call, s->sum / s->n, true, true, out);
}
#define SPREAD(name, least, expression)                                                                                          \
    static void name##_value(struct pg_call *call, const void *state, struct db_value *out) {                                    \
        const struct sums *s = state;                                                                                            \
        if (s->n >= least) give(call, expression, true, true, out);                                                              \
    }                                                                                                                            \
    const struct pg_aggregate name = {sizeof(struct sums), sums_step, NULL, name##_value, NULL};
SPREAD(pg_var_samp_float, 2, s->squares / (s->n - 1))
SPREAD(pg_var_pop_float, 1, s->squares / s->n)
SPREAD(pg_stddev_samp_float, 2, sqrt(s->squares / (s->n - 1)))
SPREAD(pg_stddev_pop_float, 1, sqrt(s->squares / s->n))
const struct pg_aggregate pg_sum_float4 = {sizeof(struct sums), single_step, NULL, give_sum, NULL};
const struct pg_aggregate pg_sum_float8 = {sizeof(struct sums), double_step, NULL, give_sum, NULL};
const struct pg_aggregate pg_avg_float = {sizeof(struct sums), sums_step, NULL, give_mean, NULL};

/* ---- two numbers at a time: float8_regr_accum ---- */

struct pairs {
    double n, sum_x, square_x, sum_y, square_y, product;
};

/* Y, then X */
static void pairs_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct pairs *s = state, was = *s;
    if (args[0].kind == DB_NULL || args[1].kind == DB_NULL) return;
    double y = pg_f64(args[0]), x = pg_f64(args[1]);
    s->n++;
    s->sum_x += x, s->sum_y += y;
    if (was.n > 0) {
        double dx = x * s->n - s->sum_x, dy = y * s->n - s->sum_y, scale = 1.0 / (s->n * was.n);
        s->square_x += dx * dx * scale, s->square_y += dy * dy * scale, s->product += dx * dy * scale;
        bool over = isinf(s->sum_x) || isinf(s->square_x) || isinf(s->sum_y) || isinf(s->square_y) || isinf(s->product);
        if (!over) return;
        if (((isinf(s->sum_x) || isinf(s->square_x)) && !isinf(was.sum_x) && !isinf(x)) ||
            ((isinf(s->sum_y) || isinf(s->square_y)) && !isinf(was.sum_y) && !isinf(y)) ||
            (isinf(s->product) && !isinf(was.sum_x) && !isinf(x) && !isinf(was.sum_y) && !isinf(y)))
            overflows(call);
        if (isinf(s->square_x)) s->square_x = NAN;
        if (isinf(s->square_y)) s->square_y = NAN;
        if (isinf(s->product)) s->product = NAN;
    } else {
        if (!isfinite(x)) s->square_x = s->product = NAN;
        if (!isfinite(y)) s->square_y = s->product = NAN;
    }
}
static void pairs_count(struct pg_call *call, const void *state, struct db_value *out) {
    *out = DB_I64((int64_t)((const struct pairs *)state)->n);
}
const struct pg_aggregate pg_regr_count = {sizeof(struct pairs), pairs_step, NULL, pairs_count, NULL};
#define PAIRS(name, where, expression)                                                                                           \
    static void name##_value(struct pg_call *call, const void *state, struct db_value *out) {                                    \
        const struct pairs *s = state;                                                                                           \
        if (where) give(call, expression, true, true, out);                                                                      \
    }                                                                                                                            \
    const struct pg_aggregate name = {sizeof(struct pairs), pairs_step, NULL, name##_value, NULL};
PAIRS(pg_regr_sxx, s->n >= 1, s->square_x)
PAIRS(pg_regr_syy, s->n >= 1, s->square_y)
PAIRS(pg_regr_sxy, s->n >= 1, s->product)
PAIRS(pg_regr_avgx, s->n >= 1, s->sum_x / s->n)
PAIRS(pg_regr_avgy, s->n >= 1, s->sum_y / s->n)
PAIRS(pg_covar_pop, s->n >= 1, s->product / s->n)
PAIRS(pg_covar_samp, s->n >= 2, s->product / (s->n - 1))
PAIRS(pg_corr, s->n >= 1 && s->square_x != 0 && s->square_y != 0, s->product / sqrt(s->square_x * s->square_y))
PAIRS(pg_regr_r2, s->n >= 1 && s->square_x != 0, s->square_y == 0 ? 1.0 : (s->product * s->product) / (s->square_x * s->square_y))
PAIRS(pg_regr_slope, s->n >= 1 && s->square_x != 0, s->product / s->square_x)
PAIRS(pg_regr_intercept, s->n >= 1 && s->square_x != 0, (s->sum_y - s->sum_x * s->product / s->square_x) / s->n)
