/* ask: a query on its way: read, resolved and printed; sent; its answer as JSON. See broker.h. */
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

/* ---- what is sent ---- */

static const char size_behind[] = "select set_config('role', 'none', true), "
                                  "pg_catalog.pg_database_size(pg_catalog.current_database()), set_config('role', $1, true)";

static struct postgres_statement statement(arena *mem, str text, const struct query_bound *values, uint32_t n) {
    struct postgres_value *v = arena_array(mem, struct postgres_value, n + 1);
    for (uint32_t i = 0; i < n; i++) v[i] = (struct postgres_value){.null = values[i].null, .text = values[i].text};
    return (struct postgres_statement){.text = text, .values = v, .count = n, .kept = true};
}

/* Everything that policies and functions may ask for, then who it is: for the transaction alone, and the same for the whole batch. */
static struct postgres_statement settings_of(struct broker_ask *a, const struct pg_session *s) {
    struct query_text t;
    query_print_settings(a->mem, s, &a->batch, &t);
    struct query_bound *v = arena_array(a->mem, struct query_bound, t.values_count + 2);
    uint64_t now = clock_mono_ns(), left_ms = a->until_ns > now ? (a->until_ns - now) / ms_ns : 0;
    uint32_t n = t.values_count;
    memcpy(v, t.values, n * sizeof *v);
    v[n] = (struct query_bound){.text = arena_fmt(a->mem, "%llu", (unsigned long long)MAX(left_ms, (uint64_t)1))};
    v[n + 1] = (struct query_bound){.text = a->writes ? STR("off") : STR("on")};
    str text = arena_fmt(
        a->mem, "select %s%sset_config('statement_timeout', $%u, true), set_config('transaction_read_only', $%u, true), " STR_FMT,
        a->sized ? "pg_catalog.pg_database_size(pg_catalog.current_database()), " : "",
        a->writes && !a->errand && a->changes_max <= 1 ? "set_config('orlo.changes', 'off', true), " : "", n + 1, n + 2,
        STR_ARG(t.text));
    return statement(a->mem, text, v, n + 2);
}

/* A value with a NUL would be cut off there. */
static bool has_nul(const struct postgres_statement *s) {
    for (uint32_t i = 0; i < s->count; i++)
        if (s->values[i].text.n && memchr(s->values[i].text.p, 0, s->values[i].text.n)) return true;
    return false;
}

static bool put(struct broker_ask *a, struct postgres_statement s) {
    if (has_nul(&s)) {
        node_tree_fail(&a->error, "22021", "invalid byte sequence for encoding \"UTF8\": 0x00");
        return false;
    }
    a->statements[a->statements_count++] = s;
    return true;
}

static bool is_growing(const struct query *q) { return query_writes(q) && q->kind != QUERY_DELETE; }

static bool print_all(struct broker_ask *a, struct pg_session *session) {
    struct query_batch *b = &a->batch;
    for (uint32_t i = 0; i < b->count; i++) {
        if (!query_resolve(a->mem, a->made->catalog, session, &b->queries[i], &a->error) ||
            !query_print_postgres(a->mem, a->made->catalog, session, &b->queries[i], &a->texts[i], &a->error)) {
            a->error.place = b->many ? i + 1 : 0;
            return false;
        }
        bool writes = query_writes(&b->queries[i]);
        a->writes |= writes || a->of_tx;
        a->grows |= writes && is_growing(&b->queries[i]);
    }
    for (uint32_t i = 0; i < b->count && a->writes; i++) {
        const struct query *q = &b->queries[i];
        if (q->kind != QUERY_CALL || !q->reads_only || q->function->volatility != CATALOG_IS_VOLATILE) continue;
        node_tree_fail(&a->error, "25006", "a function that may write is asked for by what only reads, beside others that write");
        a->error.place = b->many ? i + 1 : 0;
        return false;
    }
    return true;
}

