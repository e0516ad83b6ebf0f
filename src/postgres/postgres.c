/* postgres: the pool. See postgres.h. */
#include "postgres/postgres_int.h"
#include <stdio.h>
#include <stdlib.h>

enum { PAUSE_FIRST_MS = 100, PAUSE_MOST_MS = 5000 };

/* ---- asks ---- */

static void copy_statement(arena *mem, const struct postgres_statement *from, struct postgres_statement *to) {
    struct postgres_value *values = arena_array(mem, struct postgres_value, from->count + 1);
    for (uint32_t i = 0; i < from->count; i++) {
        values[i] = from->values[i];
        values[i].text = arena_str(mem, from->values[i].text);
    }
    *to = *from;
    if (!from->lasts) to->text = arena_str(mem, from->text);
    to->values = values;
}

static struct postgres_ask *new_ask(struct postgres *db, const struct postgres_question *q) {
    arena *mem = arena_new(0);
    struct postgres_ask *ask = arena_make(mem, struct postgres_ask);
    *ask = (struct postgres_ask){.db = db,
                                 .mem = mem,
                                 .count = q->count,
                                 .ms_max = q->ms_max,
                                 .undone = q->undone,
                                 .bare = q->bare,
                                 .judge = q->judge,
                                 .held = q->on,
                                 .stays = q->stays,
                                 .streams = q->streams,
                                 .row = q->row};
    ask->statements = arena_array(mem, struct postgres_statement, q->count + 1);
    for (uint32_t i = 0; i < q->count; i++) copy_statement(mem, &q->statements[i], &ask->statements[i]);
    ask->answer = (struct postgres_answer){
        .count = q->count, .results = arena_array(mem, struct postgres_rows, q->count + 1), .bytes_max = q->bytes_max};
    memset(ask->answer.results, 0, sizeof *ask->answer.results * (q->count + 1));
    return ask;
}

static void free_ask(struct postgres_ask *ask) {
    postgres_answer_free(&ask->answer);
    arena_free(ask->mem);
}

void postgres_ask_tell(struct postgres_ask *ask) {
    postgres_told told = ask->told;
    ask->db->busy--;
    if (told) told(ask->arg, &ask->answer);
    free_ask(ask);
}

static struct postgres_ask *pop(struct postgres *db) {
    struct postgres_ask *ask = db->first;
    db->first = ask->next;
    if (!db->first) db->last = &db->first;
    db->waiting--;
    ask->next = NULL;
    return ask;
}

/* The server notices that nobody is there, before it commits anything. */
void postgres_cancel(struct postgres_ask *ask) {
    struct postgres *db = ask->db;
    struct postgres_connection *c = ask->on;
    ask->told = NULL;
    if (!c || (ask->commits && !ask->undone)) return;
    c->ask = NULL;
    db->busy--;
    free_ask(ask);
    postgres_gone(db, c, true);
}
void postgres_listen(struct postgres *db, const char *channel, void (*heard)(void *arg), void *arg) {
    db->listens = channel, db->heard = heard, db->heard_arg = arg;
}

bool postgres_hears(const struct postgres *db) {
    for (const struct postgres_connection *c = db->connections; c; c = c->next)
        if (c->hears) return true;
    return false;
}

void postgres_forget(struct postgres *db) {
    for (struct postgres_connection *c = db->connections; c; c = c->next) c->forgets = c->state >= POSTGRES_FREE;
}

uint32_t postgres_busy(const struct postgres *db) { return db->busy; }

const char *postgres_why(const struct postgres *db, bool *refused) {
    *refused = db->unwelcome;
    return db->why;
}

void postgres_again(struct postgres *db, struct postgres_ask *ask) {
    postgres_answer_free(&ask->answer);
    ask->answer = (struct postgres_answer){.count = ask->count,
                                           .results = arena_array(ask->mem, struct postgres_rows, ask->count + 1),
                                           .bytes_max = ask->answer.bytes_max};
    memset(ask->answer.results, 0, sizeof *ask->answer.results * (ask->count + 1));
    ask->again = true, ask->commits = false;
    ask->on = NULL;
    ask->next = db->first;
    if (!db->first) db->last = &ask->next;
    db->first = ask;
    db->waiting++;
    net_timer_start(db->turn, 0, 0);
}

/* ---- transactions of several asks ---- */

struct postgres_held *postgres_held_new(void) {
    struct postgres_held *held = calloc(1, sizeof *held);
    ENSURE(held);
    return held;
}

/* An ask that waits in it is told, from the loop, that there is nothing. */
void postgres_held_leave(struct postgres_held *held) {
    struct postgres_ask *ask = held->ask;
    held->c = NULL;
    held->ask = NULL;
    if (!ask) return;
    struct postgres *db = ask->db;
    postgres_answer_fail(&ask->answer, POSTGRES_AWAY, "its connection is gone");
    ask->held = NULL;
    ask->next = db->refused;
    db->refused = ask;
    net_timer_start(db->turn, 0, 0);
}

/* Asks that wait for their first connection must have been cancelled, or told, before. */
void postgres_held_free(struct postgres_held *held) {
    struct postgres_connection *c = held->c;
    postgres_held_leave(held);
    if (c) postgres_connection_let_go(c);
    free(held);
}

/* ---- who gets a connection ---- */

