/* numeric: reading, printing, and the four operations. numeric.h has the invariants. */
#include "pg/numeric.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

/* ---- making ---- */

static uint16_t *digits_new(struct pg_call *call, int64_t n) {
    if (n > (1 << 20)) {
        pg_raise(call, "22003", "value overflows numeric format");
        return NULL;
    }
    return pg_call_alloc(call, (size_t)MAX(n, 1) * sizeof(uint16_t));
}

/* Of digits that may have zeros at both ends. */
static struct num made(bool minus, int64_t weight, int32_t dscale, const uint16_t *d, int64_t n) {
    while (n && !d[0]) d++, n--, weight--;
    while (n && !d[n - 1]) n--;
    if (!n) return (struct num){.dscale = dscale};
    return (struct num){.minus = minus, .weight = (int32_t)weight, .dscale = dscale, .n = (int32_t)n, .d = d};
}

static struct num infinity(bool minus) { return (struct num){.kind = NUM_INF, .minus = minus}; }

struct num pg_num_of_i128(struct pg_call *call, __int128 v) {
    unsigned __int128 left = v < 0 ? -(unsigned __int128)v : (unsigned __int128)v;
    uint16_t *d = digits_new(call, 10);
    if (!d) return num_zero;
    int32_t n = 0;
    for (int i = 9; i >= 0; i--, n++) {
        d[i] = (uint16_t)(left % NUM_BASE);
        left /= NUM_BASE;
    }
    return made(v < 0, n - 1, 0, d, n);
}

struct num pg_num_of_i64(struct pg_call *call, int64_t v) {
    return pg_num_of_i128(call, v);
}

struct num pg_num_of_f64(struct pg_call *call, double v, int digits) {
    if (isnan(v)) return num_nan;
    if (isinf(v)) return infinity(v < 0);
    char text[64];
    int n = snprintf(text, sizeof text, "%.*g", digits, v);
    struct num x = num_zero;
    pg_num_read(call, (str){(const uint8_t *)text, (size_t)n}, &x);
    return x;
}

/* ---- reading ---- */

static bool wrong(struct pg_call *call, str text) {
    return pg_raise(call, "22P02", "invalid input syntax for type numeric: \"" STR_FMT "\"", STR_ARG(text));
}

static str trimmed(str s) {
    while (s.n && isspace(s.p[0])) s = str_sub(s, 1, s.n);
    while (s.n && isspace(s.p[s.n - 1])) s.n--;
    return s;
}

static bool read_special(str s, struct num *out) {
    if (str_eq_nocase(s, STR("nan"))) {
        *out = num_nan;
        return true;
    }
    bool minus = s.n && s.p[0] == '-';
    if (s.n && (minus || s.p[0] == '+')) s = str_sub(s, 1, s.n);
    if (!str_eq_nocase(s, STR("inf")) && !str_eq_nocase(s, STR("infinity"))) return false;
    *out = infinity(minus);
    return true;
}

struct decimal { /* what a text says: digits with a point among them, an exponent */
    bool minus;
    const uint8_t *first, *end; /* digits and at most one point */
    int64_t before, behind;     /* digits before the point and behind it */
    int64_t exponent;
};

static const uint8_t *read_exponent(const uint8_t *p, const uint8_t *end, struct decimal *d) {
    const uint8_t *q = p + 1;
    bool minus = q < end && *q == '-';
    if (q < end && (*q == '-' || *q == '+')) q++;
    if (q >= end || !isdigit(*q)) return NULL;
    for (; q < end && isdigit(*q); q++)
        if (d->exponent < INT32_MAX / 2) d->exponent = d->exponent * 10 + (*q - '0');
    if (minus) d->exponent = -d->exponent;
    return q;
}

static bool read_decimal(str s, struct decimal *d) {
    const uint8_t *p = s.p, *end = s.p + s.n;
    bool point = false;
    if (p < end && (*p == '-' || *p == '+')) d->minus = *p++ == '-';
    for (d->first = p; p < end && (isdigit(*p) || (*p == '.' && !point)); p++) {
        if (*p == '.') point = true;
        else if (point) d->behind++;
        else d->before++;
    }
    d->end = p;
    if (!d->before && !d->behind) return false;
    if (p < end && (*p == 'e' || *p == 'E') && !(p = read_exponent(p, end, d))) return false;
    if (d->exponent >= INT32_MAX / 2 || d->exponent <= -(INT32_MAX / 2)) return true; /* whatever stands behind it: too large */
    return p == end;
}

