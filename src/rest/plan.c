/* plan: a request's parts as a query tree: which relation or function, what of it, which rows, what is written; and what the answer is to look like.
 *
 *   GET /r?…      select     POST insert   PATCH update   PUT insert of one row by its key   DELETE delete
 *   /rpc/f        call: GET's parameters without an operator are its arguments, POST's are the body's members
 *   /             what there is (OpenAPI)             OPTIONS   what may be done with it
 */
#include "rest/rest_int.h"
#include <stdio.h>
#include <stdlib.h>

struct making {
    arena *out;
    const struct rest_options *o;
    const struct rest_request *rq;
    struct rest_plan *plan;
    struct query *q;
    struct pg_error *error;
    rest_params params;
    uint32_t filters;
};

/* ---- where to, how, in which schema ---- */

/* What stands for the document of what there is: a function that gives another one. */
static bool find_root(struct making *m) {
    str schema, name;
    bool reads = str_eqc(m->rq->method, "GET") || str_eqc(m->rq->method, "HEAD");
    if (m->plan->relation.n || !m->o->root.n || !reads) return false;
    m->plan->root = true;
    if (str_cut(m->o->root, '.', &schema, &name)) m->plan->schema = schema;
    else name = m->o->root;
    m->plan->relation = name;
    return true;
}

static bool find_target(struct making *m, bool *call) {
    str path = m->rq->path, part;
    rest_names parts = {0};
    *call = false;
    while (path.n) {
        str_cut(path, '/', &part, &path);
        if (!part.n) continue;
        if (parts.n == 3) break;
        if (!rest_unescape(m->out, part, false, &part))
            return rest_fail(m->error, "PGRST125", "Invalid path specified in request URL");
        vec_push(m->out, &parts, part);
    }
    *call = parts.n == 2 && str_eqc(parts.p[0], "rpc");
    if (parts.n > 1 && !*call) return rest_fail(m->error, "PGRST125", "Invalid path specified in request URL");
    if (parts.n) m->plan->relation = parts.p[parts.n - 1];
    return m->plan->relation.n <= 256 || rest_fail(m->error, "PGRST125", "Invalid path specified in request URL");
}

static bool find_action(struct making *m, bool call) {
    static const struct {
        const char *method;
        enum rest_action relation, call, root;
        bool head;
    } rows[] = {{"GET", REST_READ, REST_CALL, REST_DESCRIBE, false},   {"HEAD", REST_READ, REST_CALL, REST_DESCRIBE, true},
                {"POST", REST_CREATE, REST_CALL, REST_READ, false},    {"PATCH", REST_UPDATE, REST_READ, REST_READ, false},
                {"PUT", REST_PUT, REST_READ, REST_READ, false},        {"DELETE", REST_DELETE, REST_READ, REST_READ, false},
                {"OPTIONS", REST_ALLOW, REST_ALLOW, REST_ALLOW, false}};
    str method = m->rq->method;
    bool root = !m->plan->relation.n;
    for (size_t i = 0; i < ARRAY_COUNT(rows); i++) {
        if (!str_eqc(method, rows[i].method)) continue;
        m->plan->action = root ? rows[i].root : call ? rows[i].call : rows[i].relation;
        m->plan->head = rows[i].head;
        if ((root || call) && m->plan->action == REST_READ) break;
        return true;
    }
    if (call) return rest_fail(m->error, "PGRST101", "Cannot use the " STR_FMT " method on RPC", STR_ARG(str_sub(method, 0, 32)));
    return rest_fail(m->error, "PGRST117", "Unsupported HTTP method: " STR_FMT, STR_ARG(str_sub(method, 0, 32)));
}

