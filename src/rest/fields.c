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
    str type, of /* for= of a plan */, options;
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

/* Up to a byte that stands outside of quotes. */
static str cut(str *s, uint8_t at) {
    size_t n = 0;
    for (bool quoted = false; n < s->n && (quoted || s->p[n] != at); n++) quoted ^= s->p[n] == '"';
    str before = str_sub(*s, 0, n);
    *s = str_sub(*s, MIN(n + 1, s->n), s->n);
    return before;
}

static struct range range_of(str one, uint32_t at) {
    struct range r = {.quality = 1000, .at = at};
    str name, value;
    r.type = str_trim(cut(&one, ';'));
    while (one.n) {
        str_cut(str_trim(cut(&one, ';')), '=', &name, &value);
        name = str_trim(name), value = unquoted(str_trim(value));
        if (str_eq_nocase(name, STR("nulls"))) r.stripped = str_eqc(value, "stripped");
        if (str_eq_nocase(name, STR("q"))) r.quality = quality_of(value);
        if (str_eq_nocase(name, STR("for"))) r.of = value;
        if (str_eq_nocase(name, STR("options"))) r.options = value;
    }
    return r;
}

static const struct {
    const char *name, *type;
    bool stripped, sure;
} media[] = {
#define X(name, stripped, type, sure) {name, type, stripped, sure},
#include "rest/media.def"
};

/* What is asked for by that name: a type of ours, or one of the app's own, as it was sent. */
static str type_of(const struct range *r, bool *sure) {
    const char *found = NULL;
    *sure = false;
    for (size_t i = 0; i < ARRAY_COUNT(media); i++) {
        if (!str_eq_nocase(r->type, str_c(media[i].name)) || (media[i].stripped && !r->stripped)) continue;
        found = media[i].type; /* the last one: it says more */
        *sure = media[i].sure;
    }
    return found ? str_c(found) : r->type;
}

static int by_quality(const void *a, const void *b) {
    const struct range *x = a, *y = b;
    return x->quality != y->quality ? y->quality - x->quality : x->at < y->at ? -1 : 1;
}

typedef VEC(struct range) ranges;
static ranges ranges_of(arena *out, const struct rest_request *rq) {
    ranges all = {0};
    bool there;
    str accept = rest_field_of(rq, "accept", &there);
    if (!there || !str_trim(accept).n) accept = STR("*/*");
    while (accept.n && all.n < QUERY_ACCEPTS_MAX) {
        struct range r = range_of(cut(&accept, ','), all.n);
        if (r.type.n) vec_push(out, &all, r);
    }
    if (all.n) qsort(all.p, all.n, sizeof *all.p, by_quality);
    return all;
}

static bool none_of(const ranges *all, struct pg_error *error) {
    struct buf said = {0};
    for (uint32_t i = 0; i < all->n; i++)
        buf_printf(&said, "%s" STR_FMT, i ? ", " : "", STR_ARG(str_sub(all->p[i].type, 0, 100)));
    rest_fail(error, "PGRST107", "None of these media types are available: " STR_FMT, STR_ARG(buf_str(&said)));
    buf_free(&said);
    return false;
}

static bool describes(const ranges *all, struct pg_error *error) {
    static const char *const names[] = {"application/openapi+json", "application/json", "*/*"};
    for (uint32_t i = 0; i < all->n; i++)
        for (size_t k = 0; k < ARRAY_COUNT(names); k++)
            if (str_eq_nocase(all->p[i].type, str_c(names[k]))) return true;
    return none_of(all, error);
}

/* application/vnd.pgrst.plan[+json|+text]; for="type"; options=analyze|verbose */
static bool take_plan(arena *out, const struct range *r, struct rest_plan *plan, struct query *q, str *of) {
    static const char *const options[] = {
#define X(id, name) name,
        QUERY_EXPLAIN_OPTIONS(X)
#undef X
    };
    bool json = str_eq_nocase(r->type, STR("application/vnd.pgrst.plan+json")), sure;
    if (!json && !str_eq_nocase(r->type, STR("application/vnd.pgrst.plan")) &&
        !str_eq_nocase(r->type, STR("application/vnd.pgrst.plan+text")))
        return false;
    struct range inner = range_of(r->of.n ? r->of : STR("application/json"), 0);
    struct buf b = {0};
    *of = type_of(&inner, &sure);
    q->explain = json ? QUERY_EXPLAIN_JSON : QUERY_EXPLAIN_TEXT;
    buf_printf(&b, "application/vnd.pgrst.plan+%s; for=\"" STR_FMT "\"", json ? "json" : "text", STR_ARG(*of));
    for (size_t i = 0; i < ARRAY_COUNT(options); i++) {
        str left = r->options;
        while (left.n) {
            if (!str_eqc(cut(&left, '|'), options[i]) || q->explain_options & 1u << i) continue;
            buf_printf(&b, "%s%s", q->explain_options ? "|" : "; options=", options[i]);
            q->explain_options |= 1u << i;
        }
    }
    buf_puts(&b, STR("; charset=utf-8"));
    plan->media = arena_str(out, buf_str(&b));
    buf_free(&b);
    return true;
}

/* Of a function that stands for that document: its JSON, which is told as what was asked for. */
static bool root_media(const ranges *all, struct rest_plan *plan, struct query *q, str *types, struct pg_error *error) {
    if (!describes(all, error)) return false;
    plan->root = false;
    for (uint32_t i = 0; i < all->n && !plan->root; i++) {
        plan->root = str_eq_nocase(all->p[i].type, STR("application/openapi+json")) || str_eqc(all->p[i].type, "*/*");
        if (str_eq_nocase(all->p[i].type, STR("application/json"))) break;
    }
    types[q->accept_count++] = STR("application/json");
    q->accept = types;
    return true;
}

bool rest_media_of(arena *out, const struct rest_request *rq, const struct rest_options *o, struct rest_plan *plan,
                   struct query *q, struct pg_error *error) {
    ranges all = ranges_of(out, rq);
    str *types = arena_array(out, str, all.n + 1);
    bool sure = false;
    if (plan->root) return root_media(&all, plan, q, types, error);
    if (plan->action == REST_DESCRIBE) return describes(&all, error);
    for (uint32_t i = 0; i < all.n && !sure; i++) {
        sure = o->explains && take_plan(out, &all.p[i], plan, q, &types[q->accept_count]);
        if (!sure) types[q->accept_count] = type_of(&all.p[i], &sure);
        if (types[q->accept_count].n <= 256 && str_is_utf8(types[q->accept_count])) q->accept_count++;
    }
    q->accept = types;
    return q->accept_count || none_of(&all, error);
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