/* The digits, so that the point falls between two of ours. */
static bool num_of_decimal(struct pg_call *call, const struct decimal *d, struct num *out) {
    if (d->exponent >= INT32_MAX / 2 || d->exponent <= -(INT32_MAX / 2))
        return pg_raise(call, "22003", "value overflows numeric format");
    int64_t whole = d->before + d->exponent; /* decimal digits before the point */
    int64_t weight = whole > 0 ? (whole + NUM_DIGITS - 1) / NUM_DIGITS - 1 : -((-whole) / NUM_DIGITS) - 1;
    int64_t lead = (weight + 1) * NUM_DIGITS - whole; /* zeros in front, 0 to 3 */
    int64_t all = lead + d->before + d->behind, n = (all + NUM_DIGITS - 1) / NUM_DIGITS;
    uint16_t *digits = digits_new(call, n);
    if (!digits) return false;
    int64_t at = lead;
    for (const uint8_t *p = d->first; p < d->end; p++) {
        if (*p == '.') continue;
        digits[at / NUM_DIGITS] = (uint16_t)(digits[at / NUM_DIGITS] * 10 + (*p - '0'));
        at++;
    }
    for (; at % NUM_DIGITS; at++) digits[at / NUM_DIGITS] = (uint16_t)(digits[at / NUM_DIGITS] * 10);
    int64_t dscale = MAX(d->behind - d->exponent, 0);
    struct num x = made(d->minus, weight, (int32_t)MIN(dscale, (int64_t)INT32_MAX), digits, n);
    if (x.weight > NUM_WEIGHT_MAX || x.dscale > NUM_DSCALE_MAX) return pg_raise(call, "22003", "value overflows numeric format");
    *out = x;
    return true;
}

bool pg_num_read(struct pg_call *call, str text, struct num *out) {
    str s = trimmed(text);
    struct decimal d = {0};
    *out = num_zero;
    if (read_decimal(s, &d)) return pg_call_works(call, s.n) && num_of_decimal(call, &d, out);
    return read_special(s, out) || wrong(call, text);
}

struct num pg_num_of(struct pg_call *call, struct db_value v) {
    struct num x = num_zero;
    if (v.kind == DB_INTEGER) return pg_num_of_i64(call, v.i);
    if (v.kind == DB_REAL) return pg_num_of_f64(call, v.f, 15);
    pg_num_read(call, v.s, &x);
    return x;
}

/* ---- printing ---- */

static uint8_t *put_four(uint8_t *p, unsigned d) {
    p[0] = (uint8_t)('0' + d / 1000);
    p[1] = (uint8_t)('0' + d / 100 % 10);
    p[2] = (uint8_t)('0' + d / 10 % 10);
    p[3] = (uint8_t)('0' + d % 10);
    return p + 4;
}

static unsigned digit_at(struct num x, int32_t weight) {
    int32_t i = x.weight - weight;
    return i >= 0 && i < x.n ? x.d[i] : 0;
}

/* Of what is within the limits. */
static size_t print(struct num x, uint8_t *text) {
    uint8_t *p = text;
    if (x.minus) *p++ = '-';
    uint8_t *first = p;
    for (int32_t w = MAX(x.weight, 0); w >= 0; w--) p = put_four(p, digit_at(x, w));
    size_t zeros = 0;
    while (first + zeros < p - 1 && first[zeros] == '0') zeros++;
    memmove(first, first + zeros, (size_t)(p - first) - zeros);
    p -= zeros;
    if (x.dscale <= 0) return (size_t)(p - text);
    *p++ = '.';
    uint8_t *behind = p;
    for (int32_t w = -1; p - behind < x.dscale; w--) p = put_four(p, digit_at(x, w));
    return (size_t)(behind + x.dscale - text);
}

static bool within(struct pg_call *call, struct num x) {
    if (x.weight <= NUM_WEIGHT_MAX && x.dscale <= NUM_DSCALE_MAX) return true;
    return pg_raise(call, "22003", "value overflows numeric format");
}

struct db_value pg_num_value(struct pg_call *call, struct num x) {
    if (pg_raised(call)) return DB_NOTHING;
    if (x.kind == NUM_NAN) return DB_TEXT(STR("NaN"));
    if (x.kind == NUM_INF) return DB_TEXT(x.minus ? STR("-Infinity") : STR("Infinity"));
    if (!within(call, x)) return DB_NOTHING;
    uint8_t *text = pg_call_alloc(call, (size_t)(MAX(x.weight, 0) + 1) * NUM_DIGITS + (size_t)x.dscale + 8);
    return text ? DB_TEXT(((str){text, print(x, text)})) : DB_NOTHING;
}

