/* interval: months, days and microseconds: text in (PostgreSQL's own, the SQL standard's and ISO 8601's), text out, order. */
#include "pg/times.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum { FIELDS_MAX = 25, TEXT_MAX = 150 };
enum trouble { FINE, BAD, OUTSIDE };

/* ---- units ---- */

static const struct {
    char word[12];
    enum pg_unit unit;
} units[] = {
    {"c", UNIT_CENTURY},
    {"cent", UNIT_CENTURY},
    {"centuries", UNIT_CENTURY},
    {"century", UNIT_CENTURY},
    {"d", UNIT_DAY},
    {"day", UNIT_DAY},
    {"days", UNIT_DAY},
    {"dec", UNIT_DECADE},
    {"decade", UNIT_DECADE},
    {"decades", UNIT_DECADE},
    {"decs", UNIT_DECADE},
    {"h", UNIT_HOUR},
    {"hour", UNIT_HOUR},
    {"hours", UNIT_HOUR},
    {"hr", UNIT_HOUR},
    {"hrs", UNIT_HOUR},
    {"m", UNIT_MINUTE},
    {"microsecon", UNIT_MICROSECOND},
    {"mil", UNIT_MILLENNIUM},
    {"millennia", UNIT_MILLENNIUM},
    {"millennium", UNIT_MILLENNIUM},
    {"millisecon", UNIT_MILLISECOND},
    {"mils", UNIT_MILLENNIUM},
    {"min", UNIT_MINUTE},
    {"mins", UNIT_MINUTE},
    {"minute", UNIT_MINUTE},
    {"minutes", UNIT_MINUTE},
    {"mon", UNIT_MONTH},
    {"mons", UNIT_MONTH},
    {"month", UNIT_MONTH},
    {"months", UNIT_MONTH},
    {"ms", UNIT_MILLISECOND},
    {"msec", UNIT_MILLISECOND},
    {"mseconds", UNIT_MILLISECOND},
    {"msecs", UNIT_MILLISECOND},
    {"qtr", UNIT_QUARTER},
    {"quarter", UNIT_QUARTER},
    {"s", UNIT_SECOND},
    {"sec", UNIT_SECOND},
    {"second", UNIT_SECOND},
    {"seconds", UNIT_SECOND},
    {"secs", UNIT_SECOND},
    {"timezone", UNIT_TIMEZONE},
    {"timezone_h", UNIT_TIMEZONE_HOUR},
    {"timezone_m", UNIT_TIMEZONE_MINUTE},
    {"us", UNIT_MICROSECOND},
    {"usec", UNIT_MICROSECOND},
    {"useconds", UNIT_MICROSECOND},
    {"usecs", UNIT_MICROSECOND},
    {"w", UNIT_WEEK},
    {"week", UNIT_WEEK},
    {"weeks", UNIT_WEEK},
    {"y", UNIT_YEAR},
    {"year", UNIT_YEAR},
    {"years", UNIT_YEAR},
    {"yr", UNIT_YEAR},
    {"yrs", UNIT_YEAR},
    {"dow", UNIT_DOW},
    {"doy", UNIT_DOY},
    {"epoch", UNIT_EPOCH},
    {"isodow", UNIT_ISODOW},
    {"isoyear", UNIT_ISOYEAR},
    {"julian", UNIT_JULIAN},
    {"j", UNIT_JULIAN},
    {"jd", UNIT_JULIAN},
};
enum { WORD_MAX = 10, UNITS_OF_INTERVALS = ARRAY_COUNT(units) - 8 }; /* PostgreSQL looks at so many letters of a word */

static enum pg_unit unit_among(str word, size_t count) {
    char text[WORD_MAX + 1];
    size_t n = MIN(word.n, (size_t)WORD_MAX);
    for (size_t i = 0; i < n; i++) text[i] = (char)tolower(word.p[i]);
    text[n] = 0;
    for (size_t i = 0; i < count; i++)
        if (!strcmp(units[i].word, text)) return units[i].unit;
    return UNIT_NONE;
}
enum pg_unit pg_unit_named(str word) { return unit_among(word, ARRAY_COUNT(units)); }