static bool find_schema(struct making *m) {
    bool there, reads = str_eqc(m->rq->method, "GET") || str_eqc(m->rq->method, "HEAD") || str_eqc(m->rq->method, "OPTIONS");
    str asked = rest_field_of(m->rq, reads ? "accept-profile" : "content-profile", &there);
    const struct rest_options *o = m->o;
    m->plan->schema = o->schemas_count ? o->schemas[0] : STR("public");
    m->plan->negotiated = o->schemas_count > 1;
    if (!there) return true;
    for (uint32_t i = 0; i < o->schemas_count; i++) {
        if (!str_eq(o->schemas[i], asked)) continue;
        m->plan->schema = asked;
        return m->plan->negotiated = true;
    }
    struct buf b = {0};
    for (uint32_t i = 0; i < o->schemas_count; i++) buf_printf(&b, "%s" STR_FMT, i ? ", " : "", STR_ARG(o->schemas[i]));
    rest_fail(m->error, "PGRST106", "Invalid schema: " STR_FMT, STR_ARG(str_sub(asked, 0, 100)));
    rest_fail_hint(m->error, "Only the following schemas are exposed: " STR_FMT, STR_ARG(buf_str(&b)));
    buf_free(&b);
    return false;
}

/* ---- parameters ---- */

/* What stands behind the last dot of a name. */
static str last_word(str name, str *before) {
    size_t i = name.n;
    while (i && name.p[i - 1] != '.') i--;
    *before = str_sub(name, 0, i ? i - 1 : 0);
    return str_sub(name, i, name.n);
}

static const str *param_named(const struct making *m, const char *name) {
    for (uint32_t i = 0; i < m->params.n; i++)
        if (str_eqc(m->params.p[i].name, name)) return &m->params.p[i].value;
    return NULL;
}

static struct query_embed *embed_of(struct making *m, const struct query_select *s, str name) {
    struct query_embed *by_target = NULL;
    for (uint32_t i = 0; i < s->items_count; i++) {
        struct query_embed *e = s->items[i].embed;
        if (!e) continue;
        if (str_eq(e->alias.n ? e->alias : e->target, name)) return e;
        if (!by_target && str_eq(e->target, name)) by_target = e;
    }
    if (by_target && m->o->target_names) return by_target;
    rest_fail(m->error, "PGRST108", "'" STR_FMT "' is not an embedded resource in this request", STR_ARG(str_sub(name, 0, 100)));
    if (by_target) {
        rest_fail_detail(m->error, "Target names are not allowed in filters if they have an alias");
        rest_fail_hint(m->error, "Change '" STR_FMT "' to '" STR_FMT "' in filters, orders or limits.", STR_ARG(name),
                       STR_ARG(by_target->alias));
    } else {
        rest_fail_hint(m->error, "Verify that '" STR_FMT "' is included in the 'select' query parameter.",
                       STR_ARG(str_sub(name, 0, 100)));
    }
    return NULL;
}

/* The list that a path of embeds leads to. */
static struct query_select *select_at(struct making *m, const rest_names *path) {
    struct query_select *s = &m->q->select;
    for (uint32_t i = 0; i < path->n; i++) {
        struct query_embed *e = embed_of(m, s, path->p[i]);
        if (!e) return NULL;
        s = &e->select;
    }
    return s;
}

static void add_where(struct making *m, struct query_select *s, const struct query_where *w) {
    if (!s->where) {
        s->where = arena_make(m->out, struct query_where);
        s->where->kind = QUERY_AND;
    }
    uint32_t n = s->where->parts_count;
    if (!(n & (n - 1))) { /* room for the next power of two */
        struct query_where *more = arena_array(m->out, struct query_where, n ? n * 2 : 1);
        if (n) memcpy(more, s->where->parts, n * sizeof *more);
        s->where->parts = more;
    }
    s->where->parts[s->where->parts_count++] = *w;
}

/* Filters of an embed's name by is.null ask whether it has rows. */
static void find_embeds(const struct query_select *s, struct query_where *w) {
    if (w->kind == QUERY_TEST && w->test.op == QUERY_OP_IS && !w->test.field.steps_count) {
        str v = w->test.values[0]->s;
        bool null = str_eqc(v, "null"), not_null = str_eqc(v, "not_null");
        for (uint32_t i = 0; (null || not_null) && i < s->items_count; i++) {
            const struct query_embed *e = s->items[i].embed;
            if (!e || !str_eq(e->alias.n ? e->alias : e->target, w->test.field.column)) continue;
            *w = (struct query_where){.kind = QUERY_HAS, .embed = w->test.field.column, .has = not_null};
            return;
        }
    }
    for (uint32_t i = 0; i < w->parts_count; i++) find_embeds(s, &w->parts[i]);
}

