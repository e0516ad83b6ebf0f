/* times: what SQL calls on dates, times, timestamps and intervals: arithmetic, casts, making them, series, aggregates. */
#include "pg/times.h"
#include "pg/floats.h"
#include <math.h>
#include <stdlib.h>

#define X args[0].i
#define Y args[1].i
#define IX pg_interval_of(call, args[0])
#define IY pg_interval_of(call, args[1])
#define GIVE_INTERVAL(v) (*out = pg_interval_value(call, (v)))

static bool interval_overflows(struct pg_call *call) { return pg_raise(call, "22008", "interval out of range"); }
static bool date_overflows(struct pg_call *call) { return pg_raise(call, "22008", "date out of range"); }

static int64_t day_of(int64_t t) { return t / US_DAY - (t % US_DAY < 0); }
static int64_t clock_of(int64_t t) { return t - day_of(t) * US_DAY; }

/* ---- dates ---- */

static bool give_date(struct pg_call *call, int64_t days, struct db_value *out) {
    if (days < DATE_MIN || days >= DATE_END) return date_overflows(call);
    *out = DB_I64(days);
    return true;
}
PG_FN(pg_date_add_int) {
    if (date_is_infinite(X)) *out = args[0];
    else give_date(call, X + Y, out);
}
PG_FN(pg_date_sub_int) {
    if (date_is_infinite(X)) *out = args[0];
    else give_date(call, X - Y, out);
}
PG_FN(pg_int_add_date) {
    struct db_value turned[] = {args[1], args[0]};
    pg_date_add_int(call, turned, 2, out);
}
PG_FN(pg_date_sub) {
    if (date_is_infinite(X) || date_is_infinite(Y)) pg_raise(call, "22008", "cannot subtract infinite dates");
    else *out = DB_I64(X - Y);
}

static bool stamp_of_date(struct pg_call *call, int64_t d, int64_t *out) {
    if (date_is_infinite(d)) {
        *out = d < 0 ? STAMP_MINUS_INFINITY : STAMP_INFINITY;
        return true;
    }
    if (d >= STAMP_END / US_DAY) return pg_raise(call, "22008", "date out of range for timestamp");
    *out = d * US_DAY;
    return true;
}
static bool stamptz_of_date(struct pg_call *call, int64_t d, int64_t *out) {
    int64_t local = 0;
    if (!stamp_of_date(call, d, &local)) return false;
    *out = local;
    if (stamp_is_infinite(local)) return true;
    *out = local - pg_zone_offset_of_local(pg_session_zone(call), unix_of_stamp(local)) * US_SECOND;
    return stamp_in_range(*out) || pg_raise(call, "22008", "date out of range for timestamp");
}
PG_FN(pg_timestamp_of_date) {
    int64_t t = 0;
    if (stamp_of_date(call, X, &t)) *out = DB_I64(t);
}
PG_FN(pg_timestamptz_of_date) {
    int64_t t = 0;
    if (stamptz_of_date(call, X, &t)) *out = DB_I64(t);
}

/* ---- timestamps ---- */

