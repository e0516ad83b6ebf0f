/* tx: transactions that go on over several asks (APP_TX), each on a connection that is held for it.
 *
 *   BEGIN waits as any ask does ──> a connection is held ──> QUERY … QUERY, one after the other ──> COMMIT, ROLLBACK
 *                                                             └─ one fails, its time is up, its worker is gone: rolled back, and given back
 *
 * 1. One connection of a base is never held, if it has two: others go on.
 * 2. A transaction counts as running (base.running) as long as it is there: whoever waits for quiet waits for its end. */
#include "node/postgres/broker.h"
#include <stdlib.h>

enum { LATE_MS = 2000 };

struct broker_tx {
    struct broker_tx *next; /* of its base */
    struct broker_base *base;
    struct broker_peer *peer;
    int64_t number;
    uint64_t until_ns;
    struct postgres_held *held;
    bool ends;                              /* once who is under way is through */
    struct broker_ask *now, *first, **last; /* under way; those behind it */
};

bool node_tx_may_begin(const struct broker_base *b) {
    uint32_t most = (uint32_t)MIN(node_broker.limits.postgres_connections_max, UINT32_MAX);
    return b->txs_count + b->streams < MAX(most, 2u) - 1;
}

static void answer(struct broker_ask *a, const char *state, const char *message) {
    a->tx = NULL;
    node_tree_fail(&a->error, state, "%s", message);
    node_broker_answer(a);
}

/* What of it is not committed is nowhere. Whoever is under way in it hears of its connection's end. */
static void end(struct broker_tx *tx) {
    struct broker_base *b = tx->base;
    struct broker_tx **at = &b->txs;
    while (*at != tx) at = &(*at)->next;
    *at = tx->next;
    b->txs_count--, b->running--;
    b->used_ns = clock_mono_ns();
    postgres_held_free(tx->held);
    if (tx->now) tx->now->tx = NULL;
    for (struct broker_ask *a; (a = tx->first);) {
        tx->first = a->next;
        answer(a, "25P01", "there is no transaction in progress");
    }
    free(tx);
    node_broker_later();
}

static void run(struct broker_tx *tx);

static void on_committed(void *arg, const struct postgres_answer *said) {
    struct broker_ask *a = arg;
    a->asked = NULL;
    if (postgres_outcome(said) == POSTGRES_DONE) node_feed_note(a);
    node_ask_take_error(a, said);
    node_tx_over(a);
}

static void commit(struct broker_tx *tx, struct broker_ask *a) {
    const struct postgres_question q = {.ms_max = (uint32_t)((a->until_ns - a->came_ns) / 1'000'000u) + LATE_MS, .on = tx->held};
    a->under_way = true;
    if (tx->base->frozen) node_tree_fail(&a->error, "57P03", NODE_TREE_MOVES);
    if (tx->base->asks && !a->error.set) a->asked = postgres_ask(tx->base->asks, &q, on_committed, a);
    else node_tree_fail(&a->error, "57P03", "the database system is not there at the moment"), node_tx_over(a);
}

static void run(struct broker_tx *tx) {
    struct broker_ask *a = tx->first;
    if (tx->now || !a) return;
    tx->first = a->next;
    if (!tx->first) tx->last = &tx->first;
    tx->now = a;
    if (a->does == APP_TX_COMMIT) {
        commit(tx, a);
        return;
    }
    a->until_ns = MIN(a->until_ns, tx->until_ns);
    node_ask_begin(a);
}

/* Of its base's queue. */
void node_tx_begin(struct broker_ask *a) {
    struct broker_base *b = a->base;
    struct broker_tx *tx = calloc(1, sizeof *tx);
    ENSURE(tx);
    *tx = (struct broker_tx){
        .next = b->txs, .base = b, .peer = a->peer, .number = a->number, .held = postgres_held_new(), .now = a};
    tx->until_ns = clock_mono_ns() + a->tx_ms * 1'000'000ull;
    tx->last = &tx->first;
    b->txs = tx;
    b->txs_count++, b->running++;
    a->tx = tx;
    a->until_ns = MIN(a->until_ns, tx->until_ns);
    node_ask_begin(a);
}

void node_tx_over(struct broker_ask *a) {
    struct broker_tx *tx = a->tx;
    bool ends = (tx && tx->ends) || !a->peer || a->error.set || a->does == APP_TX_COMMIT;
    a->tx = NULL;
    if (tx) tx->now = NULL;
    node_broker_answer(a);
    if (tx && ends) end(tx);
    else if (tx) run(tx);
}

static struct broker_tx *find(const struct broker_base *b, const struct broker_peer *p, int64_t number) {
    struct broker_tx *tx = b->txs;
    while (tx && (tx->peer != p || tx->number != number)) tx = tx->next;
    return tx;
}

void node_tx_ask(struct broker_ask *a) {
    struct broker_tx *tx = find(a->base, a->peer, a->number);
    if (a->does == APP_TX_BEGIN && !tx) {
        node_base_ask(a);
        return;
    }
    bool much = !node_base_count(a);
    if (a->does == APP_TX_ROLLBACK) {
        if (tx && tx->now) tx->ends = true;
        else if (tx) end(tx);
        node_broker_answer(a);
        return;
    }
    if (!tx || a->does == APP_TX_BEGIN) {
        answer(a, "25P01", "there is no transaction in progress");
        return;
    }
    if (much && a->does != APP_TX_COMMIT) { /* one that has lost an ask is not gone on with */
        if (tx->now) tx->ends = true;
        else end(tx);
        answer(a, "53300", "too many queries of the app wait");
        return;
    }
    a->next = NULL;
    a->tx = tx;
    *tx->last = a;
    tx->last = &a->next;
    run(tx);
}

/* Nobody waits for it any more. */
void node_tx_cancel(struct broker_ask *a) {
    struct broker_tx *tx = a->tx;
    if (tx->now == a) {
        if (a->asked) postgres_cancel(a->asked);
        a->tx = NULL, tx->now = NULL;
        end(tx);
        return;
    }
    struct broker_ask **at = &tx->first;
    while (*at != a) at = &(*at)->next;
    *at = a->next;
    if (!a->next) tx->last = at;
}

struct postgres_held *node_tx_held(const struct broker_ask *a) {
    return a->tx ? a->tx->held : NULL;
}

void node_tx_peer_gone(const struct broker_peer *p) {
    for (struct broker_base *b = node_broker.bases; b; b = b->next)
        for (struct broker_tx *tx = b->txs, *next; tx; tx = next) {
            next = tx->next;
            if (tx->peer != p) continue;
            tx->peer = NULL;
            if (tx->now && tx->now->reads) tx->ends = true; /* a thread looks at its base */
            else end(tx);
        }
}

void node_tx_tick(struct broker_base *b, uint64_t now) {
    for (struct broker_tx *tx = b->txs, *next; tx; tx = next) {
        next = tx->next;
        if (!tx->now && now >= tx->until_ns) end(tx);
    }
}
