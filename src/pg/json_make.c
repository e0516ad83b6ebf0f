/* json_make: JSON of values, values of JSON, and aggregates that gather them.
 *
 * json is written as PostgreSQL writes it: {"a" : 1, "b" : 2}, [1, 2]; jsonb is what reading that makes canonical. */
#include "pg/arrays.h"
#include "pg/jsons.h"

/* ---- a value's JSON ---- */

static bool put_value(struct pg_call *call, struct buf *b, const struct db_value *type_and_value) {
    return pg_value_json(call, (uint32_t)type_and_value[0].i, type_and_value[1], b);
}

static void as_jsonb(struct pg_call *call, struct buf *b, struct db_value *out) {
    struct pj v;
    if (b->full) *out = pg_call_built(call, b);
    else if (pj_read(call, buf_str(b), PJ_JSONB, &v)) *out = pj_text(call, &v);
}

/* type, value */
PG_FN(pg_to_json) {
    struct buf *b = pg_call_buf(call);
    if (args[1].kind != DB_NULL && put_value(call, b, args)) *out = pg_call_built(call, b);
}
PG_FN(pg_to_jsonb) {
    struct buf *b = pg_call_buf(call);
    if (args[1].kind != DB_NULL && put_value(call, b, args)) as_jsonb(call, b, out);
}

/* A value as a key: its text. */
static bool put_key(struct pg_call *call, struct buf *b, const struct db_value *type_and_value, uint32_t argument, bool jsonb) {
    uint32_t type = (uint32_t)type_and_value[0].i;
    struct buf *text = pg_call_buf(call);
    const struct pg_type *t = pg_call_base(call, type);
    if (!t) return false;
    if (type_and_value[1].kind == DB_NULL) {
        if (!argument) return pg_raise(call, "22023", "field name must not be null");
        return jsonb ? pg_raise(call, "22023", "argument %u: key must not be null", argument)
                     : pg_raise(call, "22023", "argument %u cannot be null", argument);
    }
    if (t->element || t->id == PG_JSON || t->id == PG_JSONB || t->kind == PG_KIND_COMPOSITE)
        return pg_raise(call, "22023", "key value must be scalar, not array, composite, or json");
    if (!pg_value_out(call, type, type_and_value[1], text)) return false;
    if (t->id == PG_BOOL) text->n = 0, buf_puts(text, type_and_value[1].i ? STR("true") : STR("false"));
    pj_put_string(b, buf_str(text));
    return true;
}

/* type, value, type, value …: {key : value …} */
static bool object(struct pg_call *call, struct buf *b, const struct db_value *args, uint32_t n, bool jsonb) {
    if (n % 4) {
        pg_raise(call, "22023", "argument list must have even number of elements");
        pg_raise_hint(call, "The arguments of %s must consist of alternating keys and values.",
                      jsonb ? "jsonb_build_object()" : "json_build_object()");
        return false;
    }
    buf_putc(b, '{');
    for (uint32_t i = 0; i < n; i += 4) {
        if (i) buf_puts(b, STR(", "));
        if (!put_key(call, b, args + i, i / 2 + 1, jsonb)) return false;
        buf_puts(b, STR(" : "));
        if (!put_value(call, b, args + i + 2)) return false;
    }
    return buf_putc(b, '}');
}
PG_FN(pg_json_build_object) {
    struct buf *b = pg_call_buf(call);
    if (object(call, b, args, n, false) || b->full) *out = pg_call_built(call, b);
}
PG_FN(pg_jsonb_build_object) {
    struct buf *b = pg_call_buf(call);
    if (object(call, b, args, n, true)) as_jsonb(call, b, out);
}
static bool array(struct pg_call *call, struct buf *b, const struct db_value *args, uint32_t n) {
    buf_putc(b, '[');
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        if (i) buf_puts(b, STR(", "));
        if (!put_value(call, b, args + i)) return false;
    }
    return buf_putc(b, ']');
}
PG_FN(pg_json_build_array) {
    struct buf *b = pg_call_buf(call);
    if (array(call, b, args, n) || b->full) *out = pg_call_built(call, b);
}
PG_FN(pg_jsonb_build_array) {
    struct buf *b = pg_call_buf(call);
    if (array(call, b, args, n)) as_jsonb(call, b, out);
}
/* type, value: name, then value …: a row's columns: {"a":1,"b":2} */
/* {…} and {…}, neither of which is empty: one */
PG_FN(pg_json_joined) {
    struct buf *b = pg_call_buf(call);
    buf_puts(b, str_sub(args[0].s, 0, args[0].s.n - 1));
    buf_putc(b, ',');
    buf_puts(b, str_sub(args[1].s, 1, args[1].s.n));
    *out = pg_call_built(call, b);
}

