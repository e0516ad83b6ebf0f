/* array_functions: what SQL calls of arrays. A hidden first argument is the type of the first one (CT rows), or of the elements (what the
 * translator writes: pg_array, pg_subscript, pg_slice). Subscripts count from 1. */
#include "pg/arrays.h"
#include "pg/jsons.h"

static uint32_t element_of(struct pg_call *call, const struct db_value *type) {
    const struct pg_type *t = pg_call_base(call, (uint32_t)type->i);
    return t && t->element ? t->element : (uint32_t)type->i;
}

/* The array that is v, of a type or of its elements' (type). */
static bool read(struct pg_call *call, const struct db_value *type, struct db_value v, struct pg_array *out) {
    *out = (struct pg_array){0};
    return v.kind == DB_NULL || pg_array_read(call, v.s, pg_array_blobs(call, element_of(call, type)), out);
}

static const char *collation_of(struct pg_call *call, uint32_t element) {
    const struct pg_type *t = pg_call_base(call, element);
    return t ? t->collation : "";
}

/* Are two elements equal? Nulls are. */
static bool equal(const char *collation, const struct db_value *a, const struct db_value *b) {
    if (a->kind == DB_NULL || b->kind == DB_NULL) return a->kind == b->kind;
    if (a->kind == DB_INTEGER && b->kind == DB_INTEGER) return a->i == b->i;
    if (a->kind < DB_TEXTUAL || b->kind < DB_TEXTUAL) {
        double f = a->kind == DB_REAL ? a->f : (double)a->i, g = b->kind == DB_REAL ? b->f : (double)b->i;
        return a->kind < DB_TEXTUAL && b->kind < DB_TEXTUAL && f == g;
    }
    uint32_t n;
    const struct pg_collation *all = pg_collations_all(&n);
    for (uint32_t i = 0; collation[0] && i < n; i++)
        if (!strcmp(all[i].name, collation)) return all[i].compare(a->s, b->s) == 0;
    return str_eq(a->s, b->s);
}

static struct pg_array flat(struct db_value *items, uint32_t n) {
    return (struct pg_array){.dimensions = n ? 1 : 0, .n = n, .size = {n}, .items = items};
}

/* ---- sizes ---- */

/* dimension; 0: there is no such */
static uint32_t size_of(const struct pg_array *a, int64_t dimension) {
    return dimension < 1 || dimension > a->dimensions ? 0 : a->size[dimension - 1];
}
PG_FN(pg_array_length) {
    struct pg_array a;
    if (pg_array_texts(call, args[0].s, &a) && size_of(&a, args[1].i)) *out = DB_I64(size_of(&a, args[1].i));
}
PG_FN(pg_array_lower) {
    struct pg_array a;
    if (pg_array_texts(call, args[0].s, &a) && size_of(&a, args[1].i)) *out = DB_I64(1);
}
PG_FN(pg_array_ndims) {
    struct pg_array a;
    if (pg_array_texts(call, args[0].s, &a) && a.n) *out = DB_I64(a.dimensions);
}
PG_FN(pg_cardinality) {
    struct pg_array a;
    if (pg_array_texts(call, args[0].s, &a)) *out = DB_I64(a.n);
}
PG_FN(pg_array_dims) {
    struct pg_array a;
    struct buf *b = pg_call_buf(call);
    if (!pg_array_texts(call, args[0].s, &a) || !a.n) return;
    for (uint32_t d = 0; d < a.dimensions; d++) buf_printf(b, "[1:%u]", a.size[d]);
    *out = pg_call_built(call, b);
}

/* ---- made ---- */

/* element type, elements: ARRAY[…] */
PG_FN(pg_array) {
    struct db_value *items = arena_array(call->mem, struct db_value, n);
    for (uint32_t i = 1; i < n; i++) items[i - 1] = args[i];
    struct pg_array a = flat(items, n - 1);
    *out = pg_array_stored(call, &a);
}

static bool same_sizes(const struct pg_array *a, const struct pg_array *b, uint32_t from, uint32_t from_b) {
    if (a->dimensions - from != b->dimensions - from_b) return false;
    for (uint32_t d = 0; d + from < a->dimensions; d++)
        if (a->size[d + from] != b->size[d + from_b]) return false;
    return true;
}
static bool ragged(struct pg_call *call) {
    return pg_raise(call, "2202E", "multidimensional arrays must have array expressions with matching dimensions");
}

