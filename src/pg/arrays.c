/* arrays: storage, text and JSON forms, and their order. See arrays.h. */
#include "pg/arrays.h"
#include "pg/jsons.h"
#include <math.h>
#include <stdlib.h>

/* ---- storage ---- */

static void put_hex(struct buf *b, str s) {
    static const char digits[] = "0123456789abcdef";
    buf_reserve(b, 2 * s.n + 2);
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) buf_put(b, (char[]){digits[s.p[i] >> 4], digits[s.p[i] & 15]}, 2);
    buf_putc(b, '"');
}

void pg_array_put_item(struct buf *b, struct db_value v) {
    switch (v.kind) {
    case DB_INTEGER: buf_i64(b, v.i); return;
    case DB_REAL:
        if (isinf(v.f)) buf_puts(b, v.f < 0 ? STR("-1e999") : STR("1e999"));
        else buf_printf(b, v.f == floor(v.f) && fabs(v.f) < 1e15 ? "%.1f" : "%.17g", v.f);
        return;
    case DB_TEXTUAL: pj_put_string(b, v.s); return;
    case DB_BYTES: put_hex(b, v.s); return;
    case DB_NULL: buf_puts(b, STR("null")); return;
    }
}

struct pg_array_writer pg_array_write(struct pg_call *call) {
    struct pg_array_writer w = {.call = call, .b = pg_call_buf(call)};
    buf_putc(w.b, '[');
    return w;
}
void pg_array_put(struct pg_array_writer *w, struct db_value v) {
    if (w->n++) buf_putc(w->b, ',');
    pg_array_put_item(w->b, v);
    if (w->n == PG_ARRAY_ITEMS_MAX) pg_raise(w->call, "54000", "array size exceeds the maximum allowed (%d)", PG_ARRAY_ITEMS_MAX);
    (void)pg_call_works(w->call, 10);
}
struct db_value pg_array_done(struct pg_array_writer *w) {
    buf_putc(w->b, ']');
    return pg_call_built(w->call, w->b);
}

static void put_dimension(struct buf *b, const struct pg_array *a, uint32_t d, uint32_t *at) {
    buf_putc(b, '[');
    for (uint32_t i = 0; d < PG_ARRAY_DIMENSIONS_MAX && i < a->size[d]; i++) {
        if (i) buf_putc(b, ',');
        if (d + 1 < a->dimensions) put_dimension(b, a, d + 1, at);
        else pg_array_put_item(b, a->items[(*at)++]);
    }
    buf_putc(b, ']');
}

struct db_value pg_array_stored(struct pg_call *call, const struct pg_array *a) {
    struct buf *b = pg_call_buf(call);
    uint32_t at = 0;
    if (a->n > PG_ARRAY_ITEMS_MAX) {
        pg_raise(call, "54000", "array size exceeds the maximum allowed (%d)", PG_ARRAY_ITEMS_MAX);
        return DB_NOTHING;
    }
    if (!a->n) buf_puts(b, STR("[]"));
    else put_dimension(b, a, 0, &at);
    return pg_call_built(call, b);
}

static str hex_bytes(struct pg_call *call, str s) {
    uint8_t *p = arena_alloc(call->mem, s.n / 2 + 1, 1);
    for (size_t i = 0; i + 1 < s.n; i += 2) {
        uint8_t high = s.p[i] <= '9' ? s.p[i] - '0' : (s.p[i] | 0x20) - 'a' + 10;
        uint8_t low = s.p[i + 1] <= '9' ? s.p[i + 1] - '0' : (s.p[i + 1] | 0x20) - 'a' + 10;
        p[i / 2] = (uint8_t)(high << 4 | (low & 15));
    }
    return (str){p, s.n / 2};
}

