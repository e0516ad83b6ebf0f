/* db: SQLite. The one room that sees it.
 *
 *   struct db *db;
 *   TRY(db_open(&(struct db_options){.name = "node.db", .create = true}, &db, d));
 *   TRY(db_upgrade(db, steps, ARRAY_COUNT(steps), d));
 *   TRY(db_run(db, d, "insert into apps (name, live) values (?, ?)", DB_TEXT(name), DB_I64(1)));
 *
 *   struct db_rows *rows;
 *   TRY(db_query(db, &rows, d, "select live from apps where name = ?", DB_TEXT(name)));
 *   while (db_next(rows)) … db_i64(rows, 0) …
 *   TRY(db_end(rows, d));                    what went wrong in between is said here
 *
 * 1. One process has a database open, and one connection: there are no locks on the file, and no shared memory beside it. What keeps a second
 *    process away is the caller's (the lock of a state folder, that there is one process of a role). One that is shared is opened otherwise: by
 *    one process that writes (DB_WRITER), and by others that read it by descriptors that they were given (DB_READER).
 * 2. Names are relative to the working directory, and stay as they are: nobody walks up to a root that he may not see.
 * 3. What was committed is on the disk (WAL, synchronous FULL) unless the options say otherwise.
 * 4. SQL of the node's own is text in its source; what varies is bound. SQL of a stranger's runs on a connection that was opened as a guest's:
 *    with its own limits, an authorizer and a progress handler, and it reaches no other file.
 */
#ifndef ORLO_DB_H
#define ORLO_DB_H

#include "base/base.h"

struct db;
struct db_rows;

/* ---- opening ---- */

/* What a statement of a guest's is about to do. */
enum db_act {
    DB_ACT_READ,        /* a table (a), a column (b) */
    DB_ACT_WRITE,       /* rows of a table (a) */
    DB_ACT_SCHEMA,      /* makes, changes or drops a table, index, view or trigger (a) */
    DB_ACT_PRAGMA,      /* its name (a), its argument (b) */
    DB_ACT_ATTACH,      /* another file, always refused to guests */
    DB_ACT_FUNCTION,    /* its name (b) */
    DB_ACT_TRANSACTION, /* BEGIN, COMMIT, ROLLBACK, SAVEPOINT … (a) */
    DB_ACT_OTHER,
};
enum db_sharing {
    DB_ALONE,
    DB_WRITER, /* others may read it: "NAME-wal" and "NAME-shm" stay beside it, and what is in the log goes into the file when it is said alone */
    DB_READER, /* `files`, in place of a name; nothing of them is ever written */
};
struct db_files;
struct db_options {
    const char *name; /* below the working directory: "node.db", "shop/default.db"; ":memory:" */
    bool read_only, create;
    enum db_sharing sharing;
    struct db_files *files; /* of a DB_READER; borrowed until it is closed */
    bool quick;             /* a commit survives the process, and not the machine's loss of power (synchronous NORMAL) */
    uint64_t bytes_max;     /* of the file; 0: no limit. What would be more is refused with ERR_LIMIT, and undone */
    uint32_t cache_kib;     /* of pages; 0: 2048 */
    bool own_log; /* no checkpoint but those that are asked for, on closing neither; where it is shared that is so in any case */
    uint32_t statements; /* kept for the next time; 0: 64 */
    bool (*goes_on)(
        void *arg); /* every `steps` of the machine; false: ends the statement (ERR_LIMIT). It may let others have the thread */
    uint32_t steps; /* 0: 10,000 */
    /* of a guest's: */
    bool guest;
    bool (*may)(void *arg, enum db_act act, str a, str b); /* false: refused (ERR_DENIED). NULL: what a guest may by default */
    uint64_t memory_bytes_max;               /* that a statement takes while it runs, its sorts and tables in memory; 0: 64 MiB */
    uint32_t value_bytes_max, sql_bytes_max; /* a value or row, a statement's text; 0: 16 MiB, 1 MiB */
    void *arg;
};
/* ERR_NOT_FOUND: it is not there, and is not to be made; ERR_MALFORMED: no database, or a damaged one; ERR_IO, ERR_LIMIT (the disk is full). */
[[nodiscard]] err db_open(const struct db_options *options, struct db **out, struct diag *d);
void db_close(struct db *db); /* all rows have ended; NULL is fine */
/* How large the file may be from now on, as bytes_max; it stays what it is, where it is larger. */
[[nodiscard]] err db_limit(struct db *db, uint64_t bytes_max, struct diag *d);
/* Whether foreign keys hold and act, from the next statement on; within a transaction, too, where the pragma does nothing. What was written while they did not
 * is nobody's to look at but pragma_foreign_key_check's. */