PG_FN(pg_date_of_timestamp) { *out = DB_I64(stamp_is_infinite(X) ? (X < 0 ? DATE_MINUS_INFINITY : DATE_INFINITY) : day_of(X)); }
PG_FN(pg_time_of_timestamp) {
    if (!stamp_is_infinite(X)) *out = DB_I64(clock_of(X));
}
PG_FN(pg_timestamptz_of_timestamp) {
    int64_t t = X;
    if (stamp_is_infinite(X) || pg_stamp_utc(call, X, &t)) *out = DB_I64(t);
}
PG_FN(pg_timestamp_of_timestamptz) {
    int64_t t = stamp_is_infinite(X) ? X : pg_stamp_local(call, X);
    if (stamp_is_infinite(X) || stamp_in_range(t) || pg_stamp_out_of_range(call)) *out = DB_I64(t);
}
PG_FN(pg_date_of_timestamptz) {
    struct db_value local = DB_I64(stamp_is_infinite(X) ? X : pg_stamp_local(call, X));
    pg_date_of_timestamp(call, &local, 1, out);
}
PG_FN(pg_time_of_timestamptz) {
    if (!stamp_is_infinite(X)) *out = DB_I64(clock_of(pg_stamp_local(call, X)));
}
PG_FN(pg_timetz_of_timestamptz) {
    if (stamp_is_infinite(X)) return;
    struct pg_zone_at at;
    pg_zone_at(pg_session_zone(call), unix_of_stamp(X), &at);
    *out = pg_timetz_value(call, (struct pg_timetz){clock_of(X + at.offset * US_SECOND), at.offset});
}
PG_FN(pg_time_of_timetz) { *out = DB_I64(pg_timetz_of(args[0].s).us); }
PG_FN(pg_timetz_of_time) {
    int64_t day = day_of(pg_stamp_local(call, call->session->now));
    int32_t offset = pg_zone_offset_of_local(pg_session_zone(call), (day + UNIX_DAYS) * 86400 + X / US_SECOND);
    *out = pg_timetz_value(call, (struct pg_timetz){X, offset});
}
PG_FN(pg_interval_of_time) { GIVE_INTERVAL(((struct pg_interval){.us = X})); }
PG_FN(pg_time_of_interval) {
    int64_t us = IX.us % US_DAY;
    *out = DB_I64(us < 0 ? us + US_DAY : us);
}
PG_FN(pg_seconds_sized) { *out = DB_I64(pg_round_seconds(X, (int32_t)Y)); }
PG_FN(pg_timetz_sized) {
    struct pg_timetz t = pg_timetz_of(args[0].s);
    t.us = pg_round_seconds(t.us, (int32_t)Y);
    *out = pg_timetz_value(call, t);
}

static void give_order(int64_t a, int64_t b, struct db_value *out) { *out = DB_I64((a > b) - (a < b)); }

/* A date that is no timestamp is after all of them. */
PG_FN(pg_date_cmp_timestamp) {
    bool beyond = X >= STAMP_END / US_DAY && !date_is_infinite(X);
    int64_t t = beyond ? STAMP_END : date_is_infinite(X) ? (X < 0 ? INT64_MIN : INT64_MAX) : X * US_DAY;
    give_order(t, Y, out);
}
PG_FN(pg_date_cmp_timestamptz) {
    bool beyond = X >= STAMP_END / US_DAY && !date_is_infinite(X);
    int64_t t = beyond ? STAMP_END : date_is_infinite(X) ? (X < 0 ? INT64_MIN : INT64_MAX) : X * US_DAY;
    if (!beyond && !date_is_infinite(X)) t -= pg_zone_offset_of_local(pg_session_zone(call), unix_of_stamp(t)) * US_SECOND;
    give_order(t, Y, out);
}
PG_FN(pg_timestamp_cmp_timestamptz) {
    int64_t t = X;
    if (!stamp_is_infinite(X)) t -= pg_zone_offset_of_local(pg_session_zone(call), unix_of_stamp(X)) * US_SECOND;
    give_order(t, Y, out);
}

/* ---- adding intervals ---- */

/* Months first, cut at the month's end, then days, in local time; then the rest. */
static bool add_months(int64_t *local, int32_t months) {
    struct pg_parts p;
    pg_parts_of_stamp(*local, &p);
    int64_t all = p.year * 12 + p.month - 1 + months;
    p.year = all / 12 - (all % 12 < 0);
    p.month = (int)(all - p.year * 12) + 1;
    p.day = MIN(p.day, pg_month_days(p.year, p.month));
    return pg_stamp_of_parts(&p, local);
}

static bool add_days(int64_t *local, int32_t days) {
    int64_t us;
    if (__builtin_mul_overflow((int64_t)days, US_DAY, &us) || __builtin_add_overflow(*local, us, local)) return false;
    return stamp_in_range(*local);
}

static bool stamp_add(struct pg_call *call, int64_t t, struct pg_interval by, int64_t *out) {
    *out = t;
    if (pg_raised(call)) return false;
    if (stamp_is_infinite(t)) return true;
    if (by.months && !add_months(out, by.months)) return pg_stamp_out_of_range(call);
    if (by.days && !add_days(out, by.days)) return pg_stamp_out_of_range(call);
    if (__builtin_add_overflow(*out, by.us, out) || !stamp_in_range(*out)) return pg_stamp_out_of_range(call);
    return true;
}

