/* ordered: an aggregate's rows, collected, sorted by keys, and given to it in that order: agg(x order by k), agg(distinct x).
 *
 * 1. What is collected is of the statement's memory (db_take), so that a large group ends as a large statement does.
 * 2. spec, keys and arguments come with every row; spec is the translator's constant, and is read with the first one.
 * 3. The sort is stable, so that rows with equal keys come as they came.
 */
#include "pg/pg_int.h"
#include <stdlib.h>

enum { KEYS_MAX = 16, VALUES_MAX = 100 };
struct key {
    bool desc, nulls_first;
    const struct pg_collation *collation;
};
struct pg_ordered {
    bool began, distinct;
    uint32_t keys, values; /* values: of a row, keys included */
    struct key key[KEYS_MAX];
    uint8_t *bytes; /* of texts and blobs */
    size_t bytes_n, bytes_cap;
    struct db_value *row; /* of a text, s.p is its place in bytes, until all are there */
    size_t rows, rows_cap;
};
const size_t pg_ordered_bytes = sizeof(struct pg_ordered);

/* ---- the spec ---- */

static const struct pg_collation *collation_named(str name) {
    uint32_t n;
    const struct pg_collation *all = pg_collations_all(&n);
    for (uint32_t i = 0; i < n; i++)
        if (str_eqc(name, all[i].name)) return &all[i];
    return NULL;
}

static int compare_trimmed(str a, str b) {
    while (a.n && a.p[a.n - 1] == ' ') a.n--;
    while (b.n && b.p[b.n - 1] == ' ') b.n--;
    return str_cmp(a, b);
}

static bool read_key(struct key *key, str text) {
    static const struct pg_collation trimmed = {"RTRIM", compare_trimmed};
    str direction, nulls, collation;
    str_cut(text, ' ', &direction, &text);
    str_cut(text, ' ', &nulls, &collation);
    key->desc = str_eqc(direction, "desc");
    key->nulls_first = str_eqc(nulls, "first");
    if (str_eq_nocase(collation, STR("RTRIM"))) key->collation = &trimmed;
    else if (collation.n && !str_eq_nocase(collation, STR("BINARY")) && !(key->collation = collation_named(collation)))
        return false;
    return true;
}

static bool begin(struct pg_ordered *o, str spec, uint32_t n) {
    str distinct = STR("distinct;"), one;
    o->distinct = str_starts(spec, distinct);
    if (o->distinct) spec = str_sub(spec, distinct.n, spec.n);
    while (spec.n) {
        str_cut(spec, ',', &one, &spec);
        if (o->keys == KEYS_MAX || !read_key(&o->key[o->keys++], one)) return false;
    }
    o->began = true;
    o->values = n;
    return o->keys <= n && n <= VALUES_MAX;
}

/* ---- collecting ---- */

static bool grow(void *memory, size_t *cap, size_t want, size_t size) {
    void **p = memory;
    if (want <= *cap) return true;
    size_t more = MAX(*cap * 2, MAX(want, (size_t)16));
    void *q = db_take(*p, more * size);
    if (q) *p = q, *cap = more;
    return q != NULL;
}

static bool collect(struct pg_ordered *o, const struct db_value *values) {
    if (!grow(&o->row, &o->rows_cap, (o->rows + 1) * o->values, sizeof *o->row)) return false;
    struct db_value *to = &o->row[o->rows * o->values];
    for (uint32_t i = 0; i < o->values; i++) {
        to[i] = values[i];
        if (values[i].kind < DB_TEXTUAL) continue;
        if (!grow(&o->bytes, &o->bytes_cap, o->bytes_n + values[i].s.n, 1)) return false;
        if (values[i].s.n) memcpy(o->bytes + o->bytes_n, values[i].s.p, values[i].s.n);
        to[i].s.p = (const uint8_t *)(uintptr_t)o->bytes_n;
        o->bytes_n += values[i].s.n;
    }
    o->rows++;
    return true;
}

void pg_ordered_step(struct pg_call *call, struct pg_ordered *o, const struct db_value *args, uint32_t n) {
    if (!o->began && (!n || args[0].kind != DB_TEXTUAL || !begin(o, args[0].s, n - 1)))
        pg_raise(call, "XX000", "an aggregate's order is not one");
    else if (n - 1 != o->values || !collect(o, args + 1)) pg_raise(call, "53200", "out of memory");
    else (void)pg_call_works(call, 50);
}

