/* say: a tree as the JSON that read.c reads: how one that was made in a worker goes to whoever writes. What holds nothing is left out. */
#include "query/query_int.h"

static void put_json(struct json_writer *w, const char *key, const struct query_json *v) {
    if (v->kind == JSON_KIND_STR) json_put_str(w, key, v->s); /* what was made has no text of its own */
    else json_put_raw(w, key, v->raw);
}

static void put_field(struct json_writer *w, const struct query_field *f) {
    json_put_str(w, "column", f->column);
    if (!f->steps_count) return;
    json_put_array(w, "path");
    for (uint32_t i = 0; i < f->steps_count; i++) {
        if (f->steps[i].is_index) json_put_i64(w, NULL, f->steps[i].index);
        else json_put_str(w, NULL, f->steps[i].key);
    }
    json_put_end(w);
    if (f->text) json_put_bool(w, "text", true);
}

/* ---- filters ---- */

static void put_test(struct json_writer *w, const char *key, const struct query_test *t) {
    bool many = (query_ops[t->op].flags & QUERY_IS_MANY) || t->quantifier;
    json_put_object(w, key);
    put_field(w, &t->field);
    json_put_cstr(w, "op", query_ops[t->op].name);
    if (t->quantifier) json_put_cstr(w, "quantifier", t->quantifier == QUERY_ANY ? "any" : "all");
    if (t->config.n) json_put_str(w, "config", t->config);
    if (many) {
        json_put_array(w, "values");
        for (uint32_t i = 0; i < t->values_count; i++) put_json(w, NULL, t->values[i]);
        json_put_end(w);
    } else put_json(w, "value", t->values[0]);
    json_put_end(w);
}

static void put_where(struct json_writer *w, const char *key, const struct query_where *x, uint32_t depth) {
    ENSURE(depth <= 33);
    if (x->kind == QUERY_TEST) {
        put_test(w, key, &x->test);
        return;
    }
    json_put_object(w, key);
    if (x->kind == QUERY_HAS) {
        json_put_str(w, "embed", x->embed);
        json_put_bool(w, "has", x->has);
    } else if (x->kind == QUERY_NOT) {
        put_where(w, "not", x->parts, depth + 1);
    } else {
        json_put_array(w, x->kind == QUERY_AND ? "and" : "or");
        for (uint32_t i = 0; i < x->parts_count; i++) put_where(w, NULL, &x->parts[i], depth + 1);
        json_put_end(w);
    }
    json_put_end(w);
}

/* ---- lists ---- */

static void put_select(struct json_writer *w, const struct query_select *s, uint32_t depth);

static void put_item(struct json_writer *w, const struct query_item *it, uint32_t depth) {
    const struct query_embed *e = it->embed;
    if (it->kind == QUERY_STAR) {
        json_put_cstr(w, NULL, "*");
        return;
    }
    json_put_object(w, NULL);
    if (it->kind == QUERY_KEY) json_put_bool(w, "key", true);
    if (it->kind == QUERY_EMBED) {
        json_put_str(w, "embed", e->target);
        if (e->hint.n) json_put_str(w, "hint", e->hint);
        if (e->join) json_put_cstr(w, "join", "inner");
        if (e->spread) json_put_bool(w, "spread", true);
        put_select(w, &e->select, depth + 1);
    } else if (it->field.column.n && !it->whole) put_field(w, &it->field);
    if (it->alias.n) json_put_str(w, "as", it->alias);
    if (it->cast.n) json_put_str(w, "cast", it->cast);
    if (it->aggregate.n) json_put_str(w, "aggregate", it->aggregate);
    if (it->cast_after.n) json_put_str(w, "castAfter", it->cast_after);
    json_put_end(w);
}

static void put_order(struct json_writer *w, const struct query_order *o) {
    json_put_object(w, NULL);
    put_field(w, &o->field);
    if (o->embed.n) json_put_str(w, "embed", o->embed);
    if (o->descending) json_put_bool(w, "desc", true);
    if (o->nulls) json_put_cstr(w, "nulls", o->nulls == QUERY_NULLS_FIRST ? "first" : "last");
    json_put_end(w);
}

