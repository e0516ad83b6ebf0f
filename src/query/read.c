/* read: a tree from its JSON form (docs/query.md). What it knows nothing of is refused, where it stands: a word that is misspelt would else be a
 * filter that is not there.
 *
 * Each kind of object is a table of its members (struct member), which one loop reads: a reader a member, by its name.
 */
#include "query/query_int.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct query_op_row query_ops[QUERY_OP_COUNT] = {
#define OP(id, name, operator, flags) [QUERY_OP_##id] = {name, operator, flags },
#include "query/ops.def"
};

/* ---- failing ---- */

bool query_fail(struct pg_error *e, const char *state, const char *fmt, ...) {
    va_list ap;
    if (e->set) return false;
    *e = (struct pg_error){.set = true};
    snprintf(e->state, sizeof e->state, "%s", state);
    va_start(ap, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, ap);
    va_end(ap);
    text_tame(e->message, strlen(e->message));
    return false;
}

#define FAIL_MORE(name, field)                                                                                                   \
    void query_fail_##name(struct pg_error *e, const char *fmt, ...) {                                                           \
        va_list ap;                                                                                                              \
        if (e->field[0]) return;                                                                                                 \
        va_start(ap, fmt);                                                                                                       \
        vsnprintf(e->field, sizeof e->field, fmt, ap);                                                                           \
        va_end(ap);                                                                                                              \
    }
FAIL_MORE(detail, detail)
FAIL_MORE(hint, hint)

struct from {
    arena *out;
    struct pg_error *error;
    uint32_t embeds, depth; /* open ones */
};

static bool wrong(struct from *f, const char *where, const char *what) {
    query_fail(f->error, "PGRST100", "the query's \"%s\" is not understood", where);
    query_fail_detail(f->error, "%s", what);
    return false;
}

/* ---- members ---- */

struct member {
    const char *key;
    bool (*read)(struct from *f, const struct query_json *v, void *to);
};

static bool members(struct from *f, const struct query_json *v, const char *what, const struct member *table, size_t n,
                    void *to) {
    if (v->kind != JSON_KIND_OBJECT) return wrong(f, what, "it is no object");
    for (uint32_t i = 0; i < v->n; i++) {
        const struct member *m = NULL;
        for (size_t k = 0; k < n && !m; k++)
            if (str_eqc(v->members[i].key, table[k].key)) m = &table[k];
        if (!m) {
            query_fail(f->error, "PGRST100", "the query's \"%s\" has no member \"" STR_FMT "\"", what,
                       STR_ARG(str_sub(v->members[i].key, 0, 100)));
            return false;
        }
        if (!m->read(f, &v->members[i].v, to))
            return f->error->set ? false : wrong(f, m->key, "a value of another kind was expected");
    }
    return true;
}
#define MEMBERS(f, v, what, table, to) members((f), (v), (what), (table), ARRAY_COUNT(table), (to))

static bool name_of(const struct query_json *v, str *out) {
    *out = v->s;
    return v->kind == JSON_KIND_STR && v->s.n && v->s.n <= 256;
}

static bool count_of(const struct query_json *v, int64_t *out) {
    char text[24], *end;
    if (v->kind != JSON_KIND_F64 || v->raw.n >= sizeof text) return false;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(v->raw));
    errno = 0;
    *out = strtoll(text, &end, 10);
    return !*end && !errno && *out >= 0;
}

static bool index_of(const struct query_json *v, int64_t *out) {
    char text[12], *end;
    if (v->kind != JSON_KIND_F64 || v->raw.n >= sizeof text) return false;
    snprintf(text, sizeof text, STR_FMT, STR_ARG(v->raw));
    errno = 0;
    *out = strtoll(text, &end, 10);
    return !*end && !errno;
}

static bool names_of(struct from *f, const struct query_json *v, const str **out, uint32_t *count) {
    if (v->kind != JSON_KIND_ARRAY) return false;
    str *names = arena_array(f->out, str, v->n);
    for (uint32_t i = 0; i < v->n; i++)
        if (!name_of(&v->items[i], &names[i])) return false;
    *out = names;
    *count = v->n;
    return true;
}

static bool flag_of(const struct query_json *v, bool *out) {
    *out = v->b;
    return v->kind == JSON_KIND_BOOL;
}