/* element type, arrays: ARRAY[ARRAY[…], …] */
PG_FN(pg_array2) {
    struct pg_array a = {0}, one, first = {0};
    struct db_value *items = NULL;
    bool any = false, empty = false;
    for (uint32_t i = 1; i < n; i++) {
        if (!read(call, &args[0], args[i], &one)) return;
        if (!one.n) {
            empty = true;
            continue;
        }
        if (!any) first = one, items = arena_array(call->mem, struct db_value, (size_t)one.n * n), any = true;
        else if (!same_sizes(&first, &one, 0, 0)) return (void)ragged(call);
        memcpy(items + a.n, one.items, one.n * sizeof *items);
        a.n += one.n;
    }
    if (any && empty) return (void)ragged(call);
    a.items = items;
    if (any && first.dimensions == PG_ARRAY_DIMENSIONS_MAX)
        return (void)pg_raise(call, "54000", "number of array dimensions exceeds the maximum allowed");
    a.dimensions = any ? first.dimensions + 1 : 0;
    a.size[0] = n - 1;
    for (uint32_t d = 0; d < first.dimensions && any; d++) a.size[d + 1] = first.size[d];
    *out = pg_array_stored(call, &a);
}

static void append(struct pg_call *call, const struct pg_array *a, struct db_value v, bool before, struct db_value *out) {
    struct pg_array to = *a;
    if (a->dimensions > 1) return (void)pg_raise(call, "22000", "argument must be empty or one-dimensional array");
    to.items = arena_array(call->mem, struct db_value, a->n + 1);
    if (a->n) memcpy(to.items + before, a->items, a->n * sizeof *to.items);
    to.items[before ? 0 : a->n] = v;
    to = flat(to.items, a->n + 1);
    *out = pg_array_stored(call, &to);
}
/* array type, array, element */
PG_FN(pg_array_append) {
    struct pg_array a;
    if (read(call, &args[0], args[1], &a)) append(call, &a, args[2], false, out);
}
/* element type, element, array */
PG_FN(pg_array_prepend) {
    struct pg_array a;
    if (read(call, &args[0], args[2], &a)) append(call, &a, args[1], true, out);
}

static bool incompatible(struct pg_call *call, const struct pg_array *a, const struct pg_array *b) {
    pg_raise(call, "2202E", "cannot concatenate incompatible arrays");
    if (a->dimensions > b->dimensions + 1 || b->dimensions > a->dimensions + 1)
        pg_raise_detail(call, "Arrays of %u and %u dimensions are not compatible for concatenation.", a->dimensions,
                        b->dimensions);
    else pg_raise_detail(call, "Arrays with differing element dimensions are not compatible for concatenation.");
    return false;
}

/* array type, array, array */
PG_FN(pg_array_cat) {
    struct pg_array a, b, to;
    if (args[1].kind == DB_NULL || args[2].kind == DB_NULL) {
        *out = args[1].kind == DB_NULL ? args[2] : args[1];
        return;
    }
    if (!read(call, &args[0], args[1], &a) || !read(call, &args[0], args[2], &b)) return;
    if (!a.n || !b.n) {
        *out = a.n ? args[1] : args[2];
        return;
    }
    to = a.dimensions >= b.dimensions ? a : b;
    if (a.dimensions == b.dimensions) {
        if (!same_sizes(&a, &b, 1, 1)) return (void)incompatible(call, &a, &b);
        to.size[0] = a.size[0] + b.size[0];
    } else {
        const struct pg_array *more = a.dimensions > b.dimensions ? &a : &b, *less = more == &a ? &b : &a;
        if (more->dimensions != less->dimensions + 1 || !same_sizes(more, less, 1, 0)) return (void)incompatible(call, &a, &b);
        to.size[0]++;
    }
    to.n = a.n + b.n;
    to.items = arena_array(call->mem, struct db_value, to.n);
    memcpy(to.items, a.items, a.n * sizeof *to.items);
    memcpy(to.items + a.n, b.items, b.n * sizeof *to.items);
    *out = pg_array_stored(call, &to);
}