bool pg_num_put(struct pg_call *call, struct num x, struct buf *text) {
    struct db_value v = pg_num_value(call, x);
    return v.kind == DB_TEXTUAL && buf_puts(text, v.s);
}

/* ---- rounding ---- */

/* The first `keep` decimal digits of x (counted from its first digit of ours), plus one in the last place if up. */
static struct num keep_digits(struct pg_call *call, struct num x, int64_t keep, int32_t dscale, bool round) {
    static const uint16_t ten[] = {1, 10, 100, 1000};
    if (keep < 0 || (!keep && !round)) return (struct num){.dscale = dscale};
    int64_t n = (keep + NUM_DIGITS - 1) / NUM_DIGITS, part = keep % NUM_DIGITS;
    if (n > x.n || (n == x.n && !part)) {
        x.dscale = dscale;
        return x;
    }
    uint16_t *d = digits_new(call, n + 1);
    if (!d || !pg_call_works(call, (uint64_t)n)) return num_zero;
    memcpy(d + 1, x.d, (size_t)n * sizeof *d);
    unsigned unit = part ? ten[NUM_DIGITS - part] : 1, carry;
    if (part) {
        unsigned rest = d[n] % unit;
        carry = round && rest * 2 >= unit ? unit : 0;
        d[n] = (uint16_t)(d[n] - rest);
    } else {
        carry = round && x.d[n] * 2 >= NUM_BASE;
    }
    for (int64_t i = n; carry; i--) {
        unsigned sum = d[i] + carry;
        d[i] = (uint16_t)(sum % NUM_BASE);
        carry = sum / NUM_BASE;
    }
    return made(x.minus, x.weight + 1, dscale, d, n + 1);
}

struct num pg_num_round(struct pg_call *call, struct num x, int32_t scale) {
    if (x.kind != NUM_FINITE) return x;
    return keep_digits(call, x, (int64_t)(x.weight + 1) * NUM_DIGITS + scale, MAX(scale, 0), true);
}

struct num pg_num_cut(struct pg_call *call, struct num x, int32_t scale) {
    if (x.kind != NUM_FINITE) return x;
    return keep_digits(call, x, (int64_t)(x.weight + 1) * NUM_DIGITS + scale, MAX(scale, 0), false);
}

int32_t pg_num_min_scale(struct num x) {
    if (!x.n) return 0;
    int32_t scale = (x.n - x.weight - 1) * NUM_DIGITS;
    for (unsigned last = x.d[x.n - 1]; scale > 0 && last % 10 == 0; last /= 10) scale--;
    return MAX(scale, 0);
}

/* ---- comparison ---- */

static int compare_digits(struct num a, struct num b) {
    if (!a.n || !b.n) return (a.n > 0) - (b.n > 0);
    if (a.weight != b.weight) return a.weight < b.weight ? -1 : 1;
    for (int32_t i = 0; i < MIN(a.n, b.n); i++)
        if (a.d[i] != b.d[i]) return a.d[i] < b.d[i] ? -1 : 1;
    return (a.n > b.n) - (a.n < b.n);
}

static int rank(struct num x) { return x.kind == NUM_NAN ? 2 : x.kind == NUM_INF ? (x.minus ? -1 : 1) : 0; }

int pg_num_compare(struct num a, struct num b) {
    int x = rank(a), y = rank(b);
    if (x != y || x) return (x > y) - (x < y);
    if (a.minus != b.minus) return a.minus ? -1 : 1;
    int c = compare_digits(a, b);
    return a.minus ? -c : c;
}

/* ---- addition ---- */

/* |a| ± |b|, with a's sign; of a difference |a| ≥ |b|. */
static struct num combine(struct pg_call *call, struct num a, struct num b, bool plus) {
    int32_t dscale = MAX(a.dscale, b.dscale), high = MAX(a.n ? a.weight : b.weight, b.n ? b.weight : a.weight) + 1;
    int32_t low = MIN(a.n ? a.weight - a.n : b.weight - b.n, b.n ? b.weight - b.n : a.weight - a.n) + 1;
    if (!a.n && !b.n) return (struct num){.dscale = dscale};
    int64_t n = (int64_t)high - low + 1;
    uint16_t *d = digits_new(call, n);
    if (!d || !pg_call_works(call, (uint64_t)n)) return num_zero;
    int carry = 0;
    for (int64_t i = n - 1; i >= 0; i--) {
        int32_t w = high - (int32_t)i;
        int sum = (int)digit_at(a, w) + (plus ? (int)digit_at(b, w) : -(int)digit_at(b, w)) + carry;
        carry = sum < 0 ? -1 : sum >= NUM_BASE;
        d[i] = (uint16_t)(sum - carry * NUM_BASE);
    }
    return made(a.minus, high, dscale, d, n);
}

