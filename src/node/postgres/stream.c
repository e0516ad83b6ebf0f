/* stream: rows of a large answer, which are told as PostgreSQL gives them.
 *
 *   asked as any query is ──more than BROKER_FIRST_BYTES──> given up, and asked once more: what stands before its rows first, then them
 *                                                             rows ──> a part ──room──> the worker … used up: room again
 *                                                                        └─ none: nothing is read from the server, which waits, too
 *
 * 1. What is small never comes here. What is large is read twice as far as that, and its connection is lost for it.
 * 2. All of it is of one moment: where rows are counted before, the transaction is repeatable read.
 * 3. The statement's time is that which the server takes. That of who takes the rows is his request's, and BROKER_OPEN_MS at the most.
 * 4. Of an app's connections some never give rows so: small queries find one.
 */
#include "node/postgres/broker.h"

enum { PART_BYTES = 28 << 10 /* which a packet has room for */, ROOM = 4 };

bool node_stream_may(const struct broker_ask *a) {
    bool one = a->who.parts.n && a->batch.count == 1 && !a->batch.many && !a->batch.rollback;
    return one && !a->streams && !a->of_tx && a->peer && query_streams(&a->batch.queries[0]);
}

bool node_stream_has_room(const struct broker_base *b) {
    uint32_t most = (uint32_t)MIN(node_broker.limits.postgres_connections_max, UINT32_MAX);
    return b->streams < MAX(most / 2, 1u) && b->streams + b->txs_count < MAX(most, 2u) - 1;
}

void node_stream_begin(struct broker_ask *a) {
    if (!node_stream_has_room(a->base)) {
        node_tree_fail(&a->error, "53300", "too many large answers are on their way: ask again in a moment");
        node_ask_over(a);
        return;
    }
    uint64_t ns = a->until_ns - a->came_ns;
    a->until_ns = clock_mono_ns() + ns;
    a->streams = true;
    a->base->streams++;
    a->room = ROOM;
    node_plan_unref(a->plan);
    node_made_unref(a->made);
    a->plan = NULL, a->made = NULL;
    node_ask_begin(a);
}

/* ---- what is sent ---- */

static bool put_text(struct broker_ask *a, str text, const struct query_bound *values, uint32_t n) {
    return node_plan_put(a, node_plan_statement(a->mem, text, values, n));
}

/* settings [before] [said] [count] [planned] [rows] | its rows */
void node_stream_put(struct broker_ask *a, const struct pg_session *session) {
    const struct query *q = &a->batch.queries[0];
    struct query_text *t = &a->texts[0], before, rows;
    bool counts = str_eqc(a->who.parts, NODE_TREE_PARTS_COUNTED) || (q->count && !t->count.n && !t->planned.n);
    a->drops = q->bodiless || q->single;
    if (a->drops) counts = false;
    a->statements_count = 0;
    bool ok = put_text(a, STR("set transaction isolation level repeatable read"), NULL, 0) &&
              node_plan_put(a, node_plan_settings(a, a->mem, session));
    if (ok && query_print_before(a->mem, &a->batch, &before)) ok = put_text(a, before.text, NULL, 0);
    a->ahead = (struct query_ahead){.said = a->statements_count};
    if (ok && a->batch.counted && !a->batch.silent) ok = put_text(a, query_ask_said, NULL, 0);
    a->ahead.count = a->statements_count;
    ok = ok && (!t->count.n || put_text(a, t->count, t->count_values, t->count_values_count)) &&
         (!t->planned.n || put_text(a, t->planned, t->planned_values, t->planned_values_count));
    if (ok && counts && query_print_rows(a->mem, a->made->catalog, session, q, &rows, &a->error)) {
        a->ahead.rows = a->statements_count;
        ok = put_text(a, rows.text, rows.values, rows.values_count);
    }
    a->first = a->statements_count;
    if (ok && !a->error.set) (void)put_text(a, t->text, t->values, t->values_count);
}

/* ---- what comes ---- */

static void put_head(struct broker_ask *a, const struct postgres_answer *answer) {
    struct query_answers said = node_ask_answers(answer);
    if (a->batch.counted) query_put_ahead(&a->batch, &a->texts[0], &said, &a->ahead, a->rows, &a->part);
}

bool node_stream_row(void *arg, const struct postgres_answer *answer, str row) {
    struct broker_ask *a = arg;
    if (a->drops) return ++a->rows, true;
    if (!a->rows) put_head(a, answer);
    query_put_told(&a->batch.queries[0], a->rows++, row, &a->part);
    if (a->part.n < PART_BYTES) return true;
    node_broker_part(a, buf_str(&a->part));
    a->told = true;
    a->part.n = 0;
    return --a->room;
}

void node_stream_more(struct broker_ask *a, uint32_t parts) {
    bool waits = !a->room;
    a->room = MIN(a->room + parts, (uint32_t)ROOM);
    if (waits && a->room && a->asked) postgres_more(a->asked);
}

/* How many there are was wanted alone: what is said of that, and no row. */
static void end_counted(struct broker_ask *a) {
    const struct query *q = &a->batch.queries[0];
    struct query_result r = {.rows = a->rows};
    if (!query_check_result(q, &r)) a->error = r.error;
    else if (q->single) node_tree_fail(&a->error, "54000", "the answer is larger than %u bytes", a->answer_bytes_max);
}

void node_stream_told(struct broker_ask *a, const struct postgres_answer *answer) {
    if (a->drops) end_counted(a);
    if (a->error.set) return;
    if (!a->rows || a->drops) put_head(a, answer);
    query_put_told_end(&a->batch.queries[0], a->drops ? 0 : a->rows, &a->part);
    buf_puts(&a->body, buf_str(&a->part));
}
