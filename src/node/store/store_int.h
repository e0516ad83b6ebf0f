/* Inside the store: what its files do for each other.
 *
 *   store.c   the process: peers, messages, the end      one thread, which waits for nothing but messages
 *   bases.c   databases, what is asked of each, and the threads that do it
 *   batch.c   what was asked of one database meanwhile, as one transaction
 *   keys.c    what a key-value store answers
 *   sql.c     what a database in SQLite's dialect answers
 *   app.c     the app's own database: what it is made of, what is asked of it
 *   feed.c    its changes, as they are kept for who follows them
 *   errand.c   what its owner has done with it
 *   room.c     how large it may be
 *   checkpoint.c   what is in its log goes into its file
 *   past.c     before it does, into its history
 */
#ifndef ORLO_STORE_INT_H
#define ORLO_STORE_INT_H

#include "app/data.h"
#include "db/db.h"
#include "node/migration.h"
#include "node/translate.h"
#include <pthread.h>

struct store_peer {                  /* a worker's channel. It stays when that is gone: what it asked may be under way */
    int fd;                          /* store.c's; -1: closed */
    bool over;                       /* the same: nothing more comes */
    bool gone;                       /* * nobody is there any more */
    struct store_ask *first, **last; /* store.c's: answers that its socket had no room for */
};

/* What the owner of an app has done with its database (errand.c). */
struct store_errand {
    uint32_t id;
    enum node_data_does does;
    int in, out; /* owned */
    err e;
    struct diag d;
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
    uint32_t value_bytes_max, answer_bytes_max, ms_max, changes_max, changes_s;
    uint32_t app, hops; /* hops: of what it changes */
    bool follows;       /* somebody is told of that: store_news */
    bool cancelled;     /* atomic, relaxed: set by who reads messages, seen by who does it, soon */
    /* The answer: */
    enum app_data_outcome outcome;
    bool undone; /* it is answered, and nothing of it stays: that was asked for */
    char text[512];
    struct buf answer;           /* values, as bytes */
    struct store_errand *errand; /* NULL: it is an app's own question */
    int files[3];                /* of APP_OPEN: its database's */
    bool given;                  /* bases.c: which stays open until this one is freed */
};
/* Is it to be committed? */
static inline bool node_store_ask_stays(const struct store_ask *ask) { return ask->outcome == APP_DATA_OK && !ask->undone; }
void node_store_ask_free(struct store_ask *ask);
/* Sets why it is not done; the first one holds, and no values are answered, but by what sets them behind it (APP_DATA_ERROR). */
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
    enum app_data_of of;             /* APP_OF_KEYS: all key-value stores of its app */
    char name[320];                  /* its file, below the folder of data */
    struct store_ask *first, **last; /* * what waits */
    struct store_ask *const *taken;  /* * what its thread has of it */
    uint32_t taken_count;
    bool busy, open;     /* * a thread has it; its file is open */
    bool forget;         /* * its app's folder goes */
    bool close, undo;    /* * it is to be closed; its transaction has gone on for too long */
    bool checked, wrote; /* * its log is being brought into its file by another thread (checkpoint.c); it has grown meanwhile */
    uint32_t given;      /* * its files are on their way to a worker: it stays open */
    bool lends;          /* * they are open, and anybody's who asks while its thread is at something long */
    uint64_t used_ns;    /* * when a thread had it last */
    uint64_t took_ns;    /* * what that took */
    uint32_t expected;   /* * that will ask for a write: as many as the last commit answered, and those who waited then */
    uint32_t wanted;     /* * its thread waits for so many of them to come (came) */
    pthread_cond_t came;
    struct store_peer *holder;   /* * whose transaction goes on; NULL: nobody's */
    int64_t holder_connection;   /* * of that one */
    uint64_t holder_until_ns;    /* * then it is undone */
    struct db *db;               /* NULL: closed */
    const struct store_ask *now; /* what is being done */
    uint64_t until_ns;           /* and until when */
    uint64_t stuck_ns;           /* long after that; 0: nothing is being done. Atomic: node_store_bases_tick reads it */
    bool alone;                  /* it is done by itself, so it may begin and end transactions */
    uint32_t careful;            /* batches that are to have parts */
    bool late;                   /* it took too long */
    uint64_t bytes, keys;        /* of key-value stores: what there is */
    uint64_t bytes_max;          /* that it may have now, as the last ask said */
    uint64_t file_bytes_max;     /* of APP_OF_APP: and its file, with the reserve where it is nearly full */
    bool nearly_full;
    struct db_wal wal;             /* * of APP_OF_APP: its log, as its thread and who checks it last saw it */
    struct store_own *own;         /* of APP_OF_APP: app.c; NULL: closed */
    struct node_translating texts; /* of APP_OF_APP: texts.c */
    pthread_mutex_t taking;        /* history.c's: of history, below all other locks */
    struct history *history;       /* NULL: closed, or none is kept */
    uint32_t noted;                /* commits */
    uint64_t past_tried_ns;        /* to open it */
};