void db_foreign_keys(struct db *db, bool on);
/* As the transaction sees it that is open. */
struct db_size {
    uint64_t page_bytes, pages, unused; /* unused: of pages, for what comes next */
};
[[nodiscard]] err db_size(struct db *db, struct db_size *out, struct diag *d);
/* What all databases of this process may take of memory, together; 0: no limit. Once, before anything is opened. */
void db_memory_max(uint64_t bytes);

/* Somebody's part of that: it may have as much as it leaves free. All that is done with his databases is done between begin and end, by one
 * thread at a time for each, and takes no more of that thread's stack than stack_bytes and as much again three times. Else ERR_LIMIT. */
struct db_account {
    int64_t bytes; /* atomic, relaxed */
};
void db_account_begin(struct db_account *a, size_t stack_bytes);
void db_account_end(void);
/* Where one thread does several things in turn, each on a stack of its own: what is counted for it goes with it. After db_seat_leave the thread works
 * for nobody. */
struct db_seat {
    int64_t taken;
    struct db_account *account;
    uintptr_t top;
    size_t stack_bytes;
    int want;
};
void db_seat_leave(struct db_seat *seat);
void db_seat_take(const struct db_seat *seat);

/* ---- shared databases ---- */

/* A database's three files, opened for reading by who may write them, and given away. Takes the descriptors. All connections of this process to it
 * are by one such: a file that is closed takes the process's locks on it along. */
struct db_files *db_files_new(int file, int log, int index);
uint64_t db_files_log_bytes(const struct db_files *files); /* how far its log has grown */
void db_files_free(struct db_files *files);                /* no connection has it; NULL is fine */
/* The three descriptors of a writer's, for such as may read it: opened once, they stay until it is closed (see there). -1: ERR_IO. */
[[nodiscard]] err db_files_of(struct db *db, int to[static 3], struct diag *d);
/* Where a read of a reader's would wait for the disk (its page is in no cache), this is called instead: it reads n bytes at `at` into p (pread), and
 * may let others have the thread meanwhile. NULL: it waits. For the whole process. */
void db_read_slow(ssize_t (*fn)(int fd, void *p, size_t n, int64_t at));

struct db_wal {
    uint32_t frames,
        done;         /* pages in the log; of them in the file, at the least. All of them: the next commit begins the log anew */
    uint32_t commits; /* on this connection; 0: what was in the log before is not known yet */
};
/* As many pages of the log into the file as nobody reads there any more: nobody waits, nor is kept waiting. On any connection of the writing process. */
[[nodiscard]] err db_checkpoint_some(struct db *db, struct db_wal *out, struct diag *d);
struct db_wal db_wal(const struct db *db); /* as of the last commit and checkpoint on this connection */

/* On a connection that is no guest's: fn is asked of all that a statement does when it is prepared; inner is the view or trigger that does it (empty:
 * the statement itself). false: the statement is refused (ERR_DENIED). Statements that were kept are prepared anew. fn NULL: nobody is asked. */
void db_guard(struct db *db, bool (*fn)(void *arg, enum db_act act, str a, str b, str inner), void *arg);

/* ---- values ---- */

