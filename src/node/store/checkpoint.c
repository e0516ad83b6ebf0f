/* checkpoint: what is in the log of an app's database goes into its file. SQLite would do that inside of a commit, for whose caller it is then ten
 * commits long; here it is done beside them.
 *
 *   log grows ── 1,000 pages ──> by another thread, on a connection of its own: the writer goes on meanwhile
 *             ── 4,000 pages, all but few of them done ──> the rest by the writer between two batches: the next commit begins the log anew
 *             ── the database is closed ──> all of it, and the log is empty
 *
 * What is to go into the file is in the history first (past.c).
 *
 * 1. Nobody waits for a reader: what one still reads stays in the log until next time.
 * 2. While somebody holds (a backup copies files), nothing is done at all, and the log grows.
 */
#include "node/store/store_int.h"
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS_MAX = 4, STACK_BYTES = 256 << 10 };
static const uint64_t hold_ns_max = 3'900'000'000'000; /* nobody is let hold for more than an hour: who has held is gone */

struct due {
    struct due *next;
    struct store_base *base;
    bool takes;
    char name[320];
};
static struct {
    pthread_mutex_t lock;
    struct due *first, **last;
    uint32_t threads, running; /* running: logs that are on their way into their files */
    bool held;
    uint64_t held_ns;         /* since when */
    pthread_rwlock_t commits; /* who commits reads it */
} all = {.lock = PTHREAD_MUTEX_INITIALIZER, .commits = PTHREAD_RWLOCK_INITIALIZER};

/* ---- between two commits ---- */

err node_store_commit(struct db *db, struct diag *d) {
    pthread_rwlock_rdlock(&all.commits);
    err e = db_commit(db, d);
    pthread_rwlock_unlock(&all.commits);
    return e;
}

void node_store_writes(bool begins) {
    if (begins) pthread_rwlock_rdlock(&all.commits);
    else pthread_rwlock_unlock(&all.commits);
}

static bool any_running(void) {
    pthread_mutex_lock(&all.lock);
    bool any = all.running;
    pthread_mutex_unlock(&all.lock);
    return any;
}

/* A commit is milliseconds; who computes for long before he commits holds nobody back: those who read go first, and who asks comes again. */
bool node_store_checkpoint_between(void (*fn)(void *arg), void *arg) {
    enum { WAITS_NS = 10'000'000 };
    struct timespec until;
    if (any_running()) return false;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += WAITS_NS;
    if (until.tv_nsec >= 1'000'000'000) until.tv_nsec -= 1'000'000'000, until.tv_sec++;
    if (pthread_rwlock_clockwrlock(&all.commits, CLOCK_MONOTONIC, &until)) return false;
    fn(arg);
    pthread_rwlock_unlock(&all.commits);
    return true;
}

/* ---- logs ---- */

void node_store_checkpoint_hold(void) {
    pthread_mutex_lock(&all.lock);
    all.held = true;
    all.held_ns = clock_mono_ns();
    pthread_mutex_unlock(&all.lock);
}

void node_store_checkpoint_release(void) {
    pthread_mutex_lock(&all.lock);
    all.held = false;
    pthread_mutex_unlock(&all.lock);
}

bool node_store_checkpoint_held(void) {
    pthread_mutex_lock(&all.lock);
    bool held = all.held;
    pthread_mutex_unlock(&all.lock);
    return held;
}

bool node_store_checkpoint_forgotten(uint64_t now_ns) {
    pthread_mutex_lock(&all.lock);
    bool forgotten = all.held && now_ns > all.held_ns + hold_ns_max;
    pthread_mutex_unlock(&all.lock);
    return forgotten;
}

static void failed(const struct store_base *base, const struct diag *d) {
    log_event(LOG_ERROR, "data-log-not-merged", LF_CSTR("database", base->name), LF_CSTR("reason", d->text));
}

void node_store_checkpoint_own(struct store_base *base) {
    struct db_wal wal;
    struct diag d = DIAG_INIT;
    node_store_past_take(base, true);
    pthread_rwlock_rdlock(&all.commits);
    if (!node_store_checkpoint_held() && db_checkpoint_some(base->db, &wal, &d) != ERR_OK) failed(base, &d);
    pthread_rwlock_unlock(&all.commits);
}

/* On connections of this thread's, which are gone before the base is told. One of them reads: as long as it does, nothing goes into the file that came
 * after it began, and the log does not begin anew. So all that goes there is in the history, and on the disk. */
static struct db_wal bring(const struct due *due) {
    struct db *db = NULL, *reader = NULL;
    struct db_rows *rows = NULL;
    struct db_wal wal = {0};
    struct diag d = DIAG_INIT;
    struct db_options o = {.name = due->name, .sharing = DB_WRITER, .cache_kib = 16, .statements = 1};
    err e = db_open(&o, &db, &d);
    if (e == ERR_OK) e = db_open(&o, &reader, &d);
    if (e == ERR_OK) e = db_query(reader, &rows, &d, "select count(*) from sqlite_schema");
    if (e == ERR_OK) {
        bool reads = db_next(rows); /* else nothing keeps what comes after it out of the file: next time */
        if (reads) node_store_past_take(due->base, true);
        if (reads) e = db_checkpoint_some(db, &wal, &d);
        struct diag unused = DIAG_INIT;
        err read = db_end(rows, reads ? &unused : &d);
        if (!reads) e = read;
    }
    db_close(reader);
    db_close(db);
    if (e != ERR_OK && e != ERR_NOT_FOUND) failed(due->base, &d); /* not there: its app is no more */
    return e == ERR_OK ? wal : (struct db_wal){0};
}

static void *work(void *arg) {
    pthread_mutex_lock(&all.lock);
    for (struct due *due; (due = all.first);) {
        all.first = due->next;
        if (!all.first) all.last = &all.first;
        bool held = all.held || due->takes;
        all.running += !held;
        pthread_mutex_unlock(&all.lock);
        if (due->takes) node_store_past_take(due->base, false);
        struct db_wal wal = held ? (struct db_wal){0} : bring(due);
        node_store_bases_checked(due->base, &wal);
        free(due);
        pthread_mutex_lock(&all.lock);
        all.running -= !held;
    }
    all.threads--;
    pthread_mutex_unlock(&all.lock);
    return NULL;
}

static bool start_thread(void) {
    pthread_t thread;
    pthread_attr_t how;
    sigset_t every, before;
    sigfillset(&every);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    pthread_attr_init(&how);
    pthread_attr_setstacksize(&how, STACK_BYTES);
    pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
    bool ok = pthread_create(&thread, &how, work, NULL) == 0;
    pthread_attr_destroy(&how);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok;
}

/* The caller has the lock of bases.c; this one's is below it. */
void node_store_checkpoint_start(struct store_base *base, bool takes) {
    struct due *due = calloc(1, sizeof *due);
    ENSURE(due);
    *due = (struct due){.base = base, .takes = takes};
    memcpy(due->name, base->name, sizeof due->name);
    pthread_mutex_lock(&all.lock);
    if (!all.last) all.last = &all.first;
    *all.last = due;
    all.last = &due->next;
    if (all.threads < THREADS_MAX) all.threads += start_thread();
    pthread_mutex_unlock(&all.lock);
}