/* One of words, by its place. */
static bool word_of(const struct query_json *v, const char *const *words, uint32_t n, uint32_t *out) {
    for (*out = 0; v->kind == JSON_KIND_STR && *out < n; (*out)++)
        if (str_eqc(v->s, words[*out])) return true;
    return false;
}
#define WORD_OF(v, out, ...)                                                                                                     \
    word_of((v), (const char *const[]){__VA_ARGS__}, ARRAY_COUNT(((const char *const[]){__VA_ARGS__})), (out))

/* ---- fields ---- */

static bool read_column(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &((struct query_field *)to)->column);
}

static bool read_path(struct from *f, const struct query_json *v, void *to) {
    struct query_field *field = to;
    if (v->kind != JSON_KIND_ARRAY || v->n > 32) return false;
    struct query_step *steps = arena_array(f->out, struct query_step, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        steps[i].is_index = v->items[i].kind == JSON_KIND_F64;
        steps[i].key = v->items[i].s;
        if (steps[i].is_index ? !index_of(&v->items[i], &steps[i].index) : v->items[i].kind != JSON_KIND_STR) return false;
    }
    field->steps = steps;
    field->steps_count = v->n;
    return true;
}

static bool read_text(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return flag_of(v, &((struct query_field *)to)->text);
}

/* ---- filters ---- */

static bool read_where(struct from *f, const struct query_json *v, struct query_where *to);

#define FIELD_MEMBER(name, type, reader)                                                                                         \
    static bool name(struct from *f, const struct query_json *v, void *to) { return reader(f, v, &((type *)to)->field); }
#define TEST_OF(to) (&((struct query_where *)(to))->test)

static bool test_column(struct from *f, const struct query_json *v, void *to) { return read_column(f, v, &TEST_OF(to)->field); }
static bool test_path(struct from *f, const struct query_json *v, void *to) { return read_path(f, v, &TEST_OF(to)->field); }
static bool test_text(struct from *f, const struct query_json *v, void *to) { return read_text(f, v, &TEST_OF(to)->field); }

static bool test_op(struct from *f, const struct query_json *v, void *to) {
    for (uint32_t i = 0; v->kind == JSON_KIND_STR && i < QUERY_OP_COUNT; i++) {
        if (!str_eqc(v->s, query_ops[i].name)) continue;
        TEST_OF(to)->op = (enum query_op)i;
        return true;
    }
    return wrong(f, "op", "there is no such operator");
}

static bool test_quantifier(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    if (!WORD_OF(v, &at, "any", "all")) return false;
    TEST_OF(to)->quantifier = at ? QUERY_ALL : QUERY_ANY;
    return true;
}

static bool test_config(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &TEST_OF(to)->config);
}

static bool test_value(struct from *f, const struct query_json *v, void *to) {
    TEST_OF(to)->values = arena_array(f->out, const struct query_json *, 1);
    TEST_OF(to)->values[0] = v;
    TEST_OF(to)->values_count = 1;
    return true;
}

static bool test_values(struct from *f, const struct query_json *v, void *to) {
    if (v->kind != JSON_KIND_ARRAY || v->n > QUERY_PARAMS_MAX) return false;
    TEST_OF(to)->values = arena_array(f->out, const struct query_json *, v->n + 1);
    for (uint32_t i = 0; i < v->n; i++) TEST_OF(to)->values[i] = &v->items[i];
    TEST_OF(to)->values_count = v->n;
    return true;
}

static bool where_parts(struct from *f, const struct query_json *v, struct query_where *to, enum query_where_kind kind) {
    if (v->kind != JSON_KIND_ARRAY || v->n > 1000) return false;
    to->kind = kind;
    to->parts = arena_array(f->out, struct query_where, v->n);
    to->parts_count = v->n;
    for (uint32_t i = 0; i < v->n; i++)
        if (!read_where(f, &v->items[i], &to->parts[i])) return false;
    return true;
}

static bool where_and(struct from *f, const struct query_json *v, void *to) { return where_parts(f, v, to, QUERY_AND); }
static bool where_or(struct from *f, const struct query_json *v, void *to) { return where_parts(f, v, to, QUERY_OR); }

static bool where_not(struct from *f, const struct query_json *v, void *to) {
    struct query_where *w = to;
    w->kind = QUERY_NOT;
    w->parts = arena_make(f->out, struct query_where);
    w->parts_count = 1;
    return read_where(f, v, w->parts);
}

static bool where_embed(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &((struct query_where *)to)->embed);
}