enum db_kind { DB_NULL, DB_INTEGER, DB_REAL, DB_TEXTUAL, DB_BYTES };
struct db_value {
    enum db_kind kind;
    union {
        int64_t i;
        double f;
        str s; /* borrowed: of a parameter until the rows have ended, of a column until the next row */
    };
};
#define DB_I64(v) ((struct db_value){DB_INTEGER, {.i = (int64_t)(v)}})
#define DB_F64(v) ((struct db_value){DB_REAL, {.f = (v)}})
#define DB_TEXT(v) ((struct db_value){DB_TEXTUAL, {.s = (v)}})
#define DB_BLOB(v) ((struct db_value){DB_BYTES, {.s = (v)}})
#define DB_BLOB_OF(array) DB_BLOB(((str){(const uint8_t *)(array), sizeof(array)}))
#define DB_NOTHING ((struct db_value){DB_NULL, {0}})

/* ---- statements ----
 *
 * All take one statement; what follows it is refused. ERR_USAGE: it is no SQL, or has another number of parameters; ERR_BUSY: it breaks a
 * constraint (unique, foreign key, check, not null); ERR_DENIED: it may not, or nothing is written here; ERR_LIMIT: the database, the disk or
 * memory is full, or it took too long; ERR_MALFORMED: the database is damaged; ERR_IO. After LIMIT, MALFORMED and IO a transaction may be
 * undone already; db_rollback is right in any case. */

#define DB_VALUES_OF(...)                                                                                                        \
    (const struct db_value[]){__VA_ARGS__ __VA_OPT__(, ) DB_NOTHING},                                                            \
        sizeof((const struct db_value[]){__VA_ARGS__ __VA_OPT__(, ) DB_NOTHING}) / sizeof(struct db_value) - 1
/* db_run(db, d, "sql", values…): to its end, whatever rows it has. */
#define db_run(db, d, sql, ...) db_run_values((db), str_c(sql), DB_VALUES_OF(__VA_ARGS__), (d))
/* db_query(db, &rows, d, "sql", values…): rows is set where it is ERR_OK alone; db_end gives them back. */
#define db_query(db, rows, d, sql, ...) db_query_values((db), str_c(sql), DB_VALUES_OF(__VA_ARGS__), (rows), (d))
[[nodiscard]] err db_run_values(struct db *db, str sql, const struct db_value *values, size_t n, struct diag *d);
[[nodiscard]] err db_query_values(struct db *db, str sql, const struct db_value *values, size_t n, struct db_rows **out,
                                  struct diag *d);
/* Several statements, without parameters: a schema's. */
[[nodiscard]] err db_script(struct db *db, const char *sql, struct diag *d);

/* Would its parser take it, whatever it names? false: it nests too deep, or has too many parts, for any connection. */
bool db_can_read(struct db *db, str sql);

/* For who runs one statement after the other in the name of one that is waited for. false: it was to end by now, or took too much memory. */
[[nodiscard]] bool db_goes_on(struct db *db);
[[nodiscard]] bool db_goes_deeper(void); /* is there stack left for another statement within this one? */

bool db_next(struct db_rows *rows);                             /* false: there are no more, or it failed: db_end says which */
[[nodiscard]] err db_end(struct db_rows *rows, struct diag *d); /* at any time, once */
uint32_t db_columns(const struct db_rows *rows);
str db_column_name(const struct db_rows *rows, uint32_t i); /* until db_end */
struct db_value db_value(const struct db_rows *rows, uint32_t i);
int64_t db_i64(const struct db_rows *rows, uint32_t i); /* 0: it is none */
str db_str(const struct db_rows *rows, uint32_t i);     /* of text or bytes; empty: it is neither */

