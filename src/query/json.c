/* json: a reader that keeps the text of what it reads (RFC 8259). base/json.h's makes doubles of numbers, which a numeric column would not get back;
 * here a number is its text, and so is a document that a json column takes.
 *
 * 1. Levels, values and bytes are counted as they come; nothing is allocated that the text did not pay for.
 * 2. A string is well-formed UTF-8 without NUL, as PostgreSQL's text is.
 */
#include "query/query_int.h"
#include <stdio.h>

struct reader {
    arena *out;
    str text;
    size_t at;
    uint32_t depth, values;
    struct pg_error *error;
};

static bool bad(struct reader *r, const char *what) {
    uint32_t line = 1, column = 1;
    for (size_t i = 0; i < r->at && i < r->text.n; i++)
        column = r->text.p[i] == '\n' ? (line++, 1u) : column + ((r->text.p[i] & 0xc0) != 0x80);
    query_fail(r->error, "PGRST102", "Empty or invalid json");
    query_fail_detail(r->error, "line %u, column %u: %s", line, column, what);
    return false;
}

static int peek(const struct reader *r) { return r->at < r->text.n ? r->text.p[r->at] : -1; }

static void blanks(struct reader *r) {
    while (r->at < r->text.n && strchr(" \t\r\n", r->text.p[r->at]) && r->text.p[r->at]) r->at++;
}

static bool word(struct reader *r, const char *w) {
    size_t n = strlen(w);
    if (r->text.n - r->at < n || memcmp(r->text.p + r->at, w, n)) return bad(r, "a value is missing");
    r->at += n;
    return true;
}

/* ---- numbers ---- */

static size_t digits(struct reader *r) {
    size_t from = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    return r->at - from;
}

static bool number(struct reader *r) {
    if (peek(r) == '-') r->at++;
    bool zero = peek(r) == '0';
    size_t n = digits(r);
    if (!n || (zero && n > 1)) return bad(r, "no number");
    if (peek(r) == '.') {
        r->at++;
        if (!digits(r)) return bad(r, "no number");
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-') r->at++;
        if (!digits(r)) return bad(r, "no number");
    }
    return true;
}

/* ---- strings ---- */

static bool hex4(struct reader *r, uint32_t *out) {
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int c = peek(r);
        int v = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (v < 0) return bad(r, "no four hexadecimal digits behind \\u");
        *out = *out << 4 | (uint32_t)v;
        r->at++;
    }
    return true;
}

