/* time_format: to_char of timestamps and intervals, to_timestamp and to_date by a picture (PostgreSQL's manual, 9.8).
 *
 * 1. Names are English (C locale), as PostgreSQL's are without TM in such a database.
 */
#include "pg/format.h"
#include "pg/times.h"
#include <ctype.h>
#include <stdlib.h>

enum key {
    K_AD_DOTS,
    K_AD,
    K_AM_DOTS,
    K_AM,
    K_CC,
    K_DAY,
    K_DDD,
    K_DD,
    K_DY,
    K_D,
    K_FF,
    K_FX,
    K_HH24,
    K_HH12,
    K_IDDD,
    K_ID,
    K_IW,
    K_IYYY,
    K_IYY,
    K_IY,
    K_I,
    K_J,
    K_MI,
    K_MM,
    K_MONTH,
    K_MON,
    K_MS,
    K_OF,
    K_Q,
    K_RM,
    K_SSSS,
    K_SS,
    K_TZH,
    K_TZM,
    K_TZ,
    K_US,
    K_WW,
    K_W,
    K_Y_YYY,
    K_YYYY,
    K_YYY,
    K_YY,
    K_Y,
    LOWER = 256,
    TITLE = 512,
    DIGITS = 1024, /* of FF: how many */
    KEY = 255,
};
static const struct format_word words[] = {
    {"A.D.", K_AD_DOTS},
    {"A.M.", K_AM_DOTS},
    {"AD", K_AD},
    {"AM", K_AM},
    {"B.C.", K_AD_DOTS},
    {"BC", K_AD},
    {"CC", K_CC},
    {"DAY", K_DAY},
    {"DDD", K_DDD},
    {"DD", K_DD},
    {"DY", K_DY},
    {"Day", K_DAY | TITLE},
    {"Dy", K_DY | TITLE},
    {"D", K_D},
    {"FF1", K_FF | DIGITS},
    {"FF2", K_FF | 2 * DIGITS},
    {"FF3", K_FF | 3 * DIGITS},
    {"FF4", K_FF | 4 * DIGITS},
    {"FF5", K_FF | 5 * DIGITS},
    {"FF6", K_FF | 6 * DIGITS},
    {"FX", K_FX},
    {"HH24", K_HH24},
    {"HH12", K_HH12},
    {"HH", K_HH12},
    {"IDDD", K_IDDD},
    {"ID", K_ID},
    {"IW", K_IW},
    {"IYYY", K_IYYY},
    {"IYY", K_IYY},
    {"IY", K_IY},
    {"I", K_I},
    {"J", K_J},
    {"MI", K_MI},
    {"MM", K_MM},
    {"MONTH", K_MONTH},
    {"MON", K_MON},
    {"MS", K_MS},
    {"Month", K_MONTH | TITLE},
    {"Mon", K_MON | TITLE},
    {"OF", K_OF},
    {"P.M.", K_AM_DOTS},
    {"PM", K_AM},
    {"Q", K_Q},
    {"RM", K_RM},
    {"SSSSS", K_SSSS},
    {"SSSS", K_SSSS},
    {"SS", K_SS},
    {"TZH", K_TZH},
    {"TZM", K_TZM},
    {"TZ", K_TZ},
    {"US", K_US},
    {"WW", K_WW},
    {"W", K_W},
    {"Y,YYY", K_Y_YYY},
    {"YYYY", K_YYYY},
    {"YYY", K_YYY},
    {"YY", K_YY},
    {"Y", K_Y},
    {"a.d.", K_AD_DOTS | LOWER},
    {"a.m.", K_AM_DOTS | LOWER},
    {"ad", K_AD | LOWER},
    {"am", K_AM | LOWER},
    {"b.c.", K_AD_DOTS | LOWER},
    {"bc", K_AD | LOWER},
    {"cc", K_CC},
    {"day", K_DAY | LOWER},
    {"ddd", K_DDD},
    {"dd", K_DD},
    {"dy", K_DY | LOWER},
    {"d", K_D},
    {"ff1", K_FF | DIGITS},
    {"ff2", K_FF | 2 * DIGITS},
    {"ff3", K_FF | 3 * DIGITS},
    {"ff4", K_FF | 4 * DIGITS},
    {"ff5", K_FF | 5 * DIGITS},
    {"ff6", K_FF | 6 * DIGITS},
    {"fx", K_FX},
    {"hh24", K_HH24},
    {"hh12", K_HH12},
    {"hh", K_HH12},
    {"iddd", K_IDDD},
    {"id", K_ID},
    {"iw", K_IW},
    {"iyyy", K_IYYY},
    {"iyy", K_IYY},
    {"iy", K_IY},
    {"i", K_I},
    {"j", K_J},
    {"mi", K_MI},
    {"mm", K_MM},
    {"month", K_MONTH | LOWER},
    {"mon", K_MON | LOWER},
    {"ms", K_MS},
    {"of", K_OF},
    {"p.m.", K_AM_DOTS | LOWER},
    {"pm", K_AM | LOWER},
    {"q", K_Q},
    {"rm", K_RM | LOWER},
    {"sssss", K_SSSS},
    {"ssss", K_SSSS},
    {"ss", K_SS},
    {"tzh", K_TZH},
    {"tzm", K_TZM},
    {"tz", K_TZ | LOWER},
    {"us", K_US},
    {"ww", K_WW},
    {"w", K_W},
    {"y,yyy", K_Y_YYY},
    {"yyyy", K_YYYY},
    {"yyy", K_YYY},
    {"yy", K_YY},
    {"y", K_Y},
};

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
static const char *const romans[] = {"I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"};