static struct db_value item_of(struct pg_call *call, const struct pj *v, bool blobs) {
    char text[400];
    if (v->kind == PJ_STRING) return blobs ? DB_BLOB(hex_bytes(call, v->s)) : DB_TEXT(v->s);
    if (v->kind != PJ_NUMBER || v->s.n >= sizeof text)
        return v->kind == PJ_TRUE ? DB_I64(1) : v->kind == PJ_FALSE ? DB_I64(0) : DB_NOTHING;
    memcpy(text, v->s.p, v->s.n);
    text[v->s.n] = 0;
    if (strpbrk(text, ".eE")) return DB_F64(strtod(text, NULL));
    return DB_I64(strtoll(text, NULL, 10));
}

static bool damaged(struct pg_call *call) { return pg_raise(call, "XX001", "a stored array is damaged"); }

/* Sizes by the first of each dimension. */
static bool measure(struct pg_call *call, const struct pj *v, struct pg_array *out) {
    uint64_t n = 1;
    for (const struct pj *d = v; d->kind == PJ_ARRAY; d = d->items) {
        if (out->dimensions == PG_ARRAY_DIMENSIONS_MAX || !d->n) return damaged(call);
        out->size[out->dimensions++] = d->n;
        n *= d->n;
        if (n > PJ_VALUES_MAX) return damaged(call);
    }
    out->n = (uint32_t)n;
    return true;
}

static bool take(struct pg_call *call, const struct pj *v, uint32_t d, bool blobs, struct pg_array *out, uint32_t *at) {
    if (v->kind != PJ_ARRAY || v->n != out->size[d]) return damaged(call);
    for (uint32_t i = 0; i < v->n; i++) {
        if (d + 1 < out->dimensions) {
            if (!take(call, &v->items[i], d + 1, blobs, out, at)) return false;
        } else {
            if (v->items[i].kind >= PJ_ARRAY) return damaged(call);
            out->items[(*at)++] = item_of(call, &v->items[i], blobs);
        }
    }
    return true;
}

bool pg_array_read(struct pg_call *call, str stored, bool blobs, struct pg_array *out) {
    struct pj v;
    uint32_t at = 0;
    *out = (struct pg_array){0};
    if (!pj_read(call, stored, PJ_JSON, &v)) return false;
    if (v.kind != PJ_ARRAY) return damaged(call);
    if (!v.n) return true;
    if (!measure(call, &v, out)) return false;
    out->items = arena_array(call->mem, struct db_value, out->n);
    return take(call, &v, 0, blobs, out, &at);
}

bool pg_array_texts(struct pg_call *call, str stored, struct pg_array *out) { return pg_array_read(call, stored, false, out); }

bool pg_array_blobs(struct pg_call *call, uint32_t element) {
    const struct pg_type *t = pg_call_base(call, element);
    return t && t->storage == PG_STORED_BLOB;
}

/* ---- text in: {a,"b c",NULL,{…}} ---- */

struct in {
    struct pg_call *call;
    uint32_t element;
    int32_t typmod;
    str s;
    size_t i;
    struct pg_array *out;
    struct db_value *items;
    uint32_t cap, depth;
    bool known[PG_ARRAY_DIMENSIONS_MAX];
    struct buf *text;
    uint32_t bounds, bound[PG_ARRAY_DIMENSIONS_MAX];
};

static bool malformed(struct in *r, const char *detail) {
    pg_raise(r->call, "22P02", "malformed array literal: \"" STR_FMT "\"", STR_ARG(str_sub(r->s, 0, 400)));
    pg_raise_detail(r->call, "%s", detail);
    return false;
}
static void blanks(struct in *r) {
    while (r->i < r->s.n && (r->s.p[r->i] == ' ' || (r->s.p[r->i] >= 9 && r->s.p[r->i] <= 13))) r->i++;
}
static bool at(const struct in *r, uint8_t c) { return r->i < r->s.n && r->s.p[r->i] == c; }

