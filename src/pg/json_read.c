/* json_read: JSON's text into a tree, and back. See jsons.h.
 *
 * Items of an open array or object stand on one stack, and are copied to their place when it ends: so what is read takes memory once.
 */
#include "pg/chars.h"
#include "pg/jsons.h"
#include <stdlib.h>

struct reader {
    struct pg_call *call;
    str s;
    size_t i;
    enum pj_as as;
    uint32_t depth, values;
    struct pj_member *stack;
    size_t stack_n, stack_cap;
};

/* ---- what is wrong with it ---- */

/* Of a word, as PostgreSQL's reader takes what is no JSON. */
static bool is_word(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
}

static bool wrong(struct reader *r) {
    size_t from = r->i, to;
    if (!pg_raised(r->call)) {
        pg_raise(r->call, "22P02", "invalid input syntax for type %s", "json");
        if (from >= r->s.n) {
            pg_raise_detail(r->call, "The input string ended unexpectedly.");
        } else {
            for (to = from; to < r->s.n && is_word(r->s.p[to]);) to++;
            pg_raise_detail(r->call, "Token \"%.*s\" is invalid.", (int)MIN(MAX(to - from, (size_t)1), (size_t)200),
                            (const char *)r->s.p + from);
        }
    }
    return false;
}

/* ---- scalars ---- */

static void skip_space(struct reader *r) {
    while (r->i < r->s.n && (r->s.p[r->i] == ' ' || r->s.p[r->i] == '\n' || r->s.p[r->i] == '\t' || r->s.p[r->i] == '\r')) r->i++;
}

static int hex4(str s, size_t at) {
    int v = 0;
    if (at + 4 > s.n) return -1;
    for (size_t i = at; i < at + 4; i++) {
        uint8_t c = s.p[i], l = c | 0x20;
        if (c >= '0' && c <= '9') v = v * 16 + c - '0';
        else if (l >= 'a' && l <= 'f') v = v * 16 + l - 'a' + 10;
        else return -1;
    }
    return v;
}