static bool where_has(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return flag_of(v, &((struct query_where *)to)->has);
}

static bool check_test(struct from *f, const struct query_json *v, const struct query_test *t) {
    uint32_t flags = query_ops[t->op].flags;
    bool many = (flags & QUERY_IS_MANY) || t->quantifier;
    if (!t->field.column.n) return wrong(f, "where", "a filter has no column");
    if (!query_json_get(v, "op")) return wrong(f, "where", "a filter has no op");
    if (t->quantifier && !(flags & QUERY_IS_QUANTIFIED)) return wrong(f, "quantifier", "the operator has no any and all");
    if (many != (query_json_get(v, "values") != NULL))
        return wrong(f, "where", many ? "it has no values" : "it has values, and takes one value");
    if (!many && !query_json_get(v, "value")) return wrong(f, "where", "a filter has no value");
    if (t->config.n && !(flags & QUERY_IS_SEARCH)) return wrong(f, "config", "it is no text search");
    return true;
}

static bool read_where(struct from *f, const struct query_json *v, struct query_where *to) {
    static const struct member logic[] = {{"and", where_and}, {"or", where_or}, {"not", where_not}};
    static const struct member has[] = {{"embed", where_embed}, {"has", where_has}};
    static const struct member test[] = {{"column", test_column},
                                         {"path", test_path},
                                         {"text", test_text},
                                         {"op", test_op},
                                         {"value", test_value},
                                         {"values", test_values},
                                         {"quantifier", test_quantifier},
                                         {"config", test_config}};
    bool ok;
    if (++f->depth > 32) return query_fail(f->error, "54001", "filters of more than 32 levels");
    if (query_json_get(v, "and") || query_json_get(v, "or") || query_json_get(v, "not")) {
        ok = v->n == 1 ? MEMBERS(f, v, "where", logic, to) : wrong(f, "where", "and, or, not stand alone");
    } else if (query_json_get(v, "embed")) {
        to->kind = QUERY_HAS;
        ok = MEMBERS(f, v, "where", has, to) && (query_json_get(v, "has") || wrong(f, "where", "\"has\" is missing"));
    } else {
        to->kind = QUERY_TEST;
        ok = MEMBERS(f, v, "where", test, to) && check_test(f, v, &to->test);
    }
    f->depth--;
    return ok;
}

/* ---- order ---- */

FIELD_MEMBER(order_column, struct query_order, read_column)
FIELD_MEMBER(order_path, struct query_order, read_path)
FIELD_MEMBER(order_text, struct query_order, read_text)

static bool order_embed(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &((struct query_order *)to)->embed);
}
static bool order_desc(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return flag_of(v, &((struct query_order *)to)->descending);
}
static bool order_nulls(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    if (!WORD_OF(v, &at, "first", "last")) return false;
    ((struct query_order *)to)->nulls = at ? QUERY_NULLS_LAST : QUERY_NULLS_FIRST;
    return true;
}

static bool read_order(struct from *f, const struct query_json *v, struct query_order *to) {
    static const struct member table[] = {{"column", order_column}, {"path", order_path}, {"text", order_text},
                                          {"embed", order_embed},   {"desc", order_desc}, {"nulls", order_nulls}};
    if (v->kind == JSON_KIND_STR) return name_of(v, &to->field.column);
    return MEMBERS(f, v, "order", table, to) && (to->field.column.n || wrong(f, "order", "it has no column"));
}

/* ---- select lists ---- */

static bool select_from(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &((struct query_select *)to)->relation);
}
static bool select_schema(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &((struct query_select *)to)->schema);
}
static bool select_where(struct from *f, const struct query_json *v, void *to) {
    struct query_select *s = to;
    s->where = arena_make(f->out, struct query_where);
    return v->kind == JSON_KIND_ARRAY ? where_parts(f, v, s->where, QUERY_AND) : read_where(f, v, s->where);
}
static bool select_order(struct from *f, const struct query_json *v, void *to) {
    struct query_select *s = to;
    if (v->kind != JSON_KIND_ARRAY || v->n > 100) return false;
    s->order = arena_array(f->out, struct query_order, v->n);
    s->order_count = v->n;
    for (uint32_t i = 0; i < v->n; i++)
        if (!read_order(f, &v->items[i], &s->order[i])) return false;
    return true;
}
static bool select_limit(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return count_of(v, &((struct query_select *)to)->limit);
}
static bool select_offset(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return count_of(v, &((struct query_select *)to)->offset);
}

