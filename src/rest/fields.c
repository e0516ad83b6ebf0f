/* fields: what a request's header fields ask for: preferences (RFC 7240), media types (RFC 9110, 12.5.1). */
#include "rest/rest_int.h"
#include <stdlib.h>

/* ---- Prefer ---- */

enum { TIME_ZONE_MAX = 100 };

static str unquoted(str s) { return s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"' ? str_sub(s, 1, s.n - 2) : s; }

/* The place of value among words, from 1; 0: none of them. */
static uint8_t word_of(str value, const char *const *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (str_eqc(value, words[i])) return (uint8_t)(i + 1);
    return 0;
}

static bool is_digits(str s) {
    uint64_t v;
    return s.n && s.n < 19 && str_to_u64(s, &v);
}

/* One preference. False: it means nothing. The first of a name counts. */
static bool take(struct rest_prefer *p, str one, bool undo) {
    str name, value;
    if (!str_cut(one, '=', &name, &value)) return false;
    if (str_eqc(name, "timezone")) {
        if (!p->time_zone.n && value.n <= TIME_ZONE_MAX) p->time_zone = value;
        return value.n && value.n <= TIME_ZONE_MAX;
    }
    if (str_eqc(name, "max-affected")) {
        if (!p->max_affected.n && is_digits(value)) p->max_affected = value;
        return true;
    }
#define P(member, named, ...)                                                                                                    \
    if (str_eqc(name, named)) {                                                                                                  \
        static const char *const words[] = {__VA_ARGS__};                                                                        \
        uint8_t at = word_of(value, words, ARRAY_COUNT(words));                                                                  \
        if (at && !p->member) p->member = at;                                                                                    \
        return at;                                                                                                               \
    }
#include "rest/prefer.def"
#undef P
    (void)undo;
    return false;
}

bool rest_prefer_of(arena *out, const struct rest_request *rq, bool undo, struct rest_prefer *p, struct pg_error *error) {
    struct buf unknown = {0};
    *p = (struct rest_prefer){0};
    for (uint32_t i = 0; i < rq->fields_count; i++) {
        str left = rq->fields[i].value, one;
        if (!str_eq_nocase(rq->fields[i].name, STR("prefer"))) continue;
        while (left.n) {
            str_cut(left, ',', &one, &left);
            one = str_trim(one);
            if (!one.n || take(p, one, undo)) continue;
            if (unknown.n) buf_puts(&unknown, STR(", "));
            buf_puts(&unknown, str_sub(one, 0, 100));
            if (unknown.n > 400) break;
        }
    }
    p->unknown = arena_str(out, buf_str(&unknown));
    buf_free(&unknown);
    if (!undo) p->tx = 0;
    (void)error;
    return true;
}

/* ---- Cookie ---- */

str rest_cookies(arena *out, const struct rest_request *rq) {
    bool there;
    struct buf b = {0};
    str left = rest_field_of(rq, "cookie", &there), one, name, value;
    if (!there || !str_is_utf8(left)) return (str){0};
    struct json_writer w = json_writer_of(&b);
    json_put_object(&w, NULL);
    while (left.n) {
        str_cut(left, ';', &one, &left);
        if (str_cut(str_trim(one), '=', &name, &value) && name.n) json_put_str(&w, arena_cstr(out, name), unquoted(value));
    }
    json_put_end(&w);
    str s = arena_str(out, buf_str(&b));
    buf_free(&b);
    return s;
}

/* ---- Accept ---- */

struct range { /* type;parameters */
    str type;
    bool stripped;
    int quality; /* thousandths */
    uint32_t at;
};

static int quality_of(str s) {
    char text[8];
    s = str_sub(s, 0, sizeof text - 1);
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    double q = strtod(text, NULL);
    return q >= 0 && q <= 1 ? (int)(q * 1000) : 1000;
}

static struct range range_of(str one, uint32_t at) {
    struct range r = {.quality = 1000, .at = at};
    str parameter, name, value;
    str_cut(one, ';', &r.type, &one);
    r.type = str_trim(r.type);
    while (one.n) {
        str_cut(one, ';', &parameter, &one);
        str_cut(str_trim(parameter), '=', &name, &value);
        name = str_trim(name), value = unquoted(str_trim(value));
        if (str_eq_nocase(name, STR("nulls"))) r.stripped = str_eqc(value, "stripped");
        if (str_eq_nocase(name, STR("q"))) r.quality = quality_of(value);
    }
    return r;
}

static const struct {
    const char *name;
} media[] = {
#define X(id, name, type, charset) {name},
#include "rest/media.def"
#undef X
};

static bool media_of(const struct range *r, bool describes, enum rest_media *to) {
    for (int i = 0; i < REST_MEDIA_COUNT; i++) {
        if (!media[i].name[0] || !str_eq_nocase(r->type, str_c(media[i].name))) continue;
        *to = (enum rest_media)i;
        if (describes) {
            if (i != REST_JSON && i != REST_ANY && i != REST_OPENAPI) return false;
            *to = REST_OPENAPI;
        } else if (i == REST_OPENAPI) return false;
        if (r->stripped && (i == REST_ARRAY || i == REST_ARRAY_SHORT)) *to = REST_ARRAY_STRIPPED;
        if (r->stripped && (i == REST_OBJECT || i == REST_OBJECT_SHORT)) *to = REST_OBJECT_STRIPPED;
        return true;
    }
    return false;
}

static int by_quality(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    return x->quality != y->quality ? y->quality - x->quality : x->at < y->at ? -1 : 1;
}

bool rest_media_of(arena *out, const struct rest_request *rq, bool describes, enum rest_media *to, struct pg_error *error) {
    VEC(struct range) ranges = {0};
    struct buf said = {0};
    bool there;
    str accept = rest_field_of(rq, "accept", &there), one;
    if (!there || !str_trim(accept).n) accept = STR("*/*");
    while (accept.n && ranges.n < 64) {
        str_cut(accept, ',', &one, &accept);
        struct range r = range_of(one, ranges.n);
        if (r.type.n) vec_push(out, &ranges, r);
    }
    if (ranges.n) qsort(ranges.p, ranges.n, sizeof *ranges.p, by_quality);
    for (uint32_t i = 0; i < ranges.n; i++) {
        if (media_of(&ranges.p[i], describes, to)) return true;
        buf_printf(&said, "%s" STR_FMT, i ? ", " : "", STR_ARG(str_sub(ranges.p[i].type, 0, 100)));
    }
    rest_fail(error, "PGRST107", "None of these media types are available: " STR_FMT, STR_ARG(buf_str(&said)));
    buf_free(&said);
    return false;
}

/* ---- Content-Type ---- */

enum rest_content rest_content_of(str type) {
    static const struct {
        const char *type;
        enum rest_content is;
    } rows[] = {{"application/json", REST_IN_JSON},
                {"application/vnd.pgrst.array+json", REST_IN_JSON},
                {"application/vnd.pgrst.array", REST_IN_JSON},
                {"text/csv", REST_IN_CSV},
                {"application/x-www-form-urlencoded", REST_IN_FORM},
                {"text/plain", REST_IN_TEXT},
                {"text/xml", REST_IN_XML},
                {"application/octet-stream", REST_IN_BYTES}};
    str name, parameters;
    str_cut(type, ';', &name, &parameters);
    name = str_trim(name);
    if (!name.n) return REST_IN_JSON;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++)
        if (str_eq_nocase(name, str_c(rows[i].type))) return rows[i].is;
    return REST_IN_OTHER;
}