/* \uXXXX, and its other half; at: of the 'u'. Length read; 0: it is none. */
static size_t unicode(str s, size_t at, uint32_t *out) {
    int v = hex4(s, at + 1);
    if (v < 0) return 0;
    if (v >= 0xdc00 && v <= 0xdfff) return 0;
    *out = (uint32_t)v;
    if (v < 0xd800 || v > 0xdbff) return 5;
    int low = at + 6 < s.n && s.p[at + 5] == '\\' && s.p[at + 6] == 'u' ? hex4(s, at + 7) : -1;
    if (low < 0xdc00 || low > 0xdfff) return 0;
    *out = 0x10000 + (((uint32_t)v - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
    return 11;
}

/* raw is well-formed */
static str unescape(arena *mem, str raw) {
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    if (!raw.n || !memchr(raw.p, '\\', raw.n)) return raw;
    uint8_t *p = arena_alloc(mem, raw.n, 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n; i++) {
        uint32_t c;
        if (raw.p[i] != '\\' || i + 1 >= raw.n) {
            p[n++] = raw.p[i];
            continue;
        }
        const char *at = raw.p[++i] ? strchr(letters, raw.p[i]) : NULL;
        size_t k = raw.p[i] == 'u' ? unicode(raw, i, &c) : 0;
        if (k) n += pg_char_encode(c, p + n), i += k - 1;
        else p[n++] = at ? (uint8_t)values[at - letters] : raw.p[i];
    }
    return (str){p, n};
}

str pj_unescape(struct pg_call *call, str raw) { return unescape(call->mem, raw); }

/* r->i is after the opening quote; raw is what stands between the quotes. */
static bool read_string(struct reader *r, str *raw, bool *escaped) {
    size_t from = r->i;
    *escaped = false;
    for (; r->i < r->s.n && r->s.p[r->i] != '"'; r->i++) {
        uint32_t c;
        if (r->s.p[r->i] < 0x20) {
            pg_raise(r->call, "22P02", "invalid input syntax for type %s", "json");
            pg_raise_detail(r->call, "Character with value 0x%02x must be escaped.", r->s.p[r->i]);
            return false;
        }
        if (r->s.p[r->i] != '\\') continue;
        *escaped = true;
        if (++r->i >= r->s.n) return wrong(r);
        if (r->s.p[r->i] == 'u') {
            if (hex4(r->s, r->i + 1) == 0 && r->as == PJ_JSONB) {
                pg_raise(r->call, "22P05", "unsupported Unicode escape sequence");
                pg_raise_detail(r->call, "\\u0000 cannot be converted to text.");
                return false;
            }
            size_t k = unicode(r->s, r->i, &c);
            if (!k && (hex4(r->s, r->i + 1) < 0 || r->as == PJ_JSONB)) return wrong(r);
            r->i += k ? k - 1 : 4;
        } else if (!r->s.p[r->i] || !strchr("\"\\/bfnrt", r->s.p[r->i])) {
            pg_raise(r->call, "22P02", "invalid input syntax for type %s", "json");
            pg_raise_detail(r->call, "Escape sequence \"\\%.*s\" is invalid.", (int)pg_char_bytes(r->s, r->i),
                            (const char *)r->s.p + r->i);
            return false;
        }
    }
    *raw = str_sub(r->s, from, r->i - from);
    if (r->i >= r->s.n) return wrong(r);
    r->i++;
    return true;
}

static bool digits(struct reader *r) {
    size_t from = r->i;
    while (r->i < r->s.n && r->s.p[r->i] >= '0' && r->s.p[r->i] <= '9') r->i++;
    return r->i > from;
}

/* As numeric prints it. */
static bool canonical(struct reader *r, str *number, bool exponent) {
    struct db_value v;
    str s = *number;
    bool zero = s.p[0] == '-';
    for (size_t i = 1; i < s.n && zero && !exponent; i++) zero = s.p[i] == '0' || s.p[i] == '.';
    if (!exponent) {
        if (zero) *number = str_sub(s, 1, s.n);
        return true;
    }
    if (!pg_value_in(r->call, PG_NUMERIC, -1, s, &v)) return false;
    struct buf *b = pg_call_buf(r->call);
    if (!pg_value_out(r->call, PG_NUMERIC, v, b)) return false;
    *number = buf_str(b);
    return true;
}

static bool read_number(struct reader *r, struct pj *out) {
    size_t from = r->i;
    bool exponent = false;
    if (r->s.p[r->i] == '-') r->i++;
    if (r->i < r->s.n && r->s.p[r->i] == '0') r->i++;
    else if (!digits(r)) return r->i = from, wrong(r);
    if (r->i < r->s.n && r->s.p[r->i] == '.' && (r->i++, !digits(r))) return r->i = from, wrong(r);
    if (r->i < r->s.n && (r->s.p[r->i] | 0x20) == 'e') {
        exponent = true;
        r->i++;
        if (r->i < r->s.n && (r->s.p[r->i] == '+' || r->s.p[r->i] == '-')) r->i++;
        if (!digits(r)) return r->i = from, wrong(r);
    }
    if (r->i < r->s.n && is_word(r->s.p[r->i])) return r->i = from, wrong(r);
    out->kind = PJ_NUMBER;
    out->s = str_sub(r->s, from, r->i - from);
    return r->as == PJ_JSON || canonical(r, &out->s, exponent);
}

static bool read_word(struct reader *r, struct pj *out) {
    static const struct {
        str word;
        enum pj_kind kind;
    } words[] = {{STR_INIT("true"), PJ_TRUE}, {STR_INIT("false"), PJ_FALSE}, {STR_INIT("null"), PJ_NULL}};
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        str w = words[i].word;
        uint8_t after = r->i + w.n < r->s.n ? r->s.p[r->i + w.n] : ' ';
        if (!str_starts(str_sub(r->s, r->i, w.n), w) || is_word(after)) continue;
        r->i += w.n;
        out->kind = words[i].kind;
        return true;
    }
    return wrong(r);
}

/* ---- arrays and objects ---- */

static bool read_value(struct reader *r, struct pj *out);

static bool push(struct reader *r, str key, const struct pj *v) {
    if (r->stack_n == r->stack_cap) {
        size_t cap = MAX(r->stack_cap * 2, (size_t)32);
        struct pj_member *more = arena_array(r->call->mem, struct pj_member, cap);
        if (r->stack_n) memcpy(more, r->stack, r->stack_n * sizeof *more);
        r->stack = more;
        r->stack_cap = cap;
    }
    r->stack[r->stack_n++] = (struct pj_member){key, *v};
    return true;
}

static int by_key(const void *a, const void *b) {
    const struct pj_member *x = *(struct pj_member *const *)a, *y = *(struct pj_member *const *)b;
    if (x->key.n != y->key.n) return x->key.n < y->key.n ? -1 : 1;
    int c = x->key.n ? memcmp(x->key.p, y->key.p, x->key.n) : 0;
    return c ? c : (x > y) - (x < y); /* as they came */
}

void pj_sort(struct pg_call *call, struct pj *object) {
    bool sorted = true;
    for (uint32_t i = 1; i < object->n && sorted; i++) {
        const struct pj_member *a = &object->members[i - 1], *b = &object->members[i];
        sorted = a->key.n < b->key.n || (a->key.n == b->key.n && memcmp(a->key.p, b->key.p, a->key.n) < 0);
    }
    if (sorted) return;
    struct pj_member **at = arena_array(call->mem, struct pj_member *, object->n);
    struct pj_member *to = arena_array(call->mem, struct pj_member, object->n);
    uint32_t n = 0;
    for (uint32_t i = 0; i < object->n; i++) at[i] = &object->members[i];
    qsort(at, object->n, sizeof *at, by_key);
    for (uint32_t i = 0; i < object->n; i++) {
        if (n && str_eq(to[n - 1].key, at[i]->key)) n--;
        to[n++] = *at[i];
    }
    object->members = to;
    object->n = n;
}

static void take_items(struct reader *r, size_t from, struct pj *out) {
    out->n = (uint32_t)(r->stack_n - from);
    if (out->kind == PJ_OBJECT) {
        out->members = arena_array(r->call->mem, struct pj_member, out->n + 1);
        if (out->n) memcpy(out->members, r->stack + from, out->n * sizeof *out->members);
    } else {
        out->items = arena_array(r->call->mem, struct pj, out->n + 1);
        for (uint32_t i = 0; i < out->n; i++) out->items[i] = r->stack[from + i].v;
    }
    r->stack_n = from;
    if (out->kind == PJ_OBJECT && r->as == PJ_JSONB) pj_sort(r->call, out);
}

static bool read_key(struct reader *r, str *key) {
    bool escaped;
    skip_space(r);
    if (r->i >= r->s.n || r->s.p[r->i] != '"') return wrong(r);
    r->i++;
    if (!read_string(r, key, &escaped)) return false;
    if (escaped) *key = unescape(r->call->mem, *key);
    skip_space(r);
    if (r->i >= r->s.n || r->s.p[r->i] != ':') return wrong(r);
    r->i++;
    return true;
}

static bool read_items(struct reader *r, struct pj *out) {
    size_t from = r->stack_n;
    bool object = r->s.p[r->i++] == '{';
    uint8_t close = object ? '}' : ']';
    if (++r->depth > PJ_DEPTH_MAX) return pg_raise(r->call, "54001", "stack depth limit exceeded");
    skip_space(r);
    if (r->i < r->s.n && r->s.p[r->i] == close) {
        r->i++;
    } else {
        for (;;) {
            str key = {0};
            struct pj v;
            if (object && !read_key(r, &key)) return false;
            if (!read_value(r, &v)) return false;
            push(r, key, &v);
            skip_space(r);
            if (r->i >= r->s.n || (r->s.p[r->i] != ',' && r->s.p[r->i] != close)) return wrong(r);
            if (r->s.p[r->i++] == close) break;
        }
    }
    r->depth--;
    out->kind = object ? PJ_OBJECT : PJ_ARRAY;
    take_items(r, from, out);
    return true;
}

static bool read_value(struct reader *r, struct pj *out) {
    bool ok, escaped = false;
    *out = (struct pj){0};
    skip_space(r);
    if (r->i >= r->s.n) return wrong(r);
    if (++r->values > PJ_VALUES_MAX)
        return pg_raise(r->call, "54000", "JSON of more than %d values is not supported on SQLite", PJ_VALUES_MAX);
    size_t from = r->i;
    uint8_t c = r->s.p[r->i];
    if (c == '{' || c == '[') {
        ok = read_items(r, out);
    } else if (c == '"') {
        r->i++;
        out->kind = PJ_STRING;
        ok = read_string(r, &out->s, &escaped);
        if (ok && escaped) out->s = unescape(r->call->mem, out->s);
    } else {
        ok = c == '-' || (c >= '0' && c <= '9') ? read_number(r, out) : read_word(r, out);
    }
    out->from = (uint32_t)from;
    out->to = (uint32_t)r->i;
    return ok && pg_call_works(r->call, 20);
}

bool pj_read(struct pg_call *call, str text, enum pj_as as, struct pj *out) {
    struct reader r = {.call = call, .s = text, .as = as};
    if (text.n > 2ull * PG_VALUE_BYTES_MAX)
        return pg_raise(call, "54000", "a value would be larger than %d MiB", PG_VALUE_BYTES_MAX >> 20);
    if (!read_value(&r, out)) return false;
    skip_space(&r);
    return r.i == text.n || wrong(&r);
}

/* ---- writing ---- */

void pj_put_string(struct buf *b, str s) {
    static const char letters[] = "\"\\\b\f\n\r\t", names[] = "\"\\bfnrt";
    size_t from = 0;
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] >= 0x20 && s.p[i] != '"' && s.p[i] != '\\') continue;
        const char *at = s.p[i] ? strchr(letters, s.p[i]) : NULL;
        buf_put(b, s.p + from, i - from);
        if (at) buf_putc(b, '\\'), buf_putc(b, (uint8_t)names[at - letters]);
        else buf_printf(b, "\\u%04x", s.p[i]);
        from = i + 1;
    }
    if (from < s.n) buf_put(b, s.p + from, s.n - from);
    buf_putc(b, '"');
}

