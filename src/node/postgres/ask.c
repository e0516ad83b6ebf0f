/* ask: a query on its way: sent as plan.c has it; its answer as JSON. See broker.h. */
#include "node/postgres/broker.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    ANSWER_AROUND = 64,
    SIZE_EVERY_MS = 1000,
    SIZE_EVERY_BYTES = 1 << 20,
    LATE_MS = 2000 /* after the server should have said so itself */
};
static const uint64_t ms_ns = 1'000'000u;

/* ---- what comes of it ---- */

static int64_t number(str s) {
    bool minus = s.n && s.p[0] == '-';
    uint64_t v = 0;
    return str_to_u64(str_sub(s, minus, s.n), &v) ? minus ? -(int64_t)v : (int64_t)v : 0;
}

static void refuse(struct postgres_error *to, const char *state, const char *message) {
    snprintf(to->state, sizeof to->state, "%.*s", (int)sizeof to->state - 1, state);
    snprintf(to->message, sizeof to->message, "%s", message);
}

static str value_of(void *arg, uint32_t statement, uint32_t row, uint32_t column) {
    return postgres_value(arg, statement, row, column, NULL);
}
static uint32_t rows_of(void *arg, uint32_t statement) { return postgres_rows(arg, statement); }
static uint64_t affected_by(void *arg, uint32_t statement) { return postgres_affected(arg, statement); }

struct query_answers node_ask_answers(const struct postgres_answer *answer) {
    return (struct query_answers){(void *)(uintptr_t)answer, value_of, rows_of, affected_by};
}

/* What the trees say of how many rows there may be. */
static bool are_few(const struct broker_ask *a, const struct postgres_answer *answer, struct postgres_error *error) {
    struct pg_error said = {0};
    struct query_answers answers = node_ask_answers(answer);
    if (query_judge_answers(&a->batch, a->texts, &answers, a->first, &said)) return true;
    refuse(error, said.state, said.message);
    snprintf(error->detail, sizeof error->detail, "%s", said.detail);
    return false;
}

static bool judge(void *arg, const struct postgres_answer *answer, struct postgres_error *error) {
    struct broker_ask *a = arg;
    if (!are_few(a, answer, error)) return false;
    if (!a->sized) return true;
    int64_t before = number(postgres_value(answer, 0, 0, 0, NULL)),
            behind = number(postgres_value(answer, a->statements_count - 1, 0, 1, NULL));
    a->base->sized_ns = clock_mono_ns(), a->base->written = 0;
    if ((uint64_t)behind <= a->bytes_max || behind <= before) return true;
    a->base->sized_ns = 0; /* the next one is looked at, too */
    refuse(error, "53100", "could not extend file: the database is full");
    snprintf(error->hint, sizeof error->hint, "It has %lld bytes, and may have %llu (database_mb).", (long long)behind,
             (unsigned long long)a->bytes_max);
    return false;
}

static void compose(struct broker_ask *a, const struct postgres_answer *answer) {
    struct query_result *results = arena_array(a->mem, struct query_result, a->batch.count + 1);
    struct query_answers answers = node_ask_answers(answer);
    struct query_said said;
    memset(results, 0, sizeof *results * (a->batch.count + 1));
    (void)query_take_answers(&a->batch, a->texts, &answers, a->first, results, &said, &a->error); /* which the judge had said */
    query_batch_body(&a->batch, results, &said, &a->body);
    for (uint32_t i = 0; i < a->batch.count; i++) query_result_free(&results[i]);
    if (a->body.n > a->answer_bytes_max)
        node_tree_fail(&a->error, "54000", "the answer is larger than %u bytes", a->answer_bytes_max);
}

static void copy_error(const struct postgres_error *from, struct pg_error *to) {
    *to = (struct pg_error){.set = true};
#define COPY(field) snprintf(to->field, sizeof to->field, "%.*s", (int)sizeof to->field - 1, from->field)
    COPY(state), COPY(message), COPY(detail), COPY(hint), COPY(schema), COPY(table), COPY(column), COPY(constraint);
#undef COPY
}

/* Which tree a statement is of, from 1. */
static uint32_t place_of(const struct broker_ask *a, uint32_t statement) {
    uint32_t at = a->first;
    for (uint32_t i = 0; i < a->batch.count && statement >= a->first; i++) {
        at += 1u + (a->texts[i].count.n > 0) + (a->texts[i].planned.n > 0);
        if (statement < at) return i + 1;
    }
    return 0;
}