struct num pg_num_add(struct pg_call *call, struct num a, struct num b) {
    if (a.kind == NUM_NAN || b.kind == NUM_NAN) return num_nan;
    if (a.kind == NUM_INF && b.kind == NUM_INF) return a.minus == b.minus ? a : num_nan;
    if (a.kind == NUM_INF) return a;
    if (b.kind == NUM_INF) return b;
    if (a.minus == b.minus || !a.n || !b.n) {
        struct num r = combine(call, a.n ? a : b, a.n ? b : a, true);
        return r;
    }
    return compare_digits(a, b) >= 0 ? combine(call, a, b, false) : combine(call, b, a, false);
}

struct num pg_num_sub(struct pg_call *call, struct num a, struct num b) {
    return pg_num_add(call, a, num_minus(b));
}

/* ---- multiplication ---- */

static struct num product(struct pg_call *call, struct num a, struct num b) {
    int32_t dscale = a.dscale + b.dscale;
    if (!a.n || !b.n) return (struct num){.dscale = dscale};
    if (a.n < b.n) {
        struct num t = a;
        a = b;
        b = t;
    }
    int64_t n = (int64_t)a.n + b.n;
    uint64_t *sums = pg_call_alloc(call, (size_t)n * sizeof *sums);
    uint16_t *d = digits_new(call, n);
    if (!sums || !d) return num_zero;
    for (int32_t j = 0; j < b.n; j++) {
        if (!pg_call_works(call, (uint64_t)a.n)) return num_zero;
        for (int32_t i = 0; i < a.n; i++) sums[i + j + 1] += (uint32_t)a.d[i] * b.d[j];
    }
    uint64_t carry = 0;
    for (int64_t i = n - 1; i >= 0; i--) {
        carry += sums[i];
        d[i] = (uint16_t)(carry % NUM_BASE);
        carry /= NUM_BASE;
    }
    return made(a.minus != b.minus, (int64_t)a.weight + b.weight + 1, dscale, d, n);
}

static struct num times_infinity(struct num a, struct num b) {
    if (num_is_zero(a) || num_is_zero(b)) return num_nan;
    return infinity(a.minus != b.minus);
}

struct num pg_num_mul(struct pg_call *call, struct num a, struct num b) {
    if (a.kind == NUM_NAN || b.kind == NUM_NAN) return num_nan;
    if (a.kind == NUM_INF || b.kind == NUM_INF) return times_infinity(a, b);
    struct num r = product(call, a, b);
    return r.dscale > NUM_DSCALE_MAX ? pg_num_round(call, r, NUM_DSCALE_MAX) : r;
}

struct num pg_num_mul_to(struct pg_call *call, struct num a, struct num b, int32_t scale) {
    return pg_num_round(call, product(call, a, b), scale);
}

/* A power of ten is no multiple of our base's: what remains is a multiplication by 10, 100 or 1000. */
struct num pg_num_shift(struct pg_call *call, struct num x, int32_t digits) {
    static const uint16_t ten[] = {1, 10, 100, 1000};
    int32_t whole = digits >= 0 ? digits / NUM_DIGITS : -((-digits + NUM_DIGITS - 1) / NUM_DIGITS);
    struct num by = {.n = 1, .weight = whole, .d = &ten[digits - whole * NUM_DIGITS]};
    int32_t dscale = x.dscale;
    x = product(call, x, by);
    x.dscale = MAX(dscale - digits, 0);
    return x;
}

/* ---- division: Knuth's algorithm D (The Art of Computer Programming 2, 4.3.1), in base 10000 ---- */