static size_t utf8_put(uint8_t *to, uint32_t c) {
    if (c < 0x80) return to[0] = (uint8_t)c, 1;
    if (c < 0x800) return to[0] = (uint8_t)(0xc0 | c >> 6), to[1] = (uint8_t)(0x80 | (c & 63)), 2;
    if (c < 0x10000)
        return to[0] = (uint8_t)(0xe0 | c >> 12), to[1] = (uint8_t)(0x80 | (c >> 6 & 63)), to[2] = (uint8_t)(0x80 | (c & 63)), 3;
    to[0] = (uint8_t)(0xf0 | c >> 18), to[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    to[2] = (uint8_t)(0x80 | (c >> 6 & 63)), to[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

static bool code_point(struct reader *r, uint32_t *c) {
    uint32_t low;
    if (!hex4(r, c)) return false;
    if (!*c) return bad(r, "\\u0000 cannot be converted to text");
    if (*c < 0xd800 || *c > 0xdfff) return true;
    if (*c > 0xdbff || peek(r) != '\\') return bad(r, "half a surrogate pair");
    r->at++;
    if (peek(r) != 'u') return bad(r, "half a surrogate pair");
    r->at++;
    if (!hex4(r, &low)) return false;
    if (low < 0xdc00 || low > 0xdfff) return bad(r, "half a surrogate pair");
    *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
    return true;
}

static bool escape(struct reader *r, uint8_t *to, size_t *n) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    int c = peek(r);
    const char *at = c > 0 ? strchr(from, c) : NULL;
    r->at++;
    if (at) return to[(*n)++] = (uint8_t)into[at - from], true;
    uint32_t point;
    if (c != 'u') return bad(r, "no such escape");
    if (!code_point(r, &point)) return false;
    *n += utf8_put(to + *n, point);
    return true;
}

static bool string(struct reader *r, str *out) {
    size_t from = ++r->at, n = 0;
    bool plain = true;
    while (peek(r) >= 0 && peek(r) != '"') {
        if (peek(r) < 0x20) return bad(r, "a control character in a string");
        if (peek(r) == '\\') plain = false, r->at++;
        r->at++;
    }
    if (peek(r) < 0) return r->at = r->text.n, bad(r, "a string has no end");
    str inside = {r->text.p + from, r->at - from};
    size_t end = r->at + 1;
    if (!str_is_utf8(inside)) return bad(r, "no UTF-8");
    if (plain) return *out = inside, r->at = end, true;
    uint8_t *to = arena_alloc(r->out, inside.n + 1, 1);
    for (r->at = from; r->at + 1 < end;) {
        if (peek(r) != '\\') to[n++] = r->text.p[r->at++];
        else if (r->at++, !escape(r, to, &n)) return false;
    }
    *out = (str){to, n};
    r->at = end;
    return true;
}

/* ---- what nests ---- */

static bool value(struct reader *r, struct query_json *v);

static bool comma(struct reader *r, char close, bool *more) {
    blanks(r);
    *more = peek(r) == ',';
    if (!*more && peek(r) != close) return bad(r, "a comma or the end of the list is missing");
    r->at++;
    blanks(r);
    return true;
}

static bool array(struct reader *r, struct query_json *v) {
    VEC(struct query_json) items = {0};
    r->at++;
    blanks(r);
    bool more = peek(r) != ']';
    if (!more) r->at++;
    while (more) {
        struct query_json item = {0};
        if (!value(r, &item)) return false;
        vec_push(r->out, &items, item);
        if (!comma(r, ']', &more)) return false;
    }
    v->n = items.n;
    v->items = items.p;
    return true;
}

static bool object(struct reader *r, struct query_json *v) {
    VEC(struct query_json_member) members = {0};
    r->at++;
    blanks(r);
    bool more = peek(r) != '}';
    if (!more) r->at++;
    while (more) {
        struct query_json_member m = {0};
        if (peek(r) != '"') return bad(r, "a key is missing");
        if (!string(r, &m.key)) return false;
        blanks(r);
        if (peek(r) != ':') return bad(r, "a colon is missing");
        r->at++;
        if (!value(r, &m.v)) return false;
        vec_push(r->out, &members, m);
        if (!comma(r, '}', &more)) return false;
    }
    v->n = members.n;
    v->members = members.p;
    return true;
}

static bool nested(struct reader *r, struct query_json *v) {
    if (++r->depth > QUERY_DEPTH_MAX) return query_fail(r->error, "54001", "JSON of more than %d levels", QUERY_DEPTH_MAX);
    bool ok = v->kind == JSON_KIND_ARRAY ? array(r, v) : object(r, v);
    r->depth--;
    return ok;
}

static bool value(struct reader *r, struct query_json *v) {
    blanks(r);
    if (++r->values > QUERY_VALUES_MAX) return query_fail(r->error, "54000", "JSON of more than %d values", QUERY_VALUES_MAX);
    size_t from = r->at;
    bool ok;
    *v = (struct query_json){0};
    switch (peek(r)) {
    case '{': v->kind = JSON_KIND_OBJECT, ok = nested(r, v); break;
    case '[': v->kind = JSON_KIND_ARRAY, ok = nested(r, v); break;
    case '"': v->kind = JSON_KIND_STR, ok = string(r, &v->s); break;
    case 't': v->kind = JSON_KIND_BOOL, v->b = true, ok = word(r, "true"); break;
    case 'f': v->kind = JSON_KIND_BOOL, ok = word(r, "false"); break;
    case 'n': v->kind = JSON_KIND_NULL, ok = word(r, "null"); break;
    default: v->kind = JSON_KIND_F64, ok = number(r); break;
    }
    v->raw = (str){r->text.p + from, r->at - from};
    return ok;
}

bool query_json_read(arena *out, str text, struct query_json *v, struct pg_error *error) {
    struct reader r = {out, text, 0, 0, 0, error};
    if (text.n > QUERY_BYTES_MAX) return query_fail(error, "54000", "a request of more than %d bytes", QUERY_BYTES_MAX);
    if (!value(&r, v)) return false;
    blanks(&r);
    return r.at == text.n || bad(&r, "something follows");
}

const struct query_json *query_json_get(const struct query_json *o, const char *key) {
    if (!o || o->kind != JSON_KIND_OBJECT) return NULL;
    for (uint32_t i = o->n; i--;)
        if (str_eqc(o->members[i].key, key)) return &o->members[i].v;
    return NULL;
}
