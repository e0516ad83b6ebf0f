/* tables: the app's own database, as its functions ask it (app.tables; room tables): what app/data.h says of questions, for two of them.
 *
 *   APP_QUERY ──> node_data_query (query.h): read here, or asked of who has it
 *   APP_TX ─────> who writes: the store, or the role that speaks to PostgreSQL, which hold the transaction
 *
 * What is answered is APP_DATA_OK, or APP_DATA_ERROR with an SQLSTATE: why nothing could be asked is one, too. */
#include "node/worker/data.h"
#include "node/worker/query.h"
#include <stdlib.h>

struct asked {
    struct app_data *data;    /* whom a transaction's was asked of */
    struct app_ask *tx;       /* NULL: answered, or a query */
    struct node_query *query; /* NULL: the same */
    app_told told;
    app_part part;
    void *arg;
};

static struct app_ask *as_ask(struct asked *a) { return (struct app_ask *)(void *)a; }

static void tell_error(app_told told, void *arg, const struct pg_error *error) {
    struct buf b = {0};
    arena *mem = arena_new(0);
    node_tree_error_values(error, &b);
    struct rd r = rd_of(buf_str(&b));
    struct app_answer answer = {.outcome = APP_DATA_ERROR};
    answer.values = app_values_read(mem, &r, &answer.count);
    told(arg, &answer);
    arena_free(mem);
    buf_free(&b);
}

static void on_part(void *arg, str bytes) {
    struct asked *a = arg;
    a->part(a->arg, bytes);
}

static void on_query(void *arg, const struct node_query_answer *answer) {
    struct asked *a = arg;
    app_told told = a->told;
    void *of = a->arg;
    free(a);
    if (answer->ok) told(of, &(struct app_answer){.values = &APP_TEXT(answer->body), .count = 1});
    else tell_error(told, of, answer->error);
}

static void on_tx(void *arg, const struct app_answer *answer) {
    struct asked *a = arg;
    app_told told = a->told;
    void *of = a->arg;
    struct pg_error error = {0};
    free(a);
    if (answer->outcome == APP_DATA_OK || answer->outcome == APP_DATA_ERROR) {
        told(of, answer);
        return;
    }
    node_query_failed(&error, answer);
    tell_error(told, of, &error);
}

/* As whoever has the tables takes it: who asks is more than a function says. False: nonsense. */
static bool ask_of(const struct app_value *values, uint32_t count, uint32_t hops, struct node_tree_ask *to) {
    bool ok = count == 3;
    for (uint32_t i = 0; ok && i < count; i++) ok = values[i].kind == APP_VALUE_TEXT;
    if (ok)
        *to = (struct node_tree_ask){.role = values[0].s,
                                     .claims = values[1].s,
                                     .headers = STR("{}"),
                                     .cookies = STR("{}"),
                                     .body = values[2].s,
                                     .hops = hops};
    return ok;
}

enum { TX_VALUES = APP_TX_VALUES + NODE_TREE_ASK_VALUES };
static bool tx_of(const struct app_question *q, struct app_value values[static TX_VALUES], struct app_question *to) {
    struct node_tree_ask ask;
    if (q->count < APP_TX_VALUES) return false;
    *to = *q;
    if (q->count == APP_TX_VALUES) return true;
    if (!ask_of(q->values + APP_TX_VALUES, q->count - APP_TX_VALUES, q->hops, &ask)) return false;
    memcpy(values, q->values, APP_TX_VALUES * sizeof *values);
    node_tree_ask_values(&ask, values + APP_TX_VALUES);
    to->values = values;
    to->count = TX_VALUES;
    return true;
}

static struct app_ask *ask_tables(struct app_data *base, struct app *of, const struct app_question *q, app_told told, void *arg) {
    struct node_app *app = container_of(of, struct node_part, of)->app;
    struct node_tree_ask to;
    struct app_value values[TX_VALUES];
    struct app_question tx;
    struct app_data *data = node_query_data_of(app);
    if (!told) { /* nobody waits for it: a transaction's end */
        if (data && q->op == APP_TX) (void)data->ask(data, of, q, NULL, NULL);
        return NULL;
    }
    struct asked *a = malloc(sizeof *a);
    ENSURE(a);
    *a = (struct asked){.data = data, .told = told, .part = q->part, .arg = arg};
    if (q->op == APP_TX) a->tx = data && tx_of(q, values, &tx) ? data->ask(data, of, &tx, on_tx, a) : NULL;
    else if (q->op == APP_QUERY && ask_of(q->values, q->count, q->hops, &to))
        a->query = q->part ? node_data_stream(app, &to, NULL, NULL, false, app->record.limits.data_ms_max, on_part, on_query, a)
                           : node_data_query(app, &to, on_query, a);
    if (a->tx || a->query) return as_ask(a);
    free(a);
    return NULL;
}

static void cancel_asked(struct app_data *base, struct app_ask *ask) {
    struct asked *a = (struct asked *)(void *)ask;
    if (a->tx) a->data->cancel(a->data, a->tx);
    if (a->query) node_data_query_cancel(a->query);
    free(a);
}

static void more_of(struct app_data *base, struct app_ask *ask, uint32_t parts) {
    struct asked *a = (struct asked *)(void *)ask;
    if (a->query) node_query_more(a->query);
}

struct app_data *node_tables(void) {
    static struct app_data tables = {ask_tables, cancel_asked, more_of};
    return &tables;
}
