/* computed: see computed.h. */
#include "node/worker/computed.h"
#include "app/hops.h"
#include "base/json.h"
#include "net/client.h"
#include "net/local.h"
#include "net/loop.h"
#include "node/tree.h"
#include <stdlib.h>

enum { ANSWER_BYTES_MAX = 4 << 20 };
#define RESERVED "_orlo_"
#define HIDDEN RESERVED "computed_%u_%u" /* what column i needs, k */

/* ---- what is asked for ---- */

struct planning {
    arena *mem;
    const struct app_record *record;
    struct node_computed *out;
    struct pg_error *error;
};

static const struct app_computed *column_of(const struct app_record *r, uint32_t function, uint32_t column) {
    return &r->functions.p[function].computes.p[column];
}

/* NULL: it is a column as any other. */
static const struct app_computed *find(const struct planning *p, str schema, str relation, str name, uint32_t *function,
                                       uint32_t *column) {
    for (*function = 0; *function < p->record->functions.n; ++*function) {
        const struct app_function *f = &p->record->functions.p[*function];
        for (*column = 0; *column < f->computes.n; ++*column) {
            const struct app_computed *c = &f->computes.p[*column];
            if (str_eq(c->name, name) && str_eq(c->table, relation) && (!schema.n || str_eq(c->schema, schema))) return c;
        }
    }
    return NULL;
}

static bool is_one(const struct planning *p, const struct query_select *s, str schema, str relation, str name) {
    uint32_t f, c;
    return find(p, s->schema.n ? s->schema : schema, relation, name, &f, &c);
}

static bool refuse(struct planning *p, str name, const char *why) {
    node_tree_fail(p->error, "PGRST127", "Feature not implemented");
    snprintf(p->error->detail, sizeof p->error->detail, "\"" STR_FMT "\" is computed by a function of the app's: %s",
             STR_ARG(str_sub(name, 0, 63)), why);
    return false;
}

#define SELECTED_ALONE "it is selected alone, and nothing is filtered or ordered by it"

static bool check_where(struct planning *p, const struct query_select *s, str schema, str relation, const struct query_where *w,
                        uint32_t depth) {
    if (!w || depth > QUERY_DEPTH_MAX) return true;
    if (w->kind == QUERY_TEST && is_one(p, s, schema, relation, w->test.field.column))
        return refuse(p, w->test.field.column, SELECTED_ALONE);
    for (uint32_t i = 0; i < w->parts_count; i++)
        if (!check_where(p, s, schema, relation, &w->parts[i], depth + 1)) return false;
    return true;
}

/* Where it may stand nowhere: an embed, a write. */
static bool check_select(struct planning *p, const struct query_select *s, str schema, str relation, bool list, uint32_t depth) {
    for (uint32_t i = 0; i < s->order_count; i++)
        if (!s->order[i].embed.n && is_one(p, s, schema, relation, s->order[i].field.column))
            return refuse(p, s->order[i].field.column, SELECTED_ALONE);
    if (!check_where(p, s, schema, relation, s->where, 0)) return false;
    for (uint32_t i = 0; i < s->items_count; i++) {
        const struct query_item *item = &s->items[i];
        bool named = item->kind == QUERY_FIELD || item->kind == QUERY_AGGREGATE;
        str said = item->alias.n               ? item->alias
                   : named                     ? item->field.column
                   : item->kind == QUERY_EMBED ? item->embed->target
                                               : (str){0};
        if (str_starts(said, STR(RESERVED))) /* what it needs has such names in the answer; what is spread gets there, too */
            return refuse(p, said, "names that begin with " RESERVED " are the node's");
        if (list && named && is_one(p, s, schema, relation, item->field.column))
            return refuse(p, item->field.column, "it is in the select list of a GET of its own table alone, and in no embed");
        if (item->kind != QUERY_EMBED || depth > QUERY_EMBEDS_MAX) continue;
        if (!check_select(p, &item->embed->select, schema, item->embed->target, true, depth + 1)) return false;
    }
    return true;
}

static void push_needs(struct planning *p, const struct app_computed *c, uint32_t which, struct query_item *items, uint32_t *n) {
    for (uint32_t i = 0; i < c->needs.n; i++)
        items[(*n)++] = (struct query_item){
            .kind = QUERY_FIELD, .alias = arena_fmt(p->mem, HIDDEN, which, i), .field = {.column = c->needs.p[i]}};
}