static bool select_items(struct from *f, const struct query_json *v, void *to);

/* An item is read into one of these, and then looked at. */
struct reading {
    struct query_item item;
    struct query_embed embed;
};
#define ITEM(to) (&((struct reading *)(to))->item)
#define EMBED(to) (&((struct reading *)(to))->embed)

static bool item_column(struct from *f, const struct query_json *v, void *to) { return read_column(f, v, &ITEM(to)->field); }
static bool item_path(struct from *f, const struct query_json *v, void *to) { return read_path(f, v, &ITEM(to)->field); }
static bool item_text(struct from *f, const struct query_json *v, void *to) { return read_text(f, v, &ITEM(to)->field); }
static bool item_as(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &ITEM(to)->alias);
}
static bool item_cast(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &ITEM(to)->cast);
}
static bool item_cast_after(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &ITEM(to)->cast_after);
}
static bool item_aggregate(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    ITEM(to)->aggregate = v->s;
    return WORD_OF(v, &at, "count", "sum", "avg", "min", "max");
}
static bool embed_target(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &EMBED(to)->target);
}
static bool embed_hint(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &EMBED(to)->hint);
}
static bool embed_join(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    if (!WORD_OF(v, &at, "left", "inner")) return false;
    EMBED(to)->join = at ? QUERY_INNER : QUERY_LEFT;
    return true;
}
static bool embed_spread(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return flag_of(v, &EMBED(to)->spread);
}
#define EMBED_MEMBER(name)                                                                                                       \
    static bool embed_##name(struct from *f, const struct query_json *v, void *to) {                                             \
        return select_##name(f, v, &EMBED(to)->select);                                                                          \
    }
EMBED_MEMBER(items)
EMBED_MEMBER(where)
EMBED_MEMBER(order)
EMBED_MEMBER(limit)
EMBED_MEMBER(offset)

static bool read_embed(struct from *f, const struct query_json *v, struct query_item *to) {
    static const struct member table[] = {{"embed", embed_target},  {"hint", embed_hint},   {"join", embed_join},
                                          {"spread", embed_spread}, {"as", item_as},        {"select", embed_items},
                                          {"where", embed_where},   {"order", embed_order}, {"limit", embed_limit},
                                          {"offset", embed_offset}};
    struct reading r = {.embed.select.limit = -1};
    if (++f->embeds > QUERY_EMBEDS_MAX) return query_fail(f->error, "54001", "embeds of more than %d levels", QUERY_EMBEDS_MAX);
    if (!MEMBERS(f, v, "select", table, &r)) return false;
    f->embeds--;
    *to = r.item;
    to->kind = QUERY_EMBED;
    to->embed = arena_make(f->out, struct query_embed);
    *to->embed = r.embed;
    to->embed->alias = r.item.alias;
    to->embed->select.relation = r.embed.target;
    return true;
}

static bool item_key(struct from *f, const struct query_json *v, void *to) {
    (void)f, (void)to;
    return v->kind == JSON_KIND_BOOL && v->b;
}

static bool read_item(struct from *f, const struct query_json *v, struct query_item *to) {
    static const struct member keys[] = {{"key", item_key}};
    static const struct member table[] = {
        {"column", item_column}, {"path", item_path},           {"text", item_text},           {"as", item_as},
        {"cast", item_cast},     {"aggregate", item_aggregate}, {"castAfter", item_cast_after}};
    if (v->kind == JSON_KIND_STR) {
        to->kind = str_eqc(v->s, "*") ? QUERY_STAR : QUERY_FIELD;
        return name_of(v, &to->field.column);
    }
    if (query_json_get(v, "embed")) return read_embed(f, v, to);
    if (query_json_get(v, "key")) return to->kind = QUERY_KEY, MEMBERS(f, v, "select", keys, to);
    struct reading r = {0};
    if (!MEMBERS(f, v, "select", table, &r)) return false;
    *to = r.item;
    to->kind = to->aggregate.n ? QUERY_AGGREGATE : QUERY_FIELD;
    to->whole = to->kind == QUERY_AGGREGATE && !to->field.column.n;
    if (to->whole && !str_eqc(to->aggregate, "count")) return wrong(f, "aggregate", "it has no column");
    if (to->whole && to->cast.n) return wrong(f, "cast", "there is nothing to be cast");
    if (to->cast_after.n && to->kind != QUERY_AGGREGATE) return wrong(f, "castAfter", "it is no aggregate");
    return to->whole || to->field.column.n || wrong(f, "select", "an item has no column");
}