PG_FN(pg_row_to_json) {
    struct buf *b = pg_call_buf(call);
    buf_putc(b, '{');
    for (uint32_t i = 0; i + 3 < n; i += 4) {
        if (i) buf_putc(b, ',');
        if (!put_key(call, b, args + i, 1, false)) return;
        buf_putc(b, ':');
        if (!put_value(call, b, args + i + 2)) return;
    }
    buf_putc(b, '}');
    *out = pg_call_built(call, b);
}

/* json_object(text[] [, text[]]) */
static bool pairs(struct pg_call *call, const struct db_value *args, uint32_t n, struct buf *b) {
    struct pg_array k, v;
    if (!pg_array_texts(call, args[0].s, &k)) return false;
    buf_putc(b, '{');
    if (n > 1) {
        if (!pg_array_texts(call, args[1].s, &v)) return false;
        if (k.dimensions > 1 || v.dimensions != k.dimensions) return pg_raise(call, "2202E", "wrong number of array subscripts");
        if (k.n != v.n) return pg_raise(call, "2202E", "mismatched array dimensions");
    } else {
        if (k.dimensions > 2) return pg_raise(call, "2202E", "wrong number of array subscripts");
        if (k.dimensions == 2 && k.size[1] != 2) return pg_raise(call, "2202E", "array must have two columns");
        if (k.n % 2) return pg_raise(call, "2202E", "array must have even number of elements");
    }
    for (uint32_t i = 0; i < (n > 1 ? k.n : k.n / 2) && pg_call_works(call, 20); i++) {
        const struct db_value *key = &k.items[n > 1 ? i : 2 * i], *value = n > 1 ? &v.items[i] : &k.items[2 * i + 1];
        if (key->kind == DB_NULL) return pg_raise(call, "22004", "null value not allowed for object key");
        if (i) buf_puts(b, STR(", "));
        pj_put_string(b, key->s);
        buf_puts(b, STR(" : "));
        if (value->kind == DB_NULL) buf_puts(b, STR("null"));
        else pj_put_string(b, value->s);
    }
    return buf_putc(b, '}');
}
PG_FN(pg_json_object) {
    struct buf *b = pg_call_buf(call);
    if (pairs(call, args, n, b)) *out = pg_call_built(call, b);
}
PG_FN(pg_jsonb_object) {
    struct buf *b = pg_call_buf(call);
    if (pairs(call, args, n, b)) as_jsonb(call, b, out);
}

/* ---- values of JSON ---- */

/* Our tree as base's: for pg_value_of_json. Depth is that of the tree. */
static bool to_json(struct pg_call *call, const struct pj *v, struct json *out) {
    *out = (struct json){.n = v->n};
    switch (v->kind) {
    case PJ_NULL: out->kind = JSON_KIND_NULL; return true;
    case PJ_TRUE:
    case PJ_FALSE: out->kind = JSON_KIND_BOOL, out->b = v->kind == PJ_TRUE; return true;
    case PJ_STRING: out->kind = JSON_KIND_STR, out->s = arena_str(call->mem, v->s); return true;
    case PJ_NUMBER: out->kind = JSON_KIND_STR, out->s = arena_str(call->mem, v->s); return true; /* its text is what is read */
    case PJ_ARRAY:
        out->kind = JSON_KIND_ARRAY;
        out->items = arena_array(call->mem, struct json, v->n + 1);
        for (uint32_t i = 0; i < v->n; i++)
            if (!to_json(call, &v->items[i], &out->items[i])) return false;
        return true;
    case PJ_OBJECT: return pg_raise(call, "22P02", "malformed array literal: an object");
    }
    return false;
}

