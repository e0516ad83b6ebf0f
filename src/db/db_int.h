/* Inside the db room. */
#ifndef ORLO_DB_INT_H
#define ORLO_DB_INT_H

#include "db/db.h"
#define SQLITE_ENABLE_PREUPDATE_HOOK /* Debian's has it */
#include <sqlite3.h>

struct db_rows { /* a statement, as long as it is kept */
    struct db *db;
    sqlite3_stmt *statement;
    uint64_t hash, used; /* of its text; when it was used last */
    bool busy;           /* somebody has its rows */
    bool loose;          /* it is freed when they end */
    int code;            /* what the last step said */
};

enum db_own { DB_OWN_BEGIN, DB_OWN_COMMIT, DB_OWN_ROLLBACK, DB_OWN_PART, DB_OWN_KEEP, DB_OWN_UNDO, DB_OWN_STATEMENTS };

enum { DB_KEPT_MAX = 256 };
struct db {
    sqlite3 *raw;
    struct db_options options;
    struct db_rows *kept[DB_KEPT_MAX];
    uint32_t kept_count, kept_max;
    uint64_t used;          /* a clock of statements' use */
    bool stopped;           /* goes_on said so, in the statement that runs */
    bool large;             /* of that statement: it took too much memory */
    int64_t taken;          /* what its thread had when it began */
    bool refused;           /* may said so; SQLite has more than one code for that */
    struct db_added *added; /* extend.c: what it has besides SQLite's own */
    void *context;
    void (*context_drop)(void *context);
    bool (*guard)(void *arg, enum db_act act, str a, str b, str inner);
    void *guard_arg;
    uint64_t page_bytes;
    sqlite3_stmt *owns[DB_OWN_STATEMENTS];
    bool own;     /* what runs is the caller's, not a guest's */
    int files[3]; /* db_files_of; -1: not yet */
    struct db_wal wal;
    void (*watch)(void *arg, const struct db_change *c);
    void *watch_arg;
};

/* db.c: db_failed, for SQLite's code of a call on this connection */
err db_says(struct db *db, int code, struct diag *d);

const char *db_vfs_name(enum db_sharing sharing); /* sets SQLite up, once, on whatever thread */
/* shared.c */
void db_shared_set_up(sqlite3_vfs *vfs);            /* of those that take locks */
[[nodiscard]] int db_shared_settle(struct db *db);  /* of one that is shared, once it is open */
const char *db_files_begin(struct db_files *files); /* the name that they are opened by, on this thread */
void db_shared_closed(struct db *db);
/* guest.c: every so many steps goes_on is asked */
void db_guest_pace(struct db *db);
/* memory.c: from now on, before SQLite is used; bytes that this thread has taken and not given back: negative, where others took them */
void db_memory_count(void);
int64_t db_memory_taken(void);
/* What a statement was refused. Each step of what nests asks whether it is too deep. */
enum db_want { DB_WANT_NOTHING, DB_WANT_MEMORY, DB_WANT_STACK };
enum db_want db_memory_wants(void);
bool db_memory_too_deep(void);
void db_memory_forgive(void);

/* guest.c: what holds on a connection for a stranger's statements */
void db_guest_confine(struct db *db);
/* May the statement that runs go on? Not where it took too much memory, or whoever waits for it says so. */
[[nodiscard]] bool db_guest_goes_on(struct db *db);
/* extend.c: borrows what it has */
struct db_value db_value_of(sqlite3_value *v);
/* extend.c: gives back what was added, once the connection is closed */
void db_extend_close(struct db *db);
/* functions.c: in place of SQLite's that cannot be stopped. SQLite's code. */
[[nodiscard]] int db_functions_add(struct db *db);

#endif