static bool stamptz_add(struct pg_call *call, int64_t t, struct pg_interval by, int64_t *out) {
    *out = t;
    if (pg_raised(call)) return false;
    if (stamp_is_infinite(t)) return true;
    if (by.months) {
        int64_t local = pg_stamp_local(call, *out);
        if (!add_months(&local, by.months)) return pg_stamp_out_of_range(call);
        if (!pg_stamp_utc(call, local, out)) return false;
    }
    if (by.days) {
        int64_t local = pg_stamp_local(call, *out);
        if (!add_days(&local, by.days)) return pg_stamp_out_of_range(call);
        if (!pg_stamp_utc(call, local, out)) return false;
    }
    if (__builtin_add_overflow(*out, by.us, out) || !stamp_in_range(*out)) return pg_stamp_out_of_range(call);
    return true;
}

static bool interval_negate(struct pg_call *call, struct pg_interval *v) {
    if (v->us == INT64_MIN || v->days == INT32_MIN || v->months == INT32_MIN) return interval_overflows(call);
    v->us = -v->us, v->days = -v->days, v->months = -v->months;
    return true;
}

typedef bool (*stamp_add_fn)(struct pg_call *call, int64_t t, struct pg_interval by, int64_t *out);
static void give_sum(struct pg_call *call, stamp_add_fn add, int64_t t, struct pg_interval by, bool minus, struct db_value *out) {
    if (minus) { /* what cannot be negated is out of range anyway, as wrapping would show */
        by.us = (int64_t)(0 - (uint64_t)by.us);
        by.days = (int32_t)(0 - (uint32_t)by.days), by.months = (int32_t)(0 - (uint32_t)by.months);
    }
    if (add(call, t, by, &t)) *out = DB_I64(t);
}
PG_FN(pg_timestamp_add) { give_sum(call, stamp_add, X, IY, false, out); }
PG_FN(pg_timestamp_sub_interval) { give_sum(call, stamp_add, X, IY, true, out); }
PG_FN(pg_timestamptz_add) { give_sum(call, stamptz_add, X, IY, false, out); }
PG_FN(pg_timestamptz_sub_interval) { give_sum(call, stamptz_add, X, IY, true, out); }
PG_FN(pg_interval_add_timestamp) { give_sum(call, stamp_add, Y, IX, false, out); }
PG_FN(pg_interval_add_timestamptz) { give_sum(call, stamptz_add, Y, IX, false, out); }
static void date_sum(struct pg_call *call, int64_t date, struct pg_interval by, bool minus, struct db_value *out) {
    int64_t t = 0;
    if (stamp_of_date(call, date, &t)) give_sum(call, stamp_add, t, by, minus, out);
}
PG_FN(pg_date_add_interval) { date_sum(call, X, IY, false, out); }
PG_FN(pg_date_sub_interval) { date_sum(call, X, IY, true, out); }
PG_FN(pg_interval_add_date) { date_sum(call, Y, IX, false, out); }

static void date_time(struct pg_call *call, int64_t date, int64_t time, struct db_value *out) {
    int64_t t = 0;
    if (!stamp_of_date(call, date, &t)) return;
    if (!stamp_is_infinite(t) && !stamp_in_range(t += time)) pg_stamp_out_of_range(call);
    else *out = DB_I64(t);
}
PG_FN(pg_date_add_time) { date_time(call, X, Y, out); }
PG_FN(pg_time_add_date) { date_time(call, Y, X, out); }
static void date_timetz(struct pg_call *call, int64_t date, struct pg_timetz z, struct db_value *out) {
    date_time(call, date, z.us - z.offset * US_SECOND, out);
}
PG_FN(pg_date_add_timetz) { date_timetz(call, X, pg_timetz_of(args[1].s), out); }
PG_FN(pg_timetz_add_date) { date_timetz(call, Y, pg_timetz_of(args[0].s), out); }

static int64_t clock_add(int64_t t, int64_t us) {
    int64_t r = (int64_t)(((__int128)t + us) % US_DAY);
    return r < 0 ? r + US_DAY : r;
}
static int64_t clock_sub(int64_t t, int64_t us) {
    int64_t r = (int64_t)(((__int128)t - us) % US_DAY);
    return r < 0 ? r + US_DAY : r;
}
PG_FN(pg_time_add) { *out = DB_I64(clock_add(X, IY.us)); }
PG_FN(pg_time_sub_interval) { *out = DB_I64(clock_sub(X, IY.us)); }
PG_FN(pg_interval_add_time) { *out = DB_I64(clock_add(Y, IX.us)); }
PG_FN(pg_time_sub) { GIVE_INTERVAL(((struct pg_interval){.us = X - Y})); }
PG_FN(pg_timetz_add) {
    struct pg_timetz t = pg_timetz_of(args[0].s);
    t.us = clock_add(t.us, IY.us);
    *out = pg_timetz_value(call, t);
}
PG_FN(pg_timetz_sub_interval) {
    struct pg_timetz t = pg_timetz_of(args[0].s);
    t.us = clock_sub(t.us, IY.us);
    *out = pg_timetz_value(call, t);
}

