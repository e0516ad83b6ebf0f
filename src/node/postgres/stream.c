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
 * 5. What changes tables waits for nobody's pace, as all who ask would wait behind it: what has not come to its end by YIELD_MS is cut, and until it is done no
 *    other one begins.
 * 6. What is on its way is bounded by its bytes, and one row beyond them; those are the app's.
 */
#include "node/postgres/broker.h"

enum { PART_BYTES = 28 << 10 /* which a packet has room for */, ROOM_BYTES = BROKER_ROOM * PART_BYTES, YIELD_MS = 2000 };
static const char moves_on[] = "the answer was given up: its tables are about to be changed";

/* It locks tables against who reads them, or waits until nobody is at work. */
static bool changes(const struct broker_errand *w) {
    return w->does == NODE_DATA_MIGRATE || w->does == NODE_DATA_FILL || w->does == NODE_DATA_RESET || w->does == NODE_DATA_FREEZE;
}

bool node_stream_may(const struct broker_ask *a) {
    bool one = a->who.parts.n && a->batch.count == 1 && !a->batch.many && !a->batch.rollback;
    return one && !a->streams && !a->of_tx && a->peer && query_streams(&a->batch.queries[0]);
}

bool node_stream_has_room(const struct broker_base *b) {
    uint32_t most = (uint32_t)MIN(node_broker.limits.postgres_connections_max, UINT32_MAX);
    if (b->errands && changes(b->errands)) return false;
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
    struct broker_base *b = a->base;
    b->streams++;
    a->next_stream = b->streaming, a->at_stream = &b->streaming;
    if (b->streaming) b->streaming->at_stream = &a->next_stream;
    b->streaming = a;
    node_plan_unref(a->plan);
    node_made_unref(a->made);
    a->plan = NULL, a->made = NULL;
    node_ask_begin(a);
}

void node_stream_end(struct broker_ask *a) {
    if (!a->streams) return;
    a->base->streams--;
    *a->at_stream = a->next_stream;
    if (a->next_stream) a->next_stream->at_stream = a->at_stream;
    buf_free(&a->part);
}

void node_stream_refuse(struct broker_ask *a) {
    const struct broker_errand *w = a->base->errands;
    if (!a->error.set && w && w->begun && changes(w)) node_tree_fail(&a->error, "53300", moves_on);
}

static void cut(struct broker_ask *a) {
    if (!a->asked) return;
    postgres_cancel(a->asked);
    a->asked = NULL;
    node_ask_over(a);
}

bool node_stream_yields(struct broker_errand *w) {
    struct broker_base *b = w->base;
    uint64_t now = clock_mono_ns();
    if (!changes(w)) return true;
    if (!w->yields_ns) w->yields_ns = now;
    if (b->streaming && now < w->yields_ns + YIELD_MS * 1'000'000ull) return false;
    for (struct broker_ask *a = b->streaming, *next; a; a = next) {
        next = a->next_stream;
        if (a->reads) continue; /* by a thread, which writes there, too: node_stream_refuse */
        node_tree_fail(&a->error, a->told ? "40001" : "53300", moves_on);
        cut(a);
    }
    return true;
}

void node_stream_turn(struct broker_base *b) {
    for (struct broker_ask *a = b->streaming, *next; a; a = next) {
        next = a->next_stream;
        if (!a->reads && a->error.set) cut(a);
    }
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

/* What it holds is counted as its ask is. False: the app, or all of them, have too much. */
static bool count_held(struct broker_ask *a) {
    uint64_t held = a->widest;
    for (uint32_t i = 0; i < a->sent_count; i++) held += a->sent[i];
    a->bytes -= a->held, node_broker.bytes -= a->held, a->base->bytes -= a->held;
    a->held = held;
    a->bytes += held, node_broker.bytes += held, a->base->bytes += held;
    return node_base_may_hold(a->base);
}

static bool has_room(const struct broker_ask *a) { return a->sent_count < BROKER_ROOM && a->held - a->widest < ROOM_BYTES; }

bool node_stream_row(void *arg, const struct postgres_answer *answer, str row) {
    struct broker_ask *a = arg;
    if (a->drops) return ++a->rows, true;
    if (!a->rows) put_head(a, answer);
    query_put_told(&a->batch.queries[0], a->rows++, row, &a->part);
    if (a->part.n < PART_BYTES) return true;
    a->widest = MAX(a->widest, row.n);
    a->sent[a->sent_count++] = (uint32_t)a->part.n;
    if (!count_held(a) && a->part.n > ROOM_BYTES) { /* narrow rows are so few bytes that they go on */
        node_tree_fail(&a->error, "53200", "what is on its way to the app's callers is as much as it may be: ask again later");
        node_broker_later();
        return false;
    }
    node_broker_part(a, buf_str(&a->part));
    a->told = true;
    if (a->part.cap > ROOM_BYTES) buf_free(&a->part);
    a->part.n = 0;
    return has_room(a);
}

void node_stream_more(struct broker_ask *a, uint32_t parts) {
    bool waits = !has_room(a);
    uint32_t used = MIN(parts, a->sent_count);
    a->sent_count -= used;
    memmove(a->sent, a->sent + used, a->sent_count * sizeof *a->sent);
    (void)count_held(a);
    if (waits && has_room(a) && a->asked && !a->error.set) postgres_more(a->asked);
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
