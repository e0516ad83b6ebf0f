/* tree: queries of an app's database as they travel: from a body of JSON to trees (query/query.h), run on a connection for whoever asks, and what came of it
 * as JSON. A worker, which only reads, and the store, which writes, do it alike. */
#ifndef ORLO_NODE_TREE_H
#define ORLO_NODE_TREE_H

#include "app/data.h"
#include "pg/pg.h"
#include "query/query.h"

enum { NODE_TREE_ASK_VALUES = 13 };

/* Who asks what. */
struct node_tree_ask {
    str role, claims, headers, cookies, method, path; /* as struct pg_session has them; headers, cookies, claims: JSON */
    str before, search;                               /* as struct query_batch has them: the app's, and none of the client's */
    str explains;                                     /* "1": it may ask how queries are run; else the service_role alone */
    str rows;                                         /* that each select answers at most, in digits; empty: any */
    str parts;                                        /* NODE_TREE_PARTS…; empty: the answer is wanted whole */
    str own;                                          /* "1": it is the node's own, which may be NODE_TREE_OWN_ROLE, too */
    str body;                                         /* {"query": tree} or {"batch": [tree, …]}: docs/query.md */
    uint32_t hops;                                    /* as struct app_question has it: no value of its */
};
/* It may come in parts, and the first one says how many rows there are; or that need not be known. */
#define NODE_TREE_PARTS_COUNTED "1"
#define NODE_TREE_PARTS "2"
enum {
    NODE_TREE_FIRST_BYTES = 256 << 10,
    NODE_TREE_PART_BYTES = 64 << 10
}; /* what is smaller than the first is one answer in any case */
/* Its body's trees, bounded as it says. */
[[nodiscard]] bool node_tree_read_batch(arena *out, const struct node_tree_ask *ask, struct query_batch *batch,
                                        struct pg_error *error);
void node_tree_ask_copy(arena *out, const struct node_tree_ask *from, struct node_tree_ask *to);
/* As the values of a question (APP_QUERY), which borrow; and back. False: nonsense. */
void node_tree_ask_values(const struct node_tree_ask *ask, struct app_value to[static NODE_TREE_ASK_VALUES]);
[[nodiscard]] bool node_tree_ask_of_values(const struct app_value *values, uint32_t count, struct node_tree_ask *to);

bool node_tree_writes(const struct query_batch *batch); /* one of them does */
/* Whether who asks may ask that: how queries are run tells of rows that nobody shows. Else error says why. */
[[nodiscard]] bool node_tree_may_ask(const struct node_tree_ask *ask, const struct query_batch *batch, struct pg_error *error);
/* Whether callers may come as that role; else error says why. own: it is the node that asks. */
#define NODE_TREE_OWN_ROLE "supabase_auth_admin"
[[nodiscard]] bool node_tree_may_be(const struct catalog *c, str role, bool own, struct pg_error *error);
/* Who asks, as of now; claims that are no JSON are none. */
struct pg_session node_tree_session(const struct node_tree_ask *ask, arena *mem);

/* What a reader's connections to one database have in common: its catalogue, as one of them has read it. Counted; of one thread. */
struct node_tree_made;
void node_tree_made_unref(struct node_tree_made *made); /* NULL is fine */
struct node_tree_conn;
void node_tree_conn_free(struct node_tree_conn *conn); /* before its db is closed; NULL is fine */
/* A batch that only reads, in a transaction of its own, on a connection that cannot write. *conn, *made: NULL at first; they are made anew where the
 * catalogue is another. Where it fails, error says why. */
struct node_tree_reading {
    struct db *db;
    struct node_tree_conn **conn;
    struct node_tree_made **made;
    const struct node_tree_ask *ask;
    const struct query_batch *batch;
    arena *mem;
    uint32_t bytes_max;          /* of the answer, or of what of it is made at a time */
    struct query_stream *stream; /* NULL: it is wanted whole */
    bool (*translate)(void *arg, arena *mem, const struct catalog *c, str text, str *answer, struct pg_error *error);
    void *translate_arg; /* as struct query_options has them: the same for as long as *conn is */
};
void node_tree_read(const struct node_tree_reading *what, struct buf *body, struct pg_error *error);
/* The same where it may write: by a connection that is there, in a transaction that is open. False: error says why, and what it did is to be undone. */
struct node_tree_running {
    struct query_conn *conn;
    const struct catalog *catalog;
    const struct node_tree_ask *ask;
    const struct query_batch *batch;
    arena *mem;
    uint32_t bytes_max;
    struct query_stream *stream;
};
[[nodiscard]] bool node_tree_run(const struct node_tree_running *what, struct buf *body, struct pg_error *error);
int64_t node_tree_now_us(void); /* since 2000, as PostgreSQL counts */
#define NODE_TREE_MOVES "the database is being moved to another engine, and is read alone"
void node_tree_late(struct pg_error *error); /* it took too long, whatever else it says */

/* Of a question {"table", "role", "command"}: which grants and policies hold, as text. c NULL: there are no tables. ERR_NOT_FOUND, and what json_read gives. */
/* What query_explain_policy says, in lines. */
void node_explain_rows(arena *mem, str json, struct buf *to);
[[nodiscard]] err node_explain(arena *mem, const struct catalog *c, str ask, struct buf *to, struct diag *d);

void node_tree_fail(struct pg_error *error, const char *state, const char *fmt, ...) PRINTF_LIKE(3, 4); /* the first one holds */
/* As the values of an answer (APP_DATA_ERROR). */
void node_tree_error_values(const struct pg_error *error, struct buf *to);
void node_tree_error_of_values(const struct app_value *values, uint32_t count, struct pg_error *to);

#endif