/* ---- parts: what has been read ---- */

struct sum {
    int64_t us;
    int32_t days, months, years;
};

static bool add_i64(int64_t *to, int64_t v, int64_t times) {
    int64_t p;
    return !__builtin_mul_overflow(v, times, &p) && !__builtin_add_overflow(*to, p, to);
}
static bool add_i32(int32_t *to, int64_t v, int64_t times) {
    int64_t p = *to;
    if (!add_i64(&p, v, times) || p < INT32_MIN || p > INT32_MAX) return false;
    *to = (int32_t)p;
    return true;
}

static bool add_rest_us(struct sum *s, double rest, double unit) {
    rest *= unit;
    int64_t us = (int64_t)rest;
    rest -= (double)us;
    us += rest > 0.5 ? 1 : rest < -0.5 ? -1 : 0;
    return add_i64(&s->us, us, 1);
}
static bool add_rest_days(struct sum *s, double rest, int unit) {
    rest *= unit;
    int whole = (int)rest;
    return add_i32(&s->days, whole, 1) && add_rest_us(s, rest - whole, (double)US_DAY);
}
static bool add_rest_years(struct sum *s, double rest, int unit) {
    return add_i32(&s->months, (int64_t)rint(rest * unit * 12), 1);
}

/* v + rest of a unit; false: too large */
static bool add_unit(struct sum *s, enum pg_unit unit, int64_t v, double rest) {
    switch (unit) {
    case UNIT_MICROSECOND: return add_i64(&s->us, v, 1) && add_rest_us(s, rest, 1);
    case UNIT_MILLISECOND: return add_i64(&s->us, v, 1000) && add_rest_us(s, rest, 1000);
    case UNIT_SECOND: return add_i64(&s->us, v, US_SECOND) && add_rest_us(s, rest, (double)US_SECOND);
    case UNIT_MINUTE: return add_i64(&s->us, v, US_MINUTE) && add_rest_us(s, rest, (double)US_MINUTE);
    case UNIT_HOUR: return add_i64(&s->us, v, US_HOUR) && add_rest_us(s, rest, (double)US_HOUR);
    case UNIT_DAY: return add_i32(&s->days, v, 1) && add_rest_us(s, rest, (double)US_DAY);
    case UNIT_WEEK: return add_i32(&s->days, v, 7) && add_rest_days(s, rest, 7);
    case UNIT_MONTH: return add_i32(&s->months, v, 1) && add_rest_days(s, rest, 30);
    case UNIT_YEAR: return add_i32(&s->years, v, 1) && add_rest_years(s, rest, 1);
    case UNIT_DECADE: return add_i32(&s->years, v, 10) && add_rest_years(s, rest, 10);
    case UNIT_CENTURY: return add_i32(&s->years, v, 100) && add_rest_years(s, rest, 100);
    case UNIT_MILLENNIUM: return add_i32(&s->years, v, 1000) && add_rest_years(s, rest, 1000);
    default: return false;
    }
}

static bool is_interval_unit(enum pg_unit u) { return u >= UNIT_MICROSECOND && u <= UNIT_MILLENNIUM && u != UNIT_QUARTER; }

/* ---- PostgreSQL's and the standard's: fields, from the last to the first, so that a unit stands before its number ---- */

enum field_kind { NUMBER, WORD, TIME, SIGNED };
struct field {
    enum field_kind kind;
    str text;
};
struct fields {
    char store[TEXT_MAX];
    struct field at[FIELDS_MAX];
    int count;
};

static size_t span(str s, size_t from, bool (*wanted)(int)) {
    size_t n = 0;
    while (from + n < s.n && wanted(s.p[from + n])) n++;
    return n;
}
static bool is_digit(int c) { return isdigit(c); }
static bool is_alpha(int c) { return isalpha(c); }
static bool is_clock(int c) { return isdigit(c) || c == ':' || c == '.'; }
static bool is_signed(int c) { return isdigit(c) || c == ':' || c == '.' || c == '-'; }
static bool is_number(int c) { return isdigit(c) || c == '.' || c == '-'; }