static void put_scalar(struct buf *b, const struct pj *v) {
    if (v->kind == PJ_NULL) buf_puts(b, STR("null"));
    else if (v->kind == PJ_TRUE) buf_puts(b, STR("true"));
    else if (v->kind == PJ_FALSE) buf_puts(b, STR("false"));
    else if (v->kind == PJ_NUMBER) buf_puts(b, v->s);
    else pj_put_string(b, v->s);
}

void pj_put(struct buf *b, const struct pj *v) {
    if (v->kind != PJ_ARRAY && v->kind != PJ_OBJECT) {
        put_scalar(b, v);
        return;
    }
    bool object = v->kind == PJ_OBJECT;
    buf_putc(b, object ? '{' : '[');
    for (uint32_t i = 0; i < v->n; i++) {
        if (i) buf_puts(b, STR(", "));
        if (object) pj_put_string(b, v->members[i].key), buf_puts(b, STR(": "));
        pj_put(b, object ? &v->members[i].v : &v->items[i]);
    }
    buf_putc(b, object ? '}' : ']');
}

static void line(struct buf *b, uint32_t level) {
    buf_putc(b, '\n');
    for (uint32_t i = 0; i < level; i++) buf_puts(b, STR("    "));
}

static void pretty(struct buf *b, const struct pj *v, uint32_t level) {
    bool object = v->kind == PJ_OBJECT;
    if (v->kind != PJ_ARRAY && !object) {
        put_scalar(b, v);
        return;
    }
    buf_putc(b, object ? '{' : '[');
    for (uint32_t i = 0; i < v->n && !b->full; i++) {
        if (i) buf_putc(b, ',');
        line(b, level + 1);
        if (object) pj_put_string(b, v->members[i].key), buf_puts(b, STR(": "));
        pretty(b, object ? &v->members[i].v : &v->items[i], level + 1);
    }
    line(b, level);
    buf_putc(b, object ? '}' : ']');
}
void pj_pretty(struct buf *b, const struct pj *v) { pretty(b, v, 0); }

