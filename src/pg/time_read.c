/* time_read: text as dates, times and timestamps: what PostgreSQL's parser takes (its manual, appendix B), with DateStyle "ISO, MDY".
 *
 * A text is cut into fields (cut), each of which says what it looks like; then each is taken as what the ones before it leave open (take_*):
 *
 *   "Jan 8 1999 04:05:06.789 PST"  →  WORD jan, NUMBER 8, NUMBER 1999, TIME 04:05:06.789, WORD pst
 *
 * 1. A text is 150 bytes and 25 fields at most, as in PostgreSQL: no work grows beyond that.
 */
#include "pg/times.h"
#include <ctype.h>
#include <math.h>
#include <stdlib.h>

enum { FIELDS_MAX = 25, TEXT_MAX = 150 };
enum field_kind { NUMBER, WORD, DATE, TIME, ZONE, SPECIAL };
struct field {
    enum field_kind kind;
    char *text;
};
enum { /* what is known */
       YEAR = 1,
       ERA = 128,
       SUMMER = 256,
       JULIAN = 64,
       MONTH = 2,
       DAY = 4,
       DOY = 8,
       CLOCK = 16,
       OFFSET = 32,
       DAYS = YEAR | MONTH | DAY,
};
enum trouble { FINE, BAD, OUTSIDE, OUTSIDE_MD, OUTSIDE_ZONE, NO_ZONE };
enum special { NOT_SPECIAL, NOW, TODAY, TOMORROW, YESTERDAY, EPOCH, INFINITE, MINUS_INFINITE };

struct reading {
    char store[TEXT_MAX + 2 * FIELDS_MAX + 8];
    struct field fields[FIELDS_MAX];
    int count;
    bool time_only;
    unsigned known;
    struct pg_parts p;
    int doy, half; /* half: 1 am, 2 pm */
    bool two_digits, before_christ, text_month, julian, prefix_t;
    int64_t julian_day;
    double julian_rest; /* of a day */
    enum special special;
    const char *no_zone;        /* of NO_ZONE: what is none */
    int32_t offset;             /* known OFFSET, unless: */
    const struct pg_zone *zone; /* a full zone's name, or an abbreviation that has changed: */
    char word[8];
};

/* ---- cutting ---- */

static char *take(char *to, const char **p, const char *end, bool (*wanted)(int)) {
    while (*p < end && wanted((unsigned char)**p)) *to++ = (char)tolower((unsigned char)*(*p)++);
    return to;
}
static bool is_digit(int c) { return isdigit(c); }
static bool is_alpha(int c) { return isalpha(c); }
static bool is_clock(int c) { return isdigit(c) || c == ':' || c == '.'; }
static bool is_zone(int c) { return isdigit(c) || c == ':' || c == '.' || c == '-'; }
static bool is_named(int c) { return isalnum(c) || c == '+' || c == '-' || c == '/' || c == '_' || c == '.' || c == ':'; }

static enum field_kind cut_number(char **to, const char **p, const char *end) {
    *to = take(*to, p, end, is_digit);
    if (*p < end && **p == ':') {
        *to = take(*to, p, end, is_clock);
        return TIME;
    }
    if (*p >= end || (**p != '-' && **p != '/' && **p != '.')) return NUMBER;
    char mark = **p;
    *(*to)++ = *(*p)++;
    if (*p < end && isdigit((unsigned char)**p)) {
        enum field_kind kind = mark == '.' ? NUMBER : DATE;
        *to = take(*to, p, end, is_digit);
        if (*p < end && **p == mark) {
            kind = DATE;
            while (*p < end && (isdigit((unsigned char)**p) || **p == mark)) *(*to)++ = *(*p)++;
        }
        return kind;
    }
    while (*p < end && (isalnum((unsigned char)**p) || **p == mark)) *(*to)++ = (char)tolower((unsigned char)*(*p)++);
    return DATE;
}

static bool is_known_word(const char *word);
static bool ends_token(const char *word);