/* ---- bases.c ---- */

struct store_config {
    bool keeps;                                 /* else all is in memory */
    uint64_t history_bytes_max, history_ms_max; /* of each database */
    void (*done)(void *arg);                    /* on some thread: node_store_bases_done has something */
    void *arg;
};
void node_store_bases_lends(struct store_base *base); /* it is open: its own thread says so */
void node_store_bases_init(const struct store_config *config);
/* Takes ask, whose op, place and values are set. False: too many wait; its outcome is set, and it is not taken. */
bool node_store_bases_ask(uint32_t app, str name, struct store_ask *ask);
void node_store_bases_cancel(struct store_peer *peer, uint32_t id);
void node_store_bases_forget(uint32_t app, str name);     /* its folder goes */
void node_store_bases_peer_gone(struct store_peer *peer); /* nobody waits for what it asked */
struct store_ask *node_store_bases_done(void);            /* those that are answered, or NULL; in order */
/* Closes what is idle, ends what takes too long. When to call it again, at the latest; 0: never. */
uint64_t node_store_bases_tick(uint64_t now_ns);
/* A backup's moment: from now on no log goes into its file. */
void node_store_bases_hold(void);
/* A line of JSON for each database that has a log. False: somebody commits, or a log is on its way: ask again. */
[[nodiscard]] bool node_store_bases_moment(struct buf *lines);
bool node_store_bases_release(void); /* false: none was held */
bool node_store_bases_idle(void);    /* nothing waits, nothing is done */
bool node_store_bases_keep(void);    /* whether files are kept */

/* ---- batch.c ---- */

enum { STORE_BATCH_MAX = 256 };
/* Does some of them, the first ones, and says in each what came of it. How many: at least one. */
uint32_t node_store_batch(struct store_base *base, struct store_ask *const *asks, uint32_t count);
/* From now on it has the time that a statement has. */
void node_store_statement_begins(struct store_base *base, const struct store_ask *ask);
void node_store_base_close(struct store_base *base);
/* The first word of a statement, where it begins or ends transactions or cannot be in one: it is done by itself. */
bool node_store_sql_is_alone(str sql);

/* Has what is being done time left? */
bool node_store_goes_on(void *arg);

/* ---- texts.c: what functions EXECUTE ---- */

/* As struct query_options has it; arg: the base. */
bool node_store_translate(void *arg, arena *mem, const struct catalog *c, str text, str *answer, struct pg_error *error);
void node_store_texts_channel(uint32_t app, int fd); /* takes it; -1: there is none */

/* ---- keys.c, sql.c ---- */

[[nodiscard]] err node_store_keys_open(struct store_base *base, struct diag *d);
[[nodiscard]] err node_store_keys_save(struct store_base *base, struct diag *d); /* how much there is, before a commit */
void node_store_keys_do(struct store_base *base, struct store_ask *ask);
void node_store_sql_do(struct store_base *base, struct store_ask *ask);

/* ---- app.c ---- */

/* The database is open: what is the store's own in it is of this version, and its catalogue is read. */
[[nodiscard]] err node_store_own_open(struct store_base *base, struct diag *d);
void node_store_own_close(struct store_base *base);
void node_store_own_do(struct store_base *base, struct store_ask *ask);
[[nodiscard]] err node_store_own_save(struct store_base *base, struct diag *d); /* before a commit */
void node_store_undo(struct store_base *base);       /* the transaction that is open; who asks for its end asks for this */
void node_store_own_undone(struct store_base *base); /* some of it, or all, was rolled back */
void node_store_own_rest(struct store_base *base);   /* between two batches */

