/* db: see db.h. A statement that was used is kept, by its text, for the next time; the least recently used one makes room.
 *
 *   kept, not busy ──db_query──> busy ──db_end──> kept, not busy
 *                                     └── all kept ones were busy: loose, freed at its end
 */
#include "db/db_int.h"
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* ---- errors ---- */

static err err_of(int code) {
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return ERR_OK;
    case SQLITE_FULL:
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM:
    case SQLITE_INTERRUPT: return ERR_LIMIT;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ERR_MALFORMED;
    case SQLITE_CONSTRAINT:
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERR_BUSY;
    case SQLITE_AUTH:
    case SQLITE_PERM:
    case SQLITE_READONLY: return ERR_DENIED;
    case SQLITE_ERROR:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
    case SQLITE_MISUSE:
    case SQLITE_SCHEMA: return ERR_USAGE;
    default: return ERR_IO;
    }
}

static err db_failed(struct db *db, int code, struct diag *d) {
    err e = err_of(code);
    if (e == ERR_OK) return e;
    if (db->refused) e = ERR_DENIED;
    const char *name = db->options.name;
    if (db->large) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "%s: the statement took too much memory", name);
    if (db->stopped) return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "%s: the statement took too long", name);
    if (db_memory_wants() == DB_WANT_STACK)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "%s: the statement, with the views and triggers it needs, nests too deep",
                        name);
    if (db_memory_wants() == DB_WANT_MEMORY)
        return diag_set(d, ERR_LIMIT, DIAG_NOWHERE, "%s: the statement takes more memory than there is for it", name);
    if ((code & 0xff) == SQLITE_FULL && db->options.bytes_max)
        return diag_set(d, e, DIAG_NOWHERE, "%s is full: it has %llu KiB at most, or the disk has no room", name,
                        (unsigned long long)(db->options.bytes_max / KiB));
    if ((code & 0xff) == SQLITE_FULL) return diag_set(d, e, DIAG_NOWHERE, "%s cannot be written: the disk is full", name);
    return diag_set(d, e, DIAG_NOWHERE, "%s: %s", name, db->raw ? sqlite3_errmsg(db->raw) : sqlite3_errstr(code));
}

err db_says(struct db *db, int code, struct diag *d) { return db_failed(db, code, d); }

/* ---- opening ---- */

static int limit_pages(struct db *db) {
    enum { PAGES_MAX = 0x7ffffffe };
    char text[64];
    uint64_t most = db->options.bytes_max ? db->options.bytes_max / db->page_bytes : PAGES_MAX;
    snprintf(text, sizeof text, "pragma max_page_count = %llu", (unsigned long long)MIN(MAX(most, 1u), (uint64_t)PAGES_MAX));
    return sqlite3_exec(db->raw, text, NULL, NULL, NULL);
}

