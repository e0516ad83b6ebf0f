/* numeric: roots, exponentials, logarithms, powers. Each is computed with more digits than PostgreSQL shows, and rounded to as many, so that
 * the last one is the same.
 *
 * 1. How many digits a result has is PostgreSQL's rule (numeric.c of it): sixteen significant ones, no fewer behind the point than its
 *    arguments show, at most a thousand. The rules estimate with doubles; so do these.
 */
#include "pg/numeric.h"
#include <math.h>

enum { GUARD = 12 };

static struct num small(struct pg_call *call, int64_t v) { return pg_num_of_i64(call, v); }
static struct num raised(struct pg_call *call, const char *state, const char *what) {
    pg_raise(call, state, "%s", what);
    return num_zero;
}
static struct num infinite(bool minus) { return (struct num){.kind = NUM_INF, .minus = minus}; }

static int32_t clamped(double wanted, int32_t a, int32_t b) {
    double scale = MAX(MAX(wanted, (double)a), MAX((double)b, 0.0));
    return (int32_t)MIN(scale, (double)NUM_DISPLAY_MAX);
}

/* ---- square root ---- */

/* Newton's x ← (x + a / x) / 2 from a double's digits, with twice as many right ones each time. */
struct num pg_num_sqrt_to(struct pg_call *call, struct num x, int32_t scale) {
    if (!x.n) return (struct num){.dscale = MAX(scale, 0)};
    int32_t half = (x.weight >= 0 ? x.weight : x.weight - 1) / 2; /* x = m · 10000^(2 half), 1 ≤ m < 10^8 */
    struct num m = x;
    m.weight -= 2 * half;
    struct num r = pg_num_of_f64(call, sqrt(pg_num_to_f64(call, pg_num_cut(call, m, 30))), 17), two = small(call, 2);
    int32_t behind = MAX(scale + half * NUM_DIGITS, 0) + GUARD;
    for (int32_t right = 15;; right *= 2) {
        int32_t at = MIN(2 * right + GUARD, behind);
        r = pg_num_div_to(call, pg_num_add(call, r, pg_num_div_to(call, m, r, at, true)), two, at, true);
        if (right > behind || pg_raised(call)) break;
    }
    r.weight += r.n ? half : 0;
    return pg_num_round(call, r, scale);
}

struct num pg_num_sqrt(struct pg_call *call, struct num x) {
    if (x.kind == NUM_NAN) return x;
    if (x.minus) return raised(call, "2201F", "cannot take square root of a negative number");
    if (x.kind == NUM_INF) return x;
    int32_t weight = (x.weight + 1) * NUM_DIGITS / 2 - 1;
    return pg_num_sqrt_to(call, x, clamped(NUM_SIGNIFICANT_MIN - weight, x.dscale, 0));
}

/* ---- exponential ---- */

/* 2 · artanh(1/n) · k summed: what logarithms of small numbers are made of. */
static struct num artanh_of(struct pg_call *call, struct num y, int32_t scale) {
    struct num square = pg_num_mul_to(call, y, y, scale), power = y, sum = y;
    for (int64_t i = 3; power.n && !pg_raised(call); i += 2) {
        power = pg_num_mul_to(call, power, square, scale);
        sum = pg_num_add(call, sum, pg_num_div_to(call, power, small(call, i), scale, true));
    }
    return sum;
}

/* ln 10 = 46 artanh 1/31 + 34 artanh 1/49 + 20 artanh 1/161 (Machin's kind, as of ln 2, 3, 5) */
static struct num ln_of_ten(struct pg_call *call, int32_t scale) {
    static const struct { int of, times; } terms[] = {{31, 46}, {49, 34}, {161, 20}};
    struct num sum = num_zero, one = small(call, 1);
    for (size_t i = 0; i < ARRAY_COUNT(terms); i++) {
        struct num y = pg_num_div_to(call, one, small(call, terms[i].of), scale, true);
        sum = pg_num_add(call, sum, pg_num_mul_to(call, artanh_of(call, y, scale), small(call, terms[i].times), scale));
    }
    return sum;
}

enum { HALVINGS = 8 };