static enum field_kind cut_word(char **to, const char **p, const char *end) {
    char *start = *to;
    *to = take(*to, p, end, is_alpha);
    if (*p >= end) return WORD;
    **to = 0;
    bool date = (**p == '-' || **p == '/' || **p == '.') && !ends_token(start);
    if (**p == '+' || isdigit((unsigned char)**p)) { /* a date's beginning ("jan8"), or a zone's with a number in it */
        **to = 0;
        date = !is_known_word(start) && **p == '+';
        if (isdigit((unsigned char)**p)) date = !is_known_word(start);
    }
    if (!date) return WORD;
    *to = take(*to, p, end, is_named);
    return DATE;
}

static bool cut_field(struct reading *r, char **to, const char **p, const char *end) {
    enum field_kind kind;
    char *start = *to;
    if (r->count == FIELDS_MAX) return false;
    if (isdigit((unsigned char)**p)) {
        kind = cut_number(to, p, end);
    } else if (**p == '.') {
        *(*to)++ = *(*p)++;
        *to = take(*to, p, end, is_digit);
        kind = NUMBER;
    } else if (isalpha((unsigned char)**p)) {
        kind = cut_word(to, p, end);
    } else if (**p == '+' || **p == '-') {
        *(*to)++ = *(*p)++;
        while (*p < end && isspace((unsigned char)**p)) ++*p;
        if (*p < end && isdigit((unsigned char)**p)) {
            kind = ZONE;
            *to = take(*to, p, end, is_zone);
        } else if (*p < end && isalpha((unsigned char)**p)) {
            kind = SPECIAL;
            *to = take(*to, p, end, is_alpha);
        } else {
            return false;
        }
    } else if (ispunct((unsigned char)**p)) {
        ++*p;
        return true;
    } else {
        return false;
    }
    *(*to)++ = 0;
    r->fields[r->count++] = (struct field){kind, start};
    return true;
}

static bool cut(struct reading *r, str s) {
    if (s.n > TEXT_MAX || memchr(s.p, 0, s.n)) return false;
    const char *p = (const char *)s.p, *end = p + s.n;
    char *to = r->store;
    while (p < end) {
        if (isspace((unsigned char)*p)) p++;
        else if (!cut_field(r, &to, &p, end)) return false;
    }
    return r->count > 0;
}

/* ---- words ---- */

enum word_kind { IS_MONTH, IS_WEEKDAY, IS_HALF, IS_ERA, IS_SPECIAL, IS_IGNORED, IS_T, IS_J, IS_Z };
struct word {
    char text[10];
    enum word_kind kind;
    int value;
};
/* In full or short, as they stand here. */
static const struct word words[] = {
    {"jan", IS_MONTH, 1},
    {"january", IS_MONTH, 1},
    {"feb", IS_MONTH, 2},
    {"february", IS_MONTH, 2},
    {"mar", IS_MONTH, 3},
    {"march", IS_MONTH, 3},
    {"apr", IS_MONTH, 4},
    {"april", IS_MONTH, 4},
    {"may", IS_MONTH, 5},
    {"jun", IS_MONTH, 6},
    {"june", IS_MONTH, 6},
    {"jul", IS_MONTH, 7},
    {"july", IS_MONTH, 7},
    {"aug", IS_MONTH, 8},
    {"august", IS_MONTH, 8},
    {"sep", IS_MONTH, 9},
    {"sept", IS_MONTH, 9},
    {"september", IS_MONTH, 9},
    {"oct", IS_MONTH, 10},
    {"october", IS_MONTH, 10},
    {"nov", IS_MONTH, 11},
    {"november", IS_MONTH, 11},
    {"dec", IS_MONTH, 12},
    {"december", IS_MONTH, 12},
    {"sun", IS_WEEKDAY, 0},
    {"sunday", IS_WEEKDAY, 0},
    {"mon", IS_WEEKDAY, 1},
    {"monday", IS_WEEKDAY, 1},
    {"tue", IS_WEEKDAY, 2},
    {"tues", IS_WEEKDAY, 2},
    {"tuesday", IS_WEEKDAY, 2},
    {"wed", IS_WEEKDAY, 3},
    {"weds", IS_WEEKDAY, 3},
    {"wednesday", IS_WEEKDAY, 3},
    {"thu", IS_WEEKDAY, 4},
    {"thur", IS_WEEKDAY, 4},
    {"thurs", IS_WEEKDAY, 4},
    {"thursday", IS_WEEKDAY, 4},
    {"fri", IS_WEEKDAY, 5},
    {"friday", IS_WEEKDAY, 5},
    {"sat", IS_WEEKDAY, 6},
    {"saturday", IS_WEEKDAY, 6},
    {"am", IS_HALF, 1},
    {"pm", IS_HALF, 2},
    {"ad", IS_ERA, 0},
    {"bc", IS_ERA, 1},
    {"now", IS_SPECIAL, NOW},
    {"today", IS_SPECIAL, TODAY},
    {"tomorrow", IS_SPECIAL, TOMORROW},
    {"yesterday", IS_SPECIAL, YESTERDAY},
    {"epoch", IS_SPECIAL, EPOCH},
    {"infinity", IS_SPECIAL, INFINITE},
    {"+infinity", IS_SPECIAL, INFINITE},
    {"-infinity", IS_SPECIAL, MINUS_INFINITE},
    {"at", IS_IGNORED, 0},
    {"on", IS_IGNORED, 0},
    {"t", IS_T, 0},
    {"j", IS_J, 0},
    {"jd", IS_J, 0},
    {"julian", IS_J, 0},
    {"z", IS_Z, 0},
    {"allballs", IS_Z, 1},
};