/* ---- intervals ---- */

static bool interval_add(struct pg_call *call, struct pg_interval a, struct pg_interval b, struct pg_interval *out) {
    if (__builtin_add_overflow(a.us, b.us, &out->us) || __builtin_add_overflow(a.days, b.days, &out->days) ||
        __builtin_add_overflow(a.months, b.months, &out->months))
        return interval_overflows(call);
    return true;
}
static bool interval_sub(struct pg_call *call, struct pg_interval a, struct pg_interval b, struct pg_interval *out) {
    if (__builtin_sub_overflow(a.us, b.us, &out->us) || __builtin_sub_overflow(a.days, b.days, &out->days) ||
        __builtin_sub_overflow(a.months, b.months, &out->months))
        return interval_overflows(call);
    return true;
}
PG_FN(pg_interval_add) {
    struct pg_interval r;
    if (interval_add(call, IX, IY, &r)) GIVE_INTERVAL(r);
}
PG_FN(pg_interval_sub) {
    struct pg_interval r;
    if (interval_sub(call, IX, IY, &r)) GIVE_INTERVAL(r);
}
PG_FN(pg_interval_minus) {
    struct pg_interval r = IX;
    if (interval_negate(call, &r)) GIVE_INTERVAL(r);
}

/* To six digits behind the point. */
static double six(double v) { return rint(v * 1e6) / 1e6; }

/* v · f, or v / f: fractions of months go to days (30 a month), those of days to hours, and not back. */
static bool interval_scale(struct pg_call *call, struct pg_interval v, double f, bool divide, struct pg_interval *out) {
    double months = divide ? v.months / f : v.months * f, days = divide ? v.days / f : v.days * f;
    if (isnan(months) || months > INT32_MAX || months < INT32_MIN || isnan(days) || days > INT32_MAX || days < INT32_MIN)
        return interval_overflows(call);
    out->months = (int32_t)months;
    out->days = (int32_t)days;
    double rest_days = six((months - out->months) * 30);
    double seconds = six((days - out->days + rest_days - (int)rest_days) * 86400);
    if (fabs(seconds) >= 86400) {
        out->days += (int)(seconds / 86400);
        seconds -= (int)(seconds / 86400) * 86400;
    }
    if (__builtin_add_overflow(out->days, (int32_t)rest_days, &out->days)) return interval_overflows(call);
    double us = rint((divide ? (double)v.us / f : (double)v.us * f) + seconds * 1e6);
    if (isnan(us) || us < -0x1p63 || us >= 0x1p63) return interval_overflows(call);
    out->us = (int64_t)us;
    return true;
}
static void give_scaled(struct pg_call *call, struct pg_interval v, double f, bool divide, struct db_value *out) {
    struct pg_interval r;
    if (divide && f == 0) pg_raise(call, "22012", "division by zero");
    else if (interval_scale(call, v, f, divide, &r)) GIVE_INTERVAL(r);
}
PG_FN(pg_interval_mul) { give_scaled(call, IX, pg_f64(args[1]), false, out); }
PG_FN(pg_interval_mul_by) { give_scaled(call, IY, pg_f64(args[0]), false, out); }
PG_FN(pg_interval_div) { give_scaled(call, IX, pg_f64(args[1]), true, out); }

