/* overload: which row of the pg room's tables is meant by a name and the types of what it is given. A tree's expressions are a column, an operator and a
 * value that takes the other side's type, so that this is little: exact types first, then what PostgreSQL takes without a function (a domain as its
 * base, varchar as text, anyelement and its kin). */
#include "query/query_int.h"

static bool pseudo_fits(const struct pg_type *t, uint32_t want) {
    switch (want) {
    case PG_ANY:
    case PG_ANYELEMENT:
    case PG_ANYCOMPATIBLE: return true;
    case PG_ANYNONARRAY:
    case PG_ANYCOMPATIBLENONARRAY: return t->kind != PG_KIND_ARRAY;
    case PG_ANYARRAY:
    case PG_ANYCOMPATIBLEARRAY: return t->kind == PG_KIND_ARRAY;
    case PG_ANYENUM: return t->kind == PG_KIND_ENUM;
    default: return false;
    }
}

static bool is_text(uint32_t type) {
    return type == PG_TEXT || type == PG_VARCHAR || type == PG_BPCHAR || type == PG_NAME || type == PG_CITEXT;
}

/* Values that are stored alike, so that a wider one's function takes them. */
static bool widens(uint32_t type, uint32_t want) {
    static const uint32_t whole[] = {PG_INT2, PG_INT4, PG_INT8};
    uint32_t from = 0, to = 0;
    for (uint32_t i = 0; i < ARRAY_COUNT(whole); i++) {
        if (whole[i] == type) from = i + 1;
        if (whole[i] == want) to = i + 1;
    }
    return (from && to > from) || (type == PG_FLOAT4 && want == PG_FLOAT8);
}

uint32_t query_fits(const struct pg_types *types, uint32_t type, uint32_t want) {
    if (type == want) return 5;
    uint32_t base = query_type_base(types, type);
    const struct pg_type *t = query_type_of(types, base);
    if (!t) return 0;
    if (base == want) return 4;
    if (is_text(base) && want == PG_TEXT) return 3;
    if (widens(base, want)) return 2;
    return pseudo_fits(t, want) ? 1 : 0;
}

const struct pg_operator *query_operator_of(const struct pg_types *types, const char *name, uint32_t left, uint32_t right) {
    uint32_t count, best = 0;
    const struct pg_operator *rows = pg_operators_named(str_c(name), &count), *found = NULL;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t l = query_fits(types, left, rows[i].left), r = query_fits(types, right, rows[i].right);
        if (!l || !r || l + r <= best) continue;
        best = l + r;
        found = &rows[i];
    }
    return found;
}

const struct pg_function *query_function_of(const struct pg_types *types, const struct pg_function *named, uint32_t count,
                                            const uint32_t *args, uint32_t n) {
    const struct pg_function *found = NULL;
    uint32_t best = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t sum = 1;
        if (named[i].params_count != n) continue;
        for (uint32_t k = 0; k < n && sum; k++) {
            uint32_t fit = query_fits(types, args[k], named[i].params[k].type);
            sum = fit ? sum + fit : 0;
        }
        if (sum > best) best = sum, found = &named[i];
    }
    return found;
}