/* e^x for |x| < 1.2, by x / 2^8 and squaring. */
static struct num exp_small(struct pg_call *call, struct num x, int32_t scale) {
    scale += GUARD;
    struct num y = pg_num_div_to(call, x, small(call, 1 << HALVINGS), scale, true), term = small(call, 1), sum = term;
    for (int64_t i = 1; term.n && !pg_raised(call); i++) {
        term = pg_num_div_to(call, pg_num_mul_to(call, term, y, scale), small(call, i), scale, true);
        sum = pg_num_add(call, sum, term);
    }
    for (int i = 0; i < HALVINGS; i++) sum = pg_num_mul_to(call, sum, sum, scale);
    return sum;
}

/* e^x = 10^p · e^(x - p ln 10), to so many digits behind the point. |x| ≤ 6100 */
static struct num exp_to(struct pg_call *call, struct num x, int32_t scale) {
    double tens = floor(pg_num_to_f64(call, x) / 2.302585092994046 + 0.5);
    int32_t p = (int32_t)tens, inner = MAX(scale + p, 0) + GUARD;
    struct num rest = pg_num_sub(call, x, pg_num_mul_to(call, ln_of_ten(call, inner + GUARD), small(call, p), inner + GUARD));
    struct num r = pg_num_shift(call, exp_small(call, pg_num_round(call, rest, inner), inner), p);
    return pg_num_round(call, r, scale);
}

static struct num exp_checked(struct pg_call *call, struct num x, int32_t scale) {
    double v = pg_num_to_f64(call, x);
    if (fabs(v) < NUM_RESULT_MAX * 3) return exp_to(call, x, scale);
    if (v > 0) return raised(call, "22003", "value overflows numeric format");
    return (struct num){.dscale = scale};
}

static const double log10_e = 0.434294481903252;

struct num pg_num_exp(struct pg_call *call, struct num x) {
    if (x.kind == NUM_NAN) return x;
    if (x.kind == NUM_INF) return x.minus ? num_zero : x;
    double weight = pg_num_to_f64(call, x) * log10_e;
    weight = MIN(MAX(weight, -(double)NUM_RESULT_MAX), (double)NUM_RESULT_MAX);
    return exp_checked(call, x, clamped(NUM_SIGNIFICANT_MIN - (int)weight, x.dscale, 0));
}

/* ---- logarithm ---- */

/* ln x = 2 artanh((m-1)/(m+1)) 2^k + p ln 10, where m is x without its power of ten and after k square roots. */
static struct num ln_to(struct pg_call *call, struct num x, int32_t scale) {
    static const uint16_t nine_tenths[] = {9000}, eleven_tenths[] = {1, 1000};
    struct num low = {.n = 1, .weight = -1, .dscale = 1, .d = nine_tenths}, high = {.n = 2, .dscale = 1, .d = eleven_tenths};
    int32_t inner = MAX(scale, 0) + 2 * GUARD, p = 0, roots = 0;
    bool near = pg_num_compare(x, low) >= 0 && pg_num_compare(x, high) <= 0;
    struct num m = x;
    if (!near) {
        p = x.weight * NUM_DIGITS;
        m.weight = 0;
        m = pg_num_cut(call, m, inner + NUM_DIGITS);
    }
    for (; !pg_raised(call) && (pg_num_compare(m, low) < 0 || pg_num_compare(m, high) > 0); roots++)
        m = pg_num_sqrt_to(call, m, inner + 8);
    struct num one = small(call, 1);
    struct num y = pg_num_div_to(call, pg_num_sub(call, m, one), pg_num_add(call, m, one), inner + 8, true);
    struct num r = pg_num_mul(call, artanh_of(call, y, inner + 8), small(call, 2ll << roots));
    if (p) r = pg_num_add(call, r, pg_num_mul(call, ln_of_ten(call, inner + 8), small(call, p)));
    return pg_num_round(call, r, scale);
}

