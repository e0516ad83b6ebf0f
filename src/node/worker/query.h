/* query: what is asked of an app's database, by whoever it is: the door (door.c), and those to come.
 *
 *   node_data_query ─┬─ it only reads ──> READS here, on a connection that cannot write (reader.c)
 *                    └─ it writes, or is large ──> ASKS the store (app/data.h)            ──> told, once, from the loop
 *                    Where an app's tables are PostgreSQL's, all is asked of the role that speaks to it (postgres/broker.h).
 *
 * 1. Who asks, and as what, has been found out before: role and claims are taken as they are. The role must be one that callers may have.
 * 2. A body is one query or a batch of them: a batch is one transaction, and where one fails there is nothing of it.
 * 3. What took effect is on the disk when told.
 */
#ifndef ORLO_NODE_WORKER_QUERY_H
#define ORLO_NODE_WORKER_QUERY_H

#include "node/tree.h"
#include "node/worker/apps.h"

struct node_query;
struct node_query_answer {
    bool ok;
    str body;                     /* JSON: as node_tree_run writes it */
    const struct pg_error *error; /* where it is not ok */
};
typedef void (*node_query_told)(void *arg, const struct node_query_answer *answer); /* which lives as long as the call */
/* All of ask is copied. It is told later, never from within; app must live until then, or until it is cancelled. */
struct node_query *node_data_query(struct node_app *app, const struct node_tree_ask *ask, node_query_told told, void *arg);
/* What changed in the app's database, from its feed (node/store/feed.c), in the order of commits. body: {"first", "last", "changes": [{"seq", "at" (ms since
 * 1970), "schema", "table", "type": INSERT UPDATE DELETE, "key", "old", "new"}]}, values as PostgreSQL's to_jsonb has them.
 *
 * consumer: who is waited for: what he has not dealt with stays, as long as the app's limits allow. Empty: nobody. after: the last number that he has dealt
 * with; -1: the newest there is. As many as fit come, most at the most: he asks again, from the last one on. Where `first` is more than after + 1, or a type
 * is ALL (of a table, or of all where that is empty), there was more than is kept: he reads anew what he wants to know. most -1: he follows no more. */
struct node_changes_ask {
    str consumer;
    int64_t after, most;
};
struct node_query *node_data_changes(struct node_app *app, const struct node_changes_ask *ask, node_query_told told, void *arg);
/* The same, and rows of a large answer are told as they come: part(arg, bytes), from the loop, and the next one once node_query_more says that those are
 * used up; until then they stay. told has the rest, or says why there is none: an error behind a part. counted: the head, which stands in the first part, says
 * how many rows there will be. While a part waits the query's time stands still; its transaction may be open for NODE_QUERY_OPEN_S all the same. take_ms: for
 * so long a part may wait; 0: for as long as whoever has the part says. */
enum { NODE_QUERY_OPEN_S = 600, NODE_QUERY_PARTS_BYTES = NODE_TREE_FIRST_BYTES + 2 * NODE_TREE_PART_BYTES };
typedef void (*node_query_part)(void *arg, str bytes);
/* trees: NULL: ask's body; else those, which were made and not read, and trees_mem, in which they stand, is taken. */
struct node_query *node_data_stream(struct node_app *app, const struct node_tree_ask *ask, const struct query_batch *trees,
                                    arena *trees_mem, bool counted, uint64_t take_ms, node_query_part part, node_query_told told,
                                    void *arg);
void node_query_more(struct node_query *q);
void node_data_query_cancel(struct node_query *q); /* told is not called; what writes may be done all the same */

struct app_data *node_query_data_of(const struct node_app *app); /* who has its tables; NULL: nobody is there */
/* Why nothing was asked, or came back, as an error. */
void node_query_failed(struct pg_error *error, const struct app_answer *a);

/* ---- tables.c: for functions of the app ---- */

struct app_data *node_tables(void); /* what app.tables is, of one that has a database */

/* ---- reader.c: a worker's connections to databases ---- */

struct node_readers;
struct node_readers *node_readers_new(struct node_guest *g);
void node_readers_free(struct node_readers *readers); /* nothing is asked; NULL is fine */
/* Runs q's trees on a connection, sooner or later, and then calls node_query_read with what came of it. */
void node_reader_ask(struct node_readers *readers, struct node_query *q);

/* What reader.c sees of one. */
struct node_query {
    arena *mem, *trees_mem; /* trees_mem: NULL, or what batch stands in */
    struct node_app *app;
    struct node_tree_ask ask;
    struct query_batch batch;
    node_query_told told; /* NULL: nobody wants to know */
    void *arg;
    enum { NODE_QUERY_WAITS, NODE_QUERY_READS, NODE_QUERY_ASKS, NODE_QUERY_DONE } state;
    struct app_ask *asked;   /* of the store */
    struct engine_post post; /* once it is done */
    uint64_t until_ns;
    bool cancelled;
    struct node_query *next;
    struct node_reader *reader; /* that it reads on */
    struct buf body;
    struct pg_error error;
    /* in parts: */
    node_query_part part;       /* NULL: it is wanted whole */
    bool waits;                 /* one was given, and is not used up */
    uint64_t open_ns;           /* the first one came; 0: none has */
    struct buf piece;           /* that one */
    struct engine_fiber *fiber; /* that waits, here */
    struct engine_post gives;   /* it is about to be given */
    struct buf queue;           /* those that came meanwhile, of who is asked */
    uint32_t given, queued;     /* how many of them there are in each */
    uint64_t take_ms;           /* 0: any */
    struct net_timer *untaken;  /* NULL: none yet */
    bool late;                  /* it was not taken in time */
    bool over;                  /* it is told once they are used up */
    uint64_t paid;              /* for their memory */
};
#define NODE_QUERY_UNTAKEN "the rows were not taken in time"
void node_query_given(struct node_query *q); /* a part of it: it is to be taken in time */
void node_query_read(struct node_query *q);  /* it has been read, or has failed */

#endif