static bool add_item(struct in *r, struct db_value v) {
    if (r->out->n == r->cap) {
        uint32_t cap = MAX(r->cap * 2, 16u);
        struct db_value *more = arena_array(r->call->mem, struct db_value, cap);
        if (r->out->n) memcpy(more, r->items, r->out->n * sizeof *more);
        r->items = more;
        r->cap = cap;
    }
    if (r->out->n == PG_ARRAY_ITEMS_MAX)
        return pg_raise(r->call, "54000", "array size exceeds the maximum allowed (%d)", PG_ARRAY_ITEMS_MAX);
    r->items[r->out->n++] = v;
    return pg_call_works(r->call, 50);
}

/* One element's text, unquoted; *quoted: it was, and so it is no null. */
static bool element_text(struct in *r, struct buf *b, bool *quoted) {
    size_t keep = 0; /* of blanks at its end those that were escaped */
    *quoted = false;
    while (r->i < r->s.n && !at(r, ',') && !at(r, '}')) {
        uint8_t c = r->s.p[r->i++];
        if (c == '{') return malformed(r, "Unexpected \"{\" character.");
        if (c == '"') {
            if (*quoted || b->n) return malformed(r, "Unexpected array element.");
            *quoted = true;
            while (r->i < r->s.n && !at(r, '"')) {
                if (at(r, '\\') && ++r->i >= r->s.n) return malformed(r, "Unexpected end of input.");
                buf_putc(b, r->s.p[r->i++]);
            }
            if (r->i++ >= r->s.n) return malformed(r, "Unexpected end of input.");
            blanks(r);
            if (r->i < r->s.n && !at(r, ',') && !at(r, '}')) return malformed(r, "Unexpected array element.");
            return true;
        }
        if (c == '\\') {
            if (r->i >= r->s.n) return malformed(r, "Unexpected end of input.");
            c = r->s.p[r->i++];
            keep = b->n + 1;
            *quoted = true;
            buf_putc(b, c);
            if (r->i < r->s.n && at(r, '"')) return malformed(r, "Unexpected array element.");
            continue;
        }
        buf_putc(b, c);
    }
    while (b->n > keep && (b->p[b->n - 1] == ' ' || (b->p[b->n - 1] >= 9 && b->p[b->n - 1] <= 13))) b->n--;
    return true;
}

/* Its text as yet: what is wrong with the whole is said before what is wrong with one. */
static bool element(struct in *r) {
    bool quoted;
    struct db_value v = DB_NOTHING;
    r->text->n = 0;
    if (!element_text(r, r->text, &quoted)) return false;
    if (!quoted && !r->text->n) return malformed(r, at(r, ',') ? "Unexpected \",\" character." : "Unexpected \"}\" character.");
    if (quoted || !str_eq_nocase(buf_str(r->text), STR("null"))) v = DB_TEXT(arena_str(r->call->mem, buf_str(r->text)));
    return add_item(r, v);
}

static bool ragged(struct in *r) {
    return malformed(r, "Multidimensional arrays must have sub-arrays with matching dimensions.");
}

/* From '{'. */
static bool dimension(struct in *r, uint32_t d) {
    uint32_t count = 0;
    bool inner = false;
    if (d >= PG_ARRAY_DIMENSIONS_MAX)
        return pg_raise(r->call, "54000", "number of array dimensions (%d) exceeds the maximum allowed (%d)", (int)d + 1,
                        PG_ARRAY_DIMENSIONS_MAX);
    r->i++;
    blanks(r);
    if (at(r, '}') && d == 0) {
        r->i++;
        return true;
    }
    for (;; count++) {
        blanks(r);
        if (r->i >= r->s.n) return malformed(r, "Unexpected end of input.");
        bool sub = at(r, '{');
        if (count && sub != inner)
            return sub ? malformed(r, "Unexpected \"{\" character.") : malformed(r, "Unexpected array element.");
        inner = sub;
        if (!sub && r->depth && r->depth != d + 1) return ragged(r);
        if (!sub) r->depth = d + 1;
        if (sub ? !dimension(r, d + 1) : !element(r)) return false;
        blanks(r);
        if (r->i >= r->s.n) return malformed(r, "Unexpected end of input.");
        if (at(r, '}')) break;
        if (!at(r, ',')) return malformed(r, "Unexpected array element.");
        r->i++;
    }
    r->i++;
    count++;
    if (r->known[d] && r->out->size[d] != count) return ragged(r);
    r->known[d] = true;
    r->out->size[d] = count;
    r->out->dimensions = MAX(r->out->dimensions, d + 1);
    return true;
}

