/* calendar: days and parts of them, and their text as PostgreSQL prints it (ISO 8601, its DateStyle "ISO, MDY"). */
#include "pg/times.h"
#include <stdlib.h>

/* Years that begin in March, in eras of 400 (146,097 days): the leap day is the last. */
int64_t pg_days_of(int64_t year, int month, int day) {
    int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return era * 146097 + days - 730425; /* 2000-01-01 */
}

void pg_parts_of_days(int64_t days, struct pg_parts *p) {
    int64_t z = days + 730425, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100), m = (5 * of_year + 2) / 153;
    *p = (struct pg_parts){.day = (int)(of_year - (153 * m + 2) / 5 + 1), .month = (int)(m < 10 ? m + 3 : m - 9)};
    p->year = year + era * 400 + (p->month <= 2);
}

static void clock_parts(int64_t us, struct pg_parts *p) {
    p->hour = (int)(us / US_HOUR);
    p->minute = (int)(us / US_MINUTE % 60);
    p->second = (int)(us / US_SECOND % 60);
    p->us = (int)(us % US_SECOND);
}

void pg_parts_of_stamp(int64_t t, struct pg_parts *p) {
    int64_t days = t / US_DAY - (t % US_DAY < 0);
    pg_parts_of_days(days, p);
    clock_parts(t - days * US_DAY, p);
}

int64_t pg_clock_of(const struct pg_parts *p) {
    return p->hour * US_HOUR + p->minute * US_MINUTE + p->second * US_SECOND + p->us;
}

bool pg_stamp_of_parts(const struct pg_parts *p, int64_t *out) {
    if (p->year < -4713 || p->year > 294277) return false;
    __int128 us = (__int128)pg_days_of(p->year, p->month, p->day) * US_DAY + pg_clock_of(p);
    *out = us > STAMP_END + US_DAY ? STAMP_END + US_DAY : (int64_t)us; /* a zone moves it by less than a day */
    return stamp_in_range(*out);
}

