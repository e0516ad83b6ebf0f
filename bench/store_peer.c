/* What SQLite by itself does, for ./dev bench store: rows that clients wait for, each until it is on the disk.
 *
 *   store_peer FILE CLIENTS SECONDS [--each]
 *
 * Clients are threads that each hand over one row and wait; one thread writes what was handed over while the last commit ran, a savepoint for each, as one
 * transaction (WAL, synchronous=FULL); with --each, a transaction for each. Prints {"rows", "commits", "seconds"}. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS_MAX = 1024, BODY = 200 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct client {
    pthread_cond_t done;
    bool waits;
    int number;
} clients[CLIENTS_MAX];
static struct client *queue[CLIENTS_MAX];
static int queued;
static bool over;
static sqlite3 *db;

static void run(const char *sql) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK) return;
    fprintf(stderr, "store_peer: %s: %s\n", sql, sqlite3_errmsg(db));
    exit(1);
}

static void *ask(void *arg) {
    struct client *c = arg;
    pthread_mutex_lock(&lock);
    while (!over) {
        c->waits = true;
        queue[queued++] = c;
        pthread_cond_signal(&more);
        while (c->waits && !over) pthread_cond_wait(&c->done, &lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    bool each = argc > 4 && !strcmp(argv[4], "--each");
    int count = argc > 2 ? atoi(argv[2]) : 0;
    double seconds = argc > 3 ? atof(argv[3]) : 0, start;
    char body[BODY + 1], owner[16] = {1};
    long rows = 0, commits = 0;
    sqlite3_stmt *insert, *save, *release;
    if (count < 1 || count > CLIENTS_MAX || sqlite3_open(argv[1], &db) != SQLITE_OK) return 64;
    run("pragma journal_mode = wal; pragma synchronous = full; pragma wal_autocheckpoint = 4000; pragma cache_size = -256;"
        "create table if not exists items (id integer primary key, owner blob, body text not null) strict; create index if not "
        "exists i on items (owner)");
    if (sqlite3_prepare_v2(db, "insert into items (owner, body) values (?, ?) returning id", -1, &insert, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "savepoint part", -1, &save, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "release part", -1, &release, NULL) != SQLITE_OK)
        return 1;
    memset(body, 'x', BODY);
    body[BODY] = 0;
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        clients[i].number = i;
        pthread_cond_init(&clients[i].done, NULL);
        if (pthread_create(&thread, NULL, ask, &clients[i])) return 1;
    }
    start = now();
    pthread_mutex_lock(&lock);
    while (now() - start < seconds) {
        struct client *batch[CLIENTS_MAX];
        int n = 0;
        while (!queued) pthread_cond_wait(&more, &lock);
        n = each ? 1 : queued;
        memcpy(batch, queue, (size_t)n * sizeof *batch);
        queued -= n;
        memmove(queue, queue + n, (size_t)queued * sizeof *queue);
        pthread_mutex_unlock(&lock);
        run("begin immediate");
        for (int i = 0; i < n; i++) {
            sqlite3_step(save), sqlite3_reset(save);
            owner[1] = (char)batch[i]->number;
            sqlite3_bind_blob(insert, 1, owner, sizeof owner, SQLITE_STATIC);
            sqlite3_bind_text(insert, 2, body, BODY, SQLITE_STATIC);
            while (sqlite3_step(insert) == SQLITE_ROW) {}
            if (sqlite3_reset(insert) != SQLITE_OK) return 1;
            sqlite3_step(release), sqlite3_reset(release);
        }
        run("commit");
        rows += n, commits++;
        pthread_mutex_lock(&lock);
        for (int i = 0; i < n; i++) {
            batch[i]->waits = false;
            pthread_cond_signal(&batch[i]->done);
        }
    }
    over = true;
    printf("{\"rows\": %ld, \"commits\": %ld, \"seconds\": %.3f}\n", rows, commits, now() - start);
    fflush(stdout);
    _exit(0);
}