struct db_value pj_text(struct pg_call *call, const struct pj *v) {
    struct buf *b = pg_call_buf(call);
    pj_put(b, v);
    return pg_call_built(call, b);
}

/* ---- order ---- */

struct pj_member *pj_find(const struct pj *object, str key) {
    uint32_t low = 0, high = object->kind == PJ_OBJECT ? object->n : 0;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        str has = object->members[middle].key;
        int c = has.n != key.n ? (has.n < key.n ? -1 : 1) : has.n ? memcmp(has.p, key.p, has.n) : 0;
        if (!c) return &object->members[middle];
        if (c < 0) low = middle + 1;
        else high = middle;
    }
    return NULL;
}

static int rank(const struct pj *v) { return v->kind == PJ_TRUE ? PJ_FALSE : (int)v->kind; }

static int compare_numbers(str a, str b) {
    if (str_eq(a, b)) return 0;
    return pg_numeric_compare_text(a, b);
}

static int compare_within(const struct pj *a, const struct pj *b) {
    if (rank(a) != rank(b)) return rank(a) < rank(b) ? -1 : 1;
    switch (a->kind) {
    case PJ_STRING: return str_cmp(a->s, b->s);
    case PJ_NUMBER: return compare_numbers(a->s, b->s);
    case PJ_TRUE:
    case PJ_FALSE: return (a->kind > b->kind) - (a->kind < b->kind);
    case PJ_ARRAY:
    case PJ_OBJECT: break;
    case PJ_NULL: return 0;
    }
    if (a->n != b->n) return a->n < b->n ? -1 : 1;
    for (uint32_t i = 0; i < a->n; i++) {
        int c = a->kind == PJ_OBJECT ? str_cmp(a->members[i].key, b->members[i].key) : 0;
        if (!c)
            c = a->kind == PJ_OBJECT ? compare_within(&a->members[i].v, &b->members[i].v)
                                     : compare_within(&a->items[i], &b->items[i]);
        if (c) return c;
    }
    return 0;
}

