/* time_parts: extract, date_part, date_trunc, date_bin: a unit of a date, time, timestamp or interval.
 *
 * extract gives a numeric, whose digits behind the point are the unit's (seconds six, milliseconds three); date_part is the same as a double.
 * What a unit is of, each kind of value has its own function for; a value is `units of 10^-scale`, or infinite, or there is none.
 */
#include "pg/times.h"
#include "pg/numeric.h"
#include "pg/floats.h"
#include <ctype.h>
#include <math.h>

#define UNIT args[0].s

struct part {
    enum { PART_NUMBER, PART_NULL, PART_INFINITE, PART_RAISED, PART_UNKNOWN, PART_REFUSED, PART_JULIAN } kind;
    __int128 v; /* of 10^-scale */
    int scale;
};
static struct part number(int64_t v) { return (struct part){PART_NUMBER, v, 0}; }
static struct part scaled(__int128 v, int scale) { return (struct part){PART_NUMBER, v, scale}; }

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* ---- what all have ---- */

static bool clock_part(enum pg_unit unit, int64_t us, struct part *out) {
    switch (unit) {
    case UNIT_MICROSECOND: *out = number(us % US_MINUTE); return true;
    case UNIT_MILLISECOND: *out = scaled(us % US_MINUTE, 3); return true;
    case UNIT_SECOND: *out = scaled(us % US_MINUTE, 6); return true;
    case UNIT_MINUTE: *out = number(us / US_MINUTE % 60); return true;
    case UNIT_HOUR: *out = number(us / US_HOUR); return true;
    default: return false;
    }
}

static int64_t no_year_zero(int64_t y) { return y > 0 ? y : y - 1; }
static int64_t century_of(int64_t y, int64_t of) { return y > 0 ? (y + of - 1) / of : -((of - 1 - (y - 1)) / of); }

static bool day_part(enum pg_unit unit, int64_t days, struct part *out) {
    struct pg_parts p;
    int64_t year;
    pg_parts_of_days(days, &p);
    switch (unit) {
    case UNIT_DAY: *out = number(p.day); return true;
    case UNIT_MONTH: *out = number(p.month); return true;
    case UNIT_QUARTER: *out = number((p.month - 1) / 3 + 1); return true;
    case UNIT_WEEK: *out = number(pg_iso_week(p.year, p.month, p.day, NULL)); return true;
    case UNIT_YEAR: *out = number(no_year_zero(p.year)); return true;
    case UNIT_DECADE: *out = number(p.year >= 0 ? p.year / 10 : -((8 - (p.year - 1)) / 10)); return true;
    case UNIT_CENTURY: *out = number(century_of(p.year, 100)); return true;
    case UNIT_MILLENNIUM: *out = number(century_of(p.year, 1000)); return true;
    case UNIT_ISOYEAR:
        pg_iso_week(p.year, p.month, p.day, &year);
        *out = number(no_year_zero(year));
        return true;
    case UNIT_DOW: *out = number(pg_day_of_week(days)); return true;
    case UNIT_ISODOW: *out = number((pg_day_of_week(days) + 6) % 7 + 1); return true;
    case UNIT_DOY: *out = number(days - pg_days_of(p.year, 1, 1) + 1); return true;
    default: return false;
    }
}

/* Of an infinite timestamp: what grows with it is infinite, what goes round is nothing. */
static struct part part_of_infinity(enum pg_unit unit, bool minus) {
    switch (unit) {
    case UNIT_YEAR:
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM:
    case UNIT_JULIAN:
    case UNIT_ISOYEAR:
    case UNIT_EPOCH: return (struct part){PART_INFINITE, minus ? -1 : 1, 0};
    default: return (struct part){.kind = PART_NULL};
    }
}

/* ---- by type ---- */

static bool unit_of_zone(enum pg_unit u) { return u >= UNIT_TIMEZONE && u <= UNIT_TIMEZONE_MINUTE; }

