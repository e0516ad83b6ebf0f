/* types: value types as text, and the registry of canonical types.
 *
 * A recursion group is serialised with references into itself as relative indices and references to earlier
 * types as their canonical ids (§3.1.2, "rolling"). Equal serialisations are equal groups, so equality of
 * types is equality of ids. */
#include "wasm/wasm_int.h"

enum { IDS_MAX = 1 << 26 }; /* what the bits of a wasm_type hold */

const char *wasm_type_text(wasm_type t, char *buf, size_t n) {
    static const char *const plain[] = {"any type", "i32", "i64", "f32", "f64", "v128", "i8", "i16"};
    static const char *const heaps[] = {"func", "extern", "any",    "eq",       "i31",   "struct", "array",
                                        "exn",  "none",   "nofunc", "noextern", "noexn", "bottom"};
    if (!wasm_is_ref(t)) {
        snprintf(buf, n, "%s", plain[t & 7]);
        return buf;
    }
    uint32_t heap = wasm_heap_of(t);
    const char *null = wasm_is_nullable(t) ? "null " : "";
    if (wasm_heap_is_index(heap)) snprintf(buf, n, "(ref %s%u)", null, wasm_heap_index(heap));
    else if (*null && heap <= WASM_HEAP_EXN) snprintf(buf, n, "%sref", heaps[heap]);
    else snprintf(buf, n, "(ref %s%s)", null, heap < ARRAY_COUNT(heaps) ? heaps[heap] : "?");
    return buf;
}

struct wasm_types *wasm_types_new(arena *out) {
    struct wasm_types *ts = arena_make(out, struct wasm_types);
    ts->arena = out;
    return ts;
}

/* ---- subtyping (§3.3) --------------------------------------------------------------------------- */

bool wasm_types_sub(const struct wasm_types *ts, uint32_t sub, uint32_t super) {
    if (sub == super) return true;
    uint32_t up = ts->depths.p[super];
    while (ts->depths.p[sub] > up) sub = ts->defs.p[sub].super;
    return sub == super;
}

static bool abstract_sub(uint32_t sub, uint32_t super) {
    if (sub == super || sub == WASM_HEAP_BOT) return true;
    switch (sub) {
    case WASM_HEAP_EQ: return super == WASM_HEAP_ANY;
    case WASM_HEAP_I31:
    case WASM_HEAP_STRUCT:
    case WASM_HEAP_ARRAY: return super == WASM_HEAP_EQ || super == WASM_HEAP_ANY;
    case WASM_HEAP_NONE:
        return super == WASM_HEAP_I31 || super == WASM_HEAP_STRUCT || super == WASM_HEAP_ARRAY || super == WASM_HEAP_EQ ||
               super == WASM_HEAP_ANY;
    case WASM_HEAP_NOFUNC: return super == WASM_HEAP_FUNC;
    case WASM_HEAP_NOEXTERN: return super == WASM_HEAP_EXTERN;
    case WASM_HEAP_NOEXN: return super == WASM_HEAP_EXN;
    default: return false;
    }
}

static bool wasm_types_heap_sub(const struct wasm_types *ts, uint32_t sub, uint32_t super) {
    if (sub == super) return true;
    static const uint8_t kind[] = {
        [WASM_COMP_FUNC] = WASM_HEAP_FUNC, [WASM_COMP_STRUCT] = WASM_HEAP_STRUCT, [WASM_COMP_ARRAY] = WASM_HEAP_ARRAY};
    if (wasm_heap_is_index(sub)) {
        uint32_t id = wasm_heap_index(sub);
        if (wasm_heap_is_index(super)) return wasm_types_sub(ts, id, wasm_heap_index(super));
        return abstract_sub(kind[ts->defs.p[id].comp], super);
    }
    if (!wasm_heap_is_index(super)) return abstract_sub(sub, super);
    bool func = ts->defs.p[wasm_heap_index(super)].comp == WASM_COMP_FUNC;
    return sub == WASM_HEAP_BOT || sub == (func ? WASM_HEAP_NOFUNC : WASM_HEAP_NONE);
}

