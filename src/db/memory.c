/* memory: what SQLite takes is counted for each thread, so that a statement, which runs on one, can be told when it takes too much: others'
 * share what all may have (db_memory_max), and one sort in memory could take it all. */
#include "db/db_int.h"

static sqlite3_mem_methods below; /* SQLite's own */
static _Thread_local int64_t taken;

static void *take(int n) {
    void *p = below.xMalloc(n);
    if (p) taken += below.xSize(p);
    return p;
}

static void give_back(void *p) {
    if (p) taken -= below.xSize(p);
    below.xFree(p);
}

static void *change(void *p, int n) {
    int before = p ? below.xSize(p) : 0;
    void *q = below.xRealloc(p, n);
    if (q) taken += below.xSize(q) - before;
    return q;
}

void db_memory_count(void) {
    sqlite3_mem_methods counting;
    if (sqlite3_config(SQLITE_CONFIG_GETMALLOC, &below) != SQLITE_OK) return;
    counting = below;
    counting.xMalloc = take;
    counting.xFree = give_back;
    counting.xRealloc = change;
    ENSURE(sqlite3_config(SQLITE_CONFIG_MALLOC, &counting) == SQLITE_OK);
}

int64_t db_memory_taken(void) { return taken; }