int64_t db_last_id(const struct db *db);       /* of the row that was inserted last */
void db_forget_last_id(struct db *db);         /* db_last_id is 0 until one is inserted */
bool db_writes(const struct db_rows *rows);    /* the statement may change the database */
uint64_t db_changed(const struct db *db);      /* rows, by the last statement */
uint64_t db_changed_ever(const struct db *db); /* … since it was opened */
/* The first row's first column; ERR_NOT_FOUND without a word in d: there is no row. */
#define db_one_i64(db, out, d, sql, ...) db_one_i64_values((db), str_c(sql), DB_VALUES_OF(__VA_ARGS__), (out), (d))
[[nodiscard]] err db_one_i64_values(struct db *db, str sql, const struct db_value *values, size_t n, int64_t *out,
                                    struct diag *d);

/* ---- transactions: what is between is there altogether, or not at all ---- */

[[nodiscard]] err db_begin(struct db *db, struct diag *d);
[[nodiscard]] err db_commit(struct db *db, struct diag *d); /* an error: nothing of it is there */
void db_rollback(struct db *db);                            /* nothing is open: nothing happens */
bool db_in_transaction(const struct db *db);
/* In a transaction: another number wherever anything was committed since this connection's last one, by whomever. 0: not known. */
uint32_t db_data_version(const struct db *db);
/* A part of a transaction that may fail without the rest: it stays, or it is undone. One at a time. */
[[nodiscard]] err db_part_begin(struct db *db, struct diag *d);
[[nodiscard]] err db_part_keep(struct db *db, struct diag *d);
void db_part_undo(struct db *db);
/* All is in the file itself, and nothing beside it: before it is copied. */
[[nodiscard]] err db_checkpoint(struct db *db, struct diag *d);

/* ---- what a connection has besides SQLite's own: functions, aggregates, collations, tables that are functions (extend.c) ----
 *
 * Each is of the connection that it was added to, and is named as SQLite finds it: without regard to case. Rows, and what stands behind `arg`,
 * outlive the connection: one table serves them all, and what is of a connection alone is its context. They run between two instructions of a statement, on its thread and stack: what takes long asks db_call_goes_on from time to
 * time, what grows with its input takes memory with db_take, which is the statement's, and nothing nests deeper than its own bound. */

struct db_call; /* as long as a function runs */
/* What it gives; the last one counts, none: NULL. Bytes are copied. */
void db_answer(struct db_call *call, struct db_value v);
/* It fails, with this text: the statement ends with ERR_USAGE. */
void db_refuse(struct db_call *call, str text);
/* false: whoever waits for the statement has had enough, or it took too much memory; it ends with ERR_LIMIT, whatever the function gives. */
[[nodiscard]] bool db_call_goes_on(struct db_call *call);
/* What a value may have of bytes on this connection; a longer answer is ERR_LIMIT. */
size_t db_call_value_bytes_max(const struct db_call *call);
/* What db_context_set gave; NULL: nothing. */
void *db_call_context(const struct db_call *call);
/* Once; drop is called when the connection has been closed. NULL: nothing to drop. */
void db_context_set(struct db *db, void *context, void (*drop)(void *context));
/* Of the statement's memory, and counted as that: as realloc. NULL: it has none left (p is as it was). n is not 0. */
void *db_take(void *p, size_t n);
void db_give_back(void *p);

enum db_function_flags {
    DB_FN_DETERMINISTIC = 1, /* the same arguments, the same answer, as long as a statement runs: it may be called less often */
    DB_FN_INNOCUOUS = 2,     /* harmless whoever wrote the schema: may be called by views, triggers, checks, defaults, indexes */
    DB_FN_DIRECT_ONLY = 4,   /* never by those, whoever wrote them */
};
struct db_function {
    const char *name;
    int32_t arguments; /* -1: as many as there are, to 100 */
    uint32_t flags;
    void (*call)(struct db_call *call, void *arg, const struct db_value *args, uint32_t n);
    void *arg;
};
[[nodiscard]] err db_add_functions(struct db *db, const struct db_function *rows, uint32_t n, struct diag *d);
/* One that was added, as a statement would find it; SQLite's own are not among them. NULL: there is none. */
const struct db_function *db_function_named(struct db *db, str name, uint32_t arguments);
/* It is called without a statement: ERR_USAGE (it refused) and ERR_LIMIT as a statement's end would be. What it gives is in mem: what that has no room
 * for, is ERR_LIMIT. */
