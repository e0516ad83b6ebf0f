/* batch: what was asked of one database while the last commit was under way, done as one transaction.
 *
 *   begin ── for each, one after the other ──> commit ──> all are answered
 *              │  it fails: all is undone, those before it are done again, and from now on each is a part of its own, which is undone by itself
 *              └─ it took the whole transaction away: those before it are done again, each by itself
 *
 * 1. Nobody is answered before the commit, so what is acknowledged is on the disk.
 * 2. One that fails harms none of the others, and if the commit fails each is tried by itself.
 * 3. Statements that begin or end transactions are done alone, and so is all that follows in such a transaction. One of the app's own database (APP_TX)
 *    is over with the first thing in it that fails.
 */
#include "node/disk.h"
#include "node/store/store_int.h"
#include "node/tree.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint64_t stuck_after_ns = 10'000'000'000; /* it was told to end: a disk may be as slow as that */
static const uint64_t batch_ns = 20'000'000;           /* then it is committed, and the rest is the next one */

/* ---- its file ---- */

bool node_store_goes_on(void *arg) {
    struct store_base *base = arg;
    if (base->now && __atomic_load_n(&base->now->cancelled, __ATOMIC_RELAXED)) return false;
    base->late = clock_mono_ns() >= base->until_ns;
    return !base->late;
}

static bool may(void *arg, enum db_act act, str a, str b) {
    const struct store_base *base = arg;
    return act != DB_ACT_TRANSACTION || base->alone;
}

