/* query: see query.h. */
#include "node/worker/query.h"
#include "app/data.h"
#include "base/json.h"
#include "net/loop.h"
#include "node/worker/data.h"

enum { LARGE_BYTES = 64 << 10 /* that is not looked at here: the loop would stand still */ };

static struct node_query *new_query(struct node_app *app, node_query_told told, void *arg) {
    arena *mem = arena_new(0);
    struct node_query *q = arena_make(mem, struct node_query);
    *q = (struct node_query){.mem = mem, .app = app, .told = told, .arg = arg};
    q->until_ns = clock_mono_ns() + app->record.limits.data_ms_max * 1'000'000;
    app->requests++; /* it stays until q is over, whoever still waits */
    return q;
}

static void free_query(struct node_query *q) {
    engine_post_cancel(&q->post);
    engine_post_cancel(&q->gives);
    q->app->requests--;
    net_timer_free(q->untaken);
    if (q->paid) engine_unpay(q->app->share, q->paid);
    buf_free(&q->body);
    buf_free(&q->piece);
    buf_free(&q->queue);
    arena_free(q->trees_mem);
    arena_free(q->mem); /* it is in there */
}

static void tell(void *arg) {
    struct node_query *q = arg;
    struct node_query_answer answer = {.ok = !q->error.set, .body = buf_str(&q->body), .error = &q->error};
    node_query_told told = q->told;
    if (told) told(q->arg, &answer);
    free_query(q);
}

static void done(struct node_query *q) {
    if (q->waits || q->queued) { /* what came before is to be used up first */
        q->over = true;
        return;
    }
    q->state = NODE_QUERY_DONE;
    q->post = (struct engine_post){.fn = tell, .arg = q};
    engine_post(q->app->share, &q->post);
}

/* ---- by the store ---- */

/* What the store says where no query of it was to blame. */
void node_query_failed(struct pg_error *error, const struct app_answer *a) {
    static const struct {
        const char *state, *message;
    } words[APP_DATA_OUTCOMES] = {
        [APP_DATA_FULL] = {"53100", "could not extend file: the database is full"},
        [APP_DATA_TOO_LARGE] = {"54000", "program limit exceeded"},
        [APP_DATA_REFUSED] = {"XX000", "the store refuses it"},
        [APP_DATA_LATE] = {"57014", "canceling statement due to statement timeout"},
        [APP_DATA_BUSY] = {"53300", "too many queries of the app wait"},
        [APP_DATA_LOST] = {"08007", "the store ended meanwhile: it may be done, or not"},
        [APP_DATA_FAILED] = {"58030", "the database cannot be read or written"},
    };
    node_tree_fail(error, words[a->outcome].state, "%s", words[a->outcome].message);
    if (a->text.n) snprintf(error->detail, sizeof error->detail, STR_FMT, STR_ARG(a->text));
}

/* ---- in parts ---- */

static void refuse_parts(struct node_query *q, const char *state, const char *message);

static void on_untaken(void *arg) {
    struct node_query *q = arg;
    if (!q->waits) return;
    q->late = true;
    q->waits = false;
    if (q->fiber) engine_ready(q->fiber);
    else refuse_parts(q, "57014", NODE_QUERY_UNTAKEN);
}

void node_query_given(struct node_query *q) {
    if (!q->take_ms) return;
    if (!q->untaken) q->untaken = net_timer_new(q->app->guest->loop, on_untaken, q);
    net_timer_start(q->untaken, q->take_ms, 0);
}

/* ---- from who is asked ---- */

static void give(void *arg) {
    struct node_query *q = arg;
    struct buf used = q->piece;
    q->piece = q->queue, q->queue = used;
    q->queue.n = 0;
    q->given = q->queued, q->queued = 0;
    q->waits = true;
    node_query_given(q);
    q->part(q->arg, buf_str(&q->piece));
}

static void give_soon(struct node_query *q) {
    q->gives = (struct engine_post){.fn = give, .arg = q};
    engine_post(q->app->share, &q->gives);
}

static void refuse_parts(struct node_query *q, const char *state, const char *message) {
    struct app_data *data = node_query_data_of(q->app);
    if (q->asked && data) data->cancel(data, q->asked);
    q->asked = NULL;
    q->queued = 0;
    engine_post_cancel(&q->gives);
    node_tree_fail(&q->error, state, "%s", message);
    done(q);
}

/* A row may be far larger than a part is. */
static bool pay_parts(struct node_query *q, size_t held) {
    uint64_t most = MAX((uint64_t)held, (uint64_t)NODE_QUERY_PARTS_BYTES), paid = q->paid;
    if (most > paid && !engine_pay(q->app->share, most - paid)) return false;
    if (most < paid) engine_unpay(q->app->share, paid - most);
    q->paid = most;
    return true;
}