[[nodiscard]] err db_call_function(struct db *db, const struct db_function *f, const struct db_value *args, uint32_t n,
                                   arena *mem, struct db_value *out, struct diag *d);

/* state: so many bytes, zeroed at a group's begin; the same for all that follows of it. */
struct db_aggregate {
    const char *name;
    int32_t arguments;
    uint32_t flags;
    size_t state_bytes;
    void (*step)(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n);
    /* The row that came first leaves the window. NULL: it is no window function, unless `value` alone is enough (frames that only grow). */
    void (*inverse)(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n);
    void (*value)(struct db_call *call, void *arg, void *state); /* of the rows so far; as often as there are rows in a window */
    void (*end)(void *arg, void *state);                         /* once; NULL: it holds nothing */
    void *arg;
};
[[nodiscard]] err db_add_aggregates(struct db *db, const struct db_aggregate *rows, uint32_t n, struct diag *d);

/* A total order; it cannot fail, and takes no memory. */
struct db_collation {
    const char *name;
    int (*compare)(void *arg, str a, str b);
    void *arg;
};
[[nodiscard]] err db_add_collations(struct db *db, const struct db_collation *rows, uint32_t n, struct diag *d);
const struct db_collation *db_collation_named(struct db *db, str name); /* one that was added; NULL: there is none */

/* select … from name(arguments): rows that are computed. The columns are named, and so many arguments may be given: those that are left out
 * are NULL from the end on. */
enum { DB_TABLE_COLUMNS_MAX = 100, DB_TABLE_ARGUMENTS_MAX = 32 };
struct db_table_function {
    const char *name;
    const char *columns[DB_TABLE_COLUMNS_MAX + 1]; /* the first NULL ends them */
    uint32_t arguments, arguments_min;
    uint32_t flags; /* INNOCUOUS, DIRECT_ONLY */
    size_t state_bytes;
    /* args are borrowed until it returns. It may refuse. */
    void (*begin)(struct db_call *call, void *arg, void *state, const struct db_value *args, uint32_t n);
    /* The next row: as many values as there are columns, which last until the next one or the end. false: there are no more, or it refused. */
    bool (*next)(struct db_call *call, void *arg, void *state, struct db_value *row);
    void (*end)(void *arg, void *state); /* once for each begin; NULL: it holds nothing */
    void *arg;
};
[[nodiscard]] err db_add_table_functions(struct db *db, const struct db_table_function *rows, uint32_t n, struct diag *d);
/* ---- rows as they change ----
 *
 * fn is told of each row of the main database before it changes, whoever changes it: statements, triggers, keys that cascade. It uses db for nothing
 * else. Work that is undone was told of, too. */
struct db_change {
    enum db_change_kind { DB_ROW_NEW, DB_ROW_CHANGED, DB_ROW_GONE } kind;
    const char *table;
    uint32_t columns;
    struct db *db; /* private */
};
void db_watch(struct db *db, void (*fn)(void *arg, const struct db_change *c), void *arg); /* fn NULL: nobody is told any more */
/* A column's value before (not of a new row) and after (not of one that goes): borrowed until fn returns. */
struct db_value db_change_before(const struct db_change *c, uint32_t column);
struct db_value db_change_after(const struct db_change *c, uint32_t column);

/* ---- the schema's version ----
 *
 * steps[i] takes a database from version i to i + 1. All that are missing are one transaction. ERR_UNSUPPORTED: it is of a newer version than
 * there are steps; d says both numbers, and nothing is touched. */
[[nodiscard]] err db_version(struct db *db, uint32_t *out, struct diag *d);
[[nodiscard]] err db_upgrade(struct db *db, const char *const *steps, uint32_t count, struct diag *d);

#endif