static bool select_items(struct from *f, const struct query_json *v, void *to) {
    struct query_select *s = to;
    if (v->kind != JSON_KIND_ARRAY || v->n > QUERY_ITEMS_MAX) return false;
    s->has_items = true;
    s->items = arena_array(f->out, struct query_item, v->n);
    s->items_count = v->n;
    for (uint32_t i = 0; i < v->n; i++)
        if (!read_item(f, &v->items[i], &s->items[i])) return false;
    return true;
}

/* ---- the whole ---- */

static bool conflict_columns(struct from *f, const struct query_json *v, void *to) {
    struct query *q = to;
    q->has_conflict_columns = true;
    return names_of(f, v, &q->conflict_columns, &q->conflict_count);
}
static bool conflict_do(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    if (!WORD_OF(v, &at, "merge", "ignore")) return false;
    ((struct query *)to)->conflict = at ? QUERY_CONFLICT_IGNORE : QUERY_CONFLICT_MERGE;
    return true;
}

#define QUERY_MEMBER(name)                                                                                                       \
    static bool query_##name(struct from *f, const struct query_json *v, void *to) {                                             \
        return select_##name(f, v, &((struct query *)to)->select);                                                               \
    }
QUERY_MEMBER(from)
QUERY_MEMBER(schema)
QUERY_MEMBER(items)
QUERY_MEMBER(where)
QUERY_MEMBER(order)
QUERY_MEMBER(limit)
QUERY_MEMBER(offset)

static bool query_kind_of(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    bool ok = WORD_OF(v, &at, "select", "insert", "update", "delete", "call", "describe");
    ((struct query *)to)->kind = (enum query_kind)at;
    return ok;
}
static bool query_rows(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    ((struct query *)to)->rows = v;
    return v->kind == JSON_KIND_ARRAY;
}
static bool query_set(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    ((struct query *)to)->rows = v;
    return v->kind == JSON_KIND_OBJECT;
}
static bool query_columns(struct from *f, const struct query_json *v, void *to) {
    struct query *q = to;
    q->has_columns = true;
    return names_of(f, v, &q->columns, &q->columns_count);
}
static bool query_path(struct from *f, const struct query_json *v, void *to) {
    struct query *q = to;
    q->has_path = true;
    return v->n <= 32 && names_of(f, v, &q->path, &q->path_count);
}
static bool query_missing(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    bool ok = WORD_OF(v, &at, "null", "default");
    ((struct query *)to)->missing_default = at == 1;
    return ok;
}
static bool query_conflict(struct from *f, const struct query_json *v, void *to) {
    static const struct member table[] = {{"columns", conflict_columns}, {"do", conflict_do}};
    struct query *q = to;
    return MEMBERS(f, v, "conflict", table, to) && (q->conflict || wrong(f, "conflict", "\"do\" is missing"));
}
static bool query_count_of(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    if (!WORD_OF(v, &at, "exact", "planned", "estimated")) return false;
    ((struct query *)to)->count = (enum query_count)(at + QUERY_COUNT_EXACT);
    return true;
}
static bool query_max_affected(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return count_of(v, &((struct query *)to)->max_affected);
}

#define QUERY_FLAG(name, member)                                                                                                 \
    static bool query_##name(struct from *f, const struct query_json *v, void *to) {                                             \
        (void)f;                                                                                                                 \
        return flag_of(v, &((struct query *)to)->member);                                                                        \
    }
QUERY_FLAG(single, single)
QUERY_FLAG(put, put)
QUERY_FLAG(reads_only, reads_only)
QUERY_FLAG(args_text, args_text)
QUERY_FLAG(raw_named, raw_named)

static bool raw_type(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    if (!WORD_OF(v, &at, "json", "text", "xml", "bytea")) return false;
    ((struct query *)to)->raw = (enum query_raw)(at + QUERY_RAW_JSON);
    return true;
}
static bool raw_body(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    ((struct query *)to)->raw_body = v->s;
    return v->kind == JSON_KIND_STR;
}
static bool query_raw_of(struct from *f, const struct query_json *v, void *to) {
    static const struct member table[] = {{"type", raw_type}, {"body", raw_body}, {"named", query_raw_named}};
    return MEMBERS(f, v, "raw", table, to) && (((struct query *)to)->raw || wrong(f, "raw", "\"type\" is missing"));
}

