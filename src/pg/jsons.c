/* jsons: what SQL calls of json and jsonb that are there: parts, tests, changes. See jsons.h.
 *
 * Parts of both come by walking the text: a part's text is its answer. Tests and changes are of jsonb alone, and read a tree. */
#include "pg/jsons.h"
#include "pg/arrays.h"
#include <stdlib.h>

/* ---- text forms ---- */

bool pg_json_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct pj v;
    (void)typmod;
    *out = DB_TEXT(text);
    return pj_read(call, text, PJ_JSON, &v);
}
bool pg_json_out(struct pg_call *call, struct db_value v, struct buf *text) {
    (void)call;
    buf_puts(text, v.s);
    return true;
}
bool pg_jsonb_in(struct pg_call *call, str text, int32_t typmod, struct db_value *out) {
    struct pj v;
    (void)typmod;
    if (!pj_read(call, text, PJ_JSONB, &v)) return false;
    *out = pj_text(call, &v);
    return !pg_raised(call);
}
bool pg_jsonb_out(struct pg_call *call, struct db_value v, struct buf *text) { return pg_json_out(call, v, text); }

PG_FN(pg_json_jsonb) { (void)pg_jsonb_in(call, args[0].s, -1, out); }

/* jsonb to a scalar: of that kind, or it is refused */
static bool scalar(struct pg_call *call, str s, enum pj_kind kind, const char *type, struct pj *v) {
    static const char *const kinds[] = {"null", "string", "numeric", "boolean", "boolean", "array", "object"};
    if (!pj_read(call, s, PJ_JSONB, v)) return false;
    if (v->kind == kind || (kind == PJ_TRUE && v->kind == PJ_FALSE)) return true;
    return pg_raise(call, "22023", "cannot cast jsonb %s%s to type %s", kinds[v->kind], "", type);
}
PG_FN(pg_jsonb_bool) {
    struct pj v;
    if (scalar(call, args[0].s, PJ_TRUE, "boolean", &v)) *out = pg_bool(v.kind == PJ_TRUE);
}
/* result type, jsonb: a number */
PG_FN(pg_jsonb_number) {
    struct pj v;
    const struct pg_type *t = pg_call_base(call, (uint32_t)args[0].i);
    if (!t || !scalar(call, args[1].s, PJ_NUMBER, t->sql, &v)) return;
    bool whole = t->id == PG_INT2 || t->id == PG_INT4 || t->id == PG_INT8;
    str s = v.s;
    if (whole) { /* as numeric is cast: rounded, away from zero */
        size_t dot = str_find(s, '.');
        bool up = dot + 1 < s.n && s.p[dot + 1] >= '5';
        s = str_sub(s, 0, dot);
        char text[40];
        if (up && s.n < 20) {
            long long whole_part = strtoll((const char *)arena_cstr(call->mem, s), NULL, 10);
            bool negative = v.s.p[0] == '-';
            s = str_c(
                arena_cstr(call->mem, str_c((snprintf(text, sizeof text, "%lld", whole_part + (negative ? -1 : 1)), text))));
        }
    }
    struct db_value number;
    if (pg_value_in(call, t->id, -1, s, &number)) *out = number;
    else if (whole && !strcmp(call->error->state, "22003"))
        snprintf(call->error->message, sizeof call->error->message, "%s out of range", t->sql);
}

/* ---- parts ---- */

static bool key_is(struct pg_call *call, str raw, str key) {
    if (raw.n && memchr(raw.p, '\\', raw.n)) return str_eq(pj_unescape(call, raw), key);
    return str_eq(raw, key);
}

/* A member; of json the last of that key. */
static bool member(struct pg_call *call, str s, str key, bool last, str *out) {
    struct pj_walk w;
    str k, v;
    bool found = false;
    if (!pj_walk_begin(&w, s, true)) return false;
    while (pj_walk_next(&w, &k, &v)) {
        if (!key_is(call, k, key)) continue;
        *out = v;
        found = true;
        if (!last) break;
    }
    return pg_call_works(call, s.n / 4) && found;
}