static bool is_json(const struct query *q) {
    str first = q->accept_count ? q->accept[0] : STR("*/*");
    str type = str_sub(first, 0, str_find(first, ';'));
    return str_find(first, ';') == first.n &&
           (str_eqc(type, "*/*") || str_eqc(type, "application/*") || str_eqc(type, "application/json") ||
            str_eqc(type, "application/vnd.pgrst.object+json") || str_eqc(type, "application/vnd.pgrst.object"));
}

static bool take_list(struct planning *p, struct query *q) {
    struct query_select *s = &q->select;
    uint32_t f, c, n = 0;
    struct query_item *items = arena_array(p->mem, struct query_item, s->items_count + NODE_COMPUTED_MAX * APP_COMPUTED_MAX);
    for (uint32_t i = 0; i < s->items_count; i++) {
        const struct query_item *item = &s->items[i];
        bool named = item->kind == QUERY_FIELD || item->kind == QUERY_AGGREGATE;
        const struct app_computed *of = named ? find(p, s->schema, s->relation, item->field.column, &f, &c) : NULL;
        if (!of) {
            items[n++] = *item;
            continue;
        }
        if (item->kind != QUERY_FIELD || item->field.steps_count || item->cast.n || item->cast_after.n)
            return refuse(p, of->name, "without a cast, a path or an aggregate");
        if (p->out->count == NODE_COMPUTED_MAX) return refuse(p, of->name, "a request has eight of those at most");
        if (!is_json(q)) return refuse(p, of->name, "it is answered as JSON alone");
        p->out->of[p->out->count].function = f, p->out->of[p->out->count].column = c;
        p->out->of[p->out->count].name = arena_str(p->mem, item->alias.n ? item->alias : of->name);
        push_needs(p, of, p->out->count++, items, &n);
    }
    if (p->out->count) s->items = items, s->items_count = n;
    return true;
}

static bool any(const struct app_record *r) {
    for (uint32_t i = 0; i < r->functions.n; i++)
        if (r->functions.p[i].computes.n) return true;
    return false;
}

bool node_computed_plan(arena *mem, const struct app_record *record, struct rest_plan *plan, struct node_computed *out,
                        struct pg_error *error) {
    struct planning p = {mem, record, out, error};
    out->count = 0;
    if (LIKELY(!any(record))) return true;
    bool reads = plan->action == REST_READ && plan->batch.count == 1;
    for (uint32_t i = 0; i < plan->batch.count; i++) {
        struct query *q = &plan->batch.queries[i];
        bool rows = q->kind != QUERY_DESCRIBE && q->kind != QUERY_CALL;
        if (rows && !check_select(&p, &q->select, q->select.schema, q->select.relation, !reads, 0)) return false;
        if (reads && !take_list(&p, q)) return false;
    }
    return true;
}

/* ---- computing ---- */

struct node_computing {
    struct node_request *r;
    struct node_computed what;
    node_computed_told told;
    void *arg;
    arena *mem;
    bool one; /* a row, and no list */
    const struct query_json *rows;
    uint32_t rows_count, now; /* now: which column */
    const struct query_json *values[NODE_COMPUTED_MAX];
    struct net_fetch *fetch;
    struct buf body, answer;
    size_t sent;
    struct net_timer *turn; /* what is next, never from inside of what says so */
    bool ended;
    struct pg_error error;
};

static void free_computing(struct node_computing *c) {
    if (c->fetch) net_fetch_free(c->fetch);
    net_timer_free(c->turn);
    buf_free(&c->body);
    buf_free(&c->answer);
    arena_free(c->mem);
    free(c);
}

void node_computing_cancel(struct node_computing *c) { free_computing(c); }

static const struct app_function *function_at(const struct node_computing *c, uint32_t i) {
    return &c->r->app->record.functions.p[c->what.of[i].function];
}

static void later(struct node_computing *c) { net_timer_start(c->turn, 0, 0); }

static void fail(struct node_computing *c, const char *state, const char *why) {
    const struct app_function *f = function_at(c, c->now);
    node_tree_fail(&c->error, state, "the function \"" STR_FMT "\", which computes \"" STR_FMT "\", %s", STR_ARG(f->name),
                   STR_ARG(f->computes.p[c->what.of[c->now].column].name), why);
    c->ended = true;
    later(c);
}