static const struct word *word_named(const char *text) {
    for (size_t i = 0; i < ARRAY_COUNT(words); i++)
        if (!strncmp(words[i].text, text, sizeof words[i].text) && strlen(text) <= sizeof words[i].text) return &words[i];
    return NULL;
}
static bool is_known_word(const char *text) { return word_named(text) != NULL; }
/* "pm-08" are two. */
static bool ends_token(const char *text) {
    const struct word *w = word_named(text);
    return w && w->kind != IS_MONTH && w->kind != IS_WEEKDAY;
}

/* ---- numbers ---- */

static bool know(struct reading *r, unsigned what) {
    bool fresh = !(r->known & what);
    r->known |= what;
    return fresh;
}

static bool small_number(const char *p, size_t n, int *out) {
    *out = 0;
    if (!n || n > 9) return false;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)p[i])) return false;
        *out = *out * 10 + (p[i] - '0');
    }
    return true;
}

/* ".789" in µs, rounded */
static bool fraction(const char *p, int *us) {
    if (strspn(p + 1, "0123456789") != strlen(p + 1)) return false;
    *us = (int)rint(strtod(p, NULL) * 1e6);
    return true;
}

/* hh:mm, hh:mm:ss, hh:mm:ss.f, mm:ss.f */
static enum trouble take_clock(struct reading *r, const char *text) {
    int n[3] = {0}, count = 0;
    const char *p = text;
    r->p.us = 0;
    for (; count < 3; count++) {
        size_t k = strspn(p, "0123456789");
        if (!small_number(p, k, &n[count])) return k > 9 ? OUTSIDE : BAD;
        p += k;
        if (*p != ':') break;
        p++;
    }
    if (count > 2) return BAD;
    if (*p == '.' && count) {
        if (!fraction(p, &r->p.us)) return BAD;
        if (count == 1) n[2] = n[1], n[1] = n[0], n[0] = 0;
    } else if (*p) {
        return BAD;
    }
    if (!know(r, CLOCK)) return BAD;
    r->p.hour = n[0], r->p.minute = n[1], r->p.second = n[2];
    bool beyond = n[0] > 24 || (n[0] == 24 && (n[1] || n[2] || r->p.us));
    return beyond || n[1] > 59 || n[2] > 60 ? OUTSIDE : FINE;
}

