/* csv: RFC 4180 in and out. In: the first line names the columns, each other line becomes an object of strings; the word NULL is null. Out: rows of JSON, as
 * PostgreSQL prints a record: null is nothing, a true value t.
 *
 * And null members taken out of JSON, however deep in objects (json_strip_nulls).
 */
#include "rest/rest_int.h"

/* ---- in ---- */

struct lines {
    arena *out;
    str s;
    size_t at;
    bool wrong;
};

/* One value, and whether a line ends behind it. */
static str cell_of(struct lines *l, bool *last) {
    uint8_t *p = NULL;
    size_t from = l->at, n = 0;
    str v;
    if (l->at < l->s.n && l->s.p[l->at] == '"') {
        size_t end = l->at + 1; /* of the cell: what is taken for it is no more than it has */
        while (end < l->s.n && (l->s.p[end] != '"' || (end + 1 < l->s.n && l->s.p[end + 1] == '"')))
            end += l->s.p[end] == '"' ? 2 : 1;
        p = arena_alloc(l->out, end - l->at + 1, 1);
        for (l->at++; l->at < l->s.n; l->at++) {
            if (l->s.p[l->at] == '"') {
                if (l->at + 1 < l->s.n && l->s.p[l->at + 1] == '"') l->at++;
                else break;
            }
            p[n++] = l->s.p[l->at];
        }
        if (l->at++ >= l->s.n) l->wrong = true;
        v = (str){p, n};
    } else {
        while (l->at < l->s.n && !memchr(",\r\n", l->s.p[l->at], 3)) l->at++;
        v = str_sub(l->s, from, l->at - from);
    }
    *last = l->at >= l->s.n || l->s.p[l->at] != ',';
    if (!*last) l->at++;
    else if (l->at < l->s.n) {
        if (l->s.p[l->at] == '\r') l->at++;
        if (l->at < l->s.n && l->s.p[l->at] == '\n') l->at++;
        else if (l->at < l->s.n && l->s.p[l->at - 1] != '\r') l->wrong = true;
    }
    return v;
}

static bool skip_empty(struct lines *l) {
    while (l->at < l->s.n && (l->s.p[l->at] == '\r' || l->s.p[l->at] == '\n')) l->at++;
    return l->at < l->s.n;
}

bool rest_csv_read(arena *out, str csv, str *json, struct pg_error *error) {
    struct lines l = {out, csv, 0, false};
    rest_names names = {0};
    struct buf b = {0};
    bool last = false, same = true;
    struct json_writer w = json_writer_of(&b);
    if (!str_is_utf8(csv) || memchr(csv.p ? csv.p : (const uint8_t *)"", 0, csv.n) || !skip_empty(&l))
        return rest_fail(error, "PGRST102", "parse error (not enough input)");
    while (!last) {
        str name = cell_of(&l, &last);
        if (names.n < QUERY_ITEMS_MAX) vec_push(out, &names, name);
        else l.wrong = true;
        if (l.wrong) break;
    }
    json_put_array(&w, NULL);
    while (!l.wrong && same && skip_empty(&l)) {
        uint32_t n = 0;
        last = false;
        json_put_object(&w, NULL);
        for (; !last && !l.wrong; n++) {
            str v = cell_of(&l, &last);
            if (n >= names.n) continue;
            char *name = arena_cstr(out, names.p[n]);
            if (str_eqc(v, "NULL")) json_put_null(&w, name);
            else json_put_str(&w, name, v);
        }
        json_put_end(&w);
        same = n == names.n;
    }
    json_put_end(&w);
    *json = arena_str(out, buf_str(&b));
    buf_free(&b);
    if (l.wrong) return rest_fail(error, "PGRST102", "the CSV is malformed at byte %zu", l.at);
    return same || rest_fail(error, "PGRST102", "All lines must have same number of fields");
}

/* ---- out ---- */

static void put_cell(struct buf *b, str v) {
    bool quoted = !v.n;
    for (size_t i = 0; i < v.n && !quoted; i++) quoted = memchr("\",()\\ \t\r\n\v\f", v.p[i], 11) != NULL;
    if (!quoted) {
        buf_puts(b, v);
        return;
    }
    buf_putc(b, '"');
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '"' || v.p[i] == '\\') buf_putc(b, v.p[i]);
        buf_putc(b, v.p[i]);
    }
    buf_putc(b, '"');
}