/* Its app's folder, on the disk by the time something is in it. */
static bool make_folder(const char *name) {
    char folder[sizeof((struct store_base){}).name];
    snprintf(folder, sizeof folder, "%.*s", (int)str_find(str_c(name), '/'), name);
    if (mkdirat(AT_FDCWD, folder, 0700)) return errno == EEXIST;
    int above = openat(AT_FDCWD, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool ok = above >= 0 && fsync(above) == 0;
    if (above >= 0) close(above);
    return ok;
}

static err open_base(struct store_base *base, const struct store_ask *ask, struct diag *d) {
    if (base->db) return ERR_OK;
    struct db_options options = {.name = node_store_bases_keep() ? base->name : ":memory:",
                                 .create = true,
                                 .cache_kib = 256,
                                 .statements = 24,
                                 .own_log = true,
                                 .value_bytes_max = ask->answer_bytes_max,
                                 .guest = base->of == APP_OF_SQL,
                                 .sharing = base->of == APP_OF_APP && node_store_bases_keep() ? DB_WRITER : DB_ALONE,
                                 .may = may,
                                 .goes_on = base->of == APP_OF_KEYS ? NULL : node_store_goes_on,
                                 .arg = base};
    if (node_store_bases_keep() && !make_folder(base->name))
        return diag_set(d, ERR_IO, DIAG_NOWHERE, "its folder cannot be made: %s", strerror(errno));
    node_store_writes(true); /* what it is made of, too, is there before a backup's moment or after it */
    err e = db_open(&options, &base->db, d);
    base->bytes_max = 0;
    if (e == ERR_OK && base->of == APP_OF_KEYS) e = node_store_keys_open(base, d);
    if (e == ERR_OK && base->of == APP_OF_APP) e = node_store_own_open(base, d);
    if (e == ERR_OK) node_store_past_open(base);
    if (e == ERR_OK) node_store_bases_lends(base);
    node_store_writes(false);
    if (e != ERR_OK) node_store_base_close(base);
    return e;
}

/* So that there is nothing beside the file that somebody copies by hand. */
static void empty_log(struct store_base *base) {
    struct diag d = DIAG_INIT;
    if (db_wal(base->db).frames && db_checkpoint(base->db, &d) != ERR_OK)
        log_event(LOG_ERROR, "data-log-not-merged", LF_CSTR("database", base->name), LF_CSTR("reason", d.text));
}

/* The feed's numbers go back with the rows. */
void node_store_undo(struct store_base *base) {
    db_rollback(base->db);
    if (base->own) node_store_own_undone(base);
}

/* Whoever begins to hold waits for it, so the log that it empties is not one that is being copied. */
void node_store_base_close(struct store_base *base) {
    node_store_writes(true);
    if (base->db) db_rollback(base->db);
    if (base->history) node_store_past_take(base, true);
    if (base->own) node_store_own_close(base);
    else if (base->db && node_store_bases_keep() && !node_store_checkpoint_held()) empty_log(base);
    if (base->history) node_store_past_close(base);
    db_close(base->db);
    base->db = NULL;
    node_translating_end(&base->texts);
    node_store_writes(false);
}

/* ---- one ---- */

void node_store_statement_begins(struct store_base *base, const struct store_ask *ask) {
    base->late = false;
    base->until_ns = clock_mono_ns() + ask->ms_max * 1000000ull;
    if (base->of == APP_OF_APP && base->holder) base->until_ns = MIN(base->until_ns, base->holder_until_ns);
    __atomic_store_n(&base->stuck_ns, base->until_ns + stuck_after_ns, __ATOMIC_RELAXED);
}

static void do_one(struct store_base *base, struct store_ask *ask) {
    if (__atomic_load_n(&ask->cancelled, __ATOMIC_RELAXED)) {
        node_store_ask_fail(ask, APP_DATA_LOST, "nobody waits for it");
        return;
    }
    char full[NODE_DISK_TEXT];
    bool adds =
        !ask->errand && (ask->op == APP_KV_SET || ask->op == APP_KV_SET_MANY || ask->op == APP_KV_ADD || ask->op == APP_KV_SWAP);
    if (adds && node_disk_full(full)) {
        node_store_ask_fail(ask, APP_DATA_FULL, "%s", full);
        return;
    }
    struct diag d = DIAG_INIT;
    err e = node_store_room_hold(base, ask, &d);
    if (e != ERR_OK) {
        node_store_ask_db_failed(ask, e, &d);
        return;
    }
    base->now = ask;
    node_store_statement_begins(base, ask);
    if (ask->errand) node_store_errand_do(base, ask);
    else if (base->of == APP_OF_APP) node_store_own_do(base, ask);
    else if (base->of == APP_OF_SQL) node_store_sql_do(base, ask);
    else node_store_keys_do(base, ask);
    __atomic_store_n(&base->stuck_ns, 0, __ATOMIC_RELAXED);
    base->now = NULL;
}

static bool closes(const struct store_ask *ask) { return ask->op == APP_SQL_CLOSE; }

static bool is_tx(const struct store_ask *ask) { return !ask->errand && ask->op == APP_TX; }

static bool is_alone(const struct store_base *base, const struct store_ask *ask) {
    if (ask->errand || is_tx(ask)) return true;
    return base->of == APP_OF_SQL &&
           (base->holder || closes(ask) ||
            (ask->count > 1 && ask->values[1].kind == APP_VALUE_TEXT && node_store_sql_is_alone(ask->values[1].s)));
}

/* It may begin a transaction, or end the one that goes on. */
static void do_alone(struct store_base *base, struct store_ask *ask) {
    base->alone = true;
    if (base->of == APP_OF_SQL) node_store_writes(true);
    if (closes(ask)) {
        if (base->holder) node_store_undo(base);
    } else {
        do_one(base, ask);
    }
    if (base->of == APP_OF_SQL) node_store_writes(false);
    base->alone = false;
    bool goes = db_in_transaction(base->db);
    base->holder = goes ? ask->peer : NULL;
    base->holder_connection = goes ? ask->values[0].i : 0;
    base->holder_until_ns = clock_mono_ns() + ask->ms_max * 1000000ull;
}

/* ---- several ---- */

struct room {
    uint64_t keys, bytes;
};
static struct room room_of(const struct store_base *base) { return (struct room){base->keys, base->bytes}; }
static void back_to(struct store_base *base, struct room room) {
    base->keys = room.keys, base->bytes = room.bytes;
    if (base->own) node_store_own_undone(base);
}

static void fail_all(struct store_ask *const *asks, uint32_t n, err e, const struct diag *d) {
    for (uint32_t i = 0; i < n; i++) {
        node_store_ask_anew(asks[i]);
        node_store_ask_db_failed(asks[i], e, d);
    }
}

/* Where the disk failed, what was to be committed may be in the log all the same, whole: whoever opens it next finds it there, or does not. */
static void fail_commit(struct store_ask *const *asks, uint32_t n, err e, const struct diag *d) {
    fail_all(asks, n, e, d);
    for (uint32_t i = 0; i < n && e == ERR_IO; i++) {
        node_store_ask_anew(asks[i]);
        node_store_ask_fail(asks[i], APP_DATA_LOST, "the disk failed in its commit: it may be done, or not");
    }
}

static void do_part(struct store_base *base, struct store_ask *ask) {
    struct diag d = DIAG_INIT;
    struct room room = room_of(base);
    err e = db_part_begin(base->db, &d);
    if (e == ERR_OK) do_one(base, ask);
    if (e == ERR_OK && node_store_ask_stays(ask)) e = db_part_keep(base->db, &d);
    if (e != ERR_OK) node_store_ask_db_failed(ask, e, &d);
    if (node_store_ask_stays(ask)) return;
    db_part_undo(base->db);
    back_to(base, room);
}

static err commit(struct store_base *base, struct diag *d) {
    if (base->of == APP_OF_KEYS) TRY(node_store_keys_save(base, d));
    if (base->own) TRY(node_store_own_save(base, d));
    return node_store_commit(base->db, d);
}

/* ---- a transaction of the app's own database that goes on over several asks ---- */

/* It is over: nothing of it is there. */
static void undo_tx(struct store_base *base, struct room room) {
    db_rollback(base->db);
    back_to(base, room);
    base->holder = NULL;
}

static void fail_tx(struct store_base *base, struct store_ask *ask, const char *state, const char *message) {
    struct pg_error error = {0};
    node_tree_fail(&error, state, "%s", message);
    node_store_ask_fail(ask, APP_DATA_ERROR, "%s", message);
    node_tree_error_values(&error, &ask->answer);
}

/* Whatever goes wrong in it ends it: the next one of the app's need not wait until its guest has noticed. */
static void do_tx(struct store_base *base, struct store_ask *ask) {
    struct diag d = DIAG_INIT;
    struct room room = room_of(base);
    int64_t does = ask->values[1].i, ms = ask->values[2].i;
    if (__atomic_load_n(&ask->cancelled, __ATOMIC_RELAXED) || does == APP_TX_ROLLBACK) {
        if (base->holder) undo_tx(base, room);
        return;
    }
    if (does == APP_TX_BEGIN && base->holder) {
        undo_tx(base, room);
        node_store_ask_fail(ask, APP_DATA_REFUSED, "a transaction of that number goes on");
        return;
    }
    if (does == APP_TX_BEGIN) {
        err e = db_begin(base->db, &d);
        if (e != ERR_OK) {
            node_store_ask_db_failed(ask, e, &d);
            return;
        }
        base->holder = ask->peer;
        base->holder_connection = ask->values[0].i;
        base->holder_until_ns = clock_mono_ns() + (uint64_t)MIN(MAX(ms, 1), 3'600'000) * 1'000'000u;
    }
    if (!base->holder) {
        fail_tx(base, ask, "25P01", "there is no transaction in progress");
        return;
    }
    if (does == APP_TX_COMMIT) {
        err e = commit(base, &d);
        if (e != ERR_OK) fail_commit(&ask, 1, e, &d);
        undo_tx(base, room); /* of one that was committed it is nothing */
        return;
    }
    do_one(base, ask);
    if (!node_store_ask_stays(ask) || !db_in_transaction(base->db)) undo_tx(base, room);
}

/* Each as a transaction of its own. */
static void do_singly(struct store_base *base, struct store_ask *const *asks, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        struct diag d = DIAG_INIT;
        struct room room = room_of(base);
        node_store_ask_anew(asks[i]);
        err e = db_begin(base->db, &d);
        if (e == ERR_OK) do_one(base, asks[i]);
        if (e != ERR_OK) fail_all(asks + i, 1, e, &d);
        else if (node_store_ask_stays(asks[i]) && (e = commit(base, &d)) != ERR_OK) fail_commit(asks + i, 1, e, &d);
        db_rollback(base->db);
        if (!node_store_ask_stays(asks[i])) back_to(base, room);
    }
}

