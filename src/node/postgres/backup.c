/* backup: clusters in `orlo backup` (command/backup_cluster.c, which copies files; control/api_backup.c).
 *
 *   of each app:   CLUSTER_BEGIN: a slot keeps its log, pg_backup_start ──its files are copied──> CLUSTER_END: pg_backup_stop, and the label that says where to begin
 *   of all:        HOLD, by a number ──nothing is answered; how far the log of each is on the disk──> lines ──the store holds, too──> RELEASE, by that number: what
 *                  was held back is answered
 *   of each app:   CLUSTER_AT: that number, of one that was not up then ──its log is copied as far as that──> RELEASE: slots go
 *
 * 1. The moment is one: what was answered before HOLD is in the log by then; what is committed later is answered after the store holds, so nothing that the store has
 *    can have come of it. Whether it was so all the time, the RELEASE by HOLD's number says.
 * 2. One that was not up at the moment has in its log what it had when it was opened first since then.
 * 3. What the moment asks is asked on a connection of its own: nothing that an app keeps busy is in front of it.
 * 4. One that does not answer is not in the backup (CLUSTER_AT refuses it), and keeps no other out of it; what waits behind its migrations does not wait for ever.
 * 5. A slot stays as long as the backup, or BACKUP_MS; one that nobody knows of any more goes when its base is opened.
 */
#include "node/postgres/broker.h"
#include <stdio.h>

enum { OWN_MS = 60'000, START_MS = 300'000, HOLD_MS = 3'000, MUTE_MS = 25'000, BACKUP_MS = 3'600'000, PING_MS = 20'000 };
static const uint64_t ms_ns = 1'000'000u;

static struct {
    struct broker_errand *w; /* HOLD's, until it is answered */
    uint32_t waits, times;
    uint64_t ns;     /* when it was */
    uint64_t number; /* since when nothing is answered: of whom; 0: it is */
    struct buf lines;
    struct broker_errand *muted; /* that are done, and told later */
} hold;

static void ask(struct postgres *db, const struct postgres_statement *s, uint32_t n, bool bare, uint32_t ms_max,
                postgres_told told, void *arg) {
    (void)postgres_ask(db,
                       &(struct postgres_question){.statements = s, .count = n, .ms_max = ms_max, .bytes_max = MiB, .bare = bare},
                       told, arg);
}

static bool went_well(struct broker_errand *w, const struct postgres_answer *a) {
    if (postgres_outcome(a) == POSTGRES_DONE) return true;
    const struct postgres_error *e = postgres_error(a);
    node_errand_over(w, diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the PostgreSQL of %s cannot be copied: %s%s%.500s",
                                 w->base->name, e->state, *e->state ? ": " : "", e->message));
    return false;
}

/* ---- one app's ---- */

static void on_started(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    if (went_well(w, a)) node_errand_over(w, ERR_OK);
}

static void on_slot(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    static const struct postgres_statement s = {.text = STR_INIT("select pg_backup_start('orlo', true)")};
    if (went_well(w, a)) ask(w->base->backup, &s, 1, true, START_MS, on_started, w);
}

void node_backup_begin(struct broker_errand *w) {
    static const struct postgres_statement s[] = {
        {.text =
             STR_INIT("select pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = 'orlo_backup'")},
        {.text = STR_INIT("select pg_create_physical_replication_slot('orlo_backup', true)")}};
    struct broker_base *b = w->base;
    node_backup_close(b);
    b->backup = node_base_connect(b, "orlo", "postgres", 1);
    b->backup_ns = b->pinged_ns = clock_mono_ns();
    ask(b->backup, s, ARRAY_COUNT(s), false, OWN_MS, on_slot, w);
}

static void on_stopped(void *arg, const struct postgres_answer *a) {
    struct broker_errand *w = arg;
    w->base->backup_over = true;
    if (went_well(w, a)) node_errand_over(w, node_errand_say(w, postgres_value(a, 0, 0, 0, NULL)));
}