static bool cut_field(struct fields *f, str s, size_t *i) {
    struct field *to = &f->at[f->count];
    size_t from = *i, n;
    int c = s.p[from];
    if (isdigit(c) || c == '.') {
        n = span(s, from, is_digit);
        to->kind = from + n < s.n && s.p[from + n] == ':' ? TIME : NUMBER;
        n = span(s, from, to->kind == TIME ? is_clock : is_number);
        to->text = str_sub(s, from, n);
    } else if (isalpha(c)) {
        to->kind = WORD, n = span(s, from, is_alpha);
        to->text = str_sub(s, from, n);
    } else if (c == '+' || c == '-') {
        n = span(s, from + 1, is_signed);
        if (!n || (!isdigit(s.p[from + 1]) && s.p[from + 1] != '.')) return false;
        to->kind = SIGNED, to->text = str_sub(s, from, ++n);
    } else if (ispunct(c)) {
        ++*i;
        return true;
    } else {
        return false;
    }
    f->count++;
    *i = from + n;
    return true;
}

/* Without the blanks behind a sign. */
static str joined(struct fields *f, str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++)
        if (!isspace(s.p[i]) || !n || (f->store[n - 1] != '-' && f->store[n - 1] != '+')) f->store[n++] = (char)s.p[i];
    return (str){(const uint8_t *)f->store, n};
}

static bool cut(struct fields *f, str s) {
    if (s.n > TEXT_MAX) return false;
    s = joined(f, s);
    for (size_t i = 0; i < s.n;) {
        if (isspace(s.p[i])) {
            i++;
        } else if (f->count == FIELDS_MAX || !cut_field(f, s, &i)) {
            return false;
        }
    }
    return f->count > 0;
}

/* hh:mm, hh:mm:ss.f; mm:ss.f */
static enum trouble take_clock(struct sum *s, str text, bool minus) {
    char store[TEXT_MAX + 1];
    snprintf(store, sizeof store, STR_FMT, STR_ARG(text));
    int64_t n[3] = {0}, us = 0;
    char *p = store;
    int count = 0;
    for (; count < 3; count++) {
        if (!isdigit((unsigned char)*p)) return BAD;
        if (strspn(p, "0123456789") > 15) return OUTSIDE;
        n[count] = strtoll(p, &p, 10);
        if (*p != ':') break;
        p++;
    }
    if (count == 3) return BAD;
    if (*p == '.') {
        if (strspn(p + 1, "0123456789") != strlen(p + 1)) return BAD;
        us = (int64_t)rint(strtod(p, NULL) * 1e6);
        if (count == 1) n[2] = n[1], n[1] = n[0], n[0] = 0;
    } else if (*p) {
        return BAD;
    }
    if (n[1] > 59 || n[2] > 60) return OUTSIDE;
    int sign = minus ? -1 : 1;
    us += n[1] * US_MINUTE + n[2] * US_SECOND;
    s->us = 0; /* parts of days that stand behind it are lost, as they are in PostgreSQL */
    return add_i64(&s->us, sign * n[0], US_HOUR) && add_i64(&s->us, sign * us, 1) ? FINE : OUTSIDE;
}

enum {
    TOO_MANY_DIGITS = 19,
    SECOND_BITS = 1u << UNIT_SECOND | 1u << UNIT_MILLISECOND | 1u << UNIT_MICROSECOND,
    CLOCK_BITS = 1u << UNIT_HOUR | 1u << UNIT_MINUTE | SECOND_BITS,
};

static unsigned bit(enum pg_unit u) { return 1u << u; }