/* A scalar document is an array of one to PostgreSQL: less than another array of one, more than an empty one. */
static int compare(const struct pj *a, const struct pj *b) {
    bool x = a->kind < PJ_ARRAY, y = b->kind < PJ_ARRAY;
    if (x == y || a->kind == PJ_OBJECT || b->kind == PJ_OBJECT) return compare_within(a, b);
    uint32_t n = x ? 1 : a->n, m = y ? 1 : b->n;
    if (n != m) return n < m ? -1 : 1;
    return x ? -1 : 1;
}
bool pj_equal(const struct pj *a, const struct pj *b) { return compare_within(a, b) == 0; }

/* What is no JSON (no jsonb of ours is) is less than what is, and in order of its bytes. */
int pg_jsonb_compare(str a, str b) {
    if (str_eq(a, b)) return 0;
    struct pg_error error = {0};
    struct pg_call call = {.mem = arena_new(0), .error = &error};
    struct pj x, y;
    bool left = pj_read(&call, a, PJ_JSONB, &x);
    error.set = false;
    bool right = pj_read(&call, b, PJ_JSONB, &y);
    int c = left && right ? compare(&x, &y) : left != right ? (left ? 1 : -1) : str_cmp(a, b);
    arena_free(call.mem);
    return c;
}

/* ---- without a tree ---- */

static size_t blank(str s, size_t i) {
    while (i < s.n && (s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\t' || s.p[i] == '\r')) i++;
    return i;
}

static size_t string_end(str s, size_t i) { /* i: after the opening quote */
    for (;;) {
        const uint8_t *p = i < s.n ? memchr(s.p + i, '"', s.n - i) : NULL;
        if (!p) return s.n;
        size_t at = (size_t)(p - s.p), slashes = 0;
        while (at - slashes > i && s.p[at - slashes - 1] == '\\') slashes++;
        if (slashes % 2 == 0) return at;
        i = at + 1;
    }
}

static size_t value_end(str s, size_t i) {
    size_t depth = 0;
    for (; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '"') i = string_end(s, i + 1);
        else if (c == '{' || c == '[') depth++;
        else if (c == '}' || c == ']') {
            if (!depth) return i;
            if (!--depth) return i + 1;
            continue;
        } else if (!depth && (c == ',' || c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == ':')) return i;
        if (!depth && c == '"') return MIN(i + 1, s.n);
    }
    return s.n;
}

enum pj_kind pj_kind_of(str value) {
    size_t i = blank(value, 0);
    switch (i < value.n ? value.p[i] : 'n') {
    case '{': return PJ_OBJECT;
    case '[': return PJ_ARRAY;
    case '"': return PJ_STRING;
    case 't': return PJ_TRUE;
    case 'f': return PJ_FALSE;
    case 'n': return PJ_NULL;
    default: return PJ_NUMBER;
    }
}

bool pj_walk_begin(struct pj_walk *w, str s, bool object) {
    size_t i = blank(s, 0);
    *w = (struct pj_walk){.s = s, .i = i + 1, .object = object, .first = true};
    return i < s.n && s.p[i] == (object ? '{' : '[');
}

bool pj_walk_next(struct pj_walk *w, str *key, str *value) {
    str s = w->s;
    size_t i = blank(s, w->i);
    if (!w->first && i < s.n && s.p[i] == ',') i = blank(s, i + 1);
    w->first = false;
    if (i >= s.n || s.p[i] == '}' || s.p[i] == ']') return false;
    if (w->object) {
        size_t end = s.p[i] == '"' ? string_end(s, i + 1) : s.n;
        *key = str_sub(s, i + 1, end - i - 1);
        i = blank(s, MIN(end + 1, s.n));
        if (i >= s.n || s.p[i] != ':') return false;
        i = blank(s, i + 1);
    }
    size_t end = value_end(s, i);
    *value = str_sub(s, i, end - i);
    if (end == i) return false;
    w->i = end;
    return true;
}