/* element type, element, lengths as int4[] */
PG_FN(pg_array_fill) {
    struct pg_array sizes, a = {0};
    if (args[2].kind == DB_NULL) return (void)pg_raise(call, "22004", "dimension array or low bound array cannot be null");
    if (!pg_array_texts(call, args[2].s, &sizes)) return;
    uint64_t all = sizes.n ? 1 : 0;
    if (sizes.n > PG_ARRAY_DIMENSIONS_MAX)
        return (void)pg_raise(call, "54000", "number of array dimensions (%u) exceeds the maximum allowed (%d)", sizes.n,
                              PG_ARRAY_DIMENSIONS_MAX);
    for (uint32_t i = 0; i < sizes.n; i++)
        if (sizes.items[i].kind == DB_NULL) return (void)pg_raise(call, "22004", "dimension values cannot be null");
    for (uint32_t i = 0; i < sizes.n; i++) {
        if (sizes.items[i].i < 0 || sizes.items[i].i > PG_ARRAY_ITEMS_MAX)
            return (void)pg_raise(call, "54000", "array size exceeds the maximum allowed (%d)", PG_ARRAY_ITEMS_MAX);
        a.size[i] = (uint32_t)sizes.items[i].i;
        all *= a.size[i];
        if (all > PG_ARRAY_ITEMS_MAX)
            return (void)pg_raise(call, "54000", "array size exceeds the maximum allowed (%d)", PG_ARRAY_ITEMS_MAX);
    }
    a.n = (uint32_t)all;
    a.dimensions = all ? sizes.n : 0;
    a.items = arena_array(call->mem, struct db_value, a.n + 1);
    for (uint32_t i = 0; i < a.n; i++) a.items[i] = args[1];
    *out = pg_array_stored(call, &a);
}

/* ---- changed ---- */

/* array type, array, element [, element] */
PG_FN(pg_array_remove) {
    struct pg_array a;
    if (args[1].kind == DB_NULL || !read(call, &args[0], args[1], &a)) return;
    const char *collation = collation_of(call, element_of(call, &args[0]));
    if (a.dimensions > 1) return (void)pg_raise(call, "0A000", "removing elements from multidimensional arrays is not supported");
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a.n; i++)
        if (!equal(collation, &a.items[i], &args[2])) a.items[kept++] = a.items[i];
    a = flat(a.items, kept);
    *out = pg_array_stored(call, &a);
}
PG_FN(pg_array_replace) {
    struct pg_array a;
    if (args[1].kind == DB_NULL || !read(call, &args[0], args[1], &a)) return;
    const char *collation = collation_of(call, element_of(call, &args[0]));
    for (uint32_t i = 0; i < a.n; i++)
        if (equal(collation, &a.items[i], &args[2])) a.items[i] = args[3];
    *out = pg_array_stored(call, &a);
}
/* array, how many to leave out at its end */
PG_FN(pg_trim_array) {
    struct pg_array a;
    if (!pg_array_texts(call, args[0].s, &a)) return;
    uint32_t has = a.dimensions ? a.size[0] : 0;
    if (args[1].i < 0 || args[1].i > has)
        return (void)pg_raise(call, "2202E", "number of elements to trim must be between 0 and %u", has);
    a.n = has ? a.n / has * (has - (uint32_t)args[1].i) : 0;
    a.size[0] = has - (uint32_t)args[1].i;
    *out = pg_array_stored(call, &a);
}

/* ---- looked for ---- */

/* array type, array, element [, from] */
PG_FN(pg_array_position) {
    struct pg_array a;
    if (args[1].kind == DB_NULL || !read(call, &args[0], args[1], &a)) return;
    const char *collation = collation_of(call, element_of(call, &args[0]));
    if (a.dimensions > 1)
        return (void)pg_raise(call, "0A000", "searching for elements in multidimensional arrays is not supported");
    if (n > 3 && args[3].kind == DB_NULL) return (void)pg_raise(call, "22004", "initial position must not be null");
    int64_t from = n > 3 ? MAX(args[3].i, 1) : 1;
    for (int64_t i = from - 1; i < a.n; i++)
        if (equal(collation, &a.items[i], &args[2])) {
            *out = DB_I64(i + 1);
            return;
        }
}
PG_FN(pg_array_positions) {
    struct pg_array a;
    if (args[1].kind == DB_NULL || !read(call, &args[0], args[1], &a)) return;
    const char *collation = collation_of(call, element_of(call, &args[0]));
    if (a.dimensions > 1)
        return (void)pg_raise(call, "0A000", "searching for elements in multidimensional arrays is not supported");
    struct pg_array_writer w = pg_array_write(call);
    for (uint32_t i = 0; i < a.n; i++)
        if (equal(collation, &a.items[i], &args[2])) pg_array_put(&w, DB_I64(i + 1));
    *out = pg_array_done(&w);
}