static bool justify_hours(struct pg_call *call, struct pg_interval *v) {
    int64_t days = v->us / US_DAY;
    v->us -= days * US_DAY;
    int64_t all = v->days + days;
    if (all < INT32_MIN || all > INT32_MAX) return interval_overflows(call);
    v->days = (int32_t)all;
    if (v->days > 0 && v->us < 0) v->us += US_DAY, v->days--;
    if (v->days < 0 && v->us > 0) v->us -= US_DAY, v->days++;
    return true;
}
static bool justify_days(struct pg_call *call, struct pg_interval *v) {
    int32_t months = v->days / 30;
    v->days -= months * 30;
    if (__builtin_add_overflow(v->months, months, &v->months)) return interval_overflows(call);
    if (v->months > 0 && v->days < 0) v->days += 30, v->months--;
    if (v->months < 0 && v->days > 0) v->days -= 30, v->months++;
    return true;
}
static bool justify_all(struct pg_call *call, struct pg_interval *v) {
    int32_t months = 0;
    if ((v->days > 0 && v->us > 0) || (v->days < 0 && v->us < 0)) months = v->days / 30, v->days -= months * 30;
    int64_t days = v->us / US_DAY;
    v->us -= days * US_DAY;
    int64_t all = v->days + days;
    v->days = (int32_t)(all % 30);
    int64_t more = v->months + months + all / 30;
    if (more < INT32_MIN || more > INT32_MAX) return interval_overflows(call);
    v->months = (int32_t)more;
    if (v->months > 0 && (v->days < 0 || (!v->days && v->us < 0))) v->days += 30, v->months--;
    if (v->months < 0 && (v->days > 0 || (!v->days && v->us > 0))) v->days -= 30, v->months++;
    if (v->days > 0 && v->us < 0) v->us += US_DAY, v->days--;
    if (v->days < 0 && v->us > 0) v->us -= US_DAY, v->days++;
    return true;
}
PG_FN(pg_justify_hours) {
    struct pg_interval v = IX;
    if (justify_hours(call, &v)) GIVE_INTERVAL(v);
}
PG_FN(pg_justify_days) {
    struct pg_interval v = IX;
    if (justify_days(call, &v)) GIVE_INTERVAL(v);
}
PG_FN(pg_justify_interval) {
    struct pg_interval v = IX;
    if (justify_all(call, &v)) GIVE_INTERVAL(v);
}

/* ---- differences ---- */

PG_FN(pg_timestamp_sub) {
    struct pg_interval v = {0};
    if (stamp_is_infinite(X) || stamp_is_infinite(Y)) pg_raise(call, "22008", "cannot subtract infinite timestamps");
    else if (__builtin_sub_overflow(X, Y, &v.us)) interval_overflows(call);
    else if (justify_hours(call, &v)) GIVE_INTERVAL(v);
}

/* Field by field, as people count: years, months, days of the earlier one's month. */
static struct pg_interval age_of(int64_t a, int64_t b) {
    struct pg_parts x, y;
    pg_parts_of_stamp(a, &x), pg_parts_of_stamp(b, &y);
    bool minus = a < b;
    int64_t years = x.year - y.year, us = pg_clock_of(&x) - pg_clock_of(&y);
    int months = x.month - y.month, days = x.day - y.day;
    if (minus) years = -years, us = -us, months = -months, days = -days;
    if (us < 0) us += US_DAY, days--;
    while (days < 0) {
        days += minus ? pg_month_days(x.year, x.month) : pg_month_days(y.year, y.month);
        months--;
    }
    while (months < 0) months += 12, years--;
    struct pg_interval v = {us, days, (int32_t)(years * 12 + months)};
    if (minus) v.us = -v.us, v.days = -v.days, v.months = -v.months;
    return v;
}
static void give_age(struct pg_call *call, int64_t a, int64_t b, bool infinite, struct db_value *out) {
    if (infinite) pg_raise(call, "22008", "timestamp out of range");
    else GIVE_INTERVAL(age_of(a, b));
}
PG_FN(pg_age_timestamp) { give_age(call, X, Y, stamp_is_infinite(X) || stamp_is_infinite(Y), out); }
PG_FN(pg_age_timestamptz) {
    bool infinite = stamp_is_infinite(X) || stamp_is_infinite(Y);
    give_age(call, infinite ? 0 : pg_stamp_local(call, X), infinite ? 0 : pg_stamp_local(call, Y), infinite, out);
}
static int64_t today(struct pg_call *call) {
    int64_t local = pg_stamp_local(call, call->session->now);
    return day_of(local);
}
PG_FN(pg_age_timestamp_today) { give_age(call, today(call) * US_DAY, X, stamp_is_infinite(X), out); }
PG_FN(pg_age_timestamptz_today) {
    bool infinite = stamp_is_infinite(X);
    give_age(call, today(call) * US_DAY, infinite ? 0 : pg_stamp_local(call, X), infinite, out);
}

/* ---- AT TIME ZONE ---- */