static bool too_many(struct making *m) {
    return ++m->filters <= REST_FILTERS_MAX || rest_fail(m->error, "54000", "a request has at most %d filters", REST_FILTERS_MAX);
}

static bool is_writing(const struct making *m) { return m->plan->action >= REST_CREATE && m->plan->action <= REST_DELETE; }

/* Of an insert, what is of the relation itself filters nothing. */
static bool take_where(struct making *m, const rest_names *path, struct query_where *w) {
    struct query_select *s = select_at(m, path);
    if (!s || !too_many(m)) return false;
    find_embeds(s, w);
    if (m->plan->action == REST_CREATE && !path->n) return true;
    add_where(m, s, w);
    return true;
}

static bool take_logic(struct making *m, const struct rest_param *p) {
    rest_names path = {0}, embeds = {0};
    struct query_field f = {0};
    struct query_where w = {0};
    bool negated = false;
    struct rest_text t = rest_text_of(m->out, p->name);
    if (!rest_path_read(&t, &path, &f)) return rest_unread(&t, "logic path", p->name, m->error);
    for (uint32_t i = 0; i < path.n; i++) {
        if (str_eqc(path.p[i], "not")) negated = true;
        else vec_push(m->out, &embeds, path.p[i]);
    }
    t = rest_text_of(m->out,
                     arena_fmt(m->out, "%s" STR_FMT STR_FMT, negated ? "not." : "", STR_ARG(f.column), STR_ARG(p->value)));
    if (!rest_logic_read(&t, &w)) return rest_unread(&t, "logic tree", p->value, m->error);
    m->filters += t.filters;
    return take_where(m, &embeds, &w);
}

static bool take_order(struct making *m, const struct rest_param *p) {
    rest_names path = {0};
    struct query_field f = {0};
    struct rest_text t = rest_text_of(m->out, p->name);
    struct query_select read = {0}, *s;
    if (!rest_path_read(&t, &path, &f)) return rest_unread(&t, "tree path", p->name, m->error);
    t = rest_text_of(m->out, p->value);
    if (!rest_order_read(&t, &read)) return rest_unread(&t, "order", p->value, m->error);
    s = select_at(m, &path);
    if (!s) return false;
    s->order = read.order;
    s->order_count = read.order_count;
    return true;
}

/* What of a filter's name says how to read its value. */
static bool take_filter(struct making *m, const struct rest_param *p, struct buf *args) {
    rest_names path = {0};
    struct query_field f = {0};
    struct query_where w = {0};
    bool none = false, reads = m->plan->action == REST_CALL && !str_eqc(m->rq->method, "POST");
    struct rest_text name = rest_text_of(m->out, p->name), t = rest_text_of(m->out, p->value);
    bool named = rest_path_read(&name, &path, &f);
    bool ok = rest_test_read(&t, &f, false, &w, &none);
    if (none && reads) {
        if (args->n > 1) buf_putc(args, ',');
        buf_putc(args, '"'), json_escape(args, p->name), buf_puts(args, STR("\":\""));
        return json_escape(args, p->value), buf_putc(args, '"');
    }
    if (!named) return rest_unread(&name, "tree path", p->name, m->error);
    if (!ok) return rest_unread(&t, "filter", p->value, m->error);
    if (m->plan->action == REST_CREATE && !path.n) return true;
    return take_where(m, &path, &w);
}

/* A whole number, of either sign; other words are none, as PostgREST has it. */
static bool number_of(str s, int64_t *to) {
    char text[24], *end;
    s = str_trim(s);
    if (!s.n || s.n >= sizeof text) return false;
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    *to = strtoll(text, &end, 10);
    return !*end;
}