/* What was used up is not kept, where it was a large one. */
static void drop_used(struct node_query *q) {
    q->piece.n = 0;
    if (q->piece.cap > NODE_QUERY_PARTS_BYTES) buf_free(&q->piece);
    if (q->paid > NODE_QUERY_PARTS_BYTES) (void)pay_parts(q, q->queue.n);
}

static void on_part(void *arg, str bytes) {
    struct node_query *q = arg;
    uint64_t now = clock_mono_ns();
    if (!q->open_ns) q->open_ns = now;
    if (!pay_parts(q, q->piece.n + q->queue.n + bytes.n)) {
        refuse_parts(q, "53200", "the app may not hold more memory");
        return;
    }
    if (now - q->open_ns > NODE_QUERY_OPEN_S * 1'000'000'000ull) {
        refuse_parts(q, "57014", NODE_QUERY_UNTAKEN);
        return;
    }
    buf_puts(&q->queue, bytes);
    if (!q->queued++ && !q->waits) give_soon(q);
}

static void on_told(void *arg, const struct app_answer *a) {
    struct node_query *q = arg;
    q->asked = NULL;
    bool said = a->count == 1 && a->values[0].kind == APP_VALUE_TEXT;
    if (a->outcome == APP_DATA_OK && said) buf_puts(&q->body, a->values[0].s);
    else if (a->outcome == APP_DATA_OK && !a->count) {
    } /* a function that gives nothing */
    else if (a->outcome == APP_DATA_ERROR)
        node_tree_error_of_values(a->values, a->count, &q->error);
    else node_query_failed(&q->error, a);
    done(q);
}

/* Who has its tables. */
struct app_data *node_query_data_of(const struct node_app *app) {
    const struct node_guest *g = app->guest;
    struct node_data *data = app->record.database.engine > APP_DATABASE_SQLITE ? g->postgres : g->data;
    return data ? node_data_of(data) : NULL;
}

static void ask_about(struct node_query *q, enum app_data_op op, const struct app_value *values, uint32_t count, app_told told) {
    struct app_data *data = node_query_data_of(q->app);
    struct app *of = &q->app->parts[q->app->parts_count - 1].of;
    struct app_question question = {.op = op,
                                    .place = STR("app"),
                                    .values = values,
                                    .count = count,
                                    .hops = q->ask.hops,
                                    .part = q->part && data && data->more ? on_part : NULL};
    q->state = NODE_QUERY_ASKS;
    q->asked = data ? data->ask(data, of, &question, told, q) : NULL;
    if (q->asked) return;
    node_query_failed(&q->error, &(struct app_answer){.outcome = data ? APP_DATA_BUSY : APP_DATA_FAILED});
    done(q);
}

static void ask_store(struct node_query *q) {
    struct app_value values[NODE_TREE_ASK_VALUES];
    node_tree_ask_values(&q->ask, values);
    ask_about(q, APP_QUERY, values, ARRAY_COUNT(values), on_told);
}

/* ---- changes ---- */

enum { HEAD = 2, SEQ = 0, AT, SCHEMA, TABLE, OP, KEY, OLD, NEW, HOPS, OF_CHANGE };

static void put_raw(struct json_writer *w, const char *key, const struct app_value *v) {
    if (v->kind == APP_VALUE_TEXT) json_put_raw(w, key, v->s);
    else json_put_null(w, key);
}

static str type_of(str op) {
    if (str_eqc(op, "I")) return STR("INSERT");
    if (str_eqc(op, "U")) return STR("UPDATE");
    return str_eqc(op, "D") ? STR("DELETE") : STR("ALL");
}

static void put_change(struct json_writer *w, const struct app_value *v) {
    json_put_object(w, NULL);
    json_put_i64(w, "seq", v[SEQ].i);
    json_put_i64(w, "at", v[AT].i);
    json_put_str(w, "schema", v[SCHEMA].s);
    json_put_str(w, "table", v[TABLE].s);
    json_put_str(w, "type", type_of(v[OP].s));
    put_raw(w, "key", &v[KEY]);
    put_raw(w, "old", &v[OLD]);
    put_raw(w, "new", &v[NEW]);
    json_put_end(w);
}

/* What the store says is hearsay, too. */
static bool is_change(const struct app_value *v) {
    bool ok = v[SEQ].kind == APP_VALUE_INTEGER && v[AT].kind == APP_VALUE_INTEGER;
    for (int i = SCHEMA; i <= OP; i++) ok &= v[i].kind == APP_VALUE_TEXT;
    for (int i = KEY; i <= NEW; i++) ok &= v[i].kind == APP_VALUE_TEXT || v[i].kind == APP_VALUE_NULL;
    return ok;
}

