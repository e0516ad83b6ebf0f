/* wait: a question of a guest's, while the guest waits for the answer.
 *
 *   a function: ask ──> its fiber is parked ──answer──> ready ──> the result is filled in ──> it returns
 *   an async one: ask ──> it pends ──answer──> the result is filled in ──> done
 *                                └── the guest cancels, or is gone ──> the question is cancelled
 */
#include "app/wait.h"
#include "app/app.h"
#include "app/object.h"
#include <stdlib.h>

struct asking {
    struct host_call *call;
    struct app_data *data; /* NULL: nobody answers */
    struct app_ask *ask;   /* NULL: answered */
    app_fill fill;
    void *about, *result;
    struct app_reply reply;
    struct engine_fiber *fiber;   /* that is parked; NULL: it pends */
    struct host_pending *pending; /* of an async function */
};

str app_reply_text(const struct app_reply *reply) {
    static const str otherwise[APP_DATA_OUTCOMES] = {
        [APP_DATA_FULL] = STR_INIT("it is full"),         [APP_DATA_TOO_LARGE] = STR_INIT("it is too large"),
        [APP_DATA_REFUSED] = STR_INIT("it was refused"),  [APP_DATA_LATE] = STR_INIT("it took too long"),
        [APP_DATA_BUSY] = STR_INIT("too many wait"),      [APP_DATA_LOST] = STR_INIT("who was to do it ended meanwhile"),
        [APP_DATA_FAILED] = STR_INIT("the store failed"),
    };
    return reply->text.n ? reply->text : otherwise[reply->outcome];
}

/* ---- the answer ---- */

static bool copy_value(struct host_call *call, struct app_value *to, const struct app_value *from) {
    *to = *from;
    if (from->kind < APP_VALUE_TEXT || !from->s.n) return true;
    to->s = host_alloc_str(call, from->s);
    return to->s.p;
}

static void take(struct asking *a, const struct app_answer *answer) {
    struct app_value *values = host_alloc(a->call, MAX(answer->count, 1u) * sizeof *values, _Alignof(struct app_value));
    bool ok = values;
    for (uint32_t i = 0; ok && i < answer->count; i++) ok = copy_value(a->call, &values[i], &answer->values[i]);
    a->reply = ok ? (struct app_reply){answer->outcome, host_alloc_str(a->call, answer->text), values, answer->count}
                  : (struct app_reply){.outcome = APP_DATA_TOO_LARGE};
}

static void finish_pending(struct asking *a) {
    struct host_pending *pending = a->pending;
    a->fill(a->call, &a->reply, a->about, a->result);
    if (a->about) app_object_unref(a->call->instance, a->about);
    free(a);
    host_pending_done(pending);
}

static void on_told(void *arg, const struct app_answer *answer) {
    struct asking *a = arg;
    a->ask = NULL;
    take(a, answer);
    if (a->fiber) engine_ready(a->fiber);
    else finish_pending(a);
}

static struct app *app_of(const struct host_call *call) { return app_instance_of(call->instance)->app; }

static void start(struct asking *a, const struct app_question *q) {
    struct app_data *data = a->data;
    if (data) a->ask = data->ask(data, app_of(a->call), q, on_told, a);
    if (!a->ask) a->reply.outcome = data ? APP_DATA_BUSY : APP_DATA_FAILED;
    if (!data) a->reply.text = STR("nothing keeps data here");
}

static void cancel(struct asking *a) {
    if (a->ask) a->data->cancel(a->data, a->ask);
}

/* ---- on a fiber ---- */

static enum abi_trap ask_parked(struct asking *a, const struct app_question *q) {
    struct engine *engine = app_of(a->call)->engine;
    a->fiber = engine_fiber_current(engine);
    start(a, q);
    while (a->ask)
        if (!engine_park(engine)) {
            cancel(a);
            return ABI_TRAP_INTERRUPTED;
        }
    a->fill(a->call, &a->reply, a->about, a->result);
    return ABI_TRAP_NONE;
}

/* ---- without one ---- */

static void drop(struct asking *a) {
    cancel(a);
    if (a->about) app_object_unref(a->call->instance, a->about);
    free(a);
}

static void on_cancel(struct host_pending *p, void *arg) {
    drop(arg);
    host_pending_cancelled(p);
}
static void on_gone(struct host_pending *p, void *arg) { drop(arg); }
static const struct host_pending_ops pending_ops = {on_cancel, on_gone};

static enum abi_trap ask_pending(const struct asking *like, const struct app_question *q) {
    struct asking *a = malloc(sizeof *a);
    ENSURE(a);
    *a = *like;
    start(a, q);
    if (!a->ask) { /* it is known at once */
        a->fill(a->call, &a->reply, a->about, a->result);
        free(a);
        return ABI_TRAP_NONE;
    }
    if (a->about) app_object_ref(a->about);
    a->pending = host_pend(a->call, &pending_ops, a);
    if (a->pending) return ABI_TRAP_NONE;
    struct host_call *call = a->call;
    drop(a);
    return host_trap(call, ABI_TRAP_OUT_OF_MEMORY, "too many calls at once");
}

enum abi_trap app_wait(struct host_call *call, struct app_data *data, const struct app_question *q, app_fill fill, void *about,
                       void *result) {
    struct asking a = {.call = call, .data = data, .fill = fill, .about = about, .result = result};
    return call->subtask ? ask_pending(&a, q) : ask_parked(&a, q);
}