/* ---- to_char ---- */

struct shown { /* what is printed */
    struct pg_parts p;
    int64_t hour; /* of an interval: any number */
    bool interval;
    bool zoned;
    int32_t offset;
    char zone[16];
    int64_t days; /* since 2000, of a date */
};

static void put_cased(struct buf *b, const char *name, size_t most, int width, int keyword, unsigned flags) {
    size_t n = MIN(strlen(name), most);
    for (size_t i = 0; i < n; i++) {
        int c = (unsigned char)name[i];
        buf_putc(b, (uint8_t)(keyword & LOWER ? tolower(c) : keyword & TITLE ? c : toupper(c)));
    }
    for (size_t i = n; !(flags & FORMAT_FILL) && (int)i < width; i++) buf_putc(b, ' ');
}

/* A number of so many places with zeros, or as short as it is; and its ordinal. */
static void put_number(struct buf *b, int64_t v, int width, unsigned flags) {
    char text[32];
    int n = flags & FORMAT_FILL ? snprintf(text, sizeof text, "%lld", (long long)v)
                                : snprintf(text, sizeof text, "%0*lld", v < 0 ? width + 1 : width, (long long)v);
    buf_put(b, text, (size_t)n);
    str s = {(const uint8_t *)text, (size_t)n};
    if (flags & (FORMAT_TH_UPPER | FORMAT_TH_LOWER)) buf_puts(b, str_c(pg_format_ordinal(s, flags & FORMAT_TH_UPPER)));
}

/* The same where a sign is within the places. */
static void put_plain(struct buf *b, int64_t v, int width, unsigned flags) { put_number(b, v, v < 0 ? width - 1 : width, flags); }

static int64_t year_shown(const struct shown *s) { return s->interval ? s->p.year : s->p.year > 0 ? s->p.year : 1 - s->p.year; }

static int64_t iso_year(const struct shown *s) {
    int64_t y;
    pg_iso_week(s->p.year, s->p.month, s->p.day, &y);
    return y > 0 || s->interval ? y : 1 - y;
}

static int64_t century(const struct shown *s) {
    int64_t y = s->p.year;
    if (s->interval) return y / 100;
    return y > 0 ? (y - 1) / 100 + 1 : (y - 1) / 100 - 1 + ((y - 1) % 100 == 0 ? 1 : 0);
}

static void put_year(struct buf *b, int64_t y, int places, unsigned flags) {
    static const int64_t tens[] = {1, 10, 100, 1000};
    if (places < 4) y %= tens[places];
    put_number(b, y, places, flags);
}

/* How wide it is, the year says that it is not of. */
static void put_iso_year(struct buf *b, const struct shown *s, int places, unsigned flags) {
    static const int64_t tens[] = {1, 10, 100, 1000, INT64_MAX};
    put_plain(b, iso_year(s) % tens[places], s->interval && s->p.year < 0 ? places + 1 : places,
              places == 1 ? flags | FORMAT_FILL : flags);
}

static void put_comma_year(struct buf *b, int64_t y, unsigned flags) {
    char text[32];
    int n = snprintf(text, sizeof text, "%lld,%03lld", (long long)(y / 1000), (long long)(y % 1000));
    buf_put(b, text, (size_t)n);
    str s = {(const uint8_t *)text, (size_t)n};
    if (flags & (FORMAT_TH_UPPER | FORMAT_TH_LOWER)) buf_puts(b, str_c(pg_format_ordinal(s, flags & FORMAT_TH_UPPER)));
}

static void put_offset(struct buf *b, int32_t offset, unsigned flags) {
    int32_t a = abs(offset);
    buf_printf(b, flags & FORMAT_FILL ? "%c%d" : "%c%02d", offset < 0 ? '-' : '+', a / 3600);
    if (a % 3600) buf_printf(b, ":%02d", a / 60 % 60);
}