void node_ask_take_error(struct broker_ask *a, const struct postgres_answer *answer) {
    switch (postgres_outcome(answer)) {
    case POSTGRES_DONE: break;
    case POSTGRES_ERROR:
        copy_error(postgres_error(answer), &a->error);
        if (a->batch.many) a->error.place = place_of(a, postgres_error(answer)->statement);
        break;
    case POSTGRES_BUSY: node_tree_fail(&a->error, "53300", "too many queries of the app wait"); break;
    case POSTGRES_AWAY: node_tree_fail(&a->error, "57P03", "the database system is not there at the moment"); break;
    case POSTGRES_LOST: node_tree_fail(&a->error, "08007", "the database system ended meanwhile: it may be done, or not"); break;
    }
}

static void on_told(void *arg, const struct postgres_answer *answer) {
    struct broker_ask *a = arg;
    a->asked = NULL;
    bool done = postgres_outcome(answer) == POSTGRES_DONE;
    if (postgres_too_large(answer) && node_stream_may(a)) {
        node_stream_begin(a);
        return;
    }
    if (done && a->writes && !a->errand) node_feed_note(a);
    if (done && a->streams) node_stream_told(a, answer);
    else if (done) compose(a, answer);
    else node_ask_take_error(a, answer);
    node_ask_over(a);
}

/* What stands around the rows: what was committed may not turn out too large afterwards. */
static uint64_t rows_bytes_max(const struct broker_ask *a) {
    uint64_t around = ANSWER_AROUND * ((uint64_t)a->batch.count + 1);
    uint64_t most = a->answer_bytes_max > around ? a->answer_bytes_max - around : 1;
    return node_stream_may(a) && node_stream_has_room(a->base) && !a->batch.queries[0].single
               ? MIN(most, (uint64_t)BROKER_FIRST_BYTES)
               : most;
}

static void send_it(struct broker_ask *a) {
    uint64_t now = clock_mono_ns();
    if (a->streams) node_stream_refuse(a);
    if (!a->error.set && now >= a->until_ns) node_tree_late(&a->error);
    if (a->of_tx && !a->tx)
        node_tree_fail(&a->error, "25P01", "there is no transaction in progress"); /* it ended while it was read */
    if (a->of_tx && a->batch.rollback) node_tree_fail(&a->error, "0A000", "a query in a transaction has no end of its own");
    if (a->error.set || (!a->peer && !a->errand)) {
        node_ask_over(a);
        return;
    }
    a->base->written += a->bytes;
    a->asked =
        postgres_ask(a->base->asks,
                     &(struct postgres_question){.statements = a->statements,
                                                 .count = a->statements_count,
                                                 .ms_max = (uint32_t)((a->until_ns - now) / ms_ns) + (a->streams ? 0 : LATE_MS),
                                                 .streams = a->streams ? a->first + 1 : 0,
                                                 .row = node_stream_row,
                                                 .bytes_max = rows_bytes_max(a),
                                                 .undone = !a->of_tx && (a->batch.rollback || !a->writes),
                                                 .on = node_tx_held(a),
                                                 .stays = a->of_tx,
                                                 .judge = a->writes ? judge : NULL},
                     on_told, a);
}

static void on_prepared(void *arg, bool ran) {
    struct broker_ask *a = arg;
    a->reads = false;
    if (!ran) node_tree_fail(&a->error, "53300", "too many queries wait");
    if (a->base->asks) send_it(a);
    else node_tree_fail(&a->error, "57P03", "the database system is not there at the moment"), node_ask_over(a);
}

void node_ask_begin(struct broker_ask *a) {
    struct broker_base *b = a->base;
    a->under_way = true;
    if (a->feed) {
        node_feed_ask(a);
        return;
    }
    a->made = b->made;
    if (a->made) a->made->users++;
    a->sized = !b->secret[0] && /* of one that somebody else runs that is his affair */
               (clock_mono_ns() - b->sized_ns > SIZE_EVERY_MS * ms_ns || b->written > SIZE_EVERY_BYTES);
    if (a->who.body.n > BROKER_LARGE_BYTES) {
        a->reads = true;
        net_work_new(node_broker.loop, NULL, node_plan_make, on_prepared, a);
        return;
    }
    if (a->streams) node_plan_make(a);
    else node_plan_find(a);
    send_it(a);
}