static void put_select(struct json_writer *w, const struct query_select *s, uint32_t depth) {
    ENSURE(depth <= QUERY_EMBEDS_MAX);
    if (s->has_items) {
        json_put_array(w, "select");
        for (uint32_t i = 0; i < s->items_count; i++) put_item(w, &s->items[i], depth);
        json_put_end(w);
    }
    if (s->where) put_where(w, "where", s->where, 0);
    if (s->order_count) {
        json_put_array(w, "order");
        for (uint32_t i = 0; i < s->order_count; i++) put_order(w, &s->order[i]);
        json_put_end(w);
    }
    if (s->limit >= 0) json_put_i64(w, "limit", s->limit);
    if (s->offset) json_put_i64(w, "offset", s->offset);
}

/* ---- the whole ---- */

static void put_names(struct json_writer *w, const char *key, const str *names, uint32_t n) {
    json_put_array(w, key);
    for (uint32_t i = 0; i < n; i++) json_put_str(w, NULL, names[i]);
    json_put_end(w);
}

static void put_write(struct json_writer *w, const struct query *q) {
    if (q->rows) put_json(w, q->kind == QUERY_INSERT ? "rows" : q->kind == QUERY_UPDATE ? "set" : "args", q->rows);
    if (q->has_columns) put_names(w, "columns", q->columns, q->columns_count);
    if (q->missing_default && q->kind != QUERY_DELETE && q->kind != QUERY_CALL) json_put_cstr(w, "missing", "default");
    if (q->put) json_put_bool(w, "put", true);
    if (!q->conflict) return;
    json_put_object(w, "conflict");
    json_put_cstr(w, "do", q->conflict == QUERY_CONFLICT_MERGE ? "merge" : "ignore");
    if (q->has_conflict_columns) put_names(w, "columns", q->conflict_columns, q->conflict_count);
    json_put_end(w);
}

static void put_raw(struct json_writer *w, const struct query *q) {
    static const char *const words[] = {
        [QUERY_RAW_JSON] = "json", [QUERY_RAW_TEXT] = "text", [QUERY_RAW_XML] = "xml", [QUERY_RAW_BYTES] = "bytea"};
    if (!q->raw) return;
    json_put_object(w, "raw");
    json_put_cstr(w, "type", words[q->raw]);
    json_put_str(w, "body", q->raw_body);
    if (q->raw_named) json_put_bool(w, "named", true);
    json_put_end(w);
}

static void put_explain(struct json_writer *w, const struct query *q) {
    static const char *const options[] = {
#define X(id, name) name,
        QUERY_EXPLAIN_OPTIONS(X)
#undef X
    };
    if (!q->explain) return;
    json_put_object(w, "explain");
    json_put_cstr(w, "format", q->explain == QUERY_EXPLAIN_JSON ? "json" : "text");
    json_put_array(w, "options");
    for (size_t i = 0; i < ARRAY_COUNT(options); i++)
        if (q->explain_options & 1u << i) json_put_cstr(w, NULL, options[i]);
    json_put_end(w);
    json_put_end(w);
}

static void put_query(struct json_writer *w, const char *key, const struct query *q) {
    static const char *const kinds[] = {"select", "insert", "update", "delete", "call", "describe"};
    static const char *const counts[] = {NULL, "exact", "planned", "estimated"};
    json_put_object(w, key);
    json_put_cstr(w, "kind", kinds[q->kind]);
    json_put_str(w, "schema", q->select.schema);
    if (q->select.relation.n) json_put_str(w, q->kind == QUERY_CALL ? "function" : "from", q->select.relation);
    put_select(w, &q->select, 0);
    put_write(w, q);
    put_raw(w, q);
    if (q->has_path) put_names(w, "path", q->path, q->path_count);
    if (q->count) json_put_cstr(w, "count", counts[q->count]);
    if (q->max_affected >= 0) json_put_i64(w, "maxAffected", q->max_affected);
    if (q->single) json_put_bool(w, "single", true);
    if (q->reads_only) json_put_bool(w, "readOnly", true);
    if (q->args_text) json_put_bool(w, "textArgs", true);
    if (q->exposed_count) put_names(w, "exposed", q->exposed, q->exposed_count);
    if (q->bodiless) json_put_bool(w, "bodiless", true);
    if (q->count_most) json_put_i64(w, "countMost", q->count_most);
    put_explain(w, q);
    if (q->accept_count) put_names(w, "accept", q->accept, q->accept_count);
    json_put_end(w);
}