static enum trouble take_number(struct sum *s, str text, enum pg_unit unit, unsigned *known) {
    char store[TEXT_MAX + 1];
    snprintf(store, sizeof store, STR_FMT, STR_ARG(text));
    char *p = store;
    bool minus = *p == '-';
    size_t digits = strspn(p + (*p == '-' || *p == '+'), "0123456789");
    if (digits > TOO_MANY_DIGITS) return OUTSIDE;
    errno = 0;
    int64_t v = strtoll(p, &p, 10);
    if (errno == ERANGE) return OUTSIDE;
    double rest = 0;
    if (*p == '-') { /* years-months */
        char *end;
        int64_t months = strtoll(p + 1, &end, 10);
        if (!isdigit((unsigned char)p[1])) return BAD;
        if (months < 0 || months >= 12) return OUTSIDE;
        if (*end) return BAD;
        unit = UNIT_MONTH;
        if (v > INT32_MAX / 12 || v < -(INT32_MAX / 12)) return OUTSIDE;
        v = v * 12 + (minus ? -months : months);
    } else if (*p == '.') {
        if (strspn(p + 1, "0123456789") != strlen(p + 1)) return BAD;
        rest = p[1] ? strtod(p, NULL) : 0;
        if (minus) rest = -rest;
    } else if (*p) {
        return BAD;
    }
    if (!is_interval_unit(unit)) return BAD;
    unsigned bits = unit == UNIT_SECOND && rest != 0 ? SECOND_BITS : bit(unit);
    if (*known & bits) return BAD;
    *known |= bits;
    return add_unit(s, unit, v, rest) ? FINE : OUTSIDE;
}

static enum trouble take_field(struct sum *s, const struct field *f, enum pg_unit *unit, unsigned *known, bool *ago) {
    switch (f->kind) {
    case SIGNED:
        if (!memchr(f->text.p, ':', f->text.n)) break;
        [[fallthrough]];
    case TIME: {
        bool sign = f->kind == SIGNED;
        if (*known & CLOCK_BITS) return BAD;
        *known |= CLOCK_BITS;
        *unit = UNIT_DAY;
        return take_clock(s, str_sub(f->text, sign, f->text.n), sign && f->text.p[0] == '-');
    }
    case WORD:
        if (str_eq_nocase(f->text, STR("ago"))) { /* what stands before it needs a unit */
            *ago = true, *unit = UNIT_NONE;
            return FINE;
        }
        *unit = unit_among(f->text, UNITS_OF_INTERVALS);
        return *unit ? FINE : BAD;
    case NUMBER: break;
    }
    enum trouble t = take_number(s, f->text, *unit, known);
    if (*unit == UNIT_HOUR) *unit = UNIT_DAY; /* "1 4 hours" */
    return t;
}

/* Without a unit the last number is of what the typmod ends with: of seconds, without one. */
static enum pg_unit last_unit(int32_t typmod) {
    enum { MONTH = 1 << 1, YEAR = 1 << 2, DAY = 1 << 3, HOUR = 1 << 10, MINUTE = 1 << 11 };
    int32_t range = typmod < 0 ? 0x7fff : typmod >> 16 & 0x7fff;
    if (range == 0x7fff || range & 1 << 12) return UNIT_SECOND;
    if (range & MINUTE) return UNIT_MINUTE;
    if (range & HOUR) return UNIT_HOUR;
    if (range & DAY) return UNIT_DAY;
    if (range & MONTH) return UNIT_MONTH;
    return range & YEAR ? UNIT_YEAR : UNIT_SECOND;
}

static bool negate(struct sum *s) {
    if (s->us == INT64_MIN || s->days == INT32_MIN || s->months == INT32_MIN || s->years == INT32_MIN) return false;
    s->us = -s->us, s->days = -s->days, s->months = -s->months, s->years = -s->years;
    return true;
}

static enum trouble read_fields(str text, int32_t typmod, struct sum *s) {
    struct fields f = {0};
    unsigned known = 0;
    bool ago = false;
    enum pg_unit unit = last_unit(typmod);
    if (!cut(&f, text)) return BAD;
    for (int i = f.count - 1; i >= 0; i--) {
        enum trouble t = take_field(s, &f.at[i], &unit, &known, &ago);
        if (t) return t;
    }
    if (!known) return BAD;
    return !ago || negate(s) ? FINE : OUTSIDE;
}

/* ---- ISO 8601: P1Y2M10DT2H30M, P0001-02-03T04:05:06 ---- */