struct range {
    int64_t from, to; /* the last one; INT64_MAX: to the end */
};

static bool take_range(struct making *m, const struct rest_param *p, str path_text, bool limit) {
    rest_names path = {0};
    struct query_field f = {0};
    struct query_select *s = &m->q->select;
    int64_t n;
    if (path_text.n) {
        struct rest_text t = rest_text_of(m->out, path_text);
        if (!rest_path_read(&t, &path, &f)) return rest_unread(&t, "tree path", p->name, m->error);
        vec_push(m->out, &path, f.column);
        s = select_at(m, &path);
        if (!s) return false;
    }
    if (!number_of(p->value, &n)) return true;
    if (limit && n < 0) {
        rest_fail(m->error, "PGRST103", "Requested range not satisfiable");
        return rest_fail_detail(m->error, "Limit should be greater than or equal to zero."), false;
    }
    if (!limit && n < 0) n = 0;
    *(limit ? &s->limit : &s->offset) = n;
    return true;
}

static bool range_refused(struct making *m, const char *why) {
    rest_fail(m->error, "PGRST103", "Requested range not satisfiable");
    rest_fail_detail(m->error, "%s", why);
    return false;
}

/* Range: 0-9, which counts for GET alone, and what limit and offset say: both. */
static bool take_range_field(struct making *m) {
    struct query_select *s = &m->q->select;
    bool there;
    uint64_t a, b = INT64_MAX;
    str value = rest_field_of(m->rq, "range", &there), from, to;
    if (!there || !str_eqc(m->rq->method, "GET") || s->limit == 0) return true;
    if (str_starts(value, STR("items="))) value = str_sub(value, 6, value.n);
    if (!str_cut(value, '-', &from, &to) || from.n > 18 || to.n > 18 || !str_to_u64(from, &a) || (to.n && !str_to_u64(to, &b)))
        return true;
    if (a > b)
        return range_refused(m, "The lower boundary must be lower than or equal to the upper boundary in the Range header.");
    int64_t last, first = MAX(s->offset, (int64_t)a);
    if (s->limit < 0 || __builtin_add_overflow(s->offset, s->limit - 1, &last)) last = INT64_MAX;
    last = MIN(last, (int64_t)b);
    if (last < first) return range_refused(m, "Limit should be greater than or equal to zero.");
    s->offset = first;
    s->limit = last == INT64_MAX ? -1 : last - first + 1;
    return true;
}

static bool take_select(struct making *m) {
    const str *select = param_named(m, "select");
    if (!select && is_writing(m) && m->plan->prefer.returns != REST_FULL) return true;
    if (select && !str_trim(*select).n) select = NULL;
    struct rest_text t = rest_text_of(m->out, select ? *select : STR("*"));
    return rest_select_read(&t, &m->q->select) || rest_unread(&t, "select parameter", *select, m->error);
}

/* select, columns and on_conflict have been taken. Embeds' limits come last, as they lie in what select says. */
static bool take_params(struct making *m, struct buf *args) {
    for (uint32_t i = 0; i < m->params.n; i++) {
        const struct rest_param *p = &m->params.p[i];
        str before, last = last_word(p->name, &before);
        bool ok = true;
        if (str_eqc(p->name, "select") || str_eqc(p->name, "columns") || str_eqc(p->name, "on_conflict")) continue;
        if (str_eqc(last, "and") || str_eqc(last, "or")) ok = take_logic(m, p);
        else if (str_eqc(last, "order")) ok = take_order(m, p);
        else if (str_eqc(last, "limit") || str_eqc(last, "offset")) {
            if (m->plan->action == REST_PUT && !before.n)
                return rest_fail(m->error, "PGRST114", "limit/offset querystring parameters are not allowed for PUT");
            if (!is_writing(m)) ok = take_range(m, p, before, str_eqc(last, "limit"));
        } else ok = take_filter(m, p, args);
        if (!ok) return false;
    }
    return true;
}

