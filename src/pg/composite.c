/* composite: values of types that are made of fields, stored as a JSON array of the fields' storage forms: numbers and strings, floats as strings with all
 * their digits, bytes as hexadecimal, null. As text they are PostgreSQL's (1,"a b",), as JSON objects. */
#include "pg/arrays.h"
#include <stdlib.h>

enum { FIELDS_MAX = 1600 };

static bool field_at(struct pg_call *call, const struct pg_type *type, uint32_t i, struct pg_field *f) {
    const struct pg_types *own = call->session ? call->session->types : NULL;
    return own && own->field && own->field(own->arg, type->id, i, f);
}

/* An item of the array as its field's type stores it. */
static bool as_stored(struct pg_call *call, const struct pg_field *f, struct db_value *v) {
    const struct pg_type *t = pg_call_base(call, f->type);
    char digits[64];
    if (!t) return false;
    if (t->storage == PG_STORED_REAL && v->kind == DB_INTEGER) *v = DB_F64((double)v->i);
    if (t->storage == PG_STORED_REAL && v->kind >= DB_TEXTUAL) {
        snprintf(digits, sizeof digits, STR_FMT, STR_ARG(v->s));
        *v = DB_F64(strtod(digits, NULL));
    }
    if (t->storage == PG_STORED_BLOB && v->kind == DB_TEXTUAL) {
        uint8_t *p = pg_call_alloc(call, v->s.n / 2 + 1);
        if (!p) return false;
        for (size_t i = 0; i + 1 < v->s.n; i += 2) {
            char two[3] = {(char)v->s.p[i], (char)v->s.p[i + 1], 0};
            p[i / 2] = (uint8_t)strtoul(two, NULL, 16);
        }
        *v = DB_BLOB(((str){p, v->s.n / 2}));
    }
    return true;
}

static bool fields_of(struct pg_call *call, const struct pg_type *type, struct db_value v, struct pg_array *a) {
    if (v.kind < DB_TEXTUAL || !pg_array_read(call, v.s, false, a) || a->dimensions > 1)
        return pg_raised(call) ? false : pg_raise(call, "XX001", "a stored %s is damaged", type->sql);
    return true;
}

static void put_item(struct pg_call *call, struct buf *b, uint32_t i, const struct pg_field *f, struct db_value v) {
    const struct pg_type *t = pg_call_base(call, f->type);
    struct json_writer w = json_writer_of(b);
    if (i) buf_putc(b, ',');
    if (v.kind == DB_NULL || !t) buf_puts(b, STR("null"));
    else if (v.kind == DB_INTEGER) buf_printf(b, "%lld", (long long)v.i);
    else if (v.kind == DB_REAL) buf_printf(b, "\"%.17g\"", v.f);
    else if (t->storage != PG_STORED_BLOB) json_put_str(&w, NULL, v.s);
    else {
        buf_putc(b, '"');
        for (size_t k = 0; k < v.s.n; k++) buf_printf(b, "%02x", v.s.p[k]);
        buf_putc(b, '"');
    }
}

/* ---- out ---- */

static void put_quoted(struct buf *text, str s) {
    bool quoted = !s.n;
    for (size_t i = 0; i < s.n && !quoted; i++)
        quoted = s.p[i] <= ' ' ? strchr(" \t\n\v\f\r", s.p[i]) != NULL : strchr("\"\\(),", s.p[i]) != NULL;
    if (!quoted) return (void)buf_puts(text, s);
    buf_putc(text, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') buf_putc(text, s.p[i]);
        buf_putc(text, s.p[i]);
    }
    buf_putc(text, '"');
}

bool pg_composite_out(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *text) {
    struct pg_array a;
    struct pg_field f;
    if (!fields_of(call, type, v, &a)) return false;
    buf_putc(text, '(');
    for (uint32_t i = 0; field_at(call, type, i, &f); i++) {
        struct buf one = {.max = PG_VALUE_BYTES_MAX};
        struct db_value item = i < a.n ? a.items[i] : DB_NOTHING;
        if (i) buf_putc(text, ',');
        bool ok = item.kind == DB_NULL || (as_stored(call, &f, &item) && pg_value_out(call, f.type, item, &one));
        if (ok && item.kind != DB_NULL) put_quoted(text, buf_str(&one));
        buf_free(&one);
        if (!ok) return false;
    }
    return buf_putc(text, ')');
}

