/* transaction: several queries that are one.
 *
 *   NEW ──query──> OPEN ──commit──> OVER         who writes holds it (APP_TX), from the first query on
 *                   │  ├─rollback, dropped, its instance is gone──> OVER
 *                   ├──a query fails──> FAILED   there is nothing of it any more, and nobody waits for it
 *                   └──its time is up─> FAILED   the same
 */
#include "tables/tables_int.h"

struct orlo_database_client_transaction {
    struct app_object o;
    struct app *app;
    struct tables_who who;
    enum { NEW, OPEN, FAILED, OVER } state;
    int64_t number;
    uint64_t until_ns;
};
typedef struct orlo_database_client_transaction transaction;
typedef struct tables_wit_result_void_database_client_error done;

static struct app_question end_of(const transaction *t, enum app_tx how, struct app_value values[static APP_TX_VALUES]) {
    values[0] = APP_I64(t->number);
    values[1] = APP_I64(how);
    values[2] = APP_I64(t->app->limits->transaction_ms_max);
    return (struct app_question){.op = APP_TX, .place = STR("app"), .values = values, .count = APP_TX_VALUES};
}

/* Nobody waits for it. Where it cannot even be said, its time limit does it. */
static void undo(transaction *t, int state) {
    struct app_value values[APP_TX_VALUES];
    struct app_question q = end_of(t, APP_TX_ROLLBACK, values);
    if (t->state == OPEN) (void)t->app->tables->ask(t->app->tables, t->app, &q, NULL, NULL);
    t->state = state;
}

static void transaction_destroy(struct host_instance *in, void *self) {
    transaction *t = self;
    undo(t, OVER);
    tables_who_free(in, &t->who);
}

void orlo_database_client_transaction_drop(struct host_instance *in, transaction *self) {
    undo(self, OVER);
    app_object_unref(in, self);
}

enum abi_trap tables_begin(struct host_call *call, const struct tables_who *who,
                           struct tables_wit_result_database_client_transaction_database_client_error *result) {
    static int64_t number;
    struct host_instance *in = call->instance;
    APP_OBJECT_NEW(call, t, orlo_database_client_transaction, transaction_destroy);
    t->app = app_instance_of(in)->app;
    t->number = ++number;
    result->is_err = !app_charged_replace(in, &t->who.role, who->role) || !app_charged_replace(in, &t->who.claims, who->claims);
    result->ok = t;
    if (!result->is_err) return ABI_TRAP_NONE;
    app_object_unref(in, t);
    result->err = tables_error_of("53200", "out of memory", "");
    return ABI_TRAP_NONE;
}

/* ---- what goes on in it ---- */

static bool is_late(const transaction *t) { return clock_mono_ns() >= t->until_ns; }

static tables_error late(void) {
    return tables_error_of("25P03", "terminating transaction: it took longer than it may (transaction_timeout_ms)", "");
}

/* Whether something may be asked in it. */
static bool goes_on(transaction *t, tables_error *error) {
    if (t->state == OPEN && is_late(t)) {
        undo(t, FAILED);
        *error = late();
        return false;
    }
    if (t->state == FAILED)
        *error = tables_error_of("25P02", "current transaction is aborted, commands ignored until end of transaction block", "");
    if (t->state == OVER) *error = tables_error_of("25P01", "there is no transaction in progress", "");
    return t->state == NEW || t->state == OPEN;
}

/* Whoever holds it knows of none: why, is known here. */
static tables_error why(const transaction *t, const struct app_reply *reply) {
    tables_error e = tables_error_reply(reply);
    if (!str_eqc(e.code, "25P01")) return e;
    return is_late(t) ? late()
                      : tables_error_of("08006", "the transaction is gone: what keeps the app's data ended meanwhile", "");
}

static void fill_rows(struct host_call *call, const struct app_reply *reply, void *about, void *result) {
    transaction *t = about;
    tables_answer *to = result;
    if (reply->outcome == APP_DATA_OK && reply->count == 1 && reply->values[0].kind == APP_VALUE_TEXT) {
        tables_rows_answer(call, NULL, reply->values[0].s, to);
        return;
    }
    to->is_err = true;
    to->err = why(t, reply);
    undo(t, FAILED); /* of an SQLSTATE it was done already; of what got lost on its way it is not known */
}

static void fill_done(struct host_call *call, const struct app_reply *reply, void *about, void *result) {
    transaction *t = about;
    done *to = result;
    to->is_err = reply->outcome != APP_DATA_OK;
    if (to->is_err) to->err = why(t, reply);
    if (!to->is_err || reply->outcome == APP_DATA_ERROR) return;
    t->state = OPEN; /* it could not be asked: whoever holds it is not to wait for its time */
    undo(t, OVER);
}

enum abi_trap orlo_database_client_transaction_query(struct host_call *call, transaction *self, str tree,
                                                     struct tables_wit_list_database_client_value parameters,
                                                     tables_answer *result) {
    struct buf body = {0};
    enum abi_trap t = ABI_TRAP_NONE;
    if (!goes_on(self, &result->err)) {
        result->is_err = true;
        return t;
    }
    bool ok = tables_body(call, tree, parameters.p, parameters.n, &body, &result->err, &t);
    uint64_t bytes = body.cap;
    bool charged = ok && host_charge(call->instance, bytes);
    if (ok && !charged) result->err = tables_error_of("53200", "out of memory", "");
    result->is_err = !charged;
    if (charged) {
        struct app_value values[APP_TX_VALUES + TABLES_ASK_VALUES];
        struct app_question q = end_of(self, self->state == NEW ? APP_TX_BEGIN : APP_TX_QUERY, values);
        tables_who_values(&self->who, buf_str(&body), values + APP_TX_VALUES);
        q.count = ARRAY_COUNT(values);
        q.hops = app_request_depth(app_request_of(call));
        if (self->state == NEW) self->until_ns = clock_mono_ns() + self->app->limits->transaction_ms_max * 1'000'000;
        self->state = OPEN;
        t = app_wait(call, self->app->tables, &q, fill_rows, self, result);
        host_uncharge(call->instance, bytes);
    } else if (self->state != NEW) undo(self, FAILED);
    buf_free(&body);
    return t;
}

static enum abi_trap end(struct host_call *call, transaction *self, enum app_tx how, done *result) {
    struct app_value values[APP_TX_VALUES];
    if (self->state == NEW || (how == APP_TX_ROLLBACK && self->state == FAILED)) {
        self->state = OVER;
        return ABI_TRAP_NONE;
    }
    result->is_err = !goes_on(self, &result->err);
    if (result->is_err) return ABI_TRAP_NONE;
    struct app_question q = end_of(self, how, values);
    self->state = OVER;
    return app_wait(call, self->app->tables, &q, fill_done, self, result);
}

enum abi_trap orlo_database_client_transaction_commit(struct host_call *call, transaction *self, done *result) {
    return end(call, self, APP_TX_COMMIT, result);
}

enum abi_trap orlo_database_client_transaction_rollback(struct host_call *call, transaction *self, done *result) {
    return end(call, self, APP_TX_ROLLBACK, result);
}