void pg_ordered_drop(struct pg_ordered *o) {
    db_give_back(o->bytes);
    db_give_back(o->row);
}

/* ---- sorting ---- */

static int compare_values(const struct key *key, const struct db_value *a, const struct db_value *b) {
    if (a->kind == DB_NULL || b->kind == DB_NULL) {
        int nulls = (a->kind == DB_NULL) - (b->kind == DB_NULL);
        return key->nulls_first ? -nulls : nulls;
    }
    int c;
    if (a->kind != b->kind) c = a->kind < b->kind ? -1 : 1;
    else if (a->kind == DB_INTEGER) c = (a->i > b->i) - (a->i < b->i);
    else if (a->kind == DB_REAL) c = (a->f > b->f) - (a->f < b->f);
    else c = key->collation ? key->collation->compare(a->s, b->s) : str_cmp(a->s, b->s);
    return key->desc ? -c : c;
}

static int compare_keys(const struct pg_ordered *o, const struct db_value *a, const struct db_value *b) {
    for (uint32_t i = 0; i < o->keys; i++) {
        int c = compare_values(&o->key[i], &a[i], &b[i]);
        if (c) return c;
    }
    return 0;
}

/* Merges from[0 .. n), sorted in pieces of `half`, into to. */
static void merge(const struct pg_ordered *o, struct db_value **from, struct db_value **to, size_t n, size_t half) {
    size_t i = 0, j = MIN(half, n), left = j, k = 0, end = MIN(2 * half, n);
    while (i < left || j < end) {
        bool first = j >= end || (i < left && compare_keys(o, from[i], from[j]) <= 0);
        to[k++] = first ? from[i++] : from[j++];
    }
}

static struct db_value **sort(struct pg_call *call, const struct pg_ordered *o, struct db_value **rows, struct db_value **other) {
    for (size_t half = 1; half < o->rows; half *= 2) {
        for (size_t at = 0; at < o->rows; at += 2 * half) {
            merge(o, rows + at, other + at, o->rows - at, half);
            if (!pg_call_works(call, 20 * half)) return rows;
        }
        struct db_value **swap = rows;
        rows = other, other = swap;
    }
    return rows;
}

static void feed(struct pg_call *call, const struct pg_ordered *o, const struct pg_c_aggregate *of, struct db_value **rows,
                 void *state) {
    const struct db_value *before = NULL;
    for (size_t i = 0; i < o->rows && pg_call_works(call, 20); i++) {
        bool again = o->distinct && before && !compare_keys(o, before, rows[i]);
        bool skip = again;
        for (uint32_t k = o->keys; k < o->values && of->flags & PG_STRICT; k++) skip |= rows[i][k].kind == DB_NULL;
        before = rows[i];
        if (!skip) of->aggregate->step(call, state, rows[i] + o->keys, o->values - o->keys);
    }
}

void pg_ordered_value(struct pg_call *call, struct pg_ordered *o, const struct pg_c_aggregate *of, struct db_value *out) {
    if (pg_raised(call)) return;
    void *state = arena_alloc(call->mem, of->aggregate->state_bytes, _Alignof(max_align_t));
    struct db_value **rows = db_take(NULL, (2 * o->rows + 1) * sizeof *rows);
    if (!rows) {
        pg_raise(call, "53200", "out of memory");
        return;
    }
    for (size_t i = 0; i < o->rows * o->values; i++) {
        struct db_value *v = &o->row[i];
        if (v->kind >= DB_TEXTUAL) v->s.p = o->bytes + (uintptr_t)v->s.p;
    }
    for (size_t i = 0; i < o->rows; i++) rows[i] = &o->row[i * o->values];
    feed(call, o, of, sort(call, o, rows, rows + o->rows), state);
    if (!pg_raised(call)) of->aggregate->value(call, state, out);
    if (of->aggregate->drop) of->aggregate->drop(state);
    db_give_back(rows);
    o->rows = 0; /* the places are none any more: it is asked once */
}