static bool item(struct pg_call *call, str s, int64_t i, str *out) {
    struct pj_walk w;
    str v;
    if (i < 0) {
        int64_t count = 0;
        if (!pj_walk_begin(&w, s, false)) return false;
        while (pj_walk_next(&w, &v, &v)) count++;
        i += count;
    }
    if (i < 0 || !pj_walk_begin(&w, s, false)) return false;
    for (; pj_walk_next(&w, &v, &v); i--)
        if (!i) return *out = v, true;
    return pg_call_works(call, s.n / 4) && false;
}

static bool whole_number(str s, int64_t *out) {
    bool minus = s.n && s.p[0] == '-';
    uint64_t v;
    if (!str_to_u64(str_sub(s, minus || (s.n && s.p[0] == '+'), s.n), &v) || v > INT32_MAX) return false;
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

/* One step of a path: a key, or an index. */
static bool step(struct pg_call *call, str s, str key, bool last, str *out) {
    int64_t i;
    if (pj_kind_of(s) == PJ_ARRAY) return whole_number(key, &i) && item(call, s, i, out);
    return member(call, s, key, last, out);
}

static void as_text(struct pg_call *call, str v, struct db_value *out) {
    enum pj_kind kind = pj_kind_of(v);
    if (kind == PJ_NULL) return;
    *out = DB_TEXT(kind == PJ_STRING && v.n >= 2 ? pj_unescape(call, str_sub(v, 1, v.n - 2)) : v);
}

static void field(struct pg_call *call, const struct db_value *args, bool last, bool text, struct db_value *out) {
    str v;
    if (!member(call, args[0].s, args[1].s, last, &v)) return;
    if (text) as_text(call, v, out);
    else *out = DB_TEXT(v);
}
PG_FN(pg_json_get) { field(call, args, true, false, out); }
PG_FN(pg_json_get_text) { field(call, args, true, true, out); }
PG_FN(pg_jsonb_get) { field(call, args, false, false, out); }
PG_FN(pg_jsonb_get_text) { field(call, args, false, true, out); }
PG_FN(pg_json_at) {
    str v;
    if (item(call, args[0].s, args[1].i, &v)) *out = DB_TEXT(v);
}
/* A scalar jsonb is an array of itself here. */
static bool jsonb_item(struct pg_call *call, const struct db_value *args, str *out) {
    if (pj_kind_of(args[0].s) >= PJ_ARRAY) return item(call, args[0].s, args[1].i, out);
    *out = args[0].s;
    return args[1].i == 0 || args[1].i == -1;
}
PG_FN(pg_jsonb_at) {
    str v;
    if (jsonb_item(call, args, &v)) *out = DB_TEXT(v);
}
PG_FN(pg_jsonb_at_text) {
    str v;
    if (jsonb_item(call, args, &v)) as_text(call, v, out);
}
PG_FN(pg_json_at_text) {
    str v;
    if (item(call, args[0].s, args[1].i, &v)) as_text(call, v, out);
}

static str trimmed(str s) {
    while (s.n && (s.p[0] == ' ' || (s.p[0] >= 9 && s.p[0] <= 13))) s = str_sub(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || (s.p[s.n - 1] >= 9 && s.p[s.n - 1] <= 13))) s.n--;
    return s;
}

static void follow(struct pg_call *call, str s, const struct db_value *keys, uint32_t n, bool last, bool text,
                   struct db_value *out) {
    s = n ? trimmed(s) : s;
    for (uint32_t i = 0; i < n; i++)
        if (keys[i].kind == DB_NULL || !step(call, s, keys[i].s, last, &s)) return;
    if (text) as_text(call, trimmed(s), out);
    else *out = DB_TEXT(s);
}
static void path(struct pg_call *call, const struct db_value *args, bool last, bool text, struct db_value *out) {
    struct pg_array keys;
    if (pg_array_texts(call, args[1].s, &keys)) follow(call, args[0].s, keys.items, keys.n, last, text, out);
}
PG_FN(pg_json_path) { path(call, args, true, false, out); }
PG_FN(pg_json_path_text) { path(call, args, true, true, out); }
PG_FN(pg_jsonb_path) { path(call, args, false, false, out); }
PG_FN(pg_jsonb_path_text) { path(call, args, false, true, out); }
/* jsonb, subscripts as text: of an array a number */
PG_FN(pg_jsonb_subscript) {
    for (uint32_t i = 1; i < n; i++)
        if (args[i].kind == DB_NULL) return;
    follow(call, args[0].s, args + 1, n - 1, false, false, out);
}