/* ±hh, ±hhmm, ±hh:mm, ±hh:mm:ss */
static enum trouble take_offset(struct reading *r, const char *text) {
    const char *p = text + 1;
    size_t k = strspn(p, "0123456789");
    int h = 0, m = 0, s = 0;
    if (!small_number(p, k, &h)) return BAD;
    p += k;
    if (*p == ':') {
        k = strspn(++p, "0123456789");
        if (!small_number(p, k, &m)) return BAD;
        if (*(p += k) == ':') {
            k = strspn(++p, "0123456789");
            if (!small_number(p, k, &s)) return BAD;
            p += k;
        }
    } else if (!*p && k > 2) {
        m = h % 100, h /= 100;
    }
    if (h > 15 || m > 59 || s > 59) return OUTSIDE_ZONE;
    if (*p) return BAD;
    if (!know(r, OFFSET)) return BAD;
    r->offset = (h * 3600 + m * 60 + s) * (text[0] == '-' ? -1 : 1);
    return FINE;
}

/* 19990108, 990108; 040506, 0405 once there is a date */
static enum trouble take_run(struct reading *r, const char *text) {
    size_t n = strspn(text, "0123456789");
    int v;
    bool dated = (r->known & DAYS) == DAYS || r->time_only;
    if (text[n] == '.') {
        if (!fraction(text + n, &r->p.us)) return BAD;
        dated = true;
    } else if (text[n]) {
        return BAD;
    } else if (!dated && n >= 6) {
        if (r->known & DAYS) return BAD;
        if (!small_number(text + n - 2, 2, &r->p.day) || !small_number(text + n - 4, 2, &r->p.month)) return BAD;
        if (!small_number(text, n - 4, &v)) return n <= 13 ? BAD : r->p.month > 12 || r->p.day > 31 ? OUTSIDE_MD : OUTSIDE;
        r->p.year = v;
        r->two_digits = n == 6;
        r->known |= DAYS;
        return FINE;
    }
    if ((r->known & CLOCK) || (n != 6 && n != 4)) return BAD;
    if (!small_number(text, 2, &r->p.hour) || !small_number(text + 2, 2, &r->p.minute)) return BAD;
    r->p.second = 0;
    if (n == 6 && !small_number(text + 4, 2, &r->p.second)) return BAD;
    if (text[n] != '.') r->p.us = 0;
    r->known |= CLOCK;
    return FINE;
}

static enum trouble set_year(struct reading *r, int v, size_t n) {
    if (!know(r, YEAR)) return BAD;
    r->p.year = v;
    r->two_digits = n <= 2;
    return FINE;
}
static enum trouble set_month(struct reading *r, int v) {
    r->p.month = v;
    return know(r, MONTH) ? FINE : BAD;
}
static enum trouble set_day(struct reading *r, int v) {
    r->p.day = v;
    return know(r, DAY) ? FINE : BAD;
}

/* One number, by what is open; text is all digits, or has a fraction. */
static enum trouble take_number(struct reading *r, const char *text) {
    size_t n = strspn(text, "0123456789");
    int v;
    if (text[n] == '.' && n > 2) return take_run(r, text);
    if (text[n]) return BAD;
    if (!small_number(text, n, &v)) return n ? OUTSIDE : BAD;
    unsigned have = r->known & DAYS;
    if (n == 3 && have == YEAR && v >= 1 && v <= 366) {
        r->doy = v, r->known |= DOY | MONTH | DAY;
        return FINE;
    }
    switch (have) {
    case 0: return n >= 3 ? set_year(r, v, n) : set_month(r, v);
    case YEAR: return set_month(r, v);
    case MONTH: return r->text_month && n >= 3 ? set_year(r, v, n) : set_day(r, v);
    case YEAR | MONTH:
        if (r->text_month && n >= 3 && r->two_digits) {
            r->p.day = (int)r->p.year, r->p.year = v, r->two_digits = false, r->known |= DAY;
            return FINE;
        }
        return set_day(r, v);
    case DAY: return set_month(r, v);
    case MONTH | DAY: return set_year(r, v, n);
    default: return take_run(r, text);
    }
}

/* ---- dates with marks between: 1999-01-08, 1/8/1999, 8-jan-1999 ---- */