/* The last of them is not done, and all is undone with it: those before it are done again. False: one of them has ended the transaction. */
static bool do_again(struct store_base *base, struct store_ask *const *asks, uint32_t n, err *e, struct diag *d) {
    db_rollback(base->db);
    *e = db_begin(base->db, d);
    for (uint32_t i = 0; i < n && *e == ERR_OK; i++) {
        node_store_ask_anew(asks[i]);
        do_part(base, asks[i]);
        if (!db_in_transaction(base->db)) return false;
    }
    return true;
}

/* Some of asks, all of them such as may be in one transaction. As a rule none of them fails, so there are no parts until one has. */
static uint32_t do_together(struct store_base *base, struct store_ask *const *asks, uint32_t n) {
    enum { CAREFUL = 64 /* batches behind one of which a part was undone */ };
    struct diag d = DIAG_INIT;
    struct room room = room_of(base);
    uint64_t start = clock_mono_ns();
    err e = db_begin(base->db, &d);
    uint32_t done = 0;
    bool parts = base->careful;
    base->careful -= parts;
    while (e == ERR_OK && done < n && (!done || clock_mono_ns() - start < batch_ns)) {
        struct store_ask *ask = asks[done++];
        if (parts) do_part(base, ask);
        else do_one(base, ask);
        bool goes = db_in_transaction(base->db);
        if (goes && !parts && !node_store_ask_stays(ask)) {
            back_to(base, room);
            parts = true, base->careful = CAREFUL;
            goes = do_again(base, asks, done - 1, &e, &d);
        }
        if (goes) continue;
        back_to(base, room); /* the last one has undone all */
        do_singly(base, asks, done - 1);
        return done;
    }
    if (e != ERR_OK) { /* it could not begin; or not again, and the last one has its answer */
        fail_all(asks, done ? done - 1 : 1, e, &d);
        return MAX(done, 1u);
    }
    if ((e = commit(base, &d)) == ERR_OK) return done;
    db_rollback(base->db);
    back_to(base, room);
    if (done > 1) do_singly(base, asks, done);
    else fail_commit(asks, done, e, &d);
    return done;
}

static bool any_writes(struct store_ask *const *asks, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        if (app_data_writes(asks[i]->op)) return true;
    return false;
}

static uint32_t do_some(struct store_base *base, struct store_ask *const *asks, uint32_t count) {
    uint32_t n = 0;
    while (n < count && !is_alone(base, asks[n])) n++;
    if (!n && is_tx(asks[0])) do_tx(base, asks[0]);
    else if (!n) do_alone(base, asks[0]);
    if (!n) return 1;
    if (any_writes(asks, n)) return do_together(base, asks, n);
    else
        for (uint32_t i = 0; i < n; i++) do_one(base, asks[i]);
    return n;
}

uint32_t node_store_batch(struct store_base *base, struct store_ask *const *asks, uint32_t count) {
    struct diag d = DIAG_INIT;
    err e = open_base(base, asks[0], &d);
    if (e != ERR_OK) {
        fail_all(asks, count, e, &d);
        return count;
    }
    if (base->own && !base->holder && (e = node_store_room_look(base, &d)) != ERR_OK) {
        fail_all(asks, count, e, &d);
        return count;
    }
    uint32_t did = do_some(base, asks, count);
    if (base->own && !base->holder) node_store_own_rest(base);
    return did;
}
