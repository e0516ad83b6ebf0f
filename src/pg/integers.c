/* integers: boolean, smallint, integer, bigint, oid. Values are within their types; a result that is not is refused. */
#include "pg/pg_int.h"
#include <ctype.h>
#include <stdlib.h>

/* ---- text ---- */

static str trimmed(str s) {
    while (s.n && isspace(s.p[0])) s = str_sub(s, 1, s.n);
    while (s.n && isspace(s.p[s.n - 1])) s.n--;
    return s;
}

static bool wrong(struct pg_call *call, const char *type, str text) {
    return pg_raise(call, "22P02", "invalid input syntax for type %s: \"" STR_FMT "\"", type, STR_ARG(text));
}

static bool outside(struct pg_call *call, const char *type, str text) {
    return pg_raise(call, "22003", "value \"" STR_FMT "\" is out of range for type %s", STR_ARG(text), type);
}

static bool read_integer(struct pg_call *call, const char *type, str text, int64_t low, int64_t high, struct db_value *out) {
    str s = trimmed(text);
    bool minus = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) s = str_sub(s, 1, s.n);
    unsigned __int128 v = 0, most = minus ? (unsigned __int128)-(__int128)low : (unsigned __int128)high;
    if (!s.n) return wrong(call, type, text);
    for (size_t i = 0; i < s.n; i++) { /* what is too large says so before what stands behind it is looked at */
        if (!isdigit(s.p[i])) return wrong(call, type, text);
        v = v * 10 + (unsigned)(s.p[i] - '0');
        if (v > most) return outside(call, type, text);
    }
    *out = DB_I64(minus ? (int64_t) - (__int128)v : (int64_t)v);
    return true;
}

static bool put_integer(struct db_value v, struct buf *text) { return buf_i64(text, v.i); }

bool pg_int2_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return read_integer(call, "smallint", text, INT16_MIN, INT16_MAX, out);
}
bool pg_int4_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return read_integer(call, "integer", text, INT32_MIN, INT32_MAX, out);
}
bool pg_int8_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return read_integer(call, "bigint", text, INT64_MIN, INT64_MAX, out);
}
/* Negative ones are those that wrap to it, as strtoul has it. */
bool pg_oid_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    str s = trimmed(text);
    unsigned __int128 v = 0;
    for (size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'); i < s.n; i++) { /* of strtoul's range first, of an oid's last */
        if (!isdigit(s.p[i])) return wrong(call, "oid", text);
        v = v * 10 + (unsigned)(s.p[i] - '0');
        if (v > UINT64_MAX) return outside(call, "oid", text);
    }
    if (!read_integer(call, "oid", text, INT32_MIN, UINT32_MAX, out)) return false;
    out->i = (int64_t)(uint32_t)out->i;
    return true;
}
bool pg_int2_out(struct pg_call *call, struct db_value v, struct buf *text) { return put_integer(v, text); }
bool pg_int4_out(struct pg_call *call, struct db_value v, struct buf *text) { return put_integer(v, text); }
bool pg_int8_out(struct pg_call *call, struct db_value v, struct buf *text) { return put_integer(v, text); }
bool pg_oid_out(struct pg_call *call, struct db_value v, struct buf *text) { return put_integer(v, text); }

/* Any beginning of the words that is nobody else's. */
bool pg_bool_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    static const struct {
        const char *word;
        uint8_t least;
        bool value;
    } words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                 {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    str s = trimmed(text);
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        str word = str_c(words[i].word);
        if (s.n < words[i].least || s.n > word.n || !str_eq_nocase(s, str_sub(word, 0, s.n))) continue;
        *out = DB_I64(words[i].value);
        return true;
    }
    return wrong(call, "boolean", text);
}
bool pg_bool_out(struct pg_call *call, struct db_value v, struct buf *text) { return buf_putc(text, v.i ? 't' : 'f'); }

PG_FN(pg_bool_text) { *out = DB_TEXT(args[0].i ? STR("true") : STR("false")); }

/* ---- arithmetic ---- */

static bool fits(struct pg_call *call, const char *type, __int128 v, int64_t low, int64_t high, struct db_value *out) {
    if (v < low || v > high) return pg_raise(call, "22003", "%s out of range", type);
    *out = DB_I64(v);
    return true;
}

static bool divides(struct pg_call *call, int64_t by) { return by || pg_raise(call, "22012", "division by zero"); }

static uint64_t gcd_of(__int128 a, __int128 b) {
    uint64_t x = (uint64_t)(a < 0 ? -a : a), y = (uint64_t)(b < 0 ? -b : b);
    while (y) {
        uint64_t t = x % y;
        x = y;
        y = t;
    }
    return x;
}

static __int128 lcm_of(int64_t a, int64_t b) {
    if (!a || !b) return 0;
    __int128 v = (__int128)a / (__int128)gcd_of(a, b) * b;
    return v < 0 ? -v : v;
}

