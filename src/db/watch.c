/* watch: rows as they change, before they do (db_watch). */
#include "db/db_int.h"

static void before(void *arg, sqlite3 *raw, int op, const char *database, const char *table, sqlite3_int64 from,
                   sqlite3_int64 to) {
    struct db *db = arg;
    if (strcmp(database, "main") != 0) return;
    struct db_change c = {.kind = op == SQLITE_INSERT   ? DB_ROW_NEW
                                  : op == SQLITE_DELETE ? DB_ROW_GONE
                                                        : DB_ROW_CHANGED,
                          .table = table,
                          .columns = (uint32_t)sqlite3_preupdate_count(raw),
                          .db = db};
    db->watch(db->watch_arg, &c);
}

void db_watch(struct db *db, void (*fn)(void *arg, const struct db_change *c), void *arg) {
    db->watch = fn;
    db->watch_arg = arg;
    sqlite3_preupdate_hook(db->raw, fn ? before : NULL, db);
}

static struct db_value value_of(sqlite3_value *v) {
    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER: return DB_I64(sqlite3_value_int64(v));
    case SQLITE_FLOAT: return DB_F64(sqlite3_value_double(v));
    case SQLITE_TEXT: return DB_TEXT(((str){sqlite3_value_text(v), (size_t)sqlite3_value_bytes(v)}));
    case SQLITE_BLOB: return DB_BLOB(((str){sqlite3_value_blob(v), (size_t)sqlite3_value_bytes(v)}));
    default: return DB_NOTHING;
    }
}

struct db_value db_change_before(const struct db_change *c, uint32_t column) {
    sqlite3_value *v = NULL;
    bool ok = c->kind != DB_ROW_NEW && sqlite3_preupdate_old(c->db->raw, (int)column, &v) == SQLITE_OK && v;
    return ok ? value_of(v) : DB_NOTHING;
}

struct db_value db_change_after(const struct db_change *c, uint32_t column) {
    sqlite3_value *v = NULL;
    bool ok = c->kind != DB_ROW_GONE && sqlite3_preupdate_new(c->db->raw, (int)column, &v) == SQLITE_OK && v;
    return ok ? value_of(v) : DB_NOTHING;
}