bool pg_composite_json(struct pg_call *call, const struct pg_type *type, struct db_value v, struct buf *json) {
    struct pg_array a;
    struct pg_field f;
    if (!fields_of(call, type, v, &a)) return false;
    buf_putc(json, '{');
    for (uint32_t i = 0; field_at(call, type, i, &f); i++) {
        struct db_value item = i < a.n ? a.items[i] : DB_NOTHING;
        struct json_writer w = json_writer_of(json);
        if (i) buf_putc(json, ',');
        json_put_str(&w, NULL, f.name), buf_putc(json, ':');
        if ((item.kind != DB_NULL && !as_stored(call, &f, &item)) || !pg_value_json(call, f.type, item, json)) return false;
    }
    return buf_putc(json, '}');
}

/* ---- in ---- */

static bool malformed(struct pg_call *call, str text, const char *detail) {
    (void)pg_raise(call, "22P02", "malformed record literal: \"" STR_FMT "\"", STR_ARG(str_sub(text, 0, 200)));
    pg_raise_detail(call, "%s", detail);
    return false;
}

/* One field's text, up to its comma or bracket; is_null: there is nothing. */
static bool take_field(struct pg_call *call, str text, size_t *at, struct buf *out, bool *is_null) {
    bool quoted = false;
    size_t i = *at;
    out->n = 0;
    *is_null = i < text.n && (text.p[i] == ',' || text.p[i] == ')');
    for (; i < text.n && (quoted || (text.p[i] != ',' && text.p[i] != ')')); i++) {
        uint8_t c = text.p[i];
        if (c == '\\') {
            if (++i == text.n) break;
            buf_putc(out, text.p[i]);
        } else if (c == '"' && quoted && i + 1 < text.n && text.p[i + 1] == '"') {
            buf_putc(out, '"'), i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else {
            buf_putc(out, c);
        }
    }
    *at = i;
    return i < text.n || malformed(call, text, "Unexpected end of input.");
}

bool pg_composite_in(struct pg_call *call, const struct pg_type *type, str text, struct db_value *out) {
    struct buf one = {.max = PG_VALUE_BYTES_MAX}, *b = pg_call_buf(call);
    struct pg_field f;
    size_t at = 0;
    bool ok = true;
    while (at < text.n && strchr(" \t\n\r", text.p[at])) at++;
    if (at == text.n || text.p[at] != '(') return malformed(call, text, "Missing left parenthesis.");
    at++;
    buf_putc(b, '[');
    for (uint32_t i = 0; ok && i < FIELDS_MAX && field_at(call, type, i, &f); i++) {
        struct db_value v = DB_NOTHING;
        bool is_null;
        if (i && (at >= text.n || text.p[at++] != ',')) ok = malformed(call, text, "Too few columns.");
        ok = ok && take_field(call, text, &at, &one, &is_null);
        ok = ok && (is_null || pg_value_in(call, f.type, f.typmod, pg_call_text(call, buf_str(&one)).s, &v));
        if (ok && v.kind != DB_NULL) ok = pg_value_sized(call, f.type, f.typmod, false, v, &v);
        if (ok) put_item(call, b, i, &f, v);
    }
    buf_free(&one);
    if (ok && (at >= text.n || text.p[at] != ')')) ok = malformed(call, text, "Too many columns.");
    for (at++; ok && at < text.n; at++)
        if (!strchr(" \t\n\r", text.p[at])) ok = malformed(call, text, "Junk after right parenthesis.");
    if (!ok) return false;
    buf_putc(b, ']');
    *out = pg_call_built(call, b);
    return !pg_raised(call);
}

bool pg_composite_of_json(struct pg_call *call, const struct pg_type *type, const struct json *v, struct db_value *out) {
    struct buf *b = pg_call_buf(call);
    struct pg_field f;
    if (v->kind == JSON_KIND_STR) return pg_composite_in(call, type, v->s, out);
    if (v->kind != JSON_KIND_OBJECT)
        return pg_raise(call, "22023", "cannot call populate_composite on a value that is no object");
    buf_putc(b, '[');
    for (uint32_t i = 0; i < FIELDS_MAX && field_at(call, type, i, &f); i++) {
        struct db_value item;
        char name[200];
        snprintf(name, sizeof name, STR_FMT, STR_ARG(f.name));
        if (!pg_value_of_json(call, f.type, f.typmod, json_get(v, name), &item)) return false;
        if (item.kind != DB_NULL && !pg_value_sized(call, f.type, f.typmod, false, item, &item)) return false;
        put_item(call, b, i, &f, item);
    }
    buf_putc(b, ']');
    *out = pg_call_built(call, b);
    return !pg_raised(call);
}