/* ---- lists are as long as they may be; no aggregates, where there are none ---- */

static bool check_list(struct making *m, struct query_select *s, uint32_t depth) {
    int64_t most = m->o->rows_max;
    if (most && !is_writing(m) && (s->limit < 0 || s->limit > most)) s->limit = most;
    if (depth > QUERY_EMBEDS_MAX) return rest_fail(m->error, "54001", "embeds of more than %d levels", QUERY_EMBEDS_MAX);
    for (uint32_t i = 0; i < s->items_count; i++) {
        if (s->items[i].kind == QUERY_AGGREGATE && !m->o->aggregates)
            return rest_fail(m->error, "PGRST123", "Use of aggregate functions is not allowed");
        if (s->items[i].embed && !check_list(m, &s->items[i].embed->select, depth + 1)) return false;
    }
    return true;
}

/* ---- bodies ---- */

static bool no_body(struct making *m) { return rest_fail(m->error, "PGRST102", "Empty or invalid json"); }

static bool form_of(struct making *m, str body, str *json) {
    rest_params params = {0};
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    if (!rest_params_of(m->out, body, &params, m->error)) return false;
    json_put_object(&w, NULL);
    for (uint32_t i = 0; i < params.n; i++) {
        bool again = false;
        for (uint32_t k = i + 1; k < params.n; k++) again |= str_eq(params.p[i].name, params.p[k].name);
        if (!again || m->plan->action == REST_CALL) /* several are a variadic parameter's */
            json_put_str(&w, arena_cstr(m->out, params.p[i].name), params.p[i].value);
    }
    json_put_end(&w);
    *json = arena_str(m->out, buf_str(&b));
    buf_free(&b);
    return true;
}

static bool body_json(struct making *m, enum rest_content *in, struct query_json *v) {
    bool there;
    str type = rest_field_of(m->rq, "content-type", &there), text = m->rq->body;
    struct pg_error error = {0};
    *in = rest_content_of(type);
    bool call = m->plan->action == REST_CALL;
    if (*in == REST_IN_OTHER || (*in >= REST_IN_TEXT && !call))
        return rest_fail(m->error, "PGRST102", "Content-Type not acceptable: " STR_FMT, STR_ARG(str_sub(type, 0, 100)));
    *v = (struct query_json){.kind = JSON_KIND_NULL, .raw = STR("null")};
    if (*in >= REST_IN_TEXT) return true;
    if (*in == REST_IN_CSV && !rest_csv_read(m->out, text, &text, m->error)) return false;
    if (*in == REST_IN_FORM && !form_of(m, text, &text)) return false;
    if (call && !str_trim(text).n) text = STR("{}");
    if (query_json_read(m->out, text, v, &error)) return true;
    if (!strcmp(error.state, "PGRST102") || !strcmp(error.state, "22P02")) return no_body(m);
    return *m->error = error, false;
}

static bool keys_differ(struct making *m) { return rest_fail(m->error, "PGRST102", "All object keys must match"); }

static const struct query_json nothing = {.kind = JSON_KIND_ARRAY, .raw = STR_INIT("[]")};

/* An array of objects: one object is one of them, and what is neither is none. */
static bool rows_of(struct making *m, const struct query_json *v, const struct query_json **rows) {
    *rows = &nothing;
    if (v->kind == JSON_KIND_OBJECT) {
        struct query_json *one = arena_make(m->out, struct query_json);
        *one = (struct query_json){.kind = JSON_KIND_ARRAY, .n = 1, .raw = arena_fmt(m->out, "[" STR_FMT "]", STR_ARG(v->raw))};
        one->items = arena_make(m->out, struct query_json);
        *one->items = *v;
        *rows = one;
    } else if (v->kind == JSON_KIND_ARRAY && v->n) {
        for (uint32_t i = 0; i < v->n; i++)
            if (v->items[i].kind != JSON_KIND_OBJECT) return keys_differ(m);
        struct query_json *all = arena_make(m->out, struct query_json);
        *all = *v;
        *rows = all;
    }
    return true;
}