/* Digits with a sign before them; too many are as large as may be. False: there are none. */
static bool bound(struct in *r, int64_t *out) {
    bool minus = at(r, '-');
    size_t from = r->i;
    r->i += minus || at(r, '+');
    for (*out = 0; r->i < r->s.n && r->s.p[r->i] >= '0' && r->s.p[r->i] <= '9'; r->i++)
        *out = MIN(*out * 10 + (r->s.p[r->i] - '0'), (int64_t)INT32_MAX);
    if (minus) *out = -*out;
    return r->i > from;
}

/* [1:3][1:2]= before the braces */
static bool bounds(struct in *r) {
    blanks(r);
    while (at(r, '[')) {
        int64_t low = 1, high;
        r->i++;
        if (r->bounds == PG_ARRAY_DIMENSIONS_MAX)
            return pg_raise(r->call, "54000", "number of array dimensions (%d) exceeds the maximum allowed (%d)",
                            PG_ARRAY_DIMENSIONS_MAX + 1, PG_ARRAY_DIMENSIONS_MAX);
        if (!bound(r, &high)) return malformed(r, "\"[\" must introduce explicitly-specified array dimensions.");
        if (at(r, ':')) {
            r->i++;
            low = high;
            if (!bound(r, &high)) return malformed(r, "Missing array dimension value.");
        }
        if (!at(r, ']')) return malformed(r, "Missing \"]\" after array dimensions.");
        r->i++;
        if (high < low) return pg_raise(r->call, "2202E", "upper bound cannot be less than lower bound");
        if (low != 1) return pg_raise(r->call, "0A000", "arrays with a lower bound other than 1 are not supported on SQLite");
        r->bound[r->bounds++] = (uint32_t)high;
        blanks(r);
    }
    if (!r->bounds) return true;
    if (!at(r, '=')) return malformed(r, "Missing \"=\" after array dimensions.");
    r->i++;
    blanks(r);
    return true;
}

static bool bounds_hold(struct in *r) {
    bool ok = !r->bounds || r->bounds == r->out->dimensions;
    for (uint32_t d = 0; d < r->bounds && ok; d++) ok = r->bound[d] == r->out->size[d];
    return ok || malformed(r, "Specified array dimensions do not match array contents.");
}

bool pg_array_in(struct pg_call *call, const struct pg_type *type, int32_t typmod, str text, struct db_value *out) {
    struct pg_array a = {0};
    struct in r = {.call = call, .element = type->element, .typmod = typmod, .s = text, .out = &a, .text = pg_call_buf(call)};
    if (!bounds(&r)) return false;
    if (!at(&r, '{')) return malformed(&r, "Array value must start with \"{\" or dimension information.");
    if (!dimension(&r, 0)) return false;
    blanks(&r);
    if (r.i < text.n) return malformed(&r, "Junk after closing right brace.");
    if (!bounds_hold(&r)) return false;
    a.items = r.items;
    for (uint32_t i = 0; i < a.n; i++)
        if (a.items[i].kind != DB_NULL && !pg_value_in(call, type->element, typmod, a.items[i].s, &a.items[i])) return false;
    *out = pg_array_stored(call, &a);
    return !pg_raised(call);
}

/* ---- text out ---- */