static void to_local(struct pg_call *call, const struct pg_zone_given *zone, int64_t t, struct db_value *out) {
    int64_t r = t + pg_zone_given_offset(zone, unix_of_stamp(t)) * US_SECOND;
    if (stamp_in_range(r) || pg_stamp_out_of_range(call)) *out = DB_I64(r);
}
static void to_utc(struct pg_call *call, const struct pg_zone_given *zone, int64_t t, struct db_value *out) {
    int64_t r = t - pg_zone_given_offset_of_local(zone, unix_of_stamp(t)) * US_SECOND;
    if (stamp_in_range(r) || pg_stamp_out_of_range(call)) *out = DB_I64(r);
}
PG_FN(pg_timezone_timestamptz) {
    struct pg_zone_given zone;
    if (stamp_is_infinite(Y)) *out = args[1];
    else if (pg_zone_given(call, args[0].s, &zone)) to_local(call, &zone, Y, out);
}
PG_FN(pg_timezone_timestamp) {
    struct pg_zone_given zone;
    if (stamp_is_infinite(Y)) *out = args[1];
    else if (pg_zone_given(call, args[0].s, &zone)) to_utc(call, &zone, Y, out);
}
static bool interval_zone(struct pg_call *call, struct db_value v, struct pg_zone_given *zone) {
    struct pg_interval by = pg_interval_of(call, v);
    if (by.months || by.days)
        return pg_raise(call, "22023", "interval time zone \"" STR_FMT "\" must not include months or days", STR_ARG(v.s));
    *zone = (struct pg_zone_given){.offset = (int32_t)(by.us / US_SECOND)};
    return !pg_raised(call);
}
PG_FN(pg_timezone_interval_timestamptz) {
    struct pg_zone_given zone;
    if (stamp_is_infinite(Y)) *out = args[1];
    else if (interval_zone(call, args[0], &zone)) to_local(call, &zone, Y, out);
}
PG_FN(pg_timezone_interval_timestamp) {
    struct pg_zone_given zone;
    if (stamp_is_infinite(Y)) *out = args[1];
    else if (interval_zone(call, args[0], &zone)) to_utc(call, &zone, Y, out);
}
static void turn_timetz(struct pg_call *call, const struct pg_zone_given *zone, str text, struct db_value *out) {
    struct pg_timetz t = pg_timetz_of(text);
    int32_t offset = pg_zone_given_offset(zone, unix_of_stamp(call->session->now));
    t.us = clock_add(t.us, (offset - t.offset) * US_SECOND);
    t.offset = offset;
    *out = pg_timetz_value(call, t);
}
PG_FN(pg_timezone_timetz) {
    struct pg_zone_given zone;
    if (pg_zone_given(call, args[0].s, &zone)) turn_timetz(call, &zone, args[1].s, out);
}
PG_FN(pg_timezone_interval_timetz) {
    struct pg_zone_given zone;
    if (interval_zone(call, args[0], &zone)) turn_timetz(call, &zone, args[1].s, out);
}

/* ---- making ---- */

static bool valid_date(int64_t y, int64_t m, int64_t d, struct pg_parts *p) {
    if (y < 0) y++; /* -1 is 1 BC */
    else if (!y) return false;
    if (m < 1 || m > 12 || d < 1 || y > 6000000 || y < -6000000 || d > pg_month_days(y, (int)m)) return false;
    *p = (struct pg_parts){.year = y, .month = (int)m, .day = (int)d};
    return true;
}
PG_FN(pg_make_date) {
    struct pg_parts p;
    if (!valid_date(X, Y, args[2].i, &p)) {
        pg_raise(call, "22008", "date field value out of range: %d-%02d-%02d", (int)X + (X < 0), (int)Y, (int)args[2].i);
        return;
    }
    int64_t days = pg_days_of(p.year, p.month, p.day);
    if (days < DATE_MIN || days >= DATE_END)
        pg_raise(call, "22008", "date out of range: %d-%02d-%02d", (int)X, (int)Y, (int)args[2].i);
    else *out = DB_I64(days);
}

static bool clock_parts(struct pg_call *call, int64_t h, int64_t m, double s, int64_t *us) {
    double whole = rint(s * 1e6);
    bool ok = !isnan(s) && h >= 0 && h <= 24 && m >= 0 && m <= 59 && s >= 0 && whole <= 60e6;
    if (ok) *us = h * US_HOUR + m * US_MINUTE + (int64_t)whole;
    if (ok && *us <= US_DAY) return true;
    return pg_raise(call, "22008", "time field value out of range: %d:%02d:%02g", (int)h, (int)m, s);
}
PG_FN(pg_make_time) {
    int64_t us = 0;
    if (clock_parts(call, X, Y, pg_f64(args[2]), &us)) *out = DB_I64(us);
}