void query_put_batch(struct buf *to, const struct query_batch *b) {
    struct json_writer w = json_writer_of(to);
    json_put_object(&w, NULL);
    if (!b->many) put_query(&w, "query", &b->queries[0]);
    else {
        json_put_array(&w, "batch");
        for (uint32_t i = 0; i < b->count; i++) put_query(&w, NULL, &b->queries[i]);
        json_put_end(&w);
    }
    if (b->rollback) json_put_cstr(&w, "tx", "rollback");
    if (b->counted) json_put_bool(&w, "counted", true);
    if (b->time_zone.n) json_put_str(&w, "timeZone", b->time_zone);
    json_put_end(&w);
}

/* ---- what need not be said ---- */

static bool is_name(str s) { return s.n && s.n <= 256; }
static bool is_name_or_none(str s) { return s.n <= 256; }

static bool is_field(const struct query_field *f) { return is_name(f->column) && f->steps_count <= 32; }

static bool is_where(const struct query_where *w, uint32_t depth) {
    if (depth > 32) return false;
    if (w->kind == QUERY_HAS) return is_name(w->embed);
    if (w->kind == QUERY_TEST) {
        const struct query_test *t = &w->test;
        uint32_t flags = query_ops[t->op].flags;
        bool many = (flags & QUERY_IS_MANY) || t->quantifier, ok = is_field(&t->field) && is_name_or_none(t->config);
        ok = ok && (!t->quantifier || (flags & QUERY_IS_QUANTIFIED)) && (!t->config.n || (flags & QUERY_IS_SEARCH));
        ok = ok && (many ? t->values_count <= QUERY_PARAMS_MAX : t->values_count == 1);
        for (uint32_t i = 0; ok && i < t->values_count; i++) ok = t->values[i]->kind == JSON_KIND_STR;
        return ok;
    }
    if (w->parts_count > 1000 || (w->kind == QUERY_NOT && w->parts_count != 1)) return false;
    for (uint32_t i = 0; i < w->parts_count; i++)
        if (!is_where(&w->parts[i], depth + 1)) return false;
    return true;
}

static bool is_select(const struct query_select *s, uint32_t depth);

static bool is_item(const struct query_item *it, uint32_t depth) {
    const struct query_embed *e = it->embed;
    if (it->kind == QUERY_STAR) return true;
    if (it->kind == QUERY_EMBED && !(is_name(e->target) && is_name_or_none(e->hint) && is_select(&e->select, depth + 1)))
        return false;
    return it->kind != QUERY_KEY &&
           (it->kind == QUERY_EMBED || (it->whole && it->kind == QUERY_AGGREGATE) || is_field(&it->field)) &&
           (it->kind != QUERY_AGGREGATE || is_name(it->aggregate)) &&
           (!it->whole || (str_eqc(it->aggregate, "count") && !it->cast.n)) &&
           (!it->cast_after.n || it->kind == QUERY_AGGREGATE) && is_name_or_none(it->alias) && is_name_or_none(it->cast) &&
           is_name_or_none(it->aggregate) && is_name_or_none(it->cast_after);
}

static bool is_select(const struct query_select *s, uint32_t depth) {
    if (depth > QUERY_EMBEDS_MAX || s->items_count > QUERY_ITEMS_MAX || s->order_count > 100) return false;
    if (s->where && !is_where(s->where, 1)) return false;
    for (uint32_t i = 0; i < s->order_count; i++)
        if (!is_field(&s->order[i].field) || !is_name_or_none(s->order[i].embed)) return false;
    for (uint32_t i = 0; i < s->items_count; i++)
        if (!is_item(&s->items[i], depth)) return false;
    return true;
}

static bool are_names(const str *names, uint32_t n, uint32_t most) {
    for (uint32_t i = 0; i < n; i++)
        if (!is_name(names[i])) return false;
    return n <= most;
}

bool query_stands(struct query_batch *b) {
    static const str usual[] = {STR_INIT("public"), STR_INIT("extensions")};
    struct query *q = b->queries;
    if (b->many || b->count != 1 || q->kind != QUERY_SELECT || q->rows || q->raw || q->put || q->conflict || q->explain ||
        q->max_affected >= 0)
        return false;
    if (!is_name(q->select.schema) || !is_name(q->select.relation) || !is_select(&q->select, 0) ||
        !is_name_or_none(b->time_zone) || !are_names(q->accept, q->accept_count, QUERY_ACCEPTS_MAX) ||
        !are_names(q->exposed, q->exposed_count, QUERY_EXPOSED_MAX) || !are_names(q->path, q->path_count, 32))
        return false;
    if (!q->has_path) q->path = usual, q->path_count = ARRAY_COUNT(usual);
    return true;
}