bool wasm_types_value_sub(const struct wasm_types *ts, wasm_type sub, wasm_type super) {
    if (sub == super || sub == WASM_BOT) return true;
    if (!wasm_is_ref(sub) || !wasm_is_ref(super)) return false;
    if (wasm_is_nullable(sub) && !wasm_is_nullable(super)) return false;
    return wasm_types_heap_sub(ts, wasm_heap_of(sub), wasm_heap_of(super));
}

static uint32_t heap_canon(const uint32_t *ids, uint32_t heap) {
    return wasm_heap_is_index(heap) ? WASM_HEAP_INDEX + ids[wasm_heap_index(heap)] : heap;
}

wasm_type wasm_type_canon(const struct wasm_module *m, wasm_type t) {
    if (!wasm_is_ref(t)) return t;
    return wasm_ref(heap_canon(m->type_ids, wasm_heap_of(t)), wasm_is_nullable(t));
}

bool wasm_type_sub(const struct wasm_module *m, wasm_type sub, wasm_type super) {
    if (sub == super) return true;
    return wasm_types_value_sub(m->canon, wasm_type_canon(m, sub), wasm_type_canon(m, super));
}

bool wasm_type_equal(const struct wasm_module *m, wasm_type a, wasm_type b) {
    return a == b || wasm_type_canon(m, a) == wasm_type_canon(m, b);
}

/* ---- interning ---------------------------------------------------------------------------------- */

/* Where the indices of a group are resolved: ids of earlier types, and the group's own bounds. */
struct rolling {
    const uint32_t *ids; /* NULL: indices outside the group are ids already */
    uint32_t start, count;
    uint32_t first; /* id of the group's first type, once it has one */
};

static uint32_t outside_id(const struct rolling *g, uint32_t index) { return g->ids ? g->ids[index] : index; }

static void put_u32(struct buf *b, uint32_t v) { buf_put(b, &v, sizeof v); }

static void put_index(struct buf *b, const struct rolling *g, uint32_t index) {
    bool inside = index - g->start < g->count;
    buf_putc(b, inside ? 1 : 2);
    put_u32(b, inside ? index - g->start : outside_id(g, index));
}

static void put_type(struct buf *b, const struct rolling *g, wasm_type t) {
    if (wasm_is_ref(t) && wasm_heap_is_index(wasm_heap_of(t))) {
        buf_putc(b, (uint8_t)(0x80 | (t & WASM_NULL_BIT)));
        put_index(b, g, wasm_heap_index(wasm_heap_of(t)));
    } else {
        put_u32(b, t);
    }
}

static void put_deftype(struct buf *b, const struct rolling *g, const struct wasm_deftype *t) {
    buf_putc(b, (uint8_t)(t->comp << 1 | t->final));
    if (t->super == WASM_NO_INDEX) buf_putc(b, 0);
    else put_index(b, g, t->super);
    put_u32(b, t->params_count), put_u32(b, t->results_count), put_u32(b, t->fields_count);
    for (uint32_t i = 0; i < t->params_count; i++) put_type(b, g, t->params[i]);
    for (uint32_t i = 0; i < t->results_count; i++) put_type(b, g, t->results[i]);
    for (uint32_t i = 0; i < t->fields_count; i++) {
        buf_putc(b, t->fields[i].mutable);
        put_type(b, g, t->fields[i].type);
    }
}

static uint32_t roll_index(const struct rolling *g, uint32_t index) {
    return index - g->start < g->count ? g->first + (index - g->start) : outside_id(g, index);
}

static wasm_type roll_type(const struct rolling *g, wasm_type t) {
    if (!wasm_is_ref(t) || !wasm_heap_is_index(wasm_heap_of(t))) return t;
    return wasm_ref_index(roll_index(g, wasm_heap_index(wasm_heap_of(t))), wasm_is_nullable(t));
}