/* q of un+1 digits (with a leading zero) by vn ≥ 2 ones. */
static bool divide_long(struct pg_call *call, uint32_t *u, int64_t un, uint32_t *v, int64_t vn, uint16_t *q) {
    uint32_t norm = NUM_BASE / (v[0] + 1), carry = 0;
    for (int64_t i = un; i >= 0; i--) {
        carry += u[i] * norm;
        u[i] = carry % NUM_BASE;
        carry /= NUM_BASE;
    }
    for (int64_t i = vn - 1; i >= 0; i--) {
        carry += v[i] * norm;
        v[i] = carry % NUM_BASE;
        carry /= NUM_BASE;
    }
    for (int64_t j = 0; j <= un - vn; j++) {
        if (!pg_call_works(call, (uint64_t)vn)) return false;
        uint32_t top = u[j] * NUM_BASE + u[j + 1], digit = top / v[0], rest = top % v[0];
        while (digit >= NUM_BASE || digit * v[1] > rest * NUM_BASE + u[j + 2]) {
            digit--;
            rest += v[0];
            if (rest >= NUM_BASE) break;
        }
        int32_t borrow = 0;
        for (int64_t i = vn - 1; i >= 0; i--) {
            int32_t t = (int32_t)u[j + 1 + i] - (int32_t)(digit * v[i]) + borrow;
            borrow = t >= 0 ? 0 : -((-t + NUM_BASE - 1) / NUM_BASE);
            u[j + 1 + i] = (uint32_t)(t - borrow * NUM_BASE);
        }
        if ((int32_t)u[j] + borrow < 0) { /* one too many: add back */
            digit--;
            uint32_t c = 0;
            for (int64_t i = vn - 1; i >= 0; i--) {
                c += u[j + 1 + i] + v[i];
                u[j + 1 + i] = c % NUM_BASE;
                c /= NUM_BASE;
            }
        }
        u[j] = 0;
        q[j] = (uint16_t)digit;
    }
    return true;
}

struct num pg_num_div_to(struct pg_call *call, struct num a, struct num b, int32_t scale, bool round) {
    if (!a.n) return (struct num){.dscale = MAX(scale, 0)};
    int64_t weight = (int64_t)a.weight - b.weight;
    int64_t n = MAX(weight + 1 + (scale + NUM_DIGITS) / NUM_DIGITS + 1, (int64_t)1); /* of the quotient */
    int64_t vn = MAX(b.n, 2), un = n + vn - 1;
    uint32_t *u = pg_call_alloc(call, (size_t)(un + 3) * sizeof *u), *v = pg_call_alloc(call, (size_t)vn * sizeof *v);
    uint16_t *q = digits_new(call, n);
    if (!u || !v || !q) return num_zero;
    for (int64_t i = 0; i < MIN((int64_t)a.n, un); i++) u[i + 1] = a.d[i];
    for (int64_t i = 0; i < b.n; i++) v[i] = b.d[i];
    if (!divide_long(call, u, un, v, vn, q)) return num_zero;
    struct num r = made(a.minus != b.minus, weight, 0, q, n);
    return round ? pg_num_round(call, r, scale) : pg_num_cut(call, r, scale);
}

static int first_digit(struct num x) { return x.n ? x.d[0] : 0; }

static int32_t chosen_scale(int64_t wanted, int32_t a, int32_t b) {
    wanted = MAX(wanted, (int64_t)a);
    wanted = MAX(wanted, (int64_t)b);
    return (int32_t)MIN(MAX(wanted, (int64_t)0), (int64_t)NUM_DISPLAY_MAX);
}

/* Sixteen significant digits, or as many behind the point as either has. */
static int32_t div_scale(struct num a, struct num b) {
    int32_t weight = a.weight - b.weight - (first_digit(a) <= first_digit(b));
    return chosen_scale((int64_t)NUM_SIGNIFICANT_MIN - (int64_t)weight * NUM_DIGITS, a.dscale, b.dscale);
}

static struct num by_zero(struct pg_call *call) {
    pg_raise(call, "22012", "division by zero");
    return num_zero;
}

/* Infinities: true, and *out is the answer. */
static bool div_special(struct pg_call *call, struct num a, struct num b, struct num *out) {
    *out = num_nan;
    if (a.kind == NUM_NAN || b.kind == NUM_NAN || (a.kind == NUM_INF && b.kind == NUM_INF)) return true;
    if (num_is_zero(b)) {
        *out = by_zero(call);
        return true;
    }
    if (a.kind == NUM_INF) *out = infinity(a.minus != b.minus);
    if (b.kind == NUM_INF) *out = num_zero;
    return a.kind == NUM_INF || b.kind == NUM_INF;
}

struct num pg_num_div(struct pg_call *call, struct num a, struct num b) {
    struct num r;
    return div_special(call, a, b, &r) ? r : pg_num_div_to(call, a, b, div_scale(a, b), true);
}

