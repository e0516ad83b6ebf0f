/* json_read: the reader: json_quick.c's, and over jansson where that is not sure; and what a value that was read is asked. The library is given nothing that is
 * not bounded: it recurses on every level, and makes some hundred bytes of a `[]`. */
#include "base/json_int.h"
#include <jansson.h>

/* ---- limits ---- */

static err over(str text, size_t at, struct diag *d, const char *what, size_t max) {
    uint32_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) column = text.p[i] == '\n' ? (line++, 1u) : column + ((text.p[i] & 0xc0) != 0x80);
    return diag_set(d, ERR_LIMIT, at, "line %u, column %u: more than %zu %s", line, column, max, what);
}

/* Past a string's closing quote, or at the end. */
static size_t past_string(str text, size_t i) {
    for (i++; i < text.n && text.p[i] != '"'; i++) i += text.p[i] == '\\';
    return MIN(i, text.n);
}

/* Every value but the first of its kind follows a comma, an opening bracket or the start; what is malformed has no more than that either. */
static err check_limits(str text, const struct json_limits *l, struct diag *d) {
    ENSURE(l->depth_max <= JSON_DEPTH_MAX);
    if (text.n > l->bytes_max) return over(text, l->bytes_max, d, "bytes", l->bytes_max);
    uint32_t depth = 0, values = 1;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (c == '"') i = past_string(text, i);
        else if (c == '[' || c == '{') depth++, values++;
        else if (c == ']' || c == '}') depth -= depth > 0;
        else if (c == ',') values++;
        if (depth > l->depth_max) return over(text, i, d, "levels", l->depth_max);
        if (values > l->values_max) return over(text, i, d, "values", l->values_max);
    }
    return ERR_OK;
}

/* ---- the library's value as ours ---- */

static void take(arena *out, const json_t *from, struct json *v);

static void take_array(arena *out, const json_t *from, struct json *v) {
    *v = (struct json){JSON_KIND_ARRAY, (uint32_t)json_array_size(from), {0}};
    v->items = arena_array(out, struct json, v->n);
    for (uint32_t i = 0; i < v->n; i++) take(out, json_array_get(from, i), &v->items[i]);
}

static void take_object(arena *out, json_t *from, struct json *v) {
    *v = (struct json){JSON_KIND_OBJECT, (uint32_t)json_object_size(from), {0}};
    v->members = arena_array(out, struct json_member, v->n);
    const char *key;
    json_t *item;
    uint32_t i = 0;
    json_object_foreach(from, key, item) {
        v->members[i].key = arena_str(out, str_c(key));
        take(out, item, &v->members[i++].v);
    }
}

static void take(arena *out, const json_t *from, struct json *v) {
    switch (json_typeof(from)) {
    case JSON_OBJECT: take_object(out, (json_t *)(uintptr_t)from, v); break;
    case JSON_ARRAY: take_array(out, from, v); break;
    case JSON_STRING:
        *v = (struct json){JSON_KIND_STR, 0, {0}};
        v->s = arena_str(out, (str){(const uint8_t *)json_string_value(from), json_string_length(from)});
        break;
    case JSON_INTEGER: *v = (struct json){JSON_KIND_I64, 0, {.i = json_integer_value(from)}}; break;
    case JSON_REAL: *v = (struct json){JSON_KIND_F64, 0, {.f = json_real_value(from)}}; break;
    case JSON_TRUE: *v = (struct json){JSON_KIND_BOOL, 0, {.b = true}}; break;
    case JSON_FALSE: *v = (struct json){JSON_KIND_BOOL, 0, {.b = false}}; break;
    case JSON_NULL: *v = (struct json){JSON_KIND_NULL, 0, {0}}; break;
    }
}

err json_read_library(arena *out, str text, struct json *v, struct diag *d) {
    json_error_t error;
    json_t *from =
        json_loadb(text.n ? (const char *)text.p : "", text.n, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (!from) {
        text_tame(error.text, strlen(error.text));
        return diag_set(d, ERR_MALFORMED, (uint64_t)error.position, "line %d, column %d: %s", error.line, error.column,
                        error.text);
    }
    take(out, from, v);
    json_decref(from);
    return ERR_OK;
}

err json_read(arena *out, str text, const struct json_limits *limits, struct json *v, struct diag *d) {
    TRY(check_limits(text, limits, d));
    return json_read_quick(out, text, v) ? ERR_OK : json_read_library(out, text, v, d);
}

/* ---- asking ---- */

static const struct json *member(const struct json *object, str key) {
    if (!json_is(object, JSON_KIND_OBJECT)) return NULL;
    for (uint32_t i = 0; i < object->n; i++)
        if (str_eq(object->members[i].key, key)) return &object->members[i].v;
    return NULL;
}

const struct json *json_get(const struct json *object, const char *key) { return member(object, str_c(key)); }

static bool members_equal(const struct json *a, const struct json *b) {
    for (uint32_t i = 0; i < a->n; i++) {
        const struct json *other = member(b, a->members[i].key);
        if (!other || !json_equals(&a->members[i].v, other)) return false;
    }
    return true;
}

static bool items_equal(const struct json *a, const struct json *b) {
    for (uint32_t i = 0; i < a->n; i++)
        if (!json_equals(&a->items[i], &b->items[i])) return false;
    return true;
}

bool json_equals(const struct json *a, const struct json *b) {
    if (a->kind != b->kind || a->n != b->n) return false;
    switch (a->kind) {
    case JSON_KIND_NULL: return true;
    case JSON_KIND_BOOL: return a->b == b->b;
    case JSON_KIND_I64: return a->i == b->i;
    case JSON_KIND_F64: return a->f == b->f;
    case JSON_KIND_STR: return str_eq(a->s, b->s);
    case JSON_KIND_ARRAY: return items_equal(a, b);
    case JSON_KIND_OBJECT: return members_equal(a, b);
    }
    return false;
}

/* A key is written as it was read, whatever it holds: keys that were read have no NUL byte. */
void json_put(struct json_writer *w, const char *key, const struct json *v) {
    switch (v->kind) {
    case JSON_KIND_NULL: json_put_null(w, key); break;
    case JSON_KIND_BOOL: json_put_bool(w, key, v->b); break;
    case JSON_KIND_I64: json_put_i64(w, key, v->i); break;
    case JSON_KIND_F64: json_put_f64(w, key, v->f); break;
    case JSON_KIND_STR: json_put_str(w, key, v->s); break;
    case JSON_KIND_ARRAY:
        json_put_array(w, key);
        for (uint32_t i = 0; i < v->n; i++) json_put(w, NULL, &v->items[i]);
        json_put_end(w);
        break;
    case JSON_KIND_OBJECT:
        json_put_object(w, key);
        for (uint32_t i = 0; i < v->n; i++) json_put(w, (const char *)v->members[i].key.p, &v->members[i].v);
        json_put_end(w);
        break;
    }
}