static bool take_names(struct making *m, const char *param, const str **names, uint32_t *count, bool *has) {
    const str *value = param_named(m, param);
    rest_names read = {0};
    if (!value) return true;
    struct rest_text t = rest_text_of(m->out, *value);
    if (!rest_names_read(&t, &read))
        return rest_unread(&t, str_eqc(str_c(param), "columns") ? "columns parameter" : "on_conflict parameter", *value,
                           m->error);
    VEC(str) once = {0};
    for (uint32_t i = 0; i < read.n; i++) {
        bool again = false;
        for (uint32_t k = 0; k < once.n; k++) again |= str_eq(once.p[k], read.p[i]);
        if (!again) vec_push(m->out, &once, read.p[i]);
    }
    *names = once.p;
    *count = once.n;
    return *has = true;
}

/* ---- writes ---- */

static bool make_write(struct making *m) {
    struct query *q = m->q;
    struct rest_plan *plan = m->plan;
    struct query_json v;
    enum rest_content in;
    q->kind = plan->action == REST_UPDATE ? QUERY_UPDATE : plan->action == REST_DELETE ? QUERY_DELETE : QUERY_INSERT;
    q->missing_default = plan->prefer.missing == REST_DEFAULT && plan->action != REST_PUT;
    if (q->kind == QUERY_DELETE) return true;
    if (plan->action != REST_PUT && !take_names(m, "columns", &q->columns, &q->columns_count, &q->has_columns)) return false;
    if (!body_json(m, &in, &v) || !rows_of(m, &v, &q->rows)) return false;
    if (q->kind == QUERY_UPDATE) {
        static const struct query_json no_change = {.kind = JSON_KIND_OBJECT, .raw = STR_INIT("{}")};
        q->rows = q->rows->n ? &q->rows->items[0] : &no_change;
        if (!q->rows->n && q->has_columns) q->has_columns = false, q->columns_count = 0;
        return true;
    }
    if (plan->action == REST_PUT) {
        q->put = true;
        q->conflict = QUERY_CONFLICT_MERGE;
        return true;
    }
    if (!take_names(m, "on_conflict", &q->conflict_columns, &q->conflict_count, &q->has_conflict_columns)) return false;
    if (plan->prefer.resolution)
        q->conflict = plan->prefer.resolution == REST_MERGE ? QUERY_CONFLICT_MERGE : QUERY_CONFLICT_IGNORE;
    else q->has_conflict_columns = false, q->conflict_count = 0;
    return true;
}

/* The key of what was inserted, for Location. */
static void want_key(struct making *m) {
    static struct query_item key = {.kind = QUERY_KEY};
    struct query_select *s = &m->q->select;
    if (m->plan->action != REST_CREATE || m->plan->prefer.returns != REST_HEADERS) return;
    s->items = &key;
    s->items_count = 1;
    s->has_items = true;
}

/* ---- calls ---- */

/* As bytea's text has it. */
static str hex_of_bytes(arena *out, str s) {
    static const char digits[] = "0123456789abcdef";
    uint8_t *p = arena_alloc(out, 2 * s.n + 2, 1);
    p[0] = '\\', p[1] = 'x';
    for (size_t i = 0; i < s.n; i++) p[2 * i + 2] = (uint8_t)digits[s.p[i] >> 4], p[2 * i + 3] = (uint8_t)digits[s.p[i] & 15];
    return (str){p, 2 * s.n + 2};
}

/* Of an object the members that are named. */
static const struct query_json *only_named(arena *out, const struct query_json *v, const str *names, uint32_t count) {
    struct query_json *some = arena_make(out, struct query_json);
    struct buf raw = {0};
    *some = (struct query_json){.kind = JSON_KIND_OBJECT, .members = arena_array(out, struct query_json_member, v->n + 1)};
    for (uint32_t i = 0; i < v->n; i++) {
        bool named = false;
        for (uint32_t k = 0; !named && k < count; k++) named = str_eq(v->members[i].key, names[k]);
        if (!named) continue;
        buf_puts(&raw, some->n ? STR(",\"") : STR("{\""));
        json_escape(&raw, v->members[i].key);
        buf_puts(&raw, STR("\":"));
        buf_puts(&raw, v->members[i].v.raw);
        some->members[some->n++] = v->members[i];
    }
    buf_puts(&raw, some->n ? STR("}") : STR("{}"));
    some->raw = arena_str(out, buf_str(&raw));
    buf_free(&raw);
    return some;
}