PG_FN(pg_json_typeof) {
    static const char *const names[] = {"null", "string", "number", "boolean", "boolean", "array", "object"};
    *out = DB_TEXT(str_c(names[pj_kind_of(args[0].s)]));
}

static bool want_array(struct pg_call *call, str s) {
    enum pj_kind kind = pj_kind_of(s);
    if (kind == PJ_ARRAY) return true;
    return pg_raise(call, "22023",
                    kind == PJ_OBJECT ? "cannot get array length of a non-array" : "cannot get array length of a scalar");
}
PG_FN(pg_json_array_length) {
    struct pj_walk w;
    str v;
    int64_t count = 0;
    if (!want_array(call, args[0].s) || !pj_walk_begin(&w, args[0].s, false)) return;
    while (pj_walk_next(&w, &v, &v)) count++;
    *out = DB_I64(count);
}

/* ---- tests ---- */

static bool read(struct pg_call *call, str s, struct pj *v) { return pj_read(call, s, PJ_JSONB, v); }

/* Is b, whole, in a? Objects by keys, arrays by any element. */
static bool contains(struct pg_call *call, const struct pj *a, const struct pj *b, bool top) {
    if (!pg_call_works(call, 20)) return false;
    if (top && a->kind == PJ_ARRAY && b->kind < PJ_ARRAY) { /* an array has a scalar of its own, at the top alone */
        for (uint32_t i = 0; i < a->n; i++)
            if (pj_equal(&a->items[i], b)) return true;
        return false;
    }
    if (a->kind != b->kind && !(a->kind < PJ_ARRAY && b->kind < PJ_ARRAY)) return false;
    if (a->kind < PJ_ARRAY) return pj_equal(a, b);
    for (uint32_t i = 0; i < b->n; i++) {
        bool found = false;
        if (a->kind == PJ_OBJECT) {
            const struct pj_member *m = pj_find(a, b->members[i].key);
            found = m && (m->v.kind < PJ_ARRAY ? b->members[i].v.kind < PJ_ARRAY && pj_equal(&m->v, &b->members[i].v)
                                               : contains(call, &m->v, &b->members[i].v, false));
        } else {
            for (uint32_t k = 0; k < a->n && !found && !pg_raised(call); k++)
                found = a->items[k].kind == b->items[i].kind || (a->items[k].kind < PJ_ARRAY && b->items[i].kind < PJ_ARRAY)
                            ? contains(call, &a->items[k], &b->items[i], false)
                            : false;
        }
        if (!found) return false;
        if (a->kind == PJ_ARRAY && !pg_call_works(call, a->n)) return false;
    }
    return true;
}
PG_FN(pg_jsonb_contains) {
    struct pj a, b;
    if (read(call, args[0].s, &a) && read(call, args[1].s, &b)) *out = pg_bool(contains(call, &a, &b, true));
}
PG_FN(pg_jsonb_contained) {
    const struct db_value swapped[] = {args[1], args[0]};
    pg_jsonb_contains(call, swapped, n, out);
}

