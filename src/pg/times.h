/* times: dates, times and intervals, as the room's files share them.
 *
 *   date         int64  days since 2000-01-01         ±infinity: INT32_MAX, INT32_MIN
 *   time         int64  µs since midnight, at most 24:00:00
 *   timestamp    int64  µs since 2000-01-01 00:00     ±infinity: INT64_MAX, INT64_MIN
 *   timestamptz  the same, in UTC
 *   timetz       text as PostgreSQL prints it
 *   interval     text as PostgreSQL prints it; here months, days and µs, which do not turn into each other
 */
#ifndef ORLO_PG_TIMES_H
#define ORLO_PG_TIMES_H

#include "pg/pg_int.h"

#define US_SECOND 1'000'000ll
#define US_MINUTE (60 * US_SECOND)
#define US_HOUR (60 * US_MINUTE)
#define US_DAY (24 * US_HOUR)
#define UNIX_DAYS 10957       /* from 1970 to 2000 */
#define DATE_MIN (-2451545ll) /* 4714-11-24 BC */
#define DATE_END 2145031949ll /* 5874898-01-01 */
#define STAMP_MIN (-211813488000000000ll)
#define STAMP_END 9223371331200000000ll /* 294277-01-01 */
#define STAMP_INFINITY INT64_MAX
#define STAMP_MINUS_INFINITY INT64_MIN
#define DATE_INFINITY INT32_MAX
#define DATE_MINUS_INFINITY INT32_MIN

static inline bool stamp_is_infinite(int64_t t) { return t == STAMP_INFINITY || t == STAMP_MINUS_INFINITY; }
static inline bool date_is_infinite(int64_t d) { return d == DATE_INFINITY || d == DATE_MINUS_INFINITY; }
static inline bool stamp_in_range(int64_t t) { return t >= STAMP_MIN && t < STAMP_END; }

/* Proleptic Gregorian; year 0 is 1 BC. Months and days from 1. */
struct pg_parts {
    int64_t year;
    int month, day, hour, minute, second, us;
};
int64_t pg_days_of(int64_t year, int month, int day); /* day may be outside its month */
void pg_parts_of_days(int64_t days, struct pg_parts *p);
void pg_parts_of_stamp(int64_t t, struct pg_parts *p);          /* finite */
int64_t pg_clock_of(const struct pg_parts *p);                  /* µs of its day */
bool pg_stamp_of_parts(const struct pg_parts *p, int64_t *out); /* false: out of range */
int pg_month_days(int64_t year, int month);

struct pg_interval {
    int64_t us;
    int32_t days, months;
};

/* ---- zones.c ---- */
struct pg_zone;
struct pg_zone_at { /* of an instant */
    int32_t offset; /* seconds east of UTC */
    bool summer;
    char name[16]; /* "CEST" */
    int64_t until; /* seconds since 1970: when it changes; INT64_MAX: never */
    int32_t next_offset;
};
const struct pg_zone *
pg_zone_named(str name); /* as IANA has it, in any case; NULL: none. Or POSIX's "EST5EDT,M3.2.0,M11.1.0" by pg_zone_of_rule */
bool pg_zone_is_fixed(const struct pg_zone *z); /* its clock was never changed */
void pg_zone_at(const struct pg_zone *z, int64_t unix_seconds, struct pg_zone_at *out);
int32_t pg_zone_offset_of_local(const struct pg_zone *z, int64_t local_unix_seconds);
/* A word: an abbreviation (offset), or one that a zone has (zone). */
struct pg_zone_word {
    const struct pg_zone *zone;
    int32_t offset;
    bool summer;
};
bool pg_zone_word(str word, struct pg_zone_word *out); /* lower case */
/* What an abbreviation meant in the zone at the time, or else when it was first used; else what holds there. */
/* A zone as AT TIME ZONE takes it: abbreviation, name, POSIX rule; false: raised (22023). */
struct pg_zone_given {
    const struct pg_zone *zone; /* NULL: offset */
    int32_t offset;
    char word[8];  /* an abbreviation that has changed, of zone */
    char rule[64]; /* a POSIX rule: zone and offset are nothing then */
};
bool pg_zone_given(struct pg_call *call, str text, struct pg_zone_given *out);
bool pg_zone_sane(struct pg_call *call, str text, struct pg_zone_given *out); /* "+02" is east here, and not POSIX's west */
int32_t pg_zone_given_offset(const struct pg_zone_given *g, int64_t unix_seconds);
int32_t pg_zone_given_offset_of_local(const struct pg_zone_given *g, int64_t local_unix_seconds);
const struct pg_zone *pg_session_zone(struct pg_call *call);

static inline int64_t unix_of_stamp(int64_t t) {
    int64_t s = t / US_SECOND;
    return s - (t % US_SECOND < 0) + UNIX_DAYS * 86400ll;
}
int64_t pg_stamp_local(struct pg_call *call, int64_t t);              /* timestamptz → the session's local timestamp; finite */
bool pg_stamp_utc(struct pg_call *call, int64_t local, int64_t *out); /* the other way; false: raised */

/* ---- text ---- */
struct db_value pg_interval_value(struct pg_call *call, struct pg_interval v);
struct pg_interval pg_interval_of(struct pg_call *call, struct db_value v);
int pg_interval_compare(struct pg_interval a, struct pg_interval b);
int pg_interval_compare_text(str a, str b);
int pg_timetz_compare_text(str a, str b);
struct pg_timetz {
    int64_t us;
    int32_t offset; /* seconds east */
};
struct pg_timetz pg_timetz_of(str text); /* of a stored one */
struct db_value pg_timetz_value(struct pg_call *call, struct pg_timetz t);
/* Without checks: of stored values, in a buffer of 64 bytes or more. */
int64_t pg_round_seconds(int64_t us, int32_t typmod); /* to so many digits of a second */
bool pg_stamp_out_of_range(struct pg_call *call);     /* raises; false */

/* A unit's word as extract and date_trunc take it. */
enum pg_unit {
    UNIT_NONE,
    UNIT_MICROSECOND,
    UNIT_MILLISECOND,
    UNIT_SECOND,
    UNIT_MINUTE,
    UNIT_HOUR,
    UNIT_DAY,
    UNIT_WEEK,
    UNIT_MONTH,
    UNIT_QUARTER,
    UNIT_YEAR,
    UNIT_DECADE,
    UNIT_CENTURY,
    UNIT_MILLENNIUM,
    UNIT_DOW,
    UNIT_ISODOW,
    UNIT_DOY,
    UNIT_ISOYEAR,
    UNIT_EPOCH,
    UNIT_JULIAN,
    UNIT_TIMEZONE,
    UNIT_TIMEZONE_HOUR,
    UNIT_TIMEZONE_MINUTE,
};
enum pg_unit pg_unit_named(str word);
int pg_iso_week(int64_t year, int month, int day, int64_t *iso_year);
int64_t pg_iso_week_start(int64_t iso_year, int64_t week); /* the day of its Monday */
int pg_day_of_week(int64_t days);                          /* 0: Sunday */

#endif