static void take_values(struct node_computing *c) {
    struct query_json *v = arena_make(c->mem, struct query_json);
    struct pg_error wrong = {0};
    if (!query_json_read(c->mem, arena_str(c->mem, buf_str(&c->answer)), v, &wrong)) fail(c, "XX000", "did not answer JSON");
    else if (v->kind != JSON_KIND_ARRAY || v->n != c->rows_count)
        fail(c, "XX000", "did not answer an array of a value for each row");
    else {
        c->values[c->now++] = v;
        later(c);
    }
}

static void read_answer(void *arg) {
    struct node_computing *c = arg;
    struct net_source *source = net_fetch_source(c->fetch);
    str data;
    char why[64];
    enum net_flow flow;
    while ((flow = net_source_peek(source, &data)) == NET_FLOW_DATA && c->answer.n <= ANSWER_BYTES_MAX) {
        buf_puts(&c->answer, data);
        net_source_consume(source, data.n);
    }
    if (flow == NET_FLOW_WAIT || c->ended) return;
    uint16_t status = net_fetch_response(c->fetch)->status;
    net_source_notify(source, NULL, NULL);
    snprintf(why, sizeof why, "answered %u", status);
    if (c->answer.n > ANSWER_BYTES_MAX) fail(c, "54000", "answered more than there may be");
    else if (status == 504) fail(c, "57014", "took too long");
    else if (flow != NET_FLOW_END) fail(c, "XX000", "broke off its answer");
    else if (status != 200) fail(c, status == 503 || status == 429 ? "53300" : "XX000", why);
    else take_values(c);
}

static void on_answer(void *arg) {
    struct node_computing *c = arg;
    if (!net_fetch_response(c->fetch)) {
        fail(c, "XX000", "did not answer");
        return;
    }
    net_source_notify(net_fetch_source(c->fetch), read_answer, c);
    read_answer(c);
}

static void send_body(void *arg) {
    struct node_computing *c = arg;
    struct net_sink *sink = net_fetch_sink(c->fetch);
    while (c->sent < c->body.n) {
        size_t n = MIN(net_sink_room(sink), c->body.n - c->sent);
        if (!n || net_sink_write(sink, str_sub(buf_str(&c->body), c->sent, n)) != ERR_OK) return;
        c->sent += n;
    }
    net_sink_notify(sink, NULL, NULL);
    err e = net_sink_finish(sink, NULL, 0);
    (void)e; /* nobody reads it: the answer says what came of it */
}

static void on_request(struct net_exchange *x, void *arg) {
    struct node_computing *c = arg;
    node_handler_internal(c->r->handler, x, &c->r->app->parts[c->what.of[c->now].function], c->r, true);
}

static const struct query_json *hidden(const struct query_json *row, uint32_t i, uint32_t k) {
    char name[64];
    snprintf(name, sizeof name, HIDDEN, i, k);
    return query_json_get(row, name);
}

static void put_body(struct node_computing *c) {
    const struct app_computed *of = column_of(&c->r->app->record, c->what.of[c->now].function, c->what.of[c->now].column);
    struct json_writer w = json_writer_of(&c->body);
    json_put_object(&w, NULL);
    json_put_str(&w, "schema", of->schema);
    json_put_str(&w, "table", of->table);
    json_put_str(&w, "column", of->name);
    json_put_array(&w, "rows");
    for (uint32_t i = 0; i < c->rows_count; i++) {
        json_put_object(&w, NULL);
        for (uint32_t k = 0; k < of->needs.n; k++) {
            const struct query_json *v = hidden(&c->rows[i], c->now, k);
            const char *key = arena_cstr(c->mem, of->needs.p[k]);
            if (v) json_put_raw(&w, key, v->raw);
            else json_put_null(&w, key);
        }
        json_put_end(&w);
    }
    json_put_end(&w);
    json_put_end(&w);
}