static struct part zone_part(enum pg_unit unit, int32_t offset) {
    switch (unit) {
    case UNIT_TIMEZONE: return number(offset);
    case UNIT_TIMEZONE_HOUR: return number(offset / 3600);
    default: return number(offset / 60 % 60);
    }
}

static struct part part_of_stamp(enum pg_unit unit, int64_t t, int64_t local) {
    struct part r;
    if (!unit) return (struct part){.kind = PART_UNKNOWN};
    if (stamp_is_infinite(t)) return part_of_infinity(unit, t < 0);
    if (unit_of_zone(unit)) return (struct part){.kind = PART_REFUSED};
    int64_t days = floor_div(local, US_DAY);
    if (clock_part(unit, local - days * US_DAY, &r) || day_part(unit, days, &r)) return r;
    if (unit == UNIT_EPOCH) return scaled((__int128)t + UNIX_DAYS * (__int128)US_DAY, 6);
    return (struct part){.kind = PART_JULIAN, .v = local};
}

static struct part part_of_stamptz(struct pg_call *call, enum pg_unit unit, int64_t t) {
    if (!unit) return (struct part){.kind = PART_UNKNOWN};
    if (stamp_is_infinite(t)) return unit_of_zone(unit) ? (struct part){.kind = PART_NULL} : part_of_infinity(unit, t < 0);
    struct pg_zone_at at;
    pg_zone_at(pg_session_zone(call), unix_of_stamp(t), &at);
    if (unit_of_zone(unit)) return zone_part(unit, at.offset);
    return part_of_stamp(unit, t, t + at.offset * US_SECOND);
}

static struct part part_of_date(enum pg_unit unit, int64_t d) {
    struct part r;
    if (!unit) return (struct part){.kind = PART_UNKNOWN};
    bool clock = unit <= UNIT_HOUR || unit_of_zone(unit);
    if (clock) return (struct part){.kind = PART_REFUSED};
    if (date_is_infinite(d)) return part_of_infinity(unit, d < 0);
    if (day_part(unit, d, &r)) return r;
    return unit == UNIT_EPOCH ? number((d + UNIX_DAYS) * 86400) : number(d - DATE_MIN);
}

static struct part part_of_clock(enum pg_unit unit, int64_t us) {
    struct part r;
    if (!unit) return (struct part){.kind = PART_UNKNOWN};
    if (clock_part(unit, us, &r)) return r;
    return unit == UNIT_EPOCH ? scaled(us, 6) : (struct part){.kind = PART_REFUSED};
}

static struct part part_of_timetz(enum pg_unit unit, struct pg_timetz t) {
    if (unit_of_zone(unit)) return zone_part(unit, t.offset);
    if (unit == UNIT_EPOCH) return scaled(t.us - t.offset * US_SECOND, 6);
    return part_of_clock(unit, t.us);
}

static struct part part_of_interval(enum pg_unit unit, struct pg_interval v) {
    struct part r;
    if (!unit) return (struct part){.kind = PART_UNKNOWN};
    if (clock_part(unit, v.us, &r)) return r;
    switch (unit) {
    case UNIT_DAY: return number(v.days);
    case UNIT_MONTH: return number(v.months % 12);
    case UNIT_QUARTER: return number(v.months % 12 / 3 + 1);
    case UNIT_YEAR: return number(v.months / 12);
    case UNIT_DECADE: return number(v.months / 120);
    case UNIT_CENTURY: return number(v.months / 1200);
    case UNIT_MILLENNIUM: return number(v.months / 12000);
    case UNIT_EPOCH: { /* a year has 365.25 days, a month 30 */
        __int128 quarters = (__int128)1461 * (v.months / 12) + 120 * (__int128)(v.months % 12) + 4 * (__int128)v.days;
        return scaled(quarters * (US_DAY / 4) + v.us, 6);
    }
    default: return (struct part){.kind = PART_REFUSED};
    }
}

