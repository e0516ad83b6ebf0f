/* past: histories of databases (node/history.h): who has one open notes when commits were acknowledged, and other threads bring them into it. A history that
 * cannot be written keeps nobody from writing: it begins anew once it can, and what was in between is in no history. */
#include "node/history.h"
#include "node/store/store_int.h"

static uint64_t history_bytes_max, history_ms_max;
static const uint64_t again_ns = 1'000'000'000; /* where there could be none, it is tried again */

void node_store_past_init(uint64_t bytes_max, uint64_t ms_max) {
    history_bytes_max = bytes_max < 2 * HISTORY_SEGMENT_BYTES ? 0 : bytes_max;
    history_ms_max = ms_max;
}

static void failed(const struct store_base *base, const struct diag *d) {
    log_event(LOG_WARN, "history-gap", LF_CSTR("database", base->name), LF_CSTR("reason", d->text));
}

static void take(struct store_base *base, bool sync) {
    struct diag d = DIAG_INIT;
    if (base->history && node_history_take(base->history, sync, &d) != ERR_OK) failed(base, &d);
}

/* Those that are shared have descriptors already: one that is closed would take locks along. again: the log of events has it already that there is none. */
static void open_history(struct store_base *base, bool again) {
    struct diag d = DIAG_INIT;
    int fds[3] = {-1, -1, -1};
    struct history_options o = {.name = base->name, .bytes_max = history_bytes_max, .ms_max = history_ms_max};
    if (!node_store_bases_keep()) return;
    if (!history_bytes_max) {
        node_history_none(base->name);
        return;
    }
    pthread_mutex_lock(&base->taking);
    err e = base->of == APP_OF_APP ? db_files_of(base->db, fds, &d) : ERR_OK;
    o.main = fds[0], o.wal = fds[1];
    if (e == ERR_OK) e = node_history_open(&o, &base->history, &d);
    if (e == ERR_OK) take(base, false);
    else if (!again) failed(base, &d);
    base->noted = db_wal(base->db).commits;
    base->past_tried_ns = clock_mono_ns();
    pthread_mutex_unlock(&base->taking);
}

void node_store_past_open(struct store_base *base) { open_history(base, false); }

void node_store_past_note(struct store_base *base) {
    if (!base->db) return;
    if (!base->history && history_bytes_max && node_store_bases_keep() && clock_mono_ns() - base->past_tried_ns > again_ns)
        open_history(base, true);
    if (!base->history) return;
    struct db_wal wal = db_wal(base->db);
    if (wal.commits != base->noted) node_history_note(base->history, wal.frames);
    base->noted = wal.commits;
}

bool node_store_past_behind(struct store_base *base) {
    if (pthread_mutex_trylock(&base->taking)) return false; /* somebody is at it */
    bool behind = base->history && node_history_behind(base->history);
    pthread_mutex_unlock(&base->taking);
    return behind;
}

void node_store_past_take(struct store_base *base, bool sync) {
    pthread_mutex_lock(&base->taking);
    take(base, sync);
    pthread_mutex_unlock(&base->taking);
}

/* Nothing is in its log any more, or it stays as it is. All of it was taken before. */
void node_store_past_close(struct store_base *base) {
    pthread_mutex_lock(&base->taking);
    node_history_close(base->history);
    base->history = NULL;
    pthread_mutex_unlock(&base->taking);
}
