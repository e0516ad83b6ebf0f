/* values: what a tree says as JSON, as a type's value: PostgreSQL's text form, which a server is sent, and the storage form, which SQLite is.
 *
 * In rows that are written a string is text in of a column's type, except that a json column takes it as the JSON it is (json_populate_record); in a
 * filter it is text in whatever the type, as a literal's would be.
 */
#include "query/query_int.h"

/* ---- text forms ---- */

static void quote_element(struct buf *b, str s) {
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') buf_putc(b, '\\');
        buf_putc(b, s.p[i]);
    }
    buf_putc(b, '"');
}

static bool is_document(uint32_t type) { return type == PG_JSON || type == PG_JSONB; }

static str text_of(struct query_values *q, const struct pg_type *t, const struct query_json *v, bool written);

/* {"a": 1, "b": "x"} as ("1","x"), in the fields' order; what is not there is null. */
static str composite_text(struct query_values *q, const struct pg_type *t, const struct query_json *v) {
    const struct pg_types *types = q->session->types;
    struct buf b = {0};
    struct pg_field f;
    buf_putc(&b, '(');
    for (uint32_t i = 0; types && types->field && types->field(types->arg, t->id, i, &f); i++) {
        const struct query_json *item = NULL;
        const struct pg_type *of = query_type_of(types, query_type_base(types, f.type));
        for (uint32_t k = 0; k < v->n; k++)
            if (str_eq(v->members[k].key, f.name)) item = &v->members[k].v;
        if (i) buf_putc(&b, ',');
        if (item && of && item->kind != JSON_KIND_NULL) quote_element(&b, text_of(q, of, item, true));
    }
    buf_putc(&b, ')');
    str s = arena_str(q->out, buf_str(&b));
    buf_free(&b);
    return s;
}

static bool has_fields(const struct pg_type *t, const struct query_json *v) {
    return t && t->kind == PG_KIND_COMPOSITE && v->kind == JSON_KIND_OBJECT;
}

/* [1,[2]] as {"1",{"2"}} */
static void array_text(struct query_values *q, const struct pg_type *element, struct buf *b, const struct query_json *v,
                       bool documents) {
    buf_putc(b, '{');
    for (uint32_t i = 0; i < v->n; i++) {
        const struct query_json *item = &v->items[i];
        if (i) buf_putc(b, ',');
        if (item->kind == JSON_KIND_ARRAY && !documents) array_text(q, element, b, item, documents);
        else if (has_fields(element, item)) quote_element(b, composite_text(q, element, item));
        else if (item->kind == JSON_KIND_NULL) buf_puts(b, STR("NULL"));
        else quote_element(b, item->kind == JSON_KIND_STR && !documents ? item->s : item->raw);
    }
    buf_putc(b, '}');
}

/* t: no domain */
static str text_of(struct query_values *q, const struct pg_type *t, const struct query_json *v, bool written) {
    if (v->kind == JSON_KIND_STR && !(written && is_document(t->id))) return v->s;
    if (has_fields(t, v)) return composite_text(q, t, v);
    if (v->kind != JSON_KIND_ARRAY || t->kind != PG_KIND_ARRAY) return v->raw;
    const struct pg_types *types = q->session->types;
    struct buf b = {0};
    array_text(q, query_type_of(types, query_type_base(types, t->element)), &b, v, is_document(t->element));
    str s = arena_str(q->out, buf_str(&b));
    buf_free(&b);
    return s;
}

/* ---- storage forms ---- */

static bool query_value_of_text(struct query_values *q, uint32_t type, int32_t typmod, str text, struct query_bound *out) {
    struct pg_call call = {.mem = q->out, .session = q->session, .error = q->error};
    *out = (struct query_bound){.text = text, .type = type};
    if (q->engine == CATALOG_POSTGRES) return true;
    if (pg_value_in(&call, type, query_type_typmod(q->session->types, type, typmod), text, &out->value)) return true;
    return query_fail(q->error, "XX000", "no value of a type"); /* unless it was said what is wrong */
}

bool query_value_of(struct query_values *q, uint32_t type, int32_t typmod, const struct query_json *v, bool written,
                    struct query_bound *out) {
    const struct pg_type *t = query_type_of(q->session->types, query_type_base(q->session->types, type));
    *out = (struct query_bound){.null = true, .type = type, .value = DB_NOTHING};
    if (!v || v->kind == JSON_KIND_NULL) return true;
    if (!t) return query_fail(q->error, "0A000", "a value's type is not known");
    return query_value_of_text(q, type, typmod, text_of(q, t, v, written), out);
}