/* ---- feed.c ----
 *
 * What a member of a batch changes is held back here until it is done, and then written as rows of _orlo_changes in the same savepoint: they are as
 * durable as what they tell of. */

struct store_feed;
struct store_feed *node_store_feed_new(struct store_base *base, struct db *db);
void node_store_feed_free(struct store_feed *feed);                               /* NULL is fine */
void node_store_feed_begin(struct store_feed *feed, const struct store_ask *ask); /* a member, with what of it is kept */
[[nodiscard]] err node_store_feed_write(struct store_feed *feed, struct diag *d); /* it is done; before its savepoint is */
[[nodiscard]] err node_store_feed_trim(struct store_feed *feed,
                                       struct diag *d); /* before a commit: some of what nobody waits for any more goes */
void node_store_feed_read(struct store_feed *feed, struct store_ask *ask);

/* ---- room.c: how large a database may be ---- */

/* What this ask says holds from now on. */
[[nodiscard]] err node_store_room_hold(struct store_base *base, const struct store_ask *ask, struct diag *d);
[[nodiscard]] err node_store_room_look(struct store_base *base, struct diag *d); /* before a batch */
[[nodiscard]] err node_store_room_used(struct store_base *base, uint64_t *bytes, struct diag *d);
uint64_t node_store_room_left(struct store_base *base); /* bytes, those of the reserve too */
/* Whether that is more than it may have, and more than it was. */
bool node_store_room_exceeded(const struct store_base *base, uint64_t before, uint64_t after);
void node_store_room_say(const struct store_base *base, struct pg_error *error); /* 53100, and what to do */

/* ---- errand.c ---- */

void node_store_errand_do(struct store_base *base, struct store_ask *ask);

/* ---- sums.c ---- */

/* What rows come to, table by table, as PostgreSQL's side has it (postgres/move.c): the same on both, whatever order they are in. */
[[nodiscard]] err node_store_sums(struct store_base *base, arena *mem, struct buf *to, struct diag *d);

/* ---- checkpoint.c ---- */

/* ---- past.c: what a database was (node/history.h) ---- */

enum { STORE_HISTORY_MS = 1000 }; /* then what was committed is in it */
void node_store_past_init(uint64_t bytes_max, uint64_t ms_max);
void node_store_past_open(struct store_base *base);
void node_store_past_note(struct store_base *base); /* its thread has done something */
bool node_store_past_behind(struct store_base *base);
void node_store_past_take(struct store_base *base, bool sync);
void node_store_past_close(struct store_base *base);

enum {
    STORE_LOG_SOFT = 1000, /* pages that are not in the file: another thread brings them there */
    STORE_LOG_HARD = 4000, /* pages in the log: its writer does the rest between two batches, so that it begins anew */
};
/* Its thread has it, and has nothing else of it under way. */
void node_store_checkpoint_own(struct store_base *base);
/* By another thread. The caller sees to it that it is not done yet (checked). takes: into its history alone. */
void node_store_checkpoint_start(struct store_base *base, bool takes);
void node_store_bases_checked(struct store_base *base, const struct db_wal *wal); /* bases.c: that is over */
/* While somebody holds, no log goes into its file: both are what they were, but for what is behind the log's end. There is one
 * that holds: the next one takes its place. */
void node_store_checkpoint_hold(void);
void node_store_checkpoint_release(void);
bool node_store_checkpoint_held(void);
bool node_store_checkpoint_forgotten(uint64_t now_ns); /* held for longer than anybody may */
/* Between two commits of all databases: nobody's is under way while fn runs, nor is any log going into its file. False: there is no such moment yet,
 * for some milliseconds. */
[[nodiscard]] bool node_store_checkpoint_between(void (*fn)(void *arg), void *arg);
[[nodiscard]] err node_store_commit(struct db *db, struct diag *d); /* db_commit, of one that others may be held back for */
void node_store_writes(bool begins);                                /* a statement that commits by itself */

#endif