static bool needs_quotes(str s) {
    if (!s.n || str_eq_nocase(s, STR("null"))) return true;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (c == '"' || c == '\\' || c == '{' || c == '}' || c == ',' || c == ' ' || (c >= 9 && c <= 13)) return true;
    }
    return false;
}

static bool put_element(struct pg_call *call, uint32_t element, struct db_value v, struct buf *scratch, struct buf *text) {
    if (v.kind == DB_NULL) return buf_puts(text, STR("NULL"));
    scratch->n = 0;
    if (!pg_value_out(call, element, v, scratch)) return false;
    str s = buf_str(scratch);
    if (!needs_quotes(s)) return buf_puts(text, s);
    buf_putc(text, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') buf_putc(text, '\\');
        buf_putc(text, s.p[i]);
    }
    return buf_putc(text, '"');
}

static bool put_text(struct pg_call *call, uint32_t element, const struct pg_array *a, uint32_t d, uint32_t *at,
                     struct buf *scratch, struct buf *text) {
    buf_putc(text, '{');
    for (uint32_t i = 0; i < a->size[d] && a->n; i++) {
        if (i) buf_putc(text, ',');
        if (d + 1 < a->dimensions) {
            if (!put_text(call, element, a, d + 1, at, scratch, text)) return false;
        } else if (!put_element(call, element, a->items[(*at)++], scratch, text)) {
            return false;
        }
    }
    return buf_putc(text, '}') || pg_raise(call, "54000", "a value is too long");
}

bool pg_array_out(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *text) {
    struct pg_array a;
    uint32_t at = 0;
    if (!pg_array_read(call, v.s, pg_array_blobs(call, type->element), &a)) return false;
    return put_text(call, type->element, &a, 0, &at, pg_call_buf(call), text);
}

/* ---- JSON ---- */

static bool put_json(struct pg_call *call, uint32_t element, const struct pg_array *a, uint32_t d, uint32_t *at,
                     struct buf *json) {
    buf_putc(json, '[');
    for (uint32_t i = 0; i < a->size[d] && a->n; i++) {
        if (i) buf_putc(json, ',');
        bool ok = d + 1 < a->dimensions ? put_json(call, element, a, d + 1, at, json)
                                        : pg_value_json(call, element, a->items[(*at)++], json);
        if (!ok) return false;
    }
    return buf_putc(json, ']') || pg_raise(call, "54000", "a value is too long");
}

bool pg_array_json(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *json) {
    struct pg_array a;
    uint32_t at = 0;
    return pg_array_read(call, v.s, pg_array_blobs(call, type->element), &a) && put_json(call, type->element, &a, 0, &at, json);
}

static bool json_items(struct in *r, const struct json *v, uint32_t d) {
    if (d >= PG_ARRAY_DIMENSIONS_MAX)
        return pg_raise(r->call, "54000", "number of array dimensions exceeds the maximum allowed (%d)", PG_ARRAY_DIMENSIONS_MAX);
    if (r->known[d] && r->out->size[d] != v->n) return pg_raise(r->call, "22P02", "malformed JSON array");
    r->known[d] = true;
    r->out->size[d] = v->n;
    r->out->dimensions = MAX(r->out->dimensions, d + 1);
    for (uint32_t i = 0; i < v->n; i++) {
        const struct json *one = &v->items[i];
        bool sub = one->kind == JSON_KIND_ARRAY && r->element != PG_JSON && r->element != PG_JSONB;
        if (!sub && r->depth && r->depth != d + 1) return pg_raise(r->call, "22P02", "malformed JSON array");
        if (!sub) r->depth = d + 1;
        struct db_value item;
        if (sub ? !json_items(r, one, d + 1)
                : !pg_value_of_json(r->call, r->element, r->typmod, one, &item) || !add_item(r, item))
            return false;
    }
    return true;
}

