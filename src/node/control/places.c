/* places: see places.h.
 *
 *   the operator's cordons ── places: number, pattern of names ──┐
 *   supervisor ── isolate: this app killed workers twice ─> kept ├──> the number that an app has in a snapshot
 *   another version, a rollback, release ── lift ───────────────┘
 */
#include "node/control/places.h"
#include <stdlib.h>
#include <time.h>

enum { PLACES = 4 /* that the supervisor has */, FIRST = 1000, REASON_MAX = 400 };

struct quarantined {
    struct quarantined *next;
    uint32_t app, place;
    int64_t since;
    char reason[REASON_MAX];
};
struct control_places {
    uint32_t revision;
    struct buf table;
    struct quarantined *first;
};

static struct control_places *places_of(struct control *c) {
    if (!c->places) c->places = calloc(1, sizeof *c->places);
    ENSURE(c->places);
    return c->places;
}

static struct quarantined *find(const struct control *c, uint32_t app) {
    struct quarantined *q = c->places ? c->places->first : NULL;
    while (q && q->app != app) q = q->next;
    return q;
}

static void add(struct control *c, uint32_t app, uint32_t place, int64_t since, str reason) {
    struct quarantined *q = calloc(1, sizeof *q);
    ENSURE(q);
    *q = (struct quarantined){.next = places_of(c)->first, .app = app, .place = place, .since = since};
    snprintf(q->reason, sizeof q->reason, STR_FMT, STR_ARG(reason));
    c->places->first = q;
}

err node_places_load(struct control *c, struct diag *d) {
    struct db_rows *rows;
    if (!c->db) return ERR_OK;
    TRY(db_query(c->db, &rows, d, "select app, place, since, reason from quarantine"));
    while (db_next(rows)) add(c, (uint32_t)db_i64(rows, 0), (uint32_t)db_i64(rows, 1) % PLACES, db_i64(rows, 2), db_str(rows, 3));
    return db_end(rows, d);
}

/* ---- what the operator says ---- */

static bool fits(str pattern, str name) {
    if (pattern.n && pattern.p[pattern.n - 1] == '*') return str_starts(name, str_sub(pattern, 0, pattern.n - 1));
    return str_eq(pattern, name);
}

/* u32 number, u32 length, pattern; and so on. 0: it is in none. */
static uint32_t number_of(str table, str name) {
    struct rd r = rd_of(table);
    while (!r.fail && rd_left(&r)) {
        uint32_t id = rd_u32le(&r), n = rd_u32le(&r);
        str pattern = rd_bytes(&r, r.fail ? 0 : n);
        if (!r.fail && fits(pattern, name)) return id;
    }
    return 0;
}

bool node_places_hear(struct control *c, const struct node_msg_places *m) {
    struct control_places *p = places_of(c);
    p->revision = m->revision;
    p->table.n = 0;
    buf_puts(&p->table, m->table);
    if (m->revision) node_control_publish_again(c);
    return true;
}

/* ---- who kills workers ---- */

static uint32_t free_place(const struct control *c) {
    bool taken[PLACES] = {0};
    for (const struct quarantined *q = c->places ? c->places->first : NULL; q; q = q->next) taken[q->place] = true;
    uint32_t place = 0;
    while (place + 1 < PLACES && taken[place]) place++;
    return place;
}

void node_places_isolate(struct control *c, const struct node_msg_isolate *m) {
    const struct control_app *app = node_control_app_numbered(c, m->app);
    struct diag d = DIAG_INIT;
    if (!c->db || !app || find(c, m->app)) return;
    uint32_t place = free_place(c);
    int64_t now = (int64_t)(clock_wall_ns() / 1'000'000'000u);
    err e = db_run(c->db, &d, "insert or replace into quarantine (app, place, reason, since) values (?, ?, ?, ?)", DB_I64(m->app),
                   DB_I64(place), DB_TEXT(m->reason), DB_I64(now));
    if (e != ERR_OK) log_event(LOG_WARN, "quarantine-not-kept", LF_STR("app", app->name), LF_CSTR("reason", d.text));
    add(c, m->app, place, now, m->reason); /* it is in all the same, until this control ends */
    log_event(LOG_WARN, "app-quarantined", LF_STR("app", app->name), LF_STR("reason", m->reason),
              LF_CSTR("note", "it has a worker of its own; another version, a rollback or `release` ends that"));
    node_control_publish_again(c);
}

bool node_places_lift(struct control *c, uint32_t app) {
    struct diag d = DIAG_INIT;
    struct quarantined **at = c->places ? &c->places->first : NULL;
    while (at && *at && (*at)->app != app) at = &(*at)->next;
    if (!at || !*at) return false;
    struct quarantined *q = *at;
    *at = q->next;
    free(q);
    if (c->db && db_run(c->db, &d, "delete from quarantine where app = ?", DB_I64(app)) != ERR_OK)
        log_event(LOG_WARN, "quarantine-not-kept", LF_U64("app", app), LF_CSTR("reason", d.text));
    return true;
}

/* ---- asking ---- */

uint32_t node_places_revision(const struct control *c) { return c->places ? c->places->revision : 0; }

uint32_t node_places_of(const struct control *c, uint32_t app, str name, bool free) {
    const struct quarantined *q = free ? NULL : find(c, app);
    return q ? FIRST + q->place : c->places ? number_of(buf_str(&c->places->table), name) : 0;
}

uint32_t node_places_quarantines(const struct control *c, uint32_t leaves) {
    uint32_t bits = 0;
    for (const struct quarantined *q = c->places ? c->places->first : NULL; q; q = q->next)
        if (q->app != leaves && node_control_app_numbered(c, q->app)) bits |= 1u << q->place;
    return bits;
}

const char *node_places_note(const struct control *c, arena *out, const struct control_app *app) {
    const struct quarantined *q = find(c, app->id);
    char since[32] = "";
    if (!q) return NULL;
    time_t t = (time_t)q->since;
    struct tm tm;
    if (gmtime_r(&t, &tm)) strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm);
    str text = arena_fmt(out,
                         "it has a worker of its own since %s: %s. Another version, a rollback, or POST "
                         "/_orlo/v1/apps/" STR_FMT "/release ends that",
                         since, q->reason, STR_ARG(app->name));
    return arena_cstr(out, text);
}