static enum trouble take_date_parts(struct reading *r, char *text) {
    char *parts[3];
    int count = 0;
    for (char *p = text; *p;) {
        while (*p && !isalnum((unsigned char)*p)) p++;
        if (!*p) break;
        if (count == 3) return BAD;
        parts[count++] = p;
        bool digits = isdigit((unsigned char)*p);
        while (*p && (digits ? isdigit((unsigned char)*p) : isalpha((unsigned char)*p))) p++;
        if (*p) *p++ = 0;
    }
    for (int i = 0; i < count; i++) { /* a month in letters decides how the numbers are read */
        if (!isalpha((unsigned char)parts[i][0])) continue;
        const struct word *w = word_named(parts[i]);
        if (!w || w->kind != IS_MONTH) return BAD;
        if (set_month(r, w->value)) return BAD;
        r->text_month = true;
        parts[i] = NULL;
    }
    for (int i = 0; i < count; i++) {
        enum trouble t = parts[i] ? take_number(r, parts[i]) : FINE;
        if (t) return t;
    }
    return (r->known & DAYS) == DAYS ? FINE : BAD;
}

static enum trouble take_zone(struct reading *r, const char *name) {
    if (!know(r, OFFSET)) return BAD;
    r->zone = pg_zone_named(str_c(name));
    return r->zone ? FINE : BAD;
}

/* Also America/New_York, and 040506-08 */
static enum trouble take_date(struct reading *r, char *text) {
    bool dated = (r->known & (MONTH | DAY)) == (MONTH | DAY) || r->time_only;
    if (r->julian) return BAD;
    if (dated || r->prefix_t) {
        if (!isdigit((unsigned char)text[0])) {
            r->no_zone = text;
            return r->known & OFFSET ? BAD : take_zone(r, text) ? NO_ZONE : FINE;
        }
        char *minus = strchr(text, '-');
        if (!minus) return BAD;
        char zone[16];
        snprintf(zone, sizeof zone, "%s", minus);
        enum trouble t = take_offset(r, zone);
        *minus = 0;
        r->prefix_t = false;
        return t ? t : take_run(r, text);
    }
    if (r->known & (CLOCK | SUMMER) || r->half) return BAD;
    return take_date_parts(r, text);
}

/* ---- words ---- */

static enum trouble take_known(struct reading *r, const struct word *w, const struct field *next) {
    switch (w->kind) {
    case IS_MONTH:
        /* "8 January 1999" and "January 8": what was taken for a month was the day */
        if ((r->known & MONTH) && !r->text_month && !(r->known & DAY) && r->p.month >= 1 && r->p.month <= 31) {
            r->p.day = r->p.month, r->known = (r->known | DAY) & ~(unsigned)MONTH;
        }
        r->text_month = true;
        return set_month(r, w->value);
    case IS_WEEKDAY:
    case IS_IGNORED: return FINE;
    case IS_HALF: return r->half ? BAD : (r->half = w->value, FINE);
    case IS_ERA: r->before_christ = w->value; return know(r, ERA) ? FINE : BAD;
    case IS_SPECIAL:
        if (r->special || r->known & DAYS) return BAD;
        r->special = (enum special)w->value;
        if (r->special >= TODAY && r->special <= YESTERDAY) r->known |= DAYS;
        return FINE;
    case IS_T: /* a time comes next, and a date was before */
        r->prefix_t = true;
        return (r->time_only || (r->known & DAYS) == DAYS) && next && isdigit((unsigned char)next->text[0]) ? FINE : BAD;
    case IS_J: r->julian = true; return next && (next->kind == NUMBER) ? FINE : BAD;
    case IS_Z:
        if (w->value) {
            if (!know(r, CLOCK)) return BAD;
            r->p.hour = r->p.minute = r->p.second = r->p.us = 0;
            r->known |= OFFSET;
            r->offset = 0;
            return FINE;
        }
        if (!know(r, OFFSET)) return BAD;
        r->offset = 0;
        return FINE;
    }
    return BAD;
}

