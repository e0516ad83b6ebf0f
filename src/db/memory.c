/* memory: what SQLite takes of it, and for whom. It asks here for all that it has, and is told no as if memory were out, which undoes a
 * statement.
 *
 * 1. What is taken is counted for each thread, so that a statement, which runs on one, can be told when it takes too much (guest.c).
 * 2. What stays (temporary tables, schemas, pages) is an account's: whose it is, the thread says (db_account_begin). It may have as much as it
 *    leaves free: one alone half, and of n that take all they get each a share of n + 1, so that whoever comes next finds one, too.
 * 3. A schema nests as deep as its owner likes (a view of a view, a trigger's trigger, keys that cascade, one table expression in terms of the
 *    next), and SQLite recurses to compile that. Each step asks for memory, or for leave (guest.c): there it is held to a part of its
 *    thread's stack, so that what it does without asking fits the rest.
 */
#include "db/db_int.h"

static sqlite3_mem_methods below; /* SQLite's own */
static struct { int64_t max, taken; /* 0: no limit; atomic, relaxed */ } all;
static _Thread_local struct db_seat here; /* account NULL: of nobody who is counted; want: enum db_want */

bool db_memory_too_deep(void) {
    intptr_t deeper = (intptr_t)(here.top - (uintptr_t)__builtin_frame_address(0));
    bool deep = here.account && deeper > (intptr_t)here.stack_bytes;
    if (deep) here.want = DB_WANT_STACK;
    return deep;
}

enum db_want db_memory_wants(void) { return (enum db_want)here.want; }
void db_memory_forgive(void) { here.want = DB_WANT_NOTHING; }

void db_account_begin(struct db_account *a, size_t stack_bytes) {
    here.account = a;
    here.top = (uintptr_t)__builtin_frame_address(0);
    here.stack_bytes = stack_bytes;
    here.want = DB_WANT_NOTHING;
}

void db_account_end(void) { here.account = NULL; }

void db_seat_leave(struct db_seat *seat) {
    *seat = here;
    here = (struct db_seat){0};
}

void db_seat_take(const struct db_seat *seat) { here = *seat; }

static bool may_take(int64_t bytes) {
    if (db_memory_too_deep()) return false;
    if (!all.max) return true;
    int64_t has = here.account ? __atomic_load_n(&here.account->bytes, __ATOMIC_RELAXED) + bytes : 0;
    bool ok = has <= all.max - __atomic_load_n(&all.taken, __ATOMIC_RELAXED) - bytes;
    if (!ok) here.want = DB_WANT_MEMORY;
    return ok;
}

static void count(int64_t bytes) {
    here.taken += bytes;
    __atomic_fetch_add(&all.taken, bytes, __ATOMIC_RELAXED);
    if (here.account) __atomic_fetch_add(&here.account->bytes, bytes, __ATOMIC_RELAXED);
}

static void *take(int n) {
    void *p = may_take(n) ? below.xMalloc(n) : NULL;
    if (p) count(below.xSize(p));
    return p;
}

static void give_back(void *p) {
    if (p) count(-(int64_t)below.xSize(p));
    below.xFree(p);
}

static void *change(void *p, int n) {
    int before = p ? below.xSize(p) : 0;
    if (n > before && !may_take(n - before)) return NULL;
    void *q = below.xRealloc(p, n);
    if (q) count((int64_t)below.xSize(q) - before);
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
    ENSURE(sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) ==
           SQLITE_OK); /* it would count once more, each time under one lock of all threads */
}

int64_t db_memory_taken(void) { return here.taken; }

void db_memory_max(uint64_t bytes) {
    (void)db_vfs_name(DB_ALONE); /* before SQLite is used */
    all.max = (int64_t)MIN(bytes, (uint64_t)INT64_MAX);
}