/* ---- as numeric and as double ---- */

static bool part_refused(struct pg_call *call, struct part p, str unit, const char *type) {
    if (p.kind != PART_UNKNOWN && p.kind != PART_REFUSED) return false;
    char text[64];
    size_t n = MIN(unit.n, sizeof text - 1);
    for (size_t i = 0; i < n; i++) text[i] = (char)tolower(unit.p[i]);
    text[n] = 0;
    bool unknown = p.kind == PART_UNKNOWN;
    pg_raise(call, unknown ? "22023" : "0A000", "unit \"%s\" not %s for type %s", text, unknown ? "recognized" : "supported",
             type);
    return true;
}

static struct num num_of_part(struct pg_call *call, __int128 v, int scale) {
    if (v > INT64_MAX || v < INT64_MIN) { /* PostgreSQL divides there, to sixteen digits */
        struct num by = pg_num_shift(call, pg_num_of_i64(call, 1), scale);
        return pg_num_round(call, pg_num_div(call, pg_num_of_i128(call, v), by), scale);
    }
    struct num x = pg_num_shift(call, pg_num_of_i128(call, v), -scale);
    x.dscale = scale;
    return x;
}

static struct num julian_of(struct pg_call *call, int64_t local) {
    int64_t days = floor_div(local, US_DAY);
    struct num rest = pg_num_div(call, pg_num_of_i64(call, local - days * US_DAY), pg_num_of_i64(call, US_DAY));
    return pg_num_add(call, pg_num_of_i64(call, days - DATE_MIN), rest);
}

static void give_numeric(struct pg_call *call, struct part p, str unit, const char *type, struct db_value *out) {
    if (pg_raised(call) || part_refused(call, p, unit, type) || p.kind == PART_NULL) return;
    if (p.kind == PART_INFINITE) *out = pg_num_value(call, (struct num){.kind = NUM_INF, .minus = p.v < 0});
    else if (p.kind == PART_JULIAN) *out = pg_num_value(call, julian_of(call, (int64_t)p.v));
    else *out = pg_num_value(call, num_of_part(call, p.v, p.scale));
}

static void give_double(struct pg_call *call, struct part p, str unit, const char *type, struct db_value *out) {
    static const double tens[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};
    if (pg_raised(call) || part_refused(call, p, unit, type) || p.kind == PART_NULL) return;
    if (p.kind == PART_INFINITE) {
        *out = DB_F64(p.v < 0 ? -INFINITY : INFINITY);
    } else if (p.kind == PART_JULIAN) {
        int64_t days = floor_div((int64_t)p.v, US_DAY);
        *out = DB_F64((double)(days - DATE_MIN) + (double)((int64_t)p.v - days * US_DAY) / (double)US_DAY);
    } else {
        enum pg_unit which = pg_unit_named(unit); /* whole seconds and the rest are added as PostgreSQL does */
        bool split = which == UNIT_SECOND || which == UNIT_MILLISECOND;
        double whole = split ? (double)(int64_t)(p.v / US_SECOND) * (which == UNIT_SECOND ? 1 : 1000.0) : 0;
        *out = DB_F64(whole + (double)(split ? p.v % US_SECOND : p.v) / tens[p.scale]);
    }
}

