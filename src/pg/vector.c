/* vector: pgvector's type. Stored as its elements, one after the other, as bytes: single floats, the least byte first. Distances are exact: they are worked
 * out for each row that is asked about. */
#include "pg/arrays.h"
#include <math.h>
#include <stdlib.h>

enum { DIMENSIONS_MAX = 16'000, LANES = 8, WIDTH = sizeof(float) };
typedef float lanes __attribute__((vector_size(LANES * WIDTH)));

static uint32_t dimensions(str v) { return (uint32_t)(v.n / WIDTH); }
static float element(str v, uint32_t i) {
    float f;
    memcpy(&f, v.p + (size_t)i * WIDTH, WIDTH);
    return f;
}

static bool is_vector(struct pg_call *call, struct db_value v) {
    return (v.kind >= DB_TEXTUAL && v.s.n && v.s.n % WIDTH == 0 && v.s.n <= (size_t)DIMENSIONS_MAX * WIDTH) ||
           pg_raise(call, "XX001", "a stored vector is damaged");
}

static bool alike(struct pg_call *call, const struct db_value *args) {
    if (!is_vector(call, args[0]) || !is_vector(call, args[1])) return false;
    return args[0].s.n == args[1].s.n ||
           pg_raise(call, "22000", "different vector dimensions %u and %u", dimensions(args[0].s), dimensions(args[1].s));
}

static bool may_be(struct pg_call *call, float f) {
    if (isnan(f)) return pg_raise(call, "22000", "NaN not allowed in vector");
    return !isinf(f) || pg_raise(call, "22000", "infinite value not allowed in vector");
}

static bool so_many(struct pg_call *call, size_t n) {
    if (!n) return pg_raise(call, "22000", "vector must have at least 1 dimension");
    return n <= DIMENSIONS_MAX || pg_raise(call, "54000", "vector cannot have more than %d dimensions", DIMENSIONS_MAX);
}

static float *room_for(struct pg_call *call, size_t n) { return pg_call_alloc(call, n * WIDTH); }
static struct db_value stored(const float *f, size_t n) { return DB_BLOB(((str){(const uint8_t *)f, n * WIDTH})); }

bool pg_vector_sized(struct pg_call *call, str v, int32_t typmod, struct db_value *out) {
    *out = DB_BLOB(v);
    return typmod < 0 || dimensions(v) == (uint32_t)typmod ||
           pg_raise(call, "22000", "expected %d dimensions, not %u", typmod, dimensions(v));
}

/* ---- text ---- */

static bool wrong(struct pg_call *call, str text) {
    return pg_raise(call, "22P02", "invalid input syntax for type vector: \"" STR_FMT "\"", STR_ARG(str_sub(text, 0, 200)));
}

static bool is_blank(uint8_t c) { return c == ' ' || (c >= 9 && c <= 13); }
static void skip_blanks(str *s) {
    while (s->n && is_blank(s->p[0])) *s = str_sub(*s, 1, s->n);
}

/* A decimal number at the beginning of what is left. */
static bool take_float(struct pg_call *call, str whole, str *s, float *out) {
    char text[64];
    size_t n = 0;
    while (n < s->n && n + 1 < sizeof text && ((s->p[n] >= '0' && s->p[n] <= '9') || memchr("+-.eE", s->p[n], 5))) n++;
    if (!n) {
        str rest = str_sub(*s, 0, 8);
        if (str_starts(rest, STR("NaN")) || str_starts(rest, STR("nan"))) return may_be(call, NAN);
        if (rest.n && memchr("Ii", rest.p[0], 2)) return may_be(call, INFINITY);
        return wrong(call, whole);
    }
    memcpy(text, s->p, n);
    text[n] = 0;
    char *end;
    *out = strtof(text, &end);
    if (*end) return wrong(call, whole);
    if (isinf(*out)) return pg_raise(call, "22003", "\"%s\" is out of range for type vector", text);
    *s = str_sub(*s, n, s->n);
    return true;
}

bool pg_vector_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    str s = text;
    size_t most = 1, n = 0;
    for (size_t i = 0; i < text.n; i++) most += text.p[i] == ',';
    skip_blanks(&s);
    if (!s.n || s.p[0] != '[') return wrong(call, text);
    s = str_sub(s, 1, s.n);
    skip_blanks(&s);
    if (s.n && s.p[0] == ']') return so_many(call, 0);
    if (most > DIMENSIONS_MAX) return so_many(call, most);
    float *f = room_for(call, most);
    if (!f) return false;
    for (;;) {
        skip_blanks(&s);
        if (!take_float(call, text, &s, &f[n])) return false;
        n++;
        skip_blanks(&s);
        if (!s.n || (s.p[0] != ',' && s.p[0] != ']')) return wrong(call, text);
        bool more = s.p[0] == ',';
        s = str_sub(s, 1, s.n);
        if (!more) break;
    }
    skip_blanks(&s);
    if (s.n) return wrong(call, text);
    *out = stored(f, n);
    return pg_vector_sized(call, out->s, typmod, out);
}