static bool make_call(struct making *m, struct buf *args) {
    struct query *q = m->q;
    struct query_json *v = arena_make(m->out, struct query_json);
    enum rest_content in;
    static const enum query_raw raws[] = {[REST_IN_JSON] = QUERY_RAW_JSON,
                                          [REST_IN_TEXT] = QUERY_RAW_TEXT,
                                          [REST_IN_XML] = QUERY_RAW_XML,
                                          [REST_IN_BYTES] = QUERY_RAW_BYTES,
                                          [REST_IN_OTHER] = QUERY_RAW_NONE};
    q->kind = QUERY_CALL;
    if (!str_eqc(m->rq->method, "POST")) {
        str text = args->n > 1 ? arena_fmt(m->out, STR_FMT "}", STR_ARG(buf_str(args))) : STR("{}");
        q->reads_only = q->args_text = true;
        q->rows = v;
        return query_json_read(m->out, text, v, m->error);
    }
    if (!body_json(m, &in, v)) return false;
    q->args_text = in == REST_IN_FORM || in == REST_IN_CSV;
    q->raw = raws[in];
    if (q->raw && q->raw != QUERY_RAW_JSON && !str_is_utf8(m->rq->body) && q->raw != QUERY_RAW_BYTES)
        return rest_fail(m->error, "22021", "invalid byte sequence for encoding \"UTF8\"");
    if (q->raw == QUERY_RAW_BYTES) q->raw_body = hex_of_bytes(m->out, m->rq->body);
    else if (q->raw) q->raw_body = m->rq->body;
    if (v->kind == JSON_KIND_ARRAY && v->n && v->items[0].kind == JSON_KIND_OBJECT) v = &v->items[0];
    static const struct query_json empty = {.kind = JSON_KIND_OBJECT, .raw = STR_INIT("{}")};
    q->rows = v->kind == JSON_KIND_OBJECT ? v : &empty;
    const str *names = NULL;
    uint32_t count = 0;
    bool has = false;
    if (!take_names(m, "columns", &names, &count, &has)) return false;
    if (has) q->rows = only_named(m->out, q->rows, names, count);
    return true;
}

/* ---- the whole ---- */

static bool check_preferences(struct making *m) {
    const struct rest_prefer *p = &m->plan->prefer;
    uint64_t most = 0;
    if (p->handling == REST_STRICT && p->unknown.n) {
        rest_fail(m->error, "PGRST122", "Invalid preferences given with handling=strict");
        rest_fail_detail(m->error, "Invalid preferences: " STR_FMT, STR_ARG(p->unknown));
        return false;
    }
    enum rest_action a = m->plan->action;
    if (p->handling == REST_STRICT && p->max_affected.n && (a == REST_UPDATE || a == REST_DELETE || a == REST_CALL)) {
        if (!str_to_u64(p->max_affected, &most)) return true;
        m->q->max_affected = (int64_t)MIN(most, (uint64_t)INT64_MAX);
    }
    return true;
}