#define PARTS(suffix, part, type)                                                                                                \
    PG_FN(pg_extract_##suffix) { give_numeric(call, part, UNIT, type, out); }                                                    \
    PG_FN(pg_date_part_##suffix) { give_double(call, part, UNIT, type, out); }
PARTS(timestamp, part_of_stamp(pg_unit_named(UNIT), args[1].i, args[1].i), "timestamp without time zone")
PARTS(timestamptz, part_of_stamptz(call, pg_unit_named(UNIT), args[1].i), "timestamp with time zone")
PARTS(time, part_of_clock(pg_unit_named(UNIT), args[1].i), "time without time zone")
PG_FN(pg_extract_timetz) {
    give_numeric(call, part_of_timetz(pg_unit_named(UNIT), pg_timetz_of(args[1].s)), UNIT, "time with time zone", out);
}
PG_FN(pg_date_part_timetz) {
    struct pg_timetz t = pg_timetz_of(args[1].s);
    if (pg_unit_named(UNIT) == UNIT_EPOCH) *out = DB_F64((double)t.us / 1e6 - t.offset);
    else give_double(call, part_of_timetz(pg_unit_named(UNIT), t), UNIT, "time with time zone", out);
}
PARTS(interval, part_of_interval(pg_unit_named(UNIT), pg_interval_of(call, args[1])), "interval")
PG_FN(pg_extract_date) { give_numeric(call, part_of_date(pg_unit_named(UNIT), args[1].i), UNIT, "date", out); }

/* ---- date_trunc ---- */

static int64_t trunc_to(int64_t v, int64_t unit) { return floor_div(v, unit) * unit; }

/* The first year of its decade, century, millennium, which are counted from 1 (decades from 0). */
static int64_t first_year(enum pg_unit unit, int64_t y) {
    int64_t of = unit == UNIT_CENTURY ? 100 : unit == UNIT_MILLENNIUM ? 1000 : 10;
    if (unit == UNIT_DECADE) return y > 0 ? y / 10 * 10 : -((8 - (y - 1)) / 10) * 10;
    return y > 0 ? (y + of - 1) / of * of - (of - 1) : -((of - 1 - (y - 1)) / of) * of + 1;
}

/* False: no such unit here. */
static bool trunc_local(enum pg_unit unit, int64_t *t) {
    struct pg_parts p;
    int64_t days = floor_div(*t, US_DAY);
    pg_parts_of_days(days, &p);
    switch (unit) {
    case UNIT_MICROSECOND: return true;
    case UNIT_MILLISECOND: *t = trunc_to(*t, 1000); return true;
    case UNIT_SECOND: *t = trunc_to(*t, US_SECOND); return true;
    case UNIT_MINUTE: *t = trunc_to(*t, US_MINUTE); return true;
    case UNIT_HOUR: *t = trunc_to(*t, US_HOUR); return true;
    case UNIT_DAY: break;
    case UNIT_WEEK: days -= (pg_day_of_week(days) + 6) % 7; break;
    case UNIT_MONTH: days = pg_days_of(p.year, p.month, 1); break;
    case UNIT_QUARTER: days = pg_days_of(p.year, (p.month - 1) / 3 * 3 + 1, 1); break;
    case UNIT_YEAR: days = pg_days_of(p.year, 1, 1); break;
    case UNIT_DECADE:
    case UNIT_CENTURY:
    case UNIT_MILLENNIUM: days = pg_days_of(first_year(unit, p.year), 1, 1); break;
    default: return false;
    }
    *t = days * US_DAY;
    return true;
}

static bool trunc_refused(struct pg_call *call, str text, const char *type) {
    enum pg_unit unit = pg_unit_named(text);
    struct part p = {.kind = unit && (unit < UNIT_DOW || unit_of_zone(unit)) ? PART_REFUSED : PART_UNKNOWN};
    return !part_refused(call, p, text, type);
}

PG_FN(pg_date_trunc_timestamp) {
    int64_t t = args[1].i;
    if (stamp_is_infinite(t)) *out = args[1];
    else if (!trunc_local(pg_unit_named(UNIT), &t)) trunc_refused(call, UNIT, "timestamp without time zone");
    else if (stamp_in_range(t) || pg_stamp_out_of_range(call)) *out = DB_I64(t);
}

/* Below a day the offset stays; from a day on it is the one of the new time. */
static void trunc_zoned(struct pg_call *call, str text, int64_t t, const struct pg_zone_given *zone, struct db_value *out) {
    enum pg_unit unit = pg_unit_named(text);
    int32_t offset = pg_zone_given_offset(zone, unix_of_stamp(t));
    int64_t local = t + offset * US_SECOND;
    if (!trunc_local(unit, &local)) {
        trunc_refused(call, text, "timestamp with time zone");
        return;
    }
    if (unit >= UNIT_DAY) offset = pg_zone_given_offset_of_local(zone, unix_of_stamp(local));
    t = local - offset * US_SECOND;
    if (stamp_in_range(t) || pg_stamp_out_of_range(call)) *out = DB_I64(t);
}
PG_FN(pg_date_trunc_timestamptz) {
    struct pg_zone_given zone = {.zone = pg_session_zone(call)};
    if (stamp_is_infinite(args[1].i)) *out = args[1];
    else trunc_zoned(call, UNIT, args[1].i, &zone, out);
}
PG_FN(pg_date_trunc_zone) {
    struct pg_zone_given zone;
    if (stamp_is_infinite(args[1].i)) *out = args[1];
    else if (pg_zone_given(call, args[2].s, &zone)) trunc_zoned(call, UNIT, args[1].i, &zone, out);
}

PG_FN(pg_date_trunc_interval) {
    struct pg_interval v = pg_interval_of(call, args[1]);
    int32_t years = v.months / 12;
    switch (pg_unit_named(UNIT)) {
    case UNIT_MILLENNIUM: v.months = years / 1000 * 12000; break;
    case UNIT_CENTURY: v.months = years / 100 * 1200; break;
    case UNIT_DECADE: v.months = years / 10 * 120; break;
    case UNIT_YEAR: v.months = years * 12; break;
    case UNIT_QUARTER: v.months = v.months / 3 * 3; break;
    case UNIT_MONTH: break;
    case UNIT_DAY: v.us = 0; break;
    case UNIT_HOUR: v.us -= v.us % US_HOUR; break;
    case UNIT_MINUTE: v.us -= v.us % US_MINUTE; break;
    case UNIT_SECOND: v.us -= v.us % US_SECOND; break;
    case UNIT_MILLISECOND: v.us -= v.us % 1000; break;
    case UNIT_MICROSECOND: break;
    default:
        trunc_refused(call, UNIT, "interval");
        if (pg_unit_named(UNIT) == UNIT_WEEK) pg_raise_detail(call, "Months usually have fractional weeks.");
        return;
    }
    if (pg_unit_named(UNIT) >= UNIT_MONTH) v.days = 0, v.us = 0;
    *out = pg_interval_value(call, v);
}

/* ---- date_bin ---- */

/* stride, source, origin */
static void bin(struct pg_call *call, const struct db_value *args, struct db_value *out) {
    int64_t t = args[1].i, origin = args[2].i;
    if (stamp_is_infinite(t)) {
        *out = args[1];
        return;
    }
    struct pg_interval stride = pg_interval_of(call, args[0]);
    if (stamp_is_infinite(origin)) {
        pg_raise(call, "22008", "origin out of range");
        return;
    }
    if (stride.months) {
        pg_raise(call, "0A000", "timestamps cannot be binned into intervals containing months or years");
        return;
    }
    __int128 by = (__int128)stride.days * US_DAY + stride.us, since = (__int128)t - origin;
    if (by <= 0) {
        pg_raise(call, "22008", "stride must be greater than zero");
        return;
    }
    if (by > INT64_MAX || since > INT64_MAX || since < INT64_MIN) {
        pg_raise(call, "22008", "interval out of range");
        return;
    }
    __int128 rest = since % by, at = origin + since - rest - (rest < 0 ? by : 0);
    if (at < INT64_MIN || at > INT64_MAX || !stamp_in_range((int64_t)at)) pg_stamp_out_of_range(call);
    else *out = DB_I64(at);
}
PG_FN(pg_date_bin) { bin(call, args, out); }