static int settle(struct db *db) {
    const struct db_options *o = &db->options;
    char text[512];
    const struct {
        int what, on;
    } config[] = {
        {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
        {SQLITE_DBCONFIG_DEFENSIVE, 1},
        {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
        {SQLITE_DBCONFIG_DQS_DML, 0},
        {SQLITE_DBCONFIG_DQS_DDL, 0},
        {SQLITE_DBCONFIG_ENABLE_FKEY, 1},
    };
    for (size_t i = 0; i < ARRAY_COUNT(config); i++) sqlite3_db_config(db->raw, config[i].what, config[i].on, NULL);
    sqlite3_extended_result_codes(db->raw, 1);
    snprintf(text, sizeof text,
             "pragma locking_mode = %s; pragma temp_store = memory; pragma mmap_size = 0; pragma cell_size_check = on;"
             "pragma cache_size = -%u; pragma synchronous = %s; pragma journal_size_limit = 1048576;",
             o->sharing == DB_ALONE ? "exclusive" : "normal", o->cache_kib ? o->cache_kib : 2048, o->quick ? "normal" : "full");
    int code = db_shared_settle(db);
    if (code == SQLITE_OK) code = sqlite3_exec(db->raw, text, NULL, NULL, NULL);
    if (code == SQLITE_OK && !o->read_only) code = sqlite3_exec(db->raw, "pragma journal_mode = wal", NULL, NULL, NULL);
    if (code != SQLITE_OK) return code;
    sqlite3_stmt *page = NULL;
    code = sqlite3_prepare_v2(db->raw, "pragma page_size", -1, &page, NULL);
    db->page_bytes = code == SQLITE_OK && sqlite3_step(page) == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(page, 0) : 4096;
    sqlite3_finalize(page);
    return code == SQLITE_OK && o->bytes_max ? limit_pages(db) : code;
}

err db_limit(struct db *db, uint64_t bytes_max, struct diag *d) {
    db->options.bytes_max = bytes_max;
    db->own = true;
    err e = db_failed(db, limit_pages(db), d);
    db->own = false;
    return e;
}

void db_foreign_keys(struct db *db, bool on) { sqlite3_db_config(db->raw, SQLITE_DBCONFIG_ENABLE_FKEY, (int)on, NULL); }

err db_size(struct db *db, struct db_size *out, struct diag *d) {
    int64_t pages = 0, unused = 0;
    TRY(db_one_i64(db, &pages, d, "pragma page_count"));
    TRY(db_one_i64(db, &unused, d, "pragma freelist_count"));
    *out = (struct db_size){db->page_bytes, (uint64_t)pages, (uint64_t)unused};
    return ERR_OK;
}

err db_open(const struct db_options *options, struct db **out, struct diag *d) {
    struct db *db = calloc(1, sizeof *db);
    ENSURE(db);
    db->options = *options;
    if (options->files) db->options.name = db_files_begin(options->files);
    db->options.read_only |= options->sharing == DB_READER;
    options = &db->options;
    memset(db->files, -1, sizeof db->files);
    db->kept_max = MIN(options->statements ? options->statements : 64, (uint32_t)DB_KEPT_MAX);
    int flags = options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    if (options->create) flags |= SQLITE_OPEN_CREATE;
    int code = sqlite3_open_v2(options->name, &db->raw, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
                               db_vfs_name(options->sharing));
    if (code == SQLITE_OK) code = settle(db);
    if (code == SQLITE_OK && options->guest) code = db_functions_add(db);
    if (code == SQLITE_OK && options->guest) db_guest_confine(db);
    if (code == SQLITE_OK) {
        db_guest_pace(db);
        *out = db;
        return ERR_OK;
    }
    err e = (code & 0xff) == SQLITE_CANTOPEN && !options->create ? ERR_NOT_FOUND : err_of(code);
    if (e == ERR_NOT_FOUND) diag_set(d, e, DIAG_NOWHERE, "there is no database %s", options->name);
    (void)db_failed(db, code, d);
    db_close(db);
    return e;
}

static void free_rows(struct db_rows *rows) {
    sqlite3_finalize(rows->statement);
    free(rows);
}

void db_close(struct db *db) {
    if (!db) return;
    for (uint32_t i = 0; i < db->kept_count; i++) {
        ENSURE(!db->kept[i]->busy);
        free_rows(db->kept[i]);
    }
    for (size_t i = 0; i < ARRAY_COUNT(db->owns); i++) sqlite3_finalize(db->owns[i]);
    sqlite3_close_v2(db->raw);
    db_extend_close(db); /* after it: aggregates of statements end with it */
    db_shared_closed(db);
    free(db);
}

/* ---- statements ---- */

static struct db_rows *find_kept(struct db *db, str sql, uint64_t hash) {
    for (uint32_t i = 0; i < db->kept_count; i++) {
        struct db_rows *rows = db->kept[i];
        if (rows->hash == hash && !rows->busy && str_eq(str_c(sqlite3_sql(rows->statement)), sql)) return rows;
    }
    return NULL;
}

static void keep(struct db *db, struct db_rows *rows) {
    uint32_t oldest = UINT32_MAX;
    if (db->kept_count < db->kept_max) {
        db->kept[db->kept_count++] = rows;
        return;
    }
    for (uint32_t i = 0; i < db->kept_count; i++)
        if (!db->kept[i]->busy && (oldest == UINT32_MAX || db->kept[i]->used < db->kept[oldest]->used)) oldest = i;
    rows->loose = oldest == UINT32_MAX;
    if (rows->loose) return;
    free_rows(db->kept[oldest]);
    db->kept[oldest] = rows;
}

/* Nothing but space, comments and semicolons: what follows compiles to nothing. */
static bool is_empty(struct db *db, const char *tail) {
    while (*tail) {
        sqlite3_stmt *more = NULL;
        const char *from = tail;
        if (sqlite3_prepare_v2(db->raw, tail, -1, &more, &tail) != SQLITE_OK || more || tail == from) {
            sqlite3_finalize(more);
            return false;
        }
    }
    return true;
}

static err prepare(struct db *db, str sql, struct db_rows **out, struct diag *d) {
    uint64_t hash = str_hash(sql);
    struct db_rows *rows = find_kept(db, sql, hash);
    if (!rows) {
        sqlite3_stmt *statement = NULL;
        const char *tail = NULL;
        arena *scratch = arena_new(0);
        const char *text = arena_cstr(scratch, sql);
        bool nul = sql.n && memchr(sql.p, 0, sql.n);
        int code = nul ? SQLITE_ERROR : sqlite3_prepare_v3(db->raw, text, -1, SQLITE_PREPARE_PERSISTENT, &statement, &tail);
        err e = nul                           ? diag_set(d, ERR_USAGE, DIAG_NOWHERE, "the statement has a NUL byte")
                : code != SQLITE_OK           ? db_failed(db, code, d)
                : !statement                  ? diag_set(d, ERR_USAGE, DIAG_NOWHERE, "there is no statement in it")
                : tail && !is_empty(db, tail) ? diag_set(d, ERR_USAGE, DIAG_NOWHERE, "it is more than one statement")
                                              : ERR_OK;
        arena_free(scratch);
        if (e != ERR_OK) {
            sqlite3_finalize(statement);
            return e;
        }
        rows = calloc(1, sizeof *rows);
        ENSURE(rows);
        *rows = (struct db_rows){.db = db, .statement = statement, .hash = hash};
        keep(db, rows);
    }
    rows->busy = true;
    rows->used = ++db->used;
    rows->code = SQLITE_OK;
    *out = rows;
    return ERR_OK;
}

bool db_can_read(struct db *db, str sql) {
    static const char *const limits[] = {"parser stack overflow",  "Expression tree is too large", "too many terms in",
                                         "tables in a join",       "too many columns in",          "too many arguments on",
                                         "too many references to", "too many FROM clause terms"};
    sqlite3_stmt *statement = NULL;
    bool can = true;
    int code = sqlite3_prepare_v2(db->raw, (const char *)sql.p, (int)sql.n, &statement, NULL);
    if (code == SQLITE_TOOBIG || code == SQLITE_NOMEM) can = false;
    for (size_t i = 0; can && code != SQLITE_OK && i < ARRAY_COUNT(limits); i++)
        can = !strstr(sqlite3_errmsg(db->raw), limits[i]);
    sqlite3_finalize(statement);
    return can;
}

static int bind(sqlite3_stmt *statement, int at, const struct db_value *v) {
    const char *p = v->kind >= DB_TEXTUAL && v->s.n ? (const char *)v->s.p : "";
    switch (v->kind) {
    case DB_INTEGER: return sqlite3_bind_int64(statement, at, v->i);
    case DB_REAL: return sqlite3_bind_double(statement, at, v->f);
    case DB_TEXTUAL: return sqlite3_bind_text64(statement, at, p, v->s.n, SQLITE_STATIC, SQLITE_UTF8);
    case DB_BYTES: return sqlite3_bind_blob64(statement, at, p, v->s.n, SQLITE_STATIC);
    case DB_NULL: break;
    }
    return sqlite3_bind_null(statement, at);
}

static void give_back(struct db_rows *rows) {
    sqlite3_reset(rows->statement);
    sqlite3_clear_bindings(rows->statement);
    rows->busy = false;
    rows->db->stopped = false;
    if (rows->loose) free_rows(rows);
}

err db_query_values(struct db *db, str sql, const struct db_value *values, size_t n, struct db_rows **out, struct diag *d) {
    struct db_rows *rows;
    db->stopped = db->refused = db->large = false;
    db->taken = db_memory_taken();
    db_memory_forgive();
    TRY(prepare(db, sql, &rows, d));
    int want = sqlite3_bind_parameter_count(rows->statement), code = SQLITE_OK;
    err e = ERR_OK;
    if ((size_t)want != n)
        e = diag_set(d, ERR_USAGE, DIAG_NOWHERE, "the statement has %d parameters, and %zu values came", want, n);
    for (int i = 0; e == ERR_OK && i < want && code == SQLITE_OK; i++) code = bind(rows->statement, i + 1, &values[i]);
    if (e == ERR_OK) e = db_failed(db, code, d);
    if (e == ERR_OK) *out = rows;
    else give_back(rows);
    return e;
}

bool db_next(struct db_rows *rows) {
    if (rows->code != SQLITE_OK && rows->code != SQLITE_ROW) return false;
    rows->code = sqlite3_step(rows->statement);
    return rows->code == SQLITE_ROW;
}

err db_end(struct db_rows *rows, struct diag *d) {
    err e = db_failed(rows->db, rows->code, d);
    give_back(rows);
    return e;
}

err db_run_values(struct db *db, str sql, const struct db_value *values, size_t n, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query_values(db, sql, values, n, &rows, d));
    while (db_next(rows)) {}
    return db_end(rows, d);
}

err db_one_i64_values(struct db *db, str sql, const struct db_value *values, size_t n, int64_t *out, struct diag *d) {
    struct db_rows *rows;
    TRY(db_query_values(db, sql, values, n, &rows, d));
    bool found = db_next(rows);
    if (found) *out = db_i64(rows, 0);
    TRY(db_end(rows, d));
    return found ? ERR_OK : ERR_NOT_FOUND;
}

err db_script(struct db *db, const char *sql, struct diag *d) {
    return db_failed(db, sqlite3_exec(db->raw, sql, NULL, NULL, NULL), d);
}

bool db_goes_on(struct db *db) { return db_guest_goes_on(db); }
bool db_goes_deeper(void) { return !db_memory_too_deep(); }

/* ---- rows ---- */

uint32_t db_columns(const struct db_rows *rows) { return (uint32_t)sqlite3_column_count(rows->statement); }

str db_column_name(const struct db_rows *rows, uint32_t i) { return str_c(sqlite3_column_name(rows->statement, (int)i)); }

struct db_value db_value(const struct db_rows *rows, uint32_t i) {
    return db_value_of(sqlite3_column_value(rows->statement, (int)i)); /* nobody else has the connection meanwhile */
}

int64_t db_i64(const struct db_rows *rows, uint32_t i) {
    struct db_value v = db_value(rows, i);
    return v.kind == DB_INTEGER ? v.i : 0;
}

str db_str(const struct db_rows *rows, uint32_t i) {
    struct db_value v = db_value(rows, i);
    return v.kind == DB_TEXTUAL || v.kind == DB_BYTES ? v.s : (str){0};
}

int64_t db_last_id(const struct db *db) { return sqlite3_last_insert_rowid(db->raw); }
void db_forget_last_id(struct db *db) { sqlite3_set_last_insert_rowid(db->raw, 0); }
bool db_writes(const struct db_rows *rows) { return !sqlite3_stmt_readonly(rows->statement); }
uint64_t db_changed(const struct db *db) { return (uint64_t)sqlite3_changes64(db->raw); }
uint64_t db_changed_ever(const struct db *db) { return (uint64_t)sqlite3_total_changes64(db->raw); }

/* ---- transactions ---- */

/* Of the caller's, whatever a guest's statements may do: prepared once, and kept where no guest's text finds them. */
static const char *const own_texts[DB_OWN_STATEMENTS] = {
    [DB_OWN_BEGIN] = "begin immediate", [DB_OWN_COMMIT] = "commit",     [DB_OWN_ROLLBACK] = "rollback",
    [DB_OWN_PART] = "savepoint part",   [DB_OWN_KEEP] = "release part", [DB_OWN_UNDO] = "rollback to part",
};

static err run_own(struct db *db, enum db_own which, struct diag *d) {
    sqlite3_stmt **s = &db->owns[which];
    int code = SQLITE_OK;
    db->own = true;
    db_memory_forgive();
    if (!*s) code = sqlite3_prepare_v3(db->raw, own_texts[which], -1, SQLITE_PREPARE_PERSISTENT, s, NULL);
    if (code == SQLITE_OK) code = sqlite3_step(*s);
    err e = db_failed(db, code, d);
    sqlite3_reset(*s);
    db->own = false;
    return e;
}

/* A reader that comes while the log begins anew may find its index half written: what is marked as read is past its end. A writer that lives is done with that in
 * a moment, for which SQLite does not wait where it may not write the index. */
enum { BEGIN_TRIES = 64, BEGIN_AT_ONCE = 16, BEGIN_PAUSE_NS = 200'000 };

err db_begin(struct db *db, struct diag *d) {
    err e = run_own(db, DB_OWN_BEGIN, d);
    for (int i = 0; e == ERR_DENIED && db->options.sharing == DB_READER && i < BEGIN_TRIES; i++) {
        if (i < BEGIN_AT_ONCE) sched_yield();
        else nanosleep(&(struct timespec){.tv_nsec = BEGIN_PAUSE_NS}, NULL);
        if (d) *d = (struct diag)DIAG_INIT;
        e = run_own(db, DB_OWN_BEGIN, d);
    }
    return e;
}

err db_commit(struct db *db, struct diag *d) {
    err e = run_own(db, DB_OWN_COMMIT, d);
    if (e != ERR_OK) db_rollback(db);
    return e;
}

void db_rollback(struct db *db) {
    if (db_in_transaction(db)) (void)run_own(db, DB_OWN_ROLLBACK, NULL);
}

err db_part_begin(struct db *db, struct diag *d) { return run_own(db, DB_OWN_PART, d); }
err db_part_keep(struct db *db, struct diag *d) { return run_own(db, DB_OWN_KEEP, d); }
void db_part_undo(struct db *db) {
    if (db_in_transaction(db) && run_own(db, DB_OWN_UNDO, NULL) == ERR_OK) (void)run_own(db, DB_OWN_KEEP, NULL);
}

bool db_in_transaction(const struct db *db) { return !sqlite3_get_autocommit(db->raw); }

uint32_t db_data_version(const struct db *db) {
    uint32_t v = 0;
    return sqlite3_file_control(db->raw, "main", SQLITE_FCNTL_DATA_VERSION, &v) == SQLITE_OK ? v : 0;
}

err db_checkpoint(struct db *db, struct diag *d) {
    return db_failed(db, sqlite3_wal_checkpoint_v2(db->raw, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL), d);
}

/* ---- the schema's version ---- */

err db_version(struct db *db, uint32_t *out, struct diag *d) {
    int64_t version = 0;
    TRY(db_one_i64(db, &version, d, "pragma user_version"));
    *out = (uint32_t)version;
    return ERR_OK;
}

err db_upgrade(struct db *db, const char *const *steps, uint32_t count, struct diag *d) {
    uint32_t version;
    char set[64];
    TRY(db_version(db, &version, d));
    if (version > count)
        return diag_set(d, ERR_UNSUPPORTED, DIAG_NOWHERE, "%s is of a newer version of Orlo (format %u, this one knows %u)",
                        db->options.name, version, count);
    if (version == count) return ERR_OK;
    snprintf(set, sizeof set, "pragma user_version = %u", count);
    TRY(db_begin(db, d));
    err e = ERR_OK;
    for (; e == ERR_OK && version < count; version++) e = db_script(db, steps[version], d);
    if (e == ERR_OK) e = db_script(db, set, d);
    if (e == ERR_OK) return db_commit(db, d);
    db_rollback(db);
    return e;
}
