/* migration: how what changes an app's database travels.
 *
 *   control ──ask──> a job (sql) ──plan──> control ──plan──> the store ──done──> control
 *   the store ──state──> control: what is there, before any of it
 *
 * 1. An ask is of one catalogue, as text; its plan says by a digest which that was, and is applied to no other.
 * 2. A file is a part of the plan: it is there altogether, with its row in _orlo_migrations and the catalogue after it, or not at all. Parts up
 *    to one with a catalogue are one transaction.
 * 3. All of these are bytes of a job or a process that may have gone astray: a sticky reader refuses nonsense whole. Strings borrow the bytes.
 */
#ifndef ORLO_NODE_MIGRATION_H
#define ORLO_NODE_MIGRATION_H

#include "app/record.h"

/* X(name, what goes in, what comes out): what the store is asked of an app's database on its owner's behalf (data_want). */
#define NODE_DATA_DOES_LIST(X)                                                                                                    \
    X(STATE, "", "a state")                                                                                                       \
    X(MIGRATE, "a plan", "a done")                                                                                                \
    X(RESET, "a plan", "a done") /* what is there goes first; all of it is one transaction */                                     \
    X(DUMP, "nothing; or ENGINE TABLE PLACE: what is to be filled with it, and where a piece begins (0 -: at the first)",         \
      "SQL; of a piece the first line is -- next TABLE PLACE, or -- last")                                                        \
    X(QUERY, "role, claims, JSON", "JSON")                                                                                        \
    X(EXPLAIN, "role, claims, relation, command", "text")                                                                         \
    X(HOLD, "", "a line of JSON for each database with a log") /* of no app: no log goes into its file from now on */             \
    X(RELEASE, "", "")                                         /* that is over. ERR_CLOSED: nothing was held */                   \
    X(SQL, "role, claims, JSON, behind their length; a plan",                                                                     \
      "JSON")         /* asked of what the plan makes; then none of it is there */                                                \
    X(FREEZE, "", "") /* from now on it is read alone, whoever ends meanwhile: its rows go elsewhere (control/move.c) */          \
    X(THAW, "", "")                                                                                                               \
    X(FILL, "a plan", "a done") /* rows of a piece: keys are not looked at, as others come behind it */                           \
    X(DROP, "", "")             /* what was moved away from is emptied, and its file is as small as that; still read alone */     \
    X(SUMS, "", "of each table that has rows: NAME, how many, a sum of what they say; a line each")                               \
    X(SCHEMA, "a plan of an empty database, or nothing",                                                                          \
      "what stands there, an object a line; a line '-', and what the plan makes") /* of a PostgreSQL alone (postgres/schema.c) */ \
    X(CLUSTER_BEGIN, "", "") /* of a PostgreSQL alone, for who copies its files (postgres/backup.c) */                            \
    X(CLUSTER_END, "", "the label that goes with them")                                                                           \
    X(CLUSTER_AT, "", "how far its log counts")
enum node_data_does {
#define X(name, ...) NODE_DATA_##name,
    NODE_DATA_DOES_LIST(X)
#undef X
        NODE_DATA_DOES
};

enum {
    MIGRATION_PIECE_BYTES = 8 << 20,       /* of rows as SQL, and no more than one row beyond that */
    MIGRATION_STATEMENT_BYTES = 256 << 10, /* of them in a statement, likewise */
    MIGRATION_FILES_MAX = 10'000,
    MIGRATION_NAME_MAX = 255,
    MIGRATION_SQL_BYTES_MAX = 64 << 20,   /* of all files of an ask */
    MIGRATION_PLAN_BYTES_MAX = 512 << 20, /* a catalogue for each file, and all their steps */
    MIGRATION_NOTES_MAX = 2'000,
    MIGRATION_STATEMENTS_MAX = 200'000, /* that are told */
    MIGRATION_CATALOGS_MAX = 4096,
    MIGRATION_RAISED_MAX = 200 /* notices */
};

struct migration_file {
    str name, text; /* "20240101120000_notes.sql" */
    uint8_t digest[APP_DIGEST_BYTES];
    bool seed;         /* it leaves no row behind: it fills, and is no part of what the database is */
    bool mark;         /* what it does is there already: only its row is missing */
    bool asked, owner; /* a statement that is asked, and by whom: sql_file's */
    bool copied;       /* a seed of another database's rows: sql_file's */
};
struct migration_ask {
    uint8_t engine; /* enum app_database_engine */
    bool lint;      /* say what is not wrong, and yet better otherwise, and what becomes of each statement */
    bool pull;      /* its one file is a dump: the plan's one step is what of it is a migration */
    bool strict;    /* what is only refused when it is run is an error */
    str catalog;    /* empty: there is none yet */
    VEC(struct migration_file) files;
};
void node_migration_ask_write(struct buf *to, const struct migration_ask *ask);
[[nodiscard]] err node_migration_ask_read(arena *out, str bytes, struct migration_ask *ask, struct diag *d);