static bool make_stamp(struct pg_call *call, const struct db_value *args, int64_t *t) {
    struct pg_parts p;
    int64_t us = 0;
    if (!valid_date(X, Y, args[2].i, &p))
        return pg_raise(call, "22008", "date field value out of range: %d-%02d-%02d", (int)X, (int)Y, (int)args[2].i);
    int64_t days = pg_days_of(p.year, p.month, p.day);
    if (days < DATE_MIN) return pg_raise(call, "22008", "date out of range: %d-%02d-%02d", (int)X, (int)Y, (int)args[2].i);
    if (!clock_parts(call, args[3].i, args[4].i, pg_f64(args[5]), &us)) return false;
    *t = days > STAMP_END / US_DAY ? STAMP_END : days * US_DAY + us;
    if (stamp_in_range(*t)) return true;
    return pg_raise(call, "22008", "timestamp out of range: %d-%02d-%02d %d:%02d:%02g", (int)X, (int)Y, (int)args[2].i,
                    (int)args[3].i, (int)args[4].i, pg_f64(args[5]));
}
PG_FN(pg_make_timestamp) {
    int64_t t = 0;
    if (make_stamp(call, args, &t)) *out = DB_I64(t);
}
PG_FN(pg_make_timestamptz) {
    int64_t t = 0;
    if (!make_stamp(call, args, &t)) return;
    if (n < 7) {
        if (pg_stamp_utc(call, t, &t)) *out = DB_I64(t);
        return;
    }
    struct pg_zone_given zone;
    if (pg_zone_sane(call, args[6].s, &zone)) to_utc(call, &zone, t, out);
}
PG_FN(pg_make_interval) {
    double seconds = pg_f64(args[6]);
    __int128 months = (__int128)X * 12 + Y, days = (__int128)args[2].i * 7 + args[3].i;
    __int128 us = (__int128)args[4].i * US_HOUR + (__int128)args[5].i * US_MINUTE;
    if (isinf(seconds) || fabs(seconds) > 9.3e12 || months > INT32_MAX || months < INT32_MIN || days > INT32_MAX ||
        days < INT32_MIN) {
        interval_overflows(call);
        return;
    }
    us += (int64_t)rint(seconds * 1e6);
    GIVE_INTERVAL(((struct pg_interval){(int64_t)us, (int32_t)days, (int32_t)months}));
}
PG_FN(pg_to_timestamp_float8) {
    double s = pg_f64(args[0]);
    if (isinf(s)) {
        *out = DB_I64(s < 0 ? STAMP_MINUS_INFINITY : STAMP_INFINITY);
        return;
    }
    double low = (double)STAMP_MIN / 1e6 + UNIX_DAYS * 86400.0, high = (double)STAMP_END / 1e6 + UNIX_DAYS * 86400.0;
    if (isnan(s) || s < low || s >= high) {
        pg_raise(call, "22008", "timestamp out of range: \"%g\"", s);
        return;
    }
    int64_t t = (int64_t)rint((s - UNIX_DAYS * 86400.0) * 1e6);
    if (stamp_in_range(t)) *out = DB_I64(t);
    else pg_raise(call, "22008", "timestamp out of range: \"%g\"", s);
}

/* ---- now ---- */

PG_FN(pg_now) { *out = DB_I64(call->session->now); }
PG_FN(pg_statement_timestamp) { *out = DB_I64(call->session->statement_now); }
PG_FN(pg_clock_timestamp) { *out = DB_I64((int64_t)(clock_wall_ns() / 1000) - UNIX_DAYS * US_DAY); }
PG_FN(pg_current_date) { *out = DB_I64(today(call)); }
PG_FN(pg_localtimestamp) { *out = DB_I64(pg_round_seconds(pg_stamp_local(call, call->session->now), n ? (int32_t)X : -1)); }
PG_FN(pg_localtime) { *out = DB_I64(pg_round_seconds(clock_of(pg_stamp_local(call, call->session->now)), n ? (int32_t)X : -1)); }
PG_FN(pg_current_timestamp) { *out = DB_I64(pg_round_seconds(call->session->now, n ? (int32_t)X : -1)); }
PG_FN(pg_current_time) {
    struct db_value now = DB_I64(call->session->now);
    pg_timetz_of_timestamptz(call, &now, 1, out);
    if (n && !pg_raised(call)) {
        struct db_value both[] = {*out, args[0]};
        pg_timetz_sized(call, both, 2, out);
    }
}
PG_FN(pg_isfinite_date) { *out = DB_I64(!date_is_infinite(X)); }
PG_FN(pg_isfinite_timestamp) { *out = DB_I64(!stamp_is_infinite(X)); }
PG_FN(pg_isfinite_interval) { *out = DB_I64(1); }

