/* zones: the world's time zones. Their transitions are a part of the program, read from the system's tzdata when it was built (zones.py); what
 * comes after the last one follows a rule of POSIX's TZ ("CET-1CEST,M3.5.0,M10.5.0/3"), which is also what AT TIME ZONE takes.
 */
#include "pg/times.h"
#include <ctype.h>
#include <stdlib.h>

struct zone_type {
    int32_t offset;
    uint8_t summer;
    uint16_t name;
};
struct pg_zone {
    uint32_t name, times, times_count, types, types_count, rule; /* name and rule in zone_texts */
};
#include "zones_data.h"

static const char *text_at(uint32_t at) { return (const char *)zone_texts + at; }

bool pg_zone_is_fixed(const struct pg_zone *z) {
    for (uint32_t i = 1; i < z->types_count; i++)
        if (zone_types[z->types + i].offset != zone_types[z->types].offset) return false;
    return true;
}

const struct pg_zone *pg_zone_named(str name) {
    size_t low = 0, high = ARRAY_COUNT(zones);
    while (low < high) {
        size_t middle = (low + high) / 2;
        const char *have = text_at(zones[middle].name);
        int c = strncasecmp(have, (const char *)name.p, name.n);
        if (!c && have[name.n]) c = 1;
        if (!c) return &zones[middle];
        if (c < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

/* ---- rules ---- */

struct change { /* Mm.w.d, Jn or n, and the second of that day */
    char kind;
    int month, week, day;
    int32_t seconds;
};
struct rule {
    char name[2][12]; /* standard, summer */
    int32_t offset[2];
    bool has_summer;
    struct change from, to; /* of summer */
};

static bool read_name(const char **p, char *out) {
    size_t n = 0;
    const char *q = *p;
    bool quoted = *q == '<';
    if (quoted) q++;
    for (; quoted ? *q && *q != '>' : isalpha((unsigned char)*q); q++)
        if (n < 11) out[n++] = *q;
    out[n] = 0;
    if (quoted && *q++ != '>') return false;
    *p = q;
    return true;
}

static bool read_number(const char **p, int most, int *out) {
    if (!isdigit((unsigned char)**p)) return false;
    for (*out = 0; isdigit((unsigned char)**p); ++*p)
        if ((*out = *out * 10 + (**p - '0')) > most) return false;
    return true;
}

/* h[:m[:s]], with a sign; POSIX counts westwards */
static bool read_clock(const char **p, int32_t *out) {
    int sign = **p == '-' ? -1 : 1, h, m = 0, s = 0;
    if (**p == '-' || **p == '+') ++*p;
    if (!read_number(p, 167, &h)) return false;
    if (**p == ':' && (++*p, !read_number(p, 59, &m))) return false;
    if (**p == ':' && (++*p, !read_number(p, 59, &s))) return false;
    *out = sign * (h * 3600 + m * 60 + s);
    return true;
}

static bool read_change(const char **p, struct change *c) {
    *c = (struct change){.kind = 'n', .seconds = 7200};
    if (**p == 'M') {
        c->kind = 'M', ++*p;
        if (!read_number(p, 12, &c->month) || *(*p)++ != '.' || !read_number(p, 5, &c->week) || *(*p)++ != '.' ||
            !read_number(p, 6, &c->day))
            return false;
    } else {
        if (**p == 'J') c->kind = 'J', ++*p;
        if (!read_number(p, 365, &c->day)) return false;
    }
    return **p != '/' || (++*p, read_clock(p, &c->seconds));
}

/* "EST5EDT": as the United States have it */
static bool read_rule(const char *p, struct rule *r) {
    *r = (struct rule){0};
    if (!*p || !read_name(&p, r->name[0]) || !read_clock(&p, &r->offset[0])) return false;
    r->offset[0] = -r->offset[0];
    if (!*p) return true;
    if (!read_name(&p, r->name[1]) || !r->name[1][0]) return false;
    r->has_summer = true;
    r->offset[1] = r->offset[0] + 3600;
    if (*p && *p != ',') {
        if (!read_clock(&p, &r->offset[1])) return false;
        r->offset[1] = -r->offset[1];
    }
    if (!*p) p = ",M3.2.0,M11.1.0";
    return *p++ == ',' && read_change(&p, &r->from) && *p++ == ',' && read_change(&p, &r->to) && !*p;
}

static int64_t unix_day(int64_t year, int month, int day) { return pg_days_of(year, month, day) + UNIX_DAYS; }

/* When it happens in a year, by a clock that is `offset` east of UTC. */
static int64_t change_at(const struct change *c, int64_t year, int32_t offset) {
    int64_t day;
    if (c->kind == 'M') {
        int64_t first = unix_day(year, c->month, 1);
        int ahead = (c->day - pg_day_of_week(first - UNIX_DAYS) + 7) % 7 + (c->week - 1) * 7;
        if (ahead >= pg_month_days(year, c->month)) ahead -= 7;
        day = first + ahead;
    } else {
        bool leap = pg_month_days(year, 2) == 29;
        int n = c->kind == 'J' ? c->day - 1 + (leap && c->day >= 60) : c->day;
        day = unix_day(year, 1, 1) + n;
    }
    return day * 86400 + c->seconds - offset;
}

static void at_rule(const struct rule *r, int64_t when, struct pg_zone_at *out) {
    *out = (struct pg_zone_at){.offset = r->offset[0], .until = INT64_MAX, .next_offset = r->offset[0]};
    bool summer = false;
    if (r->has_summer) {
        struct pg_parts parts;
        int64_t days = when / 86400 - (when % 86400 < 0) - UNIX_DAYS;
        pg_parts_of_days(days, &parts);
        int64_t best = INT64_MIN;
        for (int64_t y = parts.year - 1; y <= parts.year + 1; y++) {
            for (int k = 0; k < 2; k++) {
                int64_t t = change_at(k ? &r->to : &r->from, y, r->offset[k]);
                if (t <= when && t > best) best = t, summer = !k;
                if (t > when && t < out->until) out->until = t;
            }
        }
        out->offset = r->offset[summer], out->next_offset = r->offset[!summer];
    }
    out->summer = summer;
    snprintf(out->name, sizeof out->name, "%s", r->name[summer]);
}

/* ---- what holds at an instant ---- */

static const struct zone_type *first_type(const struct pg_zone *z) {
    for (uint32_t i = 0; i < z->types_count; i++)
        if (!zone_types[z->types + i].summer) return &zone_types[z->types + i];
    return &zone_types[z->types];
}

void pg_zone_at(const struct pg_zone *z, int64_t when, struct pg_zone_at *out) {
    const int64_t *times = &zone_times[z->times];
    uint32_t low = 0, high = z->times_count;
    while (low < high) { /* the first that is later */
        uint32_t middle = (low + high) / 2;
        if (times[middle] <= when) low = middle + 1;
        else high = middle;
    }
    struct rule r;
    bool ruled = read_rule(text_at(z->rule), &r);
    if (low == z->times_count && ruled) {
        at_rule(&r, when, out);
        return;
    }
    const struct zone_type *t = low ? &zone_types[z->types + zone_types_of[z->times + low - 1]] : first_type(z);
    *out = (struct pg_zone_at){.offset = t->offset, .summer = t->summer, .until = INT64_MAX, .next_offset = t->offset};
    snprintf(out->name, sizeof out->name, "%s", text_at(t->name));
    if (low < z->times_count) {
        out->until = times[low];
        out->next_offset = zone_types[z->types + zone_types_of[z->times + low]].offset;
    }
}

/* As PostgreSQL has it: of two readings in autumn the later, standard one; of what there is not in spring, that before the change. */
static int32_t offset_of_local(const struct pg_zone_at *before, int64_t local) {
    if (before->until == INT64_MAX) return before->offset;
    int64_t early = local - before->offset, late = local - before->next_offset;
    if (early < before->until && late < before->until) return before->offset;
    if (early > before->until && late >= before->until) return before->next_offset;
    return early > late ? before->offset : before->next_offset;
}

int32_t pg_zone_offset_of_local(const struct pg_zone *z, int64_t local) {
    struct pg_zone_at before;
    pg_zone_at(z, local - 86400, &before);
    return offset_of_local(&before, local);
}

/* ---- words ---- */

bool pg_zone_word(str word, struct pg_zone_word *out) {
    static const struct {
        char name[8];
        int32_t offset;
        bool summer;
    } fixed[] = {
#define ABBREVIATION(name, offset, summer) {name, offset, summer},
#define CHANGING(name, zone)
#include "pg/zone_names.def"
    };
    static const struct {
        char name[8], zone[32];
    } changing[] = {
#define ABBREVIATION(name, offset, summer)
#define CHANGING(name, zone) {name, zone},
#include "pg/zone_names.def"
    };
    *out = (struct pg_zone_word){0};
    for (size_t i = 0; i < ARRAY_COUNT(fixed); i++) {
        if (!str_eqc(word, fixed[i].name)) continue;
        out->offset = fixed[i].offset, out->summer = fixed[i].summer;
        return true;
    }
    for (size_t i = 0; i < ARRAY_COUNT(changing); i++)
        if (str_eqc(word, changing[i].name)) return (out->zone = pg_zone_named(str_c(changing[i].zone))) != NULL;
    return false;
}

static int32_t pg_zone_word_offset(const struct pg_zone *z, const char *word, int64_t when) {
    const struct zone_type *found = NULL;
    for (uint32_t i = 0; i < z->times_count; i++) {
        const struct zone_type *t = &zone_types[z->types + zone_types_of[z->times + i]];
        if (found && zone_times[z->times + i] > when) break;
        if (!strcasecmp(text_at(t->name), word)) found = t;
    }
    struct pg_zone_at at;
    pg_zone_at(z, when, &at);
    return found ? found->offset : at.offset;
}

static str lower(str s, char *out, size_t n) {
    size_t k = MIN(s.n, n);
    for (size_t i = 0; i < k; i++) out[i] = (char)tolower(s.p[i]);
    return (str){(const uint8_t *)out, k};
}

bool pg_zone_given(struct pg_call *call, str text, struct pg_zone_given *out) {
    char small[64];
    struct pg_zone_word word;
    struct rule r;
    *out = (struct pg_zone_given){0};
    if (text.n < sizeof small) {
        if (pg_zone_word(lower(text, small, sizeof small), &word)) {
            out->zone = word.zone, out->offset = word.offset;
            if (word.zone) snprintf(out->word, sizeof out->word, STR_FMT, STR_ARG(text));
            return true;
        }
        if ((out->zone = pg_zone_named(text))) return true;
        snprintf(out->rule, sizeof out->rule, STR_FMT, STR_ARG(text));
        if (read_rule(out->rule, &r)) return true;
    }
    return pg_raise(call, "22023", "time zone \"" STR_FMT "\" not recognized", STR_ARG(text));
}

static void given_at(const struct pg_zone_given *g, int64_t when, struct pg_zone_at *out) {
    struct rule r;
    if (g->zone) pg_zone_at(g->zone, when, out);
    else if (g->rule[0] && read_rule(g->rule, &r)) at_rule(&r, when, out);
    else *out = (struct pg_zone_at){.offset = g->offset, .until = INT64_MAX};
}

int32_t pg_zone_given_offset(const struct pg_zone_given *g, int64_t when) {
    if (g->word[0]) return pg_zone_word_offset(g->zone, g->word, when);
    struct pg_zone_at at;
    given_at(g, when, &at);
    return at.offset;
}

int32_t pg_zone_given_offset_of_local(const struct pg_zone_given *g, int64_t local) {
    if (g->word[0]) return pg_zone_word_offset(g->zone, g->word, local - pg_zone_offset_of_local(g->zone, local));
    struct pg_zone_at before;
    given_at(g, local - 86400, &before);
    return offset_of_local(&before, local);
}

bool pg_zone_sane(struct pg_call *call, str text, struct pg_zone_given *out) {
    *out = (struct pg_zone_given){0};
    if (text.n && isdigit(text.p[0])) {
        pg_raise(call, "22023", "invalid input syntax for type numeric time zone: \"" STR_FMT "\"", STR_ARG(text));
        pg_raise_hint(call, "Numeric time zones must have \"-\" or \"+\" as first character.");
        return false;
    }
    if (!text.n || (text.p[0] != '-' && text.p[0] != '+')) return pg_zone_given(call, text, out);
    char copy[32];
    const char *p = copy + 1;
    snprintf(copy, sizeof copy, STR_FMT, STR_ARG(text));
    size_t digits = strspn(p, "0123456789");
    int32_t seconds;
    int all;
    if (digits > 2 && !p[digits] && read_number(&p, 9999, &all)) seconds = all / 100 * 3600 + all % 100 * 60;
    else if (!isdigit((unsigned char)*p) || !read_clock(&p, &seconds) || *p)
        return pg_raise(call, "22023", "time zone \"" STR_FMT "\" not recognized", STR_ARG(text));
    if (seconds >= 16 * 3600) return pg_raise(call, "22023", "numeric time zone \"" STR_FMT "\" out of range", STR_ARG(text));
    out->offset = copy[0] == '-' ? -seconds : seconds;
    return true;
}

/* ---- the session's ---- */

bool pg_zone_there(str name) { return pg_zone_named(name) != NULL; }

const struct pg_zone *pg_session_zone(struct pg_call *call) {
    struct pg_session *s = call->session;
    str name = s && s->time_zone.n ? s->time_zone : STR("UTC");
    if (s && s->zone && name.p == s->zone_name.p && name.n == s->zone_name.n) return s->zone;
    const struct pg_zone *z = pg_zone_named(name);
    if (!z) z = pg_zone_named(STR("UTC"));
    if (s) s->zone = z, s->zone_name = name;
    return z;
}

int64_t pg_stamp_local(struct pg_call *call, int64_t t) {
    struct pg_zone_at at;
    pg_zone_at(pg_session_zone(call), unix_of_stamp(t), &at);
    return t + at.offset * US_SECOND;
}

bool pg_stamp_utc(struct pg_call *call, int64_t local, int64_t *out) {
    int32_t offset = pg_zone_offset_of_local(pg_session_zone(call), unix_of_stamp(local));
    *out = local - offset * US_SECOND;
    return stamp_in_range(*out) || pg_stamp_out_of_range(call);
}
