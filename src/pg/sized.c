/* sized: what a type's modifier does to a value, and the order of two values: by the type, for those who have it at run time. */
#include "pg/arrays.h"

/* A row of the tables called by hand: (value, typmod). */
static bool by_row(struct pg_call *call, pg_fn fn, struct db_value v, int32_t typmod, struct db_value *out) {
    *out = DB_NOTHING;
    fn(call, (struct db_value[]){v, DB_I64(typmod)}, 2, out);
    return !pg_raised(call);
}

static bool array_sized(struct pg_call *call, const struct pg_type *type, int32_t typmod, bool is_explicit, struct db_value v,
                        struct db_value *out) {
    struct pg_array a;
    if (!pg_array_read(call, v.s, pg_array_blobs(call, type->element), &a)) return false;
    for (uint32_t i = 0; i < a.n; i++)
        if (a.items[i].kind != DB_NULL && !pg_value_sized(call, type->element, typmod, is_explicit, a.items[i], &a.items[i]))
            return false;
    *out = pg_array_stored(call, &a);
    return !pg_raised(call);
}

bool pg_value_sized(struct pg_call *call, uint32_t type, int32_t typmod, bool is_explicit, struct db_value v,
                    struct db_value *out) {
    const struct pg_type *t = pg_call_base(call, type);
    *out = v;
    if (!t) return false;
    if (typmod < 0 || v.kind == DB_NULL) return true;
    if (t->element) return array_sized(call, t, typmod, is_explicit, v, out);
    switch (t->typmod) {
    case PG_TYPMOD_NUMERIC: return by_row(call, pg_numeric_sized, v, typmod, out);
    case PG_TYPMOD_SECONDS: return t->storage == PG_STORED_INTEGER ? by_row(call, pg_seconds_sized, v, typmod, out) : true;
    case PG_TYPMOD_INTERVAL: return by_row(call, pg_interval_sized, v, typmod, out);
    case PG_TYPMOD_LENGTH:
        return t->id == PG_BPCHAR ? pg_bpchar_sized(call, v.s, typmod, is_explicit, out)
                                  : pg_varchar_sized(call, v.s, typmod, is_explicit, out);
    case PG_TYPMOD_DIMENSIONS: return pg_vector_sized(call, v.s, typmod, out);
    case PG_TYPMOD_BITS: return pg_bits_sized(call, t->id, v.s, typmod, is_explicit, out);
    case PG_TYPMOD_NONE: return true;
    }
    return true;
}

static int compare_texts(const char *collation, str a, str b) {
    uint32_t n;
    const struct pg_collation *all = pg_collations_all(&n);
    for (uint32_t i = 0; i < n; i++)
        if (!strcmp(all[i].name, collation)) return all[i].compare(a, b);
    return str_cmp(a, b);
}

int pg_value_compare(uint32_t type, struct db_value a, struct db_value b) {
    const struct pg_type *t = pg_type_by_id(type);
    if (a.kind != b.kind) return a.kind < b.kind ? -1 : 1;
    if (a.kind == DB_INTEGER) return (a.i > b.i) - (a.i < b.i);
    if (a.kind == DB_REAL) return (a.f > b.f) - (a.f < b.f);
    return a.kind == DB_NULL ? 0 : compare_texts(t ? t->collation : "", a.s, b.s);
}
