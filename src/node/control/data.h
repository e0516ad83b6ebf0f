/* data: what control asks of an app's database on its owner's behalf: data.c asks the store, migrate.c brings files of SQL to it.
 *
 *   READS ──their texts, by a thread──> ASKS ──the store: what is there──> (nothing is pending: over)
 *         ──what is pending, and the catalogue──> PLANS, a job ──its plan──> APPLIES, the store, a transaction a file ──> over
 *
 * 1. Control has no right to an app's data, and reads none of it: what travels are memory files.
 * 2. A file is applied altogether or not at all. Those before one that fails stay, and it is said which they are.
 * 3. Where the store ended meanwhile, or somebody else's migration came between, all begins again with what is there by then: once.
 */
#ifndef ORLO_NODE_CONTROL_DATA_H
#define ORLO_NODE_CONTROL_DATA_H

#include "node/control/control_int.h"
#include "node/migration.h"

/* ---- data.c ---- */

struct control_data_want {
    enum node_data_does does;
    uint32_t app;
    str name;
    int in; /* a memory file of so many bytes; borrowed. -1: nothing is told */
    uint64_t bytes;
    bool postgres;                   /* its tables are there */
    str secret;                      /* of a server that somebody else runs: the secret that is its URL; empty: the node's own */
    const struct app_limits *limits; /* the app's */
    uint32_t ms_max;
    /* out: what it says, to be closed by who is told; -1 unless e is ERR_OK. */
    void (*done)(void *arg, err e, const struct diag *d, int out);
    void *arg;
};
/* done is called once, later. */
void node_data_ask(struct control *c, const struct control_data_want *want);
bool node_data_said(struct control *c, const struct node_msg_data_done *m); /* false: nobody asked */

/* ---- migrate.c ---- */

struct control_migrated {
    err err;
    const struct diag *d;
    str file; /* where it failed */
    uint32_t line, column;
    const str *pending, *applied; /* names: what there was to do; of that, what is done: the first ones */
    uint32_t pending_count, applied_count;
    const struct migration_note *notes;
    uint32_t notes_count;
    const struct migration_state *state; /* before; NULL: not known */
    str answer;                          /* to asked */
};
typedef void (*control_migrated_fn)(void *arg, const struct control_migrated *result); /* strings live until it returns */
struct control_migrate {
    uint32_t app; /* 0: there is none yet, nor a database (dry_run) */
    str name;
    enum app_database_engine engine;
    str secret; /* as in control_data_want */
    const struct app_limits *limits;
    const struct migration_file *files; /* by name; seeds behind. Texts are read from what was uploaded */
    uint32_t files_count;
    bool dry_run; /* nothing is applied */
    bool makes;   /* a database that nothing was ever applied to is made of no files, too: users have tables there */
    bool
        compares; /* nothing is applied: what they make of an empty database is told beside what stands there (NODE_DATA_SCHEMA), as answer */
    bool reset;     /* all that is there goes first, in the same transaction */
    bool moves;     /* that reset is a move's: of a server that somebody runs, which is to be empty */
    bool fills;     /* rows alone, of no file: a piece of those that go into a database that was reset (NODE_DATA_FILL) */
    bool seeds;     /* seeds are run, and nothing else: rows of another database, in one that is there */
    str rows;       /* run behind them, as a seed of one more file's; a reset's, or of what fills, alone */
    str sql, asked; /* in place of files: SQL, and what is asked of what it makes (who, and a tree: JSON); then that goes again */
    bool writes, owner; /* that SQL is one statement, which is asked itself (sql_file's); what it writes stays */
    control_migrated_fn done;
    void *arg;
};
/* All is copied but arg. done is called once, later. */
void node_migrate_begin(struct control *c, const struct control_migrate *what);
bool node_migrate_planned(struct control *c, const struct node_msg_compile_done *m); /* false: it is none of these */

/* ---- move.c ---- */

struct control_moved {
    err err;
    const struct diag *d;
    str tables; /* "SCHEMA.TABLE\tROWS\tSUM\n" of each that has rows */
    uint32_t version;
};
typedef void (*control_moved_fn)(void *arg, const struct control_moved *result); /* strings live until it returns */
/* done is called once, later, unless this is an error. */
[[nodiscard]] err node_move_begin(struct control *c, const struct control_app *app, const struct app_database *to,
                                  control_moved_fn done, void *arg, struct diag *d);
/* What a control that ended in the middle left. After a start. */
[[nodiscard]] err node_moves_mend(struct control *c, struct diag *d);
bool node_move_is(const struct control *c, uint32_t app); /* its database is being moved */
/* What it was moved away from goes, and its room with it: done, once. ERR: not begun. */
[[nodiscard]] err node_move_drop_old(struct control *c, const struct control_app *app,
                                     void (*done)(void *arg, err e, const struct diag *d, int out), void *arg, struct diag *d);
/* Whether a version on that engine may become what is live. */
[[nodiscard]] err node_move_check(const struct control *c, str name, enum app_database_engine engine, struct diag *d);

#endif