/* A key of an object, a string of an array, a string itself. */
static bool exists(const struct pj *v, str key) {
    if (v->kind == PJ_OBJECT) return pj_find(v, key) != NULL;
    if (v->kind == PJ_STRING) return str_eq(v->s, key);
    for (uint32_t i = 0; v->kind == PJ_ARRAY && i < v->n; i++)
        if (v->items[i].kind == PJ_STRING && str_eq(v->items[i].s, key)) return true;
    return false;
}
PG_FN(pg_jsonb_exists) {
    struct pj v;
    if (read(call, args[0].s, &v)) *out = pg_bool(exists(&v, args[1].s));
}
static void exist(struct pg_call *call, const struct db_value *args, bool any, struct db_value *out) {
    struct pj v;
    struct pg_array keys;
    if (!read(call, args[0].s, &v) || !pg_array_texts(call, args[1].s, &keys)) return;
    bool answer = !any;
    for (uint32_t i = 0; i < keys.n && answer != any && pg_call_works(call, v.n); i++)
        if (keys.items[i].kind != DB_NULL && exists(&v, keys.items[i].s) == any) answer = any;
    *out = pg_bool(answer);
}
PG_FN(pg_jsonb_exists_any) { exist(call, args, true, out); }
PG_FN(pg_jsonb_exists_all) { exist(call, args, false, out); }

/* ---- changes ---- */

static struct pj *items_of(struct pg_call *call, uint64_t n) { return arena_array(call->mem, struct pj, n + 1); }

static struct pj as_array(struct pg_call *call, const struct pj *v) {
    if (v->kind == PJ_ARRAY) return *v;
    struct pj a = {.kind = PJ_ARRAY, .n = 1, .items = items_of(call, 1)};
    a.items[0] = *v;
    return a;
}

PG_FN(pg_jsonb_concat) {
    struct pj a, b, to = {0};
    if (!read(call, args[0].s, &a) || !read(call, args[1].s, &b)) return;
    if (a.kind == PJ_OBJECT && b.kind == PJ_OBJECT) {
        to = (struct pj){.kind = PJ_OBJECT, .n = a.n + b.n, .members = arena_array(call->mem, struct pj_member, a.n + b.n + 1)};
        if (a.n) memcpy(to.members, a.members, a.n * sizeof *to.members);
        if (b.n) memcpy(to.members + a.n, b.members, b.n * sizeof *to.members);
        pj_sort(call, &to);
    } else {
        a = as_array(call, &a);
        b = as_array(call, &b);
        to = (struct pj){.kind = PJ_ARRAY, .n = a.n + b.n, .items = items_of(call, (uint64_t)a.n + b.n)};
        if (a.n) memcpy(to.items, a.items, a.n * sizeof *to.items);
        if (b.n) memcpy(to.items + a.n, b.items, b.n * sizeof *to.items);
    }
    *out = pj_text(call, &to);
}

static void remove_item(struct pj *v, uint32_t at) {
    if (v->kind == PJ_OBJECT) memmove(v->members + at, v->members + at + 1, (v->n - at - 1) * sizeof *v->members);
    else memmove(v->items + at, v->items + at + 1, (v->n - at - 1) * sizeof *v->items);
    v->n--;
}

static void remove_key(struct pj *v, str key) {
    const struct pj_member *m = pj_find(v, key);
    if (m) remove_item(v, (uint32_t)(m - v->members));
    for (uint32_t i = v->kind == PJ_ARRAY ? v->n : 0; i-- > 0;)
        if (v->items[i].kind == PJ_STRING && str_eq(v->items[i].s, key)) remove_item(v, i);
}
static bool not_scalar(struct pg_call *call, const struct pj *v) {
    return v->kind >= PJ_ARRAY || pg_raise(call, "22023", "cannot delete from scalar");
}
PG_FN(pg_jsonb_delete) {
    struct pj v;
    if (!read(call, args[0].s, &v) || !not_scalar(call, &v)) return;
    remove_key(&v, args[1].s);
    *out = pj_text(call, &v);
}
PG_FN(pg_jsonb_delete_keys) {
    struct pj v;
    struct pg_array keys;
    if (!read(call, args[0].s, &v) || !not_scalar(call, &v) || !pg_array_texts(call, args[1].s, &keys)) return;
    if (keys.dimensions > 1) return (void)pg_raise(call, "2202E", "wrong number of array subscripts");
    for (uint32_t i = 0; i < keys.n && pg_call_works(call, v.n); i++)
        if (keys.items[i].kind != DB_NULL) remove_key(&v, keys.items[i].s);
    *out = pj_text(call, &v);
}
PG_FN(pg_jsonb_delete_at) {
    struct pj v;
    if (!read(call, args[0].s, &v)) return;
    if (v.kind == PJ_OBJECT) return (void)pg_raise(call, "22023", "cannot delete from object using integer index");
    if (!not_scalar(call, &v)) return;
    int64_t i = args[1].i < 0 ? args[1].i + v.n : args[1].i;
    if (i >= 0 && i < v.n) remove_item(&v, (uint32_t)i);
    *out = pj_text(call, &v);
}