/* Which of the base's needs is looked at on the loop, before. */
static void prepare(void *arg) {
    struct broker_ask *a = arg;
    if (!node_tree_read_batch(a->mem, &a->who, &a->batch, &a->error)) return;
    if (!a->made) {
        node_tree_fail(&a->error, "42P01", "nothing was migrated to this database yet");
        return;
    }
    if (!node_tree_may_be(a->made->catalog, a->who.role, &a->error) || !node_tree_may_ask(&a->who, &a->batch, &a->error)) return;
    struct pg_session session = node_tree_session(&a->who, a->mem);
    session.types = a->made->types;
    a->texts = arena_array(a->mem, struct query_text, a->batch.count + 1);
    a->statements = arena_array(a->mem, struct postgres_statement, 3 * a->batch.count + 4);
    a->batch.before = a->who.before;
    a->batch.search = a->who.search;
    memset(a->texts, 0, sizeof *a->texts * (a->batch.count + 1));
    if (!print_all(a, &session)) return;
    if (a->writes && a->base->frozen) {
        node_tree_fail(&a->error, "57P03", NODE_TREE_MOVES);
        return;
    }
    a->sized &= a->grows;
    struct query_text before;
    bool ok = put(a, settings_of(a, &session));
    if (ok && query_print_before(a->mem, &a->batch, &before)) ok = put(a, statement(a->mem, before.text, NULL, 0));
    a->first = a->statements_count;
    for (uint32_t i = 0; i < a->batch.count && ok; i++) {
        const struct query_text *t = &a->texts[i];
        ok = put(a, statement(a->mem, t->text, t->values, t->values_count)) &&
             (!t->count.n || put(a, statement(a->mem, t->count, t->count_values, t->count_values_count))) &&
             (!t->planned.n || put(a, statement(a->mem, t->planned, t->planned_values, t->planned_values_count)));
    }
    if (ok && a->batch.counted) ok = put(a, statement(a->mem, query_ask_said, NULL, 0));
    struct query_bound role = {.text = a->who.role};
    if (ok && a->sized) (void)put(a, statement(a->mem, str_c(size_behind), &role, 1));
}

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

static struct query_answers answers_of(const struct postgres_answer *answer) {
    return (struct query_answers){(void *)(uintptr_t)answer, value_of, rows_of, affected_by};
}

/* What the trees say of how many rows there may be. */
static bool are_few(const struct broker_ask *a, const struct postgres_answer *answer, struct postgres_error *error) {
    struct pg_error said = {0};
    struct query_answers answers = answers_of(answer);
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
    struct query_answers answers = answers_of(answer);
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
    if (done && a->writes && !a->errand) node_feed_note(a);
    if (done) compose(a, answer);
    else node_ask_take_error(a, answer);
    node_ask_over(a);
}

/* What stands around the rows: what was committed may not turn out too large afterwards. */
static uint64_t rows_bytes_max(const struct broker_ask *a) {
    uint64_t around = ANSWER_AROUND * ((uint64_t)a->batch.count + 1);
    return a->answer_bytes_max > around ? a->answer_bytes_max - around : 1;
}

static void send_it(struct broker_ask *a) {
    uint64_t now = clock_mono_ns();
    if (!a->error.set && now >= a->until_ns) node_tree_late(&a->error);
    if (a->of_tx && !a->tx)
        node_tree_fail(&a->error, "25P01", "there is no transaction in progress"); /* it ended while it was read */
    if (a->of_tx && a->batch.rollback) node_tree_fail(&a->error, "0A000", "a query in a transaction has no end of its own");
    if (a->error.set || (!a->peer && !a->errand)) {
        node_ask_over(a);
        return;
    }
    a->base->written += a->bytes;
    a->asked = postgres_ask(a->base->asks,
                            &(struct postgres_question){.statements = a->statements,
                                                        .count = a->statements_count,
                                                        .ms_max = (uint32_t)((a->until_ns - now) / ms_ns) + LATE_MS,
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
        net_work_new(node_broker.loop, NULL, prepare, on_prepared, a);
        return;
    }
    prepare(a);
    send_it(a);
}