/* A value of a type, of what stands in JSON. */
static bool value_of_pj(struct pg_call *call, uint32_t type, int32_t typmod, const struct pj *v, str text, struct db_value *out) {
    const struct pg_type *t = pg_call_base(call, type);
    struct json j;
    *out = DB_NOTHING;
    if (!t) return false;
    str raw = str_sub(text, v->from, v->to - v->from);
    if (t->id == PG_JSON) return *out = DB_TEXT(raw), true;
    if (t->id == PG_JSONB) return pg_jsonb_in(call, raw, -1, out);
    if (v->kind == PJ_NULL) return true;
    if (t->element && v->kind == PJ_ARRAY && t->element != PG_JSON && t->element != PG_JSONB)
        return to_json(call, v, &j) && pg_value_of_json(call, type, typmod, &j, out);
    if (v->kind == PJ_STRING) return pg_value_in(call, type, typmod, v->s, out);
    return pg_value_in(call, type, typmod, raw, out);
}

/* type, typmod, json or jsonb, name: a column of json_populate_record and its kin */
PG_FN(pg_json_field) {
    struct pj v;
    if (args[2].kind == DB_NULL || !pj_read(call, args[2].s, PJ_JSON, &v)) return;
    if (v.kind != PJ_OBJECT)
        return (void)pg_raise(call, "22023",
                              v.kind == PJ_ARRAY ? "cannot call populate_composite on an array"
                                                 : "cannot call populate_composite on a scalar");
    for (uint32_t i = v.n; i-- > 0;)
        if (str_eq(v.members[i].key, args[3].s)) {
            if (v.members[i].v.kind != PJ_NULL &&
                !value_of_pj(call, (uint32_t)args[0].i, (int32_t)args[1].i, &v.members[i].v, args[2].s, out))
                *out = DB_NOTHING;
            return;
        }
}

/* ---- aggregates ---- */

/* Text that grows: of the statement's memory. */
struct grown {
    uint8_t *p;
    size_t n, cap, first; /* first: where what is still in it begins */
    uint64_t count;
    size_t separator;
};

static bool grown_put(struct pg_call *call, struct grown *g, str s) {
    if (g->n + s.n > PG_VALUE_BYTES_MAX)
        return pg_raise(call, "54000", "a value would be larger than %d MiB", PG_VALUE_BYTES_MAX >> 20);
    if (g->n + s.n > g->cap) {
        size_t cap = MAX(g->cap * 2, MAX(g->n + s.n, (size_t)64));
        void *p = db_take(g->p, cap);
        if (!p) return pg_raise(call, "53200", "out of memory");
        g->p = p;
        g->cap = cap;
    }
    if (s.n) memcpy(g->p + g->n, s.p, s.n);
    g->n += s.n;
    return true;
}
static void grown_drop(void *state) { db_give_back(((struct grown *)state)->p); }

/* string_agg: a null is left out; a separator stands before each but the first. */
static void string_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct grown *g = state;
    if (args[0].kind == DB_NULL) return;
    if (g->count++ && n > 1 && args[1].kind != DB_NULL) (void)grown_put(call, g, args[1].s);
    else if (g->count == 1 && n > 1 && args[1].kind != DB_NULL) g->separator = args[1].s.n;
    (void)grown_put(call, g, args[0].s);
}
static void string_inverse(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct grown *g = state;
    (void)call;
    if (args[0].kind == DB_NULL) return;
    size_t gone = args[0].s.n + (g->count > 1 && n > 1 && args[1].kind != DB_NULL ? args[1].s.n : 0);
    g->count--;
    g->n -= MIN(gone, g->n);
    memmove(g->p, g->p + gone, g->n);
}
static void string_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct grown *g = state;
    if (g->count) *out = pg_call_text(call, (str){g->p, g->n});
}
static void bytes_value(struct pg_call *call, const void *state, struct db_value *out) {
    string_value(call, state, out);
    if (out->kind == DB_TEXTUAL) out->kind = DB_BYTES;
}
const struct pg_aggregate pg_string_agg = {sizeof(struct grown), string_step, string_inverse, string_value, grown_drop};
const struct pg_aggregate pg_bytea_agg = {sizeof(struct grown), string_step, string_inverse, bytes_value, grown_drop};