/* What is done at the end of a path. */
enum change { SET, SET_ONLY, INSERT_BEFORE, INSERT_AFTER, DELETE };
struct changing {
    struct pg_call *call;
    const struct db_value *keys;
    uint32_t n;
    enum change change;
    struct pj v;
};

static void add_item(struct changing *c, struct pj *to, uint32_t at) {
    struct pj *items = items_of(c->call, (uint64_t)to->n + 1);
    if (at) memcpy(items, to->items, at * sizeof *items);
    items[at] = c->v;
    if (to->n > at) memcpy(items + at + 1, to->items + at, (to->n - at) * sizeof *items);
    to->items = items;
    to->n++;
}

static void add_member(struct changing *c, struct pj *to, str key) {
    struct pj_member *members = arena_array(c->call->mem, struct pj_member, to->n + 1);
    if (to->n) memcpy(members, to->members, to->n * sizeof *members);
    members[to->n] = (struct pj_member){key, c->v};
    to->members = members;
    to->n++;
    pj_sort(c->call, to);
}

static bool change(struct changing *c, struct pj *at, uint32_t depth);

static bool change_member(struct changing *c, struct pj *at, uint32_t depth, str key) {
    struct pj_member *m = pj_find(at, key);
    bool last = depth + 1 == c->n;
    if (m && !last) return change(c, &m->v, depth + 1);
    if (m && (c->change == INSERT_BEFORE || c->change == INSERT_AFTER)) {
        pg_raise(c->call, "22023", "cannot replace existing key");
        pg_raise_hint(c->call, "Try using the function jsonb_set to replace key value.");
        return false;
    }
    if (m && c->change == DELETE) remove_item(at, (uint32_t)(m - at->members));
    else if (m) m->v = c->v;
    else if (last && c->change != SET_ONLY && c->change != DELETE) add_member(c, at, key);
    return true;
}

static bool change_item(struct changing *c, struct pj *at, uint32_t depth, str key) {
    int64_t i;
    bool last = depth + 1 == c->n;
    if (!whole_number(key, &i))
        return pg_raise(c->call, "22P02", "path element at position %u is not an integer: \"" STR_FMT "\"", depth + 1,
                        STR_ARG(key));
    bool before = i < 0 && -i > (int64_t)at->n, there;
    if (i < 0) i = before ? 0 : i + at->n;
    there = !before && i < at->n;
    if (!last) return there ? change(c, &at->items[i], depth + 1) : true;
    if (c->change == DELETE) {
        if (there) remove_item(at, (uint32_t)i);
    } else if (there && (c->change == INSERT_BEFORE || c->change == INSERT_AFTER)) {
        add_item(c, at, (uint32_t)i + (c->change == INSERT_AFTER));
    } else if (there) {
        at->items[i] = c->v;
    } else if (c->change != SET_ONLY) {
        add_item(c, at, before ? 0 : at->n);
    }
    return true;
}

static bool change(struct changing *c, struct pj *at, uint32_t depth) {
    const struct db_value *key = &c->keys[depth];
    if (key->kind == DB_NULL) return pg_raise(c->call, "22004", "path element at position %u is null", depth + 1);
    if (at->kind == PJ_OBJECT) return change_member(c, at, depth, key->s);
    if (at->kind == PJ_ARRAY) return change_item(c, at, depth, key->s);
    return true; /* a scalar: there is no such place */
}