bool pg_vector_out(struct pg_call *call, struct db_value v, struct buf *text) {
    if (!is_vector(call, v)) return false;
    for (uint32_t i = 0; i < dimensions(v.s); i++) {
        buf_putc(text, i ? ',' : '[');
        if (!pg_float4_out(call, (struct db_value){.kind = DB_REAL, .f = (double)element(v.s, i)}, text)) return false;
    }
    buf_putc(text, ']');
    return true;
}

PG_FN(pg_vector_cast) {
    (void)n;
    if (is_vector(call, args[0])) (void)pg_vector_sized(call, args[0].s, (int32_t)args[1].i, out);
}

/* (an array of numbers, typmod) */
PG_FN(pg_vector_of_array) {
    struct pg_array a;
    (void)n;
    if (!pg_array_read(call, args[0].s, false, &a)) return;
    if (a.dimensions > 1) return pg_raise_as(call, "22000", "array must be 1-D");
    float *f = so_many(call, a.n) ? room_for(call, a.n) : NULL;
    for (uint32_t i = 0; f && i < a.n; i++) {
        struct db_value v = a.items[i];
        if (v.kind == DB_NULL) return pg_raise_as(call, "22004", "array must not contain nulls");
        char text[400];
        if (v.kind >= DB_TEXTUAL) snprintf(text, sizeof text, STR_FMT, STR_ARG(v.s));
        f[i] = v.kind == DB_INTEGER ? (float)v.i : v.kind == DB_REAL ? (float)v.f : strtof(text, NULL);
        if (!may_be(call, f[i])) return;
    }
    if (f) (void)pg_vector_sized(call, stored(f, a.n).s, (int32_t)args[1].i, out);
}
PG_FN(pg_vector_to_array) {
    struct pg_array_writer w = pg_array_write(call);
    (void)n;
    if (!is_vector(call, args[0])) return;
    for (uint32_t i = 0; i < dimensions(args[0].s); i++)
        pg_array_put(&w, (struct db_value){.kind = DB_REAL, .f = (double)element(args[0].s, i)});
    *out = pg_array_done(&w);
}

/* ---- distances ---- */

static float sum_of(const lanes *a) {
    float s = 0;
    for (int i = 0; i < LANES; i++) s += (*a)[i];
    return s;
}

/* sum over all elements of what `body` says of x and y, by lanes and then what is left. */
#define SUM(a, b, n, body)                                                                                                       \
    ({                                                                                                                           \
        lanes all = {0};                                                                                                         \
        uint32_t i = 0;                                                                                                          \
        for (; i + LANES <= (n); i += LANES) {                                                                                   \
            lanes x, y;                                                                                                          \
            memcpy(&x, (a).p + (size_t)i * WIDTH, sizeof x);                                                                     \
            memcpy(&y, (b).p + (size_t)i * WIDTH, sizeof y);                                                                     \
            all += (body);                                                                                                       \
        }                                                                                                                        \
        float rest = sum_of(&all);                                                                                               \
        for (; i < (n); i++) {                                                                                                   \
            float x = element((a), i), y = element((b), i);                                                                      \
            rest += (body);                                                                                                      \
        }                                                                                                                        \
        rest;                                                                                                                    \
    })