static const wasm_type *roll_types(arena *a, const struct rolling *g, const wasm_type *t, uint32_t n) {
    wasm_type *copy = arena_array(a, wasm_type, n);
    for (uint32_t i = 0; i < n; i++) copy[i] = roll_type(g, t[i]);
    return copy;
}

static void add_deftype(struct wasm_types *ts, const struct rolling *g, const struct wasm_deftype *t) {
    struct wasm_deftype c = *t;
    c.super = t->super == WASM_NO_INDEX ? WASM_NO_INDEX : roll_index(g, t->super);
    c.group_start = g->first;
    c.params = roll_types(ts->arena, g, t->params, t->params_count);
    c.results = roll_types(ts->arena, g, t->results, t->results_count);
    struct wasm_field *f = arena_array(ts->arena, struct wasm_field, t->fields_count);
    for (uint32_t i = 0; i < t->fields_count; i++)
        f[i] = (struct wasm_field){roll_type(g, t->fields[i].type), t->fields[i].mutable};
    c.fields = f;
    uint8_t depth = c.super == WASM_NO_INDEX ? 0 : (uint8_t)(ts->depths.p[c.super] + 1);
    vec_push(ts->arena, &ts->defs, c);
    vec_push(ts->arena, &ts->depths, depth);
}

static bool too_deep(const struct wasm_types *ts, const struct rolling *g, const struct wasm_deftype *types) {
    for (uint32_t i = 0; i < g->count; i++) { /* a super may stand in the group: count the steps to its outside */
        uint32_t up = g->start + i, steps = 0;
        while (up != WASM_NO_INDEX && up - g->start < g->count && steps <= WASM_MAX_SUBTYPE_DEPTH + 1)
            up = types[up - g->start].super, steps++;
        uint32_t outside = up == WASM_NO_INDEX || up - g->start < g->count ? 0 : ts->depths.p[outside_id(g, up)] + 1u;
        if (steps - 1 + outside > WASM_MAX_SUBTYPE_DEPTH) return true;
    }
    return false;
}

static err intern(struct wasm_types *ts, struct rolling *g, const struct wasm_deftype *types) {
    struct buf key = {0};
    put_u32(&key, g->count);
    for (uint32_t i = 0; i < g->count; i++) put_deftype(&key, g, &types[i]);
    uint64_t id;
    err e = ERR_OK;
    if (map_get(&ts->groups, buf_str(&key), &id)) {
        g->first = (uint32_t)id;
    } else if (ts->defs.n + (uint64_t)g->count > IDS_MAX || too_deep(ts, g, types)) {
        e = ERR_LIMIT;
    } else {
        g->first = ts->defs.n;
        map_put(ts->arena, &ts->groups, arena_str(ts->arena, buf_str(&key)), g->first);
        for (uint32_t i = 0; i < g->count; i++) add_deftype(ts, g, &types[i]);
    }
    buf_free(&key);
    return e;
}

err wasm_types_intern(struct wasm_types *ts, const struct wasm_module *m, const uint32_t *ids, uint32_t start, uint32_t count,
                      uint32_t *first) {
    struct rolling g = {.ids = ids, .start = start, .count = count};
    TRY(intern(ts, &g, &m->types[start]));
    *first = g.first;
    return ERR_OK;
}

/* The group starts where no id can be, so that no id is taken for a reference into the group. */
uint32_t wasm_types_func(struct wasm_types *ts, const wasm_type *params, uint32_t params_count, const wasm_type *results,
                         uint32_t results_count) {
    struct wasm_deftype t = {.comp = WASM_COMP_FUNC,
                             .final = true,
                             .super = WASM_NO_INDEX,
                             .group_count = 1,
                             .params = params,
                             .params_count = params_count,
                             .results = results,
                             .results_count = results_count};
    struct rolling g = {.start = IDS_MAX, .count = 1};
    ENSURE(intern(ts, &g, &t) == ERR_OK);
    return g.first;
}