static void call(struct node_computing *c) {
    arena *scratch = arena_new(0);
    buf_free(&c->body), buf_free(&c->answer);
    if (c->fetch) net_fetch_free(c->fetch);
    c->fetch = NULL;
    c->sent = 0;
    put_body(c);
    const struct net_field fields[] = {
        {STR("content-type"), STR("application/json")},
        {STR("content-length"), arena_fmt(scratch, "%zu", c->body.n)},
        {STR("user-agent"), STR("orlo")},
        {STR("cdn-loop"), app_hops_next(scratch, app_request_loop(scratch, &c->r->rq), c->r->app->record.id)},
    };
    const struct net_fetch_request rq = {.method = STR("POST"),
                                         .scheme = STR("http"),
                                         .authority =
                                             arena_fmt(scratch, STR_FMT ".internal", STR_ARG(function_at(c, c->now)->name)),
                                         .path = STR("/computed"),
                                         .fields = fields,
                                         .fields_count = ARRAY_COUNT(fields),
                                         .has_body = true,
                                         .first_byte_ms_max = NET_NO_LIMIT};
    const struct net_local to = {.on_request = on_request, .arg = c, .peer = net_exchange_peer(c->r->exchange)};
    enum net_error e = net_fetch_local(c->r->app->guest->loop, &rq, &to, on_answer, c, &c->fetch);
    arena_free(scratch);
    if (e != NET_OK) {
        fail(c, "XX000", "cannot be asked");
        return;
    }
    net_sink_notify(net_fetch_sink(c->fetch), send_body, c);
    send_body(c);
}

/* ---- what is answered ---- */

/* Which column is computed of it, and whether it is the first that it needs. */
static bool is_hidden(const struct node_computing *c, str key, uint32_t *column, bool *first) {
    unsigned i, k;
    char name[64], again[64];
    if (key.n >= sizeof name || !str_starts(key, STR("_orlo_computed_"))) return false;
    memcpy(name, key.p, key.n);
    name[key.n] = 0;
    if (sscanf(name, HIDDEN, &i, &k) != 2 || i >= c->what.count) return false;
    snprintf(again, sizeof again, HIDDEN, i, k);
    *column = i, *first = !k;
    return !strcmp(name, again);
}

static void put_row(struct node_computing *c, struct json_writer *w, uint32_t row) {
    const struct query_json *r = &c->rows[row];
    uint32_t column;
    bool first;
    json_put_object(w, NULL);
    for (uint32_t i = 0; i < r->n; i++) {
        const struct query_json_member *m = &r->members[i];
        bool own = is_hidden(c, m->key, &column, &first);
        if (!own) json_put_raw(w, arena_cstr(c->mem, m->key), m->v.raw);
        else if (first) json_put_raw(w, arena_cstr(c->mem, c->what.of[column].name), c->values[column]->items[row].raw);
    }
    json_put_end(w);
}

static void end(struct node_computing *c) {
    struct buf b = {0};
    struct json_writer w = json_writer_of(&b);
    if (!c->error.set && !c->one) json_put_array(&w, NULL);
    for (uint32_t i = 0; i < c->rows_count && !c->error.set; i++) put_row(c, &w, i);
    if (!c->error.set && !c->one) json_put_end(&w);
    c->told(c->arg, buf_str(&b), c->error.set ? &c->error : NULL);
    buf_free(&b);
    free_computing(c);
}

static void on_turn(void *arg) {
    struct node_computing *c = arg;
    if (c->ended || !c->rows_count || c->now == c->what.count) end(c);
    else call(c);
}

struct node_computing *node_computed_ask(struct node_request *r, const struct node_computed *what, str body,
                                         node_computed_told told, void *arg) {
    struct node_computing *c = calloc(1, sizeof *c);
    ENSURE(c);
    *c = (struct node_computing){.r = r, .what = *what, .told = told, .arg = arg, .mem = arena_new(0)};
    c->turn = net_timer_new(r->app->guest->loop, on_turn, c);
    struct query_json *v = arena_make(c->mem, struct query_json);
    if (body.n > NODE_COMPUTED_BYTES_MAX) {
        fail(c, "54000", "is given a mebibyte of an answer at most: ask for fewer rows at a time (limit)");
        return c;
    }
    if (!query_json_read(c->mem, arena_str(c->mem, body), v, &c->error)) {
        c->ended = true;
        later(c);
        return c;
    }
    c->one = v->kind == JSON_KIND_OBJECT;
    c->rows = c->one ? v : v->items;
    c->rows_count = c->one ? 1 : v->kind == JSON_KIND_ARRAY ? v->n : 0;
    for (uint32_t i = 0; i < c->rows_count; i++)
        if (c->rows[i].kind != JSON_KIND_OBJECT) c->rows_count = 0;
    if (c->rows_count > NODE_COMPUTED_ROWS_MAX) fail(c, "54000", "is given 10,000 rows at most: ask for fewer at a time (limit)");
    else later(c);
    return c;
}