static float product(str a, str b, uint32_t n) { return SUM(a, b, n, x * y); }

static bool counts(struct pg_call *call, const struct db_value *args) {
    return alike(call, args) && pg_call_works(call, dimensions(args[0].s) / 4 + 1);
}
static struct db_value real(double f) { return (struct db_value){.kind = DB_REAL, .f = f}; }

PG_FN(pg_vector_l2) {
    (void)n;
    if (!counts(call, args)) return;
    str a = args[0].s, b = args[1].s;
    *out = real(sqrt((double)SUM(a, b, dimensions(a), (x - y) * (x - y))));
}
PG_FN(pg_vector_l2_squared) {
    (void)n;
    if (!counts(call, args)) return;
    str a = args[0].s, b = args[1].s;
    *out = real((double)SUM(a, b, dimensions(a), (x - y) * (x - y)));
}
PG_FN(pg_vector_inner) {
    (void)n;
    if (counts(call, args)) *out = real((double)product(args[0].s, args[1].s, dimensions(args[0].s)));
}
PG_FN(pg_vector_inner_negative) {
    (void)n;
    if (counts(call, args)) *out = real(0 - (double)product(args[0].s, args[1].s, dimensions(args[0].s)));
}
/* All three sums in one pass: a row's bytes are read once. */
PG_FN(pg_vector_cosine) {
    (void)n;
    if (!counts(call, args)) return;
    str a = args[0].s, b = args[1].s;
    lanes both = {0}, left = {0}, right = {0};
    uint32_t d = dimensions(a), i = 0;
    for (; i + LANES <= d; i += LANES) {
        lanes x, y;
        memcpy(&x, a.p + (size_t)i * WIDTH, sizeof x);
        memcpy(&y, b.p + (size_t)i * WIDTH, sizeof y);
        both += x * y, left += x * x, right += y * y;
    }
    float like = sum_of(&both), norm_a = sum_of(&left), norm_b = sum_of(&right);
    for (; i < d; i++) {
        float x = element(a, i), y = element(b, i);
        like += x * y, norm_a += x * x, norm_b += y * y;
    }
    double cosine = (double)like / sqrt((double)norm_a * (double)norm_b);
    if (isnan(cosine)) return; /* of zeroes: pgvector's NaN, which SQLite has not; null comes last, too */
    *out = real(1 - (cosine > 1 ? 1 : cosine < -1 ? -1 : cosine));
}
PG_FN(pg_vector_l1) {
    (void)n;
    if (!counts(call, args)) return;
    float sum = 0;
    for (uint32_t i = 0; i < dimensions(args[0].s); i++) sum += fabsf(element(args[0].s, i) - element(args[1].s, i));
    *out = real((double)sum);
}

PG_FN(pg_vector_dims) {
    (void)n;
    if (is_vector(call, args[0])) *out = DB_I64(dimensions(args[0].s));
}
PG_FN(pg_vector_norm) {
    (void)n;
    double sum = 0;
    if (!is_vector(call, args[0])) return;
    for (uint32_t i = 0; i < dimensions(args[0].s); i++) sum += (double)element(args[0].s, i) * (double)element(args[0].s, i);
    *out = real(sqrt(sum));
}

/* ---- made of others ---- */

PG_FN(pg_vector_normalized) {
    struct db_value norm = DB_NOTHING;
    pg_vector_norm(call, args, n, &norm);
    uint32_t d = dimensions(args[0].s);
    float *f = norm.kind == DB_REAL ? room_for(call, d) : NULL;
    for (uint32_t i = 0; f && i < d; i++) f[i] = norm.f > 0 ? (float)((double)element(args[0].s, i) / norm.f) : 0;
    if (f) *out = stored(f, d);
}

PG_FN(pg_vector_part) {
    (void)n;
    if (!is_vector(call, args[0])) return;
    int64_t from = args[1].i, end = from + args[2].i;
    from = MAX(from, 1), end = MIN(end, (int64_t)dimensions(args[0].s) + 1);
    if (args[2].i < 1 || end <= from) return (void)so_many(call, 0);
    *out = DB_BLOB(str_sub(args[0].s, (size_t)(from - 1) * WIDTH, (size_t)(end - from) * WIDTH));
}