void node_backup_end(struct broker_errand *w) {
    static const struct postgres_statement s = {.text = STR_INIT("select labelfile from pg_backup_stop(false)")};
    if (!w->base->backup)
        node_errand_over(
            w, diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the PostgreSQL of %s ended meanwhile: try again", w->base->name));
    else ask(w->base->backup, &s, 1, true, START_MS, on_stopped, w);
}

void node_backup_at(struct broker_errand *w) {
    const struct broker_base *b = w->base;
    bool known = hold.ns && b->backup_ns && b->lsn_ns > hold.ns && !b->missed;
    err e = known ? node_errand_say(w, str_c(b->lsn))
                  : diag_set(&w->d, ERR_CLOSED, DIAG_NOWHERE, "the PostgreSQL of %s did not hold still: try again", b->name);
    node_errand_over(w, e);
}

/* It is open, and nobody has asked anything yet. */
void node_backup_opened(struct broker_base *b, str lsn) {
    if (hold.ns && b->lsn_ns > hold.ns) return;
    snprintf(b->lsn, sizeof b->lsn, STR_FMT, STR_ARG(lsn));
    b->lsn_ns = clock_mono_ns();
}

void node_backup_close(struct broker_base *b) {
    if (b->backup) postgres_end(b->backup, "its server is gone");
    postgres_free(b->backup);
    b->backup = NULL;
    b->backup_over = false;
}

static void on_nothing(void *arg, const struct postgres_answer *a) {}

static void drop_slot(struct broker_base *b) {
    static const struct postgres_statement s = {.text = STR_INIT(BROKER_NO_SLOT)};
    b->backup_ns = 0;
    if (b->state == BASE_HERE && b->admin) ask(b->admin, &s, 1, false, OWN_MS, on_nothing, NULL);
}

void node_backup_tick(struct broker_base *b, uint64_t now) {
    static const struct postgres_statement s = {.text = STR_INIT("select 1")};
    bool late = b->backup_ns && now - b->backup_ns > BACKUP_MS * ms_ns;
    if (b->backup && !hold.w && (b->backup_over || late)) node_backup_close(b);
    if (late) drop_slot(b);
    if (!b->backup || now - b->pinged_ns < PING_MS * ms_ns) return;
    b->pinged_ns = now; /* else nobody would have need of it */
    ask(b->backup, &s, 1, true, OWN_MS, on_nothing, NULL);
}

/* ---- the moment ---- */

static void unmute(void);

static void answer_hold(err e) {
    struct broker_errand *w = hold.w;
    hold.w = NULL;
    hold.times++;
    w->e = e == ERR_OK ? node_errand_say(w, buf_str(&hold.lines)) : e;
    buf_free(&hold.lines);
    if (w->e != ERR_OK) unmute();
    node_broker_did_now(w);
}

struct reading { /* of one base's log: of which hold */
    struct broker_base *base;
    uint32_t times;
};

static void on_lsn(void *arg, const struct postgres_answer *a) {
    struct reading *r = arg;
    struct broker_base *b = r->base;
    bool of_this = hold.w && r->times == hold.times;
    free(r);
    if (!of_this) return;
    if (postgres_outcome(a) == POSTGRES_DONE) {
        str lsn = postgres_value(a, 0, 0, 0, NULL);
        snprintf(b->lsn, sizeof b->lsn, STR_FMT, STR_ARG(lsn));
        b->lsn_ns = clock_mono_ns();
        b->missed = false;
        buf_printf(&hold.lines, "{\"cluster\":%u,\"lsn\":\"" STR_FMT "\"}\n", b->app, STR_ARG(lsn));
    }
    if (!--hold.waits) answer_hold(ERR_OK);
}

/* 0: it says none. */
static uint64_t number_of(struct broker_errand *w) {
    str text;
    uint64_t number = 0;
    return node_fd_bytes(w->mem, w->in, 32, &text, &w->d) == ERR_OK && str_to_u64(text, &number) ? number : 0;
}

/* One that is being opened has been looked at, or will be: nobody has asked it anything. */
void node_backup_hold(struct broker_errand *w) {
    static const struct postgres_statement s = {.text = STR_INIT("select pg_current_wal_flush_lsn()")};
    if (hold.w) answer_hold(diag_set(&hold.w->d, ERR_CLOSED, DIAG_NOWHERE, "nobody waits for it any more"));
    node_broker.mutes = true;
    hold.number = number_of(w);
    hold.w = w;
    hold.waits = 1;
    hold.ns = clock_mono_ns();
    for (struct broker_base *b = node_broker.bases; b; b = b->next) {
        b->missed = false;
        if (b->state == BASE_OPENS && b->lsn_ns >= b->opens_ns) b->lsn_ns = hold.ns + 1;
        if (b->state != BASE_HERE || !b->admin || b->run < 0) continue;
        if (!b->backup) b->backup = node_base_connect(b, "orlo", "postgres", 1), b->backup_over = true;
        struct reading *r = malloc(sizeof *r);
        ENSURE(r);
        *r = (struct reading){b, hold.times};
        b->missed = true;
        hold.waits++;
        ask(b->backup, &s, 1, true, HOLD_MS, on_lsn, r);
    }
    if (!--hold.waits) answer_hold(ERR_OK);
}

/* What was done meanwhile is told. */
static void unmute(void) {
    if (!node_broker.mutes) return;
    node_broker.mutes = false;
    hold.number = 0;
    for (struct broker_errand *w; (w = hold.muted);) {
        hold.muted = w->next;
        node_broker_did_now(w);
    }
    node_broker_speak();
}

void node_backup_mute(struct broker_errand *w) {
    w->next = NULL;
    struct broker_errand **at = &hold.muted;
    while (*at) at = &(*at)->next;
    *at = w;
}

void node_backup_release(struct broker_errand *w) {
    uint64_t number = number_of(w);
    if (number && number != hold.number)
        w->e = diag_set(&w->d, ERR_BUSY, DIAG_NOWHERE, "the PostgreSQL of apps did not hold still all the time: try again");
    else unmute();
    for (struct broker_base *b = number ? NULL : node_broker.bases; b; b = b->next)
        if (b->backup_ns) drop_slot(b);
    node_broker_did_now(w);
}

void node_backup_late(uint64_t now) {
    if (hold.w && now > hold.ns + HOLD_MS * ms_ns) answer_hold(ERR_OK);
    if (now > hold.ns + MUTE_MS * ms_ns) unmute();
}
