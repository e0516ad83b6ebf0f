/* Inside the store: what its files do for each other.
 *
 *   store.c   the process: peers, messages, the end      one thread, which waits for nothing but messages
 *   bases.c   databases, what is asked of each, and the threads that do it
 *   batch.c   what was asked of one database meanwhile, as one transaction
 *   keys.c    what a key-value store answers
 *   sql.c     what a database answers
 */
#ifndef ORLO_STORE_INT_H
#define ORLO_STORE_INT_H

#include "app/data.h"
#include "db/db.h"
#include <pthread.h>

struct store_peer {                  /* a worker's channel. It stays when that is gone: what it asked may be under way */
    int fd;                          /* store.c's; -1: closed */
    bool over;                       /* the same: nothing more comes */
    bool gone;                       /* * nobody is there any more */
    struct store_ask *first, **last; /* store.c's: answers that its socket had no room for */
};

/* What one app asked, from when it came until its answer is sent. */
struct store_ask {
    struct store_ask *next;
    struct store_peer *peer;
    uint32_t id;
    enum app_data_op op;
    struct store_base *base;
    arena *mem;
    str place;
    const struct app_value *values;
    uint32_t count;
    uint64_t bytes; /* that it takes */
    /* How much the app may have: */
    uint64_t bytes_max, keys_max;
    uint32_t value_bytes_max, answer_bytes_max, ms_max;
    bool cancelled; /* atomic, relaxed: set by who reads messages, seen by who does it, soon */
    /* The answer: */
    enum app_data_outcome outcome;
    char text[512];
    struct buf answer; /* values, as bytes */
};
void node_store_ask_free(struct store_ask *ask);
/* Sets why it is not done; the first one holds, and no values are answered. */
void node_store_ask_fail(struct store_ask *ask, enum app_data_outcome outcome, const char *fmt, ...) PRINTF_LIKE(3, 4);
void node_store_ask_db_failed(struct store_ask *ask, err e, const struct diag *d);
/* Appends one; fails it where that is more than may be answered. */
void node_store_ask_answer(struct store_ask *ask, struct app_value v);
/* As it was before it was tried. */
void node_store_ask_anew(struct store_ask *ask);

/* A file, and what is asked of it. What is marked * is under the lock of bases.c, the rest is its thread's, while it is busy. */
struct store_base {
    struct store_base *next_of_app, *next;  /* * of its app, of all */
    struct store_base *next_ready, **ready; /* * in the list of those that have something to do; NULL: in none */
    struct store_app *app;
    bool sql;                        /* else all key-value stores of its app */
    char name[320];                  /* its file, below the folder of data */
    struct store_ask *first, **last; /* * what waits */
    struct store_ask *const *taken;  /* * what its thread has of it */
    uint32_t taken_count;
    bool busy, open;             /* * a thread has it; its file is open */
    bool forget;                 /* * its app's folder goes */
    bool close, undo;            /* * it is to be closed; its transaction has gone on for too long */
    uint64_t used_ns;            /* * when a thread had it last */
    struct store_peer *holder;   /* * whose transaction goes on; NULL: nobody's */
    int64_t holder_connection;   /* * of that one */
    uint64_t holder_until_ns;    /* * then it is undone */
    struct db *db;               /* NULL: closed */
    const struct store_ask *now; /* what is being done */
    uint64_t until_ns;           /* and until when */
    uint64_t stuck_ns;           /* long after that; 0: nothing is being done. Atomic: node_store_bases_tick reads it */
    bool alone;                  /* it is done by itself, so it may begin and end transactions */
    bool late;                   /* it took too long */
    uint64_t bytes, keys;        /* of key-value stores: what there is */
};

/* ---- bases.c ---- */

struct store_config {
    bool keeps;              /* else all is in memory */
    void (*done)(void *arg); /* on some thread: node_store_bases_done has something */
    void *arg;
};
void node_store_bases_init(const struct store_config *config);
/* Takes ask, whose op, place and values are set. False: too many wait; its outcome is set, and it is not taken. */
bool node_store_bases_ask(uint32_t app, str name, struct store_ask *ask);
void node_store_bases_cancel(struct store_peer *peer, uint32_t id);
void node_store_bases_forget(uint32_t app, str name);     /* its folder goes */
void node_store_bases_peer_gone(struct store_peer *peer); /* nobody waits for what it asked */
struct store_ask *node_store_bases_done(void);            /* those that are answered, or NULL; in order */
/* Closes what is idle, ends what takes too long. When to call it again, at the latest; 0: never. */
uint64_t node_store_bases_tick(uint64_t now_ns);
bool node_store_bases_idle(void); /* nothing waits, nothing is done */
bool node_store_bases_keep(void); /* whether files are kept */

/* ---- batch.c ---- */

enum { STORE_BATCH_MAX = 256 };
/* Does some of them, the first ones, and says in each what came of it. How many: at least one. */
uint32_t node_store_batch(struct store_base *base, struct store_ask *const *asks, uint32_t count);
void node_store_base_close(struct store_base *base);
/* The first word of a statement, where it begins or ends transactions or cannot be in one: it is done by itself. */
bool node_store_sql_is_alone(str sql);

/* ---- keys.c, sql.c ---- */

[[nodiscard]] err node_store_keys_open(struct store_base *base, struct diag *d);
[[nodiscard]] err node_store_keys_save(struct store_base *base, struct diag *d); /* how much there is, before a commit */
void node_store_keys_do(struct store_base *base, struct store_ask *ask);
void node_store_sql_do(struct store_base *base, struct store_ask *ask);

#endif