static void by_elements(struct pg_call *call, char op, const struct db_value *args, struct db_value *out) {
    if (!counts(call, args)) return;
    uint32_t d = dimensions(args[0].s);
    float *f = room_for(call, d);
    for (uint32_t i = 0; f && i < d; i++) {
        float x = element(args[0].s, i), y = element(args[1].s, i);
        f[i] = op == '+' ? x + y : op == '-' ? x - y : x * y;
        if (isinf(f[i])) return pg_raise_as(call, "22003", "value out of range: overflow");
        if (op == '*' && f[i] == 0 && x != 0 && y != 0) return pg_raise_as(call, "22003", "value out of range: underflow");
    }
    if (f) *out = stored(f, d);
}
PG_FN(pg_vector_add) {
    (void)n;
    by_elements(call, '+', args, out);
}
PG_FN(pg_vector_sub) {
    (void)n;
    by_elements(call, '-', args, out);
}
PG_FN(pg_vector_mul) {
    (void)n;
    by_elements(call, '*', args, out);
}
PG_FN(pg_vector_concat) {
    (void)n;
    if (!is_vector(call, args[0]) || !is_vector(call, args[1])) return;
    size_t a = args[0].s.n, b = args[1].s.n;
    if (!so_many(call, (a + b) / WIDTH)) return;
    uint8_t *p = pg_call_alloc(call, a + b);
    if (!p) return;
    memcpy(p, args[0].s.p, a), memcpy(p + a, args[1].s.p, b);
    *out = DB_BLOB(((str){p, a + b}));
}

/* As pgvector: element by element, then the shorter one first. */
PG_FN(pg_vector_compare) {
    (void)n;
    if (!is_vector(call, args[0]) || !is_vector(call, args[1])) return;
    uint32_t a = dimensions(args[0].s), b = dimensions(args[1].s);
    int order = (a > b) - (a < b);
    for (uint32_t i = 0; i < MIN(a, b); i++) {
        float x = element(args[0].s, i), y = element(args[1].s, i);
        if (x == y) continue;
        order = x < y ? -1 : 1;
        break;
    }
    *out = DB_I64(order);
}

/* ---- sum, avg ---- */

struct sums {
    double *all;
    uint32_t dimensions;
    int64_t n;
};

static void sums_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct sums *s = state;
    (void)n;
    if (args[0].kind == DB_NULL || !is_vector(call, args[0])) return;
    uint32_t d = dimensions(args[0].s);
    if (!s->all) {
        s->all = calloc(d, sizeof *s->all);
        ENSURE(s->all);
        s->dimensions = d;
    }
    if (d != s->dimensions) return pg_raise_as(call, "22000", "expected %u dimensions, not %u", s->dimensions, d);
    if (!pg_call_works(call, d)) return;
    for (uint32_t i = 0; i < d; i++) s->all[i] += (double)element(args[0].s, i);
    s->n++;
}

static void give_sums(struct pg_call *call, const struct sums *s, double by, struct db_value *out) {
    float *f = s->n ? room_for(call, s->dimensions) : NULL;
    for (uint32_t i = 0; f && i < s->dimensions; i++) {
        f[i] = (float)(s->all[i] / by);
        if (!may_be(call, f[i])) return;
    }
    if (f) *out = stored(f, s->dimensions);
}
static void sum_value(struct pg_call *call, const void *state, struct db_value *out) { give_sums(call, state, 1, out); }
static void avg_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct sums *s = state;
    give_sums(call, s, (double)MAX(s->n, 1), out);
}
static void sums_drop(void *state) { free(((struct sums *)state)->all); }
const struct pg_aggregate pg_sum_vector = {sizeof(struct sums), sums_step, NULL, sum_value, sums_drop};
const struct pg_aggregate pg_avg_vector = {sizeof(struct sums), sums_step, NULL, avg_value, sums_drop};