bool pg_array_of_json(struct pg_call *call, const struct pg_type *type, int32_t typmod, const struct json *v,
                      struct db_value *out) {
    struct pg_array a = {0};
    struct in r = {.call = call, .element = type->element, .typmod = typmod, .out = &a};
    if (v->kind == JSON_KIND_STR) return pg_array_in(call, type, typmod, v->s, out);
    if (v->kind != JSON_KIND_ARRAY) {
        pg_raise(call, "22P02", "expected JSON array");
        return false;
    }
    if (!json_items(&r, v, 0)) return false;
    a.items = r.items;
    *out = pg_array_stored(call, &a);
    return !pg_raised(call);
}

/* ---- order ---- */

typedef int (*compare_fn)(str a, str b);

static int compare_items(const struct pj *a, const struct pj *b, compare_fn by) {
    if (a->kind == PJ_NULL || b->kind == PJ_NULL) return (a->kind == PJ_NULL) - (b->kind == PJ_NULL);
    if (a->kind == PJ_STRING && b->kind == PJ_STRING) return by ? by(a->s, b->s) : str_cmp(a->s, b->s);
    if (a->kind == PJ_NUMBER && b->kind == PJ_NUMBER && !str_eq(a->s, b->s)) {
        struct db_value x = item_of(NULL, a, false), y = item_of(NULL, b, false);
        if (x.kind == DB_INTEGER && y.kind == DB_INTEGER) return (x.i > y.i) - (x.i < y.i);
        double f = x.kind == DB_REAL ? x.f : (double)x.i, g = y.kind == DB_REAL ? y.f : (double)y.i;
        return (f > g) - (f < g);
    }
    return (a->kind > b->kind) - (a->kind < b->kind);
}

/* The elements in turn, whatever the dimensions. */
struct cursor {
    const struct pj *at[PG_ARRAY_DIMENSIONS_MAX];
    uint32_t place[PG_ARRAY_DIMENSIONS_MAX], depth;
};
static const struct pj *next_item(struct cursor *c) {
    for (;;) {
        const struct pj *in = c->at[c->depth];
        if (c->place[c->depth] == in->n) {
            if (!c->depth) return NULL;
            c->depth--;
            continue;
        }
        const struct pj *v = &in->items[c->place[c->depth]++];
        if (v->kind != PJ_ARRAY || c->depth + 1 == PG_ARRAY_DIMENSIONS_MAX) return v;
        c->at[++c->depth] = v;
        c->place[c->depth] = 0;
    }
}

/* Elements, how many there are, how many dimensions, of what sizes. */
static int compare_arrays(const struct pj *a, const struct pj *b, compare_fn by) {
    struct cursor x = {.at = {a}}, y = {.at = {b}};
    for (;;) {
        const struct pj *v = next_item(&x), *w = next_item(&y);
        int c = v && w ? compare_items(v, w, by) : (v != NULL) - (w != NULL);
        if (c) return c;
        if (!v) break;
    }
    while (a->kind == PJ_ARRAY && b->kind == PJ_ARRAY && a->n && b->n) {
        bool deeper = a->items->kind == PJ_ARRAY, other = b->items->kind == PJ_ARRAY;
        if (deeper != other) return deeper ? 1 : -1;
        if (!deeper) break;
        if (a->n != b->n) return a->n < b->n ? -1 : 1;
        a = a->items, b = b->items;
    }
    return 0;
}

int pg_array_compare_by(str a, str b, compare_fn by) {
    if (str_eq(a, b)) return 0;
    struct pg_error error = {0};
    struct pg_call call = {.mem = arena_new(0), .error = &error};
    struct pj x, y;
    int c = 0;
    if (pj_read(&call, a, PJ_JSON, &x) && pj_read(&call, b, PJ_JSON, &y) && x.kind == PJ_ARRAY && y.kind == PJ_ARRAY)
        c = compare_arrays(&x, &y, by);
    else c = str_cmp(a, b);
    arena_free(call.mem);
    return c;
}