/* Is each element of b in a? Nulls are in none. any: one is enough. */
static bool holds(struct pg_call *call, const struct db_value *args, bool swap, bool any) {
    struct pg_array a, b;
    if (!read(call, &args[0], args[swap ? 2 : 1], &a) || !read(call, &args[0], args[swap ? 1 : 2], &b)) return false;
    const char *collation = collation_of(call, element_of(call, &args[0]));
    for (uint32_t i = 0; i < b.n; i++) {
        bool found = false;
        for (uint32_t k = 0; k < a.n && !found && b.items[i].kind != DB_NULL; k++)
            found = equal(collation, &a.items[k], &b.items[i]);
        if (found == any) return any && found;
        if (!pg_call_works(call, a.n)) return false;
    }
    return !any;
}
/* array type, array, array */
PG_FN(pg_array_contains) { *out = pg_bool(holds(call, args, false, false)); }
PG_FN(pg_array_contained) { *out = pg_bool(holds(call, args, true, false)); }
PG_FN(pg_array_overlaps) { *out = pg_bool(holds(call, args, false, true)); }

/* ---- subscripts ---- */

/* element type, array, subscript … */
PG_FN(pg_subscript) {
    struct pg_array a;
    for (uint32_t i = 1; i < n; i++)
        if (args[i].kind == DB_NULL) return;
    if (!read(call, &args[0], args[1], &a) || n - 2 != a.dimensions) return;
    uint32_t at = 0;
    for (uint32_t d = 0; d < a.dimensions; d++) {
        int64_t i = args[2 + d].i;
        if (i < 1 || i > a.size[d]) return;
        at = at * a.size[d] + (uint32_t)i - 1;
    }
    *out = a.items[at];
}

static void copy_slice(const struct pg_array *a, const uint32_t *low, const uint32_t *size, uint32_t d, uint32_t at,
                       struct pg_array *to) {
    for (uint32_t i = 0; i < size[d]; i++) {
        uint32_t place = at * a->size[d] + low[d] + i;
        if (d + 1 < a->dimensions) copy_slice(a, low, size, d + 1, place, to);
        else to->items[to->n++] = a->items[place];
    }
}
/* element type, array, low, high …; a null bound is open */
PG_FN(pg_slice) {
    struct pg_array a, to = {0};
    uint32_t low[PG_ARRAY_DIMENSIONS_MAX], given = (n - 2) / 2;
    if (args[1].kind == DB_NULL || !read(call, &args[0], args[1], &a)) return;
    bool empty = !a.n || given > a.dimensions;
    for (uint32_t d = 0; d < a.dimensions && !empty; d++) {
        bool has = d < given;
        int64_t from = has && args[2 + 2 * d].kind != DB_NULL ? MAX(args[2 + 2 * d].i, 1) : 1;
        int64_t end = has && args[3 + 2 * d].kind != DB_NULL ? MIN(args[3 + 2 * d].i, (int64_t)a.size[d]) : a.size[d];
        empty = from > end;
        if (empty) break;
        low[d] = (uint32_t)from - 1;
        to.size[d] = (uint32_t)(end - from + 1);
    }
    if (!empty) {
        to.dimensions = a.dimensions;
        to.items = arena_array(call->mem, struct db_value, a.n);
        copy_slice(&a, low, to.size, 0, 0, &to);
    }
    *out = pg_array_stored(call, &to);
}

/* ---- assigned to ----
 *
 * As PostgreSQL's array_set_element and array_set_slice; what would begin elsewhere than at 1 is refused. */

static void elsewhere(struct pg_call *call) {
    pg_raise(call, "0A000", "an array whose first subscript is not 1 is not there on SQLite");
}
static void wrong_subscripts(struct pg_call *call) { pg_raise(call, "2202E", "wrong number of array subscripts"); }
static void too_many_dimensions(struct pg_call *call, uint32_t n) {
    pg_raise(call, "54000", "number of array dimensions (%u) exceeds the maximum allowed (%d)", n, PG_ARRAY_DIMENSIONS_MAX);
}
static void out_of_range(struct pg_call *call) { pg_raise(call, "2202E", "array subscript out of range"); }