/* Those of elements: type, value. Each element is written as what stands for it, after ", ". */
static void element_step(struct pg_call *call, struct grown *g, str s, str between) {
    if (g->count++) (void)grown_put(call, g, between);
    (void)grown_put(call, g, s);
}
static void json_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct buf *b = pg_call_buf(call);
    (void)n;
    if (put_value(call, b, args)) element_step(call, state, buf_str(b), STR(", "));
}
static void json_inverse(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct grown *g = state;
    struct buf *b = pg_call_buf(call);
    (void)n;
    if (!put_value(call, b, args)) return;
    size_t gone = b->n + (g->count > 1 ? 2 : 0);
    g->count--;
    g->n -= MIN(gone, g->n);
    memmove(g->p, g->p + gone, g->n);
}
static bool enclosed(struct pg_call *call, const struct grown *g, const char *open, const char *close, struct buf **out) {
    struct buf *b = *out = pg_call_buf(call);
    buf_puts(b, str_c(open));
    buf_puts(b, (str){g->p, g->n});
    buf_puts(b, str_c(close));
    return g->count > 0;
}
static void json_value(struct pg_call *call, const void *state, struct db_value *out) {
    struct buf *b;
    if (enclosed(call, state, "[", "]", &b)) *out = pg_call_built(call, b);
}
static void jsonb_value(struct pg_call *call, const void *state, struct db_value *out) {
    struct buf *b;
    if (enclosed(call, state, "[", "]", &b)) as_jsonb(call, b, out);
}
const struct pg_aggregate pg_json_agg = {sizeof(struct grown), json_step, json_inverse, json_value, grown_drop};
const struct pg_aggregate pg_jsonb_agg = {sizeof(struct grown), json_step, json_inverse, jsonb_value, grown_drop};

/* type, key, type, value */
static void member_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct buf *b = pg_call_buf(call);
    (void)n;
    if (!put_key(call, b, args, 0, false)) return;
    buf_puts(b, STR(" : "));
    if (put_value(call, b, args + 2)) element_step(call, state, buf_str(b), STR(", "));
}
static void object_value(struct pg_call *call, const void *state, struct db_value *out) {
    struct buf *b;
    if (enclosed(call, state, "{ ", " }", &b)) *out = pg_call_built(call, b);
}
static void jsonb_object_value(struct pg_call *call, const void *state, struct db_value *out) {
    struct buf *b;
    if (enclosed(call, state, "{", "}", &b)) as_jsonb(call, b, out);
}
const struct pg_aggregate pg_json_object_agg = {sizeof(struct grown), member_step, NULL, object_value, grown_drop};
const struct pg_aggregate pg_jsonb_object_agg = {sizeof(struct grown), member_step, NULL, jsonb_object_value, grown_drop};

/* array_agg of elements: value; of arrays: the same, nested */
static void array_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct buf *b = pg_call_buf(call);
    (void)n;
    pg_array_put_item(b, args[0]);
    if (b->full) (void)pg_call_built(call, b);
    else element_step(call, state, buf_str(b), STR(","));
}
static void array_inverse(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct grown *g = state;
    struct buf *b = pg_call_buf(call);
    (void)n;
    pg_array_put_item(b, args[0]);
    size_t gone = b->n + (g->count > 1 ? 1 : 0);
    g->count--;
    g->n -= MIN(gone, g->n);
    memmove(g->p, g->p + gone, g->n);
}
static void array_value(struct pg_call *call, const void *state, struct db_value *out) {
    const struct grown *g = state;
    struct buf *b;
    if (enclosed(call, g, "[", "]", &b)) *out = pg_call_built(call, b);
    if (g->count > PG_ARRAY_ITEMS_MAX) pg_raise(call, "54000", "array size exceeds the maximum allowed (%d)", PG_ARRAY_ITEMS_MAX);
}
const struct pg_aggregate pg_array_agg = {sizeof(struct grown), array_step, array_inverse, array_value, grown_drop};