#define X args[0].i
#define Y args[1].i
#define ARITHMETIC(prefix, name, low, high, bits)                                                                                \
    PG_FN(prefix##_add) { fits(call, name, (__int128)X + Y, low, high, out); }                                                   \
    PG_FN(prefix##_sub) { fits(call, name, (__int128)X - Y, low, high, out); }                                                   \
    PG_FN(prefix##_mul) { fits(call, name, (__int128)X *Y, low, high, out); }                                                    \
    PG_FN(prefix##_div) {                                                                                                        \
        if (divides(call, Y)) fits(call, name, (__int128)X / Y, low, high, out);                                                 \
    }                                                                                                                            \
    PG_FN(prefix##_mod) {                                                                                                        \
        if (divides(call, Y)) *out = DB_I64(Y == -1 ? 0 : X % Y);                                                                \
    }                                                                                                                            \
    PG_FN(prefix##_minus) { fits(call, name, -(__int128)X, low, high, out); }                                                    \
    PG_FN(prefix##_abs) { fits(call, name, X < 0 ? -(__int128)X : X, low, high, out); }                                          \
    PG_FN(prefix##_left) { *out = DB_I64((int##bits##_t)((uint64_t)X << (Y & (MAX(bits, 32) - 1)))); }                           \
    PG_FN(prefix##_right) { *out = DB_I64((int##bits##_t)X >> (Y & (MAX(bits, 32) - 1))); }
ARITHMETIC(pg_int2, "smallint", INT16_MIN, INT16_MAX, 16)
ARITHMETIC(pg_int4, "integer", INT32_MIN, INT32_MAX, 32)
ARITHMETIC(pg_int8, "bigint", INT64_MIN, INT64_MAX, 64)
PG_FN(pg_int2_of_int) { fits(call, "smallint", X, INT16_MIN, INT16_MAX, out); }
PG_FN(pg_int4_of_int) { fits(call, "integer", X, INT32_MIN, INT32_MAX, out); }
PG_FN(pg_int4_gcd) { fits(call, "integer", (__int128)gcd_of(X, Y), INT32_MIN, INT32_MAX, out); }
PG_FN(pg_int4_lcm) { fits(call, "integer", lcm_of(X, Y), INT32_MIN, INT32_MAX, out); }
PG_FN(pg_int8_gcd) { fits(call, "bigint", (__int128)gcd_of(X, Y), INT64_MIN, INT64_MAX, out); }
PG_FN(pg_int8_lcm) { fits(call, "bigint", lcm_of(X, Y), INT64_MIN, INT64_MAX, out); }
PG_FN(pg_oid_of_int) { fits(call, "OID", X, 0, UINT32_MAX, out); }
PG_FN(pg_oid_of_int4) { *out = DB_I64((uint32_t)X); }
PG_FN(pg_int4_of_oid) { *out = DB_I64((int32_t)X); }
PG_FN(pg_int_xor) { *out = DB_I64(X ^ Y); }

/* ---- series ---- */

struct series {
    int64_t next, last, step;
    bool done;
};

static void series_open(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct series *s = state;
    *s = (struct series){X, Y, n > 2 ? args[2].i : 1, false};
    if (!s->step) pg_raise(call, "22023", "step size cannot equal zero");
}

static bool series_next(struct pg_call *call, void *state, struct db_value *columns) {
    struct series *s = state;
    if (s->done || (s->step > 0 ? s->next > s->last : s->next < s->last) || !pg_call_works(call, 50)) return false;
    columns[0] = DB_I64(s->next);
    s->done = __builtin_add_overflow(s->next, s->step, &s->next);
    return true;
}
const struct pg_set pg_series_int = {sizeof(struct series), 1, series_open, series_next, NULL};

/* ---- aggregates ---- */

struct sum_state {
    __int128 sum, squares;
    int64_t count;
};

static void sum_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct sum_state *s = state;
    if (args[0].kind == DB_NULL) return;
    s->sum += X;
    s->count++;
}

static void sum_inverse(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct sum_state *s = state;
    if (args[0].kind == DB_NULL) return;
    s->sum -= X;
    s->count--;
}

static void sum_value_i64(struct pg_call *call, const void *state, struct db_value *out) {
    const struct sum_state *s = state;
    if (s->count) fits(call, "bigint", s->sum, INT64_MIN, INT64_MAX, out);
}
const struct pg_aggregate pg_sum_int = {sizeof(struct sum_state), sum_step, sum_inverse, sum_value_i64, NULL};

struct all_state {
    int64_t count, trues;
    int64_t bits;
};

static void all_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct all_state *s = state;
    if (args[0].kind == DB_NULL) return;
    s->count++;
    s->trues += X != 0;
}
static void all_inverse(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct all_state *s = state;
    if (args[0].kind == DB_NULL) return;
    s->count--;
    s->trues -= X != 0;
}
static void and_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct all_state *s = state;
    if (s->count) *out = DB_I64(s->trues == s->count);
}
static void or_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct all_state *s = state;
    if (s->count) *out = DB_I64(s->trues > 0);
}
const struct pg_aggregate pg_bool_and = {sizeof(struct all_state), all_step, all_inverse, and_value, NULL};
const struct pg_aggregate pg_bool_or = {sizeof(struct all_state), all_step, all_inverse, or_value, NULL};

#define BITS(name, expression)                                                                                                   \
    static void name##_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {                        \
        struct all_state *s = state;                                                                                             \
        if (args[0].kind == DB_NULL) return;                                                                                     \
        s->bits = s->count++ ? (expression) : X;                                                                                 \
    }                                                                                                                            \
    const struct pg_aggregate name = {sizeof(struct all_state), name##_step, NULL, bits_value, NULL};
static void bits_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct all_state *s = state;
    if (s->count) *out = DB_I64(s->bits);
}
BITS(pg_bit_and, s->bits &X)
BITS(pg_bit_or, s->bits | X)
BITS(pg_bit_xor, s->bits ^ X)