static bool query_accept(struct from *f, const struct query_json *v, void *to) {
    struct query *q = to;
    return names_of(f, v, &q->accept, &q->accept_count) && q->accept_count <= QUERY_ACCEPTS_MAX;
}
static bool query_exposed(struct from *f, const struct query_json *v, void *to) {
    struct query *q = to;
    return names_of(f, v, &q->exposed, &q->exposed_count) && q->exposed_count <= QUERY_EXPOSED_MAX;
}
static bool query_count_most(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return count_of(v, &((struct query *)to)->count_most);
}
QUERY_FLAG(bodiless, bodiless)

static bool explain_format(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    bool ok = WORD_OF(v, &at, "text", "json");
    ((struct query *)to)->explain = at ? QUERY_EXPLAIN_JSON : QUERY_EXPLAIN_TEXT;
    return ok;
}
static bool explain_options(struct from *f, const struct query_json *v, void *to) {
    uint32_t at;
    (void)f;
    if (v->kind != JSON_KIND_ARRAY) return false;
    for (uint32_t i = 0; i < v->n; i++) {
#define X(id, name) name,
        if (!WORD_OF(&v->items[i], &at, QUERY_EXPLAIN_OPTIONS(X))) return false;
#undef X
        ((struct query *)to)->explain_options |= 1u << at;
    }
    return true;
}
static bool query_explain(struct from *f, const struct query_json *v, void *to) {
    static const struct member table[] = {{"format", explain_format}, {"options", explain_options}};
    return MEMBERS(f, v, "explain", table, to) && (((struct query *)to)->explain || wrong(f, "explain", "\"format\" is missing"));
}

/* What each kind may have, besides what all have. */
enum {
    HAS_ROWS = 1,
    HAS_SET = 2,
    HAS_WHERE = 4,
    HAS_RANGE = 8,
    HAS_CONFLICT = 16,
    HAS_AFFECTED = 32,
    HAS_FUNCTION = 64,
    HAS_ORDER = 128,
    HAS_PUT = 256
};
static const uint32_t kind_has[] = {
    [QUERY_SELECT] = HAS_WHERE | HAS_RANGE | HAS_ORDER,
    [QUERY_INSERT] = HAS_ROWS | HAS_CONFLICT | HAS_AFFECTED | HAS_ORDER | HAS_PUT,
    [QUERY_UPDATE] = HAS_SET | HAS_WHERE | HAS_AFFECTED | HAS_ORDER,
    [QUERY_DELETE] = HAS_WHERE | HAS_AFFECTED | HAS_ORDER,
    [QUERY_CALL] = HAS_FUNCTION | HAS_WHERE | HAS_RANGE | HAS_ORDER | HAS_AFFECTED,
    [QUERY_DESCRIBE] = 0,
};
static const struct {
    const char *key;
    uint32_t of;
} belongs[] = {{"rows", HAS_ROWS},
               {"set", HAS_SET},
               {"where", HAS_WHERE},
               {"limit", HAS_RANGE},
               {"offset", HAS_RANGE},
               {"order", HAS_ORDER},
               {"conflict", HAS_CONFLICT},
               {"maxAffected", HAS_AFFECTED},
               {"missing", HAS_ROWS | HAS_SET},
               {"columns", HAS_ROWS | HAS_SET},
               {"function", HAS_FUNCTION},
               {"args", HAS_FUNCTION},
               {"put", HAS_PUT},
               {"readOnly", HAS_FUNCTION},
               {"textArgs", HAS_FUNCTION},
               {"raw", HAS_FUNCTION}};

static bool check_kind(struct from *f, const struct query_json *v, const struct query *q) {
    for (size_t i = 0; i < ARRAY_COUNT(belongs); i++)
        if (query_json_get(v, belongs[i].key) && !(kind_has[q->kind] & belongs[i].of) && !(q->put && belongs[i].of == HAS_WHERE))
            return wrong(f, belongs[i].key, "a query of this kind has none");
    if (!q->select.relation.n && q->kind != QUERY_DESCRIBE)
        return wrong(f, "from", q->kind == QUERY_CALL ? "\"function\" is missing" : "\"from\" is missing");
    if (q->kind == QUERY_INSERT && !q->rows) return wrong(f, "rows", "it is missing");
    if (q->kind == QUERY_UPDATE && !q->rows) return wrong(f, "set", "it is missing");
    if (q->kind == QUERY_CALL && query_json_get(v, "from")) return wrong(f, "from", "a call has a function");
    return true;
}