/* ---- overlaps: nulls are unknown ends ---- */

typedef int (*order_fn)(struct db_value a, struct db_value b);
static int by_number(struct db_value a, struct db_value b) { return (a.i > b.i) - (a.i < b.i); }
static int by_timetz(struct db_value a, struct db_value b) { return pg_timetz_compare_text(a.s, b.s); }

/* A period's ends in order; false: both are null. */
static bool ends(order_fn order, struct db_value *from, struct db_value *to) {
    bool swap = from->kind == DB_NULL || (to->kind != DB_NULL && order(*from, *to) > 0);
    if (swap) {
        struct db_value t = *from;
        *from = *to;
        *to = t;
    }
    return from->kind != DB_NULL;
}
static void overlaps(order_fn order, struct db_value a, struct db_value b, struct db_value c, struct db_value d,
                     struct db_value *out) {
    if (!ends(order, &a, &b) || !ends(order, &c, &d)) return;
    int first = order(a, c);
    if (first < 0) { /* the later one's beginning lies in the other */
        struct db_value t = a;
        a = c, c = t, t = b, b = d, d = t;
    }
    if (!first) {
        if (b.kind != DB_NULL && d.kind != DB_NULL) *out = DB_I64(1);
        return;
    }
    if (d.kind == DB_NULL) return;
    if (order(a, d) < 0) *out = DB_I64(1);
    else if (b.kind != DB_NULL) *out = DB_I64(0);
}
PG_FN(pg_overlaps) { overlaps(by_number, args[0], args[1], args[2], args[3], out); }
PG_FN(pg_overlaps_timetz) { overlaps(by_timetz, args[0], args[1], args[2], args[3], out); }

/* ---- series ---- */

struct series {
    int64_t next, last;
    struct pg_interval step;
    int sign;
    bool done;
};
static void series_open(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct series *s = state;
    *s = (struct series){.next = X, .last = Y, .step = pg_interval_of(call, args[2])};
    s->sign = pg_interval_compare(s->step, (struct pg_interval){0});
    if (!s->sign) pg_raise(call, "22023", "step size cannot equal zero");
}
static bool series_step(struct pg_call *call, struct series *s, stamp_add_fn add, struct db_value *columns) {
    if (!pg_call_works(call, 100) || (s->sign > 0 ? s->next > s->last : s->next < s->last)) return false;
    columns[0] = DB_I64(s->next);
    return add(call, s->next, s->step, &s->next) || !pg_raised(call);
}
static bool series_next(struct pg_call *call, void *state, struct db_value *columns) {
    return series_step(call, state, stamp_add, columns);
}
static bool series_next_tz(struct pg_call *call, void *state, struct db_value *columns) {
    return series_step(call, state, stamptz_add, columns);
}
const struct pg_set pg_series_timestamp = {sizeof(struct series), 1, series_open, series_next, NULL};
const struct pg_set pg_series_timestamptz = {sizeof(struct series), 1, series_open, series_next_tz, NULL};

/* ---- aggregates ---- */

struct sums {
    struct pg_interval sum;
    int64_t count;
};
static void sum_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct sums *s = state;
    if (args[0].kind == DB_NULL || !interval_add(call, s->sum, IX, &s->sum)) return;
    s->count++;
}
static void sum_inverse(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct sums *s = state;
    if (args[0].kind == DB_NULL || !interval_sub(call, s->sum, IX, &s->sum)) return;
    s->count--;
}
static void sum_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct sums *s = state;
    if (s->count) GIVE_INTERVAL(s->sum);
}
static void mean_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct sums *s = state;
    if (s->count) give_scaled(call, s->sum, (double)s->count, true, out);
}
const struct pg_aggregate pg_sum_interval = {sizeof(struct sums), sum_step, sum_inverse, sum_value, NULL};
const struct pg_aggregate pg_avg_interval = {sizeof(struct sums), sum_step, sum_inverse, mean_value, NULL};