/* Of arrays, all of the same sizes: one dimension more. */
static void arrays_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct pg_array a;
    (void)n;
    if (args[0].kind == DB_NULL) return (void)pg_raise(call, "22004", "cannot accumulate null arrays");
    if (!pg_array_texts(call, args[0].s, &a)) return;
    if (!a.n) return (void)pg_raise(call, "2202E", "cannot accumulate empty arrays");
    element_step(call, state, args[0].s, STR(","));
}
static void arrays_value(struct pg_call *call, const void *state, struct db_value *out) {
    struct pg_array a;
    array_value(call, state, out);
    if (out->kind == DB_TEXTUAL && !pg_array_texts(call, out->s, &a) && !strcmp(call->error->state, "XX001")) {
        call->error->set = false;
        pg_raise(call, "2202E", "cannot accumulate arrays of different dimensionality");
    }
}
const struct pg_aggregate pg_array_agg_array = {sizeof(struct grown), arrays_step, NULL, arrays_value, grown_drop};

/* A subquery as a value: one row at most. */
struct single {
    uint64_t rows;
    struct db_value v;
    void *bytes;
};
static void take_single(struct pg_call *call, void *state, const struct db_value *args, const char *several) {
    struct single *s = state;
    if (s->rows++) return (void)pg_raise(call, "21000", "%s", several);
    s->v = args[0];
    if (args[0].kind < DB_TEXTUAL) return;
    s->bytes = db_take(NULL, args[0].s.n + 1);
    if (!s->bytes) return (void)pg_raise(call, "53200", "out of memory");
    if (args[0].s.n) memcpy(s->bytes, args[0].s.p, args[0].s.n);
    s->v.s.p = s->bytes;
}
static void single_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    (void)n;
    take_single(call, state, args, "more than one row returned by a subquery used as an expression");
}
static void only_step(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    (void)n;
    take_single(call, state, args, "query returned more than one row");
}
static void single_value(struct pg_call *call, const void *state, struct db_value *out) {
    (void)call;
    *out = ((const struct single *)state)->v;
}
static void single_drop(void *state) { db_give_back(((struct single *)state)->bytes); }
const struct pg_aggregate pg_single = {sizeof(struct single), single_step, NULL, single_value, single_drop};
const struct pg_aggregate pg_only = {sizeof(struct single), only_step, NULL, single_value, single_drop}; /* as PL/pgSQL says it */

/* ---- sets side by side ---- */

/* What stands in brackets next, of an array of arrays as SQLite writes it; false: no more. */
static bool next_row(str s, size_t *at, str *row) {
    size_t i = *at, from, depth = 0;
    bool quoted = false;
    while (i < s.n && s.p[i] != '[') i++;
    if (i >= s.n) return false;
    for (from = ++i; i < s.n; i++) {
        uint8_t c = s.p[i];
        if (quoted && c == '\\') i++;
        else if (c == '"') quoted = !quoted;
        else if (!quoted && c == '[') depth++;
        else if (!quoted && c == ']' && !depth--) break;
    }
    *row = str_sub(s, from, i - from);
    *at = i + 1;
    return true;
}

/* (width, rows, width, rows, …): the n-th rows of all in one; where a set has no more, nulls. */
PG_FN(pg_zip) {
    enum { SETS_MAX = 60 };
    size_t at[SETS_MAX];
    struct buf *b = pg_call_buf(call);
    if (n / 2 > SETS_MAX) return pg_raise_as(call, "54000", "more than %d sets side by side", SETS_MAX);
    for (uint32_t i = 0; i < n / 2; i++) at[i] = 1;
    buf_putc(b, '[');
    for (uint32_t rows = 0; pg_call_works(call, 100); rows++) {
        size_t before = b->n;
        bool any = false;
        if (rows) buf_putc(b, ',');
        buf_putc(b, '[');
        for (uint32_t i = 0; i < n / 2; i++) {
            str row;
            if (i) buf_putc(b, ',');
            if (args[2 * i + 1].kind >= DB_TEXTUAL && next_row(args[2 * i + 1].s, &at[i], &row)) {
                any = true;
                buf_puts(b, row);
                continue;
            }
            for (int64_t k = 0; k < args[2 * i].i; k++) buf_puts(b, k ? STR(",null") : STR("null"));
        }
        buf_putc(b, ']');
        if (any) continue;
        b->n = before;
        break;
    }
    buf_putc(b, ']');
    *out = pg_call_built(call, b);
}