/* Of one dimension: room up to n, with nulls between. */
static bool grow(struct pg_call *call, struct pg_array *a, int64_t n) {
    if (n <= a->n && a->n) return true;
    if (n > PG_ARRAY_ITEMS_MAX) return pg_raise(call, "54000", "array size exceeds the maximum allowed (%d)", PG_ARRAY_ITEMS_MAX);
    struct db_value *items = arena_array(call->mem, struct db_value, (size_t)n + 1);
    if (a->n) memcpy(items, a->items, a->n * sizeof *items);
    for (int64_t i = a->n; i < n; i++) items[i] = DB_NOTHING;
    *a = flat(items, (uint32_t)n);
    return true;
}

/* element type, array, value, subscript … */
PG_FN(pg_array_set) {
    struct pg_array a;
    uint32_t given = n - 3, at = 0;
    for (uint32_t i = 3; i < n; i++)
        if (args[i].kind == DB_NULL) return (void)pg_raise(call, "22004", "array subscript in assignment must not be null");
    if (!read(call, &args[0], args[1], &a)) return;
    if (given > PG_ARRAY_DIMENSIONS_MAX) return too_many_dimensions(call, given);
    if (a.dimensions && a.dimensions != given) return wrong_subscripts(call);
    for (uint32_t d = 0; d < given && (!a.n || given > 1); d++)
        if (!a.n && args[3 + d].i != 1) return elsewhere(call);
        else if (a.n && (args[3 + d].i < 1 || args[3 + d].i > a.size[d])) return out_of_range(call);
    if (!a.n) {
        a = flat(arena_make(call->mem, struct db_value), 1);
        a.dimensions = given;
        for (uint32_t d = 0; d < given; d++) a.size[d] = 1;
    } else if (given == 1) {
        if (args[3].i < 1) return elsewhere(call);
        if (!grow(call, &a, args[3].i)) return;
    }
    for (uint32_t d = 0; d < given; d++) at = at * a.size[d] + (uint32_t)args[3 + d].i - 1;
    a.items[at] = args[2];
    *out = pg_array_stored(call, &a);
}

static void put_slice(struct pg_array *a, const uint32_t *low, const uint32_t *size, const struct db_value *from,
                      uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        uint64_t rest = i, at = 0, step = 1;
        for (uint32_t d = a->dimensions; d-- > 0; rest /= size[d], step *= a->size[d]) at += (low[d] + rest % size[d]) * step;
        a->items[at] = from[i];
    }
}

/* Where a slice of an array is to be; of an empty one both bounds are given. False: raised. */
static bool slice_of(struct pg_call *call, struct pg_array *a, const struct db_value *bounds, uint32_t given, uint32_t *low,
                     uint32_t *size, uint64_t *count) {
    bool empty = !a->n;
    *count = 1;
    if (given > PG_ARRAY_DIMENSIONS_MAX) return too_many_dimensions(call, given), false;
    if (!empty && a->dimensions < given) return wrong_subscripts(call), false;
    for (uint32_t d = 0; d < (empty ? given : a->dimensions); d++) {
        bool has = d < given;
        struct db_value from = has ? bounds[2 * d] : DB_NOTHING, to = has ? bounds[2 * d + 1] : DB_NOTHING;
        if (empty && (from.kind == DB_NULL || to.kind == DB_NULL)) {
            pg_raise(call, "2202E", "array slice subscript must provide both boundaries");
            pg_raise_detail(call, "When assigning to a slice of an empty array value, slice boundaries must be fully specified.");
            return false;
        }
        int64_t first = from.kind == DB_NULL ? 1 : from.i, last = to.kind == DB_NULL ? a->size[d] : to.i;
        if (first > last + empty) return pg_raise(call, "2202E", "upper bound cannot be less than lower bound");
        if (!empty && a->dimensions > 1 && (first < 1 || last > a->size[d])) return out_of_range(call), false;
        if (first < 1 || (empty && first != 1)) return elsewhere(call), false;
        if (last > PG_ARRAY_ITEMS_MAX)
            return pg_raise(call, "54000", "array size exceeds the maximum allowed (%d)", PG_ARRAY_ITEMS_MAX);
        low[d] = (uint32_t)first - 1, size[d] = (uint32_t)(last - first + 1);
        *count *= size[d];
        if (*count > PG_ARRAY_ITEMS_MAX)
            return pg_raise(call, "54000", "array size exceeds the maximum allowed (%d)", PG_ARRAY_ITEMS_MAX);
    }
    return true;
}