static bool iso_number(const char **p, int64_t *v, double *rest) {
    char *end;
    const char *q = *p + (**p == '-' || **p == '+');
    if (!isdigit((unsigned char)*q) && *q != '.') return false;
    size_t digits = strspn(q, "0123456789");
    if (digits > 17) return false;
    double all = strtod(*p, &end);
    if (strcspn(*p, "eExXpPnN") < (size_t)(end - *p)) return false;
    *v = (int64_t)all;
    *rest = all - (double)*v;
    *p = end;
    return true;
}

static enum pg_unit iso_unit(char c, bool day) {
    static const char days[] = "YMWD", clock[] = "HMS";
    static const enum pg_unit of_days[] = {UNIT_YEAR, UNIT_MONTH, UNIT_WEEK, UNIT_DAY},
                              of_clock[] = {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    const char *found = c ? strchr(day ? days : clock, c) : NULL;
    return !found ? UNIT_NONE : day ? of_days[found - days] : of_clock[found - clock];
}

/* y-m-d or h:m:s */
static enum trouble iso_alternative(const char **p, bool day, int64_t v, double rest, struct sum *s) {
    static const enum pg_unit of_days[] = {UNIT_YEAR, UNIT_MONTH, UNIT_DAY}, of_clock[] = {UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND};
    char mark = day ? '-' : ':';
    for (int i = 0;; i++) {
        if (!add_unit(s, day ? of_days[i] : of_clock[i], v, rest)) return OUTSIDE;
        if (**p != mark) break;
        ++*p;
        if (i == 2 || !isdigit((unsigned char)**p) || !iso_number(p, &v, &rest)) return BAD;
    }
    return !**p || (day && **p == 'T') ? FINE : BAD;
}

static enum trouble read_iso(str text, struct sum *s) {
    char store[TEXT_MAX + 1];
    if (text.n > TEXT_MAX || text.n < 2 || text.p[0] != 'P') return BAD;
    snprintf(store, sizeof store, STR_FMT, STR_ARG(text));
    const char *p = store + 1;
    bool day = true, any = false;
    while (*p) {
        if (*p == 'T') {
            if (!day) return BAD;
            day = false, any = false, p++;
            continue;
        }
        int64_t v;
        double rest;
        if (!iso_number(&p, &v, &rest)) return BAD;
        enum pg_unit unit = iso_unit(*p, day);
        if (unit) {
            p++;
            if (!add_unit(s, unit, v, rest)) return OUTSIDE;
        } else if ((*p == (day ? '-' : ':') || !*p || *p == 'T') && !any) {
            enum trouble t = iso_alternative(&p, day, v, rest, s);
            if (t) return t;
        } else {
            return BAD;
        }
        any = true;
    }
    return any || !day ? FINE : BAD;
}

/* ---- typmod ---- */

static int64_t cut_to(int64_t v, int64_t unit) { return v / unit * unit; }

/* interval day to hour, interval(3): what is below the last field goes; what is above the first stays. */
static struct pg_interval sized(struct pg_interval v, int32_t typmod) {
    enum { MONTH = 1 << 1, YEAR = 1 << 2, DAY = 1 << 3, HOUR = 1 << 10, MINUTE = 1 << 11, SECOND = 1 << 12 };
    if (typmod < 0) return v;
    int32_t range = typmod >> 16 & 0x7fff;
    if (range != 0x7fff && !(range & SECOND)) {
        if (range == YEAR) v.months = v.months / 12 * 12;
        if (!(range & ~(YEAR | MONTH))) v.days = 0;
        if (!(range & (HOUR | MINUTE))) v.us = 0;
        v.us = cut_to(v.us, range & MINUTE ? US_MINUTE : US_HOUR);
    }
    v.us = pg_round_seconds(v.us, typmod & 0xffff);
    return v;
}
PG_FN(pg_interval_sized) { *out = pg_interval_value(call, sized(pg_interval_of(call, args[0]), (int32_t)args[1].i)); }

/* ---- in and out ---- */

static bool pg_interval_read(struct pg_call *call, str text, int32_t typmod, struct pg_interval *out) {
    struct sum s = {0};
    enum trouble t = read_fields(text, typmod, &s);
    if (t == BAD) {
        s = (struct sum){0};
        t = read_iso(text, &s);
    }
    if (t == BAD) return pg_raise(call, "22007", "invalid input syntax for type interval: \"" STR_FMT "\"", STR_ARG(text));
    if (t == OUTSIDE) return pg_raise(call, "22015", "interval field value out of range: \"" STR_FMT "\"", STR_ARG(text));
    *out = (struct pg_interval){.us = s.us, .days = s.days, .months = s.months};
    if (!add_i32(&out->months, s.years, 12)) return pg_raise(call, "22008", "interval out of range");
    *out = sized(*out, typmod);
    return true;
}

struct writing {
    char *out;
    size_t n, cap;
    bool minus; /* the part before */
};

static void put_part(struct writing *w, int64_t v, const char *unit) {
    if (!v) return;
    w->n += (size_t)snprintf(w->out + w->n, w->cap - w->n, "%s%s%lld %s%s", w->n ? " " : "", w->minus && v > 0 ? "+" : "",
                             (long long)v, unit, v == 1 ? "" : "s");
    w->minus = v < 0;
}

static size_t pg_interval_print(struct pg_interval v, char *out, size_t n) {
    struct writing w = {out, 0, n, false};
    put_part(&w, v.months / 12, "year");
    put_part(&w, v.months % 12, "mon");
    put_part(&w, v.days, "day");
    if (w.n && !v.us) return w.n;
    uint64_t us = v.us < 0 ? -(uint64_t)v.us : (uint64_t)v.us;
    w.n += (size_t)snprintf(out + w.n, n - w.n, "%s%s%02llu:%02llu:%02llu", w.n ? " " : "",
                            v.us < 0  ? "-"
                            : w.minus ? "+"
                                      : "",
                            (unsigned long long)(us / (uint64_t)US_HOUR), (unsigned long long)(us / (uint64_t)US_MINUTE % 60),
                            (unsigned long long)(us / (uint64_t)US_SECOND % 60));
    if (us % (uint64_t)US_SECOND) {
        w.n += (size_t)snprintf(out + w.n, n - w.n, ".%06llu", (unsigned long long)(us % (uint64_t)US_SECOND));
        while (out[w.n - 1] == '0') w.n--;
    }
    return w.n;
}

struct db_value pg_interval_value(struct pg_call *call, struct pg_interval v) {
    char out[128];
    if (pg_raised(call)) return DB_NOTHING;
    return pg_call_text(call, (str){(const uint8_t *)out, pg_interval_print(v, out, sizeof out)});
}

struct pg_interval pg_interval_of(struct pg_call *call, struct db_value v) {
    struct pg_interval i = {0};
    pg_interval_read(call, v.s, -1, &i);
    return i;
}

bool pg_interval_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct pg_interval v;
    if (!pg_interval_read(call, text, typmod, &v)) return false;
    *out = pg_interval_value(call, v);
    return !pg_raised(call);
}
bool pg_interval_out(struct pg_call *call, struct db_value v, struct buf *text) { return buf_puts(text, v.s); }

/* ---- order: a month is 30 days, a day 24 hours ---- */

static __int128 length_of(struct pg_interval v) { return v.us + ((__int128)v.months * 30 + v.days) * US_DAY; }

int pg_interval_compare(struct pg_interval a, struct pg_interval b) {
    __int128 x = length_of(a), y = length_of(b);
    return (x > y) - (x < y);
}

int pg_interval_compare_text(str a, str b) {
    struct sum x = {0}, y = {0};
    read_fields(a, -1, &x), read_fields(b, -1, &y); /* stored ones are well-formed */
    struct pg_interval i = {x.us, x.days, (int32_t)(x.months + (int64_t)x.years * 12)},
                       j = {y.us, y.days, (int32_t)(y.months + (int64_t)y.years * 12)};
    return pg_interval_compare(i, j);
}
