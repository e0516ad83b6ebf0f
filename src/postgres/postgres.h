/* postgres: a few connections to one PostgreSQL database, on a loop. The one room that sees libpq.
 *
 *   struct postgres *db = postgres_new(&(struct postgres_options){.loop = loop, .where = "host=/run/x user=authenticator", …});
 *   postgres_ask(db, &(struct postgres_question){.statements = s, .count = 2, .ms_max = 5000}, told, arg);      told(arg, &answer) later
 *
 *            ┌──────────── the pause of one that did not come is over ───────────┐
 *            v                                                                   │
 *   (none) ──an ask waits──> CONNECTING ──> FREE ──an ask──> BUSY ──committed──> FREE      CONNECTING ──> fails ──> AWAY
 *                                                              └──an error──> UNDOING ──> FREE
 *                                                   any of them ──the server is gone, is late, is cancelled──> (none)
 *
 * 1. An ask is one transaction and one round trip: begin, its statements, commit, in a pipeline. One that is judged has a second one: its commit is sent when
 *    all else was heard and found good. Nothing is answered POSTGRES_DONE that was not committed.
 * 2. It is told once, whatever becomes of the server. POSTGRES_AWAY: nothing of it is there. POSTGRES_LOST: its commit was sent, and nobody knows whether it was done.
 * 3. Values go beside the text, never in it. A statement that is `kept` is parsed by the server once for each connection.
 * 4. Nothing here blocks; a server that does not answer costs its asks their time, and its connections are given up.
 * 5. An answer is kept as it came, and no more of it than an ask may have: then its connection is closed, and the server gives up what it was doing.
 * 6. A statement that the server has prepared and knows no more (DEALLOCATE, a pooler that gives each transaction another of its connections) fails its
 *    transaction: the ask is sent once more, unprepared. Where that goes on, nothing is prepared there any more.
 * 7. A transaction may go on over several asks (postgres_held): its connection is its own until it is committed, an ask of it fails, or it is given up.
 */
#ifndef ORLO_POSTGRES_H
#define ORLO_POSTGRES_H

#include "base/base.h"

struct net_loop;
struct postgres;

/* Where a server is that somebody else runs. */
struct postgres_place;
/* postgres://USER:PASSWORD@HOST/DATABASE?…; private: it may be at an address that is not public, too. ERR_INVALID: what is wrong with it, without a word of it. */
[[nodiscard]] err postgres_place_new(str url, bool private, struct postgres_place **out, struct diag *d);
void postgres_place_free(struct postgres_place *p); /* NULL is fine; connections to it may go on */
bool postgres_place_same(const struct postgres_place *a, const struct postgres_place *b);
bool postgres_place_plain(const struct postgres_place *p); /* a connection to it had no TLS, and led to another machine */
bool postgres_place_busy(const struct postgres_place *p);  /* somebody is on the way there: a thread */

struct postgres_options {
    struct net_loop *loop;
    const char *
        where; /* libpq's words for a local socket: host, dbname, user … Copied; never in a message of this room's. NULL: place */
    struct postgres_place *place; /* held */
    uint32_t whose;               /* who wants to be there: all pools of one have a part of the threads that go there */
    uint32_t connections_max, waiting_max;
    uint32_t connect_ms; /* a connection that takes longer is given up */
    uint32_t free_ms;    /* so long a connection without an ask stays; 0: for ever */
    const char *setup;   /* a statement without an answer, first on each connection; NULL: none */
};
struct postgres *postgres_new(const struct postgres_options *options);
/* Whatever waits or is under way is told at once: the server is gone. Not from a told. */
void postgres_end(struct postgres *db, const char *why);
void postgres_free(struct postgres *db); /* what waits or is under way is not told; not from a told; NULL is fine */

struct postgres_value {
    bool null;
    str text;      /* PostgreSQL's text form, without NUL bytes */
    uint32_t type; /* an oid; 0: the server finds out */
};
struct postgres_statement {
    str text;
    const struct postgres_value *values;
    uint32_t count;
    bool kept;     /* the same text will come again */
    uint64_t hash; /* postgres_statement_hash of one of the same text and types; 0: it is found out */
    bool lasts;    /* its text is there until the ask is told or cancelled: it is not copied */
};
uint64_t postgres_statement_hash(const struct postgres_statement *s);
struct postgres_answer;
/* All but the commit is done: is it to be? False: it is undone, and told as the error that was filled in. */
struct postgres_error;
typedef bool (*postgres_judge)(void *arg, const struct postgres_answer *answer, struct postgres_error *error);