static bool make(struct making *m, struct buf *args) {
    struct rest_plan *plan = m->plan;
    struct query *q = m->q;
    if (!take_select(m)) return false;
    buf_putc(args, '{');
    if (!take_params(m, args) || !take_range_field(m)) return false;
    if (is_writing(m) && !make_write(m)) return false;
    if (plan->action == REST_CALL && !make_call(m, args)) return false;
    plan->offset = q->select.offset;
    if (!check_list(m, &q->select, 0) || !check_preferences(m)) return false;
    want_key(m);
    if (is_writing(m) && plan->prefer.returns != REST_FULL &&
        !(plan->prefer.returns == REST_HEADERS && plan->action == REST_CREATE))
        q->select.has_items = false, q->select.items_count = q->select.order_count = 0;
    q->bodiless = plan->head || (is_writing(m) && plan->prefer.returns != REST_FULL);
    q->exposed = m->o->schemas;
    q->exposed_count = m->o->schemas_count > 1 ? MIN(m->o->schemas_count, (uint32_t)QUERY_EXPOSED_MAX) : 0;
    q->count_most = m->o->rows_max;
    q->count = plan->prefer.count == REST_EXACT       ? QUERY_COUNT_EXACT
               : plan->prefer.count == REST_PLANNED   ? QUERY_COUNT_PLANNED
               : plan->prefer.count == REST_ESTIMATED ? QUERY_COUNT_ESTIMATED
                                                      : QUERY_COUNT_NONE;
    return true;
}

static bool make_tree(struct making *m) {
    struct rest_plan *plan = m->plan;
    struct buf args = {0};
    if (!rest_params_of(m->out, m->rq->query, &m->params, m->error)) return false;
    plan->canonical = rest_canonical(m->out, &m->params);
    if (plan->action == REST_DESCRIBE && m->o->no_openapi)
        return rest_fail(m->error, "PGRST126", "Root endpoint metadata is disabled");
    if (plan->action == REST_DESCRIBE || plan->action == REST_ALLOW) {
        m->q->kind = QUERY_DESCRIBE;
        return true;
    }
    bool ok = make(m, &args);
    buf_free(&args);
    return ok;
}

bool rest_plan_one(arena *out, const struct rest_options *o, const struct rest_request *rq, struct rest_plan *plan,
                   struct pg_error *error) {
    struct making m = {.out = out, .o = o, .rq = rq, .plan = plan, .error = error};
    bool call;
    *plan = (struct rest_plan){0};
    m.q = arena_make(out, struct query);
    *m.q = (struct query){.max_affected = -1, .select = {.limit = -1}};
    if (!find_target(&m, &call) || !find_schema(&m)) return false;
    call |= find_root(&m);
    if (!find_action(&m, call)) return false;
    plan->called = call;
    plan->terse = o->terse;
    if (!rest_prefer_of(out, rq, o->undo, &plan->prefer, error)) return false;
    if (plan->action != REST_ALLOW && !rest_media_of(out, rq, o, plan, m.q, error)) return false;
    m.q->select.schema = plan->schema;
    m.q->has_path = o->path != NULL, m.q->path = o->path, m.q->path_count = o->path_count;
    m.q->select.relation = plan->relation;
    if (!make_tree(&m)) return false;
    plan->batch = (struct query_batch){.queries = m.q,
                                       .count = 1,
                                       .counted = true,
                                       .rollback = plan->prefer.tx == REST_ROLLBACK,
                                       .time_zone = plan->prefer.time_zone};
    return true;
}

bool rest_plan_of(arena *out, const struct rest_options *o, const struct rest_request *rq, struct rest_plan *plan,
                  struct pg_error *error) {
    return rest_is_batch(rq) ? rest_batch_of(out, o, rq, plan, error) : rest_plan_one(out, o, rq, plan, error);
}

static void keep(arena *out, struct rest_plan *p) {
    str *const texts[] = {
        &p->media, &p->schema, &p->relation, &p->canonical, &p->prefer.max_affected, &p->prefer.time_zone, &p->prefer.unknown};
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) *texts[i] = arena_str(out, *texts[i]);
    p->batch = (struct query_batch){0};
}

void rest_plan_keep(arena *out, struct rest_plan *p) {
    struct rest_plan *parts = arena_array(out, struct rest_plan, p->parts_count + 1);
    for (uint32_t i = 0; i < p->parts_count; i++) parts[i] = p->parts[i], keep(out, &parts[i]);
    p->parts = parts;
    keep(out, p);
}
