/* query: see query.h. */
#include "node/worker/query.h"
#include "app/data.h"
#include "node/worker/data.h"

enum { LARGE_BYTES = 64 << 10 /* that is not looked at here: the loop would stand still */ };

static void free_query(struct node_query *q) {
    engine_post_cancel(&q->post);
    q->app->requests--;
    buf_free(&q->body);
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
    q->state = NODE_QUERY_DONE;
    q->post = (struct engine_post){.fn = tell, .arg = q};
    engine_post(q->app->share, &q->post);
}

/* ---- by the store ---- */

/* What the store says where no query of it was to blame. */
static void store_failed(struct node_query *q, const struct app_answer *a) {
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
    node_tree_fail(&q->error, words[a->outcome].state, "%s", words[a->outcome].message);
    if (a->text.n) snprintf(q->error.detail, sizeof q->error.detail, STR_FMT, STR_ARG(a->text));
}

static void on_told(void *arg, const struct app_answer *a) {
    struct node_query *q = arg;
    q->asked = NULL;
    if (a->outcome == APP_DATA_OK && a->count == 1 && a->values[0].kind == APP_VALUE_TEXT) buf_puts(&q->body, a->values[0].s);
    else if (a->outcome == APP_DATA_ERROR) node_tree_error_of_values(a->values, a->count, &q->error);
    else store_failed(q, a);
    done(q);
}

/* Who has its tables. */
static struct app_data *data_of(const struct node_query *q) {
    const struct node_guest *g = q->app->guest;
    struct node_data *data = q->app->record.database.engine > APP_DATABASE_SQLITE ? g->postgres : g->data;
    return data ? node_data_of(data) : NULL;
}

static void ask_store(struct node_query *q) {
    struct app_data *data = data_of(q);
    struct app *of = &q->app->parts[q->app->parts_count - 1].of;
    struct app_value values[NODE_TREE_ASK_VALUES];
    node_tree_ask_values(&q->ask, values);
    struct app_question question = {.op = APP_QUERY, .place = STR("app"), .values = values, .count = ARRAY_COUNT(values)};
    q->state = NODE_QUERY_ASKS;
    q->asked = data ? data->ask(data, of, &question, on_told, q) : NULL;
    if (q->asked) return;
    store_failed(q, &(struct app_answer){.outcome = data ? APP_DATA_BUSY : APP_DATA_FAILED});
    done(q);
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
    if (!query_read_batch(q->mem, q->ask.body, &q->batch, &q->error)) done(q);
    else if (node_tree_writes(&q->batch)) ask_store(q);
    else node_reader_ask(q->app->guest->readers, q);
}

struct node_query *node_data_query(struct node_app *app, const struct node_tree_ask *ask, node_query_told told, void *arg) {
    arena *mem = arena_new(0);
    struct node_query *q = arena_make(mem, struct node_query);
    *q = (struct node_query){.mem = mem, .app = app, .told = told, .arg = arg};
    app->requests++; /* it stays until q is over, whoever still waits */
    node_tree_ask_copy(mem, ask, &q->ask);
    q->until_ns = clock_mono_ns() + app->record.limits.data_ms_max * 1'000'000;
    begin(q);
    return q;
}

void node_data_query_cancel(struct node_query *q) {
    struct app_data *data = data_of(q);
    q->told = NULL;
    q->cancelled = true;
    if (q->state == NODE_QUERY_ASKS) {
        if (q->asked) data->cancel(data, q->asked);
        free_query(q);
    } /* else who reads for it sees it, or it is being told */
}