/* element type, array, values, low, high …; a null bound is open */
PG_FN(pg_array_set_slice) {
    struct pg_array a, values;
    uint32_t low[PG_ARRAY_DIMENSIONS_MAX], size[PG_ARRAY_DIMENSIONS_MAX], given = (n - 3) / 2;
    uint64_t count;
    if (!read(call, &args[0], args[1], &a) || !read(call, &args[0], args[2], &values)) return;
    if (args[2].kind == DB_NULL) return (void)(*out = args[1].kind == DB_NULL ? pg_array_stored(call, &a) : args[1]);
    if (!slice_of(call, &a, args + 3, given, low, size, &count)) return;
    if (values.n < count) return (void)pg_raise(call, "2202E", "source array too small");
    if (!count) return (void)(*out = pg_array_stored(call, &a));
    if (a.n && a.dimensions == 1 && !grow(call, &a, (int64_t)low[0] + size[0])) return;
    if (!a.n) {
        a = flat(arena_array(call->mem, struct db_value, count), (uint32_t)count);
        a.dimensions = given;
        memcpy(a.size, size, given * sizeof *size);
    }
    put_slice(&a, low, size, values.items, count);
    *out = pg_array_stored(call, &a);
}

/* array type, array, how many dimensions are within one, which: FOREACH … SLICE. No element: NULL. */
PG_FN(pg_array_part) {
    struct pg_array a;
    if (args[1].kind == DB_NULL || !read(call, &args[0], args[1], &a)) return;
    uint32_t slice = (uint32_t)args[2].i, each = 1, first = a.dimensions > slice ? a.dimensions - slice : 0;
    for (uint32_t d = first; d < a.dimensions; d++) each *= a.size[d];
    int64_t i = args[3].i - 1;
    if (!a.n || i < 0 || i >= a.n / each) return;
    struct pg_array part = {.dimensions = a.dimensions - first, .n = each, .items = a.items + (size_t)i * each};
    memcpy(part.size, a.size + first, part.dimensions * sizeof *a.size);
    *out = pg_array_stored(call, &part);
}
/* array type, array, slice: how many parts it has */
PG_FN(pg_array_parts) {
    struct pg_array a;
    if (args[1].kind == DB_NULL) return (void)pg_raise(call, "22004", "FOREACH expression must not be null");
    if (!read(call, &args[0], args[1], &a)) return;
    if (args[2].i < 0 || args[2].i > a.dimensions)
        return (void)pg_raise(call, "2202E", "slice dimension (%lld) is out of the valid range 0..%u", (long long)args[2].i,
                              a.dimensions);
    uint32_t each = 1;
    for (uint32_t d = a.dimensions - (uint32_t)args[2].i; d < a.dimensions; d++) each *= a.size[d];
    *out = DB_I64(a.n / each);
}

/* ---- text ---- */

/* array type, array, separator [, what stands for null] */
PG_FN(pg_array_to_string) {
    struct pg_array a;
    struct buf *b = pg_call_buf(call);
    bool first = true;
    if (args[1].kind == DB_NULL || args[2].kind == DB_NULL || !read(call, &args[0], args[1], &a)) return;
    uint32_t element = element_of(call, &args[0]);
    for (uint32_t i = 0; i < a.n && pg_call_works(call, 10); i++) {
        bool null = a.items[i].kind == DB_NULL;
        if (null && (n < 4 || args[3].kind == DB_NULL)) continue;
        if (!first) buf_puts(b, args[2].s);
        first = false;
        if (null) buf_puts(b, args[3].s);
        else if (!pg_value_out(call, element, a.items[i], b)) return;
    }
    *out = pg_call_built(call, b);
}

static void put_part(struct pg_array_writer *w, str part, const struct db_value *null) {
    if (null && null->kind != DB_NULL && str_eq(part, null->s)) pg_array_put_null(w);
    else pg_array_put_text(w, part);
}
/* text, separator (null: characters) [, what becomes null] */
PG_FN(pg_string_to_array) {
    str s = args[0].s;
    const struct db_value *null = n > 2 ? &args[2] : NULL;
    if (args[0].kind == DB_NULL) return;
    struct pg_array_writer w = pg_array_write(call);
    if (args[1].kind == DB_NULL) {
        for (size_t i = 0, k; i < s.n && !pg_raised(call); i += k) {
            for (k = 1; i + k < s.n && (s.p[i + k] & 0xc0) == 0x80;) k++;
            put_part(&w, str_sub(s, i, k), null);
        }
    } else if (s.n) {
        size_t from = 0;
        for (size_t at; args[1].s.n && (at = pg_text_find(s, args[1].s, from)) <= s.n && !pg_raised(call);
             from = at + args[1].s.n)
            put_part(&w, str_sub(s, from, at - from), null);
        put_part(&w, str_sub(s, from, s.n), null);
    }
    *out = pg_array_done(&w);
}

