/* guest: what holds on a connection for a stranger's statements. They see one file, the schema that they made in it, and functions that
 * reach nothing else; each takes so much text, values, depth and time. */
#include "db/db_int.h"

/* ---- what a statement may do ---- */

static enum db_act act_of(int code) {
    switch (code) {
    case SQLITE_READ: return DB_ACT_READ;
    case SQLITE_INSERT:
    case SQLITE_UPDATE:
    case SQLITE_DELETE: return DB_ACT_WRITE;
    case SQLITE_PRAGMA: return DB_ACT_PRAGMA;
    case SQLITE_ATTACH:
    case SQLITE_DETACH: return DB_ACT_ATTACH;
    case SQLITE_FUNCTION: return DB_ACT_FUNCTION;
    case SQLITE_TRANSACTION:
    case SQLITE_SAVEPOINT: return DB_ACT_TRANSACTION;
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return DB_ACT_OTHER;
    default: return DB_ACT_SCHEMA;
    }
}

/* Those that tell of the schema, and those that only this connection's answers depend on. */
static bool pragma_ok(str name, str value) {
    static const char *const telling[] = {"table_info",
                                          "table_xinfo",
                                          "table_list",
                                          "index_list",
                                          "index_info",
                                          "index_xinfo",
                                          "database_list",
                                          "foreign_key_list",
                                          "foreign_key_check",
                                          "integrity_check",
                                          "quick_check",
                                          "encoding",
                                          "page_count",
                                          "page_size",
                                          "freelist_count",
                                          "compile_options",
                                          "collation_list",
                                          "function_list",
                                          "data_version",
                                          "user_version",
                                          "application_id",
                                          "foreign_keys",
                                          "defer_foreign_keys",
                                          "recursive_triggers",
                                          "case_sensitive_like",
                                          "reverse_unordered_selects",
                                          "optimize"};
    static const char *const settable[] = {"user_version",       "application_id",      "foreign_keys",    "defer_foreign_keys",
                                           "recursive_triggers", "case_sensitive_like", "table_info",      "table_xinfo",
                                           "table_list",         "index_list",          "index_info",      "index_xinfo",
                                           "foreign_key_list",   "foreign_key_check",   "integrity_check", "quick_check"};
    const char *const *list = value.n ? settable : telling;
    size_t n = value.n ? ARRAY_COUNT(settable) : ARRAY_COUNT(telling);
    for (size_t i = 0; i < n; i++)
        if (str_eq_nocase(name, str_c(list[i]))) return true;
    return false;
}

static bool function_ok(str name) {
    static const char *const never[] = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"};
    for (size_t i = 0; i < ARRAY_COUNT(never); i++)
        if (str_eq_nocase(name, str_c(never[i]))) return false;
    return true;
}

static int authorize(void *arg, int code, const char *a, const char *b, const char *database, const char *inner) {
    struct db *db = arg;
    enum db_act act = act_of(code);
    str first = str_c(a), second = str_c(b);
    if (db_memory_too_deep()) return SQLITE_DENY;
    if (db->own) return SQLITE_OK;
    bool ok = act != DB_ACT_ATTACH;
    if (act == DB_ACT_PRAGMA) ok = pragma_ok(first, second);
    if (act == DB_ACT_FUNCTION) ok = function_ok(second);
    if (ok && db->options.may) ok = db->options.may(db->options.arg, act, first, second);
    db->refused |= !ok;
    return ok ? SQLITE_OK : SQLITE_DENY;
}

/* ---- how long, how large ---- */

bool db_guest_goes_on(struct db *db) {
    if (db->own || !db->options.goes_on) return true;
    uint64_t most = db->options.memory_bytes_max ? db->options.memory_bytes_max : 64 * MiB;
    db->large |= db_memory_taken() - db->taken > (int64_t)most;
    db->stopped |= db->large || !db->options.goes_on(db->options.arg);
    return !db->stopped;
}

static int progress(void *arg) { return !db_guest_goes_on(arg); }

void db_guest_confine(struct db *db) {
    const struct db_options *o = &db->options;
    const struct {
        int what, most;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, (int)(o->value_bytes_max ? o->value_bytes_max : 16 * MiB)},
        {SQLITE_LIMIT_SQL_LENGTH, (int)(o->sql_bytes_max ? o->sql_bytes_max : 1 * MiB)},
        {SQLITE_LIMIT_COLUMN, 500},
        {SQLITE_LIMIT_EXPR_DEPTH, 200},
        {SQLITE_LIMIT_COMPOUND_SELECT, 100},
        {SQLITE_LIMIT_VDBE_OP, 250'000},
        {SQLITE_LIMIT_FUNCTION_ARG, 100},
        {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 500},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 32'766},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 32},
        {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < ARRAY_COUNT(limits); i++) sqlite3_limit(db->raw, limits[i].what, limits[i].most);
    sqlite3_set_authorizer(db->raw, authorize, db);
}

void db_guest_pace(struct db *db) {
    const struct db_options *o = &db->options;
    if (o->goes_on) sqlite3_progress_handler(db->raw, (int)(o->steps ? o->steps : 10'000), progress, db);
}

/* ---- a guard of the caller's own, on a connection of his ---- */

static int guarded(void *arg, int code, const char *a, const char *b, const char *database, const char *inner) {
    struct db *db = arg;
    (void)database;
    if (db->own || db->guard(db->guard_arg, act_of(code), str_c(a), str_c(b), str_c(inner))) return SQLITE_OK;
    db->refused = true;
    return SQLITE_DENY;
}

void db_guard(struct db *db, bool (*fn)(void *arg, enum db_act act, str a, str b, str inner), void *arg) {
    ENSURE(!db->options.guest);
    db->guard = fn;
    db->guard_arg = arg;
    sqlite3_set_authorizer(db->raw, fn ? guarded : NULL, db);
}