static void changed(struct pg_call *call, str s, str keys_text, const struct db_value *v, enum change how, struct db_value *out) {
    struct pj top;
    struct pg_array keys;
    struct changing c = {.call = call, .change = how};
    if (!read(call, s, &top) || !pg_array_texts(call, keys_text, &keys)) return;
    if (keys.dimensions > 1) return (void)pg_raise(call, "2202E", "wrong number of array subscripts");
    if (top.kind < PJ_ARRAY)
        return (void)pg_raise(call, "22023", how == DELETE ? "cannot delete path in scalar" : "cannot set path in scalar");
    if (v && !read(call, v->s, &c.v)) return;
    c.keys = keys.items;
    c.n = keys.n;
    if (keys.n && !((top.n == 0) && (how == SET_ONLY || how == DELETE)) && !change(&c, &top, 0)) return;
    *out = pj_text(call, &top);
}
/* jsonb, path, value [, is it made where it is not there] */
PG_FN(pg_jsonb_set) { changed(call, args[0].s, args[1].s, &args[2], n > 3 && !args[3].i ? SET_ONLY : SET, out); }
PG_FN(pg_jsonb_insert) { changed(call, args[0].s, args[1].s, &args[2], n > 3 && args[3].i ? INSERT_AFTER : INSERT_BEFORE, out); }
PG_FN(pg_jsonb_delete_path) { changed(call, args[0].s, args[1].s, NULL, DELETE, out); }
/* jsonb, path, value or null, create, what null means */
PG_FN(pg_jsonb_set_lax) {
    static const struct db_value null_value = {DB_TEXTUAL, {.s = STR_INIT("null")}};
    if (args[0].kind == DB_NULL || args[1].kind == DB_NULL || (n > 3 && args[3].kind == DB_NULL)) return;
    str treatment = n > 4 && args[4].kind == DB_TEXTUAL ? args[4].s : STR("use_json_null");
    bool create = n <= 3 || args[3].i;
    if (n > 4 && args[4].kind == DB_NULL)
        return (void)pg_raise(
            call, "22004",
            "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"");
    if (args[2].kind != DB_NULL) changed(call, args[0].s, args[1].s, &args[2], create ? SET : SET_ONLY, out);
    else if (str_eqc(treatment, "raise_exception")) {
        pg_raise(call, "22004", "JSON value must not be null");
        pg_raise_detail(call, "Exception was raised because null_value_treatment is \"raise_exception\".");
        pg_raise_hint(call,
                      "To avoid, either change the null_value_treatment argument or ensure that an SQL NULL is not passed.");
    } else if (str_eqc(treatment, "use_json_null"))
        changed(call, args[0].s, args[1].s, &null_value, create ? SET : SET_ONLY, out);
    else if (str_eqc(treatment, "delete_key")) changed(call, args[0].s, args[1].s, NULL, DELETE, out);
    else if (str_eqc(treatment, "return_target")) *out = args[0];
    else
        pg_raise(call, "22023",
                 "null_value_treatment must be \"delete_key\", \"return_target\", \"use_json_null\", or \"raise_exception\"");
}

static void strip(struct pj *v) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->n && v->kind == PJ_OBJECT; i++) {
        strip(&v->members[i].v);
        if (v->members[i].v.kind != PJ_NULL) v->members[kept++] = v->members[i];
    }
    for (uint32_t i = 0; i < v->n && v->kind == PJ_ARRAY; i++) strip(&v->items[i]);
    if (v->kind == PJ_OBJECT) v->n = kept;
}
PG_FN(pg_jsonb_strip_nulls) {
    struct pj v;
    if (!read(call, args[0].s, &v)) return;
    strip(&v);
    *out = pj_text(call, &v);
}

/* ---- j['a'][1] := v ---- */