static enum trouble take_word(struct reading *r, const char *text, const struct field *next) {
    const struct word *w = word_named(text);
    if (w) return take_known(r, w, next);
    struct pg_zone_word zone;
    if (!strcmp(text, "dst") && (r->known & OFFSET)) {
        r->offset += 3600;
        return FINE;
    }
    if (pg_zone_word(str_c(text), &zone)) {
        if (!know(r, OFFSET)) return BAD;
        r->offset = zone.offset, r->zone = zone.zone;
        if (zone.summer) r->known |= SUMMER;
        if (zone.zone) snprintf(r->word, sizeof r->word, "%.7s", text);
        return FINE;
    }
    return take_zone(r, text);
}

/* "J2451187", and with a part of a day behind the point */
static enum trouble take_julian(struct reading *r, const char *text) {
    char *end;
    r->julian = false;
    if (strlen(text) > 20 || r->known & DAYS) return BAD;
    long long day = strtoll(text, &end, 10);
    if (day < 0 || day > INT32_MAX) return OUTSIDE;
    if (*end == '.') {
        double rest = strtod(end, NULL);
        int64_t us = (int64_t)rint(rest * (double)US_DAY);
        r->known |= CLOCK;
        r->p.hour = (int)(us / US_HOUR), r->p.minute = (int)(us / US_MINUTE % 60);
        r->p.second = (int)(us / US_SECOND % 60), r->p.us = (int)(us % US_SECOND);
    }
    struct pg_parts p;
    pg_parts_of_days(day + DATE_MIN, &p);
    r->p.year = p.year, r->p.month = p.month, r->p.day = p.day;
    r->julian_day = day;
    r->known |= DAYS | JULIAN;
    return FINE;
}

static enum trouble take_field(struct reading *r, int i) {
    struct field *f = &r->fields[i];
    const struct field *next = i + 1 < r->count ? f + 1 : NULL;
    bool t = r->prefix_t;
    switch (f->kind) {
    case DATE: return take_date(r, f->text);
    case TIME: r->prefix_t = false; return take_clock(r, f->text);
    case ZONE: return take_offset(r, f->text);
    case NUMBER:
        if (r->julian) return take_julian(r, f->text);
        r->prefix_t = false;
        if (t) return take_run(r, f->text);
        if (strchr(f->text, '.') && !(r->known & DAYS) && !r->time_only)
            return r->known & CLOCK ? BAD : take_date_parts(r, f->text);
        if (!strchr(f->text, '.') && strlen(f->text) > 4) return take_run(r, f->text);
        if (r->time_only) return take_run(r, f->text);
        return take_number(r, f->text);
    case WORD:
    case SPECIAL: return take_word(r, f->text, next);
    }
    return BAD;
}

/* ---- altogether ---- */

static enum trouble check_date(struct reading *r) {
    if (r->known & JULIAN || r->special) return FINE; /* a Julian day is one */
    if (r->known & YEAR) {
        if (r->before_christ) {
            if (r->p.year <= 0) return OUTSIDE;
            r->p.year = 1 - r->p.year;
        } else if (r->two_digits) {
            r->p.year += r->p.year < 70 ? 2000 : 1900;
        } else if (r->p.year <= 0) {
            return OUTSIDE;
        }
    }
    if (r->known & DOY) {
        pg_parts_of_days(pg_days_of(r->p.year, 1, 1) + r->doy - 1, &(struct pg_parts){0});
        struct pg_parts p;
        pg_parts_of_days(pg_days_of(r->p.year, 1, 1) + r->doy - 1, &p);
        r->p.year = p.year, r->p.month = p.month, r->p.day = p.day;
    }
    if ((r->known & MONTH) && (r->p.month < 1 || r->p.month > 12)) return OUTSIDE_MD;
    if ((r->known & DAY) && (r->p.day < 1 || r->p.day > 31)) return OUTSIDE_MD;
    if ((r->known & DAYS) == DAYS && r->p.day > pg_month_days(r->p.year, r->p.month)) return OUTSIDE;
    return FINE;
}