static bool put_clock_key(struct buf *b, const struct shown *s, int keyword, unsigned flags) {
    static const int tens[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    int fraction = s->p.us;
    switch (keyword & KEY) {
    case K_HH24: put_number(b, s->hour, 2, flags); return true;
    case K_HH12: put_number(b, s->hour % 12 == 0 ? 12 : s->hour % 12, 2, flags); return true;
    case K_MI: put_number(b, s->p.minute, 2, flags); return true;
    case K_SS: put_number(b, s->p.second, 2, flags); return true;
    case K_MS: put_plain(b, fraction / 1000, 3, flags & ~(unsigned)FORMAT_FILL); return true;
    case K_US: put_plain(b, fraction, 6, flags & ~(unsigned)FORMAT_FILL); return true;
    case K_FF: put_plain(b, fraction / tens[keyword / DIGITS], keyword / DIGITS, flags & ~(unsigned)FORMAT_FILL); return true;
    case K_SSSS: put_number(b, s->hour * 3600 + s->p.minute * 60 + s->p.second, 1, flags | FORMAT_FILL); return true;
    case K_AM:
    case K_AM_DOTS: {
        bool pm = s->hour % 24 >= 12, dots = (keyword & KEY) == K_AM_DOTS;
        put_cased(b, pm ? (dots ? "P.M." : "PM") : (dots ? "A.M." : "AM"), 4, 0, keyword, flags);
        return true;
    }
    default: return false;
    }
}

static bool put_zone_key(struct buf *b, const struct shown *s, int keyword, unsigned flags) {
    int32_t a = abs(s->offset);
    switch (keyword & KEY) {
    case K_TZ:
        if (s->zoned) put_cased(b, s->zone, sizeof s->zone, 0, keyword, FORMAT_FILL);
        return true;
    case K_TZH: buf_printf(b, "%c%02d", s->offset < 0 ? '-' : '+', a / 3600); return true;
    case K_TZM: buf_printf(b, "%02d", a / 60 % 60); return true;
    case K_OF: put_offset(b, s->offset, flags); return true;
    default: return false;
    }
}

static bool put_day_key(struct buf *b, const struct shown *s, int keyword, unsigned flags) {
    const struct pg_parts *p = &s->p;
    int64_t year = p->year, first = pg_days_of(year, 1, 1), of_interval = year * 360 + p->month * 30 + p->day;
    int dow = pg_day_of_week(s->days);
    switch (keyword & KEY) {
    case K_DAY: put_cased(b, days[dow], 99, 9, keyword, flags); return true;
    case K_DY: put_cased(b, days[dow], 3, 0, keyword, flags); return true;
    case K_D: put_number(b, dow + 1, 1, flags | FORMAT_FILL); return true;
    case K_ID: put_number(b, (dow + 6) % 7 + 1, 1, flags | FORMAT_FILL); return true;
    case K_DD: put_plain(b, p->day, 2, flags); return true;
    case K_DDD: put_plain(b, s->interval ? of_interval : s->days - first + 1, 3, flags); return true;
    case K_IDDD:
        pg_iso_week(year, p->month, p->day, &year);
        put_plain(b, s->days - pg_iso_week_start(year, 1) + 1, 3, flags);
        return true;
    case K_WW: put_plain(b, s->interval ? (of_interval - 1) / 7 + 1 : (s->days - first) / 7 + 1, 2, flags); return true;
    case K_IW: put_plain(b, pg_iso_week(year, p->month, p->day, NULL), 2, flags); return true;
    case K_W: put_number(b, (p->day - 1) / 7 + 1, 1, flags | FORMAT_FILL); return true;
    case K_J: put_number(b, s->days - DATE_MIN, 1, flags | FORMAT_FILL); return true;
    default: return false;
    }
}

static void put_year_key(struct buf *b, const struct shown *s, int keyword, unsigned flags) {
    int64_t y = year_shown(s);
    switch (keyword & KEY) {
    case K_Y_YYY: put_comma_year(b, y, flags); break;
    case K_YYYY: put_year(b, y, 4, flags); break;
    case K_YYY: put_year(b, y, 3, flags); break;
    case K_YY: put_year(b, y, 2, flags); break;
    case K_Y: put_year(b, y, 1, flags); break;
    case K_IYYY: put_iso_year(b, s, 4, flags); break;
    case K_IYY: put_iso_year(b, s, 3, flags); break;
    case K_IY: put_iso_year(b, s, 2, flags); break;
    case K_I: put_iso_year(b, s, 1, flags); break;
    case K_CC: {
        int64_t c = century(s);
        put_number(b, c, c <= 99 && c >= -99 ? 2 : 1, flags);
        break;
    }
    case K_AD:
    case K_AD_DOTS: {
        bool bc = s->p.year <= 0, dots = (keyword & KEY) == K_AD_DOTS;
        put_cased(b, bc ? (dots ? "B.C." : "BC") : (dots ? "A.D." : "AD"), 4, 0, keyword, flags);
        break;
    }
    default: break;
    }
}

static bool put_month_key(struct buf *b, const struct shown *s, int keyword, unsigned flags) {
    int m = s->p.month;
    switch (keyword & KEY) {
    case K_MM: put_number(b, m, 2, flags); return true;
    case K_MONTH: put_cased(b, months[m - 1], 99, 9, keyword, flags); return true;
    case K_MON: put_cased(b, months[m - 1], 3, 0, keyword, flags); return true;
    case K_RM: /* an interval may have none, or less */
        if (!m && !s->p.year) return true;
        put_cased(b, romans[m > 0 ? m - 1 : m < 0 ? 12 + m : s->p.year >= 0 ? 11 : 0], 4, 4, keyword, flags);
        return true;
    case K_Q:
        if (m) put_number(b, (m - 1) / 3 + 1, 1, flags | FORMAT_FILL);
        return true;
    default: return false;
    }
}

/* What an interval has not. */
static bool of_dates(int keyword) {
    static const uint64_t keys = 1ull << K_AD | 1ull << K_AD_DOTS | 1ull << K_DAY | 1ull << K_DY | 1ull << K_D | 1ull << K_ID |
                                 1ull << K_MONTH | 1ull << K_MON | 1ull << K_OF | 1ull << K_TZ | 1ull << K_TZH | 1ull << K_TZM;
    return keys >> (keyword & KEY) & 1;
}

static void put_node(struct pg_call *call, struct buf *b, const struct shown *s, const struct format_node *n) {
    if (n->keyword < 0) {
        buf_puts(b, n->text);
    } else if (s->interval && of_dates(n->keyword)) {
        pg_raise(call, "22007", "invalid format specification for an interval value");
        pg_raise_hint(call, "Intervals are not tied to specific calendar dates.");
    } else if (!put_clock_key(b, s, n->keyword, n->flags) && !put_zone_key(b, s, n->keyword, n->flags) &&
               !put_month_key(b, s, n->keyword, n->flags) && !put_day_key(b, s, n->keyword, n->flags)) {
        put_year_key(b, s, n->keyword, n->flags);
    }
}

static void show(struct pg_call *call, const struct shown *s, str picture, struct db_value *out) {
    struct format f;
    struct buf b = {.max = PG_VALUE_BYTES_MAX};
    if (!picture.n || !pg_format_cut(call, picture, words, ARRAY_COUNT(words), true, &f)) return;
    for (uint32_t i = 0; i < f.count; i++) put_node(call, &b, s, &f.nodes[i]);
    if (!pg_raised(call)) *out = pg_call_text(call, buf_str(&b));
    buf_free(&b);
}

static void shown_of_local(struct shown *s, int64_t local) {
    pg_parts_of_stamp(local, &s->p);
    s->hour = s->p.hour;
    s->days = local / US_DAY - (local % US_DAY < 0);
}
PG_FN(pg_to_char_timestamp) {
    struct shown s = {0};
    if (stamp_is_infinite(args[0].i)) return;
    shown_of_local(&s, args[0].i);
    show(call, &s, args[1].s, out);
}
PG_FN(pg_to_char_timestamptz) {
    struct shown s = {.zoned = true};
    struct pg_zone_at at;
    if (stamp_is_infinite(args[0].i)) return;
    pg_zone_at(pg_session_zone(call), unix_of_stamp(args[0].i), &at);
    shown_of_local(&s, args[0].i + at.offset * US_SECOND);
    s.offset = at.offset;
    snprintf(s.zone, sizeof s.zone, "%s", at.name);
    show(call, &s, args[1].s, out);
}
PG_FN(pg_to_char_interval) {
    struct pg_interval v = pg_interval_of(call, args[0]);
    struct shown s = {.interval = true, .hour = v.us / US_HOUR};
    s.p.year = v.months / 12, s.p.month = v.months % 12, s.p.day = v.days;
    s.days = pg_days_of(s.p.year, s.p.month, s.p.day);
    s.p.minute = (int)(v.us / US_MINUTE % 60), s.p.second = (int)(v.us / US_SECOND % 60), s.p.us = (int)(v.us % US_SECOND);
    show(call, &s, args[1].s, out);
}

/* ---- to_timestamp, to_date ---- */

struct got {
    int64_t year, iso_year;
    int64_t week, week_of_month, century;
    int month, day, doy, dow, hour, minute, second, us, iso_week, iso_dow, iso_doy, half, offset_hours, offset_minutes;
    int64_t julian, seconds_of_day;
    bool bc, twelve, has_offset, minus, short_year;
    unsigned known; /* bit of what was given, to find conflicts */
};
enum {
    G_YEAR = 1,
    G_MONTH = 2,
    G_DAY = 4,
    G_DOY = 8,
    G_J = 16,
    G_ISO = 32,
    G_SSSS = 64,
    G_WW = 128,
    G_CC = 256,
    G_W = 512,
    G_DOW = 1024
};

static bool no_integer(struct pg_call *call, str rest, size_t most, const char *key) {
    char text[32];
    size_t n = 0;
    for (; n < rest.n && n < most && n < sizeof text - 1; n++) text[n] = (char)rest.p[n];
    text[n] = 0;
    pg_raise(call, "22007", "invalid value \"%s\" for \"%s\"", text, key);
    pg_raise_detail(call, "Value must be an integer.");
    return false;
}

/* Of so many digits at most; 0: as many as there are. */
static bool get_number(struct pg_call *call, str *in, int places, bool exactly, size_t shown, const char *key, int64_t *out,
                       int *digits) {
    while (in->n && isspace(in->p[0])) *in = str_sub(*in, 1, in->n);
    size_t i = 0;
    bool minus = in->n && in->p[0] == '-', sign = minus || (in->n && in->p[0] == '+');
    i += sign;
    int64_t v = 0;
    size_t first = i, most = places ? i + (size_t)places - (sign && exactly) : i + 10;
    while (i < in->n && i < most && isdigit(in->p[i])) v = v * 10 + (in->p[i++] - '0');
    if (i == first || (exactly && i < most)) return no_integer(call, *in, shown, key);
    *digits = (int)(i - first);
    *out = minus ? -v : v;
    *in = str_sub(*in, i, in->n);
    return v <= INT32_MAX || pg_raise(call, "22008", "value for \"%s\" in source string is out of range", key);
}

static const char *key_name(int keyword) {
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (words[i].keyword == keyword) return words[i].text;
    return "";
}

/* A name of the list at the beginning, in any case: in full, or its first three letters. */
static bool get_name(struct pg_call *call, str *in, const char *const *names, int count, bool full, const char *key, int *out) {
    for (int i = 0; i < count; i++) {
        str name = str_c(names[i]);
        if (!full) name = str_sub(name, 0, 3);
        if (in->n < name.n || !str_eq_nocase(str_sub(*in, 0, name.n), name)) continue;
        *in = str_sub(*in, name.n, in->n);
        *out = i;
        return true;
    }
    char text[32];
    size_t n = 0;
    for (; n < in->n && n < sizeof text - 1 && !isspace(in->p[n]); n++) text[n] = (char)in->p[n];
    text[n] = 0;
    pg_raise(call, "22007", "invalid value \"%s\" for \"%s\"", text, key);
    pg_raise_detail(call, "The given value did not match any of the allowed values for this field.");
    return false;
}

static bool is_number_key(int keyword) {
    switch (keyword & KEY) {
    case K_AD:
    case K_AD_DOTS:
    case K_AM:
    case K_AM_DOTS:
    case K_DAY:
    case K_DY:
    case K_MONTH:
    case K_MON:
    case K_RM:
    case K_TZ:
    case K_OF:
    case K_TZH:
    case K_FX: return false;
    default: return true;
    }
}

/* A number is as long as it likes where no digit's keyword follows; FM too. */
static bool next_is_digit(const struct format *f, uint32_t i) {
    if (i + 1 >= f->count) return false;
    const struct format_node *n = &f->nodes[i + 1];
    return n->keyword < 0 ? isdigit(n->text.p[0]) : is_number_key(n->keyword);
}

static int64_t short_year(int64_t v, int digits) { /* nearest to 2020 */
    if (digits > 3) return v;
    if (v < 70) return v + 2000;
    if (v < 100) return v + 1900;
    return v < 520 ? v + 2000 : v < 1000 ? v + 1000 : v;
}

static bool get_year(struct got *g, int64_t v, int digits, int places) {
    g->year = places < 4 ? short_year(v, digits) : v;
    g->short_year = places < 4;
    g->known |= G_YEAR;
    return true;
}

static int fraction_us(int64_t v, int digits, int most) {
    for (; digits < most; digits++) v *= 10;
    for (; most < 6; most++) v *= 10;
    return (int)v;
}

static bool get_words(struct pg_call *call, struct got *g, str *in, int keyword) {
    static const char *const eras[] = {"AD", "BC"}, *const dotted_eras[] = {"A.D.", "B.C."}, *const halves[] = {"AM", "PM"},
                             *const dotted_halves[] = {"A.M.", "P.M."};
    const char *key = key_name(keyword);
    int v = 0;
    bool ok = true;
    switch (keyword & KEY) {
    case K_AD: ok = get_name(call, in, eras, 2, true, key, &v), g->bc = v; break;
    case K_AD_DOTS: ok = get_name(call, in, dotted_eras, 2, true, key, &v), g->bc = v; break;
    case K_AM: ok = get_name(call, in, halves, 2, true, key, &v), g->half = v, g->twelve = true; break;
    case K_AM_DOTS: ok = get_name(call, in, dotted_halves, 2, true, key, &v), g->half = v, g->twelve = true; break;
    case K_DAY: ok = get_name(call, in, days, 7, true, key, &v); break;
    case K_DY: ok = get_name(call, in, days, 7, false, key, &v); break;
    case K_MONTH: ok = get_name(call, in, months, 12, true, key, &v), g->month = v + 1, g->known |= G_MONTH; break;
    case K_MON: ok = get_name(call, in, months, 12, false, key, &v), g->month = v + 1, g->known |= G_MONTH; break;
    case K_TZ:
    case K_OF: return pg_raise(call, "0A000", "formatting field \"%s\" is only supported in to_char", key);
    default: break;
    }
    return ok;
}

static bool get_roman(struct pg_call *call, struct got *g, str *in, int keyword) {
    int best = -1;
    for (int i = 0; i < 12; i++) {
        str name = str_c(romans[i]);
        if (in->n >= name.n && str_eq_nocase(str_sub(*in, 0, name.n), name) && (best < 0 || name.n > strlen(romans[best])))
            best = i;
    }
    if (best < 0) return get_name(call, in, romans, 0, true, key_name(keyword), &best);
    *in = str_sub(*in, strlen(romans[best]), in->n);
    g->month = best + 1, g->known |= G_MONTH;
    return true;
}

static bool get_zone_hours(struct pg_call *call, struct got *g, str *in, bool exactly) {
    int digits;
    int64_t v;
    bool minus = in->n && in->p[0] == '-';
    if (in->n && (in->p[0] == '-' || in->p[0] == '+')) *in = str_sub(*in, 1, in->n);
    if (!get_number(call, in, 2, exactly, 2, "TZH", &v, &digits)) return false;
    g->minus = minus, g->offset_hours = (int)v, g->has_offset = true;
    return true;
}

static bool get_key(struct pg_call *call, const struct format *f, uint32_t at, struct got *g, str *in) {
    static const uint8_t places[] = {
        [K_CC] = 2,   [K_DDD] = 3,  [K_DD] = 2,  [K_D] = 1,   [K_HH24] = 2, [K_HH12] = 2, [K_IDDD] = 3, [K_ID] = 1,
        [K_IW] = 2,   [K_IYYY] = 4, [K_IYY] = 3, [K_IY] = 2,  [K_I] = 1,    [K_MI] = 2,   [K_MM] = 2,   [K_MS] = 3,
        [K_Q] = 1,    [K_SSSS] = 5, [K_SS] = 2,  [K_TZH] = 2, [K_TZM] = 2,  [K_US] = 6,   [K_WW] = 2,   [K_W] = 1,
        [K_YYYY] = 4, [K_YYY] = 3,  [K_YY] = 2,  [K_Y] = 1,   [K_FF] = 6,   [K_J] = 0,    [K_Y_YYY] = 0};
    const struct format_node *n = &f->nodes[at];
    int keyword = n->keyword, k = keyword & KEY, digits;
    if (k == K_FX) return true;
    if (k == K_RM) return get_roman(call, g, in, keyword);
    bool limited = next_is_digit(f, at) && !(n->flags & FORMAT_FILL);
    if (k == K_TZH) return get_zone_hours(call, g, in, limited);
    if (!is_number_key(keyword)) return get_words(call, g, in, keyword);
    int most = k == K_FF ? keyword / DIGITS : places[k];

    int64_t v;
    if (k == K_Y_YYY) {
        int64_t thousands;
        if (!get_number(call, in, 0, false, 5, "Y,YYY", &thousands, &digits)) return false;
        if (!in->n || in->p[0] != ',') return pg_raise(call, "22007", "invalid input string for \"Y,YYY\"");
        *in = str_sub(*in, 1, in->n);
        if (!get_number(call, in, 3, true, 3, "Y,YYY", &v, &digits)) return false;
        return get_year(g, thousands * 1000 + v, 4, 4);
    }
    if (!get_number(call, in, limited ? most : 0, limited, (size_t)MAX(most, 1), key_name(keyword), &v, &digits)) return false;
    switch (k) {
    case K_YYYY: get_year(g, v, digits, 4); break;
    case K_YYY: get_year(g, v, digits, 3); break;
    case K_YY: get_year(g, v, digits, 2); break;
    case K_Y: get_year(g, v, digits, 1); break;
    case K_IYYY: g->iso_year = v, g->known |= G_ISO; break;
    case K_IYY:
    case K_IY:
    case K_I: g->iso_year = short_year(v, digits), g->known |= G_ISO; break;
    case K_MM: g->month = (int)v, g->known |= v ? G_MONTH : 0; break;
    case K_DD: g->day = (int)v, g->known |= v ? G_DAY : 0; break;
    case K_DDD: g->doy = (int)v, g->known |= v ? G_DOY : 0; break;
    case K_IDDD: g->iso_doy = (int)v, g->known |= G_ISO; break;
    case K_ID: g->iso_dow = v >= 1 && v <= 6 ? (int)v : 7, g->known |= G_ISO; break;
    case K_IW: g->iso_week = (int)v, g->known |= G_ISO; break;
    case K_WW: g->week = v, g->known |= G_WW; break;
    case K_W: g->week_of_month = v, g->known |= G_W; break;
    case K_D: g->dow = (int)v, g->known |= G_DOW; break;
    case K_CC: g->century = v, g->known |= G_CC; break;
    case K_J: g->julian = v, g->known |= G_J; break;
    case K_HH24: g->hour = (int)v; break;
    case K_HH12: g->hour = (int)v, g->twelve = true; break;
    case K_MI: g->minute = (int)v; break;
    case K_SS: g->second = (int)v; break;
    case K_SSSS: g->seconds_of_day = v, g->known |= G_SSSS; break;
    case K_MS: g->us = fraction_us(v, digits, 3); break;
    case K_US: g->us = fraction_us(v, digits, 6); break;
    case K_FF: g->us = fraction_us(v, digits, most); break;
    case K_TZM: g->offset_minutes = (int)v, g->has_offset = true; break;
    default: break;
    }
    if (n->flags & (FORMAT_TH_UPPER | FORMAT_TH_LOWER)) *in = str_sub(*in, 2, in->n);
    return true;
}

static int skip_blanks(str *in) {
    int n = 0;
    for (; in->n && isspace(in->p[0]); n++) *in = str_sub(*in, 1, in->n);
    return n;
}

static bool is_mark(uint8_t c) { return c < 0x80 && !isalnum(c) && !isspace(c) && isprint(c); }

/* What stands between keywords. `more`: blanks that went with the keyword before it, and count as what it stands for. A separator takes a mark
 * or a blank, or nothing; other text takes a character, whatever it is. */
static void skip_text(const struct format_node *n, str *in, bool exact, int *more) {
    bool separator = n->separator || isspace(n->text.p[0]);
    if (exact) {
        *in = str_sub(*in, 1, in->n);
    } else if (separator) {
        bool taken = in->n && (isspace(in->p[0]) || is_mark(in->p[0]));
        if (taken) *in = str_sub(*in, 1, in->n);
        *more -= !taken;
    } else if (*more > 0) {
        --*more;
    } else {
        size_t k = 1;
        while (k < in->n && (in->p[k] & 0xc0) == 0x80) k++;
        *in = str_sub(*in, k, in->n);
    }
}

static bool read_picture(struct pg_call *call, str text, str picture, struct got *g) {
    struct format f;
    if (!pg_format_cut(call, picture, words, ARRAY_COUNT(words), true, &f)) return false;
    bool exact = false;
    int more = 0;
    if (f.count && (f.nodes[0].keyword < 0 || (f.nodes[0].keyword & KEY) != K_FX)) more = skip_blanks(&text);
    for (uint32_t i = 0; i < f.count && text.n; i++) {
        const struct format_node *n = &f.nodes[i];
        if (n->keyword < 0) {
            skip_text(n, &text, exact, &more);
            continue;
        }
        if ((n->keyword & KEY) == K_FX) {
            exact = true;
            continue;
        }
        if (!exact) skip_blanks(&text);
        if (!get_key(call, &f, i, g, &text)) return false;
        more = exact ? 0 : skip_blanks(&text);
    }
    return true;
}

static bool out_of_range(struct pg_call *call, str text) {
    return pg_raise(call, "22008", "date/time field value out of range: \"" STR_FMT "\"", STR_ARG(text));
}

static bool place_clock(struct pg_call *call, struct got *g, str text) {
    if (g->known & G_SSSS) {
        g->hour = (int)(g->seconds_of_day / 3600), g->minute = (int)(g->seconds_of_day / 60 % 60),
        g->second = (int)(g->seconds_of_day % 60);
    }
    if (g->twelve) {
        if (g->hour < 1 || g->hour > 12) {
            pg_raise(call, "22007", "hour \"%d\" is invalid for the 12-hour clock", g->hour);
            pg_raise_hint(call, "Use the 24-hour clock, or give an hour between 1 and 12.");
            return false;
        }
        if (g->half && g->hour < 12) g->hour += 12;
        if (!g->half && g->hour == 12) g->hour = 0;
    }
    bool ok = g->us >= 0 && g->us < US_SECOND && g->hour >= 0 && g->hour <= 23 && g->minute >= 0 && g->minute <= 59 &&
              g->second >= 0 && g->second <= 59;
    return ok || out_of_range(call, text);
}

static void place_year(struct got *g) {
    if ((g->known & (G_YEAR | G_CC)) == (G_YEAR | G_CC) && g->short_year) {
        int64_t y = g->year % 100;
        g->year = g->century > 0 ? (y ? (g->century - 1) * 100 + y : g->century * 100) : g->century * 100 + y;
    } else if (g->known & G_CC && !(g->known & G_YEAR)) {
        g->year = g->century > 0 ? (int64_t)(g->century - 1) * 100 + 1 : (int64_t)g->century * 100 + 1;
        g->known |= G_YEAR;
    }
    if (g->known & G_YEAR && g->bc) g->year = g->year > 0 ? 1 - g->year : g->year;
    else if (g->known & G_YEAR && g->year < 0) g->year++;
}

static bool place_date(struct pg_call *call, struct got *g, str text, int64_t *out) {
    place_year(g);
    if (g->known & G_J) {
        *out = g->julian + DATE_MIN;
        return true;
    }
    if (g->known & G_ISO && g->known & (G_MONTH | G_DAY | G_DOY)) {
        pg_raise(call, "22007", "invalid combination of date conventions");
        pg_raise_hint(call, "Do not mix Gregorian and ISO week date conventions in a formatting template.");
        return false;
    }
    if (g->known & G_ISO) {
        int64_t year = g->iso_year ? g->iso_year : 1;
        if (g->iso_doy) *out = pg_iso_week_start(year, 1) + g->iso_doy - 1;
        else *out = pg_iso_week_start(year, g->iso_week ? g->iso_week : 1) + (g->iso_dow ? g->iso_dow - 1 : 0);
        return true;
    }
    int64_t year = g->known & G_YEAR ? g->year : 0; /* none: 1 BC, as PostgreSQL has it */
    if (g->known & G_WW) g->doy = (int)MIN(MAX((g->week - 1) * 7 + 1, (int64_t)-1), (int64_t)999), g->known |= G_DOY;
    if (g->known & G_W && !(g->known & G_DAY))
        g->day = (int)MIN(MAX((g->week_of_month - 1) * 7 + 1, (int64_t)-1), (int64_t)999), g->known |= G_DAY;
    if (g->known & G_DOY && !(g->known & G_MONTH)) {
        if (!(g->known & G_YEAR)) return pg_raise(call, "22007", "cannot calculate day of year without year information");
        if (g->doy < 1 || g->doy > 365 + (pg_month_days(year, 2) == 29)) return out_of_range(call, text);
        *out = pg_days_of(year, 1, 1) + g->doy - 1;
        return true;
    }
    int month = g->known & G_MONTH ? g->month : 1, day = g->known & G_DAY ? g->day : 1;
    if (month < 1 || month > 12 || day < 1 || year > 6000000 || year < -6000000 || day > pg_month_days(year, month)) {
        out_of_range(call, text);
        return false;
    }
    *out = pg_days_of(year, month, day);
    return true;
}

static bool read_stamp(struct pg_call *call, const struct db_value *args, struct got *g, int64_t *days) {
    return read_picture(call, args[0].s, args[1].s, g) && place_clock(call, g, args[0].s) && place_date(call, g, args[0].s, days);
}
PG_FN(pg_to_date) {
    struct got g = {0};
    int64_t days = 0;
    if (!read_stamp(call, args, &g, &days)) return;
    if (days < DATE_MIN || days >= DATE_END) pg_raise(call, "22008", "date out of range: \"" STR_FMT "\"", STR_ARG(args[0].s));
    else *out = DB_I64(days);
}
PG_FN(pg_to_timestamp_text) {
    struct got g = {0};
    int64_t days = 0, t = 0;
    if (!read_stamp(call, args, &g, &days)) return;
    if (days < DATE_MIN || days > STAMP_END / US_DAY) {
        pg_stamp_out_of_range(call);
        return;
    }
    t = days * US_DAY + g.hour * US_HOUR + g.minute * US_MINUTE + g.second * US_SECOND + g.us;
    if (g.has_offset) {
        if (g.offset_hours > 15 || g.offset_minutes > 59) {
            pg_raise(call, "22009", "time zone displacement out of range: \"" STR_FMT "\"", STR_ARG(args[0].s));
            return;
        }
        int64_t offset = g.offset_hours * US_HOUR + g.offset_minutes * US_MINUTE;
        t -= g.minus ? -offset : offset;
        if (stamp_in_range(t) || pg_stamp_out_of_range(call)) *out = DB_I64(t);
    } else if (pg_stamp_utc(call, t, &t)) {
        *out = DB_I64(t);
    }
}