/* The item or member that a key names, made if there is none. NULL: raised. */
static struct pj *place_of(struct pg_call *call, struct pj *at, const struct db_value *key, uint32_t position, struct pj fresh) {
    struct changing c = {.call = call, .v = fresh};
    char text[24];
    str name = key->s;
    int64_t i;
    if (key->kind == DB_INTEGER) snprintf(text, sizeof text, "%lld", (long long)key->i), name = arena_str(call->mem, str_c(text));
    if (at->kind == PJ_OBJECT) {
        if (!pj_find(at, name)) add_member(&c, at, name);
        return &pj_find(at, name)->v;
    }
    if (at->kind != PJ_ARRAY) {
        pg_raise(call, "22023", "cannot replace existing key");
        pg_raise_detail(call, "The path assumes key is a composite object, but it is a scalar value.");
        return NULL;
    }
    if (!whole_number(name, &i)) {
        pg_raise(call, "22P02", "path element at position %u is not an integer: \"" STR_FMT "\"", position, STR_ARG(name));
        return NULL;
    }
    int64_t from_end = i < 0 ? i + at->n : i;
    if (from_end < 0) {
        pg_raise(call, "22023", "path element at position %u is out of range: %lld", position, (long long)i);
        return NULL;
    }
    if (from_end >= PJ_VALUES_MAX) {
        pg_raise(call, "54000", "a JSON value has more than %d values", PJ_VALUES_MAX);
        return NULL;
    }
    if (from_end >= at->n) {
        struct pj *items = items_of(call, (uint64_t)from_end + 1);
        if (at->n) memcpy(items, at->items, at->n * sizeof *items);
        for (int64_t k = at->n; k < from_end; k++) items[k] = (struct pj){.kind = PJ_NULL};
        items[from_end] = fresh;
        at->items = items, at->n = (uint32_t)from_end + 1;
    }
    return &at->items[from_end];
}
/* jsonb, value, keys: text, or a number */
PG_FN(pg_jsonb_set_subscript) {
    struct pj top = {.kind = args[2].kind == DB_INTEGER ? PJ_ARRAY : PJ_OBJECT}, v = {.kind = PJ_NULL};
    for (uint32_t i = 2; i < n; i++)
        if (args[i].kind == DB_NULL) return (void)pg_raise(call, "22004", "jsonb subscript in assignment must not be null");
    if (args[0].kind != DB_NULL && !read(call, args[0].s, &top)) return;
    if (args[1].kind != DB_NULL && !read(call, args[1].s, &v)) return;
    struct pj *at = &top;
    for (uint32_t i = 2; at && i < n; i++) {
        struct pj fresh = {.kind = i + 1 == n ? PJ_NULL : args[i + 1].kind == DB_INTEGER ? PJ_ARRAY : PJ_OBJECT};
        at = place_of(call, at, &args[i], i - 1, fresh);
    }
    if (!at) return;
    *at = v;
    *out = pj_text(call, &top);
}

/* json's own: without any blanks, in its order */
static void put_compact(struct buf *b, const struct pj *v) {
    bool object = v->kind == PJ_OBJECT;
    if (v->kind < PJ_ARRAY) {
        pj_put(b, v);
        return;
    }
    buf_putc(b, object ? '{' : '[');
    for (uint32_t i = 0; i < v->n; i++) {
        if (i) buf_putc(b, ',');
        if (object) pj_put_string(b, v->members[i].key), buf_putc(b, ':');
        put_compact(b, object ? &v->members[i].v : &v->items[i]);
    }
    buf_putc(b, object ? '}' : ']');
}
PG_FN(pg_json_strip_nulls) {
    struct pj v;
    struct buf *b = pg_call_buf(call);
    if (!pj_read(call, args[0].s, PJ_JSON, &v)) return;
    strip(&v);
    put_compact(b, &v);
    *out = pg_call_built(call, b);
}
PG_FN(pg_jsonb_pretty) {
    struct pj v;
    struct buf *b = pg_call_buf(call);
    if (!read(call, args[0].s, &v)) return;
    pj_pretty(b, &v);
    *out = pg_call_built(call, b);
}

/* ---- sets ---- */