bool query_of_json(arena *out, const struct query_json *v, struct query *q, struct pg_error *error) {
    static const struct member table[] = {{"kind", query_kind_of},
                                          {"from", query_from},
                                          {"function", query_from},
                                          {"schema", query_schema},
                                          {"select", query_items},
                                          {"where", query_where},
                                          {"order", query_order},
                                          {"limit", query_limit},
                                          {"offset", query_offset},
                                          {"rows", query_rows},
                                          {"set", query_set},
                                          {"args", query_set},
                                          {"columns", query_columns},
                                          {"missing", query_missing},
                                          {"conflict", query_conflict},
                                          {"count", query_count_of},
                                          {"maxAffected", query_max_affected},
                                          {"single", query_single},
                                          {"put", query_put},
                                          {"readOnly", query_reads_only},
                                          {"textArgs", query_args_text},
                                          {"path", query_path},
                                          {"raw", query_raw_of},
                                          {"accept", query_accept},
                                          {"exposed", query_exposed},
                                          {"bodiless", query_bodiless},
                                          {"countMost", query_count_most},
                                          {"explain", query_explain}};
    struct from f = {out, error, 0, 0};
    static const str usual[] = {STR_INIT("public"), STR_INIT("extensions")};
    *q = (struct query){.max_affected = -1, .select = {.schema = STR("public"), .limit = -1}, .path = usual, .path_count = 2};
    return MEMBERS(&f, v, "query", table, q) && check_kind(&f, v, q);
}

bool query_read(arena *out, str text, struct query *q, struct pg_error *error) {
    struct query_json *v = arena_make(out, struct query_json);
    return query_json_read(out, text, v, error) && query_of_json(out, v, q, error);
}

/* ---- several ---- */

static bool batch_tx(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    uint32_t at;
    bool ok = WORD_OF(v, &at, "commit", "rollback");
    ((struct query_batch *)to)->rollback = at == 1;
    return ok;
}

static bool batch_one(struct from *f, const struct query_json *v, void *to) {
    struct query_batch *b = to;
    if (b->count) return false;
    b->queries = arena_make(f->out, struct query);
    b->count = 1;
    return query_of_json(f->out, v, b->queries, f->error);
}

static bool batch_many(struct from *f, const struct query_json *v, void *to) {
    struct query_batch *b = to;
    if (b->count || v->kind != JSON_KIND_ARRAY || !v->n) return false;
    if (v->n > QUERY_BATCH_MAX) return query_fail(f->error, "PGRST100", "a batch has at most %d queries", QUERY_BATCH_MAX);
    b->queries = arena_array(f->out, struct query, v->n);
    b->many = true;
    for (; b->count < v->n; b->count++)
        if (!query_of_json(f->out, &v->items[b->count], &b->queries[b->count], f->error)) return false;
    return true;
}

static bool batch_counted(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return flag_of(v, &((struct query_batch *)to)->counted);
}

static bool batch_time_zone(struct from *f, const struct query_json *v, void *to) {
    (void)f;
    return name_of(v, &((struct query_batch *)to)->time_zone);
}

bool query_read_batch(arena *out, str text, struct query_batch *b, struct pg_error *error) {
    static const struct member table[] = {
        {"query", batch_one}, {"batch", batch_many}, {"tx", batch_tx}, {"counted", batch_counted}, {"timeZone", batch_time_zone}};
    struct from f = {out, error, 0, 0};
    struct query_json *v = arena_make(out, struct query_json);
    *b = (struct query_batch){0};
    if (!query_json_read(out, text, v, error) || !MEMBERS(&f, v, "request", table, b)) return false;
    return b->count || wrong(&f, "request", "it has neither \"query\" nor \"batch\"");
}

bool query_writes(const struct query *q) {
    if (q->kind != QUERY_CALL) return q->kind != QUERY_SELECT && q->kind != QUERY_DESCRIBE;
    if (q->reads_only) return false; /* its transaction sees to that */
    return !q->function || q->function->volatility == CATALOG_IS_VOLATILE;
}