static enum trouble check_clock(struct reading *r) {
    struct pg_parts *p = &r->p;
    if (r->half && p->hour > 12) return OUTSIDE;
    if (r->half == 1 && p->hour == 12) p->hour = 0;
    if (r->half == 2 && p->hour != 12) p->hour += 12;
    bool more = p->minute || p->second || p->us;
    return p->hour > 24 || (p->hour == 24 && more) || p->minute > 59 || p->second > 60 ? OUTSIDE : FINE;
}

static enum trouble read_all(struct reading *r, str text) {
    if (!cut(r, text)) return BAD;
    for (int i = 0; i < r->count; i++) {
        enum trouble t = take_field(r, i);
        if (t) return t;
    }
    if (r->julian) return BAD;
    enum trouble t = check_date(r);
    if (t || (t = check_clock(r))) return t;
    bool open = r->special == NOT_SPECIAL || r->special == TODAY || r->special == TOMORROW || r->special == YESTERDAY;
    if (!open) return r->special == NOW && r->known & CLOCK ? BAD : FINE;
    if (r->special) return FINE;
    if (r->time_only) return r->known & CLOCK ? FINE : BAD;
    return (r->known & DAYS) == DAYS ? FINE : BAD;
}

static bool say(struct pg_call *call, const struct reading *r, enum trouble t, const char *type, str text) {
    switch (t) {
    case FINE: return true;
    case BAD: return pg_raise(call, "22007", "invalid input syntax for type %s: \"" STR_FMT "\"", type, STR_ARG(text));
    case NO_ZONE: return pg_raise(call, "22023", "time zone \"%s\" not recognized", r->no_zone);
    case OUTSIDE_ZONE: return pg_raise(call, "22009", "time zone displacement out of range: \"" STR_FMT "\"", STR_ARG(text));
    default:
        pg_raise(call, "22008", "date/time field value out of range: \"" STR_FMT "\"", STR_ARG(text));
        if (t == OUTSIDE_MD) pg_raise_hint(call, "Perhaps you need a different \"datestyle\" setting.");
        return false;
    }
}

/* The day that today, tomorrow … is in the session's zone; a time may stand with it. */
static void place_special(struct pg_call *call, struct reading *r) {
    if (r->special < TODAY || r->special > YESTERDAY) return;
    int64_t local = pg_stamp_local(call, call->session->now), day = local / US_DAY - (local % US_DAY < 0);
    day += r->special == TOMORROW ? 1 : r->special == YESTERDAY ? -1 : 0;
    struct pg_parts p;
    pg_parts_of_days(day, &p);
    r->p.year = p.year, r->p.month = p.month, r->p.day = p.day;
    r->known |= DAYS;
    r->special = NOT_SPECIAL;
}

static int32_t offset_at(struct pg_call *call, const struct reading *r, int64_t local) {
    struct pg_zone_given zone = {.zone = r->zone, .offset = r->offset};
    memcpy(zone.word, r->word, sizeof zone.word);
    if (!(r->known & OFFSET)) zone.zone = pg_session_zone(call);
    return pg_zone_given_offset_of_local(&zone, local);
}

/* In local time; zoned: and then in UTC. */
static bool stamp_of(struct pg_call *call, struct reading *r, bool zoned, str text, int64_t *out) {
    place_special(call, r);
    switch (r->special) {
    case NOW: *out = zoned ? call->session->now : pg_stamp_local(call, call->session->now); return true;
    case EPOCH: *out = -UNIX_DAYS * US_DAY; return true;
    case INFINITE: *out = STAMP_INFINITY; return true;
    case MINUS_INFINITE: *out = STAMP_MINUS_INFINITY; return true;
    default: break;
    }
    bool year = r->p.year >= -4713 && r->p.year <= 294277; /* zoned: the range is UTC's */
    if (!pg_stamp_of_parts(&r->p, out) && (!year || !zoned))
        return pg_raise(call, "22008", "timestamp out of range: \"" STR_FMT "\"", STR_ARG(text));
    if (!zoned) return true;
    int64_t local = unix_of_stamp(*out);
    int32_t offset = offset_at(call, r, local);
    *out -= offset * US_SECOND;
    if (stamp_in_range(*out)) return true;
    return pg_raise(call, "22008", "timestamp out of range: \"" STR_FMT "\"", STR_ARG(text));
}