static bool put_changes(const struct app_answer *a, struct buf *to) {
    const struct app_value *v = a->values;
    if (a->count < HEAD || (a->count - HEAD) % OF_CHANGE || v[0].kind != APP_VALUE_INTEGER || v[1].kind != APP_VALUE_INTEGER)
        return false;
    struct json_writer w = json_writer_of(to);
    json_put_object(&w, NULL);
    json_put_i64(&w, "first", v[0].i);
    json_put_i64(&w, "last", v[1].i);
    json_put_array(&w, "changes");
    for (uint32_t i = HEAD; i < a->count; i += OF_CHANGE) {
        if (!is_change(v + i)) return false;
        put_change(&w, v + i);
    }
    json_put_end(&w);
    json_put_end(&w);
    return true;
}

static void on_changes(void *arg, const struct app_answer *a) {
    struct node_query *q = arg;
    q->asked = NULL;
    if (a->outcome == APP_DATA_REFUSED) node_tree_fail(&q->error, "22023", STR_FMT, STR_ARG(a->text));
    else if (a->outcome == APP_DATA_ERROR) node_tree_error_of_values(a->values, a->count, &q->error);
    else if (a->outcome != APP_DATA_OK) node_query_failed(&q->error, a);
    else if (!put_changes(a, &q->body)) node_tree_fail(&q->error, "XX000", "the store's answer cannot be read");
    done(q);
}

struct node_query *node_data_changes(struct node_app *app, const struct node_changes_ask *ask, node_query_told told, void *arg) {
    struct node_query *q = new_query(app, told, arg);
    struct app_value values[] = {ask->consumer.n ? APP_TEXT(ask->consumer) : (struct app_value){APP_VALUE_NULL, {0}},
                                 APP_I64(ask->after), APP_I64(ask->most)};
    ask_about(q, APP_FEED, values, ARRAY_COUNT(values), on_changes);
    return q;
}

/* ---- here ---- */

void node_query_read(struct node_query *q) {
    if (q->cancelled) free_query(q);
    else done(q);
}

static void begin(struct node_query *q) {
    if (q->ask.body.n > LARGE_BYTES || q->app->record.database.engine > APP_DATABASE_SQLITE) {
        ask_store(q);
        return;
    }
    if (!node_tree_read_batch(q->mem, &q->ask, &q->batch, &q->error)) done(q);
    else if (node_tree_writes(&q->batch)) ask_store(q);
    else node_reader_ask(q->app->guest->readers, q);
}

struct node_query *node_data_query(struct node_app *app, const struct node_tree_ask *ask, node_query_told told, void *arg) {
    struct node_query *q = new_query(app, told, arg);
    node_tree_ask_copy(q->mem, ask, &q->ask);
    begin(q);
    return q;
}

/* Of trees that are there: one select goes on as it is, all else as its text. */
static void begin_trees(struct node_query *q, const struct query_batch *trees) {
    q->batch = *trees;
    if (q->app->record.database.engine <= APP_DATABASE_SQLITE && query_stands(&q->batch)) {
        node_reader_ask(q->app->guest->readers, q);
        return;
    }
    struct buf body = {0};
    query_put_batch(&body, trees);
    q->ask.body = arena_str(q->mem, buf_str(&body));
    buf_free(&body);
    if (node_tree_writes(trees)) ask_store(q);
    else begin(q);
}

struct node_query *node_data_stream(struct node_app *app, const struct node_tree_ask *ask, const struct query_batch *trees,
                                    arena *trees_mem, bool counted, uint64_t take_ms, node_query_part part, node_query_told told,
                                    void *arg) {
    struct node_query *q = new_query(app, told, arg);
    node_tree_ask_copy(q->mem, ask, &q->ask);
    q->part = part;
    q->take_ms = take_ms;
    q->ask.parts = counted ? STR(NODE_TREE_PARTS_COUNTED) : STR(NODE_TREE_PARTS);
    q->trees_mem = trees_mem;
    if (trees) begin_trees(q, trees);
    else begin(q);
    return q;
}

void node_query_more(struct node_query *q) {
    struct app_data *data = node_query_data_of(q->app);
    if (!q->waits) return;
    q->waits = false;
    if (q->untaken) net_timer_stop(q->untaken);
    if (q->fiber) engine_ready(q->fiber);
    if (q->fiber || q->state == NODE_QUERY_READS) return;
    drop_used(q);
    if (q->asked && data) data->more(data, q->asked, q->given);
    if (q->queued) give_soon(q);
    else if (q->over) done(q);
}

void node_data_query_cancel(struct node_query *q) {
    struct app_data *data = node_query_data_of(q->app);
    q->told = NULL;
    q->cancelled = true;
    engine_post_cancel(&q->gives);
    if (q->fiber) engine_ready(q->fiber);
    if (q->state == NODE_QUERY_ASKS) {
        if (q->asked) data->cancel(data, q->asked);
        free_query(q);
    } /* else who reads for it sees it, or it is being told */
}