/* PostgreSQL's estimate of the decimal weight of ln x. */
static int ln_weight(struct pg_call *call, struct num x) {
    if (x.minus || !x.n) return 0;
    double v = pg_num_to_f64(call, x);
    static const uint16_t nine_tenths[] = {9000}, eleven_tenths[] = {1, 1000};
    struct num low = {.n = 1, .weight = -1, .dscale = 1, .d = nine_tenths}, high = {.n = 2, .dscale = 1, .d = eleven_tenths};
    if (pg_num_compare(x, low) >= 0 && pg_num_compare(x, high) <= 0) {
        struct num rest = pg_num_sub(call, x, small(call, 1));
        return rest.n ? rest.weight * NUM_DIGITS + (int)log10(rest.d[0]) : 0;
    }
    double digits = x.d[0];
    int weight = x.weight * NUM_DIGITS;
    if (x.n > 1) digits = digits * NUM_BASE + x.d[1], weight -= NUM_DIGITS;
    v = log(digits) + weight * 2.302585092994046;
    return (int)log10(fabs(v));
}

static bool ln_takes(struct pg_call *call, struct num x) {
    if (x.minus) return pg_raise(call, "2201E", "cannot take logarithm of a negative number");
    return !num_is_zero(x) || pg_raise(call, "2201E", "cannot take logarithm of zero");
}

struct num pg_num_ln(struct pg_call *call, struct num x) {
    if (x.kind == NUM_NAN) return x;
    if (!ln_takes(call, x)) return num_zero;
    if (x.kind == NUM_INF) return x;
    return ln_to(call, x, clamped(NUM_SIGNIFICANT_MIN - ln_weight(call, x), x.dscale, 0));
}

struct num pg_num_log(struct pg_call *call, struct num base, struct num x) {
    if (base.kind == NUM_NAN || x.kind == NUM_NAN) return num_nan;
    if (!ln_takes(call, base) || !ln_takes(call, x)) return num_zero;
    if (base.kind == NUM_INF) return x.kind == NUM_INF ? num_nan : num_zero;
    if (x.kind == NUM_INF) return x;
    int base_weight = ln_weight(call, base), weight = ln_weight(call, x) - base_weight;
    int32_t scale = clamped(NUM_SIGNIFICANT_MIN - weight, base.dscale, x.dscale);
    struct num ln_base = ln_to(call, base, scale + weight + MAX(-base_weight, 0) * 2 + GUARD);
    if (!ln_base.n) return raised(call, "22012", "division by zero");
    return pg_num_div_to(call, ln_to(call, x, scale + MAX(-base_weight, 0) + GUARD), ln_base, scale, true);
}

/* ---- power ---- */

static double log10_of(struct num x) {
    double f = x.d[0];
    int p = x.weight * NUM_DIGITS;
    for (int i = 1; i < x.n && i * NUM_DIGITS < 16; i++) f = f * NUM_BASE + x.d[i], p -= NUM_DIGITS;
    return log10(f) + p;
}

/* By the bits of the exponent, with as many digits as matter. */
static struct num power_by_squares(struct pg_call *call, struct num base, int64_t exponent, int32_t scale, double weight) {
    int64_t significant = 1 + scale + (int64_t)weight + (int64_t)log(fabs((double)exponent)) + 8;
    significant = MAX(significant, (int64_t)1);
    uint64_t bits = exponent < 0 ? (uint64_t)-exponent : (uint64_t)exponent;
    struct num result = bits & 1 ? base : small(call, 1), square = base;
    while ((bits >>= 1) && !pg_raised(call)) {
        int64_t at = MAX(significant - 2 * (int64_t)square.weight * NUM_DIGITS, (int64_t)0);
        square = pg_num_mul_to(call, square, square, (int32_t)MIN(at, (int64_t)2 * NUM_DSCALE_MAX));
        if (bits & 1) {
            at = MAX(significant - (int64_t)(square.weight + result.weight) * NUM_DIGITS, (int64_t)0);
            result = pg_num_mul_to(call, square, result, (int32_t)MIN(at, (int64_t)2 * NUM_DSCALE_MAX));
        }
        if (square.weight > NUM_WEIGHT_MAX || result.weight > NUM_WEIGHT_MAX) { /* or the inverse is nothing */
            if (exponent > 0) return raised(call, "22003", "value overflows numeric format");
            return (struct num){.dscale = scale};
        }
    }
    if (exponent >= 0) return pg_num_round(call, result, scale);
    if (!result.n) return raised(call, "22003", "value overflows numeric format");
    return pg_num_div_to(call, small(call, 1), result, scale, true);
}