static bool stamp_in(struct pg_call *call, str text, int32_t typmod, bool zoned, struct db_value *out) {
    struct reading r = {0};
    int64_t t;
    const char *type = zoned ? "timestamp with time zone" : "timestamp";
    if (!say(call, &r, read_all(&r, text), type, text) || !stamp_of(call, &r, zoned, text, &t)) return false;
    *out = DB_I64(pg_round_seconds(t, typmod));
    return true;
}
bool pg_timestamp_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return stamp_in(call, text, typmod, false, out);
}
bool pg_timestamptz_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    return stamp_in(call, text, typmod, true, out);
}

bool pg_date_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct reading r = {0};
    if (!say(call, &r, read_all(&r, text), "date", text)) return false;
    place_special(call, &r);
    if (r.special == INFINITE || r.special == MINUS_INFINITE) {
        *out = DB_I64(r.special == INFINITE ? DATE_INFINITY : DATE_MINUS_INFINITY);
        return true;
    }
    if (r.special == EPOCH) {
        *out = DB_I64(-UNIX_DAYS);
        return true;
    }
    if (r.special == NOW) {
        int64_t local = pg_stamp_local(call, call->session->now);
        *out = DB_I64(local / US_DAY - (local % US_DAY < 0));
        return true;
    }
    int64_t days = r.p.year < -4714 || r.p.year > 5874898 ? INT64_MAX : pg_days_of(r.p.year, r.p.month, r.p.day);
    if (days < DATE_MIN || days >= DATE_END) return pg_raise(call, "22008", "date out of range: \"" STR_FMT "\"", STR_ARG(text));
    *out = DB_I64(days);
    return true;
}

static bool clock_in(struct pg_call *call, str text, const char *type, struct reading *r) {
    r->time_only = true;
    enum trouble t = read_all(r, text);
    if (t && r->fields[0].kind == DATE) { /* a date may stand before it, with marks in it */
        *r = (struct reading){0};
        t = read_all(r, text);
        bool zone = r->fields[r->count - 1].kind == DATE && r->count > 1, clock = r->count > 1 && r->fields[1].kind == TIME;
        if (!t && !zone && (!clock || r->known & ERA)) t = BAD;
    }
    if (!say(call, r, t, type, text)) return false;
    if (r->special == NOW) {
        int64_t local = pg_stamp_local(call, call->session->now);
        pg_parts_of_stamp(local, &r->p);
        r->known |= CLOCK;
        return true;
    }
    return ((r->known & CLOCK) && !r->special) || say(call, r, BAD, type, text);
}

bool pg_time_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct reading r = {0};
    if (!clock_in(call, text, "time", &r)) return false;
    if (r.zone && r.known == (CLOCK | OFFSET)) return say(call, &r, BAD, "time", text);
    *out = DB_I64(pg_round_seconds(pg_clock_of(&r.p), typmod));
    return true;
}

bool pg_timetz_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct reading r = {0};
    if (!clock_in(call, text, "time with time zone", &r)) return false;
    struct pg_timetz t = {pg_round_seconds(pg_clock_of(&r.p), typmod), r.offset};
    bool dated = (r.known & DAYS) == DAYS;
    const struct pg_zone *zone = r.zone ? r.zone : r.known & OFFSET ? NULL : pg_session_zone(call);
    if (r.zone && !dated && zone) {
        if (!pg_zone_is_fixed(zone)) return say(call, &r, BAD, "time with time zone", text); /* which day's? */
    }
    int64_t local = pg_stamp_local(call, call->session->now);
    int64_t day = dated ? pg_days_of(r.p.year, r.p.month, r.p.day) : local / US_DAY;
    if (zone) t.offset = pg_zone_offset_of_local(zone, (day + UNIX_DAYS) * 86400 + t.us / US_SECOND);
    *out = pg_timetz_value(call, t);
    return !pg_raised(call);
}