/* An array of plain values as PostgreSQL writes it, {a,"b c"}; of documents it stays JSON. */
static bool put_array(struct buf *b, const struct query_json *v, uint32_t depth) {
    if (depth > 6) return false;
    buf_putc(b, '{');
    for (uint32_t i = 0; i < v->n; i++) {
        const struct query_json *e = &v->items[i];
        if (i) buf_putc(b, ',');
        if (e->kind == JSON_KIND_OBJECT) return false;
        if (e->kind == JSON_KIND_NULL) buf_puts(b, STR("NULL"));
        else if (e->kind == JSON_KIND_BOOL) buf_putc(b, e->b ? 't' : 'f');
        else if (e->kind == JSON_KIND_ARRAY) {
            if (!put_array(b, e, depth + 1)) return false;
        } else if (e->kind == JSON_KIND_F64) buf_puts(b, e->raw);
        else {
            bool quoted = !e->s.n || str_eq_nocase(e->s, STR("null"));
            for (size_t k = 0; k < e->s.n && !quoted; k++) quoted = memchr("\",{}\\ \t\r\n\v\f", e->s.p[k], 11) != NULL;
            if (quoted) buf_putc(b, '"');
            for (size_t k = 0; k < e->s.n; k++) {
                if (e->s.p[k] == '"' || e->s.p[k] == '\\') buf_putc(b, '\\');
                buf_putc(b, e->s.p[k]);
            }
            if (quoted) buf_putc(b, '"');
        }
    }
    return buf_putc(b, '}');
}

static void put_value(struct buf *b, const struct query_json *v) {
    struct buf array = {0};
    switch (v->kind) {
    case JSON_KIND_NULL: break;
    case JSON_KIND_BOOL: buf_putc(b, v->b ? 't' : 'f'); break;
    case JSON_KIND_STR: put_cell(b, v->s); break;
    case JSON_KIND_ARRAY:
        put_cell(b, put_array(&array, v, 0) ? buf_str(&array) : v->raw);
        buf_free(&array);
        break;
    default: put_cell(b, v->raw);
    }
}

bool rest_csv_write(arena *out, str rows, str *csv) {
    struct query_json v;
    struct pg_error error = {0};
    struct buf b = {0};
    if (!query_json_read(out, rows, &v, &error)) return false;
    uint32_t n = v.kind == JSON_KIND_ARRAY ? v.n : 1;
    const struct query_json *items = v.kind == JSON_KIND_ARRAY ? v.items : &v;
    for (uint32_t i = 0; i < n; i++) {
        const struct query_json *row = &items[i];
        if (!i && row->kind == JSON_KIND_OBJECT)
            for (uint32_t k = 0; k < row->n; k++) {
                if (k) buf_putc(&b, ',');
                put_cell(&b, row->members[k].key);
            }
        buf_putc(&b, '\n');
        if (row->kind != JSON_KIND_OBJECT) put_value(&b, row);
        for (uint32_t k = 0; row->kind == JSON_KIND_OBJECT && k < row->n; k++) {
            if (k) buf_putc(&b, ',');
            put_value(&b, &row->members[k].v);
        }
    }
    *csv = arena_str(out, buf_str(&b));
    buf_free(&b);
    return true;
}

/* ---- nulls ---- */

static void put_stripped(struct buf *b, const struct query_json *v, uint32_t depth) {
    bool first = true;
    if (depth > QUERY_DEPTH_MAX || (v->kind != JSON_KIND_OBJECT && v->kind != JSON_KIND_ARRAY)) {
        buf_puts(b, v->raw);
        return;
    }
    buf_putc(b, v->kind == JSON_KIND_OBJECT ? '{' : '[');
    for (uint32_t i = 0; i < v->n; i++) {
        const struct query_json *item = v->kind == JSON_KIND_OBJECT ? &v->members[i].v : &v->items[i];
        if (v->kind == JSON_KIND_OBJECT && item->kind == JSON_KIND_NULL) continue;
        if (!first) buf_putc(b, ',');
        first = false;
        if (v->kind == JSON_KIND_OBJECT) {
            buf_putc(b, '"');
            json_escape(b, v->members[i].key);
            buf_puts(b, STR("\":"));
        }
        put_stripped(b, item, depth + 1);
    }
    buf_putc(b, v->kind == JSON_KIND_OBJECT ? '}' : ']');
}

bool rest_strip_nulls(arena *out, str json, str *stripped) {
    struct query_json v;
    struct pg_error error = {0};
    struct buf b = {0};
    if (!query_json_read(out, json, &v, &error)) return false;
    put_stripped(&b, &v, 0);
    *stripped = arena_str(out, buf_str(&b));
    buf_free(&b);
    return true;
}