/* array type of both, typmod, explicit, array → by its elements' text form, where there is no shorter way (the translator's pg_array_cast) */
PG_FN(pg_array_cast) {
    struct pg_array a;
    uint32_t to = element_of(call, &args[1]), from = element_of(call, &args[0]);
    if (n < 4 || args[3].kind == DB_NULL || !read(call, &args[0], args[3], &a)) return;
    for (uint32_t i = 0; i < a.n; i++) {
        struct buf *b = pg_call_buf(call);
        if (a.items[i].kind == DB_NULL) continue;
        if (!pg_value_out(call, from, a.items[i], b) || !pg_value_in(call, to, (int32_t)args[2].i, buf_str(b), &a.items[i]))
            return;
    }
    *out = pg_array_stored(call, &a);
}

/* ---- unnest ---- */

struct unnest {
    struct pg_array a;
    uint32_t at;
};
/* array type, array */
static void unnest_open(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct unnest *u = state;
    (void)n;
    if (!read(call, &args[0], args[1], &u->a)) u->a.n = 0;
}
static bool unnest_next(struct pg_call *call, void *state, struct db_value *columns) {
    struct unnest *u = state;
    (void)call;
    if (u->at >= u->a.n) return false;
    columns[0] = u->a.items[u->at++];
    return true;
}
const struct pg_set pg_unnest = {sizeof(struct unnest), 1, unnest_open, unnest_next, NULL};

/* array, dimension [, from the end] */
struct subscripts {
    int64_t at, end, step;
};
static void subscripts_open(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct subscripts *s = state;
    struct pg_array a;
    if (!pg_array_texts(call, args[0].s, &a)) return;
    bool back = n > 2 && args[2].i;
    int64_t size = size_of(&a, args[1].i);
    *s = back ? (struct subscripts){size, 0, -1} : (struct subscripts){1, size + 1, 1};
}
static bool subscripts_next(struct pg_call *call, void *state, struct db_value *columns) {
    struct subscripts *s = state;
    (void)call;
    if (s->at == s->end) return false;
    columns[0] = DB_I64(s->at);
    s->at += s->step;
    return true;
}
const struct pg_set pg_generate_subscripts = {sizeof(struct subscripts), 1, subscripts_open, subscripts_next, NULL};

/* string_to_table(text, separator [, null]) */
static void parts_open(struct pg_call *call, void *state, const struct db_value *args, uint32_t n) {
    struct unnest *u = state;
    struct db_value array = DB_NOTHING;
    pg_string_to_array(call, args, n, &array);
    if (array.kind != DB_NULL && !pg_array_texts(call, array.s, &u->a)) u->a.n = 0;
}
const struct pg_set pg_string_to_table = {sizeof(struct unnest), 1, parts_open, unnest_next, NULL};

/* ---- rows ---- */

/* As record_out quotes a field. */
static void put_field(struct buf *b, str s) {
    bool quotes = !s.n;
    for (size_t i = 0; i < s.n && !quotes; i++) quotes = strchr("\"\\(), \t\n\r\v\f", s.p[i]) != NULL && s.p[i];
    if (!quotes) return (void)buf_puts(b, s);
    buf_putc(b, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') buf_putc(b, s.p[i]);
        buf_putc(b, s.p[i]);
    }
    buf_putc(b, '"');
}

/* type, value …: 1,"a b",,t */
PG_FN(pg_row_fields) {
    struct buf *b = pg_call_buf(call), one = {0};
    for (uint32_t i = 0; i + 1 < n && pg_call_works(call, 10); i += 2) {
        if (i) buf_putc(b, ',');
        one.n = 0;
        if (args[i + 1].kind == DB_NULL) continue;
        if (!pg_value_out(call, (uint32_t)args[i].i, args[i + 1], &one)) break;
        put_field(b, buf_str(&one));
    }
    buf_free(&one);
    *out = pg_call_built(call, b);
}