/* Always sixteen digits behind the point, or as many as the base shows. */
static struct num power_integer(struct pg_call *call, struct num base, int64_t exponent) {
    double weight = base.n ? (double)exponent * log10_of(base) : 0;
    int32_t scale = clamped(NUM_SIGNIFICANT_MIN, base.dscale, 0);
    struct num one = small(call, 1);
    one.dscale = scale;
    if (!exponent) return one;
    if (exponent == 1) return pg_num_round(call, base, scale);
    if (!base.n && exponent < 0) return raised(call, "22012", "division by zero");
    if (!base.n) return (struct num){.dscale = scale};
    if (exponent == -1) return pg_num_div_to(call, one, base, scale, true);
    if (exponent == 2) return pg_num_mul_to(call, base, base, scale);
    if (weight > (double)(NUM_WEIGHT_MAX + 1) * NUM_DIGITS) return raised(call, "22003", "value overflows numeric format");
    if (weight + 1 < -scale || weight + 1 < -NUM_DISPLAY_MAX) return (struct num){.dscale = scale};
    return power_by_squares(call, base, exponent, scale, weight);
}

static bool is_odd(struct num x) { return num_is_integer(x) && x.n == x.weight + 1 && x.n && x.d[x.n - 1] % 2; }

static struct num power_real(struct pg_call *call, struct num base, struct num exponent) {
    bool minus = base.minus && is_odd(exponent);
    if (base.minus && !num_is_integer(exponent))
        return raised(call, "2201F", "a negative number raised to a non-integer power yields a complex result");
    base = num_abs(base);
    int ln_base = ln_weight(call, base);
    struct num about = ln_to(call, base, MAX(8 - ln_base, 0));
    double v = pg_num_to_f64(call, pg_num_mul_to(call, about, exponent, MAX(8 - ln_base, 0)));
    if (fabs(v) > NUM_RESULT_MAX * 3.01) {
        if (v > 0) return raised(call, "22003", "value overflows numeric format");
        return (struct num){.dscale = NUM_DISPLAY_MAX};
    }
    v *= log10_e;
    int32_t scale = clamped(NUM_SIGNIFICANT_MIN - (int)v, base.dscale, exponent.dscale);
    int32_t inner = MAX(scale + (int)v - ln_base + 8, 0) + (MAX(exponent.weight, 0) + 1) * NUM_DIGITS;
    struct num product = pg_num_mul_to(call, ln_to(call, base, inner), exponent, inner);
    struct num r = exp_checked(call, product, scale);
    return minus ? num_minus(r) : r;
}

/* Of infinities and NaN, as POSIX's pow has them, with PostgreSQL's errors. */
static struct num power_special(struct pg_call *call, struct num base, struct num exponent) {
    struct num one = small(call, 1);
    if (base.kind == NUM_NAN) return num_is_zero(exponent) ? one : base;
    if (exponent.kind == NUM_NAN) return pg_num_compare(base, one) ? exponent : one;
    if (num_is_zero(base) && exponent.minus) return raised(call, "2201F", "zero raised to a negative power is undefined");
    if (exponent.kind == NUM_INF) {
        int c = pg_num_compare(num_abs(base), one);
        if (!c) return one;
        return (c > 0) == !exponent.minus ? infinite(false) : num_zero;
    }
    if (num_is_zero(exponent)) return one;
    if (base.minus && !num_is_integer(exponent))
        return raised(call, "2201F", "a negative number raised to a non-integer power yields a complex result");
    if (exponent.minus) return num_zero;
    return infinite(base.minus && is_odd(exponent));
}

struct num pg_num_power(struct pg_call *call, struct num base, struct num exponent) {
    if (base.kind != NUM_FINITE || exponent.kind != NUM_FINITE) return power_special(call, base, exponent);
    if (num_is_zero(base) && exponent.minus) return raised(call, "2201F", "zero raised to a negative power is undefined");
    int64_t whole;
    if (num_is_integer(exponent) && pg_num_to_i64(exponent, &whole) && whole >= INT32_MIN && whole <= INT32_MAX)
        return power_integer(call, base, whole);
    if (!base.n) return (struct num){.dscale = NUM_SIGNIFICANT_MIN};
    return power_real(call, base, exponent);
}
