/* Inside the room: what its files do for each other.
 *
 *   postgres.c     the pool: asks that wait, who gets a connection
 *   place.c        a server that somebody else runs: its URL, coming to it
 *   connection.c   one connection: its states, and what is under way on it
 *   answer.c       what the server said, as others read it
 *   rounds.c       how often a password is hashed
 */
#ifndef ORLO_POSTGRES_INT_H
#define ORLO_POSTGRES_INT_H

#include "net/loop.h"
#include "postgres/postgres.h"
#include <libpq-fe.h>

struct postgres_answer {
    enum postgres_outcome outcome;
    struct postgres_error error;
    struct postgres_rows { /* one for each statement */
        PGresult *raw;     /* NULL: it has not come */
        uint64_t affected;
    } * results;
    uint32_t count;
    uint64_t bytes, bytes_max; /* 0: any */
    bool large;
};
void postgres_answer_free(struct postgres_answer *a);
/* All that a statement gave, taken; false: that is more than may be answered, and it says so. */
bool postgres_answer_take(struct postgres_answer *a, uint32_t statement, PGresult *r);
void postgres_answer_large(struct postgres_answer *a, uint32_t statement);
void postgres_answer_fail(struct postgres_answer *a, enum postgres_outcome outcome, const char *why);
void postgres_answer_refuse(struct postgres_answer *a, uint32_t statement, const char *state, const char *why);
void postgres_answer_error(struct postgres_answer *a, uint32_t statement, const PGresult *r); /* the first one holds */

struct postgres_held {
    struct postgres_connection *c; /* NULL: none yet, or none any more */
    bool begun;
    struct postgres_ask *ask; /* that waits for the loop's turn */
};

struct postgres_ask {
    struct postgres_ask *next;
    struct postgres *db;
    struct postgres_connection *on; /* NULL: it waits */
    arena *mem;
    struct postgres_statement *statements;
    uint32_t count, ms_max;
    bool undone, bare, commits; /* commits: that was sent */
    bool again;                 /* it is sent a second time, unprepared */
    bool gave;                  /* a row of it was given: it is not sent again */
    struct postgres_held *held; /* that it begins, or goes on with */
    bool stays;
    uint32_t streams;
    uint64_t since_ns, left_ms; /* its time */
    postgres_row row;
    postgres_judge judge;
    postgres_told told; /* NULL: cancelled */
    void *arg;
    struct postgres_answer answer;
};
void postgres_ask_tell(struct postgres_ask *ask); /* and frees it */

enum { POSTGRES_KEPT_MAX = 256 };
enum postgres_connection_state {
    POSTGRES_CONNECTING,
    POSTGRES_SETTING,
    POSTGRES_FREE,
    POSTGRES_WORKING,
    POSTGRES_UNDOING,
    POSTGRES_HELD
};
struct postgres_connection {
    struct postgres_connection *next;
    struct postgres *db;
    PGconn *raw; /* NULL: a thread is on the way */
    struct postgres_reach *reach;
    struct net_watch *watch;
    int fd; /* of watch */
    struct net_timer *timer;
    enum postgres_connection_state state;
    uint32_t tries; /* to be on the way there */
    bool paused;    /* nothing is to be heard for now */
    bool ended;     /* nothing more can be heard */
    bool listens;   /* to a channel that is none of ours: something was said there */
    bool direct;    /* no pooler is between; it is about to listen */
    bool hears;     /* what is said on ours */
    uint32_t told;  /* how often something was, since told_ns */
    uint64_t told_ns;
    uint64_t heard; /* bytes since a statement's end, or since it is in a state in which nothing was asked */
    uint32_t reads; /* how often, since it was asked or is in such a state */
    struct postgres_ask *ask;
    struct postgres_held *held; /* whose transaction is open on it; NULL: nobody's */
    /* What the server is to say, in order: each op's results end with a NULL, the sync is one result. */
    struct op {
        enum op_kind { OP_OWN, OP_PID, OP_LISTEN, OP_PREPARE, OP_STATEMENT, OP_COMMIT, OP_SYNC } kind;
        uint32_t statement;
        uint64_t hash;
    } * ops;
    uint32_t ops_count, ops_cap, op; /* op: that is being heard */
    uint64_t kept[POSTGRES_KEPT_MAX];
    uint32_t kept_count;
    bool forgets; /* what is prepared there is to go */
};
/* NULL: there is no memory for it. */
struct postgres_connection *postgres_connection_new(struct postgres *db);
void postgres_connection_lose(struct postgres_connection *c, const char *why); /* its ask is told; the pool has one less */
void postgres_connection_take(struct postgres_connection *c, struct postgres_ask *ask); /* of one that is FREE, or HELD for it */
void postgres_connection_let_go(struct postgres_connection *c);                         /* nobody holds it any more */
void postgres_connection_free(struct postgres_connection *c);                           /* its ask is told before, or moved */
/* A thread has come there, or not: why. */
void postgres_connection_reached(struct postgres_connection *c, PGconn *raw, const char *why, bool refused);

/* On the way to a place; NULL: too many are. */
struct postgres_reach *postgres_reach_new(struct postgres_connection *c, struct postgres_place *place, uint32_t whose,
                                          struct net_loop *loop);
/* On this thread: as often as a password's hash may be computed from here on; whether that was not enough. */
void postgres_rounds_begin(void);
bool postgres_rounds_over(void);
void postgres_place_hold(struct postgres_place *p);
void postgres_reach_leave(struct postgres_reach *r); /* nobody waits for it any more */

struct postgres {
    struct postgres_options options;
    char *where, *setup;
    const char *listens; /* a channel; NULL: none */
    void (*heard)(void *arg);
    void *heard_arg;
    struct postgres_connection *connections;
    uint32_t connections_count, waiting, busy;
    struct postgres_ask *first, **last; /* that wait */
    struct postgres_ask *refused;       /* that are yet to be told so */
    struct net_timer *turn;             /* asks and connections are brought together, from the loop */
    struct net_timer *timer;            /* after a connection that did not come */
    uint64_t pause_ms;
    bool pausing;
    char why[256];      /* the last one did not come */
    bool unwelcome;     /* nor will the next one */
    uint32_t lost_kept; /* statements that a connection was to know, and did not */
};
void postgres_again(struct postgres *db, struct postgres_ask *ask);                /* it waits once more, before all others */
void postgres_held_leave(struct postgres_held *held);                              /* its connection is not its own any more */
void postgres_came(struct postgres *db);                                           /* a connection is FREE */
void postgres_gone(struct postgres *db, struct postgres_connection *c, bool came); /* is no more; came: it had been there */

#endif