struct num pg_num_quotient(struct pg_call *call, struct num a, struct num b) {
    struct num r;
    return div_special(call, a, b, &r) ? r : pg_num_div_to(call, a, b, 0, false);
}

struct num pg_num_mod(struct pg_call *call, struct num a, struct num b) {
    if (a.kind == NUM_NAN || b.kind == NUM_NAN) return num_nan;
    if (num_is_zero(b)) return by_zero(call);
    if (a.kind == NUM_INF) return num_nan;
    if (b.kind == NUM_INF) return a;
    struct num whole = pg_num_div_to(call, a, b, 0, false);
    return pg_num_sub(call, a, product(call, whole, b));
}

/* ---- to other numbers ---- */

bool pg_num_to_i64(struct num x, int64_t *out) {
    if (x.kind != NUM_FINITE) return false;
    unsigned __int128 v = 0;
    if (x.n && x.weight > 5) return false;
    for (int32_t w = x.weight; x.n && w >= 0; w--) v = v * NUM_BASE + digit_at(x, w);
    if (x.n && x.weight >= -1 && digit_at(x, -1) * 2 >= NUM_BASE) v++;
    if (v > (unsigned __int128)INT64_MAX + x.minus) return false;
    *out = x.minus ? (int64_t)(-(__int128)v) : (int64_t)v;
    return true;
}

double pg_num_to_f64(struct pg_call *call, struct num x) {
    if (x.kind == NUM_NAN) return NAN;
    if (x.kind == NUM_INF || x.weight > NUM_WEIGHT_MAX) return x.minus ? -INFINITY : INFINITY;
    struct num shown = x;
    shown.dscale = MIN(pg_num_min_scale(x), NUM_DSCALE_MAX);
    struct db_value v = pg_num_value(call, shown);
    char *text = v.kind == DB_TEXTUAL ? arena_cstr(call->mem, v.s) : "0";
    return strtod(text, NULL);
}

struct num pg_num_sized(struct pg_call *call, struct num x, int32_t typmod) {
    if (typmod < 0 || x.kind == NUM_NAN) return x;
    int32_t precision = pg_numeric_typmod_precision(typmod), scale = pg_numeric_typmod_scale(typmod);
    struct num r = pg_num_round(call, x, scale);
    int32_t digits = r.n ? r.weight * NUM_DIGITS + 1 + (r.d[0] > 9) + (r.d[0] > 99) + (r.d[0] > 999) : INT32_MIN;
    if (x.kind == NUM_FINITE && (!r.n || digits <= precision - scale)) return r;
    pg_raise(call, "22003", "numeric field overflow");
    if (x.kind == NUM_INF)
        pg_raise_detail(call, "A field with precision %d, scale %d cannot hold an infinite value.", precision, scale);
    else
        pg_raise_detail(call, "A field with precision %d, scale %d must round to an absolute value less than %s%d.", precision,
                        scale, precision != scale ? "10^" : "", precision != scale ? precision - scale : 1);
    return num_zero;
}

/* ---- the collation: of canonical texts, without memory ---- */

struct parts {
    int rank; /* -1, 0, 1, 2 as rank() has it */
    bool minus;
    str whole, behind; /* without zeros in front, without zeros at the end */
};

static struct parts parts_of(str s) {
    struct parts p = {0};
    if (str_eqc(s, "NaN")) return (struct parts){.rank = 2};
    if (s.n && s.p[0] == '-') p.minus = true, s = str_sub(s, 1, s.n);
    if (s.n && s.p[0] == 'I') return (struct parts){.rank = p.minus ? -1 : 1};
    str_cut(s, '.', &p.whole, &p.behind);
    while (p.whole.n && p.whole.p[0] == '0') p.whole = str_sub(p.whole, 1, p.whole.n);
    while (p.behind.n && p.behind.p[p.behind.n - 1] == '0') p.behind.n--;
    if (!p.whole.n && !p.behind.n) p.minus = false;
    return p;
}

int pg_numeric_compare_text(str a, str b) {
    struct parts x = parts_of(a), y = parts_of(b);
    if (x.rank != y.rank || x.rank) return (x.rank > y.rank) - (x.rank < y.rank);
    if (x.minus != y.minus) return x.minus ? -1 : 1;
    int c = x.whole.n != y.whole.n ? (x.whole.n < y.whole.n ? -1 : 1) : str_cmp(x.whole, y.whole);
    if (!c) c = str_cmp(x.behind, y.behind);
    return x.minus ? -c : c;
}