/* X(name, word) */
#define MIGRATION_NOTES(X)                                                                                                       \
    X(ERROR, "error")                                                                                                            \
    X(LATER, "raises")      /* deployed, and refused when it is run */                                                           \
    X(RECORDED, "recorded") /* written down for who is not there yet */                                                          \
    X(IGNORED, "ignored")                                                                                                        \
    X(REMARK, "remark")                                                                                                          \
    X(POSTGRES, "needs-postgres") /* what keeps a project of PostgreSQL's from SQLite */                                         \
    X(LINT, "lint")
enum migration_note_kind {
#define X(name, word) MIGRATION_NOTE_##name,
    MIGRATION_NOTES(X)
#undef X
        MIGRATION_NOTE_KINDS
};
struct migration_note {
    str file;
    uint32_t line, column; /* from 1; 0: not of a place */
    bool is_error;
    uint8_t kind;   /* enum migration_note_kind */
    str code, text; /* text: what, and what to write instead */
};
/* X(name, word): what becomes of a statement */
#define MIGRATION_VERDICTS(X)                                                                                                    \
    X(RUNS, "runs") X(IGNORED, "ignored") X(RECORDED, "recorded") X(LATER, "raises") X(REFUSED, "refused")
enum migration_verdict {
#define X(name, word) MIGRATION_VERDICT_##name,
    MIGRATION_VERDICTS(X)
#undef X
        MIGRATION_VERDICTS_COUNT
};
const char *node_migration_note_word(uint8_t kind);
struct migration_statement {
    str file;
    uint32_t line;
    uint8_t verdict; /* enum migration_verdict */
    str what, why;   /* "CREATE TABLE"; why it does not run */
};
const char *node_migration_verdict_word(uint8_t verdict);
enum migration_step_kind { /* as sql.h has them */
                           MIGRATION_ROWS,
                           MIGRATION_STRUCTURE,
                           MIGRATION_CALL
};
struct migration_step {
    str text;      /* a statement of SQLite's; of a call a function's number */
    uint32_t line; /* where it stands in the file; 0: it is of several statements */
    uint8_t kind;
    uint32_t catalog; /* of a call: the plan's, from 1; that of the call before, or the next one */
};
struct migration_part {
    str name;
    uint8_t digest[APP_DIGEST_BYTES];
    bool seed;
    VEC(struct migration_step) steps; /* of a mark none */
    str catalog;                      /* after it; empty: that of the next one, with which it is one transaction */
};
struct migration_plan {
    uint8_t from[APP_DIGEST_BYTES]; /* SHA-256 of the ask's catalogue */
    uint32_t errors;
    bool foreign_keys_off; /* while it is applied; they are looked at before it is kept */
    VEC(struct migration_note) notes;
    VEC(struct migration_statement) statements; /* where the ask has lint */
    VEC(str) catalogs;                          /* of calls: each by what it differs in from the one before (catalog_delta) */
    VEC(struct migration_part) parts;           /* none where there are errors */
};
void node_migration_plan_write(struct buf *to, const struct migration_plan *plan);
[[nodiscard]] err node_migration_plan_read(arena *out, str bytes, struct migration_plan *plan, struct diag *d);

struct migration_applied {
    str name;
    uint8_t digest[APP_DIGEST_BYTES];
    uint64_t at_s; /* since 1970 */
};
struct migration_state {
    str catalog;                           /* empty: nothing was ever applied */
    uint64_t bytes;                        /* of its file */
    VEC(struct migration_applied) applied; /* in their order */
};
void node_migration_state_write(struct buf *to, const struct migration_state *state);
[[nodiscard]] err node_migration_state_read(arena *out, str bytes, struct migration_state *state, struct diag *d);

struct migration_raised { /* RAISE NOTICE, WARNING, INFO of what was run */
    uint32_t part, step;  /* as in done */
    bool warns;
    str text;
};
struct migration_done {
    uint32_t parts;  /* that are applied, and stay: the first ones */
    uint32_t failed; /* which one failed; it is undone, and all between */
    uint32_t step;   /* its statement that did, from 1; 0: none failed */
    str state;       /* its SQLSTATE */
    str text;
    VEC(struct migration_raised) raised;
};
void node_migration_done_write(struct buf *to, const struct migration_done *done);
[[nodiscard]] err node_migration_done_read(arena *out, str bytes, struct migration_done *done, struct diag *d);

/* The SQL that asks a PostgreSQL what it is made of, a row of JSON for each object (postgres/schema.c). */
str node_schema_objects(void);
/* What a job makes of an ask, for who waits (migrate.c). */
[[nodiscard]] err node_migrate(arena *out, const struct migration_ask *ask, struct migration_plan *plan, struct diag *d);
/* A memory file that holds these bytes; -1. What such a file holds, in out. */
int node_bytes_fd(const char *name, str bytes);
[[nodiscard]] err node_fd_bytes(arena *out, int fd, size_t most, str *bytes, struct diag *d);

/* What a folder has against what was applied: which are pending (in out), or why none may be. ERR_INVALID: d says which file and what to do
 * about it. files: in the order of their names. */
[[nodiscard]] err node_migration_pending(arena *out, const struct migration_file *files, uint32_t n,
                                         const struct migration_state *state, uint32_t **pending, uint32_t *count,
                                         struct diag *d);

#endif
