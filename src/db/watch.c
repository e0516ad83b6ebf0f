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

struct db_value db_change_before(const struct db_change *c, uint32_t column) {
    sqlite3_value *v = NULL;
    bool ok = c->kind != DB_ROW_NEW && sqlite3_preupdate_old(c->db->raw, (int)column, &v) == SQLITE_OK && v;
    return ok ? db_value_of(v) : DB_NOTHING;
}

struct db_value db_change_after(const struct db_change *c, uint32_t column) {
    sqlite3_value *v = NULL;
    bool ok = c->kind != DB_ROW_GONE && sqlite3_preupdate_new(c->db->raw, (int)column, &v) == SQLITE_OK && v;
    return ok ? db_value_of(v) : DB_NOTHING;
}