int pg_month_days(int64_t year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

int pg_day_of_week(int64_t days) { return (int)(((days + 6) % 7 + 7) % 7); } /* 2000-01-01 was a Saturday */

/* The Monday of the week that has January 4th is the first. */
int64_t pg_iso_week_start(int64_t iso_year, int64_t week) {
    int64_t fourth = pg_days_of(iso_year, 1, 4);
    return fourth - (pg_day_of_week(fourth) + 6) % 7 + (week - 1) * 7;
}

int pg_iso_week(int64_t year, int month, int day, int64_t *iso_year) {
    int64_t at = pg_days_of(year, month, day);
    int64_t of = at >= pg_iso_week_start(year + 1, 1) ? year + 1 : at < pg_iso_week_start(year, 1) ? year - 1 : year;
    if (iso_year) *iso_year = of;
    return (int)((at - pg_iso_week_start(of, 1)) / 7) + 1;
}

bool pg_stamp_out_of_range(struct pg_call *call) { return pg_raise(call, "22008", "timestamp out of range"); }

int64_t pg_round_seconds(int64_t us, int32_t typmod) {
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    if (typmod < 0 || typmod > 6 || stamp_is_infinite(us)) return us;
    int64_t unit = units[typmod], half = unit / 2;
    return us >= 0 ? (us + half) / unit * unit : -((half - us) / unit * unit);
}

/* ---- printing ---- */

static size_t put_date(const struct pg_parts *p, char *out, size_t n) {
    return (size_t)snprintf(out, n, "%04lld-%02d-%02d", (long long)(p->year > 0 ? p->year : 1 - p->year), p->month, p->day);
}

static size_t put_clock(const struct pg_parts *p, char *out, size_t n) {
    size_t k = (size_t)snprintf(out, n, "%02d:%02d:%02d", p->hour, p->minute, p->second);
    if (!p->us) return k;
    k += (size_t)snprintf(out + k, n - k, ".%06d", p->us);
    while (out[k - 1] == '0') k--;
    return k;
}

static size_t put_era(const struct pg_parts *p, char *out, size_t n) { return p->year > 0 ? 0 : (size_t)snprintf(out, n, " BC"); }

static size_t put_offset(int32_t offset, char *out, size_t n) {
    int32_t a = abs(offset);
    char sign = offset < 0 ? '-' : '+';
    if (a % 60) return (size_t)snprintf(out, n, "%c%02d:%02d:%02d", sign, a / 3600, a / 60 % 60, a % 60);
    if (a % 3600) return (size_t)snprintf(out, n, "%c%02d:%02d", sign, a / 3600, a / 60 % 60);
    return (size_t)snprintf(out, n, "%c%02d", sign, a / 3600);
}

static size_t put_infinity(bool minus, char *out, size_t n) { return (size_t)snprintf(out, n, minus ? "-infinity" : "infinity"); }

static size_t pg_date_print(int64_t d, char *out, size_t n) {
    struct pg_parts p;
    if (date_is_infinite(d)) return put_infinity(d < 0, out, n);
    pg_parts_of_days(d, &p);
    size_t k = put_date(&p, out, n);
    return k + put_era(&p, out + k, n - k);
}

static size_t pg_time_print(int64_t t, char *out, size_t n) {
    struct pg_parts p = {0};
    clock_parts(t, &p);
    return put_clock(&p, out, n);
}

static size_t put_stamp(int64_t local, const int32_t *offset, char *out, size_t n) {
    struct pg_parts p;
    pg_parts_of_stamp(local, &p);
    size_t k = put_date(&p, out, n);
    out[k++] = ' ';
    k += put_clock(&p, out + k, n - k);
    if (offset) k += put_offset(*offset, out + k, n - k);
    return k + put_era(&p, out + k, n - k);
}

static size_t pg_stamp_print(int64_t t, char *out, size_t n) {
    return stamp_is_infinite(t) ? put_infinity(t < 0, out, n) : put_stamp(t, NULL, out, n);
}

static size_t pg_stamptz_print(struct pg_call *call, int64_t t, char *out, size_t n) {
    if (stamp_is_infinite(t)) return put_infinity(t < 0, out, n);
    struct pg_zone_at at;
    pg_zone_at(pg_session_zone(call), unix_of_stamp(t), &at);
    return put_stamp(t + at.offset * US_SECOND, &at.offset, out, n);
}

bool pg_date_out(struct pg_call *call, struct db_value v, struct buf *text) {
    char out[64];
    return buf_put(text, out, pg_date_print(v.i, out, sizeof out));
}
bool pg_time_out(struct pg_call *call, struct db_value v, struct buf *text) {
    char out[64];
    return buf_put(text, out, pg_time_print(v.i, out, sizeof out));
}
bool pg_timestamp_out(struct pg_call *call, struct db_value v, struct buf *text) {
    char out[64];
    return buf_put(text, out, pg_stamp_print(v.i, out, sizeof out));
}
bool pg_timestamptz_out(struct pg_call *call, struct db_value v, struct buf *text) {
    char out[64];
    return buf_put(text, out, pg_stamptz_print(call, v.i, out, sizeof out));
}

/* ---- timetz: its text ---- */

struct db_value pg_timetz_value(struct pg_call *call, struct pg_timetz t) {
    char out[64];
    size_t k = pg_time_print(t.us, out, sizeof out);
    k += put_offset(t.offset, out + k, sizeof out - k);
    return pg_call_text(call, (str){(const uint8_t *)out, k});
}

static int two(const uint8_t *p) { return (p[0] - '0') * 10 + (p[1] - '0'); }

struct pg_timetz pg_timetz_of(str s) {
    struct pg_timetz t = {0};
    if (s.n < 11) return t;
    t.us = two(s.p) * US_HOUR + two(s.p + 3) * US_MINUTE + two(s.p + 6) * US_SECOND;
    size_t i = 8;
    int64_t unit = US_SECOND / 10;
    if (s.p[i] == '.')
        for (i++; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++, unit /= 10) t.us += (s.p[i] - '0') * unit;
    if (i + 3 > s.n) return t;
    int sign = s.p[i] == '-' ? -1 : 1;
    t.offset = two(s.p + i + 1) * 3600;
    if (i + 6 <= s.n) t.offset += two(s.p + i + 4) * 60;
    if (i + 9 <= s.n) t.offset += two(s.p + i + 7);
    t.offset *= sign;
    return t;
}

/* By the instant, then by the zone, from east to west as its stored sign has it. */
int pg_timetz_compare_text(str a, str b) {
    struct pg_timetz x = pg_timetz_of(a), y = pg_timetz_of(b);
    int64_t i = x.us - x.offset * US_SECOND, j = y.us - y.offset * US_SECOND;
    if (i != j) return i < j ? -1 : 1;
    return (x.offset < y.offset) - (x.offset > y.offset);
}

bool pg_timetz_out(struct pg_call *call, struct db_value v, struct buf *text) { return buf_puts(text, v.s); }