/* A row's first column, while it is there; what came of the statements before may be looked at. False: nothing more is read before postgres_more, and until
 * then none of the ask's time goes by. arg is that of told. */
typedef bool (*postgres_row)(void *arg, const struct postgres_answer *answer, str value);

/* A transaction of several asks: the first `on` it begins it, one that does not `stay` commits it. Gone with its connection: then asks of it are
 * POSTGRES_AWAY. One ask at a time. */
struct postgres_held;
struct postgres_held *postgres_held_new(void);
void postgres_held_free(
    struct postgres_held *held); /* rolled back, if it was not committed; what is under way in it is no part of it any more */

struct postgres_question {
    const struct postgres_statement *statements; /* all is copied */
    uint32_t count;
    uint32_t ms_max; /* from when it is sent; then its connection is given up. The server's statement_timeout is the kinder way */
    uint64_t bytes_max;       /* of all values that are answered; more is 54000. 0: any. Where there is a commit, it is judged */
    bool undone;              /* rolled back at the end, whatever comes of it: nobody need ask whether it was done */
    bool bare;                /* no transaction around it: one statement that cannot be in one */
    struct postgres_held *on; /* NULL: it is a transaction by itself */
    bool stays;               /* that goes on, if all went well */
    uint32_t streams; /* from 1: the statement whose rows are given as they come, and not kept; 0: none. None is judged then */
    postgres_row row;
    postgres_judge judge; /* NULL: what succeeds is committed. arg is that of told */
};

enum postgres_outcome {
    POSTGRES_DONE,
    POSTGRES_ERROR /* an SQLSTATE; nothing was done */,
    POSTGRES_BUSY,
    POSTGRES_AWAY,
    POSTGRES_LOST
};
struct postgres_error {
    char state[12];     /* one that a judge made up may be longer than an SQLSTATE */
    uint32_t statement; /* which one, from 0; the question's count: the commit */
    uint32_t position;  /* in its text, in characters from 1; 0: not said */
    char message[768], detail[2048], hint[512], schema[64], table[64], column[64], constraint[64];
};
typedef void (*postgres_told)(void *arg, const struct postgres_answer *answer); /* which lives as long as the call */
enum postgres_outcome postgres_outcome(const struct postgres_answer *a);
const struct postgres_error *
postgres_error(const struct postgres_answer *a);          /* ERROR: all of it; else message alone, fit to be shown */
bool postgres_too_large(const struct postgres_answer *a); /* its error is that: more than bytes_max */
uint32_t postgres_rows(const struct postgres_answer *a, uint32_t statement);
uint64_t postgres_affected(const struct postgres_answer *a, uint32_t statement); /* by an insert, update, delete */
str postgres_value(const struct postgres_answer *a, uint32_t statement, uint32_t row, uint32_t column, bool *null);
/* Its columns, which one that gives no rows has none of; what they are called, and their types' oids. */
str postgres_tag(const struct postgres_answer *a, uint32_t statement); /* "INSERT 0 3" */
uint32_t postgres_columns(const struct postgres_answer *a, uint32_t statement);
str postgres_column(const struct postgres_answer *a, uint32_t statement, uint32_t column, uint32_t *type);

/* All of an answer, for longer than the call that it came with, and for another thread; that one is empty then. */
struct postgres_answer *postgres_answer_keep(const struct postgres_answer *a);
void postgres_answer_let_go(struct postgres_answer *a); /* NULL is fine */

struct postgres_ask;
/* Never NULL: where too many wait it is told POSTGRES_BUSY, from the loop like all others. */
struct postgres_ask *postgres_ask(struct postgres *db, const struct postgres_question *q, postgres_told told, void *arg);
/* It is not told. What is under way is given up with its connection, but where its commit was sent: that may be done all the same. Not from a told. */
void postgres_cancel(struct postgres_ask *ask);
/* Before anything is asked: each connection listens to a channel, and stays. heard: something was said there, or may have been before; from the loop, and not to
 * close anything here. */
void postgres_listen(struct postgres *db, const char *channel, void (*heard)(void *arg), void *arg);
/* A connection listens, and it is the server itself that it listens to: a pooler between would have it listen in vain. */
bool postgres_hears(const struct postgres *db);
/* Names in what was asked mean other things by now: its types are found out anew. */
void postgres_forget(struct postgres *db);
void postgres_more(struct postgres_ask *ask); /* of one whose row said false. Not from a told or a row */
/* How many ask or wait, and when something was last asked. */
uint32_t postgres_busy(const struct postgres *db);
/* Why the last connection did not come, fit to be shown; and whether the next one will not come for the same reason. Empty: it came. */
const char *postgres_why(const struct postgres *db, bool *refused);

#endif