static void connect_more(struct postgres *db) {
    uint32_t coming = 0, connecting = 0;
    for (struct postgres_connection *c = db->connections; c; c = c->next) {
        coming += c->state != POSTGRES_WORKING && c->state != POSTGRES_HELD;
        connecting += c->state == POSTGRES_CONNECTING;
    }
    if (db->options.place && connecting) return; /* one after the other: each is a thread */
    if (db->pausing || db->waiting <= coming || db->connections_count == db->options.connections_max) return;
    struct postgres_connection *c = postgres_connection_new(db);
    c->next = db->connections;
    db->connections = c;
    db->connections_count++;
}

static void tell_refused(struct postgres *db) {
    while (db->refused) {
        struct postgres_ask *ask = db->refused;
        db->refused = ask->next;
        postgres_ask_tell(ask);
    }
}

static void serve(void *arg) {
    struct postgres *db = arg;
    tell_refused(db);
    struct postgres_connection *c = db->connections;
    for (struct postgres_connection *next; c; c = next) {
        next = c->next; /* taking may free c alone */
        struct postgres_ask *ask = c->state == POSTGRES_HELD && c->held ? c->held->ask : NULL;
        if (!ask) continue;
        c->held->ask = NULL;
        if (ask->told) postgres_connection_take(c, ask);
        else free_ask(ask), db->busy--;
    }
    c = db->connections;
    while (db->first && c) {
        struct postgres_connection *next = c->next; /* taking may free c alone */
        if (db->first && !db->first->told) free_ask(pop(db)), db->busy--;
        else if (c->state == POSTGRES_FREE) postgres_connection_take(c, pop(db)), c = next;
        else c = next;
    }
    connect_more(db);
}

void postgres_came(struct postgres *db) {
    db->pause_ms = 0;
    db->why[0] = 0, db->unwelcome = false;
    net_timer_start(db->turn, 0, 0);
}

/* Nobody is there: those that wait need not wait for it. */
static void tell_waiting(struct postgres *db) {
    while (db->first) {
        struct postgres_ask *ask = pop(db);
        postgres_answer_fail(&ask->answer, POSTGRES_AWAY, db->why);
        postgres_ask_tell(ask);
    }
}

void postgres_gone(struct postgres *db, struct postgres_connection *c, bool came) {
    struct postgres_connection **at = &db->connections;
    while (*at != c) at = &(*at)->next;
    *at = c->next;
    db->connections_count--;
    postgres_connection_free(c);
    if (came) {
        net_timer_start(db->turn, 0, 0);
        return;
    }
    db->pause_ms = db->pause_ms ? MIN(db->pause_ms * 2, (uint64_t)PAUSE_MOST_MS) : PAUSE_FIRST_MS;
    db->pausing = true;
    net_timer_start(db->timer, db->pause_ms, 0);
    if (!db->connections) tell_waiting(db);
}

static void on_paused(void *arg) {
    struct postgres *db = arg;
    db->pausing = false;
    serve(db);
}

struct postgres_ask *postgres_ask(struct postgres *db, const struct postgres_question *q, postgres_told told, void *arg) {
    struct postgres_ask *ask = new_ask(db, q);
    ask->told = told, ask->arg = arg;
    db->busy++;
    if (q->on && q->on->begun) {
        if (q->on->c && !q->on->ask && q->on->c->state == POSTGRES_HELD) q->on->ask = ask;
        else {
            postgres_answer_fail(&ask->answer, POSTGRES_AWAY, "its connection is gone");
            ask->next = db->refused;
            db->refused = ask;
        }
        net_timer_start(db->turn, 0, 0);
        return ask;
    }
    if (db->waiting >= db->options.waiting_max || (db->pausing && !db->connections)) {
        bool away = db->waiting < db->options.waiting_max;
        postgres_answer_fail(&ask->answer, away ? POSTGRES_AWAY : POSTGRES_BUSY,
                             away ? db->why : "too many wait for the database");
        ask->next = db->refused;
        db->refused = ask;
        net_timer_start(db->turn, 0, 0);
        return ask;
    }
    *db->last = ask;
    db->last = &ask->next;
    db->waiting++;
    net_timer_start(db->turn, 0, 0);
    return ask;
}

/* ---- the whole ---- */

struct postgres *postgres_new(const struct postgres_options *options) {
    struct postgres *db = calloc(1, sizeof *db);
    ENSURE(db);
    db->options = *options;
    db->where = options->where ? strdup(options->where) : NULL;
    db->setup = options->setup ? strdup(options->setup) : NULL;
    ENSURE((db->where || options->place) && (db->setup || !options->setup));
    if (db->options.place) postgres_place_hold(db->options.place);
    db->last = &db->first;
    db->timer = net_timer_new(options->loop, on_paused, db);
    db->turn = net_timer_new(options->loop, serve, db);
    return db;
}

void postgres_end(struct postgres *db, const char *why) {
    snprintf(db->why, sizeof db->why, "%s", why);
    tell_refused(db);
    tell_waiting(db);
    while (db->connections) postgres_connection_lose(db->connections, why);
}

static void drop_asks(struct postgres_ask *ask) {
    while (ask) {
        struct postgres_ask *next = ask->next;
        free_ask(ask);
        ask = next;
    }
}

void postgres_free(struct postgres *db) {
    if (!db) return;
    while (db->connections) {
        struct postgres_connection *c = db->connections;
        db->connections = c->next;
        if (c->ask) free_ask(c->ask);
        postgres_connection_free(c);
    }
    drop_asks(db->first), drop_asks(db->refused);
    net_timer_free(db->timer), net_timer_free(db->turn);
    free(db->where), free(db->setup);
    postgres_place_free(db->options.place);
    free(db);
}