struct each {
    struct pj_walk w;
};
static bool open_walk(struct pg_call *call, struct each *e, const struct db_value *args, bool object, const char *function) {
    enum pj_kind kind = pj_kind_of(args[0].s);
    if (kind == (object ? PJ_OBJECT : PJ_ARRAY)) return pj_walk_begin(&e->w, args[0].s, object);
    e->w = (struct pj_walk){0};
    bool keys = strstr(function, "keys"), scalar = kind < PJ_ARRAY;
    if (!object && strstr(function, "jsonb"))
        return pg_raise(call, "22023",
                        scalar ? "cannot extract elements from a scalar" : "cannot extract elements from an object");
    if (!object)
        return pg_raise(call, "22023", scalar ? "cannot call %s on a scalar" : "cannot call %s on a non-array", function);
    if (keys) return pg_raise(call, "22023", scalar ? "cannot call %s on a scalar" : "cannot call %s on an array", function);
    if (strstr(function, "jsonb")) return pg_raise(call, "22023", "cannot call %s on a non-object", function);
    return pg_raise(call, "22023", scalar ? "cannot deconstruct a scalar" : "cannot deconstruct an array as an object");
}
#define OPEN(name, object, function)                                                                                             \
    static void name(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {                               \
        (void)n;                                                                                                                 \
        (void)open_walk(call, state, args, object, function);                                                                    \
    }
OPEN(open_each_json, true, "json_each")
OPEN(open_each_jsonb, true, "jsonb_each")
OPEN(open_each_text_jsonb, true, "jsonb_each_text")
OPEN(open_keys_json, true, "json_object_keys")
OPEN(open_keys_jsonb, true, "jsonb_object_keys")
OPEN(open_elements, false, "json_array_elements")
OPEN(open_elements_text, false, "json_array_elements_text")
OPEN(open_elements_jsonb, false, "jsonb_array_elements")

static bool next_each(struct pg_call *call, void *state, struct db_value *columns) {
    struct each *e = state;
    str key, value;
    if (!e->w.s.n || !pj_walk_next(&e->w, &key, &value)) return false;
    columns[0] = DB_TEXT(pj_unescape(call, key));
    columns[1] = DB_TEXT(value);
    return true;
}
static bool next_each_text(struct pg_call *call, void *state, struct db_value *columns) {
    if (!next_each(call, state, columns)) return false;
    str value = columns[1].s;
    columns[1] = DB_NOTHING;
    as_text(call, value, &columns[1]);
    return true;
}
static bool next_key(struct pg_call *call, void *state, struct db_value *columns) {
    struct db_value both[2];
    if (!next_each(call, state, both)) return false;
    columns[0] = both[0];
    return true;
}
static bool next_element(struct pg_call *call, void *state, struct db_value *columns) {
    struct each *e = state;
    str value;
    (void)call;
    if (!e->w.s.n || !pj_walk_next(&e->w, &value, &value)) return false;
    columns[0] = DB_TEXT(value);
    return true;
}
static bool next_element_text(struct pg_call *call, void *state, struct db_value *columns) {
    if (!next_element(call, state, columns)) return false;
    str value = columns[0].s;
    columns[0] = DB_NOTHING;
    as_text(call, value, &columns[0]);
    return true;
}
const struct pg_set pg_json_each = {sizeof(struct each), 2, open_each_json, next_each, NULL};
const struct pg_set pg_json_each_text = {sizeof(struct each), 2, open_each_json, next_each_text, NULL};
const struct pg_set pg_jsonb_each = {sizeof(struct each), 2, open_each_jsonb, next_each, NULL};
const struct pg_set pg_jsonb_each_text = {sizeof(struct each), 2, open_each_text_jsonb, next_each_text, NULL};
const struct pg_set pg_json_object_keys = {sizeof(struct each), 1, open_keys_json, next_key, NULL};
const struct pg_set pg_jsonb_object_keys = {sizeof(struct each), 1, open_keys_jsonb, next_key, NULL};
const struct pg_set pg_json_array_elements = {sizeof(struct each), 1, open_elements, next_element, NULL};
const struct pg_set pg_json_array_elements_text = {sizeof(struct each), 1, open_elements_text, next_element_text, NULL};
const struct pg_set pg_jsonb_array_elements = {sizeof(struct each), 1, open_elements_jsonb, next_element, NULL};
const struct pg_set pg_jsonb_array_elements_text = {sizeof(struct each), 1, open_elements_jsonb, next_element_text, NULL};
